"""What a network minimises, beyond the loss of its rows: loss_limit and divide_penalty."""

import copy
import pickle

import numpy as np
import pytest

import plainnet as pn

rng = np.random.default_rng(4)
N = 37
X = rng.normal(size=(N, 4)) * 3
LABELS = rng.integers(0, 3, N)
WEIGHT = np.r_[0.0, rng.random(N - 1)]

#: Of each: the last layer, the targets, and the mean over outputs.
LOSSES = {
    "cross_entropy": (3, "softmax", LABELS, 1),
    "log_loss": (2, "sigmoid", rng.integers(0, 2, (N, 2)), 1),
    "mean_squared_error": (2, "identity", rng.normal(size=(N, 2)), 2),
    "huber": (2, "tanh", rng.normal(size=(N, 2)), 2),
    "poisson": (2, "tanh", rng.integers(0, 5, (N, 2)), 2),
}
WITH_EACH_LOSS = pytest.mark.parametrize("loss", LOSSES)
WEIGHTED = pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])


def network(backend, loss, dtype="float64", penalty=False, optimizer=pn.SGD(0.1), **options):
    n_out, last, _, _ = LOSSES[loss]
    layers = [pn.Dense(4, 6, "tanh", l2=0.3 * penalty, l1=0.1 * penalty), pn.Dense(6, n_out, last, l2=0.2 * penalty)]
    return pn.Network(layers, loss, seed=1, backend=backend, dtype=dtype, optimizer=optimizer, **options)


def terms(net, loss):
    """The losses of single outputs or, with cross entropy, of rows, each (n_samples, n_terms)."""
    _, _, y, _ = LOSSES[loss]
    a = net.predict(X).astype(float)
    return {
        "cross_entropy": lambda: -np.log(a[np.arange(N), y])[:, np.newaxis],
        "log_loss": lambda: -y * np.log(a) - (1 - y) * np.log(1 - a),
        "mean_squared_error": lambda: (a - y) ** 2,
        "huber": lambda: np.where(abs(a - y) <= 1, (a - y) ** 2 / 2, abs(a - y) - 0.5),
        "poisson": lambda: np.exp(a) - y * a,
    }[loss]()


# ---- loss_limit ------------------------------------------------------------------------------------------------------


@WITH_EACH_LOSS
@WEIGHTED
def test_losses_above_the_limit_count_as_the_limit(backend, dtype, loss, weight):
    net = network(backend, loss, dtype)
    values, w = terms(net, loss), np.ones(N) if weight is None else weight
    limit = float(np.median(values))
    limited = network(backend, loss, dtype, loss_limit=limit)
    expected = (w[:, np.newaxis] * np.minimum(values, limit)).sum() / w.sum() / LOSSES[loss][3]
    found = limited.evaluate(X, LOSSES[loss][2], weight)
    np.testing.assert_allclose(found, expected, rtol=1e-12 if dtype == "float64" else 1e-5)
    assert found < 0.95 * net.evaluate(X, LOSSES[loss][2], weight)


@WITH_EACH_LOSS
@WEIGHTED
def test_limit_changes_no_gradient_and_no_step(backend, dtype, loss, weight):
    _, _, y, _ = LOSSES[loss]
    plain, limited = network(backend, loss, dtype), network(backend, loss, dtype, loss_limit=0.1)
    gradients = [net.loss_and_gradient(X, y, weight) for net in (plain, limited)]
    np.testing.assert_array_equal(gradients[0][1], gradients[1][1])
    assert gradients[0][0] > gradients[1][0] == limited.evaluate(X, y, weight)
    histories = [net.fit(X, y, 3, batch_size=8, sample_weight=weight) for net in (plain, limited)]
    np.testing.assert_array_equal(plain.parameters, limited.parameters)
    assert (histories[0].loss > histories[1].loss).all()


def test_limit_above_all_losses_changes_no_bit(backend, dtype):
    for loss, (_, _, y, _) in LOSSES.items():
        plain, limited = network(backend, loss, dtype), network(backend, loss, dtype, loss_limit=1e6)
        assert plain.evaluate(X, y) == limited.evaluate(X, y)


