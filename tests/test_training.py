"""Runs: batches, order, continuing, slices, divergence, Ctrl-C."""

import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import plainnet as pn
from plainnet import native
from plainnet.training import Progress, Training

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
        activations = [*rng.choice(["tanh", "sigmoid", "relu", "identity"], len(widths) - 2), "sigmoid"]
        layers = [
            (int(n_in), int(n_out), str(f), bool(rng.integers(2)))
            for n_in, n_out, f in zip(widths[:-1], widths[1:], activations, strict=True)
        ]
        net = textbook.network(layers, losses[trial % 3], seed=trial, backend=c_backend, dtype=dtype)
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
    """At the seam, where a run may be cut anywhere: 6 epochs of 4 (or 1) steps, cut every n_steps."""
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


def test_short_slices_within_fit_change_nothing(backend, monkeypatch):
    x, y = data(13)
    expected = make(backend)
    loss = expected.fit(x, y, epochs=20, batch_size=4).loss
    monkeypatch.setattr("plainnet.network.SLICE_SECONDS", 0)
    monkeypatch.setattr("plainnet.network.FIRST_SLICE_OPERATIONS", {"c": 0, "numpy": 0})
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


def test_divergence_from_parameters_that_are_not_finite(backend):
    x, y = data(3)
    for bad in (np.nan, np.inf):
        net = make(backend)
        net.parameters[3] = bad
        before = net.parameters.copy()
        with pytest.raises(pn.DivergedError, match="epoch 0 "):
            net.fit(x, y, epochs=2)
        np.testing.assert_array_equal(net.parameters, before)


@pytest.mark.parametrize("batch_size", [None, 2])
def test_divergence_is_the_same_in_both_backends(backend, batch_size):
    """Epoch, parameters and place in the epoch, in a network that takes some steps to overflow."""
    x, y = data(5)
    results = []
    for name in (backend, "numpy"):
        net = textbook.network([(5, 4, "relu", True), (4, 3, "identity", True)], "sum_of_squares", seed=1, backend=name)
        with pytest.raises(pn.DivergedError) as caught:
            net.fit(x, y, epochs=500, learning_rate=3.0, batch_size=batch_size)
        results.append((caught.value.epoch, net.epochs_trained, net._begun and net._begun[1].row, net.parameters))
    assert results[0][:3] == results[1][:3]
    assert np.isfinite(results[0][3]).all()
    # Rounding grows as everything overflows: only the size is the same.
    assert np.log(np.abs(results[0][3]).max()) == pytest.approx(np.log(np.abs(results[1][3]).max()), rel=1e-2)


def test_divergence_does_not_depend_on_slices(backend, monkeypatch):
    expected, error = reach_overflow(backend, np.dtype(float), 1000)
    monkeypatch.setattr("plainnet.network.SLICE_SECONDS", 0)
    monkeypatch.setattr("plainnet.network.FIRST_SLICE_OPERATIONS", {"c": 0, "numpy": 0})
    net, sliced_error = reach_overflow(backend, np.dtype(float), 1000)
    assert sliced_error.epoch == error.epoch
    assert net.epochs_trained == expected.epochs_trained
    np.testing.assert_array_equal(net.parameters, expected.parameters)


def test_training_goes_on_after_divergence_with_a_smaller_rate(backend):
    net, _ = reach_overflow(backend, np.dtype(float), 1000)
    net.fit([[1]], [[0]], epochs=2000, learning_rate=0.25)  # halves w at each step
    assert abs(net.parameters[0]) < 1e-100


# ---- Weights that the kernels keep in an order of their own ----------------------------------------------------------

# The first layer is wide enough for that, the second is not.
PACKED_LAYERS = [(120, 120, "identity", True), (120, 2, "identity", True)]


def make_packed(c_backend, dtype, lazy, monkeypatch):
    def c_training(training, original=native._c_training):
        result = original(training)
        result.lazy = lazy
        return result

    monkeypatch.setattr(native, "_c_training", c_training)
    x, y = data(24, dtype, PACKED_LAYERS)
    net, twin = (
        textbook.network(PACKED_LAYERS, "sum_of_squares", seed=2, backend=c_backend, dtype=dtype) for _ in range(2)
    )
    return net, twin, x, y


def test_packed_weights_are_the_callers_after_every_call(c_backend, dtype, monkeypatch):
    net, twin, x, y = make_packed(c_backend, dtype, False, monkeypatch)
    training, progress, losses = Training(3, 8, 1e-4), Progress(), np.empty(3)
    while progress.epoch < 3:
        rows = slice(progress.row, progress.row + 8)
        net._model.train(x, y, training, progress, losses, 1)
        twin.train_on_batch(x[rows], y[rows], learning_rate=1e-4)
        np.testing.assert_array_equal(net.parameters, twin.parameters)


@pytest.mark.parametrize("lazy", [True, False])
@pytest.mark.parametrize("max_steps", [10**6, 5, 1])
def test_divergence_with_packed_weights(c_backend, dtype, monkeypatch, lazy, max_steps):
    """The loss overflows long before the parameters do: what stays is from before the last step whose loss did not."""
    net, twin, x, y = make_packed(c_backend, dtype, lazy, monkeypatch)
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


