"""What losses share: both backends compute them alike, in every kind of run, and networks keep their parameters."""

import copy
import pickle

import mpmath
import numpy as np
import pytest

import plainnet as pn

import textbook
from interruption import fit_interrupted

#: name: (loss, last activation)
LOSSES = {
    "mean_absolute_error": ("mean_absolute_error", "identity"),
    "huber": ("huber", "identity"),
    "huber-0.25": (pn.Huber(0.25), "tanh"),
    "log_cosh": ("log_cosh", "identity"),
    "quantile": ("quantile", "tanh"),
    "quantile-0.9": (pn.Quantile(0.9), "identity"),
    "poisson": ("poisson", "identity"),
    "cross_entropy": ("cross_entropy", "softmax"),
    "cross_entropy-0.1": (pn.CrossEntropy(0.1), "softmax"),
    "labels": ("cross_entropy", "softmax"),
    "labels-0.1": (pn.CrossEntropy(label_smoothing=0.1), "softmax"),
}

# As in test_parity: a step is some roundings away; exp and tanh have an error of some units of the last place.
STEP_TOLERANCE = {"float64": 1e-13, "float32": 1e-5}


def case(name, n_rows, dtype, shape=(5, 7, 3)):
    """Layers, loss, x and y; targets on both sides of the outputs."""
    loss, last = LOSSES[name]
    layers = [(shape[0], shape[1], "tanh", True), (shape[1], shape[2], last, True)]
    rng = np.random.default_rng(n_rows)
    x = rng.standard_normal((n_rows, shape[0])).astype(dtype)
    if name.startswith("labels"):
        return layers, loss, x, rng.integers(0, shape[2], n_rows)
    if name.startswith("cross_entropy"):
        return layers, loss, x, rng.dirichlet(np.ones(shape[2]), n_rows).astype(dtype)
    return layers, loss, x, rng.gamma(1, 1.0, (n_rows, shape[2])).astype(dtype)


def step_difference(actual, expected):
    return np.abs(actual - expected).max() / max(1, np.abs(expected).max())


@pytest.mark.parametrize("n_rows", [1, 7, 33, 500])
@pytest.mark.parametrize("name", LOSSES)
def test_step_of_the_c_backend_is_that_of_numpy(c_backend, dtype, name, n_rows):
    layers, loss, x, y = case(name, n_rows, dtype)
    c, numpy = (textbook.network(layers, loss, seed=1, dtype=dtype, backend=each) for each in (c_backend, "numpy"))
    weight = np.random.default_rng(n_rows).gamma(0.5, 2.0, n_rows)
    for weights in (None, weight):
        c.parameters = numpy.parameters
        ours, theirs = c.loss_and_gradient(x, y, weights), numpy.loss_and_gradient(x, y, weights)
        for actual, expected in zip(ours, theirs, strict=True):
            assert step_difference(actual, expected) <= STEP_TOLERANCE[dtype.name]
        assert c.train_on_batch(x, y, 0.1, weights) == ours[0]
        assert numpy.train_on_batch(x, y, 0.1, weights) == theirs[0]
        assert step_difference(c.parameters, numpy.parameters) <= STEP_TOLERANCE[dtype.name]


@pytest.mark.parametrize("n_rows", [1, 7, 300, 5000])
@pytest.mark.parametrize("name", LOSSES)
def test_evaluate_returns_the_bits_of_the_loss_with_a_gradient(backend, dtype, name, n_rows):
    """With options of layers and weights, and for more rows than a block has and than a wave of blocks has."""
    layers, loss, x, y = case(name, n_rows, dtype)
    net = textbook.network(layers, loss, seed=1, dtype=dtype, backend=backend)
    weight = np.random.default_rng(n_rows).gamma(0.5, 2.0, n_rows)
    before = net.parameters.copy()
    for weights in (None, weight):
        assert net.evaluate(x, y, weights) == net.loss_and_gradient(x, y, weights)[0]
    out = np.full((n_rows, net.layers[-1].n_out), np.nan, dtype)
    native_y = y.astype(dtype) if y.ndim == 1 else y  # what the network hands to its backend
    assert net._model.total_loss(x, native_y, None, out) == net.evaluate(x, y)
    if backend == "numpy":  # whose products depend on the number of rows
        np.testing.assert_allclose(out, net.predict(x), rtol=1e-12 if dtype == np.float64 else 1e-4, atol=1e-6)
    else:
        assert np.array_equal(out, net.predict(x))
    assert np.array_equal(net.parameters, before)
    assert net.epochs_trained == 0


