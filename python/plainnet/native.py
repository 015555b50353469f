"""
The C backend: the only module that touches `_plainnet`, which is the library, bound by cffi. Where arrays are small,
`_cpython` calls the same library without cffi, which would take longer than the arithmetic.

Arrays reach `_plainnet` through ``ffi.from_buffer``, which checks contiguity but neither dtype, byte order nor
alignment: those are settled in :mod:`plainnet.arrays` before. A ``from_buffer`` object keeps its array alive, so it is
held for as long as C may use the pointer.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from . import activations, losses, optimizers
from ._cpython import SmallCalls, addresses
from ._plainnet import ffi, lib
from .arrays import (
    FEWER_ROWS,
    Array,
    activation_arguments,
    activation_backward_arguments,
    allocate,
    check_training_data,
    dense_backward_arguments,
    dense_forward_arguments,
)
from .backend import DivergedError, Layer, Progress, Training
from .conversion import shown
from .losses import Loss
from .optimizers import Optimizer

#: Their numbers in plainnet.h, by name.
ACTIVATIONS: dict[str, int] = {name: getattr(lib, f"PN_{name.upper()}") for name in activations.ACTIVATIONS}
LOSSES: dict[str, int] = {name: getattr(lib, f"PN_{name.upper()}") for name in losses.LOSSES}
OPTIMIZERS: dict[str, int] = {name: getattr(lib, f"PN_{name.upper()}") for name in optimizers.OPTIMIZERS}

_SUFFIX = {np.dtype(np.float64): "f64", np.dtype(np.float32): "f32"}
# Types given by name would be looked up at every call.
_DOUBLES, _BYTES, _SIZES = ffi.typeof("double[]"), ffi.typeof("char[]"), ffi.typeof("size_t[]")
_DOUBLE, _SIZE = ffi.typeof("double *"), ffi.typeof("size_t *")
_TRAINING, _PROGRESS, _ADDRESS = ffi.typeof("pn_training *"), ffi.typeof("pn_progress *"), ffi.typeof("uintptr_t")
_ARRAY = {np.dtype(np.float64): _DOUBLES, np.dtype(np.float32): ffi.typeof("float[]")}
_TABLE = {np.dtype(np.float64): ffi.typeof("double **"), np.dtype(np.float32): ffi.typeof("float **")}
_from_buffer, _cast, _new, _NULL = ffi.from_buffer, ffi.cast, ffi.new, ffi.NULL


def _check(status: int) -> None:
    if status != lib.PN_OK:
        raise ValueError(_message(status))


def _message(status: int) -> str:
    return str(ffi.string(lib.pn_status_message(status)).decode())


# ---- Instruction sets and threads ------------------------------------------------------------------------------------


def isa() -> str:
    """
    The instruction set in use: ``"baseline"``, ``"avx2"``, ``"avx512"`` or ``"neon"``.

    Raises
    ------
    ValueError
        If the environment variable PLAINNET_ISA names one that does not work here.
    """
    name = lib.pn_isa()
    if name == _NULL:
        wanted = os.environ.get("PLAINNET_ISA")
        raise ValueError(f"PLAINNET_ISA is {wanted!r}; the instruction sets of this machine are {available_isas()}")
    return str(ffi.string(name).decode())


def available_isas() -> list[str]:
    """The instruction sets that work on this machine, the best one last."""
    names = ("baseline", "neon", "avx2", "avx512")
    return [name for name in names if lib.pn_isa_is_available(name.encode())]


def set_isa(name: str) -> None:
    """Chooses the instruction set for the whole process; `name` is one of :func:`available_isas`."""
    if not isinstance(name, str) or name not in available_isas():
        raise ValueError(f"unknown instruction set {shown(name)}; on this machine there are {available_isas()}")
    _check(lib.pn_set_isa(name.encode()))


def num_threads() -> int:
    """
    How many threads large products, many rows and large arrays are shared out over; results do not depend on it.

    PLAINNET_NUM_THREADS, else OMP_NUM_THREADS, else the number of CPUs that the process may use.

    Raises
    ------
    ValueError
        If PLAINNET_NUM_THREADS is not a number from 1 to 64.
    """
    n = int(lib.pn_num_threads())
    if n == 0:
        wanted = os.environ.get("PLAINNET_NUM_THREADS")
        raise ValueError(f"PLAINNET_NUM_THREADS is {wanted!r}; it must be a number from 1 to {lib.PN_MAX_THREADS}")
    return n


def set_num_threads(n: int) -> None:
    """Sets the number of threads, 1 to 64, for the whole process."""
    if isinstance(n, bool) or not isinstance(n, int | np.integer):
        raise TypeError(f"n, the number of threads, must be an integer, not {shown(n)}")
    if not 1 <= n <= lib.PN_MAX_THREADS:
        raise ValueError(f"n, the number of threads, must be from 1 to {lib.PN_MAX_THREADS}, not {shown(n)}")
    _check(lib.pn_set_num_threads(int(n)))


def shuffled(seed: int, epoch: int, n_rows: int) -> Array:
    """The order in which an epoch visits the rows, as :func:`plainnet.reference.shuffled` has it."""
    order = np.empty(n_rows, np.uintp)
    _check(lib.pn_order(seed, epoch, n_rows, _from_buffer(_SIZES, order, True)))
    return order


isa(), num_threads()  # an unusable PLAINNET_ISA or PLAINNET_NUM_THREADS is reported at import
_check(lib.pn_library_status())  # so are kernels that are compiled with -ffast-math

# ---- A network -------------------------------------------------------------------------------------------------------


class Model:
    """A network's layers and loss over its flat `parameters`; see :class:`plainnet.backend.Backend`."""

    first_slice_operations = 2e7  # about 10 ms

    def __init__(self, layers: Sequence[Layer], loss: Loss, parameters: Array) -> None:
        self.layers = layers
        self.loss = loss
        self.parameters = parameters
        self._array, self._table = _ARRAY[parameters.dtype], _TABLE[parameters.dtype]
        self._parameters = _from_buffer(self._array, parameters, require_writable=True)
        self._c_options = [_c_options(layer) for layer in layers]
        self._c_layers = ffi.new(
            "pn_layer[]",
            [
                (*layer.weight.shape, ACTIVATIONS[layer.activation], layer.bias is not None, options)
                for layer, options in zip(layers, self._c_options, strict=True)
            ],
        )
        network = len(layers), self._c_layers, LOSSES[loss.name], loss.parameter, loss.limit, loss.divides_penalty
        self._network = ffi.new("pn_network *", network)
        self._label_network = self._network  # the same for targets that are labels
        if loss.is_distribution:
            self._label_network = ffi.new("pn_network *", (*network[:2], lib.PN_CROSS_ENTROPY_LABELS, *network[3:]))
        suffix = _SUFFIX[parameters.dtype]
        for name in ("forward", "forward_workspace", "loss_and_gradient", "gradient_workspace", "loss",
                     "input_gradient", "jacobian", "jacobian_workspace", "jacobian_parameters",
                     "jacobian_parameters_workspace", "gauss_newton", "gauss_newton_workspace", "train",
                     "train_batches", "train_workspace"):  # fmt: skip
            setattr(self, f"_{name}", getattr(lib, f"pn_{name}_{suffix}"))
        self._workspace: tuple[Any, int] = _NULL, 0  # of training
        self._optimizer: tuple[Optimizer | None, Any] = None, _NULL  # the last one, and its pn_optimizer
        # Of forward. A list's pop and append are atomic, so threads never share a workspace.
        self._spare_workspaces: list[tuple[Any, int]] = []

    # The library's functions for the network's dtype, set above.
    _forward: Any
    _forward_workspace: Any
    _loss_and_gradient: Any
    _gradient_workspace: Any
    _loss: Any
    _input_gradient: Any
    _jacobian: Any
    _jacobian_workspace: Any
    _jacobian_parameters: Any
    _jacobian_parameters_workspace: Any
    _gauss_newton: Any
    _gauss_newton_workspace: Any
    _train: Any
    _train_batches: Any
    _train_workspace: Any

    def small_calls(self, state: Any) -> SmallCalls:
        """The calls for small arrays of the network whose ``TrainingState`` is `state`."""
        suffix = _SUFFIX[self.parameters.dtype]
        names = "forward", "forward_workspace", "train_on_batch", "train", "train_workspace"
        pointers = {name: ffi.addressof(lib, f"pn_{name}_{suffix}") for name in names} | {"network": self._network}
        addresses = {name: int(ffi.cast(_ADDRESS, pointer)) for name, pointer in pointers.items()}
        return SmallCalls(state, (self._network, self._c_layers, self._c_options), **addresses)

    def _network_for(self, y: Array) -> Any:
        return self._label_network if y.ndim == 1 else self._network

    def forward(self, x: Array, out: Array) -> None:
        """`out` (n_samples, n_out) = the network's output for `x` (n_samples, n_in)."""
        array = self._array
        status = self._forward(
            len(x), self._network, self._parameters, _from_buffer(array, x), _from_buffer(array, out, True), _NULL, 0
        )
        if status:  # most forward passes need no workspace
            self._forward_in_workspace(x, out)

    def _forward_in_workspace(self, x: Array, out: Array) -> None:
        arguments = (
            len(x), self._network, self._parameters, _from_buffer(self._array, x), _from_buffer(self._array, out, True)
        )  # fmt: skip
        try:
            workspace, n_bytes = self._spare_workspaces.pop()
        except IndexError:
            workspace, n_bytes = _NULL, 0
        status = self._forward(*arguments, workspace, n_bytes)
        if status == lib.PN_WORKSPACE_TOO_SMALL:
            workspace, n_bytes = _new_workspace(self._forward_workspace, len(x), self._network)
            status = self._forward(*arguments, workspace, n_bytes)
        self._spare_workspaces.append((workspace, n_bytes))
        _check(status)

    def loss_and_gradient(self, x: Array, y: Array, gradient: Array, sample_weight: Array | None = None) -> float:
        """The loss of `x`, `y`; `gradient` is laid out as the parameters."""
        loss = _new(_DOUBLE)
        workspace, n_bytes = _new_workspace(self._gradient_workspace, len(x), self._network)
        status = self._loss_and_gradient(
            len(x), self._network_for(y), self._parameters,
            _from_buffer(self._array, x), _from_buffer(self._array, y), _pointer(sample_weight),
            loss, _from_buffer(self._array, gradient, True), workspace, n_bytes,
        )  # fmt: skip
        if status:
            check_training_data(x, y, self.loss)
            _check(status)
        return float(loss[0])

    def total_loss(
        self, x: Array, y: Array, sample_weight: Array | None = None, out: Array | None = None
    ) -> float:
        """The loss of `x`, `y`, without a gradient; `out` (n_samples, n_out), if given, = the outputs."""
        loss = _new(_DOUBLE)
        workspace, n_bytes = _new_workspace(self._gradient_workspace, len(x), self._network)
        status = self._loss(
            len(x), self._network_for(y), self._parameters, _from_buffer(self._array, x), _from_buffer(self._array, y),
            _pointer(sample_weight), loss, _NULL if out is None else _from_buffer(self._array, out, True), workspace,
            n_bytes,
        )  # fmt: skip
        if status:
            check_training_data(x, y, self.loss)
            _check(status)
        return float(loss[0])

    def input_gradient(self, x: Array, y: Array, out: Array) -> None:
        """`out` (n_samples, n_in) = the gradient of the loss of `x`, `y` with respect to `x`."""
        workspace, n_bytes = _new_workspace(self._gradient_workspace, len(x), self._network)
        status = self._input_gradient(
            len(x), self._network_for(y), self._parameters, _from_buffer(self._array, x), _from_buffer(self._array, y),
            _from_buffer(self._array, out, True), workspace, n_bytes,
        )  # fmt: skip
        if status:
            check_training_data(x, y, self.loss)
            _check(status)

    def jacobian(self, x: Array, out: Array) -> None:
        """`out` (n_samples, n_out, n_in) = the derivatives of each row's outputs with respect to its inputs."""
        workspace, n_bytes = _new_workspace(self._jacobian_workspace, len(x), self._network)
        _check(self._jacobian(
            len(x), self._network, self._parameters, _from_buffer(self._array, x),
            _from_buffer(self._array, out, True), workspace, n_bytes,
        ))  # fmt: skip

    def jacobian_parameters(self, x: Array, out: Array) -> None:
        """`out` (n_samples, n_out, n_parameters) = the derivatives of each row's outputs with respect to parameters."""
        workspace, n_bytes = _new_workspace(self._jacobian_parameters_workspace, len(x), self._network)
        _check(self._jacobian_parameters(
            len(x), self._network, self._parameters, _from_buffer(self._array, x),
            _from_buffer(self._array, out, True), workspace, n_bytes,
        ))  # fmt: skip

    def gauss_newton(
        self, x: Array, y: Array, gradient: Array, hessian: Array, sample_weight: Array | None = None
    ) -> float:
        """The loss of `x`, `y`; `gradient`, and `hessian` (n_parameters, n_parameters) as Gauss and Newton have it."""
        loss = _new(_DOUBLE)
        workspace, n_bytes = _new_workspace(self._gauss_newton_workspace, len(x), self._network)
        status = self._gauss_newton(
            len(x), self._network, self._parameters, _from_buffer(self._array, x), _from_buffer(self._array, y),
            _pointer(sample_weight), loss, _from_buffer(self._array, gradient, True),
            _from_buffer(self._array, hessian, True), workspace, n_bytes,
        )  # fmt: skip
        if status:
            check_training_data(x, y, self.loss)
            _check(status)
        return float(loss[0])

    def train(
        self,
        x: Array,
        y: Array,
        training: Training,
        progress: Progress,
        losses: Array,
        max_steps: int,
        sample_weight: Array | None = None,
    ) -> None:
        """Continues from `progress` for at most `max_steps` steps."""
        pointers = _from_buffer(self._array, x), _from_buffer(self._array, y), _pointer(sample_weight)
        out = (_from_buffer(_DOUBLES, losses, True),)
        status = self._advance(self._train, (len(x), len(x)), y, pointers, training, progress, max_steps, out)
        if status == lib.PN_OVERLAP:  # x, y or the weights are a view of the parameters
            weight = None if sample_weight is None else sample_weight.copy()
            self.train(x.copy(), y.copy(), training, progress, losses, max_steps, weight)
        elif status:
            check_training_data(x, y, self.loss)
            _check(status)

    def train_batches(
        self,
        x: list[Array],
        y: list[Array],
        training: Training,
        progress: Progress,
        max_steps: int,
        sample_weight: list[Array] | None = None,
    ) -> None:
        """Continues from `progress` for at most `max_steps` steps, with mini-batches that are arrays of their own."""
        # A cast does not keep its memory alive: `tables` do.
        tables = [None if arrays is None else addresses(arrays) for arrays in (x, y, sample_weight)]
        pointers = [_NULL if table is None else _cast(self._table, _from_buffer(_BYTES, table)) for table in tables]
        sizes = len(x), len(x) * training.batch_size
        status = self._advance(self._train_batches, sizes, y[0], pointers, training, progress, max_steps)
        if status == lib.PN_OVERLAP:
            x, y = ([array.copy() for array in arrays] for arrays in (x, y))
            weight = None if sample_weight is None else [array.copy() for array in sample_weight]
            self.train_batches(x, y, training, progress, max_steps, weight)
        elif status:
            k = progress.row // training.batch_size
            if k < len(x):
                check_training_data(x[k], y[k], self.loss)
            _check(status)

    def _advance(
        self,
        function: Any,
        sizes: tuple[int, int],
        y: Array,
        pointers: Sequence[Any],
        training: Training,
        progress: Progress,
        max_steps: int,
        losses: tuple[Any, ...] = (),
    ) -> int:
        """
        Makes steps by a function of the library, whose status it returns.

        `sizes` are what the function counts, and the rows altogether; `y` shows whether targets are labels.
        """
        c_progress = progress.journal
        if c_progress is None:
            start = progress.epoch, progress.row, progress.loss_sum, progress.steps
            c_progress = progress.journal = _new(_PROGRESS, start)
        status = int(lib.PN_OK)
        if max_steps > 0:
            c_training, slots = self._c_training(training), training.state
            state = _NULL if slots is None else _from_buffer(self._array, slots, True)
            if training.learning_rates is not None:
                c_training.learning_rates = _from_buffer(_DOUBLES, training.learning_rates)
            arguments = (
                sizes[0], self._network_for(y), c_training, self._parameters, state, *pointers, max_steps, *losses,
                c_progress,
            )  # fmt: skip
            status = function(*arguments, *self._workspace)
            if status == lib.PN_WORKSPACE_TOO_SMALL:  # when the run begins
                self._make_workspace(sizes[1], c_training)
                status = function(*arguments, *self._workspace)
        if status != lib.PN_OVERLAP:
            progress.epoch, progress.row = c_progress.epoch, c_progress.row
            progress.loss_sum, progress.steps = c_progress.loss_sum, c_progress.steps
        if status == lib.PN_DIVERGED:
            raise DivergedError(c_progress.diverged_epoch)
        return status

    def _c_training(self, training: Training) -> Any:
        """The ``pn_training``, but for its learning rates. The caller keeps the order of rows that it points to."""
        c_training = _new(
            _TRAINING,
            (training.epochs, training.batch_size, training.learning_rate, training.shuffle, training.seed,
             training.first_epoch),
        )  # fmt: skip
        c_training.first_step, c_training.is_checked = training.first_step, training.is_checked
        if training.order is not None:
            c_training.order = _from_buffer(_SIZES, training.order)
        if not training.optimizer.is_plain:
            if self._optimizer[0] is not training.optimizer:
                self._optimizer = training.optimizer, _c_optimizer(training.optimizer)
            c_training.optimizer = self._optimizer[1][0]
        return c_training

    def _make_workspace(self, n_rows: int, c_training: Any) -> None:
        """Provides the workspace of a run; later runs use it as well, unless they need a larger one."""
        n_bytes = _bytes_needed(self._train_workspace, n_rows, self._network, c_training)
        if n_bytes > self._workspace[1]:
            self._workspace = _NULL, 0  # should there be no memory for the new one
            self._workspace = _allocate(n_bytes)


