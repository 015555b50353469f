"""docs/how_to/scikit_learn.md: its code prints what it shows, and its table has all parameters."""

import inspect
import re

import pytest

pytest.importorskip("sklearn")

import sklearn.neural_network

import plainnet.sklearn

import pages

PAGE = pages.text("how_to/scikit_learn.md")
#: The figures are scikit-learn's own, where it has what the page shows.
PRINTED = """\
0.972 after 349 epochs
right: 0.97
True
0.90 of the rows are below the quantile 0.9
(442, 10) (450, 10, 64)
True
[ True  True  True  True  True  True  True  True  True  True]
plainnet.sklearn.classifier sklearn.neural_network._multilayer_perceptron
True
True
True
"""


def test_page_prints_what_it_says(tmp_path):
    assert pages.run("how_to/scikit_learn.md", tmp_path) == PRINTED


def defaults(*classes):
    return {
        name: parameter.default for kind in classes for name, parameter in inspect.signature(kind).parameters.items()
    }


def test_page_has_every_parameter_with_its_default():
    rows = re.findall(r"^\| `(\w+)` \| `(.*?)` \| (.*?) \|$", PAGE, re.MULTILINE)
    ours = defaults(plainnet.sklearn.MLPClassifier, plainnet.sklearn.MLPRegressor)
    theirs = defaults(sklearn.neural_network.MLPClassifier, sklearn.neural_network.MLPRegressor)
    assert {name: value for name, value, _ in rows} == {name: repr(ours[name]).replace("'", '"') for name in ours}
    assert {name for name, _, what in rows if what.startswith("more")} == ours.keys() - theirs.keys()
    assert {name: ours[name] for name in theirs} == theirs
