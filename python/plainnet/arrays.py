"""What both backends ask of arrays: kinds, shapes, memory. It imports NumPy alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)


def as_numbers(name: str, value: npt.ArrayLike) -> Array:
    """`value` as an array of real numbers (bool, integer or float), whatever its layout."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array: fill or drop the masked entries first")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is not a rectangular array of numbers: {error}") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} has dtype {array.dtype}; allowed are real numbers: bool, integers and floats")
    return array


def as_native(name: str, value: npt.ArrayLike, dtype: np.dtype[Any]) -> Array:
    """`value` as a contiguous, aligned array of `dtype` in native byte order; itself where it is one already."""
    array = as_numbers(name, value)
    with np.errstate(over="ignore", under="ignore"):  # float64 beyond float32's range becomes inf, and is found as such
        return np.require(array, dtype, ["C", "A"])


def empty_on_cache_line(n: int, dtype: np.dtype[Any]) -> Array:
    """A new array (n,) that begins where a cache line does, so that vectors of the C kernels do not straddle two."""
    line, n_bytes = 64, n * dtype.itemsize
    memory = np.empty(n_bytes + line, np.uint8)
    start = -memory.ctypes.data % line
    return memory[start : start + n_bytes].view(dtype)


def common_dtype(**arrays: npt.ArrayLike | None) -> np.dtype[Any]:
    """float32 if every array given is float32, in whatever byte order, else float64."""
    given = [as_numbers(name, value).dtype for name, value in arrays.items() if value is not None]
    return FLOAT32 if all(dtype.newbyteorder("=") == FLOAT32 for dtype in given) else FLOAT64


def check_shape(name: str, array: Array, expected: tuple[int, ...], because: str) -> None:
    if array.shape != expected:
        raise ValueError(f"{name} has shape {array.shape}, expected {expected}: {because}")


def check_rows(name: str, array: Array, n_columns: int, because: str) -> None:
    """(n_samples, n_columns) with at least one sample."""
    if array.ndim != 2 or array.shape[1] != n_columns:
        hint = "; use .reshape(-1, 1)" if array.ndim == 1 and n_columns == 1 else ""
        raise ValueError(f"{name} has shape {array.shape}, expected (n_samples, {n_columns}): {because}{hint}")
    if array.shape[0] == 0:
        raise ValueError(f"{name} has shape {array.shape}: there must be at least one sample")


def as_output(
    name: str,
    out: Array | None,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    inputs: Sequence[npt.ArrayLike | None] = (),
    in_place: bool = False,
) -> Array:
    """
    The array that a caller wants results in, or a new one.

    Raises
    ------
    TypeError
        If it is not an array, or of another dtype.
    ValueError
        If its shape is another, it is read-only, or it shares memory with an input (`in_place` allows an input itself).
    """
    if out is None:
        return np.empty(shape, dtype)
    if not isinstance(out, np.ndarray):
        raise TypeError(f"{name} must be a NumPy array, not {type(out).__name__}")
    if out.dtype != dtype or not out.dtype.isnative:
        raise TypeError(f"{name} has dtype {out.dtype}, expected {dtype}")
    check_shape(name, out, shape, "the shape of the result")
    if not out.flags.writeable:
        raise ValueError(f"{name} is read-only")
    for array in inputs:
        if isinstance(array, np.ndarray) and np.may_share_memory(out, array):
            same = out.ctypes.data == array.ctypes.data and out.strides == array.strides
            if not (in_place and same) and _share_memory(out, array):
                raise ValueError(f"{name} overlaps an input in memory")
    return out


def _share_memory(a: Array, b: Array) -> bool:
    effort: Any = 10_000  # the stubs know -1 and 0 alone
    try:
        return bool(np.shares_memory(a, b, max_work=effort))
    except np.exceptions.TooHardError:  # an exotic layout: treated as if they did
        return True


def check_training_data(x: Array, y: Array, loss: str) -> None:
    """Finite numbers, and targets within [0, 1] for the log loss; shapes are right already."""
    for name, array in (("x", x), ("y", y)):
        finite = np.isfinite(array)
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            place = f"row {row}, column {column}"
            raise ValueError(f"{name} holds {array[row, column]} ({place}); training needs finite data")
    if loss == "log_loss":
        outside = (y < 0) | (y > 1)
        if outside.any():
            row, column = np.argwhere(outside)[0]
            raise ValueError(f"y holds {y[row, column]} (row {row}, column {column}); log_loss needs targets in [0, 1]")


