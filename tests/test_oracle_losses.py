"""Losses and their gradients against PyTorch's, in float64."""

import functools

import numpy as np
import pytest

import plainnet as pn
from plainnet.losses import LOSSES, described

torch = pytest.importorskip("torch", reason="the oracle is PyTorch, which is not installed")

# Sums of some hundred terms of order 1, each side with rounding errors of its own; relative to the largest entry.
RTOL = 1e-10

SHAPES = ["5-7-3", "1-1-1", "17-33-2"]
#: Numbers of rows, without weights and with some.
ROWS = [(1, False), (3, False), (7, False), (33, False), (500, False), (7, True), (500, True)]

functional = torch.nn.functional


def log_cosh(a, y, reduction):
    """PyTorch has none: |d| + ln(1 + exp(-2|d|)) - ln 2."""
    d = (a - y).abs()
    return d + functional.softplus(-2 * d) - np.log(2)


def quantile(a, y, reduction, q):
    return torch.maximum(q * (y - a), (q - 1) * (y - a))


#: name: (loss, the activations of the last layer to try, PyTorch's terms of the mean over rows and outputs)
ELEMENTWISE = {
    "log_loss": ("log_loss", ["sigmoid"], functional.binary_cross_entropy),
    "sum_of_squares": ("sum_of_squares", ["tanh", "identity"], functional.mse_loss),
    "mean_squared_error": ("mean_squared_error", ["relu", "identity"], functional.mse_loss),
    "mean_absolute_error": ("mean_absolute_error", ["identity", "sigmoid"], functional.l1_loss),
    "huber": ("huber", ["identity"], functional.huber_loss),
    "huber-0.3": (pn.Huber(0.3), ["identity", "tanh"], functools.partial(functional.huber_loss, delta=0.3)),
    "log_cosh": ("log_cosh", ["identity", "sigmoid"], log_cosh),
    "quantile": ("quantile", ["identity"], functools.partial(quantile, q=0.5)),
    "quantile-0.9": (pn.Quantile(0.9), ["identity", "relu"], functools.partial(quantile, q=0.9)),
    "poisson": (
        "poisson", ["identity", "tanh"], functools.partial(functional.poisson_nll_loss, log_input=True, full=False),
    ),
}  # fmt: skip


def test_oracle_has_every_loss():
    names = {described(loss, np.dtype(float)).name for loss, _, _ in ELEMENTWISE.values()}
    assert names == set(LOSSES) - {"cross_entropy"}  # which follows below


TORCH_ACTIVATIONS = {
    "identity": lambda z: z, "sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu,
}  # fmt: skip


def network(shape, loss, last, backend):
    n_in, hidden, n_out = map(int, shape.split("-"))
    layers = [pn.Dense(n_in, hidden, "tanh"), pn.Dense(hidden, n_out, last)]
    net = pn.Network(layers, loss=loss, seed=7, backend=backend)
    net.parameters += 0.05
    return net


def forward(net, parameters, x):
    """The network in PyTorch."""
    a, start = torch.tensor(x), 0
    for layer in net.layers:
        end = start + layer.n_in * layer.n_out
        z = a @ parameters[start:end].reshape(layer.n_in, layer.n_out) + parameters[end : end + layer.n_out]
        start = end + layer.n_out
        a = TORCH_ACTIVATIONS[layer.activation](z)
    return a


def some_weights(n_rows):
    """Of all sizes, a third of them 0, but not the first one."""
    rng = np.random.default_rng(n_rows + 1)
    weight = rng.gamma(0.5, 2.0, n_rows) * (rng.random(n_rows) > 1 / 3)
    weight[0] = 0.7
    return weight


