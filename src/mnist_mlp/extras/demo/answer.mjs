// The answer to what is drawn: digits, text, bars, frames, and a bar below once all this is out of sight.

import { BLANK, paintImage, paintSigned, showBars } from "./charts.mjs";
import { element, svg } from "./dom.mjs";
import { SIDE } from "./mnist_format.mjs";
import { bestOf } from "./layers.mjs";
import { SHEET } from "./drawing.mjs";
import { sizeRead } from "./pad.mjs";
import { sentence } from "./wording.mjs";

const LETTER = { width: 7, height: 9 }; // of a label on the sheet, in its units

export class AnswerPanel {
  /** `choose(n)` is called when a person wants the n-th digit shown. */
  constructor(network, pad, choose) {
    Object.assign(this, { network, pad, choose });
    this.names = network.classNames;
    new IntersectionObserver(([{ isIntersecting }]) => {
      this.inSight = isIntersecting;
      this.showDock();
    }).observe(element("words"));
  }

  /** `found` are the digits on the sheet, of which `chosen` is looked at. */
  show(found, chosen, palette) {
    Object.assign(this, { found, chosen, palette });
    const digit = found[chosen];
    const label = digit && bestOf(digit.probabilities)[0];
    this.showDigits();
    this.showBoxes();
    element("words").textContent = this.words();
    showBars(element("bars"), digit);
    paintImage(element("seen"), digit?.image ?? BLANK, palette);
    paintSigned(element("evidence"), SIDE, digit ? this.network.evidence(digit.image, label) : BLANK, palette);
    element("answered").textContent = digit ? this.names[label] : "the answer";
    this.showDock();
  }

  words() {
    const { found, chosen, names, pad } = this;
    if (pad.isBlank) return "Nothing drawn yet.";
    if (!found[chosen]) return "Nothing that could be a digit yet.";
    const answer = sentence(found[chosen], names);
    const { sample } = pad;
    if (!sample) return found.length > 1 ? `${answer} Digit ${chosen + 1} of ${found.length}.` : answer;
    const [first] = bestOf(found[chosen].probabilities);
    return `${answer} The label says ${names[sample.label]}${first === sample.label ? "" : ": a mistake"}.`;
  }

  showDigits() {
    const { found, chosen, names } = this;
    const place = element("digits");
    place.classList.toggle("many", found.length > 3 || names.some((name) => name.length > 1));
    const focused = place.contains(document.activeElement);
    place.replaceChildren(
      ...found.map((digit, n) => {
        const button = document.createElement("button");
        button.textContent = names[bestOf(digit.probabilities)[0]] + (digit.isSure ? "" : "?");
        button.className = digit.isSure ? "" : "unsure";
        button.ariaPressed = String(n === chosen);
        button.onclick = () => this.choose(n);
        return button;
      }),
    );
    if (focused) place.children[chosen]?.focus();
  }

  /**
   * Frames around the digits, where there are several, and beside each what it was taken for. Where a label would lie
   * on another digit, only the chosen digit has one.
   */
  showBoxes() {
    const { found, chosen, names } = this;
    const boxes = found.length > 1 ? this.boxesOnSheet() : [];
    const labels = boxes.map((box, n) => labelOf(box, names[bestOf(found[n].probabilities)[0]], boxes));
    const areFree = labels.every(({ isFree }) => isFree);
    element("boxes").replaceChildren(
      ...boxes.flatMap(({ x, y, width, height }, n) => {
        const shown = [svg("rect", { x: x - 2, y: y - 2, width: width + 4, height: height + 4 })];
        if (areFree || n === chosen) shown.push(svg("text", { x: labels[n].x, y: labels[n].y + LETTER.height }));
        if (shown[1]) shown[1].textContent = labels[n].text;
        if (n === chosen) for (const each of shown) each.classList.add("chosen");
        return shown;
      }),
    );
  }

  /** The digit in whose frame a place on the sheet lies, where several are framed; or -1. */
  digitAt(place) {
    if (!(this.found?.length > 1)) return -1;
    return this.boxesOnSheet().findIndex((box) => isInside(place, box));
  }

  /** The digits' boxes in units of the sheet: an opened picture lies on it at its own scale. */
  boxesOnSheet() {
    const [item] = this.pad.current();
    const isPicture = this.pad.current().length === 1 && item.kind === "picture";
    const { width, height } = isPicture ? sizeRead(item.bitmap) : { width: SHEET, height: SHEET };
    const scale = SHEET / Math.max(width, height);
    const [left, top] = [(SHEET - width * scale) / 2, (SHEET - height * scale) / 2];
    return this.found.map(({ box }) => ({
      x: left + box.x0 * scale,
      y: top + box.y0 * scale,
      width: (box.x1 - box.x0) * scale,
      height: (box.y1 - box.y0) * scale,
    }));
  }

  /** The answer at the foot of the window, while its own place is scrolled away. */
  showDock() {
    const digit = this.found?.[this.chosen];
    element("dock").hidden = this.inSight !== false || !digit;
    if (!digit) return;
    paintImage(element("dock-image"), digit.image, this.palette);
    element("dock-digit").textContent = this.names[bestOf(digit.probabilities)[0]] + (digit.isSure ? "" : "?");
    element("dock-words").textContent = this.words();
  }
}

/** A text above the box of a digit, or below it, and whether it lies on no other box. */
function labelOf(box, text, boxes) {
  const size = { width: LETTER.width * text.length, height: LETTER.height };
  const places = [box.y - 4 - size.height, box.y + box.height + 4].map((y) => ({ x: box.x - 1, y, ...size }));
  const isFree = (place) => place.y >= 0 && !boxes.some((other) => other !== box && overlap(place, other));
  const free = places.find(isFree);
  return { text, isFree: Boolean(free), ...(free ?? places[Number(places[0].y < 0)]) };
}

function overlap(a, b) {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

export function isInside({ x, y }, box) {
  return x >= box.x && x <= box.x + box.width && y >= box.y && y <= box.y + box.height;
}
