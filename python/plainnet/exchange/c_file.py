"""``Network.to_c``: checks what it is given, and writes the file."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arrays import check_name
from ..atomic import check_replaceable, write_atomically
from ..conversion import as_switch, position, shown
from ..network import Network
from .c_int8 import Int8Loss, as_int8
from .c_self_test import as_self_test
from .c_source import c_source, constants_bytes, stack_bytes

#: How the weights may stand in the file.
WEIGHTS = "exact", "int8"

#: Neither two underscores in a row nor one at an end: C and C++ reserve such names for themselves.
_IDENTIFIER = re.compile(r"[A-Za-z](_?[A-Za-z0-9])*", re.ASCII)

#: Of C up to C23 and of C++ up to C++23, but for those that _IDENTIFIER does not allow.
_KEYWORDS = frozenset({
    "alignas", "alignof", "and", "and_eq", "asm", "atomic_cancel", "atomic_commit", "atomic_noexcept", "auto",
    "bitand", "bitor", "bool", "break", "case", "catch", "char", "char8_t", "char16_t", "char32_t", "class", "compl",
    "concept", "const", "consteval", "constexpr", "constinit", "const_cast", "continue", "co_await", "co_return",
    "co_yield", "decltype", "default", "delete", "do", "double", "dynamic_cast", "else", "enum", "explicit", "export",
    "extern", "false", "float", "for", "friend", "goto", "if", "inline", "int", "long", "mutable", "namespace", "new",
    "noexcept", "not", "not_eq", "nullptr", "operator", "or", "or_eq", "private", "protected", "public", "reflexpr",
    "register", "reinterpret_cast", "requires", "restrict", "return", "short", "signed", "sizeof", "static",
    "static_assert", "static_cast", "struct", "switch", "synchronized", "template", "this", "thread_local", "throw",
    "true", "try", "typedef", "typeid", "typename", "typeof", "typeof_unqual", "union", "unsigned", "using",
    "virtual", "void", "volatile", "wchar_t", "while", "xor", "xor_eq",
})  # fmt: skip


def as_c_name(value: Any) -> str:
    """
    `value` as the beginning of names in C.

    Raises
    ------
    TypeError, ValueError
        If it is no string, or no identifier that C and C++ leave to programs.
    """
    if not isinstance(value, str):
        raise TypeError(f"name must be a string, not {shown(value)}")
    if value in _KEYWORDS:
        raise ValueError(f"name must not be {value!r}, which is a keyword of C or C++")
    if not _IDENTIFIER.fullmatch(value):
        raise ValueError(
            f"name must be an identifier of C, not {shown(value)}: an ASCII letter, then letters, digits and single "
            "underscores, none of which is at the end"
        )
    return value


@dataclass(frozen=True)
class CExport:
    """
    What ``Network.to_c`` has written.

    Attributes
    ----------
    constants_bytes, stack_bytes : int
        What the file's constants take, and the local arrays of its function.
    loss : Int8Loss or None
        With int8 weights, what rounding them has changed in the predictions for the calibration data.
    network : Network
        A network that predicts what the file does, but for rounding errors: with int8 weights, one with weights that
        are rounded. ``network.evaluate(x, y)`` tells its loss.
    """

    constants_bytes: int
    stack_bytes: int
    loss: Int8Loss | None
    network: Network


def to_c(
    network: Network,
    path: str | os.PathLike[str],
    name: str,
    batch: bool,
    self_test: npt.ArrayLike | None,
    weights: str,
    calibration: npt.ArrayLike | None,
) -> CExport:
    """See ``Network.to_c``."""
    file, name, batch = os.fsdecode(path), as_c_name(name), as_switch("batch", batch)
    check_name("weights", weights, WEIGHTS)
    if weights == "int8" and calibration is None:
        raise ValueError("weights='int8' needs calibration, rows (n_samples, n_in) such as the network will get")
    if weights != "int8" and calibration is not None:
        raise ValueError(f"calibration is for weights='int8', and weights is {weights!r}")
    check_replaceable(file)
    network = network.copy()  # which another thread does not train meanwhile
    _check_finite(network)
    int8 = None if calibration is None else as_int8(calibration, network)
    test = None if self_test is None else as_self_test(self_test, network, int8)
    write_atomically(file, c_source(network, name, batch, test, int8).encode("ascii"))
    loss, written = (None, network) if int8 is None else (int8.loss, int8.network)
    return CExport(constants_bytes(network, int8), stack_bytes(network), loss, written)


def _check_finite(network: Network) -> None:
    for k, layer in enumerate(network.layers):
        for name, array in (("weight", layer.weight), ("bias", layer.bias)):
            wrong = ~np.isfinite(() if array is None else array)
            if array is not None and wrong.any():
                index = tuple(np.argwhere(wrong)[0].tolist())
                raise ValueError(
                    f"layers[{k}].{name} holds {array[index]} ({position(index)}); in C all parameters must be finite"
                )
