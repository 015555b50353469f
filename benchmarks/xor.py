"""
How much faster one `fit` call is than a from-scratch tutorial's NumPy code, on the two tutorial networks.

    python benchmarks/xor.py

Both sides start from the same weights and must end with the same weights and loss curve before any time is taken.
Needs NumPy and plainnet alone. Exit status 1 if they disagree or the ratio stays below 100.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np

import plainnet as pn
from peers import numpy_tutorial as tutorial
from workloads import Array

EPOCHS = 1500
N_ROUNDS = 15
TOLERANCE = 1e-11  # of the largest weight: honest variations of the arithmetic stay below 1e-12
AT_LEAST = 100

Result = tuple[list[Array], Array]  # weights (and biases), and the loss of every epoch


class TwoLayerNetwork:
    """The second tutorial's network: one class, rows are samples, no biases, sum of squared errors, learning rate 1."""

    def __init__(self, x: Array, y: Array, weights1: Array, weights2: Array) -> None:
        self.x = x
        self.y = y
        self.weights1 = weights1
        self.weights2 = weights2

    def feedforward(self) -> None:
        self.layer1 = tutorial.sigmoid(np.dot(self.x, self.weights1))
        self.output = tutorial.sigmoid(np.dot(self.layer1, self.weights2))

    def backprop(self) -> None:
        d_output = 2 * (self.y - self.output) * self.output * (1 - self.output)
        d_layer1 = np.dot(d_output, self.weights2.T) * self.layer1 * (1 - self.layer1)
        self.weights1 = self.weights1 + np.dot(self.x.T, d_layer1)
        self.weights2 = self.weights2 + np.dot(self.layer1.T, d_output)


def layered_tutorial(x: Array, y: Array, net: pn.Network) -> Result:
    """The first tutorial's network, from the parameters of `net`."""
    layers = [
        tutorial.Layer(layer.weight.T.copy(), layer.bias.reshape(-1, 1).copy(), layer.activation, 0.1)
        for layer in net.layers
    ]
    losses = tutorial.train(layers, [(x.T.copy(), y.T.copy())], EPOCHS, "log_loss")
    return [array for layer in layers for array in (layer.w.T, layer.b.ravel())], np.array(losses)


def two_layer_tutorial(x: Array, y: Array, net: pn.Network) -> Result:
    """The second tutorial's network, from the parameters of `net`."""
    twin = TwoLayerNetwork(x, y, net.layers[0].weight.copy(), net.layers[1].weight.copy())
    losses = []
    for _ in range(EPOCHS):
        twin.feedforward()
        losses.append(np.sum((y - twin.output) ** 2))
        twin.backprop()
    return [twin.weights1, twin.weights2], np.array(losses)


def one_call(x: Array, y: Array, learning_rate: float, net: pn.Network) -> Result:
    """One `fit` call."""
    history = net.fit(x, y, epochs=EPOCHS, learning_rate=learning_rate)
    arrays = [array for layer in net.layers for array in (layer.weight, layer.bias) if array is not None]
    return arrays, history.loss


def largest_difference(first: Result, second: Result) -> float:
    """The largest difference, relative to the largest entry of each array."""
    pairs = zip([*first[0], first[1]], [*second[0], second[1]], strict=True)
    return max(float(np.max(np.abs(a - b)) / np.max(np.abs(b))) for a, b in pairs)


def seconds(function: Callable[[pn.Network], Result], net: pn.Network, n_runs: int) -> float:
    """The mean time of `n_runs` runs from the parameters of `net`, which do not change."""
    copies = [net.copy() for _ in range(n_runs)]
    start = time.perf_counter()
    for copy in copies:
        function(copy)
    return (time.perf_counter() - start) / n_runs


def compare(
    title: str, net: pn.Network, theirs: Callable[[pn.Network], Result], ours: Callable[[pn.Network], Result]
) -> bool:
    """Checks, times and prints one network. Returns whether it agrees and is fast enough."""
    difference = largest_difference(ours(net.copy()), theirs(net.copy()))
    if not difference <= TOLERANCE:
        print(f"{title}: they disagree by {difference:.2g}, more than {TOLERANCE:g}")
        return False
    # A run of the tutorial takes as long as a hundred of plainnet's: each side is timed for about as long.
    rounds = [(seconds(theirs, net, 1), seconds(ours, net, 100)) for _ in range(N_ROUNDS)]
    slow, fast = (statistics.median(column) / EPOCHS * 1e6 for column in zip(*rounds, strict=True))
    ratio = statistics.median(a / b for a, b in rounds)
    print(f"{title}: {slow:.2f} µs an epoch in NumPy, {fast:.3f} µs in one fit call: {ratio:.0f} times faster")
    print(f"    largest difference in weights and losses: {difference:.1e}")
    return ratio >= AT_LEAST


def main() -> int:
    x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = np.array([[0.0], [1.0], [1.0], [0.0]])
    layered = pn.Network(
        [pn.Dense(2, 3, "tanh"), pn.Dense(3, 1, "sigmoid")], loss="log_loss", init="normal", seed=2
    )  # fmt: skip
    fine = compare("layered, 2-3-1", layered, partial(layered_tutorial, x, y), partial(one_call, x, y, 0.1))

    x = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
    two_layer = pn.Network(
        [pn.Dense(3, 4, "sigmoid", bias=False), pn.Dense(4, 1, "sigmoid", bias=False)],
        loss="sum_of_squares", init="uniform", seed=1,
    )  # fmt: skip
    fine &= compare("two-layer, 3-4-1", two_layer, partial(two_layer_tutorial, x, y), partial(one_call, x, y, 1.0))
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
