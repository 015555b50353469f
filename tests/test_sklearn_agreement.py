"""
plainnet's estimators beside scikit-learn's: the same settings and seed, the same losses, weights and predictions.

    python tests/test_sklearn_agreement.py          # prints a table of the largest differences
"""

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")
from scipy.sparse import csc_matrix, csr_matrix
from sklearn import neural_network as theirs
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    make_multilabel_classification,
    make_regression,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

from plainnet import sklearn as ours

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

#: Both compute in float64, in other orders: what differs is rounding, which steps amplify.
TOLERANCE = 1e-7

ACTIVATIONS = ["relu", "tanh", "logistic", "identity"]

STOCHASTIC = {
    "adam": {"solver": "adam"},
    "adam of its own": {"solver": "adam", "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-3, "learning_rate_init": 0.01},
    "sgd": {"solver": "sgd"},
    "without Nesterov": {"solver": "sgd", "nesterovs_momentum": False},
    "without momentum": {"solver": "sgd", "momentum": 0.0, "nesterovs_momentum": True},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.1},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 1e-2},
}


def load(name):
    """The data set of this name, and the class of its estimators; "scaled" has its columns (and targets) scaled."""
    loaders = {"digits": load_digits, "iris": load_iris, "breast_cancer": load_breast_cancer, "diabetes": load_diabetes}
    which, _, how = name.partition(" ")
    x, y = loaders[which](return_X_y=True)
    if how == "scaled":
        x = StandardScaler().fit_transform(x)
        y = (y - y.mean()) / y.std() if which == "diabetes" else y
    if which == "digits":  # a part, as scikit-learn takes long
        x, y = x[:500], y[:500]
    return "MLPRegressor" if which == "diabetes" else "MLPClassifier", x, y


def fitted(kind, x, y, sample_weight=None, **parameters):
    """The estimators of both libraries, ours first."""
    parameters = {"max_iter": 50, "random_state": 0, **parameters}
    return tuple(getattr(library, kind)(**parameters).fit(x, y, sample_weight) for library in (ours, theirs))


def largest_difference(actual, expected):
    """Relative to the largest entry."""
    actual, expected = np.asarray(actual, float), np.asarray(expected, float)
    assert actual.shape == expected.shape
    np.testing.assert_array_equal(np.isinf(actual), np.isinf(expected))
    actual, expected = actual[np.isfinite(expected)], expected[np.isfinite(expected)]
    return np.max(np.abs(actual - expected)) / np.max(np.abs(expected))


def assert_agree(mine, other, x, tolerance=TOLERANCE):
    assert mine.n_iter_ == other.n_iter_
    assert mine.t_ == other.t_
    assert mine.out_activation_ == other.out_activation_
    assert (mine.n_layers_, mine.n_outputs_, mine.n_features_in_) == (
        other.n_layers_, other.n_outputs_, other.n_features_in_,
    )  # fmt: skip
    for name in ("coefs_", "intercepts_"):
        for actual, expected in zip(getattr(mine, name), getattr(other, name), strict=True):
            assert actual.dtype == expected.dtype
            assert largest_difference(actual, expected) <= tolerance, name
    assert hasattr(mine, "loss_curve_") == hasattr(other, "loss_curve_")
    for name in ("loss_", "loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_"):
        expected = getattr(other, name, None)
        if expected is None:
            assert getattr(mine, name, None) is None
        else:
            np.testing.assert_allclose(getattr(mine, name), expected, rtol=tolerance, atol=1e-13, err_msg=name)
    for name in ("predict_proba", "predict_log_proba", "predict"):
        if hasattr(other, name):
            with np.errstate(divide="ignore"):  # the logarithm of a probability that is 0
                actual, expected = getattr(mine, name)(x), getattr(other, name)(x)
            assert actual.dtype == expected.dtype
            if expected.dtype.kind == "f":
                assert largest_difference(actual, expected) <= max(tolerance, 1e-7), name
            else:
                np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("how", STOCHASTIC)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", ["iris", "iris scaled", "diabetes scaled"])
def test_stochastic_training_agrees(name, activation, how):
    kind, x, y = load(name)
    assert_agree(*fitted(kind, x, y, activation=activation, **STOCHASTIC[how]), x)


@pytest.mark.slow
@pytest.mark.parametrize("how", STOCHASTIC)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", ["digits", "breast_cancer scaled", "diabetes"])
def test_stochastic_training_agrees_on_larger_data(name, activation, how):
    kind, x, y = load(name)
    assert_agree(*fitted(kind, x, y, activation=activation, **STOCHASTIC[how]), x)


