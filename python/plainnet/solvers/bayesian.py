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
    decay : float
        The last one.
    effective_parameters : float
        As of the last call.
    change : float
        Of the decay in the last call, relative to it.
    is_exhausted : bool
        Whether the data determine as many parameters as they are numbers: the network goes through all of them, and
        nothing is left that would tell how large their noise is. The decay stays as it is then.
    """

    def __init__(self, n_data: float) -> None:
        self._n_data = n_data
        self.decay = 0.0
        self.effective_parameters = np.nan
        self.change = np.inf
        self.is_exhausted = False
        self._is_growing = True  # from the first decay, which is too small, to the first one that is most probable

    def first(self, parameters: Array, loss: float, hessian: Array) -> float:
        """The decay to begin with."""
        self.decay = FIRST_DECAY * self._most_probable(min(len(parameters), self._n_data) / 2, parameters, loss)
        self._determine(hessian)
        return self.decay

    def next(self, parameters: Array, loss: float, hessian: Array) -> float:
        """
        The decay to go on with.

        Parameters
        ----------
        parameters : ndarray (n_free,)
        loss : float
            Without the decay.
        hessian : ndarray (n_free, n_free)
            The second derivatives of the loss.
        """
        self._determine(hessian)
        # Or nearly: then loss and decay run to 0 together.
        are_all = self.effective_parameters >= self._n_data * (1 - 1e-6)
        before, largest = self.decay, LARGEST_GROWTH * self.decay
        wanted = np.inf if are_all else self._most_probable(self.effective_parameters, parameters, loss)
        self._is_growing = self._is_growing and wanted > largest
        self.is_exhausted = are_all and not self._is_growing
        if not self.is_exhausted:
            self.decay = min(wanted, largest)
        self.change = abs(self.decay - before) / max(self.decay, before) if self.decay != before else 0.0
        return self.decay

    def _determine(self, hessian: Array) -> None:
        """Sets `effective_parameters`: how many the data determine, given the decay."""
        eigenvalues = np.linalg.eigvalsh(hessian)
        rounding = len(eigenvalues) * np.finfo(np.float64).eps * eigenvalues[-1]
        eigenvalues = eigenvalues[eigenvalues > rounding]
        self.effective_parameters = float((eigenvalues / (eigenvalues + self.decay)).sum())

    def _most_probable(self, effective: float, parameters: Array, loss: float) -> float:
        """The decay that is most probable if the data determine so many parameters."""
        with np.errstate(over="ignore"):
            size = float(parameters @ parameters) or 1.0
        return 2 * effective * loss / ((self._n_data - effective) * size)
