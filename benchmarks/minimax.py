"""Where the coefficients in csrc/elementwise/math.inc.c come from: Remez exchange in 60 digits.

    python benchmarks/minimax.py

prints every polynomial with its name and the largest relative error that it adds to the function. Needs mpmath.
"""

import math
import struct
from itertools import pairwise

from mpmath import erfc, exp, inf, log, log1p, lu_solve, matrix, mp, mpf, sqrt, tanh

mp.dps = 60


def remez(target, basis, weight, low, high, rounds=12):
    """Coefficients c of sum c[j] basis[j](x) with the least max |weight (target - sum)| on [low, high]."""
    n, grid = len(basis), 40 * (len(basis) + 1)
    points = [low + (high - low) * (1 - mp.cos(mp.pi * (2 * i + 1) / (2 * grid))) / 2 for i in range(grid)]
    nodes = [low + (high - low) * (1 - mp.cos(mp.pi * (2 * i + 1) / (2 * n + 2))) / 2 for i in range(n + 1)]
    for _ in range(rounds):
        rows = [[f(x) for f in basis] + [(-1) ** i / weight(x)] for i, x in enumerate(nodes)]
        coefficients = list(lu_solve(matrix(rows), matrix([target(x) for x in nodes])))[:n]
        errors = [weight(x) * (target(x) - sum(c * f(x) for c, f in zip(coefficients, basis))) for x in points]
        extrema = []
        for x, e in zip(points, errors):
            if extrema and (extrema[-1][1] > 0) == (e > 0):
                if abs(e) > abs(extrema[-1][1]):
                    extrema[-1] = (x, e)
            else:
                extrema.append((x, e))
        while len(extrema) > n + 1:
            extrema.pop(0 if abs(extrema[0][1]) < abs(extrema[-1][1]) else -1)
        if len(extrema) < n + 1:
            break
        nodes = [x for x, _ in extrema]
    return coefficients, max(abs(e) for e in errors)


def power(k, shift=mpf(0)):
    return lambda x: (x - shift) ** k


def exp_tail(degree):
    """EXP: exp(r) = 1 + r + r^2 (c0 + c1 r + ...) for |r| <= ln(2)/2 and a little more."""
    half = log(2) / 2 * mpf("1.0001")
    return remez(lambda r: exp(r) - 1 - r, [power(k) for k in range(2, degree + 1)], lambda r: exp(-r), -half, half)


def tanh_ratio(n_c, n_a):
    """TANH: tanh(x) = x - x^3 (c0 + c1 x^2 + ...) / (1 + a0 x^2 + ...) for |x| <= 11/16."""
    basis = [(lambda k: lambda x: x ** (2 * k + 3))(k) for k in range(n_c)]
    basis += [(lambda k: lambda x: (tanh(x) - x) * x ** (2 * k + 2))(k) for k in range(n_a)]
    a = [mpf(0)] * n_a
    for _ in range(4):
        denominator = [mpf(1), *a]
        weight = lambda x: 1 / (tanh(x) * sum(c * x ** (2 * k) for k, c in enumerate(denominator)))
        coefficients, error = remez(lambda x: x - tanh(x), basis, weight, mpf("1e-6"), mpf("0.6875"))
        a = coefficients[n_c:]
    return coefficients, error


def tanh_exp(degree):
    """TANH f64: (exp(2r) - 1) / 2 = r + r^2 (c0 + c1 r + ...) for |r| <= ln(2)/32 and a little more."""
    edge = log(2) / 32 * mpf("1.0001")
    basis = [power(k) for k in range(2, degree + 1)]
    return remez(lambda r: mp.expm1(2 * r) / 2 - r, basis, lambda r: 2 * exp(-2 * r), -edge, edge)


