"""A lens of every model, and the half angle in degrees up to which tests look through it."""

from sfumato.scene.lenses import Lens

EXAMPLES = {
    "pinhole": (Lens("pinhole"), 80.0),
    "fisheye": (Lens("fisheye"), 179.0),
    "simple_radial": (Lens("simple_radial", (-0.12,)), 55.0),
    "simple_radial, pincushion": (Lens("simple_radial", (0.3,)), 75.0),
    "radial": (Lens("radial", (-0.12, 0.03)), 75.0),
    "opencv": (Lens("opencv", (-0.11, 0.04, 0.003, -0.002)), 70.0),
    "full_opencv": (Lens("full_opencv", (0.1, -0.05, 0.003, -0.002, 0.02, 0.15, -0.03, 0.01)), 65.0),
    "fov": (Lens("fov", (0.9,)), 170.0),
    "division": (Lens("division", (-0.15,)), 150.0),
    "division, pincushion": (Lens("division", (0.1,)), 55.0),
    "eucm": (Lens("eucm", (0.55, 1.1)), 130.0),
    "simple_radial_fisheye": (Lens("simple_radial_fisheye", (-0.04,)), 160.0),
    "radial_fisheye": (Lens("radial_fisheye", (-0.04, 0.02)), 175.0),
    "opencv_fisheye": (Lens("opencv_fisheye", (0.05, -0.02, 0.01, -0.002)), 105.0),
    "thin_prism_fisheye": (
        Lens("thin_prism_fisheye", (0.04, -0.03, 0.002, -0.001, 0.01, -0.004, 0.003, -0.002)),
        90.0,
    ),
    "rad_tan_thin_prism_fisheye": (
        Lens(
            "rad_tan_thin_prism_fisheye",
            (0.04, -0.03, 0.02, -0.01, 0.004, -0.001, 0.002, -0.001, 0.003, -0.002, 0.001, -0.0005),
        ),
        90.0,
    ),
    "equirectangular": (Lens("equirectangular"), 179.0),
}
