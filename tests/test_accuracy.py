"""The activations of the C kernels: errors, order, special values, and the same bits wherever an element lies.

benchmarks/accuracy.py is the same at full size, and covers exp and log1p as well. What is known of each function, such
as its exact values, stands there.
"""

import runpy
from pathlib import Path

import mpmath
import numpy as np
import pytest

from plainnet import kernels, native

import textbook

ISAS = native.available_isas()
FUNCTIONS = ("sigmoid", "tanh")
DTYPES = (np.float32, np.float64)
ROOT = Path(__file__).parent.parent
KNOWN = runpy.run_path(str(ROOT / "benchmarks" / "accuracy.py"))
#: The activations that have no functions of their own.
OTHERS = [name for name in textbook.ACTIVATIONS if name not in (*FUNCTIONS, "identity", "relu")]

# ULP: the largest in docs/explain/accuracy.md over all instruction sets, rounded up. The promise is 2.5.
# The sigmoid needs it near -16.64 and -36.74 alone, where 1 + exp(-z) loses the 1; elsewhere it is below 1.9.
BOUNDS = {
    ("sigmoid", np.float32): 2.5,
    ("sigmoid", np.float64): 2.5,
    ("tanh", np.float32): 1.1,
    ("tanh", np.float64): 1.3,
}


@pytest.fixture(params=ISAS)
def isa(request):
    before = native.isa()
    native.set_isa(request.param)
    yield request.param
    native.set_isa(before)


def exact(function, x):
    return KNOWN["FUNCTIONS"][function].exact(mpmath.mpf(float(x)))


def range_of(function, dtype):
    """Beyond it the function is constant or, for the sigmoid, 0."""
    known = KNOWN["FUNCTIONS"][function]
    return known.float32 if dtype == np.float32 else known.float64


def bound_of(function, isa):
    """The largest error in ULP that docs/explain/accuracy.md allows; it tells why some are above 2.5."""
    return KNOWN["FUNCTIONS"][function].bounds[isa == "baseline"]


def ulp_of(value, info):
    """The distance of neighbours of the type at value, for subnormal numbers the smallest one."""
    exponent = mpmath.frexp(value)[1] if value else info.minexp
    return mpmath.mpf(2) ** max(exponent - info.nmant - 1, info.minexp - info.nmant)


def worst_error(function, x, y):
    info = np.finfo(y.dtype)
    with mpmath.workdps(40):
        return max(
            float(abs(mpmath.mpf(float(b)) - value) / ulp_of(value, info))
            for a, b in zip(x, y)
            for value in [exact(function, a)]
        )


