"""The last values that are allowed, and the first that are not; and what a call leaves to later ones."""

import os
import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest

import plainnet as pn
from plainnet.backend import Progress, Training
from plainnet.tutorials import xor

import textbook

LAYERS = [(3, 5, "tanh", True), (5, 3, "sigmoid", True)]


def make(backend, dtype="float64", layers=LAYERS, loss="log_loss", **arguments):
    return textbook.network(layers, loss, seed=1, dtype=dtype, backend=backend, **arguments)


def data(n_rows, dtype="float64"):
    rng = np.random.default_rng(n_rows)
    return rng.standard_normal((n_rows, 3)).astype(dtype), rng.random((n_rows, 3)).astype(dtype)


# ---- Memory that is shared, and memory that only touches -------------------------------------------------------------


def test_predict_does_not_write_over_what_it_reads(backend, dtype):
    net = make(backend, dtype, [(3, 3, "tanh", False)], "mean_squared_error")
    x, _ = data(3, dtype)
    before, kept = net.parameters.copy(), x.copy()
    memory = np.zeros((7, 3), dtype)
    memory[:3] = x
    for rows, out in ((x, x), (x, net.parameters.reshape(3, 3)), (memory[:3], memory[2:5]), (x, x[::-1]), (x, x.T),
                      (x, net.layers[0].weight.T), (memory[1:4], memory[:3])):  # fmt: skip
        kept_memory = memory.copy()
        with pytest.raises(ValueError, match="out overlaps"):
            net.predict(rows, out=out)
        np.testing.assert_array_equal(net.parameters, before)
        np.testing.assert_array_equal(x, kept)
        np.testing.assert_array_equal(memory, kept_memory)


@pytest.mark.parametrize("gap", [0, 1])
def test_arrays_that_touch_do_not_overlap(backend, kernels, dtype, gap):
    net = make(backend, dtype)
    x, _ = data(3, dtype)
    expected, expected_a = net.predict(x), kernels.tanh(x)
    for order in (0, 1):
        memory = np.full(2 * x.size + gap, np.nan, dtype)
        ends = memory[: x.size].reshape(3, 3), memory[x.size + gap :].reshape(3, 3)
        source, out = ends[order], ends[1 - order]
        source[...] = x
        np.testing.assert_array_equal(net.predict(source, out=out), expected)
        np.testing.assert_array_equal(kernels.tanh(source, out=out), expected_a)
        np.testing.assert_array_equal(kernels.dense_forward(source, np.eye(3, dtype=dtype), out=out), x)
        np.testing.assert_array_equal(source, x)


@pytest.mark.parametrize("name", textbook.KERNELS)
def test_in_place_means_element_for_element(kernels, dtype, name):
    """Another view of the same memory that begins at the same address is not the input itself."""
    z = data(3, dtype)[0]
    kept = z.copy()
    forward, backward = getattr(kernels, name), getattr(kernels, f"{name}_backward")
    for out in (z.T, z[:, ::-1].T):
        with pytest.raises(ValueError, match="out overlaps"):
            forward(z, out=out)
        with pytest.raises(ValueError, match="out overlaps"):
            backward(z, np.ones_like(z), out=out)
        with pytest.raises(ValueError, match="out overlaps"):
            backward(np.ones_like(z), z, out=out)
        np.testing.assert_array_equal(z, kept)
    assert forward(z, out=z) is z
    np.testing.assert_array_equal(z, forward(kept))
    turned = kept.T.copy().T  # not contiguous, and still itself
    assert forward(turned, out=turned) is turned
    np.testing.assert_array_equal(turned, forward(kept))


@pytest.mark.parametrize("name", ["weight", "bias"])
@pytest.mark.parametrize("value", [1.0, [1.0], [[1.0]], [[1.0, 2, 3]]])
def test_weights_are_not_broadcast(backend, name, value):
    net = make(backend)
    before = net.parameters.copy()
    with pytest.raises(ValueError, match=f"{name} has shape"):
        setattr(net.layers[1], name, value)
    np.testing.assert_array_equal(net.parameters, before)


@pytest.mark.parametrize("shape", [(), (1,), (-1, 1), (1, -1), (2, -1)])
def test_parameters_are_neither_broadcast_nor_reshaped(backend, shape):
    net = make(backend)
    before = net.parameters.copy()
    value = np.zeros(before.size if -1 in shape else 1).reshape(shape)
    with pytest.raises(ValueError, match="parameters has shape"):
        net.parameters = value
    np.testing.assert_array_equal(net.parameters, before)


