"""Network.minimize: Levenberg-Marquardt, Bayesian regularisation, L-BFGS; how runs end, and what is refused."""

import math
import os
import pickle
import re
import signal
import sys
import threading
import time

import numpy as np
import pytest

import plainnet as pn
from plainnet.losses import LOSSES
from plainnet.solvers import memory
from plainnet.solvers.levenberg_marquardt import _step
from plainnet.solvers.minimize import Minimization
from plainnet.solvers.objective import Objective
from plainnet.training import Data

from interruption import fit_interrupted
from test_threads_fork import fork

LM = "levenberg-marquardt"


@pytest.fixture(params=[LM, "lbfgs"])
def method(request):
    if request.param == "lbfgs":
        pytest.importorskip("scipy", reason="L-BFGS is SciPy's")
    return request.param


def make(backend, sizes=(2, 5, 1), loss="mean_squared_error", seed=0, **arguments):
    layers = [pn.Dense(*sizes[:2], "tanh"), pn.Dense(*sizes[1:])]
    return pn.Network(layers, loss, seed=seed, backend=backend, **arguments)


def linear(backend, n_in=3, n_out=2, loss="mean_squared_error", **arguments):
    return pn.Network([pn.Dense(n_in, n_out)], loss, seed=0, backend=backend, **arguments)


