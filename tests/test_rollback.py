"""What a run in C keeps between calls: the order of rows, its instruction set, and its rollback point."""

from itertools import permutations

import numpy as np
import pytest

import plainnet as pn
from plainnet.backend import Progress, Training

import textbook

SMALL = [(5, 7, "identity", True), (7, 3, "identity", True)]
#: Weights of a layer as wide as this are packed during a run; 120 columns are whole panels and a part of one.
PACKED = [(120, 120, "identity", True), (120, 2, "identity", True)]
N_ROWS, BATCH_SIZE, SEED = 24, 8, 99


def make(layers, backend, dtype):
    return textbook.network(layers, "sum_of_squares", seed=2, backend=backend, dtype=dtype)


def data(layers, dtype):
    rng = np.random.default_rng(7)
    x, y = rng.standard_normal((N_ROWS, layers[0][0])), rng.standard_normal((N_ROWS, layers[-1][1]))
    return x.astype(dtype), y.astype(dtype)


def step_by_step(net, x, y, rate, row, first_epoch=0):
    """
    Makes steps in the order of `shuffled`, from `row` of an epoch on, until the loss is not finite. Returns the
    parameters from before each step; a run must end with the last but one.
    """
    before, epoch = [], first_epoch
    while epoch < 100:
        order = pn.reference.shuffled(SEED, epoch, N_ROWS)[row:]
        for start in range(0, len(order), BATCH_SIZE):
            rows = order[start : start + BATCH_SIZE]
            before.append(net.parameters.copy())
            try:
                net.train_on_batch(x[rows], y[rows], rate)
            except pn.DivergedError:
                return before, epoch
        epoch, row = epoch + 1, 0
    pytest.fail("no divergence")


@pytest.mark.parametrize("max_steps", [10**6, 4, 1])
@pytest.mark.parametrize("layers", [SMALL, PACKED], ids=["small", "packed"])
def test_divergence_rolls_back_into_a_resumed_epoch(backend, dtype, layers, max_steps):
    """The run begins amid an epoch and diverges in a later one: the steps that are repeated use rows of both."""
    rate = 0.06 if layers is SMALL else 0.006
    x, y = data(layers, dtype)
    before, epoch = step_by_step(make(layers, backend, dtype), x, y, rate, BATCH_SIZE)
    assert epoch >= 2
    net = make(layers, backend, dtype)
    training = Training(500, BATCH_SIZE, rate, True, SEED)
    progress, losses = Progress(0, BATCH_SIZE, 1.0), np.empty(500)

    def train():
        while progress.epoch < 500:
            net._model.train(x, y, training, progress, losses, max_steps)

    with pytest.raises(pn.DivergedError):
        train()
    assert progress.steps == len(before) - 2
    assert progress.epoch * N_ROWS + progress.row == BATCH_SIZE * (len(before) - 1)
    np.testing.assert_array_equal(net.parameters, before[-2])


@pytest.mark.parametrize("n_before", [1, 2, 4, 5])
def test_divergence_rolls_back_to_where_parameters_were_last_asked_for(c_backend, dtype, n_before):
    """Packed weights are brought up to date after some steps, amid an epoch; the run goes on, and diverges."""
    rate = 0.006
    x, y = data(PACKED, dtype)
    before, epoch = step_by_step(make(PACKED, c_backend, dtype), x, y, rate, 0)
    assert epoch >= 2
    net = make(PACKED, c_backend, dtype)
    training, progress, losses = Training(500, BATCH_SIZE, rate, True, SEED), Progress(), np.empty(500)
    net._model.train(x, y, training, progress, losses, n_before)
    net._model.train(x, y, training, progress, losses, 0)
    np.testing.assert_array_equal(net.parameters, before[n_before])
    with pytest.raises(pn.DivergedError):
        net._model.train(x, y, training, progress, losses, 10**6)
    assert progress.steps == len(before) - 2
    np.testing.assert_array_equal(net.parameters, before[-2])


@pytest.fixture
def isas():
    before = pn.native.isa()
    yield pn.native.available_isas()
    pn.native.set_isa(before)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("layers", [SMALL, PACKED], ids=["small", "packed"])
def test_a_run_ends_with_the_instruction_set_with_which_it_began(isas, dtype, layers, shuffle):
    """Bits may differ between them, and the order in which weights are packed does."""
    x, y = data(layers, dtype)
    training = Training(5, BATCH_SIZE, 1e-4, shuffle, SEED)

    def run(*in_turn):
        net, progress, losses = make(layers, "c", dtype), Progress(), np.full(5, np.nan)
        while progress.epoch < 5:
            pn.native.set_isa(in_turn[min(progress.steps // 2, len(in_turn) - 1)])
            net._model.train(x, y, training, progress, losses, 2)
        return net.parameters.tobytes(), losses.tobytes()

    expected = {isa: run(isa) for isa in isas}
    for first, second in permutations(isas, 2):
        assert run(first, second) == expected[first]
        assert run(first, second, first) == expected[first]
    if "baseline" in isas and len(isas) > 1:
        assert len(set(expected.values())) > 1  # there is something to see


def test_a_new_run_takes_the_instruction_set_in_use(isas, dtype):
    """Whatever another run has left in the workspace."""
    x, y = data(PACKED, dtype)
    for first, second in permutations(isas, 2):
        net, twin = make(PACKED, "c", dtype), make(PACKED, "c", dtype)
        pn.native.set_isa(first)
        net.fit(x, y, 5, 1e-4, batch_size=BATCH_SIZE)
        twin.parameters = net.parameters
        twin.epochs_trained = 5
        pn.native.set_isa(second)
        for fitted in (net, twin):
            fitted.fit(x, y, 5, 1e-4, batch_size=BATCH_SIZE)
        np.testing.assert_array_equal(net.parameters, twin.parameters)
