"""Derivatives of the outputs with respect to the parameters against PyTorch's, in float64."""

import numpy as np
import pytest

import plainnet as pn

from random_networks import data_for, random_network

torch = pytest.importorskip("torch", reason="the oracle is PyTorch, which is not installed")


def flat_jacobian(net, x):
    """PyTorch's, laid out as ``net.parameters``: weights (n_in, n_out), which PyTorch has transposed, then biases."""
    module = net.to_torch().double().eval()
    names = [name for name, _ in module.named_parameters()]
    values = tuple(parameter.detach() for parameter in module.parameters())

    def outputs(*parameters):
        return torch.func.functional_call(module, dict(zip(names, parameters)), (torch.tensor(x),))

    of_arrays = torch.func.jacrev(outputs, argnums=tuple(range(len(values))))(*values)
    parts = [part.numpy() for part in of_arrays]
    shape = len(x), net.layers[-1].n_out, -1
    return np.concatenate([(part.swapaxes(2, 3) if part.ndim == 4 else part).reshape(shape) for part in parts], axis=2)


def check_close(found, expected):
    """1e-12, relative to the largest entry of each row's and output's derivatives."""
    largest = np.abs(expected).max(axis=2, keepdims=True)
    assert (np.abs(found - expected) <= 1e-12 * np.maximum(largest, 1e-30)).all()


@pytest.mark.parametrize("seed", range(30))
def test_jacobian_of_a_random_network_is_that_of_torch(backend, seed):
    net = random_network(seed)
    net = pn.Network(net.layers, net.loss, net.parameters, dtype="float64", backend=backend)
    x, _ = data_for(net, seed)
    check_close(net.jacobian_parameters(x), flat_jacobian(net, x))


@pytest.mark.parametrize("last", ["identity", "softmax"])
def test_jacobian_of_many_rows_is_that_of_torch(backend, last):
    layers = [pn.Dense(6, 20, "tanh"), pn.Dense(20, 10, "gelu", bias=False), pn.Dense(10, 3, last)]
    net = pn.Network(layers, "cross_entropy" if last == "softmax" else "mean_squared_error", seed=1, backend=backend)
    x = np.random.default_rng(0).normal(size=(500, 6))
    check_close(net.jacobian_parameters(x), flat_jacobian(net, x))


def test_gauss_newton_of_a_linear_network_is_the_hessian_of_torch(backend):
    net = pn.Network([pn.Dense(4, 3)], seed=1, backend=backend)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 4)), rng.normal(size=(50, 3))

    def loss(parameters):
        a = torch.tensor(x) @ parameters[:12].reshape(4, 3) + parameters[12:]
        return ((a - torch.tensor(y)) ** 2).mean()

    expected = torch.func.jacrev(torch.func.jacrev(loss))(torch.tensor(net.parameters)).numpy()
    hessian = np.empty((15, 15))
    net._model.gauss_newton(x, y, np.empty(15), hessian)
    np.testing.assert_allclose(hessian, expected, rtol=0, atol=1e-12 * np.abs(expected).max())