def _c_optimizer(optimizer: Optimizer) -> Any:
    return ffi.new("pn_optimizer *", {"kind": OPTIMIZERS[type(optimizer).__name__], **optimizer.numbers()})


def _c_options(layer: Layer) -> Any:
    """The ``pn_layer_options``, NULL if there are none."""
    chosen = dict(layer.options.chosen())
    return ffi.new("pn_layer_options *", {"weight_rate": 1.0, "bias_rate": 1.0} | chosen) if chosen else _NULL


def _allocate(n_bytes: int) -> tuple[Any, int]:
    memory = allocate("the workspace of this call", max(n_bytes, 1), np.uint8, FEWER_ROWS)
    return _from_buffer(_BYTES, memory, True), n_bytes


def _bytes_needed(size_function: Any, *sizes: Any) -> int:
    n_bytes = _new(_SIZE)
    _check(size_function(*sizes, n_bytes))
    return int(n_bytes[0])


def _new_workspace(size_function: Any, *sizes: Any) -> tuple[Any, int]:
    return _allocate(_bytes_needed(size_function, *sizes))


# ---- Single kernels, documented in plainnet.kernels, where they are public -------------------------------------------


_ACTIVATE = {
    (name, dtype): getattr(lib, f"pn_{name}_{suffix}")
    for name in ("sigmoid", "tanh", "relu")
    for dtype, suffix in _SUFFIX.items()
}


