// What the page says about an answer. (predict.py words it otherwise.)

import { bestOf } from "./layers.mjs";

const ALMOST = 0.9; // the least probability of an answer that is almost sure

export const percent = (share) => (share >= 0.9995 ? "> 99.9 %" : `${share < 0.0005 ? 0 : (100 * share).toFixed(1)} %`);

/** One sentence about {probabilities, inDistribution, isTooWide, isSure}. */
export function sentence({ probabilities, inDistribution, isTooWide, isSure }, names) {
  const [first, second] = bestOf(probabilities);
  const name = (label) => `${names[label]} (${percent(probabilities[label])})`;
  const kind = names.some((each) => each.length > 1) ? "Not one of its classes" : "Not a digit";
  if (!inDistribution) return `${kind}; closest: ${names[first]}.`;
  if (isTooWide) return `Could be two digits; as one it would be ${names[first]}.`;
  if (isSure) return `It says ${name(first)}.`;
  if (probabilities[first] >= ALMOST) return `Almost sure: ${name(first)}.`;
  return `Not sure: ${name(first)} or ${name(second)}.`;
}
