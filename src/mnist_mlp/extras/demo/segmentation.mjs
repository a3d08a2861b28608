// The digits of a picture, from its grey levels, as mnist_mlp/extras/handwriting/segmentation.py finds them.

import { asMnist, widening } from "./mnist_format.mjs";
import { darkOnLight, inkMap } from "./ink_map.mjs";
import { gather, heightOf, readingOrder, union, widthOf } from "./connected_components.mjs";
import { cropped } from "./resampling.mjs";
import { leftOfCut } from "./touching_digits.mjs";
import { findWriting, grown } from "./text_regions.mjs";

const MOST_PIECES = 200; // a page of text or of noise has more; it is no number
const SHEET_SIDE = 0.15; // of the picture's shorter side: a piece that is longer on both sides ...
const SHEET_FILL = 0.72; // ... and fills this much of its box may be a sheet of paper
// Of what lies between the edges of a sheet: if less is filled, the piece is a bold digit with holes; if more, the
// sheet is empty.
const SHEET_WHOLE = [0.85, 0.99];
const SHEET_RIM = 0.03; // of a sheet's longer side, left out as its edge
// At least this share of the pixels around a connected piece of ink is paper; a patch of light has paper on one side.
const LEAST_PAPER = 0.55;
const LEAST_RING = 8; // pixels; fewer say nothing
// A picture of at most so many pixels a side is taken as a single digit: shrinking may have broken its strokes into
// several pieces.
const THUMBNAIL = 32;
const WIDE = 1.2; // times its height: a piece from this width on may be two digits that touch; letters are narrower
const CONTENT = 0.25; // of the height of a sheet, frame or circle: what is written inside is at least so tall

/** The digits of a picture, {image, box, halves, isHalf} each, line by line, left to right; none on a blank page. */
export function findDigits(grey) {
  let ink, labels, boxes;
  for (const flipped of [false, true]) { // a bright patch of light may have been taken for the pen
    ({ ink, labels, boxes } = written(darkOnLight(grey, flipped)));
    if (boxes.length) break;
  }
  if (boxes.length === 0 || boxes.length > MOST_PIECES) return [];
  for (const [i, box] of boxes.entries()) {
    if (!mayBeSheet(labels, i + 1, box, grey)) continue;
    const page = sheet(grey, labels, i + 1, box);
    const inside = page === null ? [] : findDigits(page);
    if (inside.length && inside.every((digit) => heightOf(digit.box) >= CONTENT * heightOf(box)))
      return inside.map((digit) => withBoxes(digit, (each) => moved(each, box.x0, box.y0)));
  }
  const kept = [...boxes.keys()].filter((i) => !isFrame(labels, i, boxes, grey));
  const isThumbnail = Math.max(grey.height, grey.width) <= THUMBNAIL;
  const groups = isThumbnail ? [[...kept.keys()]] : gather(kept.map((i) => boxes[i]));
  const together = groups.map((members) => members.map((member) => kept[member]));
  const digitBoxes = together.map((members) => members.map((member) => boxes[member]).reduce(union));
  const widenBy = widening(digitBoxes);
  const digits = together.map((members, i) => cutOut(ink, labels, members, digitBoxes[i], widenBy));
  return readingOrder(digitBoxes).map((i) => digits[i]);
}

/** Ink, labels and boxes of the pieces of a page with dark writing, without the edges of lights and shadows. */
function written(page) {
  let ink = inkMap(page);
  for (;;) {
    const { labels, boxes } = findWriting(ink);
    if (boxes.length > MOST_PIECES) return { ink, labels, boxes };
    const edges = new Set([...boxes.keys()].filter((i) => !isSurroundedByPaper(page, ink, labels, i + 1, boxes[i])).map((i) => i + 1));
    if (edges.size === 0) return { ink, labels, boxes };
    const off = grown(Uint8Array.from(labels, (name) => (edges.has(name) ? 1 : 0)), ink.height, ink.width);
    ink = { ...ink, values: ink.values.map((value, i) => (off[i] ? 0 : value)) };
  }
}

/**
 * Whether what surrounds a piece is paper rather than pen.
 *
 * If the piece is only the edge of a shadow, the pixels on one side are as dark as the piece itself.
 */
function isSurroundedByPaper(page, ink, labels, name, box) {
  const area = {
    x0: Math.max(box.x0 - 4, 0),
    y0: Math.max(box.y0 - 4, 0),
    x1: Math.min(box.x1 + 4, page.width),
    y1: Math.min(box.y1 + 4, page.height),
  };
  const [grey, inked, names] = [page, ink, { ...ink, values: labels }].map((map) => cropped(map, area));
  const { height, width } = grey;
  const own = Uint8Array.from(names.values, (label) => (label === name ? 1 : 0));
  const near = grown(grown(own, height, width), height, width);
  const around = grown(near, height, width);
  const pieces = grown(Uint8Array.from(names.values, (label) => (label > 0 ? 1 : 0)), height, width);
  const ring = [...around.keys()].filter((i) => around[i] && !near[i] && !pieces[i]);
  if (ring.length < LEAST_RING) return true;
  let [count, pen, share] = [0, 0, 0];
  own.forEach((is, i) => {
    if (!is) return;
    count++;
    pen += grey.values[i];
    share += inked.values[i];
  });
  // The harmonic mean of the pen's level m and the paper's, m / (1 - ink).
  const betweenPenAndPaper = pen / count / (1 - share / count / 2);
  return ring.filter((i) => grey.values[i] >= betweenPenAndPaper).length >= LEAST_PAPER * ring.length;
}

