"""Dense and Network: parameters and views, copies, pickles, starting weights, seeds, dtypes."""

import copy
import pickle

import numpy as np
import pytest

import plainnet as pn
from plainnet.initializers import INITIALIZERS

import textbook

LAYERS = [(5, 7, "tanh", True), (7, 3, "sigmoid", False), (3, 2, "sigmoid", True)]


def make(backend, **arguments):
    return textbook.network(LAYERS, arguments.pop("loss", "log_loss"), **{"seed": 1, **arguments}, backend=backend)


def test_dense_keeps_its_description():
    layer = pn.Dense(5, 7, "tanh", bias=False)
    assert (layer.n_in, layer.n_out, layer.activation, layer.has_bias) == (5, 7, "tanh", False)
    assert layer.n_parameters == 35
    assert repr(layer) == "Dense(5, 7, 'tanh', bias=False)"
    assert repr(pn.Dense(np.int64(2), 1)) == "Dense(2, 1, 'identity')"
    assert pn.Dense(5, 7).n_parameters == 42


def test_parameters_are_weight_then_bias_layer_by_layer(backend, dtype):
    net = make(backend, init=np.arange(71), dtype=dtype)
    assert net.parameters.shape == (71,)
    assert net.parameters.dtype == dtype
    assert net.parameters.flags.c_contiguous
    expected = textbook.split(LAYERS, np.arange(71))
    for layer, (weight, bias) in zip(net.layers, expected, strict=True):
        np.testing.assert_array_equal(layer.weight, weight)
        if bias is None:
            assert layer.bias is None
        else:
            np.testing.assert_array_equal(layer.bias, bias)


def test_weight_and_bias_are_live_views(backend):
    net = make(backend)
    x = np.ones((1, 5))
    for change in (
        lambda: net.layers[0].weight.__setitem__((0, 0), 3.0),
        lambda: net.layers[0].bias.__setitem__(2, -3.0),
        lambda: net.parameters.__setitem__(70, 1.5),
        lambda: setattr(net.layers[2], "weight", [[1, 2], [3, 4], [5, 6]]),
        lambda: setattr(net.layers[2], "bias", [7, 8]),
        lambda: setattr(net, "parameters", np.linspace(-1, 1, 71)),
    ):
        before = net.predict(x), net.parameters.copy()
        array = net.parameters
        change()
        assert net.parameters is array
        assert not np.array_equal(net.predict(x), before[0])
        assert not np.array_equal(net.parameters, before[1])
        np.testing.assert_allclose(net.predict(x), textbook.forward(LAYERS, net.parameters, x), rtol=1e-13)
    weight = net.layers[0].weight
    net.fit(x, [[0.0, 1.0]], epochs=1)
    assert np.shares_memory(weight, net.parameters)
    np.testing.assert_array_equal(weight.ravel(), net.parameters[:35])


def test_network_makes_its_own_layers(backend):
    """One Dense may be given twice, and to several networks."""
    layer = pn.Dense(3, 3, "tanh")
    net, other = (pn.Network([layer, layer], seed=1, backend=backend) for _ in range(2))
    assert net.layers[0] is not layer
    assert not np.shares_memory(net.layers[0].weight, net.layers[1].weight)
    net.layers[0].weight[...] = 0
    assert net.layers[1].weight.all()
    assert other.layers[0].weight.all()
    with pytest.raises(AttributeError):
        _ = layer.weight


def test_network_accepts_any_iterable_of_layers(backend):
    assert pn.Network((pn.Dense(2, 3) for _ in range(1)), backend=backend).predict([[1, 2]]).shape == (1, 3)


def test_defaults_are_those_documented():
    net = pn.Network([pn.Dense(2, 3)])
    assert net.backend == "c"
    assert net.loss == "mean_squared_error"
    assert net.dtype == np.float64
    assert net.layers[0].activation == "identity"
    assert net.layers[0].has_bias


def test_repr_says_what_it_is(backend):
    assert repr(make(backend)) == (
        "Network([Dense(5, 7, 'tanh'), Dense(7, 3, 'sigmoid', bias=False), Dense(3, 2, 'sigmoid')], "
        f"loss='log_loss', dtype='float64', backend='{backend}')"
    )


