"""
The seam between the front and the two backends.

It is made of whole-network calls, because a loop over layers in Python costs more than a small network does.
"""

from __future__ import annotations

from typing import Any, Protocol

from .arrays import Array
from .training import Progress, Training


class Layer(Protocol):
    """A dense layer as the backends see it: its weights are views into the network's parameters."""

    @property
    def activation(self) -> str: ...
    @property
    def weight(self) -> Array: ...
    @property
    def bias(self) -> Array | None: ...


class SmallCalls:
    """
    Calls for arrays so small that checks in Python take longer than the arithmetic.

    They check for themselves. Where an argument is not an array of the network's dtype, contiguous and of few rows, or
    something is wrong, the result is None and nothing has happened: the general way is for all of that. This class
    always says so; a backend that has quick calls puts its own in its place. They count the epochs that they finish,
    and say None while another call trains the network.
    """

    def predict(self, x: object, /) -> Array | None:
        """A new array, the network's output for `x`; or None."""
        return None

    def train_on_batch(self, x: object, y: object, learning_rate: object, /) -> float | None:
        """One step of gradient descent, the loss from before it; or None, and no step."""
        return None

    def fit(self, x: object, y: object, epochs: object, learning_rate: object, /) -> Array | None:
        """So many steps with all rows, each of which is an epoch, the losses from before them; or None, and no step."""
        return None


class Backend(Protocol):
    """
    A network's layers and loss over its flat parameters; implemented by ``reference.Model`` and ``native.Model``.

    Arrays are contiguous, aligned, of the parameters' dtype, and of shapes that fit.
    """

    def small_calls(self, state: Any) -> SmallCalls:
        """The calls for small arrays of the network whose ``native.TrainingState`` is `state`."""

    def forward(self, x: Array, out: Array) -> None:
        """`out` (n_samples, n_out) = the network's output for `x` (n_samples, n_in)."""

    def loss_and_gradient(self, x: Array, y: Array, gradient: Array) -> float:
        """The loss of `x`, `y`; `gradient` (n_parameters,) is laid out as the parameters."""

    def train_on_batch(self, x: Array, y: Array, learning_rate: float) -> float:
        """One step of gradient descent; the loss from before it."""

    def train(self, x: Array, y: Array, training: Training, progress: Progress, losses: Array, max_steps: int) -> None:
        """
        Goes on from `progress` for `max_steps` steps, or to the end.

        Between the calls of a run the parameters may lag behind; `max_steps` = 0 only brings them up to date.
        `losses` (epochs,) gets each finished epoch's loss. DivergedError leaves the last finite parameters.
        Whatever exception comes in the midst of a call, and wherever: a call with `max_steps` = 0 puts `progress` and
        the parameters right, at the end of a step. (`progress.journal` is None if the run has not begun.)
        """
