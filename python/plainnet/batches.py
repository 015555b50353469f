"""Training with an iterable of mini-batches, which is walked once in each epoch."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from . import streaming
from ._cpython import take_batches
from .arrays import Array, as_sample_weight, check_training_data
from .backend import Backend, DivergedError
from .conversion import REFUSALS, shown
from .history import Values
from .optimizers import rates_of_steps
from .streaming import Part, begun_part
from .training import SLICE_SECONDS, Data, Run, explained

if TYPE_CHECKING:
    from .network import Network


class Group:
    """
    Mini-batches that follow each other and have the same shapes.

    Attributes
    ----------
    first, size : int
        The number of the first one, and the rows of each.
    x, y, weight : list of ndarray
        Their arrays; no weights if they have none.
    """

    def __init__(self, n_bytes: int, is_copied: bool) -> None:
        """
        For mini-batches of so many bytes altogether, or for one.

        With `is_copied`, arrays are copied as they come, as whoever hands them over may use their memory again.
        """
        self.first = self.size = 0
        self.x: list[Array] = []
        self.y: list[Array] = []
        self.weight: list[Array] = []
        self._n_bytes = n_bytes
        self._is_copied = is_copied
        self._like: tuple[Array, ...] = ()  # x, y and, if there are some, the weights of a mini-batch
        self._rooms: tuple[Array, ...] | None = None  # for the copies
        self._most = 1

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, k: int) -> Data:
        return Data(self.x[k], self.y[k], self.weight[k] if self.weight else None)

    def take(self, iterator: Iterator[Any], n: int, n_classes: int) -> tuple[Any, ...] | None:
        """
        Takes the next `n` mini-batches, or as many as there is room for, if they need no conversion.

        Returns
        -------
        tuple or None
            (item,) if `item` came next, which is to be converted, checked and handed to :meth:`add`, if it fits; () if
            there are no more; else None.
        """
        if not self._like:
            return tuple(islice(iterator, 1))
        labels_below, n = n_classes if self._like[1].ndim == 1 else 0, min(n, self._most - len(self.x))
        lists = self.x, self.y, self.weight
        return take_batches(iterator, lists, self._rooms, self._like, labels_below, n)  # type: ignore[no-any-return]

    def fits(self, batch: Data | None) -> bool:
        """Whether it can take this mini-batch, or one like those that it has."""
        if len(self.x) == 0:
            return True
        is_like = batch is None or [array.shape for array in _arrays(batch)] == [array.shape for array in self._like]
        return is_like and len(self.x) < self._most

    def add(self, batch: Data) -> None:
        """Takes a mini-batch that fits."""
        arrays = _arrays(batch)
        if len(self.x) == 0:
            self.size, self._most = len(batch.x), max(1, self._n_bytes // batch.x.nbytes)
            self._like = tuple(array.view() for array in arrays)  # whose shapes nobody changes
            if self._is_copied:
                self._make_rooms()
        if self._rooms is not None:
            rows = slice(len(self.x) * self.size, (len(self.x) + 1) * self.size)
            for room, array in zip(self._rooms, arrays, strict=True):
                room[rows] = array
            arrays = tuple(room[rows] for room in self._rooms)
        for values, array in zip((self.x, self.y, self.weight), arrays, strict=False):
            values.append(array)

    def _make_rooms(self) -> None:
        """Provides room for as many mini-batches as there may be, unless that which there is will do."""
        shapes = [(self._most * len(array), *array.shape[1:]) for array in self._like]
        had = [(len(room), *room.shape[1:]) for room in self._rooms or ()]
        if len(had) != len(shapes) or any(
            old[0] < new[0] or old[1:] != new[1:] for old, new in zip(had, shapes, strict=True)
        ):
            self._rooms = None  # should there be no memory
            self._rooms = tuple(streaming.room(shape, self._like[0].dtype) for shape in shapes)

    def clear(self) -> None:
        """Forgets them."""
        self.x, self.y, self.weight = [], [], []


def _arrays(batch: Data) -> tuple[Array, ...]:
    """Those that there are."""
    return (batch.x, batch.y) if batch.weight is None else (batch.x, batch.y, batch.weight)


class BatchPart(Part):
    """A Part whose x, y and weights are lists of arrays."""

    def _advance(self, model: Backend, max_steps: int) -> None:
        model.train_batches(self.x, self.y, self.training, self.progress, max_steps, *self.weights)


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
        # A list or a tuple runs no code between two mini-batches, which might change the last one.
        is_copied = kind not in (list, tuple)
        self._group = Group(streaming.bytes_of_part(network.parameters), is_copied)

    def groups(self, epoch: int) -> Iterator[Group]:
        """The mini-batches of an epoch, as many at a time as are quickly there; each group is used before the next."""
        group, n_classes = self._group, self._network.layers[-1].n_out
        iterator, n_before, started = iter(self._iterable), 0, time.perf_counter()
        rest: tuple[Any, ...] | None = None
        while rest != ():
            # As many as there are already, which take as long again or so.
            rest = group.take(iterator, len(group) + 1, n_classes)
            batch = self._as_batch(n_before + len(group) + 1, rest[0]) if rest else None
            is_late = time.perf_counter() - started > SLICE_SECONDS
            if len(group) > 0 and (is_late or rest == () or not group.fits(batch)):
                group.first, n_before = n_before + 1, n_before + len(group)
                yield group
                group.clear()
                started = time.perf_counter()
            if batch is not None:
                group.add(batch)
        if n_before == 0:
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
        self._take_factor()
        progress.journal = ()
        self.interrupt.begin()
        for epoch in range(epochs):
            total, y = 0.0, None
            for group in self._batches.groups(epoch):
                self._train(group)
                y = group.y[0]
                total += _total(group)
                self.interrupt.deliver()
                if monitor is not None:
                    monitor.advance(progress.epoch, progress.row, self.losses)
            assert y is not None
            self.losses[epoch] = progress.loss_sum / self.model.loss.denominator(total, streaming.n_out(y))
            self._last_rates.append(self._rate)
            progress.epoch, progress.row, progress.loss_sum = epoch + 1, 0, 0.0
            if self._pause(epoch):
                break
            self._take_factor()
        self.is_complete = True

    def finish(self) -> None:
        """Brings the parameters and the state up to date. If an exception interrupts it, it is called again."""
        if self.progress.journal is not None:
            self._settle()
            self._update_state()
        self.interrupt.end()

    def _take_factor(self) -> None:
        """What callbacks make of the learning rate holds for a whole epoch."""
        self._factor = 1.0 if self.monitor is None else self.monitor.rate_factor
        rate = 1.0 if callable(self.learning_rate) else self.learning_rate * self._factor
        if rate != self.training.learning_rate:
            self.training = replace(self.training, learning_rate=rate)

    def _interrupted(self) -> None:
        """No epoch can be taken up."""

    def _train(self, group: Group) -> None:
        """Makes the steps of a group."""
        progress, n_steps = self.progress, len(group)
        training, rates = self.training, None
        self._rate = training.learning_rate
        if callable(self.learning_rate):
            rates = np.empty(n_steps)
            first = training.first_step + progress.steps
            rates_of_steps(self.learning_rate, first, rates, self.model.parameters.dtype)
            rates *= self._factor
            self._rate = float(rates[-1])
        weights = (group.weight,) if group.weight else ()
        part = begun_part(training, progress, group.size, rates, group.x, group.y, weights, BatchPart)
        progress.journal = part
        try:
            part.train(self.model, n_steps)
        except DivergedError:
            self._settle()
            error = DivergedError(progress.epoch)
            if progress.steps == 0:
                error = explained(error, self.model, *group[0])
            raise error from None
        except REFUSALS:
            self._settle()
            self._check(group)
            raise
        self._settle()

    def _check(self, group: Group) -> None:
        """Raises an error that names the mini-batch of a group which is at fault."""
        for k in range(len(group)):
            batch = group[k]
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


def _total(group: Group) -> float:
    """The sum of the rows' weights."""
    if group.weight:
        return float(np.concatenate(group.weight).sum(dtype=np.float64))
    return len(group) * group.size
