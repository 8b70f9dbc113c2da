// Are the formulas right? Each gradient is compared with finite differences: the loss a little further on, minus the
// loss a little before, over the way between. Boxes stay as they are meanwhile; the formulas know nothing of borders.
import { findBoxes, PARAMETERS, scatter } from "./gaussians.js";
import { roundGradients } from "./gradients.js";
import { createLoss } from "./loss.js";
import { createRandom } from "./random.js";
import { createTrainer, differentiate, evaluate } from "./trainer.js";

const SIZE = 24, COUNT = 7, STEP = 1e-5;
// Gradients that are smaller than this share of the largest of their kind are compared with it instead.
const SMALL = 1e-3;

// A few Gaussians of all sorts, and a target that the picture nowhere meets: |C - Ĉ| has no gradient at 0.
function problem(rendering, isRound) {
  const random = createRandom(7), trainer = createTrainer(SIZE), { gaussians } = trainer, { of } = gaussians;
  Object.assign(trainer.settings, { rendering, isRound, lambda: 0.4 });
  gaussians.isRound = isRound;
  scatter(gaussians, COUNT, SIZE, random);
  for (let i = 0; i < COUNT; i++) {
    of.logU[i] += 0.6 * random();
    of.logV[i] = isRound ? of.logU[i] : of.logV[i] - 0.6 * random();
    for (const name of ["red", "green", "blue"]) of[name][i] = random();
    of.logit[i] = 3 * random() - 1.5;
  }
  evaluate(trainer);
  trainer.target.set(trainer.image.map((value) => value + (random() < 0.5 ? -1 : 1) * (0.05 + 0.3 * random())));
  trainer.loss = createLoss(trainer.target, SIZE);
  findBoxes(gaussians, SIZE, trainer.boxes);
  return trainer;
}

// Both sizes of a round Gaussian are one parameter, and its angle is none.
function together(name, isRound) {
  if (!isRound) return [name];
  return { logU: ["logU", "logV"], logV: [], angle: [] }[name] ?? [name];
}

function compare(rendering, isRound) {
  const trainer = problem(rendering, isRound), { of } = trainer.gaussians;
  const lossWith = (columns, i, change) => {
    for (const column of columns) of[column][i] += change;
    differentiate(trainer);
    for (const column of columns) of[column][i] -= change;
    return trainer.measured.loss;
  };
  differentiate(trainer);
  if (isRound) roundGradients(trainer.gradient, COUNT);
  const formulas = Object.fromEntries(PARAMETERS.map((name) => [name, trainer.gradient[name].slice(0, COUNT)]));
  const rows = [];
  for (const parameter of PARAMETERS) {
    const columns = together(parameter, isRound), exact = formulas[parameter];
    if (!columns.length || (parameter === "logit" && rendering === "sum")) continue;
    const numeric = exact.map((_, i) => (lossWith(columns, i, STEP) - lossWith(columns, i, -STEP)) / (2 * STEP));
    const largest = Math.max(...numeric.map(Math.abs));
    const differences = exact.map((value, i) => Math.abs(value - numeric[i]) / Math.max(Math.abs(numeric[i]), SMALL * largest));
    rows.push({ rendering, isRound, parameter, count: COUNT, largest, worst: Math.max(...differences) });
  }
  return rows;
}

// For both renderings and both kinds of Gaussians, each parameter: the largest relative difference.
export function checkGradients() {
  return ["sum", "over"].flatMap((rendering) => [false, true].flatMap((isRound) => compare(rendering, isRound)));
}
