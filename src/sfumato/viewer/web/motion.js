// Camera control: orbit, flight, animated transitions, and viewing from a training camera.
import { manifest } from "./data.js";
import { cameraLens, fitted, freeLens, mixedLens, setLens, usualFov } from "./lens.js";
import { outsideBy } from "./reach.js";
import { camera, size, touch } from "./stage.js";
import { cameras, inScene, quaternionInScene, radius, shown, shownQuaternion } from "./world.js";

const UP = new vendor.Vector3(0, 1, 0);
const JOURNEY_S = 0.65;
// Rate at which pending input is applied, 1/s, so that motion eases to rest.
const EASE = 16;
const STEEPEST = 1.5;
// Speed of automatic rotation, radians per second.
const ROTATION = 0.25;
// Walking distance for a zoom by a factor e, as a fraction of the scene's radius.
const STRIDE = 0.4;
// Highest rate at which the visitor is pulled back inside the trusted region, 1/s.
const PULL = 3;
// Who asked the system for less motion is taken to a view at once.
const calm = matchMedia("(prefers-reduced-motion: reduce)");

let pivot = shown(manifest.middle);
let standing = null;
let lens = null;
let journey = null;
let levelling = false;
let staying = false;
let rotating = false;
let walking = false;
let fov = null;
// The last position inside the trusted region.
let inside = null;
let inset = { top: 0, bottom: 0 };
const listeners = [];
let tellRotating = () => {};
const pending = { yaw: 0, pitch: 0, turnYaw: 0, turnPitch: 0, zoom: 0, shift: new vendor.Vector3() };

/** The training camera viewed from, or null. */
export function standingIn() {
  return standing;
}

/** Register a listener for entering and leaving a training camera. */
export function onStanding(listener) {
  listeners.push(listener);
}

function stand(view) {
  if (view === standing) return;
  standing = view;
  for (const listener of listeners) listener(view);
}

/** The place in the window of the picture of the current training camera. */
export function place() {
  const [width, height] = size();
  return fitted(standing.size_px, width, height, inset);
}

/** Set the margins that keep camera pictures clear of the controls. */
export function setInset(value) {
  inset = value;
  refit();
}

function wantedLens() {
  const [width, height] = size();
  return standing ? cameraLens(standing, place(), width, height) : freeLens(width, height, fov);
}

/** The projection of the current view for a picture of another size. */
export function lensFor(width, height) {
  const whole = { top: 0, bottom: 0 };
  return standing ? cameraLens(standing, fitted(standing.size_px, width, height, whole), width, height) : freeLens(width, height, fov);
}

/** Set the vertical field of view of free flight in degrees; null: the default. */
export function setFov(degrees) {
  fov = degrees;
  refit();
}

/** The vertical field of view in degrees, by default that of this window. */
export function fovNow(usual = false) {
  return (!usual && fov) || usualFov(...size());
}

/** Set the listener for the start and end of automatic rotation. */
export function onRotating(listener) {
  tellRotating = listener;
}

/** Rotate around the scene until the next input. */
export function setRotating(wanted) {
  if (wanted) takeOver();
  rotating = wanted;
  tellRotating(rotating);
  touch();
}

export function isRotating() {
  return rotating;
}

/** Switch between walking, which looks around and moves at constant height, and flying and orbiting. */
export function setWalking(wanted) {
  walking = wanted;
}

export function isWalking() {
  return walking;
}

/** Update the projection after a change of the window size. */
export function refit() {
  lens = wantedLens();
  if (journey) journey.to.lens = lens;
  setLens(camera, lens);
  touch();
}

/** Start a transition to a position and rotation in upright coordinates. */
function travel(position, quaternion, seconds = JOURNEY_S) {
  if (rotating) setRotating(false);
  const from = { position: camera.position.clone(), quaternion: camera.quaternion.clone(), lens: lens ?? wantedLens() };
  journey = { from, to: { position, quaternion, lens: wantedLens() }, t: 0, seconds };
  forget();
  touch();
}

