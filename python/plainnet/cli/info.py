"""``plainnet info``: what is in a model file."""

from __future__ import annotations

import argparse
import os
from typing import Any

import numpy as np

from ..files import load
from ..model_file import description_of
from ..network import Network
from ..table import Column, Table
from .options import model_file
from .output import CommandError, say, say_facts, say_rows
from .results import shape

_DESCRIPTION = """\
Shows what is in a model file: layers, loss, the columns of the table that the
network was trained with, and the state of training."""

_EPILOG = "exit status: 0; 1 if the file cannot be read; 2 for bad options."

_MOST_CATEGORIES = 12


def add_to(commands: Any) -> None:
    """Adds the command to argparse's `commands`; ``options.run(options)`` runs it."""
    command = commands.add_parser(
        "info", help="show what is in a model file",
        description=_DESCRIPTION, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    command.add_argument("model", type=model_file, metavar="MODEL", help="a file from plainnet train or net.save")
    command.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    try:
        network = load(options.model, allow_nonfinite=True)
        description = description_of(options.model)
        size = os.stat(options.model).st_size
    except OSError as error:
        raise CommandError(f"cannot read {options.model}: {error.strerror or error}") from None
    facts = [
        ("File", f"{options.model}, {size} bytes, format version {description['format_version']}"),
        ("Network", shape(network)),
        ("Loss", str(network.loss)),
        ("Training", _training(network, "training" in description)),
    ]
    n_wrong = int(np.count_nonzero(~np.isfinite(network.parameters)))
    if n_wrong:
        facts.append(("Damage", f"{n_wrong} parameters are not finite"))
    say_facts(facts)
    say("")
    _say_layers(network)
    if network.table is not None:
        say("")
        _say_table(network.table)
    return 0


def _training(network: Network, is_there: bool) -> str:
    """What the file tells of training."""
    if not is_there:
        return "no state of training: the file is for prediction"
    begun = network.__getstate__()["begun"]
    within = "" if begun is None else ", and one has been begun"
    steps = network.__getstate__()["optimizer_steps"]
    return f"{network.optimizer!r}; {network.epochs_trained} epochs and {steps} steps are done{within}"


def _say_layers(network: Network) -> None:
    rows = [["Layer", "Inputs", "Outputs", "Activation", "Parameters", "Options"]]
    for k, layer in enumerate(network.layers):
        options = [f"{name}={value:g}" for name, value in layer.options.chosen()]
        if not layer.has_bias:
            options.insert(0, "no bias")
        rows.append(
            [str(k), str(layer.n_in), str(layer.n_out), layer.activation, str(layer.n_parameters), ", ".join(options)]
        )
    say_rows(rows, [True, True, True, False, True, False])


def _say_table(table: Table) -> None:
    rows = [["Column", "Inputs", "Holds"]]
    rows += [[column.name, str(column.width), _held(column)] for column in table.columns]
    rows.append([f"{table.target.name} (target)", "", _held(table.target)])
    say_rows(rows, [False, True, False])


def _held(column: Column) -> str:
    if column.categories is None:
        return "numbers"
    shown = ", ".join(column.categories[:_MOST_CATEGORIES])
    return shown + (f" and {column.width - _MOST_CATEGORIES} others" if column.width > _MOST_CATEGORIES else "")
