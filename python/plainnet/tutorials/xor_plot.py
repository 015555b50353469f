"""
The picture that ``plainnet xor`` makes.

It needs matplotlib, which is optional. It does not use pyplot, which has global state.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from .xor import BACKEND_TITLES, Result

# Okabe and Ito's colours, which can be distinguished with every kind of colour vision.
_COLOURS = ("#0072B2", "#D55E00")
_SURFACE = "cividis"


def check_path(path: Path) -> None:
    """
    Checks that a picture can be written to `path`, as far as that can be known beforehand.

    Raises
    ------
    ValueError
        If its directory does not exist, it may not be written, or its ending is no format that matplotlib writes.
    """
    try:
        exists = path.exists()
        if path.is_dir() or not path.parent.is_dir():
            raise ValueError(f"{path}: {'is a directory' if path.is_dir() else 'no such directory'}")
    except OSError as error:  # such as a name that is too long, or a directory without permission
        raise ValueError(f"{path}: {error.strerror}") from None
    if not os.access(path if exists else path.parent, os.W_OK):
        raise ValueError(f"{path}: permission denied")
    formats = FigureCanvasAgg.get_supported_filetypes()
    if _format(path) not in formats:
        raise ValueError(f"{path}: unknown kind of picture; endings that work are {', '.join(sorted(formats))}")


def _format(path: Path) -> str:
    return path.suffix[1:].lower() or "png"


def write_picture(results: list[Result], path: Path) -> None:
    """Writes :func:`figure` to `path`, in the format of its ending (default PNG)."""
    figure(results).savefig(path, format=_format(path))


def figure(results: list[Result]) -> Figure:
    """
    Loss curves, the difference between the backends where there are two, and the decision surface of each system.

    Parameters
    ----------
    results : list of two Results
        What :func:`plainnet.tutorials.xor.train` returned for each system.

    Returns
    -------
    matplotlib.figure.Figure
        Its panels, without the colour bar, are labelled: "loss", "difference" and one for each result's network.
    """
    both = all(result.check is not None for result in results)
    picture = Figure(figsize=(10, 9), dpi=100, layout="constrained")
    FigureCanvasAgg(picture)
    seed, epochs = results[0].seed, results[0].epochs
    names = " and ".join(BACKEND_TITLES[backend] for backend in results[0].runs)
    picture.suptitle(f"Two networks on XOR: {epochs} epochs, seed {seed}, trained by {names}", fontsize=14)
    grid = picture.add_gridspec(2, 2)
    if both:
        _loss_curves(picture.add_subplot(grid[0, 0], label="loss"), results)
        _differences(picture.add_subplot(grid[0, 1], label="difference"), results)
    else:
        _loss_curves(picture.add_subplot(grid[0, :], label="loss"), results)

    surfaces = [picture.add_subplot(grid[1, k], label=result.system.name) for k, result in enumerate(results)]
    for axes, result in zip(surfaces, results, strict=True):
        contours = _decision_surface(axes, result)
    ticks = [0, 0.25, 0.5, 0.75, 1]
    bar = picture.colorbar(contours, ax=surfaces, label="prediction (white line: 0.5)", ticks=ticks, shrink=0.9)
    bar.ax.axhline(0.5, color="white", linewidth=2)
    return picture


def _loss_curves(axes: Axes, results: list[Result]) -> None:
    for result, colour in zip(results, _COLOURS, strict=False):
        for backend, run in result.runs.items():
            if run is result.first:
                axes.plot(run.loss, color=colour, linewidth=2, label=f"{result.system.name}: {BACKEND_TITLES[backend]}")
            else:  # markers at some epochs, on top of the line, so that both are visible
                chosen = np.unique(np.linspace(0, result.epochs - 1, 16).astype(int))
                axes.plot(
                    chosen, run.loss[chosen], "o", color=colour, markerfacecolor="white", markersize=6,
                    label=f"the same: {BACKEND_TITLES[backend]}",
                )  # fmt: skip
    losses = ", ".join(dict.fromkeys(result.system.loss for result in results))
    axes.set(title="Loss before each epoch", xlabel="epoch", ylabel=f"loss: {losses} (log scale)", yscale="log")
    axes.grid(alpha=0.3)
    _legend_below(axes)


def _differences(axes: Axes, results: list[Result]) -> None:
    for result, colour in zip(results, _COLOURS, strict=False):
        c, numpy = result.runs["c"].loss, result.runs["numpy"].loss
        difference = np.abs(c - numpy) / np.abs(numpy).max()
        difference[difference == 0] = np.nan  # their logarithm is not finite
        chosen = np.unique(np.linspace(0, result.epochs - 1, 400).astype(int))
        axes.plot(chosen, difference[chosen], ".", color=colour, markersize=4, label=result.system.name)
    checks = [result.check for result in results if result.check is not None]
    all_agree = all(check.agree for check in checks)
    check = checks[0]
    axes.axhline(check.tolerance, color="black", linestyle="--", label=f"tolerance {check.tolerance:g}: equal below it")
    axes.set(
        title="C and NumPy differ in the last digits alone" if all_agree else "C AND NUMPY DISAGREE",
        xlabel="epoch", ylabel="difference / largest loss (log scale)", yscale="log",
    )  # fmt: skip
    axes.grid(alpha=0.3)
    _legend_below(axes)


def _legend_below(axes: Axes) -> None:
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, fontsize=8.5, frameon=False)


def _decision_surface(axes: Axes, result: Result) -> QuadContourSet:
    """Predictions over the plane of the two inputs (a third, where there is one, stays at its constant value)."""
    x, y = np.array(result.system.x, float), np.array(result.system.y)[:, 0]
    ticks = np.linspace(-0.5, 1.5, 121)
    x1, x2 = np.meshgrid(ticks, ticks)
    constant = np.ones((x1.size, x.shape[1] - 2)) * x[0, 2:]
    plane = np.column_stack([x1.ravel(), x2.ravel(), constant])
    prediction = result.first.network.predict(plane).reshape(x1.shape)

    contours = axes.contourf(x1, x2, prediction, levels=np.linspace(0, 1, 21), cmap=_SURFACE)
    if prediction.min() < 0.5 < prediction.max():
        axes.contour(x1, x2, prediction, levels=[0.5], colors="white", linewidths=2)
    for truth, marker in ((0, "o"), (1, "s")):
        rows = x[y == truth]
        axes.plot(
            rows[:, 0], rows[:, 1], marker, color="black", markeredgecolor="white", markersize=13, clip_on=False,
            label=f"the truth is {truth}", linestyle="none",
        )  # fmt: skip
    for row, value in zip(x, result.first.predictions[:, 0], strict=True):
        axes.annotate(
            f"{value:.2f}", row[:2], (0, 13), textcoords="offset points", ha="center", color="black", fontsize=9,
            bbox={"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none", "alpha": 0.85},
        )  # fmt: skip
    system = result.system
    axes.set(title=f"{system.name} ({system.shape}): what it predicts", xlabel="first input", ylabel="second input")
    axes.set_aspect("equal")
    axes.xaxis.set_major_locator(FixedLocator([0, 1]))
    axes.yaxis.set_major_locator(FixedLocator([0, 1]))
    _legend_below(axes)
    return contours
