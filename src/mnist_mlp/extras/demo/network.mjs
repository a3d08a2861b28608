// The trained network: from 28 x 28 grey levels to calibrated probabilities, and what led to them.

const ACTIVATIONS = {
  relu: (z) => Math.max(z, 0),
  sigmoid: (z) => 1 / (1 + Math.exp(-z)),
  tanh: Math.tanh,
  gelu: (z) => (z * (1 + erf(z * Math.SQRT1_2))) / 2,
  silu: (z) => z / (1 + Math.exp(-z)),
  leaky_relu: (z) => (z < 0 ? 0.01 * z : z),
  elu: (z) => (z < 0 ? Math.expm1(z) : z),
};
const DETECTOR_HIDDEN = 64; // mnist_mlp/extras/calibration/ood_detector.py
const PATH_STEPS = 32; // between the average digit and this one, for the evidence

/** To 1.2e-7: Numerical Recipes, 3rd edition, section 6.2.2. */
function erf(x) {
  const t = 2 / (2 + Math.abs(x));
  const series = [
    -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223,
    0.17087277,
  ].reduceRight((sum, coefficient) => coefficient + t * sum, 0);
  return Math.sign(x) * (1 - t * Math.exp(-x * x + series));
}

export function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

/** Numbers of 24 bits, the upper three bytes of a float32: half the rounding error of a page would be its weights. */
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
    this.activate = ACTIVATIONS[this.activation];
    this.layers = layersOf(this.weights, this.widths);
    if (this.detector !== null) {
      const outputs = this.widths.slice(1).reduce((sum, width) => sum + width);
      this.detector = layersOf(this.detector, [outputs, DETECTOR_HIDDEN, 1]);
    }
    this.average = bytesOf(this.averageImage);
  }

  /** 784 grey levels to {probabilities, hidden: what each hidden layer gives out, isKnown, isSure}. */
  answer(image) {
    const { sums, values } = this.run(linear(this.layers[0], this.normalised(image)));
    const logits = sums[sums.length - 1];
    const probabilities = softmax(logits.map((logit) => logit / this.temperature));
    const isKnown = this.knows(values, logits);
    return { probabilities, hidden: values, isKnown, isSure: isKnown && Math.max(...probabilities) >= this.threshold };
  }

  /** Whether the image is of one of the classes at all, as `Predictor.knows` in mnist_mlp/extras/inference/predictor.py says. */
  knows(hidden, logits) {
    if (this.detector !== null) {
      const [first, last] = this.detector;
      const outputs = [...hidden.flatMap((values) => [...values]), ...logits];
      return linear(last, linear(first, outputs).map(ACTIVATIONS.relu))[0] <= 0;
    }
    return this.highestFreeEnergy === null || -logSumExp(logits) <= this.highestFreeEnergy;
  }

  normalised(image) {
    return Float64Array.from(image, (grey) => (grey / 255 - this.mean) / this.std);
  }

  /** All layers' sums before the activation, and the hidden layers' values after it, from the sums of the first. */
  run(first) {
    const [sums, values] = [[first], []];
    for (const layer of this.layers.slice(1)) {
      values.push(sums[sums.length - 1].map(this.activate));
      sums.push(linear(layer, values[values.length - 1]));
    }
    return { sums, values };
  }

  /**
   * How much each pixel, compared with the average digit's, speaks for (> 0) or against (< 0) the class `answer`.
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
      slope = sums[n - 1].map((z, i) => (back[i] * (this.activate(z + 1e-4) - this.activate(z - 1e-4))) / 2e-4);
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
    const weight = numbers.subarray(place, (place += inputs * outputs)); // row by row, one an output
    const bias = numbers.subarray(place, (place += outputs));
    return { inputs, outputs, weight, bias };
  });
}

/** Classes from the most to the least probable. */
export function bestOf(probabilities) {
  return [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
}

function linear({ inputs, outputs, weight, bias }, values) {
  const sums = new Float64Array(outputs);
  for (let o = 0; o < outputs; o++) {
    let sum = bias[o];
    for (let i = 0, w = o * inputs; i < inputs; i++, w++) sum += weight[w] * values[i];
    sums[o] = sum;
  }
  return sums;
}

/** The weights the other way round: from the slopes at a layer's outputs to those at its inputs. */
function backwards({ inputs, outputs, weight }, slopes) {
  const sums = new Float64Array(inputs);
  for (let o = 0; o < outputs; o++)
    for (let i = 0, w = o * inputs; i < inputs; i++, w++) sums[i] += weight[w] * slopes[o];
  return sums;
}

function softmax(logits) {
  const total = logSumExp(logits);
  return logits.map((logit) => Math.exp(logit - total));
}

function logSumExp(logits) {
  const most = Math.max(...logits);
  return most + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - most), 0));
}
