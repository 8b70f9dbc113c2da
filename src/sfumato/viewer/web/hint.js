// A hint on navigation, shown briefly after the page has opened.
const SECONDS = 5;
const hint = document.getElementById("hint");

/** Show the hint for a while or until the first input. */
export function showHint() {
  const touches = matchMedia("(hover: none) and (pointer: coarse)").matches;
  hint.textContent = touches
    ? "One finger looks around, two fingers move and zoom, a double tap orbits round a point"
    : "Drag to look around, wheel to come nearer, double click to orbit round a point, ? for more";
  hint.hidden = false;
  const over = () => (hint.hidden = true);
  setTimeout(over, 1000 * SECONDS);
  for (const kind of ["pointerdown", "wheel", "keydown"]) addEventListener(kind, over, { once: true, capture: true });
}
