"""
The equations of a layer, of the activations and of the losses.

To add an activation or a loss, write its functions here and add a line to the table below them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..activations import ACTIVATIONS as DESCRIPTIONS
from ..arrays import Array

# ---- A dense layer before its activation -----------------------------------------------------------------------------


def affine(x: Array, weight: Array, bias: Array | None) -> Array:
    """``z = x @ weight + bias``."""
    z = x @ weight
    return z if bias is None else z + bias


# ---- Activations: a = f(z), and grad_z = grad_a * f'(z) with the derivative written in a or, if need be, in z --------


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


LEAKY_RELU_SLOPE = 0.01


def _leaky_relu(z: Array) -> Array:
    return np.where(z < 0, LEAKY_RELU_SLOPE * z, z)


def _leaky_relu_backward(a: Array, grad_a: Array) -> Array:
    slope = np.where(a > 0, 1, np.where(a <= 0, LEAKY_RELU_SLOPE, a))  # NaN where a is NaN
    grad_z: Array = grad_a * slope
    return grad_z


def _elu(z: Array) -> Array:
    return np.where(z < 0, np.expm1(z), z)


def _elu_backward(a: Array, grad_a: Array) -> Array:
    grad_z: Array = grad_a * np.where(a > 0, 1, a + 1)
    return grad_z


# Klambauer et al., "Self-Normalizing Neural Networks" (2017): they keep activations at mean 0 and variance 1.
SELU_SCALE, SELU_ALPHA = 1.0507009873554804934, 1.6732632423543772848


def _selu(z: Array) -> Array:
    return np.where(z < 0, SELU_SCALE * SELU_ALPHA * np.expm1(z), SELU_SCALE * z)


def _selu_backward(a: Array, grad_a: Array) -> Array:
    grad_z: Array = grad_a * np.where(a > 0, SELU_SCALE, a + SELU_SCALE * SELU_ALPHA)
    return grad_z


def _softplus(z: Array) -> Array:
    """log(1 + exp(z)), rearranged so that it never overflows."""
    a: Array = np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))
    return a


def _softplus_backward(a: Array, grad_a: Array) -> Array:
    """The sigmoid of z is 1 - exp(-a)."""
    grad_z: Array = grad_a * -np.expm1(-a)
    return grad_z


def _confined(z: Array) -> Array:
    """`z`, but for what lies beyond the numbers where the functions below are 0 or `z`: infinity times 0 is NaN."""
    return np.clip(z, -1000, 1000)


def _silu(z: Array) -> Array:
    a: Array = np.maximum(z, -1000) * _sigmoid(z)
    return a


def _silu_backward(z: Array, grad_a: Array) -> Array:
    s = _sigmoid(z)
    grad_z: Array = grad_a * (s + _confined(z) * s * (1 - s))
    return grad_z


def _mish(z: Array) -> Array:
    a: Array = np.maximum(z, -1000) * np.tanh(_softplus(z))
    return a


def _mish_backward(z: Array, grad_a: Array) -> Array:
    t = np.tanh(_softplus(z))
    grad_z: Array = grad_a * (t + _confined(z) * _sigmoid(z) * (1 - t * t))
    return grad_z


_erfc = np.frompyfunc(math.erfc, 1, 1)  # the standard library's, number by number: NumPy has none


def _normal_distribution(z: Array) -> Array:
    """The probability that a normally distributed number is less than `z`."""
    probability: Array = np.asarray(_erfc(z.astype(np.float64) * -math.sqrt(0.5)) / 2, z.dtype)
    return probability


def _gelu(z: Array) -> Array:
    """`z` times the probability that a normally distributed number is less, which is exact for tiny `z`, too."""
    x = np.minimum(np.abs(z), 1000)
    a: Array = np.where(z < 0, -0.0, z) - x * _normal_distribution(-x)
    return a


def _gelu_backward(z: Array, grad_a: Array) -> Array:
    x = _confined(z)
    density = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    grad_z: Array = grad_a * (_normal_distribution(z) + x * density)
    return grad_z


# gelu_tanh is 0.5 z (1 + tanh(c (z + 0.044715 z^3))) with c = sqrt(2 / pi). 0.5 (1 + tanh(w / 2)) is sigmoid(w).
GELU_TANH_A, GELU_TANH_B = 2 * math.sqrt(2 / math.pi), 2 * math.sqrt(2 / math.pi) * 0.044715


def _gelu_tanh(z: Array) -> Array:
    x = _confined(z)
    a: Array = np.maximum(z, -1000) * _sigmoid(x * (GELU_TANH_A + GELU_TANH_B * x * x))
    return a


def _gelu_tanh_backward(z: Array, grad_a: Array) -> Array:
    x = _confined(z)
    s = _sigmoid(x * (GELU_TANH_A + GELU_TANH_B * x * x))
    grad_z: Array = grad_a * (s + x * s * (1 - s) * (GELU_TANH_A + 3 * GELU_TANH_B * x * x))
    return grad_z


def _below_largest(z: Array) -> Array:
    """max(z) - z of each row, at most the largest number: the difference of finite numbers is finite."""
    return np.minimum(z.max(axis=1, keepdims=True) - z, np.finfo(z.dtype).max)


def _softmax(z: Array) -> Array:
    e = np.exp(-_below_largest(z))  # exp(z), divided by its largest value: never overflows
    return e / e.sum(axis=1, keepdims=True)


def _softmax_backward(a: Array, grad_a: Array) -> Array:
    return a * (grad_a - (a * grad_a).sum(axis=1, keepdims=True))


class ActivationEquations(NamedTuple):
    """
    ``forward(z)`` is `a`; ``backward(a, grad_a)`` is `grad_z`, or ``backward(z, grad_a)`` if the activation's
    description in :mod:`plainnet.activations` says that it needs `z`.
    """

    forward: Callable[[Array], Array]
    backward: Callable[[Array, Array], Array]


ACTIVATIONS: dict[str, ActivationEquations] = {
    "identity": ActivationEquations(_identity, _identity_backward),
    "sigmoid": ActivationEquations(_sigmoid, _sigmoid_backward),
    "tanh": ActivationEquations(_tanh, _tanh_backward),
    "relu": ActivationEquations(_relu, _relu_backward),
    "leaky_relu": ActivationEquations(_leaky_relu, _leaky_relu_backward),
    "elu": ActivationEquations(_elu, _elu_backward),
    "selu": ActivationEquations(_selu, _selu_backward),
    "gelu": ActivationEquations(_gelu, _gelu_backward),
    "gelu_tanh": ActivationEquations(_gelu_tanh, _gelu_tanh_backward),
    "silu": ActivationEquations(_silu, _silu_backward),
    "mish": ActivationEquations(_mish, _mish_backward),
    "softplus": ActivationEquations(_softplus, _softplus_backward),
    "softmax": ActivationEquations(_softmax, _softmax_backward),
}


def kept_for_backward(name: str, z: Array, a: Array) -> Array:
    """`z` or `a`, whichever the backward function of the activation called `name` takes."""
    return z if DESCRIPTIONS[name].backward_needs_z else a


def activation_backward(name: str, z: Array, a: Array, grad_a: Array) -> Array:
    """`grad_z` of the activation called `name`."""
    return ACTIVATIONS[name].backward(kept_for_backward(name, z, a), grad_a)


# ---- Losses over rows: value, and grad_z of the last layer -----------------------------------------------------------


def _log_loss(z: Array, a: Array, y: Array, parameter: float) -> Array:
    """-[y ln a + (1-y) ln(1-a)] with a = sigmoid(z), rearranged so that it is finite for every finite z."""
    loss: Array = np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z)))
    return loss


def _log_loss_grad(a: Array, y: Array, scale: Array, parameter: float) -> Array:
    """(a - y) / (a (1-a)) * a (1-a): the sigmoid's derivative cancels."""
    return scale * (a - y)


