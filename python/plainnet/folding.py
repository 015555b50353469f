"""Scaling of inputs and outputs, taken up by the parameters of the first and the last layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .arrays import FLOAT64, Array, as_native
from .conversion import position
from .layers import Dense, bind

#: Options of a layer that are about the size of its weights.
_OF_WEIGHTS = {"l1", "l2", "max_norm"}


@dataclass(frozen=True)
class Scaling:
    """
    What was done to columns before a network saw them: ``scaled = (raw - mean) / scale``.

    Attributes
    ----------
    mean, scale : ndarray (n_columns,)
        In float64; scales are above 0.
    """

    mean: Array
    scale: Array

    @property
    def shifts(self) -> bool:
        return bool(self.mean.any())

    @property
    def stretches(self) -> bool:
        return bool((self.scale != 1).any())


def as_scaling(side: str, mean: Any, scale: Any, n_columns: int) -> Scaling:
    """
    The arguments ``input_mean`` and ``input_scale``, or ``output_mean`` and ``output_scale``, of a network.

    Parameters
    ----------
    side : {"input", "output"}
    mean, scale : None, float or array_like (n_columns,)
        None is 0 and 1.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, the value, and what is allowed.
    """
    means = _as_columns(f"{side}_mean", 0.0 if mean is None else mean, n_columns, "finite", np.isfinite)
    scales = _as_columns(f"{side}_scale", 1.0 if scale is None else scale, n_columns, "finite and above 0", _is_scale)
    return Scaling(means, scales)


def _is_scale(values: Array) -> Array:
    return np.isfinite(values) & (values > 0)


def _as_columns(
    name: str, value: npt.ArrayLike, n_columns: int, allowed: str, is_allowed: Callable[[Array], Array]
) -> Array:
    """`value` as an array (n_columns,) of float64; a single number is that of all columns."""
    array = as_native(name, value, FLOAT64)
    if array.shape not in ((), (n_columns,)):
        what = "n_in" if name.startswith("input") else "n_out"
        raise ValueError(
            f"{name} has shape {array.shape}, expected ({n_columns},), as the network has {what} = {n_columns}, or a "
            "single number"
        )
    wrong = ~is_allowed(array)
    if wrong.any():
        index = tuple(np.argwhere(wrong)[0])
        raise ValueError(f"{name} must be {allowed}, not {array[index]} ({position(index)})")
    return np.broadcast_to(array, (n_columns,))


def check_foldable(layers: Sequence[Dense], inputs: Scaling, outputs: Scaling) -> None:
    """Checks that a network of `layers` can take up the scalings."""
    last = f"layers[{len(layers) - 1}] = {layers[-1]}"
    if inputs.shifts and not layers[0].has_bias:
        raise ValueError(
            f"input_mean needs a bias to go into, and layers[0] = {layers[0]} has none: scale with a mean of 0, as "
            "StandardScaler(with_mean=False) does, or make the layer with bias=True"
        )
    if (outputs.shifts or outputs.stretches) and layers[-1].activation != "identity":
        raise ValueError(
            f"output_mean and output_scale need an identity as the last layer's activation, and {last} has "
            f"{layers[-1].activation}: what comes after it cannot go into its weights"
        )
    if outputs.shifts and not layers[-1].has_bias:
        raise ValueError(
            f"output_mean needs a bias to go into, and {last} has none: leave the mean of the targets, or make "
            "the layer with bias=True"
        )


def fold(layers: Sequence[Dense], parameters: Array, inputs: Scaling, outputs: Scaling) -> Array:
    """
    The parameters of a network that takes and returns raw numbers.

    With s and m of the inputs, and S and M of the outputs, the first layer's z = ((x - m) / s) W + b is
    x (W / s) + (b - m (W / s)), and the last layer's (x W + b) S + M is x (W S) + (b S + M).

    Parameters
    ----------
    layers : sequence of Dense
    parameters : ndarray (n_parameters,)
        Of these layers.
    inputs, outputs : Scaling
        Which :func:`check_foldable` allows.

    Returns
    -------
    ndarray (n_parameters,)
        Of the dtype of `parameters`: computed in float64, and rounded once.

    Raises
    ------
    ValueError
        If a number is not finite in that dtype.
    """
    folded: Array = parameters.copy()
    for k, layer in {0: layers[0], len(layers) - 1: layers[-1]}.items():
        weight, bias = layer.weight.astype(np.float64), None if layer.bias is None else layer.bias.astype(np.float64)
        with np.errstate(all="ignore"):  # what is not finite is refused below
            if k == 0:
                weight /= inputs.scale[:, np.newaxis]
                if bias is not None and inputs.shifts:
                    bias -= (inputs.mean[:, np.newaxis] * weight).sum(axis=0)  # in the order of rows, on any machine
            if k == len(layers) - 1:
                weight *= outputs.scale
                if bias is not None:
                    bias = bias * outputs.scale + outputs.mean
            new = bind(layers, folded)[k]
            new.weight[...] = weight
            if new.bias is not None:
                new.bias[...] = bias
        for name, values in (("weight", new.weight), ("bias", new.bias)):
            if values is not None:
                _check_finite(f"layers[{k}].{name}", values)
    return folded


def _check_finite(name: str, values: Array) -> None:
    wrong = ~np.isfinite(values)
    if wrong.any():
        index = tuple(np.argwhere(wrong)[0])
        remedy = "; dtype float64 holds larger ones" if values.dtype != FLOAT64 else ""
        raise ValueError(
            f"{name} would be {values[index]} with the scaling folded in ({position(index)}): a mean or a "
            f"scale is too large or too small for numbers of {values.dtype}{remedy}"
        )


def remaining_options(layers: Sequence[Dense], inputs: Scaling, outputs: Scaling) -> list[dict[str, float]]:
    """The options that each layer keeps: without those on the size of its weights, where scaling changes these."""
    kept = []
    for k, layer in enumerate(layers):
        changes = (k == 0 and inputs.stretches) or (k == len(layers) - 1 and outputs.stretches)
        kept.append({name: v for name, v in layer.options.chosen() if not (changes and name in _OF_WEIGHTS)})
    return kept
