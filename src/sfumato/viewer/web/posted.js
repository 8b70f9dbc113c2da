// The edits as the server knows them, by a digest: for exact pictures and films of the edited scene.
import { manifest, post } from "./data.js";
import { editsMade } from "./edits.js";
import { scriptOf } from "./script.js";

let sent = "";
let digest = "";

/** Post the edits if they have changed; their digest, or "" without edits. */
export async function postedEdits() {
  const edits = editsMade();
  if (!edits.length || !manifest.edits) return "";
  const script = JSON.stringify(scriptOf(edits));
  if (script !== sent) {
    digest = await (await post(manifest.edits, script)).text();
    sent = script;
  }
  return digest;
}

/** Post them again next time: the server may not keep them any more. */
export function forgetPosted() {
  sent = "";
}
