"""What fit does around the steps: validation, metrics, callbacks, the record."""

import io
import re
import sys

import numpy as np
import pytest

import plainnet as pn
from plainnet import metrics, progress_bar
from plainnet.validation import split

import textbook

rng = np.random.default_rng(0)
X = rng.normal(size=(120, 4))
Y = X[:, :1] * X[:, 1:2] + 0.1 * rng.normal(size=(120, 1))
LABELS = np.repeat([0, 1, 2], [80, 30, 10])


def regressor(backend, **options):
    return pn.Network([pn.Dense(4, 8, "tanh"), pn.Dense(8, 1)], seed=3, backend=backend, **options)


def classifier(backend, **options):
    layers = [pn.Dense(4, 8, "relu"), pn.Dense(8, 3, "softmax")]
    return pn.Network(layers, "cross_entropy", seed=3, backend=backend, **options)


class Recorder:
    """A callback that notes what it receives."""

    def __init__(self, stop_after=None):
        self.logs, self.parameters, self.trained = [], [], []
        self.stop_after = stop_after

    def epoch_end(self, network, logs):
        self.logs.append(logs)
        self.parameters.append(network.parameters.copy())
        self.trained.append(network.epochs_trained)
        return logs["epoch"] == self.stop_after


# ---- Validation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [None, 16])
def test_validation_data_do_not_change_what_is_learned(backend, batch_size):
    plain, watched = regressor(backend), regressor(backend)
    expected = plain.fit(X[:90], Y[:90], epochs=4, batch_size=batch_size)
    recorder = Recorder()
    history = watched.fit(
        X[:90], Y[:90], epochs=4, batch_size=batch_size, validation=(X[90:], Y[90:]), callbacks=recorder
    )
    assert np.array_equal(plain.parameters, watched.parameters)
    assert history.loss.tolist() == expected.loss.tolist()
    assert recorder.trained == [1, 2, 3, 4]
    for value, parameters in zip(history.validation_loss, recorder.parameters, strict=True):
        watched.parameters = parameters
        assert value == watched.evaluate(X[90:], Y[90:])


def test_validation_has_weights_and_drops_nothing(backend):
    layers = [pn.Dense(4, 8, "tanh", dropout=0.5), pn.Dense(8, 1)]
    net = pn.Network(layers, seed=3, backend=backend)
    weight = rng.random(30)
    history = net.fit(X[:90], Y[:90], validation=(X[90:], Y[90:], weight))
    assert history.validation_loss[0] == net.evaluate(X[90:], Y[90:], weight)


def test_fraction_is_the_same_rows_in_each_call_and_in_both_backends(c_backend):
    nets = [regressor(c_backend), regressor("numpy"), regressor(c_backend)]
    losses = [net.fit(X, Y, epochs=3, batch_size=16, validation=0.25).validation_loss for net in nets[:2]]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-9)
    in_two = [nets[2].fit(X, Y, epochs=n, batch_size=16, validation=0.25).validation_loss for n in (1, 2)]
    assert np.concatenate(in_two).tolist() == losses[0].tolist()
    other = pn.Network(list(nets[0].layers), seed=4, backend=c_backend)
    other.parameters = nets[0].parameters
    assert other.fit(X, Y, validation=0.25).validation_loss[0] != losses[0][0]


@pytest.mark.parametrize("targets", ["labels", "one_hot", "binary"])
@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
def test_fraction_is_that_of_each_class(targets, fraction):
    y = LABELS.astype(float)
    loss = classifier("numpy")._model.loss
    if targets == "one_hot":
        y = np.eye(3)[LABELS]
    if targets == "binary":
        y = (LABELS > 1).astype(float).reshape(-1, 1)
        loss = textbook.network([(4, 1, "sigmoid", True)], "log_loss")._model.loss
    train, aside = split(fraction, y, None, loss, 7)
    assert len(aside) == round(fraction * 120)
    assert sorted(np.concatenate([train, aside])) == list(range(120))
    classes = LABELS if targets != "binary" else (LABELS > 1).astype(int)
    for size, count in zip(np.bincount(classes), np.bincount(classes[aside]), strict=True):
        assert abs(count - fraction * size) < 1


