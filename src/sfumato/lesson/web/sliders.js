// Sliders with their name and their value; logarithmic ones move by factors.
import { inWords, say } from "./words.js";

// In the element `slider-NAME`: { key, min, max, value, step or isLog, show, change }. Gives { set }.
export function createSlider(name, { key, min, max, value, step = 1, isLog = false, show, change }) {
  const place = document.getElementById(`slider-${name}`), label = document.createElement("label");
  const output = document.createElement("output"), input = document.createElement("input");
  const inner = (outer) => (isLog ? Math.log10(outer) : outer), outer = () => (isLog ? 10 ** input.value : Number(input.value));
  place.className = "slider";
  input.id = `${name}-input`;
  label.htmlFor = input.id;
  output.htmlFor = input.id;
  Object.assign(input, { type: "range", min: inner(min), max: inner(max), step: isLog ? 0.02 : step });
  input.value = inner(value);
  place.append(label, output, input);
  const write = () => {
    output.textContent = show(outer());
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.addEventListener("input", () => {
    write();
    change(outer());
  });
  inWords(() => {
    label.textContent = say(key);
    write();
  });
  return {
    set(to) {
      input.value = inner(to);
      write();
    },
  };
}
