"""The checks and conversions that both backends make of arrays: dtypes, shapes, memory."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from .activations import ACTIVATIONS
from .conversion import Array as Array
from .conversion import as_numbers, position, shown
from .losses import Loss

P = ParamSpec("P")
T = TypeVar("T")

FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)

#: In training, an array whose copy in the network's dtype would be larger than this is converted by parts.
LARGE_BYTES = 1 << 24


def as_native(name: str, value: npt.ArrayLike, dtype: np.dtype[Any]) -> Array:
    """
    `value` as a contiguous, aligned array of `dtype` in native byte order: `value` itself if it is one already.

    Raises
    ------
    TypeError, ValueError
        If it does not hold real numbers, or holds a finite number that overflows in `dtype`.
    MemoryError
        If there is no memory for the converted array.
    """
    array = as_numbers(name, value)
    try:
        with np.errstate(over="ignore", under="ignore"):
            native = np.require(array, dtype, ["C", "A"])
    except MemoryError:
        what, n_bytes = f"a copy of {name} as a contiguous array of {dtype}", array.size * dtype.itemsize
        raise no_memory(what, n_bytes, "hand it over in parts, or as such an array") from None
    if array.dtype.kind == "f" and array.dtype.itemsize > dtype.itemsize:
        too_large = np.isinf(native)
        if too_large.any() and (too_large := too_large & np.isfinite(array)).any():
            index = tuple(np.argwhere(too_large)[0])
            raise overflow(name, array[index], index, dtype)
    return native


def overflow(name: str, value: Any, index: tuple[Any, ...], dtype: np.dtype[Any]) -> ValueError:
    """The error for a finite number that `dtype` cannot hold."""
    remedy = 'scale it, or take dtype="float64"' if dtype == FLOAT32 else "scale it"
    return ValueError(
        f"{name} holds {value!s} ({position(index)}), which {dtype} cannot: its largest number is "
        f"{np.finfo(dtype).max:.3g}; {remedy}"
    )


def no_memory(what: str, n_bytes: int, remedy: str) -> MemoryError:
    """The error for an allocation of `n_bytes` that failed: what it was for, and what to do about it."""
    size, units = float(n_bytes), ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    while size >= 1024 and len(units) > 1:
        size, units = size / 1024, units[1:]
    return MemoryError(f"no memory for {what} ({size:.3g} {units[0]}); {remedy}")


#: The remedy if there is no memory for intermediate values, of which there are some for each row.
FEWER_ROWS = "take fewer rows at once: in fit by a smaller batch_size, in other calls with parts of x"


def names_fewer_rows(method: Callable[P, T]) -> Callable[P, T]:
    """Decorates `method` so that its MemoryError names the remedy."""

    @functools.wraps(method)
    def wrapped(*arguments: P.args, **keywords: P.kwargs) -> T:
        try:
            return method(*arguments, **keywords)
        except MemoryError as error:
            raise MemoryError(f"no memory for the values in between ({error}); {FEWER_ROWS}") from None

    return wrapped


def allocate(what: str, shape: int | tuple[int, ...], dtype: npt.DTypeLike, remedy: str) -> Array:
    """``np.empty``, with an error that names what the memory is for, how much it is, and the `remedy`."""
    try:
        return np.empty(shape, dtype)
    except (MemoryError, ValueError):  # a ValueError where NumPy itself cannot count the bytes
        raise no_memory(what, math.prod(np.atleast_1d(shape).tolist()) * np.dtype(dtype).itemsize, remedy) from None


def empty_on_cache_line(n: int, dtype: np.dtype[Any]) -> Array:
    """A new array (n,) aligned to a cache line, so that no vector that the C kernels load straddles two lines."""
    line, n_bytes = 64, n * dtype.itemsize
    memory = np.empty(n_bytes + line, np.uint8)
    start = -memory.ctypes.data % line
    return memory[start : start + n_bytes].view(dtype)


def common_dtype(**arrays: npt.ArrayLike | None) -> np.dtype[Any]:
    """float32 if every array that is given is float32, in either byte order; else float64."""
    given = [as_numbers(name, value).dtype for name, value in arrays.items() if value is not None]
    return FLOAT32 if all(dtype.newbyteorder("=") == FLOAT32 for dtype in given) else FLOAT64


def check_shape(name: str, array: Array, expected: tuple[int, ...], because: str) -> None:
    """Checks the shape of `array`; `because` says what determines it."""
    if array.shape != expected:
        raise ValueError(f"{name} has shape {array.shape}, expected {expected}: {because}")


def check_rows(name: str, array: Array, n_columns: int, because: str) -> None:
    """Checks that `array` is (n_samples, n_columns) with at least one sample."""
    if array.ndim != 2 or array.shape[1] != n_columns:
        hint = ""
        if array.ndim == 1 and n_columns == 1:
            hint = f"; np.asarray({name}).reshape(-1, 1) has one column"
        elif array.shape == (n_columns,):
            hint = f"; np.asarray({name}).reshape(1, -1) has one row"
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
    `out`, checked, or a new array if it is None.

    Raises
    ------
    TypeError
        If `out` is not an array, or has another dtype.
    ValueError
        If it has another shape, is read-only, or shares memory with one of `inputs`. With `in_place`, it may be one of
        them itself.
    """
    if out is None:
        return allocate("the result", shape, dtype, "compute it for fewer rows at once")
    if isinstance(out, np.ma.MaskedArray) or not isinstance(out, np.ndarray):
        raise TypeError(f"{name} must be a plain NumPy array, not a {type(out).__name__}")
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
    effort: Any = 10_000  # the type stubs allow -1 and 0 alone
    try:
        return bool(np.shares_memory(a, b, max_work=effort))
    except np.exceptions.TooHardError:  # too costly to decide: assume that they do
        return True


