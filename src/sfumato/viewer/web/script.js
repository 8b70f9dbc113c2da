// Edits in the formats of `sfumato edit`: as a script, and as a command line.
import { manifest } from "./data.js";
import { hasTime, timeNow } from "./time.js";

const SCENE_FILE = /\.(compressed\.ply|ply|splat|spz|sog|ksplat|glb|gltf|usd[acz]|4dgs)$/i;
const PLAIN_WORD = /^[\w./:,=+@%-]+$/;
// Precedence of operators in selections, for parentheses.
const RANKS = { or: 0, and: 1, not: 2 };

/** The edits as a script. */
export function scriptOf(edits) {
  return { version: 1, edits: edits.map(atNow) };
}

/** In a dynamic scene, an edit without a moment of its selection gets the current time. */
function atNow(edit) {
  return hasTime && edit.at === undefined ? { ...edit, at: Number(timeNow().now.toPrecision(6)) } : edit;
}

function words(value) {
  return typeof value === "object" ? Object.values(value).map(words).join(",") : String(value);
}

/** A selection in command-line syntax. */
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

/** A word quoted for Unix shells. */
export function quoted(word) {
  return PLAIN_WORD.test(word) && !word.startsWith("-") ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** The name of the edited scene in commands. */
export function editedName() {
  return `${manifest.source.replace(SCENE_FILE, "")}-edited.${hasTime ? "4dgs" : "ply"}`;
}

/** The command that applies the edits to the scene. */
export function commandOf(edits) {
  const options = scriptOf(edits).edits.flatMap((edit) => {
    const at = edit.at === undefined ? [] : ["--at", String(edit.at)];
    return [...at, ...(edit.where ? [`--${edit.do}`, quoted(selectionInWords(edit.where))] : [`--${edit.do}`])];
  });
  return ["sfumato edit", quoted(manifest.source), "-o", quoted(editedName()), ...options].join(" ");
}
