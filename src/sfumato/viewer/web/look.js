// The appearance of splats: colour, depth, normal, error or trust, inside the crop box.
import { allSplats, camera, touch } from "./stage.js";
import { radius, world } from "./world.js";

const { dyno } = vendor;

export const MODES = ["colour", "depth", "normals", "error", "trust"];
export const SIGNS = { rdf: [1, 1, 1], rub: [1, -1, -1] };

const WIDTH = 2048;

/** A texture with one byte per texel. */
function byteTexture(bytes) {
  const rows = Math.max(1, Math.ceil(bytes.length / WIDTH));
  const padded = new Uint8Array(rows * WIDTH);
  padded.set(bytes);
  const texture = new vendor.DataTexture(padded, WIDTH, rows, vendor.RedIntegerFormat);
  texture.needsUpdate = true;
  return texture;
}

const uniforms = {
  mode: dyno.dynoInt(0),
  cropped: dyno.dynoInt(0),
  low: dyno.dynoVec3(new vendor.Vector3()),
  high: dyno.dynoVec3(new vendor.Vector3()),
  eye: dyno.dynoVec3(new vendor.Vector3()),
  forward: dyno.dynoVec3(new vendor.Vector3(0, 0, 1)),
  range: dyno.dynoVec2(new vendor.Vector2(1, 2)),
  upright: dyno.dynoVec4(new vendor.Vector4(0, 0, 0, 1)),
  marking: dyno.dynoInt(0),
  marks: dyno.dynoUsampler2D(byteTexture(new Uint8Array(1))),
  fading: dyno.dynoFloat(-1),
  neutral: dyno.dynoVec3(new vendor.Vector3()),
  errors: dyno.dynoUsampler2D(byteTexture(new Uint8Array(1))),
  edited: dyno.dynoInt(0),
  states: dyno.dynoUsampler2D(byteTexture(new Uint8Array(1))),
};

const FUNCTIONS = `
  vec3 lookTurned(vec4 q, vec3 v) { return v + 2.0 * cross(q.xyz, cross(q.xyz, v) + q.w * v); }

  // Near is warm and light, far is blue and dark; lightness decreases monotonically.
  vec3 lookDepth(float t) {
    vec3 near = vec3(0.99, 0.93, 0.75), warm = vec3(0.93, 0.58, 0.36), middle = vec3(0.64, 0.29, 0.46);
    vec3 blue = vec3(0.25, 0.20, 0.48), far = vec3(0.04, 0.05, 0.14);
    t = clamp(t, 0.0, 1.0) * 4.0;
    if (t < 1.0) return mix(near, warm, t);
    if (t < 2.0) return mix(warm, middle, t - 1.0);
    if (t < 3.0) return mix(middle, blue, t - 2.0);
    return mix(blue, far, t - 3.0);
  }

  // Trusted is green, untrusted is red.
  vec3 lookTrust(float t) {
    vec3 good = vec3(0.18, 0.66, 0.31), middle = vec3(0.95, 0.84, 0.29), bad = vec3(0.84, 0.21, 0.17);
    return t < 1.0 / 3.0 ? mix(good, middle, 3.0 * t) : mix(middle, bad, 1.5 * t - 0.5);
  }

  vec3 lookNormal(Gsplat g, vec3 toward) {
    vec3 axis = vec3(0.0, 0.0, 1.0);
    if (g.scales.x <= g.scales.y && g.scales.x <= g.scales.z) axis = vec3(1.0, 0.0, 0.0);
    else if (g.scales.y <= g.scales.z) axis = vec3(0.0, 1.0, 0.0);
    vec3 normal = lookTurned(g.quaternion, axis);
    return dot(normal, toward) < 0.0 ? -normal : normal;
  }
`;

