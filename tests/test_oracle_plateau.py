"""ReduceOnPlateau against PyTorch's ReduceLROnPlateau."""

import numpy as np
import pytest

import plainnet as pn

torch = pytest.importorskip("torch", reason="the oracle is PyTorch: pip install '.[oracle]'")

#: Losses that fall, rise, stay and are not numbers.
rng = np.random.default_rng(5)
CURVES = {
    "noisy": np.exp(-np.arange(60) / 10) + 0.05 * rng.normal(size=60),
    "flat": np.ones(40),
    "negative": -1 - np.r_[np.arange(10.0), np.full(30, 9)],
    "nan": np.r_[3.0, np.nan, 2.0, np.full(20, np.nan)],
}


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize(
    "options",
    [{}, {"patience": 0}, {"patience": 2, "factor": 0.5, "cooldown": 3}, {"patience": 1, "threshold": 0.05},
     {"patience": 1, "minimum": 0.003}],
)  # fmt: skip
def test_rates_are_those_of_torch(curve, mode, options):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    theirs = {("min_lr" if name == "minimum" else name): value for name, value in options.items()}
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode, **theirs)
    plateau = pn.ReduceOnPlateau(monitor="score", mode=mode, **options)
    plateau.fit_begin(None)
    rate = 0.1
    for value in CURVES[curve]:
        scheduler.step(value)
        plateau.epoch_end(None, {"score": float(value), "learning_rate": rate})
        rate = 0.1 * plateau.rate_factor
        assert rate == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
