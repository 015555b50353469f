"""Networks as C files: the bits that they compute, compilers, which give no warning, and what is refused."""

import ctypes
import functools
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import plainnet as pn
from plainnet import cli, native
from plainnet.activations import ACTIVATIONS
from plainnet.exchange.c_activations import C_ACTIVATIONS

import pages
import random_networks
import toolchain

PAGE = "how_to/firmware.md"
needs_compiler = pytest.mark.skipif(not toolchain.COMPILERS, reason="needs a C compiler")
#: Those that C99 and C++ have in common; the file must be without a warning of these.
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
STANDARDS = {"c99": "c", "c11": "c", "c2x": "c", "c++17": "c++"}
EXACT = ["identity", "relu", "leaky_relu"]
HIDDEN = [name for name in ACTIVATIONS if name != "softmax"]


@functools.cache
def compiles(*flags):
    """Whether the compiler is there with these flags: for C++, or for instructions of one kind of processor."""
    return toolchain.run(*flags, "-c", "-o", os.devnull, "-", input="int x;\n").returncode == 0


def compiled(compiler, source, flags=()):
    """The file as a shared library."""
    library = source.with_suffix(f".{len(list(source.parent.iterdir()))}.so")
    flags = ["-std=c99", "-O2", *WARNINGS, *flags, "-shared", "-fPIC"]
    toolchain.compile_cleanly(compiler, *flags, source, "-lm", "-o", library)
    return ctypes.CDLL(str(library))


def predict(library, net, x, function="model_predict"):
    """What the C function computes of each row, or of all."""
    number = {"float32": ctypes.c_float, "float64": ctypes.c_double}[net.dtype.name]
    pointer = ctypes.POINTER(number)
    x = np.ascontiguousarray(x, net.dtype)
    out = np.full((len(x), net.layers[-1].n_out), np.nan, net.dtype)
    if function.endswith("_batch"):
        getattr(library, function).argtypes = [ctypes.c_size_t, pointer, pointer]
        getattr(library, function)(len(x), x.ctypes.data_as(pointer), out.ctypes.data_as(pointer))
    for row, result in zip(x, out) if not function.endswith("_batch") else ():
        getattr(library, function)(row.ctypes.data_as(pointer), result.ctypes.data_as(pointer))
    return out


def network(sizes, activations, dtype="float64", bias=True, seed=3):
    """With biases other than 0."""
    layers = [
        pn.Dense(n_in, n_out, activation, bias=bias)
        for n_in, n_out, activation in zip(sizes, sizes[1:], activations, strict=False)
    ]
    loss = "cross_entropy" if activations[-1] == "softmax" else "mean_squared_error"
    net = pn.Network(layers, loss, seed=seed, dtype=dtype)
    rng = np.random.default_rng(seed)
    for layer in net.layers:
        if layer.bias is not None:
            layer.bias[:] = rng.normal(size=layer.n_out)
    return net


def random_network(rng):
    """One of the 200 that go to ONNX and PyTorch too, and rows for it."""
    net = random_networks.random_network(rng)
    return net, rng.normal(size=(4, net.layers[0].n_in))


# ---- What is computed ------------------------------------------------------------------------------------------------


@needs_compiler
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("n_layers", [1, 2, 3, 5])
@pytest.mark.parametrize("compiler", toolchain.EACH_COMPILER)
def test_to_c_has_the_bits_of_predict(tmp_path, c_backend, dtype, compiler, n_layers, bias):
    activations = ["relu", "leaky_relu", "relu", "identity", "leaky_relu"][-n_layers:]
    net = network([5, 17, 33, 1, 9, 3][: n_layers + 1], activations, dtype, bias)
    net.to_c(tmp_path / "model.c")
    fused = native.isa() != "baseline"  # where there is no fma instruction, fma() of the C library does the same
    library = compiled(compiler, tmp_path / "model.c", [f"-DMODEL_USE_FMA={int(fused)}", "-ffp-contract=off"])
    x = np.random.default_rng(0).normal(size=(50, 5))
    np.testing.assert_array_equal(predict(library, net, x).view("u1"), net.predict(x).view("u1"))


