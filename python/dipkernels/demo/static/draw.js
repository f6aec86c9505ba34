// The drawing, the guess, every layer, and one unit worked out.
import { ask, newestOnly, unpacked } from "./ask.js";
import { colour, colours, css, fillCells } from "./colours.js";
import { byId, element, short } from "./dom.js";

const PEN = 15, STEP = 5;  // pixels: the pen's width, and how far an arrow key moves it
let side, network = "lenet5", ready = false, shown = null, hidden = new Set(), cursor = null, penDown = false, last = null, watching = 0;

const pad = byId("pad");
const ink = () => pad.getContext("2d", { willReadFrequently: true });

// What the server gets: one byte a pixel, 255 ink. The pad shows it in the theme's colours.
let pixels;
const redraw = () => {
  const paper = colour("paper"), pen = colour("ink"), image = ink().createImageData(side, side);
  for (let i = 0; i < pixels.length; ++i) {
    for (let k = 0; k < 3; ++k) image.data[4 * i + k] = paper[k] + ((pen[k] - paper[k]) * pixels[i]) / 255;
    image.data[4 * i + 3] = 255;
  }
  ink().putImageData(image, 0, 0);
  if (cursor && document.activeElement === pad) {
    ink().strokeStyle = css(colour(penDown ? "argmax" : "accent"));
    ink().strokeRect(cursor[0] - PEN / 2, cursor[1] - PEN / 2, PEN, PEN);
  }
};

// A round pen with a soft edge, from a to b.
function stroke(a, b) {
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]], length2 = dx * dx + dy * dy, reach = PEN / 2 + 1;
  const clip = (v) => Math.max(0, Math.min(side - 1, Math.round(v)));
  for (let y = clip(Math.min(a[1], b[1]) - reach); y <= clip(Math.max(a[1], b[1]) + reach); ++y) {
    for (let x = clip(Math.min(a[0], b[0]) - reach); x <= clip(Math.max(a[0], b[0]) + reach); ++x) {
      const along = length2 ? Math.max(0, Math.min(1, ((x - a[0]) * dx + (y - a[1]) * dy) / length2)) : 0;
      const distance = Math.hypot(x - a[0] - along * dx, y - a[1] - along * dy);
      const value = 255 * Math.max(0, Math.min(1, PEN / 2 + 0.5 - distance));
      pixels[y * side + x] = Math.max(pixels[y * side + x], value);
    }
  }
}

function clear() {
  pixels.fill(0);
  forgetAnswer();
  redraw();
}

function forgetAnswer() {
  shown = null;
  byId("guess").textContent = "";
  byId("maps").replaceChildren();
  delete byId("maps").dataset.made;
  forgetUnit();
  for (const item of byId("bars").children) setBar(item, 0);
}

function forgetUnit() {
  last = null;
  byId("unit").replaceChildren(element("p", { className: "hint" }, "Draw something, then point at a unit of any layer."));
}

function setBar(item, probability) {
  item.children[1].value = probability;
  item.children[2].textContent = `${(100 * probability).toFixed(1)} %`;
}

// Nothing is asked of a network that is still being trained: what is drawn meanwhile is guessed once it is ready.
const guess = newestOnly(async () => {
  if (!ready || !pixels.some((p) => p > 40)) return;
  const asked = network;
  byId("maps").ariaBusy = "true";
  try {
    const began = performance.now();
    const answer = await ask(`/api/guess?network=${asked}`, pixels, "application/octet-stream");
    if (asked !== network) return;  // another one was chosen in the meantime
    show(answer);
    document.documentElement.dataset.milliseconds = (performance.now() - began).toFixed(1);
    byId("status").textContent = "";
  } catch (error) {
    byId("status").textContent = error.message;
  } finally {
    byId("maps").ariaBusy = "false";
  }
});

function show(answer) {
  if (!pixels.some((p) => p > 40)) return;  // cleared in the meantime
  shown = { ...answer, layers: answer.layers.map((each) => ({ ...each, values: unpacked(each.values) })) };
  const percent = (digit) => {
    const share = 100 * answer.probabilities[digit];
    return share > 99.5 ? "over 99 %" : share < 0.5 ? "under 1 %" : `${share.toFixed(0)} %`;
  };
  byId("guess").replaceChildren(
    "First guess ", element("b", {}, String(answer.first)), ` with ${percent(answer.first)}, second `,
    element("b", {}, String(answer.second)), ` with ${percent(answer.second)}`,
  );
  [...byId("bars").children].forEach((item, digit) => setBar(item, answer.probabilities[digit]));
  showSwitches();
  showLayers();
}

