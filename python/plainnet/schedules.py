"""
Learning rates that change from step to step: functions of the number of a step, from 0 on.

Each function here makes one, which an optimizer takes as its ``learning_rate``, or ``fit`` does. The rates are those of
``torch.optim.lr_scheduler``, if its scheduler goes on after every step.

>>> import plainnet as pn
>>> optimizer = pn.Adam(pn.schedules.linear_warmup(100, pn.schedules.cosine(1e-3, 1000)))
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from .arguments import as_count
from .arrays import check_name
from .conversion import shown
from .optimizers import LearningRate, as_not_negative, as_positive, as_rate

Schedule = Callable[[int], float]

# ---- The schedules as objects, which can be pickled ------------------------------------------------------------------


@dataclass(frozen=True)
class _Step:
    rate: float
    step_size: int
    gamma: float

    def __call__(self, step: int) -> float:
        return self.rate * self.gamma ** (step // self.step_size)


@dataclass(frozen=True)
class _Exponential:
    rate: float
    gamma: float

    def __call__(self, step: int) -> float:
        return self.rate * self.gamma**step


@dataclass(frozen=True)
class _Cosine:
    rate: float
    n_steps: int
    minimum: float

    def __call__(self, step: int) -> float:
        half = (1 + math.cos(math.pi * step / self.n_steps)) / 2
        return self.minimum + (self.rate - self.minimum) * half


#: The defaults of PyTorch's OneCycleLR: the part of the steps in which the rate rises, what the largest rate is divided
#: by at the beginning, and what that one is divided by at the end.
_RISING_PART, _START_DIVISOR, _END_DIVISOR = 0.3, 25.0, 1e4


@dataclass(frozen=True)
class _OneCycle:
    max_rate: float
    n_steps: int

    def __call__(self, step: int) -> float:
        first, last = self.max_rate / _START_DIVISOR, self.n_steps - 1
        peak = _RISING_PART * self.n_steps - 1
        step = min(step, last)
        if step <= peak:
            start, end, part = first, self.max_rate, step / peak
        else:
            start, end, part = self.max_rate, first / _END_DIVISOR, (step - peak) / (last - peak)
        return end + (start - end) / 2 * (math.cos(math.pi * part) + 1)


@dataclass(frozen=True)
class _LinearWarmup:
    n_steps: int
    then: LearningRate

    def __call__(self, step: int) -> float:
        rate = self.then(max(0, step - self.n_steps)) if callable(self.then) else self.then
        return rate * (step + 1) / self.n_steps if step < self.n_steps else rate


# ---- The functions that make them ------------------------------------------------------------------------------------


def step(rate: float, step_size: int, gamma: float = 0.1) -> Schedule:
    """`rate`, multiplied by `gamma` after every `step_size` steps; PyTorch's ``StepLR``."""
    return _Step(as_positive("rate", rate), as_count("step_size", step_size, 1), as_positive("gamma", gamma))


def exponential(rate: float, gamma: float) -> Schedule:
    """`rate`, multiplied by `gamma` after every step; PyTorch's ``ExponentialLR``."""
    return _Exponential(as_positive("rate", rate), as_positive("gamma", gamma))


def cosine(rate: float, n_steps: int, minimum: float = 0.0) -> Schedule:
    """
    From `rate` at step 0 along half a period of the cosine to `minimum` at step `n_steps`; PyTorch's
    ``CosineAnnealingLR``, which rises again after that.

    Steps 0 to ``n_steps - 1`` have rates above 0 in any case; with a `minimum` of 0 training ends with them.
    """
    return _Cosine(as_positive("rate", rate), as_count("n_steps", n_steps, 1), as_not_negative("minimum", minimum))


def one_cycle(max_rate: float, n_steps: int) -> Schedule:
    """
    From ``max_rate / 25`` to `max_rate` in 30 % of the steps, and down to ``max_rate / 250000`` at the last one.

    Both ways follow half a period of the cosine; PyTorch's ``OneCycleLR`` with its defaults. Later steps have the last
    rate.
    """
    return _OneCycle(as_positive("max_rate", max_rate), as_count("n_steps", n_steps, 1))


def linear_warmup(n_steps: int, then: LearningRate) -> Schedule:
    """
    Evenly growing rates in `n_steps` steps, of which the last one has the first rate of `then`; then those of `then`, a
    schedule or a number, from its step 0 on.

    PyTorch's ``SequentialLR`` of ``LinearLR(start_factor=1 / n_steps, total_iters=n_steps - 1)`` and another one.
    """
    return _LinearWarmup(as_count("n_steps", n_steps, 1), as_rate("then", then))


# ---- Their names and numbers -----------------------------------------------------------------------------------------

#: By name, each function, and the type of what it returns; the arguments of the one are the fields of the other.
_KINDS: dict[str, tuple[Callable[..., Schedule], type[Any]]] = {
    "step": (step, _Step),
    "exponential": (exponential, _Exponential),
    "cosine": (cosine, _Cosine),
    "one_cycle": (one_cycle, _OneCycle),
    "linear_warmup": (linear_warmup, _LinearWarmup),
}


def name_and_numbers(schedule: LearningRate) -> tuple[str, dict[str, Any]] | None:
    """The name of the function that makes `schedule`, and its arguments by name; None if none of these makes it."""
    for name, (_, kind) in _KINDS.items():
        if type(schedule) is kind:
            return name, {argument: getattr(schedule, argument) for argument in _arguments(kind)}
    return None


def _arguments(kind: type[Any]) -> list[str]:
    return [field.name for field in fields(kind)]


def from_name(name: Any, arguments: dict[str, Any]) -> Schedule:
    """The schedule that :func:`name_and_numbers` tells of; its arguments are checked."""
    check_name("schedule", name, _KINDS)
    make, kind = _KINDS[name]
    names = _arguments(kind)
    if arguments.keys() != set(names):
        raise ValueError(f"the arguments of {name} are {', '.join(names)}, not {', '.join(map(shown, arguments))}")
    return make(**arguments)
