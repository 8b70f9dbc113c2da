// Live view of a tracking run: loads finished steps, and shows the newest unless an earlier time is selected.
import { readBytes } from "./data.js";
import { takeSample } from "./look.js";
import { showMoving, takeStep } from "./moving.js";
import { setLastStep } from "./time.js";
import { clearTrails } from "./trails.js";

const RETRY_MS = 1000;

let newest = null;
let busy = false;
let version = 0;
let known = 0;

/** The number of steps loaded. */
export function stepsShown() {
  return known;
}

/**
 * Process a "steps" event: { version, steps, count, still, moving }, with the version of the static and moving
 * meshes. If the page does not draw, only the range of times is updated.
 */
export async function takeNews(news, draws, page) {
  newest = news;
  if (busy) return;
  busy = true;
  try {
    while (known < newest.steps || version < newest.version) await takeNext(newest, draws, page);
  } catch {
    // The data was replaced meanwhile, or the server is gone: retry.
    setTimeout(() => takeNews(newest, draws, page), RETRY_MS);
  }
  busy = false;
}

async function takeNext(news, draws, { show, setFacts }) {
  if (!draws) {
    [known, version] = [news.steps, news.version];
  } else if (version < news.version) {
    const steps = [];
    while (steps.length < news.steps) steps.push(await readBytes(`step-${steps.length}`));
    const still = news.still ? await show(news.still) : 0;
    const mesh = await showMoving(news.moving, still);
    // Synchronously, so that no frame shows the new meshes with old poses.
    steps.forEach((bytes, step) => takeStep(step, bytes));
    takeSample(mesh, news.moving.frame, "moving");
    clearTrails();
    [known, version] = [news.steps, news.version];
  } else {
    takeStep(known, await readBytes(`step-${known}`));
    known++;
  }
  setFacts(news.count, news.moves);
  if (known) setLastStep(known - 1);
}
