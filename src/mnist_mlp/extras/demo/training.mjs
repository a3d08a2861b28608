// How a network learns, written out: forward, backward by the chain rule, and a step of Adam.

import { ACTIVATIONS } from "./activations.mjs";
import { backwards, linear, runLayers, softmax } from "./layers.mjs";

const [BETA1, BETA2] = [0.9, 0.999]; // how much of the past is kept in Adam's two averages
const EPSILON = 1e-8; // so that nothing is divided by 0

/** A network that learns: it starts with random weights, and each `step` makes them a little better. */
export class Learner {
  /** Widths of all layers, pixels first and classes last; `random` gives numbers in [0, 1). */
  constructor(widths, activation, random = Math.random) {
    this.activation = ACTIVATIONS[activation];
    this.layers = widths.slice(1).map((outputs, n) => newLayer(widths[n], outputs, random));
    this.gradients = this.layers.map(({ inputs, outputs }) => zeros(inputs, outputs));
    this.averages = this.layers.map(({ inputs, outputs }) => [zeros(inputs, outputs), zeros(inputs, outputs)]);
    this.steps = 0;
  }

  /** Pixels as `inkOf` gives them to the probability of each class. */
  answer(pixels) {
    const { sums } = this.run(pixels);
    return softmax(sums[sums.length - 1]);
  }

  run(pixels) {
    return runLayers(this.layers, this.activation, linear(this.layers[0], pixels));
  }

  /** Learn from examples {pixels, label}; returns their mean loss before the step. */
  step(examples, learningRate) {
    const loss = this.computeGradients(examples);
    this.steps++;
    this.layers.forEach((layer, n) => {
      for (const part of ["weight", "bias"]) {
        const [means, squares] = this.averages[n].map((average) => average[part]);
        adam(layer[part], this.gradients[n][part], means, squares, this.steps, learningRate);
      }
    });
    return loss;
  }

  /** Sets `gradients`: how fast the mean loss of the examples grows with each weight. Returns that loss. */
  computeGradients(examples) {
    for (const { weight, bias } of this.gradients) for (const numbers of [weight, bias]) numbers.fill(0);
    let total = 0;
    for (const { pixels, label } of examples) total += this.addGradients(pixels, label, 1 / examples.length);
    return total / examples.length;
  }

  /** Adds `share` of the gradients of one example; returns its loss, -log(the probability of the right class). */
  addGradients(pixels, label, share) {
    const { sums, values } = this.run(pixels);
    const probabilities = softmax(sums[sums.length - 1]);
    // Of -log softmax: each probability, and 1 less for the right class. From there back, layer by layer.
    let slopes = probabilities.map((probability, c) => share * (probability - (c === label ? 1 : 0)));
    for (let n = this.layers.length - 1; n >= 0; n--) {
      addProducts(this.gradients[n], slopes, n > 0 ? values[n - 1] : pixels);
      if (n === 0) break;
      const back = backwards(this.layers[n], slopes);
      slopes = back.map((slope, i) => slope * this.activation.slope(sums[n - 1][i]));
    }
    return -Math.log(Math.max(probabilities[label], Number.MIN_VALUE));
  }
}

/** Random weights, uniform in ±1 / sqrt(inputs): so large that the sums neither vanish nor explode. */
function newLayer(inputs, outputs, random) {
  const layer = zeros(inputs, outputs);
  const most = 1 / Math.sqrt(inputs);
  for (const numbers of [layer.weight, layer.bias])
    for (let i = 0; i < numbers.length; i++) numbers[i] = most * (2 * random() - 1);
  return layer;
}

function zeros(inputs, outputs) {
  return { inputs, outputs, weight: new Float32Array(inputs * outputs), bias: new Float32Array(outputs) };
}

/** A weight's gradient is the slope at its output times the value at its input; a bias has an input of 1. */
function addProducts({ inputs, outputs, weight, bias }, slopes, values) {
  for (let i = 0; i < inputs; i++) {
    const value = values[i];
    if (value === 0) continue;
    for (let o = 0, w = i * outputs; o < outputs; o++, w++) weight[w] += slopes[o] * value;
  }
  for (let o = 0; o < outputs; o++) bias[o] += slopes[o];
}

/** One step of Adam, in place (Kingma and Ba 2015, algorithm 1). */
function adam(numbers, gradient, means, squares, steps, learningRate) {
  const [meanShare, squareShare] = [1 - BETA1 ** steps, 1 - BETA2 ** steps]; // both averages began with 0
  for (let i = 0; i < numbers.length; i++) {
    const slope = gradient[i];
    means[i] = BETA1 * means[i] + (1 - BETA1) * slope;
    squares[i] = BETA2 * squares[i] + (1 - BETA2) * slope * slope;
    numbers[i] -= (learningRate * means[i]) / meanShare / (Math.sqrt(squares[i] / squareShare) + EPSILON);
  }
}