def test_a_class_keeps_a_row_to_train_with():
    y = np.array([0.0] * 9 + [1.0])
    loss = classifier("numpy")._model.loss
    for seed in range(20):
        train, aside = split(0.5, y, None, loss, seed)
        assert 9 in train
        assert len(aside) == 5


def test_rows_of_weight_0_are_not_set_aside(backend):
    """As if they were not there: neither are they counted."""
    net, without = regressor(backend), regressor(backend)
    weight = np.ones(120)
    weight[60:] = 0
    history = net.fit(X, Y, epochs=2, validation=0.5, sample_weight=weight)
    loss = net._model.loss
    train, aside = split(0.5, Y, weight, loss, net._shuffle_seed)
    assert len(aside) == 30
    assert aside.max() < 60
    expected = without.fit(X[train], Y[train], epochs=2, sample_weight=weight[train], validation=(X[aside], Y[aside]))
    np.testing.assert_allclose(history.validation_loss, expected.validation_loss, rtol=1e-12)


@pytest.mark.parametrize(
    ("validation", "error", "words"),
    [
        (0, ValueError, "between 0 and 1"),
        (1.0, ValueError, "between 0 and 1"),
        (float("nan"), ValueError, "between 0 and 1"),
        (True, TypeError, "fraction of the rows"),
        ("0.1", TypeError, "fraction of the rows"),
        (0.001, ValueError, "at least one"),
        ((X,), ValueError, "not 1 arrays"),
        ((X, Y, None, None), ValueError, "not 4 arrays"),
        ((X[:, :3], Y), ValueError, r"validation: x has shape \(120, 3\)"),
        ((X, Y[:5]), ValueError, "validation: x and y must have as many rows"),
        ((X, Y, -np.ones(120)), ValueError, "validation: sample_weight holds -1"),
        ((X * np.nan, Y), ValueError, "validation: x holds nan"),
        (("a", "b"), TypeError, "validation: x is 'a'"),
    ],
)
def test_bad_validation_is_refused_and_nothing_changes(backend, validation, error, words):
    net = regressor(backend)
    before = net.parameters.copy()
    with pytest.raises(error, match=words):
        net.fit(X, Y, validation=validation)
    assert np.array_equal(net.parameters, before)
    assert net.epochs_trained == 0


def test_labels_that_training_data_lack_are_fine_in_validation_data(backend):
    net = classifier(backend)
    history = net.fit(X[:110], LABELS[:110], epochs=2, validation=(X[110:], LABELS[110:]), metrics="accuracy")
    assert np.isfinite(history.validation_loss).all()
    with pytest.raises(ValueError, match="validation: y holds 3"):
        net.fit(X, LABELS, validation=(X, LABELS + 1))


# ---- Metrics ---------------------------------------------------------------------------------------------------------


def test_metrics_are_those_of_the_validation_data_after_each_epoch(backend):
    net, recorder = classifier(backend), Recorder()

    def share_of_first(y, prediction):
        assert y.dtype == np.int64
        assert y.shape == (60,)
        return np.mean(prediction[:, 0])

    history = net.fit(
        X, LABELS, epochs=3, batch_size=16, validation=(X[::2], LABELS[::2]), metrics=["accuracy", share_of_first],
        callbacks=[recorder],
    )
    assert list(history.metrics) == ["accuracy", "share_of_first"]
    for k, parameters in enumerate(recorder.parameters):
        net.parameters = parameters
        share = net.predict(X[::2])
        assert history.metrics["accuracy"][k] == np.mean(share.argmax(axis=1) == LABELS[::2])
        assert history.metrics["share_of_first"][k] == np.mean(share[:, 0])
        assert recorder.logs[k]["accuracy"] == history.metrics["accuracy"][k]