# ---- Starting weights ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("init", "mean", "deviation", "least", "most"),
    [
        # n_in = 300, n_out = 200. A uniform variable on +-c has deviation c / sqrt 3.
        ("glorot", 0, np.sqrt(2 / 500), -np.sqrt(6 / 500), np.sqrt(6 / 500)),
        ("he", 0, np.sqrt(2 / 300), -np.inf, np.inf),
        ("glorot_uniform", 0, np.sqrt(2 / 500), -np.sqrt(6 / 500), np.sqrt(6 / 500)),
        ("he_uniform", 0, np.sqrt(2 / 300), -np.sqrt(6 / 300), np.sqrt(6 / 300)),
        ("lecun_uniform", 0, np.sqrt(1 / 300), -np.sqrt(3 / 300), np.sqrt(3 / 300)),
        # Cut off at two deviations of the distribution from before, which is 1 / 0.8796 times as wide.
        ("glorot_normal", 0, np.sqrt(2 / 500), -2 * np.sqrt(2 / 500) / 0.8796, 2 * np.sqrt(2 / 500) / 0.8796),
        ("he_normal", 0, np.sqrt(2 / 300), -2 * np.sqrt(2 / 300) / 0.8796, 2 * np.sqrt(2 / 300) / 0.8796),
        ("lecun_normal", 0, np.sqrt(1 / 300), -2 * np.sqrt(1 / 300) / 0.8796, 2 * np.sqrt(1 / 300) / 0.8796),
        ("normal", 0, 1, -np.inf, np.inf),
        ("uniform", 0.5, np.sqrt(1 / 12), 0, 1),
    ],
)
def test_init_draws_from_its_distribution(backend, init, mean, deviation, least, most):
    net = pn.Network([pn.Dense(300, 200)], init=init, seed=0, backend=backend)
    weight = net.layers[0].weight
    # 60000 draws: mean and deviation are within 5 standard errors, deviation / 245 and deviation / 346.
    assert weight.mean() == pytest.approx(mean, abs=5 * deviation / 245)
    assert weight.std() == pytest.approx(deviation, rel=5 / 346)
    assert least <= weight.min()
    assert weight.max() <= most
    assert (net.layers[0].bias == 0).all()


@pytest.mark.parametrize("sizes", [(30, 20), (20, 30), (25, 25), (1, 1), (7, 1), (1, 7)])
def test_init_orthogonal_is_orthogonal(backend, dtype, sizes):
    weight = pn.Network([pn.Dense(*sizes)], init="orthogonal", seed=0, dtype=dtype, backend=backend).layers[0].weight
    weight = weight.astype(float)
    short = weight if sizes[0] >= sizes[1] else weight.T
    # Sums of up to 30 products of numbers below 1, which are rounded to the dtype.
    np.testing.assert_allclose(short.T @ short, np.eye(min(sizes)), rtol=0, atol=10 * np.finfo(dtype).eps)


def test_init_orthogonal_has_both_signs(backend):
    """A decomposition alone has the diagonal of one sign, so that a matrix of one number would be the same always."""
    drawn = {
        pn.Network([pn.Dense(1, 1)], init="orthogonal", seed=seed, backend=backend).parameters[0] for seed in range(20)
    }
    assert drawn == {-1.0, 1.0}


def test_init_as_an_array_is_copied(backend, dtype):
    init = np.arange(71.0)
    net = make(backend, init=init, dtype=dtype)
    net.parameters[0] = -1
    assert init[0] == 0
    np.testing.assert_array_equal(make(backend, init=init.tolist(), dtype=dtype).parameters, init)


def test_seed_decides_the_start_on_every_backend(backend):
    for init in INITIALIZERS:
        np.testing.assert_array_equal(make(backend, init=init).parameters, make("numpy", init=init).parameters)
        assert not np.array_equal(make(backend, init=init, seed=2).parameters, make(backend, init=init).parameters)
    assert not np.array_equal(make(backend, seed=None).parameters, make(backend, seed=None).parameters)


def test_seed_takes_what_default_rng_takes(backend):
    expected = make(backend, seed=7).parameters
    for seed in (np.random.default_rng(7), np.random.SeedSequence(7), np.random.PCG64(7), np.int32(7), [7]):
        np.testing.assert_array_equal(make(backend, seed=seed).parameters, expected)
    rng = np.random.default_rng(7)
    assert not np.array_equal(make(backend, seed=rng).parameters, make(backend, seed=rng).parameters)


def test_float32_starts_at_the_rounded_float64_start(backend):
    np.testing.assert_array_equal(
        make(backend, dtype="float32").parameters, make(backend).parameters.astype(np.float32)
    )


