"""NumPy written well: samples in rows, results into preallocated arrays, no pass over memory that can be avoided."""

from __future__ import annotations

import numpy as np

from peers import Variant
from workloads import Array, Outcome, Problem


def sigmoid(z: Array, out: Array) -> Array:
    np.negative(z, out=out)
    np.exp(out, out=out)
    out += 1
    return np.reciprocal(out, out=out)


def activate(activation: str, z: Array) -> None:
    """In place."""
    if activation == "tanh":
        np.tanh(z, out=z)
    elif activation == "sigmoid":
        sigmoid(z, out=z)


class Training(Variant):
    """Gradient descent with the learning rate and 1/m folded into the outputs' gradient."""

    def __init__(self, problem: Problem) -> None:
        workload = problem.workload
        self.problem = problem
        self.weights = [weight.copy() for weight in problem.weights]
        self.biases = [bias.copy() for bias in problem.biases]
        self.batches = [(x, y, 1 - y) for x, y in problem.batches()]
        self.weight_steps = [np.empty_like(weight) for weight in self.weights]
        self.bias_steps = [np.empty_like(bias) for bias in self.biases]
        shapes = [(workload.batch_size, n_out) for n_out in workload.sizes[1:]]
        self.a = [np.empty(shape, problem.dtype) for shape in shapes]
        self.grad_z = [np.empty(shape, problem.dtype) for shape in shapes]
        self.spare = [np.empty(shape, problem.dtype) for shape in shapes]
        self.is_log_loss = workload.loss == "log_loss"
        self.n_per_mean = workload.batch_size * (1 if self.is_log_loss else workload.sizes[-1])
        self.scale = self.problem.workload.learning_rate / self.n_per_mean * (1 if self.is_log_loss else 2)
        self.loss = 0.0

    def reset(self) -> None:
        for array, start in zip(self.weights + self.biases, self.problem.weights + self.problem.biases, strict=True):
            array[...] = start

    def step(self, x: Array, y: Array, one_minus_y: Array) -> float:
        a, grad_z, spare, last = self.a, self.grad_z, self.spare, len(self.a) - 1
        inputs = [x, *a]
        for i in range(last):
            np.matmul(inputs[i], self.weights[i], out=a[i])
            a[i] += self.biases[i]
            np.tanh(a[i], out=a[i])
        z, out = spare[last], a[last]
        np.matmul(inputs[last], self.weights[last], out=z)
        z += self.biases[last]

        if self.is_log_loss:  # -ln a = ln(1 + exp(-z)), and -ln(1 - a) = z + that
            loss = np.vdot(one_minus_y, z)
            np.negative(z, out=out)
            np.exp(out, out=out)
            out += 1
            loss += np.log(out, out=z).sum()
            np.reciprocal(out, out=out)
            np.subtract(out, y, out=grad_z[last])
        else:
            out[...] = z
            activate(self.problem.workload.output, out)
            np.subtract(out, y, out=grad_z[last])
            loss = np.vdot(grad_z[last], grad_z[last])
            if self.problem.workload.output == "sigmoid":
                np.multiply(out, out, out=z)
                np.subtract(out, z, out=z)
                grad_z[last] *= z
        grad_z[last] *= self.scale

        for i in range(last, -1, -1):
            np.matmul(inputs[i].T, grad_z[i], out=self.weight_steps[i])
            np.add.reduce(grad_z[i], axis=0, out=self.bias_steps[i])
            if i > 0:
                np.matmul(grad_z[i], self.weights[i].T, out=grad_z[i - 1])
                np.multiply(a[i - 1], a[i - 1], out=spare[i - 1])
                np.subtract(1, spare[i - 1], out=spare[i - 1])
                grad_z[i - 1] *= spare[i - 1]
            self.weights[i] -= self.weight_steps[i]
            self.biases[i] -= self.bias_steps[i]
        return loss / self.n_per_mean

    def run(self, n_units: int) -> None:
        for _ in range(n_units):
            total = 0.0
            for batch in self.batches:
                total += self.step(*batch)
        self.loss = total / len(self.batches)

    def result(self) -> Outcome:
        arrays = [array.copy() for pair in zip(self.weights, self.biases, strict=True) for array in pair]
        return Outcome(arrays, float(self.loss))


class Forward(Variant):
    """A forward pass into preallocated arrays."""

    def __init__(self, problem: Problem) -> None:
        self.x = problem.x
        buffers = [np.empty((len(problem.x), n_out), problem.dtype) for n_out in problem.workload.sizes[1:]]
        self.layers = list(zip(problem.weights, problem.biases, problem.workload.activations, buffers, strict=True))

    def run(self, n_units: int) -> None:
        for _ in range(n_units):
            a = self.x
            for weight, bias, activation, z in self.layers:
                np.matmul(a, weight, out=z)
                z += bias
                activate(activation, z)
                a = z

    def result(self) -> Outcome:
        return Outcome([self.layers[-1][-1]])


class Function(Variant):
    """A function of an array into another."""

    def __init__(self, problem: Problem) -> None:
        self.function = {"sigmoid": sigmoid, "tanh": np.tanh}[problem.workload.output]
        self.z, self.out = problem.x, np.empty_like(problem.x)

    def run(self, n_units: int) -> None:
        for _ in range(n_units):
            self.function(self.z, out=self.out)

    def result(self) -> Outcome:
        return Outcome([self.out])


def versions() -> dict[str, str]:
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {"NumPy": np.__version__, "NumPy's BLAS": f"{blas['name']} {blas['version']}"}


def prepare(problem: Problem, n_threads: int) -> dict[str, Variant]:
    if problem.workload.task == "elementwise":
        return {"": Function(problem)}
    if problem.workload.task == "forward":
        return {"": Forward(problem)}
    return {"": Training(problem)} if problem.workload.optimizer == "sgd" else {}
