"""Single kernels against formulas in extended precision, at the edges of the range, and around `out`."""

import itertools

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import plainnet as pn

import textbook

SIZES = [1, 3, 7, 8, 9, 33]
SHAPES = [(1, 1, 1), (3, 5, 7), (7, 17, 33), (8, 8, 8), (9, 33, 2), (33, 9, 1), (5, 1, 3)]

#: In extended precision, from the definition.
EXACT = {
    "sigmoid": lambda z: 1 / (1 + mpmath.exp(-z)),
    "tanh": mpmath.tanh,
    "relu": lambda z: max(z, mpmath.mpf(0)),
}

#: Those that have functions of their own; the others are reached through a layer.
ACTIVATIONS = ["sigmoid", "tanh", "relu"]

# Elementwise, in ULPs of the exact value: NumPy's own tanh is good to 1.4, exp and the division of a sigmoid to 3.
MAX_ULP = 4


def poisoned(shape, dtype):
    return np.full(shape, np.nan, dtype)


def exact(name, z):
    """The value in 50 digits."""
    with mpmath.workdps(50):
        return EXACT[name](mpmath.mpf(float(z)))


def ulps(actual, expected, dtype):
    """|actual - expected| in units of the spacing of `dtype` at `expected` (subnormals: the smallest spacing)."""
    with mpmath.workdps(50):
        spacing = mpmath.mpf(float(np.spacing(np.abs(dtype.type(float(expected))))))
        return float(abs(mpmath.mpf(float(actual)) - expected) / spacing)


@pytest.mark.parametrize("name", textbook.KERNELS)
def test_activation_is_exact_to_a_few_ulps_over_the_whole_range(kernels, dtype, name):
    """Evenly, near 0 (where 2s(2z)-1 loses hundreds of ULPs), near +-5.6, and where the result underflows."""
    least = 80 if dtype == np.float32 else 700
    z = np.concatenate([
        np.linspace(-20, 20, 161), np.linspace(-least, least, 41), np.linspace(-5.7, -5.5, 21),
        10.0 ** np.arange(-30, 1), -(10.0 ** np.arange(-30, 1)), [0.0017, -0.0017, 0.549, 0.5493061443340549],
    ]).astype(dtype)  # fmt: skip
    a = getattr(kernels, name)(z)
    worst = max(ulps(got, exact(name, value), dtype) for got, value in zip(a, z, strict=True))
    assert worst <= MAX_ULP


@pytest.mark.parametrize("name", textbook.KERNELS)
def test_activation_at_the_edges(kernels, dtype, name):
    big, tiny = np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal
    z = np.array([0.0, -0.0, np.inf, -np.inf, big, -big, tiny, -tiny, np.nan], dtype)
    expected = {
        "sigmoid": [0.5, 0.5, 1, 0, 1, 0, 0.5, 0.5, np.nan],
        "tanh": [0.0, -0.0, 1, -1, 1, -1, tiny, -tiny, np.nan],
        "relu": [0.0, 0.0, np.inf, 0, big, 0, tiny, 0, np.nan],
    }[name]
    a = getattr(kernels, name)(z)
    np.testing.assert_array_equal(a, np.array(expected, dtype))
    if name == "tanh":
        assert np.signbit(a[1])  # odd at -0 too


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_activation_is_monotone(kernels, dtype, name):
    z = np.sort(np.random.default_rng(0).normal(0, 6, 20001)).astype(dtype)
    a = getattr(kernels, name)(z)
    assert (np.diff(a) >= 0).all()
    assert np.abs(a).max() <= 1


def test_tanh_is_odd(kernels, dtype):
    z = np.random.default_rng(0).normal(0, 3, 1001).astype(dtype)
    np.testing.assert_array_equal(kernels.tanh(-z), -kernels.tanh(z))


