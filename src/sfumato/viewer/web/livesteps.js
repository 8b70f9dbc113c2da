// A run that is tracked, step by step: the page takes in what is done, and shows the newest unless one looks back.
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

/** How many steps the page has taken in. */
export function stepsShown() {
  return known;
}

/**
 * Take in what is new: { version, steps, count, still, moving }, in which a version is told of the meshes that stand
 * still and that move. Where the page does not draw, all that is new is the time that can be shown.
 */
export async function takeNews(news, draws, page) {
  newest = news;
  if (busy) return;
  busy = true;
  try {
    while (known < newest.steps || version < newest.version) await takeNext(newest, draws, page);
  } catch {
    // The run has gone on meanwhile, or away: what comes next says which.
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
    // Without a break, so that no frame shows the meshes in poses of others.
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
