"""Checks on your own data: the backends agree, and the gradient is the derivative of the loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .arrays import FLOAT32, Array, as_native
from .network import Network

#: The largest relative difference that rounding can explain after some thousand steps.
AGREEMENT = {"float64": 1e-11, "float32": 1e-4}

#: Central differences in float64 are exact to about 1e-9; gradients in float32 have rounding errors of their own.
GRADIENT_AGREEMENT = {"float64": 1e-6, "float32": 1e-3}


@dataclass(frozen=True)
class CrossCheck:
    """
    The largest differences between the backends, relative to the largest entry of what is compared.

    Attributes
    ----------
    parameters, predictions, loss : float
        After training, on the training rows, and over the whole loss curve.
    tolerance : float
        The largest difference that counts as agreement: 1e-11 in float64, 1e-4 in float32.
    agree : bool
    """

    parameters: float
    predictions: float
    loss: float
    tolerance: float

    @property
    def agree(self) -> bool:
        return all(value <= self.tolerance for value in (self.parameters, self.predictions, self.loss))

    def __str__(self) -> str:
        verdict = "agree" if self.agree else "DISAGREE"
        return (
            f"the backends {verdict} (tolerance {self.tolerance:g}): largest differences {self.parameters:.1e} in "
            f"parameters, {self.predictions:.1e} in predictions, {self.loss:.1e} in the loss curve"
        )


def relative_difference(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """max |a - b| / max |b|; infinite if either holds a value that is not finite."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("inf")
    if a.size == 0:
        return 0.0
    largest = float(np.abs(b).max())
    return float(np.abs(a - b).max()) / (largest if largest > 0 else 1.0)


def _check_network(net: object) -> None:
    if not isinstance(net, Network):
        raise TypeError(f"net must be a Network, not {type(net).__name__}")


def cross_check(net: Network, x: npt.ArrayLike, y: npt.ArrayLike, **fit: Any) -> CrossCheck:
    """
    Trains a copy of `net` with each backend and compares them; `net` itself is not touched.

    Parameters
    ----------
    net : Network
    x, y : array_like
    **fit
        The other arguments of :meth:`Network.fit`.

    Returns
    -------
    CrossCheck
    """
    _check_network(net)
    twins = {backend: net.copy(backend=backend) for backend in ("c", "numpy")}
    losses = {backend: twin.fit(x, y, **fit).loss for backend, twin in twins.items()}
    return CrossCheck(
        relative_difference(twins["c"].parameters, twins["numpy"].parameters),
        relative_difference(twins["c"].predict(x), twins["numpy"].predict(x)),
        relative_difference(losses["c"], losses["numpy"]),
        AGREEMENT[net.dtype.name],
    )


@dataclass(frozen=True)
class GradientCheck:
    """
    Back-propagation against central differences.

    Attributes
    ----------
    gradient, numeric : ndarray (n_parameters,)
    difference : float
        The largest, relative to the largest entry of `numeric`.
    tolerance : float
    agree : bool
        Within the tolerance, and not because both are zero everywhere.
    """

    gradient: Array
    numeric: Array
    difference: float
    tolerance: float

    @property
    def agree(self) -> bool:
        return self.difference <= self.tolerance and bool(np.any(self.numeric != 0))

    def __str__(self) -> str:
        verdict = "agrees with" if self.agree else "DISAGREES with"
        return (
            f"the gradient {verdict} central differences: largest relative difference {self.difference:.1e} "
            f"(tolerance {self.tolerance:g}), largest entry {np.abs(self.numeric).max():.1e}"
        )


def check_gradient(
    net: Network, x: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
) -> GradientCheck:
    """
    Compares ``net.loss_and_gradient(x, y, sample_weight)`` with central differences of the loss, taken in float64.

    A kink of ``relu`` closer to a pre-activation than the step (about 1e-5) shows up as a difference, but is no error.
    """
    _check_network(net)
    _, gradient = net.loss_and_gradient(x, y, sample_weight)
    exact = net
    if net.dtype == FLOAT32:
        exact = Network(net.layers, net.loss, net.parameters, dtype="float64", backend=net.backend)
        x, y = as_native("x", x, FLOAT32), as_native("y", y, FLOAT32)  # as the network itself rounds them
    probe = exact.copy()
    numeric = np.empty(len(exact.parameters))
    for k, value in enumerate(exact.parameters):
        step = np.cbrt(np.finfo(np.float64).eps) * max(1.0, abs(float(value)))
        losses = []
        for shifted in (value + step, value - step):
            probe.parameters[k] = shifted
            losses.append(probe.loss_and_gradient(x, y, sample_weight)[0])
        numeric[k] = (losses[0] - losses[1]) / ((value + step) - (value - step))
        probe.parameters[k] = value
    difference = relative_difference(gradient, numeric)
    return GradientCheck(gradient, numeric, difference, GRADIENT_AGREEMENT[net.dtype.name])
