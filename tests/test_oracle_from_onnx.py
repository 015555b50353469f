"""Networks from ONNX models: those that the project writes, others by hand, and what is refused."""

import os
import re

import numpy as np
import pytest

import plainnet as pn

from onnx_graphs import B, W, X, agree, helper, kinds, model, onnx
from random_networks import N_NETWORKS, data_for, random_network


@pytest.mark.parametrize("seed", range(N_NETWORKS))
def test_random_network_comes_back(tmp_path, seed):
    net, path = random_network(seed), tmp_path / "model.onnx"
    net.to_onnx(path)
    again = pn.from_onnx(path, net.loss)
    assert again.dtype == net.dtype
    assert [(layer.n_in, layer.n_out, layer.activation, layer.has_bias) for layer in again.layers] == [
        (layer.n_in, layer.n_out, layer.activation, layer.has_bias) for layer in net.layers
    ]
    np.testing.assert_array_equal(again.parameters, net.parameters)
    x, y = data_for(net, seed)
    np.testing.assert_array_equal(again.predict(x), net.predict(x))
    if not any(layer.dropout for layer in net.layers):  # which a model in ONNX does not have
        for found, expected in zip(again.loss_and_gradient(x, y), net.loss_and_gradient(x, y)):
            np.testing.assert_array_equal(found, expected)


def test_loss_and_seed_are_those_that_are_asked_for(tmp_path):
    path = tmp_path / "model.onnx"
    for last, loss in ("softmax", "cross_entropy"), ("sigmoid", "log_loss"), ("tanh", "mean_squared_error"):
        pn.Network([pn.Dense(2, 3, last)], loss, seed=0).to_onnx(path)
        assert pn.from_onnx(path).loss == loss
    x, y = np.arange(40.0).reshape(20, 2) / 40, np.arange(60.0).reshape(20, 3) / 60
    trained = [pn.from_onnx(path, pn.Huber(0.5), seed) for seed in (3, 3, 4)]
    for net in trained:
        assert net.loss == pn.Huber(0.5)
        net.fit(x, y, epochs=2, batch_size=4)
    np.testing.assert_array_equal(trained[0].parameters, trained[1].parameters)
    assert (trained[0].parameters != trained[2].parameters).any()


# ---- Graphs by hand --------------------------------------------------------------------------------------------------


@pytest.fixture
def read(tmp_path):
    def read(proto, **options):
        path = tmp_path / "model.onnx"
        path.write_bytes(proto if isinstance(proto, bytes) else proto.SerializeToString())
        return pn.from_onnx(path, **options)

    return read


def test_gemm_with_its_attributes_is_folded_into_the_parameters(read, dtype):
    arrays = {"Wt": np.ascontiguousarray(W.T).astype(dtype), "row": B[None].astype(dtype)}
    settings = {"alpha": 0.5, "beta": -2.0, "transB": 1}
    net = read(model(("Gemm", "x Wt row", "y", settings), arrays=arrays, dtype=dtype))
    assert (net.layers[0].activation, net.dtype) == ("identity", dtype)
    agree(net.predict(X.astype(dtype)), (0.5 * X @ W - 2 * B).astype(dtype))


@pytest.mark.parametrize("bias", [B, B[None], np.array(2.0), np.array([[2.0]])])
def test_matmul_and_add_are_a_layer_with_a_bias(read, bias):
    for inputs in "z B", "B z":
        net = read(model(("MatMul", "x W", "z"), ("Add", inputs, "a"), ("Tanh", "a", "y"), arrays={"B": bias}))
        assert [(layer.activation, layer.has_bias) for layer in net.layers] == [("tanh", True)]
        agree(net.predict(X), np.tanh(X @ W + bias))


def test_layers_without_an_activation_follow_one_another(read):
    net = read(model(("MatMul", "x W", "z"), ("Gemm", "z V B", "y"), arrays={"V": W.T @ W}))
    assert [layer.has_bias for layer in net.layers] == [False, True]
    agree(net.predict(X), X @ W @ W.T @ W + B)


def test_nodes_without_effect_are_left_out(read):
    nodes = [
        ("Cast", "x", "c", {"to": kinds.DOUBLE}), ("Flatten", "c", "f", {"axis": 1}), ("Identity", "W", "same"),
        ("Transpose", "same", "Wt", {"perm": [1, 0]}),
        ("Constant", "", "V", {"value": onnx.numpy_helper.from_array(B)}),
        ("Gemm", "f Wt V", "z", {"transB": 1}), ("Relu", "z", "a"), ("Dropout", "a ratio", "d"), ("Identity", "d", "i"),
        ("Reshape", "i shape", "y"),
    ]  # fmt: skip
    arrays = {"ratio": np.array(0.5), "shape": np.array([-1, 3])}
    net = read(model(*nodes, arrays=arrays))
    assert [(layer.activation, layer.dropout) for layer in net.layers] == [("relu", 0)]
    agree(net.predict(X), np.maximum(X @ W + B, 0))