def _squares(z: Array, a: Array, y: Array, parameter: float) -> Array:
    return (a - y) ** 2


def _squares_grad(a: Array, y: Array, scale: Array, parameter: float) -> Array:
    return 2 * scale * (a - y)  # scaled first: a mean overflows no sooner than it must


def _absolute_errors(z: Array, a: Array, y: Array, parameter: float) -> Array:
    return np.abs(a - y)


def _absolute_errors_grad(a: Array, y: Array, scale: Array, parameter: float) -> Array:
    return scale * np.sign(a - y)


def _huber(z: Array, a: Array, y: Array, delta: float) -> Array:
    """d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2), with d = a - y."""
    clipped = np.clip(a - y, -delta, delta)
    return clipped * ((a - y) - clipped / 2)


def _huber_grad(a: Array, y: Array, scale: Array, delta: float) -> Array:
    return scale * np.clip(a - y, -delta, delta)


def _log_cosh(z: Array, a: Array, y: Array, parameter: float) -> Array:
    """ln cosh d, as log1p(cosh d - 1) near 0, where that is exact, and beyond in a form that does not overflow."""
    s = np.abs(a - y)
    near, far = np.minimum(s, 1), np.maximum(s, 1)
    cosh_less_1 = np.expm1(-near) ** 2 / (2 * np.exp(-near))
    return np.where(s <= 1, np.log1p(cosh_less_1), far + np.log1p(np.exp(-2 * far)) - float(np.log(2)))