@pytest.mark.parametrize("given", ["float32", np.float32, np.dtype("f4"), "f4", "single"])
def test_dtype_is_taken_in_any_spelling(backend, given):
    net = make(backend, dtype=given)
    assert net.dtype == np.float32
    assert net.parameters.dtype == np.float32
    x = np.ones((1, 5))
    assert net.predict(x).dtype == np.float32
    loss, gradient = net.loss_and_gradient(x, [[0, 1]])
    assert isinstance(loss, float)
    assert gradient.dtype == np.float32
    assert isinstance(net.train_on_batch(x, [[0, 1]]), float)


# ---- Copies ----------------------------------------------------------------------------------------------------------


def copies():
    return {
        "copy": lambda net: net.copy(),
        "copy.copy": copy.copy,
        "deepcopy": copy.deepcopy,
        **{f"pickle-{p}": lambda net, p=p: pickle.loads(pickle.dumps(net, p)) for p in range(2, 6)},
    }


@pytest.mark.parametrize("how", copies())
def test_copy_has_the_same_state_and_shares_nothing(backend, dtype, how):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((9, 5)), rng.random((9, 2))
    net = make(backend, dtype=dtype)
    net.fit(x, y, epochs=3, batch_size=2)
    twin = copies()[how](net)
    assert repr(twin) == repr(net)
    assert twin.epochs_trained == 3
    assert not np.shares_memory(twin.parameters, net.parameters)
    np.testing.assert_array_equal(twin.parameters, net.parameters)
    for parameters in (net.parameters, twin.parameters):
        assert parameters.ctypes.data % 64 == 0, "vectors straddle cache lines"
    # The order of the mini-batches to come is part of the state.
    ours, theirs = net.fit(x, y, epochs=3, batch_size=2), twin.fit(x, y, epochs=3, batch_size=2)
    np.testing.assert_array_equal(ours.loss, theirs.loss)
    np.testing.assert_array_equal(twin.parameters, net.parameters)
    twin.layers[0].weight[...] = 0
    assert net.layers[0].weight.any()
    assert not twin.parameters[:35].any()


def test_copy_on_another_backend(backend):
    net = make(backend)
    for name in ("c", "numpy"):
        twin = net.copy(backend=name)
        assert twin.backend == name
        assert net.backend == backend
        np.testing.assert_array_equal(twin.parameters, net.parameters)
        np.testing.assert_allclose(twin.predict(np.ones((2, 5))), net.predict(np.ones((2, 5))), rtol=1e-14)


def test_copy_outlives_the_original(backend):
    """C holds pointers into the parameters: they belong to the copy alone."""
    net = make(backend)
    expected = net.predict(np.ones((3, 5)))
    twin, view = net.copy(), net.layers[0].weight
    del net
    filler = [np.full(71, np.nan) for _ in range(100)]
    np.testing.assert_array_equal(twin.predict(np.ones((3, 5))), expected)
    assert np.isfinite(view).all()
    del filler


class Named(pn.Network):
    """A subclass with attributes of its own, in its dictionary and in slots."""

    __slots__ = ("note",)

    def __init__(self, name, *arguments, **more):
        super().__init__(*arguments, **more)
        self.name = name


@pytest.mark.parametrize("how", [*copies(), "copy on the other backend"])
def test_copy_has_the_class_and_the_attributes(backend, how):
    net = Named("first", [pn.Dense(2, 3), pn.Dense(3, 1)], seed=1, backend=backend)
    net.scale, net.note = np.array([1.0, 2.0]), ["a note"]
    net.itself = [net]
    other = "numpy" if backend == "c" else "c"
    twin = copies().get(how, lambda net: net.copy(backend=other))(net)
    assert type(twin) is Named
    assert twin.name == "first"
    assert twin.note == ["a note"]
    np.testing.assert_array_equal(twin.scale, net.scale)
    assert sorted(vars(twin)) == sorted(vars(net))
    is_deep = how == "deepcopy" or how.startswith("pickle")
    assert (twin.scale is net.scale) != is_deep
    assert (twin.note is net.note) != is_deep
    assert twin.itself[0] is (twin if is_deep else net)
    del net.name, net.note
    assert (twin.name, twin.note) == ("first", ["a note"])
    assert not hasattr(copies()["copy"](net), "note")


