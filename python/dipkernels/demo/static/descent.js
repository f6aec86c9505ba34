// Optimizers side by side, from one start down one landscape.
import { ask, newestOnly, unpacked } from "./ask.js";
import { colour, css, fillCells } from "./colours.js";
import { byId, element, short } from "./dom.js";

const COLOURS = ["#e0570b", "#1766c2", "#0b8a4a", "#b0209a", "#8a6d00", "#d01830"];
const values = { function: "valley", rate: 0.1, steps: 60, x: -4.2, y: 2.6 };
const hidden = new Set();
let answer = null;

const recompute = newestOnly(async () => {
  try {
    answer = await ask("/api/descent", JSON.stringify(values));
    byId("descent-result").textContent = "";
    show();
  } catch (error) {
    byId("descent-result").textContent = error.message;
  }
});

function show() {
  const canvas = byId("landscape"), grid = unpacked(answer.grid), n = answer.size;
  const most = grid.reduce((m, v) => Math.max(m, v)), paper = colour("paper"), dark = colour("soft");
  const context = fillCells(canvas, n, n, (place) => {
    const share = Math.sqrt((grid[place] - answer.lowest) / (most - answer.lowest || 1));
    const level = Math.floor(share * 14) / 14;  // bands, so that slopes are seen
    return paper.map((p, i) => p + (dark[i] - p) * 0.85 * level);
  });
  const at = ([x, y]) => [((x + answer.half) / (2 * answer.half)) * canvas.width, ((y + answer.half) / (2 * answer.half)) * canvas.height];
  const list = [];
  answer.paths.forEach((each, i) => {
    const input = element("input", { type: "checkbox", checked: !hidden.has(each.name) });
    input.addEventListener("change", () => { hidden[input.checked ? "delete" : "add"](each.name); show(); });
    const stripe = element("i");
    stripe.style.background = COLOURS[i];
    const [x, y] = each.path.at(-1);
    const end = each.diverged ? `diverges after ${each.path.length - 1} steps` : `ends at (${short(x)}, ${short(y)}), where it is ${short(each.value)}`;
    list.push(element("li", {}, element("label", {}, input, " ", stripe, `${each.name}: ${end}`)));
    if (hidden.has(each.name)) return;
    context.strokeStyle = context.fillStyle = COLOURS[i];
    context.lineWidth = 2;
    context.beginPath();
    each.path.forEach((w, k) => context[k ? "lineTo" : "moveTo"](...at(w)));
    context.stroke();
    const [px, py] = at(each.path.at(-1));
    context.fillRect(px - 4, py - 4, 8, 8);
  });
  context.fillStyle = css(colour("ink"));
  context.beginPath();
  context.arc(...at([values.x, values.y]), 6, 0, 7);
  context.fill();
  byId("paths").replaceChildren(...list);
}

function slider(name, title, least, most, toValue, toText) {
  const input = element("input", { type: "range", min: least, max: most, step: "any", id: `descent-${name}` });
  const output = element("output", {}, toText(values[name]));
  input.addEventListener("input", () => {
    values[name] = toValue(Number(input.value));
    output.textContent = toText(values[name]);
    recompute();
  });
  byId("descent-settings").append(element("label", { className: "setting" }, title, output, input));
  return input;
}

export function startDescent(state) {
  const choice = element("select", { id: "descent-function" });
  for (const [name, title] of Object.entries(state.functions)) choice.append(element("option", { value: name }, title));
  choice.addEventListener("change", () => { values.function = choice.value; recompute(); });
  byId("descent-settings").append(element("p", {}, element("label", {}, "function ", choice)));
  slider("rate", "learning rate", -3, 1.3, (v) => Number((10 ** v).toPrecision(3)), (v) => String(v)).value = Math.log10(values.rate);
  slider("steps", "steps", 1, 500, Math.round, String).value = values.steps;
  byId("descent-settings").append(element("p", { className: "hint" }, "Click in the landscape to begin elsewhere. The dot is the start, squares are the ends; too large a learning rate zig-zags and diverges, a flat plain moves hardly anything."));
  byId("landscape").addEventListener("click", (event) => {
    const box = byId("landscape").getBoundingClientRect(), along = (v, from, extent) => ((v - from) / extent) * 2 * answer.half - answer.half;
    values.x = along(event.clientX, box.left, box.width);
    values.y = along(event.clientY, box.top, box.height);
    recompute();
  });
  byId("tab-descent").addEventListener("shown", recompute);
  recompute();
}
