"""Scaling of the inputs in ONNX models, before the first layer: of pipelines of scikit-learn, of Keras' Rescaling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..arrays import Array

if TYPE_CHECKING:
    from .onnx_graph import Node

#: The operator that scales, of the domain ai.onnx.ml; the others are of numbers in general.
SCALER = "Scaler"
OF_SCALING = (SCALER, "Sub", "Add", "Mul", "Div")


class Scaling:
    """What nodes do to columns, one after another: ``scaled = (raw - mean) / scale``, in float64."""

    def __init__(self) -> None:
        self._steps: list[tuple[Node, Array, Array]] = []

    def __bool__(self) -> bool:
        return bool(self._steps)

    def add(self, node: Node, value: str, constants: dict[str, Array]) -> bool:
        """Takes a node of `OF_SCALING` over; whether what it does is the same to all columns."""
        mean, scale = (part.astype(np.float64) for part in _step(node, value, constants))
        if not (np.isfinite(mean).all() and np.isfinite(scale).all() and (scale > 0).all()):
            raise ValueError(
                f"{node}: it must scale its inputs by finite numbers above 0, and shift them by finite ones"
            )
        self._steps.append((node, mean, scale))
        return mean.size == scale.size == 1

    def of_columns(self, n_in: int) -> tuple[Array, Array]:
        """Mean and scale of `n_in` columns, each an array (n_in,)."""
        means, scales = np.zeros(n_in), np.ones(n_in)
        for node, mean, scale in self._steps:
            for array in mean, scale:
                if array.size not in (1, n_in):
                    raise ValueError(f"{node}: it scales {array.size} columns, and the first layer takes {n_in}")
            with np.errstate(all="ignore"):
                means, scales = means + scales * mean, scales * scale
            if not (np.isfinite(means).all() and np.isfinite(scales).all() and (scales > 0).all()):
                raise ValueError(f"{node}: with what comes before it, it scales the inputs beyond what float64 holds")
        return means, scales


def _step(node: Node, value: str, constants: dict[str, Array]) -> tuple[Array, Array]:
    """Mean and scale of one node, each (n_columns,) or (1,), not yet checked."""
    zero, one = np.zeros(1), np.ones(1)
    if node.operator == SCALER:
        settings = [np.asarray(node.attributes.get(name, []), np.float64) for name in ("offset", "scale")]
        if not all(setting.size for setting in settings):
            raise ValueError(f"{node}: it must have an offset and a scale")
        return settings[0], _inverse(settings[1])
    is_first = node.inputs[0] == value
    if not is_first and node.operator in ("Sub", "Div"):
        raise ValueError(f"{node}: {value!r} must be its first input")
    other = constants.get(node.inputs[1 if is_first else 0])
    if other is None or other.dtype not in (np.float32, np.float64) or other.shape not in _shapes_of_rows(other.size):
        raise ValueError(f"{node}: what it scales the inputs by must be one row of numbers that the file stores")
    row = other.ravel().astype(np.float64)
    return {"Sub": (row, one), "Add": (-row, one), "Div": (zero, row), "Mul": (zero, _inverse(row))}[node.operator]


def _shapes_of_rows(n: int) -> list[tuple[int, ...]]:
    return [(n,), (1, n), *([()] if n == 1 else [])] if n else []


def _inverse(array: Array) -> Array:
    with np.errstate(divide="ignore"):  # what is not finite is refused by the caller
        inverse: Array = 1 / array.astype(np.float64)
    return inverse
