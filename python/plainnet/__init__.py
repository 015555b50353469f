"""
plainnet: small and medium dense neural networks, trained and run on a CPU.

Every equation is written twice: in NumPy (:mod:`plainnet.reference`), to be read, and in C, to be fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import startup

try:
    from . import native
except (ValueError, KeyboardInterrupt) as error:  # an unusable environment variable; Ctrl-C while NumPy is imported
    if not startup.is_command():
        raise
    startup.give_up(error)
from .backend import DivergedError
from .history import History
from .layers import Dense
from .losses import CrossEntropy, Huber, Quantile
from .native import num_threads, set_num_threads
from .network import Network
from .optimizers import SGD, Adagrad, Adam, AdamW, RMSprop, Rprop

if TYPE_CHECKING:
    from . import kernels, plot, reference, schedules
    from .callbacks import Checkpoint, EarlyStopping, ReduceOnPlateau
    from .checks import CrossCheck, GradientCheck, check_gradient, cross_check
    from .exchange.onnx_reader import from_onnx
    from .exchange.torch import from_torch
    from .files import load
    from .tensor_file import ModelFormatError

#: Public names by the module that has them, which is imported when one of them is first used.
_LAZY = {
    "callbacks": ("Checkpoint", "EarlyStopping", "ReduceOnPlateau"),
    "checks": ("CrossCheck", "GradientCheck", "check_gradient", "cross_check"),
    "exchange.onnx_reader": ("from_onnx",),
    "exchange.torch": ("from_torch",),
    "files": ("load",),
    "tensor_file": ("ModelFormatError",),
}
_LAZY_MODULES = ("callbacks", "kernels", "plot", "reference", "schedules")

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Checkpoint",
    "CrossCheck",
    "CrossEntropy",
    "Dense",
    "DivergedError",
    "EarlyStopping",
    "GradientCheck",
    "History",
    "Huber",
    "ModelFormatError",
    "Network",
    "Quantile",
    "RMSprop",
    "ReduceOnPlateau",
    "Rprop",
    "check_gradient",
    "cross_check",
    "from_onnx",
    "from_torch",
    "kernels",
    "load",
    "native",
    "num_threads",
    "plot",
    "reference",
    "schedules",
    "set_num_threads",
]


def __getattr__(name: str) -> Any:
    """Imports what ``import plainnet`` does not, when it is first used."""
    for module, names in _LAZY.items():
        if name in names:
            value = globals()[name] = getattr(importlib.import_module(f".{module}", __name__), name)
            return value
    if name in _LAZY_MODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
