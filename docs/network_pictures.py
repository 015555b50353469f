"""What the chapters of learn/ draw: networks with their numbers, and what they say about each point of a plane."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from plainnet.plot.canvas import BLUE, ORANGE, VERMILLION

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: From 0 to 1. Both ends read as different on light and on dark ground, with every kind of colour vision.
SURFACE = LinearSegmentedColormap.from_list("surface", [ORANGE, "#F4EBDD", BLUE])

#: Ink on the surface, whose colours are the same in light and dark.
INK = "#1b1b1b"

#: Where along a line its number stands. Near the next layer, numbers of lines that cross stand apart.
_PLACE, _PLACE_BEFORE_ONE = 0.72, 0.45


def numbers(
    ax: Axes, columns: Sequence[Sequence[str]], weights: Sequence[Any], below: Any = None, digits: int = 2
) -> None:
    """
    A network with its numbers.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    columns : sequence of sequences of str
        What stands in the circles: those of the inputs, then those of each layer.
    weights : sequence of array_like (n_in, n_out)
        The numbers on the lines of each layer; what is above 0 is blue, what is below is vermillion.
    below : sequence of sequences of str, optional
        What stands below the circles.
    digits : int
        Of the numbers on the lines.
    """
    words = matplotlib.rcParams["text.color"]
    most = max(len(column) for column in columns)
    places = [[(2.6 * k, (len(column) - 1) / 2 - j) for j in range(len(column))] for k, column in enumerate(columns)]
    largest = max(float(np.abs(np.asarray(w, float)).max()) for w in weights) or 1.0
    for k, weight in enumerate(np.asarray(w, float) for w in weights):
        for (i, j), value in np.ndenumerate(weight):
            at = _PLACE if weight.shape[1] > 1 else _PLACE_BEFORE_ONE
            _line(ax, places[k][i], places[k + 1][j], float(value), largest, at, digits)
    for k, column in enumerate(columns):
        for j, text in enumerate(column):
            ax.plot(*places[k][j], "o", markersize=36, color=ORANGE if k == 0 else "#9fc9e3", markeredgecolor=words)
            ax.annotate(text, places[k][j], ha="center", va="center", fontsize=9.5, color=INK)
            if below is not None and below[k][j]:
                ax.annotate(
                    below[k][j], places[k][j], (0, -21), textcoords="offset points", ha="center", va="top", fontsize=9
                )
    ax.set(xlim=(-0.5, 2.6 * (len(columns) - 1) + 0.5), ylim=(-most / 2 + 0.05, most / 2 - 0.15))
    ax.set_axis_off()


def _line(
    ax: Axes, start: tuple[float, float], end: tuple[float, float], value: float, largest: float, at: float, digits: int
) -> None:
    """A line whose width is the size of its number, which stands on it."""
    colour = BLUE if value >= 0 else VERMILLION
    ax.plot(
        [start[0], end[0]], [start[1], end[1]], color=colour, linewidth=0.8 + 2.5 * abs(value) / largest, zorder=0
    )
    place = start[0] + at * (end[0] - start[0]), start[1] + at * (end[1] - start[1])
    box = {"boxstyle": "round,pad=0.15", "facecolor": "#f2f2f2", "edgecolor": colour, "linewidth": 0.8}
    ax.annotate(f"{value:.{digits}f}", place, ha="center", va="center", fontsize=8.5, color=INK, bbox=box)


def plane(ax: Axes, output: Callable[[Any], Any], title: str = "", targets: Sequence[float] | None = None) -> None:
    """
    The `output`, from 0 to 1, for every pair of two inputs, and its four corners.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    output : callable
        From inputs (n, 2) to outputs (n,).
    title : str
    targets : sequence of four numbers, optional
        What is wanted at (0, 0), (0, 1), (1, 0) and (1, 1): squares for 1, and circles for 0.
    """
    ticks = np.linspace(-0.5, 1.5, 101)
    x1, x2 = np.meshgrid(ticks, ticks)
    value = np.asarray(output(np.column_stack([x1.ravel(), x2.ravel()])), float).reshape(x1.shape)
    ax.pcolormesh(x1, x2, value, cmap=SURFACE, vmin=0, vmax=1, shading="gouraud", rasterized=True)
    if value.min() < 0.5 < value.max():
        ax.contour(x1, x2, value, levels=[0.5], colors=INK, linewidths=1.8)
    corners = np.array([(0, 0), (0, 1), (1, 0), (1, 1)], float)
    for (a, b), target in zip(corners, targets if targets is not None else (), strict=False):
        square = target > 0.5
        ax.plot(a, b, "s" if square else "o", markersize=11, color=BLUE if square else ORANGE,
                markeredgecolor="white", markeredgewidth=2)  # fmt: skip
    ax.set(title=title, xlabel="x1", ylabel="x2", aspect="equal", xticks=[0, 1], yticks=[0, 1])
