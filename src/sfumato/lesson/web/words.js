// The words of the page in the language that was chosen, and numbers as that language writes them.
const ALL = JSON.parse(document.getElementById("words").textContent);
const listeners = [];
const current = { language: "en" };

export const LANGUAGES = Object.keys(ALL);
export const language = () => current.language;

// What stands for a key, with {name} filled in from the values.
export function say(key, values = {}) {
  const text = ALL[current.language][key];
  if (text === undefined) throw new Error(`there are no words for ${key} in ${current.language}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// A number with so many digits after the point, or so many that count where it is small; − is a minus sign.
export function number(value, digits = 0) {
  const shown = { minimumFractionDigits: digits, maximumFractionDigits: digits, signDisplay: "negative" };
  return new Intl.NumberFormat(current.language, shown).format(value).replace("-", "−");
}

const raised = (power) => [...String(power)].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit] ?? "⁻").join("");
const powerOf = (value) => (value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value))));
const isPlain = (power) => power >= -3 && power < 4;

export function small(value, digits = 2) {
  const power = powerOf(value);
  if (isPlain(power)) return number(value, value === 0 ? 0 : Math.max(0, digits - power));
  return `${number(value / 10 ** power, digits)}\u00a0·\u00a010${raised(power)}`;
}

// Several numbers with one power of ten, such as (1.20, −0.31) · 10⁻⁵; a single one without brackets.
export function vector(values, digits = 2) {
  if (values.length === 1) return small(values[0], digits);
  const power = powerOf(Math.max(...values.map(Math.abs))), plain = isPlain(power);
  const one = (value) => (plain ? number(value, Math.max(0, digits - power)) : number(value / 10 ** power, digits));
  const comma = number(0.5, 1).includes(",") ? ";" : ",";
  return `(${values.map(one).join(`${comma} `)})${plain ? "" : `\u00a0·\u00a010${raised(power)}`}`;
}

// Puts the words in: elements with data-word hold them, data-word-label and data-word-title are attributes.
export function translate(chosen) {
  current.language = chosen;
  document.documentElement.lang = chosen;
  document.title = say("page.title");
  for (const one of document.querySelectorAll("[data-word]")) one.textContent = say(one.dataset.word);
  for (const one of document.querySelectorAll("[data-word-label]")) one.ariaLabel = say(one.dataset.wordLabel);
  for (const one of document.querySelectorAll("[data-word-title]")) one.title = say(one.dataset.wordTitle);
  for (const listener of listeners) listener();
}

// Calls back now and whenever the language changes.
export function inWords(listener) {
  listeners.push(listener);
  listener();
}