def assert_equal_to_torch(net, x, y, torch_loss, weight=None):
    parameters = torch.tensor(net.parameters, requires_grad=True)
    expected = torch_loss(forward(net, parameters, x))
    expected.backward()
    loss, gradient = net.loss_and_gradient(x, y, weight)
    expected_gradient = parameters.grad.numpy()
    np.testing.assert_allclose(loss, expected.item(), rtol=RTOL)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=0, atol=RTOL * np.abs(expected_gradient).max())
    return expected_gradient


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("name", "last"), [(name, last) for name in ELEMENTWISE for last in ELEMENTWISE[name][1]])
def test_elementwise_loss_and_gradient_are_those_of_torch(backend, name, last, shape):
    loss, _, terms = ELEMENTWISE[name]
    net = network(shape, loss, last, backend)
    for n_rows, weighted in ROWS:
        rng = np.random.default_rng(n_rows)
        x = rng.standard_normal((n_rows, net.layers[0].n_in))
        shape_y = n_rows, net.layers[-1].n_out
        y = rng.uniform(0, 1, shape_y) if name == "log_loss" else rng.gamma(1, 1.5, shape_y)
        weight = some_weights(n_rows) if weighted else np.ones(n_rows)

        def torch_loss(a):
            rows = terms(a, torch.tensor(y), reduction="none").sum(1) * torch.tensor(weight)
            total = weight.sum()
            return rows.sum() / {"log_loss": total, "sum_of_squares": 1}.get(name, total * y.shape[1])

        gradient = assert_equal_to_torch(net, x, y, torch_loss, weight if weighted else None)
        if last != "relu":  # which may switch everything off
            assert np.count_nonzero(gradient) == gradient.size  # guards against all zeros agreeing


# ---- Cross entropy ---------------------------------------------------------------------------------------------------


def logits(net, parameters, x):
    """The network in PyTorch without its softmax."""
    layers = [pn.Dense(layer.n_in, layer.n_out, layer.activation) for layer in net.layers[:-1]]
    layers.append(pn.Dense(net.layers[-1].n_in, net.layers[-1].n_out))
    plain = pn.Network(layers, init=net.parameters)
    return forward(plain, parameters, x)


def assert_cross_entropy_equal_to_torch(net, x, y, smoothing, weight=None):
    target = torch.tensor(y.astype(int) if y.ndim == 1 else y)
    parameters = torch.tensor(net.parameters, requires_grad=True)
    z = logits(net, parameters, x)
    if weight is None:
        expected = functional.cross_entropy(z, target, label_smoothing=smoothing)
    else:
        rows = functional.cross_entropy(z, target, label_smoothing=smoothing, reduction="none")
        expected = (rows * torch.tensor(weight)).sum() / weight.sum()
    expected.backward()
    loss, gradient = net.loss_and_gradient(x, y, weight)
    expected_gradient = parameters.grad.numpy()
    np.testing.assert_allclose(loss, expected.item(), rtol=RTOL)
    scale = max(np.abs(expected_gradient).max(), 1e-300)  # with a single class both are 0
    np.testing.assert_allclose(gradient, expected_gradient, rtol=0, atol=RTOL * scale)
    np.testing.assert_allclose(net.predict(x), torch.softmax(z, 1).detach().numpy(), rtol=RTOL)


@pytest.mark.parametrize("shape", [*SHAPES, "7-9-16", "7-9-37"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("kind", ["labels", "one-hot", "probabilities"])
def test_cross_entropy_and_gradient_are_those_of_torch(backend, kind, smoothing, shape):
    net = network(shape, pn.CrossEntropy(smoothing), "softmax", backend)
    n_in, n_out = net.layers[0].n_in, net.layers[-1].n_out
    for n_rows, weighted in ROWS:
        rng = np.random.default_rng(n_rows)
        x = rng.standard_normal((n_rows, n_in))
        y = rng.integers(0, n_out, n_rows)
        if kind == "one-hot":
            y = np.eye(n_out)[y]
        elif kind == "probabilities":
            y = rng.dirichlet(np.ones(n_out), n_rows)
        assert_cross_entropy_equal_to_torch(net, x, y, smoothing, some_weights(n_rows) if weighted else None)


@pytest.mark.parametrize("scale", [1e2, 1e4])
def test_cross_entropy_of_large_z_is_that_of_torch(backend, scale):
    net = network("5-7-3", "cross_entropy", "softmax", backend)
    net.layers[-1].weight *= scale
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((33, 5)), rng.integers(0, 3, 33)
    assert_cross_entropy_equal_to_torch(net, x, y, 0.0)
