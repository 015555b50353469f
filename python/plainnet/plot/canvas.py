"""What all pictures share: axes to draw into, colours, and the check of the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..network import Network

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Okabe and Ito's colours, which can be distinguished with every kind of colour vision.
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, YELLOW, BLACK = COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000"
)  # fmt: skip
GREY = "#666666"


def as_axes(ax: Any, size: tuple[float, float]) -> Axes:
    """`ax`, checked, or the axes of a new figure of `size` in inches."""
    try:
        from matplotlib.axes import Axes
    except ImportError as error:
        raise ImportError("pictures need matplotlib; get it with: pip install 'plainnet[plot]'") from error
    if ax is None:
        from matplotlib import pyplot

        return pyplot.subplots(figsize=size, layout="constrained")[1]
    if not isinstance(ax, Axes):
        hint = "; plt.subplots(2, 2) returns an array of them: give one" if isinstance(ax, np.ndarray) else ""
        raise TypeError(f"ax must be None or axes of matplotlib, not {type(ax).__name__}{hint}")
    return ax


def extent(ax: Axes) -> tuple[float, float]:
    """The width and height of the axes in points, as far as known before the figure's layout is."""
    box, dpi = ax.get_window_extent(), ax.figure.dpi
    return 72 * box.width / dpi, 72 * box.height / dpi


def check_network(net: object) -> None:
    if not isinstance(net, Network):
        raise TypeError(f"net must be a Network, not {type(net).__name__}")
