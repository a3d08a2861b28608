// The page: what happens on the sheet goes through the network, and what the network makes of it is shown.

import { AnswerPanel, isInside } from "./answer.mjs";
import { makeBars, readPalette, WeightPictures } from "./charts.mjs";
import { Diagram } from "./diagram.mjs";
import { findDigits, withBoxes } from "./segmentation.mjs";
import { element } from "./dom.mjs";
import { bestOf } from "./layers.mjs";
import { Learning } from "./learning.mjs";
import { Network } from "./network.mjs";
import { Pad } from "./pad.mjs";
import { greyOf } from "./picture.mjs";
import { Round } from "./round.mjs";
import { Samples } from "./samples.mjs";
import { Steps } from "./steps.mjs";
import { UnitPanel } from "./unit.mjs";

const MOST_UNITS = 128; // whose weights are shown as pictures

const network = new Network(JSON.parse(element("network").textContent));
const namesAreWords = network.classNames.some((name) => name.length > 1);
let palette;
let found = []; // {image, box, probabilities, sums, hidden, inDistribution, isTooWide, isSure} of each digit on the sheet
let chosen = 0; // which of them is shown
let pointed; // {layer, unit} under the pointer
let pinned; // {layer, unit} that was tapped, or walked to with the arrow keys

const pad = new Pad(element("sheet"), { onChange: read, onTap: chooseAt });
const answer = new AnswerPanel(network, pad, chooseDigit);
const samples = new Samples(network, { right: element("right"), wrong: element("wrong") }, (sample) =>
  pad.put({ kind: "digit", ...sample }),
);
const steps = new Steps(network, samples.all);
const diagram = new Diagram(element("diagram"), network, {
  onPoint: (unit) => showUnit((pointed = unit)),
  onTap: pin,
  onLeave: () => showUnit((pointed = undefined)),
});
const unitPanel = new UnitPanel(network);
const pictures = new WeightPictures(element("weights"), network.layers[0], MOST_UNITS);
const learning = new Learning(network, () => found[chosen]?.image);
const round = new Round(network.classNames, pad);

/** From what is on the sheet to an answer; what is shown of it follows with the next frame. */
function read() {
  const { sample } = pad;
  const digits = pad.isBlank ? [] : sample ? [{ image: sample.image, halves: [] }] : readPicture(pad.picture());
  found = network.read(digits);
  chosen = Math.min(chosen, Math.max(found.length - 1, 0));
  const newest = pad.newestStroke;
  if (newest && found.length > 1) chosen = mostCovered(newest.points);
  soon(show);
}

/** The digits in an ImageData, with their boxes in its pixels. */
function readPicture(picture) {
  const { grey, shrink } = greyOf(picture);
  const inOriginal = (box) => Object.fromEntries(Object.entries(box).map(([side, pixels]) => [side, shrink * pixels]));
  return findDigits(grey).map((digit) => withBoxes(digit, inOriginal));
}

/** The digit in whose box most of a stroke lies. */
function mostCovered(points) {
  const boxes = found.map(({ box: { x0, y0, x1, y1 } }) => ({ x: x0, y: y0, width: x1 - x0, height: y1 - y0 }));
  const counts = boxes.map((box) => points.filter((point) => isInside(point, box)).length);
  return counts.indexOf(Math.max(...counts));
}

function chooseDigit(n) {
  chosen = n;
  show();
}

/** A tap on the frame of a digit chooses it; one elsewhere is a dot. */
function chooseAt(place) {
  const n = answer.digitAt(place);
  if (n < 0) return false;
  soon(() => chooseDigit(n));
  return true;
}

let waiting = new Set();
function soon(task) {
  if (waiting.size === 0)
    requestAnimationFrame(() => {
      const tasks = waiting;
      waiting = new Set();
      for (const task of tasks) task();
    });
  waiting.add(task);
}

function show() {
  const digit = found[chosen];
  pad.paint();
  element("invitation").hidden = !pad.isBlank;
  element("undo").disabled = pad.items.length === 0;
  element("redo").disabled = pad.undone.length === 0;
  element("clear").disabled = pad.current().length === 0;
  answer.show(found, chosen, palette);
  samples.mark(pad.sample);
  steps.show(digit, palette);
  diagram.show(digit, palette);
  showUnit();
  if (!learning.isRunning) learning.showAnswer();
}

