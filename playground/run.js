/* The network in training: its data, its steps in the order that Python makes them, and the losses so far. */
"use strict";

const MAX_CURVE = 600; // points of the loss curves; beyond, every second one is left out from then on

class Run {
  /** Everything follows from the state; `steps` of it are not made yet. */
  constructor(plainnet, state) {
    this.state = state;
    this.points = makePoints(state, plainnet.random(state.dataSeed));
    const isTest = this.points.map((_, i) => isTestRow(i, state.test));
    this.train = this.rowsOf(this.points.filter((_, i) => !isTest[i]));
    this.test = this.rowsOf(this.points.filter((_, i) => isTest[i]));
    this.batchSize = state.batch === 0 ? this.train.n : Math.min(state.batch, this.train.n);
    this.stepsPerEpoch = this.train.n > 0 ? Math.ceil(this.train.n / this.batchSize) : 0;
    this.network = new plainnet.Network(describe(state));
    this.startParameters = Float64Array.from(this.network.parameters);
    this.rate = rateAt(state, 0);
    this.steps = 0;
    this.order = null;
    this.curve = [];
    this.curveInterval = 1; // epochs
    this.record();
  }

  rowsOf(points) {
    return { n: points.length, points, x: featureRows(points, this.state.features), y: Float64Array.from(points, (p) => p[2]) };
  }

  get epoch() {
    return this.train.n > 0 ? Math.floor(this.steps / this.stepsPerEpoch) : 0;
  }

  /** The rows of the step that comes next: numbers of training rows, and their x and y. */
  batch() {
    if (this.batchSize === this.train.n)
      return { rows: Array.from(this.train.y.keys()), x: this.train.x, y: this.train.y };
    if (this.order?.epoch !== this.epoch)
      this.order = { epoch: this.epoch, rows: this.network.order(this.epoch, this.train.n) };
    const begin = (this.steps % this.stepsPerEpoch) * this.batchSize;
    const rows = Array.from(this.order.rows.slice(begin, begin + this.batchSize), Number);
    const nIn = this.state.features.length, x = new Float64Array(rows.length * nIn);
    rows.forEach((row, i) => x.set(this.train.x.subarray(row * nIn, (row + 1) * nIn), i * nIn));
    return { rows, x, y: Float64Array.from(rows, (row) => this.train.y[row]) };
  }

  step() {
    const rate = rateAt(this.state, this.steps);
    if (rate !== this.rate) {
      this.network.setLearningRate(rate);
      this.rate = rate;
    }
    const { x, y } = this.batch();
    this.network.trainBatch(x, y);
    this.steps++;
    this.known = null;
    if (this.steps % this.stepsPerEpoch === 0 && this.epoch % this.curveInterval === 0)
      this.record();
  }

  /** The losses after the last step. */
  get now() {
    this.known ??= { epoch: this.steps / (this.stepsPerEpoch || 1), train: this.lossOf(this.train), test: this.lossOf(this.test) };
    return this.known;
  }

  lossOf({ n, x, y }) {
    return n > 0 ? this.network.evaluate(x, y) : NaN;
  }

  /** The share of rows whose output is on the side of 1/2 that their class is on. */
  shareRight({ n, x, y }) {
    return this.network.predict(x).reduce((right, a, i) => right + Number(a > 0.5 === y[i] > 0.5), 0) / n;
  }

  record() {
    const { epoch, train, test } = this.now;
    this.curve.push([epoch, train, test]);
    if (this.curve.length > MAX_CURVE) {
      this.curveInterval *= 2;
      this.curve = this.curve.filter(([epoch]) => epoch % this.curveInterval === 0);
    }
  }

  /** The numbers of the step that comes next: of its rows forward and backward, and what the optimizer keeps. */
  numbers() {
    if (this.numbersAt !== this.steps) {
      const batch = this.batch(), n = this.network.parameters.length, kept = this.network.optimizerState;
      const rate = rateAt(this.state, this.steps), start = OPTIMIZERS[this.state.optimizer].start?.(rate);
      this.numbersAt = this.steps;
      this.cachedNumbers = {
        ...batch, rate, t: this.steps + 1,
        forward: this.network.activations(batch.x), backward: this.network.backward(batch.x, batch.y),
        slots: (index) => Array.from({ length: kept.length / n }, (_, k) => (this.steps === 0 ? start?.[k] ?? 0 : kept[k * n + index])),
      };
    }
    return this.cachedNumbers;
  }

  free() {
    this.network.free();
  }
}

/** The network of a state, as the kernels take it. */
function describe(state) {
  const sizes = layerSizes(state);
  const penalty = state.regularization === "none" ? {} : { [state.regularization]: state.strength };
  return {
    layers: sizes.slice(1).map((nOut, k) => ({
      nIn: sizes[k], nOut, activation: k === state.hidden.length ? state.output : state.activation, bias: true, ...penalty,
    })),
    loss: state.loss,
    optimizer: { ...OPTIMIZERS[state.optimizer].kernel, learningRate: rateAt(state, 0) },
    init: state.start.length > 0 ? Float64Array.from(state.start) : state.init,
    seed: state.seed,
  };
}
