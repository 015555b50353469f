"""The C sources used without Python: they compile cleanly, and refuse bad arguments. (Bits: test_xor_example.)"""

import shutil
import textwrap

import pytest

import toolchain

pytestmark = pytest.mark.skipif(not toolchain.COMPILERS, reason="needs a C compiler")


@pytest.fixture(scope="module", params=toolchain.EACH_COMPILER)
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


NAMES = textwrap.dedent("""\
    #include <stdio.h>
    #include "plainnet.h"
    int main(void)
    {
        const char *names[] = {"avx512", "avx2", "neon", "baseline"};
        printf("%s", pn_isa());
        for (int i = 0; i < 4; i++)
            if (pn_isa_is_available(names[i]))
                printf(" %s", names[i]);
        return 0;
    }
""")


def test_isa_in_use_is_the_best_unless_the_environment_names_one(compiler, tmp_path):
    """An empty variable names none."""
    source = tmp_path / "app.c"
    source.write_text(NAMES)
    program = toolchain.build(compiler, source, tmp_path / "app", *toolchain.FLAGS)
    for wanted in ("", *toolchain.run(program, environment={"PLAINNET_ISA": ""}).stdout.split()[1:]):
        in_use, *available = toolchain.run(program, environment={"PLAINNET_ISA": wanted}).stdout.split()
        assert in_use == (wanted or available[0])


BAD_THREADS = textwrap.dedent("""\
    #include "plainnet.h"
    int main(void)
    {
        double z = 1, a = 7, loss = 7, gradient = 7;
        static char workspace[1 << 20];
        size_t n = 77;
        pn_layer layer = {1, 1, PN_TANH, 0, NULL};
        pn_network network = {.n_layers = 1, .layers = &layer, .loss = PN_SUM_OF_SQUARES};
        pn_training training = {.epochs = 1, .learning_rate = 1};
        pn_progress progress = {0};
        if (pn_num_threads() != 0 || pn_tanh_f64(1, &z, &a) != PN_BAD_THREADS ||
            pn_tanh_backward_f64(1, &z, &z, &a) != PN_BAD_THREADS)
            return 1;
        if (pn_dense_workspace_f64(1, 1, 1, &n) != PN_BAD_THREADS ||
            pn_dense_forward_f64(1, 1, 1, &z, &z, &z, PN_TANH, &a, workspace, sizeof workspace) != PN_BAD_THREADS ||
            pn_dense_backward_f64(1, 1, 1, &z, &z, &z, &z, &z, PN_TANH, &a, NULL, NULL, workspace, sizeof workspace) !=
                PN_BAD_THREADS)
            return 2;
        if (pn_forward_workspace_f64(1, &network, &n) != PN_BAD_THREADS ||
            pn_gradient_workspace_f64(1, &network, &n) != PN_BAD_THREADS ||
            pn_train_workspace_f64(1, &network, &training, &n) != PN_BAD_THREADS || n != 77)
            return 3;
        if (pn_forward_f64(1, &network, &z, &z, &a, workspace, sizeof workspace) != PN_BAD_THREADS ||
            pn_loss_and_gradient_f64(1, &network, &z, &z, &z, NULL, &loss, &gradient, workspace, sizeof workspace) !=
                PN_BAD_THREADS)
            return 4;
        if (pn_train_f64(1, &network, &training, &a, NULL, &z, &z, NULL, 0, NULL, &progress, workspace,
                         sizeof workspace) != PN_BAD_THREADS ||
            pn_train_on_batch_f64(1, &network, &training, &a, NULL, &z, &z, NULL, &loss, workspace, sizeof workspace) !=
                PN_BAD_THREADS)
            return 5;
        if (pn_loss_f64(1, &network, &z, &z, &z, NULL, &loss, &a, workspace, sizeof workspace) != PN_BAD_THREADS)
            return 9;
        if (pn_jacobian_workspace_f64(1, &network, &n) != PN_BAD_THREADS || n != 77 ||
            pn_input_gradient_f64(1, &network, &z, &z, &z, &a, workspace, sizeof workspace) != PN_BAD_THREADS ||
            pn_jacobian_f64(1, &network, &z, &z, &a, workspace, sizeof workspace) != PN_BAD_THREADS)
            return 8;
        network.loss = PN_MEAN_SQUARED_ERROR;
        if (pn_jacobian_parameters_workspace_f64(1, &network, &n) != PN_BAD_THREADS ||
            pn_gauss_newton_workspace_f64(1, &network, &n) != PN_BAD_THREADS || n != 77 ||
            pn_jacobian_parameters_f64(1, &network, &z, &z, &a, workspace, sizeof workspace) != PN_BAD_THREADS ||
            pn_gauss_newton_f64(1, &network, &z, &z, &z, NULL, &loss, &gradient, &a, workspace, sizeof workspace) !=
                PN_BAD_THREADS)
            return 10;
        if (a != 7 || loss != 7 || gradient != 7 || progress.steps != 0)
            return 6;
        return pn_set_num_threads(2) == PN_OK && pn_num_threads() == 2 && pn_tanh_f64(1, &z, &a) == PN_OK ? 0 : 7;
    }
""")


