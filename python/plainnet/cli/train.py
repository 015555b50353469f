"""``plainnet train``: from a CSV file to a network in a model file."""

from __future__ import annotations

import argparse
import functools
import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import Array
from ..atomic import write_atomically
from ..backend import DivergedError
from ..callbacks import EarlyStopping
from ..csv_table import STANDARD, CsvTable, TableError, pandas, read_csv
from ..encoding import MAX_CATEGORIES, MAX_INTEGER_CLASSES, encode_inputs, encode_target, input_columns, target_column
from ..history import History
from ..layers import Dense
from ..losses import described
from ..network import Network
from ..optimizers import OPTIMIZERS, is_usable
from ..table import Column, Table
from ..validation import split
from . import results
from .options import check_output, fraction, hidden_activations, integer, positive, widths
from .output import CommandError, say, say_facts, say_path
from .picture import check_picture, draw

_DESCRIPTION = """\
Trains a network with a table in a CSV file, and writes it to a model file.
`plainnet predict` uses that; so do pn.load in Python and other programs."""

_EPILOG = f"""\
The file is in UTF-8, its cells are separated by commas, and its first line has
the names of the columns. A column is of numbers if most of its cells are, and
a cell that is none is an error then; otherwise it is text, of which each
different one is a category, up to {MAX_CATEGORIES}. A missing value is an error.

The task is classification if the target is text, or whole numbers of which at
most {MAX_INTEGER_CLASSES} are different, each in two rows or more on average; otherwise it is
regression. Numbers are scaled to mean 0 and deviation 1 for training, and the
scaling goes into the weights: the network takes and returns numbers as they
are in the table.

exit status: 0; 1 if the data cannot be used, training diverges or the output
cannot be written; 2 for bad options; 130 after Ctrl-C, which writes no file."""

#: A mean may be so many times the deviation before rounding takes a thousandth of the latter.
_RESOLUTION = 1e-3

#: Deviations above it, or below its reciprocal, are refused: their squares, or weights, would be 0 or infinite.
_LIMITS = {"float64": 1e150, "float32": 1e30}


