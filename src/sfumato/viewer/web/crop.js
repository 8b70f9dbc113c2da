// The crop box, in the scene's frame: nothing outside it is drawn.
import { manifest } from "./data.js";
import { buildEnding } from "./endings.js";
import { cropNow, setCrop } from "./look.js";
import { touch } from "./stage.js";
import { world } from "./world.js";

const card = document.getElementById("crop");
const toggle = document.getElementById("crop-toggle");
const output = document.getElementById("crop-box");
const STEPS = 1000;
const AXES = ["x", "y", "z"];
const EDGES = [0, 1, 1, 3, 3, 2, 2, 0, 4, 5, 5, 7, 7, 6, 6, 4, 0, 4, 1, 5, 2, 6, 3, 7];

const whole = manifest.bounds;
const rows = [];
let box = null;
let outline = null;

/** Build the sliders and the outline of the box; `say` shows messages. */
export function buildCrop(say) {
  for (const [axis, name] of AXES.entries()) rows.push(makeRow(axis, name));
  outline = new vendor.LineSegments(new vendor.BufferGeometry(), new vendor.LineBasicMaterial({ color: 0xe8b464, transparent: true, opacity: 0.8 }));
  outline.visible = false;
  world.add(outline);
  toggle.addEventListener("click", () => showCrop(card.hidden));
  document.getElementById("crop-reset").addEventListener("click", () => setBox(copyOf(whole)));
  if (manifest.live) return;
  buildEnding("crop-ending", () => (cropNow() ? [{ do: "keep", where: { box: rounded(cropNow()) } }] : []), say);
}

function copyOf({ low, high }) {
  return { low: [...low], high: [...high] };
}

function rounded({ low, high }) {
  const short = (corner) => corner.map((v) => Number(v.toPrecision(7)));
  return { low: short(low), high: short(high) };
}

function makeRow(axis, name) {
  const label = document.createElement("span");
  label.textContent = name;
  const range = document.createElement("div");
  range.className = "range";
  const inputs = ["low", "high"].map((side) => {
    const input = document.createElement("input");
    Object.assign(input, { type: "range", min: 0, max: STEPS, step: 1 });
    input.setAttribute("aria-label", `${side === "low" ? "least" : "greatest"} ${name}`);
    input.addEventListener("input", () => slide(axis, side, Number(input.value) / STEPS));
    range.append(input);
    return input;
  });
  document.getElementById("crop-sliders").append(label, range);
  return { range, inputs };
}

function slide(axis, side, share) {
  const value = whole.low[axis] + share * (whole.high[axis] - whole.low[axis]);
  box[side][axis] = side === "low" ? Math.min(value, box.high[axis]) : Math.max(value, box.low[axis]);
  setBox(box);
}

/** Open the card and crop to the last box, or close it and show everything. */
export function showCrop(wanted) {
  card.hidden = !wanted;
  toggle.setAttribute("aria-pressed", String(wanted));
  outline.visible = wanted;
  if (wanted) setBox(box ?? copyOf(whole));
  else setCrop(null);
  touch();
}

/** The box, or null if cropping is off. */
export function cropBox() {
  return card.hidden ? null : box;
}

/** Crop to a box in the scene's frame. */
export function setBox(wanted) {
  box = wanted;
  for (const [axis, { range, inputs }] of rows.entries()) {
    const shares = ["low", "high"].map((side) => (box[side][axis] - whole.low[axis]) / (whole.high[axis] - whole.low[axis]));
    inputs.forEach((input, i) => (input.value = Math.round(shares[i] * STEPS)));
    range.style.setProperty("--from", `${100 * shares[0]}%`);
    range.style.setProperty("--to", `${100 * shares[1]}%`);
  }
  const words = (corner) => corner.map((v) => v.toPrecision(4).padStart(9)).join(" ");
  output.textContent = `from ${words(box.low)}\n  to ${words(box.high)}`;
  drawOutline();
  // A slider at its end does not crop.
  setCrop({
    low: box.low.map((v, i) => (v <= whole.low[i] ? -1e30 : v)),
    high: box.high.map((v, i) => (v >= whole.high[i] ? 1e30 : v)),
  });
}

function drawOutline() {
  const points = [];
  for (let i = 0; i < 8; i++) points.push(...AXES.map((_, axis) => (i & (1 << axis) ? box.high : box.low)[axis]));
  outline.geometry.dispose();
  outline.geometry = new vendor.BufferGeometry();
  outline.geometry.setAttribute("position", new vendor.BufferAttribute(new Float32Array(points), 3));
  outline.geometry.setIndex(EDGES);
}
