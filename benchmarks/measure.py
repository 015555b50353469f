"""Times contenders, each in a process of its own, in rounds of random order."""

from __future__ import annotations

import json
import math
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from peers import CONTENDERS, NOT_OTHERS, OURS, Contender
from workloads import WORKLOADS

WORKER = Path(__file__).parent / "worker.py"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "PLAINNET_NUM_THREADS")

# Thread pools spin for a moment after their work. The next contender starts when they sleep.
PAUSE_SECONDS = 0.03

# Training steps in a call, at least, so that what a call does once (packing weights, checking data) weighs little.
MIN_STEPS = 8


class PeerError(RuntimeError):
    """A contender failed, or its result is wrong."""


class Process:
    """
    The process of one contender, which answers requests.

    Attributes
    ----------
    versions : dict
    missing : str
        Why the contender cannot run; empty if it can.
    """

    def __init__(self, contender: Contender, n_threads: int, cores: list[int]) -> None:
        self.contender = contender
        environment = dict(os.environ, **dict.fromkeys(THREAD_VARIABLES, str(n_threads)))
        if n_threads == 1:
            environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
        environment.update(contender.environment)
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), contender.module, str(n_threads), json.dumps(cores[:n_threads])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environment,
        )  # fmt: skip
        first = self.receive()
        self.versions: dict[str, str] = first.get("versions", {})
        self.missing: str = first.get("missing", "")

    def receive(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise PeerError(f"{self.contender.name} died with status {self.process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        if "failed" in answer:
            raise PeerError(f"{self.contender.name}: {answer['failed']}")
        return answer

    def ask(self, **request: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        print(json.dumps(request), file=self.process.stdin, flush=True)
        return self.receive()

    def close(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait()


@dataclass
class Racer:
    """
    One variant of one contender in one race.

    Attributes
    ----------
    error : float
        Relative error of its result.
    n_units, n_calls : int
        Units of work in a call, and calls in a sample.
    seconds : list of float
        Time of a step (forward pass, element) in each round.
    """

    contender: str
    variant: str
    error: float
    n_units: int
    n_calls: int
    seconds: list[float]

    @property
    def name(self) -> str:
        return f"{self.contender}, {self.variant}" if self.variant else self.contender

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


@dataclass
class Race:
    """All times for one workload, dtype and number of threads. Every round times every racer once."""

    workload: str
    dtype: str
    n_threads: int
    racers: list[Racer]

    def ours(self, contender: str = OURS) -> Racer | None:
        """plainnet's `fit` where the workload allows it, else its fastest variant."""
        return self.find(contender, "fit") or self.find(contender)

    def find(self, contender: str, variant: str | None = None) -> Racer | None:
        """The contender's fastest variant, or the one of this name."""
        mine = [racer for racer in self.racers if racer.contender == contender and variant in (None, racer.variant)]
        return min(mine, key=lambda racer: racer.median, default=None)

    def best_other(self) -> Racer | None:
        """The fastest racer that is not plainnet."""
        others = [racer for racer in self.racers if racer.contender not in NOT_OTHERS]
        return min(others, key=lambda racer: racer.median, default=None)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(value: dict[str, Any]) -> Race:
        return Race(**{**value, "racers": [Racer(**racer) for racer in value["racers"]]})


def ratio(slow: Racer, fast: Racer) -> float:
    """The median of the rounds' ratios of the two times."""
    return statistics.median(a / b for a, b in zip(slow.seconds, fast.seconds, strict=True))


def open_processes(wanted: list[str], n_threads: int, cores: list[int], say: Callable[[str], None]) -> list[Process]:
    """Starts the wanted contenders; those that cannot run are skipped by name."""
    processes = []
    for contender in CONTENDERS:
        if contender.name not in wanted or contender.n_threads == n_threads:
            continue
        reason = contender.lacks()
        if not reason:
            process = Process(contender, contender.n_threads or n_threads, cores)
            if not process.missing:
                processes.append(process)
                continue
            process.close()
            reason = process.missing
        say(f"skipped: {contender.name} ({reason})")
    return processes


@dataclass(frozen=True)
class Effort:
    """
    How thoroughly to measure.

    Attributes
    ----------
    n_rounds : int
    sample_seconds : float
        Duration of a sample: one racer in one round.
    clock : {"wall", "cpu"}
        Processor time leaves out what other programs took. With more than one thread it is meaningless.
    """

    n_rounds: int
    sample_seconds: float
    clock: str


def _sample(process: Process, racer: Racer, clock: str) -> float:
    answer = process.ask(do="time", variant=racer.variant, n_units=racer.n_units, n_calls=racer.n_calls, clock=clock)
    seconds: float = answer["seconds"]
    return seconds


def _fill_sample(process: Process, racer: Racer, fixed: bool, effort: Effort) -> None:
    """Increases units in a call, or calls if a call has a fixed number of units, until a sample is long enough."""
    while (seconds := _sample(process, racer, effort.clock)) < 0.7 * effort.sample_seconds:
        factor = min(effort.sample_seconds / max(seconds, 1e-9), 20.0)
        if fixed:
            racer.n_calls = math.ceil(racer.n_calls * factor)
        else:
            racer.n_units = math.ceil(racer.n_units * factor)


def run_race(processes: list[Process], workload: str, dtype: str, n_threads: int, effort: Effort) -> Race:
    """Checks every result, finds how much work fills a sample, then times all in rounds of random order."""
    units = WORKLOADS[workload]
    at_least = math.ceil(MIN_STEPS / units.steps_per_unit) if units.task == "train" else 1
    fixed_units, items = units.n_units, units.items_per_unit
    pairs: list[tuple[Process, Racer]] = []
    for process in processes:
        errors = process.ask(do="prepare", workload=workload, dtype=dtype)["errors"]
        for variant, error in errors.items():
            racer = Racer(process.contender.name, variant, error, fixed_units or at_least, 1, [])
            _fill_sample(process, racer, fixed_units is not None, effort)
            pairs.append((process, racer))
    order = random.Random(0)
    for _ in range(effort.n_rounds):
        for process, racer in order.sample(pairs, len(pairs)):
            time.sleep(PAUSE_SECONDS)
            racer.seconds.append(_sample(process, racer, effort.clock) / (racer.n_calls * racer.n_units * items))
    return Race(workload, dtype, n_threads, [racer for _, racer in pairs])
