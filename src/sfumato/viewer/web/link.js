// The view encoded in the page's address, so that it can be shared as a link.
import { cropBox, setBox, showCrop } from "./crop.js";
import { isMapShown, showMap, fade, stay } from "./map.js";
import { endsNow, setEnds, showMeasure } from "./measure.js";
import { goTo, isStaying, standIn, standingIn, whereabouts } from "./motion.js";
import { notesNow, setNotes } from "./notes.js";
import { hasTime, setPlaying, setTime, timeNow } from "./time.js";
import { hasTrust, isFading } from "./trust.js";
import { chooseBackground, chooseFov, chooseTheme, chosenView } from "./viewcard.js";
import { cameras } from "./world.js";

const short = (numbers) => numbers.map((v) => Number(v.toPrecision(6))).join(",");

/** The URL fragment of the current view. */
export function viewHash(mode) {
  const words = new URLSearchParams();
  const view = standingIn();
  if (view) {
    words.set("camera", view.name);
  } else {
    const { position, quaternion, pivot } = whereabouts();
    words.set("at", short([...position, ...quaternion, ...pivot]));
  }
  if (mode !== "colour") words.set("show", mode);
  const box = cropBox();
  if (box) words.set("crop", short([...box.low, ...box.high]));
  if (hasTrust && !isFading()) words.set("fade", "off");
  if (isStaying()) words.set("inside", "on");
  if (isMapShown()) words.set("map", "on");
  if (endsNow().length === 6) words.set("measure", short(endsNow()));
  for (const { place, words: note } of notesNow()) words.append("note", `${short(place)},${note}`);
  const { fov, background, theme } = chosenView();
  if (fov) words.set("fov", short([fov]));
  if (background) words.set("background", background.slice(1));
  if (theme) words.set("theme", theme);
  if (hasTime) words.set("time", short([timeNow().now]));
  return `#${words.toString().replaceAll("%2C", ",").replaceAll("%2F", "/")}`;
}

function numbers(text, count) {
  const found = (text ?? "").split(",").map(Number);
  return found.length === count && found.every(Number.isFinite) ? found : null;
}

function noteOf(text) {
  const [x, y, z, ...words] = text.split(",");
  return { place: [x, y, z].map(Number), words: words.join(",") };
}

/** Restore the view from the address: { moved, mode }, where `moved` says whether the address contains a view. */
export function followHash(seconds) {
  const words = new URLSearchParams(location.hash.slice(1));
  const view = cameras.find((one) => one.name === words.get("camera"));
  const at = numbers(words.get("at"), 10);
  if (view) standIn(view, seconds);
  else if (at) goTo({ position: at.slice(0, 3), quaternion: at.slice(3, 7), pivot: at.slice(7) }, seconds);
  const crop = numbers(words.get("crop"), 6);
  if (crop) {
    showCrop(true);
    setBox({ low: crop.slice(0, 3), high: crop.slice(3) });
  }
  if (hasTrust) {
    fade(words.get("fade") !== "off");
    stay(words.get("inside") === "on");
    if (words.get("map") === "on") showMap(true);
  }
  const measured = numbers(words.get("measure"), 6);
  if (measured) {
    showMeasure(true);
    setEnds([measured.slice(0, 3), measured.slice(3)]);
  }
  if (words.has("note")) setNotes(words.getAll("note").map(noteOf));
  const [fov] = numbers(words.get("fov"), 1) ?? [];
  if (fov >= 10 && fov <= 140) chooseFov(fov);
  if (words.has("background")) chooseBackground(`#${words.get("background")}`);
  if (words.has("theme")) chooseTheme(words.get("theme"));
  const time = numbers(words.get("time"), 1);
  if (hasTime && time) {
    setPlaying(false);
    setTime(time[0]);
  }
  return { moved: Boolean(view || at), mode: words.get("show") ?? "colour" };
}