def data(n_rows=60, n_in=2, n_out=1, noise=0.1, seed=1):
    """A smooth function, and noise that no network can fit."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_rows, n_in))
    y = np.stack([np.sin((k + 1) * x[:, 0]) + x[:, -1] ** 2 / 2 for k in range(n_out)], axis=1)
    return x, y + rng.normal(0, noise, y.shape)


def teacher_data(backend, n_rows=80):
    """What a network of a single neuron makes of the inputs, and noise."""
    x, _ = data(n_rows)
    y = make(backend, (2, 1, 1), seed=100).predict(x)
    return x, y + np.random.default_rng(5).normal(0, 0.05, y.shape)


def least_squares(x, y, weight=None):
    """Of a linear network: the weight and the bias, flat."""
    root = np.ones(len(x)) if weight is None else np.sqrt(weight)
    columns = np.column_stack([x, np.ones(len(x))])
    return np.linalg.lstsq(columns * root[:, None], y * root[:, None], rcond=None)[0].ravel()


# ---- Where runs lead -------------------------------------------------------------------------------------------------


def test_backends_take_the_same_way(c_backend):
    """Rounding grows from step to step: 1e-6 is more than it makes of 1e-16 in 15 iterations."""
    x, y = data(n_out=2)
    net = make("numpy", (2, 6, 2))
    results = [network.minimize(x, y, max_iterations=15) for network in (net.copy(), net.copy(backend=c_backend))]
    np.testing.assert_allclose(results[0].history.loss, results[1].history.loss, rtol=1e-6)
    assert results[0].n_iterations == results[1].n_iterations == 15


@pytest.mark.parametrize("loss", ["sum_of_squares", "mean_squared_error"])
def test_linear_least_squares_are_solved_in_a_few_iterations(backend, loss):
    x, y = data(n_in=3, n_out=2)
    net = linear(backend, loss=loss)
    result = net.minimize(x, y)
    assert result.converged
    assert result.n_iterations <= 8
    np.testing.assert_allclose(net.parameters, least_squares(x, y), rtol=1e-8, atol=1e-10)
    assert result.loss == net.evaluate(x, y)


def test_levenberg_marquardt_reaches_the_loss_of_minpack_from_twenty_starts(backend):
    """
    Another algorithm goes another way, and from the same start it may come to another local minimum: with two neurons
    here, from 6 of 20 starts. With one neuron, whose data another network of this kind has made, both come to the
    same one from every start; none is left out.
    """
    optimize = pytest.importorskip("scipy.optimize")
    x, y = teacher_data(backend)
    losses = []
    for seed in range(20):
        net = make(backend, (2, 1, 1), "sum_of_squares", seed)
        twin = net.copy()

        def residuals(parameters, twin=twin):
            twin.parameters[:] = parameters
            return (twin.predict(x) - y).ravel()

        def jacobian(parameters, twin=twin):
            twin.parameters[:] = parameters
            return twin.jacobian_parameters(x).reshape(len(x), -1)

        found = optimize.least_squares(
            residuals, twin.parameters.copy(), jacobian, method="lm", ftol=1e-15, xtol=1e-15, gtol=1e-15, max_nfev=5000
        )
        losses.append((net.minimize(x, y, max_iterations=2000).loss, 2 * found.cost))
    np.testing.assert_allclose(*np.transpose(losses), rtol=1e-8)


def test_every_iteration_lowers_the_loss(backend, method):
    x, y = data(n_out=2)
    net = make(backend, (2, 6, 2))
    start = net.evaluate(x, y)
    result = net.minimize(x, y, method, max_iterations=40)
    assert (np.diff(np.concatenate([[start], result.history.loss])) <= 0).all()
    assert len(result.history.loss) == result.n_iterations
    assert result.loss == pytest.approx(result.history.loss[-1], rel=1e-14)
    assert np.isnan(result.history.learning_rate).all()


def test_gradient_norm_is_that_of_the_network_at_the_end(backend, method):
    x, y = data()
    net = make(backend)
    for max_iterations in (0, 1, 7):
        result = net.minimize(x, y, method, max_iterations)
        assert result.gradient_norm == pytest.approx(np.abs(net.loss_and_gradient(x, y)[1]).max(), rel=1e-12)


def test_minimum_is_found_and_found_again(backend, method):
    x, y = teacher_data(backend)
    net = make(backend, (2, 1, 1))
    first = net.minimize(x, y, method, max_iterations=3000)
    assert first.converged
    assert np.abs(net.loss_and_gradient(x, y)[1]).max() < 1e-5
    again = net.minimize(x, y, method, max_iterations=3000)
    # L-BFGS knows nothing of the scale of the loss in its first step: if that gains nothing, it cannot tell a minimum.
    assert again.converged or (method == "lbfgs" and again.n_iterations <= 1)
    assert again.loss == pytest.approx(first.loss, rel=1e-9)
    assert again.loss <= first.loss


@pytest.mark.parametrize("kind", [LM, "lbfgs", "bayesian"])
def test_weight_2_is_a_row_twice_and_weight_0_a_row_less(backend, kind):
    if kind == "lbfgs":
        pytest.importorskip("scipy")
    x, y = data(n_in=3, n_out=2)
    weight = np.resize([1.0, 2.0, 0.0], len(x))
    y[weight == 0] = 1e6
    arguments = {"regularization": "bayesian"} if kind == "bayesian" else {"method": kind}
    net, twin = linear(backend), linear(backend)
    result = net.minimize(x, y, sample_weight=weight, **arguments)
    rows = np.repeat(np.arange(len(x)), weight.astype(int))
    expected = twin.minimize(x[rows], y[rows], **arguments)
    assert result.converged
    assert result.loss == pytest.approx(expected.loss, rel=1e-9)
    np.testing.assert_allclose(net.parameters, twin.parameters, rtol=1e-6, atol=1e-8)
    if kind == "bayesian":
        assert result.effective_parameters == pytest.approx(expected.effective_parameters, rel=1e-6)
    else:
        np.testing.assert_allclose(net.parameters, least_squares(x, y, weight), rtol=1e-6, atol=1e-7)


def test_frozen_layers_keep_their_bits(backend, dtype, method):
    x, y = data()
    layers = [pn.Dense(2, 5, "tanh", weight_rate=0), pn.Dense(5, 1, bias_rate=0)]
    net = pn.Network(layers, seed=0, dtype=dtype, backend=backend)
    net.parameters += net.dtype.type(0.1)
    before = net.copy()
    result = net.minimize(x, y, method)
    assert result.n_iterations > 2
    assert result.loss < before.evaluate(x, y)
    np.testing.assert_array_equal(net.layers[0].weight, before.layers[0].weight)
    np.testing.assert_array_equal(net.layers[1].bias, before.layers[1].bias)
    assert not np.array_equal(net.layers[0].bias, before.layers[0].bias)
    assert not np.array_equal(net.layers[1].weight, before.layers[1].weight)


def test_what_is_free_beside_frozen_layers_is_solved_exactly(backend):
    """With the first layer frozen it is linear least squares in the outputs of that layer."""
    x, y = data()
    layers = [pn.Dense(2, 5, "tanh", weight_rate=0, bias_rate=0), pn.Dense(5, 1)]
    net = pn.Network(layers, seed=0, backend=backend)
    hidden = np.tanh(x @ net.layers[0].weight + net.layers[0].bias)
    assert net.minimize(x, y).converged
    np.testing.assert_allclose(net.parameters[-6:], least_squares(hidden, y), rtol=1e-6, atol=1e-8)


def test_l2_is_ridge_regression(backend, method):
    """The gradient of mean (a - y)^2 + l2 / 2 weight^2 is 0 where (X^T X / n + l2 / 2 I) weight = X^T y / n."""
    x, y = data(n_in=3)
    net = pn.Network([pn.Dense(3, 1, bias=False, l2=0.7)], seed=0, backend=backend)
    assert net.minimize(x, y, method).converged
    expected = np.linalg.solve(x.T @ x / len(x) + 0.35 * np.eye(3), x.T @ y / len(x)).ravel()
    np.testing.assert_allclose(net.parameters, expected, rtol=1e-6)


def test_float32_networks_are_minimised_in_double_precision(backend, method):
    """They get the nearest float32 numbers of where a float64 network comes to, with the same float32 data."""
    x, y = (array.astype(np.float32) for array in data(n_in=3, n_out=2))
    net = linear(backend, dtype="float32")
    twin = pn.Network([pn.Dense(3, 2)], init=net.parameters.astype(float), dtype="float64", backend=backend)
    result, expected = net.minimize(x, y, method), twin.minimize(x, y, method)
    assert net.parameters.dtype == np.float32
    np.testing.assert_array_equal(net.parameters, twin.parameters.astype(np.float32))
    np.testing.assert_array_equal(result.history.loss, expected.history.loss)
    assert result.loss == net.evaluate(x, y) == pytest.approx(expected.loss, rel=1e-5)


def test_parameters_that_float32_cannot_hold_end_the_run(backend):
    x, y = np.full((4, 1), 1e-30, np.float32), np.full((4, 1), 1e30, np.float32)
    net = pn.Network([pn.Dense(1, 1, bias=False)], seed=0, dtype="float32", backend=backend)
    result = net.minimize(x, y, max_iterations=300, gradient_tolerance=0)
    assert not result.converged
    assert "parameters that float32 cannot hold" in result.message
    assert np.isfinite(net.parameters).all()


@pytest.mark.parametrize("name", LOSSES)
def test_lbfgs_takes_every_loss(backend, name):
    pytest.importorskip("scipy")
    x, y = data(60, n_out=3)
    last = {"log_loss": "sigmoid", "cross_entropy": "softmax"}.get(name, "identity")
    if name in ("log_loss", "cross_entropy", "poisson"):
        y = np.exp(y) / np.exp(y).sum(axis=1, keepdims=True)
    net = pn.Network([pn.Dense(2, 5, "tanh"), pn.Dense(5, 3, last, l1=1e-3)], name, seed=0, backend=backend)
    start = net.evaluate(x, y)
    result = net.minimize(x, y, "lbfgs", max_iterations=30)
    assert result.loss == net.evaluate(x, y)
    assert result.loss < start - 0.01


def test_lbfgs_takes_labels(backend):
    pytest.importorskip("scipy")
    x, _ = data()
    labels = (x[:, 0] > 0) * 1 + (x[:, 1] > 0)
    net = pn.Network([pn.Dense(2, 6, "tanh"), pn.Dense(6, 3, "softmax")], "cross_entropy", seed=0, backend=backend)
    result = net.minimize(x, labels, "lbfgs", metrics="accuracy", max_iterations=300)
    assert result.history.metrics["accuracy"][-1] > 0.95


# ---- Bayesian regularisation -----------------------------------------------------------------------------------------


def test_bayesian_regularisation_recovers_noise_and_comes_to_the_fixed_point(backend):
    """
    Of a linear problem: ten inputs, of which three count, and noise of a known size. With the eigenvalues of the second
    derivatives, MacKay's equations can be iterated without a network.
    """
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(400, 10)), np.zeros((10, 1))
    weight[:3, 0] = 2, -1, 0.5
    y = x @ weight + rng.normal(0, 0.3, (400, 1))
    net = pn.Network([pn.Dense(10, 1, bias=False)], seed=0, backend=backend)
    result = net.minimize(x, y, regularization="bayesian", max_iterations=500)
    assert result.converged
    hessian, decay = 2 * x.T @ x / 400, 1.0
    for _ in range(200):
        found = np.linalg.solve(hessian + decay * np.eye(10), 2 * x.T @ y / 400)
        loss, eigenvalues = float(((x @ found - y) ** 2).mean()), np.linalg.eigvalsh(hessian)
        effective = (eigenvalues / (eigenvalues + decay)).sum()
        decay = 2 * effective * loss / ((400 - effective) * float((found**2).sum()))
    np.testing.assert_allclose(net.parameters, found.ravel(), rtol=1e-5)
    assert result.decay == pytest.approx(decay, rel=1e-4)
    assert result.effective_parameters == pytest.approx(effective, rel=1e-4)
    noise = math.sqrt(result.loss * 400 / (400 - result.effective_parameters))
    assert noise == pytest.approx(0.3, rel=0.1)


class Bent:
    """Stands for an objective whose outputs bend in a given way."""

    def __init__(self, bend):
        self._bend = bend

    def bend(self, free, step, gradient):
        return self._bend


@pytest.mark.parametrize("bend", ["slightly", "strongly", "unknown"])
def test_step_solves_the_damped_system_of_the_regularised_loss(bend):
    """
    What it is predicted to gain is the gain of the quadratic function with these derivatives. Where the outputs bend
    slightly, it is corrected by half the solution for how they do.
    """
    rng = np.random.default_rng(0)
    root, slope, start = rng.normal(size=(4, 4)), rng.normal(size=4), rng.normal(size=4)
    hessian = root @ root.T
    before = hessian.copy()
    bent = {"slightly": 0.01, "strongly": 10.0, "unknown": math.nan}[bend] * rng.normal(size=4)
    trial, predicted = _step(Bent(bent), start, slope - 0.3 * start, hessian, 0.3, 0.2)
    step = np.linalg.solve(before + 0.5 * np.eye(4), -slope)
    correction = np.linalg.solve(before + 0.5 * np.eye(4), -bent) / 2 if bend == "slightly" else 0
    np.testing.assert_allclose(trial - start, step + correction, rtol=1e-12)
    assert predicted == pytest.approx(-slope @ step - step @ (before + 0.3 * np.eye(4)) @ step / 2, rel=1e-12)
    np.testing.assert_array_equal(hessian, before)


@pytest.mark.parametrize("weights", [False, True])
def test_bend_is_what_second_derivatives_of_the_outputs_add_to_the_gradient(backend, weights):
    x, y = data(30)
    weight = np.random.default_rng(1).integers(0, 3, 30).astype(float) if weights else None
    net = make(backend, loss="mean_squared_error")
    step = 0.01 * np.random.default_rng(0).normal(size=net.parameters.size)
    objective = Objective(net, Data(x, y, weight))
    bend = objective.bend(net.parameters.copy(), step, net.loss_and_gradient(x, y, weight)[1])
    ahead, behind, here = (net.copy() for _ in range(3))
    ahead.parameters += 0.1 * step
    behind.parameters -= 0.1 * step
    second = (ahead.predict(x) - 2 * here.predict(x) + behind.predict(x)) / 0.01
    scale = np.full(30, 1.0) if weight is None else weight
    scale = 2 * scale / scale.sum() / y.shape[1]
    expected = np.einsum("i,ij,ijp->p", scale, second, net.jacobian_parameters(x))
    np.testing.assert_allclose(bend, expected, rtol=0, atol=1e-6 * abs(expected).max() + 1e-13)


def test_steps_follow_valleys_that_bend(backend):
    x = np.linspace(-3, 3, 200).reshape(-1, 1)
    y = np.sin(2 * x) * np.exp(-x / 4)
    net = pn.Network([pn.Dense(1, 10, "tanh"), pn.Dense(10, 1)], seed=0, backend=backend)
    assert net.minimize(x, y, max_iterations=200).loss < 2e-10  # 2e-9 with straight steps


def test_bayesian_regularisation_recovers_from_not_having_learned_yet(backend):
    rng = np.random.default_rng(0)
    x = rng.uniform(-3, 3, (40, 1))
    y = np.sin(2 * x) * np.exp(-x / 4) + rng.normal(0, 0.1, x.shape)
    net = pn.Network([pn.Dense(1, 10, "tanh"), pn.Dense(10, 1)], seed=0, backend=backend)
    result = net.minimize(x, y, max_iterations=200, regularization="bayesian")
    assert 8 < result.effective_parameters < 16  # 2 if the decay begins with what is most probable then
    assert result.loss < 0.02


def test_bayesian_regularisation_does_not_depend_on_how_the_loss_is_scaled(backend):
    x, y = data(50, noise=0.2)
    ends = []
    for loss, factor in (("sum_of_squares", 1), ("mean_squared_error", 50)):
        net = make(backend, loss=loss)
        result = net.minimize(x, y, regularization="bayesian", max_iterations=1000)
        ends.append((result.effective_parameters, result.decay * factor, result.loss * factor))
    np.testing.assert_allclose(*ends, rtol=1e-3)


def test_bayesian_regularisation_keeps_a_large_network_from_learning_noise(backend):
    x, y = data(40, noise=0.3)
    new_x, new_y = data(500, noise=0, seed=2)
    nets = [make(backend, (2, 15, 1)) for _ in range(2)]
    nets[0].minimize(x, y, max_iterations=200)
    result = nets[1].minimize(x, y, max_iterations=200, regularization="bayesian")
    errors = [net.evaluate(new_x, new_y) for net in nets]
    assert errors[1] < errors[0] / 3
    assert 2 < result.effective_parameters < 40
    assert result.decay > 0


def test_bayesian_run_that_goes_through_all_data_says_that_it_cannot_tell_noise(backend):
    """Three rows that a network with 21 parameters can go through."""
    x, y = data(3, noise=0)
    result = make(backend, seed=3).minimize(x, y * 10, regularization="bayesian", max_iterations=2000)
    if result.converged:
        assert result.effective_parameters < 3 * (1 - 1e-6)
    else:
        assert "the data determine as many parameters as they are numbers" in result.message


def test_bayesian_regularisation_refuses_weights_of_less_than_a_row(backend):
    x, y = data()
    net = make(backend)
    with pytest.raises(ValueError, match=r"sample_weight sums to 0\.06: .* at least 1"):
        net.minimize(x, y, sample_weight=np.full(60, 1e-3), regularization="bayesian")


# ---- Validation, callbacks, interruptions ----------------------------------------------------------------------------


class Recorder:
    """Keeps the logs and the parameters of each iteration, and ends the run after some."""

    def __init__(self, last=None):
        self.logs, self.parameters, self.last = [], [], last

    def epoch_end(self, net, logs):
        self.logs.append(logs)
        self.parameters.append(net.parameters.copy())
        return len(self.logs) == self.last


def test_callbacks_have_the_network_of_each_iteration(backend, method):
    x, y = data()
    net, recorder = make(backend), Recorder(last=4)
    result = net.minimize(x, y, method, metrics="mean_absolute_error", callbacks=[recorder], validation=(x[:9], y[:9]))
    assert [logs["epoch"] for logs in recorder.logs] == [1, 2, 3, 4]
    assert not result.converged
    assert result.message == "Recorder ended the run after epoch 4"
    assert result.n_iterations == 4
    twin = make(backend)
    for logs, parameters in zip(recorder.logs, recorder.parameters):
        twin.parameters = parameters
        assert logs["loss"] == pytest.approx(twin.evaluate(x, y), rel=1e-13)
        assert logs["validation_loss"] == twin.evaluate(x[:9], y[:9])
        assert logs["mean_absolute_error"] == pytest.approx(np.abs(twin.predict(x[:9]) - y[:9]).mean())
        assert math.isnan(logs["learning_rate"])
    assert result.history.validation_loss.tolist() == [logs["validation_loss"] for logs in recorder.logs]
    np.testing.assert_array_equal(net.parameters, recorder.parameters[-1])


def test_early_stopping_restores_the_best_parameters(backend):
    x, y = data(30, noise=0.5)
    net, recorder, stopping = make(backend, (2, 15, 1)), Recorder(), pn.EarlyStopping(5)
    result = net.minimize(x, y, validation=0.4, callbacks=[stopping, recorder], max_iterations=500)
    best = int(np.argmin(result.history.validation_loss))
    assert not result.converged
    assert result.n_iterations == best + 6 == result.history.best_epoch + 5
    assert f"the network has the parameters of epoch {best + 1}" in result.message
    np.testing.assert_array_equal(net.parameters, recorder.parameters[best])


@pytest.mark.parametrize("share", [0.25, "arrays"])
def test_large_validation_data_that_are_converted_by_parts(backend, monkeypatch, share):
    """Large is more than 1000 bytes here."""
    monkeypatch.setattr("plainnet.monitor.LARGE_BYTES", 1000)
    monkeypatch.setattr("plainnet.network.LARGE_BYTES", 1000)
    x, y = data(500)
    x = x.astype(np.float32)
    net = make(backend)
    result = net.minimize(x, y, validation=share if share == 0.25 else (x, y), max_iterations=2)
    assert result.n_iterations == 2
    if share == "arrays":
        assert result.loss == net.evaluate(x, y) == result.history.validation_loss[-1]


def test_checkpoint_has_the_parameters_of_its_iteration(backend, tmp_path):
    x, y = data()
    net, recorder = make(backend), Recorder()
    path = tmp_path / "{epoch}.safetensors"
    net.minimize(x, y, max_iterations=3, callbacks=[recorder, pn.Checkpoint(path)])
    for k, parameters in enumerate(recorder.parameters, 1):
        np.testing.assert_array_equal(pn.load(tmp_path / f"{k}.safetensors").parameters, parameters)


@pytest.mark.parametrize("max_iterations", [0, 3])
def test_progress_is_shown(backend, method, capsys, max_iterations):
    pytest.importorskip("tqdm")
    assert make(backend).minimize(*data(), method, max_iterations, progress=True).n_iterations == max_iterations
    assert ("3/3" in capsys.readouterr().err) == (max_iterations == 3)


class Raises:
    """What comes in an iteration's end."""

    def __init__(self, call, epoch=3):
        self.call, self.epoch = call, epoch

    def epoch_end(self, net, logs):
        if logs["epoch"] == self.epoch:
            self.call()


