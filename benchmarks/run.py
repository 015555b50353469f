"""
Measures plainnet side by side with everything else that trains a dense network on a CPU.

    python benchmarks/run.py                 everything: about an hour
    python benchmarks/run.py --quick         the same with few short rounds
    python benchmarks/run.py --workloads tabular wide --peers JAX PyTorch --threads 1 --dtypes float32

Every contender runs in a process of its own and is checked against the same right answer. A round times each once, in
random order. Ratios are medians of the rounds' ratios. The results go to benchmarks/results/; docs/explain/speed.md
shows them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import report
from measure import Effort, PeerError, Process, Race, open_processes, run_race
from peers import CONTENDERS, OURS, OURS_AVX2, OURS_ONE_THREAD, PEAK, cpu_model
from workloads import CURVE_WIDTHS, WORKLOADS

RESULTS = Path(__file__).parent / "results"
CURVE = [f"curve-{width}" for width in CURVE_WIDTHS]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = list(WORKLOADS)
    parser.add_argument(
        "--workloads", nargs="+", choices=[*names, "curve", "all"], default=["all"], metavar="NAME",
        help=f"of {', '.join(names)}; 'curve' is all of its widths",
    )  # fmt: skip
    parser.add_argument(
        "--peers", nargs="+", default=[contender.name for contender in CONTENDERS], metavar="NAME",
        help="of " + ", ".join(repr(contender.name) for contender in CONTENDERS) + "; plainnet always takes part",
    )  # fmt: skip
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--dtypes", nargs="+", choices=["float32", "float64"], default=["float32", "float64"])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--sample", type=float, default=0.06, help="seconds of work a round and contender")
    parser.add_argument("--cores", nargs="+", type=int, default=None, help="pin to these; default: the first ones")
    parser.add_argument(
        "--cpu-time", action="store_true", help="processor time, for a machine that others use as well; 1 thread only"
    )
    parser.add_argument("--quick", action="store_true", help="3 rounds of 0.02 s")
    parser.add_argument("--details", action="store_true", help="print every contender, not only the best")
    parser.add_argument("--output", type=Path, default=RESULTS / "results.json")
    arguments = parser.parse_args()
    unknown = set(arguments.peers) - {contender.name for contender in CONTENDERS}
    if unknown:
        parser.error(f"no such peers: {', '.join(sorted(unknown))}")
    if arguments.cpu_time and arguments.threads != [1]:
        parser.error("--cpu-time needs --threads 1")
    if arguments.quick:
        arguments.rounds, arguments.sample = 3, 0.02
    if arguments.workloads == ["all"]:
        arguments.workloads = names
    arguments.workloads = [
        name for chosen in arguments.workloads for name in (CURVE if chosen == "curve" else [chosen])
    ]  # fmt: skip
    arguments.peers = list(dict.fromkeys([OURS, OURS_ONE_THREAD, *arguments.peers]))
    return arguments


def available_cores() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def describe_machine(cores: list[int], cpu_time: bool) -> dict[str, Any]:
    compiler = subprocess.run(["cc", "--version"], capture_output=True, text=True, check=False).stdout
    return {
        "CPU": cpu_model(),
        "cores used": cores,
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "Python": platform.python_version(),
        "C compiler": (compiler.splitlines() or ["?"])[0],
        "clock": "processor time" if cpu_time else "wall clock",
        "date": time.strftime("%Y-%m-%d"),
    }


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def race_all(processes: list[Process], n_threads: int, arguments: argparse.Namespace) -> list[Race]:
    """Every workload and dtype for one number of threads."""
    effort = Effort(arguments.rounds, arguments.sample, "cpu" if arguments.cpu_time else "wall")
    races = []
    for name in arguments.workloads:
        for dtype in arguments.dtypes:
            start = time.perf_counter()
            race = run_race(processes, name, dtype, n_threads, effort)
            races.append(race)
            say(f"{WORKLOADS[name].title}, {dtype}, {n_threads} thread(s): {time.perf_counter() - start:.0f} s")
            if arguments.details:
                print(report.details(race), end="\n\n", flush=True)
    return races


def main() -> int:
    arguments = parse_arguments()
    cores = (arguments.cores or available_cores())[: max(arguments.threads)]
    machine = describe_machine(cores, arguments.cpu_time)
    versions: dict[str, str] = {}
    races: list[Race] = []
    skipped: list[str] = []

    def skip(text: str) -> None:
        say(text)
        if text not in skipped:
            skipped.append(text)

    for n_threads in arguments.threads:
        if n_threads > len(cores):
            skip(f"skipped: {n_threads} threads ({len(cores)} cores)")
            continue
        processes = open_processes(arguments.peers, n_threads, cores, skip)
        try:
            for process in processes:
                if process.contender.name not in (OURS_AVX2, OURS_ONE_THREAD, PEAK):
                    versions.update(process.versions)
            races += race_all(processes, n_threads, arguments)
        except PeerError as error:
            say(str(error))
            return 1
        finally:
            for process in processes:
                process.close()

    for key, value in {**machine, **versions}.items():
        print(f"{key}: {value}")
    for table in (report.summary(races), report.goals(races), report.thread_gain(races), report.optimizer_cost(races)):
        if table:
            print(f"\n{table}")
    for text in skipped:
        print(text)
    arguments.output.parent.mkdir(exist_ok=True)
    content = {
        "machine": machine, "versions": versions, "skipped": skipped, "races": [race.to_dict() for race in races]
    }  # fmt: skip
    arguments.output.write_text(json.dumps(content, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
