// Two digits that touch, cut where least ink is in the way, as mnist_mlp/extras/handwriting/touching_digits.py does it.

const MIDDLE = [0.25, 0.75]; // of the width: where a cut may run
const ASIDE = 60; // grey levels that a pixel at the edge of the patch costs more than one in its middle

/** The pixels of a patch left of the minimum-ink seam from top to bottom (as in seam carving), as 0 and 1. */
export function leftOfCut({ height, width, values }) {
  const first = Math.floor(MIDDLE[0] * width);
  const end = Math.floor(MIDDLE[1] * width) + 1;
  const length = end - first;
  const costOf = (row, i) =>
    Math.floor(Math.fround(Math.fround(values[row * width + first + i] * 255) + 0.5)) +
    Math.floor((ASIDE * Math.abs(2 * (first + i) + 1 - width)) / width);
  let total = Array.from({ length }, (_, i) => costOf(0, i));
  const cameFrom = [];
  for (let row = 1; row < height; row++) {
    const moves = new Int8Array(length);
    const next = total.map((_, i) => {
      for (const move of [-1, 1]) if (total[i + move] < total[i + moves[i]]) moves[i] = move;
      return costOf(row, i) + total[i + moves[i]];
    });
    cameFrom.push(moves);
    total = next;
  }
  const isLeft = new Uint8Array(height * width);
  let place = total.indexOf(total.reduce((least, value) => Math.min(least, value)));
  for (let row = height - 1; row >= 0; row--) {
    isLeft.fill(1, row * width, row * width + first + place);
    if (row > 0) place += cameFrom[row - 1][place];
  }
  return isLeft;
}
