"""Networks as ONNX models: ``Network.to_onnx``."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays import Array
from ..atomic import check_replaceable, write_atomically
from ..network import Network

#: An old version of the operators, which readers of ONNX have, and the version of the format that came with it.
OPSET, IR_VERSION = 13, 7

#: A message of protobuf, which a model is, has fewer bytes; what is no parameter takes much less than 2^20 of them.
_MOST_BYTES = 2**31 - 2**20


def to_onnx(network: Network, path: str | os.PathLike[str]) -> None:
    """See ``Network.to_onnx``."""
    name = os.fsdecode(path)
    try:
        import onnx
    except ImportError as error:
        raise ImportError("to_onnx needs the package onnx; get it with: pip install 'plainnet[onnx]'") from error
    check_replaceable(name)
    _check_parameters(network)
    model = _model(onnx, network)
    onnx.checker.check_model(model, full_check=True)
    write_atomically(name, model.SerializeToString())


def _check_parameters(network: Network) -> None:
    n_bytes = network.parameters.nbytes
    if n_bytes > _MOST_BYTES:
        raise ValueError(
            f"the network's parameters take {n_bytes} bytes, and a model in one file of ONNX has {_MOST_BYTES} for "
            "them: make it smaller"
        )
    for k, layer in enumerate(network.layers):
        for name, array in (("weight", layer.weight), ("bias", layer.bias)):
            if array is not None and not np.isfinite(array).all():
                raise ValueError(f"layers[{k}].{name} holds NaN or infinity; parameters must be finite")


def _model(onnx: Any, network: Network) -> Any:
    """The network as a ModelProto: a Gemm or a MatMul for each layer, then its activation."""
    from .. import __version__

    graph = Graph(onnx, network.dtype)
    a = "input"
    for k, layer in enumerate(network.layers):
        inputs = [a, graph.store(f"layers.{k}.weight", layer.weight)]
        if layer.bias is not None:
            inputs.append(graph.store(f"layers.{k}.bias", layer.bias))
        z = graph.add("MatMul" if layer.bias is None else "Gemm", *inputs)
        a = _activate(graph, layer.activation, z)
    graph.add("Identity", a, output="output")
    helper = onnx.helper
    kind = helper.np_dtype_to_tensor_dtype(network.dtype)
    sides = [
        helper.make_tensor_value_info(name, kind, ["n_samples", width])
        for name, width in (("input", network.layers[0].n_in), ("output", network.layers[-1].n_out))
    ]
    whole = helper.make_graph(graph.nodes, "plainnet", sides[:1], sides[1:], graph.stored)
    return helper.make_model(
        whole, producer_name="plainnet", producer_version=__version__, ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )  # fmt: skip


class Graph:
    """The nodes of a model and the arrays that it stores; values are known by their names."""

    def __init__(self, onnx: Any, dtype: np.dtype[Any]) -> None:
        self.onnx, self.dtype = onnx, dtype
        self.nodes: list[Any] = []
        self.stored: list[Any] = []
        self._constants: dict[float, str] = {}

    def add(self, operator: str, *inputs: str | float, output: str | None = None, **attributes: Any) -> str:
        """A node, whose inputs are values of the graph or numbers; the name of what it computes."""
        names = [value if isinstance(value, str) else self._constant(value) for value in inputs]
        label = f"{operator}_{len(self.nodes)}"
        result = output or f"{label}_output"
        self.nodes.append(self.onnx.helper.make_node(operator, names, [result], name=label, **attributes))
        return result

    def store(self, name: str, array: Array) -> str:
        self.stored.append(self.onnx.numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def _constant(self, number: float) -> str:
        if number not in self._constants:
            array = np.asarray(number, self.dtype)
            self._constants[number] = self.store(f"constant_{len(self._constants)}", array)
        return self._constants[number]


# ---- Activations -----------------------------------------------------------------------------------------------------


def _activate(graph: Graph, activation: str, z: str) -> str:
    """
    The nodes of an activation.

    Most are composed of simple operators. ONNX Runtime has no LeakyRelu, Elu, Selu, Gelu, Softplus, Mish and Erf of
    float64, and its operators of float32 lose digits: near 0 all of Elu's and Selu's, and those of Sigmoid and Gelu
    where the result is tiny.
    """
    return ACTIVATIONS[activation](graph, z)


def _identity(graph: Graph, z: str) -> str:
    return z


def _tanh(graph: Graph, z: str) -> str:
    return graph.add("Tanh", z)


def _relu(graph: Graph, z: str) -> str:
    return graph.add("Relu", z)


def _softmax(graph: Graph, z: str) -> str:
    return graph.add("Softmax", z, axis=1)


def _leaky_relu(graph: Graph, z: str) -> str:
    return graph.add("Max", z, graph.add("Mul", z, 0.01))


def _expm1_below_0(graph: Graph, z: str) -> str:
    """exp(z) - 1 where z < 0, else 0: 2 t / (1 - t) with t = tanh(z / 2)."""
    t = graph.add("Tanh", graph.add("Mul", graph.add("Min", z, 0.0), 0.5))
    return graph.add("Div", graph.add("Mul", t, 2.0), graph.add("Sub", 1.0, t))


def _elu(graph: Graph, z: str) -> str:
    return graph.add("Add", graph.add("Relu", z), _expm1_below_0(graph, z))


def _selu(graph: Graph, z: str) -> str:
    scale, alpha = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
    below = graph.add("Mul", _expm1_below_0(graph, z), scale * alpha)
    return graph.add("Add", graph.add("Mul", graph.add("Relu", z), scale), below)


def _exp_minus_abs(graph: Graph, z: str) -> str:
    return graph.add("Exp", graph.add("Neg", graph.add("Abs", z)))


def _softplus(graph: Graph, z: str) -> str:
    """max(z, 0) + log(1 + e), e = exp(-abs(z)); with w = 1 + e as it is rounded, the latter is e log(w) / (w - 1)."""
    e = _exp_minus_abs(graph, z)
    w = graph.add("Add", e, 1.0)
    difference = graph.add("Sub", w, 1.0)
    quotient = graph.add("Div", graph.add("Mul", e, graph.add("Log", w)), difference)
    log1p = graph.add("Where", graph.add("Equal", difference, 0.0), e, quotient)
    return graph.add("Add", graph.add("Relu", z), log1p)


def _sigmoid(graph: Graph, z: str) -> str:
    """1 / (1 + e), or e / (1 + e) where z < 0, with e = exp(-abs(z))."""
    e = _exp_minus_abs(graph, z)
    above = graph.add("Where", graph.add("Less", z, 0.0), e, 1.0)
    return graph.add("Div", above, graph.add("Add", e, 1.0))


def _silu(graph: Graph, z: str) -> str:
    return graph.add("Mul", graph.add("Max", z, -1000.0), _sigmoid(graph, z))  # minus infinity times 0 is NaN


def _mish(graph: Graph, z: str) -> str:
    """z n / d with e = exp(-abs(z)): n = e^2 + 2 e and d = n + 2 where z < 0, else n = 1 + 2 e and d = n + 2 e^2."""
    e = _exp_minus_abs(graph, z)
    is_below = graph.add("Less", z, 0.0)
    square, double = graph.add("Mul", e, e), graph.add("Mul", e, 2.0)
    n = graph.add("Add", double, graph.add("Where", is_below, square, 1.0))
    d = graph.add("Add", n, graph.add("Where", is_below, 2.0, graph.add("Mul", square, 2.0)))
    return graph.add("Mul", graph.add("Max", z, -1000.0), graph.add("Div", n, d))


def _gelu_tanh(graph: Graph, z: str) -> str:
    """z sigmoid(x (A + B x^2)), where x is z but for what is so large that the sigmoid is 0 or 1."""
    a = 2 * np.sqrt(2 / np.pi)
    x = graph.add("Max", graph.add("Min", z, 1000.0), -1000.0)
    inner = graph.add("Add", graph.add("Mul", graph.add("Mul", x, x), float(a * 0.044715)), float(a))
    return graph.add("Mul", graph.add("Max", z, -1000.0), _sigmoid(graph, graph.add("Mul", x, inner)))


#: Phi(-x) = K(y - 0.45) exp(-x^2 / 2) / (x + 4) with y = x / (x + 4), for the distribution function Phi of the normal
#: distribution and x >= 0. The coefficients of K are those of csrc/elementwise/activation_vectors.inc.c.
_NORMAL = {
    "float64": (
        8.20138801896491052e-1, -1.38232982836663407, 1.78715038826243177, -1.69087439283982792, 1.01742175856295728,
        -1.63848314678435632e-1, -2.92141932379800609e-1, 1.8461722129914859e-1, 8.57040190045370952e-2,
        -1.07735395460933192e-1, -3.94163471988566663e-2, 6.14853587919513143e-2, 3.04436747910168136e-2,
        -3.39780781659017299e-2, -2.87957108142967221e-2, 1.46886605074116704e-2, 2.6268515486712559e-2,
        3.6964080037775639e-5, -2.03656542871380488e-2, -9.53405840507513624e-3, 1.16856222656662551e-2,
        1.12742440706471702e-2, -3.66296143623392598e-3, -5.62796062609241182e-3,
    ),
    "float32": (
        8.20138801896491052e-1, -1.382329806, 1.787150111, -1.690877394, 1.017441154, -1.637278101e-1, -2.925868776e-1,
        1.824830705e-1, 8.953629621e-2, -8.981782775e-2, -4.716859414e-2,
    ),
}  # fmt: skip


def _gelu(graph: Graph, z: str) -> str:
    """max(z, 0) - x Phi(-x) with x = abs(z); from 39 on the product is 0."""
    x = graph.add("Min", graph.add("Abs", z), 39.0)
    y = graph.add("Div", x, graph.add("Add", x, 4.0))
    s = graph.add("Sub", y, 0.45)
    *coefficients, last = _NORMAL[graph.dtype.name]
    k: str | float = last
    for coefficient in reversed(coefficients):
        k = graph.add("Add", graph.add("Mul", k, s), coefficient)
    power = graph.add("Exp", graph.add("Mul", graph.add("Mul", x, x), -0.5))
    return graph.add("Sub", graph.add("Relu", z), graph.add("Mul", graph.add("Mul", k, y), power))


ACTIVATIONS: dict[str, Callable[[Graph, str], str]] = {
    "identity": _identity,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "selu": _selu,
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "silu": _silu,
    "mish": _mish,
    "softplus": _softplus,
    "softmax": _softmax,
}