@pytest.mark.parametrize("flatten", [("Flatten", "x", "f"), ("Reshape", "x shape", "f")], ids=["Flatten", "Reshape"])
def test_input_of_more_axes_is_flattened_first(read, flatten):
    arrays = {"shape": np.array([0, -1])}
    net = read(model(flatten, ("MatMul", "f W", "y"), arrays=arrays, shape=("n", 1, 2)))
    agree(net.predict(X), X @ W)


FLAT = [
    ("Shape", "x", "sides"), ("Gather", "sides zero", "rows", {"axis": 0}),
    ("Unsqueeze", "rows axes", "first"), ("Concat", "first minus_one", "shape", {"axis": 0}),
]  # fmt: skip
#: Ways to compute the shape (n_samples, -1) or (n_samples, 6) of what has (n_samples, 3, 2), with their opset.
SHAPES = {
    "rows and the rest": (13, FLAT),
    "old Unsqueeze": (9, [*FLAT[:2], ("Unsqueeze", "rows", "first", {"axes": [0]}), FLAT[3]]),
    "a slice": (13, [FLAT[0], ("Slice", "sides axes one", "first"), FLAT[3]]),
    "a slice with axes and steps": (13, [FLAT[0], ("Slice", "sides axes one axes one", "first"), FLAT[3]]),
    "old slice": (9, [FLAT[0], ("Slice", "sides", "first", {"starts": [0], "ends": [1], "axes": [0]}), FLAT[3]]),
    "a product": (
        13,
        [
            *FLAT[:3],
            ("Gather", "sides one", "second"),
            ("Gather", "sides two", "third"),
            ("Mul", "second third", "six"),
            ("Concat", "first six", "shape", {"axis": 0}),
        ],
    ),
    "start and end": (15, [("Shape", "x", "first", {"start": 0, "end": 1}), FLAT[3]]),
    "casts": (13, [FLAT[0], ("Cast", "sides", "s", {"to": kinds.INT32}), ("Cast", "s", "w", {"to": kinds.INT64}),
                   ("Gather", "w zero", "rows"), *FLAT[2:]]),
    "squeezed": (13, [FLAT[0], ("Gather", "sides axes", "r"), ("Squeeze", "r", "rows"), *FLAT[2:]]),
    "of a value that is cast": (13, [("Cast", "x", "c", {"to": kinds.DOUBLE}), ("Shape", "c", "sides"), *FLAT[1:]]),
}  # fmt: skip
OF_SHAPES = {
    "zero": np.array(0), "axes": np.array([0]), "one": np.array([1]), "two": np.array([2]), "minus_one": np.array([-1])
}  # fmt: skip


@pytest.mark.parametrize("way", SHAPES)
def test_shape_that_is_computed_of_the_number_of_rows_flattens(read, way):
    opset, nodes = SHAPES[way]
    arrays = {"V": np.arange(18.0).reshape(6, 3)} | OF_SHAPES
    nodes = [*nodes, ("Reshape", "x shape", "f"), ("Gemm", "f V B", "y")]
    net = read(model(*nodes, arrays=arrays, shape=("n", 3, 2), opset=opset))
    x = np.linspace(-1, 1, 24).reshape(4, 6)
    agree(net.predict(x), x @ arrays["V"] + B)


@pytest.mark.parametrize(("shape", "is_kept"), [([4, -1], True), ([4, 6], True), ([5, -1], False), ([5, 6], False)])
def test_shape_of_a_fixed_number_of_rows_is_that_of_the_input(read, shape, is_kept):
    arrays = {"V": np.arange(18.0).reshape(6, 3), "shape": np.array(shape)}
    proto = model(("Reshape", "x shape", "f"), ("MatMul", "f V", "y"), arrays=arrays, shape=(4, 3, 2))
    proto.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 4
    if is_kept:
        assert read(proto).layers[0].n_in == 6
    else:
        with pytest.raises(ValueError, match=rf"'Reshape_0' \(Reshape\): its shape is \[5, {shape[1]}\]; it must be"):
            read(proto)


def test_shape_of_what_is_between_layers_can_be_computed(read):
    nodes = [
        ("Gemm", "x W B", "z"),
        ("Shape", "z", "sides"),
        *FLAT[1:],
        ("Reshape", "z shape", "f"),
        ("Tanh", "f", "y"),
    ]
    agree(read(model(*nodes, arrays=OF_SHAPES)).predict(X), np.tanh(X @ W + B))


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([*FLAT[:3], ("Concat", "minus_one first", "shape", {"axis": 0})], "its shape is [-1, n_samples]; it"),
        ([*FLAT[:3], ("Concat", "first two", "shape", {"axis": 0})], "its shape is [n_samples, 2]; it must be"),
        ([FLAT[0], ("Gather", "sides five", "rows"), *FLAT[2:]], "'Gather_1' (Gather): it computes no shape"),
        ([*FLAT[:3], ("Mul", "first two", "m"), ("Concat", "m two", "shape", {"axis": 0})], "'Mul_3' (Mul)"),
        ([*FLAT[:3], ("Concat", "first minus_one", "shape", {"axis": 5})], "'Concat_3' (Concat): it computes"),
        ([FLAT[0], ("Slice", "sides axes pair", "first"), FLAT[3]], "a slice of a shape has one axis"),
    ],
)  # fmt: skip
def test_shape_that_does_not_leave_rows_is_refused(read, nodes, message):
    arrays = {"V": np.ones((6, 3)), "five": np.array([5]), "pair": np.array([1, 2])} | OF_SHAPES
    proto = model(*nodes, ("Reshape", "x shape", "f"), ("Gemm", "f V B", "y"), arrays=arrays, shape=("n", 3, 2))
    with pytest.raises(ValueError, match=re.escape(message)):
        read(proto)


