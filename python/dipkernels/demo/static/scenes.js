// Scenes: the class of every pixel, and how two stages find objects: anchors, proposals, boxes, suppression.
import { ask, newestOnly, unpacked } from "./ask.js";
import { colour, css, fillCells } from "./colours.js";
import { byId, element } from "./dom.js";

const values = { scene: 0, score: 0.3, overlap: 0.5 };
const views = {
  image: "the image",
  mask: "the class of every pixel",
  anchors: "anchors of the middle place",
  proposals: "proposals",
  before: "boxes before suppression",
  after: "boxes after suppression",
};
const hues = [[128, 128, 128], [230, 159, 0], [86, 180, 233], [0, 158, 115], [204, 121, 167]];  // told apart by all eyes
let answer = null, objects = null, view = "after", asking = 0;

const recompute = newestOnly(async () => {
  clearTimeout(asking);
  let found;
  try {
    found = await ask("/api/scene", JSON.stringify(objects ? { ...values, objects } : values));
  } catch (error) {
    byId("scenes-result").textContent = error.message;
    return;
  }
  byId("scenes-training").hidden = found.ready;
  if (!found.ready) {
    byId("scenes-progress").value = found.progress;
    byId("scenes-result").textContent = `Both networks are trained, once: ${(100 * found.progress).toFixed(0)} %`;
    asking = setTimeout(recompute, 700);
    return;
  }
  answer = found;
  show();
});

function said() {
  const list = answer.after.map(({ kind, score }) => `${answer.classes[kind + 1]} ${(100 * score).toFixed(0)} %`).join(", ");
  return {
    image: `What both networks get: ${objects ? "what you drew" : `scene ${values.scene}`}, 64 × 64 pixels.`,
    mask: "The fully convolutional network gives a class to every pixel.",
    anchors: `${answer.anchors.length} of ${answer.all_anchors} anchors: every place of the feature map has these shapes.`,
    proposals: `${answer.proposals.length} regions that look like an object, of whatever class: the best anchors, moved.`,
    before: `${answer.before.length} regions that the second stage is sure enough of: several for each object.`,
    after: `${answer.after.length} left, for each object the surest: ${list || "nothing"}.`,
  }[view];
}

function show() {
  if (!answer) return;
  byId("scenes-result").textContent = said();
  const canvas = byId("scene"), n = 64, scale = canvas.width / n, pixels = unpacked(answer.image);
  const context = fillCells(canvas, n, n, (place) => {
    const seen = [0, 1, 2].map((c) => 255 * pixels[c * n * n + place]);
    return view === "mask" ? seen.map((v, c) => 0.35 * v + 0.65 * hues[answer.mask[place]][c]) : seen;
  });
  context.font = "bold 13px system-ui";
  for (const { box, kind, score } of answer[view] instanceof Array && view !== "mask" ? answer[view] : []) {
    const [x1, y1, x2, y2] = box.map((v) => v * scale);
    const hue = kind === undefined ? css(colour("ink")) : `rgb(${hues[kind + 1].join(",")})`;
    context.lineWidth = view === "proposals" ? 1 : 2.5;
    context.strokeStyle = hue;
    context.strokeRect(x1, y1, x2 - x1, y2 - y1);
    if (view === "after") {
      const text = `${answer.classes[kind + 1]} ${(100 * score).toFixed(0)} %`, width = context.measureText(text).width + 8;
      const left = Math.min(x1, canvas.width - width), top = Math.max(0, y1 - 18);
      context.fillStyle = hue;
      context.fillRect(left, top, width, 18);
      context.fillStyle = "#000";
      context.fillText(text, left + 4, top + 13);
    }
  }
}

function slider(name, title, least, most, step) {
  const input = element("input", { type: "range", min: least, max: most, step, value: values[name], id: `scenes-${name}` });
  const output = element("output", {}, String(values[name]));
  input.addEventListener("input", () => {
    output.textContent = input.value;
    values[name] = Number(input.value);
    if (name === "scene") objects = null;
    recompute();
  });
  byId("scenes-settings").append(element("label", { className: "setting" }, title, output, input));
}

function add(x, y) {
  objects = [...(objects || []), { kind: byId("scenes-kind").value, side: Number(byId("scenes-side").value), x, y, hue: Math.random() }].slice(-8);
  recompute();
}

export function startScenes() {
  slider("scene", "scene", 0, 59, 1);
  slider("score", "least score", 0.05, 0.95, 0.05);
  slider("overlap", "overlap that suppresses (IoU)", 0.05, 0.95, 0.05);
  const kinds = element("select", { id: "scenes-kind" });
  for (const kind of ["digit", "disc", "square", "triangle"]) kinds.append(element("option", { value: kind }, kind));
  const side = element("input", { type: "range", min: 12, max: 22, step: 1, value: 18, id: "scenes-side" });
  const clear = element("button", { type: "button", id: "scenes-clear" }, "Empty canvas");
  clear.addEventListener("click", () => { objects = []; recompute(); });
  byId("scenes-settings").append(
    element("h3", {}, "Draw your own"),
    element("p", {}, element("label", {}, "put a ", kinds)),
    element("label", { className: "setting" }, "as large as", side),
    element("p", { className: "hint" }, "Click into the picture, or press Enter there for a place by chance."),
    element("p", {}, clear),
  );
  const choices = byId("scenes-views");
  for (const [name, title] of Object.entries(views)) {
    const input = element("input", { type: "radio", name: "scenes-view", value: name, id: `view-${name}`, checked: name === view });
    input.addEventListener("change", () => { view = name; show(); });
    choices.append(element("label", {}, input, ` ${title}`));
  }
  const canvas = byId("scene");
  canvas.addEventListener("click", (event) => {
    const place = canvas.getBoundingClientRect();
    add(((event.clientX - place.left) / place.width) * 64, ((event.clientY - place.top) / place.height) * 64);
  });
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Enter") add(10 + 44 * Math.random(), 10 + 44 * Math.random());
  });
  const legend = byId("scenes-legend");
  ["background", "digit", "disc", "square", "triangle"].forEach((name, i) => {
    const swatch = element("span", { ariaHidden: "true" }, "■ ");
    swatch.style.color = `rgb(${hues[i].join(",")})`;
    legend.append(swatch, `${name}   `);
  });
  byId("tab-scenes").addEventListener("shown", () => { if (!answer) recompute(); else show(); });
}
