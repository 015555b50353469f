"""The algorithm of Levenberg and Marquardt, with Nielsen's rule for the damping, and geodesic acceleration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..arrays import Array
from .bayesian import BayesianDecay
from .objective import Objective, check_start

#: The damping that the first step has, over the largest second derivative.
FIRST_DAMPING = 1e-2

#: The least damping: from 0 it could not grow.
LEAST_DAMPING = float(np.finfo(np.float64).tiny)

#: A correction is made where it is at most so long, of the step.
LONGEST_CORRECTION = 0.1875


class Point(NamedTuple):
    """
    Where an iteration ends.

    Attributes
    ----------
    parameters : ndarray (n_free,)
    loss : float
        Without the decay.
    value : float
        Of the objective: the loss and what the decay adds.
    gradient : ndarray (n_free,)
        Of the objective.
    before : float
        The value where the iteration began.
    possible_gain : float
        By how much the best change of a single parameter lowers the value, in the quadratic model.
    """

    parameters: Array
    loss: float
    value: float
    gradient: Array
    before: float
    possible_gain: float


def levenberg_marquardt(objective: Objective, bayesian: BayesianDecay | None = None) -> Iterator[Point]:
    """
    The points after each iteration, the first of them where it starts. There is no next one when no step leads down.

    What is minimised is the loss and ``decay / 2 * sum(parameters**2)``. With its gradient g and its second derivatives
    H, as Gauss and Newton approximate them, a step d solves ``(H + damping * I) d = -g`` (Levenberg 1944, Marquardt
    1963). While a step does not lead down, the damping grows: the steps become shorter and turn towards -g. When one
    does, the damping follows from how well the quadratic model has predicted the gain (Nielsen, "Damping parameter in
    Marquardt's method", IMM-REP-1999-05, 1999).

    A straight step leaves the bottom of a valley that bends. So a second system of equations gives a correction, half
    of the acceleration with which the outputs would go on along the valley (Transtrum and Sethna, "Improvements to the
    Levenberg-Marquardt algorithm for nonlinear least-squares minimization", 2012).

    Parameters
    ----------
    objective : Objective
        Of a loss that is a sum or a mean of squares.
    bayesian : BayesianDecay, optional
        Which changes the decay after each iteration; without it, the decay is 0.
    """
    parameters = objective.start
    loss, gradient, hessian = objective.derivatives(parameters)
    check_start(loss, gradient, hessian)
    decay = 0.0 if bayesian is None else bayesian.first(parameters, loss, hessian)
    point = _point(parameters, loss, gradient, hessian, decay, np.inf)
    check_start(point.value, point.gradient)
    yield point
    value = point.value
    damping, growth = max(FIRST_DAMPING * (float(hessian.diagonal().max()) + decay), LEAST_DAMPING), 2.0
    while np.isfinite(damping):
        trial, predicted = _step(objective, parameters, gradient, hessian, decay, damping)
        gain = value - objective.loss(trial) - _penalty(trial, decay)
        found = objective.derivatives(trial) if gain > 0 else None
        if found is not None and all(np.isfinite(part).all() for part in found):
            ratio = gain / predicted if predicted > gain else 1.0
            damping, growth = max(damping * max(1 / 3, 1 - (2 * ratio - 1) ** 3), LEAST_DAMPING), 2.0
            parameters, (loss, gradient, hessian) = trial, found
            point = _point(parameters, loss, gradient, hessian, decay, value)
            if bayesian is not None:
                decay = bayesian.next(parameters, loss, hessian)
            value = loss + _penalty(parameters, decay)
            yield point
        elif np.array_equal(trial, parameters):
            return
        else:
            damping *= growth
            growth *= 2


def _penalty(parameters: Array, decay: float) -> float:
    """What the decay adds to the loss."""
    with np.errstate(over="ignore"):
        return decay / 2 * float(parameters @ parameters) if decay > 0 else 0.0


def _point(parameters: Array, loss: float, gradient: Array, hessian: Array, decay: float, before: float) -> Point:
    """The point where an iteration ends; `loss`, `gradient` and `hessian` are without the decay."""
    slope, curvature = gradient + decay * parameters, hessian.diagonal() + decay
    with np.errstate(all="ignore"):
        # As the square of a quotient, which neither overflows nor underflows where the gain does not.
        gains = np.divide(slope, np.sqrt(curvature), out=np.zeros_like(slope), where=curvature > 0) ** 2 / 2
    return Point(parameters, loss, loss + _penalty(parameters, decay), slope, before, float(gains.max()))


@np.errstate(all="ignore")  # where numbers overflow, the trial is no gain
def _step(
    objective: Objective, parameters: Array, gradient: Array, hessian: Array, decay: float, damping: float
) -> tuple[Array, float]:
    """
    Where a step leads, and the gain that the quadratic model predicts for it.

    `gradient` and `hessian` are without the decay; `hessian` comes back as it was.
    """
    diagonal, slope = np.einsum("ii->i", hessian), gradient + decay * parameters  # the diagonal is a view
    undamped = diagonal.copy()
    diagonal += decay + damping
    step = _solved(hessian, -slope)
    correction = _solved(hessian, -objective.bend(parameters, step, gradient)) / 2
    diagonal[:] = undamped
    predicted = float(step @ (damping * step - slope)) / 2
    is_short = np.linalg.norm(correction) <= LONGEST_CORRECTION * np.linalg.norm(step)
    return parameters + (step + correction if is_short else step), predicted


def _solved(matrix: Array, right: Array) -> Array:
    """The solution of a linear system, by LAPACK; NaN if the matrix is singular."""
    try:
        return np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:
        return np.full_like(right, np.nan)
