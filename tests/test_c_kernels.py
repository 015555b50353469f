"""Networks, the matrix kernels and the pool of threads from C: same bits, no data race."""

import os

import pytest

import toolchain

pytestmark = pytest.mark.skipif(not toolchain.COMPILERS, reason="needs a C compiler")


@pytest.mark.parametrize("compiler", toolchain.EACH_COMPILER)
def test_matrix_kernels_have_the_bits_of_plain_loops_for_any_number_of_threads(compiler, tmp_path):
    source = toolchain.ROOT / "tests" / "matmul_bits.c"
    program = toolchain.build(compiler, source, tmp_path / "matmul_bits", *toolchain.FLAGS)
    result = toolchain.run(program, "1,2,3", "3")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "the bits agree" in result.stdout


@pytest.mark.slow
def test_matrix_kernels_have_the_bits_of_plain_loops_in_large_products(tmp_path):
    """Several blocks of both factors and of the sum, for every thread."""
    source = toolchain.ROOT / "tests" / "matmul_bits.c"
    program = toolchain.build(toolchain.COMPILERS[0], source, tmp_path / "matmul_bits", *toolchain.FLAGS)
    result = toolchain.run(program, "1,2,8", "5", "large")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "the bits agree" in result.stdout


@pytest.mark.parametrize("compiler", toolchain.COMPILERS)
def test_networks_have_the_bits_of_their_parts_in_arrays_of_exactly_their_size(compiler, tmp_path):
    source = toolchain.ROOT / "tests" / "network_bits.c"
    result = toolchain.run(toolchain.build(compiler, source, tmp_path / "network_bits", *toolchain.FLAGS))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "the bits agree" in result.stdout


@pytest.mark.skipif(bool(toolchain.SANITIZERS), reason="ThreadSanitizer excludes the other sanitizers")
@pytest.mark.parametrize(
    "sanitizer",
    [pytest.param((), id="plain"), pytest.param(("-fsanitize=thread",), id="tsan", marks=pytest.mark.slow)],
)
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
    """They use private headers of csrc/, and nothing else compiles them when these change."""
    isa = ["-DPN_ISA=baseline", "-DPN_VECTOR_BYTES=16", "-DPN_HAVE_FMA=0"] if name == "accuracy.c" else []
    toolchain.compile_cleanly(
        toolchain.COMPILERS[0],
        "-fsyntax-only",
        *isa,
        "-I",
        toolchain.ROOT / "csrc",
        toolchain.ROOT / "benchmarks" / name,
    )


SANITIZED = {
    "plain": (),
    "tsan": ("-g", "-O1", "-fsanitize=thread"),
    "asan": ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"),
}
# ThreadSanitizer does not support children of a process with threads, and waits a second at every exit; LeakSanitizer
# misses threads in a child that were its parent's.
SANITIZER_OPTIONS = {
    "TSAN_OPTIONS": "die_after_fork=0:atexit_sleep_ms=0",
    "ASAN_OPTIONS": "detect_leaks=0",
}


@pytest.fixture(
    scope="module",
    params=[(name, "plain") for name in toolchain.COMPILERS]
    + [(name, mode) for name in toolchain.COMPILERS[:1] for mode in ("tsan", "asan") if not toolchain.SANITIZERS],
    ids="-".join,
)
def pool(request, tmp_path_factory):
    """tests/threads_pool.c with the pool of threads alone, and the pool as a shared library."""
    compiler, mode = request.param
    directory, csrc = tmp_path_factory.mktemp("pool"), toolchain.ROOT / "csrc"
    command = [compiler, *(SANITIZED[mode] or toolchain.FLAGS), *toolchain.WARNINGS, *toolchain.SANITIZERS, "-I", csrc]
    program, library = directory / "threads_pool", directory / "threads.so"
    source = toolchain.ROOT / "tests" / "threads_pool.c"
    toolchain.compile_cleanly(*command, source, csrc / "threads.c", "-lm", "-lpthread", "-ldl", "-o", program)
    toolchain.compile_cleanly(*command, "-fPIC", "-shared", csrc / "threads.c", "-lpthread", "-o", library)

    def run(*arguments, before=None, **environment):
        result = toolchain.run(program, *arguments, environment={**SANITIZER_OPTIONS, **environment}, preexec_fn=before)
        if "unexpected memory mapping" in result.stderr:
            pytest.skip("ThreadSanitizer cannot start under this kernel's address space randomisation")
        assert result.returncode == 0, result.stdout + result.stderr
        assert result.stderr == ""
        return result.stdout

    run.library = library
    return run


def test_sleeping_workers_are_woken(pool):
    assert pool("wake") == "done\n"


def test_forked_child_gets_workers_of_its_own(pool):
    assert pool("fork") == "done\n"


def test_workers_compute_in_the_same_floating_point_mode_whoever_calls(pool):
    assert pool("environment") == "done\n"


def test_library_can_be_unloaded_with_its_workers_under_load(pool):
    assert pool("unload", pool.library) == "done\n"


def test_process_exits_while_its_threads_compute(pool):
    assert pool("exit") == "done\n"


HUGE = "18446744073709551620"  # 2**64 + 4


@pytest.mark.parametrize(
    ("own", "n"),
    [("1", 1), ("4", 4), ("64", 64), ("004", 4), (" 4", 4), ("4\t", 4), (" \n4 ", 4), ("", 3)]
    + [(text, 0) for text in ("0", "65", "4abc", "abc", " ", "+4", "-4", "4.0", "4 2", "4,2", ",", "0x4", HUGE)],
)
def test_own_environment_variable_is_a_number_of_threads_or_an_error(pool, own, n):
    """0 stands for the error; what is empty counts as not set, and leaves the choice to OMP_NUM_THREADS."""
    assert pool("number", PLAINNET_NUM_THREADS=own, OMP_NUM_THREADS="3") == f"{n}\n"


@pytest.mark.parametrize(
    ("openmp", "n"),
    [("1", 1), ("64", 64), (" 1", 1), ("3 ", 3), ("4,2", 4), (" 4 , 2", 4), ("4,", 4), ("4,abc", 4)]
    + [(text, None) for text in ("", " ", "0", "65", "3abc", "abc", "+3", "-3", "3 2", ",3", "0x3", "3;2", HUGE)],
)
def test_variable_of_openmp_counts_where_it_begins_with_a_number(pool, openmp, n):
    """A list is one number a level, and ours is the first. Everything else is as if the variable were not set."""
    expected = pool("number", PLAINNET_NUM_THREADS="", OMP_NUM_THREADS="") if n is None else f"{n}\n"
    assert pool("number", PLAINNET_NUM_THREADS="", OMP_NUM_THREADS=openmp) == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs sched_setaffinity")
def test_number_of_threads_is_that_of_the_cpus_that_the_process_may_use(pool):
    cpus = os.sched_getaffinity(0)
    for n in {1, min(len(cpus), 64)}:
        some = sorted(cpus)[:n]
        output = pool("number", before=lambda some=some: os.sched_setaffinity(0, some), OMP_NUM_THREADS="")
        assert output == f"{n}\n"