def interrupt():
    raise KeyboardInterrupt


@pytest.mark.parametrize("call", [interrupt, lambda: signal.raise_signal(signal.SIGINT)], ids=["raised", "signal"])
def test_interrupted_run_leaves_the_parameters_of_the_last_iteration(backend, method, sigint_raises, call):
    x, y = data()
    net, recorder = make(backend), Recorder()
    with pytest.raises(KeyboardInterrupt):
        net.minimize(x, y, method, callbacks=[recorder, Raises(call)])
    assert len(recorder.parameters) == 3
    np.testing.assert_array_equal(net.parameters, recorder.parameters[-1])
    assert net.minimize(x, y, method, max_iterations=2).n_iterations == 2


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer")
def test_ctrl_c_at_any_moment_leaves_the_parameters_of_an_iteration(backend, method, sigint_raises):
    x, y = data(500)
    previous = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        for k in range(5):
            net, recorder = make(backend), Recorder()
            start = net.parameters.copy()

            def run(net=net, recorder=recorder, seconds=0.01 + 0.007 * k):
                signal.setitimer(signal.ITIMER_REAL, seconds)
                net.minimize(x, y, method, 10**6, callbacks=[recorder], gradient_tolerance=0, loss_tolerance=0)
                time.sleep(1)  # it had converged

            with pytest.raises(KeyboardInterrupt):
                run()
            ends = [start, *recorder.parameters]
            # That of an iteration whose callback the signal came before is not recorded.
            is_recorded = any(np.array_equal(net.parameters, end) for end in ends[-2:])
            assert is_recorded or net.evaluate(x, y) <= make_like(net, ends[-1]).evaluate(x, y)
            net.minimize(x, y, method, max_iterations=1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def make_like(net, parameters):
    twin = net.copy()
    twin.parameters = parameters
    return twin


def test_network_is_trained_by_one_thread_at_a_time(backend, method):
    x, y = data()
    net, errors = make(backend), []

    def other():
        for call in (net.minimize, net.fit):
            with pytest.raises(RuntimeError, match="another thread") as caught:
                call(x, y)
            errors.append(caught.value)

    def from_another_thread():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(60)

    net.minimize(x, y, method, max_iterations=3, callbacks=[Raises(from_another_thread, 2)])
    assert len(errors) == 2
    for call in (net.minimize, net.fit):
        with pytest.raises(RuntimeError, match="this thread is training the network already"):
            net.minimize(x, y, method, callbacks=[Raises(lambda call=call: call(x, y), 2)])
    assert net.minimize(x, y, method, max_iterations=2).n_iterations == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_child_of_a_fork_amid_a_run_has_the_network_from_before_it(backend, method):
    x, y = data()
    net = make(backend)
    before, amid, go_on = net.copy(), threading.Event(), threading.Event()

    def wait():
        amid.set()
        assert go_on.wait(60)

    thread = threading.Thread(target=net.minimize, args=(x, y, method, 4), kwargs={"callbacks": [Raises(wait)]})
    thread.start()
    assert amid.wait(60)

    def check():
        same = np.array_equal(net.parameters, before.parameters)
        results = [network.minimize(x, y, max_iterations=3).loss for network in (net, before)]
        return same and results[0] == results[1]

    try:
        assert fork(check)
    finally:
        go_on.set()
        thread.join(60)
    twin = make(backend)
    twin.minimize(x, y, method, 4)
    np.testing.assert_array_equal(net.parameters, twin.parameters)


# ---- What stays, and what follows ------------------------------------------------------------------------------------


def test_optimizer_and_counts_stay_as_they_are(backend, method):
    x, y = data()
    net = make(backend)
    net.optimizer = pn.Adam()
    net.fit(x, y, epochs=3, batch_size=20)
    before = net.__getstate__()
    net.minimize(x, y, method, max_iterations=5)
    after = net.__getstate__()
    assert not np.array_equal(before["parameters"], after["parameters"])
    for name in ("shuffle_seed", "epochs_trained", "optimizer", "optimizer_steps", "begun"):
        assert after[name] == before[name], name
    np.testing.assert_array_equal(after["optimizer_state"], before["optimizer_state"])


def test_an_interrupted_epoch_is_not_finished_after_other_parameters_came(backend, method):
    """fit finishes an epoch that was begun with the same parameters alone."""
    x, y = data()
    net = make(backend)

    fit_interrupted(net, 1, x, y, epochs=2, batch_size=20)
    assert net.__getstate__()["begun"] is not None
    net.minimize(x, y, method, max_iterations=3)
    twin = net.copy()
    twin._state.begun = None
    np.testing.assert_array_equal(
        net.fit(x, y, epochs=2, batch_size=20).loss, twin.fit(x, y, epochs=2, batch_size=20).loss
    )
    np.testing.assert_array_equal(net.parameters, twin.parameters)


def test_copies_pickles_and_files_have_the_minimised_network(backend, method, tmp_path):
    x, y = data()
    net = make(backend)
    net.minimize(x, y, method, max_iterations=5)
    net.save(tmp_path / "net.safetensors")
    for twin in (net.copy(), pickle.loads(pickle.dumps(net)), pn.load(tmp_path / "net.safetensors")):
        np.testing.assert_array_equal(twin.parameters, net.parameters)
        np.testing.assert_array_equal(twin.copy(backend=backend).predict(x), net.predict(x))
    assert net.fit(x, y, epochs=2).loss.shape == (2,)


def test_data_may_share_the_memory_of_the_parameters(backend):
    """They are those from before the run."""
    y = np.linspace(-1, 1, 5)[:, None]
    net = pn.Network([pn.Dense(1, 5, "tanh"), pn.Dense(5, 1)], seed=0, backend=backend)
    net.parameters += 0.1
    twin, x = net.copy(), net.parameters[:5].reshape(5, 1)
    twin.minimize(x.copy(), y, max_iterations=5)
    net.minimize(x, y, max_iterations=5)
    np.testing.assert_array_equal(net.parameters, twin.parameters)


def test_result_has_its_documented_fields(backend):
    x, y = data()
    result = make(backend).minimize(x, y, max_iterations=2)
    assert result.message == "the run has made max_iterations = 2 iterations"
    assert (result.n_iterations, result.converged, result.decay, result.effective_parameters) == (2, False, None, None)
    assert type(result.loss) is type(result.gradient_norm) is float
    with pytest.raises(AttributeError):
        result.loss = 0


# ---- Where there is nothing to gain, or much that overflows ----------------------------------------------------------


def test_no_iteration_changes_nothing(backend, method):
    x, y = data()
    net = make(backend)
    before = net.copy()
    result = net.minimize(x, y, method, max_iterations=0)
    np.testing.assert_array_equal(net.parameters, before.parameters)
    assert result.loss == before.evaluate(x, y)
    assert (result.n_iterations, result.converged, len(result.history.loss)) == (0, False, 0)


@pytest.mark.parametrize("tolerance", [1e-10, 0])
@pytest.mark.parametrize("scale", [1, 1e3])
def test_residuals_that_are_0_at_the_end_or_from_the_start(backend, method, scale, tolerance):
    x, _ = data()
    net = make(backend)
    y = net.predict(x)
    result = net.minimize(x, y, method, gradient_tolerance=tolerance, loss_tolerance=tolerance)
    assert (result.loss, result.n_iterations, result.converged) == (0, 0, True)
    target = linear(backend, 2, 1)
    y = scale * target.predict(x)
    net = linear(backend, 2, 1)
    net.parameters += 1
    result = net.minimize(x, y, method, gradient_tolerance=tolerance, loss_tolerance=tolerance)
    assert result.loss < 1e-18 * scale**2


@pytest.mark.parametrize(
    ("x", "y", "change"),
    [
        (None, None, lambda p: 0 * p), (None, 3.0, None), (None, 0.0, None), (0.0, None, None), (1, None, None),
    ],
    ids=["weights-0", "constant-targets", "targets-0", "inputs-0", "one-row"],
)  # fmt: skip
def test_little_data_is_no_error(backend, method, x, y, change):
    """The gradient is 0 at the end, or nearly, wherever the run says so."""
    all_x, all_y = data()
    all_x, all_y = (all_x[:1], all_y[:1]) if x == 1 else (all_x if x is None else all_x * x, all_y)
    all_y = all_y if y is None else np.full_like(all_y, y)
    net = make(backend)
    if change is not None:
        net.parameters = change(net.parameters)
    start = net.evaluate(all_x, all_y)
    result = net.minimize(all_x, all_y, method)
    assert result.loss <= start
    gradient = np.abs(net.loss_and_gradient(all_x, all_y)[1]).max()
    assert gradient < (1e-6 if result.converged else 1e-2)
    assert method != LM or result.converged


def test_network_of_dead_neurons_is_at_a_stationary_point(backend, method):
    x, y = data()
    net = pn.Network([pn.Dense(2, 5, "relu"), pn.Dense(5, 1, "relu")], seed=0, backend=backend)
    net.parameters = -np.abs(net.parameters) - 0.1
    before = net.parameters.copy()
    result = net.minimize(np.abs(x), y, method, gradient_tolerance=0)
    assert (result.converged, result.n_iterations, result.gradient_norm) == (True, 0, 0)
    np.testing.assert_array_equal(net.parameters, before)


@pytest.mark.parametrize("kind", ["duplicated", "zero", "more-parameters-than-rows"])
def test_singular_systems_are_solved(backend, method, kind):
    x, y = data(n_in=3, n_out=2)
    if kind == "more-parameters-than-rows":
        x, y = x[:2], y[:2]
    else:
        x[:, 1] = x[:, 0] if kind == "duplicated" else 0
    net = linear(backend)
    result = net.minimize(x, y, method)
    assert result.converged
    columns = np.column_stack([x, np.ones(len(x))])
    best = ((columns @ least_squares(x, y).reshape(4, 2) - y) ** 2).mean()
    assert result.loss == pytest.approx(best, rel=1e-10, abs=1e-15)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e-30, 1e30, 1e100, 1e155, 1e300])
