"""
How `Network.minimize` compares with Adam, with pyrenn, and with SciPy's least squares.

    python benchmarks/last_digit.py                # some minutes; one core
    python benchmarks/last_digit.py --only speed   # adam, speed or rows

Three questions. adam: which loss does Levenberg-Marquardt reach, and does Adam, with the best of five learning rates
and of three batch sizes, reach it in twenty times its time? speed: how long does an iteration take, beside pyrenn's
Levenberg-Marquardt and SciPy's with plainnet's Jacobian? All begin with the same network, and have the same loss and
the same Jacobian before they are timed; they take turns, and a ratio is the median of the rounds' ratios. rows: time
and memory of an iteration, from a thousand rows to 64 thousand. Needs SciPy, scikit-learn and pyrenn.

With OMP_NUM_THREADS=1 and OPENBLAS_NUM_THREADS=1 in the environment all run on one core.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

import plainnet as pn

RATES = [1e-3, 3e-3, 1e-2, 3e-2, 1e-1]
BATCH_SIZES = [32, 128, None]
ITERATIONS = 100
TIMES = 20


def smooth() -> tuple[np.ndarray, np.ndarray, list[int]]:
    """sin(2 x0) x1 at 500 points, without noise, for 2-12-1."""
    x = np.random.default_rng(0).uniform(-2, 2, (500, 2))
    return x, np.sin(2 * x[:, :1]) * x[:, 1:], [2, 12, 1]


def diabetes() -> tuple[np.ndarray, np.ndarray, list[int]]:
    """
    scikit-learn's diabetes data, 442 rows, standardised, for 10-40-1, whose 481 parameters can learn all by heart.

    With 20 hidden neurons, which cannot, the loss falls along valleys in which Adam overtakes Levenberg-Marquardt.
    """
    from sklearn.datasets import load_diabetes

    return *standardised(*load_diabetes(return_X_y=True)), [10, 40, 1]


def friedman() -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Friedman's function of 10 inputs, 2000 rows without noise, standardised, for 10-20-1."""
    from sklearn.datasets import make_friedman1

    return *standardised(*make_friedman1(2000, 10, random_state=0)), [10, 20, 1]


PROBLEMS = {"smooth": smooth, "diabetes": diabetes, "friedman": friedman}


