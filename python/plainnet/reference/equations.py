"""
The equations of a layer, of the activations and of the losses.

To add an activation or a loss, write its functions here and add a line to the table below them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..arrays import Array

# ---- A dense layer before its activation -----------------------------------------------------------------------------


def affine(x: Array, weight: Array, bias: Array | None) -> Array:
    """``z = x @ weight + bias``."""
    z = x @ weight
    return z if bias is None else z + bias


# ---- Activations: a = f(z), and grad_z = grad_a * f'(z) with the derivative written in a -----------------------------


def _identity(z: Array) -> Array:
    return z


def _identity_backward(a: Array, grad_a: Array) -> Array:
    return grad_a


def _sigmoid(z: Array) -> Array:
    e = np.exp(-np.abs(z))  # never overflows
    a: Array = np.where(z >= 0, 1, e) / (1 + e)
    return a


def _sigmoid_backward(a: Array, grad_a: Array) -> Array:
    grad_z: Array = grad_a * (a * (1 - a))
    return grad_z


def _tanh(z: Array) -> Array:
    return np.tanh(z)


def _tanh_backward(a: Array, grad_a: Array) -> Array:
    grad_z: Array = grad_a * (1 - a * a)
    return grad_z


def _relu(z: Array) -> Array:
    return np.where(z < 0, 0, z)  # NaN stays NaN, and -0 stays -0


def _relu_backward(a: Array, grad_a: Array) -> Array:
    return np.where(a > 0, grad_a, _relu(a))  # chosen, not multiplied: 0 whatever grad_a is; NaN where a is NaN


class ActivationEquations(NamedTuple):
    """``forward(z)`` is `a`; ``backward(a, grad_a)`` is `grad_z`."""

    forward: Callable[[Array], Array]
    backward: Callable[[Array, Array], Array]


ACTIVATIONS: dict[str, ActivationEquations] = {
    "identity": ActivationEquations(_identity, _identity_backward),
    "sigmoid": ActivationEquations(_sigmoid, _sigmoid_backward),
    "tanh": ActivationEquations(_tanh, _tanh_backward),
    "relu": ActivationEquations(_relu, _relu_backward),
}

# ---- Losses over rows: value, and grad_z of the last layer -----------------------------------------------------------


def _log_loss(z: Array, a: Array, y: Array) -> Array:
    """-[y ln a + (1-y) ln(1-a)] with a = sigmoid(z), rearranged so that it is finite for every finite z."""
    loss: Array = np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z)))
    return loss


def _log_loss_grad_z(a: Array, y: Array, scale: Array, f_backward: Callable[[Array, Array], Array]) -> Array:
    """(a - y) / (a (1-a)) * a (1-a): the sigmoid's derivative cancels."""
    return scale * (a - y)


def _squares(z: Array, a: Array, y: Array) -> Array:
    return (a - y) ** 2


def _squares_grad_z(a: Array, y: Array, scale: Array, f_backward: Callable[[Array, Array], Array]) -> Array:
    return f_backward(a, 2 * scale * (a - y))  # scaled first: a mean overflows no sooner than it must


class LossEquations(NamedTuple):
    """
    A loss over rows: all arrays are (m, n_out).

    ``value(z, a, y)`` has the terms of the sum. ``grad_z(a, y, scale, f_backward)`` is its gradient times `scale`;
    ``f_backward`` is the backward function of the last layer's activation.
    """

    value: Callable[[Array, Array, Array], Array]
    grad_z: Callable[[Array, Array, Array, Callable[[Array, Array], Array]], Array]


LOSSES: dict[str, LossEquations] = {
    "log_loss": LossEquations(_log_loss, _log_loss_grad_z),
    "sum_of_squares": LossEquations(_squares, _squares_grad_z),
    "mean_squared_error": LossEquations(_squares, _squares_grad_z),
}
