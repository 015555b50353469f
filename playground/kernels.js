"use strict";
/*
 * plainnet in JavaScript: the C kernels of csrc/, compiled to WebAssembly, with Network as Python has it.
 *
 *     const plainnet = await loadPlainnet(PLAINNET_WASM);
 *     const net = new plainnet.Network({
 *       layers: [{ nIn: 2, nOut: 3, activation: "tanh" }, { nIn: 3, nOut: 1, activation: "sigmoid" }],
 *       loss: "log_loss", optimizer: { name: "Adam", learningRate: 0.1 }, init: "glorot", seed: 0,
 *     });
 *     net.fit(Float64Array.of(0, 0, 0, 1, 1, 0, 1, 1), Float64Array.of(0, 1, 1, 0), { epochs: 100 });
 *     net.free();
 *
 * Names of activations, losses, optimizers and initial weights are Python's; options are Python's in camel case. Matrices
 * are Float64Arrays, row by row. A network's bits are those of Python with PLAINNET_ISA=baseline on x86-64.
 */

// ---- What plainnet.h declares; layout.c checks it when this is compiled --------------------------------------------

const ACTIVATIONS = [
  "identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "gelu_tanh", "silu", "mish", "softplus",
  "softmax",
];
/** Of the losses, with the default of the parameter of those that have one. */
const LOSSES = {
  log_loss: 0, sum_of_squares: 0, mean_squared_error: 0, mean_absolute_error: 0, huber: 1, log_cosh: 0, quantile: 0.5,
  poisson: 0, cross_entropy: 0,
};
const CROSS_ENTROPY_LABELS = 9;
/** By name, in the order of pn_optimizer_kind: the options and their defaults, which are those of torch.optim. */
const OPTIMIZERS = {
  SGD: { learningRate: 0.1, momentum: 0, nesterov: false },
  RMSprop: { learningRate: 0.01, alpha: 0.99, eps: 1e-8, centered: false, momentum: 0 },
  Adagrad: { learningRate: 0.01, learningRateDecay: 0, initialAccumulatorValue: 0, eps: 1e-10 },
  Adam: { learningRate: 0.001, betas: [0.9, 0.999], eps: 1e-8, amsgrad: false, epsHat: false },
  AdamW: { learningRate: 0.001, betas: [0.9, 0.999], eps: 1e-8, amsgrad: false, epsHat: false, weightDecay: 0.01 },
  Rprop: { learningRate: 0.01, etas: [0.5, 1.2], stepSizes: [1e-6, 50] },
};
const OPTIONS_OF_ALL_OPTIMIZERS = { weightDecay: 0, clipNorm: null, clipValue: null };

/** Structures: for each field its type, by the name of DataView's method, and its place. Pointers and size_t are Uint32. */
const STRUCTURES = {
  layer_options: {
    size: 48, l1: ["Float64", 0], l2: ["Float64", 8], maxNorm: ["Float64", 16], weightRate: ["Float64", 24],
    biasRate: ["Float64", 32], dropout: ["Float64", 40],
  },
  layer: {
    size: 20, nIn: ["Uint32", 0], nOut: ["Uint32", 4], activation: ["Int32", 8], hasBias: ["Int32", 12],
    options: ["Uint32", 16],
  },
  network: {
    size: 40, nLayers: ["Uint32", 0], layers: ["Uint32", 4], loss: ["Int32", 8], lossParameter: ["Float64", 16],
    lossLimit: ["Float64", 24], dividePenalty: ["Int32", 32],
  },
  optimizer: {
    size: 136, kind: ["Int32", 0], weightDecay: ["Float64", 8], momentum: ["Float64", 16], nesterov: ["Int32", 24],
    centered: ["Int32", 28], amsgrad: ["Int32", 32], epsHat: ["Int32", 36], alpha: ["Float64", 40],
    beta1: ["Float64", 48], beta2: ["Float64", 56], eps: ["Float64", 64], learningRateDecay: ["Float64", 72],
    initialAccumulatorValue: ["Float64", 80], etaMinus: ["Float64", 88], etaPlus: ["Float64", 96],
    stepMin: ["Float64", 104], stepMax: ["Float64", 112], clipValue: ["Float64", 120], clipNorm: ["Float64", 128],
  },
  training: {
    size: 200, epochs: ["Uint32", 0], batchSize: ["Uint32", 4], learningRate: ["Float64", 8], shuffle: ["Int32", 16],
    seed: ["BigUint64", 24], firstEpoch: ["BigUint64", 32], firstStep: ["BigUint64", 184],
  },
  progress: { size: 24, epoch: ["Uint32", 0], row: ["Uint32", 4], lossSum: ["Float64", 8], steps: ["Uint32", 16] },
};
const OPTIMIZER_IN_TRAINING = 40;