function showSwitches() {
  const box = byId("switches"), names = shown.layers.map((each) => each.name).join();
  if (box.dataset.names === names) return;
  box.dataset.names = names;
  box.replaceChildren(element("legend", {}, "Layers shown"));
  for (const layer of shown.layers) {
    const input = element("input", { type: "checkbox", checked: !hidden.has(layer.name), id: `show-${layer.name}` });
    input.addEventListener("change", () => {
      hidden[input.checked ? "delete" : "add"](layer.name);
      showLayers();
    });
    box.append(element("label", {}, input, ` ${layer.title}`));
  }
}

// How a layer is laid out: maps of rows × columns, or one strip of a vector.
function layout(layer) {
  if (layer.shape.length === 3) {
    const [maps, rows, columns] = layer.shape;
    return { maps, rows, columns, cell: Math.max(3, Math.min(12, Math.round((maps === 1 ? 220 : 100) / columns))) };
  }
  const columns = layer.shape[0] > 20 ? 20 : layer.shape[0];
  return { maps: 1, rows: Math.ceil(layer.shape[0] / columns), columns, cell: layer.shape[0] > 20 ? 14 : 26 };
}

// The numbers of the layers shown, each as a cell's colour. Their canvases stay from answer to answer.
function showLayers() {
  if (!shown) return;
  const layers = shown.layers.filter((each) => !hidden.has(each.name)), maps = byId("maps");
  const made = [network, ...layers.map((each) => each.name)].join();
  if (maps.dataset.made !== made) maps.replaceChildren(...layers.map(layerSection));
  maps.dataset.made = made;
  for (const layer of layers) {
    document.querySelector(`#layer-${layer.name} small`).textContent =
      ` ${layer.shape.join(" × ")}, from ${short(layer.least)} to ${short(layer.most)}`;
    for (let map = 0; map < layout(layer).maps; ++map) paintMap(layer, map);
  }
  if (last) worked(last.layer, last.index);
}