@pytest.mark.parametrize("what", ["x", "y", "parameters"])
@pytest.mark.parametrize("tolerance", [1e-10, 0])
def test_tiny_and_huge_numbers_end_with_a_clear_message(backend, method, scale, what, tolerance):
    """Without a warning, and soon; and no run that has gone wrong says that it has converged."""
    x, y = data()
    net = make(backend)
    if what == "parameters":
        net.parameters *= scale
    x, y = x * (scale if what == "x" else 1), y * (scale if what == "y" else 1)
    before = net.parameters.copy()
    arguments = (x, y, method, 300), {"gradient_tolerance": tolerance, "loss_tolerance": tolerance}
    if not np.isfinite(net.loss_and_gradient(x, y)[0]):
        assert scale > 1e150
        with pytest.raises(pn.DivergedError, match="for the parameters and the data that it began with"):
            net.minimize(*arguments[0], **arguments[1])
        np.testing.assert_array_equal(net.parameters, before)
        return
    result = net.minimize(*arguments[0], **arguments[1])
    assert np.isfinite(net.parameters).all()
    if result.converged and method == LM:
        loss, gradient = net.loss_and_gradient(x, y)
        curvature = np.square(net.jacobian_parameters(x)[:, 0] * np.sqrt(2 / len(x))).sum(axis=0)
        gains = (np.divide(gradient, np.sqrt(curvature), out=0 * gradient, where=curvature > 0)) ** 2 / 2
        assert gains.max() <= 1e-9 * max(loss, 1e-290) or result.gradient_norm <= tolerance


