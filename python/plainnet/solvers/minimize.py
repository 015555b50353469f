"""A call of :meth:`plainnet.Network.minimize`: its arguments, what happens after each iteration, and its result."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import as_count
from ..arrays import Array, as_sample_weight, check_name, sum_of_weights
from ..history import History
from ..monitor import set_aside, watch
from ..network import Network
from ..optimizers import as_not_negative
from ..training import Data
from .bayesian import BayesianDecay
from .lbfgs import lbfgs
from .levenberg_marquardt import Point, levenberg_marquardt
from .memory import check_memory
from .objective import Objective, check_start, free_parameters

if TYPE_CHECKING:
    from ..monitor import Monitor

METHODS = "levenberg-marquardt", "lbfgs"
SQUARES = "sum_of_squares", "mean_squared_error"

#: With Bayesian regularisation a run also goes on while an iteration changes the decay by more than this part of it.
DECAY_TOLERANCE = 1e-6

#: Where no step lowers the loss, it is a minimum if in the quadratic model a single parameter could lower it by at most
#: this part of it. Elsewhere are kinks, as relu has them, or parameters so large that rounding hides the steps.
MINIMUM_GAIN = 1e-10

#: Why a run with Bayesian regularisation ends early.
EXHAUSTED = (
    "the data determine as many parameters as they are numbers, which leaves nothing to tell their noise from: "
    'regularization="bayesian" needs more rows or fewer neurons, and counts a row of sample_weight 2 as two rows'
)


@dataclass(frozen=True)
class MinimizeResult:
    """
    How a call of :meth:`plainnet.Network.minimize` has ended.

    Attributes
    ----------
    loss : float
        Of the training data, as ``net.evaluate`` computes it.
    n_iterations : int
    converged : bool
        Whether the run has come to a minimum: to where the gradient is as small, or the loss falls as slowly, as the
        tolerances say, or to where rounding ends all progress. Not where the loss falls slowly because the damping is
        strong, at a kink of relu, or if already the first step of L-BFGS finds nothing better, as it may with numbers
        of unusual size; with Bayesian regularisation, not before the decay has settled.
    message : str
        A sentence that says why the run has ended.
    gradient_norm : float
        The largest entry of the gradient, in absolute value.
    history : History
        An entry for each iteration, with the loss after it; learning rates are NaN, as there are none.
    decay : float or None
        With Bayesian regularisation, what the objective has besides the loss is ``decay / 2 * sum(parameters**2)``.
    effective_parameters : float or None
        With Bayesian regularisation, how many parameters the data determine.

    Both are the next iteration's to begin with. If a callback restores earlier parameters in the end, ``loss`` is
    theirs, and all else that of the last iteration.
    """

    loss: float
    n_iterations: int
    converged: bool
    message: str
    gradient_norm: float
    history: History
    decay: float | None = None
    effective_parameters: float | None = None


class Minimization:
    """
    One call of ``minimize``, for :meth:`TrainingState.run`, as :class:`plainnet.training.Run` is one of ``fit``.

    After each iteration the network has its parameters, and callbacks and Ctrl-C come.
    """

    def __init__(
        self,
        network: Network,
        objective: Objective,
        method: str,
        max_iterations: int,
        tolerances: tuple[float, float],
        bayesian: BayesianDecay | None,
        monitor: Monitor,
    ) -> None:
        self.network = network
        self.objective = objective
        self.method = method
        self.max_iterations = max_iterations
        self.gradient_tolerance, self.loss_tolerance = tolerances
        self.bayesian = bayesian
        self.monitor = monitor
        self.losses: list[float] = []
        self.gradient_norm = math.nan
        self.n_iterations = 0

    def train(self) -> tuple[bool, str]:
        """Whether it has converged, and why it has ended."""
        if self.method == "lbfgs":
            return self._lbfgs()
        for point in levenberg_marquardt(self.objective, self.bayesian):
            end = self._after(point)
            if end is not None:
                return end
        if point.possible_gain > MINIMUM_GAIN * point.value:
            return False, "no step lowers the loss any further, though by its derivatives one should"
        if not self._is_settled():
            return False, "no step lowers the loss any further, though the decay has not settled"
        return True, "no step lowers the loss any further, but for rounding"

    def finish(self) -> None:
        """There is nothing to bring up to date: each iteration's end is one assignment."""

    def _lbfgs(self) -> tuple[bool, str]:
        """Training by L-BFGS, of which SciPy knows the algorithm, and this class the end."""
        ends: list[tuple[bool, str]] = []
        start = self.objective.start
        value, gradient = self.objective.loss_and_gradient(start)
        check_start(value, gradient)
        end = self._after(Point(start, value, value, gradient, math.inf, math.inf))
        if end is not None:
            return end

        def callback(intermediate_result: Any) -> None:
            nonlocal value
            found, before, value = intermediate_result, value, float(intermediate_result.fun)
            # The first step is as long as 1, whatever the loss is like, and a small gain by it says nothing.
            possible_gain = math.inf if self.n_iterations == 0 else 0.0
            end = self._after(Point(found.x, value, value, self._gradient, before, possible_gain))
            if end is not None:
                ends.append(end)
                raise StopIteration

        result = lbfgs(self._remembered, start, self.max_iterations, 0.0, 0.0, callback)
        if ends:
            return ends[0]
        # SciPy's status 0 is that an iteration has lowered the loss by nothing at all.
        is_minimum = result.status == 0 and self.n_iterations > 1
        return is_minimum, f"SciPy finds no step that lowers the loss any further ({result.message})"

    def _remembered(self, free: Array) -> tuple[float, Array]:
        value, self._gradient = self.objective.loss_and_gradient(free)
        return value, self._gradient

    def _after(self, point: Point) -> tuple[bool, str] | None:
        """After an iteration, or before the first one: how the run ends, if it does."""
        if not math.isinf(point.before):
            dtype = self.network.dtype
            with np.errstate(over="ignore", under="ignore"):
                found = self.objective.parameters(point.parameters).astype(dtype)
            if not np.isfinite(found).all():
                return False, f"the next iteration has led to parameters that {dtype} cannot hold"
            self.network.parameters[:] = found
            self.n_iterations += 1
            self.losses.append(point.loss)
        self.gradient_norm = float(np.abs(point.gradient).max())
        if not math.isinf(point.before):
            stops = self.monitor.epoch_end(point.loss, math.nan)
            self.monitor.advance(self.n_iterations, 0, self.losses)
            if stops:
                return False, ""  # the callback says why
        return self._end(point)

    def _end(self, point: Point) -> tuple[bool, str] | None:
        if self.bayesian is not None and self.bayesian.is_exhausted:
            return False, EXHAUSTED
        if self.gradient_norm <= self.gradient_tolerance and self._is_settled():
            norm, limit = self.gradient_norm, self.gradient_tolerance
            return True, f"the largest entry of the gradient is {norm:.3g}, at most gradient_tolerance = {limit:g}"
        least = self.loss_tolerance * max(abs(point.value), sys.float_info.min)
        gain = point.before - point.value
        # Strong damping makes small gains as well, where a change of one parameter would gain more.
        if gain <= least and point.possible_gain <= 10 * least and self._is_settled():
            gain /= max(abs(point.value), sys.float_info.min)
            limit = self.loss_tolerance
            return True, f"an iteration has lowered the loss by {gain:.3g} of it, at most loss_tolerance = {limit:g}"
        if self.n_iterations == self.max_iterations:
            return False, f"the run has made max_iterations = {self.max_iterations} iterations"
        return None

    def _is_settled(self) -> bool:
        """Whether the decay, if there is one, changes no more."""
        return self.bayesian is None or self.bayesian.change <= DECAY_TOLERANCE


