// Results of edits: a command to copy, and a script and an edited scene to save.
import { manifest, post } from "./data.js";
import { editsMade } from "./edits.js";
import { commandOf, editedName, quoted, scriptOf } from "./script.js";

const byId = (name) => document.getElementById(name);

/**
 * Fill a card's row of buttons with those that copy and save the edits so far, followed by `more()`.
 * `say` shows messages.
 */
export function buildEnding(name, more, say) {
  const made = () => [...editsMade(), ...more()];
  const guarded = (act) => async () => {
    const edits = made();
    if (!edits.length) say("There is nothing to save yet");
    else await act(edits);
  };
  const copy = makeButton("Copy command", "A command line for the terminal that does these edits");
  copy.addEventListener("click", guarded((edits) => copyWords(commandOf(edits), say)));
  const title = manifest.save ? "Writes the edited scene and the script of edits beside this one" : "Downloads the script for sfumato edit --script";
  const save = makeButton(manifest.save ? "Save" : "Save script", title);
  save.addEventListener("click", guarded((edits) => (manifest.save ? saveThere(edits, save, say) : download(edits, say))));
  byId(name).append(copy, save);
}

function makeButton(words, title) {
  const button = document.createElement("button");
  Object.assign(button, { textContent: words, title });
  return button;
}

/** Copy text to the clipboard, or show it if that is not permitted. */
export async function copyWords(words, say) {
  try {
    await navigator.clipboard.writeText(words);
    say("Command copied");
  } catch {
    // Without permission for the clipboard, the text can be copied by hand.
    say(words);
  }
}

async function saveThere(edits, button, say) {
  button.classList.add("busy");
  try {
    const { scene, script, count } = await (await post(manifest.save, JSON.stringify(scriptOf(edits)))).json();
    say(`Saved ${scene}, ${count.toLocaleString("en")} Gaussians, and ${script}`);
  } catch (error) {
    say(`Not saved: ${error.message ?? error}; the terminal says why`);
  }
  button.classList.remove("busy");
}

function download(edits, say) {
  const name = `${manifest.title.replace(/[^\w.-]+/g, "_")}-edits.json`;
  downloadBlob(new Blob([`${JSON.stringify(scriptOf(edits), null, 2)}\n`], { type: "application/json" }), name);
  say(`${name}: sfumato edit ${quoted(manifest.source)} -o ${quoted(editedName())} --script ${name}`);
}

/** Download a file. */
export function downloadBlob(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
