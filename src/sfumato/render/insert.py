"""Triangle meshes in a scene of Gaussians: mirrors, glass, and diffuse objects with shadows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sfumato.checks import check_finite, check_shapes
from sfumato.errors import ConfigError, ShapeError
from sfumato.ops.mesh_hits import mesh_hits
from sfumato.ops.trace_rays import Hierarchy, trace_rays
from sfumato.render.insert_light import LIGHT_RAYS, light_of, lit, shadowed, sphere_directions
from sfumato.render.insert_paths import Paths, scattered, surfaces
from sfumato.render.limits import limits_of
from sfumato.render.meshes import corner_normals, face_normals
from sfumato.render.output import Render
from sfumato.render.raytrace import raytrace
from sfumato.render.settings import TraceSettings
from sfumato.render.view_colours import colours_of_rays
from sfumato.scene.cameras import Camera
from sfumato.scene.gaussians import Gaussians
from sfumato.scene.pixel_directions import pixel_directions
from sfumato.scene.rays import Rays, camera_rays

MATERIALS = ("mirror", "glass", "diffuse")
# Largest number of surfaces along a light path, and the weight in its pixel below which a path ends.
DEPTH, _LEAST_WEIGHT = 8, 1 / 256


@dataclass(frozen=True)
class Insert:
    """A mesh in a scene.

    Attributes:
        vertices: [v, 3] world frame, scene units.
        faces: [f, 3] int64 rows of ``vertices``, counter-clockwise seen from outside.
        material: "mirror", "glass" or "diffuse".
        colour: encoded RGB in [0, 1] that the material gives back (mirror, diffuse) of white light.
        index: of refraction, of glass.

    Raises:
        ConfigError: the material is unknown, a number is out of range, or a vertex is not finite.
        ShapeError: a tensor has another shape or dtype, or a face has an invalid vertex.
    """

    vertices: Tensor
    faces: Tensor
    material: str
    colour: tuple[float, float, float] | None = None
    index: float = 1.5

    def __post_init__(self) -> None:
        check_shapes(vertices=(self.vertices, "v 3"))
        check_shapes(faces=(self.faces, "f 3"))
        if self.faces.dtype != torch.int64 or not self.vertices.is_floating_point():
            raise ShapeError("a mesh has vertices in floating point and faces in torch.int64")
        if not len(self.faces):
            raise ShapeError("there are no faces; give at least one triangle")
        if not 0 <= int(self.faces.min()) <= int(self.faces.max()) < len(self.vertices):
            raise ShapeError(f"faces name vertices outside 0 to {len(self.vertices) - 1}")
        check_finite("the mesh", self.vertices)
        if self.material not in MATERIALS:
            raise ConfigError(f"material {self.material!r} is unknown: give {', '.join(MATERIALS)}")
        if self.colour is not None and not all(0 <= value <= 1 for value in self.colour):
            raise ConfigError(f"colour is {self.colour}; give three numbers in [0, 1]")
        if not 1 <= self.index <= 4:
            raise ConfigError(f"index of refraction is {self.index}; give 1 to 4")


def _numbers(rows: Tensor) -> Tensor:
    """[m] 0 to m - 1 for the m rows of a tensor."""
    return torch.arange(len(rows), device=rows.device)


def render_with_mesh(
    gaussians: Gaussians,
    rays: Rays | Camera,
    inserts: Sequence[Insert],
    settings: TraceSettings = TraceSettings(),
) -> Render:
    """Render a scene with meshes in it; for several images make one ``MeshRenderer``.

    Args, Returns, Raises, Gradients: as ``MeshRenderer`` and ``MeshRenderer.render``.
    """
    return MeshRenderer(gaussians, inserts, settings).render(rays)


class MeshRenderer:
    """A scene and the meshes in it, prepared for rendering from any viewpoint.

    A ray blends the Gaussians in front of a mesh; the transmittance that remains is the weight of the mesh.
    A mirror reflects the ray, glass splits it into a reflected and a refracted one by Fresnel's equations.
    These blend Gaussians, inside glass as outside, and hit meshes again, up to ``DEPTH`` surfaces; meshes
    behind the last are ignored. View-dependent colours are evaluated at the distance that the light has
    travelled.

    A diffuse mesh is lit by the scene: the irradiance for each normal, as spherical harmonics of degree 2,
    from the colours seen around the mesh's centre, beyond its own extent (without its own shadow and those
    of other meshes). It casts a soft shadow: Gaussians are darkened by the fraction of a uniform light that
    it blocks. Mirrors and glass cast none. Normals are smooth except at edges of over 40 degrees.
    """

    @torch.no_grad()
    def __init__(
        self, gaussians: Gaussians, inserts: Sequence[Insert], settings: TraceSettings = TraceSettings()
    ) -> None:
        """Prepare a scene.

        Args:
            gaussians: the scene; float32 uses the kernels, float64 the definitions.
            inserts: the meshes, converted to the scene's dtype and device; at least one.
            settings: of the ray tracer; there are no gradients.

        Raises:
            ConfigError: there are no meshes.
        """
        if not inserts:
            raise ConfigError("no mesh is inserted; raytrace renders a scene without")
        self.settings = replace(settings, absolute_gradient=False)
        self.inserts = tuple(inserts)
        scene = gaussians.detach()
        counts = [len(insert.vertices) for insert in inserts]
        firsts = [sum(counts[:number]) for number in range(len(counts))]
        self._vertices = torch.cat([insert.vertices.to(scene.means) for insert in inserts])
        shifted = [
            insert.faces.to(scene.means.device) + first for insert, first in zip(inserts, firsts, strict=True)
        ]
        self._faces = torch.cat(shifted)
        self._owner = torch.cat([faces.new_full((len(faces),), n) for n, faces in enumerate(shifted)])
        # In float64, as the normals of small faces are small.
        fine = self._vertices.double()
        self._normals = corner_normals(fine, self._faces).to(scene.means)
        flat = torch.nn.functional.normalize(face_normals(fine, self._faces), dim=-1, eps=1e-300)
        self._flat = flat.to(scene.means)
        solid = [
            faces for insert, faces in zip(inserts, shifted, strict=True) if insert.material == "diffuse"
        ]
        if solid:
            scene = shadowed(scene, self._vertices, torch.cat(solid))
        self.gaussians = scene
        self._shape = (scene.means, scene.quats, scene.scales, scene.opacities)
        self._tree = Hierarchy.build(*self._shape)
        self._lights = [self._light(insert, faces) for insert, faces in zip(inserts, shifted, strict=True)]

    @torch.no_grad()
    def render(self, rays: Rays | Camera) -> Render:
        """Render the scene with its meshes.

        Pixels that hit no mesh are those of ``raytrace``; in the others alpha is 1, and the depth is that of
        the Gaussians in front, blended with that of the mesh.

        Args:
            rays: rays, or a camera with any lens.

        Returns:
            Render, as of ``raytrace``.

        Gradients: none.
        """
        like = self.gaussians.means
        render = raytrace(self.gaussians, rays, self.settings)
        camera = rays if isinstance(rays, Camera) else None
        rays = camera_rays(rays, like=like) if isinstance(rays, Camera) else rays
        directions = rays.directions.to(like).reshape(-1, 3)
        origins = rays.origins.to(like).expand_as(rays.directions).reshape(-1, 3)
        m = len(directions)
        limits = limits_of(self.settings, like, origins if rays.viewpoint is None else rays.viewpoint)
        near_far = [float(limit) for limit in limits]
        near, far = (like.new_full((m,), limit) for limit in near_far)
        hits = mesh_hits(self._vertices, self._faces, origins, directions, near, far)
        met = (hits.face >= 0).nonzero().squeeze(1)
        unit = torch.nn.functional.normalize(directions[met], dim=1)
        paths = Paths(origins[met], unit, near[met], unit.new_ones(len(met), 3), _numbers(met))
        image, covered, distance = self._follow(paths, near_far[1], rays.viewpoint)
        whole = [render.image.reshape(-1, 3).clone(), render.alpha.reshape(-1).clone()]
        whole[0][met], whole[1][met] = image, 1.0
        depth = None
        if render.depth is not None:
            depth = render.depth.reshape(-1).clone()
            along = pixel_directions(camera, like=like)[..., 2].reshape(-1)[met] if camera else 1.0
            depth[met] = (distance + (1 - covered) * hits.distance[met]) * along
            depth = depth.reshape(rays.shape)
        return replace(
            render, image=whole[0].reshape(*rays.shape, 3), alpha=whole[1].reshape(rays.shape), depth=depth
        )

    def _trace(
        self, paths: Paths, far: Tensor, viewpoint: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Colours [p, 3], alpha [p] and distances [p] of Gaussians along paths up to ``far`` [p], over
        black."""
        viewpoint = None if viewpoint is None else viewpoint.to(self.gaussians.means)
        features, degree = colours_of_rays(self.gaussians, self.settings, viewpoint)
        return trace_rays(
            *self._shape, features, paths.origins, paths.directions, features.new_zeros(3),
            near=paths.near, far=far, degree=degree, hierarchy=self._tree,
        )  # fmt: skip

    def _follow(
        self, paths: Paths, farthest: float, viewpoint: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Colours [p, 3] of paths; of their first segments, alpha [p] and the weighted distances [p]."""
        background = paths.near.new_tensor(self.settings.background)
        image = torch.zeros_like(paths.directions)
        first: tuple[Tensor, Tensor] | None = None
        for depth in range(DEPTH + 1):
            far = torch.full_like(paths.near, farthest)
            hits = mesh_hits(self._vertices, self._faces, paths.origins, paths.directions, paths.near, far)
            met = (hits.face >= 0) & (depth < DEPTH)
            seen, alpha, distance = self._trace(
                paths, torch.where(met, hits.distance, far), None if depth else viewpoint
            )
            first = first or (alpha, distance)
            left = paths.weights * (1 - alpha)[:, None]
            seen = paths.weights * seen + torch.where(met[:, None], 0.0, left * background)
            image.index_add_(0, paths.pixels, seen)
            go = (met & (left.amax(1) > _LEAST_WEIGHT)).nonzero().squeeze(1)
            if not len(go):
                break
            paths = self._next(
                paths.of(go)._replace(weights=left[go]),
                hits.face[go],
                hits.distance[go],
                hits.corners[go],
                image,
            )
        assert first is not None
        return image, *first

    def _next(self, paths: Paths, face: Tensor, distance: Tensor, corners: Tensor, image: Tensor) -> Paths:
        """Paths that continue from the surfaces hit; the light of diffuse surfaces is added to ``image``."""
        u, v = corners.T[..., None]
        weighted = self._normals[face] * torch.stack([1 - u - v, u, v], dim=1)
        found = surfaces(paths, self._flat[face], weighted.sum(1))
        owner, continued = self._owner[face], []
        for number, insert in enumerate(self.inserts):
            rows = (owner == number).nonzero().squeeze(1)
            if not len(rows):
                continue
            own, surface = paths.of(rows), type(found)(*(t[rows] for t in found))
            tint = own.weights.new_tensor(
                insert.colour or ((0.8,) * 3 if insert.material == "diffuse" else (1.0,) * 3)
            )
            light = self._lights[number]
            if light is not None:
                image.index_add_(0, own.pixels, own.weights * lit(light, surface.normals, tint))
                continue
            index = insert.index if insert.material == "glass" else None
            continued += scattered(own._replace(weights=own.weights * tint), surface, distance[rows], index)
        joined = Paths(*map(torch.cat, zip(*continued, strict=True))) if continued else paths.of(face[:0])
        return joined.of((joined.weights.amax(1) > _LEAST_WEIGHT).nonzero().squeeze(1))

    def _light(self, insert: Insert, faces: Tensor) -> Tensor | None:
        """The light on a diffuse mesh, as of ``light_of``."""
        if insert.material != "diffuse":
            return None
        used = self._vertices[faces].reshape(-1, 3)
        low, high = used.amin(0), used.amax(0)
        directions = sphere_directions(LIGHT_RAYS, used)
        near = (0.5 * (high - low).norm()).expand(LIGHT_RAYS).clone()
        origins = (0.5 * (low + high)).expand_as(directions).clone()
        paths = Paths(origins, directions, near, directions, _numbers(directions))
        _, far = limits_of(self.settings, self.gaussians.means, origins)
        far = near.new_full((LIGHT_RAYS,), max(float(far), 2 * float(near[0])))
        seen, alpha, _ = self._trace(paths, far)
        return light_of(seen + (1 - alpha)[:, None] * near.new_tensor(self.settings.background), directions)
