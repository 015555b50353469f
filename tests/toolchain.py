"""
C compilers for the tests, and the library compiled as plainnet.h says: once for each compiler and set of flags.

Objects are kept in build/tests, and compiled again when a source or the compiler has changed. All processes share
them, be they pytest-xdist's workers or later runs.
"""

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CSRC = ROOT / "csrc"
KEPT = ROOT / "build" / "tests"
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
#: As plainnet.h says. Without -std=c11 GCC may contract a * b + c: the bits must not depend on that. (.ci/run compiles
#: with -std=c11.)
FLAGS = ("-O3",)
#: In a sanitizer run the C programs are sanitized as the extension is.
SANITIZERS = os.environ.get("PLAINNET_CFLAGS", "").split()


def first(*names):
    return next((name for name in names if shutil.which(name)), None)


#: GCC and Clang, or else whatever is called cc.
COMPILERS = [name for name in (first("gcc"), first("clang", "clang-19", "clang-14")) if name] or (
    [name for name in (first("cc"),) if name]
)
if SANITIZERS:  # one is enough, and Clang may be there without the sanitizers' runtime
    COMPILERS = COMPILERS[:1]

#: For parametrize: each compiler takes half a minute of a core for the library, and what the first one finds is most.
EACH_COMPILER = [pytest.param(name, marks=[pytest.mark.slow] if i > 0 else []) for i, name in enumerate(COMPILERS)]


def run(*command, environment=None, **arguments):
    """Without what a sanitizer run preloads into Python: compilers and C programs were not built for that."""
    inherited = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    command = [str(part) for part in command]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=1800, env={**inherited, **(environment or {})}, **arguments
    )


def compile_cleanly(*command):
    result = run(*command)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""


def sanitizers(source):
    """None for the kernels, which take minutes to compile with them: the extension has them sanitized."""
    return [] if source.name.startswith("isa_") else SANITIZERS


def digest(*parts):
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


@functools.cache
def library(compiler, *flags):
    """The objects of csrc/*.c (with the *.inc.c, as a shell expands it), without a warning."""
    sources = sorted(CSRC.glob("*.c"))
    commands = [[compiler, *flags, *WARNINGS, *sanitizers(source), "-c", source] for source in sources]
    directory = KEPT / digest(repr(commands).encode())
    objects = [directory / f"{source.name}.o" for source in sources]
    made_of = digest(
        run(compiler, "--version").stdout.encode(), *(path.read_bytes() for path in sorted(CSRC.rglob("*.[ch]")))
    )
    stamp = directory / "made-of"
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / "lock", "w") as lock, ThreadPoolExecutor(os.cpu_count()) as executor:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != made_of:
            stamp.unlink(missing_ok=True)
            jobs = [
                executor.submit(compile_cleanly, *command, "-o", target)
                for command, target in zip(commands, objects, strict=True)
            ]
            for job in jobs:
                job.result()
            stamp.write_text(made_of)
    return objects


def build(compiler, source, target, *flags):
    """What `cc FLAGS -Wall -Wextra -Wpedantic -Werror source csrc/*.c -lm -lpthread -o target` does."""
    objects = library(compiler, *flags)
    flags = [*flags, *WARNINGS, *SANITIZERS, "-I", CSRC]
    compile_cleanly(compiler, *flags, source, *objects, "-lm", "-lpthread", "-o", target)
    return target
