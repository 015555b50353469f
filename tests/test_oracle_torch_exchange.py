"""Networks to PyTorch and back: predictions, gradients by its autograd, and what is refused."""

import collections
import copy
import pickle
import re

import numpy as np
import pytest

import plainnet as pn
from plainnet.activations import ACTIVATIONS
from plainnet.exchange import torch as exchange

import pages
from random_networks import N_NETWORKS, data_for, random_network

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'plainnet[torch]'")
nn = torch.nn
prune = pytest.importorskip("torch.nn.utils.prune")

#: Of the largest value that is compared.
TOLERANCE = {"float64": 1e-12, "float32": 2e-6}


def loss_and_gradient(module, x, y):
    """The loss, mean squared error or after a Softmax cross entropy, and its gradient in a network's order."""
    module.zero_grad()
    outputs, y = module(torch.tensor(x)), torch.tensor(y)
    if isinstance(module[-1], nn.Softmax):
        loss = -(y * outputs.log()).sum(dim=1).mean()
    else:
        loss = nn.functional.mse_loss(outputs, y)
    loss.backward()
    return loss.item(), np.concatenate([p.grad.numpy().T.ravel() for p in module.parameters()])


def check_agrees(net, module, x, y):
    tolerance = TOLERANCE[net.dtype.name]
    for ours in net, net.copy(backend="numpy"):
        expected = module(torch.tensor(x)).detach().numpy()
        found = ours.predict(x)
        assert found.dtype == expected.dtype
        assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()
        loss, gradient = loss_and_gradient(module, x, y)
        our_loss, our_gradient = ours.loss_and_gradient(x, y)
        assert our_loss == pytest.approx(loss, rel=tolerance)
        assert np.abs(our_gradient - gradient).max() <= tolerance * np.abs(gradient).max()


# ---- The same networks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(N_NETWORKS))
def test_random_network_agrees_in_pytorch_and_comes_back_as_it_was(seed):
    net = random_network(seed)
    x, y = data_for(net, seed)
    module = net.to_torch()
    check_agrees(net, module, x, y)
    back = pn.from_torch(module, loss=net.loss)
    assert repr(back) == repr(net)
    np.testing.assert_array_equal(back.parameters, net.parameters)


def test_every_activation_has_its_module():
    assert list(exchange._MODULES) == list(ACTIVATIONS)


def test_random_networks_cover_what_they_are_to_cover():
    """Guards the test above."""
    nets = [random_network(seed) for seed in range(N_NETWORKS)]
    layers = [layer for net in nets for layer in net.layers]
    assert {layer.activation for layer in layers} == set(ACTIVATIONS)
    assert {net.layers[-1].activation for net in nets} == set(ACTIVATIONS)
    assert {len(net.layers) for net in nets} == {1, 2, 3, 4, 5}
    assert {layer.has_bias for layer in layers} == {True, False}
    assert sum(layer.dropout > 0 for layer in layers) > 50


@pytest.mark.parametrize("last", [nn.Identity, nn.Sigmoid, nn.Softplus, lambda: nn.Softmax(dim=-1)])
def test_module_made_in_pytorch_agrees_when_it_is_taken_over(dtype, last):
    torch_dtype = getattr(torch, dtype.name)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        module = nn.Sequential(
            nn.Flatten(), nn.Linear(6, 8), nn.GELU(), nn.Dropout(0.25),
            nn.Sequential(nn.Linear(8, 5, bias=False), nn.Sequential(nn.Identity(), nn.LeakyReLU(inplace=True))),
            nn.Linear(5, 7), nn.Dropout(0.5), nn.Dropout(0), nn.Linear(7, 3), last(),
        ).to(torch_dtype).eval()  # fmt: skip
    loss = "cross_entropy" if isinstance(module[-1], nn.Softmax) else "mean_squared_error"
    net = pn.from_torch(module, loss)
    assert [(layer.activation, layer.has_bias, layer.dropout) for layer in net.layers[:3]] == [
        ("gelu", True, 0.25), ("leaky_relu", False, 0.0), ("identity", True, 0.5)
    ]  # fmt: skip
    check_agrees(net, module, *data_for(net, 0))


