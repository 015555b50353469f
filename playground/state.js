/*
 * The state of the page, and its text in the address: #data=moons&hidden=4,2&... What has its default is left out.
 *
 * It is all that is needed to compute everything else anew: the settings, the seeds, and how many steps were made.
 */
"use strict";

const MAX_LAYERS = 6;
const MAX_NEURONS = 8;

/** How fast the page trains: what is done for each frame, or in how many milliseconds a step. */
const SPEEDS = {
  slow: "step a second",
  step: "step a frame",
  epoch: "epoch a frame",
  fast: "full speed",
};

/** Parts of the page that the address can hide: classes of the elements. */
const PARTS = { header: 0, settings: 0, network: 0, result: 0, equation: 0, code: 0 };

// ---- Kinds of values: each reads a text, or throws an Error that says what is allowed, and writes it ----

const oneOf = (table, allowed = Object.keys(table)) => ({
  read: (text) => {
    if (!allowed.includes(text)) throw new Error(`it is one of ${allowed.join(", ")}`);
    return text;
  },
  write: String,
});

const number = (least, most, isInteger = true) => ({
  read: (text) => {
    const value = Number(text);
    if (String(text).trim() === "" || !(value >= least && value <= most) || (isInteger && !Number.isInteger(value)))
      throw new Error(`it is ${isInteger ? "a whole" : "a"} number from ${least} to ${most}`);
    return value;
  },
  write: String,
});

const flag = {
  read: (text) => {
    if (text !== "0" && text !== "1") throw new Error("it is 0 or 1");
    return text === "1";
  },
  write: (value) => (value ? "1" : "0"),
};

/** Values of one kind, between separators; as many as `least` to `most`. */
const list = (kind, least, most, separator = ",") => ({
  read: (text) => {
    const values = text === "" ? [] : text.split(separator).map((part) => kind.read(part));
    if (values.length < least || values.length > most)
      throw new Error(`it has from ${least} to ${most} entries, not ${values.length}`);
    return values;
  },
  write: (values) => values.map((value) => kind.write(value)).join(separator),
});

/** Several values of different kinds, with a separator between them. */
const tuple = (kinds, separator) => ({
  read: (text) => {
    const parts = text.split(separator);
    if (parts.length !== kinds.length)
      throw new Error(`each entry has ${kinds.length} numbers with "${separator}" between them`);
    return kinds.map((kind, i) => kind.read(parts[i]));
  },
  write: (values) => kinds.map((kind, i) => kind.write(values[i])).join(separator),
});

const RATE = number(1e-6, 100, false);
const PARAMETER = number(-1e300, 1e300, false);

/** Name in the address: its default, and its kind. */
const FIELDS = {
  data: ["xor", oneOf(DATA_SETS)],
  n: [200, number(10, MAX_POINTS)],
  noise: [5, number(0, 50)],
  test: [30, number(0, 90)],
  dataSeed: [1, number(0, 4294967295)],
  points: [[], list(tuple([number(-EDGE, EDGE, false), number(-EDGE, EDGE, false), number(0, 1)], "_"), 0, MAX_POINTS)],
  features: [["x1", "x2"], list(oneOf(FEATURES), 1, Object.keys(FEATURES).length)],
  hidden: [[4, 3], list(number(1, MAX_NEURONS), 0, MAX_LAYERS)],
  activation: ["tanh", oneOf(ACTIVATION_EQUATIONS)],
  output: ["sigmoid", oneOf(ACTIVATION_EQUATIONS, ["sigmoid", "tanh", "identity"])],
  loss: ["log_loss", oneOf(LOSS_EQUATIONS)],
  optimizer: ["sgd", oneOf(OPTIMIZER_EQUATIONS)],
  rates: [[[0, 0.3]], list(tuple([number(0, 1e9), RATE], "_"), 1, 1000)], // [step from which on, rate]
  batch: [10, number(0, MAX_POINTS)], // 0: all rows
  regularization: ["none", oneOf(REGULARIZATIONS)],
  strength: [0.001, number(0, 100, false)],
  init: ["glorot_uniform", oneOf(START_NAMES)],
  seed: [0, number(0, 4294967295)],
  start: [[], list(PARAMETER, 0, 1000)], // all parameters, instead of those that init and seed give
  steps: [0, number(0, 1e9)],
  speed: ["epoch", oneOf(SPEEDS)],
  showTest: [true, flag],
  discrete: [false, flag],
  selected: ["n0.0", { read: readSelection, write: String }],
  row: [0, number(0, MAX_POINTS - 1)], // of the next step's batch, whose numbers are shown
  code: ["python", oneOf({ python: 0, c: 0 })],
  hide: [[], list(oneOf(PARTS), 0, 6)], // for a frame in another page
};

