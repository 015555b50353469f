"""Network.fold: scaling that goes into the parameters, and what is refused."""

import itertools
import pickle

import numpy as np
import pytest

import plainnet as pn

# Rounding of raw numbers and of the folded bias, whose terms are about ten times as large as their sum here.
TOLERANCE = {"float64": 1e-12, "float32": 1e-4}
SHAPES = [(1, 1), (3, 2), (5, 7, 3), (1, 1, 1), (17, 33, 2), (4, 6, 5, 1)]


def network(shape, backend="c", dtype="float64", last="identity", **options):
    layers = [
        pn.Dense(n_in, n_out, "tanh" if k < len(shape) - 2 else last, **options)
        for k, (n_in, n_out) in enumerate(itertools.pairwise(shape))
    ]
    net = pn.Network(layers, backend=backend, dtype=dtype, seed=3)
    net.parameters = np.random.default_rng(1).normal(size=net.parameters.size)
    return net


def scaling(shape):
    rng = np.random.default_rng(2)
    n_in, n_out = shape[0], shape[-1]
    return {
        "input_mean": rng.normal(0, 20, n_in), "input_scale": rng.uniform(2, 9, n_in),
        "output_mean": rng.normal(0, 20, n_out), "output_scale": rng.uniform(0.1, 9, n_out),
    }  # fmt: skip


def raw_rows(input_mean, input_scale, n_rows=33):
    rows = np.random.default_rng(4).normal(size=(n_rows, len(input_mean)))
    return rows * input_scale + input_mean


def expected(net, x, input_mean=0.0, input_scale=1.0, output_mean=0.0, output_scale=1.0):
    return net.predict((x - input_mean) / input_scale) * output_scale + output_mean


def assert_predicts(folded, x, right):
    dtype = folded.dtype.name
    np.testing.assert_allclose(folded.predict(x), right, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] * np.ptp(right))


@pytest.mark.parametrize("shape", SHAPES)
def test_fold_predicts_raw_outputs_of_raw_inputs(shape, backend, dtype):
    net, scales = network(shape, backend, dtype), scaling(shape)
    x = raw_rows(scales["input_mean"], scales["input_scale"])
    folded = net.fold(**scales)
    assert (folded.backend, folded.dtype) == (net.backend, net.dtype)
    assert_predicts(folded, x, expected(net, x, **scales))


@pytest.mark.parametrize("name", ["input_mean", "input_scale", "output_mean", "output_scale"])
@pytest.mark.parametrize("shape", [(3, 2), (5, 7, 3)])
def test_fold_takes_each_argument_alone_and_as_a_single_number(shape, name):
    net = network(shape)
    x = np.random.default_rng(0).normal(size=(9, shape[0]))
    arrays = scaling(shape)[name]
    assert_predicts(net.fold(**{name: arrays}), x, expected(net, x, **{name: arrays}))
    assert_predicts(net.fold(**{name: 3.5}), x, expected(net, x, **{name: 3.5}))
    np.testing.assert_array_equal(net.fold(**{name: 3}).parameters, net.fold(**{name: [3] * len(arrays)}).parameters)


def test_fold_is_worked_out_by_hand():
    net = network((2, 1))
    net.layers[0].weight, net.layers[0].bias = [[3], [5]], [7]
    folded = net.fold(input_mean=[1, 10], input_scale=[2, 4], output_mean=100, output_scale=8)
    # ((x0 - 1) / 2 * 3 + (x1 - 10) / 4 * 5 + 7) * 8 + 100
    np.testing.assert_array_equal(folded.layers[0].weight, [[12], [10]])
    np.testing.assert_array_equal(folded.layers[0].bias, [-12 - 100 + 56 + 100])


def test_fold_rounds_once(dtype):
    net, scales = network((5, 3), dtype=dtype), scaling((5, 3))
    weight, bias = net.layers[0].weight.astype(np.float64), net.layers[0].bias.astype(np.float64)
    folded = net.fold(**scales)
    weight = weight / scales["input_scale"][:, None]
    bias = (bias - scales["input_mean"] @ weight) * scales["output_scale"] + scales["output_mean"]
    # An ulp in float64, and none in float32 but where that ulp decides; the sum above has another order.
    np.testing.assert_allclose(folded.layers[0].weight, weight * scales["output_scale"], rtol=np.finfo(dtype).eps)
    np.testing.assert_allclose(folded.layers[0].bias, bias, rtol=np.finfo(dtype).eps, atol=1e-13)


