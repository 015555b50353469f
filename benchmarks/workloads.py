"""
What is measured: shapes, data, start weights, and the right answer.

Every peer gets the same workload, starts from the same numbers, and is compared with `expected` before it is timed.
The mini-batches of a training workload are consecutive rows, in order, for every peer. Workloads that shuffle are
checked in the same way, and then timed with shuffling, for which every library draws the order of each epoch its way.
Training includes the loss of each epoch, unless the variant's name says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

Array = np.ndarray
Task = Literal["train", "forward", "elementwise"]
Loss = Literal["log_loss", "mean_squared_error", "cross_entropy"]
Optimizer = Literal["sgd", "adam", "adam, epsilon first"]


@dataclass(frozen=True)
class Workload:
    """
    One task. Its unit of work is an epoch, a forward pass of all rows, or one call of the function.

    Attributes
    ----------
    name : str
        The key on the command line and in the results.
    title : str
        For tables.
    task : {"train", "forward", "elementwise"}
    sizes : tuple of int
        Width of the input and of each layer; for an elementwise function the number of elements.
    loss : {"log_loss", "mean_squared_error", "cross_entropy"}
        The log loss goes with sigmoid outputs, the cross entropy with softmax and labels that are integers.
    n_rows, batch_size : int
        Rows of data, and rows a step.
    learning_rate : float
    steps_from_python : bool
        Whether each step must be a call of its own, which excludes variants that run many steps in a call.
    n_units : int or None
        Units in one timed call; None for as many as fill a sample.
    output : str
        Activation of the last layer, or the function of an elementwise workload.
    hidden : str
        Activation of the other layers.
    optimizer : {"sgd", "adam", "adam, epsilon first"}
        Plain gradient descent; Adam, with the usual constants; and Adam as `AdamRule` tells.
    shuffle : bool
        Whether each epoch has a new order of rows.
    """

    name: str
    title: str
    task: Task
    sizes: tuple[int, ...]
    loss: Loss = "log_loss"
    n_rows: int = 1
    batch_size: int = 1
    learning_rate: float = 0.1
    steps_from_python: bool = False
    n_units: int | None = None
    output: str = "sigmoid"
    hidden: str = "tanh"
    optimizer: Optimizer = "sgd"
    shuffle: bool = False

    @property
    def activations(self) -> list[str]:
        """Activation of each layer."""
        return [self.hidden] * (len(self.sizes) - 2) + [self.output]

    @property
    def steps_per_unit(self) -> int:
        """Steps in an epoch; 1 for everything else."""
        return self.n_rows // self.batch_size if self.task == "train" else 1

    @property
    def flops_per_step(self) -> int:
        """Floating-point operations of the matrix products of one training step (an addition counts as one)."""
        products = [n_in * n_out for n_in, n_out in zip(self.sizes, self.sizes[1:], strict=False)]
        return 2 * self.batch_size * (3 * sum(products) - products[0])  # the first layer needs no grad_x

    @property
    def unit(self) -> str:
        """What a time is the time of."""
        return {"train": "step", "forward": "call", "elementwise": "element"}[self.task]

    @property
    def items_per_unit(self) -> int:
        """How many steps, passes or elements a unit of work has."""
        return self.sizes[0] if self.task == "elementwise" else self.steps_per_unit


def _tabular(name: str, title: str, sizes: tuple[int, ...], n_rows: int) -> Workload:
    return Workload(name, title, "train", sizes, "mean_squared_error", n_rows, 32, 0.05, output="identity")


# With ten times as much, a relu that rounding lets switch makes float32 results diverge within an epoch of adam-fmnist.
# The time of a step does not depend on it.
ADAM_RATE = 1e-4


def _adam(name: str, sizes: tuple[int, ...], loss: Loss, n_rows: int, batch_size: int) -> Workload:
    shape = "-".join(map(str, sizes))
    return Workload(
        name, f"{shape}, batch {batch_size}, Adam", "train", sizes, loss, n_rows, batch_size, ADAM_RATE,
        output="softmax" if loss == "cross_entropy" else "identity", hidden="relu", optimizer="adam", shuffle=True,
    )  # fmt: skip


CURVE_WIDTHS = (8, 16, 32, 64, 128, 256, 512, 1024)

_ALL = [
    Workload("xor", "XOR 2-3-1, 1500 epochs in one call", "train", (2, 3, 1), n_rows=4, batch_size=4, n_units=1500),
    Workload(
        "xor-loop", "XOR 2-3-1, a call a step", "train", (2, 3, 1), n_rows=4, batch_size=4, steps_from_python=True
    ),
    Workload(
        "xor-squares", "XOR 2-3-1, squared error", "train", (2, 3, 1), "mean_squared_error", 4, 4, 0.125, n_units=1500
    ),
    _tabular("tabular", "13-64-64-1, batch 32", (13, 64, 64, 1), 1024),
    Workload("digits", "784-128-10, batch 128", "train", (784, 128, 10), n_rows=1280, batch_size=128),
    Workload("digits-all", "784-128-10, batch 8192", "train", (784, 128, 10), n_rows=8192, batch_size=8192),
    Workload(
        "wide", "1024-2048-2048-10, batch 256", "train", (1024, 2048, 2048, 10), n_rows=1024, batch_size=256,
        learning_rate=0.02,
    ),
    _adam("adam-fmnist", (784, 256, 128, 10), "cross_entropy", 12_800, 128),
    _adam("adam-tabular", (13, 64, 64, 1), "mean_squared_error", 4096, 32),
    _adam("adam-small", (64, 100, 10), "cross_entropy", 1800, 200),
    Workload("row-tabular", "predict 1 row, 13-64-64-1", "forward", (13, 64, 64, 1), "mean_squared_error",
             output="identity"),
    Workload("row-digits", "predict 1 row, 784-128-10", "forward", (784, 128, 10)),
    Workload("row-wide", "predict 1 row, 1024-2048-2048-10", "forward", (1024, 2048, 2048, 10)),
    Workload("rows-tabular", "predict 10 000 rows, 13-64-64-1", "forward", (13, 64, 64, 1), "mean_squared_error",
             n_rows=10_000, output="identity"),
    Workload("rows-digits", "predict 10 000 rows, 784-128-10", "forward", (784, 128, 10), n_rows=10_000),
    Workload("sigmoid", "sigmoid of 100 000 numbers", "elementwise", (100_000,), output="sigmoid"),
    Workload("tanh", "tanh of 100 000 numbers", "elementwise", (100_000,), output="tanh"),
    *(
        _tabular(f"curve-{width}", f"16-{width}-{width}-1, batch 32", (16, width, width, 1), 256)
        for width in CURVE_WIDTHS
    ),
]  # fmt: skip

WORKLOADS = {workload.name: workload for workload in _ALL}


@dataclass
class Problem:
    """
    A workload with its numbers in one dtype. Peers copy what they change.

    Attributes
    ----------
    x : ndarray (n_rows, n_in), or (n,) for an elementwise function
    y : ndarray (n_rows, n_out), or labels (n_rows,) for the cross entropy
    weights, biases : list of ndarray (n_in, n_out) and (n_out,)
    """

    workload: Workload
    dtype: str
    x: Array
    y: Array
    weights: list[Array]
    biases: list[Array]

    def starts(self) -> list[Array]:
        """Copies of weight and bias of each layer, alternating."""
        return [array.copy() for pair in zip(self.weights, self.biases, strict=True) for array in pair]

    def batches(self) -> list[tuple[Array, Array]]:
        """Consecutive mini-batches, as views of x and y."""
        size = self.workload.batch_size
        return [(self.x[i : i + size], self.y[i : i + size]) for i in range(0, self.workload.n_rows, size)]

    def shuffled_batches(self, random: np.random.Generator) -> Iterator[tuple[Array, Array]]:
        """Mini-batches of rows in a new order, each copied when it is asked for."""
        for rows in random.permutation(self.workload.n_rows).reshape(-1, self.workload.batch_size):
            yield self.x[rows], self.y[rows]

    def otherwise(self, changes: dict[str, Any]) -> Problem:
        """The same numbers for a workload with some attributes changed."""
        return replace(self, workload=replace(self.workload, **changes))


def make_problem(workload: Workload, dtype: str) -> Problem:
    """The same numbers at every call; float32 ones are the rounded float64 ones."""
    rng = np.random.default_rng(20_24)
    if workload.task == "elementwise":
        x = rng.normal(scale=3.0, size=workload.sizes[0])
        return Problem(workload, dtype, x.astype(dtype), np.empty(0, dtype), [], [])
    n_in, n_out = workload.sizes[0], workload.sizes[-1]
    pairs = list(zip(workload.sizes, workload.sizes[1:], strict=False))
    if workload.sizes == (2, 3, 1):
        x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype)
        y = np.array([[0], [1], [1], [0]], dtype)
        scales = [1.0 for _ in pairs]
    else:
        x = rng.normal(size=(workload.n_rows, n_in))
        if workload.loss == "log_loss":
            y = np.eye(n_out)[rng.integers(n_out, size=workload.n_rows)]
        elif workload.loss == "cross_entropy":
            y = (x @ rng.normal(size=(n_in, n_out)) + 20 * rng.normal(size=(workload.n_rows, n_out))).argmax(axis=1)
        else:
            y = np.sin(x[:, :1]) + 0.1 * rng.normal(size=(workload.n_rows, n_out))
        scales = [float(np.sqrt(2.0 / (rows + columns))) for rows, columns in pairs]
    weights = [scale * rng.normal(size=pair) for scale, pair in zip(scales, pairs, strict=True)]
    biases = [np.zeros(columns) for _, columns in pairs]
    if workload.loss != "cross_entropy":
        y = y.astype(dtype)
    return Problem(
        workload, dtype, x.astype(dtype), y,
        [weight.astype(dtype) for weight in weights], [bias.astype(dtype) for bias in biases],
    )  # fmt: skip


@dataclass
class Outcome:
    """
    What a peer computed.

    Attributes
    ----------
    arrays : list of ndarray
        Weight and bias of each layer, alternating; or the outputs.
    loss : float or None
        Mean of the last epoch; None if the peer does not report it.
    """

    arrays: list[Array]
    loss: float | None = None


def _softmax(z: Array) -> Array:
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


_FUNCTIONS = {
    "identity": lambda z: z,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "softmax": _softmax,
}
_DERIVATIVES = {"tanh": lambda a: 1 - a**2, "relu": lambda a: a > 0}  # in terms of a = f(z)


def _loss_and_gradient(workload: Workload, a: Array, y: Array) -> tuple[float, Array]:
    """The loss, and its gradient with respect to z of the last layer."""
    if workload.loss == "cross_entropy":
        rows = np.arange(len(a))
        one_hot = np.zeros_like(a)
        one_hot[rows, y] = 1
        return -np.mean(np.log(a[rows, y])), (a - one_hot) / len(a)
    if workload.loss == "log_loss":
        return -np.mean(np.sum(y * np.log(a) + (1 - y) * np.log(1 - a), axis=1)), (a - y) / len(a)
    grad_a = 2 * (a - y) / a.size
    return np.mean((a - y) ** 2), grad_a * a * (1 - a) if workload.output == "sigmoid" else grad_a


class SgdRule:
    """Plain gradient descent."""

    def __init__(self, learning_rate: float, arrays: list[Array]) -> None:
        self.learning_rate, self.arrays = learning_rate, arrays

    def update(self, gradients: list[Array]) -> None:
        for array, gradient in zip(self.arrays, gradients, strict=True):
            array -= self.learning_rate * gradient


class AdamRule:
    """
    Adam as PyTorch and Optax have it; `epsilon_first` as its authors' shorter form has it, and scikit-learn.

    That form adds epsilon to the root of v before both are corrected for their start at zero.
    """

    def __init__(self, learning_rate: float, arrays: list[Array], epsilon_first: bool) -> None:
        self.learning_rate, self.arrays, self.epsilon_first, self.n_steps = learning_rate, arrays, epsilon_first, 0
        self.m = [np.zeros_like(array) for array in arrays]
        self.v = [np.zeros_like(array) for array in arrays]

    def update(self, gradients: list[Array]) -> None:
        self.n_steps += 1
        of_m, of_v = 1 - 0.9**self.n_steps, 1 - 0.999**self.n_steps
        epsilon = 1e-8 / np.sqrt(of_v) if self.epsilon_first else 1e-8
        for array, gradient, m, v in zip(self.arrays, gradients, self.m, self.v, strict=True):
            m += 0.1 * (gradient - m)
            v += 0.001 * (gradient**2 - v)
            array -= self.learning_rate * (m / of_m) / (np.sqrt(v / of_v) + epsilon)


def _make_rule(workload: Workload, arrays: list[Array]) -> SgdRule | AdamRule:
    if workload.optimizer == "sgd":
        return SgdRule(workload.learning_rate, arrays)
    return AdamRule(workload.learning_rate, arrays, workload.optimizer == "adam, epsilon first")


def expected(problem: Problem, n_units: int) -> Outcome:
    """The right answer in float64, one equation a line. For training: weight and bias of each layer, alternating."""
    workload = problem.workload
    x, y = problem.x.astype("float64"), problem.y
    if workload.task == "elementwise":
        return Outcome([_FUNCTIONS[workload.output](x)])
    arrays = [array.astype("float64") for array in problem.starts()]
    weights, biases = arrays[::2], arrays[1::2]

    def forward(rows: Array) -> list[Array]:
        outputs = [rows]
        for weight, bias, activation in zip(weights, biases, workload.activations, strict=True):
            outputs.append(_FUNCTIONS[activation](outputs[-1] @ weight + bias))
        return outputs

    if workload.task == "forward":
        return Outcome([forward(x)[-1]])
    rule, loss = _make_rule(workload, arrays), 0.0
    for _ in range(n_units):
        losses = []
        for start in range(0, workload.n_rows, workload.batch_size):
            rows = slice(start, start + workload.batch_size)
            outputs = forward(x[rows])
            step_loss, grad_z = _loss_and_gradient(workload, outputs[-1], y[rows])
            losses.append(step_loss)
            gradients: list[Array] = []
            for i in reversed(range(len(weights))):
                gradients = [outputs[i].T @ grad_z, grad_z.sum(axis=0), *gradients]
                if i > 0:
                    grad_z = grad_z @ weights[i].T * _DERIVATIVES[workload.hidden](outputs[i])
            rule.update(gradients)
        loss = float(np.mean(losses))
    return Outcome(arrays, loss)


# Epochs; 2 for the others.
CHECK_UNITS = {"xor": 200, "xor-loop": 200, "xor-squares": 100, "wide": 1, "adam-fmnist": 1}

# Errors are measured against the largest change that training made in an array: a weight that did not move proves
# nothing. Rounding errors are relative to the weights instead, which are some hundred times larger than the changes.
TOLERANCES = {"float64": 1e-9, "float32": 1e-3}

# Adam divides a gradient by its size: where it is hardly more than rounding, so is the direction of a full step. An
# epsilon in the wrong place gives an error of 0.02 or more, another order of the rows one of 0.1 or more.
ADAM_TOLERANCES = {"float64": 1e-9, "float32": 5e-3}


def tolerance(problem: Problem) -> float:
    """The largest `disagreement` that passes."""
    return (TOLERANCES if problem.workload.optimizer == "sgd" else ADAM_TOLERANCES)[problem.dtype]


def disagreement(problem: Problem, outcome: Outcome, right: Outcome) -> float:
    """Largest error of any array, relative to its largest change in training, and of the loss."""
    starts: list[Array | float] = [0.0] * len(right.arrays)
    if problem.workload.task == "train":
        starts = list(problem.starts())
    if len(outcome.arrays) != len(right.arrays):
        return np.inf
    worst = 0.0
    if outcome.loss is not None and right.loss is not None:
        worst = abs(outcome.loss - right.loss) / abs(right.loss)
    for got, want, start in zip(outcome.arrays, right.arrays, starts, strict=True):
        if got.dtype != problem.dtype or got.shape != want.shape or not np.isfinite(got).all():
            return np.inf
        worst = max(worst, float(np.max(np.abs(got - want)) / np.max(np.abs(want - start))))
    return worst
