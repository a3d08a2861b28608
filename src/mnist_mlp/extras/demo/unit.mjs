// One unit at work: its inputs times its weights, what they add up to, its output, and where that goes.

import { BLANK, paintImage, paintSigned } from "./charts.mjs";
import { strongest } from "./diagram.mjs";
import { element } from "./dom.mjs";
import { weightsFrom, weightsInto } from "./layers.mjs";
import { percent } from "./wording.mjs";

const SHOWN = 4; // of its outgoing connections
const withSign = (number) => `${number < 0 ? "−" : "+"}${Math.abs(number).toFixed(2)}`;
const plain = (number) => withSign(number).replace("+", "");

export class UnitPanel {
  constructor(network) {
    this.network = network;
  }

  nameOf({ layer, unit }) {
    const { layers, classNames } = this.network;
    return layer === layers.length ? `Output ${classNames[unit]}` : `Unit ${unit + 1} of hidden layer ${layer}`;
  }

  /** Shows a unit with the values that it has for `digit`, or its weights alone. */
  show(chosen, digit, columns, palette) {
    const { network } = this;
    const { layer, unit } = chosen;
    const weights = weightsInto(network.layers[layer - 1], unit);
    const blank = new Float64Array(weights.length);
    const values = digit ? (layer === 1 ? network.normalised(digit.image) : digit.hidden[layer - 2]) : blank;
    element("unit-name").textContent = this.nameOf(chosen);
    if (layer === 1) paintImage(element("unit-inputs"), digit?.image ?? BLANK, palette);
    else paintSigned(element("unit-inputs"), columns, values, palette);
    paintSigned(element("unit-weights"), columns, weights, palette);
    paintSigned(element("unit-products"), columns, weights.map((number, i) => number * values[i]), palette);
    element("unit-sum").textContent = digit ? this.sum(chosen, digit) : "Draw something to see its value.";
    element("unit-outgoing").textContent = this.outgoing(chosen);
  }

  sum({ layer, unit }, { sums, hidden, probabilities }) {
    const { layers, activation } = this.network;
    const [sum, bias] = [sums[layer - 1][unit], layers[layer - 1].bias[unit]];
    const added = `The products add up to ${plain(sum - bias)}; with its bias of ${plain(bias)} that is ${plain(sum)}.`;
    return layer === layers.length
      ? `${added} Its share of all outputs is ${percent(probabilities[unit])}.`
      : `${added} After ${activation.replace("_", " ")} its output is ${plain(hidden[layer - 1][unit])}.`;
  }

  outgoing(chosen) {
    const { layer } = chosen;
    if (layer === this.network.layers.length) return "The largest output is the answer.";
    const weights = weightsFrom(this.network.layers[layer], chosen.unit);
    const named = strongest(weights, SHOWN).map((other) => {
      const name = this.nameOf({ layer: layer + 1, unit: other }).replace(/ of hidden layer \d+/, "");
      return `${name.toLowerCase()} (${withSign(weights[other])})`;
    });
    return `Its value goes on, times a weight, to all of the next layer, above all to ${named.join(", ")}.`;
  }

  /** Announces the unit to screen readers. */
  speak() {
    const [name, sum, outgoing] = ["unit-name", "unit-sum", "unit-outgoing"].map((id) => element(id).textContent);
    element("unit-spoken").textContent = `${name}. ${sum} ${outgoing}`;
  }
}
