"""What ``plainnet train`` says of the data, of the run, and of how good the network is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..arrays import Array
from ..conversion import shown
from ..csv_table import CsvTable
from ..history import History
from ..metrics import mean_absolute_error, r2
from ..network import Network
from ..table import Column
from .output import say, say_facts, say_rows

Facts = list[tuple[str, str]]

#: With more classes, the confusion matrix is too wide to be read.
_MAX_CLASSES_SHOWN = 20

#: Longer names of classes are cut in the confusion matrix.
_MAX_NAME = 24


def summary(csv: CsvTable, columns: Sequence[Column], constant: Sequence[str], target: Column, why: str) -> Facts:
    """What the data are, and what is to be learned."""
    facts = [("Data", f"{csv.name}: {csv.n_rows} rows")]
    numbers = [column.name for column in columns if column.categories is None]
    if numbers:
        facts.append(("Numbers", _listed(numbers)))
    texts = [f"{column.name} ({column.width} categories)" for column in columns if column.categories is not None]
    if texts:
        facts.append(("Text", _listed(texts)))
    if constant:
        facts.append(("Left out", f"{_listed(constant)}: the same in all rows"))
    task = "regression" if target.categories is None else f"classification, {target.width} classes"
    return [*facts, ("Task", f"{task}, {why}")]


def _listed(names: Sequence[str], most: int = 20) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} others" if len(names) > most else "")


def plan(network: Network, optimizer: str, batch_size: int, n_train: int, n_aside: int) -> Facts:
    """How it is to be learned."""
    aside = f", {n_aside} to judge by" if n_aside else ", none to judge by"
    rate = network.optimizer.learning_rate
    return [
        ("Network", shape(network)),
        ("Training", f"{n_train} rows to train with{aside}; {optimizer} with learning rate {rate:g}, {batch_size} rows "
                     "a step"),
    ]  # fmt: skip


def shape(network: Network) -> str:
    """The sizes, activations and parameters of a network in a line."""
    sizes = "-".join(map(str, [network.layers[0].n_in, *(layer.n_out for layer in network.layers)]))
    activations = ", ".join(dict.fromkeys(layer.activation for layer in network.layers))
    return f"{sizes}, {activations}; {network.parameters.size} parameters in {network.dtype}"


def stops(history: History, epochs: int) -> Facts:
    """How far the run has come, and why it ended."""
    return [("Epochs", history.stopped or f"all {epochs} epochs ran")]


def say_metrics(network: Network, target: Column, x: Array, y: Array, is_validation: bool) -> None:
    """How good the predictions for `x` are, in the unit of `y`."""
    outputs = network.predict(x)
    which = "rows set aside" if is_validation else "rows that it was trained with"
    if target.categories is None:
        error = outputs[:, 0] - y
        mean_error, deviation = mean_absolute_error(y[:, np.newaxis], outputs, None), np.sqrt(np.mean(error**2))
        say_facts([
            ("Judged by", f"{len(y)} {which}"),
            ("R2", f"{r2(y[:, np.newaxis], outputs, None):.4f}, the part of the variance that is explained"),
            ("Errors", f"mean absolute error {mean_error:.6g}, root mean squared error {deviation:.6g}"),
        ])  # fmt: skip
        return
    predicted = outputs.argmax(axis=1)
    n_right = int((predicted == y).sum())
    counts = np.bincount(y, minlength=target.width)
    commonest = int(counts.argmax())
    say_facts([
        ("Judged by", f"{len(y)} {which}"),
        ("Accuracy", f"{n_right / len(y):.4f}, {n_right} of {len(y)} are right; {counts[commonest] / len(y):.4f} would "
                     f"be if all were {shown(target.categories[commonest])}"),
    ])  # fmt: skip
    if target.width <= _MAX_CLASSES_SHOWN:
        _say_confusion(target.categories, y, predicted)


def _say_confusion(categories: Sequence[str], y: Array, predicted: Array) -> None:
    """How many rows of each class are predicted to be of which."""
    names = [name if len(name) <= _MAX_NAME else f"{name[: _MAX_NAME - 3]}..." for name in categories]
    counts = np.zeros((len(names), len(names)), int)
    np.add.at(counts, (y, predicted), 1)
    say("\nA row for each class, a column for each prediction:\n")
    say_rows(
        [["", *names], *([name, *map(str, row)] for name, row in zip(names, counts.tolist()))],
        [False, *([True] * len(names))],
    )
