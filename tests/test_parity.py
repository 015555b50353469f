"""NumPy against C against the textbook, over many starts, shapes, losses and numbers of rows."""

import functools

import numpy as np
import pytest

import plainnet as pn

import textbook

#: The plain loop in NumPy takes 0.1 s a start.
N_STARTS = [25, pytest.param(200, marks=pytest.mark.slow)]
EPOCHS = 1500

# 1 ULP of error in every operation grows to 1e-12 (float64) over 1500 steps; float32 starts from 5e8 times larger ULPs.
TOLERANCE = {"float64": 1e-11, "float32": 1e-4}
# A single step: some roundings in sums of at most 40 terms.
STEP_TOLERANCE = {"float64": 1e-14, "float32": 5e-6}


def step_difference(actual, expected):
    """The largest difference, relative to the largest entry or 1: terms are of order 1, and sums of them may cancel."""
    actual, expected = np.asarray(actual, float), np.asarray(expected, float)
    return np.abs(actual - expected).max() / max(1, np.abs(expected).max())


@functools.cache
def starts(system, dtype_name, n_starts):
    layers, loss, _, _, _, init = textbook.SYSTEMS[system]
    networks = [textbook.network(layers, loss, init=init, seed=seed, dtype=dtype_name) for seed in range(n_starts)]
    return np.array([net.parameters for net in networks])


@functools.cache
def trained(system, dtype_name, n_starts, backend, isa):
    """Parameters, loss curves and predictions of all starts after training on a backend."""
    layers, loss, x, y, learning_rate, _ = textbook.SYSTEMS[system]
    parameters, losses, predictions = [], [], []
    for start in starts(system, dtype_name, n_starts):
        net = textbook.network(layers, loss, init=start, dtype=dtype_name, backend=backend)
        losses.append(net.fit(x, y, epochs=EPOCHS, learning_rate=learning_rate).loss)
        parameters.append(net.parameters)
        predictions.append(net.predict(x))
    return parameters, losses, predictions


@functools.cache
def textbook_trained(system, dtype_name, n_starts):
    layers, loss, x, y, learning_rate, _ = textbook.SYSTEMS[system]
    x, y = x.astype(dtype_name), y.astype(dtype_name)
    rate = np.dtype(dtype_name).type(learning_rate)
    parameters, losses = textbook.train(layers, loss, starts(system, dtype_name, n_starts), x, y, EPOCHS, rate)
    return parameters, losses, textbook.forward(layers, parameters, x)


@pytest.mark.parametrize("n_starts", N_STARTS)
@pytest.mark.parametrize("system", textbook.SYSTEMS)
def test_c_backend_agrees_with_numpy_from_every_start(c_backend, dtype, system, n_starts):
    ours = trained(system, dtype.name, n_starts, "c", pn.native.isa())
    theirs = trained(system, dtype.name, n_starts, "numpy", None)
    for k in range(n_starts):
        for actual, expected in zip(ours, theirs, strict=True):
            assert textbook.difference(actual[k], expected[k]) <= TOLERANCE[dtype.name]


@pytest.mark.parametrize("n_starts", N_STARTS)
@pytest.mark.parametrize("system", textbook.SYSTEMS)
def test_backends_agree_with_the_textbook_from_every_start(backend, dtype, system, n_starts):
    """The textbook's formulas unfused, derivatives in z instead of a, all starts in one stack of matrices."""
    ours = trained(system, dtype.name, n_starts, backend, pn.native.isa() if backend == "c" else None)
    theirs = textbook_trained(system, dtype.name, n_starts)
    for k in range(n_starts):
        for actual, expected in zip(ours, theirs, strict=True):
            assert textbook.difference(actual[k], expected[k]) <= TOLERANCE[dtype.name]


def test_starts_end_in_many_places():
    """Guards the two tests above: the starts differ, learn, and some get stuck."""
    _, losses, predictions = textbook_trained("layered", "float64", 200)
    solved = (np.array(predictions)[:, :, 0] > 0.5) == (textbook.XOR_Y[:, 0] > 0.5)
    assert 0.7 < solved.all(axis=1).mean() < 0.95
    assert losses[:, -1].std() > 0.05
    assert len(np.unique(losses[:, 0])) == len(losses)


SHAPES = {
    "1-1-1": [(1, 1, "tanh"), (1, 1, "sigmoid")],
    "5-7-3": [(5, 7, "sigmoid"), (7, 3, "tanh")],
    "17-33-2": [(17, 33, "relu"), (33, 2, "sigmoid")],
    "9-1": [(9, 1, "identity")],
    "3-8-9-7-4": [(3, 8, "tanh"), (8, 9, "relu"), (9, 7, "identity"), (7, 4, "sigmoid")],
    "every-activation": [(4, 4, f) for f in textbook.ACTIVATIONS],
    **{f"5-7-3-{f}": [(5, 7, f), (7, 3, f)] for f in textbook.ACTIVATIONS},
}


