"""The rasterizer of pinhole cameras."""

from __future__ import annotations

from sfumato.checks import check_type
from sfumato.render.output import Render
from sfumato.render.raster_halves import blended, has_ellipses, projected_scene
from sfumato.render.rasterize_unscented import rasterize_unscented
from sfumato.render.settings import RasterSettings
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians


def rasterize(gaussians: Gaussians, camera: Camera, settings: RasterSettings = RasterSettings()) -> Render:
    """Render a scene by projecting each Gaussian to an ellipse and blending them front to back.

    With a lens that bends straight lines, or a rolling shutter, projections are not ellipses: Gaussians are
    still blended in one order for all pixels, but by their exact response along each pixel's ray. There is
    then no blur, so that details smaller than a pixel may alias, and near and far are distances along
    the rays.

    Args:
        gaussians: the scene; float32 uses the kernels, float64 the definitions.
        camera: any; an ideal one (pinhole, orthographic or fisheye, with a global shutter) projects
            ellipses. Its poses are converted to the scene's dtype and device.
        settings: of the rasterizer.

    Returns:
        Render.

    Raises:
        ConfigError: ``settings`` select a filter of ellipses (antialiased, another blur_px2) where there are
            none, the shutter's poses are 180 degrees apart, or an argument is of another type.
        ShapeError: dtype or device have no implementation.

    Gradients: every field of ``gaussians``, and the camera's poses.

    Source: Kerbl et al. 2023; Zwicker et al. 2002; Wu et al. 2025.
    """
    check_type("gaussians", gaussians, Gaussians)
    check_type("camera", camera, Camera)
    check_type("settings", settings, RasterSettings)
    if not has_ellipses(camera):
        return rasterize_unscented(gaussians, camera, settings)
    return blended(projected_scene(gaussians, camera, settings), camera, settings)
