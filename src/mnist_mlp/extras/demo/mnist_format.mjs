// The ink of one digit in the form of MNIST's, as mnist_mlp/extras/handwriting/mnist_format.py makes it.

import { heightOf, widthOf } from "./connected_components.mjs";
import { cropped, newMap, resample } from "./resampling.mjs";

export const SIDE = 28;
const FIT = 20; // pixels, the longer side of a digit within the 28
const THINNEST = 2.8; // pixels of the 28, a stroke's width; half of MNIST's are between 2.1 and 3.0
// When a number is widened. Widths are parts of a digit's own height.
const FEWEST = 6; // digits wider than SLIM; with fewer of them, nothing is widened
const SLIM = 0.35; // as wide as a 1 with a flag, which looks like a 7 if it is widened
const NARROW = 0.6; // the middle width of these digits, if it is smaller, becomes as large
const FAINTEST = 0.12; // ink that still counts as part of a digit when it is cut out

/** The patch with its strokes at full ink, as MNIST's are. */
function saturated(patch) {
  const half = mostInk(patch.values) / 2;
  const strokes = patch.values.filter((value) => value >= half).sort();
  const full = strokes[Math.floor(0.8 * (strokes.length - 1))];
  return { ...patch, values: patch.values.map((value) => Math.min(value / full, 1)) };
}

function mostInk(values) {
  return values.reduce((most, value) => Math.max(most, value), -Infinity);
}

/** Without the paper around it. */
function trimmed(patch) {
  const threshold = Math.fround(FAINTEST);
  const box = { x0: patch.width, y0: patch.height, x1: 0, y1: 0 };
  for (let y = 0, i = 0; y < patch.height; y++)
    for (let x = 0; x < patch.width; x++, i++)
      if (patch.values[i] >= threshold) {
        box.x0 = Math.min(box.x0, x);
        box.y0 = Math.min(box.y0, y);
        box.x1 = Math.max(box.x1, x + 1);
        box.y1 = y + 1;
      }
  return cropped(patch, box);
}

/** Factor by which all digits of a number are widened: 1, or more where the handwriting is narrow. */
export function widening(boxes) {
  const notSlim = boxes.filter((box) => widthOf(box) > SLIM * heightOf(box));
  const aspects = notSlim.map((box) => widthOf(box) / heightOf(box)).sort((a, b) => a - b);
  return aspects.length >= FEWEST ? Math.max(NARROW / aspects[aspects.length >> 1], 1) : 1;
}

function widened(patch, widenBy) {
  return resized(patch, patch.height, Math.floor(patch.width * widenBy + 0.5));
}

function fitted(patch, side) {
  const scale = side / Math.max(patch.height, patch.width);
  const [height, width] = [patch.height, patch.width].map((length) => Math.max(1, Math.floor(length * scale + 0.5)));
  return resized(patch, height, width);
}

function resized(patch, height, width) {
  const map = resample(patch, height, width);
  return { ...map, values: map.values.map((value) => Math.min(Math.max(value, 0), 1)) };
}

/** The ink of one digit, some of it at least FAINTEST, to 28 x 28 grey levels; first it gets `widenBy` times as wide. */
export function asMnist(patch, widenBy) {
  patch = widened(trimmed(saturated(patch)), widenBy);
  if (Math.max(patch.height, patch.width) > 2 * FIT) patch = saturated(fitted(patch, 2 * FIT));
  const small = fitted(thickened(patch), FIT);
  let [mass, middleX, middleY] = [0, 0, 0];
  small.values.forEach((value, i) => {
    mass += value;
    middleX += value * (i % small.width);
    middleY += value * Math.floor(i / small.width);
  });
  const place = (middle, length) =>
    Math.min(Math.max(Math.trunc(SIDE / 2 - middle / mass + 0.5), 0), SIDE - length);
  const [top, left] = [place(middleY, small.height), place(middleX, small.width)];
  const image = new Uint8Array(SIDE * SIDE);
  small.values.forEach((value, i) => {
    const [x, y] = [left + (i % small.width), top + Math.floor(i / small.width)];
    image[y * SIDE + x] = Math.floor(value * 255 + 0.5);
  });
  return image;
}

/** The patch with strokes at least THINNEST wide once its longer side is FIT. */
function thickened(patch) {
  const { height, width, values } = patch;
  const unit = Math.max(height, width) / FIT;
  const inside = (x, y) => x >= 0 && y >= 0 && x < width && y < height && values[y * width + x] >= 0.5;
  let [area, outline] = [0, 0];
  for (let y = 0; y <= height; y++)
    for (let x = 0; x <= width; x++) {
      area += inside(x, y);
      outline += (inside(x, y) !== inside(x - 1, y)) + (inside(x, y) !== inside(x, y - 1));
    }
  const stroke = (2 * area) / ((outline * Math.PI) / 4); // a line's area is half its outline times its width
  const radius = (THINNEST * unit - stroke) / 2;
  if (!(radius > 0)) return patch;
  const reach = Math.ceil(radius);
  const result = newMap(height + 4 * reach, width + 4 * reach);
  for (let dy = -reach; dy <= reach; dy++)
    for (let dx = -reach; dx <= reach; dx++) {
      // A disc with a soft rim; what is there stays.
      const weight = dy === 0 && dx === 0 ? 1 : Math.min(radius + 0.5 - Math.hypot(dy, dx), 1);
      if (weight <= 0) continue;
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) {
          const i = (y + dy + 2 * reach) * result.width + x + dx + 2 * reach;
          result.values[i] = Math.max(result.values[i], values[y * width + x] * weight);
        }
    }
  return trimmed(result);
}
