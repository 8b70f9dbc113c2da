// Quality of views: PSNR as a colour.
import { cameras } from "./world.js";

// From the worst to the best; also distinguishable for colour-blind people.
const COLOURS = [[0.86, 0.27, 0.2], [0.96, 0.72, 0.38], [0.93, 0.93, 0.78], [0.45, 0.75, 0.83], [0.19, 0.5, 0.78]];
export const UNKNOWN = [0.4, 0.4, 0.4];

const measured = cameras.filter((view) => view.psnr !== null);

/** Whether any view was measured. */
export const hasQuality = measured.length > 0;

function ends() {
  const found = measured.map((view) => view.psnr);
  const [low, high] = [Math.floor(Math.min(...found)), Math.ceil(Math.max(...found))];
  return [low, Math.max(high, low + 1)];
}
const [worst, best] = hasQuality ? ends() : [0, 1];

/** Red, green and blue of a view, each from 0 to 1. */
export function colourOfQuality(view) {
  if (view.psnr === null) return UNKNOWN;
  const at = ((view.psnr - worst) / (best - worst)) * (COLOURS.length - 1);
  const i = Math.min(Math.floor(at), COLOURS.length - 2);
  return COLOURS[i].map((v, k) => v + (at - i) * (COLOURS[i + 1][k] - v));
}

/** A colour in CSS syntax. */
export function cssColour(colour) {
  return `rgb(${colour.map((v) => Math.round(255 * v)).join(" ")})`;
}

/** The legend: [from, gradient, to, the rest]. */
export function qualityLegend() {
  const stops = COLOURS.map(cssColour).join(",");
  const rest = measured.length < cameras.length ? `grey: not measured` : "";
  return [`${worst}`, `linear-gradient(90deg,${stops})`, `${best} dB`, rest];
}

/** The metrics of a view as text. */
export function qualityWords(view) {
  if (view.psnr === null) return "";
  return view.ssim === null ? `${view.psnr.toFixed(2)} dB` : `${view.psnr.toFixed(2)} dB, SSIM ${view.ssim.toFixed(3)}`;
}
