"""``plainnet train``, ``predict`` and ``info``: from a CSV file to a model file and to predictions, and every error."""

import contextlib
import csv
import io
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import plainnet as pn
from plainnet import atomic, cli
from plainnet.table import Column, Table

import pages

pytest.importorskip("pandas", reason="CSV files are read with pandas")

ROOT = Path(__file__).parent.parent


@pytest.fixture
def plainnet(capsysbinary, monkeypatch, tmp_path):
    """Runs the command line in a directory of its own: (exit status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        try:
            status = cli.main(arguments)
        except SystemExit as stop:
            status = stop.code
        out, err = capsysbinary.readouterr()
        return status, out.decode(), err.decode()

    return run


def write(path, header, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def flowers(path, n=120, seed=0):
    """Three kinds of flowers, told apart by two lengths; the colour tells one of them."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 3, n)
    lengths, noise = 4 + 2 * (kinds == 1) + rng.normal(0, 0.3, n), rng.normal(100, 5, n)
    colours = "red", "red", "blue"
    rows = [[f"{a:.2f}", colours[k], f"{b:.1f}", f"kind {k}"] for a, b, k in zip(lengths, noise, kinds)]
    write(path, ["length", "colour", "noise", "kind"], rows)


def houses(path, n=200, seed=0):
    """Prices, in units that have to be scaled."""
    rng = np.random.default_rng(seed)
    area, town = rng.uniform(20, 200, n), rng.choice(["\u00c5s", "Bonn, old", 'C"x"'], n)
    price = area * np.select([town == "\u00c5s", town == "Bonn, old"], [5000, 3000], 1000) + rng.normal(0, 500, n)
    write(path, ["area", "town", "price"], zip(area.round(2), town, price.round()))


def rows_of(text):
    header, *rows = csv.reader(io.StringIO(text))
    return header, rows


def column(path, name):
    """The cells of a column of a file."""
    with open(path, encoding="utf-8", newline="") as file:
        return [row[name] for row in csv.DictReader(file)]


def accuracy(out):
    return float(re.search(r"Accuracy +([\d.]+)", out).group(1))


# ---- What it does ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_classes_are_learned_and_predicted_by_name(plainnet, dtype):
    flowers("data.csv")
    arguments = ["--target", "kind", "-o", "m.safetensors", "--epochs", "150", "--validation", "0.25", "--dtype", dtype]
    status, out, err = plainnet("train", "data.csv", *arguments)
    assert status == 0, err
    assert re.search(r"Data +data.csv: 120 rows\nNumbers +length, noise\nText +colour \(2 categories\)\n", out)
    assert re.search(r"Task +classification, 3 classes, as 'kind' is text\nNetwork +4-64-64-3, relu, softmax;", out)
    assert re.search(r"Training +90 rows to train with, 30 to judge by; adam with learning rate 0.001", out)
    assert accuracy(out) > 0.9
    matrix = np.array([row.split()[2:] for row in re.findall(r"^kind \d .*\d$", out, re.MULTILINE)], int)
    assert matrix.shape == (3, 3)
    assert matrix.sum() == 30
    assert matrix.trace() / 30 == pytest.approx(accuracy(out), abs=1e-4)  # printed with four digits
    assert f"Model      {os.path.realpath('m.safetensors')}" in out
    assert err.startswith("epoch ")
    assert pn.load("m.safetensors").dtype == dtype

    flowers("new.csv", 50, seed=1)
    status, out, err = plainnet("predict", "m.safetensors", "new.csv")
    assert (status, err) == (0, "")
    header, rows = rows_of(out)
    assert header == ["kind"]
    actual = column("new.csv", "kind")
    assert np.mean([row == [kind] for row, kind in zip(rows, actual)]) > 0.9
    status, out, _ = plainnet("predict", "m.safetensors", "new.csv", "--probabilities")
    header, rows = rows_of(out)
    assert header == ["kind", "P(kind 0)", "P(kind 1)", "P(kind 2)"]
    shares = np.array([row[1:] for row in rows], float)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-6)
    assert [row[0] for row in rows] == [f"kind {k}" for k in shares.argmax(axis=1)]


def test_numbers_are_learned_and_predicted_in_their_own_unit(plainnet):
    houses("data.csv")
    status, out, err = plainnet("train", "data.csv", "--target", "price", "-o", "m.safetensors", "--epochs", "150")
    assert status == 0, err
    assert re.search(r"Task +regression, as 'price' holds \d+ different numbers", out)
    r2, mean_error, deviation = (
        float(re.search(rf"{name} +([-\d.]+)", out).group(1)) for name in ("R2", "mean absolute error", "squared error")
    )
    assert r2 > 0.98
    assert 300 < mean_error < deviation < 40_000
    status, out, _ = plainnet("predict", "m.safetensors", "data.csv")
    header, rows = rows_of(out)
    assert header == ["price"]
    actual = np.array(column("data.csv", "price"), float)
    predicted = np.array(rows, float)[:, 0]
    assert 1 - np.mean((predicted - actual) ** 2) / np.var(actual) > 0.98


