"""Training with SciPy's L-BFGS-B over the loss and the gradient of a network."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import OptimizeResult
from sklearn.exceptions import ConvergenceWarning

from ..arrays import Array, sum_of_weights
from ..network import Network
from ..progress_bar import ProgressBar
from ..solvers.lbfgs import lbfgs
from ..training import Data
from .blocks import loss_and_gradient
from .networks import Objective, sum_of_squares

if TYPE_CHECKING:
    from .base import BaseMLP

#: Of SciPy, which scikit-learn leaves as it is: 1e7 times the relative rounding of double precision.
SCIPY_LOSS_TOLERANCE = 2.220446049250313e-09


def minimize(estimator: BaseMLP, objective: Objective, data: Data, constant: float) -> None:
    """
    Trains the network of an estimator with all of `data` at once.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    objective : Objective
    data : Data
        x may be a sparse matrix, in the format csr.
    constant : float
        What the loss to report has more than the objective.

    Raises
    ------
    ValueError
        If the parameters that it ends with are not finite.
    """
    network: Network = estimator.network_
    n_rows = int(data.x.shape[0])
    total = sum_of_weights(n_rows, data.weight)

    def function(parameters: Array) -> tuple[float, Array]:
        network.parameters[:] = parameters
        loss, gradient = loss_and_gradient(network, *data)
        penalty = 0.0
        if not objective.is_mean_of_rows:
            penalty = estimator.alpha / 2 * sum_of_squares(network) / total
        return objective.reported(loss, penalty) + constant, objective.factor * gradient

    iterations = _Iterations(estimator, n_rows)
    try:
        result = lbfgs(
            function,
            network.parameters.copy(),
            estimator.max_iter,
            estimator.tol,
            SCIPY_LOSS_TOLERANCE,
            callback=iterations if estimator.verbose or estimator.progress else None,
            max_evaluations=estimator.max_fun,
        )
    finally:
        iterations.close()
    estimator.n_iter_ = min(int(result.nit), estimator.max_iter)
    estimator.loss_ = float(result.fun)
    network.parameters[:] = result.x
    if result.status != 0:
        warnings.warn(_why_not_converged(estimator, result), ConvergenceWarning, stacklevel=5)
    if not np.isfinite(network.parameters).all():
        raise ValueError(
            "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
            "preprocessed."
        )


def _why_not_converged(estimator: BaseMLP, result: OptimizeResult) -> str:
    advice = ""
    if estimator.n_iter_ == estimator.max_iter:
        advice = f"\nIncrease the number of iterations to improve the convergence (max_iter={estimator.max_iter})."
    return (
        f"lbfgs failed to converge after {estimator.n_iter_} iteration(s) (status={result.status}):\n"
        f"{result.message}\n{advice}\n"
        "Data that are scaled, as by sklearn.preprocessing.StandardScaler, often converge sooner."
    )


class _Iterations:
    """The callback of SciPy: lines, and a bar."""

    def __init__(self, estimator: BaseMLP, n_rows: int) -> None:
        self._verbose = bool(estimator.verbose)
        self._bar = ProgressBar(estimator.max_iter, n_rows) if estimator.progress else None
        self._count = 0

    def __call__(self, intermediate_result: Any) -> None:
        self._count += 1
        loss = float(intermediate_result.fun)
        if self._verbose:
            print(f"Iteration {self._count}, loss = {loss:.8f}")
        if self._bar is not None:
            self._bar.update(self._count, 0, {"loss": loss})

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
