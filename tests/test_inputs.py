"""Whatever holds real numbers is accepted, in any layout, and gives the bits of a contiguous native copy."""

import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import textbook

LAYERS = [(3, 5, "tanh", True), (5, 2, "sigmoid", True)]
N_ROWS = 7


def misaligned(values):
    room = np.zeros(values.nbytes + 1, np.uint8)
    view = room[1:].view(values.dtype).reshape(values.shape)
    view[...] = values
    assert not view.flags.aligned
    return view


def strided(values):
    room = np.full((2 * values.shape[0], 3 * values.shape[1]), np.nan, values.dtype)
    room[::2, ::3] = values
    return room[::2, ::3]


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


@pytest.mark.parametrize("layout", set(LAYOUTS) - {"int64", "int8", "uint16-big-endian", "list-of-ints"})
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
    room = np.full((N_ROWS + 2, 2), np.nan, dtype)
    assert net.predict(x, out=room[1:-1]).base is room
    np.testing.assert_array_equal(room[1:-1], net.predict(x))
    assert np.isnan(room[[0, -1]]).all()


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
    room = (np.arange(40 * 8).reshape(40, 8) % 7).astype(kind)
    x = room[offset:, :][::step][:rows, ::column_step][:, :3]
    net = textbook.network(LAYERS, "log_loss", seed=1, backend=backend)
    np.testing.assert_array_equal(net.predict(x), net.predict(plain(x, np.float64)))
