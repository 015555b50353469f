/*
 * The data sets and the features: each in JavaScript, and beside it the same in Python and C, which the page shows.
 *
 * All random numbers of a data set are u = default_rng(seed).random((n, 4)) of NumPy. Coordinates are rounded to four
 * decimals, so that they are the same numbers everywhere, although the last digit of a sine is not.
 */
"use strict";

const MAX_POINTS = 500;

/** The coordinates shown reach from -EDGE to EDGE. */
const EDGE = 1.25;

const round4 = (value) => Math.round(value * 1e4) / 1e4;

/*
 * place(u, i, n) returns [x1, x2, target] before noise is added, from the four random numbers of row i of n. Python
 * has p (n, 2) and y (n,) for these.
 */
const DATA_SETS = {
  xor: {
    title: "XOR",
    place: (u) => {
      const p = [u[0], u[1]].map((v) => Math.sign(2 * v - 1) * (0.1 + 0.9 * Math.abs(2 * v - 1)));
      return [p[0], p[1], p[0] * p[1] < 0 ? 1 : 0];
    },
    python: ["p = 2 * u[:, :2] - 1", "p = np.sign(p) * (0.1 + 0.9 * np.abs(p))", "y = p[:, 0] * p[:, 1] < 0"],
  },
  circles: {
    title: "Circles",
    place: (u, i, n) => {
      const inner = i >= n / 2,
        angle = 2 * Math.PI * u[0];
      const radius = inner ? 0.5 * Math.sqrt(u[1]) : 0.7 + 0.3 * u[1];
      return [radius * Math.cos(angle), radius * Math.sin(angle), inner ? 1 : 0];
    },
    python: [
      "y = i >= n / 2",
      "angle = 2 * np.pi * u[:, 0]",
      "radius = np.where(y, 0.5 * np.sqrt(u[:, 1]), 0.7 + 0.3 * u[:, 1])",
      "p = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])",
    ],
  },
  moons: {
    title: "Moons",
    place: (u, i, n) => {
      const lower = i >= n / 2,
        angle = Math.PI * u[0];
      const x1 = lower ? 1 - Math.cos(angle) : Math.cos(angle);
      const x2 = lower ? 0.5 - Math.sin(angle) : Math.sin(angle);
      return [(x1 - 0.5) / 1.6, (x2 - 0.25) / 1.6, lower ? 1 : 0];
    },
    python: [
      "y = i >= n / 2",
      "angle = np.pi * u[:, 0]",
      "x1 = np.where(y, 1 - np.cos(angle), np.cos(angle))",
      "x2 = np.where(y, 0.5 - np.sin(angle), np.sin(angle))",
      "p = np.column_stack([(x1 - 0.5) / 1.6, (x2 - 0.25) / 1.6])",
    ],
  },
  spirals: {
    title: "Spirals",
    place: (u, i, n) => {
      const second = i >= n / 2,
        angle = 3.5 * Math.PI * u[0] + (second ? Math.PI : 0),
        radius = 0.08 + 0.9 * u[0];
      return [radius * Math.sin(angle), radius * Math.cos(angle), second ? 1 : 0];
    },
    python: [
      "y = i >= n / 2",
      "angle = 3.5 * np.pi * u[:, 0] + np.where(y, np.pi, 0)",
      "radius = 0.08 + 0.9 * u[:, 0]",
      "p = np.column_stack([radius * np.sin(angle), radius * np.cos(angle)])",
    ],
  },
  blobs: {
    title: "Two blobs",
    place: (u, i, n) => {
      const second = i >= n / 2,
        centre = second ? 0.45 : -0.45,
        [g1, g2] = normal(u);
      return [centre + 0.2 * g1, centre + 0.2 * g2, second ? 1 : 0];
    },
    python: ["y = i >= n / 2", "p = np.where(y, 0.45, -0.45)[:, None] + 0.2 * g"],
  },
  table: {
    title: "XOR of 0 and 1",
    rows: 4, // whatever number of points is chosen
    place: (u, i) => [i >> 1, i & 1, (i >> 1) ^ (i & 1)],
    python: ["p = np.column_stack([i // 2, i % 2])", "y = p[:, 0] != p[:, 1]"],
  },
  plane: {
    title: "Plane",
    isRegression: true,
    place: (u) => [2 * u[0] - 1, 2 * u[1] - 1, u[0] + u[1] - 1],
    python: ["p = 2 * u[:, :2] - 1", "y = u[:, 0] + u[:, 1] - 1"],
  },
  hills: {
    title: "Hills",
    isRegression: true,
    place: (u) => {
      const x1 = 2 * u[0] - 1,
        x2 = 2 * u[1] - 1;
      return [x1, x2, Math.sin(Math.PI * x1) * Math.sin(Math.PI * x2)];
    },
    python: ["p = 2 * u[:, :2] - 1", "y = np.sin(np.pi * p[:, 0]) * np.sin(np.pi * p[:, 1])"],
  },
  own: { title: "Your own" },
};