/** The modifiers for the splats of a file with axes `frame`; `first` is the index of its first splat. */
export function lookModifiers(frame, first = 0) {
  const sign = dyno.dynoVec3(new vendor.Vector3(...SIGNS[frame]));
  const offset = dyno.dynoInt(first);
  return [dyno.dynoBlock({ gsplat: dyno.Gsplat }, { gsplat: dyno.Gsplat }, ({ gsplat }) => {
    const look = new dyno.Dyno({
      inTypes: {
        gsplat: dyno.Gsplat, sign: "vec3", mode: "int", cropped: "int", low: "vec3", high: "vec3",
        eye: "vec3", forward: "vec3", range: "vec2", upright: "vec4", marking: "int", marks: "usampler2D", offset: "int",
        fading: "float", neutral: "vec3", errors: "usampler2D", edited: "int", states: "usampler2D",
      },
      outTypes: { gsplat: dyno.Gsplat },
      globals: () => [dyno.defineGsplat, FUNCTIONS],
      statements: ({ inputs: i, outputs: o }) => `
        ${o.gsplat} = ${i.gsplat};
        vec3 lookPlace = ${i.sign} * ${o.gsplat}.center;
        if (${i.cropped} == 1 && (any(lessThan(lookPlace, ${i.low})) || any(greaterThan(lookPlace, ${i.high})))) {
          ${o.gsplat}.rgba.a = 0.0;
        }
        if (${i.marking} == 1 && ${i.mode} == 0) {
          int lookNumber = ${o.gsplat}.index + ${i.offset}, lookByte = lookNumber >> 3;
          uint lookBits = texelFetch(${i.marks}, ivec2(lookByte % ${WIDTH}, lookByte / ${WIDTH}), 0).r;
          if (((lookBits >> uint(lookNumber & 7)) & 1u) == 1u) {
            ${o.gsplat}.rgba = vec4(1.0, 0.31, 0.64, ${o.gsplat}.rgba.a > 0.0 ? max(${o.gsplat}.rgba.a, 0.6) : 0.0);
          } else {
            ${o.gsplat}.rgba.rgb = vec3(0.14 * dot(${o.gsplat}.rgba.rgb, vec3(1.0)));
          }
        }
        if (${i.mode} == 4 || (${i.fading} >= 0.0 && ${i.mode} == 0 && ${i.marking} == 0)) {
          int lookTexel = ${o.gsplat}.index + ${i.offset};
          float lookError = float(texelFetch(${i.errors}, ivec2(lookTexel % ${WIDTH}, lookTexel / ${WIDTH}), 0).r) / 255.0;
          if (${i.mode} == 4) {
            float lookLight = clamp(dot(${o.gsplat}.rgba.rgb, vec3(0.3, 0.6, 0.1)), 0.0, 1.0);
            ${o.gsplat}.rgba.rgb = lookTrust(lookError) * (0.45 + 0.55 * lookLight);
          } else {
            float lookGone = smoothstep(${i.fading}, 1.0, lookError);
            ${o.gsplat}.rgba.rgb = mix(${o.gsplat}.rgba.rgb, ${i.neutral}, lookGone);
            ${o.gsplat}.rgba.a *= 1.0 - 0.6 * lookGone;
          }
        }
        if (${i.mode} == 1) {
          float lookZ = dot(lookPlace - ${i.eye}, ${i.forward});
          ${o.gsplat}.rgba.rgb = lookDepth(log(max(lookZ / ${i.range}.x, 1e-6)) / log(${i.range}.y / ${i.range}.x));
        } else if (${i.mode} == 2) {
          vec3 lookN = ${i.sign} * lookNormal(${o.gsplat}, ${i.sign} * (${i.eye} - lookPlace));
          ${o.gsplat}.rgba.rgb = 0.5 + 0.5 * lookTurned(${i.upright}, lookN);
        }
        if (${i.edited} == 1) {
          int lookSplat = ${o.gsplat}.index + ${i.offset};
          uint lookState = texelFetch(${i.states}, ivec2(lookSplat % ${WIDTH}, lookSplat / ${WIDTH}), 0).r;
          if (lookState == 1u) ${o.gsplat}.rgba.rgb = mix(${o.gsplat}.rgba.rgb, vec3(0.10, 0.72, 1.0), 0.7);
          else if (lookState > 1u) ${o.gsplat}.rgba.a = 0.0;
        }`.split("\n"),
    });
    return { gsplat: look.apply({ gsplat, sign, offset, ...uniforms }).gsplat };
  })];
}

function changed() {
  for (const mesh of allSplats()) mesh.updateVersion();
  touch();
}

let mode = "colour";

export function setMode(name) {
  mode = name;
  // Errors are drawn only by our own renderer.
  uniforms.mode.value = name === "error" ? 0 : MODES.indexOf(name);
  follow(true);
  changed();
}

