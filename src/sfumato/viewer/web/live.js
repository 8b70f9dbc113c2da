// Live view of a training run: the current scene, curves, and control buttons.
import { manifest, post } from "./data.js";

const byId = (name) => document.getElementById(name);
const chart = byId("live-chart");
const LOSS = "#8fb3d9";
const PSNR = "#e8b464";
const RETRY_MS = 2000;
const ENDED = ["done", "stopped", "written"];
// A training run reports its loss; a tracking run reports the quality of changing regions.
const CURVES = {
  training: {
    words: "Training",
    second: "PSNR",
    first: { name: "loss", label: "loss", scale: Math.log, quality: (report) => report?.loss.toFixed(4) ?? "" },
  },
  tracking: {
    words: "Tracking",
    second: "held out",
    first: { name: "psnr_changed", label: "where it changes", scale: (v) => v, quality: (report) => (report ? `${report.psnr_changed.toFixed(2)} dB` : "–") },
    together: true,
  },
}[manifest.live || "training"];

const reports = [];
let state = "training";
let newest = { version: 0 };
let shownVersion = 0;
let loading = false;
let show = null;
let onState = () => {};
let isFollowing = () => true;

/**
 * Listen to the run. `load({ version, type, frame })` loads and shows a snapshot of the scene, if `follows()`
 * returns that the page draws it; `take(news)` receives the steps of a dynamic scene; `tell(state, gaussians)`
 * receives the state of the run.
 */
export function listenToRun({ load, follows, take, tell }) {
  show = load;
  isFollowing = follows;
  onState = tell;
  byId("live").hidden = false;
  byId("live-first").textContent = CURVES.first.label;
  byId("live-second").textContent = CURVES.second;
  byId("live-pause").addEventListener("click", () => ask(state === "paused" ? "resume" : "pause"));
  byId("live-stop").addEventListener("click", () => ask("stop"));
  const events = new EventSource("events");
  events.addEventListener("report", (event) => {
    reports.push(JSON.parse(event.data));
    onState(state, reports.at(-1).gaussians);
    drawSoon();
  });
  events.addEventListener("state", (event) => setState(JSON.parse(event.data)));
  events.addEventListener("scene", (event) => {
    newest = JSON.parse(event.data);
    loadNewest();
  });
  events.addEventListener("steps", (event) => take(JSON.parse(event.data)));
  events.onopen = () => {
    reports.length = 0;
  };
  events.onerror = () => {
    if (ENDED.includes(state)) events.close();
    else setState({ state: "away" });
  };
  new ResizeObserver(drawSoon).observe(chart);
}

async function ask(action) {
  try {
    await post(`control/${action}`);
  } catch {
    setState({ state: "away" });
  }
}

/** Load the newest snapshot of the scene, if the page draws it and does not have it yet. */
export async function loadNewest() {
  if (loading || newest.version <= shownVersion || !isFollowing()) return;
  loading = true;
  try {
    const next = newest;
    await show(next);
    shownVersion = next.version;
  } catch {
    // The snapshot was replaced or the server is gone. No new one is made before this one was fetched, so
    // retry.
    if (state !== "away") setTimeout(loadNewest, RETRY_MS);
  }
  loading = false;
  if (newest.version > shownVersion) setTimeout(loadNewest, 100);
}

/** The version of the snapshot shown. */
export function versionShown() {
  return shownVersion;
}

function setState({ state: name }) {
  // The server now shows the next stage of the run.
  if (name === "next") location.reload();
  state = name;
  if (name === "written") offerScene();
  onState(state, reports.at(-1)?.gaussians);
  const words = { training: CURVES.words, paused: "Paused", stopping: "Stopping", stopped: "Stopped and saved", done: "Done", written: "Done", away: "Not connected" };
  byId("live-state").textContent = words[name] ?? name;
  byId("live-pause").textContent = name === "paused" ? "Resume" : "Pause";
  const over = !["training", "paused"].includes(name);
  byId("live-pause").disabled = over;
  byId("live-stop").disabled = over;
}

/** Fetch the finished page while the server is still there, and offer to open it. */
async function offerScene() {
  const response = await fetch("finished.html", { cache: "no-store" });
  if (!response.ok) return;
  const page = new Blob([await response.arrayBuffer()], { type: "text/html" });
  const link = document.createElement("a");
  Object.assign(link, { href: URL.createObjectURL(page), target: "_blank", textContent: "Open the scene" });
  byId("live-open").replaceChildren(link);
  byId("live-open").hidden = false;
  byId("live-pause").parentElement.hidden = true;
}

