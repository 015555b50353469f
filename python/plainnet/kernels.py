"""
The C kernels, one at a time, on arrays.

Arguments are whatever NumPy converts to an array of real numbers, in any layout, and data frames of pandas and polars
without missing values. Results are float32 if every argument is, else float64. ``out`` receives the result and is
returned; it must have the result's shape and dtype and may not overlap an input, except that the elementwise functions
accept one of their inputs itself. :mod:`plainnet.reference` has the same functions in NumPy.
"""

from __future__ import annotations

import numpy.typing as npt

from . import native
from .arrays import Array

__all__ = [
    "dense_backward",
    "dense_forward",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "tanh",
    "tanh_backward",
]


def sigmoid(z: npt.ArrayLike, out: Array | None = None) -> Array:
    """
    The logistic function ``1 / (1 + exp(-z))``, elementwise.

    Parameters
    ----------
    z : array_like, any shape
    out : ndarray, same shape, optional
        The array for the result; it may be `z`.

    Returns
    -------
    ndarray
        Within [0, 1]; NaN where `z` is NaN.

    Raises
    ------
    TypeError
        If `z` does not hold real numbers, or `out` has another dtype than the result.
    ValueError
        If `out` has another shape, is read-only, or partly overlaps `z`.
    """
    return native.activate("sigmoid", z, out)


def tanh(z: npt.ArrayLike, out: Array | None = None) -> Array:
    """The hyperbolic tangent, elementwise; arguments and errors as for :func:`sigmoid`."""
    return native.activate("tanh", z, out)


def relu(z: npt.ArrayLike, out: Array | None = None) -> Array:
    """``max(z, 0)``, elementwise: 0 where ``z < 0``, else `z`, NaN and -0 too. Arguments as for :func:`sigmoid`."""
    return native.activate("relu", z, out)


def sigmoid_backward(a: npt.ArrayLike, grad_a: npt.ArrayLike, out: Array | None = None) -> Array:
    """
    From dloss/da to dloss/dz for ``a = sigmoid(z)``: ``grad_a * a * (1 - a)``.

    Parameters
    ----------
    a : array_like, any shape
        The activations, not their arguments.
    grad_a : array_like, same shape
    out : ndarray, same shape, optional
        The array for the result; it may be `a` or `grad_a`.

    Returns
    -------
    ndarray
        ``grad_z``. Errors as for :func:`sigmoid`.
    """
    return native.activate_backward("sigmoid", a, grad_a, out)


def tanh_backward(a: npt.ArrayLike, grad_a: npt.ArrayLike, out: Array | None = None) -> Array:
    """``grad_a * (1 - a**2)``; arguments as for :func:`sigmoid_backward`."""
    return native.activate_backward("tanh", a, grad_a, out)


def relu_backward(a: npt.ArrayLike, grad_a: npt.ArrayLike, out: Array | None = None) -> Array:
    """
    ``grad_a`` where ``a > 0``, else 0, whatever `grad_a` is there; NaN where `a` is NaN.

    Arguments as for :func:`sigmoid_backward`. Where `a` is a zero, the result is that zero, sign included.
    """
    return native.activate_backward("relu", a, grad_a, out)


def dense_forward(
    x: npt.ArrayLike,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    activation: str = "identity",
    out: Array | None = None,
) -> Array:
    """
    One dense layer: ``f(x @ weight + bias)``.

    Parameters
    ----------
    x : array_like (n_samples, n_in)
    weight : array_like (n_in, n_out)
    bias : array_like (n_out,), optional
    activation : str
        One of the activations of :class:`plainnet.Dense`.
    out : ndarray (n_samples, n_out), optional

    Returns
    -------
    ndarray (n_samples, n_out)

    Raises
    ------
    TypeError, ValueError
        As for :func:`sigmoid`, and if the shapes do not fit each other or the activation is unknown.
    """
    return native.dense_forward(x, weight, bias, activation, out)


def dense_backward(
    x: npt.ArrayLike,
    weight: npt.ArrayLike,
    a: npt.ArrayLike,
    grad_a: npt.ArrayLike,
    activation: str = "identity",
    out: tuple[Array, Array, Array] | None = None,
    z: npt.ArrayLike | None = None,
) -> tuple[Array, Array, Array]:
    """
    The backward pass of ``a = dense_forward(x, weight, bias, activation)``.

    Parameters
    ----------
    x : array_like (n_samples, n_in)
    weight : array_like (n_in, n_out)
    a, grad_a : array_like (n_samples, n_out)
        The layer's output, and the loss's gradient with respect to it.
    activation : str
    out : tuple of three ndarrays, optional
    z : array_like (n_samples, n_out), optional
        ``x @ weight + bias``, of which `a` is the activation. Needed by "gelu", "gelu_tanh", "silu" and "mish", whose
        derivatives cannot be written in terms of `a`.

    Returns
    -------
    grad_x : ndarray (n_samples, n_in)
        ``grad_z @ weight.T`` with ``grad_z = grad_a * f'(z)``.
    grad_weight : ndarray (n_in, n_out)
        ``x.T @ grad_z``: summed over the samples, not averaged.
    grad_bias : ndarray (n_out,)
        ``grad_z.sum(axis=0)``.
    """
    return native.dense_backward(x, weight, a, grad_a, activation, out, z)
