// Pictures of three planes on canvases.
export function createPainter(canvas, size) {
  canvas.width = canvas.height = size;
  // Kept where the pixels are computed: this page draws the same few of them again and again.
  const context = canvas.getContext("2d", { willReadFrequently: true }), shown = context.createImageData(size, size);
  shown.data.fill(255);
  // Shows value(j), where j is a place in the three planes; 0 is black, 1 is full colour.
  return (value) => {
    const { data } = shown, plane = size * size;
    for (let p = 0; p < plane; p++) {
      data[4 * p] = 255 * value(p) + 0.5;
      data[4 * p + 1] = 255 * value(p + plane) + 0.5;
      data[4 * p + 2] = 255 * value(p + 2 * plane) + 0.5;
    }
    context.putImageData(shown, 0, 0);
  };
}

const MOST_BYTES = 64 * 1024 * 1024;

// The middle square of a picture that the visitor has, in three planes; throws what to say where there is none.
export async function readOwn(file, size) {
  if (file.size > MOST_BYTES) throw { key: "target.too_large", most: MOST_BYTES / 1024 / 1024 };
  const address = URL.createObjectURL(file), picture = new Image();
  try {
    picture.src = address;
    await picture.decode();
    const side = Math.min(picture.naturalWidth, picture.naturalHeight);
    const canvas = Object.assign(document.createElement("canvas"), { width: size, height: size });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.fillStyle = "#fff";
    context.fillRect(0, 0, size, size);
    context.imageSmoothingQuality = "high";
    const left = (picture.naturalWidth - side) / 2, top = (picture.naturalHeight - side) / 2;
    context.drawImage(picture, left, top, side, side, 0, 0, size, size);
    const { data } = context.getImageData(0, 0, size, size), plane = size * size;
    return Float64Array.from({ length: 3 * plane }, (_, j) => data[4 * (j % plane) + Math.floor(j / plane)] / 255);
  } catch {
    throw { key: "target.unreadable" };
  } finally {
    URL.revokeObjectURL(address);
  }
}
