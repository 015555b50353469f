"""Activations in networks against PyTorch in float64: outputs, losses, and the gradients of its autograd."""

import functools

import numpy as np
import pytest

import textbook

torch = pytest.importorskip("torch", reason="needs PyTorch")
F = torch.nn.functional

ORACLES = {
    "identity": lambda z: z,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "selu": F.selu,
    "gelu": F.gelu,
    "gelu_tanh": functools.partial(F.gelu, approximate="tanh"),
    "silu": F.silu,
    "mish": F.mish,
    "softplus": functools.partial(F.softplus, threshold=40),  # beyond which it returns z, which at 20 shows
}
LOSSES = {
    "mean_squared_error": F.mse_loss,
    "sum_of_squares": functools.partial(F.mse_loss, reduction="sum"),
}
SHAPES = [(5, 7, 3), (1, 1, 1), (17, 33, 2)]

# Both round at every step, by 1e-16 of what they add up, a few hundred terms at most.
RTOL = 1e-10


def case(shape, n_rows):
    rng = np.random.default_rng(sum(shape) + n_rows)
    n_in, n_hidden, n_out = shape
    x = rng.standard_normal((n_rows, n_in))
    y = rng.uniform(0.05, 0.95, (n_rows, n_out))
    return x, y, rng.normal(0, 0.4, n_in * n_hidden + n_hidden + n_hidden * n_out + n_out)


def oracle(layers, loss, parameters, x, y):
    """The outputs, the loss, and its gradient with respect to the parameters, laid out as they are."""
    a, tensors = torch.tensor(x), []
    for (_, _, activation, _), (weight, bias) in zip(layers, textbook.split(layers, parameters), strict=True):
        tensors += [torch.tensor(weight, requires_grad=True), torch.tensor(bias, requires_grad=True)]
        z = a @ tensors[-2] + tensors[-1]
        a = ORACLES[activation](z)
    y = torch.tensor(y)
    if loss == "log_loss":  # from z: from a, PyTorch's has lost digits where the sigmoid is close to 1
        value = F.binary_cross_entropy_with_logits(z, y, reduction="sum") / len(y)
    else:
        value = LOSSES[loss](a, y)
    value.backward()
    return a.detach().numpy(), value.item(), np.concatenate([tensor.grad.numpy().ravel() for tensor in tensors])


def test_oracle_has_every_activation():
    assert list(ORACLES) == list(textbook.ACTIVATIONS)


@pytest.mark.parametrize("n_rows", [1, 3, 7, 33])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "-".join(map(str, shape)))
@pytest.mark.parametrize("loss", [*LOSSES, "log_loss"])
@pytest.mark.parametrize("activation", ORACLES)
def test_network_agrees_with_pytorch(backend, activation, loss, shape, n_rows):
    """On the hidden layer, and on the last one too where the loss allows it."""
    x, y, parameters = case(shape, n_rows)
    n_in, n_hidden, n_out = shape
    last = "sigmoid" if loss == "log_loss" else activation
    layers = [(n_in, n_hidden, activation, True), (n_hidden, n_out, last, True)]
    outputs, value, gradient = oracle(layers, loss, parameters, x, y)

    net = textbook.network(layers, loss, init=parameters, backend=backend)
    assert np.count_nonzero(gradient) > 0 or activation == "relu"
    np.testing.assert_allclose(net.predict(x), outputs, rtol=RTOL, atol=1e-15)
    our_value, our_gradient = net.loss_and_gradient(x, y)
    assert our_value == pytest.approx(value, rel=RTOL)
    np.testing.assert_allclose(our_gradient, gradient, rtol=RTOL, atol=1e-13 * np.abs(gradient).max())


@pytest.mark.parametrize("n_rows", [1, 3, 7, 33])
@pytest.mark.parametrize("shape", [(5, 7), (1, 1), (17, 33)], ids=lambda shape: "-".join(map(str, shape)))
@pytest.mark.parametrize("activation", ORACLES)
def test_gradient_of_a_layer_agrees_with_pytorch(kernels, activation, shape, n_rows):
    """With respect to its inputs as well."""
    rng = np.random.default_rng(sum(shape) * n_rows)
    x, weight = rng.standard_normal((n_rows, shape[0])), rng.normal(0, 0.7, shape)
    bias, grad_a = rng.normal(0, 0.7, shape[1]), rng.standard_normal((n_rows, shape[1]))
    tensors = [torch.tensor(array, requires_grad=True) for array in (x, weight, bias)]
    outputs = ORACLES[activation](tensors[0] @ tensors[1] + tensors[2])
    outputs.backward(torch.tensor(grad_a))

    z, a = kernels.dense_forward(x, weight, bias), kernels.dense_forward(x, weight, bias, activation)
    np.testing.assert_allclose(a, outputs.detach().numpy(), rtol=RTOL, atol=1e-15)
    for gradient, tensor in zip(kernels.dense_backward(x, weight, a, grad_a, activation, z=z), tensors, strict=True):
        expected = tensor.grad.numpy()
        np.testing.assert_allclose(gradient, expected, rtol=RTOL, atol=1e-13 * np.abs(expected).max())


@pytest.mark.parametrize("activation", ORACLES)
def test_activation_agrees_with_pytorch_from_the_far_left_to_the_far_right(kernels, activation):
    """
    Where results are large or tiny, and at 0. PyTorch's functions lose digits far to the left (hence `atol`), and its
    gradients some beyond 1e100.
    """
    z = np.concatenate([np.linspace(-50, 50, 2001), [0.0], 10.0 ** np.arange(-300, 101, 50)])
    tensor = torch.tensor(z, requires_grad=True)
    outputs = ORACLES[activation](tensor)
    outputs.backward(torch.ones_like(tensor))
    a = kernels.dense_forward(z[:, None], [[1.0]], None, activation)
    slope, _, _ = kernels.dense_backward(z[:, None], [[1.0]], a, np.ones_like(a), activation, z=z[:, None])
    np.testing.assert_allclose(a[:, 0], outputs.detach().numpy(), rtol=RTOL, atol=1e-14)
    np.testing.assert_allclose(slope[:, 0], tensor.grad.numpy(), rtol=RTOL, atol=1e-14)
