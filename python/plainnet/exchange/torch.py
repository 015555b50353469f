"""Networks to and from PyTorch: ``Network.to_torch`` and ``pn.from_torch``."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Array
from ..conversion import shown
from ..layers import Dense
from ..losses import LossLike
from ..network import Network

if TYPE_CHECKING:
    from torch.nn import Module, Sequential

    from ..initializers import Seed

#: The module of torch.nn for each activation, and the settings with which it computes the same.
_MODULES: dict[str, tuple[str, dict[str, Any]]] = {
    "identity": ("Identity", {}),
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "relu": ("ReLU", {}),
    "leaky_relu": ("LeakyReLU", {"negative_slope": 0.01}),
    "elu": ("ELU", {"alpha": 1.0}),
    "selu": ("SELU", {}),
    "gelu": ("GELU", {"approximate": "none"}),
    "gelu_tanh": ("GELU", {"approximate": "tanh"}),
    "silu": ("SiLU", {}),
    "mish": ("Mish", {}),
    # Beyond its threshold PyTorch returns z. At 40 this is ln(1 + exp(z)) to the last bit; at 20, its default, the
    # difference is 2e-9, of float32 a small part of the last bit.
    "softplus": ("Softplus", {"beta": 1.0, "threshold": 40.0}),
    "softmax": ("Softmax", {"dim": 1}),
}

#: The least threshold of a Softplus that is taken for ln(1 + exp(z)): PyTorch's default.
_LEAST_THRESHOLD = 20.0

#: The loss of a network that PyTorch's user has not named one for, by its last activation.
LOSSES: dict[str, LossLike] = {"softmax": "cross_entropy", "sigmoid": "log_loss"}

#: Options of layers that PyTorch keeps in the loss, the optimizer or the loop of training, not in a module.
_LEFT_OUT = ("l1", "l2", "max_norm", "weight_rate", "bias_rate")


def _import_torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise ImportError("to_torch and from_torch need PyTorch; get it with: pip install 'plainnet[torch]'") from error
    return torch


# ---- To PyTorch ------------------------------------------------------------------------------------------------------


def to_torch(network: Network) -> Sequential:
    """See ``Network.to_torch``; warnings name the line that has called that."""
    torch = _import_torch()
    modules: list[Module] = []
    left_out: list[str] = []
    for k, layer in enumerate(network.layers):
        modules.append(_linear(torch, layer, getattr(torch, network.dtype.name)))
        if layer.activation != "identity":
            kind, settings = _MODULES[layer.activation]
            modules.append(getattr(torch.nn, kind)(**settings))
        if layer.dropout > 0:
            modules.append(torch.nn.Dropout(layer.dropout))
        left_out += [f"layers[{k}].{name}={value}" for name, value in layer.options.chosen() if name in _LEFT_OUT]
    if left_out:
        warnings.warn(
            f"torch.nn.Sequential has no place for {', '.join(left_out)}: it predicts the same, and PyTorch would "
            "train it without these",
            UserWarning,
            stacklevel=3,
        )
    sequential: Sequential = torch.nn.Sequential(*modules)
    return sequential.eval()


def _linear(torch: Any, layer: Dense, dtype: Any) -> Module:
    """A Linear with copies of the parameters of `layer`; PyTorch's random generator is left as it is."""
    linear: Any = torch.nn.utils.skip_init(
        torch.nn.Linear, layer.n_in, layer.n_out, bias=layer.has_bias, dtype=dtype, device="cpu"
    )
    with torch.no_grad():
        linear.weight.copy_(torch.tensor(layer.weight).T)
        if layer.bias is not None:
            linear.bias.copy_(torch.tensor(layer.bias))
    module: Module = linear
    return module


# ---- From PyTorch ----------------------------------------------------------------------------------------------------


