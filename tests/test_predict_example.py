"""examples/predict.c: compiles without warnings, runs a model file with the bits of net.predict, and refuses others."""

import re

import numpy as np
import pytest

import plainnet as pn
from plainnet import native

import toolchain

pytestmark = pytest.mark.skipif(not toolchain.COMPILERS, reason="needs a C compiler")


@pytest.fixture(scope="module", params=toolchain.EACH_COMPILER)
def predict(request, tmp_path_factory):
    target = tmp_path_factory.mktemp("predict") / "predict"
    return toolchain.build(request.param, toolchain.ROOT / "examples" / "predict.c", target, *toolchain.FLAGS)


@pytest.fixture(params=native.available_isas())
def isa(request):
    before = native.isa()
    native.set_isa(request.param)
    yield request.param
    native.set_isa(before)


def rows(x):
    return "\n".join(" ".join(map(repr, row)) for row in x.tolist())


def predicted(program, path, x, isa):
    done = toolchain.run(program, path, input=rows(x), environment={"PLAINNET_ISA": isa})
    assert done.returncode == 0, done.stderr
    return np.array([[float(number) for number in line.split()] for line in done.stdout.splitlines()])


@pytest.mark.parametrize("training", [False, True])
def test_predict_example_has_the_bits_of_predict(predict, tmp_path, isa, dtype, training):
    layers = [pn.Dense(5, 9, "gelu", dropout=0.2), pn.Dense(9, 33, "leaky_relu", bias=False), pn.Dense(33, 2)]
    net = pn.Network(layers, seed=3, dtype=dtype, optimizer=pn.Adam())
    x = np.random.default_rng(0).normal(size=(7, 5))
    net.fit(x, x[:, :2], 3)
    net.save(tmp_path / "model.safetensors", training)
    expected = np.concatenate([net.predict(row) for row in x[:, None]])
    np.testing.assert_array_equal(predicted(predict, tmp_path / "model.safetensors", x, isa), expected)


@pytest.mark.parametrize("activation", pn.activations.ACTIVATIONS)
def test_predict_example_knows_all_activations(predict, tmp_path, activation):
    loss = "cross_entropy" if activation == "softmax" else "mean_squared_error"
    net = pn.Network([pn.Dense(3, 4, "tanh"), pn.Dense(4, 3, activation)], loss, seed=3)
    net.save(tmp_path / "model.safetensors")
    x = np.random.default_rng(0).normal(size=(1, 3))
    np.testing.assert_array_equal(predicted(predict, tmp_path / "model.safetensors", x, native.isa()), net.predict(x))


def test_predict_example_has_twelve_layers_in_their_order(predict, tmp_path):
    """layers.10 comes before layers.2 in the file."""
    net = pn.Network([pn.Dense(2, 2, name) for name in ["tanh", "relu", "selu"] * 4], seed=1)
    net.save(tmp_path / "model.safetensors")
    x = np.random.default_rng(0).normal(size=(1, 2))
    np.testing.assert_array_equal(predicted(predict, tmp_path / "model.safetensors", x, native.isa()), net.predict(x))


def test_predict_example_survives_every_truncation(predict, tmp_path):
    path = tmp_path / "model.safetensors"
    net = pn.Network([pn.Dense(1, 1, "tanh"), pn.Dense(1, 1)], seed=1)
    net.save(path)
    content = path.read_bytes()
    for length in [0, 7, 8, *range(9, len(content), 41), len(content) - 1]:
        path.write_bytes(content[:length])
        done = toolchain.run(predict, path, input="1")
        assert (done.returncode, done.stdout) == (1, ""), length
        assert re.fullmatch("predict: .*\n", done.stderr)


@pytest.mark.parametrize(("stdin", "words"), [("1 2 3", "too few"), ("1 2 x", "no number")])
def test_predict_example_refuses_wrong_rows(predict, tmp_path, stdin, words):
    pn.Network([pn.Dense(2, 1)], seed=1).save(tmp_path / "model")
    done = toolchain.run(predict, tmp_path / "model", input=stdin)
    assert done.returncode == 1
    assert words in done.stderr


def test_predict_example_explains_itself(predict):
    done = toolchain.run(predict)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: predict" in done.stderr
