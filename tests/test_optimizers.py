"""Optimizers: backends agree, their state belongs to the network, options are checked. PyTorch is asked elsewhere."""

import copy
import dataclasses
import pickle

import numpy as np
import pytest

import plainnet as pn
from plainnet.backend import Progress, Training

import textbook
from interruption import everything, fit_interrupted

OPTIMIZERS = {
    "decay": pn.SGD(0.05, weight_decay=0.1),
    "value": pn.SGD(0.05, clip_value=1e-2),
    "norm": pn.SGD(0.05, momentum=0.9, clip_norm=1e-2),
    **textbook.OPTIMIZERS,
}
KINDS = list(OPTIMIZERS.values())
OF_EACH_KIND = pytest.mark.parametrize("optimizer", KINDS, ids=OPTIMIZERS)

SMALL = [(5, 7, "tanh", True), (7, 3, "sigmoid", False)]
#: Wide enough that a run keeps weights packed, with whole panels and a part of one, and for threads to share an update.
WIDE = [(120, 140, "tanh", True), (140, 2, "identity", True)]


def make(backend, optimizer, dtype="float64", layers=SMALL):
    return textbook.network(layers, "mean_squared_error", seed=2, backend=backend, dtype=dtype, optimizer=optimizer)


def data(n_rows=24, layers=SMALL, dtype="float64"):
    rng = np.random.default_rng(7)
    x, y = rng.standard_normal((n_rows, layers[0][0])), rng.random((n_rows, layers[-1][1]))
    return x.astype(dtype), y.astype(dtype)


# ---- Steps -----------------------------------------------------------------------------------------------------------

# One step's rounding errors, relative to the largest entry. (Those of the gradient count fully in the first steps of
# Adam and its like, whose size does not depend on the gradient's: so a few steps come first, from the same state.)
STEP = {"float64": 1e-12, "float32": 1e-5}


@OF_EACH_KIND
@pytest.mark.parametrize("layers", [SMALL, WIDE], ids=["small", "wide"])
@pytest.mark.parametrize("n_rows", [24, 1000], ids=["block", "blocks"])
def test_a_step_agrees_between_the_backends(c_backend, dtype, optimizer, layers, n_rows):
    x, y = data(n_rows, layers, dtype)
    net = make("numpy", optimizer, dtype, layers)
    for _ in range(3):
        net.train_on_batch(x, y)
    ours, theirs = net.copy(c_backend), net
    losses = ours.train_on_batch(x, y), theirs.train_on_batch(x, y)
    assert textbook.difference(*losses) <= STEP[dtype.name]
    assert textbook.difference(ours.parameters, theirs.parameters) <= STEP[dtype.name]
    if theirs._optimizer[1] is not None:
        for got, expected in zip(ours._optimizer[1], theirs._optimizer[1], strict=True):
            assert textbook.difference(got, expected) <= STEP[dtype.name]


@OF_EACH_KIND
@pytest.mark.parametrize("layers", [SMALL, WIDE], ids=["small", "wide"])
def test_fit_makes_the_steps_of_train_on_batch(backend, dtype, optimizer, layers):
    """Bit for bit: packed or not, in one call or in many, and whatever calls come in between."""
    x, y = data(50, layers, dtype)
    net, twin = (make(backend, optimizer, dtype, layers) for _ in range(2))
    net.fit(x, y, epochs=2, batch_size=8, shuffle=False)
    net.train_on_batch(x[:9], y[:9])
    net.fit(x, y, epochs=1, batch_size=20, shuffle=False)
    for size, epochs in ((8, 2), (9, 0), (20, 1)):
        for start in [0] if epochs == 0 else [*range(0, 50, size)] * epochs:
            twin.train_on_batch(x[start : start + size], y[start : start + size])
    assert everything(net)[:3] == everything(twin)[:3]
    assert net._state.steps == 7 * 2 + 1 + 3


