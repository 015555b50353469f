"""Dense layers, and the layout of their parameters in a network's flat array."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from .activations import ACTIVATIONS
from .arguments import MAX_PARAMETERS, as_count
from .arrays import Array, as_native, check_name, check_shape, empty_on_cache_line, no_memory
from .conversion import position, shown
from .optimizers import as_fraction, as_limit, as_not_negative, is_usable


def as_parameters(name: str, value: npt.ArrayLike, like: Array, because: str) -> Array:
    """`value` as finite parameters of the dtype and shape of `like`."""
    new = as_native(name, value, like.dtype)
    check_shape(name, new, like.shape, because)
    finite = np.isfinite(new)
    if not finite.all():
        index = tuple(np.argwhere(~finite)[0])
        raise ValueError(f"{name} holds {new[index]} ({position(index)}); parameters must be finite")
    return new


@dataclass(frozen=True)
class LayerOptions:
    """What a layer adds to the loss, and what training does with it; see :class:`Dense` and ``pn_layer_options``."""

    dropout: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    max_norm: float | None = None
    weight_rate: float = 1.0
    bias_rate: float = 1.0

    def __post_init__(self) -> None:
        for name in ("l1", "l2", "weight_rate", "bias_rate"):
            object.__setattr__(self, name, as_not_negative(name, getattr(self, name)))
        object.__setattr__(self, "dropout", as_fraction("dropout", self.dropout))
        object.__setattr__(self, "max_norm", as_limit("max_norm", self.max_norm))

    def chosen(self) -> Iterator[tuple[str, float]]:
        """The names and values of those that are not the default."""
        for option in fields(self):
            value = getattr(self, option.name)
            if value != option.default:
                yield option.name, value


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
    dropout : float
        While the network is trained, each output of the layer is 0 with this probability, and otherwise
        ``1 / (1 - dropout)`` times as large, so its expectation stays the same (Srivastava et al. 2014, "inverted").
        At least 0 and below 1, and 0 in the last layer. Which ones are dropped follows from the network's seed, the
        numbers of the epoch and of the step, and the place of the output: runs repeat, on either backend.
        ``predict``, ``loss_and_gradient``, ``input_gradient`` and ``jacobian`` drop nothing.
    l1, l2 : float
        The loss of the network gets ``l1 * abs(weight).sum() + l2 / 2 * (weight**2).sum()`` more, and so does every
        loss that is reported. (``weight_decay`` of an optimizer is not part of the loss.) At least 0.
    max_norm : float, optional
        After each step, the incoming weights of each neuron, a column of ``weight``, are scaled down to this norm, in
        case theirs is larger (Srivastava et al. 2014).
    weight_rate, bias_rate : float
        Multipliers of the learning rate, as parameter groups of ``torch.optim`` have learning rates of their own. At
        least 0; with 0 the weight or the bias stays as it is, and so does what the optimizer keeps for it.

    Attributes
    ----------
    weight : ndarray (n_in, n_out)
    bias : ndarray (n_out,) or None
        Views of the parameters of the network that the layer belongs to (``net.layers[k]``); assignment copies values
        into them. A layer that belongs to no network has no parameters: they raise AttributeError.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        activation: str = "identity",
        bias: bool = True,
        *,
        dropout: float = 0.0,
        l1: float = 0.0,
        l2: float = 0.0,
        max_norm: float | None = None,
        weight_rate: float = 1.0,
        bias_rate: float = 1.0,
    ) -> None:
        check_name("activation", activation, ACTIVATIONS)
        if not isinstance(bias, bool):
            raise TypeError(f"bias must be True or False, not {shown(bias)}")
        self._n_in = as_count("n_in", n_in, 1)
        self._n_out = as_count("n_out", n_out, 1)
        self._activation = activation
        self._has_bias = bias
        self._options = LayerOptions(dropout, l1, l2, max_norm, weight_rate, bias_rate)
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
    def options(self) -> LayerOptions:
        return self._options

    @property
    def dropout(self) -> float:
        return self._options.dropout

    @property
    def l1(self) -> float:
        return self._options.l1

    @property
    def l2(self) -> float:
        return self._options.l2

    @property
    def max_norm(self) -> float | None:
        return self._options.max_norm

    @property
    def weight_rate(self) -> float:
        return self._options.weight_rate

    @property
    def bias_rate(self) -> float:
        return self._options.bias_rate

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
        options = "".join(f", {name}={value!r}" for name, value in self._options.chosen())
        return f"Dense({self.n_in}, {self.n_out}, {self.activation!r}{bias}{options})"


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
        if k == len(layers) - 1 and layer.dropout > 0:
            raise ValueError(
                f"layers[{k}] = {layer}: dropout is for hidden layers; on the last one it must be 0, as it would drop "
                "the network's outputs"
            )
    n_parameters = sum(layer.n_parameters for layer in layers)
    if n_parameters > MAX_PARAMETERS:
        raise ValueError(f"the network has {n_parameters} parameters: no machine of this kind has memory for them")
    return n_parameters


def check_options(layers: Sequence[Dense], dtype: np.dtype[Any]) -> None:
    """Checks that no option of a layer becomes 0 or infinite in a network of `dtype`."""
    for k, layer in enumerate(layers):
        for name, value in layer.options.chosen():
            if name != "dropout" and value != 0 and not is_usable(value, dtype):
                allowed = f"finite and above 0 in {dtype.name}"
                raise ValueError(f"layers[{k}] = {layer}: {name} must be {allowed}, not {value}")


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
        own = Dense(layer.n_in, layer.n_out, layer.activation, layer.has_bias, **dict(layer.options.chosen()))
        end = start + own.n_in * own.n_out
        own._weight = parameters[start:end].reshape(own.n_in, own.n_out)
        if own.has_bias:
            own._bias = parameters[end : end + own.n_out]
        start += own.n_parameters
        bound.append(own)
    return tuple(bound)
