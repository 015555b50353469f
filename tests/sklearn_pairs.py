"""
The same fits by scikit-learn and by `plainnet.sklearn`, and how far apart their results are.

`benchmarks/sklearn_agreement.py` makes its tables with this, and `test_sklearn_pairs.py` tests it. It needs
scikit-learn.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import product
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import sklearn.neural_network
from scipy import sparse
from sklearn import datasets
from sklearn.neural_network._base import binary_log_loss
from sklearn.preprocessing import StandardScaler

import plainnet.sklearn

EPOCHS = 50

#: What differences stay below, relative to the largest number of an array.
TOLERANCE = 1e-7

DATA = ("digits", "iris", "breast_cancer", "diabetes")
ACTIVATIONS = ("identity", "logistic", "tanh", "relu")

SOLVERS: dict[str, dict[str, Any]] = {
    "sgd": {"solver": "sgd", "nesterovs_momentum": False},
    "sgd, Nesterov": {"solver": "sgd"},
    "sgd, no momentum": {"solver": "sgd", "momentum": 0.0},
    "sgd, invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1},
    "sgd, adaptive": {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 2, "tol": 0.01},
    "adam": {"solver": "adam"},
    "lbfgs": {"solver": "lbfgs"},
}


@dataclass(frozen=True)
class Case:
    """
    One comparison.

    Attributes
    ----------
    data : str
        One of `DATA`, or another that :func:`load` knows.
    is_scaled : bool
        Whether every input has mean 0 and variance 1.
    settings : dict
        Parameters of both estimators, beside ``random_state`` and ``max_iter``.
    how : str
        A method of :class:`_Fits`.
    """

    data: str
    is_scaled: bool = True
    settings: dict[str, Any] = field(default_factory=dict)
    how: str = "whole"
    epochs: int = EPOCHS

    @property
    def is_regression(self) -> bool:
        return self.data in ("diabetes", "two_outputs", "counts")


class Difference(NamedTuple):
    """
    How far plainnet's results are from scikit-learn's.

    Attributes
    ----------
    loss_curve, coefs, predictions : float
        The largest difference, divided by the largest number of scikit-learn's. With lbfgs, which keeps no curve,
        `loss_curve` is that of the final loss. `coefs` are the arrays of ``coefs_`` and ``intercepts_``, each by
        itself.
    n_iter : tuple of int
        Of both, scikit-learn first. -1 says that training ended with an error, as it may where it diverges.
    """

    loss_curve: float
    coefs: float
    predictions: float
    n_iter: tuple[int, int]

    @property
    def largest(self) -> float:
        return max(self.loss_curve, self.coefs, self.predictions)


@cache
def load(name: str, is_scaled: bool) -> tuple[Any, Any]:
    """x and y of a data set."""
    source = {"two_labels": "iris", "two_outputs": "diabetes", "counts": "diabetes"}.get(name, name)
    x, y = getattr(datasets, f"load_{source}")(return_X_y=True)
    if is_scaled:
        x = StandardScaler().fit_transform(x)
    if source == "diabetes" and is_scaled:
        y = (y - y.mean()) / y.std()
    if name == "two_labels":  # a row may have none, one or both
        y = np.stack([x[:, 0] > x[:, 0].mean(), y == 2], axis=1).astype(int)
    elif name == "two_outputs":
        y = np.stack([y, x[:, 2]], axis=1)
    elif name == "counts":
        y = np.round(3 * np.exp(0.5 * y))
    return x, y


class _Fits:
    """How an estimator is fitted; each method returns it."""

    @staticmethod
    def whole(estimator: Any, x: Any, y: Any, weight: Any = None) -> Any:
        return estimator.fit(x, y) if weight is None else estimator.fit(x, y, weight)

    @staticmethod
    def weighted(estimator: Any, x: Any, y: Any) -> Any:
        """Some weights are 0."""
        weight = np.random.RandomState(3).randint(0, 4, len(y)) / 2
        return _Fits.whole(estimator, x, y, weight)

    @staticmethod
    def sparse(estimator: Any, x: Any, y: Any) -> Any:
        return estimator.fit(sparse.csr_matrix(x), y)

    @staticmethod
    def reversed(estimator: Any, x: Any, y: Any) -> Any:
        return estimator.fit(x[::-1].copy(), y[::-1].copy())

    @staticmethod
    def twice(estimator: Any, x: Any, y: Any) -> Any:
        """With ``warm_start``, half of the epochs in each call."""
        estimator.set_params(max_iter=estimator.max_iter // 2, warm_start=True)
        return estimator.fit(x, y).fit(x, y)

    @staticmethod
    def by_parts(estimator: Any, x: Any, y: Any) -> Any:
        """``partial_fit`` with one half of the rows after the other."""
        classes = {} if estimator.__class__.__name__ == "MLPRegressor" else {"classes": np.unique(y)}
        for call in range(estimator.max_iter):
            half = slice(call % 2, None, 2)
            estimator.partial_fit(x[half], y[half], **(classes if call == 0 else {}))
        return estimator


def fitted(package: ModuleType, case: Case) -> Any:
    """The estimator of a package, fitted; None if training ended with an error that says it diverged."""
    kind = package.MLPRegressor if case.is_regression else package.MLPClassifier
    estimator = kind(**{"hidden_layer_sizes": (20, 10), **case.settings}, random_state=0, max_iter=case.epochs)
    x, y = load(case.data, case.is_scaled)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return getattr(_Fits, case.how)(estimator, x, y)
        except ValueError as error:
            if "non-finite" not in str(error):
                raise
            return None


def predictions(estimator: Any, case: Case) -> Any:
    """What it predicts for the data that it has seen: probabilities, if it is a classifier."""
    x, _ = load(case.data, case.is_scaled)
    return estimator.predict(x) if case.is_regression else estimator.predict_proba(x)


def relative(ours: Any, theirs: Any) -> float:
    """The largest difference, divided by the largest number; NaN where only one of them has no number."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if ours.shape != theirs.shape:
        return float("nan")
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    largest = np.abs(theirs[np.isfinite(theirs)]).max(initial=0.0)
    with np.errstate(invalid="ignore"):
        difference = np.where(same, 0.0, np.abs(ours - theirs)).max(initial=0.0)
    return float(difference / largest) if difference else 0.0