def test_evaluate_has_the_terms_of_the_penalty_and_drops_nothing(backend):
    layers = [pn.Dense(3, 5, "tanh", dropout=0.5, l1=0.1), pn.Dense(5, 1, l2=0.2)]
    net = pn.Network(layers, seed=1, backend=backend)
    x, y = np.random.default_rng(0).normal(size=(7, 3)), np.arange(7.0)
    penalty = 0.1 * np.abs(net.layers[0].weight).sum() + 0.1 * (net.layers[1].weight ** 2).sum()
    expected = np.mean((net.predict(x)[:, 0] - y) ** 2) + penalty
    assert net.evaluate(x, y) == pytest.approx(expected, rel=1e-12)  # sums of 20 terms, rounded


@pytest.mark.parametrize("batch_size", [4, None])
@pytest.mark.parametrize("name", LOSSES)
def test_runs_agree_and_lower_the_loss(c_backend, dtype, name, batch_size):
    layers, loss, x, y = case(name, 13, dtype)
    net = textbook.network(layers, loss, seed=1, dtype=dtype, backend=c_backend)
    result = pn.cross_check(net, x, y, epochs=20, learning_rate=0.02, batch_size=batch_size)
    assert result.agree, str(result)
    history = net.fit(x, y, epochs=20, learning_rate=0.02, batch_size=batch_size)
    assert history.loss[-1] < history.loss[0]


@pytest.mark.parametrize("name", LOSSES)
def test_run_of_a_tiny_network_has_the_bits_of_its_steps(c_backend, dtype, name):
    """Whose rows run along the lanes in C; see csrc/fused."""
    layers, loss, x, y = case(name, 3, dtype, (2, 3, 2))
    whole, steps = (textbook.network(layers, loss, seed=1, dtype=dtype, backend=c_backend) for _ in range(2))
    losses = whole.fit(x, y, epochs=10, learning_rate=0.1).loss
    singly = []
    for _ in range(10):
        before, gradient = steps.loss_and_gradient(x, y)
        singly.append(before)
        assert steps.train_on_batch(x, y, 0.1) == before
        assert np.count_nonzero(gradient) > 0
    assert losses.tolist() == singly
    assert np.array_equal(whole.parameters, steps.parameters)


@pytest.mark.parametrize("name", LOSSES)
def test_check_gradient_agrees(backend, dtype, name):
    layers, loss, x, y = case(name, 5, dtype)
    result = pn.check_gradient(textbook.network(layers, loss, seed=1, dtype=dtype, backend=backend), x, y)
    assert result.agree, str(result)


def loss_of(backend, dtype, loss, a, y):
    """The loss of a single output `a`, and its gradient with respect to it."""
    net = textbook.network([(1, 1, "identity", False)], loss, init=[a], dtype=dtype, backend=backend)
    value, gradient = net.loss_and_gradient(np.ones((1, 1), dtype), np.full((1, 1), y, dtype))
    return value, float(gradient[0])


def test_losses_worked_by_hand(backend, dtype):
    """All of these numbers are sums of powers of two, and exact."""
    assert loss_of(backend, dtype, "mean_absolute_error", 1.5, 4) == (2.5, -1)
    assert loss_of(backend, dtype, "mean_absolute_error", 4, 1.5) == (2.5, 1)
    assert loss_of(backend, dtype, pn.Huber(0.5), 2.25, 2) == (0.03125, 0.25)  # 1/4 off: 1/16 / 2
    assert loss_of(backend, dtype, pn.Huber(0.5), 2, 5) == (1.375, -0.5)  # 3 off: 1/2 (3 - 1/4)
    assert loss_of(backend, dtype, pn.Quantile(0.75), 1, 3) == (1.5, -0.75)
    assert loss_of(backend, dtype, pn.Quantile(0.75), 3, 1) == (0.5, 0.25)
    assert loss_of(backend, dtype, "poisson", 0, 3) == (1, -2)


@pytest.mark.parametrize("loss", ["mean_absolute_error", "huber", "log_cosh", "quantile"])
def test_loss_and_gradient_are_0_where_the_output_is_the_target(backend, dtype, loss):
    assert loss_of(backend, dtype, loss, 0.7, 0.7) == (0, 0)


