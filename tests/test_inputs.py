"""Whatever holds real numbers is accepted, in any layout, and gives the bits of a contiguous native copy."""

import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import plainnet as pn

import textbook

LAYERS = [(3, 5, "tanh", True), (5, 2, "sigmoid", True)]
N_ROWS = 7


def misaligned(values):
    memory = np.zeros(values.nbytes + 1, np.uint8)
    view = memory[1:].view(values.dtype).reshape(values.shape)
    view[...] = values
    assert not view.flags.aligned
    return view


def strided(values):
    memory = np.full((2 * values.shape[0], 3 * values.shape[1]), np.nan, values.dtype)
    memory[::2, ::3] = values
    return memory[::2, ::3]


def reverse(values):
    return np.ascontiguousarray(values[::-1, ::-1])[::-1, ::-1]


def read_only(values):
    values = values.copy()
    values.flags.writeable = False
    return values


def broadcast(values):
    return np.broadcast_to(values[:1], values.shape)


#: name: (how it is laid out, which values survive it)
LAYOUTS = {
    "list": np.ndarray.tolist,
    "tuples": lambda values: tuple(map(tuple, values.tolist())),
    "fortran": np.asfortranarray,
    "strided": strided,
    "reversed": reverse,
    "transposed": lambda values: np.ascontiguousarray(values.T).T,
    "read-only": read_only,
    "misaligned": misaligned,
    "big-endian": lambda values: values.astype(values.dtype.newbyteorder(">")),
    "misaligned-big-endian": lambda values: misaligned(values.astype(values.dtype.newbyteorder(">"))),
    "longdouble": lambda values: values.astype(np.longdouble),
    "float16": lambda values: values.astype(np.float16),
    "float32": lambda values: values.astype(np.float32),
    "int64": lambda values: np.round(values * 4).astype(np.int64),
    "int8": lambda values: np.round(values * 4).astype(np.int8),
    "uint16-big-endian": lambda values: np.round(np.abs(values) * 4).astype(">u2"),
    "bool": lambda values: values > 0.4,
    "list-of-ints": lambda values: np.round(values * 4).astype(int).tolist(),
    "broadcast": broadcast,
    "matrix": lambda values: values.view(np.matrix),
    "list-of-arrays": list,
    "memoryview": memoryview,
}


def plain(values, dtype):
    """A contiguous native copy of what `values` holds."""
    return np.array(np.asarray(values).tolist(), np.float64).astype(dtype)


def data(n_columns, dtype):
    """Multiples of 1/8 in [0, 1]: float16 holds them exactly."""
    return np.random.default_rng(n_columns).integers(0, 9, (N_ROWS, n_columns)).astype(dtype) / 8


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_of_x_gives_the_bits_of_a_contiguous_copy(backend, dtype, layout):
    x = LAYOUTS[layout](data(3, dtype))
    y = data(2, dtype)
    kept = plain(x, dtype).copy()
    net, twin = (textbook.network(LAYERS, "log_loss", seed=1, dtype=dtype, backend=backend) for _ in range(2))

    np.testing.assert_array_equal(net.predict(x), twin.predict(plain(x, dtype)))
    for i in range(N_ROWS):  # a row alone, of other alignment, takes other loops
        np.testing.assert_array_equal(net.predict(x[i : i + 1]), twin.predict(kept[i : i + 1]))
    (loss, gradient), (twin_loss, twin_gradient) = net.loss_and_gradient(x, y), twin.loss_and_gradient(kept, y)
    assert loss == twin_loss
    np.testing.assert_array_equal(gradient, twin_gradient)
    for _ in range(3):
        assert net.train_on_batch(x, y) == twin.train_on_batch(kept.copy(), y)
    ours, theirs = (n.fit(data_x, y, epochs=3, batch_size=2) for n, data_x in ((net, x), (twin, kept)))
    np.testing.assert_array_equal(ours.loss, theirs.loss)
    np.testing.assert_array_equal(net.parameters, twin.parameters)
    np.testing.assert_array_equal(plain(x, dtype), kept)  # the input itself is untouched