/** Whether a piece may be not ink but the paper itself, brighter (or darker) than the table that it lies on. */
function mayBeSheet(labels, name, box, { height, width }) {
  const area = widthOf(box) * heightOf(box);
  const least = SHEET_SIDE * Math.min(height, width);
  if (area === labels.length || widthOf(box) < least || heightOf(box) < least) return false;
  let filled = 0;
  for (let y = box.y0; y < box.y1; y++)
    for (let x = box.x0; x < box.x1; x++) if (labels[y * width + x] === name) filled++;
  return filled > SHEET_FILL * area;
}

/** The picture in a sheet's box, with the sheet's own grey where the table shows beside it, as at tilted corners; null: no sheet. */
function sheet(grey, labels, name, box) {
  const page = cropped(grey, box);
  const own = cropped({ ...grey, values: labels }, box).values.map((label) => label === name);
  const { height, width } = page;
  // Between the first and the last of its pixels in a row, and in a column; one pixel around all is beside it.
  const inside = new Uint8Array((height + 2) * (width + 2));
  const fill = (lines, length, place) => {
    for (let n = 0; n < lines; n++) {
      let [first, last] = [length, -1];
      for (let i = 0; i < length; i++)
        if (own[place(n, i)]) {
          first = Math.min(first, i);
          last = i;
        }
      for (let i = first; i <= last; i++) {
        const at = place(n, i);
        inside[(Math.floor(at / width) + 1) * (width + 2) + (at % width) + 1]++;
      }
    }
  };
  fill(height, width, (y, x) => y * width + x);
  fill(width, height, (x, y) => y * width + x);
  const whole = own.reduce((sum, value) => sum + value, 0);
  const between = inside.filter((count) => count === 2).length;
  if (whole / between < SHEET_WHOLE[0] || whole / between > SHEET_WHOLE[1]) return null;
  let beside = inside.map((count) => count < 2);
  const rim = Math.max(1, Math.floor(SHEET_RIM * Math.max(height, width) + 0.5));
  for (let n = 0; n < rim; n++) beside = grown(beside, height + 2, width + 2);
  const greys = page.values.filter((_, i) => own[i]).sort();
  const middle = greys[greys.length >> 1];
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++, i++) if (beside[(y + 1) * (width + 2) + x + 1]) page.values[i] = middle;
  return page;
}

/** Whether the piece at position `i` goes around another one on all four sides: a frame, a form's cell, a circle. */
function isFrame(labels, i, boxes, { height, width }) {
  const box = boxes[i];
  const holds = ({ x0, y0, x1, y1 }) => box.x0 < x0 && box.y0 < y0 && x1 < box.x1 && y1 < box.y1;
  return boxes.some((content) => {
    if (!holds(content) || heightOf(content) < CONTENT * heightOf(box)) return false;
    const [x, y] = [(content.x0 + content.x1) >> 1, (content.y0 + content.y1) >> 1];
    const across = (from, to) => labels.subarray(y * width + from, y * width + to).includes(i + 1);
    const down = (from, to) => {
      for (let row = from; row < to; row++) if (labels[row * width + x] === i + 1) return true;
      return false;
    };
    return across(0, content.x0) && across(content.x1, width) && down(0, content.y0) && down(content.y1, height);
  });
}

/** The digit made of the pieces at positions `members`, made `widenBy` times as wide, with the grey rim of its strokes and nothing beside it. */
function cutOut(ink, labels, members, box, widenBy) {
  const rim = {
    x0: Math.max(box.x0 - 1, 0),
    y0: Math.max(box.y0 - 1, 0),
    x1: Math.min(box.x1 + 1, ink.width),
    y1: Math.min(box.y1 + 1, ink.height),
  };
  const patch = cropped(ink, rim);
  const names = new Set(members.map((member) => member + 1));
  const own = cropped({ ...ink, values: labels }, rim).values.map((name) => names.has(name));
  const near = grown(own, patch.height, patch.width);
  const inked = { ...patch, values: patch.values.map((value, i) => value * near[i]) };
  const halves = widthOf(box) >= WIDE * heightOf(box) ? halvesOf(inked, own, widenBy) : [];
  const inPicture = halves.map((half) => withBoxes(half, (each) => moved(each, rim.x0, rim.y0)));
  return { image: asMnist(inked, widenBy), box, halves: inPicture, isHalf: false };
}

/** The ink of a piece and its pixels, cut in two; their boxes in the patch. None where one half is empty. */
function halvesOf(patch, own, widenBy) {
  const isLeft = leftOfCut(patch);
  const halves = [1, 0].map((side) => {
    const box = { x0: patch.width, y0: patch.height, x1: 0, y1: 0 };
    own.forEach((is, i) => {
      if (!is || isLeft[i] !== side) return;
      const [x, y] = [i % patch.width, Math.floor(i / patch.width)];
      Object.assign(box, union(box, { x0: x, y0: y, x1: x + 1, y1: y + 1 }));
    });
    if (box.x1 === 0) return null;
    const values = patch.values.map((value, i) => (isLeft[i] === side ? value : 0));
    return { image: asMnist({ ...patch, values }, widenBy), box, halves: [], isHalf: true };
  });
  return halves.includes(null) ? [] : halves;
}

/** A digit whose boxes, and those of its halves, are counted otherwise. */
export function withBoxes(digit, change) {
  return { ...digit, box: change(digit.box), halves: digit.halves.map((half) => withBoxes(half, change)) };
}

function moved(box, right, down) {
  return { x0: box.x0 + right, y0: box.y0 + down, x1: box.x1 + right, y1: box.y1 + down };
}
