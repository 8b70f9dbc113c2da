// Photographs as a fallback if the scene cannot be drawn.
import { hasPhotograph, manifest, photographName, pictureAddress } from "./data.js";

/** Show the embedded photographs. */
export function showGallery() {
  const gallery = document.getElementById("gallery");
  const step = manifest.motion ? 0 : undefined;
  for (const view of manifest.cameras) {
    if (!view.photo || !hasPhotograph(photographName(view, step))) continue;
    const image = new Image();
    image.alt = view.name;
    image.src = pictureAddress(photographName(view, step));
    gallery.append(image);
  }
  gallery.hidden = !gallery.children.length;
}
