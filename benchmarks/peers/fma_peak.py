"""
The upper bound: as many floating-point operations as the workload's matrix products have, as fused multiply-adds of the
widest vectors in registers (peak.c).
"""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
import threading
from pathlib import Path

from peers import Variant
from workloads import Outcome, Problem, expected

SOURCE = Path(__file__).parent.parent / "peak.c"
WORKLOADS = ("wide", "digits", "tabular", "adam-fmnist")


def build() -> ctypes.CDLL:
    """Compiles peak.c for this CPU and loads it."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "peak.so"
        command = ["cc", "-O3", "-march=native", "-shared", "-fPIC", "-o", str(library), str(SOURCE)]
        subprocess.run(command, check=True)
        return ctypes.CDLL(str(library))


class Peak(Variant):
    """The operations of n_units units, divided among threads."""

    whole_run = True

    def __init__(self, problem: Problem, n_threads: int) -> None:
        self.problem, self.n_threads, self.n_units = problem, n_threads, 0
        self.function = getattr(build(), "peak_f32" if problem.dtype == "float32" else "peak_f64")
        self.function.argtypes, self.function.restype = [ctypes.c_double], ctypes.c_double

    def reset(self) -> None:
        self.n_units = 0

    def run(self, n_units: int) -> None:
        self.n_units += n_units
        flops = self.problem.workload.flops_per_step * self.problem.workload.steps_per_unit * n_units
        threads = [
            threading.Thread(target=self.function, args=(flops / self.n_threads,)) for _ in range(self.n_threads - 1)
        ]
        for thread in threads:
            thread.start()
        self.function(flops / self.n_threads)
        for thread in threads:
            thread.join()

    def result(self) -> Outcome:
        """The right answer, as it computes none."""
        right = expected(self.problem, self.n_units)
        return Outcome([array.astype(self.problem.dtype) for array in right.arrays], right.loss)


def versions() -> dict[str, str]:
    compiler = subprocess.run(["cc", "--version"], capture_output=True, text=True, check=True).stdout
    return {"C compiler": compiler.splitlines()[0]}


def prepare(problem: Problem, n_threads: int) -> dict[str, Variant]:
    return {"": Peak(problem, n_threads)} if problem.workload.name in WORKLOADS else {}
