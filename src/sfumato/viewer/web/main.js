// Entry point of the page, up to the first picture.
import { manifest } from "./data.js";
import { layFrame } from "./compare.js";
import { editsMade } from "./edits.js";
import { exactSettled, followExactly, isExact, isOffered, setExact, setTrainingState } from "./exact.js";
import { followFilm, pathNow } from "./film.js";
import { takeDrops } from "./drop.js";
import { embed, isEmbedded } from "./embed.js";
import { buildFrusta, clearFrusta, plateCentre } from "./frusta.js";
import { showGallery } from "./gallery.js";
import { offerHeadset } from "./headset.js";
import { showHint } from "./hint.js";
import { flyByKeys, listen, stopPointing } from "./input.js";
import { followHash } from "./link.js";
import { isLive, listenToRun, loadNewest, versionShown } from "./live.js";
import { stepsShown, takeNews } from "./livesteps.js";
import { follow, lookModifiers, SIGNS, takeSample } from "./look.js";
import { followMap } from "./map.js";
import { endsNow } from "./measure.js";
import { advance, fovNow, isRotating, reset, standIn, standingIn } from "./motion.js";
import { followNotes, notesSettled } from "./notes.js";
import { readAllSteps, showMoving } from "./moving.js";
import { buildPanel, choose, onExact, say, setFacts, tell } from "./panel.js";
import { scriptOf } from "./script.js";
import { camera, openStage, run, settled, showScene } from "./stage.js";
import { followStream, isStreamed, openStream, setBudget, streamNow, streamSettled } from "./streaming.js";
import { advanceTime, hasTime, setPlaying, setTime, timeNow } from "./time.js";
import { movingAt, pickedNow } from "./trails.js";
import { displacementOf } from "./reach.js";
import { followTrust, readTrust, trustMs, trustSettled } from "./trust.js";
import { drawWires } from "./wires.js";
import { cameras, inScene, shown } from "./world.js";

const loading = document.getElementById("loading");

function fail(words) {
  loading.classList.remove("done");
  loading.classList.add("failed");
  loading.querySelector("span").textContent = words;
}

async function allSettled() {
  if (!isExact()) await trustSettled();
  if (isStreamed) await streamSettled();
  await settled();
  await exactSettled();
}

const progress = (share) => loading.style.setProperty("--done", `${Math.round(100 * share)}%`);

async function show({ name, type, frame }) {
  const mesh = await showScene({ name, type, frame }, lookModifiers(frame), progress);
  takeSample(mesh, frame);
  await readTrust(mesh, SIGNS[frame]);
  follow(true);
  return mesh.numSplats;
}

/** Show the scene, including its moving Gaussians. */
async function showAll() {
  if (isStreamed) {
    await openStream(progress);
    setFacts(manifest.count);
    return;
  }
  let count = manifest.scene ? await show(manifest.scene) : 0;
  if (hasTime) {
    const source = manifest.motion.scene;
    const mesh = await showMoving(source, manifest.motion.still, progress);
    takeSample(mesh, source.frame, "moving");
    await readAllSteps(progress);
    count += mesh.numSplats;
  }
  setFacts(count, manifest.motion?.count);
}

/** Follow a training or tracking run in progress. */
function followRun(draws) {
  const changed = (state, gaussians) => {
    if (!hasTime) setTrainingState(state);
    if (isExact() && gaussians !== undefined) setFacts(gaussians);
  };
  const load = async (event) => setFacts(await show({ ...event, name: manifest.scene.name }));
  const take = (news) => takeNews(news, draws, { show, setFacts });
  listenToRun({ load, follows: () => !isExact(), tell: changed, take });
  onExact(loadNewest);
}

const NO_WEBGL = "This browser has no WebGL 2";

/** Create the renderer of the page; false if there is no WebGL 2. */
function openPictures() {
  try {
    openStage();
    return true;
  } catch {
    if (!isOffered) {
      fail(`${NO_WEBGL}, which this page draws with. Opened with "sfumato view", the scene is drawn without it.`);
      showGallery();
    }
    return false;
  }
}

async function open() {
  embed();
  const draws = openPictures();
  if (!draws && !isOffered) return;
  buildFrusta();
  buildPanel();
  listen();
  if (draws) {
    takeDrops(say);
    offerHeadset(say);
  }
  reset(0);
  const { moved, mode } = followHash(0);
  if (!moved) reset(0);
  run((seconds) => {
    flyByKeys(seconds);
    const moves = [advance(seconds), followFilm(seconds), advanceTime(seconds)].some(Boolean);
    if (moves) stopPointing();
    clearFrusta(inScene(camera.position));
    if (isExact()) followExactly(moves, performance.now());
    else {
      follow();
      followTrust(performance.now());
    }
    if (isStreamed) followStream(seconds, performance.now());
    followMap(performance.now());
    followNotes(performance.now());
    drawWires();
    tell(performance.now());
    return moves;
  });
  try {
    if (draws && !(isLive && hasTime)) await showAll();
  } catch (error) {
    fail(`The scene cannot be shown: ${error.message ?? error}`);
    throw error;
  }
  if (!draws) {
    setFacts(manifest.count, manifest.motion?.count);
    setExact(true);
    say(`${NO_WEBGL}: Sfumato draws the pictures itself`);
  }
  choose(mode);
  loading.classList.add("done");
  if (!isEmbedded) showHint();
  if (isLive) followRun(draws);
  layFrame();
  // For tests, and for use in the console.
  window.sfumato = {
    camera, cameras, displacementOf, editsMade, endsNow, fovNow, manifest, isExact, inScene, isRotating, placeOf: plateCentre, settled: allSettled, movingAt, pathNow, pickedNow,
    notesSettled, scriptOf, setBudget, setPlaying, setTime, shown, standIn, standingIn, stepsShown, streamNow, timeNow, trustMs, versionShown,
  };
}

open();
