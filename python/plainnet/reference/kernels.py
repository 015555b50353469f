"""The same equations one at a time, as :mod:`plainnet.kernels` has them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..arrays import (
    Array,
    activation_arguments,
    activation_backward_arguments,
    dense_backward_arguments,
    dense_forward_arguments,
)
from .equations import ACTIVATIONS, activation_backward, affine
from .rows import RowSum, blocks_of_rows


def _activate(name: str, z: npt.ArrayLike, out: Array | None) -> Array:
    z, out = activation_arguments(z, out)
    with np.errstate(all="ignore"):
        out[...] = ACTIVATIONS[name].forward(z)
    return out


def _activate_backward(name: str, a: npt.ArrayLike, grad_a: npt.ArrayLike, out: Array | None) -> Array:
    a, grad_a, out = activation_backward_arguments(a, grad_a, out)
    with np.errstate(all="ignore"):
        out[...] = ACTIVATIONS[name].backward(a, grad_a)
    return out


def sigmoid(z: npt.ArrayLike, out: Array | None = None) -> Array:
    """``1 / (1 + exp(-z))``, elementwise; see :func:`plainnet.kernels.sigmoid`."""
    return _activate("sigmoid", z, out)


def tanh(z: npt.ArrayLike, out: Array | None = None) -> Array:
    """``tanh(z)``, elementwise; see :func:`plainnet.kernels.tanh`."""
    return _activate("tanh", z, out)


def relu(z: npt.ArrayLike, out: Array | None = None) -> Array:
    """``max(z, 0)``, elementwise; see :func:`plainnet.kernels.relu`."""
    return _activate("relu", z, out)


def sigmoid_backward(a: npt.ArrayLike, grad_a: npt.ArrayLike, out: Array | None = None) -> Array:
    """``grad_a * a * (1 - a)``; see :func:`plainnet.kernels.sigmoid_backward`."""
    return _activate_backward("sigmoid", a, grad_a, out)


def tanh_backward(a: npt.ArrayLike, grad_a: npt.ArrayLike, out: Array | None = None) -> Array:
    """``grad_a * (1 - a**2)``; see :func:`plainnet.kernels.tanh_backward`."""
    return _activate_backward("tanh", a, grad_a, out)


def relu_backward(a: npt.ArrayLike, grad_a: npt.ArrayLike, out: Array | None = None) -> Array:
    """``grad_a`` where ``a > 0``, else 0; see :func:`plainnet.kernels.relu_backward`."""
    return _activate_backward("relu", a, grad_a, out)


def dense_forward(
    x: npt.ArrayLike,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    activation: str = "identity",
    out: Array | None = None,
) -> Array:
    """``f(x @ weight + bias)``; see :func:`plainnet.kernels.dense_forward`."""
    x, weight, bias, out = dense_forward_arguments(x, weight, bias, activation, out)
    with np.errstate(all="ignore"):
        out[...] = ACTIVATIONS[activation].forward(affine(x, weight, bias))
    return out


def dense_backward(
    x: npt.ArrayLike,
    weight: npt.ArrayLike,
    a: npt.ArrayLike,
    grad_a: npt.ArrayLike,
    activation: str = "identity",
    out: tuple[Array, Array, Array] | None = None,
    z: npt.ArrayLike | None = None,
) -> tuple[Array, Array, Array]:
    """``(grad_x, grad_weight, grad_bias)``; see :func:`plainnet.kernels.dense_backward`."""
    (x, weight, z, a, grad_a), out = dense_backward_arguments(x, weight, z, a, grad_a, activation, out)
    grad_x, grad_weight, grad_bias = out
    with np.errstate(all="ignore"):
        weight_sum, bias_sum = RowSum(weight), RowSum(weight[0])
        for rows in blocks_of_rows(len(x)):
            grad_z = activation_backward(activation, z[rows], a[rows], grad_a[rows])
            grad_x[rows] = grad_z @ weight.T
            weight_sum.add(x[rows].T @ grad_z)
            bias_sum.add(grad_z.sum(axis=0))
        grad_weight[...] = weight_sum.value()
        grad_bias[...] = bias_sum.value()
    return out
