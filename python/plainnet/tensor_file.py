"""
The container of a model file, safetensors: how one is read, with every size checked before memory is allocated for it.

A file is the length of its header (8 bytes, little-endian), the header, which is JSON, and the tensors without a gap.
The package safetensors writes it; see :mod:`plainnet.model_file`. It reads such files as well, but takes the last of
two members of one name, and maps the file, so that another program that shortens it ends the process.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, BinaryIO

from . import json_text
from .conversion import shown

#: The largest header that safetensors allows.
MAX_HEADER = 100_000_000

#: Bytes of an element, for the dtypes that a network can have.
ITEM_SIZE = {"F32": 4, "F64": 8}


class ModelFormatError(ValueError):
    """A file is not one that :func:`plainnet.load` can read; the message names the file and says what is wrong."""


@dataclass(frozen=True)
class Tensor:
    """
    What a header says of a tensor.

    Attributes
    ----------
    dtype : {"F32", "F64"}
    shape : tuple of int
    begin, end : int
        Its bytes, counted from the end of the header.
    """

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class Header:
    """
    A header, whose sizes agree with each other and with the file's.

    Attributes
    ----------
    raw : bytes
        Its length and its text, as they stand in the file.
    metadata : dict of str
    tensors : dict of Tensor
        By name; together their bytes are all that follows the header, each once.
    n_bytes : int
        How many these are.
    """

    raw: bytes
    metadata: dict[str, str]
    tensors: dict[str, Tensor]
    n_bytes: int


def read_header(file: BinaryIO, size: int) -> Header:
    """
    Reads the header from the beginning of `file`, which has `size` bytes.

    Raises
    ------
    ModelFormatError
        If it is not a header of safetensors, if the tensors' sizes do not add up to the rest of the file, or if one of
        them has another dtype than `ITEM_SIZE` lists.
    """
    if size < 8:
        raise ModelFormatError(f"it has {size} bytes, fewer than the length of a header takes")
    raw = file.read(8)
    length = int.from_bytes(raw, "little")
    if length > min(size - 8, MAX_HEADER):
        raise ModelFormatError(
            f"its header would have {length} bytes: the file has {size}, and no header more than {MAX_HEADER}; it is "
            "cut off, or is no safetensors file"
        )
    raw += file.read(length)
    if len(raw) != 8 + length:
        raise ModelFormatError(f"it ends after {len(raw)} bytes, within the header")
    try:
        text = raw[8:].decode()
        if not text.startswith("{"):
            raise ValueError("it does not begin with {")
        header = json_text.parse(text)
    except ValueError as error:
        raise ModelFormatError(f"its header is not valid JSON: {error}") from None
    metadata = _as_metadata(header.pop("__metadata__", {}))
    tensors = {name: _as_tensor(name, value) for name, value in header.items()}
    _check_coverage(tensors, size - len(raw))
    return Header(raw, metadata, tensors, size - len(raw))


def _as_metadata(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise ModelFormatError("its __metadata__ is not an object whose members are strings")
    return value


def _as_tensor(name: str, value: Any) -> Tensor:
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise ModelFormatError(f"tensor {shown(name)} is not an object with dtype, shape and data_offsets")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_SIZE:
        raise ModelFormatError(f"tensor {shown(name)} has dtype {shown(dtype)}; allowed are {', '.join(ITEM_SIZE)}")
    if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
        raise ModelFormatError(f"tensor {shown(name)}: shape and data_offsets must be lists of integers from 0 on")
    begin, end = offsets
    if end - begin != math.prod(shape) * ITEM_SIZE[dtype]:
        raise ModelFormatError(
            f"tensor {shown(name)}, {dtype} of shape {shown(shape)}, does not take bytes {begin} to {end}"
        )
    return Tensor(dtype, tuple(shape), begin, end)


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and len(value) < 64 and all(type(size) is int and size >= 0 for size in value)


def _check_coverage(tensors: dict[str, Tensor], n_bytes: int) -> None:
    """Checks that `tensors` take the `n_bytes` after the header, each once."""
    end, last = 0, "the header"
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)):
        if tensor.begin != end:
            raise ModelFormatError(f"tensor {shown(name)} begins at byte {tensor.begin}, but {last} ends at {end}")
        end, last = tensor.end, f"tensor {shown(name)}"
    if end != n_bytes:
        raise ModelFormatError(f"its tensors take {end} bytes, but {n_bytes} follow the header")
