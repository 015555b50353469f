"""Compiles exported networks, on the host and for a Cortex-M4 that is emulated, and measures them."""

from __future__ import annotations

import ctypes
import random
import re
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

HERE = Path(__file__).parent
TESTS = HERE.parent / "tests"
CORTEX_M4 = ("arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
#: With -icount shift=0 an instruction takes a nanosecond, of which a tick of this board's timer, at 25 MHz, has 40.
EMULATOR = (
    "qemu-system-arm", "-M", "mps2-an386", "-icount", "shift=0", "-display", "none", "-monitor", "none",
    "-serial", "none", "-semihosting-config", "enable=on,target=native", "-kernel",
)  # fmt: skip
INSTRUCTIONS_A_TICK = 40
SMALL = ("-ffunction-sections", "-fdata-sections", "-Wl,--gc-sections")

#: Rows that the Cortex-M4 predicts, and how often.
N_ROWS, REPEATS = 20, 5


@dataclass(frozen=True)
class Export:
    """
    A network as C.

    Attributes
    ----------
    name : str
    source : str
        Defines ``void run(const float *x, float *out)``.
    flags : tuple of str
        Where its headers are.
    libraries : tuple of str
        Of the host; with some, it does not run on the Cortex-M4.
    """

    name: str
    source: str
    flags: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()


EMPTY = Export("none", "static void run(const float *x, float *out) { (void)x; (void)out; }\n")


@dataclass(frozen=True)
class OnCortex:
    """Bytes of flash, and of RAM with what the stack has been seen to take; and instructions a row."""

    flash: int
    ram: int
    instructions: float


def _command(*command: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}:\n{done.stderr}")
    return done


# ---- The host --------------------------------------------------------------------------------------------------------


class OnHost:
    """An export as a shared library."""

    def __init__(self, export: Export, folder: Path, n_in: int, n_out: int) -> None:
        self.export, self.n_out = export, n_out
        source, library = folder / "network.c", folder / f"{export.name}.so"
        source.write_text(export.source)
        sizes = f"-DN_IN={n_in}", f"-DN_OUT={n_out}"
        flags = ("-O2", "-shared", "-fPIC", f'-DNETWORK="{source}"', *sizes, *export.flags)
        _command("gcc", *flags, HERE / "exports.c", *export.libraries, "-lm", "-o", library)
        self.repeat = ctypes.CDLL(str(library)).repeat
        self.repeat.argtypes = [ctypes.c_long] * 4 + [ctypes.c_void_p] * 2

    def __call__(self, x: npt.NDArray[np.float32], n: int | None = None) -> npt.NDArray[np.float32]:
        """The outputs (n_rows, n_out), computed `n` times in turn, by default once."""
        out = np.full((len(x), self.n_out), np.nan, np.float32)
        self.repeat(n or len(x), len(x), x.shape[1], self.n_out, x.ctypes.data, out.ctypes.data)
        return out


def host_size(export: Export, folder: Path, n_in: int, n_out: int) -> int:
    """
    Bytes that a program of the host takes more with the network than with an empty one.

    Of libraries it has the static ones, such as libNAME.a for -lNAME.
    """
    sizes = []
    for each in export, EMPTY:
        source, program = folder / "network.c", folder / "program"
        source.write_text(each.source)
        flags = ("-O2", *SMALL, f'-DNETWORK="{source}"', f"-DN_IN={n_in}", f"-DN_OUT={n_out}", *each.flags)
        libraries = [name.replace("-l", "-l:lib") + ".a" for name in each.libraries]
        _command("gcc", "-no-pie", *flags, HERE / "exports.c", *libraries, "-lm", "-o", program)
        sizes.append(sum(map(int, _command("size", program).stdout.split("\n")[1].split()[:2])))
    return sizes[0] - sizes[1]


def host_times(networks: Sequence[OnHost], x: npt.NDArray[np.float32], rounds: int) -> list[list[float]]:
    """
    Seconds a row, (n_networks, rounds): in each round all take turns, in random order.

    A turn takes 0.2 ms, so that few are interrupted by other processes, and those do not matter to medians.
    """
    numbers = []
    for network in networks:
        start = time.perf_counter()
        network(x, 2000)
        numbers.append(max(1, int(2000 * 2e-4 / (time.perf_counter() - start))))
    times: list[list[float]] = [[] for _ in networks]
    rng = random.Random(0)
    for _ in range(rounds):
        for k in rng.sample(range(len(networks)), len(networks)):
            start = time.perf_counter()
            networks[k](x, numbers[k])
            times[k].append((time.perf_counter() - start) / numbers[k])
    return times


def median_ratio(times: Sequence[float], base: Sequence[float]) -> float:
    """The median of the rounds' ratios."""
    return statistics.median(time / other for time, other in zip(times, base))


# ---- The Cortex-M4 ---------------------------------------------------------------------------------------------------


def on_cortex(export: Export, x: npt.NDArray[np.float32], n_out: int, folder: Path) -> OnCortex | None:
    """What the network takes there, without what an empty one takes; None if it cannot run there."""
    if export.libraries:
        return None
    own, none = (_run_on_cortex(each, x, n_out, folder) for each in (export, EMPTY))
    differences: list[Any] = [a - b for a, b in zip(own, none)]
    flash, static, stack, ticks = differences
    return OnCortex(flash, static + stack, ticks * INSTRUCTIONS_A_TICK / (N_ROWS * REPEATS))


def _run_on_cortex(export: Export, x: npt.NDArray[np.float32], n_out: int, folder: Path) -> tuple[int, int, int, int]:
    """Bytes of flash, of static data and of stack, and ticks."""
    source, rows, program = folder / "network.c", folder / "rows.inc", folder / "program"
    source.write_text(export.source)
    rows.write_text(",\n".join(", ".join(f"{float(value):.9e}f" for value in row) for row in x[:N_ROWS]))
    sizes = f"-DN_ROWS={N_ROWS}", f"-DN_IN={x.shape[1]}", f"-DN_OUT={n_out}", f"-DREPEATS={REPEATS}"
    defined = (f'-DNETWORK="{source}"', f'-DROWS="{rows}"', *sizes)
    linked = (
        "-nostartfiles",
        "--specs=nano.specs",
        "--specs=nosys.specs",
        "-T",
        TESTS / "cortex_m.ld",
        "-lm",
        "-o",
        program,
    )
    _command(*CORTEX_M4, "-O2", *SMALL, *defined, *export.flags, HERE / "exports.c", TESTS / "cortex_m.c", *linked)
    text, data, bss = map(int, _command("arm-none-eabi-size", program).stdout.split("\n")[1].split()[:3])
    output = _command(*EMULATOR, program).stderr
    numbers = dict(re.findall(r"(\w+) (\d+)\n", output))
    return text + data, data + bss, int(numbers["stack"]), int(numbers["ticks"])
