"""C files on processors of firmware, emulated: they pass their self-test, and take what they say of memory."""

import re

import numpy as np
import pytest

from plainnet import native

from emulators import EACH_TARGET
from test_to_c import HIDDEN, WARNINGS, network, random_network

FLAGS = ["-std=c99", "-Os", *WARNINGS]


def self_test(target, folder, *flags):
    """Compiles model.c in `folder` with its main; what that returns."""
    target.compile(folder / "model.c", folder / "model.o", *FLAGS, "-DMODEL_SELF_TEST", *flags)
    target.link([folder / "model.o"], folder / "model")
    return target.run(folder / "model")[0]


@pytest.mark.parametrize("first", [0, *(pytest.param(first, marks=pytest.mark.slow) for first in range(10, 200, 10))])
@pytest.mark.parametrize("target", EACH_TARGET)
def test_random_networks_pass_their_self_test_on_the_target(tmp_path, target, first):
    for seed in range(first, first + 10):
        net, x = random_network(np.random.default_rng(seed))
        net.to_c(tmp_path / "model.c", self_test=x)
        assert self_test(target, tmp_path) == 0, (seed, net)
        if seed % 4:
            continue
        calibration = np.random.default_rng(seed).normal(size=(50, net.layers[0].n_in))
        net.to_c(tmp_path / "model.c", self_test=x, weights="int8", calibration=calibration)
        assert self_test(target, tmp_path) == 0, (seed, net)


@pytest.mark.parametrize("target", EACH_TARGET)
def test_self_test_fails_on_the_target_with_the_number_of_the_row(tmp_path, target, dtype):
    net = network([3, *range(4, 5 + len(HIDDEN))], [*HIDDEN, "softmax"], dtype)
    net.to_c(tmp_path / "model.c", self_test=np.random.default_rng(0).normal(size=(3, 3)))
    assert self_test(target, tmp_path) == 0
    text = (tmp_path / "model.c").read_text()
    wrong = re.sub(r"(_test_out\[3\]\[\d+\] = .*?\},\n    \{)[\d.e-]+", r"\g<1>2.0", text, flags=re.DOTALL)
    assert wrong != text
    (tmp_path / "model.c").write_text(wrong)
    assert self_test(target, tmp_path) == 2


@pytest.mark.parametrize("target", EACH_TARGET)
def test_target_with_fused_multiply_adds_has_the_bits_of_predict(tmp_path, target, dtype):
    if dtype.name not in target.fused:
        pytest.skip(f"{target.name} has no fused multiply-add of {dtype}")
    if native.isa() == "baseline":
        pytest.skip("the C backend has no fused multiply-add here")
    net = network([7, 17, 33, 3], ["relu", "leaky_relu", "identity"], dtype)
    net.to_c(tmp_path / "model.c", self_test=np.random.default_rng(0).normal(size=(50, 7)))
    text = (tmp_path / "model.c").read_text()
    start = text.index("_test_tolerance")
    end = text.index("};", start)
    (tmp_path / "model.c").write_text(text[:start] + re.sub(r"\d+\.?\d*e-\d+", "0.0", text[start:end]) + text[end:])
    assert self_test(target, tmp_path) == 0
    assert self_test(target, tmp_path, "-DMODEL_USE_FMA=0") != 0  # the tolerance is 0


@pytest.mark.parametrize("weights", ["exact", "int8"])
@pytest.mark.parametrize("target", EACH_TARGET)
def test_target_has_the_sizes_that_are_told(tmp_path, target, dtype, weights):
    """With -s, or -rP, the test prints them."""
    net = network([64, 32, 10], ["relu", "softmax"], dtype)
    x = np.random.default_rng(0).uniform(0, 1, (50, 64))
    calibration = x if weights == "int8" else None
    told = net.to_c(tmp_path / "model.c", self_test=x[:5], weights=weights, calibration=calibration)
    target.compile(tmp_path / "model.c", tmp_path / "model.o", *FLAGS)
    text, data, bss = target.size(tmp_path / "model.o")
    frames = dict(re.findall(r":(\w+)\t(\d+)\t", (tmp_path / "model.su").read_text()))
    frame = int(frames["model_predict"])
    assert self_test(target, tmp_path) == 0
    _, used = target.run(tmp_path / "model")
    print(
        f"{target.name}, 64-32-10, {dtype}, {weights} weights: {text} bytes of code and constants, of which constants "
        f"{told.constants_bytes}; {data + bss} of data; a stack frame of {frame}"
        + (f"; the self-test with the C library takes {used} bytes of stack" if used else "")
    )
    assert (data, bss) == (0, 0)
    # Code, and what numbers it has: of two loops for each layer, and of softmax.
    assert told.constants_bytes < text < told.constants_bytes + 900
    # Registers that are saved, and a few indices.
    assert told.stack_bytes <= frame < told.stack_bytes + 120
    assert used is None or frame < used < frame + 700
