"""Networks as ONNX models: ONNX Runtime computes the same, and what is refused leaves no file."""

import os
import re

import numpy as np
import pytest

import plainnet as pn
from plainnet.activations import ACTIVATIONS
from plainnet.exchange import onnx as exporter

from random_networks import HIDDEN, N_NETWORKS, data_for, random_network

onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'plainnet[onnx]'")
ort = pytest.importorskip("onnxruntime", reason="the oracle is ONNX Runtime, which is not installed")

#: Of the largest output.
TOLERANCE = {"float64": 1e-12, "float32": 1e-6}


def session(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])


def run(path, x):
    return session(path).run(["output"], {"input": x})[0]


@pytest.mark.parametrize("seed", range(N_NETWORKS))
def test_random_network_agrees_in_onnx_runtime(tmp_path, seed):
    net, path = random_network(seed), tmp_path / "model.onnx"
    net.to_onnx(path)
    onnx.checker.check_model(str(path), full_check=True)
    runtime = session(path)
    for n_rows in 1, 9:
        x, _ = data_for(net, seed, n_rows)
        found = runtime.run(None, {"input": x})[0]
        for ours in net, net.copy(backend="numpy"):
            expected = ours.predict(x)
            assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
            assert np.abs(found - expected).max() <= TOLERANCE[net.dtype.name] * np.abs(expected).max()


@pytest.mark.parametrize("activation", HIDDEN)
def test_activation_agrees_from_the_far_left_to_the_far_right(tmp_path, dtype, activation):
    """Tiny results have their digits, too: rounding of `z` squared takes from those of gelu far to the left."""
    net = pn.Network([pn.Dense(1, 1, activation, bias=False)], dtype=dtype, init=[1])
    net.to_onnx(tmp_path / "model.onnx")
    z = np.concatenate(
        [np.linspace(-60, 60, 4001), [0.0], 10.0 ** np.arange(-30, 31, 5), -(10.0 ** np.arange(-30, 31, 5))]
    )
    x = z[:, None].astype(dtype)
    found, expected = run(tmp_path / "model.onnx", x), net.predict(x)
    rtol, atol = (2e-13, 1e-300) if dtype == np.float64 else (2e-6, 1e-12)
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)


@pytest.mark.parametrize("activation", HIDDEN)
def test_activation_of_values_that_overflow_is_that_of_the_network(tmp_path, dtype, activation):
    largest = np.finfo(dtype).max
    net = pn.Network([pn.Dense(1, 1, "identity", False), pn.Dense(1, 1, activation, False)], dtype=dtype, init=[4, 1])
    net.to_onnx(tmp_path / "model.onnx")
    x = np.array([[largest], [-largest]], dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        expected = net.predict(x)
    np.testing.assert_allclose(run(tmp_path / "model.onnx", x), expected, rtol=1e-6)


@pytest.mark.parametrize("bias", [True, False])
def test_model_has_the_names_and_the_sizes_that_are_said(tmp_path, dtype, bias):
    net = pn.Network([pn.Dense(3, 4, "relu", bias, dropout=0.5), pn.Dense(4, 2, bias=bias)], seed=0, dtype=dtype)
    net.to_onnx(tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    assert (model.producer_name, model.producer_version) == ("plainnet", pn.__version__)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", exporter.OPSET)]
    layer = "Gemm" if bias else "MatMul"
    assert [node.op_type for node in model.graph.node] == [layer, "Relu", layer, "Identity"]
    for value, name, width in (model.graph.input[0], "input", 3), (model.graph.output[0], "output", 2):
        rows, columns = value.type.tensor_type.shape.dim
        assert (value.name, rows.dim_param, columns.dim_value) == (name, "n_samples", width)
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert stored["layers.1.weight"].dtype == dtype
    np.testing.assert_array_equal(stored["layers.1.weight"], net.layers[1].weight)


def test_every_activation_has_its_nodes():
    assert list(exporter.ACTIVATIONS) == list(ACTIVATIONS)


# ---- What is refused -------------------------------------------------------------------------------------------------


def network():
    return pn.Network([pn.Dense(2, 3, "tanh"), pn.Dense(3, 1)], seed=0)


@pytest.mark.parametrize(("view", "name"), [("weight", "layers[1].weight"), ("bias", "layers[1].bias")])
def test_parameters_that_are_not_finite_are_refused_and_the_file_stays(tmp_path, view, name):
    path, net = tmp_path / "model.onnx", network()
    path.write_bytes(b"before")
    getattr(net.layers[1], view)[...] = np.nan
    with pytest.raises(ValueError, match=re.escape(f"{name} holds NaN or infinity; parameters must be finite")):
        net.to_onnx(path)
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("model.onnx", b"before")]


def test_network_that_is_too_large_for_a_file_is_refused_with_the_figures(tmp_path, monkeypatch):
    monkeypatch.setattr(exporter, "_MOST_BYTES", 103)
    with pytest.raises(ValueError, match=r"parameters take 104 bytes, .* has 103 for them: make it smaller"):
        network().to_onnx(tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "error"), [("", FileNotFoundError), ("missing/model.onnx", FileNotFoundError), (".", IsADirectoryError)]
)
def test_path_that_cannot_be_written_is_refused(tmp_path, monkeypatch, path, error):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error):
        network().to_onnx(path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", [None, 3])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(TypeError, match="PathLike"):
        network().to_onnx(path)