def test_shape_of_sides_that_are_unknown_is_refused(read):
    nodes = [*FLAT[:3], ("Gather", "sides one", "k"), ("Concat", "first k", "shape", {"axis": 0})]
    proto = model(*nodes, ("Reshape", "x shape", "f"), ("Gemm", "f W B", "y"), arrays=OF_SHAPES, shape=("n", "k", "m"))
    with pytest.raises(ValueError, match=re.escape("its shape is [n_samples, unknown]; it must be [-1, None]")):
        read(proto)


def test_shape_that_doubles_again_and_again_is_refused_at_once(read):
    nodes = [("Concat", f"s{k} s{k}", f"s{k + 1}", {"axis": 0}) for k in range(60)]
    nodes = [("Shape", "x", "s0"), *nodes, ("Reshape", "x s60", "f"), ("Gemm", "f W B", "y")]
    with pytest.raises(ValueError, match=r"'Concat_9' \(Concat\): it computes no shape, as it would have 1024 sides"):
        read(model(*nodes))


def test_casts_and_identities_within_a_composed_activation_are_left_out(read):
    nodes = [
        ("Gemm", "x W B", "z"), ("Cast", "z", "c", {"to": kinds.DOUBLE}), ("Identity", "c", "i"),
        ("Softplus", "i", "p"), ("Cast", "p", "q", {"to": kinds.DOUBLE}), ("Tanh", "q", "t"), ("Mul", "c t", "m"),
        ("Cast", "m", "y", {"to": kinds.DOUBLE}),
    ]  # fmt: skip
    assert read(model(*nodes)).layers[0].activation == "mish"
    for k in 1, 4, 7:
        other = [*nodes]
        other[k] = (*nodes[k][:3], {"to": kinds.FLOAT})
        with pytest.raises(ValueError, match=rf"Cast_{k}|is no chain of layers"):
            read(model(*other))


# ---- Inputs that are scaled ------------------------------------------------------------------------------------------


ROW, ONE_ROW = np.array([0.5, -3.0]), np.array([[2.0, 0.25]])
SCALER = ("Scaler", "x", "s", {"domain": "ai.onnx.ml", "offset": [0.5, -3.0], "scale": [2.0, 0.25]})
SCALED = {
    "Sub": ([("Sub", "x row", "s")], X - ROW),
    "Sub and Div": ([("Sub", "x row", "r"), ("Div", "r one_row", "s")], (X - ROW) / ONE_ROW),
    "Mul and Add": ([("Mul", "one_row x", "r"), ("Add", "row r", "s")], X * ONE_ROW + ROW),
    "all": ([("Add", "x row", "p"), ("Mul", "p one_row", "q"), ("Sub", "q two", "r"), ("Div", "r two", "s")],
            ((X + ROW) * ONE_ROW - 2) / 2),
    "Scaler": ([SCALER], (X - ROW) * ONE_ROW),
    "Scaler, one number": ([(*SCALER[:3], SCALER[3] | {"offset": [0.0], "scale": [4.0]})], X * 4),
}  # fmt: skip
OF_SCALING = {"row": ROW, "one_row": ONE_ROW, "two": np.array(2.0)}


def scaled(nodes, layer=("Gemm", "s W B", "y"), arrays=None, **options):
    """A Scaler returns float32, whatever it is given."""
    is_single = any(node[0] == "Scaler" for node in nodes)
    arrays = {name: a.astype("f4") if is_single else a for name, a in (arrays or OF_SCALING).items()}
    options = {"dtype": np.float32 if is_single else np.float64} | options
    proto = model(*nodes, layer, arrays=arrays, **options)
    proto.opset_import.add(domain="ai.onnx.ml", version=1)
    return proto


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("way", SCALED)
def test_scaling_of_the_inputs_is_folded_into_the_first_layer(read, way, has_bias):
    nodes, expected = SCALED[way]
    net = read(scaled(nodes, ("Gemm", "s W B", "y") if has_bias else ("MatMul", "s W", "y")))
    assert [layer.n_in for layer in net.layers] == [2]
    agree(net.predict(X.astype(net.dtype)), (expected @ W + B * has_bias).astype(net.dtype))


