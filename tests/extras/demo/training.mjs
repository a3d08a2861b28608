// Runs the page's training outside of a browser: node training.mjs <input.json> prints gradients, losses and weights.
// Input: {widths, activation, weights: a list of numbers a layer, as torch keeps them, biases, images, labels, steps, rate}.
import { readFileSync } from "node:fs";
import { Learner } from "../../../src/mnist_mlp/extras/demo/training.mjs";

const { widths, activation, weights, biases, images, labels, steps, rate } = JSON.parse(
  readFileSync(process.argv[2], "utf8"),
);
const learner = new Learner(widths, activation);
learner.layers.forEach(({ inputs, outputs, weight, bias }, n) => {
  for (let o = 0; o < outputs; o++)
    for (let i = 0; i < inputs; i++) weight[i * outputs + o] = weights[n][o * inputs + i];
  bias.set(biases[n]);
});

/** As torch keeps them: output by output. */
function byOutput({ inputs, outputs, weight, bias }) {
  const rows = weight.map((_, w) => weight[(w % inputs) * outputs + Math.floor(w / inputs)]);
  return { weight: [...rows], bias: [...bias] };
}

const examples = images.map((pixels, n) => ({ pixels: Float64Array.from(pixels), label: labels[n] }));
learner.computeGradients(examples);
const gradients = learner.gradients.map(byOutput);
const losses = [];
for (let n = 0; n < steps; n++) losses.push(learner.step(examples, rate));
process.stdout.write(JSON.stringify({ gradients, losses, layers: learner.layers.map(byOutput) }));