@pytest.mark.parametrize(
    ("last", "loss"),
    [(nn.Softmax(dim=1), "cross_entropy"), (nn.Sigmoid(), "log_loss"), (nn.Tanh(), "mean_squared_error")],
)
def test_default_loss_follows_from_the_last_activation(last, loss):
    assert pn.from_torch(nn.Sequential(nn.Linear(2, 3), last)).loss == loss


def test_loss_and_seed_are_those_that_are_given():
    module = nn.Sequential(nn.Linear(2, 9), nn.Dropout(0.5), nn.Linear(9, 1))
    x = np.random.default_rng(0).normal(size=(8, 2))
    runs = [pn.from_torch(module, pn.Huber(0.5), seed=seed) for seed in (3, 3, 4)]
    for net in runs:
        assert net.loss == pn.Huber(0.5)
        net.fit(x, x[:, 0], epochs=2, batch_size=3)
    np.testing.assert_array_equal(runs[0].parameters, runs[1].parameters)
    assert np.abs(runs[0].parameters - runs[2].parameters).max() > 0


def test_softmax_that_is_appended_is_trained_with_the_loss_of_logits():
    logits = nn.Sequential(nn.Linear(4, 3)).double()
    net = pn.from_torch(nn.Sequential(*logits, nn.Softmax(dim=1)))
    x, labels = np.random.default_rng(0).normal(size=(6, 4)), np.array([0, 1, 2, 2, 1, 0])
    loss = nn.functional.cross_entropy(net.to_torch()[:-1](torch.tensor(x)), torch.tensor(labels))
    assert net.evaluate(x, labels) == pytest.approx(loss.item(), rel=1e-12)


@pytest.mark.parametrize("threshold", [20, 25.0])
def test_softplus_of_pytorch_differs_beyond_its_threshold_by_what_is_said(threshold):
    module = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Softplus(threshold=threshold)).double()
    nn.init.ones_(module[0].weight)
    x = np.linspace(-30, 60, 1001)[:, None]
    difference = pn.from_torch(module).predict(x) - module(torch.tensor(x)).detach().numpy()
    assert difference.min() > -1e-14
    assert difference.max() < 2.1e-9
    exact = pn.from_torch(module).to_torch()(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(exact, pn.from_torch(module).predict(x), rtol=1e-14, atol=1e-16)


# ---- Copies and state ------------------------------------------------------------------------------------------------


def test_parameters_are_copies_in_both_directions():
    net = pn.Network([pn.Dense(2, 3, "tanh"), pn.Dense(3, 1)], seed=0)
    before, module = net.parameters.copy(), net.to_torch()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 1
    np.testing.assert_array_equal(net.parameters, before)
    taken = pn.from_torch(module)
    taken.parameters = taken.parameters * 2
    np.testing.assert_array_equal(pn.from_torch(module).parameters, taken.parameters / 2)


def test_module_is_in_evaluation_mode_and_drops_outputs_in_the_other():
    net = pn.Network([pn.Dense(2, 50, "tanh", dropout=0.5), pn.Dense(50, 1)], seed=0)
    module, x = net.to_torch(), torch.ones(3, 2, dtype=torch.float64)
    assert not module.training
    assert module[2].p == 0.5
    assert torch.equal(module(x), module(x))
    with torch.random.fork_rng():
        assert not torch.equal(module.train()(x), module(x))


def test_module_can_be_trained_copied_and_pickled():
    net = pn.Network([pn.Dense(2, 3, "silu"), pn.Dense(3, 1)], seed=0)
    x, y = np.random.default_rng(0).normal(size=(5, 2)), np.ones((5, 1))
    module = net.to_torch()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    loss_and_gradient(module, x, y)
    optimizer.step()
    net.fit(x, y, epochs=1, learning_rate=0.1)
    for twin in module, copy.deepcopy(module), pickle.loads(pickle.dumps(module)):
        np.testing.assert_allclose(pn.from_torch(twin).parameters, net.parameters, rtol=0, atol=1e-14)


def test_random_numbers_and_default_dtype_of_pytorch_are_left_alone():
    state, default = torch.get_rng_state(), torch.get_default_dtype()
    net = pn.Network([pn.Dense(2, 3, "tanh", dropout=0.1), pn.Dense(3, 1, bias=False)], seed=0)
    pn.from_torch(net.to_torch())
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_default_dtype() == default


def test_read_only_parameters_are_copied_without_a_warning():
    net = pn.Network([pn.Dense(2, 1)], seed=0)
    net.parameters.flags.writeable = False
    net.layers[0].weight.flags.writeable = False
    np.testing.assert_array_equal(pn.from_torch(net.to_torch()).parameters, net.parameters)


def test_options_that_a_module_cannot_hold_are_named_in_a_warning():
    layers = [pn.Dense(2, 3, "tanh", l1=0.5, dropout=0.2, max_norm=2), pn.Dense(3, 1, l2=0.25, bias_rate=0)]
    net = pn.Network(layers, seed=0)
    names = "layers[0].l1=0.5, layers[0].max_norm=2.0, layers[1].l2=0.25, layers[1].bias_rate=0.0"
    with pytest.warns(UserWarning, match=re.escape(f"no place for {names}:")) as caught:
        module = net.to_torch()
    assert caught[0].filename == __file__
    x = np.ones((1, 2))
    np.testing.assert_allclose(module(torch.tensor(x)).detach().numpy(), net.predict(x), rtol=1e-14)


def test_frozen_parameters_are_taken_over_and_trained():
    module = nn.Sequential(nn.Linear(2, 1)).double().requires_grad_(False)
    net = pn.from_torch(module)
    before = net.parameters.copy()
    net.fit([[1, 2]], [[9]], epochs=1)
    assert (net.parameters != before).all()


def test_tensors_in_any_order_in_memory_are_read():
    module = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2, bias=False)).double()
    numbers = torch.arange(12.0, dtype=torch.float64).reshape(3, 4)
    module[0].weight = nn.Parameter(numbers[:, ::2].T)
    module[1].weight = nn.Parameter(torch.complex(numbers, numbers).conj().imag[:2, :2])  # marked as to be negated
    assert module[1].weight.is_neg()
    net = pn.from_torch(module)
    np.testing.assert_array_equal(net.layers[0].weight, numbers[:, ::2])
    np.testing.assert_array_equal(net.layers[1].weight, -numbers[:2, :2].T)