def test_metrics_are_those_of_the_training_data_if_there_are_no_others(backend):
    net = regressor(backend)
    weight = np.r_[np.zeros(60), rng.random(60)]
    history = net.fit(X, Y, metrics=["r2", "mean_absolute_error"], sample_weight=weight)
    error, w = (net.predict(X) - Y)[60:, 0], weight[60:]
    target = Y[60:, 0]
    total = np.sum(w * (target - np.average(target, weights=w)) ** 2)
    assert history.metrics["r2"][0] == pytest.approx(1 - np.sum(w * error**2) / total)
    assert history.metrics["mean_absolute_error"][0] == pytest.approx(np.average(np.abs(error), weights=w))
    assert history.validation_loss is None


def test_accuracy_of_log_loss_counts_each_output(backend):
    net = textbook.network([(4, 2, "sigmoid", True)], "log_loss", seed=0, backend=backend)
    y = (X[:, :2] > 0).astype(float)
    history = net.fit(X, y, epochs=5, learning_rate=1.0, metrics=["accuracy"])
    assert history.metrics["accuracy"][-1] == np.mean((net.predict(X) >= 0.5) == y)


@pytest.mark.parametrize(("y", "r2"), [([[1.0], [1.0]], 0.0), ([[0.0], [0.0]], 1.0)])
def test_r2_of_constant_targets_is_1_or_0(backend, y, r2):
    net = pn.Network([pn.Dense(1, 1)], init=[0.0, 0.0], backend=backend)
    history = net.fit([[0.0], [0.0]], y, learning_rate=1e-9, metrics=["r2"])
    assert history.metrics["r2"][0] == r2


def test_r2_of_numbers_whose_squares_overflow_is_not_finite():
    """And no warning, which is an error here."""
    huge = np.array([[1e200], [2e200]])
    assert not np.isfinite(metrics.r2(huge, huge[::-1], None))


@pytest.mark.parametrize(
    ("metrics", "error", "words"),
    [
        ("accuracy", ValueError, '"accuracy" .* needs "cross_entropy" or "log_loss"'),
        (["rmse"], ValueError, "unknown entry of metrics 'rmse'; allowed are"),
        (3, TypeError, "metrics must be a sequence"),
        ([3], TypeError, "names or functions"),
        ([int], TypeError, "names or functions"),
        (None, TypeError, "metrics must be a sequence"),
        (["r2", "r2"], ValueError, "'r2' is there twice"),
        ([lambda y, prediction: "much"], TypeError, "must return a number, not 'much'"),
    ],
)
def test_bad_metrics_are_refused(backend, metrics, error, words):
    net = regressor(backend)
    with pytest.raises(error, match=words):
        net.fit(X, Y, metrics=metrics)


def test_metric_cannot_write_to_what_it_is_shown(backend):
    """The targets are those that the network is trained with, and the next metric has the same predictions."""

    def spoils_targets(y, prediction):
        y[:] = 0
        return 0.0

    def spoils_predictions(y, prediction):
        prediction -= y
        return 0.0

    targets = Y.copy()
    for metric in spoils_targets, spoils_predictions:
        with pytest.raises(ValueError, match="read-only"):
            regressor(backend).fit(X, targets, metrics=[metric])
    assert np.array_equal(targets, Y)
    assert targets.flags.writeable


def test_metric_may_not_have_the_name_of_a_loss(backend):
    def loss(y, prediction):
        return 0.0

    with pytest.raises(ValueError, match="'loss' has a name that"):
        regressor(backend).fit(X, Y, metrics=[loss])


# ---- Callbacks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [None, 16])
def test_callback_that_returns_true_ends_the_run(backend, batch_size):
    net, twin = regressor(backend), regressor(backend)
    recorder = Recorder(stop_after=3)
    history = net.fit(X, Y, epochs=10, batch_size=batch_size, callbacks=recorder)
    twin.fit(X, Y, epochs=3, batch_size=batch_size)
    assert np.array_equal(net.parameters, twin.parameters)
    assert len(history.loss) == len(history.learning_rate) == net.epochs_trained == 3
    assert history.stopped == "Recorder ended the run after epoch 3"
    assert [logs["epoch"] for logs in recorder.logs] == [1, 2, 3]
    net.fit(X, Y, epochs=2, batch_size=batch_size)
    twin.fit(X, Y, epochs=2, batch_size=batch_size)
    assert np.array_equal(net.parameters, twin.parameters)


