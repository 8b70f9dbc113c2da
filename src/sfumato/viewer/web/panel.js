// The controls: what is shown, the cameras, keys, help.
import { buildCompare, isComparing, layFrame, setComparing } from "./compare.js";
import { buildCrop, showCrop } from "./crop.js";
import { manifest, pictureAddress } from "./data.js";
import { showFrusta } from "./frusta.js";
import { followHash, viewHash } from "./link.js";
import { depthRange, MODES, setMode } from "./look.js";
import { leave, onStanding, refit, reset, setInset, standIn, standingIn } from "./motion.js";
import { rate } from "./stage.js";
import { cameras, turnOver } from "./world.js";

const byId = (name) => document.getElementById(name);
const strip = byId("strip");
const THUMBNAIL_PX = 62;

let mode = "colour";
let showsCameras = false;

/** Wire every control. */
export function buildPanel() {
  byId("title").textContent = manifest.title;
  byId("about").textContent = `Made with Sfumato ${manifest.version}; drawn by Spark and three.js.`;
  for (const button of document.querySelectorAll("[data-mode]")) {
    button.addEventListener("click", () => choose(button.dataset.mode));
  }
  byId("cameras").hidden = !cameras.length;
  byId("cameras").addEventListener("click", () => showCameras(!showsCameras));
  byId("reset").addEventListener("click", () => reset());
  byId("link").addEventListener("click", copyLink);
  byId("help-toggle").addEventListener("click", toggleHelp);
  byId("help").addEventListener("click", (event) => event.target === byId("help") && byId("help").close());
  byId("leave").addEventListener("click", leave);
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  buildCompare();
  buildCrop();
  onStanding(caption);
  addEventListener("keydown", key);
  addEventListener("resize", lay);
  addEventListener("hashchange", () => choose(followHash().mode));
  lay();
}

/** Give pictures of cameras the room that the controls leave. */
function lay() {
  const bare = document.body.classList.contains("bare");
  setInset(bare ? { top: 0, bottom: 0 } : { top: 58, bottom: byId("foot").offsetHeight + 24 });
  refit();
  layFrame();
}

/** Say how many splats there are, and what else is known of the scene. */
export function setFacts(count) {
  const words = [`${count.toLocaleString("en")} Gaussians`, ...manifest.facts];
  byId("facts").textContent = words.join("  ·  ");
}

export function choose(name) {
  mode = MODES.includes(name) ? name : "colour";
  setMode(mode);
  for (const button of document.querySelectorAll("[data-mode]")) {
    button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
  }
}

function showCameras(wanted) {
  showsCameras = wanted && cameras.length > 0;
  byId("cameras").setAttribute("aria-pressed", String(showsCameras));
  if (showsCameras && !strip.children.length) fillStrip();
  strip.hidden = !showsCameras;
  showFrusta(showsCameras && !standingIn());
  lay();
}

function fillStrip() {
  const sheet = manifest.thumbnails;
  const address = sheet && `url("${pictureAddress(sheet.name)}")`;
  for (const view of cameras) {
    const button = document.createElement("button");
    const [x, y, w, h] = view.thumbnail ?? [0, 0, ...view.size_px];
    const scale = THUMBNAIL_PX / h;
    Object.assign(button.style, { width: `${Math.round(w * scale)}px`, height: `${THUMBNAIL_PX}px` });
    if (sheet) {
      button.style.backgroundImage = address;
      button.style.backgroundSize = `${sheet.size_px[0] * scale}px ${sheet.size_px[1] * scale}px`;
      button.style.backgroundPosition = `${-x * scale}px ${-y * scale}px`;
    }
    button.title = view.held_out ? `${view.name} (held out)` : view.name;
    button.setAttribute("aria-label", button.title);
    button.classList.toggle("held", view.held_out);
    button.addEventListener("click", () => standIn(view));
    strip.append(button);
  }
}

function caption(view) {
  byId("caption").hidden = !view;
  showFrusta(showsCameras && !view);
  for (const [index, button] of [...strip.children].entries()) {
    const here = view?.index === index;
    button.setAttribute("aria-pressed", String(here));
    if (here) button.scrollIntoView({ block: "nearest", inline: "center", behavior: "smooth" });
  }
  if (view) {
    byId("caption-name").textContent = view.name.split("/").at(-1);
    byId("caption-name").title = view.name;
    byId("caption-split").textContent = view.held_out ? "held out" : "";
  }
  lay();
}

function step(by) {
  if (!cameras.length) return;
  const from = standingIn()?.index ?? (by > 0 ? -1 : 0);
  standIn(cameras[(from + by + cameras.length) % cameras.length]);
}

async function copyLink() {
  history.replaceState(null, "", viewHash(mode));
  try {
    await navigator.clipboard.writeText(location.href);
    say("Link to this view copied");
  } catch {
    say("The address of this page now keeps the view");
  }
}

let hiding = 0;

/** Say something for a moment. */
export function say(words) {
  const toast = byId("toast");
  toast.textContent = words;
  toast.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => (toast.hidden = true), 2600);
}

function toggleHelp() {
  const help = byId("help");
  if (help.open) help.close();
  else help.showModal();
}

function setBare(bare) {
  document.body.classList.toggle("bare", bare);
  if (bare) say("H brings the controls back");
  lay();
}

const KEYS = {
  1: () => choose("colour"),
  2: () => choose("depth"),
  3: () => choose("normals"),
  c: () => showCameras(!showsCameras),
  x: () => showCrop(byId("crop").hidden),
  r: () => reset(),
  u: () => {
    turnOver();
    reset();
  },
  l: copyLink,
  p: () => (standingIn() ? setComparing(!isComparing()) : step(1)),
  h: () => setBare(!document.body.classList.contains("bare")),
  f: () => (document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen?.()),
  "[": () => step(-1),
  "]": () => step(1),
  "?": toggleHelp,
  escape: leave,
};

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, [role=slider]")) return;
  if (byId("help").open && event.key !== "?") return;
  KEYS[event.key.toLowerCase()]?.();
}

let saidAt = 0;

/** Show how fast it goes, and what the colours of depths mean. */
export function tell(now) {
  if (now - saidAt < 250) return;
  saidAt = now;
  const frames = rate();
  if (frames) byId("rate").textContent = `${frames < 10 ? frames.toFixed(1) : Math.round(frames)} fps`;
  byId("rate").style.opacity = frames ? 1 : 0.7;
  const range = depthRange();
  byId("legend").hidden = !range;
  if (range) {
    const bar = "background:linear-gradient(90deg,#fcedbf,#ed945c,#a34a75,#40337a,#0a0d24)";
    byId("legend").innerHTML = `${range[0].toPrecision(3)}<i style="${bar}"></i>${range[1].toPrecision(3)}`;
  }
}
