// Images of the official test set to try: some of each class, and the mistakes that the network is surest of.

import { paintImage } from "./charts.mjs";
import { SIDE } from "./mnist_format.mjs";
import { bestOf } from "./layers.mjs";
import { bytesOf } from "./network.mjs";

export class Samples {
  /** `right` and `wrong` are the places for buttons; `choose({image, label, button})` is called when one is pressed. */
  constructor(network, { right, wrong }, choose) {
    const images = bytesOf(network.samples.images);
    this.all = network.samples.labels.map((label, n) => {
      const image = images.subarray(n * SIDE * SIDE, (n + 1) * SIDE * SIDE);
      const [answer] = bestOf(network.answer(image).probabilities);
      const button = thumbnail(network.classNames, label, answer);
      const sample = { image, label, button };
      button.onclick = () => choose(sample);
      (answer === label ? right : wrong).append(button);
      return sample;
    });
  }

  paint(palette) {
    for (const { image, button } of this.all) paintImage(button.firstChild, image, palette);
  }

  /** Marks the one that lies on the sheet. */
  mark(sample) {
    for (const { button } of this.all) button.ariaPressed = String(button === sample?.button);
  }
}

function thumbnail(names, label, answer) {
  const button = document.createElement("button");
  const canvas = document.createElement("canvas");
  canvas.className = "cells";
  button.append(canvas);
  button.ariaLabel = `Test image, ${names[label]}`;
  if (answer === label) return button;
  button.ariaLabel += ` taken for ${names[answer]}`;
  const note = document.createElement("small");
  note.textContent = `${names[label]} → ${names[answer]}`;
  button.append(note);
  return button;
}
