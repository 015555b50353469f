"""Batches of more rows than a block: sums as exact as of few rows, the same bits on every path, and constant memory."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest

import plainnet as pn
from plainnet import native
from plainnet.backend import Training
from plainnet.reference import BLOCK_ROWS, blocks_of_rows

import textbook
import toolchain

# Narrow enough that threads share blocks; that they share products; that weights are kept packed; a single layer.
NETWORKS = {
    "narrow": [(5, 7, "tanh", True), (7, 3, "identity", True)],
    "wide": [(40, 700, "relu", True), (700, 3, "identity", False)],
    "packed": [(120, 130, "tanh", True), (130, 120, "sigmoid", False), (120, 2, "identity", True)],
    "z-kept": [(120, 130, "gelu", True), (130, 120, "elu", False), (120, 9, "silu", True), (9, 2, "mish", True)],
    "single": [(3, 1, "identity", True)],
    "one": [(1, 1, "identity", True)],
}
# A block, just above it, a multiple of it and not, and many blocks.
ROWS = [BLOCK_ROWS, BLOCK_ROWS + 1, 2 * BLOCK_ROWS, 1000]
MANY_ROWS = 40 * BLOCK_ROWS + 5


def numbers_of_threads(backend):
    """Sets one number of threads after the other, and in the end the first; NumPy's are not ours."""
    ours = (1, 3) if toolchain.SANITIZERS else (1, 2, 3, 8)
    before = pn.num_threads()
    try:
        for n in ours if backend == "c" else (before,):
            pn.set_num_threads(n)
            yield n
    finally:
        pn.set_num_threads(before)


def data(layers, n_rows, dtype):
    rng = np.random.default_rng(n_rows)
    x, y = rng.standard_normal((n_rows, layers[0][0])), rng.standard_normal((n_rows, layers[-1][1]))
    return x.astype(dtype), y.astype(dtype)


def add_blocks(blocks):
    """The sum of arrays as plainnet.h defines it: in order, with the rounding errors of these additions at the end."""
    total, error = np.zeros_like(blocks[0]), np.zeros_like(blocks[0])
    for block in blocks:
        before, total = total, total + block
        added = total - before
        error = error + ((before - (total - added)) + (block - added))
    return total + error


def test_block_of_the_header_is_that_of_the_definition():
    assert native.lib.PN_BLOCK_ROWS == BLOCK_ROWS


# ---- Exact -----------------------------------------------------------------------------------------------------------


def check_equal_rows(backend, dtype, n_rows, weights):
    """
    x = 1 and y = -1 in every row, so that rounding does not average out. With one weight w the mean of (w + 1)^2 has
    the gradient 2 (w + 1). float32: 1e-5, of which a block's chain of 384 roundings makes up to 8e-6. float64: 1e-11,
    for the losses of blocks are added up without compensation, and 2^25 rows are 87 382 blocks.
    """
    tolerance = 1e-5 if dtype == np.float32 else 1e-11
    x = np.ones((n_rows, 1), dtype)
    y = -x
    for w in weights:
        net = textbook.network(NETWORKS["one"], "mean_squared_error", init=[w, 0], backend=backend, dtype=dtype)
        expected = 2 * (float(net.parameters[0]) + 1)
        loss, gradient = net.loss_and_gradient(x, y)
        assert loss == pytest.approx((expected / 2) ** 2, rel=tolerance)
        assert gradient == pytest.approx([expected] * 2, rel=tolerance)
        before = net.parameters.astype(float)
        assert net.train_on_batch(x, y, learning_rate=1.0) == loss
        assert before - net.parameters == pytest.approx(gradient, rel=tolerance)


def test_gradient_of_a_million_equal_rows(backend, dtype):
    check_equal_rows(backend, dtype, 10**6, [0.0, 0.1, 0.7])


@pytest.mark.slow
@pytest.mark.skipif(bool(toolchain.SANITIZERS), reason="takes minutes, and runs what fewer rows run")
def test_gradient_of_2_to_the_25_equal_rows(backend, dtype):
    check_equal_rows(backend, dtype, 2**25, [0.1])


def test_gradient_of_a_million_rows_from_the_single_kernel(kernels, dtype):
    n_rows, tolerance = 10**6, 1e-5 if dtype == np.float32 else 1e-13
    x, grad_a = np.full((n_rows, 2), 0.1, dtype), np.full((n_rows, 3), 0.7, dtype)
    grad_x, grad_weight, grad_bias = kernels.dense_backward(x, np.ones((2, 3), dtype), grad_a, grad_a)
    term, expected = float(x[0, 0]) * float(grad_a[0, 0]), n_rows * float(grad_a[0, 0])
    np.testing.assert_allclose(grad_x, 3 * 0.7, rtol=1e-6)
    assert grad_weight == pytest.approx(np.full((2, 3), n_rows * term), rel=tolerance)
    assert grad_bias == pytest.approx(np.full(3, expected), rel=tolerance)


