"""Options of layers: penalties, limits of norms, rates and dropout. PyTorch is asked elsewhere."""

import copy
import itertools
import pickle

import numpy as np
import pytest

import plainnet as pn
from plainnet.backend import Progress, Training
from plainnet.reference.dropout import dropout_key, keep_mask

import textbook
import toolchain
from interruption import everything, fit_interrupted, train_in_slices

SMALL = [(5, 7, "tanh", True), (7, 6, "silu", False), (6, 3, "identity", True)]
#: Wide enough that a run keeps weights packed, with whole panels and a part of one, and for threads to share an update.
WIDE = [(120, 140, "tanh", True), (140, 130, "silu", False), (130, 2, "identity", True)]
#: Small enough for the kernel that makes whole runs of plain gradient descent.
TINY = [(2, 3, "tanh", True), (3, 4, "sigmoid", False), (4, 1, "sigmoid", True)]

#: The options of three layers. Where the weight is frozen, its norms are above the limit.
OPTIONS = {
    "l1": [{"l1": 0.01}, {}, {"l1": 0.02}],
    "l2": [{}, {"l2": 0.1}, {"l2": 0.05}],
    "max_norm": [{"max_norm": 0.8}, {"max_norm": 1.0}, {"max_norm": 0.6}],
    "rates": [{"weight_rate": 0.5, "bias_rate": 2.0}, {"weight_rate": 0.0}, {"weight_rate": 3.0, "bias_rate": 0.0}],
    "dropout": [{"dropout": 0.3}, {"dropout": 0.5}, {}],
    "all": [
        {"dropout": 0.3, "l1": 0.01, "l2": 0.1, "max_norm": 0.9, "weight_rate": 0.5, "bias_rate": 2.0},
        {"dropout": 0.5, "l2": 0.05, "max_norm": 0.2, "weight_rate": 0.0},
        {"l1": 0.02, "max_norm": 0.7, "bias_rate": 0.0},
    ],
}
WITH_EACH_OPTION = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
NONE = [{}, {}, {}]
DEFAULTS = {"dropout": 0.0, "l1": 0.0, "l2": 0.0, "max_norm": None, "weight_rate": 1.0, "bias_rate": 1.0}

OPTIMIZERS = {"plain": pn.SGD(0.05), **textbook.OPTIMIZERS}
WITH_EACH_OPTIMIZER = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)

# One step's rounding errors, relative to the largest entry.
STEP = {"float64": 1e-12, "float32": 1e-5}


def dense(layers, options):
    return [pn.Dense(*layer, **chosen) for layer, chosen in zip(layers, options, strict=True)]


def make(backend, options, dtype="float64", layers=SMALL, loss="mean_squared_error", optimizer=pn.SGD(0.05)):
    net = pn.Network(
        dense(layers, options), loss=loss, seed=2, backend=backend, dtype=dtype, optimizer=optimizer
    )  # fmt: skip
    for k, layer in enumerate(net.layers):
        if layer.bias is not None:
            layer.bias = textbook.fractions(len(layer.bias), k) / 4
    return net


def data(n_rows=24, layers=SMALL, dtype="float64"):
    rng = np.random.default_rng(7)
    x, y = rng.standard_normal((n_rows, layers[0][0])), rng.random((n_rows, layers[-1][1]))
    return x.astype(dtype), y.astype(dtype)


def groups_of(net):
    """(k, "weight" or "bias", where the parameters lie) of all groups of parameters."""
    groups, start = [], 0
    for k, layer in enumerate(net.layers):
        for name, view in (("weight", layer.weight), ("bias", layer.bias)):
            if view is not None:
                groups.append((k, name, slice(start, start + view.size)))
                start += view.size
    return groups


def penalty_of(net):
    """The penalty and its gradient, by their definition."""
    total, gradient = 0.0, np.zeros(len(net.parameters))
    for k, name, where in groups_of(net):
        if name == "weight":
            weight, layer = net.parameters[where].astype(np.float64), net.layers[k]
            total += layer.l1 * np.abs(weight).sum() + layer.l2 / 2 * (weight**2).sum()
            gradient[where] = layer.l1 * np.sign(weight) + layer.l2 * weight
    return total, gradient


# ---- The options of a layer ------------------------------------------------------------------------------------------


def test_options_are_attributes_that_cannot_be_set():
    chosen = {"dropout": 0.25, "l1": 0.5, "l2": 2, "max_norm": 3, "weight_rate": 0, "bias_rate": 1.5}
    layer, plain = pn.Dense(2, 3, "tanh", **chosen), pn.Dense(2, 3, "tanh")
    for name, default in DEFAULTS.items():
        assert getattr(layer, name) == chosen[name]
        assert getattr(plain, name) == default
        with pytest.raises(AttributeError):
            setattr(layer, name, 0.5)
    with pytest.raises(TypeError, match="positional"):
        pn.Dense(2, 3, "tanh", True, 0.25)


def test_repr_shows_the_options_that_are_not_the_default():
    assert repr(pn.Dense(2, 3, "tanh", dropout=0, l1=0.0, max_norm=None)) == "Dense(2, 3, 'tanh')"
    for chosen in ({"dropout": 0.25}, {"l1": 0.5, "l2": 2.0}, {"max_norm": 3.0, "bias_rate": 0.0}):
        layer = pn.Dense(2, 3, "relu", False, **chosen)
        text = repr(layer)
        assert sum(f"{name}=" in text for name in DEFAULTS) == len(chosen)
        again = eval(text, vars(pn))
        assert repr(again) == text
        for name in DEFAULTS:
            assert getattr(again, name) == getattr(layer, name)