@pytest.mark.parametrize("d", [1e-6, 1e-3, 0.5, 0.999, 1.0, 1.001, 5.0, 50.0, 1e4, 1e30])
def test_log_cosh_is_exact_near_0_and_finite_far_away(backend, dtype, d):
    """Within 10 units of the last place, from the series near 0 to |d| - ln 2."""
    d = float(dtype.type(d))
    near = d**2 / 2 - d**4 / 12 + d**6 / 45
    expected = near if d < 2e-3 else np.log(np.cosh(d)) if d < 40 else d - np.log(2)
    for sign in (1, -1):
        value, gradient = loss_of(backend, dtype, "log_cosh", sign * d, 0)
        assert value == pytest.approx(expected, rel=10 * float(np.finfo(dtype).eps), abs=0)
        assert gradient == pytest.approx(sign * np.tanh(d), rel=10 * float(np.finfo(dtype).eps), abs=0)


def test_poisson_from_tiny_to_huge_rates(backend, dtype):
    huge = 700.0 if dtype == np.float64 else 85.0
    for a in (-2e4, -huge + 10, -3.0, 3.0, huge):
        value, gradient = loss_of(backend, dtype, "poisson", a, 2)
        rate = np.exp(a)
        assert value == pytest.approx(rate - 2 * a, rel=10 * float(np.finfo(dtype).eps), abs=0)
        assert gradient == pytest.approx(rate - 2, rel=10 * float(np.finfo(dtype).eps), abs=0)
    net = textbook.network([(1, 1, "identity", False)], "poisson", init=[1000.0], dtype=dtype, backend=backend)
    with pytest.raises(pn.DivergedError, match="inf"):
        net.train_on_batch([[1.0]], [[1.0]], 0.1)


@pytest.mark.parametrize("loss", ["huber", pn.Huber(0.5), pn.Quantile(0.9), "poisson", pn.CrossEntropy(0.25)])
def test_network_keeps_its_loss(backend, dtype, loss):
    last, y = ("softmax", [2]) if loss == pn.CrossEntropy(0.25) else ("identity", [[9, 8, 7]])
    net = textbook.network([(2, 3, last, True)], loss, seed=1, dtype=dtype, backend=backend)
    assert net.loss == loss
    assert f"loss={loss!r}" in repr(net)
    expected = net.loss_and_gradient([[1, 2]], y)
    for twin in (net.copy(), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert twin.loss == loss
        assert twin.loss_and_gradient([[1, 2]], y)[0] == expected[0]


def test_names_stand_for_the_default_parameters(backend):
    for name, loss in (("huber", pn.Huber()), ("quantile", pn.Quantile())):
        values = [loss_of(backend, np.dtype(float), each, 5.5, 2) for each in (name, loss)]
        assert values[0] == values[1]
    assert repr(pn.Huber()) == "Huber(delta=1.0)"
    assert repr(pn.Quantile()) == "Quantile(q=0.5)"
    assert pn.Huber(2) == pn.Huber(2.0)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: pn.Huber(0), ValueError, ["delta", "finite and above 0", "not 0"]),
        (lambda: pn.Huber(-1.5), ValueError, ["delta", "-1.5"]),
        (lambda: pn.Huber(float("nan")), ValueError, ["delta", "nan"]),
        (lambda: pn.Huber(10**400), ValueError, ["delta", "finite"]),
        (lambda: pn.Huber("1"), TypeError, ["delta", "number", "'1'"]),
        (lambda: pn.Quantile(1), ValueError, ["q must be above 0 and below 1, not 1"]),
        (lambda: pn.Quantile(True), TypeError, ["q", "True"]),
        (lambda: pn.Network([pn.Dense(2, 1)], loss=pn.Huber(1e300), dtype="float32"), ValueError,
         ["delta", "in float32", "1e+300"]),
        (lambda: pn.Network([pn.Dense(2, 1)], loss=pn.Quantile(1 - 1e-12), dtype="float32"), ValueError,
         ["q must be", "in float32"]),
        (lambda: pn.Network([pn.Dense(2, 1)], loss=pn.Huber), ValueError, ["unknown loss", "'huber'"]),
        (lambda: pn.CrossEntropy(1), ValueError, ["label_smoothing must be at least 0 and below 1, not 1"]),
        (lambda: pn.CrossEntropy(-0.1), ValueError, ["label_smoothing", "-0.1"]),
        (lambda: pn.Network([pn.Dense(2, 3, "softmax"), pn.Dense(3, 2, "softmax")], loss="cross_entropy"), ValueError,
         ["layers[0] = Dense(2, 3, 'softmax')", "softmax is for the last layer only"]),
        (lambda: pn.Network([pn.Dense(2, 3, "softmax")]), ValueError,
         ['softmax needs "cross_entropy" as the loss, not "mean_squared_error"']),
        (lambda: pn.Network([pn.Dense(2, 3, "tanh")], loss=pn.CrossEntropy(0.1)), ValueError,
         ['cross_entropy needs "softmax" as the last layer\'s activation, not "tanh"']),
    ],
)  # fmt: skip
def test_bad_parameter_is_refused(make, error, words):
    with pytest.raises(error) as caught:
        make()
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_poisson_refuses_negative_targets(backend, dtype):
    net = textbook.network([(1, 2, "identity", True)], "poisson", seed=1, dtype=dtype, backend=backend)
    before = net.parameters.copy()
    for call in (net.loss_and_gradient, net.train_on_batch, net.fit):
        with pytest.raises(ValueError, match=r"y holds -0\.5 \(row 1, column 0\); poisson needs targets of at least 0"):
            call([[1], [2]], [[1, 0], [-0.5, 3]])
    assert np.array_equal(net.parameters, before)


