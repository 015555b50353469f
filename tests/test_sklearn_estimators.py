"""plainnet's estimators by themselves: scikit-learn's checks, and what scikit-learn's classes do not have."""

import copy
import inspect
import os
import pickle
import signal
import subprocess
import sys
import threading
import tracemalloc
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")
import joblib
from scipy.sparse import csr_matrix
from sklearn import neural_network as theirs
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error, r2_score
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import plainnet as pn
from plainnet.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ESTIMATORS = [MLPClassifier, MLPRegressor]


def iris(n=150):
    x, y = load_iris(return_X_y=True)
    rows = np.random.default_rng(0).permutation(150)[:n]
    return StandardScaler().fit_transform(x)[rows], y[rows]


def diabetes():
    x, y = load_diabetes(return_X_y=True)
    return x * 20, (y - 150) / 77


def data_of(estimator):
    return iris() if estimator is MLPClassifier or isinstance(estimator, MLPClassifier) else diabetes()


def failed_checks(estimator):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(estimator, on_fail=None)
    assert len(results) > 50
    return {result["check_name"] for result in results if result["status"] not in ("passed", "skipped")}


# ---- scikit-learn's conventions --------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_estimator_passes_all_checks_of_scikit_learn(estimator):
    assert failed_checks(estimator()) == set()


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["sgd", "lbfgs", pn.RMSprop(1e-2)], ids=str)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_estimator_with_another_solver_passes_all_checks(estimator, solver):
    allowed = set()
    if solver == "lbfgs" and estimator is MLPClassifier:
        # Probabilities that round to 1 are not below it: scikit-learn's own classifier fails as well.
        allowed = {"check_classifiers_multilabel_output_format_predict_proba"} & failed_checks(
            theirs.MLPClassifier(solver="lbfgs")
        )
    assert failed_checks(estimator(solver=solver)) <= allowed


@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_parameters_of_scikit_learn_come_first_with_their_defaults(kind):
    mine, other = (inspect.signature(which).parameters for which in (globals()[kind], getattr(theirs, kind)))
    for name, parameter in other.items():
        assert (mine[name].kind, mine[name].default) == (parameter.kind, parameter.default), name
    assert list(mine)[: len(other)] == list(other)
    assert {mine[name].kind for name in mine.keys() - other.keys()} == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("copied", [
    copy.deepcopy, lambda estimator: pickle.loads(pickle.dumps(estimator)),
], ids=["deepcopy", "pickle"])  # fmt: skip
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_copy_goes_on_as_the_original(estimator, copied):
    x, y = data_of(estimator)
    fitted = estimator(max_iter=3, random_state=0).fit(x, y)
    twin = copied(fitted)
    np.testing.assert_array_equal(twin.predict(x), fitted.predict(x))
    for which in (fitted, twin):
        which.partial_fit(x, y)
    np.testing.assert_array_equal(twin.network_.parameters, fitted.network_.parameters)
    assert twin.loss_curve_ == fitted.loss_curve_


def test_joblib_restores_a_fitted_estimator(tmp_path):
    x, y = iris()
    fitted = MLPClassifier(max_iter=3, random_state=0).fit(x, y)
    joblib.dump(fitted, tmp_path / "model")
    for mmap_mode in (None, "r"):
        np.testing.assert_array_equal(joblib.load(tmp_path / "model", mmap_mode).predict(x), fitted.predict(x))


def test_clone_has_the_parameters_alone():
    x, y = diabetes()
    fitted = MLPRegressor(pn.Huber(0.5), (3,), ["tanh"], solver=pn.RMSprop(1e-2), max_iter=2).fit(x, y)
    twin = clone(fitted)
    assert twin.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        twin.predict(x)
    assert not hasattr(twin, "coefs_")