function forget() {
  Object.assign(pending, { yaw: 0, pitch: 0, turnYaw: 0, turnPitch: 0, zoom: 0 });
  pending.shift.set(0, 0, 0);
}

/** View from a training camera. */
export function standIn(view, seconds = JOURNEY_S) {
  stand(view);
  levelling = false;
  const position = shown(view.position);
  const quaternion = shownQuaternion(view.quaternion);
  const forward = new vendor.Vector3(0, 0, -1).applyQuaternion(quaternion);
  pivot = aheadOf(position, forward);
  travel(position, quaternion, seconds);
}

/** Leave the training camera without moving. */
export function leave() {
  if (!standing) return;
  stand(null);
  levelling = true;
  travel(camera.position.clone(), camera.quaternion.clone(), 0.3);
}

function takeOver() {
  if (rotating) setRotating(false);
  if (standing) {
    stand(null);
    levelling = true;
    journey = { ...still(), t: 0, seconds: 0.25, onlyLens: true };
  } else if (journey && !journey.onlyLens) {
    journey = null;
  }
}

function still() {
  const here = { position: camera.position.clone(), quaternion: camera.quaternion.clone(), lens };
  return { from: here, to: { ...here, lens: wantedLens() } };
}

/** Orbit around the pivot by angles in radians; in walk mode turn on the spot. */
export function orbit(yaw, pitch) {
  if (walking) {
    turnHead(-yaw, -pitch);
    return;
  }
  takeOver();
  pending.yaw += yaw;
  pending.pitch += pitch;
}

/** Turn on the spot by angles in radians. */
export function turnHead(yaw, pitch) {
  takeOver();
  pending.turnYaw += yaw;
  pending.turnPitch += pitch;
}

/** Multiply the distance from the pivot by exp(-amount). */
export function zoom(amount) {
  if (walking) {
    fly(0, 0, -amount * STRIDE * radius);
    return;
  }
  takeOver();
  pending.zoom += amount;
}

/** Move parallel to the window, by pixels at the distance of the pivot. */
export function pan(dx, dy) {
  takeOver();
  const scale = (2 * distance()) / (lens.y * size()[1]);
  pending.shift.add(new vendor.Vector3(-dx * scale, dy * scale, 0).applyQuaternion(camera.quaternion));
}

/** Fly by (right, up, backward) in scene units, with up along the world's up direction. */
export function fly(right, up, backward) {
  takeOver();
  const along = new vendor.Vector3(right, 0, backward).applyQuaternion(camera.quaternion);
  if (walking) {
    const length = along.length();
    along.setY(0).setLength(length || 0);
  }
  pending.shift.add(along).addScaledVector(UP, up);
}

function distance() {
  return camera.position.distanceTo(pivot);
}

/** Set the pivot to a point in upright coordinates, and turn towards it. */
export function setPivot(point) {
  takeOver();
  const position = camera.position.clone();
  const turned = new vendor.Quaternion().setFromRotationMatrix(new vendor.Matrix4().lookAt(position, point, UP));
  pivot = point.clone();
  travel(position, turned, 0.35);
}

/** Advance the transition and pending input; returns whether the view moves. */
export function advance(seconds) {
  let moves = false;
  const eased = calm.matches ? Infinity : seconds;
  if (journey) {
    moves = true;
    journey.t = Math.min(journey.t + eased / Math.max(journey.seconds, 1e-3), 1);
    const t = journey.t * journey.t * (3 - 2 * journey.t);
    lens = mixedLens(journey.from.lens, journey.to.lens, t);
    setLens(camera, lens);
    if (!journey.onlyLens) {
      camera.position.lerpVectors(journey.from.position, journey.to.position, t);
      camera.quaternion.slerpQuaternions(journey.from.quaternion, journey.to.quaternion, t);
    }
    if (journey.t === 1) journey = null;
  }
  if (rotating && !journey) {
    rotate(ROTATION * seconds, 0, pivot);
    moves = true;
  }
  const share = 1 - Math.exp(-EASE * eased);
  moves = workOff(share) || moves;
  moves = level(1 - Math.exp(-7 * eased)) || moves;
  moves = (staying && !journey && !standing && pullBack(seconds)) || moves;
  camera.updateMatrixWorld(true);
  return moves;
}