def spread(function, dtype, n, seed):
    """A third over bit patterns, a third over the range, a third where float64 or float32 rounding shows most."""
    rng = np.random.default_rng(seed)
    low, high = range_of(function, dtype)
    info = np.finfo(dtype)
    bits = 2.0 ** rng.uniform(info.minexp, 10, n // 3) * rng.choice([-1, 1], n // 3)
    return np.concatenate([bits, rng.uniform(low, high, n // 3), rng.uniform(-2, 2, n // 3)]).astype(dtype)


def reference_in_wider_type(function, x):
    """In float64 for float32, in long double for float64; correct to 0.01 ULP of the narrower type."""
    wide = x.astype(np.float64 if x.dtype == np.float32 else np.longdouble)
    if function == "tanh":
        return np.tanh(wide)
    e = np.exp(-np.abs(wide))
    return np.where(wide < 0, e / (1 + e), 1 / (1 + e))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_error_is_within_its_bound_at_points_known_to_40_digits(isa, function, dtype):
    x = spread(function, dtype, 3000, seed=1)
    assert worst_error(function, x, getattr(kernels, function)(x)) <= BOUNDS[function, dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_error_is_within_its_bound_at_100_000_points(isa, function, dtype):
    if dtype == np.float64 and np.finfo(np.longdouble).nmant <= 52:
        pytest.skip("long double is no wider than double here")
    x = spread(function, dtype, 99_999, seed=2)
    y, value = getattr(kernels, function)(x), reference_in_wider_type(function, x)
    error = np.abs(y - value)
    # A hundred candidates by the wider type (errors relative to a bound on the ULP), then 40 digits for those.
    scale = np.maximum(np.abs(value), np.finfo(dtype).smallest_normal)
    candidates = np.argsort(error / 2 ** np.floor(np.log2(scale)))[-100:]
    assert worst_error(function, x[candidates], y[candidates]) <= BOUNDS[function, dtype]


def test_float32_is_within_its_bound_over_a_stride_of_all_inputs(isa):
    with np.errstate(over="ignore", invalid="ignore"):
        x = np.arange(0, 2**32, 4099, dtype=np.uint64).astype(np.uint32).view(np.float32)
        x = x[~np.isnan(x)]
        for function in FUNCTIONS:
            value = reference_in_wider_type(function, x)
            exponent = np.maximum(np.frexp(value)[1] - 24, -149)
            error = np.abs(getattr(kernels, function)(x) - value) / np.ldexp(1.0, exponent)
            # 0.01: the reference in float64 is itself rounded, and at powers of two the exponent may be one off.
            assert error.max() <= BOUNDS[function, np.float32] + 0.01


@pytest.mark.parametrize("dtype", DTYPES)
def test_tanh_is_odd_bit_by_bit(isa, dtype):
    x = np.concatenate([spread("tanh", dtype, 30_000, seed=3), np.array([0.0, np.inf], dtype)])
    minus, plus = kernels.tanh(-x), kernels.tanh(x)
    assert minus.tobytes() == (-plus).tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_never_step_down(isa, function, dtype):
    low, high = range_of(function, dtype)
    integer = np.int32 if dtype == np.float32 else np.int64
    rng = np.random.default_rng(4)
    # Where the formulas change: half-odd multiples of ln 2 and its half, for tanh of a sixteenth, the edge of its small
    # arguments, and in float32 the bounds of its intervals.
    edges = np.log(2) / (16 if function == "tanh" else 2) * (np.arange(0, 2 * 1080) + 0.5)
    bounds = (np.array([3, 4, 6, 8, 12, 16, 24, 32]) - 2) / 3.325
    edges = np.concatenate([edges[edges < -low], bounds, [0.6875, high, -low]])
    points = np.concatenate([edges, rng.uniform(0, -low, 200), 2.0 ** -np.arange(25)])
    for point in points:
        bits = np.asarray(point, dtype).view(integer)
        x = (bits + np.arange(-64, 64, dtype=integer)).astype(integer).view(dtype)
        assert np.all(np.diff(getattr(kernels, function)(x)) >= 0)
        assert np.all(np.diff(getattr(kernels, function)(-x)) <= 0)
    x = np.sort(spread(function, dtype, 30_000, seed=5))
    assert np.all(np.diff(getattr(kernels, function)(x)) >= 0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_sigmoid_special_values(isa, dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    z = np.array([0.0, -0.0, tiny, -tiny, np.inf, -np.inf, np.finfo(dtype).max, np.finfo(dtype).min], dtype)
    expected = np.array([0.5, 0.5, 0.5, 0.5, 1, 0, 1, 0], dtype)
    assert kernels.sigmoid(z).tobytes() == expected.tobytes()
    assert np.isnan(kernels.sigmoid(np.array([np.nan, -np.nan], dtype))).all()


@pytest.mark.parametrize(("dtype", "start", "stop"), [(np.float32, -104.2, -87), (np.float64, -745.4, -708)])
def test_sigmoid_goes_through_the_subnormal_numbers_to_0(isa, dtype, start, stop):
    z = np.linspace(start, stop, 500).astype(dtype)
    a = kernels.sigmoid(z)
    assert a[0] == 0
    assert (a[50:] > 0).all()
    # Rounded twice on the way (exp, then the quotient), but each time to nearest: 1.5 with the approximation's error.
    assert worst_error("sigmoid", z[z > start], a[z > start]) <= BOUNDS["sigmoid", dtype]


@pytest.mark.parametrize("dtype", DTYPES)
def test_tanh_special_values(isa, dtype):
    info = np.finfo(dtype)
    small = [0.0, info.smallest_subnormal, 5 * info.smallest_subnormal, info.smallest_normal]
    z, expected = np.array([*small, np.inf, info.max], dtype), np.array([*small, 1, 1], dtype)
    assert kernels.tanh(z).tobytes() == expected.tobytes()
    assert kernels.tanh(-z).tobytes() == (-expected).tobytes()
    assert np.isnan(kernels.tanh(np.array([np.nan, -np.nan], dtype))).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_saturation_is_exact(isa, dtype):
    # The last results below 1 are at 9.01 / 19.06 for tanh and 17.33 / 37.43 for the sigmoid (ln 2 times half of, or
    # all of, the mantissa's length, and a little).
    assert (kernels.tanh(np.linspace(9.02 if dtype == np.float32 else 19.07, 1000, 999).astype(dtype)) == 1).all()
    assert (kernels.sigmoid(np.linspace(17.4 if dtype == np.float32 else 37.5, 1000, 999).astype(dtype)) == 1).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_bits_do_not_depend_on_offset_length_or_place(isa, function, dtype):
    z = spread(function, dtype, 384, seed=6)
    call = getattr(kernels, function)
    one_by_one = np.concatenate([call(z[i : i + 1].copy()) for i in range(len(z))])
    for offset in range(64):
        assert call(z[offset:]).tobytes() == one_by_one[offset:].tobytes()
    for length in range(258):
        offset = length % 64
        inside = slice(offset, offset + length)
        assert call(z[inside]).tobytes() == one_by_one[inside].tobytes()
        out = np.full(len(z), np.nan, dtype)
        call(z[inside], out=out[inside])
        assert out[inside].tobytes() == one_by_one[inside].tobytes()
        assert np.isnan(out[: inside.start]).all()
        assert np.isnan(out[inside.stop :]).all()
        out = z.copy()
        call(out[inside], out=out[inside])
        assert out[inside].tobytes() == one_by_one[inside].tobytes()


@pytest.mark.skipif(not {"avx2", "avx512"} <= set(ISAS), reason="needs AVX2 and AVX-512")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_avx2_and_avx512_give_the_same_bits(function, dtype):
    z, results, before = spread(function, dtype, 30_000, seed=7), [], native.isa()
    try:
        for name in ("avx2", "avx512"):
            native.set_isa(name)
            results.append(getattr(kernels, function)(z).tobytes())
    finally:
        native.set_isa(before)
    assert results[0] == results[1]


# ---- The other activations, as those of a layer whose only weight is 1 -----------------------------------------------


def through_layer(function, z):
    return kernels.dense_forward(z[:, np.newaxis], np.ones((1, 1), z.dtype), None, function)[:, 0]


def layer_points(function, dtype, n, seed):
    """Half over the range, and half where most arguments are: tiny to moderate."""
    rng = np.random.default_rng(seed)
    low, high = range_of(function, dtype)
    tiny = 2.0 ** rng.uniform(-40, 3, n // 2) * rng.choice([-1, 1], n // 2)
    return np.concatenate([rng.uniform(low, high, n // 2), np.clip(tiny, low, high)]).astype(dtype)


def test_accuracy_of_every_activation_is_measured():
    """By benchmarks/accuracy.py and its C helper; those of identity and relu are exact."""
    assert list(KNOWN["ACTIVATIONS"]) == OTHERS
    helper, results = ((ROOT / name).read_text() for name in ("benchmarks/accuracy.c", "docs/explain/accuracy.md"))
    for name in KNOWN["ACTIVATIONS"]:
        assert f"ACTIVATION({name}, PN_{name.upper()}," in helper
        for dtype in ("float32", "float64"):
            assert f"\n| {name} | {dtype} |" in results


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", OTHERS)
def test_error_of_an_activation_is_within_its_bound(isa, function, dtype):
    z = layer_points(function, dtype, 1500, seed=1)
    assert worst_error(function, z, through_layer(function, z)) <= bound_of(function, isa)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", OTHERS)
def test_activation_goes_through_the_subnormal_numbers_to_its_limit(isa, function, dtype):
    """From where it is a normal number to where it is 0, or from -1.7 to the limit of elu and selu."""
    low, _ = range_of(function, dtype)
    z = np.linspace(0.9 * low, low, 500).astype(dtype)
    assert worst_error(function, z, through_layer(function, z)) <= bound_of(function, isa)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", OTHERS)
def test_special_values_of_an_activation(isa, function, dtype):
    largest = np.finfo(dtype).max
    z = np.array([np.inf, largest, -np.inf, -largest, np.nan, 0.0], dtype)
    limits = KNOWN["FUNCTIONS"][function].limits
    with np.errstate(over="ignore"):  # selu of the largest number is infinite
        left, right = (
            limit if np.isfinite(limit) else np.float64(exact(function, x)).astype(dtype)
            for limit, x in zip(limits, (-largest, largest))
        )
    expected = np.array([limits[1], right, limits[0], left, np.nan, float(exact(function, 0))], dtype)
    np.testing.assert_allclose(through_layer(function, z), expected, rtol=np.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("function", OTHERS)
def test_bits_of_an_activation_and_its_gradient_do_not_depend_on_offset_or_length(isa, function, dtype):
    """Elements in the body of a loop over registers and in its end, of the function and of its derivative."""
    z = layer_points(function, dtype, 100, seed=6)
    one = np.ones((1, 1), dtype)

    def both(z):
        a, z = through_layer(function, z)[:, np.newaxis], z[:, np.newaxis]
        grad_x, _, _ = kernels.dense_backward(z, one, a, np.full_like(a, 0.7), function, z=z)
        return np.stack([a[:, 0], grad_x[:, 0]])

    one_by_one = np.concatenate([both(z[i : i + 1]) for i in range(len(z))], axis=1)
    for offset in range(20):
        for length in (1, 2, 3, 5, 8, 15, 16, 17, 33, 80):
            inside = slice(offset, offset + length)
            assert both(z[inside]).tobytes() == one_by_one[:, inside].tobytes()