def test_scaling_without_a_shift_makes_no_bias(read):
    assert not read(scaled([("Mul", "x two", "s")], ("MatMul", "s W", "y"))).layers[0].has_bias


def test_one_number_scales_inputs_of_more_axes(read):
    nodes = [("Div", "x two", "r"), ("Flatten", "r", "s")]
    agree(read(scaled(nodes, shape=("n", 1, 2))).predict(X), X / 2 @ W + B)
    with pytest.raises(ValueError, match=r"'Div_0' \(Div\): it scales columns, and the graph's input is not flattened"):
        read(scaled([("Div", "x row", "r"), nodes[1]], shape=("n", 1, 2), arrays={"row": np.ones(2)}))


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([("Sub", "row x", "s")], "'Sub_0' (Sub): 'x' must be its first input"),
        ([("Div", "row x", "s")], "'Div_0' (Div): 'x' must be its first input"),
        ([("Div", "x zero", "s")], "'Div_0' (Div): it must scale its inputs by finite numbers above 0"),
        ([("Mul", "x zero", "s")], "'Mul_0' (Mul): it must scale its inputs by finite numbers above 0"),
        ([("Mul", "x row", "s")], "'Mul_0' (Mul): it must scale its inputs by finite numbers above 0"),
        ([("Sub", "x nan", "s")], "'Sub_0' (Sub): it must scale its inputs by finite numbers above 0, and shift"),
        ([("Sub", "x three", "s")], "'Sub_0' (Sub): it scales 3 columns, and the first layer takes 2"),
        ([("Sub", "x x", "s")], "'Sub_0' (Sub): what it scales the inputs by must be one row of numbers"),
        ([("Add", "x column", "s")], "'Add_0' (Add): what it scales the inputs by must be one row of numbers"),
        ([("Sub", "x empty", "s")], "'Sub_0' (Sub): what it scales the inputs by must be one row of numbers"),
        ([(*SCALER[:3], {"domain": "ai.onnx.ml", "scale": [1.0]})], "'Scaler_0' (Scaler): it must have an offset and"),
        ([("Mul", "x tiny", "r"), ("Sub", "r huge", "s")], "'Sub_1' (Sub): with what comes before it, it scales"),
        ([("Sub", "x huge", "r"), ("Div", "r tiny", "s")], "layers[0].bias would be nan with the scaling"),
    ],
)
def test_scaling_that_cannot_be_folded_is_refused(read, nodes, message):
    arrays = OF_SCALING | {
        "zero": np.zeros(1), "nan": np.array([np.nan, 1]), "three": np.ones(3), "column": np.ones((2, 1)),
        "empty": np.zeros(0), "tiny": np.array(1e-308), "huge": np.array(1e308),
    }  # fmt: skip
    with pytest.raises(ValueError, match=re.escape(message)):
        read(scaled(nodes, arrays=None if nodes[0][0] == "Scaler" else arrays))


def test_scaler_after_a_layer_is_refused(read):
    proto = scaled([("Gemm", "x W B", "s")], ("Scaler", "s", "y", SCALER[3]), dtype=np.float32)
    with pytest.raises(TypeError, match=r"'Scaler_1' \(Scaler\): it is no part of an activation"):
        read(proto)


# ---- Classifiers of two classes --------------------------------------------------------------------------------------


TWO_CLASSES = [
    ("Gemm", "x V c", "z"), ("Sigmoid", "z", "p"), ("Sub", "unity p", "q"), ("Concat", "q p", "y", {"axis": 1})
]  # fmt: skip
OF_CLASSES = {"V": W[:, :1], "c": B[:1], "unity": np.array(1.0)}


@pytest.mark.parametrize("has_bias", [True, False])
def test_probabilities_of_two_classes_are_a_softmax(read, has_bias):
    nodes = TWO_CLASSES if has_bias else [("MatMul", "x V", "z"), *TWO_CLASSES[1:]]
    net = read(model(*nodes, arrays=OF_CLASSES, n_out=2))
    p = 1 / (1 + np.exp(-X @ W[:, :1] - B[0] * has_bias))
    agree(net.predict(X), np.hstack([1 - p, p]))
    assert (net.layers[0].activation, net.layers[0].has_bias, net.loss) == ("softmax", has_bias, "cross_entropy")
    agree(read(model(*nodes, arrays=OF_CLASSES, n_out=2), output="p").predict(X), p)


@pytest.mark.parametrize(
    ("change", "node"),
    [
        ({3: ("Concat", "p q", "y", {"axis": 1})}, "Concat"),
        ({3: ("Concat", "q p", "y", {"axis": 0})}, "Concat"),
        ({2: ("Sub", "p unity", "q")}, "Sub"),
        ({2: ("Sub", "two p", "q")}, "Sub"),
        ({1: ("Tanh", "z", "p")}, "Sub"),
        ({0: ("Gemm", "x W B", "z")}, "Concat"),
    ],
)
def test_columns_that_are_no_probabilities_of_two_classes_are_refused(read, change, node):
    nodes = [change.get(k, each) for k, each in enumerate(TWO_CLASSES)]
    with pytest.raises(
        ValueError, match=rf"'p' goes to .*\({node}\).*: this is no chain .*; output='p' reads the graph"
    ):
        read(model(*nodes, arrays=OF_CLASSES | {"two": np.array(2.0)}, n_out=None))