def test_callback_that_raises_leaves_the_last_complete_epoch(backend):
    class Failing:
        def epoch_end(self, network, logs):
            if logs["epoch"] == 2:
                raise LookupError("of the user")

    net, twin = (regressor(backend, optimizer=pn.Adam(1e-2)) for _ in range(2))
    with pytest.raises(LookupError, match="of the user"):
        net.fit(X, Y, epochs=5, batch_size=16, callbacks=[Failing()], validation=(X, Y))
    twin.fit(X, Y, epochs=2, batch_size=16)
    assert np.array_equal(net.parameters, twin.parameters)
    assert len(net.history.loss) == len(net.history.validation_loss) == net.epochs_trained == 2
    net.fit(X, Y, epochs=3, batch_size=16)
    twin.fit(X, Y, epochs=3, batch_size=16)
    assert np.array_equal(net.parameters, twin.parameters)


def test_network_can_be_used_but_not_trained_in_a_callback(backend):
    class Curious:
        def epoch_end(self, network, logs):
            assert network.evaluate(X, Y) > 0
            copy = network.copy()
            assert np.array_equal(copy.predict(X), network.predict(X))
            assert copy.epochs_trained == network.epochs_trained == logs["epoch"]
            with pytest.raises(RuntimeError, match="neither a callback of fit nor"):
                network.fit(X, Y)
            copy.fit(X, Y)

    net, twin = regressor(backend), regressor(backend)
    net.fit(X, Y, epochs=3, batch_size=16, callbacks=[Curious()])
    twin.fit(X, Y, epochs=3, batch_size=16)
    assert np.array_equal(net.parameters, twin.parameters)


def test_interruption_keeps_the_record_and_the_best_parameters(backend):
    class Interrupting:
        def epoch_end(self, network, logs):
            if logs["epoch"] == 4:
                raise KeyboardInterrupt

    net, twin = regressor(backend), regressor(backend)
    stopping = pn.EarlyStopping(patience=50)
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y, epochs=50, batch_size=16, validation=0.2, callbacks=[stopping, Interrupting()])
    history = net.history
    assert len(history.loss) == len(history.validation_loss) == 4
    assert stopping.best_value == history.validation_loss.min()
    twin.parameters = stopping.best_parameters
    _, aside = split(0.2, Y, None, net._model.loss, net._shuffle_seed)
    assert twin.evaluate(X[aside], Y[aside]) == stopping.best_value


@pytest.mark.parametrize("callbacks", [3, [3], [pn.EarlyStopping], ["epoch_end"]])
def test_bad_callbacks_are_refused(backend, callbacks):
    with pytest.raises(TypeError, match="objects with a method epoch_end"):
        regressor(backend).fit(X, Y, callbacks=callbacks)


# ---- Early stopping --------------------------------------------------------------------------------------------------


class Scripted:
    """Puts its own numbers in the place of the validation loss."""

    def __init__(self, callback, values):
        self.callback, self.values = callback, values

    def __getattr__(self, name):
        return getattr(self.callback, name)

    def epoch_end(self, network, logs):
        return self.callback.epoch_end(network, {**logs, "validation_loss": self.values[int(logs["epoch"]) - 1]})

    def fit_end(self, network, logs):
        return self.callback.fit_end(network, {**logs, "validation_loss": self.values[int(logs["epoch"]) - 1]})


