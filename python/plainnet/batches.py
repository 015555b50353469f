"""Training with an iterable of mini-batches, which is walked once in each epoch."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from . import streaming
from .arrays import as_sample_weight, check_training_data
from .backend import DivergedError
from .conversion import REFUSALS, shown
from .history import Values
from .optimizers import rates_of_steps
from .streaming import Part, begun_part
from .training import SLICE_SECONDS, Data, Run, explained

if TYPE_CHECKING:
    from .network import Network


class Group:
    """
    Room for mini-batches of the same size that follow each other, which are copied as they come.

    Attributes
    ----------
    first, size, count : int
        The number of the first mini-batch, the rows of each, and how many there are.
    x, y, weight : ndarray
        Their rows, then one more, as a Part has it; weight is None if they have none.
    """

    def __init__(self, like: Data, n_bytes: int) -> None:
        """For mini-batches like this one, of so many bytes altogether."""
        self.size = len(like.x)
        self.most = max(1, n_bytes // like.x.nbytes)
        rows = self.most * self.size + 1
        self.x, self.y = (streaming.room((rows, *array.shape[1:]), array.dtype) for array in (like.x, like.y))
        self.weight = None if like.weight is None else streaming.room((rows,), like.weight.dtype)
        self.first = self.count = 0

    def fits(self, batch: Data) -> bool:
        """Whether there is room for this mini-batch."""
        same = len(batch.x) == self.size and batch.y.shape[1:] == self.y.shape[1:]
        return same and (batch.weight is None) == (self.weight is None) and self.count < self.most

    def add(self, number: int, batch: Data) -> None:
        if self.count == 0:
            self.first = number
        rows = slice(self.count * self.size, (self.count + 1) * self.size)
        self.x[rows], self.y[rows] = batch.x, batch.y
        if self.weight is not None:
            self.weight[rows] = batch.weight
        self.count += 1

    def batch(self, k: int, n: int = 1) -> Data:
        """Mini-batches from number k on, within the group."""
        rows = slice(k * self.size, (k + n) * self.size)
        return Data(self.x[rows], self.y[rows], None if self.weight is None else self.weight[rows])

    def closed(self) -> Data:
        """All of them, and the row behind."""
        rows = slice(0, self.count * self.size + 1)
        for array in (self.x, self.y):
            array[rows.stop - 1] = array[0]
        if self.weight is not None:
            self.weight[rows.stop - 1] = 1  # not all may be 0
        return Data(self.x[rows], self.y[rows], None if self.weight is None else self.weight[rows])


class Batches:
    """
    An iterable of pairs (x, y), or of triples with the weights of the rows, each of which is a mini-batch.

    Raises
    ------
    TypeError
        If `iterable` is none, or is an array or a data frame, whose targets are missing.
    """

    def __init__(self, network: Network, iterable: Iterable[Any]) -> None:
        kind = type(iterable)
        if isinstance(iterable, (str, bytes)) or not hasattr(kind, "__iter__") or hasattr(kind, "__array__"):
            raise TypeError(
                f"y is missing, and x is {shown(iterable)}: without y, x must be an iterable of mini-batches (x, y)"
            )
        self._network = network
        self._iterable = iterable
        self._group: Group | None = None  # whose memory is used again

    def groups(self, epoch: int) -> Iterator[Group]:
        """The mini-batches of an epoch, as many at a time as are quickly there; each group is used before the next."""
        group, n_batches, started = self._group, 0, time.perf_counter()
        for n_batches, item in enumerate(self._iterable, 1):
            batch = self._as_batch(n_batches, item)
            is_due = group is not None and (not group.fits(batch) or time.perf_counter() - started > SLICE_SECONDS)
            if is_due and group is not None and group.count > 0:
                yield group
                group.count, started = 0, time.perf_counter()
            if group is None or not group.fits(batch):
                group = self._group = Group(batch, streaming.bytes_of_part(self._network.parameters))
            group.add(n_batches, batch)
        if group is not None and group.count > 0:
            yield group
            group.count = 0
        if n_batches == 0:
            reason = "it has no mini-batch" if epoch == 0 else "it had some in the first epoch, and has none now"
            raise ValueError(
                f"x is an iterable of type {type(self._iterable).__name__}: {reason}. Each epoch walks it anew: that "
                "needs a list, or an object whose __iter__ begins again, and no generator"
            )

    def _as_batch(self, number: int, item: Any) -> Data:
        if not isinstance(item, (tuple, list)) or len(item) not in (2, 3):
            raise TypeError(
                f"batch {number} of x must be a tuple (x, y) or (x, y, sample_weight), not {shown(item)}; if x is an "
                "array, y is missing"
            )
        try:
            x, y = self._network._pair(item[0], item[1])
            return Data(x, y, as_sample_weight(item[2] if len(item) == 3 else None, len(x), self._network.dtype))
        except (TypeError, ValueError) as error:
            raise type(error)(f"batch {number} of x: {error}") from None


class BatchRun(Run):
    """
    A call of fit with Batches.

    It hands them to the backend as parts, like a :class:`plainnet.streaming.StreamedModel`. An epoch that is
    interrupted cannot be taken up: nobody knows where the iterable was.
    """

    def __init__(self, batches: Batches, *arguments: Any) -> None:
        model, state, training, learning_rate, monitor = arguments
        none = np.empty((0, 1), model.parameters.dtype)
        super().__init__(model, state, none, none, None, training, learning_rate, monitor)
        self._batches = batches
        self._factor = 1.0
        self._last_rates: list[float] = []
        self._rate = 0.0  # of the last step

    def train(self) -> None:
        """Trains group by group."""
        self.training = replace(self.training, first_epoch=self.state.epochs_trained, first_step=self.state.steps)
        progress, monitor = self.progress, self.monitor
        epochs = 0 if monitor is not None and monitor.ended_before() else self.training.epochs
        self._factor = 1.0 if monitor is None else monitor.rate_factor
        progress.journal = ()
        self.interrupt.begin()
        for epoch in range(epochs):
            total, y = 0.0, None
            for group in self._batches.groups(epoch):
                self._train(group)
                y, weight = group.y, group.batch(0, group.count).weight
                total += group.count * group.size if weight is None else float(weight.sum(dtype=np.float64))
                self.interrupt.deliver()
                if monitor is not None:
                    monitor.advance(progress.epoch, progress.row, self.losses)
            assert y is not None
            self.losses[epoch] = progress.loss_sum / self.model.loss.denominator(total, streaming.n_out(y))
            self._last_rates.append(self._rate)
            progress.epoch, progress.row, progress.loss_sum = epoch + 1, 0, 0.0
            if self._pause(epoch):
                break
            self._factor = 1.0 if monitor is None else monitor.rate_factor
        self.is_complete = True

    def finish(self) -> None:
        """Brings the parameters and the state up to date. If an exception interrupts it, it is called again."""
        if self.progress.journal is not None:
            self._settle()
            self._update_state()
        self.interrupt.end()

    def _interrupted(self) -> None:
        """No epoch can be taken up."""

    def _train(self, group: Group) -> None:
        """Makes the steps of a group."""
        progress, n_steps = self.progress, group.count
        rates = np.full(n_steps, 1.0 if callable(self.learning_rate) else self.learning_rate)
        if callable(self.learning_rate):
            step = self.training.first_step + progress.steps
            rates_of_steps(self.learning_rate, step, rates, self.model.parameters.dtype)
        rates *= self._factor
        self._rate = float(rates[-1])
        x, y, weight = group.closed()
        part = begun_part(self.training, progress, group.size, rates, x, y, () if weight is None else (weight,))
        progress.journal = part
        try:
            part.train(self.model, n_steps)
        except DivergedError:
            self._settle()
            error = DivergedError(progress.epoch)
            if progress.steps == 0:
                error = explained(error, self.model, *group.batch(0))
            raise error from None
        except REFUSALS:
            self._settle()
            self._check(group)
            raise
        self._settle()

    def _check(self, group: Group) -> None:
        """Raises an error that names the mini-batch of a group which is at fault."""
        for k in range(group.count):
            batch = group.batch(k)
            try:
                check_training_data(batch.x, batch.y, self.model.loss)
            except ValueError as error:
                raise ValueError(f"batch {group.first + k} of x: {error}") from None

    def _settle(self) -> None:
        """Notes what has become of the part at hand; twice does no harm."""
        part = self.progress.journal
        if isinstance(part, Part):
            progress, now = self.progress, part.outcome(self.model)
            progress.row, progress.loss_sum, progress.steps = now.row, now.loss_sum, now.steps
            progress.journal = ()

    def _rates_of_epochs(self, epochs: int) -> Values | float:
        return np.array(self._last_rates[:epochs])

    def _rate_of_epoch(self, epoch: int) -> float:
        return self._last_rates[epoch]
