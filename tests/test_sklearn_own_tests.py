"""
scikit-learn's own tests of its multi-layer perceptrons, with the estimators of plainnet.

They are read from the installed scikit-learn, and run with another import.
"""

from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("sklearn")

IMPORT = "from sklearn.neural_network import MLPClassifier, MLPRegressor"

#: Tests that look into private attributes: gradients and their buffers, and the learning rate of the optimizer.
PRIVATE = ("test_fit", "test_gradient", "test_learning_rate_warmstart", "test_adaptive_learning_rate")

#: As in scikit-learn's own configuration, warnings that a test does not expect are no errors.
pytestmark = pytest.mark.filterwarnings("default")

_package = find_spec("sklearn.neural_network")
assert _package is not None
_path = Path(str(_package.origin)).parent / "tests" / "test_mlp.py"
_source = _path.read_text()
assert _source.count(IMPORT) == 1
exec(compile(_source.replace(IMPORT, IMPORT.replace("sklearn.neural_network", "plainnet.sklearn")), _path, "exec"))
for _name in PRIVATE:
    del globals()[_name]  # a KeyError if there is no such test any more


@pytest.fixture
def global_random_seed():
    """scikit-learn's fixture, with its default."""
    return 42


def test_own_tests_are_those_of_scikit_learn():
    names = [name for name in globals() if name.startswith("test_")]
    assert len(names) > 30
    assert globals()["MLPClassifier"].__module__ == "plainnet.sklearn.classifier"
