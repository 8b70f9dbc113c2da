// The formulas that the page shows, in MathML.
const row = (...parts) => `<mrow>${parts.join("")}</mrow>`;
const i = (name) => `<mi>${name}</mi>`;
const o = (sign) => `<mo stretchy="false">${sign}</mo>`;
const tall = (bracket) => `<mo stretchy="true">${bracket}</mo>`;
const sub = (base, under) => `<msub>${base}${under}</msub>`;
const at = (name) => row(i(name), o("("), i("p"), o(")"));
const part = (above, below) => `<mfrac>${row(o("∂"), above)}${row(o("∂"), below)}</mfrac>`;
const math = (...parts) => `<math displaystyle="true">${parts.join("")}</math>`;
const sum = (under) => `<munder>${o("∑")}${under}</munder>`;
const MU = '<mi mathvariant="normal">μ</mi>';
const COVARIANCE = `<msup><mi mathvariant="normal">Σ</mi>${row(o("−"), "<mn>1</mn>")}</msup>`;
const CONTRAST = row(i("c"), at("T"), o("−"), `<mfrac>${at("S")}${row("<mn>1</mn>", o("−"), at("α"))}</mfrac>`);
const OF_IMAGE = part(i("L"), at("C"));
const TARGET = row(`<mover>${i("C")}${o("^")}</mover>`, o("("), i("p"), o(")"));

export const RENDERING = {
  sum: math(at("C"), o("="), sum(i("n")), sub(i("c"), i("n")), sub(i("G"), i("n")), o("("), i("p"), o(")")),
  over: math(
    at("C"), o("="), sum(i("n")), sub(i("c"), i("n")), sub(i("α"), i("n")),
    `<munder>${o("∏")}${row(i("m"), o("&lt;"), i("n"))}</munder>`, o("("), "<mn>1</mn>", o("−"), sub(i("α"), i("m")), o(")"),
  ),
};

export const TERM = {
  residual: math(at("C"), o("−"), TARGET),
  of_image: math(OF_IMAGE),
  colour: math(i("c")),
  opacity: math(i("o")),
  through: math(at("T")),
  contrast: math(CONTRAST),
  value: math(at("G")),
  towards: math(COVARIANCE, o("("), i("p"), o("−"), MU, o(")")),
  gradient: math(part(i("L"), MU)),
};

const shape = row(at("G"), '<mspace width="0.25em"></mspace>', COVARIANCE, o("("), i("p"), o("−"), MU, o(")"));
const start = row(part(i("L"), MU), o("="), sum(i("p")));
// In two formulas, between which a narrow window can break the line.
export const GRADIENT = {
  sum: `${math(start, row(tall("("), OF_IMAGE, o("·"), i("c"), tall(")")))} ${math(shape)}`,
  over: `${math(start, OF_IMAGE, o("·"), row(tall("("), CONTRAST, tall(")")))} ${math(i("o"), shape)}`,
};