/** Restrict the visitor to the trusted region, or not. */
export function setStaying(wanted) {
  staying = wanted;
}

export function isStaying() {
  return staying;
}

/** Pull the visitor back inside the trusted region, harder farther away; returns whether the view moves. */
function pullBack(seconds) {
  const outside = outsideBy(inScene(camera.position).toArray());
  if (outside === 0) {
    inside = camera.position.clone();
    return false;
  }
  const home = inside ?? nearestCamera();
  if (!home || home.distanceTo(camera.position) < 1e-4 * radius) return false;
  const far = distance();
  camera.position.lerp(home, 1 - Math.exp(-PULL * Math.min(0.1 + outside, 1) * seconds));
  // Keeps the viewing direction and the distance of the pivot.
  pivot = camera.position.clone().addScaledVector(ahead(), far);
  return true;
}

function nearestCamera() {
  const found = cameras.filter((view) => !view.held_out).map((view) => shown(view.position));
  const away = (point) => point.distanceTo(camera.position);
  return found.length ? found.reduce((best, point) => (away(point) < away(best) ? point : best)) : null;
}

function part(name, share) {
  const value = pending[name];
  const done = Math.abs(value) < 2e-4 ? value : value * share;
  pending[name] -= done;
  return done;
}

function workOff(share) {
  const [yaw, pitch] = [part("yaw", share), part("pitch", share)];
  if (yaw || pitch) rotate(yaw, pitch, pivot);
  const [turnYaw, turnPitch] = [part("turnYaw", share), part("turnPitch", share)];
  if (turnYaw || turnPitch) {
    const far = distance();
    rotate(turnYaw, turnPitch, camera.position.clone());
    pivot = camera.position.clone().addScaledVector(ahead(), far);
  }
  const nearer = part("zoom", share);
  if (nearer) approach(nearer);
  const shift = pending.shift.clone().multiplyScalar(pending.shift.length() < 1e-4 * radius ? 1 : share);
  pending.shift.sub(shift);
  camera.position.add(shift);
  pivot.add(shift);
  return Boolean(yaw || pitch || turnYaw || turnPitch || nearer || shift.lengthSq());
}

function ahead() {
  return new vendor.Vector3(0, 0, -1).applyQuaternion(camera.quaternion);
}

function rotate(yaw, pitch, centre) {
  const steep = Math.asin(Math.max(-1, Math.min(1, ahead().y)));
  const allowed = Math.max(Math.min(steep + pitch, Math.max(steep, STEEPEST)), Math.min(steep, -STEEPEST)) - steep;
  const right = new vendor.Vector3(1, 0, 0).applyQuaternion(camera.quaternion);
  const turn = new vendor.Quaternion().setFromAxisAngle(UP, yaw);
  turn.multiply(new vendor.Quaternion().setFromAxisAngle(right, allowed));
  camera.quaternion.premultiply(turn).normalize();
  camera.position.sub(centre).applyQuaternion(turn).add(centre);
}

function approach(amount) {
  const offset = camera.position.clone().sub(pivot);
  const wanted = offset.length() * Math.exp(-amount);
  camera.position.copy(pivot).addScaledVector(offset.normalize(), wanted);
  // Pushes the pivot ahead, so that one can move through a wall or leave a room.
  const least = 0.06 * radius;
  if (wanted < least) pivot.addScaledVector(offset, wanted - least);
}

/** Level the horizon after viewing from a tilted camera. */
function level(share) {
  if (!levelling) return false;
  const right = new vendor.Vector3(1, 0, 0).applyQuaternion(camera.quaternion);
  const top = new vendor.Vector3(0, 1, 0).applyQuaternion(camera.quaternion);
  const roll = Math.atan2(right.y, top.y);
  if (Math.abs(roll) < 1e-3 || Math.abs(ahead().y) > 0.97) {
    levelling = false;
    return false;
  }
  camera.quaternion.multiply(new vendor.Quaternion().setFromAxisAngle(new vendor.Vector3(0, 0, 1), -roll * share));
  return true;
}