def sum_of_weights(n_rows: int, weight: Array | None) -> float:
    """The sum of the weights of rows, without which it is their number."""
    return n_rows if weight is None else float(weight.sum(dtype=np.float64))


def check_training_data(x: Array, y: Array, loss: Loss) -> None:
    """Checks that all numbers are finite, and that `loss` allows the targets `y`; the shapes are right already."""
    check_finite("x", x)
    check_targets(y, loss)


def check_finite(name: str, array: Array) -> None:
    finite = np.isfinite(array)
    if not finite.all():
        index = tuple(np.argwhere(~finite)[0])
        raise not_finite(name, array[index], index)


def not_finite(name: str, value: Any, index: tuple[Any, ...]) -> ValueError:
    """The error for a number that is not."""
    return ValueError(f"{name} holds {value} ({position(index)}); training needs finite data")


def check_targets(y: Array, loss: Loss) -> None:
    """Checks that the targets are finite, and that `loss` allows them."""
    check_finite("y", y)
    if y.ndim == 1:  # labels, which are checked when they are converted
        return
    if loss.targets is not None:
        low, high = loss.targets
        outside = (y < low) | (y > high)
        if outside.any():
            index = tuple(np.argwhere(outside)[0])
            of = f"in [{low:g}, {high:g}]" if math.isfinite(high) else f"of at least {low:g}"
            allowed = f"{loss.name} needs targets {of}"
            raise ValueError(f"y holds {y[index]} ({position(index)}); {allowed}")
    if loss.is_distribution:
        sums = y.sum(axis=1, dtype=np.float64)
        tolerance = 1e-6 if y.dtype == FLOAT64 else 1e-3
        wrong = np.abs(sums - 1) > tolerance
        if wrong.any():
            row = int(wrong.argmax())
            raise ValueError(
                f"y's row {row} sums to {sums[row]:.9g}; {loss.name} needs probabilities that sum to 1 in each row, to "
                f"within {tolerance:g}"
            )


def as_labels(name: str, labels: Array, n_classes: int, dtype: np.dtype[Any]) -> Array:
    """`labels` (n_samples,), numbers of any dtype, as class numbers of `dtype`, in which they are exact."""
    if labels.size == 0:
        raise ValueError(f"{name} has shape {labels.shape}: there must be at least one sample")
    wrong = (labels < 0) | (labels >= n_classes)
    if labels.dtype.kind == "f":
        wrong |= labels != np.trunc(labels)  # NaN, too
    if wrong.any():
        index = int(wrong.argmax())
        allowed = f"class labels must be whole numbers from 0 to {n_classes - 1}"
        raise ValueError(f"{name} holds {labels[index]} (entry {index}); {allowed}")
    return np.require(labels, dtype, ["C", "A"])


