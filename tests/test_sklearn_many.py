"""
Many estimators at once: scikit-learn's searches and ensembles with jobs in processes and in threads.

All of them have the bits of a single job, and no more threads compute than there is work for.
"""

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from multiprocessing.dummy import DummyProcess

import numpy as np
import pytest

pytest.importorskip("sklearn")

from joblib import dump, load, parallel_config
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import BaggingClassifier, BaggingRegressor, VotingClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import plainnet as pn
from plainnet.sklearn import MLPClassifier, MLPRegressor

#: Short runs do not converge.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

IRIS = load_iris(return_X_y=True)

#: What a program in a process of its own begins with.
PROGRAM = """
import os
import threading
import time
import warnings
import numpy as np
import plainnet as pn
from joblib import Parallel, cpu_count, delayed, parallel_config
from plainnet.sklearn import MLPClassifier
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
warnings.simplefilter("ignore")  # short runs do not converge

def os_threads():
    return len(os.listdir("/proc/self/task"))

def os_threads_at_rest():  # when those of joblib have ended
    while threading.active_count() > 1:
        time.sleep(0.01)
    time.sleep(0.5)
    return os_threads()

rng = np.random.default_rng(0)
x, y = rng.standard_normal((2000, 64)), rng.integers(0, 3, 2000)
wide = MLPClassifier((256, 256), batch_size=500, max_iter=2, random_state=0)
"""

needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts the threads in /proc")


@pytest.fixture(autouse=True)
def jobs_come_to_their_end():
    """Where one fails, joblib's others in threads go on for a while, and change the filters of warnings meanwhile."""
    yield
    for thread in threading.enumerate():
        if isinstance(thread, DummyProcess):  # of a pool of threads
            thread.join(60)
            assert not thread.is_alive()


@pytest.fixture(params=["loky", "threading"])
def two_jobs(request):
    """scikit-learn runs two jobs at a time in a ``with`` block: in processes, or in threads."""
    return parallel_config(request.param, n_jobs=2)


def small(**parameters):
    return MLPClassifier((8,), **{"max_iter": 20, "random_state": 0, **parameters})


def assert_same_network(one, other):
    np.testing.assert_array_equal(one.network_.parameters, other.network_.parameters)
    assert one.loss_curve_ == other.loss_curve_


# ---- The results of one job ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("early_stopping", [False, True])
def test_grid_search_with_two_jobs_has_the_results_of_one(two_jobs, early_stopping):
    pipeline = make_pipeline(StandardScaler(), small(early_stopping=early_stopping))
    grid = {"mlpclassifier__alpha": [1e-4, 1.0], "mlpclassifier__solver": ["adam", "sgd", "lbfgs"]}

    def search():
        return GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(*IRIS)

    expected = search()
    with two_jobs:
        result = search()
    scores = [name for name in expected.cv_results_ if name.endswith("test_score")]
    assert len(scores) == 3 + 3
    for name in scores:
        np.testing.assert_array_equal(result.cv_results_[name], expected.cv_results_[name], name)
    assert result.best_params_ == expected.best_params_
    np.testing.assert_array_equal(result.predict_proba(IRIS[0]), expected.predict_proba(IRIS[0]))


@pytest.mark.parametrize("n_threads", [None, 1, 2])
def test_cross_validation_with_two_jobs_has_the_bits_of_one(two_jobs, n_threads):
    """Networks large enough for the threads of plainnet, too."""
    x, y = load_diabetes(return_X_y=True)
    sizes = {"hidden_layer_sizes": (128, 128), "batch_size": 150}
    regressor = MLPRegressor(**sizes, max_iter=10, random_state=0, n_threads=n_threads)
    expected = cross_validate(regressor, x, y, cv=4, return_estimator=True)
    before = pn.num_threads()
    with two_jobs:
        result = cross_validate(regressor, x, y, cv=4, return_estimator=True)
        scores = cross_val_score(regressor, x, y, cv=4)
    assert pn.num_threads() == before
    np.testing.assert_array_equal(result["test_score"], expected["test_score"])
    np.testing.assert_array_equal(scores, expected["test_score"])
    for one, other in zip(result["estimator"], expected["estimator"], strict=True):
        assert_same_network(one, other)


@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_bagging_with_two_jobs_has_the_bits_of_one(two_jobs, kind):
    ensemble, estimator = {
        "classifier": (BaggingClassifier, MLPClassifier((8,), max_iter=20)),
        "regressor": (BaggingRegressor, MLPRegressor("squared_error", (8,), max_iter=20)),
    }[kind]
    expected = ensemble(estimator, 5, max_features=0.75, random_state=0).fit(*IRIS)
    with two_jobs:
        result = ensemble(estimator, 5, max_features=0.75, random_state=0).fit(*IRIS)
        outputs = result.predict(IRIS[0])
    for one, other in zip(result.estimators_, expected.estimators_, strict=True):
        assert_same_network(one, other)
    assert any((one.coefs_[0] != result.estimators_[0].coefs_[0]).any() for one in result.estimators_)
    # scikit-learn sums the predictions of each job first, so two jobs round otherwise.
    np.testing.assert_allclose(outputs, expected.predict(IRIS[0]), rtol=1e-14)


