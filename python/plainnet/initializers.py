"""The initial weights. Biases are initially 0."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from .arrays import Array, check_name, no_memory
from .conversion import REFUSALS, shown
from .layers import Dense, as_parameters

if TYPE_CHECKING:  # NumPy imports its random numbers when they are first used
    Seed: TypeAlias = (
        int | Sequence[int] | np.random.SeedSequence | np.random.BitGenerator | np.random.Generator | None
    )


def as_generator(seed: Seed) -> np.random.Generator:
    """``numpy.random.default_rng(seed)``, with errors that name the argument."""
    error: type[Exception] = TypeError
    if not isinstance(seed, bool | str | bytes):
        try:
            return np.random.default_rng(seed)
        except ValueError:
            error = ValueError
        except REFUSALS:
            pass
    raise error(
        f"seed is {shown(seed)}; allowed are None, an integer of at least 0, a sequence of such integers, and NumPy's "
        "SeedSequence, BitGenerator and Generator"
    )


def _uniform_of_variance(rng: np.random.Generator, variance: float, shape: tuple[int, int]) -> Array:
    limit = np.sqrt(3 * variance)
    return rng.uniform(-limit, limit, shape)


def _normal_of_variance(rng: np.random.Generator, variance: float, shape: tuple[int, int]) -> Array:
    """A normal distribution that is cut off at two standard deviations, and has `variance` after that, as in Keras."""
    values = rng.standard_normal(shape)
    while (outside := np.abs(values) > 2).any():
        values[outside] = rng.standard_normal(np.count_nonzero(outside))
    deviation = 0.87962566103423978  # of the standard normal distribution, cut off at 2
    values *= np.sqrt(variance) / deviation
    return values


def _orthogonal(rng: np.random.Generator, n_in: int, n_out: int) -> Array:
    """
    Orthonormal columns, or rows if there are fewer of these (Saxe, McClelland and Ganguli 2013).

    The signs make the distribution uniform over all such matrices (Mezzadri 2007). LAPACK computes the decomposition:
    its last digits may differ from machine to machine.
    """
    q, r = np.linalg.qr(rng.standard_normal((max(n_in, n_out), min(n_in, n_out))))
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    return q if n_in >= n_out else q.T


#: name: (rng, n_in, n_out) -> weights (n_in, n_out).
INITIALIZERS: dict[str, Callable[[np.random.Generator, int, int], Array]] = {
    # Glorot and Bengio 2010.
    "glorot_uniform": lambda rng, n_in, n_out: _uniform_of_variance(rng, 2 / (n_in + n_out), (n_in, n_out)),
    "glorot_normal": lambda rng, n_in, n_out: _normal_of_variance(rng, 2 / (n_in + n_out), (n_in, n_out)),
    # He et al. 2015.
    "he_uniform": lambda rng, n_in, n_out: _uniform_of_variance(rng, 2 / n_in, (n_in, n_out)),
    "he_normal": lambda rng, n_in, n_out: _normal_of_variance(rng, 2 / n_in, (n_in, n_out)),
    # LeCun et al. 1998.
    "lecun_uniform": lambda rng, n_in, n_out: _uniform_of_variance(rng, 1 / n_in, (n_in, n_out)),
    "lecun_normal": lambda rng, n_in, n_out: _normal_of_variance(rng, 1 / n_in, (n_in, n_out)),
    "orthogonal": _orthogonal,
    # Short names: Glorot's uniform distribution, and He's normal one, which is not cut off.
    "glorot": lambda rng, n_in, n_out: rng.uniform(-(c := np.sqrt(6 / (n_in + n_out))), c, (n_in, n_out)),
    "he": lambda rng, n_in, n_out: rng.normal(0, np.sqrt(2 / n_in), (n_in, n_out)),
    # N(0, 1), and [0, 1).
    "normal": lambda rng, n_in, n_out: rng.standard_normal((n_in, n_out)),
    "uniform": lambda rng, n_in, n_out: rng.random((n_in, n_out)),
}


def initialize(
    layers: tuple[Dense, ...], parameters: Array, init: str | npt.ArrayLike, rng: np.random.Generator
) -> None:
    """
    Sets `parameters`, of which the weights and biases of `layers` are views, as `init` says.

    A name draws the weights layer by layer, always in float64: a seed gives the same start for both dtypes.
    """
    if not isinstance(init, str):
        try:
            parameters[...] = as_parameters("init", init, parameters, "each layer's weight and bias")
        except TypeError as error:
            raise TypeError(f"{error}; or one of the names {', '.join(map(repr, INITIALIZERS))}") from None
        return
    check_name("init", init, INITIALIZERS)
    for k, layer in enumerate(layers):
        try:
            layer.weight[...] = INITIALIZERS[init](rng, layer.n_in, layer.n_out)
        except MemoryError:
            what = f"the starting weights of layers[{k}] = {layer}"
            raise no_memory(what, 8 * layer.n_in * layer.n_out, "make it smaller, or give init as an array") from None
        if layer.bias is not None:
            layer.bias[...] = 0
