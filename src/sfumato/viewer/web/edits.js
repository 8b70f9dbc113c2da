// What is selected and what is removed in the page, with every state before, for undo; and the edits as a script.
import { manifest } from "./data.js";
import { setStates, SIGNS } from "./look.js";
import { inRegion } from "./regions.js";
import { hasStage, splats } from "./stage.js";
import { hasTime } from "./time.js";

const SELECTED = 1;
const GONE = 2;
// States that can be gone back to: each takes a byte for each Gaussian.
const MOST_STATES = 50;
// As deep as scripts may be nested, but for what stands around a selection there.
const DEEPEST = 90;

let places = null;
let states = [];
let at = 0;
const listeners = [];

/** Why nothing can be selected here, or null. */
export function whyNoSelecting() {
  if (manifest.live) return "a scene that is still trained changes too often to be edited";
  if (hasTime) return "scenes that move are edited by the command line: sfumato edit --at SECONDS";
  return hasStage() ? null : "this browser has no WebGL 2, which selections are drawn with";
}

/** Be told when the selection or the edits have changed. */
export function onEdits(listener) {
  listeners.push(listener);
}

/** Read where the splats are, at the first time that they are asked for. */
function prepare() {
  const mesh = splats();
  if (places || !mesh) return Boolean(places);
  places = new Float32Array(3 * mesh.numSplats);
  const sign = SIGNS[manifest.scene.frame];
  mesh.forEachSplat((index, centre) => {
    for (let axis = 0; axis < 3; axis++) places[3 * index + axis] = sign[axis] * centre.getComponent(axis);
  });
  states = [{ edits: [], where: null, bytes: new Uint8Array(mesh.numSplats) }];
  return true;
}

function go(to) {
  at = to;
  const { bytes } = states[at];
  setStates(bytes.some(Boolean) ? bytes : null);
  for (const listener of listeners) listener();
}

function push(state) {
  states = [...states.slice(0, at + 1), state].slice(-MOST_STATES);
  go(states.length - 1);
}

/** Undo, or redo, so many changes. */
export function step(by) {
  const to = Math.max(0, Math.min(states.length - 1, at + by));
  if (states.length && to !== at) go(to);
}

/** How things stand: Gaussians selected, left and in all, and which ways one can go. */
export function editsNow() {
  const { edits, where, bytes } = states[at] ?? { edits: [], where: null, bytes: [] };
  let [selected, left] = [0, 0];
  for (const byte of bytes) {
    selected += byte & SELECTED;
    left += byte & GONE ? 0 : 1;
  }
  return { edits, where, selected, left, all: bytes.length, canUndo: at > 0, canRedo: at < states.length - 1 };
}

/** The edits made so far, as a script has them. */
export function editsMade() {
  return states[at]?.edits ?? [];
}

function depth(where) {
  const [[name, inner]] = Object.entries(where);
  if (name === "not") return 1 + depth(inner);
  return name === "and" || name === "or" ? 1 + Math.max(...inner.map(depth)) : 1;
}

const joined = (how, first, second) => ({ [how]: [...(first[how] ?? [first]), second] });
const negated = (where) => where.not ?? { not: where };

/** Select what is in a region: as a "new" selection, or "add" it to the last one, or "subtract" it. Whether it could. */
export function selectRegion(region, how) {
  if (!prepare()) return false;
  const { edits, where, bytes } = states[at];
  const inside = inRegion(region, places);
  const next = bytes.map((byte, i) => {
    if (byte & GONE) return byte;
    if (how === "new") return inside[i];
    return how === "add" ? byte | inside[i] : byte & ~inside[i];
  });
  let wanted = region;
  if (where && how === "add") wanted = joined("or", where, region);
  else if (how === "subtract") wanted = where && joined("and", where, negated(region));
  if (wanted && depth(wanted) > DEEPEST) return false;
  push({ edits, where: wanted, bytes: next });
  return true;
}

/** Select what is not selected. */
export function invert() {
  if (!prepare()) return;
  const { edits, where, bytes } = states[at];
  // Nothing selected is everything after it, as a script says it: all opacities.
  const wanted = where ? negated(where) : { opacity: { low: 0 } };
  push({ edits, where: wanted, bytes: bytes.map((byte) => (byte & GONE ? byte : byte ^ SELECTED)) });
}

/** Select nothing. */
export function selectNothing() {
  if (!states[at]?.where) return;
  const { edits, bytes } = states[at];
  push({ edits, where: null, bytes: bytes.map((byte) => byte & GONE) });
}

/** "delete" what is selected, or "keep" nothing else. */
export function apply(what) {
  const now = editsNow();
  if (!now.where || !now.selected) return;
  const { edits, where, bytes } = states[at];
  const goes = what === "delete" ? SELECTED : 0;
  const next = bytes.map((byte) => (byte & GONE || (byte & SELECTED) === goes ? GONE : 0));
  push({ edits: [...edits, { do: what, where }], where: null, bytes: next });
}
