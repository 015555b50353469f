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
    this.curve = [];
    this.curveInterval = 1; // epochs
    this.record();
  }

  rowsOf(points) {
    return {
      n: points.length,
      points,
      x: featureRows(points, this.state.features),
      y: Float64Array.from(points, (p) => p[2]),
    };
  }

  /** Steps made so far; those of the optimizer are the same. */
  get steps() {
    return this.network.nSteps;
  }

  get epoch() {
    return Math.floor(this.steps / (this.stepsPerEpoch || 1));
  }

  /** Makes steps, at most `most` and not beyond the end of the epoch. */
  advance(most) {
    const { steps, state } = this,
      rate = rateAt(state, steps);
    const nextRate = state.rates.find(([from]) => from > steps)?.[0] ?? Infinity;
    const count = Math.min(most, this.stepsPerEpoch - (steps % this.stepsPerEpoch), nextRate - steps);
    if (rate !== this.network.learningRate) this.network.setLearningRate(rate);
    this.known = null;
    this.network.advance(this.train.x, this.train.y, { steps: count, batchSize: this.batchSize });
    if (this.steps % this.stepsPerEpoch === 0 && this.epoch % this.curveInterval === 0) this.record();
  }

  /** The rows of the step that comes next: numbers of training rows, and their x and y. */
  batch() {
    const rows = Array.from(this.network.nextRows(this.train.n, { batchSize: this.batchSize }));
    const points = rows.map((row) => this.train.points[row]);
    return { rows, x: featureRows(points, this.state.features), y: Float64Array.from(points, (point) => point[2]) };
  }

  /** The losses after the last step. */
  get now() {
    this.known ??= {
      epoch: this.steps / (this.stepsPerEpoch || 1),
      train: this.lossOf(this.train),
      test: this.lossOf(this.test),
    };
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
      const batch = this.batch(),
        { layers } = this.network.backward(batch.x, batch.y);
      this.numbersAt = this.steps;
      this.ofNextStep = { ...batch, layers, rate: rateAt(this.state, this.steps), t: this.steps + 1 };
    }
    return this.ofNextStep;
  }

  /** What the optimizer keeps for the parameter of this number. */
  slots(index) {
    const kept = this.network.optimizerState,
      n = this.network.nParameters;
    return Array.from({ length: kept.length / n }, (_, k) => kept[k * n + index]);
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
      nIn: sizes[k],
      nOut,
      activation: activationOf(state, k),
      bias: true,
      ...penalty,
    })),
    loss: state.loss,
    optimizer: { ...OPTIMIZER_EQUATIONS[state.optimizer].kernel, learningRate: rateAt(state, 0) },
    init: state.start.length > 0 ? Float64Array.from(state.start) : state.init,
    seed: state.seed,
  };
}
