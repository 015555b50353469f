"""L-BFGS of SciPy, as the solvers and scikit-learn's estimators of plainnet use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..arrays import Array

#: More evaluations of the loss than a run of any length makes.
_NO_LIMIT = 2**31 - 1


def lbfgs(
    function: Callable[[Array], tuple[float, Array]],
    start: Array,
    max_iterations: int,
    gradient_tolerance: float,
    loss_tolerance: float,
    callback: Callable[[Any], None] | None = None,
    max_evaluations: int = _NO_LIMIT,
) -> Any:
    """
    Minimises a function by L-BFGS-B of SciPy.

    Parameters
    ----------
    function : callable
        From the parameters (n,) to its value and its gradient (n,).
    start : ndarray (n,)
    max_iterations, max_evaluations : int
    gradient_tolerance : float
        It ends when no entry of the gradient is larger.
    loss_tolerance : float
        It ends when an iteration lowers the value by at most so much, relative to the value, or to 1 if that is larger.
    callback : callable, optional
        Has a ``scipy.optimize.OptimizeResult`` after each iteration; with StopIteration it ends the run.

    Returns
    -------
    scipy.optimize.OptimizeResult

    Raises
    ------
    ImportError
        If SciPy is not installed: the extra `solvers`.
    """
    try:
        from scipy.optimize import minimize
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise ImportError('method="lbfgs" needs SciPy; get it with: pip install \'plainnet[solvers]\'') from error
    options = {
        "maxiter": max_iterations, "maxfun": max_evaluations, "gtol": gradient_tolerance, "ftol": loss_tolerance,
    }  # fmt: skip
    # SciPy's own share are products of vectors, for which threads of a BLAS take longer to begin than to compute.
    with threadpool_limits(1, "blas"):
        return minimize(function, start, method="L-BFGS-B", jac=True, callback=callback, options=options)
