// The controls: modes, cameras, keys, help.
import { buildCompare, isComparing, layFrame, setComparing } from "./compare.js";
import { buildCrop, showCrop } from "./crop.js";
import { manifest, pictureAddress } from "./data.js";
import { buildEditing, editKey, isEditing, showEditing } from "./editcard.js";
import { buildEnding } from "./endings.js";
import { isExact, isOffered, lastPicture, onTrouble, setExact, setExactLook } from "./exact.js";
import { buildFilm, isFilming, showFilm } from "./film.js";
import { floatersShown, isMarking, missing, setMarking } from "./floaters.js";
import { colourFrusta, showFrusta } from "./frusta.js";
import { followHash, viewHash } from "./link.js";
import { depthRange, MODES, setMode } from "./look.js";
import { buildMap, fade, isMapShown, showMap, stay } from "./map.js";
import { buildMeasure, inWords, isMeasuring, showMeasure } from "./measure.js";
import { isRotating, isStaying, isWalking, leave, onStanding, refit, reset, setInset, setRotating, standIn, standingIn } from "./motion.js";
import { buildNotes, isNoting, showNotes } from "./notes.js";
import { colourOfQuality, cssColour, hasQuality, qualityLegend, qualityWords } from "./quality.js";
import { hasStage, rate } from "./stage.js";
import { buildTimeline, timelineKey } from "./timeline.js";
import { isFading, setTrustColours, trustLegend, whyNoTrust } from "./trust.js";
import { buildView, isViewShown, showView, takePicture, walk } from "./viewcard.js";
import { cameras, turnOver } from "./world.js";

const byId = (name) => document.getElementById(name);
const strip = byId("strip");
const THUMBNAIL_PX = 62;
const DEPTHS = "linear-gradient(90deg,#fcedbf,#ed945c,#a34a75,#40337a,#0a0d24)";
// The colour map of the contact sheet of a run.
const ERRORS = "linear-gradient(90deg,#080810,#241454,#621c76,#a82e68,#e25444,#f89834,#fcf8b8)";
const FLOATERS = "#ff4fa3";

let mode = "colour";
let showsCameras = false;
let showsQuality = false;
let onExactChanged = () => {};

/** Wire every control. */
export function buildPanel() {
  byId("title").textContent = manifest.title;
  byId("about").textContent = `Made with Sfumato ${manifest.version}; drawn by Spark and three.js.`;
  for (const button of document.querySelectorAll("[data-mode]")) {
    button.addEventListener("click", () => choose(button.dataset.mode));
  }
  byId("cameras").hidden = !cameras.length;
  byId("cameras").addEventListener("click", () => showCameras(!showsCameras));
  byId("quality").hidden = !hasQuality;
  byId("quality").addEventListener("click", () => showQuality(!showsQuality));
  byId("floaters").hidden = Boolean(manifest.live);
  byId("floaters").setAttribute("aria-disabled", String(Boolean(missing)));
  byId("floaters").title = missing ?? (manifest.floaters.by === "support" ? "Gaussians that the photographs do not support; sfumato edit --clean removes them" : "Small groups of Gaussians that touch nothing else; sfumato edit --clean removes them");
  byId("floaters").addEventListener("click", () => showFloaters(!isMarking()));
  // If the page cannot draw, there is no choice.
  byId("exact-toggle").hidden = !isOffered || !hasStage();
  byId("exact-toggle").addEventListener("click", () => chooseExact(!isExact()));
  byId("error-mode").hidden = !isOffered || !cameras.some((view) => view.photo);
  byId("trust-mode").setAttribute("aria-disabled", String(Boolean(whyNoTrust())));
  byId("trust-mode").title = whyNoTrust() ?? "How far each place of the scene can be trusted, seen from here";
  buildMap(lay);
  buildTimeline();
  for (const element of document.querySelectorAll("[data-needs]")) element.hidden = byId(element.dataset.needs).hidden;
  onTrouble(say);
  byId("reset").addEventListener("click", () => reset());
  byId("link").addEventListener("click", copyLink);
  byId("help-toggle").addEventListener("click", toggleHelp);
  byId("help").addEventListener("click", (event) => event.target === byId("help") && byId("help").close());
  byId("leave").addEventListener("click", leave);
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));
  buildCompare();
  buildCrop(say);
  buildEditing(say);
  buildView(say);
  buildMeasure(say);
  buildNotes(say);
  buildFilm(say);
  byId("edit-toggle").addEventListener("click", () => use("edit"));
  byId("measure-toggle").addEventListener("click", () => use("measure"));
  byId("notes-toggle").addEventListener("click", () => use("notes"));
  // Picking needs the scene drawn by the page.
  for (const name of ["measure-toggle", "notes-toggle"]) byId(name).hidden = !hasStage();
  if (!missing) buildEnding("floaters-ending", () => [{ do: "clean" }], say);
  onStanding(caption);
  addEventListener("keydown", key);
  addEventListener("resize", lay);
  addEventListener("hashchange", () => choose(followHash().mode));
  lay();
}

