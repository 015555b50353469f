"""
The loss functions by name: what the front and both backends know of them.

The equations stand in :mod:`plainnet.reference` (NumPy) and in csrc/ (C).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from .conversion import shown


@dataclass(frozen=True)
class Loss:
    """
    A loss: a sum over rows and outputs, divided by what it is a mean over.

    Attributes
    ----------
    name : str
    mean_over_rows, mean_over_outputs : bool
        Whether the sum is divided by the number of rows, and by the number of outputs.
    targets : (float, float), optional
        The lowest and the highest target allowed; None allows all finite numbers.
    last_activation : str, optional
        The activation that the last layer must have; None allows all.
    is_distribution : bool
        Whether the targets of a row are probabilities, which sum to 1; labels may then stand for them, class numbers of
        shape (n_samples,).
    parameter : float
        The number that the loss depends on, if there is one; else 0.
    limit : float
        What the loss of an output or, with cross entropy, of a row, counts as at most; 0: no limit.
    divides_penalty : bool
        Whether what the layers' ``l1`` and ``l2`` add is divided by the number of rows.
    """

    name: str
    mean_over_rows: bool = False
    mean_over_outputs: bool = False
    targets: tuple[float, float] | None = None
    last_activation: str | None = None
    is_distribution: bool = False
    parameter: float = 0.0
    limit: float = 0.0
    divides_penalty: bool = False

    def denominator(self, rows: float, n_out: int) -> float:
        """What the sum over rows, whose number or sum of weights is `rows`, and `n_out` outputs is divided by."""
        return (rows if self.mean_over_rows else 1) * (n_out if self.mean_over_outputs else 1)

    def penalty_scale(self, rows: float) -> float:
        """What the layers' penalty is multiplied by in the loss of rows whose number or sum of weights is `rows`."""
        if not self.divides_penalty:
            return 1.0
        return 1 / rows if rows > 0 else 0.0


def _mean(name: str, targets: tuple[float, float] | None = None, parameter: float = 0.0) -> Loss:
    return Loss(name, mean_over_rows=True, mean_over_outputs=True, targets=targets, parameter=parameter)


#: In the order of ``pn_loss`` in plainnet.h; those with a parameter have its default.
LOSSES: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss("log_loss", mean_over_rows=True, targets=(0, 1), last_activation="sigmoid"),
        Loss("sum_of_squares"),
        _mean("mean_squared_error"),
        _mean("mean_absolute_error"),
        _mean("huber", parameter=1.0),
        _mean("log_cosh"),
        _mean("quantile", parameter=0.5),
        _mean("poisson", targets=(0, np.inf)),
        Loss("cross_entropy", mean_over_rows=True, targets=(0, 1), last_activation="softmax", is_distribution=True),
    )
}

# ---- Losses with a parameter -----------------------------------------------------------------------------------------


def _as_parameter(name: str, value: Any, is_allowed: Callable[[float], bool], allowed: str) -> float:
    if isinstance(value, bool | np.bool_ | str | bytes | np.ndarray):
        raise TypeError(f"{name} must be a number, not {shown(value)}")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, not {shown(value)}") from None
    except OverflowError:
        number = np.inf
    if not is_allowed(number):
        raise ValueError(f"{name} must be {allowed}, not {shown(value)}")
    return number


class _Parametric:
    """A loss with one parameter, which is the only field of the dataclass."""

    _name: str
    _allowed: str

    def __post_init__(self) -> None:
        self._check(np.dtype(np.float64))

    @staticmethod
    def _is_allowed(parameter: float) -> bool:
        raise NotImplementedError

    def _check(self, dtype: np.dtype[Any]) -> None:
        (field,) = dataclasses.fields(self)  # type: ignore[arg-type]
        where = "" if dtype == np.float64 else f" in {dtype.name}"

        def is_allowed(number: float) -> bool:
            with np.errstate(over="ignore", under="ignore"):
                return self._is_allowed(float(dtype.type(number)))

        value = getattr(self, field.name)
        object.__setattr__(self, field.name, _as_parameter(field.name, value, is_allowed, self._allowed + where))

    def _described(self, dtype: np.dtype[Any]) -> Loss:
        self._check(dtype)
        (parameter,) = dataclasses.astuple(self)  # type: ignore[call-overload]
        return dataclasses.replace(LOSSES[self._name], parameter=parameter)


@dataclass(frozen=True)
class Huber(_Parametric):
    """
    The mean over rows and outputs of d^2 / 2 where d = a - y is within +-delta, else delta (abs(d) - delta / 2).

    Parameters
    ----------
    delta : float
        Above 0.
    """

    delta: float = 1.0
    _name = "huber"
    _allowed = "finite and above 0"

    @staticmethod
    def _is_allowed(parameter: float) -> bool:
        return 0 < parameter < np.inf


@dataclass(frozen=True)
class Quantile(_Parametric):
    """
    The mean over rows and outputs of the larger of q (y - a) and (q - 1) (y - a), which is least at the quantile q.

    Parameters
    ----------
    q : float
        Above 0 and below 1.
    """

    q: float = 0.5
    _name = "quantile"
    _allowed = "above 0 and below 1"

    @staticmethod
    def _is_allowed(parameter: float) -> bool:
        return 0 < parameter < 1


@dataclass(frozen=True)
class CrossEntropy(_Parametric):
    """
    The mean over rows of -sum t ln a, where a is a softmax and t = (1 - label_smoothing) y + label_smoothing / n_out.

    Parameters
    ----------
    label_smoothing : float
        At least 0 and below 1.
    """

    label_smoothing: float = 0.0
    _name = "cross_entropy"
    _allowed = "at least 0 and below 1"

    @staticmethod
    def _is_allowed(parameter: float) -> bool:
        return 0 <= parameter < 1


#: What names a loss: its name, with the default of its parameter if it has one, or an object that holds the parameter.
LossLike: TypeAlias = str | CrossEntropy | Huber | Quantile
PARAMETRIC = (CrossEntropy, Huber, Quantile)


def described(
    loss: LossLike, dtype: np.dtype[Any], limit: float | None = None, divides_penalty: bool = False
) -> Loss:
    """What is known of the `loss` of a network of `dtype`; its parameter is checked as a number of that dtype."""
    known = LOSSES[loss] if isinstance(loss, str) else loss._described(dtype)
    return dataclasses.replace(known, limit=limit or 0.0, divides_penalty=divides_penalty)
