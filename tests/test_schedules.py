"""Learning rates that change from step to step. PyTorch is asked elsewhere."""

import copy
import math
import pickle

import numpy as np
import pytest

import plainnet as pn

import textbook
from interruption import fit_interrupted, train_in_slices

LAYERS = [(5, 7, "tanh", True), (7, 3, "sigmoid", False)]
SCHEDULES = {
    "step": pn.schedules.step(0.5, 4), "exponential": pn.schedules.exponential(0.5, 0.9),
    "cosine": pn.schedules.cosine(0.5, 20), "one_cycle": pn.schedules.one_cycle(0.5, 20),
    "linear_warmup": pn.schedules.linear_warmup(5, pn.schedules.cosine(0.5, 15, minimum=0.1)),
    "warmup_to_a_number": pn.schedules.linear_warmup(4, 0.5),
}  # fmt: skip
OF_EACH_KIND = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)


def make(backend, learning_rate=0.1, kind=pn.SGD, dtype="float64"):
    return textbook.network(
        LAYERS, "mean_squared_error", seed=2, backend=backend, dtype=dtype, optimizer=kind(learning_rate)
    )


def data(n_rows=24, dtype="float64"):
    rng = np.random.default_rng(7)
    return rng.standard_normal((n_rows, 5)).astype(dtype), rng.random((n_rows, 3)).astype(dtype)


@OF_EACH_KIND
@pytest.mark.parametrize("kind", [pn.SGD, pn.Adam])
def test_each_step_has_its_rate(backend, dtype, schedule, kind):
    """Across calls of fit and train_on_batch, each of which goes on where the one before it ended; bit for bit."""
    x, y = data(dtype=dtype)
    net, twin = make(backend, schedule, kind, dtype), make(backend, 0.1, kind, dtype)
    net.fit(x, y, epochs=2, batch_size=6, shuffle=False)
    net.train_on_batch(x[:6], y[:6])
    net.fit(x, y, epochs=2, batch_size=6, shuffle=False)
    starts = [0, 6, 12, 18] * 2 + [0] + [0, 6, 12, 18] * 2
    for k, start in enumerate(starts):
        twin.train_on_batch(x[start : start + 6], y[start : start + 6], learning_rate=schedule(k))
    np.testing.assert_array_equal(net.parameters, twin.parameters)
    assert net._state.steps == twin._state.steps == 17


@OF_EACH_KIND
def test_schedule_of_a_call_overrides_the_optimizers(backend, schedule):
    x, y = data()
    net, twin = make(backend), make(backend, schedule)
    calls = ("fit", {"epochs": 2, "batch_size": 7}), ("train_on_batch", {}), ("fit", {"epochs": 3})
    for function, arguments in calls:
        getattr(net, function)(x, y, learning_rate=schedule, **arguments)
        getattr(twin, function)(x, y, **arguments)
    np.testing.assert_array_equal(net.parameters, twin.parameters)


def test_steps_count_from_the_assignment_of_the_optimizer(backend):
    x, y = data()
    net, steps = make(backend), []

    def schedule(step):
        steps.append(step)
        return 0.1

    net.fit(x, y, epochs=3)
    net.fit(x, y, epochs=2, batch_size=10, learning_rate=schedule)
    net.optimizer = pn.SGD(schedule)
    net.train_on_batch(x, y)
    net.fit(x, y, epochs=1, batch_size=8)
    assert steps == [3, 4, 5, 6, 7, 8, 0, 1, 2, 3]


@OF_EACH_KIND
def test_interrupted_run_ends_with_the_bits_of_one_that_is_not(backend, schedule):
    x, y = data()
    net, whole = make(backend, schedule, pn.Adam), make(backend, schedule, pn.Adam)
    whole.fit(x, y, epochs=3, batch_size=5)
    fit_interrupted(net, 7, x, y, epochs=3, batch_size=5)
    net = pickle.loads(pickle.dumps(net))
    assert net.optimizer.learning_rate == schedule
    net.fit(x, y, epochs=2, batch_size=5)
    np.testing.assert_array_equal(net.parameters, whole.parameters)


@OF_EACH_KIND
def test_schedules_compare_copy_and_pickle(schedule):
    for twin in (copy.deepcopy(schedule), pickle.loads(pickle.dumps(schedule))):
        assert twin == schedule
        assert [twin(k) for k in range(15)] == [schedule(k) for k in range(15)]
    assert len(set(SCHEDULES.values())) == len(SCHEDULES)


def test_schedules_have_the_documented_rates():
    s = pn.schedules
    np.testing.assert_allclose([s.step(1, 2)(k) for k in range(5)], [1, 1, 0.1, 0.1, 0.01])
    np.testing.assert_allclose([s.exponential(2, 0.5)(k) for k in range(3)], [2, 1, 0.5])
    np.testing.assert_allclose([s.cosine(3, 4, 1)(k) for k in (0, 2, 4)], [3, 2, 1])
    np.testing.assert_allclose([s.one_cycle(5, 10)(k) for k in (0, 2, 9, 10, 99)], [0.2, 5, *[2e-5] * 3])
    np.testing.assert_allclose([s.linear_warmup(4, 2)(k) for k in range(6)], [0.5, 1, 1.5, 2, 2, 2])
    assert s.linear_warmup(3, s.exponential(2, 0.5))(4) == 1


