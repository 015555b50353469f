"""How a network is trained, and where a run stands: what the front and both backends tell each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Training:
    """Gradient descent in mini-batches; see ``pn_training`` in plainnet.h."""

    epochs: int
    batch_size: int
    learning_rate: float
    shuffle: bool = False
    shuffle_seed: int = 0
    first_epoch: int = 0


def operations_a_row(n_parameters: int, n_out: int) -> int:
    """What a row costs in a step, roughly: as ``pn_train`` counts."""
    return 6 * n_parameters + 50 * n_out


@dataclass
class Progress:
    """
    Where a run stands; see ``pn_progress`` in plainnet.h. All zero begins one.

    Attributes
    ----------
    journal : object
        The backend's; None until it begins the run. An exception from a signal handler may come when a step has been
        done, and keep the numbers above from saying so. The journal then knows better: the next call begins with it.
    """

    epoch: int = 0
    row: int = 0
    loss_sum: float = 0.0
    steps: int = 0
    journal: Any = field(default=None, repr=False, compare=False)


class Interrupted(NamedTuple):
    """
    An epoch that was begun and not finished.

    Attributes
    ----------
    rows, batch_size, shuffle : int, int, bool
        How it goes through the data.
    checksum : int
        Of the data, and of the parameters at which it stopped.
    row, loss_sum : int, float
        As in Progress.
    """

    rows: int
    batch_size: int
    shuffle: bool
    checksum: int
    row: int
    loss_sum: float


class DivergedError(FloatingPointError, ValueError):
    """
    The loss, or a parameter, became NaN or infinite, or was from the beginning.

    The network keeps the parameters of the last step at which everything was finite; if there is none, it is unchanged.

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
