"""The picture of ``plainnet xor``."""

import subprocess
import sys

import numpy as np
import pytest

from plainnet.tutorials import xor

image = pytest.importorskip("matplotlib.image")
plot = pytest.importorskip("plainnet.tutorials.xor_plot")


def results(backends=("c", "numpy"), seed=0, epochs=200):
    return [xor.train(system, seed, backends, epochs) for system in xor.SYSTEMS.values()]


def panels(picture):
    return {axes.get_label(): axes for axes in picture.axes if axes.get_label() != "<colorbar>"}


def test_figure_has_losses_difference_and_two_surfaces():
    found = panels(plot.figure(results()))
    assert list(found) == ["loss", "difference", "Layered network", "Two-layer network"]
    for axes in found.values():
        assert axes.get_title()
        assert axes.get_xlabel()
        assert axes.get_ylabel()
        assert axes.get_legend() is not None


@pytest.mark.parametrize("backend", ["c", "numpy"])
def test_figure_of_one_backend_has_no_difference(backend):
    found = panels(plot.figure(results([backend])))
    assert list(found) == ["loss", "Layered network", "Two-layer network"]


def test_figure_shows_the_loss_curves_on_a_log_scale():
    shown = results()
    axes = panels(plot.figure(shown))["loss"]
    assert axes.get_yscale() == "log"
    lines = axes.get_lines()
    assert len(lines) == 4  # two systems, two backends
    np.testing.assert_array_equal(lines[0].get_ydata(), shown[0].runs["c"].loss)
    np.testing.assert_array_equal(lines[2].get_ydata(), shown[1].runs["c"].loss)
    epochs = lines[1].get_xdata()
    np.testing.assert_array_equal(lines[1].get_ydata(), shown[0].runs["numpy"].loss[epochs])


def test_figure_marks_the_four_points_with_truth_and_prediction():
    shown = results(["c"], epochs=1500)
    for result in shown:
        axes = panels(plot.figure(shown))[result.system.name]
        zeros, ones = axes.get_lines()
        assert {tuple(point) for point in zeros.get_xydata()} == {(0, 0), (1, 1)}
        assert {tuple(point) for point in ones.get_xydata()} == {(0, 1), (1, 0)}
        assert [text.get_text() for text in axes.texts] == [f"{a:.2f}" for a in result.first.predictions[:, 0]]


def test_figure_says_when_the_backends_disagree():
    shown = results()
    shown[0].runs["c"].loss[100] += 0.5
    assert "DISAGREE" in panels(plot.figure(shown))["difference"].get_title()


def test_figure_takes_backends_that_are_equal_to_the_bit(tmp_path):
    shown = [xor.train(system, 0, ["c"], 20) for system in xor.SYSTEMS.values()]
    twins = [xor.Result(r.system, {"c": r.first, "numpy": r.first}, r.seed, r.epochs, r.learning_rate) for r in shown]
    plot.write_picture(twins, tmp_path / "equal.png")


@pytest.mark.parametrize("epochs", [1, 2])
def test_figure_takes_very_short_runs(epochs, tmp_path):
    plot.write_picture(results(epochs=epochs), tmp_path / "short.png")


def test_png_is_large_and_colourful(tmp_path):
    path = tmp_path / "xor.png"
    plot.write_picture(results(epochs=1500), path)
    pixels = image.imread(path)
    assert pixels.shape[0] >= 800
    assert pixels.shape[1] >= 900
    assert len(np.unique((pixels[..., :3] * 15).astype(int).reshape(-1, 3), axis=0)) > 50
    assert path.stat().st_size < 400_000


@pytest.mark.parametrize(
    ("name", "start"), [("a.svg", b"<?xml"), ("a.pdf", b"%PDF"), ("a.PNG", b"\x89PNG"), ("a", b"\x89PNG")]
)
def test_format_follows_the_ending(name, start, tmp_path):
    path = tmp_path / name
    plot.check_path(path)
    plot.write_picture(results(["c"], epochs=10), path)
    assert path.read_bytes().startswith(start)


@pytest.mark.parametrize(
    ("name", "message"), [("no/a.png", "no such directory"), ("a.docx", "endings"), (".", "is a dir")]
)
def test_impossible_path_is_refused(name, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        plot.check_path(tmp_path / name)


def test_pyplot_stays_out(tmp_path):
    code = (
        "import sys, pathlib; from plainnet.tutorials import xor, xor_plot; "
        "xor_plot.write_picture([xor.train(s, 0, epochs=5) for s in xor.SYSTEMS.values()], pathlib.Path('a.png')); "
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, timeout=600)