@pytest.mark.parametrize("optimizer", [pn.SGD(0.05, momentum=0.9), pn.Adam(0.01, eps=1e-3)], ids=["sgd", "adam"])
def test_sample_weights_count_in_the_steps_of_an_optimizer(c_backend, dtype, optimizer):
    """The backends agree; a row of weight 2 is one that comes twice; one of weight 0 has no gradient."""
    x, y = data(24, dtype=dtype)
    weight = np.array([1, 2, 0, 1, 3, 1, 1, 1, *[0] * 8, 1, 0, 2, 2, 1, 1, 1, 1], dtype)
    ours, theirs = make(c_backend, optimizer, dtype), make("numpy", optimizer, dtype)
    losses = [net.fit(x, y, 3, batch_size=8, shuffle=False, sample_weight=weight).loss for net in (ours, theirs)]
    # Nine steps, with a rounding error of each, which an eps of 1e-3 does not magnify.
    assert textbook.difference(*losses) <= 20 * STEP[dtype.name]
    assert textbook.difference(ours.parameters, theirs.parameters) <= 20 * STEP[dtype.name]
    for got, expected in zip(ours._optimizer[1], theirs._optimizer[1], strict=True):
        assert textbook.difference(got, expected) <= 20 * STEP[dtype.name]

    for net in (ours, theirs):
        twin, repeated = net.copy(), np.repeat(np.arange(24), weight.astype(int))
        net.train_on_batch(x, y, sample_weight=weight)
        twin.train_on_batch(x[repeated], y[repeated])
        assert textbook.difference(net.parameters, twin.parameters) <= STEP[dtype.name]

        twin = net.copy()
        twin.train_on_batch(x[:8], y[:8], sample_weight=weight[:8])
        net.fit(x[:16], y[:16], batch_size=8, shuffle=False, sample_weight=weight[:16])  # and then one without gradient
        assert not np.array_equal(net.parameters, twin.parameters)
        momentum = optimizer.betas[0] if isinstance(optimizer, pn.Adam) else optimizer.momentum
        assert textbook.difference(net._optimizer[1][0], momentum * twin._optimizer[1][0]) <= STEP[dtype.name]


@OF_EACH_KIND
def test_what_fades_away_becomes_0(backend, dtype, optimizer):
    """And does not stay subnormal, where each step would take several times as long."""
    layers = [(3, 11, "relu", True), (11, 1, "identity", True)]
    net = make(backend, optimizer, dtype, layers)
    x, y = np.zeros((4, 3), dtype), np.zeros((4, 1), dtype)
    net.train_on_batch(x, y)
    tiny, state = np.finfo(dtype).tiny, net._optimizer[1]
    if state is None:
        return
    state[:] = np.resize([tiny, -tiny, 2 * tiny, 0, 1e3 * tiny], state.shape)
    if isinstance(optimizer, pn.RMSprop | pn.Adagrad | pn.Adam):
        state[:] = abs(state)
    before = state.copy()
    net.parameters[:] = 0  # and so is the gradient
    for _ in range(3):
        net.train_on_batch(x, y)
    size = abs(state)
    assert np.isfinite(state).all()
    assert not ((size > 0) & (size < tiny)).any()
    assert isinstance(optimizer, pn.Adagrad) or not np.array_equal(state, before)


@pytest.mark.parametrize("optimizer", [pn.SGD(), pn.SGD(0.3)])
def test_plain_gradient_descent_counts_steps_in_small_calls_too(backend, optimizer):
    """Their number decides the rates of a schedule that may come later."""
    net, (x, y) = make(backend, optimizer), data(8)
    net.fit(x, y, epochs=3)
    net.train_on_batch(x, y)
    net.fit(x, y, epochs=2, batch_size=3)
    assert net._state.steps == 3 + 1 + 6


