"""
The interface between the front and the two backends.

A call covers the whole network, because a loop over its layers in Python takes longer than a small network does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from .arrays import Array
from .layers import LayerOptions
from .losses import Loss
from .optimizers import SGD, Optimizer


@dataclass(frozen=True)
class Training:
    """
    How to train; see ``pn_training`` in plainnet.h.

    Attributes
    ----------
    seed : int
        Of the order of rows and of the masks of dropout.
    learning_rates : ndarray (n_steps,), optional
        The rate of each step of the run, instead of `learning_rate`.
    first_step : int
        Steps that the optimizer has made before the run.
    state : ndarray (n_slots, n_parameters), optional
        The arrays that the optimizer keeps from step to step, which the run updates; None if there are none.
    order : ndarray of uintp (n_samples,), optional
        In which each epoch visits the rows, whatever `shuffle` says.
    is_checked : bool
        Whether a run before has checked the same data.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    shuffle: bool = False
    seed: int = 0
    first_epoch: int = 0
    optimizer: Optimizer = field(default_factory=SGD)
    learning_rates: Array | None = None
    first_step: int = 0
    state: Array | None = None
    order: Array | None = None
    is_checked: bool = False

    def rate(self, step: int) -> float:
        """The learning rate of a step of the run."""
        return self.learning_rate if self.learning_rates is None else float(self.learning_rates[step])

    def slots(self, parameters: Array) -> Array:
        """The state of the optimizer of these parameters, as an array in any case."""
        return np.empty((0, len(parameters)), parameters.dtype) if self.state is None else self.state


@dataclass
class Progress:
    """
    How far a run has come; see ``pn_progress`` in plainnet.h. All zero before it begins.

    Attributes
    ----------
    epoch, row, loss_sum, steps : int, int, float, int
        Finished epochs, rows of the next one that are already used, their share of its loss, and steps in all.
    journal : object
        The backend's own record of the run; None until it begins. If a signal handler raises an exception after a step
        and before the numbers above are updated, the next call updates them from the journal.
    """

    epoch: int = 0
    row: int = 0
    loss_sum: float = 0.0
    steps: int = 0
    journal: Any = field(default=None, repr=False, compare=False)


class DivergedError(FloatingPointError, ValueError):
    """
    The loss, a parameter or the optimizer's state became NaN or infinite, or was from the beginning.

    The network keeps the parameters and the optimizer's state of the last step at which everything was finite; if there
    is none, it is unchanged.

    Attributes
    ----------
    epoch : int
        The epoch whose loss is not finite, counted from 0 within the call.
    """

    def __init__(self, epoch: int, from_the_start: str = "") -> None:
        """`from_the_start` says what was not finite before the first step, if that is where it began."""
        outcome = (
            f"{from_the_start}. No step was made, and the network is unchanged."
            if from_the_start
            else "the network keeps its last finite parameters, those from before the step that led there. "
            "Try a smaller learning_rate."
        )
        super().__init__(
            f"training diverged: the loss is not finite in epoch {epoch} (counted from 0); {outcome}"
        )
        self.epoch = epoch
        self._from_the_start = from_the_start

    def __reduce__(self) -> tuple[type[DivergedError], tuple[int, str]]:
        return type(self), (self.epoch, self._from_the_start)


class Layer(Protocol):
    """A dense layer as the backends see it: its weight and bias are views of the network's parameters."""

    @property
    def activation(self) -> str: ...
    @property
    def weight(self) -> Array: ...
    @property
    def bias(self) -> Array | None: ...
    @property
    def options(self) -> LayerOptions: ...


