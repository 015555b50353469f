"""Gradients against complex steps of the textbook's loss, central differences, and numbers worked by hand."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import plainnet as pn

import textbook

# Complex steps are exact to rounding. A sum of some ten products, relative to the largest entry, loses a few ULPs.
TOLERANCE = {"float64": 1e-12, "float32": 2e-5}

NETWORKS = {
    "1-1-1": [(1, 1, "tanh", True), (1, 1, "sigmoid", True)],
    "2-3-1": [(2, 3, "tanh", True), (3, 1, "sigmoid", True)],
    "5-7-3": [(5, 7, "sigmoid", True), (7, 3, "tanh", False)],
    "5-7-3-relu": [(5, 7, "relu", True), (7, 3, "identity", True)],
    "17-33-2": [(17, 33, "tanh", False), (33, 2, "sigmoid", True)],
    "4-3": [(4, 3, "identity", True)],
    "3-4-5-2": [(3, 4, "relu", True), (4, 5, "tanh", True), (5, 2, "sigmoid", True)],
    "every-activation": [(8, 8, f, True) for f in textbook.ACTIVATIONS],
}


def case(layers, n_rows, dtype, seed=0):
    """Parameters, x and y of a network; y off the outputs, so that no gradient is near zero."""
    rng = np.random.default_rng(seed)
    parameters = rng.normal(0, 0.7, textbook.n_parameters(layers)).astype(dtype)
    x = rng.standard_normal((n_rows, layers[0][0])).astype(dtype)
    y = rng.uniform(0.05, 0.95, (n_rows, layers[-1][1])).astype(dtype)
    return parameters, x, y


@pytest.mark.parametrize("n_rows", [1, 3, 5, 7])
@pytest.mark.parametrize("loss", textbook.LOSSES)
@pytest.mark.parametrize("name", NETWORKS)
def test_gradient_is_the_derivative_of_the_textbook_loss(backend, dtype, name, loss, n_rows):
    layers = textbook.for_loss(NETWORKS[name], loss)
    parameters, x, y = case(layers, n_rows, dtype)
    expected = textbook.complex_step_gradient(layers, loss, parameters.astype(float), x.astype(float), y.astype(float))
    assert np.count_nonzero(expected) > len(expected) / 4  # guards against all zeros agreeing

    net = textbook.network(layers, loss, init=parameters, dtype=dtype, backend=backend)
    value, gradient = net.loss_and_gradient(x, y)
    assert gradient.dtype == dtype
    assert textbook.difference(gradient, expected) <= TOLERANCE[dtype.name]
    expected_loss = textbook.loss(layers, loss, parameters.astype(float), x.astype(float), y.astype(float))
    assert value == pytest.approx(expected_loss, rel=TOLERANCE[dtype.name])


@pytest.mark.parametrize("loss", textbook.LOSSES)
def test_train_on_batch_subtracts_rate_times_gradient(backend, dtype, loss):
    layers = NETWORKS["2-3-1"]
    parameters, x, y = case(layers, 5, dtype)
    net = textbook.network(layers, loss, init=parameters, dtype=dtype, backend=backend)
    value, gradient = net.loss_and_gradient(x, y)
    assert np.array_equal(net.parameters, parameters)  # asking for a gradient changes nothing
    assert net.train_on_batch(x, y, learning_rate=0.25) == value
    # One rounding of each parameter apart at most: 0.25 * gradient is exact.
    assert textbook.difference(net.parameters, parameters - dtype.type(0.25) * gradient) <= np.finfo(dtype).eps


def test_all_weights_use_the_values_from_before_the_update(backend):
    """
    1-1-1, identity, no biases, w1 = w2 = x = 1, y = 0, sum of squares, rate 1/4:
    a = w2 w1 x = 1; dloss/dw2 = 2 (a-y) w1 x = 2; dloss/dw1 = 2 (a-y) w2 x = 2 with the old w2 = 1 (with the new one,
    1/2, it would be 1). Both weights become 1 - 2/4 = 1/2, exactly.
    """
    layers = [(1, 1, "identity", False), (1, 1, "identity", False)]
    net = textbook.network(layers, "sum_of_squares", init=[1, 1], backend=backend)
    assert net.train_on_batch([[1]], [[0]], learning_rate=0.25) == 1
    assert net.parameters.tolist() == [0.5, 0.5]


def test_layered_network_gradient_worked_by_hand(backend):
    """
    2-1-1, tanh then sigmoid, all parameters 0 but w2 = 2; rows (1,0) and (0,1), y = 1 and 0; mean log loss, m = 2.
    a1 = tanh 0 = 0, z2 = 0, a2 = 1/2 for both: loss = ln 2. grad_z2 = (a2-y)/m = -1/4, +1/4.
    grad_w2 = sum a1 grad_z2 = 0, grad_b2 = 0. grad_z1 = grad_z2 * w2 * (1 - a1^2) = -1/2, +1/2.
    grad_W1 = x^T grad_z1 = (-1/2, 1/2), grad_b1 = 0.
    """
    layers = [(2, 1, "tanh", True), (1, 1, "sigmoid", True)]
    net = textbook.network(layers, "log_loss", init=[0, 0, 0, 2, 0], backend=backend)
    loss, gradient = net.loss_and_gradient([[1, 0], [0, 1]], [[1], [0]])
    assert loss == pytest.approx(np.log(2), rel=1e-15)
    assert gradient.tolist() == [-0.5, 0.5, 0, 0, 0]


def test_two_layer_network_gradient_worked_by_hand(backend):
    """
    1-2-1, sigmoid twice, no biases, W1 = (0, 0), W2 = (ln 9, ln 9)^T, x = 1, y = 0.4; sum of squares.
    a1 = 1/2 each, z2 = ln 9, a2 = 9/10; loss = (0.9-0.4)^2 = 1/4. grad_z2 = 2 (0.5) (0.9)(0.1) = 0.09.
    grad_W2 = a1 grad_z2 = 0.045 each. grad_W1 = x * 0.09 * ln 9 * (1/2)(1/2) = 0.0225 ln 9 each.
    """
    layers = [(1, 2, "sigmoid", False), (2, 1, "sigmoid", False)]
    net = textbook.network(layers, "sum_of_squares", init=[0, 0, np.log(9), np.log(9)], backend=backend)
    loss, gradient = net.loss_and_gradient([[1]], [[0.4]])
    assert loss == pytest.approx(0.25, rel=1e-14)
    assert gradient == pytest.approx([0.0225 * np.log(9)] * 2 + [0.045] * 2, rel=1e-14)


def test_mean_squared_error_worked_by_hand(backend):
    """
    2-2, identity: x = (1,2), W = ((1,2),(3,4)), b = (5,6): a = (1+6+5, 2+8+6) = (12, 16); y = (10, 13).
    loss = (2^2 + 3^2)/2 = 6.5; grad_a = 2 (2,3)/2 = (2,3); grad_W = ((2,3),(4,6)), grad_b = (2,3).
    A transposed weight would give a = (1*1+2*2+5, ...) = (10, 17).
    """
    net = textbook.network([(2, 2, "identity", True)], "mean_squared_error", init=[1, 2, 3, 4, 5, 6], backend=backend)
    assert net.predict([[1, 2]]).tolist() == [[12, 16]]
    loss, gradient = net.loss_and_gradient([[1, 2]], [[10, 13]])
    assert loss == 6.5
    assert gradient.tolist() == [2, 3, 4, 6, 2, 3]


@pytest.mark.parametrize(("z", "y"), [(40.0, 1), (40.0, 0), (-800.0, 0), (-800.0, 1), (1e4, 1), (1e4, 0)])
def test_log_loss_stays_finite_where_the_sigmoid_saturates(backend, dtype, z, y):
    """
    One weight z, x = 1: the loss is ln(1 + exp(-z)) for y = 1 and ln(1 + exp(z)) for y = 0, which at |z| >= 40 is
    below 1e-17 or |z| itself. The textbook's form gives inf or NaN here.
    """
    net = textbook.network([(1, 1, "sigmoid", False)], "log_loss", init=[z], dtype=dtype, backend=backend)
    loss, gradient = net.loss_and_gradient([[1]], [[y]])
    wrong = (z > 0) != (y == 1)
    assert loss == (pytest.approx(abs(z), rel=1e-15) if wrong else pytest.approx(0, abs=1e-16))
    assert gradient[0] == pytest.approx((1 if z > 0 else -1) if wrong else 0, abs=1e-16)


@given(
    n_in=st.integers(1, 10), n_hidden=st.integers(1, 18), n_out=st.integers(1, 10), n_rows=st.integers(1, 9),
    f=st.sampled_from(sorted(textbook.ACTIVATIONS)), last=st.sampled_from(sorted(textbook.ACTIVATIONS)),
    loss=st.sampled_from(sorted(textbook.LOSSES)), biases=st.tuples(st.booleans(), st.booleans()),
)  # fmt: skip
def test_gradient_property_any_small_network(backend, n_in, n_hidden, n_out, n_rows, f, last, loss, biases):
    last = textbook.LAST_ACTIVATION.get(loss, last)
    layers = [(n_in, n_hidden, f, biases[0]), (n_hidden, n_out, last, biases[1])]
    parameters, x, y = case(layers, n_rows, np.float64, seed=n_hidden)
    expected = textbook.complex_step_gradient(layers, loss, parameters, x, y)
    net = textbook.network(layers, loss, init=parameters, backend=backend)
    _, gradient = net.loss_and_gradient(x, y)
    # The textbook's log loss divides by a rounded 1 - a: its gradient is off where a sigmoid saturates, ours is not.
    a = textbook.forward(layers, parameters, x)
    spare = min(a.min(), (1 - a).min()) if loss == "log_loss" else 1
    assume(spare > 1e-9)
    # Absolute where a relu switched everything off; else as above.
    tolerance = 1e-12 + 4 * np.finfo(float).eps / spare
    assert np.abs(gradient - expected).max() <= tolerance * max(np.abs(expected).max(), 1e-3)


@pytest.mark.parametrize("loss", textbook.LOSSES)
def test_check_gradient_agrees_and_leaves_the_network_alone(backend, dtype, loss):
    layers = NETWORKS["2-3-1"]
    parameters, x, y = case(layers, 5, dtype)
    net = textbook.network(layers, loss, init=parameters, dtype=dtype, backend=backend)
    result = pn.check_gradient(net, x, y)
    assert result.agree, str(result)
    assert "agrees" in str(result)
    assert np.array_equal(net.parameters, parameters)


@pytest.mark.parametrize("activation", textbook.ACTIVATIONS)
def test_check_gradient_agrees_with_every_activation(backend, dtype, activation):
    layers = [(5, 7, activation, True), (7, 3, activation, True)]
    parameters, x, y = case(layers, 9, dtype, seed=1)
    net = textbook.network(layers, "mean_squared_error", init=parameters, dtype=dtype, backend=backend)
    result = pn.check_gradient(net, x, y)
    assert result.agree, str(result)


def test_check_gradient_does_not_accept_zeros_for_agreement(backend):
    """All weights zero and relu: both gradients vanish, which proves nothing."""
    net = textbook.network(
        [(2, 3, "relu", False), (3, 1, "identity", False)], "mean_squared_error", init=np.zeros(9), backend=backend
    )
    result = pn.check_gradient(net, [[1.0, 2.0]], [[1.0]])
    assert result.difference == 0
    assert not result.agree


def special_values(dtype):
    """Zeros, subnormal and ordinary numbers, huge ones whose double overflows, and the negatives of all of these."""
    info = np.finfo(dtype)
    sizes = [0, info.smallest_subnormal, info.smallest_normal, 0.5, 1, 2, 1e308 if dtype == np.float64 else 3e38]
    return [dtype.type(sign * size) for size in sizes for sign in (1, -1)]


def assert_alike(actual, expected, context):
    """
    NaN and infinities in the same places, the rest up to rounding: a sum of 40 terms, some of which cancel to a
    hundredth of them, or vanish among subnormal numbers.
    """
    info = np.finfo(expected[1].dtype)
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(
            one, other, rtol=4096 * info.eps, atol=64 * info.smallest_subnormal, err_msg=str(context)
        )


@pytest.mark.parametrize("n_rows", [1, 3, 40])
@pytest.mark.parametrize("activation", textbook.ACTIVATIONS)
@pytest.mark.parametrize("loss", textbook.LOSSES)
def test_special_values_have_the_same_loss_and_gradient_in_both_backends(c_backend, dtype, loss, activation, n_rows):
    """Of one layer whose bias is z. An error of 1e308 has a mean gradient in range, if it is not doubled first."""
    if textbook.LAST_ACTIVATION.get(loss, activation) != activation:
        pytest.skip("the loss needs another activation")
    layers = [(1, 1, activation, True)]
    nets = [textbook.network(layers, loss, init=[0, 0], dtype=dtype, backend=b) for b in ("numpy", c_backend)]
    x = np.ones((n_rows, 1), dtype)
    targets = [y for y in special_values(dtype) if 0 <= y <= 1 or loss != "log_loss"]
    for z in [*special_values(dtype), np.inf, -np.inf, np.nan]:
        for y in targets:
            results = []
            for net in nets:
                net.parameters[:] = 0, z
                results.append(net.loss_and_gradient(x, np.full((n_rows, 1), y, dtype)))
            assert_alike(results[1], results[0], (z, y))


@pytest.mark.parametrize("width", [1, 5, 17])
@pytest.mark.parametrize("n_rows", [1, 9])
@pytest.mark.parametrize("activation", textbook.ACTIVATIONS)
def test_special_values_in_a_hidden_layer_have_the_same_gradient_in_both_backends(
    c_backend, dtype, activation, n_rows, width
):
    """A hidden layer whose bias is z, and whose incoming gradient overflows where weights or targets are huge."""
    layers = [(1, width, activation, True), (width, 1, "identity", True)]
    net_numpy, net_c = (
        textbook.network(layers, "mean_squared_error", init=np.zeros(3 * width + 1), dtype=dtype, backend=b)
        for b in ("numpy", c_backend)
    )
    x = np.ones((n_rows, 1), dtype)
    for z in special_values(dtype):
        for weight in special_values(dtype):
            for y in (0, 1, special_values(dtype)[-2]):
                results = []
                for net in (net_numpy, net_c):
                    net.parameters[:] = np.repeat([0, z, weight, 0], [width, width, width, 1])
                    results.append(net.loss_and_gradient(x, np.full((n_rows, 1), y, dtype)))
                assert_alike(results[1], results[0], (z, weight, y))


@pytest.mark.parametrize("n_rows", [1, 4, 5, 40])
@pytest.mark.parametrize("widths", [(1, 1, 1), (1, 4, 1), (2, 7, 3, 1), (3, 40, 1), (3, 600, 1)])
def test_relu_that_is_off_stops_an_infinite_gradient(backend, dtype, widths, n_rows):
    """
    Biases and first weights are 0, so every relu is off, at 0, and gradients before it are 0 (not 0 times infinity).
    Large last weights and a large error, whose square is finite, make the gradient that arrives there infinite.
    """
    large = dtype.type(1e150 if dtype == np.float64 else 1e18)
    layers = [(k, n, "relu", True) for k, n in itertools.pairwise(widths)]
    layers[-1] = (*layers[-1][:2], "identity", True)
    init = np.zeros(textbook.n_parameters(layers), dtype)
    init[-1 - widths[-2] : -1] = np.finfo(dtype).max
    net = textbook.network(layers, "mean_squared_error", init=init, dtype=dtype, backend=backend)
    x, y = np.ones((n_rows, widths[0]), dtype), np.full((n_rows, 1), large)
    loss, gradient = net.loss_and_gradient(x, y)
    assert loss == pytest.approx(float(large) ** 2, rel=1e-6)
    assert gradient[-1] == pytest.approx(-2 * large, rel=1e-5)
    assert not gradient[:-1].any()
    assert net.train_on_batch(x, y, learning_rate=0.5) == loss
    np.testing.assert_array_equal(net.parameters[:-1], init[:-1])
    assert net.parameters[-1] == pytest.approx(large, rel=1e-5)


@pytest.mark.parametrize("n_rows", [1, 8, 33, 130])
@pytest.mark.parametrize("widths", [(1, 1), (2, 8, 1), (3, 5, 7, 2), (17, 12), (32, 20, 31), (40, 300, 3)])
@pytest.mark.parametrize("special", [np.inf, -np.inf, np.nan])
def test_special_parameter_changes_the_same_results_in_both_backends(c_backend, dtype, widths, n_rows, special):
    """On every path (few rows, narrow layers, packed weights): the results that depend on it, and no other."""
    rng = np.random.default_rng(n_rows)
    layers = [(k, n, "tanh", n != 7) for k, n in itertools.pairwise(widths)]
    parameters = rng.normal(0, 0.7, textbook.n_parameters(layers)).astype(dtype)
    nets = [
        textbook.network(layers, "mean_squared_error", init=parameters, dtype=dtype, backend=b)
        for b in ("numpy", c_backend)
    ]
    x, y = rng.standard_normal((n_rows, widths[0])).astype(dtype), rng.random((n_rows, widths[-1])).astype(dtype)
    x.flat[rng.integers(x.size)] = 0
    for index in rng.integers(len(parameters), size=4):
        results = []
        for net in nets:
            net.parameters[:] = parameters
            net.parameters[index] = special
            results.append((net.predict(x), *net.loss_and_gradient(x, y)))
        for actual, expected in zip(results[1], results[0], strict=True):
            # The largest entry of a gradient is of order 1, a sum has some hundred terms.
            np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-3 if dtype == np.float32 else 1e-11)


@pytest.mark.parametrize("widths", [(1, 1, 1), (2, 7, 3, 1), (3, 40, 1)])
def test_infinite_loss_stops_training_though_the_gradient_is_finite(backend, dtype, widths):
    """The square of the error overflows, the error does not: the step itself would be harmless."""
    large = dtype.type(1e200 if dtype == np.float64 else 1e25)
    layers = [(k, n, "identity", True) for k, n in itertools.pairwise(widths)]
    init = np.zeros(textbook.n_parameters(layers), dtype)
    net = textbook.network(layers, "mean_squared_error", init=init, dtype=dtype, backend=backend)
    x, y = np.ones((4, widths[0]), dtype), np.full((4, 1), large)
    with pytest.raises(pn.DivergedError):
        net.fit(x, y, epochs=3, learning_rate=0.25)
    assert not net.parameters.any()
