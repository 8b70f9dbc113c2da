// Mouse, touch and keys held down.
import { leavesWheel } from "./embed.js";
import { qualityWords } from "./quality.js";
import { cameraAt, pointAt } from "./pick.js";
import { penAway, penDown, penMove, penUp, toolNow } from "./pen.js";
import { pickerNow } from "./picking.js";
import { fly, orbit, pan, setPivot, standIn, turnHead, zoom } from "./motion.js";
import { say } from "./panel.js";
import { isTrailing, pickTrail } from "./trails.js";
import { inScene, radius } from "./world.js";

const canvas = document.getElementById("stage");
const tip = document.getElementById("tip");
const TURN = 0.0055;
const CLICK_PX = 5;
const MOVES = { KeyW: [0, 0, -1], KeyS: [0, 0, 1], KeyA: [-1, 0, 0], KeyD: [1, 0, 0], KeyQ: [0, -1, 0], KeyE: [0, 1, 0] };
const TURNS = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

const pointers = new Map();
const held = new Set();
let travelled = 0;
let pinch = null;
let lastTap = { time: 0, x: 0, y: 0 };

/** Listen to the canvas and the keyboard. */
export function listen() {
  canvas.addEventListener("pointerdown", down);
  canvas.addEventListener("pointermove", move);
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, up);
  canvas.addEventListener("pointerleave", () => {
    stopPointing();
    if (!pointers.size) penAway();
  });
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("wheel", wheel, { passive: false });
  addEventListener("keydown", keyDown);
  addEventListener("keyup", (event) => held.delete(event.key === "Shift" ? "Shift" : event.code));
  addEventListener("blur", () => held.clear());
}

function down(event) {
  canvas.setPointerCapture(event.pointerId);
  canvas.focus({ preventScroll: true });
  pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  if (pointers.size === 1) travelled = 0;
  // A second finger moves the view and cancels what the first one has begun.
  if (pointers.size > 1) penAway();
  else if (penDown(event)) return;
  pinch = pointers.size === 2 ? spread() : null;
  canvas.classList.add("dragging");
}

function spread() {
  const [a, b] = [...pointers.values()];
  return { distance: Math.hypot(a.x - b.x, a.y - b.y), x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
}

function move(event) {
  const before = pointers.get(event.pointerId);
  const draws = penMove(event);
  if (!before) {
    if (toolNow()) return;
    hover(cameraAt(event.clientX, event.clientY), event);
    return;
  }
  const [dx, dy] = [event.clientX - before.x, event.clientY - before.y];
  pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  travelled += Math.abs(dx) + Math.abs(dy);
  if (draws || travelled < CLICK_PX) return;
  if (pointers.size === 2 && pinch) {
    const now = spread();
    zoom(1.4 * Math.log(now.distance / Math.max(pinch.distance, 1)));
    pan(now.x - pinch.x, now.y - pinch.y);
    pinch = now;
  } else if (pointers.size === 1) {
    if (event.shiftKey || event.buttons & 6) pan(dx, dy);
    else orbit(-dx * TURN, -dy * TURN);
  }
}

function up(event) {
  if (!pointers.delete(event.pointerId)) return;
  pinch = null;
  const drew = event.type === "pointerup" ? penUp() : penAway();
  if (pointers.size) return;
  canvas.classList.remove("dragging");
  if (!drew && !toolNow() && event.type === "pointerup" && travelled < CLICK_PX) click(event);
}

function click(event) {
  const isSecond = !pickerNow() && event.timeStamp - lastTap.time < 350 && Math.hypot(event.clientX - lastTap.x, event.clientY - lastTap.y) < 20;
  lastTap = { time: isSecond ? 0 : event.timeStamp, x: event.clientX, y: event.clientY };
  if (isSecond) {
    const point = pointAt(event.clientX, event.clientY);
    if (point) setPivot(point);
    return;
  }
  const take = pickerNow();
  if (take) {
    const point = pointAt(event.clientX, event.clientY);
    if (point) take(inScene(point).toArray().map((v) => Number(v.toPrecision(7))));
    else say("There is no surface here");
    return;
  }
  const view = cameraAt(event.clientX, event.clientY);
  if (view) standIn(view);
  else if (isTrailing() && !pickTrail(event.clientX, event.clientY)) say("Nothing moves here");
}

/** Hide the tip, as the camera under the pointer has moved away. */
export function stopPointing() {
  hover(null);
}

function hover(view, event) {
  canvas.classList.toggle("pointing", Boolean(view));
  tip.hidden = !view;
  if (!view) return;
  tip.textContent = [view.name, qualityWords(view)].filter(Boolean).join("  ·  ");
  tip.style.left = `${Math.min(event.clientX, innerWidth - 180)}px`;
  tip.style.top = `${event.clientY}px`;
}

function wheel(event) {
  if (leavesWheel()) return;
  event.preventDefault();
  const pixels = event.deltaY * [1, 16, 400][event.deltaMode];
  zoom(-Math.max(-240, Math.min(240, pixels)) * (event.ctrlKey ? 0.008 : 0.0014));
}

function keyDown(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, dialog *, [role=slider]")) return;
  if (event.code in MOVES || event.code in TURNS) {
    held.add(event.code);
    event.preventDefault();
  }
  if (event.key === "Shift") held.add("Shift");
}

/** Fly according to the keys held down. */
export function flyByKeys(seconds) {
  const step = seconds * radius * (held.has("Shift") ? 2.2 : 0.55);
  for (const code of held) {
    if (code in MOVES) fly(...MOVES[code].map((v) => v * step));
    if (code in TURNS) turnHead(...TURNS[code].map((v) => v * seconds * 1.1));
  }
}
