"""
The textbook's equations, written without the package. Both backends are compared with them.

A network is a list of (n_in, n_out, activation, bias), as the arguments of Dense. Formulas are the unfused ones, take
complex numbers (for complex steps) and, in `train`, a stack of networks at once.

Tests take their activations, losses and optimizers from the tables below, so that one that is added here is tested
everywhere.
"""

import math

import numpy as np

import plainnet as pn

XOR_X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
XOR_X3 = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], float)
XOR_Y = np.array([[0], [1], [1], [0]], float)

#: name: (layers, loss, x, y, learning rate, starting weights)
SYSTEMS = {
    "layered": ([(2, 3, "tanh", True), (3, 1, "sigmoid", True)], "log_loss", XOR_X, XOR_Y, 0.1, "normal"),
    "two_layer": (
        [(3, 4, "sigmoid", False), (4, 1, "sigmoid", False)], "sum_of_squares", XOR_X3, XOR_Y, 1.0, "uniform",
    ),
}  # fmt: skip

SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717


def erf(z):
    """Of real numbers, or of complex ones whose imaginary parts are tiny steps."""
    value = np.vectorize(math.erf, otypes=[float])(z.real)
    return value if np.isrealobj(z) else value + 2j / np.sqrt(np.pi) * np.exp(-(z.real**2)) * z.imag


def _gelu_tanh_argument(z):
    return np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)


#: All activations that plainnet has but softmax, each with its derivative.
ACTIVATIONS = {
    "identity": (lambda z: z, lambda z: np.ones_like(z)),
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "relu": (lambda z: z * (z.real > 0), lambda z: (z.real > 0).astype(z.dtype)),
    "leaky_relu": (lambda z: np.where(z.real > 0, z, z / 100), lambda z: np.where(z.real > 0, 1, 0.01).astype(z.dtype)),
    "elu": (lambda z: np.where(z.real > 0, z, np.exp(z) - 1), lambda z: np.where(z.real > 0, 1, np.exp(z))),
    "selu": (
        lambda z: SELU_SCALE * np.where(z.real > 0, z, SELU_ALPHA * (np.exp(z) - 1)),
        lambda z: SELU_SCALE * np.where(z.real > 0, 1, SELU_ALPHA * np.exp(z)),
    ),
    "gelu": (
        lambda z: z * (1 + erf(z / np.sqrt(2))) / 2,
        lambda z: (1 + erf(z / np.sqrt(2))) / 2 + z * np.exp(-z * z / 2) / np.sqrt(2 * np.pi),
    ),
    "gelu_tanh": (
        lambda z: 0.5 * z * (1 + np.tanh(_gelu_tanh_argument(z))),
        lambda z: 0.5 * (1 + np.tanh(_gelu_tanh_argument(z)))
        + 0.5 * z * (1 - np.tanh(_gelu_tanh_argument(z)) ** 2) * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * z**2),
    ),
    "silu": (lambda z: z / (1 + np.exp(-z)), lambda z: (1 + np.exp(-z) * (1 + z)) / (1 + np.exp(-z)) ** 2),
    "mish": (
        lambda z: z * np.tanh(np.log(1 + np.exp(z))),
        lambda z: np.tanh(np.log(1 + np.exp(z))) + z / np.cosh(np.log(1 + np.exp(z))) ** 2 / (1 + np.exp(-z)),
    ),
    "softplus": (lambda z: np.log(1 + np.exp(z)), lambda z: 1 / (1 + np.exp(-z))),
}

LOSSES = {
    "log_loss": lambda a, y: -np.sum(y * np.log(a) + (1 - y) * np.log(1 - a), axis=(-2, -1)) / y.shape[0],
    "sum_of_squares": lambda a, y: np.sum((y - a) ** 2, axis=(-2, -1)),
    "mean_squared_error": lambda a, y: np.sum((y - a) ** 2, axis=(-2, -1)) / y.size,
}

LOSS_GRADIENTS = {
    "log_loss": lambda a, y: ((1 - y) / (1 - a) - y / a) / y.shape[0],
    "sum_of_squares": lambda a, y: 2 * (a - y),
    "mean_squared_error": lambda a, y: 2 * (a - y) / y.size,
}


#: The activation that a loss needs in the last layer.
LAST_ACTIVATION = {"log_loss": "sigmoid"}

