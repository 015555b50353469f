"""Pictures for the pages of this documentation: each is drawn twice, for light and for dark, in the same colours."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import matplotlib
from matplotlib.figure import Figure

from plainnet.plot.canvas import BLUE, COLOURS, GREEN, ORANGE, PURPLE, SKY, VERMILLION, YELLOW

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["BLUE", "COLOURS", "GREEN", "ORANGE", "PURPLE", "SKY", "VERMILLION", "YELLOW", "show"]

#: Lines and words in the colours of the theme; what is behind them shows through.
WORDS = {"light": "#212529", "dark": "#cfd0d0"}
FAINT = {"light": "#cccccc", "dark": "#4a4d52"}


def style(mode: str) -> dict[str, object]:
    words = ("text.color", "axes.labelcolor", "axes.edgecolor", "axes.titlecolor", "xtick.color", "ytick.color")
    return {
        **dict.fromkeys(words, WORDS[mode]),
        "grid.color": FAINT[mode], "legend.edgecolor": FAINT[mode],
        "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none", "legend.facecolor": "none",
        "legend.framealpha": 0, "axes.spines.top": False, "axes.spines.right": False,
        "font.size": 11, "axes.prop_cycle": matplotlib.cycler(color=[BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY]),
        "svg.hashsalt": "plainnet",  # the same picture is the same file
    }  # fmt: skip


class Picture:
    """What a cell of a page shows: one picture, as it looks on light and on dark ground."""

    def __init__(self, light: str, dark: str, alt: str) -> None:
        self.sources = {"light": light, "dark": dark}
        self.alt = alt

    def _repr_html_(self) -> str:
        alt = html.escape(self.alt)
        images = [f'<img class="only-{mode}" src="{source}" alt="{alt}">' for mode, source in self.sources.items()]
        return f'<div class="picture">{"".join(images)}</div>'

    def __repr__(self) -> str:
        return f"[picture: {self.alt}]"


def show(
    draw: Callable[..., object],
    alt: str,
    size: tuple[float, float] = (7, 4),
    grid: tuple[int, int] = (1, 1),
    format: str = "svg",
) -> Picture:
    """
    A picture that `draw` draws, for the end of a cell.

    Parameters
    ----------
    draw : callable
        Takes axes of matplotlib (with a `grid` of several, an array of them, as ``plt.subplots`` returns it), and
        draws into them. It is called twice. ``ax.figure`` is the figure. Colours that it does not give, and words,
        are those of the page. What it wants to know of light and dark is in ``matplotlib.rcParams["text.color"]``.
    alt : str
        What is to be seen, in a sentence, for those who do not see it.
    size : (float, float)
        Width and height in inches; 7 is the width of the text.
    grid : (int, int)
        Rows and columns of axes.
    format : "svg" or "png"
        "png" for pictures of thousands of points, or of surfaces.
    """
    if not alt.strip():
        raise ValueError("alt must say what is to be seen in the picture")
    if format not in ("svg", "png"):
        raise ValueError(f"format must be 'svg' or 'png', not {format!r}")
    sources = {}
    for mode in ("light", "dark"):
        with matplotlib.rc_context(style(mode)):
            figure = Figure(figsize=size, layout="constrained")
            axes: Axes = figure.subplots(*grid)
            draw(axes)
            stream = io.BytesIO()
            metadata = {"Date": None} if format == "svg" else None
            figure.savefig(stream, format=format, dpi=160, metadata=metadata)
        kind = {"svg": "image/svg+xml", "png": "image/png"}[format]
        sources[mode] = f"data:{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"
    return Picture(sources["light"], sources["dark"], alt)