@pytest.mark.parametrize(  # of values within [0, 1]
    "layout", [layout for layout in LAYOUTS if layout not in {"int64", "int8", "uint16-big-endian", "list-of-ints"}]
)
def test_layout_of_y_gives_the_bits_of_a_contiguous_copy(backend, dtype, layout):
    x, y = data(3, dtype), LAYOUTS[layout](data(2, dtype))
    net, twin = (textbook.network(LAYERS, "log_loss", seed=1, dtype=dtype, backend=backend) for _ in range(2))
    for _ in range(2):
        assert net.train_on_batch(x, y) == twin.train_on_batch(x, plain(y, dtype))
    net.fit(x, y, epochs=3, batch_size=2)
    twin.fit(x, plain(y, dtype), epochs=3, batch_size=2)
    np.testing.assert_array_equal(net.parameters, twin.parameters)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_of_kernel_arguments_gives_the_bits_of_a_contiguous_copy(kernels, layout):
    z = LAYOUTS[layout](data(3, np.float64))
    kept = plain(z, np.asarray(z).dtype if np.asarray(z).dtype == np.float32 else np.float64)
    for name in ("sigmoid", "tanh", "relu"):
        np.testing.assert_array_equal(getattr(kernels, name)(z), getattr(kernels, name)(kept))
        backward = getattr(kernels, f"{name}_backward")
        np.testing.assert_array_equal(backward(z, z), backward(kept, kept))
    weight = LAYOUTS[layout](data(N_ROWS, np.float64))  # (7, 7)
    plain_weight = plain(weight, kept.dtype)
    np.testing.assert_array_equal(
        kernels.dense_forward(np.asarray(z).T, weight), kernels.dense_forward(kept.T.copy(), plain_weight)
    )


@pytest.mark.parametrize("layout", ["strided", "misaligned", "reversed", "fortran"])
def test_out_of_predict_may_have_any_layout(backend, dtype, layout):
    net = textbook.network(LAYERS, "log_loss", seed=1, dtype=dtype, backend=backend)
    x = data(3, dtype)
    out = LAYOUTS[layout](np.full((N_ROWS, 2), np.nan, dtype))
    assert net.predict(x, out=out) is out
    np.testing.assert_array_equal(out, net.predict(x))


def test_out_of_predict_is_filled_and_nothing_beside_it(backend, dtype):
    net = textbook.network(LAYERS, "log_loss", seed=1, dtype=dtype, backend=backend)
    x = data(3, dtype)
    memory = np.full((N_ROWS + 2, 2), np.nan, dtype)
    assert net.predict(x, out=memory[1:-1]).base is memory
    np.testing.assert_array_equal(memory[1:-1], net.predict(x))
    assert np.isnan(memory[[0, -1]]).all()


def test_objects_that_give_their_memory_away_are_accepted(backend):
    class Table:
        def __array__(self, dtype=None, copy=None):
            return data(3, np.float64)

    net = textbook.network(LAYERS, "log_loss", seed=1, backend=backend)
    expected = net.predict(data(3, np.float64))
    np.testing.assert_array_equal(net.predict(Table()), expected)
    rows = [array.array("d", row) for row in data(3, np.float64).tolist()]
    np.testing.assert_array_equal(net.predict(rows), expected)


def test_predict_passes_nan_and_infinity_on_without_warning(backend, dtype):
    """Training refuses them; predicting does not, and pytest turns any warning into an error here."""
    net = textbook.network([(2, 2, "identity", True)], "mean_squared_error", init=[1, 0, 0, 1, 0, 0], dtype=dtype,
                           backend=backend)  # fmt: skip
    x = np.array([[np.nan, 1], [1, 2]], dtype)
    a = net.predict(x)
    assert np.isnan(a[0]).all()  # NaN * 0 too
    assert a[1].tolist() == [1, 2]
    assert np.isnan(net.predict([[np.inf, 1]])).any()
    assert np.isnan(net.predict([[np.inf, -np.inf]])).all()


