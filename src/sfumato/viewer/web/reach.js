// The trusted region: positions with a small displacement from the nearest training view.
import { manifest } from "./data.js";
import { countOfTrust, displacement, hasSeen, placesOfTrust, seenFrom } from "./trust.js";

// Number of Gaussians sampled per camera, out of at most this many.
const OF_A_PLACE = 160;
const LOOKED_AT = 20000;
let samples = null;

function take() {
  const n = countOfTrust();
  const every = Math.max(1, Math.floor(n / LOOKED_AT));
  samples = placesOfTrust().map((_, place) => {
    const found = [];
    for (let i = 0; i < n; i += every) if (hasSeen(place, i)) found.push(i);
    const step = Math.max(1, found.length / OF_A_PLACE);
    return Array.from({ length: Math.min(found.length, OF_A_PLACE) }, (_, k) => found[Math.floor(k * step)]);
  });
}

/** The displacement of a position [3] in the scene's frame: the median over what the nearest camera sees, or null. */
export function displacementOf(place) {
  if (!countOfTrust()) return null;
  if (!samples) take();
  const from = seenFrom(place);
  const nearest = from.order.find(({ number }) => samples[number].length);
  if (!nearest) return null;
  const found = Float64Array.from(samples[nearest.number], (i) => displacement(i, from)).sort();
  return found[found.length >> 1];
}

/** How far a position is outside the trusted region: 0 inside, 1 at twice the allowed displacement. */
export function outsideBy(place) {
  const away = displacementOf(place);
  return away === null ? 0 : Math.max(0, away / manifest.trust.reach - 1);
}
