"""C files with int8 weights: what they compute, what they tell of the accuracy that this costs, and what is refused."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

import plainnet as pn
from plainnet.activations import ACTIVATIONS

import pages
import toolchain
from test_to_c import HIDDEN, STANDARDS, WARNINGS, compiled, compiles, network, predict, random_network

needs_compiler = pytest.mark.skipif(not toolchain.COMPILERS, reason="needs a C compiler")


def export(net, path, calibration, **options):
    return net.to_c(path, weights="int8", calibration=calibration, **options)


def rows(net, n=200, seed=1):
    return np.random.default_rng(seed).normal(size=(n, net.layers[0].n_in))


# ---- What is computed ------------------------------------------------------------------------------------------------


@needs_compiler
@pytest.mark.parametrize("bias", [True, False])
def test_int8_rounds_each_column_to_its_own_scale(tmp_path, dtype, bias):
    """Of inputs of one size: weights become the nearest multiples of a 127th of their column's largest."""
    net = network([40, 5], ["identity"], dtype, bias)
    net.layers[0].weight *= [1e-9, 1, 1, 1e9, 0]
    net.layers[0].weight[:, 2] = np.linspace(-127, 127, 40).round()
    x = np.random.default_rng(0).uniform(-1, 1, (500, 40)) + 0.3
    result = export(net, tmp_path / "model.c", x)
    weight, rounded = net.layers[0].weight.astype("f8"), result.network.layers[0].weight.astype("f8")
    steps = np.abs(weight).max(axis=0) / 127
    assert (np.abs(rounded - weight) <= 0.5001 * steps).all()
    multiples = rounded / np.where(steps > 0, steps, 1)
    np.testing.assert_allclose(multiples, np.round(multiples), atol=127 * 4 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(rounded[:, [2, 4]], weight[:, [2, 4]])  # those that need no rounding
    out = predict(compiled(toolchain.COMPILERS[0], tmp_path / "model.c"), net, x)
    assert (np.abs(out - result.network.predict(x)) <= 100 * np.finfo(dtype).eps * (127 * steps + bias)).all()
    if not bias:  # biases of about 1 hide the digits of the first column's outputs
        rms = np.sqrt(((out.astype("f8") - net.predict(x)) ** 2).mean(axis=0))[[0, 1, 3]]
        # That of errors uniform within half a step, as the root of the mean of the inputs' squares is 0.65.
        expected = 0.65 * np.sqrt(40 / 12) * steps[[0, 1, 3]]
        assert ((rms > expected / 2) & (rms < expected * 2)).all()


@needs_compiler
def test_int8_bias_takes_over_the_mean_of_what_rounding_adds(tmp_path, dtype):
    """Inputs far from 0: rounded weights alone would shift all outputs by the errors of many weights, times 50."""
    net = network([30, 4, 2], ["relu", "identity"], dtype)
    net.layers[0].bias -= 50 * net.layers[0].weight.sum(axis=0)
    x = 50 + np.random.default_rng(0).normal(size=(1000, 30))
    result = export(net, tmp_path / "model.c", x)
    out = predict(compiled(toolchain.COMPILERS[0], tmp_path / "model.c"), net, x).astype("f8")
    expected = net.predict(x).astype("f8")
    # The last layer's bias makes the mean exact, but for rounding errors of sums of terms up to 50.
    np.testing.assert_allclose(out.mean(axis=0), expected.mean(axis=0), rtol=0, atol=50 * 50 * np.finfo(dtype).eps)
    shifted = result.network.copy()
    for layer, own in zip(shifted.layers, net.layers):
        layer.bias[:] = own.bias
    assert np.abs(shifted.predict(x) - expected).max() > 5 * np.abs(out - expected).max()


@needs_compiler
def test_int8_keeps_inputs_of_very_different_sizes(tmp_path, dtype):
    """As `fold` makes them of columns that were scaled: one scale for all would round most weights to 0."""
    rng = np.random.default_rng(0)
    scaled = rng.normal(size=(800, 3))
    net = network([3, 24, 1], ["tanh", "identity"], dtype)
    mean, scale = [0, 3e3, -2], [1e-4, 1e3, 1]
    folded = net.fold(mean, scale)
    x = scaled * scale + mean
    result = export(folded, tmp_path / "model.c", x)
    as_scaled = export(net, tmp_path / "scaled.c", scaled)
    assert result.loss.rms < 2 * as_scaled.loss.rms
    assert result.loss.rms < 0.03 * result.loss.spread
    out = predict(compiled(toolchain.COMPILERS[0], tmp_path / "model.c"), net, x)
    assert np.sqrt(np.mean((out - folded.predict(x)) ** 2)) == pytest.approx(result.loss.rms, rel=0.01)


@needs_compiler
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_int8_of_each_activation_is_the_network_that_is_returned(tmp_path, dtype, activation):
    net = network([6, 9, 4], ["tanh", activation], dtype)
    x = rows(net)
    result = export(net, tmp_path / "model.c", x, batch=True)
    out = predict(compiled(toolchain.COMPILERS[0], tmp_path / "model.c"), net, x, "model_predict_batch")
    np.testing.assert_allclose(out, result.network.predict(x), rtol=0, atol=200 * np.finfo(dtype).eps)
    difference = (result.network.predict(x).astype("f8") - net.predict(x)).astype("f8")
    assert result.loss.largest == np.abs(difference).max() > 1e-4
    assert result.loss.rms == pytest.approx(np.sqrt(np.mean(difference**2)))
    assert result.loss.rms < 0.1


@needs_compiler
@pytest.mark.parametrize("first", [0, *(pytest.param(first, marks=pytest.mark.slow) for first in range(10, 200, 10))])
@pytest.mark.parametrize("compiler", toolchain.EACH_COMPILER)
def test_int8_of_random_networks_passes_its_self_test(tmp_path, compiler, first):
    for seed in range(first, first + 10):
        net, x = random_network(np.random.default_rng(seed))
        export(net, tmp_path / "model.c", rows(net, 50), self_test=x)
        toolchain.compile_cleanly(
            compiler, "-std=c99", *WARNINGS, "-DMODEL_SELF_TEST", tmp_path / "model.c", "-lm", "-o", tmp_path / "model"
        )
        assert toolchain.run(tmp_path / "model").returncode == 0, (seed, net)


@needs_compiler
@pytest.mark.parametrize("standard", STANDARDS)
@pytest.mark.parametrize("compiler", toolchain.EACH_COMPILER)
def test_int8_compiles_without_a_warning_and_passes_its_self_test(tmp_path, dtype, compiler, standard):
    flags = ["-x", STANDARDS[standard], f"-std={standard}"]
    if not compiles(compiler, *flags):
        pytest.skip(f"{compiler} lacks {' '.join(flags)}")
    net = network([3, *range(4, 5 + len(HIDDEN))], [*HIDDEN, "softmax"], dtype)
    scaled = rows(net, 30) * [1, 1e3, 1e-3]
    for k, (each, x) in enumerate([(net, scaled), (network([4, 2], ["relu"], dtype, bias=False), np.ones((3, 4)))]):
        export(each, tmp_path / f"{k}.c", x, batch=True, self_test=x[:5])
        test = [*WARNINGS, "-DMODEL_SELF_TEST", tmp_path / f"{k}.c", "-x", "none", "-lm", "-o", tmp_path / f"{k}"]
        toolchain.compile_cleanly(compiler, *flags, *test)
        assert toolchain.run(tmp_path / f"{k}").returncode == 0


@needs_compiler
def test_int8_self_test_notices_a_weight_that_is_one_off(tmp_path, dtype):
    net = network([4, 3, 2], ["tanh", "identity"], dtype)
    export(net, tmp_path / "model.c", rows(net), self_test=rows(net, 3, seed=2))
    text = (tmp_path / "model.c").read_text()
    wrong = re.sub(r"(int8_t model_weight_1\[3\]\[2\] = \{\n    \{)(-?\d+)", lambda m: f"{m[1]}{int(m[2]) - 1}", text)
    assert wrong != text
    for source, status in (text, 0), (wrong, 1):
        (tmp_path / "model.c").write_text(source)
        command = [toolchain.COMPILERS[0], "-DMODEL_SELF_TEST", tmp_path / "model.c", "-lm", "-o", tmp_path / "model"]
        toolchain.compile_cleanly(*command)
        assert toolchain.run(tmp_path / "model").returncode == status


@needs_compiler
def test_int8_of_weights_that_are_0_or_tiny(tmp_path, dtype):
    """A column of zeros stays one; the scale of subnormal weights is rounded, and no weight leaves its range."""
    net = network([3, 4, 2], ["identity", "identity"], dtype)
    tiny = np.finfo(dtype).smallest_subnormal
    net.layers[0].weight[:] = [[0, tiny, 40 * tiny, 1], [0, 0, -70 * tiny, 0], [0, 0, 3 * tiny, 0]]
    result = export(net, tmp_path / "model.c", np.eye(3))
    numbers = re.findall(
        r"-?\d+", re.search(r"weight_0\[3\]\[4\] = (.*?);", (tmp_path / "model.c").read_text(), re.S)[1]
    )
    assert max(abs(int(number)) for number in numbers) == 127
    assert not result.network.layers[0].weight[:, 0].any()
    out = predict(compiled(toolchain.COMPILERS[0], tmp_path / "model.c"), net, np.eye(3))
    np.testing.assert_allclose(out, net.predict(np.eye(3)), rtol=0.02, atol=0.02)


def test_int8_is_the_same_text_from_both_backends_but_for_what_it_tells(tmp_path, dtype):
    net = network([3, 4, 2], ["mish", "softplus"], dtype)
    texts = []
    for backend in "c", "numpy":
        export(net.copy(backend=backend), tmp_path / backend, rows(net))
        texts.append((tmp_path / backend).read_text())
    assert texts[0] == texts[1]
    assert max(map(len, texts[0].splitlines())) <= 150


def test_int8_does_not_depend_on_how_rows_are_cut(tmp_path, dtype):
    """More rows than pass at a time; each is there three times, so the means are those of the first third."""
    net = network([3, 4, 2], ["tanh", "relu"], dtype)
    x = rows(net, 3000)
    export(net, tmp_path / "a.c", x)
    export(net, tmp_path / "b.c", np.concatenate([x, x, x]))

    def weights(file):
        return re.findall(r"int8_t.*?;", (tmp_path / file).read_text(), re.S)

    assert weights("a.c") == weights("b.c")
    assert len(weights("a.c")) == 2


# ---- What it tells ---------------------------------------------------------------------------------------------------


def test_int8_tells_sizes_and_what_is_lost(tmp_path):
    net = network([20, 10, 3], ["tanh", "identity"], "float32")
    result = export(net, tmp_path / "model.c", rows(net))
    n_bytes = 20 * 10 + 10 * 3 + 4 * 2 * (10 + 3)  # a scale and a bias for each output
    assert result.constants_bytes in (n_bytes, n_bytes + 4 * 20)  # and for each input, if those differ
    assert result.stack_bytes == 40
    text = " ".join((tmp_path / "model.c").read_text().replace("\n *", " ").split())
    assert f"The 243 parameters take {result.constants_bytes} bytes of constants." in text
    assert str(result.loss)[1:] in text
    assert str(result.loss).startswith("in 200 rows of calibration data, outputs differ from those with exact weights")
    assert result.loss.n_same is None


def test_exact_weights_lose_nothing(tmp_path):
    net = network([20, 10, 3], ["tanh", "identity"], "float32")
    result = net.to_c(tmp_path / "model.c")
    assert (result.constants_bytes, result.stack_bytes, result.loss) == (net.parameters.nbytes, 40, None)
    np.testing.assert_array_equal(result.network.parameters, net.parameters)


def test_int8_tells_how_many_classes_stay(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 2))
    labels = (x[:, 0] > 0).astype(int) + (x[:, 1] > 0)
    net = pn.Network([pn.Dense(2, 8, "tanh"), pn.Dense(8, 3, "softmax")], "cross_entropy", seed=0)
    net.fit(x, labels, epochs=2, batch_size=20)
    loss = export(net, tmp_path / "model.c", x).loss
    rounded = export(net, tmp_path / "model.c", x).network
    assert loss.n_same == (net.predict(x).argmax(axis=1) == rounded.predict(x).argmax(axis=1)).sum()
    assert 3800 <= loss.n_same < 4000  # some rows lie close to a boundary
    assert f"the class is the same in {loss.n_same} rows, {loss.n_same / 40:.4g} %" in str(loss)
    net = pn.Network([pn.Dense(2, 8, "tanh"), pn.Dense(8, 1, "sigmoid")], "log_loss", seed=0)
    result = export(net, tmp_path / "model.c", x)
    assert result.loss.n_same == ((net.predict(x) > 0.5) == (result.network.predict(x) > 0.5)).sum()


