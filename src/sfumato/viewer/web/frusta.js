// Training cameras as frusta in the scene, with thumbnails of their photographs.
import { manifest, pictureAddress } from "./data.js";
import { colourOfQuality } from "./quality.js";
import { camera, touch } from "./stage.js";
import { cameras, shown, world } from "./world.js";

const TRAINED = [0.93, 0.91, 0.87];
const HELD_OUT = [0.95, 0.7, 0.34];
// Corners of a picture plane, in units of half its sides.
const CORNERS = [[-1, 1], [1, 1], [1, -1], [-1, -1]];
const TRIANGLES = [0, 3, 1, 1, 3, 2];
const EDGES = [0, 1, 0, 2, 0, 3, 0, 4, 1, 2, 2, 3, 3, 4, 4, 1];

// Frusta nearer to the eye than this multiple of their depth are hidden, because they would block the view.
const TOO_NEAR = 2.5;

let group = null;
let plates = null;
let wires = null;
let drawn = "";
let drawnViews = [];
let byQuality = false;

/** The corners of a camera's picture plane, in camera axes. */
function corners(view) {
  const depth = manifest.frustum;
  const [w, h] = view.size_px;
  return CORNERS.map(([x, y]) => [
    (depth * ((x * w) / 2 + w / 2 - view.centre_px[0])) / view.focal_px[0],
    (depth * ((y * h) / 2 - h / 2 + view.centre_px[1])) / view.focal_px[1],
    -depth,
  ]);
}

/** The eye of a camera and the corners of its picture, in the scene's frame. */
function pointsOf(view) {
  return [[0, 0, 0], ...corners(view)].map((p) =>
    new vendor.Vector3(...p).applyQuaternion(view.quaternion).add(new vendor.Vector3(...view.position)).toArray(),
  );
}

function colourOf(view) {
  if (byQuality) return colourOfQuality(view);
  return view.held_out ? HELD_OUT : TRAINED;
}

/** Colour the frusta by the quality of their views, or by whether they were held out. */
export function colourFrusta(quality) {
  byQuality = quality;
  if (!group) return;
  const [lines, quads] = [wires.geometry.attributes.color, plates.geometry.attributes.color];
  for (const view of cameras) {
    const colour = colourOf(view);
    for (let i = 0; i < 5; i++) lines.setXYZ(5 * view.index + i, ...colour);
    // A light tint keeps the thumbnail visible.
    for (let i = 0; i < 4; i++) quads.setXYZ(4 * view.index + i, ...(quality ? colour.map((v) => 0.25 + 0.75 * v) : [1, 1, 1]));
  }
  lines.needsUpdate = true;
  quads.needsUpdate = true;
  touch();
}

/** The visible frusta: five points in the scene's frame and a colour each. */
export function drawnFrusta() {
  return group?.visible ? drawnViews.map((view) => ({ points: pointsOf(view), colour: colourOf(view) })) : [];
}

/** Build the frusta, hidden at first. */
export function buildFrusta() {
  if (!cameras.length) return;
  const lines = { place: [], colour: [] };
  const quads = { place: [], texture: [], colour: [] };
  for (const view of cameras) {
    const points = pointsOf(view);
    lines.place.push(...points.flat());
    for (let i = 0; i < 5; i++) lines.colour.push(...colourOf(view));
    for (let i = 0; i < 4; i++) quads.colour.push(1, 1, 1);
    quads.place.push(...points.slice(1).flat());
    quads.texture.push(...textureCorners(view));
  }
  group = new vendor.Group();
  group.visible = false;
  wires = new vendor.LineSegments(geometry(lines), lineMaterial());
  wires.renderOrder = 11;
  plates = new vendor.Mesh(geometry(quads), plateMaterial());
  plates.renderOrder = 10;
  group.add(plates, wires);
  world.add(group);
}

/** Hide frusta that would block the view of an eye, given in the scene's frame. */
export function clearFrusta(eye) {
  if (!group?.visible) return;
  const least = (TOO_NEAR * manifest.frustum) ** 2;
  const far = cameras.filter(({ position: p }) => (p[0] - eye.x) ** 2 + (p[1] - eye.y) ** 2 + (p[2] - eye.z) ** 2 > least);
  const key = far.map((view) => view.index).join();
  if (key === drawn) return;
  drawn = key;
  drawnViews = far;
  wires.geometry.setIndex(far.flatMap(({ index }) => EDGES.map((i) => 5 * index + i)));
  plates.geometry.setIndex(far.flatMap(({ index }) => TRIANGLES.map((i) => 4 * index + i)));
  touch();
}

function geometry({ place, colour, texture }) {
  const made = new vendor.BufferGeometry();
  made.setAttribute("position", new vendor.BufferAttribute(new Float32Array(place), 3));
  if (colour) made.setAttribute("color", new vendor.BufferAttribute(new Float32Array(colour), 3));
  if (texture) made.setAttribute("uv", new vendor.BufferAttribute(new Float32Array(texture), 2));
  return made;
}

function textureCorners(view) {
  const sheet = manifest.thumbnails;
  if (!sheet) return new Array(8).fill(0);
  const [x, y, w, h] = view.thumbnail;
  const [left, right] = [x / sheet.size_px[0], (x + w) / sheet.size_px[0]];
  const [top, bottom] = [1 - y / sheet.size_px[1], 1 - (y + h) / sheet.size_px[1]];
  return [left, top, right, top, right, bottom, left, bottom];
}

function lineMaterial() {
  return new vendor.LineBasicMaterial({ vertexColors: true, transparent: true, opacity: 0.85 });
}

function plateMaterial() {
  const material = new vendor.MeshBasicMaterial({ vertexColors: true, transparent: true, opacity: 0.88, side: vendor.DoubleSide, color: 0x777777 });
  // The wires of a frustum lie in its plate and must stay visible.
  Object.assign(material, { polygonOffset: true, polygonOffsetFactor: 1, polygonOffsetUnits: 4 });
  if (!manifest.thumbnails) return material;
  const image = new Image();
  image.onload = () => {
    const texture = new vendor.Texture(image);
    texture.colorSpace = vendor.SRGBColorSpace;
    texture.needsUpdate = true;
    material.map = texture;
    material.color.set(0xffffff);
    material.needsUpdate = true;
    touch();
  };
  image.src = pictureAddress(manifest.thumbnails.name);
  return material;
}

/** Show the frusta or hide them. */
export function showFrusta(visible) {
  if (group) group.visible = visible;
  touch();
}

/** The plates that can be clicked, or null if they are hidden. */
export function visiblePlates() {
  return group?.visible ? plates : null;
}

/** The camera that a triangle of the plates belongs to. */
export function cameraOfTriangle(face) {
  return drawnViews[Math.floor(face / 2)];
}

/** The centre of a camera's plate in normalised device coordinates. */
export function plateCentre(view) {
  const [a, , c] = corners(view);
  const middle = new vendor.Vector3(...a.map((v, i) => (v + c[i]) / 2)).applyQuaternion(view.quaternion);
  return shown(middle.add(new vendor.Vector3(...view.position)).toArray()).project(camera);
}
