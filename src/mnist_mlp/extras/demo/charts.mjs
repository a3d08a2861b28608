// What is shown of the network: bars, and small canvases with one number a cell, in the colours of the theme.

import { SIDE } from "./mnist_format.mjs";
import { bestOf, weightsInto } from "./layers.mjs";
import { percent } from "./wording.mjs";

export const BLANK = new Uint8Array(SIDE * SIDE); // an image without ink

/** Colours of the theme, as [r, g, b]; read anew when it changes. */
export function readPalette() {
  const style = getComputedStyle(document.documentElement);
  const names = ["paper", "ink", "for", "against", "card", "accent", "text", "muted"];
  return Object.fromEntries(names.map((name) => [name, rgb(style.getPropertyValue(`--${name}`).trim())]));
}

function rgb(hex) {
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
}

/** Cells row by row; `colour(i)` gives [r, g, b]. The canvas is scaled by its style, without smoothing. */
export function paintCells(canvas, columns, number, colour) {
  const rows = Math.ceil(number / columns);
  if (canvas.width !== columns || canvas.height !== rows) [canvas.width, canvas.height] = [columns, rows];
  const context = canvas.getContext("2d", { willReadFrequently: true }); // small and read back: keep it on the CPU
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

/** Numbers of both signs around the colour of the paper: above 0 in one colour, below in the other. */
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
      paintSigned(tile, SIDE, weightsInto(this.layer, unit), palette);
      context.drawImage(tile, ...this.cornerOf(unit));
    }
  }

  cornerOf(unit) {
    return [(unit % this.columns) * (SIDE + 2) + 1, Math.floor(unit / this.columns) * (SIDE + 2) + 1];
  }
  /** The unit whose picture a pointer is on, or -1. */
  unitAt({ offsetX, offsetY }) {
    const scale = this.canvas.width / this.canvas.clientWidth;
    const [column, row] = [offsetX, offsetY].map((place) => Math.floor((place * scale) / (SIDE + 2)));
    const unit = row * this.columns + column;
    return column < this.columns && unit < this.units ? unit : -1;
  }
}

/** A curve through [step, value], both axes beginning at 0, with a dashed line at `mark` and words beside it. */
export function paintCurve(canvas, points, { most, mark, words, tick }, palette) {
  const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((side) => Math.max(1, side * devicePixelRatio));
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d");
  const css = (colour) => `rgb(${colour.join(" ")})`;
  const [left, bottom] = [3.2, 1.6].map((rems) => rems * remInPixels());
  const last = Math.max(100, points.length ? points[points.length - 1][0] : 0);
  const x = (step) => left + ((width - left - 4) * step) / last;
  const y = (value) => height - bottom - ((height - bottom - 8) * Math.min(value, most)) / most;
  context.font = `${0.8 * remInPixels()}px system-ui, sans-serif`;
  context.strokeStyle = context.fillStyle = css(palette.muted);
  context.lineWidth = devicePixelRatio;
  line(context, [[left, 4], [left, y(0)], [width, y(0)]]);
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const value of [0, most / 2, most]) context.fillText(tick(value), left - 6, Math.max(y(value), 0.5 * remInPixels()));
  context.textBaseline = "bottom";
  context.fillText(`${last.toLocaleString("en")} steps`, width - 2, height - 1);
  context.fillText(words, width - 4, y(mark) - 2);
  context.setLineDash([4, 4]);
  line(context, [[left, y(mark)], [width, y(mark)]]);
  context.setLineDash([]);
  context.strokeStyle = css(palette.accent);
  context.lineWidth = 2.5 * devicePixelRatio;
  context.lineJoin = "round";
  line(context, points.map(([step, value]) => [x(step), y(value)]));
}

function remInPixels() {
  return parseFloat(getComputedStyle(document.documentElement).fontSize) * devicePixelRatio;
}

function line(context, corners) {
  context.beginPath();
  for (const corner of corners) context.lineTo(...corner);
  context.stroke();
}
