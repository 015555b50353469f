"""From the cells of a table to numbers and back: kinds of columns, categories, classes, and every error's place."""

import numpy as np
import pytest

from plainnet.csv_table import CsvTable, TableError
from plainnet.encoding import decode_predictions, encode_inputs, encode_target, input_columns, target_column
from plainnet.table import Column, Table

FLOAT64, FLOAT32 = np.dtype(np.float64), np.dtype(np.float32)

#: An integer that float64 does not tell from the next one.
HUGE = "12345678901234567"


def table(**columns):
    """A table whose rows stand in lines 2, 3, ..."""
    cells = [text.split() if isinstance(text, str) else list(text) for text in columns.values()]
    return CsvTable("data.csv", tuple(columns), cells, np.arange(2, 2 + len(cells[0])), 1)


# ---- What a column holds ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "categories"),
    [
        ("1 2.5 -3e-7", None), ("+1 .5 007", None), ("red blue red", ("blue", "red")),
        ("true false", ("false", "true")), ("0x10 0x11", ("0x10", "0x11")), ("a 1 None", ("1", "None", "a")),
        ("1 2 x1 x2", ("1", "2", "x1", "x2")), ("1_000 2_000 3", ("1_000", "2_000", "3")),
        (["b c", "a", "b  c"], ("a", "b  c", "b c")),
    ],
)  # fmt: skip
def test_column_holds_numbers_if_most_of_its_cells_are(cells, categories):
    assert input_columns(table(a=cells, y=cells), "y", [], []) == [Column("a", categories)]


def test_columns_are_text_or_left_out_if_that_is_said():
    data = table(id="1 2", code="10 20", size="3 4", y="5 6")
    assert input_columns(data, "y", ["code"], ["id"]) == [Column("code", ("10", "20")), Column("size")]
    for text, ignored in (["zip"], []), ([], ["zip"]):
        with pytest.raises(TableError, match=r"^data.csv, line 1: there is no column 'zip'; there are 'id', 'code'"):
            input_columns(data, "y", text, ignored)


def test_columns_need_names_that_differ():
    with pytest.raises(TableError, match=r"^data.csv, line 1: column 1 has no name .*index=False"):
        input_columns(table(**{"": "1 2", "y": "1 2"}), "y", [], [])
    assert input_columns(table(**{"": "1 2", "a": "3 4", "y": "1 2"}), "y", [], [""]) == [Column("a")]
    twice = CsvTable("data.csv", ("a", "a", "y"), [["1"], ["2"], ["3"]], np.array([2]), 1)
    with pytest.raises(TableError, match=r"^data.csv, line 1: 2 columns have the name 'a'$"):
        input_columns(twice, "y", [], [])


def test_text_that_differs_in_each_row_is_refused_unless_asked_for():
    days = [f"2020-01-{k:02}" for k in range(1, 11)]
    for cells in (days, [f"{k} %" for k in range(10)]):
        with pytest.raises(TableError, match=r"^data.csv, column 'a': its text is different in each row.*--ignore 'a'"):
            input_columns(table(a=cells, y=["1"] * 10), "y", [], [])
    for data, text in (table(a=days), ["a"]), (table(a=days[:9]), []), (table(a=[*days[:9], days[0]]), []):
        assert input_columns(data, "y", text, [])[0].categories == tuple(sorted(set(data.column("a"))))


def test_text_of_too_many_categories_is_refused():
    data = table(a=[f"n{k % 1001}" for k in range(1002)], y=["1"] * 1002)
    with pytest.raises(TableError, match=r"column 'a': it has 1001 different values, and there may be at most 1000"):
        input_columns(data, "y", [], [])
    assert input_columns(table(a=[f"n{k % 1000}" for k in range(1001)]), "y", [], [])[0].width == 1000
    numbers = table(a=[f"{k}.5" for k in range(1001)])
    assert target_column(numbers, "a", None)[0] == Column("a")
    for cells, task in (numbers, "classification"), (data, None):
        with pytest.raises(TableError, match=r"column 'a': it has 1001 different values"):
            target_column(cells, "a", task)


@pytest.mark.parametrize(
    ("cells", "task", "classes", "why"),
    [
        ("b a b", None, ("a", "b"), "as 'y' is text"), ("True False True", None, ("False", "True"), "as 'y' is text"),
        ("1 0 1 0", None, ("0", "1"), "as 'y' holds whole numbers, of which 2 are different"),
        ("10 9 9 10.0", None, ("9", "10"), "as 'y' holds whole numbers, of which 2 are different"),
        ("1 0 2 0", None, None, "as 'y' holds 3 different numbers"),  # as each stands in fewer than two rows
        ("0.5 0.5 1 1", None, None, "as 'y' holds 2 different numbers"),
        ("0.5 0.5 1 1", "classification", ("0.5", "1"), "as --task says"),
        ("1 0 1 0", "regression", None, "as --task says"), ("b a", "classification", ("a", "b"), "as --task says"),
        ([HUGE, HUGE[:-1] + "8"] * 2, None, (HUGE, HUGE[:-1] + "8"), "as 'y' holds whole numbers, of which 2 are"),
        ([str(k) for k in range(20)] * 2, None, tuple(str(k) for k in range(20)), "of which 20 are different"),
        ([str(k) for k in range(21)] * 2, None, None, "as 'y' holds 21 different numbers"),
    ],
)  # fmt: skip
def test_target_decides_the_task_unless_that_is_said(cells, task, classes, why):
    column, reason = target_column(table(y=cells), "y", task)
    assert column.categories is None if classes is None else sorted(column.categories) == sorted(classes)
    assert why in reason


