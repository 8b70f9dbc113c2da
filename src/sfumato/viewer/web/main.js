// The page from its opening to the first picture.
import { manifest } from "./data.js";
import { layFrame } from "./compare.js";
import { buildFrusta, clearFrusta, plateCentre } from "./frusta.js";
import { flyByKeys, listen, stopPointing } from "./input.js";
import { followHash } from "./link.js";
import { isLive, listenToTraining, versionShown } from "./live.js";
import { follow, lookModifier, takeSample } from "./look.js";
import { advance, reset, standIn, standingIn } from "./motion.js";
import { buildPanel, choose, setFacts, tell } from "./panel.js";
import { camera, openStage, run, settled, showScene } from "./stage.js";
import { cameras, inScene } from "./world.js";

const loading = document.getElementById("loading");

function fail(words) {
  loading.classList.remove("done");
  loading.classList.add("failed");
  loading.querySelector("span").textContent = words;
}

async function show({ name, type, frame }) {
  const progress = (share) => loading.style.setProperty("--done", `${Math.round(100 * share)}%`);
  const mesh = await showScene({ name, type, frame }, lookModifier(frame), progress);
  takeSample(mesh, frame);
  follow(true);
  setFacts(mesh.numSplats);
}

async function open() {
  try {
    openStage();
  } catch {
    fail("This browser has no WebGL 2, which the viewer draws with.");
    return;
  }
  buildFrusta();
  buildPanel();
  listen();
  reset(0);
  const { moved, mode } = followHash(0);
  if (!moved) reset(0);
  run((seconds) => {
    flyByKeys(seconds);
    const moves = advance(seconds);
    if (moves) stopPointing();
    clearFrusta(inScene(camera.position));
    follow();
    tell(performance.now());
    return moves;
  });
  try {
    await show(manifest.scene);
  } catch (error) {
    fail(`The scene cannot be shown: ${error.message ?? error}`);
    throw error;
  }
  choose(mode);
  loading.classList.add("done");
  if (isLive) listenToTraining((event) => show({ ...event, name: manifest.scene.name }));
  layFrame();
  // For tests, and for whoever opens the console.
  window.sfumato = { camera, cameras, manifest, placeOf: plateCentre, settled, standIn, standingIn, versionShown };
}

open();
