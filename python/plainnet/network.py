"""
A network of dense layers: its parameters, training and prediction, on either backend.

What many programs never need is imported in the function that needs it, as ``import plainnet`` is to be quick.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

import numpy as np
import numpy.typing as npt
from numpy import ndarray

from . import native
from .arguments import as_count, as_dtype, as_learning_rate, as_loss
from .arrays import (
    LARGE_BYTES,
    Array,
    allocate,
    as_labels,
    as_native,
    as_output,
    as_sample_weight,
    check_name,
    check_rows,
)
from .backend import Backend, Training
from .conversion import as_numbers, as_switch, shown
from .history import History
from .initializers import as_generator, initialize
from .layers import Dense, allocate_parameters, as_parameters, bind, check_chain, check_options
from .losses import Loss, LossLike, described
from .optimizers import SGD, LearningRate, Optimizer, as_optimizer, as_usable_limit
from .ordering import OrderOfEpoch
from .training import Data, Run, Step, TrainingState

if TYPE_CHECKING:
    from torch.nn import Sequential

    from .exchange.c_file import CExport
    from .initializers import Seed
    from .solvers.minimize import MinimizeResult
    from .table import Table
    from .unfinished import Unfinished


def _reference_model(layers: Sequence[Dense], loss: Loss, parameters: Array) -> Backend:
    from .reference import Model

    return Model(layers, loss, parameters)


BACKENDS: dict[str, Callable[[Sequence[Dense], Loss, Array], Backend]] = {"c": native.Model, "numpy": _reference_model}

#: The default of metrics and of callbacks.
NONE: tuple[()] = ()

Same = TypeVar("Same", bound="Network")


class Network:
    """
    Dense layers, trained by gradient descent or another optimizer.

    Parameters
    ----------
    layers : sequence of Dense
        Each one's ``n_in`` is the ``n_out`` of the one before. The network makes its own copies: ``net.layers``.
    loss : str, CrossEntropy, Huber or Quantile
        Over m rows, with outputs a and targets y, a mean over rows and outputs:
        ``"mean_squared_error"`` of (a-y)^2; ``"mean_absolute_error"`` of abs(a-y); ``"huber"``, the same as
        ``pn.Huber()``; ``"log_cosh"`` of ln cosh(a-y); ``"quantile"``, the same as ``pn.Quantile()``; ``"poisson"`` of
        exp(a) - y a, where exp(a) is the rate and y >= 0.
        ``"cross_entropy"``, the same as ``pn.CrossEntropy()``, is the mean over rows of -sum y ln a (the last layer
        must be a softmax).
        Or ``"log_loss"``, the mean over rows of -[y ln a + (1-y) ln(1-a)], summed over outputs (the last layer must be
        a sigmoid); ``"sum_of_squares"``, the sum of (a-y)^2.
    init : str or array_like (n_parameters,)
        All parameters, or a name for the initial weights, with biases of 0: "glorot_uniform", "glorot_normal",
        "he_uniform", "he_normal", "lecun_uniform", "lecun_normal", "orthogonal" are those of Keras; "glorot" is
        uniform, "he" normal and not cut off, "normal" has deviation 1, "uniform" is from 0 to 1.
    seed : None, int, sequence of int, SeedSequence, BitGenerator or Generator
        As for ``numpy.random.default_rng``; of the initial weights, of the order of mini-batches and of dropout.
    dtype : float64 or float32
    backend : {"c", "numpy"}
    optimizer : SGD, RMSprop, Adagrad, Adam, AdamW or Rprop
        How a step follows from the gradient; by default ``SGD(0.1)``.
    loss_limit : float, optional
        What the loss of an output or, with cross entropy, of a row, counts as at most; gradients do not know of it.
        Where probabilities are clipped to [eps, 1 - eps] before the logarithm, as in scikit-learn, it is -ln(eps).
    divide_penalty : bool
        Whether what the layers' ``l1`` and ``l2`` add to the loss is divided by the number of its rows (or the sum of
        their weights), as ``alpha`` of scikit-learn's networks is.

    Attributes
    ----------
    parameters : ndarray (n_parameters,)
        Weight, then bias, of the first layer, then of the second, ...: one array, of which ``net.layers[k].weight`` and
        ``.bias`` are views.
    layers : tuple of Dense
    loss : str, CrossEntropy, Huber or Quantile
    loss_limit : float or None
    divide_penalty : bool
    backend : str
    optimizer : Optimizer
        Can be assigned. What it keeps from step to step, and its number of steps, belong to the network: calls go on
        where the last one ended, copies and pickles have them, and an assignment begins anew.
    dtype : numpy.dtype
        Cannot be changed: ``net.copy(backend="numpy")`` is a network on the other backend.
    epochs_trained : int
        Epochs that :meth:`fit` has finished since the network was made.
    history : History or None
        The record of the last call of :meth:`fit`, also if an exception ended it; copies and pickles have None.
    table : Table or None
        The columns of the table that ``plainnet train`` has trained the network with; the network does not use it.

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

    table: Table | None = None

    def __init__(
        self,
        layers: Sequence[Dense],
        loss: LossLike = "mean_squared_error",
        init: str | npt.ArrayLike = "glorot",
        seed: Seed = None,
        dtype: npt.DTypeLike = "float64",
        backend: str = "c",
        optimizer: Optimizer = SGD(0.1),
        *,
        loss_limit: float | None = None,
        divide_penalty: bool = False,
    ) -> None:
        try:
            layers = list(layers)
        except TypeError:
            raise TypeError(f"layers must be a sequence of Dense, not {shown(layers)}") from None
        check_chain(layers)
        of_dtype = as_dtype(dtype)
        check_options(layers, of_dtype)
        objective = (
            as_loss(loss, layers[-1].activation, of_dtype),
            as_usable_limit("loss_limit", loss_limit, of_dtype),
            as_switch("divide_penalty", divide_penalty),
        )
        self._build(layers, objective, _as_backend(backend), of_dtype)
        self.optimizer = optimizer
        rng = as_generator(seed)
        initialize(self.layers, self._parameters, init, rng)
        self._shuffle_seed = int(rng.integers(2**64, dtype=np.uint64))

    def _build(
        self,
        layers: Sequence[Dense],
        objective: tuple[LossLike, float | None, bool],
        backend: str,
        dtype: np.dtype[Any],
    ) -> None:
        """
        Sets all attributes but the seed, with parameters of any values; the arguments are checked already.

        `objective` is the loss, its limit, and whether it divides the penalty.
        """
        self._dtype = dtype
        self._parameters = allocate_parameters(layers, dtype)
        self._layers = bind(layers, self._parameters)
        self._objective = objective
        self._backend = backend
        views = (view for layer in self.layers for view in (layer.weight, layer.bias) if view is not None)
        self._state = TrainingState((self._parameters, *views))
        self._n_in, self._n_out = self.layers[0].n_in, self.layers[-1].n_out
        loss, limit, divides = objective
        self._model = BACKENDS[backend](self.layers, described(loss, dtype, limit, divides), self._parameters)
        self._small = self._model.small_calls(self._state)
        self._history: History | None = None
        self._run: Any = None  # a Monitor while fit has one, or an Unfinished if an exception has ended the last call

    def _optimize_with(self, optimizer: Optimizer, state: Array | None, steps: int) -> None:
        """Sets the optimizer, and what it keeps; if an exception interrupts this, one of the two begins anew."""
        self._state.is_plain, self._state.steps = False, 0
        self._optimizer = optimizer, state
        self._state.steps = steps
        self._state.rate = 0.0 if callable(optimizer.learning_rate) else optimizer.learning_rate
        has_dropout = any(layer.dropout > 0 for layer in self.layers)  # which depends on the numbers of epoch and step
        self._state.is_plain = optimizer.is_plain and not has_dropout

    @property
    def optimizer(self) -> Optimizer:
        return self._optimizer[0]

    @optimizer.setter
    def optimizer(self, value: Optimizer) -> None:
        optimizer = as_optimizer(value, self._dtype)
        if self._state.thread != 0:
            raise RuntimeError("the network is being trained: its optimizer cannot be changed meanwhile")
        self._optimize_with(optimizer, self._allocate_state(optimizer), 0)

    def _allocate_state(self, optimizer: Optimizer) -> Array | None:
        """The arrays that an optimizer keeps, all zero; None if it keeps none."""
        if optimizer.n_slots == 0:
            return None
        shape = optimizer.n_slots, self._parameters.size
        state = allocate("the optimizer's state", shape, self._dtype, "take one that keeps less")
        state[:] = 0
        return state

    @property
    def epochs_trained(self) -> int:
        return int(self._state.epochs_trained)

    @epochs_trained.setter
    def epochs_trained(self, value: int) -> None:
        self._state.epochs_trained = as_count("epochs_trained", value, 0)

    @property
    def history(self) -> History | None:
        return self._history

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
    def loss(self) -> LossLike:
        return self._objective[0]

    @property
    def loss_limit(self) -> float | None:
        return self._objective[1]

    @property
    def divide_penalty(self) -> bool:
        return self._objective[2]

    @property
    def backend(self) -> str:
        return self._backend

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._dtype

    def __repr__(self) -> str:
        layers = ", ".join(map(repr, self.layers))
        limit = "" if self.loss_limit is None else f", loss_limit={self.loss_limit!r}"
        divided = ", divide_penalty=True" if self.divide_penalty else ""
        options = f"loss={self.loss!r}, dtype={self._dtype.name!r}, backend={self.backend!r}{limit}{divided}"
        return f"Network([{layers}], {options})"

    # ---- Copies ----------------------------------------------------------------------------------------------------

    def copy(self: Same, backend: str | None = None) -> Same:
        """
        An independent network with the same parameters, as far in training, on `backend` if given.

        It has the attributes that have been set on this one as well; their values are the same objects, as with
        ``copy.copy``. (``copy.deepcopy`` copies the values, too.)
        """
        state = self.__getstate__()
        if backend is not None:
            state["backend"] = _as_backend(backend)
        twin = object.__new__(type(self))
        twin.__setstate__(state)
        return twin

    def fold(
        self: Same,
        input_mean: npt.ArrayLike | None = None,
        input_scale: npt.ArrayLike | None = None,
        output_mean: npt.ArrayLike | None = None,
        output_scale: npt.ArrayLike | None = None,
    ) -> Same:
        """
        A network that takes and returns raw numbers, for one that was trained with scaled ones.

        It computes ``self.predict((x - input_mean) / input_scale) * output_scale + output_mean``, at no more cost than
        this one: the scaling goes into the first layer's and the last layer's weights and biases.

        Parameters
        ----------
        input_mean, input_scale : float or array_like (n_in,), optional
        output_mean, output_scale : float or array_like (n_out,), optional
            Of each column, such as ``mean_`` and ``scale_`` of scikit-learn's ``StandardScaler``. None, which these may
            be, means 0 and 1. Scales are above 0.

        Returns
        -------
        Network
            A copy, exact but for rounding, which grows with ``abs(input_mean / input_scale)``. Its loss is the same
            function, now of raw outputs and raw targets: of the mean squared error, for one, in squares of their unit.
            What the optimizer keeps begins anew. Options of layers stay, except that a layer whose weights are scaled
            has no `l1`, `l2` and `max_norm` any more, which were chosen for the weights before. To train further,
            train the scaled network and fold it again: raw numbers train badly.

        Raises
        ------
        TypeError, ValueError
            Naming the argument and what is allowed: means need a layer with a bias, means and scales of outputs an
            identity as the last activation, and the new parameters must be finite in the network's dtype.
        """
        from .folding import as_scaling, check_foldable, fold, remaining_options

        inputs = as_scaling("input", input_mean, input_scale, self._n_in)
        outputs = as_scaling("output", output_mean, output_scale, self._n_out)
        check_foldable(self.layers, inputs, outputs)
        state = self.__getstate__()
        options = remaining_options(self.layers, inputs, outputs)
        state["layers"] = [(*layer[:4], kept) for layer, kept in zip(state["layers"], options, strict=True)]
        state["parameters"] = fold(self.layers, self._parameters, inputs, outputs)
        state["begun"], state["run"], state["optimizer_steps"] = None, None, 0
        state["optimizer_state"] = self._allocate_state(self.optimizer)
        twin = object.__new__(type(self))
        twin.__setstate__(state)
        return twin

    def __getstate__(self) -> dict[str, Any]:
        from .state import slots

        optimizer, optimizer_state = self._optimizer
        run = getattr(self._run, "unfinished", self._run)
        return {
            "layers": [
                (layer.n_in, layer.n_out, layer.activation, layer.has_bias, dict(layer.options.chosen()))
                for layer in self.layers
            ],
            "loss": self.loss, "loss_limit": self.loss_limit, "divide_penalty": self.divide_penalty,
            "dtype": self._dtype.name, "backend": self.backend,
            "parameters": self._parameters.copy(), "shuffle_seed": self._shuffle_seed,
            "epochs_trained": self.epochs_trained, "begun": self._state.begun and tuple(self._state.begun),
            "optimizer": optimizer, "optimizer_steps": self._state.steps,
            "optimizer_state": None if optimizer_state is None else optimizer_state.copy(),
            "run": None if run is None else run.as_dict(),
            "attributes": {
                **{name: value for name, value in vars(self).items() if name not in _OWN},
                **{name: getattr(self, name) for name in slots(type(self)) if hasattr(self, name)},
            },
        }  # fmt: skip

    def __setstate__(self, state: dict[str, Any]) -> None:
        """
        Raises
        ------
        ValueError
            Naming the entry of `state` that is missing, unknown or wrong; the network is unchanged.
        """
        from .state import as_state, slots

        new = as_state(state, BACKENDS, _OWN)
        twin = object.__new__(Network)
        objective = new.loss, new.loss_limit, new.divide_penalty
        twin._build(new.layers, objective, new.backend, new.dtype)
        twin._parameters[:] = new.parameters
        twin._shuffle_seed = new.shuffle_seed
        twin._state.epochs_trained, twin._state.begun = new.epochs_trained, new.begun
        optimizer_state = twin._allocate_state(new.optimizer)
        if optimizer_state is not None:
            optimizer_state[:] = new.optimizer_state
        twin._optimize_with(new.optimizer, optimizer_state, new.optimizer_steps)
        twin._run = new.run
        in_slots = slots(type(self))
        self.__dict__ = {
            **{name: value for name, value in new.attributes.items() if name not in in_slots},
            **vars(twin),
        }
        for name in in_slots & new.attributes.keys():
            setattr(self, name, new.attributes[name])

    # ---- Files -----------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str], training: bool = False, allow_nonfinite: bool = False) -> None:
        """
        Writes the network to a file, for :func:`load`.

        The format is safetensors: tensors by name (``layers.0.weight``, ...) and a description in JSON, which
        docs/reference/model_files.md specifies. Of the attributes that users have set on the network, only a ``table``
        is in the file; the backend is not. The file is written as a whole or not at all: if there is an error or the
        process ends meanwhile, what was at `path` is there as before.

        Parameters
        ----------
        path : str or path-like
        training : bool
            Whether the file also has what :meth:`fit` needs to go on with the bits of a run that was never stopped: the
            optimizer and what it keeps, the numbers of steps and epochs, the seed, and the place in an epoch that has
            been interrupted.
        allow_nonfinite : bool
            Whether parameters may be infinite or NaN.

        Raises
        ------
        TypeError, ValueError
            Naming what is wrong: an argument, a parameter that is not finite, or, with `training`, a learning rate that
            is a function of your own.
        RuntimeError
            With `training`, if another thread is training the network.
        OSError
            As from ``open(path, "wb")``. The file that was there still is.
        """
        from .files import save

        save(self, path, training, allow_nonfinite)

    def to_torch(self) -> Sequential:
        """
        The same network in PyTorch; :func:`from_torch` is the way back.

        Returns
        -------
        torch.nn.Sequential
            A Linear for each layer, the module of its activation, if it has one, and a Dropout where it has `dropout`.
            The parameters are copies, of the network's dtype, and predictions are equal but for rounding. The module is
            in evaluation mode; its method ``train()`` turns dropout on. The loss and the optimizer are not part of it.
            ``torch.nn.CrossEntropyLoss`` takes what comes before the softmax: train ``net.to_torch()[:-1]`` with it.

        Raises
        ------
        ImportError
            If PyTorch is not installed: it is the extra `torch`.

        Warns
        -----
        UserWarning
            Naming the options of layers that are no part of a module in PyTorch: `l1`, `l2`, `max_norm`, `weight_rate`
            and `bias_rate`.
        """
        from .exchange.torch import to_torch

        return to_torch(self)

    def to_onnx(self, path: str | os.PathLike[str]) -> None:
        """
        Writes the network to a file as a model in ONNX, for prediction with ONNX Runtime and others.

        The model has one input, ``input`` (n_samples, n_in), and one output, ``output`` (n_samples, n_out), of the
        network's dtype and for any number of rows, and the operators of opset 13. Its outputs are those of
        :meth:`predict` but for rounding. Most activations are composed of simple operators, as those of ONNX Runtime
        lack float64 or lose digits; in float32 these would be faster, that of gelu up to four times. The loss and
        options for training, such as `dropout`, are not part of the model. The file is written whole or not at all.

        Parameters
        ----------
        path : str or path-like

        Raises
        ------
        TypeError
            If `path` is no path.
        ValueError
            If a parameter is not finite, or the parameters take more than 2 GiB, which is what a file can hold.
        ImportError
            If the package onnx is not installed: it is the extra `onnx`.
        OSError
            As from ``open(path, "wb")``. The file that was there still is.
        """
        from .exchange.onnx import to_onnx

        to_onnx(self, path)

    def to_c(
        self,
        path: str | os.PathLike[str],
        name: str = "model",
        batch: bool = False,
        self_test: npt.ArrayLike | None = None,
        weights: str = "exact",
        calibration: npt.ArrayLike | None = None,
    ) -> CExport:
        """
        Writes the network to one C file, which needs nothing but a C99 or C++ compiler, and predicts.

        The file defines ``void NAME_predict(const float *x, float *out)``, with double in networks of float64. It
        allocates nothing and keeps no state. Where the target has fused multiply-adds, layers with identity, relu and
        leaky_relu have the bits of :meth:`predict`. Without, a sum of n products and a bias differs by less than
        (n + 1) eps times the sum of their magnitudes. Other activations are those of the C library (link with -lm),
        and differ from plainnet's by some eps. The file is written as a whole or not at all.

        Parameters
        ----------
        path : str or path-like
        name : str
            What names in the file begin with: an ASCII letter, then letters, digits and single underscores.
        batch : bool
            Whether there is a function for many rows as well, ``void NAME_predict_batch(size_t n_rows, const float *x,
            float *out)``.
        self_test : array_like (n_samples, n_in), optional
            At most 100 rows that the file keeps, with their predictions. With ``-DNAME_SELF_TEST``, NAME in capitals,
            it has a ``main`` that returns 0 if it computes the same, but for rounding.
        weights : {"exact", "int8"}
            With "int8", weights take a byte each: they are rounded to whole numbers from -127 to 127, with a scale for
            each output. Sums, biases and outputs stay float or double.
        calibration : array_like (n_samples, n_in), optional
            For int8 weights, which need it: rows such as the network will get, training data for instance. Weights are
            rounded for inputs of these sizes, and the file tells how far the outputs are from those of exact weights.

        Returns
        -------
        CExport
            ``constants_bytes`` and ``stack_bytes``; with int8 weights, ``loss``, which tells what rounding has changed
            for the calibration data (print it); and ``network``, which predicts what the file does.

        Raises
        ------
        TypeError, ValueError
            Naming the argument and what is allowed, or a parameter that is not finite.
        OSError
            As from ``open(path, "wb")``. The file that was there still is.
        """
        from .exchange.c_file import to_c

        return to_c(self, path, name, batch, self_test, weights, calibration)

    # ---- Use -------------------------------------------------------------------------------------------------------

    def predict(self, x: npt.ArrayLike, out: Array | None = None) -> Array:
        """
        The network's outputs.

        Parameters
        ----------
        x : array_like (n_samples, n_in)
        out : ndarray (n_samples, n_out), optional
            The array for the result: of the network's dtype, writeable, not overlapping `x`.

        Returns
        -------
        ndarray (n_samples, n_out)
            `out`, or a new array of the network's dtype.

        Raises
        ------
        TypeError, ValueError
            Naming the argument and what is allowed; nothing has been written then.
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

    def train_on_batch(
        self,
        x: npt.ArrayLike,
        y: npt.ArrayLike,
        learning_rate: LearningRate | None = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> float:
        """
        One step of the optimizer with all rows of `x`, `y`; the arguments are those of :meth:`fit`.

        Returns
        -------
        float
            The loss from before the step.

        Raises
        ------
        TypeError, ValueError
            As for :meth:`fit`.
        """
        loss = self._small.train_on_batch(x, y, learning_rate) if sample_weight is None else None
        if loss is not None:
            return loss
        optimizer = self._optimizer
        rate = as_learning_rate(learning_rate, optimizer[0], self._dtype)
        native_x, native_y = self._pair(x, y)
        weight = as_sample_weight(sample_weight, len(native_x), self._dtype)
        self._check_writeable()
        step = Step(self._model, self._state, native_x, native_y, weight, optimizer, rate, self._shuffle_seed)
        is_shared = threading.active_count() > 1  # otherwise no thread can fork during the step
        return float(self._state.run(step.train, (), step.finish, optimizer[1], is_shared))

    def evaluate(self, x: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> float:
        """
        The loss of `x`, `y`, for the price of a forward pass; the arguments are those of :meth:`fit`.

        Dropout drops nothing here, and the terms of ``l1`` and ``l2`` are part of the loss.

        Returns
        -------
        float
            The loss that :meth:`loss_and_gradient` returns, to the last bit.

        Raises
        ------
        TypeError, ValueError
            As for :meth:`fit`.
        """
        native_x, native_y = self._pair(x, y)
        return self._model.total_loss(native_x, native_y, as_sample_weight(sample_weight, len(native_x), self._dtype))

    def loss_and_gradient(
        self, x: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
    ) -> tuple[float, Array]:
        """
        The loss of `x`, `y` and its gradient with respect to the parameters; the arguments are those of :meth:`fit`.

        Returns
        -------
        loss : float
        gradient : ndarray (n_parameters,)
            Laid out as ``net.parameters``.
        """
        native_x, native_y = self._pair(x, y)
        weight = as_sample_weight(sample_weight, len(native_x), self._dtype)
        gradient = np.empty_like(self._parameters)
        return self._model.loss_and_gradient(native_x, native_y, gradient, weight), gradient

    def input_gradient(self, x: npt.ArrayLike, y: npt.ArrayLike) -> Array:
        """
        The gradient of the loss of `x`, `y` with respect to `x`.

        Returns
        -------
        ndarray (n_samples, n_in)

        Raises
        ------
        TypeError, ValueError
            As for :meth:`fit`.
        """
        native_x, native_y = self._pair(x, y)
        gradient = allocate("the result", (len(native_x), self._n_in), self._dtype, "take fewer rows at once")
        self._model.input_gradient(native_x, native_y, gradient)
        return gradient

    def jacobian(self, x: npt.ArrayLike) -> Array:
        """
        The derivatives of each row's outputs with respect to its inputs.

        Returns
        -------
        ndarray (n_samples, n_out, n_in)

        Raises
        ------
        TypeError, ValueError
            As for :meth:`predict`.
        """
        native_x = x if self._is_ready(x, self._n_in) else self._rows("x", x, self._n_in)
        shape = len(native_x), self._n_out, self._n_in
        jacobian = allocate("the result", shape, self._dtype, "take fewer rows at once")
        self._model.jacobian(native_x, jacobian)
        return jacobian

    def jacobian_parameters(self, x: npt.ArrayLike) -> Array:
        """
        The derivatives of each row's outputs with respect to the parameters.

        Returns
        -------
        ndarray (n_samples, n_out, n_parameters)
            Of the network's dtype; the last axis is laid out as ``net.parameters``.

        Raises
        ------
        TypeError, ValueError
            As for :meth:`predict`.
        """
        native_x = x if self._is_ready(x, self._n_in) else self._rows("x", x, self._n_in)
        shape = len(native_x), self._n_out, self._parameters.size
        jacobian = allocate("the result", shape, self._dtype, "take fewer rows at once")
        self._model.jacobian_parameters(native_x, jacobian)
        return jacobian

    def minimize(
        self,
        x: npt.ArrayLike,
        y: npt.ArrayLike,
        method: str = "levenberg-marquardt",
        max_iterations: int = 100,
        sample_weight: npt.ArrayLike | None = None,
        validation: float | Sequence[npt.ArrayLike] | None = None,
        metrics: str | Callable[..., Any] | Sequence[str | Callable[..., Any]] = NONE,
        callbacks: Any = NONE,
        progress: bool = False,
        gradient_tolerance: float = 1e-10,
        loss_tolerance: float = 1e-12,
        regularization: str | None = None,
    ) -> MinimizeResult:
        """
        Trains with all rows at once, and to the last digit, where :meth:`fit` makes many small steps.

        ``"levenberg-marquardt"`` is for sums and means of squares, and for small networks: an iteration takes
        ``n_samples * n_out * n_parameters**2 + n_parameters**3`` operations, and the matrix of second derivatives,
        ``16 * n_parameters**2`` bytes. In exchange some dozen iterations go where thousands of epochs do not. The
        activations should be smooth: with relu and leaky_relu it works, but less well. ``"lbfgs"`` is SciPy's L-BFGS-B,
        for every loss and for larger networks.

        Both compute in double precision, whatever the network's dtype is, and neither uses nor changes the network's
        optimizer and ``epochs_trained``. Layers whose ``weight_rate`` or ``bias_rate`` is 0 keep their weight or bias;
        rates above 0 do nothing here. After each iteration the network has its parameters, also if Ctrl-C comes.

        Parameters
        ----------
        x : array_like (n_samples, n_in)
        y : array_like (n_samples, n_out)
        sample_weight, validation, metrics, callbacks, progress
            As for :meth:`fit`; an epoch is an iteration here. Its ``loss`` is that of after the iteration, and its
            learning rate is NaN. Callbacks that change learning rates are refused.
        method : {"levenberg-marquardt", "lbfgs"}
        max_iterations : int
            At least 0.
        gradient_tolerance : float
            The run ends when no entry of the gradient is larger, in absolute value.
        loss_tolerance : float
            The run ends when an iteration lowers the loss by at most this part of it.
        regularization : {None, "bayesian"}
            With "bayesian" and Levenberg-Marquardt, ``decay / 2 * sum(parameters**2)`` is added to the loss, and after
            each iteration the decay follows from the data: the most probable one (MacKay 1992; Foresee and Hagan
            1997). It takes no validation data to keep a network with too many parameters from learning the noise.

        Returns
        -------
        MinimizeResult
            ``loss``, ``n_iterations``, ``converged``, ``message``, ``gradient_norm``, ``history``, and with Bayesian
            regularisation ``decay`` and ``effective_parameters``.

        Raises
        ------
        TypeError, ValueError
            Naming the argument and what is allowed, or an option of a layer that the method does not know: `dropout`,
            `max_norm`, with Levenberg-Marquardt `l1`, and with Bayesian regularisation `l2`. The network is unchanged.
        MemoryError
            If there is no memory for the second derivatives, before anything is allocated.
        DivergedError
            If the loss or its derivatives are not finite for the parameters that it begins with.
        ImportError
            If ``"lbfgs"`` has no SciPy: it is the extra `solvers`.
        RuntimeError
            If the network is being trained already.
        """
        from .solvers.minimize import minimize

        return minimize(
            self, x, y, method, max_iterations, sample_weight, validation, metrics, callbacks, progress,
            gradient_tolerance, loss_tolerance, regularization,
        )  # fmt: skip

    def fit(
        self,
        x: npt.ArrayLike | Iterable[Any],
        y: npt.ArrayLike | None = None,
        epochs: int = 1,
        learning_rate: LearningRate | None = None,
        batch_size: int | None = None,
        shuffle: bool | OrderOfEpoch = True,
        sample_weight: npt.ArrayLike | None = None,
        validation: float | Sequence[npt.ArrayLike] | None = None,
        metrics: str | Callable[..., Any] | Sequence[str | Callable[..., Any]] = NONE,
        callbacks: Any = NONE,
        progress: bool = False,
        resume: bool = False,
    ) -> History:
        """
        Trains with the network's optimizer, beginning with the present parameters.

        Ctrl-C stops at a step's end. The next call with the same data, weights, `batch_size` and `shuffle` first
        finishes the epoch that was interrupted (it counts as one of its `epochs`), so that the parameters are, bit for
        bit, those of a run without interruption; but not if the parameters have been changed in between.
        ``epochs_trained`` tells how many epochs are complete. All of this holds for every exception that a signal
        handler raises, at any time.

        In a process that another thread forks meanwhile, the network is as it was before the call.

        Parameters
        ----------
        x : array_like (n_samples, n_in)
        y : array_like (n_samples, n_out)
            Arrays, nested lists or data frames (pandas, polars) of finite numbers; with ``log_loss``, targets within
            [0, 1]; with ``poisson``, at least 0. With cross entropy these are probabilities, which sum to 1 in each
            row, or labels (n_samples,): whole numbers from 0 to n_out - 1. Where the network has one output,
            (n_samples,) is the same as (n_samples, 1).

            Or, without y, x is an iterable of mini-batches (x, y) or (x, y, sample_weight), which each epoch walks from
            its beginning, such as a list, or an object of your own that reads files. `batch_size` and `sample_weight`
            are not given then, `shuffle` does nothing, `validation` is no fraction, and an epoch that an exception
            interrupts is not taken up. What is wrong with a batch is found when it comes. Contiguous arrays of the
            network's dtype are used where they lie if the iterable is a list or a tuple; from others they are copied.
        epochs : int
            Passes over all rows, at least 0.
        learning_rate : float or callable, optional
            Instead of the optimizer's: a number above 0, or a function that has the number of a step of the optimizer,
            from 0 on, and returns the rate of that step; see :mod:`plainnet.schedules`.
        batch_size : int, optional
            Rows in a step; by default, and if there are fewer rows, all.
        shuffle : bool or callable
            Whether each epoch draws its mini-batches in a new order (which follows from the network's seed and the
            epoch's number). The full batch has no order and is never shuffled. Or a function that has the number of an
            epoch, ``epochs_trained`` when it begins, and returns its order: an array (n_samples,) of the rows' numbers,
            each of them once.
        sample_weight : array_like (n_samples,), optional
            Weights of the rows, finite, at least 0 and not all 0; by default 1. A mean over rows becomes
            ``sum(weight * loss) / sum(weight)``, over the rows of a step and over those of an epoch.
        validation : float, (x, y) or (x, y, sample_weight), optional
            Rows that the network is not trained with, and whose loss is computed after each epoch, without dropout. A
            fraction sets aside that part of the rows, which the network's seed chooses; of each class the same part,
            with cross entropy, or where targets are 0 and 1 with log loss and one output.
        metrics : sequence of str or callable
            What else is computed after each epoch, of the validation data or, if there are none, of the training data:
            ``"accuracy"`` (with cross entropy or log loss), ``"mean_absolute_error"``, ``"r2"`` (with the other
            losses), or a function of the targets, (n_samples, n_out) or integer labels (n_samples,), and of the
            predictions (n_samples, n_out), which returns a number and has a name.
        callbacks : sequence of object
            Called after each epoch: ``pn.EarlyStopping``, ``pn.ReduceOnPlateau``, or any object with a method
            ``epoch_end(network, logs)``, which returns True to end the run; see :mod:`plainnet.callbacks`.
        progress : bool
            Whether to show on standard error how far the run has come: as a bar on a terminal, which needs tqdm (the
            extra `progress`), elsewhere as a line every few seconds.
        resume : bool
            Whether to go on with a call of fit that an exception has ended, such as Ctrl-C, or that had not ended when
            the network was saved with ``training=True`` (or copied, or pickled). With the same arguments as in that
            call, the network, the callbacks and the record end as they would have then, to the last bit; `epochs` are
            those of both calls.

        Returns
        -------
        History
            Also ``net.history``, which is there even if an exception ends the run.

        Raises
        ------
        TypeError, ValueError
            Naming the argument and what is allowed; the network is unchanged.
        ImportError
            If a bar needs tqdm; the network is unchanged.
        DivergedError
            (a ValueError and a FloatingPointError) If the loss, a parameter or the optimizer's state becomes NaN or
            infinite. It names the epoch; the network keeps its last finite parameters, and the state of then.
        RuntimeError
            If the network is being trained already, by another thread, or by this one when a signal handler calls.
        """
        is_watched = not (
            validation is None and metrics is NONE and callbacks is NONE and progress is False and resume is False
        )
        if sample_weight is None and not is_watched:
            losses = self._small.fit(x, y, epochs, learning_rate, batch_size, shuffle)
            if losses is not None:
                number: Any = self._optimizer[0].learning_rate if learning_rate is None else learning_rate
                self._history, self._run = History(losses, number), None
                return self._history
        if y is None:
            given = {"batch_size": batch_size, "sample_weight": sample_weight}
            others = validation, metrics, callbacks, progress, resume
            return self._fit_batches(x, given, epochs, learning_rate, is_watched, *others)
        rows: Any = x
        native_x, native_y = self._pair(rows, y, by_parts=True)
        weight = as_sample_weight(sample_weight, len(native_x), self._dtype)
        epochs = as_count("epochs", epochs, 0)
        optimizer, optimizer_state = self._optimizer
        rate = as_learning_rate(learning_rate, optimizer, self._dtype)
        resumed = self._resumed(resume, epochs)
        data, aside = Data(native_x, native_y, weight), None
        if validation is not None:
            from .monitor import set_aside

            data, aside = set_aside(self, validation, data)
        n_rows = len(data.x)
        batch_size = n_rows if batch_size is None else min(as_count("batch_size", batch_size, 1), n_rows)
        order_of_epoch = shuffle if callable(shuffle) else None
        shuffle = order_of_epoch is not None or (as_switch("shuffle", shuffle) and batch_size < n_rows)
        how = Training(
            epochs if resumed is None else epochs - resumed.epochs, batch_size, _number(rate), shuffle,
            self._shuffle_seed, optimizer=optimizer, state=optimizer_state,
        )  # fmt: skip
        self._check_writeable()
        monitor = None
        if is_watched:
            from .monitor import watch

            monitor = watch(self, data, aside, metrics, callbacks, progress, epochs, resumed)
        model: Any = self._model
        if not isinstance(data.x, ndarray):
            from .streaming import StreamedModel

            model = StreamedModel(model)
        run = Run(model, self._state, data.x, data.y, data.weight, how, rate, monitor, order_of_epoch)
        return self._carry_out(run, resumed is not None)

    def _fit_batches(
        self,
        x: Any,
        not_allowed: dict[str, Any],
        epochs: int,
        learning_rate: LearningRate | None,
        is_watched: bool,
        validation: Any,
        metrics: Any,
        callbacks: Any,
        progress: bool,
        resume: bool,
    ) -> History:
        """:meth:`fit` with an iterable of mini-batches."""
        from .batches import Batches, BatchRun
        from .monitor import set_aside, watch

        batches = Batches(self, x)
        for name, value in not_allowed.items():
            if value is not None:
                raise ValueError(f"{name} must be None where x is an iterable of mini-batches, which have their own")
        epochs = as_count("epochs", epochs, 0)
        optimizer, optimizer_state = self._optimizer
        rate = as_learning_rate(learning_rate, optimizer, self._dtype)
        resumed = self._resumed(resume, epochs)
        _, aside = (None, None) if validation is None else set_aside(self, validation, None)
        left = epochs if resumed is None else epochs - resumed.epochs
        how = Training(left, 1, _number(rate), False, self._shuffle_seed, optimizer=optimizer, state=optimizer_state)
        self._check_writeable()
        monitor = None
        if is_watched:
            monitor = watch(self, None, aside, metrics, callbacks, progress, epochs, resumed)
        return self._carry_out(BatchRun(batches, self._model, self._state, how, rate, monitor), resumed is not None)

    def _carry_out(self, run: Run, is_resumed: bool) -> History:
        """Lets `run` train, and keeps its record and, if an exception ends it, what it takes to go on."""
        monitor, before = run.monitor, self._run
        with monitor or nullcontext():
            try:
                self._run = monitor
                self._state.run(run.train, (), run.finish, self._optimizer[1], True)
            finally:
                self._run = before
                if run.progress.steps > 0 or is_resumed:
                    self._history, self._run = run.history(), run.unfinished()
        self._history, self._run = run.history(), None  # with what callbacks say at the end
        return self._history

    def _resumed(self, resume: bool, epochs: int) -> Unfinished | None:
        """The run to go on with; None if there is to be none."""
        if not as_switch("resume", resume):
            return None
        run: Unfinished | None = self._run
        if run is None:
            raise ValueError("resume=True: there is no run to go on with, as the last call of fit has come to its end")
        if epochs < run.epochs:
            raise ValueError(f"epochs must be at least {run.epochs}: the run to go on with has so many behind it")
        return run

    # ---- Arguments -------------------------------------------------------------------------------------------------

    def _is_ready(self, value: npt.ArrayLike | None, n_columns: int) -> TypeGuard[Array]:
        """Whether the backend can use `value` as it is. Calls begin with this check, so it must be fast."""
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
        if name == "y" and self._model.loss.is_distribution:
            side += ", and labels have the shape (n_samples,)"
        check_rows(name, array, n_columns, side)
        return array

    def _targets(self, y: npt.ArrayLike) -> Array:
        """`y` as (n_samples, n_out) or, if they are labels, as (n_samples,)."""
        try:
            numbers = as_numbers("y", y)
        except TypeError as error:
            hint = "; names become labels with classes, y = np.unique(y, return_inverse=True)"
            raise TypeError(f"{error}{hint if self._model.loss.is_distribution else ''}") from None
        if numbers.ndim == 1 and self._model.loss.is_distribution:
            return as_labels("y", numbers, self._n_out, self._dtype)
        return self._rows("y", numbers.reshape(-1, 1) if numbers.ndim == self._n_out == 1 else numbers, self._n_out)

    def _by_parts(self, x: npt.ArrayLike) -> Any:
        """`x` as rows that are converted by parts, if it is large and must be converted; else None."""
        array = as_numbers("x", x)
        is_native = array.dtype == self._dtype and array.dtype.isnative and array.flags.carray
        if is_native or array.size * self._dtype.itemsize <= LARGE_BYTES or array.ndim != 2:
            return None
        from .streaming import Rows

        check_rows("x", array, self._n_in, f"the first layer has n_in = {self._n_in}")
        return Rows(array, self._dtype)

    def _pair(self, x: npt.ArrayLike, y: npt.ArrayLike, by_parts: bool = False) -> tuple[Any, Array]:
        """The arrays for a backend; with `by_parts`, x may be a streaming.Rows."""
        native_x: Any = x
        if not self._is_ready(x, self._n_in):
            native_x = self._by_parts(x) if by_parts else None
            if native_x is None:
                native_x = self._rows("x", x, self._n_in)
        native_y = y if self._is_ready(y, self._n_out) else self._targets(y)
        if len(native_x) != len(native_y):
            shapes = f"{(len(native_x), self._n_in)} and {native_y.shape}"
            raise ValueError(f"x and y must have as many rows as each other: their shapes are {shapes}")
        return native_x, native_y

    def _check_writeable(self) -> None:
        """Refuses to train read-only parameters, to which the backends would write all the same."""
        if self._state.is_writeable():
            return
        if not self._parameters.flags.writeable:
            raise ValueError("parameters is read-only: its flags.writeable is False")
        for k, layer in enumerate(self.layers):
            for name, view in (("weight", layer.weight), ("bias", layer.bias)):
                if view is not None and not view.flags.writeable:
                    raise ValueError(f"layers[{k}].{name} is read-only: its flags.writeable is False")


#: The attributes of a network itself; all others have been set by users.
_OWN = {
    "_dtype", "_parameters", "_objective", "_backend", "_layers", "_shuffle_seed", "_state", "_n_in", "_n_out",
    "_model", "_small", "_optimizer", "_history", "_run",
}  # fmt: skip


def _number(rate: LearningRate) -> float:
    """A learning rate, or 1 in the place of a function, which decides in its stead."""
    return 1.0 if callable(rate) else rate


def _as_backend(value: Any) -> str:
    check_name("backend", value, BACKENDS)
    return str(value)
