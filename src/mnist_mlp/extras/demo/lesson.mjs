// The examples in the page, and how a network is led through them piece by piece.

import { bestOf } from "./layers.mjs";
import { bytesOf } from "./network.mjs";

const BATCH = 32; // examples of one step
const STEPS_BETWEEN_TESTS = 100;
const TESTS_AT_ONCE = 50; // so few that the page stays awake meanwhile
const EPOCHS = 20; // after these it has memorised its examples

/** {training, tests}: examples {image: 784 grey levels, label}, from what the page's JSON has packed. */
export async function readExamples({ images, labels, training, levels }) {
  const packed = new Blob([bytesOf(images)]).stream().pipeThrough(new DecompressionStream("deflate"));
  const grey = new Uint8Array(await new Response(packed).arrayBuffer()).map((level) => (255 * level) / (levels - 1));
  const size = grey.length / labels.length;
  const examples = labels.map((label, n) => ({ image: grey.subarray(n * size, (n + 1) * size), label }));
  return { training: examples.slice(0, training), tests: examples.slice(training) };
}

/** Grey levels as a learning network takes them: in standard deviations of the data, and 0 where there is no ink. */
export function inkOf(image, std) {
  const pixels = new Float64Array(image.length);
  for (let i = 0; i < pixels.length; i++) pixels[i] = image[i] / 255 / std;
  return pixels;
}

/**
 * Teaches a learner, one piece of work after another: {step, epoch, loss} after each step, {accuracy} after each
 * round of tests, {} in between. `rate()` is the learning rate at this moment.
 */
export function* lesson(learner, { training, tests }, { std, rate, random = Math.random }) {
  yield* test(learner, tests, std);
  for (let epoch = 1; epoch <= EPOCHS; epoch++) {
    const order = shuffled([...training], random);
    for (let start = 0; start < order.length; start += BATCH) {
      const batch = order.slice(start, start + BATCH);
      const loss = learner.step(batch.map(({ image, label }) => ({ pixels: inkOf(image, std), label })), rate());
      yield { step: learner.steps, epoch, loss };
      if (learner.steps % STEPS_BETWEEN_TESTS === 0) yield* test(learner, tests, std);
    }
  }
  yield* test(learner, tests, std);
}

function* test(learner, tests, std) {
  let right = 0;
  for (let start = 0; start < tests.length; start += TESTS_AT_ONCE) {
    for (const { image, label } of tests.slice(start, start + TESTS_AT_ONCE))
      if (bestOf(learner.answer(inkOf(image, std)))[0] === label) right++;
    yield {};
  }
  yield { step: learner.steps, accuracy: right / tests.length };
}

/** The same items in random order: Fisher and Yates, from the last place to the second. */
export function shuffled(items, random) {
  for (let last = items.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [items[last], items[other]] = [items[other], items[last]];
  }
  return items;
}