@pytest.mark.parametrize("n", [0, *SIZES])
@pytest.mark.parametrize("name", textbook.KERNELS)
def test_activation_fills_every_element_and_no_other(kernels, dtype, name, n):
    z = np.random.default_rng(n).normal(0, 2, n).astype(dtype)
    memory = poisoned(n + 2, dtype)
    out = memory[1:-1]
    assert getattr(kernels, name)(z, out=out) is out
    np.testing.assert_allclose(out, textbook.ACTIVATIONS[name][0](z.astype(float)), rtol=8 * np.finfo(dtype).eps)
    assert np.isnan(memory[[0, -1]]).all()
    np.testing.assert_array_equal(getattr(kernels, name)(z), out)
    np.testing.assert_array_equal(getattr(kernels, name)(z[:, None].repeat(3, 1)), out[:, None].repeat(3, 1))


@pytest.mark.parametrize("name", textbook.KERNELS)
def test_activation_does_not_depend_on_the_position(kernels, dtype, name):
    """A value has the same bits in a vector's body and in its tail."""
    z = np.random.default_rng(4).normal(0, 4, 67).astype(dtype)
    whole = getattr(kernels, name)(z)
    for start, stop in [(0, 1), (1, 2), (3, 67), (5, 40), (66, 67), (13, 29)]:
        np.testing.assert_array_equal(getattr(kernels, name)(z[start:stop]), whole[start:stop])


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("name", textbook.KERNELS)
def test_activation_backward_multiplies_by_the_derivative(kernels, dtype, name, n):
    rng = np.random.default_rng(n)
    z, grad_a = rng.normal(0, 2, n), rng.standard_normal(n).astype(dtype)
    a = textbook.ACTIVATIONS[name][0](z).astype(dtype)
    out = poisoned(n, dtype)
    assert getattr(kernels, f"{name}_backward")(a, grad_a, out=out) is out
    # a is rounded, and 1 - a^2 near |a| = 1 keeps only its absolute accuracy.
    np.testing.assert_allclose(out, grad_a * textbook.ACTIVATIONS[name][1](z), atol=8 * np.finfo(dtype).eps)
    assert np.count_nonzero(out) > 0 or name == "relu"


def test_activations_worked_by_hand(kernels):
    """s(ln 3) = 1/(1 + 1/3) = 3/4, s' = 3/16; tanh(ln 2) = (2 - 1/2)/(2 + 1/2) = 3/5, tanh' = 1 - 9/25 = 16/25."""
    assert kernels.sigmoid(np.log(3)) == pytest.approx(0.75, rel=1e-15)
    assert kernels.tanh(np.log(2)) == pytest.approx(0.6, rel=1e-15)
    assert kernels.relu([-2, 0, 3]).tolist() == [0, 0, 3]
    assert kernels.sigmoid_backward([0.75], [16]) == pytest.approx([3], rel=1e-15)
    assert kernels.tanh_backward([0.6], [25]) == pytest.approx([16], rel=1e-15)
    assert kernels.relu_backward([0, 3], [5, 7]).tolist() == [0, 7]


@pytest.mark.parametrize("name", textbook.KERNELS)
def test_activation_in_place(kernels, dtype, name):
    rng = np.random.default_rng(1)
    z, grad_a = rng.standard_normal(33).astype(dtype), rng.standard_normal(33).astype(dtype)
    a = getattr(kernels, name)(z)
    expected = getattr(kernels, f"{name}_backward")(a, grad_a)
    for k in (0, 1):
        arguments = [a.copy(), grad_a.copy()]
        getattr(kernels, f"{name}_backward")(*arguments, out=arguments[k])
        np.testing.assert_array_equal(arguments[k], expected)
        np.testing.assert_array_equal(arguments[1 - k], [a, grad_a][1 - k])
    assert getattr(kernels, name)(z, out=z) is z
    np.testing.assert_array_equal(z, a)


