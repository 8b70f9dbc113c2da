// Notes pinned to points of the scene.
import { editsVersion } from "./edits.js";
import { cropNow } from "./look.js";
import { pickFor } from "./picking.js";
import { camera, size } from "./stage.js";
import { depthAlong } from "./surface.js";
import { timeNow } from "./time.js";
import { inScene, shown } from "./world.js";

const byId = (name) => document.getElementById(name);
const card = byId("notes");
const layer = byId("pins");
// Limits on notes from untrusted links.
const MOST = 50;
const MOST_CHARACTERS = 200;
// A surface nearer than this fraction of the distance of a note hides it.
const IN_FRONT = 0.95;
// Whether notes are hidden is found out while the view rests, one note a frame.
const REST_MS = 120;

let notes = [];
let place = null;

/** Wire the card. */
export function buildNotes(say) {
  byId("note-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const words = byId("note-words").value.trim();
    if (place && words && notes.length < MOST) setNotes([...notes, { place, words }]);
    else if (notes.length >= MOST) say(`A link keeps up to ${MOST} notes`);
    byId("note-words").value = "";
    aim(null);
  });
  tell();
}

export function isNoting() {
  return !card.hidden;
}

/** Open the card and pick points, or close it; notes are kept. */
export function showNotes(wanted) {
  if (card.hidden === !wanted) return;
  card.hidden = !wanted;
  byId("notes-toggle").setAttribute("aria-pressed", String(wanted));
  pickFor(wanted ? aim : null);
  aim(null);
}

/** Ask for the text of a new note at a point in the scene's frame. */
function aim(wanted) {
  place = wanted;
  byId("note-form").hidden = !place;
  byId("note-hint").hidden = Boolean(place);
  if (place) byId("note-words").focus();
}

/** All notes: { place, words }. */
export function notesNow() {
  return notes;
}

/** Show the given notes; malformed or excess ones are skipped. */
export function setNotes(wanted) {
  const isGood = ({ place: at, words }) => at.length === 3 && at.every(Number.isFinite) && words;
  notes = wanted.filter(isGood).slice(0, MOST).map(({ place: at, words }) => ({ place: at, words: words.slice(0, MOST_CHARACTERS) }));
  tell();
}

function tell() {
  byId("note-list").replaceChildren(...notes.map(item));
  layer.replaceChildren(...notes.map(pin));
  drawn = "";
  checked = 0;
}

function item(note) {
  const row = document.createElement("li");
  const words = document.createElement("span");
  words.textContent = note.words;
  const remove = document.createElement("button");
  remove.textContent = "✕";
  remove.setAttribute("aria-label", `Remove the note ${note.words}`);
  remove.addEventListener("click", () => setNotes(notes.filter((one) => one !== note)));
  row.append(words, remove);
  return row;
}

function pin(note) {
  const element = document.createElement("p");
  element.textContent = note.words;
  return element;
}

let drawn = "";
let since = 0;
let checked = 0;

/** Whether all notes are placed, and hidden where the scene is in front of them. */
export function notesSettled() {
  return checked >= notes.length;
}

/** Update the positions of the notes in the window; called for each frame. */
export function followNotes(now) {
  if (!notes.length) return;
  const { elements } = camera.matrixWorld;
  const key = [...elements, ...camera.projectionMatrix.elements, ...size(), JSON.stringify(cropNow()), editsVersion(), timeNow().now].join();
  if (key === drawn) {
    if (checked < notes.length && now - since > REST_MS) check(checked++);
    return;
  }
  [drawn, since, checked] = [key, now, 0];
  const [width, height] = size();
  for (const [index, note] of notes.entries()) {
    const p = shown(note.place).project(camera);
    const element = layer.children[index];
    element.hidden = !(p.z > -1 && p.z < 1);
    element.style.transform = `translate(${((p.x + 1) / 2) * width}px, ${((1 - p.y) / 2) * height}px)`;
  }
}

/** Dim a note if the scene is in front of it. */
function check(index) {
  const element = layer.children[index];
  if (element.hidden) return;
  const eye = inScene(camera.position);
  const away = new vendor.Vector3(...notes[index].place).sub(eye);
  const distance = away.length();
  const depth = depthAlong(eye.toArray(), away.divideScalar(distance).toArray());
  element.classList.toggle("behind", depth !== null && depth < IN_FRONT * distance);
}
