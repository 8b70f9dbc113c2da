// Comparison of a photograph with the render, with a movable divider.
import { manifest, photographName, pictureAddress } from "./data.js";
import { onStanding, place, standingIn } from "./motion.js";
import { hasTime, onTime, setPlaying, setTime, timeNow } from "./time.js";

const frame = document.getElementById("frame");
const photo = document.getElementById("photo");
const divider = document.getElementById("divider");
const button = document.getElementById("compare");
const sides = [...frame.querySelectorAll(".side")];

let share = 0.5;
let comparing = false;
let source = "";

/** Wire the slider and react to changes of the selected camera. */
export function buildCompare() {
  onStanding(show);
  if (hasTime) onTime(() => comparing && load());
  button.addEventListener("click", () => setComparing(!comparing));
  divider.addEventListener("pointerdown", (event) => divider.setPointerCapture(event.pointerId));
  divider.addEventListener("pointermove", (event) => {
    if (!divider.hasPointerCapture(event.pointerId)) return;
    const box = frame.getBoundingClientRect();
    setShare((event.clientX - box.left) / box.width);
  });
  divider.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -0.05, ArrowRight: 0.05 }[event.key];
    if (step) setShare(share + step);
  });
  photo.addEventListener("load", () => photo.classList.add("ready"));
}

function show(view) {
  frame.hidden = !view;
  photo.classList.remove("ready");
  photo.removeAttribute("src");
  source = "";
  if (!view) return;
  button.disabled = !view.photo;
  layFrame();
  setComparing(comparing);
}

/** Align the frame with the picture, after a change of the window or the camera. */
export function layFrame() {
  if (!standingIn()) return;
  const box = place();
  for (const side of ["left", "top", "width", "height"]) frame.style[side] = `${box[side]}px`;
}

/** Show the photograph over the render, or only the render. */
export function setComparing(wanted) {
  const view = standingIn();
  comparing = wanted;
  const now = Boolean(wanted && view?.photo);
  if (now && hasTime) goToPhotograph();
  if (now) load();
  frame.classList.toggle("comparing", now);
  button.setAttribute("aria-pressed", String(now));
  for (const element of [divider, ...sides]) element.hidden = !now;
  if (now) setShare(share);
}

/** The step with photographs that is nearest to the current time; undefined in a static scene. */
function photographStep() {
  if (!hasTime) return undefined;
  const { times, photographs } = manifest.motion;
  const away = (step) => Math.abs(times[step] - timeNow().now);
  return photographs.reduce((best, step) => (away(step) < away(best) ? step : best));
}

/** If only some steps have photographs, go to the nearest of these. */
function goToPhotograph() {
  const { times, photographs } = manifest.motion;
  if (photographs.length === times.length) return;
  setPlaying(false);
  setTime(times[photographStep()]);
}

/** Load the photograph of the selected camera at the current time. */
function load() {
  const view = standingIn();
  if (!view?.photo) return;
  const step = photographStep();
  const name = photographName(view, step);
  if (name === source) return;
  source = name;
  photo.src = pictureAddress(name);
  if (hasTime) sides[0].textContent = `photograph of ${manifest.motion.times[step].toFixed(2)} s`;
}

export function isComparing() {
  return comparing;
}

function setShare(value) {
  share = Math.max(0, Math.min(1, value));
  photo.style.clipPath = `inset(0 ${100 * (1 - share)}% 0 0)`;
  divider.style.left = `${100 * share}%`;
  divider.setAttribute("aria-valuenow", String(Math.round(100 * share)));
  sides[0].style.opacity = share > 0.2 ? 1 : 0;
  sides[1].style.opacity = share < 0.8 ? 1 : 0;
}
