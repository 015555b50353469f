"""The accuracy of exp, log1p and the activations on every instruction set, as a Markdown table.

    python benchmarks/accuracy.py                    # everything: all 2**32 float32 inputs, 10**7 float64 points
    python benchmarks/accuracy.py --stride 1009 --points 100000

Errors are in units of the last place (ULP) of the exact result. A C helper (accuracy.c, compiled here with $CC or cc)
finds the worst input against the C library in a wider type; mpmath then gives the error there to three decimals.
float32 is exhaustive with --stride 1. For float64, half of the points are uniform over all bit patterns, half over the
range where the function is neither constant nor its own argument. Also checked: order of neighbours (monotone), odd
tanh, special values. sigmoid and tanh are those of the installed plainnet if there is one, else those of the helper,
which includes the same source. The others are the helper's; exp, log1p and loss_sigmoid are what the log loss uses.
"""

import argparse
import ctypes
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import NamedTuple

import mpmath
import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
FLAGS = {
    "baseline": ["-DPN_VECTOR_BYTES=16", "-DPN_HAVE_FMA=0"],
    "avx2": ["-DPN_VECTOR_BYTES=32", "-DPN_HAVE_FMA=1", "-mavx2", "-mfma"],
    "avx512": [
        "-DPN_VECTOR_BYTES=64",
        "-DPN_HAVE_FMA=1",
        "-mavx2",
        "-mfma",
        "-mavx512f",
        "-mavx512dq",
        "-mavx512bw",
        "-mavx512vl",
    ],
    "neon": ["-DPN_VECTOR_BYTES=16", "-DPN_HAVE_FMA=1"],
}
INF = np.inf
SELU_SCALE, SELU_ALPHA = "1.0507009873554804934193349852946", "1.6732632423543772848170429916717"


class Function(NamedTuple):
    """What is known of a function f of one number x. tests/test_accuracy.py goes by it as well."""

    exact: Callable  # f(x), in mpmath
    float32: tuple  # the range of interest: where f is neither constant nor x, and every result representable
    float64: tuple
    specials: Callable  # pairs x and f(x) around 0; it is given the smallest number above 0
    limits: tuple = (-0.0, INF)  # f(-infinity) and f(infinity); None: no argument
    bounds: tuple = (2.5, 2.5)  # the largest error allowed, with fused multiply-adds and without
    falls: bool = False  # somewhere: steps down are nothing wrong
    may_step_down: bool = False  # by rounding
    float32_bits: tuple = (0, 1 << 32)  # from where to where bit patterns are arguments


def sigmoid(x):
    return 1 / (1 + mpmath.exp(-x))


def softplus(x):
    return mpmath.log1p(mpmath.exp(x)) if x < 0 else x + mpmath.log1p(mpmath.exp(-x))


def selu(x):
    return mpmath.mpf(SELU_SCALE) * (x if x >= 0 else mpmath.mpf(SELU_ALPHA) * mpmath.expm1(x))


def gelu_tanh(x):
    return x * sigmoid(2 * mpmath.sqrt(2 / mpmath.pi) * (x + mpmath.mpf("0.044715") * x**3))