def tanh_powers():
    """
    TANH f64: 2^(i/8), the bits less i 2^49.

    The reduction uses the double nearest to ln 2. Each power compensates for its error at the first n where it is used,
    which is where it matters most: n = 16 to 23 of 2^(-n/8).
    """
    powers = [float(exp(-n * mpf(math.log(2)) / 8) * 2 ** -(-n // 8)) for n in (16, 23, 22, 21, 20, 19, 18, 17)]
    return [struct.unpack("d", struct.pack("q", bits(p) - (i << 49)))[0] for i, p in enumerate(powers)]


def bits(x):
    return struct.unpack("q", struct.pack("d", x))[0]


def tanh_table(degree, edges=(2, 3, 4, 6, 8, 12, 16, 24, 32), scale=mpf("3.325")):
    """
    TANH f32: tanh(b + y) = base + y (c1 + c2 y + ...), for 2 + scale (b + y) between two of the edges.

    base is c0, the float tanh(b), for a float b near the middle for which that is almost exact, but so that y < c0; in
    the first interval, b is 0 and base y. Each coefficient is rounded to float before the ones after it are fitted, by
    least squares. Returns the rows b, c0, c1, ... and the largest error.
    """
    pieces, worst = [], mpf(0)
    for left, right in pairwise(edges):
        low, high = (left - mpf("2.000002")) / scale, (right - mpf("1.999998")) / scale
        b, c = (mpf(0), [mpf(0), mpf(1)]) if left == 2 else nearly_float(max((low + high) / 2, high - mpf("0.9")))
        nodes = [low + (high - low) * (1 - mp.cos(mp.pi * (2 * i + 1) / 60)) / 2 - b for i in range(30)]
        while len(c) <= degree:
            rows = [[y**j / tanh(b + y) for j in range(len(c), degree + 1)] for y in nodes]
            rest = [1 - sum(c[j] * y**j for j in range(len(c))) / tanh(b + y) for y in nodes]
            c.append(to_float(mp.qr_solve(matrix(rows), matrix(rest))[0][0]))
        errors = [sum(c[j] * y**j for j in range(degree + 1)) / tanh(b + y) - 1 for y in nodes]
        worst = max(worst, *map(abs, errors))
        pieces.append([b, *c] if left > 2 else [b, c[0], mpf(0), *c[2:]])
    return list(zip(*pieces)), worst


def to_float(x):
    """x rounded to 24 bits."""
    with mp.workprec(24):
        return +x


def nearly_float(x):
    """b near x, and [c0]: two floats with c0 = tanh(b) as nearly as can be found."""
    middle = to_float(tanh(x))
    ulp = mpf(2) ** (mp.floor(mp.log(middle, 2)) - 23)
    candidates = []
    for i in range(-400, 401):
        c0 = middle + i * ulp
        if c0 < 1:
            b = to_float(mp.atanh(c0))
            candidates.append((abs(tanh(b) - c0) / ulp + abs(b - x) / 8, b, c0))
    _, b, c0 = min(candidates)
    return b, [c0]


def log1p_tail(degree):
    """LOG1P: log1p(x) = x - x^2 (c0 + c1 (x - 1/2) + ...) for 0 <= x <= 1."""
    basis = [(lambda k: lambda x: x * x * (x - mpf(1) / 2) ** k)(k) for k in range(degree + 1)]
    return remez(lambda x: x - log1p(x), basis, lambda x: 1 / log1p(x), mpf("1e-6"), mpf(1))


def normal_tail(degree, highest):
    """
    NORMAL: Phi(-x) exp(x^2/2) (x + 4) = c0 + c1 s + ..., where s = x / (x + 4) - 0.45, for 0 <= x <= highest.

    Phi is the distribution function of the normal distribution.
    """
    shift, high = mpf("0.45"), mpf(highest)

    def target(s):
        x = 4 * (s + shift) / (1 - s - shift)
        return (x + 4) * erfc(x / sqrt(mpf(2))) * exp(x * x / 2) / 2

    basis = [power(k) for k in range(degree + 1)]
    return remez(target, basis, lambda s: 1 / target(s), -shift, high / (high + 4) - shift)


def show(name, result, digits, suffix):
    coefficients, error = result
    print(f"{name}: relative error 2^{float(mp.log(error, 2)):.1f}")
    for c in coefficients:
        print("   ", mp.nstr(c, digits, min_fixed=-inf, max_fixed=-inf) + suffix)


if __name__ == "__main__":
    for width, digits, suffix, exp_degree, log1p_degree, normal_degree, highest in (
        (32, 10, "f", 6, 8, 10, "14.6"),
        (64, 18, "", 11, 20, 23, "39"),
    ):
        show(f"EXP f{width}", exp_tail(exp_degree), digits, suffix)
        show(f"LOG1P f{width}", log1p_tail(log1p_degree), digits, suffix)
        show(f"NORMAL f{width}", normal_tail(normal_degree, highest), digits, suffix)
    show("TANH f64, ratio", tanh_ratio(3, 3), 18, "")
    show("TANH f64, exp", tanh_exp(7), 18, "")
    print("TANH f64, powers:", ", ".join(p.hex() for p in tanh_powers()))
    rows, error = tanh_table(7)
    print(f"TANH f32: relative error 2^{float(mp.log(error, 2)):.1f}; b and c0 ... c7 of 8 pieces")
    for row in rows:
        print("   ", ", ".join(mp.nstr(c, 9, min_fixed=-inf, max_fixed=-inf) + "f" for c in row))
