"""net.save and pn.load: what is in a file, what comes back, and every error of a file that is not as it should be."""

import io
import json
import os
import pickle
import re
import threading
import zlib

import numpy as np
import pytest
import safetensors
import safetensors.numpy

import plainnet as pn
from plainnet.files import _read

import fuzz_model_file

S = pn.schedules
OPTIMIZERS = {
    "SGD": pn.SGD(0.1), "momentum": pn.SGD(S.step(0.1, 3), momentum=0.9, nesterov=True, clip_value=1),
    "RMSprop": pn.RMSprop(1e-3, centered=True, momentum=0.5), "Adagrad": pn.Adagrad(initial_accumulator_value=0.1),
    "Adam": pn.Adam(S.linear_warmup(4, S.cosine(0.1, 40, minimum=1e-5)), amsgrad=True, clip_norm=2.5),
    "AdamW": pn.AdamW(S.one_cycle(0.1, 100), betas=(0.8, 0.99)), "Rprop": pn.Rprop(S.exponential(0.01, 0.999)),
}  # fmt: skip
LOSSES = ["mean_squared_error", "huber", pn.Huber(0.3), pn.Quantile(0.9), pn.CrossEntropy(0.1), "log_loss"]


def make(optimizer=OPTIMIZERS["Adam"], dtype="float64", loss="mean_squared_error", backend="c", epochs=2):
    last = {"log_loss": "sigmoid", pn.CrossEntropy(0.1): "softmax"}.get(loss, "identity")
    layers = [pn.Dense(3, 4, "gelu", dropout=0.25, l2=1e-3, max_norm=3.5), pn.Dense(4, 2, last, bias=False)]
    net = pn.Network(layers, loss=loss, seed=5, dtype=dtype, backend=backend, optimizer=optimizer)
    x, y = data()
    net.fit(x, y, epochs=epochs, batch_size=7)
    return net


def data():
    x = np.random.default_rng(1).normal(size=(20, 3))
    y = (x[:, :2] > 0).astype(float)
    y[:, 1] = 1 - y[:, 0]
    return x, y


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def saved(path, net=None, **options):
    """The bytes of the file of `net`, or of a small network."""
    (make(epochs=0) if net is None else net).save(path, **options)
    return path.read_bytes()