def test_floating_point_traps_of_numpy_do_not_change_results(backend):
    """A program may run under np.errstate(all="raise"); harmless underflow inside must not surface."""
    net = textbook.network(LAYERS, "log_loss", seed=1, backend=backend)
    x, y = data(3, np.float64), data(2, np.float64)
    twin = net.copy()
    net.parameters *= 1e3
    twin.parameters *= 1e3
    with np.errstate(all="raise"):
        a, history = net.predict(x), net.fit(x, y, epochs=2)
    np.testing.assert_array_equal(a, twin.predict(x))
    np.testing.assert_array_equal(history.loss, twin.fit(x, y, epochs=2).loss)
    np.testing.assert_array_equal(net.parameters, twin.parameters)


def test_training_on_the_networks_own_weights_uses_a_copy(backend):
    """x is a view of the parameters that training changes: it counts as it was."""
    layers = [(2, 2, "tanh", False)]
    net, twin = (textbook.network(layers, "mean_squared_error", seed=1, backend=backend) for _ in range(2))
    x, y = net.layers[0].weight, np.ones((2, 2))
    kept = x.copy()
    assert net.train_on_batch(x, y) == twin.train_on_batch(kept, y)
    np.testing.assert_array_equal(net.parameters, twin.parameters)
    kept = x.copy()
    np.testing.assert_array_equal(net.fit(x, y, epochs=5).loss, twin.fit(kept, y, epochs=5).loss)
    np.testing.assert_array_equal(net.parameters, twin.parameters)


@given(
    rows=st.integers(1, 9), offset=st.integers(0, 3), step=st.sampled_from([1, 2, 3, -1, -2]),
    column_step=st.sampled_from([1, 2, -1]), kind=st.sampled_from(["<f8", ">f8", "<f4", ">f4", "f2", "i2", ">u4"]),
)  # fmt: skip
def test_layout_property_any_view_of_any_kind(backend, rows, offset, step, column_step, kind):
    memory = (np.arange(40 * 8).reshape(40, 8) % 7).astype(kind)
    x = memory[offset:, :][::step][:rows, ::column_step][:, :3]
    net = textbook.network(LAYERS, "log_loss", seed=1, backend=backend)
    np.testing.assert_array_equal(net.predict(x), net.predict(plain(x, np.float64)))


# ---- Objects of other libraries ------------------------------------------------------------------------------------
#
# Each rule is tried with a small class that does what the library's does, and with the library where it is installed.


class Column:
    """Like a pandas.Series: of one of NumPy's dtypes, or of one for missing values, an array of which holds objects."""

    dtype = None

    def __init__(self, values, dtype):
        self.values, self.dtype = values, dtype

    def __array__(self, dtype=None, copy=None):
        plain = isinstance(self.dtype, np.dtype)
        return np.array(self.values, self.dtype if plain and dtype is None else dtype or object)

    def isna(self):
        return np.array([value is None for value in self.values])

    def to_numpy(self, dtype=None):
        return self.__array__(dtype)


class PolarsColumn(Column):
    """Like a polars.Series: it has a name, but no isna; missing numbers become NaN in arrays."""

    isna = None

    def __init__(self, values, dtype, name):
        super().__init__(values, dtype)
        self.name = name

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, float)

    def is_null(self):
        return np.array([value is None for value in self.values])


class Frame:
    """Like a pandas.DataFrame of columns of different kinds, of which NumPy makes an array of objects."""

    def __init__(self, **columns):
        self._columns = columns

    columns = property(lambda self: list(self._columns))

    def __len__(self):
        return len(next(iter(self._columns.values())).values)

    def items(self):
        return self._columns.items()

    def to_numpy(self, dtype=None):
        return np.array([list(column.values) for column in self._columns.values()], object).T

    def __array__(self, dtype=None, copy=None):
        return self.to_numpy()


class PolarsFrame(Frame):
    items = None

    def iter_columns(self):
        return iter(self._columns.values())


def frame(a=(1, 2, 3), kind="Int64"):
    """A text as dtype stands for one that NumPy does not know."""
    return Frame(a=Column(a, kind), b=Column([0.5, 0.25, 1], np.dtype(float)), c=Column([1, 0, 1], np.dtype(bool)))


def polars_frame(a=(1, 2, 3)):
    columns = {"a": a, "b": [0.5, 0.25, 1], "c": [True, False, True]}
    return PolarsFrame(**{name: PolarsColumn(values, "Float64", name) for name, values in columns.items()})


