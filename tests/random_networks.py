"""200 networks of all activations, and data for them: for what takes networks to other libraries and to C."""

import numpy as np

import plainnet as pn
from plainnet.activations import ACTIVATIONS

N_NETWORKS = 200
HIDDEN = [name for name in ACTIVATIONS if name != "softmax"]


def random_network(seed):
    """
    1 to 5 layers of any activations, with and without bias and dropout, of either dtype.

    `seed` is a number below `N_NETWORKS`, or a generator that begins with one.
    """
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 20, rng.integers(2, 7))
    last = len(sizes) - 2
    layers = [
        pn.Dense(
            int(sizes[k]), int(sizes[k + 1]), str(rng.choice(list(ACTIVATIONS) if k == last else HIDDEN)),
            bool(rng.random() < 0.7), dropout=0.0 if k == last or rng.random() < 0.5 else rng.uniform(0.1, 0.9),
        )
        for k in range(last + 1)
    ]  # fmt: skip
    loss = "cross_entropy" if layers[-1].activation == "softmax" else "mean_squared_error"
    net = pn.Network(layers, loss, seed=int(rng.integers(2**31)), dtype=str(rng.choice(["float32", "float64"])))
    net.parameters = net.parameters + rng.normal(0, 0.1, net.parameters.size)  # biases are not 0
    return net


def data_for(net, seed, n_rows=9):
    """x, and y that is above 0 and sums to 1 in each row."""
    rng = np.random.default_rng([seed, 1])
    x = rng.normal(size=(n_rows, net.layers[0].n_in)).astype(net.dtype)
    y = rng.uniform(0.1, 1, (n_rows, net.layers[-1].n_out)).astype(net.dtype)
    return x, y / y.sum(axis=1, keepdims=True)
