// Clicks that mean a place on a surface, for whichever tool asked for them last.
let wanted = null;

/** Let clicks go to `take(place)`, a point in the scene's frame; null: they mean what they mean otherwise. */
export function pickFor(take) {
  wanted = take;
  document.getElementById("stage").classList.toggle("picking", Boolean(take));
}

/** Who takes the places that are clicked, or null. */
export function pickerNow() {
  return wanted;
}
