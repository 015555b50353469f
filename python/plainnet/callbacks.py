"""
What ``fit`` calls after each epoch: early stopping, and learning rates that follow the loss.

A callback is any object with a method ``epoch_end(network, logs)``, which may return True to end the run. `logs` is a
dict: ``"epoch"`` (its number, from 1 on, in this call), ``"loss"``, ``"learning_rate"`` (of its last step),
``"validation_loss"`` if there are validation data, and the metrics by name. A callback may also have

- ``fit_begin(network)``, called before the first epoch,
- ``fit_end(network, logs)``, called after the last one, with its logs, unless an exception ends the run; it may change
  the network, and return a sentence for ``history.stopped``,
- ``rate_factor``, a number by which the learning rates of the epochs ahead are multiplied,
- ``best_epoch``, the number of the best epoch, for ``history.best_epoch``; 0 where there is none yet,
- ``state_dict()`` and ``load_state_dict(state)``, with which a run that is resumed goes on where it was: what it keeps
  from epoch to epoch, as a dict of numbers, None, and arrays like ``net.parameters``; without them, it begins anew.

The network may be used in all of them, but neither trained nor changed before ``fit_end``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from .arguments import as_count
from .arrays import Array
from .atomic import check_replaceable
from .conversion import as_switch, shown
from .optimizers import as_not_negative, as_positive
from .unfinished import CallbackState, Logs

if TYPE_CHECKING:
    from .network import Network

#: Metrics of which more is better.
_RISING = {"accuracy", "r2"}


def as_callbacks(value: Any) -> list[Any]:
    """`value`, a callback or a sequence of them, as a list."""
    given = [value] if callable(getattr(value, "epoch_end", None)) else value
    try:
        callbacks = list(given)
    except TypeError:
        raise TypeError(f"callbacks must be objects with a method epoch_end, not {shown(value)}") from None
    for callback in callbacks:
        if isinstance(callback, type) or not callable(getattr(callback, "epoch_end", None)):
            raise TypeError(f"callbacks must be objects with a method epoch_end(network, logs), not {shown(callback)}")
    return callbacks


class Watcher:
    """
    Tells whether a number in the logs gets better.

    Parameters
    ----------
    monitor : str, optional
        The number's name; by default ``"validation_loss"`` or, without validation data, ``"loss"``.
    mode : {"min", "max"}, optional
        Whether less or more is better; by default more of ``"accuracy"`` and ``"r2"``, and less of everything else.
    """

    def __init__(self, monitor: str | None, mode: str | None) -> None:
        if monitor is not None and not isinstance(monitor, str):
            raise TypeError(f"monitor must be a name, not {shown(monitor)}")
        if mode not in (None, "min", "max"):
            raise ValueError(f'mode must be "min" or "max", not {shown(mode)}')
        self.monitor = monitor
        self.mode = mode

    def name(self, logs: Collection[str]) -> str:
        """The name of the number that is watched; `logs` has those of all numbers."""
        name = self.monitor or ("validation_loss" if "validation_loss" in logs else "loss")
        if name not in logs:
            raise ValueError(f"monitor is {name!r}, which fit does not compute; in this run there are {sorted(logs)}")
        return name

    def rises(self, logs: Logs) -> bool:
        """Whether more of it is better."""
        return self.name(logs) in _RISING if self.mode is None else self.mode == "max"

    def value(self, logs: Logs) -> float:
        """The number, negated where more is better."""
        value = logs[self.name(logs)]
        return -value if self.rises(logs) else value


class _Stateful:
    """A callback that watches a number, with state in some of its attributes."""

    _STATE: tuple[str, ...]
    _watcher: Watcher

    def check_names(self, names: Collection[str]) -> None:
        """Checks, before the first epoch, that the number is one of those in the logs, which have these names."""
        self._watcher.name(names)

    def state_dict(self) -> CallbackState:
        """What it keeps from epoch to epoch."""
        return {name: getattr(self, name) for name in self._STATE}

    def load_state_dict(self, state: CallbackState) -> None:
        """Goes on from `state`, which :meth:`state_dict` has returned."""
        if state.keys() != set(self._STATE):
            raise ValueError(f"the state of {type(self).__name__} has {list(self._STATE)}, not {sorted(state)}")
        for name, value in state.items():
            setattr(self, name, value)


class EarlyStopping(_Stateful):
    """
    Ends the run when a number has not become better for some epochs, and restores the best parameters.

    The parameters are restored too if all epochs run and the last one is not the best: ``history.stopped`` says so. If
    an exception ends the run, such as Ctrl-C, the network keeps its present parameters, and ``best_parameters`` are
    the best ones. What the optimizer keeps is not restored.

    Parameters
    ----------
    patience : int
        The run ends after so many epochs in a row that are no better than the best one before.
    monitor, mode : str, optional
        See :class:`~plainnet.callbacks.Watcher`.
    min_delta : float
        An epoch is better if its number is by more than this below the best one (or above, where more is better).
    restore_best : bool
        Whether the network ends with the parameters of the best epoch; otherwise it keeps those of the last one.

    Attributes
    ----------
    best_epoch : int
        From 1 on; 0 if no epoch was better than none, as where all numbers are NaN.
    best_value : float
    best_parameters : ndarray (n_parameters,) or None
    """

    _STATE = ("best_epoch", "best_value", "best_parameters")

    def __init__(
        self,
        patience: int = 10,
        monitor: str | None = None,
        min_delta: float = 0.0,
        mode: str | None = None,
        restore_best: bool = True,
    ) -> None:
        self.patience = as_count("patience", patience, 1)
        self.min_delta = as_not_negative("min_delta", min_delta)
        self.restore_best = as_switch("restore_best", restore_best)
        self._watcher = Watcher(monitor, mode)
        self._forget()

    def _forget(self) -> None:
        self.best_epoch, self.best_value = 0, math.nan
        self.best_parameters: Array | None = None

    def fit_begin(self, network: Network) -> None:
        """Forgets the last run."""
        self._forget()

    def epoch_end(self, network: Network, logs: Logs) -> bool:
        """Remembers the parameters if they are the best; whether the run ends."""
        value, epoch = logs[self._watcher.name(logs)], int(logs["epoch"])
        gain = value - self.best_value if self._watcher.rises(logs) else self.best_value - value
        if gain > self.min_delta or (self.best_epoch == 0 and math.isfinite(value)):
            self.best_epoch, self.best_value = epoch, value
            if self.restore_best:
                self.best_parameters = network.parameters.copy()
        return epoch - self.best_epoch >= self.patience

    def fit_end(self, network: Network, logs: Logs) -> str | None:
        """Restores the best parameters; a sentence that says so."""
        epoch, name = int(logs["epoch"]), self._watcher.name(logs)
        ended = epoch - self.best_epoch >= self.patience
        if self.best_epoch == epoch:
            return None
        why = f"all {epoch} epochs ran"
        if ended:
            why = f"stopped after epoch {epoch}, as {name} has not become better for {self.patience} epochs"
        if self.best_parameters is None:
            return f"{why}; the network has the parameters of epoch {epoch}" if ended else None
        network.parameters = self.best_parameters
        return f"{why}; the network has the parameters of epoch {self.best_epoch}, with {name} {self.best_value:.6g}"

    def __repr__(self) -> str:
        return f"EarlyStopping(patience={self.patience}, monitor={self._watcher.monitor!r}, min_delta={self.min_delta})"


class ReduceOnPlateau(_Stateful):
    """
    Lowers the learning rate when a number no longer becomes better, as ``torch.optim.lr_scheduler.ReduceLROnPlateau``.

    Parameters
    ----------
    factor : float
        What the rate is multiplied by, below 1.
    patience : int
        Epochs in a row that are no better than the best one, after which the next such epoch lowers the rate.
    monitor, mode : str, optional
        See :class:`~plainnet.callbacks.Watcher`.
    threshold : float
        An epoch is better if its number is below the best one by more than this fraction of it.
    cooldown : int
        Epochs after a reduction that are not counted.
    minimum : float
        The rate does not fall below this.

    Attributes
    ----------
    rate_factor : float
        The product of all reductions, of this run.
    """

    _STATE = ("rate_factor", "best_value", "bad_epochs", "epochs_to_cool")

    #: A reduction of the rate by less than this is not made.
    SMALLEST_STEP = 1e-8

    def __init__(
        self,
        factor: float = 0.1,
        patience: int = 10,
        monitor: str | None = None,
        threshold: float = 1e-4,
        mode: str | None = None,
        cooldown: int = 0,
        minimum: float = 0.0,
    ) -> None:
        self.factor = as_positive("factor", factor)
        if self.factor >= 1:
            raise ValueError(f"factor must be below 1, not {factor}")
        self.patience = as_count("patience", patience, 0)
        self.threshold = as_not_negative("threshold", threshold)
        self.cooldown = as_count("cooldown", cooldown, 0)
        self.minimum = as_not_negative("minimum", minimum)
        self._watcher = Watcher(monitor, mode)
        self._forget()

    def _forget(self) -> None:
        self.rate_factor, self.best_value, self.bad_epochs, self.epochs_to_cool = 1.0, math.inf, 0, 0

    def fit_begin(self, network: Network) -> None:
        """Forgets the last run."""
        self._forget()

    def epoch_end(self, network: Network, logs: Logs) -> None:
        """Lowers the factor if that is due."""
        value, rises = self._watcher.value(logs), self._watcher.rises(logs)
        if value < self.best_value * (1 + self.threshold if rises else 1 - self.threshold):
            self.best_value, self.bad_epochs = value, 0
        else:
            self.bad_epochs += 1
        if self.epochs_to_cool > 0:
            self.epochs_to_cool -= 1
            self.bad_epochs = 0
        if self.bad_epochs > self.patience:
            rate = logs["learning_rate"]
            lower = max(self.factor * rate, self.minimum)
            if rate - lower > self.SMALLEST_STEP:
                self.rate_factor *= lower / rate
            self.epochs_to_cool, self.bad_epochs = self.cooldown, 0

    def __repr__(self) -> str:
        return f"ReduceOnPlateau(factor={self.factor}, patience={self.patience}, monitor={self._watcher.monitor!r})"


class Checkpoint:
    """
    Saves the network with all that it takes to go on, every few epochs: ``net.save(path, training=True)``.

    It comes after the other callbacks, wherever it stands among them. After ``net = pn.load(path)``, the same call of
    ``fit`` with ``resume=True`` ends as the run that was stopped would have ended, to the last bit.

    Parameters
    ----------
    path : str or path-like
        ``"{epoch}"`` in it stands for the epoch's number, from 1 on in this run; without it, each file takes the place
        of the last one.
    every : int
        Epochs from one file to the next.
    """

    def __init__(self, path: str | os.PathLike[str], every: int = 1) -> None:
        self.path = os.fsdecode(path)
        self.every = as_count("every", every, 1)

    def fit_begin(self, network: Network) -> None:
        """Checks that a file can be written where the first one goes, rather than after an epoch."""
        if "{epoch}" not in os.path.dirname(self.path):  # or the folders may be made meanwhile
            check_replaceable(self._path_of(self.every))

    def _path_of(self, epoch: int) -> str:
        return self.path.replace("{epoch}", str(epoch))

    def epoch_end(self, network: Network, logs: Logs) -> None:
        """Saves if it is time."""
        epoch = int(logs["epoch"])
        if epoch % self.every == 0:
            network.save(self._path_of(epoch), training=True)

    def __repr__(self) -> str:
        return f"Checkpoint({self.path!r}, every={self.every})"