def layer(n_rows, n_in, n_out, dtype):
    rng = np.random.default_rng(n_rows * n_in + n_out)
    shapes = [(n_rows, n_in), (n_in, n_out), (n_out,), (n_rows, n_out)]
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def product_tolerance(n_terms, dtype):
    """A sum of n terms of order 1 is rounded n times, each by half a ULP of a partial sum of a few units."""
    return 4 * (n_terms + 4) * np.finfo(dtype).eps


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("activation", textbook.ACTIVATIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_dense_forward_is_f_of_x_weight_plus_bias(kernels, dtype, shape, activation, with_bias):
    x, weight, bias, _ = layer(*shape, dtype)
    bias = bias if with_bias else None
    z = np.einsum("ik,kj->ij", x.astype(float), weight.astype(float)) + (0 if bias is None else bias.astype(float))
    out = poisoned((shape[0], shape[2]), dtype)
    assert kernels.dense_forward(x, weight, bias, activation, out=out) is out
    np.testing.assert_allclose(out, textbook.ACTIVATIONS[activation][0](z), atol=product_tolerance(shape[1], dtype))
    np.testing.assert_array_equal(kernels.dense_forward(x, weight, bias, activation), out)


@pytest.mark.parametrize("activation", textbook.ACTIVATIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_dense_backward_is_the_chain_rule(kernels, dtype, shape, activation):
    n_rows, n_in, n_out = shape
    x, weight, bias, grad_a = layer(*shape, dtype)
    z = x.astype(float) @ weight.astype(float) + bias.astype(float)
    a = textbook.ACTIVATIONS[activation][0](z).astype(dtype)
    out = tuple(poisoned(s, dtype) for s in [(n_rows, n_in), (n_in, n_out), (n_out,)])
    results = kernels.dense_backward(x, weight, a, grad_a, activation, out=out, z=z.astype(dtype))
    assert all(result is array for result, array in zip(results, out, strict=True))

    grad_z = grad_a * textbook.ACTIVATIONS[activation][1](z)
    tolerance = product_tolerance(max(shape), dtype)
    np.testing.assert_allclose(out[0], np.einsum("ij,kj->ik", grad_z, weight), atol=tolerance)
    np.testing.assert_allclose(out[1], np.einsum("ik,ij->kj", x, grad_z), atol=tolerance)
    np.testing.assert_allclose(out[2], np.einsum("ij->j", grad_z), atol=tolerance)
    for fresh, array in zip(
        kernels.dense_backward(x, weight, a, grad_a, activation, z=z.astype(dtype)), out, strict=True
    ):
        np.testing.assert_array_equal(fresh, array)


def test_dense_layer_worked_by_hand(kernels):
    """
    x = ((1,2),(3,4)), W = ((1,0,2),(0,1,-1)), b = (1,1,1):
    z = ((1+1, 2+1, 2-2+1), (3+1, 4+1, 6-4+1)) = ((2,3,1),(4,5,3)).
    With grad_a = ((1,0,1),(0,1,0)): grad_x = grad_a W^T = ((3,-1),(0,1)); grad_W = x^T grad_a = ((1,3,1),(2,4,2));
    grad_b = (1,1,1).
    """
    x, weight = [[1, 2], [3, 4]], [[1, 0, 2], [0, 1, -1]]
    a = kernels.dense_forward(x, weight, [1, 1, 1])
    assert a.tolist() == [[2, 3, 1], [4, 5, 3]]
    grad_x, grad_weight, grad_bias = kernels.dense_backward(x, weight, a, [[1, 0, 1], [0, 1, 0]])
    assert grad_x.tolist() == [[3, -1], [0, 1]]
    assert grad_weight.tolist() == [[1, 3, 1], [2, 4, 2]]
    assert grad_bias.tolist() == [1, 1, 1]


def test_single_row_has_the_bits_of_a_row_among_many(c_backend, dtype):
    """Tiles and tails of C keep every sum's order. (NumPy calls another BLAS routine for one row.)"""
    x, weight, bias, grad_a = layer(33, 17, 33, dtype)
    whole = pn.kernels.dense_forward(x, weight, bias, "tanh")
    whole_grad_x, _, _ = pn.kernels.dense_backward(x, weight, whole, grad_a, "tanh")
    for rows in (slice(0, 1), slice(5, 6), slice(3, 12), slice(32, 33)):
        np.testing.assert_array_equal(pn.kernels.dense_forward(x[rows], weight, bias, "tanh"), whole[rows])
        grad_x, _, _ = pn.kernels.dense_backward(x[rows], weight, whole[rows], grad_a[rows], "tanh")
        np.testing.assert_array_equal(grad_x, whole_grad_x[rows])


@pytest.mark.parametrize("widths", [(2, 8, 1), (10, 10), (3, 5, 7, 2), (32, 20, 31), (1, 1), (17, 12)])
@pytest.mark.parametrize("n_rows", [8, 31, 33, 127, 128, 300])
def test_narrow_networks_have_the_bits_of_their_layers(c_backend, dtype, widths, n_rows):
    rng = np.random.default_rng(n_rows)
    layers = [pn.Dense(k, n, "tanh", bias=n != 7) for k, n in itertools.pairwise(widths)]
    net = pn.Network(layers, dtype=dtype, seed=4, backend=c_backend)
    net.parameters += 0.1
    x = rng.standard_normal((n_rows, widths[0])).astype(dtype)
    together, a = net.predict(x), x
    for layer in net.layers:
        a = pn.kernels.dense_forward(a, layer.weight, layer.bias, layer.activation)
    assert together.tobytes() == a.tobytes()
    assert together.tobytes() == b"".join(net.predict(row[np.newaxis]).tobytes() for row in x)


def test_nan_in_one_row_stays_in_that_row(kernels, dtype):
    x, weight, bias, _ = layer(9, 5, 7, dtype)
    clean = kernels.dense_forward(x, weight, bias, "tanh")
    x[4, 2] = np.nan
    a = kernels.dense_forward(x, weight, bias, "tanh")
    assert np.isnan(a[4]).all()
    others = np.arange(9) != 4
    np.testing.assert_array_equal(a[others], clean[others])


def test_result_is_float32_only_if_every_argument_is(kernels):
    x32, x64 = np.ones((1, 1), np.float32), np.ones((1, 1))
    assert kernels.sigmoid(x32).dtype == np.float32
    assert kernels.sigmoid(np.float16(1)).dtype == np.float64
    assert kernels.dense_forward(x32, x32).dtype == np.float32
    assert kernels.dense_forward(x32, x64).dtype == np.float64
    assert kernels.dense_forward(x32, x32, [0.0]).dtype == np.float64
    assert kernels.tanh_backward(x32, x64).dtype == np.float64


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_byte_order_of_arguments_does_not_change_the_result(kernels, order, kind):
    x, weight, bias, _ = layer(7, 3, 5, np.dtype(kind))
    swapped_x, swapped_weight, swapped_bias = (array.astype(order + kind) for array in (x, weight, bias))
    grad = np.ones((7, 5), order + kind)
    for name in ("sigmoid", "tanh", "relu"):
        a = getattr(kernels, name)(swapped_x)
        grad_z = getattr(kernels, f"{name}_backward")(swapped_x, swapped_x)
        assert a.dtype == grad_z.dtype == np.dtype(kind)  # unequal for another byte order
        np.testing.assert_array_equal(a, getattr(kernels, name)(x))
        np.testing.assert_array_equal(grad_z, getattr(kernels, f"{name}_backward")(x, x))
    a = kernels.dense_forward(swapped_x, swapped_weight, swapped_bias, "tanh")
    assert a.dtype == np.dtype(kind)
    np.testing.assert_array_equal(a, kernels.dense_forward(x, weight, bias, "tanh"))
    gradients = kernels.dense_backward(swapped_x, swapped_weight, a.astype(order + kind), grad, "tanh")
    expected = kernels.dense_backward(x, weight, a, grad.astype(kind), "tanh")
    for ours, theirs in zip(gradients, expected):
        assert ours.dtype == np.dtype(kind)
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_out_of_another_byte_order_is_refused(kernels, kind):
    """Both backends say so, also where the argument has that byte order as well."""
    other = np.dtype(kind).newbyteorder("S")
    z, out = np.ones((2, 3), other), poisoned((2, 3), other)
    for call in (
        lambda: kernels.tanh(z, out=out), lambda: kernels.relu_backward(z, z, out=out),
        lambda: kernels.dense_forward(z, np.ones((3, 3), kind), out=out),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=rf"out has dtype {other}, expected float{8 * other.itemsize}"):
            call()
    assert np.isnan(out).all()


def test_result_into_a_strided_out(kernels, dtype):
    x, weight, bias, _ = layer(7, 3, 5, dtype)
    memory = poisoned((14, 10), dtype)
    out = memory[::2, ::-2]
    assert kernels.dense_forward(x, weight, bias, "sigmoid", out=out) is out
    np.testing.assert_array_equal(out, kernels.dense_forward(x, weight, bias, "sigmoid"))
    assert np.isnan(memory[1::2]).all()
    assert np.isnan(memory[:, ::2]).all()


# ---- Special values: every pair of them, in both backends ------------------------------------------------------------


def special_values(dtype):
    """Zeros, subnormal and normal numbers, huge ones whose double overflows, infinities, and NaN."""
    info = np.finfo(dtype)
    huge = 1e308 if dtype == np.float64 else 3e38
    sizes = [0, info.smallest_subnormal, info.smallest_normal, 0.5, 1, 2, huge, np.inf]
    return np.array([*sizes, *np.negative(sizes), np.nan], dtype)


def special_pairs(dtype):
    """All pairs, each of them in every lane of a register of up to 16: the number of pairs is odd."""
    first, second = np.meshgrid(special_values(dtype), special_values(dtype))
    return np.tile(first.ravel(), 16), np.tile(second.ravel(), 16)


def assert_alike(actual, expected, ulp=4):
    """NaN and infinities in the same places, zeros of the same sign, and the rest equal up to rounding."""
    info = np.finfo(expected.dtype)
    np.testing.assert_allclose(actual, expected, rtol=ulp * info.eps, atol=ulp * info.smallest_subnormal)
    zeros = (actual == 0) & (expected == 0)
    np.testing.assert_array_equal(np.signbit(actual[zeros]), np.signbit(expected[zeros]))


def in_chunks(call, length, *arrays):
    """The same elements in calls of at most `length`: the tail of a loop over vectors, alone."""
    starts = range(0, len(arrays[0]), length)
    return np.concatenate([call(*(array[i : i + length].copy() for array in arrays)) for i in starts])


@pytest.mark.parametrize("length", [1, 3, 7, 13, 10_000])
def test_relu_keeps_special_values_that_are_not_below_0(kernels, dtype, length):
    z, _ = special_pairs(dtype)
    expected = np.array([0 if value < 0 else value for value in z], dtype)
    assert_alike(in_chunks(kernels.relu, length, z), expected, ulp=0)


@pytest.mark.parametrize("length", [1, 3, 7, 13, 10_000])
def test_relu_backward_of_special_values_chooses_and_does_not_multiply(kernels, dtype, length):
    """0 where a is 0 or below, even if grad_a is infinite or NaN; NaN where a is NaN."""
    a, grad_a = special_pairs(dtype)
    expected = np.array([g if value > 0 else 0 if value < 0 else value for value, g in zip(a, grad_a)], dtype)
    assert_alike(in_chunks(kernels.relu_backward, length, a, grad_a), expected, ulp=0)
    for place in (0, 1):
        arguments = [a.copy(), grad_a.copy()]
        kernels.relu_backward(*arguments, out=arguments[place])
        assert_alike(arguments[place], expected, ulp=0)


@pytest.mark.parametrize("length", [1, 3, 7, 13, 10_000])
@pytest.mark.parametrize("name", textbook.KERNELS)
def test_special_values_give_the_same_results_in_both_backends(c_backend, dtype, name, length):
    a, grad_a = special_pairs(dtype)
    forward, backward = (getattr(pn.kernels, name), getattr(pn.kernels, f"{name}_backward"))
    assert_alike(in_chunks(forward, length, a), getattr(pn.reference, name)(a))
    assert_alike(in_chunks(backward, length, a, grad_a), getattr(pn.reference, f"{name}_backward")(a, grad_a))


@pytest.mark.parametrize("activation", textbook.ACTIVATIONS)
def test_special_values_in_a_dense_layer_give_the_same_results_in_both_backends(c_backend, dtype, activation):
    """One input 1 and no bias: z is the weight, so that the activations of the layer meet every pair."""
    a, grad_a = (values[: len(values) // 16].reshape(17, 17) for values in special_pairs(dtype))
    ones, z = np.ones((17, 1), dtype), special_values(dtype)[np.newaxis]
    assert_alike(
        pn.kernels.dense_forward(ones, z, None, activation), pn.reference.dense_forward(ones, z, None, activation)
    )
    weight = np.ones((1, 17), dtype)
    for row in range(17):
        kept, grad = a[row : row + 1], grad_a[row : row + 1]
        kept = np.abs(kept) if activation == "softplus" else kept  # whose a is never negative
        arguments = ones[:1], weight, kept, grad, activation, None, kept
        for actual, expected in zip(pn.kernels.dense_backward(*arguments), pn.reference.dense_backward(*arguments)):
            assert_alike(actual, expected, ulp=64)  # a sum of 17 terms


@pytest.mark.parametrize("shape", [*SHAPES, (1, 64, 64), (40, 70, 50), (130, 40, 40)])
def test_special_values_change_the_sums_that_they_belong_to_and_no_other(c_backend, dtype, shape):
    """
    Of a product: what is padded, skipped or read beyond a tile's end must not meet an infinity, and 0 times infinity
    must not be left out. An infinite or NaN term makes its sum so in any order.
    """
    x, weight, bias, grad_a = layer(*shape, dtype)
    rng = np.random.default_rng(sum(shape))
    for array in (x, weight, bias, grad_a):
        for value in (np.inf, -np.inf, np.nan, 0.0):
            array.flat[rng.integers(array.size)] = value

    def sums(left, right):
        with np.errstate(invalid="ignore"):
            return (left[:, :, np.newaxis] * right[np.newaxis]).sum(axis=1)

    with np.errstate(invalid="ignore"):
        z, grad_x, grad_weight = sums(x, weight) + bias, sums(grad_a, weight.T), sums(x.T, grad_a)
        grad_bias = grad_a.sum(axis=0)
    a = pn.kernels.dense_forward(x, weight, bias)
    results = (a, *pn.kernels.dense_backward(x, weight, a, grad_a))
    for actual, expected in zip(results, (z, grad_x, grad_weight, grad_bias), strict=True):
        tolerance = product_tolerance(max(shape), dtype)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * 4)  # terms of up to 4 x 4


@given(z=st.lists(st.floats(allow_nan=False), max_size=40), name=st.sampled_from(["sigmoid", "tanh"]))
def test_activation_property_bounded_and_near_the_reference(c_backend, z, name):
    a = getattr(pn.kernels, name)(z)
    assert ((a >= (0 if name == "sigmoid" else -1)) & (a <= 1)).all()
    # Each is within MAX_ULP of the exact value; an ULP is at most eps relative, and absolute among subnormals.
    np.testing.assert_allclose(a, getattr(pn.reference, name)(z), rtol=2 * MAX_ULP * np.finfo(float).eps, atol=1e-322)
