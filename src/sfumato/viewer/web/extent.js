// Centre and size of a scene without cameras, as estimated by viewer/extent.py.
const MOST = 20_000;
const LEAST_OPACITY = 0.27;

/** The manifest entries of the extent of a scene: { up, middle, radius, bounds, frustum }. */
export function extentOf(mesh, sign) {
  const points = [];
  const every = Math.max(1, Math.floor(mesh.numSplats / MOST));
  mesh.forEachSplat((index, centre, scales, quaternion, opacity) => {
    if (index % every === 0 && opacity > LEAST_OPACITY) points.push(centre.toArray().map((v, axis) => sign[axis] * v));
  });
  if (!points.length) throw new Error("there is nothing in it that can be seen");
  const axes = [0, 1, 2].map((axis) => points.map((point) => point[axis]).sort((a, b) => a - b));
  const at = (sorted, share) => sorted[Math.round(share * (sorted.length - 1))];
  const middle = axes.map((sorted) => at(sorted, 0.5));
  const away = points.map((point) => Math.hypot(...point.map((v, axis) => v - middle[axis]))).sort((a, b) => a - b);
  const radius = 1.2 * at(away, 0.7) || 1;
  const [low, high] = [axes.map((sorted) => at(sorted, 0.005)), axes.map((sorted) => at(sorted, 0.995))];
  const margin = low.map((v, axis) => 0.02 * (high[axis] - v) + 1e-6 * radius);
  return {
    up: [0, -1, 0],
    middle,
    radius,
    bounds: { low: low.map((v, axis) => v - margin[axis]), high: high.map((v, axis) => v + margin[axis]) },
    frustum: 0.1 * radius,
  };
}