def test_voting_with_two_jobs_has_the_bits_of_one(two_jobs):
    members = [(solver, small(solver=solver, learning_rate_init=0.01)) for solver in ("adam", "sgd", "lbfgs")]
    expected = VotingClassifier(members, voting="soft").fit(*IRIS)
    with two_jobs:
        result = VotingClassifier(members, voting="soft").fit(*IRIS)
    np.testing.assert_array_equal(result.predict_proba(IRIS[0]), expected.predict_proba(IRIS[0]))
    assert_same_network(result.named_estimators_.adam, expected.named_estimators_.adam)


def test_subclass_that_only_a_function_knows_goes_to_processes():
    """cloudpickle sends the class itself."""

    class Wider(MLPClassifier):
        def fit(self, X, y, sample_weight=None):
            self.hidden_layer_sizes = (11,)
            return super().fit(X, y, sample_weight)

    with parallel_config("loky", n_jobs=2):
        result = cross_validate(Wider(max_iter=3, random_state=0), *IRIS, return_estimator=True)
    assert {estimator.coefs_[0].shape for estimator in result["estimator"]} == {(4, 11)}


# ---- Pickles ---------------------------------------------------------------------------------------------------------


def through_joblib(value, tmp_path):
    dump(value, tmp_path / "value.joblib", compress=3)
    return load(tmp_path / "value.joblib")


@pytest.fixture(params=["pickle", "cloudpickle", "joblib"])
def copied(request, tmp_path):
    """A function that writes a value and reads it."""
    if request.param == "joblib":
        return lambda value: through_joblib(value, tmp_path)
    module = pytest.importorskip(request.param)  # older versions of joblib have a copy of cloudpickle
    return lambda value: pickle.loads(module.dumps(value))


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs", pn.RMSprop(0.01)])
def test_copy_of_a_fitted_estimator_predicts_and_goes_on_with_its_bits(copied, solver):
    estimator = small(solver=solver, warm_start=True).fit(*IRIS)
    copy = copied(estimator)
    assert copy.network_ is not estimator.network_
    np.testing.assert_array_equal(copy.predict_proba(IRIS[0]), estimator.predict_proba(IRIS[0]))
    for each in (estimator, copy):
        each.fit(*IRIS) if solver == "lbfgs" else each.partial_fit(*IRIS)
    assert copy.loss_ == estimator.loss_
    np.testing.assert_array_equal(copy.network_.parameters, estimator.network_.parameters)


def test_copy_of_an_estimator_that_is_not_fitted_has_its_parameters(copied):
    copy = copied(small(dropout=0.25, class_weight={0: 2.0}))
    assert copy.get_params() == small(dropout=0.25, class_weight={0: 2.0}).get_params()
    assert "network_" not in vars(copy)


def test_copy_of_a_network_predicts_and_goes_on_with_its_bits(copied):
    network = small().fit(*IRIS).network_
    copy = copied(network)
    np.testing.assert_array_equal(copy.predict(IRIS[0]), network.predict(IRIS[0]))
    for each in (network, copy):
        each.fit(IRIS[0], IRIS[1].astype(float), epochs=3, batch_size=32)
    np.testing.assert_array_equal(copy.parameters, network.parameters)


# ---- Errors and interruptions ----------------------------------------------------------------------------------------


def test_error_in_a_job_is_that_of_one_job(two_jobs):
    search = GridSearchCV(small(), {"batch_size": [10, "many"]}, cv=2, error_score="raise")
    with pytest.raises(ValueError, match="batch_size") as alone:
        search.fit(*IRIS)
    with two_jobs, pytest.raises(ValueError, match="batch_size") as in_a_pool:
        search.fit(*IRIS)
    assert str(in_a_pool.value) == str(alone.value)


