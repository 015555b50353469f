"""Runs: batches, order, continuing, slices, divergence, Ctrl-C."""

import contextlib
import functools
import itertools
import os
import pickle
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import plainnet as pn
from plainnet.backend import Progress, Training
from plainnet.training import checksum

import textbook

LAYERS = [(5, 7, "tanh", True), (7, 3, "sigmoid", True)]


def data(n_rows, dtype="float64", layers=LAYERS):
    rng = np.random.default_rng(n_rows)
    x, y = rng.standard_normal((n_rows, layers[0][0])), rng.random((n_rows, layers[-1][1]))
    return x.astype(dtype), y.astype(dtype)


def make(backend, loss="log_loss", **arguments):
    return textbook.network(LAYERS, loss, seed=4, backend=backend, **arguments)


# ---- Epochs and batches ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", textbook.LOSSES)
def test_fit_in_mini_batches_is_train_on_batch_in_turn(backend, dtype, loss):
    """13 rows in fours: the last batch has one row, and its gradient is scaled by its own size."""
    x, y = data(13, dtype)
    net, twin = make(backend, loss, dtype=dtype), make(backend, loss, dtype=dtype)
    history = net.fit(x, y, epochs=3, learning_rate=0.5, batch_size=4, shuffle=False)
    for epoch in range(3):
        total = 0.0
        for start in range(0, 13, 4):
            rows = slice(start, start + 4)
            weight = 1 if loss == "sum_of_squares" else len(x[rows]) / 13
            total += weight * twin.train_on_batch(x[rows], y[rows], learning_rate=0.5)
        assert history.loss[epoch] == pytest.approx(total, rel=1e-14)  # four terms, added in another order
    np.testing.assert_array_equal(net.parameters, twin.parameters)


def test_kernels_for_tiny_networks_have_the_bits_of_ordinary_steps(c_backend, dtype):
    """Full batches of tiny networks have kernels of their own; the same rows twice, in two batches, have not."""
    rng = np.random.default_rng(5)
    losses = list(textbook.LOSSES)
    for trial in range(60):
        widths = rng.integers(1, 6, rng.integers(2, 5))
        activations = [*rng.choice(list(textbook.ACTIVATIONS), len(widths) - 2), "sigmoid"]
        layers = [
            (int(n_in), int(n_out), str(f), bool(rng.integers(2)))
            for n_in, n_out, f in zip(widths[:-1], widths[1:], activations, strict=True)
        ]
        net = textbook.network(layers, losses[trial % len(losses)], seed=trial, backend=c_backend, dtype=dtype)
        x, y = data(int(rng.integers(1, 7)), dtype, layers)
        twin = net.copy()
        history = net.fit(x, y, epochs=20, learning_rate=0.3)
        twin.fit(np.r_[x, x], np.r_[y, y], epochs=10, learning_rate=0.3, batch_size=len(x), shuffle=False)
        np.testing.assert_array_equal(net.parameters, twin.parameters, err_msg=str(net))
        assert np.isfinite(history.loss).all()


def test_history_is_a_float64_array_of_losses_before_each_update(backend, dtype):
    x, y = data(6, dtype)
    net = make(backend, dtype=dtype)
    before, _ = net.loss_and_gradient(x, y)
    history = net.fit(x, y, epochs=4)
    assert isinstance(history, pn.History)
    assert history.loss.shape == (4,)
    assert history.loss.dtype == np.float64
    assert history.loss[0] == before
    assert (np.diff(history.loss) < 0).all()
    assert net.epochs_trained == 4


def test_batch_size_of_all_rows_or_more_is_the_full_batch(backend):
    x, y = data(7)
    expected = make(backend)
    expected.fit(x, y, epochs=5)
    for batch_size in (7, 8, 10**9, np.int32(7), None):
        for shuffle in (True, False, np.True_):
            net = make(backend)
            net.fit(x, y, epochs=5, batch_size=batch_size, shuffle=shuffle)
            np.testing.assert_array_equal(net.parameters, expected.parameters)


def test_zero_epochs_change_nothing(backend):
    x, y = data(7)
    net = make(backend)
    before = net.parameters.copy()
    assert net.fit(x, y, epochs=0).loss.shape == (0,)
    assert net.epochs_trained == 0
    np.testing.assert_array_equal(net.parameters, before)


@pytest.mark.parametrize("n_rows", [1, 2, 3, 7, 64])
def test_shuffled_is_a_permutation_that_varies_with_seed_and_epoch(n_rows):
    orders = [pn.reference.shuffled(seed, epoch, n_rows) for seed in (0, 1, 2**64 - 1) for epoch in range(4)]
    for order in orders:
        assert sorted(order) == list(range(n_rows))
    assert len({tuple(order) for order in orders}) > len(orders) / 2 or n_rows < 7