/** What the library refuses, with its sentence; `status` is its number in pn_status. */
class PlainnetError extends Error {
  constructor(message, status = null) {
    super(message);
    this.name = "PlainnetError";
    this.status = status;
  }
}

// ---- Memory --------------------------------------------------------------------------------------------------------

/** The memory behind the compiled code's own, given out in blocks: the first that is large enough, 64 bytes at least. */
class Heap {
  constructor(memory, start) {
    this.memory = memory;
    this.free = []; // [{ at, size }], in the order of `at`, never side by side
    this.used = new Map(); // at -> size
    this.end = Math.ceil(start / 64) * 64;
    this.extend(memory.buffer.byteLength);
  }

  extend(end) {
    this.insert({ at: this.end, size: end - this.end });
    this.end = end;
  }

  insert(block) {
    let k = this.free.findIndex(({ at }) => at > block.at);
    if (k < 0) k = this.free.length;
    this.free.splice(k, 0, block);
    for (const i of [k, k - 1]) {
      const [first, second] = [this.free[i], this.free[i + 1]];
      if (first && second && first.at + first.size === second.at) {
        this.free.splice(i, 2, { at: first.at, size: first.size + second.size });
      }
    }
  }

  allocate(bytes) {
    const size = Math.max(Math.ceil(bytes / 64), 1) * 64;
    let k = this.free.findIndex((block) => block.size >= size);
    if (k < 0) {
      try {
        this.memory.grow(Math.ceil(Math.max(size, this.end / 4) / 65536));
      } catch (error) {
        throw new PlainnetError(`out of memory: ${bytes} bytes more are not to be had`);
      }
      this.extend(this.memory.buffer.byteLength);
      k = this.free.findIndex((block) => block.size >= size);
    }
    const block = this.free[k];
    if (block.size === size) this.free.splice(k, 1);
    else this.free[k] = { at: block.at + size, size: block.size - size };
    this.used.set(block.at, size);
    return block.at;
  }

  release(at) {
    this.insert({ at, size: this.used.get(at) });
    this.used.delete(at);
  }

  doubles(at, n) {
    return new Float64Array(this.memory.buffer, at, n);
  }

  /** Sets fields of the structure at `at`. */
  write(name, at, fields) {
    const view = new DataView(this.memory.buffer);
    for (const [field, value] of Object.entries(fields)) {
      const [type, offset] = STRUCTURES[name][field];
      view[`set${type}`](at + offset, value, true);
    }
  }

  read(name, at, field) {
    const [type, offset] = STRUCTURES[name][field];
    return new DataView(this.memory.buffer)[`get${type}`](at + offset, true);
  }
}

/** Blocks that belong together, by name: each grows when more is needed, and all are released at once. */
class Blocks {
  constructor(heap) {
    this.heap = heap;
    this.blocks = new Map();
  }

  /** At least so many bytes; what was in them may be lost. */
  bytes(name, size) {
    const block = this.blocks.get(name);
    if (block !== undefined && block.size >= size) return block.at;
    const at = this.heap.allocate(size);
    if (block !== undefined) this.heap.release(block.at);
    this.blocks.set(name, { at, size });
    return at;
  }

  array(name, values) {
    const at = this.bytes(name, 8 * values.length);
    this.heap.doubles(at, values.length).set(values);
    return at;
  }