function layerSection(layer) {
  const { maps, rows, columns, cell } = layout(layer), tiles = element("div", { className: "tiles" });
  for (let map = 0; map < maps; ++map) {
    const canvas = element("canvas", { tabIndex: 0, width: columns * cell, height: rows * cell });
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${layer.title}${maps > 1 ? `, map ${map + 1} of ${maps}` : ""}, ${rows} by ${columns} units; arrow keys choose one`);
    canvas.dataset.key = `${layer.name}-${map}`;
    listen(canvas, layer, map);
    tiles.append(canvas);
  }
  const heading = element("h3", {}, layer.title, element("small"));
  return element("section", { className: "layer", id: `layer-${layer.name}` }, heading, tiles);
}

const canvasOf = (name, map) => document.querySelector(`[data-key="${name}-${map}"]`);

function paintMap(layer, map) {
  const { rows, columns, cell } = layout(layer), colourOf = colours(Math.max(-layer.least, layer.most));
  const canvas = canvasOf(layer.name, map), values = layer.values.subarray(map * rows * columns);
  const context = fillCells(canvas, rows, columns, (place) => colourOf(values[place] ?? 0));  // paper after the last
  if (layer.name === "fc3") labelOutputs(context, cell);
  delete canvas.dataset.marked;
}

function labelOutputs(context, cell) {
  context.fillStyle = css(colour("ink"));
  context.font = "14px system-ui";
  context.textAlign = "center";
  for (let digit = 0; digit < 10; ++digit) context.fillText(digit, (digit + 0.5) * cell, cell * 0.68);
}

function listen(canvas, layer, map) {
  const { rows, columns, cell } = layout(layer), count = layer.values.length;
  const choose = (row, column) => {
    const index = (map * rows + row) * columns + column;
    if (row >= 0 && row < rows && column >= 0 && column < columns && index < count) worked(layer.name, index);
  };
  canvas.addEventListener("pointermove", (event) => {
    const scale = canvas.width / canvas.getBoundingClientRect().width;
    choose(Math.floor((event.offsetY * scale) / cell), Math.floor((event.offsetX * scale) / cell));
  });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Enter: [0, 0] }[event.key];
    if (!step) return;
    event.preventDefault();
    const here = last && last.layer === layer.name && Math.floor(last.index / (rows * columns)) === map
      ? last.index % (rows * columns) : Math.floor(rows / 2) * columns + Math.floor(columns / 2);
    choose(Math.floor(here / columns) + step[0], (here % columns) + step[1]);
  });
}

const worked = newestOnly(async (layer, index) => {
  if (!shown?.layers.some((each) => each.name === layer)) return;
  const asked = network;
  last = { layer, index };
  try {
    const unit = await ask(`/api/unit?network=${asked}&layer=${layer}&unit=${index}`, pixels, "application/octet-stream");
    if (asked === network) showUnit(unit);
  } catch (error) {
    byId("unit").replaceChildren(element("p", { className: "error" }, error.message));
  }
});

function repaint() {
  for (const layer of shown.layers) {
    for (let map = 0; map < layout(layer).maps; ++map) {
      if (canvasOf(layer.name, map)?.dataset.marked) paintMap(layer, map);
    }
  }
}

function mark(name, map, [top, left, height, width], mark) {
  const canvas = canvasOf(name, map);
  if (!canvas) return;
  const cell = layout(shown.layers.find((each) => each.name === name)).cell, context = canvas.getContext("2d");
  context.strokeStyle = css(colour(mark));
  context.lineWidth = 2;
  context.strokeRect(left * cell + 1, top * cell + 1, width * cell - 2, height * cell - 2);
  canvas.dataset.marked = "yes";
}

function picture(title, numbers, offset, rows, columns, colourOf, width = 150) {
  const cell = Math.max(4, Math.min(22, Math.round(width / columns)));
  const canvas = element("canvas", { width: columns * cell, height: rows * cell });
  fillCells(canvas, rows, columns, (place) => colourOf(numbers[offset + place]));
  return element("figure", {}, canvas, element("figcaption", {}, title));
}

function showUnit(unit) {
  if (!shown) return;
  repaint();
  const layer = shown.layers.find((each) => each.name === unit.layer), { rows, columns } = layout(layer);
  const [map, row, column] = unit.place.length === 3
    ? unit.place : [0, Math.floor(unit.place[0] / columns), unit.place[0] % columns];
  mark(unit.layer, map, [row, column, 1, 1], "accent");
  if (unit.field && unit.layer !== "input") mark("input", 0, unit.field, "field");
  const where = unit.place.length === 3 ? `map ${map + 1}, row ${row + 1}, column ${column + 1}` : `unit ${unit.place[0] + 1}`;
  const box = [element("p", {}, element("b", {}, layer.title), `, ${where}: `, element("b", {}, short(unit.value)))];
  if (unit.kind === "conv") box.push(...showConvolution(unit));
  if (unit.kind === "pool") box.push(...showPooling(unit));
  if (unit.kind === "linear") box.push(...showLinear(unit));
  byId("unit").replaceChildren(...box);
}

const finish = (unit) => unit.activation === "none"
  ? `= ${short(unit.value)}` : `= ${short(unit.sum)}; ${unit.activation} makes it ${short(unit.value)}`;

function showConvolution(unit) {
  const [channels, height, width] = unit.shape, weights = unpacked(unit.weights), patch = unpacked(unit.patch), products = unpacked(unit.products);
  const most = (numbers) => numbers.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
  const of = { weights: colours(most(weights)), patch: colours(most(patch)), products: colours(most(products)) };
  const box = [element("p", {}, `The sum of ${weights.length} products and the bias ${short(unit.bias)} ${finish(unit)}.`)];
  for (let c = 0; c < channels; ++c) {
    mark(unit.from, c, unit.window, "window");
    const offset = c * height * width, name = channels > 1 ? ` of map ${c + 1}` : "";
    box.push(element("div", { className: "triple" },
      picture(`what it sees${name}`, patch, offset, height, width, of.patch, 85), "×",
      picture("its filter", weights, offset, height, width, of.weights, 85), "=",
      picture("products", products, offset, height, width, of.products, 85)));
  }
  return box;
}

function showPooling(unit) {
  const [map, row, column] = unit.argmax, [, , height, width] = unit.window, patch = unpacked(unit.patch);
  mark(unit.from, map, unit.window, "window");
  mark(unit.from, map, [row, column, 1, 1], "argmax");
  const most = patch.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
  return [
    element("p", {}, `The largest of the ${patch.length} numbers in its window: the one in row ${row + 1}, column ${column + 1} of the map before. Its place is kept; unpooling would put the value back there.`),
    element("div", { className: "triple" }, picture("its window", patch, 0, height, width, colours(most))),
  ];
}

function showLinear(unit) {
  const weights = unpacked(unit.weights), products = unpacked(unit.products), side = Math.round(Math.sqrt(weights.length));
  const most = (numbers) => numbers.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
  const isImage = unit.shape.length === 3 && unit.shape[0] === 1;
  const columns = isImage ? unit.shape[2] : Math.min(20, side + 1), height = Math.ceil(weights.length / columns);
  const rest = height * columns - weights.length, padded = (numbers) => Float32Array.from([...numbers, ...new Array(rest).fill(0)]);
  const strongest = unit.strongest.map(([i, value, weight]) =>
    element("li", {}, `number ${i + 1}: ${short(value)} × ${short(weight)} = ${short(value * weight)}`));
  return [
    element("p", {}, `The sum of ${weights.length} products and the bias ${short(unit.bias)} ${finish(unit)}. The strongest:`),
    element("ul", {}, ...strongest),
    element("div", { className: "triple" },
      picture("its weights", padded(weights), 0, height, columns, colours(most(weights))),
      picture("products", padded(products), 0, height, columns, colours(most(products)))),
  ];
}

function startPad() {
  const at = (event) => {
    const box = pad.getBoundingClientRect();
    return [((event.clientX - box.left) * side) / box.width, ((event.clientY - box.top) * side) / box.height];
  };
  let before = null;
  pad.addEventListener("pointerdown", (event) => {
    pad.setPointerCapture(event.pointerId);
    before = at(event);
    stroke(before, before);
    redraw();
    guess();
  });
  pad.addEventListener("pointermove", (event) => {
    if (!before) return;
    for (const each of event.getCoalescedEvents?.() || [event]) {
      const now = at(each);
      stroke(before, now);
      before = now;
    }
    redraw();
    guess();
  });
  for (const end of ["pointerup", "pointercancel"]) pad.addEventListener(end, () => { before = null; });
  pad.addEventListener("keydown", (event) => {
    if (event.key === "Delete" || event.key === "Escape") return clear();
    cursor = cursor || [side / 2, side / 2];
    const step = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    if (event.key === " ") penDown = !penDown;
    else if (!step) return;
    event.preventDefault();
    const next = step ? cursor.map((c, i) => Math.max(0, Math.min(side - 1, c + STEP * step[i]))) : cursor;
    if (penDown) stroke(cursor, next);
    cursor = next;
    redraw();
    if (penDown) guess();
  });
  pad.addEventListener("focus", redraw);
  pad.addEventListener("blur", redraw);
  byId("clear").addEventListener("click", clear);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { redraw(); showLayers(); });
}

// What the server last said of the networks.
function showState(state) {
  const current = state.networks.find((each) => each.name === network), wasReady = ready;
  ready = current.ready;
  byId("training").hidden = ready || Boolean(current.error);
  byId("progress").value = current.progress;
  if (current.error) byId("status").textContent = `${current.title} could not be trained: ${current.error}`;
  else if (!ready) byId("status").textContent = `${current.title} is being trained, once: ${(100 * current.progress).toFixed(0)} %`;
  else if (!wasReady) {
    byId("status").textContent = "";
    guess();
  }
  if (state.networks.some((each) => !each.ready && !each.error)) watchIn(300);
}

function watchIn(milliseconds) {
  clearTimeout(watching);
  watching = setTimeout(watch, milliseconds);
}

async function watch() {
  try {
    showState(await ask("/api/state"));
  } catch (error) {
    ready = false;
    byId("status").textContent = error.message;
    watchIn(2000);
  }
}

export function startDrawing(state) {
  side = state.side;
  pixels = new Uint8Array(side * side);
  for (const each of state.networks) {
    const input = element("input", { type: "radio", name: "network", value: each.name, checked: each.name === network, id: `network-${each.name}` });
    input.addEventListener("change", () => { network = each.name; ready = false; forgetAnswer(); watch(); });
    byId("networks").append(element("label", {}, input, ` ${each.title}`));
  }
  for (let digit = 0; digit < 10; ++digit) {
    const meter = element("meter", { min: 0, max: 1, value: 0 });
    meter.setAttribute("aria-label", `probability of ${digit}`);
    byId("bars").append(element("li", {}, element("span", {}, String(digit)), meter, element("span", {}, "0.0 %")));
  }
  startPad();
  redraw();
  showState(state);
}
