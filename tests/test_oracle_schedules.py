"""The schedules against torch.optim.lr_scheduler, at every step."""

import pytest

import plainnet as pn

torch = pytest.importorskip("torch", reason="the oracle is PyTorch: pip install plainnet[oracle]")
lr_scheduler = torch.optim.lr_scheduler

RATE = 0.3


def rates_of_torch(make, n_steps):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=RATE)
    scheduler, rates = make(optimizer), []
    for _ in range(n_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def after_warmup(n_steps, then):
    def make(optimizer):
        warmup = lr_scheduler.LinearLR(optimizer, start_factor=1 / n_steps, total_iters=n_steps - 1)
        return lr_scheduler.SequentialLR(optimizer, [warmup, then(optimizer)], milestones=[n_steps])

    return make


def step(o):
    return lr_scheduler.StepLR(o, step_size=7)


def exponential(o):
    return lr_scheduler.ExponentialLR(o, gamma=0.97)


def cosine(n_steps, minimum=0.0):
    return lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=n_steps, eta_min=minimum)


def one_cycle(n_steps):
    return lambda o: lr_scheduler.OneCycleLR(o, max_lr=RATE, total_steps=n_steps)


S = pn.schedules
PAIRS = {
    "step": (S.step(RATE, 7), step, 60),
    "step-gamma": (S.step(RATE, 3, 0.8), lambda o: lr_scheduler.StepLR(o, step_size=3, gamma=0.8), 300),
    "exponential": (S.exponential(RATE, 0.97), exponential, 500),
    "cosine": (S.cosine(RATE, 1000), cosine(1000), 1000),
    "cosine-minimum": (S.cosine(RATE, 30, 0.01), cosine(30, 0.01), 31),
    "cosine-and-again": (S.cosine(RATE, 30, 0.01), cosine(30, 0.01), 100),
    **{f"one-cycle-{n}": (S.one_cycle(RATE, n), one_cycle(n), n) for n in (1, 2, 3, 4, 10, 1000)},
    "warmup-step": (S.linear_warmup(5, S.step(RATE, 7)), after_warmup(5, step), 40),
    "warmup-exponential": (S.linear_warmup(9, S.exponential(RATE, 0.97)), after_warmup(9, exponential), 100),
    "warmup-cosine": (S.linear_warmup(20, S.cosine(RATE, 200)), after_warmup(20, cosine(200)), 220),
    "warmup-number": (S.linear_warmup(6, RATE), lambda o: lr_scheduler.LinearLR(o, 1 / 6, total_iters=5), 20),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.filterwarnings("ignore::UserWarning")  # of torch's own schedulers about each other
def test_rates_are_those_of_pytorch(name):
    schedule, make, n_steps = PAIRS[name]
    expected = rates_of_torch(make, n_steps)
    assert len(set(expected)) > 1 or n_steps == 1
    for k, rate in enumerate(expected):
        assert schedule(k) == pytest.approx(rate, rel=1e-12, abs=0), k
