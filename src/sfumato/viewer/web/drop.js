// Splat files dropped on the page: reloads the page with the scene of the file.
import { extentOf } from "./extent.js";
import { SIGNS } from "./look.js";

const TYPES = { ply: "ply", spz: "spz", splat: "splat", ksplat: "ksplat", sog: "pcsogszip" };
// Files of Niantic's format (.spz) have y and z negated.
const FRAMES = { spz: "rub" };
const MOST_BYTES = 2 ** 30;

// The document before anything was shown in it, without embedded data.
const pristine = document.documentElement.cloneNode(true);
for (const piece of pristine.querySelectorAll("[id^=data-], #poster")) piece.remove();

/** Accept dropped files; `say` shows error messages. */
export function takeDrops(say) {
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("dropping"));
  addEventListener("drop", async (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    const [file] = event.dataTransfer.files;
    if (!file) return;
    try {
      await open(file);
    } catch (error) {
      say(`${file.name} cannot be shown: ${error.message ?? error}`);
    }
  });
}

async function open(file) {
  const ending = file.name.split(".").at(-1).toLowerCase();
  if (!TYPES[ending]) throw new Error(`files of ${Object.keys(TYPES).join(", ")} can be dropped here; sfumato convert makes them of others`);
  if (file.size > MOST_BYTES) throw new Error("it is larger than 1 GiB: sfumato view shows it");
  const bytes = new Uint8Array(await file.arrayBuffer());
  const frame = FRAMES[ending] ?? "rdf";
  const mesh = new vendor.SplatMesh({ fileBytes: bytes.slice(), fileType: TYPES[ending], extSplats: true });
  await mesh.initialized;
  const manifest = manifestOf(file.name, mesh, { name: "scene", type: TYPES[ending], frame });
  mesh.dispose();
  location.href = URL.createObjectURL(new Blob(pageOf(manifest, await base64(bytes)), { type: "text/html" }));
}

function manifestOf(title, mesh, scene) {
  const own = JSON.parse(document.getElementById("manifest").textContent);
  return {
    version: own.version,
    title,
    source: title,
    facts: [],
    background: [0, 0, 0],
    near: null,
    antialiased: false,
    metres_per_unit: null,
    scene,
    streams: null,
    motion: null,
    ...extentOf(mesh, SIGNS[scene.frame]),
    first: 0,
    opening: null,
    fov_deg: null,
    count: mesh.numSplats,
    floaters: { name: "floaters", missing: "floaters are found by sfumato view and sfumato edit --clean", by: "isolation" },
    trust: { missing: "trust is measured for run folders: sfumato eval RUN --envelope" },
    cameras: [],
    thumbnails: null,
    exact: null,
    live: false,
    save: null,
    saveView: null,
    edits: null,
    film: null,
  };
}

/** The parts of the page for another scene. */
function pageOf(manifest, data) {
  const page = pristine.cloneNode(true);
  const told = page.querySelector("#manifest");
  // With "<" in it, a name could close the element.
  told.textContent = JSON.stringify(manifest).replaceAll("<", "\\u003c");
  page.querySelector("title").textContent = manifest.title;
  const piece = document.createElement("script");
  Object.assign(piece, { type: "text/plain", id: "data-scene", textContent: data });
  told.after(piece);
  return ["<!doctype html>\n", page.outerHTML];
}

async function base64(bytes) {
  const reader = new FileReader();
  const done = new Promise((resolve, reject) => Object.assign(reader, { onload: resolve, onerror: reject }));
  reader.readAsDataURL(new Blob([bytes]));
  await done;
  return reader.result.slice(reader.result.indexOf(",") + 1);
}
