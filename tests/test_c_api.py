"""The C sources used without Python: they compile cleanly, and refuse bad arguments. (Bits: test_xor_example.)"""

import shutil
import textwrap

import pytest

import toolchain

pytestmark = pytest.mark.skipif(not toolchain.COMPILERS, reason="needs a C compiler")


@pytest.fixture(scope="module", params=toolchain.COMPILERS)
def compiler(request):
    return request.param


def test_every_bad_argument_gives_its_status_and_writes_nothing(compiler, tmp_path):
    program = toolchain.build(compiler, toolchain.ROOT / "tests" / "c_api.c", tmp_path / "c_api", *toolchain.FLAGS)
    result = toolchain.run(program)
    assert result.returncode == 0, result.stdout + result.stderr
    assert int(result.stdout.split(" checks, 0 failed")[0]) > 1000
    assert result.stderr == ""


UNKNOWN_ISA = textwrap.dedent("""\
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


def test_unknown_isa_in_the_environment_is_a_status_not_an_abort(compiler, tmp_path):
    source = tmp_path / "app.c"
    source.write_text(UNKNOWN_ISA)

    program = toolchain.build(compiler, source, tmp_path / "app", *toolchain.FLAGS)
    assert toolchain.run(program, environment={"PLAINNET_ISA": "mmx"}).returncode == 0


@pytest.mark.parametrize("standard", ["c++11", "c++17"])
def test_header_is_valid_cpp(tmp_path, standard):
    compilers = [name for name in ("c++", "g++", "clang++", "clang++-19", "clang++-14") if shutil.which(name)]
    if not compilers:
        pytest.skip("needs a C++ compiler")
    source = tmp_path / "app.cpp"
    include = '#include "plainnet.h"\n'
    source.write_text(include * 2 + 'int main() { return pn_isa_is_available("none"); }\n')
    for name in compilers:
        toolchain.compile_cleanly(
            name, f"-std={standard}", *toolchain.WARNINGS, "-I", toolchain.ROOT / "csrc", "-c", source, "-o",
            tmp_path / "app.o",
        )  # fmt: skip


@pytest.mark.parametrize("standard", ["c11", "c17"])
def test_header_stands_alone_in_strict_c(compiler, tmp_path, standard):
    source = tmp_path / "app.c"
    source.write_text('#include "plainnet.h"\nint main(void) { return PN_OK; }\n')
    flags = [f"-std={standard}", *toolchain.WARNINGS, "-Wstrict-prototypes", "-Wshadow", "-Wconversion"]
    toolchain.compile_cleanly(compiler, *flags, "-I", toolchain.ROOT / "csrc", "-c", source, "-o", tmp_path / "app.o")


def test_library_exports_pn_names_alone(compiler):
    """Linked into somebody's program: no global name without the prefix."""
    if not shutil.which("nm"):
        pytest.skip("needs nm")
    objects, _ = toolchain.library(compiler, *toolchain.FLAGS)
    symbols = toolchain.run("nm", "-g", "--defined-only", *objects).stdout
    names = {line.split()[2] for line in symbols.splitlines() if len(line.split()) == 3}
    assert any(name.lstrip("_") == "pn_train_f64" for name in names)
    # Sanitizers add names of their own, with two underscores.
    assert {name for name in names if not name.lstrip("_").startswith("pn_") and not name.startswith("__")} == set()
