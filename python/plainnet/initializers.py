"""Starting weights. Biases start at 0."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .arrays import Array
from .layers import Dense


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


def initialize(layers: tuple[Dense, ...], name: str, rng: np.random.Generator) -> None:
    """Draws each layer's weights in order, in float64 whatever the network's dtype: one seed, one starting point."""
    for layer in layers:
        layer.weight[...] = INITIALIZERS[name](rng, layer.n_in, layer.n_out)
        if layer.bias is not None:
            layer.bias[...] = 0
