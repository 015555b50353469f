"""Networks from ONNX models that others make: PyTorch, skl2onnx and Keras, where they are installed."""

import io
import warnings

import numpy as np
import pytest

import plainnet as pn

from onnx_graphs import agree, model


@pytest.fixture
def read(tmp_path):
    def read(proto, **options):
        path = tmp_path / "model.onnx"
        path.write_bytes(proto if isinstance(proto, bytes) else proto.SerializeToString())
        return pn.from_onnx(path, **options)

    return read


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
    if n_classes:
        proto = skl2onnx.to_onnx(estimator, x[:1], options={"zipmap": False})
        agree(read(proto, output="probabilities").predict(x), estimator.predict_proba(x).astype(dtype))


@pytest.mark.filterwarnings("ignore")  # of training that is cut short
def test_refusals_of_what_skl2onnx_makes_say_what_to_do(read):
    """A regressor's outputs become one column there, and maps of classes are no network."""
    networks = pytest.importorskip("sklearn.neural_network", reason="needs scikit-learn")
    skl2onnx = pytest.importorskip("skl2onnx", reason="needs skl2onnx, which is not installed")
    x = np.random.default_rng(0).normal(size=(60, 4))
    settings = {"hidden_layer_sizes": (5,), "max_iter": 5, "random_state": 0}
    regressor = networks.MLPRegressor(**settings).fit(x, x[:, :2])
    proto = skl2onnx.to_onnx(regressor, x[:1])
    with pytest.raises(
        ValueError, match=r"'Reshape' \(Reshape\): its shape is \[-1, 1\].*; output='add_result1' reads"
    ):
        read(proto)
    agree(read(proto, output="add_result1").predict(x), regressor.predict(x))
    classifier = networks.MLPClassifier(**settings).fit(x, np.arange(60) % 2)
    proto = skl2onnx.to_onnx(classifier, x[:1])
    with pytest.raises(TypeError, match=r"'ZipMap' \(ZipMap\): .*; output='probabilities' reads the graph up to there"):
        read(proto, output="output_probability")


@pytest.mark.filterwarnings("ignore")  # of training that is cut short
@pytest.mark.parametrize("scalers", [["StandardScaler"], ["MinMaxScaler"], ["MinMaxScaler", "StandardScaler"]])
def test_pipeline_that_skl2onnx_makes_is_read_as_one_network(read, scalers, dtype):
    networks = pytest.importorskip("sklearn.neural_network", reason="needs scikit-learn")
    from sklearn import pipeline, preprocessing

    skl2onnx = pytest.importorskip("skl2onnx", reason="needs skl2onnx, which is not installed")
    x = np.random.default_rng(0).normal(1, 2, size=(60, 4)).astype(dtype)
    regressor = networks.MLPRegressor(hidden_layer_sizes=(5,), max_iter=5, random_state=0)
    steps = [getattr(preprocessing, name)() for name in scalers]
    whole = pipeline.make_pipeline(*steps, regressor).fit(x, x[:, 0])
    net = read(skl2onnx.to_onnx(whole, x[:1]))
    assert net.dtype == dtype
    rtol = {"float32": 1e-5, "float64": 1e-13}[net.dtype.name]  # rounding grows with the mean in units of the scale
    expected = whole.predict(x)[:, np.newaxis]
    assert np.abs(net.predict(x) - expected).max() <= rtol * np.abs(expected).max()


# ---- Keras -----------------------------------------------------------------------------------------------------------


KERAS = {
    "identity": "linear", "sigmoid": "sigmoid", "tanh": "tanh", "relu": "relu", "leaky_relu": ("leaky_relu", 0.01),
    "elu": "elu", "selu": "selu", "gelu": ("gelu", False), "gelu_tanh": ("gelu", True), "silu": "silu", "mish": "mish",
    "softplus": "softplus", "softmax": "softmax",
}  # fmt: skip
KERAS_LAYERS = {
    "relu": ("ReLU", {}), "leaky_relu": ("LeakyReLU", {"negative_slope": 0.01}), "elu": ("ELU", {}),
    "softmax": ("Softmax", {}),
}  # fmt: skip


@pytest.fixture(scope="module")
def keras(tmp_path_factory):
    """Keras on PyTorch, which it is told before it is imported; it writes its settings into a folder."""
    pytest.importorskip("torch", reason="Keras exports by PyTorch, which is not installed")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setenv("KERAS_BACKEND", "torch")
        patch.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras")))
        return pytest.importorskip("keras", reason="the oracle is Keras, which is not installed")


