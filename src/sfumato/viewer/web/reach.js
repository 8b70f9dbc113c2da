// Where a visitor stands inside: where what the nearest training view shows is seen much as it was photographed.
import { manifest } from "./data.js";
import { countOfTrust, displacement, hasSeen, placesOfTrust, seenFrom } from "./trust.js";

// Gaussians that are looked at of each place, out of at most so many.
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

/** The displacement of a place [3] in the scene's frame: the median of what the nearest camera shows; null before it is known. */
export function displacementOf(place) {
  if (!countOfTrust()) return null;
  if (!samples) take();
  const from = seenFrom(place);
  const nearest = from.order.find(({ number }) => samples[number].length);
  if (!nearest) return null;
  const found = Float64Array.from(samples[nearest.number], (i) => displacement(i, from)).sort();
  return found[found.length >> 1];
}

/** How far outside a place is: 0 inside, 1 at twice the displacement that is. */
export function outsideBy(place) {
  const away = displacementOf(place);
  return away === null ? 0 : Math.max(0, away / manifest.trust.reach - 1);
}