def test_fold_with_nothing_is_a_copy():
    net = network((5, 7, 3), l2=0.1, max_norm=2.0, l1=0.2)
    for folded in (net.fold(), net.fold(None, None, None, None), net.fold(0, 1, 0, 1)):
        np.testing.assert_array_equal(folded.parameters, net.parameters)
        assert repr(folded) == repr(net)


def test_fold_leaves_the_network_as_it_is():
    net = network((5, 7, 3))
    before = pickle.dumps(net)
    folded = net.fold(**scaling((5, 7, 3)))
    assert pickle.dumps(net) == before
    folded.parameters[:] = 0
    assert pickle.dumps(net) == before


def test_fold_keeps_subclass_attributes_and_loss():
    class Named(pn.Network):
        pass

    net = Named([pn.Dense(2, 1)], loss=pn.Huber(2.0), seed=0)
    net.label = "prices"
    folded = net.fold(input_mean=1)
    assert type(folded) is Named
    assert (folded.label, folded.loss) == ("prices", pn.Huber(2.0))


def test_fold_begins_the_optimizer_anew():
    net, data = network((3, 4, 2)), np.random.default_rng(0).normal(size=(20, 5))
    net.optimizer = pn.Adam(1e-2)
    net.fit(data[:, :3], data[:, 3:], epochs=3)
    folded = net.fold(input_scale=2.0)
    fresh = folded.copy()
    fresh.optimizer = pn.Adam(1e-2)
    assert folded.epochs_trained == 3
    for each in (folded, fresh):
        each.fit(2 * data[:, :3], data[:, 3:], epochs=2)
    np.testing.assert_array_equal(folded.parameters, fresh.parameters)
    net.fit(data[:, :3], data[:, 3:], epochs=2)  # goes on with what Adam has kept
    assert not np.allclose(net.fold(input_scale=2.0).parameters, fresh.parameters)


def test_fold_gives_the_loss_of_raw_numbers():
    net, scales = network((3, 4, 2)), scaling((3, 2))
    scales["output_scale"] = 5.0  # one for both outputs: the mean squared error grows by its square
    x = raw_rows(scales["input_mean"], scales["input_scale"])
    y = np.random.default_rng(5).normal(size=(len(x), 2))
    scaled = net.evaluate((x - scales["input_mean"]) / scales["input_scale"], y)
    assert net.fold(**scales).evaluate(x, y * 5 + scales["output_mean"]) == pytest.approx(25 * scaled, rel=1e-12)


def options(net):
    return [dict(layer.options.chosen()) for layer in net.layers]


def test_fold_drops_the_options_of_weights_that_it_scales():
    of_weights = {"l1": 0.1, "l2": 0.2, "max_norm": 3.0}
    others = {"weight_rate": 0.5, "bias_rate": 2.0}
    first = pn.Dense(3, 4, "tanh", dropout=0.5, **of_weights, **others)
    net = pn.Network([first, pn.Dense(4, 4, "tanh", **of_weights), pn.Dense(4, 2, **of_weights, **others)], seed=0)
    first, middle, last = options(net)
    assert options(net.fold(input_mean=3.0, output_mean=1.0)) == [first, middle, last]
    assert options(net.fold(input_scale=3.0)) == [{"dropout": 0.5, **others}, middle, last]
    assert options(net.fold(output_scale=3.0)) == [first, middle, others]


def test_fold_takes_what_scikit_learns_scalers_have():
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    rng = np.random.default_rng(0)
    x, y = rng.normal([50, 4, 0], [7, 0, 1], (100, 3)), rng.normal(1000, 200, (100, 2))  # the second column is constant
    net = network((3, 5, 2))
    for options in ({}, {"with_mean": False}, {"with_std": False}):
        inputs, outputs = (preprocessing.StandardScaler(**options).fit(data) for data in (x, y))
        folded = net.fold(inputs.mean_, inputs.scale_, outputs.mean_, outputs.scale_)
        if options:
            folded = net.fold(
                inputs.mean_ if inputs.with_mean else None, inputs.scale_, outputs.mean_ if outputs.with_mean else None,
                outputs.scale_,
            )  # fmt: skip
        assert_predicts(folded, x, outputs.inverse_transform(net.predict(inputs.transform(x))))


