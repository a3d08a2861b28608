// A round: write each class once, in a random order, and see how many were read right.

import { BLANK, paintImage } from "./charts.mjs";
import { element } from "./dom.mjs";
import { bestOf } from "./layers.mjs";
import { shuffled } from "./lesson.mjs";

export class Round {
  constructor(names, pad, random = Math.random) {
    Object.assign(this, { names, pad, random });
    this.asked = []; // classes, in the order in which they are asked for
    this.written = []; // {label, image, answer}; the last two are missing where nothing was written
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
    const [digit] = found.length === 1 ? found : [];
    this.written.push({ label, image: digit?.image, answer: digit && bestOf(digit.probabilities)[0] });
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
    const right = this.written.filter(({ label, answer }) => label === answer).length;
    element("prompt").textContent = `${right} of ${this.written.length} read right.`;
    element("next").hidden = true;
    element("written").hidden = false;
    element("written").replaceChildren(...this.written.map((each) => this.result(each, palette)));
    this.asked = [];
  }

  result({ label, image, answer }, palette) {
    const item = document.createElement("li");
    const canvas = document.createElement("canvas");
    canvas.className = "cells";
    paintImage(canvas, image ?? BLANK, palette);
    const note = document.createElement("small");
    const read = answer === undefined ? "nothing" : this.names[answer];
    note.textContent = answer === label ? `${this.names[label]} ✓` : `${this.names[label]} → ${read} ✗`;
    item.append(canvas, note);
    return item;
  }

  end() {
    this.asked = [];
    element("round").hidden = element("written").hidden = true;
  }
}
