// The page within another one, by #embed in its address: the scene alone.
let touched = false;

/** Whether only the scene is shown. */
export const isEmbedded = new URLSearchParams(location.hash.slice(1)).has("embed");

/** Leave the controls out, but for a link to the whole page. */
export function embed() {
  if (!isEmbedded) return;
  document.body.classList.add("embed");
  const link = document.getElementById("whole");
  const words = new URLSearchParams(location.hash.slice(1));
  words.delete("embed");
  link.href = `${location.href.split("#")[0]}#${words}`;
  link.hidden = false;
  addEventListener("pointerdown", () => (touched = true), { capture: true });
}

/** Whether the wheel is the page's around this one: until one has clicked into the scene. */
export function leavesWheel() {
  return isEmbedded && !touched;
}