@pytest.mark.parametrize("call", ["fit", "train_on_batch"])
@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (math.nan, ValueError, "the learning_rate of step 4 must be finite and above 0 in float32, not nan"),
        (0.0, ValueError, "the learning_rate of step 4 must be finite and above 0 in float32, not 0.0"),
        (-1, ValueError, "the learning_rate of step 4 must be finite and above 0 in float32, not -1"),
        (1e-60, ValueError, "the learning_rate of step 4 must be finite and above 0 in float32, not 1e-60"),
        (np.inf, ValueError, "the learning_rate of step 4 must be finite and above 0 in float32, not inf"),
        (None, TypeError, "the learning_rate of step 4 must be a number, not None"),
        ("fast", TypeError, "the learning_rate of step 4 must be a number, not 'fast'"),
    ],
)
def test_rate_that_is_wrong_is_refused_before_any_step(backend, call, value, error, words):
    x, y = data(dtype="float32")
    net = make(backend, lambda step: 0.1 if step < 4 else value, pn.Adam, "float32")
    net.fit(x, y, epochs=2 if call == "fit" else 4)
    before = net.parameters.copy(), net._optimizer[1].copy(), net._state.steps
    with pytest.raises(error) as caught:
        getattr(net, call)(x, y, **({"epochs": 5} if call == "fit" else {}))
    assert str(caught.value) == words
    np.testing.assert_array_equal(net.parameters, before[0])
    np.testing.assert_array_equal(net._optimizer[1], before[1])
    assert net._state.steps == before[2]
    net.train_on_batch(x, y, learning_rate=0.1)  # it can be used afterwards


def test_schedule_that_raises_leaves_the_network_as_it_was(backend):
    x, y = data()
    net = make(backend, lambda step: 1 / (3 - step))
    before = net.parameters.copy()
    with pytest.raises(ZeroDivisionError):
        net.fit(x, y, epochs=5)
    np.testing.assert_array_equal(net.parameters, before)
    assert net._state.thread == 0


def test_no_epochs_ask_for_no_rate(backend):
    x, y = data()
    net = make(backend, lambda step: math.nan)
    assert net.fit(x, y, epochs=0).loss.shape == (0,)


def test_divergence_repeats_steps_with_their_own_rates(backend, dtype):
    """The way back leads through steps of earlier slices: the parameters are those from before the last finite step."""
    x, y = data(dtype=dtype)

    def schedule(step):
        return 0.1 + 0.01 * step if step < 40 else float(np.finfo(dtype).max)

    layers = [(5, 7, "identity", True), (7, 3, "identity", True)]
    net, twin = (
        textbook.network(layers, "sum_of_squares", seed=2, backend=backend, dtype=dtype,
                         optimizer=pn.SGD(schedule, momentum=0.5, clip_norm=0.1))
        for _ in range(2)
    )  # fmt: skip
    slices = train_in_slices(net, 3)
    with pytest.raises(pn.DivergedError):
        net.fit(x, y, epochs=100, batch_size=12, shuffle=False)
    assert len(slices) > 10
    for k in range(40):
        start = k % 2 * 12
        twin.train_on_batch(x[start : start + 12], y[start : start + 12])
    assert net._state.steps == 40
    np.testing.assert_array_equal(net.parameters, twin.parameters)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda s: s.step(0, 3), ValueError, "rate must be finite and above 0, not 0"),
        (lambda s: s.step(0.1, 0), ValueError, "step_size must be at least 1, not 0"),
        (lambda s: s.step(0.1, 2.5), TypeError, "step_size must be an integer, not 2.5"),
        (lambda s: s.step(0.1, 3, gamma=-1), ValueError, "gamma must be finite and above 0, not -1"),
        (lambda s: s.exponential("a", 0.9), TypeError, "rate must be a number, not 'a'"),
        (lambda s: s.exponential(0.1, math.nan), ValueError, "gamma must be finite and above 0, not nan"),
        (lambda s: s.cosine(0.1, -1), ValueError, "n_steps must be at least 1, not -1"),
        (lambda s: s.cosine(0.1, 10, -0.1), ValueError, "minimum must be finite and at least 0, not -0.1"),
        (lambda s: s.one_cycle(math.inf, 10), ValueError, "max_rate must be finite and above 0, not inf"),
        (lambda s: s.linear_warmup(True, 0.1), TypeError, "n_steps must be an integer, not True"),
        (lambda s: s.linear_warmup(5, "a"), TypeError, "then must be a number or a function of the step's number"),
        (lambda s: s.linear_warmup(5, 0), ValueError, "then must be finite and above 0, not 0"),
    ],
)
def test_wrong_argument_of_a_schedule_is_refused(call, error, words):
    with pytest.raises(error) as caught:
        call(pn.schedules)
    assert words in str(caught.value)