def test_default_is_gradient_descent_with_a_rate_of_a_tenth(backend):
    x, y = data()
    nets = [textbook.network(SMALL, "mean_squared_error", seed=2, backend=backend), make(backend, pn.SGD(0.1))]
    assert nets[0].optimizer == pn.SGD(0.1) == pn.SGD()
    for net, arguments in zip(nets, ({}, {"learning_rate": 0.1}), strict=True):
        net.fit(x, y, epochs=3, batch_size=5, **arguments)
        net.train_on_batch(x, y, **arguments)
    assert everything(nets[0]) == everything(nets[1])


@OF_EACH_KIND
def test_learning_rate_of_a_call_overrides_that_of_the_optimizer(backend, optimizer):
    x, y = data()
    net, twin = make(backend, optimizer), make(backend, dataclasses.replace(optimizer, learning_rate=0.03))
    net.train_on_batch(x, y, learning_rate=0.03)
    twin.train_on_batch(x, y)
    net.fit(x, y, epochs=2, batch_size=10, learning_rate=0.03)
    twin.fit(x, y, epochs=2, batch_size=10)
    assert everything(net) == everything(twin)


def test_small_learning_rate_is_taken_by_small_calls_alike(c_backend):
    """None asks for the optimizer's, in calls that are small and in those that are not."""
    x, y = data(8)
    net, twin = make(c_backend, pn.SGD(0.25)), make(c_backend, pn.SGD(0.5))
    assert net._small.train_on_batch(x, y, None) is not None
    twin.train_on_batch(x.tolist(), y.tolist(), 0.25)
    assert everything(net) == everything(twin)


@OF_EACH_KIND
def test_small_calls_leave_all_but_plain_gradient_descent_to_the_general_path(c_backend, optimizer):
    net, (x, y) = make(c_backend, optimizer), data(8)
    before = everything(net)
    assert net._small.train_on_batch(x, y, 0.1) is None
    assert net._small.fit(x, y, 1, 0.1, None, True) is None
    assert everything(net) == before


@pytest.mark.parametrize("limit", [{"clip_norm": 1e-3}, {"clip_value": 1e-4}, {"clip_norm": 1e9, "clip_value": 1e9}])
def test_clipping_bounds_the_step(backend, dtype, limit):
    x, y = data(dtype=dtype)
    net = make(backend, pn.SGD(1.0, **limit), dtype)
    before = net.parameters.copy()
    _, gradient = net.loss_and_gradient(x, y)
    net.train_on_batch(x, y)
    gradient = gradient.astype(np.float64)
    expected = np.clip(gradient, -limit.get("clip_value", 1), limit.get("clip_value", 1))
    if "clip_norm" in limit:
        expected *= min(1, limit["clip_norm"] / (np.linalg.norm(expected) + 1e-6))
    step = (before - net.parameters).astype(np.float64)
    rounding = np.finfo(dtype).eps * 4  # of parameters below 2
    np.testing.assert_allclose(step, expected, rtol=1e-5 if dtype == "float32" else 1e-12, atol=rounding)
    assert np.abs(gradient).max() > 1e-3  # so the small limits count
    assert np.linalg.norm(gradient) > 1e-2


# ---- The state -------------------------------------------------------------------------------------------------------


@OF_EACH_KIND
@pytest.mark.parametrize("way", ["copy", "copy.copy", "deepcopy", "pickle", "other-backend"])
def test_copies_go_on_as_the_network_does(backend, dtype, optimizer, way):
    x, y = data(dtype=dtype)
    net = make(backend, optimizer, dtype)
    net.fit(x, y, epochs=2, batch_size=7)
    twin = {
        "copy": net.copy, "copy.copy": lambda: copy.copy(net), "deepcopy": lambda: copy.deepcopy(net),
        "pickle": lambda: pickle.loads(pickle.dumps(net)),
        "other-backend": lambda: net.copy("numpy" if backend == "c" else "c").copy(backend),
    }[way]()  # fmt: skip
    assert twin.optimizer == optimizer
    assert everything(twin) == everything(net)
    twin.fit(x, y, epochs=2, batch_size=7)
    assert everything(twin) != everything(net)  # they share nothing
    net.fit(x, y, epochs=2, batch_size=7)
    assert everything(twin) == everything(net)