@pytest.mark.parametrize(
    ("values", "options", "epochs", "best"),
    [
        ([5, 4, 3, 3, 3, 3], {"patience": 3}, 6, 3),
        ([5, 4, 3, 3.5, 2, 9, 9, 9], {"patience": 3}, 8, 5),
        ([5, 4, 4.5, 3, 3.5], {"patience": 3}, 5, 4),  # all epochs run
        ([5, 4, 3, 2, 1], {"patience": 3}, 5, 5),
        ([5, 4.9, 4.8, 4.7], {"patience": 2, "min_delta": 0.25}, 3, 1),
        ([1, 2, 3, 2, 1], {"patience": 2, "mode": "max"}, 5, 3),
        ([np.nan, 3, np.nan, np.nan], {"patience": 2}, 4, 2),
        ([np.nan, np.nan, np.nan], {"patience": 2}, 2, 0),
    ],
)
def test_early_stopping_ends_in_time_and_restores_the_best(backend, values, options, epochs, best):
    net, recorder = regressor(backend), Recorder()
    stopping = pn.EarlyStopping(**options)
    history = net.fit(X, Y, epochs=len(values), callbacks=[recorder, Scripted(stopping, values)])
    assert len(history.loss) == net.epochs_trained == epochs
    assert stopping.best_epoch == best
    assert np.array_equal(net.parameters, recorder.parameters[(best or epochs) - 1])
    if best == epochs:
        assert history.stopped is None
    else:
        assert f"the parameters of epoch {best or epochs}" in history.stopped
        assert (f"stopped after epoch {epochs}" in history.stopped) == (epochs < len(values) or epochs - best >= 2)


def test_early_stopping_can_leave_the_last_parameters(backend):
    net, recorder = regressor(backend), Recorder()
    stopping = pn.EarlyStopping(patience=2, restore_best=False)
    history = net.fit(X, Y, epochs=9, callbacks=[recorder, Scripted(stopping, [1, 2, 3, 4])])
    assert np.array_equal(net.parameters, recorder.parameters[-1])
    assert stopping.best_parameters is None
    assert history.stopped.endswith("the network has the parameters of epoch 3")


def test_early_stopping_begins_anew_with_each_run(backend):
    net, stopping = regressor(backend), pn.EarlyStopping(patience=1)
    net.fit(X, Y, epochs=2, callbacks=[Scripted(stopping, [0.0, 1.0])])
    history = net.fit(X, Y, epochs=2, callbacks=[Scripted(stopping, [7.0, 6.0])])
    assert len(history.loss) == 2
    assert stopping.best_value == 6


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"patience": 0}, ValueError, "patience must be at least 1"),
        ({"patience": 1.5}, TypeError, "patience must be an integer"),
        ({"min_delta": -1}, ValueError, "min_delta must be finite and at least 0"),
        ({"mode": "up"}, ValueError, 'mode must be "min" or "max"'),
        ({"monitor": 3}, TypeError, "monitor must be a name"),
        ({"restore_best": "no"}, TypeError, "restore_best must be True or False, not 'no'"),
    ],
)
def test_early_stopping_refuses_bad_options(options, error, words):
    with pytest.raises(error, match=words):
        pn.EarlyStopping(**options)


@pytest.mark.parametrize("kind", [pn.EarlyStopping, pn.ReduceOnPlateau])
def test_monitor_that_is_not_computed_is_named_before_training(backend, kind):
    net = regressor(backend)
    before = net.parameters.copy()
    for monitor, options in ("validation_loss", {}), ("r2", {"validation": 0.2}):
        with pytest.raises(ValueError, match=rf"'{monitor}', which fit does not compute.*'loss'"):
            net.fit(X, Y, callbacks=[kind(monitor=monitor)], **options)
    assert np.array_equal(net.parameters, before)
    assert net.epochs_trained == 0
    net.fit(X, Y, callbacks=[kind(monitor="r2")], metrics="r2")


@pytest.mark.parametrize(
    ("path", "error"), [("none/a", FileNotFoundError), (".", IsADirectoryError), ("", FileNotFoundError)]
)
def test_checkpoint_that_cannot_be_written_is_refused_before_training(backend, monkeypatch, tmp_path, path, error):
    monkeypatch.chdir(tmp_path)
    net = regressor(backend)
    with pytest.raises(error):
        net.fit(X, Y, epochs=3, callbacks=[pn.Checkpoint(path, every=3)])
    assert net.epochs_trained == 0

    class Folders:
        def epoch_end(self, network, logs):
            (tmp_path / str(logs["epoch"])).mkdir()

    net.fit(X, Y, epochs=2, callbacks=[pn.Checkpoint("{epoch}/net"), Folders()])
    assert [pn.load(tmp_path / str(k) / "net").epochs_trained for k in (1, 2)] == [1, 2]


