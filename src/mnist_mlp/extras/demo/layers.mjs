// Fully connected layers: {inputs, outputs, weight, bias}, the weights row by row, a row for each output.

/** What a layer adds up for each of its outputs: bias + weight · values. */
export function linear({ inputs, outputs, weight, bias }, values) {
  const active = nonZero(values);
  const sums = new Float64Array(outputs);
  for (let o = 0; o < outputs; o++) {
    const row = o * inputs;
    let sum = bias[o];
    for (let k = 0; k < active.length; k++) sum += weight[row + active[k]] * values[active[k]];
    sums[o] = sum;
  }
  return sums;
}

/** Positions of the values that are not 0: the others add nothing, and most pixels of a digit are blank. */
export function nonZero(values) {
  const positions = new Uint32Array(values.length);
  let number = 0;
  for (let i = 0; i < values.length; i++) if (values[i] !== 0) positions[number++] = i;
  return positions.subarray(0, number);
}

/** The weights the other way round: from the slopes at a layer's outputs to those at its inputs. */
export function backwards({ inputs, outputs, weight }, slopes) {
  const sums = new Float64Array(inputs);
  for (let o = 0; o < outputs; o++) {
    const [row, slope] = [o * inputs, slopes[o]];
    for (let i = 0; i < inputs; i++) sums[i] += weight[row + i] * slope;
  }
  return sums;
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
