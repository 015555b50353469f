"""
The fast path for small arrays, which avoids cffi, against the general path: the same bits, and the same errors.

The general path is forced by what the fast path does not take: lists, or an array to write to.
"""

import contextlib
import gc
import pickle
import sys
import threading
import tracemalloc

import numpy as np
import pytest

import plainnet as pn

import textbook
from test_inputs import LAYOUTS, misaligned, read_only

LAYERS = [(3, 5, "tanh", True), (5, 2, "sigmoid", True)]
ROWS = [1, 2, 3, 7, 100]


def network(dtype="float64", backend="c", layers=LAYERS, loss="log_loss", **arguments):
    return textbook.network(layers, loss, seed=1, dtype=dtype, backend=backend, **arguments)


def data(n_rows, dtype, n_in=3, n_out=2):
    rng = np.random.default_rng(n_rows)
    return rng.standard_normal((n_rows, n_in)).astype(dtype), rng.random((n_rows, n_out)).astype(dtype)


def general_predict(net, x):
    """By the general path, which `out` forces."""
    return net.predict(x, out=np.full((len(x), net.layers[-1].n_out), np.nan, net.dtype))


class Subclass(np.ndarray):
    pass


# ---- The same results ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_rows", ROWS)
@pytest.mark.parametrize("hidden", [1, 5, 33, 150])  # from n_rows x 33 or so on, C needs a workspace
def test_predict_has_the_bits_of_the_general_path(backend, dtype, n_rows, hidden):
    layers = [(3, hidden, "tanh", True), (hidden, 9, "relu", False), (9, 2, "sigmoid", True)]
    net, (x, _) = network(dtype, backend, layers), data(n_rows, dtype)
    for _ in range(3):
        a = net.predict(x)
        assert a.tobytes() == general_predict(net, x).tobytes()
        assert (a.shape, a.dtype, type(a)) == ((n_rows, 2), dtype, np.ndarray)


@pytest.mark.parametrize("n_rows", ROWS)
@pytest.mark.parametrize("loss", textbook.LOSSES)
@pytest.mark.parametrize("hidden", [1, 5, 33])
def test_train_on_batch_has_the_bits_of_the_general_path(backend, dtype, n_rows, loss, hidden):
    layers = [(3, hidden, "tanh", True), (hidden, 2, "sigmoid", True)]
    net, twin, fitted = (network(dtype, backend, layers, loss) for _ in range(3))
    x, y = data(n_rows, dtype)
    losses = [net.train_on_batch(x, y, 0.01) for _ in range(5)]
    assert all(type(value) is float for value in losses)
    assert losses == [twin.train_on_batch(x.tolist(), y.tolist(), 0.01) for _ in range(5)]
    assert losses == fitted.fit(x, y, epochs=5, learning_rate=0.01).loss.tolist()
    assert net.parameters.tobytes() == twin.parameters.tobytes() == fitted.parameters.tobytes()


@pytest.mark.parametrize("n_rows", ROWS)
@pytest.mark.parametrize("loss", textbook.LOSSES)
@pytest.mark.parametrize("hidden", [1, 5, 33])
def test_fit_has_the_bits_of_the_general_path(backend, dtype, n_rows, loss, hidden):
    layers = [(3, hidden, "tanh", True), (hidden, 2, "sigmoid", True)]
    net, twin = (network(dtype, backend, layers, loss) for _ in range(2))
    x, y = data(n_rows, dtype)
    for epochs in (1, 2, 9):
        history, expected = net.fit(x, y, epochs, 0.01), twin.fit(x.tolist(), y.tolist(), epochs, 0.01)
        assert history.loss.tobytes() == expected.loss.tobytes()
        assert (history.loss.shape, history.loss.dtype, type(history.loss)) == ((epochs,), np.float64, np.ndarray)
        assert net.parameters.tobytes() == twin.parameters.tobytes()
        assert net.epochs_trained == twin.epochs_trained
    assert net.epochs_trained == 12


def test_runs_of_both_kinds_in_turn(backend, dtype):
    """Mini-batches draw their order by the number of the epoch."""
    net, twin = (network(dtype, backend) for _ in range(2))
    x, y = data(7, dtype)
    for fitted, pair in ((net, (x, y)), (twin, (x.tolist(), y.tolist()))):
        fitted.fit(*pair, 3)
        fitted.fit(*pair, 2, batch_size=3)
        fitted.fit(*pair, 4, batch_size=7, shuffle=False)
        fitted.fit(*pair, 2, batch_size=3)
    assert net.parameters.tobytes() == twin.parameters.tobytes()
    assert net.epochs_trained == twin.epochs_trained == net.copy().epochs_trained == 11