def divided(content):
    """The metadata, the description, the tensors' header, and the data, of a file's bytes."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    metadata = header.pop("__metadata__")
    return metadata, json.loads(metadata["plainnet"]), header, content[8 + length :]


def joined(description, header, data, **metadata):
    """A file without a checksum, as other software may write it."""
    description = {name: value for name, value in description.items() if name != "checksum"}
    text = json.dumps({"__metadata__": {"plainnet": json.dumps(description), **metadata}, **header}).encode()
    return len(text).to_bytes(8, "little") + text + data


# ---- What comes back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_save_with_training_and_load_gives_an_equal_network(path, backend, dtype, name):
    net = make(OPTIMIZERS[name], dtype, backend=backend)
    net.save(path, training=True)
    twin = pn.load(path, backend=backend)
    assert pickle.dumps(twin) == pickle.dumps(net)
    assert twin.optimizer == net.optimizer
    x, y = data()
    np.testing.assert_array_equal(twin.fit(x, y, 3, batch_size=7).loss, net.fit(x, y, 3, batch_size=7).loss)
    np.testing.assert_array_equal(twin.parameters, net.parameters)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_save_and_load_give_the_model_without_its_training(path, backend, dtype, loss):
    net = make(dtype=dtype, loss=loss, backend=backend)
    net.save(path)
    twin = pn.load(path, backend=backend)
    x, y = data()
    assert repr(twin) == repr(net)
    assert type(twin.loss) is type(net.loss)
    np.testing.assert_array_equal(twin.predict(x), net.predict(x))
    assert twin.loss_and_gradient(x, y)[0] == net.loss_and_gradient(x, y)[0]
    assert twin.optimizer == pn.SGD(0.1)
    assert twin.epochs_trained == 0
    again = pn.load(path, backend=backend)
    np.testing.assert_array_equal(twin.fit(x, y, 2, batch_size=7).loss, again.fit(x, y, 2, batch_size=7).loss)


def test_load_takes_either_backend_and_both_compute_with_the_same_parameters(path):
    net = make()
    net.save(path)
    twins = [pn.load(path, backend) for backend in ("c", "numpy")]
    assert [twin.backend for twin in twins] == ["c", "numpy"]
    for twin in twins:
        np.testing.assert_array_equal(twin.parameters, net.parameters)


def test_saving_twice_gives_the_same_bytes(path):
    net = make()
    first = saved(path, net, training=True)
    assert saved(path, pn.load(path), training=True) == first


def test_attributes_of_users_are_not_saved(path):
    class Named(pn.Network):
        pass

    net = Named([pn.Dense(1, 1)], seed=0)
    net.title = "a title"
    net.save(path, training=True)
    twin = pn.load(path)
    assert type(twin) is pn.Network
    assert not hasattr(twin, "title")
    assert b"a title" not in path.read_bytes()


@pytest.mark.parametrize("kind", [str, os.fsencode, lambda path: path])
def test_paths_are_strings_bytes_or_objects(path, kind):
    net = make()
    net.save(kind(path))
    np.testing.assert_array_equal(pn.load(kind(path)).parameters, net.parameters)


def test_extreme_numbers_come_back(path, dtype):
    net = pn.Network([pn.Dense(2, 2)], seed=0, dtype=dtype, optimizer=pn.SGD(0.1, weight_decay=1 / 3))
    limits = np.finfo(dtype)
    net.parameters = [limits.max, -limits.tiny, limits.smallest_subnormal, -0.0, limits.eps, limits.min]
    net._shuffle_seed, net.epochs_trained = 2**64 - 1, 2**40
    net.save(path, training=True)
    twin = pn.load(path)
    assert twin.parameters.tobytes() == net.parameters.tobytes()
    assert pickle.dumps(twin) == pickle.dumps(net)


# ---- What other software sees and writes -----------------------------------------------------------------------------


def test_safetensors_opens_the_file(path, dtype):
    net = make(dtype=dtype)
    net.save(path, training=True)
    tensors = safetensors.numpy.load_file(path)
    names = ["layers.0.weight", "layers.0.bias", "layers.1.weight"]
    assert set(tensors) == {
        f"{prefix}{name}" for prefix in ("", *(f"optimizer.{k}." for k in range(3))) for name in names
    }
    for name in names:
        _, k, kind = name.split(".")
        np.testing.assert_array_equal(tensors[name], getattr(net.layers[int(k)], kind), strict=True)
    for slot in range(3):
        kept = [tensors[f"optimizer.{slot}.{name}"].ravel() for name in names]
        np.testing.assert_array_equal(np.concatenate(kept), net._optimizer[1][slot])


def test_description_is_what_the_documentation_says(path):
    _, description, header, content = divided(saved(path, make(pn.SGD(0.1), "float32"), training=True))
    assert description.pop("checksum") == re.search(rb'checksum\\":\\"(.{8})', path.read_bytes()).group(1).decode()
    seed = description["training"].pop("seed")
    assert seed.isdigit()
    assert description == {
        "format_version": 1,
        "dtype": "float32",
        "layers": [
            {"n_in": 3, "n_out": 4, "activation": "gelu", "bias": True, "dropout": 0.25, "l2": 1e-3, "max_norm": 3.5},
            {"n_in": 4, "n_out": 2, "activation": "identity", "bias": False},
        ],
        "loss": {"name": "mean_squared_error"},
        "training": {
            "optimizer": {
                "name": "SGD", "learning_rate": 0.1, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0,
                "clip_norm": None, "clip_value": None,
            },
            "steps": 6, "epochs_trained": 2, "begun": None,
        },
    }  # fmt: skip
    assert header["layers.0.weight"] == {"dtype": "F32", "shape": [3, 4], "data_offsets": [16, 64]}
    assert len(content) == 4 * (12 + 4 + 8)


def test_checksum_is_the_crc_of_the_file_with_zeros_in_its_place(path):
    content = saved(path)
    digits = re.search(rb'checksum\\":\\"(.{8})', content).group(1)
    assert int(digits, 16) == zlib.crc32(content.replace(digits, b"00000000"))


def test_numbers_are_little_endian_whatever_the_machine(path):
    net = pn.Network([pn.Dense(1, 1, bias=False)], init=[1.5], dtype="float32")
    assert saved(path, net)[-4:] == bytes.fromhex("0000c03f")


def test_files_of_safetensors_own_writer_are_read(path):
    """A user of another library has trained the parameters: a description without a checksum is all that it takes."""
    rng = np.random.default_rng(3)
    weights = [rng.normal(size=(4, 3)).astype(np.float32), rng.normal(size=(2, 4)).astype(np.float32)]  # (n_out, n_in)
    biases = [rng.normal(size=4).astype(np.float32), rng.normal(size=2).astype(np.float32)]
    tensors = {}
    for k in range(2):
        tensors[f"layers.{k}.weight"] = np.ascontiguousarray(weights[k].T)
        tensors[f"layers.{k}.bias"] = biases[k]
    description = {
        "format_version": 1,
        "dtype": "float32",
        "layers": [
            {"n_in": 3, "n_out": 4, "activation": "tanh", "bias": True},
            {"n_in": 4, "n_out": 2, "activation": "identity", "bias": True},
        ],
        "loss": {"name": "mean_squared_error"},
    }
    safetensors.numpy.save_file(tensors, path, {"plainnet": json.dumps(description, indent=2), "format": "pt"})
    net = pn.load(path)
    x = rng.normal(size=(5, 3)).astype(np.float32)
    expected = np.tanh(x @ weights[0].T + biases[0]) @ weights[1].T + biases[1]
    np.testing.assert_allclose(net.predict(x), expected, rtol=1e-5, atol=1e-6)  # a few roundings of float32


def test_changed_tensors_are_read_once_the_checksum_is_left_out(path):
    net = make()
    net.save(path)
    with safetensors.safe_open(path, "numpy") as file:
        text, tensors = file.metadata()["plainnet"], {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    tensors["layers.0.bias"] = tensors["layers.0.bias"] + 1
    safetensors.numpy.save_file(tensors, path, {"plainnet": text})
    with pytest.raises(pn.ModelFormatError, match="checksum"):
        pn.load(path)
    description = json.loads(text)
    del description["checksum"]
    safetensors.numpy.save_file(tensors, path, {"plainnet": json.dumps(description)})
    np.testing.assert_array_equal(pn.load(path).layers[0].bias, net.layers[0].bias + 1)


def test_tensors_may_lie_in_any_order(path):
    net = make()
    _, description, header, content = divided(saved(path, net, training=True))
    reordered, moved = {}, b""
    for name in sorted(header, reverse=True):
        begin, end = header[name]["data_offsets"]
        reordered[name] = {**header[name], "data_offsets": [len(moved), len(moved) + end - begin]}
        moved += content[begin:end]
    path.write_bytes(joined(description, reordered, moved))
    assert pickle.dumps(pn.load(path)) == pickle.dumps(net)


# ---- What is refused while saving ------------------------------------------------------------------------------------


def halved(step):
    return 0.1 / 2**step


@pytest.mark.parametrize("rate", [halved, S.linear_warmup(5, halved)])
def test_functions_of_users_cannot_be_saved_and_the_error_says_what_to_do(path, rate):
    net = make(pn.Adam(rate))
    with pytest.raises(ValueError, match=r"learning_rate is .*pn\.schedules.*to fit.*training=False"):
        net.save(path, training=True)
    assert not path.exists()
    net.save(path)
    assert pn.load(path).optimizer == pn.SGD(0.1)


def test_schedules_may_be_nested_as_deep_as_they_can_be_read(path):
    rate = 0.1
    for _ in range(17):
        rate = S.linear_warmup(2, rate)
        net = pn.Network([pn.Dense(1, 1)], seed=0, optimizer=pn.SGD(rate))
        net.save(path, training=True)
        assert pn.load(path).optimizer == net.optimizer
    net.optimizer = pn.SGD(S.linear_warmup(2, rate))
    with pytest.raises(ValueError, match="a schedule in more than 16 others"):
        net.save(path, training=True)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_parameters_that_are_not_finite_are_refused_unless_asked_for(path, backend, dtype, value):
    net = make(dtype=dtype, backend=backend)
    before = saved(path, net)
    net.layers[1].weight[2, 1] = value
    with pytest.raises(ValueError, match=r"layers\.1\.weight holds -?(nan|inf) \(row 2, column 1\)"):
        net.save(path)
    assert path.read_bytes() == before
    for training in False, True:
        net.save(path, training, allow_nonfinite=True)
        with pytest.raises(
            pn.ModelFormatError, match=r"layers\.1\.weight holds -?(nan|inf) \(row 2, column 1\).*allow"
        ):
            pn.load(path, backend)
        twin = pn.load(path, backend, allow_nonfinite=True)
        assert twin.parameters.tobytes() == net.parameters.tobytes()


def test_a_kept_state_that_is_not_finite_is_refused_always(path):
    _, description, header, content = divided(saved(path, make(), training=True))
    begin, _ = header["optimizer.1.layers.0.weight"]["data_offsets"]
    path.write_bytes(joined(description, header, content[:begin] + b"\xff" * 8 + content[begin + 8 :]))
    for allow in False, True:
        with pytest.raises(
            pn.ModelFormatError, match=r"optimizer\.1\.layers\.0\.weight holds nan \(row 0, column 0\): what an"
        ):
            pn.load(path, allow_nonfinite=allow)


def test_a_state_that_another_thread_is_changing_is_not_saved(path):
    net, errors = make(), []
    train = net._model.train

    def save():
        try:
            net.save(path, training=True)
        except RuntimeError as error:
            errors.append(str(error))

    def train_and_save(*arguments):
        thread = threading.Thread(target=save)
        thread.start()
        thread.join()
        train(*arguments)

    net._model.train = train_and_save
    net.fit(*data(), batch_size=7)
    assert errors == ["another thread is training the network: its state of training cannot be saved meanwhile"]
    assert not path.exists()
    net.save(path, training=True)
    assert path.exists()


@pytest.mark.parametrize("argument", ["training", "allow_nonfinite"])
def test_switches_are_checked(path, argument):
    with pytest.raises(TypeError, match=argument):
        make().save(path, **{argument: "yes"})
    assert not path.exists()


@pytest.mark.parametrize("call", [lambda path: make().save(path), pn.load])
@pytest.mark.parametrize("path", [3, None, ["a"]])
def test_what_is_no_path_is_refused(call, path):
    with pytest.raises(TypeError, match=r"str, bytes or os\.PathLike"):
        call(path)


def test_load_checks_its_arguments_before_the_file(tmp_path):
    with pytest.raises(ValueError, match="unknown backend 'torch'; allowed are 'c', 'numpy'"):
        pn.load(tmp_path / "none", backend="torch")
    with pytest.raises(TypeError, match="allow_nonfinite"):
        pn.load(tmp_path / "none", allow_nonfinite="no")


# ---- What is refused while loading -----------------------------------------------------------------------------------


def test_load_keeps_the_errors_of_open(tmp_path):
    with pytest.raises(FileNotFoundError):
        pn.load(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        pn.load(tmp_path)
    assert not issubclass(pn.ModelFormatError, OSError)
    assert issubclass(pn.ModelFormatError, ValueError)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "0 bytes"),
        (b"1234567", "7 bytes"),
        ((9).to_bytes(8, "little") + b"{}", "9 bytes"),
        (b"\xff" * 8, f"{2**64 - 1} bytes"),
        (b"\x80\x04\x95" + b"\0" * 100, "header"),
        ((2).to_bytes(8, "little") + b"{]", "not valid JSON"),
        ((2).to_bytes(8, "little") + b"[]", "does not begin with {"),
        ((3).to_bytes(8, "little") + b" {}", "does not begin with {"),
        ((3).to_bytes(8, "little") + b"{}\0", "not valid JSON"),
        ((2).to_bytes(8, "little") + b"\xff\xff", "not valid JSON"),
        ((2).to_bytes(8, "little") + b"{}", "no entry 'plainnet'"),
        ((2).to_bytes(8, "little") + b"{}1", "1 follow"),
    ],
)
def test_files_of_other_kinds_are_refused(path, content, words):
    path.write_bytes(content)
    with pytest.raises(pn.ModelFormatError, match=words) as caught:
        pn.load(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_tensors_of_another_library_are_said_to_be_no_network(path):
    safetensors.numpy.save_file({"0.weight": np.zeros((2, 3), np.float32)}, path, {"format": "pt"})
    with pytest.raises(pn.ModelFormatError, match="no entry 'plainnet': it holds tensors, but not a network"):
        pn.load(path)


def test_a_newer_format_is_said_to_be_newer(path):
    _, description, header, content = divided(saved(path))
    path.write_bytes(joined({**description, "format_version": 2, "new": 1}, header, content))
    with pytest.raises(pn.ModelFormatError, match=r"format_version 2, and this version of plainnet reads 1 .* newer"):
        pn.load(path)


@pytest.mark.parametrize("version", [0, -1, 1.0, "1", True, None, []])
def test_wrong_versions_are_refused(path, version):
    _, description, header, content = divided(saved(path))
    path.write_bytes(joined({**description, "format_version": version}, header, content))
    with pytest.raises(pn.ModelFormatError, match="format_version"):
        pn.load(path)


DEEP = b"[" * 100_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b'{"a":1,"a":1}', "two members of the name 'a'"),
        (b'{"__metadata__":{"a":"1","a":"2"}}', "two members"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":-Infinity}', "-Infinity"),
        (b'{"a":1e999}', "too large"),
        (b'{"a":' + b"9" * 5000 + b"}", "more than 20"),
        (b'{"a":' + DEEP, "deeper than 32"),
        (b'{"a":"[[", "b":' + b'{"a":' * 100_000, "deeper than 32"),
        (b'{"a":{"dtype":"F64","shape":[1]}}', "'a' is not an object with"),
        (b'{"a":{"dtype":"F64","shape":[],"data_offsets":[0,8],"more":1}}', "'a' is not an object with"),
        (b'{"a":{"dtype":"F16","shape":[4],"data_offsets":[0,8]}}', "dtype 'F16'"),
        (b'{"a":{"dtype":["F64"],"shape":[1],"data_offsets":[0,8]}}', "dtype"),
        (b'{"a":{"dtype":"F64","shape":[1.0],"data_offsets":[0,8]}}', "integers"),
        (b'{"a":{"dtype":"F64","shape":[true],"data_offsets":[0,8]}}', "integers"),
        (b'{"a":{"dtype":"F64","shape":[-1],"data_offsets":[8,0]}}', "integers"),
        (b'{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8,8]}}', "integers"),
        (b'{"a":{"dtype":"F64","shape":[2],"data_offsets":[0,8]}}', "does not take bytes 0 to 8"),
        (b'{"a":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,0]}}', "does not take bytes 0 to 0"),
        (b'{"a":{"dtype":"F64","shape":[1],"data_offsets":[8,16]}}', "begins at byte 8"),
        (b'{"a":{"dtype":"F64","shape":[9],"data_offsets":[0,72]}}', "take 72 bytes, but 8"),
        (
            b'{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},"b":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}',
            "'b' begins at byte 0, but tensor 'a' ends at 8",
        ),
        (b'{"__metadata__":{"a":1}}', "strings"),
        (b'{"__metadata__":[]}', "__metadata__"),
    ],
)  # fmt: skip
def test_wrong_headers_are_refused(path, text, words):
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(8))
    with pytest.raises(pn.ModelFormatError, match=words):
        pn.load(path)


def changed(value, keys, new):
    """`value`, with `new` in the place that `keys` lead to; nothing is there if `new` is ..."""
    key, *rest = keys
    value = list(value) if isinstance(value, list) else dict(value)
    if rest:
        value[key] = changed(value[key], rest, new)
    elif new is ...:
        del value[key]
    else:
        value[key] = new
    return value


OPTIMIZER, BEGUN = ["training", "optimizer"], ["training", "begun"]
DESCRIPTIONS = [
    (["layers"], [], "layers must be a list that is not empty"),
    (["layers"], {}, "layers must be a list that is not empty"),
    (["layers"], ..., "missing are ['layers']"),
    (["layers", 0], 1, "layers[0] must be an object"),
    (["layers", 0, "n_in"], ..., "missing are ['n_in']"),
    (["layers", 0, "n_in"], 4, "tensor layers.0.weight has dtype F64 and shape (3, 4), expected F64 and (4, 4)"),
    (["layers", 0, "n_in"], 3.0, "layers[0] is wrong: n_in must be an integer"),
    (["layers", 0, "n_in"], 0, "n_in must be at least 1"),
    (["layers", 0, "n_in"], 2**63, "fits into this machine's memory"),
    (["layers", 0, "n_out"], 2**40, "has dtype F64 and shape"),
    (["layers", 0, "activation"], "Tanh", "unknown activation 'Tanh'"),
    (["layers", 0, "activation"], [], "unknown activation"),
    (["layers", 0, "bias"], 1, "bias must be True or False"),
    (["layers", 0, "bias"], False, "unknown are ['layers.0.bias'"),
    (["layers", 1, "bias"], True, "missing are ['layers.1.bias'"),
    (["layers", 0, "dropout"], 1, "dropout must be at least 0 and below 1"),
    (["layers", 1, "dropout"], 0.5, "dropout is for hidden layers"),
    (["layers", 0, "drop"], 0.5, "unknown are ['drop']"),
    (["layers", 1, "activation"], "softmax", 'softmax needs "cross_entropy"'),
    (["dtype"], "float16", "dtype is wrong: it is 'float16'"),
    (["dtype"], "float32", "expected F32"),
    (["dtype"], [], "dtype is wrong"),
    (["loss"], "huber", "loss must be an object"),
    (["loss"], {"name": "hubert"}, "unknown loss 'hubert'"),
    (["loss"], {"name": ["huber"]}, "unknown loss"),
    (["loss"], {"name": "huber", "delta": -1}, "delta must be"),
    (["loss"], {"name": "huber", "gamma": 1}, "unknown are ['gamma']"),
    (["loss"], {"name": "poisson", "delta": 1}, "unknown are ['delta']"),
    (["loss"], {"name": "quantile", "q": "1"}, "q must be a number"),
    (["loss"], {}, "missing are ['name']"),
    (["more"], 1, "unknown are ['more']"),
    (["training"], 1, "training must be an object"),
    (["training"], ..., "its tensors are not those of the network"),
    (["training", "seed"], 5, "seed must be a string of decimal digits"),
    (["training", "seed"], "-5", "seed must be a string"),
    (["training", "seed"], str(2**64), "'shuffle_seed' is wrong"),
    (["training", "seed"], "٣", "seed must be a string"),
    (["training", "steps"], -1, "'optimizer_steps' is wrong"),
    (["training", "steps"], 1.5, "'optimizer_steps' is wrong"),
    (["training", "epochs_trained"], True, "'epochs_trained' is wrong"),
    (["training", "epochs_trained"], ..., "missing are ['epochs_trained']"),
    (OPTIMIZER, "Adam", "the optimizer must be an object"),
    ([*OPTIMIZER, "name"], "Adamax", "unknown optimizer 'Adamax'"),
    ([*OPTIMIZER, "name"], "Optimizer", "unknown optimizer 'Optimizer'"),
    ([*OPTIMIZER, "name"], [], "unknown optimizer []"),
    ([*OPTIMIZER, "name"], "SGD", "missing are ['momentum', 'nesterov']"),
    ([*OPTIMIZER, "amsgrad"], False, "its tensors are not those of the network"),
    ([*OPTIMIZER, "amsgrad"], "yes", "amsgrad must be"),
    ([*OPTIMIZER, "betas"], [0.9], "betas must be a pair"),
    ([*OPTIMIZER, "betas"], [0.9, 1], "betas[1] must be"),
    ([*OPTIMIZER, "eps"], None, "eps must be a number"),
    ([*OPTIMIZER, "eps"], 0, "eps must be finite and above 0"),
    ([*OPTIMIZER, "clip_norm"], 0, "clip_norm must be finite and above 0"),
    ([*OPTIMIZER, "learning_rate"], -0.1, "learning_rate must be"),
    ([*OPTIMIZER, "learning_rate"], "cosine", "learning_rate must be"),
    ([*OPTIMIZER, "learning_rate"], {"rate": 1}, "missing are ['schedule']"),
    ([*OPTIMIZER, "learning_rate"], {"schedule": "sine"}, "unknown schedule 'sine'"),
    ([*OPTIMIZER, "learning_rate"], {"schedule": []}, "unknown schedule []"),
    ([*OPTIMIZER, "learning_rate"], {"schedule": "step", "rate": 0.1}, "the arguments of step are"),
    ([*OPTIMIZER, "learning_rate", "n_steps"], 0, "n_steps must be at least 1"),
    ([*OPTIMIZER, "learning_rate", "then"], None, "then must be a number or a function"),
    ([*OPTIMIZER, "learning_rate", "then", "rate"], 0, "rate must be finite and above 0"),
    (BEGUN, {}, "missing are ['rows'"),
    (BEGUN, [], "training's begun must be an object"),
    ([*BEGUN, "checksum"], 7, "checksum must be a string"),
    ([*BEGUN, "row"], 8, "'begun' is wrong"),
    ([*BEGUN, "shuffle"], 1, "'begun' is wrong"),
    ([*BEGUN, "loss_sum"], "0", "'begun' is wrong"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "new", "words"), DESCRIPTIONS, ids=[f"{keys}={new!r:.30}" for keys, new, _ in DESCRIPTIONS]
)
def test_wrong_descriptions_are_refused(path, keys, new, words):
    _, description, header, content = divided(saved(path, make(), training=True))
    begun = {"rows": 20, "batch_size": 7, "shuffle": True, "checksum": "7", "row": 7, "loss_sum": 0.5}
    description["training"]["begun"] = begun
    path.write_bytes(joined(description, header, content))
    assert pn.load(path)._state.begun == (20, 7, True, 7, 7, 0.5)  # so it is right before the change
    path.write_bytes(joined(changed(description, keys, new), header, content))
    with pytest.raises(pn.ModelFormatError, match=re.escape(words)) as caught:
        pn.load(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("text", ["", "[]", "null", "1", "{", '{"format_version":1,"format_version":1}', "{} {}"])
def test_descriptions_that_are_no_object_are_refused(path, text):
    _, _, header, content = divided(saved(path))
    whole = json.dumps({"__metadata__": {"plainnet": text}, **header}).encode()
    path.write_bytes(len(whole).to_bytes(8, "little") + whole + content)
    with pytest.raises(pn.ModelFormatError, match="description of the network"):
        pn.load(path)


@pytest.mark.parametrize("checksum", ["1234abcd", "", 5, None, "zzzzzzzz", "é" * 8])
def test_wrong_checksums_are_refused(path, checksum):
    content = saved(path)
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    description = {**json.loads(header["__metadata__"]["plainnet"]), "checksum": checksum}
    header["__metadata__"]["plainnet"] = json.dumps(description, separators=(",", ":"))
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])
    with pytest.raises(pn.ModelFormatError, match="checksum"):
        pn.load(path)


def test_missing_and_unknown_tensors_are_named(path):
    _, description, header, content = divided(saved(path))
    renamed = {name.replace("layers.1.weight", "layers.1.w"): value for name, value in header.items()}
    path.write_bytes(joined(description, renamed, content))
    words = re.escape("missing are ['layers.1.weight'], unknown are ['layers.1.w']")
    with pytest.raises(pn.ModelFormatError, match=words):
        pn.load(path)


# ---- Damage ----------------------------------------------------------------------------------------------------------


def loads_equal_or_is_refused(content, expected):
    try:
        net = _read(io.BytesIO(content), len(content), "c", False)
    except pn.ModelFormatError:
        return False
    assert pickle.dumps(net) == expected
    return True


@pytest.fixture
def small(tmp_path):
    """The bytes of a small file with all that there can be in one, and what loads from it."""
    net = pn.Network([pn.Dense(1, 1, "tanh", dropout=0.5), pn.Dense(1, 1)], seed=1, optimizer=pn.Adam(S.cosine(0.1, 9)))
    net.fit([[1], [2], [3]], [[0], [1], [1]], 2, batch_size=2)
    path = tmp_path / "model.safetensors"
    net.save(path, training=True)
    return path.read_bytes(), pickle.dumps(net)


def test_every_truncation_is_refused(small):
    content, expected = small
    assert loads_equal_or_is_refused(content, expected)
    for length in range(len(content)):
        assert not loads_equal_or_is_refused(content[:length], expected)
    assert not loads_equal_or_is_refused(content + b"\0", expected)


def test_every_flipped_bit_is_found(small):
    """A CRC-32 finds every error that lies within 32 bits."""
    content, expected = small
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        assert not loads_equal_or_is_refused(bytes(damaged), expected), bit


def test_a_file_that_shrinks_while_it_is_read_is_refused(path):
    content = saved(path)
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with open(path, "rb") as file, pytest.raises(pn.ModelFormatError):
            _read(file, len(content), "c", False)


def test_files_that_are_changed_at_random_are_refused_or_valid():
    """.ci/run reads a million."""
    results = fuzz_model_file.fuzz(range(4000), seed=20)
    assert results.total() == 4000
    assert results["accepted"] > 100
    assert len(results) > 50
