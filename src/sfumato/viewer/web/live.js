// Live view of a training run: the current scene, curves, and control buttons.
import { manifest, post } from "./data.js";

const byId = (name) => document.getElementById(name);
const chart = byId("live-chart");
const LOSS = "#8fb3d9";
const PSNR = "#e8b464";
const RETRY_MS = 2000;
// A training run reports its loss; a tracking run reports the quality of changing regions.
const CURVES = {
  training: {
    words: "Training",
    second: "held-out PSNR",
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
    if (state === "done" || state === "stopped") events.close();
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
  onState(state, reports.at(-1)?.gaussians);
  const words = { training: CURVES.words, paused: "Paused", stopping: "Stopping", stopped: "Stopped and saved", done: "Done", away: "Not connected" };
  byId("live-state").textContent = words[name] ?? name;
  byId("live-pause").textContent = name === "paused" ? "Resume" : "Pause";
  const over = !["training", "paused"].includes(name);
  byId("live-pause").disabled = over;
  byId("live-stop").disabled = over;
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
  const minutes = `${Math.floor(last.seconds / 60)}:${String(Math.floor(last.seconds % 60)).padStart(2, "0")}`;
  const done = last.progress === undefined ? "" : `${Math.round(100 * last.progress)}%  `;
  byId("live-words").textContent = `${done}step ${last.step.toLocaleString("en")}  ${minutes}`;
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
  curve(brush, CURVES.first.name, LOSS, CURVES.first.scale, end, width, height, together);
  curve(brush, "psnr", PSNR, (v) => v, end, width, height, together);
}

/** PSNR with the views it is averaged over: a few during training, all of them at the end. */
function quality(report) {
  if (report === undefined) return "–";
  if (report.psnr_all !== undefined) return `${report.psnr_all.toFixed(2)} dB (all ${report.psnr_all_views} views)`;
  return `${report.psnr.toFixed(2)} dB` + (report.psnr_views ? ` (${report.psnr_views} of the views)` : "");
}

/** Draw a curve, scaled to the range of its values, or of those of all curves named `together`. */
function curve(brush, name, colour, scale, end, width, height, together) {
  const points = reports.filter((r) => r[name] > 0).map((r) => [r.step, scale(r[name])]);
  if (points.length < 1) return;
  const values = together ? reports.flatMap((r) => together.map((one) => r[one]).filter((v) => v > 0)) : points.map((p) => p[1]);
  const [low, high] = [Math.min(...values), Math.max(...values)];
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