# ---- Cross entropy ---------------------------------------------------------------------------------------------------


def classifier(backend, dtype, n_out=3, **arguments):
    layers = [(5, 7, "tanh", True), (7, n_out, "softmax", True)]
    loss = arguments.pop("loss", "cross_entropy")
    return textbook.network(layers, loss, seed=1, dtype=dtype, backend=backend, **arguments)


@pytest.mark.parametrize("kind", ["int8", "uint16", "int64", ">i4", "float64", "list", "strided"])
def test_labels_of_every_integer_type_are_the_same(backend, dtype, kind):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((9, 5)), rng.integers(0, 3, 9)
    given = y.tolist() if kind == "list" else np.repeat(y, 2)[::2] if kind == "strided" else y.astype(kind)
    net = classifier(backend, dtype)
    loss, gradient = net.loss_and_gradient(x, given)
    expected_loss, expected_gradient = net.loss_and_gradient(x, y)
    assert loss == expected_loss
    assert np.array_equal(gradient, expected_gradient)


@pytest.mark.parametrize("loss", ["cross_entropy", pn.CrossEntropy(0.1)])
@pytest.mark.parametrize("n_out", [1, 2, 3, 10, 16, 17, 40])
def test_labels_have_the_bits_of_one_hot_targets(backend, dtype, loss, n_out):
    rng = np.random.default_rng(n_out)
    x, y = rng.standard_normal((13, 5)), rng.integers(0, n_out, 13)
    labels, one_hot = (classifier(backend, dtype, n_out, loss=loss) for _ in range(2))
    assert labels.loss_and_gradient(x, y)[0] == one_hot.loss_and_gradient(x, np.eye(n_out)[y])[0]
    histories = [labels.fit(x, y, epochs=3, batch_size=4), one_hot.fit(x, np.eye(n_out)[y], epochs=3, batch_size=4)]
    assert np.array_equal(histories[0].loss, histories[1].loss)
    assert np.array_equal(labels.parameters, one_hot.parameters)


def test_softmax_of_many_rows_is_that_of_each_row(backend, dtype):
    """Sums to 1 up to a rounding of each term, and does not depend on the rows around it."""
    x = np.random.default_rng(0).standard_normal((1000, 5)).astype(dtype)
    net = classifier(backend, dtype, 10)
    a = net.predict(x)
    assert a.shape == (1000, 10)
    assert np.abs(a.sum(axis=1) - 1).max() <= 10 * np.finfo(dtype).eps
    if backend == "c":  # NumPy's products depend on how many rows there are
        assert np.array_equal(a[[5, 999]], np.concatenate([net.predict(x[5:6]), net.predict(x[999:])]))


@pytest.mark.parametrize("n_out", [1, 3, 16, 37])
def test_softmax_layer_by_itself_is_that_of_the_network(kernels, dtype, n_out):
    """Forward; and its backward pass against that of the network, to which it is fused with the loss."""
    rng = np.random.default_rng(n_out)
    weight, bias = rng.standard_normal((5, n_out)).astype(dtype), rng.standard_normal(n_out).astype(dtype)
    x, y = rng.standard_normal((7, 5)).astype(dtype), rng.dirichlet(np.ones(n_out), 7).astype(dtype)
    a = kernels.dense_forward(x, weight, bias, "softmax")
    z = (x @ weight + bias).astype(float)
    expected = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    tolerance = 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(a, expected, rtol=tolerance, atol=0)
    grad_a = (-y / a / 7).astype(dtype)
    _, grad_weight, grad_bias = kernels.dense_backward(x, weight, a, grad_a, "softmax")
    net = textbook.network([(5, n_out, "softmax", True)], "cross_entropy", init=np.append(weight, bias), dtype=dtype)
    _, gradient = net.loss_and_gradient(x, y)
    assert np.abs(np.append(grad_weight, grad_bias) - gradient).max() <= tolerance


