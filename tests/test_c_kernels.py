"""The matrix kernels and the pool of threads from C, below the public interface: same bits, no data race."""

import pytest

import toolchain

pytestmark = pytest.mark.skipif(not toolchain.COMPILERS, reason="needs a C compiler")


@pytest.mark.parametrize("compiler", toolchain.COMPILERS)
def test_matrix_kernels_have_the_bits_of_plain_loops_for_any_number_of_threads(compiler, tmp_path):
    source = toolchain.ROOT / "tests" / "matmul_bits.c"
    program = toolchain.build(compiler, source, tmp_path / "matmul_bits", *toolchain.FLAGS)
    for threads in ("1", "2", "3", "8"):
        result = toolchain.run(program, threads, "2")
        assert result.returncode == 0, result.stdout + result.stderr
        assert "the bits agree" in result.stdout


@pytest.mark.skipif(bool(toolchain.SANITIZERS), reason="ThreadSanitizer excludes the other sanitizers")
@pytest.mark.parametrize("sanitizer", [(), ("-fsanitize=thread",)], ids=["plain", "tsan"])
def test_threads_agree_under_strain_and_without_a_data_race(sanitizer, tmp_path):
    compiler = toolchain.COMPILERS[0]
    source = toolchain.ROOT / "tests" / "threads_tsan.c"
    flags = ("-std=c11", "-g", "-O1", *sanitizer) if sanitizer else toolchain.FLAGS
    program = toolchain.build(compiler, source, tmp_path / "threads", *flags)
    result = toolchain.run(program)
    if "unexpected memory mapping" in result.stderr:
        pytest.skip("ThreadSanitizer cannot start under this kernel's address space randomisation")
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout == "threads agree\n"
    assert result.stderr == ""


@pytest.mark.parametrize("name", ["accuracy.c", "matmul.c", "peak.c"])
def test_programs_of_the_benchmarks_fit_the_kernels(name):
    """They use what is private in csrc/, and nothing else compiles them when it changes."""
    isa = ["-DPN_ISA=baseline", "-DPN_VECTOR_BYTES=16", "-DPN_HAVE_FMA=0"] if name == "accuracy.c" else []
    toolchain.compile_cleanly(
        toolchain.COMPILERS[0],
        "-fsyntax-only",
        *isa,
        "-I",
        toolchain.ROOT / "csrc",
        toolchain.ROOT / "benchmarks" / name,
    )