def add_to(commands: Any) -> None:
    """Adds the command to argparse's `commands`; ``options.run(options)`` runs it."""
    command = commands.add_parser(
        "train", help="train a network with a table in a CSV file",
        description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = command.add_argument
    add("data", metavar="DATA.csv", help="the table; - is standard input")
    add("--target", required=True, metavar="COLUMN", help="what is to be predicted from the other columns")
    add("-o", "--output", required=True, metavar="MODEL", help="the file to write, such as model.safetensors")
    add("--plot", metavar="FILE.png", help="draw losses, and predictions against the truth")
    add("--task", choices=["classification", "regression"], help="instead of what the target suggests")
    add("--text", action="append", default=[], metavar="COLUMN", help="is text even if it holds numbers (repeatable)")
    add("--ignore", action="append", default=[], metavar="COLUMN", help="is left out (repeatable)")
    add("--hidden", type=widths, default=(64, 64), metavar="N,N,...",
        help="neurons of the hidden layers, or none (default 64,64)")  # fmt: skip
    add("--activation", choices=hidden_activations(), default="relu", metavar="NAME",
        help=f"of the hidden layers: {', '.join(hidden_activations())} (default relu)")  # fmt: skip
    add("--epochs", type=integer(1, 10_000_000), default=200, metavar="N", help="at most (default 200)")
    add("--batch-size", type=integer(1), default=32, metavar="N", help="rows in a step (default 32)")
    add("--validation", type=fraction, default=0.1, metavar="PART",
        help="part of the rows to judge by, not to train with; 0 for none (default 0.1)")  # fmt: skip
    add("--patience", type=integer(0), default=20, metavar="N",
        help="stop after N epochs without a better validation loss; 0 for never (default 20)")  # fmt: skip
    names = [name.lower() for name in OPTIMIZERS]
    add("--optimizer", choices=names, default="adam", help="default adam")
    add("--learning-rate", type=positive, metavar="RATE", help="default: the optimizer's own, 0.001 for adam")
    add("--seed", type=integer(0, 2**64 - 1), default=0, metavar="N",
        help="of the weights, the rows set aside and the order of rows (default 0)")  # fmt: skip
    add("--dtype", choices=["float64", "float32"], default="float64", help="default float64")
    command.set_defaults(run=functools.partial(_run, command))


def _run(command: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    if options.output == STANDARD:
        command.error("argument -o: a model goes to a file, and not to standard output")
    check_output(command, options.output, [options.data])
    if options.plot is not None:
        check_picture(command, options.plot, [options.output, options.data])
    dtype = np.dtype(options.dtype)
    rate = options.learning_rate
    if rate is not None and not is_usable(rate, dtype):
        command.error(f"argument --learning-rate: {rate:g} is 0 or infinite in {dtype}")
    for name in ("text", "ignore"):
        if options.target in getattr(options, name):
            command.error(f"argument --{name}: {options.target!r} is the target")
    _check_packages()
    data = _prepare(options, read_csv(options.data), dtype)
    network, history = _train(options, data)
    _write(options.output, lambda: network.save(options.output))  # whatever becomes of what is said of it
    say_facts(results.stops(history, options.epochs))
    results.say_metrics(network, data.table.target, *data.judged())
    files = [("Model", options.output)]
    if options.plot is not None:
        picture = draw(options.plot, history, network, data.table.target, data.judged())
        _write(options.plot, lambda: write_atomically(options.plot, picture))
        files.append(("Picture", options.plot))
    say("")
    for name, path in files:
        say_path(name, os.path.abspath(path))
    return 0


def _write(path: str, write: Callable[[], None]) -> None:
    """Calls `write`; an error says that `path` cannot be written."""
    try:
        write()
    except OSError as error:
        raise CommandError(f"cannot write {path}: {error.strerror or error}") from None


def _check_packages() -> None:
    """Says that a package is missing before any work is done."""
    try:
        pandas()
    except ImportError as error:
        raise CommandError(str(error)) from None
    if sys.stderr is not None and sys.stderr.isatty() and importlib.util.find_spec("tqdm") is None:
        raise CommandError("the progress bar needs tqdm; get it with: pip install 'plainnet[cli]'")


# ---- The data --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Data:
    """
    What a network is trained with.

    Attributes
    ----------
    table : Table
    x : ndarray (n_rows, n_in)
    y : ndarray (n_rows,)
        In float64 and not scaled.
    train, aside : ndarray
        The numbers of the rows to train with, and of those to judge by, which may be none.
    mean, scale : ndarray (n_in,)
    is_constant : ndarray (n_in,)
        The inputs that are the same in all rows to train with.
    target_scaling : (float, float)
        The mean and the scale of the target; 0 and 1 for classes.
    """

    table: Table
    x: Array
    y: Array
    train: Array
    aside: Array
    mean: Array
    scale: Array
    is_constant: Array
    target_scaling: tuple[float, float]

    def judged(self) -> tuple[Array, Array, bool]:
        """Inputs and targets by which to judge the network, and whether they are validation data."""
        rows = self.aside if len(self.aside) > 0 else self.train
        return self.x[rows], self.y[rows], len(self.aside) > 0


def _prepare(options: argparse.Namespace, csv: CsvTable, dtype: np.dtype[Any]) -> _Data:
    """The data, of which a summary is written."""
    csv.column(options.target)
    columns = input_columns(csv, options.target, options.text, options.ignore)
    if not columns:
        raise TableError(f"{csv.name}: there is no column besides the target from which to predict")
    if csv.n_rows < 2:
        raise TableError(f"{csv.name}: it has a single row; training needs two at least")
    target, why = target_column(csv, options.target, options.task)
    x, y = encode_inputs(csv, columns, dtype), encode_target(csv, target, dtype)
    columns, x, constant = _without_constants(csv, columns, x)
    if len(np.unique(y)) < 2:
        raise TableError(f"{csv.name}, column {target.name!r}: it is the same in all rows: nothing can be learned")
    say_facts(results.summary(csv, columns, constant, target, why))
    train, aside = _divide(options, target, y)
    mean, scale, is_constant = _scaling(csv, columns, x[train], dtype)
    target_scaling = (0.0, 1.0) if target.categories is not None else _target_scaling(csv, target, y[train], dtype)
    return _Data(Table(tuple(columns), target), x, y, train, aside, mean, scale, is_constant, target_scaling)


def _without_constants(csv: CsvTable, columns: Sequence[Column], x: Array) -> tuple[list[Column], Array, list[str]]:
    """The columns that are not the same in all rows, the inputs of these, and the names of the others."""
    kept, inputs, constant, start = [], [], [], 0
    for column in columns:
        part = x[:, start : start + column.width]
        start += column.width
        if (part == part[0]).all():
            constant.append(column.name)
        else:
            kept.append(column)
            inputs.append(part)
    if not kept:
        raise TableError(f"{csv.name}: all columns but the target are the same in all rows: nothing can be learned")
    return kept, np.hstack(inputs), constant


def _divide(options: argparse.Namespace, target: Column, y: Array) -> tuple[Array, Array]:
    """The numbers of the rows to train with and of those to set aside."""
    if options.validation == 0:
        return np.arange(len(y)), np.arange(0)
    loss = described(_loss(target), np.dtype(np.float64))
    rows = y[:, np.newaxis] if target.categories is None else y
    try:
        return split(options.validation, rows, None, loss, options.seed)
    except ValueError as error:
        raise CommandError(f"{error}; --validation 0 trains with all rows") from None


def _loss(target: Column) -> str:
    return "mean_squared_error" if target.categories is None else "cross_entropy"


def _scaling(csv: CsvTable, columns: Sequence[Column], x: Array, dtype: np.dtype[Any]) -> tuple[Array, Array, Array]:
    """The mean and the scale of each input, 0 and 1 for those of text, and which inputs are constant."""
    is_constant = (x == x[0]).all(axis=0)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, scale = np.where(is_constant, x[0], x.mean(axis=0)), np.where(is_constant, 1.0, x.std(axis=0))
    start = 0
    for column in columns:
        if column.categories is not None:
            mean[start : start + column.width], scale[start : start + column.width] = 0, 1
        else:
            _check_resolution(f"{csv.name}, column {column.name!r}", mean[start], scale[start], dtype)
        start += column.width
    return mean, scale, is_constant


def _target_scaling(csv: CsvTable, target: Column, y: Array, dtype: np.dtype[Any]) -> tuple[float, float]:
    """The mean and the scale of the target's numbers in the rows to train with."""
    if (y == y[0]).all():
        return float(y[0]), 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        mean, scale = float(y.mean()), float(y.std())
    _check_resolution(f"{csv.name}, column {target.name!r}", mean, scale, dtype)
    return mean, scale


def _check_resolution(where: str, mean: float, scale: float, dtype: np.dtype[Any]) -> None:
    """Checks that a network of `dtype` can take up the mean and the deviation of the numbers that stand `where`."""
    limit = _LIMITS[dtype.name]
    if not (np.isfinite(mean) and scale <= limit):
        raise TableError(f"{where}: the numbers are too large for {dtype}; divide all by a number")
    if scale < 1 / limit:
        raise TableError(f"{where}: the numbers differ by too little for {dtype}; multiply all by a number")
    if abs(mean) * np.finfo(dtype).eps > _RESOLUTION * scale:
        remedy = "subtract a number from all" if dtype == np.float64 else "use --dtype float64"
        raise TableError(
            f"{where}: the numbers differ too little for {dtype}: their mean is {mean:.6g} and their deviation "
            f"{scale:.3g}; {remedy}"
        )


# ---- Training --------------------------------------------------------------------------------------------------------


def _train(options: argparse.Namespace, data: _Data) -> tuple[Network, History]:
    """The network, which takes and returns numbers as they are in the table."""
    target = data.table.target
    y_mean, y_scale = data.target_scaling
    y = data.y if target.categories is not None else (data.y - y_mean) / y_scale
    network = _network(options, data)
    x = (data.x - data.mean) / data.scale
    has_aside = len(data.aside) > 0
    try:
        history = network.fit(
            x[data.train], y[data.train], options.epochs, batch_size=_batch_size(options, data),
            validation=(x[data.aside], y[data.aside]) if has_aside else None,
            callbacks=[EarlyStopping(options.patience)] if has_aside and options.patience > 0 else [],
            progress=sys.stderr is not None,
        )  # fmt: skip
    except DivergedError as error:
        raise CommandError(
            f"training diverged in epoch {error.epoch + 1}, as numbers became infinite, and no file is written; try a "
            "smaller --learning-rate"
        ) from None
    try:
        if target.categories is None:
            network = network.fold(data.mean, data.scale, y_mean, y_scale)
        else:
            network = network.fold(data.mean, data.scale)
    except ValueError as error:
        raise CommandError(str(error)) from None
    network.table = data.table
    return network, history


def _network(options: argparse.Namespace, data: _Data) -> Network:
    target = data.table.target
    sizes = [data.x.shape[1], *options.hidden, target.width]
    activations = [options.activation] * len(options.hidden) + ["identity" if target.categories is None else "softmax"]
    kind = next(kind for name, kind in OPTIMIZERS.items() if name.lower() == options.optimizer)
    optimizer = kind() if options.learning_rate is None else kind(options.learning_rate)
    try:
        layers = [Dense(*layer) for layer in zip(sizes, sizes[1:], activations)]
        network = Network(layers, _loss(target), seed=options.seed, dtype=options.dtype, optimizer=optimizer)
    except ValueError as error:
        raise CommandError(str(error)) from None
    network.layers[0].weight[data.is_constant] = 0  # of what the rows tell nothing, the network knows nothing
    rows = _batch_size(options, data)
    say_facts(results.plan(network, options.optimizer, rows, len(data.train), len(data.aside)))
    return network


def _batch_size(options: argparse.Namespace, data: _Data) -> int:
    """Rows in a step: as many as there are, if more are wanted."""
    rows: int = options.batch_size
    return min(rows, len(data.train))
