"""C compilers for the tests, and the library compiled as plainnet.h says: once for each compiler and set of flags."""

import functools
import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parent.parent
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
#: As plainnet.h says. The compilers' own dialects contract a * b + c where they may, as GCC does not with -std=c11:
#: bits that survive this survive both. (.ci/run compiles with -std=c11.)
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


def run(*command, environment=None, **arguments):
    """Without what a sanitizer run preloads into Python: compilers and C programs were not built for that."""
    inherited = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    command = [str(part) for part in command]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=600, env={**inherited, **(environment or {})}, **arguments
    )


def compile_cleanly(*command):
    result = run(*command)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""


def sanitizers(source):
    """None for the kernels, which take minutes to compile with them: the extension has them sanitized."""
    return [] if source.name.startswith("isa_") else SANITIZERS


@functools.cache
def library(compiler, *flags):
    """The objects of csrc/*.c (with the *.inc.c, as a shell expands it), without a warning."""
    # Kept until Python ends: the directory belongs to the object.
    directory = tempfile.TemporaryDirectory(prefix="plainnet-")
    sources = sorted((ROOT / "csrc").glob("*.c"))
    objects = [Path(directory.name) / f"{source.name}.o" for source in sources]
    with ThreadPoolExecutor(os.cpu_count()) as executor:
        list(
            executor.map(
                lambda source, target: compile_cleanly(
                    compiler, *flags, *WARNINGS, *sanitizers(source), "-c", source, "-o", target
                ),
                sources,
                objects,
            )
        )
    return objects, directory


def build(compiler, source, target, *flags):
    """What `cc FLAGS -Wall -Wextra -Wpedantic -Werror source csrc/*.c -lm -lpthread -o target` does."""
    objects, _ = library(compiler, *flags)
    flags = [*flags, *WARNINGS, *SANITIZERS, "-I", ROOT / "csrc"]
    compile_cleanly(compiler, *flags, source, *objects, "-lm", "-lpthread", "-o", target)
    return target
