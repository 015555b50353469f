"""Several Python threads, and processes that fork."""

import ctypes
import os
import platform
import signal
import subprocess
import sys
import threading
import traceback
import warnings
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest

import plainnet as pn

import textbook

LAYERS = [(16, 64, "tanh", True), (64, 8, "sigmoid", True)]


def make(backend, seed=0, **arguments):
    return textbook.network(LAYERS, "mean_squared_error", seed=seed, backend=backend, **arguments)


def data(n_rows=256):
    rng = np.random.default_rng(1)
    return rng.standard_normal((n_rows, 16)), rng.random((n_rows, 8))


def numbers_of_threads():
    """Sets one number of threads after the other, and in the end the first."""
    before = pn.num_threads()
    try:
        for n in (1, 2, 3, 8):
            pn.set_num_threads(n)
            yield n
    finally:
        pn.set_num_threads(before)


def test_threads_may_predict_with_one_network(backend):
    net = make(backend)
    x, _ = data()
    expected = {n: net.predict(x[:n]) for n in (1, 7, 33, 256)}
    with ThreadPoolExecutor(4) as pool:
        jobs = [(n, pool.submit(net.predict, x[:n])) for _ in range(50) for n in expected]
        for n, job in jobs:
            np.testing.assert_array_equal(job.result(), expected[n])


@pytest.mark.parametrize("sizes", [(13, 64, 64, 1), (40, 96, 10), (5, 300, 2), (200, 700, 3)])
def test_rows_shared_among_threads_have_the_bits_of_rows_apart(c_backend, dtype, sizes):
    """Narrow networks divide the rows among threads, wide ones each product."""
    layers = [pn.Dense(n_in, n_out, "tanh") for n_in, n_out in pairwise(sizes)]
    net = pn.Network(layers, seed=0, dtype=dtype, backend=c_backend)
    x = np.random.default_rng(1).standard_normal((6001, sizes[0])).astype(dtype)
    expected = np.concatenate([net.predict(x[i : i + 50]) for i in range(0, len(x), 50)])
    for _ in numbers_of_threads():
        np.testing.assert_array_equal(net.predict(x), expected)


def test_training_with_few_rows_shared_among_threads_has_the_bits_of_one(c_backend, dtype):
    """Products with few rows are divided among threads if their weights are many."""
    layers = [pn.Dense(3, 1200, "tanh"), pn.Dense(1200, 1100, "tanh"), pn.Dense(1100, 2)]
    start = pn.Network(layers, seed=0, dtype=dtype)
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((24, 3)), rng.standard_normal((24, 2))
    trained = []
    for _ in numbers_of_threads():
        net = start.copy(backend=c_backend)
        net.fit(x, y, epochs=2, learning_rate=0.01)
        trained.append(net.parameters.copy())
    for parameters in trained[1:]:
        np.testing.assert_array_equal(parameters, trained[0])


@pytest.mark.parametrize("name", textbook.KERNELS)
@pytest.mark.parametrize("n", [20_000, 40_001, 333_333])
def test_elements_shared_among_threads_have_the_bits_of_elements_apart(c_backend, dtype, name, n):
    rng = np.random.default_rng(2)
    z, grad_a = rng.standard_normal((2, n + 1)).astype(dtype)[:, 1:] * 8
    forward, backward = getattr(pn.kernels, name), getattr(pn.kernels, f"{name}_backward")
    slices = [slice(i, i + 5000) for i in range(0, n, 5000)]
    a = np.concatenate([forward(z[part]) for part in slices])
    grad_z = np.concatenate([backward(a[part], grad_a[part]) for part in slices])
    for _ in numbers_of_threads():
        out = np.full(n, np.nan, dtype)
        np.testing.assert_array_equal(forward(z, out), a)
        np.testing.assert_array_equal(backward(out, grad_a, out), grad_z)


# fesetround's names for upward and to nearest.
ROUNDING = {"x86_64": (0x800, 0), "aarch64": (0x400000, 0), "arm64": (0x400000, 0)}.get(platform.machine())


@pytest.mark.skipif(os.name != "posix" or ROUNDING is None, reason="needs fesetround and what its modes are called")
def test_rounding_mode_of_the_caller_changes_no_result_and_stays(c_backend, dtype):
    """Neither its own part of the elements nor that of other threads, whichever thread created these."""
    z = np.linspace(-3, 3, 200_000, dtype=dtype)
    fesetround, fegetround = ctypes.CDLL(None).fesetround, ctypes.CDLL(None).fegetround
    expected = pn.kernels.sigmoid(z)
    for _ in numbers_of_threads():
        for mode in ROUNDING:
            try:
                assert fesetround(mode) == 0
                found, left = pn.kernels.sigmoid(z), fegetround()
            finally:
                fesetround(0)
            np.testing.assert_array_equal(found, expected)
            assert left == mode


