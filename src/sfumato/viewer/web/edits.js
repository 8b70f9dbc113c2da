// Selected and deleted splats in the page, with a history for undo, and the edits as a script. In dynamic scenes,
// splats are selected at one step and edited at all times, as by `sfumato edit --at`.
import { manifest } from "./data.js";
import { setStates, SIGNS } from "./look.js";
import { motionNow } from "./moving.js";
import { placeAt } from "./poses.js";
import { inRegion } from "./regions.js";
import { hasStage, splats } from "./stage.js";
import { hasTime, setTime, stopAtStep } from "./time.js";

const SELECTED = 1;
const GONE = 2;
// Number of undo states, each of one byte per Gaussian.
const MOST_STATES = 50;
// The maximum nesting depth of scripts, minus the levels around a selection.
const DEEPEST = 90;

let places = null;
let states = [];
let at = 0;
let version = 0;
const listeners = [];

/** Why selecting is not possible, or null. */
export function whyNoSelecting() {
  if (manifest.streams) return "a streamed scene is not in memory as a whole: edit the file that it was made from";
  if (manifest.live) return "a scene that is still trained changes too often to be edited";
  return hasStage() ? null : "this browser has no WebGL 2, which selections are drawn with";
}

/** Register a listener for changes of the selection or the edits. */
export function onEdits(listener) {
  listeners.push(listener);
}

/** Read the positions of the static splats, once. */
function prepare() {
  if (places) return true;
  const mesh = splats();
  if (!mesh && !motionNow()) return false;
  const still = mesh?.numSplats ?? 0;
  const count = still + (motionNow()?.poses.count ?? 0);
  places = new Float32Array(3 * count);
  const sign = SIGNS[manifest.scene?.frame];
  mesh?.forEachSplat((index, centre) => {
    for (let axis = 0; axis < 3; axis++) places[3 * index + axis] = sign[axis] * centre.getComponent(axis);
  });
  states = [{ edits: [], where: null, time: null, bytes: new Uint8Array(count) }];
  return true;
}

/**
 * The positions of all splats at the current time. A splat that does not exist then is where its leader is, as in
 * edit/leaders.py; not a number if it has none that exists.
 */
function placesNow() {
  const motion = motionNow();
  if (!motion) return places;
  const { poses, moment } = motion;
  const leaders = leadersOf(poses.count);
  const place = [0, 0, 0];
  for (let index = 0, at = places.length - 3 * poses.count; index < poses.count; index++, at += 3) {
    let leader = index;
    while (leader >= 0 && !placeAt(poses, moment, leader, place)) leader = leaders[leader];
    places.set(leader >= 0 ? place : [NaN, NaN, NaN], at);
  }
  return places;
}

/** The leader of each moving splat, -1 for none. */
function leadersOf(count) {
  const found = new Int32Array(count).fill(-1);
  const pairs = manifest.motion?.leaders ?? [];
  for (let i = 0; i < pairs.length; i += 2) found[pairs[i]] = pairs[i + 1];
  return found;
}

/**
 * In a dynamic scene, stop at the step that the next stroke refers to: the nearest one or, if it adds to the
 * selection or subtracts from it, that of the selection. Returns the time gone back to in that case, else null.
 */
export function stopForStroke(how) {
  if (!hasTime) return null;
  const now = stopAtStep();
  const { where, time } = states[at] ?? {};
  if (how === "new" || !where || time === now) return null;
  setTime(time);
  return time;
}

/** Whether a splat is deleted; moving ones are numbered after static ones. */
export function isGone(index) {
  return Boolean(states[at]?.bytes[index] & GONE);
}

function go(to) {
  at = to;
  version++;
  const { bytes } = states[at];
  setStates(bytes.some(Boolean) ? bytes : null);
  for (const listener of listeners) listener();
}

function push(state) {
  states = [...states.slice(0, at + 1), state].slice(-MOST_STATES);
  go(states.length - 1);
}

/** Undo or redo a number of changes. */
export function step(by) {
  const to = Math.max(0, Math.min(states.length - 1, at + by));
  if (states.length && to !== at) go(to);
}

/** Numbers of selected, remaining and all Gaussians, and whether undo and redo are possible. */
export function editsNow() {
  const { edits, where, time, bytes } = states[at] ?? { edits: [], where: null, time: null, bytes: [] };
  let [selected, left] = [0, 0];
  for (const byte of bytes) {
    selected += byte & SELECTED;
    left += byte & GONE ? 0 : 1;
  }
  return { edits, where, time, selected, left, all: bytes.length, canUndo: at > 0, canRedo: at < states.length - 1 };
}

/** Changes whenever the edits do. */
export function editsVersion() {
  return version;
}

/** The edits so far, in the format of scripts. */
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

/** Select a region: as a "new" selection, or "add" it to or "subtract" it from the last one; returns success. */
export function selectRegion(region, how) {
  if (!prepare()) return false;
  const { edits, where, bytes } = states[at];
  const time = hasTime ? stopAtStep() : null;
  const inside = inRegion(region, placesNow());
  const next = bytes.map((byte, i) => {
    if (byte & GONE) return byte;
    if (how === "new") return inside[i];
    return how === "add" ? byte | inside[i] : byte & ~inside[i];
  });
  let wanted = region;
  if (where && how === "add") wanted = joined("or", where, region);
  else if (how === "subtract") wanted = where && joined("and", where, negated(region));
  if (wanted && depth(wanted) > DEEPEST) return false;
  push({ edits, where: wanted, time, bytes: next });
  return true;
}

/** Invert the selection. */
export function invert() {
  if (!prepare()) return;
  if (states[at].where) stopForStroke("add");
  const time = hasTime ? stopAtStep() : null;
  const { edits, where, bytes } = states[at];
  // The inverse of an empty selection is everything; in a script: all opacities.
  const wanted = where ? negated(where) : { opacity: { low: 0 } };
  const now = placesNow();
  const turned = (byte, i) => (byte & GONE || Number.isNaN(now[3 * i]) ? byte : byte ^ SELECTED);
  push({ edits, where: wanted, time, bytes: bytes.map(turned) });
}

/** Clear the selection. */
export function selectNothing() {
  if (!states[at]?.where) return;
  const { edits, bytes } = states[at];
  push({ edits, where: null, time: null, bytes: bytes.map((byte) => byte & GONE) });
}

/** "delete" the selection, or "keep" only the selection. */
export function apply(what) {
  const now = editsNow();
  if (!now.where || !now.selected) return;
  const { edits, where, time, bytes } = states[at];
  const goes = what === "delete" ? SELECTED : 0;
  const next = bytes.map((byte) => (byte & GONE || (byte & SELECTED) === goes ? GONE : 0));
  const edit = time === null ? { do: what, where } : { do: what, at: time, where };
  push({ edits: [...edits, edit], where: null, time: null, bytes: next });
}