@pytest.mark.parametrize(
    ("option", "error", "words"),
    [
        ({"dropout": 1}, ValueError, "dropout must be at least 0 and below 1, not 1"),
        ({"dropout": -0.1}, ValueError, "dropout must be at least 0 and below 1, not -0.1"),
        ({"dropout": np.nan}, ValueError, "dropout must be at least 0 and below 1, not nan"),
        ({"dropout": None}, TypeError, "dropout must be a number, not None"),
        ({"l1": -1}, ValueError, "l1 must be finite and at least 0, not -1"),
        ({"l1": "strong"}, TypeError, "l1 must be a number, not 'strong'"),
        ({"l2": np.inf}, ValueError, "l2 must be finite and at least 0, not inf"),
        ({"max_norm": 0}, ValueError, "max_norm must be finite and above 0, not 0"),
        ({"max_norm": np.nan}, ValueError, "max_norm must be finite and above 0, not nan"),
        ({"max_norm": True}, TypeError, "max_norm must be a number, not True"),
        ({"weight_rate": -2}, ValueError, "weight_rate must be finite and at least 0, not -2"),
        ({"bias_rate": np.inf}, ValueError, "bias_rate must be finite and at least 0, not inf"),
        ({"bias_rate": [1]}, TypeError, "bias_rate must be a number, not [1]"),
    ],
)
def test_wrong_option_is_refused(option, error, words):
    with pytest.raises(error) as caught:
        pn.Dense(2, 3, "tanh", **option)
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["l1", "l2", "max_norm", "weight_rate", "bias_rate"])
def test_option_that_is_infinite_in_float32_is_refused(backend, name):
    layers = [pn.Dense(2, 3, "tanh", **{name: 1e60})]
    with pytest.raises(ValueError, match=rf"layers\[0\].*{name}.*float32.*1e\+60"):
        pn.Network(layers, backend=backend, dtype="float32")
    pn.Network(layers, backend=backend, dtype="float64")


def test_dropout_on_the_last_layer_is_refused(backend):
    with pytest.raises(ValueError, match=r"layers\[1\].*dropout=0\.5.*hidden layers"):
        pn.Network([pn.Dense(2, 3, dropout=0.5), pn.Dense(3, 1, dropout=0.5)], backend=backend)
    pn.Network([pn.Dense(2, 3, dropout=0.5), pn.Dense(3, 1, dropout=0)], backend=backend)


@pytest.mark.parametrize("way", ["copy", "copy.copy", "deepcopy", "pickle", "other-backend"])
def test_copies_have_the_options_and_go_on_as_the_network_does(backend, way):
    x, y = data()
    net = make(backend, OPTIONS["all"], optimizer=pn.Adam())
    net.fit(x, y, epochs=2, batch_size=7)
    twin = {
        "copy": net.copy, "copy.copy": lambda: copy.copy(net), "deepcopy": lambda: copy.deepcopy(net),
        "pickle": lambda: pickle.loads(pickle.dumps(net)),
        "other-backend": lambda: net.copy("numpy" if backend == "c" else "c").copy(backend),
    }[way]()  # fmt: skip
    assert repr(twin.layers) == repr(net.layers)
    for layer, chosen in zip(twin.layers, OPTIONS["all"], strict=True):
        assert {name: getattr(layer, name) for name in DEFAULTS} == {**DEFAULTS, **chosen}
    for one in (net, twin):
        one.fit(x, y, epochs=2, batch_size=7)
        one.train_on_batch(x, y)
    assert everything(twin) == everything(net)


def test_layers_of_a_network_make_another_with_their_options(backend):
    net = make(backend, OPTIONS["all"])
    twin = pn.Network(net.layers, init=net.parameters, backend=backend)
    assert repr(twin.layers) == repr(net.layers)
    x, y = data()
    assert twin.loss_and_gradient(x, y)[0] == net.loss_and_gradient(x, y)[0]


def test_pickles_from_before_there_were_options_have_none(backend):
    net, (x, y) = make(backend, NONE), data()
    state = net.__getstate__()
    old = object.__new__(pn.Network)
    old.__setstate__({**state, "layers": [layer[:4] for layer in state["layers"]]})
    assert repr(old.layers) == repr(net.layers)
    for one in (net, old):
        one.fit(x, y, epochs=2, batch_size=7)
    assert everything(old) == everything(net)


@WITH_EACH_OPTION
def test_options_change_what_is_trained(backend, options):
    """Guards the tests below: what they compare depends on the options."""
    x, y = data()
    net, plain = make(backend, options), make(backend, NONE)
    for one in (net, plain):
        one.train_on_batch(x, y)
    assert np.abs(net.parameters - plain.parameters).max() > 1e-4


@WITH_EACH_OPTION
def test_options_leave_what_is_no_training_as_it_is(backend, dtype, options):
    """Penalties are in the loss and its gradient; predictions and derivatives with respect to x have the same bits."""
    x, y = data(dtype=dtype)
    net, plain = make(backend, options, dtype), make(backend, NONE, dtype)
    for got, expected in (
        (net.predict(x), plain.predict(x)),
        (net.input_gradient(x, y), plain.input_gradient(x, y)),
        (net.jacobian(x), plain.jacobian(x)),
    ):
        assert got.tobytes() == expected.tobytes()
    if not any(layer.l1 or layer.l2 for layer in net.layers):
        (loss, gradient), (expected_loss, expected) = net.loss_and_gradient(x, y), plain.loss_and_gradient(x, y)
        assert loss == expected_loss
        assert gradient.tobytes() == expected.tobytes()


# ---- Steps by their definition ---------------------------------------------------------------------------------------


def masks_by_definition(net, n_rows):
    """What the next step multiplies the outputs of each layer by."""
    masks, (epoch, step) = [], (net.epochs_trained, net._state.steps)
    for k, layer in enumerate(net.layers):
        kept = keep_mask(dropout_key(net._shuffle_seed, epoch, step, k), 0, n_rows, layer.n_out, layer.dropout)
        masks.append(kept / (1 - layer.dropout))
    return masks


