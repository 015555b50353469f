"""A network of dense layers: its parameters, training and prediction, on either backend."""

from __future__ import annotations

import copyreg
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard, TypeVar

import numpy as np
import numpy.typing as npt
from numpy import ndarray

from . import native, reference
from .arrays import (
    FLOAT32,
    FLOAT64,
    Array,
    allocate,
    as_native,
    as_output,
    check_name,
    check_rows,
    empty_on_cache_line,
)
from .backend import Backend
from .conversion import REFUSALS, shown
from .initializers import Seed, as_generator, initialize
from .interrupt import DeferredInterrupt
from .layers import MAX_PARAMETERS, Dense, allocate_parameters, as_count, as_parameters, bind, check_chain
from .losses import LOSSES, Loss
from .training import DivergedError, Interrupted, Progress, Training, operations_a_row

BACKENDS: dict[str, Callable[[Sequence[Dense], Loss, Array], Backend]] = {"c": native.Model, "numpy": reference.Model}

#: A run comes back from the backend about this often, in seconds: for Ctrl-C.
SLICE_SECONDS = 0.08

#: The first slice of a run, before its speed is known: about 10 ms of arithmetic, and for NumPy some steps.
FIRST_SLICE_OPERATIONS = {"c": 2e7, "numpy": 1e5}

Same = TypeVar("Same", bound="Network")


@dataclass(frozen=True)
class History:
    """
    What :meth:`Network.fit` saw.

    Attributes
    ----------
    loss : ndarray (epochs,)
        The loss of each epoch, each row's share from before the update that uses it: with the full batch, the loss
        before that epoch's update. The mean over the rows, or with ``sum_of_squares`` the sum.
    """

    loss: npt.NDArray[np.float64]


