"""``plainnet export`` with tables: int8 weights and rows for the self-test."""

import re
import shlex
import shutil

import numpy as np
import pytest

import plainnet as pn
from plainnet import native

import toolchain
from test_cli_train import ROOT, flowers, houses, plainnet, rows_of, write  # noqa: F401

pytest.importorskip("pandas", reason="CSV files are read with pandas")


@pytest.fixture
def trained(plainnet):  # noqa: F811
    """Runs the command line in a directory with networks and their tables; what it writes in lines is one line here."""
    flowers("flowers.csv")
    houses("houses.csv")
    for table, target in ("flowers", "kind"), ("houses", "price"):
        status, _, err = plainnet("train", f"{table}.csv", "--target", target, "-o", f"{table}.safetensors",
                                  "--epochs", "30", "--hidden", "16")  # fmt: skip
        assert status == 0, err

    def run(line, **options):
        status, out, err = plainnet(*shlex.split(line), **options)
        return status, " ".join(out.split()), err

    return run


@pytest.mark.skipif(not toolchain.COMPILERS, reason="needs a C compiler")
@pytest.mark.parametrize("table", ["flowers", "houses"])
def test_export_reads_tables_for_int8_and_the_self_test(trained, tmp_path, table):
    files = f"--c pump.c --name pump --int8 {table}.csv --self-test {table}.csv"
    status, out, err = trained(f"export {table}.safetensors {files}")
    assert (status, err) == (0, "")
    net = pn.load(f"{table}.safetensors")
    n_rows = {"flowers": 120, "houses": 200}[table]
    assert re.search(rf"In C pump_predict, {net.dtype} with int8 weights: \d+ bytes of constants, ", out)
    assert f"int8 in {n_rows} rows of calibration data, outputs differ from those with exact weights by at most" in out
    assert ("; the class is the same in" in out) == (table == "flowers")
    assert f"Self-test 100 of {n_rows} rows, with -DPUMP_SELF_TEST Written" in out
    text = " ".join((tmp_path / "pump.c").read_text().replace("\n *", " ").split())
    assert out[out.index("rows of calibration") : out.index(" Self-test")] in text
    command = [toolchain.COMPILERS[0], "-DPUMP_SELF_TEST", "pump.c", "-lm", "-o", "self_test"]
    toolchain.compile_cleanly(*command)
    assert toolchain.run(tmp_path / "self_test").returncode == 0


def test_export_writes_what_to_c_writes_of_the_same_rows(trained, tmp_path):
    """Rows of the table in the order of the network's inputs, spread evenly with the first and the last."""
    status, _, err = trained("export houses.safetensors --c model.c --self-test houses.csv")
    assert (status, err) == (0, "")
    _, cells = rows_of((tmp_path / "houses.csv").read_text())
    net = pn.load("houses.safetensors")
    towns = net.table.columns[1].categories
    x = np.array([[float(area), *(town == name for name in towns)] for area, town, _ in cells])
    net.to_c("expected.c", self_test=x[np.linspace(0, 199, 100).round().astype(int)])
    assert (tmp_path / "model.c").read_text() == (tmp_path / "expected.c").read_text()
    status, out, err = trained(
        "export houses.safetensors --c model.c --int8 -", stdin=(tmp_path / "houses.csv").read_bytes()
    )
    assert (status, err) == (0, "")
    net.to_c("expected.c", weights="int8", calibration=x)
    assert (tmp_path / "model.c").read_text() == (tmp_path / "expected.c").read_text()
    assert "Self-test" not in out


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        ("--int8 missing.csv", 1, "cannot read missing.csv: No such file or directory"),
        ("--int8 empty.csv", 1, "empty.csv: it has a header, in line 1, but no rows"),
        ("--self-test empty.csv", 1, "empty.csv: it has a header, in line 1, but no rows"),
        ("--int8 other.csv", 1, "other.csv, line 1: there is no column 'town'; there are 'area', 'price'"),
        ("--int8 nan.csv", 1, "nan.csv, line 3, column 'area': the value is missing, as 'nan' says; fill it in"),
        ("--self-test inf.csv", 1, "inf.csv, line 2, column 'area': 'inf' is not a finite number in float"),
        ("--int8 town.csv", 1, "town.csv, line 2, column 'town': the category 'Rome' is unknown; known are"),
        ("--int8 - --self-test -", 2, "arguments --int8 and --self-test: standard input can be read once"),
        ("--int8", 2, "argument --int8: expected one argument"),
    ],
)
def test_export_refuses_tables_that_do_not_fit(trained, tmp_path, options, status, message):
    write("empty.csv", ["area", "town", "price"], [])
    write("other.csv", ["area", "price"], [[100, 1]])
    write("nan.csv", ["area", "town", "price"], [[100, "Bonn, old", 1], ["nan", "Bonn, old", 1]])
    write("inf.csv", ["area", "town", "price"], [["inf", "Bonn, old", 1]])
    write("town.csv", ["area", "town", "price"], [[100, "Rome", 1]])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    code, out, err = trained(f"export houses.safetensors --c out.c {options}")
    assert (code, out) == (status, "")
    assert message in err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_page_on_firmware_shows_what_export_writes(plainnet, tmp_path):  # noqa: F811
    page = (ROOT / "docs" / "how_to" / "firmware.md").read_text()
    command, output = (
        re.search(rf"<!-- export {what} -->\n```\w+\n(.*?)```", page, re.DOTALL)[1] for what in ("command", "output")
    )
    (tmp_path / "examples").mkdir()
    shutil.copy(ROOT / "examples" / "flats.csv", tmp_path / "examples")
    assert plainnet("train", "examples/flats.csv", "--target", "price", "-o", "flats.safetensors")[0] == 0
    status, out, err = plainnet(*shlex.split(command)[1:])
    assert (status, err) == (0, "")
    out = out.replace(str(tmp_path), "/home/you")
    if native.isa() == "baseline":  # which trains another network, in the last digits
        out, output = (re.sub(r"\d+", "1", text) for text in (out, output))
    assert out == output


def test_export_never_overwrites_a_table(trained, tmp_path):
    before = (tmp_path / "houses.csv").read_bytes()
    for option in "--int8", "--self-test":
        code, _, err = trained(f"export houses.safetensors --c houses.csv {option} houses.csv")
        assert code == 2
        assert "houses.csv is the file that is read, and is never overwritten" in err
    assert (tmp_path / "houses.csv").read_bytes() == before


def test_export_with_a_table_needs_a_network_that_knows_its_columns(trained, tmp_path):
    pn.Network([pn.Dense(1, 1)], seed=0).save("other.safetensors")
    for option in "--int8", "--self-test":
        code, _, err = trained(f"export other.safetensors --c out.c {option} houses.csv")
        assert code == 1
        assert "other.safetensors: it does not tell which columns its inputs are" in err
        assert "pn.load and net.to_c take rows" in err
    assert not (tmp_path / "out.c").exists()


def test_export_tells_rows_that_it_cannot_test(trained, tmp_path):
    write("far.csv", ["area", "town", "price"], [["1e308", "Bonn, old", 1]])
    net = pn.load("houses.safetensors")
    net.layers[0].weight[0] = 1e5
    net.save("steep.safetensors")
    for option in "--int8", "--self-test":
        code, _, err = trained(f"export steep.safetensors --c out.c {option} far.csv")
        assert code == 1
        assert "row 0, column 0" in err
    assert not (tmp_path / "out.c").exists()