def test_fold_takes_a_constant_column():
    x = np.column_stack([np.arange(9.0), np.full(9, 4.0)])
    net = network((2, 3, 1))
    scales = {"input_mean": x.mean(axis=0), "input_scale": [x[:, 0].std(), 1.0]}
    assert_predicts(net.fold(**scales), x, expected(net, x, **scales))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_mean": [1, 2]}, r"input_mean has shape \(2,\), expected \(3,\).*n_in = 3"),
        ({"input_scale": [[1, 2, 3]]}, r"input_scale has shape \(1, 3\), expected \(3,\)"),
        ({"output_mean": [1, 2, 3]}, r"output_mean has shape \(3,\), expected \(2,\).*n_out = 2"),
        ({"input_mean": np.nan}, r"input_mean must be finite, not nan \(the only entry\)"),
        ({"output_mean": [0, -np.inf]}, r"output_mean must be finite, not -inf \(entry 1\)"),
        ({"input_scale": [1, 0, 1]}, r"input_scale must be finite and above 0, not 0.0 \(entry 1\)"),
        ({"input_scale": -2}, r"input_scale must be finite and above 0, not -2.0"),
        ({"output_scale": [1, np.inf]}, r"output_scale must be finite and above 0, not inf \(entry 1\)"),
        ({"output_scale": [np.nan, 1]}, r"output_scale must be finite and above 0, not nan \(entry 0\)"),
    ],
)
def test_fold_refuses_bad_scales(arguments, message, backend):
    with pytest.raises(ValueError, match=message):
        network((3, 4, 2), backend).fold(**arguments)


def test_fold_refuses_what_is_no_number():
    with pytest.raises(TypeError, match="output_scale is 'a'"):
        network((3, 2)).fold(output_scale="a")


@pytest.mark.parametrize("shape", [(3, 2), (3, 4, 2)])
def test_fold_refuses_means_without_a_bias(shape):
    net = network(shape, bias=False)
    for name, layer in (("input", 0), ("output", len(shape) - 2)):
        with pytest.raises(ValueError, match=rf"{name}_mean needs a bias .* layers\[{layer}\]"):
            net.fold(**{f"{name}_mean": 1.0})
    scales = {"input_scale": [2.0, 3.0, 4.0], "output_scale": 5.0, "input_mean": 0.0}
    x = np.random.default_rng(0).normal(size=(7, 3))
    assert_predicts(net.fold(**scales), x, expected(net, x, **scales))


@pytest.mark.parametrize("last", ["sigmoid", "relu", "tanh"])
def test_fold_refuses_to_scale_outputs_that_are_no_identity(last):
    net = network((3, 4, 2), last=last)
    for arguments in ({"output_mean": [0, 1]}, {"output_scale": 2.0}):
        with pytest.raises(ValueError, match=f"identity as the last layer's activation.* has {last}"):
            net.fold(**arguments)
    x = np.random.default_rng(0).normal(size=(7, 3))
    assert_predicts(net.fold(2.0, 3.0, 0.0, 1.0), x, expected(net, x, 2.0, 3.0))


def test_fold_refuses_numbers_that_overflow(dtype):
    net = network((3, 4, 2), dtype=dtype)
    largest = float(np.finfo(dtype).max)
    with pytest.raises(ValueError, match=rf"layers\[0\].bias would be -?inf .*\(entry \d\).*{dtype}"):
        net.fold(input_mean=largest / 10, input_scale=1e-9)
    net.layers[1].weight[1, 0] = 1e9
    with pytest.raises(ValueError, match=rf"layers\[1\].weight would be inf .*\(row 1, column 0\).*{dtype}"):
        net.fold(output_scale=largest / 1e6)


def test_fold_says_that_float64_holds_more():
    with pytest.raises(ValueError, match=r"layers\[0\].weight would be .*dtype float64 holds larger ones"):
        network((3, 4, 2), dtype="float32").fold(input_scale=1e-40)
