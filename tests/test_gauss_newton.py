"""
Derivatives with respect to the parameters: against central differences, between the backends, and the Gauss-Newton
matrix that is added up from them.
"""

from itertools import pairwise

import numpy as np
import pytest

import plainnet as pn
from plainnet import native
from plainnet.reference import BLOCK_ROWS

import textbook
import toolchain

ACTIVATIONS = [*textbook.ACTIVATIONS, "softmax"]
LOSSES = ["sum_of_squares", "mean_squared_error"]
#: A row, a block, the rows around it, and some blocks.
ROWS = [1, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1, 1000]
#: Sizes, activations but for the last, and whether layers have a bias.
NETWORKS = {
    "one": ((1, 1), [], False),
    "narrow": ((4, 5, 3), ["tanh"], True),
    "deep": ((3, 6, 7, 4, 2), ["tanh", "silu", "sigmoid"], True),
    "no-bias": ((4, 9, 3), ["gelu"], False),
    "97-columns": ((7, 12, 1), ["tanh"], True),  # 109 parameters: more than a band of 96
    "193-columns": ((8, 19, 2), ["sigmoid"], True),
}


def make(name, backend, dtype=np.float64, loss="mean_squared_error", **arguments):
    """A network whose biases are not 0."""
    sizes, activations, bias = NETWORKS[name]
    layers = [pn.Dense(n_in, n_out, f, bias) for (n_in, n_out), f in zip(pairwise(sizes), [*activations, "identity"])]
    net = pn.Network(layers, loss, seed=1, dtype=dtype, backend=backend, **arguments)
    net.parameters += np.random.default_rng(2).normal(0, 0.1, net.parameters.size).astype(dtype)
    return net


def data(net, n_rows, seed=3):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n_rows, net.layers[0].n_in)), rng.normal(size=(n_rows, net.layers[-1].n_out))
    return x.astype(net.dtype), y.astype(net.dtype)


def some_weights(n_rows, dtype):
    """Of all sizes, a third of them 0, but not the first one."""
    weight = np.random.default_rng(4).lognormal(0, 2, n_rows)
    weight[1::3] = 0
    return weight.astype(dtype)


def gauss_newton(net, x, y, weight=None):
    gradient, hessian = np.full(net.parameters.size, np.nan, net.dtype), np.full((net.parameters.size,) * 2, np.nan)
    hessian = hessian.astype(net.dtype)
    loss = net._model.gauss_newton(x, y, gradient, hessian, weight)
    return loss, gradient, hessian


def expected_hessian(net, x, weight=None):
    """2 c times the sum of J^T J over rows and outputs, and l2 on the diagonal: in double precision."""
    jacobian = net.jacobian_parameters(x).astype(np.float64)
    weight = np.ones(len(x)) if weight is None else weight.astype(np.float64)
    rows = np.flatnonzero(weight)
    divisor = 1.0 if net.loss == "sum_of_squares" else weight.sum() * jacobian.shape[1]
    scaled = (np.sqrt(weight[rows])[:, None, None] * jacobian[rows]).reshape(-1, net.parameters.size)
    hessian = 2 / divisor * scaled.T @ scaled
    of_penalty = weight.sum() if net.divide_penalty else 1.0
    start = 0
    for layer in net.layers:
        of_weight = np.arange(start, start + layer.weight.size)
        hessian[of_weight, of_weight] += layer.options.l2 / of_penalty
        start += layer.n_parameters
    return hessian


def check_close(found, expected, dtype, float64=1e-13):
    """Relative to the largest entry."""
    tolerance = float64 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


