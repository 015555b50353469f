"""
A model file: a network's state as bytes, and back.

docs/reference/model_files.md specifies the format. The tensors are in the container of :mod:`plainnet.tensor_file`, all
else in its metadata, as the JSON text of a :mod:`plainnet.description`. No code is in a file, and none is run to read
one.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from typing import Any, BinaryIO

import numpy as np

from . import json_text
from .arrays import Array, allocate
from .conversion import position, shown
from .description import FORMAT_VERSION, describe, restore, run_tensors, tensor_shapes
from .layers import Dense
from .tensor_file import Header, ModelFormatError, read_header
from .unfinished import as_unfinished

#: The name in the metadata of safetensors.
KEY = "plainnet"

#: The dtypes in a header, by the name of the network's.
_DTYPES = {"float32": "F32", "float64": "F64"}

#: The checksum as it stands in a header: within a string of JSON, where quotes have a backslash.
_CHECKSUM = re.compile(rb'\\"checksum\\":\\"([0-9a-f]{8})\\"')
_NO_CHECKSUM = "00000000"

# ---- Writing ---------------------------------------------------------------------------------------------------------


def to_bytes(state: dict[str, Any], training: bool, allow_nonfinite: bool) -> bytearray:
    """
    The file of a network with this `state`, from ``Network.__getstate__``.

    Raises
    ------
    ValueError
        If a parameter is not finite and `allow_nonfinite` is False; or if `training` is True, and the learning rate is
        a function of the user's own, or a callback keeps something that is neither a number nor like the parameters.
    """
    from safetensors.numpy import save  # which many programs that use this package never need

    layers = [Dense(*layer[:4]) for layer in state["layers"]]
    if training:
        as_unfinished(state["run"], len(state["parameters"]), state["parameters"].dtype)
    optimizer_state = state["optimizer_state"] if training else None
    kept = run_tensors(state["run"]) if training else []
    slots = [] if optimizer_state is None else list(optimizer_state)
    arrays = [state["parameters"], *slots, *(of_callback[key] for of_callback, key, _ in kept)]
    shapes = tensor_shapes(layers, len(slots), state["run"] if training else None)
    tensors = _divided(np.concatenate(arrays), shapes)
    if not allow_nonfinite:
        _check_finite(tensors, "train it anew, or save it with allow_nonfinite=True", ValueError)
    description = {**describe(state, training), "checksum": _NO_CHECKSUM}
    text = json.dumps(description, allow_nan=False, separators=(",", ":"))
    data = bytearray(save(tensors, {KEY: text}))
    digits = _CHECKSUM.search(data)
    assert digits is not None
    data[digits.start(1) : digits.end(1)] = b"%08x" % zlib.crc32(data)
    return data


def _divided(flat: Array, shapes: dict[str, tuple[int, ...]]) -> dict[str, Array]:
    """Views of `flat`, one after the other."""
    views, start = {}, 0
    for name, shape in shapes.items():
        end = start + int(np.prod(shape))
        views[name] = flat[start:end].reshape(shape)
        start = end
    return views


def _check_finite(tensors: dict[str, Array], remedy: str, error: type[ValueError]) -> None:
    for name, tensor in tensors.items():
        finite = np.isfinite(tensor)
        if not finite.all():
            index = tuple(np.argwhere(~finite)[0].tolist())
            raise error(f"{name} holds {tensor[index]} ({position(index)}): {remedy}")


# ---- Reading ---------------------------------------------------------------------------------------------------------


def read(file: BinaryIO, size: int, allow_nonfinite: bool) -> dict[str, Any]:
    """
    The state, for ``Network.__setstate__``, that `file` of `size` bytes holds; its entry "backend" is missing.

    Raises
    ------
    ModelFormatError
        If the file is damaged, or is not as docs/reference/model_files.md says; its message does not name the file.
        What ``Network.__setstate__`` checks may still be wrong.
    """
    header = read_header(file, size)
    description = _read_description(header)
    data = allocate("the tensors of the file", header.n_bytes, np.uint8, "a machine with more can read it")
    if file.readinto(data) != header.n_bytes:  # type: ignore[attr-defined]
        raise ModelFormatError("it has become shorter while it was read")
    if "checksum" in description:
        _check_sum(header.raw, data, description["checksum"])
    state = restore(description)
    n_slots = state["optimizer"].n_slots if "training" in description else 0
    shapes = tensor_shapes(state["layers"], n_slots, state["run"])
    _check_tensors(header, shapes, _DTYPES[state["dtype"]])
    dtype = np.dtype(state["dtype"])
    flat = allocate(
        "the tensors of the file", header.n_bytes // dtype.itemsize, dtype, "a machine with more can read it"
    )
    for name, view in (tensors := _divided(flat, shapes)).items():
        tensor = header.tensors[name]
        view[...] = data[tensor.begin : tensor.end].view(dtype.newbyteorder("<")).reshape(tensor.shape)
    kept = {name: tensor for name, tensor in tensors.items() if name.startswith("optimizer.")}
    _check_finite(kept, "what an optimizer keeps is finite", ModelFormatError)
    if not allow_nonfinite:
        _check_finite(tensors, "allow_nonfinite=True loads it all the same", ModelFormatError)
    of_run = run_tensors(state["run"])
    rows = flat.reshape(1 + n_slots + len(of_run), -1)
    for (of_callback, key, _), row in zip(of_run, rows[1 + n_slots :], strict=True):
        of_callback[key] = row
    slots = rows[1 : 1 + n_slots]
    layers = [
        (layer.n_in, layer.n_out, layer.activation, layer.has_bias, dict(layer.options.chosen()))
        for layer in state["layers"]
    ]
    return {**state, "layers": layers, "parameters": rows[0], "optimizer_state": slots if n_slots > 0 else None}


def description_of(path: str) -> dict[str, Any]:
    """
    The description in the file `path`, which may still be wrong in all but its version.

    Raises
    ------
    ModelFormatError
        If there is none; its message does not name the file.
    OSError
        As from ``open(path, "rb")``.
    """
    with open(path, "rb") as file:
        return _read_description(read_header(file, os.fstat(file.fileno()).st_size))


def _read_description(header: Header) -> dict[str, Any]:
    """The description, of which no more is checked than that it is one of this version."""
    if KEY not in header.metadata:
        raise ModelFormatError(f"its metadata has no entry {KEY!r}: it holds tensors, but not a network of plainnet")
    try:
        description = json_text.parse(header.metadata[KEY])
    except ValueError as error:
        raise ModelFormatError(f"the description of the network is not valid JSON: {error}") from None
    version = description.get("format_version") if isinstance(description, dict) else None
    if type(version) is not int or version < 1:
        raise ModelFormatError("the description of the network has no format_version, an integer from 1 on")
    if version > FORMAT_VERSION:
        raise ModelFormatError(
            f"it has format_version {version}, and this version of plainnet reads {FORMAT_VERSION} and earlier ones: "
            "a newer one has written it"
        )
    assert isinstance(description, dict)
    return description


def _check_sum(raw: bytes, data: Array, digits: Any) -> None:
    """Checks the CRC-32 of the whole file, in which the digits of the checksum itself count as zeros."""
    found = _CHECKSUM.findall(raw)
    if not isinstance(digits, str) or found != [digits.encode("ascii", "replace")]:
        raise ModelFormatError(
            f"the checksum {shown(digits)} does not stand in the header once, as eight hexadecimal digits; software "
            "that does not compute it must leave it out"
        )
    start = _CHECKSUM.search(raw).start(1)  # type: ignore[union-attr]
    without = raw[:start] + _NO_CHECKSUM.encode() + raw[start + len(_NO_CHECKSUM) :]
    number = zlib.crc32(data.data, zlib.crc32(without))
    if number != int(digits, 16):
        raise ModelFormatError(
            f"the checksum is {digits}, but that of what the file holds is {number:08x}: the file is damaged, or other "
            "software has changed it, and has not left out the checksum"
        )


def _check_tensors(header: Header, shapes: dict[str, tuple[int, ...]], dtype: str) -> None:
    """Checks that the file has the tensors of `shapes`, all of `dtype`, and no others."""
    missing = [name for name in shapes if name not in header.tensors]
    unknown = [name for name in header.tensors if name not in shapes]
    if missing or unknown:
        raise ModelFormatError(
            f"its tensors are not those of the network: missing are {shown(missing)}, unknown are {shown(unknown)}"
        )
    for name, shape in shapes.items():
        tensor = header.tensors[name]
        if tensor.dtype != dtype or tensor.shape != shape:
            raise ModelFormatError(
                f"tensor {name} has dtype {tensor.dtype} and shape {tensor.shape}, expected {dtype} and {shape}"
            )
