// The card for selecting and deleting.
import { apply, editsNow, invert, onEdits, selectNothing, step, whyNoSelecting } from "./edits.js";
import { buildEnding } from "./endings.js";
import { onGoingBack, onRefused, setBrushRadius, setHow, setTool, toolNow } from "./pen.js";

const byId = (name) => document.getElementById(name);
const card = byId("edit");
const toggle = byId("edit-toggle");

/** Wire the card; `say` shows error messages. */
export function buildEditing(say) {
  toggle.hidden = Boolean(whyNoSelecting());
  if (toggle.hidden) return;
  for (const button of card.querySelectorAll("[data-tool]")) {
    button.addEventListener("click", () => chooseTool(button.dataset.tool));
  }
  for (const button of card.querySelectorAll("[data-how]")) button.addEventListener("click", () => chooseHow(button.dataset.how));
  const does = {
    "edit-invert": invert,
    "edit-none": selectNothing,
    "edit-undo": () => step(-1),
    "edit-redo": () => step(1),
    "edit-delete": () => apply("delete"),
    "edit-keep": () => apply("keep"),
  };
  for (const [name, act] of Object.entries(does)) byId(name).addEventListener("click", act);
  byId("edit-radius").addEventListener("input", () => setBrushRadius(Number(byId("edit-radius").value)));
  buildEnding("edit-ending", () => [], say);
  onRefused(() => say("This selection has become too complicated: delete or keep what is selected, then go on"));
  onGoingBack((time) => say(`Back at ${inSeconds(time)}, where this selection was begun`));
  onEdits(tell);
  chooseHow("new");
  tell();
}

export function isEditing() {
  return !card.hidden;
}

/** Open or close the card; edits are kept. */
export function showEditing(wanted) {
  card.hidden = !wanted || toggle.hidden;
  toggle.setAttribute("aria-pressed", String(!card.hidden));
  chooseTool(card.hidden ? "look" : "lasso");
}

const inSeconds = (time) => `${Number(time.toFixed(3))} s`;

function chooseTool(name) {
  setTool(name === "look" ? null : name);
  for (const button of card.querySelectorAll("[data-tool]")) {
    button.setAttribute("aria-pressed", String(button.dataset.tool === (toolNow() ?? "look")));
  }
  byId("edit-size").hidden = toolNow() !== "brush";
}

function chooseHow(name) {
  setHow(name);
  for (const button of card.querySelectorAll("[data-how]")) button.setAttribute("aria-pressed", String(button.dataset.how === name));
}

function tell() {
  const { edits, selected, time, left, all, canUndo, canRedo } = editsNow();
  const number = (count) => count.toLocaleString("en");
  byId("edit-words").textContent = selected ? `${number(selected)} selected${time === null ? "" : ` at ${inSeconds(time)}`}` : "nothing selected";
  byId("edit-left").textContent = edits.length ? `${number(left)} of ${number(all)} left` : "";
  for (const [name, can] of Object.entries({ "edit-undo": canUndo, "edit-redo": canRedo, "edit-delete": selected, "edit-keep": selected, "edit-none": selected })) {
    byId(name).disabled = !can;
  }
}

const KEYS = { delete: () => apply("delete"), backspace: () => apply("delete") };

/** Handle a key while the card is open; returns whether it was handled. */
export function editKey(event) {
  if (card.hidden) return false;
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") step(event.shiftKey ? 1 : -1);
  else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "y") step(1);
  else if (event.ctrlKey || event.metaKey || event.altKey) return false;
  else if (event.key === "Escape" && toolNow()) chooseTool("look");
  else if (KEYS[event.key.toLowerCase()]) KEYS[event.key.toLowerCase()]();
  else return false;
  event.preventDefault();
  return true;
}