# ---- Predictions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_predict_refuses_what_is_not_finite(estimator, value):
    x, y = data_of(estimator)
    fitted = estimator(max_iter=2).fit(x, y)
    x = x.copy()
    x[3, 1] = value
    with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
        fitted.predict(x)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_predict_takes_what_scikit_learn_takes(estimator):
    x, y = data_of(estimator)
    fitted = estimator(max_iter=5, random_state=0).fit(x, y)
    expected = fitted.predict(x)
    for other in (x.tolist(), np.asfortranarray(x), x[::-1][::-1], x.astype(">f8")):
        np.testing.assert_array_equal(fitted.predict(other), expected)
    assert fitted.predict(x[:1]).shape == (1,)
    for wrong, message in [(x[0], "Expected 2D array"), (x[:0], "0 sample"), (x[:, :2], "X has 2 features, but")]:
        with pytest.raises(ValueError, match=message):
            fitted.predict(wrong)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_sparse_data_are_never_dense_as_a_whole(solver):
    rng = np.random.default_rng(0)
    n, rows = 20_000, np.repeat(np.arange(20_000), 3)  # 3.2 GB, if they were dense
    x = csr_matrix((rng.random(len(rows)), (rows, rng.integers(0, n, len(rows)))), shape=(n, n))
    model = MLPClassifier((4,), solver=solver, max_iter=1, early_stopping=True, random_state=0)
    tracemalloc.start()
    model.fit(x, rng.integers(0, 2, n)).predict(x)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 150e6


def test_predict_warns_where_names_of_columns_are_missing():
    pandas = pytest.importorskip("pandas")
    x, y = iris()
    fitted = MLPClassifier(max_iter=2).fit(pandas.DataFrame(x, columns=list("abcd")), y)
    assert list(fitted.feature_names_in_) == list("abcd")
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        fitted.predict(x)


# ---- The network and its parameters ----------------------------------------------------------------------------------


def test_coefs_are_views_of_the_network():
    x, y = diabetes()
    fitted = MLPRegressor(hidden_layer_sizes=(4,), max_iter=2).fit(x, y)
    fitted.coefs_[0][0, 0] = 5
    assert fitted.network_.layers[0].weight[0, 0] == 5
    fitted.coefs_[1] = np.zeros((4, 1))
    fitted.intercepts_[-1] = [7]
    np.testing.assert_array_equal(fitted.predict(x), 7)
    fitted.coefs_ = [np.ones((10, 4)), np.ones((4, 1))]
    fitted.intercepts_ = [np.zeros(4), np.zeros(1)]
    np.testing.assert_allclose(fitted.predict(x), 4 * np.maximum(x.sum(axis=1), 0), atol=1e-12)
    with pytest.raises(ValueError, match=r"must have the shapes \[\(4, 1\)\], not \[\(1, 4\)\]"):
        fitted.coefs_[1] = np.zeros((1, 4))
    with pytest.raises(ValueError, match="must have the shapes"):
        fitted.coefs_ = [np.ones((10, 4))]
    with pytest.raises(AttributeError, match="call fit first"):
        MLPRegressor().coefs_ = []


def test_network_can_be_saved(tmp_path):
    x, y = iris()
    fitted = MLPClassifier(max_iter=5).fit(x, y)
    fitted.network_.save(tmp_path / "network", training=True)
    np.testing.assert_array_equal(pn.load(tmp_path / "network").predict(x), fitted.predict_proba(x))


def test_ctrl_c_keeps_what_there_is(sigint_raises):
    x, y = iris()
    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    estimator = MLPClassifier(max_iter=10**7, tol=0.0, n_iter_no_change=np.inf, random_state=0)
    timer.start()
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        estimator.fit(x, y)
    assert 0 < estimator.n_iter_ == len(estimator.loss_curve_) < 10**7
    assert estimator.score(x, y) > 0.9
    estimator.partial_fit(x, y)


def test_diverged_training_is_an_error_and_loses_nothing():
    x, y = diabetes()
    with pytest.raises(ValueError, match=r"non-finite parameter weights.*training diverged.*in epoch \d") as raised:
        MLPRegressor(solver="sgd", learning_rate_init=1e3, random_state=0).fit(x, y)
    assert isinstance(raised.value.__cause__, pn.DivergedError)


