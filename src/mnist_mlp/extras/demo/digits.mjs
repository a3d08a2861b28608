// The digits of a picture, from its grey levels, as mnist_mlp/extras/handwriting/segmentation.py finds them.

import { asMnist } from "./form.mjs";
import { inkMap } from "./ink.mjs";
import { gather, heightOf, readingOrder, union, widthOf } from "./pieces.mjs";
import { newMap } from "./resampling.mjs";
import { findWriting, grown } from "./writing.mjs";

const MOST_PIECES = 200; // a page of text or of noise has more; it is no number
const SHEET_SIDE = 0.5; // of the picture's sides: a piece that is longer on both ...
const SHEET_FILL = 0.6; // ... and fills this much of its box is a sheet of paper

/** The digits of a picture, {image, box} each, line by line, left to right; none on a blank page. */
export function findDigits(grey) {
  const ink = inkMap(grey);
  const { labels, boxes } = findWriting(ink);
  if (boxes.length === 0 || boxes.length > MOST_PIECES) return [];
  for (const [i, box] of boxes.entries()) {
    if (!isSheet(labels, i + 1, box, grey)) continue;
    const inside = findDigits(part(grey, box));
    if (inside.length) return inside.map((digit) => ({ ...digit, box: moved(digit.box, box.x0, box.y0) }));
  }
  const digits = gather(boxes).map((members) => cutOut(ink, labels, boxes, members));
  return readingOrder(digits.map(({ box }) => box)).map((i) => digits[i]);
}

/** Whether a piece is no pen but the paper itself, brighter (or darker) than the table that it lies on. */
function isSheet(labels, name, box, { height, width }) {
  const area = widthOf(box) * heightOf(box);
  if (area === labels.length || widthOf(box) < SHEET_SIDE * width || heightOf(box) < SHEET_SIDE * height) return false;
  let filled = 0;
  for (let y = box.y0; y < box.y1; y++)
    for (let x = box.x0; x < box.x1; x++) if (labels[y * width + x] === name) filled++;
  return filled > SHEET_FILL * area;
}

/** The digit made of the pieces at positions `members`, with the grey rim of its strokes and nothing beside it. */
function cutOut(ink, labels, boxes, members) {
  const box = members.map((member) => boxes[member]).reduce(union);
  const rim = {
    x0: Math.max(box.x0 - 1, 0),
    y0: Math.max(box.y0 - 1, 0),
    x1: Math.min(box.x1 + 1, ink.width),
    y1: Math.min(box.y1 + 1, ink.height),
  };
  const patch = part(ink, rim);
  const names = new Set(members.map((member) => member + 1));
  const own = part({ ...ink, values: labels }, rim).values.map((name) => names.has(name));
  const near = grown(own, patch.height, patch.width);
  return { image: asMnist({ ...patch, values: patch.values.map((value, i) => value * near[i]) }), box };
}

/** What of a map lies in a box. */
function part(map, box) {
  const result = newMap(heightOf(box), widthOf(box));
  for (let y = 0; y < result.height; y++) {
    const start = (box.y0 + y) * map.width + box.x0;
    result.values.set(map.values.subarray(start, start + result.width), y * result.width);
  }
  return result;
}

function moved(box, right, down) {
  return { x0: box.x0 + right, y0: box.y0 + down, x1: box.x1 + right, y1: box.y1 + down };
}
