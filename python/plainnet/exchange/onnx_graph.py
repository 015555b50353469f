"""The graph of an ONNX model, read from a file and checked. Nothing is executed, and no other file is read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..arrays import Array
from .onnx_patterns import COMPOSED, SINGLE
from .onnx_scaling import SCALER
from .onnx_shapes import NONE, OF_SHAPES, as_object, is_of_shapes, of_shapes

#: Messages of protobuf, which models are, have no more bytes.
_MOST_BYTES = 2**31 - 1

#: Before it, operators broadcast otherwise.
_FIRST_OPSET = 7

LAYERS = ("Gemm", "MatMul", "Add")
WITHOUT_EFFECT = ("Identity", "Flatten", "Reshape", "Dropout", "Cast")
_OF_CONSTANTS = ("Constant", "Identity", "Transpose")
_DOMAINS = ("", "ai.onnx")
_SCALER = ("ai.onnx.ml", SCALER)


# ---- The file --------------------------------------------------------------------------------------------------------


def read_graph(onnx: Any, name: str, output: str | None) -> tuple[Any, Graph]:
    """The model in a file, a ModelProto, and its graph up to the value `output`, by default the only output."""
    model = _read_model(onnx, name)
    _check_order(model.graph)
    output = _output(model.graph, output)
    nodes = _nodes_for(model.graph, output)
    _check(onnx, name, model)
    return model, _as_graph(onnx, model.graph, output, nodes)


def _read_model(onnx: Any, name: str) -> Any:
    """The model in a file, with all its data. Whether it is valid is not checked yet."""
    from google.protobuf.message import DecodeError

    with open(name, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{name!r} is no regular file, but a pipe or a device")
        n_bytes = status.st_size
        if n_bytes > _MOST_BYTES:
            raise ValueError(f"{name!r} has {n_bytes} bytes; a model in one file of ONNX has at most {_MOST_BYTES}")
        content = file.read()
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError as error:
        raise ValueError(f"{name!r} is no model in ONNX, or is truncated: {error}") from None
    _check_opset(onnx, name, model)
    for tensor in _tensors(model.graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise ValueError(
                f"tensor {tensor.name!r} keeps its data in another file, which is not read: save the model with all "
                "its data in one file, by torch.onnx.export(..., external_data=False) or by onnx.save(onnx.load(path), "
                "path)"
            )
    if model.functions or model.graph.sparse_initializer:
        what = "functions of its own" if model.functions else "sparse tensors"
        raise ValueError(f"{name!r} holds {what}, which a network does not have")
    return model


def _check_opset(onnx: Any, name: str, model: Any) -> None:
    versions = [entry.version for entry in model.opset_import if entry.domain in _DOMAINS]
    newest = onnx.defs.onnx_opset_version()
    if not versions:
        raise ValueError(f"{name!r} is no model in ONNX, or is truncated: it names no version of the operators")
    if len(set(versions)) > 1:
        raise ValueError(f"{name!r} is of several opsets, {versions}, and must be of one")
    for version in versions:
        if not _FIRST_OPSET <= version <= newest:
            raise ValueError(
                f"{name!r} is of opset {version}; known are {_FIRST_OPSET} to {newest}, to the version "
                f"{onnx.__version__} of the package onnx"
            )


def check_shapes(onnx: Any, name: str, model: Any, output: str, n_out: int, dtype: np.dtype[Any]) -> None:
    """
    Checks the shapes and types that a model declares of what `output`, (n_samples, n_out), needs.

    The rest is taken out of the model.
    """
    graph = model.graph
    nodes = [node for _, node in _nodes_for(graph, output)]
    outputs = [value for value in graph.output if value.name == output]
    if not outputs:
        kind = onnx.helper.np_dtype_to_tensor_dtype(dtype)
        outputs = [onnx.helper.make_tensor_value_info(output, kind, [None, n_out])]
    for field, kept in (graph.node, nodes), (graph.output, outputs):
        del field[:]
        field.extend(kept)
    _check(onnx, name, model, full_check=True)


def _check(onnx: Any, name: str, model: Any, full_check: bool = False) -> None:
    try:
        onnx.checker.check_model(model, full_check=full_check)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError) as error:
        reason = " ".join(str(error).split("==> Context")[0].split())
        raise ValueError(f"{name!r} is no valid model in ONNX: {reason}") from None


def _tensors(graph: Any) -> Iterator[Any]:
    """The tensors that are stored in a graph, but for those of graphs inside, which are refused."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _check_order(graph: Any) -> None:
    known = {"", *(value.name for value in graph.input), *(tensor.name for tensor in graph.initializer)}
    for index, node in enumerate(graph.node):
        for value in node.input:
            if value not in known:
                raise ValueError(
                    f"{_label(node, index)}: no node before it computes its input {value!r}; the nodes of a graph are "
                    "in the order in which they are computed, and there are no cycles"
                )
        known.update(node.output)