def test_classes_are_numbered_by_their_texts_or_by_their_numbers():
    for cells, classes, labels in [
        ("b a c a", ("a", "b", "c"), [1, 0, 2, 0]), ("1 01 1.0 2 -3 2", ("-3", "1", "2"), [1, 1, 1, 2, 0, 2]),
        ([HUGE, HUGE[:-1] + "8"], (HUGE, HUGE[:-1] + "8"), [0, 1]), ("0.50 1e0 .5", ("0.5", "1"), [0, 1, 0]),
    ]:  # fmt: skip
        column, _ = target_column(table(y=cells), "y", "classification")
        assert column.categories == classes
        found = encode_target(table(y=cells), column, FLOAT64)
        assert [column.categories[k] for k in found] == [classes[k] for k in labels]


def test_numeric_classes_stand_in_the_order_of_numbers():
    assert target_column(table(y="10 9 2 10 9 2"), "y", None)[0].categories == ("2", "9", "10")


# ---- Numbers ---------------------------------------------------------------------------------------------------------


def test_inputs_are_numbers_and_an_input_for_each_category():
    data = table(colour="red blue red", size="1e3 -2 0.5", other="x y z")
    columns = [Column("size"), Column("colour", ("green", "red", "blue"))]
    expected = [[1000, 0, 1, 0], [-2, 0, 0, 1], [0.5, 0, 1, 0]]
    np.testing.assert_array_equal(encode_inputs(data, columns, FLOAT64), expected)


@pytest.mark.parametrize("cell", ["", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null"])
@pytest.mark.parametrize("others", [["1", "2"], ["a", "b"]])
def test_missing_value_is_an_error_that_names_line_and_column(cell, others):
    data = table(a=[others[0], cell, others[1]], y=["1", "2", "3"])
    found = f", as '{cell}' says" if cell else ""
    message = rf"^data.csv, line 3, column 'a': the value is missing{found}; fill it in, or leave the row out$"
    with pytest.raises(TableError, match=message):
        encode_inputs(data, input_columns(data, "y", [], []), FLOAT64)
    for task in None, "classification", "regression":
        if task != "regression" or others[0] == "1":
            with pytest.raises(TableError, match=message):
                encode_target(data, target_column(data, "a", task)[0], FLOAT64)


@pytest.mark.parametrize(
    ("cell", "dtype", "message"),
    [
        ("12,5", FLOAT64, "'12,5' is not a number, as the column's others are; a decimal comma must become a point$"),
        ("12a", FLOAT64, "'12a' is not a number, as the column's others are$"),
        ("1_000", FLOAT64, "'1_000' is not a number"), ("two\nlines", FLOAT64, r"'two\\nlines' is not a number"),
        ("inf", FLOAT64, "'inf' is not a finite number in float64$"), ("1e999", FLOAT64, "'1e999' is not a finite"),
        ("9" * 400, FLOAT64, r"'9999.*\.\.\..*9999' is not a finite number in float64$"),
        ("-1e39", FLOAT32, "'-1e39' is not a finite number in float32$"),
    ],
)  # fmt: skip
def test_unreadable_number_is_an_error_that_names_line_and_column(cell, dtype, message):
    with pytest.raises(TableError, match=rf"^data.csv, line 4, column 'a': {message}"):
        encode_inputs(table(a=["1", "2", cell]), [Column("a")], dtype)
    with pytest.raises(TableError, match=rf"^data.csv, line 4, column 'a': {message}"):
        encode_target(table(a=["1", "2", cell]), Column("a"), dtype)


def test_unknown_category_is_an_error_that_names_line_and_column():
    column = Column("a", ("blue", "red"))
    with pytest.raises(TableError, match=r"^data.csv, line 3, column 'a': the category 'Red' is unknown; known are "
                                         r"'blue', 'red'$"):  # fmt: skip
        encode_inputs(table(a="red Red blue"), [column], FLOAT64)
    many = Column("a", tuple(f"c{k}" for k in range(12)))
    with pytest.raises(TableError, match=r"'c8', 'c9' and 2 others$"):
        encode_inputs(table(a="c0 red"), [many], FLOAT64)


def test_huge_integers_are_the_nearest_numbers():
    x = encode_inputs(table(a=["123456789012345678901234567890", "-9007199254740993"]), [Column("a")], FLOAT64)
    assert x[:, 0].tolist() == [123456789012345678901234567890.0, -9007199254740992.0]


# ---- And back --------------------------------------------------------------------------------------------------------


def test_predictions_are_classes_by_name_or_numbers():
    outputs = np.array([[0.2, 0.8], [0.7, 0.3]])
    classes = Table((Column("a"),), Column("y", ("no", "yes")))
    (name, values), = decode_predictions(classes, outputs, False)
    assert (name, values) == ("y", ["yes", "no"])
    names, values = zip(*decode_predictions(classes, outputs, True))
    assert names == ("y", "P(no)", "P(yes)")
    np.testing.assert_array_equal(np.column_stack(values[1:]), outputs)
    (name, values), = decode_predictions(Table((Column("a"),), Column("y")), outputs[:, :1], False)
    assert name == "y"
    np.testing.assert_array_equal(values, outputs[:, 0])
