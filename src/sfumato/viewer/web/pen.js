// Drawing on the picture to select, with a box, a lasso or a brush.
import { selectRegion, stopForStroke } from "./edits.js";
import { brushStroke, polygon } from "./regions.js";
import { size } from "./stage.js";

// Distance between corners of a lasso, and their maximum number in scripts.
const LASSO_STEP_PX = 4;
const BRUSH_STEP = 0.3;
const MOST_POINTS = 4000;
// Smaller strokes are clicks, which select nothing.
const LEAST_PX = 3;
const INK = "#4cc9f0";

let tool = null;
let how = "new";
let radius = 28;
let stroke = null;
let hovering = null;
let refused = () => {};
let wentBack = () => {};

/** The active tool: "box", "lasso" or "brush"; null if dragging moves the view. */
export function toolNow() {
  return tool;
}

export function setTool(name) {
  tool = name;
  stroke = hovering = null;
  document.getElementById("stage").classList.toggle("drawing", Boolean(tool));
}

/** The default mode of strokes without modifier keys: "new", "add" or "subtract". */
export function setHow(name) {
  how = name;
}

export function setBrushRadius(px) {
  radius = px;
}

/** Set the listener for selections that become too complicated. */
export function onRefused(listener) {
  refused = listener;
}

/** Set the listener for strokes that go back to the time of the selection, in seconds. */
export function onGoingBack(listener) {
  wentBack = listener;
}

/** Begin a stroke, if a tool is active. */
export function penDown({ clientX, clientY, button, shiftKey, altKey }) {
  if (!tool || button !== 0) return false;
  // Modifier keys change the mode of this stroke, as in other editors.
  const meant = altKey ? "subtract" : shiftKey ? "add" : how;
  const time = stopForStroke(meant);
  if (time !== null) wentBack(time);
  stroke = { points: [[clientX, clientY]], how: meant };
  return true;
}

/** Continue the stroke; returns whether there is one. */
export function penMove({ clientX, clientY }) {
  hovering = tool === "brush" ? [clientX, clientY] : null;
  if (!stroke) return false;
  const [width, height] = size();
  const point = [Math.max(0, Math.min(width, clientX)), Math.max(0, Math.min(height, clientY))];
  const { points } = stroke;
  if (tool === "box") points[1] = point;
  else {
    const last = points.at(-1);
    const step = tool === "brush" ? BRUSH_STEP * radius : LASSO_STEP_PX;
    if (Math.hypot(point[0] - last[0], point[1] - last[1]) >= step && points.length < MOST_POINTS) points.push(point);
  }
  return true;
}

/** Finish the stroke and select its region; returns whether there was one. */
export function penUp() {
  if (!stroke) return false;
  const { points, how: meant } = stroke;
  stroke = null;
  const region = tool === "brush" ? brushStroke(points, radius) : enclosed(points);
  if (region && !selectRegion(region, meant)) refused();
  return true;
}

/** Cancel the stroke. */
export function penAway() {
  const had = Boolean(stroke);
  stroke = hovering = null;
  return had;
}

function corners(points) {
  if (tool !== "box" || points.length < 2) return points;
  const [[left, top], [right, bottom]] = points;
  return [[left, top], [right, top], [right, bottom], [left, bottom]];
}

function enclosed(points) {
  const outline = corners(points);
  const sides = [0, 1].map((axis) => Math.max(...outline.map((p) => p[axis])) - Math.min(...outline.map((p) => p[axis])));
  return outline.length < 3 || Math.min(...sides) < LEAST_PX ? null : polygon(outline);
}

/** Whether there is something to draw over the picture. */
export function hasPen() {
  return Boolean(stroke || hovering);
}

/** Draw the stroke on a 2D context with window coordinates. */
export function drawPen(brush) {
  brush.save();
  brush.strokeStyle = brush.fillStyle = INK;
  brush.lineWidth = 1.5;
  if (hovering) {
    brush.beginPath();
    brush.arc(...hovering, radius, 0, 2 * Math.PI);
    brush.stroke();
  }
  if (stroke) {
    brush.beginPath();
    for (const point of corners(stroke.points)) brush.lineTo(...point);
    if (tool === "brush") {
      brush.lineTo(...stroke.points.at(-1));
      Object.assign(brush, { lineWidth: 2 * radius, lineCap: "round", lineJoin: "round", globalAlpha: 0.3 });
    } else {
      brush.closePath();
      brush.globalAlpha = 0.12;
      brush.fill("evenodd");
      brush.globalAlpha = 1;
      brush.setLineDash([5, 4]);
    }
    brush.stroke();
  }
  brush.restore();
}
