"""
Processors that C files are compiled for and emulated on: two of the Cortex-M, without an operating system, and RISC-V.

Debian has all of it: gcc-arm-none-eabi, libnewlib-arm-none-eabi, qemu-system-arm; gcc-riscv64-linux-gnu, qemu-user.
"""

import re
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

import toolchain

_HERE = Path(__file__).parent


class Target(NamedTuple):
    """
    Attributes
    ----------
    name : str
    tools : str
        What the names of its compiler, linker and so on begin with.
    flags : tuple of str
        Of the compiler.
    emulator : tuple of str
        The command, to which a program is added.
    fused : tuple of str
        The dtypes for which it has a fused multiply-add.
    """

    name: str
    tools: str
    flags: tuple[str, ...]
    emulator: tuple[str, ...]
    fused: tuple[str, ...]

    @property
    def is_bare(self):
        return self.tools.endswith("-eabi-")

    def missing(self):
        """What is needed and not there, or None."""
        compiler = f"{self.tools}gcc"
        for program in compiler, self.emulator[0]:
            if shutil.which(program) is None:
                return program
        done = toolchain.run(compiler, *self.flags, "-E", "-x", "c", "-", input="#include <math.h>\n")
        return None if done.returncode == 0 else f"a C library for {compiler}"

    def compile(self, source, target, *flags):
        """An object, without a warning; a file with the stack of each function is beside it."""
        command = [f"{self.tools}gcc", *self.flags, *flags, "-fstack-usage", "-c", source, "-o", target]
        toolchain.compile_cleanly(*command)

    def link(self, objects, target):
        command = [f"{self.tools}gcc", *self.flags]
        if self.is_bare:
            start = target.with_suffix(".start.o")
            toolchain.compile_cleanly(*command, "-Os", "-Wall", "-Wextra", "-c", _HERE / "cortex_m.c", "-o", start)
            command += ["-nostartfiles", "--specs=nosys.specs", "-T", _HERE / "cortex_m.ld", start]
        else:
            command += ["-static"]
        toolchain.compile_cleanly(*command, *objects, "-lm", "-o", target)

    def run(self, program):
        """What it returns and, of a Cortex-M, how many bytes of stack it has taken."""
        done = toolchain.run(*self.emulator, program)
        stack = re.fullmatch(r"stack (\d+)\n", done.stderr)
        assert self.is_bare == (stack is not None), done.stderr
        return done.returncode, stack and int(stack[1])

    def size(self, target):
        """The bytes (text, data, bss) of an object; constants are in text."""
        return tuple(map(int, toolchain.run(f"{self.tools}size", target).stdout.split("\n")[1].split()[:3]))


def _board(name):
    return (
        "qemu-system-arm", "-M", name, "-display", "none", "-monitor", "none", "-serial", "none",
        "-semihosting-config", "enable=on,target=native", "-kernel",
    )  # fmt: skip


TARGETS = (
    Target("cortex-m4", "arm-none-eabi-", ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
           _board("mps2-an386"), ("float32",)),
    Target("cortex-m0", "arm-none-eabi-", ("-mcpu=cortex-m0", "-mthumb", "-mfloat-abi=soft"), _board("microbit"), ()),
    Target("riscv64", "riscv64-linux-gnu-", (), ("qemu-riscv64",), ("float32", "float64")),
)  # fmt: skip


def _parameter(target):
    missing = target.missing()
    return pytest.param(
        target, id=target.name, marks=pytest.mark.skipif(missing is not None, reason=f"{target.name} needs {missing}")
    )


#: For parametrize: each one, skipped where what it needs is not there.
EACH_TARGET = [_parameter(target) for target in TARGETS]
