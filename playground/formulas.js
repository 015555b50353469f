/*
 * What the page says about activations, losses and optimizers: the formula, its derivative as a number, and the line of
 * C and of NumPy that computes it. The numbers themselves come from the kernels; a test compares the two.
 */
"use strict";

const sigmoid = (z) => 1 / (1 + Math.exp(-z));
const softplus = (z) => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
const SELU = [1.0507009873554805, 1.6732632423543772];
const GELU_TANH = [2 * Math.sqrt(2 / Math.PI), 2 * Math.sqrt(2 / Math.PI) * 0.044715];

const IN_ACTIVATIONS = "csrc/elementwise/activations.inc.c";
const IN_VECTORS = "csrc/elementwise/activation_vectors.inc.c";
const IN_MATH = "csrc/elementwise/math.inc.c";
const IN_LOSSES = "csrc/elementwise/losses.inc.c";
const IN_UPDATES = "csrc/elementwise/updates.inc.c";

/* f and slope are texts; derivative(z, a) is f'(z). Each of the lines of C is [file, text]. */
const ACTIVATION_EQUATIONS = {
  tanh: {
    f: "tanh(z)",
    slope: "1 − a²",
    derivative: (z, a) => 1 - a * a,
    c: [
      [IN_MATH, "FN(vec) FN(tanh_vector)(FN(vec) z)"],
      [IN_ACTIVATIONS, "grad_z[i] = grad_a[i] * FN(fma)(-a[i], a[i], 1);"],
    ],
  },
  sigmoid: {
    f: "1 / (1 + exp(−z))",
    slope: "a (1 − a)",
    derivative: (z, a) => a * (1 - a),
    c: [
      [IN_MATH, "FN(vec) FN(sigmoid_vector)(FN(vec) z)"],
      [IN_ACTIVATIONS, "grad_z[i] = grad_a[i] * (a[i] * (1 - a[i]));"],
    ],
  },
  relu: {
    f: "max(z, 0)",
    slope: "1 where a > 0, else 0",
    derivative: (z, a) => (a > 0 ? 1 : 0),
    c: [
      [IN_ACTIVATIONS, "a[i] = z[i] < 0 ? 0 : z[i];"],
      [IN_ACTIVATIONS, "FN(store)(grad_z, FN(choose)(value > zero, FN(load)(grad_a), FN(vec_max)(zero, value)));"],
    ],
  },
  identity: {
    f: "z",
    slope: "1",
    derivative: () => 1,
    c: [
      [IN_ACTIVATIONS, "memcpy(a, z, n * sizeof *a);"],
      [IN_ACTIVATIONS, "FN(identity)(n, grad_a, grad_z);"],
    ],
  },
  leaky_relu: {
    f: "z where z ≥ 0, else 0.01 z",
    slope: "1 where a > 0, else 0.01",
    derivative: (z, a) => (a > 0 ? 1 : 0.01),
    c: [
      [IN_VECTORS, "return FN(choose)(z < (FN(vec)){0}, z * PN_LEAKY_SLOPE, z);"],
      [IN_VECTORS, "return FN(choose)(a > zero, FN(broadcast)(1), not_above_0);"],
    ],
  },
  elu: {
    f: "z where z ≥ 0, else exp(z) − 1",
    slope: "1 where a > 0, else a + 1",
    derivative: (z, a) => (a > 0 ? 1 : a + 1),
    c: [
      [IN_VECTORS, "return FN(choose)(z < (FN(vec)){0}, -FN(one_minus_exp)(FN(min_abs)(z, PN_MOST_Z)), z);"],
      [IN_VECTORS, "return FN(choose)(a > (FN(vec)){0}, FN(broadcast)(1), a + 1);"],
    ],
  },
  selu: {
    f: "1.0507 z where z ≥ 0, else 1.7581 (exp(z) − 1)",
    slope: "1.0507 where a > 0, else a + 1.7581",
    derivative: (z, a) => (a > 0 ? SELU[0] : a + SELU[0] * SELU[1]),
    c: [
      [IN_VECTORS, "return FN(choose)(z < (FN(vec)){0}, below_0, z * PN_SELU_ABOVE_0);"],
      [IN_VECTORS, "return FN(choose)(a > (FN(vec)){0}, FN(broadcast)(PN_SELU_ABOVE_0), a + PN_SELU_BELOW_0);"],
    ],
  },
  gelu: {
    f: "z Φ(z), Φ: the normal distribution",
    slope: "Φ(z) + z φ(z)",
    derivative: (z, a) => (z === 0 ? 0.5 : a / z) + (z * Math.exp((-z * z) / 2)) / Math.sqrt(2 * Math.PI),
    c: [
      [IN_VECTORS, "FN(vec) FN(gelu_vector)(FN(vec) z)"],
      [IN_VECTORS, "FN(vec) FN(gelu_slope)(FN(vec) z)"],
    ],
  },
  gelu_tanh: {
    f: "z s, s = sigmoid(1.5958 z + 0.071355 z³)",
    slope: "s + z s (1 − s) (1.5958 + 0.21406 z²)",
    derivative: (z) => {
      const [A, B] = GELU_TANH,
        s = sigmoid(z * (A + B * z * z));
      return s + z * s * (1 - s) * (A + 3 * B * z * z);
    },
    c: [
      [IN_VECTORS, "FN(vec) FN(gelu_tanh_vector)(FN(vec) z)"],
      [IN_VECTORS, "FN(vec) FN(gelu_tanh_slope)(FN(vec) z)"],
    ],
  },
  silu: {
    f: "z s, s = sigmoid(z)",
    slope: "s + z s (1 − s)",
    derivative: (z) => sigmoid(z) * (1 + z * (1 - sigmoid(z))),
    c: [
      [IN_VECTORS, "return FN(choose)(z > FN(broadcast)(PN_MOST_Z), z, FN(over_1_plus)(x, power, p));"],
      [IN_VECTORS, "return s * FN(vec_fma)(x, 1 - s, FN(broadcast)(1));"],
    ],
  },
  mish: {
    f: "z t, t = tanh(ln(1 + exp(z)))",
    slope: "t + z sigmoid(z) (1 − t²)",
    derivative: (z) => {
      const t = Math.tanh(softplus(z));
      return t + z * sigmoid(z) * (1 - t * t);
    },
    c: [
      [IN_VECTORS, "FN(vec) FN(mish_vector)(FN(vec) z)"],
      [IN_VECTORS, "return FN(vec_fma)(n * PN_UNSCALED, d, c) / (d * d);"],
    ],
  },
  softplus: {
    f: "ln(1 + exp(z))",
    slope: "1 − exp(−a)",
    derivative: (z, a) => -Math.expm1(-a),
    c: [
      [IN_VECTORS, "return FN(vec_max)(z, (FN(vec)){0}) + FN(log1p_vector)(e);"],
      [IN_VECTORS, "FN(softplus_slope)(FN(vec) a) { return FN(one_minus_exp)(a); }"],
    ],
  },
};

