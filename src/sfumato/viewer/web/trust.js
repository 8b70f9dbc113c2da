// Trust: the expected error of each Gaussian, seen from the visitor's position.
// The formula is that of the library (envelope/trust.py), with constants from the manifest.
import { manifest, readBytes } from "./data.js";
import { setErrors, setFade } from "./look.js";
import { camera, hasStage } from "./stage.js";
import { inScene, radius } from "./world.js";

const told = manifest.trust;
// Milliseconds of work per frame, and the shortest interval between updates of the errors.
const MS_A_FRAME = 4;
const EVERY_MS = 100;
const BLOCK = 1024;
// Errors are not updated if the eye has moved by less than this fraction of the scene's radius.
const STILL = 0.002;
// Colours and fading saturate at this multiple of the error at which fading begins.
const WORST = 3;

const missing = manifest.live ? "where a scene can be trusted is found out after training: sfumato eval RUN --envelope" : (told.missing ?? null);
export const hasTrust = !missing;

/** Why trust cannot be shown, or null. */
export function whyNoTrust() {
  return missing ?? (hasStage() ? null : "this browser has no WebGL 2, which trust is drawn with");
}

const places = (told.places ?? []).map((place) => Float64Array.from(place));
let means = null;
let seen = null;
let terms = null;
let codes = null;

/** Read the trust of a mesh's splats, and their centres in the scene's frame. */
export async function readTrust(mesh, sign) {
  if (!hasTrust) return;
  const n = mesh.numSplats;
  const bytes = await readBytes(told.name);
  if (bytes.length !== 9 * n) throw new Error("trust.npz is of another scene");
  const centres = new Float32Array(3 * n);
  mesh.forEachSplat((index, centre) => {
    for (let axis = 0; axis < 3; axis++) centres[3 * index + axis] = sign[axis] * centre.getComponent(axis);
  });
  seen = new Uint32Array(bytes.buffer, bytes.byteOffset, 2 * n);
  codes = new Uint8Array(bytes.buffer, bytes.byteOffset + 8 * n, n);
  // s ((r + r0)^a (d + d0)^b)^p without the displacement term, for each code.
  const { low, log_step } = told.term;
  terms = Float64Array.from({ length: 256 }, (_, code) => told.scale * (low * Math.exp(code * log_step)) ** told.power);
  means = centres;
  next = new Uint8Array(n);
  restart();
}

/** The number of Gaussians with trust; 0 before they are read. */
export function countOfTrust() {
  return means ? means.length / 3 : 0;
}

/** A sample of their centres in the scene's frame. */
export function someCentres(most) {
  const every = Math.max(1, Math.ceil(countOfTrust() / most));
  return Array.from({ length: Math.floor(countOfTrust() / every) }, (_, k) => [...means.subarray(3 * k * every, 3 * k * every + 3)]);
}

/** Whether the camera at a place has seen a Gaussian. */
export function hasSeen(place, i) {
  return Boolean(seen[2 * i + (place >> 5)] & (1 << (place & 31)));
}

export function placesOfTrust() {
  return places;
}

/** Precomputed data for displacements from a place [3]: the places of the cameras, nearest first. */
export function seenFrom([x, y, z]) {
  const order = places.map((place, number) => ({ place, number, shift: Math.hypot(place[0] - x, place[1] - y, place[2] - z) }));
  order.sort((a, b) => a.shift - b.shift);
  return { x, y, z, order };
}

/** Displacement of a Gaussian from the nearest view that has seen it. */
export function displacement(i, { x, y, z, order }) {
  const [mx, my, mz] = [means[3 * i], means[3 * i + 1], means[3 * i + 2]];
  const here = Math.max(Math.sqrt((mx - x) ** 2 + (my - y) ** 2 + (mz - z) ** 2), 1e-30);
  const [first, second] = [seen[2 * i], seen[2 * i + 1]];
  let best = told.displacement.farthest;
  for (let k = 0; k < order.length; k++) {
    const { place, number, shift } = order[k];
    // The places that follow cannot be nearer.
    if (shift >= best * here) break;
    if (!((number < 32 ? first : second) & (1 << (number & 31)))) continue;
    const there = Math.sqrt((mx - place[0]) ** 2 + (my - place[1]) ** 2 + (mz - place[2]) ** 2);
    const away = shift / Math.max(Math.min(here, there), 1e-30);
    if (away < best) best = away;
  }
  return best;
}

function errorOf(i, from) {
  const { offset, exponent } = told.displacement;
  return Math.min(terms[codes[i]] * (displacement(i, from) + offset) ** (exponent * told.power), 1);
}

let colours = false;
let fades = hasTrust;
let next = null;
let at = 0;
let from = null;
let beganAt = -Infinity;
let spentMs = 0;
let lastMs = null;
let isFresh = false;

function restart() {
  from = null;
  isFresh = false;
  beganAt = -Infinity;
  setFade(means && fades ? 1 / WORST : null);
}

/** Fade untrusted Gaussians, or show everything. */
export function setFading(wanted) {
  fades = wanted && hasTrust;
  restart();
}

export function isFading() {
  return fades;
}

/** Show the errors as colours, or not. */
export function setTrustColours(wanted) {
  if (wanted === colours) return;
  colours = wanted;
  restart();
}

/** Update the errors for the current position, with a few milliseconds of work per frame. */
export function followTrust(now) {
  if (!means || !(colours || fades)) return;
  if (!from) {
    const eye = inScene(camera.position);
    const moved = !lastEye || eye.distanceTo(lastEye) > STILL * radius;
    isFresh = isFresh && !moved;
    if (isFresh || now - beganAt < EVERY_MS) return;
    from = seenFrom(eye.toArray());
    lastEye = eye;
    [at, spentMs, beganAt] = [0, 0, now];
  }
  const began = performance.now();
  const scale = 255 / (WORST * told.fades_from);
  while (at < next.length && performance.now() - began < MS_A_FRAME) {
    const end = Math.min(at + BLOCK, next.length);
    for (; at < end; at++) next[at] = Math.min(errorOf(at, from) * scale + 0.5, 255);
  }
  spentMs += performance.now() - began;
  if (at < next.length) return;
  from = null;
  isFresh = true;
  lastMs = spentMs;
  setErrors(next);
}
let lastEye = null;

/** Milliseconds that the last update of all errors took. */
export function trustMs() {
  return lastMs;
}

/** Resolves when the errors are those for the current position. */
export async function trustSettled() {
  while (means && (colours || fades) && !(isFresh && inScene(camera.position).distanceTo(lastEye) <= STILL * radius)) {
    await new Promise(requestAnimationFrame);
  }
}

const COLOURS = ["#2fa84f", "#f2d64b", "#d7352b"];

/** The legend: [from, gradient, to, the rest]. */
export function trustLegend() {
  const middle = `${(100 / WORST).toFixed(0)}%`;
  const most = WORST * told.fades_from;
  const fading = `fades from ${told.fades_from.toPrecision(2)}`;
  return ["expected error 0", `linear-gradient(90deg,${COLOURS[0]},${COLOURS[1]} ${middle},${COLOURS[2]})`, `${most.toPrecision(2)} and more`, fading];
}
