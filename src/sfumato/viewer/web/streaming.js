// Streamed scenes: files at several levels of detail, loaded as the view needs them, and exchanged smoothly.
import { manifest, readBytes } from "./data.js";
import { choose, distanceTo, partsOf, sizesOfFiles } from "./detail.js";
import { fadingModifier, makeFades, setFadeOf } from "./fades.js";
import { lookModifiers, takeSample } from "./look.js";
import { camera, hideSplats, showSplats, size, touch } from "./stage.js";
import { inScene, shown } from "./world.js";
import { zipped } from "./zip.js";

/** Whether the scene is streamed. */
export const isStreamed = Boolean(manifest.streams);

const FRAME = "rdf";
// Files that are loaded at the same time, and after how long the view is looked at again.
const AT_A_TIME = 2;
const EVERY_MS = 200;
// A finer level appears in this time, and then the coarser one disappears in the same.
const FADE_S = 0.3;
// Gaussians in memory: of phones, of machines with little memory, and of others.
const BUDGETS = { phone: 800_000, small: 1_500_000, large: 2_500_000 };

let budget = budgetOfDevice();
let index = null;
let parts = [];
let sizes = [];
let wanted = { levels: [], files: new Set() };
// By number of the file: { mesh, fades, count }, or null while it is loaded.
const files = new Map();
const failed = new Set();
let loading = 0;
let checked = -Infinity;
let looked = "";

function budgetOfDevice() {
  if (matchMedia("(pointer: coarse)").matches) return BUDGETS.phone;
  return (navigator.deviceMemory ?? 8) < 8 ? BUDGETS.small : BUDGETS.large;
}

/** Set the most Gaussians in memory. */
export function setBudget(count) {
  budget = count;
  looked = "";
}

/** What is loaded and shown, for tests and the console. */
export function streamNow() {
  const resident = [...files.values()].filter(Boolean);
  const drawn = parts.map((part) => part.level ?? null);
  return {
    budget, parts: parts.length, files: resident.length, loading, fading: parts.filter((part) => part.share < 1).length,
    resident: resident.reduce((sum, { count }) => sum + count, 0), levels: drawn, wanted: wanted.levels,
    drawn: parts.reduce((sum, part) => sum + (part.level === undefined ? 0 : part.pieces[part.level].count), 0),
  };
}

/** Load the description and the coarsest level; resolves when this can be drawn. */
export async function openStream(onProgress) {
  index = JSON.parse(new TextDecoder().decode(await readBytes(manifest.streams.name)));
  parts = partsOf(index);
  sizes = sizesOfFiles(parts, index.filenames.length);
  wanted = { levels: parts.map((part) => part.levels[0]), files: new Set(parts.map((part) => part.pieces[part.levels[0]].file)) };
  const first = [...wanted.files];
  let done = 0;
  for (const file of first) {
    await load(file, done ? undefined : "still");
    onProgress(++done / first.length);
  }
  if (index.environment) await showSplats(await readChunk(index.environment), "pcsogszip", lookModifiers(FRAME), "environment");
  for (const part of parts) exchange(part, Infinity);
}

/** The files of an unbundled scene, as one archive. */
async function readChunk(name) {
  const folder = name.slice(0, name.lastIndexOf("/") + 1);
  const meta = await readBytes(addressOf(name));
  const described = JSON.parse(new TextDecoder().decode(meta));
  const names = Object.values(described).flatMap((part) => part?.files ?? []);
  const pictures = await Promise.all(names.map((picture) => readBytes(addressOf(folder + picture))));
  return zipped({ "meta.json": meta, ...Object.fromEntries(names.map((picture, i) => [picture, pictures[i]])) });
}

const addressOf = (name) => name.split("/").map(encodeURIComponent).join("/");

async function load(file, name = `file-${file}`) {
  files.set(file, null);
  loading++;
  try {
    const fades = makeFades(sizes[file]);
    const archive = await readChunk(index.filenames[file]);
    const mesh = await showSplats(archive, "pcsogszip", [...lookModifiers(FRAME), fadingModifier(fades)], name);
    if (name === "still") takeSample(mesh, FRAME);
    files.set(file, { mesh, fades, name, count: mesh.numSplats, used: performance.now() });
  } catch (error) {
    // It is not asked for again: the coarser level stays.
    files.delete(file);
    failed.add(file);
    if (name === "still") throw error;
    console.error(`${index.filenames[file]} cannot be loaded: ${error.message ?? error}`);
  } finally {
    loading--;
  }
}

