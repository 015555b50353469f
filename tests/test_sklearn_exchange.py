"""Fitted models between scikit-learn and plainnet, and pipelines as one network."""

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn import neural_network as theirs
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, make_multilabel_classification
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures, StandardScaler

import plainnet as pn
from plainnet import sklearn as ours
from plainnet.sklearn import from_sklearn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

TASKS = ["binary", "multiclass", "multilabel", "regression", "two outputs", "poisson"]


def task(name):
    """The kind of estimator, its own parameters, and data."""
    if name == "binary":
        return "MLPClassifier", {}, *load_breast_cancer(return_X_y=True)
    if name == "multiclass":
        x, y = load_iris(return_X_y=True)
        return "MLPClassifier", {}, x, y + 10
    if name == "multilabel":
        return "MLPClassifier", {}, *make_multilabel_classification(100, 5, n_classes=3, random_state=0)
    x, y = load_diabetes(return_X_y=True)
    y = {"regression": y / 100, "two outputs": np.column_stack([y / 100, x[:, 0]]), "poisson": np.rint(y / 50)}[name]
    return "MLPRegressor", {"loss": "poisson"} if name == "poisson" else {}, x, y


def outputs(estimator, x):
    return getattr(estimator, "predict_proba", estimator.predict)(x)


@pytest.mark.parametrize("settings", [
    {"solver": "adam"}, {"solver": "sgd", "activation": "tanh"}, {"solver": "lbfgs", "activation": "logistic"},
    {"early_stopping": True, "hidden_layer_sizes": (5, 4), "activation": "identity"},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("name", TASKS)
def test_models_move_both_ways(name, settings):
    kind, own, x, y = task(name)
    x = StandardScaler().fit_transform(x)
    there = getattr(theirs, kind)(random_state=0, max_iter=5, **own, **settings).fit(x, y)
    here = from_sklearn(there)
    assert type(here) is getattr(ours, kind)
    back = here.to_sklearn()
    assert type(back) is type(there)
    for model in (here, back):
        np.testing.assert_allclose(outputs(model, x), outputs(there, x), rtol=1e-12, atol=1e-14)
        np.testing.assert_array_equal(
            model.predict(x) if kind == "MLPClassifier" else 0, there.predict(x) if kind == "MLPClassifier" else 0
        )
        assert model.score(x, y) == pytest.approx(there.score(x, y), rel=1e-12)
        for attribute in ("n_iter_", "t_", "loss_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
            assert getattr(model, attribute) == getattr(there, attribute)
        assert getattr(model, "loss_curve_", None) == getattr(there, "loss_curve_", None)
    assert back.get_params() == there.get_params()


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("name", TASKS)
def test_training_goes_on_where_scikit_learn_left_it(name, solver):
    kind, own, x, y = task(name)
    x = StandardScaler().fit_transform(x)
    settings = {"solver": solver, "learning_rate": "invscaling", "max_iter": 5, "random_state": 0}
    there = getattr(theirs, kind)(**settings, **own).fit(x, y)
    here = from_sklearn(there)
    for model in (there, here):
        for _ in range(3):
            model.partial_fit(x, y)
    np.testing.assert_allclose(outputs(here, x), outputs(there, x), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(here.loss_curve_, there.loss_curve_, rtol=1e-9)


def test_moved_model_is_a_copy():
    x, y = load_iris(return_X_y=True)
    there = theirs.MLPClassifier(max_iter=2, random_state=0).fit(x, y)
    expected = there.predict_proba(x)
    here = from_sklearn(there)
    here.partial_fit(x, y)
    back = here.to_sklearn()
    np.testing.assert_array_equal(there.predict_proba(x), expected)
    back.coefs_[0][:] = 0
    assert here.network_.layers[0].weight.any()
    assert len(there.loss_curve_) == 2


def test_moved_model_may_be_trained_by_scikit_learn():
    x, y = load_iris(return_X_y=True)
    here = ours.MLPClassifier(random_state=0, max_iter=5, warm_start=True).fit(x, y)
    there = here.to_sklearn()
    for model in (here, there):
        model.fit(x, y)
    np.testing.assert_allclose(here.predict_proba(x), there.predict_proba(x), rtol=1e-9)
    there.partial_fit(x, y)


def test_float32_stays_float32():
    x, y = load_iris(return_X_y=True)
    x = x.astype(np.float32)
    there = theirs.MLPClassifier(max_iter=2, random_state=0).fit(x, y)
    here = from_sklearn(there)
    assert here.network_.dtype == np.float32
    np.testing.assert_allclose(here.predict_proba(x), there.predict_proba(x), rtol=1e-5)


def test_what_scikit_learn_lacks_is_refused_or_named():
    x, y = load_iris(return_X_y=True)
    for settings, message in [
        ({"activation": "gelu"}, "has one activation for all hidden layers"),
        ({"activation": ["relu", "tanh"], "hidden_layer_sizes": (3, 3)}, "has one activation for all hidden layers"),
    ]:
        with pytest.raises(ValueError, match=message):
            ours.MLPClassifier(max_iter=1, **settings).fit(x, y).to_sklearn()
    with pytest.raises(ValueError, match="has the losses 'squared_error' and 'poisson', and this estimator has"):
        ours.MLPRegressor("huber", max_iter=1).fit(x, y).to_sklearn()
    here = ours.MLPClassifier((4, 3), ["tanh", "tanh"], max_iter=1, dropout=0.1, solver=pn.RMSprop()).fit(x, y)
    with pytest.warns(UserWarning, match=r"no parameters for dropout=0.1, solver=RMSprop\("):
        there = here.to_sklearn()
    assert (there.activation, there.solver) == ("tanh", "adam")
    np.testing.assert_allclose(there.predict_proba(x), here.predict_proba(x), rtol=1e-12)


def test_exchange_needs_a_fitted_model():
    with pytest.raises(NotFittedError):
        from_sklearn(theirs.MLPClassifier())
    with pytest.raises(NotFittedError):
        ours.MLPClassifier().to_sklearn()
    with pytest.raises(TypeError, match=r"must be an MLPClassifier, MLPRegressor or Pipeline .*, not Ridge"):
        from_sklearn(Ridge())


# ---- Pipelines -------------------------------------------------------------------------------------------------------

SCALERS = {
    "standard": [StandardScaler()],
    "without mean": [StandardScaler(with_mean=False)],
    "without deviation": [StandardScaler(with_std=False)],
    "range": [MinMaxScaler((-1, 2))],
    "two": [MinMaxScaler(), "passthrough", StandardScaler()],
    "none": [],
}


@pytest.mark.parametrize("scalers", SCALERS)
@pytest.mark.parametrize("library", [ours, theirs], ids=["ours", "theirs"])
@pytest.mark.parametrize("name", TASKS)
def test_pipeline_becomes_one_network(name, library, scalers):
    kind, own, x, y = task(name)
    if scalers in ("none", "without mean", "without deviation"):
        x = x / np.abs(x).max(axis=0)
    steps = [scaler if isinstance(scaler, str) else scaler.set_params() for scaler in SCALERS[scalers]]
    estimator = getattr(library, kind)(activation="tanh", random_state=0, max_iter=5, **own)
    pipeline = make_pipeline(*steps, estimator).fit(x, y)
    network = from_sklearn(pipeline)
    assert isinstance(network, pn.Network)
    expected = outputs(pipeline, x).reshape(len(x), -1)
    if name == "binary":
        expected = expected[:, 1:]
    actual = np.exp(network.predict(x)) if name == "poisson" else network.predict(x)
    # The scaling is folded in: its mean, up to 100 times the scale in breast_cancer, is rounded in another order.
    np.testing.assert_allclose(actual, expected, rtol=1e-11, atol=1e-13)


def test_pipeline_with_another_step_is_refused():
    x, y = load_iris(return_X_y=True)
    for steps, message in [
        ((PolynomialFeatures(), ours.MLPClassifier(max_iter=1)), "step 'polynomialfeatures' of the pipeline is a Poly"),
        ((MinMaxScaler(clip=True), ours.MLPClassifier(max_iter=1)), r"MinMaxScaler\(clip=True\), which is not linear"),
        ((StandardScaler(), Ridge()), "the last step of the pipeline must be an MLP, not Ridge"),
    ]:
        pipeline = make_pipeline(*steps).fit(x, y)
        with pytest.raises(TypeError, match=message):
            from_sklearn(pipeline)
    with pytest.raises(NotFittedError):
        from_sklearn(make_pipeline(StandardScaler(), ours.MLPClassifier()))
