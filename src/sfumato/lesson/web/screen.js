// What is shown of the trainer: both pictures, ellipses and arrows, the figures, the chart, the table of terms.
import { drawChart } from "./chart.js";
import { RENDERING } from "./formulas.js";
import { drawOverlay } from "./overlay.js";
import { createPainter } from "./pictures.js";
import { showTerms } from "./terms.js";
import { createTrainer, quality } from "./trainer.js";
import { number, say, small } from "./words.js";

export const SIZE = 96;
// While training, the picture is drawn in each frame; what is drawn with lines and letters less often.
const LINES_MS = 90, TERMS_MS = 300;

// How much larger than they are differences are shown.
const ERROR_GAIN = 2;

export const trainer = createTrainer(SIZE);
// What the visitor chose to see, and when things were last done.
export const view = {
  target: "sunset", own: null, hasEllipses: true, hasError: false, chosen: null, pixel: null, shownPixel: null, isHeld: false,
  isTraining: false, speed: null, announcedAt: 0, termsAt: 0, linesAt: 0, drawnAt: 0,
};
const painters = {};

export const find = (id) => document.getElementById(id);
export const announce = (key, values) => (find("status").textContent = say(key, values));
export const figures = () => ({ step: number(trainer.step), loss: small(trainer.measured.loss), psnr: number(quality(trainer), 1) });

export function drawTarget() {
  const { image, target } = trainer;
  if (view.hasError) painters.target((j) => 0.5 + ERROR_GAIN * (image[j] - target[j]));
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
  find("chosen-input").max = count;
  if (view.chosen !== null && view.chosen >= count) view.chosen = null;
  const at = view.chosen === null ? null : showTerms(trainer, view.chosen, view.pixel);
  if (!at) find("terms").replaceChildren();
  view.shownPixel = at;
}

// Whether it is time again for what is done every so many milliseconds; always, where nothing moves.
export function isTime(name, period, now) {
  if (view.isTraining && now - view[name] < period) return false;
  view[name] = now;
  return true;
}

// Everything that depends on the Gaussians.
export function draw(now = performance.now()) {
  painters.render((j) => trainer.image[j]);
  if (view.hasError) drawTarget();
  if (!isTime("linesAt", LINES_MS, now)) return;
  drawFacts();
  drawChart(find("chart"), trainer);
  if (isTime("termsAt", TERMS_MS, now)) drawTerms();
  drawOverlay(find("overlay"), trainer, { ...view, pixel: view.shownPixel });
}

// What depends on the one Gaussian that was chosen.
export function drawChosen() {
  drawTerms();
  drawOverlay(find("overlay"), trainer, { ...view, pixel: view.shownPixel });
}

// The formula of the rendering, and which of the rates it has a use for.
export function showRendering() {
  const { rendering } = trainer.settings;
  find("formula").innerHTML = RENDERING[rendering];
  find("formula-note").textContent = say(`model.${rendering}_note`);
  find("slider-opacity").hidden = rendering === "sum";
}

export function startScreen() {
  painters.target = createPainter(find("target"), SIZE);
  painters.render = createPainter(find("render"), SIZE);
}