@pytest.mark.parametrize("factor", ["much", 0, -1.0, float("nan"), None])
def test_rate_factor_that_is_no_factor_is_refused(backend, factor):
    class Changing:
        rate_factor = factor

        def epoch_end(self, network, logs):
            pass

    net = regressor(backend)
    with pytest.raises((TypeError, ValueError), match="rate_factor of the callback Changing must be "):
        net.fit(X, Y, epochs=3, callbacks=Changing())
    assert net.epochs_trained == 0


def test_sentence_at_the_end_must_be_one(backend):
    class Ending:
        def epoch_end(self, network, logs):
            pass

        def fit_end(self, network, logs):
            return 3

    net, twin = regressor(backend), regressor(backend)
    with pytest.raises(TypeError, match="fit_end of the callback Ending must return a sentence or None, not 3"):
        net.fit(X, Y, epochs=3, callbacks=Ending())
    twin.fit(X, Y, epochs=3)
    assert np.array_equal(net.parameters, twin.parameters)
    assert len(net.history.loss) == 3


# ---- Learning rates --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.02, pn.schedules.exponential(0.02, 0.99)], ids=["number", "schedule"])
def test_rate_factor_multiplies_the_rates_of_the_epochs_ahead(backend, rate):
    class Halving:
        rate_factor = 1.0

        def epoch_end(self, network, logs):
            self.rate_factor /= 2

    net, twin = (regressor(backend, optimizer=pn.SGD(rate, momentum=0.9)) for _ in range(2))
    history = net.fit(X, Y, epochs=4, batch_size=16, callbacks=[Halving()])
    steps = 8
    of_step = rate if callable(rate) else lambda step: rate
    for epoch in range(4):
        twin.fit(X, Y, epochs=1, batch_size=16, learning_rate=lambda step, halvings=epoch: of_step(step) / 2**halvings)
    assert np.array_equal(net.parameters, twin.parameters)
    assert history.learning_rate.tolist() == [of_step(steps * k + steps - 1) / 2**k for k in range(4)]


def test_learning_rate_of_an_epoch_is_that_of_its_last_step(backend):
    schedule = pn.schedules.cosine(0.1, 30)
    net = regressor(backend, optimizer=pn.SGD(schedule))
    history = net.fit(X, Y, epochs=3, batch_size=16)
    assert history.learning_rate.tolist() == [schedule(8 * k + 7) for k in range(3)]
    assert net.fit(X, Y, epochs=2, learning_rate=0.5).learning_rate.tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    "options", [{"factor": 1.0}, {"factor": 0}, {"patience": -1}, {"threshold": -1}, {"minimum": -1}]
)
def test_reduce_on_plateau_refuses_bad_options(options):
    with pytest.raises(ValueError, match="must be"):
        pn.ReduceOnPlateau(**options)


# ---- The record ------------------------------------------------------------------------------------------------------


def test_record_of_a_plain_run_has_its_rates(backend):
    net = textbook.network([(2, 3, "tanh", True), (3, 1, "sigmoid", True)], "log_loss", seed=0, backend=backend)
    assert net.history is None
    history = net.fit([[0, 1], [1, 0]], [[0], [1]], epochs=3)
    assert net.history is history
    assert history.learning_rate.tolist() == [0.1] * 3
    assert (history.validation_loss, dict(history.metrics), history.stopped) == (None, {}, None)
    assert net.copy().history is None


