// What is shown of the network: bars, and small canvases with one number a cell, in the colours of the theme.

import { SIDE } from "./form.mjs";
import { bestOf } from "./layers.mjs";

export const percent = (share) => (share >= 0.9995 ? "> 99.9 %" : `${share < 0.0005 ? 0 : (100 * share).toFixed(1)} %`);

/** Colours of the theme, as [r, g, b]; read anew when it changes. */
export function readPalette() {
  const style = getComputedStyle(document.documentElement);
  const names = ["paper", "ink", "for", "against", "card", "accent"];
  return Object.fromEntries(names.map((name) => [name, rgb(style.getPropertyValue(`--${name}`).trim())]));
}

function rgb(hex) {
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
}

/** Cells row by row; `colour(i)` gives [r, g, b]. The canvas is scaled by its style, without smoothing. */
export function paintCells(canvas, columns, number, colour) {
  const rows = Math.ceil(number / columns);
  if (canvas.width !== columns || canvas.height !== rows) [canvas.width, canvas.height] = [columns, rows];
  const context = canvas.getContext("2d", { willReadFrequently: true }); // small: not worth a way to the GPU
  const pixels = context.createImageData(columns, rows);
  for (let i = 0; i < number; i++) {
    const [r, g, b] = colour(i);
    pixels.data.set([r, g, b, 255], 4 * i);
  }
  context.putImageData(pixels, 0, 0);
}

export function mixed(from, to, share) {
  return from.map((value, i) => value + (to[i] - value) * share);
}

export function makeBars(list, names) {
  for (const name of names) {
    const bar = document.createElement("li");
    bar.innerHTML = '<b></b><span class="track"><i></i></span><small></small>';
    bar.firstChild.textContent = name;
    list.append(bar);
  }
}

/** The answer to the picture on the sheet in bars, or empty bars. */
export function showBars(list, { probabilities, isSure } = {}) {
  const first = probabilities && bestOf(probabilities)[0];
  [...list.children].forEach((bar, label) => {
    const share = probabilities?.[label] ?? 0;
    bar.style.setProperty("--share", share);
    bar.className = label !== first ? "" : isSure ? "first" : "first unsure";
    bar.lastChild.textContent = probabilities ? percent(share) : "";
  });
}

/** Grey levels, 28 x 28, as ink on paper. */
export function paintImage(canvas, image, palette) {
  paintCells(canvas, SIDE, SIDE * SIDE, (i) => mixed(palette.paper, palette.ink, image[i] / 255));
}

/** Numbers of both signs around the colour of the card: above 0 in one colour, below in the other. */
export function paintSigned(canvas, columns, values, palette, most = largestOf(values)) {
  paintCells(canvas, columns, values.length, (i) => signed(values[i] / (most || 1), palette));
}

function signed(share, palette) {
  const strength = Math.min(Math.abs(share), 1) ** 0.7; // small ones are seen too
  return mixed(palette.paper, share > 0 ? palette.for : palette.against, strength);
}

export function largestOf(values) {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

/** Cells side by side in a block of `number` cells, about twice as wide as high: a power of two. */
export function columnsFor(number) {
  return Math.min(number, 2 ** Math.ceil(Math.log2(Math.sqrt(number * 2))));
}

/** The weights of the first layer, a picture of 28 x 28 for each of its units, in a grid with gaps of one pixel. */
export class WeightPictures {
  constructor(canvas, layer, mostUnits) {
    this.canvas = canvas;
    this.layer = layer;
    this.units = Math.min(layer.outputs, mostUnits);
    this.columns = this.units > 10 ? columnsFor(this.units) : 5;
    canvas.width = this.columns * (SIDE + 2);
    canvas.height = Math.ceil(this.units / this.columns) * (SIDE + 2);
  }

  paint(palette) {
    const tile = new OffscreenCanvas(SIDE, SIDE);
    const context = this.canvas.getContext("2d");
    for (let unit = 0; unit < this.units; unit++) {
      const weights = this.layer.weight.subarray(unit * SIDE * SIDE, (unit + 1) * SIDE * SIDE);
      paintSigned(tile, SIDE, weights, palette);
      context.drawImage(tile, ...this.cornerOf(unit));
    }
  }

  /** Frames around the units, as strong as their values. */
  light(values, palette) {
    const context = this.canvas.getContext("2d");
    const most = largestOf(values) || 1;
    for (let unit = 0; unit < this.units; unit++) {
      const share = Math.max(values[unit], 0) / most;
      const [x, y] = this.cornerOf(unit);
      context.strokeStyle = `rgb(${mixed(palette.card, palette.accent, share).map(Math.round)})`;
      context.strokeRect(x - 0.5, y - 0.5, SIDE + 1, SIDE + 1);
    }
  }

  cornerOf(unit) {
    return [(unit % this.columns) * (SIDE + 2) + 1, Math.floor(unit / this.columns) * (SIDE + 2) + 1];
  }
}