ELEMENTARY = {
    "exp": Function(
        mpmath.exp, (-104, 0), (-746, 0), lambda tiny: [(0.0, 1), (-0.0, 1), (-tiny, 1)],
        limits=(0.0, None), float32_bits=(1 << 31, 1 << 32),  # from -0 on
    ),
    "log1p": Function(
        mpmath.log1p, (0, 1), (0, 1), lambda tiny: [(0.0, 0.0), (tiny, tiny)],
        limits=(None, None), may_step_down=True, float32_bits=(0, 0x3F800001),  # from 0 to 1
    ),
    "sigmoid": Function(
        sigmoid, (-104, 18), (-746, 38), lambda tiny: [(0.0, 0.5), (-0.0, 0.5), (tiny, 0.5), (-tiny, 0.5)],
        limits=(0.0, 1),
    ),
    "loss_sigmoid": Function(
        sigmoid, (-104, 18), (-746, 38), lambda tiny: [(0.0, 0.5), (-0.0, 0.5), (tiny, 0.5), (-tiny, 0.5)],
        limits=(0.0, 1), may_step_down=True,
    ),
    "tanh": Function(
        mpmath.tanh, (-10, 10), (-20, 20),
        lambda tiny: [(0.0, 0.0), (-0.0, -0.0), (tiny, tiny), (-tiny, -tiny), (7 * tiny, 7 * tiny)], limits=(-1, 1),
    ),
}  # fmt: skip
ACTIVATIONS = {
    "leaky_relu": Function(
        lambda x: x if x >= 0 else x / 100, (-10, 1), (-10, 1),
        lambda tiny: [(0.0, 0.0), (-0.0, -0.0), (tiny, tiny), (-tiny, -0.0)], limits=(-INF, INF), bounds=(0.9, 0.9),
    ),
    "elu": Function(
        lambda x: x if x >= 0 else mpmath.expm1(x), (-20, 1), (-40, 1),
        lambda tiny: [(0.0, 0.0), (-0.0, -0.0), (tiny, tiny), (-tiny, -tiny)], limits=(-1, INF), bounds=(1.2, 1.2),
    ),
    "selu": Function(
        selu, (-20, 10), (-40, 10),
        lambda tiny: [(0.0, 0.0), (-0.0, -0.0), (tiny, tiny), (-tiny, -2 * tiny)],
        limits=(-1.7580993408473769, INF), bounds=(2.0, 2.0),
    ),
    "gelu": Function(
        lambda x: x / 2 * mpmath.erfc(-x / mpmath.sqrt(2)), (-14.6, 7), (-39, 9),
        lambda tiny: [(0.0, 0.0), (8 * tiny, 4 * tiny), (-8 * tiny, -4 * tiny)], bounds=(5.5, 6.5), falls=True,
    ),
    "gelu_tanh": Function(
        gelu_tanh, (-10.9, 6), (-21.7, 8),
        lambda tiny: [(0.0, 0.0), (8 * tiny, 4 * tiny), (-8 * tiny, -4 * tiny)], bounds=(2.7, 2.7), falls=True,
    ),
    "silu": Function(
        lambda x: x * sigmoid(x), (-110, 20), (-760, 40),
        lambda tiny: [(0.0, 0.0), (-0.0, -0.0), (8 * tiny, 4 * tiny), (-8 * tiny, -4 * tiny)], falls=True,
    ),
    "mish": Function(
        lambda x: x * mpmath.tanh(softplus(x)), (-110, 20), (-760, 40),
        lambda tiny: [(0.0, 0.0), (5 * tiny, 3 * tiny), (-5 * tiny, -3 * tiny)], bounds=(2.5, 3.7), falls=True,
    ),
    "softplus": Function(
        softplus, (-104, 20), (-746, 40), lambda tiny: [], limits=(0.0, INF), bounds=(2.4, 2.7), may_step_down=True,
    ),
}  # fmt: skip
FUNCTIONS = ELEMENTARY | ACTIVATIONS


class Helper:
    """accuracy.c for one instruction set."""

    def __init__(self, isa, folder, cc=None):
        path = pathlib.Path(folder) / f"accuracy_{isa}.so"
        subprocess.run(
            [
                cc or os.environ.get("CC", "cc"),
                "-O3",
                "-std=c11",
                "-shared",
                "-fPIC",
                f"-DPN_ISA={isa}",
                *FLAGS[isa],
                "-o",
                str(path),
                str(HERE / "accuracy.c"),
                "-lm",
            ],
            check=True,
        )
        self.library = ctypes.CDLL(str(path))

    def __call__(self, function, x):
        out = np.empty_like(x)
        getattr(self.library, f"{function}_{suffix(x)}")(
            ctypes.c_size_t(x.size), ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(out.ctypes.data)
        )
        return out

    def worst(self, function, x, y):
        """The largest error and the index where it is."""
        ulp, index = getattr(self.library, f"ulp_{function}_{suffix(x)}"), ctypes.c_size_t()
        ulp.restype = ctypes.c_double
        error = ulp(
            ctypes.c_size_t(x.size),
            ctypes.c_void_p(x.ctypes.data),
            ctypes.c_void_p(y.ctypes.data),
            ctypes.byref(index),
        )
        return error, index.value


