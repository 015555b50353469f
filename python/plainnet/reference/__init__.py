"""
The NumPy backend: the definition of every equation, to be read.

Rows are samples. A dense layer computes ``z = x @ weight + bias`` and ``a = f(z)``; back-propagation carries
``grad_z = dloss/dz`` from the last layer to the first. The C kernels in csrc/ compute the same, faster.

In reading order:

1. ``equations.py``: a layer, the activations and the losses;
2. ``optimizers.py``: how a step follows from the gradient;
3. ``rows.py``: sums over many rows, and the order of the rows in an epoch;
4. ``model.py``: a network's forward pass, back-propagation and training;
5. ``kernels.py``: single functions on arrays, the counterpart of :mod:`plainnet.kernels`.
"""

from .equations import ACTIVATIONS, LOSSES
from .kernels import (
    dense_backward,
    dense_forward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    tanh,
    tanh_backward,
)
from .model import Model
from .rows import BLOCK_ROWS, blocks_of_rows, shuffled

__all__ = [
    "ACTIVATIONS",
    "BLOCK_ROWS",
    "LOSSES",
    "Model",
    "blocks_of_rows",
    "dense_backward",
    "dense_forward",
    "relu",
    "relu_backward",
    "shuffled",
    "sigmoid",
    "sigmoid_backward",
    "tanh",
    "tanh_backward",
]
