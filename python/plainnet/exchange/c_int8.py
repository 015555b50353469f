"""
Weights as whole numbers of eight bits, for C files: how they are rounded, and what this costs for data that are given.

An output is ``f(bias[j] + scale[j] * sum_i(x[i] * input_scale[i] * weight[i][j]))`` with weights from -127 to 127.
Everything but the weights is of the network's dtype.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..arrays import FLOAT64, Array
from ..layers import Dense
from ..network import Network
from ..reference.equations import ACTIVATIONS as EQUATIONS
from ..reference.equations import affine
from .c_rows import as_rows, check_finite

#: Of weights; -128 is not used, so that a weight and its negative are rounded alike.
LARGEST = 127

#: Rows that pass through the layers at a time.
_ROWS = 4096

#: Of the powers of two that scale inputs: they are normal numbers in float32.
_LARGEST_EXPONENT = 100


class Int8Layer(NamedTuple):
    """
    A layer with rounded weights.

    Attributes
    ----------
    weight : ndarray (n_in, n_out) of int8
    scale : ndarray (n_out,)
    input_scale : ndarray (n_in,) or None
        Powers of two, by which a product is exact; None where all are 1.
    bias : ndarray (n_out,) or None
    activation : str
    """

    weight: Array
    scale: Array
    input_scale: Array | None
    bias: Array | None
    activation: str

    @property
    def as_float64(self) -> Array:
        """The weights (n_in, n_out) that the rounded ones stand for."""
        weight: Array = self.weight * self.scale.astype(FLOAT64)
        return weight if self.input_scale is None else weight * self.input_scale.astype(FLOAT64)[:, None]

    @property
    def n_bytes(self) -> int:
        """What its constants take."""
        arrays = self.weight, self.scale, self.input_scale, self.bias
        return sum(array.nbytes for array in arrays if array is not None)


@dataclass(frozen=True)
class Int8Loss:
    """
    What rounding the weights has changed in a network's outputs for some rows; its ``str`` is a sentence.

    Attributes
    ----------
    n_rows : int
    largest, rms : float
        The largest difference of an output, and the root of the mean of the differences' squares.
    spread : float
        The standard deviation of the outputs themselves, each around its own mean.
    n_same : int or None
        In how many rows the decision is the same: the largest output of softmax or, with the loss log_loss, on which
        side of 1/2 each output is. None for other networks.
    """

    n_rows: int
    largest: float
    rms: float
    spread: float
    n_same: int | None

    def __str__(self) -> str:
        text = (
            f"in {self.n_rows} rows of calibration data, outputs differ from those with exact weights by at most "
            f"{_short(self.largest)}, and by {_short(self.rms)} in root mean square; the outputs' own standard "
            f"deviation is {_short(self.spread)}"
        )
        if self.n_same is None:
            return text
        return f"{text}; the class is the same in {self.n_same} rows, {100 * self.n_same / self.n_rows:.4g} %"


def _short(number: float) -> str:
    return f"{number:.0f}" if 1000 <= number < 1e9 else f"{number:.3g}"


class Int8(NamedTuple):
    """The layers, what rounding has cost, and a network with the weights that the rounded ones stand for."""

    layers: tuple[Int8Layer, ...]
    loss: Int8Loss
    network: Network


def as_int8(calibration: npt.ArrayLike, network: Network) -> Int8:
    """
    `network`, whose parameters are finite, with weights that are rounded for data such as `calibration`.

    Each column of weights, those of an output, has a scale of its own. Inputs of the network may be of very different
    sizes, and their weights then are, too: they are brought to one size before, by powers of two. And each bias takes
    over what rounding adds to its sum for the mean of the rows.

    Raises
    ------
    TypeError, ValueError
        If `calibration` is no array (n_rows, n_in) of finite numbers, or if the predictions for it, or the rounded
        parameters, are not finite.
    """
    x = as_rows("calibration", calibration, network)
    wrong = "the prediction for calibration's {position} is {number}; take rows whose predictions are finite"
    expected = network.predict(x)
    check_finite(expected, wrong)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        layers = tuple(_round_layers(network, x))
        rounded = network.copy()
        for layer, own in zip(rounded.layers, layers):
            layer.weight[...] = own.as_float64
            if layer.bias is not None:
                layer.bias[...] = own.bias
    for k, layer in enumerate(rounded.layers):
        if not (np.isfinite(layer.weight).all() and np.isfinite(0 if layer.bias is None else layer.bias).all()):
            raise ValueError(f"layers[{k}] has a weight or a bias that overflows in {network.dtype} when it is rounded")
    found = rounded.predict(x)
    check_finite(found, wrong.replace("is {number}", "is {number} with int8 weights"))
    return Int8(layers, _loss(network, expected.astype(FLOAT64), found.astype(FLOAT64)), rounded)


# ---- Rounding --------------------------------------------------------------------------------------------------------

#: What a layer computes: weight, bias and the name of the activation.
_Layer = tuple[Array, "Array | None", str]


def _round_layers(network: Network, x: Array) -> list[Int8Layer]:
    exact: list[_Layer] = []
    rounded: list[_Layer] = []
    layers: list[Int8Layer] = []
    for k, layer in enumerate(network.layers):
        own = _round_weights(layer, _input_scale(x, layer.bias is not None) if k == 0 else None)
        weight = layer.weight.astype(FLOAT64)
        if layer.bias is not None:
            change = _mean(x, exact) @ weight - _mean(x, rounded) @ own.as_float64
            own = own._replace(bias=(layer.bias + change).astype(network.dtype))
        exact.append((weight, layer.bias, layer.activation))
        rounded.append((own.as_float64, own.bias, layer.activation))
        layers.append(own)
    return layers


def _round_weights(layer: Dense, input_scale: Array | None) -> Int8Layer:
    """The layer with each column of weights, divided by `input_scale`, as multiples of 1/127 of its largest one."""
    weight = layer.weight.astype(FLOAT64)
    if input_scale is not None:
        weight /= input_scale[:, None]
        input_scale = None if (input_scale == 1).all() else input_scale.astype(layer.weight.dtype)
    scale = (np.abs(weight).max(axis=0) / LARGEST).astype(layer.weight.dtype)
    # A scale that is a subnormal number, or 0, is inexact: the largest weight may not become 127 then.
    multiples = np.rint(np.divide(weight, scale, out=np.zeros_like(weight), where=scale > 0))
    return Int8Layer(np.clip(multiples, -LARGEST, LARGEST).astype(np.int8), scale, input_scale, None, layer.activation)


def _input_scale(x: Array, has_bias: bool) -> Array:
    """Powers of two (n_in,) that bring the columns of `x` to one size, in float64; all are 1 if they are of one."""
    low, high = x.min(axis=0).astype(FLOAT64), x.max(axis=0).astype(FLOAT64)
    largest = np.maximum(np.abs(low), np.abs(high))
    # What is the same in all rows, a bias takes over.
    size = np.where(high > low, high - low, largest) if has_bias else largest
    exponents = -np.round(np.log2(np.where(size > 0, size, 1)))
    if (exponents == exponents[0]).all():
        return np.ones(len(exponents))
    scale: Array = np.exp2(np.clip(exponents, -_LARGEST_EXPONENT, _LARGEST_EXPONENT))
    return scale


def _mean(x: Array, layers: Sequence[_Layer]) -> Array:
    """The mean over the rows of `x` of what `layers` compute of them, in float64."""
    total: Array = np.zeros(())
    for start in range(0, len(x), _ROWS):
        a = x[start : start + _ROWS].astype(FLOAT64)
        for weight, bias, activation in layers:
            a = EQUATIONS[activation].forward(affine(a, weight, bias))
        total = total + a.sum(axis=0)
    return total / len(x)


def _loss(network: Network, expected: Array, found: Array) -> Int8Loss:
    difference, n_same = found - expected, None
    if network.layers[-1].activation == "softmax" and expected.shape[1] > 1:
        n_same = int((expected.argmax(axis=1) == found.argmax(axis=1)).sum())
    elif network.loss == "log_loss":
        n_same = int(((expected > 0.5) == (found > 0.5)).all(axis=1).sum())
    with np.errstate(over="ignore", under="ignore"):
        rms = float(np.sqrt(np.mean(difference**2)))
        spread = float(np.sqrt(np.mean(expected.var(axis=0))))
    return Int8Loss(len(expected), float(np.abs(difference).max()), rms, spread, n_same)
