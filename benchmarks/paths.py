"""
What each special path of csrc/ gains: how much longer a workload takes without it.

    python benchmarks/paths.py                             every path, about 10 minutes; --help for the choices
    python benchmarks/paths.py --paths forward_row --workloads row-tabular tabular

A path is switched off by one substitution in a copy of csrc/, which must match exactly once. The libraries with and
without it are loaded into this process, must compute the same bits, and take turns. A gain is the median over rounds of
the time without the path over the time with it. On one thread, times are the processor's, so that other programs count
little. Needs a C compiler, NumPy and cffi.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cffi import FFI

from workloads import WORKLOADS, Array, Workload, make_problem

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from build import CSRC, declarations  # noqa: E402

FLAGS = ["-std=c11", "-O3", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden", "-DPN_EXPORT", "-fPIC"]
DTYPES = {"float32": ("f32", "float"), "float64": ("f64", "double")}
ACTIVATIONS = {"identity": 0, "sigmoid": 1, "tanh": 2}
LOSSES = {"log_loss": 0, "mean_squared_error": 2}
MIN_STEPS = 4  # a run of fewer does not keep weights packed


@dataclass(frozen=True)
class SpecialPath:
    """
    A special path.

    Attributes
    ----------
    purpose : str
        What it is for.
    file : str
        In csrc/.
    old, new : str
        The substitution that switches it off.
    workloads : tuple of str
        Those that show its gain, or where it is small.
    """

    purpose: str
    file: str
    old: str
    new: str
    workloads: tuple[str, ...]


# Shapes beyond those of workloads.py.
EXTRA = {
    workload.name: workload
    for workload in (
        Workload("rows-narrow", "predict 10 000 rows, 10-20-20-3", "forward", (10, 20, 20, 3), n_rows=10_000),
        Workload("single-output", "300-100-1, batch 1", "train", (300, 100, 1), n_rows=64, batch_size=1),
    )
}

PATHS = {
    "tiny_train": SpecialPath(
        "all rows in one batch, a network that fits into a few cache lines",
        "fused/tiny_train.inc.c", "training->batch_size == 0 || training->batch_size >= m", "0",
        ("xor", "xor-squares"),
    ),
    "narrow_forward": SpecialPath(
        "predicting many rows, narrow layers",
        "fused/narrow_forward.inc.c", "if (m < PN_NR ||", "if (1 ||",
        ("rows-narrow",),
    ),
    "forward_scalar": SpecialPath(
        "a forward product of at most 4 columns and few terms",
        "dense/sizes.inc.c", "return n <= PN_SCALAR_N &&", "return 0 &&",
        ("row-tabular",),
    ),
    "forward_row": SpecialPath(
        "a single row of whole vectors, whose path needs no selection",
        "dense/forward.inc.c", "return m == 1 &&", "return 0 &&",
        ("row-tabular", "row-digits"),
    ),
    "few columns": SpecialPath(
        "a C of few columns, computed transposed",
        "dense/sizes.inc.c", "return columns <= PN_MR &&", "return 0 &&",
        ("tabular", "curve-16", "rows-tabular"),
    ),
    "transposed backward_x": SpecialPath(
        "a batch that is transposed in less time than the weights",
        "dense/backward.inc.c", "return lanes <= PN_TRANSPOSED_M &&", "return 0 &&",
        ("curve-256", "curve-512"),
    ),
    "kept packed": SpecialPath(
        "weights that stay packed during a call",
        "dense/packed_weights.inc.c", "if (m < PN_KEEP_PACKED_M ||", "if (1 ||",
        ("digits", "curve-512", "curve-1024", "wide", "rows-digits"),
    ),
    "wide micro-tiles": SpecialPath(
        "micro-tiles of few rows, 4 or 8 vectors wide",
        "gemm/tiles.inc.c", "rows <= PN_MR_8_VECTORS ? 3 : rows <= PN_MR_4_VECTORS ? 2 : 1", "1",
        ("row-tabular", "row-digits"),
    ),
    "8-vector micro-tiles": SpecialPath(
        "those of 8 vectors alone",
        "gemm/tiles.inc.c", "rows <= PN_MR_8_VECTORS ? 3 :", "",
        ("row-tabular", "row-digits"),
    ),
    "multiply_rank1": SpecialPath(
        "k = 1: a single output, or a single row",
        "gemm/select.inc.c", "if (s->k == 1 &&", "if (0 &&",
        ("curve-8", "single-output"),
    ),
    "multiply_packed": SpecialPath(
        "many rows and columns: A is packed in blocks",
        "gemm/select.inc.c", "plan.pack_a =", "plan.pack_a = 0 &&",
        ("curve-512", "wide"),
    ),
    "its prefetching": SpecialPath(
        "the next panel of B and the next micro-tile of C",
        "gemm/macrokernel.inc.c", ".n_chunks = mr, .chunk_depth = depth / mr, .tail_depth = depth % mr",
        ".tail_depth = depth",
        ("wide",),
    ),
    "A in place, B packed": SpecialPath(
        "few columns; without it multiply_packed",
        "gemm/select.inc.c", "!few_rows && !few_columns;", "!few_rows;",
        ("tabular", "curve-32", "digits"),
    ),
    "packed strips": SpecialPath(
        "a column-major A, packed strip by strip",
        "gemm/select.inc.c", "plan.pack_strips =", "plan.pack_strips = 0 &&",
        ("digits", "curve-512"),
    ),
    "prefetch of A": SpecialPath(
        "an A in place that exceeds the second-level cache",
        "gemm/unpacked.inc.c", "int prefetch =", "int prefetch = 0 &&",
        ("digits-all", "rows-digits"),
    ),
}  # fmt: skip


# ---- Libraries ----------------------------------------------------------------------------------------------------- #


def declare() -> FFI:
    """What plainnet.h declares."""
    ffi = FFI()
    ffi.cdef(declarations((CSRC / "plainnet.h").read_text()))
    return ffi


def includes(cc: str, unit: Path, file: Path) -> bool:
    """Whether a unit includes the file."""
    command = [cc, "-std=c11", "-MM", "-I", str(unit.parent), str(unit)]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return file.resolve() in {Path(word).resolve() for word in found.replace("\\\n", " ").split()}


def copy_without(name: str, folder: Path) -> Path:
    """Makes a copy of csrc/ without the path, and says which file differs."""
    path = PATHS[name]
    shutil.copytree(CSRC, folder)
    file = folder / path.file
    text = file.read_text()
    if text.count(path.old) != 1:
        sys.exit(f"{name}: {path.old!r} occurs {text.count(path.old)} times in csrc/{path.file}, not once")
    file.write_text(text.replace(path.old, path.new))
    return file


def build_all(cc: str, names: list[str], isas: list[str], folder: Path) -> dict[str, Path]:
    """The library with all paths, named "all", and one without each of them. Units that stay the same are shared."""
    units = [unit.name for unit in sorted(CSRC.glob("*.c")) if not unit.name.endswith(".inc.c")]
    unused = [unit for unit in units if unit.startswith("isa_") and unit not in [f"isa_{isa}.c" for isa in isas]]
    jobs: list[list[str]] = []

    def compile_later(tree: Path, unit: str) -> str:
        target = f"{folder}/{tree.name}-{unit}.o"
        jobs.append([cc, *FLAGS, "-I", str(tree), "-c", str(tree / unit), "-o", target])
        return target

    objects = {"all": {unit: compile_later(CSRC, unit) for unit in units}}
    for i, name in enumerate(names):
        tree = folder / f"csrc-{i}"
        changed = copy_without(name, tree)
        others = [unit for unit in units if unit not in unused and includes(cc, tree / unit, changed)]
        objects[name] = objects["all"] | {unit: compile_later(tree, unit) for unit in others}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda command: subprocess.run(command, check=True), jobs))
    libraries = {name: folder / f"{i}.so" for i, name in enumerate(objects)}
    for name, library in libraries.items():
        command = [cc, "-shared", *objects[name].values(), "-o", str(library), "-lm", "-lpthread"]
        subprocess.run(command, check=True)
    return libraries


# ---- Workloads ----------------------------------------------------------------------------------------------------- #


def aligned(values: Array) -> Array:
    """A copy that begins at a cache line."""
    memory = np.empty(values.nbytes + 64, np.uint8)
    begin = -memory.ctypes.data % 64
    copy = memory[begin : begin + values.nbytes].view(values.dtype).reshape(values.shape)
    copy[:] = values
    return copy


class Bench:
    """A workload in one dtype, in memory that all libraries share: where numbers lie makes a difference, too."""

    def __init__(self, ffi: FFI, libraries: dict[str, Any], workload: Workload, dtype: str) -> None:
        problem = make_problem(workload, dtype)
        self.ffi, self.libraries, self.workload = ffi, libraries, workload
        self.suffix, self.real = DTYPES[dtype]
        pairs = zip(workload.sizes, workload.sizes[1:], workload.activations, strict=False)
        self.layers = ffi.new("pn_layer[]", [(n_in, n_out, ACTIVATIONS[f], 1) for n_in, n_out, f in pairs])
        self.network = ffi.new("pn_network *", (len(self.layers), self.layers, LOSSES[workload.loss]))
        self.training = ffi.new(
            "pn_training *", {"batch_size": workload.batch_size, "learning_rate": workload.learning_rate}
        )
        arrays = [array.ravel() for pair in zip(problem.weights, problem.biases, strict=True) for array in pair]
        self.start = np.concatenate(arrays)
        self.parameters = aligned(self.start)
        self.x, self.y = aligned(problem.x), aligned(problem.y)
        self.out = aligned(np.zeros((workload.n_rows, workload.sizes[-1]), dtype))
        least = MIN_STEPS if workload.task == "train" else 1
        self.set_units(-(-least // workload.steps_per_unit))

    def function(self, name: str, library: str) -> Any:
        return getattr(self.libraries[library], f"{name}_{self.suffix}")

    def array(self, values: Array) -> Any:
        return self.ffi.cast(f"{self.real} *", values.ctypes.data)

    def set_units(self, n_units: int) -> None:
        """How many units of work a run does: epochs, or forward passes."""
        self.n_units = self.training.epochs = n_units
        size, most = self.ffi.new("size_t *"), 0
        for library in self.libraries:
            if self.workload.task == "train":
                ask = self.function("pn_train_workspace", library)
                status = ask(self.workload.n_rows, self.network, self.training, size)
            else:
                status = self.function("pn_forward_workspace", library)(self.workload.n_rows, self.network, size)
            assert status == 0, status
            most = max(most, size[0])
        self.workspace = aligned(np.zeros(most, np.uint8))

    def run(self, library: str, clock: Callable[[], float]) -> float:
        """Seconds for the units."""
        self.parameters[:] = self.start
        workspace = self.ffi.cast("void *", self.workspace.ctypes.data), self.workspace.nbytes
        n_rows, parameters, x = self.workload.n_rows, self.array(self.parameters), self.array(self.x)
        if self.workload.task == "train":
            progress = self.ffi.new("pn_progress *")
            run, n_calls = self.function("pn_train", library), 1
            null = self.ffi.NULL  # no optimizer's state, no sample weights, no losses
            what = (self.training, parameters, null, x, self.array(self.y), null, 0, null, progress)
        else:
            run, n_calls = self.function("pn_forward", library), self.n_units
            what = (parameters, x, self.array(self.out))
        begin = clock()
        for _ in range(n_calls):
            status = run(n_rows, self.network, *what, *workspace)
        end = clock()
        assert status == 0, status
        return end - begin

    def bits(self, library: str) -> bytes:
        """What comes out of a run."""
        self.run(library, time.perf_counter)
        return (self.parameters if self.workload.task == "train" else self.out).tobytes()

    def gains(self, n_rounds: int, sample: float, clock: Callable[[], float]) -> dict[str, float]:
        """The time without each path over the time with all of them."""
        while (seconds := self.run("all", clock)) < 0.7 * sample:
            self.set_units(int(self.n_units * min(20.0, sample / max(seconds, 1e-9))) + 1)
        right = self.bits("all")
        for library in self.libraries:
            if self.bits(library) != right:
                sys.exit(f"without {library}, {self.workload.name} in {self.real} has other bits")
        times: dict[str, list[float]] = {library: [] for library in self.libraries}
        order = random.Random(0)
        for _ in range(n_rounds):
            for library in order.sample(list(times), len(times)):
                times[library].append(self.run(library, clock))
        return {
            library: statistics.median(a / b for a, b in zip(times[library], times["all"], strict=True))
            for library in times
        }


# ---- The table ----------------------------------------------------------------------------------------------------- #


def table(results: dict[tuple[str, str], dict[str, float]], isas: list[str]) -> Iterator[str]:
    """Markdown: a row for each path and workload, with float32 / float64 for each instruction set."""
    yield "| path | is for | workload | " + " | ".join(isas) + " |"
    yield "|---|---|---|" + "---|" * len(isas)
    last = ""
    for (name, workload), row in results.items():
        cells = [" / ".join(f"{row[key]:.2f}" for key in row if key.startswith(isa + " ")) for isa in isas]
        first = f"{name} | {PATHS[name].purpose}" if name != last else " | "
        yield f"| {first} | {workload} | " + " | ".join(cells) + " |"
        last = name


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--paths", nargs="+", choices=PATHS, default=list(PATHS), metavar="NAME", help=", ".join(PATHS))
    parser.add_argument("--workloads", nargs="+", default=[], metavar="NAME", help="these, for all paths")
    parser.add_argument("--isa", nargs="+", default=["avx2", "avx512"], help="what the machine lacks is left out")
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--sample", type=float, default=0.02, help="seconds of work in a round")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    names: dict[str, Sequence[str]] = {path: arguments.workloads or PATHS[path].workloads for path in arguments.paths}
    results: dict[tuple[str, str], dict[str, float]] = {
        (path, workload): {} for path in names for workload in names[path]
    }
    clock = time.thread_time if arguments.threads == 1 else time.perf_counter
    ffi = declare()
    with tempfile.TemporaryDirectory() as folder:
        files = build_all(os.environ.get("CC", "cc"), arguments.paths, arguments.isa, Path(folder))
        libraries = {path: ffi.dlopen(str(file)) for path, file in files.items()}
    isas = [isa for isa in arguments.isa if libraries["all"].pn_isa_is_available(isa.encode())]
    for isa in isas:
        for library in libraries.values():
            library.pn_set_isa(isa.encode())
            library.pn_set_num_threads(arguments.threads)
        for workload in dict.fromkeys(workload for path in names for workload in names[path]):
            chosen = {path: libraries[path] for path in libraries if path == "all" or workload in names[path]}
            for dtype in arguments.dtypes:
                print(f"{isa}, {workload}, {dtype}", file=sys.stderr)
                bench = Bench(ffi, chosen, (WORKLOADS | EXTRA)[workload], dtype)
                for path, gain in bench.gains(arguments.rounds, arguments.sample, clock).items():
                    if path != "all":
                        results[path, workload][f"{isa} {dtype}"] = gain
    print("\n".join(table(results, isas)))


if __name__ == "__main__":
    main()
