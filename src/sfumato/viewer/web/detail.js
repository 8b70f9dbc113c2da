// Which level of detail each part of a streamed scene needs: numbers only, nothing is drawn or loaded here.

// Gaussians that are closer together on the screen than this need no finer level, pixels.
const FINE_PX = 1;
const COARSEST_PX = 1e5;
const HALVINGS = 18;
// Parts outside the picture need this many times less detail than those in it.
const OUTSIDE = 8;

/** The parts of space of a parsed `lod-meta.json`: { low, high, middle, size, pieces, levels }, levels from coarse to fine. */
export function partsOf(index) {
  const parts = [];
  const stack = [index.tree];
  while (stack.length) {
    const node = stack.pop();
    stack.push(...(node.children ?? []));
    const levels = Object.keys(node.lods ?? {}).map(Number).filter((level) => node.lods[level].count > 0);
    if (!levels.length) continue;
    const { min: low, max: high } = node.bound;
    const middle = low.map((v, axis) => (v + high[axis]) / 2);
    const size = Math.hypot(...low.map((v, axis) => high[axis] - v));
    parts.push({ low, high, middle, size, pieces: node.lods, levels: levels.sort((a, b) => b - a) });
  }
  return parts;
}

/** The number of Gaussians of each file, as far as the parts need them. */
export function sizesOfFiles(parts, count) {
  const sizes = new Array(count).fill(0);
  for (const { pieces, levels } of parts) {
    for (const level of levels) {
      const { file, offset, count: number } = pieces[level];
      sizes[file] = Math.max(sizes[file], offset + number);
    }
  }
  return sizes;
}

/** Distance of a point from the box of a part. */
export function distanceTo(part, eye) {
  return Math.hypot(...eye.map((v, axis) => Math.max(part.low[axis] - v, 0, v - part.high[axis])));
}

/** How far apart the Gaussians of a part are on the screen at a level, pixels; `seen.focal` in pixels. */
function spacing(part, level, { distance, inPicture }, focal) {
  const apart = part.size / Math.sqrt(part.pieces[level].count);
  return ((apart / Math.max(distance, 0.05 * part.size)) * focal) / (inPicture ? 1 : OUTSIDE);
}

function levelsFor(parts, seen, focal, px) {
  return parts.map((part, i) => part.levels.find((level) => spacing(part, level, seen[i], focal) <= px) ?? part.levels.at(-1));
}

function filesFor(parts, levels) {
  // The coarsest files always stay, as the ground that everything else is exchanged for.
  const files = new Set(parts.map((part) => part.pieces[part.levels[0]].file));
  parts.forEach((part, i) => files.add(part.pieces[levels[i]].file));
  return files;
}

/**
 * The level of each part, and all files that are needed, within a budget of Gaussians. Details are equally fine on the
 * screen everywhere; `seen` has { distance, inPicture } of each part.
 */
export function choose(parts, sizes, seen, focal, budget) {
  const total = (levels) => [...filesFor(parts, levels)].reduce((sum, file) => sum + sizes[file], 0);
  let [low, high] = [Math.log(FINE_PX), Math.log(COARSEST_PX)];
  let levels = levelsFor(parts, seen, focal, FINE_PX);
  if (total(levels) > budget) {
    levels = parts.map((part) => part.levels[0]);
    for (let i = 0; i < HALVINGS; i++) {
      const middle = (low + high) / 2;
      const tried = levelsFor(parts, seen, focal, Math.exp(middle));
      if (total(tried) > budget) low = middle;
      else [high, levels] = [middle, tried];
    }
  }
  return { levels, files: filesFor(parts, levels) };
}