def test_sequences_are_entered_to_any_depth():
    module = nn.Sequential(nn.Linear(2, 3), nn.Sequential())
    for _ in range(2000):
        module = nn.Sequential(module)
    assert pn.from_torch(module).layers[0].n_out == 3


def test_activations_can_be_shared():
    relu = nn.Sequential(nn.ReLU())
    net = pn.from_torch(nn.Sequential(nn.Linear(2, 3), relu, nn.Linear(3, 1), relu))
    assert [layer.activation for layer in net.layers] == ["relu", "relu"]


def test_modules_that_a_leaf_holds_are_no_part_of_what_it_computes():
    relu = nn.ReLU()
    relu.add_module("unused", nn.Linear(7, 7))
    assert len(pn.from_torch(nn.Sequential(nn.Linear(2, 3), relu)).layers) == 1


# ---- What is refused -------------------------------------------------------------------------------------------------


class Doubled(nn.Sequential):
    def forward(self, x):
        return 2 * super().forward(x)


class Linear(nn.Linear):
    pass


def hooked(module):
    module.register_forward_hook(lambda *_: None)
    return module


def with_weight(weight):
    module = nn.Linear(2, 3)
    module.weight = nn.Parameter(weight)
    return module


def without_weight():
    module = nn.Linear(2, 2)
    module.weight = None
    return module


LINEAR = nn.Linear(2, 2)
SHARED = nn.Linear(2, 2)
SHARED.weight = LINEAR.weight

