"""examples/patches.py, where scikit-learn is installed: a dense layer that is shared over the patches of an image."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import plainnet as pn

pytest.importorskip("sklearn", reason="scikit-learn, which has the images, is not installed")

EXAMPLE = Path(__file__).parent.parent / "examples" / "patches.py"
specification = importlib.util.spec_from_file_location("patches", EXAMPLE)
patches = importlib.util.module_from_spec(specification)
specification.loader.exec_module(patches)

KERNELS = pytest.mark.parametrize("kernels", [pn.kernels, pn.reference], ids=["c", "numpy"])


def small_network(kernels, seed=0):
    return patches.PatchNetwork(kernels, seed, n_filters=3, dtype="float64")


def small_data(n=7):
    rng = np.random.default_rng(1)
    return patches.patches_of(rng.uniform(size=(n, 8, 8))), rng.integers(0, 10, n)


def test_patches_are_the_surroundings_of_each_pixel():
    image = np.random.default_rng(0).uniform(1, 2, (8, 8))
    padded = np.zeros((10, 10))
    padded[1:9, 1:9] = image
    expected = [padded[row : row + 3, column : column + 3].ravel() for row in range(8) for column in range(8)]
    np.testing.assert_array_equal(patches.patches_of(image[np.newaxis])[0], expected)


@KERNELS
def test_gradient_is_the_derivative_of_the_loss(kernels):
    net, (x, labels) = small_network(kernels), small_data()
    _, gradient = net.loss_and_gradient(x, labels)
    for parameter, slopes in zip(net.parameters, gradient):
        numeric = np.empty_like(parameter)
        for index in np.ndindex(parameter.shape):
            value, losses = parameter[index], []
            for shifted in (value + 1e-6, value - 1e-6):
                parameter[index] = shifted
                losses.append(net.loss_and_gradient(x, labels)[0])
            parameter[index] = value
            numeric[index] = (losses[0] - losses[1]) / 2e-6
        # Losses near 2, exact to 1e-16, over 2e-6: to some 1e-10.
        np.testing.assert_allclose(slopes, numeric, rtol=1e-6, atol=1e-8)
        assert np.abs(slopes).max() > 1e-3


def test_c_and_numpy_learn_the_same():
    x, labels = small_data(50)
    nets = [small_network(kernels) for kernels in (pn.kernels, pn.reference)]
    losses = [net.fit(x, labels, epochs=5, batch_size=16) for net in nets]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-11)
    for c, numpy in zip(nets[0].parameters, nets[1].parameters):
        # Adam divides by the slopes' size: of tiny slopes, rounding errors become larger than elsewhere.
        np.testing.assert_allclose(c, numpy, rtol=1e-8, atol=1e-10)
    assert losses[0][-1] < losses[0][0]


def test_example_learns_a_part_of_the_digits():
    x, labels = patches.load()
    net = patches.PatchNetwork(pn.kernels, 0, n_filters=32)
    net.fit(x[::2], labels[::2], epochs=10)
    assert np.mean(net.predict(x[1::2]) == labels[1::2]) >= 0.95


@pytest.mark.parametrize("options", [["--epochs=1"], pytest.param(["--epochs=1", "--numpy"], marks=pytest.mark.slow)])
def test_example_prints_five_parts_and_their_mean(options):
    shares = printed_shares(*options)
    assert len(shares) == 6
    assert shares[-1] == pytest.approx(np.mean(shares[:-1]), abs=0.011)  # each is rounded to 0.01


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_example_finds_at_least_985_of_1000_digits(seed):
    assert printed_shares(f"--seed={seed}")[-1] >= 98.5


def printed_shares(*options):
    """The shares of right answers that the example prints: of each part, and their mean."""
    command = [sys.executable, str(EXAMPLE), *options]
    result = subprocess.run(command, capture_output=True, text=True, timeout=900, check=True)
    return [float(share) for share in re.findall(r"([\d.]+)%", result.stdout)]