def test_limit_holds_where_a_tiny_network_has_a_path_of_its_own(backend):
    """Full-batch gradient descent of XOR."""
    x, y = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0.0], [1], [1], [0]])
    layers = [pn.Dense(2, 3, "tanh"), pn.Dense(3, 1, "sigmoid")]
    nets = [pn.Network(layers, "log_loss", seed=0, backend=backend, loss_limit=limit) for limit in (None, 0.5)]
    losses = [net.fit(x, y, 20).loss for net in nets]
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)
    assert (losses[1] <= 0.5).all()
    assert (losses[0] > losses[1]).all()


def test_limit_hides_no_divergence(backend, dtype):
    """A parameter that is NaN is none that a limit makes finite."""
    net = network(backend, "mean_squared_error", dtype, loss_limit=1.0)
    net.layers[0].weight[0, 0] = np.nan
    assert np.isnan(net.evaluate(X, LOSSES["mean_squared_error"][2]))
    with pytest.raises(pn.DivergedError):
        net.fit(X, LOSSES["mean_squared_error"][2])


# ---- divide_penalty --------------------------------------------------------------------------------------------------


def penalty(net):
    sizes = [(layer, abs(layer.weight).astype("float64")) for layer in net.layers]
    return sum(layer.l1 * size.sum() + layer.l2 / 2 * (size**2).sum() for layer, size in sizes)


@WITH_EACH_LOSS
@WEIGHTED
def test_penalty_is_divided_by_the_rows(backend, dtype, loss, weight):
    _, _, y, _ = LOSSES[loss]
    divided, none = network(backend, loss, dtype, True, divide_penalty=True), network(backend, loss, dtype)
    rows = N if weight is None else weight.sum()
    expected = none.evaluate(X, y, weight) + penalty(divided) / rows
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(divided.evaluate(X, y, weight), expected, rtol=tolerance)
    value, gradient = divided.loss_and_gradient(X, y, weight)
    assert value == divided.evaluate(X, y, weight)
    whole = network(backend, loss, dtype, True)
    of_penalty = whole.loss_and_gradient(X, y, weight)[1] - none.loss_and_gradient(X, y, weight)[1]
    expected = none.loss_and_gradient(X, y, weight)[1] + of_penalty / rows
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=10 * tolerance)


@WITH_EACH_LOSS
@WEIGHTED
def test_each_step_divides_the_penalty_by_its_own_rows(backend, loss, weight):
    """Of which the last one has fewer: the same steps as with a penalty that is chosen for each."""
    _, _, y, _ = LOSSES[loss]
    divided, total = network(backend, loss, penalty=True, divide_penalty=True), 0.0
    twin = network(backend, loss)
    history = divided.fit(X, y, batch_size=10, shuffle=False, sample_weight=weight)
    for start in range(0, N, 10):
        rows = slice(start, start + 10)
        w = None if weight is None else weight[rows]
        share = len(X[rows]) if w is None else w.sum()
        penalised = pn.Network(
            [pn.Dense(*shape, l1=l1 / share, l2=l2 / share) for shape, l1, l2 in zip(
                [(layer.n_in, layer.n_out, layer.activation) for layer in twin.layers],
                (0.1, 0.0), (0.3, 0.2), strict=True,
            )],
            loss, init=twin.parameters, backend=backend,
        )  # fmt: skip
        total += share * penalised.train_on_batch(X[rows], y[rows], sample_weight=w)
        twin.parameters = penalised.parameters
    np.testing.assert_allclose(divided.parameters, twin.parameters, rtol=0, atol=1e-13)
    np.testing.assert_allclose(history.loss, total / (N if weight is None else weight.sum()), rtol=1e-12)


def test_mini_batch_of_weight_0_has_no_penalty(backend):
    net = network(backend, "huber", penalty=True, divide_penalty=True)
    before = net.parameters.copy()
    weight = np.r_[np.zeros(10), np.ones(N - 10)]
    net.fit(X, LOSSES["huber"][2], batch_size=10, shuffle=False, sample_weight=weight)
    after_all = net.parameters.copy()
    net.parameters = before
    net.fit(X[10:], LOSSES["huber"][2][10:], batch_size=10, shuffle=False)
    np.testing.assert_allclose(net.parameters, after_all, rtol=0, atol=1e-13)


