// Numbers as colours.
import { element } from "./dom.js";

const probe = element("span", { hidden: true }), known = new Map();
document.body.append(probe);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => known.clear());
// The red, green and blue of one of the theme's colours.
export function colour(name) {
  if (!known.has(name)) {
    probe.style.color = `var(--${name})`;
    known.set(name, getComputedStyle(probe).color.match(/\d+/g).slice(0, 3).map(Number));
  }
  return known.get(name);
}
export const css = (rgb) => `rgb(${rgb.join(",")})`;

// A function from numbers to colours: zero is paper, `most` and −`most` the full colours.
export function colours(most) {
  const zero = colour("paper"), positive = colour("positive"), negative = colour("negative");
  return (value) => {
    const share = Math.min(1, Math.abs(value) / (most || 1)), end = value < 0 ? negative : positive;
    return zero.map((z, i) => z + (end[i] - z) * share);
  };
}

// Fills a canvas with rows × columns cells; `colourOf` gives the colour of the cell with an index. A picture of a pixel
// for each cell is enlarged, which takes a browser far less time than a rectangle for each.
const cells = element("canvas");
export function fillCells(canvas, rows, columns, colourOf) {
  const picture = new ImageData(columns, rows);
  for (let i = 0; i < rows * columns; ++i) picture.data.set([...colourOf(i), 255], 4 * i);
  cells.width = columns;
  cells.height = rows;
  cells.getContext("2d", { willReadFrequently: true }).putImageData(picture, 0, 0);
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(cells, 0, 0, canvas.width, canvas.height);
  return context;
}