@pytest.mark.parametrize("y", [[1], [[0, 1, 0]]])
def test_cross_entropy_is_finite_for_every_finite_z(backend, dtype, y):
    largest = float(np.finfo(dtype).max)
    for z, expected in (
        ([1e4, 0, 0], 1e4), ([0, 1e4, 0], 0), ([-1e4, -1e4, -2e4], np.log(2)),
        ([largest / 4, -largest / 4, 0], largest / 2), ([largest, -largest, 0], largest),
    ):  # fmt: skip
        net = textbook.network([(1, 3, "softmax", False)], "cross_entropy", init=z, dtype=dtype, backend=backend)
        loss, gradient = net.loss_and_gradient([[1.0]], y)
        assert loss == pytest.approx(expected, rel=4 * float(np.finfo(dtype).eps), abs=1e-300)
        a = net.predict([[1.0]])[0]
        np.testing.assert_allclose(gradient, a - [0, 1, 0], rtol=0, atol=2 * np.finfo(dtype).eps)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        ([0, 3, 1], ["y holds 3 (entry 1)", "class labels must be whole numbers from 0 to 2"]),
        ([0, -1, 1], ["y holds -1 (entry 1)", "from 0 to 2"]),
        ([0, 1, 1.5], ["y holds 1.5 (entry 2)", "whole"]),
        ([0, 1 + 1e-12, 1], ["y holds 1.00", "whole"]),
        ([float("nan"), 1, 1], ["y holds nan (entry 0)", "whole"]),
        ([float("inf"), 1, 1], ["y holds inf (entry 0)", "whole"]),
        ([0, 2**62, 1], ["y holds 4611686018427387904 (entry 1)", "from 0 to 2"]),
        ([0, 1], ["x and y", "(3, 5)", "(2,)"]),
        ([], ["y has shape (0,)", "at least one sample"]),
        ([[0], [1], [2]], ["y has shape (3, 1)", "(n_samples, 3)", "labels have the shape (n_samples,)"]),
        ([[1, 0, 0], [0, 1, 0], [0.5, 0.25, 0.2]], ["y's row 2 sums to 0.95", "sum to 1"]),
        ([[1, 0, 0], [1.5, 0, -0.5], [1, 0, 0]], ["y holds 1.5 (row 1, column 0)", "cross_entropy", "[0, 1]"]),
        ([[1, 0, 0], [float("nan"), 0, 1], [1, 0, 0]], ["y holds nan (row 1, column 0)", "finite"]),
    ],
)
def test_bad_classes_are_refused(backend, dtype, y, words):
    net = classifier(backend, dtype)
    before = net.parameters.copy()
    for call in (net.loss_and_gradient, net.train_on_batch, net.fit):
        with pytest.raises(ValueError, match="y") as caught:
            call(np.ones((3, 5)), y)
        assert all(word in str(caught.value) for word in words), str(caught.value)
    assert np.array_equal(net.parameters, before)


@pytest.mark.parametrize("names", [["b", "a", "c", "a"], np.array(["b", "a", "c", "a"], object)])
def test_names_of_classes_are_refused_with_the_way_to_labels(backend, names):
    net = classifier(backend, "float64")
    for call in (net.fit, lambda x, y: net.fit(x, [0, 1, 2, 0], validation=(x, y))):
        with pytest.raises(TypeError, match=r"y has dtype .*; names become labels with classes, y = np.unique\(y"):
            call(np.ones((4, 5)), names)
    classes, labels = np.unique(names, return_inverse=True)
    net.fit(np.ones((4, 5)), labels)
    assert list(classes) == ["a", "b", "c"]
    with pytest.raises(TypeError, match=r"in nested lists$"):
        pn.Network([pn.Dense(5, 1)], seed=0, backend=backend).fit(np.ones((4, 5)), ["1", "2", "3", "4"])


def test_probabilities_may_be_rounded(backend):
    """To within 1e-6 or, in float32, 1e-3: thirds in single precision, or rounded to four digits."""
    y = np.full((2, 3), np.float32(1 / 3))
    classifier(backend, "float64").train_on_batch(np.ones((2, 5)), y)
    classifier(backend, "float32").train_on_batch(np.ones((2, 5)), np.round(y, 4))
    with pytest.raises(ValueError, match="to within 1e-06"):
        classifier(backend, "float64").train_on_batch(np.ones((2, 5)), np.round(y, 4))