def suffix(x):
    return "f32" if x.dtype == np.float32 else "f64"


def available_isas():
    if platform.machine() in ("arm64", "aarch64"):
        return ["neon"]
    if platform.machine() not in ("x86_64", "AMD64"):
        return ["baseline"]
    flags = pathlib.Path("/proc/cpuinfo").read_text() if os.path.exists("/proc/cpuinfo") else ""
    has = set(next((line for line in flags.splitlines() if line.startswith("flags")), "").split())
    needs = {
        "baseline": set(),
        "avx2": {"avx2", "fma"},
        "avx512": {"avx2", "fma", "avx512f", "avx512dq", "avx512bw", "avx512vl"},
    }
    return [isa for isa, flags in needs.items() if flags <= has]


def error_in_ulp(function, x, y):
    """|y - f(x)| in units of the last place of f(x), for one x; infinite if a NaN or an infinity is wrong."""
    info = np.finfo(y.dtype)
    if np.isnan(x) or np.isnan(y):
        return 0.0 if np.isnan(x) and np.isnan(y) else np.inf
    if np.isinf(x):
        return 0.0 if y == y.dtype.type(FUNCTIONS[function].limits[int(x > 0)]) else np.inf
    with mpmath.workdps(60):
        value, edge = FUNCTIONS[function].exact(mpmath.mpf(float(x))), mpmath.mpf(2) ** info.maxexp
        got = min(mpmath.mpf(float(y)), edge)
        value = min(value, edge)
        exponent = mpmath.frexp(value)[1] if value else info.minexp
        ulp = mpmath.mpf(2) ** max(min(exponent, info.maxexp) - info.nmant - 1, info.minexp - info.nmant)
        return float(abs(got - value) / ulp)


def float32_chunks(function, stride, size=1 << 24):
    """Every stride-th valid float32, in chunks."""
    first, last = FUNCTIONS[function].float32_bits
    for start in range(first, last, size * stride):
        stop = min(start + size * stride, last)
        yield np.arange(start, stop, stride, dtype=np.uint64).astype(np.uint32).view(np.float32)


