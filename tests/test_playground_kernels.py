"""The playground's kernels: csrc/ compiled to WebAssembly has the bits of the instruction set "baseline"."""

import shutil

import numpy as np
import pytest

import plainnet as pn

import playground_runs as runs

NEEDS_BASELINE = pytest.mark.skipif(
    "baseline" not in pn.native.available_isas(),
    reason="WebAssembly has the bits of x86-64 without fused multiply-adds",
)


@pytest.fixture
def baseline():
    before = pn.native.isa()
    pn.native.set_isa("baseline")
    yield
    pn.native.set_isa(before)


@pytest.fixture(scope="module")
def in_node():
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed: apt-get install nodejs")
    return lambda job, given: runs.in_node(node, job, given)


@NEEDS_BASELINE
def test_runs_in_node_have_the_bits_of_python(in_node, baseline):
    results = in_node("resultsOfRuns", {name: runs.for_javascript(name) for name in runs.RUNS})
    for name in runs.RUNS:
        assert results[name] == runs.in_python(name), name


@NEEDS_BASELINE
@pytest.mark.parametrize("name", ["adam", "options", "xor"])
@pytest.mark.parametrize("steps", [1, 7])
def test_a_run_in_parts_has_the_bits_of_the_whole(in_node, baseline, name, steps):
    result = in_node("runInParts", runs.for_javascript(name) | {"steps": steps})
    *_, batch_size, epochs, _ = runs.parts(name)
    net, (x, y) = runs.network(name), runs.data(name)
    assert result["losses"] == runs.as_hex(net.fit(x, y, epochs=epochs, batch_size=batch_size).loss)
    assert result["parameters"] == runs.as_hex(net.parameters)
    if steps == 1:  # all rows of each epoch, and those of the first in Python's order
        n = len(x)
        rows = np.concatenate(result["rows"]).reshape(epochs, n)
        assert (np.sort(rows) == np.arange(n)).all()
        if batch_size is not None:
            assert rows[0].tolist() == pn.native.shuffled(net._shuffle_seed, 0, n).tolist()


@NEEDS_BASELINE
def test_backward_shows_what_the_kernels_compute(in_node, baseline):
    names = ["tanh", "gelu", "sgd", "labels", "cross_entropy", "options", "blocks", "huber"]
    results = in_node("backwardOfRuns", {name: runs.for_javascript(name) for name in names})
    for name in names:
        net, (x, y) = runs.network(name), runs.data(name)
        gradient = net.loss_and_gradient(x, y)[1]
        a, start = x, 0
        for layer, result in zip(net.layers, results[name]):
            assert result["x"] == runs.as_hex(a)
            bias = np.zeros(layer.n_out) if layer.bias is None else layer.bias
            z = pn.kernels.dense_forward(a, layer.weight, bias, "identity")
            a_next = pn.kernels.dense_forward(a, layer.weight, bias, layer.activation)
            assert (result["z"], result["a"]) == (runs.as_hex(z), runs.as_hex(a_next))
            of_layer = gradient[start : start + layer.n_parameters]
            assert result["gradWeight"] == runs.as_hex(of_layer[: layer.weight.size])
            if layer.bias is None:
                assert result["gradBias"] is None
            else:
                assert result["gradBias"] == runs.as_hex(of_layer[layer.weight.size :])
            grad_z = np.frombuffer(bytes.fromhex(result["gradZ"])).reshape(z.shape)
            _, grad_weight, grad_bias = pn.kernels.dense_backward(a, layer.weight, z, grad_z, "identity")
            assert result["dataGradWeight"] == runs.as_hex(grad_weight)
            assert layer.bias is None or result["gradBias"] == runs.as_hex(grad_bias)
            if name != "options":  # whose l1 and l2 are not part of it
                assert result["gradWeight"] == result["dataGradWeight"]
            a, start = a_next, start + layer.n_parameters
        last = results[name][-1]
        assert (last["gradA"] is None) == (net.layers[-1].activation in ("sigmoid", "softmax"))


@pytest.mark.parametrize("seed", [0, 1, 42, 2**32, 123456789012, 2**200 + 12345])
def test_random_numbers_are_those_of_numpy(in_node, seed):
    result = in_node("randomNumbers", str(seed))
    rng = np.random.default_rng(seed)
    assert result["random"] == runs.as_hex(rng.random(20))
    assert result["small"] == [rng.integers(0, 10) for _ in range(20)]
    assert result["uniform"] == runs.as_hex(rng.uniform(-0.3, 0.7))
    assert result["next"] == str(rng.integers(2**64, dtype=np.uint64))
    assert result["permutation"] == rng.permutation(33).tolist()
    assert result["large"] == [rng.integers(-5, 3000000000) for _ in range(20)]
    assert result["last"] == runs.as_hex(rng.random())


def test_a_thousand_networks_leave_nothing_in_memory(in_node):
    given = runs.for_javascript("options") | {"count": 1000}
    result = in_node("memoryOfNetworks", given)
    assert (result["used"], result["free"]) == (0, 1)
    assert result["first"] == result["last"]


def test_what_is_refused_has_the_sentence_of_the_library_and_changes_nothing(in_node):
    result = in_node("messagesOfErrors", runs.for_javascript("xor")["network"])
    for name, words in {
        "unknown_activation": 'activation is "sine"; allowed are identity, sigmoid', "unknown_loss": 'loss is "hinge"',
        "unknown_optimizer": "allowed are SGD, RMSprop", "unknown_option": 'an option of Adam is "momentum"',
        "seed": "seed must be an integer of at least 0, not -1", "init": "init has 3 numbers, not 13",
        "rows": "x has 3 numbers; the network takes rows of 2", "targets": "2 rows of 1 are 2",
        "batch_size": "batchSize must be an integer of at least 1, not 0",
        "rate": "the learning rate must be finite and above 0, not 0", "freed": "the network has been freed",
    }.items():  # fmt: skip
        assert words in result[name], name
    lib = pn.native.lib
    for name, status in {
        "log_loss": lib.PN_LOG_LOSS_NEEDS_SIGMOID, "sizes": lib.PN_SIZES_DO_NOT_CHAIN,
        "dropout": lib.PN_DROPOUT_ON_LAST_LAYER, "not_finite": lib.PN_DATA_NOT_FINITE, "diverged": lib.PN_DIVERGED,
    }.items():  # fmt: skip
        assert result[name] == f"PlainnetError: {pn.native._message(status)}", name
    assert (result["blocks"], result["unchanged"], result["finite"]) == (0, True, True)
