"""Options of layers against PyTorch: terms of the loss, parameter groups, and masks and norms by hand."""

import functools

import numpy as np
import pytest

import plainnet as pn
from plainnet.reference.dropout import dropout_key, keep_mask

from test_oracle_optimizers import OPTIMIZERS, TOLERANCE, torch_optimizer
from test_regularization import OPTIONS

torch = pytest.importorskip("torch", reason="the oracle is PyTorch: pip install plainnet[oracle]")

N_BATCHES, N_EPOCHS, N_ROWS = 25, 2, 12  # 50 steps

LAYERS = [(5, 17, "tanh"), (17, 9, "tanh"), (9, 3, "identity")]

#: As in test_oracle_optimizers, but for steps of Rprop without an upper limit: with masks they grow until tanh is 1,
#: and then the sign of the gradient, on which they depend, is that of rounding errors.
WITH_MASKS = [pn.Rprop(step_sizes=(1e-6, 0.05)) if optimizer == pn.Rprop() else optimizer for optimizer in OPTIMIZERS]


def make(backend, dtype, options, optimizer):
    layers = [pn.Dense(*layer, **chosen) for layer, chosen in zip(LAYERS, options, strict=True)]
    return pn.Network(layers, seed=3, dtype=dtype, backend=backend, optimizer=optimizer)


def make_data(dtype):
    x = np.random.default_rng(5).standard_normal((N_BATCHES * N_ROWS, 5)).astype(dtype)
    return x, np.sin(x[:, :3]) + np.asarray(2, dtype)


class Twin:
    """The same network in PyTorch, with its options."""

    def __init__(self, net):
        self.net = net
        self.weights = [torch.tensor(layer.weight, requires_grad=True) for layer in net.layers]
        self.biases = [torch.tensor(layer.bias, requires_grad=True) for layer in net.layers]
        self.parameters = [p for pair in zip(self.weights, self.biases, strict=True) for p in pair]

    def groups(self, rate):
        """Parameter groups with learning rates of their own; frozen parameters are in none."""
        rates = [factor for layer in self.net.layers for factor in (layer.weight_rate, layer.bias_rate)]
        pairs = zip(self.parameters, rates, strict=True)
        return [{"params": [p], "lr": rate * factor, "factor": factor} for p, factor in pairs if factor > 0]

    def loss(self, x, y, epoch, step):
        a, penalty = torch.tensor(x), 0
        for k, (layer, weight, bias) in enumerate(zip(self.net.layers, self.weights, self.biases, strict=True)):
            z = a @ weight + bias
            a = torch.tanh(z) if layer.activation == "tanh" else z
            if layer.dropout > 0:
                key = dropout_key(self.net._shuffle_seed, epoch, step, k)
                kept = keep_mask(key, 0, len(x), layer.n_out, layer.dropout)
                a = a * torch.tensor(kept) / (1 - layer.dropout)
            penalty = penalty + layer.l1 * weight.abs().sum() + layer.l2 / 2 * (weight**2).sum()
        return torch.mean((a - torch.tensor(y)) ** 2) + penalty

    def limit_norms(self):
        with torch.no_grad():
            for layer, weight in zip(self.net.layers, self.weights, strict=True):
                if layer.max_norm is not None and layer.weight_rate > 0:
                    weight *= torch.clamp(layer.max_norm / weight.double().norm(dim=0), max=1).to(weight.dtype)

    def train(self, ours, x, y, rates=None):
        """The epochs' losses and the parameters after them."""
        theirs = torch_optimizer(ours, self.groups(ours.learning_rate))
        losses, step = [], 0
        for epoch in range(N_EPOCHS):
            of_batches = []
            for start in range(0, len(x), N_ROWS):
                if rates is not None:
                    for group in theirs.param_groups:
                        group["lr"] = rates[step] * group["factor"]
                for parameter in self.parameters:
                    parameter.grad = None
                loss = self.loss(x[start : start + N_ROWS], y[start : start + N_ROWS], epoch, step)
                loss.backward()
                if ours.clip_value is not None:
                    torch.nn.utils.clip_grad_value_(self.parameters, ours.clip_value)
                if ours.clip_norm is not None:
                    torch.nn.utils.clip_grad_norm_(self.parameters, ours.clip_norm)
                theirs.step()
                self.limit_norms()
                of_batches.append(loss.item())
                step += 1
            losses.append(np.mean(of_batches))
        return np.array(losses), np.concatenate([p.detach().numpy().ravel() for p in self.parameters])


@functools.cache
def expected_of(options, optimizer, dtype):
    """Of PyTorch, which all backends are compared with."""
    return Twin(make("numpy", dtype, OPTIONS[options], optimizer)).train(optimizer, *make_data(dtype))


def check(got, expected, dtype):
    assert np.abs(got - expected).max() <= TOLERANCE[dtype.name] * np.abs(expected).max()


def check_a_run(backend, dtype, options, optimizer):
    net, (x, y) = make(backend, dtype, OPTIONS[options], optimizer), make_data(dtype)
    losses, parameters = expected_of(options, optimizer, dtype)
    history = net.fit(x, y, epochs=N_EPOCHS, batch_size=N_ROWS, shuffle=False)
    check(history.loss, losses, dtype)
    check(net.parameters, parameters, dtype)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("optimizer", [pn.SGD(0.1), pn.Adam(1e-2)], ids=repr)
def test_fifty_steps_with_options_are_those_of_pytorch(backend, dtype, options, optimizer):
    check_a_run(backend, dtype, options, optimizer)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_every_optimizer_with_rates_makes_the_steps_of_parameter_groups(backend, dtype, optimizer):
    check_a_run(backend, dtype, "rates", optimizer)


@pytest.mark.parametrize("optimizer", WITH_MASKS, ids=repr)
def test_every_optimizer_with_all_options_makes_the_steps_of_pytorch(backend, dtype, optimizer):
    check_a_run(backend, dtype, "all", optimizer)


def test_schedule_and_rates_make_the_steps_of_parameter_groups(backend, dtype):
    schedule = pn.schedules.cosine(0.1, N_EPOCHS * N_BATCHES)
    rates = [schedule(step) for step in range(N_EPOCHS * N_BATCHES)]
    optimizer, (x, y) = pn.SGD(0.1, momentum=0.5), make_data(dtype)
    net = make(backend, dtype, OPTIONS["all"], optimizer)
    losses, parameters = Twin(net).train(optimizer, x, y, rates)
    history = net.fit(x, y, N_EPOCHS, learning_rate=schedule, batch_size=N_ROWS, shuffle=False)
    check(history.loss, losses, dtype)
    check(net.parameters, parameters, dtype)


def test_options_change_the_steps():
    """Guards the tests above: the options that they try are seen in the result."""
    dtype = np.dtype(np.float64)
    results = [expected_of(options, pn.SGD(0.1), dtype)[1] for options in OPTIONS]
    results.append(Twin(make("numpy", dtype, [{}, {}, {}], pn.SGD(0.1))).train(pn.SGD(0.1), *make_data(dtype))[1])
    for k, one in enumerate(results):
        for other in results[:k]:
            assert np.abs(one - other).max() > 1e-3
