"""fit with an iterable of mini-batches."""

import numpy as np
import pytest

import plainnet as pn
from plainnet import streaming
from plainnet._cpython import addresses, take_batches
from plainnet.backend import Progress, Training

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


@pytest.mark.parametrize("kind", [list, tuple, Walked])
@pytest.mark.parametrize("size", [1, 16, 67, N])
def test_every_kind_of_iterable_has_the_bits_of_arrays(backend, dtype, kind, size):
    """Also in many groups, which memory that is used again holds, and with a smaller mini-batch at the end."""
    whole, net = network(backend, dtype), network(backend, dtype)
    x = X.astype(dtype)
    items = [(x[start : start + size], LABELS[start : start + size]) for start in range(0, N, size)]
    whole.fit(x, LABELS, epochs=2, batch_size=size, shuffle=False)
    net.fit(kind(items), epochs=2)
    assert np.array_equal(net.parameters, whole.parameters)


@pytest.mark.parametrize("kind", [list, Walked])
def test_groups_are_as_large_as_parts(backend, monkeypatch, kind):
    whole, net = network(backend), network(backend)
    whole.fit(batches(X, LABELS), epochs=2)
    monkeypatch.setattr(streaming, "bytes_of_part", lambda parameters: 3 * X[:SIZE].nbytes)
    sizes = []
    real = type(net._model).train_batches

    def spy(self, x, *arguments, **keywords):
        sizes.append([len(array) for array in x])
        return real(self, x, *arguments, **keywords)

    monkeypatch.setattr(type(net._model), "train_batches", spy)
    net.fit(kind(batches(X, LABELS)), epochs=2)
    assert sizes == [*[[SIZE] * 3] * 4, [N - 12 * SIZE]] * 2
    assert np.array_equal(net.parameters, whole.parameters)


def test_arrays_of_a_list_are_used_where_they_lie(backend, monkeypatch):
    """But copied if they come from an iterable that might use their memory again."""
    net, seen = network(backend), []
    items = [(X[:SIZE].copy(), np.eye(3)[LABELS[:SIZE]]), (X[SIZE : 2 * SIZE].copy(), np.eye(3)[LABELS[:SIZE]])]
    real = type(net._model).train_batches

    def spy(self, x, y, *arguments, **keywords):
        for ours, theirs in zip([x, y], zip(*items, strict=True), strict=True):
            seen.append([np.may_share_memory(a, b) for a, b in zip(ours, theirs, strict=True)])
        return real(self, x, y, *arguments, **keywords)

    monkeypatch.setattr(type(net._model), "train_batches", spy)
    net.fit(items)
    assert seen == [[True, True]] * 2
    net.fit(Walked(items))
    assert seen[2:] == [[False, False]] * 2


@pytest.mark.parametrize("kind", [list, Walked])
def test_targets_of_one_output_may_lack_an_axis(backend, dtype, kind):
    layers = [pn.Dense(6, 4, "tanh"), pn.Dense(4, 1)]
    nets = [pn.Network(layers, "mean_squared_error", seed=1, dtype=dtype, backend=backend) for _ in range(2)]
    x, y = X.astype(dtype), WEIGHT.astype(dtype)
    nets[0].fit(x, y, epochs=2, batch_size=SIZE, shuffle=False)
    nets[1].fit(kind(batches(x, y)), epochs=2)
    assert np.array_equal(nets[0].parameters, nets[1].parameters)


@pytest.mark.parametrize("kind", [list, Walked])
@pytest.mark.parametrize("of", ["i1", "u1", "i4", "i8", "u8", "f4", "f8", ">i8", "?"])
def test_labels_may_have_any_dtype(backend, kind, of):
    classes = LABELS % 2
    nets = [network(backend) for _ in range(2)]
    nets[0].fit(X, classes, batch_size=SIZE, shuffle=False)
    strided = np.repeat(classes.astype(of), 2)[::2]
    nets[1].fit(kind(batches(X, strided)))
    assert np.array_equal(nets[0].parameters, nets[1].parameters)


@pytest.mark.parametrize("label", [3, -1, 1.5, np.nan, np.inf, 2**53])
@pytest.mark.parametrize("of", ["f4", "f8", "i8"])
def test_bad_label_is_named(backend, label, of):
    with np.errstate(invalid="ignore"):
        wrong = np.array([0, label]).astype(of)
    if wrong[1] in (0, 1, 2):
        pytest.skip("it is a label in that dtype")
    net = network(backend)
    with pytest.raises(ValueError, match=r"batch 3 of x: y holds .* \(entry 1\)"):
        net.fit([(X[:2], np.array([0, 1], of))] * 2 + [(X[:2], wrong)])