@needs_compiler
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("compiler", toolchain.EACH_COMPILER)
def test_to_c_computes_each_activation(tmp_path, dtype, compiler, activation):
    """Of one layer whose sums are exact, as z is an input times 1: what differs is the activation."""
    net = network([3, 3], [activation], dtype)
    net.layers[0].weight[:], net.layers[0].bias[:] = np.eye(3), 0
    net.to_c(tmp_path / "model.c")
    library, c = compiled(compiler, tmp_path / "model.c"), C_ACTIVATIONS[activation]
    numbers = np.concatenate([np.linspace(-30, 30, 300), [0, 1e-30, 1e4, 1e30], -np.geomspace(1e-30, 1e6, 40)])
    x = np.stack([numbers, np.roll(numbers, 1), -numbers], axis=1).astype(dtype)
    result = predict(library, net, x).astype("f8")
    for backend in "c", "numpy":
        expected = net.copy(backend=backend).predict(x).astype("f8")
        difference = np.abs(result - expected) / np.maximum(1, np.abs(expected))
        # That of the self-test, which holds for each of the two; glibc and plainnet together are within it.
        assert difference.max() <= (c.error + 3 * (activation == "softmax")) * np.finfo(dtype).eps


@needs_compiler
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_to_c_has_limits_and_nan_as_predict_has_them(tmp_path, dtype, activation):
    net = network([2, 2], [activation], dtype, bias=False)
    net.layers[0].weight[:] = np.eye(2)
    net.parameters = net.parameters * 2
    net.to_c(tmp_path / "model.c")
    largest = np.finfo(dtype).max
    x = np.array([[largest, largest], [-largest, -largest], [largest, -largest], [np.nan, np.nan]], dtype)
    expected = net.predict(x)
    result = predict(compiled(toolchain.COMPILERS[0], tmp_path / "model.c"), net, x)
    np.testing.assert_allclose(result, expected, rtol=4 * np.finfo(dtype).eps)  # NaN where it is NaN


@needs_compiler
def test_to_c_without_fma_is_within_the_stated_bound(tmp_path, dtype):
    n = 300
    net = network([n, 7], ["identity"], dtype)
    net.to_c(tmp_path / "model.c")
    library = compiled(toolchain.COMPILERS[0], tmp_path / "model.c", ["-DMODEL_USE_FMA=0", "-ffp-contract=off"])
    x = np.random.default_rng(0).normal(size=(200, n)).astype(dtype)
    difference = np.abs(predict(library, net, x).astype("f8") - net.predict(x))
    magnitudes = np.abs(x) @ np.abs(net.layers[0].weight) + np.abs(net.layers[0].bias)
    assert (difference <= (n + 1) * np.finfo(dtype).eps * magnitudes).all()
    if native.isa() != "baseline":
        assert difference.max() > 0  # the macro has been heard


@needs_compiler
def test_to_c_predicts_many_rows_as_one_by_one(tmp_path, dtype):
    net = network([5, 17, 3], ["tanh", "softmax"], dtype)
    x = np.random.default_rng(0).normal(size=(9, 5))
    net.to_c(tmp_path / "model.c", name="two_words2", batch=True)
    library = compiled(toolchain.COMPILERS[0], tmp_path / "model.c")
    result = predict(library, net, x, "two_words2_predict_batch")
    np.testing.assert_array_equal(result, predict(library, net, x, "two_words2_predict"))
    np.testing.assert_allclose(result, net.predict(x), rtol=100 * np.finfo(dtype).eps)
    net.to_c(tmp_path / "one.c")
    assert not hasattr(compiled(toolchain.COMPILERS[0], tmp_path / "one.c"), "model_predict_batch")


@needs_compiler
def test_to_c_files_can_be_used_together(tmp_path, dtype):
    nets = {"pump": network([2, 3, 1], ["mish", "tanh"], dtype), "valve": network([2, 5, 1], ["mish", "relu"], dtype)}
    for name, net in nets.items():
        net.to_c(tmp_path / f"{name}.c", name)
    (tmp_path / "both.c").write_text('#include "pump.c"\n#include "valve.c"\n')
    library = compiled(toolchain.COMPILERS[0], tmp_path / "both.c")
    x = np.array([[0.5, -0.25]])
    for name, net in nets.items():
        result = predict(library, net, x, f"{name}_predict")
        np.testing.assert_allclose(result, net.predict(x), rtol=200 * np.finfo(dtype).eps)


