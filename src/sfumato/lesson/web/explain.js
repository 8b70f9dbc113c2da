// The terms that one Gaussian's gradient consists of, at one pixel: what the page shows in numbers.
import { COLOURS, opacity } from "./gaussians.js";
import { DENSEST } from "./render.js";

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

// G(p), and Σ⁻¹ (p - μ) in x and y.
function valueAt(of, i, column, row) {
  const u = Math.exp(of.logU[i]), v = Math.exp(of.logV[i]);
  const cos = Math.cos(of.angle[i]), sin = Math.sin(of.angle[i]);
  const dx = column + 0.5 - of.x[i], dy = row + 0.5 - of.y[i];
  const a = (dx * cos + dy * sin) / u, b = (dy * cos - dx * sin) / v;
  return {
    value: Math.exp(-0.5 * (a * a + b * b)),
    towards: [(a / u) * cos - (b / v) * sin, (a / u) * sin + (b / v) * cos],
  };
}

function reaches(boxes, i, column, row) {
  return column >= boxes.left[i] && column < boxes.right[i] && row >= boxes.top[i] && row < boxes.bottom[i];
}

// How the picture at a pixel changes with G(p): by colour c in a sum; in compositing by o (c T - S / (1 - α)).
function change(trainer, i, column, row) {
  const { gaussians: { of }, boxes, settings, image, size } = trainer;
  const colour = COLOURS.map((name) => of[name][i]);
  if (settings.rendering === "sum") return { colour, contrast: colour, factor: 1 };
  const behind = [0, 1, 2].map((k) => image[k * size * size + row * size + column]);
  let through = 1, before = 1, alpha = 0;
  for (let j = 0; j <= i; j++) {
    before = through;
    if (!reaches(boxes, j, column, row)) continue;
    alpha = Math.min(DENSEST, opacity(of, j) * valueAt(of, j, column, row).value);
    COLOURS.forEach((name, k) => (behind[k] -= of[name][j] * alpha * through));
    through *= 1 - alpha;
  }
  const isFull = alpha >= DENSEST;
  const contrast = colour.map((value, k) => (isFull ? 0 : value * before - behind[k] / (1 - alpha)));
  return { colour, contrast, factor: opacity(of, i), through: before };
}

// All terms at a pixel. `share` is that pixel's part of ∂L/∂μ; over all pixels of the box they add up to it.
export function explain(trainer, i, column, row) {
  const { gaussians: { of }, boxes, gradient, ofImage, image, target, size } = trainer;
  const planes = [0, 1, 2].map((k) => k * size * size + row * size + column);
  const terms = { ...valueAt(of, i, column, row), ...change(trainer, i, column, row), column, row };
  terms.residual = planes.map((p) => image[p] - target[p]);
  terms.ofImage = planes.map((p) => ofImage[p]);
  const weight = reaches(boxes, i, column, row) ? dot(terms.ofImage, terms.contrast) * terms.factor * terms.value : 0;
  terms.share = terms.towards.map((value) => weight * value);
  terms.gradient = [gradient.x[i], gradient.y[i]];
  terms.pixels = (boxes.right[i] - boxes.left[i]) * (boxes.bottom[i] - boxes.top[i]);
  return terms;
}

// The pixel whose part is largest.
export function strongestPixel(trainer, i) {
  const { boxes } = trainer;
  let best = { column: Math.max(0, boxes.left[i]), row: Math.max(0, boxes.top[i]) }, most = -1;
  for (let row = boxes.top[i]; row < boxes.bottom[i]; row++) {
    for (let column = boxes.left[i]; column < boxes.right[i]; column++) {
      const size = Math.hypot(...explain(trainer, i, column, row).share);
      if (size > most) [best, most] = [{ column, row }, size];
    }
  }
  return best;
}

// The Gaussian whose centre is nearest to a place in the picture.
export function nearest(trainer, x, y) {
  const { of, count } = trainer.gaussians;
  let best = 0;
  const away = (i) => Math.hypot(of.x[i] - x, of.y[i] - y);
  for (let i = 1; i < count; i++) if (away(i) < away(best)) best = i;
  return best;
}
