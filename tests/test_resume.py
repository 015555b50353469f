"""fit(resume=True): a run with validation and callbacks, cut anywhere, ends as if it had never been."""

import json
import os
import pickle
import re
import struct
import subprocess
import sys

import numpy as np
import pytest

import plainnet as pn

rng = np.random.default_rng(1)
X = rng.normal(size=(100, 4))
Y = X[:, :1] * X[:, 1:2] + 0.3 * rng.normal(size=(100, 1))
HOW = {"epochs": 30, "batch_size": 16, "validation": 0.2, "metrics": ["r2"]}
STEPS = 5  # in an epoch

RATES = {
    "number": 0.02,
    "step": pn.schedules.step(0.02, 20, 0.7),
    "warmup": pn.schedules.linear_warmup(10, pn.schedules.cosine(0.02, 400, 1e-4)),
}
OPTIMIZERS = {
    "sgd": lambda rate: pn.SGD(rate),
    "momentum": lambda rate: pn.SGD(rate, momentum=0.9, nesterov=True),
    "rmsprop": lambda rate: pn.RMSprop(rate, centered=True, momentum=0.5),
    "adagrad": lambda rate: pn.Adagrad(rate),
    "adam": lambda rate: pn.Adam(rate, amsgrad=True, clip_norm=1.0),
    "adamw": lambda rate: pn.AdamW(rate),
    "rprop": lambda rate: pn.Rprop(rate),
}


def network(backend="c", optimizer="adam", rate="number", dropout=0.1, dtype="float64"):
    layers = [pn.Dense(4, 8, "tanh", dropout=dropout), pn.Dense(8, 1)]
    return pn.Network(layers, seed=3, optimizer=OPTIMIZERS[optimizer](RATES[rate]), backend=backend, dtype=dtype)


def callbacks():
    return [pn.EarlyStopping(patience=6), pn.ReduceOnPlateau(patience=1, factor=0.5)]


class Cut(Exception):
    pass


def cut_after_steps(net, n_steps, *arguments, **keywords):
    """net.fit(...), which ends with an exception after so many steps."""
    train, left = net._model.train, [n_steps]

    def train_some_steps(x, y, training, progress, losses, max_steps, *weights):
        before = progress.steps
        train(x, y, training, progress, losses, min(max_steps, left[0]), *weights)
        left[0] -= progress.steps - before
        if max_steps > 0 and left[0] == 0:
            raise Cut

    net._model.train = train_some_steps
    with pytest.raises(Cut):
        net.fit(*arguments, **keywords)
    net._model.train = train


def assert_same(net, history, expected_net, expected):
    assert np.array_equal(net.parameters, expected_net.parameters)
    state, expected_state = net._optimizer[1], expected_net._optimizer[1]
    assert (state is None and expected_state is None) or np.array_equal(state, expected_state)
    assert (net.epochs_trained, net._state.steps) == (expected_net.epochs_trained, expected_net._state.steps)
    assert history.metrics.keys() == expected.metrics.keys()
    assert all(np.array_equal(history.metrics[name], expected.metrics[name]) for name in history.metrics)
    for name in ("loss", "learning_rate", "validation_loss", "stopped", "best_epoch"):
        assert np.array_equal(getattr(history, name), getattr(expected, name)), name


def through_file(net, folder):
    net.save(folder / "net.safetensors", training=True)
    return pn.load(folder / "net.safetensors", backend=net.backend)


def check_cut(folder, generator, backend):
    """One random cut of a random run, and perhaps another one of what goes on."""
    kind = {name: str(generator.choice(list(table))) for name, table in (("optimizer", OPTIMIZERS), ("rate", RATES))}
    kind["dropout"] = float(generator.choice([0, 0.3]))
    whole = network(backend, **kind)
    expected = whole.fit(X, Y, **HOW, callbacks=callbacks())
    epochs = len(expected.loss)
    net = network(backend, **kind)
    cuts = sorted(generator.choice(np.arange(1, epochs * STEPS), generator.integers(1, 3), replace=False))
    done = 0
    for cut in cuts:
        cut_after_steps(net, cut - done, X, Y, **HOW, callbacks=callbacks(), resume=done > 0)
        done = cut
        carry = generator.integers(4)
        net = [net, net.copy(), pickle.loads(pickle.dumps(net)), None][carry] or through_file(net, folder)
    assert_same(net, net.fit(X, Y, **HOW, callbacks=callbacks(), resume=True), whole, expected)


def test_run_goes_on_after_random_cuts(tmp_path, backend):
    generator = np.random.default_rng(11)
    for _ in range(6):
        check_cut(tmp_path, generator, backend)


