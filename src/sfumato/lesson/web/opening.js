// The picture above the title: a sunset that becomes clearer from left to right, as Gaussians become finer.
import { createRandom } from "./random.js";
import { TARGETS } from "./targets.js";

const LAYERS = 9, COARSEST = 0.17, FINER = 0.64, MOST = 4000, REACH = 2.4;

export function paintOpening(canvas) {
  const { width, height } = canvas, random = createRandom(3), pixels = new Float32Array(4 * width * height);
  for (let layer = 0, sigma = COARSEST * height; layer < LAYERS; layer++, sigma *= FINER) {
    // Each finer layer begins further to the right, and all of them begin with less and less between them.
    const from = (0.06 + (0.8 * layer) / LAYERS) * width;
    const count = Math.min(MOST, Math.round((0.55 * (width - from) * height) / (sigma * sigma)));
    for (let i = 0; i < count; i++) {
      const x = from + (width - from) * random() ** 0.85, y = height * (-0.05 + 1.1 * random());
      const place = [0.62 + (0.85 * (x - 0.7 * width)) / height, 0.12 + (0.85 * y) / height];
      const strength = 0.9 * Math.min(1, (x - from) / (layer ? 2.5 * sigma : 0.2 * width));
      const size = sigma * (0.7 + 0.6 * random());
      lay(pixels, width, height, { x, y, across: 1.35 * size, down: 0.75 * size, strength, colour: TARGETS.sunset(...place) });
    }
  }
  show(canvas, pixels);
}

// One Gaussian over those that are there: colours times alpha, and alpha.
function lay(pixels, width, height, { x, y, across, down, strength, colour }) {
  const left = Math.max(0, Math.ceil(x - REACH * across)), right = Math.min(width, Math.floor(x + REACH * across));
  const top = Math.max(0, Math.ceil(y - REACH * down)), bottom = Math.min(height, Math.floor(y + REACH * down));
  const falling = (away) => Math.exp(-0.5 * away * away);
  const along = Float32Array.from({ length: Math.max(0, right - left) }, (_, k) => falling((left + k - x) / across));
  const [red, green, blue] = colour;
  for (let row = top; row < bottom; row++) {
    const weight = strength * falling((row - y) / down);
    for (let k = 0, j = 4 * (row * width + left); k < along.length; k++, j += 4) {
      const alpha = weight * along[k], rest = 1 - alpha;
      pixels[j] = pixels[j] * rest + red * alpha;
      pixels[j + 1] = pixels[j + 1] * rest + green * alpha;
      pixels[j + 2] = pixels[j + 2] * rest + blue * alpha;
      pixels[j + 3] = pixels[j + 3] * rest + alpha;
    }
  }
}

function show(canvas, pixels) {
  const context = canvas.getContext("2d"), shown = context.createImageData(canvas.width, canvas.height);
  for (let j = 0; j < pixels.length; j += 4) {
    const alpha = pixels[j + 3] || 1;
    for (let k = 0; k < 3; k++) shown.data[j + k] = (255 * pixels[j + k]) / alpha;
    shown.data[j + 3] = 255 * pixels[j + 3];
  }
  context.putImageData(shown, 0, 0);
}