#: The activation, its operator, and attributes that are those by default or say the same.
SINGLE = [
    ("relu", "Relu", {}), ("leaky_relu", "LeakyRelu", {}), ("leaky_relu", "LeakyRelu", {"alpha": 0.01}),
    ("elu", "Elu", {"alpha": 1.0}), ("selu", "Selu", {}), ("selu", "Selu", {"alpha": 1.67326, "gamma": 1.0507}),
    ("gelu", "Gelu", {}), ("gelu_tanh", "Gelu", {"approximate": "tanh"}), ("sigmoid", "Sigmoid", {}),
    ("tanh", "Tanh", {}), ("softplus", "Softplus", {}), ("mish", "Mish", {}), ("softmax", "Softmax", {}),
    ("softmax", "Softmax", {"axis": 1}), ("silu", "Swish", {}),
]  # fmt: skip


@pytest.mark.parametrize(("activation", "operator", "attributes"), SINGLE)
def test_operator_is_an_activation(read, activation, operator, attributes):
    opset = 24 if operator == "Swish" else 20
    if opset > onnx.defs.onnx_opset_version():
        pytest.skip("this version of onnx does not have the operator")
    proto = model(("Gemm", "x W B", "z"), (operator, "z", "y", attributes), opset=opset)
    if "gamma" in attributes:  # constants that are cut to some digits are others
        with pytest.raises(ValueError, match=r"node 'Selu_1' \(Selu\): it has .* its attributes must be alpha=1.67"):
            read(proto)
    else:
        assert read(proto).layers[0].activation == activation


def test_one_of_several_outputs_is_asked_for_by_its_name(read):
    other = helper.make_tensor_value_info("label", kinds.INT64, ["n", 1])
    proto = model(("Gemm", "x W B", "z"), ("Softmax", "z", "y"), ("ArgMax", "y", "label", {"axis": 1}))
    proto.graph.output.append(other)
    with pytest.raises(ValueError, match=re.escape("the graph has 2: ['y', 'label']; pass one as output")):
        read(proto)
    assert read(proto, output="y").layers[0].activation == "softmax"
    assert read(proto, output="z").layers[0].activation == "identity"
    with pytest.raises(TypeError, match=r"node 'ArgMax_2' \(ArgMax\): a network has no such operator"):
        read(proto, output="label")
    with pytest.raises(ValueError, match=re.escape("no node computes the output 'x'; the outputs of the graph are")):
        read(proto, output="x")
    with pytest.raises(TypeError, match="output must be the name of a value, a str, not int"):
        read(proto, output=1)


# ---- Composed activations --------------------------------------------------------------------------------------------


#: As PyTorch's newer exporter composes them, which needs a package more.
COMPOSED = {
    "gelu": [
        ("Div", "z root", "a"),
        ("Erf", "a", "b"),
        ("Add", "b one", "c"),
        ("Mul", "half c", "d"),
        ("Mul", "z d", "y"),
    ],
    "gelu_tanh": [
        ("Pow", "z three", "a"),
        ("Mul", "cubic a", "b"),
        ("Add", "z b", "c"),
        ("Mul", "c scale", "d"),
        ("Tanh", "d", "e"),
        ("Add", "one e", "f"),
        ("Mul", "half z", "g"),
        ("Mul", "g f", "y"),
    ],
    "softplus": [("Softplus", "z", "a"), ("Greater", "z twenty", "b"), ("Where", "b z a", "y")],
    "mish": [
        ("Softplus", "z", "a"),
        ("Greater", "z twenty", "b"),
        ("Where", "b z a", "c"),
        ("Tanh", "c", "d"),
        ("Mul", "z d", "y"),
    ],
}
NUMBERS = {
    "root": 2**0.5, "one": 1.0, "half": 0.5, "three": 3.0, "cubic": 0.044715,
    "scale": (2 / np.pi) ** 0.5, "twenty": 20.0
}  # fmt: skip


@pytest.mark.parametrize("activation", COMPOSED)
def test_composed_activation_is_recognised_by_its_nodes_and_its_numbers(read, activation):
    arrays = {name: np.array(value) for name, value in NUMBERS.items()}
    nodes = [("Gemm", "x W B", "z"), *COMPOSED[activation]]
    assert read(model(*nodes, arrays=arrays)).layers[0].activation == activation
    for name in {name for _, inputs, _ in COMPOSED[activation] for name in inputs.split()} & set(NUMBERS):
        with pytest.raises((ValueError, TypeError), match=r"is no chain of layers|no part of an activation"):
            read(model(*nodes, arrays=arrays | {name: np.array(NUMBERS[name] * 1.001)}))


# ---- What is refused -------------------------------------------------------------------------------------------------