/** Two normally distributed numbers from two uniform ones (Box and Muller 1958). */
function normal(u) {
  const radius = Math.sqrt(-2 * Math.log(1 - u[2])),
    angle = 2 * Math.PI * u[3];
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
}

const PYTHON_NORMAL = [
  "# Normally distributed numbers from uniform ones (Box and Muller 1958).",
  "radius, angle = np.sqrt(-2 * np.log(1 - u[:, 2])), 2 * np.pi * u[:, 3]",
  "g = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])",
];

/** The points of a data set: an array of [x1, x2, target]. `random` is a generator like NumPy's. */
function makePoints(state, random) {
  if (state.data === "own") return state.points;
  const set = DATA_SETS[state.data],
    n = set.rows ?? state.n,
    noise = state.noise / 100;
  return Array.from({ length: n }, (_, i) => {
    const u = [random.random(), random.random(), random.random(), random.random()];
    const [x1, x2, y] = set.place(u, i, n),
      [g1, g2] = normal(u);
    if (set.isRegression) return [round4(x1), round4(x2), round4(y + noise * g1)];
    return [round4(x1 + noise * g1), round4(x2 + noise * g2), y];
  });
}

/** Whether point i is one of the test rows, which are `percent` of all, spread evenly. */
const isTestRow = (i, percent) => Math.floor(((i + 1) * percent) / 100) > Math.floor((i * percent) / 100);

const FEATURES = {
  x1: { label: "x₁", of: (x1) => x1, python: "x1", c: "x1" },
  x2: { label: "x₂", of: (x1, x2) => x2, python: "x2", c: "x2" },
  square1: { label: "x₁²", of: (x1) => x1 * x1, python: "x1**2", c: "x1 * x1" },
  square2: { label: "x₂²", of: (x1, x2) => x2 * x2, python: "x2**2", c: "x2 * x2" },
  product: { label: "x₁x₂", of: (x1, x2) => x1 * x2, python: "x1 * x2", c: "x1 * x2" },
  sine1: {
    label: "sin 2πx₁",
    of: (x1) => Math.sin(2 * Math.PI * x1),
    python: "np.sin(2 * np.pi * x1)",
    c: "sin(6.283185307179586 * x1)",
  },
  sine2: {
    label: "sin 2πx₂",
    of: (x1, x2) => Math.sin(2 * Math.PI * x2),
    python: "np.sin(2 * np.pi * x2)",
    c: "sin(6.283185307179586 * x2)",
  },
};

/** The features of points as rows of the network's input, one after another. */
function featureRows(points, names) {
  const rows = new Float64Array(points.length * names.length);
  points.forEach(([x1, x2], i) =>
    names.forEach((name, k) => {
      rows[i * names.length + k] = FEATURES[name].of(x1, x2);
    }),
  );
  return rows;
}