# Raw columns of breast_cancer reach 4000. Where tanh is flat, a change of the data in their last bit is enough for
# scikit-learn's own results to differ by 0.2 after 50 epochs. And scikit-learn takes the loss of a wrong prediction
# from 1 - p, which keeps few digits of a probability p that is almost 1.
@pytest.mark.slow
@pytest.mark.parametrize("how", STOCHASTIC)
@pytest.mark.parametrize("activation", ["relu", "identity"])
def test_stochastic_training_agrees_on_raw_columns(activation, how):
    kind, x, y = load("breast_cancer")
    mine, other = fitted(kind, x, y, activation=activation, **STOCHASTIC[how])
    assert mine.n_iter_ == other.n_iter_
    for actual, expected in zip(mine.coefs_ + mine.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        assert largest_difference(actual, expected) <= TOLERANCE
    np.testing.assert_array_equal(mine.predict(x), other.predict(x))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", ["iris scaled", "diabetes scaled"])
def test_lbfgs_agrees(name, activation):
    kind, x, y = load(name)
    # L-BFGS divides by differences of gradients, which amplifies rounding more than a step does.
    assert_agree(*fitted(kind, x, y, activation=activation, solver="lbfgs", max_iter=15), x, 1e-6)


@pytest.mark.parametrize("name", ["digits", "breast_cancer scaled"])
def test_lbfgs_finds_the_same_optimum(name):
    kind, x, y = load(name)
    # Without bends between the layers, and with a penalty, all local minima have the same loss.
    settings = {"solver": "lbfgs", "activation": "identity", "hidden_layer_sizes": (10,), "alpha": 1.0}
    mine, other = fitted(kind, x, y, max_iter=2000, **settings)
    np.testing.assert_allclose(mine.loss_, other.loss_, rtol=1e-4)
    assert mine.score(x, y) == pytest.approx(other.score(x, y), abs=0.01)


@pytest.mark.parametrize("batch_size", [1, 7, 150, "auto"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_batches_agree(batch_size, shuffle):
    kind, x, y = load("iris scaled")
    assert_agree(*fitted(kind, x, y, batch_size=batch_size, shuffle=shuffle, max_iter=10), x)


@pytest.mark.parametrize("sizes", [3, (5,), [8, 4], (6, 5, 4), ()])
def test_hidden_layers_agree(sizes):
    kind, x, y = load("iris scaled")
    assert_agree(*fitted(kind, x, y, hidden_layer_sizes=sizes, activation="logistic"), x)


@pytest.mark.parametrize("alpha", [0.0, 1e-4, 3.0])
@pytest.mark.parametrize("name", ["iris scaled", "diabetes scaled"])
def test_penalty_agrees(name, alpha):
    kind, x, y = load(name)
    assert_agree(*fitted(kind, x, y, alpha=alpha, batch_size=40, max_iter=20), x)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("n_out", [1, 3])
def test_regression_losses_agree(loss, n_out, solver):
    x, y = make_regression(120, 5, n_targets=n_out, random_state=1)
    x, y = x[:, :5], np.abs(y) / np.abs(y).max() * 5
    tolerance = 1e-5 if solver == "lbfgs" else TOLERANCE  # as above
    settings = {"loss": loss, "solver": solver, "max_iter": 15, "alpha": 0.1, "batch_size": 32}
    assert_agree(*fitted("MLPRegressor", x, y, **settings), x, tolerance)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "one output", "three outputs", "poisson"])
def test_sample_weight_agrees(kind, solver):
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(90, 4)), rng.integers(0, 4, 90) / 2
    y = {
        "binary": x[:, 0] > 0, "multiclass": np.digitize(x[:, 0], [-0.5, 0.5]),
        "multilabel": (x[:, :3] > 0).astype(int), "one output": x[:, 0] ** 2, "three outputs": x[:, :3] ** 2,
        "poisson": rng.poisson(2, 90),
    }[kind]  # fmt: skip
    estimator = "MLPClassifier" if kind in ("binary", "multiclass", "multilabel") else "MLPRegressor"
    loss = {"loss": "poisson"} if kind == "poisson" else {}
    settings = {"solver": solver, "max_iter": 15, "batch_size": 32, "alpha": 0.1, **loss}
    assert_agree(*fitted(estimator, x, y, weight, **settings), x, 1e-5 if solver == "lbfgs" else TOLERANCE)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ["iris scaled", "breast_cancer scaled", "diabetes scaled"])
def test_early_stopping_agrees(name, weighted):
    kind, x, y = load(name)
    weight = np.random.default_rng(0).integers(1, 3, len(x)) if weighted else None
    settings = {"early_stopping": True, "n_iter_no_change": 3, "tol": 1e-3, "learning_rate_init": 0.01}
    mine, other = fitted(kind, x, y, weight, max_iter=40, **settings)
    assert mine.best_loss_ is None
    assert len(mine.validation_loss_curve_) == len(mine.validation_scores_) == mine.n_iter_
    assert_agree(mine, other, x)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_multilabel_agrees(solver):
    x, y = make_multilabel_classification(80, 6, n_classes=4, random_state=0)
    settings = {"solver": solver, "max_iter": 15, "early_stopping": solver == "adam"}
    assert_agree(*fitted("MLPClassifier", x, y, **settings), x, 1e-5 if solver == "lbfgs" else TOLERANCE)


