// The network's picture: pixels, hidden layers and outputs as blocks of cells, and the connections of one unit.

import { BLANK, largestOf, paintImage, paintSigned } from "./charts.mjs";
import { svg } from "./dom.mjs";
import { SIDE } from "./mnist_format.mjs";
import { weightsFrom, weightsInto } from "./layers.mjs";

const TALL = { few: 16, many: 32, limit: 256 }; // rows of a block: `few`, or `many` if the layer has more than `limit` units
const FLAT = 16; // columns of a block where the screen is narrow
const STRONGEST = 12; // connections drawn on each side of a unit

const narrow = matchMedia("(max-width: 52rem)");

/**
 * Layer 0 are the pixels, the last layer the outputs. `onPoint({layer, unit})` is called when the mouse is over a unit,
 * `onLeave()` when it goes away, `onTap({layer, unit, byKey})` when a unit is tapped or reached with the arrow keys.
 */
export class Diagram {
  constructor(place, network, { onPoint, onTap, onLeave }) {
    Object.assign(this, { place, network, onPoint, onTap, onLeave });
    this.blocks = network.widths.map((width, layer) => this.makeBlock(width, layer));
    place.append(...this.blocks.map(({ figure }) => figure));
    new ResizeObserver(() => this.connect()).observe(place);
    narrow.addEventListener("change", () => {
      this.paint();
      this.connect();
    });
  }

  makeBlock(width, layer) {
    const last = layer === this.network.widths.length - 1;
    const name = layer === 0 ? "28 × 28 pixels" : last ? "Outputs" : `Hidden layer ${layer}`;
    const figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    caption.textContent = name;
    const canvas = document.createElement("canvas");
    canvas.className = "cells";
    canvas.setAttribute("role", layer === 0 ? "img" : "application");
    canvas.ariaLabel = layer === 0 ? name : `${name}, ${width} units: arrow keys walk through them`;
    const cells = document.createElement("div");
    cells.className = "block";
    cells.append(canvas);
    if (last) cells.append(labels(this.network.classNames));
    figure.append(caption, cells);
    const block = { figure, cells, canvas, width, layer, last, focus: 0 };
    if (layer > 0) this.listen(block);
    return block;
  }

  listen(block) {
    const { canvas, layer, width } = block;
    const unitAt = ({ offsetX, offsetY }) => {
      const column = Math.floor((offsetX / canvas.clientWidth) * canvas.width);
      const row = Math.floor((offsetY / canvas.clientHeight) * canvas.height);
      return Math.min(Math.max(row * canvas.width + column, 0), width - 1);
    };
    canvas.tabIndex = 0;
    canvas.onpointermove = (event) => event.pointerType === "mouse" && this.onPoint({ layer, unit: unitAt(event) });
    canvas.onpointerleave = (event) => event.pointerType === "mouse" && this.onLeave();
    canvas.onclick = (event) => this.onTap({ layer, unit: (block.focus = unitAt(event)) });
    canvas.onkeydown = (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -canvas.width, ArrowDown: canvas.width }[event.key];
      if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      block.focus = Math.min(Math.max(block.focus + step, 0), width - 1);
      this.onTap({ layer, unit: block.focus, byKey: true });
    };
  }

  /** The values of all units for `digit`, in blocks that fit the screen; `choose` then draws the connections. */
  show(digit, palette) {
    Object.assign(this, { digit, palette });
    this.paint();
  }

  paint() {
    const { digit, palette } = this;
    for (const { canvas, cells, width, layer, last } of this.blocks) {
      const columns = this.columnsOf(layer);
      if (layer === 0) paintImage(canvas, digit?.image ?? BLANK, palette);
      else if (last) paintSigned(canvas, columns, digit?.probabilities ?? new Uint8Array(width), palette, 1);
      else paintSigned(canvas, columns, digit?.hidden[layer - 1] ?? new Uint8Array(width), palette);
      cells.style.setProperty("--columns", canvas.width);
      cells.style.setProperty("--rows", canvas.height);
      cells.classList.toggle("flat", last && columns > 1);
    }
  }

  columnsOf(layer) {
    const { width, last } = this.blocks[layer];
    if (layer === 0) return SIDE;
    if (last) return narrow.matches && this.network.classNames.every((name) => name.length === 1) ? width : 1;
    if (narrow.matches) return Math.min(width, width > TALL.limit ? 2 * FLAT : FLAT);
    return Math.ceil(width / (width > TALL.limit ? TALL.many : TALL.few));
  }

  /**
   * Shows the connections of one unit: lines from the inputs that contribute most to it, and to the units of the next
   * layer with the largest weights.
   */
  choose(chosen) {
    this.chosen = chosen;
    this.connect();
  }

  connect() {
    const drawing = this.place.querySelector("svg");
    const { chosen, network, digit } = this;
    drawing.replaceChildren();
    if (!chosen) return;
    const { layer, unit } = chosen;
    const lines = [];
    const values = digit && (layer === 1 ? network.normalised(digit.image) : digit.hidden[layer - 2]);
    const incoming = weightsInto(network.layers[layer - 1], unit).map((weight, i) => weight * (values?.[i] ?? 1));
    lines.push(...strongest(incoming).map((other) => this.line({ layer: layer - 1, unit: other }, chosen, incoming, other)));
    if (layer < network.layers.length) {
      const outgoing = weightsFrom(network.layers[layer], unit);
      lines.push(...strongest(outgoing).map((other) => this.line(chosen, { layer: layer + 1, unit: other }, outgoing, other)));
    }
    drawing.append(...lines, svg("rect", { ...this.frameOf(chosen), class: "chosen" }));
  }

  line(from, to, strengths, other) {
    const [a, b] = [from, to].map((end) => this.frameOf(end));
    const share = Math.abs(strengths[other]) / largestOf(strengths) || 0;
    return svg("line", {
      x1: a.x + a.width / 2,
      y1: a.y + a.height / 2,
      x2: b.x + b.width / 2,
      y2: b.y + b.height / 2,
      class: strengths[other] > 0 ? "for" : "against",
      "stroke-width": 0.5 + 2.5 * share,
    });
  }

  /** Where a unit's cell lies within the picture, in pixels. */
  frameOf({ layer, unit }) {
    const { canvas } = this.blocks[layer];
    const [whole, block] = [this.place, canvas].map((each) => each.getBoundingClientRect());
    const [width, height] = [block.width / canvas.width, block.height / canvas.height];
    const [column, row] = [unit % canvas.width, Math.floor(unit / canvas.width)];
    return { x: block.x - whole.x + column * width, y: block.y - whole.y + row * height, width, height };
  }
}

/** Positions of the largest numbers, whatever their sign. */
export function strongest(numbers, most = STRONGEST) {
  return [...numbers.keys()].sort((a, b) => Math.abs(numbers[b]) - Math.abs(numbers[a])).slice(0, most);
}

function labels(names) {
  const list = document.createElement("div");
  list.className = "labels";
  list.ariaHidden = "true";
  list.append(
    ...names.map((name) => {
      const label = document.createElement("b");
      label.textContent = name;
      return label;
    }),
  );
  return list;
}