# ---- Targets (n_samples,) of a network with one output ---------------------------------------------------------------


@pytest.mark.parametrize("loss", ["mean_squared_error", "log_loss", "poisson"])
def test_targets_without_columns_are_a_column(backend, dtype, loss):
    last = "sigmoid" if loss == "log_loss" else "identity"
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((9, 5)).astype(dtype), rng.random(9).astype(dtype)
    flat, column = (
        textbook.network([(5, 3, "tanh", True), (3, 1, last, True)], loss, seed=1, dtype=dtype, backend=backend)
        for _ in range(2)
    )
    for call in ("loss_and_gradient", "train_on_batch", "fit"):
        ours, theirs = getattr(flat, call)(x, y), getattr(column, call)(x, y[:, np.newaxis])
        if call == "loss_and_gradient":
            assert np.array_equal(ours[1], theirs[1])
    flat.fit(x, y.tolist(), epochs=2, batch_size=4)
    column.fit(x, y.reshape(-1, 1), epochs=2, batch_size=4)
    assert np.array_equal(flat.parameters, column.parameters)
    assert flat.predict(x).shape == (9, 1)


def test_targets_without_columns_need_a_single_output(backend):
    net = textbook.network([(5, 2, "identity", True)], "mean_squared_error", seed=1, backend=backend)
    with pytest.raises(ValueError, match=r"y has shape \(9,\), expected \(n_samples, 2\)"):
        net.fit(np.ones((9, 5)), np.ones(9))


# ---- Sample weights --------------------------------------------------------------------------------------------------

ALL_LOSSES = {
    **LOSSES,
    "log_loss": ("log_loss", "sigmoid"),
    "sum_of_squares": ("sum_of_squares", "identity"),
    "mean_squared_error": ("mean_squared_error", "identity"),
}


def test_every_loss_is_tested_here():
    assert set(pn.losses.LOSSES) <= set(ALL_LOSSES)


def weighted_case(name, n_rows, dtype, backend, shape=(5, 7, 3)):
    """A network, and x, y and weights, a third of which are 0."""
    if name not in LOSSES:
        layers, _, x, y = case("mean_absolute_error", n_rows, dtype, shape)
        loss, last = ALL_LOSSES[name]
        layers[-1] = (*layers[-1][:2], last, True)
        y = y / (1 + y)
    else:
        layers, loss, x, y = case(name, n_rows, dtype, shape)
    rng = np.random.default_rng(n_rows + 1)
    weight = rng.gamma(0.5, 2.0, n_rows) * (rng.random(n_rows) > 1 / 3)
    weight[0] = 0.5
    return textbook.network(layers, loss, seed=1, dtype=dtype, backend=backend), x, y, weight.astype(dtype)


@pytest.mark.parametrize("n_rows", [7, 800])
@pytest.mark.parametrize("name", ALL_LOSSES)
def test_weight_of_0_is_as_if_the_row_were_not_there(backend, dtype, name, n_rows):
    """Up to the order of sums: float32 adds up the rows of a block one after another."""
    net, x, y, weight = weighted_case(name, n_rows, dtype, backend)
    loss, gradient = net.loss_and_gradient(x, y, weight)
    there = weight > 0
    assert 0 < np.count_nonzero(there) < n_rows
    expected_loss, expected_gradient = net.loss_and_gradient(x[there], y[there], weight[there])
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    assert loss == pytest.approx(expected_loss, rel=tolerance)
    assert np.abs(gradient - expected_gradient).max() <= tolerance * np.abs(expected_gradient).max()