def test_what_is_no_attribute_of_the_user_is_known(backend):
    """Otherwise it would be copied as one."""
    assert set(vars(make(backend))) == pn.network._OWN


def state_with(**entries):
    return lambda state: state | entries


#: name: (what is done to a good state, what the error must name)
WRONG_STATES = {
    "no dict": (lambda state: list(state.items()), ["dict", "list"]),
    "empty": (lambda state: {}, ["missing", "'layers'"]),
    "missing": (lambda state: {name: state[name] for name in state if name != "begun"}, ["missing are ['begun']"]),
    "unknown": (state_with(momentum=0.9), ["unknown", "'momentum'"]),
    "layers-fewer": (lambda state: state | {"layers": state["layers"][:-1]}, ["parameters", "(71,)", "(63,)"]),
    "layers-wider": (lambda state: state | {"layers": [*state["layers"], (2, 2, "sigmoid", True)]},
                     ["parameters", "(77,)"]),
    "layers-no-chain": (lambda state: state | {"layers": state["layers"][::2]}, ["layers", "n_in is 3"]),
    "layers-none": (state_with(layers=None), ["layers"]),
    "layers-empty": (state_with(layers=[]), ["layers", "at least one"]),
    "layers-huge": (state_with(layers=[(2**62, 2**62, "tanh", True)]), ["layers"]),
    "layers-negative": (state_with(layers=[(-5, 7, "tanh", True)]), ["layers", "-5"]),
    "layers-activation": (state_with(layers=[(5, 7, "swish", True)]), ["layers", "swish"]),
    "layers-short": (state_with(layers=[(5,)]), ["layers"]),
    "loss": (state_with(loss="hinge"), ["loss", "hinge"]),
    "loss-none": (state_with(loss=None), ["loss", "None"]),
    "loss-of-other-layers": (state_with(layers=[(5, 7, "tanh", True)]), ["loss", "sigmoid"]),
    "dtype": (state_with(dtype="float16"), ["dtype", "float16"]),
    "dtype-other": (state_with(dtype="float32"), ["parameters", "float64"]),
    "backend": (state_with(backend="cuda"), ["backend", "cuda"]),
    "parameters-short": (lambda state: state | {"parameters": state["parameters"][:-1]},
                         ["parameters", "(70,)", "(71,)"]),
    "parameters-long": (state_with(parameters=np.zeros(72)), ["parameters", "(72,)"]),
    "parameters-2d": (state_with(parameters=np.zeros((71, 1))), ["parameters", "(71, 1)"]),
    "parameters-float32": (state_with(parameters=np.zeros(71, "f4")), ["parameters", "float32"]),
    "parameters-object": (state_with(parameters=np.zeros(71, object)), ["parameters", "object"]),
    "parameters-list": (state_with(parameters=[0.0] * 71), ["parameters", "list"]),
    "parameters-bytes": (state_with(parameters=b"0" * 8 * 71), ["parameters", "bytes"]),
    **{f"shuffle_seed={value!r}": (state_with(shuffle_seed=value), ["shuffle_seed", repr(value)])
       for value in (-1, 2**64, 1.0, None, True, "1")},
    **{f"epochs_trained={value!r}": (state_with(epochs_trained=value), ["epochs_trained", repr(value)])
       for value in (-1, 2**63, 1.0, None, True, "1")},
    **{f"begun={value!r}": (state_with(begun=value), ["begun"])
       for value in (1, (), "x", (9, 2, True, 5, 4), (9, 2, True, 5, 4, np.nan), (9, 2, True, 5, 4, 1),
                     (9, 2, True, 5, 0, 1.0), (9, 2, True, 5, 10, 1.0), (9, 2, True, 5, 3, 1.0),
                     (9, 0, True, 5, 4, 1.0), (9, -2, True, 5, 4, 1.0), (9, 2, 1, 5, 4, 1.0),
                     (9, 2, True, -5, 4, 1.0), (9, 2, True, 5, -4, 1.0))},
    "attributes-list": (state_with(attributes=["a"]), ["attributes"]),
    "attributes-keys": (state_with(attributes={1: 2}), ["attributes"]),
    "attributes-own": (state_with(attributes={"_model": None}), ["attributes", "_model"]),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_STATES)
