"""
Training from rows that are not all in memory as the backend needs them.

A :class:`Rows` is an array of another dtype or layout, or one in a file (``numpy.memmap``), or some rows of an array. A
:class:`StreamedModel` trains with it as a backend trains with an array: it converts the rows of some mini-batches, and
lets the backend make their steps, with the same bits.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .arrays import Array, allocate, check_targets, not_finite, overflow, sum_of_weights
from .backend import Backend, DivergedError, Progress, Training
from .losses import Loss
from .native import shuffled
from .reference.regularization import parts_of, penalty

#: The rows of so many bytes are handed over at a time, but those of a mini-batch at least, and those of so many times
#: the parameters' bytes: the backend copies these when it begins.
PART_BYTES, PARAMETERS_A_PART = 1 << 22, 24


def bytes_of_part(parameters: Array) -> int:
    """How large a part may be for these parameters."""
    return max(PART_BYTES, PARAMETERS_A_PART * parameters.nbytes)


class Rows:
    """
    The rows of an array, converted when they are asked for.

    Parameters
    ----------
    array : ndarray (n_samples, n_in)
        Of any real dtype, in any layout.
    dtype : numpy.dtype
        Of the network.
    chosen : ndarray (n_chosen,), optional
        The numbers of the rows that are meant, in ascending order; by default all.
    """

    def __init__(self, array: Array, dtype: np.dtype[Any], chosen: Array | None = None) -> None:
        self._array = array
        self._dtype = dtype
        self._chosen = chosen

    def __len__(self) -> int:
        return len(self._array) if self._chosen is None else len(self._chosen)

    @property
    def row_bytes(self) -> int:
        """What a row takes when it is converted."""
        return self._dtype.itemsize * int(self._array.shape[1])

    def __getitem__(self, rows: slice | Array) -> Array:
        """The rows as a native array of their own; numbers that are too large for the dtype become infinite."""
        return self.read(rows, 0)

    def read(self, rows: slice | Array, more: int) -> Array:
        """The rows, and room for some more behind them."""
        some = self._raw(rows)
        native = room((len(some) + more, some.shape[1]), self._dtype)
        with np.errstate(over="ignore", under="ignore"):
            native[: len(some)] = some
        return native

    def _raw(self, rows: slice | Array) -> Array:
        """The rows as they are in the array."""
        return self._array[rows if self._chosen is None else self._chosen[rows]]

    def rows(self, chosen: Array) -> Rows:
        """Some of the rows."""
        return Rows(self._array, self._dtype, chosen if self._chosen is None else self._chosen[chosen])

    def parts(self) -> list[slice]:
        """Slices of rows, to go over all of them in little memory."""
        size = max(1, PART_BYTES // (self._array.shape[1] * 8))
        return [slice(start, min(start + size, len(self))) for start in range(0, len(self), size)]

    def check(self) -> None:
        """Checks that all numbers are finite, in the network's dtype too."""
        if self._array.dtype.kind != "f":
            return
        for part in self.parts():
            finite = np.isfinite(self[part])
            if not finite.all():
                row, column = np.argwhere(~finite)[0]
                row = self._number(part.start + row)
                value = self._array[row, column]
                if np.isfinite(value):
                    raise overflow("x", value, (row, column), self._dtype)
                raise not_finite("x", value, (row, column))

    def _number(self, row: int) -> int:
        """The number of a row in the array."""
        return int(row if self._chosen is None else self._chosen[row])

    def digest(self) -> int:
        """A number that tells other rows apart."""
        number = zlib.crc32(f"{self._array.dtype.str} {self._array.shape}".encode())
        for part in self.parts():
            number = zlib.crc32(np.ascontiguousarray(self._raw(part)).data, number)
        return number


@dataclass
class Part:
    """
    Some mini-batches that follow each other in an epoch.

    The arrays have one more row, which no step uses: so the backend does not take the part for an epoch.

    Attributes
    ----------
    is_current : bool
        Whether `progress` is that of the last call; it may not be if an exception has ended it.
    """

    start: Progress
    x: Any  # arrays, of a BatchPart lists of arrays
    y: Any
    weights: tuple[Any, ...]
    training: Training
    progress: Progress
    is_current: bool = True

    def train(self, model: Backend, max_steps: int) -> None:
        """Makes steps of it."""
        self.is_current = False
        self._advance(model, max_steps)
        self.is_current = True

    def _advance(self, model: Backend, max_steps: int) -> None:
        model.train(self.x, self.y, self.training, self.progress, np.empty(1), max_steps, *self.weights)

    def outcome(self, model: Backend) -> Progress:
        """Where the run stands after the steps that have been made, even if an exception has come in between."""
        start, now = self.start, self.progress
        if now.journal is not None and not self.is_current:
            self.train(model, 0)
        return Progress(start.epoch, start.row + now.row, now.loss_sum, start.steps + now.steps)


def begun_part(
    training: Training,
    progress: Progress,
    size: int,
    rates: Array | None,
    x: Any,
    y: Any,
    weights: tuple[Any, ...],
    kind: type[Part] = Part,
) -> Part:
    """The part that follows `progress` in a run with `training`: mini-batches of `size` rows, at these rates."""
    how = replace(
        training, epochs=1, batch_size=size, shuffle=False, order=None, is_checked=False,
        first_epoch=training.first_epoch + progress.epoch, first_step=training.first_step + progress.steps,
        learning_rates=rates,
    )  # fmt: skip
    start = Progress(progress.epoch, progress.row, progress.loss_sum, progress.steps)
    return kind(start, x, y, weights, how, Progress(0, 0, progress.loss_sum, 0))