def test_divergence_from_packed_weights_that_are_not_finite(c_backend, dtype, monkeypatch):
    net, _, x, y = make_packed(c_backend, dtype, True, monkeypatch)
    for place in (0, -1):  # in a packed weight; in the last bias
        net.parameters[place] = np.inf
        before = net.parameters.copy()
        with pytest.raises(pn.DivergedError, match="epoch 0 "):
            net.fit(x, y, epochs=10)
        np.testing.assert_array_equal(net.parameters, before)
        net.parameters[place] = 0


def test_divergence_that_only_an_interruption_finds(c_backend, monkeypatch):
    """As in test_divergence_of_parameters_is_found_where_the_loss_hides_it, with Ctrl-C after the fatal step."""

    def press(self):
        raise KeyboardInterrupt

    monkeypatch.setattr("plainnet.network.DeferredInterrupt.deliver", press)
    monkeypatch.setattr("plainnet.network.FIRST_SLICE_OPERATIONS", {"c": 0})
    net = textbook.network([(100, 100, "tanh", True)], "sum_of_squares", seed=0, backend=c_backend)
    net.parameters = np.zeros(net.parameters.size)
    with pytest.raises(pn.DivergedError):
        net.fit(np.full((8, 100), 1e10), np.full((8, 100), -1.0), epochs=50, learning_rate=1e300)
    assert not net.parameters.any()
    assert net.epochs_trained == 0


# ---- Ctrl-C ----------------------------------------------------------------------------------------------------------

INTERRUPTED = textwrap.dedent("""
    import signal, sys, time
    import numpy as np
    import plainnet as pn

    backend, isa, dtype = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in a shell's background starts with it ignored
    if isa:
        pn.native.set_isa(isa)
    rng = np.random.default_rng(0)
    epochs = 2

    def make():
        return pn.Network([pn.Dense(8, 16, "tanh"), pn.Dense(16, 2, "sigmoid")], loss="log_loss", seed=1, dtype=dtype,
                          backend=backend)

    def data(n_rows):
        return rng.standard_normal((n_rows, 8)).astype(dtype), rng.random((n_rows, 2)).astype(dtype)

    # As many rows as make an epoch last 0.3 s, whatever the machine and the backend.
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        make().fit(*data(5000), batch_size=16)
        seconds.append(time.perf_counter() - started)
    x, y = data(min(2_000_000, int(5000 * 0.3 / min(seconds))))

    net = make()
    print("ready", flush=True)
    try:
        net.fit(x, y, epochs=epochs, batch_size=16)
        print("nan", flush=True)
    except KeyboardInterrupt:
        print(time.monotonic(), flush=True)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert np.isfinite(net.parameters).all()
    row = net._begun[1].row if net._begun else 0
    finished = net.epochs_trained
    history = net.fit(x, y, epochs=epochs - finished, batch_size=16)
    whole = make()
    expected = whole.fit(x, y, epochs=epochs, batch_size=16)
    assert np.array_equal(net.parameters, whole.parameters)
    assert np.array_equal(history.loss, expected.loss[finished:])
    assert net.epochs_trained == epochs
    print("at a step" if row % 16 == 0 else row, "within an epoch" if row else "between epochs", flush=True)
""")


@pytest.mark.parametrize("dtype_name", ["float64", "float32"])
def test_ctrl_c_stops_at_a_step_and_continuing_gives_the_same_bits(backend, dtype_name):
    """
    A signal in the middle of an epoch of shuffled mini-batches. 0.2 s is promised; a busy machine may spoil a try or
    two (late, or stopped before the first step). Bits count in every one of them.
    """
    isa = pn.native.isa() if backend == "c" else ""
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", INTERRUPTED, backend, isa, dtype_name], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout.readline() == "ready\n"
            time.sleep(0.1)
            sent = time.monotonic()
            process.send_signal(signal.SIGINT)
            delay = float(process.stdout.readline()) - sent
            place = process.stdout.read().strip()
        assert process.returncode == 0
        assert place.startswith("at a step")
        if delay < 0.2 and place.endswith("within an epoch"):
            return
    pytest.fail(f"the last of four tries stopped after {delay:.2f} s, {place}")


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that sends signals")
def test_an_exception_from_a_signal_handler_amid_short_runs_loses_no_count(c_backend, dtype):
    """A short run ends before Python sees the signal, and its caller may then never reach the next line."""
    layers, loss, x, y, *_ = textbook.SYSTEMS["layered"]
    net, twin = (textbook.network(layers, loss, seed=1, dtype=dtype, backend=c_backend) for _ in range(2))
    x, y = x.astype(dtype), y.astype(dtype)

    def handler(number, frame):
        raise TimeoutError

    def fit_until_alarm(seconds):
        signal.setitimer(signal.ITIMER_REAL, seconds)
        while True:
            net.fit(x, y, 100)

    previous = signal.signal(signal.SIGALRM, handler)
    try:
        for k in range(20):
            with pytest.raises(TimeoutError):
                fit_until_alarm(0.001 + 0.00007 * k)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert net.epochs_trained > 0
    twin.fit(x, y, net.epochs_trained)
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
        assert net._begun[1].row == 8
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
        assert net._begun is None