class Network:
    """
    Dense layers, trained by gradient descent.

    Parameters
    ----------
    layers : sequence of Dense
        Each one's ``n_in`` is the ``n_out`` of the one before. The network makes its own copies: ``net.layers``.
    loss : {"mean_squared_error", "log_loss", "sum_of_squares"}
        Over m rows, with outputs a and targets y:
        ``mean_squared_error`` is the mean of (a-y)^2 over rows and outputs;
        ``log_loss`` the mean over rows of -[y ln a + (1-y) ln(1-a)], summed over outputs (the last layer must be a
        sigmoid); ``sum_of_squares`` the sum of (a-y)^2.
    init : {"glorot", "he", "normal", "uniform"} or array_like (n_parameters,)
        How weights start (biases: at 0), or all parameters.
    seed : None, int, sequence of int, SeedSequence, BitGenerator or Generator
        As for ``numpy.random.default_rng``; for the starting weights and the order of mini-batches.
    dtype : float64 or float32
    backend : {"c", "numpy"}

    Attributes
    ----------
    parameters : ndarray (n_parameters,)
        Weight, then bias, of the first layer, then of the second, ...: one array, of which ``net.layers[k].weight`` and
        ``.bias`` are views.
    layers : tuple of Dense
    loss, backend : str
    dtype : numpy.dtype
        As given; a network of another kind is a new one: ``net.copy(backend="numpy")``.
    epochs_trained : int
        Epochs that :meth:`fit` has finished in the network's life.

    Raises
    ------
    TypeError, ValueError
        Naming the argument and what is allowed.

    Examples
    --------
    >>> import plainnet as pn
    >>> net = pn.Network([pn.Dense(2, 3, "tanh"), pn.Dense(3, 1, "sigmoid")], loss="log_loss", init="normal", seed=0)
    >>> history = net.fit([[0, 0], [0, 1], [1, 0], [1, 1]], [[0], [1], [1], [0]], epochs=1500, learning_rate=0.1)
    >>> net.predict([[0, 1]]).shape
    (1, 1)
    """

    def __init__(
        self,
        layers: Sequence[Dense],
        loss: str = "mean_squared_error",
        init: str | npt.ArrayLike = "glorot",
        seed: Seed = None,
        dtype: npt.DTypeLike = "float64",
        backend: str = "c",
    ) -> None:
        try:
            layers = list(layers)
        except TypeError:
            raise TypeError(f"layers must be a sequence of Dense, not {shown(layers)}") from None
        check_chain(layers)
        _as_loss(loss, layers)
        _as_backend(backend)
        self._dtype = _as_dtype(dtype)
        self._parameters = allocate_parameters(layers, self._dtype)
        self._loss = loss
        self._backend = backend
        self._layers = bind(layers, self._parameters)

        rng = as_generator(seed)
        initialize(self.layers, self._parameters, init, rng)
        self._shuffle_seed = int(rng.integers(2**64, dtype=np.uint64))
        self._begun: Interrupted | None = None
        self._attach()

    def _attach(self) -> None:
        views = (view for layer in self.layers for view in (layer.weight, layer.bias) if view is not None)
        self._state = native.TrainingState((self._parameters, *views))
        self._n_in, self._n_out = self.layers[0].n_in, self.layers[-1].n_out
        self._model = BACKENDS[self.backend](self.layers, LOSSES[self.loss], self._parameters)
        self._small = self._model.small_calls(self._state)

    @property
    def epochs_trained(self) -> int:
        return int(self._state.epochs_trained)

    @epochs_trained.setter
    def epochs_trained(self, value: int) -> None:
        self._state.epochs_trained = as_count("epochs_trained", value, 0)

    @property
    def parameters(self) -> Array:
        return self._parameters

    @parameters.setter
    def parameters(self, value: npt.ArrayLike) -> None:
        new = as_parameters("parameters", value, self._parameters, "each layer's weight and bias")
        self._check_writeable()
        self._parameters[:] = new

    @property
    def layers(self) -> tuple[Dense, ...]:
        return self._layers

    @property
    def loss(self) -> str:
        return self._loss

    @property
    def backend(self) -> str:
        return self._backend

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._dtype

    def __repr__(self) -> str:
        layers = ", ".join(map(repr, self.layers))
        return f"Network([{layers}], loss={self.loss!r}, dtype={self._dtype.name!r}, backend={self.backend!r})"

    # ---- Copies ----------------------------------------------------------------------------------------------------

    def copy(self: Same, backend: str | None = None) -> Same:
        """
        A network of its own with the same parameters and the same place in training, on `backend` if given.

        Attributes that have been set on the network are its own as well; their values are the same objects, as with
        ``copy.copy``. (``copy.deepcopy`` copies these, too.)
        """
        state = self.__getstate__()
        if backend is not None:
            state["backend"] = _as_backend(backend)
        twin = object.__new__(type(self))
        twin.__setstate__(state)
        return twin

    def __getstate__(self) -> dict[str, Any]:
        return {
            "layers": [(layer.n_in, layer.n_out, layer.activation, layer.has_bias) for layer in self.layers],
            "loss": self.loss, "dtype": self._dtype.name, "backend": self.backend,
            "parameters": self._parameters.copy(), "shuffle_seed": self._shuffle_seed,
            "epochs_trained": self.epochs_trained, "begun": self._begun and tuple(self._begun),
            "attributes": {
                **{name: value for name, value in vars(self).items() if name not in _OWN},
                **{name: getattr(self, name) for name in _slots(type(self)) if hasattr(self, name)},
            },
        }  # fmt: skip

    def __setstate__(self, state: dict[str, Any]) -> None:
        """
        Raises
        ------
        ValueError
            Naming the entry of `state` that is missing, unknown or wrong; the network is unchanged.
        """
        new = _restored(state)
        slots = _slots(type(self))
        self.__dict__ = {
            **{name: value for name, value in state["attributes"].items() if name not in slots},
            **vars(new),
        }
        for name in slots & state["attributes"].keys():
            setattr(self, name, state["attributes"][name])

    # ---- Use -------------------------------------------------------------------------------------------------------

    def predict(self, x: npt.ArrayLike, out: Array | None = None) -> Array:
        """
        The network's outputs.

        Parameters
        ----------
        x : array_like (n_samples, n_in)
        out : ndarray (n_samples, n_out), optional
            Where to put the result: of the network's dtype, writeable, not overlapping `x`.

        Returns
        -------
        ndarray (n_samples, n_out)
            `out`, or a new array of the network's dtype.

        Raises
        ------
        TypeError, ValueError
            Naming what was wrong; nothing is written then.
        """
        if out is None:
            result = self._small.predict(x)
            if result is not None:
                return result
        native_x = x if self._is_ready(x, self._n_in) else self._rows("x", x, self._n_in)
        if out is None:
            result = allocate("the result", (len(native_x), self._n_out), self._dtype, "predict fewer rows at once")
            self._model.forward(native_x, result)
            return result
        # Two arrays that both own their memory cannot overlap.
        apart = self._is_ready(out, self._n_out) and out.base is None is native_x.base and out is not native_x
        if not apart or len(out) != len(native_x):
            shape = len(native_x), self._n_out
            as_output("out", out, shape, self._dtype, [x, native_x, self._parameters])
        if out.flags.carray:
            self._model.forward(native_x, out)
        else:
            out[...] = self.predict(native_x)
        return out

    def train_on_batch(self, x: npt.ArrayLike, y: npt.ArrayLike, learning_rate: float = 0.1) -> float:
        """
        One step of gradient descent with all rows of `x`, `y`.

        Returns
        -------
        float
            The loss from before the step.

        Raises
        ------
        TypeError, ValueError
            As for :meth:`fit`.
        """
        loss = self._small.train_on_batch(x, y, learning_rate)
        if loss is not None:
            return loss
        learning_rate = _as_learning_rate(learning_rate, self._dtype)
        native_x, native_y = self._pair(x, y)
        self._check_writeable()
        is_shared = threading.active_count() > 1  # else nobody can fork amid the step
        step: float = self._state.run(self._step, (native_x, native_y, learning_rate), None, is_shared)
        return step

    def _step(self, x: Array, y: Array, learning_rate: float) -> float:
        try:
            return self._model.train_on_batch(x, y, learning_rate)
        except DivergedError as error:
            raise self._explained(error, x, y) from None

    def loss_and_gradient(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[float, Array]:
        """
        The loss of `x`, `y` and its gradient with respect to the parameters.

        Returns
        -------
        loss : float
        gradient : ndarray (n_parameters,)
            Laid out as ``net.parameters``.
        """
        native_x, native_y = self._pair(x, y)
        gradient = np.empty_like(self._parameters)
        return self._model.loss_and_gradient(native_x, native_y, gradient), gradient

    def fit(
        self,
        x: npt.ArrayLike,
        y: npt.ArrayLike,
        epochs: int = 1,
        learning_rate: float = 0.1,
        batch_size: int | None = None,
        shuffle: bool = True,
    ) -> History:
        """
        Trains by gradient descent, from where the network is.

        Ctrl-C stops at a step's end. The next call with the same data, `batch_size` and `shuffle` first finishes the
        epoch that was interrupted (it counts as one of its `epochs`), so that the parameters are, bit for bit, those of
        a run without interruption; but not if the parameters have been changed in between. ``epochs_trained`` tells how
        many epochs are complete. All of this holds for whatever exception a signal handler raises, wherever it comes.

        A process that another thread forks meanwhile has the network as it was before the call.

        Parameters
        ----------
        x : array_like (n_samples, n_in)
        y : array_like (n_samples, n_out)
            Arrays, nested lists or data frames (pandas, polars) of finite numbers; with ``log_loss``, targets within
            [0, 1].
        epochs : int
            Passes over all rows, at least 0.
        learning_rate : float
            Above 0: ``parameters -= learning_rate * gradient``.
        batch_size : int, optional
            Rows a step; default, or where there are fewer rows: all.
        shuffle : bool
            Whether each epoch draws its mini-batches in a new order (which follows from the network's seed and the
            epoch's number). The full batch has no order and is never shuffled.

        Returns
        -------
        History

        Raises
        ------
        TypeError, ValueError
            Naming what was wrong and what is allowed; the network is unchanged.
        DivergedError
            (a ValueError and a FloatingPointError) If the loss or a parameter becomes NaN or infinite. It names the
            epoch; the network keeps its last finite parameters.
        RuntimeError
            If the network is being trained already, by another thread, or by this one when a signal handler calls.
        """
        full_batch = batch_size is None or (
            type(batch_size) is int and type(x) is ndarray and x.ndim > 0 and batch_size == len(x)
        )
        if full_batch and type(shuffle) is bool and self._begun is None:
            losses = self._small.fit(x, y, epochs, learning_rate)
            if losses is not None:
                return History(losses)
        native_x, native_y = self._pair(x, y)
        epochs = as_count("epochs", epochs, 0)
        learning_rate = _as_learning_rate(learning_rate, self._dtype)
        n_rows = len(native_x)
        batch_size = n_rows if batch_size is None else min(as_count("batch_size", batch_size, 1), n_rows)
        if not isinstance(shuffle, bool | np.bool_):
            raise TypeError(f"shuffle must be True or False, not {shown(shuffle)}")
        shuffle = bool(shuffle) and batch_size < n_rows

        self._check_writeable()
        run = _Run(self, native_x, native_y, epochs, batch_size, learning_rate, shuffle)
        return History(self._state.run(run.train, (), run.finish, True))

    def _explained(self, error: DivergedError, x: Array, y: Array) -> DivergedError:
        """`error`, or a clearer one if it came before the first step, which would have used the rows `x`, `y`."""
        finite = np.isfinite(self._parameters)
        if not finite.all():
            k = int(finite.argmin())
            return DivergedError(error.epoch, f"it began with parameters[{k}] = {self._parameters[k]}")
        loss = self._model.loss_and_gradient(x, y, np.empty_like(self._parameters))
        if math.isfinite(loss):
            return error
        why = f"it is {loss} for the parameters that it began with: they, or the data, are too large for {self._dtype}"
        return DivergedError(error.epoch, why)

    # ---- Arguments -------------------------------------------------------------------------------------------------

    def _is_ready(self, value: npt.ArrayLike | None, n_columns: int) -> TypeGuard[Array]:
        """Whether `value` may go to the backend as it is. It stands before every call: no more than it must do."""
        return (
            type(value) is ndarray
            and value.dtype is self._dtype
            and value.flags.carray
            and value.ndim == 2
            and value.shape[1] == n_columns
            and len(value) > 0
        )

    def _rows(self, name: str, value: npt.ArrayLike, n_columns: int) -> Array:
        array = as_native(name, value, self._dtype)
        side = f"the first layer has n_in = {n_columns}" if name == "x" else f"the last layer has n_out = {n_columns}"
        check_rows(name, array, n_columns, side)
        return array

    def _pair(self, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Array, Array]:
        native_x = x if self._is_ready(x, self._n_in) else self._rows("x", x, self._n_in)
        native_y = y if self._is_ready(y, self._n_out) else self._rows("y", y, self._n_out)
        if len(native_x) != len(native_y):
            raise ValueError(
                f"x and y must have as many rows as each other: their shapes are {native_x.shape} and {native_y.shape}"
            )
        return native_x, native_y

    def _check_writeable(self) -> None:
        """Training would write to the parameters, past what protects them."""
        if self._state.is_writeable():
            return
        if not self._parameters.flags.writeable:
            raise ValueError("parameters is read-only: its flags.writeable is False")
        for k, layer in enumerate(self.layers):
            for name, view in (("weight", layer.weight), ("bias", layer.bias)):
                if view is not None and not view.flags.writeable:
                    raise ValueError(f"layers[{k}].{name} is read-only: its flags.writeable is False")


class _Run:
    """One call of :meth:`Network.fit`: :meth:`train` does it, and :meth:`finish` makes the books right afterwards."""

    def __init__(
        self, network: Network, x: Array, y: Array, epochs: int, batch_size: int, learning_rate: float, shuffle: bool
    ) -> None:
        self.network = network
        self.x, self.y = (
            array.copy() if np.may_share_memory(array, network.parameters) else array for array in (x, y)
        )
        self.arguments = epochs, batch_size, learning_rate, shuffle, network._shuffle_seed
        self.losses = allocate(f"the losses of {epochs} epochs", epochs, np.float64, "take fewer epochs at once")
        self.progress = Progress()
        self.interrupt = DeferredInterrupt()
        self.is_complete = False

    def train(self) -> npt.NDArray[np.float64]:
        """Trains in slices; the losses."""
        network = self.network
        training = self.training = Training(*self.arguments, network.epochs_trained)
        begun = network._begun
        if begun is not None and begun[:4] == self._fingerprint():
            self.progress = Progress(0, begun.row, begun.loss_sum)
        progress, model, epochs = self.progress, network._model, training.epochs
        operations = training.batch_size * operations_a_row(network.parameters.size, network._n_out)
        max_steps = max(1, int(FIRST_SLICE_OPERATIONS[network.backend] / operations))
        self.interrupt.begin()
        while progress.epoch < epochs or progress.steps == 0:
            started = time.perf_counter()
            try:
                model.train(self.x, self.y, training, progress, self.losses, max_steps)
            except DivergedError as error:
                raise self._explained(error) from None
            if progress.epoch >= epochs:
                break
            self.interrupt.deliver()
            elapsed = max(time.perf_counter() - started, 1e-9)
            max_steps = max(1, int(max_steps * min(8.0, SLICE_SECONDS / elapsed)))
        self.is_complete = True
        return self.losses

    def finish(self) -> DivergedError | None:
        """
        To be called until it comes to its end, wherever exceptions have stopped it, and :meth:`train`.

        Returns
        -------
        DivergedError or None
            What only comes to light when the parameters are brought up to date.
        """
        network, progress, diverged = self.network, self.progress, None
        if progress.journal is not None:
            try:
                if not self.is_complete:
                    network._model.train(self.x, self.y, self.training, progress, self.losses, 0)
            except DivergedError as error:
                diverged = error
            if progress.steps > 0:
                network.epochs_trained = self.training.first_epoch + progress.epoch
                network._begun = None
                if progress.row > 0:
                    network._begun = Interrupted(*self._fingerprint(), progress.row, progress.loss_sum)
        self.interrupt.end()
        return diverged

    def _fingerprint(self) -> tuple[int, int, bool, int]:
        """Tells data sets, ways to go through them, and parameters apart."""
        checksum = native.checksum(self.x, self.y, self.network.parameters)
        return len(self.x), self.training.batch_size, self.training.shuffle, checksum

    def _explained(self, error: DivergedError) -> DivergedError:
        if self.progress.steps > 0:
            return error
        training, n_rows = self.training, len(self.x)
        order = np.arange(n_rows)
        if training.shuffle:
            order = reference.shuffled(training.shuffle_seed, training.first_epoch, n_rows)
        rows = order[self.progress.row :][: training.batch_size]
        return self.network._explained(error, self.x[rows], self.y[rows])


# ---- States ----------------------------------------------------------------------------------------------------------


def _slots(kind: type) -> set[str]:
    """The names of a subclass's attributes that are not in its objects' dictionaries."""
    return set(copyreg._slotnames(kind))  # type: ignore[attr-defined]


def _restored(state: Any) -> Network:
    """The network that `state`, from Network.__getstate__, describes; ValueError if it describes none."""
    if not isinstance(state, dict):
        raise ValueError(f"the state of a network must be a dict, not {type(state).__name__}")
    if state.keys() != _ENTRIES:
        missing, unknown = _ENTRIES - state.keys(), state.keys() - _ENTRIES
        raise ValueError(
            f"the state of a network has the entries {sorted(_ENTRIES)}; "
            f"missing are {sorted(missing)}, unknown are {sorted(map(repr, unknown))}"
        )
    new = object.__new__(Network)

    def entry(name: str, check: Callable[[Any], Any]) -> Any:
        try:
            return check(state[name])
        except (*REFUSALS, MemoryError) as error:
            raise ValueError(f"in the state of a network, {name!r} is wrong: {error}") from None

    layers = entry("layers", _as_layers)
    n_parameters = sum(layer.n_parameters for layer in layers)
    new._dtype = entry("dtype", _as_dtype)
    new._loss = entry("loss", lambda value: _as_loss(value, layers))
    new._backend = entry("backend", _as_backend)
    parameters = entry("parameters", lambda value: _as_stored(value, n_parameters, new._dtype))
    new._shuffle_seed = entry("shuffle_seed", lambda value: _as_number(value, 0, 2**64 - 1))
    epochs_trained = entry("epochs_trained", lambda value: _as_number(value, 0, MAX_PARAMETERS))
    new._begun = entry("begun", _as_interrupted)
    entry("attributes", _check_attributes)
    new._parameters = empty_on_cache_line(n_parameters, new._dtype)
    new._parameters[:] = parameters
    new._layers = bind(layers, new._parameters)
    new._attach()
    new.epochs_trained = epochs_trained
    return new


_ENTRIES = {
    "layers", "loss", "dtype", "backend", "parameters", "shuffle_seed", "epochs_trained", "begun", "attributes",
}  # fmt: skip


#: The attributes that a network is made of.
_OWN = {
    "_dtype", "_parameters", "_loss", "_backend", "_layers", "_shuffle_seed", "_begun", "_state", "_n_in", "_n_out",
    "_model", "_small",
}  # fmt: skip


def _as_layers(value: Any) -> list[Dense]:
    layers = [Dense(*layer) for layer in value]
    check_chain(layers)
    return layers


def _as_loss(value: Any, layers: Sequence[Dense]) -> str:
    check_name("loss", value, LOSSES)
    needed, given = LOSSES[value].last_activation, layers[-1].activation
    if needed is not None and needed != given:
        raise ValueError(f'{value} needs "{needed}" as the last layer\'s activation, not "{given}"')
    return str(value)


def _as_backend(value: Any) -> str:
    check_name("backend", value, BACKENDS)
    return str(value)


def _as_stored(value: Any, n_parameters: int, dtype: np.dtype[Any]) -> Array:
    """Parameters as a network has them, be they finite or not; those of another machine in another byte order."""
    if not isinstance(value, np.ndarray) or value.dtype.newbyteorder("=") != dtype or value.shape != (n_parameters,):
        what = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
        raise ValueError(f"it is {what}, not an array of {dtype} with shape ({n_parameters},), as the layers have it")
    return value


def _as_number(value: Any, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"it is {value!r}, not an integer from {least} to {most}")
    return value


def _as_interrupted(value: Any) -> Interrupted | None:
    if value is None:
        return None
    kinds = int, int, bool, int, int, float
    if not isinstance(value, tuple) or tuple(map(type, value)) != kinds:
        raise ValueError(f"it is {value!r}, not None or a tuple of {', '.join(kind.__name__ for kind in kinds)}")
    begun = Interrupted(*value)
    if not (0 < begun.row < begun.rows and begun.batch_size > 0 and begun.row % begun.batch_size == 0):
        raise ValueError(f"no epoch can be interrupted as in {begun}")
    if not (0 <= begun.checksum < 2**64 and math.isfinite(begun.loss_sum)):
        raise ValueError(f"checksum or loss_sum is out of range in {begun}")
    return begun


def _check_attributes(value: Any) -> None:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise ValueError("it is not a dict whose keys are strings")
    if clash := sorted(value.keys() & _OWN):
        raise ValueError(f"{clash} are the network's own")


# ---- Arguments -------------------------------------------------------------------------------------------------------


def _as_dtype(value: npt.DTypeLike) -> np.dtype[Any]:
    try:
        dtype = None if value is None else np.dtype(value)
    except REFUSALS:
        dtype = None
    if dtype is None or dtype not in (FLOAT32, FLOAT64):  # NumPy takes None for float64, in comparisons too
        raise ValueError(f"unknown dtype {shown(value)}; allowed are 'float64' and 'float32'")
    return FLOAT32 if dtype == FLOAT32 else FLOAT64


def _as_learning_rate(value: Any, dtype: np.dtype[Any]) -> float:
    if type(value) is float and 1e-30 < value < 1e30:
        return value  # the usual case, well within float32
    if isinstance(value, bool | np.bool_ | str | bytes | np.ndarray | complex | np.complexfloating):
        raise TypeError(f"learning_rate must be a number, not {shown(value)}")
    try:
        rate = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"learning_rate must be a number, not {shown(value)}") from None
    except OverflowError:
        rate = np.inf
    with np.errstate(over="ignore", under="ignore"):
        if not 0 < dtype.type(rate) < np.inf:
            raise ValueError(f"learning_rate must be finite and above 0 in {dtype.name}, not {shown(value)}")
    return rate