def from_torch(sequential: Sequential, loss: LossLike | None = None, seed: Seed = None) -> Network:
    """
    The network that a ``torch.nn.Sequential`` is.

    Parameters
    ----------
    sequential : torch.nn.Sequential
        Also with others inside. It holds, in this order and any number of times, a Linear (with a bias or without), at
        most one activation, and at most one Dropout, which becomes the layer's `dropout`; nothing is dropped after the
        last layer. Activations are Sigmoid, Tanh, ReLU, SELU, GELU, SiLU, Mish, ``LeakyReLU(0.01)``, ``ELU(1.0)``,
        ``Softplus(beta=1)`` with a threshold of 20 or more, and last of all ``Softmax(dim=1)`` or ``dim=-1``. Identity,
        ``Dropout(0)`` and ``Flatten()``, which do nothing to rows of numbers, may be anywhere. All parameters are of
        float32 or all of float64.
    loss : str, CrossEntropy, Huber or Quantile, optional
        By default ``"cross_entropy"`` after a softmax, ``"log_loss"`` after a sigmoid, else ``"mean_squared_error"``.
    seed : None, int, sequence of int, SeedSequence, BitGenerator or Generator
        Of the order of mini-batches and of dropout, as for :class:`Network`.

    Returns
    -------
    Network
        Of the module's dtype, with copies of its parameters, on the backend in C. It predicts what the module returns
        after ``sequential.eval()``, but for rounding. (A Softplus with PyTorch's threshold of 20 returns z beyond it,
        where this network has ln(1 + exp(z)): at most 2e-9 more.) Which parameters require a gradient is not taken
        over: all are trained, see `weight_rate` of :class:`Dense`. The optimizer is ``SGD(0.1)``.

    Raises
    ------
    TypeError
        If `sequential` is something else, or naming the first module that a network cannot have.
    ValueError
        Naming the first module whose settings, shape, dtype, parameters or place a network cannot have; or if `loss`
        does not go with the last activation.
    ImportError
        If PyTorch is not installed: it is the extra `torch`.

    Notes
    -----
    Networks for ``torch.nn.CrossEntropyLoss`` end without their softmax. ``from_torch(nn.Sequential(*sequential,
    nn.Softmax(dim=1)))`` is the network that predicts probabilities and is trained with the same loss.
    """
    torch = _import_torch()
    if not isinstance(sequential, torch.nn.Sequential):
        hint = "; wrap it: torch.nn.Sequential(module)" if isinstance(sequential, torch.nn.Module) else ""
        if hasattr(sequential, "_orig_mod"):
            hint = "; pass the module that torch.compile was called with"
        raise TypeError(f"sequential must be a torch.nn.Sequential, not {type(sequential).__name__}{hint}")
    layers = _as_layers(torch, sequential)
    parameters = np.concatenate(_parameters(torch, layers))
    dense = [layer.as_dense() for layer in layers]
    if loss is None:
        loss = LOSSES.get(dense[-1].activation, "mean_squared_error")
    return Network(dense, loss, init=parameters, seed=seed, dtype=parameters.dtype)


_SHARED = "{} is that of module {!r}; layers of a network share no parameters"


@dataclass
class _Part:
    """A module that holds no others, with its dotted name in the whole and its position, from 0 on."""

    name: str
    position: int
    module: Any

    def __str__(self) -> str:
        return f"module {self.name!r}, at position {self.position}, {shown(self.module)}"


@dataclass
class _Layer:
    """A Linear and what follows it, up to the next."""

    linear: _Part
    activation: str | None = None
    dropout: _Part | None = None

    def add_activation(self, part: _Part, name: str) -> None:
        if self.dropout is not None:
            raise ValueError(f"{part}: an activation comes before the Dropout of its layer, not after it")
        if self.activation is not None:
            raise ValueError(f"{part}: the Linear before it has an activation already, {self.activation}")
        self.activation = name

    def add_dropout(self, part: _Part) -> None:
        if self.dropout is not None:
            raise ValueError(f"{part}: the Linear before it has a Dropout already")
        if not 0 <= part.module.p < 1:
            raise ValueError(f"{part}: p must be at least 0 and below 1")
        self.dropout = part

    def as_dense(self) -> Dense:
        n_out, n_in = self.linear.module.weight.shape
        dropout = 0.0 if self.dropout is None else self.dropout.module.p
        return Dense(n_in, n_out, self.activation or "identity", self.linear.module.bias is not None, dropout=dropout)


