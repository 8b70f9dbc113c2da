// Picking of surface points by clicks, for the tool that requested it last.
let wanted = null;

/** Pass clicked points, in the scene's frame, to `take(place)`; null: clicks have their normal meaning. */
export function pickFor(take) {
  wanted = take;
  document.getElementById("stage").classList.toggle("picking", Boolean(take));
}

/** The function that receives clicked points, or null. */
export function pickerNow() {
  return wanted;
}
