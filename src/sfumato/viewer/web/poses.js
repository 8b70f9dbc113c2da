// Poses of the moving Gaussians at each step, as integers in one array with the layout of textures.

// Integers of a Gaussian at a step: position x, y, z, whether it exists, and rotation w, x, y, z.
const WORDS = 8;
const EXISTS = 3;
const ROTATION = 4;
const WIDTH = 1024;
const LAST_POSITION = 65535;
const TURN_STEPS = 2047;
// Decoding yields to the page after this time.
const PATIENCE_MS = 12;

/** Allocate the poses of `count` Gaussians at `times`, in seconds. */
export function makePoses(count, times) {
  const width = Math.max(1, Math.min(count, WIDTH));
  const rows = Math.max(1, Math.ceil(count / width));
  const stride = WORDS * width * rows;
  return {
    count,
    times,
    width,
    rows,
    stride,
    words: new Uint16Array(stride * times.length),
    // Position = origin + quantum * value, for each step.
    origins: times.map(() => [0, 0, 0]),
    quanta: times.map(() => 0),
  };
}

/** The data of a step as a texture with four 32-bit integers per Gaussian. */
export function textureWords(poses, step) {
  return new Uint32Array(poses.words.buffer, 2 * step * poses.stride, poses.stride / 2);
}

/** The step before a time, the next step, and the fraction between them, from 0 to 1. */
export function momentOf({ times }, time) {
  let [low, high] = [0, times.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (times[middle] <= time) low = middle;
    else high = middle - 1;
  }
  const next = Math.min(low + 1, times.length - 1);
  const share = next > low ? (time - times[low]) / (times[next] - times[low]) : 0;
  return { step: low, next, share: Math.max(0, Math.min(1, share)) };
}

/** Write the position of a Gaussian at a step into `place`, in the scene's frame; false if it does not exist. */
export function placeAtStep(poses, step, index, place) {
  const at = step * poses.stride + WORDS * index;
  if (!poses.words[at + EXISTS]) return false;
  for (let i = 0; i < 3; i++) place[i] = poses.origins[step][i] + poses.quanta[step] * poses.words[at + i];
  return true;
}

const ahead = [0, 0, 0];

/** The same at a moment, interpolated between two steps. */
export function placeAt(poses, { step, next, share }, index, place) {
  if (!placeAtStep(poses, step, index, place)) return false;
  if (share > 0 && placeAtStep(poses, next, index, ahead)) {
    for (let i = 0; i < 3; i++) place[i] += share * (ahead[i] - place[i]);
  }
  return true;
}

const turnAtStep = ({ words, stride }, step, index) => [0, 1, 2, 3].map((i) => (words[step * stride + WORDS * index + ROTATION + i] << 16) >> 16);

/** The rotation of a Gaussian at a moment, (w, x, y, z) of length one in the scene's frame; it must exist then. */
export function turnAt(poses, { step, next, share }, index) {
  const unit = (turn) => turn.map((v) => v / (Math.hypot(...turn) || 1));
  const turn = unit(turnAtStep(poses, step, index));
  if (!(share > 0 && poses.words[next * poses.stride + WORDS * index + EXISTS])) return turn;
  const after = unit(turnAtStep(poses, next, index));
  const sign = turn.reduce((sum, v, i) => sum + v * after[i], 0) < 0 ? -1 : 1;
  return unit(turn.map((v, i) => v + share * (sign * after[i] - v)));
}

/**
 * Read `motion.bin` of a .4dgs file: differences between steps, in byte planes, as a zlib stream.
 * `onProgress` is called with the fraction read.
 */
export async function readMotion(poses, bytes, origin, quantum, onProgress = () => {}) {
  const { count, times } = poses;
  times.forEach((_, step) => {
    poses.origins[step] = origin;
    poses.quanta[step] = quantum;
  });
  const blocks = [lifetimes(poses), ...differences(poses, 0, 3), ...differences(poses, ROTATION, 4)];
  const block = new Uint8Array(8 * count);
  let [filled, done, since] = [0, 0, performance.now()];
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  for (const reader = stream.getReader(); ; ) {
    const { done: ends, value } = await reader.read();
    if (ends) break;
    for (let at = 0; at < value.length; ) {
      if (done === blocks.length) throw new Error("the motion is longer than its scene says");
      const { size, take } = blocks[done];
      const part = value.subarray(at, at + size - filled);
      block.set(part, filled);
      [filled, at] = [filled + part.length, at + part.length];
      if (filled < size) continue;
      take(block);
      [filled, done] = [0, done + 1];
    }
    if (performance.now() - since > PATIENCE_MS) {
      onProgress(done / blocks.length);
      await new Promise((resolve) => setTimeout(resolve));
      since = performance.now();
    }
  }
  if (done < blocks.length) throw new Error("the motion ends early");
}

/** The block of births and deaths, which determines when Gaussians exist. */
function lifetimes({ count, times, stride, words }) {
  const take = (block) => {
    const number = (i) => block[2 * i] | (block[2 * i + 1] << 8);
    for (let i = 0; i < count; i++) {
      const death = Math.min(number(count + i), times.length);
      for (let step = number(i); step < death; step++) words[step * stride + WORDS * i + EXISTS] = 1;
    }
  };
  return { size: 4 * count, take };
}

/** The blocks of differences of one kind, one per step: `axes` integers per Gaussian, starting at `first`. */
function differences({ count, times, stride, words }, first, axes) {
  const running = new Uint16Array(axes * count);
  const take = (block, step) => {
    for (let axis = 0; axis < axes; axis++) {
      const [low, high, sum] = [2 * axis * count, (2 * axis + 1) * count, axis * count];
      let at = step * stride + first + axis;
      for (let i = 0; i < count; i++, at += WORDS) {
        running[sum + i] += block[low + i] | (block[high + i] << 8);
        words[at] = running[sum + i];
      }
    }
  };
  return times.map((_, step) => ({ size: 2 * axes * count, take: (block) => take(block, step) }));
}

/** Store a step given as floats: position and rotation (w, x, y, z) of each Gaussian, NaN if it does not exist. */
export function putStep(poses, step, floats) {
  const { count, words, stride } = poses;
  if (floats.length !== 7 * count) throw new Error("a step holds another number of Gaussians");
  const [low, high] = [[Infinity, Infinity, Infinity], [-Infinity, -Infinity, -Infinity]];
  for (let i = 0; i < count; i++) {
    if (Number.isNaN(floats[7 * i])) continue;
    for (let axis = 0; axis < 3; axis++) {
      low[axis] = Math.min(low[axis], floats[7 * i + axis]);
      high[axis] = Math.max(high[axis], floats[7 * i + axis]);
    }
  }
  const quantum = Math.max(...low.map((v, axis) => high[axis] - v), 0) / LAST_POSITION || 1;
  poses.origins[step] = low.map((v) => (Number.isFinite(v) ? v : 0));
  poses.quanta[step] = quantum;
  for (let i = 0; i < count; i++) {
    const at = step * stride + WORDS * i;
    words[at + EXISTS] = Number.isNaN(floats[7 * i]) ? 0 : 1;
    if (!words[at + EXISTS]) continue;
    for (let axis = 0; axis < 3; axis++) words[at + axis] = Math.round((floats[7 * i + axis] - low[axis]) / quantum);
    for (let axis = 0; axis < 4; axis++) words[at + ROTATION + axis] = Math.round(TURN_STEPS * floats[7 * i + 3 + axis]);
  }
}
