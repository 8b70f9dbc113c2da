// Key-frames of a film: saved for `sfumato render --path`, or rendered as a film by the server.
import { manifest, post } from "./data.js";
import { copyWords, downloadBlob } from "./endings.js";
import { glide, goTo, refit, whereabouts } from "./motion.js";
import { pinholeNow } from "./regions.js";
import { postedEdits } from "./posted.js";
import { editedName, quoted } from "./script.js";
import { camera, touch } from "./stage.js";

const byId = (name) => document.getElementById(name);
const card = byId("film");
const list = byId("film-keys");
const STEP_S = 2;
const MOST_KEYS = 500;
const FPS = 30;
const ASK_EVERY_MS = 700;

let keys = [];
let playing = null;
let say = () => {};

/** Wire the card. */
export function buildFilm(tell) {
  say = tell;
  byId("film-toggle").addEventListener("click", () => showFilm(card.hidden));
  byId("film-add").addEventListener("click", addKey);
  byId("film-play").addEventListener("click", () => (playing ? stopPlaying() : play()));
  byId("film-save").addEventListener("click", savePath);
  byId("film-make").addEventListener("click", () => (isMaking ? post(`${manifest.film}-stop`) : make()));
  byId("film-make").hidden = !manifest.film;
  byId("film-size").hidden = !manifest.film;
  byId("stage").addEventListener("pointerdown", stopPlaying);
  show();
}

export function showFilm(wanted) {
  card.hidden = !wanted;
  byId("film-toggle").setAttribute("aria-pressed", String(wanted));
  if (!wanted) stopPlaying();
}

export function isFilming() {
  return !card.hidden;
}

/** Add the current view as a key-frame, two seconds after the last one. */
function addKey() {
  if (keys.length >= MOST_KEYS) return;
  const fov_deg = Number(((360 / Math.PI) * Math.atan(1 / camera.projectionMatrix.elements[5])).toPrecision(6));
  const { camera_from_world } = pinholeNow();
  const time_s = keys.length ? keys.at(-1).time_s + STEP_S : 0;
  keys = [...keys, { camera_from_world, fov_deg, time_s, where: whereabouts() }];
  show();
}

/** The key-frames in the format of `sfumato render --path`. */
export function pathNow() {
  return { version: 1, closed: false, keyframes: keys.map(({ where, ...key }) => key) };
}

function setTime(index, seconds) {
  const [before, after] = [keys[index - 1]?.time_s ?? -Infinity, keys[index + 1]?.time_s ?? Infinity];
  // Times must increase from key-frame to key-frame.
  if (Number.isFinite(seconds) && seconds > before && seconds < after) keys[index] = { ...keys[index], time_s: seconds };
  show();
}

function show() {
  list.replaceChildren(...keys.map(row));
  const length = keys.length > 1 ? keys.at(-1).time_s - keys[0].time_s : 0;
  byId("film-words").textContent = keys.length ? `${keys.length} key-frames, ${Number(length.toFixed(2))} s` : "Go somewhere, add a key-frame, and so on.";
  for (const name of ["film-play", "film-save", "film-make"]) byId(name).disabled = keys.length < 2;
  marks();
}

function row(key, index) {
  const item = document.createElement("li");
  const time = document.createElement("input");
  Object.assign(time, { type: "number", step: 0.5, value: key.time_s });
  time.setAttribute("aria-label", `Seconds of key-frame ${index + 1}`);
  time.addEventListener("change", () => setTime(index, Number(time.value)));
  const go = document.createElement("button");
  go.textContent = "Go there";
  go.addEventListener("click", () => goTo(key.where));
  const remove = document.createElement("button");
  remove.textContent = "✕";
  remove.setAttribute("aria-label", `Remove key-frame ${index + 1}`);
  remove.addEventListener("click", () => {
    keys = keys.filter((one) => one !== key);
    show();
  });
  item.append(time, " s ", go, remove);
  return item;
}

/** Update the display of the key-frames' times. */
function marks() {
  const [first, last] = [keys[0]?.time_s ?? 0, keys.at(-1)?.time_s ?? 1];
  byId("film-line").replaceChildren(
    ...keys.map((key) => {
      const mark = document.createElement("i");
      mark.style.left = `${(100 * (key.time_s - first)) / Math.max(last - first, 1e-9)}%`;
      return mark;
    }),
  );
}

function play() {
  playing = { at: keys[0].time_s };
  byId("film-play").textContent = "Stop";
  touch();
}

function stopPlaying() {
  if (playing) refit();
  playing = null;
  byId("film-play").textContent = "Preview";
}

/** Advance the preview; called for each frame. */
export function followFilm(seconds) {
  if (!playing) return false;
  playing.at += seconds;
  if (keys.length < 2 || playing.at >= keys.at(-1).time_s) {
    stopPlaying();
    return false;
  }
  const next = keys.findIndex((key) => key.time_s > playing.at);
  const [from, to] = [keys[next - 1], keys[next]];
  glide([keys[next - 2] ?? from, from, to, keys[next + 1] ?? to], (playing.at - from.time_s) / (to.time_s - from.time_s));
  return true;
}

function savePath() {
  const stem = manifest.title.replace(/[^\w.-]+/g, "_");
  downloadBlob(new Blob([`${JSON.stringify(pathNow(), null, 2)}\n`], { type: "application/json" }), `${stem}-path.json`);
  const film = editedName().replace(/-edited\.\w+$/, "-film.mp4");
  copyWords(`sfumato render ${quoted(manifest.source)} -o ${quoted(film)} --path ${quoted(`${stem}-path.json`)}`, say);
}

let isMaking = false;

async function make() {
  const size = byId("film-size").value.split("x").map(Number);
  isMaking = true;
  byId("film-make").textContent = "Stop";
  try {
    let told = await (await post(manifest.film, JSON.stringify({ path: pathNow(), size, fps: FPS, edits: await postedEdits() }))).json();
    while (told.state === "making") {
      byId("film-words").textContent = `frame ${told.done} of ${told.count}`;
      await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
      told = await (await fetch(`${manifest.film}-state`, { cache: "no-store" })).json();
    }
    say({ done: `The film is ${told.film}`, stopped: "The film was stopped", failed: `No film: ${told.error}` }[told.state]);
  } catch (error) {
    say(`No film: ${error.message ?? error}`);
  }
  isMaking = false;
  byId("film-make").textContent = "Make film";
  show();
}