/* m is the number of rows; slope(d, m) is the derivative of the loss with respect to one output, d = a − y. */
const LOSS_EQUATIONS = {
  log_loss: {
    title: "log loss",
    needs: "sigmoid",
    f: "the mean of −[y ln a + (1 − y) ln(1 − a)]",
    slope: "(a − y) / m",
    derivative: (d, m) => d / m, // with respect to z: the derivative of the sigmoid cancels
    c: [IN_LOSSES, "FN(vec) e, error = FN(sigmoid_and_exp)(z, &e) - y;"],
  },
  mean_squared_error: {
    title: "mean squared error",
    f: "the mean of (a − y)²",
    slope: "2 (a − y) / m",
    derivative: (d, m) => (2 * d) / m,
    c: [IN_LOSSES, "grad_a[i] = 2 * scale[i] * error;"],
  },
  mean_absolute_error: {
    title: "mean absolute error",
    f: "the mean of |a − y|",
    slope: "sign(a − y) / m",
    derivative: (d, m) => Math.sign(d) / m,
    c: [IN_LOSSES, "grad_a[i] = scale[i] * (error > 0 ? 1 : error < 0 ? -1 : error);"],
  },
  huber: {
    title: "Huber",
    f: "the mean of (a − y)² / 2, but a line where |a − y| > 1",
    slope: "(a − y), within ±1, / m",
    derivative: (d, m) => Math.max(-1, Math.min(1, d)) / m,
    c: [IN_LOSSES, "grad_a[i] = scale[i] * clipped;"],
  },
  log_cosh: {
    title: "log cosh",
    f: "the mean of ln cosh(a − y)",
    slope: "tanh(a − y) / m",
    derivative: (d, m) => Math.tanh(d) / m,
    c: [IN_LOSSES, "*grad_a = FN(tanh_vector)(error);"],
  },
  sum_of_squares: {
    title: "sum of squares",
    f: "the sum of (a − y)²",
    slope: "2 (a − y)",
    derivative: (d) => 2 * d,
    c: [IN_LOSSES, "grad_a[i] = 2 * scale[i] * error;"],
  },
};

