"""
XOR, twice: the networks of two from-scratch tutorials, trained by both backends and compared.

The differences between the two are in :data:`SYSTEMS`; everything else is :class:`plainnet.Network`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from ..arguments import as_count
from ..arrays import Array
from ..backend import DivergedError
from ..checks import AGREEMENT, CrossCheck, relative_difference
from ..layers import Dense
from ..network import Network

if TYPE_CHECKING:
    from ..initializers import Seed

#: The names of the backends in tables.
BACKEND_TITLES = {"c": "C", "numpy": "NumPy"}

EPOCHS = 1500

# Timed runs of each backend, and the seconds after which no further one begins.
_REPEATS = 5
_SECONDS_TO_REPEAT = 3.0

#: Is told of progress: what is counted, how many are done, and of how many.
Progress: TypeAlias = Callable[[str, float, int], None]

#: Epochs from one report of progress to the next: 1 ms in C, about a second in NumPy.
_EPOCHS_PER_REPORT = 10_000

# ---- The two systems -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class System:
    """
    A network, its data and how it is trained.

    Attributes
    ----------
    name, source : str
        Its title, and the tutorial that it is from.
    layers : tuple of Dense
    loss, init : str
        As for :class:`plainnet.Network`.
    learning_rate : float
    x, y : nested tuples
        The four rows of XOR and their targets.
    stuck : str
        Why it does not solve XOR from some starting points.
    """

    name: str
    source: str
    layers: tuple[Dense, ...]
    loss: str
    init: str
    learning_rate: float
    x: tuple[tuple[int, ...], ...]
    y: tuple[tuple[int, ...], ...]
    stuck: str

    def network(self, seed: Seed = None, dtype: npt.DTypeLike = "float64", backend: str = "c") -> Network:
        """A network of this system with the initial weights of `seed`."""
        return Network(self.layers, self.loss, self.init, seed, dtype, backend)

    @property
    def shape(self) -> str:
        """For example ``"2-3-1"``."""
        return "-".join(str(n) for n in (self.layers[0].n_in, *(layer.n_out for layer in self.layers)))


SYSTEMS = {
    "layered": System(
        name="Layered network",
        source='Aditi Mittal, "Writing Python Code for Neural Networks from Scratch"',
        layers=(Dense(2, 3, "tanh"), Dense(3, 1, "sigmoid")),
        loss="log_loss",
        init="normal",
        learning_rate=0.1,
        x=((0, 0), (0, 1), (1, 0), (1, 1)),
        y=((0,), (1,), (1,), (0,)),
        stuck="hidden units that saturate or copy each other give two rows with opposite targets the same values, so "
        "the output is 0.5 for both (loss near ln 2 / 2 = 0.35), on a plateau with almost no gradient to part them",
    ),
    "two_layer": System(
        name="Two-layer network",
        source='James Loy, "How to build your own Neural Network from scratch in Python"',
        layers=(Dense(3, 4, "sigmoid", bias=False), Dense(4, 1, "sigmoid", bias=False)),
        loss="sum_of_squares",
        init="uniform",
        learning_rate=1.0,
        x=((0, 0, 1), (0, 1, 1), (1, 0, 1), (1, 1, 1)),
        y=((0,), (1,), (1,), (0,)),
        stuck="hidden units that start nearly alike are slow to part, and until they do the output stays near 0.5 for "
        "every row (loss near 4 * 0.25 = 1), on a plateau with almost no gradient",
    ),
}

# ---- Training --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """One backend's training: the network after it, the loss curve, the predictions, the seconds of each repeat."""

    network: Network
    loss: npt.NDArray[np.float64]
    predictions: Array
    seconds: tuple[float, ...]

    def n_right(self, y: npt.ArrayLike) -> int:
        """How many rows are on the right side of 0.5."""
        return int(((self.predictions > 0.5) == (np.asarray(y) > 0.5)).sum())


@dataclass(frozen=True)
class Result:
    """A system trained from one starting point; `runs` by backend, the C backend first where there are both."""

    system: System
    runs: dict[str, Run]
    seed: Seed
    epochs: int
    learning_rate: float

    @property
    def first(self) -> Run:
        return next(iter(self.runs.values()))

    @property
    def n_right(self) -> int:
        """How many of the four rows the first backend has right."""
        return self.first.n_right(self.system.y)

    @property
    def solved(self) -> bool:
        return self.n_right == len(self.system.y)

    @property
    def check(self) -> CrossCheck | None:
        """The backends against each other; None where there is only one."""
        if len(self.runs) < 2:
            return None
        c, numpy = self.runs["c"], self.runs["numpy"]
        return CrossCheck(
            relative_difference(c.network.parameters, numpy.network.parameters),
            relative_difference(c.predictions, numpy.predictions),
            relative_difference(c.loss, numpy.loss),
            AGREEMENT[c.network.dtype.name],
        )


