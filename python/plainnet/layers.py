"""Dense layers, and the layout of their parameters in a network's flat array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .activations import ACTIVATIONS
from .arguments import MAX_PARAMETERS, as_count
from .arrays import Array, as_native, check_name, check_shape, empty_on_cache_line, no_memory
from .conversion import position, shown


def as_parameters(name: str, value: npt.ArrayLike, like: Array, because: str) -> Array:
    """`value` as finite parameters of the dtype and shape of `like`."""
    new = as_native(name, value, like.dtype)
    check_shape(name, new, like.shape, because)
    finite = np.isfinite(new)
    if not finite.all():
        index = tuple(np.argwhere(~finite)[0])
        raise ValueError(f"{name} holds {new[index]} ({position(index)}); parameters must be finite")
    return new


class Dense:
    """
    A dense layer: ``a = f(x @ weight + bias)``.

    Parameters
    ----------
    n_in, n_out : int
        Numbers of inputs and of neurons, at least 1.
    activation : str
        "identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "gelu_tanh", "silu", "mish" or
        "softplus": the functions of PyTorch with these names and their defaults. "leaky_relu" has slope 0.01, "elu" has
        alpha 1, "gelu" is the one with the error function, and "gelu_tanh" its approximation by tanh.
        "softmax" is for the last layer of a network whose loss is cross entropy.
    bias : bool
        Whether the layer has a bias.

    Attributes
    ----------
    weight : ndarray (n_in, n_out)
    bias : ndarray (n_out,) or None
        Views of the parameters of the network that the layer belongs to (``net.layers[k]``); assignment copies values
        into them. A layer that belongs to no network has no parameters: they raise AttributeError.
    """

    def __init__(self, n_in: int, n_out: int, activation: str = "identity", bias: bool = True) -> None:
        check_name("activation", activation, ACTIVATIONS)
        if not isinstance(bias, bool):
            raise TypeError(f"bias must be True or False, not {shown(bias)}")
        self._n_in = as_count("n_in", n_in, 1)
        self._n_out = as_count("n_out", n_out, 1)
        self._activation = activation
        self._has_bias = bias
        self._weight: Array | None = None
        self._bias: Array | None = None
        if self.n_parameters > MAX_PARAMETERS:
            raise ValueError(f"{self} has {self.n_parameters} parameters: no machine of this kind has memory for them")

    @property
    def n_in(self) -> int:
        return self._n_in

    @property
    def n_out(self) -> int:
        return self._n_out

    @property
    def activation(self) -> str:
        return self._activation

    @property
    def has_bias(self) -> bool:
        return self._has_bias

    @property
    def n_parameters(self) -> int:
        return self.n_in * self.n_out + (self.n_out if self.has_bias else 0)

    @property
    def weight(self) -> Array:
        if self._weight is None:
            raise AttributeError("this layer does not belong to a network yet; see net.layers")
        return self._weight

    @weight.setter
    def weight(self, value: npt.ArrayLike) -> None:
        self.weight[...] = as_parameters("weight", value, self.weight, "the layer's (n_in, n_out)")

    @property
    def bias(self) -> Array | None:
        if self._weight is None:
            raise AttributeError("this layer does not belong to a network yet; see net.layers")
        return self._bias

    @bias.setter
    def bias(self, value: npt.ArrayLike) -> None:
        if self.bias is None:
            raise ValueError("the layer was made with bias=False")
        self.bias[...] = as_parameters("bias", value, self.bias, "the layer's (n_out,)")

    def __repr__(self) -> str:
        bias = "" if self.has_bias else ", bias=False"
        return f"Dense({self.n_in}, {self.n_out}, {self.activation!r}{bias})"


def check_chain(layers: Sequence[Dense]) -> int:
    """Checks that `layers` make a network; the number of its parameters."""
    if not layers:
        raise ValueError("layers is empty: a network needs at least one layer")
    for k, layer in enumerate(layers):
        if not isinstance(layer, Dense):
            raise TypeError(f"layers[{k}] must be a Dense, not {type(layer).__name__}")
        if k > 0 and layer.n_in != layers[k - 1].n_out:
            raise ValueError(
                f"layers[{k}] = {layer} does not fit layers[{k - 1}] = {layers[k - 1]}: its n_in is {layer.n_in}, "
                f"but the layer before it has n_out = {layers[k - 1].n_out}"
            )
        if k < len(layers) - 1 and ACTIVATIONS[layer.activation].loss is not None:
            raise ValueError(f"layers[{k}] = {layer}: {layer.activation} is for the last layer only")
    n_parameters = sum(layer.n_parameters for layer in layers)
    if n_parameters > MAX_PARAMETERS:
        raise ValueError(f"the network has {n_parameters} parameters: no machine of this kind has memory for them")
    return n_parameters


def allocate_parameters(layers: Sequence[Dense], dtype: np.dtype[Any]) -> Array:
    """Memory for the parameters of a network of `layers`."""
    n_parameters = check_chain(layers)
    try:
        return empty_on_cache_line(n_parameters, dtype)
    except (MemoryError, ValueError):  # a ValueError where NumPy itself cannot count the bytes
        k = max(range(len(layers)), key=lambda k: layers[k].n_parameters)
        what = f"the network's {n_parameters} parameters, of which layers[{k}] = {layers[k]} has most"
        raise no_memory(what, n_parameters * dtype.itemsize, "make it smaller") from None


def bind(layers: Sequence[Dense], parameters: Array) -> tuple[Dense, ...]:
    """Copies of `layers` with views of `parameters`: weight, then bias, of the first layer, then of the second, ..."""
    bound, start = [], 0
    for layer in layers:
        own = Dense(layer.n_in, layer.n_out, layer.activation, layer.has_bias)
        end = start + own.n_in * own.n_out
        own._weight = parameters[start:end].reshape(own.n_in, own.n_out)
        if own.has_bias:
            own._bias = parameters[end : end + own.n_out]
        start += own.n_parameters
        bound.append(own)
    return tuple(bound)
