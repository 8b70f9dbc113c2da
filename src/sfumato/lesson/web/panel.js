// The trainer on the page: what its buttons, sliders and switches do.
import { checkGradients } from "./check.js";
import { nearest } from "./explain.js";
import { createPainter, readOwn } from "./pictures.js";
import { announce, draw, drawChosen, drawTarget, figures, find, isTime, showRendering, SIZE, startScreen, trainer, view } from "./screen.js";
import { createSlider } from "./sliders.js";
import { paint, TARGETS } from "./targets.js";
import { aimAt, DEFAULTS, densifyNow, evaluate, MOST, pruneNow, reset, trainStep } from "./trainer.js";
import { inWords, number, say, small } from "./words.js";

// Training takes this much of each frame, so that the page answers at once.
const BUDGET_MS = 14;
// Between two announcements of what training has come to.
const ANNOUNCE_MS = 5000;
// Who asked for less motion sees the picture change this often.
const CALM_MS = 1000;
// Finite differences of a loss near 1 in double precision are right to about this share of a gradient.
const AGREES = 1e-4;

const calm = matchMedia("(prefers-reduced-motion: reduce)");
let chosenSlider, ownTarget;

function frame(now) {
  if (!view.isTraining) return;
  const start = performance.now();
  let steps = 0;
  do {
    trainStep(trainer);
    steps += 1;
  } while (performance.now() - start < BUDGET_MS);
  if (view.frameAt) {
    const speed = (1000 * steps) / Math.max(1, now - view.frameAt);
    view.speed = view.speed ? view.speed + 0.05 * (speed - view.speed) : speed;
  }
  view.frameAt = now;
  if (isTime("announcedAt", ANNOUNCE_MS, now)) announce("says.progress", figures());
  if (isTime("drawnAt", calm.matches ? CALM_MS : 0, now)) draw(now);
  requestAnimationFrame(frame);
}

function setTraining(isTraining) {
  if (view.isTraining === isTraining) return;
  Object.assign(view, { isTraining, frameAt: null, announcedAt: performance.now() });
  find("train").textContent = say(isTraining ? "actions.pause" : "actions.train");
  if (isTraining) {
    announce("says.training");
    requestAnimationFrame(frame);
  } else {
    announce("says.paused", figures());
    draw();
  }
}

function startAgain() {
  reset(trainer);
  Object.assign(view, { chosen: null, pixel: null, isHeld: false, speed: null });
  draw();
}

function connectActions() {
  find("train").addEventListener("click", () => setTraining(!view.isTraining));
  find("step").addEventListener("click", () => {
    setTraining(false);
    trainStep(trainer);
    announce("says.progress", figures());
    draw();
  });
  find("densify").addEventListener("click", () => {
    const { clones, splits } = densifyNow(trainer), count = number(trainer.gaussians.count);
    announce(clones + splits ? "says.densified" : "says.full", { clones: number(clones), splits: number(splits), count });
    draw();
  });
  find("prune").addEventListener("click", () => {
    const removed = pruneNow(trainer);
    announce(removed ? "says.pruned" : "says.nothing_to_prune", { removed: number(removed), count: number(trainer.gaussians.count) });
    draw();
  });
  find("reset").addEventListener("click", () => {
    setTraining(false);
    startAgain();
    announce("says.reset", { count: number(trainer.gaussians.count) });
  });
}

function aim(name) {
  view.target = name;
  aimAt(trainer, name === "yours" ? view.own : paint(TARGETS[name], SIZE));
  find("target-name").textContent = say(`target.${name}`);
  drawTarget();
  startAgain();
}

function addTarget(name, image) {
  const label = document.createElement("label"), input = document.createElement("input"), canvas = document.createElement("canvas");
  Object.assign(input, { type: "radio", name: "target", value: name, className: "unseen", checked: name === view.target });
  input.addEventListener("change", () => aim(name));
  canvas.ariaHidden = "true";
  const show = createPainter(canvas, SIZE);
  show((j) => image[j]);
  label.append(input, canvas);
  find("targets").append(label);
  inWords(() => (input.ariaLabel = label.title = say(`target.${name}`)));
  return { input, show };
}

async function takeOwn(file) {
  try {
    view.own = await readOwn(file, SIZE);
  } catch (problem) {
    announce(problem.key, { name: file.name, most: number(problem.most ?? 0) });
    return;
  }
  ownTarget ??= addTarget("yours", view.own);
  ownTarget.show((j) => view.own[j]);
  ownTarget.input.checked = true;
  aim("yours");
}