FRAME_NUMBERS = [[1, 0.5, 1], [2, 0.25, 0], [3, 1, 1]]


def pandas_frames(pandas):
    columns = {"a": [1, 2, 3], "b": [0.5, 0.25, 1], "c": [True, False, True]}
    plain = pandas.DataFrame(columns)
    yield plain
    yield plain.convert_dtypes()  # Int64, Float64, boolean
    yield plain.astype({"a": "Int64"})
    yield plain.astype({"b": "float32", "c": "boolean"})
    yield plain.set_axis(["a", "a", "a"], axis=1)
    yield plain.set_index(pandas.Index(["items", "columns", "dtype"]))


def check_frame(backend, dtype, x):
    """Its numbers are those of a plain array, as x, as y and in a kernel."""
    layers = [(3, 5, "tanh", True), (5, 3, "identity", True)]
    nets = [textbook.network(layers, "mean_squared_error", seed=1, dtype=dtype, backend=backend) for _ in range(2)]
    numbers = np.array(FRAME_NUMBERS, dtype)
    np.testing.assert_array_equal(nets[0].predict(x), nets[1].predict(numbers))
    ours, theirs = (net.fit(data, data, epochs=2, batch_size=2).loss for net, data in zip(nets, (x, numbers)))
    np.testing.assert_array_equal(ours, theirs)
    kernels = pn.reference if backend == "numpy" else pn.kernels
    np.testing.assert_array_equal(kernels.tanh(x), kernels.tanh(FRAME_NUMBERS))


@pytest.mark.parametrize("x", [frame(), frame(kind="Float64"), polars_frame()])
def test_frame_of_numbers_is_taken_whatever_its_dtypes(backend, dtype, x):
    check_frame(backend, dtype, x)


def test_pandas_frame_of_numbers_is_taken_whatever_its_dtypes(backend, dtype):
    for x in pandas_frames(pytest.importorskip("pandas")):
        check_frame(backend, dtype, x)


def test_polars_frame_of_numbers_is_taken_whatever_its_dtypes(backend, dtype):
    polars = pytest.importorskip("polars")
    check_frame(backend, dtype, polars.DataFrame({"a": [1, 2, 3], "b": [0.5, 0.25, 1], "c": [True, False, True]}))


def refusals(make):
    """`make` of a column's values: what is refused, the error, and what the message must hold."""
    return [
        (make([1, None, 3]), ValueError, ["x's column 'a' has no value in row 1", "fill or drop"]),
        (make(["u", "v", "w"]), TypeError, ["x's column 'a' has dtype", "real numbers"]),
        (make(["u", None, "w"]), TypeError, ["x's column 'a' has dtype", "real numbers"]),
    ]


def check_refusals(backend, cases):
    for x, error, parts in cases:
        net = textbook.network(LAYERS, "log_loss", seed=1, backend=backend)
        before = net.parameters.copy()
        for call in (net.predict, lambda x: net.fit(x, np.ones((3, 2)))):
            with pytest.raises(error) as caught:
                call(x)
            for part in parts:
                assert part in str(caught.value)
        np.testing.assert_array_equal(net.parameters, before)


def test_frame_with_missing_values_or_text_names_the_column_and_the_row(backend):
    check_refusals(backend, refusals(lambda values: frame(a=values)))
    check_refusals(backend, [(polars_frame([1, None, 3]), ValueError, ["x's column 'a' has no value in row 1"])])
    objects = frame(kind=np.dtype(object))
    check_refusals(backend, [(objects, TypeError, ["x's column 'a' has dtype object", ".to_numpy(float)"])])


def test_pandas_missing_values_or_text_name_the_column_and_the_row(backend):
    pandas = pytest.importorskip("pandas")

    def make(values):
        return pandas.DataFrame({"a": values, "b": [0.5, 0.25, 1], "c": [1, 2, 3]}).convert_dtypes()

    check_refusals(backend, refusals(make))
    dates = pandas.DataFrame({"a": pandas.to_datetime(["2020-01-01"] * 3), "b": 1, "c": 2})
    objects = pandas.DataFrame({"a": [1, 2, 3], "b": 1, "c": 2}, dtype=object)
    check_refusals(backend, [
        (dates, TypeError, ["x's column 'a' has dtype datetime64"]),
        (objects, TypeError, ["x's column 'a' has dtype object", ".to_numpy(float)"]),
        (pandas.Series([True, None, False], dtype="boolean"), ValueError, ["x has no value in row 1"]),
        (pandas.Series([1, 2], dtype="Int64"), ValueError, ["x has shape (2,)"]),
    ])  # fmt: skip


