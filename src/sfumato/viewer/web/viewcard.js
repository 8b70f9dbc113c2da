// The card of the view: saving pictures, navigation, field of view, background, light and dark.
import { manifest, post } from "./data.js";
import { downloadBlob } from "./endings.js";
import { isExact } from "./exact.js";
import { setNeutral } from "./look.js";
import { fovNow, isRotating, isWalking, leave, lensFor, onRotating, openingNow, setFov, setRotating, setWalking } from "./motion.js";
import { editedName, quoted } from "./script.js";
import { backgroundNow, picture, setBackground } from "./stage.js";

const byId = (name) => document.getElementById(name);
const card = byId("view");
const SIZES = [[1920, 1080], [3840, 2160], [1080, 1920], [2048, 2048]];

let say = () => {};
let theme = null;

/** Wire the card; `tell` shows messages about saved pictures. */
export function buildView(tell) {
  say = tell;
  byId("view-toggle").addEventListener("click", () => showView(card.hidden));
  byId("shot-size").append(...SIZES.map((sides) => new Option(sides.join(" × "), sides.join("x"))));
  byId("shot").addEventListener("click", takePicture);
  byId("save-view").addEventListener("click", saveView);
  byId("rotate").addEventListener("click", () => setRotating(!isRotating()));
  byId("walk").addEventListener("click", () => walk(!isWalking()));
  byId("fov").addEventListener("input", () => chooseFov(Number(byId("fov").value)));
  byId("background").addEventListener("input", () => chooseBackground(byId("background").value));
  byId("view-reset").addEventListener("click", () => {
    chooseFov(null);
    chooseBackground(null);
  });
  byId("theme").addEventListener("click", () => chooseTheme(themeNow() === "light" ? "dark" : "light"));
  onRotating((on) => byId("rotate").setAttribute("aria-pressed", String(on)));
  chooseTheme(theme);
  chooseBackground(null);
  chooseFov(null);
}

export function showView(wanted) {
  card.hidden = !wanted;
  byId("view-toggle").setAttribute("aria-pressed", String(wanted));
}

export function isViewShown() {
  return !card.hidden;
}

/** Save the current picture as PNG, at the size of the window or at a chosen size. */
export async function takePicture() {
  const chosen = byId("shot-size").value;
  if (isExact() && chosen) {
    say("The exact view is saved as it is seen: choose the window's size");
    return;
  }
  const sides = chosen ? chosen.split("x").map(Number) : null;
  const blob = isExact() ? await new Promise((done) => byId("exact").toBlob(done)) : await picture(sides, sides && lensFor(...sides));
  if (!blob) {
    say("This browser cannot make a picture of that size");
    return;
  }
  downloadBlob(blob, `${manifest.title.replace(/[^\w.-]+/g, "_")}.png`);
  say("The picture is in your downloads");
}

/** Keep the current view as the one with which the scene opens: beside the scene, or as a download. */
async function saveView() {
  const view = openingNow();
  if (!manifest.saveView) {
    const name = `${manifest.title.replace(/\.\w+$/, "").replace(/[^\w.-]+/g, "_")}-view.json`;
    downloadBlob(new Blob([`${JSON.stringify(view, null, 2)}\n`], { type: "application/json" }), name);
    say(`${name}: sfumato edit ${quoted(manifest.source)} -o ${quoted(editedName())} --view ${name}`);
    return;
  }
  try {
    const told = await (await post(manifest.saveView, JSON.stringify(view))).json();
    say(`The scene opens with this view from now on: ${told.view}`);
  } catch (error) {
    say(`Not saved: ${error.message ?? error}; the terminal says why`);
  }
}

export function walk(wanted) {
  setWalking(wanted);
  byId("walk").setAttribute("aria-pressed", String(isWalking()));
  if (wanted) say("Walking: drag looks around, W A S D and wheel go along the ground");
}

/** Set the vertical field of view in degrees; null: the default. */
export function chooseFov(degrees) {
  // Training cameras have their own field of view.
  if (degrees) leave();
  setFov(degrees);
  byId("fov").value = fovNow();
  byId("fov-words").textContent = `${Math.round(fovNow())}°`;
}

/** Set the background colour as "#rrggbb"; null: that of the scene. */
export function chooseBackground(colour) {
  const own = `#${manifest.background.map((v) => Math.round(255 * v).toString(16).padStart(2, "0")).join("")}`;
  const wanted = /^#[0-9a-f]{6}$/i.test(colour ?? "") ? colour : own;
  byId("background").value = wanted;
  const rgb = wanted === own ? manifest.background : [1, 3, 5].map((at) => parseInt(wanted.slice(at, at + 2), 16) / 255);
  setBackground(rgb);
  setNeutral(rgb);
}

/** The field of view and the background that were chosen, or null. */
export function chosenView() {
  const rgb = backgroundNow();
  const isOwn = rgb.every((v, i) => v === manifest.background[i]);
  return { fov: fovNow() === fovNow(true) ? null : fovNow(), background: isOwn ? null : byId("background").value, theme };
}

export function themeNow() {
  // Pictures look best in dark surroundings.
  return theme ?? "dark";
}

/** Set "light" or "dark" controls; null: the default. */
export function chooseTheme(name) {
  theme = name === "light" || name === "dark" ? name : null;
  document.documentElement.dataset.theme = themeNow();
  byId("theme").textContent = themeNow() === "light" ? "Dark controls" : "Light controls";
}
