// The data of the page: a manifest, and named pieces that are embedded in the page or loaded from the server.

export const manifest = JSON.parse(document.getElementById("manifest").textContent);

/** The element that contains a piece as base64, if it is embedded. */
function embedded(name) {
  return document.getElementById(`data-${name}`);
}

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** The name of a camera's photograph; in a dynamic scene, at a step. */
export function photographName(view, step) {
  return step === undefined ? view.photo : view.photo.replace(/\.jpg$/, `-${step}.jpg`);
}

/** Whether a picture is embedded in the page. */
export function hasPhotograph(name) {
  return Boolean(embedded(name));
}

/** A URL from which an image can be loaded. */
export function pictureAddress(name) {
  const element = embedded(name);
  return element ? `data:image/jpeg;base64,${element.textContent.trim()}` : name;
}

/** Read a piece as bytes; `onProgress` is called with the fraction that has arrived. */
export async function readBytes(name, onProgress = () => {}) {
  const element = embedded(name);
  if (element) {
    const bytes = bytesOf(element.textContent.trim());
    element.remove();
    return bytes;
  }
  const response = await fetch(name, { cache: "no-store" });
  if (!response.ok) throw new Error(`the server answers ${response.status} for the scene`);
  const total = Number(response.headers.get("Content-Length")) || 0;
  const chunks = [];
  let length = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    length += value.length;
    if (total) onProgress(length / total);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** Request a picture from our own renderer: { blob, seconds, range }, or null if a newer request superseded it. */
export async function askForPicture(request, signal) {
  const headers = { "X-Sfumato": "page", "Content-Type": "application/json" };
  const response = await fetch(manifest.exact, { method: "POST", headers, body: JSON.stringify(request), signal });
  if (response.status === 409) return null;
  if (!response.ok) throw new Error(`the server answers ${response.status}`);
  const range = response.headers.get("X-Range")?.split(" ").map(Number) ?? null;
  return { blob: await response.blob(), seconds: Number(response.headers.get("X-Seconds")), range };
}

/** Post a request to the server under a name; returns the response. */
export async function post(name, body) {
  const response = await fetch(name, { method: "POST", headers: { "X-Sfumato": "page" }, body });
  if (!response.ok) throw new Error(`the server answers ${response.status}`);
  return response;
}
