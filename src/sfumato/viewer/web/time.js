// The time that is shown of a scene that moves: played, or set.
import { manifest } from "./data.js";

export const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 4];

/** Whether the scene moves. */
export const hasTime = Boolean(manifest.motion);
const times = manifest.motion?.times ?? [0];

let now = times[0];
// Of a run that goes on, the steps that are done.
let end = manifest.live ? times[0] : times[times.length - 1];
let playing = false;
let speed = 1;
let loops = true;
const listeners = [];

/** Be told when the time, or how it is played, has changed. */
export function onTime(listener) {
  listeners.push(listener);
}

function changed() {
  for (const listener of listeners) listener();
}

/** How the time stands: seconds now, at the start and at the end; whether it plays, how fast, and in a loop. */
export function timeNow() {
  return { now, start: times[0], end, playing, speed, loops };
}

/** Show a time in seconds. */
export function setTime(seconds) {
  now = Math.max(times[0], Math.min(end, seconds));
  changed();
}

/** Let the scene play, from its start where it has come to its end; or stop it. */
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

/** Go by whole steps. */
export function stepTime(by) {
  playing = false;
  const after = times.filter((time) => time <= end);
  const found = by > 0 ? after.find((time) => time > now) : after.findLast((time) => time < now);
  setTime(found ?? (by > 0 ? after[0] : after.at(-1)));
}

/** The scene is known up to a step; whoever looks at the newest one goes along. */
export function setLastStep(step) {
  const follows = now >= end && !playing;
  end = times[step];
  if (follows || now > end) now = end;
  changed();
}

/** Let time go on; whether it does. */
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