def _log_cosh_grad(a: Array, y: Array, scale: Array, parameter: float) -> Array:
    return scale * np.tanh(a - y)


def _quantile(z: Array, a: Array, y: Array, q: float) -> Array:
    return np.maximum(q * (y - a), (q - 1) * (y - a))


def _quantile_grad(a: Array, y: Array, scale: Array, q: float) -> Array:
    slope = np.where(a > y, 1 - q, np.where(a < y, -q, a - y)).astype(a.dtype)  # 0 where they are equal; NaN stays NaN
    return scale * slope


def _poisson(z: Array, a: Array, y: Array, parameter: float) -> Array:
    """The negative log likelihood of counts y whose rate is exp(a), without the term ln y!, which has no gradient."""
    return np.exp(a) - y * a


def _poisson_grad(a: Array, y: Array, scale: Array, parameter: float) -> Array:
    return scale * (np.exp(a) - y)


def _smoothed(a: Array, y: Array, smoothing: float) -> Array:
    """The targets (m, n_out), smoothed; labels (m,) stand for 1 at their class and 0 elsewhere."""
    n_out = a.shape[1]
    probabilities = (y[:, np.newaxis] == np.arange(n_out)).astype(a.dtype) if y.ndim == 1 else y
    return (1 - smoothing) * probabilities + smoothing / n_out


def _cross_entropy(z: Array, a: Array, y: Array, smoothing: float) -> Array:
    """-sum t ln a with a = softmax(z): -ln a is max(z) - z + ln sum exp(z - max(z)), of terms that are at least 0."""
    t, below = _smoothed(a, y, smoothing), _below_largest(z)
    log_sum = np.log(np.exp(-below).sum(axis=1, keepdims=True))
    return (t * below).sum(axis=1, keepdims=True) + log_sum * t.sum(axis=1, keepdims=True)


def _cross_entropy_grad(a: Array, y: Array, scale: Array, smoothing: float) -> Array:
    """a - t, as the targets t of a row sum to 1: softmax' own derivative cancels."""
    t = _smoothed(a, y, smoothing)
    return scale * (t.sum(axis=1, keepdims=True) * a - t)


class LossEquations(NamedTuple):
    """
    A loss over rows: all arrays are (m, n_out); but labels are (m,).

    ``value(z, a, y, parameter)`` has the terms of the sum, (m, n_out) or (m, 1). ``grad(a, y, scale, parameter)`` is
    its gradient times `scale`: with respect to `a` or, if the loss ``is_fused`` with the last activation, to `z`.
    """

    value: Callable[[Array, Array, Array, float], Array]
    grad: Callable[[Array, Array, Array, float], Array]
    is_fused: bool = False


LOSSES: dict[str, LossEquations] = {
    "log_loss": LossEquations(_log_loss, _log_loss_grad, is_fused=True),
    "sum_of_squares": LossEquations(_squares, _squares_grad),
    "mean_squared_error": LossEquations(_squares, _squares_grad),
    "mean_absolute_error": LossEquations(_absolute_errors, _absolute_errors_grad),
    "huber": LossEquations(_huber, _huber_grad),
    "log_cosh": LossEquations(_log_cosh, _log_cosh_grad),
    "quantile": LossEquations(_quantile, _quantile_grad),
    "poisson": LossEquations(_poisson, _poisson_grad),
    "cross_entropy": LossEquations(_cross_entropy, _cross_entropy_grad, is_fused=True),
}