/** Go to the initial view: the initial camera or, without cameras, the initial position in the manifest. */
export function reset(seconds = JOURNEY_S) {
  stand(null);
  const middle = shown(manifest.middle);
  const first = cameras[manifest.first];
  const opening = manifest.opening ?? { at: inScene(middle.clone().add(new vendor.Vector3(0.9, 0.75, 1.6).multiplyScalar(radius))).toArray(), to: manifest.middle };
  const position = first ? shown(first.position) : shown(opening.at);
  pivot = shown(opening.to);
  if (first) {
    const forward = new vendor.Vector3(0, 0, -1).applyQuaternion(shownQuaternion(first.quaternion));
    pivot = aheadOf(position, forward);
  }
  const matrix = new vendor.Matrix4().lookAt(position, pivot, UP);
  travel(position, new vendor.Quaternion().setFromRotationMatrix(matrix), seconds);
}

/** Show the view between the second and third of four key-frames { where, fov_deg }, at a fraction `share`. */
export function glide(keys, share) {
  stand(null);
  journey = null;
  forget();
  const [before, from, to, after] = keys.map(({ where }) => shown(where.position));
  const [start, end] = [to.clone().sub(before).divideScalar(2), after.sub(from).divideScalar(2)];
  const [s, s2, s3] = [share, share ** 2, share ** 3];
  // Cubic Hermite spline through the two in the middle.
  camera.position.copy(from).multiplyScalar(2 * s3 - 3 * s2 + 1).addScaledVector(start, s3 - 2 * s2 + s);
  camera.position.addScaledVector(to, 3 * s2 - 2 * s3).addScaledVector(end, s3 - s2);
  const turns = keys.map(({ where }) => shownQuaternion(new vendor.Quaternion(...where.quaternion)));
  camera.quaternion.slerpQuaternions(turns[1], turns[2], share);
  pivot = shown(keys[1].where.pivot).lerp(shown(keys[2].where.pivot), share);
  const [width, height] = size();
  lens = mixedLens(freeLens(width, height, keys[1].fov_deg), freeLens(width, height, keys[2].fov_deg), share);
  setLens(camera, lens);
  camera.updateMatrixWorld(true);
}

/** A point on a line of sight, at the depth of the scene's centre. */
function aheadOf(position, forward) {
  const far = shown(manifest.middle).sub(position).dot(forward);
  return position.clone().addScaledVector(forward, Math.max(far, 0.3 * radius));
}

/** The current view in the scene's frame, for a link. */
export function whereabouts() {
  return {
    position: inScene(camera.position).toArray(),
    quaternion: quaternionInScene(camera.quaternion).toArray(),
    pivot: inScene(pivot).toArray(),
  };
}

/** The current view as a path of one key-frame, as `sfumato view` and `sfumato render` read it. */
export function openingNow() {
  const forward = new vendor.Vector3(0, 0, -1).applyQuaternion(camera.quaternion);
  const depth = Math.max(pivot.clone().sub(camera.position).dot(forward), 0.02 * radius);
  const numbers = (point) => inScene(point).toArray().map((v) => Number(v.toPrecision(9)));
  const key = {
    position: numbers(camera.position),
    look_at: numbers(camera.position.clone().addScaledVector(forward, depth)),
    up: numbers(new vendor.Vector3(0, 1, 0).applyQuaternion(camera.quaternion)),
    fov_deg: Number(((360 / Math.PI) * Math.atan(1 / camera.projectionMatrix.elements[5])).toPrecision(6)),
  };
  return { version: 1, keyframes: [key] };
}

/** Go to a view returned by `whereabouts`. */
export function goTo({ position, quaternion, pivot: round }, seconds = JOURNEY_S) {
  stand(null);
  levelling = false;
  pivot = shown(round);
  travel(shown(position), shownQuaternion(new vendor.Quaternion(...quaternion)).normalize(), seconds);
}