def test_first_step_of_lbfgs_that_gains_nothing_is_no_minimum(backend):
    """Its length is 1, where targets of 1e100 need one of that size."""
    pytest.importorskip("scipy")
    x, y = data()
    result = make(backend).minimize(x, y * 1e100, "lbfgs")
    assert not result.converged
    assert result.message.startswith("SciPy finds no step that lowers the loss any further")


def test_end_before_the_decay_has_settled_is_no_minimum(backend, monkeypatch):
    x, y = data(n_in=3)
    monkeypatch.setattr(Minimization, "_is_settled", lambda run: False)
    result = linear(backend, 3, 1).minimize(x, y, regularization="bayesian", max_iterations=1000)
    assert (result.converged, result.message) == (
        False, "no step lowers the loss any further, though the decay has not settled",
    )  # fmt: skip


def test_derivatives_that_overflow_are_told_from_the_loss(backend):
    net = pn.Network([pn.Dense(2, 1)], seed=0, backend=backend)
    net.parameters *= 1e-200
    x, y = data()
    with pytest.raises(pn.DivergedError, match=r"but its derivatives overflow\. No step was made"):
        net.minimize(x * 1e200, y)


def test_kinks_of_relu_are_no_minimum_that_a_run_claims(backend):
    """From ten starts: where it says that it has converged, the gradient is small."""
    x, y = data(100)
    for seed in range(10):
        net = pn.Network([pn.Dense(2, 8, "relu"), pn.Dense(8, 1)], seed=seed, backend=backend)
        result = net.minimize(x, y, max_iterations=200)
        assert not result.converged or np.abs(net.loss_and_gradient(x, y)[1]).max() < 1e-4