def float64_chunks(function, points, size=1 << 20, seed=0):
    """Half uniform over bit patterns, half uniform over the interesting range."""
    rng = np.random.default_rng(seed)
    low, high = FUNCTIONS[function].float64
    for start in range(0, points, size):
        n = min(size, points - start)
        bits = rng.integers(0, 2**64, n // 2, dtype=np.uint64).view(np.float64)
        if function == "log1p":
            bits = np.abs(bits[np.abs(bits) <= 1])
        if function == "exp":
            bits = -np.abs(bits)
        yield np.concatenate([bits, rng.uniform(low, high, n - n // 2)])


def neighbours(function, dtype, seed=1, runs=2000, length=512):
    """Runs of consecutive numbers: at random, around 0, and where formulas change."""
    rng = np.random.default_rng(seed)
    known = FUNCTIONS[function]
    low, high = known.float32 if dtype == np.float32 else known.float64
    places = [0.0, 0.6875, -0.6875, 1.0, low, high]
    places += list(np.log(2) * (np.arange(np.ceil(low / np.log(2)), high / np.log(2)) + 0.5))
    places += list(np.log(2) / 2 * (np.arange(-60, 60) + 0.5))
    places += list(np.log(2) / 16 * (np.arange(-480, 480) + 0.5))
    places += list(rng.uniform(low, high, runs)) + list(2.0 ** rng.uniform(-20, 0, runs) * rng.choice([-1, 1], runs))
    integer = np.int32 if dtype == np.float32 else np.int64
    for place in places:
        bits = np.asarray(abs(place), dtype).view(integer)
        run = (np.maximum(bits - length // 2, 0) + np.arange(length, dtype=integer)).astype(integer).view(dtype)
        run = np.sort(run if place >= 0 else -run)
        if None not in known.limits or (low <= run[0] and run[-1] <= high):
            yield run


def decreases(call, function, dtype):
    """How many results are less than their predecessor."""
    runs = list(neighbours(function, dtype))
    x = np.concatenate(runs)
    y = call(function, x)
    inside = np.diff(x) > 0
    return int(np.sum((np.diff(y) < 0) & inside))


def specials(call, function, dtype):
    """What is wrong at 0, the infinities, NaN and the subnormal numbers; empty if nothing."""
    known = FUNCTIONS[function]
    expected = known.specials(np.finfo(dtype).smallest_subnormal)
    expected += [(x, limit) for x, limit in zip((-INF, INF), known.limits) if limit is not None]
    x = np.array([a for a, _ in expected] + [np.nan, -np.nan], dtype)
    y = np.array([b for _, b in expected] + [np.nan, np.nan], dtype)
    got = call(function, x)
    same = (got == y) & (np.signbit(got) == np.signbit(y)) | np.isnan(got) & np.isnan(y)
    return [f"{function}({a!r}) = {b!r}" for a, b in zip(x[~same], got[~same])]


def installed():
    """A caller through the installed package, or None."""
    try:
        import plainnet.kernels
        import plainnet.native
    except ImportError:
        return None

    def make(isa):
        plainnet.native.set_isa(isa)
        return lambda function, x: getattr(plainnet.kernels, function)(x)

    return make


def measure(function, dtype, calls, helpers, stride, points):
    """{isa: (error, x, steps down, what is wrong)}"""
    worst = {isa: (-1.0, dtype(0), dtype(0)) for isa in calls}
    chunks = float32_chunks(function, stride) if dtype == np.float32 else float64_chunks(function, points)
    odd = dict.fromkeys(calls, 0)
    down = dict.fromkeys(calls, 0)
    for x in chunks:
        y, seen, steps = None, (-1.0, 0), 0
        for isa, call in calls.items():
            before, y = y, call(function, x)
            if before is None or before.tobytes() != y.tobytes():  # with FMA, all instruction sets agree
                seen = helpers[isa].worst(function, x, y)
                if dtype == np.float32 and stride == 1 and not FUNCTIONS[function].falls:
                    steps = int(np.sum(np.diff(y) * np.sign(np.diff(x)) < 0))
            error, i = seen
            if error > worst[isa][0]:
                worst[isa] = (error, x[i], y[i])
            if function == "tanh":
                odd[isa] += int(np.sum((call(function, -x) != -y) & ~np.isnan(x)))
            down[isa] += steps
    rows = {}
    for isa, call in calls.items():
        error, x, y = worst[isa]
        in_mpmath = error_in_ulp(function, x, y)
        if not abs(error - in_mpmath) < 2:  # the wider type has rounding errors as well
            sys.exit(f"accuracy.c and mpmath differ at {function}({x!r}) = {y!r}: {error:.3f} and {in_mpmath:.3f} ULP")
        wrong = specials(call, function, dtype) + ([f"{odd[isa]} inputs are not odd"] if odd[isa] else [])
        steps = "-" if FUNCTIONS[function].falls else down[isa] + decreases(call, function, dtype)
        rows[isa] = (in_mpmath, x, steps, wrong)
    return rows


def heading(arguments):
    """The lines before the results: what they are, and how they were made."""
    everything = arguments.stride == 1
    options = "".join(
        f" --{name} {value}"
        for name, value, default in (("stride", arguments.stride, 1), ("points", arguments.points, 10**7))
        if value != default
    )
    made_by = f"Made by `python benchmarks/accuracy.py{' --activations' if arguments.activations else ''}{options}"
    inputs = "all" if everything else f"one in {arguments.stride} of the"
    if arguments.activations:
        lines = [
            "",
            "## The other activations",
            "",
            f"{made_by} --output docs/explain/accuracy.md`, which adds to what is above.",
            "",
            f"float32 over {inputs} 2^32 inputs, float64 over {arguments.points:,} as above. Steps down of",
            "functions that fall and rise are not counted. Four are not within 2.5 ULP everywhere:",
            "",
            "- `gelu`: below 1.2 where z > 0. Where z < 0 it is the product of three rounded numbers: below 3.3 to -3",
            "  (4 without fused multiply-adds), and more further left, where one of them, a polynomial, is the",
            "  difference of larger numbers.",
            "- `mish`: below 2.5 with fused multiply-adds, which tell what rounding takes from products.",
            "- `gelu_tanh`: below 2.5 but where 1 + exp(-w) loses the 1, as in the sigmoid.",
            "- `softplus`: below 2.5 with fused multiply-adds.",
        ]
    else:
        lines = [
            "# Accuracy of the elementwise functions",
            "",
            f"{made_by} --output docs/explain/accuracy.md`.",
            "",
            "Largest error in units of the last place of the exact result: float32 over "
            f"{inputs} 2^32 inputs, float64 over {arguments.points:,}",
            "(half uniform over bit patterns, half over the range where the function varies).",
            "exp is for arguments up to 0 and log1p for [0, 1], all that the log loss needs; loss_sigmoid is the "
            "sigmoid",
            "that it computes from that exp, for its gradient. *Steps down* counts neighbouring inputs whose results "
            "are",
            f"in the wrong order{' (float32: of all)' if everything else ''};",
            "log1p and loss_sigmoid may have some.",
        ]
    return [
        *lines,
        "",
        "| function | dtype | instruction set | max ULP | at | steps down | specials |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stride", type=int, default=1, help="every n-th float32 (default: all)")
    parser.add_argument("--points", type=int, default=10**7, help="float64 points for each function")
    parser.add_argument("--function", action="append", choices=FUNCTIONS, help="only these functions")
    parser.add_argument("--isa", action="append", help="only these instruction sets")
    parser.add_argument("--output", help="Markdown file to write, such as docs/explain/accuracy.md (default: print)")
    parser.add_argument("--activations", action="store_true", help="the others, added to what the file has")
    arguments = parser.parse_args()
    if np.finfo(np.longdouble).nmant <= 52:
        sys.exit("long double is no wider than double here: nothing to compare float64 with")

    package = installed()
    functions = arguments.function or (ACTIVATIONS if arguments.activations else ELEMENTARY)
    lines = heading(arguments)
    failed = False
    with tempfile.TemporaryDirectory() as folder, np.errstate(all="ignore"):
        isas = arguments.isa or available_isas()
        helpers = {isa: Helper(isa, folder) for isa in isas}
        for function in functions:
            for dtype in (np.float32, np.float64):

                def through_package(isa):
                    return lambda name, x: package(isa)(name, x)

                calls = {
                    isa: through_package(isa) if package and function in ("sigmoid", "tanh") else helpers[isa]
                    for isa in isas
                }
                rows = measure(function, dtype, calls, helpers, arguments.stride, arguments.points)
                for isa, (error, x, down, wrong) in rows.items():
                    failed |= error > FUNCTIONS[function].bounds[isa == "baseline"] or bool(wrong)
                    failed |= down not in (0, "-") and not FUNCTIONS[function].may_step_down
                    lines.append(
                        f"| {function} | {np.dtype(dtype).name} | {isa} | {error:.3f} | `{float(x)!r}` | "
                        f"{down} | {'; '.join(wrong) or 'right'} |"
                    )
                    print(lines[-1], flush=True)
    if arguments.output:
        with open(arguments.output, "a" if arguments.activations else "w") as file:
            file.write("\n".join(lines) + "\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