def _as_layers(torch: Any, sequential: Sequential) -> list[_Layer]:
    """The layers of `sequential`; their order and settings are checked, their parameters are not yet."""
    layers: list[_Layer] = []
    for part in _parts(torch, sequential):
        kind = type(part.module)
        _check_parametrizations(torch, part)
        name = None if kind in (torch.nn.Linear, torch.nn.Dropout) else _activation(torch, part)
        _check_plain(part, part.module, None)
        if kind is torch.nn.Linear:
            if layers and layers[-1].activation == "softmax":
                raise ValueError(f"{part}: a Softmax comes before it, which is for the last layer only")
            for layer in layers:  # here, as a Sequential may hold others twice each that hold others twice
                if layer.linear.module is part.module:
                    raise ValueError(_SHARED.format(f"{part}: its weight", layer.linear.name))
            layers.append(_Layer(part))
            continue
        if name == "identity" or (name is None and part.module.p == 0):
            continue
        if not layers:
            raise ValueError(f"{part}: a network begins with a Linear, and this comes before the first")
        if name is None:
            layers[-1].add_dropout(part)
        else:
            layers[-1].add_activation(part, name)
    if not layers:
        raise ValueError("sequential holds no Linear: a network needs at least one layer")
    if layers[-1].dropout is not None:
        raise ValueError(f"{layers[-1].dropout}: dropout is for hidden layers, and this drops the network's outputs")
    return layers


def _parts(torch: Any, sequential: Sequential) -> Iterator[_Part]:
    """The modules of `sequential` that are none themselves, in the order in which they are called."""
    position = 0
    _check_plain("sequential", sequential, torch.nn.Sequential.forward)
    # Those that are entered, with the names of what is still to be read of them: without recursion, so of any depth.
    entered = [("", sequential, iter(sequential._modules.items()))]
    while entered:
        prefix, _, rest = entered[-1]
        child, module = next(rest, (None, None))
        if child is None:
            entered.pop()
            continue
        part = _Part(prefix + child, position, module)
        if not isinstance(module, torch.nn.Sequential):
            yield part
            position += 1
            continue
        if any(module is around for _, around, _ in entered):
            raise ValueError(f"module {part.name!r}, at position {position}, is a Sequential that holds itself")
        _check_plain(part, module, torch.nn.Sequential.forward)
        entered.append((f"{part.name}.", module, iter(module._modules.items())))


def _check_plain(where: object, module: Any, forward: Any) -> None:
    """Checks that `module` computes what its class does, and a container what `forward` does."""
    if "forward" in vars(module) or (forward is not None and type(module).forward != forward):
        raise TypeError(f"{where}: it has a forward function of its own, which a network does not have")
    if module._forward_hooks or module._forward_pre_hooks:
        raise ValueError(
            f"{where}: it has forward hooks, which a network does not have; remove them first (pruning and the older "
            "weight_norm and spectral_norm of torch.nn.utils are such hooks)"
        )


def _check_parametrizations(torch: Any, part: _Part) -> None:
    """Parametrizations change the class of a module."""
    if torch.nn.utils.parametrize.is_parametrized(part.module):
        names = list(part.module.parametrizations)
        raise TypeError(
            f"{part}: its {' and '.join(names)} has parametrizations, which a network does not have; call "
            f"torch.nn.utils.parametrize.remove_parametrizations(module, {names[0]!r}) first"
        )


