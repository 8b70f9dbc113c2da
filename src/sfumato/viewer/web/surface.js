// Where lines of sight meet the splats: the depth at which half of the light is gone, as our own renderer would
// blend it. Deleted and cropped splats, and those that do not exist at the current time, do not count.
import { manifest } from "./data.js";
import { isGone } from "./edits.js";
import { cropNow, SIGNS } from "./look.js";
import { motionNow } from "./moving.js";
import { placeAt, turnAt } from "./poses.js";
import { splats } from "./stage.js";

// Splats farther than this from a line, in their largest standard deviations, take no light from it.
const REACH = 3.3;
const LEAST_ALPHA = 1 / 255;
const HALF = 0.5;
// Without half of the light gone, a line that has lost this much still has met something.
const LEAST_LOST = 0.1;

// Centre and reach of each splat, four numbers, by mesh.
const known = new WeakMap();

function ballsOf(mesh) {
  if (known.has(mesh)) return known.get(mesh);
  const balls = new Float32Array(4 * mesh.numSplats);
  mesh.forEachSplat((index, centre, scales, quaternion, opacity) => {
    const reach = opacity < LEAST_ALPHA ? 0 : REACH * Math.max(scales.x, scales.y, scales.z);
    balls.set([centre.x, centre.y, centre.z, reach], 4 * index);
  });
  known.set(mesh, balls);
  return balls;
}

/** Distance at which a line loses half of its light, scene units, or null; `origin` and unit `direction` are in the scene's frame. */
export function depthAlong(origin, direction) {
  const hits = [];
  const motion = motionNow();
  gather(splats(), manifest.scene?.frame, 0, null, origin, direction, hits);
  if (motion) gather(splats("moving"), manifest.motion.scene.frame, manifest.motion.still, motion, origin, direction, hits);
  hits.sort((a, b) => a.depth - b.depth);
  let left = 1;
  let strongest = { alpha: 0 };
  for (const hit of hits) {
    left *= 1 - hit.alpha;
    if (left <= HALF) return hit.depth;
    if (hit.alpha > strongest.alpha) strongest = hit;
  }
  return 1 - left >= LEAST_LOST ? strongest.depth : null;
}

/** Add the splats of a mesh that take light from a line: { depth, alpha }. */
function gather(mesh, frame, first, motion, origin, direction, hits) {
  if (!mesh) return;
  const balls = ballsOf(mesh);
  const crop = cropNow();
  const sign = SIGNS[frame];
  const [o, d] = [origin.map((v, i) => sign[i] * v), direction.map((v, i) => sign[i] * v)];
  const place = [0, 0, 0];
  for (let index = 0, at = 0; index < mesh.numSplats; index++, at += 4) {
    let [x, y, z] = [balls[at], balls[at + 1], balls[at + 2]];
    if (motion) {
      if (!placeAt(motion.poses, motion.moment, index, place)) continue;
      [x, y, z] = [sign[0] * place[0], sign[1] * place[1], sign[2] * place[2]];
    }
    const [ax, ay, az] = [x - o[0], y - o[1], z - o[2]];
    const along = ax * d[0] + ay * d[1] + az * d[2];
    const reach = balls[at + 3];
    if (along + reach <= 0 || ax * ax + ay * ay + az * az - along * along > reach * reach) continue;
    if (isGone(first + index)) continue;
    if (crop && [x, y, z].some((v, i) => sign[i] * v < crop.low[i] || sign[i] * v > crop.high[i])) continue;
    const { scales, quaternion, opacity } = mesh.extSplats.getSplat(index);
    const turn = motion ? turnAt(motion.poses, motion.moment, index).map((v, i) => (i ? sign[i - 1] * v : v)) : null;
    const hit = response([-ax, -ay, -az], d, scales, turn ? new vendor.Quaternion(turn[1], turn[2], turn[3], turn[0]) : quaternion);
    const alpha = opacity * hit.response;
    if (hit.depth > 0 && alpha >= LEAST_ALPHA) hits.push({ depth: hit.depth, alpha });
  }
}

/** The largest response of a Gaussian along a line, with its depth; the line starts at `from` relative to the centre. */
function response(from, direction, scales, quaternion) {
  const back = quaternion.clone().normalize().invert();
  // In units of standard deviations, along the axes of the Gaussian.
  const [a, b] = [from, direction].map((v) => new vendor.Vector3(...v).applyQuaternion(back).divide(scales));
  const depth = -a.dot(b) / b.dot(b);
  return { depth, response: Math.exp(-0.5 * a.addScaledVector(b, depth).lengthSq()) };
}
