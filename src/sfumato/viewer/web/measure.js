// The distance between two clicked points, and the unit of the scene from its true length.
import { manifest } from "./data.js";
import { copyWords } from "./endings.js";
import { pickFor } from "./picking.js";
import { editedName, quoted } from "./script.js";
import { camera, size } from "./stage.js";
import { cameras, shown } from "./world.js";

const byId = (name) => document.getElementById(name);
const card = byId("measure");
const INK = "#ffd166";

let ends = [];

/** Wire the card. */
export function buildMeasure(say) {
  byId("measure-clear").addEventListener("click", () => setEnds([]));
  byId("measure-true").addEventListener("input", tell);
  byId("measure-known").addEventListener("click", () => copyWords(knownDistance(), say));
  byId("measure-scale").addEventListener("click", () => copyWords(scaling(), say));
  tell();
}

export function isMeasuring() {
  return !card.hidden;
}

/** Open the card and pick points, or close it and forget the points. */
export function showMeasure(wanted) {
  if (card.hidden === !wanted) return;
  card.hidden = !wanted;
  byId("measure-toggle").setAttribute("aria-pressed", String(wanted));
  pickFor(wanted ? (place) => setEnds(ends.length === 1 ? [...ends, place] : [place]) : null);
  if (!wanted) setEnds([]);
}

/** The clicked points, at most two, in the scene's frame. */
export function endsNow() {
  return ends.flat();
}

/** Measure between points in the scene's frame. */
export function setEnds(places) {
  ends = places;
  tell();
}

function length() {
  return ends.length === 2 ? Math.hypot(...ends[0].map((v, i) => v - ends[1][i])) : 0;
}

/** A length as text, in metres if the unit of the scene is known. */
export function inWords(units) {
  const metres = manifest.metres_per_unit;
  return metres ? `${(metres * units).toPrecision(3)} m` : `${units.toPrecision(3)} units`;
}

function factor() {
  const truth = Number(byId("measure-true").value);
  return length() && truth > 0 ? truth / length() : null;
}

/** The two photographs with the largest distance, and the distance. */
function farthest() {
  let best = null;
  for (const [i, one] of cameras.entries()) {
    for (const other of cameras.slice(i + 1)) {
      const apart = Math.hypot(...one.position.map((v, axis) => v - other.position[axis]));
      if (apart > (best?.apart ?? 0)) best = { names: [one.name, other.name], apart };
    }
  }
  return best;
}

function knownDistance() {
  const { names, apart } = farthest();
  return `--sfm.known-distance ${names.map(quoted).join(" ")} ${Number((factor() * apart).toPrecision(6))}`;
}

function scaling() {
  const source = quoted(manifest.source);
  return `sfumato edit ${source} -o ${quoted(editedName())} --scale ${Number(factor().toPrecision(6))}`;
}

function tell() {
  byId("measure-words").textContent = length() ? inWords(length()) : `Click ${ends.length ? "the other end" : "one end, then the other"}`;
  const known = factor();
  byId("measure-known").hidden = cameras.length < 2;
  for (const name of ["measure-known", "measure-scale"]) byId(name).disabled = !known;
  byId("measure-unit").textContent = known ? `A unit is ${Number(known.toPrecision(4))} m.` : "";
}

/** Whether there is something to draw over the picture. */
export function hasMeasure() {
  return ends.length > 0;
}

/** Draw the line and its length on a 2D context with window coordinates. */
export function drawMeasure(brush) {
  const [width, height] = size();
  const placed = ends.map((end) => shown(end).project(camera)).filter((p) => p.z > -1 && p.z < 1);
  const points = placed.map((p) => [((p.x + 1) / 2) * width, ((1 - p.y) / 2) * height]);
  brush.save();
  for (const [ink, thick] of [["rgb(0 0 0 / 55%)", 5], [INK, 2]]) {
    Object.assign(brush, { strokeStyle: ink, fillStyle: ink, lineWidth: thick });
    brush.beginPath();
    for (const point of points) brush.lineTo(...point);
    brush.stroke();
    for (const [x, y] of points) {
      brush.beginPath();
      brush.arc(x, y, 2 + thick, 0, 2 * Math.PI);
      brush.fill();
    }
  }
  if (points.length === 2) label(brush, (points[0][0] + points[1][0]) / 2, (points[0][1] + points[1][1]) / 2, inWords(length()));
  brush.restore();
}

function label(brush, x, y, words) {
  brush.font = "13px system-ui, sans-serif";
  const half = brush.measureText(words).width / 2 + 7;
  brush.fillStyle = "rgb(0 0 0 / 75%)";
  brush.fillRect(x - half, y - 28, 2 * half, 20);
  brush.fillStyle = "#fff";
  brush.textAlign = "center";
  brush.fillText(words, x, y - 13);
}