@pytest.mark.parametrize("loss", textbook.LOSSES)
def test_backends_agree_on_many_rows(c_backend, dtype, loss):
    """Rounding of at most 384 terms a block and some layers: 1e-12 and 1e-5 of the largest entry."""
    layers = [(5, 7, "tanh", True), (7, 3, "sigmoid", True)]
    x, y = data(layers, 3000, dtype)
    y = np.abs(y) / 10
    net = textbook.network(layers, loss, seed=1, backend=c_backend, dtype=dtype)
    value, gradient = net.loss_and_gradient(x, y)
    expected_value, expected = net.copy(backend="numpy").loss_and_gradient(x, y)
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    assert value == pytest.approx(expected_value, rel=tolerance)
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("row", [0, 5, BLOCK_ROWS, 1100])
def test_infinite_gradient_of_a_row_stays_infinite_among_many(kernels, backend, dtype, row):
    """In the first block, in a later one, in the last; two of opposite signs are NaN, as in a plain sum."""
    x, grad_a = np.ones((1200, 2), dtype), np.ones((1200, 1), dtype)
    x[row, 0] = np.inf
    grad_a[7] = -1
    x[7, 1] = -np.inf
    x[1199, 1] = -np.inf
    _, grad_weight, grad_bias = kernels.dense_backward(x, np.ones((2, 1), dtype), grad_a, grad_a)
    np.testing.assert_array_equal(grad_weight[:, 0], [np.inf, np.nan])
    assert grad_bias == [1198]


# ---- The same bits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "n_rows"), [*((name, n) for name in NETWORKS for n in ROWS), ("narrow", MANY_ROWS), ("single", MANY_ROWS)]
)
def test_gradient_is_the_sum_of_those_of_blocks(backend, dtype, name, n_rows):
    """With the sum of squares, the gradient of a block alone is what it adds to that of all rows."""
    layers = NETWORKS[name]
    x, y = data(layers, n_rows, dtype)
    net = textbook.network(layers, "sum_of_squares", seed=1, backend=backend, dtype=dtype)
    parts = [net.loss_and_gradient(x[rows], y[rows]) for rows in blocks_of_rows(n_rows)]
    expected = add_blocks([gradient for _, gradient in parts])
    for _ in numbers_of_threads(backend):
        loss, gradient = net.loss_and_gradient(x, y)
        assert loss == sum(loss for loss, _ in parts)
        np.testing.assert_array_equal(gradient, expected)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_training_in_large_batches_is_the_gradient_times_the_rate(backend, dtype, name, shuffle):
    """
    Three epochs of two batches, of 1000 and 500 rows: enough steps to keep weights packed. A rate of 2^-20 makes the
    product exact, so that the update is rounded once with and without a fused multiply-add.
    """
    layers, rate = NETWORKS[name], 2.0**-20
    x, y = data(layers, 1500, dtype)
    start = textbook.network(layers, "sum_of_squares", seed=1, backend=backend, dtype=dtype)
    twin, losses = start.copy(), []
    for epoch in range(3):
        order = pn.reference.shuffled(twin._shuffle_seed, epoch, 1500) if shuffle else np.arange(1500)
        losses.append(0.0)
        for rows in (order[:1000], order[1000:]):
            loss, gradient = twin.loss_and_gradient(x[rows], y[rows])
            twin.parameters -= twin.dtype.type(rate) * gradient
            losses[-1] += loss
    for _ in numbers_of_threads(backend):
        net = start.copy()
        history = net.fit(x, y, epochs=3, learning_rate=rate, batch_size=1000, shuffle=shuffle)
        assert history.loss.tolist() == losses
        np.testing.assert_array_equal(net.parameters, twin.parameters)


@pytest.mark.parametrize("name", NETWORKS)
def test_batches_of_one_block_are_steps_of_their_own(backend, dtype, name):
    """Batches of exactly a block and of one row: sums of blocks are not needed, and the run has no memory for them."""
    x, y = data(NETWORKS[name], BLOCK_ROWS + 1, dtype)
    net, twin = (
        textbook.network(NETWORKS[name], "sum_of_squares", seed=1, backend=backend, dtype=dtype) for _ in range(2)
    )
    net.fit(x, y, epochs=3, learning_rate=1e-5, batch_size=BLOCK_ROWS, shuffle=False)
    for _ in range(3):
        twin.train_on_batch(x[:-1], y[:-1], learning_rate=1e-5)
        twin.train_on_batch(x[-1:], y[-1:], learning_rate=1e-5)
    np.testing.assert_array_equal(net.parameters, twin.parameters)


