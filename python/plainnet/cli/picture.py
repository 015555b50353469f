"""The picture that ``plainnet train`` draws: the run, and predictions against the truth."""

from __future__ import annotations

import argparse
import io
import os
import warnings
from pathlib import Path
from typing import Any

from ..arrays import Array
from ..csv_table import STANDARD
from ..history import History
from ..network import Network
from ..table import Column
from .options import check_output
from .output import CommandError

#: What matplotlib writes where a name has no ending.
_DEFAULT_FORMAT = "png"


def check_picture(command: argparse.ArgumentParser, path: str, others: list[str]) -> None:
    """
    Exits with an error of usage where no picture can be written to `path`, or where it is one of `others`.

    Raises
    ------
    CommandError
        Without matplotlib.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
    except ImportError:
        raise CommandError("a picture needs matplotlib; get it with: pip install 'plainnet[cli]'") from None
    if path == STANDARD:
        command.error("argument --plot: a picture goes to a file, and not to standard output")
    check_output(command, path, others, "--plot")
    if os.path.realpath(path) in map(os.path.realpath, others):
        command.error(f"argument --plot: {path} is where the model goes")
    formats = FigureCanvasAgg.get_supported_filetypes()
    if _format(path) not in formats:
        allowed = ", ".join(sorted(formats))
        command.error(f"argument --plot: {path}: unknown kind of picture; allowed endings are {allowed}")


def _format(path: str) -> str:
    return Path(path).suffix[1:].lower() or _DEFAULT_FORMAT


def draw(path: str, history: History, network: Network, target: Column, judged: tuple[Array, Array, bool]) -> bytes:
    """
    The picture in the format of its name: losses on the left; predictions for the rows judged by on the right.

    `judged` has their inputs and targets, and whether they are validation data.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from .. import plot

    figure: Any = Figure(figsize=(13, 5.5), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    names = target.categories and [name.replace("$", r"\$") for name in target.categories]  # no formulas
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of letters that the font lacks: they become boxes
        plot.history(history, left)
        plot.predictions(network, *judged[:2], right, names)
        which = "Rows set aside" if judged[2] else "Rows that the network was trained with"
        right.set_title(f"{which}\n{right.get_title()}", fontsize=10)
        figure.savefig(content, format=_format(path))
    return content.getvalue()
