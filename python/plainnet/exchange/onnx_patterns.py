"""How activations are recognised in ONNX models: operators that are one, and ways to compose one of several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .onnx import ACTIVATIONS, Graph

#: The operators of which activations are composed.
COMPOSED = (
    "Abs", "Add", "Div", "Equal", "Erf", "Exp", "Greater", "Less", "Log", "Max", "Min", "Mul", "Neg", "Pow", "Relu",
    "Sigmoid", "Softplus", "Sub", "Tanh", "Where",
)  # fmt: skip
COMMUTATIVE = ("Add", "Mul", "Max", "Min", "Equal")

#: Of each operator that is an activation, the attributes that ONNX has by default, and those that a network has.
SINGLE: dict[str, tuple[dict[str, Any], list[tuple[dict[str, Any], str]]]] = {
    "Relu": ({}, [({}, "relu")]),
    "LeakyRelu": ({"alpha": 0.01}, [({"alpha": 0.01}, "leaky_relu")]),
    "Elu": ({"alpha": 1.0}, [({"alpha": 1.0}, "elu")]),
    "Selu": (
        {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805},
        [({"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}, "selu")],
    ),
    "Gelu": ({"approximate": "none"}, [({"approximate": "none"}, "gelu"), ({"approximate": "tanh"}, "gelu_tanh")]),
    "Sigmoid": ({}, [({}, "sigmoid")]),
    "Tanh": ({}, [({}, "tanh")]),
    "Softplus": ({}, [({}, "softplus")]),
    "Mish": ({}, [({}, "mish")]),
    "Swish": ({"alpha": 1.0}, [({"alpha": 1.0}, "silu")]),
    "Softmax": ({"axis": -1}, [({"axis": -1}, "softmax"), ({"axis": 1}, "softmax")]),
}


def named_activation(where: str, operator: str, attributes: dict[str, Any]) -> str:
    """The activation that an operator with these attributes is; ValueError, beginning with `where`, if it is none."""
    defaults, known = SINGLE[operator]
    given = dict(defaults)
    for name, value in attributes.items():
        given[name] = value.decode(errors="replace") if isinstance(value, bytes) else value
    for settings, activation in known:
        if all(_is_setting(given[name], value) for name, value in settings.items()):
            return activation
    allowed = " or ".join(", ".join(f"{name}={value!r}" for name, value in settings.items()) for settings, _ in known)
    shown = ", ".join(f"{name}={value!r}" for name, value in given.items())
    raise ValueError(f"{where}: it has {shown}; its attributes must be {allowed}")


def _is_setting(given: Any, value: Any) -> bool:
    """Numbers of ONNX's attributes are of float32, and its constants of Selu are a few units in the last place off."""
    if isinstance(value, float):
        return bool(abs(given - value) <= 4 * np.finfo(np.float32).eps * value)
    return bool(given == value)


@dataclass
class Template:
    """
    A way to compose an activation of nodes, as (operator, inputs, output), in the order in which they are computed.

    `start` and `result` name what goes in and comes out, and `constants` has the inputs that are numbers.
    """

    activation: str
    nodes: list[tuple[str, list[str], str]]
    constants: dict[str, float]
    result: str
    start: str = "z"


def templates(onnx: Any, dtype: np.dtype[Any]) -> list[Template]:
    """Those of ``Network.to_onnx``, but for the activations that are one operator or none, and those of others."""
    composers = [*ACTIVATIONS.items(), *_others()]
    result = []
    for activation, compose in composers:
        graph = Graph(onnx, dtype)
        after = compose(graph, "z")
        if len(graph.nodes) > 1:
            nodes = [(node.op_type, list(node.input), node.output[0]) for node in graph.nodes]
            constants = {t.name: onnx.numpy_helper.to_array(t).item() for t in graph.stored}
            result.append(Template(activation, nodes, constants, after))
    return result


def _others() -> list[tuple[str, Callable[[Graph, str], str]]]:
    """As other exporters write them for versions of ONNX that have no operator: PyTorch's, Keras'."""
    others: list[tuple[str, Callable[[Graph, str], str]]] = [
        ("silu", lambda graph, z: graph.add("Mul", z, graph.add("Sigmoid", z))),
        ("mish", lambda graph, z: graph.add("Mul", z, graph.add("Tanh", graph.add("Softplus", z)))),
        ("mish", lambda graph, z: graph.add("Mul", z, graph.add("Tanh", _softplus(20.0, graph, z)))),
        ("softplus", partial(_softplus, 20.0)),
        ("softplus", partial(_softplus, 40.0)),
    ]
    for product in _HALF_PRODUCTS:
        others += [("gelu", partial(_gelu, product, inner)) for inner in _OVER_ROOT_2]
        others += [("gelu_tanh", partial(_gelu_tanh, product, cube)) for cube in _CUBES]
    return others


_Product = Callable[[Graph, str, str], str]
_Inner = Callable[[Graph, str], str]

#: z (1 + t) / 2, z divided by the root of 2, and the cube of z, in the orders in which they are met.
_HALF_PRODUCTS: tuple[_Product, ...] = (
    lambda graph, z, t: graph.add("Mul", graph.add("Mul", z, graph.add("Add", t, 1.0)), 0.5),
    lambda graph, z, t: graph.add("Mul", graph.add("Mul", z, 0.5), graph.add("Add", t, 1.0)),
    lambda graph, z, t: graph.add("Mul", z, graph.add("Mul", graph.add("Add", t, 1.0), 0.5)),
)
_OVER_ROOT_2: tuple[_Inner, ...] = (
    lambda graph, z: graph.add("Div", z, 2**0.5),
    lambda graph, z: graph.add("Mul", z, 0.5**0.5),
)
_CUBES: tuple[_Inner, ...] = (
    lambda graph, z: graph.add("Pow", z, 3.0),
    lambda graph, z: graph.add("Mul", z, graph.add("Mul", z, z)),
)


def _softplus(threshold: float, graph: Graph, z: str) -> str:
    """With PyTorch's threshold, by default or as ``Network.to_torch`` sets it."""
    return graph.add("Where", graph.add("Greater", z, threshold), z, graph.add("Softplus", z))


def _gelu(product: _Product, inner: _Inner, graph: Graph, z: str) -> str:
    return product(graph, z, graph.add("Erf", inner(graph, z)))


def _gelu_tanh(product: _Product, cube: _Inner, graph: Graph, z: str) -> str:
    argument = graph.add("Add", z, graph.add("Mul", cube(graph, z), 0.044715))
    return product(graph, z, graph.add("Tanh", graph.add("Mul", argument, (2 / np.pi) ** 0.5)))