# ---- Results' kinds --------------------------------------------------------------------------------------------------


def test_kernels_are_float32_if_all_arguments_are(kernels):
    single, double = np.ones((3, 3), np.float32), np.ones((3, 3))
    assert kernels.tanh_backward(single, single).dtype == np.float32
    assert kernels.dense_forward(single, single, single[0]).dtype == np.float32
    assert kernels.dense_forward(single, single).dtype == np.float32
    for pair in ((single, double), (double, single), (double, double), (single, np.ones((3, 3), int))):
        assert kernels.tanh_backward(*pair).dtype == np.float64
        assert kernels.dense_forward(*pair).dtype == np.float64
    assert kernels.dense_forward(single, single, double[0]).dtype == np.float64
    for odd in range(4):
        arguments = [single] * 4
        arguments[odd] = double
        assert {gradient.dtype for gradient in kernels.dense_backward(*arguments)} == {np.dtype(np.float64)}


def test_relative_differences_are_relative_to_the_second_side():
    assert pn.checks.relative_difference([1.0, 5.0], [1.0, 4.0]) == 0.25
    assert pn.checks.relative_difference([0.0, 0.0], [0.0, 0.0]) == 0
    assert pn.checks.relative_difference([3.0], [0.0]) == 3
    assert pn.checks.relative_difference([np.nan], [1.0]) == pn.checks.relative_difference([1.0], [np.inf]) == np.inf


def test_comparisons_of_the_backends_see_a_difference(monkeypatch):
    """One backend goes wrong in its parameters, and in nothing that these comparisons have in common."""
    net, (x, y) = make("c"), data(7)
    good = pn.cross_check(net, x, y, epochs=3), xor.train(xor.SYSTEMS["layered"], 0, epochs=3).check
    train = pn.reference.Model.train

    def train_wrongly(self, *arguments):
        train(self, *arguments)
        self.parameters[0] += 0.001
        arguments[4][:] *= 1.001  # the losses

    monkeypatch.setattr(pn.reference.Model, "train", train_wrongly)
    bad = pn.cross_check(net, x, y, epochs=3), xor.train(xor.SYSTEMS["layered"], 0, epochs=3).check
    assert all(check.agree for check in good)
    for check in bad:
        assert not check.agree
        assert min(check.parameters, check.predictions, check.loss) > 1e-6


def test_checks_take_the_tolerance_of_the_networks_type(backend, dtype, monkeypatch):
    net, (x, y) = make(backend, dtype), data(7, dtype)
    single = dtype == np.float32
    assert pn.cross_check(net, x, y, epochs=2).tolerance == (1e-4 if single else 1e-11)
    good = pn.check_gradient(net, x, y)
    assert good.tolerance == (1e-3 if single else 1e-6)
    assert good.agree
    model = type(net._model)
    right = model.loss_and_gradient

    def wrong(self, x, y, gradient, sample_weight):
        loss = right(self, x, y, gradient, sample_weight)
        gradient[-1] *= 1.1
        return loss

    monkeypatch.setattr(model, "loss_and_gradient", wrong)
    assert not pn.check_gradient(net, x, y).agree


@pytest.mark.parametrize("size", [20, 50, 80, 87, 95, 100, 103, 300, 700, 720, 740, 744, 745])
def test_log_loss_keeps_its_smallest_values(backend, dtype, size):
    """
    log(1 + exp(-size)) where the output is nearly right; so is the gradient, where the target is 0 and hides nothing.
    They may be one or two of the type's smallest numbers off where these are subnormal, else 4 units in the last place.
    """
    net = textbook.network([(1, 1, "sigmoid", False)], "log_loss", init=[1], dtype=dtype, backend=backend)
    small, info = np.exp(-float(size)), np.finfo(dtype)
    expected, tolerance = np.log1p(small), 4 * info.eps * small + 2 * float(info.smallest_subnormal)
    loss, gradient = net.loss_and_gradient(np.array([[-size]], dtype), np.array([[0]], dtype))
    assert abs(loss - expected) <= tolerance
    assert abs(float(gradient[0]) / -size - small / (1 + small)) <= tolerance
    loss, _ = net.loss_and_gradient(np.array([[size]], dtype), np.array([[1]], dtype))
    assert abs(loss - expected) <= tolerance


