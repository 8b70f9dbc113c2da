// Rendering with three.js and Spark, whenever something has changed.
import { manifest, readBytes } from "./data.js";
import { setLens } from "./lens.js";
import { world } from "./world.js";

const canvas = document.getElementById("stage");
// Phones have so many and such small pixels that rendering at full resolution is not worth it.
const MAX_RATIO = matchMedia("(pointer: coarse)").matches ? 1.5 : 2;
// While the view moves, the resolution may be reduced to keep up.
const SLOW_MS = 45;
const FAST_MS = 14;
const COARSEST = 0.3;

export const camera = new vendor.PerspectiveCamera();
const scene = new vendor.Scene();
let renderer = null;
let spark = null;
// Meshes by name: "still" and "moving".
const meshes = new Map();
let dirty = true;
let draws = false;
let background = manifest.background;
let coarse = 1;
let isCoarse = false;
const times = [];

/** Create the renderer; throws if there is no WebGL 2. */
export function openStage() {
  renderer = new vendor.WebGLRenderer({ canvas, antialias: false, preserveDrawingBuffer: true });
  setBackground(background);
  spark = new vendor.SparkRenderer({
    renderer,
    onDirty: touch,
    accumExtSplats: true,
    // As in our own renderer: alpha below 1/255 is dropped, blur is 0.3 square pixels, order is by depth.
    maxStdDev: Math.sqrt(2 * Math.log(255)),
    minAlpha: 1 / 255,
    preBlurAmount: manifest.antialiased ? 0 : 0.3,
    blurAmount: manifest.antialiased ? 0.3 : 0,
    maxPixelRadius: 2048,
    sortRadial: false,
  });
  scene.add(spark, world);
  camera.matrixAutoUpdate = true;
  addEventListener("resize", resize);
  draws = true;
  resize();
}

/** Whether this page can draw the scene itself. */
export function hasStage() {
  return renderer !== null;
}

/** Whether it currently draws the scene. */
export function isDrawing() {
  return draws;
}

/** Switch the drawing of the scene on or off. */
export function setDrawing(wanted) {
  draws = wanted && renderer !== null;
  times.length = 0;
  touch();
}

/** Request a redraw. */
export function touch() {
  dirty = true;
}

/** Set the background colour, three numbers in sRGB. */
export function setBackground(rgb) {
  background = rgb;
  renderer?.setClearColor(new vendor.Color().setRGB(...rgb, vendor.SRGBColorSpace), 1);
  touch();
}

export function backgroundNow() {
  return background;
}

/** The picture as PNG: as shown, or of another size with its lens; null if that is too large. */
export async function picture(sides, lens) {
  const toBlob = () => new Promise((done) => canvas.toBlob(done));
  if (!sides) {
    await settled();
    return toBlob();
  }
  const before = camera.projectionMatrix.clone();
  renderer.setPixelRatio(1);
  renderer.setSize(...sides, false);
  setLens(camera, lens);
  renderer.render(scene, camera);
  // Read immediately, because the next frame has the window's size again.
  const made = toBlob();
  camera.projectionMatrix.copy(before);
  camera.projectionMatrixInverse.copy(before).invert();
  resize();
  return made;
}

function resize() {
  if (!renderer) return;
  renderer.setPixelRatio(Math.min(devicePixelRatio, MAX_RATIO) * (isCoarse ? coarse : 1));
  renderer.setSize(innerWidth, innerHeight, false);
  touch();
}

export function size() {
  return [innerWidth, innerHeight];
}

/** The mesh of the static splats, or of another name. */
export function splats(name = "still") {
  return meshes.get(name);
}

/** All meshes of splats. */
export function allSplats() {
  return [...meshes.values()];
}

/** Load splats with `modifiers` and show them in place of the previous mesh of that name. */
export async function showScene(source, modifiers, onProgress, name = "still") {
  const bytes = await readBytes(source.name, onProgress);
  const mesh = await showSplats(bytes, source.type, modifiers, name);
  if (source.frame === "rub") mesh.quaternion.set(1, 0, 0, 0);
  return mesh;
}

/** The same of the bytes of a file, with the scene's axes. */
export async function showSplats(fileBytes, fileType, objectModifiers, name) {
  const next = new vendor.SplatMesh({ fileBytes, fileType, extSplats: true, objectModifiers });
  await next.initialized;
  const last = meshes.get(name);
  world.add(next);
  meshes.set(name, next);
  if (last) {
    world.remove(last);
    last.dispose();
  }
  touch();
  return next;
}

