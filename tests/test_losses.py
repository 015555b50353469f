"""What losses share: both backends compute them alike, in every kind of run, and networks keep their parameters."""

import copy
import pickle

import numpy as np
import pytest

import plainnet as pn

import textbook

#: name: (loss, last activation)
LOSSES = {
    "mean_absolute_error": ("mean_absolute_error", "identity"),
    "huber": ("huber", "identity"),
    "huber-0.25": (pn.Huber(0.25), "tanh"),
    "log_cosh": ("log_cosh", "identity"),
    "quantile": ("quantile", "tanh"),
    "quantile-0.9": (pn.Quantile(0.9), "identity"),
    "poisson": ("poisson", "identity"),
}

# As in test_parity: a step is some roundings away; exp and tanh have an error of some units of the last place.
STEP_TOLERANCE = {"float64": 1e-13, "float32": 1e-5}


def case(name, n_rows, dtype, shape=(5, 7, 3)):
    """Layers, loss, x and y; targets on both sides of the outputs."""
    loss, last = LOSSES[name]
    layers = [(shape[0], shape[1], "tanh", True), (shape[1], shape[2], last, True)]
    rng = np.random.default_rng(n_rows)
    x = rng.standard_normal((n_rows, shape[0])).astype(dtype)
    y = rng.gamma(1, 1.0, (n_rows, shape[2])).astype(dtype)
    return layers, loss, x, y


def step_difference(actual, expected):
    return np.abs(actual - expected).max() / max(1, np.abs(expected).max())


@pytest.mark.parametrize("n_rows", [1, 7, 33, 500])
@pytest.mark.parametrize("name", LOSSES)
def test_step_of_the_c_backend_is_that_of_numpy(c_backend, dtype, name, n_rows):
    layers, loss, x, y = case(name, n_rows, dtype)
    c, numpy = (textbook.network(layers, loss, seed=1, dtype=dtype, backend=each) for each in (c_backend, "numpy"))
    for _ in range(2):
        c.parameters = numpy.parameters
        ours, theirs = c.loss_and_gradient(x, y), numpy.loss_and_gradient(x, y)
        for actual, expected in zip(ours, theirs, strict=True):
            assert step_difference(actual, expected) <= STEP_TOLERANCE[dtype.name]
        assert c.train_on_batch(x, y, 0.1) == ours[0]
        assert numpy.train_on_batch(x, y, 0.1) == theirs[0]
        assert step_difference(c.parameters, numpy.parameters) <= STEP_TOLERANCE[dtype.name]


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


@pytest.mark.parametrize("loss", ["huber", pn.Huber(0.5), pn.Quantile(0.9), "poisson"])
def test_network_keeps_its_loss(backend, dtype, loss):
    net = textbook.network([(2, 1, "identity", True)], loss, seed=1, dtype=dtype, backend=backend)
    assert net.loss == loss
    assert f"loss={loss!r}" in repr(net)
    expected = net.loss_and_gradient([[1, 2]], [[9]])
    for twin in (net.copy(), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert twin.loss == loss
        assert twin.loss_and_gradient([[1, 2]], [[9]])[0] == expected[0]


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
