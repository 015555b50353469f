"""docs/coming_from_scikit_learn.md: its code prints what the page says, and its table has all parameters."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("sklearn")

import sklearn.neural_network

import plainnet.sklearn

PAGE = (Path(__file__).parent.parent / "docs" / "coming_from_scikit_learn.md").read_text()


def test_page_prints_what_it_says(tmp_path):
    parts = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    printed = "".join(re.findall(r"```text\n(.*?)```", PAGE, flags=re.DOTALL))
    assert len(parts) > 5
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "".join(parts)],
        capture_output=True, text=True, cwd=tmp_path, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == printed


def test_page_links_lead_somewhere():
    headings = {
        "#" + re.sub(r"[^a-z -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        assert target in headings or (Path(__file__).parent.parent / "docs" / target).exists(), target


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
