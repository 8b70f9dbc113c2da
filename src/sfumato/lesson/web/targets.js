// Pictures to be reconstructed, each a formula: (x, y) from 0 to 1, down and to the right, to red, green and blue.
const mix = (a, b, share) => a.map((value, k) => value + (b[k] - value) * share);
const within = (value) => Math.min(1, Math.max(0, value));
// From 0 to 1 around an edge, as soft as said.
const step = (distance, softness) => 1 / (1 + Math.exp(-distance / softness));

function sunset(x, y) {
  const far = Math.hypot(x - 0.62, y - 0.47);
  let colour = mix([0.27, 0.33, 0.52], [0.97, 0.72, 0.45], step(y - 0.3, 0.09));
  colour = mix(colour, [1, 0.86, 0.6], 0.75 * Math.exp(-far * far / 0.05));
  colour = mix(colour, [1, 0.97, 0.83], step(0.085 - far, 0.008));
  const hills = [
    [0.58 + 0.05 * Math.sin(5.2 * x + 0.6) + 0.02 * Math.sin(13 * x), [0.62, 0.45, 0.47]],
    [0.7 + 0.06 * Math.sin(4.1 * x + 3.6) + 0.015 * Math.sin(15 * x + 1), [0.36, 0.29, 0.38]],
    [0.85 + 0.05 * Math.sin(3.3 * x + 1.2), [0.16, 0.15, 0.24]],
  ];
  for (const [ridge, shade] of hills) colour = mix(colour, shade, step(y - ridge, 0.01));
  return colour;
}

// A ball under a light from the upper left, with its shadow on the table.
function ball(colour, x, y, [cx, cy, radius], [body, shade]) {
  const shadow = Math.hypot((x - cx - 0.25 * radius) / 1.25, (y - cy - 0.86 * radius) / 0.34);
  colour = mix(colour, [0.2, 0.14, 0.12], 0.6 * step(radius - shadow, 0.035));
  const dx = (x - cx) / radius, dy = (y - cy) / radius, away = Math.hypot(dx, dy);
  const lit = within(0.62 - 0.42 * dx - 0.5 * dy - 0.28 * away * away);
  const shine = Math.exp(-((dx + 0.36) ** 2 + (dy + 0.42) ** 2) / 0.025);
  return mix(colour, mix(mix(shade, body, lit), [1, 0.98, 0.92], 0.75 * shine), step((1 - away) * radius, 0.008));
}

function fruit(x, y) {
  let colour = mix([0.3, 0.36, 0.36], [0.46, 0.5, 0.46], within(1.2 - x - 0.5 * y));
  colour = mix(colour, mix([0.72, 0.58, 0.42], [0.56, 0.41, 0.29], y), step(y - 0.6, 0.012));
  colour = ball(colour, x, y, [0.68, 0.52, 0.17], [[0.74, 0.8, 0.32], [0.24, 0.33, 0.1]]);
  colour = ball(colour, x, y, [0.38, 0.56, 0.22], [[0.99, 0.62, 0.2], [0.56, 0.22, 0.05]]);
  return ball(colour, x, y, [0.64, 0.74, 0.11], [[0.82, 0.2, 0.2], [0.32, 0.04, 0.08]]);
}

function flower(x, y) {
  const dx = x - 0.5, dy = y - 0.5, away = Math.hypot(dx, dy), around = Math.atan2(dy, dx);
  let colour = mix([0.16, 0.27, 0.26], [0.3, 0.42, 0.34], within(0.9 - y + 0.3 * Math.sin(3 * x)));
  const layers = [
    [0.4, 0.4, [0.72, 0.32, 0.4], [0.93, 0.6, 0.6]],
    [0.27, 1.03, [0.86, 0.5, 0.5], [0.99, 0.82, 0.74]],
  ];
  for (const [reach, turn, inner, outer] of layers) {
    const edge = reach * (0.8 + 0.2 * Math.cos(5 * (around - turn)));
    colour = mix(colour, mix(inner, outer, within(away / reach)), step(edge - away, 0.012));
  }
  colour = mix(colour, [0.52, 0.26, 0.1], step(0.1 - away, 0.012));
  return mix(colour, [0.97, 0.8, 0.36], step(0.07 - away, 0.012));
}

function waves(x, y) {
  const ring = (cx, cy) => Math.cos(34 * Math.hypot(x - cx, y - cy));
  const height = 0.5 + 0.25 * (ring(-0.12, 0.2) + ring(1.05, 0.86));
  return mix(mix([0.07, 0.2, 0.33], [0.25, 0.58, 0.64], height), [0.97, 0.93, 0.8], within(height * height * 1.1 - 0.15));
}

export const TARGETS = { sunset, fruit, flower, waves };

// A formula as a picture of three planes.
export function paint(formula, size) {
  const plane = size * size, image = new Float64Array(3 * plane);
  for (let p = 0; p < plane; p++) {
    const colour = formula(((p % size) + 0.5) / size, (Math.floor(p / size) + 0.5) / size);
    for (let k = 0; k < 3; k++) image[k * plane + p] = within(colour[k]);
  }
  return image;
}
