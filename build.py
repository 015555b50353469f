"""
Builds the extension `plainnet._plainnet` from csrc/, with what plainnet.h declares.

setuptools calls `ffibuilder`. `python build.py` has it compile the extensions into the folder build/, as a trial.
`python -m build` finds this file here instead of the package of that name, and is handed over to the package.
"""

from __future__ import annotations

import os
import re
import runpy
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cffi import FFI

ROOT = Path(__file__).resolve().parent
CSRC = ROOT / "csrc"


def declarations(header: str) -> str:
    """The header's C declarations: without comments, preprocessor lines and the C++ brackets."""
    header = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    header = re.sub(r"#ifdef __cplusplus.*?#endif", "", header, flags=re.DOTALL)
    return re.sub(r"^#.*$", "", header, flags=re.MULTILINE)


def relative(pattern: str) -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in CSRC.glob(pattern))


def ffibuilder() -> FFI:
    from cffi import FFI  # here, as handing over to the package `build` must do without

    # Speed only: results do not depend on these flags. PLAINNET_CFLAGS comes last, for sanitizers and the like.
    compile_args = [] if sys.platform == "win32" else ["-std=c11", "-O2", "-fno-math-errno", "-fno-trapping-math"]
    compile_args += [] if sys.platform == "win32" else ["-fvisibility=hidden", "-g0"]
    extra = os.environ.get("PLAINNET_CFLAGS", "").split()
    # A smaller file, as fast: without what debuggers alone need, padding, and the order of instructions that processors
    # choose for themselves.
    is_lean = sys.platform == "linux" and not extra
    lean = ["-fno-asynchronous-unwind-tables", "-fno-schedule-insns2", "-falign-jumps=1", "-falign-labels=1"]
    compile_args += lean if is_lean else []

    builder = FFI()
    builder.cdef(declarations((CSRC / "plainnet.h").read_text()))
    builder.set_source(
        "plainnet._plainnet",
        '#include "plainnet.h"',
        sources=[path for path in relative("*.c") if not path.endswith(".inc.c")],
        depends=relative("**/*.h") + relative("**/*.inc.c"),
        include_dirs=["csrc"],
        libraries=[] if sys.platform == "win32" else ["m", "pthread"],
        extra_compile_args=compile_args + extra,
        extra_link_args=(["-s"] if is_lean else []) + extra,
    )
    return builder


def hand_over_to_package() -> None:
    """Runs the package `build` as if this file were not there."""
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != ROOT]
    package = find_spec("build")
    if package is None or package.origin is None:  # no origin: a folder of this name
        sys.exit(f"{sys.executable} has no package `build`: install it with `pip install build`")
    runpy.run_module("build", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    if __spec__ is not None:  # python -m build
        hand_over_to_package()
    else:
        os.chdir(ROOT)
        sys.argv = ["setup.py", "build_ext"]
        runpy.run_path("setup.py", run_name="__main__")
