// How visible each splat of a mesh is: one byte each, in a texture.
const { dyno } = vendor;

const WIDTH = 2048;

/** Fades of so many splats, all invisible. */
export function makeFades(count) {
  const rows = Math.max(1, Math.ceil(count / WIDTH));
  const texture = new vendor.DataTexture(new Uint8Array(rows * WIDTH), WIDTH, rows, vendor.RedIntegerFormat);
  texture.needsUpdate = true;
  return { texture, uniform: dyno.dynoUsampler2D(texture) };
}

/** Set how visible splats from `offset` on are, 0 to 1. */
export function setFadeOf({ texture }, offset, count, share) {
  texture.image.data.fill(Math.round(255 * share), offset, offset + count);
  texture.needsUpdate = true;
}

/** The modifier that multiplies the opacities of a mesh by its fades. */
export function fadingModifier({ uniform }) {
  return dyno.dynoBlock({ gsplat: dyno.Gsplat }, { gsplat: dyno.Gsplat }, ({ gsplat }) => {
    const fade = new dyno.Dyno({
      inTypes: { gsplat: dyno.Gsplat, fades: "usampler2D" },
      outTypes: { gsplat: dyno.Gsplat },
      globals: () => [dyno.defineGsplat],
      statements: ({ inputs: i, outputs: o }) => `
        ${o.gsplat} = ${i.gsplat};
        {
          ivec2 fadeAt = ivec2(${o.gsplat}.index % ${WIDTH}, ${o.gsplat}.index / ${WIDTH});
          ${o.gsplat}.rgba.a *= float(texelFetch(${i.fades}, fadeAt, 0).r) / 255.0;
        }`.split("\n"),
    });
    return { gsplat: fade.apply({ gsplat, fades: uniform }).gsplat };
  });
}