@pytest.mark.parametrize("text", ["0", "65", "4abc", " "])
def test_bad_number_of_threads_in_the_environment_is_reported_at_import(text):
    """What is a number, and what is not, test_c_kernels.py tries at length."""
    environment = {**os.environ, "PLAINNET_NUM_THREADS": text}
    command = [sys.executable, "-c", "import plainnet"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert result.returncode != 0
    assert "PLAINNET_NUM_THREADS" in result.stderr
    assert "from 1 to 64" in result.stderr


def test_number_of_threads_in_the_environment_is_taken():
    environment = {**os.environ, "PLAINNET_NUM_THREADS": " 3 "}
    command = [sys.executable, "-c", "import plainnet; print(plainnet.num_threads())"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert result.stdout == "3\n", result.stderr


EXIT = """
import threading
import numpy as np
import plainnet as pn
pn.set_num_threads(3)
net, x = pn.Network([pn.Dense(32, 32, "tanh"), pn.Dense(32, 1)], seed=0), np.ones((20000, 32))
begun = threading.Event()
def predict():
    while True:
        net.predict(x)
        begun.set()
threading.Thread(target=predict, daemon=True).start()
begun.wait()
"""


def test_python_exits_while_a_daemon_thread_predicts():
    for _ in range(3):
        result = subprocess.run([sys.executable, "-c", EXIT], capture_output=True, text=True, timeout=300)
        assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_threads_may_ask_one_network_for_gradients(backend):
    net = make(backend)
    x, y = data()
    expected = net.loss_and_gradient(x, y)
    with ThreadPoolExecutor(4) as pool:
        for job in [pool.submit(net.loss_and_gradient, x, y) for _ in range(50)]:
            loss, gradient = job.result()
            assert loss == expected[0]
            np.testing.assert_array_equal(gradient, expected[1])


def test_threads_may_train_networks_of_their_own(backend):
    x, y = data()

    def train(seed):
        net = make(backend, seed)
        return net.fit(x, y, epochs=5, batch_size=20).loss, net.parameters

    expected = [train(seed) for seed in range(6)]
    with ThreadPoolExecutor(4) as pool:
        for result, reference in zip(pool.map(train, range(6)), expected, strict=True):
            for actual, wanted in zip(result, reference, strict=True):
                np.testing.assert_array_equal(actual, wanted)


def test_second_thread_that_trains_the_same_network_is_refused(backend, monkeypatch):
    """For the whole run, between its slices too: the run's workspace holds its state. The run itself is unharmed."""
    x, y = data()
    net, twin = make(backend), make(backend)
    in_slice, go_on = threading.Event(), threading.Event()
    original = net._model.train

    def train(*arguments):
        original(*arguments[:-1], 3)
        in_slice.set()
        assert go_on.wait(600)

    net._model.train = train
    thread = threading.Thread(target=net.fit, args=(x, y), kwargs={"epochs": 3, "batch_size": 20})
    thread.start()
    assert in_slice.wait(600)
    for call in (net.fit, net.train_on_batch):
        with pytest.raises(RuntimeError, match="being trained by another thread"):
            call(x[:5], y[:5])
    go_on.set()
    thread.join()
    net._model.train = original
    twin.fit(x, y, epochs=3, batch_size=20)
    np.testing.assert_array_equal(net.parameters, twin.parameters)
    net.train_on_batch(x, y)  # free again


def test_copy_of_a_network_in_training_is_free(backend):
    net = make(backend)
    x, y = data()
    net._state.run(lambda: net.copy().fit(x, y), (), None, None, True)


def test_interrupt_machinery_leaves_other_threads_alone(backend):
    """Signal handlers belong to the main thread: fit in another one must not touch them."""
    x, y = data()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: make(backend).fit(x, y, epochs=2).loss.shape).result(600) == (2,)


def fork(check):
    """What `check` returns in a child process; an exception is False."""
    sys.stdout.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python's own about threads and fork
        child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if check() else 2
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_child_of_a_fork_predicts_and_trains(backend):
    """After use in the parent, with its threads if it has any; twice, and the parent goes on."""
    net = make(backend)
    x, y = data(2048)
    net.fit(x, y, epochs=2, batch_size=64)
    net.fit(x, y, epochs=1)
    expected = net.copy()
    loss, a = expected.fit(x, y, epochs=3).loss, expected.predict(x)

    def check():
        twin = net.copy()
        return np.array_equal(twin.fit(x, y, epochs=3).loss, loss) and np.array_equal(twin.predict(x), a)

    for _ in range(2):
        assert fork(check)
    np.testing.assert_array_equal(net.fit(x, y, epochs=3).loss, loss)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("function", ["fit", "train_on_batch"])
@pytest.mark.parametrize("optimizer", [pn.SGD(0.1), pn.Adam()], ids=["SGD", "Adam"])
def test_child_of_a_fork_amid_a_run_has_the_network_from_before_it(backend, dtype, function, optimizer):
    """The thread that trains is not there, and parameters and state may be caught in the midst of a step."""
    x, y = data()
    net = make(backend, dtype=dtype)
    net.optimizer = optimizer
    net.fit(x, y, epochs=2, batch_size=64)
    arguments = {"epochs": 3, "batch_size": 20} if function == "fit" else {}
    before, after = net.copy(), net.copy()
    getattr(after, function)(x, y, **arguments)
    original, state = net._model.train, net._optimizer[1]
    arrays = [net.parameters] if state is None else [net.parameters, *state]
    amid, go_on = threading.Event(), threading.Event()

    def train(*arguments):
        net._model.train = original
        torn = [array[::2].copy() for array in arrays]
        for array in arrays:
            array[::2] = 7
        amid.set()
        assert go_on.wait(600)
        for array, values in zip(arrays, torn, strict=True):
            array[::2] = values
        return original(*arguments)

    def check():
        net._model.train = original
        twin, copied = before.copy(), net.copy()
        same = [np.array_equal(network.parameters, twin.parameters) for network in (net, copied)]
        same += [np.array_equal(network.predict(x), twin.predict(x)) for network in (net, copied)]
        loss = twin.fit(x, y, **{**arguments, "epochs": 3}).loss
        for network in (net, copied):
            same.append(np.array_equal(network.fit(x, y, **{**arguments, "epochs": 3}).loss, loss))
            same += [np.array_equal(network.parameters, twin.parameters), network.epochs_trained == 5]
        net.train_on_batch(x, y)
        return all(same) and fork(lambda: net.fit(x, y).loss.shape == (1,))

    net._model.train = train
    thread = threading.Thread(target=getattr(net, function), args=(x, y), kwargs=arguments)
    thread.start()
    assert amid.wait(600)
    try:
        assert fork(check)
        with pytest.raises(RuntimeError, match="another thread"):
            net.fit(x, y)
    finally:
        go_on.set()
        thread.join()
    np.testing.assert_array_equal(net.parameters, after.parameters)  # the parent's run is unharmed
    assert net.epochs_trained == after.epochs_trained
    net.fit(x, y)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_children_of_forks_at_any_moment_of_a_run_can_use_the_network(c_backend):
    """
    With products that are divided among threads, and packed weights.

    (Of NumPy this cannot be asked: a BLAS with threads may leave the child with a lock that nobody opens.)
    """
    layers = [(64, 300, "tanh", True), (300, 200, "tanh", True), (200, 8, "sigmoid", True)]
    net = textbook.network(layers, "log_loss", seed=1, backend=c_backend)
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((600, 64)), rng.random((600, 8))
    net.fit(x, y, batch_size=150)
    before, original = net.copy(), net._model.train
    under_way, stop = threading.Event(), threading.Event()

    class StopError(Exception):
        pass

    def train(*arguments):
        under_way.set()
        original(*arguments)
        if stop.is_set() and arguments[-1] > 0:
            raise StopError

    def fit():
        with pytest.raises(StopError):
            net.fit(x, y, epochs=10**6, batch_size=150)

    def check():
        net._model.train = original
        same = [np.array_equal(net.parameters, before.parameters), np.array_equal(net.predict(x), before.predict(x))]
        same.append(np.array_equal(net.fit(x, y, batch_size=150).loss, before.fit(x, y, batch_size=150).loss))
        return all(same) and np.array_equal(net.parameters, before.parameters) and net.epochs_trained == 2

    net._model.train = train
    thread = threading.Thread(target=fit)
    thread.start()
    try:
        assert under_way.wait(600)
        assert all(fork(check) for _ in range(5))
    finally:
        stop.set()
        thread.join()
    net._model.train = original
    n_epochs, twin = net.epochs_trained + 1, before
    net.fit(x, y, batch_size=150)
    twin.fit(x, y, n_epochs - 1, batch_size=150)
    np.testing.assert_array_equal(net.parameters, twin.parameters)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_child_of_a_fork_amid_a_run_of_the_main_thread_has_its_signal_handler(backend):
    """Another thread forks: what has deferred SIGINT for the main thread's run has nobody to put it back."""
    x, y = data()
    net, twin, results = make(backend), make(backend), []
    original = net._model.train

    def handler(number, frame):
        raise AssertionError

    def check():
        handlers = [signal.getsignal(signal.SIGINT)]
        make(backend).fit(x, y, epochs=2, batch_size=20)
        handlers.append(signal.getsignal(signal.SIGINT))
        return all(found is handler for found in handlers)

    def train(*arguments):
        net._model.train = original
        assert signal.getsignal(signal.SIGINT) is not handler
        thread = threading.Thread(target=lambda: results.append(fork(check)))
        thread.start()
        thread.join()
        original(*arguments)

    net._model.train = train
    previous = signal.signal(signal.SIGINT, handler)
    try:
        net.fit(x, y, epochs=3, batch_size=20)
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, previous)
    assert results == [True]
    twin.fit(x, y, epochs=3, batch_size=20)
    np.testing.assert_array_equal(net.parameters, twin.parameters)