@needs_compiler
@pytest.mark.parametrize("compiler", toolchain.EACH_COMPILER)
def test_to_c_keeps_every_bit_of_the_parameters(tmp_path, dtype, compiler):
    limits, rng = np.finfo(dtype), np.random.default_rng(0)
    numbers = [limits.max, -limits.max, limits.tiny, limits.smallest_subnormal, 1 / 3, 1e22, 0]
    bits = rng.integers(0, 256, (400, dtype.itemsize), dtype=np.uint8).view(dtype)[:, 0]
    values = np.concatenate([np.array(numbers, dtype), bits[np.isfinite(bits)]])
    net = network([len(values), 1], ["identity"], dtype, bias=False)
    net.parameters = values
    net.to_c(tmp_path / "model.c")
    result = predict(compiled(compiler, tmp_path / "model.c", ["-O0"]), net, np.eye(len(values)))
    np.testing.assert_array_equal(result[:, 0], values)
    net = network([1, len(values)], ["identity"], dtype)
    net.layers[0].weight[:], net.layers[0].bias[:] = 0, values
    net.to_c(tmp_path / "model.c")
    result = predict(compiled(compiler, tmp_path / "model.c", ["-O0"]), net, [[1]])
    np.testing.assert_array_equal(result[0], values)


# ---- Compilers and the self-test -------------------------------------------------------------------------------------


@needs_compiler
@pytest.mark.parametrize("flags", [[], ["-mfma"], ["-O3", "-ffp-contract=fast"]], ids=" ".join)
@pytest.mark.parametrize("standard", STANDARDS)
@pytest.mark.parametrize("compiler", toolchain.EACH_COMPILER)
def test_to_c_compiles_without_a_warning_and_passes_its_self_test(tmp_path, dtype, compiler, standard, flags):
    flags = ["-x", STANDARDS[standard], f"-std={standard}", *flags]
    if not compiles(compiler, *flags):
        pytest.skip(f"{compiler} lacks {' '.join(flags)}")
    activations = [*HIDDEN, "softmax"]
    net = network([3, *range(4, 4 + len(activations))], activations, dtype)
    for k, each in enumerate([net, network([4, 2], ["relu"], dtype, bias=False)]):
        source, program = tmp_path / f"{k}.c", tmp_path / f"{k}"
        x = np.random.default_rng(0).normal(size=(5, each.layers[0].n_in))
        each.to_c(source, batch=True, self_test=x)
        toolchain.compile_cleanly(compiler, *flags, *WARNINGS, "-c", source, "-o", tmp_path / "model.o")
        test = [*WARNINGS, "-DMODEL_SELF_TEST", source, "-x", "none", "-lm", "-o", program]
        toolchain.compile_cleanly(compiler, *flags, *test)
        assert toolchain.run(program).returncode == 0


@needs_compiler
@pytest.mark.parametrize("first", [0, *(pytest.param(first, marks=pytest.mark.slow) for first in range(10, 200, 10))])
@pytest.mark.parametrize("compiler", toolchain.EACH_COMPILER)
def test_to_c_of_random_networks_passes_its_self_test(tmp_path, compiler, first):
    for seed in range(first, first + 10):
        net, x = random_network(np.random.default_rng(seed))
        net.to_c(tmp_path / "model.c", self_test=x)
        toolchain.compile_cleanly(
            compiler, "-std=c99", *WARNINGS, "-DMODEL_SELF_TEST", tmp_path / "model.c", "-lm", "-o", tmp_path / "model"
        )
        assert toolchain.run(tmp_path / "model").returncode == 0, (seed, net)


