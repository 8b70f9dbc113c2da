// The number of Gaussians is not known in advance: where the loss pulls at a Gaussian again and again, one is too few
// (adaptive density control, Kerbl et al., 2023). What is made anew looks at first like what it replaces.
import { CAPACITY, COLOURS, copyRow, opacity, PARAMETERS } from "./gaussians.js";

// Of all Gaussians this share is densified, those whose centres are pulled at the most.
const SHARE = 0.25;
// Larger ones, in pixels of standard deviation, are split; smaller ones are cloned.
const LARGE = 2.5;
// Halves of a split lie this far from the old centre, in its standard deviations; the spread of both together is as before.
const APART = 0.6, NARROWER = Math.sqrt(1 - APART * APART);
// Below it a Gaussian is as good as not there.
const FAINT = { opacity: 0.02, colour: 0.012 };

// How hard the loss pulled at each centre, summed over the steps since the last densification.
export function rememberPull(pull, gradient, count) {
  for (let i = 0; i < count; i++) pull[i] += Math.hypot(gradient.x[i], gradient.y[i]);
}

// Makes a Gaussian weigh less: its colour in a sum, its opacity in compositing, where 1 - (1 - o)^share is the same
// as it was when all the shares lie over one another.
function weighLess(of, i, share, rendering) {
  if (rendering === "sum") {
    for (const name of COLOURS) of[name][i] *= share;
  } else {
    const o = Math.min(1 - 1e-6, Math.max(1e-6, 1 - (1 - opacity(of, i)) ** share));
    of.logit[i] = Math.log(o / (1 - o));
  }
}

function split(of, i, j, isRound, rendering, random) {
  const isLongU = of.logU[i] >= of.logV[i], long = isLongU ? "logU" : "logV";
  const along = isRound ? 2 * Math.PI * random() : of.angle[i] + (isLongU ? 0 : Math.PI / 2);
  const away = APART * Math.exp(of[long][i]);
  of[long][i] += Math.log(NARROWER);
  if (isRound) of.logV[i] = of.logU[i];
  weighLess(of, i, 0.5 / (isRound ? NARROWER * NARROWER : NARROWER), rendering);
  copyRow(of, i, j);
  of.x[i] += away * Math.cos(along);
  of.y[i] += away * Math.sin(along);
  of.x[j] -= away * Math.cos(along);
  of.y[j] -= away * Math.sin(along);
}

// The copy goes half a standard deviation to where the loss is smaller.
function clone(of, i, j, gradient, rendering) {
  weighLess(of, i, 0.5, rendering);
  copyRow(of, i, j);
  const pull = Math.hypot(gradient.x[i], gradient.y[i]) || 1;
  const away = 0.5 * Math.exp(Math.min(of.logU[i], of.logV[i]));
  of.x[j] -= (away * gradient.x[i]) / pull;
  of.y[j] -= (away * gradient.y[i]) / pull;
}

// Clones and splits; gives how many of each, and the rows that are not what they were.
export function densify(gaussians, pull, gradient, most, rendering, random) {
  const { of, count } = gaussians;
  const wanted = Math.min(Math.max(1, Math.round(SHARE * count)), Math.min(most, CAPACITY) - count);
  const order = Array.from({ length: count }, (_, i) => i).sort((i, j) => pull[j] - pull[i]);
  const changed = [];
  let clones = 0, splits = 0;
  for (const i of order.slice(0, Math.max(0, wanted))) {
    const j = gaussians.count++;
    if (Math.exp(Math.max(of.logU[i], of.logV[i])) > LARGE) {
      split(of, i, j, gaussians.isRound, rendering, random);
      splits += 1;
    } else {
      clone(of, i, j, gradient, rendering);
      clones += 1;
    }
    changed.push(i, j);
  }
  return { clones, splits, changed };
}

function isFaint(of, i, rendering) {
  if (rendering === "over") return opacity(of, i) < FAINT.opacity;
  return COLOURS.every((name) => Math.abs(of[name][i]) < FAINT.colour);
}

// Removes what is transparent or outside of the picture; others keep their order, and the columns of `tables` theirs.
export function prune(gaussians, boxes, rendering, tables) {
  const { of } = gaussians;
  let kept = 0;
  for (let i = 0; i < gaussians.count; i++) {
    const isOutside = boxes.right[i] <= boxes.left[i] || boxes.bottom[i] <= boxes.top[i];
    if (isOutside || isFaint(of, i, rendering)) continue;
    for (const one of [of, ...tables]) for (const name of PARAMETERS) one[name][kept] = one[name][i];
    kept += 1;
  }
  const removed = gaussians.count - kept;
  gaussians.count = kept;
  return removed;
}