@pytest.mark.parametrize("is_large", [False, True])
@pytest.mark.parametrize("matrix", [csr_matrix, csc_matrix])
@pytest.mark.parametrize("settings", [{"solver": "adam"}, {"solver": "lbfgs"}, {"early_stopping": True}], ids=str)
def test_sparse_data_agree(matrix, settings, is_large, monkeypatch):
    if is_large:  # than 50 rows
        monkeypatch.setattr("plainnet.sklearn.blocks.LARGE_BYTES", 50 * 64 * 8)
    _, x, y = load("digits")
    x = matrix(x[:170])
    mine, other = fitted("MLPClassifier", x, y[:170], max_iter=10, batch_size=30, **settings)
    assert_agree(mine, other, x, 1e-5 if "solver" in settings and settings["solver"] == "lbfgs" else TOLERANCE)
    np.testing.assert_allclose(mine.predict_proba(x), mine.predict_proba(x.toarray()), rtol=1e-12)


def test_labels_may_be_strings():
    _, x, y = load("iris scaled")
    labels = np.array(["setosa", "versicolor", "virginica"], dtype=object)[y]
    mine, other = fitted("MLPClassifier", x, labels, max_iter=20)
    assert_agree(mine, other, x)
    np.testing.assert_array_equal(mine.classes_, other.classes_)
    stopped, numbers = (  # of which scikit-learn was not capable before 1.9
        ours.MLPClassifier(max_iter=20, early_stopping=True, random_state=0).fit(x, targets) for targets in (labels, y)
    )
    assert stopped.validation_scores_ == numbers.validation_scores_
    mine, other = fitted("MLPClassifier", x, labels == "setosa", max_iter=20)
    assert_agree(mine, other, x)


@pytest.mark.parametrize("name", ["iris scaled", "diabetes scaled"])
def test_float32_agrees_as_far_as_it_can(name):
    kind, x, y = load(name)
    # Each step rounds to 24 bits in either library, in another order.
    assert_agree(*fitted(kind, x.astype(np.float32), y, max_iter=20), x.astype(np.float32), 1e-3)


def test_predictions_have_the_dtype_of_scikit_learn():
    kind, x, y = load("diabetes scaled")
    for of_fit in (np.float32, np.float64):
        mine, other = fitted(kind, x.astype(of_fit), y, max_iter=2)
        for of_call in (np.float32, np.float64, np.int64):
            assert mine.predict(x.astype(of_call)).dtype == other.predict(x.astype(of_call)).dtype


