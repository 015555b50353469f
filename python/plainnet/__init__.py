"""
plainnet: small and medium dense neural networks, trained and run on a CPU.

Every equation is written twice: in NumPy (:mod:`plainnet.reference`), to be read, and in C, to be fast.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import startup

try:
    from . import kernels, native, reference, schedules
except (ValueError, KeyboardInterrupt) as error:  # an unusable environment variable; Ctrl-C while NumPy is imported
    if not startup.is_command():
        raise
    startup.give_up(error)
from .backend import DivergedError
from .callbacks import Checkpoint, EarlyStopping, ReduceOnPlateau
from .checks import CrossCheck, GradientCheck, check_gradient, cross_check
from .history import History
from .layers import Dense
from .losses import CrossEntropy, Huber, Quantile
from .native import num_threads, set_num_threads
from .network import Network, load
from .optimizers import SGD, Adagrad, Adam, AdamW, RMSprop, Rprop
from .tensor_file import ModelFormatError

if TYPE_CHECKING:
    from . import plot

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
    """Imports what is optional when it is first used."""
    if name == "plot":
        return importlib.import_module(".plot", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