def test_bad_number_of_threads_in_the_environment_is_a_status_not_an_abort(compiler, tmp_path):
    """Of every function that computes; until the program sets a number itself."""
    source = tmp_path / "app.c"
    source.write_text(BAD_THREADS)
    program = toolchain.build(compiler, source, tmp_path / "app", *toolchain.FLAGS)
    for text in ("0", "65", "-1", "4abc", "two"):
        assert toolchain.run(program, environment={"PLAINNET_NUM_THREADS": text}).returncode == 0


FAST = ["-ffast-math", "-Ofast", "-ffinite-math-only"]
#: For these, GCC alone defines macros.
UNSAFE = ["-funsafe-math-optimizations", "-freciprocal-math", "-fno-signed-zeros"]


def test_fast_math_is_refused_by_every_unit(compiler):
    units = [source for source in toolchain.CSRC.glob("*.c") if not source.name.endswith(".inc.c")]
    assert toolchain.run(compiler, "-O3", "-fno-trapping-math", "-E", *units).returncode == 0
    for flag in FAST + (UNSAFE if "gcc" in compiler else []):
        for unit in units:
            result = toolchain.run(compiler, flag, "-E", unit)
            assert result.returncode != 0, (flag, unit)
            assert "plainnet needs exact arithmetic" in result.stderr


INEXACT_BUILD = textwrap.dedent("""\
    #include "plainnet.h"
    int main(void)
    {
        double z = 1, a = 7;
        return pn_tanh_f64(1, &z, &a) != PN_INEXACT_BUILD || pn_library_status() != PN_INEXACT_BUILD || a != 7;
    }
""")


@pytest.mark.parametrize("flag", FAST)
def test_fast_math_that_no_macro_tells_of_is_a_status(compiler, flag, tmp_path):
    """One unit is compiled with it, and the macros are undone."""
    source, unit = tmp_path / "app.c", tmp_path / "dispatch.o"
    source.write_text(INEXACT_BUILD)
    macros = ["__FAST_MATH__", "__FINITE_MATH_ONLY__", "__ASSOCIATIVE_MATH__", "__RECIPROCAL_MATH__"]
    undone = [f"-U{name}" for name in [*macros, "__NO_SIGNED_ZEROS__"]]
    flags = [*toolchain.FLAGS, flag, *undone]
    toolchain.compile_cleanly(compiler, *flags, "-c", toolchain.CSRC / "dispatch.c", "-o", unit)
    objects = [path for path in toolchain.library(compiler, *toolchain.FLAGS) if path.name != "dispatch.c.o"]
    program = tmp_path / "app"
    toolchain.compile_cleanly(
        compiler, *toolchain.SANITIZERS, "-I", toolchain.CSRC, source, unit, *objects, "-lm", "-lpthread", "-o", program
    )
    assert toolchain.run(program).returncode == 0