# ---- The arguments of single kernels: converted, checked against each other, and the array for the result ------------


def activation_arguments(z: npt.ArrayLike, out: Array | None) -> tuple[Array, Array]:
    if (  # the usual case, without detours: two arrays that own their memory, which then do not overlap
        type(z) is type(out) is np.ndarray and z.dtype is out.dtype and z.dtype in (FLOAT32, FLOAT64)
        and z.flags.carray and out.flags.carray and z.shape == out.shape and z.base is None is out.base
    ):  # fmt: skip
        return z, out
    native = as_native("z", z, common_dtype(z=z))
    return native, as_output("out", out, native.shape, native.dtype, [z], in_place=True)


def activation_backward_arguments(
    a: npt.ArrayLike, grad_a: npt.ArrayLike, out: Array | None
) -> tuple[Array, Array, Array]:
    dtype = common_dtype(a=a, grad_a=grad_a)
    native_a, native_grad_a = as_native("a", a, dtype), as_native("grad_a", grad_a, dtype)
    check_shape("grad_a", native_grad_a, native_a.shape, "the shape of a")
    return native_a, native_grad_a, as_output("out", out, native_a.shape, dtype, [a, grad_a], in_place=True)


def check_name(kind: str, name: object, allowed: Iterable[str]) -> None:
    if not isinstance(name, str) or name not in allowed:
        raise ValueError(f"unknown {kind} {name!r}; allowed are {', '.join(map(repr, allowed))}")


def _check_layer(x: Array, weight: Array) -> None:
    if weight.ndim != 2 or 0 in weight.shape:
        raise ValueError(f"weight has shape {weight.shape}, expected (n_in, n_out) with at least one of each")
    check_rows("x", x, weight.shape[0], f"weight has shape {weight.shape}")


def dense_forward_arguments(
    x: npt.ArrayLike, weight: npt.ArrayLike, bias: npt.ArrayLike | None, out: Array | None
) -> tuple[Array, Array, Array | None, Array]:
    dtype = common_dtype(x=x, weight=weight, bias=bias)
    native_x, native_weight = as_native("x", x, dtype), as_native("weight", weight, dtype)
    _check_layer(native_x, native_weight)
    n_out = native_weight.shape[1]
    native_bias = None
    if bias is not None:
        native_bias = as_native("bias", bias, dtype)
        check_shape("bias", native_bias, (n_out,), f"weight has shape {native_weight.shape}")
    a = as_output("out", out, (len(native_x), n_out), dtype, [x, weight, bias])
    return native_x, native_weight, native_bias, a


def dense_backward_arguments(
    x: npt.ArrayLike,
    weight: npt.ArrayLike,
    a: npt.ArrayLike,
    grad_a: npt.ArrayLike,
    out: tuple[Array, Array, Array] | None,
) -> tuple[tuple[Array, Array, Array, Array], tuple[Array, Array, Array]]:
    dtype = common_dtype(x=x, weight=weight, a=a, grad_a=grad_a)
    inputs = (
        as_native("x", x, dtype), as_native("weight", weight, dtype),
        as_native("a", a, dtype), as_native("grad_a", grad_a, dtype),
    )  # fmt: skip
    _check_layer(inputs[0], inputs[1])
    n_rows, (n_in, n_out) = len(inputs[0]), inputs[1].shape
    because = f"x has shape {inputs[0].shape} and weight {inputs[1].shape}"
    check_shape("a", inputs[2], (n_rows, n_out), because)
    check_shape("grad_a", inputs[3], (n_rows, n_out), because)
    if out is None:
        out = (np.empty((n_rows, n_in), dtype), np.empty((n_in, n_out), dtype), np.empty(n_out, dtype))
    if not isinstance(out, tuple) or len(out) != 3:
        raise TypeError("out must be a tuple of three arrays: (grad_x, grad_weight, grad_bias)")
    names, shapes = ("grad_x", "grad_weight", "grad_bias"), ((n_rows, n_in), (n_in, n_out), (n_out,))
    for k in range(3):
        as_output(f"out: {names[k]}", out[k], shapes[k], dtype, [x, weight, a, grad_a, *out[:k]])
    return inputs, out
