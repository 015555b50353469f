"""Networks in files: ``Network.save`` and ``pn.load``."""

from __future__ import annotations

import os
import threading
from typing import BinaryIO

from .atomic import write_atomically
from .conversion import as_switch
from .model_file import read, to_bytes
from .network import Network, _as_backend
from .table import Table
from .tensor_file import ModelFormatError


def save(network: Network, path: str | os.PathLike[str], training: bool, allow_nonfinite: bool) -> None:
    """See ``Network.save``."""
    name = os.fsdecode(path)
    if training and network._state.thread not in (0, threading.get_ident()):
        raise RuntimeError("another thread is training the network: its state of training cannot be saved meanwhile")
    state = Network.__getstate__(network)
    if isinstance(network.table, Table):
        network.table.check_network(network._n_in, network._n_out)
    data = to_bytes(state, as_switch("training", training), as_switch("allow_nonfinite", allow_nonfinite))
    write_atomically(name, data)


def load(path: str | os.PathLike[str], backend: str = "c", allow_nonfinite: bool = False) -> Network:
    """
    Reads a network from a file that :meth:`Network.save` has written.

    Nothing in a file is run. A network from a file that was saved without ``training=True`` has the optimizer
    ``SGD(0.1)``, no epochs behind it, and the same seed whenever it is loaded.

    Parameters
    ----------
    path : str or path-like
    backend : {"c", "numpy"}
    allow_nonfinite : bool
        Whether parameters may be infinite or NaN.

    Returns
    -------
    Network

    Raises
    ------
    ModelFormatError
        (a ValueError) If the file is damaged, or is no model file. It names the file and says what is wrong.
    OSError
        As from ``open(path, "rb")``.
    TypeError, ValueError
        Naming the argument and what is allowed.
    """
    name, backend = os.fsdecode(path), _as_backend(backend)
    allow_nonfinite = as_switch("allow_nonfinite", allow_nonfinite)
    with open(name, "rb") as file:
        try:
            return _read(file, os.fstat(file.fileno()).st_size, backend, allow_nonfinite)
        except ModelFormatError as error:
            raise ModelFormatError(f"{name}: {error}") from None


def _read(file: BinaryIO, size: int, backend: str, allow_nonfinite: bool) -> Network:
    state = read(file, size, allow_nonfinite)
    network = object.__new__(Network)
    try:
        network.__setstate__({**state, "backend": backend})
    except ValueError as error:
        raise ModelFormatError(str(error)) from None
    return network
