"""The hooks through which setuptools runs build.py and compiles, in parallel; all else stands in pyproject.toml."""

import os
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from glob import glob
from pathlib import Path

import numpy
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext


class BuildExt(build_ext):
    """Compiles the sources of an extension at the same time, and all again if compilers or flags have changed."""

    def build_extensions(self):
        # setuptools itself looks at the files' times alone. CC, CFLAGS and the like are in the compiler's commands.
        options = [(ext.define_macros, ext.extra_compile_args, ext.extra_link_args) for ext in self.extensions]
        commands = [getattr(self.compiler, name, None) for name in ("compiler_so", "linker_so")]  # Microsoft's has none
        made_by = repr((self.build_lib, commands, options))
        stamp = Path(self.build_temp, "made-by")
        self.force = self.force or not stamp.exists() or stamp.read_text() != made_by
        stamp.unlink(missing_ok=True)
        if self.compiler.compiler_type == "unix":
            self.compiler.compile = self.in_parallel(self.compiler.compile)
        super().build_extensions()
        stamp.write_text(made_by)

    def in_parallel(self, compile_in_turn):
        jobs, self.parallel = self.parallel or os.cpu_count(), None  # sources, not extensions

        def compile_all(sources, *args, **kwargs):
            with ThreadPoolExecutor(jobs) as executor:
                objects = executor.map(lambda source: compile_in_turn([source], *args, **kwargs), sources)
                return [path for paths in objects for path in paths]

        return compile_all


# One wheel for every CPython from 3.10 on; free-threaded builds have no stable ABI yet.
abi3 = not sysconfig.get_config_var("Py_GIL_DISABLED")
extra = os.environ.get("PLAINNET_CFLAGS", "").split()
cpython = Extension(
    "plainnet._cpython",
    sorted(glob("python/cpython/*.c")),
    depends=["csrc/plainnet.h", "python/cpython/module.h"],
    include_dirs=["csrc", numpy.get_include()],
    define_macros=[("Py_LIMITED_API", "0x030A0000")] if abi3 else [],
    extra_compile_args=["-g0", *([] if sys.platform == "win32" else ["-fvisibility=hidden"]), *extra],
    extra_link_args=extra,
    py_limited_api=abi3,
)
options = {"bdist_wheel": {"py_limited_api": "cp310"}} if abi3 else {}
setup(cffi_modules=["build.py:ffibuilder"], ext_modules=[cpython], cmdclass={"build_ext": BuildExt}, options=options)