/** Fit the pictures of cameras into the space that the controls leave. */
function lay() {
  const bare = document.body.classList.contains("bare");
  const foot = byId("foot").offsetHeight;
  document.documentElement.style.setProperty("--foot", `${foot}px`);
  setInset(bare ? { top: 0, bottom: 0 } : { top: 72 + byId("legend").offsetHeight, bottom: foot + 24 });
  refit();
  layFrame();
}

/** Show the number of Gaussians and the facts about the scene. */
export function setFacts(count, moving = 0) {
  const move = moving ? [`${moving.toLocaleString("en")} of them move`] : [];
  const words = [`${count.toLocaleString("en")} Gaussians`, ...move, ...manifest.facts];
  byId("facts").textContent = words.join("  ·  ");
}

export function choose(name) {
  const canCompare = isOffered && standingIn()?.photo;
  const noTrust = whyNoTrust();
  if (name === "trust" && noTrust) say(noTrust);
  if (name === "trust" && !noTrust && isExact()) chooseExact(false);
  mode = MODES.includes(name) && (name !== "trust" || !noTrust) && (name !== "error" || canCompare) ? name : "colour";
  if (name === "error" && !canCompare && isOffered) say("Stand in a camera to see where its photograph differs");
  setMode(mode);
  setTrustColours(mode === "trust");
  setExactLook(mode, isMarking());
  if (mode === "error" && !isExact()) chooseExact(true);
  for (const button of document.querySelectorAll("[data-mode]")) {
    button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
  }
}

const TOOLS = { edit: [isEditing, showEditing], measure: [isMeasuring, showMeasure], notes: [isNoting, showNotes] };

/** Activate a pointer tool instead of any other, or deactivate it. */
function use(name) {
  const wanted = !TOOLS[name][0]();
  for (const [is, show] of Object.values(TOOLS)) if (is()) show(false);
  // They need the scene drawn by the page.
  if (wanted && isExact()) chooseExact(false);
  if (wanted) TOOLS[name][1](true);
}

/** Set the listener for switching the exact view on and off. */
export function onExact(listener) {
  onExactChanged = listener;
}

function chooseExact(wanted) {
  setExact(wanted);
  byId("exact-toggle").setAttribute("aria-pressed", String(isExact()));
  if (mode === (isExact() ? "trust" : "error")) choose("colour");
  onExactChanged();
}

async function showFloaters(wanted) {
  if (missing) {
    say(missing);
    return;
  }
  const button = byId("floaters");
  button.classList.toggle("busy", wanted);
  try {
    await setMarking(wanted);
  } catch (error) {
    say(`Floaters cannot be shown: ${error.message ?? error}`);
  }
  button.classList.remove("busy");
  button.setAttribute("aria-pressed", String(isMarking()));
  const count = floatersShown();
  byId("floaters-card").hidden = count === null;
  byId("floaters-words").textContent = count === null ? "" : `${count.toLocaleString("en")} of ${manifest.count.toLocaleString("en")} Gaussians, by ${manifest.floaters.by}`;
  setExactLook(mode, isMarking());
}

function showQuality(wanted) {
  showsQuality = wanted && hasQuality;
  byId("quality").setAttribute("aria-pressed", String(showsQuality));
  strip.classList.toggle("quality", showsQuality);
  colourFrusta(showsQuality);
  if (showsQuality && !showsCameras) showCameras(true);
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
    button.title = [view.name, view.held_out ? "held out" : "", qualityWords(view)].filter(Boolean).join(", ");
    button.style.setProperty("--quality", cssColour(colourOfQuality(view)));
    button.setAttribute("aria-label", button.title);
    button.classList.toggle("held", view.held_out);
    button.addEventListener("click", () => standIn(view));
    strip.append(button);
  }
}