def difference(ours: Any, theirs: Any, case: Case) -> Difference:
    """Of two fitted estimators, or None for one that diverged."""
    if ours is None or theirs is None:
        apart = 0.0 if ours is theirs else float("nan")
        return Difference(apart, apart, apart, tuple(-1 if e is None else e.n_iter_ for e in (theirs, ours)))  # type: ignore[arg-type]
    pairs = [*zip(ours.coefs_, theirs.coefs_), *zip(ours.intercepts_, theirs.intercepts_)]
    curve = "loss_" if case.settings.get("solver") == "lbfgs" else "loss_curve_"
    return Difference(
        relative(getattr(ours, curve), getattr(theirs, curve)),
        max(relative(*pair) for pair in pairs),
        relative(predictions(ours, case), predictions(theirs, case)),
        (int(theirs.n_iter_), int(ours.n_iter_)),
    )


def compare(case: Case) -> Difference:
    """Fits both, and compares."""
    return difference(fitted(plainnet.sklearn, case), fitted(sklearn.neural_network, case), case)


def compare_with_reversed(case: Case) -> Difference:
    """scikit-learn on the rows in reverse order and as they are; with lbfgs only rounding is different."""
    theirs = fitted(sklearn.neural_network, case)
    return difference(fitted(sklearn.neural_network, replace(case, how="reversed")), theirs, case)


class Losses(NamedTuple):
    """The log loss of one network and data: of scikit-learn's formula, of plainnet, and in extended precision."""

    sklearn: float
    plainnet: float
    exact: float