# ---- The Jacobian ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", textbook.ACTIVATIONS)
@pytest.mark.parametrize(("last", "bias"), [("identity", False), ("softmax", True), ("same", True)])
def test_jacobian_is_the_derivative_of_the_outputs(backend, hidden, last, bias):
    last = hidden if last == "same" else last
    loss = "cross_entropy" if last == "softmax" else "mean_squared_error"
    layers = [pn.Dense(4, 6, hidden, bias), pn.Dense(6, 5, hidden, bias), pn.Dense(5, 3, last, bias)]
    net = pn.Network(layers, loss, init="normal", seed=0, backend=backend)
    net.parameters += 0.05  # biases are not 0, where relu has its kink
    x = np.random.default_rng(1).normal(size=(7, 4))
    jacobian = net.jacobian_parameters(x)
    assert jacobian.shape == (7, 3, net.parameters.size)
    start, step = net.parameters.copy(), 1e-6
    for k in range(len(start)):
        outputs = []
        for sign in (1, -1):
            net.parameters[:] = start
            net.parameters[k] += sign * step
            outputs.append(net.predict(x))
        np.testing.assert_allclose(jacobian[:, :, k], (outputs[0] - outputs[1]) / (2 * step), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("n_rows", ROWS)
@pytest.mark.parametrize("name", NETWORKS)
def test_backends_agree_on_the_jacobian(c_backend, dtype, name, n_rows):
    net = make(name, c_backend, dtype)
    x, _ = data(net, n_rows)
    found, expected = net.jacobian_parameters(x), net.copy(backend="numpy").jacobian_parameters(x)
    assert found.dtype == expected.dtype == dtype
    check_close(found, expected, dtype)


@pytest.mark.parametrize("last", ACTIVATIONS)
def test_backends_agree_on_the_jacobian_of_each_activation(c_backend, dtype, last):
    hidden = "tanh" if last == "softmax" else last
    layers = [pn.Dense(5, 9, hidden), pn.Dense(9, 4, hidden), pn.Dense(4, 3, last)]
    loss = "cross_entropy" if last == "softmax" else "mean_squared_error"
    net = pn.Network(layers, loss, seed=1, dtype=dtype, backend=c_backend)
    x = np.random.default_rng(2).normal(size=(50, 5)).astype(dtype)
    check_close(net.jacobian_parameters(x), net.copy(backend="numpy").jacobian_parameters(x), dtype)


def test_gradient_of_the_sum_of_squares_follows_from_the_jacobian(backend, dtype):
    net = make("deep", backend, dtype, "sum_of_squares")
    x, y = data(net, 500)
    residuals, jacobian = (net.predict(x) - y).astype(np.float64), net.jacobian_parameters(x).astype(np.float64)
    expected = 2 * np.einsum("ij,ijp->p", residuals, jacobian)
    check_close(net.loss_and_gradient(x, y)[1], expected, dtype, 1e-12)


def test_rows_of_the_jacobian_do_not_depend_on_each_other(c_backend, dtype):
    net = make("deep", c_backend, dtype)
    x, _ = data(net, 400)
    jacobian = net.jacobian_parameters(x)
    for rows in (slice(0, 1), slice(3, 10), slice(383, 400)):
        np.testing.assert_array_equal(net.jacobian_parameters(x[rows]), jacobian[rows])


def test_dropout_and_penalties_are_not_in_the_jacobian(backend):
    plain = make("narrow", backend)
    layers = [pn.Dense(4, 5, "tanh", dropout=0.5, l2=1.0), pn.Dense(5, 3, l1=1.0)]
    net = pn.Network(layers, init=plain.parameters, backend=backend)
    x, _ = data(net, 9)
    np.testing.assert_array_equal(net.jacobian_parameters(x), plain.jacobian_parameters(x))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_jacobian_of_a_row_that_is_not_finite_leaves_the_other_rows_alone(backend, dtype, value):
    """As the Jacobian with respect to x, without an error or a warning."""
    net = make("narrow", backend, dtype)
    x, _ = data(net, 9)
    expected = net.jacobian_parameters(x)
    x[4, 1] = value
    found = net.jacobian_parameters(x)
    assert not np.isfinite(found[4]).all()
    others = np.arange(9) != 4
    np.testing.assert_array_equal(found[others], expected[others])


def test_jacobian_of_data_of_another_shape_is_refused(backend):
    net = make("narrow", backend)
    before = net.parameters.copy()
    for x, message in [
        (np.zeros((7, 3)), r"x has shape \(7, 3\)"), (np.zeros(4), r"x has shape \(4,\)"),
        (np.zeros((0, 4)), "at least one sample"), (np.zeros((2, 2, 4)), r"x has shape \(2, 2, 4\)"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=message):
            net.jacobian_parameters(x)
    with pytest.raises(TypeError, match="x"):
        net.jacobian_parameters([["a"] * 4])
    np.testing.assert_array_equal(net.parameters, before)


def test_jacobian_for_which_there_is_no_memory_is_refused_with_its_size(backend):
    net = pn.Network([pn.Dense(1000, 1000)], seed=0, backend=backend)
    with pytest.raises(MemoryError, match=r"the result \(7\d\.\d TiB\); take fewer rows"):
        net.jacobian_parameters(np.broadcast_to(np.zeros(1000), (10**4, 1000)))


# ---- The Gauss-Newton matrix -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weights"])
@pytest.mark.parametrize("n_rows", ROWS)
@pytest.mark.parametrize("name", NETWORKS)
def test_gauss_newton_is_the_sum_of_the_jacobians_products(backend, dtype, name, n_rows, weighted):
    """Of a sum whose terms on the diagonal are positive: 1e-13, relative to the largest entry, and symmetric."""
    net = make(name, backend, dtype)
    x, y = data(net, n_rows)
    weight = some_weights(n_rows, dtype) if weighted else None
    loss, gradient, hessian = gauss_newton(net, x, y, weight)
    check_close(hessian, expected_hessian(net, x, weight), dtype)
    np.testing.assert_array_equal(hessian, hessian.T)
    expected_loss, expected_gradient = net.loss_and_gradient(x, y, weight)
    assert loss == expected_loss
    np.testing.assert_array_equal(gradient, expected_gradient)


@pytest.mark.parametrize("divide_penalty", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_gauss_newton_has_the_penalty_of_weights_on_its_diagonal(backend, dtype, loss, divide_penalty):
    layers = [pn.Dense(4, 5, "tanh", l2=0.3), pn.Dense(5, 4, "tanh"), pn.Dense(4, 2, l2=1.5)]
    net = pn.Network(layers, loss, seed=1, dtype=dtype, backend=backend, divide_penalty=divide_penalty)
    x, y = data(net, 500)
    for weight in (None, some_weights(500, dtype)):
        found = gauss_newton(net, x, y, weight)
        check_close(found[2], expected_hessian(net, x, weight), dtype)
        expected_loss, expected_gradient = net.loss_and_gradient(x, y, weight)
        assert found[0] == expected_loss
        np.testing.assert_array_equal(found[1], expected_gradient)


@pytest.mark.parametrize("n_rows", ROWS)
@pytest.mark.parametrize("name", NETWORKS)
def test_backends_agree_on_gauss_newton(c_backend, dtype, name, n_rows):
    net = make(name, c_backend, dtype)
    x, y = data(net, n_rows)
    weight = some_weights(n_rows, dtype)
    check_close(gauss_newton(net, x, y, weight)[2], gauss_newton(net.copy(backend="numpy"), x, y, weight)[2], dtype)


@pytest.mark.parametrize("loss", LOSSES)
def test_gauss_newton_of_a_linear_network_is_the_second_derivative(backend, loss):
    """Nothing is left out there: the difference of two gradients is exact, but for rounding."""
    net = pn.Network([pn.Dense(5, 3, l2=0.2)], loss, seed=1, backend=backend)
    x, y = data(net, 400)
    weight = some_weights(400, np.float64)
    hessian = gauss_newton(net, x, y, weight)[2]
    start, gradient = net.parameters.copy(), net.loss_and_gradient(x, y, weight)[1]
    for k in range(len(start)):
        net.parameters[:] = start
        net.parameters[k] += 1
        difference = net.loss_and_gradient(x, y, weight)[1] - gradient
        np.testing.assert_allclose(hessian[k], difference, rtol=0, atol=1e-11 * np.abs(hessian).max())


@pytest.mark.parametrize("dtype_name", ["float64", "float32"])
def test_blocks_of_a_wide_network_have_fewer_rows(c_backend, dtype_name):
    """The Jacobian of 384 rows would have more than 16 MB: 60 outputs and 246 parameters."""
    dtype = np.dtype(dtype_name)
    layers = [pn.Dense(1, 3, "tanh"), pn.Dense(3, 60)]
    net = pn.Network(layers, seed=1, dtype=dtype, backend=c_backend)
    n_bytes = 60 * net.parameters.size * dtype.itemsize
    rows = (1 << 24) // n_bytes
    assert 100 < rows < BLOCK_ROWS
    for n_rows in (rows, rows + 1, 2 * rows + 5):
        x, y = data(net, n_rows)
        check_close(gauss_newton(net, x, y)[2], expected_hessian(net, x), dtype)
    needed = [
        native._bytes_needed(net._model._gauss_newton_workspace, n_rows, net._model._network)
        for n_rows in (rows, rows + 1, 10**9)
    ]
    assert needed[0] == needed[1] == needed[2] < 3 << 24


@pytest.mark.parametrize(("sizes", "rows"), [((1, 3, 300), 7), ((1, 1, 1500), 1)])
def test_row_whose_jacobian_is_large_is_a_block_of_its_own(c_backend, sizes, rows):
    """2.2 MB, and 18 MB."""
    layers = [pn.Dense(*sizes[:2]), pn.Dense(*sizes[1:], bias=False)]
    net = pn.Network(layers, seed=1, dtype="float64", backend=c_backend)
    assert max(1, (1 << 24) // (sizes[-1] * net.parameters.size * 8)) == rows
    x, y = data(net, rows + 1)
    check_close(gauss_newton(net, x, y)[2], expected_hessian(net, x), np.float64)


@pytest.mark.parametrize("value", [1e200, 1.7e308])
def test_rows_of_weight_0_add_nothing_even_where_they_overflow(backend, value):
    """
    As if the rows were not there, up to the order of the sums; 0 times their infinite derivatives would be NaN, as
    it is in the gradient, which adds up the products of all rows.
    """
    net = pn.Network([pn.Dense(4, 5, "relu"), pn.Dense(5, 3, "softplus")], "sum_of_squares", seed=1, backend=backend)
    net.parameters = np.abs(net.parameters) + 0.5
    x, y = data(net, 500)
    weight = some_weights(500, np.float64)
    expected = gauss_newton(net, x[weight > 0], y[weight > 0], weight[weight > 0])
    x[weight == 0] = value
    assert np.isfinite(net.jacobian_parameters(x)).all() == (value == 1e200)
    found = gauss_newton(net, x, y, weight)
    assert found[0] == pytest.approx(expected[0], rel=1e-13)
    check_close(found[2], expected[2], np.float64)
    if value == 1e200:
        check_close(found[1], expected[1], np.float64)


def numbers_of_threads():
    before = pn.num_threads()
    try:
        for n in (1, 3) if toolchain.SANITIZERS else (1, 2, 3, 8):
            pn.set_num_threads(n)
            yield n
    finally:
        pn.set_num_threads(before)


@pytest.fixture
def fma_isas():
    before = native.isa()
    yield [isa for isa in native.available_isas() if isa != "baseline"]
    native.set_isa(before)


@pytest.mark.parametrize("name", ["narrow", "193-columns", "wide"])
def test_bits_depend_neither_on_threads_nor_on_the_instruction_set(fma_isas, dtype, name):
    """Of those with fused multiply-add; the baseline has its own, for any number of threads."""
    layers = [pn.Dense(9, 20, "tanh"), pn.Dense(20, 8)]
    net = pn.Network(layers, seed=1, dtype=dtype) if name == "wide" else make(name, "c", dtype)
    x, y = data(net, 500)
    weight = some_weights(500, dtype)

    def bits():
        _, gradient, hessian = gauss_newton(net, x, y, weight)
        return hessian.tobytes(), gradient.tobytes(), net.jacobian_parameters(x).tobytes()

    for isas in (fma_isas, ["baseline"] if "baseline" in native.available_isas() else []):
        found = set()
        for isa in isas:
            native.set_isa(isa)
            for _ in numbers_of_threads():
                found.add(bits())
        assert len(found) <= 1


def test_gauss_newton_of_another_loss_is_refused(c_backend):
    net = make("narrow", c_backend, loss="mean_absolute_error")
    with pytest.raises(ValueError, match="Gauss-Newton needs the sum of squares or the mean squared error"):
        gauss_newton(net, *data(net, 9))


def test_gauss_newton_of_data_that_are_not_finite_is_refused(backend):
    net = make("narrow", backend)
    x, y = data(net, 9)
    for array, name in ((x, "x"), (y, "y")):
        array[4, 1] = np.nan
        with pytest.raises(ValueError, match=rf"{name} holds nan \(row 4, column 1\)"):
            gauss_newton(net, x, y)
        array[4, 1] = 0
