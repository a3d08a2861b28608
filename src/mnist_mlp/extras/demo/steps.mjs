// "How it works, in four steps": each step with what happens to the drawing at this moment.

import { BLANK, makeBars, paintImage, paintSigned, showBars } from "./charts.mjs";
import { element } from "./dom.mjs";
import { SIDE } from "./mnist_format.mjs";
import { bestOf, weightsInto } from "./layers.mjs";

export class Steps {
  constructor(network, samples) {
    this.network = network;
    this.makeExamples(samples);
  }

  show(digit, palette) {
    this.showPixels(digit, palette);
    this.showUnit(digit, palette);
    this.showAnswer(digit);
    for (const { canvas, image } of this.examples) paintImage(canvas, image, palette);
  }

  showPixels(digit, palette) {
    const image = digit?.image ?? BLANK;
    paintImage(element("step-pixels"), image, palette);
    const inked = image.reduce((number, grey) => number + (grey > 0), 0);
    element("step-pixels-now").textContent = digit ? `Now ${inked} of the ${image.length} are not blank.` : "";
  }

  /** The unit of the first layer with the largest value. */
  showUnit(digit, palette) {
    const { layers, classNames } = this.network;
    const [first] = layers;
    const unit = digit ? bestOf(digit.sums[0])[0] : 0;
    paintSigned(element("step-unit"), SIDE, weightsInto(first, unit), palette);
    const name = layers.length > 1 ? `unit ${unit + 1} of ${first.outputs}` : `the one for ${classNames[unit]}`;
    element("step-unit-now").textContent = digit
      ? `Now ${name}, shown here, has the largest: ${digit.sums[0][unit].toFixed(1)}.`
      : "";
  }

  showAnswer(digit) {
    const best = digit ? bestOf(digit.probabilities).slice(0, 3) : [];
    const bars = element("step-answer");
    bars.replaceChildren();
    makeBars(bars, best.map((label) => this.network.classNames[label]));
    showBars(bars, { probabilities: best.map((label) => digit.probabilities[label]), isSure: true });
    element("step-answer-now").textContent = digit ? `Now ${this.network.classNames[best[0]]} has the most.` : "";
  }

  /** One example of each class, with its label. */
  makeExamples(samples) {
    const { classNames } = this.network;
    const firsts = classNames.map((_, label) => samples.find((sample) => sample.label === label)).filter(Boolean);
    this.examples = firsts.map(({ image, label }) => {
      const figure = document.createElement("figure");
      const canvas = document.createElement("canvas");
      canvas.className = "cells";
      const caption = document.createElement("figcaption");
      caption.textContent = classNames[label];
      figure.append(canvas, caption);
      element("step-examples").append(figure);
      return { canvas, image };
    });
  }
}