  structure(name, fields, block = name) {
    const { size } = STRUCTURES[name];
    const at = this.bytes(block, size);
    new Uint8Array(this.heap.memory.buffer, at, size).fill(0);
    this.heap.write(name, at, fields);
    return at;
  }

  release() {
    for (const { at } of this.blocks.values()) this.heap.release(at);
    this.blocks.clear();
  }
}

// ---- Arguments -----------------------------------------------------------------------------------------------------

function check(condition, message) {
  if (!condition) throw new PlainnetError(message);
}

function checkCount(name, value, least = 1) {
  check(Number.isSafeInteger(value) && value >= least && value < 2 ** 32,
    `${name} must be an integer of at least ${least}, not ${value}`);
  return value;
}

function checkName(what, name, allowed) {
  check(allowed.includes(name), `${what} is ${JSON.stringify(name)}; allowed are ${allowed.join(", ")}`);
  return allowed.indexOf(name);
}

function checkOptions(what, options, defaults) {
  for (const name of Object.keys(options)) checkName(`an option of ${what}`, name, Object.keys(defaults));
  return { ...defaults, ...options };
}

/** Rows a step: all without a batchSize. */
function batchSizeFor(batchSize, rows) {
  return batchSize === null ? rows : Math.min(checkCount("batchSize", batchSize), rows);
}

/** The number of rows of x; x and y must have whole ones. */
function checkRows(net, x, y) {
  const { nIn } = net.layers[0], { nOut } = net.layers[net.layers.length - 1];
  const rows = x.length / nIn;
  check(x.length > 0 && Number.isInteger(rows), `x has ${x.length} numbers; the network takes rows of ${nIn}`);
  const isLabels = net.loss === "cross_entropy" && y !== undefined && y.length === rows;
  check(y === undefined || isLabels || y.length === rows * nOut,
    `y has ${y && y.length} numbers; ${rows} rows of ${nOut} are ${rows * nOut}`);
  return { rows, isLabels };
}

// ---- Initial weights -----------------------------------------------------------------------------------------------

/** By name: (random, nIn, nOut) -> the function that draws a weight. */
const INITIALIZERS = {
  glorot_uniform: (random, nIn, nOut) => uniformOfVariance(random, 2 / (nIn + nOut)),
  he_uniform: (random, nIn) => uniformOfVariance(random, 2 / nIn),
  lecun_uniform: (random, nIn) => uniformOfVariance(random, 1 / nIn),
  glorot: (random, nIn, nOut) => symmetric(random, Math.sqrt(6 / (nIn + nOut))),
  uniform: (random) => () => random.random(),
};

function symmetric(random, limit) {
  return () => random.uniform(-limit, limit);
}

function uniformOfVariance(random, variance) {
  return symmetric(random, Math.sqrt(3 * variance));
}

// ---- Layers and networks -------------------------------------------------------------------------------------------

const LAYER_DEFAULTS = {
  nIn: undefined, nOut: undefined, activation: "identity", bias: true, l1: 0, l2: 0, maxNorm: null, weightRate: 1,
  biasRate: 1, dropout: 0,
};

/** A layer of a network; `weight` (weight[i * nOut + j]) and `bias` (null without one) are views of its parameters. */
class Layer {
  constructor(net, given, start) {
    const options = checkOptions("a layer", given, LAYER_DEFAULTS);
    this.nIn = checkCount("nIn", options.nIn);
    this.nOut = checkCount("nOut", options.nOut);
    this.activation = options.activation;
    this.activationNumber = checkName("activation", options.activation, ACTIVATIONS);
    this.hasBias = Boolean(options.bias);
    this.options = {
      l1: options.l1, l2: options.l2, maxNorm: options.maxNorm ?? 0, weightRate: options.weightRate,
      biasRate: options.biasRate, dropout: options.dropout,
    };
    this.net = net;
    this.start = start;
    this.nWeights = this.nIn * this.nOut;
    this.nParameters = this.nWeights + (this.hasBias ? this.nOut : 0);
  }