def test_figures_are_those_of_the_predictions_for_the_rows_set_aside(plainnet):
    """With validation 0 these are all rows, so predict has the same."""
    houses("data.csv")
    _, out, _ = plainnet("train", "data.csv", "--target", "price", "-o", "m.safetensors", "--epochs", "3",
                         "--validation", "0", "--hidden", "8")  # fmt: skip
    assert "200 rows that it was trained with" in " ".join(out.split())
    _, predictions, _ = plainnet("predict", "m.safetensors", "data.csv")
    actual = np.array(column("data.csv", "price"), float)
    error = np.array(rows_of(predictions)[1], float)[:, 0] - actual
    for name, value in [
        ("R2", 1 - np.mean(error**2) / np.var(actual)), ("mean absolute error", np.abs(error).mean()),
        ("root mean squared error", np.sqrt(np.mean(error**2))),
    ]:  # fmt: skip
        assert float(re.search(rf"{name} +([-\d.e+]+)", out).group(1)) == pytest.approx(value, rel=1e-4, abs=1e-4)


def test_columns_are_found_by_name_and_others_ignored(plainnet):
    houses("data.csv")
    plainnet("train", "data.csv", "--target", "price", "-o", "m.safetensors", "--epochs", "2")
    _, expected, _ = plainnet("predict", "m.safetensors", "data.csv")
    rows = zip(column("data.csv", "area"), column("data.csv", "town"))
    write("other.csv", ["note", "town", "", "area", "note"], [["x,\ny", town, "", area, ""] for area, town in rows])
    status, out, err = plainnet("predict", "m.safetensors", "other.csv")
    assert (status, err) == (0, "")
    assert out == expected


def test_standard_input_and_output_are_spelled_as_a_dash(plainnet):
    houses("data.csv")
    content = Path("data.csv").read_bytes()
    arguments = ["--target", "price", "-o", "m.safetensors", "--epochs", "2"]
    assert plainnet("train", "data.csv", *arguments)[0] == 0
    first = Path("m.safetensors").read_bytes()
    status, out, _ = plainnet("train", "-", *arguments, stdin=content)
    assert status == 0
    assert "standard input: 200 rows" in out
    assert Path("m.safetensors").read_bytes() == first  # the same seed gives the same network
    _, expected, _ = plainnet("predict", "m.safetensors", "data.csv")
    assert plainnet("predict", "m.safetensors", "-", stdin=content) == (0, expected, "")
    assert plainnet("predict", "m.safetensors", "-", "-o", "-", stdin=content) == (0, expected, "")
    assert plainnet("predict", "m.safetensors", "data.csv", "-o", "out.csv") == (0, "", "")
    assert Path("out.csv").read_bytes() == expected.encode()


def test_options_make_the_network(plainnet):
    flowers("data.csv")
    status, out, err = plainnet(
        "train", "data.csv", "--target", "kind", "-o", "m.safetensors", "--hidden", "5,3", "--activation", "tanh",
        "--epochs", "4", "--batch-size", "16", "--optimizer", "sgd", "--learning-rate", "0.25", "--seed", "3",
        "--ignore", "noise", "--patience", "0",
    )  # fmt: skip
    assert status == 0, err
    assert "3-5-3-3, tanh, softmax; 50 parameters in float64" in out
    assert "sgd with learning rate 0.25, 16 rows a step" in " ".join(out.split())
    assert "Epochs     all 4 epochs ran\n" in out
    net = pn.load("m.safetensors")
    assert net.table == Table(
        (Column("length"), Column("colour", ("blue", "red"))), Column("kind", ("kind 0", "kind 1", "kind 2"))
    )
    assert [layer.activation for layer in net.layers] == ["tanh", "tanh", "softmax"]
    plainnet("train", "data.csv", "--target", "kind", "-o", "linear", "--hidden", "none", "--epochs", "1")
    assert [layer.activation for layer in pn.load("linear").layers] == ["softmax"]


def test_early_stopping_is_said(plainnet):
    flowers("data.csv")
    _, out, _ = plainnet("train", "data.csv", "--target", "noise", "-o", "m", "--epochs", "1000", "--patience", "2",
                         "--learning-rate", "0.05")  # fmt: skip
    assert re.search(r"Epochs +stopped after epoch \d+, as validation_loss .* the parameters of epoch \d+",
                     " ".join(out.split()))  # fmt: skip