def train(
    system: System,
    seed: Seed,
    backends: Sequence[str] = ("c", "numpy"),
    epochs: int = EPOCHS,
    learning_rate: float | None = None,
    dtype: npt.DTypeLike = "float64",
    repeats: int = 1,
    progress: Progress | None = None,
) -> Result:
    """
    Trains `system` from one starting point with each of `backends`.

    Parameters
    ----------
    system : System
    seed : as for :class:`plainnet.Network`
    backends : sequence of {"c", "numpy"}
    epochs : int
    learning_rate : float, optional
        Default: the system's own.
    dtype : float64 or float32
    repeats : int
        How often to train, for the timing; backends take turns. No repeat is begun after three seconds.
    progress : function of (stage, done, total), optional
        Is called now and then.

    Returns
    -------
    Result

    Raises
    ------
    DivergedError
        If the loss becomes NaN or infinite.
    """
    epochs = as_count("epochs", epochs, 0)
    rate = system.learning_rate if learning_rate is None else learning_rate
    start = system.network(seed, dtype)
    x, y = (np.array(rows, start.dtype) for rows in (system.x, system.y))
    runs: dict[str, Run] = {}
    seconds: dict[str, list[float]] = {backend: [] for backend in backends}
    began = time.perf_counter()
    for repeat in range(repeats):
        if repeat > 0 and time.perf_counter() - began > _SECONDS_TO_REPEAT:
            break
        for backend in backends:
            network = start.copy(backend)
            before = time.perf_counter()
            stage = f"epochs with {BACKEND_TITLES[backend]}"
            loss = _fit(network, x, y, epochs, rate, lambda done: progress and progress(stage, done, epochs))
            seconds[backend].append(time.perf_counter() - before)
            if repeat == 0:
                runs[backend] = Run(network, loss, network.predict(x), ())
    timed = {b: Run(run.network, run.loss, run.predictions, tuple(seconds[b])) for b, run in runs.items()}
    return Result(system, timed, seed, epochs, rate)


def _fit(
    network: Network, x: Array, y: Array, epochs: int, rate: float, report: Callable[[int], object]
) -> npt.NDArray[np.float64]:
    """The losses of one ``fit``, bit for bit, by several calls; `report` is told how many epochs are done."""
    losses = []
    for first in range(0, max(epochs, 1), _EPOCHS_PER_REPORT):
        try:
            losses.append(network.fit(x, y, min(_EPOCHS_PER_REPORT, epochs - first), rate).loss)
        except DivergedError as error:
            raise DivergedError(first + error.epoch) from None
        report(min(first + _EPOCHS_PER_REPORT, epochs))
    return np.concatenate(losses)

# ---- Many starting points --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Starts:
    """
    The results from many starting points: the seeds `first_seed`, `first_seed` + 1, ...

    Attributes
    ----------
    n_right : tuple of int
        For each, how many rows ended on the right side of 0.5; -1 where training diverged.
    losses : tuple of float
        For each, the loss of the last epoch.
    checks : tuple of CrossCheck
        Where both backends trained it.
    """

    system: System
    first_seed: int
    backends: tuple[str, ...]
    epochs: int
    n_right: tuple[int, ...]
    losses: tuple[float, ...]
    checks: tuple[CrossCheck, ...]

    @property
    def solved(self) -> tuple[bool, ...]:
        return tuple(n == len(self.system.y) for n in self.n_right)

    @property
    def agree(self) -> bool:
        return all(check.agree for check in self.checks)


def train_starts(
    system: System,
    n: int,
    first_seed: int,
    backends: Sequence[str] = ("c",),
    epochs: int = EPOCHS,
    learning_rate: float | None = None,
    dtype: npt.DTypeLike = "float64",
    progress: Progress | None = None,
) -> Starts:
    """Trains `system` from `n` starting points; the arguments are those of :func:`train`."""
    stages = [f"epochs with {BACKEND_TITLES[backend]}" for backend in backends]
    n_right: list[int] = []
    losses: list[float] = []
    checks: list[CrossCheck] = []
    for k in range(n):

        def report(stage: str, done: float, total: int) -> None:
            if progress:
                progress("starting points", k + (stages.index(stage) + done / total) / len(stages), n)

        try:
            result = train(system, first_seed + k, backends, epochs, learning_rate, dtype, progress=report)
        except DivergedError:
            n_right.append(-1)
            losses.append(math.inf)
            continue
        n_right.append(result.n_right)
        losses.append(float(result.first.loss[-1]))
        if result.check is not None:
            checks.append(result.check)
    return Starts(system, first_seed, tuple(backends), epochs, tuple(n_right), tuple(losses), tuple(checks))
