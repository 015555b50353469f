"""
What ONNX models compute of the shapes of their values, without any value.

Exporters flatten rows by a Reshape whose shape begins with the number of rows, and take that from a Shape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Array

if TYPE_CHECKING:
    from .onnx_graph import Node

OF_SHAPES = ("Shape", "Gather", "Slice", "Concat", "Squeeze", "Unsqueeze", "Mul", "Cast")

#: Shapes have a few entries; nodes that double what they are given, one after another, are no shapes.
_MOST_ENTRIES = 1000


class Side:
    """A side of a shape that is no number. It is equal to itself alone, and nothing is computed of it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


ROWS, UNKNOWN = Side("n_samples"), Side("unknown")

#: An input that is left out.
NONE: Array = np.empty(0, np.int64)


def as_object(shape: list[object]) -> Array:
    return np.array(shape, dtype=object)


def is_of_shapes(array: Array | None) -> bool:
    """Whether an array may be a shape or part of one: a few whole numbers or sides."""
    return array is not None and array.dtype.kind in "iuO" and array.size <= _MOST_ENTRIES


def of_shapes(node: Node, arrays: list[Array]) -> Array:
    """What a node of `OF_SHAPES` computes of arrays of whole numbers and sides; of a Shape, they are the shape."""
    try:
        result = np.asarray(_compute(node, arrays), dtype=object)
    except (IndexError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{node}: it computes no shape: {error}") from None
    if result.size > _MOST_ENTRIES:
        raise ValueError(f"{node}: it computes no shape, as it would have {result.size} sides")
    return result


def _compute(node: Node, arrays: list[Array]) -> Any:
    first, attributes = arrays[0], node.attributes
    match node.operator:
        case "Shape":
            return first[slice(attributes.get("start"), attributes.get("end"))]
        case "Gather":
            return np.take(first, arrays[1].astype(np.intp), axis=attributes.get("axis", 0))
        case "Slice":
            return first[_slice(attributes, arrays[1:])]
        case "Concat":
            return np.concatenate(arrays, axis=attributes["axis"])
        case "Squeeze":
            return np.squeeze(first, axis=_axes(attributes, arrays[1:]))
        case "Unsqueeze":
            axes = _axes(attributes, arrays[1:])
            if axes is None:
                raise ValueError("it has no axes")
            return np.expand_dims(first, axes)
        case "Mul":
            return first * arrays[1]
    return first  # a Cast, of what are whole numbers anyway


def _axes(attributes: dict[str, Any], arrays: list[Array]) -> tuple[int, ...] | None:
    """An attribute of old versions, an input of new ones."""
    axes = arrays[0].ravel().tolist() if arrays else attributes.get("axes")
    return tuple(int(axis) for axis in axes) if axes else None


def _slice(attributes: dict[str, Any], arrays: list[Array]) -> slice:
    """Of shapes, which have one axis."""
    starts, ends, *others = arrays or (np.asarray(attributes[name]) for name in ("starts", "ends"))
    axes = others[0].tolist() if others else attributes.get("axes")
    steps = others[1].tolist() if len(others) > 1 else [1]
    if axes not in (None, [], [0], [-1]) or len(starts) != 1 or len(ends) != 1 or len(steps) != 1:
        raise ValueError("a slice of a shape has one axis")
    return slice(int(starts[0]), int(ends[0]), int(steps[0]))