def test_one_layer_and_one_neuron(backend, dtype):
    net, twin = (network(dtype, backend, [(1, 1, "identity", False)], "mean_squared_error") for _ in range(2))
    x = np.array([[2.0]], dtype)
    assert net.predict(x) == general_predict(net, x)
    assert net.train_on_batch(x, x, 0.1) == twin.train_on_batch([[2.0]], [[2.0]], 0.1)
    assert net.parameters == twin.parameters


def test_changed_parameters_count_at_once(backend, dtype):
    net, (x, _) = network(dtype, backend), data(1, dtype)
    before = net.predict(x)
    net.parameters = 2 * net.parameters
    assert not np.array_equal(net.predict(x), before)
    net.layers[1].bias[:] = 0.5
    np.testing.assert_array_equal(net.predict(x), general_predict(net, x))


def test_copies_and_pickles_have_calls_of_their_own(backend, dtype):
    net, (x, y) = network(dtype, backend), data(3, dtype)
    before = net.predict(x)
    for twin in (net.copy(), pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(twin.predict(x), before)
        twin.train_on_batch(x, y)
        np.testing.assert_array_equal(net.predict(x), before)
        assert not np.array_equal(twin.predict(x), before)


# ---- What is small, and what is plain --------------------------------------------------------------------------------


@pytest.mark.parametrize("n_rows", ROWS)
def test_small_plain_arrays_take_the_fast_path(c_backend, dtype, n_rows):
    net, (x, y) = network(dtype, c_backend), data(n_rows, dtype)
    for array in (x, read_only(x), x.view(), pickle.loads(pickle.dumps(x)), np.vstack([x, x])[:n_rows]):
        assert net._small.predict(array) is not None
        assert net._small.train_on_batch(array, read_only(y), 0.1) is not None
        assert net._small.fit(array, read_only(y), 3, 0.1, None, True) is not None
        train, net._model.train = net._model.train, None  # not to be called
        net.fit(array, y, 10)
        net.fit(array, y, 10, batch_size=n_rows, shuffle=False)
        net._model.train = train
        if n_rows > 1:
            twin = net.copy()
            expected = twin.fit(array.tolist(), y.tolist(), 10, batch_size=n_rows - 1).loss
            assert net.fit(array, y, 10, batch_size=n_rows - 1).loss.tobytes() == expected.tobytes()


def test_a_row_of_a_network_of_a_hundred_thousand_parameters_is_small(c_backend, dtype):
    layers = [(784, 128, "relu", True), (128, 10, "sigmoid", True)]
    net, (x, y) = network(dtype, c_backend, layers), data(1, dtype, 784, 10)
    np.testing.assert_array_equal(net._small.predict(x), general_predict(net, x))
    assert net._small.train_on_batch(x, y, 0.1) is None  # but not a step
    assert net.copy().train_on_batch(x.tolist(), y.tolist()) == net.train_on_batch(x, y)


@pytest.mark.parametrize(("layers", "n_rows"), [(LAYERS, 129), ([(3, 300, "tanh", True), (300, 900, "tanh", True)], 1)])
def test_what_would_keep_the_gil_for_long_goes_the_general_path(c_backend, dtype, layers, n_rows):
    net = network(dtype, c_backend, layers, "mean_squared_error")
    x, y = data(n_rows, dtype, 3, layers[-1][1])
    assert net._small.predict(x) is None
    assert net._small.train_on_batch(x, y, 0.1) is None
    assert net._small.fit(x, y, 1, 0.1, None, True) is None
    np.testing.assert_array_equal(net.predict(x), general_predict(net, x))
    assert net.copy().train_on_batch(x.tolist(), y.tolist()) == net.train_on_batch(x, y)


@pytest.mark.parametrize("epochs", [0, -1, 10**6, 2**63, 10**30, True, 2.0, "2", None, np.int64(2)])
def test_other_numbers_of_epochs_are_left_to_the_general_path(c_backend, dtype, epochs):
    net, (x, y) = network(dtype, c_backend), data(3, dtype)
    before = net.parameters.copy()
    assert net._small.fit(x, y, epochs, 0.1, None, True) is None
    np.testing.assert_array_equal(net.parameters, before)
    if epochs != 10**6 and epochs not in (2**63, 10**30):  # which would take their time
        twin = net.copy()
        assert outcome(net.fit, x, y, epochs) == outcome(twin.fit, x.tolist(), y.tolist(), epochs)
        np.testing.assert_array_equal(net.parameters, twin.parameters)


@pytest.mark.parametrize(
    ("batch_size", "shuffle"), [(2, True), (4, True), (0, True), (-1, True), (10**30, True), (3.0, True), (True, True),
                                (np.int64(3), True), (None, 1), (3, None)],
)  # fmt: skip
def test_other_batches_are_left_to_the_general_way(c_backend, dtype, batch_size, shuffle):
    net, (x, y) = network(dtype, c_backend), data(3, dtype)
    assert net._small.fit(x, y, 2, 0.1, batch_size, shuffle) is None
    assert net._small.fit(x, y, 2, 0.1, 3, False) is not None
    twin = net.copy()
    arguments = 2, 0.1, batch_size, shuffle
    assert outcome(net.fit, x, y, *arguments) == outcome(twin.fit, x.tolist(), y.tolist(), *arguments)
    np.testing.assert_array_equal(net.parameters, twin.parameters)


OTHER = {
    "list": np.ndarray.tolist,
    "None": lambda values: None,
    "other float": lambda values: values.astype("f4" if values.dtype == "f8" else "f8"),
    "longdouble": lambda values: values.astype(np.longdouble),
    "int64": lambda values: values.astype(np.int64),
    "object": lambda values: values.astype(object),
    "big-endian": LAYOUTS["big-endian"],
    "fortran": LAYOUTS["fortran"],
    "strided": LAYOUTS["strided"],
    "reversed": LAYOUTS["reversed"],
    "misaligned": misaligned,
    "matrix": LAYOUTS["matrix"],
    "masked": np.ma.masked_array,
    "subclass": lambda values: values.view(Subclass),
    "1-D": lambda values: values[0].copy(),
    "0-D": lambda values: values[0, 0],
    "3-D": lambda values: values[None],
    "no rows": lambda values: values[:0],
    "more columns": lambda values: np.hstack([values, values]),
    "fewer columns": lambda values: values[:, :-1].copy(),
}


def outcome(function, *arguments):
    """A result, or the kind and the text of an error."""
    try:
        result = function(*arguments)
    except Exception as error:
        return type(error), str(error)
    result = result.loss if isinstance(result, pn.History) else result
    return result.tobytes() if isinstance(result, np.ndarray) else result


@pytest.mark.parametrize("kind", OTHER)
def test_other_arguments_are_left_to_the_general_path(c_backend, dtype, kind):
    net = network(dtype, c_backend)
    x, y = data(7, dtype)
    other_x, other_y = OTHER[kind](x), OTHER[kind](y)
    before = net.parameters.copy()
    assert net._small.predict(other_x) is None
    for arguments in ((other_x, y), (x, other_y), (other_x, other_y)):
        assert net._small.train_on_batch(*arguments, 0.1) is None
        assert net._small.fit(*arguments, 2, 0.1, None, True) is None
    np.testing.assert_array_equal(net.parameters, before)

    twin = net.copy()  # without small calls
    twin._small = pn.backend.SmallCalls()
    assert outcome(net.predict, other_x) == outcome(twin.predict, other_x)
    assert outcome(net.train_on_batch, other_x, y) == outcome(twin.train_on_batch, other_x, y)
    assert outcome(net.train_on_batch, x, other_y) == outcome(twin.train_on_batch, x, other_y)
    for arguments in ((other_x, y), (x, other_y)):
        assert outcome(net.fit, *arguments) == outcome(twin.fit, *arguments)
    np.testing.assert_array_equal(net.parameters, twin.parameters)


@pytest.mark.parametrize("rate", [0.0, -0.1, np.nan, np.inf, -np.inf, 1e-31, 1e31, 1, True, np.float32(0.5),
                                  np.float64(0.5), "0.1", 1j])  # fmt: skip
def test_other_learning_rates_are_left_to_the_general_path(c_backend, dtype, rate):
    net = network(dtype, c_backend)
    x, y = data(3, dtype)
    before = net.parameters.copy()
    assert net._small.train_on_batch(x, y, rate) is None
    assert net._small.fit(x, y, 2, rate, None, True) is None
    np.testing.assert_array_equal(net.parameters, before)
    twin = net.copy()
    assert outcome(net.fit, x, y, 2, rate) == outcome(twin.fit, x.tolist(), y.tolist(), 2, rate)
    assert outcome(net.train_on_batch, x, y, rate) == outcome(twin.train_on_batch, x.tolist(), y.tolist(), rate)
    np.testing.assert_array_equal(net.parameters, twin.parameters)


def test_numbers_of_rows_that_differ_are_refused(backend, dtype):
    net, (x, y) = network(dtype, backend), data(3, dtype)
    before = net.parameters.copy()
    for function in (net.train_on_batch, net.fit):
        with pytest.raises(ValueError, match="as many rows"):
            function(x, y[:2])
    np.testing.assert_array_equal(net.parameters, before)


# ---- Numbers that are not finite -------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(backend, dtype, value):
    """Predicting passes them on, training refuses them."""
    net, (x, y) = network(dtype, backend), data(3, dtype)
    before = net.parameters.copy()
    x[1, 2] = value
    assert net.predict(x).tobytes() == general_predict(net, x).tobytes()
    with pytest.raises(ValueError, match=r"x holds .*row 1, column 2"):
        net.train_on_batch(x, y)
    with pytest.raises(ValueError, match="y holds"):
        net.train_on_batch(np.zeros_like(x), np.full_like(y, value))
    with pytest.raises(ValueError, match="x holds"):
        net.fit(x, y, 3)
    np.testing.assert_array_equal(net.parameters, before)


def test_targets_out_of_range_are_refused(backend, dtype):
    net, (x, y) = network(dtype, backend), data(3, dtype)
    with pytest.raises(ValueError, match="log_loss needs targets"):
        net.train_on_batch(x, y + 1)


def test_divergence_is_reported_and_leaves_the_parameters(backend, dtype):
    net = network(dtype, backend, [(1, 1, "identity", True)], "sum_of_squares")
    x = np.full((3, 1), np.sqrt(np.finfo(dtype).max), dtype)
    before = net.parameters.copy()
    for _ in range(2):
        with pytest.raises(pn.DivergedError):
            net.train_on_batch(x, -x, 1.0)
        np.testing.assert_array_equal(net.parameters, before)


def test_divergence_amid_a_run_is_reported_as_the_general_path_does(backend, dtype):
    net = network(dtype, backend, [(1, 1, "identity", True)], "sum_of_squares")
    twin = net.copy()
    x = np.array([[1.0], [2.0], [3.0]], dtype)
    outcomes = []
    for fitted, pair in ((net, (x, -x)), (twin, (x.tolist(), (-x).tolist()))):
        with pytest.raises(pn.DivergedError) as caught:
            fitted.fit(*pair, 2000, 1.0)
        outcomes.append((caught.value.epoch, fitted.epochs_trained, fitted.parameters.tobytes()))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0] > 5
    assert np.isfinite(net.parameters).all()