@pytest.mark.parametrize("learning_rate", ["constant", "invscaling", "adaptive"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("name", ["iris scaled", "diabetes scaled"])
def test_partial_fit_agrees(name, solver, learning_rate):
    kind, x, y = load(name)
    settings = {"solver": solver, "learning_rate": learning_rate, "n_iter_no_change": 1, "tol": 1e-2, "batch_size": 20}
    estimators = [getattr(library, kind)(random_state=3, **settings) for library in (ours, theirs)]
    for _ in range(5):
        for block in np.array_split(np.arange(len(x)), 3):
            for estimator in estimators:
                classes = {"classes": np.unique(y)} if kind == "MLPClassifier" else {}
                estimator.partial_fit(x[block], y[block], **classes)
    assert_agree(*estimators, x)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_partial_fit_after_fit_agrees(solver):
    kind, x, y = load("iris scaled")
    estimators = fitted(kind, x, y, solver=solver, max_iter=5, learning_rate="invscaling")
    for estimator in estimators:
        estimator.partial_fit(x[::2], y[::2])
    assert_agree(*estimators, x)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_warm_start_agrees(solver, early_stopping):
    kind, x, y = load("iris scaled")
    estimators = fitted(
        kind, x, y, solver=solver, max_iter=5, warm_start=True, early_stopping=early_stopping,
        learning_rate="invscaling",
    )  # fmt: skip
    for estimator in estimators:
        estimator.set_params(max_iter=7, alpha=0.5)
        estimator.fit(x, y)
    assert_agree(*estimators, x, 1e-5 if solver == "lbfgs" else TOLERANCE)


def test_random_state_is_left_where_scikit_learn_leaves_it():
    kind, x, y = load("iris scaled")
    after = []
    for library in (ours, theirs):
        for batch_size in (20, 200):
            state = np.random.RandomState(5)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                getattr(library, kind)(random_state=state, max_iter=3, batch_size=batch_size).fit(x, y)
            after.append(state.randint(2**31))
    assert after[:2] == after[2:]


def test_shuffled_in_place_is_the_composition_of_scikit_learn():
    from sklearn.utils import shuffle

    mine, other = np.random.RandomState(1), np.random.RandomState(1)
    order, expected = np.arange(101, dtype=np.uintp), np.arange(101)
    for _ in range(5):
        mine.shuffle(order)
        expected = shuffle(expected, random_state=other)
        np.testing.assert_array_equal(order, expected)


@pytest.mark.parametrize("settings", [
    {"tol": 0.5, "solver": "sgd", "max_iter": 100},
    {"tol": 0.5, "solver": "sgd", "max_iter": 300, "learning_rate": "adaptive"},
    {"early_stopping": True, "tol": 0.1, "n_iter_no_change": 2, "max_iter": 30},
    {"max_iter": 3},
], ids=str)  # fmt: skip
def test_verbose_lines_are_those_of_scikit_learn(settings, capsys):
    kind, x, y = load("iris scaled")
    printed = []
    for library in (ours, theirs):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            getattr(library, kind)(random_state=0, verbose=True, **settings).fit(x, y)
        messages = [(warning.category, str(warning.message)) for warning in caught]
        printed.append((capsys.readouterr().out, messages))
    assert printed[0] == printed[1]
    assert "Iteration 1, loss = " in printed[0][0]


def test_warnings_and_errors_are_those_of_scikit_learn():
    kind, x, y = load("iris scaled")
    for settings, of_fit in [
        ({"max_iter": 1, "batch_size": 1000}, (x, y)),
        ({"activation": "none"}, (x, y)),
        ({"alpha": -1}, (x, y)),
        ({"hidden_layer_sizes": (3, -1)}, (x, y)),
        ({"early_stopping": True}, (x[:4], y[:4])),
        ({}, (x, y[:10])),
        ({}, (x * np.nan, y)),
        ({}, (x, y.astype(float) + 0.5)),
    ]:
        outcomes = []
        for library in (ours, theirs):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                try:
                    getattr(library, kind)(**settings).fit(*of_fit)
                    error = None
                except ValueError as raised:
                    error = type(raised), str(raised).split(" must be ")[0]  # we allow more
            outcomes.append((error, [(item.category, str(item.message)) for item in caught]))
        assert outcomes[0] == outcomes[1]
        assert outcomes[0] != (None, [])


def test_lbfgs_warns_as_scikit_learn_does():
    kind, x, y = load("iris scaled")
    for library in (ours, theirs):
        with pytest.warns(ConvergenceWarning, match=r"^lbfgs failed to converge after 2 iteration\(s\) \(status=1\):"):
            getattr(library, kind)(solver="lbfgs", max_iter=2).fit(x, y)


# ---- The table -------------------------------------------------------------------------------------------------------


def differences(mine, other, x):
    """The largest relative differences of losses, weights and predictions, as text; of epochs that both have."""
    weights = zip(mine.coefs_ + mine.intercepts_, other.coefs_ + other.intercepts_, strict=True)
    curves = [getattr(model, "loss_curve_", [model.loss_]) for model in (mine, other)]
    n = min(map(len, curves))
    loss = np.max(np.abs(np.array(curves[0][:n]) / curves[1][:n] - 1))
    outputs = [getattr(model, "predict_proba", model.predict)(x) for model in (mine, other)]
    numbers = loss, max(largest_difference(*pair) for pair in weights), largest_difference(*outputs)
    return " | ".join([f"{mine.n_iter_}, {other.n_iter_}", *(f"{number:.0e}" for number in numbers)])


def print_table():
    """Beside plainnet's difference from scikit-learn is that of scikit-learn from itself, for other last bits of x."""
    solvers = {name: STOCHASTIC[name] for name in ("adam", "sgd")} | {"lbfgs": {"solver": "lbfgs"}}
    columns = "epochs | loss | weights | predictions"
    print(f"| data | activation | solver | {columns} | scikit-learn, last bits: {columns} |")
    print("|---" * 11 + "|")
    names = ["digits", "iris", "iris scaled", "breast_cancer", "breast_cancer scaled", "diabetes", "diabetes scaled"]
    for name in names:
        kind, x, y = load(name)
        bits = x * (1 + np.random.default_rng(0).integers(-1, 2, x.shape) * np.finfo(float).eps)
        for activation in ACTIVATIONS:
            for solver, settings in solvers.items():
                settings = {"activation": activation, "random_state": 0, "max_iter": 50, **settings}
                mine, other = fitted(kind, x, y, **settings)
                moved = getattr(theirs, kind)(**settings).fit(bits, y)
                row = f"{differences(mine, other, x)} | {differences(moved, other, x)}"
                print(f"| {name} | {activation} | {solver} | {row} |", flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print_table()
