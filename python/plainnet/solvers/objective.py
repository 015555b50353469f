"""What the solvers minimise: the loss of a network, as a function of the parameters that are free."""

from __future__ import annotations

import numpy as np

from ..arrays import FLOAT64, Array, check_training_data
from ..backend import DivergedError
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

    Raises
    ------
    DivergedError
        If a parameter is not finite.
    ValueError
        If the data are not finite, or the loss does not allow the targets.
    """

    def __init__(self, network: Network, data: Data) -> None:
        finite = np.isfinite(network.parameters)
        if not finite.all():
            k = int(finite.argmin())
            raise DivergedError(0, f"it began with parameters[{k}] = {network.parameters[k]}")
        # A network and data of its own: where steps lead is tried out, and x may be a view of the network's parameters.
        self._network = Network(
            network.layers, network.loss, network.parameters, dtype=FLOAT64, backend=network.backend,
            loss_limit=network.loss_limit, divide_penalty=network.divide_penalty,
        )  # fmt: skip
        self._model = self._network._model
        weight = None if data.weight is None else _apart(data.weight, network)
        self._data = Data(_apart(data.x, network), _apart(data.y, network), weight)
        check_training_data(self._data.x, self._data.y, self._model.loss)
        self._free = free_parameters(network)
        self.start = network.parameters[self._free].astype(FLOAT64)

    def parameters(self, free: Array) -> Array:
        """All parameters of the network, of which some are `free`; an array that the next call changes."""
        self._network.parameters[self._free] = free
        return self._network.parameters

    def loss(self, free: Array) -> float:
        """The loss alone."""
        self.parameters(free)
        return self._model.total_loss(*self._data)

    def loss_and_gradient(self, free: Array) -> tuple[float, Array]:
        """The loss and its gradient (n_free,)."""
        gradient = np.empty(self._network.parameters.size)
        self.parameters(free)
        loss = self._model.loss_and_gradient(self._data.x, self._data.y, gradient, self._data.weight)
        return loss, gradient[self._free]

    def derivatives(self, free: Array) -> tuple[float, Array, Array]:
        """The same, and the second derivatives (n_free, n_free) in the approximation of Gauss and Newton."""
        n_parameters = self.parameters(free).size
        gradient, hessian = np.empty(n_parameters), np.empty((n_parameters, n_parameters))
        loss = self._model.gauss_newton(self._data.x, self._data.y, gradient, hessian, self._data.weight)
        if isinstance(self._free, np.ndarray):
            hessian = hessian[np.ix_(self._free, self._free)]
        return loss, gradient[self._free], hessian

    def bend(self, free: Array, step: Array, gradient: Array) -> Array:
        """
        How the outputs bend along a step: what the gradient would have more if the outputs were off by a'' more.

        Parameters
        ----------
        free, step, gradient : ndarray (n_free,)
            The gradient is that of the loss at `free`.

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
        return bent[self._free] - gradient

    def _outputs(self, free: Array) -> Array:
        self.parameters(free)
        outputs = np.empty_like(self._data.y)
        self._model.forward(self._data.x, outputs)
        return outputs


def check_start(loss: float, *derivatives: Array) -> None:
    """
    Checks that the loss is finite where a run begins, and its derivatives.

    Raises
    ------
    DivergedError
        Which says what is not.
    """
    if not np.isfinite(loss):
        raise DivergedError(0, f"it is {loss} for the parameters and the data that it began with, which are too large")
    if not all(np.isfinite(part).all() for part in derivatives):
        raise DivergedError(
            0, f"it is {loss:.3g} for the parameters and the data that it began with, but its derivatives overflow"
        )


def _apart(array: Array, network: Network) -> Array:
    """The same numbers in double precision, in memory that the network's parameters do not share."""
    return array.astype(FLOAT64, copy=np.may_share_memory(array, network.parameters))


def free_parameters(network: Network) -> Array | slice:
    """Which parameters of a network change: their numbers, or a slice of all."""
    rates = []
    for layer in network.layers:
        rates.append(np.full(layer.weight.size, layer.options.weight_rate))
        if layer.bias is not None:
            rates.append(np.full(layer.bias.size, layer.options.bias_rate))
    free = np.flatnonzero(np.concatenate(rates))
    return slice(None) if free.size == network.parameters.size else free
