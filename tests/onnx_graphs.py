"""Models in ONNX of nodes by hand, and what they must agree with: for the tests of `plainnet.from_onnx`."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'plainnet[onnx]'")
helper, kinds = onnx.helper, onnx.TensorProto

#: Of the largest output.
TOLERANCE = {"float64": 1e-12, "float32": 1e-6}


def agree(found, expected):
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert np.abs(found - expected).max() <= TOLERANCE[expected.dtype.name] * np.abs(expected).max()


W = np.linspace(-1, 1, 6).reshape(2, 3)
B = np.array([0.5, -0.25, 1.0])
X = np.array([[0.5, -2.0], [1.5, 0.25], [-3.0, 1.0]])


def model(*nodes, arrays=None, shape=("n", 2), n_out=3, opset=13, dtype=np.float64, **graph):
    """
    A model whose nodes are (operator, inputs, output, attributes), from "x" to "y".

    Nodes are named by their operator and their position.
    """
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    made = [
        helper.make_node(
            operator, inputs.split(), [output], name=f"{operator}_{k}", **(attributes[0] if attributes else {})
        )
        for k, (operator, inputs, output, *attributes) in enumerate(nodes)
    ]
    stored = {"W": W.astype(dtype), "B": B.astype(dtype)} | (arrays or {})
    used = {name for node in made for name in node.input}
    sides = {
        "inputs": [helper.make_tensor_value_info("x", kind, shape)],
        "outputs": [helper.make_tensor_value_info("y", kind, ["n", n_out])],
        "initializer": [onnx.numpy_helper.from_array(a, name) for name, a in stored.items() if name in used],
    } | graph
    return helper.make_model(
        helper.make_graph(made, "by_hand", **sides), opset_imports=[helper.make_opsetid("", opset)], ir_version=7
    )