function caption(view) {
  byId("caption").hidden = !view;
  byId("error-mode").disabled = !view?.photo;
  if (mode === "error" && !view?.photo) choose("colour");
  showFrusta(showsCameras && !view);
  for (const [index, button] of [...strip.children].entries()) {
    const here = view?.index === index;
    button.setAttribute("aria-pressed", String(here));
    if (here) button.scrollIntoView({ block: "nearest", inline: "center", behavior: "smooth" });
  }
  if (view) {
    byId("caption-name").textContent = view.name.split("/").at(-1);
    byId("caption-name").title = view.name;
    const measured = view.psnr === null ? "" : `${view.psnr.toFixed(2)} dB`;
    byId("caption-split").textContent = [view.held_out ? "held out" : "", measured].filter(Boolean).join("  ·  ");
    byId("caption-split").title = qualityWords(view);
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

/** Show a message briefly. */
export function say(words) {
  const toast = byId("toast");
  toast.textContent = words;
  toast.hidden = false;
  clearTimeout(hiding);
  // Long enough to be read.
  hiding = setTimeout(() => (toast.hidden = true), Math.max(2600, Math.min(50 * words.length, 12_000)));
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
  4: () => choose("error"),
  5: () => choose("trust"),
  b: () => !whyNoTrust() && showMap(!isMapShown(), lay),
  g: () => !whyNoTrust() && fade(!isFading()),
  i: () => !whyNoTrust() && stay(!isStaying()),
  m: () => showQuality(!showsQuality),
  o: () => !byId("floaters").hidden && showFloaters(!isMarking()),
  t: () => isOffered && hasStage() && chooseExact(!isExact()),
  c: () => showCameras(!showsCameras),
  x: () => showCrop(byId("crop").hidden),
  "/": () => showFilm(!isFilming()),
  j: takePicture,
  k: () => !byId("edit-toggle").hidden && use("edit"),
  ";": () => hasStage() && use("measure"),
  "'": () => hasStage() && use("notes"),
  n: () => walk(!isWalking()),
  y: () => setRotating(!isRotating()),
  z: () => showView(!isViewShown()),
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
  if (!byId("help").open && !event.target.matches("input[type=text], input[type=number], textarea") && editKey(event)) return;
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not(#time), select, [role=slider]")) return;
  if (byId("help").open && event.key !== "?") return;
  if (timelineKey(event) || event.target.matches("input")) return;
  KEYS[event.key.toLowerCase()]?.();
}

let saidAt = 0;

/** Update the frame rate and the legend. */
export function tell(now) {
  if (now - saidAt < 250) return;
  saidAt = now;
  const [frames, picture] = [rate(), lastPicture()];
  if (frames) byId("rate").textContent = `${frames < 10 ? frames.toFixed(1) : Math.round(frames)} fps`;
  else if (isExact()) byId("rate").textContent = picture ? `exact, in ${picture.seconds.toFixed(2)} s` : "drawing the first picture";
  else if (/exact|drawing/.test(byId("rate").textContent)) byId("rate").textContent = "";
  byId("rate").style.opacity = frames ? 1 : 0.7;
  const range = isExact() ? picture?.range : depthRange();
  const count = floatersShown();
  const before = byId("legend").offsetHeight;
  legend("depth", range && mode === "depth" && [`depth ${inWords(range[0])}`, DEPTHS, inWords(range[1]), ""]);
  legend("error", mode === "error" && ["no error", ERRORS, "0.2 and more", ""]);
  legend("trust", mode === "trust" && trustLegend());
  legend("quality", showsQuality && qualityLegend());
  legend("floaters", count !== null && ["", FLOATERS, `${count.toLocaleString("en")} floaters by ${manifest.floaters.by}`, `${((100 * count) / manifest.count).toFixed(1)}%`]);
  if (byId("legend").offsetHeight !== before) lay();
}

/** Show a line of the legend, [from, gradient, to, rest], or hide it. */
function legend(name, words) {
  const line = document.querySelector(`#legend [data-of=${name}]`);
  line.hidden = !words;
  if (!words) return;
  const [from, gradient, to, rest] = words;
  line.children[0].textContent = from;
  line.children[1].style.background = gradient;
  line.children[2].textContent = to;
  line.children[3].textContent = rest;
}
