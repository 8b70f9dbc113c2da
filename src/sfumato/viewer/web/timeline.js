// The controls of a dynamic scene: play, time, speed, loop, trails.
import { hasTime, onTime, setLoop, setPlaying, setSpeed, setTime, SPEEDS, stepTime, timeNow } from "./time.js";
import { clearTrails, isTrailing, setTrailing } from "./trails.js";

const byId = (name) => document.getElementById(name);
const slider = byId("time");

/** Wire the controls, if the scene is dynamic. */
export function buildTimeline() {
  byId("timeline").hidden = !hasTime;
  if (!hasTime) return;
  for (const speed of SPEEDS) byId("speed").append(new Option(`${speed}×`, speed));
  byId("play").addEventListener("click", togglePlaying);
  slider.addEventListener("input", () => {
    const wanted = Number(slider.value);
    setPlaying(false);
    setTime(wanted);
  });
  byId("speed").addEventListener("change", () => setSpeed(Number(byId("speed").value)));
  byId("loop").addEventListener("click", () => setLoop(!timeNow().loops));
  byId("trails").addEventListener("click", toggleTrails);
  // Clicked controls do not take the keyboard focus, so that the space bar still controls playback.
  byId("foot").addEventListener("mousedown", (event) => event.target.closest("button") && event.preventDefault());
  for (const control of [slider, byId("speed")]) control.addEventListener("pointerup", () => setTimeout(() => control.blur()));
  onTime(tell);
  tell();
}

function togglePlaying() {
  setPlaying(!timeNow().playing);
}

function toggleTrails() {
  setTrailing(!isTrailing());
  byId("trails").setAttribute("aria-pressed", String(isTrailing()));
}

function changeSpeed(by) {
  setSpeed(SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, SPEEDS.indexOf(timeNow().speed) + by))]);
}

function tell() {
  const { now, start, end, playing, speed, loops } = timeNow();
  Object.assign(slider, { min: start, max: end, value: now });
  const digits = end - start < 10 ? 2 : 1;
  slider.style.setProperty("--at", `${(100 * (now - start)) / Math.max(end - start, 1e-9)}%`);
  slider.setAttribute("aria-valuetext", `${now.toFixed(digits)} seconds`);
  byId("time-now").textContent = now.toFixed(digits);
  byId("time-end").textContent = `/ ${end.toFixed(digits)} s`;
  byId("play").setAttribute("aria-label", playing ? "Pause" : "Play");
  byId("play").classList.toggle("playing", playing);
  byId("speed").value = speed;
  byId("loop").setAttribute("aria-pressed", String(loops));
}

const KEYS = {
  " ": togglePlaying,
  ",": () => stepTime(-1),
  ".": () => stepTime(1),
  "<": () => changeSpeed(-1),
  ">": () => changeSpeed(1),
  v: toggleTrails,
};

/** Handle a key; returns whether it was handled. */
export function timelineKey(event) {
  const isFree = event.key !== " " || !event.target.matches("button, summary, a");
  const action = hasTime && isFree && KEYS[event.key.toLowerCase()];
  if (action) {
    event.preventDefault();
    action();
  } else if (event.key === "Escape") {
    return clearTrails();
  }
  return Boolean(action);
}