def _activation(torch: Any, part: _Part) -> str:
    """The activation that a module is, with its settings; "identity" for those that do nothing to rows of numbers."""
    module, kind = part.module, type(part.module)
    if kind is torch.nn.Flatten:
        if module.start_dim != 1 or module.end_dim not in (-1, 1):
            raise ValueError(f"{part}: start_dim must be 1 and end_dim -1, so that rows stay as they are")
        return "identity"
    known = [
        (name, settings) for name, (class_name, settings) in _MODULES.items()
        if kind is getattr(torch.nn, class_name)
    ]  # fmt: skip
    if not known:
        names = ", ".join(sorted({class_name for class_name, _ in _MODULES.values()} - {"Identity"}))
        raise TypeError(
            f"{part}: a network has no such module; allowed are Linear, Dropout, Flatten, Identity, {names}"
        )
    for name, settings in known:
        if all(_is_setting(name, setting, getattr(module, setting), value) for setting, value in settings.items()):
            return name
    allowed = " or ".join(
        ", ".join(f"{setting}={_allowed(setting, value)}" for setting, value in settings.items())
        for _, settings in known
    )
    raise ValueError(f"{part}: its settings must be {allowed}")


def _is_setting(name: str, setting: str, given: Any, value: Any) -> bool:
    """Whether `setting` of a module is that of the activation `name`, or has the same effect."""
    if setting == "threshold":
        return bool(given >= _LEAST_THRESHOLD)
    return bool(given == value or (setting == "dim" and given == -1))


def _allowed(setting: str, value: Any) -> str:
    """The values of a setting, for messages."""
    return {"threshold": f"{_LEAST_THRESHOLD:g} or more", "dim": "1 or -1"}.get(setting, repr(value))


def _parameters(torch: Any, layers: list[_Layer]) -> list[Array]:
    """The parameters in the order of a network, each checked."""
    arrays: list[Array] = []
    dtype, n_before = None, layers[0].linear.module.in_features
    seen: dict[int, str] = {}
    for layer in layers:
        part, linear = layer.linear, layer.linear.module
        if linear.in_features != n_before:
            raise ValueError(
                f"{part}: it takes {linear.in_features} inputs, and what comes before it returns {n_before}"
            )
        n_before = linear.out_features
        shapes = {"weight": (n_before, linear.in_features), "bias": (n_before,)}
        for name, shape in shapes.items():
            tensor = getattr(linear, name, None)
            if tensor is None and name == "bias":
                continue
            where = f"{part}: its {name}"
            if not isinstance(tensor, torch.Tensor):
                raise TypeError(f"{where} is {shown(tensor)}; it must be a tensor")
            dtype = dtype or tensor.dtype
            if tensor.dtype != dtype or dtype not in (torch.float32, torch.float64):
                raise ValueError(
                    f"{where} is of {tensor.dtype}; parameters must all be torch.float32, or all float64: call "
                    "sequential.float() or sequential.double() first"
                )
            if id(tensor) in seen:
                raise ValueError(_SHARED.format(where, seen[id(tensor)]))
            seen[id(tensor)] = part.name
            arrays.append(_as_array(torch, where, tensor, shape).T.ravel())
    return arrays


def _as_array(torch: Any, where: str, tensor: Any, shape: tuple[int, ...]) -> Array:
    """`tensor` as an array, in memory of its own or not."""
    if tuple(tensor.shape) != shape or 0 in shape:
        raise ValueError(f"{where} has shape {tuple(tensor.shape)}; it must be {shape}, with no side of 0")
    if tensor.is_meta or tensor.layout != torch.strided:
        raise ValueError(f"{where} must be a dense tensor with numbers, not of device {tensor.device}, {tensor.layout}")
    try:
        array: Array = tensor.detach().cpu().resolve_neg().numpy()
    except (RuntimeError, TypeError) as error:  # of tensors of other kinds: those of torch.func, of several machines
        raise ValueError(f"{where} cannot be read as an array: {error}") from None
    if not np.isfinite(array).all():
        raise ValueError(f"{where} holds NaN or infinity; parameters must be finite")
    return array