def test_run_goes_on_after_a_hundred_random_cuts(tmp_path):
    generator = np.random.default_rng(12)
    for _ in range(100):
        check_cut(tmp_path, generator, "c")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_end_of_an_epoch_is_made_up_for(tmp_path, backend, dtype, place):
    """An exception before, between or after the callbacks of an epoch, or in its validation."""
    whole = network(backend, dtype=dtype)
    expected = whole.fit(X, Y, **HOW, callbacks=[*callbacks(), Failing(0)])
    for epoch in (1, 3, len(expected.loss)):
        net, watchers = network(backend, dtype=dtype), callbacks()
        if place < 3:
            watchers.insert(place, Failing(epoch))
            with pytest.raises(Cut):
                net.fit(X, Y, **HOW, callbacks=watchers)
        else:
            total_loss, calls = net._model.total_loss, []

            def failing(*arguments, left=epoch, calls=calls, call=total_loss):
                calls.append(1)
                if len(calls) == left:
                    raise Cut
                return call(*arguments)

            net._model.total_loss = failing
            with pytest.raises(Cut):
                net.fit(X, Y, **HOW, callbacks=watchers)
        assert len(net.history.loss) == epoch - (place == 3)
        net = through_file(net, tmp_path)
        again = callbacks()
        again.insert(min(place, 2), Failing(0)) if place < 3 else None
        assert_same(net, net.fit(X, Y, **HOW, callbacks=again, resume=True), whole, expected)


class Failing:
    """Raises in one epoch; without a state of its own."""

    def __init__(self, epoch):
        self.epoch = epoch

    def epoch_end(self, network, logs):
        if logs["epoch"] == self.epoch:
            raise Cut


@pytest.mark.parametrize("every", [1, 4])
def test_checkpoint_goes_on_from_any_epoch(tmp_path, backend, every):
    whole, path = network(backend), str(tmp_path / "{epoch}.safetensors")
    expected = whole.fit(X, Y, **HOW, callbacks=[pn.Checkpoint(path, every), *callbacks()])
    epochs = len(expected.loss)
    saved = sorted(int(file.stem) for file in tmp_path.iterdir())
    assert saved == list(range(every, epochs + 1, every))
    for epoch in saved:
        net = pn.load(path.replace("{epoch}", str(epoch)), backend=backend)
        assert net.epochs_trained == epoch
        again = [pn.Checkpoint(tmp_path / "again", 1000), *callbacks()]
        assert_same(net, net.fit(X, Y, **HOW, callbacks=again, resume=True), whole, expected)
    with pytest.raises(ValueError, match="there is no run to go on with"):
        net.fit(X, Y, **HOW, resume=True)


def test_checkpoint_goes_on_in_another_process_and_with_other_instructions(tmp_path):
    isas = [isa for isa in pn.native.available_isas() if isa != "baseline"]
    if not isas:
        pytest.skip("this machine has no FMA: its bits are its own")
    whole = network()
    path = tmp_path / "net.safetensors"
    expected = whole.fit(X, Y, **HOW, callbacks=callbacks())
    net = network()
    cut_after_steps(net, 3 * STEPS + 2, X, Y, **HOW, callbacks=callbacks())
    net.save(path, training=True)
    np.savez(tmp_path / "data.npz", x=X, y=Y)
    code = f"""
import json, numpy as np, plainnet as pn
data = np.load({str(tmp_path / "data.npz")!r})
net = pn.load({str(path)!r})
history = net.fit(data["x"], data["y"], **json.loads({json.dumps(HOW)!r}), resume=True,
                  callbacks=[pn.EarlyStopping(patience=6), pn.ReduceOnPlateau(patience=1, factor=0.5)])
print(net.parameters.tobytes().hex(), history.validation_loss.tobytes().hex())
"""
    for isa in isas:
        for threads in ("1", "3"):
            environment = {"PLAINNET_ISA": isa, "PLAINNET_NUM_THREADS": threads}
            done = run(code, environment)
            assert done == [whole.parameters.tobytes().hex(), expected.validation_loss.tobytes().hex()], isa


def run(code, environment):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_plain_run_goes_on_too(backend):
    whole, net = network(backend), network(backend)
    expected = whole.fit(X, Y, epochs=8, batch_size=16)
    cut_after_steps(net, 3 * 7 + 2, X, Y, epochs=8, batch_size=16)
    assert len(net.history.loss) == 3
    assert_same(net, net.fit(X, Y, epochs=8, batch_size=16, resume=True), whole, expected)


def test_callback_without_a_state_begins_anew(backend):
    class Counting:
        begun = 0

        def fit_begin(self, network):
            self.begun += 1

        def epoch_end(self, network, logs):
            pass

    net, counting = network(backend), Counting()
    cut_after_steps(net, 7, X, Y, **HOW, callbacks=[counting])
    net.fit(X, Y, **HOW, callbacks=[counting], resume=True)
    assert counting.begun == 2


