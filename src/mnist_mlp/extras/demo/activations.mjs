// The activations that a network may have: the output of a unit for the sum z, and how fast that grows with z.

export const ACTIVATIONS = {
  relu: {
    value: (z) => Math.max(z, 0),
    slope: (z) => (z > 0 ? 1 : 0),
  },
  sigmoid: {
    value: sigmoid,
    slope: (z) => sigmoid(z) * sigmoid(-z),
  },
  tanh: {
    value: Math.tanh,
    slope: (z) => 1 - Math.tanh(z) ** 2,
  },
  gelu: {
    value: (z) => z * normalBelow(z),
    slope: (z) => normalBelow(z) + z * normalAt(z),
  },
  silu: {
    value: (z) => z * sigmoid(z),
    slope: (z) => sigmoid(z) * (1 + z * sigmoid(-z)),
  },
  leaky_relu: {
    value: (z) => (z < 0 ? 0.01 * z : z),
    slope: (z) => (z < 0 ? 0.01 : 1),
  },
  elu: {
    value: (z) => (z < 0 ? Math.expm1(z) : z),
    slope: (z) => (z < 0 ? Math.exp(z) : 1),
  },
};

function sigmoid(z) {
  return 1 / (1 + Math.exp(-z));
}

/** The density of the standard normal distribution at z. */
function normalAt(z) {
  return Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);
}

/** Its share below z. */
function normalBelow(z) {
  return (1 + erf(z * Math.SQRT1_2)) / 2;
}

/** To 1.2e-7: Numerical Recipes, 3rd edition, section 6.2.2. */
function erf(x) {
  const t = 2 / (2 + Math.abs(x));
  const series = [
    -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223,
    0.17087277,
  ].reduceRight((sum, coefficient) => coefficient + t * sum, 0);
  return Math.sign(x) * (1 - t * Math.exp(-x * x + series));
}