def test_assigning_an_optimizer_begins_its_state_anew(backend):
    x, y = data()
    net, fresh = make(backend, pn.Adam()), make(backend, pn.Adam())
    net.fit(x, y, epochs=3, batch_size=7)
    fresh.parameters = net.parameters
    net.optimizer = net.optimizer
    assert net._state.steps == 0
    for one in (net, fresh):
        one.train_on_batch(x, y)
    assert everything(net)[:3] == everything(fresh)[:3]
    net.optimizer = pn.SGD(0.2)
    assert net.optimizer == pn.SGD(0.2)
    assert net._optimizer[1] is None


def test_pickles_from_before_there_were_optimizers_have_the_default(backend):
    state = make(backend, pn.SGD()).__getstate__()
    old = {name: value for name, value in state.items() if not name.startswith("optimizer")}
    net = object.__new__(pn.Network)
    net.__setstate__(old)
    assert net.optimizer == pn.SGD(0.1)
    assert everything(net) == everything(make(backend, pn.SGD()))


@pytest.mark.parametrize(
    ("entry", "value", "words"),
    [
        ("optimizer", None, "optimizer must be one of pn.SGD"),
        ("optimizer_steps", -1, "it is -1, not an integer from 0"),
        ("optimizer_state", None, "it is NoneType, not an array of float64 with shape (2, 63)"),
        ("optimizer_state", np.zeros((1, 63)), "it is float64 (1, 63), not an array of float64 with shape (2, 63)"),
        ("optimizer_state", np.full((2, 63), np.nan), "it is not finite"),
    ],
)
def test_wrong_state_in_a_pickle_is_refused(entry, value, words):
    net = make("numpy", pn.Adam())
    before = everything(net)
    with pytest.raises(ValueError, match=f"in the state of a network, '{entry}' is wrong") as caught:
        net.__setstate__({**net.__getstate__(), entry: value})
    assert words in str(caught.value)
    assert everything(net) == before


@OF_EACH_KIND
def test_interrupted_run_ends_with_the_bits_of_one_that_is_not(backend, optimizer):
    x, y = data()
    net, whole = make(backend, optimizer), make(backend, optimizer)
    whole.fit(x, y, epochs=4, batch_size=5)
    fit_interrupted(net, 7, x, y, epochs=4, batch_size=5)
    assert (net.epochs_trained, net._state.steps, net._state.begun.row) == (1, 7, 10)
    net = pickle.loads(pickle.dumps(net))
    net.fit(x, y, epochs=3, batch_size=5)
    assert everything(net) == everything(whole)


def test_interrupted_epoch_is_not_taken_up_with_another_state(backend):
    """What was begun with other moments would end nowhere: a new epoch begins instead."""
    x, y = data()
    net = make(backend, pn.Adam())
    fit_interrupted(net, 2, x, y, batch_size=5)
    net.optimizer = pn.Adam()
    net.fit(x, y, batch_size=5)
    assert net._state.steps == 5  # not 3, the rest of an epoch


class AlarmError(Exception):
    pass


@OF_EACH_KIND
def test_step_whose_end_is_interrupted_is_counted_once(backend, optimizer):
    x, y = data()
    net, twin = make(backend, optimizer), make(backend, optimizer)
    for _ in range(3):
        twin.train_on_batch(x[:20], y[:20])
    train = net._model.train

    def train_and_fail(*arguments):
        net._model.train = train
        train(*arguments)
        raise AlarmError

    net.train_on_batch(x[:20], y[:20])
    net._model.train = train_and_fail
    with pytest.raises(AlarmError):
        net.train_on_batch(x[:20].tolist(), y[:20].tolist())
    net.train_on_batch(x[:20], y[:20])
    assert everything(net) == everything(twin)


DEEP = [(5, 7, "identity", True), (7, 7, "identity", True), (7, 3, "identity", True)]