GEMM = ("Gemm", "x W B", "z")
NODES = {
    "unknown": (
        [GEMM, ("Sin", "z", "y")],
        TypeError,
        "node 'Sin_1' (Sin): a network has no such operator; allowed are Gemm",
    ),
    "domain": (
        [GEMM, ("Relu", "z", "y", {"domain": "com.example"})],
        TypeError,
        "no such operator of the domain 'com.example'",
    ),
    "part": ([GEMM, ("Abs", "z", "y")], TypeError, "node 'Abs_1' (Abs): it is no part of an activation"),
    "before": (
        [("Relu", "x", "z"), ("Gemm", "z W B", "y")],
        ValueError,
        "'Relu_0' (Relu): a network begins with a Gemm",
    ),
    "two": ([GEMM, ("Relu", "z", "a"), ("Tanh", "a", "y")], ValueError, "has an activation already, relu"),
    "softmax": (
        [GEMM, ("Softmax", "z", "a"), ("MatMul", "a V", "y")],
        ValueError,
        "'MatMul_2' (MatMul): a Softmax comes before it",
    ),
    "axis": (
        [GEMM, ("Softmax", "z", "y", {"axis": 0})],
        ValueError,
        "it has axis=0; its attributes must be axis=-1 or axis=1",
    ),
    "alpha": (
        [GEMM, ("Elu", "z", "y", {"alpha": 0.5})],
        ValueError,
        "it has alpha=0.5; its attributes must be alpha=1.0",
    ),
    "slope": ([GEMM, ("LeakyRelu", "z", "y", {"alpha": 0.2})], ValueError, "its attributes must be alpha=0.01"),
    "no layer": ([("Identity", "x", "y")], ValueError, "the graph holds no Gemm and no MatMul"),
    "trans": ([("Gemm", "x W B", "y", {"transA": 1})], ValueError, "'Gemm_0' (Gemm): transA must be 0"),
    "wide": ([("Gemm", "x ragged", "y")], ValueError, "it takes 4 inputs, and what comes before it returns 2"),
    "chain": ([GEMM, ("MatMul", "z ragged", "y")], ValueError, "it takes 4 inputs, and what comes before it returns 3"),
    "left": ([("MatMul", "V x", "y")], ValueError, "the weight must be its second input, and 'x' its first"),
    "computed": (
        [GEMM, ("MatMul", "z z", "y")],
        ValueError,
        "its weight, input 1, must be an array that the file stores",
    ),
    "vector": ([("MatMul", "x pair", "y")], ValueError, "its weight has shape (2,); it must be (n_in, n_out)"),
    "bias": ([("Gemm", "x W three", "y")], ValueError, "its bias has shape (3, 1); it must be (3,) or (1, 3)"),
    "two biases": ([GEMM, ("Add", "z B", "y")], ValueError, "must come right after a MatMul without one"),
    "skip": (
        [GEMM, ("Relu", "z", "a"), ("Add", "z a", "y")],
        ValueError,
        "'z' goes to node 'Relu_1' (Relu), node 'Add_2' (Add)",
    ),
    "constant": ([("MatMul", "V V", "y")], ValueError, "the value 'x' goes to no node, and is not the output"),
    "nan": ([("MatMul", "x nan", "y")], ValueError, "its weight holds NaN or infinity; parameters must be finite"),
    "mixed": (
        [("Gemm", "x W single", "y")],
        ValueError,
        "its bias is of float32; parameters must all be float32, or all",
    ),
    "half": ([("MatMul", "x float16", "y")], ValueError, "its weight is of float16; parameters must all be float32"),
    "scaled": ([("Gemm", "x huge", "y", {"alpha": 3e38})], ValueError, "its parameters times alpha are not finite"),
    "cast": (
        [GEMM, ("Cast", "z", "y", {"to": kinds.FLOAT})],
        ValueError,
        "it casts to FLOAT; a cast must be to the parameters' dtype",
    ),
    "flatten": (
        [GEMM, ("Flatten", "z", "y", {"axis": 0})],
        ValueError,
        "axis must be 1, so that rows stay as they are",
    ),
    "reshape": ([GEMM, ("Reshape", "z shape", "y")], ValueError, "its shape is [-1, 1]; it must be [-1, 3]"),
    "training": ([GEMM, ("Dropout", "z ratio yes", "y")], ValueError, "training_mode must be false"),
    "cycle": (
        [("Add", "a B", "z"), ("Gemm", "z W", "a"), ("Relu", "a", "y")],
        ValueError,
        "'Add_0' (Add): no node before it computes its input 'a'",
    ),
    "twice": (
        [GEMM, ("Relu", "z", "z"), ("Tanh", "z", "y")],
        ValueError,
        "is no valid model in ONNX: Graph must be in single static",
    ),
}
ARRAYS = {
    "V": np.eye(3), "ragged": np.ones((4, 2)), "pair": np.ones(2),
    "three": np.ones((3, 1)), "nan": np.array([[1, np.nan]] * 2),
    "single": B.astype(np.float32), "float16": W.astype(np.float16), "huge": np.full((2, 3), 1e308),
    "shape": np.array([-1, 1]), "ratio": np.array(0.5), "yes": np.array(True),
}  # fmt: skip


