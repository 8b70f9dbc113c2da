// A picture as a table of Gaussians. Each row has nine numbers, all of which an optimiser may change freely:
//   x, y               the centre μ, in pixels; the centre of the first pixel is at (0.5, 0.5)
//   logU, logV         logarithms of the standard deviations u and v along its two axes, so that these stay positive
//   angle              of the first axis, in radians
//   red, green, blue   the colour c
//   logit              the opacity is 1 / (1 + exp(-logit)), so that it stays between 0 and 1
// The value of a Gaussian at p is G(p) = exp(-(a² + b²) / 2), where a and b are the distances of p from the centre
// along its axes, in standard deviations. If both are equal it is called isotropic: round.
export const PARAMETERS = ["x", "y", "logU", "logV", "angle", "red", "green", "blue", "logit"];
export const COLOURS = ["red", "green", "blue"];
export const CAPACITY = 600;
// Beyond three standard deviations a Gaussian is below 0.012 and is left out.
const REACH = 3;
const FINEST = Math.log(0.5);

// A column of numbers for each parameter: for the Gaussians, and for anything that there is one of per parameter.
export function table() {
  return Object.fromEntries(PARAMETERS.map((name) => [name, new Float64Array(CAPACITY)]));
}

export function createGaussians() {
  return { count: 0, isRound: false, of: table() };
}

// As many Gaussians as wanted, almost at random: one in each cell of a grid, grey, all of one size.
export function scatter(gaussians, count, size, random) {
  const { of } = gaussians;
  const columns = Math.ceil(Math.sqrt(count)), rows = Math.ceil(count / columns);
  for (let i = 0; i < count; i++) {
    of.x[i] = ((i % columns) + random()) * (size / columns);
    of.y[i] = (Math.floor(i / columns) + random()) * (size / rows);
    of.logU[i] = of.logV[i] = Math.log((0.5 * size) / columns);
    of.angle[i] = gaussians.isRound ? 0 : Math.PI * random();
    for (const name of COLOURS) of[name][i] = 0.2 + 0.1 * random();
    of.logit[i] = 0;
  }
  gaussians.count = count;
}

export const opacity = (of, i) => 1 / (1 + Math.exp(-of.logit[i]));

export function copyRow(of, from, to) {
  for (const name of PARAMETERS) of[name][to] = of[name][from];
}

// Round Gaussians have one size and no angle: what one would change in the other follows.
export function keepRound(of, count) {
  for (let i = 0; i < count; i++) {
    of.logV[i] = of.logU[i];
    of.angle[i] = 0;
  }
}

// Sizes stay between half a pixel, which pixels can still tell, and the whole picture.
export function keepSizes(of, count, size) {
  const coarsest = Math.log(size);
  for (let i = 0; i < count; i++) {
    of.logU[i] = Math.min(coarsest, Math.max(FINEST, of.logU[i]));
    of.logV[i] = Math.min(coarsest, Math.max(FINEST, of.logV[i]));
  }
}

export function createBoxes() {
  const numbers = () => new Int32Array(CAPACITY);
  return { left: numbers(), right: numbers(), top: numbers(), bottom: numbers() };
}

// The pixels that each Gaussian reaches: from left up to, but without, right; the same from top to bottom.
export function findBoxes(gaussians, size, boxes) {
  const { of, count } = gaussians;
  const inside = (pixel) => Math.min(size, Math.max(0, pixel));
  for (let i = 0; i < count; i++) {
    const u = Math.exp(of.logU[i]), v = Math.exp(of.logV[i]);
    const cos = Math.cos(of.angle[i]), sin = Math.sin(of.angle[i]);
    const across = REACH * Math.sqrt(u * u * cos * cos + v * v * sin * sin);
    const down = REACH * Math.sqrt(u * u * sin * sin + v * v * cos * cos);
    boxes.left[i] = inside(Math.floor(of.x[i] - across));
    boxes.right[i] = inside(Math.ceil(of.x[i] + across));
    boxes.top[i] = inside(Math.floor(of.y[i] - down));
    boxes.bottom[i] = inside(Math.ceil(of.y[i] + down));
  }
}
