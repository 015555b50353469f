"""JSON from files of unknown origin: what the standard library accepts, with ambiguity and excess refused."""

from __future__ import annotations

import json
import math
import re
from itertools import accumulate
from typing import Any

from .conversion import shown

#: Deeper texts are refused before they are parsed, so that no parser's stack decides.
MAX_DEPTH = 32

#: Enough for all integers of 64 bits.
MAX_DIGITS = 20

_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')
_DEPTH = {"[": 1, "{": 1, "]": -1, "}": -1}


def parse(text: str) -> Any:
    """
    The value of a JSON text.

    Raises
    ------
    ValueError
        If the text is not valid JSON (NaN and Infinity are not), if an object has two members of one name, if a number
        does not fit into 64 bits, or if it is nested deeper than `MAX_DEPTH`.
    """
    brackets = (_DEPTH[character] for character in re.findall(r"[][{}]", _STRING.sub("", text)))
    if max(accumulate(brackets), default=0) > MAX_DEPTH:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
    return json.loads(
        text, object_pairs_hook=_as_object, parse_int=_as_int, parse_float=_as_float, parse_constant=_no_constant
    )


def _as_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it has two members of the name {shown(twice)}")
    return members


def _as_int(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"the integer {shown(digits)} has more than {MAX_DIGITS} characters")
    return int(digits)


def _as_float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"the number {shown(digits)} is too large")
    return number


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")
