"""
The libraries that are measured, one a file.

Each module has

``versions() -> dict[str, str]``
    The versions of what its speed depends on. Raises ImportError or OSError where the library is not installed.
``prepare(problem, n_threads) -> dict[str, Variant]``
    The library's variants of the workload, by name; empty if it cannot do it.

Each module imports its library, and is imported only in a process of its own, so that no two thread pools or BLAS
libraries ever share one.
"""

from __future__ import annotations

import platform
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workloads import Outcome


class Variant(ABC):
    """
    A program that does a workload with one library.

    Attributes
    ----------
    whole_run : bool
        Whether the library makes many training steps in one call from Python.
    changes : dict
        Attributes of the workload that are different here, and their values; the result is right for those.
    shuffle : bool
        Whether to draw a new order of the rows for each epoch. Set for the timing of workloads that shuffle.
    """

    whole_run = False
    changes: Mapping[str, Any] = {}
    shuffle = False

    def reset(self) -> None:  # noqa: B027 - most forward passes have nothing to reset
        """Go back to the start weights."""

    @abstractmethod
    def run(self, n_units: int) -> None:
        """Do n_units units of work. Nothing is pending at return."""

    @abstractmethod
    def result(self) -> Outcome:
        """The result of the work since `reset`, in plainnet's layout."""


@dataclass(frozen=True)
class Contender:
    """
    A peer module and the environment of its process.

    Attributes
    ----------
    name : str
        For tables and the command line.
    module : str
        The module's name in this package.
    environment : dict
        Variables besides those that all processes get.
    needs_flag : str
        CPU flag that the environment requires.
    n_threads : int or None
        Its own number of threads, for races that have more; None for that of the race.
    """

    name: str
    module: str
    environment: tuple[tuple[str, str], ...] = ()
    needs_flag: str = ""
    n_threads: int | None = None

    def lacks(self) -> str:
        """Why it cannot run on this CPU; empty if it can."""
        if self.needs_flag and self.needs_flag not in cpu_flags():
            return f"this CPU has no {self.needs_flag}"
        return ""


OURS = "plainnet"
OURS_AVX2 = "plainnet, AVX2 forced"
OURS_ONE_THREAD = "plainnet, 1 thread"
PEAK = "FMA peak"
NUMPY_TUTORIAL = "NumPy, tutorial"
NUMPY_WELL = "NumPy, written well"
PLAIN_SGD = "fit, plain SGD"  # a variant of plainnet

CONTENDERS = [
    Contender(OURS, "ours"),
    Contender(OURS_AVX2, "ours", (("PLAINNET_ISA", "avx2"),), "avx512f"),
    Contender(OURS_ONE_THREAD, "ours", n_threads=1),
    Contender(NUMPY_TUTORIAL, "numpy_tutorial"),
    Contender(NUMPY_WELL, "numpy_well"),
    Contender("NumPy, written well, SkylakeX", "numpy_well", (("OPENBLAS_CORETYPE", "SkylakeX"),), "avx512f"),
    Contender("scikit-learn", "scikit_learn"),
    Contender("PyTorch", "pytorch"),
    Contender("JAX", "jax_numpy"),
    Contender("JAX, Optax", "jax_optax"),
    Contender("ONNX Runtime", "onnx_runtime"),
    Contender("FANN", "fann"),
    Contender(PEAK, "fma_peak"),
]

NOT_OTHERS = (OURS, OURS_AVX2, OURS_ONE_THREAD, PEAK)


def cpu_flags() -> set[str]:
    """Feature flags of this machine's CPU, where Linux tells them."""
    try:
        with open("/proc/cpuinfo") as file:
            lines = [line for line in file if line.startswith(("flags", "Features"))]
    except OSError:
        return set()
    return set(lines[0].split(":")[1].split()) if lines else set()


def cpu_model() -> str:
    """Name of this machine's CPU."""
    try:
        with open("/proc/cpuinfo") as file:
            fields = dict(line.split(":", 1) for line in file if ":" in line)
    except OSError:
        return platform.processor()
    numbers = {key.strip(): value.strip() for key, value in fields.items()}
    return f"{numbers.get('model name', '?')} (family {numbers.get('cpu family')}, model {numbers.get('model')})"
