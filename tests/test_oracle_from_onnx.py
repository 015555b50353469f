"""Networks from ONNX models: those that the project writes, others' by hand and from PyTorch, and what is refused."""

import io
import re
import warnings

import numpy as np
import pytest

import plainnet as pn

from random_networks import N_NETWORKS, data_for, random_network

onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'plainnet[onnx]'")
helper, kinds = onnx.helper, onnx.TensorProto

#: Of the largest output.
TOLERANCE = {"float64": 1e-12, "float32": 1e-6}


def agree(found, expected):
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    assert np.abs(found - expected).max() <= TOLERANCE[expected.dtype.name] * np.abs(expected).max()


@pytest.mark.parametrize("seed", range(N_NETWORKS))
def test_random_network_comes_back(tmp_path, seed):
    net, path = random_network(seed), tmp_path / "model.onnx"
    net.to_onnx(path)
    again = pn.from_onnx(path)
    assert again.dtype == net.dtype
    assert [(layer.n_in, layer.n_out, layer.activation, layer.has_bias) for layer in again.layers] == [
        (layer.n_in, layer.n_out, layer.activation, layer.has_bias) for layer in net.layers
    ]
    np.testing.assert_array_equal(again.parameters, net.parameters)
    x, _ = data_for(net, seed)
    agree(again.predict(x), net.predict(x))


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


# ---- PyTorch's exporter ----------------------------------------------------------------------------------------------


TORCH = {
    "relu": ("ReLU", {}), "leaky_relu": ("LeakyReLU", {}), "elu": ("ELU", {}), "selu": ("SELU", {}),
    "gelu": ("GELU", {}), "gelu_tanh": ("GELU", {"approximate": "tanh"}), "silu": ("SiLU", {}), "mish": ("Mish", {}),
    "softplus": ("Softplus", {}), "sigmoid": ("Sigmoid", {}), "tanh": ("Tanh", {}), "identity": ("Identity", {}),
    "softmax": ("Softmax", {"dim": 1}),
}  # fmt: skip


@pytest.mark.parametrize("opset", [9, 13, 20])
@pytest.mark.parametrize("activation", TORCH)
def test_model_that_pytorch_exports_is_read(read, activation, opset, dtype):
    torch = pytest.importorskip("torch", reason="the oracle is PyTorch, which is not installed")
    nn, name = torch.nn, np.dtype(dtype).name
    kind, settings = TORCH[activation]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.Flatten(),
            nn.Linear(4, 5),
            nn.Tanh(),
            nn.Dropout(0.5),
            nn.Linear(5, 5, bias=False),
            getattr(nn, kind)(**settings),
        )
    module.to(getattr(torch, name)).eval()
    x = torch.linspace(-3, 3, 24, dtype=getattr(torch, name)).reshape(6, 2, 2)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch, about its own exporters
        torch.onnx.export(module, (x,), file, opset_version=opset, dynamo=False)
    net = read(file.getvalue())
    assert [layer.activation for layer in net.layers] == ["tanh", activation]
    agree(net.predict(x.reshape(6, 4).numpy()), module(x).detach().numpy())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of PyTorch, about its own exporters
@pytest.mark.parametrize("activation", TORCH)
def test_model_of_pytorchs_newer_exporter_is_read(read, tmp_path, activation):
    torch = pytest.importorskip("torch", reason="the oracle is PyTorch, which is not installed")
    pytest.importorskip("onnxscript", reason="PyTorch's newer exporter needs onnxscript, which is not installed")
    kind, settings = TORCH[activation]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(4, 5), getattr(torch.nn, kind)(**settings)
        ).eval()
    x = torch.linspace(-3, 3, 24).reshape(6, 2, 2)
    for shapes in None, ({0: torch.export.Dim("n")},):
        path = tmp_path / "torch.onnx"
        torch.onnx.export(module, (x,), path, dynamo=True, dynamic_shapes=shapes, external_data=False, verbose=False)
        net = read(path.read_bytes())
        assert net.layers[0].activation == activation
        agree(net.predict(x.reshape(6, 4).numpy()), module(x).detach().numpy())


# ---- skl2onnx --------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")  # of training that is cut short
@pytest.mark.parametrize(
    ("n_classes", "output"), [(None, None), (2, "out_activations_result"), (3, "out_activations_result")]
)
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_model_that_skl2onnx_makes_is_read(read, activation, n_classes, output, dtype):
    networks = pytest.importorskip("sklearn.neural_network", reason="needs scikit-learn")
    skl2onnx = pytest.importorskip("skl2onnx", reason="needs skl2onnx, which is not installed")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4)).astype(dtype)
    settings = {"hidden_layer_sizes": (5, 3), "activation": activation, "max_iter": 5, "random_state": 0}
    if n_classes is None:
        estimator = networks.MLPRegressor(**settings).fit(x, x[:, 0])
        expected = estimator.predict(x)[:, None]
    else:
        estimator = networks.MLPClassifier(**settings).fit(x, np.arange(60) % n_classes)
        expected = estimator.predict_proba(x)[:, -1:] if n_classes == 2 else estimator.predict_proba(x)
    net = read(skl2onnx.to_onnx(estimator, x[:1]), output=output)
    assert net.dtype == dtype
    agree(net.predict(x), expected.astype(dtype))


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


def test_data_in_other_files_are_not_read(read, tmp_path):
    proto = model(("MatMul", "x W", "y"))
    (tmp_path / "data.bin").write_bytes(W.tobytes())
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = kinds.EXTERNAL
    tensor.external_data.add(key="location", value="data.bin")
    with pytest.raises(ValueError, match="tensor 'W' keeps its data in another file, which is not read"):
        read(proto)


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


@pytest.mark.parametrize(("path", "error"), [("missing", FileNotFoundError), (".", IsADirectoryError), (3, TypeError)])
def test_path_that_cannot_be_read_is_refused(tmp_path, monkeypatch, path, error):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error):
        pn.from_onnx(path)