def exploding(kind, dtype):
    """One whose steps grow until something overflows."""
    power = 1 if dtype == "float32" else 8
    if kind is pn.Rprop:
        return pn.Rprop(10.0 ** (9 * power), step_sizes=(1e-6, 10.0 ** (10 * power)))
    return kind(lambda step: 10.0 ** (power * step))


@pytest.mark.parametrize("name", pn.optimizers.OPTIMIZERS)
@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_divergence_leaves_the_state_of_the_last_finite_step(backend, dtype, name, scale):
    """As the steps one by one have it, of which the last one is refused and changes nothing."""
    optimizer = exploding(pn.optimizers.OPTIMIZERS[name], dtype)
    x, y = data(24, DEEP, dtype)
    x = x * dtype.type(scale)
    net, twin = make(backend, optimizer, dtype, DEEP), make(backend, optimizer, dtype, DEEP)
    states = [everything(twin)[:3]]
    for start in [0, 8, 16] * 12:
        try:
            twin.train_on_batch(x[start : start + 8], y[start : start + 8])
        except pn.DivergedError:
            break
        states.append(everything(twin)[:3])
    assert everything(twin)[:3] == states[-1]
    with pytest.raises(pn.DivergedError):
        net.fit(x, y, epochs=12, batch_size=8, shuffle=False)
    # An update that is not finite is refused at once; a loss that is not, only after an update that was finite, whose
    # parameters a run does not keep.
    assert everything(net)[:3] in states[-2:]
    assert np.isfinite(net.parameters).all()


def test_state_that_overflows_is_a_divergence(backend):
    """The mean square is infinite before any parameter is: they would never move again."""
    x, y = data(dtype="float32")
    net = make(backend, pn.Adam(), "float32", [(5, 3, "identity", True)])
    before = everything(net)
    with pytest.raises(pn.DivergedError):
        net.train_on_batch(x * np.float32(1e15), y * np.float32(1e15))
    assert everything(net) == before


def test_optimizer_cannot_be_changed_amid_a_run(backend):
    x, y = data()
    net = make(backend, pn.Adam())
    original = net._model.train

    def train(*arguments):
        with pytest.raises(RuntimeError, match="being trained: its optimizer cannot be changed"):
            net.optimizer = pn.SGD()
        original(*arguments)

    net._model.train = train
    net.fit(x, y)
    assert net.optimizer == pn.Adam()


def test_run_in_slices_has_the_bits_of_one_call(c_backend, dtype):
    """At the seam, where slices are chosen; with every option that keeps an array."""
    x, y = data(50, WIDE, dtype)
    for optimizer in KINDS:
        results = []
        for max_steps in (10**6, 1, 5):
            net = make(c_backend, optimizer, dtype, WIDE)
            training = Training(3, 8, 1e-3, True, 5, optimizer=optimizer, state=net._optimizer[1])
            progress, losses = Progress(), np.empty(3)
            while progress.epoch < 3:
                net._model.train(x, y, training, progress, losses, max_steps)
            results.append((everything(net)[:2], losses.tobytes()))
        assert results[0] == results[1] == results[2], optimizer


# ---- Options ---------------------------------------------------------------------------------------------------------


