// The exact view: pictures rendered by our own renderer on the server; the only view without WebGL.
import { askForPicture, manifest } from "./data.js";
import { editsVersion } from "./edits.js";
import { cropNow } from "./look.js";
import { place, standingIn, whereabouts } from "./motion.js";
import { backgroundNow, camera, isDrawing, setDrawing, size, touch } from "./stage.js";
import { forgetPosted, postedEdits } from "./posted.js";
import { hasTime, timeNow } from "./time.js";
import { world } from "./world.js";

const canvas = document.getElementById("exact");
const brush = canvas.getContext("2d");
// Time limits for a picture while the view moves, and at rest during training.
const MOVING_S = 0.07;
const TRAINING_S = 0.15;
const LEAST_SCALE = 0.1;
const MOST_PX = 4e6;
const REST_FRAMES = 8;
const RETRY_MS = 400;
// Fraction of the training time used for pictures at rest. It is less than the server grants, so that the
// remainder accumulates for when the view moves.
const TRAINING_SHARE = 0.025;
const LEAST_EVERY_MS = 1000;

let wanted = false;
let mode = "colour";
let marked = false;
let trainingState = null;
let flight = null;
let shownKey = "";
let quiet = 0;
let secondsPerPx = 4e-7;
let last = null;
let retryAt = 0;
let isCurrent = false;
let saysTrouble = () => {};

/** Whether there is a server that renders. */
export const isOffered = Boolean(manifest.exact);

/** Whether the exact view is shown. */
export function isExact() {
  return wanted;
}

/** Set the function that reports missing pictures. */
export function onTrouble(say) {
  saysTrouble = say;
}

/** Switch between pictures of our own renderer and those of the page. */
export function setExact(on) {
  wanted = on && isOffered;
  document.body.classList.toggle("exact", wanted);
  setDrawing(!wanted);
  shownKey = "";
  last = null;
  if (!wanted) {
    flight?.stop.abort();
    canvas.width = 0;
  }
  touch();
}

/** Set the mode, and whether floaters are highlighted. */
export function setExactLook(name, marks) {
  mode = name;
  marked = marks;
}

/** Set the state of the training; while it is "training", pictures are requested repeatedly. */
export function setTrainingState(name) {
  trainingState = name;
}

/** { seconds, range } of the last picture, or null. */
export function lastPicture() {
  return wanted ? last : null;
}

function box() {
  const [width, height] = size();
  return mode === "error" ? place() : { left: 0, top: 0, width, height };
}

/** The current view, without the size of the picture. */
function view() {
  const { position, quaternion } = whereabouts();
  const m = camera.projectionMatrix.elements;
  const crop = cropNow();
  return {
    show: mode,
    at: position,
    turn: quaternion,
    lens: [m[0], m[5], m[8], m[9]],
    upright: world.quaternion.toArray(),
    background: backgroundNow(),
    floaters: marked,
    crop: crop && [...crop.low, ...crop.high],
    camera: standingIn()?.index,
    time: hasTime ? timeNow().now : undefined,
  };
}

function requestFor({ lens, ...rest }, scale, fine) {
  const { width, height } = box();
  const [w, h] = [Math.max(Math.round(width * scale), 8), Math.max(Math.round(height * scale), 8)];
  // The principal point follows from the projection, as in lens.js.
  return {
    ...rest,
    size: [w, h],
    focal: [(lens[0] * w) / 2, (lens[1] * h) / 2],
    centre: [((1 - lens[2]) * w) / 2, ((1 + lens[3]) * h) / 2],
    fine,
  };
}

/** The scale relative to the window at which a picture takes this many seconds, at most `most`. */
function scaleFor(seconds, most) {
  const { width, height } = box();
  return Math.max(Math.min(most, Math.sqrt(seconds / (secondsPerPx * width * height))), LEAST_SCALE);
}

/** Request a picture if the one shown is not of the current view; called for each frame. */
export function followExactly(moves, now) {
  if (!wanted) return;
  quiet = moves ? 0 : quiet + 1;
  const seen = view();
  const { width, height } = box();
  const rests = quiet > REST_FRAMES;
  const most = Math.min(devicePixelRatio, 2, Math.sqrt(MOST_PX / (width * height)));
  const goesOn = trainingState === "training";
  const tick = goesOn ? Math.floor(now / Math.max(LEAST_EVERY_MS, (1000 * (last?.seconds ?? 0)) / TRAINING_SHARE)) : trainingState;
  const key = JSON.stringify([seen, width, height, editsVersion(), rests, rests ? tick : 0]);
  isCurrent = key === shownKey;
  if (isCurrent || now < retryAt) return;
  if (flight) {
    // A fine picture of an earlier view would delay quick ones.
    if (flight.fine && !rests) flight.stop.abort();
    return;
  }
  const scale = rests ? (goesOn ? scaleFor(TRAINING_S, most) : most) : scaleFor(MOVING_S, Math.min(most, 1));
  load(key, requestFor(seen, scale, rests), box(), now);
}

async function load(key, request, where, now) {
  const mine = { stop: new AbortController(), fine: request.fine };
  flight = mine;
  try {
    const edits = await postedEdits();
    const picture = await askForPicture({ ...request, edits }, mine.stop.signal);
    const image = picture && (await createImageBitmap(picture.blob));
    if (picture) secondsPerPx += 0.5 * (picture.seconds / (request.size[0] * request.size[1]) - secondsPerPx);
    if (!picture) retryAt = now + RETRY_MS;
    else if (wanted && !mine.stop.signal.aborted) put(image, where, key, picture);
  } catch (error) {
    if (!mine.stop.signal.aborted) {
      if (!retryAt) saysTrouble(`No picture from Sfumato: ${error.message ?? error}`);
      retryAt = now + 5 * RETRY_MS;
      forgetPosted();
    }
  }
  flight = null;
}

function put(image, where, key, picture) {
  canvas.width = image.width;
  canvas.height = image.height;
  brush.drawImage(image, 0, 0);
  for (const side of ["left", "top", "width", "height"]) canvas.style[side] = `${where[side]}px`;
  last = { seconds: picture.seconds, range: picture.range };
  shownKey = key;
  retryAt = 0;
}

/** Resolves when the picture shows the current view in full quality. */
export async function exactSettled() {
  while (wanted && !isDrawing() && (quiet <= REST_FRAMES || flight || !isCurrent)) {
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}
