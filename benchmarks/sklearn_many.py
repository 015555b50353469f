"""
What jobs gain a grid search over `plainnet.sklearn`: in threads, in processes, and beside the threads of plainnet.

    python benchmarks/sklearn_many.py              # some minutes; --rounds 1 for a first look
    python benchmarks/sklearn_many.py --only small

All ways take turns in one process, whose workers of joblib have been started before. Scores must be equal, bit for bit.
A ratio is the median of the rounds' ratios. Needs scikit-learn.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import cpu_count, parallel_config
from sklearn.datasets import load_digits, load_iris
from sklearn.model_selection import GridSearchCV

import plainnet as pn
from plainnet.native import Model
from plainnet.sklearn import MLPClassifier

ALPHAS = [1e-5, 1e-4, 1e-3, 1e-2]


@dataclass(frozen=True)
class Workload:
    """
    A grid search: a network for each of four alphas, times two folds.

    Attributes
    ----------
    data : str
        "iris", "digits", or "made up": 4000 rows x 64.
    settings : dict
        Of the estimator. All train for `max_iter` epochs.
    """

    title: str
    data: str
    settings: dict[str, Any]


WORKLOADS = {
    "small": Workload("iris, (10,), batches of 32", "iris", {
        "hidden_layer_sizes": (10,), "batch_size": 32, "max_iter": 600,
    }),
    "digits": Workload("digits, (100,), batches of 200", "digits", {"hidden_layer_sizes": (100,), "max_iter": 60}),
    "narrow": Workload("digits, (64, 64), batches of 32", "digits", {
        "hidden_layer_sizes": (64, 64), "batch_size": 32, "max_iter": 40,
    }),
    "medium": Workload("digits, (256, 256), batches of 128", "digits", {
        "hidden_layer_sizes": (256, 256), "batch_size": 128, "max_iter": 15,
    }),
    "large": Workload("4000 x 64, (512, 512), batches of 256", "made up", {
        "hidden_layer_sizes": (512, 512), "batch_size": 256, "max_iter": 3,
    }),
}  # fmt: skip

NOTHING_TO_DO = Workload("", "iris", {"hidden_layer_sizes": (2,), "max_iter": 1})


@dataclass(frozen=True)
class Way:
    """
    How a search runs.

    Attributes
    ----------
    backend : str
        Of joblib.
    n_jobs : int
    n_threads : int
        That plainnet may have in each process.
    """

    title: str
    backend: str
    n_jobs: int
    n_threads: int


WAYS = [
    Way("1 job", "threading", 1, 1),
    Way("1 job, pool of 2", "threading", 1, 2),
    Way("2 threads", "threading", 2, 1),
    Way("2 threads, pool of 2", "threading", 2, 2),
    Way("2 processes", "loky", 2, 1),
    Way("2 processes, pool of 2 in each", "loky", 2, 2),
]


def load(name: str) -> tuple[Any, Any]:
    if name == "made up":
        rng = np.random.default_rng(0)
        return rng.standard_normal((4000, 64)), rng.integers(0, 10, 4000)
    x, y = (load_iris if name == "iris" else load_digits)(return_X_y=True)
    return (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-9), y


def estimator_of(workload: Workload) -> MLPClassifier:
    return MLPClassifier(**workload.settings, tol=0, n_iter_no_change=10**6, random_state=0)


def search(workload: Workload, way: Way, x: Any, y: Any) -> tuple[float, Any]:
    """The seconds of a search, and its scores."""
    grid = GridSearchCV(estimator_of(workload), {"alpha": ALPHAS}, cv=2, refit=False, error_score="raise")
    inner = {"inner_max_num_threads": way.n_threads} if way.backend == "loky" else {}
    pn.set_num_threads(way.n_threads)
    with parallel_config(way.backend, n_jobs=way.n_jobs, **inner):
        start = time.perf_counter()
        grid.fit(x, y)
        return time.perf_counter() - start, grid.cv_results_["mean_test_score"]


def rounds_of(workload: Workload, n_rounds: int) -> dict[Way, list[float]]:
    """
    The seconds of each way in each round.

    joblib starts other processes where their number of threads changes. So a way has its processes started by a small
    search that is not timed.
    """
    x, y = load(workload.data)
    expected = search(workload, WAYS[0], x, y)[1]
    seconds: dict[Way, list[float]] = {way: [] for way in WAYS}
    order = random.Random(0)
    for _ in range(n_rounds):
        for way in order.sample(WAYS, len(WAYS)):
            if way.backend == "loky":
                search(NOTHING_TO_DO, way, *load(NOTHING_TO_DO.data))
            took, scores = search(workload, way, x, y)
            if not np.array_equal(scores, expected):
                raise ArithmeticError(f"{way.title} has other scores than one job: {workload.title}")
            seconds[way].append(took)
    return seconds


def python_share(workload: Workload) -> float:
    """The share of `fit` that is not spent in the steps of the C library, during which other threads run Python."""
    x, y = load(workload.data)
    pn.set_num_threads(1)
    in_c, train = 0.0, Model.train

    def timed(self: Model, *arguments: Any) -> None:
        nonlocal in_c
        start = time.perf_counter()
        train(self, *arguments)
        in_c += time.perf_counter() - start

    estimator = estimator_of(workload)
    estimator.fit(x, y)
    Model.train = timed  # type: ignore[method-assign]
    try:
        start = time.perf_counter()
        estimator.fit(x, y)
        took = time.perf_counter() - start
    finally:
        Model.train = train  # type: ignore[method-assign]
    return 1 - in_c / took


def start_of_processes() -> float:
    """The seconds that a search takes which has nothing to do but to start its processes and import the estimator."""
    data = load(NOTHING_TO_DO.data)
    search(NOTHING_TO_DO, Way("", "loky", 2, 3), *data)  # other processes than those of the next line
    return search(NOTHING_TO_DO, Way("", "loky", 2, 1), *data)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # that training ends before it has converged
    heads = ["grid search, 8 fits", "Python's share of a fit", WAYS[0].title, *(way.title for way in WAYS[1:])]
    print("|", " | ".join(heads), "|", flush=True)
    print("|---|" + "---:|" * (len(heads) - 1))
    for key in arguments.only:
        workload = WORKLOADS[key]
        share = python_share(workload)
        seconds = rounds_of(workload, arguments.rounds)
        alone = seconds[WAYS[0]]
        gains = [statistics.median(a / b for a, b in zip(alone, seconds[way], strict=True)) for way in WAYS[1:]]
        cells = [f"{100 * share:.0f} %", f"{statistics.median(alone):.2f} s", *(f"{gain:.2f}" for gain in gains)]
        print("|", " | ".join([workload.title, *cells]), "|", flush=True)
    print(f"\nTo start two processes takes {start_of_processes():.1f} s more. joblib sees {cpu_count()} CPUs.")


if __name__ == "__main__":
    main()
