"""The C sources used without Python: they compile cleanly, refuse bad arguments, and give Python's very bits."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import plainnet as pn

import textbook

ROOT = Path(__file__).parent.parent
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
#: Each of those that are here once: cc is mostly another name of one of them.
_found = [path for name in ("clang", "gcc", "cc") if (path := shutil.which(name))]
COMPILERS = list({os.path.realpath(path): path for path in _found}.values())
#: In a sanitizer run the C programs are sanitized as the extension is.
EXTRA = os.environ.get("PLAINNET_CFLAGS", "").split()
EXAMPLE = ROOT / "examples" / "xor.c"

pytestmark = pytest.mark.skipif(not COMPILERS, reason="needs a C compiler")


def run(*command, **arguments):
    """Without a preloaded sanitizer: compilers and C programs are not the Python that it was meant for."""
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    environment.update(arguments.pop("environment", {}))
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, **arguments)


def build(compiler, source, target, *flags):
    """The command that plainnet.h gives, word for word, with warnings as errors."""
    sources = sorted(str(path) for path in (ROOT / "csrc").glob("*.c"))
    include, libraries = ["-I", str(ROOT / "csrc")], ["-lm", "-lpthread"]
    result = run(compiler, *flags, *EXTRA, *WARNINGS, *include, str(source), *sources, *libraries, "-o", str(target))
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return target


@pytest.fixture(scope="module", params=COMPILERS, ids=os.path.basename)
def compiler(request):
    return request.param


def test_every_bad_argument_gives_its_status_and_writes_nothing(compiler, tmp_path):
    program = build(compiler, ROOT / "tests" / "c_api.c", tmp_path / "c_api", "-std=c11", "-g")
    result = run(str(program))
    assert result.returncode == 0, result.stdout + result.stderr
    assert int(result.stdout.split(" checks, 0 failed")[0]) > 1000
    assert result.stderr == ""


def test_unknown_isa_in_the_environment_is_a_status_not_an_abort(tmp_path):
    source = tmp_path / "app.c"
    source.write_text("""
        #include "plainnet.h"
        int main(void)
        {
            double z = 1, a = 7;
            size_t n = 77;
            if (pn_isa() != NULL || pn_tanh_f64(1, &z, &a) != PN_UNKNOWN_ISA || a != 7)
                return 1;
            if (pn_dense_workspace_f64(1, 1, 1, &n) != PN_UNKNOWN_ISA || n != 77)
                return 2;
            if (pn_set_isa("baseline") == PN_OK && pn_tanh_f64(1, &z, &a) != PN_OK)
                return 3;
            return 0;
        }
    """)
    program = build(COMPILERS[0], source, tmp_path / "app", "-std=c11")
    assert run(str(program), environment={"PLAINNET_ISA": "mmx"}).returncode == 0


@pytest.mark.parametrize("standard", ["c++11", "c++17"])
def test_header_is_valid_cpp(tmp_path, standard):
    compilers = [name for name in ("c++", "g++", "clang++") if shutil.which(name)]
    if not compilers:
        pytest.skip("needs a C++ compiler")
    source = tmp_path / "app.cpp"
    include = '#include "plainnet.h"\n'
    source.write_text(include * 2 + 'int main() { return pn_isa_is_available("none"); }\n')
    for compiler in compilers:
        result = run(compiler, f"-std={standard}", *WARNINGS, "-I", str(ROOT / "csrc"), "-c", str(source), "-o",
                     str(tmp_path / "app.o"))  # fmt: skip
        assert result.returncode == 0, result.stderr
        assert result.stderr == ""


@pytest.mark.parametrize("standard", ["c11", "c17"])
def test_header_stands_alone_in_strict_c(compiler, tmp_path, standard):
    source = tmp_path / "app.c"
    source.write_text('#include "plainnet.h"\nint main(void) { return PN_OK; }\n')
    flags = [f"-std={standard}", *WARNINGS, "-Wstrict-prototypes", "-Wshadow", "-Wconversion"]
    result = run(compiler, *flags, "-I", str(ROOT / "csrc"), "-c", str(source), "-o", str(tmp_path / "app.o"))
    assert result.returncode == 0, result.stderr


def test_library_exports_pn_names_alone(tmp_path):
    """Linked into somebody's program: no global name without the prefix."""
    if not shutil.which("nm"):
        pytest.skip("needs nm")
    source = tmp_path / "app.c"
    source.write_text("int main(void) { return 0; }\n")
    sources = sorted(str(path) for path in (ROOT / "csrc").glob("*.c"))
    result = run(COMPILERS[0], "-std=c11", "-c", *sources, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    symbols = run("nm", "-g", "--defined-only", *map(str, tmp_path.glob("*.o"))).stdout
    names = {line.split()[2] for line in symbols.splitlines() if len(line.split()) == 3}
    assert names
    assert {name for name in names if not name.lstrip("_").startswith("pn_")} == set()


# ---- The example -----------------------------------------------------------------------------------------------------

needs_example = pytest.mark.skipif(not EXAMPLE.exists(), reason="examples/xor.c is not there")

#: C keeps its promise of one result whatever the flags: contraction allowed or not, optimised or not.
FLAGS = [["-std=c11"], ["-O3"], ["-O3", "-march=native"]]


@pytest.fixture(scope="module", params=FLAGS, ids=" ".join)
def example(request, compiler, tmp_path_factory):
    """(program, flags)"""
    return build(compiler, EXAMPLE, tmp_path_factory.mktemp("xor") / "xor", *request.param), request.param


@needs_example
def test_example_without_arguments_trains_both_networks(example):
    result = run(str(example[0]))
    assert result.returncode == 0, result.stderr
    assert "layered" in result.stdout.lower()
    assert "two" in result.stdout.lower()


@needs_example
@pytest.mark.parametrize("system", textbook.SYSTEMS)
@pytest.mark.parametrize("isa", pn.native.available_isas())
def test_example_gives_the_very_bits_of_python(example, dtype, system, isa):
    program, flags = example
    if isa == "baseline" and "-march=native" in flags:
        pytest.skip("with these flags the baseline has fused multiply-adds; that of the extension has not")
    layers, loss, x, y, learning_rate, init = textbook.SYSTEMS[system]
    before = pn.native.isa()
    pn.native.set_isa(isa)
    try:
        net = textbook.network(layers, loss, init=init, seed=3, dtype=dtype)
        start = "\n".join(float(value).hex() for value in net.parameters)
        net.fit(x, y, epochs=1500, learning_rate=learning_rate)
        expected = [float(value).hex() for value in (*net.parameters, *net.predict(x).ravel())]
    finally:
        pn.native.set_isa(before)
    result = run(str(program), system, "f64" if dtype == np.float64 else "f32", input=start,
                 environment={"PLAINNET_ISA": isa})  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert [float.fromhex(line).hex() for line in result.stdout.split()] == expected


@needs_example
@pytest.mark.parametrize(
    ("arguments", "start"),
    [(["layered"], ""), (["deep", "f64"], ""), (["layered", "f16"], ""), (["layered", "f64"], "0x1p0\n"),
     (["layered", "f64"], "one\n" * 13)],
)  # fmt: skip
def test_example_refuses_bad_arguments(example, arguments, start):
    result = run(str(example[0]), *arguments, input=start)
    assert result.returncode not in (0, -6, -11)
    assert result.stderr
