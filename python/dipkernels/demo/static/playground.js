// Points of two classes, the plane as a small network sees it, epoch by epoch, and the losses beside it.
import { ask, newestOnly, unpacked } from "./ask.js";
import { colour, colours, css, fillCells } from "./colours.js";
import { byId, element } from "./dom.js";

const values = { points: "spirals", activation: "tanh", depth: 2, width: 12, epochs: 300, count: 120, noise: 0.05, rate: 0.03, seed: 0 };
let answer = null, playing = 0;

const recompute = newestOnly(async () => {
  byId("playground-result").textContent = "training …";
  try {
    answer = await ask("/api/playground", JSON.stringify(values));
  } catch (error) {
    byId("playground-result").textContent = error.message;
    return;
  }
  const percent = (share) => `${(100 * share).toFixed(0)} %`;
  byId("playground-result").textContent =
    `${answer.weights} weights; right are ${percent(answer.train_accuracy)} of the points it learns from and ` +
    `${percent(answer.validation_accuracy)} of 200 others. The validation loss is least after epoch ${answer.best}: ` +
    "there early stopping would end.";
  const frame = byId("playground-frame");
  frame.max = answer.frames.length - 1;
  play();
});

function play() {
  clearInterval(playing);
  let at = 0;
  playing = setInterval(() => {
    byId("playground-frame").value = at;
    show();
    if (++at >= answer.frames.length) clearInterval(playing);
  }, matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 90);
}

function show() {
  const frame = answer.frames[Number(byId("playground-frame").value)];
  byId("playground-epoch").textContent = `after ${frame.epoch} epochs`;
  drawPlane(unpacked(frame.plane));
  drawCurves(frame.epoch);
}

function drawPlane(plane) {
  const canvas = byId("plane"), n = answer.size, colourOf = colours(1.6);  // paler than the points
  const context = fillCells(canvas, n, n, (place) => colourOf(2 * plane[place] - 1));
  const at = (w) => ((w + answer.half) / (2 * answer.half)) * canvas.width;
  const dots = ({ places, classes }, radius, filled) => {
    const numbers = unpacked(places);
    classes.forEach((side, i) => {
      context.beginPath();
      context.arc(at(numbers[2 * i]), at(numbers[2 * i + 1]), radius, 0, 7);
      context.fillStyle = context.strokeStyle = css(colour(side ? "positive" : "negative"));
      if (filled) context.fill();
      else context.stroke();
      if (filled) { context.strokeStyle = css(colour("ink")); context.stroke(); }
    });
  };
  if (byId("playground-others").checked) dots(answer.validation, 3, false);
  dots(answer.train, 4.5, true);
}

function drawCurves(epoch) {
  const canvas = byId("curves"), context = canvas.getContext("2d"), { width, height } = canvas, margin = 34;
  context.fillStyle = css(colour("paper"));
  context.fillRect(0, 0, width, height);
  const curves = [["train", "positive"], ["validation", "negative"]].map(([name, hue]) => [name, hue, unpacked(answer.curves[name])]);
  const most = Math.max(...curves.map(([, , numbers]) => numbers.reduce((m, v) => Math.max(m, v), 0))), count = curves[0][2].length;
  const at = (i, v) => [margin + (i / Math.max(1, count - 1)) * (width - margin - 8), height - 22 - (v / most) * (height - 34)];
  context.font = "12px system-ui";
  context.fillStyle = css(colour("soft"));
  context.fillText("loss", 4, 14);
  context.fillText(most.toFixed(2), 4, 28);
  context.fillText("0", 4, height - 22);
  context.fillText(`epoch ${count}`, width - 64, height - 6);
  for (const [, hue, numbers] of curves) {
    context.strokeStyle = css(colour(hue));
    context.lineWidth = 2;
    context.beginPath();
    numbers.forEach((v, i) => context[i ? "lineTo" : "moveTo"](...at(i, v)));
    context.stroke();
  }
  const line = (i, hue, text) => {
    const [x] = at(i, 0);
    context.strokeStyle = context.fillStyle = css(colour(hue));
    context.lineWidth = 1;
    context.strokeRect(x, 8, 0, height - 30);
    if (text) context.fillText(text, Math.min(x + 4, width - 110), 20);
  };
  line(answer.best - 1, "window", "early stopping");
  if (epoch > 0) line(epoch - 1, "soft", "");
}

function slider(name, title, least, most, step) {
  const input = element("input", { type: "range", min: least, max: most, step, value: values[name], id: `playground-${name}` });
  const output = element("output", {}, String(values[name]));
  input.addEventListener("input", () => { output.textContent = input.value; });
  input.addEventListener("change", () => { values[name] = Number(input.value); recompute(); });
  byId("playground-settings").append(element("label", { className: "setting" }, title, output, input));
}

function choice(name, title, options) {
  const select = element("select", { id: `playground-${name}` });
  for (const option of options) select.append(element("option", { value: option, selected: option === values[name] }, option));
  select.addEventListener("change", () => { values[name] = select.value; recompute(); });
  byId("playground-settings").append(element("p", {}, element("label", {}, `${title} `, select)));
}

export function startPlayground(state) {
  choice("points", "points", state.points);
  slider("count", "points to learn from", 4, 400, 2);
  slider("noise", "noise", 0, 1, 0.01);
  slider("depth", "hidden layers (0 is a perceptron)", 0, 3, 1);
  slider("width", "units of each", 1, 32, 1);
  choice("activation", "activation", ["relu", "tanh", "sigmoid"]);
  slider("rate", "learning rate of Adam", 0.001, 1, 0.001);
  slider("epochs", "epochs", 1, 400, 1);
  slider("seed", "seed", 0, 99, 1);
  byId("playground-frame").addEventListener("input", () => { clearInterval(playing); if (answer) show(); });
  byId("playground-play").addEventListener("click", () => answer && play());
  byId("playground-others").addEventListener("change", () => answer && show());
  byId("tab-playground").addEventListener("shown", () => { if (!answer) recompute(); else show(); });
}
