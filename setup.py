"""The hook through which setuptools runs build.py; everything else stands in pyproject.toml."""

import sysconfig

from setuptools import setup

# One wheel for every CPython from 3.10 on; free-threaded builds have no stable ABI yet.
abi3 = {} if sysconfig.get_config_var("Py_GIL_DISABLED") else {"bdist_wheel": {"py_limited_api": "cp310"}}
setup(cffi_modules=["build.py:ffibuilder"], options=abi3)
