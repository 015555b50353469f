"""
The activations as C functions, on the C library's mathematics, and bounds of their errors and slopes.

In the sources below ``real`` is the type, ``NAME`` the network's name, and ``@`` the suffix of literals and of the C
library's functions: f for float, nothing for double.
"""

from __future__ import annotations

from typing import NamedTuple


class CActivation(NamedTuple):
    """
    Attributes
    ----------
    source : str
        Its function, of one number (softmax: of a row); empty for the identity.
    slope : float
        No difference of arguments makes a larger difference of results than `slope` times itself.
    needs : str
        Another activation that the function calls; empty if it calls none.
    error : float
        A result `a` is off by this, times eps max(1, abs(a)), at most, if the C library's functions are off by 4 of
        their last digits.
    """

    source: str
    slope: float
    needs: str = ""
    error: float = 8

    @property
    def needs_library(self) -> bool:
        """Whether the function calls the C library's mathematics: others have the bits of plainnet's."""
        return self.error > 1


_SIGMOID = """\
static real NAME_sigmoid(real z)
{
    const real e = exp@(-fabs@(z)); /* never overflows */
    return (z < 0.0@ ? e : 1.0@) / (1.0@ + e);
}
"""

_TANH = """\
static real NAME_tanh(real z)
{
    return tanh@(z);
}
"""

_RELU = """\
static real NAME_relu(real z)
{
    return z < 0.0@ ? 0.0@ : z;
}
"""

_LEAKY_RELU = """\
static real NAME_leaky_relu(real z)
{
    return z < 0.0@ ? 0.01@ * z : z;
}
"""

_ELU = """\
static real NAME_elu(real z)
{
    return z < 0.0@ ? expm1@(z) : z;
}
"""

_SELU = """\
static real NAME_selu(real z)
{
    return z < 0.0@ ? 1.7580993408473769@ * expm1@(z) : 1.0507009873554805@ * z;
}
"""

_GELU = """\
/* z times the normal distribution function of z. */
static real NAME_gelu(real z)
{
    const real x = fabs@(z) < 1000.0@ ? fabs@(z) : 1000.0@; /* beyond, the result is 0 or z */
    return (z < 0.0@ ? -0.0@ : z) - x * (0.5@ * erfc@(x * 0.70710678118654752@));
}
"""

_GELU_TANH = """\
/* 0.5 z (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))) */
static real NAME_gelu_tanh(real z)
{
    const real x = z < -1000.0@ ? -1000.0@ : z > 1000.0@ ? 1000.0@ : z; /* beyond, the result is 0 or z */
    return (z > 1000.0@ ? z : x) * NAME_sigmoid(x * (1.5957691216057308@ + 0.071354816272600248@ * x * x));
}
"""

_SILU = """\
static real NAME_silu(real z)
{
    return (z < -1000.0@ ? -1000.0@ : z) * NAME_sigmoid(z);
}
"""

_MISH = """\
static real NAME_mish(real z)
{
    return (z < -1000.0@ ? -1000.0@ : z) * tanh@(NAME_softplus(z));
}
"""

_SOFTPLUS = """\
/* log(1 + exp(z)), rearranged so that it never overflows. */
static real NAME_softplus(real z)
{
    return (z < 0.0@ ? 0.0@ : z) + log1p@(exp@(-fabs@(z)));
}
"""

_SOFTMAX = """\
/* exp(z[j]) divided by the sum of them all, in the place of z[n]. */
static void NAME_softmax(size_t n, real *z)
{
    real most = z[0], sum = 0.0@;
    size_t j;
    for (j = 1; j < n; j++)
        most = z[j] > most ? z[j] : most;
    for (j = 0; j < n; j++) {
        z[j] = exp@(z[j] - most); /* never overflows */
        sum += z[j];
    }
    for (j = 0; j < n; j++)
        z[j] /= sum;
}
"""

#: By name, in an order in which each function is behind those that it calls.
C_ACTIVATIONS = {
    "identity": CActivation("", 1, error=0),
    "relu": CActivation(_RELU, 1, error=0),
    "leaky_relu": CActivation(_LEAKY_RELU, 1, error=1),
    "sigmoid": CActivation(_SIGMOID, 0.25),
    "tanh": CActivation(_TANH, 1),
    "elu": CActivation(_ELU, 1),
    "selu": CActivation(_SELU, 1.7580993408473769),
    "softplus": CActivation(_SOFTPLUS, 1),
    "gelu": CActivation(_GELU, 1.13),
    "gelu_tanh": CActivation(_GELU_TANH, 1.13, "sigmoid"),
    "silu": CActivation(_SILU, 1.1, "sigmoid"),
    "mish": CActivation(_MISH, 1.09, "softplus"),
    "softmax": CActivation(_SOFTMAX, 0.5),
}


def functions(names: set[str], name: str, suffix: str) -> list[str]:
    """The C functions that activations called `names` need, for a network called `name` and literals with `suffix`."""
    needed = names | {C_ACTIVATIONS[activation].needs for activation in names}
    real = "float" if suffix else "double"
    return [
        c.source.replace("real", real).replace("NAME", name).replace("@", suffix)
        for activation, c in C_ACTIVATIONS.items()
        if activation in needed and c.source
    ]