def minimize(
    network: Network,
    x: Any,
    y: Any,
    method: str,
    max_iterations: int,
    sample_weight: Any,
    validation: Any,
    metrics: Any,
    callbacks: Any,
    progress: bool,
    gradient_tolerance: float,
    loss_tolerance: float,
    regularization: str | None,
) -> MinimizeResult:
    """:meth:`plainnet.Network.minimize`."""
    check_name("method", method, METHODS)
    _check_network(network, method, regularization)
    max_iterations = as_count("max_iterations", max_iterations, 0)
    tolerances = (
        as_not_negative("gradient_tolerance", gradient_tolerance), as_not_negative("loss_tolerance", loss_tolerance)
    )  # fmt: skip
    native_x, native_y = network._pair(x, y)
    data, aside = Data(native_x, native_y, as_sample_weight(sample_weight, len(native_x), network.dtype)), None
    if validation is not None:
        data, aside = set_aside(network, validation, data)
    network._check_writeable()
    if not isinstance(data.x, np.ndarray):  # rows of a large array, which are to be copied when they are asked for
        data = data._replace(x=data.x[:])
    monitor = watch(network, data, aside, metrics, callbacks, progress, max_iterations, None)
    if monitor.changes_rates:
        raise ValueError("minimize has no learning rate that a callback such as ReduceOnPlateau could change")
    bayesian = None
    if regularization is not None:
        rows = sum_of_weights(len(data.x), data.weight)
        if rows < 1:
            raise ValueError(
                f'sample_weight sums to {rows:.4g}: with regularization="bayesian" it must be at least 1, as a row of '
                "weight 2 counts as two rows"
            )
        bayesian = BayesianDecay(rows * native_y.shape[1])
    if method == "levenberg-marquardt":
        # The matrix, and that of a trial or LAPACK's copy. The eigenvalues take another one, and their workspace; of a
        # network with parameters that stay as they are, the rows and columns of the others are a copy.
        n_matrices = 2 + 2 * (bayesian is not None) + isinstance(free_parameters(network), np.ndarray)
        n_bytes = n_matrices * network.parameters.size**2 * 8
        check_memory(
            f"the second derivatives of {network.parameters.size} parameters", n_bytes,
            'take fewer neurons, or method="lbfgs", or fit',
        )  # fmt: skip
    run = Minimization(network, Objective(network, data), method, max_iterations, tolerances, bayesian, monitor)
    return _carried_out(run, data)