# ---- Memory ----------------------------------------------------------------------------------------------------------


def test_results_are_new_and_outlive_the_network(backend, dtype):
    net, (x, _) = network(dtype, backend), data(2, dtype)
    first, second = net.predict(x), net.predict(x)
    expected = general_predict(net, x)
    for a in (first, second):
        assert a.flags.writeable
        assert a.flags.owndata
        assert a.flags.c_contiguous
        assert not np.shares_memory(a, net.parameters)
    assert not np.shares_memory(first, second)
    first[:] = np.nan
    del net
    gc.collect()
    np.testing.assert_array_equal(second, expected)


def test_calls_outlive_the_network(c_backend, dtype):
    net, (x, y) = network(dtype, c_backend), data(2, dtype)
    twin, small = net.copy(), net._small
    del net
    gc.collect()
    assert small.train_on_batch(x, y, 0.1) == twin.train_on_batch(x, y, 0.1)
    assert small.fit(x, y, 4, 0.1, None, True).tolist() == twin.fit(x, y, 4, 0.1).loss.tolist()
    np.testing.assert_array_equal(small.predict(x), twin.predict(x))


def test_the_networks_own_weights_as_data_count_as_they_were(backend, dtype):
    layers = [(2, 2, "tanh", False)]
    net, twin = (network(dtype, backend, layers, "mean_squared_error") for _ in range(2))
    weight, y = net.layers[0].weight, np.ones((2, 2), dtype)
    kept = weight.copy()
    np.testing.assert_array_equal(net.predict(weight), twin.predict(kept))
    assert net.train_on_batch(weight, y) == twin.train_on_batch(kept, y)
    kept = weight.copy()
    assert net.train_on_batch(y, weight) == twin.train_on_batch(y, kept)
    kept = weight.copy()
    np.testing.assert_array_equal(net.fit(weight, y, 3).loss, twin.fit(kept, y, 3).loss)
    np.testing.assert_array_equal(net.parameters, twin.parameters)