@pytest.mark.parametrize(
    ("nodes", "output"),
    [
        ([GEMM, ("Tanh", "z", "a"), ("Sin", "a", "y")], "a"),
        ([GEMM, ("Tanh", "z", "a"), ("Relu", "a", "y")], "a"),
        ([GEMM, ("Tanh", "z", "a"), ("Reshape", "a shape", "y")], "a"),
        ([GEMM, ("Relu", "z", "a"), ("Add", "z a", "y")], "z"),
    ],
)
def test_refusal_names_the_output_up_to_which_the_graph_is_read(read, nodes, output):
    proto = model(*nodes, arrays=ARRAYS)
    with pytest.raises((TypeError, ValueError), match=rf"; output='{output}' reads the graph up to there$"):
        read(proto)
    assert len(read(proto, output=output).layers) == 1


def test_operator_of_shapes_elsewhere_is_refused(read):
    with pytest.raises(
        TypeError, match=r"'Squeeze_1' \(Squeeze\): a network has such an operator in what computes the"
    ):
        read(model(GEMM, ("Squeeze", "z", "y")))


@pytest.mark.parametrize("name", NODES)
def test_graph_that_is_no_network_is_refused_by_the_name_of_its_node(read, name):
    nodes, error, message = NODES[name]
    with pytest.raises(error, match=re.escape(message)):
        read(model(*nodes, arrays=ARRAYS))


def test_input_and_output_are_checked(read):
    gemm = ("Gemm", "x W B", "y")
    two = [helper.make_tensor_value_info(name, kinds.DOUBLE, ["n", 2]) for name in ("x", "more")]
    for options, message in [
        ({"inputs": two}, "a network has one input, and the graph has 2: ['x', 'more']"),
        ({"outputs": []}, "a network has one output, and the graph has 0: []"),
        (
            {"shape": ("n", 1, 2)},
            "'Gemm_0' (Gemm): the graph's input must have 2 axes, (n_samples, n_in), or be flattened",
        ),
        ({"shape": ("n", 7)}, "it takes 2 inputs, and what comes before it returns 7"),
        ({"n_out": 4}, "is no valid model in ONNX: [ShapeInferenceError]"),
        ({"opset": 6}, "is of opset 6; known are 7 to"),
        ({"opset": 999}, "is of opset 999; known are 7 to"),
    ]:
        with pytest.raises(ValueError, match=re.escape(message)):
            read(model(gemm, **options))


def test_old_models_that_list_parameters_among_the_inputs_are_read(read):
    inputs = [
        helper.make_tensor_value_info(name, kinds.DOUBLE, side) for name, side in (("x", ["n", 2]), ("W", [2, 3]))
    ]
    agree(read(model(("MatMul", "x W", "y"), inputs=inputs, opset=7)).predict(X), X @ W)


def test_damage_that_the_checker_takes_for_valid_is_refused_by_node(read):
    constant = model(("MatMul", "x W", "z"), ("Constant", "", "k", {"value_float": 1.0}), ("Add", "z k", "y"))
    del constant.graph.node[1].attribute[:]
    with pytest.raises(
        ValueError, match=r"'Constant_1' \(Constant\): it must hold numbers, not a value without content"
    ):
        read(constant)
    reference = model(("Gemm", "x W B", "y", {"alpha": 0.5}))
    reference.graph.node[0].attribute[0].ref_attr_name = "other"
    with pytest.raises(ValueError, match=r"'Gemm_0' \(Gemm\): its attribute 'alpha' is that of a function"):
        read(reference)


def test_several_opsets_are_refused(read):
    proto = model(("MatMul", "x W", "y"))
    proto.opset_import.add(domain="ai.onnx", version=9)
    with pytest.raises(ValueError, match=re.escape("is of several opsets, [13, 9], and must be of one")):
        read(proto)


def test_functions_sparse_tensors_and_graphs_within_are_refused(read):
    proto = model(("MatMul", "x W", "y"))
    proto.functions.add(name="f", domain="example")
    with pytest.raises(ValueError, match="holds functions of its own"):
        read(proto)
    proto = model(("MatMul", "x W", "y"))
    proto.graph.sparse_initializer.add()
    with pytest.raises(ValueError, match="holds sparse tensors"):
        read(proto)
    branch = helper.make_graph([], "branch", [], [helper.make_tensor_value_info("z", kinds.DOUBLE, None)])
    proto = model(
        ("MatMul", "x W", "z"), ("If", "yes", "y", {"then_branch": branch, "else_branch": branch}), arrays=ARRAYS
    )
    with pytest.raises(TypeError, match=r"'If_1' \(If\): a network has no such operator"):
        read(proto)


