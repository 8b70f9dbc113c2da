// Over the picture: each Gaussian as the ellipse of one standard deviation, and the chosen one's gradient as arrows.
import { COLOURS, opacity } from "./gaussians.js";

const LONGEST_PX = 58, SHORTEST_PX = 10;

function fit(canvas) {
  const scale = devicePixelRatio || 1, side = Math.round(canvas.clientWidth * scale);
  if (canvas.width !== side || canvas.height !== side) canvas.width = canvas.height = side;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, side, side);
  return context;
}

// Twice, dark under light, so that it can be seen on any picture.
function line(context, trace, colour, width) {
  for (const [style, extra] of [["rgb(0 0 0 / 55%)", 2], [colour, 0]]) {
    context.strokeStyle = style;
    context.lineWidth = width + extra;
    context.beginPath();
    trace();
    context.stroke();
  }
}

function arrow(context, x, y, dx, dy, colour, width) {
  const head = Math.min(4 + 2.2 * width, 0.7 * Math.hypot(dx, dy)), along = Math.atan2(dy, dx);
  const barb = (side) => [x + dx - head * Math.cos(along + side), y + dy - head * Math.sin(along + side)];
  context.lineCap = context.lineJoin = "round";
  line(context, () => {
    context.moveTo(x, y);
    context.lineTo(x + dx, y + dy);
    context.moveTo(...barb(-0.55));
    context.lineTo(x + dx, y + dy);
    context.lineTo(...barb(0.55));
  }, colour, width);
}

// From the largest gradient of all Gaussians to the length of an arrow; the root keeps small ones visible.
function lengthOf(value, largest) {
  if (!value) return 0;
  return Math.sign(value) * (SHORTEST_PX + (LONGEST_PX - SHORTEST_PX) * Math.sqrt(Math.abs(value) / largest));
}

function drawEllipse(context, of, i, scale, times) {
  const u = Math.exp(of.logU[i]) * scale * times, v = Math.exp(of.logV[i]) * scale * times;
  context.ellipse(of.x[i] * scale, of.y[i] * scale, u, v, of.angle[i], 0, 2 * Math.PI);
}

function drawAll(context, trainer, scale) {
  const { gaussians: { of, count }, settings } = trainer;
  for (const [style, width] of [["rgb(0 0 0 / 30%)", 2.4], ["#fff", 1]]) {
    context.strokeStyle = style;
    context.lineWidth = width;
    for (let i = 0; i < count; i++) {
      const strength = settings.rendering === "over" ? opacity(of, i)
        : Math.max(...COLOURS.map((name) => Math.abs(of[name][i])));
      const takesAway = settings.rendering === "sum" && of.red[i] + of.green[i] + of.blue[i] < 0;
      context.globalAlpha = Math.min(0.85, 0.15 + 1.4 * strength);
      context.setLineDash(takesAway ? [3, 4] : []);
      context.beginPath();
      drawEllipse(context, of, i, scale, 1);
      context.stroke();
    }
  }
  context.globalAlpha = 1;
  context.setLineDash([]);
}

// The descent goes against the gradient: an arrow for the centre, and one at each end of each axis for its size.
function drawChosen(context, trainer, i, scale) {
  const { gaussians: { of, count }, gradient, settings } = trainer;
  const x = of.x[i] * scale, y = of.y[i] * scale;
  line(context, () => drawEllipse(context, of, i, scale, 1), "#ffd28a", 2);
  let pull = 0, growth = 0;
  for (let j = 0; j < count; j++) {
    pull = Math.max(pull, Math.hypot(gradient.x[j], gradient.y[j]));
    growth = Math.max(growth, Math.abs(gradient.logU[j]), Math.abs(gradient.logV[j]));
  }
  for (const [name, turn] of [["logU", 0], ["logV", Math.PI / 2]]) {
    const to = gradient[settings.isRound ? "logU" : name][i];
    const size = Math.exp(of[name][i]) * scale, length = Math.max(0.6 * lengthOf(-to, growth), -0.75 * size);
    for (const along of [of.angle[i] + turn, of.angle[i] + turn + Math.PI]) {
      const cos = Math.cos(along), sin = Math.sin(along);
      if (length) arrow(context, x + size * cos, y + size * sin, length * cos, length * sin, "#8fd3ee", 1.6);
    }
  }
  const size = Math.hypot(gradient.x[i], gradient.y[i]), length = lengthOf(size, pull);
  if (size) arrow(context, x, y, (-length * gradient.x[i]) / size, (-length * gradient.y[i]) / size, "#ffb347", 3);
}

function drawPixel(context, pixel, scale) {
  line(context, () => context.rect(pixel.column * scale, pixel.row * scale, scale, scale), "#fff", 1.4);
}

export function drawOverlay(canvas, trainer, { hasEllipses, chosen, pixel }) {
  const context = fit(canvas), scale = canvas.clientWidth / trainer.size;
  if (hasEllipses) drawAll(context, trainer, scale);
  if (chosen === null) return;
  drawChosen(context, trainer, chosen, scale);
  if (pixel) drawPixel(context, pixel, scale);
}