function connectOwn() {
  find("own").addEventListener("change", (event) => {
    const [file] = event.target.files;
    event.target.value = "";
    if (file) takeOwn(file);
  });
  // Anywhere on the page, as a browser would otherwise leave it and open the file.
  addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    find("trainer").classList.add("dropping");
  });
  addEventListener("dragleave", () => find("trainer").classList.remove("dropping"));
  addEventListener("drop", (event) => {
    const [file] = event.dataTransfer.files;
    find("trainer").classList.remove("dropping");
    if (!file) return;
    event.preventDefault();
    takeOwn(file);
  });
}

function connectSettings() {
  const { settings } = trainer;
  for (const input of document.querySelectorAll("#trainer input[name='shape']")) {
    input.addEventListener("change", () => {
      settings.isRound = input.value === "isotropic";
      startAgain();
    });
  }
  for (const input of document.querySelectorAll("#trainer input[name='rendering']")) {
    input.addEventListener("change", () => {
      settings.rendering = input.value;
      showRendering();
      startAgain();
    });
  }
  find("by-itself").addEventListener("change", (event) => (settings.byItself = event.target.checked));
  const count = { key: "model.count", min: 1, max: 300, value: DEFAULTS.count, show: (value) => number(value) };
  createSlider("count", { ...count, change: (value) => {
    settings.count = value;
    startAgain();
  } });
  for (const [name, value] of Object.entries(DEFAULTS.rates)) {
    const change = (to) => (settings.rates[name] = to);
    createSlider(name, { key: `rates.${name}`, min: value / 25, max: value * 25, value, isLog: true, show: (to) => small(to, 1), change });
  }
  const lambda = { key: "loss.lambda", min: 0, max: 1, step: 0.05, value: DEFAULTS.lambda, show: (value) => number(value, 2) };
  createSlider("lambda", { ...lambda, change: (value) => {
    settings.lambda = value;
    evaluate(trainer);
    draw();
  } });
}

function connectShown() {
  find("show-error").addEventListener("change", (event) => {
    view.hasError = event.target.checked;
    drawTarget();
  });
  find("show-ellipses").addEventListener("change", (event) => {
    view.hasEllipses = event.target.checked;
    draw();
  });
  new ResizeObserver(() => draw()).observe(find("overlay"));
  find("check").addEventListener("click", () => {
    const rows = checkGradients(), worst = Math.max(...rows.map((one) => one.worst));
    const count = rows.reduce((sum, one) => sum + one.count, 0);
    find("checked").textContent = say(worst < AGREES ? "check.says" : "check.fails", { count: number(count), worst: small(worst, 1) });
  });
}

function choose(index, pixel) {
  Object.assign(view, { chosen: index, pixel });
  chosenSlider.set(index + 1);
  drawChosen();
}

// A pointer over the picture chooses the nearest Gaussian and the pixel below it; a click holds it, or lets it go.
function connectChoice() {
  const overlay = find("overlay");
  const pointAt = (event) => {
    const box = overlay.getBoundingClientRect();
    const inside = (share) => Math.min(SIZE - 0.001, Math.max(0, share * SIZE));
    const x = inside((event.clientX - box.left) / box.width), y = inside((event.clientY - box.top) / box.height);
    choose(nearest(trainer, x, y), { column: Math.floor(x), row: Math.floor(y) });
  };
  overlay.addEventListener("pointermove", (event) => {
    if (!view.isHeld && event.pointerType === "mouse") pointAt(event);
  });
  overlay.addEventListener("click", (event) => {
    view.isHeld = !view.isHeld || event.pointerType !== "mouse";
    pointAt(event);
  });
  const change = (value) => choose(Math.min(value, trainer.gaussians.count) - 1, null);
  chosenSlider = createSlider("chosen", { key: "terms.chosen", min: 1, max: MOST, value: 1, show: (value) => number(value), change });
}

export function startTrainer() {
  startScreen();
  for (const [name, formula] of Object.entries(TARGETS)) addTarget(name, paint(formula, SIZE));
  connectActions();
  connectOwn();
  connectSettings();
  connectChoice();
  find("trainer").hidden = false;
  aim(view.target);
  connectShown();
  inWords(() => {
    find("train").textContent = say(view.isTraining ? "actions.pause" : "actions.train");
    find("target-name").textContent = say(`target.${view.target}`);
    find("status").textContent = find("checked").textContent = "";
    showRendering();
    drawTarget();
    draw();
  });
  return trainer;
}
