// Changing the size of a map, as mnist_mlp/extras/handwriting/resampling.py does it.
//
// A map is {height, width, values}: numbers row by row, in a Float32Array. NumPy computes in float32 too, rounding
// after each operation; where a later comparison could turn on the last bit, `f` rounds here as well.

const f = Math.fround;

export function newMap(height, width) {
  return { height, width, values: new Float32Array(height * width) };
}

/** What of a map lies in a box. */
export function cropped({ width, values }, { x0, y0, x1, y1 }) {
  const result = newMap(y1 - y0, x1 - x0);
  for (let y = y0; y < y1; y++) result.values.set(values.subarray(y * width + x0, y * width + x1), (y - y0) * (x1 - x0));
  return result;
}

/** The map at a new size: averaged along an axis that shrinks, interpolated where it grows. */
export function resample(map, height, width) {
  return transposed(resampleRows(transposed(resampleRows(map, height)), width));
}

function transposed(map) {
  const turned = newMap(map.width, map.height);
  for (let y = 0; y < map.height; y++)
    for (let x = 0; x < map.width; x++) turned.values[x * map.height + y] = map.values[y * map.width + x];
  return turned;
}

function resampleRows(map, after) {
  if (map.height === after) return map;
  const scale = map.height / after;
  return scale < 1 ? interpolatedRows(map, after, scale) : averagedRows(map, after, scale);
}

/** The mean over the stretch that each new row covers: the running total at its end less that at its start. */
function averagedRows(map, after, scale) {
  const { height, width, values } = map;
  const total = newMap(height + 1, width).values;
  for (let i = 0; i < values.length; i++) total[i + width] = total[i] + values[i];
  const result = newMap(after, width);
  for (let x = 0; x < width; x++) {
    let before = 0;
    for (let row = 1; row <= after; row++) {
      const position = row * scale;
      const below = Math.min(Math.floor(position), height);
      const above = Math.min(below + 1, height);
      const t = f(position - below);
      const upTo = f(f(total[below * width + x] * f(1 - t)) + f(total[above * width + x] * t));
      result.values[(row - 1) * width + x] = f(upTo - before) / f(scale);
      before = upTo;
    }
  }
  return result;
}

/** Catmull and Rom's cubic through four neighbours; beyond the first and last row the values stay as there. */
function interpolatedRows(map, after, scale) {
  const { height, width, values } = map;
  const result = newMap(after, width);
  for (let row = 0; row < after; row++) {
    const position = (row + 0.5) * scale - 0.5;
    const below = Math.floor(position);
    const t = f(position - below);
    const weights = [
      f(t * f(-1 + f(t * f(2 - t)))) / 2,
      f(2 + f(f(t * t) * f(f(3 * t) - 5))) / 2,
      f(t * f(1 + f(t * f(4 - f(3 * t))))) / 2,
      f(f(t * t) * f(t - 1)) / 2,
    ];
    weights.forEach((weight, k) => {
      const source = Math.min(Math.max(below + k - 1, 0), height - 1) * width;
      for (let x = 0; x < width; x++) result.values[row * width + x] += f(weight * values[source + x]);
    });
  }
  return result;
}
