"""
Checkpoints: training that goes on from a file ends with the bits of a run that was never stopped.

It goes on in another process, there with other instruction sets and numbers of threads. Run as a program, this file is
that process: it goes on with the cases of a folder, and prints a digest of what each ends with.
"""

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plainnet as pn

from interruption import everything, fit_interrupted

S = pn.schedules
RATES = [
    lambda rate: rate, lambda rate: S.step(rate, 7), lambda rate: S.exponential(rate, 0.97),
    lambda rate: S.cosine(rate, 200, minimum=rate / 50), lambda rate: S.one_cycle(rate, 90),
    lambda rate: S.linear_warmup(5, S.cosine(rate, 60, minimum=rate / 50)),
]  # fmt: skip
OPTIMIZERS = [
    lambda rate: pn.SGD(rate(0.05)), lambda rate: pn.SGD(rate(0.05), momentum=0.9, nesterov=True, clip_norm=1),
    lambda rate: pn.RMSprop(rate(1e-3), centered=True, momentum=0.5), lambda rate: pn.Adagrad(rate(1e-2), 1e-3),
    lambda rate: pn.Adam(rate(1e-3), amsgrad=True, weight_decay=1e-3),
    lambda rate: pn.AdamW(rate(1e-3), clip_value=0.5), lambda rate: pn.Rprop(rate(1e-3)),
]  # fmt: skip

#: Instruction sets with fused multiply-add, which all compute the same bits.
WITH_FMA = [isa for isa in pn.native.available_isas() if isa != "baseline"]


@dataclass
class Case:
    """A run of `epochs`, and the step after which it is cut."""

    net: pn.Network
    x: np.ndarray
    y: np.ndarray
    epochs: int
    how: dict[str, Any]
    cut: int

    @property
    def steps_an_epoch(self):
        return -(-len(self.x) // (self.how["batch_size"] or len(self.x)))


def make(number, backend):
    """The case of this number: everything about it is drawn at random, but the same each time."""
    rng = np.random.default_rng(number)
    rate = RATES[rng.integers(len(RATES))]
    optimizer = OPTIMIZERS[number % len(OPTIMIZERS)](rate)
    n_rows, width = int(rng.integers(40, 300)), int(rng.choice([5, 16, 100]))
    dropout = float(rng.choice([0, 0.3]))
    layers = [
        pn.Dense(6, width, "tanh", dropout=dropout),
        pn.Dense(width, 3, max_norm=2.0 if rng.random() < 0.3 else None),
    ]
    net = pn.Network(
        layers, seed=number, dtype=str(rng.choice(["float32", "float64"])), backend=backend, optimizer=optimizer
    )
    x, y = rng.normal(size=(n_rows, 6)), rng.normal(size=(n_rows, 3))
    batch_size = None if isinstance(optimizer, pn.Rprop) else int(rng.integers(10, 40))
    how = {"batch_size": batch_size, "shuffle": bool(rng.random() < 0.7)}
    if rng.random() < 0.3:
        how["sample_weight"] = rng.uniform(0.5, 2, n_rows)
    case = Case(net, x, y, int(rng.integers(3, 8)), how, 0)
    n_steps = case.epochs * case.steps_an_epoch
    case.cut = (
        int(rng.integers(1, n_steps)) if rng.random() < 0.7 else case.steps_an_epoch * int(rng.integers(case.epochs))
    )
    return case


def train_to_the_cut(case):
    """Trains to the end of an epoch or, by way of an interruption, to a step within one."""
    net, complete = case.net, case.cut // case.steps_an_epoch
    net.fit(case.x, case.y, complete, **case.how)
    while net._state.steps < case.cut:  # a slice may be shorter than it is asked to be
        fit_interrupted(net, case.cut - net._state.steps, case.x, case.y, case.epochs - complete, **case.how)
    assert (net._state.steps, net.epochs_trained) == (case.cut, complete)
    assert (net._state.begun is not None) == (case.cut % case.steps_an_epoch > 0)


def finish(case, path):
    """Goes on from the file to the end of the run."""
    net = pn.load(path, backend=case.net.backend)
    net.fit(case.x, case.y, case.epochs - net.epochs_trained, **case.how)
    return digest(net)


def digest(net):
    return hashlib.sha256(repr(everything(net)).encode()).hexdigest()


def check_that_cuts_leave_no_trace(folder, numbers, backend, **environment):
    """Cuts runs in this process, and finishes them in another one, which has this `environment`."""
    expected, n_begun = {}, 0
    for number in numbers:
        case = make(number, backend)
        case.net.fit(case.x, case.y, case.epochs, **case.how)
        expected[str(number)] = digest(case.net)
        case = make(number, backend)
        train_to_the_cut(case)
        n_begun += case.net._state.begun is not None
        case.net.save(folder / f"{number}.safetensors", training=True)
    assert 0 < n_begun < len(numbers)  # so some are cut within an epoch, and some between two
    command = [sys.executable, __file__, str(folder), backend]
    inherited = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env={**inherited, **environment})
    assert done.returncode == 0, done.stderr
    assert dict(line.split() for line in done.stdout.splitlines()) == expected


