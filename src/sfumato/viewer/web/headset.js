// Virtual reality by WebXR: starts at the current view, with head tracking and locomotion.
import { manifest } from "./data.js";
import { refit } from "./motion.js";
import { present, stopPresenting } from "./stage.js";
import { radius } from "./world.js";

const button = document.getElementById("vr");
// Assumed radius of the scene in metres, if its unit is unknown.
const RADIUS_M = 2.5;

let session = null;

/** Offer virtual reality if there is a headset; `say` shows error messages. */
export async function offerHeadset(say) {
  const isThere = await navigator.xr?.isSessionSupported("immersive-vr").catch(() => false);
  button.hidden = !isThere;
  button.addEventListener("click", () => (session ? session.end() : enter().catch((error) => say(`VR cannot begin: ${error.message ?? error}`))));
}

async function enter() {
  const begun = await navigator.xr.requestSession("immersive-vr");
  begun.addEventListener("end", () => {
    session = null;
    stopPresenting();
    refit();
  });
  session = begun;
  const metres = manifest.metres_per_unit ?? RADIUS_M / radius;
  await present(begun, 1 / metres);
}
