"""Who owns which memory, for how long, and what happens where arguments share it or lie at odd addresses."""

import gc
import pickle
import weakref

import numpy as np
import pytest

import plainnet as pn

import textbook
from test_inputs import misaligned, strided

LAYERS = [(3, 5, "tanh", True), (5, 2, "sigmoid", True)]


def data(n_rows, dtype):
    rng = np.random.default_rng(n_rows)
    return rng.standard_normal((n_rows, 3)).astype(dtype), rng.random((n_rows, 2)).astype(dtype)


# ---- What C points to lives as long as C may use it ------------------------------------------------------------------


class RecordingFFI:
    """cffi's ffi, with weak references to the descriptions that the C backend makes."""

    def __init__(self, ffi):
        self._ffi = ffi
        self.made = []

    def new(self, kind, *arguments):
        result = self._ffi.new(kind, *arguments)
        name = kind if isinstance(kind, str) else kind.cname
        if name.startswith(("pn_layer", "pn_network")):
            self.made.append(weakref.ref(result))
        return result

    def __getattr__(self, name):
        return getattr(self._ffi, name)


@pytest.fixture
def descriptions(monkeypatch):
    recording = RecordingFFI(pn.native.ffi)
    monkeypatch.setattr(pn.native, "ffi", recording)
    monkeypatch.setattr(pn.native, "_new", recording.new)
    return recording.made


@pytest.mark.parametrize("holder", ["network", "model", "small calls"])
def test_description_of_the_layers_lives_as_long_as_what_uses_it(c_backend, dtype, descriptions, holder):
    """Freed memory often still holds what was there, so that results alone would not tell."""
    net = textbook.network(LAYERS, "log_loss", seed=1, dtype=dtype, backend=c_backend)
    assert len(descriptions) >= 2  # the layers, and the network that points to them
    kept = {"network": net, "model": net._model, "small calls": net._small}[holder]
    del net
    gc.collect()
    assert all(made() is not None for made in descriptions)
    del kept
    gc.collect()
    assert all(made() is None for made in descriptions)


@pytest.mark.parametrize("make", [pn.Network.copy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_own_a_description_of_their_layers(c_backend, dtype, descriptions, make):
    net = textbook.network(LAYERS, "log_loss", seed=1, dtype=dtype, backend=c_backend)
    n_of_one = len(descriptions)
    twin = make(net)
    assert len(descriptions) == 2 * n_of_one
    del net
    gc.collect()
    assert all(made() is not None for made in descriptions[n_of_one:])
    assert twin.predict(data(2, dtype)[0]).shape == (2, 2)


@pytest.mark.parametrize("holder", ["model", "small calls"])
def test_parameters_live_as_long_as_what_uses_them(c_backend, dtype, holder):
    net = textbook.network(LAYERS, "log_loss", seed=1, dtype=dtype, backend=c_backend)
    parameters = weakref.ref(net.parameters)
    kept = {"model": net._model, "small calls": net._small}[holder]
    del net
    gc.collect()
    assert parameters() is not None
    del kept
    gc.collect()
    assert parameters() is None


# ---- Views of the parameters as data: their values from before the call ----------------------------------------------

SQUARE = [(2, 2, "tanh", False)]

CALLS = {
    "train_on_batch": lambda net, x, y: net.train_on_batch(x, y, 0.5),
    "fit": lambda net, x, y: net.fit(x, y, 3, 0.5).loss.tolist(),
    "fit in batches": lambda net, x, y: net.fit(x, y, 3, 0.5, batch_size=1, shuffle=False).loss.tolist(),
    "fit in shuffled batches": lambda net, x, y: net.fit(x, y, 3, 0.5, batch_size=1).loss.tolist(),
    "evaluate": lambda net, x, y: net.evaluate(x, y),
    "loss_and_gradient": lambda net, x, y: [part.tolist() for part in map(np.asarray, net.loss_and_gradient(x, y))],
}

VIEWS = {
    "weight": lambda net: net.layers[0].weight,
    "parameters": lambda net: net.parameters.reshape(2, 2),
    "reversed": lambda net: net.parameters[::-1].reshape(2, 2),
    "transposed": lambda net: net.layers[0].weight.T,
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("shared", ["x", "y", "both"])
@pytest.mark.parametrize("other", ["array", "list"])  # a list takes the general path
def test_views_of_the_parameters_count_as_they_were(backend, dtype, call, view, shared, other):
    net, twin = (textbook.network(SQUARE, "mean_squared_error", seed=3, dtype=dtype, backend=backend) for _ in range(2))
    plain = np.array([[0.25, -0.5], [1.0, 0.125]], dtype)
    mine, kept = VIEWS[view](net), VIEWS[view](net).copy()
    plain = plain.tolist() if other == "list" else plain
    x, y = (mine if shared in (name, "both") else plain for name in "xy")
    expected_x, expected_y = (kept if shared in (name, "both") else plain for name in "xy")
    assert CALLS[call](net, x, y) == CALLS[call](twin, expected_x, expected_y)
    np.testing.assert_array_equal(net.parameters, twin.parameters)


# ---- Results at odd addresses ----------------------------------------------------------------------------------------

PLACES = {"misaligned": misaligned, "strided": strided, "fortran": np.asfortranarray}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", textbook.KERNELS)
def test_kernels_write_to_any_array(kernels, dtype, place, name):
    z, grad_a = np.linspace(-3, 3, 2 * 21).reshape(2, 7, 3).astype(dtype)
    forward, backward = getattr(kernels, name), getattr(kernels, f"{name}_backward")
    expected = forward(z)
    out = PLACES[place](np.full((7, 3), np.nan, dtype))
    assert forward(z, out=out) is out
    np.testing.assert_array_equal(out, expected)
    expected = backward(z, grad_a)
    out = PLACES[place](np.full((7, 3), np.nan, dtype))
    assert backward(z, grad_a, out=out) is out
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("place", PLACES)
def test_layers_write_to_any_array(kernels, dtype, place):
    x, weight, bias = (np.linspace(-1, 2, n).astype(dtype) for n in (21, 6, 2))
    x, weight = x.reshape(7, 3), weight.reshape(3, 2)
    expected = kernels.dense_forward(x, weight, bias, "tanh")
    out = PLACES[place](np.full((7, 2), np.nan, dtype))
    assert kernels.dense_forward(x, weight, bias, "tanh", out=out) is out
    np.testing.assert_array_equal(out, expected)

    grad_a = expected[::-1].copy()
    gradients = kernels.dense_backward(x, weight, expected, grad_a, "tanh")
    for odd in range(3):  # each of the three outputs
        outs = [np.full(gradient.shape, np.nan, dtype) for gradient in gradients]
        outs[odd] = PLACES[place](outs[odd]) if odd < 2 else misaligned(outs[odd])
        result = kernels.dense_backward(x, weight, expected, grad_a, "tanh", out=tuple(outs))
        for out, returned, gradient in zip(outs, result, gradients):
            assert returned is out
            np.testing.assert_array_equal(out, gradient)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("n_rows", [1, 3, 200])
def test_predict_writes_to_any_array(backend, dtype, place, n_rows):
    net = textbook.network(LAYERS, "log_loss", seed=1, dtype=dtype, backend=backend)
    x, _ = data(n_rows, dtype)
    out = PLACES[place](np.full((n_rows, 2), np.nan, dtype))
    assert net.predict(x, out=out) is out
    np.testing.assert_array_equal(out, net.predict(x))
