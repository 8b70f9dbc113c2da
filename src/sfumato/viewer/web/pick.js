// Picking: cameras and splats under a point of the window.
import { cameraOfTriangle, visiblePlates } from "./frusta.js";
import { camera, size } from "./stage.js";
import { depthAlong } from "./surface.js";
import { movingAt } from "./trails.js";
import { inScene, shown } from "./world.js";

const raycaster = new vendor.Raycaster();
// Beside all surfaces, moving Gaussians are picked by their centres, within this distance.
const REACH_PX = 8;

function aim(x, y) {
  const [width, height] = size();
  const far = new vendor.Vector3((2 * x) / width - 1, 1 - (2 * y) / height, 0.5).unproject(camera);
  raycaster.ray.origin.copy(camera.position);
  raycaster.ray.direction.copy(far).sub(camera.position).normalize();
  raycaster.camera = camera;
}

/** The training camera whose picture is under a point, or null. */
export function cameraAt(x, y) {
  const plates = visiblePlates();
  if (!plates) return null;
  aim(x, y);
  const [hit] = raycaster.intersectObject(plates, false);
  return hit ? cameraOfTriangle(hit.faceIndex) : null;
}

/** The position of the splats under a point, in upright coordinates, or null. */
export function pointAt(x, y) {
  aim(x, y);
  const { origin, direction } = raycaster.ray;
  const depth = depthAlong(inScene(origin).toArray(), inScene(direction).toArray());
  if (depth !== null) return origin.clone().addScaledVector(direction, depth);
  const moving = movingAt(x, y, REACH_PX);
  return moving ? shown(moving.place) : null;
}