def as_sample_weight(value: npt.ArrayLike | None, n_rows: int, dtype: np.dtype[Any]) -> Array | None:
    """`value` as weights (n_rows,) of the rows: finite, at least 0, and not all 0; None stays None."""
    if value is None:
        return None
    weight = as_native("sample_weight", value, dtype)
    check_shape("sample_weight", weight, (n_rows,), "a weight for each row of x")
    wrong = ~((weight >= 0) & np.isfinite(weight))
    if wrong.any():
        index = int(wrong.argmax())
        raise ValueError(f"sample_weight holds {weight[index]} (entry {index}); weights must be finite and at least 0")
    with np.errstate(over="ignore"):
        total = weight.sum(dtype=np.float64)
    if not 0 < total < np.inf:
        raise ValueError(f"sample_weight sums to {total}; the sum must be finite, and not all weights may be 0")
    return weight


# ---- The arguments of single kernels: converted, checked against each other, with the array for the result -----------


def activation_arguments(z: npt.ArrayLike, out: Array | None) -> tuple[Array, Array]:
    if (  # the usual case, which needs no conversion: two arrays that own their memory, and so do not overlap
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
    """Checks that `name` is one of those `allowed`; `kind` says what it names."""
    if not isinstance(name, str) or name not in allowed:
        raise ValueError(f"unknown {kind} {shown(name)}; allowed are {', '.join(map(repr, allowed))}")


def _check_layer(x: Array, weight: Array) -> None:
    if weight.ndim != 2 or 0 in weight.shape:
        raise ValueError(f"weight has shape {weight.shape}, expected (n_in, n_out) with at least one of each")
    check_rows("x", x, weight.shape[0], f"weight has shape {weight.shape}")


def dense_forward_arguments(
    x: npt.ArrayLike, weight: npt.ArrayLike, bias: npt.ArrayLike | None, activation: str, out: Array | None
) -> tuple[Array, Array, Array | None, Array]:
    check_name("activation", activation, ACTIVATIONS)
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
    z: npt.ArrayLike | None,
    a: npt.ArrayLike,
    grad_a: npt.ArrayLike,
    activation: str,
    out: tuple[Array, Array, Array] | None,
) -> tuple[tuple[Array, Array, Array, Array, Array], tuple[Array, Array, Array]]:
    check_name("activation", activation, ACTIVATIONS)
    if z is None:
        if ACTIVATIONS[activation].backward_needs_z:
            without = ", ".join(repr(name) for name, known in ACTIVATIONS.items() if not known.backward_needs_z)
            raise ValueError(f"the derivative of {activation!r} is written in z: hand over z; without it go {without}")
        z = a  # which is not looked at
    dtype = common_dtype(x=x, weight=weight, z=z, a=a, grad_a=grad_a)
    inputs = (
        as_native("x", x, dtype), as_native("weight", weight, dtype), as_native("z", z, dtype),
        as_native("a", a, dtype), as_native("grad_a", grad_a, dtype),
    )  # fmt: skip
    _check_layer(inputs[0], inputs[1])
    n_rows, (n_in, n_out) = len(inputs[0]), inputs[1].shape
    because = f"x has shape {inputs[0].shape} and weight {inputs[1].shape}"
    check_shape("a", inputs[3], (n_rows, n_out), because)
    check_shape("z", inputs[2], (n_rows, n_out), because)
    check_shape("grad_a", inputs[4], (n_rows, n_out), because)
    if out is None:
        out = (np.empty((n_rows, n_in), dtype), np.empty((n_in, n_out), dtype), np.empty(n_out, dtype))
    if not isinstance(out, tuple) or len(out) != 3 or any(array is None for array in out):
        raise TypeError("out must be a tuple of three arrays: (grad_x, grad_weight, grad_bias)")
    names, shapes = ("grad_x", "grad_weight", "grad_bias"), ((n_rows, n_in), (n_in, n_out), (n_out,))
    for k in range(3):
        as_output(f"out: {names[k]}", out[k], shapes[k], dtype, [x, weight, z, a, grad_a, *out[:k]])
    return inputs, out
