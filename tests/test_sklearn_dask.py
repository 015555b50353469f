"""The estimators on a Dask cluster: two worker processes on this machine, whose memory is limited."""

import os
from contextlib import contextmanager

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("distributed")
pytest.importorskip("dask.array")

import dask
import dask.array as da
import distributed
from joblib import parallel_backend, parallel_config
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import plainnet as pn
from plainnet.sklearn import MLPClassifier, MLPRegressor

import pages

#: Short runs do not converge. Warnings of Dask itself are not about what is tested here.
pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

IRIS = load_iris(return_X_y=True)
MEMORY_LIMIT = 450_000_000
N_ROWS, N_FEATURES, BLOCK_ROWS = 1_000_000, 128, 20_000

PAGE = "how_to/cluster.md"

needs_proc = pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads memory figures in /proc")


@contextmanager
def two_workers(directory):
    """The client of a cluster of two processes."""
    with (
        distributed.LocalCluster(
            n_workers=2, processes=True, threads_per_worker=1, dashboard_address=":0", memory_limit=MEMORY_LIMIT,
            local_directory=str(directory),
        ) as cluster,
        distributed.Client(cluster) as client,
    ):  # fmt: skip
        yield client


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with two_workers(tmp_path_factory.mktemp("dask")) as client:
        yield client


@pytest.fixture
def new_client(tmp_path):
    """That of new processes, whose memory figures are of a single test."""
    with two_workers(tmp_path) as client:
        yield client


# ---- Many models -----------------------------------------------------------------------------------------------------


def process_id(estimator, x, y):
    """As a score, it tells which process has computed it."""
    return os.getpid()


class Witness(MLPClassifier):
    """Notes in which process it was fitted."""

    def fit(self, X, y, sample_weight=None):
        self.process_ = os.getpid()
        return super().fit(X, y, sample_weight)


def test_cluster_has_two_worker_processes(client):
    workers = client.run(os.getpid)
    assert len(set(workers.values())) == 2
    assert os.getpid() not in workers.values()


def test_grid_search_on_the_cluster_has_the_results_of_a_local_one(client):
    pipeline = make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=20, random_state=0))
    grid = {
        "mlpclassifier__alpha": [1e-4, 1.0],
        "mlpclassifier__solver": ["adam", "sgd", "lbfgs"],
        "mlpclassifier__early_stopping": [False, True],
    }

    def search():
        return GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(*IRIS)

    expected = search()
    with parallel_backend("dask"):
        result = search()
    scores = [name for name in expected.cv_results_ if name.endswith("test_score")]
    assert len(scores) == 3 + 3
    for name in scores:
        np.testing.assert_array_equal(result.cv_results_[name], expected.cv_results_[name], name)
    assert result.best_params_ == expected.best_params_
    np.testing.assert_array_equal(result.predict_proba(IRIS[0]), expected.predict_proba(IRIS[0]))


def test_networks_of_the_cluster_have_the_bits_of_local_ones(client):
    """Fitted on both workers, and returned as they are."""
    arguments = Witness((64, 64), max_iter=5, random_state=0), *IRIS
    expected = cross_validate(*arguments, cv=8, return_estimator=True)["estimator"]
    with parallel_config("dask"):
        result = cross_validate(*arguments, cv=8, return_estimator=True)["estimator"]
    assert {estimator.process_ for estimator in result} <= set(client.run(os.getpid).values())
    for one, other in zip(result, expected, strict=True):
        np.testing.assert_array_equal(one.network_.parameters, other.network_.parameters)
        one.partial_fit(*IRIS)
        other.partial_fit(*IRIS)
        np.testing.assert_array_equal(one.network_.parameters, other.network_.parameters)


def test_ensemble_of_the_cluster_has_the_bits_of_a_local_one(client):
    ensemble = BaggingClassifier(MLPClassifier((8,), max_iter=20), 6, random_state=0)
    expected = ensemble.fit(*IRIS).predict_proba(IRIS[0])
    with parallel_config("dask"):
        result = ensemble.fit(*IRIS)
    np.testing.assert_allclose(result.predict_proba(IRIS[0]), expected, rtol=1e-14)  # sums of jobs round otherwise


def test_five_lines_take_a_search_to_the_cluster(client):
    lines = pages.block(PAGE, "py", after="cluster")
    assert lines.count("\n") == 5
    grid = {"alpha": [0.1, 0.2, 0.3, 0.4]}
    search = GridSearchCV(MLPClassifier((8,), max_iter=5, random_state=0), grid, cv=5, scoring=process_id)
    names = {"search": search, "x": IRIS[0], "y": IRIS[1]}
    exec(lines.replace("tcp://scheduler:8786", client.scheduler.address), names)
    names["client"].close()
    processes = {search.cv_results_[f"split{split}_test_score"][i] for split in range(5) for i in range(4)}
    assert processes <= set(client.run(os.getpid).values())