def loss_by_definition(net, parameters, x, y, masks):
    """The training's loss, of complex parameters as well."""
    layers = [(layer.n_in, layer.n_out, layer.activation, layer.has_bias) for layer in net.layers]
    a, penalty = x.astype(np.float64), 0
    for layer, (weight, bias), mask in zip(net.layers, textbook.split(layers, parameters), masks, strict=True):
        z = a @ weight if bias is None else a @ weight + bias
        a = mask * textbook.ACTIVATIONS[layer.activation][0](z)
        penalty += layer.l1 * np.sum(weight * np.sign(weight.real)) + layer.l2 / 2 * np.sum(weight**2)
    return textbook.LOSSES[net.loss](a, y.astype(np.float64)) + penalty


def step_by_definition(net, x, y, rate):
    """The loss, and the parameters after a step of gradient descent, whose gradient is by complex steps."""
    before, masks, h = net.parameters.astype(np.float64), masks_by_definition(net, len(x)), 1e-30
    after = before.copy()
    for k, name, where in groups_of(net):
        factor = getattr(net.layers[k], f"{name}_rate")
        for i in range(where.start, where.stop):
            shifted = before.astype(complex)
            shifted[i] += 1j * h
            after[i] -= rate * factor * loss_by_definition(net, shifted, x, y, masks).imag / h
        if name == "weight" and factor > 0 and net.layers[k].max_norm is not None:
            columns = after[where].reshape(net.layers[k].weight.shape)
            columns *= np.minimum(1, net.layers[k].max_norm / np.linalg.norm(columns, axis=0))
            after[where] = columns.ravel()
    return loss_by_definition(net, before, x, y, masks), after


@WITH_EACH_OPTION
@pytest.mark.parametrize("loss", ["mean_squared_error", "sum_of_squares"])
def test_steps_are_those_of_the_definition(backend, dtype, options, loss):
    rate = 0.05 if loss == "mean_squared_error" else 0.005
    x, y = data(dtype=dtype)
    net = make(backend, options, dtype, loss=loss)
    for step in range(4):
        net.epochs_trained = step // 2
        expected_loss, expected = step_by_definition(net, x[step:], y[step:], rate)
        assert net.train_on_batch(x[step:], y[step:], rate) == pytest.approx(expected_loss, rel=STEP[dtype.name])
        assert textbook.difference(net.parameters, expected) <= STEP[dtype.name]


def test_step_of_blocks_of_rows_is_that_of_the_definition(backend, dtype):
    """The penalty counts once, not in each block; and masks go on where the block before ends."""
    x, y = data(1000, dtype=dtype)
    net = make(backend, OPTIONS["all"], dtype)
    expected_loss, expected = step_by_definition(net, x, y, 0.05)
    assert net.train_on_batch(x, y) == pytest.approx(expected_loss, rel=STEP[dtype.name])
    assert textbook.difference(net.parameters, expected) <= STEP[dtype.name]


# ---- Both backends, and all ways to train ----------------------------------------------------------------------------


@WITH_EACH_OPTION
@pytest.mark.parametrize("optimizer", [OPTIMIZERS["plain"], OPTIMIZERS["clipped"]], ids=["plain", "clipped"])
@pytest.mark.parametrize("layers", [SMALL, WIDE], ids=["small", "wide"])
@pytest.mark.parametrize("n_rows", [24, 1000], ids=["block", "blocks"])
def test_a_step_agrees_between_the_backends(c_backend, dtype, options, optimizer, layers, n_rows):
    check_that_a_step_agrees(c_backend, dtype, options, optimizer, layers, n_rows)


@WITH_EACH_OPTIMIZER
def test_a_step_with_all_options_agrees_between_the_backends(c_backend, dtype, optimizer):
    check_that_a_step_agrees(c_backend, dtype, OPTIONS["all"], optimizer, WIDE, 24)


def check_that_a_step_agrees(c_backend, dtype, options, optimizer, layers, n_rows):
    """After some steps, for rounding errors of the gradient count fully in the first ones of Adam."""
    x, y = data(n_rows, layers, dtype)
    net = make("numpy", options, dtype, layers, optimizer=optimizer)
    for _ in range(3):
        net.train_on_batch(x, y)
    ours, theirs = net.copy(c_backend), net
    losses = ours.train_on_batch(x, y), theirs.train_on_batch(x, y)
    assert textbook.difference(*losses) <= STEP[dtype.name]
    assert textbook.difference(ours.parameters, theirs.parameters) <= STEP[dtype.name]
    if theirs._optimizer[1] is not None:
        for got, expected in zip(ours._optimizer[1], theirs._optimizer[1], strict=True):
            assert textbook.difference(got, expected) <= STEP[dtype.name]


def test_sample_weights_and_options_agree_between_the_backends(c_backend, dtype):
    """A mini-batch without weight, whose penalty counts all the same, among them."""
    x, y = data(24, dtype=dtype)
    weight = np.array([1, 2, 0, 1, 3, 1, 1, 1, *[0] * 8, 1, 0, 2, 2, 1, 1, 1, 1], dtype)
    ours, theirs = (make(name, OPTIONS["all"], dtype) for name in (c_backend, "numpy"))
    losses = [net.fit(x, y, 3, batch_size=8, shuffle=False, sample_weight=weight).loss for net in (ours, theirs)]
    # Nine steps, with a rounding error of each.
    assert textbook.difference(*losses) <= 20 * STEP[dtype.name]
    assert textbook.difference(ours.parameters, theirs.parameters) <= 20 * STEP[dtype.name]


def fit_by_steps(net, x, y, epochs, batch_size, sample_weight=None):
    """What ``fit(..., shuffle=False)`` does, with ``train_on_batch``; the losses."""
    losses = []
    weight = np.ones(len(x)) if sample_weight is None else sample_weight
    for _ in range(epochs):
        total, parts = 0.0, []
        for start in range(0, len(x), batch_size):
            rows = slice(start, start + batch_size)
            part = net.train_on_batch(x[rows], y[rows], sample_weight=None if sample_weight is None else weight[rows])
            parts.append(part * (1 if net.loss == "sum_of_squares" else weight[rows].sum()))
            total += weight[rows].sum()
        losses.append(sum(parts) / (1 if net.loss == "sum_of_squares" else total))
        net.epochs_trained += 1
    return losses