@pytest.mark.parametrize("name", ["mean_squared_error", "sum_of_squares", "poisson"])
def test_weight_of_0_covers_a_loss_that_is_not_finite(backend, dtype, name):
    largest = float(np.finfo(dtype).max)
    net = textbook.network([(1, 1, "identity", False)], name, init=[largest / 4], dtype=dtype, backend=backend)
    x, y = [[3.0], [0.0]], [[1.0], [1.0]]
    loss, gradient = net.loss_and_gradient(x, y, [0, 1])
    assert loss == 1
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", ALL_LOSSES)
def test_equal_weights_have_the_bits_of_none(backend, dtype, name):
    """Scaled by a power of two, too; but not of the sum of squares, which is no mean."""
    for factor in (1, 1) if name == "sum_of_squares" else (1, 0.25):
        net, x, y, _ = weighted_case(name, 13, dtype, backend)
        twin = net.copy()
        weights = np.full(13, factor)
        loss, gradient = net.loss_and_gradient(x, y, weights)
        expected_loss, expected_gradient = net.loss_and_gradient(x, y)
        assert loss == expected_loss
        assert np.array_equal(gradient, expected_gradient)
        weighted = net.fit(x, y, epochs=3, learning_rate=0.01, batch_size=4, sample_weight=weights)
        assert np.array_equal(weighted.loss, twin.fit(x, y, epochs=3, learning_rate=0.01, batch_size=4).loss)
        assert np.array_equal(net.parameters, twin.parameters)


@pytest.mark.parametrize("name", ["huber", "labels-0.1", "sum_of_squares"])
@pytest.mark.parametrize("batch_size", [4, None])
def test_weighted_runs_agree(c_backend, dtype, name, batch_size):
    net, x, y, weight = weighted_case(name, 13, dtype, c_backend)
    rate = 0.002 if name == "sum_of_squares" else 0.1
    result = pn.cross_check(net, x, y, epochs=10, learning_rate=rate, batch_size=batch_size, sample_weight=weight)
    assert result.agree, str(result)


@pytest.mark.parametrize("name", ALL_LOSSES)
def test_check_gradient_agrees_with_weights(backend, name):
    net, x, y, weight = weighted_case(name, 7, np.dtype(float), backend)
    result = pn.check_gradient(net, x, y, weight)
    assert result.agree, str(result)


def test_epoch_is_a_mean_over_its_weights_and_its_steps_over_theirs(backend, dtype):
    """Two batches of two rows. The loss of each is a mean over its own weights, that of the epoch one over all four."""
    x, y = np.ones((4, 1)), np.array([1.0, 2.0, 4.0, 8.0])
    net = textbook.network([(1, 1, "identity", False)], "mean_absolute_error", init=[0], dtype=dtype, backend=backend)
    history = net.fit(x, y, learning_rate=0.5, batch_size=2, shuffle=False, sample_weight=[1, 3, 2, 2])
    # The gradient of both steps is -1, whatever the weights: 0, 0.5, 1.
    assert net.parameters.tolist() == [1]
    assert history.loss.tolist() == [(1 * 1 + 3 * 2 + 2 * 3.5 + 2 * 7.5) / 8]


def test_batch_without_weight_changes_nothing(backend, dtype):
    net, x, y, _ = weighted_case("huber", 8, dtype, backend)
    first = net.copy()
    weight = [1, 2, 3, 4, 0, 0, 0, 0]
    history = net.fit(x, y, learning_rate=0.1, batch_size=4, shuffle=False, sample_weight=weight)
    loss = first.train_on_batch(x[:4], y[:4], 0.1, weight[:4])
    assert np.array_equal(net.parameters, first.parameters)
    assert history.loss[0] == loss


@pytest.mark.parametrize(
    ("weight", "error", "words"),
    [
        ([1, -0.5, 1], ValueError, ["sample_weight holds -0.5 (entry 1)", "finite and at least 0"]),
        ([1, 1, float("nan")], ValueError, ["sample_weight holds nan (entry 2)"]),
        ([float("inf"), 1, 1], ValueError, ["sample_weight holds inf (entry 0)"]),
        ([0, 0, 0], ValueError, ["sample_weight sums to 0.0", "not all weights may be 0"]),
        ([1, 1], ValueError, ["sample_weight has shape (2,), expected (3,)"]),
        ([[1], [1], [1]], ValueError, ["sample_weight has shape (3, 1), expected (3,)"]),
        (2.0, ValueError, ["sample_weight has shape (), expected (3,)"]),
        (["a", "b", "c"], TypeError, ["sample_weight"]),
    ],
)
def test_bad_weights_are_refused(backend, dtype, weight, error, words):
    net = classifier(backend, dtype)
    before = net.parameters.copy()
    for call in (net.loss_and_gradient, net.train_on_batch, net.fit):
        with pytest.raises(error) as caught:
            call(np.ones((3, 5)), [0, 1, 2], sample_weight=weight)
        assert all(word in str(caught.value) for word in words), str(caught.value)
    assert np.array_equal(net.parameters, before)


