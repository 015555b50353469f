"""The losses and metrics of a run of training."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Array, check_name
from ..conversion import shown
from ..history import History
from .canvas import COLOURS, GREY, as_axes, extent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_DASHES = ("--", ":", "-.")

#: Of legends, those before others where they hide as little: their names, and how far right and up they are.
_PLACES = [
    ("upper right", 1, 1), ("center right", 1, 0.5), ("lower right", 1, 0), ("upper center", 0.5, 1),
    ("center", 0.5, 0.5), ("lower center", 0.5, 0), ("upper left", 0, 1), ("center left", 0, 0.5), ("lower left", 0, 0),
]  # fmt: skip


def history(history: History, ax: Axes | None = None, metrics: str | Sequence[str] | None = None) -> Axes:
    """
    The losses of a run of training and, on an axis on the right, its metrics.

    The losses have a logarithmic axis if they span more than two powers of ten. Where callbacks have found a best
    epoch, it is marked, and the title tells why the run ended.

    Parameters
    ----------
    history : History
        What ``fit`` returns, or ``net.history``.
    ax : matplotlib.axes.Axes, optional
        By default those of a new figure.
    metrics : str or sequence of str, optional
        The names of those to draw, which share an axis; by default all.

    Returns
    -------
    matplotlib.axes.Axes
        Of the losses. Those of the metrics are the last of ``ax.figure.axes``.

    Raises
    ------
    TypeError, ValueError
        If an argument is something else, or the run has no finished epoch.
    ImportError
        Without matplotlib.
    """
    if not isinstance(history, History):
        raise TypeError(f"history must be a History, as fit returns it, not {type(history).__name__}")
    n_epochs = len(history.loss)
    if n_epochs == 0:
        raise ValueError("history has no finished epoch: there is nothing to draw")
    names = _metric_names(history, metrics)
    ax = as_axes(ax, (7.5, 4.5))
    from matplotlib.ticker import MaxNLocator

    epochs = np.arange(1, n_epochs + 1)
    marker = "o" if n_epochs <= 20 else None  # of a single epoch, a line shows nothing
    losses = {"loss": history.loss}
    if history.validation_loss is not None:
        losses = {"training loss": history.loss, "validation loss": history.validation_loss}
    for (name, values), colour in zip(losses.items(), COLOURS):
        ax.plot(epochs, values, color=colour, linewidth=1.8, marker=marker, markersize=4, label=name)
    if _spans_decades(np.concatenate(list(losses.values()))):
        ax.set_yscale("log")
    if history.best_epoch is not None:
        ax.axvline(
            history.best_epoch, color=GREY, linestyle="--", linewidth=1.2, label=f"best epoch: {history.best_epoch}"
        )
    ax.set(xlabel="epoch", ylabel="loss (log scale)" if ax.get_yscale() == "log" else "loss")
    ax.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    ax.grid(alpha=0.3)
    if n_epochs == 1:
        ax.set_xlim(0, 2)
    _show_legend([ax, _show_metrics(ax, history, names, marker)] if names else [ax])
    _show_title(ax, n_epochs, history.stopped or "")
    return ax


def _metric_names(history: History, metrics: Any) -> list[str]:
    if metrics is None:
        return list(history.metrics)
    try:
        names = [metrics] if isinstance(metrics, str) else list(metrics)
    except TypeError:
        raise TypeError(f"metrics must be names, not {shown(metrics)}") from None
    if names and not history.metrics:
        raise ValueError(f"metrics must be None, not {shown(metrics)}: fit computed none")
    for name in names:
        check_name("entry of metrics", name, list(history.metrics))
    return names


def _show_title(ax: Axes, n_epochs: int, stopped: str) -> None:
    """How many epochs there were and, as wide as the axes, why the run ended."""
    n_letters = max(int(extent(ax)[0] / 5), 20)  # which are about 5 points wide
    why = textwrap.wrap(stopped[:1].upper() + stopped[1:], n_letters)
    ax.set_title("\n".join([f"Training: {n_epochs} {'epoch' if n_epochs == 1 else 'epochs'}", *why]), fontsize=10)


def _spans_decades(values: Array) -> bool:
    """Whether a logarithmic axis shows these better than a linear one."""
    return bool(np.isfinite(values).all() and values.min() > 0 and values.max() > 100 * values.min())


def _show_metrics(ax: Axes, history: History, names: list[str], marker: str | None) -> Axes:
    """Draws the metrics into new axes with a scale on the right."""
    right = ax.twinx()
    epochs = np.arange(1, len(history.loss) + 1)
    kind = "" if history.validation_loss is None else "validation "
    for k, name in enumerate(names):
        right.plot(
            epochs, history.metrics[name], color=COLOURS[2 + k % 4], linestyle=_DASHES[k % 3], linewidth=1.8,
            marker=marker, markersize=4, label=f"{kind}{name.replace('_', ' ')} (right)",
        )  # fmt: skip
    right.set_ylabel(", ".join(name.replace("_", " ") for name in names))
    return right


def _show_legend(layers: list[Axes]) -> None:
    """One legend for axes on top of each other, where it hides least. (matplotlib looks at the last axes alone.)"""
    lines = [line for ax in layers for line in zip(*ax.get_legend_handles_labels())]
    handles, labels = [handle for handle, _ in lines], [label for _, label in lines]
    width, height = extent(layers[0])
    box = (4.5 * max(map(len, labels)) + 40) / width, (14 * len(labels) + 12) / height  # letters are 4.5 points wide
    drawn = [(ax, line) for ax in layers for line in ax.get_lines() if line.get_transform() == ax.transData]
    curves = np.concatenate([_as_seen(ax, line) for ax, line in drawn])  # without the mark, which crosses all places

    def hidden(place: tuple[str, float, float]) -> int:
        left, bottom = place[1] * (1 - box[0]), place[2] * (1 - box[1])
        inside = (curves >= (left, bottom)) & (curves <= (left + box[0], bottom + box[1]))
        return int(np.count_nonzero(inside.all(axis=1)))

    place: Any = min(_PLACES, key=hidden)[0]
    layers[-1].legend(handles, labels, loc=place, fontsize=9)


def _as_seen(ax: Axes, line: Line2D) -> Array:
    """Points in equal distances along a curve (n_points, 2), in parts of the axes from 0 to 1."""
    ax.get_xlim(), ax.get_ylim()  # which are determined at the first question
    points: Array = (ax.transData - ax.transAxes).transform(line.get_xydata())
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) == 0:
        return np.empty((0, 2))
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    steps = np.linspace(0, along[-1], 1 + int(100 * along[-1]))
    return np.column_stack([np.interp(steps, along, points[:, k]) for k in range(2)])