@needs_compiler
def test_self_test_fails_with_the_number_of_the_row_that_is_wrong(tmp_path, dtype):
    net = network([2, 6, 2], ["gelu", "sigmoid"], dtype)
    x = np.array([[1, 2], [-1, 0.5], [0.25, -3]])
    net.to_c(tmp_path / "model.c", self_test=x)
    text = (tmp_path / "model.c").read_text()
    rows = re.search(r"_test_out\[3\]\[2\] = \{\n(.*?)\};", text, re.DOTALL).group(1)
    suffix = "f" if dtype == "float32" else ""
    for k, (_, right) in enumerate(net.predict(x)):
        other = right * dtype.type(1 + 2e3 * np.finfo(dtype).eps)
        wrong = rows.replace(f"{right!s}{suffix}", f"{other!s}{suffix}")
        assert wrong != rows
        (tmp_path / "wrong.c").write_text(text.replace(rows, wrong))
        command = [toolchain.COMPILERS[0], "-DMODEL_SELF_TEST", tmp_path / "wrong.c", "-lm", "-o", tmp_path / "wrong"]
        toolchain.compile_cleanly(*command)
        assert toolchain.run(tmp_path / "wrong").returncode == k + 1
    (tmp_path / "wrong.c").write_text(re.sub(r"(_test_x\[3\]\[2\] = \{\n    \{)1.0f?", r"\1NAN", text))
    toolchain.compile_cleanly(*command)
    assert toolchain.run(tmp_path / "wrong").returncode == 1


@needs_compiler
def test_self_test_without_rows_does_not_compile(tmp_path):
    network([2, 1], ["relu"]).to_c(tmp_path / "model.c")
    done = toolchain.run(toolchain.COMPILERS[0], "-DMODEL_SELF_TEST", "-c", tmp_path / "model.c", "-o", os.devnull)
    assert done.returncode != 0
    assert "there are no rows to test" in done.stderr


@needs_compiler
@pytest.mark.skipif(sys.platform != "linux", reason="reads the letters that nm prints for ELF")
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_to_c_needs_no_more_than_mathematics_and_keeps_no_state(tmp_path, dtype, activation):
    net = network([2, 3, 3], ["relu", activation], dtype)
    net.to_c(tmp_path / "model.c", batch=True)
    text = (tmp_path / "model.c").read_text()
    headers = re.findall(r"#include <(.*)>", re.sub(r"#if MODEL_USE_FMA.*?#endif", "", text, flags=re.DOTALL))
    assert headers == ["stddef.h"] if activation in EXACT else ["stddef.h", "math.h"]
    target = tmp_path / "model.o"
    flags = ["-std=c99", "-O2", "-fno-stack-protector", "-DMODEL_USE_FMA=0"]
    toolchain.compile_cleanly(toolchain.COMPILERS[0], *flags, "-c", tmp_path / "model.c", "-o", target)
    symbols = [line.split()[-2:] for line in toolchain.run("nm", target).stdout.splitlines()]
    kinds = {kind for kind, _ in symbols}
    assert kinds <= {"T", "t", "r", "R", "U"}  # no data that can be written: b, B, d, D, C
    assert {name.strip("_") for kind, name in symbols if kind == "T"} == {"model_predict", "model_predict_batch"}
    suffix = "f" if dtype == "float32" else ""
    allowed = {name + suffix for name in ("exp", "expm1", "log1p", "tanh", "erfc", "fabs")}
    allowed |= {"memset", "memcpy", "GLOBAL_OFFSET_TABLE"}  # what compilers make of loops
    assert {name.strip("_") for kind, name in symbols if kind == "U"} <= allowed


@needs_compiler
def test_to_c_uses_fma_where_the_compiler_has_it(tmp_path, dtype):
    if not compiles(toolchain.COMPILERS[0], "-x", "c", "-mfma"):
        pytest.skip("no x86-64")
    network([2, 1], ["relu"], dtype).to_c(tmp_path / "model.c")
    for compiler in toolchain.COMPILERS:
        for flags, uses in (["-mfma"], 1), ([], 0), (["-mfma", "-DMODEL_USE_FMA=0"], 0), (["-DMODEL_USE_FMA=1"], 1):
            done = toolchain.run(compiler, *flags, "-E", tmp_path / "model.c")
            assert len(re.findall(r"\bfmaf?\(\(x\[i\]\)", done.stdout)) == uses, (compiler, flags)