/** Highlight splats whose bits are set and draw the others in grey; null: no highlighting. */
export function setMarks(bytes) {
  uniforms.marking.value = bytes ? 1 : 0;
  if (bytes && uniforms.marks.bytes !== bytes) {
    uniforms.marks.value.dispose();
    uniforms.marks.value = byteTexture(bytes);
    uniforms.marks.bytes = bytes;
  }
  changed();
}

/** Set the errors of all splats, 0 to 255, in the order of the splats. */
export function setErrors(bytes) {
  putBytes("errors", bytes);
  changed();
}

function putBytes(name, bytes) {
  const old = uniforms[name].value;
  if (old.image.data.length < bytes.length) {
    old.dispose();
    uniforms[name].value = byteTexture(bytes);
  } else {
    old.image.data.set(bytes);
    old.needsUpdate = true;
  }
}

/** Set which splats are selected (1) and which are deleted (2), in their order; null: none. */
export function setStates(bytes) {
  uniforms.edited.value = bytes ? 1 : 0;
  if (bytes) putBytes("states", bytes);
  changed();
}

/** Faded splats approach the background colour. */
export function setNeutral(background) {
  uniforms.neutral.value.set(...background.map((v) => 0.5 * v + 0.2));
  changed();
}

/** Fade splats whose error exceeds a fraction of the largest error; null: no fading. */
export function setFade(from) {
  uniforms.fading.value = from ?? -1;
  changed();
}

let cropped = null;

/** The crop box in the scene's frame, or null. */
export function cropNow() {
  return cropped;
}

/** Crop to a box in the scene's frame; null: no cropping. */
export function setCrop(box) {
  cropped = box;
  uniforms.cropped.value = box ? 1 : 0;
  if (box) {
    uniforms.low.value.set(...box.low);
    uniforms.high.value.set(...box.high);
  }
  changed();
}

const samples = new Map();

/** Store a sample of the centres of a mesh's splats in the scene's frame, to estimate the range of depths. */
export function takeSample(mesh, frame, name = "still") {
  const sign = SIGNS[frame];
  const every = Math.max(1, Math.floor(mesh.numSplats / 4000));
  const points = [];
  mesh.forEachSplat((index, centre, scales, quaternion, opacity) => {
    if (index % every === 0 && opacity > 0.3) points.push(new vendor.Vector3(...centre.toArray().map((v, i) => v * sign[i])));
  });
  samples.set(name, points);
}

const eye = new vendor.Vector3();
const forward = new vendor.Vector3();
let range = null;
let gliding = false;

/** The nearest and farthest depth of the colour map, or null if depths are not shown. */
export function depthRange() {
  return mode === "depth" ? range : null;
}

/** Update the shading of depths and normals while the camera moves. */
export function follow(always = false) {
  if (mode !== "depth" && mode !== "normals") return;
  const back = world.quaternion.clone().invert();
  eye.copy(camera.position).applyQuaternion(back);
  forward.set(0, 0, -1).applyQuaternion(camera.quaternion).applyQuaternion(back);
  const same = uniforms.eye.value.equals(eye) && uniforms.forward.value.equals(forward);
  if (same && !always && !gliding) return;
  uniforms.eye.value.copy(eye);
  uniforms.forward.value.copy(forward);
  uniforms.upright.value.copy(world.quaternion);
  if (mode === "depth") {
    const wanted = depthsInView();
    // Changes gradually, so that colours do not jump during flight.
    range = range && !always ? range.map((v, i) => v + 0.15 * (wanted[i] - v)) : wanted;
    gliding = range.some((v, i) => Math.abs(v / wanted[i] - 1) > 0.01);
    uniforms.range.value.set(...range);
  }
  changed();
}

function depthsInView() {
  const depths = [];
  const point = new vendor.Vector3();
  for (const one of [...samples.values()].flat()) {
    const depth = point.subVectors(one, eye).dot(forward);
    if (depth <= 0.01 * radius) continue;
    point.copy(one).applyQuaternion(world.quaternion).project(camera);
    if (Math.abs(point.x) < 1 && Math.abs(point.y) < 1) depths.push(depth);
  }
  if (depths.length < 20) return [0.2 * radius, 5 * radius];
  depths.sort((a, b) => a - b);
  const at = (share) => depths[Math.floor(share * (depths.length - 1))];
  const near = at(0.03);
  return [near, Math.max(at(0.95), 1.05 * near)];
}