def test_fit_that_diverges_in_a_job_costs_its_score_alone(two_jobs):
    grid = {"learning_rate_init": [0.01, 1e200]}
    search = GridSearchCV(small(solver="sgd"), grid, cv=2, refit=False)
    failed = pytest.warns(FitFailedWarning, match="non-finite parameter weights")
    with two_jobs, failed, pytest.warns(UserWarning, match="One or more of the test scores are non-finite"):
        search.fit(*IRIS)
    assert np.isfinite(search.cv_results_["mean_test_score"]).tolist() == [True, False]
    assert small().fit(*IRIS).n_iter_ == 20  # nothing is left of it


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_search_that_is_interrupted_raises_keyboard_interrupt(backend):
    """SIGINT to all processes at once, as Ctrl-C in a terminal."""
    program = PROGRAM + textwrap.dedent(f"""
        import signal
        signal.signal(signal.SIGINT, signal.default_int_handler)
        endless = MLPClassifier((64,), max_iter=10**9, tol=0, n_iter_no_change=10**9, random_state=0)
        search = GridSearchCV(endless, {{"alpha": [0.1, 0.2, 0.3, 0.4]}}, cv=2)
        print("begins", flush=True)
        try:
            with parallel_config("{backend}", n_jobs=2):
                search.fit(x, y)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
    """)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, cwd="/", env=environment(),
    ) as process:  # fmt: skip
        try:
            assert process.stdout.readline() == "begins\n"
            time.sleep(2)
            os.killpg(process.pid, signal.SIGINT)
            output, errors = process.communicate(timeout=60)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    assert output == "interrupted\n", errors
    assert process.returncode == 0, errors
    end = time.monotonic() + 30
    while is_alive(process.pid):  # the processes of joblib
        assert time.monotonic() < end
        time.sleep(0.1)


def is_alive(group):
    """Whether a group has a process."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


# ---- Threads ---------------------------------------------------------------------------------------------------------


def environment(**variables):
    """The environment without settings of numbers of threads, and with `variables`."""
    free = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    return {**free, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **variables}


def run(program, **variables):
    """What a program prints in a process of its own."""
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM + textwrap.dedent(program)], capture_output=True, text=True, cwd="/",
        env=environment(**variables), timeout=300,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


THREADS_OF_JOBS = """
    def job(number):
        before = os_threads()
        wide.fit(x, y)
        return os.getpid(), pn.num_threads(), os_threads() - before

    with parallel_config("loky", n_jobs=2):
        jobs = Parallel(batch_size=1)(delayed(job)(number) for number in range(8))
    numbers = {n for _, n, _ in jobs}
    workers = {}
    for process, _, threads in jobs:
        workers[process] = workers.get(process, 0) + threads
    assert os.getpid() not in workers
    assert len(numbers) == 1, numbers
    print(*numbers, max(workers.values()), max(1, cpu_count() // 2))
"""


@needs_proc
def test_processes_share_the_cpus_among_their_threads():
    """loky tells its processes how many threads each may use, in OMP_NUM_THREADS."""
    threads, workers, expected = map(int, run(THREADS_OF_JOBS))
    assert threads == expected
    assert workers == threads - 1  # the thread of the job computes, too


@needs_proc
def test_processes_have_as_many_threads_as_the_environment_says():
    threads, workers, _ = map(int, run(THREADS_OF_JOBS, PLAINNET_NUM_THREADS="3"))
    assert (threads, workers) == (3, 2)


@needs_proc
@pytest.mark.parametrize("n_jobs", [2, 4])
def test_threads_share_one_pool(n_jobs):
    """Jobs in threads do not multiply the threads of plainnet: the pool serves one of them at a time."""
    program = f"""
        before = os_threads()
        pn.set_num_threads(3)
        with parallel_config("threading", n_jobs={n_jobs}):
            GridSearchCV(wide, {{"alpha": [0.1, 0.2, 0.3, 0.4]}}, cv=2, refit=False, error_score="raise").fit(x, y)
        print(os_threads_at_rest() - before)
    """
    assert run(program) == ["2"]


@needs_proc
def test_estimators_with_one_thread_start_no_pool_in_threads():
    program = """
        before = os_threads()
        pn.set_num_threads(3)
        one = wide.set_params(n_threads=1)
        with parallel_config("threading", n_jobs=2):
            Parallel()(delayed(clone(one).fit)(x, y) for _ in range(6))
        print(os_threads_at_rest() - before, pn.num_threads())
    """
    assert run(program) == ["0", "3"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="it forks")
def test_process_forked_during_a_fit_has_the_threads_of_its_parent():
    """The limit of a fit in another thread is none of it, and that of its own thread ends as usual."""
    program = """
        from plainnet.sklearn.threads import limited_threads
        pn.set_num_threads(3)
        begun, end = threading.Event(), threading.Event()

        def fit():
            with limited_threads(1):
                begun.set()
                end.wait()

        def in_a_child():
            child = os.fork()
            if child != 0:
                print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
            return child == 0

        thread = threading.Thread(target=fit)
        thread.start()
        begun.wait()
        if in_a_child():
            os._exit(pn.num_threads())
        with limited_threads(2):
            is_child = in_a_child()
        if is_child:
            with limited_threads(5):
                pass
            os._exit(pn.num_threads())
        end.set()
        thread.join()
        print(pn.num_threads())
    """
    assert run(program) == ["3", "3", "3"]
