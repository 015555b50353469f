"""The neurons and weights of a small network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..arrays import Array
from ..network import Network
from .canvas import BLACK, BLUE, GREY, VERMILLION, as_axes, check_network, extent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: A network with more is a picture of nothing.
MAX_NEURONS, MAX_WEIGHTS = 32, 1000


def network(net: Network, ax: Axes | None = None) -> Axes:
    """
    A small network: neurons as circles, and weights as lines, the wider, the larger they are.

    Weights above 0 are blue, those below 0 vermillion. A neuron is filled with the colour of its bias.

    Parameters
    ----------
    net : Network
        With at most 32 inputs and neurons in a layer, and 1000 weights.
    ax : matplotlib.axes.Axes, optional
        By default those of a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        If `net` is something else, or too large to be drawn.
    ImportError
        Without matplotlib.
    """
    check_network(net)
    sizes = [net.layers[0].n_in, *(layer.n_out for layer in net.layers)]
    n_weights = sum(layer.n_in * layer.n_out for layer in net.layers)
    if max(sizes) > MAX_NEURONS or n_weights > MAX_WEIGHTS:
        raise ValueError(
            f"net is {'-'.join(map(str, sizes))}, with {n_weights} weights: a picture shows networks of at most "
            f"{MAX_NEURONS} neurons in a layer and {MAX_WEIGHTS} weights"
        )
    if not np.isfinite(net.parameters).all():
        raise ValueError("net has parameters that are not finite: only numbers can be drawn")
    ax = as_axes(ax, (1.5 + 1.9 * len(sizes), 2 + 0.3 * max(max(sizes), 6)))
    places = [np.column_stack([np.full(n, k), (n - 1) / 2 - np.arange(n)]) for k, n in enumerate(sizes)]
    most, legend = max(sizes), min(36 / extent(ax)[1], 0.5)  # the legend takes 36 points
    ax.set(xlim=(-0.6, len(sizes) - 0.4), ylim=(most / 2 + 0.2 - (most + 1.4) / (1 - legend), most / 2 + 0.2))
    _show_weights(ax, net, places)
    _show_neurons(ax, net, places)
    ax.set_axis_off()
    ax.set_title(f"Network {'-'.join(map(str, sizes))}: {net.parameters.size} parameters", fontsize=11)
    return ax


def _show_weights(ax: Axes, net: Network, places: list[Array]) -> None:
    from matplotlib.collections import LineCollection

    largest = max(float(np.abs(layer.weight).max()) for layer in net.layers) or 1.0
    widest = 4.0 if sum(layer.weight.size for layer in net.layers) <= 200 else 2.0
    for k, layer in enumerate(net.layers):
        weights = layer.weight.ravel().astype(np.float64)
        order = np.argsort(np.abs(weights))  # large ones on top
        starts = np.repeat(places[k], layer.n_out, axis=0)
        ends = np.tile(places[k + 1], (layer.n_in, 1))
        lines = LineCollection(
            list(np.stack([starts, ends], axis=1)[order]), linewidths=widest * np.abs(weights[order]) / largest,
            colors=[_of_sign(weight) for weight in weights[order]], zorder=1, label=f"weights of layers[{k}]",
        )  # fmt: skip
        ax.add_collection(lines, autolim=False)
    _explain(ax, net, largest, widest)


def _of_sign(value: float) -> str:
    return BLUE if value >= 0 else VERMILLION


def _show_neurons(ax: Axes, net: Network, places: list[Array]) -> None:
    """Circles in the colours of biases, the numbers of inputs and outputs, and what each column is."""
    from matplotlib.colors import to_rgb

    most = max(len(column) for column in places)
    space = extent(ax)[1] / float(np.diff(ax.get_ylim())[0])  # from neuron to neuron, in points
    largest = _largest_bias(net) or 1.0
    for k, column in enumerate(places):
        bias = None if k == 0 else net.layers[k - 1].bias
        values = np.zeros(len(column)) if bias is None else bias.astype(np.float64)
        fill = [1 - 0.8 * abs(value) / largest * (1 - np.array(to_rgb(_of_sign(value)))) for value in values]
        ax.scatter(
            column[:, 0], column[:, 1], s=min(0.62 * space, 24) ** 2, color=fill, marker="s" if k == 0 else "o",
            edgecolors=BLACK, linewidths=1.2, zorder=2, label="inputs" if k == 0 else f"neurons of layers[{k - 1}]",
        )  # fmt: skip
        kind = net.layers[k - 1].activation if k > 0 else "input" if len(column) == 1 else "inputs"
        ax.text(k, -most / 2 - 0.4, f"{len(column)} {kind}", ha="center", va="top", fontsize=10)
    for side, column, offset in (("right", places[0], -1), ("left", places[-1], 1)):
        for number, (horizontal, vertical) in enumerate(column):
            ax.annotate(
                str(number), (horizontal, vertical), (offset * (min(0.31 * space, 12) + 5), 0), ha=side, va="center",
                textcoords="offset points", fontsize=min(9.0, 0.8 * space), color=GREY,
            )  # fmt: skip


def _largest_bias(net: Network) -> float:
    return max(0.0 if layer.bias is None else float(np.abs(layer.bias).max()) for layer in net.layers)


def _explain(ax: Axes, net: Network, largest: float, widest: float) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=BLUE, linewidth=widest, label=f"weight {largest:.3g}"),
        Line2D([], [], color=VERMILLION, linewidth=widest, label=f"weight -{largest:.3g}"),
    ]
    bias = _largest_bias(net)
    if bias > 0:
        for colour, sign in ((BLUE, ""), (VERMILLION, "-")):
            dot = Line2D([], [], color=colour, linestyle="none", marker="o", markersize=10, markeredgecolor=BLACK)
            dot.set(alpha=0.8, label=f"bias {sign}{bias:.3g}")
            handles.append(dot)
    ax.legend(handles=handles, loc="lower center", ncols=2, frameon=False, fontsize=9, borderaxespad=0)
