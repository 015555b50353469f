"""Large data that are converted by parts: the same results as from arrays, in little memory."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

import plainnet as pn
from plainnet import native, reference
from plainnet.streaming import Rows, StreamedModel

import toolchain
from interruption import fit_interrupted

rng = np.random.default_rng(2)
N = 203
X = rng.integers(0, 256, (N, 6)).astype(np.uint8)
LABELS = rng.integers(0, 3, N)
Y = rng.random((N, 2))
WEIGHT = np.r_[np.zeros(40), rng.random(N - 40)]

KINDS = {
    "labels": (LABELS, "cross_entropy", "accuracy"),
    "huber": (Y, "huber", "r2"),
    "sum": (Y, "sum_of_squares", "mean_absolute_error"),
}


@pytest.fixture
def parts(monkeypatch):
    """From now on all data are large, and parts are small; a function that says so."""

    def begin():
        for module in ("network", "monitor"):
            monkeypatch.setattr(f"plainnet.{module}.LARGE_BYTES", 100)
        monkeypatch.setattr("plainnet.streaming.PART_BYTES", 2000)

    return begin


def network(backend, kind="labels", dtype="float64", optimizer=None):
    loss = KINDS[kind][1]
    last = pn.Dense(8, 3, "softmax") if kind == "labels" else pn.Dense(8, 2)
    layers = [pn.Dense(6, 8, "tanh", dropout=0.2, l2=1e-3), last]
    optimizer = optimizer or pn.Adam(pn.schedules.cosine(1e-2, 5000))
    return pn.Network(layers, loss, seed=1, dtype=dtype, backend=backend, optimizer=optimizer)


def layouts(array):
    """The same numbers in other dtypes and layouts."""
    wide = np.zeros((2 * len(array), array.shape[1] + 3), np.float32)
    wide[::2, 1:-2] = array
    return {
        "uint8": array, "int64": array.astype(np.int64), "float16": array.astype(np.float16),
        "big-endian": array.astype(">f8"), "float32": array.astype(np.float32), "strided": wide[::2, 1:-2],
        "fortran": np.asfortranarray(array, np.float64), "reversed": array[::-1].copy()[::-1],
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("validation", [None, 0.2])
def test_parts_have_the_bits_of_the_whole(backend, dtype, parts, kind, validation):
    y, _, metric = KINDS[kind]
    whole = {}
    for large in (False, True):
        if large:
            parts()
        for batch_size in (1, 16, 64, None):
            for weight in (None, WEIGHT):
                net = network(backend, kind, dtype)
                history = net.fit(
                    X, y, epochs=3, batch_size=batch_size, sample_weight=weight, validation=validation, metrics=[metric]
                )
                key = batch_size, weight is None
                if not large:
                    whole[key] = net.parameters.copy(), history
                    continue
                parameters, expected = whole[key]
                assert np.array_equal(net.parameters, parameters)
                assert net.epochs_trained == 3
                # The sum of the weights, and those of parts of the validation data, round otherwise.
                np.testing.assert_allclose(history.loss, expected.loss, rtol=0 if weight is None else 1e-14)
                tolerance = 1e-5 if dtype == np.float32 else 1e-12
                np.testing.assert_allclose(history.metrics[metric], expected.metrics[metric], rtol=tolerance)
                if validation is not None:
                    np.testing.assert_allclose(history.validation_loss, expected.validation_loss, rtol=tolerance)


@pytest.mark.parametrize("layout", layouts(X))
@pytest.mark.parametrize("shuffle", [True, False])
def test_layouts_and_dtypes_have_the_same_bits(backend, parts, layout, shuffle):
    whole, net = network(backend), network(backend)
    whole.fit(X.astype(np.float64), LABELS, epochs=2, batch_size=16, shuffle=shuffle)
    parts()
    assert isinstance(net._pair(layouts(X)[layout], LABELS, by_parts=True)[0], Rows)
    net.fit(layouts(X)[layout], LABELS, epochs=2, batch_size=16, shuffle=shuffle)
    assert np.array_equal(net.parameters, whole.parameters)


def test_native_arrays_are_used_as_they_are(backend, parts):
    parts()
    x = X.astype(np.float64)
    assert network(backend)._pair(x, LABELS, by_parts=True)[0] is x


@pytest.mark.parametrize("batch_size", [16, None])
@pytest.mark.parametrize("n_steps", [1, 5, 12])
def test_interrupted_epoch_goes_on(backend, parts, batch_size, n_steps):
    parts()
    whole, net = network(backend), network(backend)
    whole.fit(X, LABELS, epochs=3, batch_size=batch_size, sample_weight=WEIGHT + 1)
    how = {"epochs": 3, "batch_size": batch_size, "sample_weight": WEIGHT + 1}
    train = StreamedModel.train

    def train_some_steps(self, x, y, training, progress, losses, max_steps, *weights):
        train(self, x, y, training, progress, losses, min(max_steps, n_steps), *weights)
        if max_steps > 0:
            raise KeyboardInterrupt

    StreamedModel.train = train_some_steps
    try:
        with pytest.raises(KeyboardInterrupt):
            net.fit(X, LABELS, **how)
    finally:
        StreamedModel.train = train
    assert 0 < net._state.steps <= min(n_steps, 3 if batch_size is None else 39)
    history = net.fit(X, LABELS, **how, resume=True)
    assert np.array_equal(net.parameters, whole.parameters)
    assert len(history.loss) == net.epochs_trained == 3
    assert history.loss.tolist() == whole.history.loss.tolist()


def test_exception_within_a_part_loses_no_step(backend, parts):
    """Of the backend's own train, as a signal handler may raise one; what the part has done is noted."""
    parts()
    whole, net = network(backend), network(backend)
    whole.fit(X, LABELS, epochs=2, batch_size=16)
    fit_interrupted(net, 2, X, LABELS, epochs=2, batch_size=16)
    assert net._state.steps == 2
    net.fit(X, LABELS, epochs=2, batch_size=16, resume=True)
    assert np.array_equal(net.parameters, whole.parameters)