MODE = textwrap.dedent("""\
    #include <fenv.h>
    #include <string.h>
    #include "plainnet.h"
    #if defined(__x86_64__)
    #include <xmmintrin.h>
    static unsigned mode(void) { return _mm_getcsr() & 0xe040; }
    static void set_mode(void) { _mm_setcsr(_mm_getcsr() | 0xc040); }  /* upward, no subnormal numbers */
    #else
    static unsigned mode(void) { return (unsigned)fegetround(); }
    static void set_mode(void) { fesetround(FE_UPWARD); }
    #endif
    enum { M = 300, N = 40, N_PARAMETERS = N * N + N + N };

    static double x[M * N], y[M], start[N_PARAMETERS], results[2][N_PARAMETERS + N_PARAMETERS + M + 5 * M * N + 4];

    static int compute(double *out)
    {
        const pn_layer layers[] = {{N, N, PN_TANH, 1, NULL}, {N, 1, PN_IDENTITY, 0, NULL}};
        const pn_network network = {.n_layers = 2, .layers = layers, .loss = PN_MEAN_SQUARED_ERROR};
        const pn_training training = {.epochs = 2, .batch_size = 100, .learning_rate = 0.1};
        pn_progress progress = {0};
        static char workspace[1 << 22];
        double *parameters = out, *gradient = parameters + N_PARAMETERS, *a = gradient + N_PARAMETERS, *single = a + M;
        memcpy(parameters, start, sizeof start);
        pn_status status[] = {
            pn_forward_f64(M, &network, parameters, x, a, workspace, sizeof workspace),
            pn_loss_and_gradient_f64(M, &network, parameters, x, y, NULL, out + N_PARAMETERS * 2 + M + 5 * M * N,
                                     gradient, workspace, sizeof workspace),
            pn_train_f64(M, &network, &training, parameters, NULL, x, y, NULL, 0,
                         out + N_PARAMETERS * 2 + M + 5 * M * N + 1,
                         &progress, workspace, sizeof workspace),
            pn_sigmoid_f64(M * N, x, single),
            pn_dense_forward_f64(M, N, N, x, parameters, NULL, PN_IDENTITY, single + M * N, workspace,
                                 sizeof workspace),
            pn_dense_backward_f64(M, N, N, x, parameters, NULL, x, x, PN_IDENTITY, single + 2 * M * N, NULL, NULL,
                                  workspace, sizeof workspace),
            pn_input_gradient_f64(M, &network, parameters, x, y, single + 3 * M * N, workspace, sizeof workspace),
            pn_jacobian_f64(M, &network, parameters, x, single + 4 * M * N, workspace, sizeof workspace),
            pn_loss_f64(M, &network, parameters, x, y, NULL, out + N_PARAMETERS * 2 + M + 5 * M * N + 3, NULL,
                        workspace, sizeof workspace),
        };
        for (size_t i = 0; i < sizeof status / sizeof *status; i++)
            if (status[i] != PN_OK)
                return (int)i + 1;
        return 0;
    }

    int main(void)
    {
        for (size_t i = 0; i < M * N; i++)
            x[i] = ((double)(i % 13) / 7 - 1) * (i % 3 == 0 ? 1e-310 : 1);
        for (size_t i = 0; i < N_PARAMETERS; i++)
            start[i] = (double)(i % 7) / 11 - 0.3;
        for (size_t i = 0; i < M; i++)
            y[i] = (double)(i % 5) / 3;
        int failed = compute(results[0]);
        set_mode();
        unsigned before = mode();
        failed = failed ? failed : compute(results[1]);
        if (failed)
            return failed;
        if (mode() != before)
            return 20;
        return memcmp(results[0], results[1], sizeof results[0]) == 0 ? 0 : 21;
    }
""")


def test_mode_of_the_calling_thread_changes_no_bit_and_is_left_alone(compiler, tmp_path):
    source = tmp_path / "app.c"
    source.write_text(MODE)
    program = toolchain.build(compiler, source, tmp_path / "app", *toolchain.FLAGS)
    result = toolchain.run(program)
    assert (result.returncode, result.stderr) == (0, "")


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
    objects = toolchain.library(compiler, *toolchain.FLAGS)
    symbols = toolchain.run("nm", "-g", "--defined-only", *objects).stdout
    names = {line.split()[2] for line in symbols.splitlines() if len(line.split()) == 3}
    assert any(name.lstrip("_") == "pn_train_f64" for name in names)
    # Sanitizers add names of their own, with two underscores.
    assert {name for name in names if not name.lstrip("_").startswith("pn_") and not name.startswith("__")} == set()