/*
 * kernel is the optimizer of the library, python and c its options in these languages. step(w, g, slots, rate, t)
 * returns the new w, and lines of [text, number] that lead to it; slots are what the optimizer keeps for w, and t = 1,
 * 2, ... is the number of the step.
 */
const BETA1 = 0.9,
  BETA2 = 0.999,
  MOMENTUM = 0.9;

function adamStep(w, g, [m, v], rate, t, kept) {
  const newM = m + (1 - BETA1) * (g - m),
    newV = BETA2 * v + (1 - BETA2) * g * g;
  const mHat = newM / (1 - BETA1 ** t),
    root = Math.sqrt(newV / (1 - BETA2 ** t)) + 1e-8;
  return {
    w: kept * w - (rate * mHat) / root,
    lines: [
      ["m ← 0.9 m + 0.1 g", newM],
      ["v ← 0.999 v + 0.001 g²", newV],
      [`m / (1 − 0.9ᵗ), t = ${t}`, mHat],
      ["√(v / (1 − 0.999ᵗ)) + 10⁻⁸", root],
    ],
  };
}

const OPTIMIZER_EQUATIONS = {
  sgd: {
    title: "SGD",
    kernel: { name: "SGD" },
    python: "pn.SGD(RATE)",
    c: ".kind = PN_SGD",
    rule: "w ← w − rate · g",
    step: (w, g, slots, rate) => ({ w: w - rate * g, lines: [] }),
    line: [IN_UPDATES, "return FN(descend)(p, c->rate, g);"],
  },
  momentum: {
    title: "SGD, momentum",
    kernel: { name: "SGD", momentum: MOMENTUM },
    python: "pn.SGD(RATE, momentum=0.9)",
    c: ".kind = PN_SGD, .momentum = 0.9",
    rule: "w ← w − rate · b",
    step: (w, g, [b], rate) => {
      const newB = MOMENTUM * b + g;
      return { w: w - rate * newB, lines: [["b ← 0.9 b + g", newB]] };
    },
    line: [IN_UPDATES, "slots[0] = FN(vec_fma)(momentum, slots[0], g);"],
  },
  nesterov: {
    title: "SGD, Nesterov",
    kernel: { name: "SGD", momentum: MOMENTUM, nesterov: true },
    python: "pn.SGD(RATE, momentum=0.9, nesterov=True)",
    c: ".kind = PN_SGD, .momentum = 0.9, .nesterov = 1",
    rule: "w ← w − rate · (g + 0.9 b)",
    step: (w, g, [b], rate) => {
      const newB = MOMENTUM * b + g,
        change = g + MOMENTUM * newB;
      return {
        w: w - rate * change,
        lines: [
          ["b ← 0.9 b + g", newB],
          ["g + 0.9 b", change],
        ],
      };
    },
    line: [
      IN_UPDATES,
      "return FN(descend)(p, c->rate, c->optimizer->nesterov ? FN(vec_fma)(momentum, slots[0], g) : slots[0]);",
    ],
  },
  rmsprop: {
    title: "RMSprop",
    kernel: { name: "RMSprop" },
    python: "pn.RMSprop(RATE)",
    c: ".kind = PN_RMSPROP, .alpha = 0.99, .eps = 1e-8",
    rule: "w ← w − rate · g / (√v + 10⁻⁸)",
    step: (w, g, [v], rate) => {
      const newV = 0.99 * v + 0.01 * g * g,
        change = g / (Math.sqrt(newV) + 1e-8);
      return {
        w: w - rate * change,
        lines: [
          ["v ← 0.99 v + 0.01 g²", newV],
          ["g / (√v + 10⁻⁸)", change],
        ],
      };
    },
    line: [IN_UPDATES, "FN(vec) change = g / (FN(vec_sqrt)(variance) + c->eps);"],
  },
  adagrad: {
    title: "Adagrad",
    kernel: { name: "Adagrad" },
    python: "pn.Adagrad(RATE)",
    c: ".kind = PN_ADAGRAD, .eps = 1e-10",
    rule: "w ← w − rate · g / (√v + 10⁻¹⁰)",
    step: (w, g, [v], rate) => {
      const newV = v + g * g,
        change = g / (Math.sqrt(newV) + 1e-10);
      return {
        w: w - rate * change,
        lines: [
          ["v ← v + g²", newV],
          ["g / (√v + 10⁻¹⁰)", change],
        ],
      };
    },
    line: [IN_UPDATES, "return FN(descend)(p, c->rate, g / (FN(vec_sqrt)(slots[0]) + c->eps));"],
  },
  adam: {
    title: "Adam",
    kernel: { name: "Adam" },
    python: "pn.Adam(RATE)",
    c: ".kind = PN_ADAM, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8",
    rule: "w ← w − rate · [m / (1 − 0.9ᵗ)] / [√(v / (1 − 0.999ᵗ)) + 10⁻⁸]",
    step: (w, g, slots, rate, t) => adamStep(w, g, slots, rate, t, 1),
    line: [IN_UPDATES, "return FN(descend)(p * c->kept, c->rate, slots[0] / root);"],
  },
  adamw: {
    title: "AdamW",
    kernel: { name: "AdamW" },
    python: "pn.AdamW(RATE)",
    c: ".kind = PN_ADAMW, .weight_decay = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8",
    rule: "w ← (1 − 0.01 rate) w − rate · [m / (1 − 0.9ᵗ)] / [√(v / (1 − 0.999ᵗ)) + 10⁻⁸]",
    step: (w, g, slots, rate, t) => adamStep(w, g, slots, rate, t, 1 - rate * 0.01),
    line: [IN_UPDATES, "return FN(descend)(p * c->kept, c->rate, slots[0] / root);"],
  },
  rprop: {
    title: "Rprop",
    kernel: { name: "Rprop" },
    python: "pn.Rprop(RATE)",
    c: ".kind = PN_RPROP, .eta_minus = 0.5, .eta_plus = 1.2, .step_min = 1e-6, .step_max = 50",
    rule: "w ← w − s · sign(g), but 0 where g has changed its sign; s begins as the rate",
    step: (w, g, [h, s]) => {
      const size = Math.min(50, Math.max(1e-6, s * (g * h > 0 ? 1.2 : g * h < 0 ? 0.5 : 1)));
      const used = g * h < 0 ? 0 : g;
      return {
        w: w - size * Math.sign(used),
        lines: [
          ["g of the step before", h],
          ["s ← 1.2 s, 0.5 s or s", size],
        ],
      };
    },
    line: [IN_UPDATES, "return FN(descend)(p, 1, slots[1] * sign);"],
  },
};

const START_NAMES = {
  glorot_uniform: "Glorot",
  he_uniform: "He",
  lecun_uniform: "LeCun",
  uniform: "0 to 1",
};

const REGULARIZATIONS = { none: "none", l1: "L1", l2: "L2" };

/* The lines of C that are the same for every network. */
const LINES = {
  forward: ["csrc/gemm/microkernel.inc.c", "acc[i][v] = FN(vec_fma)(factor, row[v], acc[i][v]);"],
  weight: ["csrc/dense/backward.inc.c", ".a = FN(row_major)(m, k, x), .b = FN(row_major)(m, n, grad_z),"],
  bias: ["csrc/dense/bias.inc.c", "sum[v] += FN(load)(grad_z + i * n + v * PN_LANES);"],
  backward: ["csrc/dense/backward.inc.c", ".a = FN(row_major)(m, n, grad_z), .b = FN(weight_matrix)(layer),"],
  penalty: [IN_UPDATES, "gradient[i] = FN(fma)(l2, weight[i], gradient[i]) + slope;"],
};
