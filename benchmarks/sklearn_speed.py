"""
How long whole fits and predictions take with scikit-learn's MLP and with `plainnet.sklearn`, with equal settings.

    python benchmarks/sklearn_speed.py --json benchmarks/results/sklearn.json --page docs/how_to/scikit_learn.md
    python benchmarks/sklearn_speed.py --only predict --threads 1

For each number of threads a process of its own, pinned to as many cores, runs both libraries in turn. Before it is
timed, each fit is compared: a run ends if the loss curves differ. A ratio is the median of the rounds' ratios. Needs
scikit-learn.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from measure import PAUSE_SECONDS, THREAD_VARIABLES
from page import replace_passage
from report import pretty_time, table

ROOT = Path(__file__).parent.parent
MARK = "speed"
CURVE_TOLERANCE = {"float64": 1e-7, "float32": 1e-2}  # of the largest loss
SMALL, LARGE, ONE_ROW = 8, 3, 10  # goals


@dataclass(frozen=True)
class Workload:
    """
    What is timed.

    Attributes
    ----------
    data : str
        Known to :func:`load`.
    goal : float
        The ratio of scikit-learn's time to plainnet's that is wanted.
    settings : dict
        Of both estimators.
    rows : int
        0 times `fit`; else `predict` of so many rows.
    """

    title: str
    data: str
    goal: float
    settings: dict[str, Any] = field(default_factory=dict)
    rows: int = 0


WIDE = {"hidden_layer_sizes": (256, 128), "max_iter": 2}
NARROW = {"hidden_layer_sizes": (64, 64), "batch_size": 32, "max_iter": 50}

WORKLOADS = {
    "digits": Workload("digits, defaults", "digits", LARGE),
    "breast_cancer": Workload("breast_cancer, defaults", "breast_cancer", LARGE),
    "diabetes": Workload("diabetes, defaults", "diabetes", SMALL),
    "synthetic": Workload("20 000 rows x 20, defaults", "synthetic", SMALL),
    "digits-narrow": Workload("digits, (64, 64), batches of 32, 50 epochs", "digits", SMALL, NARROW),
    "diabetes-narrow": Workload("diabetes, (64, 64), batches of 32, 50 epochs", "diabetes", SMALL, NARROW),
    "images": Workload("60 000 x 784, (256, 128), 2 epochs", "images", LARGE, WIDE),
    "diabetes-lbfgs": Workload("diabetes, lbfgs", "diabetes", SMALL, {"solver": "lbfgs"}),
    "digits-lbfgs": Workload("digits, lbfgs", "digits", LARGE, {"solver": "lbfgs"}),
    "predict-row": Workload("predict, digits, 1 row", "digits", ONE_ROW, {"max_iter": 5}, 1),
    "predict-rows": Workload("predict, digits, 10 000 rows", "digits", LARGE, {"max_iter": 5}, 10_000),
    "predict-row-regression": Workload("predict, diabetes, 1 row", "diabetes", ONE_ROW, {"max_iter": 5}, 1),
    "predict-rows-regression": Workload("predict, diabetes, 10 000 rows", "diabetes", LARGE, {"max_iter": 5}, 10_000),
}


@dataclass
class Result:
    """
    The times of one workload with a dtype and a number of threads.

    Attributes
    ----------
    sklearn, plainnet : list of float
        Seconds of a call in each round.
    n_iter : list of int
        ``n_iter_`` of both, scikit-learn first.
    difference : float
        Of the loss curves; with lbfgs, of the last loss.
    """

    workload: str
    dtype: str
    n_threads: int
    sklearn: list[float]
    plainnet: list[float]
    n_iter: list[int]
    difference: float

    @property
    def ratio(self) -> float:
        """scikit-learn's time divided by plainnet's, for as many epochs if one has stopped sooner."""
        per_epoch = self.n_iter[1] / self.n_iter[0]
        return per_epoch * statistics.median(a / b for a, b in zip(self.sklearn, self.plainnet, strict=True))


# ---- In the process of a number of threads ---------------------------------------------------------------------------


def load(name: str, dtype: str) -> tuple[Any, Any]:
    """x, scaled, and y."""
    import numpy as np
    from sklearn import datasets
    from sklearn.preprocessing import StandardScaler

    if name == "synthetic":
        x, y = datasets.make_classification(20_000, 20, n_informative=10, random_state=0)
    elif name == "images":  # ten blurred patterns and noise, most pixels 0, as in MNIST
        random_state = np.random.RandomState(0)
        y = random_state.randint(0, 10, 60_000)
        patterns = random_state.uniform(-1, 1, (10, 784))
        x = np.maximum(patterns[y] + random_state.normal(0, 0.7, (60_000, 784)), 0)
        return x.astype(dtype), y
    else:
        x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        if name == "diabetes":
            y = (y - y.mean()) / y.std()
    return StandardScaler().fit_transform(x).astype(dtype), y.astype(dtype) if name == "diabetes" else y


class Contest:
    """Both libraries with the same settings and data."""

    def __init__(self, workload: Workload, dtype: str) -> None:
        import sklearn.neural_network

        import plainnet.sklearn

        self.workload = workload
        self.dtype = dtype
        self.x, self.y = load(workload.data, dtype)
        kind = "MLPRegressor" if workload.data == "diabetes" else "MLPClassifier"
        self.packages = [sklearn.neural_network, plainnet.sklearn]
        self.fits = [partial(self._fit, getattr(package, kind)) for package in self.packages]
        self.fitted = [fit() for fit in self.fits]

    def _fit(self, kind: Any) -> Any:
        with warnings.catch_warnings(action="ignore"):
            return kind(**self.workload.settings, random_state=0).fit(self.x, self.y)

    def difference(self) -> float:
        """Of the losses that both report."""
        import numpy as np

        name = "loss_" if self.workload.settings.get("solver") == "lbfgs" else "loss_curve_"
        theirs, ours = (np.atleast_1d(getattr(estimator, name)) for estimator in self.fitted)
        n = min(len(theirs), len(ours))
        return float(np.abs(ours[:n] - theirs[:n]).max() / np.abs(theirs).max())

    def calls(self) -> list[Callable[[], Any]]:
        """What is timed, of both."""
        if self.workload.rows == 0:
            return self.fits
        import numpy as np

        rows = np.resize(self.x, (self.workload.rows, self.x.shape[1]))
        return [partial(estimator.predict, rows) for estimator in self.fitted]


def seconds_of(call: Callable[[], Any], n_calls: int, clock: Callable[[], float]) -> float:
    start = clock()
    for _ in range(n_calls):
        call()
    return (clock() - start) / n_calls


def measure(key: str, dtype: str, n_threads: int, seconds: float, clock: Callable[[], float]) -> Result:
    """Times both in turn: at least three rounds and at most 15, for about that long."""
    contest = Contest(WORKLOADS[key], dtype)
    difference = contest.difference()
    is_lbfgs = contest.workload.settings.get("solver") == "lbfgs"  # whose loss depends on rounding: see the page
    if not is_lbfgs and not difference <= CURVE_TOLERANCE[dtype]:
        raise ArithmeticError(f"the loss curves of {key} in {dtype} differ by {difference:.2g}")
    calls = contest.calls()
    n_calls = [max(1, int(0.05 / seconds_of(call, 3, clock))) if contest.workload.rows else 1 for call in calls]
    times: list[list[float]] = [[], []]
    order, end = random.Random(0), time.perf_counter() + seconds
    while len(times[0]) < 3 or (len(times[0]) < 15 and time.perf_counter() < end):
        for which in order.sample(range(2), 2):
            time.sleep(PAUSE_SECONDS)
            times[which].append(seconds_of(calls[which], n_calls[which], clock))
    n_iter = [1, 1] if contest.workload.rows else [int(estimator.n_iter_) for estimator in contest.fitted]
    return Result(key, dtype, n_threads, *times, n_iter, difference)


def work(request: dict[str, Any]) -> None:
    """Measures, and prints a result a line."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, request["cores"])
    clock = time.process_time if request["clock"] == "cpu" and request["n_threads"] == 1 else time.perf_counter
    for key in request["keys"]:
        for dtype in request["dtypes"]:
            result = measure(key, dtype, request["n_threads"], request["seconds"], clock)
            print(json.dumps(asdict(result)), flush=True)


