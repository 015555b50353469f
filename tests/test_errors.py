"""Bad input: a clear error, the same from both backends, and nothing changed."""

import inspect
import pickle
from fractions import Fraction

import numpy as np
import pytest

import plainnet as pn
from plainnet.activations import ACTIVATIONS

import textbook

LAYERS = [(3, 5, "tanh", True), (5, 2, "sigmoid", True)]


class World:
    """A network and arrays to hand to it; `state` is everything that a failing call must leave alone."""

    def __init__(self, backend, dtype="float64"):
        rng = np.random.default_rng(7)
        self.net = textbook.network(LAYERS, "log_loss", seed=3, backend=backend, dtype=dtype)
        self.x, self.y = rng.standard_normal((7, 3)).astype(dtype), rng.random((7, 2)).astype(dtype)
        self.out = np.full((7, 2), np.nan, dtype)
        self.k = pn.reference if backend == "numpy" else pn.kernels

    def state(self):
        arrays = [self.net.parameters, self.x, self.y, self.out]
        return [array.tobytes() for array in arrays], self.net.epochs_trained, pickle.dumps(self.net)


def changed(array, value, place=(2, 1)):
    array = array.copy()
    array[place] = value
    return array


def locked(array):
    array.flags.writeable = False
    return array


X, Y = ValueError, TypeError  # short names for the table