# ---- What is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x", "y"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_data_that_are_not_finite_are_refused(backend, method, name, value):
    x, y = data()
    (x if name == "x" else y)[3, 0] = value
    net = make(backend)
    before = net.parameters.copy()
    with pytest.raises(ValueError, match=rf"{name} holds {value} \(row 3, column 0\)"):
        net.minimize(x, y, method)
    np.testing.assert_array_equal(net.parameters, before)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_parameters_that_are_not_finite_are_refused(backend, method, value):
    net = make(backend)
    net.parameters[3] = value
    with pytest.raises(pn.DivergedError, match=rf"it began with parameters\[3\] = {value}"):
        net.minimize(*data(), method)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": "newton"}, ValueError, r"method .*'newton'"),
        ({"method": None}, (TypeError, ValueError), "method"),
        ({"regularization": "ridge"}, ValueError, r"regularization .*'ridge'"),
        ({"regularization": "bayesian", "method": "lbfgs"}, ValueError, 'needs method="levenberg-marquardt"'),
        ({"max_iterations": -1}, ValueError, "max_iterations"),
        ({"max_iterations": 1.5}, (TypeError, ValueError), "max_iterations"),
        ({"gradient_tolerance": -1}, ValueError, "gradient_tolerance"),
        ({"loss_tolerance": math.nan}, ValueError, "loss_tolerance"),
        ({"loss_tolerance": "small"}, (TypeError, ValueError), "loss_tolerance"),
        ({"metrics": "beauty"}, ValueError, "beauty"),
        ({"callbacks": [object()]}, (TypeError, ValueError), "callbacks"),
        ({"callbacks": pn.ReduceOnPlateau()}, ValueError, "no learning rate"),
        ({"validation": 2.0}, ValueError, "validation"),
        ({"sample_weight": np.zeros(60)}, ValueError, "not all weights may be 0"),
        ({"sample_weight": -np.ones(60)}, ValueError, "sample_weight holds -1"),
        ({"sample_weight": np.ones(3)}, ValueError, "sample_weight has shape"),
        ({"progress": "yes"}, (TypeError, ValueError), "progress"),
    ],
)
def test_bad_arguments_are_refused(backend, arguments, error, message):
    net = make(backend)
    before = net.parameters.copy()
    with pytest.raises(error, match=message):
        net.minimize(*data(), **arguments)
    np.testing.assert_array_equal(net.parameters, before)


