// Coordinate frames. The scene keeps the frame of its cameras; the page shows it in upright coordinates, y up.
import { manifest } from "./data.js";

/** Parent of all objects in the scene: turned upright, in scene units. */
export const world = new vendor.Group();

const UP = new vendor.Vector3(0, 1, 0);
export const radius = manifest.radius;

let up = new vendor.Vector3(...manifest.up).normalize();

function turn() {
  world.quaternion.setFromUnitVectors(up, UP);
  world.updateMatrixWorld(true);
}
turn();

/** Turn the world upside down, for scenes without a known up direction. */
export function turnOver() {
  up.negate();
  turn();
}

/** A point of the scene, given as three numbers, in upright coordinates. */
export function shown(point) {
  return new vendor.Vector3(...point).applyQuaternion(world.quaternion);
}

/** A point in upright coordinates, in the scene's frame. */
export function inScene(point) {
  return point.clone().applyQuaternion(world.quaternion.clone().invert());
}

export function shownQuaternion(quaternion) {
  return world.quaternion.clone().multiply(quaternion);
}

export function quaternionInScene(quaternion) {
  return world.quaternion.clone().invert().multiply(quaternion);
}

const FLIP = new vendor.Quaternion(1, 0, 0, 0);

/** Training cameras with poses in the scene's frame: `quaternion` has x right, y up, z backward. */
export const cameras = manifest.cameras.map((camera, index) => {
  const m = camera.world_from_camera;
  const matrix = new vendor.Matrix4().set(...m, 0, 0, 0, 1);
  const quaternion = new vendor.Quaternion().setFromRotationMatrix(matrix).multiply(FLIP);
  return { ...camera, index, position: [m[3], m[7], m[11]], quaternion };
});