def test_shuffled_is_fair():
    """Over 6000 epochs each of 6 orders of 3 rows comes 1000 times, give or take 5 standard deviations (29 each)."""
    orders = [tuple(pn.reference.shuffled(7, epoch, 3)) for epoch in range(6000)]
    counts = [orders.count(order) for order in set(orders)]
    assert len(counts) == 6
    assert max(abs(count - 1000) for count in counts) < 145


def test_shuffling_visits_every_row_once_an_epoch(backend):
    """
    One weight, identity, no bias, sum of squares, a rate so small that the weight hardly moves: an epoch's loss is
    sum y^2, whatever the order, only if each row is used exactly once. y = 2^k makes every subset's sum unique.
    """
    net = textbook.network([(1, 1, "identity", False)], "sum_of_squares", init=[0], seed=1, backend=backend)
    y = 2.0 ** np.arange(11)[:, None]
    loss = net.fit(np.ones((11, 1)), y, epochs=5, learning_rate=1e-12, batch_size=3).loss
    assert loss == pytest.approx(np.sum(y**2), rel=1e-5)


def test_both_backends_visit_rows_in_the_order_of_shuffled(backend):
    """Batches of one row replayed by hand."""
    x, y = data(9)
    net, twin = make(backend), make(backend)
    net.fit(x, y, epochs=2, batch_size=1)
    for epoch in range(2):
        for row in pn.reference.shuffled(twin._shuffle_seed, epoch, 9):
            twin.train_on_batch(x[row : row + 1], y[row : row + 1])
    np.testing.assert_array_equal(net.parameters, twin.parameters)


def test_seed_decides_the_order_of_mini_batches(backend):
    x, y = data(9)
    start = make(backend).parameters
    nets = [textbook.network(LAYERS, "log_loss", init=start, seed=seed, backend=backend) for seed in (1, 1, 2)]
    for net in nets:
        net.fit(x, y, epochs=3, batch_size=2)
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)
    assert not np.array_equal(nets[0].parameters, nets[2].parameters)


# ---- Continuing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [None, 4])
def test_fit_continues_where_the_network_is(backend, dtype, batch_size):
    x, y = data(13, dtype)
    whole, parts = make(backend, dtype=dtype), make(backend, dtype=dtype)
    expected = whole.fit(x, y, epochs=9, batch_size=batch_size).loss
    losses = [parts.fit(x, y, epochs=n, batch_size=batch_size).loss for n in (1, 0, 5, 3)]
    np.testing.assert_array_equal(np.concatenate(losses), expected)
    np.testing.assert_array_equal(parts.parameters, whole.parameters)
    assert parts.epochs_trained == 9