@pytest.mark.parametrize("name", NETWORKS)
def test_single_kernel_adds_blocks_as_networks_do(kernels, dtype, name):
    n_in, n_out, activation, _ = NETWORKS[name][0]
    rng = np.random.default_rng(3)
    n_rows = 1000
    x, z, a, grad_a = (rng.standard_normal((n_rows, n)).astype(dtype) for n in (n_in, n_out, n_out, n_out))
    weight = rng.standard_normal((n_in, n_out)).astype(dtype)
    whole = kernels.dense_backward(x, weight, a, grad_a, activation, z=z)
    parts = [
        kernels.dense_backward(x[rows], weight, a[rows], grad_a[rows], activation, z=z[rows])
        for rows in blocks_of_rows(n_rows)
    ]
    np.testing.assert_array_equal(whole[0], np.concatenate([part[0] for part in parts]))
    for k in (1, 2):
        np.testing.assert_array_equal(whole[k], add_blocks([part[k] for part in parts]))


def test_divergence_in_large_batches_rolls_back_to_the_last_finite_step(backend, dtype):
    """w is multiplied by 1 - 2 * 10 in every step."""
    n_rows = 3 * BLOCK_ROWS
    net = textbook.network([(1, 1, "identity", False)], "sum_of_squares", init=[1], dtype=dtype, backend=backend)
    x, y = np.ones((n_rows, 1), dtype), np.zeros((n_rows, 1), dtype)
    twin = net.copy()
    with pytest.raises(pn.DivergedError) as caught:
        net.fit(x, y, epochs=1000, learning_rate=10 / n_rows)
    twin.fit(x, y, epochs=caught.value.epoch - 1, learning_rate=10 / n_rows)
    np.testing.assert_array_equal(net.parameters, twin.parameters)
    assert np.isfinite(net.loss_and_gradient(x, y)[0])


# ---- Memory ----------------------------------------------------------------------------------------------------------


def workspace_bytes(net, n_rows, batch_size, shuffle=False):
    training = net._model._c_training(Training(100, batch_size, 0.1, shuffle))
    return native._bytes_needed(net._model._train_workspace, n_rows, net._model._network, training)


@pytest.mark.parametrize("sizes", [(16, 64, 1), (784, 128, 10)])
def test_workspace_does_not_grow_with_the_rows(c_backend, dtype, sizes):
    layers = [(sizes[0], sizes[1], "tanh", True), (sizes[1], sizes[2], "identity", True)]
    net = textbook.network(layers, "mean_squared_error", seed=0, backend=c_backend, dtype=dtype)
    needed = [workspace_bytes(net, n_rows, n_rows) for n_rows in (10**5, 10**6, 10**9)]
    assert needed[0] == needed[1] == needed[2] < 30e6
    # A shuffled epoch adds the order of its rows, and a block of rows with their weights.
    order = workspace_bytes(net, 10**6, 10**5, shuffle=True) - workspace_bytes(net, 10**6, 10**5)
    assert order < 8 * 10**6 + (sizes[0] + sizes[2] + 1) * BLOCK_ROWS * dtype.itemsize + 200
    gradient = [native._bytes_needed(net._model._gradient_workspace, n, net._model._network) for n in (10**5, 10**9)]
    assert gradient[0] == gradient[1] < 30e6


MEMORY = textwrap.dedent("""
    import resource, sys
    import numpy as np
    import plainnet as pn

    dtype = sys.argv[1]
    net = pn.Network([pn.Dense(16, 64, "tanh"), pn.Dense(64, 1)], seed=0, dtype=dtype)
    x, y = np.ones((1_000_000, 16), dtype), np.ones((1_000_000, 1), dtype)
    net.fit(x[:1000], y[:1000])  # the pool of threads and what else is made once
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    net.fit(x, y, epochs=2, learning_rate=1e-3)
    net.loss_and_gradient(x, y)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
""")


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux alone")
@pytest.mark.parametrize("dtype_name", ["float64", "float32"])
def test_full_batch_of_a_million_rows_takes_no_more_memory_than_a_block(dtype_name):
    done = subprocess.run([sys.executable, "-c", MEMORY, dtype_name], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) * 1024 < 30e6


def test_workspace_asked_for_under_one_instruction_set_serves_all(dtype):
    """Another thread may choose another one between the question and the call."""
    isas, before = native.available_isas(), native.isa()
    sizes = []
    try:
        for isa in isas:
            native.set_isa(isa)
            asked = []
            for layers in NETWORKS.values():
                net = textbook.network(layers, "mean_squared_error", seed=0, backend="c", dtype=dtype)
                model = net._model
                for n_rows in (1, 7, 100, 1000, 5000):
                    training = model._c_training(Training(9, min(n_rows, 700), 0.1, True))
                    asked += [
                        native._bytes_needed(model._forward_workspace, n_rows, model._network),
                        native._bytes_needed(model._gradient_workspace, n_rows, model._network),
                        native._bytes_needed(model._train_workspace, n_rows, model._network, training),
                        native._bytes_needed(
                            getattr(native.lib, f"pn_dense_workspace_{native._SUFFIX[dtype]}"), n_rows, *layers[0][:2]
                        ),
                    ]
            sizes.append(asked)
    finally:
        native.set_isa(before)
    assert all(asked == sizes[0] for asked in sizes)