def standardised(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y = y.reshape(-1, 1)
    return (x - x.mean(axis=0)) / x.std(axis=0), (y - y.mean()) / y.std()


def network(sizes: list[int], loss: str = "mean_squared_error", **options: object) -> pn.Network:
    layers = [pn.Dense(*sizes[:2], "tanh"), pn.Dense(*sizes[1:])]
    return pn.Network(layers, loss=loss, seed=0, **options)


# ---- Against Adam ----------------------------------------------------------------------------------------------------


def adam_loss(
    x: np.ndarray, y: np.ndarray, sizes: list[int], rate: float, batch_size: int | None, seconds: float
) -> float:
    """The smallest loss of the training data that Adam has come to at an end of some epochs, in so much time."""
    net = network(sizes, optimizer=pn.Adam(rate))
    best, epochs, end = np.inf, 1, time.perf_counter() + seconds
    while (started := time.perf_counter()) < end:
        net.fit(x, y, epochs=epochs, batch_size=batch_size)
        took = time.perf_counter() - started
        best = min(best, net.evaluate(x, y))
        epochs = max(1, int(epochs * min(2.0, 0.02 * seconds / took)))
    return best


def against_adam() -> None:
    print(f"{'problem':10} {'minimize':>22} {'Adam, ' + str(TIMES) + ' times as long':>50}")
    for name, problem in PROBLEMS.items():
        x, y, sizes = problem()
        network(sizes).minimize(x, y, max_iterations=2)  # imports, and memory
        started = time.perf_counter()
        result = network(sizes).minimize(x, y, max_iterations=ITERATIONS)
        seconds = time.perf_counter() - started
        losses = {
            (rate, size): adam_loss(x, y, sizes, rate, size, TIMES * seconds) for rate in RATES for size in BATCH_SIZES
        }
        (rate, size), best = min(losses.items(), key=lambda item: item[1])
        verdict = "not reached" if best > result.loss else "REACHED"
        print(
            f"{name:10} {result.loss:11.4g} in {seconds:5.2f} s   "
            f"{best:11.4g}, rate {rate:g}, {'all rows' if size is None else f'batches of {size}'}: {verdict}"
        )


# ---- The time of an iteration ----------------------------------------------------------------------------------------


def pyrenn_of(net: pn.Network, x: np.ndarray, y: np.ndarray) -> Callable[[int], float]:
    """A function that makes some iterations of pyrenn from where `net` is, and returns the seconds of one."""
    import contextlib
    import io

    import pyrenn

    theirs = pyrenn.CreateNN([layer.n_in for layer in net.layers] + [net.layers[-1].n_out])
    weights = []  # of each layer the weight, column by column of the input, then the bias
    for layer in net.layers:
        weights += [layer.weight.ravel(), layer.bias]
    start = np.concatenate(weights)
    theirs["w"] = start.copy()
    data, theirs = pyrenn.prepare_data(x.T, y.T, theirs)
    jacobian, error, _ = pyrenn.RTRL(theirs, data)
    check("pyrenn's loss", error, net.evaluate(x, y))
    check("the squares of pyrenn's Jacobian", np.sum(jacobian**2), np.sum(net.jacobian_parameters(x) ** 2))

    def timed(n: int) -> float:
        theirs["w"] = start.copy()
        started = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            pyrenn.train_LM(x.T, y.T, theirs, k_max=n)
        return (time.perf_counter() - started) / n

    return timed


def scipy_of(net: pn.Network, x: np.ndarray, y: np.ndarray) -> Callable[[int], float]:
    """The same for scipy.optimize.least_squares, method="lm", with plainnet's outputs and Jacobian."""
    from scipy.optimize import least_squares

    twin, start = net.copy(), net.parameters.copy()

    def residuals(parameters: np.ndarray) -> np.ndarray:
        twin.parameters[:] = parameters
        return (twin.predict(x) - y).ravel()

    def jacobian(parameters: np.ndarray) -> np.ndarray:
        twin.parameters[:] = parameters
        return twin.jacobian_parameters(x).reshape(len(x) * y.shape[1], -1)

    check("SciPy's loss", np.sum(residuals(start) ** 2), net.evaluate(x, y))

    def timed(n: int) -> float:
        started = time.perf_counter()
        # It counts evaluations of the residuals; one of the Jacobian is an iteration.
        found = least_squares(residuals, start, jacobian, method="lm", ftol=1e-15, xtol=1e-15, gtol=1e-15, max_nfev=n)
        return (time.perf_counter() - started) / found.njev

    return timed


def ours_of(net: pn.Network, x: np.ndarray, y: np.ndarray) -> Callable[[int], float]:
    """The same for Network.minimize."""

    def timed(n: int) -> float:
        twin = net.copy()
        started = time.perf_counter()
        result = twin.minimize(x, y, max_iterations=n)
        return (time.perf_counter() - started) / result.n_iterations

    return timed


def check(what: str, theirs: float, ours: float) -> None:
    if not np.isclose(theirs, ours, rtol=1e-9):
        raise SystemExit(f"{what} is {theirs!r}, and not {ours!r}")


def speed(rounds: int) -> None:
    x, y, sizes = friedman()
    x, y = x / abs(x).max(axis=0), y / abs(y).max(axis=0)  # as pyrenn itself scales them
    net = network(sizes, loss="sum_of_squares")
    ways = {"plainnet": ours_of(net, x, y), "pyrenn": pyrenn_of(net, x, y), "SciPy": scipy_of(net, x, y)}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, timed in ways.items():
            times[name].append(timed(3 if name == "pyrenn" else 30))
    print(f"an iteration, 10-20-1 and {len(x)} rows, medians of {rounds} rounds")
    for name, values in times.items():
        ratio = statistics.median(value / own for value, own in zip(values, times["plainnet"], strict=True))
        print(f"{name:10} {1000 * statistics.median(values):9.2f} ms   {ratio:7.1f} times as long as plainnet")


# ---- Rows ------------------------------------------------------------------------------------------------------------


def one_size(n_rows: int) -> None:
    """In a process of its own: the time of an iteration, and what the iterations add to the peak of memory."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n_rows, 10))
    y = np.sin(x[:, :1] * x[:, 1:2])
    net = network([10, 20, 1])
    net.copy().minimize(x[:1000], y[:1000], max_iterations=2)
    before, times = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, []
    for _ in range(5):
        twin, started = net.copy(), time.perf_counter()
        result = twin.minimize(x, y, max_iterations=10)
        times.append((time.perf_counter() - started) / result.n_iterations)
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    seconds = statistics.median(times)
    print(f"{n_rows:6} rows {1000 * seconds:8.2f} ms {1e6 * seconds / n_rows:6.2f} us a row {more / 1024:6.1f} MB more")


def by_rows() -> None:
    print("an iteration of 10-20-1; the Jacobian of 64 000 rows would take 118 MB")
    for n_rows in (1000, 4000, 16000, 64000):
        subprocess.run([sys.executable, __file__, "--rows", str(n_rows)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["adam", "speed", "rows"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.rows is not None:
        one_size(arguments.rows)
        return
    for name, part in (("adam", against_adam), ("speed", lambda: speed(arguments.rounds)), ("rows", by_rows)):
        if arguments.only in (None, name):
            part()
            print()


if __name__ == "__main__":
    main()