def _carried_out(run: Minimization, data: Data) -> MinimizeResult:
    network, bayesian = run.network, run.bayesian
    with run.monitor:
        converged, message = network._state.run(run.train, (), run.finish, network._optimizer[1], True)
    history = run.monitor.history(np.array(run.losses), math.nan)
    return MinimizeResult(
        network._model.total_loss(*data),
        run.n_iterations,
        converged,
        "; ".join(filter(None, (message, history.stopped))),
        run.gradient_norm,
        history,
        None if bayesian is None else bayesian.decay,
        None if bayesian is None else bayesian.effective_parameters,
    )


def _check_network(network: Network, method: str, regularization: Any) -> None:
    """Refuses options that a method does not know."""
    if regularization is not None:
        check_name("regularization", regularization, ("bayesian",))
        if method != "levenberg-marquardt":
            raise ValueError(f'regularization="bayesian" needs method="levenberg-marquardt", not {method!r}')
    if method == "levenberg-marquardt":
        loss = network._model.loss.name
        if loss not in SQUARES:
            raise ValueError(f'method={method!r} needs one of the losses {SQUARES}, not {loss!r}; "lbfgs" takes all')
        if network.loss_limit is not None:
            raise ValueError(f"method={method!r} does not know loss_limit, and the network has {network.loss_limit}")
    refused = ["dropout", "max_norm"]
    if method == "levenberg-marquardt":
        refused.append("l1")
    if regularization is not None:
        refused.append("l2")
    for k, layer in enumerate(network.layers):
        for name in refused:
            if getattr(layer.options, name):
                how = f"method={method!r}" if regularization is None else 'regularization="bayesian"'
                raise ValueError(f"layers[{k}] has {name}={getattr(layer.options, name)}, which {how} does not know")
    free = free_parameters(network)
    if isinstance(free, np.ndarray) and free.size == 0:
        raise ValueError("there is nothing to minimise: weight_rate and bias_rate of all layers are 0")
