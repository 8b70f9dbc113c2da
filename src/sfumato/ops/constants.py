"""Numbers that the definitions and every kernel share; each has its reason beside it."""

# A pair weaker than one step of an 8-bit image changes nothing that can be seen.
ALPHA_MIN = 1.0 / 255.0
# A Gaussian never hides everything behind it, so 1 / (1 - alpha) in a backward pass stays finite.
ALPHA_MAX = 0.999
# Blending stops here: what lies behind adds less than a fortieth of an 8-bit step.
TRANSMITTANCE_STOP = 1e-4
# Tolerance of barycentric coordinates: triangles overlap by it, so that rounding leaves no cracks.
MESH_EDGE = 1e-9
# Low-pass filter of the projection: no ellipse is thinner than about half a pixel (Kerbl et al. 2023).
BLUR_PX2 = 0.3
# Limit of the affine approximation, as a multiple of half the field of view: beyond it the Jacobian explodes.
TANGENT_LIMIT = 1.3
# Standard deviations after which even an opaque Gaussian is under ALPHA_MIN: sqrt(2 ln 255) = 3.329.
EXTENT_SIGMAS = 3.33
# Radii are int32; this bound is exact in float32 and far beyond any image.
RADIUS_MAX_PX = 2**30
# Default near and far planes, scene units, as in gsplat; render.limits derives those of scenes.
NEAR = 0.01
FAR = 1e10

# SSIM of Wang et al. 2004 as the field computes it, for values in [0, 1].
SSIM_WINDOW_PX = 11
SSIM_SIGMA_PX = 1.5
SSIM_C1 = 0.01**2
SSIM_C2 = 0.03**2

# Scale of the Charbonnier loss of neighbours' motions, as a fraction of their mean distance (for rotations: a
# difference of unit quaternions). Larger residuals count linearly, so that joints and edges may break.
MOTION_TOLERANCE = 0.1

# Scale of the Cauchy loss of colour residuals: larger differences come from different surfaces.
ALIGNMENT_TOLERANCE = 0.2
# The upper triangle of a symmetric 6x6 matrix, and a vector of 6.
ALIGNMENT_ENTRIES = 27
