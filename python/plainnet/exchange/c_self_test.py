"""The rows that an exported C file checks itself with: what it has to compute, and how far it may be from that."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..arrays import FLOAT64, Array
from ..network import Network
from ..reference.equations import ACTIVATIONS as EQUATIONS
from ..reference.equations import affine
from .c_activations import C_ACTIVATIONS
from .c_int8 import Int8, Int8Layer
from .c_rows import as_rows, check_finite

#: A C program tells the number of a row that fails by its exit status, of which most systems keep eight bits.
MOST_ROWS = 100


class SelfTest(NamedTuple):
    """Inputs (n_rows, n_in), outputs (n_rows, n_out) and how far these may be off (n_rows, n_out)."""

    x: Array
    out: Array
    tolerance: Array


def as_self_test(value: npt.ArrayLike, network: Network, int8: Int8 | None) -> SelfTest:
    """
    `value` as rows for the self-test of `network`, with its predictions, or with those of the rounded weights.

    Raises
    ------
    TypeError, ValueError
        If `value` is no array (n_rows, n_in) of 1 to 100 rows of finite numbers, or if their predictions, or the bounds
        of the errors of these, are not finite.
    """
    x = as_rows("self_test", value, network)
    if len(x) > MOST_ROWS:
        raise ValueError(f"self_test has {len(x)} rows, and may have {MOST_ROWS}, which are in the file in full")
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        computed, tolerance = (array.astype(network.dtype) for array in _outputs(network, x, int8))
    out = network.predict(x) if int8 is None else computed
    check_finite(out, "the prediction for self_test's {position} is {number}; take rows whose predictions are finite")
    too_large = "the error of the prediction for self_test's {position} cannot be bounded; take rows of smaller numbers"
    check_finite(tolerance, too_large)
    return SelfTest(x, out, tolerance)


def _outputs(network: Network, x: Array, int8: Int8 | None) -> tuple[Array, Array]:
    """
    The network's outputs, and how far two ways to compute them can be from each other, both (n_rows, n_out).

    Each is at most `off` from exact arithmetic, to first order: no product passes through more than n_in + 1 roundings
    in a sum, and an activation is off by its error times eps max(1, abs(a)), softmax by n_out eps a more. Rounded
    weights have two roundings more: of the product with the scale, and of a weight as a number of float64.
    """
    eps, tiny = float(np.finfo(network.dtype).eps), float(np.finfo(network.dtype).tiny)
    a, off = x.astype(FLOAT64), np.zeros(x.shape)
    for k, layer in enumerate(network.layers):
        own = layer if int8 is None else int8.layers[k]
        weight = own.as_float64 if isinstance(own, Int8Layer) else own.weight.astype(FLOAT64)
        bias = np.zeros(layer.n_out) if own.bias is None else own.bias.astype(FLOAT64)
        magnitude = (np.abs(a) + off) @ np.abs(weight) + np.abs(bias)
        roundings = (layer.n_in + (1 if int8 is None else 3)) * eps / 2 * magnitude
        if isinstance(own, Int8Layer):
            roundings += _overflow(own, np.abs(a) + off)
        off = off @ np.abs(weight) + roundings
        a = EQUATIONS[layer.activation].forward(affine(a, weight, bias))
        c = C_ACTIVATIONS[layer.activation]
        if layer.activation == "softmax":
            off = off.max(axis=1, keepdims=True)
        off = c.slope * off + c.error * eps * np.maximum(1, np.abs(a))
        if layer.activation == "softmax":
            off += layer.n_out * eps * a
    return a, 2.02 * off + tiny  # the 0.02: roundings of the bound itself


def _overflow(layer: Int8Layer, magnitude: Array) -> Array:
    """Infinity where the sum of inputs up to `magnitude` may overflow before it is scaled, and 0 elsewhere."""
    scale = 1 if layer.input_scale is None else layer.input_scale.astype(FLOAT64)
    sums = (magnitude * scale) @ np.abs(layer.weight.astype(FLOAT64))
    return np.where(sums < np.finfo(layer.scale.dtype).max / 2, 0, np.inf)