# ---- Layers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["relu", "logistic"])
def test_activation_as_a_list_is_one_a_layer(activation):
    x, y = iris()
    settings = {"hidden_layer_sizes": (5, 4), "max_iter": 10, "random_state": 0}
    one = MLPClassifier(activation=activation, **settings).fit(x, y)
    same = MLPClassifier(activation=[activation, activation], **settings).fit(x, y)
    assert one.loss_curve_ == same.loss_curve_
    mixed = MLPClassifier(activation=("tanh", "gelu"), **settings).fit(x, y)
    assert [layer.activation for layer in mixed.network_.layers] == ["tanh", "gelu", "softmax"]


def test_layers_are_checked():
    x, y = iris()
    for settings, message in [
        ({"activation": ["tanh"], "hidden_layer_sizes": (3, 3)}, "activation must be a name or one for each of 2"),
        ({"hidden_layer_sizes": (2.5,)}, r"hidden_layer_sizes must be integers, got \[2.5\]"),
        ({"activation": ["softmax"]}, "activation must be among"),
        ({"activation": "softmax"}, "'activation' parameter of MLPClassifier must be"),
        ({"dropout": [0.1, 0.2]}, "dropout must be a number or one for each of 1"),
        ({"dropout": [1.0]}, "dropout must be at least 0 and below 1, got 1.0"),
        ({"dropout": 1.0}, "'dropout' parameter of MLPClassifier must be"),
        ({"dropout": 0.5, "solver": "lbfgs"}, "dropout needs a stochastic solver"),
        ({"solver": "rmsprop"}, "'solver' parameter of MLPClassifier must be"),
        ({"n_threads": 0}, "'n_threads' parameter of MLPClassifier must be"),
    ]:
        with pytest.raises(ValueError, match=message):
            MLPClassifier(**settings).fit(x, y)
    fitted = MLPClassifier((3,), max_iter=2, warm_start=True).fit(x, y)
    with pytest.raises(ValueError, match=r"\[4, 3, 3\] neurons, which cannot become \[4, 5, 3\]"):
        fitted.set_params(hidden_layer_sizes=(5,)).fit(x, y)


@pytest.mark.parametrize("dropout", [0.3, [0.3, 0.0]])
def test_dropout_drops_while_training_and_repeats(dropout):
    x, y = iris()
    settings = {"hidden_layer_sizes": (20, 10), "max_iter": 20, "random_state": 0}
    first, second = (MLPClassifier(dropout=dropout, **settings).fit(x, y) for _ in range(2))
    assert first.loss_curve_ == second.loss_curve_
    without = MLPClassifier(**settings).fit(x, y)
    assert without.loss_curve_ == MLPClassifier(dropout=0, **settings).fit(x, y).loss_curve_
    assert first.loss_curve_[0] != without.loss_curve_[0]
    np.testing.assert_array_equal(first.predict_proba(x), first.predict_proba(x))
    assert first.network_.layers[0].dropout == 0.3


# ---- Weights of classes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_class_weight_is_the_weight_of_the_rows(solver):
    x, y = iris()
    weight = np.random.default_rng(0).integers(1, 4, len(x)).astype(float)
    settings = {"solver": solver, "max_iter": 10, "random_state": 0, "batch_size": 40}
    by_class = MLPClassifier(class_weight={0: 5.0, 1: 0.5, 2: 1.0}, **settings).fit(x, y, weight)
    by_row = MLPClassifier(**settings).fit(x, y, weight * np.array([5.0, 0.5, 1.0])[y])
    np.testing.assert_array_equal(by_class.network_.parameters, by_row.network_.parameters)


