"""What happens at the end of each epoch: validation, metrics, callbacks, and the record of them all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import Array, allocate
from .callbacks import Logs
from .history import History, Values
from .metrics import Metric
from .progress_bar import ProgressBar

if TYPE_CHECKING:
    from .backend import Backend
    from .network import Network


@dataclass(frozen=True)
class Data:
    """Rows by which a network is judged, as its backend takes them."""

    x: Array
    y: Array
    weight: Array | None


class Monitor:
    """
    Watches a run.

    Parameters
    ----------
    network : Network
        Which the callbacks receive.
    model : Backend
        That of the network.
    data : Data
        The validation data or, if there are none, the training data, for the metrics.
    is_validation : bool
    metrics : list of Metric
    callbacks : list of object
        See :mod:`plainnet.callbacks`.
    bar : ProgressBar, optional
    """

    def __init__(
        self,
        network: Network,
        model: Backend,
        data: Data,
        is_validation: bool,
        metrics: list[Metric],
        callbacks: list[Any],
        bar: ProgressBar | None,
    ) -> None:
        self._network = network
        self._model = model
        self._data = data
        self._is_validation = is_validation
        self._metrics = metrics
        self._callbacks = callbacks
        self._bar = bar
        self._logs: list[Logs] = []
        self._stopped: list[str] = []
        self._out: Array | None = None
        if metrics:
            shape = len(data.x), network.layers[-1].n_out
            self._out = allocate("the predictions for the metrics", shape, network.dtype, "take fewer validation rows")

    @property
    def needs_epochs(self) -> bool:
        """Whether the run must pause at each epoch's end."""
        return self._is_validation or bool(self._metrics or self._callbacks)

    @property
    def changes_rates(self) -> bool:
        """Whether some callback decides about learning rates."""
        return any(hasattr(callback, "rate_factor") for callback in self._callbacks)

    @property
    def rate_factor(self) -> float:
        """What the learning rates of the epochs ahead are multiplied by."""
        return float(np.prod([getattr(callback, "rate_factor", 1.0) for callback in self._callbacks]))

    def __enter__(self) -> Monitor:
        """Before the first epoch."""
        for callback in self._callbacks:
            if hasattr(callback, "fit_begin"):
                callback.fit_begin(self._network)
        return self

    def epoch_end(self, loss: float, rate: float) -> bool:
        """After an epoch with this loss; whether the run ends with it."""
        logs: Logs = {"epoch": len(self._logs) + 1, "loss": loss}
        if self._is_validation or self._metrics:
            data = self._data
            value = self._model.total_loss(data.x, data.y, data.weight, self._out)
            if self._is_validation:
                logs["validation_loss"] = value
            for metric in self._metrics:
                logs[metric.name] = metric.value(data.y, self._out, data.weight)  # type: ignore[arg-type]
        logs["learning_rate"] = rate
        self._logs.append(logs)
        stops = False
        for callback in self._callbacks:
            if callback.epoch_end(self._network, dict(logs)):
                stops = True
                self._stopped.append(f"{type(callback).__name__} ended the run after epoch {len(self._logs)}")
        return stops

    def advance(self, epoch: int, row: int, losses: Values) -> None:
        """When `epoch` epochs, of these losses, and `row` rows of the next one are done."""
        if self._bar is not None:
            logs = self._logs[-1] if self._logs else {"loss": float(losses[epoch - 1])} if epoch > 0 else {}
            self._bar.update(epoch, row, logs)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """After the last epoch; if an exception has ended the run, callbacks are not asked."""
        if self._bar is not None:
            self._bar.close()
        if kind is None and self._logs:
            ends = [callback.fit_end for callback in self._callbacks if hasattr(callback, "fit_end")]
            sentences = [end(self._network, dict(self._logs[-1])) for end in ends]
            self._stopped = [sentence for sentence in sentences if sentence is not None] or self._stopped

    def history(self, loss: Values, rates: Values) -> History:
        """The record of the epochs so far."""

        def values(name: str) -> Values:
            return np.array([logs[name] for logs in self._logs])

        if self.needs_epochs:  # the last epoch has none yet if its validation was interrupted
            loss, rates = loss[: len(self._logs)], rates[: len(self._logs)]
        metrics = {metric.name: values(metric.name) for metric in self._metrics}
        validation = values("validation_loss") if self._is_validation else None
        return History(loss, rates, validation, metrics, "; ".join(self._stopped) or None)
