// Numbers as colours.
import { element } from "./dom.js";

const probe = element("span", { hidden: true });
document.body.append(probe);
export function colour(name) {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color.match(/\d+/g).slice(0, 3).map(Number);
}
export const css = (rgb) => `rgb(${rgb.join(",")})`;

// A function from numbers to colours: zero is paper, `most` and −`most` the full colours.
export function colours(most) {
  const zero = colour("paper"), positive = colour("positive"), negative = colour("negative");
  return (value) => {
    const share = Math.min(1, Math.abs(value) / (most || 1)), end = value < 0 ? negative : positive;
    return css(zero.map((z, i) => Math.round(z + (end[i] - z) * share)));
  };
}

// Draws rows × columns numbers from `offset` on, in squares of `cell` pixels.
export function paint(canvas, values, offset, rows, columns, cell, colourOf) {
  canvas.width = columns * cell;
  canvas.height = rows * cell;
  const context = canvas.getContext("2d");
  for (let r = 0; r < rows; ++r) {
    for (let c = 0; c < columns; ++c) {
      context.fillStyle = colourOf(values[offset + r * columns + c]);
      context.fillRect(c * cell, r * cell, cell, cell);
    }
  }
  return context;
}