def test_class_weight_balanced_makes_up_for_rare_classes():
    rng = np.random.default_rng(0)
    y = np.repeat(["rare", "usual"], [20, 380])
    x = rng.normal(size=(400, 2)) + np.where(y == "rare", 1.0, 0.0)[:, np.newaxis]
    plain, balanced = (
        MLPClassifier((5,), solver="lbfgs", class_weight=weight, random_state=0, alpha=1.0).fit(x, y)
        for weight in (None, "balanced")
    )
    rare = y == "rare"
    assert (balanced.predict(x[rare]) == "rare").mean() > (plain.predict(x[rare]) == "rare").mean() + 0.3
    with pytest.raises(ValueError, match="class_weight='balanced' needs all rows at once"):
        MLPClassifier(class_weight="balanced").partial_fit(x, y, classes=["rare", "usual"])
    given = MLPClassifier(class_weight={"rare": 3, "usual": 1}).partial_fit(x, y, classes=["rare", "usual"])
    assert given.n_iter_ == 1


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_batch_of_rows_without_weight_makes_no_step(solver):
    x, y = iris()
    weight = np.ones(len(x))
    weight[:30] = 0
    settings = {"solver": solver, "max_iter": 5, "random_state": 0, "batch_size": 30, "shuffle": False}
    model = MLPClassifier(**settings).fit(x, y, weight)
    without = MLPClassifier(**settings).fit(x[30:], y[30:])
    np.testing.assert_allclose(model.network_.parameters, without.network_.parameters, rtol=1e-12)
    np.testing.assert_allclose(np.array(model.loss_curve_) * 150, np.array(without.loss_curve_) * 120)
    for fitted in (model, model.partial_fit(x[:40], y[:40], np.repeat([0, 1], [39, 1]))):
        assert np.isfinite(fitted.loss_)
    with pytest.raises(ValueError, match=r"at least one non-zero|sums to 0"):
        MLPClassifier().fit(x, y, np.zeros(len(x)))


# ---- Validation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_partial_fit_with_validation_data_keeps_scores_and_losses(estimator, weighted):
    x, y = data_of(estimator)
    train, aside = slice(0, 100), slice(100, None)
    weight = np.random.default_rng(0).random(len(x[aside])) if weighted else None
    validation = (x[aside], y[aside], weight) if weighted else (x[aside], y[aside])
    model = estimator(early_stopping=True, random_state=0, alpha=1.0)
    classes = {"classes": [0, 1, 2]} if estimator is MLPClassifier else {}
    for k in range(3):
        model.partial_fit(x[train], y[train], **classes, validation=validation)
        predicted = model.predict(x[aside])
        if estimator is MLPClassifier:
            score = accuracy_score(y[aside], predicted, sample_weight=weight)
            loss = log_loss(y[aside], model.predict_proba(x[aside]), sample_weight=weight)
        else:
            score = r2_score(y[aside], predicted, sample_weight=weight)
            loss = mean_squared_error(y[aside], predicted, sample_weight=weight) / 2
        np.testing.assert_allclose(model.validation_scores_[k], score, rtol=1e-12)
        np.testing.assert_allclose(model.validation_loss_curve_[k], loss, rtol=1e-12)
    assert model.stopped_ is False


def test_partial_fit_stops_early_and_takes_the_best_weights():
    x, y = iris()
    aside = slice(100, None)
    model = MLPClassifier(early_stopping=True, n_iter_no_change=4, learning_rate_init=0.05, random_state=0)
    weights, calls = [], 0
    while not getattr(model, "stopped_", False):
        model.partial_fit(x[:100], y[:100], classes=[0, 1, 2], validation=(x[aside], y[aside]))
        weights.append(model.network_.parameters.copy())
        calls += 1
        assert calls < 200
    best = int(np.argmax(model.validation_scores_))
    assert calls == len(model.validation_scores_) > best + 4
    np.testing.assert_array_equal(model.network_.parameters, weights[best])
    assert model.score(x[aside], y[aside]) == model.best_validation_score_ == model.validation_scores_[best]
    before = pickle.dumps(model.network_.parameters)
    model.partial_fit(x[:100], y[:100], validation=(x[aside], y[aside]))
    assert pickle.dumps(model.network_.parameters) == before
    assert len(model.validation_scores_) == calls
    model.fit(x, y)
    assert not hasattr(model, "stopped_")
    model.partial_fit(x, y, validation=(x[aside], y[aside]))
    assert model.stopped_ is False


@pytest.mark.filterwarnings("ignore")
def test_single_class_is_always_right():
    x = np.random.default_rng(0).random((10, 3))
    settings = {"early_stopping": True, "validation_fraction": 0.5, "max_iter": 3, "random_state": 0}
    ours, original = (kind((5,), **settings).fit(x, ["a"] * 10) for kind in (MLPClassifier, theirs.MLPClassifier))
    assert ours.validation_scores_ == original.validation_scores_ == [1.0] * 3
    assert (ours.predict(x) == "a").all()