def test_wrong_state_is_refused_and_leaves_the_network_alone(backend, name):
    """C would write past the end of parameters that are too few."""
    change, parts = WRONG_STATES[name]
    net = make(backend)
    net.fit(np.ones((9, 5)), np.ones((9, 2)), batch_size=4)
    net.note = "kept"
    state = net.__getstate__()
    before = pickle.dumps(net), net.parameters
    with pytest.raises(ValueError, match="state of a network") as caught:
        net.__setstate__(change(state))
    for part in parts:
        assert part in str(caught.value)
    assert pickle.dumps(net) == before[0]
    assert net.parameters is before[1]
    new = object.__new__(pn.Network)
    with pytest.raises(ValueError, match="state of a network"):
        new.__setstate__(change(state))
    assert vars(new) == {}


def test_good_states_are_taken(backend, dtype):
    """From a machine of the other byte order, with parameters that are not finite, and within an epoch."""
    net = make(backend, dtype=dtype)
    net.parameters[3] = np.nan
    state = net.__getstate__()
    swapped = state["parameters"].astype(dtype.newbyteorder())
    twin = make(backend)
    twin.note = "gone with the other network"
    twin.__setstate__(state | {"parameters": swapped, "begun": (9, 2, True, 5, 4, 1.0), "attributes": {"note": 1}})
    np.testing.assert_array_equal(twin.parameters, net.parameters)
    assert twin.parameters.dtype == dtype
    assert twin.parameters.dtype.isnative
    assert tuple(twin._state.begun) == (9, 2, True, 5, 4, 1.0)
    assert twin.note == 1
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(twin)).parameters, net.parameters)


def test_epochs_trained_is_a_count(backend):
    net = make(backend)
    net.epochs_trained = np.int64(7)
    for wrong, error in ((-1, ValueError), (2**64, ValueError), (1.0, TypeError), (None, TypeError), (True, TypeError)):
        with pytest.raises(error, match="epochs_trained"):
            net.epochs_trained = wrong
    assert net.epochs_trained == 7


# ---- Writing to parameters -------------------------------------------------------------------------------------------

PROTECTED = {
    "parameters": lambda net: net.parameters,
    "layers[0].weight": lambda net: net.layers[0].weight,
    "layers[0].bias": lambda net: net.layers[0].bias,
    "layers[2].bias": lambda net: net.layers[2].bias,
}


@pytest.mark.parametrize("name", PROTECTED)
@pytest.mark.parametrize("convert", [np.asarray, np.ndarray.tolist])
def test_write_protected_parameters_are_not_trained(backend, dtype, name, convert):
    """Small calls and the general path, runs and single steps: all raise the same error, and change nothing."""
    net = make(backend, dtype=dtype)
    rng = np.random.default_rng(0)
    x, y = (convert(rng.random((9, n)).astype(dtype)) for n in (5, 2))
    PROTECTED[name](net).flags.writeable = False
    before = pickle.dumps(net)
    for call in (
        lambda: net.fit(x, y),
        lambda: net.fit(x, y, epochs=10**9),
        lambda: net.fit(x, y, epochs=2, batch_size=4),
        lambda: net.train_on_batch(x, y),
        lambda: setattr(net, "parameters", np.ones(71)),
    ):
        with pytest.raises(ValueError) as caught:  # noqa: PT011
            call()
        assert str(caught.value) == f"{name} is read-only: its flags.writeable is False"
        assert pickle.dumps(net) == before
    assert net.predict(x).shape == (9, 2)
    assert net.loss_and_gradient(x, y)[1].any()
    net.copy().fit(x, y)  # a copy has parameters of its own
    PROTECTED[name](net).flags.writeable = True
    net.fit(x, y)
    net.train_on_batch(x, y)
    assert pickle.dumps(net) != before


SETTERS = {
    "parameters": (lambda net, value: setattr(net, "parameters", value), 71),
    "weight": (lambda net, value: setattr(net.layers[0], "weight", np.reshape(value, (5, 7))), 35),
    "bias": (lambda net, value: setattr(net.layers[0], "bias", value), 7),
}


@pytest.mark.parametrize("name", SETTERS)
def test_numbers_that_are_not_finite_cannot_be_assigned(backend, dtype, name):
    """As with `init`. What only the network's dtype cannot hold is named, and so is the largest that it can."""
    assign, n = SETTERS[name]
    net = make(backend, dtype=dtype)
    before = net.parameters.copy()
    for bad in (np.nan, np.inf, -np.inf, 1e300):
        value = np.ones(n)
        value[2] = bad
        if bad == 1e300 and dtype == np.float64:
            assign(net, value)
            assert 1e300 in net.parameters
            net.parameters[:] = before
            continue
        with pytest.raises(ValueError, match=name) as caught:
            assign(net, value)
        assert str(bad) in str(caught.value)
        if np.isfinite(bad):
            assert dtype.name in str(caught.value)
            assert f"{np.finfo(dtype).max:.3g}" in str(caught.value)
        else:
            assert "finite" in str(caught.value)
        np.testing.assert_array_equal(net.parameters, before)