def test_divergence_names_the_epoch_and_keeps_finite_parameters(backend, parts):
    whole, net = (network(backend, "sum", optimizer=pn.SGD(1e-5)) for _ in range(2))
    rates = lambda step: 1e-5 if step < 30 else 1e300
    messages = []
    for large, each in ((False, whole), (True, net)):
        if large:
            parts()
        with pytest.raises(pn.DivergedError) as caught:
            each.fit(X, Y, epochs=5, batch_size=16, learning_rate=rates)
        messages.append((caught.value.epoch, str(caught.value)))
        assert np.isfinite(each.parameters).all()
    assert messages[0] == messages[1]
    assert np.array_equal(whole.parameters, net.parameters)


@pytest.mark.parametrize(
    ("value", "words"),
    [(np.nan, r"x holds nan \(row 150, column 2\); training needs finite data"), (np.inf, "x holds inf"),
     (1e300, r"x holds 1e\+300 \(row 150, column 2\), which float32 cannot")],
)  # fmt: skip
@pytest.mark.parametrize("validation", [None, 0.3])
def test_bad_number_is_named_with_its_row_before_anything_happens(backend, parts, value, words, validation):
    parts()
    net = network(backend, dtype="float32")
    before = net.parameters.copy()
    x = X.astype(np.float64)
    x[150, 2] = value
    with pytest.raises(ValueError, match=words):
        net.fit(x, LABELS, validation=validation)
    assert np.array_equal(net.parameters, before)
    assert net.epochs_trained == 0


def test_bad_targets_and_shapes_are_named(backend, parts):
    parts()
    net = network(backend, "huber")
    y = Y.copy()
    y[7, 1] = np.nan
    with pytest.raises(ValueError, match=r"y holds nan \(row 7, column 1\)"):
        net.fit(X, y)
    with pytest.raises(ValueError, match=r"x has shape \(203, 5\), expected \(n_samples, 6\)"):
        net.fit(X[:, :5], Y)
    with pytest.raises(ValueError, match=r"as many rows as each other: their shapes are \(203, 6\) and \(7, 2\)"):
        net.fit(X, Y[:7])


def test_order_of_rows_is_the_same_in_both_languages():
    for n_rows in (1, 2, 33, 1000):
        assert native.shuffled(5, 2**63, n_rows).tolist() == reference.shuffled(5, 2**63, n_rows).tolist()


MEMORY = """
    import resource, sys
    import numpy as np
    import plainnet as pn

    x = np.memmap(sys.argv[1], np.float64, "r").reshape(-1, 50)
    y = np.arange(len(x)) % 3
    net = pn.Network([pn.Dense(50, 8, "relu"), pn.Dense(8, 3, "softmax")], "cross_entropy", seed=0, dtype="float32")
    net.fit(x[:1000], y[:1000], batch_size=100)
    with open("/proc/self/status") as status:
        used = next(int(line.split()[1]) for line in status if line.startswith("VmData")) * 1024
    limit = used + x.nbytes // 3
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        np.ones(x.size)
    except MemoryError:
        pass
    else:
        raise SystemExit("the limit does not hold")
    history = net.fit(x, y, epochs=2, batch_size=100, validation=0.2, metrics=["accuracy"])
    print(len(history.loss), np.isfinite(history.validation_loss).all())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit of memory is one of Linux")
@pytest.mark.skipif(bool(toolchain.SANITIZERS), reason="AddressSanitizer keeps memory that is freed")
def test_file_of_three_times_the_memory_is_trained_with(tmp_path):
    """Shuffled, from a memmap of another dtype; the limit is a third of it above what the program has anyway."""
    path = tmp_path / "x.bin"
    with path.open("wb") as file:
        for seed in range(15):
            file.write(np.random.default_rng(seed).normal(size=(20_000, 50)).tobytes())
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MEMORY), path], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "2 True\n"