def test_partial_fit_checks_its_validation_data():
    x, y = iris()
    classes = {"classes": [0, 1, 2]}
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True without validation data"):
        MLPClassifier(early_stopping=True).partial_fit(x, y, **classes)
    with pytest.raises(ValueError, match="needs early_stopping=True"):
        MLPClassifier().partial_fit(x, y, **classes, validation=(x, y))
    model = MLPClassifier(early_stopping=True)
    for wrong, message in [
        ((x,), r"validation must be \(X, y\) or"),
        ((x[:, :2], y), "X has 2 features"),
        ((x, y + 1), "`y` has classes not in `self.classes_`"),
        ((x, y[:5]), "inconsistent numbers of samples"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.partial_fit(x, y, **classes, validation=wrong)


def test_partial_fit_with_another_solver_begins_its_state():
    x, y = iris()
    model = MLPClassifier(solver="sgd", max_iter=3, random_state=0).fit(x, y)
    twin = MLPClassifier(solver="sgd", max_iter=3, random_state=0).fit(x, y)
    model.set_params(solver="adam").partial_fit(x, y)
    assert isinstance(model.network_.optimizer, pn.Adam)
    twin.set_params(solver="adam", warm_start=True, max_iter=1).fit(x, y)
    np.testing.assert_array_equal(model.network_.parameters, twin.network_.parameters)


def test_partial_fit_goes_on_after_early_stopping():
    x, y = iris()
    model = MLPClassifier(early_stopping=True, n_iter_no_change=2, random_state=0, max_iter=20).fit(x, y)
    before = len(model.loss_curve_)
    model.set_params(early_stopping=False).partial_fit(x, y)
    assert len(model.loss_curve_) == before + 1
    assert model.best_loss_ == model.loss_


# ---- Losses and optimizers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("n_out", [1, 2])
@pytest.mark.parametrize(
    "loss", ["absolute_error", "huber", "log_cosh", "quantile", pn.Huber(0.3), pn.Quantile(0.9)], ids=str
)
def test_regression_with_another_loss(loss, n_out, solver):
    x, y = diabetes()
    y = y if n_out == 1 else np.column_stack([y, x[:, 0]])
    start = MLPRegressor(loss, (10,), max_iter=1, random_state=0, solver="sgd", learning_rate_init=1e-12).fit(x, y)
    targets = y.reshape(len(y), -1)
    # Each batch divides the penalty by its own rows.
    np.testing.assert_allclose(start.loss_, start.network_.evaluate(x, targets), rtol=1e-2)
    fitted = MLPRegressor(loss, (10,), max_iter=100, random_state=0, solver=solver, alpha=0.0).fit(x, y)
    assert fitted.network_.evaluate(x, targets) < start.loss_ * 0.8
    assert fitted.predict(x).shape == y.shape


def test_quantiles_are_quantiles():
    x, y = diabetes()
    fitted = MLPRegressor(pn.Quantile(0.9), (10,), max_iter=400, random_state=0, learning_rate_init=0.01).fit(x, y)
    assert (y < fitted.predict(x)).mean() == pytest.approx(0.9, abs=0.03)


@pytest.mark.parametrize(
    "optimizer", [pn.RMSprop(pn.schedules.cosine(1e-2, 100)), pn.SGD(0.05, 0.5), pn.AdamW(1e-2)], ids=str
)
def test_solver_may_be_an_optimizer(optimizer):
    x, y = diabetes()
    model = MLPRegressor(hidden_layer_sizes=(6,), solver=optimizer, batch_size=50, shuffle=False, max_iter=4)
    model.set_params(random_state=0).fit(x, y)
    net = MLPRegressor(hidden_layer_sizes=(6,), solver=pn.SGD(1e-300), max_iter=1, random_state=0).fit(x, y).network_
    net.optimizer = optimizer
    for _ in range(4):
        for begin in range(0, len(x), 50):
            net.train_on_batch(x[begin : begin + 50], y[begin : begin + 50])
    np.testing.assert_allclose(model.network_.parameters, net.parameters, rtol=1e-10)
    assert model.network_.optimizer == optimizer
    classifier = MLPClassifier(solver=optimizer, max_iter=30, random_state=0).fit(*iris())
    assert classifier.loss_curve_[-1] < classifier.loss_curve_[0]
    classifier.partial_fit(*iris())


# ---- Derivatives with respect to the inputs --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "one output", "two outputs", "poisson"])
def test_input_gradient_is_the_derivative_of_predictions(kind):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    y = {
        "binary": x[:, 0] > 0, "multiclass": np.digitize(x[:, 0], [-0.5, 0.5]),
        "multilabel": (x[:, :2] > 0).astype(int), "one output": x[:, 0] ** 2, "two outputs": x[:, :2] ** 2,
        "poisson": rng.poisson(2, 40),
    }[kind]  # fmt: skip
    if kind in ("binary", "multiclass", "multilabel"):
        model = MLPClassifier(activation="tanh", random_state=0, max_iter=20).fit(x, y)
        predict = model.predict_proba
    else:
        loss = "poisson" if kind == "poisson" else "squared_error"
        model = MLPRegressor(loss, activation="tanh", random_state=0, max_iter=20).fit(x, y)
        predict = model.predict
    gradient, step = model.input_gradient(x), 1e-6
    assert gradient.shape == (*predict(x).shape, 3)
    for k, unit in enumerate(np.eye(3)):
        numeric = (predict(x + step * unit) - predict(x - step * unit)) / (2 * step)
        np.testing.assert_allclose(gradient[..., k], numeric, rtol=1e-5, atol=1e-8)


# ---- Threads, progress, and the extra --------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_n_threads_holds_while_training_alone(solver, monkeypatch):
    from plainnet.sklearn import base, lbfgs

    x, y = iris()
    before = pn.num_threads()
    seen = []
    for module, name in ((base.StochasticRun, "run"), (lbfgs, "minimize")):
        original = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, run=original: (seen.append(pn.num_threads()), run(*args)))
    results = [MLPClassifier(solver=solver, n_threads=n, max_iter=5, random_state=0).fit(x, y) for n in (1, 3, None)]
    assert seen == [1, 3, before]
    assert pn.num_threads() == before
    with pytest.raises(ValueError, match="Input X contains NaN"):
        MLPClassifier(n_threads=3).fit(x * np.nan, y)
    assert pn.num_threads() == before
    for other in results[1:]:
        np.testing.assert_array_equal(other.network_.parameters, results[0].network_.parameters)


def test_calls_that_overlap_put_the_number_of_threads_back():
    from plainnet.sklearn.threads import limited_threads

    before = pn.num_threads()
    first, second = limited_threads(3), limited_threads(5)
    with first:
        assert pn.num_threads() == 3
        second.__enter__()
        assert pn.num_threads() == 5
    assert pn.num_threads() == 5
    second.__exit__(None, None, None)
    assert pn.num_threads() == before


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_warnings_name_the_line_of_the_caller(solver):
    x, y = iris()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        MLPClassifier(solver=solver, max_iter=1, batch_size=1000).fit(x, y)
    assert len(caught) == (2 if solver == "adam" else 1)
    assert {warning.filename for warning in caught} == {__file__}


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_progress_is_shown(solver, capsys):
    x, y = iris()
    MLPClassifier(solver=solver, progress=True, max_iter=5, random_state=0).fit(x, y)
    assert "epoch 5/5: loss " in capsys.readouterr().err


def test_lbfgs_prints_its_iterations(capsys):
    x, y = iris()
    fitted = MLPClassifier(solver="lbfgs", verbose=True, max_iter=5, random_state=0).fit(x, y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert lines[-1] == f"Iteration 5, loss = {fitted.loss_:.8f}"


def test_missing_scikit_learn_names_the_extra():
    code = "import sys; sys.modules['sklearn'] = None; import plainnet; import plainnet.sklearn"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode != 0
    assert "pip install 'plainnet[sklearn]'" in run.stderr