def check_with_other_instructions_and_threads(folder, numbers):
    before = pn.native.isa(), pn.num_threads()
    try:
        for k, (isa, other) in enumerate(zip(WITH_FMA, [*WITH_FMA[1:], WITH_FMA[0]])):
            part = folder / isa
            part.mkdir()
            pn.native.set_isa(isa)
            pn.set_num_threads(1 + k % 2)
            threads = str(2 - k % 2)
            numbers_here = numbers[k :: len(WITH_FMA)]
            check_that_cuts_leave_no_trace(part, numbers_here, "c", PLAINNET_ISA=other, PLAINNET_NUM_THREADS=threads)
    finally:
        pn.native.set_isa(before[0])
        pn.set_num_threads(before[1])


@pytest.mark.skipif(not WITH_FMA, reason="needs a processor with fused multiply-add")
@pytest.mark.parametrize("n_cuts", [28, pytest.param(200, marks=pytest.mark.slow)])
def test_checkpoint_goes_on_with_other_instructions_and_threads(tmp_path, n_cuts):
    check_with_other_instructions_and_threads(tmp_path, range(n_cuts))


@pytest.mark.parametrize("n_cuts", [14, pytest.param(100, marks=pytest.mark.slow)])
def test_checkpoint_goes_on_in_another_process(tmp_path, backend, n_cuts):
    isa = {} if backend == "numpy" else {"PLAINNET_ISA": pn.native.isa()}
    check_that_cuts_leave_no_trace(tmp_path, range(1000, 1000 + n_cuts), backend, **isa)


def test_checkpoint_of_a_begun_epoch_starts_it_anew_with_other_data(tmp_path):
    """As without a file: the place in the epoch belongs to the data."""
    case = next(case for case in (make(number, "c") for number in range(100)) if case.cut % case.steps_an_epoch > 0)
    train_to_the_cut(case)
    case.net.save(tmp_path / "model", training=True)
    twin = pn.load(tmp_path / "model")
    for net in (case.net, twin):
        net.fit(case.x + 1, case.y, 1, **case.how)
    assert digest(twin) == digest(case.net)


def test_checkpoint_at_every_epoch_changes_nothing(tmp_path, backend):
    """Saving only reads: a run that saves and loads after each epoch is the run that does not."""
    case, twin = make(4, backend), make(4, backend)
    case.net.fit(case.x, case.y, case.epochs, **case.how)
    net = twin.net
    for _ in range(twin.epochs):
        net.fit(twin.x, twin.y, 1, **twin.how)
        before = digest(net)
        net.save(tmp_path / "model", training=True)
        assert digest(net) == before
        net = pn.load(tmp_path / "model", backend=backend)
    assert digest(net) == digest(case.net)


if __name__ == "__main__":
    for path in sorted(Path(sys.argv[1]).glob("*.safetensors")):
        print(path.stem, finish(make(int(path.stem), sys.argv[2]), path))
