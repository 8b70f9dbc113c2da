// The loss over the steps, on a logarithmic scale: equal factors are equal heights.
import { number, say, small } from "./words.js";

const LEFT = 56, RIGHT = 12, TOP = 10, BOTTOM = 30;
const LEAST_STEPS = 300;

function make(parent, name, attributes, text) {
  const one = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
  if (text !== undefined) one.textContent = text;
  parent.append(one);
  return one;
}

// 1, 2 or 5 times a power of ten, about a fifth of the whole.
function tick(whole) {
  const power = 10 ** Math.floor(Math.log10(whole / 5));
  return [1, 2, 5, 10].map((times) => times * power).find((one) => whole / one <= 6);
}

export function drawChart(svg, { history, events }) {
  const width = svg.clientWidth || 600, height = svg.clientHeight || 200;
  const last = history.length - 1, steps = Math.max(LEAST_STEPS, last);
  let most = 0, least = Infinity;
  for (const loss of history) [most, least] = [Math.max(most, loss), Math.min(least, loss)];
  const high = Math.ceil(Math.log10(most)), low = Math.min(high - 2, Math.floor(Math.log10(least)));
  const x = (step) => LEFT + ((width - LEFT - RIGHT) * step) / steps;
  const y = (loss) => TOP + ((height - TOP - BOTTOM) * (high - Math.log10(loss))) / (high - low);
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  for (let power = low; power <= high; power++) {
    const value = 10 ** power, at = y(value);
    make(svg, "line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: at, y2: at });
    make(svg, "text", { x: LEFT - 10, y: at + 5, "text-anchor": "end" }, number(value, Math.max(0, -power)));
  }
  for (let step = 0, gap = tick(steps); step <= steps; step += gap) {
    make(svg, "text", { x: x(step), y: height - 6, "text-anchor": "middle" }, number(step));
  }
  for (const { step } of events) make(svg, "line", { class: "event", x1: x(step), x2: x(step), y1: TOP, y2: height - BOTTOM });
  // About one point for each pixel is enough.
  const stride = Math.max(1, Math.floor(last / width)), points = [];
  for (let step = 0; step <= last; step += stride) points.push(`${x(step).toFixed(1)},${y(history[step]).toFixed(1)}`);
  make(svg, "polyline", { class: "curve", points: points.join(" ") });
  make(svg, "circle", { class: "head", cx: x(last), cy: y(history[last]), r: 4 });
  svg.ariaLabel = say("chart.aria", { first: small(history[0]), last: small(history[last]), step: number(last) });
}