/** Remove a mesh. */
export function hideSplats(name) {
  const mesh = meshes.get(name);
  world.remove(mesh);
  mesh.dispose();
  meshes.delete(name);
  touch();
}

// State of a headset: its parent object, and the view before. Speed by its thumbsticks, metres per second.
const rig = new vendor.Group();
const STICK_SPEED = 1.5;
let wasAt = null;

/** Render to a headset, starting at the current view, with the given units per metre. */
export async function present(session, units) {
  wasAt = { position: camera.position.clone(), quaternion: camera.quaternion.clone() };
  const ahead = new vendor.Vector3(0, 0, -1).applyQuaternion(camera.quaternion);
  rig.position.copy(camera.position);
  // Keeps the floor level.
  rig.quaternion.setFromAxisAngle(new vendor.Vector3(0, 1, 0), Math.atan2(-ahead.x, -ahead.z));
  rig.scale.setScalar(units);
  scene.add(rig);
  rig.add(camera);
  camera.position.set(0, 0, 0);
  camera.quaternion.identity();
  renderer.xr.enabled = true;
  renderer.xr.setReferenceSpaceType("local");
  await renderer.xr.setSession(session);
}

/** Return to rendering to the window, with the previous view. */
export function stopPresenting() {
  renderer.xr.enabled = false;
  rig.remove(camera);
  scene.remove(rig);
  camera.position.copy(wasAt.position);
  camera.quaternion.copy(wasAt.quaternion);
  camera.updateMatrixWorld(true);
  resize();
}

/** Move by the thumbsticks of the headset's controllers. */
function followSticks(seconds) {
  for (const { gamepad } of renderer.xr.getSession()?.inputSources ?? []) {
    const [x, y] = gamepad?.axes.slice(-2) ?? [0, 0];
    const way = new vendor.Vector3(x, 0, y).applyQuaternion(camera.quaternion).setY(0).applyQuaternion(rig.quaternion);
    rig.position.addScaledVector(way, STICK_SPEED * seconds * rig.scale.x);
  }
}

/** Run `update(seconds)` before each frame; it returns whether the view moves. */
export function run(update) {
  let before = performance.now();
  let quiet = 0;
  const frame = (now) => {
    const seconds = Math.min((now - before) / 1000, 0.25);
    if (renderer?.xr.isPresenting) {
      followSticks(seconds);
      renderer.render(scene, camera);
      before = now;
      return;
    }
    const moves = update(seconds);
    quiet = moves ? 0 : quiet + 1;
    setCoarse(draws && (moves || (isCoarse && quiet < 12)));
    if (draws && (moves || dirty)) {
      dirty = false;
      renderer.render(scene, camera);
      if (moves) noteTime(now - before);
    } else {
      times.length = 0;
    }
    before = now;
  };
  if (renderer) {
    renderer.setAnimationLoop(frame);
    return;
  }
  const again = (now) => {
    frame(now);
    requestAnimationFrame(again);
  };
  requestAnimationFrame(again);
}

function noteTime(ms) {
  times.push(ms);
  if (times.length > 40) times.shift();
  if (ms > 4 * SLOW_MS && coarse > COARSEST) {
    setLevel(coarse * 0.6);
    return;
  }
  if (times.length < 6) return;
  const mean = times.slice(-6).reduce((sum, t) => sum + t, 0) / 6;
  if (mean > SLOW_MS && coarse > COARSEST) setLevel(coarse * 0.75);
  else if (mean < FAST_MS && coarse < 1) setLevel(Math.min(coarse * 1.2, 1));
}

function setLevel(level) {
  coarse = Math.max(level, COARSEST);
  times.length = 0;
  if (isCoarse) resize();
}

function setCoarse(wanted) {
  if (wanted === isCoarse) return;
  isCoarse = wanted;
  if (coarse < 1) resize();
}

/** Frames per second while the view moves; 0 at rest. */
export function rate() {
  if (times.length < 3) return 0;
  return (1000 * times.length) / times.reduce((sum, t) => sum + t, 0);
}

/** Resolves when the picture is complete: sorted, drawn, and without pending changes. */
export async function settled() {
  for (let calm = 0; calm < 6; ) {
    await new Promise(requestAnimationFrame);
    calm = draws && (dirty || spark.sorting || spark.dirty || isCoarse) ? 0 : calm + 1;
  }
}