/** What the camera sees of each part: distance, and whether it is in the picture. */
function look() {
  const eye = inScene(camera.position).toArray();
  const forward = new vendor.Vector3(0, 0, -1).applyQuaternion(camera.quaternion);
  const [width, height] = size();
  const focal = (camera.projectionMatrix.elements[5] * height) / 2;
  const spread = Math.atan(Math.hypot(width, height) / (2 * focal));
  const seen = parts.map((part) => {
    const away = shown(part.middle).sub(camera.position);
    const beside = Math.asin(Math.min(part.size / 2 / Math.max(away.length(), 1e-9), 1));
    return { distance: distanceTo(part, eye), inPicture: away.angleTo(forward) < spread + beside };
  });
  return { seen, focal };
}

/** Load, exchange and forget as the view needs it; called for each frame. */
export function followStream(seconds, now) {
  if (!index || !parts.length) return;
  const view = [...camera.position.toArray(), ...camera.quaternion.toArray(), ...size()].join();
  if (now - checked > EVERY_MS && (view !== looked || loading < AT_A_TIME)) {
    checked = now;
    if (view !== looked) wanted = { ...wanted, ...chosen() };
    looked = view;
    loadNext();
    forget(now);
  }
  for (const part of parts) exchange(part, seconds);
}

function chosen() {
  const { seen, focal } = look();
  return { ...choose(parts, sizes, seen, focal, budget), seen };
}

/** Start to load what is missing, the nearest part in the picture first. */
function loadNext() {
  const nearness = new Map();
  parts.forEach((part, i) => {
    const { file } = part.pieces[wanted.levels[i]];
    if (files.has(file) || failed.has(file)) return;
    const { distance, inPicture } = wanted.seen?.[i] ?? { distance: 0, inPicture: true };
    nearness.set(file, Math.min(nearness.get(file) ?? Infinity, distance + (inPicture ? 0 : 1e12)));
  });
  const missing = [...nearness].sort((a, b) => a[1] - b[1]).map(([file]) => file);
  while (loading < AT_A_TIME && missing.length) load(missing.shift());
}

/** Remove files that are neither wanted nor shown, those first that were so longest, down to the budget. */
function forget(now) {
  const shownFiles = new Set(parts.flatMap((part) => [part.level, part.before].filter((l) => l !== undefined).map((l) => part.pieces[l].file)));
  const idle = [];
  let resident = 0;
  for (const [file, one] of files) {
    if (!one) continue;
    resident += one.count;
    if (wanted.files.has(file) || shownFiles.has(file)) one.used = now;
    else idle.push(file);
  }
  idle.sort((a, b) => files.get(a).used - files.get(b).used);
  for (const file of idle) {
    if (resident <= budget) return;
    resident -= files.get(file).count;
    hideSplats(files.get(file).name);
    files.get(file).fades.texture.dispose();
    files.delete(file);
  }
}

/** The best level of a part that is loaded: the target level, else the shown one, else the next coarser, else any. */
function bestLevel(part, target) {
  const there = part.levels.filter((level) => files.get(part.pieces[level].file));
  if (there.includes(target)) return target;
  if (part.level < target && there.includes(part.level)) return part.level;
  return there.findLast((level) => level >= target) ?? there[0];
}

/** Change the level of a part step by step: first the new one appears, then the one before disappears. */
function exchange(part, seconds) {
  if (part.share === undefined || part.share >= 1) {
    const next = bestLevel(part, wanted.levels[parts.indexOf(part)]);
    if (next === undefined || next === part.level) return;
    [part.before, part.level, part.share] = [part.level, next, 0];
  }
  part.share = Math.min(part.share + seconds / (2 * FADE_S), 1);
  setFade(part, part.level, Math.min(2 * part.share, 1));
  if (part.before !== undefined) setFade(part, part.before, Math.min(2 - 2 * part.share, 1));
  if (part.share >= 1) part.before = undefined;
  touch();
}

function setFade(part, level, share) {
  const { file, offset, count } = part.pieces[level];
  const one = files.get(file);
  setFadeOf(one.fades, offset, count, share);
  one.mesh.updateVersion();
}

/** Resolves when everything that the view needs is loaded and shown. */
export async function streamSettled() {
  for (let calm = 0; index && calm < 3; ) {
    await new Promise((done) => setTimeout(done, EVERY_MS));
    const { levels, fading } = streamNow();
    const done = levels.every((level, i) => level === wanted.levels[i] || failed.has(parts[i].pieces[wanted.levels[i]].file));
    calm = done && !loading && !fading ? calm + 1 : 0;
  }
}
