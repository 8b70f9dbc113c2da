// Edits as `sfumato edit` takes them: as a script, and as a command line.
import { manifest } from "./data.js";
import { hasTime, timeNow } from "./time.js";

const SCENE_FILE = /\.(compressed\.ply|ply|splat|spz|sog|ksplat|glb|gltf|usd[acz]|4dgs)$/i;
const PLAIN_WORD = /^[\w./:,=+@%-]+$/;
// How tightly parts of a selection are bound: less tight ones need parentheses.
const RANKS = { or: 0, and: 1, not: 2 };

/** The edits as a script. */
export function scriptOf(edits) {
  return { version: 1, edits: edits.map(atNow) };
}

/** What is selected in a scene that moves is meant as it is now. */
function atNow(edit) {
  return hasTime ? { ...edit, at: Number(timeNow().now.toPrecision(6)) } : edit;
}

function words(value) {
  return typeof value === "object" ? Object.values(value).map(words).join(",") : String(value);
}

/** A selection as the command line has it. */
export function selectionInWords(where) {
  const [[name, inner]] = Object.entries(where);
  if (name === "opacity") return `opacity:${inner.low ?? ""}..${inner.high ?? ""}`;
  if (!(name in RANKS)) return `${name}:${words(inner)}`;
  const parts = (name === "not" ? [inner] : inner).map((part) => {
    const [below] = Object.keys(part);
    return RANKS[below] <= RANKS[name] ? `(${selectionInWords(part)})` : selectionInWords(part);
  });
  return name === "not" ? `not ${parts[0]}` : parts.join(` ${name} `);
}

/** A word as shells of Unix take it. */
export function quoted(word) {
  return PLAIN_WORD.test(word) && !word.startsWith("-") ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** What the edited scene is called in commands. */
export function editedName() {
  return `${manifest.source.replace(SCENE_FILE, "")}-edited.${hasTime ? "4dgs" : "ply"}`;
}

/** The command that does the edits to the scene that is shown. */
export function commandOf(edits) {
  const options = scriptOf(edits).edits.flatMap((edit) => {
    const at = edit.at === undefined ? [] : ["--at", String(edit.at)];
    return [...at, ...(edit.where ? [`--${edit.do}`, quoted(selectionInWords(edit.where))] : [`--${edit.do}`])];
  });
  return ["sfumato edit", quoted(manifest.source), "-o", quoted(editedName()), ...options].join(" ");
}
