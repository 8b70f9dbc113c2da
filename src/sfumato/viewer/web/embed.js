// The page embedded in another one, by #embed in its address: only the scene.
let touched = false;

/** Whether only the scene is shown. */
export const isEmbedded = new URLSearchParams(location.hash.slice(1)).has("embed");

/** Hide the controls, except for a link to the full page. */
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

/** Whether the wheel scrolls the surrounding page, which it does until the scene is clicked. */
export function leavesWheel() {
  return isEmbedded && !touched;
}
