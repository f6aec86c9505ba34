// The settings of a convolution as sliders: what comes out, where the windows lie, and what would fit.
import { ask, newestOnly } from "./ask.js";
import { colour, css } from "./colours.js";
import { byId, element } from "./dom.js";

const SETTINGS = [
  ["size", "input size N", 1, 64, 7], ["kernel", "kernel size F", 1, 15, 3], ["stride", "stride S", 1, 8, 1],
  ["padding", "padding P", 0, 8, 0], ["dilation", "dilation", 1, 6, 1],
  ["channels", "channels", 1, 256, 3], ["filters", "filters K", 1, 256, 16],
];
const values = {};
let answer = null;

const recompute = newestOnly(async () => {
  try {
    answer = await ask("/api/convolution", JSON.stringify(values));
    show();
  } catch (error) {
    byId("convolution-result").textContent = error.message;
  }
});

function show() {
  const result = byId("convolution-result"), box = byId("remedies"), step = byId("step");
  box.replaceChildren();
  const weights = `${answer["weights of a filter"].toLocaleString()} weights a filter, ${answer["weights with biases"].toLocaleString()} with all biases`;
  result.classList.toggle("error", !answer.fits);
  step.disabled = !answer.fits;
  if (answer.fits) {
    const { size, kernel, stride, padding, dilation } = values;
    const reach = dilation > 1 ? `${dilation}·(${kernel} − 1) + 1 = ${answer.reach}` : `${kernel}`;
    result.textContent = `(${size} + 2·${padding} − ${reach}) / ${stride} + 1 = ${answer.out}: a result of ` +
      `${answer.out} × ${answer.out} × ${values.filters}; ${weights}; ${answer.products.toLocaleString()} products.`;
    step.max = answer.out - 1;
  } else {
    result.textContent = `${answer.error}. ${weights}.`;
    if (answer.remedies.length) box.append("It fits with ");
    for (const change of answer.remedies) {
      const [[name, value]] = Object.entries(change);
      const button = element("button", { type: "button" }, `${SETTINGS.find((s) => s[0] === name)[1]} = ${value}`);
      button.addEventListener("click", () => { setTo(name, value); recompute(); });
      box.append(button);
    }
  }
  drawWindows();
}

// The input in one dimension, with its padding, and the window of the chosen result on it.
function drawWindows() {
  const canvas = byId("windows"), { size, padding, kernel, dilation } = values, all = size + 2 * padding;
  const cell = Math.max(6, Math.min(34, Math.floor(Math.min(760, canvas.parentElement.clientWidth || 600) / all)));
  canvas.width = all * cell + 2;
  canvas.height = all * cell + 2;
  const context = canvas.getContext("2d");
  context.strokeStyle = css(colour("line"));
  for (let row = 0; row < all; ++row) {
    for (let column = 0; column < all; ++column) {
      const inside = [row, column].every((i) => i >= padding && i < padding + size);
      context.fillStyle = css(colour(inside ? "paper" : "line"));
      context.fillRect(column * cell + 1, row * cell + 1, cell - 1, cell - 1);
      context.strokeRect(column * cell + 0.5, row * cell + 0.5, cell, cell);
    }
  }
  if (!answer.fits) return;
  const start = answer.starts[Math.min(Number(byId("step").value), answer.out - 1)] + padding;
  context.fillStyle = css(colour("positive"));
  for (let r = 0; r < kernel; ++r) {
    for (let c = 0; c < kernel; ++c) {
      context.fillRect((start + c * dilation) * cell + 2, (start + r * dilation) * cell + 2, cell - 3, cell - 3);
    }
  }
}

function setTo(name, value) {
  values[name] = value;
  byId(`set-${name}`).value = value;
  byId(`out-${name}`).textContent = value;
}

export function startConvolution() {
  for (const [name, title, least, most, first] of SETTINGS) {
    const input = element("input", { type: "range", min: least, max: most, id: `set-${name}` });
    input.addEventListener("input", () => { setTo(name, Number(input.value)); recompute(); });
    byId("sliders").append(element("label", { className: "setting" }, title, element("output", { id: `out-${name}` }), input));
    setTo(name, first);
  }
  byId("step").addEventListener("input", () => answer && drawWindows());
  byId("tab-convolution").addEventListener("shown", recompute);
  recompute();
}
