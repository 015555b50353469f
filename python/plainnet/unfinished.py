"""A run that has not come to its end: what it takes to resume it, beside the network itself."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

#: The numbers of an epoch, by name.
Logs = dict[str, float]

#: What a callback keeps from epoch to epoch: numbers, None, and arrays of the shape and dtype of ``net.parameters``.
CallbackState = dict[str, Any]


@dataclass(frozen=True)
class Unfinished:
    """
    Attributes
    ----------
    logs : list of dict
        Of the epochs whose end is complete.
    pending : (float, float) or None
        The loss and the learning rate of one more epoch, in whose validation or callbacks the run was interrupted.
    stops : bool
        Whether a callback has ended the run with the last epoch.
    callbacks : list of (str, dict or None)
        The name of each callback's type, and what it keeps, if it can tell.
    """

    logs: list[Logs] = field(default_factory=list)
    pending: tuple[float, float] | None = None
    stops: bool = False
    callbacks: list[tuple[str, CallbackState | None]] = field(default_factory=list)

    @property
    def epochs(self) -> int:
        """How many epochs of training are behind the run."""
        return len(self.logs) + (self.pending is not None)

    def as_dict(self) -> dict[str, Any]:
        """Its fields, with arrays of their own, for :func:`as_unfinished`."""

        def copy(item: Any) -> Any:
            return item.copy() if isinstance(item, np.ndarray) else item

        states = [(name, state and {key: copy(item) for key, item in state.items()}) for name, state in self.callbacks]
        logs = [dict(entry) for entry in self.logs]
        return {"logs": logs, "pending": self.pending, "stops": self.stops, "callbacks": states}


def as_unfinished(value: Any, n_parameters: int, dtype: np.dtype[Any]) -> Unfinished | None:
    """
    The run that `value` describes, a dict with the fields of Unfinished or None; of a network of `dtype`.

    Raises
    ------
    ValueError
        Naming what is wrong.
    """
    if value is None:
        return None
    if not isinstance(value, dict) or value.keys() != {"logs", "pending", "stops", "callbacks"}:
        raise ValueError("it is not None or a dict with logs, pending, stops and callbacks")
    logs, pending, stops, callbacks = value["logs"], value["pending"], value["stops"], value["callbacks"]
    if not isinstance(logs, list) or not all(_are_logs(k, entry, logs[0]) for k, entry in enumerate(logs)):
        raise ValueError("its logs are not a list of dicts of numbers with the same names, and epochs from 1 on")
    if pending is not None:
        pending = tuple(pending) if isinstance(pending, (list, tuple)) else ()
        if len(pending) != 2 or not all(type(number) is float and math.isfinite(number) for number in pending):
            raise ValueError("its pending is not None or a pair of finite numbers")
    if type(stops) is not bool or (stops and not logs):
        raise ValueError("its stops is not a bool, or True where no epoch has ended")
    if not isinstance(callbacks, list):
        raise ValueError("its callbacks are not a list")
    states = [_as_state(k, entry, n_parameters, dtype) for k, entry in enumerate(callbacks)]
    return Unfinished(logs, pending, stops, states)


def _are_logs(k: int, value: Any, first: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == first.keys() >= {"epoch", "loss", "learning_rate"}
        and value["epoch"] == k + 1
        and all(isinstance(name, str) and type(number) in (int, float) for name, number in value.items())
    )


def _as_state(k: int, value: Any, n_parameters: int, dtype: np.dtype[Any]) -> tuple[str, CallbackState | None]:
    """A callback's name and state."""
    if not isinstance(value, (tuple, list)) or len(value) != 2 or not isinstance(value[0], str):
        raise ValueError(f"its callbacks[{k}] is not a pair of a name and a state")
    name, state = value
    if state is None:
        return name, None
    if not isinstance(state, dict):
        raise ValueError(f"the state of its callbacks[{k}] is not a dict")
    for entry, item in state.items():
        is_array = isinstance(item, np.ndarray)
        fits = item.dtype.newbyteorder("=") == dtype and item.shape == (n_parameters,) if is_array else True
        if not isinstance(entry, str) or not fits or not (is_array or type(item) in (type(None), bool, int, float)):
            raise ValueError(
                f"the state of its callbacks[{k}] holds {entry!r}, which is no number, None, or array of {dtype} with "
                f"shape ({n_parameters},)"
            )
    return name, state