def test_to_c_is_the_same_text_from_both_backends(tmp_path, dtype):
    net = network([3, 4, 2], ["mish", "softplus"], dtype)
    for backend in "c", "numpy":
        net.copy(backend=backend).to_c(tmp_path / backend)
    assert (tmp_path / "c").read_bytes() == (tmp_path / "numpy").read_bytes()
    assert max(map(len, (tmp_path / "c").read_text().splitlines())) <= 150


def test_to_c_tells_shapes_and_sizes(tmp_path):
    net = network([3, 40, 5, 60, 2], ["tanh", "relu", "relu", "identity"], "float32", bias=False)
    net.to_c(tmp_path / "model.c")
    text = (tmp_path / "model.c").read_text()
    assert "layer 0: 3 inputs, 40 outputs, tanh, no bias\n" in text
    assert "(60 inputs, 2 outputs, no bias). */" in text
    assert f"{net.parameters.size} parameters take {net.parameters.nbytes} bytes" in text
    assert f"The stack holds {4 * (60 + 5)}\n * bytes" in text
    assert re.findall(r"float (even|odd)\[(\d+)\];", text) == [("even", "60"), ("odd", "5")]


# ---- docs/how_to/firmware.md -----------------------------------------------------------------------------------------


@needs_compiler
def test_page_on_firmware_is_right(tmp_path):
    code = pages.block(PAGE, "{file} train.py")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=600)
    assert (done.returncode, done.stderr) == (0, "")
    self_test = pages.block(PAGE, "{terminal}", after="firmware self-test")
    done = toolchain.run("sh", "-c", self_test.replace("cc ", f"{toolchain.COMPILERS[0]} "), cwd=tmp_path)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "right\n")
    (tmp_path / "app.c").write_text(pages.block(PAGE, "{file} app.c"))
    sources = [tmp_path / "app.c", tmp_path / "pump.c"]
    toolchain.compile_cleanly(toolchain.COMPILERS[0], "-std=c99", *WARNINGS, *sources, "-lm", "-o", tmp_path / "app")
    done = toolchain.run(tmp_path / "app")
    assert done.returncode == 0
    assert abs(float(done.stdout) - 0.5 * -0.8) < 0.02


# ---- What is refused -------------------------------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path):
    """A file that is there before, and must be there as before."""
    path = tmp_path / "model.c"
    path.write_text("kept")
    yield path
    assert path.read_text() == "kept"
    assert os.listdir(tmp_path) == ["model.c"]


@pytest.mark.parametrize("name", ["", "1st", "a b", "a-b", "_x", "x_", "a__b", "é", "x\n", "x;", "*/", "a" * 100 + "!"])
def test_to_c_refuses_names_that_are_no_identifiers(kept, name):
    with pytest.raises(ValueError, match=r"^name must be an identifier of C, not "):
        network([2, 1], ["relu"]).to_c(kept, name=name)


