"""What the pages of docs/how_to say: examples, figures and warnings. (test_cli_train tries the one on tables.)"""

import re

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="the pages draw pictures")

import plainnet as pn

import pages


def figures(output):
    """{(data, rate): (losses of the first, tenth and last epoch, share of right predictions in per cent)}"""
    number = r" +([\d.]+)"
    lines = re.findall(rf"(as it is|scaled) +rate{number} +loss{number * 3} +right{number}%", output)
    return {(name, float(rate)): (np.array(losses, float), float(right)) for name, rate, *losses, right in lines}


def test_page_on_scaling_is_right_about_its_figures(tmp_path):
    printed = figures(pages.run("how_to/learning_rate.md", tmp_path, last=1))
    assert len(printed) == 8
    for (name, rate), (losses, right) in printed.items():
        if name == "as it is":
            assert losses.min() >= 0.66  # the log loss of guessing with 62 %
            assert right <= 62
        elif rate <= 1:
            assert losses[2] < losses[0]
            assert right >= 85
        else:
            assert losses[0] > 2 * printed["scaled", 1.0][0][0]
    assert printed["as it is", 0.01][0][2] == pytest.approx(0.67, abs=0.011)  # "here 0.67, with 61 % right"
    assert abs(printed["as it is", 0.01][1] - 61) <= 1
    assert max(printed, key=lambda key: printed[key][1]) == ("scaled", 0.1)
    assert "here 0.67, with 61 % right" in pages.text("how_to/learning_rate.md")


def test_page_on_scaling_is_right_on_targets_that_are_not_scaled():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1000, 3))
    y = 300_000 + 80_000 * (np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:])

    def explained(y, rate):
        net = pn.Network([pn.Dense(3, 32, "tanh"), pn.Dense(32, 1)], seed=0)
        return 1 - net.fit(x, y, epochs=200, learning_rate=rate, batch_size=20).loss[-1] / y.var()

    with pytest.raises(pn.DivergedError):
        explained(y, 0.1)
    assert 0.4 < explained(y, 0.001) < 0.6
    assert explained((y - y.mean()) / y.std(), 0.1) > 0.99


def test_page_on_scaling_is_right_on_ten_classes_at_a_large_rate():
    """Noisy images of 64 pixels from 0 to 255, a prototype a class."""
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 10, 1000)
    x = 255 * np.clip(rng.random((10, 64))[classes] + rng.normal(0, 0.2, (1000, 64)), 0, 1)
    y = np.eye(10)[classes]

    def right(x, rate):
        net = pn.Network([pn.Dense(64, 32, "tanh"), pn.Dense(32, 10, "sigmoid")], loss="log_loss", seed=0)
        net.fit(x, y, epochs=10, learning_rate=rate, batch_size=20)
        return (net.predict(x).argmax(axis=1) == classes).mean()

    assert right(x, 2.0) < 0.15
    assert right((x - x.mean(axis=0)) / x.std(axis=0), 2.0) > 0.99


def test_page_on_scaling_folds_it_into_the_weights(tmp_path):
    printed, truth = map(int, re.findall(r"\d+", pages.run("how_to/learning_rate.md", tmp_path).splitlines()[-1]))
    assert truth == 65000
    assert abs(printed - truth) < 0.005 * truth


def test_page_on_the_last_digit_is_right_about_its_figures(tmp_path):
    printed = pages.run("how_to/last_digit.md", tmp_path)
    minimized, adam, _ = map(float, re.findall(r"^loss (\S+)", printed, flags=re.MULTILINE))
    assert minimized < 1e-9 < 1e-6 < adam  # the bits are LAPACK's, and so the last figures
    plain, bayesian = map(float, re.findall(r"error (\S+)", printed))
    assert bayesian < 0.1 < plain
    assert 5 < float(re.search(r"determine (\S+) of 61 parameters", printed)[1]) < 25


def test_page_on_classes_learns_them(tmp_path):
    right = int(re.search(r"right (\d+)%", pages.run("how_to/classes.md", tmp_path)).group(1))
    assert abs(right - 87) <= 1  # a row of 500 may fall on the other side where arithmetic rounds otherwise


def test_page_on_early_stopping_stops(tmp_path):
    printed = pages.run("how_to/early_stopping.md", tmp_path)
    assert re.match(r"stopped after epoch \d+, as validation_loss has not become better for 20 epochs;", printed)
    assert float(re.search(r"set aside: ([\d.]+)", printed).group(1)) == pytest.approx(0.93, abs=0.01)


def test_page_on_saving_saves_and_goes_on(tmp_path):
    assert pages.run("how_to/save.md", tmp_path) == "power failure\n6 epochs are in the file\nTrue\n"
    names = ["checkpoint.safetensors", "model.safetensors", "run.safetensors"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_page_on_pictures_draws_them(tmp_path):
    image = pytest.importorskip("matplotlib.image")
    pages.run("how_to/pictures.md", tmp_path)
    drawn = image.imread(tmp_path / "pictures.png")
    assert drawn.shape[:2] == (900, 1100)
    assert len(np.unique((drawn[..., :3] * 15).astype(int).reshape(-1, 3), axis=0)) > 50


def test_page_on_exchange_comes_back_the_same(tmp_path):
    pytest.importorskip("onnx", reason="needs the extra onnx")
    assert pages.run("how_to/pytorch_onnx.md", tmp_path).endswith("True\n")


def test_page_on_jobs_chooses_the_same_in_processes_and_threads(tmp_path):
    pytest.importorskip("sklearn", reason="needs the extra sklearn")
    first, second = pages.run("how_to/cluster.md", tmp_path).splitlines()
    assert first == second


def test_first_page_shows_agreement(tmp_path):
    printed = pages.run("index.md", tmp_path)
    assert "the backends agree" in printed
    assert "the gradient agrees" in printed