#: Each optimizer, with options that change its equation.
OPTIMIZERS = {
    "sgd": pn.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.1),
    "rmsprop": pn.RMSprop(momentum=0.5, centered=True, eps=1e-3, weight_decay=0.1),
    "adagrad": pn.Adagrad(learning_rate_decay=0.1, initial_accumulator_value=0.1, weight_decay=0.1),
    "adam": pn.Adam(amsgrad=True, weight_decay=0.1),
    "adamw": pn.AdamW(1e-2, weight_decay=0.2),
    "rprop": pn.Rprop(),
    "eps_hat": pn.Adam(eps=1e-3, eps_hat=True),
    "clipped": pn.Adam(clip_value=0.02, clip_norm=0.05),
}

#: Activations that are single kernels as well.
KERNELS = [name for name in ACTIVATIONS if name in pn.kernels.__all__]


def for_loss(layers, loss):
    """The layers with an activation in the last one that the loss allows."""
    (n_in, n_out, activation, bias) = layers[-1]
    return [*layers[:-1], (n_in, n_out, LAST_ACTIVATION.get(loss, activation), bias)]


def network(layers, loss, **arguments):
    return pn.Network([pn.Dense(*layer) for layer in layers], loss=loss, **arguments)


def n_parameters(layers):
    return sum(n_in * n_out + n_out * bias for n_in, n_out, _, bias in layers)


def split(layers, parameters):
    """[(weight, bias)] from flat parameters (..., n_parameters): weight, then bias, layer by layer."""
    parts, start = [], 0
    for n_in, n_out, _, has_bias in layers:
        weight = parameters[..., start : start + n_in * n_out]
        start += n_in * n_out
        bias = parameters[..., start : start + n_out] if has_bias else None
        start += n_out * has_bias
        parts.append((weight.reshape(*weight.shape[:-1], n_in, n_out), bias))
    return parts


def forward(layers, parameters, x):
    a = x
    for (_, _, activation, _), (weight, bias) in zip(layers, split(layers, parameters), strict=True):
        z = a @ weight
        if bias is not None:
            z = z + bias[..., None, :]
        a = ACTIVATIONS[activation][0](z)
    return a


def loss(layers, name, parameters, x, y):
    return LOSSES[name](forward(layers, parameters, x), y)


def complex_step_gradient(layers, name, parameters, x, y):
    """Im loss(p + ih) / h: no subtraction, so exact to rounding, and no derivative formula in it."""
    h = 1e-30
    gradient = np.empty(len(parameters))
    for k in range(len(parameters)):
        shifted = parameters.astype(complex)
        shifted[k] += 1j * h
        gradient[k] = loss(layers, name, shifted, x, y).imag / h
    return gradient


def train(layers, name, parameters, x, y, epochs, learning_rate):
    """
    Full-batch gradient descent of a stack of networks: parameters (n_networks, n_parameters) of x's dtype.

    Returns the parameters afterwards and the losses (n_networks, epochs) from before each update.
    """
    p = parameters.copy()
    losses = np.empty((len(p), epochs))
    for epoch in range(epochs):
        parts = split(layers, p)
        a, z = [x], []
        for (_, _, activation, _), (weight, bias) in zip(layers, parts, strict=True):
            z.append(a[-1] @ weight if bias is None else a[-1] @ weight + bias[:, None, :])
            a.append(ACTIVATIONS[activation][0](z[-1]))
        losses[:, epoch] = LOSSES[name](a[-1], y)
        grad_a = LOSS_GRADIENTS[name](a[-1], y)
        gradients = []
        for k in reversed(range(len(layers))):
            weight, bias = parts[k]
            grad_z = grad_a * ACTIVATIONS[layers[k][2]][1](z[k])
            if bias is not None:
                gradients.insert(0, grad_z.sum(axis=1))
            gradients.insert(0, (np.swapaxes(a[k], -1, -2) @ grad_z).reshape(len(p), -1))
            grad_a = grad_z @ np.swapaxes(weight, -1, -2)
        p -= learning_rate * np.concatenate(gradients, axis=1)
    return p, losses


def difference(actual, expected):
    """The largest difference relative to the largest entry; NaN and infinity never pass."""
    actual, expected = np.asarray(actual, float), np.asarray(expected, float)
    assert actual.shape == expected.shape
    assert np.isfinite(actual).all()
    assert np.isfinite(expected).all()
    return np.abs(actual - expected).max() / np.abs(expected).max()


def fractions(n, seed, dtype=float):
    """n numbers in [-1, 1), k / 2**15 with scrambled k: exact in float32 and equal on every machine."""
    k = [((i * 2654435761 + seed * 40503 + 12345) % 2**32 * 1103515245 % 2**32) >> 16 for i in range(1, n + 1)]
    return (np.array(k) / 2.0**15 - 1).astype(dtype)
