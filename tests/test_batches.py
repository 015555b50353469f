"""fit with an iterable of mini-batches."""

import numpy as np
import pytest

import plainnet as pn

rng = np.random.default_rng(3)
N, SIZE = 203, 16
X, LABELS, WEIGHT = rng.random((N, 6)), rng.integers(0, 3, N), rng.random(N)


def network(backend, dtype="float64", **options):
    layers = [pn.Dense(6, 8, "tanh", dropout=0.2, l2=1e-3), pn.Dense(8, 3, "softmax")]
    options = {"optimizer": pn.Adam(pn.schedules.cosine(1e-2, 5000)), **options}
    return pn.Network(layers, "cross_entropy", seed=1, dtype=dtype, backend=backend, **options)


def batches(*arrays):
    return [tuple(array[start : start + SIZE] for array in arrays) for start in range(0, N, SIZE)]


class Walked:
    """Makes its batches anew each time, and counts."""

    def __init__(self, items):
        self.items, self.n_walks = items, 0

    def __iter__(self):
        self.n_walks += 1
        yield from self.items


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_batches_have_the_bits_of_arrays_in_order(backend, dtype, weight):
    whole, net = network(backend, dtype), network(backend, dtype)
    watched = {"validation": (X, LABELS), "metrics": ["accuracy"]}
    expected = whole.fit(
        X, LABELS, epochs=4, batch_size=SIZE, shuffle=False, sample_weight=weight,
        callbacks=[pn.ReduceOnPlateau(patience=0, threshold=0.5)], **watched,
    )  # fmt: skip
    walked = Walked(batches(X, LABELS) if weight is None else batches(X, LABELS, weight))
    history = net.fit(walked, epochs=4, callbacks=[pn.ReduceOnPlateau(patience=0, threshold=0.5)], **watched)
    assert walked.n_walks == 4
    assert np.array_equal(net.parameters, whole.parameters)
    assert (net.epochs_trained, net._state.steps) == (4, 4 * 13)
    np.testing.assert_allclose(history.loss, expected.loss, rtol=0 if weight is None else 1e-14)  # the sum of weights
    assert len(set(history.learning_rate)) > 1
    assert history.learning_rate.tolist() == expected.learning_rate.tolist()
    assert history.validation_loss.tolist() == expected.validation_loss.tolist()
    assert history.metrics["accuracy"].tolist() == expected.metrics["accuracy"].tolist()
    net.fit(batches(X, LABELS))
    assert net.epochs_trained == 5


def test_batches_of_all_sizes_and_kinds(backend):
    """Each is a step: the same as train_on_batch, but for what dropout drops."""
    layers = [pn.Dense(6, 8, "tanh"), pn.Dense(8, 3, "softmax")]
    nets = [pn.Network(layers, "cross_entropy", seed=1, backend=backend, optimizer=pn.Adam()) for _ in range(2)]
    items = [
        (X[:3], LABELS[:3]), (X[3:6].astype(np.float32), np.eye(3)[LABELS[3:6]]), (X[6:9].tolist(), LABELS[6:9]),
        (X[9:12], LABELS[9:12], WEIGHT[9:12]), (X[12:13], LABELS[12:13]), [X[13:], LABELS[13:]],
    ]  # fmt: skip
    nets[0].fit(items, epochs=2)
    for _ in range(2):
        for x, y, *weight in items:
            nets[1].train_on_batch(x, y, None, *weight)
    assert np.array_equal(nets[0].parameters, nets[1].parameters)


def test_an_array_of_its_own_is_not_kept(backend):
    """A generator may use the same memory for all its batches."""

    class Reused:
        def __iter__(self):
            x = np.empty((SIZE, 6))
            for start in range(0, 192, SIZE):
                x[:] = X[start : start + SIZE]
                yield x, LABELS[start : start + SIZE].copy()

    whole, net = network(backend), network(backend)
    whole.fit(X[:192], LABELS[:192], epochs=2, batch_size=SIZE, shuffle=False)
    net.fit(Reused(), epochs=2)
    assert np.array_equal(net.parameters, whole.parameters)


def test_a_generator_can_be_walked_once(backend):
    whole, net = network(backend), network(backend)
    whole.fit(batches(X, LABELS))
    net.fit(iter(batches(X, LABELS)))
    assert np.array_equal(net.parameters, whole.parameters)
    with pytest.raises(ValueError, match=r"it had some in the first epoch, and has none now.* no generator"):
        net.fit(iter(batches(X, LABELS)), epochs=3)
    assert (net.epochs_trained, len(net.history.loss)) == (2, 1)
    with pytest.raises(ValueError, match="it has no mini-batch"):
        net.fit([])


