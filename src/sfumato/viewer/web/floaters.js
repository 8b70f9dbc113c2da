// Floaters, as found by `sfumato edit --clean`: one bit per Gaussian.
import { manifest, readBytes } from "./data.js";
import { setMarks } from "./look.js";

let bits = null;
let loading = null;
let count = 0;
let wanted = false;

/** Why floaters cannot be shown, or null. */
export const missing = manifest.floaters ? manifest.floaters.missing : "a scene that is still trained changes too often to look for floaters";

/** The number of floaters while they are shown, or null. */
export function floatersShown() {
  return wanted && bits ? count : null;
}

/** Whether floaters should be shown. */
export function isMarking() {
  return wanted;
}

/** Highlight the floaters, or show the scene normally. */
export async function setMarking(on) {
  wanted = on;
  if (on && !bits) {
    loading ??= readBytes(manifest.floaters.name);
    try {
      bits = await loading;
    } catch (error) {
      loading = null;
      wanted = false;
      throw error;
    }
    count = bits.reduce((sum, byte) => sum + ones(byte), 0);
  }
  setMarks(wanted ? bits : null);
}

function ones(byte) {
  let found = 0;
  for (let rest = byte; rest; rest &= rest - 1) found++;
  return found;
}
