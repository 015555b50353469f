"""The programs and the pictures of docs/learn/. What its chapters compute is checked when they are built."""

import itertools
import sys

import numpy as np
import pytest

import pages
import toolchain

LEARN = pages.DOCS / "learn"


@pytest.fixture
def pictures(monkeypatch):
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    monkeypatch.syspath_prepend(str(pages.DOCS))
    import network_pictures

    return network_pictures


@pytest.fixture
def ax():
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    from matplotlib.figure import Figure

    return Figure(figsize=(7, 3.8), layout="constrained").subplots()


@pytest.mark.skipif(not toolchain.COMPILERS, reason="needs a C compiler")
@pytest.mark.parametrize("compiler", toolchain.COMPILERS)
def test_xor_by_hand_is_the_same_in_c_and_python(compiler, tmp_path):
    program = tmp_path / "xor_by_hand"
    source = LEARN / "xor_by_hand.c"
    toolchain.compile_cleanly(compiler, "-std=c11", "-O2", *toolchain.WARNINGS, source, "-lm", "-o", program)
    c, python = toolchain.run(program), toolchain.run(sys.executable, LEARN / "xor_by_hand.py")
    assert c.returncode == python.returncode == 0
    assert c.stdout == python.stdout
    losses = [float(line.split()[-1]) for line in c.stdout.splitlines()]
    assert losses[0] > 0.8 > 0.03 > losses[-1]


def test_xor_by_hand_has_the_losses_of_network():
    import plainnet as pn

    start = [-0.42, -2.14, -1.79, -0.06, 1.64, -0.84, 0, 0, 0, 0.50, -1.25, -1.06, 0]
    net = pn.Network([pn.Dense(2, 3, "tanh"), pn.Dense(3, 1, "sigmoid")], loss="log_loss", init=np.array(start))
    losses = net.fit([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0], epochs=1500, learning_rate=0.1).loss
    printed = toolchain.run(sys.executable, LEARN / "xor_by_hand.py").stdout.splitlines()
    for line in printed:
        epoch, loss = int(line[6:10]), float(line.split()[-1])
        assert loss == pytest.approx(losses[epoch], abs=1e-11)  # 12 digits are printed
    assert len(printed) == 5


@pytest.mark.parametrize("sizes", [(2, 1), (2, 2, 1), (2, 3, 1)])
def test_numbers_on_lines_do_not_cover_each_other(pictures, ax, sizes):
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=shape) for shape in itertools.pairwise(sizes)]
    pictures.numbers(ax, [["0.123"] * n for n in sizes], weights, [["z = -1.23"] * n for n in sizes], digits=3)
    ax.figure.canvas.draw()
    texts = [text for text in ax.texts if text.get_bbox_patch() is not None]
    assert sorted(float(text.get_text()) for text in texts) == pytest.approx(
        np.sort(np.concatenate([weight.ravel() for weight in weights])), abs=0.0005
    )
    boxes = [text.get_window_extent().padded(3) for text in texts]  # the frame is 3 pixels from the number
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_plane_shows_what_is_right(pictures, ax):
    pictures.plane(ax, lambda points: points[:, 0] > 0.5, targets=[0, 1, 1, 0])
    markers = {tuple(np.ravel(line.get_xydata())): line.get_marker() for line in ax.lines}
    assert markers == {(0, 0): "o", (0, 1): "s", (1, 0): "s", (1, 1): "o"}
    mesh = ax.collections[0]
    values = mesh.get_array().reshape(101, 101)
    assert (values[:, 0] == 0).all()
    assert (values[:, -1] == 1).all()
