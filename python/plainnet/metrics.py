"""Numbers that tell people how good predictions are; ``fit`` computes them after each epoch."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .arrays import Array, check_name
from .conversion import shown
from .losses import Loss

#: A function of targets, (n_samples, n_out) or integer labels (n_samples,), and of predictions (n_samples, n_out).
Function = Callable[[Array, Array], float]

#: What a record of training has anyway: no metric can have such a name.
_TAKEN = "epoch", "loss", "validation_loss", "learning_rate"


def accuracy_of_classes(y: Array, prediction: Array, weight: Array | None) -> float:
    """The share of rows whose largest output is that of their label or, of probabilities, of the largest one."""
    labels = y if y.ndim == 1 else y.argmax(axis=1)
    return float(np.average(prediction.argmax(axis=1) == labels, weights=weight))


def accuracy_of_outputs(y: Array, prediction: Array, weight: Array | None) -> float:
    """The share of outputs that are on their target's side of 1/2."""
    right = (prediction >= 0.5) == (y >= 0.5)
    return float(np.average(right.mean(axis=1), weights=weight))


def mean_absolute_error(y: Array, prediction: Array, weight: Array | None) -> float:
    """The mean of abs(prediction - y) over rows and outputs."""
    errors = np.abs(prediction - y, dtype=np.float64)
    return float(np.average(errors.mean(axis=1), weights=weight))


def r2(y: Array, prediction: Array, weight: Array | None) -> float:
    """
    1 - sum (y - prediction)^2 / sum (y - mean y)^2 of each output, and the mean of these, as scikit-learn has it.

    Of an output whose targets are all the same, it is 1 if all predictions are right, else 0.
    """
    targets = y.astype(np.float64)
    weights = np.ones((len(y), 1)) if weight is None else weight[:, np.newaxis].astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # of numbers around 1e160, it is not finite
        residual = (weights * (targets - prediction) ** 2).sum(axis=0)
        total = (weights * (targets - np.average(targets, axis=0, weights=weights[:, 0])) ** 2).sum(axis=0)
        explained = 1 - np.divide(residual, total, out=(residual > 0).astype(np.float64), where=total > 0)
        return float(explained.mean())


@dataclass(frozen=True)
class Metric:
    """A metric under its name: `value` has targets, predictions, and the weights of rows (n_samples,) or None."""

    name: str
    value: Callable[[Array, Array, Array | None], float]


def as_metrics(value: Any, loss: Loss) -> list[Metric]:
    """
    `value` as metrics of a network with this loss.

    Parameters
    ----------
    value : str, callable, or sequence of these

    Raises
    ------
    TypeError, ValueError
        If one is neither a name nor a function, is unknown, does not go with the loss, or is there twice.
    """
    try:
        given = [value] if isinstance(value, str) or callable(value) else list(value)
    except TypeError:
        raise TypeError(f"metrics must be a sequence of names or functions, not {shown(value)}") from None
    metrics = [_as_metric(metric, loss) for metric in given]
    names = [metric.name for metric in metrics]
    for name in names:
        if names.count(name) > 1 or name in _TAKEN:
            reason = "is there twice" if names.count(name) > 1 else "has a name that a record of training has anyway"
            raise ValueError(f"metrics: {name!r} {reason}")
    return metrics


def _as_metric(value: Any, loss: Loss) -> Metric:
    if isinstance(value, str):
        allowed = _metrics_of(loss)
        if value == "accuracy" and value not in allowed:
            needed = '"cross_entropy" or "log_loss"'
            raise ValueError(f'metrics: "accuracy" is the share of right classes: it needs {needed}, not "{loss.name}"')
        check_name("entry of metrics", value, allowed)
        return Metric(value, allowed[value])
    if not callable(value) or isinstance(value, type):
        raise TypeError(f"metrics must hold names or functions (y, prediction), not {shown(value)}")
    name = getattr(value, "__name__", type(value).__name__)
    return Metric(name, lambda y, prediction, weight: _value_of(name, value, y, prediction, weight))


def _metrics_of(loss: Loss) -> dict[str, Callable[[Array, Array, Array | None], float]]:
    """The metrics that go with a loss, by name."""
    if loss.is_distribution:
        return {"accuracy": accuracy_of_classes}
    if loss.name == "log_loss":
        return {"accuracy": accuracy_of_outputs}
    return {"mean_absolute_error": mean_absolute_error, "r2": r2}


def _read_only(array: Array) -> Array:
    """A view that cannot be written to: what is shown to users' functions is what the network is trained with."""
    view: Array = array.view()
    view.flags.writeable = False
    return view


def _value_of(name: str, function: Function, y: Array, prediction: Array, weight: Array | None) -> float:
    """What a user's function returns for the rows that count."""
    if weight is not None:
        y, prediction = y[weight > 0], prediction[weight > 0]
    value = function(_read_only(y.astype(np.int64) if y.ndim == 1 else y), _read_only(prediction))
    if not isinstance(value, numbers.Real) and not (isinstance(value, np.ndarray) and value.ndim == 0):
        raise TypeError(f"metrics: {name!r} must return a number, not {shown(value)}")
    return float(value)