def test_names_that_are_given_twice_are_refused(read):
    for change, name in [
        (lambda graph: graph.initializer.append(graph.initializer[0]), "W initializer name is not unique"),
        (lambda graph: graph.input.append(graph.input[0]), "'x' has been used as graph input names multiple times"),
        (lambda graph: graph.initializer[0].dims.__setitem__(0, 2**62), "dimension product overflow"),
    ]:
        proto = model(("MatMul", "x W", "y"))
        change(proto.graph)
        with pytest.raises(ValueError, match=f"(?i)is no valid model in ONNX: .*{name}"):
            read(proto)


def test_many_layers_are_read(read):
    n = 2000
    nodes = [("Gemm", f"z{k} V", f"z{k + 1}") for k in range(1, n)]
    net = read(model(("Gemm", "x V", "z1"), *nodes, ("Identity", f"z{n}", "y"), arrays={"V": np.eye(2)}, n_out=2))
    assert len(net.layers) == n


def test_data_in_other_files_are_not_read(read, tmp_path):
    proto = model(("MatMul", "x W", "y"))
    (tmp_path / "data.bin").write_bytes(W.tobytes())
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = kinds.EXTERNAL
    tensor.external_data.add(key="location", value="data.bin")
    with pytest.raises(ValueError, match="tensor 'W' keeps its data in another file, which is not read") as caught:
        read(proto)
    path = tmp_path / "model.onnx"
    assert "onnx.save(onnx.load(path), path)" in str(caught.value)
    onnx.save(onnx.load(path), path)
    assert pn.from_onnx(path).layers[0].n_out == 3


def test_file_that_is_cut_anywhere_is_refused(read):
    whole = model(("Gemm", "x W B", "z"), ("Relu", "z", "y")).SerializeToString()
    assert len(read(whole).layers) == 1
    for length in range(len(whole)):
        with pytest.raises(ValueError, match=r"is no model in ONNX, or is truncated|is no valid model in ONNX"):
            read(whole[:length])


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip file", b"{}", bytes(1000), b"\x80\x05pickle"])
def test_file_of_another_format_is_refused(read, content):
    with pytest.raises(ValueError, match="is no model in ONNX, or is truncated"):
        read(content)


def test_tensor_with_too_few_data_is_refused(read):
    proto = model(("MatMul", "x W", "y"))
    proto.graph.initializer[0].dims[0] = 10**9
    with pytest.raises(ValueError, match="is no valid model in ONNX"):
        read(proto)


def test_damage_that_the_checker_lets_pass_is_refused(read):
    for change, message in [
        (
            lambda proto: setattr(proto.graph.initializer[0], "data_type", 99),
            "tensor 'Wt' is of no type that is known, or damaged: 99",
        ),
        (
            lambda proto: proto.graph.node[0].attribute[0].ints.append(7),
            "node 'Transpose_0' (Transpose): perm is [1, 0, 7]",
        ),
        (lambda proto: proto.graph.node[0].attribute[0].ints.pop(), "perm is [1], and its input has 2 axes"),
        (
            lambda proto: setattr(proto.graph.node[2].attribute[0], "i", 98),
            "casts to the unknown type 98; a cast must be",
        ),
    ]:
        arrays = {"Wt": np.ascontiguousarray(W.T)}
        proto = model(
            ("Transpose", "Wt", "U", {"perm": [1, 0]}),
            ("MatMul", "x U", "z"),
            ("Cast", "z", "y", {"to": kinds.DOUBLE}),
            arrays=arrays,
        )
        agree(read(proto).predict(X), X @ W)
        change(proto)
        with pytest.raises(ValueError, match=re.escape(message)):
            read(proto)


@pytest.mark.parametrize(
    ("before", "after", "error", "message"),
    [
        (b"Elu", b"E\xffu", TypeError, "a network has no such operator"),
        (b"alpha", b"al\xffha", ValueError, "is no valid model in ONNX"),
    ],
)
def test_names_that_are_no_text_are_refused(read, before, after, error, message):
    content = model(("MatMul", "x W", "z"), ("Elu", "z", "y", {"alpha": 1.0})).SerializeToString()
    assert before in content
    with pytest.raises(error, match=message):
        read(content.replace(before, after))


def test_file_that_is_too_large_is_refused_unread(tmp_path):
    path = tmp_path / "model.onnx"
    with path.open("wb") as file:
        file.truncate(2**31)  # without blocks on the disk
    with pytest.raises(ValueError, match="has 2147483648 bytes; a model in one file of ONNX has at most 2147483647"):
        pn.from_onnx(path)


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="needs a device that can be read without end")
def test_device_is_refused_unread():
    with pytest.raises(ValueError, match="'/dev/zero' is no regular file, but a pipe or a device"):
        pn.from_onnx("/dev/zero")


@pytest.mark.parametrize(("path", "error"), [("missing", FileNotFoundError), (".", IsADirectoryError), (3, TypeError)])
def test_path_that_cannot_be_read_is_refused(tmp_path, monkeypatch, path, error):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error):
        pn.from_onnx(path)
