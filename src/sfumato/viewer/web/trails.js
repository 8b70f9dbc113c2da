// Trails of picked Gaussians over time: the past is solid, the future is faint.
import { manifest } from "./data.js";
import { isGone } from "./edits.js";
import { cropNow } from "./look.js";
import { motionNow } from "./moving.js";
import { placeAt, placeAtStep } from "./poses.js";
import { camera, size } from "./stage.js";
import { shown, world } from "./world.js";

// Distinguishable on any background, also for colour-blind people.
const COLOURS = ["#ffd166", "#4cc9f0", "#ff7aa8", "#7ae582", "#c8a2ff", "#ff9f5a"];
// A click picks the Gaussian under it, or else the nearest one within a larger distance.
const UNDER_PX = 7;
const NEAR_PX = 40;
const LEAST_OPACITY = 0.3;

let wanted = false;
let picked = [];
let count = 0;

/** Whether clicks pick Gaussians. */
export function isTrailing() {
  return wanted;
}

/** Switch picking and trails on or off. */
export function setTrailing(on) {
  wanted = on;
}

/** Whether there are trails to draw. */
export function hasTrails() {
  return wanted && picked.length > 0;
}

/** The indices of the picked Gaussians, among the moving ones. */
export function pickedNow() {
  return picked.map(({ index }) => index);
}

/** Remove all trails; returns whether there were any. */
export function clearTrails() {
  const had = hasTrails();
  picked = [];
  return had;
}

function onScreen(place) {
  const [width, height] = size();
  const p = shown(place).project(camera);
  return p.z > 1 || p.z < -1 ? null : [((p.x + 1) / 2) * width, ((1 - p.y) / 2) * height, p.z];
}

function isInside(place, crop) {
  return !crop || place.every((v, i) => v >= crop.low[i] && v <= crop.high[i]);
}

/** The foremost moving Gaussian under a point of the window, or else the nearest one: { index, place }, or null. */
export function movingAt(x, y, reach = NEAR_PX) {
  const motion = motionNow();
  if (!motion) return null;
  const { poses, opacities, moment } = motion;
  const [matrix, place, crop] = [shownMatrix(), [0, 0, 0], cropNow()];
  const [width, height] = size();
  let [under, near] = [null, null];
  let [front, least] = [Infinity, reach];
  for (let index = 0; index < poses.count; index++) {
    if (opacities[index] < LEAST_OPACITY || !placeAt(poses, moment, index, place)) continue;
    const [a, b, w] = clip(matrix, place);
    if (w <= camera.near) continue;
    const away = Math.hypot(((a / w + 1) / 2) * width - x, ((1 - b / w) / 2) * height - y);
    if (away >= least && (away > UNDER_PX || w >= front)) continue;
    if (!isInside(place, crop) || isGone(manifest.motion.still + index)) continue;
    if (away <= UNDER_PX && w < front) [under, front] = [{ index, place: [...place] }, w];
    if (away < least) [near, least] = [{ index, place: [...place] }, away];
  }
  return under ?? near;
}

/** The projection from the scene's frame to clip space, as sixteen numbers by columns. */
function shownMatrix() {
  const upright = new vendor.Matrix4().makeRotationFromQuaternion(world.quaternion);
  return camera.projectionMatrix.clone().multiply(camera.matrixWorldInverse).multiply(upright).elements;
}

function clip(m, [x, y, z]) {
  const row = (i) => m[i] * x + m[4 + i] * y + m[8 + i] * z + m[12 + i];
  return [row(0), row(1), row(3)];
}

/** Pick the moving Gaussian at a point of the window; returns whether there is one. */
export function pickTrail(x, y) {
  const found = movingAt(x, y);
  if (!found) return false;
  const colour = COLOURS[count++ % COLOURS.length];
  picked = [...picked.filter(({ index }) => index !== found.index), { index: found.index, colour }].slice(-COLOURS.length);
  return true;
}

/** Draw the trails on a 2D context with window coordinates. */
export function drawTrails(brush) {
  const motion = hasTrails() ? motionNow() : null;
  if (!motion) return;
  brush.save();
  brush.lineCap = brush.lineJoin = "round";
  for (const { index, colour } of picked) drawTrail(brush, motion, index, colour);
  brush.restore();
}

function drawTrail(brush, { poses, moment, known }, index, colour) {
  const at = (step) => {
    const place = [0, 0, 0];
    return placeAtStep(poses, step, index, place) ? onScreen(place) : null;
  };
  const here = [0, 0, 0];
  const now = placeAt(poses, moment, index, here) ? onScreen(here) : null;
  const past = [];
  const future = [now];
  for (let step = 0; step < known; step++) (step <= moment.step ? past : future).push(at(step));
  past.push(now);
  stroke(brush, future, colour, 1.6, 0.4);
  stroke(brush, past, "#000", 4.4, 0.35);
  stroke(brush, past, colour, 2.4, 1);
  if (now) dot(brush, now, colour);
}

/** Draw a line through points, with gaps at missing points. */
function stroke(brush, points, colour, width, alpha) {
  brush.globalAlpha = alpha;
  brush.strokeStyle = colour;
  brush.lineWidth = width;
  brush.beginPath();
  let broken = true;
  for (const point of points) {
    if (point) brush[broken ? "moveTo" : "lineTo"](point[0], point[1]);
    broken = !point;
  }
  brush.stroke();
}

function dot(brush, [x, y], colour) {
  brush.globalAlpha = 1;
  for (const [radius, fill] of [[6, "rgb(0 0 0 / 55%)"], [4.6, "#fff"], [3.4, colour]]) {
    brush.fillStyle = fill;
    brush.beginPath();
    brush.arc(x, y, radius, 0, 2 * Math.PI);
    brush.fill();
  }
}
