"""What the solvers minimise: the loss of a network, as a function of the parameters that are free."""

from __future__ import annotations

import numpy as np

from ..arrays import FLOAT64, Array, check_training_data
from ..network import Network
from ..training import Data

#: Second derivatives along a step are differences over this part of it (Transtrum and Sethna recommend 0.1).
BEND_STEP = 0.1


class Objective:
    """
    The loss of a network, in double precision, and its derivatives.

    Parameters
    ----------
    network : Network
        Which stays as it is.
    data : Data
        In the network's dtype.

    Attributes
    ----------
    start : ndarray (n_free,)
        The network's parameters, but for those of layers whose ``weight_rate`` or ``bias_rate`` is 0.
    decay : float
        ``decay / 2 * sum(parameters**2)`` is added to the loss.
    """

    def __init__(self, network: Network, data: Data) -> None:
        # A network of its own: where steps lead is tried out in it.
        self._network = Network(
            network.layers, network.loss, network.parameters, dtype=FLOAT64, backend=network.backend,
            loss_limit=network.loss_limit, divide_penalty=network.divide_penalty,
        )  # fmt: skip
        self._model = self._network._model
        x = data.x if isinstance(data.x, np.ndarray) else data.x[:]
        weight = None if data.weight is None else data.weight.astype(FLOAT64, copy=False)
        self._data = Data(x.astype(FLOAT64, copy=False), data.y.astype(FLOAT64, copy=False), weight)
        check_training_data(self._data.x, self._data.y, self._model.loss)
        self._free = _free(network)
        self.start = network.parameters[self._free].astype(FLOAT64)
        self.decay = 0.0

    def parameters(self, free: Array) -> Array:
        """All parameters of the network, of which some are `free`; an array that the next call changes."""
        self._network.parameters[self._free] = free
        return self._network.parameters

    def value(self, free: Array) -> float:
        """The loss, with what the decay adds."""
        self.parameters(free)
        return self._model.total_loss(*self._data) + self.decay / 2 * float(free @ free)

    def value_and_gradient(self, free: Array) -> tuple[float, Array]:
        """The same, and its gradient (n_free,)."""
        gradient = np.empty(self._network.parameters.size)
        self.parameters(free)
        loss = self._model.loss_and_gradient(self._data.x, self._data.y, gradient, self._data.weight)
        return loss + self.decay / 2 * float(free @ free), gradient[self._free] + self.decay * free

    def derivatives(self, free: Array) -> tuple[float, Array, Array]:
        """The same, and its second derivatives (n_free, n_free) in the approximation of Gauss and Newton."""
        n_parameters = self.parameters(free).size
        gradient, hessian = np.empty(n_parameters), np.empty((n_parameters, n_parameters))
        loss = self._model.gauss_newton(self._data.x, self._data.y, gradient, hessian, self._data.weight)
        if isinstance(self._free, np.ndarray):
            hessian = hessian[np.ix_(self._free, self._free)]
        np.einsum("ii->i", hessian)[:] += self.decay
        return loss + self.decay / 2 * float(free @ free), gradient[self._free] + self.decay * free, hessian

    def bend(self, free: Array, step: Array, gradient: Array) -> Array:
        """
        How the outputs bend along a step: what the gradient would have more if the outputs were off by a'' more.

        Parameters
        ----------
        free, step, gradient : ndarray (n_free,)
            The gradient is that of the objective at `free`.

        Returns
        -------
        ndarray (n_free,)
            With the second derivatives a'' of the outputs along the step, by differences. NaN if these are not finite.
        """
        behind, here, ahead = (self._outputs(free + t * step) for t in (-BEND_STEP, 0.0, BEND_STEP))
        with np.errstate(all="ignore"):
            targets = self._data.y - (ahead - 2 * here + behind) / BEND_STEP**2
        if not np.isfinite(targets).all():
            return np.full_like(free, np.nan)
        bent = np.empty(self.parameters(free).size)
        self._model.loss_and_gradient(self._data.x, targets, bent, self._data.weight)
        return bent[self._free] + self.decay * free - gradient

    def _outputs(self, free: Array) -> Array:
        self.parameters(free)
        outputs = np.empty_like(self._data.y)
        self._model.forward(self._data.x, outputs)
        return outputs


def _free(network: Network) -> Array | slice:
    """Which parameters of a network change: their numbers, or a slice of all."""
    rates = []
    for layer in network.layers:
        rates.append(np.full(layer.weight.size, layer.options.weight_rate))
        if layer.bias is not None:
            rates.append(np.full(layer.bias.size, layer.options.bias_rate))
    free = np.flatnonzero(np.concatenate(rates))
    return slice(None) if free.size == network.parameters.size else free