def test_polars_missing_values_or_text_name_the_column_and_the_row(backend):
    polars = pytest.importorskip("polars")
    check_refusals(backend, refusals(lambda values: polars.DataFrame({"a": values, "b": 1.0, "c": True})))
    missing = polars.DataFrame({"a": [True, None, False], "b": 1.0, "c": True})
    lazy = polars.LazyFrame({"a": [1.0], "b": 1.0, "c": True})
    check_refusals(backend, [
        (missing, ValueError, ["x's column 'a' has no value in row 1"]),
        (lazy, TypeError, ["LazyFrame", "x.collect()"]),
    ])  # fmt: skip


def test_one_column_or_row_says_how_to_shape_it(backend):
    """By words that work for lists and frames' columns, which have no reshape of their own."""
    net = pn.Network([pn.Dense(3, 1)], seed=0, backend=backend)
    x, y = np.ones((4, 3)), Column([1, 2, 3, 4], "Int64")
    twin = net.copy()
    net.fit(x, y)  # without any column it is one
    twin.fit(x, np.asarray(y).reshape(-1, 1).astype(float))
    assert np.array_equal(net.parameters, twin.parameters)
    narrow = pn.Network([pn.Dense(1, 1)], seed=0, backend=backend)
    with pytest.raises(ValueError, match=r"x has shape \(4,\).*; np.asarray\(x\).reshape\(-1, 1\) has one column"):
        narrow.predict(y)
    with pytest.raises(ValueError, match=r"x has shape \(3,\).*; np.asarray\(x\).reshape\(1, -1\) has one row"):
        net.predict([1, 2, 3])
    assert net.predict(np.asarray([1, 2, 3]).reshape(1, -1)).shape == (1, 1)


class SparseMatrix:
    def toarray(self):
        return np.eye(3)


class Tensor:
    """Like a torch.Tensor."""

    requires_grad = True

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")

    def detach(self):
        return np.eye(3)


class OnDevice:
    """Like an array of CuPy, or a tensor on another device."""

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Use .get()")


def test_objects_that_are_no_arrays_name_their_type_and_the_way_out(backend):
    check_refusals(backend, [
        (SparseMatrix(), TypeError, ["x is of type test_inputs.SparseMatrix", "sparse", "x.toarray()"]),
        (Tensor(), TypeError, ["x is of type test_inputs.Tensor", "x.detach()"]),
        ([Tensor(), Tensor()], TypeError, ["x is of type list", "detach()"]),
        (OnDevice(), TypeError, ["x is of type test_inputs.OnDevice", "Use .get()"]),
    ])  # fmt: skip


def test_scipy_sparse_matrix_names_toarray(backend):
    sparse = pytest.importorskip("scipy.sparse")
    for kind in (sparse.csr_matrix, sparse.coo_array, sparse.lil_matrix, sparse.dia_array):
        check_refusals(backend, [(kind(np.eye(3)), TypeError, [f"x is of type {kind.__module__}", "x.toarray()"])])


def test_torch_tensor_is_taken_and_one_with_a_gradient_names_detach(backend):
    torch = pytest.importorskip("torch")
    tensor = torch.tensor(FRAME_NUMBERS)
    check_frame(backend, np.dtype(np.float32), tensor.double())
    tensor.requires_grad_()
    check_refusals(backend, [
        (tensor, TypeError, ["x is of type torch.Tensor", "x.detach()"]),
        (tensor.detach().bfloat16(), TypeError, ["x is of type torch.Tensor", "BFloat16"]),
        (tensor.detach().to_sparse(), TypeError, ["x is of type torch.Tensor", "to_dense()"]),
    ])  # fmt: skip
    check_frame(backend, np.dtype(np.float32), tensor.detach().double())
