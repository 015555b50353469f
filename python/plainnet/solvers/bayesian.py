"""Bayesian regularisation: how strongly the parameters decay follows from the data."""

from __future__ import annotations

import numpy as np

from ..arrays import Array

#: What the decay begins with, of what it would be if half of what the data can determine were determined; and by what
#: it may grow in an iteration. A network that has not learned anything yet would be taken for one that has nothing to
#: learn, and never recover from the decay that follows.
FIRST_DECAY, LARGEST_GROWTH = 1e-6, 2.0


class BayesianDecay:
    """
    The decay under which the data are most probable.

    The objective is ``loss + decay / 2 * sum(parameters**2)``. With the eigenvalues e of the second derivatives of the
    loss, the data determine ``effective = sum(e / (e + decay))`` of the parameters. The most probable decay is the one
    for which ``decay = 2 * effective * loss / ((n_data - effective) * sum(parameters**2))`` (MacKay, "Bayesian
    interpolation", 1992); each step of Levenberg-Marquardt is followed by one towards it (Foresee and Hagan,
    "Gauss-Newton approximation to Bayesian learning", 1997).

    Parameters
    ----------
    n_data : float
        Rows times outputs; with weights, the sum of them times outputs, as a row of weight 2 counts as two rows.

    Attributes
    ----------
    effective_parameters : float
        As of the last call.
    change : float
        Of the decay in the last call, relative to it.
    """

    def __init__(self, n_data: float) -> None:
        self._n_data = n_data
        self.effective_parameters = np.nan
        self.change = np.inf

    def first(self, parameters: Array, loss: float) -> float:
        """The decay to begin with."""
        return FIRST_DECAY * self._decay(min(len(parameters), self._n_data) / 2, parameters, loss)

    def next(self, parameters: Array, loss: float, hessian: Array, decay: float) -> float:
        """
        The decay to go on with.

        Parameters
        ----------
        parameters : ndarray (n_free,)
        loss : float
            Without the decay.
        hessian : ndarray (n_free, n_free)
            The second derivatives, with the `decay` until now on the diagonal.
        """
        of_loss = np.maximum(np.linalg.eigvalsh(hessian) - decay, 0)
        shares = np.divide(of_loss, of_loss + decay, out=np.zeros_like(of_loss), where=of_loss > 0)
        self.effective_parameters = float(shares.sum())
        decay_now = min(self._decay(self.effective_parameters, parameters, loss), LARGEST_GROWTH * decay)
        self.change = abs(decay_now - decay) / max(decay_now, decay) if decay_now != decay else 0.0
        return decay_now

    def _decay(self, effective: float, parameters: Array, loss: float) -> float:
        if effective >= self._n_data:
            raise ValueError(
                f"the data determine {effective:.4g} parameters, but count as {self._n_data:.4g} numbers: with "
                'regularization="bayesian", a row of sample_weight 2 counts as two rows'
            )
        size = float(parameters @ parameters) or 1.0
        return 2 * effective * loss / ((self._n_data - effective) * size)
