"""CSV files: their cells, the lines that errors name, and columns written as CSV."""

import csv
import io
import re
import sys

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

pandas = pytest.importorskip("pandas", reason="CSV files are read with pandas")

from plainnet.csv_table import TableError, as_csv, read_csv  # noqa: E402


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Reads a file data.csv with this content."""
    monkeypatch.chdir(tmp_path)

    def read(content):
        (tmp_path / "data.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_csv("data.csv")

    return read


def contents(table):
    return table.columns, [list(row) for row in zip(*table.cells)], table.lines.tolist()


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n1,x\n2,y\n", "a,b\n1,x\n2,y", "a,b\r\n1,x\r\n2,y\r\n", "a,b\r1,x\r2,y\r", "\ufeffa,b\n1,x\n2,y\n",
        '"a","b"\n"1","x"\n2,"y"\n', " a , b\n1, x \n 2,y\n", 'a, "b"\n1, "x"\n2,y\n',
    ],
)  # fmt: skip
def test_csv_is_read_as_others_write_it(table, content):
    assert contents(table(content)) == (("a", "b"), [["1", "x"], ["2", "y"]], [2, 3])


def test_csv_cells_are_texts_as_they_stand_in_the_file(table):
    values = ["007", "1e5", "NA", "", "None", "true", "-0", "2020-01-01", "1.50", 'a ""b""', "\u00e4\U0001f600", "1,5"]
    header = ",".join(f"c{k}" for k in range(len(values)))
    row = ",".join(f'"{value}"' if "," in value or '"' in value else value for value in values)
    read = table(f"{header}\n{row}\n")
    assert [cells[0] for cells in read.cells] == [value.replace('""', '"') for value in values]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_csv_lines_are_those_that_an_editor_counts(table, newline):
    content = newline.join(["", "  ", 'a,"b', 'c"', "1,x", "", '2,"y', "", 'z"', ",", "3,", "", ""])
    columns, rows, lines = contents(table(content))
    assert columns == ("a", f"b{newline}c")
    assert rows == [["1", "x"], ["2", f"y{newline}{newline}z"], ["", ""], ["3", ""]]
    assert lines == [5, 7, 10, 11]


def test_csv_of_one_column_has_no_blank_lines_but_at_the_end(table):
    assert contents(table("a\n1\n\n2\n\n\n")) == (("a",), [["1"], [""], ["2"]], [2, 3, 4])


def test_csv_short_rows_have_empty_cells_at_the_end(table):
    assert contents(table("a,b,c\n1,2\n3\n")) == (("a", "b", "c"), [["1", "2", ""], ["3", "", ""]], [2, 3])


@hypothesis.given(
    st.integers(2, 4).flatmap(lambda n: st.lists(
        st.lists(st.text('ab ,"\t\r\n\u00e9', max_size=5), min_size=n, max_size=n), min_size=2, max_size=6
    )),
    st.sampled_from(["\n", "\r\n"]), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)  # fmt: skip
def test_csv_of_any_cells_is_read_with_the_lines_of_its_rows(rows, newline, quoting):
    """Written by the standard library; the header has a name, so that its line is not blank."""
    rows[0] = ["name", *rows[0][1:]]
    if quoting == csv.QUOTE_MINIMAL:  # which leaves a carriage return as it is, so that it would end the line
        rows = [[cell.replace("\r", "") for cell in row] for row in rows]
    text = io.StringIO(newline="")
    writer, lines = csv.writer(text, lineterminator=newline, quoting=quoting), []
    for row in rows:
        lines.append(1 + len(re.findall(r"\r\n|\r|\n", text.getvalue())))
        writer.writerow(row)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.getvalue().encode())))
        read = read_csv("-")
    assert read.columns == tuple(cell.strip() for cell in rows[0])
    assert [list(row) for row in zip(*read.cells)] == [[cell.strip() for cell in row] for row in rows[1:]]
    assert read.lines.tolist() == lines[1:]


def test_csv_of_many_rows_keeps_its_lines(table):
    """More than pandas reads at once."""
    rows = [f'{k},"{"a" * (k % 7)}{chr(10) * (k % 3 == 0)}"' for k in range(300_000)]
    read = table("\n".join(["k,text", *rows]))
    starts = 2 + np.arange(300_000) + (np.arange(300_000) + 2) // 3
    np.testing.assert_array_equal(read.lines, starts)
    assert read.cells[0] == [str(k) for k in range(300_000)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"^data.csv: it is empty; the first line must have the names of the columns$"),
        ("\n \n", r"^data.csv: it is empty"),
        ("\ufeff", r"^data.csv: it is empty"),
        ("a,b\n", r"^data.csv: it has a header, in line 1, but no rows$"),
        ("\na,b\n\n\n", r"^data.csv: it has a header, in line 2, but no rows$"),
        ("a\n\n", r"but no rows"),
        ("a,b\n1,2\n\n3,4,5\n", r"^data.csv, line 4: it has 3 cells, but the header has 2; a text that holds a comma"),
        ("a,b\n1,2,3\n", r"^data.csv, line 2: it has 3 cells, but the header has 2"),
        ('\na,"b\nc"\n"1\n\n",2\n3,4,5\n', r"^data.csv, line 7: it has 3 cells, but the header has 2"),
        ('a,b\n"x\ny",2\n3,"4\n5,6\n', r"^data.csv, line 4: a quotation mark is opened and not closed$"),
        ('"a,b\n1,2', r"^data.csv, line 1: a quotation mark is opened and not closed$"),
        ("a,b\n1,x\n2,\u00e9\n".encode("latin-1"), r"^data.csv, line 3: the byte 0xe9 is not UTF-8; save the file in"),
        ("a,b\n1,\u00e9\n".encode("utf-16"), r"^data.csv: it is in UTF-16; save it in UTF-8$"),
        (b"a,b\n1,2\n3,\x00\n", r"^data.csv, line 3: there is a zero byte, so this is no CSV file$"),
    ],
)
def test_csv_that_cannot_be_read_is_refused_with_the_line(table, content, message):
    with pytest.raises(TableError, match=message):
        table(content)


def test_csv_row_that_is_too_long_is_found_far_down(table):
    rows = ['"1\n",2'] * 50_000
    with pytest.raises(TableError, match=r"^data.csv, line 100002: it has 3 cells"):
        table("\n".join(["a,b", *rows, "1,2,3", "4,5"]))


@pytest.mark.parametrize(("path", "reason"), [("none.csv", "No such file or directory"), (".", "Is a directory")])
def test_csv_that_cannot_be_opened_is_refused(tmp_path, monkeypatch, path, reason):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TableError, match=rf"^cannot read {path}: {reason}$"):
        read_csv(path)


def test_csv_is_read_from_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a,b\n1,2\n3,4,5\n")))
    with pytest.raises(TableError, match=r"^standard input, line 3: "):
        read_csv("-")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("a\n\u00e9\n".encode())))
    assert read_csv("-").cells == [["\u00e9"]]
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(TableError, match=r"^standard input is closed$"):
        read_csv("-")


def test_csv_column_is_found_by_its_name(table):
    read = table("\na,b,a\n1,2,3\n")
    assert read.column("b") == ["2"]
    with pytest.raises(TableError, match=r"^data.csv, line 2: 2 columns have the name 'a'$"):
        read.column("a")
    with pytest.raises(TableError, match=r"^data.csv, line 2: there is no column 'c'; there are 'a', 'b', 'a'$"):
        read.column("c")


def test_csv_needs_pandas_and_says_how_to_get_it(table, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install 'plainnet\[cli\]'"):
        table("a\n1\n")


def test_csv_that_is_written_is_read_back(table, dtype):
    numbers = np.array([0.1, 1 / 3, -1e-30, 12345678.0], dtype)
    texts = ["plain", 'a "b", c', "two\nlines", "\u00e4"]
    read = table(as_csv([("a, b", texts), ("x", numbers), ("x", numbers[::-1])]))
    assert read.columns == ("a, b", "x", "x")
    assert read.cells[0] == texts
    for cells, values in zip(read.cells[1:], [numbers, numbers[::-1]]):
        np.testing.assert_array_equal(np.array([float(cell) for cell in cells]).astype(dtype), values)