def test_calls_leave_nothing_behind(c_backend, dtype):
    """Neither memory nor references, whether they succeed or not."""
    net, (x, y) = network(dtype, c_backend), data(7, dtype)
    wrong, bad = x.tolist(), np.full_like(x, np.nan)

    def calls(n):
        for _ in range(n):
            net.predict(x)
            net.train_on_batch(x, y, 0.1)
            net.fit(x, y, 2)
            net._small.predict(wrong)
            for inputs, rate in ((bad, 0.1), (x, 1)):
                net._small.train_on_batch(inputs, y, rate)
                net._small.fit(inputs, y, 2, rate, None, True)

    def references():
        return [sys.getrefcount(value) for value in (x, y, wrong, bad, net._small, net.parameters, x.dtype, None)]

    calls(10)
    tracemalloc.start()
    try:
        before, n_before = references(), tracemalloc.get_traced_memory()[0]
        calls(1000)
        after, n_after = references(), tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert max(abs(a - b) for a, b in zip(after, before)) < 100  # of 1000 calls; None's own vary
    assert n_after - n_before < 4000  # an object of at least 32 bytes a call would be 32000


def test_networks_leave_nothing_behind(c_backend, dtype):
    x, y = data(7, dtype)
    small_calls = pn.native.SmallCalls

    def networks(n):
        for _ in range(n):
            net = network(dtype, c_backend)
            net.predict(x)
            net.train_on_batch(x, y)

    networks(3)
    gc.collect()
    tracemalloc.start()
    try:
        references, n_before = sys.getrefcount(small_calls), tracemalloc.get_traced_memory()[0]
        networks(50)
        gc.collect()
        n_after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert sys.getrefcount(small_calls) == references
    assert n_after - n_before < 50_000  # a workspace of at least 40 KB a network would be 2 MB


