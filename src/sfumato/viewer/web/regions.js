// Regions drawn on the picture, which select centres at any depth. As in edit/outlines.py, in float64 and in the
// same order of operations, so that a script selects what the page shows.
import { whereabouts } from "./motion.js";
import { camera, size } from "./stage.js";

// Numbers are rounded before selecting, so that scripts are readable and select the same.
const PLACES = 9;
const tenths = (value) => Math.round(10 * value) / 10;
const short = (value) => Number(value.toPrecision(PLACES));

/** The current camera in the format of scripts: OpenCV axes, pixels of the window. */
export function pinholeNow() {
  const { position, quaternion } = whereabouts();
  const turn = new vendor.Matrix4().makeRotationFromQuaternion(new vendor.Quaternion(...quaternion)).elements;
  // Columns of the page's axes are x right, y up, z backward.
  const rows = [0, 4, 8].map((at, axis) => [0, 1, 2].map((i) => (axis ? -1 : 1) * turn[at + i]));
  const moved = rows.map((row) => [...row, -row.reduce((sum, value, i) => sum + value * position[i], 0)]);
  const [width, height] = size();
  const m = camera.projectionMatrix.elements;
  return {
    camera_from_world: [...moved.map((row) => row.map(short)), [0, 0, 0, 1]],
    focal_px: [short((m[0] * width) / 2), short((m[5] * height) / 2)],
    centre_px: [short(((1 - m[8]) * width) / 2), short(((1 + m[9]) * height) / 2)],
  };
}

/** A polygon in the picture, in the format of scripts. */
export function polygon(points) {
  return { polygon: { ...pinholeNow(), points_px: points.map((point) => point.map(tenths)) } };
}

/** The stroke of a brush in the picture, in the format of scripts. */
export function brushStroke(points, radius) {
  return { brush: { ...pinholeNow(), radius_px: tenths(radius), points_px: points.map((point) => point.map(tenths)) } };
}

/** 1 for each position (flat x, y, z) in a region, else 0. */
export function inRegion(region, places) {
  const [[name, drawn]] = Object.entries(region);
  const isIn = name === "polygon" ? isInPolygon : isUnderBrush;
  const [a, b, c] = drawn.camera_from_world;
  const [fx, fy] = drawn.focal_px;
  const [cx, cy] = drawn.centre_px;
  const found = new Uint8Array(places.length / 3);
  for (let i = 0, at = 0; i < found.length; i++, at += 3) {
    const [x, y, z] = [places[at], places[at + 1], places[at + 2]];
    const depth = c[0] * x + c[1] * y + c[2] * z + c[3];
    if (!(depth > 0)) continue;
    const u = fx * ((a[0] * x + a[1] * y + a[2] * z + a[3]) / depth) + cx;
    const v = fy * ((b[0] * x + b[1] * y + b[2] * z + b[3]) / depth) + cy;
    if (isIn(u, v, drawn)) found[i] = 1;
  }
  return found;
}

function isInPolygon(x, y, { points_px: points }) {
  let inside = false;
  for (let i = 0; i < points.length; i++) {
    const [ax, ay] = points[i];
    const [bx, by] = points[i + 1 === points.length ? 0 : i + 1];
    if (y < ay !== y < by && x < (bx - ax) * ((y - ay) / (by - ay)) + ax) inside = !inside;
  }
  return inside;
}

function isUnderBrush(x, y, { points_px: points, radius_px: radius }) {
  for (let i = 0; i < Math.max(points.length - 1, 1); i++) {
    const [ax, ay] = points[i];
    const [bx, by] = points[i + 1] ?? points[i];
    const [dx, dy] = [bx - ax, by - ay];
    const along = Math.min(Math.max(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1), 0), 1);
    const [ex, ey] = [x - (ax + along * dx), y - (ay + along * dy)];
    if (ex * ex + ey * ey <= radius * radius) return true;
  }
  return false;
}
