"""
The optimizers: how a step follows from the gradient. Names, defaults and equations are those of ``torch.optim``, with
``learning_rate`` for ``lr``.

The equations stand in :mod:`plainnet.reference` (NumPy) and in csrc/ (C).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .arrays import Array
from .conversion import as_switch, shown

#: A learning rate: a number, or a function of the number of the step, from 0 on.
LearningRate = float | Callable[[int], float]

# ---- Checks of options -----------------------------------------------------------------------------------------------


def as_number(name: str, value: Any, allowed: str = "a number") -> float:
    """`value` as a float, infinite where it is too large; TypeError if it is no number."""
    if isinstance(value, bool | np.bool_ | str | bytes | np.ndarray | complex | np.complexfloating):
        raise TypeError(f"{name} must be {allowed}, not {shown(value)}")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be {allowed}, not {shown(value)}") from None
    except OverflowError:
        return math.inf


def as_not_negative(name: str, value: Any) -> float:
    number = as_number(name, value)
    if not 0 <= number < math.inf:
        raise ValueError(f"{name} must be finite and at least 0, not {shown(value)}")
    return number


def as_positive(name: str, value: Any) -> float:
    number = as_number(name, value)
    if not 0 < number < math.inf:
        raise ValueError(f"{name} must be finite and above 0, not {shown(value)}")
    return number


def as_limit(name: str, value: Any) -> float | None:
    return None if value is None else as_positive(name, value)


def as_fraction(name: str, value: Any) -> float:
    number = as_number(name, value)
    if not 0 <= number < 1:
        raise ValueError(f"{name} must be at least 0 and below 1, not {shown(value)}")
    return number


def as_rate(name: str, value: Any) -> LearningRate:
    if callable(value):
        return value  # type: ignore[no-any-return]
    return as_positive(name, as_number(name, value, "a number or a function of the step's number"))


def _as_pair(name: str, value: Any) -> tuple[Any, Any]:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise TypeError(f"{name} must be a pair of numbers, not {shown(value)}")
    return value[0], value[1]


def _as_betas(name: str, value: Any) -> tuple[float, float]:
    first, second = _as_pair(name, value)
    return as_fraction(f"{name}[0]", first), as_fraction(f"{name}[1]", second)


def _as_etas(name: str, value: Any) -> tuple[float, float]:
    minus, plus = (as_positive(f"{name}[{k}]", part) for k, part in enumerate(_as_pair(name, value)))
    if not minus < 1 < plus:
        raise ValueError(f"{name} must be a number below 1 and one above 1, not {shown(value)}")
    return minus, plus


def _as_step_sizes(name: str, value: Any) -> tuple[float, float]:
    least, most = (as_positive(f"{name}[{k}]", part) for k, part in enumerate(_as_pair(name, value)))
    if least > most:
        raise ValueError(f"{name} must be the smallest and the largest step, not {shown(value)}")
    return least, most


#: By the name of the option; each takes that name and a value, and returns the value as the optimizer keeps it.
_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "learning_rate": as_rate, "weight_decay": as_not_negative, "clip_norm": as_limit, "clip_value": as_limit,
    "momentum": as_not_negative, "nesterov": as_switch, "centered": as_switch, "amsgrad": as_switch,
    "eps_hat": as_switch, "alpha": as_fraction, "betas": _as_betas, "eps": as_positive,
    "learning_rate_decay": as_not_negative, "initial_accumulator_value": as_not_negative, "etas": _as_etas,
    "step_sizes": _as_step_sizes,
}  # fmt: skip

#: Options that are pairs, and the names of their parts in ``pn_optimizer``.
_PAIRS = {"betas": ("beta1", "beta2"), "etas": ("eta_minus", "eta_plus"), "step_sizes": ("step_min", "step_max")}

#: Names in ``pn_optimizer`` of numbers from 0 to 1, which may be as small as they like.
_FRACTIONS = ("alpha", "beta1", "beta2")

# ---- The optimizers --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Optimizer:
    """
    What all optimizers have in common; this class itself is none.

    Parameters
    ----------
    learning_rate : float or callable
        A number above 0, or a function that has the number of a step, from 0 on, and returns its learning rate;
        :mod:`plainnet.schedules` makes such functions.
    weight_decay : float
        ``weight_decay * parameter`` is added to the gradient (but see :class:`AdamW`).
    clip_norm : float, optional
        The gradient of all parameters is multiplied by ``min(1, clip_norm / (its norm + 1e-6))``.
    clip_value : float, optional
        Each element of the gradient is brought within -clip_value and clip_value, before ``clip_norm`` counts.
    """

    learning_rate: LearningRate = 0.1
    weight_decay: float = dataclasses.field(default=0.0, kw_only=True)
    clip_norm: float | None = dataclasses.field(default=None, kw_only=True)
    clip_value: float | None = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if type(self) is Optimizer:
            raise TypeError(f"Optimizer is what all optimizers have in common; choose one of {allowed_optimizers()}")
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _CHECKS[field.name](field.name, getattr(self, field.name)))

    @property
    def n_slots(self) -> int:
        """How many arrays, each as long as the parameters, are kept from step to step."""
        raise NotImplementedError

    @property
    def is_plain(self) -> bool:
        """Whether this is gradient descent without any option: ``parameters -= learning_rate * gradient``."""
        return False

    def start(self, learning_rate: float) -> tuple[float, ...]:
        """What the slots hold before the first step, whose learning rate is given."""
        return (0.0,) * self.n_slots

    def numbers(self) -> dict[str, float]:
        """The options other than the learning rate, by their names in ``pn_optimizer``; 0 for None."""
        numbers: dict[str, float] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in _PAIRS:
                numbers |= zip(_PAIRS[field.name], value, strict=True)
            elif field.name != "learning_rate":
                numbers[field.name] = 0 if value is None else value
        return numbers


@dataclass(frozen=True)
class SGD(Optimizer):
    """
    Gradient descent, as ``torch.optim.SGD`` (with dampening 0).

    With `momentum`, steps follow ``b = momentum * b + gradient`` or, if `nesterov`, ``gradient + momentum * b``.
    """

    learning_rate: LearningRate = 0.1
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and not self.momentum > 0:
            raise ValueError("nesterov needs a momentum above 0")

    @property
    def n_slots(self) -> int:
        return int(self.momentum > 0)

    @property
    def is_plain(self) -> bool:
        return self.momentum == 0 == self.weight_decay and self.clip_norm is None is self.clip_value


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """
    As ``torch.optim.RMSprop``: steps are divided by the root of a moving average of the gradient's square.

    `alpha` is what the average keeps of itself in a step; if `centered`, the average is taken of the square of the
    gradient's distance from its own average. With `momentum`, steps follow a running sum of the quotients.
    """

    learning_rate: LearningRate = 1e-2
    alpha: float = 0.99
    eps: float = 1e-8
    centered: bool = False
    momentum: float = 0.0

    @property
    def n_slots(self) -> int:
        return 1 + self.centered + (self.momentum > 0)


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """
    As ``torch.optim.Adagrad``: steps are divided by the root of the sum of all squares of the gradient so far.

    In step t = 0, 1, ... the learning rate is divided by ``1 + t * learning_rate_decay``.
    """

    learning_rate: LearningRate = 1e-2
    learning_rate_decay: float = 0.0
    initial_accumulator_value: float = 0.0
    eps: float = 1e-10

    @property
    def n_slots(self) -> int:
        return 1

    def start(self, learning_rate: float) -> tuple[float, ...]:
        return (self.initial_accumulator_value,)


@dataclass(frozen=True)
class Adam(Optimizer):
    """
    As ``torch.optim.Adam``: moving averages of the gradient, divided by the root of one of its square.

    `betas` is what the two averages keep of themselves in a step; both are corrected for beginning at 0. If `amsgrad`,
    the largest average so far stands under the root. If `eps_hat`, `eps` is added to the root of the average before
    that is corrected: it is the epsilon with a hat in section 2 of Kingma and Ba (2015), as in scikit-learn and Keras.
    """

    learning_rate: LearningRate = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    amsgrad: bool = False
    eps_hat: bool = False

    @property
    def n_slots(self) -> int:
        return 2 + self.amsgrad


@dataclass(frozen=True)
class AdamW(Adam):
    """As ``torch.optim.AdamW``: Adam, before which the parameters decay by ``1 - learning_rate * weight_decay``."""

    weight_decay: float = dataclasses.field(default=1e-2, kw_only=True)


@dataclass(frozen=True)
class Rprop(Optimizer):
    """
    As ``torch.optim.Rprop``, for the full batch: steps depend on the gradient's sign alone.

    Each parameter has a step of its own, which begins as the learning rate. It is multiplied by ``etas[1]`` while the
    sign stays the same, by ``etas[0]`` when it changes, and is kept within `step_sizes`.
    """

    learning_rate: LearningRate = 1e-2
    etas: tuple[float, float] = (0.5, 1.2)
    step_sizes: tuple[float, float] = (1e-6, 50.0)

    @property
    def n_slots(self) -> int:
        return 2

    def start(self, learning_rate: float) -> tuple[float, ...]:
        return 0.0, learning_rate


#: By their names; in the order of ``pn_optimizer_kind`` in plainnet.h.
OPTIMIZERS: dict[str, type[Optimizer]] = {kind.__name__: kind for kind in (SGD, RMSprop, Adagrad, Adam, AdamW, Rprop)}


def allowed_optimizers() -> str:
    """The names of the optimizers, as in messages."""
    return ", ".join(f"pn.{name}(...)" for name in OPTIMIZERS)


# ---- Arguments -------------------------------------------------------------------------------------------------------


def as_optimizer(value: Any, dtype: np.dtype[Any]) -> Optimizer:
    """`value` as an optimizer of a network of `dtype`, in which no option may become 0 or infinite."""
    if OPTIMIZERS.get(type(value).__name__) is not type(value):
        raise TypeError(f"optimizer must be one of {allowed_optimizers()}, not {shown(value)}")
    optimizer: Optimizer = dataclasses.replace(value)  # checked again: unpickling checks nothing
    rate = optimizer.learning_rate
    for name, number in [("learning_rate", 1.0 if callable(rate) else rate), *optimizer.numbers().items()]:
        if number != 0 and name not in _FRACTIONS and not is_usable(number, dtype):
            raise ValueError(f"the optimizer's {name} must be finite and above 0 in {dtype.name}, not {shown(number)}")
    return optimizer


def is_usable(number: float, dtype: np.dtype[Any]) -> bool:
    """Whether `number` is finite and above 0 as one of `dtype`."""
    with np.errstate(over="ignore", under="ignore"):
        return bool(0 < dtype.type(number) < np.inf)


def as_usable_limit(name: str, value: Any, dtype: np.dtype[Any]) -> float | None:
    """`value` as a limit in a network of `dtype`: None or a number that is finite and above 0 there."""
    limit = as_limit(name, value)
    if limit is not None and not is_usable(limit, dtype):
        raise ValueError(f"{name} must be finite and above 0 in {dtype.name}, not {shown(value)}")
    return limit


def rates_of_steps(schedule: Callable[[int], Any], first: int, rates: Array, dtype: np.dtype[Any]) -> None:
    """Fills `rates` with the learning rates of the steps from number `first` on."""
    for i in range(len(rates)):
        rate = schedule(first + i)
        name = f"the learning_rate of step {first + i}"
        number = as_number(name, rate)
        if not is_usable(number, dtype):
            raise ValueError(f"{name} must be finite and above 0 in {dtype.name}, not {shown(rate)}")
        rates[i] = number