@WITH_EACH_OPTION
@pytest.mark.parametrize("optimizer", [OPTIMIZERS["plain"], OPTIMIZERS["adam"]], ids=["plain", "adam"])
@pytest.mark.parametrize("layers", [SMALL, WIDE], ids=["small", "wide"])
def test_fit_makes_the_steps_of_train_on_batch(backend, dtype, options, optimizer, layers):
    """Bit for bit: packed or not, in one call or in many, and whatever calls come in between."""
    x, y = data(50, layers, dtype)
    net, twin = (make(backend, options, dtype, layers, optimizer=optimizer) for _ in range(2))
    for n_rows, epochs, batch_size in ((50, 2, 8), (50, 1, 50), (9, 1, 4)):
        losses = net.fit(x[:n_rows], y[:n_rows], epochs, batch_size=batch_size, shuffle=False).loss
        expected = fit_by_steps(twin, x[:n_rows], y[:n_rows], epochs, batch_size)
        assert everything(net) == everything(twin)
        np.testing.assert_allclose(losses, expected, rtol=1e-12)  # sums in double


@WITH_EACH_OPTION
def test_fit_of_a_tiny_network_makes_the_steps_of_train_on_batch(backend, dtype, options):
    x, y = textbook.XOR_X.astype(dtype), textbook.XOR_Y.astype(dtype)
    net, twin = (make(backend, options, dtype, TINY, "log_loss", pn.SGD(0.5)) for _ in range(2))
    losses = net.fit(x, y, epochs=5).loss
    expected = fit_by_steps(twin, x.tolist(), y.tolist(), 5, 4)
    assert everything(net) == everything(twin)
    np.testing.assert_allclose(losses, expected, rtol=1e-12)


@pytest.mark.parametrize("loss", ["mean_squared_error", "sum_of_squares"])
def test_epoch_has_the_mean_of_the_losses_of_its_mini_batches_with_their_penalties(backend, dtype, loss):
    """With sum_of_squares the sum, in which the penalty counts once for each step. The last batch is smaller."""
    x, y = data(22, dtype=dtype)
    weight = np.arange(22) % 3
    net, twin = (make(backend, OPTIONS["all"], dtype, loss=loss, optimizer=pn.SGD(1e-3)) for _ in range(2))
    losses = net.fit(x, y, epochs=2, batch_size=5, shuffle=False).loss
    np.testing.assert_allclose(losses, fit_by_steps(twin, x, y, 2, 5), rtol=1e-12)
    losses = net.fit(x, y, epochs=2, batch_size=5, shuffle=False, sample_weight=weight).loss
    np.testing.assert_allclose(losses, fit_by_steps(twin, x, y, 2, 5, weight), rtol=1e-12)
    assert penalty_of(net)[0] > 0.01


@WITH_EACH_OPTION
def test_run_in_slices_has_the_bits_of_one_call(backend, dtype, options):
    x, y = data(50, WIDE, dtype)
    for optimizer in (pn.SGD(1e-3), pn.Adam(1e-3)):
        results = []
        for max_steps in (10**6, 1, 5):
            net = make(backend, options, dtype, WIDE, optimizer=optimizer)
            training = Training(3, 8, 1e-3, True, 5, optimizer=optimizer, state=net._optimizer[1])
            progress, losses = Progress(), np.empty(3)
            while progress.epoch < 3:
                net._model.train(x, y, training, progress, losses, max_steps)
            results.append((everything(net)[:2], losses.tobytes()))
        assert results[0] == results[1] == results[2], optimizer


@WITH_EACH_OPTION
def test_interrupted_run_ends_with_the_bits_of_one_that_is_not(backend, options):
    x, y = data()
    net, whole = (make(backend, options, optimizer=pn.Adam()) for _ in range(2))
    whole.fit(x, y, epochs=4, batch_size=5)
    fit_interrupted(net, 7, x, y, epochs=4, batch_size=5)
    assert (net.epochs_trained, net._state.steps, net._state.begun.row) == (1, 7, 10)
    net = pickle.loads(pickle.dumps(net))
    net.fit(x, y, epochs=3, batch_size=5)
    assert everything(net) == everything(whole)


@WITH_EACH_OPTION
@pytest.mark.parametrize("layers", [SMALL, WIDE], ids=["small", "wide"])
def test_divergence_leaves_the_parameters_of_the_last_finite_step(backend, dtype, options, layers):
    """The way back leads through steps of earlier slices, whose masks are computed again."""
    x, y = data(24, layers, dtype)

    def schedule(step):
        return 0.1 + 0.01 * step if step < 40 else float(np.finfo(dtype).max)

    options = [{**chosen, "max_norm": None} for chosen in options]  # which would keep them finite
    optimizer = pn.SGD(schedule, momentum=0.5, clip_norm=0.1)
    net, twin = (make(backend, options, dtype, layers, "sum_of_squares", optimizer) for _ in range(2))
    slices = train_in_slices(net, 3)
    with pytest.raises(pn.DivergedError):
        net.fit(x, y, epochs=100, batch_size=12, shuffle=False)
    assert len(slices) > 10
    fit_by_steps(twin, x, y, 20, 12)
    assert net._state.steps == 40
    assert everything(net)[:3] == everything(twin)[:3]


def numbers_of_threads():
    """Sets one number of threads after the other, and in the end the first."""
    before = pn.num_threads()
    try:
        for n in (1, 3) if toolchain.SANITIZERS else (1, 2, 3, 8):
            pn.set_num_threads(n)
            yield n
    finally:
        pn.set_num_threads(before)


def trained(options, optimizer, dtype):
    """What training changes, in batches of a block, of blocks and of less than one."""
    x, y = data(1000, WIDE, dtype)
    net = make("c", options, dtype, WIDE, optimizer=optimizer)
    net.fit(x[:300], y[:300], epochs=2, batch_size=64)
    losses = net.fit(x, y, epochs=2, batch_size=900).loss
    return (*everything(net), losses.tobytes(), net.loss_and_gradient(x, y)[1].tobytes())