@pytest.mark.parametrize("n_steps", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize("batch_size", [13, 4])
def test_slices_give_the_bits_of_the_whole_run(backend, dtype, batch_size, n_steps):
    """By the backend's own `train`, which may stop anywhere: 6 epochs of 4 (or 1) steps, n_steps a call."""
    x, y = data(13, dtype)
    training = Training(6, batch_size, 0.3, batch_size < 13, 99, 5)
    results = []
    for max_steps in (10**6, n_steps):
        net = make(backend, dtype=dtype)
        progress, losses, calls = Progress(), np.full(6, np.nan), 0
        while progress.epoch < 6:
            net._model.train(x, y, training, progress, losses, max_steps)
            calls += 1
        assert (progress.row, progress.loss_sum) == (0, 0)
        assert progress.steps == 6 * -(-13 // batch_size)
        assert calls == -(-progress.steps // max_steps)
        results.append((net.parameters.copy(), losses))
    for actual, expected in zip(*results, strict=True):
        np.testing.assert_array_equal(actual, expected)


def cost_of_first_slices(monkeypatch, operations):
    for model in (pn.native.Model, pn.reference.Model):
        monkeypatch.setattr(model, "first_slice_operations", operations)


def test_short_slices_within_fit_change_nothing(backend, monkeypatch):
    x, y = data(13)
    expected = make(backend)
    loss = expected.fit(x, y, epochs=20, batch_size=4).loss
    monkeypatch.setattr("plainnet.training.SLICE_SECONDS", 0)
    cost_of_first_slices(monkeypatch, 0)
    net = make(backend)
    np.testing.assert_array_equal(net.fit(x, y, epochs=20, batch_size=4).loss, loss)
    np.testing.assert_array_equal(net.parameters, expected.parameters)


def test_train_on_batch_of_growing_batches(backend):
    """The workspace grows with need and is reused: no result depends on what lay in it before."""
    x, y = data(40)
    net, twin = make(backend), make(backend)
    for n_rows in (1, 3, 40, 2, 33, 7):
        fresh = twin.copy()
        loss = fresh.train_on_batch(x[:n_rows], y[:n_rows])
        assert net.train_on_batch(x[:n_rows], y[:n_rows]) == loss
        twin = fresh
        np.testing.assert_array_equal(net.parameters, twin.parameters)


# ---- Divergence ------------------------------------------------------------------------------------------------------


def reach_overflow(backend, dtype, epochs, call="fit"):
    """w <- w - 10 * 2 x (w x - y) with x = 1, y = 0: w is multiplied by 1 - 20 = -19 at every step."""
    net = textbook.network([(1, 1, "identity", False)], "sum_of_squares", init=[1], dtype=dtype, backend=backend)
    with pytest.raises(pn.DivergedError) as caught:
        net.fit([[1]], [[0]], epochs=epochs, learning_rate=10)
    return net, caught.value


def test_divergence_names_the_epoch_and_keeps_finite_parameters(backend, dtype):
    """
    w_k = (-19)^k and the loss is w_k^2. float64: 361^k overflows at k = 121 (361^120 = 7.9e306), long before w does.
    float32: 361^k overflows at k = 16 (361^15 = 2.3e38).
    """
    first_bad = 121 if dtype == np.float64 else 16
    net, error = reach_overflow(backend, dtype, 1000)
    assert error.epoch == first_bad
    assert f"epoch {first_bad} " in str(error)
    assert "learning_rate" in str(error)
    assert isinstance(error, ValueError)
    assert isinstance(error, FloatingPointError)
    # The last parameters whose loss was finite, from before the step that led out.
    assert net.parameters[0] == pytest.approx((-19.0) ** (first_bad - 1), rel=1e-5)
    assert np.isfinite(net.loss_and_gradient([[1]], [[0]])[0])
    assert net.epochs_trained == first_bad - 1


def test_divergence_after_the_run_is_not_reported_before_it(backend):
    """120 epochs end in time: the loss from before each update is finite, and so are the parameters."""
    net = textbook.network([(1, 1, "identity", False)], "sum_of_squares", init=[1], backend=backend)
    loss = net.fit([[1]], [[0]], epochs=121, learning_rate=10).loss
    assert loss == pytest.approx(361.0 ** np.arange(121), rel=1e-12)


#: Methods of Network, for what must hold on every path.
CALLS = [("train_on_batch", {}), ("fit", {"epochs": 3}), ("fit", {"epochs": 3, "batch_size": 2})]


def test_divergence_in_the_first_step_leaves_everything(backend):
    """w = 1e200, x = 1: the loss 1e400 is not finite at all."""
    net = textbook.network([(1, 1, "identity", False)], "sum_of_squares", init=[1e200], backend=backend)
    for call in (lambda: net.fit([[1]], [[0]], epochs=3), lambda: net.train_on_batch([[1]], [[0]])):
        with pytest.raises(pn.DivergedError, match="epoch 0 ") as caught:
            call()
        assert caught.value.epoch == 0
        assert net.parameters.tolist() == [1e200]
        assert net.epochs_trained == 0


def test_divergence_of_the_update_in_train_on_batch_changes_nothing(backend):
    """w = 1e150: the loss 1e300 is finite, the step 2e150 * 1e200 is not."""
    net = textbook.network([(1, 1, "identity", False)], "sum_of_squares", init=[1e150], backend=backend)
    with pytest.raises(pn.DivergedError) as caught:
        net.train_on_batch([[1]], [[0]], learning_rate=1e200)
    assert caught.value.epoch == 0
    assert net.parameters.tolist() == [1e150]


def test_divergence_of_parameters_is_found_where_the_loss_hides_it(backend):
    """
    tanh(w x): the loss stays finite when w overflows. y = -1, w = 0: dloss/dw = 2 (0+1) x = 2x with x = 1e10;
    the step of 1e300 * 2e10 is infinite.
    """
    net = textbook.network([(1, 1, "tanh", False)], "sum_of_squares", init=[0], backend=backend)
    with pytest.raises(pn.DivergedError):
        net.fit([[1e10]], [[-1]], epochs=5, learning_rate=1e300)
    assert net.parameters.tolist() == [0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize(("function", "arguments"), CALLS)
def test_divergence_from_parameters_that_are_not_finite_says_so(backend, dtype, bad, function, arguments):
    """On every path: arrays, which small calls take, and lists. The error claims no last finite parameters."""
    for convert in (np.copy, np.ndarray.tolist):
        net = make(backend, dtype=dtype)
        x, y = map(convert, data(3, dtype))
        net.parameters[3] = bad
        before = net.parameters.copy()
        with pytest.raises(pn.DivergedError, match="epoch 0 ") as caught:
            getattr(net, function)(x, y, **arguments)
        np.testing.assert_array_equal(net.parameters, before)
        assert f"parameters[3] = {bad}" in str(caught.value)
        assert "unchanged" in str(caught.value)
        assert "last finite" not in str(caught.value)
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize(("function", "arguments"), CALLS)
def test_divergence_of_the_first_loss_says_so(backend, dtype, function, arguments):
    """A finite weight, but the square of the outputs is not."""
    large = 1e200 if dtype == np.float64 else 1e30
    for convert in (np.copy, np.ndarray.tolist):
        layers = [(1, 1, "identity", False)]
        net = textbook.network(layers, "sum_of_squares", init=[large], dtype=dtype, backend=backend)
        x, y = convert(np.ones((3, 1), dtype)), convert(np.zeros((3, 1), dtype))
        with pytest.raises(pn.DivergedError, match="epoch 0 ") as caught:
            getattr(net, function)(x, y, **arguments)
        assert "inf for the parameters that it began with" in str(caught.value)
        assert dtype.name in str(caught.value)
        assert "last finite" not in str(caught.value)
        assert net.parameters[0] == dtype.type(large)


@pytest.mark.parametrize(("function", "arguments"), CALLS)
def test_divergence_by_a_step_does_not_blame_the_start(backend, dtype, function, arguments):
    """The first loss (w x)^2 is finite, the step 2 x (w x) * 1e29 is not: a smaller rate would have helped."""
    w, x = (1e10, 1e140) if dtype == np.float64 else (1e3, 1e15)
    net = textbook.network([(1, 1, "identity", False)], "sum_of_squares", init=[w], dtype=dtype, backend=backend)
    with pytest.raises(pn.DivergedError, match="last finite parameters") as caught:
        getattr(net, function)(np.full((3, 1), x, dtype), np.zeros((3, 1), dtype), learning_rate=1e29, **arguments)
    assert "smaller learning_rate" in str(caught.value)
    assert "began" not in str(caught.value)


@pytest.mark.parametrize("batch_size", [None, 2])
def test_divergence_is_the_same_in_both_backends(backend, batch_size):
    """Epoch, parameters and position in the epoch, in a network that takes some steps to overflow."""
    x, y = data(5)
    results = []
    for name in (backend, "numpy"):
        net = textbook.network([(5, 4, "relu", True), (4, 3, "identity", True)], "sum_of_squares", seed=1, backend=name)
        with pytest.raises(pn.DivergedError) as caught:
            net.fit(x, y, epochs=500, learning_rate=3.0, batch_size=batch_size)
        begun = net._state.begun
        results.append((caught.value.epoch, net.epochs_trained, begun and begun.row, net.parameters))
    assert results[0][:3] == results[1][:3]
    assert np.isfinite(results[0][3]).all()
    # Rounding grows as everything overflows: only the size is the same.
    assert np.log(np.abs(results[0][3]).max()) == pytest.approx(np.log(np.abs(results[1][3]).max()), rel=1e-2)


def test_divergence_does_not_depend_on_slices(backend, monkeypatch):
    expected, error = reach_overflow(backend, np.dtype(float), 1000)
    monkeypatch.setattr("plainnet.training.SLICE_SECONDS", 0)
    cost_of_first_slices(monkeypatch, 0)
    net, sliced_error = reach_overflow(backend, np.dtype(float), 1000)
    assert sliced_error.epoch == error.epoch
    assert net.epochs_trained == expected.epochs_trained
    np.testing.assert_array_equal(net.parameters, expected.parameters)


def test_training_goes_on_after_divergence_with_a_smaller_rate(backend):
    net, _ = reach_overflow(backend, np.dtype(float), 1000)
    net.fit([[1]], [[0]], epochs=2000, learning_rate=0.25)  # halves w at each step
    assert abs(net.parameters[0]) < 1e-100


# ---- Packed weights --------------------------------------------------------------------------------------------------

# The first layer is wide enough for that, the second is not.
PACKED_LAYERS = [(120, 120, "identity", True), (120, 2, "identity", True)]


def make_packed(c_backend, dtype):
    x, y = data(24, dtype, PACKED_LAYERS)
    net, twin = (
        textbook.network(PACKED_LAYERS, "sum_of_squares", seed=2, backend=c_backend, dtype=dtype) for _ in range(2)
    )
    return net, twin, x, y


@pytest.mark.parametrize("max_steps", [1, 5])  # a call of few steps does not pack, and a longer one does
def test_packed_weights_are_the_callers_after_every_call(c_backend, dtype, max_steps):
    net, twin, x, y = make_packed(c_backend, dtype)
    training, progress, losses = Training(10, 8, 1e-4), Progress(), np.empty(10)
    row = 0
    while progress.epoch < 10:
        net._model.train(x, y, training, progress, losses, max_steps)
        while row < 24 * progress.epoch + progress.row:
            rows = slice(row % 24, row % 24 + 8)
            twin.train_on_batch(x[rows], y[rows], learning_rate=1e-4)
            row += 8
        np.testing.assert_array_equal(net.parameters, twin.parameters)


@pytest.mark.parametrize("max_steps", [10**6, 5, 1])
def test_divergence_with_packed_weights(c_backend, dtype, max_steps):
    """The loss overflows long before the parameters do: what stays is from before the last step whose loss did not."""
    net, twin, x, y = make_packed(c_backend, dtype)
    before = [twin.parameters.copy()]

    def train_in_steps():
        while len(before) < 500:
            twin.train_on_batch(x, y, learning_rate=0.1)
            before.append(twin.parameters.copy())

    training, progress, losses = Training(500, 24, 0.1), Progress(), np.empty(500)

    def train_in_calls():
        while progress.epoch < 500:
            net._model.train(x, y, training, progress, losses, max_steps)

    with pytest.raises(pn.DivergedError):
        train_in_steps()
    assert len(before) > 3
    with pytest.raises(pn.DivergedError) as caught:
        train_in_calls()
    assert caught.value.epoch == len(before) - 1
    assert progress.steps == len(before) - 2
    np.testing.assert_array_equal(net.parameters, before[-2])


def test_divergence_from_packed_weights_that_are_not_finite(c_backend, dtype):
    net, _, x, y = make_packed(c_backend, dtype)
    for place in (0, -1):  # in a packed weight; in the last bias
        net.parameters[place] = np.inf
        before = net.parameters.copy()
        with pytest.raises(pn.DivergedError, match="epoch 0 "):
            net.fit(x, y, epochs=10)
        np.testing.assert_array_equal(net.parameters, before)
        net.parameters[place] = 0


# ---- Ctrl-C ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("sigint_raises")
def test_ctrl_c_stops_at_a_step_and_continuing_gives_the_same_bits(backend, dtype):
    """
    A signal in the middle of a run that would take minutes: shuffled mini-batches, some tens of them an epoch.

    0.2 s are promised; what counts is the processor's time, so that a busy machine changes nothing.
    """
    x, y = data(999, dtype)
    net, whole = make(backend, dtype=dtype), make(backend, dtype=dtype)
    train, slices, sent = net._model.train, [], []

    def press():
        time.sleep(0.03)
        sent.append(time.process_time())
        os.kill(os.getpid(), signal.SIGINT)

    def train_while_a_key_is_pressed(*arguments):
        slices.append(arguments[-1])
        assert len(slices) < 10**5, "the signal was lost"
        if len(slices) == 3:
            thread.start()
        train(*arguments)

    net._model.train = train_while_a_key_is_pressed
    for _ in range(5):
        thread = threading.Thread(target=press)
        slices.clear()
        with pytest.raises(KeyboardInterrupt):
            net.fit(x, y, epochs=10**6, batch_size=16)
        delay = time.process_time() - sent.pop()
        thread.join()
        assert delay < 0.2
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if net._state.begun:  # and not between two epochs, by chance
            break
    assert net._state.begun.row % 16 == 0
    net._model.train = train
    n_epochs = net.epochs_trained + 2
    expected = whole.fit(x, y, epochs=n_epochs, batch_size=16).loss
    np.testing.assert_array_equal(net.fit(x, y, epochs=2, batch_size=16).loss, expected[-2:])
    np.testing.assert_array_equal(net.parameters, whole.parameters)
    assert net.epochs_trained == n_epochs


@pytest.mark.usefixtures("sigint_raises")
def test_ctrl_c_in_a_slice_that_diverges_is_delivered(backend, monkeypatch):
    """Otherwise a loop of runs that diverge could not be stopped. The error is its context; the state is consistent."""
    cost_of_first_slices(monkeypatch, 1e9)
    net = textbook.network([(1, 1, "identity", False)], "sum_of_squares", init=[1], backend=backend)
    train = net._model.train

    def train_while_a_key_is_pressed(*arguments):
        if arguments[-1] > 0:
            signal.raise_signal(signal.SIGINT)
        train(*arguments)

    net._model.train = train_while_a_key_is_pressed
    with pytest.raises(KeyboardInterrupt) as caught:
        net.fit([[1]], [[0]], epochs=1000, learning_rate=10)
    assert isinstance(caught.value.__context__, pn.DivergedError)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert net.epochs_trained == 120
    assert net.parameters[0] == pytest.approx((-19.0) ** 120)


# ---- Exceptions from anywhere ----------------------------------------------------------------------------------------

PACKAGE = str(Path(pn.__file__).parent)


class AlarmError(Exception):
    """What a signal handler raises."""


@functools.cache  # asked at each instruction
def is_traced(code, arithmetic):
    if not code.co_filename.startswith(PACKAGE):
        return False
    is_reference = Path(code.co_filename).parent.name == "reference"
    return arithmetic or not is_reference or code.co_name in ("train", "_write")


def instructions(call, n=None, arithmetic=True):
    """
    Calls `call` with an AlarmError from before the n-th instruction of the package's code; how many there were.

    Those of the NumPy backend's arithmetic, which are most, count unless `arithmetic` is False.
    """
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        if not is_traced(frame.f_code, arithmetic):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            count += 1
            if count == n:
                raise AlarmError  # which also ends the tracing
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


@pytest.fixture
def one_step_a_slice(monkeypatch):
    monkeypatch.setattr("plainnet.training.SLICE_SECONDS", 0)
    cost_of_first_slices(monkeypatch, 0)


def some_or_all(stride):
    return pytest.mark.parametrize("stride", [stride, pytest.param(1, marks=pytest.mark.slow)], ids=["some", "all"])


@some_or_all(11)
@pytest.mark.parametrize("backend_name", ["numpy", "c"])
@pytest.mark.parametrize(
    "layers", [LAYERS, [(100, 100, "tanh", True), (100, 3, "sigmoid", True)]], ids=["plain", "packed"]
)
@pytest.mark.usefixtures("sigint_raises", "one_step_a_slice")
def test_exception_at_any_instruction_of_fit_leaves_the_state_consistent(backend_name, layers, stride):
    """
    Signal handlers raise where they like. Two epochs of three shuffled mini-batches; what is left of them is made up
    for, with the bits of a run without interruption, unless the state is inconsistent.
    """
    x, y = data(5, layers=layers)
    start, whole = (textbook.network(layers, "log_loss", seed=4, backend=backend_name) for _ in range(2))
    expected = whole.fit(x, y, epochs=2, batch_size=2).loss
    net = start.copy()
    n_fit = instructions(lambda: net.fit(x, y, epochs=2, batch_size=2), None, stride == 1)
    assert n_fit > 500
    seen = set()
    for n in range(1, n_fit + 1, stride):
        net = start.copy()
        with pytest.raises(AlarmError):
            instructions(lambda: net.fit(x, y, epochs=2, batch_size=2), n, stride == 1)
        seen.add((net.epochs_trained, net._state.begun and net._state.begun.row))
        if n % 2:  # the run that resumes is interrupted as well
            rest = 2 - net.epochs_trained
            with contextlib.suppress(AlarmError):
                instructions(lambda: net.fit(x, y, epochs=rest, batch_size=2), 1 + 977 * n % n_fit)
        assert net._state.thread == 0
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        finished = net.epochs_trained
        history = net.fit(x, y, epochs=2 - finished, batch_size=2)
        np.testing.assert_array_equal(history.loss, expected[finished:], err_msg=f"instruction {n}")
        np.testing.assert_array_equal(net.parameters, whole.parameters, err_msg=f"instruction {n}")
        assert net.epochs_trained == 2
    assert seen == {(0, None), (0, 2), (0, 4), (1, None), (1, 2), (1, 4), (2, None)}


@pytest.mark.parametrize("backend_name", ["numpy", "c"])
@pytest.mark.usefixtures("sigint_raises", "one_step_a_slice")
def test_exception_while_the_state_is_updated_leaves_it_consistent(backend_name, monkeypatch):
    """The second one, at any instruction of what follows the one that has stopped a run after four steps of six."""
    x, y = data(5)
    start, whole = make(backend_name), make(backend_name)
    whole.fit(x, y, epochs=2, batch_size=2)
    finish = pn.training.Run.finish
    for n in itertools.count(1):
        net, tries = start.copy(), []
        train = net._model.train

        def train_four_steps(x, y, training, progress, losses, max_steps):
            train(x, y, training, progress, losses, max_steps)
            if max_steps > 0 and progress.steps == 4:
                raise KeyboardInterrupt

        def finish_amid_an_alarm(run):
            tries.append(None)
            if len(tries) == 1:
                instructions(lambda: tries.append(finish(run)), n)
                return tries.pop()
            return finish(run)

        net._model.train = train_four_steps
        with monkeypatch.context() as patch:
            patch.setattr(pn.training.Run, "finish", finish_amid_an_alarm)
            with pytest.raises((KeyboardInterrupt, AlarmError)) as caught:
                net.fit(x, y, epochs=2, batch_size=2)
        net._model.train = train
        assert (net.epochs_trained, net._state.begun.row, net._state.thread) == (1, 2, 0)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        net.fit(x, y, epochs=1, batch_size=2)
        np.testing.assert_array_equal(net.parameters, whole.parameters, err_msg=f"instruction {n}")
        if len(tries) == 1:  # no instruction is left
            assert type(caught.value) is KeyboardInterrupt
            break
        assert type(caught.value) is AlarmError
        assert type(caught.value.__context__) is KeyboardInterrupt
    assert n > 50


@some_or_all(11)
@pytest.mark.parametrize("backend_name", ["numpy", "c"])
def test_exception_at_any_instruction_of_train_on_batch_makes_a_step_or_none(backend_name, stride):
    x, y = data(5)
    start, after = make(backend_name), make(backend_name)
    lists = x.tolist(), y.tolist()  # which small calls leave alone
    after.train_on_batch(*lists)
    net, outcomes = start.copy(), []
    for n in range(1, 1 + instructions(lambda: net.train_on_batch(*lists)), stride):
        net = start.copy()
        with pytest.raises(AlarmError):
            instructions(lambda: net.train_on_batch(*lists), n)
        assert net._state.thread == 0
        outcomes.append([np.array_equal(net.parameters, twin.parameters) for twin in (start, after)])
        if outcomes[-1] == [True, False]:
            net.train_on_batch(*lists)
        np.testing.assert_array_equal(net.parameters, after.parameters, err_msg=f"instruction {n}")
    assert outcomes == sorted(outcomes, reverse=True)
    assert [True, False] in outcomes


@some_or_all(23)
@pytest.mark.parametrize("backend_name", ["numpy", "c"])
@pytest.mark.parametrize("kind", [list, lambda items: dict(enumerate(items)).values()], ids=["list", "values"])
@pytest.mark.usefixtures("sigint_raises")
def test_exception_at_any_instruction_with_batches_comes_after_a_step(backend_name, kind, stride, monkeypatch):
    """In groups of two mini-batches and of one, the parameters and the count of steps belong together."""
    monkeypatch.setattr("plainnet.batches.SLICE_SECONDS", np.inf)
    x, y = data(5)
    items, start = [(x[:2], y[:2]), (x[2:4], y[2:4]), (x[4:], y[4:])], make(backend_name)
    twin, after = start.copy(), [start.parameters.copy()]
    for batch in items * 2:
        twin.train_on_batch(*batch)
        after.append(twin.parameters.copy())
    net, seen = start.copy(), set()
    net.fit(kind(items), epochs=2)  # what is imported at the first call does not count
    for n in range(1, 1 + instructions(lambda: net.fit(kind(items), epochs=2), None, stride == 1), stride):
        net = start.copy()
        with pytest.raises(AlarmError):
            instructions(lambda: net.fit(kind(items), epochs=2), n, stride == 1)
        steps = net._state.steps
        np.testing.assert_array_equal(net.parameters, after[steps], err_msg=f"instruction {n}")
        assert net.epochs_trained in (steps // 3, (steps - 1) // 3)
        assert net._state.thread == 0
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        seen.add(steps)
    assert {0, 2, 3, 5, 6} <= seen


def test_training_that_can_never_update_its_state_gives_up(backend, monkeypatch):
    """Rather than hang. The network can still be used."""
    x, y = data(5)
    net, tries = make(backend), []

    def finish(run):
        tries.append(run)
        raise AlarmError(len(tries))

    monkeypatch.setattr(pn.training.Run, "finish", finish)
    with pytest.raises(AlarmError) as caught:
        net.fit(x, y, epochs=2, batch_size=2)
    assert 1 < len(tries) < 100
    assert caught.value.args == (len(tries),)
    monkeypatch.undo()
    net.fit(x, y, epochs=2, batch_size=2)


@pytest.mark.parametrize("function", ["fit", "train_on_batch"])
def test_signal_handler_that_trains_the_same_network_is_refused(backend, function):
    """It is told why, and the run that it comes in is unharmed."""
    x, y = data(13)
    net, twin, other = make(backend), make(backend), make(backend)
    errors = []

    def handler(number, frame):
        try:
            getattr(net, function)(x, y)
        except RuntimeError as error:
            errors.append(str(error))
        other.fit(x, y, epochs=3, batch_size=4)  # another network is fine
        net.predict(x)

    train = net._model.train

    def train_while_a_key_is_pressed(*arguments):
        net._model.train = train
        signal.raise_signal(signal.SIGINT)
        train(*arguments[:-1], 2)

    previous = signal.signal(signal.SIGINT, handler)
    try:
        net._model.train = train_while_a_key_is_pressed
        net.fit(x, y, epochs=5, batch_size=4)
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, previous)
    assert len(errors) == 1
    assert "this thread is training the network already" in errors[0]
    assert "another thread" not in errors[0]
    twin.fit(x, y, epochs=5, batch_size=4)
    np.testing.assert_array_equal(net.parameters, twin.parameters)
    assert other.epochs_trained == 3


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that sends signals")
@pytest.mark.parametrize("batch_size", [None, 3])
def test_an_exception_from_a_signal_handler_amid_short_runs_loses_no_count(backend, dtype, batch_size):
    """A short run ends before Python sees the signal, and its caller may then never reach the next line."""
    layers, loss, x, y, *_ = textbook.SYSTEMS["layered"]
    net, twin = (textbook.network(layers, loss, seed=1, dtype=dtype, backend=backend) for _ in range(2))
    x, y = x.astype(dtype), y.astype(dtype)
    net.fit(x, y, 1, batch_size=batch_size)

    def handler(number, frame):
        raise AlarmError

    def fit_until_alarm(seconds):
        signal.setitimer(signal.ITIMER_REAL, seconds)
        while True:
            net.fit(x, y, 3, batch_size=batch_size)

    previous = signal.signal(signal.SIGALRM, handler)
    try:
        for k in range(20):
            with pytest.raises(AlarmError):
                fit_until_alarm(0.001 + 0.00007 * k)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    net.fit(x, y, 1, batch_size=batch_size)
    twin.fit(x, y, net.epochs_trained, batch_size=batch_size)
    np.testing.assert_array_equal(net.parameters, twin.parameters)


def test_ctrl_c_reaches_a_handler_of_the_programs_own(backend):
    """It is called between steps, the run goes on if it returns, and it is in place afterwards."""
    x, y = data(13)
    seen = []

    def handler(number, frame):
        seen.append((number, net.epochs_trained))

    previous = signal.signal(signal.SIGINT, handler)
    try:
        net, twin = make(backend), make(backend)
        original = net._model.train

        def train(*arguments):
            signal.raise_signal(signal.SIGINT)
            assert seen == []  # deferred while a step is under way
            net._model.train = original
            original(*arguments)

        net._model.train = train
        net.fit(x.tolist(), y.tolist(), epochs=50)
        twin.fit(x, y, epochs=50)
        assert [number for number, _ in seen] == [signal.SIGINT]
        np.testing.assert_array_equal(net.parameters, twin.parameters)
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, previous)


def test_interrupted_epoch_is_dropped_for_other_data(backend):
    """What was begun with one data set is not finished with another, nor with another batch size or parameters."""
    x, y = data(13)
    net = make(backend)
    original = net._model.train

    def train(*arguments):
        if arguments[-1] == 0:  # only brings the parameters up to date
            return original(*arguments)
        original(*arguments[:-1], 2)  # two steps of four
        raise KeyboardInterrupt

    for other in ({"x": x + 1}, {"batch_size": 5}, {"shuffle": False}, {"parameters": net.parameters[::-1].copy()}, {}):
        twin = net.copy()
        net._model.train = train
        with pytest.raises(KeyboardInterrupt):
            net.fit(x, y, epochs=3, batch_size=4)
        net._model.train = original
        assert net._state.begun.row == 8
        copied = net.copy()
        arguments = {"x": x, "y": y, "batch_size": 4, **other}
        parameters = arguments.pop("parameters", net.parameters.copy())
        fresh = textbook.network(LAYERS, "log_loss", init=parameters, backend=backend)
        for n in (net, copied):
            n.parameters = parameters
            n.fit(epochs=1, **arguments)
        np.testing.assert_array_equal(copied.parameters, net.parameters)
        fresh._shuffle_seed, fresh.epochs_trained = net._shuffle_seed, net.epochs_trained - 1
        fresh.fit(epochs=1, **arguments)
        assert np.array_equal(fresh.parameters, net.parameters) == bool(other)  # which begins the epoch anew
        if other:  # a whole epoch from the parameters as they were: not the run without interruption
            twin.fit(x, y, epochs=1, batch_size=4)
            assert not np.array_equal(net.parameters, twin.parameters)
        else:
            twin.fit(x, y, epochs=1, batch_size=4)
            np.testing.assert_array_equal(net.parameters, twin.parameters)
        assert net._state.begun is None


@pytest.mark.parametrize("name", ["x", "y"])
def test_interrupted_epoch_is_dropped_if_a_single_number_differs(backend, dtype, name):
    """Wherever it is in the data, and so is it for signs and for rows that change places."""
    x, y = data(5003, dtype)
    net = make(backend, dtype=dtype)
    train = net._model.train

    def train_one_step(*arguments):
        train(*arguments[:-1], min(1, arguments[-1]))
        if arguments[-1] > 0:
            raise KeyboardInterrupt

    net._model.train = train_one_step
    with pytest.raises(KeyboardInterrupt):
        net.fit(x, y, batch_size=5000)
    interrupted = net._state.begun
    assert interrupted.row == 5000
    fresh, given = net.copy(), {"x": x, "y": y}
    fresh._state.begun = None
    other = {name: given[name].copy() for name in given}

    def is_resumed():
        twins = net.copy(), fresh.copy()
        for twin in twins:
            twin.fit(**other, batch_size=5000)
        return not np.array_equal(twins[0].parameters, twins[1].parameters)

    assert is_resumed()
    changed = other[name]
    for row in (0, 1, 7, 2501, 5002):
        kept = changed[row, 1]
        changed[row, 1] = np.nextafter(kept, dtype.type(0.5))
        assert not is_resumed(), row
        changed[row, 1] = kept
    changed[[3, 4]] = changed[[4, 3]]
    assert not is_resumed()
    changed[[3, 4]] = changed[[4, 3]]
    if name == "x":
        changed *= -1
        assert not is_resumed()
        changed *= -1
    assert is_resumed()


def test_checksum_tells_arrays_apart():
    """Of any length: any byte, any order, where one array ends; and it is the same for the same."""
    seen = set()
    for n in (0, 1, 2, 7, 31, 32, 33, 64, 100):
        array = np.zeros(n, np.uint8)
        seen.add(checksum(array))
        for k in range(n):
            for value in (1, 128):
                array[k] = value
                seen.add(checksum(array))
            array[k] = 0
        assert checksum(array) in seen
    assert len(seen) == 9 + 2 * (1 + 2 + 7 + 31 + 32 + 33 + 64 + 100) == 549
    words = np.arange(64.0)
    assert checksum(words[:5], words[5:]) != checksum(words[:6], words[6:]) != checksum(words)
    for step in (1, 2, 4, 8):
        flipped = words.copy()
        flipped[::step] *= -1
        seen.add(checksum(flipped))
        flipped = words.copy()
        flipped[[1, 1 + step]] = flipped[[1 + step, 1]]
        seen.add(checksum(flipped))
    assert len(seen) == 549 + 8
    for wrong in ([1.0], words[::2]):
        with pytest.raises(TypeError, match="contiguous"):
            checksum(wrong)