/** "": nothing; "n1.0": neuron 0 of layer 1; "w1.2.0": the weight from input 2 to neuron 0 of layer 1. */
function readSelection(text) {
  if (!/^(|n\d+\.\d+|w\d+\.\d+\.\d+)$/.test(text))
    throw new Error('it is "n" with layer and neuron, or "w" with layer, input and neuron, such as n0.1 or w0.2.1');
  return text;
}

const defaultState = () =>
  structuredClone(Object.fromEntries(Object.entries(FIELDS).map(([name, [value]]) => [name, value])));

function stateToText(state) {
  const parts = [];
  for (const [name, [initial, kind]] of Object.entries(FIELDS)) {
    const text = kind.write(state[name]);
    if (text !== kind.write(initial)) parts.push(`${name}=${encodeURIComponent(text).replace(/%2C/g, ",")}`);
  }
  return parts.join("&");
}

/** The state that a text stands for, and sentences about what in it is not allowed: there the default stays. */
function stateFromText(text) {
  const state = defaultState(),
    problems = [];
  for (const part of text.split("&").filter((part) => part !== "")) {
    const [name, ...rest] = part.split("=");
    try {
      if (!Object.hasOwn(FIELDS, name)) throw new Error("there is nothing of this name");
      state[name] = FIELDS[name][1].read(decodeURIComponent(rest.join("=")));
    } catch (error) {
      problems.push(`${part.slice(0, 60)}: ${error.message}`);
    }
  }
  problems.push(...settle(state));
  return [state, problems];
}

/** Makes settings fit together that exclude each other; sentences about what was changed. */
function settle(state) {
  const notes = [];
  if (DATA_SETS[state.data].isRegression && state.loss === "log_loss") {
    state.loss = "mean_squared_error";
    state.output = "identity";
    notes.push("Log loss is for classes: the loss is now the mean squared error, and the output is not squashed.");
  }
  if (LOSS_EQUATIONS[state.loss].needs && state.output !== LOSS_EQUATIONS[state.loss].needs) {
    state.output = LOSS_EQUATIONS[state.loss].needs;
    notes.push(`${LOSS_EQUATIONS[state.loss].title} needs a ${state.output} at the output: that is chosen now.`);
  }
  if (state.optimizer === "rprop" && state.batch !== 0) {
    state.batch = 0;
    notes.push("Rprop is for all rows in one batch: that is chosen now.");
  }
  if (state.rates.some(([step], i) => (i === 0 ? step !== 0 : step <= state.rates[i - 1][0]))) {
    state.rates = [[0, state.rates[0][1]]];
    notes.push("rates: the steps begin at 0 and rise; the first rate is used.");
  }
  if (state.start.length > 0 && state.start.length !== countParameters(layerSizes(state))) {
    state.start = [];
    notes.push("start: it is not as long as the network has parameters; the seed is used.");
  }
  state.features = Object.keys(FEATURES).filter((name) => state.features.includes(name));
  return notes;
}

const layerSizes = (state) => [state.features.length, ...state.hidden, 1];

const countParameters = (sizes) => sizes.slice(1).reduce((sum, nOut, k) => sum + (sizes[k] + 1) * nOut, 0);

/** The activation of layer k, from 0 on, the last of which is the output. */
const activationOf = (state, k) => (k === state.hidden.length ? state.output : state.activation);

const rateAt = (state, step) => state.rates.findLast(([from]) => from <= step)[1];