  get weight() {
    return this.weightOf(this.net.parameters);
  }

  get bias() {
    return this.biasOf(this.net.parameters);
  }

  /** This layer's part of an array that is laid out as the parameters. */
  weightOf(array) {
    return array.subarray(this.start, this.start + this.nWeights);
  }

  biasOf(array) {
    return this.hasBias ? array.subarray(this.start + this.nWeights, this.start + this.nParameters) : null;
  }
}

/** What pn_optimizer has, and how many arrays it keeps; `learningRate` is apart. */
function describedOptimizer(given) {
  const { name = "SGD", ...options } = typeof given === "string" ? { name: given } : given;
  const kind = checkName("optimizer", name, Object.keys(OPTIMIZERS));
  const all = checkOptions(name, options, { ...OPTIONS_OF_ALL_OPTIMIZERS, ...OPTIMIZERS[name] });
  const { learningRate, betas, etas, stepSizes, ...fields } = all;
  fields.kind = kind;
  fields.clipNorm ??= 0;
  fields.clipValue ??= 0;
  if (betas) [fields.beta1, fields.beta2] = betas;
  if (etas) [fields.etaMinus, fields.etaPlus] = etas;
  if (stepSizes) [fields.stepMin, fields.stepMax] = stepSizes;
  const start = {
    SGD: fields.momentum > 0 ? [0] : [],
    RMSprop: [0, ...(fields.centered ? [0] : []), ...(fields.momentum > 0 ? [0] : [])],
    Adagrad: [fields.initialAccumulatorValue],
    Adam: fields.amsgrad ? [0, 0, 0] : [0, 0],
    AdamW: fields.amsgrad ? [0, 0, 0] : [0, 0],
    Rprop: [0, learningRate],
  }[name];
  return { name, learningRate, fields, start };
}

function describedLoss(given) {
  const { name, parameter } = typeof given === "string" ? { name: given } : given;
  const number = checkName("loss", name, Object.keys(LOSSES));
  return { name, number, parameter: parameter ?? LOSSES[name] };
}

