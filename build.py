"""Builds the extension `plainnet._plainnet` from csrc/, with what plainnet.h declares."""

import os
import re
import sys
from pathlib import Path

from cffi import FFI

ROOT = Path(__file__).parent
CSRC = ROOT / "csrc"


def declarations(header: str) -> str:
    """The header's C declarations: without comments, preprocessor lines and the C++ brackets."""
    header = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    header = re.sub(r"#ifdef __cplusplus.*?#endif", "", header, flags=re.DOTALL)
    return re.sub(r"^#.*$", "", header, flags=re.MULTILINE)


def relative(pattern: str) -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in CSRC.glob(pattern))


# Speed only: results do not depend on these flags. PLAINNET_CFLAGS comes last, for sanitizers and the like.
compile_args = [] if sys.platform == "win32" else ["-std=c11", "-O3", "-fno-math-errno", "-fno-trapping-math"]
compile_args += [] if sys.platform == "win32" else ["-fvisibility=hidden", "-g0"]
extra = os.environ.get("PLAINNET_CFLAGS", "").split()

ffibuilder = FFI()
ffibuilder.cdef(declarations((CSRC / "plainnet.h").read_text()))
ffibuilder.set_source(
    "plainnet._plainnet",
    '#include "plainnet.h"',
    sources=[path for path in relative("*.c") if not path.endswith(".inc.c")],
    depends=relative("*.h") + relative("*.inc.c"),
    include_dirs=["csrc"],
    libraries=[] if sys.platform == "win32" else ["m", "pthread"],
    extra_compile_args=compile_args + extra,
    extra_link_args=extra,
)

if __name__ == "__main__":
    ffibuilder.compile(verbose=True)
