"""examples/diabetes.py, where scikit-learn is installed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parent.parent / "examples" / "diabetes.py"


def test_example_is_as_good_as_ridge_regression():
    pytest.importorskip("sklearn", reason="scikit-learn, which has the data, is not installed")
    result = subprocess.run([sys.executable, EXAMPLE], capture_output=True, text=True, timeout=600, check=True)
    lines = re.findall(r"^(\w[\w ]*\w)  .*  ([\d.]+)  +([\d.]+)$", result.stdout, re.MULTILINE)
    r2 = {name: float(mean) for name, mean, _ in lines}
    assert list(r2) == ["network", "mean of 5 networks", "ridge regression"]
    assert r2["mean of 5 networks"] >= r2["ridge regression"] - 0.01
