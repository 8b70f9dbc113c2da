// Training: render, compare, go back through the formulas, step. Everything else on this page shows or controls this.
import { adamStep, createAdam, forget, forgetAll } from "./adam.js";
import { densify, prune, rememberPull } from "./densify.js";
import { CAPACITY, createBoxes, createGaussians, findBoxes, keepRound, keepSizes, scatter, table } from "./gaussians.js";
import { gradientsOfOver, gradientsOfSum, roundGradients } from "./gradients.js";
import { createLoss, psnr } from "./loss.js";
import { createRandom } from "./random.js";
import { renderOver, renderSum } from "./render.js";

export const DEFAULTS = {
  count: 100, isRound: false, rendering: "sum", lambda: 0.2, byItself: false,
  rates: { position: 0.25, shape: 0.025, colour: 0.02, opacity: 0.05 },
};
export const MOST = 400;
const SEED = 1;
// Steps between two densifications, where they come by themselves.
const PERIOD = 100;

export function createTrainer(size) {
  const numbers = (count) => new Float64Array(count);
  const trainer = {
    size, settings: structuredClone(DEFAULTS), target: numbers(3 * size * size), step: 0, measured: null, history: [], events: [],
    gaussians: createGaussians(), boxes: createBoxes(), gradient: table(), adam: createAdam(), pull: numbers(CAPACITY),
    image: numbers(3 * size * size), ofImage: numbers(3 * size * size),
    soFar: numbers(3 * size * size), through: numbers(size * size),
  };
  trainer.loss = createLoss(trainer.target, size);
  return trainer;
}

// The picture, the loss and all gradients of the Gaussians as they are; nothing moves.
export function evaluate(trainer) {
  const { gaussians, boxes, size, gradient, settings } = trainer;
  findBoxes(gaussians, size, boxes);
  differentiate(trainer);
  if (settings.isRound) roundGradients(gradient, gaussians.count);
}

// The same within given boxes.
export function differentiate(trainer) {
  const { gaussians, boxes, size, image, ofImage, soFar, through, gradient, settings } = trainer;
  if (settings.rendering === "sum") renderSum(gaussians, boxes, size, image);
  else renderOver(gaussians, boxes, size, image, through);
  trainer.measured = trainer.loss.measure(image, settings.lambda, ofImage);
  if (settings.rendering === "sum") gradientsOfSum(gaussians, boxes, size, ofImage, gradient);
  else gradientsOfOver(gaussians, boxes, size, ofImage, image, soFar, through, gradient);
}

export function trainStep(trainer) {
  const { gaussians, gradient, settings, adam } = trainer;
  adamStep(adam, gaussians.of, gradient, settings.rates, gaussians.count);
  if (settings.isRound) keepRound(gaussians.of, gaussians.count);
  keepSizes(gaussians.of, gaussians.count, trainer.size);
  trainer.step += 1;
  evaluate(trainer);
  rememberPull(trainer.pull, gradient, gaussians.count);
  trainer.history.push(trainer.measured.loss);
  if (settings.byItself && trainer.step % PERIOD === 0) {
    densifyNow(trainer);
    pruneNow(trainer);
  }
}

export function densifyNow(trainer) {
  const { gaussians, pull, gradient, settings } = trainer;
  const done = densify(gaussians, pull, gradient, MOST, settings.rendering, trainer.random);
  for (const i of done.changed) forget(trainer.adam, i);
  pull.fill(0);
  trainer.events.push({ step: trainer.step, count: gaussians.count });
  evaluate(trainer);
  return done;
}

export function pruneNow(trainer) {
  const { gaussians, boxes, settings, adam } = trainer;
  const removed = prune(gaussians, boxes, settings.rendering, [adam.mean, adam.square]);
  if (removed) {
    trainer.pull.fill(0);
    evaluate(trainer);
  }
  return removed;
}

// Back to the beginning, with the settings as they are.
export function reset(trainer) {
  const { gaussians, settings } = trainer;
  trainer.random = createRandom(SEED);
  trainer.step = 0;
  gaussians.isRound = settings.isRound;
  scatter(gaussians, settings.count, trainer.size, trainer.random);
  forgetAll(trainer.adam);
  trainer.pull.fill(0);
  evaluate(trainer);
  trainer.history = [trainer.measured.loss];
  trainer.events = [];
}

export function aimAt(trainer, target) {
  trainer.target.set(target);
  trainer.loss = createLoss(trainer.target, trainer.size);
  reset(trainer);
}

export const quality = (trainer) => psnr(trainer.image, trainer.target);
