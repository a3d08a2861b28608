// From what a canvas holds to grey levels, as mnist_mlp/extras/handwriting/picture.py makes them of a file.
//
// A picture is an ImageData: {width, height, data}, RGBA in 0..255.

import { newMap } from "./resampling.mjs";

const WORKING_PIXELS = 1_000_000; // larger pictures are shrunk first; a digit needs far fewer
const OPAQUE = 128; // alpha at and above which a pixel counts as visible
const CONTRAST = 64; // grey levels between darkest and brightest, above which a picture holds both pen and paper

/** Grey levels in 0..255, and the whole factor by which the picture was shrunk to get them. */
export function greyOf(picture) {
  const { grey, alpha, shrink } = channelsOf(picture);
  return { grey: alpha ? flattened(grey, alpha) : grey, shrink };
}

/** The grey level that a picture's paper has, or is given where it is transparent. */
export function paperOf(picture) {
  const { grey, alpha } = channelsOf(picture);
  return alpha ? fillOf(grey, alpha) ?? 255 : percentile(grey.values.sort(), 50);
}

/** Grey levels and opacity, shrunk by a whole factor; without an opacity where all is opaque. */
function channelsOf({ width, height, data }) {
  const grey = newMap(height, width);
  const alpha = newMap(height, width);
  let opaque = true;
  for (let i = 0, j = 0; i < grey.values.length; i++, j += 4) {
    // As Pillow weighs and rounds it.
    grey.values[i] = (data[j] * 19595 + data[j + 1] * 38470 + data[j + 2] * 7471 + 0x8000) >> 16;
    alpha.values[i] = data[j + 3];
    if (data[j + 3] < 255) opaque = false;
  }
  const shrink = Math.ceil(Math.sqrt((width * height) / WORKING_PIXELS));
  const small = shrink > 1 ? reduced(grey, alpha, shrink) : { grey, alpha };
  return { grey: small.grey, alpha: opaque ? null : small.alpha, shrink };
}

/** Means over squares of `factor` pixels, whole numbers; what is transparent has no say in a grey level. */
function reduced(grey, alpha, factor) {
  const result = [0, 1].map(() => newMap(Math.ceil(grey.height / factor), Math.ceil(grey.width / factor)));
  const { width, height } = result[0];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      let [light, opacity, number] = [0, 0, 0];
      for (let sy = y * factor; sy < Math.min((y + 1) * factor, grey.height); sy++)
        for (let sx = x * factor; sx < Math.min((x + 1) * factor, grey.width); sx++, number++) {
          const i = sy * grey.width + sx;
          light += grey.values[i] * alpha.values[i];
          opacity += alpha.values[i];
        }
      result[0].values[y * width + x] = opacity ? Math.round(light / opacity) : 0;
      result[1].values[y * width + x] = Math.round(opacity / number);
    }
  return { grey: result[0], alpha: result[1] };
}

/** What is transparent filled so that the writing stands out. */
function flattened(grey, alpha) {
  const fill = fillOf(grey, alpha);
  if (fill === undefined) return newMap(grey.height, grey.width);
  const filled = grey.values.map((level, i) => {
    const share = Math.fround(alpha.values[i] / 255);
    return Math.round(Math.fround(level * share) + Math.fround(fill * Math.fround(1 - share)));
  });
  return { ...grey, values: filled };
}

/** The grey level for what is transparent; undefined where nothing is visible. */
function fillOf(grey, alpha) {
  const visible = grey.values.filter((_, i) => alpha.values[i] >= OPAQUE).sort();
  if (visible.length === 0) return undefined;
  const [dark, middle, bright] = [5, 50, 95].map((percent) => percentile(visible, percent));
  const bothAreThere = visible.length > grey.values.length / 2 && bright - dark > CONTRAST;
  // Where pen and paper are there, what is cut away was paper; otherwise these are strokes on nothing.
  return bothAreThere ? middle : middle < 128 ? 255 : 0;
}

function percentile(sorted, percent) {
  const position = ((sorted.length - 1) * percent) / 100;
  const below = Math.floor(position);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (position - below);
}