WRONG_ACTIVATIONS = {
    "PReLU": (nn.PReLU(), TypeError, "no such module"),
    "LogSoftmax": (nn.LogSoftmax(dim=1), TypeError, "no such module"),
    "BatchNorm1d": (nn.BatchNorm1d(2), TypeError, "allowed are Linear, Dropout, Flatten, Identity, ELU, GELU"),
    "Conv1d": (nn.Conv1d(2, 2, 1), TypeError, "no such module"),
    "AlphaDropout": (nn.AlphaDropout(), TypeError, "no such module"),
    "slope": (nn.LeakyReLU(0.2), ValueError, "its settings must be negative_slope=0.01"),
    "alpha": (nn.ELU(0.5), ValueError, "its settings must be alpha=1.0"),
    "beta": (nn.Softplus(beta=2), ValueError, "its settings must be beta=1.0, threshold=20 or more"),
    "threshold": (nn.Softplus(threshold=5), ValueError, "its settings must be beta=1.0, threshold=20 or more"),
    "dim": (nn.Softmax(dim=0), ValueError, "its settings must be dim=1 or -1"),
    "no dim": (nn.Softmax(), ValueError, "its settings must be dim=1 or -1"),
    "Flatten": (nn.Flatten(0), ValueError, "start_dim must be 1 and end_dim -1"),
    "p": (nn.Dropout(1.0), ValueError, "p must be at least 0 and below 1"),
    "hook": (hooked(nn.ReLU()), ValueError, "it has forward hooks"),
    "container": (Doubled(nn.ReLU()), TypeError, "it has a forward function of its own"),
}


@pytest.mark.parametrize("name", WRONG_ACTIVATIONS)
def test_module_that_a_network_cannot_have_is_named_with_its_position(name):
    module, error, message = WRONG_ACTIVATIONS[name]
    nested = nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(2, 2), module))
    shown = re.escape(type(module).__name__)
    with pytest.raises(error, match=rf"^module '1\.1', at position 2, {shown}\(.*: .*{re.escape(message)}"):
        pn.from_torch(nested)


@pytest.mark.parametrize(
    ("modules", "position", "message"),
    [
        ([nn.ReLU(), nn.Linear(2, 2)], 0, "a network begins with a Linear"),
        ([nn.Dropout(0.5), nn.Linear(2, 2)], 0, "a network begins with a Linear"),
        ([nn.Linear(2, 2), nn.ReLU(), nn.Tanh()], 2, "the Linear before it has an activation already, relu"),
        ([nn.Linear(2, 2), nn.Dropout(), nn.ReLU(), nn.Linear(2, 2)], 2, "comes before the Dropout"),
        ([nn.Linear(2, 2), nn.Dropout(), nn.Dropout(), nn.Linear(2, 2)], 2, "has a Dropout already"),
        ([nn.Linear(2, 2), nn.ReLU(), nn.Dropout()], 2, "this drops the network's outputs"),
        ([nn.Linear(2, 2), nn.Softmax(dim=1), nn.Linear(2, 2)], 2, "a Softmax comes before it"),
        ([nn.Linear(2, 3), nn.Linear(2, 2)], 1, "it takes 2 inputs, and what comes before it returns 3"),
        ([nn.Linear(2, 2), nn.Linear(2, 2).double()], 1, "its weight is of torch.float64"),
        ([nn.Linear(2, 2).half()], 0, "its weight is of torch.float16; parameters must all be torch.float32"),
        ([LINEAR, nn.ReLU(), LINEAR], 2, "its weight is that of module '0'"),
        ([LINEAR, nn.ReLU(), SHARED], 2, "its weight is that of module '0'"),
        ([nn.Linear(2, 2, device="meta")], 0, "must be a dense tensor with numbers, not of device meta"),
        ([with_weight(torch.full((3, 2), torch.nan))], 0, "its weight holds NaN or infinity"),
        ([with_weight(torch.ones(3, 1))], 0, r"its weight has shape (3, 1); it must be (3, 2)"),
        ([nn.Linear(2, 2), with_weight(torch.ones(3, 2)), nn.LazyLinear(2)], 2, "a network has no such module"),
        ([Linear(2, 2)], 0, "a network has no such module"),
        ([torch.nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))], 0, "its weight has parametrizations"),
        (
            [torch.nn.utils.parametrizations.spectral_norm(nn.Linear(2, 2))],
            0,
            "call torch.nn.utils.parametrize.remove_parametrizations(module, 'weight') first",
        ),
        ([prune.random_unstructured(nn.Linear(2, 2), "weight", 1)], 0, "it has forward hooks"),
        ([nn.Linear(2, 2, dtype=torch.complex64)], 0, "its weight is of torch.complex64; parameters must all be"),
        ([nn.Linear(2, 2, dtype=torch.bfloat16)], 0, "or all float64: call sequential.float() or sequential.double()"),
        ([with_weight(torch.ones(3, 2).to_sparse())], 0, "must be a dense tensor with numbers, not of device cpu"),
        ([without_weight()], 0, "its weight is None; it must be a tensor"),
        ([nn.Linear(2, 2), None], 1, "None: a network has no such module"),
    ],
)  # fmt: skip
def test_modules_that_do_not_make_a_network_are_refused_at_their_position(modules, position, message):
    with pytest.raises((ValueError, TypeError), match=rf"^module '{position}', at position {position}, .*: ") as caught:
        pn.from_torch(nn.Sequential(collections.OrderedDict((str(k), module) for k, module in enumerate(modules))))
    assert message in str(caught.value)


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize("shape", [(0, 2), (2, 0)])
def test_linear_without_inputs_or_outputs_is_refused(shape):
    with pytest.raises(ValueError, match="with no side of 0"):
        pn.from_torch(nn.Sequential(nn.Linear(*shape)))


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (nn.Linear(2, 2), TypeError, r"not Linear; wrap it: torch.nn.Sequential\(module\)"),
        ([nn.Linear(2, 2)], TypeError, "sequential must be a torch.nn.Sequential, not list"),
        (None, TypeError, "not NoneType"),
        (nn.Sequential(), ValueError, "holds no Linear"),
        (nn.Sequential(nn.Flatten(), nn.Sequential()), ValueError, "holds no Linear"),
        (Doubled(nn.Linear(2, 2)), TypeError, "^sequential: it has a forward function of its own"),
        (hooked(nn.Sequential(nn.Linear(2, 2))), ValueError, "^sequential: it has forward hooks"),
    ],
)
def test_what_is_no_sequence_of_modules_is_refused(value, error, message):
    with pytest.raises(error, match=message):
        pn.from_torch(value)


