// The current time of a dynamic scene, played or set.
import { manifest } from "./data.js";

export const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 4];

/** Whether the scene moves. */
export const hasTime = Boolean(manifest.motion);
const times = manifest.motion?.times ?? [0];

let now = times[0];
// For a run in progress, the time of the last finished step.
let end = manifest.live ? times[0] : times[times.length - 1];
let playing = false;
let speed = 1;
let loops = true;
const listeners = [];

/** Register a listener for changes of the time or of its playback. */
export function onTime(listener) {
  listeners.push(listener);
}

function changed() {
  for (const listener of listeners) listener();
}

/** The state of the playback: current, start and end time in seconds, whether it plays, its speed, and looping. */
export function timeNow() {
  return { now, start: times[0], end, playing, speed, loops };
}

/** Set the time in seconds. */
export function setTime(seconds) {
  now = Math.max(times[0], Math.min(end, seconds));
  changed();
}

/** Stop at the nearest step; returns its time. */
export function stopAtStep() {
  playing = false;
  const after = times.filter((time) => time <= end);
  setTime(after.reduce((best, time) => (Math.abs(time - now) < Math.abs(best - now) ? time : best)));
  return now;
}

/** Start the playback, from the beginning if it is at the end, or stop it. */
export function setPlaying(wanted) {
  playing = wanted && end > times[0];
  if (playing && now >= end) now = times[0];
  changed();
}

export function setSpeed(value) {
  speed = value;
  changed();
}

export function setLoop(wanted) {
  loops = wanted;
  changed();
}

/** Move to the next or previous step. */
export function stepTime(by) {
  playing = false;
  const after = times.filter((time) => time <= end);
  const found = by > 0 ? after.find((time) => time > now) : after.findLast((time) => time < now);
  setTime(found ?? (by > 0 ? after[0] : after.at(-1)));
}

/** Set the last known step; if the time was at the end, it follows. */
export function setLastStep(step) {
  const follows = now >= end && !playing;
  end = times[step];
  if (follows || now > end) now = end;
  changed();
}

/** Advance the playback; returns whether the time has changed. */
export function advanceTime(seconds) {
  if (!playing) return false;
  now += speed * seconds;
  if (now > end) {
    playing = loops;
    now = loops ? times[0] + ((now - end) % (end - times[0])) : end;
  }
  changed();
  return true;
}
