"""
The process in which one contender runs.

It reads requests from standard input, one JSON object a line, and answers each with one on standard output:

``{"do": "prepare", "workload": name, "dtype": name}``
    Sets the workload up and checks the result of every variant.
``{"do": "time", "variant": name, "n_units": n, "n_calls": n, "clock": "wall" or "cpu"}``
    The seconds that n_calls calls of n_units units take, each from the start weights.

The first line that it prints holds the versions, or why the library cannot be used.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
import traceback
import warnings
from typing import Any

from peers import Variant
from workloads import (
    CHECK_UNITS,
    WORKLOADS,
    Outcome,
    Problem,
    Workload,
    disagreement,
    expected,
    make_problem,
    tolerance,
)

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


class Worker:
    """Answers requests for one peer module."""

    def __init__(self, module: str, n_threads: int) -> None:
        self.peer = importlib.import_module(f"peers.{module}")
        self.n_threads = n_threads
        self.variants: dict[str, Variant] = {}

    def hello(self) -> dict[str, Any]:
        return {"versions": self.peer.versions()}

    def prepare(self, workload: str, dtype: str) -> dict[str, Any]:
        self.variants = {}
        problem = make_problem(WORKLOADS[workload], dtype)
        variants = self.peer.prepare(problem, self.n_threads)
        if problem.workload.steps_from_python:
            variants = {name: variant for name, variant in variants.items() if not variant.whole_run}
        errors = self.check(problem, variants)
        self.variants = variants
        return {"errors": errors}

    def check(self, problem: Problem, variants: dict[str, Variant]) -> dict[str, float]:
        """The error of every variant's result, unshuffled; from then on they shuffle if the workload says so."""
        if not variants:
            return {}
        n_units = CHECK_UNITS.get(problem.workload.name, 2)
        right: dict[Workload, Outcome] = {}
        errors = {}
        for name, variant in variants.items():
            own = problem.otherwise(variant.changes)
            if own.workload not in right:
                right[own.workload] = expected(own, n_units)
            variant.reset()
            variant.run(n_units)
            error = disagreement(own, variant.result(), right[own.workload])
            if not error <= tolerance(own):
                where = f"{problem.workload.name}, {problem.dtype}"
                raise ArithmeticError(f"variant {name!r} is off by {error:.2g} in {where}")
            errors[name] = error
            variant.shuffle = problem.workload.shuffle
        return errors

    def time(self, variant: str, n_units: int, n_calls: int, clock: str) -> dict[str, float]:
        now = CLOCKS[clock]
        run, reset = self.variants[variant].run, self.variants[variant].reset
        reset()
        run(n_units if n_calls > 1 else 1)  # wakes caches, clocks and thread pools
        gc.collect()
        gc.disable()
        seconds = 0.0
        for _ in range(n_calls):
            reset()
            start = now()
            run(n_units)
            seconds += now() - start
        gc.enable()
        return {"seconds": seconds}


def main(module: str, n_threads: int, cores: list[int]) -> None:
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print goes to standard error

    def answer(value: dict[str, Any]) -> None:
        print(json.dumps(value), file=answers, flush=True)

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    try:
        worker = Worker(module, n_threads)
        answer(worker.hello())
    except (ImportError, OSError) as error:
        answer({"missing": f"{type(error).__name__}: {error}"})
        return
    for line in sys.stdin:
        request = json.loads(line)
        method = getattr(worker, request.pop("do"))
        try:
            answer(method(**request))
        except Exception:
            answer({"failed": traceback.format_exc()})


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3]))