#: name: (call on a World, exception, what its message must hold: both shapes, or what is allowed)
CALLS = {
    # shapes
    "x-1d": (lambda w: w.net.predict(w.x[0]), X, ["(3,)", "(n_samples, 3)"]),
    "x-3d": (lambda w: w.net.predict(w.x[None]), X, ["(1, 7, 3)", "(n_samples, 3)"]),
    "x-0d": (lambda w: w.net.predict(1.0), X, ["()", "(n_samples, 3)"]),
    "x-features": (lambda w: w.net.predict(w.x[:, :2]), X, ["(7, 2)", "n_in = 3"]),
    "x-transposed": (lambda w: w.net.fit(w.x.T, w.y), X, ["(3, 7)", "(n_samples, 3)"]),
    "x-no-features": (lambda w: w.net.predict(np.empty((7, 0))), X, ["(7, 0)", "(n_samples, 3)"]),
    "y-features": (lambda w: w.net.fit(w.x, w.y[:, :1]), X, ["(7, 1)", "n_out = 2"]),
    "y-1d": (lambda w: w.net.fit(w.x, w.y[:, 0]), X, ["(7,)", "(n_samples, 2)"]),
    "rows-differ": (lambda w: w.net.fit(w.x[:6], w.y), X, ["(6, 3)", "(7, 2)"]),
    "rows-differ-batch": (lambda w: w.net.train_on_batch(w.x, w.y[:6]), X, ["(7, 3)", "(6, 2)"]),
    "rows-differ-gradient": (lambda w: w.net.loss_and_gradient(w.x, w.y[:6]), X, ["(7, 3)", "(6, 2)"]),
    "no-samples-predict": (lambda w: w.net.predict(w.x[:0]), X, ["(0, 3)", "at least one sample"]),
    "no-samples-fit": (lambda w: w.net.fit(w.x[:0], w.y[:0]), X, ["(0, 3)", "at least one sample"]),
    "no-samples-batch": (lambda w: w.net.train_on_batch(w.x[:0], w.y[:0]), X, ["(0, 3)", "at least one sample"]),
    "empty-list": (lambda w: w.net.predict([]), X, ["(0,)", "(n_samples, 3)"]),
    "ragged": (lambda w: w.net.predict([[1, 2, 3], [4, 5]]), X, ["x", "rectangular"]),
    # values
    **{
        f"{value}-in-{name}-{call}": (
            lambda w, value=value, name=name, call=call: getattr(w.net, call)(
                changed(w.x, value) if name == "x" else w.x, changed(w.y, value) if name == "y" else w.y
            ), X, [name, str(value), "row 2", "column 1", "finite"],
        )
        for value in (np.nan, np.inf, -np.inf)
        for name in "xy"
        for call in ("fit", "train_on_batch", "loss_and_gradient")
    },
    "nan-and-no-epochs": (lambda w: w.net.fit(changed(w.x, np.nan), w.y, epochs=0), X, ["nan", "finite"]),
    "nan-mini-batches": (lambda w: w.net.fit(changed(w.x, np.nan), w.y, epochs=3, batch_size=2), X, ["nan", "finite"]),
    "target-above-1": (lambda w: w.net.fit(w.x, changed(w.y, 1.5)), X, ["y", "1.5", "row 2", "[0, 1]"]),
    "target-below-0": (lambda w: w.net.train_on_batch(w.x, changed(w.y, -0.5)), X, ["y", "-0.5", "log_loss", "[0, 1]"]),
    "target-gradient": (lambda w: w.net.loss_and_gradient(w.x, changed(w.y, 2)), X, ["y", "2.0", "[0, 1]"]),
    # kinds of array
    **{
        f"{kind}-{name}": (
            lambda w, kind=kind, name=name: w.net.fit(
                w.x.astype(kind) if name == "x" else w.x, w.y.astype(kind) if name == "y" else w.y
            ), Y, [name, {"str": "<U", "bytes": "|S"}.get(kind, kind), "real numbers"],
        )
        for kind in ("complex128", "object", "str", "bytes") for name in "xy"
    },
    "datetime": (lambda w: w.net.predict(np.zeros((7, 3), "M8[s]")), Y, ["x", "datetime64", "real numbers"]),
    "timedelta": (lambda w: w.net.predict(np.zeros((7, 3), "m8[s]")), Y, ["x", "timedelta64", "real numbers"]),
    "structured": (lambda w: w.net.predict(np.zeros((7, 3), "f8,f8")), Y, ["x", "f0", "real numbers"]),
    "strings": (lambda w: w.net.predict([["a", "b", "c"]]), Y, ["x", "real numbers"]),
    "none": (lambda w: w.net.predict(None), Y, ["x is None", "real numbers"]),
    "none-inside": (lambda w: w.net.predict([[1, 2, None]]), Y, ["x", "None (row 0, column 2)", "real numbers"]),
    "text": (lambda w: w.net.predict("a"), Y, ["x is 'a'", "real numbers"]),
    "huge-integers": (lambda w: w.net.predict([[2**80, 1, 2]]), Y, ["x", str(2**80), "as a float"]),
    "fractions": (lambda w: w.net.predict([[Fraction(1, 2), 1, 2]]), Y, ["x", "Fraction(1, 2) (row 0, column 0)"]),
    "generator": (lambda w: w.net.predict(row for row in w.x), Y, ["x is of type generator", "list(x)"]),
    "map": (lambda w: w.net.fit(w.x, map(list, w.y)), Y, ["y is of type map", "list(y)"]),
    "dict-values": (lambda w: w.net.predict({1: 2}.values()), Y, ["x is of type dict_values", "list(x)"]),
    "dict": (lambda w: w.net.predict({"a": [1]}), Y, ["x is of type dict", "np.column_stack(list(x.values()))"]),
    "set": (lambda w: w.net.predict({1, 2}), Y, ["x is of type set", "order"]),
    "masked": (lambda w: w.net.predict(np.ma.masked_less(w.x, 0)), Y, ["x", "masked"]),
    "masked-inside": (lambda w: w.net.predict([np.ma.masked_less(w.x[0], 9), w.x[1]]), Y, ["x", "masked"]),
    "masked-deep-inside": (lambda w: w.net.fit(w.x, [([1], np.ma.masked_less(w.y[0], 9))]), Y, ["y", "masked"]),
    "masked-number-inside": (lambda w: w.net.predict([[1, 2, np.ma.masked]]), Y, ["x", "masked"]),
    "row-alone": (lambda w: w.net.predict(w.x[0]), X, ["(3,)", "np.asarray(x).reshape(1, -1)"]),
    # numbers
    **{
        f"learning-rate-{value}-{call}": (
            lambda w, value=value, call=call: getattr(w.net, call)(w.x, w.y, learning_rate=value), error,
            ["learning_rate", repr(value)[:20]],
        )
        for value, error in [
            (0, X), (0.0, X), (-0.1, X), (np.nan, X), (np.inf, X), (-np.inf, X), (10**400, X), ("fast", Y),
            (True, Y), (1j, Y), (np.complex64(1), Y), ([0.1], Y),
        ]
        for call in ("fit", "train_on_batch")
    },
    "learning-rate-array": (lambda w: w.net.fit(w.x, w.y, learning_rate=np.array([0.1])), Y, ["learning_rate"]),
    "epochs-negative": (lambda w: w.net.fit(w.x, w.y, epochs=-1), X, ["epochs", "at least 0", "-1"]),
    "epochs-float": (lambda w: w.net.fit(w.x, w.y, epochs=10.0), Y, ["epochs", "integer", "10.0"]),
    "epochs-bool": (lambda w: w.net.fit(w.x, w.y, epochs=True), Y, ["epochs", "integer", "True"]),
    "epochs-none": (lambda w: w.net.fit(w.x, w.y, epochs=None), Y, ["epochs", "integer", "None"]),
    "epochs-overflow": (lambda w: w.net.fit(w.x, w.y, epochs=2**64), X, ["epochs", "memory", str(2**64)]),
    "epochs-beyond-memory": (lambda w: w.net.fit(w.x, w.y, epochs=2**55), MemoryError, [f"{2**55} epochs", "256 PiB"]),
    "batch-size-0": (lambda w: w.net.fit(w.x, w.y, batch_size=0), X, ["batch_size", "at least 1", "0"]),
    "batch-size-negative": (lambda w: w.net.fit(w.x, w.y, batch_size=-3), X, ["batch_size", "at least 1", "-3"]),
    "batch-size-float": (lambda w: w.net.fit(w.x, w.y, batch_size=2.5), Y, ["batch_size", "integer", "2.5"]),
    "batch-size-overflow": (lambda w: w.net.fit(w.x, w.y, batch_size=2**64), X, ["batch_size", "memory", str(2**64)]),
    "x-beyond-memory": (
        lambda w: w.net.predict(np.broadcast_to(np.float16(0), (2**47, 3))), MemoryError, ["x", "3 PiB", "in parts"],
    ),
    "shuffle-text": (lambda w: w.net.fit(w.x, w.y, shuffle="yes"), Y, ["shuffle", "True or False", "yes"]),
    "shuffle-int": (lambda w: w.net.fit(w.x, w.y, shuffle=1), Y, ["shuffle", "True or False", "1"]),
    # out
    "out-read-only": (lambda w: w.net.predict(w.x, out=locked(w.out)), X, ["out", "read-only"]),
    "out-shape": (lambda w: w.net.predict(w.x, out=w.out[:6]), X, ["out", "(6, 2)", "(7, 2)"]),
    "out-dtype": (lambda w: w.net.predict(w.x, out=np.ones((7, 2), "f4")), Y, ["out", "float32", "float64"]),
    "out-big-endian": (lambda w: w.net.predict(w.x, out=w.out.astype(">f8")), Y, ["out", ">f8", "float64"]),
    "out-list": (lambda w: w.net.predict(w.x, out=[[0.0] * 2] * 7), Y, ["out", "NumPy array", "list"]),
    "out-masked": (lambda w: w.net.predict(w.x, out=np.ma.array(w.out)), Y, ["out", "plain NumPy", "MaskedArray"]),
    "out-is-x": (lambda w: w.net.predict(w.x, out=w.x[:, :2]), X, ["out", "overlaps"]),
    "out-overlaps-x": (lambda w: w.net.predict(w.x[:3], out=w.x.reshape(-1)[4:10].reshape(3, 2)), X, ["overlaps"]),
    "out-overlaps-buffer": (lambda w: w.net.predict(memoryview(w.x), out=w.x[:, :2]), X, ["out", "overlaps"]),
    "out-overlaps-parameters": (
        lambda w: w.net.predict(w.x, out=w.net.parameters[:14].reshape(7, 2)), X, ["out", "overlaps"],
    ),
    # parameters
    "parameters-shape": (lambda w: setattr(w.net, "parameters", np.ones(3)), X, ["(3,)", "(32,)"]),
    "parameters-text": (lambda w: setattr(w.net, "parameters", "x" * 32), Y, ["parameters", "real numbers"]),
    "weight-nan": (
        lambda w: setattr(w.net.layers[0], "weight", changed(w.net.layers[0].weight, np.nan)), X,
        ["weight", "nan (row 2, column 1)", "finite"],
    ),
    "bias-inf": (lambda w: setattr(w.net.layers[1], "bias", [0, np.inf]), X, ["bias", "inf (entry 1)", "finite"]),
    "weight-shape": (lambda w: setattr(w.net.layers[0], "weight", np.ones((5, 3))), X, ["(5, 3)", "(3, 5)"]),
    "bias-shape": (lambda w: setattr(w.net.layers[0], "bias", [1]), X, ["(1,)", "(5,)"]),
    "bias-complex": (lambda w: setattr(w.net.layers[0], "bias", np.ones(5) * 1j), Y, ["bias", "real numbers"]),
    "cross-check-net": (lambda w: pn.cross_check("net", w.x, w.y), Y, ["net", "Network", "str"]),
    "check-gradient-net": (lambda w: pn.check_gradient(None, w.x, w.y), Y, ["net", "Network", "NoneType"]),
    "copy-backend": (lambda w: w.net.copy(backend="cuda"), X, ["cuda", "'c'", "'numpy'"]),
    # kernels
    "kernel-activation": (lambda w: w.k.dense_forward(w.x, w.x.T, activation="swish"), X, ["swish", "'relu'"]),
    "kernel-needs-z": (
        lambda w: w.k.dense_backward(w.x, np.ones((3, 2)), w.y, w.y, "gelu"), X,
        ["'gelu'", "hand over z", *(repr(f.name) for f in ACTIVATIONS.values() if not f.backward_needs_z)],
    ),
    "kernel-z": (
        lambda w: w.k.dense_backward(w.x, np.ones((3, 2)), w.y, w.y, "gelu", z=w.y[:3]), X, ["z", "(3, 2)", "(7, 2)"],
    ),
    "kernel-activation-none": (lambda w: w.k.dense_forward(w.x, w.x.T, activation=None), X, ["None", "'relu'"]),
    "kernel-inner": (lambda w: w.k.dense_forward(w.x, np.ones((4, 2))), X, ["(7, 3)", "(4, 2)"]),
    "kernel-weight-1d": (lambda w: w.k.dense_forward(w.x, np.ones(3)), X, ["weight", "(3,)", "(n_in, n_out)"]),
    "kernel-no-neurons": (lambda w: w.k.dense_forward(w.x, np.ones((3, 0))), X, ["weight", "(3, 0)", "at least one"]),
    "kernel-bias": (lambda w: w.k.dense_forward(w.x, np.ones((3, 2)), [1]), X, ["bias", "(1,)", "(2,)"]),
    "kernel-no-rows": (lambda w: w.k.dense_forward(w.x[:0], np.ones((3, 2))), X, ["x", "(0, 3)", "at least one"]),
    "kernel-grad": (lambda w: w.k.sigmoid_backward(w.x, w.y), X, ["grad_a", "(7, 2)", "(7, 3)"]),
    "kernel-text": (lambda w: w.k.tanh("a"), Y, ["z", "real numbers"]),
    "kernel-out-shape": (lambda w: w.k.tanh(w.x, out=w.out), X, ["out", "(7, 2)", "(7, 3)"]),
    "kernel-out-partial": (lambda w: w.k.tanh(w.x[1:], out=w.x[:-1]), X, ["out", "overlaps"]),
    "kernel-out-reversed": (lambda w: w.k.relu(w.x, out=w.x[::-1]), X, ["out", "overlaps"]),
    "kernel-out-read-only": (lambda w: w.k.relu(w.y, out=locked(w.out)), X, ["out", "read-only"]),
    "kernel-out-is-x": (lambda w: w.k.dense_forward(w.x, np.eye(3), out=w.x), X, ["out", "overlaps"]),
    "kernel-backward-a": (
        lambda w: w.k.dense_backward(w.x, np.ones((3, 2)), w.y[:3], w.y), X, ["a", "(3, 2)", "(7, 2)"],
    ),
    "kernel-backward-out": (
        lambda w: w.k.dense_backward(w.x, np.ones((3, 2)), w.y, w.y, out=w.out), Y, ["out", "grad_bias"],
    ),
    "kernel-backward-out-none": (
        lambda w: w.k.dense_backward(w.x, np.ones((3, 2)), w.y, w.y, out=(None, None, None)), Y, ["out", "grad_bias"],
    ),
    "kernel-backward-out-shape": (
        lambda w: w.k.dense_backward(w.x, np.ones((3, 2)), w.y, w.y, out=(w.out, w.out, w.out)), X,
        ["grad_x", "(7, 2)", "(7, 3)"],
    ),
    "kernel-backward-out-twice": (
        lambda w: w.k.dense_backward(w.y, np.ones((2, 7)), np.ones((7, 7)), np.ones((7, 7)), out=(
            w.out, w.out.reshape(2, 7), np.ones(7))), X, ["grad_weight", "overlaps"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_bad_call_raises_alike_and_changes_nothing(backend, name):
    call, error, parts = CALLS[name]
    world, twin = World(backend), World("numpy")
    before = world.state()
    with pytest.raises(error) as caught:
        call(world)
    message = str(caught.value)
    for part in parts:
        assert part in message
    assert world.state() == before

    with pytest.raises(error) as expected:
        call(twin)
    assert type(caught.value) is type(expected.value)
    assert message == str(expected.value)


NETWORKS = {
    "no-layers": (lambda b: pn.Network([], backend=b), X, ["at least one layer"]),
    "not-a-layer": (lambda b: pn.Network([(2, 3)], backend=b), Y, ["layers[0]", "Dense", "tuple"]),
    "one-bare-layer": (lambda b: pn.Network(pn.Dense(2, 3), backend=b), Y, ["layers", "Dense"]),
    "layers-none": (lambda b: pn.Network(None, backend=b), Y, ["layers", "Dense"]),
    "no-chain": (lambda b: pn.Network([pn.Dense(2, 3), pn.Dense(4, 1)], backend=b), X,
                 ["layers[1]", "Dense(4, 1", "n_in is 4", "n_out = 3"]),
    "no-neurons": (lambda b: pn.Network([pn.Dense(2, 0)], backend=b), X, ["n_out", "at least 1", "0"]),
    "no-inputs": (lambda b: pn.Network([pn.Dense(0, 2)], backend=b), X, ["n_in", "at least 1", "0"]),
    "neurons-negative": (lambda b: pn.Dense(2, -1), X, ["n_out", "at least 1", "-1"]),
    "neurons-float": (lambda b: pn.Dense(2.0, 1), Y, ["n_in", "integer", "2.0"]),
    "neurons-text": (lambda b: pn.Dense("2", 1), Y, ["n_in", "integer", "'2'"]),
    "neurons-bool": (lambda b: pn.Dense(True, 1), Y, ["n_in", "integer", "True"]),
    "overflow": (lambda b: pn.Dense(2**40, 2**40), X, [f"Dense({2**40}, {2**40}", "parameters", "memory"]),
    "overflow-one": (lambda b: pn.Dense(2**63, 1), X, ["n_in", "memory"]),
    "overflow-sum": (lambda b: pn.Network([pn.Dense(2**28, 2**28), pn.Dense(2**28, 2**28)], backend=b), X,
                     ["parameters", "memory"]),
    "beyond-memory": (lambda b: pn.Network([pn.Dense(1, 2**22), pn.Dense(2**22, 2**26)], backend=b), MemoryError,
                      ["parameters", "layers[1] = Dense(4194304, 67108864", "2 PiB"]),
    "activation": (lambda b: pn.Dense(2, 3, "swish"), X, ["'swish'", "'identity', 'sigmoid', 'tanh', 'relu', 'leaky"]),
    "activation-none": (lambda b: pn.Dense(2, 3, None), X, ["None", "'identity'"]),
    "dropout-one": (lambda b: pn.Dense(2, 3, dropout=1), X, ["dropout must be at least 0 and below 1, not 1"]),
    "dropout-last": (lambda b: pn.Network([pn.Dense(2, 3, dropout=0.5)], backend=b), X,
                     ["layers[0] = Dense(2, 3, 'identity', dropout=0.5)", "hidden layers"]),
    "max_norm-zero": (lambda b: pn.Dense(2, 3, max_norm=0), X, ["max_norm must be finite and above 0, not 0"]),
    "l1-float32": (lambda b: pn.Network([pn.Dense(2, 3, l1=1e300)], backend=b, dtype="float32"), X,
                   ["layers[0]", "l1 must be finite and above 0 in float32, not 1e+300"]),
    "rate-float32": (lambda b: pn.Network([pn.Dense(2, 3, bias_rate=1e-60)], backend=b, dtype="float32"), X,
                     ["layers[0]", "bias_rate must be finite and above 0 in float32, not 1e-60"]),
    "bias-text": (lambda b: pn.Dense(2, 3, bias="no"), Y, ["bias", "True or False"]),
    "loss": (lambda b: pn.Network([pn.Dense(2, 3)], loss="hinge", backend=b), X,
             ["'hinge'", "'log_loss', 'sum_of_squares', 'mean_squared_error'"]),
    "log-loss-tanh": (lambda b: pn.Network([pn.Dense(2, 3, "tanh")], loss="log_loss", backend=b), X,
                      ["log_loss", "sigmoid", "tanh"]),
    "backend": (lambda b: pn.Network([pn.Dense(2, 3)], backend="cuda"), X, ["'cuda'", "'c', 'numpy'"]),
    "backend-none": (lambda b: pn.Network([pn.Dense(2, 3)], backend=None), X, ["None", "'c', 'numpy'"]),
    "dtype-int": (lambda b: pn.Network([pn.Dense(2, 3)], dtype=int, backend=b), X, ["int", "'float64'", "'float32'"]),
    "dtype-half": (lambda b: pn.Network([pn.Dense(2, 3)], dtype="float16", backend=b), X, ["float16", "'float32'"]),
    "dtype-big-endian": (lambda b: pn.Network([pn.Dense(2, 3)], dtype=">f8", backend=b), X, [">f8", "'float64'"]),
    "dtype-unknown": (lambda b: pn.Network([pn.Dense(2, 3)], dtype="double precision", backend=b), X, ["'float64'"]),
    "dtype-none": (lambda b: pn.Network([pn.Dense(2, 3)], dtype=None, backend=b), X, ["None", "'float64'"]),
    "init": (lambda b: pn.Network([pn.Dense(2, 3)], init="xavier", backend=b), X,
             ["'xavier'", "'glorot', 'he', 'normal', 'uniform'"]),
    "init-shape": (lambda b: pn.Network([pn.Dense(2, 3)], init=np.ones(8), backend=b), X,
                   ["init has shape (8,)", "(9,)"]),
    "init-none": (lambda b: pn.Network([pn.Dense(2, 3)], init=None, backend=b), Y,
                  ["init is None", "'glorot', 'he', 'normal', 'uniform'"]),
    "init-generator": (lambda b: pn.Network([pn.Dense(1, 1)], init=(v for v in (1, 2)), backend=b), Y,
                       ["init", "generator", "list(init)", "'glorot'"]),
    "init-nan": (lambda b: pn.Network([pn.Dense(1, 1)], init=[np.nan, 1], backend=b), X,
                 ["init holds nan (entry 0)", "finite"]),
    "init-inf-in-float32": (lambda b: pn.Network([pn.Dense(1, 1)], init=[1e300, 1], dtype="float32", backend=b), X,
                            ["init holds 1e+300 (entry 0)", "float32", "3.4e+38"]),
    **{
        f"seed-{value}": (lambda b, value=value: pn.Network([pn.Dense(1, 1)], seed=value, backend=b), error,
                          [f"seed is {value!r}", "None, an integer of at least 0", "Generator"])
        for value, error in [(-1, X), ([1, -1], X), ("x", Y), ("12", Y), (1.5, Y), (np.nan, Y), (True, Y), ({}, Y)]
    },
    "layer-alone": (lambda b: pn.Dense(1, 1).weight, AttributeError, ["net.layers"]),
    "layer-alone-bias": (lambda b: setattr(pn.Dense(1, 1), "bias", [1]), AttributeError, ["net.layers"]),
    "bias-of-none": (
        lambda b: setattr(pn.Network([pn.Dense(1, 1, bias=False)], backend=b).layers[0], "bias", [1]), X,
        ["bias=False"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_bad_network_raises_alike(backend, name):
    make, error, parts = NETWORKS[name]
    with pytest.raises(error) as caught:
        make(backend)
    for part in parts:
        assert part in str(caught.value)
    with pytest.raises(error) as expected:
        make("numpy")
    assert str(caught.value) == str(expected.value)


@pytest.mark.parametrize("call", ["fit", "train_on_batch"])
def test_learning_rate_that_is_zero_in_float32_is_refused(backend, call):
    world = World(backend, "float32")
    before = world.state()
    with pytest.raises(ValueError, match="learning_rate must be finite and above 0 in float32, not 1e-60"):
        getattr(world.net, call)(world.x, world.y, learning_rate=1e-60)
    with pytest.raises(ValueError, match=r"learning_rate must be finite and above 0 in float32, not 1e\+60"):
        getattr(world.net, call)(world.x, world.y, learning_rate=1e60)
    assert world.state() == before


@pytest.mark.parametrize("value", [1e300, -1e39, np.longdouble("1e39")])
def test_number_beyond_float32_is_named_and_refused(backend, value):
    """Turned into infinity, it would be refused as not finite, which it is, or silently change predictions."""
    world = World(backend, "float32")
    before = world.state()
    x = changed(world.x.astype(type(value)), value)
    weight = changed(world.net.layers[0].weight.astype(type(value)), value)
    for name, call in {
        "x": lambda: world.net.fit(x, world.y),
        "y": lambda: world.net.loss_and_gradient(world.x, changed(world.y.astype(type(value)), value)),
        "x ": lambda: world.net.predict(x),
        "x  ": lambda: pn.check_gradient(world.net, x, world.y),
        "weight": lambda: setattr(world.net.layers[0], "weight", weight),
    }.items():
        message = rf"^{name.strip()} holds .*\(row 2, column 1\), which float32 .* 3.4e\+38"
        with pytest.raises(ValueError, match=message):
            call()
    assert world.state() == before
    infinite = changed(world.x.astype(np.float64), np.inf)  # is not beyond any range
    np.testing.assert_array_equal(world.net.predict(infinite), world.net.predict(infinite.astype(np.float32)))


@pytest.mark.skipif(np.finfo(np.longdouble).max == np.finfo(np.float64).max, reason="long double is double here")
def test_number_beyond_float64_is_named_and_refused(backend):
    world = World(backend)
    with pytest.raises(ValueError, match=r"x holds 1e\+400 \(row 2, column 1\), which float64 .*; scale it"):
        world.net.predict(changed(world.x.astype(np.longdouble), np.longdouble("1e400")))


@pytest.mark.parametrize("attribute", ["n_in", "n_out", "activation", "has_bias"])
def test_layer_cannot_be_changed_behind_the_backend(backend, attribute):
    """C has its own description of the network: a change here would be heeded by one backend alone."""
    net = World(backend).net
    with pytest.raises(AttributeError):
        setattr(net.layers[0], attribute, getattr(net.layers[1], attribute))


@pytest.mark.parametrize("attribute", ["loss", "backend", "layers", "dtype"])
def test_network_cannot_be_changed_behind_the_backend(backend, attribute):
    net = World(backend).net
    with pytest.raises(AttributeError):
        setattr(net, attribute, getattr(net, attribute))


def test_failed_fit_keeps_the_place_in_an_interrupted_epoch(backend):
    """An epoch that Ctrl-C cut short can still be finished after a call that was refused."""
    world = World(backend)
    cut_short = pn.training.Interrupted(7, 2, True, 1, 2, 0.5)
    world.net._state.begun = cut_short
    for bad in (changed(world.x, np.nan), world.x[:3]):
        with pytest.raises(ValueError, match=r"finite|rows"):
            world.net.fit(bad, world.y)
    assert world.net._state.begun == cut_short


def test_unknown_isa_names_those_of_this_machine():
    before = pn.native.isa()
    for name in ("mmx", "", None, 3, "AVX2", b"avx2"):
        with pytest.raises(ValueError, match=r"on this machine there are .*'") as caught:
            pn.native.set_isa(name)
        assert repr(name) in str(caught.value)
    assert pn.native.isa() == before


# ---- Every argument of every public function, with values that are wrong for most of them ---------------------------


class Unprintable:
    def __repr__(self):
        raise RuntimeError("no repr")


ODD_VALUES = {
    "None": None, "text": "a", "bytes": b"a", "nul": "\0", "surrogate": "\udc80", "nan": np.nan, "minus": -1,
    "large": 1e300, "2**80": 2**80, "digits": 10**5000, "complex": 1j, "True": True, "empty": [], "0-d": np.array(3),
    "1-d": np.arange(2.0), "dict": {}, "set": {1}, "object": object(), "class": int, "unprintable": Unprintable(),
}  # fmt: skip

#: function: {argument: the values above that are right for it}
ARGUMENTS = {
    "Dense": {
        "n_in": {"0-d"}, "n_out": {"0-d"}, "activation": set(), "bias": {"True"}, "dropout": set(),
        "l1": {"large", "2**80"}, "l2": {"large", "2**80"}, "max_norm": {"None", "large", "2**80"},
        "weight_rate": {"large", "2**80"}, "bias_rate": {"large", "2**80"},
    },
    "Network": {
        "layers": set(), "loss": set(), "init": set(), "seed": {"None", "2**80", "digits", "empty"}, "dtype": set(),
        "backend": set(), "optimizer": set(), "loss_limit": {"None", "large", "2**80"}, "divide_penalty": {"True"},
    },
    "fit": {
        "x": set(), "y": set(), "epochs": {"0-d"}, "learning_rate": {"None", "large", "2**80"},
        "batch_size": {"None", "0-d"}, "shuffle": {"True"}, "sample_weight": {"None"}, "validation": {"None"},
        "metrics": {"empty", "dict"}, "callbacks": {"empty", "dict"}, "progress": {"True"},
        "resume": set(),
    },
    "train_on_batch": {
        "x": set(), "y": set(), "learning_rate": {"None", "large", "2**80"}, "sample_weight": {"None"},
    },
    "loss_and_gradient": {"x": set(), "y": set(), "sample_weight": {"None"}},
    "evaluate": {"x": set(), "y": set(), "sample_weight": {"None"}},
    "predict": {"x": set(), "out": {"None"}},
    "copy": {"backend": {"None"}},
    "cross_check": {"net": set(), "x": set(), "y": set(), "epochs": {"0-d"}, "shuffle": {"True"}},
    "check_gradient": {"net": set(), "x": set(), "y": set(), "sample_weight": {"None"}},
    "tanh": {"z": {"nan", "minus", "large", "True", "empty", "0-d", "1-d"}, "out": {"None"}},
    "tanh_backward": {"a": set(), "grad_a": set(), "out": {"None"}},
    "dense_forward": {"x": set(), "weight": set(), "bias": {"None", "1-d"}, "activation": set(), "out": {"None"}},
    "dense_backward": {
        "x": set(), "weight": set(), "a": set(), "grad_a": set(), "activation": set(), "out": {"None"}, "z": {"None"},
    },
    "set_num_threads": {"n": set()},
    "set_isa": {"name": set()},
}  # fmt: skip


def plain_call(world, function):
    """The function, and arguments with which it works."""
    net, k, backend = world.net, world.k, world.net.backend
    data, layer = {"x": world.x, "y": world.y}, {"x": world.x, "weight": np.ones((3, 2))}
    kernel = {name: getattr(k, name) for name in ("tanh", "tanh_backward", "dense_forward", "dense_backward")}
    named = "fit", "train_on_batch", "loss_and_gradient", "evaluate", "predict", "copy"
    methods = {name: getattr(net, name) for name in named}
    others = {
        "Dense": pn.Dense, "Network": pn.Network, "cross_check": pn.cross_check, "check_gradient": pn.check_gradient,
        "set_num_threads": pn.set_num_threads, "set_isa": pn.native.set_isa,
    }  # fmt: skip
    arguments = {
        "Dense": {"n_in": 2, "n_out": 2}, "Network": {"layers": list(net.layers), "backend": backend}, "fit": data,
        "train_on_batch": data, "loss_and_gradient": data, "evaluate": data, "predict": {"x": world.x},
        "copy": {},
        "cross_check": {"net": net, **data}, "check_gradient": {"net": net, **data}, "tanh": {"z": world.x},
        "tanh_backward": {"a": world.x, "grad_a": world.x}, "dense_forward": layer,
        "dense_backward": {**layer, "a": world.y, "grad_a": world.y}, "set_num_threads": {"n": pn.num_threads()},
        "set_isa": {"name": pn.native.isa()},
    }  # fmt: skip
    return {**kernel, **methods, **others}[function], arguments[function]


@pytest.mark.parametrize("function", ARGUMENTS)
@pytest.mark.filterwarnings("error")
def test_odd_argument_is_refused_in_a_line_that_names_it(backend, function):
    for name, allowed in ARGUMENTS[function].items():
        for kind, value in ODD_VALUES.items():
            if kind in allowed:
                continue
            world, messages = World(backend), []
            before = world.state()
            for each in (world, World("numpy")):
                call, arguments = plain_call(each, function)
                with pytest.raises((TypeError, ValueError)) as caught:
                    call(**{**arguments, name: value})
                messages.append(str(caught.value))
            words = "instruction set" if function == "set_isa" else name
            assert words in messages[0], (name, kind, messages[0])
            assert "\n" not in messages[0]
            assert len(messages[0]) < 400
            assert messages[0] == messages[1]
            assert world.state() == before


def test_every_public_argument_is_tried_with_odd_values():
    for function, names in ARGUMENTS.items():
        call, _ = plain_call(World("numpy"), function)
        parameters = inspect.signature(call).parameters
        assert set(names) - {"epochs", "shuffle"} <= set(parameters)
        if function != "cross_check":  # which hands some on to fit
            assert set(names) == set(parameters)


def test_workspace_beyond_memory_names_the_batch_size():
    with pytest.raises(MemoryError, match=r"workspace .*\(2 EiB\).* batch_size"):
        pn.native._allocate(2**61)


def test_values_in_between_beyond_memory_name_the_batch_size(monkeypatch):
    def fail(x, weight, bias):
        raise MemoryError("Unable to allocate 3. TiB")

    world = World("numpy")
    monkeypatch.setattr("plainnet.reference.model.affine", fail)
    for call in (
        lambda: world.net.predict(world.x), lambda: world.net.fit(world.x, world.y),
        lambda: world.net.loss_and_gradient(world.x, world.y), lambda: world.net.train_on_batch(world.x, world.y),
        lambda: world.net.evaluate(world.x, world.y),
    ):  # fmt: skip
        with pytest.raises(MemoryError, match=r"3\. TiB.*; take fewer rows .* batch_size"):
            call()


def test_starting_weights_beyond_memory_name_their_layer(backend, monkeypatch):
    """They are drawn in float64, apart from the parameters."""
    def fail(rng, n_in, n_out):
        raise MemoryError

    monkeypatch.setitem(pn.initializers.INITIALIZERS, "he", fail)
    with pytest.raises(MemoryError, match=r"layers\[0\] = Dense\(2, 3, 'identity'\) \(48 bytes\)"):
        pn.Network([pn.Dense(2, 3)], init="he", backend=backend)