@pytest.mark.parametrize(
    ("item", "error", "words"),
    [
        ((X[:5], LABELS[:4]), ValueError, "batch 6 of x: x and y must have as many rows"),
        ((X[:5, :4], LABELS[:5]), ValueError, r"batch 6 of x: x has shape \(5, 4\)"),
        ((X[:5] * np.nan, LABELS[:5]), ValueError, r"batch 6 of x: x holds nan \(row 0, column 0\)"),
        ((np.r_[X[:15], [[np.nan] * 6]], LABELS[:16]), ValueError, r"batch 6 of x: x holds nan \(row 15, column 0\)"),
        ((X[:5], LABELS[:5] + 3), ValueError, "batch 6 of x: y holds"),
        ((X[:5], LABELS[:5], -WEIGHT[:5]), ValueError, "batch 6 of x: sample_weight holds"),
        (X[:5], TypeError, r"batch 6 of x must be a tuple \(x, y\) or"),
        ((X[:5],), TypeError, "batch 6 of x must be a tuple"),
        (None, TypeError, "batch 6 of x must be a tuple"),
        (("a", "b"), TypeError, "batch 6 of x: x is 'a'"),
    ],
)
def test_bad_batch_is_named_and_the_network_stays_usable(backend, item, error, words):
    net, twin = network(backend), network(backend)
    items = [*batches(X, LABELS)[:5], item, *batches(X, LABELS)]
    with pytest.raises(error, match=words):
        net.fit(items)
    assert net._state.steps <= 5
    if net._state.steps > 0:
        twin.fit(batches(X, LABELS)[: net._state.steps])
    assert np.array_equal(net.parameters, twin.parameters)
    net.fit(batches(X, LABELS))


@pytest.mark.parametrize("n_good", [0, 3])
def test_iterable_that_raises_leaves_a_usable_network(backend, n_good):
    class Broken:
        def __iter__(self):
            yield from batches(X, LABELS)[:n_good]
            raise OSError("the file is gone")

    net = network(backend)
    with pytest.raises(OSError, match="the file is gone"):
        net.fit(Broken(), epochs=2)
    assert net.epochs_trained == 0
    net.fit(batches(X, LABELS))
    assert net.epochs_trained == 1


def test_interruption_between_epochs_can_be_taken_up(backend):
    class Interrupting:
        def epoch_end(self, network, logs):
            if logs["epoch"] == 2:
                raise KeyboardInterrupt

    class Idle:
        def epoch_end(self, network, logs):
            pass

    Idle.__name__ = "Interrupting"
    whole, net = network(backend), network(backend)
    whole.fit(batches(X, LABELS), epochs=5)
    with pytest.raises(KeyboardInterrupt):
        net.fit(batches(X, LABELS), epochs=5, callbacks=[Interrupting()])
    history = net.fit(batches(X, LABELS), epochs=5, callbacks=[Idle()], resume=True)
    assert np.array_equal(net.parameters, whole.parameters)
    assert history.loss.tolist() == whole.history.loss.tolist()


def test_divergence_names_the_epoch(backend):
    net = network(backend, optimizer=pn.SGD(1e-3))
    with pytest.raises(pn.DivergedError) as caught:
        net.fit(batches(X, LABELS), epochs=4, learning_rate=lambda step: 1e-3 if step < 20 else 1e300)
    assert caught.value.epoch == 1
    assert np.isfinite(net.parameters).all()
    assert net.epochs_trained == 1


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"batch_size": 5}, ValueError, "batch_size must be None where x is an iterable"),
        ({"sample_weight": WEIGHT}, ValueError, "sample_weight must be None"),
        ({"validation": 0.1}, ValueError, r"validation must be \(x, y\) where the training data come batch by batch"),
        ({"metrics": ["accuracy"]}, ValueError, r"metrics need validation=\(x, y\)"),
        ({"epochs": -1}, ValueError, "epochs must be at least 0"),
    ],
)
def test_arguments_for_arrays_are_refused(backend, arguments, error, words):
    net = network(backend)
    with pytest.raises(error, match=words):
        net.fit(batches(X, LABELS), **arguments)
    assert net._state.steps == 0


@pytest.mark.parametrize("x", [X, 3, "data", None], ids=["array", "number", "text", "none"])
def test_missing_targets_are_named(backend, x):
    with pytest.raises(TypeError, match=r"y is missing, and x is .* must be an iterable of mini-batches"):
        network(backend).fit(x)
