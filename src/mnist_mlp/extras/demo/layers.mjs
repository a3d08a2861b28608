// Fully connected layers: {inputs, outputs, weight, bias}. The weights lie input by input: first all those with which
// the first input goes to the outputs, then those of the second. So the inputs that are 0 can be passed over.

/** What a layer adds up for each of its outputs: bias + weight · values. */
export function linear({ inputs, outputs, weight, bias }, values) {
  const sums = Float64Array.from(bias);
  for (let i = 0; i < inputs; i++) {
    const value = values[i];
    if (value === 0) continue; // as most pixels of a digit are
    for (let o = 0, w = i * outputs; o < outputs; o++, w++) sums[o] += weight[w] * value;
  }
  return sums;
}

/** The weights the other way round: from the slopes at a layer's outputs to those at its inputs. */
export function backwards({ inputs, outputs, weight }, slopes) {
  const sums = new Float64Array(inputs);
  for (let i = 0; i < inputs; i++) {
    let sum = 0;
    for (let o = 0, w = i * outputs; o < outputs; o++, w++) sum += weight[w] * slopes[o];
    sums[i] = sum;
  }
  return sums;
}

/** The weights with which one output takes the inputs. */
export function weightsInto({ inputs, outputs, weight }, output) {
  return new Float64Array(inputs).map((_, i) => weight[i * outputs + output]);
}

/** The weights with which the outputs take one input. */
export function weightsFrom({ outputs, weight }, input) {
  return Float64Array.from(weight.subarray(input * outputs, (input + 1) * outputs));
}

/** All layers' sums before the activation, and the hidden layers' values after it, from the sums of the first. */
export function runLayers(layers, activation, first) {
  const [sums, values] = [[first], []];
  for (const layer of layers.slice(1)) {
    values.push(sums[sums.length - 1].map(activation.value));
    sums.push(linear(layer, values[values.length - 1]));
  }
  return { sums, values };
}

export function softmax(logits) {
  const total = logSumExp(logits);
  return logits.map((logit) => Math.exp(logit - total));
}

export function logSumExp(logits) {
  const most = Math.max(...logits);
  return most + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - most), 0));
}

/** Classes from the most to the least probable. */
export function bestOf(probabilities) {
  return [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]);
}
