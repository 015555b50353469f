"""Derivatives with respect to the input: against central differences, between the backends, and what is refused."""

import numpy as np
import pytest

import plainnet as pn

import textbook

SHAPES = [(5, 7, 3), (1, 1, 1), (17, 33, 2)]
#: Activations of the two layers, and the loss.
KINDS = [
    *((f, f, "mean_squared_error") for f in textbook.ACTIVATIONS),
    ("tanh", "sigmoid", "log_loss"),
    ("silu", "softmax", "cross_entropy"),
    ("gelu", "identity", pn.Huber(0.5)),
]


def make(shape, kind, backend, dtype=np.dtype(float), n_rows=7):
    n_in, n_hidden, n_out = shape
    layers = [pn.Dense(n_in, n_hidden, kind[0]), pn.Dense(n_hidden, n_out, kind[1])]
    net = pn.Network(layers, kind[2], init="normal", seed=0, dtype=dtype, backend=backend)
    rng = np.random.default_rng(1)
    y = rng.random((n_rows, n_out))
    if kind[2] == "cross_entropy":
        y /= y.sum(axis=1, keepdims=True)
    return net, rng.normal(size=(n_rows, n_in)).astype(dtype), y.astype(dtype)


def central_differences(function, x):
    """d function(x) / d x[:, k] for all k, last; central differences are good to about 1e-9 here."""
    step = 1e-6
    return np.stack(
        [(function(x + step * unit) - function(x - step * unit)) / (2 * step) for unit in np.eye(x.shape[1])], axis=-1
    )


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_input_gradient_is_the_derivative_of_the_loss(backend, shape, kind):
    net, x, y = make(shape, kind, backend)
    gradient = net.input_gradient(x, y)
    assert gradient.shape == x.shape
    for i in range(len(x)):  # the loss is a mean over rows: that of a row alone counts 1 / n_rows
        target = y[i : i + 1]
        numeric = central_differences(lambda row, y=target: np.array(net.loss_and_gradient(row, y)[0]), x[i : i + 1])
        np.testing.assert_allclose(gradient[i], numeric / len(x), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_jacobian_is_the_derivative_of_the_outputs(backend, shape, kind):
    net, x, _ = make(shape, kind, backend)
    jacobian = net.jacobian(x)
    assert jacobian.shape == (7, shape[2], shape[0])
    np.testing.assert_allclose(jacobian, central_differences(net.predict, x), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("n_rows", [1, 33, 384, 1000])
@pytest.mark.parametrize("kind", [KINDS[0], KINDS[-2], KINDS[-1]], ids=str)
def test_backends_agree_for_any_number_of_rows(c_backend, dtype, kind, n_rows):
    """The largest difference, relative to the largest entry, is some roundings of 33 products' sums."""
    net, x, y = make((17, 33, 5), kind, c_backend, dtype, n_rows)
    twin = net.copy(backend="numpy")
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    for ours, theirs in ((net.input_gradient(x, y), twin.input_gradient(x, y)), (net.jacobian(x), twin.jacobian(x))):
        assert ours.dtype == theirs.dtype == dtype
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


def test_rows_of_a_jacobian_do_not_depend_on_each_other(c_backend, dtype):
    net, x, _ = make((17, 33, 5), KINDS[-1], c_backend, dtype, 400)
    jacobian = net.jacobian(x)
    for rows in (slice(0, 1), slice(3, 10), slice(383, 400)):
        np.testing.assert_array_equal(net.jacobian(x[rows]), jacobian[rows])


def test_labels_have_the_gradient_of_their_probabilities(backend, dtype):
    net, x, _ = make((5, 7, 3), KINDS[-2], backend, dtype)
    labels = np.array([0, 1, 2, 2, 1, 0, 2])
    np.testing.assert_array_equal(net.input_gradient(x, labels), net.input_gradient(x, np.eye(3)[labels]))


def test_bad_arguments_are_refused(backend):
    net, x, y = make((5, 7, 3), KINDS[0], backend)
    before = net.parameters.copy()
    with pytest.raises(ValueError, match=r"x has shape \(7, 4\)"):
        net.input_gradient(x[:, :4], y)
    with pytest.raises(ValueError, match="as many rows"):
        net.input_gradient(x, y[:3])
    with pytest.raises(ValueError, match="y holds nan"):
        net.input_gradient(x, np.full_like(y, np.nan))
    with pytest.raises(ValueError, match=r"x has shape \(5,\)"):
        net.jacobian(x[0])
    np.testing.assert_array_equal(net.parameters, before)