def test_optimizers_are_frozen_and_compare_by_their_options():
    adam = pn.Adam(1e-2, betas=[0.8, 0.9])
    assert adam == pn.Adam(0.01, betas=(0.8, 0.9)) != pn.AdamW(0.01, betas=(0.8, 0.9), weight_decay=0)
    assert hash(adam) == hash(pn.Adam(0.01, betas=(0.8, 0.9)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        adam.eps = 1
    assert eval(repr(adam), vars(pn)) == adam


@pytest.mark.parametrize(
    ("kind", "options", "error", "words"),
    [
        (pn.SGD, {"learning_rate": 0}, ValueError, "learning_rate must be finite and above 0, not 0"),
        (pn.SGD, {"learning_rate": np.nan}, ValueError, "learning_rate must be finite and above 0, not nan"),
        (pn.SGD, {"learning_rate": "fast"}, TypeError, "learning_rate must be a number or a function of the step's"),
        (pn.SGD, {"momentum": -0.1}, ValueError, "momentum must be finite and at least 0, not -0.1"),
        (pn.SGD, {"momentum": 0.9, "nesterov": 1}, TypeError, "nesterov must be True or False, not 1"),
        (pn.SGD, {"nesterov": True}, ValueError, "nesterov needs a momentum above 0"),
        (pn.SGD, {"weight_decay": np.inf}, ValueError, "weight_decay must be finite and at least 0, not inf"),
        (pn.SGD, {"clip_norm": 0}, ValueError, "clip_norm must be finite and above 0, not 0"),
        (pn.SGD, {"clip_value": -1}, ValueError, "clip_value must be finite and above 0, not -1"),
        (pn.SGD, {"clip_value": True}, TypeError, "clip_value must be a number, not True"),
        (pn.RMSprop, {"alpha": 1}, ValueError, "alpha must be at least 0 and below 1, not 1"),
        (pn.RMSprop, {"eps": 0}, ValueError, "eps must be finite and above 0, not 0"),
        (pn.RMSprop, {"centered": None}, TypeError, "centered must be True or False, not None"),
        (pn.Adagrad, {"learning_rate_decay": -1}, ValueError, "learning_rate_decay must be finite and at least 0"),
        (pn.Adagrad, {"initial_accumulator_value": "a"}, TypeError, "initial_accumulator_value must be a number"),
        (pn.Adam, {"betas": 0.9}, TypeError, "betas must be a pair of numbers, not 0.9"),
        (pn.Adam, {"betas": (0.9, 1.0)}, ValueError, "betas[1] must be at least 0 and below 1, not 1.0"),
        (pn.AdamW, {"amsgrad": "yes"}, TypeError, "amsgrad must be True or False, not 'yes'"),
        (pn.Rprop, {"etas": (1.2, 0.5)}, ValueError, "etas must be a number below 1 and one above 1, not (1.2, 0.5)"),
        (pn.Rprop, {"step_sizes": (1, 0.1)}, ValueError, "step_sizes must be the smallest and the largest step"),
        (pn.Rprop, {"step_sizes": (0, 1)}, ValueError, "step_sizes[0] must be finite and above 0, not 0"),
    ],
)
def test_wrong_option_is_refused(kind, options, error, words):
    with pytest.raises(error) as caught:
        kind(**options)
    assert words in str(caught.value)


@pytest.mark.parametrize("value", [None, "adam", pn.Adam, 0.1, pn.optimizers])
def test_what_is_no_optimizer_is_refused(backend, value):
    words = "optimizer must be one of pn.SGD(...), pn.RMSprop(...), pn.Adagrad(...), pn.Adam(...), pn.AdamW(...), "
    net = make(backend, pn.Adam())
    before = everything(net)
    for call in (lambda: make(backend, value), lambda: setattr(net, "optimizer", value)):
        with pytest.raises(TypeError) as caught:
            call()
        assert words in str(caught.value)
    assert everything(net) == before
    assert net.optimizer == pn.Adam()
    with pytest.raises(TypeError, match=r"choose one of pn\.SGD"):
        pn.optimizers.Optimizer(0.1)


@pytest.mark.parametrize(
    ("optimizer", "words"),
    [
        (pn.SGD(1e-60), "the optimizer's learning_rate must be finite and above 0 in float32, not 1e-60"),
        (pn.Adam(eps=1e-60), "the optimizer's eps must be finite and above 0 in float32, not 1e-60"),
        (pn.SGD(clip_norm=1e60), r"the optimizer's clip_norm must be finite and above 0 in float32, not 1e\+60"),
        (pn.Rprop(step_sizes=(1e-60, 1)), "the optimizer's step_min must be finite and above 0 in float32"),
    ],
)
def test_option_that_is_zero_or_infinite_in_float32_is_refused(backend, optimizer, words):
    with pytest.raises(ValueError, match=words):
        make(backend, optimizer, "float32")
    make(backend, optimizer, "float64")
