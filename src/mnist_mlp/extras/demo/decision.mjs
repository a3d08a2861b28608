// When digits are an answer, and which are in doubt: the rule of mnist_mlp/extras/inference/decision.py.
//
// A digit is {probabilities, oodScore, image, box, halves, isHalf}; without a box its aspect counts as 0.

import { heightOf, widthOf } from "./connected_components.mjs";

const TOO_WIDE = 1.4; // times its height: hardly any digit is wider. A wider piece is never accepted as one digit

const aspectOf = ({ box }) => (box ? widthOf(box) / heightOf(box) : 0);
const probabilityOf = ({ probabilities }) => Math.max(...probabilities);

/** Whether a wide piece is to be read as two digits that touch, its `halves`; there may be none. */
export function isTwo(whole, halves, { limit, threshold }) {
  const alone = probabilityOf(whole) >= threshold && whole.oodScore <= limit;
  if (halves.length === 0 || (alone && aspectOf(whole) <= TOO_WIDE)) return false;
  return Math.max(...halves.map(({ oodScore }) => oodScore)) < whole.oodScore;
}

/** All digits of a picture with {inDistribution, isTooWide, isSure}; `limit` is the score of a digit alone. */
export function decided(digits, { limit, margin, threshold }) {
  const besideOthers = limit + (digits.length > 1 ? margin : 0);
  const best = digits.map(probabilityOf);
  const sure = new Set();
  let together = 1;
  for (const place of [...best.keys()].sort((a, b) => best[b] - best[a])) {
    together *= best[place];
    if (together >= threshold) sure.add(place);
  }
  return digits.map((digit, place) => {
    const inDistribution = digit.oodScore <= (digit.isHalf ? limit : besideOthers);
    const isTooWide = aspectOf(digit) > TOO_WIDE;
    return { ...digit, inDistribution, isTooWide, isSure: inDistribution && !isTooWide && sure.has(place) };
  });
}
