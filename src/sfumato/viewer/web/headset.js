// Virtual reality by WebXR: one stands where the view is, and looks around and goes about in a headset.
import { manifest } from "./data.js";
import { refit } from "./motion.js";
import { present, stopPresenting } from "./stage.js";
import { radius } from "./world.js";

const button = document.getElementById("vr");
// Where the scene's unit is not known, it is taken to be so large: its radius in metres.
const RADIUS_M = 2.5;

let session = null;

/** Offer it where there is a headset; `say` tells why it cannot be. */
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