@needs_compiler
def test_page_on_firmware_prints_what_it_says(tmp_path):
    code = pages.block("how_to/firmware.md", "{file} int8.py")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=600)
    assert (done.returncode, done.stderr) == (0, "")
    difference = float(re.search(r"in 500 rows of calibration data, .* at most (\S+),", done.stdout)[1])
    assert 0 < difference < 0.005
    command = [toolchain.COMPILERS[0], "-DPUMP_SELF_TEST", tmp_path / "pump.c", "-lm", "-o", tmp_path / "self_test"]
    toolchain.compile_cleanly(*command)
    assert toolchain.run(tmp_path / "self_test").returncode == 0


# ---- What is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"weights": "int4"}, ValueError, "unknown weights 'int4'; allowed are 'exact', 'int8'"),
        ({"weights": None}, ValueError, "unknown weights None"),
        ({"calibration": None}, ValueError, r"weights='int8' needs calibration, rows \(n_samples, n_in\)"),
        ({"weights": "exact"}, ValueError, "calibration is for weights='int8', and weights is 'exact'"),
        ({"calibration": [[1, 2, 3]]}, ValueError, r"calibration has shape \(1, 3\), expected .*, 2\): .* n_in = 2"),
        ({"calibration": [1, 2]}, ValueError, r"calibration has shape \(2,\).*reshape\(1, -1\) has one row"),
        ({"calibration": np.empty((0, 2))}, ValueError, r"calibration has shape \(0, 2\): there must be at least one"),
        ({"calibration": [["a", "b"]]}, TypeError, "calibration"),
        ({"calibration": [[1, 2], [np.nan, 1]]}, ValueError, r"calibration holds nan \(row 1, column 0\); .* finite"),
        ({"calibration": [[1, 2], [1, -np.inf]]}, ValueError, r"calibration holds -inf \(row 1, column 1\); .* finite"),
        ({"calibration": [[1e300, 2]]}, ValueError, "calibration holds 1e\\+300 .* float32 cannot"),
        ({"calibration": [[3e38, 3e38]]}, ValueError, "the prediction for calibration's row 0, column 0 is inf"),
        ({"self_test": [[3e37, 3e37]]}, ValueError, "the error of the prediction for self_test's row 0"),
    ],
)  # fmt: skip
def test_int8_refuses_bad_arguments(tmp_path, arguments, error, message):
    net = network([2, 1], ["identity"], "float32")
    net.parameters = np.full(net.parameters.size, 3)
    (tmp_path / "model.c").write_text("kept")
    with pytest.raises(error, match=message):
        net.to_c(tmp_path / "model.c", **{"weights": "int8", "calibration": np.eye(2), **arguments})
    assert (tmp_path / "model.c").read_text() == "kept"
    assert os.listdir(tmp_path) == ["model.c"]


def test_int8_refuses_weights_that_overflow_when_they_are_rounded(tmp_path):
    """The scale of the largest number is rounded up, and 127 times as much is no number any more."""
    net = network([2, 2, 1], ["relu", "relu"], "float32", bias=False)
    net.layers[0].weight[0, 0] = np.finfo("float32").max
    net.layers[1].weight[:] = 1e-30
    with pytest.raises(ValueError, match=r"^layers\[0\] has a weight or a bias that overflows in float32"):
        export(net, tmp_path / "model.c", np.eye(2))
    assert os.listdir(tmp_path) == []