class _Output:
    """A pointer to `out` for C, or to a contiguous array whose values are copied to `out` at the end."""

    def __init__(self, out: Array) -> None:
        self.out = out
        direct = out.flags.c_contiguous and out.flags.aligned
        self.array = out if direct else np.empty(out.shape, out.dtype)
        self.pointer = _from_buffer(_ARRAY[out.dtype], self.array, True)

    def finish(self, status: int) -> Array:
        _check(status)
        if self.array is not self.out:
            self.out[...] = self.array
        return self.out


def _pointer(array: Array | None) -> Any:
    return _NULL if array is None else _from_buffer(_ARRAY[array.dtype], array)


def activate(name: str, z: npt.ArrayLike, out: Array | None) -> Array:
    z, out = activation_arguments(z, out)
    target = _Output(out)
    return target.finish(_ACTIVATE[name, z.dtype](z.size, _pointer(z), target.pointer))


def activate_backward(name: str, a: npt.ArrayLike, grad_a: npt.ArrayLike, out: Array | None) -> Array:
    a, grad_a, out = activation_backward_arguments(a, grad_a, out)
    target = _Output(out)
    function = getattr(lib, f"pn_{name}_backward_{_SUFFIX[a.dtype]}")
    return target.finish(function(a.size, _pointer(a), _pointer(grad_a), target.pointer))


