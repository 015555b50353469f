"""scikit-learn's MLPClassifier and MLPRegressor."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from peers import Variant
from workloads import Outcome, Problem


class _Training(Variant):
    """
    The estimator with our start weights.

    Its squared loss is half the mean over rows: twice the learning rate for one output gives our gradient. Adam's steps
    do not depend on a factor of the loss if epsilon has it as well. Its Adam takes epsilon otherwise than the others'.
    """

    def __init__(self, problem: Problem) -> None:
        workload = problem.workload
        self.problem = problem
        self.is_classifier = workload.loss != "mean_squared_error"
        kind = MLPClassifier if self.is_classifier else MLPRegressor
        factor = 1.0 if self.is_classifier else workload.sizes[-1] / 2  # of its loss
        if workload.optimizer == "adam":
            self.changes = {"optimizer": "adam, epsilon first"}
        self.estimator = kind(
            hidden_layer_sizes=workload.sizes[1:-1], activation=workload.hidden, batch_size=workload.batch_size,
            shuffle=False, solver=workload.optimizer, alpha=0.0, momentum=0.0, nesterovs_momentum=False,
            learning_rate_init=workload.learning_rate / (factor if workload.optimizer == "sgd" else 1),
            epsilon=1e-8 * factor, max_iter=1, tol=0.0, n_iter_no_change=10**9, warm_start=True,
        )  # fmt: skip
        y = problem.y.astype(np.int64) if self.is_classifier else problem.y
        self.y = y.ravel() if y.size == len(y) else y
        self.first_call()

    def first_call(self) -> None:
        """Lets the estimator make its attributes; `reset` puts our numbers there."""
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            self.estimator.fit(self.problem.x, self.y)

    def reset(self) -> None:
        for own, start in zip(self.estimator.coefs_, self.problem.weights, strict=True):
            own[...] = start
        for own, start in zip(self.estimator.intercepts_, self.problem.biases, strict=True):
            own[...] = start

    def result(self) -> Outcome:
        pairs = zip(self.estimator.coefs_, self.estimator.intercepts_, strict=True)
        loss = self.loss * (1 if self.is_classifier else 2)
        return Outcome([array.copy() for pair in pairs for array in pair], float(loss))


class Fit(_Training):
    """One call of `fit` with a warm start."""

    whole_run = True

    def run(self, n_units: int) -> None:
        self.estimator.max_iter, self.estimator.shuffle = n_units, self.shuffle
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            self.estimator.fit(self.problem.x, self.y)
        self.loss = self.estimator.loss_curve_[-1]


class PartialFit(_Training):
    """A call of `partial_fit` a step."""

    def first_call(self) -> None:
        self.data = replace(self.problem, y=self.y)
        self.batches = self.data.batches()
        self.random = np.random.default_rng(0)
        if self.is_classifier:
            n_out = self.problem.workload.sizes[-1]
            self.estimator.partial_fit(*self.batches[0], classes=np.arange(max(2, n_out)))
        else:
            self.estimator.partial_fit(*self.batches[0])

    def reset(self) -> None:
        super().reset()
        self.estimator.__dict__.pop("_optimizer", None)  # and the next call makes a new one

    def run(self, n_units: int) -> None:
        for _ in range(n_units):
            total = 0.0
            for x, y in self.data.shuffled_batches(self.random) if self.shuffle else self.batches:
                self.estimator.partial_fit(x, y)
                total += self.estimator.loss_
        self.loss = total / len(self.batches)


class Predict(Variant):
    """`predict` of a regressor, `predict_proba` of a classifier."""

    def __init__(self, problem: Problem) -> None:
        training = PartialFit(problem)
        training.reset()
        self.x, estimator = problem.x, training.estimator
        self.method = estimator.predict_proba if training.is_classifier else estimator.predict

    def run(self, n_units: int) -> None:
        for _ in range(n_units):
            self.out = self.method(self.x)

    def result(self) -> Outcome:
        return Outcome([self.out.reshape(len(self.x), -1)])


def versions() -> dict[str, str]:
    return {"scikit-learn": sklearn.__version__}


def prepare(problem: Problem, n_threads: int) -> dict[str, Variant]:
    workload = problem.workload
    if workload.task == "elementwise" or workload.name == "xor-squares":  # its regressor's output is the identity
        return {}
    if workload.task == "forward":
        return {"predict": Predict(problem)}
    return {"fit": Fit(problem), "partial_fit": PartialFit(problem)}
