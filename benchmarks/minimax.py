"""Where the coefficients in csrc/math.inc.c come from: Remez exchange in 60 digits.

    python benchmarks/minimax.py

prints every polynomial by the name that its comment in the C source gives, with the largest relative error that
it adds to the function. Needs mpmath.
"""

from mpmath import exp, inf, log, log1p, lu_solve, matrix, mp, mpf, tanh

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
    """TANH: tanh(x) = x - x^3 (c0 + c1 x^2 + ...) / (1 + a0 x^2 + ...) for |x| <= 0.5625."""
    basis = [(lambda k: lambda x: x ** (2 * k + 3))(k) for k in range(n_c)]
    basis += [(lambda k: lambda x: (tanh(x) - x) * x ** (2 * k + 2))(k) for k in range(n_a)]
    a = [mpf(0)] * n_a
    for _ in range(4):
        denominator = [mpf(1), *a]
        weight = lambda x: 1 / (tanh(x) * sum(c * x ** (2 * k) for k, c in enumerate(denominator)))
        coefficients, error = remez(lambda x: x - tanh(x), basis, weight, mpf("1e-6"), mpf("0.5625"))
        a = coefficients[n_c:]
    return coefficients, error


def log1p_tail(degree):
    """LOG1P: log1p(x) = x - x^2 (c0 + c1 (x - 1/2) + ...) for 0 <= x <= 1."""
    basis = [(lambda k: lambda x: x * x * (x - mpf(1) / 2) ** k)(k) for k in range(degree + 1)]
    return remez(lambda x: x - log1p(x), basis, lambda x: 1 / log1p(x), mpf("1e-6"), mpf(1))


def show(name, result, digits, suffix):
    coefficients, error = result
    print(f"{name}: relative error 2^{float(mp.log(error, 2)):.1f}")
    for c in coefficients:
        print("   ", mp.nstr(c, digits, min_fixed=-inf, max_fixed=-inf) + suffix)


if __name__ == "__main__":
    for bits, digits, suffix, e, t, log in ((32, 10, "f", 6, (2, 1), 8), (64, 18, "", 11, (3, 3), 20)):
        show(f"EXP f{bits}", exp_tail(e), digits, suffix)
        show(f"TANH f{bits}", tanh_ratio(*t), digits, suffix)
        show(f"LOG1P f{bits}", log1p_tail(log), digits, suffix)