@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no-bias"])
@pytest.mark.parametrize("n_rows", [1, 3, 5, 7])
@pytest.mark.parametrize("loss", textbook.LOSSES)
@pytest.mark.parametrize("shape", SHAPES)
def test_single_steps_agree_from_identical_weights(c_backend, dtype, shape, loss, n_rows, bias):
    """Larger networks diverge from each other over many steps as rounding grows; one step may not."""
    layers = textbook.for_loss([(*layer, bias) for layer in SHAPES[shape]], loss)
    rng = np.random.default_rng(n_rows)
    x = rng.standard_normal((n_rows, layers[0][0])).astype(dtype)
    y = rng.random((n_rows, layers[-1][1])).astype(dtype)
    nets = {name: textbook.network(layers, loss, seed=5, dtype=dtype, backend=name) for name in ("numpy", c_backend)}
    for net in nets.values():
        net.parameters += 0.1  # biases other than 0
    c, numpy = nets["c"], nets["numpy"]
    for _ in range(3):
        c.parameters = numpy.parameters
        assert step_difference(c.predict(x), numpy.predict(x)) <= STEP_TOLERANCE[dtype.name]
        (c_loss, c_gradient), (numpy_loss, numpy_gradient) = c.loss_and_gradient(x, y), numpy.loss_and_gradient(x, y)
        assert step_difference(c_loss, numpy_loss) <= STEP_TOLERANCE[dtype.name]
        assert step_difference(c_gradient, numpy_gradient) <= STEP_TOLERANCE[dtype.name]
        assert c.train_on_batch(x, y, 0.1) == c_loss
        assert numpy.train_on_batch(x, y, 0.1) == numpy_loss
        assert step_difference(c.parameters, numpy.parameters) <= STEP_TOLERANCE[dtype.name]


def test_large_batches_through_a_wide_layer_agree(c_backend, dtype):
    """The sums of its gradient have so many terms that they take several blocks, and so many columns several parts."""
    layers = [(70, 1030, "tanh"), (1030, 3, "sigmoid")]
    rng = np.random.default_rng(6)
    x, y = rng.standard_normal((1000, 70)).astype(dtype), rng.random((1000, 3)).astype(dtype)
    nets = [textbook.network(layers, "log_loss", seed=2, dtype=dtype, backend=name) for name in ("numpy", c_backend)]
    before = nets[0].parameters.copy()
    for net in nets:
        net.train_on_batch(x, y, 0.5)
    steps = [net.parameters - before for net in nets]
    tolerance = 1e-10 if dtype == "float64" else 1e-3  # of a difference of parameters
    np.testing.assert_allclose(steps[1], steps[0], rtol=0, atol=tolerance * np.abs(steps[0]).max())


@pytest.mark.parametrize("shape", ["5-7-3", "17-33-2", *(f"5-7-3-{f}" for f in textbook.ACTIVATIONS)])
def test_mini_batches_agree(c_backend, dtype, shape):
    """Shuffled alike by both, with a smaller last batch: 13 rows in fours."""
    layers = [(*layer, True) for layer in SHAPES[shape]]
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((13, layers[0][0])), rng.random((13, layers[-1][1]))
    net = textbook.network(layers, "mean_squared_error", seed=1, dtype=dtype)
    result = pn.cross_check(net, x, y, epochs=20, learning_rate=0.1, batch_size=4)
    assert result.agree, str(result)
    assert max(result.parameters, result.predictions, result.loss) <= TOLERANCE[dtype.name]


def test_cross_check_reports_and_leaves_the_network_alone(dtype):
    layers, loss, x, y, learning_rate, _ = textbook.SYSTEMS["layered"]
    net = textbook.network(layers, loss, seed=2, init="normal", dtype=dtype)
    before = net.parameters.copy()
    result = pn.cross_check(net, x, y, epochs=1500, learning_rate=learning_rate)
    assert result.agree
    assert result.tolerance == TOLERANCE[dtype.name]
    assert "agree" in str(result)
    assert net.epochs_trained == 0
    assert np.array_equal(net.parameters, before)


def test_cross_check_tells_disagreement():
    assert not pn.CrossCheck(0.0, 2e-11, 0.0, 1e-11).agree
    assert not pn.CrossCheck(0.0, float("nan"), 0.0, 1e-11).agree
    assert "DISAGREE" in str(pn.CrossCheck(1.0, 0.0, 0.0, 1e-11))