@pytest.mark.parametrize("loss", ["cross_entropy", "sum_of_squares", "mean_squared_error"])
@WEIGHTED
def test_validation_loss_of_large_data_has_the_penalty_once(backend, loss, weight, monkeypatch):
    data = rng.integers(0, 3, (300, 4)).astype(np.uint8)
    n_out, last = (3, "softmax") if loss == "cross_entropy" else (2, "identity")
    y = rng.integers(0, 3, 300) if loss == "cross_entropy" else rng.random((300, 2))
    w = None if weight is None else rng.random(300)
    net = pn.Network(
        [pn.Dense(4, 6, "tanh", l2=0.5), pn.Dense(6, n_out, last, l1=0.1)], loss, seed=1, backend=backend,
        divide_penalty=True,
    )  # fmt: skip
    validation = (data, y) if w is None else (data, y, w)
    monkeypatch.setattr("plainnet.network.LARGE_BYTES", 100)
    monkeypatch.setattr("plainnet.streaming.PART_BYTES", 2000)
    history = net.fit(X, (LABELS if loss == "cross_entropy" else rng.random((N, 2))), validation=validation)
    np.testing.assert_allclose(history.validation_loss[0], net.evaluate(data.astype(float), y, w), rtol=1e-12)


@WITH_EACH_LOSS
def test_gradient_with_a_divided_penalty_agrees_with_differences(backend, loss):
    net = network(backend, loss, penalty=True, divide_penalty=True)
    assert pn.check_gradient(net, X, LOSSES[loss][2]).agree


# ---- Both ------------------------------------------------------------------------------------------------------------


def test_copies_pickles_and_files_keep_the_objective(backend, tmp_path):
    net = network(backend, "huber", penalty=True, loss_limit=0.25, divide_penalty=True, optimizer=pn.Adam(eps_hat=True))
    y = LOSSES["huber"][2]
    net.fit(X, y)
    for training in (False, True):
        net.save(tmp_path / f"{training}.safetensors", training=training)
    twins = [
        net.copy(), copy.deepcopy(net), pickle.loads(pickle.dumps(net)),
        *(pn.load(tmp_path / f"{training}.safetensors", backend=backend) for training in (False, True)),
    ]  # fmt: skip
    for twin in twins:
        assert (twin.loss_limit, twin.divide_penalty) == (0.25, True)
        assert twin.evaluate(X, y) == net.evaluate(X, y)
    assert twins[-1].optimizer == net.optimizer
    assert net.fold(input_mean=1.0).loss_limit == 0.25


def test_objective_is_shown():
    net = network("c", "huber", loss_limit=0.25, divide_penalty=True)
    assert repr(net).endswith("loss='huber', dtype='float64', backend='c', loss_limit=0.25, divide_penalty=True)")
    assert repr(network("c", "huber")).endswith("backend='c')")


def test_state_of_a_version_without_objectives_is_read(backend):
    net = network(backend, "huber")
    state = net.__getstate__()
    del state["loss_limit"], state["divide_penalty"]
    twin = network(backend, "huber", loss_limit=1.0)
    twin.__setstate__(state)
    assert (twin.loss_limit, twin.divide_penalty) == (None, False)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"loss_limit": 0}, ValueError, "loss_limit must be finite and above 0, not 0"),
        ({"loss_limit": -1.0}, ValueError, "loss_limit must be finite and above 0"),
        ({"loss_limit": float("nan")}, ValueError, "loss_limit must be finite and above 0"),
        ({"loss_limit": "1"}, TypeError, "loss_limit must be a number, not '1'"),
        ({"loss_limit": 1e300, "dtype": "float32"}, ValueError, "above 0 in float32"),
        ({"divide_penalty": 1}, TypeError, "divide_penalty must be True or False, not 1"),
    ],
)
def test_wrong_objective_is_refused(backend, options, error, message):
    with pytest.raises(error, match=message):
        network(backend, "huber", **options)