def _output(graph: Any, output: str | None) -> str:
    """The name of the value that the network predicts."""
    names = [value.name for value in graph.output]
    if output is None:
        if len(names) != 1:
            raise ValueError(f"a network has one output, and the graph has {len(names)}: {names}; pass one as output")
        return str(names[0])
    if not isinstance(output, str):
        raise TypeError(f"output must be the name of a value, a str, not {type(output).__name__}")
    if not any(output in node.output for node in graph.node):
        raise ValueError(f"no node computes the output {output!r}; the outputs of the graph are {names}")
    return output


def _nodes_for(graph: Any, output: str) -> list[tuple[str, Any]]:
    """The nodes that `output` needs, in order, with what they are called in messages; their operators are known."""
    needed, nodes = {output}, []
    for index, node in reversed(list(enumerate(graph.node))):
        if needed.intersection(node.output):
            needed.update(node.input)
            nodes.append((_label(node, index), node))
    allowed = {*LAYERS, *WITHOUT_EFFECT, *SINGLE, *COMPOSED, *_OF_CONSTANTS, *OF_SHAPES}
    is_layer = False
    for label, node in reversed(nodes):
        is_layer |= node.op_type in ("Gemm", "MatMul")
        if (node.domain, node.op_type) != _SCALER and (node.domain not in _DOMAINS or node.op_type not in allowed):
            advice = up_to(node.input[0]) if is_layer and node.input else ""
            of_domain = "" if node.domain in _DOMAINS else f" of the domain {node.domain!r}"
            raise TypeError(
                f"{label}: a network has no such operator{of_domain}; allowed are "
                f"{', '.join([*LAYERS, *WITHOUT_EFFECT, *SINGLE])}, activations composed of simple operators, and what "
                f"scales the inputs{advice}"
            )
    return nodes[::-1]


def up_to(value: str) -> str:
    """The end of a message about a node that takes `value` from another node."""
    return f"; output={value!r} reads the graph up to there"


def _label(node: Any, index: int) -> str:
    return f"node {node.name!r} ({node.op_type})" if node.name else f"the unnamed node {index} ({node.op_type})"


# ---- The graph -------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Node:
    label: str
    operator: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]

    def __str__(self) -> str:
        return self.label


