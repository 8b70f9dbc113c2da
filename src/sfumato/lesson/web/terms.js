// The chosen Gaussian's gradient as a table: each term of the formula, what it is, and its number.
// The roles are for narrow windows, where CSS lays the cells out anew and a table is no table any more by itself.
import { explain, strongestPixel } from "./explain.js";
import { GRADIENT, TERM } from "./formulas.js";
import { number, say, vector } from "./words.js";

const find = (id) => document.getElementById(id);

function row(symbol, meaning, value, name) {
  return `<tr role="row" data-term="${name}"><th role="rowheader" scope="row">${symbol}</th><td role="cell">${meaning}</td><td role="cell">${value}</td></tr>`;
}

function rowsOfFormula(terms, rendering) {
  const rgb = say("terms.rgb");
  const line = (name, values, key = `terms.${name}`) => row(TERM[name], say(key, { rgb, count: number(terms.pixels) }), vector(values), name);
  const middle = rendering === "sum"
    ? [line("colour", terms.colour)]
    : [line("through", [terms.through]), line("contrast", terms.contrast), line("opacity", [terms.factor])];
  return [
    line("residual", terms.residual),
    line("of_image", terms.ofImage),
    ...middle,
    line("value", [terms.value], "terms.value_there"),
    line("towards", terms.towards),
    row("", say("terms.share"), vector(terms.share), "share"),
    line("gradient", terms.gradient, "terms.sum"),
  ];
}

// ∂L/∂ each of the other parameters.
function rowsOfOthers(trainer, i) {
  const { gradient, settings } = trainer;
  const of = (name) => `<math displaystyle="true"><mfrac><mrow><mo>∂</mo><mi>L</mi></mrow><mrow><mo>∂</mo>${name}</mrow></mfrac></math>`;
  const log = (name) => `<mi>log</mi><mspace width="0.2em"></mspace>${name}`;
  const sizes = settings.isRound
    ? [row(of(log("<mi>s</mi>")), say("terms.size"), vector([gradient.logU[i]]), "size")]
    : [
      row(of(log("<msub><mi>s</mi><mn>1</mn></msub>")), say("terms.size_u"), vector([gradient.logU[i]]), "size_u"),
      row(of(log("<msub><mi>s</mi><mn>2</mn></msub>")), say("terms.size_v"), vector([gradient.logV[i]]), "size_v"),
      row(of("<mi>θ</mi>"), say("terms.angle"), vector([gradient.angle[i]]), "angle"),
    ];
  const colours = [gradient.red[i], gradient.green[i], gradient.blue[i]];
  sizes.push(row(of("<mi>c</mi>"), say("terms.colour_gradient", { rgb: say("terms.rgb") }), vector(colours), "colour_gradient"));
  if (settings.rendering === "over") sizes.push(row(of("<mi>ô</mi>"), say("terms.logit"), vector([gradient.logit[i]]), "logit"));
  return sizes;
}

// Shows the terms of Gaussian i at a pixel, by default the one that counts most; gives that pixel.
export function showTerms(trainer, i, pixel) {
  const at = pixel ?? strongestPixel(trainer, i);
  const terms = explain(trainer, i, at.column, at.row), { rendering } = trainer.settings;
  const head = ["term", "meaning", "value"].map((one) => `<th role="columnheader" scope="col">${say(`terms.${one}`)}</th>`).join("");
  find("terms").innerHTML = `
    <p class="formula">${GRADIENT[rendering]}</p>
    <div class="wide"><table role="table"><caption>${say("terms.at", { x: at.column, y: at.row })}</caption>
    <thead role="rowgroup"><tr role="row">${head}</tr></thead><tbody role="rowgroup">${rowsOfFormula(terms, rendering).join("")}</tbody>
    <tbody role="rowgroup"><tr role="row"><th role="rowheader" colspan="3" scope="rowgroup" class="between">${say("terms.others")}</th></tr>
    ${rowsOfOthers(trainer, i).join("")}</tbody></table></div>`;
  return at;
}