class StreamedModel:
    """
    A backend that takes x as Rows, but for its own methods that of `model`.

    What :meth:`train` keeps in ``progress.journal`` is the part at hand, or () if its outcome has been noted.
    """

    def __init__(self, model: Backend) -> None:
        self._model = model
        self.loss: Loss = model.loss
        self.parameters = model.parameters
        self.first_slice_operations = model.first_slice_operations
        self._order: tuple[tuple[int, int], Array] | None = None

    def loss_and_gradient(self, x: Array, y: Array, gradient: Array, sample_weight: Array | None = None) -> float:
        """As the model has it."""
        return self._model.loss_and_gradient(x, y, gradient, sample_weight)

    def total_loss(
        self, x: Rows, y: Array, sample_weight: Array | None = None, out: Array | None = None
    ) -> float:
        """The loss of `x`, `y`, from those of parts; their sum may round otherwise than that of all rows at once."""
        total = shares = 0.0  # of the losses, and of the penalty in them
        for rows in x.parts():
            weight = None if sample_weight is None else sample_weight[rows]
            part_out = None if out is None else out[rows]
            if weight is not None and not weight.any():
                if part_out is not None:
                    self._model.forward(x[rows], part_out)
                continue
            loss = self._model.total_loss(x[rows], y[rows], weight, part_out)
            n_rows = sum_of_weights(len(y[rows]), weight)
            denominator = self.loss.denominator(n_rows, n_out(y))
            total += loss * denominator
            shares += self.loss.penalty_scale(n_rows) * denominator
        all_rows = sum_of_weights(len(x), sample_weight)
        denominator = self.loss.denominator(all_rows, n_out(y))
        if self.loss.divides_penalty or not self.loss.mean_over_rows:  # parts have more of it than all rows at once
            surplus = shares - self.loss.penalty_scale(all_rows) * denominator
            total -= surplus * penalty(self.parameters, parts_of(self._model.layers))
        return total / denominator

    def train(
        self,
        x: Rows,
        y: Array,
        training: Training,
        progress: Progress,
        losses: Array,
        max_steps: int,
        sample_weight: Array | None = None,
    ) -> None:
        """See :meth:`plainnet.backend.Backend.train`."""
        weights = () if sample_weight is None else (sample_weight,)
        if progress.journal is None:
            if not training.is_checked:
                x.check()
                check_targets(y, self.loss)
            progress.journal = ()
        self._settle(x, y, weights, progress, losses)
        while max_steps > 0 and progress.epoch < training.epochs:
            part = progress.journal = self._part(x, y, weights, training, progress, max_steps)
            steps = (len(part.y) - 1) // part.training.batch_size
            try:
                part.train(self._model, steps)
            except DivergedError:
                self._settle(x, y, weights, progress, losses)
                raise DivergedError(progress.epoch) from None
            self._settle(x, y, weights, progress, losses)
            max_steps -= steps

    def _part(
        self, x: Rows, y: Array, weights: tuple[Array, ...], training: Training, progress: Progress, max_steps: int
    ) -> Part:
        """The mini-batches that come next, at most `max_steps` of them."""
        n_rows, size = len(x), training.batch_size
        left = n_rows - progress.row
        size = min(size, left)
        n_steps = min(max_steps, max(1, bytes_of_part(self.parameters) // (x.row_bytes * size)), left // size)
        rows: Any = slice(progress.row, progress.row + n_steps * size)
        if training.order is not None:
            rows = training.order[rows]
        elif training.shuffle:
            rows = self._order_of_rows(training, progress.epoch, n_rows)[rows]
        rates = training.learning_rates
        part_x = x.read(rows, 1)
        part_x[-1] = part_x[0]
        part_weights = tuple(with_another(weight[rows]) for weight in weights)
        for weight in part_weights:
            weight[-1] = 1  # not all may be 0
        step_rates = None if rates is None else rates[progress.steps :][:n_steps]
        return begun_part(training, progress, size, step_rates, part_x, with_another(y[rows]), part_weights)

    def _settle(
        self, x: Rows, y: Array, weights: tuple[Array, ...], progress: Progress, losses: Array
    ) -> None:
        """Notes in `progress` and `losses` what has become of the part at hand; twice does no harm."""
        part: Part | tuple[()] = progress.journal
        if isinstance(part, tuple):
            return
        now = part.outcome(self._model)
        if now.row == len(x):
            total = sum_of_weights(len(x), weights[0] if weights else None)
            losses[now.epoch] = now.loss_sum / self.loss.denominator(total, n_out(y))
            now.epoch, now.row, now.loss_sum = now.epoch + 1, 0, 0.0
        progress.epoch, progress.row, progress.loss_sum, progress.steps = now.epoch, now.row, now.loss_sum, now.steps
        progress.journal = ()

    def _order_of_rows(self, training: Training, epoch: int, n_rows: int) -> Array:
        """The order of an epoch, which is kept until it ends."""
        key = training.first_epoch + epoch, n_rows
        if self._order is None or self._order[0] != key:
            self._order = key, shuffled(training.seed, *key)
        return self._order[1]


def n_out(y: Array) -> int:
    """Over how many outputs a loss may be a mean; with labels, it is none."""
    return 1 if y.ndim == 1 else int(y.shape[1])


def room(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Memory for some rows."""
    return allocate("the rows of some mini-batches", shape, dtype, "take a smaller batch_size")


def with_another(array: Array) -> Array:
    """`array` and its first row once more."""
    longer = room((len(array) + 1, *array.shape[1:]), array.dtype)
    longer[:-1] = array
    longer[-1] = array[0]
    return longer
