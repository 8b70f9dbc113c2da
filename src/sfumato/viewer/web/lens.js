// Projections: of free flight, and of a training camera whose picture is fitted into the window.
import { manifest } from "./data.js";
import { radius } from "./world.js";

// Focal length divided by the shorter side of the window: a field of view of 51 degrees.
const FREE_FOCAL = 1.05;
const NEAR = manifest.near ?? 0.003 * radius;
// Spark drops splats beyond the far plane; the sky of a scene is far away.
const FAR = 1e5 * radius;

/**
 * The projection of free flight, as the four numbers that differ between projections: of a vertical field of view in
 * degrees, or the usual one of the window, where null.
 */
export function freeLens(width, height, fov = null) {
  const focal = height / Math.tan(((fov ?? usualFov(width, height)) * Math.PI) / 360);
  return { x: focal / width, y: focal / height, dx: 0, dy: 0 };
}

/**
 * The default vertical field of view in degrees; that of the opening view if one was chosen; a portrait window has that
 * of the photographs.
 */
export function usualFov(width, height) {
  if (manifest.opening?.fov_deg) return manifest.opening.fov_deg;
  const upright = height > width && manifest.fov_deg;
  return upright ? manifest.fov_deg : (360 / Math.PI) * Math.atan(height / (2 * FREE_FOCAL * Math.min(width, height)));
}

/** The place of a picture in the window, as large as it fits between the insets. */
export function fitted([w, h], width, height, inset) {
  const room = [width, Math.max(height - inset.top - inset.bottom, 40)];
  const scale = Math.min(room[0] / w, room[1] / h);
  return {
    scale,
    left: (width - w * scale) / 2,
    top: inset.top + (room[1] - h * scale) / 2,
    width: w * scale,
    height: h * scale,
  };
}

/** The projection for which a training camera's picture fills its place in the window. */
export function cameraLens(camera, place, width, height) {
  const [fx, fy] = camera.focal_px.map((f) => f * place.scale);
  const cx = camera.centre_px[0] * place.scale + place.left;
  const cy = camera.centre_px[1] * place.scale + place.top;
  return { x: (2 * fx) / width, y: (2 * fy) / height, dx: 1 - (2 * cx) / width, dy: (2 * cy) / height - 1 };
}

/** Interpolate between two projections; focal lengths are interpolated geometrically. */
export function mixedLens(from, to, t) {
  const mix = (a, b) => a + (b - a) * t;
  const grow = (a, b) => a * (b / a) ** t;
  return { x: grow(from.x, to.x), y: grow(from.y, to.y), dx: mix(from.dx, to.dx), dy: mix(from.dy, to.dy) };
}

/** Set the projection of a three camera. */
export function setLens(camera, lens) {
  const a = -(FAR + NEAR) / (FAR - NEAR);
  const b = (-2 * FAR * NEAR) / (FAR - NEAR);
  camera.near = NEAR;
  camera.far = FAR;
  // prettier-ignore
  camera.projectionMatrix.set(
    lens.x, 0, lens.dx, 0,
    0, lens.y, lens.dy, 0,
    0, 0, a, b,
    0, 0, -1, 0,
  );
  camera.projectionMatrixInverse.copy(camera.projectionMatrix).invert();
}
