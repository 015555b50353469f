"""A call of :meth:`plainnet.Network.minimize`: its arguments, what happens after each iteration, and its result."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import as_count
from ..arrays import Array, as_native, as_sample_weight, check_name, sum_of_weights
from ..backend import DivergedError
from ..history import History
from ..monitor import set_aside, watch
from ..network import Network
from ..optimizers import as_not_negative
from ..training import Data
from .bayesian import BayesianDecay
from .lbfgs import lbfgs
from .levenberg_marquardt import Point, levenberg_marquardt
from .memory import check_memory
from .objective import Objective

if TYPE_CHECKING:
    from ..monitor import Monitor

METHODS = "levenberg-marquardt", "lbfgs"
SQUARES = "sum_of_squares", "mean_squared_error"

#: With Bayesian regularisation a run also goes on while an iteration changes the decay by more than this part of it.
DECAY_TOLERANCE = 1e-6


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
        tolerances say, or to where rounding ends all progress.
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
        return True, "no step lowers the loss any further, but for rounding"

    def finish(self) -> None:
        """There is nothing to bring up to date: each iteration's end is one assignment."""

    def _lbfgs(self) -> tuple[bool, str]:
        """Training by L-BFGS, of which SciPy knows the algorithm, and this class the end."""
        ends: list[tuple[bool, str]] = []
        start = self.objective.start
        value, gradient = self.objective.value_and_gradient(start)
        end = self._after(Point(start, value, value, gradient, math.inf))
        if end is not None:
            return end

        def callback(intermediate_result: Any) -> None:
            nonlocal value
            found = intermediate_result
            end = self._after(Point(found.x, float(found.fun), float(found.fun), self._gradient, value))
            value = float(found.fun)
            if end is not None:
                ends.append(end)
                raise StopIteration

        result = lbfgs(self._remembered, start, self.max_iterations, 0.0, 0.0, callback)
        if ends:
            return ends[0]
        return result.status == 0, f"SciPy finds no step that lowers the loss any further ({result.message})"

    def _remembered(self, free: Array) -> tuple[float, Array]:
        value, self._gradient = self.objective.value_and_gradient(free)
        return value, self._gradient

    def _after(self, point: Point) -> tuple[bool, str] | None:
        """After an iteration, or before the first one: how the run ends, if it does."""
        self.gradient_norm = float(np.abs(point.gradient).max())
        if math.isinf(point.before):
            if not math.isfinite(point.value + self.gradient_norm):
                raise DivergedError(0, f"its loss is {point.value} for the parameters and the data that it began with")
        else:
            self.n_iterations += 1
            found = self.objective.parameters(point.parameters)
            self.network.parameters[:] = as_native("parameters", found, self.network.dtype)
            self.losses.append(point.loss)
            stops = self.monitor.epoch_end(point.loss, math.nan)
            self.monitor.advance(self.n_iterations, 0, np.array(self.losses))
            if stops:
                return False, ""  # the callback says why
        return self._end(point)

    def _end(self, point: Point) -> tuple[bool, str] | None:
        is_settled = self.bayesian is None or self.bayesian.change <= DECAY_TOLERANCE
        if self.gradient_norm <= self.gradient_tolerance and is_settled:
            norm, limit = self.gradient_norm, self.gradient_tolerance
            return True, f"the largest entry of the gradient is {norm:.3g}, at most gradient_tolerance = {limit:g}"
        gain = (point.before - point.value) / max(abs(point.value), np.finfo(np.float64).tiny)
        if gain <= self.loss_tolerance and is_settled:
            limit = self.loss_tolerance
            return True, f"an iteration has lowered the loss by {gain:.3g} of it, at most loss_tolerance = {limit:g}"
        if self.n_iterations == self.max_iterations:
            return False, f"the run has made max_iterations = {self.max_iterations} iterations"
        return None


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
    monitor = watch(network, data, aside, metrics, callbacks, progress, max_iterations, None)
    if monitor.changes_rates:
        raise ValueError("minimize has no learning rate that a callback such as ReduceOnPlateau could change")
    bayesian = None
    if regularization is not None:
        bayesian = BayesianDecay(sum_of_weights(len(data.x), data.weight) * native_y.shape[1])
    if method == "levenberg-marquardt":
        # The matrix, and LAPACK's copy; the eigenvalues take another one, and their workspace.
        n_bytes = (2 if bayesian is None else 4) * network.parameters.size**2 * 8
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
        None if bayesian is None else run.objective.decay,
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
    rates = [rate for layer in network.layers for rate in (layer.options.weight_rate, layer.options.bias_rate)]
    if not any(rates):
        raise ValueError("there is nothing to minimise: weight_rate and bias_rate of all layers are 0")
