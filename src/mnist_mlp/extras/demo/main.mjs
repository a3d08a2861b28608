// The page: what happens on the sheet goes through the network, and what the network makes of it is shown.

import {
  columnsFor,
  makeBars,
  paintImage,
  paintSigned,
  percent,
  readPalette,
  showBars,
  WeightPictures,
} from "./charts.mjs";
import { findDigits } from "./digits.mjs";
import { SIDE } from "./form.mjs";
import { bestOf } from "./layers.mjs";
import { bytesOf, Network } from "./network.mjs";
import { Pad, SHEET } from "./pad.mjs";
import { greyOf } from "./picture.mjs";

const MOST_UNITS = 128; // whose weights are shown as pictures

const element = (id) => document.getElementById(id);
const network = new Network(JSON.parse(element("network").textContent));
const names = network.classNames;
const namesAreWords = names.some((name) => name.length > 1);
const pad = new Pad(element("sheet"), read);
const pictures = new WeightPictures(element("weights"), network.layers[0], MOST_UNITS);
const strips = makeStrips();
let palette;
let found = []; // {image, box, probabilities, hidden} of each digit on the sheet
let chosen = 0; // which of them is shown

/** From what is on the sheet to an answer; what is shown of it follows with the next frame. */
function read() {
  const { sample } = pad;
  const digits = pad.isBlank ? [] : sample ? [{ image: sample.image }] : readPicture(pad.picture());
  found = digits.map((digit) => ({ ...digit, ...network.answer(digit.image) }));
  chosen = Math.min(chosen, Math.max(found.length - 1, 0));
  soon(show);
}

/** The digits in an ImageData, with their boxes in its pixels. */
function readPicture(picture) {
  const { grey, shrink } = greyOf(picture);
  const inOriginal = (box) => Object.fromEntries(Object.entries(box).map(([side, pixels]) => [side, shrink * pixels]));
  return findDigits(grey).map(({ image, box }) => ({ image, box: inOriginal(box) }));
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
  element("clear").disabled = pad.current().length === 0;
  showDigits();
  element("words").textContent = words(digit);
  showBars(element("bars"), digit);
  const blank = new Uint8Array(SIDE * SIDE);
  paintImage(element("seen"), digit?.image ?? blank, palette);
  const evidence = digit ? network.evidence(digit.image, bestOf(digit.probabilities)[0]) : blank;
  paintSigned(element("evidence"), SIDE, evidence, palette);
  element("answered").textContent = digit ? names[bestOf(digit.probabilities)[0]] : "the answer";
  strips.forEach(({ canvas, width, columns }, n) =>
    paintSigned(canvas, columns, digit?.hidden[n] ?? new Uint8Array(width), palette),
  );
  if (network.layers.length > 1) pictures.light(digit?.hidden[0] ?? new Uint8Array(network.widths[1]), palette);
  for (const button of document.querySelectorAll(".thumbnails button"))
    button.ariaPressed = String(button === pad.sample?.button);
}

function words(digit) {
  if (pad.isBlank) return "Nothing drawn yet.";
  if (!digit) return "Nothing that could be a digit yet.";
  const [first, second] = bestOf(digit.probabilities);
  const say = (label) => `${names[label]} (${percent(digit.probabilities[label])})`;
  let answer = `It says ${say(first)}.`;
  if (!digit.inDistribution) answer = `That looks like nothing it knows: ${say(first)} at best.`;
  else if (!digit.isSure)
    answer = `Not sure: ${say(first)} or ${say(second)}. It answers from ${percent(network.threshold)} on.`;
  const { sample } = pad;
  if (!sample) return found.length > 1 ? `${answer} Digit ${chosen + 1} of ${found.length}.` : answer;
  return `${answer} The label says ${names[sample.label]}${first === sample.label ? "" : ": a mistake"}.`;
}

function showDigits() {
  const place = element("digits");
  place.classList.toggle("many", found.length > 3 || namesAreWords);
  const focused = place.contains(document.activeElement);
  place.replaceChildren(
    ...found.map((digit, n) => {
      const button = document.createElement("button");
      button.textContent = names[bestOf(digit.probabilities)[0]] + (digit.isSure ? "" : "?");
      button.className = digit.isSure ? "" : "unsure";
      button.ariaPressed = String(n === chosen);
      button.onclick = () => {
        chosen = n;
        show();
      };
      return button;
    }),
  );
  if (focused) place.children[chosen]?.focus();
  showBoxes();
}

