// Adam (Kingma and Ba, 2015): each number steps by its rate times the mean of its gradients over their root mean square,
// both with exponential forgetting. The first steps are corrected for means that began at zero.
import { PARAMETERS, table } from "./gaussians.js";

const MEMORY_OF_MEAN = 0.9, MEMORY_OF_SQUARE = 0.999, TINY = 1e-15;
// Which of the rates moves which number.
const RATE_OF = {
  x: "position", y: "position", logU: "shape", logV: "shape", angle: "shape",
  red: "colour", green: "colour", blue: "colour", logit: "opacity",
};

export function createAdam() {
  return { steps: 0, mean: table(), square: table() };
}

export function forgetAll(adam) {
  adam.steps = 0;
  for (const name of PARAMETERS) {
    adam.mean[name].fill(0);
    adam.square[name].fill(0);
  }
}

// A Gaussian that was just made, or changed by other means, begins without a past.
export function forget(adam, i) {
  for (const name of PARAMETERS) adam.mean[name][i] = adam.square[name][i] = 0;
}

export function adamStep(adam, of, gradient, rates, count) {
  adam.steps += 1;
  for (const name of PARAMETERS) {
    const values = of[name], gradients = gradient[name], mean = adam.mean[name], square = adam.square[name];
    const rate = rates[RATE_OF[name]];
    const fullMean = 1 - MEMORY_OF_MEAN ** adam.steps, fullSquare = 1 - MEMORY_OF_SQUARE ** adam.steps;
    for (let i = 0; i < count; i++) {
      mean[i] += (1 - MEMORY_OF_MEAN) * (gradients[i] - mean[i]);
      square[i] += (1 - MEMORY_OF_SQUARE) * (gradients[i] * gradients[i] - square[i]);
      values[i] -= (rate * (mean[i] / fullMean)) / (Math.sqrt(square[i] / fullSquare) + TINY);
    }
  }
}