@pytest.mark.parametrize(
    ("layer", "network", "arguments", "message"),
    [
        ({"dropout": 0.5}, {}, {"method": LM}, r"layers\[0\] has dropout=0\.5"),
        ({"dropout": 0.5}, {}, {"method": "lbfgs"}, r"layers\[0\] has dropout=0\.5"),
        ({"max_norm": 2.0}, {}, {"method": LM}, r"layers\[0\] has max_norm=2"),
        ({"max_norm": 2.0}, {}, {"method": "lbfgs"}, r"layers\[0\] has max_norm=2"),
        ({"l1": 0.1}, {}, {"method": LM}, r"layers\[0\] has l1=0\.1"),
        ({"l2": 0.1}, {}, {"regularization": "bayesian"}, r"layers\[0\] has l2=0\.1"),
        ({}, {"loss_limit": 3.0}, {"method": LM}, "does not know loss_limit, and the network has 3"),
        ({}, {"loss": "mean_absolute_error"}, {"method": LM}, "needs one of the losses"),
        ({"weight_rate": 0, "bias_rate": 0}, {}, {"method": LM}, "nothing to minimise"),
        ({"weight_rate": 0, "bias_rate": 0}, {}, {"method": "lbfgs"}, "nothing to minimise"),
    ],
)
def test_options_that_a_method_does_not_know_are_refused(backend, layer, network, arguments, message):
    last = {name: value for name, value in layer.items() if name.endswith("_rate")}
    net = pn.Network([pn.Dense(2, 5, "tanh", **layer), pn.Dense(5, 1, **last)], seed=0, backend=backend, **network)
    before = net.parameters.copy()
    with pytest.raises(ValueError, match=message):
        net.minimize(*data(), **arguments)
    np.testing.assert_array_equal(net.parameters, before)