/** The unit that is pointed at, or was tapped, or else the output that is the answer. */
function showUnit() {
  const digit = found[chosen];
  const best = { layer: network.layers.length, unit: digit ? bestOf(digit.probabilities)[0] : 0 };
  const unit = pointed ?? pinned ?? best;
  diagram.choose(unit);
  unitPanel.show(unit, digit, diagram.columnsOf(unit.layer - 1), palette);
}

function pin(unit) {
  pinned = unit;
  pointed = undefined;
  showUnit();
  if (unit.byKey) unitPanel.speak();
}

function describe() {
  const { widths, mistakes, tested, layers, classNames } = network;
  if (namesAreWords) element("title").textContent = document.title = "Draw what it knows";
  document.body.classList.toggle("words", namesAreWords);
  const number = (count) => count.toLocaleString("en");
  const weights = layers.reduce((sum, { weight, bias }) => sum + weight.length + bias.length, 0);
  element("about").textContent =
    `A ${widths.join("-")} network (${number(weights)} weights), right on ` +
    `${(100 * (1 - mistakes / tested)).toFixed(2)} % of ${number(tested)} test images`;
  element("ten").textContent = namesAreWords ? `Draw all ${classNames.length}` : "Write ten digits";
  const shown = element("wrong").children.length;
  element("mistakes-heading").textContent =
    `Its mistakes: ${number(mistakes)} of ${number(tested)}` + (shown < mistakes ? `, the ${shown} surest` : "");
  const units = widths[1] > MOST_UNITS ? `the first ${MOST_UNITS} units` : "all units";
  element("weights-caption").textContent =
    layers.length > 1 ? `Weights of ${units} of hidden layer 1, as pictures` : "Weights from the pixels to each class";
}

function useTool(tool) {
  pad.erasing = tool === "eraser";
  for (const name of ["pen", "eraser"]) element(name).ariaPressed = String(name === tool);
}

async function open(file) {
  try {
    pad.open(await createImageBitmap(file));
  } catch {
    element("words").textContent = "That file is no picture that this browser can open.";
  }
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  palette = readPalette();
  pictures.paint(palette);
  samples.paint(palette);
  learning.show(palette);
  show();
}

const actions = {
  pen: () => useTool("pen"),
  eraser: () => useTool("eraser"),
  undo: () => pad.undo(),
  redo: () => pad.redo(),
  clear: () => pad.clear(),
  open: () => element("file").click(),
  ten: () => round.begin(),
  next: () => round.next(found, palette),
  theme: () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"),
};
for (const [id, action] of Object.entries(actions)) element(id).onclick = action;
element("width").oninput = ({ target }) => (pad.width = Number(target.value));
element("weights").onclick = (event) => {
  const unit = pictures.unitAt(event);
  if (unit >= 0) pin({ layer: 1, unit });
};
element("file").onchange = ({ target }) => {
  if (target.files[0]) open(target.files[0]);
  target.value = ""; // the same file again is a change too
};
document.onkeydown = (event) => {
  const letter = event.key.toLowerCase();
  const control = event.ctrlKey || event.metaKey;
  let action = { p: "pen", e: "eraser", z: "undo", y: "redo", c: "clear", o: "open" }[letter];
  if (letter === "z" && event.shiftKey) action = "redo";
  if (letter === "enter" && round.isOn && event.target === element("sheet")) action = "next";
  if (!action || event.altKey || (control && !"zy".includes(letter)) || (event.shiftKey && letter !== "z")) return;
  event.preventDefault();
  actions[action]();
};
document.ondragover = (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
};
document.ondragleave = () => document.body.classList.remove("dropping");
document.ondrop = (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
};
document.onpaste = (event) => {
  if (event.clipboardData.files[0]) open(event.clipboardData.files[0]);
};

makeBars(element("bars"), network.classNames);
describe();
const dark = matchMedia("(prefers-color-scheme: dark)");
dark.onchange = () => setTheme(dark.matches ? "dark" : "light");
setTheme(dark.matches ? "dark" : "light");
