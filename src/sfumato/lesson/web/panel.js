// The trainer on the page: what its buttons do, and what is shown after each step.
import { drawChart } from "./chart.js";
import { checkGradients } from "./check.js";
import { nearest } from "./explain.js";
import { RENDERING } from "./formulas.js";
import { drawOverlay } from "./overlay.js";
import { createPainter, readOwn } from "./pictures.js";
import { createSlider } from "./sliders.js";
import { paint, TARGETS } from "./targets.js";
import { showTerms } from "./terms.js";
import { aimAt, createTrainer, DEFAULTS, densifyNow, evaluate, MOST, pruneNow, quality, reset, trainStep } from "./trainer.js";
import { inWords, number, say, small } from "./words.js";

const SIZE = 96;
// Training takes this much of each frame, so that the page answers at once.
const BUDGET_MS = 14;
// Between two announcements of what training has come to, and between two tables of terms.
const ANNOUNCE_MS = 5000, TERMS_MS = 250;
// Who asked for less motion sees the picture change this often.
const CALM_MS = 1000;
// Finite differences of a loss near 1 in double precision are right to about this share of a gradient.
const AGREES = 1e-4;

const find = (id) => document.getElementById(id);
const trainer = createTrainer(SIZE);
const view = {
  target: "sunset", own: null, hasEllipses: true, hasError: false, chosen: null, pixel: null, isHeld: false,
  isTraining: false, speed: null, announced: 0, termsAt: 0, drawnAt: 0,
};
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const painters = {};
const sliders = {};

const announce = (key, values) => (find("status").textContent = say(key, values));
const figures = () => ({ step: number(trainer.step), loss: small(trainer.measured.loss), psnr: number(quality(trainer), 1) });

function drawTarget() {
  const { image, target } = trainer;
  if (view.hasError) painters.target((j) => 0.5 + image[j] - target[j]);
  else painters.target((j) => target[j]);
  find("target").ariaLabel = view.hasError ? say("target.error_aria") : say("target.aria", { name: say(`target.${view.target}`) });
}

function drawFacts() {
  const { step, loss, psnr } = figures(), count = number(trainer.gaussians.count);
  find("fact-step").textContent = step;
  find("fact-loss").textContent = loss;
  find("fact-psnr").textContent = say("facts.decibels", { value: psnr });
  find("fact-gaussians").textContent = count;
  find("fact-speed").textContent = view.speed ? number(view.speed) : "–";
  find("part-l1").textContent = small(trainer.measured.l1);
  find("part-dssim").textContent = small(trainer.measured.dssim);
  find("render").ariaLabel = say("render.aria", { count, step, psnr });
}

function drawTerms() {
  const { count } = trainer.gaussians;
  sliders.chosen.limit(count);
  if (view.chosen !== null && view.chosen >= count) view.chosen = null;
  const at = view.chosen === null ? null : showTerms(trainer, view.chosen, view.pixel);
  if (!at) find("terms").replaceChildren();
  view.shownPixel = at;
}

// Everything that depends on the Gaussians; terms less often while they change all the time.
function draw(now = performance.now()) {
  painters.render((j) => trainer.image[j]);
  if (view.hasError) drawTarget();
  drawFacts();
  drawChart(find("chart"), trainer);
  if (!view.isTraining || now - view.termsAt > TERMS_MS) {
    view.termsAt = now;
    drawTerms();
  }
  drawOverlay(find("overlay"), trainer, { ...view, pixel: view.shownPixel });
}

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
  if (now - view.announced > ANNOUNCE_MS) {
    view.announced = now;
    announce("says.progress", figures());
  }
  if (now - view.drawnAt > (calm.matches ? CALM_MS : 0)) {
    view.drawnAt = now;
    draw(now);
  }
  requestAnimationFrame(frame);
}

function setTraining(isTraining) {
  if (view.isTraining === isTraining) return;
  Object.assign(view, { isTraining, frameAt: null, announced: performance.now() });
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
  painters[name] = createPainter(canvas, SIZE);
  painters[name]((j) => image[j]);
  label.append(input, canvas);
  find("targets").append(label);
  inWords(() => (input.ariaLabel = label.title = say(`target.${name}`)));
  return input;
}

async function takeOwn(file) {
  try {
    view.own = await readOwn(file, SIZE);
  } catch (problem) {
    announce(problem.key, { name: file.name, most: number(problem.most ?? 0) });
    return;
  }
  if (view.ownInput) painters.yours((j) => view.own[j]);
  else view.ownInput = addTarget("yours", view.own);
  view.ownInput.checked = true;
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
    event.preventDefault();
    find("trainer").classList.add("dropping");
  });
  addEventListener("dragleave", () => find("trainer").classList.remove("dropping"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    find("trainer").classList.remove("dropping");
    const [file] = event.dataTransfer.files;
    if (file) takeOwn(file);
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

function showRendering() {
  const { rendering } = trainer.settings;
  find("formula").innerHTML = RENDERING[rendering];
  find("formula-note").textContent = say(`model.${rendering}_note`);
  find("slider-opacity").hidden = rendering === "sum";
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
  sliders.chosen.set(index + 1);
  drawTerms();
  drawOverlay(find("overlay"), trainer, { ...view, pixel: view.shownPixel });
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
  sliders.chosen = createSlider("chosen", { key: "terms.chosen", min: 1, max: MOST, value: 1, show: (value) => number(value), change });
}

export function startTrainer() {
  painters.target = createPainter(find("target"), SIZE);
  painters.render = createPainter(find("render"), SIZE);
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
