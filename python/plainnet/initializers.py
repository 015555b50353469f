"""The initial weights. Biases are initially 0."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from .arrays import Array, check_name, no_memory
from .conversion import REFUSALS, shown
from .layers import Dense, as_parameters

Seed: TypeAlias = int | Sequence[int] | np.random.SeedSequence | np.random.BitGenerator | np.random.Generator | None


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


def _glorot(rng: np.random.Generator, n_in: int, n_out: int) -> Array:
    """Uniform within +-sqrt(6 / (n_in + n_out)) (Glorot and Bengio 2010)."""
    limit = np.sqrt(6 / (n_in + n_out))
    return rng.uniform(-limit, limit, (n_in, n_out))


def _he(rng: np.random.Generator, n_in: int, n_out: int) -> Array:
    """Normal with variance 2 / n_in (He et al. 2015)."""
    return rng.normal(0, np.sqrt(2 / n_in), (n_in, n_out))


def _normal(rng: np.random.Generator, n_in: int, n_out: int) -> Array:
    """N(0, 1)."""
    return rng.standard_normal((n_in, n_out))


def _uniform(rng: np.random.Generator, n_in: int, n_out: int) -> Array:
    """Uniform in [0, 1)."""
    return rng.random((n_in, n_out))


INITIALIZERS: dict[str, Callable[[np.random.Generator, int, int], Array]] = {
    "glorot": _glorot,
    "he": _he,
    "normal": _normal,
    "uniform": _uniform,
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