@pytest.mark.parametrize(("init", "limit", "deviation"), [
    ("glorot", np.sqrt(6 / 450), np.sqrt(2 / 450)), ("he", np.inf, np.sqrt(2 / 50)), ("normal", np.inf, 1),
    ("uniform", 1, np.sqrt(1 / 12)),
])  # fmt: skip
def test_starting_weights_are_as_wide_as_their_names_say(init, limit, deviation):
    """50 x 400 of them: the deviation of a sample of 20000 is within 2 % of the distribution's (3 standard errors)."""
    layer = pn.Network([pn.Dense(50, 400)], init=init, seed=0).layers[0]
    assert np.abs(layer.weight).max() <= limit
    assert layer.weight.std() == pytest.approx(deviation, rel=0.02)
    assert not layer.bias.any()


def test_what_is_not_said_is_as_the_documentation_says(backend):
    layers, (x, y) = [pn.Dense(3, 5), pn.Dense(5, 3)], data(7)
    assert (layers[0].activation, layers[0].has_bias) == ("identity", True)
    plain = pn.Network(layers, seed=1)
    assert (plain.loss, plain.dtype, plain.backend) == ("mean_squared_error", np.dtype(np.float64), "c")
    net, twin, start = (pn.Network(layers, seed=1, backend=backend) for _ in range(3))
    np.testing.assert_array_equal(net.parameters, pn.Network(layers, init="glorot", seed=1).parameters)

    loss, expected = net.fit(x, y).loss, twin.fit(x, y, epochs=1, learning_rate=0.1, batch_size=7, shuffle=False).loss
    assert loss.tolist() == expected.tolist()
    np.testing.assert_array_equal(net.parameters, twin.parameters)
    net.fit(x, y, 3, batch_size=2)
    twin.fit(x, y, 3, batch_size=2, shuffle=True)
    np.testing.assert_array_equal(net.parameters, twin.parameters)
    start.fit(x, y)
    start.fit(x, y, 3, batch_size=2, shuffle=False)
    assert not np.array_equal(net.parameters, start.parameters)
    assert net.train_on_batch(x, y) == twin.train_on_batch(x, y, learning_rate=0.1)
    np.testing.assert_array_equal(net.parameters, twin.parameters)


def test_kernels_default_to_identity_without_a_bias(kernels, dtype):
    x, weight = np.linspace(-1, 1, 6).astype(dtype).reshape(2, 3), np.linspace(-2, 1, 6).astype(dtype).reshape(3, 2)
    np.testing.assert_array_equal(
        kernels.dense_forward(x, weight), kernels.dense_forward(x, weight, np.zeros(2, dtype), "identity")
    )
    a = np.full((2, 2), 0.5, dtype)
    for gradient, expected in zip(
        kernels.dense_backward(x, weight, a, a), kernels.dense_backward(x, weight, a, a, "identity"), strict=True
    ):
        np.testing.assert_array_equal(gradient, expected)


# ---- Numbers of threads, the environment, signals --------------------------------------------------------------------


def test_numbers_of_threads_end_at_64():
    before = pn.num_threads()
    try:
        for n in (1, 64):
            pn.set_num_threads(n)
            assert pn.num_threads() == n
        for n in (0, 65, -1):
            with pytest.raises(ValueError, match=f"from 1 to 64, not {n}"):
                pn.set_num_threads(n)
            assert pn.num_threads() == 64
    finally:
        pn.set_num_threads(before)


def test_an_empty_variable_is_none_at_all():
    code = "import plainnet as pn; print(pn.native.isa(), pn.num_threads())"
    environment = {**os.environ, "PLAINNET_ISA": "", "PLAINNET_NUM_THREADS": "", "OMP_NUM_THREADS": "3"}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == [pn.native.available_isas()[-1], "3"]


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="needs signal masks")
def test_starting_threads_leaves_the_callers_signals_as_they_were(c_backend):
    """The workers' own are blocked while they start: a mask is inherited."""
    before, mask = pn.num_threads(), signal.pthread_sigmask(signal.SIG_BLOCK, [])
    try:
        pn.set_num_threads(8 + pn.native.available_isas().index(pn.native.isa()))  # so that some start, each time
        pn.kernels.tanh(np.ones(1_000_000))
        assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == mask
    finally:
        pn.set_num_threads(before)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt, pn.DivergedError])
