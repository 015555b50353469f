"""How the package is compiled: in parallel, and again when flags change; and build.py, run as a script or a module."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytest.importorskip("setuptools")
ROOT = Path(__file__).parent.parent

#: Stands for the C compiler. It writes down its arguments, and makes what it is asked to make, but empty. With WAIT, a
#: compilation of csrc/ ends when another one has begun, and fails after so many seconds.
COMPILER = textwrap.dedent(f"""\
    #!{sys.executable} -S
    import os, sys, time
    log = os.environ["COMPILER_LOG"]
    with open(log, "a") as file:
        print(*sys.argv[1:], file=file)
    if "WAIT" in os.environ and " -c csrc/" in " ".join(sys.argv):
        end = time.monotonic() + float(os.environ["WAIT"])
        while open(log).read().count(" -c csrc/") < 2:
            time.sleep(0.01)
            if time.monotonic() > end:
                sys.exit("nothing else is compiled meanwhile")
    open(sys.argv[sys.argv.index("-o") + 1], "w").close()
""")


@pytest.fixture
def tree(tmp_path):
    """A copy of what is built, and nothing else."""
    tree = tmp_path / "plainnet"
    for name in ("csrc", "python"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("*.so", "__pycache__", "*.egg-info"))
    for name in ("build.py", "setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    return tree


@pytest.fixture
def compiled(tree, tmp_path):
    """Runs a command in the tree; the compiler calls that it made."""
    compiler, log = tmp_path / "compiler", tmp_path / "log"
    compiler.write_text(COMPILER)
    compiler.chmod(0o755)
    inherited = {name: value for name, value in os.environ.items() if name not in ("LD_PRELOAD", "PLAINNET_CFLAGS")}

    def run(*arguments, **environment):
        log.write_text("")
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=tree,
            env={**inherited, "CC": str(compiler), "COMPILER_LOG": str(log), **environment},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return [line for line in log.read_text().splitlines() if " -c " in line]

    return run


UNITS = sum(1 for path in (ROOT / "csrc").glob("*.c") if not path.name.endswith(".inc.c"))
UNITS += len(list((ROOT / "python" / "cpython").glob("*.c"))) + 1  # that which cffi writes


def test_sources_are_compiled_at_the_same_time(compiled):
    assert len(compiled("setup.py", "build_ext", "-j2", WAIT="60")) == UNITS


@pytest.mark.parametrize("variable", ["PLAINNET_CFLAGS", "CFLAGS"])
def test_other_flags_compile_everything_again(compiled, variable):
    build = ["setup.py", "build_ext"]
    assert len(compiled(*build)) == UNITS
    assert compiled(*build) == []
    again = compiled(*build, **{variable: "-DOTHER"})
    assert len(again) == UNITS
    assert all("-DOTHER" in call for call in again)
    assert len(compiled(*build)) == UNITS


def files(tree):
    return {path for path in tree.rglob("*") if path.is_file() and tree / "build" not in path.parents}


def test_build_py_as_a_script_leaves_nothing_outside_the_build_folder(compiled, tree):
    before = files(tree)
    calls = compiled("build.py")
    assert files(tree) == before
    assert len(calls) == UNITS
    assert list((tree / "build").rglob("_plainnet*.so"))


def module_build(tree, *arguments, path=""):
    """`python -m build` in the tree, without site-packages: neither cffi nor build are there."""
    return subprocess.run(
        [sys.executable, "-S", "-m", "build", *arguments],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_python_m_build_runs_the_package_of_that_name(tree, tmp_path):
    package = tmp_path / "site" / "build"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text("import sys, build\nprint(build.__file__, sys.argv[1:])\nsys.exit(3)\n")
    before = files(tree)
    done = module_build(tree, "--sdist", ".", path=package.parent)
    assert done.stdout.split(maxsplit=1) == [str(package / "__init__.py"), "['--sdist', '.']\n"], done.stderr
    assert done.returncode == 3
    assert files(tree) == before


def test_python_m_build_without_the_package_names_it(tree):
    (tree / "build").mkdir()  # no package either
    done = module_build(tree)
    assert done.returncode == 1
    assert "pip install build" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tree / "build").iterdir())
