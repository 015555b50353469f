"""
NumPy as from-scratch tutorials write it.

A class a layer, samples in columns and neurons in rows, `np.dot`, a new array for every intermediate result, separate
forward, backward and update passes, the textbook formulas.
"""

from __future__ import annotations

import numpy as np

from peers import Variant
from workloads import Array, Outcome, Problem


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def sigmoid_derivative(z: Array) -> Array:
    return sigmoid(z) * (1 - sigmoid(z))


def tanh_derivative(z: Array) -> Array:
    return 1 - np.tanh(z) ** 2


def identity(z: Array) -> Array:
    return z


def identity_derivative(z: Array) -> Array:
    return np.ones_like(z)


def log_loss(y: Array, a: Array) -> Array:
    return -(y * np.log(a) + (1 - y) * np.log(1 - a))


def log_loss_derivative(y: Array, a: Array) -> Array:
    return (a - y) / (a * (1 - a))


def squared_error(y: Array, a: Array) -> Array:
    return (a - y) ** 2 / len(y)


def squared_error_derivative(y: Array, a: Array) -> Array:
    return 2 * (a - y) / len(y)


ACTIVATIONS = {
    "sigmoid": (sigmoid, sigmoid_derivative),
    "tanh": (np.tanh, tanh_derivative),
    "identity": (identity, identity_derivative),
}
LOSSES = {
    "log_loss": (log_loss, log_loss_derivative),
    "mean_squared_error": (squared_error, squared_error_derivative),
}


class Layer:
    """One layer: w (neurons, inputs), b (neurons, 1); its inputs and outputs have a sample a column."""

    def __init__(self, w: Array, b: Array, activation: str, learning_rate: float) -> None:
        self.w = w
        self.b = b
        self.activation, self.activation_derivative = ACTIVATIONS[activation]
        self.learning_rate = learning_rate

    def forward(self, a_prev: Array) -> Array:
        self.a_prev = a_prev
        self.z = np.dot(self.w, a_prev) + self.b
        return self.activation(self.z)

    def backward(self, da: Array) -> Array:
        dz = da * self.activation_derivative(self.z)
        m = dz.shape[1]
        dw = np.dot(dz, self.a_prev.T) / m
        db = np.sum(dz, axis=1, keepdims=True) / m
        da_prev = np.dot(self.w.T, dz)
        self.w = self.w - self.learning_rate * dw
        self.b = self.b - self.learning_rate * db
        return da_prev


def train(layers: list[Layer], batches: list[tuple[Array, Array]], epochs: int, loss: str) -> list[float]:
    """Gradient descent over mini-batches; the mean loss of each epoch."""
    cost, cost_derivative = LOSSES[loss]
    costs = []
    for _ in range(epochs):
        epoch_cost = 0.0
        for x, y in batches:
            a = x
            for layer in layers:
                a = layer.forward(a)
            epoch_cost += np.sum(cost(y, a)) / y.shape[1]
            da = cost_derivative(y, a)
            for layer in reversed(layers):
                da = layer.backward(da)
        costs.append(epoch_cost / len(batches))
    return costs


def make_layers(problem: Problem) -> list[Layer]:
    return [
        Layer(weight.T.copy(), bias.reshape(-1, 1).copy(), activation, problem.workload.learning_rate)
        for weight, bias, activation in zip(
            problem.weights, problem.biases, problem.workload.activations, strict=True
        )
    ]  # fmt: skip


class Training(Variant):
    """The training loop above."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.batches = [(x.T.copy(), y.T.copy()) for x, y in problem.batches()]
        self.loss = 0.0

    def reset(self) -> None:
        self.layers = make_layers(self.problem)

    def run(self, n_units: int) -> None:
        self.loss = train(self.layers, self.batches, n_units, self.problem.workload.loss)[-1]

    def result(self) -> Outcome:
        arrays = [array for layer in self.layers for array in (layer.w.T, layer.b.ravel())]
        return Outcome(arrays, float(self.loss))


class Forward(Variant):
    """The layers' forward passes."""

    def __init__(self, problem: Problem) -> None:
        self.layers, self.x = make_layers(problem), problem.x.T.copy()

    def run(self, n_units: int) -> None:
        for _ in range(n_units):
            a = self.x
            for layer in self.layers:
                a = layer.forward(a)
        self.a = a

    def result(self) -> Outcome:
        return Outcome([self.a.T])


class Function(Variant):
    """A function of an array."""

    def __init__(self, problem: Problem) -> None:
        self.function, self.z = ACTIVATIONS[problem.workload.output][0], problem.x

    def run(self, n_units: int) -> None:
        for _ in range(n_units):
            self.a = self.function(self.z)

    def result(self) -> Outcome:
        return Outcome([self.a])


def versions() -> dict[str, str]:
    return {"NumPy": np.__version__}


def prepare(problem: Problem, n_threads: int) -> dict[str, Variant]:
    if problem.workload.task == "elementwise":
        return {"": Function(problem)}
    if problem.workload.task == "forward":
        return {"": Forward(problem)}
    return {"": Training(problem)} if problem.workload.optimizer == "sgd" else {}