class SmallCalls:
    """
    Calls for arrays so small that checks in Python take longer than the arithmetic.

    They check for themselves. None requests the general path: an argument is not a contiguous array of the network's
    dtype with few rows, the optimizer is more than gradient descent, or something is wrong, and nothing has happened.
    This class always returns None; a backend with small calls has a class of its own. They count the epochs and the
    steps that they finish, and return None while another call trains the network. With a learning rate of None they
    take the optimizer's.
    """

    def predict(self, x: object, /) -> Array | None:
        """A new array, the network's output for `x`; or None."""
        return None

    def train_on_batch(self, x: object, y: object, learning_rate: object, /) -> float | None:
        """One step, the loss from before it; or None, and no step."""
        return None

    def fit(
        self, x: object, y: object, epochs: object, learning_rate: object, batch_size: object, shuffle: object, /
    ) -> Array | None:
        """Full-batch training, the loss from before each epoch's step; or None, and no step."""
        return None


class Backend(Protocol):
    """
    A network's layers and loss over its flat parameters; implemented by ``reference.Model`` and ``native.Model``.

    Arrays are contiguous, aligned, of the parameters' dtype, and of shapes that fit. `y` is (n_samples, n_out) or, with
    cross entropy, (n_samples,): labels. These and `sample_weight` (n_samples,) have been checked.

    Attributes
    ----------
    layers : sequence of Layer
    loss : Loss
    parameters : ndarray (n_parameters,)
    first_slice_operations : float
        What the first slice of a run may cost, before its speed is known; see :mod:`plainnet.training`.
    """

    layers: Sequence[Layer]
    loss: Loss
    parameters: Array
    first_slice_operations: float

    def small_calls(self, state: Any) -> SmallCalls:
        """The calls for small arrays of the network whose ``TrainingState`` is `state`."""

    def forward(self, x: Array, out: Array) -> None:
        """`out` (n_samples, n_out) = the network's output for `x` (n_samples, n_in)."""

    def loss_and_gradient(self, x: Array, y: Array, gradient: Array, sample_weight: Array | None = None) -> float:
        """The loss of `x`, `y`; `gradient` (n_parameters,) is laid out as the parameters."""

    def total_loss(
        self, x: Array, y: Array, sample_weight: Array | None = None, out: Array | None = None
    ) -> float:
        """The loss of `x`, `y`, for the price of a forward pass; `out` (n_samples, n_out), if given, = the outputs."""

    def input_gradient(self, x: Array, y: Array, out: Array) -> None:
        """`out` (n_samples, n_in) = the gradient of the loss of `x`, `y` with respect to `x`."""

    def jacobian(self, x: Array, out: Array) -> None:
        """`out` (n_samples, n_out, n_in) = the derivatives of each row's outputs with respect to its inputs."""

    def jacobian_parameters(self, x: Array, out: Array) -> None:
        """`out` (n_samples, n_out, n_parameters) = the derivatives of each row's outputs with respect to parameters."""

    def gauss_newton(
        self, x: Array, y: Array, gradient: Array, hessian: Array, sample_weight: Array | None = None
    ) -> float:
        """
        The loss of `x`, `y`, which is a sum or a mean of squares; `gradient` as in `loss_and_gradient`, and `hessian`
        (n_parameters, n_parameters), the second derivatives of the loss as Gauss and Newton approximate them.
        """

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
        """
        Continues from `progress` for at most `max_steps` steps.

        The parameters and `training.state` are updated. `losses` (epochs,) receives the loss of each finished epoch.
        DivergedError leaves the last finite parameters and state.
        Whatever exception interrupts a call, and wherever: a call with `max_steps` = 0, which makes no step, brings
        `progress`, the parameters and the optimizer's state to the end of a step. (`progress.journal` is None if the
        run has not begun.)
        """

    def train_batches(
        self,
        x: list[Array],
        y: list[Array],
        training: Training,
        progress: Progress,
        max_steps: int,
        sample_weight: list[Array] | None = None,
    ) -> None:
        """
        Like `train`, with mini-batches that are arrays of their own, each of ``training.batch_size`` rows.

        They need not be a whole epoch: ``progress.row`` and ``progress.loss_sum`` grow, and ``progress.epoch`` stays 0.
        Each is checked before its own step: a ValueError leaves the parameters after the steps before that.
        """