# ---- Threads ---------------------------------------------------------------------------------------------------------


def test_threads_predict_at_once(backend, dtype):
    layers = [(3, 64, "tanh", True), (64, 2, "sigmoid", True)]  # 100 rows need the workspace
    net = network(dtype, backend, layers)
    inputs = [data(n_rows, dtype)[0] for n_rows in ROWS]
    expected = [general_predict(net, x) for x in inputs]
    start, wrong = threading.Barrier(4), []

    def work(k):
        start.wait()
        for i in range(200):
            j = (i + k) % len(ROWS)
            if not np.array_equal(net.predict(inputs[j]), expected[j]):
                wrong.append((k, i))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong


def test_small_batches_keep_out_of_the_way_of_a_run(c_backend, dtype):
    """A run in C goes without the GIL: a step in its midst would tear the parameters."""
    net, (x, y) = network(dtype, c_backend), data(3, dtype)
    seen = []
    train = net._model.train

    def train_while_others_try(*arguments):
        seen.extend([net._small.train_on_batch(x, y, 0.1), net._small.fit(x, y, 3, 0.1, None, True)])
        train(*arguments)

    net._model.train = train_while_others_try
    twin = net.copy()
    assert net.fit(x.tolist(), y.tolist(), epochs=3).loss.tolist() == twin.fit(x, y, epochs=3).loss.tolist()
    assert len(seen) >= 2
    assert set(seen) == {None}
    np.testing.assert_array_equal(net.parameters, twin.parameters)
    assert net.train_on_batch(x, y) == twin.train_on_batch(x.tolist(), y.tolist())


@pytest.mark.parametrize("error", [ValueError, RuntimeError])
def test_training_goes_on_after_an_error(backend, dtype, error):
    net, (x, y) = network(dtype, backend), data(3, dtype)
    if error is ValueError:
        with pytest.raises(ValueError, match="finite"):
            net.fit(np.full_like(x, np.nan), y)
    else:

        def train_again():
            for function in (net.fit, net.train_on_batch):
                with pytest.raises(RuntimeError, match="this thread is training the network already"):
                    function(x, y)

        net._state.run(train_again, (), None, None, False)
    assert net._state.thread == 0
    assert type(net.train_on_batch(x, y)) is float


# ---- The type --------------------------------------------------------------------------------------------------------


