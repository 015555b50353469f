"""The optimizers against torch.optim: 50 steps from the same parameters, with the same batches."""

import numpy as np
import pytest

import plainnet as pn

torch = pytest.importorskip("torch", reason="the oracle is PyTorch: pip install plainnet[oracle]")

N_STEPS = 50

#: Clipping is a function there, and epsilon with a hat is not there.
NOT_IN_TORCH = "clip_norm", "clip_value", "eps_hat"

# A step of about 0.01 adds a rounding error of 1e-16 to parameters of about 1, and a division by the root of small
# squares magnifies that of the gradient; a wrong option changes 50 steps by more than that.
TOLERANCE = {"float64": 1e-10, "float32": 1e-4}


def our_names(optimizer):
    """What torch.optim calls the options of ours."""
    names = {"learning_rate": "lr", "learning_rate_decay": "lr_decay"}
    fields = {name: value for name, value in vars(optimizer).items() if name not in NOT_IN_TORCH}
    return {names.get(name, name): value for name, value in fields.items()}


OPTIMIZERS = [
    pn.SGD(0.1),
    pn.SGD(0.1, weight_decay=0.05),
    pn.SGD(0.05, momentum=0.9),
    pn.SGD(0.05, momentum=0.9, nesterov=True),
    pn.SGD(0.05, momentum=0.8, nesterov=True, weight_decay=0.01),
    pn.RMSprop(),
    pn.RMSprop(2e-3, alpha=0.9, eps=1e-4, weight_decay=0.1),
    pn.RMSprop(2e-3, centered=True, eps=1e-3),
    pn.RMSprop(2e-3, momentum=0.9),
    pn.RMSprop(2e-3, momentum=0.5, centered=True, alpha=0.95, eps=1e-3, weight_decay=0.01),
    pn.Adagrad(),
    pn.Adagrad(0.1, learning_rate_decay=0.02, initial_accumulator_value=0.1, eps=1e-6, weight_decay=0.03),
    pn.Adam(),
    pn.Adam(1e-2, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1),
    pn.Adam(1e-2, amsgrad=True),
    pn.AdamW(),
    pn.AdamW(1e-2, betas=(0.7, 0.9), weight_decay=0.2, amsgrad=True),
    pn.Rprop(),
    pn.Rprop(1e-3, etas=(0.3, 1.5), step_sizes=(1e-4, 0.02)),
    pn.SGD(0.1, clip_norm=0.05),
    pn.SGD(0.1, momentum=0.9, clip_value=0.01),
    pn.Adam(1e-2, clip_value=0.02, clip_norm=0.05, weight_decay=0.01),
]


def test_oracle_has_every_optimizer():
    assert {type(optimizer) for optimizer in OPTIMIZERS} == set(pn.optimizers.OPTIMIZERS.values())


def torch_optimizer(ours, parameters):
    options = our_names(ours)
    if isinstance(ours, pn.Rprop):
        assert options.pop("weight_decay") == 0  # which torch's has not
    return getattr(torch.optim, type(ours).__name__)(parameters, **options)


def twin_of(net, dtype):
    """The same network in PyTorch, with a function for its loss."""
    parameters = []
    for layer in net.layers:
        parameters += [torch.tensor(layer.weight), torch.tensor(layer.bias)]
    for parameter in parameters:
        parameter.requires_grad_()

    def loss(x, y):
        a = torch.tensor(x)
        for weight, bias in zip(parameters[::2], parameters[1::2], strict=True):
            last, z = weight is parameters[-2], a @ weight + bias
            a = z if last else torch.tanh(z)
        return torch.mean((a - torch.tensor(y)) ** 2)

    return parameters, loss


def steps_in_torch(net, ours, batches, rates=None):
    parameters, loss = twin_of(net, net.dtype)
    theirs = torch_optimizer(ours, parameters)
    for i, (x, y) in enumerate(batches):
        if rates is not None:
            for group in theirs.param_groups:
                group["lr"] = rates[i]
        theirs.zero_grad()
        loss(x, y).backward()
        if ours.clip_value is not None:
            torch.nn.utils.clip_grad_value_(parameters, ours.clip_value)
        if ours.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(parameters, ours.clip_norm)
        theirs.step()
    return np.concatenate([parameter.detach().numpy().ravel() for parameter in parameters])


def make(backend, dtype, optimizer):
    layers = [pn.Dense(5, 17, "tanh"), pn.Dense(17, 9, "tanh"), pn.Dense(9, 3, "identity")]
    return pn.Network(layers, seed=3, dtype=dtype, backend=backend, optimizer=optimizer)


def make_batches(dtype):
    rng = np.random.default_rng(5)
    x = rng.standard_normal((N_STEPS, 12, 5)).astype(dtype)
    return list(zip(x, np.sin(x[..., :3]) + np.asarray(2, dtype), strict=True))


def check(got, expected, dtype):
    assert np.abs(got - expected).max() <= TOLERANCE[dtype.name] * np.abs(expected).max()


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_fifty_steps_are_those_of_pytorch(backend, dtype, optimizer):
    net, batches = make(backend, dtype, optimizer), make_batches(dtype)
    expected = steps_in_torch(net, optimizer, batches)
    for x, y in batches:
        net.train_on_batch(x, y)
    check(net.parameters, expected, dtype)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_a_run_of_fit_makes_the_steps_of_pytorch(backend, dtype, optimizer):
    net, batches = make(backend, dtype, optimizer), make_batches(dtype)
    expected = steps_in_torch(net, optimizer, batches)
    x, y = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    net.fit(x, y, epochs=1, batch_size=12, shuffle=False)
    check(net.parameters, expected, dtype)


def test_options_change_the_steps():
    """Guards the tests above: the options that they try are seen in the result."""
    batches, results = make_batches(np.dtype(np.float64)), []
    for optimizer in OPTIMIZERS:
        net = make("numpy", np.dtype(np.float64), optimizer)
        for x, y in batches:
            net.train_on_batch(x, y)
        results.append(net.parameters)
    for k, one in enumerate(results):
        for other in results[:k]:
            assert np.abs(one - other).max() > 1e-4


def test_rprop_decays_as_if_the_decay_were_in_the_gradient(backend):
    """PyTorch's Rprop has no weight decay; half of its square in the loss is the same."""
    dtype = np.dtype(np.float64)
    net, batches = make(backend, dtype, pn.Rprop(1e-3, weight_decay=0.5)), make_batches(dtype)
    parameters, loss = twin_of(net, dtype)
    theirs = torch.optim.Rprop(parameters, lr=1e-3)
    for x, y in batches:
        theirs.zero_grad()
        (loss(x, y) + 0.25 * sum((parameter**2).sum() for parameter in parameters)).backward()
        theirs.step()
        net.train_on_batch(x, y)
    check(net.parameters, np.concatenate([p.detach().numpy().ravel() for p in parameters]), dtype)


def test_defaults_are_those_of_pytorch():
    for kind in pn.optimizers.OPTIMIZERS.values():
        theirs = getattr(torch.optim, kind.__name__)([torch.zeros(1)]).defaults
        for name, value in our_names(kind()).items():
            if name != "weight_decay" or kind is not pn.Rprop:  # which torch's has not
                assert theirs[name] == (0.001 if kind is pn.SGD and name == "lr" else value), (kind, name)