def losses_of_confident_network() -> Losses:
    """Of a network whose outputs are very near 0 and 1, as its inputs are large and its training is short."""
    case = Case("breast_cancer", False, {"alpha": 0.0}, epochs=2)
    estimator = fitted(plainnet.sklearn, case)
    x, y = load(case.data, case.is_scaled)
    a = x.astype(np.longdouble)
    for weight, bias in zip(estimator.coefs_, estimator.intercepts_):
        z = a @ weight.astype(np.longdouble) + bias
        a = np.maximum(z, 0)
    z = z[:, 0]
    terms = np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z)))
    limit = -np.log(np.finfo(np.float64).eps)  # both have it
    outputs = estimator.predict_proba(x)[:, 1:]
    theirs = binary_log_loss(y[:, np.newaxis], outputs)
    return Losses(float(theirs), estimator.network_.evaluate(x, y), float(np.minimum(terms, limit).mean()))


def grid() -> list[tuple[str, str, Case]]:
    """Every data set, scaled and raw, with every solver and activation: the names of these two, and the case."""
    return [
        (solver, activation, Case(data, is_scaled, {"activation": activation, **SOLVERS[solver]}))
        for data, is_scaled, solver, activation in product(DATA, (True, False), SOLVERS, ACTIVATIONS)
    ]


#: What estimators do beside a plain fit, by name.
WAYS: dict[str, Case] = {
    "early_stopping, two classes": Case("breast_cancer", settings={"early_stopping": True, "learning_rate_init": 0.01}),
    "early_stopping, ten classes": Case("digits", settings={"early_stopping": True}),
    "early_stopping, regression": Case("diabetes", settings={"early_stopping": True, "solver": "sgd"}),
    "early_stopping, adaptive": Case(
        "digits", settings={**SOLVERS["sgd, adaptive"], "early_stopping": True, "learning_rate_init": 0.1}
    ),
    "warm_start, adam": Case("digits", how="twice"),
    "warm_start, sgd": Case("digits", settings={"solver": "sgd"}, how="twice"),
    "warm_start, invscaling": Case("diabetes", settings=SOLVERS["sgd, invscaling"], how="twice"),
    "warm_start, lbfgs": Case("iris", settings={"solver": "lbfgs"}, how="twice", epochs=20),
    "partial_fit, adam": Case("digits", how="by_parts"),
    "partial_fit, sgd": Case("breast_cancer", settings={"solver": "sgd"}, how="by_parts"),
    "partial_fit, regression": Case("diabetes", how="by_parts"),
    "several labels": Case("two_labels"),
    "several labels, sgd, early_stopping": Case("two_labels", settings={"solver": "sgd", "early_stopping": True}),
    "several outputs": Case("two_outputs"),
    "several outputs, sgd": Case("two_outputs", settings={"solver": "sgd", "learning_rate_init": 0.01}),
    "several outputs, lbfgs": Case("two_outputs", settings={"solver": "lbfgs"}, epochs=20),
    "sample_weight": Case("digits", how="weighted"),
    "sample_weight, regression, sgd": Case("diabetes", settings={"solver": "sgd"}, how="weighted"),
    "sample_weight, lbfgs": Case("breast_cancer", settings={"solver": "lbfgs"}, how="weighted", epochs=20),
    "sparse": Case("digits", is_scaled=False, how="sparse"),
    "sparse, lbfgs": Case("digits", is_scaled=False, settings={"solver": "lbfgs"}, how="sparse", epochs=20),
    "poisson": Case("counts", settings={"loss": "poisson"}),
    "poisson, sgd": Case("counts", settings={"loss": "poisson", "solver": "sgd"}),
    "poisson, lbfgs": Case("counts", settings={"loss": "poisson", "solver": "lbfgs"}, epochs=20),
    "poisson, sample_weight": Case("counts", settings={"loss": "poisson"}, how="weighted"),
    "shuffle=False, alpha=0.1": Case("digits", settings={"shuffle": False, "alpha": 0.1}),
    "batch_size=7": Case("iris", settings={"batch_size": 7}),
    "no hidden layer": Case("iris", settings={"hidden_layer_sizes": ()}),
}
