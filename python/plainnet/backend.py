"""
The seam between the front and the two backends.

It is made of whole-network calls, because a loop over layers in Python costs more than a small network does.
"""

from __future__ import annotations

from typing import Protocol

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


class Backend(Protocol):
    """
    A network's layers and loss over its flat parameters; implemented by ``reference.Model`` and ``native.Model``.

    Arrays are contiguous, aligned, of the parameters' dtype, and of shapes that fit. Two calls are shortcuts for small
    arrays, of any layout, whose shape the backend itself names in `row_shape` and `batch_shapes`.
    """

    row_shape: tuple[int, int] | None
    batch_shapes: tuple[tuple[int, ...], tuple[int, ...]] | None  # after a batch, which another one may resemble

    def forward(self, x: Array, out: Array) -> None:
        """`out` (n_samples, n_out) = the network's output for `x` (n_samples, n_in)."""

    def forward_row(self, x: Array) -> Array:
        """A new array (1, n_out), the network's output for `x` of `row_shape`."""

    def loss_and_gradient(self, x: Array, y: Array, gradient: Array) -> float:
        """The loss of `x`, `y`; `gradient` (n_parameters,) is laid out as the parameters."""

    def train_on_batch(self, x: Array, y: Array, learning_rate: float) -> float:
        """One step of gradient descent; the loss from before it."""

    def train_on_such_batch(self, x: Array, y: Array, learning_rate: float) -> float:
        """The same for `x` and `y` of `batch_shapes`."""

    def train(self, x: Array, y: Array, training: Training, progress: Progress, losses: Array, max_steps: int) -> None:
        """
        Goes on from `progress` for `max_steps` steps, or to the end.

        Between the calls of a run the parameters may lag behind; `max_steps` = 0 only brings them up to date.
        `losses` (epochs,) gets each finished epoch's loss. DivergedError leaves the last finite parameters.
        """