def test_constant_columns_work(plainnet):
    """One is the same in all rows; another one only in those to train with, and tells nothing then."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=40)
    write("data.csv", ["x", "same", "word", "y"], [[f"{v:.3f}", "1e9", "w", f"{3 * v + 1:.3f}"] for v in x])
    status, out, err = plainnet("train", "data.csv", "--target", "y", "-o", "m", "--epochs", "100")
    assert status == 0, err
    assert "Left out   same, word: the same in all rows" in out
    assert pn.load("m").table.columns == (Column("x"),)
    status, _, err = plainnet("predict", "m", "-", stdin=b"x\n0\n1\n")
    assert (status, err) == (0, "")


def test_input_that_changes_in_the_rows_set_aside_alone_has_no_weight(plainnet):
    rng = np.random.default_rng(0)
    x = rng.normal(size=10)
    seen = set()
    for k in range(10):  # in some of the cases the row is among those set aside
        rows = [[f"{v:.3f}", "5" if j != k else "6", "b" if j != k else "a", f"{v:.3f}"] for j, v in enumerate(x)]
        write("data.csv", ["x", "flag", "word", "y"], rows)
        assert plainnet("train", "data.csv", "--target", "y", "-o", "m", "--epochs", "2", "--validation", "0.3")[0] == 0
        _, out, _ = plainnet("predict", "m", "-", stdin=b"x,flag,word\n0,5,b\n0,6,b\n0,1e6,a\n")
        first, second, _ = (float(row[0]) for row in rows_of(out)[1])
        seen.add(first == second)
        weight = pn.load("m").layers[0].weight
        assert (weight[1] == 0).all() == (first == second)
    assert seen == {True, False}


def test_model_is_written_over_an_older_one_and_nothing_else_is(plainnet, tmp_path):
    flowers("data.csv")
    (tmp_path / "m").write_text("older")
    assert plainnet("train", "data.csv", "--target", "kind", "-o", "m", "--epochs", "1")[0] == 0
    assert pn.load("m").table.target.name == "kind"
    assert sorted(os.listdir()) == ["data.csv", "m"]


def test_path_of_the_model_is_not_broken(plainnet, tmp_path):
    flowers("data.csv")
    folder = tmp_path / f"my  {'models ' * 12}"
    folder.mkdir()
    _, out, _ = plainnet("train", "data.csv", "--target", "kind", "-o", f"{folder}/m", "--epochs", "1")
    assert f"Model      {folder}/m\n" in out


@pytest.mark.parametrize(
    ("name", "target", "least"), [("iris", "target", 0.9), ("wine", "target", 0.9), ("diabetes", "target", 0.3)]
)
def test_bundled_tables_of_scikit_learn_are_learned(plainnet, name, target, least):
    datasets = pytest.importorskip("sklearn.datasets", reason="the tables come with scikit-learn")
    frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
    frame.to_csv("data.csv", index=False)
    status, out, err = plainnet("train", "data.csv", "--target", target, "-o", "m", "--validation", "0.3")
    assert status == 0, err
    score = float(re.search(r"R2 +([\d.]+)", out).group(1)) if name == "diabetes" else accuracy(out)
    assert score > least
    status, out, _ = plainnet("predict", "m", "data.csv")
    assert len(rows_of(out)[1]) == len(frame)


# ---- The picture -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("make", "target"), [(flowers, "kind"), (houses, "price")])
@pytest.mark.parametrize(("name", "begins"), [("loss.png", b"\x89PNG"), ("loss.PDF", b"%PDF"), ("loss", b"\x89PNG")])
def test_plot_writes_a_picture(plainnet, tmp_path, make, target, name, begins):
    pytest.importorskip("matplotlib", reason="it draws the picture")
    make("data.csv")
    arguments = ["--target", target, "-o", "m", "--epochs", "3", "--plot", name]
    for validation in "0.2", "0":
        status, out, err = plainnet("train", "data.csv", *arguments, "--validation", validation)
        assert status == 0, err
        assert f"Picture    {os.path.realpath(name)}\n" in out
        content = (tmp_path / name).read_bytes()
        assert content.startswith(begins)
        assert len(content) > 10_000
        assert sorted(os.listdir()) == ["data.csv", name, "m"]


@pytest.mark.parametrize(("validation", "title"), [("0.2", "Rows set aside\n"), ("0", "Rows that the network was")])
def test_plot_says_which_rows_are_predicted(plainnet, monkeypatch, validation, title):
    figure = pytest.importorskip("matplotlib.figure", reason="it draws the picture")
    titles, save = [], figure.Figure.savefig

    def note(drawn, *where, **how):
        titles.append(drawn.axes[1].get_title())
        save(drawn, *where, **how)

    monkeypatch.setattr(figure.Figure, "savefig", note)
    flowers("data.csv")
    arguments = ["--target", "kind", "-o", "m", "--epochs", "1", "--plot", "a.png", "--validation", validation]
    status, _, err = plainnet("train", "data.csv", *arguments)
    assert status == 0, err
    (shown,) = titles
    assert shown.startswith(title)
    assert " rows wrong\n" in shown


def test_plot_takes_any_names_of_classes(plainnet):
    pytest.importorskip("matplotlib", reason="it draws the picture")
    write("data.csv", ["x", "y"], [[k, ["$\\x$", "\u6771", "a$b", "c\\$d", "_{^"][k % 5]] for k in range(50)])
    arguments = ["--epochs", "3", "--plot", "a picture.png"]
    status, out, err = plainnet("train", "data.csv", "--target", "y", "-o", "m", *arguments)
    assert status == 0, err
    assert f"Picture    {os.path.realpath('a picture.png')}\n" in out
    assert err.count("\n") == 1  # of progress


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("loss.xyz", "loss.xyz: unknown kind of picture; allowed endings are "), ("none/a.png", "none: No such file"),
        ("data.csv", "data.csv is the file that is read"), ("m", "m is where the model goes"),
        ("./m", "./m is where the model goes"), (".", ".: Is a directory"), ("", "it is empty, and must be the name"),
        ("-", "a picture goes to a file, and not to standard output"),
    ],
)  # fmt: skip
def test_plot_that_cannot_be_written_is_refused_before_training(plainnet, path, message):
    pytest.importorskip("matplotlib", reason="it draws the picture")
    flowers("data.csv")
    status, out, err = plainnet("train", "data.csv", "--target", "kind", "-o", "m", "--plot", path)
    assert (status, out) == (2, "")
    assert f"argument --plot: {message}" in err
    assert os.listdir() == ["data.csv"]


def test_plot_without_matplotlib_is_said_before_training(plainnet, monkeypatch):
    flowers("data.csv")
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    status, out, err = plainnet("train", "data.csv", "--target", "kind", "-o", "m", "--plot", "a.png")
    assert (status, out) == (1, "")
    assert err == "plainnet train: a picture needs matplotlib; get it with: pip install 'plainnet[cli]'\n"


def test_names_of_classes_keep_the_matrix_aligned(plainnet):
    """Some letters take two columns of a terminal; names of any length are cut."""
    names = "\u65e5\u672c", "e\u0301", "x" * 300
    write("data.csv", ["a", "kind"], [[k % 3 + 0.1 * (k % 7), names[k % 3]] for k in range(90)])
    status, out, err = plainnet("train", "data.csv", "--target", "kind", "-o", "m", "--epochs", "1")
    assert status == 0, err
    assert max(map(len, out.splitlines()[:-1])) <= 120
    rows = out[out.index("A row for each class") :].splitlines()[2:6]
    places = [len(row) + sum(row.count(letter) for letter in names[0]) - row.count("\u0301") for row in rows]
    assert len(set(places)) == 1


# ---- info ------------------------------------------------------------------------------------------------------------


def test_info_shows_layers_and_table(plainnet):
    flowers("data.csv")
    plainnet("train", "data.csv", "--target", "kind", "-o", "m", "--hidden", "5", "--epochs", "1")
    status, out, err = plainnet("info", "m")
    assert (status, err) == (0, "")
    assert out == (
        f"File       m, {os.path.getsize('m')} bytes, format version 1\n"
        "Network    4-5-3, relu, softmax; 43 parameters in float64\n"
        "Loss       cross_entropy\n"
        "Training   no state of training: the file is for prediction\n"
        "\n"
        "Layer  Inputs  Outputs  Activation  Parameters  Options\n"
        "    0       4        5  relu                25\n"
        "    1       5        3  softmax             18\n"
        "\n"
        "Column         Inputs  Holds\n"
        "length              1  numbers\n"
        "colour              2  blue, red\n"
        "noise               1  numbers\n"
        "kind (target)          kind 0, kind 1, kind 2\n"
    )


def test_info_shows_options_and_the_state_of_training(plainnet):
    layers = [pn.Dense(2, 3, "tanh", dropout=0.5, l2=0.25), pn.Dense(3, 1, bias=False)]
    net = pn.Network(layers, pn.Huber(2.0), optimizer=pn.Adam(0.01), seed=0)
    net.fit([[0, 1], [1, 0]], [1, 2], epochs=4, batch_size=1)
    net.save("m", training=True)
    _, out, _ = plainnet("info", "m")
    text = " ".join(out.split())
    assert "Loss Huber(delta=2.0) " in text
    assert f"Training {net.optimizer!r}; 4 epochs and 8 steps are done Layer" in text
    assert "0 2 3 tanh 9 dropout=0.5, l2=0.25 1 3 1 identity 3 no bias" in text
    assert "Column" not in out
    net.parameters[:2] = np.nan
    net.save("m", allow_nonfinite=True)
    assert "Damage     2 parameters are not finite\n" in plainnet("info", "m")[1]


def test_names_cannot_control_the_terminal(plainnet):
    rows = [[k, f"a\n{k % 2}\x1b[2J", f"\u202e{k % 2}"] for k in range(40)]
    write("data.csv", ["x\x1b]0;title\x07", "two\nlines", "\u00e4"], rows)
    status, out, err = plainnet("train", "data.csv", "--target", "\u00e4", "-o", "m", "--epochs", "1")
    assert status == 0, err
    out += plainnet("info", "m")[1]
    assert all(character.isprintable() or character == "\n" for character in out)
    assert "x\\x1b]0;title\\x07" in out
    assert "two lines" in out


# ---- Errors ----------------------------------------------------------------------------------------------------------


BAD_TABLES = [
    ("", "data.csv: it is empty"),
    ("a,y\n", "data.csv: it has a header, in line 1, but no rows"),
    ("a,a,y\n1,2,3\n", "line 1: 2 columns have the name 'a'"),
    ("a,y,y\n1,2,3\n", "line 1: 2 columns have the name 'y'"),
    ("a,b\n1,2\n3,4\n", "line 1: there is no column 'y'; there are 'a', 'b'"),
    ("a;y\n1;2\n3;4\n", "line 1: there is no column 'y'; there is 'a;y'; cells must be separated by"),
    (",y\n1,2\n3,4\n", "line 1: column 1 has no name"),
    ("y\n1\n2\n", "there is no column besides the target"),
    ("a,y\n1,2\n", "it has a single row"),
    ("a,y\n1,u\n2,u\n3,u\n", "column 'y': it is the same in all rows: nothing can be learned"),
    ("a,y\n1,1.5\n2,1.5\n3,1.5\n", "column 'y': it is the same in all rows: nothing can be learned"),
    ("a,b,y\n1,u,1\n1,u,2\n1,u,3\n", "all columns but the target are the same in all rows"),
    ('a,y\n1,1\n2,2\n"12,5",3\n', "line 4, column 'a': '12,5' is not a number"),
    ("a,y\n1,1\n2,2\n,3\n", "line 4, column 'a': the value is missing"),
    ("a,y\n1,1\n2,\n3,3\n", "line 3, column 'y': the value is missing"),
    ("a,y\n1,1\nNaN,2\n3,3\n", "line 3, column 'a': the value is missing, as 'NaN' says"),
    ("a,y\n1,1\ninf,2\n3,3\n", "line 3, column 'a': 'inf' is not a finite number"),
    ('t,a,y\n"x\ny",1,1\nz,?,2\nz,3,3\n', "line 4, column 'a': '?' is not a number"),
    ("\ufeffa,y\r\n1,1\r\n\r\nx,2\r\n3,3\r\n", "line 4, column 'a': 'x' is not a number"),
    ("a,y\n1e308,1\n-1e308,2\n1.7e308,3\n-1.7e308,3.5\n", "column 'a': the numbers are too large"),
    ("a,y\n17e17,1\n1700000000000000512,2\n1700000000000001024,3.5\n17e17,4\n", "differ too little for float64"),
    ("a,y\n1,1e308\n2,-1e308\n3,1.7e308\n4,-1.7e308\n", "column 'y': the numbers are too large"),
    ("a,y\n1e-320,1\n2e-320,2\n5e-320,3.5\n4e-320,4\n", "data.csv, column 'a': the numbers differ by too little"),
    ("a,y\n1e-170,1\n2e-170,2\n5e-170,3.5\n4e-170,4\n", "data.csv, column 'a': the numbers differ by too little"),
    ("a,y\n1,1e-320\n2,2e-320\n3,5e-320\n4,4e-320\n", "data.csv, column 'y': the numbers differ by too little"),
    ("a,y\n1,17e17\n2,1700000000000000512\n3,17e17\n4,1700000000000001024\n", "'y': the numbers differ too little"),
    ('a,y\n"1,5",1\n"2,5",2\n"3,25",3\n', "line 2, column 'a': '1,5' is not a number, which has a decimal point"),
    ('a,y\n1,"1,5"\n2,"1,5"\n3,"1,25"\n', "line 2, column 'y': '1,5' is not a number, which has a decimal point"),
    ("a;y\n1,5;2\n3;4\n", "line 2: it has 2 cells, but the header has 1; cells must be separated by commas, and a"),
    ("a,y\n1,u\n2,v\n3,w\n", "--validation 0 trains with all rows"),
    ("a,y\n1,2,3\n", "line 2: it has 3 cells, but the header has 2"),
    ("a,y\n1,\u00e9\n".encode("latin-1"), "line 2: the byte 0xe9 is not UTF-8"),
]


@pytest.mark.parametrize(("content", "message"), BAD_TABLES)
def test_train_says_what_is_wrong_with_a_table(plainnet, tmp_path, content, message):
    (tmp_path / "data.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    status, _, err = plainnet("train", "data.csv", "--target", "y", "-o", "m", "--validation", "0.3")
    assert status == 1
    assert err.startswith("plainnet train: ")
    assert message in err
    assert err.count("\n") == 1
    assert os.listdir() == ["data.csv"]


def test_commas_in_text_are_fine_where_that_is_said(plainnet):
    rows = [[f"{k % 3},{k % 2}", k, ("1,5", "2,5")[k % 2]] for k in range(30)]
    write("data.csv", ["a", "b", "y"], rows)
    status, _, err = plainnet("train", "data.csv", "--target", "y", "-o", "m", "--epochs", "1")
    assert (status, os.listdir()) == (1, ["data.csv"])
    assert "column 'a': '0,0' is not a number, which has a decimal point and no comma; --text 'a' takes" in err
    status, _, err = plainnet("train", "data.csv", "--target", "y", "-o", "m", "--epochs", "1", "--text", "a")
    assert "column 'y': '1,5' is not a number, which has a decimal point and no comma; --task classification" in err
    status, _, err = plainnet("train", "data.csv", "--target", "y", "-o", "m", "--epochs", "1", "--text", "a",
                              "--task", "classification")  # fmt: skip
    assert status == 0, err
    assert pn.load("m").table.target.categories == ("1,5", "2,5")


@pytest.mark.parametrize(("factor", "words"), [(1e-35, "differ by too little"), (1e35, "are too large")])
@pytest.mark.parametrize("name", ["a", "y"])
def test_numbers_are_refused_whose_scale_no_weight_of_float32_takes_up(plainnet, name, factor, words):
    columns = {"a": np.arange(1.0, 31), "y": np.arange(1.0, 31) ** 2}
    columns[name] *= factor
    write("data.csv", list(columns), zip(*columns.values()))
    status, _, err = plainnet("train", "data.csv", "--target", "y", "-o", "m", "--dtype", "float32", "--epochs", "1")
    assert status == 1
    assert re.search(rf"data.csv, column '{name}': the numbers {words} for float32; (multiply|divide) all by", err)
    assert os.listdir() == ["data.csv"]
    status, _, err = plainnet("train", "data.csv", "--target", "y", "-o", "m", "--epochs", "300")
    assert status == 0, err
    predicted = np.array(rows_of(plainnet("predict", "m", "data.csv")[1])[1], float)[:, 0]
    assert np.corrcoef(predicted, columns["y"])[0, 1] > 0.9


def test_float32_is_refused_where_it_does_not_tell_numbers_apart(plainnet):
    write("data.csv", ["time", "y"], [[1_700_000_000 + 60 * k, k * k] for k in range(50)])
    status, _, err = plainnet("train", "data.csv", "--target", "y", "-o", "m", "--dtype", "float32")
    assert status == 1
    assert re.search(r"column 'time': the numbers differ too little for float32: .* use --dtype float64$", err)
    status, _, err = plainnet("train", "data.csv", "--target", "y", "-o", "m", "--epochs", "300")
    assert status == 0, err
    actual = np.arange(50) ** 2
    predicted = np.array(rows_of(plainnet("predict", "m", "data.csv")[1])[1], float)[:, 0]
    assert 1 - np.mean((predicted - actual) ** 2) / np.var(actual) > 0.95


def test_task_that_does_not_fit_the_target_is_refused(plainnet):
    flowers("data.csv")
    status, _, err = plainnet("train", "data.csv", "--target", "kind", "-o", "m", "--task", "regression")
    assert status == 1
    assert re.search(r"data.csv, line 2, column 'kind': 'kind \d' is not a number\n$", err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data.csv", "-o", "m"], "required: --target"), (["data.csv", "--target", "kind"], "required: -o"),
        (["--target", "kind", "-o", "m"], "required: DATA.csv"),
        (["--hidden", "64,0"], "--hidden: must be at least 1, not 0; give numbers of neurons, such as 64,64, or none"),
        (["--hidden", ""], "--hidden: '' is not an integer"), (["--activation", "softmax"], "invalid choice"),
        (["--epochs", "0"], "--epochs: must be within"), (["--validation", "1"], "at least 0 and below 1, not 1"),
        (["--validation", "x"], "--validation: 'x' is not a number"), (["--batch-size", "1.5"], "not an integer"),
        (["--learning-rate", "nan"], "must be finite and above 0"), (["--optimizer", "adagrad2"], "invalid choice"),
        (["--learning-rate", "1e-60", "--dtype", "float32"], "--learning-rate: 1e-60 is 0 or infinite in float32"),
        (["--text", "kind"], "--text: 'kind' is the target"), (["--ignore", "kind"], "--ignore: 'kind' is the target"),
        (["-o", "none/m"], "argument -o: none: No such file or directory"),
        (["-o", "data.csv/m"], "argument -o: data.csv: Not a directory"),
        (["-o", "."], "argument -o: .: Is a directory"),
        (["--seed", str(2**64)], "--seed: must be within 0...18446744073709551615, not 18446744073709551616"),
        (["-o", ""], "argument -o: it is empty, and must be the name of a file"),
        (["-o", "-"], "argument -o: a model goes to a file, and not to standard output"),
        (["-o", "./data.csv"], "argument -o: ./data.csv is the file that is read, and is never overwritten"),
    ],
)  # fmt: skip
def test_train_refuses_bad_options_before_it_reads(plainnet, arguments, message):
    flowers("data.csv")
    before = Path("data.csv").read_bytes()
    if "required" not in message:
        arguments = ["data.csv", "--target", "kind", "-o", "m", *arguments]
    status, out, err = plainnet("train", *arguments)
    assert (status, out) == (2, "")
    assert message in " ".join(err.split())
    assert "Traceback" not in err
    assert os.listdir() == ["data.csv"]
    assert Path("data.csv").read_bytes() == before


def test_output_that_may_not_be_written_is_refused_before_training(plainnet, monkeypatch):
    flowers("data.csv")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # as root everything is allowed
    status, out, err = plainnet("train", "data.csv", "--target", "kind", "-o", "m")
    assert (status, out) == (2, "")
    assert "argument -o: .: Permission denied" in err


def test_divergence_is_said_and_leaves_no_file(plainnet):
    houses("data.csv")
    status, _, err = plainnet("train", "data.csv", "--target", "price", "-o", "m", "--optimizer", "sgd",
                              "--learning-rate", "1e9")  # fmt: skip
    assert status == 1
    assert err.splitlines()[-1] == (
        "plainnet train: training diverged in epoch 1, as numbers became infinite, and no file is written; try a "
        "smaller --learning-rate"
    )
    assert os.listdir() == ["data.csv"]


def test_model_is_there_whatever_becomes_of_the_output(tmp_path):
    """The results of the run are said after the model is written: a full disk takes them, and not the model."""
    flowers(tmp_path / "data.csv")
    program = textwrap.dedent("""
        import sys
        from plainnet import cli
        from plainnet.cli import train

        def fail(facts):
            sys.stdout.flush()
            raise OSError(28, "No space left on device")

        run = train._train
        def trained(*arguments):
            result = run(*arguments)
            train.say_facts = fail
            return result

        train._train = trained
        sys.exit(cli.main(["train", "data.csv", "--target", "kind", "-o", "m", "--epochs", "1"]))
    """)
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == "plainnet train: cannot write the output: No space left on device"
    assert pn.load(tmp_path / "m").table.target.name == "kind"


@pytest.mark.parametrize("rows", [120, 10**30])
def test_batch_of_more_rows_than_there_are_has_them_all(plainnet, rows):
    flowers("data.csv")
    arguments = ["data.csv", "--target", "kind", "-o", "m", "--epochs", "1", "--batch-size", str(rows)]
    status, out, err = plainnet("train", *arguments)
    assert status == 0, err
    assert "108 rows a step" in " ".join(out.split())


def test_full_disk_is_said_and_leaves_the_old_file(plainnet, monkeypatch, tmp_path):
    flowers("data.csv")
    (tmp_path / "m").write_text("older")

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    status, _, err = plainnet("train", "data.csv", "--target", "kind", "-o", "m", "--epochs", "1")
    assert status == 1
    assert err.splitlines()[-1] == "plainnet train: cannot write m: No space left on device"
    assert (tmp_path / "m").read_text() == "older"
    assert sorted(os.listdir()) == ["data.csv", "m"]


@pytest.mark.parametrize(
    "arguments", [["train", "data.csv", "--target", "kind", "-o", "n"], ["predict", "m", "data.csv"]]
)
def test_missing_pandas_is_said_in_a_line(plainnet, monkeypatch, arguments):
    flowers("data.csv")
    plainnet("train", "data.csv", "--target", "kind", "-o", "m", "--epochs", "1")
    monkeypatch.setitem(sys.modules, "pandas", None)
    status, out, err = plainnet(*arguments)
    assert (status, out) == (1, "")
    assert err == (
        f"plainnet {arguments[0]}: reading and writing CSV files needs pandas; get it with: "
        "pip install 'plainnet[cli]'\n"
    )


def test_missing_tqdm_is_said_before_training_on_a_terminal(plainnet, monkeypatch):
    flowers("data.csv")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    status, out, err = plainnet("train", "data.csv", "--target", "kind", "-o", "m")
    assert (status, out) == (1, "")
    assert "needs tqdm; get it with: pip install 'plainnet[cli]'" in err


BAD_ROWS = [
    ("length,noise\n1,2\n", "line 1: there is no column 'colour'; there are 'length', 'noise'"),
    ("length,colour,colour,noise\n1,red,red,2\n", "line 1: 2 columns have the name 'colour'"),
    ("length,colour,noise\n1,red,2\n1,green,2\n", "line 3, column 'colour': the category 'green' is unknown; known are "
                                                  "'blue', 'red'"),
    ("length,colour,noise\n1,red,2\n1,,2\n", "line 3, column 'colour': the value is missing"),
    ("length,colour,noise\n1,red,two\n", "line 2, column 'noise': 'two' is not a number"),
    ("length,colour,noise\n", "it has a header, in line 1, but no rows"),
    ("", "it is empty"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "message"), BAD_ROWS)
def test_predict_says_what_is_wrong_with_a_table_and_writes_nothing(plainnet, tmp_path, content, message):
    flowers("data.csv")
    plainnet("train", "data.csv", "--target", "kind", "-o", "m", "--epochs", "1")
    (tmp_path / "out.csv").write_text("older")
    for extra in [], ["-o", "out.csv"]:
        status, out, err = plainnet("predict", "m", "-", *extra, stdin=content.encode())
        assert (status, out) == (1, "")
        assert err.startswith(f"plainnet predict: standard input{',' if 'line' in message[:4] else ':'} ")
        assert message in err
        assert err.count("\n") == 1
    assert (tmp_path / "out.csv").read_text() == "older"


@pytest.mark.parametrize("command", ["predict", "info"])
def test_bad_model_file_is_said_in_a_line(plainnet, tmp_path, command):
    flowers("data.csv")
    extra = ["data.csv"] if command == "predict" else []
    for name, content, message in [
        ("none", None, "cannot read none: No such file or directory"), ("bad", b"{}", "bad: it has 2 bytes"),
        (".", None, "cannot read .: Is a directory"), ("data.csv", None, "data.csv: its header would have"),
    ]:  # fmt: skip
        if content is not None:
            (tmp_path / name).write_bytes(content)
        status, out, err = plainnet(command, name, *extra)
        assert (status, out) == (1, "")
        assert err.startswith(f"plainnet {command}: {message}")
        assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [("predict", "-", "data.csv"), ("info", "-")])
def test_model_from_standard_input_is_refused(plainnet, arguments):
    status, out, err = plainnet(*arguments)
    assert (status, out) == (2, "")
    assert "argument MODEL: a model comes from a file, and not from standard input" in err


def test_predict_needs_a_model_that_knows_its_columns(plainnet):
    flowers("data.csv")
    pn.Network([pn.Dense(3, 1)], seed=0).save("m")
    status, _, err = plainnet("predict", "m", "data.csv")
    assert status == 1
    assert err.startswith("plainnet predict: m: it does not tell which columns its inputs are")


def test_predict_has_probabilities_of_classes_alone(plainnet):
    houses("data.csv")
    plainnet("train", "data.csv", "--target", "price", "-o", "m", "--epochs", "1")
    status, _, err = plainnet("predict", "m", "data.csv", "--probabilities")
    assert (status, err) == (1, "plainnet predict: --probabilities is for classes, and 'price' is a number\n")


@pytest.mark.parametrize("output", ["data.csv", "m", "none/out.csv"])
def test_predict_never_overwrites_what_it_reads(plainnet, output):
    flowers("data.csv")
    plainnet("train", "data.csv", "--target", "kind", "-o", "m", "--epochs", "1")
    before = [Path(name).read_bytes() for name in ("data.csv", "m")]
    status, out, err = plainnet("predict", "m", "data.csv", "-o", output)
    assert (status, out) == (2, "")
    assert "argument -o: " in err
    assert [Path(name).read_bytes() for name in ("data.csv", "m")] == before


def test_predict_does_not_write_through_a_link_to_what_it_reads(plainnet):
    flowers("data.csv")
    plainnet("train", "data.csv", "--target", "kind", "-o", "m", "--epochs", "1")
    os.symlink("data.csv", "link.csv")
    assert plainnet("predict", "m", "data.csv", "-o", "link.csv")[0] == 2


def test_output_is_checked_as_it_is_written(tmp_path):
    """What check_replaceable refuses is what write_atomically refuses, with the same error."""
    (tmp_path / "file").write_text("x")
    os.symlink(tmp_path / "none" / "file", tmp_path / "broken")
    os.symlink(tmp_path / "file", tmp_path / "link")
    names = ["new", "file", "link", "broken", "none/new", "file/new", ".", "new/", os.devnull]
    for path in (os.path.join(tmp_path, name) for name in names):
        kinds = []
        for act in atomic.check_replaceable, lambda path: atomic.write_atomically(path, b"y"):
            try:
                act(path)
                kinds.append(None)
            except OSError as error:
                kinds.append((type(error), error.errno))
        assert kinds[0] == kinds[1], path


# ---- As a program ----------------------------------------------------------------------------------------------------


def start(arguments, directory, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "plainnet", *arguments], cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


def test_progress_is_a_bar_on_a_terminal(tmp_path):
    pty = pytest.importorskip("pty", reason="terminals of this kind are those of POSIX")
    pytest.importorskip("tqdm", reason="tqdm draws the bar")
    flowers(tmp_path / "data.csv")
    fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    command = [sys.executable, "-m", "plainnet", "train", "data.csv", "--target", "kind", "-o", "m", "--epochs", "30"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=slave) as process:
        os.close(slave)
        shown = b""
        with contextlib.suppress(OSError):  # the other side is closed
            while part := os.read(master, 4096):
                shown += part
        out = process.stdout.read()
    os.close(master)
    assert process.returncode == 0
    assert b"epoch 30/30: 100%" in shown
    assert b"\r" not in out


def test_closed_standard_error_is_no_error(tmp_path):
    flowers(tmp_path / "data.csv")
    command = f"{sys.executable} -m plainnet train data.csv --target kind -o m --epochs 2 2>&-"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, stdout=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 0
    assert "epoch 2/2" not in done.stdout


@pytest.mark.usefixtures("sigint_raises")  # or the program would inherit that it is ignored
def test_ctrl_c_while_training_leaves_no_file(tmp_path):
    flowers(tmp_path / "data.csv")
    arguments = ["train", "data.csv", "--target", "kind", "-o", "m", "--epochs", "10000000", "--patience", "0"]
    with start(arguments, tmp_path) as process:
        while not process.stdout.readline().startswith("Training"):
            pass
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert err.splitlines()[-1] == "plainnet train: interrupted"
    assert "Traceback" not in err
    assert process.returncode == 130
    assert os.listdir(tmp_path) == ["data.csv"]


def test_pipes_join_the_commands(tmp_path):
    flowers(tmp_path / "data.csv")
    program = f"{sys.executable} -m plainnet"
    command = (
        f"cat data.csv | {program} train - --target kind -o m --epochs 2 >log 2>&1 && cat data.csv | "
        f"{program} predict m - | head -n 1"
    )
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "kind\n", "")


def test_predict_says_that_the_output_is_full_or_closed(tmp_path):
    flowers(tmp_path / "data.csv")
    with start(["train", "data.csv", "--target", "kind", "-o", "m", "--epochs", "1"], tmp_path) as process:
        process.communicate(timeout=120)
    program = f"{sys.executable} -m plainnet predict m data.csv"
    for redirection, reason in (">/dev/full", "No space left on device"), (">&-", "standard output is closed"):
        if redirection == ">/dev/full" and not os.path.exists("/dev/full"):
            continue
        done = subprocess.run(["bash", "-c", f"{program} {redirection}"], cwd=tmp_path, capture_output=True, text=True,
                              timeout=120)  # fmt: skip
        assert (done.returncode, done.stderr) == (1, f"plainnet predict: cannot write the output: {reason}\n")


# ---- docs/how_to/table.md --------------------------------------------------------------------------------------------


def commands(comment):
    return pages.block("how_to/table.md", "{terminal}", after=comment)


def test_page_on_tables_trains_and_predicts(plainnet, tmp_path):
    (tmp_path / "examples").mkdir()
    shutil.copy(ROOT / "examples" / "flats.csv", tmp_path / "examples")
    status, out, err = plainnet(*commands("train command").split()[1:])
    assert status == 0, err
    assert float(re.search(r"R2 +([\d.]+)", out).group(1)) > 0.99
    command = r"printf '(.*)' \| plainnet predict flats.safetensors -\n"
    rows = re.search(command, commands("predict command")).group(1).replace("\\n", "\n")
    _, out, _ = plainnet("predict", "flats.safetensors", "-", stdin=rows.encode())
    header, *numbers = out.split()
    assert header == "price"
    # Without FMA, tens of epochs differ in their last digits.
    np.testing.assert_allclose(np.array(numbers, float), [399310, 255725], rtol=0.03)
    rows = re.search(command, commands("predict error")).group(1).replace("\\n", "\n")
    status, _, err = plainnet("predict", "flats.safetensors", "-", stdin=rows.encode())
    assert status == 1
    assert "line 3, column 'district': the category 'south' is unknown; known are 'centre', 'harbour'" in err
    status, out, _ = plainnet(*commands("info command").split()[1:])
    assert status == 0
    assert "7-64-64-1" in out