# ---- The whole run ---------------------------------------------------------------------------------------------------


def run(keys: list[str], dtypes: list[str], n_threads: int, seconds: float, clock: str) -> list[Result]:
    """Starts the process of a number of threads, and has it measure."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(n_threads))
    request = {
        "keys": keys, "dtypes": dtypes, "n_threads": n_threads, "seconds": seconds, "clock": clock,
        "cores": cores[-n_threads:],
    }  # fmt: skip
    environment = dict(os.environ, **dict.fromkeys(THREAD_VARIABLES, str(n_threads)))
    command = [sys.executable, __file__, "--work", json.dumps(request)]
    results = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            results.append(Result(**json.loads(line)))
            last = results[-1]
            print(
                f"{last.workload:24} {last.dtype} {n_threads} thread(s): {last.ratio:6.2f}"
                f"   curves {last.difference:.0e}, epochs {last.n_iter}, rounds {len(last.sklearn)}",
                file=sys.stderr,
                flush=True,
            )
    if process.returncode:
        raise SystemExit(f"measuring with {n_threads} threads failed")
    return results


def environment() -> dict[str, str]:
    import numpy
    import scipy
    import sklearn

    import plainnet

    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    return {
        "CPU": model, "cores": str(os.cpu_count()), "Python": platform.python_version(), "NumPy": numpy.__version__,
        "SciPy": scipy.__version__, "scikit-learn": sklearn.__version__, "plainnet": plainnet.__version__,
        "plainnet's instruction set": plainnet.native.isa(),
    }  # fmt: skip


def report(results: list[Result], about: dict[str, str]) -> str:
    """The table, in Markdown: for each dtype and number of threads the ratio; times of float64 with one thread."""
    columns = sorted(
        {(result.dtype, result.n_threads) for result in results}, key=lambda key: (key[0] == "float32", key[1])
    )
    found = {(result.workload, result.dtype, result.n_threads): result for result in results}
    heads = [f"{dtype}, {n} thread{'s' * (n > 1)}" for dtype, n in columns]
    rows = [["", "scikit-learn", "plainnet", *heads, "goal"]]
    for key, workload in WORKLOADS.items():
        if (key, *columns[0]) not in found:
            continue
        first = found[(key, *columns[0])]
        cells = []
        for column in columns:
            result = found[(key, *column)]
            mark = "" if result.ratio >= workload.goal else " (!)"
            cells.append(f"{result.ratio:.1f}{'*' * (result.n_iter[0] != result.n_iter[1])}{mark}")
        times = [pretty_time(statistics.median(seconds)) for seconds in (first.sklearn, first.plainnet)]
        rows.append([workload.title, *times, *cells, f"{workload.goal:g}"])
    machine = ", ".join(f"{name} {value}" for name, value in about.items())
    return (
        f"How many times as long scikit-learn takes; times are those of {heads[0]}. (!) is below the goal. \\* The two "
        f"made different numbers of iterations; the ratio is that for equal ones.\n\n{table(rows)}\n\n{machine}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[""], help=f"parts of keys; the keys are {', '.join(WORKLOADS)}")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--dtypes", nargs="+", default=["float64", "float32"], choices=["float64", "float32"])
    parser.add_argument("--seconds", type=float, default=6.0, help="for each measurement, about (default 6)")
    parser.add_argument(
        "--clock", choices=["wall", "cpu"], default="wall",
        help="with one thread, processor time leaves out what other programs took; with more it is always wall time",
    )  # fmt: skip
    parser.add_argument("--json", help="write the results there")
    parser.add_argument("--page", help=f"put the table there, between the comments that name {MARK!r}")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(json.loads(arguments.work))
        return
    keys = [key for key in WORKLOADS if any(part in key for part in arguments.only)]
    results = [
        result
        for n_threads in arguments.threads
        for result in run(keys, arguments.dtypes, n_threads, arguments.seconds, arguments.clock)
    ]
    about = environment()
    if arguments.json:
        content = {"about": about, "results": [asdict(result) for result in results]}
        Path(arguments.json).write_text(json.dumps(content, indent=1) + "\n")
    text = report(results, about)
    print(text)
    if arguments.page:
        replace_passage(Path(arguments.page), MARK, text)


if __name__ == "__main__":
    main()
