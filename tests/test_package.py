"""The package as others see it: names, docstrings, types, imports."""

import importlib.metadata
import inspect
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import plainnet as pn

CORE = ["numpy", "cffi", "_cffi_backend", "safetensors"]
OPTIONAL = ["matplotlib", "sklearn", "scipy", "pandas", "torch", "mpi4py", "onnx", "pytest", "hypothesis", "mpmath"]


def test_public_names_are_there():
    assert sorted(pn.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name)) == pn.__all__
    assert set(pn.__all__) >= {
        "Network", "Dense", "History", "DivergedError", "cross_check", "check_gradient", "kernels", "reference",
        "native",
    }  # fmt: skip
    for name in pn.__all__:
        assert getattr(pn, name) is not None


def test_version_is_that_of_the_distribution():
    assert pn.__version__ == importlib.metadata.version("plainnet")


def public_objects():
    for name in pn.__all__:
        value = getattr(pn, name)
        yield name, value
        if inspect.ismodule(value):
            members = getattr(value, "__all__", [n for n in vars(value) if not n.startswith("_")])
            for member in members:
                inner = getattr(value, member)
                if inspect.isfunction(inner) and inner.__module__.startswith(value.__name__):
                    yield f"{name}.{member}", inner
        elif inspect.isclass(value):
            for member, inner in vars(value).items():
                if inspect.isfunction(inner) and not member.startswith("_"):
                    yield f"{name}.{member}", inner


def test_public_objects_have_docstrings():
    # The functions behind plainnet.kernels are documented there.
    behind = {f"native.{name}" for name in ("activate", "activate_backward", "dense_forward", "dense_backward")}
    missing = [name for name, value in public_objects() if not inspect.getdoc(value)]
    assert not set(missing) - behind


def test_package_is_marked_as_typed():
    assert (Path(pn.__file__).parent / "py.typed").exists()


@pytest.mark.parametrize("module", ["plainnet", "plainnet.kernels", "plainnet.network", "plainnet.checks"])
def test_core_imports_no_optional_package(module):
    """With every other package made unimportable, the core still works."""
    script = textwrap.dedent(f"""
        import sys
        for name in {OPTIONAL!r}:
            sys.modules[name] = None
        import {module}
        import plainnet as pn
        net = pn.Network([pn.Dense(2, 3, "tanh"), pn.Dense(3, 1, "sigmoid")], loss="log_loss", seed=1)
        net.fit([[0, 0], [0, 1]], [[0], [1]], epochs=2)
        pn.cross_check(net, [[0, 1]], [[1]], epochs=2)
        print(sorted(name for name in sys.modules if name.startswith("plainnet.")))
    """)
    result = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr
    for optional in ("cli", "plot", "tutorials"):
        assert f"'plainnet.{optional}'" not in result.stdout


@pytest.mark.parametrize(
    ("package", "call"),
    [
        ("torch", lambda net, path: net.to_torch()),
        ("torch", lambda net, path: pn.from_torch(net)),
        ("onnx", lambda net, path: net.to_onnx(path)),
    ],
)
def test_package_that_is_missing_is_named_with_its_extra(monkeypatch, tmp_path, package, call):
    monkeypatch.setitem(sys.modules, package, None)
    net = pn.Network([pn.Dense(2, 1)], seed=0)
    with pytest.raises(ImportError, match=re.escape(f"get it with: pip install 'plainnet[{package}]'")):
        call(net, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_import_leaves_what_many_programs_never_need():
    """A quick import: what is left out here takes longer to import than the rest of the package."""
    later = [
        "callbacks", "checks", "exchange", "files", "folding", "kernels", "monitor", "plot", "reference", "schedules",
        "state",
    ]  # fmt: skip
    others = ["numpy.random", "json", "cffi", "safetensors", "tqdm"]
    script = f"""
import sys, plainnet
print([name for name in {later!r} if f"plainnet.{{name}}" in sys.modules],
      [name for name in {others!r} if name in sys.modules])
print(sorted(set(plainnet.__all__) - set(dir(plainnet))), all(hasattr(plainnet, name) for name in plainnet.__all__))
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr
    of_numpy = probe(f"import sys, numpy; print([name for name in {others!r} if name in sys.modules])")  # of an old one
    assert result.stdout == f"[] {of_numpy}[] True\n"


def probe(script):
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=True).stdout


def test_reference_imports_numpy_and_the_standard_library_alone():
    """What a learner reads knows nothing of C: no import of the extension, nor of the module that uses it."""
    sources = [path.read_text() for path in Path(pn.reference.__file__).parent.glob("*.py")]
    lines = [line.strip() for source in sources for line in source.splitlines()]
    roots = {line.split()[1] for line in lines if line.startswith(("import ", "from "))}
    assert roots <= {
        "__future__",
        "collections.abc",
        "dataclasses",
        "functools",
        "math",
        "typing",
        "numpy",
        "numpy.typing",
        "..activations",
        "..arrays",
        "..backend",
        "..layers",
        "..losses",
        "..optimizers",
        ".dropout",
        ".equations",
        ".kernels",
        ".model",
        ".optimizers",
        ".regularization",
        ".rows",
    }


@pytest.mark.parametrize(
    ("extension", "users"), [("_plainnet", {"native.py"}), ("_cpython", {"batches.py", "native.py", "training.py"})]
)
def test_few_modules_touch_the_extensions(extension, users):
    paths = Path(pn.__file__).parent.rglob("*.py")
    assert {path.name for path in paths if re.search(rf"\b{extension}\b import", path.read_text())} == users


@pytest.mark.parametrize("extension", ["_plainnet", "_cpython"])
def test_missing_extension_fails_loudly(extension):
    """There is no silent fall-back to NumPy, nor to slower calls."""
    script = f"import sys; sys.modules['plainnet.{extension}'] = None; import plainnet"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=600)
    assert result.returncode != 0
    assert "ImportError" in result.stderr or "ModuleNotFoundError" in result.stderr
    assert extension in result.stderr


@pytest.mark.parametrize("isa", pn.native.available_isas())
def test_environment_chooses_the_isa(isa):
    script = "import plainnet; print(plainnet.native.isa())"
    result = subprocess.run([sys.executable, "-c", script], env=environment(isa), capture_output=True, text=True)
    assert result.stdout == f"{isa}\n", result.stderr


def test_environment_with_an_unknown_isa_is_refused_at_import():
    result = subprocess.run(
        [sys.executable, "-c", "import plainnet"], env=environment("mmx"), capture_output=True, text=True
    )
    assert result.returncode != 0
    assert "PLAINNET_ISA" in result.stderr
    assert repr(pn.native.available_isas()) in result.stderr


def test_library_that_does_not_compute_exactly_is_refused_at_import():
    """An extension whose own check of its arithmetic fails. (test_c_api has it fail.)"""
    path = sys.modules["plainnet._plainnet"].__file__
    script = textwrap.dedent(f"""
        import importlib.util, sys, types
        spec = importlib.util.spec_from_file_location("plainnet._plainnet", {path!r})
        extension = importlib.util.module_from_spec(spec)

        class Library:
            def __getattr__(self, name):
                return getattr(extension.lib, name)

            def pn_library_status(self):
                return extension.lib.PN_INEXACT_BUILD

        sys.modules["plainnet._plainnet"] = types.SimpleNamespace(ffi=extension.ffi, lib=Library())
        import plainnet
    """)
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode != 0
    assert "compiled with options that break its arithmetic, such as -ffast-math" in result.stderr


def environment(isa):
    return {**os.environ, "PLAINNET_ISA": isa}
