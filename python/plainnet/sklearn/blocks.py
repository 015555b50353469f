"""Calls of a network with a sparse matrix, of which a block of rows is dense at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..arrays import LARGE_BYTES, Array, sum_of_weights
from ..network import Network
from .networks import sum_of_squares


def blocks(x: Any, network: Network) -> Iterator[tuple[slice, Any]]:
    """Slices of the rows of `x` with these rows as a dense array; all rows at once, if `x` is dense."""
    n_rows = int(x.shape[0])
    if isinstance(x, np.ndarray):
        yield slice(0, n_rows), x
        return
    x, size = x.tocsr(), max(1, LARGE_BYTES // (int(x.shape[1]) * network.dtype.itemsize))
    for start in range(0, n_rows, size):
        rows = slice(start, min(start + size, n_rows))
        yield rows, x[rows].toarray()


def is_small(x: Any) -> bool:
    """Whether a sparse matrix may be dense as a whole."""
    return int(x.shape[0]) * int(x.shape[1]) * 8 <= LARGE_BYTES


def predict(network: Network, x: Any) -> Array:
    """The outputs (n_samples, n_out) for `x`, dense or sparse."""
    if isinstance(x, np.ndarray):
        return network.predict(x)
    outputs = np.empty((x.shape[0], network.layers[-1].n_out), network.dtype)
    for rows, part in blocks(x, network):
        outputs[rows] = network.predict(part)
    return outputs


def forward(network: Network, x: Any, y: Array, weight: Array | None) -> tuple[Array, float]:
    """The outputs, and the loss without the penalty."""
    outputs = np.empty((x.shape[0], network.layers[-1].n_out), network.dtype)
    penalty, total = network.layers[0].l2 / 2 * sum_of_squares(network), 0.0
    for rows, part in blocks(x, network):
        part_weight = None if weight is None else weight[rows]
        size = sum_of_weights(len(part), part_weight)
        if size == 0:
            network.predict(part, outputs[rows])
            continue
        native = network._pair(part, y[rows])
        total += network._model.total_loss(*native, part_weight, outputs[rows]) * size - penalty
    return outputs, total / sum_of_weights(len(outputs), weight)


def loss_and_gradient(network: Network, x: Any, y: Array, weight: Array | None) -> tuple[float, Array]:
    """The loss and its gradient, for `x` dense or sparse."""
    if isinstance(x, np.ndarray):
        return network.loss_and_gradient(x, y, weight)
    l2, loss, gradient, n_parts = network.layers[0].l2, 0.0, np.zeros(network.parameters.size), 0
    for rows, part in blocks(x, network):
        part_weight = None if weight is None else weight[rows]
        size = sum_of_weights(len(part), part_weight)
        if size > 0:
            part_loss, part_gradient = network.loss_and_gradient(part, y[rows], part_weight)
            loss += size * part_loss
            gradient += size * part_gradient
            n_parts += 1
    loss -= (n_parts - 1) * l2 / 2 * sum_of_squares(network)  # each part has the whole penalty
    start = 0
    for layer in network.layers:
        gradient[start : start + layer.weight.size] -= (n_parts - 1) * l2 * layer.weight.ravel()
        start += layer.n_parameters
    total = sum_of_weights(int(x.shape[0]), weight)
    return loss / total, gradient / total