def test_mini_batch_may_be_a_view_of_the_parameters(backend):
    """It is taken as it is before the steps of its group."""
    layers = [pn.Dense(2, 3, "tanh"), pn.Dense(3, 1)]
    nets = [pn.Network(layers, seed=1, backend=backend) for _ in range(2)]
    before = nets[0].parameters.copy()
    y = np.zeros((3, 1))
    for net, x in zip(nets, [before[:6].reshape(3, 2), nets[1].parameters[:6].reshape(3, 2)], strict=True):
        net.fit([(x, y)] * 3)
    assert not np.array_equal(nets[0].parameters, before)
    assert np.array_equal(nets[0].parameters, nets[1].parameters)


@pytest.mark.parametrize("n_batches", [1, 4])
def test_train_batches_can_be_split_into_calls(backend, dtype, n_batches):
    """Down to single steps, with the bits of one call; more steps than there are mini-batches are none."""
    x, y = (list(array.astype(dtype).reshape(4, 5, -1))[:n_batches] for array in (X[:20], np.eye(3)[LABELS[:20]]))
    results = []
    for steps in ([9], [1] * n_batches, [0, *[2] * n_batches][: 1 + -(-n_batches // 2)]):
        net = network(backend, dtype)
        state = net._optimizer[1]
        how = Training(1, 5, 1e-2, optimizer=pn.Adam(), state=state, learning_rates=np.linspace(1e-2, 1e-3, n_batches))
        progress = Progress(loss_sum=2.0)
        for most in steps:
            net._model.train_batches(x, y, how, progress, most, None)
        assert (progress.epoch, progress.row, progress.steps) == (0, 5 * n_batches, n_batches)
        results.append((net.parameters.tobytes(), state.tobytes(), progress.loss_sum))
    assert results[0] == results[1] == results[2]


def test_take_batches_checks_what_it_is_given():
    like, lists = (X[:4], np.eye(3)[LABELS[:4]]), ([], [], [])
    room = np.empty((8, 6)), np.empty((8, 3))
    for arguments in [
        ([], lists, None, like, 0, 1),
        (iter([]), [[], []], None, like, 0, 1),
        (iter([]), ((), ()), None, like, 0, 1),
        (iter([]), lists, None, (X,), 0, 1),
        (iter([]), lists, None, (X, None), 0, 1),
        (iter([]), lists, None, (X[0], X), 0, 1),
        (iter([]), lists, None, like, 3, 1),
        (iter([]), lists, None, like, "0", 1),
        (iter([]), lists, room, like, 0, 3),
        (iter([]), lists, room[:1], like, 0, 1),
        (iter([]), lists, room[::-1], like, 0, 1),
        (iter([]), lists, (room[0].astype("f4"), room[1]), like, 0, 1),
        (iter([]), lists, None, like, 0),
    ]:
        with pytest.raises(TypeError):
            take_batches(*arguments)
    assert take_batches(iter([like, like, like]), lists, room, like, 0, 2) is None
    assert [len(values) for values in lists] == [2, 2, 0]
    assert np.array_equal(room[0], np.concatenate([X[:4]] * 2))
    assert lists[0][1].base is room[0]
    for arrays in [None, (X,), [X, 3]]:
        with pytest.raises(TypeError, match="addresses takes a list"):
            addresses(arrays)


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
def test_bad_numbers_end_the_run_after_the_steps_before_them(backend, dtype, n_good):
    net, twin = network(backend, dtype), network(backend, dtype)
    items = [(x.astype(dtype), y) for x, y in batches(X, LABELS)]
    items[n_good] = items[n_good][0] * np.array(np.nan, dtype), items[n_good][1]
    with pytest.raises(ValueError, match=rf"batch {n_good + 1} of x: x holds nan \(row 0, column 0\)"):
        net.fit(items)
    assert (net._state.steps, net.epochs_trained) == (n_good, 0)
    if n_good > 0:
        twin.fit(items[:n_good])
    assert np.array_equal(net.parameters, twin.parameters)
    assert np.array_equal(net._optimizer[1], twin._optimizer[1])


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
