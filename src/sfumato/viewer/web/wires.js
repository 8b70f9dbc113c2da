// Lines over the picture: trails, and frusta in the exact view.
import { drawnFrusta } from "./frusta.js";
import { isExact } from "./exact.js";
import { drawNext, hasNext } from "./map.js";
import { drawPen, hasPen } from "./pen.js";
import { drawMeasure, hasMeasure } from "./measure.js";
import { camera, size } from "./stage.js";
import { drawTrails, hasTrails } from "./trails.js";
import { shown } from "./world.js";

const canvas = document.getElementById("wires");
const brush = canvas.getContext("2d");
const EDGES = [[0, 1], [0, 2], [0, 3], [0, 4], [1, 2], [2, 3], [3, 4], [4, 1]];
let isClean = true;

/** Draw the visible lines; called for each frame. */
export function drawWires() {
  const frusta = isExact() ? drawnFrusta() : [];
  const isEmpty = !frusta.length && !hasTrails() && !hasNext() && !hasPen() && !hasMeasure();
  if (isClean && isEmpty) return;
  const [width, height] = size();
  const ratio = Math.min(devicePixelRatio, 2);
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  brush.scale(ratio, ratio);
  brush.lineWidth = 1.2;
  isClean = isEmpty;
  for (const { points, colour } of frusta) {
    const placed = points.map((point) => shown(point).project(camera));
    if (placed.some((p) => p.z > 1)) continue;
    brush.strokeStyle = `rgb(${colour.map((v) => Math.round(255 * v)).join(" ")})`;
    brush.beginPath();
    for (const [a, b] of EDGES) {
      brush.moveTo(((placed[a].x + 1) / 2) * width, ((1 - placed[a].y) / 2) * height);
      brush.lineTo(((placed[b].x + 1) / 2) * width, ((1 - placed[b].y) / 2) * height);
    }
    brush.stroke();
  }
  drawTrails(brush);
  if (hasNext()) drawNext(brush);
  if (hasPen()) drawPen(brush);
  if (hasMeasure()) drawMeasure(brush);
}