def test_wrong_arguments_of_the_type_are_refused():
    net = network()
    small_calls = pn.native.SmallCalls
    names = "network", "forward", "forward_workspace", "train_on_batch", "train", "train_workspace"
    good = {"state": net._state, "owner": None} | dict.fromkeys(names, 1 << 40)
    for name, value, error in [
        ("state", None, TypeError), ("state", net.parameters, TypeError),
        *((name, 0, ValueError) for name in names), ("network", -1, OverflowError), ("train", 2**64, OverflowError),
        ("forward", 1.0, TypeError), ("train_workspace", "1", TypeError),
    ]:  # fmt: skip
        with pytest.raises(error):
            small_calls(**good | {name: value})
    for name in good:
        with pytest.raises(TypeError):
            small_calls(**{other: value for other, value in good.items() if other != name})
    with pytest.raises(TypeError):
        small_calls(**good, max_rows=1)
    with pytest.raises(TypeError):
        type("Sub", (small_calls,), {})
    for arguments in ((), (1, 2), (1, 2, 3, 4)):
        with pytest.raises(TypeError):
            net._small.train_on_batch(*arguments)
        with pytest.raises(TypeError):
            net._small.fit(0, 0, 0, *arguments)


def test_wrong_arguments_of_the_state_are_refused():
    state, parameters = pn.training.TrainingState, network().parameters
    for arrays in (
        parameters, [parameters], (), (None,), (parameters, None), (parameters.astype(int),), (parameters[::2],),
        (read_only(parameters),), (misaligned(parameters),),
    ):  # fmt: skip
        with pytest.raises(TypeError):
            state(arrays)
    for arguments in ((), ((parameters,), None)):
        with pytest.raises(TypeError):
            state(*arguments)
    with pytest.raises(TypeError):
        state(arrays=(parameters,))
    with pytest.raises(TypeError):
        type("Sub", (state,), {})
    good = state((parameters,))
    for arguments in ((), (list, (), None), (list, (), None, None, 1, None),
                      (None, (), None, None, 1), (len, [], None, None, 1), (len, ((),), None, (1.0,), 1),
                      (len, ((),), None, parameters[::2], 1)):  # fmt: skip
        with pytest.raises(TypeError):
            good.run(*arguments)
    assert good.thread == 0
    with pytest.raises(AttributeError):
        good.thread = 1


def test_state_runs_one_function_at_a_time_and_finishes_whatever_happens():
    state, calls = pn.training.TrainingState((network().parameters,)), []

    def finish(*errors):
        errors = list(errors)

        def call():
            calls.append(state.thread)
            if errors:
                raise errors.pop(0)

        return call

    def fail():
        raise KeyError

    ours = threading.get_ident()
    assert state.run(lambda a, b: (a, b, state.thread), (1, 2), finish(), None, True) == (1, 2, ours)
    assert calls == [ours]
    with pytest.raises(KeyError):
        state.run(fail, (), finish(), None, True)
    first, second = ValueError("first"), ValueError("second")
    with pytest.raises(ValueError, match="second") as caught:
        state.run(fail, (), finish(first, second), None, False)
    assert caught.value.__context__ is first
    assert type(first.__context__) is KeyError
    with pytest.raises(ValueError, match="first"):
        state.run(len, ((),), finish(ValueError("first")), None, True)
    assert calls == [ours] * (1 + 1 + 3 + 2)
    found = ValueError("found")
    with pytest.raises(ValueError, match="found"):
        state.run(len, ((),), lambda: found, None, True)
    with pytest.raises(KeyError) as caught:
        state.run(fail, (), lambda: found, None, True)
    assert caught.value.__context__ is found
    assert state.thread == 0


def test_states_leave_nothing_behind():
    parameters = network().parameters
    kinds = pn.training.TrainingState, ZeroDivisionError

    def fail():
        raise ZeroDivisionError

    def runs(n):
        for _ in range(n):
            state = pn.training.TrainingState((parameters, parameters))
            state.run(len, ((),), None, None, True)
            tries = [fail, fail]
            for function, finish in ((fail, list), (fail, lambda: tries.pop()() if tries else None)):
                with contextlib.suppress(ZeroDivisionError, TypeError):
                    state.run(function, (), finish, None, True)

    runs(3)
    gc.collect()
    tracemalloc.start()
    try:
        references, n_before = list(map(sys.getrefcount, (parameters, *kinds))), tracemalloc.get_traced_memory()[0]
        runs(100)
        gc.collect()
        n_after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert list(map(sys.getrefcount, (parameters, *kinds))) == references
    assert n_after - n_before < 5000  # a copy of the parameters of 250 bytes a run would be 75000