def test_record_has_the_best_epoch_that_a_callback_has_found(backend):
    stopping = pn.EarlyStopping(patience=2)
    history = regressor(backend).fit(X, Y, epochs=30, batch_size=4, validation=0.3, callbacks=stopping)
    assert history.best_epoch == stopping.best_epoch == 1 + history.validation_loss.argmin()
    assert regressor(backend).fit(X, Y, epochs=2).best_epoch is None
    assert regressor(backend).fit(X, Y, epochs=2, callbacks=pn.ReduceOnPlateau()).best_epoch is None
    ended = regressor(backend).fit(X, np.full_like(Y, 0.5), epochs=0, callbacks=stopping)
    assert ended.best_epoch is None  # that of the run before is forgotten


# ---- Progress --------------------------------------------------------------------------------------------------------


def test_progress_writes_plain_lines_where_there_is_no_terminal(backend, capsys):
    net, twin = regressor(backend), regressor(backend)
    net.fit(X, Y, epochs=3, batch_size=16, progress=True, validation=(X, Y))
    twin.fit(X, Y, epochs=3, batch_size=16)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("epoch 3/3: loss ")
    assert "validation_loss" in err
    assert re.search(r" [\d.]+[kMG]? rows/s, 0 s left\n$", err)
    assert np.array_equal(net.parameters, twin.parameters)


def test_progress_draws_a_bar_on_a_terminal(backend, monkeypatch, capsys):
    pytest.importorskip("tqdm", reason="a bar needs tqdm")
    monkeypatch.setattr("plainnet.progress_bar._is_terminal", lambda: True)
    regressor(backend).fit(X, Y, epochs=3, batch_size=16, progress=True, validation=(X, Y))
    err = capsys.readouterr().err
    assert "epoch 3/3" in err
    assert "360/360" in err


def test_progress_names_the_extra_that_a_bar_needs(backend, monkeypatch):
    monkeypatch.setattr("plainnet.progress_bar._is_terminal", lambda: True)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    net = regressor(backend)
    before = net.parameters.copy()
    with pytest.raises(ImportError, match=r"pip install 'plainnet\[progress\]'"):
        net.fit(X, Y, progress=True)
    assert np.array_equal(net.parameters, before)


@pytest.mark.parametrize("is_terminal", [False, True])
def test_progress_that_cannot_be_written_does_not_end_the_run(backend, monkeypatch, is_terminal):
    """Standard error may be a pipe whose reader has gone, or a file on a disk that is full."""
    if is_terminal:
        pytest.importorskip("tqdm", reason="a bar needs tqdm")
    monkeypatch.setattr("plainnet.progress_bar._is_terminal", lambda: is_terminal)
    monkeypatch.setattr("plainnet.progress_bar.SECONDS_A_LINE", 0.0)

    class Broken(io.StringIO):
        failed = 0
        first_error = None

        def write(self, text):
            self.failed += 1
            error, self.first_error = self.first_error, None
            raise error or BrokenPipeError(32, "Broken pipe")

    net, twin = regressor(backend), regressor(backend)
    broken = Broken()
    monkeypatch.setattr(sys, "stderr", broken)
    net.fit(X, Y, epochs=3, batch_size=16, progress=True, validation=0.2)
    assert broken.failed > 0
    twin.fit(X, Y, epochs=3, batch_size=16, validation=0.2)
    assert np.array_equal(net.parameters, twin.parameters)
    if is_terminal:  # tqdm 4.60 does not clean up after an exception from its constructor
        return
    broken.first_error = TimeoutError("from a signal handler")
    with pytest.raises(TimeoutError, match="from a signal handler"):
        net.fit(X, Y, epochs=3, batch_size=16, progress=True)


def test_progress_goes_nowhere_where_standard_error_is_closed(backend, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    regressor(backend).fit(X, Y, epochs=3, progress=True)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.0, "0"), (7.125, "7.12"), (999.4, "999"), (999.6, "1k"), (12_345.0, "12.3k"), (6e6, "6M"), (2.5e9, "2.5G")],
)
def test_rates_are_short(number, text):
    assert progress_bar._short(number) == text


def test_progress_must_be_a_switch(backend):
    with pytest.raises(TypeError, match="progress must be True or False"):
        regressor(backend).fit(X, Y, progress=1)
