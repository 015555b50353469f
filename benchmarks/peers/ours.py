"""plainnet itself: one `fit` call, a call for each step, `predict`, and the elementwise kernels."""

from __future__ import annotations

import numpy as np

import plainnet as pn
from peers import PLAIN_SGD, Variant
from workloads import Outcome, Problem

OPTIMIZERS = {"sgd": pn.SGD, "adam": pn.Adam}
TO_PLAIN_SGD = {"optimizer": "sgd", "learning_rate": 0.01}


def versions() -> dict[str, str]:
    return {"plainnet": pn.__version__, "plainnet's instruction set": pn.native.isa()}


def _network(problem: Problem) -> pn.Network:
    sizes, activations = problem.workload.sizes, problem.workload.activations
    parts = [array.ravel() for pair in zip(problem.weights, problem.biases, strict=True) for array in pair]
    return pn.Network(
        [pn.Dense(*layer) for layer in zip(sizes, sizes[1:], activations, strict=False)],
        loss=problem.workload.loss,
        optimizer=OPTIMIZERS[problem.workload.optimizer](problem.workload.learning_rate),
        init=np.concatenate(parts),
        dtype=problem.dtype,
    )


class _Training(Variant):
    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.net = _network(problem)
        self.start = self.net.parameters.copy()
        self.rate = self.net.optimizer.learning_rate
        self.loss = 0.0

    def reset(self) -> None:
        self.net.parameters = self.start
        self.net.optimizer = self.net.optimizer  # its state begins anew

    def result(self) -> Outcome:
        arrays = [array.copy() for layer in self.net.layers for array in (layer.weight, layer.bias)]
        return Outcome(arrays, self.loss)


class Fit(_Training):
    """One call of `fit`."""

    whole_run = True

    def run(self, n_units: int) -> None:
        x, y, size = self.problem.x, self.problem.y, self.problem.workload.batch_size
        self.loss = self.net.fit(x, y, n_units, self.rate, batch_size=size, shuffle=self.shuffle).loss[-1]


class FitPlainSgd(Fit):
    """The same with plain gradient descent, to compare other optimizers with."""

    changes = TO_PLAIN_SGD

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.otherwise(TO_PLAIN_SGD))


class Steps(_Training):
    """A Python loop over `train_on_batch`."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.batches = problem.batches()
        self.random = np.random.default_rng(0)

    def run(self, n_units: int) -> None:
        step, rate = self.net.train_on_batch, self.rate
        for _ in range(n_units):
            total = 0.0
            for x, y in self.problem.shuffled_batches(self.random) if self.shuffle else self.batches:
                total += step(x, y, rate)
        self.loss = total / len(self.batches)


class Predict(Variant):
    """`predict`."""

    def __init__(self, problem: Problem) -> None:
        self.net, self.x = _network(problem), problem.x

    def run(self, n_units: int) -> None:
        predict, x = self.net.predict, self.x
        for _ in range(n_units):
            self.out = predict(x)

    def result(self) -> Outcome:
        return Outcome([self.out])


class PredictInto(Predict):
    """`predict` into a preallocated array."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.out = self.net.predict(self.x)

    def run(self, n_units: int) -> None:
        predict, x, out = self.net.predict, self.x, self.out
        for _ in range(n_units):
            predict(x, out)


class Kernel(Variant):
    """An elementwise kernel into a preallocated array."""

    def __init__(self, problem: Problem) -> None:
        self.function = getattr(pn.kernels, problem.workload.output)
        self.z, self.out = problem.x, np.empty_like(problem.x)

    def run(self, n_units: int) -> None:
        for _ in range(n_units):
            self.function(self.z, self.out)

    def result(self) -> Outcome:
        return Outcome([self.out])


def prepare(problem: Problem, n_threads: int) -> dict[str, Variant]:
    if problem.workload.task == "elementwise":
        return {"kernels": Kernel(problem)}
    if problem.workload.task == "forward":
        return {"predict": Predict(problem), "predict with out=": PredictInto(problem)}
    variants: dict[str, Variant] = {"fit": Fit(problem), "train_on_batch": Steps(problem)}
    if problem.workload.optimizer != "sgd":
        variants[PLAIN_SGD] = FitPlainSgd(problem)
    return variants
