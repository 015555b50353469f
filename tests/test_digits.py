"""examples/digits.py, where scikit-learn is installed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parent.parent / "examples" / "digits.py"


def test_example_finds_the_digits():
    pytest.importorskip("sklearn", reason="scikit-learn, which has the images, is not installed")
    result = subprocess.run([sys.executable, EXAMPLE], capture_output=True, text=True, timeout=600, check=True)
    shares = [float(share) for share in re.findall(r"([\d.]+)%", result.stdout)]
    assert len(shares) == 6
    assert shares[-1] >= 97.5
