"""
The equations of the optimizers.

To add an optimizer, write its function here and add a line to the table below them. Each takes the optimizer, the
learning rate, the number of the step from 1 on, the gradient, the parameters and the slots: the arrays that the
optimizer keeps from step to step, which it updates in place. It returns the new parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..arrays import Array
from ..optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop, Rprop


def power(base: float, n: int) -> float:
    """``base**n`` by repeated squaring, with the bits that C has."""
    result = 1.0
    while n > 0:
        if n & 1:
            result *= base
        base *= base
        n >>= 1
    return result


def clipped(optimizer: Optimizer, gradient: Array) -> Array:
    """The gradient, each element within ``clip_value``, and then its norm within ``clip_norm``."""
    if optimizer.clip_value is not None:
        gradient = np.clip(gradient, -optimizer.clip_value, optimizer.clip_value)
    if optimizer.clip_norm is not None:
        norm = float(np.sqrt(np.sum(np.square(gradient, dtype=np.float64))))
        gradient = gradient * min(1.0, optimizer.clip_norm / (norm + 1e-6))
    return gradient


def _decayed(o: Optimizer, g: Array, p: Array) -> Array:
    return g if o.weight_decay == 0 else g + o.weight_decay * p


def _sgd(o: SGD, rate: float, t: int, g: Array, p: Array, slots: Array) -> Array:
    g = _decayed(o, g, p)
    if o.momentum > 0:
        (b,) = slots
        b[:] = o.momentum * b + g
        g = g + o.momentum * b if o.nesterov else b
    return p - rate * g


def _rmsprop(o: RMSprop, rate: float, t: int, g: Array, p: Array, slots: Array) -> Array:
    g = _decayed(o, g, p)
    v = slots[0]
    v[:] = o.alpha * v + (1 - o.alpha) * g**2
    variance = v
    if o.centered:
        m = slots[1]
        m[:] = m + (1 - o.alpha) * (g - m)
        variance = np.maximum(v - m**2, 0)  # which rounding could make negative
    change = g / (np.sqrt(variance) + o.eps)
    if o.momentum > 0:
        b = slots[-1]
        b[:] = o.momentum * b + change
        change = b
    return p - rate * change


def _adagrad(o: Adagrad, rate: float, t: int, g: Array, p: Array, slots: Array) -> Array:
    g = _decayed(o, g, p)
    (v,) = slots
    v[:] = v + g**2
    return p - rate / (1 + (t - 1) * o.learning_rate_decay) * (g / (np.sqrt(v) + o.eps))


def _adam(o: Adam, rate: float, t: int, g: Array, p: Array, slots: Array) -> Array:
    g = _decayed(o, g, p)
    return _adam_step(o, rate, t, g, p, slots)


def _adamw(o: AdamW, rate: float, t: int, g: Array, p: Array, slots: Array) -> Array:
    return _adam_step(o, rate, t, g, (1 - rate * o.weight_decay) * p, slots)


def _adam_step(o: Adam, rate: float, t: int, g: Array, p: Array, slots: Array) -> Array:
    beta1, beta2 = o.betas
    m, v = slots[0], slots[1]
    m[:] = m + (1 - beta1) * (g - m)
    v[:] = beta2 * v + (1 - beta2) * g**2
    square = v
    if o.amsgrad:
        w = slots[2]
        w[:] = np.maximum(w, v)
        square = w
    correction = float(np.sqrt(1 - power(beta2, t)))
    root = np.sqrt(square) / correction + (o.eps / correction if o.eps_hat else o.eps)
    return p - rate / (1 - power(beta1, t)) * (m / root)


def _rprop(o: Rprop, rate: float, t: int, g: Array, p: Array, slots: Array) -> Array:
    g = _decayed(o, g, p)
    before, size = slots
    product = g * before
    eta = np.where(product > 0, o.etas[1], np.where(product < 0, o.etas[0], 1)).astype(p.dtype)
    size[:] = np.clip(size * eta, *o.step_sizes)
    before[:] = np.where(product < 0, 0, g)
    return p - np.sign(before) * size


#: By their names.
UPDATES: dict[str, Callable[[Any, float, int, Array, Array, Array], Array]] = {
    "SGD": _sgd, "RMSprop": _rmsprop, "Adagrad": _adagrad, "Adam": _adam, "AdamW": _adamw, "Rprop": _rprop,
}  # fmt: skip


def updated(
    optimizer: Optimizer,
    rate: float,
    steps: int,
    gradient: Array,
    parameters: Array,
    slots: Array,
    groups: Sequence[tuple[slice, float]],
) -> tuple[Array, Array]:
    """
    The parameters and the slots after a step of an optimizer that has made `steps` steps before.

    `groups` are parts of the parameters with multipliers of the learning rate; where that is 0, nothing changes.
    """
    parameters, slots = parameters.copy(), slots.copy()
    gradient = clipped(optimizer, gradient)
    update = UPDATES[type(optimizer).__name__]
    for part, factor in groups:
        if steps == 0:
            slots[:, part] = np.array(optimizer.start(factor * rate), slots.dtype)[:, np.newaxis]
        if factor > 0:
            parameters[part] = update(
                optimizer, factor * rate, steps + 1, gradient[part], parameters[part], slots[:, part]
            )
            kept = slots[:, part]
            kept[np.abs(kept) < np.finfo(kept.dtype).tiny] = 0  # arithmetic with subnormal numbers is slow
    return parameters, slots