@pytest.mark.parametrize("name", ["int", "restrict", "nullptr", "class", "co_await", "typeof_unqual", "xor", "xor_eq"])
def test_to_c_refuses_keywords(kept, name):
    with pytest.raises(ValueError, match=rf"^name must not be '{name}', which is a keyword of C or C\+\+$"):
        network([2, 1], ["relu"]).to_c(kept, name=name)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": None}, TypeError, "name must be a string, not None"),
        ({"name": b"x"}, TypeError, "name must be a string, not b'x'"),
        ({"batch": "yes"}, TypeError, "batch must be"),
        ({"self_test": [[1, 2, 3]]}, ValueError, r"self_test has shape \(1, 3\), expected .*, 2\): .* n_in = 2"),
        ({"self_test": [1, 2]}, ValueError, r"self_test has shape \(2,\).*reshape\(1, -1\) has one row"),
        ({"self_test": np.empty((0, 2))}, ValueError, "there must be at least one sample"),
        ({"self_test": [["a", "b"]]}, TypeError, "self_test"),
        ({"self_test": [[1, 2], [1, np.nan]]}, ValueError, r"self_test holds nan \(row 1, column 1\)"),
        ({"self_test": [[1e300, 2]]}, ValueError, "self_test holds 1e\\+300 .* float32 cannot"),
        ({"self_test": np.ones((101, 2))}, ValueError, "self_test has 101 rows, and may have 100"),
        ({"self_test": [[3e38, 3e38]]}, ValueError, "the prediction for self_test's row 0, column 0 is inf"),
    ],
)
def test_to_c_refuses_bad_arguments(kept, arguments, error, message):
    net = network([2, 1], ["identity"], "float32")
    net.parameters = np.full(net.parameters.size, 3)
    with pytest.raises(error, match=message):
        net.to_c(kept, **arguments)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_to_c_refuses_parameters_that_are_not_finite(kept, dtype, value):
    net = network([3, 4, 2], ["relu", "identity"], dtype)
    net.layers[1].weight[2, 1] = value
    with pytest.raises(ValueError, match=rf"^layers\[1\]\.weight holds {value} \(row 2, column 1\); .* must be fin"):
        net.to_c(kept)
    net.layers[1].weight[2, 1], net.layers[0].bias[3] = 0, value
    with pytest.raises(ValueError, match=rf"^layers\[0\]\.bias holds {value} \(entry 3\); "):
        net.to_c(kept)


def test_to_c_refuses_paths_that_cannot_be_written(tmp_path):
    net = network([2, 1], ["relu"])
    with pytest.raises(FileNotFoundError):
        net.to_c(tmp_path / "missing" / "model.c")
    with pytest.raises(IsADirectoryError):
        net.to_c(tmp_path)
    with pytest.raises(FileNotFoundError):
        net.to_c("")
    with pytest.raises(TypeError):
        net.to_c(3.5)
    assert os.listdir(tmp_path) == []


# ---- The command line ------------------------------------------------------------------------------------------------


@pytest.fixture
def plainnet(capsys, monkeypatch, tmp_path):
    """Runs the command line in a directory of its own, in which there is a model: (exit status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    network([3, 40, 2], ["tanh", "identity"], "float32").save("model.safetensors")

    def run(*arguments):
        try:
            status = cli.main(arguments)
        except SystemExit as stop:
            status = stop.code
        return status, *capsys.readouterr()

    return run


def test_export_writes_what_to_c_writes(plainnet, tmp_path):
    status, out, err = plainnet("export", "model.safetensors", "--c", "model.c")
    assert (status, err) == (0, "")
    facts = "model_predict, float32: 968 bytes of constants, 160 bytes of results in between on the stack"
    assert facts in " ".join(out.split())
    assert f"Written    {tmp_path / 'model.c'}\n" in out
    pn.load("model.safetensors").to_c("expected.c")
    assert (tmp_path / "model.c").read_text() == (tmp_path / "expected.c").read_text()
    status, out, err = plainnet("export", "model.safetensors", "--c", "model.c", "--name", "pump", "--batch")
    assert (status, err) == (0, "")
    assert "pump_predict and pump_predict_batch" in out
    assert "void pump_predict_batch(" in (tmp_path / "model.c").read_text()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["model.safetensors"], 2, "the following arguments are required: --c"),
        (["model.safetensors", "--c", "out.c", "--name", "while"], 2, "argument --name: name must not be 'while'"),
        (["model.safetensors", "--c", "out.c", "--name", "a-b"], 2, "argument --name: name must be an identifier of C"),
        (["model.safetensors", "--c", "missing/out.c"], 2, "argument --c: missing: No such file or directory"),
        (["model.safetensors", "--c", "model.safetensors"], 2, "is the file that is read, and is never overwritten"),
        (["missing.safetensors", "--c", "out.c"], 1, "cannot read missing.safetensors: No such file or directory"),
        (["damaged", "--c", "out.c"], 1, "damaged: "),
    ],
)
def test_export_refuses_what_it_cannot_do(plainnet, tmp_path, arguments, status, message):
    (tmp_path / "damaged").write_bytes((tmp_path / "model.safetensors").read_bytes()[:-1])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    code, out, err = plainnet("export", *arguments)
    assert (code, out) == (status, "")
    assert message in err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
