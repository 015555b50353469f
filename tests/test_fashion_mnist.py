"""examples/fashion_mnist.py, on made-up images: each class is a brighter row of pixels."""

import gzip
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np

EXAMPLE = Path(__file__).parent.parent / "examples" / "fashion_mnist.py"


def write(path, array):
    """In the format IDX."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    with gzip.open(path, "wb") as file:
        file.write(header + array.tobytes())


def test_example_learns_what_it_is_shown(tmp_path):
    rng = np.random.default_rng(0)
    for name, n in (("train", 600), ("t10k", 100)):
        labels = rng.integers(0, 10, n).astype(np.uint8)
        images = rng.integers(0, 100, (n, 28, 28)).astype(np.uint8)
        images[np.arange(n), labels] += 150
        write(tmp_path / f"{name}-images-idx3-ubyte.gz", images)
        write(tmp_path / f"{name}-labels-idx1-ubyte.gz", labels)
    result = subprocess.run(
        [sys.executable, EXAMPLE, tmp_path, "--epochs", "12", "--seeds", "1", "--plot", tmp_path / "mistakes.png"],
        capture_output=True, text=True, timeout=600, check=True,
    )  # fmt: skip
    assert "seed 0: 100.00% of the test images are right" in result.stdout
    assert "mean 100.00%" in result.stdout


def test_example_says_that_there_is_no_folder(tmp_path):
    result = subprocess.run([sys.executable, EXAMPLE, tmp_path / "none"], capture_output=True, text=True, timeout=600)
    assert result.returncode == 2
    assert result.stderr.endswith("none is no folder: it must hold the four files of Fashion-MNIST\n")