def test_the_programs_handler_is_back_after_every_run(backend, error):
    net, (x, y) = make(backend), data(7)
    train = net._model.train

    def fail(*arguments):
        raise error(0)

    def handler(number, frame):
        raise AssertionError("there is no signal")

    previous = signal.signal(signal.SIGINT, handler)
    try:
        if error is None:
            net.fit(x, y, 3, batch_size=2)
        else:
            net._model.train = fail
            with pytest.raises(error):
                net.fit(x, y, 3, batch_size=2)
            net._model.train = train
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, previous)
    net.fit(x, y, 3, batch_size=2)  # and the network is free


# ---- What a run leaves to the next -----------------------------------------------------------------------------------


def test_divergence_at_once_does_not_go_back_into_the_run_before(backend, dtype):
    net = make(backend, dtype, [(1, 1, "identity", False)], "sum_of_squares")
    net.fit([[1], [1], [1]], [[0], [0], [0]], 3, 0.1, batch_size=2)
    big = np.sqrt(np.finfo(dtype).max)
    net.parameters = [big]
    for _ in range(2):
        with pytest.raises(pn.DivergedError, match="epoch 0 "):
            net.fit([[2], [2], [2]], [[0], [0], [0]], 3, 0.1, batch_size=2)
        assert net.parameters[0] == dtype.type(big)
    assert net.epochs_trained == 3


def test_an_order_of_rows_is_not_kept_for_other_rows(backend):
    """By the backend's own `train`: the same seed and epoch, but more rows or fewer."""
    net, training = make(backend), Training(2, 4, 0.5, True, 5)
    for n_rows in (13, 9, 20, 9):
        x, y = data(n_rows)
        fresh = make(backend)
        fresh.parameters = net.parameters
        for each in (net, fresh):
            each._model.train(x, y, training, Progress(), np.empty(2), 10**6)
        np.testing.assert_array_equal(net.parameters, fresh.parameters)


def interrupted(backend, x, y):
    """A network stopped after two of four batches of its first epoch."""
    net = make(backend)
    train = net._model.train

    def train_a_little(*arguments):
        if arguments[-1] == 0:
            return train(*arguments)
        train(*arguments[:-1], 2)
        raise KeyboardInterrupt

    net._model.train = train_a_little
    with pytest.raises(KeyboardInterrupt):
        net.fit(x, y, 3, batch_size=4)
    net._model.train = train
    assert net._state.begun is not None
    return net


@pytest.mark.parametrize("changed", ["x", "y"])
def test_an_interrupted_epoch_is_dropped_for_data_that_differ_in_one_row(backend, changed):
    arrays = dict(zip("xy", data(13), strict=True))
    for row in (0, 7, 12):
        net, other = interrupted(backend, **arrays), interrupted(backend, **arrays)
        other._state.begun = None
        different = {name: array.copy() for name, array in arrays.items()}
        different[changed][row, 1] *= 0.5
        for each in (net, other):
            each.fit(**different, epochs=2, batch_size=4)
        np.testing.assert_array_equal(net.parameters, other.parameters)


@pytest.mark.parametrize("arguments", [{}, {"batch_size": 13}, {"batch_size": 13, "shuffle": False}])
def test_a_full_batch_drops_an_interrupted_epoch(backend, arguments):
    x, y = data(13)
    net = interrupted(backend, x, y)
    twin = net.copy()
    twin._state.begun = None
    net.fit(x, y, 2, **arguments)
    twin.fit(x.tolist(), y.tolist(), 2, **arguments)
    assert net._state.begun is None
    np.testing.assert_array_equal(net.parameters, twin.parameters)
    net.fit(x, y, 1, batch_size=4)
    twin.fit(x, y, 1, batch_size=4)
    np.testing.assert_array_equal(net.parameters, twin.parameters)


def test_copies_on_another_backend_are_as_far_in_training(backend):
    x, y = data(13)
    net = make(backend)
    net.fit(x, y, 3)
    twin = net.copy(backend="numpy" if backend == "c" else "c")
    assert twin.backend != net.backend
    assert twin.epochs_trained == net.epochs_trained == 3
    net.fit(x, y, 2, batch_size=4)
    twin.fit(x, y, 2, batch_size=4)
    assert textbook.difference(net.parameters, twin.parameters) < 1e-11  # rounding of some steps; not other orders


def test_errors_of_divergence_survive_pickles():
    """They travel between processes."""
    error = pickle.loads(pickle.dumps(pn.DivergedError(7)))
    assert (type(error), error.epoch, str(error)) == (pn.DivergedError, 7, str(pn.DivergedError(7)))
