"""fit(shuffle=function): epochs whose rows are visited in an order that the caller gives."""

import subprocess
import sys

import numpy as np
import pytest

import plainnet as pn

from interruption import everything, fit_interrupted

rng = np.random.default_rng(3)
N = 103
X = rng.normal(size=(N, 4))
LABELS = rng.integers(0, 3, N)
WEIGHT = rng.random(N)


def order_of(epoch):
    return np.random.default_rng(epoch).permutation(N)


def network(backend, dtype="float64", optimizer=pn.Adam(pn.schedules.cosine(1e-2, 500)), dropout=0.0):
    layers = [pn.Dense(4, 8, "tanh", l2=0.01, dropout=dropout), pn.Dense(8, 3, "softmax")]
    return pn.Network(layers, "cross_entropy", seed=1, dtype=dtype, backend=backend, optimizer=optimizer)


def native(dtype):
    return X.astype(dtype), LABELS.astype(dtype), WEIGHT.astype(dtype)


@pytest.mark.parametrize("weighted", [False, True])
def test_rows_are_visited_in_the_order_given(backend, dtype, weighted):
    """The same bits as steps with these rows, batch by batch, and the loss of their mean."""
    x, labels, weight = native(dtype)
    net, twin, sums = network(backend, dtype), network(backend, dtype), []
    history = net.fit(
        x, labels, epochs=3, batch_size=16, shuffle=order_of, sample_weight=weight if weighted else None
    )
    for epoch in range(3):
        order, total = order_of(epoch), 0.0
        for start in range(0, N, 16):
            rows = order[start : start + 16]
            w = weight[rows] if weighted else None
            loss = twin.train_on_batch(x[rows], labels[rows], sample_weight=w)
            total += loss * (len(rows) if w is None else w.sum(dtype="float64"))
        sums.append(total / (weight.sum(dtype="float64") if weighted else N))
    assert everything(net)[:3] == everything(twin)[:3]
    np.testing.assert_allclose(history.loss, sums, rtol=1e-12)
    assert net.epochs_trained == 3


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_own_order_of_the_network_given_as_a_function_has_the_same_bits(backend, dropout):
    net, twin = network(backend, dropout=dropout), network(backend, dropout=dropout)
    by_seed = net.fit(X, LABELS, epochs=4, batch_size=16)
    seed = twin._shuffle_seed
    given = twin.fit(X, LABELS, epochs=4, batch_size=16, shuffle=lambda k: pn.native.shuffled(seed, k, N))
    assert everything(net) == everything(twin)
    np.testing.assert_array_equal(by_seed.loss, given.loss)
    np.testing.assert_array_equal(by_seed.learning_rate, given.learning_rate)


def test_function_gets_the_numbers_of_epochs_once_each(backend):
    """Also for the full batch, so that a function with a state is always as far as the training."""
    asked = []
    net = network(backend)
    net.epochs_trained = 5
    for batch_size in (None, 16):
        net.fit(X, LABELS, epochs=2, batch_size=batch_size, shuffle=lambda k: asked.append(k) or order_of(k))
    assert asked == [5, 6, 7, 8]


def test_order_of_the_full_batch_counts(backend):
    """Sums are added in it: the gradient's bits are those of rows in this order."""
    net, twin = network(backend), network(backend)
    net.fit(X, LABELS, shuffle=order_of)
    order = order_of(0)
    twin.fit(X[order], LABELS[order])
    np.testing.assert_array_equal(net.parameters, twin.parameters)


def test_any_integers_are_an_order(backend):
    nets = []
    for convert in (np.asarray, list, lambda k: k.astype(np.uint8), lambda k: np.repeat(k, 2)[::2].astype(">i4")):
        nets.append(network(backend))
        nets[-1].fit(X, LABELS, batch_size=16, shuffle=lambda k, convert=convert: convert(order_of(k)))
    assert len({net.parameters.tobytes() for net in nets}) == 1


TWICE = np.r_[0, np.arange(N - 1)]


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (np.arange(N - 1), "must be an array of the integers from 0 to 102, each of them once, not"),
        (np.arange(N + 1), "each of them once, not"),
        (np.arange(N).reshape(1, -1), "each of them once, not"),
        (np.arange(N) * 1.0, "each of them once, not"),
        (None, "each of them once, not None"),
        (TWICE, "each of them once: 102 is missing"),
        (np.arange(N) - 1, "each of them once: 0 is missing, or others are out of range"),
        (np.arange(N) + 2**40, "or others are out of range"),
    ],
)  # fmt: skip
def test_wrong_order_is_refused(backend, order, message):
    """In the first epoch nothing has happened; later the network is that of the epochs before."""
    net, twin = network(backend), network(backend)
    with pytest.raises(ValueError, match=f"the order of the rows in epoch 0, .* {message}"):
        net.fit(X, LABELS, batch_size=16, shuffle=lambda k: order)
    assert everything(net) == everything(twin)
    with pytest.raises(ValueError, match=f"in epoch 2, .* {message}"):
        net.fit(X, LABELS, epochs=4, batch_size=16, shuffle=lambda k: order_of(k) if k < 2 else order)
    twin.fit(X, LABELS, epochs=2, batch_size=16, shuffle=order_of)
    assert everything(net) == everything(twin)