@WITH_EACH_OPTION
def test_bits_do_not_depend_on_the_number_of_threads(c_backend, dtype, options):
    results = [trained(options, pn.SGD(0.05, clip_norm=0.5), dtype) for _ in numbers_of_threads()]
    assert all(result == results[0] for result in results)


@pytest.fixture
def fma_isas():
    before = pn.native.isa()
    yield [isa for isa in pn.native.available_isas() if isa != "baseline"]
    pn.native.set_isa(before)


@WITH_EACH_OPTION
@pytest.mark.parametrize("optimizer", [OPTIMIZERS["plain"], OPTIMIZERS["adam"]], ids=["plain", "adam"])
def test_bits_do_not_depend_on_the_instruction_set(fma_isas, dtype, options, optimizer):
    """Of those with fused multiply-adds."""
    results = []
    for isa in fma_isas:
        pn.native.set_isa(isa)
        results.append(trained(options, optimizer, dtype))
    assert all(result == results[0] for result in results)


# ---- Penalties -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["mean_squared_error", "sum_of_squares", "huber"])
@pytest.mark.parametrize("weighted", [False, True])
def test_penalties_are_terms_of_the_loss_and_of_its_gradient(backend, dtype, loss, weighted):
    x, y = data(30, dtype=dtype)
    weight = np.arange(30) % 4 if weighted else None
    net, plain = (make(backend, options, dtype, loss=loss) for options in (OPTIONS["all"], NONE))
    for one in (net, plain):
        one.layers[0].weight[:2] = [[0.0], [-0.0]]  # where the derivative of the absolute value is 0
        one.layers[0].weight[4, 5:] = 0.0, -0.0
    total, gradient_of_penalty = penalty_of(net)
    (value, gradient), (plain_value, expected) = (one.loss_and_gradient(x, y, weight) for one in (net, plain))
    assert value == pytest.approx(plain_value + total, rel=STEP[dtype.name])
    assert textbook.difference(gradient, expected + gradient_of_penalty) <= STEP[dtype.name]
    zero = (net.parameters == 0) & (gradient_of_penalty == 0)
    np.testing.assert_array_equal(gradient[zero], expected[zero])
    assert zero.sum() >= 16
    assert total > 0.1


@pytest.mark.parametrize("options", [OPTIONS["l1"], OPTIONS["l2"], OPTIONS["all"]], ids=["l1", "l2", "all"])
@pytest.mark.parametrize("layers", [SMALL, TINY], ids=["small", "tiny"])
def test_gradient_with_penalties_is_that_of_central_differences(backend, dtype, options, layers):
    x, y = data(9, layers, dtype)
    net = make(backend, options, dtype, layers)
    assert np.abs(net.parameters).min() > 1e-4  # no kink of the absolute value within a step
    check = pn.check_gradient(net, x, y)
    assert check.agree, check
    numeric = pn.check_gradient(make(backend, NONE, dtype, layers), x, y).numeric
    assert textbook.difference(check.numeric, numeric) > 1e-3  # which sees the penalties


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (300, 37), (257, 130)])
def test_penalty_is_added_up_in_double(backend, dtype, shape):
    """Without data that count: the loss is the penalty. Sums of up to 33 410 terms in double: 1e-12."""
    weight = (np.abs(textbook.fractions(shape[0] * shape[1], 4, dtype)) + dtype.type(0.1)).reshape(shape)
    net = pn.Network([pn.Dense(*shape, l1=0.5, l2=0.25)], init=weight.ravel().tolist() + [0] * shape[1], dtype=dtype,
                     backend=backend)  # fmt: skip
    x, y = np.zeros((1, shape[0])), np.zeros((1, shape[1]))
    exact = weight.astype(np.longdouble)
    expected = float(np.abs(exact).sum() / 2 + (exact**2).sum() / 8)
    assert net.loss_and_gradient(x, y)[0] == pytest.approx(expected, rel=1e-12)
    assert net.fit(x, y, learning_rate=1e-3).loss[0] == pytest.approx(expected, rel=1e-12)


def test_penalty_is_in_the_gradient_that_is_clipped(backend, dtype):
    x, y = data(dtype=dtype)
    options = [{"l1": 1.0}, {"l2": 5.0}, {"l1": 0.5, "l2": 0.5}]
    for limit in ({"clip_norm": 0.1}, {"clip_value": 0.02}):
        net = make(backend, options, dtype, optimizer=pn.SGD(1.0, **limit))
        before, (_, gradient) = net.parameters.astype(np.float64), net.loss_and_gradient(x, y)
        net.train_on_batch(x, y)
        expected = np.clip(gradient.astype(np.float64), -limit.get("clip_value", 99), limit.get("clip_value", 99))
        if "clip_norm" in limit:
            expected *= 0.1 / (np.linalg.norm(expected) + 1e-6)
        assert textbook.difference(net.parameters, before - expected) <= STEP[dtype.name]
        assert np.linalg.norm(gradient) > 1


def test_l2_is_weight_decay_of_the_weights_alone(backend, dtype):
    """The steps of plain gradient descent are the same, to rounding; those of the biases without a decay."""
    x, y = data(dtype=dtype)
    net = make(backend, [{"l2": 0.1}] * 3, dtype)
    decay, plain = (make(backend, NONE, dtype, optimizer=pn.SGD(0.05, weight_decay=d)) for d in (0.1, 0.0))
    for one in (net, decay, plain):
        one.train_on_batch(x, y)
    for _, name, where in groups_of(net):
        twin = decay if name == "weight" else plain
        np.testing.assert_allclose(net.parameters[where], twin.parameters[where], rtol=0, atol=STEP[dtype.name])