def test_train_on_batch_does_not_allocate_workspace_again(backend):
    """Ten thousand steps after the first do not raise the memory in use."""
    import tracemalloc

    net = make(backend)
    x, y = np.ones((8, 5)), np.ones((8, 2))
    net.train_on_batch(x, y)
    net.fit(x, y, epochs=2)
    tracemalloc.start()
    try:
        for _ in range(50):
            net.train_on_batch(x, y)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(2000 if backend == "c" else 200):
            net.train_on_batch(x, y)
            net.predict(x)
        assert tracemalloc.get_traced_memory()[0] - before < 5000
    finally:
        tracemalloc.stop()


# ---- Paths for small arrays alone ------------------------------------------------------------------------------------


def test_a_predicted_row_is_an_array_of_its_own(backend, dtype):
    net = textbook.network(LAYERS, "log_loss", seed=1, dtype=dtype, backend=backend)
    first, second = np.zeros((1, LAYERS[0][0]), dtype), np.ones((1, LAYERS[0][0]), dtype)
    a = net.predict(first)
    kept = a.copy()
    assert not np.array_equal(net.predict(second), kept)
    np.testing.assert_array_equal(a, kept)
    assert a.base is None
    assert a.flags.carray


def test_repeated_batches_are_checked_like_the_first(backend, dtype):
    """The second batch of the same shape takes a fast path, unless something is wrong with it."""
    net = textbook.network(LAYERS, "log_loss", seed=1, dtype=dtype, backend=backend)
    rng = np.random.default_rng(3)
    x, y = rng.random((4, LAYERS[0][0])).astype(dtype), rng.random((4, LAYERS[-1][1])).astype(dtype)
    for bad_x, bad_y, rate, message in [
        (np.full_like(x, np.nan), y, 0.1, "x"),
        (x, y + 2, 0.1, "0, 1"),
        (x, y, -1.0, "learning_rate"),
        (x, y, np.nan, "learning_rate"),
        (x[:3], y, 0.1, "rows"),
        (x[:, 1:], y, 0.1, "n_in"),
    ]:
        net.train_on_batch(x, y)
        before = net.parameters.copy()
        with pytest.raises(ValueError, match=message):
            net.train_on_batch(bad_x, bad_y, rate)
        np.testing.assert_array_equal(net.parameters, before)


def test_repeated_batches_between_other_calls_have_the_bits_of_a_fresh_network(c_backend, dtype):
    """The workspace that they share with fit is replaced when fit needs a larger one."""
    net, twin = (textbook.network(LAYERS, "log_loss", seed=1, dtype=dtype, backend=c_backend) for _ in range(2))
    rng = np.random.default_rng(3)
    x, y = rng.random((300, LAYERS[0][0])).astype(dtype), rng.random((300, LAYERS[-1][1])).astype(dtype)
    for step in range(12):
        if step % 3 == 2:
            net.fit(x, y, batch_size=20 * step)
            twin.fit(x, y, batch_size=20 * step)
        rows = slice(0, 4 + step // 4)
        loss = net.train_on_batch(x[rows], y[rows])
        twin = twin.copy()  # which knows of no batch before
        assert twin.train_on_batch(x[rows], y[rows]) == loss
        np.testing.assert_array_equal(net.predict(x[:1]), twin.predict(x[:2])[:1])
        np.testing.assert_array_equal(net.parameters, twin.parameters)


def test_a_repeated_batch_may_be_a_view_of_the_parameters(backend):
    net = pn.Network([pn.Dense(2, 2, "tanh"), pn.Dense(2, 1)], seed=0, backend=backend)
    x, y = net.parameters[:4].reshape(2, 2), net.parameters[4:6].reshape(2, 1)
    twin = net.copy()
    for _ in range(3):
        kept = x.copy(), y.copy()
        assert net.train_on_batch(x, y) == twin.train_on_batch(*kept)
        np.testing.assert_array_equal(net.parameters, twin.parameters)