def test_function_that_raises_ends_the_run_between_epochs(backend):
    def fail(epoch):
        if epoch == 2:
            raise LookupError("no order")
        return order_of(epoch)

    net, twin = network(backend), network(backend)
    with pytest.raises(LookupError, match="no order"):
        net.fit(X, LABELS, epochs=4, batch_size=16, shuffle=fail)
    twin.fit(X, LABELS, epochs=2, batch_size=16, shuffle=order_of)
    assert everything(net) == everything(twin)
    np.testing.assert_array_equal(net.history.loss, twin.history.loss)


@pytest.mark.parametrize("n_steps", [1, 6, 7, 10])
def test_interrupted_epoch_is_finished_in_the_same_order(backend, n_steps):
    net, twin = network(backend), network(backend)
    how = {"batch_size": 16, "shuffle": order_of, "sample_weight": WEIGHT}
    fit_interrupted(net, n_steps, X, LABELS, epochs=3, **how)
    net.fit(X, LABELS, epochs=3 - net.epochs_trained, **how)
    twin.fit(X, LABELS, epochs=3, **how)
    assert everything(net) == everything(twin)


def test_interrupted_epoch_is_not_finished_in_another_order(backend):
    net = network(backend)
    fit_interrupted(net, 3, X, LABELS, epochs=1, batch_size=16, shuffle=order_of)
    assert net._state.begun is not None
    net.fit(X, LABELS, batch_size=16, shuffle=lambda k: order_of(k + 1))
    assert net._state.steps == 3 + 7


def test_large_data_are_visited_in_the_order_given(backend, monkeypatch):
    bytes_x = rng.integers(0, 256, (N, 4)).astype(np.uint8)
    nets = [network(backend) for _ in range(2)]
    expected = nets[0].fit(bytes_x.astype(float), LABELS, epochs=3, batch_size=16, shuffle=order_of)
    monkeypatch.setattr("plainnet.network.LARGE_BYTES", 100)
    monkeypatch.setattr("plainnet.streaming.PART_BYTES", 1000)
    history = nets[1].fit(bytes_x, LABELS, epochs=3, batch_size=16, shuffle=order_of)
    assert everything(nets[0]) == everything(nets[1])
    np.testing.assert_array_equal(history.loss, expected.loss)


def test_validation_and_callbacks_see_each_epoch(backend):
    net, plain = network(backend), network(backend)
    stop = pn.EarlyStopping(patience=2, min_delta=10.0)
    history = net.fit(X, LABELS, 20, batch_size=16, shuffle=order_of, validation=(X, LABELS), callbacks=[stop])
    assert len(history.loss) == 3
    losses = plain.fit(X, LABELS, 3, batch_size=16, shuffle=order_of).loss
    np.testing.assert_array_equal(history.loss, losses)


def test_divergence_names_the_epoch_and_keeps_finite_parameters(backend):
    x = X.copy()
    net = network(backend, optimizer=pn.SGD(1.0))
    rate = [1.0, 1.0, 1e200]
    steps = -(-N // 16)
    with pytest.raises(pn.DivergedError) as raised:
        net.fit(x, LABELS, 5, lambda k: rate[min(k // steps, 2)], batch_size=16, shuffle=order_of)
    assert raised.value.epoch == 2
    assert np.isfinite(net.parameters).all()
    assert net.epochs_trained == 2


def test_order_may_come_from_a_generator_of_another_library():
    """The loop of scikit-learn's networks: numbers of rows that a RandomState shuffles again and again."""
    state, rows = np.random.RandomState(0), np.arange(N)

    def order(epoch):
        state.shuffle(rows)
        return rows

    net, twin = network("c"), network("numpy")
    net.fit(X, LABELS, 5, batch_size=16, shuffle=order)
    state, rows = np.random.RandomState(0), np.arange(N)
    twin.fit(X, LABELS, 5, batch_size=16, shuffle=order)
    np.testing.assert_allclose(net.parameters, twin.parameters, rtol=1e-9, atol=1e-12)


def test_ctrl_c_in_the_function_ends_the_run():
    script = """
import numpy as np, os, signal, sys, plainnet as pn
def order(epoch):
    if epoch == 3:
        os.kill(os.getpid(), signal.SIGINT)
    return np.arange(50)
signal.signal(signal.SIGINT, signal.default_int_handler)
net = pn.Network([pn.Dense(2, 3, "tanh"), pn.Dense(3, 1)], seed=0)
try:
    net.fit(np.ones((50, 2)), np.ones(50), epochs=10**6, batch_size=10, shuffle=order)
except KeyboardInterrupt:
    sys.exit(0 if net.epochs_trained >= 3 and len(net.history.loss) == net.epochs_trained else 1)
sys.exit(2)
"""
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 0
