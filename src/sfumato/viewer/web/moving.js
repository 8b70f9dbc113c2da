// The moving Gaussians: a separate mesh, with the poses of the steps before and after the current time in two
// textures.
import { manifest, readBytes } from "./data.js";
import { lookModifiers } from "./look.js";
import { makePoses, momentOf, putStep, readMotion, textureWords } from "./poses.js";
import { showScene, splats, touch } from "./stage.js";
import { onTime, timeNow } from "./time.js";

const { dyno } = vendor;
const SIGNS = { rdf: 1, rub: -1 };

let poses = null;
let opacities = null;
let known = 0;
let textures = [];
const uniforms = {
  before: dyno.dynoUsampler2D(emptyTexture(1, 1)),
  after: dyno.dynoUsampler2D(emptyTexture(1, 1)),
  share: dyno.dynoFloat(0),
  beforeOrigin: dyno.dynoVec4(new vendor.Vector4()),
  afterOrigin: dyno.dynoVec4(new vendor.Vector4()),
  sign: dyno.dynoFloat(1),
};

function emptyTexture(width, rows) {
  const texture = new vendor.DataTexture(new Uint32Array(4 * width * rows), width, rows, vendor.RGBAIntegerFormat, vendor.UnsignedIntType);
  texture.needsUpdate = true;
  return texture;
}

const FUNCTIONS = `
  vec3 movingPlace(uvec4 words, vec4 origin) {
    return origin.xyz + origin.w * vec3(words.x & 0xffffu, words.x >> 16, words.y & 0xffffu);
  }

  // As (x, y, z, w), not normalised.
  vec4 movingTurn(uvec4 words) {
    return vec4(ivec4(words.z, words.w << 16, words.w, words.z << 16) >> 16);
  }
`;

/** A modifier that moves each splat to its pose at the current time, and hides splats that do not exist then. */
function motionModifier() {
  return dyno.dynoBlock({ gsplat: dyno.Gsplat }, { gsplat: dyno.Gsplat }, ({ gsplat }) => {
    const move = new dyno.Dyno({
      inTypes: {
        gsplat: dyno.Gsplat, before: "usampler2D", after: "usampler2D", share: "float",
        beforeOrigin: "vec4", afterOrigin: "vec4", sign: "float",
      },
      outTypes: { gsplat: dyno.Gsplat },
      globals: () => [dyno.defineGsplat, FUNCTIONS],
      statements: ({ inputs: i, outputs: o }) => `
        ${o.gsplat} = ${i.gsplat};
        {
          int width = textureSize(${i.before}, 0).x;
          ivec2 at = ivec2(${o.gsplat}.index % width, ${o.gsplat}.index / width);
          uvec4 before = texelFetch(${i.before}, at, 0), after = texelFetch(${i.after}, at, 0);
          if (before.y >> 16 == 0u) {
            ${o.gsplat}.rgba.a = 0.0;
          } else {
            float share = after.y >> 16 == 0u ? 0.0 : ${i.share};
            vec4 turn = normalize(movingTurn(before)), next = turn;
            if (share > 0.0) next = normalize(movingTurn(after));
            turn = normalize(mix(turn, dot(turn, next) < 0.0 ? -next : next, share));
            vec3 place = mix(movingPlace(before, ${i.beforeOrigin}), movingPlace(after, ${i.afterOrigin}), share);
            ${o.gsplat}.center = vec3(place.x, ${i.sign} * place.yz);
            ${o.gsplat}.quaternion = vec4(turn.x, ${i.sign} * turn.yz, turn.w);
          }
        }`.split("\n"),
    });
    return { gsplat: move.apply({ gsplat, ...uniforms }).gsplat };
  });
}

/** Make a mesh fetch its splats in their current poses, with the view-dependent colour for these poses. */
function move(mesh) {
  const splats = mesh.extSplats;
  const fetch = splats.fetchSplat.bind(splats);
  const moved = (gsplat) => motionModifier().apply({ gsplat }).gsplat;
  const centre = (gsplat) => dyno.splitGsplat(gsplat).outputs.center;
  splats.fetchSplat = ({ index, viewOrigin }) => {
    const still = fetch({ index });
    if (!viewOrigin || !splats.hasRgbDir()) return moved(still);
    // Shifts the eye by the splat's motion, so that colour is evaluated for the right direction.
    const way = dyno.sub(centre(moved(still)), centre(still));
    return moved(fetch({ index, viewOrigin: dyno.sub(viewOrigin, way) }));
  };
  mesh.updateGenerator();
}

/** Load the moving Gaussians, whose indices start at `offset`. */
export async function showMoving(source, offset, onProgress) {
  uniforms.sign.value = SIGNS[source.frame];
  const mesh = await showScene(source, lookModifiers(source.frame, offset), onProgress, "moving");
  move(mesh);
  opacities = new Float32Array(mesh.numSplats);
  mesh.forEachSplat((index, centre, scales, quaternion, opacity) => (opacities[index] = opacity));
  for (const texture of textures) texture.dispose();
  poses = makePoses(mesh.numSplats, manifest.motion.times);
  textures = [emptyTexture(poses.width, poses.rows), emptyTexture(poses.width, poses.rows)];
  shown = [-1, -1];
  known = 0;
  return mesh;
}

/** Read the motion of all steps. */
export async function readAllSteps(onProgress) {
  const { name, origin, quantum } = manifest.motion;
  await readMotion(poses, await readBytes(name, onProgress), origin, quantum);
  known = poses.times.length;
  showMoment();
}

/** Add the next step of a run in progress. */
export function takeStep(step, bytes) {
  putStep(poses, step, new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4));
  known = Math.max(known, step + 1);
  shown = [-1, -1];
  showMoment();
}

/** The poses, the opacity of each Gaussian, and the current moment; null before any step is loaded. */
export function motionNow() {
  return known ? { poses, opacities, moment: momentOf(poses, timeNow().now), known } : null;
}

let shown = [-1, -1];

/** Load a step into a texture, unless it is there already. */
function load(slot, step) {
  if (shown[slot] === step) return;
  textures[slot].image.data = textureWords(poses, step);
  textures[slot].needsUpdate = true;
  shown[slot] = step;
}

/** Show the current moment. */
export function showMoment() {
  if (!known) return;
  const { step, next, share } = momentOf(poses, timeNow().now);
  const after = Math.min(next, known - 1);
  if (shown[1] === step || shown[0] === after) {
    textures.reverse();
    shown.reverse();
  }
  load(0, step);
  load(1, after);
  [uniforms.before.value, uniforms.after.value] = textures;
  uniforms.share.value = after === next ? share : 0;
  uniforms.beforeOrigin.value.set(...poses.origins[step], poses.quanta[step]);
  uniforms.afterOrigin.value.set(...poses.origins[after], poses.quanta[after]);
  splats("moving").updateVersion();
  touch();
}

onTime(showMoment);