@dataclass
class Graph:
    """
    The nodes that the output needs and that are not constant, in order, and what is constant.

    `shape` is the shape of the input but for the samples, None for what is not known; None if no shape is known.
    `n_samples` is their number, in a graph that is made for one.
    """

    input: str
    output: str
    n_samples: int | None
    shape: list[int | None] | None
    constants: dict[str, Array]
    nodes: list[Node]

    def consumers(self, value: str) -> list[Node]:
        return self._consumers.get(value, [])

    def name_same(self, kind: int | None) -> None:
        """Takes out the nodes that leave values as they are: each Identity, and each Cast to `kind`, of TensorProto."""
        same: dict[str, str] = {}
        kept = []
        for node in self.nodes:
            node.inputs = [same.get(value, value) for value in node.inputs]
            if node.operator == "Identity" or (node.operator == "Cast" and node.attributes["to"] == kind):
                same[node.outputs[0]] = node.inputs[0]
            else:
                kept.append(node)
        self.output = same.get(self.output, self.output)
        self._keep(kept)

    def fold_shape(self, value: str, shape: list[object]) -> None:
        """Makes constants of what is computed of the shape of `value` alone, as a Reshape takes it."""
        kept = []
        for node in self.nodes:
            arrays = [self.constants.get(name) if name else NONE for name in node.inputs]
            if node.operator == "Shape":
                arrays = [as_object(shape) if node.inputs == [value] else None]
            if node.operator in OF_SHAPES and arrays and all(map(is_of_shapes, arrays)):
                self.constants[node.outputs[0]] = of_shapes(node, [array for array in arrays if array is not None])
            else:
                kept.append(node)
        self._keep(kept)

    def _keep(self, nodes: list[Node]) -> None:
        self.nodes = nodes
        self.__dict__.pop("_consumers", None)

    @cached_property
    def _consumers(self) -> dict[str, list[Node]]:
        consumers: dict[str, list[Node]] = {}
        for node in self.nodes:
            for value in dict.fromkeys(node.inputs):
                consumers.setdefault(value, []).append(node)
        return consumers


def _as_graph(onnx: Any, proto: Any, output: str, needed: list[tuple[str, Any]]) -> Graph:
    constants = {tensor.name: _as_array(onnx, tensor) for tensor in proto.initializer}
    inputs = [value for value in proto.input if value.name not in constants]
    if len(inputs) != 1:
        names = [value.name for value in inputs]
        raise ValueError(f"a network has one input, and the graph has {len(inputs)}: {names}")
    nodes: list[Node] = []
    for label, node in needed:
        for entry in node.attribute:
            if entry.ref_attr_name:
                raise ValueError(f"{label}: its attribute {entry.name!r} is that of a function, and it is in none")
        attributes = {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}
        ours = Node(label, node.op_type, list(node.input), list(node.output), attributes)
        if node.op_type in _OF_CONSTANTS and all(value in constants for value in node.input):
            constants[node.output[0]] = _constant(onnx, ours, constants)
        else:
            nodes.append(ours)
    kind = inputs[0].type.tensor_type
    n_samples, shape = None, None
    if kind.HasField("shape"):
        sides = [side.dim_value if side.HasField("dim_value") else None for side in kind.shape.dim]
        n_samples, shape = (sides or [None])[0], sides[1:]
    return Graph(inputs[0].name, output, n_samples, shape, constants, nodes)


def _as_array(onnx: Any, tensor: Any) -> Array:
    try:
        array: Array = onnx.numpy_helper.to_array(tensor)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"tensor {tensor.name!r} is of no type that is known, or damaged: {error}") from None
    return array


def _constant(onnx: Any, node: Node, constants: dict[str, Array]) -> Array:
    """What a node computes of constants."""
    if node.operator == "Identity":
        return constants[node.inputs[0]]
    if node.operator == "Transpose":
        n_axes = constants[node.inputs[0]].ndim
        axes = node.attributes.get("perm", range(n_axes)[::-1])
        if sorted(axes) != list(range(n_axes)):
            raise ValueError(f"{node}: perm is {axes}, and its input has {n_axes} axes")
        return np.transpose(constants[node.inputs[0]], axes)
    name, value = next(iter(node.attributes.items()), ("value without content", None))
    if name == "value":
        return _as_array(onnx, value)
    if name not in ("value_float", "value_floats", "value_int", "value_ints"):
        raise ValueError(f"{node}: it must hold numbers, not a {name}")
    return np.asarray(value, np.float32 if "float" in name else np.int64)
