"""Types of options that commands share: what argparse calls with the text of an argument."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Sequence

from ..activations import ACTIVATIONS
from ..atomic import check_replaceable
from ..csv_table import STANDARD


class integer:
    """An argparse type: an integer within bounds."""

    def __init__(self, least: int, most: int | None = None) -> None:
        self.least, self.most = least, most

    def __call__(self, text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not an integer") from None
        if value < self.least or (self.most is not None and value > self.most):
            bounds = f"at least {self.least}" if self.most is None else f"within {self.least}...{self.most}"
            raise argparse.ArgumentTypeError(f"must be {bounds}, not {text}")
        return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def positive(text: str) -> float:
    """An argparse type: a finite number above 0."""
    value = _number(text)
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"must be finite and above 0, not {text}")
    return value


def fraction(text: str) -> float:
    """An argparse type: a part of a whole, which may be 0."""
    value = _number(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 0 and below 1, not {text}")
    return value


def widths(text: str) -> tuple[int, ...]:
    """An argparse type: the numbers of neurons of hidden layers, such as 64,64; or none."""
    if text == "none":
        return ()
    number = integer(1)
    try:
        return tuple(number(part) for part in text.split(","))
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}; give numbers of neurons, such as 64,64, or none") from None


def hidden_activations() -> list[str]:
    """The names of the activations that a hidden layer may have."""
    return [name for name in ACTIVATIONS if name != "softmax"]


def model_file(text: str) -> str:
    """An argparse type: the name of a model file to read."""
    if text == STANDARD:
        raise argparse.ArgumentTypeError("a model comes from a file, and not from standard input")
    return text


def check_output(command: argparse.ArgumentParser, path: str, inputs: Sequence[str], argument: str = "-o") -> None:
    """Exits with an error of usage where no file can be written to `path`, or where it is one of `inputs`."""
    if not path:
        command.error(f"argument {argument}: it is empty, and must be the name of a file")
    try:
        check_replaceable(path)
    except OSError as error:
        command.error(f"argument {argument}: {error.filename}: {error.strerror}")
    for other in inputs:
        if other != STANDARD and os.path.exists(other) and os.path.exists(path) and os.path.samefile(other, path):
            command.error(f"argument {argument}: {path} is the file that is read, and is never overwritten")