def test_lbfgs_without_scipy_names_the_extra(backend, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    net = make(backend)
    before = net.parameters.copy()
    with pytest.raises(ImportError, match=re.escape("get it with: pip install 'plainnet[solvers]'")):
        net.minimize(*data(), "lbfgs")
    np.testing.assert_array_equal(net.parameters, before)
    assert net.minimize(*data(), max_iterations=2).n_iterations == 2  # the other method needs NumPy alone


@pytest.mark.parametrize("regularization", [None, "bayesian"])
def test_matrix_for_which_there_is_no_memory_is_refused_with_its_size(backend, monkeypatch, regularization):
    n_bytes = (2 if regularization is None else 4) * 8 * 21**2
    net = make(backend)
    monkeypatch.setattr(memory, "_available", lambda: n_bytes)
    net.minimize(*data(), max_iterations=1, regularization=regularization)
    monkeypatch.setattr(memory, "_available", lambda: n_bytes - 1)
    with pytest.raises(MemoryError, match=r"the second derivatives of 21 parameters \(.* KiB\); take fewer neurons"):
        net.minimize(*data(), regularization=regularization)


def test_a_million_parameters_are_refused_before_anything_is_allocated(backend, monkeypatch):
    """16 TB, which Linux would promise in part; no backend is asked."""
    net = pn.Network([pn.Dense(1000, 1000)], seed=0, backend=backend)
    with pytest.raises(MemoryError, match=r"the second derivatives of 1001000 parameters \(14\.6 TiB\); .*lbfgs"):
        net.minimize(np.zeros((2, 1000)), np.zeros((2, 1000)))


def test_available_memory_is_a_number_with_and_without_proc(monkeypatch):
    assert 1 << 20 < memory._available() < 1 << 60

    def no_file(*_):
        raise FileNotFoundError

    monkeypatch.setattr("builtins.open", no_file)
    assert 1 << 20 < memory._available() < 1 << 60