@pytest.mark.parametrize("depth", [0, 1, 5])
def test_sequence_that_holds_itself_is_refused(depth):
    around = inner = nn.Sequential(nn.Linear(2, 2))
    for _ in range(depth):
        around = nn.Sequential(around)
    inner.append(around)
    name = ".".join([*["0"] * depth, "1"])
    with pytest.raises(ValueError, match=f"^module '{name}', at position 1, is a Sequential that holds itself$"):
        pn.from_torch(around)


def test_linear_that_is_met_very_often_is_refused_at_once():
    module = nn.Sequential(nn.Linear(2, 2))
    for _ in range(60):
        module = nn.Sequential(module, module)
    with pytest.raises(ValueError, match=r"at position 1, .* layers of a network share no parameters"):
        pn.from_torch(module)


def test_module_that_is_compiled_is_named():
    class Compiled(nn.Module):  # as torch.compile returns, which needs a compiler to be called
        def __init__(self, module):
            super().__init__()
            self._orig_mod = module

    with pytest.raises(TypeError, match=r"not Compiled; pass the module that torch\.compile was called with"):
        pn.from_torch(Compiled(nn.Sequential(nn.Linear(2, 2))))


def test_loss_that_does_not_go_with_the_last_activation_is_refused():
    with pytest.raises(ValueError, match='cross_entropy needs "softmax" as the last layer'):
        pn.from_torch(nn.Sequential(nn.Linear(2, 3)), "cross_entropy")


def test_names_of_modules_are_those_of_the_user():
    module = nn.Sequential()
    module.add_module("body", nn.Sequential(nn.Linear(2, 2)))
    module.add_module("norm", nn.LayerNorm(2))
    with pytest.raises(TypeError, match=r"^module 'norm', at position 1, LayerNorm\("):
        pn.from_torch(module)


def test_page_on_pytorch_is_right(capsys):
    """docs/how_to/pytorch_onnx.md, whose part on PyTorch does not run when the page is built."""
    net = pn.Network([pn.Dense(4, 32, "gelu"), pn.Dense(32, 1)], seed=0)
    x = np.random.default_rng(0).normal(size=(1000, 4))
    exec(pages.block("how_to/pytorch_onnx.md", "python", after="torch"), {"net": net, "x": x, "np": np, "pn": pn})
    difference, same = capsys.readouterr().out.split()
    assert float(difference) < 1e-14
    assert same == "True"
