"""Checks of arguments other than arrays: counts, switches, dtypes, learning rates, names of losses."""

from __future__ import annotations

import operator
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from .activations import ACTIVATIONS
from .arrays import FLOAT32, FLOAT64, check_name
from .conversion import REFUSALS, shown
from .losses import LOSSES, PARAMETRIC, LossLike, described
from .optimizers import LearningRate, Optimizer, as_number, is_usable

#: More parameters than this cannot be indexed in C.
MAX_PARAMETERS = sys.maxsize // 128


def as_count(name: str, value: Any, least: int) -> int:
    """`value` as an int of at least `least`."""
    if isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, not {value!r}")
    try:
        count = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, not {shown(value)}") from None
    if count < least:
        raise ValueError(f"{name} must be at least {least}, not {shown(count)}")
    if count > MAX_PARAMETERS:
        raise ValueError(f"{name} must be a number that fits into this machine's memory, not {shown(count)}")
    return count


def as_dtype(value: npt.DTypeLike) -> np.dtype[Any]:
    """`value` as the dtype of a network."""
    try:
        dtype = None if value is None else np.dtype(value)
    except REFUSALS:
        dtype = None
    if dtype is None or dtype not in (FLOAT32, FLOAT64):  # NumPy takes None for float64, in comparisons too
        raise ValueError(f"unknown dtype {shown(value)}; allowed are 'float64' and 'float32'")
    return FLOAT32 if dtype == FLOAT32 else FLOAT64


def as_loss(value: Any, last_activation: str, dtype: np.dtype[Any]) -> LossLike:
    """`value` as a loss that goes with the activation of the last layer, in a network of `dtype`."""
    if not isinstance(value, PARAMETRIC):
        check_name("loss", value, LOSSES)
    as_named: LossLike = value if isinstance(value, PARAMETRIC) else str(value)
    loss = described(as_named, dtype)
    if loss.last_activation is not None and loss.last_activation != last_activation:
        needed = loss.last_activation
        raise ValueError(f'{loss.name} needs "{needed}" as the last layer\'s activation, not "{last_activation}"')
    needed_loss = ACTIVATIONS[last_activation].loss
    if needed_loss is not None and needed_loss != loss.name:
        raise ValueError(f'{last_activation} needs "{needed_loss}" as the loss, not "{loss.name}"')
    return as_named


def as_learning_rate(value: Any, optimizer: Optimizer, dtype: np.dtype[Any]) -> LearningRate:
    """`value` as a learning rate of a network of `dtype`, a number or a schedule; the optimizer's if it is None."""
    if type(value) is float and 1e-30 < value < 1e30:
        return value  # the usual case, well within float32
    if value is None:
        return optimizer.learning_rate
    if callable(value):
        return value  # type: ignore[no-any-return]
    rate = as_number("learning_rate", value, "a number or a function of the step's number")
    if not is_usable(rate, dtype):
        raise ValueError(f"learning_rate must be finite and above 0 in {dtype.name}, not {shown(value)}")
    return rate
