"""The algorithm of Levenberg and Marquardt, with Nielsen's rule for the damping, and geodesic acceleration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..arrays import Array
from .bayesian import BayesianDecay
from .objective import Objective

#: The damping that the first step has, over the largest second derivative.
FIRST_DAMPING = 1e-2

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
    before : float
        The value where the iteration began.
    """

    parameters: Array
    loss: float
    value: float
    gradient: Array
    before: float


def levenberg_marquardt(objective: Objective, bayesian: BayesianDecay | None = None) -> Iterator[Point]:
    """
    The points after each iteration, the first of them where it starts. There is no next one when no step leads down.

    With the gradient g and the second derivatives H of the objective, as Gauss and Newton approximate them, a step d
    solves ``(H + damping * I) d = -g`` (Levenberg 1944, Marquardt 1963). While a step does not lead down, the damping
    grows: the steps become shorter and turn towards -g. When one does, the damping follows from how well the quadratic
    model has predicted the gain (Nielsen, "Damping parameter in Marquardt's method", IMM-REP-1999-05, 1999).

    A straight step leaves the bottom of a valley that bends. So a second system of equations gives a correction, half
    of the acceleration with which the outputs would go on along the valley (Transtrum and Sethna, "Improvements to the
    Levenberg-Marquardt algorithm for nonlinear least-squares minimization", 2012).

    Parameters
    ----------
    objective : Objective
        Of a loss that is a sum or a mean of squares.
    bayesian : BayesianDecay, optional
        Which changes the objective's decay after each iteration.
    """
    parameters = objective.start
    if bayesian is not None:
        objective.decay = bayesian.first(parameters, objective.value(parameters))
    value, gradient, hessian = objective.derivatives(parameters)
    yield Point(parameters, value - objective.decay / 2 * float(parameters @ parameters), value, gradient, np.inf)
    diagonal = np.einsum("ii->i", hessian)  # a view
    damping, growth = FIRST_DAMPING * float(diagonal.max()), 2.0
    while np.isfinite(damping):
        undamped = diagonal.copy()
        diagonal += damping
        step = _solved(hessian, -gradient)
        correction = _solved(hessian, -objective.bend(parameters, step, gradient)) / 2
        diagonal[:] = undamped
        is_short = np.linalg.norm(correction) <= LONGEST_CORRECTION * np.linalg.norm(step)
        trial = parameters + (step + correction if is_short else step)
        gain = value - objective.value(trial)
        if gain > 0:
            predicted = float(step @ (damping * step - gradient)) / 2
            damping *= max(1 / 3, 1 - (2 * min(gain / predicted, 1.0) - 1) ** 3)
            growth, before, parameters = 2.0, value, trial
            value, gradient, hessian = objective.derivatives(parameters)
            diagonal = np.einsum("ii->i", hessian)
            size, decay = float(parameters @ parameters), objective.decay
            loss = value - decay / 2 * size
            point = Point(parameters, loss, value, gradient, before)
            if bayesian is not None:
                objective.decay = bayesian.next(parameters, loss, hessian, decay)
                value, gradient = loss + objective.decay / 2 * size, gradient + (objective.decay - decay) * parameters
                diagonal += objective.decay - decay
            yield point
        elif np.array_equal(trial, parameters):
            return
        else:
            damping *= growth
            growth *= 2


def _solved(matrix: Array, right: Array) -> Array:
    """The solution of a linear system, by LAPACK; NaN if the matrix is singular."""
    try:
        return np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:
        return np.full_like(right, np.nan)