/** The class Network over a compiled library. */
function networkClass(library, heap) {
  const call = (name, ...args) => {
    const status = library[`pn_${name}`](...args);
    if (status !== 0) throw new PlainnetError(messageOf(library, heap, status), status);
  };

  return class Network {
    /**
     * layers: [{ nIn, nOut, activation, bias, l1, l2, maxNorm, weightRate, biasRate, dropout }]; loss: a name or
     * { name, parameter }; optimizer: a name or { name, learningRate, ... }; init: a name of INITIALIZERS or an array of
     * all parameters; seed: an integer of at least 0.
     */
    constructor({ layers, loss, optimizer = "SGD", init = "glorot", seed = 0, lossLimit = 0, dividePenalty = false }) {
      check(Array.isArray(layers) && layers.length > 0, "layers must be an array of at least one layer");
      let nParameters = 0;
      this.layers = layers.map((layer) => {
        const made = new Layer(this, layer, nParameters);
        nParameters += made.nParameters;
        return made;
      });
      const described = describedLoss(loss);
      this.loss = described.name;
      this.nParameters = nParameters;
      this.epochsTrained = 0;
      this.nSteps = 0;
      this.begun = null; // the epoch that `advance` has begun: { batchSize, shuffle, row, lossSum }
      this.blocks = new Blocks(heap);
      try {
        this.#describe(described, lossLimit, dividePenalty);
        this.blocks.bytes("parameters", 8 * nParameters);
        this.optimizer = optimizer;
        call("forward_workspace_f64", 1, this.networkAt, this.blocks.bytes("size", 8)); // checks the description
        this.#initialize(init, numpyRandom(seed));
      } catch (error) {
        this.free();
        throw error;
      }
    }

    #describe(loss, lossLimit, dividePenalty) {
      const layersAt = this.blocks.bytes("layers", STRUCTURES.layer.size * this.layers.length);
      this.layers.forEach((layer, k) => {
        heap.write("layer", layersAt + k * STRUCTURES.layer.size, {
          nIn: layer.nIn, nOut: layer.nOut, activation: layer.activationNumber, hasBias: Number(layer.hasBias),
          options: this.blocks.structure("layer_options", layer.options, `options ${k}`),
        });
      });
      const fields = {
        nLayers: this.layers.length, layers: layersAt, loss: loss.number, lossParameter: loss.parameter, lossLimit,
        dividePenalty: Number(dividePenalty),
      };
      this.networkAt = this.blocks.structure("network", fields);
      this.labelNetworkAt = this.blocks.structure("network", { ...fields, loss: CROSS_ENTROPY_LABELS }, "label network");
      this.lossFields = fields;
    }

    #initialize(init, random) {
      const { parameters } = this;
      if (typeof init === "string") {
        checkName("init", init, Object.keys(INITIALIZERS));
        for (const layer of this.layers) {
          const draw = INITIALIZERS[init](random, layer.nIn, layer.nOut);
          const { weight, bias } = layer;
          for (let i = 0; i < weight.length; i++) weight[i] = draw();
          if (bias !== null) bias.fill(0);
        }
      } else {
        check(init.length === parameters.length, `init has ${init.length} numbers, not ${parameters.length}`);
        parameters.set(init);
        check(parameters.every(Number.isFinite), "init holds a number that is not finite");
      }
      this.shuffleSeed = random.next64();
    }

    /** Gives the network's memory back; it cannot be used any more. */
    free() {
      this.blocks.release();
      this.networkAt = 0;
    }

    /** All parameters, weight then bias of each layer: a view, to be read again after each call that computes. */
    get parameters() {
      return this.#view("parameters", this.nParameters);
    }

    /** The arrays that the optimizer keeps, one after the other, each laid out as the parameters: a view, likewise. */
    get optimizerState() {
      return this.#view("state", this.nParameters * this.described.start.length);
    }

    #view(name, n) {
      check(this.networkAt !== 0, "the network has been freed");
      return n === 0 ? new Float64Array(0) : heap.doubles(this.blocks.blocks.get(name).at, n);
    }

    get optimizer() {
      return this.described.given;
    }

    /** Another optimizer begins anew, as in Python. */
    set optimizer(given) {
      const described = { ...describedOptimizer(given), given };
      this.trainingAt = this.blocks.structure("training", {});
      heap.write("optimizer", this.trainingAt + OPTIMIZER_IN_TRAINING, described.fields);
      const { start } = described, n = this.nParameters;
      if (start.length > 0) {
        const at = this.blocks.bytes("state", 8 * n * start.length);
        start.forEach((value, k) => heap.doubles(at + 8 * n * k, n).fill(value));
      }
      this.described = described;
      this.nSteps = 0;
    }

    get learningRate() {
      return this.described.learningRate;
    }

    /** Changes the rate of the steps from now on; what the optimizer keeps stays. */
    setLearningRate(rate) {
      check(Number.isFinite(rate) && rate > 0, `the learning rate must be finite and above 0, not ${rate}`);
      this.described.learningRate = rate;
    }

    // ---- Training ------------------------------------------------------------------------------------------------

    /** A step with these rows; the loss is from before it. */
    trainBatch(x, y) {
      const data = this.#data(x, y);
      const how = { epochs: 1, batchSize: data.rows, shuffle: false };
      const result = this.#checked(this.#train(data, how, { row: 0, lossSum: 0 }, 0));
      this.nSteps += 1;
      this.begun = null;
      return result.losses[0];
    }

    /** Trains for so many epochs; the loss of each of them. Without a batchSize all rows are a batch. An epoch that `advance` has begun counts as the first. */
    fit(x, y, { epochs = 1, batchSize = null, shuffle = true } = {}) {
      checkCount("epochs", epochs, 0);
      if (epochs === 0) return new Float64Array(0);
      return this.#run(this.#data(x, y), { epochs, batchSize, shuffle }, 0).losses;
    }

    /**
     * At most so many steps of the epoch at hand: a run of `fit` in parts. The loss of the epoch if it is finished,
     * else null. Another batchSize, shuffle or number of rows begins the epoch again.
     */
    advance(x, y, { steps = 1, batchSize = null, shuffle = true } = {}) {
      checkCount("steps", steps);
      const { losses, epoch } = this.#run(this.#data(x, y), { epochs: 1, batchSize, shuffle }, steps);
      return epoch === 1 ? losses[0] : null;
    }

    /** The numbers of the rows that the next step of `fit` or `advance` uses, in its order. */
    nextRows(rows, { batchSize = null, shuffle = true } = {}) {
      const size = batchSizeFor(batchSize, checkCount("rows", rows));
      const start = this.#isBegun(rows, size, shuffle) ? this.begun.row : 0;
      const n = Math.min(size, rows - start);
      if (!shuffle || size === rows) return Uint32Array.from({ length: n }, (_, i) => start + i);
      const at = this.blocks.bytes("order", 4 * rows);
      call("order", this.shuffleSeed, BigInt(this.epochsTrained), rows, at);
      return new Uint32Array(heap.memory.buffer, at + 4 * start, n).slice();
    }

    #isBegun(rows, size, shuffle) {
      const { begun } = this;
      return begun !== null && begun.rows === rows && begun.size === size && begun.shuffle === shuffle;
    }

    #run(data, { epochs, batchSize, shuffle }, maxSteps) {
      const { rows } = data, size = batchSizeFor(batchSize, rows);
      const start = this.#isBegun(rows, size, shuffle) ? this.begun : { row: 0, lossSum: 0 };
      // All rows at once need no order: Python does not shuffle them either.
      const how = { epochs, batchSize: size, shuffle: shuffle && size < rows };
      const result = this.#train(data, how, start, maxSteps);
      this.nSteps += result.steps;
      this.epochsTrained += result.epoch;
      this.begun = result.row > 0 ? { rows, size, shuffle, row: result.row, lossSum: result.lossSum } : null;
      return this.#checked(result);
    }

    #train(data, { epochs, batchSize, shuffle }, { row, lossSum }, maxSteps) {
      const { blocks } = this;
      heap.write("training", this.trainingAt, {
        epochs, batchSize, learningRate: this.described.learningRate, shuffle: Number(shuffle), seed: this.shuffleSeed,
        firstEpoch: BigInt(this.epochsTrained), firstStep: BigInt(this.nSteps),
      });
      const progress = blocks.structure("progress", { row, lossSum });
      const losses = blocks.bytes("losses", 8 * epochs);
      const state = this.described.start.length > 0 ? blocks.blocks.get("state").at : 0;
      const workspace = this.#workspace("train_workspace_f64", data.rows, data.networkAt, this.trainingAt);
      const status = library.pn_train_f64(data.rows, data.networkAt, this.trainingAt, blocks.blocks.get("parameters").at,
        state, data.x, data.y, 0, maxSteps, losses, progress, ...workspace);
      const field = (name) => heap.read("progress", progress, name);
      return {
        status, epoch: field("epoch"), row: field("row"), lossSum: field("lossSum"), steps: field("steps"),
        losses: heap.doubles(losses, epochs).slice(),
      };
    }

    /** If a run diverges, the steps before have been made, and count. */
    #checked(result) {
      if (result.status !== 0) throw new PlainnetError(messageOf(library, heap, result.status), result.status);
      return result;
    }

    #data(x, y) {
      check(this.networkAt !== 0, "the network has been freed");
      const { rows, isLabels } = checkRows(this, x, y);
      return {
        rows, networkAt: isLabels ? this.labelNetworkAt : this.networkAt, x: this.blocks.array("x", x),
        y: y === undefined ? 0 : this.blocks.array("y", y),
      };
    }

    #workspace(sizeFunction, ...args) {
      const at = this.blocks.bytes("size", 8);
      call(sizeFunction, ...args, at);
      const size = new DataView(heap.memory.buffer).getUint32(at, true);
      return [this.blocks.bytes("workspace", size), size];
    }

    // ---- Without a step ------------------------------------------------------------------------------------------

    /** The outputs of the rows x. */
    predict(x) {
      const { rows, networkAt, x: xAt } = this.#data(x);
      const n = rows * this.layers[this.layers.length - 1].nOut;
      const out = this.blocks.bytes("out", 8 * n);
      const workspace = this.#workspace("forward_workspace_f64", rows, networkAt);
      call("forward_f64", rows, networkAt, this.blocks.blocks.get("parameters").at, xAt, out, ...workspace);
      return heap.doubles(out, n).slice();
    }

    /** The loss of the rows, with the layers' l1 and l2. */
    evaluate(x, y) {
      const { rows, networkAt, x: xAt, y: yAt } = this.#data(x, y);
      const loss = this.blocks.bytes("losses", 8);
      const workspace = this.#workspace("gradient_workspace_f64", rows, networkAt);
      call("loss_f64", rows, networkAt, this.blocks.blocks.get("parameters").at, xAt, yAt, 0, loss, 0, ...workspace);
      return heap.doubles(loss, 1)[0];
    }

    /** The loss of the rows and its gradient, laid out as the parameters. */
    lossAndGradient(x, y) {
      const { rows, networkAt, x: xAt, y: yAt } = this.#data(x, y);
      const loss = this.blocks.bytes("losses", 8), gradient = this.blocks.bytes("gradient", 8 * this.nParameters);
      const workspace = this.#workspace("gradient_workspace_f64", rows, networkAt);
      call("loss_and_gradient_f64", rows, networkAt, this.blocks.blocks.get("parameters").at, xAt, yAt, 0, loss,
        gradient, ...workspace);
      return { loss: heap.doubles(loss, 1)[0], gradient: heap.doubles(gradient, this.nParameters).slice() };
    }

    /** For each layer { z, a }, before and after the activation, (rows, nOut); dropout drops nothing. */
    activations(x) {
      const { rows } = this.#data(x);
      let input = x;
      return this.layers.map((layer) => {
        const z = this.#forward(rows, layer, input, 0);
        const a = this.#forward(rows, layer, input, layer.activationNumber);
        input = a;
        return { z, a };
      });
    }

    #forward(rows, layer, input, activation) {
      const { nIn, nOut } = layer, out = this.blocks.bytes("out", 8 * rows * nOut), xAt = this.blocks.array("x", input);
      const workspace = this.#workspace("dense_workspace_f64", rows, nIn, nOut);
      const weight = this.blocks.blocks.get("parameters").at + 8 * layer.start;
      call("dense_forward_f64", rows, nIn, nOut, xAt, weight, layer.hasBias ? weight + 8 * layer.nWeights : 0,
        activation, out, ...workspace);
      return heap.doubles(out, rows * nOut).slice();
    }

    /**
     * Back-propagation of the rows, layer by layer: { loss, gradient, layers: [{ x, z, a, gradA, gradZ, gradWeight,
     * gradBias, dataGradWeight }] }. gradWeight and gradBias are those of `gradient`, dataGradWeight = x^T gradZ is
     * gradWeight without l1 and l2. gradA of the last layer is null where loss and activation have one derivative
     * (log loss with sigmoid, cross entropy with softmax). Dropout drops nothing.
     */
    backward(x, y) {
      const { loss, gradient } = this.lossAndGradient(x, y);
      const layers = this.activations(x), last = layers.length - 1;
      for (let k = last; k >= 0; k--) {
        const layer = this.layers[k], result = layers[k];
        result.x = k === 0 ? Float64Array.from(x) : layers[k - 1].a;
        if (k === last) Object.assign(result, this.#lastGradients(layer, result, y));
        else result.gradZ = this.#gradZ(layer, result);
        const { gradX, gradWeight } = this.#backward(layer, result);
        result.gradWeight = layer.weightOf(gradient);
        result.gradBias = layer.biasOf(gradient);
        result.dataGradWeight = gradWeight;
        if (k > 0) layers[k - 1].gradA = gradX;
      }
      return { loss, gradient, layers };
    }

    /** gradZ, and gradA if it exists: the loss of a layer whose weight is the unit matrix, with respect to its input. */
    #lastGradients(layer, { z, a }, y) {
      const isFused = ["log_loss", "cross_entropy"].includes(this.loss);
      return {
        gradZ: this.#inputGradient(layer.nOut, layer.activationNumber, z, y),
        gradA: isFused ? null : this.#inputGradient(layer.nOut, 0, a, y),
      };
    }

    #inputGradient(n, activation, x, y) {
      const { blocks } = this, rows = x.length / n, isLabels = this.loss === "cross_entropy" && y.length === rows;
      const layer = blocks.structure("layer", { nIn: n, nOut: n, activation, hasBias: 0, options: 0 });
      const fields = { ...this.lossFields, nLayers: 1, layers: layer };
      if (isLabels) fields.loss = CROSS_ENTROPY_LABELS;
      const network = blocks.structure("network", fields, "unit network");
      const unit = blocks.array("unit", unitMatrix(n)), xAt = blocks.array("x", x), yAt = blocks.array("y", y);
      const out = blocks.bytes("out", 8 * x.length);
      const workspace = this.#workspace("gradient_workspace_f64", rows, network);
      call("input_gradient_f64", rows, network, unit, xAt, yAt, out, ...workspace);
      return heap.doubles(out, x.length).slice();
    }

    /** gradA f'(z): what a layer whose weight is the unit matrix hands on. */
    #gradZ(layer, { z, a, gradA }) {
      const { blocks } = this, n = layer.nOut, rows = z.length / n;
      const unit = blocks.array("unit", unitMatrix(n)), zAt = blocks.array("z", z), aAt = blocks.array("a", a);
      const gradAt = blocks.array("grad", gradA), out = blocks.bytes("out", 8 * z.length);
      const workspace = this.#workspace("dense_workspace_f64", rows, n, n);
      call("dense_backward_f64", rows, n, n, zAt, unit, zAt, aAt, gradAt, layer.activationNumber, out, 0, 0,
        ...workspace);
      return heap.doubles(out, z.length).slice();
    }

    #backward(layer, { x, a, gradZ }) {
      const { blocks } = this, { nIn, nOut } = layer, rows = a.length / nOut;
      const xAt = blocks.array("x", x), aAt = blocks.array("a", a), gradAt = blocks.array("grad", gradZ);
      const gradX = blocks.bytes("out", 8 * x.length), gradWeight = blocks.bytes("gradient", 8 * layer.nWeights);
      const workspace = this.#workspace("dense_workspace_f64", rows, nIn, nOut);
      const weight = blocks.blocks.get("parameters").at + 8 * layer.start;
      call("dense_backward_f64", rows, nIn, nOut, xAt, weight, 0, aAt, gradAt, 0, gradX, gradWeight, 0, ...workspace);
      return {
        gradX: heap.doubles(gradX, x.length).slice(), gradWeight: heap.doubles(gradWeight, layer.nWeights).slice(),
      };
    }
  };
}

function unitMatrix(n) {
  const unit = new Float64Array(n * n);
  for (let i = 0; i < n; i++) unit[i * n + i] = 1;
  return unit;
}

function messageOf(library, heap, status) {
  const bytes = new Uint8Array(heap.memory.buffer, library.pn_status_message(status));
  return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
}

// ---- Loading -------------------------------------------------------------------------------------------------------

/** The compiled code from the text that build.py makes of it: compressed (deflate), in base64. */
async function unpackWasm(text) {
  const packed = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** The library: { Network, random, heap }; `code` is WebAssembly's bytes, or the text that build.py makes of them. */
async function loadPlainnet(code) {
  const bytes = typeof code === "string" ? await unpackWasm(code) : code;
  const { instance } = await WebAssembly.instantiate(bytes, {});
  const library = instance.exports;
  const heap = new Heap(library.memory, library.__heap_base.value);
  const status = library.pn_library_status();
  if (status !== 0) throw new PlainnetError(messageOf(library, heap, status), status);
  return { Network: networkClass(library, heap), random: numpyRandom, heap };
}
