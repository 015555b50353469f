"""The state of a network, as copies and pickles have it, and its checks."""

from __future__ import annotations

import copyreg
import math
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from .arguments import MAX_PARAMETERS, as_dtype, as_loss
from .arrays import Array, check_name
from .conversion import REFUSALS, as_switch
from .layers import Dense, check_chain, check_options
from .losses import LossLike
from .optimizers import SGD, Optimizer, as_optimizer, as_usable_limit
from .training import Interrupted
from .unfinished import Unfinished, as_unfinished


@dataclass(frozen=True)
class State:
    """
    All that makes a network, but for what its backend allocates.

    Attributes
    ----------
    layers : list of Dense
    loss : str, CrossEntropy, Huber or Quantile
    loss_limit : float, optional
    divide_penalty : bool
    backend : str
    dtype : numpy.dtype
    parameters : ndarray (n_parameters,)
        Of that dtype, in either byte order.
    shuffle_seed, epochs_trained : int
    begun : Interrupted, optional
    optimizer : Optimizer
    optimizer_steps : int
    optimizer_state : ndarray (n_slots, n_parameters), optional
        Of the dtype of the parameters, in either byte order; None if the optimizer keeps nothing.
    run : Unfinished, optional
        A call of fit that has not come to its end.
    attributes : dict
        What users have set on the network.
    """

    layers: list[Dense]
    loss: LossLike
    loss_limit: float | None
    divide_penalty: bool
    dtype: np.dtype[Any]
    backend: str
    parameters: Array
    shuffle_seed: int
    epochs_trained: int
    begun: Interrupted | None
    optimizer: Optimizer
    optimizer_steps: int
    optimizer_state: Array | None
    run: Unfinished | None
    attributes: dict[str, Any]


def as_state(value: Any, backends: Iterable[str], own: Container[str]) -> State:
    """
    The state that `value`, from ``Network.__getstate__``, describes.

    Parameters
    ----------
    value : dict
    backends : iterable of str
        The names that are allowed.
    own : container of str
        The names of the network's own attributes, none of which may be among those that have been set on it.

    Raises
    ------
    ValueError
        Naming the entry that is missing, unknown or wrong.
    """
    if not isinstance(value, dict):
        raise ValueError(f"the state of a network must be a dict, not {type(value).__name__}")
    names = {field.name for field in fields(State)}
    if not any(name.startswith("optimizer") for name in value):  # of a version that had no optimizers
        value = {**value, "optimizer": SGD(0.1), "optimizer_steps": 0, "optimizer_state": None}
    value = {"run": None, "loss_limit": None, "divide_penalty": False, **value}  # versions before 0.2 had none
    if value.keys() != names:
        missing, unknown = names - value.keys(), value.keys() - names
        raise ValueError(
            f"the state of a network has the entries {sorted(names)}; "
            f"missing are {sorted(missing)}, unknown are {sorted(map(repr, unknown))}"
        )

    def entry(name: str, check: Callable[[Any], Any]) -> Any:
        try:
            return check(value[name])
        except (*REFUSALS, MemoryError) as error:
            raise ValueError(f"in the state of a network, {name!r} is wrong: {error}") from None

    layers = entry("layers", _as_layers)
    n_parameters = sum(layer.n_parameters for layer in layers)
    dtype = entry("dtype", as_dtype)
    entry("layers", lambda _: check_options(layers, dtype))
    optimizer = entry("optimizer", lambda value: as_optimizer(value, dtype))
    return State(
        layers,
        entry("loss", lambda value: as_loss(value, layers[-1].activation, dtype)),
        entry("loss_limit", lambda value: as_usable_limit("loss_limit", value, dtype)),
        entry("divide_penalty", lambda value: as_switch("divide_penalty", value)),
        dtype,
        entry("backend", lambda value: _as_backend(value, backends)),
        entry("parameters", lambda value: _as_stored(value, n_parameters, dtype)),
        entry("shuffle_seed", lambda value: _as_number(value, 0, 2**64 - 1)),
        entry("epochs_trained", lambda value: _as_number(value, 0, MAX_PARAMETERS)),
        entry("begun", _as_interrupted),
        optimizer,
        entry("optimizer_steps", lambda value: _as_number(value, 0, MAX_PARAMETERS)),
        entry("optimizer_state", lambda value: _as_optimizer_state(value, (optimizer.n_slots, n_parameters), dtype)),
        entry("run", lambda value: as_unfinished(value, n_parameters, dtype)),
        entry("attributes", lambda value: _as_attributes(value, own)),
    )


def slots(kind: type) -> set[str]:
    """The names of a subclass's attributes that are not in its objects' dictionaries."""
    return set(copyreg._slotnames(kind))  # type: ignore[attr-defined]


def _as_layers(value: Any) -> list[Dense]:
    layers = []
    for n_in, n_out, activation, bias, *options in value:  # a version that had no options stored none
        layers.append(Dense(n_in, n_out, activation, bias, **dict(*options)))
    check_chain(layers)
    return layers


def _as_backend(value: Any, backends: Iterable[str]) -> str:
    check_name("backend", value, backends)
    return str(value)


def _as_stored(value: Any, n_parameters: int, dtype: np.dtype[Any]) -> Array:
    """Parameters, finite or not; those of another machine may have the other byte order."""
    if not isinstance(value, np.ndarray) or value.dtype.newbyteorder("=") != dtype or value.shape != (n_parameters,):
        what = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
        raise ValueError(f"it is {what}, not an array of {dtype} with shape ({n_parameters},), as the layers have it")
    return value


def _as_optimizer_state(value: Any, shape: tuple[int, int], dtype: np.dtype[Any]) -> Array | None:
    """What an optimizer keeps: finite numbers, or None if that is nothing."""
    if shape[0] == 0:
        if value is not None:
            raise ValueError("it is not None, though the optimizer keeps nothing from step to step")
        return None
    if not isinstance(value, np.ndarray) or value.dtype.newbyteorder("=") != dtype or value.shape != shape:
        what = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
        raise ValueError(f"it is {what}, not an array of {dtype} with shape {shape}, as the optimizer has it")
    if not np.isfinite(value).all():
        raise ValueError("it is not finite")
    return value


def _as_number(value: Any, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"it is {value!r}, not an integer from {least} to {most}")
    return value


def _as_interrupted(value: Any) -> Interrupted | None:
    if value is None:
        return None
    kinds = int, int, bool, int, int, float
    if not isinstance(value, tuple) or tuple(map(type, value)) != kinds:
        raise ValueError(f"it is {value!r}, not None or a tuple of {', '.join(kind.__name__ for kind in kinds)}")
    begun = Interrupted(*value)
    if not (0 < begun.row < begun.rows and begun.batch_size > 0 and begun.row % begun.batch_size == 0):
        raise ValueError(f"no epoch can be interrupted as in {begun}")
    if not (0 <= begun.checksum < 2**64 and math.isfinite(begun.loss_sum)):
        raise ValueError(f"checksum or loss_sum is out of range in {begun}")
    return begun


def _as_attributes(value: Any, own: Container[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise ValueError("it is not a dict whose keys are strings")
    if clash := sorted(name for name in value if name in own):
        raise ValueError(f"{clash} are the network's own")
    return value
