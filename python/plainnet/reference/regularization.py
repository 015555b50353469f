"""What layers' options do besides dropout: penalties in the loss, rates of their own, and limits of norms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..arrays import Array
from ..backend import Layer
from ..layers import LayerOptions


class Part(NamedTuple):
    """Where a layer's weight and bias are in the flat parameters, the weight's shape, and the layer's options."""

    weight: slice
    bias: slice
    shape: tuple[int, ...]
    options: LayerOptions


def parts_of(layers: Sequence[Layer]) -> list[Part]:
    """The parts of the parameters of `layers`."""
    parts, start = [], 0
    for layer in layers:
        middle = start + layer.weight.size
        end = middle + (0 if layer.bias is None else layer.bias.size)
        parts.append(Part(slice(start, middle), slice(middle, end), layer.weight.shape, layer.options))
        start = end
    return parts


def groups_of(parts: Sequence[Part]) -> list[tuple[slice, float]]:
    """Parts of the parameters, each with its multiplier of the learning rate."""
    if all(part.options.weight_rate == part.options.bias_rate == 1 for part in parts):
        return [(slice(None), 1.0)]
    weights = [(part.weight, part.options.weight_rate) for part in parts]
    return weights + [(part.bias, part.options.bias_rate) for part in parts]


def penalty(parameters: Array, parts: Sequence[Part]) -> float:
    """The sum over layers of ``l1 sum |weight| + l2/2 sum weight^2``."""
    total = 0.0
    for part in parts:
        if part.options.l1 > 0 or part.options.l2 > 0:
            sizes = np.abs(parameters[part.weight]).astype(np.float64)
            total += float((sizes * (part.options.l1 + part.options.l2 / 2 * sizes)).sum())
    return total


def add_penalty_gradient(parameters: Array, parts: Sequence[Part], scale: float, gradient: Array) -> None:
    """Adds its gradient, ``l1 sign(weight) + l2 weight``, times `scale` to `gradient`."""
    for part in parts:
        weight, l1, l2 = parameters[part.weight], scale * part.options.l1, scale * part.options.l2
        if l1 > 0 or l2 > 0:
            gradient[part.weight] += l2 * weight + l1 * np.sign(weight)


def limited(parameters: Array, parts: Sequence[Part]) -> None:
    """Scales the weights into a neuron down to ``max_norm`` where their norm is larger, in place."""
    for part in parts:
        limit = part.options.max_norm
        if limit is not None and part.options.weight_rate > 0:
            weight = parameters[part.weight].reshape(part.shape)
            norms = np.sqrt(np.square(weight, dtype=np.float64).sum(axis=0))
            too_large = (norms > limit) & np.isfinite(norms)
            weight *= np.where(too_large, limit / np.where(too_large, norms, 1), 1).astype(weight.dtype)
