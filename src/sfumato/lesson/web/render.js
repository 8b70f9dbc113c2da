// From Gaussians to a picture: three planes, red, green and blue, of size x size numbers each.
import { opacity } from "./gaussians.js";

// What an opacity may be at most at one pixel, so that something always shines through to divide by.
export const DENSEST = 0.999;

// Additive: C(p) = Σ c G(p). Colours may be negative: what one Gaussian added, another may take away.
export function renderSum(gaussians, boxes, size, image) {
  const { of, count } = gaussians;
  const plane = size * size;
  image.fill(0);
  for (let i = 0; i < count; i++) {
    const x = of.x[i], y = of.y[i], u = Math.exp(of.logU[i]), v = Math.exp(of.logV[i]);
    const cos = Math.cos(of.angle[i]), sin = Math.sin(of.angle[i]);
    const red = of.red[i], green = of.green[i], blue = of.blue[i];
    for (let row = boxes.top[i]; row < boxes.bottom[i]; row++) {
      const dy = row + 0.5 - y;
      for (let column = boxes.left[i], p = row * size + column; column < boxes.right[i]; column++, p++) {
        const dx = column + 0.5 - x;
        const a = (dx * cos + dy * sin) / u, b = (dy * cos - dx * sin) / v;
        const value = Math.exp(-0.5 * (a * a + b * b));
        image[p] += red * value;
        image[p + plane] += green * value;
        image[p + 2 * plane] += blue * value;
      }
    }
  }
}

// Alpha compositing, front to back: C(p) = Σ c α T, where α = o G(p) and T = Π (1 - α) over those in front. In two
// dimensions nothing is nearer than anything else; the order is that of the table. Behind all of it is black.
export function renderOver(gaussians, boxes, size, image, through) {
  const { of, count } = gaussians;
  const plane = size * size;
  image.fill(0);
  through.fill(1);
  for (let i = 0; i < count; i++) {
    const x = of.x[i], y = of.y[i], u = Math.exp(of.logU[i]), v = Math.exp(of.logV[i]);
    const cos = Math.cos(of.angle[i]), sin = Math.sin(of.angle[i]);
    const red = of.red[i], green = of.green[i], blue = of.blue[i], o = opacity(of, i);
    for (let row = boxes.top[i]; row < boxes.bottom[i]; row++) {
      const dy = row + 0.5 - y;
      for (let column = boxes.left[i], p = row * size + column; column < boxes.right[i]; column++, p++) {
        const dx = column + 0.5 - x;
        const a = (dx * cos + dy * sin) / u, b = (dy * cos - dx * sin) / v;
        const alpha = Math.min(DENSEST, o * Math.exp(-0.5 * (a * a + b * b)));
        const weight = alpha * through[p];
        image[p] += red * weight;
        image[p + plane] += green * weight;
        image[p + 2 * plane] += blue * weight;
        through[p] *= 1 - alpha;
      }
    }
  }
}
