// Map of the scene from above: cameras, trusted region, visitor, and recommended photographs.
import { manifest } from "./data.js";
import { goTo, isStaying, setStaying } from "./motion.js";
import { displacementOf, outsideBy } from "./reach.js";
import { camera, size, touch } from "./stage.js";
import { isFading, placesOfTrust, setFading, someCentres, whyNoTrust } from "./trust.js";
import { cameras, inScene, radius, shown, world } from "./world.js";

const byId = (name) => document.getElementById(name);
const card = byId("map");
const canvas = byId("map-picture");
const brush = canvas.getContext("2d");
const list = byId("map-next");
const CELLS = 56;
const CELLS_A_FRAME = 120;
// Number of Gaussians drawn as points.
const GROUND = 4000;
// Margin around the contents of the map, as a fraction of their size.
const MARGIN = 0.12;
const NEXT = "#7cc4ff";
const INSIDE = [64, 178, 96];
const DRAWN_EVERY_MS = 60;

const next = manifest.trust?.next ?? [];
let ground = null;
let area = null;
let cells = null;
let cellAt = 0;
let turned = "";
let drawnAt = 0;
let drawn = "";

/** Wire the card, if trust is known. */
export function buildMap(onChanged) {
  for (const name of ["map-toggle", "fade-toggle"]) byId(name).hidden = Boolean(whyNoTrust());
  if (whyNoTrust()) return;
  byId("map-toggle").addEventListener("click", () => showMap(card.hidden, onChanged));
  byId("fade-toggle").addEventListener("click", () => fade(!isFading()));
  byId("inside-toggle").addEventListener("click", () => stay(!isStaying()));
  for (const [index, one] of next.entries()) {
    const [item, button] = [document.createElement("li"), document.createElement("button")];
    button.textContent = one.says;
    button.title = "Look from there";
    button.addEventListener("click", () => goThere(index));
    item.append(button);
    list.append(item);
  }
  byId("map-hint").hidden = !next.length;
  tellSwitches();
}

/** Update the display of the switches. */
export function tellSwitches() {
  byId("fade-toggle").setAttribute("aria-pressed", String(isFading()));
  byId("inside-toggle").setAttribute("aria-pressed", String(isStaying()));
  byId("map-toggle").setAttribute("aria-pressed", String(!card.hidden));
}

export function fade(wanted) {
  setFading(wanted);
  tellSwitches();
}

export function stay(wanted) {
  setStaying(wanted);
  tellSwitches();
}

export function isMapShown() {
  return !card.hidden;
}

/** Open the map, or close it. */
export function showMap(wanted, onChanged = () => {}) {
  card.hidden = !wanted || Boolean(whyNoTrust());
  drawn = "";
  tellSwitches();
  touch();
  onChanged();
}

/** Go to the view of a recommended photograph. */
function goThere(index) {
  const { centre, direction } = next[index];
  // These views are mostly outside the trusted region.
  stay(false);
  const [eye, ahead] = [shown(centre), shown(direction)];
  const pivot = eye.clone().addScaledVector(ahead, 0.6 * radius);
  const matrix = new vendor.Matrix4().lookAt(eye, pivot, new vendor.Vector3(0, 1, 0));
  const quaternion = new vendor.Quaternion().setFromRotationMatrix(matrix);
  const back = world.quaternion.clone().invert();
  goTo({ position: centre, quaternion: back.multiply(quaternion).toArray(), pivot: inScene(pivot).toArray() });
}

/** Lay out the map in upright coordinates: x to the right, z down. */
function lay() {
  ground = someCentres(GROUND).map(shown);
  const points = [...cameras.map((view) => shown(view.position)), ...placesOfTrust().map(shown), ...next.map((one) => shown(one.centre))];
  const { low, high } = manifest.bounds;
  const middle = shown(manifest.middle);
  // Corners far beyond the cameras would make the rest too small to see.
  const most = 2.2 * Math.max(radius, ...points.map((p) => Math.hypot(p.x - middle.x, p.z - middle.z)));
  for (let i = 0; i < 8; i++) {
    const corner = shown([0, 1, 2].map((axis) => (i & (1 << axis) ? high : low)[axis]));
    corner.x = Math.max(middle.x - most, Math.min(middle.x + most, corner.x));
    corner.z = Math.max(middle.z - most, Math.min(middle.z + most, corner.z));
    points.push(corner);
  }
  const [xs, zs] = [points.map((p) => p.x), points.map((p) => p.z)];
  const side = Math.max(Math.max(...xs) - Math.min(...xs), Math.max(...zs) - Math.min(...zs)) * (1 + 2 * MARGIN);
  area = { x: (Math.min(...xs) + Math.max(...xs) - side) / 2, z: (Math.min(...zs) + Math.max(...zs) - side) / 2, side };
  cells = new Float32Array(CELLS * CELLS).fill(NaN);
  cellAt = 0;
}

/** How far outside the trusted region a cell is, at the height of the nearest camera. */
function measure(index) {
  const x = area.x + (((index % CELLS) + 0.5) / CELLS) * area.side;
  const z = area.z + ((Math.floor(index / CELLS) + 0.5) / CELLS) * area.side;
  let [height, least] = [0, Infinity];
  for (const place of placesOfTrust().map(shown)) {
    const away = (place.x - x) ** 2 + (place.z - z) ** 2;
    if (away < least) [height, least] = [place.y, away];
  }
  return outsideBy(inScene(new vendor.Vector3(x, height, z)).toArray());
}

