"""The hook through which setuptools runs build.py and compiles small.c; everything else stands in pyproject.toml."""

import os
import sysconfig

import numpy
from setuptools import Extension, setup

# One wheel for every CPython from 3.10 on; free-threaded builds have no stable ABI yet.
abi3 = not sysconfig.get_config_var("Py_GIL_DISABLED")
extra = os.environ.get("PLAINNET_CFLAGS", "").split()
small = Extension(
    "plainnet._small",
    ["python/small.c"],
    depends=["csrc/plainnet.h"],
    include_dirs=["csrc", numpy.get_include()],
    define_macros=[("Py_LIMITED_API", "0x030A0000")] if abi3 else [],
    extra_compile_args=["-g0", *extra],
    extra_link_args=extra,
    py_limited_api=abi3,
)
options = {"bdist_wheel": {"py_limited_api": "cp310"}} if abi3 else {}
setup(cffi_modules=["build.py:ffibuilder"], ext_modules=[small], options=options)
