// Notes pinned to points of the scene.
import { pickFor } from "./picking.js";
import { camera, size } from "./stage.js";
import { shown } from "./world.js";

const byId = (name) => document.getElementById(name);
const card = byId("notes");
const layer = byId("pins");
// Limits on notes from untrusted links.
const MOST = 50;
const MOST_CHARACTERS = 200;

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

/** Update the positions of the notes in the window; called for each frame. */
export function followNotes() {
  if (!notes.length) return;
  const key = [...camera.matrixWorld.elements, ...camera.projectionMatrix.elements, ...size()].join();
  if (key === drawn) return;
  drawn = key;
  const [width, height] = size();
  for (const [index, note] of notes.entries()) {
    const p = shown(note.place).project(camera);
    const element = layer.children[index];
    element.hidden = !(p.z > -1 && p.z < 1);
    element.style.transform = `translate(${((p.x + 1) / 2) * width}px, ${((1 - p.y) / 2) * height}px)`;
  }
}