def test_error_on_the_cluster_is_that_of_a_local_run(client):
    search = GridSearchCV(MLPClassifier(), {"batch_size": [10, "many"]}, cv=2, error_score="raise")
    with parallel_config("dask"), pytest.raises(ValueError, match="batch_size"):
        search.fit(*IRIS)


def test_worker_of_the_cluster_has_one_thread(client):
    """Dask starts its workers with OMP_NUM_THREADS=1, as it runs a task for each of their threads."""
    assert set(client.run(pn.num_threads).values()) == {1}


# ---- One model, more data than memory --------------------------------------------------------------------------------


def made_up_data():
    """x, which is larger than the memory of both workers, and whether a product of two columns is above 0; all lazy."""
    x = da.random.default_rng(0).standard_normal((N_ROWS, N_FEATURES), chunks=(BLOCK_ROWS, N_FEATURES))
    return x, (x[:, 0] * x[:, 1] > 0).astype(int)


def megabytes(name):
    """A figure of this process: "VmHWM" is the most memory so far that was resident, "VmRSS" what is now."""
    with open("/proc/self/status") as file:
        (line,) = (line for line in file if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024 / 1e6


def partial_fit(model, x, y, classes):
    return model.partial_fit(x, y, classes=classes)


def in_one_task(client, model, x, y):
    """A worker makes block after block, and trains with it: what the page shows."""
    names = {"__name__": "__main__", "client": client, "MLPClassifier": MLPClassifier}
    exec(pages.block(PAGE, "py", after="blocks"), names)
    assert (names["x"].name, names["y"].name) == (x.name, y.name)  # the same data
    return names["model"]


def in_a_chain_of_tasks(client, model, x, y):
    """The workers make blocks, and hand the model on: as Incremental of dask-ml does."""
    model = dask.delayed(model)
    for x_block, y_block in zip(x.to_delayed().ravel(), y.to_delayed().ravel(), strict=True):
        model = dask.delayed(partial_fit)(model, x_block, y_block, [0, 1])
    return client.compute(model).result()


def in_the_client(client, model, x, y):
    """The workers make blocks, and the client trains with them."""
    for x_block, y_block in zip(x.blocks, y.blocks, strict=True):
        model.partial_fit(*dask.compute(x_block, y_block), classes=[0, 1])
    return model


@pytest.fixture(scope="module")
def expected():
    """What a loop over the blocks in this process makes, without Dask's scheduler."""
    model = MLPClassifier((32,), random_state=0)
    for x_block, y_block in zip(*(array.blocks for array in made_up_data()), strict=True):
        model.partial_fit(*dask.compute(x_block, y_block, scheduler="synchronous"), classes=[0, 1])
    return model


@needs_proc
@pytest.mark.parametrize("train", [in_one_task, in_a_chain_of_tasks, in_the_client])
def test_training_by_blocks_needs_less_memory_than_the_data(new_client, expected, train, capsys):
    x, y = made_up_data()
    assert x.nbytes > 2 * MEMORY_LIMIT
    before = new_client.run(megabytes, "VmRSS").values()
    model = train(new_client, MLPClassifier((32,), random_state=0), x, y)
    peaks = new_client.run(megabytes, "VmHWM").values()
    with capsys.disabled():
        print(
            f"\n{x.nbytes / 1e6:.0f} MB in blocks of {x.blocks[0].nbytes / 1e6:.0f} MB, workers limited to "
            f"{MEMORY_LIMIT / 1e6:.0f} MB, {train.__name__.replace('_', ' ')}: "
            f"peak of the workers {' and '.join(f'{peak:.0f}' for peak in peaks)} MB, "
            f"{' and '.join(f'{number:.0f}' for number in before)} MB before"
        )
    assert max(peaks) * 1e6 < MEMORY_LIMIT
    np.testing.assert_array_equal(model.network_.parameters, expected.network_.parameters)
    assert model.loss_curve_ == expected.loss_curve_
    assert len(model.loss_curve_) == N_ROWS // BLOCK_ROWS
    assert model.loss_curve_[-1] < model.loss_curve_[0] / 4  # and it has learned


def test_several_models_learn_from_the_blocks_at_once(client):
    """A task for each value of a parameter, on both workers."""
    rng = np.random.default_rng(0)
    x = da.from_array(rng.standard_normal((3000, 5)), chunks=(500, 5))
    y = x.sum(axis=1)

    def train(alpha):
        model = MLPRegressor(hidden_layer_sizes=(8,), alpha=alpha, random_state=0)
        for x_block, y_block in zip(x.blocks, y.blocks, strict=True):
            model.partial_fit(*dask.compute(x_block, y_block, scheduler="synchronous"))
        return model

    alphas = [1e-4, 1e-2, 1.0, 100.0]
    for alpha, model in zip(alphas, client.gather(client.map(train, alphas)), strict=True):
        np.testing.assert_array_equal(model.network_.parameters, train(alpha).network_.parameters)
