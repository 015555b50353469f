"""
The loss functions by name: what the front and both backends know of them.

The equations stand in :mod:`plainnet.reference` (NumPy) and in csrc/ (C).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Loss:
    """
    A loss: a sum over rows and outputs, divided by what it is a mean over.

    Attributes
    ----------
    name : str
    mean_over_rows, mean_over_outputs : bool
        Whether the sum is divided by the number of rows, and by the number of outputs.
    targets : (float, float), optional
        The lowest and the highest target allowed; None allows all finite numbers.
    last_activation : str, optional
        The activation that the last layer must have; None allows all.
    """

    name: str
    mean_over_rows: bool = False
    mean_over_outputs: bool = False
    targets: tuple[float, float] | None = None
    last_activation: str | None = None

    def denominator(self, n_rows: int, n_out: int) -> int:
        """What the sum over `n_rows` rows and `n_out` outputs is divided by."""
        return (n_rows if self.mean_over_rows else 1) * (n_out if self.mean_over_outputs else 1)


#: In the order of ``pn_loss`` in plainnet.h.
LOSSES: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss("log_loss", mean_over_rows=True, targets=(0, 1), last_activation="sigmoid"),
        Loss("sum_of_squares"),
        Loss("mean_squared_error", mean_over_rows=True, mean_over_outputs=True),
    )
}