@pytest.mark.filterwarnings("ignore")  # of PyTorch, by which Keras exports
@pytest.mark.parametrize("form", ["argument", "layer"])
@pytest.mark.parametrize("activation", KERAS)
def test_model_that_keras_exports_is_read(read, keras, tmp_path, activation, form):
    named, layers = KERAS[activation], keras.layers
    if form == "layer" and activation in KERAS_LAYERS:
        kind, settings = KERAS_LAYERS[activation]
        last = [layers.Dense(5), getattr(layers, kind)(**settings)]
    else:
        function = named
        if isinstance(named, tuple):
            function = lambda z: getattr(keras.activations, named[0])(z, named[1])
        last = [layers.Dense(5, activation=function)]
        if form == "layer":
            last = [layers.Dense(5), layers.Activation(function)]
    hidden = [layers.Dense(4, activation="tanh", use_bias=False), layers.Dropout(0.5)]
    whole = keras.Sequential([keras.Input((2, 2)), layers.Flatten(), *hidden, *last])
    rng = np.random.default_rng(0)
    whole.set_weights([rng.normal(size=array.shape) for array in whole.get_weights()])
    x = rng.normal(size=(6, 2, 2)).astype(np.float32)
    expected = whole(x).detach().numpy()
    whole.export(tmp_path / "keras.onnx", format="onnx", verbose=False)
    net = read((tmp_path / "keras.onnx").read_bytes())
    assert [(layer.activation, layer.has_bias) for layer in net.layers] == [("tanh", False), (activation, True)]
    agree(net.predict(x.reshape(6, 4)), expected)


@pytest.mark.filterwarnings("ignore")  # of PyTorch, by which Keras exports
def test_model_of_keras_that_scales_pictures_is_read(read, keras, tmp_path):
    layers = keras.layers
    whole = keras.Sequential(
        [keras.Input((2, 3)), layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(4, activation="softmax")]
    )
    x = np.random.default_rng(0).integers(0, 256, (5, 2, 3)).astype(np.float32)
    expected = whole(x).detach().numpy()
    whole.export(tmp_path / "keras.onnx", format="onnx", verbose=False)
    net = read((tmp_path / "keras.onnx").read_bytes())
    assert [layer.activation for layer in net.layers] == ["softmax"]
    agree(net.predict(x.reshape(5, 6)), expected)


#: What tf2onnx, by which Keras exports on TensorFlow, makes of activations that are no operator; names are shortened.
TF2ONNX = {
    "silu": [("Sigmoid", "z", "dense/Sigmoid:0"), ("Mul", "z dense/Sigmoid:0", "y")],
    "mish": [("Softplus", "z", "d/Softplus:0"), ("Tanh", "d/Softplus:0", "d/Tanh:0"), ("Mul", "z d/Tanh:0", "y")],
    "gelu_tanh": [
        ("Mul", "Gelu/mul/x:0 z", "Gelu/mul:0"),
        ("Pow", "z Gelu/Pow/y:0", "Gelu/Pow:0"),
        ("Mul", "Gelu/Cast/x:0 Gelu/Pow:0", "Gelu/mul_1:0"),
        ("Add", "z Gelu/mul_1:0", "Gelu/add:0"),
        ("Mul", "Gelu/mul_2/x:0 Gelu/add:0", "Gelu/mul_2:0"),
        ("Tanh", "Gelu/mul_2:0", "Gelu/Tanh:0"),
        ("Add", "Gelu/add_1/x:0 Gelu/Tanh:0", "Gelu/add_1:0"),
        ("Mul", "Gelu/mul:0 Gelu/add_1:0", "y"),
    ],
}
TF2ONNX_ARRAYS = {
    "flatten/Reshape_shape__247": np.array([-1, 2]), "Gelu/mul_2/x:0": np.float32(0.7978846),
    "Gelu/mul/x:0": np.float32(0.5), "Gelu/add_1/x:0": np.float32(1), "Gelu/Pow/y:0": np.float32(3),
    "Gelu/Cast/x:0": np.float32(0.044715),
}  # fmt: skip


@pytest.mark.parametrize("activation", TF2ONNX)
def test_graph_that_tf2onnx_makes_of_keras_is_read(read, activation):
    nodes = [
        ("Reshape", "x flatten/Reshape_shape__247", "flatten/Reshape:0"),
        ("MatMul", "flatten/Reshape:0 W", "dense/MatMul:0"), ("Add", "dense/MatMul:0 B", "z"), *TF2ONNX[activation],
    ]  # fmt: skip
    arrays = {name: np.asarray(array) for name, array in TF2ONNX_ARRAYS.items()}
    proto = model(*nodes, arrays=arrays, shape=("n", 1, 2), opset=15, dtype=np.float32)
    proto.opset_import.add(domain="ai.onnx.ml", version=2)
    assert [layer.activation for layer in read(proto).layers] == [activation]