# ---- What is refused -------------------------------------------------------------------------------------------------


def test_run_that_has_ended_is_not_resumed(backend):
    net = network(backend)
    for _ in range(2):
        with pytest.raises(ValueError, match="resume=True: there is no run to go on with"):
            net.fit(X, Y, resume=True)
        cut_after_steps(net, 3, X, Y, epochs=2, batch_size=16)
        net.fit(X, Y, epochs=2, batch_size=16)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"callbacks": []}, r"the run had the callbacks \['EarlyStopping', 'ReduceOnPlateau'\], not \[\]"),
        ({"metrics": []}, r"the run computed \['validation_loss', 'r2'\] after each epoch, not \['validation_loss'\]"),
        ({"validation": None}, r"the run computed \['validation_loss', 'r2'\] after each epoch, not \['r2'\]"),
        ({"epochs": 2}, "epochs must be at least 3: the run"),
    ],
)
def test_other_arguments_are_refused_and_the_run_can_still_go_on(backend, change, words):
    whole, net = network(backend), network(backend)
    expected = whole.fit(X, Y, **HOW, callbacks=callbacks())
    cut_after_steps(net, 3 * STEPS + 1, X, Y, **HOW, callbacks=callbacks())
    before = net.parameters.copy()
    with pytest.raises(ValueError, match=words):
        net.fit(X, Y, **{**HOW, "callbacks": callbacks(), "resume": True, **change})
    assert np.array_equal(net.parameters, before)
    assert_same(net, net.fit(X, Y, **HOW, callbacks=callbacks(), resume=True), whole, expected)


class Odd(Failing):
    """A callback that keeps something that no file holds."""

    def state_dict(self):
        return {"things": {"a": 1}}

    def load_state_dict(self, state):
        pass


def test_state_of_a_callback_must_be_numbers_and_arrays(tmp_path):
    net = network()
    with pytest.raises(Cut):
        net.fit(X, Y, **HOW, callbacks=[Odd(1)])
    with pytest.raises(ValueError, match=r"callbacks\[0\] holds 'things', which is no number, None, or array"):
        net.save(tmp_path / "net.safetensors", training=True)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="'things'"):
        net.copy()


# ---- Files that are wrong --------------------------------------------------------------------------------------------


def changed_file(path, change):
    """The file with another description, without its checksum."""
    raw = path.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + length])
    description = json.loads(header["__metadata__"]["plainnet"])
    description.pop("checksum", None)
    change(description["training"]["run"])
    header["__metadata__"]["plainnet"] = json.dumps(description)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + length :])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda run: run.update(epochs=2), "logs must be lists of 2 numbers"),
        (lambda run: run.update(epochs="3"), "epochs must be an integer"),
        (lambda run: run.update(logs=[]), "logs an object"),
        (lambda run: run["logs"].update(loss=[1.0, "much", 2.0]), "'run' is wrong"),
        (lambda run: run.update(pending=[1.0]), "pending is not None or a pair"),
        (lambda run: run.update(stops=1), "stops is not a bool"),
        (lambda run: run.update(more=1), "unknown are"),
        (lambda run: run.update(callbacks=[{"name": "EarlyStopping"}]), r"callbacks\[0\] must have the entries"),
        (lambda run: run["callbacks"][0].update(name=3), r"callbacks\[0\] is not a pair of a name"),
        (lambda run: run["callbacks"][0].update(state=[]), r"the state of callbacks\[0\] must be an object"),
        (lambda run: run["callbacks"][0]["state"].update(best_parameters={"tensor": "run.1.x"}), "must be"),
        (lambda run: run["callbacks"][0]["state"].update(best_parameters=None), "its tensors are not those"),
        (lambda run: run["callbacks"][0]["state"].update(best_value=[1]), "holds 'best_value'"),
    ],
)
def test_wrong_entry_of_a_run_is_named(tmp_path, change, words):
    path = tmp_path / "net.safetensors"
    net = network()
    cut_after_steps(net, 3 * STEPS + 1, X, Y, **HOW, callbacks=callbacks())
    net.save(path, training=True)
    changed_file(path, lambda run: None)
    assert pn.load(path)._run.epochs == 3
    changed_file(path, change)
    with pytest.raises(pn.ModelFormatError, match=f"{re.escape(str(path))}.*{words}"):
        pn.load(path)


def test_state_that_does_not_fit_a_callback_is_refused():
    with pytest.raises(ValueError, match=r"the state of EarlyStopping has \['best_epoch', "):
        pn.EarlyStopping().load_state_dict({"best_epoch": 1})
