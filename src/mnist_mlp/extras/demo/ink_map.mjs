// From grey levels to a map of ink, as mnist_mlp/extras/handwriting/ink_map.py does it.

import { newMap, resample } from "./resampling.mjs";

const GRID_CELLS = 2_500; // polarity and paper are judged on a grid of about 50 x 50 cells

/** Grey levels with dark writing on brighter paper; `flipped` takes the polarity that the picture does not suggest. */
export function darkOnLight(grey, flipped = false) {
  return inkIsLight(cellMeans(grey, cellOf(grey))) !== flipped ? negative(grey) : grey;
}

/** Grey levels of a page with dark writing to ink in [0, 1]. */
export function inkMap(page) {
  const { width, height } = page;
  const cell = cellOf(page);
  const coarse = paperLevel(cellMeans(page, cell));
  const even = coarse.values.every((value) => value === coarse.values[0]); // a drawn sheet: nothing to interpolate
  const paper = even ? null : resample(coarse, coarse.height * cell, coarse.width * cell);
  const ink = newMap(height, width);
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++, i++) {
      const light = even ? coarse.values[0] : paper.values[y * paper.width + x];
      // A shadow dims pen and paper alike, so ink is what share of the paper's light is missing.
      const missing = Math.fround(light - page.values[i]) / Math.max(light, 1);
      ink.values[i] = Math.min(Math.max(missing, 0), 1);
    }
  return ink;
}

function cellOf({ width, height }) {
  return Math.ceil(Math.sqrt((width * height) / GRID_CELLS));
}

/** The mean over squares of `cell` x `cell` pixels; those at the right and lower edge may be smaller. */
function cellMeans(map, cell) {
  const result = newMap(Math.ceil(map.height / cell), Math.ceil(map.width / cell));
  for (let y = 0; y < result.height; y++) {
    const rows = Math.min(cell, map.height - y * cell);
    for (let x = 0; x < result.width; x++) {
      const columns = Math.min(cell, map.width - x * cell);
      let sum = 0;
      for (let dy = 0; dy < rows; dy++) {
        const start = (y * cell + dy) * map.width + x * cell;
        for (let i = start; i < start + columns; i++) sum += map.values[i];
      }
      result.values[y * result.width + x] = sum / rows / columns;
    }
  }
  return result;
}

function negative(map) {
  return { ...map, values: map.values.map((value) => 255 - value) };
}

/** Whether the writing is brighter than what surrounds it. */
function inkIsLight(grid) {
  const around = sliding(average, grid, Math.ceil(Math.min(grid.height, grid.width) / 3));
  // Cubed, so that a little strong ink outweighs much faint unevenness of the paper.
  return grid.values.reduce((sum, value, i) => sum + (value - around.values[i]) ** 3, 0) > 0;
}

/**
 * The paper's brightness under dark writing: a closing, wider than any stroke.
 *
 * The minimum reaches one cell further than the maximum: the edge of a shadow may lie anywhere within a cell, and its
 * dark part must not count as ink.
 */
function paperLevel(grid) {
  const reach = Math.ceil(Math.min(grid.height, grid.width) / 5);
  return sliding(smallest, sliding(largest, grid, reach), reach + 1);
}

/**
 * `statistic` over the cells up to `reach` away, one axis after the other. Beyond the edge, the values of the edge are
 * repeated.
 */
function sliding(statistic, grid, reach) {
  const { height, width } = grid;
  const down = newMap(height, width);
  const result = newMap(height, width);
  const slide = (from, to, lines, length, line, step) => {
    const padded = new Float32Array(length + 2 * reach);
    for (let n = 0; n < lines; n++) {
      for (let i = 0; i < padded.length; i++)
        padded[i] = from.values[n * line + Math.min(Math.max(i - reach, 0), length - 1) * step];
      for (let i = 0; i < length; i++) to.values[n * line + i * step] = statistic(padded, i, i + 2 * reach + 1);
    }
  };
  slide(grid, down, width, height, 1, width);
  slide(down, result, height, width, width, 1);
  return result;
}

function average(values, start, end) {
  let sum = 0;
  for (let i = start; i < end; i++) sum += values[i];
  return sum / (end - start);
}

function largest(values, start, end) {
  let most = values[start];
  for (let i = start; i < end; i++) if (values[i] > most) most = values[i];
  return most;
}

function smallest(values, start, end) {
  let least = values[start];
  for (let i = start; i < end; i++) if (values[i] < least) least = values[i];
  return least;
}