let isDrawing = false;

function drawSoon() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    draw();
  });
}

function draw() {
  const last = reports.at(-1);
  if (!last) return;
  byId("live-words").textContent = progressInWords(last);
  byId("live-loss").textContent = CURVES.first.quality(reports.findLast((r) => r[CURVES.first.name] !== undefined));
  byId("live-psnr").textContent = quality(reports.findLast((r) => r.psnr !== undefined));

  const ratio = Math.min(devicePixelRatio, 2);
  const [width, height] = [chart.clientWidth, chart.clientHeight];
  chart.width = width * ratio;
  chart.height = height * ratio;
  const brush = chart.getContext("2d");
  brush.scale(ratio, ratio);
  brush.strokeStyle = "rgb(255 255 255 / 10%)";
  for (let i = 0; i <= 3; i++) {
    const y = Math.round(4 + ((height - 8) * i) / 3) + 0.5;
    line(brush, [[0, y], [width, y]]);
  }
  const end = Math.max(last.step, 1);
  const together = CURVES.together ? ["psnr", CURVES.first.name] : null;
  const first = range(CURVES.first.name, together);
  const second = range("psnr", together);
  curve(brush, CURVES.first.name, LOSS, CURVES.first.scale, end, width, height, first);
  curve(brush, "psnr", PSNR, (v) => v, end, width, height, second);
  if (!together) label(brush, "left", LOSS, first, (v) => v.toFixed(3), width, height);
  label(brush, "right", PSNR, second, (v) => `${v.toFixed(1)} dB`, width, height);
  text(brush, "center", "rgb(255 255 255 / 65%)", `0 to ${end.toLocaleString("en")} steps`, width / 2, height - 4);
}

/** Share done, step, time spent, and time left if the share is known. */
function progressInWords({ step, seconds, progress }) {
  const words = [`step ${step.toLocaleString("en")}`, clock(seconds)];
  if (progress !== undefined) words.unshift(`${Math.round(100 * progress)}%`);
  if (progress >= 0.02 && progress < 1) words.push(`${clock((seconds * (1 - progress)) / progress)} left`);
  return words.join(" · ");
}

function clock(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

/** PSNR with the views it is averaged over: a few during training, all of them at the end. */
function quality(report) {
  if (report === undefined) return "–";
  if (report.psnr_all !== undefined) return `${report.psnr_all.toFixed(2)} dB (all ${report.psnr_all_views} views)`;
  return `${report.psnr.toFixed(2)} dB` + (report.psnr_views ? ` (${report.psnr_views} views)` : "");
}

/** Lowest and highest value of a curve, or of all curves named `together`; null without any. */
function range(name, together) {
  const values = reports.flatMap((r) => (together ?? [name]).map((one) => r[one]).filter((v) => v > 0));
  return values.length ? [Math.min(...values), Math.max(...values)] : null;
}

/** Write the range of a curve at one side of the chart, the highest value at the top. */
function label(brush, side, colour, ends, words, width, height) {
  if (!ends) return;
  const x = side === "left" ? 4 : width - 4;
  text(brush, side, colour, words(ends[1]), x, 12);
  if (ends[1] > ends[0]) text(brush, side, colour, words(ends[0]), x, height - 4);
}

function text(brush, align, colour, words, x, y) {
  brush.font = "10px system-ui, sans-serif";
  brush.textAlign = align;
  brush.fillStyle = colour;
  brush.fillText(words, x, y);
}

/** Draw a curve, scaled to the range of its values. */
function curve(brush, name, colour, scale, end, width, height, ends) {
  const points = reports.filter((r) => r[name] > 0).map((r) => [r.step, scale(r[name])]);
  if (points.length < 1) return;
  const [low, high] = ends.map(scale);
  const place = ([step, value]) => [(width * step) / end, 4 + (height - 8) * (1 - (value - low) / Math.max(high - low, 1e-9))];
  brush.strokeStyle = colour;
  brush.fillStyle = colour;
  brush.lineWidth = 1.6;
  const placed = points.map(place);
  line(brush, placed);
  if (points.length < 40) for (const [x, y] of placed) brush.fillRect(x - 1.5, y - 1.5, 3, 3);
  brush.lineWidth = 1;
}

function line(brush, points) {
  brush.beginPath();
  for (const [x, y] of points) brush.lineTo(x, y);
  brush.stroke();
}

/** Whether the page belongs to a run in progress. */
export const isLive = Boolean(manifest.live);
