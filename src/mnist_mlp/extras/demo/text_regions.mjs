// Which parts of a map of ink are writing, as mnist_mlp/extras/handwriting/text_regions.py finds them.

import { heightOf, label, longestOf, widthOf } from "./connected_components.mjs";

const LEAST_CONTRAST = 0.06; // ink below it is paper
const NOISE = 6; // times the noise of the paper: ink below it is paper, too
const PEN_SHARE = 0.4; // of the pen's own ink: what is darker is pen
const LEAST_LENGTH = 4; // pixels of the longest piece, below which nothing is written
const LEAST_SHARE = 0.02; // the same limit, as a share of the picture's shorter side
// The share once pieces along the edge were removed: what remains may be a remnant of them.
const LEAST_SHARE_INSIDE = 0.04;
const SPECK = 0.08; // of the longest piece: a shorter piece is a speck and is dropped

/** Labels, 0 outside and 1.. for each piece, with every piece's box; no boxes on a blank page. */
export function findWriting(ink) {
  const side = Math.min(ink.height, ink.width);
  let pen = penLevel(ink);
  let found = piecesOf(ink, pen, Math.max(LEAST_LENGTH, LEAST_SHARE * side));
  let sides = sidesFollowed(found, ink);
  while (sides.some((count) => count > 0)) {
    const near = grown(Uint8Array.from(found.labels, (name) => sides[name] > 0), ink.height, ink.width);
    ink = { ...ink, values: ink.values.map((value, i) => (near[i] ? 0 : value)) };
    const rim = PEN_SHARE * pen;
    pen = penLevel(ink);
    const inner = piecesOf(ink, pen, Math.max(LEAST_LENGTH, LEAST_SHARE_INSIDE * side));
    // What is fainter may be the blurred rim of what was taken off.
    if (inner.boxes.length === 0 || pen <= rim) {
      const filled = new Float64Array(sides.length);
      for (const name of found.labels) filled[name]++;
      const share = (box, i) => filled[i + 1] / (heightOf(box) * widthOf(box));
      return only(found, (box, i) => fillsPicture(box, ink, sides[i + 1], share(box, i)));
    }
    found = inner;
    sides = sidesFollowed(found, ink);
  }
  return found;
}

/** The mask and all that touches it, corners included. */
export function grown(mask, height, width) {
  const tall = mask.slice();
  for (let i = 0; i < mask.length; i++) tall[i] |= (mask[i - width] ?? 0) | (mask[i + width] ?? 0);
  const wide = tall.slice();
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const i = y * width + x;
      wide[i] |= (x > 0 ? tall[i - 1] : 0) | (x < width - 1 ? tall[i + 1] : 0);
    }
  return wide;
}

/** Labels and boxes of what is dark enough; none where no piece is `least` pixels long. */
function piecesOf(ink, pen, least) {
  if (pen > 0) {
    const threshold = Math.fround(PEN_SHARE * pen);
    const mask = new Uint8Array(ink.values.length);
    for (let i = 0; i < mask.length; i++) mask[i] = ink.values[i] >= threshold ? 1 : 0;
    const found = label(mask, ink.height, ink.width);
    const longest = found.boxes.reduce((most, box) => Math.max(most, longestOf(box)), 0); // more than a function takes as arguments
    if (longest >= least) return only(found, (box) => longestOf(box) >= Math.max(SPECK * longest, 2));
  }
  return { labels: new Int32Array(ink.values.length), boxes: [] };
}

/** The pieces that are `kept`, numbered anew in the same order. */
function only({ labels, boxes }, kept) {
  const numbers = [0];
  let last = 0;
  boxes.forEach((box, i) => numbers.push(kept(box, i) ? ++last : 0));
  if (last === boxes.length) return { labels, boxes };
  return { labels: labels.map((name) => numbers[name]), boxes: boxes.filter((_, i) => numbers[i + 1] > 0) };
}

/** How dark the pen is, as ink, or 0 where nothing stands out from the paper. */
function penLevel(ink) {
  const floor = Math.max(LEAST_CONTRAST, NOISE * medianStep(ink));
  const least = Math.fround(floor);
  const counts = new Float64Array(64);
  let total = 0;
  for (const value of ink.values)
    if (value > least) {
      counts[Math.min(Math.floor(value * 64), 63)]++;
      total++;
    }
  if (total === 0) return 0;
  const mass = counts.reduce((sum, count, bin) => sum + (count * (bin + 0.5)) / 64, 0);
  let [below, massBelow, best, split] = [0, 0, 0, 0];
  counts.forEach((count, bin) => {
    below += count;
    massBelow += (count * (bin + 0.5)) / 64;
    const above = total - below;
    const apart = below * above * (massBelow / below - (mass - massBelow) / above) ** 2; // NaN at the ends
    if (apart > best) [best, split] = [apart, (bin + 1) / 64];
  });
  let [sum, number] = [0, 0];
  for (const value of ink.values)
    if (value > least && value >= split) {
      sum += value;
      number++;
    }
  return Math.max(sum / number, 2 * floor);
}

/** The median difference between a pixel and the one beside it: how noisy the picture is. */
function medianStep({ height, width, values }) {
  if (width < 2) return 0;
  const number = height * (width - 1);
  let zeros = 0;
  for (let y = 0; y < height; y++)
    for (let i = y * width + 1; i < (y + 1) * width; i++) if (values[i] === values[i - 1]) zeros++;
  if (2 * zeros > number + 1) return 0; // a drawn sheet: no need to sort
  const steps = new Float32Array(number);
  for (let y = 0, n = 0; y < height; y++)
    for (let i = y * width + 1; i < (y + 1) * width; i++, n++) steps[n] = Math.abs(values[i] - values[i - 1]);
  steps.sort();
  const middle = steps.length >> 1;
  return steps.length % 2 ? steps[middle] : (steps[middle - 1] + steps[middle]) / 2;
}

/** How many of the picture's four sides each label (0 first) follows with more than half its width or height. */
function sidesFollowed({ labels, boxes }, { height, width }) {
  const sides = new Array(boxes.length + 1).fill(0);
  const follow = (length, labelAt, extentOf) => {
    const counts = new Int32Array(sides.length);
    for (let i = 0; i < length; i++) counts[labelAt(i)]++;
    boxes.forEach((box, i) => (sides[i + 1] += counts[i + 1] > 0.5 * extentOf(box) ? 1 : 0));
  };
  for (const row of [0, height - 1]) follow(width, (x) => labels[row * width + x], widthOf);
  for (const column of [0, width - 1]) follow(height, (y) => labels[y * width + column], heightOf);
  return sides;
}

/**
 * Whether a piece along `sides` sides of the picture is a digit that fills it, rather than a table or a shadow.
 *
 * A table on three sides leaves most of its box (the paper) empty; a 1 does not.
 */
function fillsPicture(box, { height, width }, sides, filled) {
  return (sides <= 2 || filled > 0.5) && heightOf(box) > 0.5 * height && widthOf(box) > 0.5 * width;
}
