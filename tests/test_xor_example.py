"""examples/xor.c: compiles without warnings everywhere, and finds the very bits that Network does."""

import re

import numpy as np
import pytest

from plainnet import native
from plainnet.tutorials import xor

import toolchain

ROOT = toolchain.ROOT

pytestmark = pytest.mark.skipif(not toolchain.COMPILERS, reason="needs a C compiler")


@pytest.fixture(scope="module", params=toolchain.EACH_COMPILER)
def build(request, tmp_path_factory):
    """Compiles a program as `cc FLAGS program.c csrc/*.c -lm -lpthread` does, with the objects of csrc/ shared."""
    directory = tmp_path_factory.mktemp("example")
    return lambda source: toolchain.build(request.param, source, directory / source.stem, *toolchain.FLAGS)


@pytest.fixture(scope="module")
def example(build):
    return build(ROOT / "examples" / "xor.c")


def run(program, *arguments, stdin="", isa=None):
    return toolchain.run(program, *arguments, input=stdin, environment={} if isa is None else {"PLAINNET_ISA": isa})


@pytest.fixture(params=native.available_isas())
def isa(request):
    before = native.isa()
    native.set_isa(request.param)
    yield request.param
    native.set_isa(before)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", sorted(xor.SYSTEMS))
def test_xor_example_finds_the_bits_of_network(example, isa, name, dtype):
    system = xor.SYSTEMS[name]
    for seed in (0, 1, 2):
        network = system.network(seed, dtype)
        start = "\n".join(float(value).hex() for value in network.parameters)
        network.fit(system.x, system.y, xor.EPOCHS, system.learning_rate)
        expected = np.concatenate([network.parameters, network.predict(system.x)[:, 0]])

        done = run(example, name, {"float64": "f64", "float32": "f32"}[dtype], stdin=start, isa=isa)

        assert done.returncode == 0, done.stderr
        found = [float.fromhex(line) for line in done.stdout.split()]
        assert found == [float(value) for value in expected]


def test_xor_example_without_arguments_solves_both(example):
    done = run(example)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line.count(".") == 1 and len(line.split()) == 4]
    assert [row[2] for row in rows] == ["0", "1", "1", "0"] * 2
    # The predictions of goldens/xor.json from the same starting weights, as far as they are printed.
    assert [row[3] for row in rows] == [
        "0.004140", "0.975512", "0.977251", "0.031094", "0.009654", "0.968947", "0.968862", "0.036452",
    ]  # fmt: skip


@pytest.mark.parametrize("arguments", [["layered"], ["layered", "f16"], ["three_layer", "f64"], ["a", "b", "c"]])
def test_xor_example_explains_itself(example, arguments):
    done = run(example, *arguments)
    assert done.returncode == 2
    assert "usage: xor" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("stdin", ["", "0x1p-1\n" * 12, "0x1p-1\n" * 12 + "x"])
def test_xor_example_refuses_too_few_parameters(example, stdin):
    done = run(example, "layered", "f64", stdin=stdin)
    assert done.returncode == 1
    assert "too few" in done.stderr
    assert done.stdout == ""


def test_readme_c_example_runs(build, tmp_path):
    source = tmp_path / "app.c"
    source.write_text(re.search(r"```c\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL).group(1))
    done = run(build(source))
    assert done.returncode == 0
    assert float(done.stdout.split()[-1]) < 0.1, done.stdout