def test_interrupted_epoch_goes_on_with_its_weights_only(backend, dtype):
    """The bits of a run without interruption with the same weights; a new epoch with others."""
    net, x, y, weight = weighted_case("labels", 20, dtype, backend)
    whole, other = net.copy(), net.copy()
    arguments = {"learning_rate": 0.1, "batch_size": 4}
    expected = whole.fit(x, y, epochs=2, sample_weight=weight, **arguments)

    def interrupt(each):
        fit_interrupted(each, 2, x, y, epochs=2, sample_weight=weight, **arguments)
        assert each._state.begun.row == 8

    interrupt(net)
    assert net.fit(x, y, epochs=2, sample_weight=weight, **arguments).loss[-1] == expected.loss[-1]
    assert np.array_equal(net.parameters, whole.parameters)
    interrupt(other)
    other.fit(x, y, epochs=1, **arguments)
    assert not np.array_equal(other.parameters, whole.parameters)
    assert other._state.begun is None


@pytest.mark.parametrize("n_out", [2, 10, 40])
def test_softmax_is_exact_to_a_few_units_of_the_last_place(backend, dtype, n_out):
    """
    Against 40 digits. The exponentials, their sum and the division have an error of some units together, and the
    rounding of d = max(z) - z is one of up to d / 2 units of exp(-d). A probability that is subnormal has fewer digits.
    """
    rng = np.random.default_rng(n_out)
    info = np.finfo(dtype)
    for spread in (0.1, 3.0, 60.0):
        z = (rng.standard_normal(n_out) * spread).astype(dtype)
        net = textbook.network([(1, n_out, "softmax", False)], "cross_entropy", init=z, dtype=dtype, backend=backend)
        a = net.predict([[1.0]])[0]
        with mpmath.workdps(40):
            e = [mpmath.exp(mpmath.mpf(float(value))) for value in z]
            expected = [value / sum(e) for value in e]
            units = [abs(mpmath.mpf(float(p)) - q) / max(q * info.eps / 2, info.smallest_subnormal)
                     for p, q in zip(a, expected, strict=True)]  # fmt: skip
            below = [float(z.max()) - float(value) for value in z]
            assert all(unit <= 8 + d for unit, d in zip(units, below, strict=True))  # in eps q / 2: half a unit or one
            loss, _ = net.loss_and_gradient([[1.0]], [0])
            assert abs(mpmath.mpf(loss) + mpmath.log(expected[0])) <= 8 * float(info.eps) * max(1, abs(loss))


def worst_ulp(values, expected, dtype):
    """The largest error in units of the last place of the exact result."""
    digits = np.finfo(dtype).nmant
    errors = []
    for value, exact in zip(values, expected, strict=True):
        unit = mpmath.mpf(2) ** (mpmath.frexp(exact)[1] - 1 - digits)
        errors.append(abs(mpmath.mpf(float(value)) - exact) / unit)
    return max(errors)


def test_exp_of_the_poisson_loss_is_exact_to_1_1_ulp(c_backend, dtype):
    """With y = 0 the gradient is exp(a) / 1024, without another rounding. From exp(-700) or exp(-80) on."""
    low, high = (-700, 709.7) if dtype == np.float64 else (-80, 88.7)
    with mpmath.workdps(40):
        for start, end in ((low, high), (-1, 1)):
            a = np.random.default_rng(1).uniform(start, end, 1024).astype(dtype)
            net = textbook.network([(1, 1024, "identity", False)], "poisson", init=a, dtype=dtype, backend=c_backend)
            gradient = net.loss_and_gradient([[1.0]], np.zeros((1, 1024)))[1].astype(float) * 1024
            # A gradient below the smallest normal number has fewer digits.
            usable = np.abs(gradient) > 1024 * float(np.finfo(dtype).tiny)
            exact = [mpmath.exp(mpmath.mpf(float(value))) for value in a[usable]]
            assert np.count_nonzero(usable) > 900
            assert worst_ulp(gradient[usable], exact, dtype) <= 1.1


def test_log_of_cross_entropy_is_exact_to_2_ulp(c_backend, dtype):
    """With z = 0 the loss is the logarithm of the number of classes; log1p alone is exact to 1.93."""
    n_classes = [*range(2, 130), 255, 256, 257, 1000, 1023]
    values = []
    for n in n_classes:
        layers = [(1, n, "softmax", False)]
        net = textbook.network(layers, "cross_entropy", init=np.zeros(n), dtype=dtype, backend=c_backend)
        values.append(net.loss_and_gradient([[1.0]], [0])[0])
    with mpmath.workdps(40):
        assert worst_ulp(values, [mpmath.log(n) for n in n_classes], dtype) <= 2
