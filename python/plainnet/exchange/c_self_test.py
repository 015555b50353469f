"""The rows that an exported C file checks itself with: what it has to compute, and how far it may be from that."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..arrays import FLOAT64, Array, as_native, check_rows
from ..conversion import position
from ..network import Network
from ..reference.equations import ACTIVATIONS as EQUATIONS
from ..reference.equations import affine
from .c_activations import C_ACTIVATIONS

#: A C program tells the number of a row that fails by its exit status, of which most systems keep eight bits.
MOST_ROWS = 100


class SelfTest(NamedTuple):
    """Inputs (n_rows, n_in), outputs (n_rows, n_out) and how far these may be off (n_rows, n_out)."""

    x: Array
    out: Array
    tolerance: Array


def as_self_test(value: npt.ArrayLike, network: Network) -> SelfTest:
    """
    `value` as rows for the self-test of `network`, with its predictions.

    Raises
    ------
    TypeError, ValueError
        If `value` is no array (n_rows, n_in) of 1 to 100 rows of finite numbers, or if their predictions, or the bounds
        of the errors of these, are not finite.
    """
    x = as_native("self_test", value, network.dtype)
    check_rows("self_test", x, network.layers[0].n_in, f"the first layer has n_in = {network.layers[0].n_in}")
    if len(x) > MOST_ROWS:
        raise ValueError(f"self_test has {len(x)} rows, and may have {MOST_ROWS}, which are in the file in full")
    _check_finite(x, "self_test holds {number} ({position}); its numbers must be finite")
    out = network.predict(x)
    _check_finite(out, "the prediction for self_test's {position} is {number}; take rows whose predictions are finite")
    with np.errstate(over="ignore", invalid="ignore"):
        tolerance = _tolerance(network, x).astype(network.dtype)
    too_large = "the error of the prediction for self_test's {position} cannot be bounded; take rows of smaller numbers"
    _check_finite(tolerance, too_large)
    return SelfTest(x, out, tolerance)


def _check_finite(array: Array, message: str) -> None:
    finite = np.isfinite(array)
    if not finite.all():
        index: tuple[Any, ...] = tuple(np.argwhere(~finite)[0].tolist())
        raise ValueError(message.format(number=array[index], position=position(index)))


def _tolerance(network: Network, x: Array) -> Array:
    """
    How far two ways to compute the network's outputs can be from each other, (n_rows, n_out).

    Each is at most `off` from exact arithmetic, to first order: no product passes through more than n_in + 1 roundings
    in a sum, and an activation is off by its error times eps max(1, abs(a)), softmax by n_out eps a more.
    """
    eps, tiny = float(np.finfo(network.dtype).eps), float(np.finfo(network.dtype).tiny)
    a, off = x.astype(FLOAT64), np.zeros(x.shape)
    for layer in network.layers:
        weight = layer.weight.astype(FLOAT64)
        bias = np.zeros(layer.n_out) if layer.bias is None else layer.bias.astype(FLOAT64)
        roundings = (layer.n_in + 1) * eps / 2 * ((np.abs(a) + off) @ np.abs(weight) + np.abs(bias))
        off = off @ np.abs(weight) + roundings
        a = EQUATIONS[layer.activation].forward(affine(a, weight, bias))
        c = C_ACTIVATIONS[layer.activation]
        if layer.activation == "softmax":
            off = off.max(axis=1, keepdims=True)
        off = c.slope * off + c.error * eps * np.maximum(1, np.abs(a))
        if layer.activation == "softmax":
            off += layer.n_out * eps * a
    return 2.02 * off + tiny  # the 0.02: roundings of the bound itself
