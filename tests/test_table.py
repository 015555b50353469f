"""net.table: what is known of the columns that a network was trained with is in its file, and is checked."""

import copy
import json
import pickle

import numpy as np
import pytest

import plainnet as pn
from plainnet.table import Column, Table

TABLE = Table(
    (Column("area"), Column('the "kind", \u00e4\U0001f600\n', ("checksum", '\\"checksum\\":\\"00000000\\"', "\u6771"))),
    Column("checksum", ("0", "x\ty")),
)


def network(table=TABLE, n_in=4, n_out=2):
    net = pn.Network([pn.Dense(n_in, n_out)], seed=0)
    net.table = table
    return net


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def changed(path, entry):
    """Writes `entry` as the description's table, without a checksum."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    description = json.loads(header["__metadata__"]["plainnet"])
    del description["checksum"]
    description["table"] = entry(description["table"]) if callable(entry) else entry
    header["__metadata__"]["plainnet"] = json.dumps(description)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    ("table", "n_in", "n_out"), [(TABLE, 4, 2), (Table((Column("x"),), Column("y")), 1, 1), (None, 3, 3)]
)
def test_table_is_kept_by_files(path, training, table, n_in, n_out):
    net = network(table, n_in, n_out)
    net.save(path, training)
    twin = pn.load(path)
    assert twin.table == table
    before = path.read_bytes()
    twin.save(path, training)
    assert path.read_bytes() == before


def test_table_is_kept_by_copies_pickles_and_fold():
    net = network()
    assert pn.Network([pn.Dense(1, 1)]).table is None
    for twin in net.copy(), copy.deepcopy(net), pickle.loads(pickle.dumps(net)), net.fold(1.0, 2.0):
        assert twin.table == TABLE


def test_table_is_covered_by_the_checksum(path):
    network().save(path)
    content = path.read_bytes()
    place = content.index(b"area")
    path.write_bytes(content[:place] + b"ares" + content[place + 4 :])
    with pytest.raises(pn.ModelFormatError, match="checksum"):
        pn.load(path)


def test_table_that_does_not_fit_the_network_is_not_saved(path):
    with pytest.raises(ValueError, match="the table take 4 inputs, but the network has 5"):
        network(n_in=5).save(path)
    with pytest.raises(ValueError, match="the table take 2 outputs, but the network has 1"):
        network(n_out=1).save(path)
    assert not path.exists()


def test_attribute_that_is_no_table_stays_out_of_the_file(path):
    network({"rows": 3}).save(path)
    assert pn.load(path).table is None


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (None, "must be an object with the entries columns and target"),
        ({}, "must be an object with the entries columns and target"),
        (lambda table: {**table, "a": 1}, "must be an object with the entries columns and target"),
        (lambda table: {**table, "columns": {}}, "columns must be a list"),
        (lambda table: {**table, "columns": []}, "at least one column"),
        (lambda table: {**table, "columns": [3]}, "a column must be an object with a name"),
        (lambda table: {**table, "columns": [{"name": "a", "kind": "b"}]}, "a column must be an object with a name"),
        (lambda table: {**table, "columns": [{"name": 3}]}, "must be strings, not 3"),
        (lambda table: {**table, "columns": [{"name": ""}]}, "not be empty"),
        (lambda table: {**table, "columns": [{"name": "a"}, {"name": "a"}]}, "all be different: 'a'"),
        (lambda table: {**table, "columns": [{"name": "checksum"}]}, "all be different: 'checksum'"),
        (lambda table: {**table, "columns": [{"name": "\ud800"}]}, "surrogates not allowed"),
        (lambda table: {**table, "columns": [{"name": "a", "categories": "bc"}]}, "categories must be a list"),
        (lambda table: {**table, "columns": [{"name": "a", "categories": []}]}, "must not be none"),
        (lambda table: {**table, "columns": [{"name": "a", "categories": [None]}]}, "must be strings, not None"),
        (lambda table: {**table, "columns": [{"name": "a", "categories": ["b", "b"]}]}, "all be different: 'b'"),
        (lambda table: {**table, "columns": [{"name": "a"}]}, "take 1 inputs, but the network has 4"),
        (lambda table: {**table, "target": {"name": "a"}}, "take 1 outputs, but the network has 2"),
        (lambda table: {**table, "target": {"name": "a", "categories": ["b"]}}, "at least two categories"),
        (lambda table: {**table, "target": ["a"]}, "a column must be an object with a name"),
    ],
)
def test_wrong_table_in_a_file_is_refused(path, entry, message):
    network().save(path)
    changed(path, entry)
    with pytest.raises(pn.ModelFormatError, match=f"model.safetensors: table is wrong: .*{message}"):
        pn.load(path)


def test_table_without_a_checksum_in_the_file_is_read(path):
    network().save(path)
    changed(path, lambda table: table)
    assert pn.load(path).table == TABLE
    np.testing.assert_array_equal(pn.load(path).parameters, network().parameters)


@pytest.mark.parametrize("columns", [(), ("a",), (Column("a"), "b"), (Column("a", (3,)),)])
def test_table_of_something_else_is_refused(columns):
    with pytest.raises((TypeError, ValueError), match="column"):
        Table(columns, Column("y"))
