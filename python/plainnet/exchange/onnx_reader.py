"""Networks from ONNX models: ``pn.from_onnx``, which follows a graph from its input to its output."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Array
from ..layers import Dense
from ..losses import LossLike
from ..network import Network
from .onnx_graph import WITHOUT_EFFECT, Graph, Node, check_shapes, read_graph, up_to
from .onnx_patterns import COMMUTATIVE, SINGLE, Template, named_activation, templates
from .onnx_scaling import OF_SCALING, Scaling
from .onnx_shapes import OF_SHAPES, ROWS, UNKNOWN
from .torch import LOSSES

if TYPE_CHECKING:
    from ..initializers import Seed


def from_onnx(
    path: str | os.PathLike[str], loss: LossLike | None = None, seed: Seed = None, *, output: str | None = None
) -> Network:
    """
    The network that a model in ONNX is.

    Parameters
    ----------
    path : str or path-like
        A file whose graph has one input, (n_samples, n_in), and from there to its output a chain of layers: a Gemm, or
        a MatMul and, for the bias, an Add; then at most one activation. That is Relu, ``LeakyRelu(0.01)``, ``Elu(1)``,
        Selu, Gelu, Sigmoid, Tanh, Softplus, Mish, ``Swish(1)``, one of those composed of simple operators as
        :meth:`Network.to_onnx`, PyTorch or Keras write them, and last of all Softmax. Identity, Dropout, and Flatten,
        Reshape and Cast that leave rows of the parameters' dtype as they are may be anywhere; the shape of a Reshape is
        stored or computed of the number of rows. With a Flatten or a Reshape first, the input may have more axes: the
        network takes the flattened rows. All parameters are stored in the file, of float32 or all of float64.

        Before the first layer, the inputs may be scaled, as pipelines of scikit-learn with a ``StandardScaler`` or a
        ``MinMaxScaler`` do it, and Keras' ``Rescaling``: a Scaler, or Sub, Add, Mul and Div of one row or one number.
        This is folded into the first layer as by :meth:`Network.fold`, which says how rounding grows.
    loss : str, CrossEntropy, Huber or Quantile, optional
        By default ``"cross_entropy"`` after a softmax, ``"log_loss"`` after a sigmoid, else ``"mean_squared_error"``.
    seed : None, int, sequence of int, SeedSequence, BitGenerator or Generator
        Of the order of mini-batches, as for :class:`Network`.
    output : str, optional
        The name of the value that the network predicts, in graphs with several outputs. It may also be one that is
        computed on the way, and what else the graph computes is left out; errors about a node name the value before
        it. ``"out_activations_result"`` are the probabilities in what skl2onnx makes of classifiers; of two classes,
        that of the second. ``"probabilities"`` are those of both: the network has a softmax, and before it zeros for
        the first.

    Returns
    -------
    Network
        Of the parameters' dtype, on the backend in C. It predicts what the model computes, but for rounding. Layers
        that share an array in the file have copies of it each. Dropout is not taken over. The optimizer is
        ``SGD(0.1)``.

    Raises
    ------
    TypeError
        If `path` is no path or `output` no str, or naming the first node whose operator a network cannot have.
    ValueError
        If the file is no valid model, is truncated or larger than 2 GB, is of versions that are not known, or keeps
        data in other files; naming the first node whose attributes, shapes, dtype, parameters or place a network
        cannot have; or if `loss` does not go with the last activation.
    OSError
        If the file cannot be read.
    ImportError
        If the package onnx is not installed: it is the extra `onnx`.
    """
    name = os.fsdecode(path)
    try:
        import onnx
    except ImportError as error:
        raise ImportError("from_onnx needs the package onnx; get it with: pip install 'plainnet[onnx]'") from error
    return _network(onnx, name, output, loss, seed)


def _network(onnx: Any, name: str, output: str | None, loss: LossLike | None, seed: Seed) -> Network:
    model, graph = read_graph(onnx, name, output)
    chain = _Chain(onnx, graph)
    chain.follow()
    mean, scale = chain.scaling.of_columns(chain.layers[0].weight.shape[0])
    if mean.any() and chain.layers[0].bias is None:
        chain.layers[0].bias = np.zeros(chain.layers[0].n_out, chain.layers[0].weight.dtype)
    check_shapes(onnx, name, model, graph.output, chain.layers[-1].n_out, chain.layers[0].weight.dtype)
    dense = [layer.as_dense() for layer in chain.layers]
    if loss is None:
        loss = LOSSES.get(dense[-1].activation, "mean_squared_error")
    parameters = np.concatenate([array.ravel() for layer in chain.layers for array in layer.parameters()])
    network = Network(dense, loss, init=parameters, seed=seed, dtype=parameters.dtype)
    return network.fold(input_mean=mean, input_scale=scale) if chain.scaling else network


# ---- The chain -------------------------------------------------------------------------------------------------------


@dataclass
class _Layer:
    node: Node
    weight: Array
    bias: Array | None = None
    activation: str | None = None

    @property
    def n_out(self) -> int:
        return int(self.weight.shape[1])

    def as_dense(self) -> Dense:
        n_in, n_out = self.weight.shape
        return Dense(n_in, n_out, self.activation or "identity", self.bias is not None)

    def parameters(self) -> list[Array]:
        return [self.weight] if self.bias is None else [self.weight, self.bias]


class _Chain:
    """The layers of a graph, which are found by following its values from the input to the output."""

    def __init__(self, onnx: Any, graph: Graph) -> None:
        self.onnx, self.graph = onnx, graph
        self.layers: list[_Layer] = []
        self.scaling = Scaling()
        self._is_flat = graph.shape is None or len(graph.shape) == 1
        self._templates: list[Template] = []

    def follow(self) -> None:
        graph, value = self.graph, self.graph.input
        graph.name_same(self._kind())
        while value != graph.output:
            if any(node.operator == "Shape" for node in graph.consumers(value)):
                graph.fold_shape(value, self._shape())
            found = self._composed(value) or self._complement(value) if self.layers else None
            if found is not None:
                name, used, value = found
                self._add_activation(used[0], name)
                continue
            advice = up_to(value) if self.layers else ""
            following = graph.consumers(value)
            if len(following) != 1:
                nodes = ", ".join(map(str, following)) or "no node, and is not the output"
                raise ValueError(
                    f"the value {value!r} goes to {nodes}: this is no chain of layers and activations"
                    f"{advice if following else ''}"
                )
            try:
                self._add(following[0], value)
            except (TypeError, ValueError) as error:
                raise type(error)(f"{error}{advice}") from None
            value = following[0].outputs[0]
        if not self.layers:
            raise ValueError("the graph holds no Gemm and no MatMul: a network needs at least one layer")

    def _kind(self) -> int | None:
        """The kind of the first weight, in TensorProto, to which a Cast may be."""
        for node in self.graph.nodes:
            if node.operator in ("Gemm", "MatMul"):
                weight = self.graph.constants.get(node.inputs[1])
                return None if weight is None else int(self.onnx.helper.np_dtype_to_tensor_dtype(weight.dtype))
        return None

    def _shape(self) -> list[object]:
        """The shape of the current value."""
        sides = [self._width] if self._is_flat or self.graph.shape is None else self.graph.shape
        return [ROWS, *(UNKNOWN if side is None else side for side in sides)]

    @property
    def _width(self) -> int | None:
        """The number of columns of the current value, if it is known."""
        if self.layers:
            return self.layers[-1].n_out
        sides: list[int | None] = [None] if self.graph.shape is None else self.graph.shape
        width = 1
        for side in sides:
            if side is None:
                return None
            width *= side
        return width

    def _add(self, node: Node, value: str) -> None:
        """Takes one node, which computes something of `value` alone."""
        if node.operator in WITHOUT_EFFECT:
            if node.inputs[0] != value:
                raise ValueError(f"{node}: {value!r} must be its first input")
            self._check_effect(node)
            return
        if not self.layers and node.operator in OF_SCALING:
            if not self.scaling.add(node, value, self.graph.constants) and not self._is_flat:
                raise ValueError(f"{node}: it scales columns, and the graph's input is not flattened before it")
            return
        if not self._is_flat:
            raise ValueError(
                f"{node}: the graph's input must have 2 axes, (n_samples, n_in), or be flattened before this node"
            )
        if node.operator in ("Gemm", "MatMul"):
            self._add_layer(node, value)
        elif node.operator == "Add":
            self._add_bias(node, value)
        elif node.operator in SINGLE:
            self._add_activation(node, named_activation(node.label, node.operator, node.attributes))
        elif node.operator in OF_SHAPES and node.operator != "Mul":
            raise TypeError(f"{node}: a network has such an operator in what computes the shape of a Reshape alone")
        else:
            raise TypeError(f"{node}: it is no part of an activation that a network has")

    def _check_effect(self, node: Node) -> None:
        """Checks that a node leaves rows as they are, or makes rows of what the graph takes."""
        if node.operator == "Flatten":
            if node.attributes.get("axis", 1) != 1:
                raise ValueError(f"{node}: axis must be 1, so that rows stay as they are")
            self._is_flat = True
        elif node.operator == "Reshape":
            self._check_shape(node)
            self._is_flat = True
        elif node.operator == "Dropout":
            if len(node.inputs) > 2 and node.inputs[2] and self._array(node, 2, "training_mode").any():
                raise ValueError(f"{node}: training_mode must be false; export the model for inference")
        else:
            self._refuse_cast(node)

    def _check_shape(self, node: Node) -> None:
        """Checks that a Reshape makes rows, each of what it was."""
        shape, width = self._array(node, 1, "shape").ravel().tolist(), self._width
        rows = [ROWS, 0] if self.graph.n_samples is None else [ROWS, 0, self.graph.n_samples]
        is_kept = len(shape) == 2 and ((shape[0] in rows and shape[1] in (-1, width)) or shape == [-1, width])
        if not is_kept or (0 in shape and node.attributes.get("allowzero", 0)):
            raise ValueError(f"{node}: its shape is {shape}; it must be [-1, {width}], so that rows stay rows")

    def _refuse_cast(self, node: Node) -> None:
        """Those to the parameters' dtype are left out before."""
        if self._kind() is None:
            raise ValueError("the graph holds no Gemm and no MatMul: a network needs at least one layer")
        names = {number: name for name, number in self.onnx.TensorProto.DataType.items()}
        kind = names.get(node.attributes["to"], f"the unknown type {node.attributes['to']}")
        dtype = self.onnx.helper.tensor_dtype_to_np_dtype(self._kind())
        raise ValueError(f"{node}: it casts to {kind}; a cast must be to the parameters' dtype, {dtype}")

    def _dtype(self) -> np.dtype[Any]:
        return self.layers[0].weight.dtype

    def _array(self, node: Node, index: int, what: str) -> Array:
        if len(node.inputs) <= index or node.inputs[index] not in self.graph.constants:
            raise ValueError(f"{node}: its {what}, input {index}, must be an array that the file stores")
        return self.graph.constants[node.inputs[index]]

    def _parameters(self, node: Node, index: int, what: str) -> Array:
        array = self._array(node, index, what)
        if array.dtype not in (np.float32, np.float64) or (self.layers and array.dtype != self._dtype()):
            raise ValueError(f"{node}: its {what} is of {array.dtype}; parameters must all be float32, or all float64")
        if not np.isfinite(array).all():
            raise ValueError(f"{node}: its {what} holds NaN or infinity; parameters must be finite")
        return array

    def _add_layer(self, node: Node, value: str) -> None:
        if self.layers and self.layers[-1].activation == "softmax":
            raise ValueError(f"{node}: a Softmax comes before it, which is for the last layer only")
        if node.inputs[0] != value:
            raise ValueError(f"{node}: the weight must be its second input, and {value!r} its first")
        weight = self._parameters(node, 1, "weight")
        if weight.ndim != 2 or 0 in weight.shape:
            raise ValueError(f"{node}: its weight has shape {weight.shape}; it must be (n_in, n_out), no side of 0")
        settings = node.attributes
        if settings.get("transA", 0):
            raise ValueError(f"{node}: transA must be 0")
        if settings.get("transB", 0):
            weight = weight.T
        if self._width is not None and weight.shape[0] != self._width:
            raise ValueError(
                f"{node}: it takes {weight.shape[0]} inputs, and what comes before it returns {self._width}"
            )
        self.layers.append(_Layer(node, self._scaled(node, weight, "alpha")))
        if node.operator == "Gemm" and len(node.inputs) > 2 and node.inputs[2]:
            self._set_bias(node, 2)

    def _add_bias(self, node: Node, value: str) -> None:
        layer = self.layers[-1] if self.layers else None
        if layer is None or layer.activation is not None or layer.bias is not None:
            raise ValueError(f"{node}: an Add is the bias of a layer, and must come right after a MatMul without one")
        self._set_bias(node, 1 - node.inputs.index(value))

    def _set_bias(self, node: Node, index: int) -> None:
        layer, bias = self.layers[-1], self._parameters(node, index, "bias")
        n_out = layer.n_out
        if bias.shape not in ((n_out,), (1, n_out), (), (1,), (1, 1)):
            raise ValueError(f"{node}: its bias has shape {bias.shape}; it must be ({n_out},) or (1, {n_out})")
        layer.bias = np.broadcast_to(self._scaled(node, bias, "beta").ravel(), (n_out,))

    def _scaled(self, node: Node, array: Array, factor: str) -> Array:
        """`array` times an attribute of Gemm, in the array's dtype."""
        with np.errstate(over="ignore", invalid="ignore"):
            result: Array = array * array.dtype.type(node.attributes.get(factor, 1.0))
        if not np.isfinite(result).all():
            raise ValueError(f"{node}: its parameters times {factor} are not finite")
        return result

    def _add_activation(self, node: Node, name: str) -> None:
        if not self.layers:
            raise ValueError(f"{node}: a network begins with a Gemm or a MatMul, and this comes before the first")
        if self.layers[-1].activation is not None:
            raise ValueError(f"{node}: the layer before it has an activation already, {self.layers[-1].activation}")
        self.layers[-1].activation = name

    # ---- Activations of several nodes

    def _composed(self, value: str) -> tuple[str, list[Node], str] | None:
        """The activation that begins at `value`, its nodes, and the value that they compute; None if there is none."""
        if not self._templates:
            self._templates = templates(self.onnx, self._dtype())
        for template in self._templates:
            found = self._match(template, value)
            if found is not None:
                return template.activation, *found
        return None

    def _complement(self, value: str) -> tuple[str, list[Node], str] | None:
        """
        A softmax, of what are 1 - p and p in two columns: classifiers of two classes compute them of one sigmoid.

        With a first column of zeros before it, it is the same: p is exp(z) / (1 + exp(z)).
        """
        nodes, layer = self.graph.consumers(value), self.layers[-1]
        if [node.operator for node in nodes] != ["Sub", "Concat"] or (layer.activation, layer.n_out) != ("sigmoid", 1):
            return None
        (difference, both) = nodes
        if not self._is_node(difference, "Sub", [1.0, value], []) or both.attributes["axis"] not in (1, -1):
            return None
        if both.inputs != [difference.outputs[0], value] or self.graph.consumers(both.inputs[0]) != [both]:
            return None
        layer.weight, layer.activation = np.hstack([np.zeros_like(layer.weight), layer.weight]), None
        if layer.bias is not None:
            layer.bias = np.concatenate([np.zeros_like(layer.bias), layer.bias])
        return "softmax", [both], both.outputs[0]

    def _match(self, template: Template, start: str) -> tuple[list[Node], str] | None:
        """
        The nodes that compute what `template` does of the value `start`, and their result.

        Other nodes do not use what they compute on the way.
        """
        values, used = {template.start: start}, list[Node]()
        for operator, inputs, output in template.nodes:
            first = next(values[name] for name in inputs if name in values)
            expected = [values.get(name, template.constants.get(name)) for name in inputs]
            node = next((n for n in self.graph.consumers(first) if self._is_node(n, operator, expected, used)), None)
            if node is None:
                return None
            used.append(node)
            values[output] = node.outputs[0]
        inner = [value for name, value in values.items() if name != template.result]
        is_apart = all(node in used for value in inner for node in self.graph.consumers(value))
        return (used, values[template.result]) if is_apart and self.graph.output not in inner else None

    def _is_node(self, node: Node, operator: str, expected: list[Any], used: list[Node]) -> bool:
        """Whether it is not in `used`, and its inputs are `expected`: values by their names, or numbers."""
        if node.operator != operator or node.attributes or node in used:
            return False
        orders = [node.inputs, node.inputs[::-1]] if node.operator in COMMUTATIVE else [node.inputs]
        return any(len(order) == len(expected) and all(map(self._is, order, expected)) for order in orders)

    def _is(self, name: str, expected: str | float) -> bool:
        if isinstance(expected, str):
            return name == expected
        array = self.graph.constants.get(name)
        if array is None or array.size != 1 or array.ndim > 1 or array.dtype.kind not in "fi":
            return False
        return bool(abs(array.item() - expected) <= 4 * np.finfo(self._dtype()).eps * abs(expected))
