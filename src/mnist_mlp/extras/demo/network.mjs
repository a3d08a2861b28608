// The trained network: from 28 x 28 grey levels to calibrated probabilities, and what led to them.

import { ACTIVATIONS } from "./activations.mjs";
import { decided, isTwo } from "./decision.mjs";
import { backwards, linear, logSumExp, runLayers, softmax } from "./layers.mjs";

const DETECTOR_HIDDEN = 64; // mnist_mlp/extras/inference/ood_detector.py
const PATH_STEPS = 32; // between the average digit and this one, for the evidence

export function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

/** Numbers of 24 bits: the upper three bytes of a float32, as description.py packs them. */
function floatsOf(bytes) {
  const words = new Uint32Array(bytes.length / 3);
  for (let i = 0; i < words.length; i++)
    words[i] = (bytes[3 * i] << 8) | (bytes[3 * i + 1] << 16) | (bytes[3 * i + 2] << 24);
  return new Float32Array(words.buffer);
}

export class Network {
  /** `description` is the page's JSON: widths of all layers, activation, mean, std, temperature, weights, ... */
  constructor(description) {
    Object.assign(this, description);
    this.layers = layersOf(this.weights, this.widths);
    if (this.oodDetector !== null) {
      const outputs = this.widths.slice(1).reduce((sum, width) => sum + width);
      this.oodDetector = layersOf(this.oodDetector, [outputs, DETECTOR_HIDDEN, 1]);
    }
    this.average = bytesOf(this.averageImage);
  }

  /** 784 grey levels to {probabilities, sums of all layers, hidden: the outputs of each hidden layer, oodScore}. */
  answer(image) {
    const { sums, values } = this.run(linear(this.layers[0], this.normalised(image)));
    const logits = sums[sums.length - 1];
    const probabilities = softmax(logits.map((logit) => logit / this.temperature));
    return { probabilities, sums, hidden: values, oodScore: this.oodScore(values, logits) };
  }

  /** How little an image is like any of the classes, as `Predictor.ood_score` in extras/inference/predictor.py. */
  oodScore(hidden, logits) {
    if (this.oodDetector === null) return -logSumExp(logits);
    const [first, last] = this.oodDetector;
    const outputs = [...hidden.flatMap((values) => [...values]), ...logits];
    return linear(last, linear(first, outputs).map(ACTIVATIONS.relu.value))[0];
  }

  /** What findDigits found, read together: each piece as one digit or as two that touch, and which are in doubt. */
  read(pieces) {
    const scored = (digit) => ({ ...digit, ...this.answer(digit.image) });
    const digits = pieces.map(scored).flatMap((whole) => {
      const halves = whole.halves.map(scored);
      return isTwo(whole, halves, this.limits()) ? halves : [whole];
    });
    return this.decide(digits);
  }

  /** Scored digits of one picture with {inDistribution, isTooWide, isSure}. */
  decide(digits) {
    return decided(digits, this.limits());
  }

  limits() {
    const limit = this.oodDetector === null ? (this.highestFreeEnergy ?? Infinity) : 0;
    return { limit, margin: this.numberMargin, threshold: this.threshold };
  }

  normalised(image) {
    return Float64Array.from(image, (grey) => (grey / 255 - this.mean) / this.std);
  }

  /** The sums and the outputs of every layer, from the sums of the first. */
  run(first) {
    return runLayers(this.layers, ACTIVATIONS[this.activation], first);
  }

  /**
   * How much each pixel, compared with the average digit's, is evidence for (> 0) or against (< 0) the class `answer`.
   *
   * Integrated gradients (Sundararajan et al. 2017) of the log-odds, log p / (1 - p): summed over all pixels they
   * are this image's log-odds less the average digit's. The first layer is linear along the path, so only the
   * layers behind it are computed at every step.
   */
  evidence(image, answer) {
    const [here, there] = [image, this.average].map((pixels) => this.normalised(pixels));
    const [end, start] = [here, there].map((pixels) => linear(this.layers[0], pixels));
    const total = new Float64Array(end.length);
    for (let step = 0; step < PATH_STEPS; step++) {
      const share = (step + 0.5) / PATH_STEPS;
      const slope = this.slopeOfLogOdds(end.map((value, i) => start[i] + share * (value - start[i])), answer);
      slope.forEach((value, i) => (total[i] += value / PATH_STEPS));
    }
    return backwards(this.layers[0], total).map((value, i) => value * (here[i] - there[i]));
  }

  /** The gradient of the log-odds of `answer` with respect to the sums of the first layer. */
  slopeOfLogOdds(first, answer) {
    const { sums } = this.run(first);
    const logits = sums[sums.length - 1].map((logit) => logit / this.temperature);
    const others = softmax(logits.map((logit, i) => (i === answer ? -Infinity : logit)));
    let slope = others.map((share, i) => ((i === answer) - share) / this.temperature);
    for (let n = this.layers.length - 1; n > 0; n--) {
      const back = backwards(this.layers[n], slope);
      slope = sums[n - 1].map((z, i) => back[i] * ACTIVATIONS[this.activation].slope(z));
    }
    return slope;
  }
}

/** Fully connected layers of these widths, from all their numbers one after another. */
function layersOf(base64, widths) {
  const numbers = floatsOf(bytesOf(base64));
  let place = 0;
  return widths.slice(1).map((outputs, n) => {
    const inputs = widths[n];
    const rows = numbers.subarray(place, (place += inputs * outputs)); // as torch keeps them: output by output
    const weight = rows.map((_, w) => rows[(w % outputs) * inputs + Math.floor(w / outputs)]);
    const bias = numbers.subarray(place, (place += outputs));
    return { inputs, outputs, weight, bias };
  });
}