# ---- Norms -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [SMALL, WIDE], ids=["small", "wide"])
@WITH_EACH_OPTIMIZER
def test_weights_into_a_neuron_keep_within_the_norm(backend, dtype, optimizer, layers):
    """Columns above it are scaled down to it, and the others have the bits of a step without limit."""
    x, y = data(24, layers, dtype)
    free = make(backend, [{"max_norm": 1e30}] * 3, dtype, layers, optimizer=optimizer)
    free.train_on_batch(x, y)
    limits = []  # half of the columns are above
    for layer in free.layers:
        norms = np.sort(np.linalg.norm(layer.weight.astype(np.float64), axis=0))
        limits.append(float(norms[len(norms) // 2 - 1 : len(norms) // 2 + 1].mean()))
    net = make(backend, [{"max_norm": limit} for limit in limits], dtype, layers, optimizer=optimizer)
    net.train_on_batch(x, y)
    for layer, twin, limit in zip(net.layers, free.layers, limits, strict=True):
        norms = np.linalg.norm(twin.weight.astype(np.float64), axis=0)
        above = norms > limit
        assert 0 < above.sum() < len(above)
        np.testing.assert_array_equal(layer.weight[:, ~above], twin.weight[:, ~above])
        expected = twin.weight[:, above] * (limit / norms[above])
        # The factor and the product are rounded.
        np.testing.assert_allclose(layer.weight[:, above], expected, rtol=4 * np.finfo(dtype).eps)
        assert (np.linalg.norm(layer.weight.astype(np.float64), axis=0) <= limit * (1 + 4 * np.finfo(dtype).eps)).all()
        np.testing.assert_array_equal(layer.bias, twin.bias)


def test_norm_that_overflows_limits_nothing(backend):
    """1e200 squared is infinite: these weights stay. What float32 holds has a square in double."""
    x, y = np.array([[0.0, 1.0]]), np.array([[1.0, 1.0]])
    net = pn.Network([pn.Dense(2, 2, bias=False, max_norm=0.5)], init=[1e200, 0.25, 1, 1], backend=backend)
    net.train_on_batch(x, y)
    np.testing.assert_array_equal(net.layers[0].weight[:, 0], [1e200, 1])
    assert np.linalg.norm(net.layers[0].weight[:, 1]) == pytest.approx(0.5, rel=1e-15)

    net = pn.Network([pn.Dense(2, 2, bias=False, max_norm=0.5)], init=[1e30, 0, 1, 0.25], backend=backend,
                     dtype="float32")  # fmt: skip
    y[:] = 1, 0.25
    net.train_on_batch(x, y)
    np.testing.assert_allclose(net.layers[0].weight, [[0.5, 0], [5e-31, 0.25]], rtol=1e-6)


# ---- Rates -----------------------------------------------------------------------------------------------------------


@WITH_EACH_OPTIMIZER
@pytest.mark.parametrize("layers", [SMALL, WIDE], ids=["small", "wide"])
def test_groups_have_learning_rates_of_their_own(backend, dtype, optimizer, layers):
    """Each group makes the step of an optimizer whose learning rate is `factor` times as large, from the same state."""
    x, y = data(24, layers, dtype)
    net = make(backend, OPTIONS["rates"], dtype, layers, optimizer=optimizer)
    n_steps = 3 if layers is SMALL else 1
    for _ in range(n_steps):
        before, state = net.parameters.copy(), copy.deepcopy(net._optimizer[1])
        steps = net._state.steps
        net.train_on_batch(x, y)
        for k, name, where in groups_of(net):
            factor = getattr(net.layers[k], f"{name}_rate")
            if factor == 0:
                np.testing.assert_array_equal(net.parameters[where], before[where])
                continue
            twin = make(backend, NONE, dtype, layers, optimizer=optimizer)
            twin.parameters, twin._state.steps = before, steps
            if state is not None:
                twin._optimizer[1][:] = state
            twin.train_on_batch(x, y, learning_rate=optimizer.learning_rate * factor)
            assert textbook.difference(net.parameters[where], twin.parameters[where]) <= STEP[dtype.name]
            if state is not None:
                for got, expected in zip(net._optimizer[1], twin._optimizer[1], strict=True):
                    np.testing.assert_allclose(
                        got[where], expected[where], rtol=1e-5 if dtype == "float32" else 1e-11,
                        atol=STEP[dtype.name] * np.abs(expected[where]).max(),
                    )  # fmt: skip


@WITH_EACH_OPTIMIZER
def test_rate_of_zero_leaves_parameters_and_state(backend, dtype, optimizer):
    x, y = data(dtype=dtype)
    net = make(backend, OPTIONS["rates"], dtype, optimizer=optimizer)
    net.train_on_batch(x, y)
    before, state = net.parameters.copy(), copy.deepcopy(net._optimizer[1])
    net.fit(x, y, epochs=2, batch_size=7)
    for k, name, where in groups_of(net):
        is_frozen = getattr(net.layers[k], f"{name}_rate") == 0
        assert np.array_equal(net.parameters[where], before[where]) == is_frozen
        if state is not None and is_frozen:
            np.testing.assert_array_equal(net._optimizer[1][:, where], state[:, where])


def test_network_all_of_whose_rates_are_zero_stays_as_it_is(backend, dtype):
    x, y = data(dtype=dtype)
    options = [{"weight_rate": 0, "bias_rate": 0, "l1": 0.1, "max_norm": 0.1}] * 3
    for optimizer in OPTIMIZERS.values():
        net = make(backend, options, dtype, optimizer=optimizer)
        before, expected = net.parameters.tobytes(), net.loss_and_gradient(x, y)[0]
        losses = net.fit(x, y, epochs=3).loss
        assert net.parameters.tobytes() == before
        assert losses == pytest.approx([expected] * 3, rel=1e-12)  # sums in double
        assert (net._state.steps, net.epochs_trained) == (3, 3)


def test_gradient_of_frozen_parameters_counts_when_the_norm_is_clipped(backend, dtype):
    x, y = data(dtype=dtype)
    net = make(backend, OPTIONS["rates"], dtype, optimizer=pn.SGD(1.0, clip_norm=0.05))
    before, (_, gradient) = net.parameters.astype(np.float64), net.loss_and_gradient(x, y)
    gradient = gradient.astype(np.float64)
    net.train_on_batch(x, y)
    expected, of_the_frozen = before.copy(), 0.0
    for k, name, where in groups_of(net):
        factor = getattr(net.layers[k], f"{name}_rate")
        expected[where] -= factor * gradient[where] * 0.05 / (np.linalg.norm(gradient) + 1e-6)
        of_the_frozen += np.square(gradient[where]).sum() * (factor == 0)
    assert textbook.difference(net.parameters, expected) <= STEP[dtype.name]
    assert of_the_frozen > 0.01 * np.square(gradient).sum()


def test_rates_multiply_those_of_a_schedule(backend, dtype):
    x, y = data(dtype=dtype)
    rates = [0.05, 0.02, 0.1]
    net, twin = (make(backend, OPTIONS["rates"], dtype) for _ in range(2))
    net.fit(x, y, epochs=3, learning_rate=lambda step: rates[step])
    for rate in rates:
        twin.train_on_batch(x, y, learning_rate=rate)
    assert net.parameters.tobytes() == twin.parameters.tobytes()


# ---- Dropout: the masks ----------------------------------------------------------------------------------------------

# Seeds are fixed, so these numbers are as well: bounds are such that random masks exceed one in 10^6 cases or so.
DROPOUTS = [0.05, 0.25, 0.5, 0.8]
NUMBERS = (12345, 3, 40, 1)  # seed, epoch, step, layer


def mask_of(numbers=NUMBERS, n_rows=256, n_columns=256, dropout=0.5):
    return keep_mask(dropout_key(*numbers), 0, n_rows, n_columns, dropout)


def chi_squared(counts, probabilities):
    expected = np.sum(counts) * np.asarray(probabilities)
    return float(np.sum((np.asarray(counts) - expected) ** 2 / expected))


def chi_squared_of_pairs(one, other, dropout):
    """Of the four outcomes of two masks' elements, if these are independent: 3 degrees of freedom."""
    counts = np.bincount((2 * one + other).ravel().astype(int), minlength=4)
    p = [dropout, 1 - dropout]
    return chi_squared(counts, [p[a] * p[b] for a, b in itertools.product((0, 1), repeat=2)])


def changed(position, by):
    return tuple(number + by * (k == position) for k, number in enumerate(NUMBERS))


@pytest.mark.parametrize("dropout", [*DROPOUTS, 0.001, 0.999])
def test_mask_keeps_as_many_as_it_should(dropout):
    """One degree of freedom: below 24, but for one of 10^6."""
    for seed in range(8):
        kept = mask_of((seed, 0, 0, 0), dropout=dropout)
        assert kept.shape == (256, 256)
        assert kept.dtype == bool
        assert chi_squared([(~kept).sum(), kept.sum()], [dropout, 1 - dropout]) < 24


@pytest.mark.parametrize("dropout", DROPOUTS)
def test_neighbours_in_a_mask_are_independent(dropout):
    """Along rows, columns and diagonals, next to each other and further apart: below 31 for all but one of 10^6."""
    kept = mask_of(dropout=dropout)
    for down, right in itertools.product((0, 1, 2, 4, 8, 16, 64), repeat=2):
        if down or right:
            one, other = kept[down:, right:], kept[: 256 - down, : 256 - right]
            assert chi_squared_of_pairs(one, other, dropout) < 31, (down, right)
            assert chi_squared_of_pairs(kept[down:, : 256 - right], kept[: 256 - down, right:], dropout) < 31


@pytest.mark.parametrize("dropout", DROPOUTS)
@pytest.mark.parametrize("position", range(4), ids=["seed", "epoch", "step", "layer"])
def test_masks_of_neighbouring_numbers_are_independent(dropout, position):
    """Of two seeds, epochs, steps or layers; and of two of which another number is different as well."""
    kept = mask_of(dropout=dropout)
    for by in (1, 2, 16, 256, 2**32):
        other = mask_of(changed(position, by), dropout=dropout)
        for shift in (0, 1, by % 255):  # a row or a column further on, which nearby keys could be
            assert chi_squared_of_pairs(kept[shift:], other[: 256 - shift], dropout) < 31
            assert chi_squared_of_pairs(kept[: 256 - shift], other[shift:], dropout) < 31
            assert chi_squared_of_pairs(kept[:, shift:], other[:, : 256 - shift], dropout) < 31
    for one in range(4):
        if one != position:
            assert chi_squared_of_pairs(mask_of(changed(one, 1), dropout=dropout),
                                        mask_of(changed(position, 1), dropout=dropout), dropout) < 31  # fmt: skip


@pytest.mark.parametrize("dropout", DROPOUTS)
def test_rows_and_columns_of_a_mask_keep_as_many_as_independent_elements_would(dropout):
    """The counts of 512 rows, or columns, spread as binomial ones: 512 degrees of freedom, within 5 deviations."""
    kept = mask_of(n_rows=512, n_columns=512, dropout=dropout)
    for axis in (0, 1):
        counts = kept.sum(axis=axis)
        spread = np.sum((counts - 512 * (1 - dropout)) ** 2 / (512 * dropout * (1 - dropout)))
        assert abs(spread - 512) < 5 * np.sqrt(2 * 512)
    # Eight elements in succession have all 256 patterns as often as they should: 255 degrees of freedom.
    patterns = np.packbits(kept.reshape(-1, 8), axis=1).ravel()
    ones = np.array([bin(pattern).count("1") for pattern in range(256)])
    probabilities = (1 - dropout) ** ones * dropout ** (8 - ones)
    frequent = probabilities * len(patterns) > 5
    counts = np.bincount(patterns, minlength=256)
    counts = np.append(counts[frequent], counts[~frequent].sum())
    probabilities = np.append(probabilities[frequent], probabilities[~frequent].sum())
    counts, probabilities = counts[probabilities > 0], probabilities[probabilities > 0]
    n = len(counts) - 1
    assert abs(chi_squared(counts, probabilities) - n) < 6 * np.sqrt(2 * n)


def test_part_of_a_mask_is_that_of_the_whole():
    """An element is a function of its row and column: neither blocks of rows nor widths change it."""
    key, whole = dropout_key(*NUMBERS), mask_of()
    for first, n_rows, n_columns in ((0, 3, 256), (17, 100, 256), (0, 256, 5), (255, 1, 1)):
        part = keep_mask(key, first, n_rows, n_columns, 0.5)
        np.testing.assert_array_equal(part, whole[first : first + n_rows, :n_columns])


def test_mask_with_more_dropout_keeps_some_of_the_same():
    kept = [mask_of(dropout=dropout) for dropout in (0.0, 1e-12, 0.1, 0.5, 0.9, 1 - 2.0**-40)]
    assert kept[0].all()
    assert kept[1].all()  # of 2^32 numbers, 0 are dropped
    for more, less in itertools.pairwise(kept):
        assert not (less & ~more).any()
    assert not kept[-1].any()


def test_keys_are_those_of_any_64_bits():
    large = 2**64 - 1
    keys = [dropout_key(*numbers) for numbers in itertools.product((0, 1, large), (0, 1, large), (0, 1), (0, 1))]
    assert len({int(key) for key in keys}) == len(keys)
    assert keep_mask(dropout_key(large, large, large, 0), 0, 4, 4, 0.5).shape == (4, 4)


# ---- Dropout: training -----------------------------------------------------------------------------------------------


def seen_in_a_step(backend, dtype, n_rows, width, dropout, depth=0, epoch=0, step=0):
    """
    (n_rows, width): what a step multiplies the outputs of a layer by.

    All of the outputs are 1, the next layer's weight is 0, and its target is the identity matrix: so the weight's
    gradient with a sum of squares, of column j, is -2 times the dropped outputs of row j.
    """
    hidden = [pn.Dense(1, 1, bias=False)] * depth + [pn.Dense(1, width, bias=False, dropout=dropout)]
    init = [1.0] * (depth + width) + [0.0] * (width * n_rows)
    net = pn.Network([*hidden, pn.Dense(width, n_rows, bias=False)], "sum_of_squares", init, 6, dtype, backend)
    net.epochs_trained, net._state.steps = epoch, step
    net.train_on_batch(np.ones((n_rows, 1)), np.eye(n_rows), learning_rate=0.5)
    return net.layers[-1].weight.T, net._shuffle_seed


@pytest.mark.parametrize("dropout", [0.1, 0.5, 0.999])
@pytest.mark.parametrize(
    ("n_rows", "width", "depth", "epoch", "step"),
    [
        (1, 1, 0, 0, 0), (3, 7, 0, 0, 5), (5, 33, 1, 2, 0), (33, 64, 3, 1, 1000), (400, 130, 0, 7, 2**33),
        (8, 1000, 1, 0, 1),
    ],
)
def test_step_drops_what_the_mask_says(backend, dtype, dropout, n_rows, width, depth, epoch, step):
    """Exactly; what is kept is multiplied by 1 / (1 - dropout) in the network's type."""
    seen, seed = seen_in_a_step(backend, dtype, n_rows, width, dropout, depth, epoch, step)
    kept = keep_mask(dropout_key(seed, epoch, step, depth), 0, n_rows, width, dropout)
    np.testing.assert_array_equal(seen, np.where(kept, dtype.type(1 / (1 - dropout)), 0))


def test_mask_does_not_depend_on_the_rows_in_the_batch(backend):
    whole, _ = seen_in_a_step(backend, np.dtype("float64"), 400, 50, 0.3)
    for n_rows in (1, 5, 384, 385):
        np.testing.assert_array_equal(seen_in_a_step(backend, np.dtype("float64"), n_rows, 50, 0.3)[0], whole[:n_rows])


@pytest.mark.parametrize("dropout", DROPOUTS)
def test_mean_of_what_dropout_leaves_is_the_output(backend, dtype, dropout):
    """Of 40 000 elements, within 5 deviations."""
    seen, _ = seen_in_a_step(backend, dtype, 400, 100, dropout)
    deviation = np.sqrt(dropout / (1 - dropout) / seen.size)
    assert abs(seen.mean(dtype=np.float64) - 1) < 5 * deviation


def test_dropout_so_small_that_it_drops_nothing_changes_nothing(backend):
    """In float32, in which 1 / (1 - 1e-12) is 1: the masks are computed, and every bit is as without."""
    for layers in (SMALL, WIDE):
        x, y = data(50, layers, "float32")
        results = []
        for options in ([{"dropout": 1e-12}, {"dropout": 1e-12}, {}], [{"dropout": 0.0}, {}, {}], NONE):
            net = make(backend, options, "float32", layers, optimizer=pn.Adam())
            losses = net.fit(x, y, epochs=3, batch_size=8).loss
            results.append((everything(net), losses.tobytes()))
        assert results[0] == results[1] == results[2]


def test_masks_differ_between_steps_epochs_and_networks(backend):
    x, y = data()
    results = set()
    for seed, epoch, step in ((2, 0, 0), (2, 1, 0), (2, 0, 1), (3, 0, 0)):
        options = dense(SMALL, OPTIONS["dropout"])
        net = pn.Network(options, init=make("numpy", NONE).parameters, seed=seed, backend=backend)
        net.epochs_trained, net._state.steps = epoch, step
        net.train_on_batch(x, y)
        results.add(net.parameters.tobytes())
    assert len(results) == 4


def test_network_with_dropout_and_a_seed_is_trained_the_same_way_again(backend, dtype):
    x, y = data(dtype=dtype)
    nets = [make(backend, OPTIONS["dropout"], dtype) for _ in range(2)]
    for net in nets:
        net.fit(x, y, epochs=3, batch_size=7)
    assert everything(nets[0]) == everything(nets[1])