def dense_forward(
    x: npt.ArrayLike, weight: npt.ArrayLike, bias: npt.ArrayLike | None, activation: str, out: Array | None
) -> Array:
    x, weight, bias, out = dense_forward_arguments(x, weight, bias, activation, out)
    suffix, sizes = _SUFFIX[x.dtype], (*x.shape, weight.shape[1])
    workspace, n_bytes = _new_workspace(getattr(lib, f"pn_dense_workspace_{suffix}"), *sizes)
    target = _Output(out)
    function = getattr(lib, f"pn_dense_forward_{suffix}")
    return target.finish(
        function(*sizes, _pointer(x), _pointer(weight), _pointer(bias), ACTIVATIONS[activation], target.pointer,
                 workspace, n_bytes)
    )  # fmt: skip


def dense_backward(
    x: npt.ArrayLike,
    weight: npt.ArrayLike,
    a: npt.ArrayLike,
    grad_a: npt.ArrayLike,
    activation: str,
    out: tuple[Array, Array, Array] | None,
    z: npt.ArrayLike | None,
) -> tuple[Array, Array, Array]:
    inputs, out = dense_backward_arguments(x, weight, z, a, grad_a, activation, out)
    suffix, sizes = _SUFFIX[inputs[0].dtype], (*inputs[0].shape, inputs[1].shape[1])
    workspace, n_bytes = _new_workspace(getattr(lib, f"pn_dense_workspace_{suffix}"), *sizes)
    targets = [_Output(array) for array in out]
    function = getattr(lib, f"pn_dense_backward_{suffix}")
    status = function(
        *sizes, *map(_pointer, inputs), ACTIVATIONS[activation], *(target.pointer for target in targets),
        workspace, n_bytes,
    )  # fmt: skip
    for target in targets:
        target.finish(status)
    return out
