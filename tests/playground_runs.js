"use strict";
/*
 * What the tests of the playground's kernels ask of them, in Node and in a browser alike. Each function takes the library
 * and what the test has given, and returns what JSON can hold. Numbers come back as the hexadecimal digits of their
 * bytes, so that every bit counts.
 */

function hex(array) {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function hexOf(number) {
  return hex(Float64Array.of(number));
}

function messageOfError(job) {
  try {
    job();
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
  return null;
}

function resultOfRun(plainnet, { network, x, y, how, batches }) {
  const net = new plainnet.Network(network), data = [Float64Array.from(x), Float64Array.from(y)];
  const start = hex(net.parameters);
  const losses = net.fit(...data, how);
  const singleLosses = Float64Array.from({ length: batches }, () => net.trainBatch(...data));
  const { loss, gradient } = net.lossAndGradient(...data);
  const result = {
    start, losses: hex(losses), single_losses: hex(singleLosses), parameters: hex(net.parameters),
    state: hex(net.optimizerState), steps: net.nSteps, epochs: net.epochsTrained, loss: hexOf(loss),
    gradient: hex(gradient), evaluate: hexOf(net.evaluate(...data)), predict: hex(net.predict(data[0])),
  };
  net.free();
  return result;
}

/** The results of runs, by name. */
function resultsOfRuns(plainnet, runs) {
  return Object.fromEntries(Object.entries(runs).map(([name, run]) => [name, resultOfRun(plainnet, run)]));
}

/** The same run in parts of so many steps: the losses of its epochs, its parameters, and the rows of each step. */
function runInParts(plainnet, { network, x, y, how: { epochs, ...how }, steps }) {
  const net = new plainnet.Network(network), data = [Float64Array.from(x), Float64Array.from(y)];
  const losses = [], rows = [];
  while (net.epochsTrained < epochs) {
    rows.push(Array.from(net.nextRows(data[0].length / net.layers[0].nIn, how)));
    const loss = net.advance(...data, { ...how, steps });
    if (loss !== null) losses.push(loss);
  }
  const result = { losses: hex(Float64Array.from(losses)), parameters: hex(net.parameters), rows };
  net.free();
  return result;
}

/** Back-propagation of some rows, by name of the run: for each layer what it has. */
function backwardOfRuns(plainnet, runs) {
  return Object.fromEntries(Object.entries(runs).map(([name, { network, x, y }]) => {
    const net = new plainnet.Network(network);
    const { layers } = net.backward(Float64Array.from(x), Float64Array.from(y));
    const entries = (layer) => Object.entries(layer).map(([key, value]) => [key, value === null ? null : hex(value)]);
    net.free();
    return [name, layers.map((layer) => Object.fromEntries(entries(layer)))];
  }));
}

/** Random numbers of a seed, which is written in digits. */
function randomNumbers(plainnet, seed) {
  const random = plainnet.random(BigInt(seed)), several = (draw) => Array.from({ length: 20 }, draw);
  return {
    random: hex(Float64Array.from(several(() => random.random()))), small: several(() => random.integers(0, 10)),
    uniform: hexOf(random.uniform(-0.3, 0.7)), next: String(random.next64()), permutation: random.permutation(33),
    large: several(() => random.integers(-5, 3000000000)), last: hexOf(random.random()),
  };
}

/** What is left in memory after so many networks, which compute and are freed. */
function memoryOfNetworks(plainnet, { network, x, y, count }) {
  const { heap } = plainnet, data = [Float64Array.from(x), Float64Array.from(y)], sizes = [];
  for (let k = 0; k < count; k++) {
    const net = new plainnet.Network(network);
    net.fit(...data, { epochs: 2, batchSize: 3 });
    net.backward(...data);
    net.free();
    sizes.push(heap.memory.buffer.byteLength);
  }
  return { used: heap.used.size, free: heap.free.length, first: sizes[0], last: sizes[count - 1] };
}

/** Messages of what is refused, by name. */
function messagesOfErrors(plainnet, network) {
  const make = (changes) => () => new plainnet.Network({ ...network, ...changes });
  const [first, second] = network.layers, before = plainnet.heap.used.size;
  const messages = {
    unknown_activation: messageOfError(make({ layers: [{ ...first, activation: "sine" }] })),
    unknown_loss: messageOfError(make({ loss: "hinge" })),
    unknown_optimizer: messageOfError(make({ optimizer: "Lion" })),
    unknown_option: messageOfError(make({ optimizer: { name: "Adam", momentum: 0.9 } })),
    log_loss: messageOfError(make({ loss: "log_loss", layers: [first, { ...second, activation: "tanh" }] })),
    sizes: messageOfError(make({ layers: [first, { ...second, nIn: 5 }] })),
    dropout: messageOfError(make({ layers: [first, { ...second, dropout: 0.5 }] })),
    seed: messageOfError(make({ seed: -1 })),
    init: messageOfError(make({ init: [1, 2, 3] })),
  };
  messages.blocks = plainnet.heap.used.size - before;
  const net = make({ loss: "sum_of_squares", layers: [first, { ...second, activation: "identity" }] })();
  const start = hex(net.parameters), x = Float64Array.of(1, 2, 3, 4), y = Float64Array.of(0, 1);
  Object.assign(messages, {
    rows: messageOfError(() => net.fit(Float64Array.of(1, 2, 3), y)),
    targets: messageOfError(() => net.fit(x, Float64Array.of(0, 1, 0))),
    not_finite: messageOfError(() => net.fit(Float64Array.of(1, 2, 3, NaN), y)),
    batch_size: messageOfError(() => net.fit(x, y, { batchSize: 0 })),
    rate: messageOfError(() => net.setLearningRate(0)),
  });
  messages.unchanged = start === hex(net.parameters) && net.nSteps === 0;
  net.setLearningRate(1e300);
  messages.diverged = messageOfError(() => net.fit(x, y, { epochs: 9 }));
  messages.finite = net.parameters.every(Number.isFinite);
  net.free();
  messages.freed = messageOfError(() => net.predict(x));
  return messages;
}