/** Update the map; called for each frame. */
export function followMap(now) {
  if (card.hidden || displacementOf([0, 0, 0]) === null) return;
  const key = world.quaternion.toArray().join();
  if (key !== turned) lay();
  turned = key;
  for (let i = 0; i < CELLS_A_FRAME && cellAt < cells.length; i++) cells[cellAt] = measure(cellAt++);
  const seen = JSON.stringify([camera.position.toArray(), camera.quaternion.toArray(), cellAt]);
  if (seen === drawn || now - drawnAt < DRAWN_EVERY_MS) return;
  [drawn, drawnAt] = [seen, now];
  draw();
}

function draw() {
  const ratio = Math.min(devicePixelRatio, 2);
  const side = canvas.clientWidth;
  canvas.width = canvas.height = side * ratio;
  brush.scale(ratio, ratio);
  const scale = side / area.side;
  const put = (p) => [(p.x - area.x) * scale, (p.z - area.z) * scale];
  drawRegion(side);
  brush.fillStyle = "rgb(255 255 255 / 30%)";
  for (const point of ground) {
    const [x, y] = put(point);
    brush.fillRect(x - 0.6, y - 0.6, 1.2, 1.2);
  }
  for (const view of cameras) dot(put(shown(view.position)), 1.6, view.held_out ? "#f2b357" : "#edebe0");
  for (const [index, one] of next.entries()) {
    const tail = put(shown(one.centre));
    arrow(tail, put(shown(ahead(one))), 12);
    number(index, tail);
  }
  drawVisitor(put);
}

function ahead({ centre, direction }) {
  return centre.map((v, axis) => v + 0.25 * radius * direction[axis]);
}

function drawRegion(side) {
  const picture = brush.createImageData(CELLS, CELLS);
  cells.forEach((outside, i) => {
    const share = Number.isNaN(outside) ? 0 : Math.max(0, 1 - outside);
    picture.data.set([...INSIDE, Math.round(150 * share)], 4 * i);
  });
  const small = new OffscreenCanvas(CELLS, CELLS);
  small.getContext("2d").putImageData(picture, 0, 0);
  brush.clearRect(0, 0, side, side);
  brush.drawImage(small, 0, 0, side, side);
}

function dot([x, y], size, colour) {
  brush.fillStyle = colour;
  brush.beginPath();
  brush.arc(x, y, size, 0, 2 * Math.PI);
  brush.fill();
}

function drawVisitor(put) {
  const here = put(camera.position);
  const forward = new vendor.Vector3(0, 0, -1).applyQuaternion(camera.quaternion);
  const angle = Math.atan2(forward.z, forward.x);
  const half = Math.atan(1 / camera.projectionMatrix.elements[0]);
  brush.fillStyle = "rgb(255 255 255 / 28%)";
  brush.beginPath();
  brush.moveTo(...here);
  brush.arc(...here, 34, angle - half, angle + half);
  brush.fill();
  dot(here, 5, "#101113");
  dot(here, 3.8, "#ffffff");
}

/** Draw an arrow from one point towards another, at least `least` pixels long. */
function arrow([x, y], [toX, toY], least, on = brush) {
  const [dx, dy] = [toX - x, toY - y];
  const length = Math.hypot(dx, dy) || 1;
  const far = Math.max(length, least);
  const [ux, uy] = [dx / length, dy / length];
  const [endX, endY] = [x + ux * far, y + uy * far];
  on.strokeStyle = on.fillStyle = NEXT;
  on.lineWidth = 2;
  on.beginPath();
  on.moveTo(x, y);
  on.lineTo(endX - 5 * ux, endY - 5 * uy);
  on.stroke();
  on.beginPath();
  on.moveTo(endX + 2 * ux, endY + 2 * uy);
  on.lineTo(endX - 6 * ux - 4 * uy, endY - 6 * uy + 4 * ux);
  on.lineTo(endX - 6 * ux + 4 * uy, endY - 6 * uy - 4 * ux);
  on.fill();
}

function number(index, [x, y], on = brush) {
  on.fillStyle = NEXT;
  on.beginPath();
  on.arc(x, y, 7, 0, 2 * Math.PI);
  on.fill();
  on.fillStyle = "#0b1a26";
  on.font = "600 10px system-ui, sans-serif";
  on.textAlign = "center";
  on.textBaseline = "middle";
  on.fillText(String(index + 1), x, y + 0.5);
}

/** Whether arrows of recommended photographs should be drawn over the picture. */
export function hasNext() {
  return !card.hidden && next.length > 0;
}

/** Draw these arrows. */
export function drawNext(over) {
  const [width, height] = size();
  const put = (p) => [((p.x + 1) / 2) * width, ((1 - p.y) / 2) * height];
  for (const [index, one] of next.entries()) {
    // An arrow at the visitor's own position would block the view.
    if (shown(one.centre).distanceTo(camera.position) < 0.05 * radius) continue;
    const [tail, tip] = [shown(one.centre), shown(ahead(one))].map((point) => point.project(camera));
    if (tail.z > 1 || tip.z > 1) continue;
    arrow(put(tail), put(tip), 0, over);
    number(index, put(tail), over);
  }
}
