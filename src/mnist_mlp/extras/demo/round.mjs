// A round: write each class once, in a random order, and see how many were read right.

import { BLANK, paintImage } from "./charts.mjs";
import { element } from "./dom.mjs";
import { bestOf } from "./layers.mjs";
import { shuffled } from "./lesson.mjs";

export class Round {
  constructor(names, pad, random = Math.random) {
    Object.assign(this, { names, pad, random });
    this.asked = []; // classes, in the order in which they are asked for
    this.written = []; // {label, digits}, of each digit found its image and the class that it was read as
    element("stop").onclick = () => this.end();
  }

  get isOn() {
    return this.asked.length > 0;
  }

  begin() {
    this.asked = shuffled([...this.names.keys()], this.random);
    this.written = [];
    element("written").hidden = true;
    element("round").hidden = element("stop").hidden = false;
    this.pad.clear();
    this.prompt();
  }

  /** Scores the drawing: it counts as right if exactly one digit is found and it is read as the requested class. */
  next(found, palette) {
    const label = this.asked[this.written.length];
    const digits = found.map(({ image, probabilities }) => ({ image, read: bestOf(probabilities)[0] }));
    this.written.push({ label, digits });
    this.pad.clear();
    if (this.written.length < this.asked.length) this.prompt();
    else this.finish(palette);
  }

  prompt() {
    const number = this.written.length;
    const mark = document.createElement("b");
    mark.textContent = this.names[this.asked[number]];
    element("prompt").replaceChildren("Write: ", mark, ` (${number + 1} of ${this.asked.length})`);
    element("next").hidden = false;
  }

  finish(palette) {
    const right = this.written.filter(isRight).length;
    element("prompt").textContent = `${right} of ${this.written.length} read right.`;
    if (document.activeElement === element("next")) element("stop").focus(); // what is hidden loses the focus
    element("next").hidden = true;
    element("written").hidden = false;
    element("written").replaceChildren(...this.written.map((each) => this.result(each, palette)));
    this.asked = [];
  }

  result(written, palette) {
    const { label, digits } = written;
    const item = document.createElement("li");
    for (const { image } of digits.length ? digits : [{ image: BLANK }]) {
      const canvas = document.createElement("canvas");
      canvas.className = "cells";
      canvas.style.width = `${100 / Math.max(digits.length, 1)}%`;
      paintImage(canvas, image, palette);
      item.append(canvas);
    }
    const read = digits.map((digit) => this.names[digit.read]).join(", ") || "nothing";
    const note = document.createElement("small");
    note.textContent = isRight(written) ? `${this.names[label]} ✓` : `${this.names[label]} → ${read} ✗`;
    item.append(note);
    return item;
  }

  end() {
    this.asked = [];
    if (element("round").contains(document.activeElement)) element("ten").focus();
    element("round").hidden = element("written").hidden = true;
  }
}

function isRight({ label, digits }) {
  return digits.length === 1 && digits[0].read === label;
}