/** Frames around the digits, where there are several; an opened picture lies on the sheet at its own scale. */
function showBoxes() {
  const [item] = pad.current();
  const bitmap = pad.current().length === 1 && item.kind === "picture" ? item.bitmap : { width: SHEET, height: SHEET };
  const scale = SHEET / Math.max(bitmap.width, bitmap.height);
  const [left, top] = [(SHEET - bitmap.width * scale) / 2, (SHEET - bitmap.height * scale) / 2];
  element("boxes").replaceChildren(
    ...(found.length > 1 ? found : []).map(({ box }, n) => {
      const frame = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      const [x, y] = [left + box.x0 * scale, top + box.y0 * scale];
      const [width, height] = [(box.x1 - box.x0) * scale, (box.y1 - box.y0) * scale];
      for (const [name, value] of Object.entries({ x: x - 2, y: y - 2, width: width + 4, height: height + 4 }))
        frame.setAttribute(name, value);
      frame.setAttribute("class", n === chosen ? "chosen" : "");
      return frame;
    }),
  );
}

function makeStrips() {
  return network.widths.slice(1, -1).map((width, n) => {
    const figure = document.createElement("figure");
    figure.innerHTML = '<figcaption></figcaption><canvas class="cells" role="img"></canvas>';
    figure.firstChild.textContent = `Hidden layer ${n + 1}: ${width} units, ${network.activation.replace("_", " ")}`;
    figure.lastChild.ariaLabel = `Values of hidden layer ${n + 1}`;
    element("layers").append(figure);
    return { canvas: figure.lastChild, width, columns: columnsFor(width) };
  });
}

function makeSamples() {
  const images = bytesOf(network.samples.images);
  network.samples.labels.forEach((label, n) => {
    const image = images.subarray(n * SIDE * SIDE, (n + 1) * SIDE * SIDE);
    const [answer] = bestOf(network.answer(image).probabilities);
    const button = document.createElement("button");
    const canvas = document.createElement("canvas");
    canvas.className = "cells";
    button.append(canvas);
    button.ariaLabel = `Test image, ${names[label]}`;
    if (answer !== label) {
      button.ariaLabel += ` taken for ${names[answer]}`;
      const note = document.createElement("small");
      note.textContent = `${names[label]} → ${names[answer]}`;
      button.append(note);
    }
    button.onclick = () => pad.put({ kind: "digit", image, label, button });
    button.paint = () => paintImage(canvas, image, palette);
    element(answer === label ? "right" : "wrong").append(button);
  });
  const { mistakes, tested } = network;
  const shown = element("wrong").children.length;
  element("mistakes-heading").textContent =
    `Its mistakes: ${mistakes.toLocaleString("en")} of ${tested.toLocaleString("en")}` + (shown < mistakes ? `, the ${shown} surest` : "");
}

function describe() {
  if (namesAreWords) element("title").textContent = document.title = "Draw what it knows";
  document.body.classList.toggle("words", namesAreWords);
  const { widths, mistakes, tested, layers } = network;
  const weights = layers.reduce((sum, { weight, bias }) => sum + weight.length + bias.length, 0);
  element("about").textContent =
    `A ${widths.join("-")} network (${weights.toLocaleString("en")} weights), right on ` +
    `${(100 * (1 - mistakes / tested)).toFixed(2)} % of ${tested.toLocaleString("en")} test images`;
  const units = widths[1] > MOST_UNITS ? `the first ${MOST_UNITS} of ` : "";
  element("weights-caption").textContent =
    layers.length > 1 ? `Weights of ${units}these units, framed where active` : "Weights from the pixels to each class";
}

function choose(tool) {
  pad.erasing = tool === "eraser";
  for (const name of ["pen", "eraser"]) element(name).ariaPressed = String(name === tool);
}

async function open(file) {
  try {
    pad.put({ kind: "picture", bitmap: await createImageBitmap(file) });
  } catch {
    element("words").textContent = "That file is no picture that this browser can open.";
  }
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  palette = readPalette();
  pictures.paint(palette);
  for (const button of document.querySelectorAll(".thumbnails button")) button.paint();
  show();
}

const actions = {
  pen: () => choose("pen"),
  eraser: () => choose("eraser"),
  undo: () => pad.undo(),
  clear: () => pad.clear(),
  open: () => element("file").click(),
  theme: () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"),
};
for (const [id, action] of Object.entries(actions)) element(id).onclick = action;
element("file").onchange = ({ target }) => {
  if (target.files[0]) open(target.files[0]);
  target.value = ""; // the same file again is a change too
};
document.onkeydown = (event) => {
  const letter = event.key.toLowerCase();
  const action = { p: "pen", e: "eraser", z: "undo", c: "clear", o: "open" }[letter];
  const plain = !event.altKey && !event.shiftKey && (!(event.ctrlKey || event.metaKey) || letter === "z");
  if (!action || !plain) return;
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

makeBars(element("bars"), names);
makeSamples();
describe();
const dark = matchMedia("(prefers-color-scheme: dark)");
dark.onchange = () => setTheme(dark.matches ? "dark" : "light");
setTheme(dark.matches ? "dark" : "light");
