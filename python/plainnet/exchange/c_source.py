"""A network as the text of one C file, which needs nothing but the C library's mathematics."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import NamedTuple

from ..arrays import FLOAT32, Array
from ..layers import Dense
from ..network import Network
from .c_activations import C_ACTIVATIONS, functions
from .c_int8 import LARGEST, Int8, Int8Layer
from .c_self_test import SelfTest

#: Numbers in a line of a table.
_IN_A_LINE = 6
_INT8_IN_A_LINE = 20


class Names(NamedTuple):
    """What the file is written with: the name of the network, its type, and the suffix of literals and functions."""

    name: str
    real: str
    suffix: str


def c_source(network: Network, name: str, batch: bool, self_test: SelfTest | None, int8: Int8 | None) -> str:
    """The file for `network`, whose parameters are finite, or for its rounded weights; `name` is a C identifier."""
    names = Names(name, "float", "f") if network.dtype == FLOAT32 else Names(name, "double", "")
    lines = [
        *_head(network, names, batch, self_test is not None, int8),
        *_preamble(network, names, int8 is not None),
        *_prototypes(names, batch),
    ]
    for k, layer in enumerate(network.layers):
        for kind, array in _constants(layer if int8 is None else int8.layers[k]).items():
            lines += _table(f"{names.name}_{kind}_{k}", array, names)
        lines.append("")
    used = {layer.activation for layer in network.layers}
    for function in functions(used, name, names.suffix):
        lines += [*function.splitlines(), ""]
    lines += _predict(network.layers, names, int8)
    if batch:
        lines += _predict_batch(network.layers, names)
    lines += _no_test(names) if self_test is None else _test(self_test, names)
    return "\n".join(lines) + "\n"


def constants_bytes(network: Network, int8: Int8 | None) -> int:
    """What the constants of the file take."""
    return int(network.parameters.nbytes) if int8 is None else sum(layer.n_bytes for layer in int8.layers)


def _constants(layer: Dense | Int8Layer) -> dict[str, Array]:
    """The tables of a layer, in their order."""
    arrays = {"weight": layer.weight, "bias": layer.bias}
    if isinstance(layer, Int8Layer):
        arrays = {"weight": layer.weight, "scale": layer.scale, "input_scale": layer.input_scale, "bias": layer.bias}
    return {kind: array for kind, array in arrays.items() if array is not None}


def stack_bytes(network: Network) -> int:
    """What the local arrays of the function take."""
    return sum(_buffers(network.layers).values()) * network.dtype.itemsize


def _buffers(layers: tuple[Dense, ...]) -> dict[str, int]:
    """The local arrays of the function, and how many numbers they hold: outputs of hidden layers take turns."""
    widths = [layer.n_out for layer in layers[:-1]]
    return {name: max(own) for name, own in (("even", widths[::2]), ("odd", widths[1::2])) if own}


def _head(network: Network, names: Names, batch: bool, is_tested: bool, int8: Int8 | None) -> Iterator[str]:
    layers, n_bytes, stack = network.layers, constants_bytes(network, int8), stack_bytes(network)
    macro = names.name.upper()
    yield "/*"
    yield " * A trained network of dense layers, written by plainnet. C99 or later, or C++."
    yield " *"
    for prototype in _declarations(names, batch):
        yield f" *     {prototype}"
    yield " *"
    rows = ", for each of n_rows rows, one after the other" if batch else ""
    yield f" * reads x[{layers[0].n_in}] and writes out[{layers[-1].n_out}]{rows}. The two do not overlap."
    yield " *"
    for k, layer in enumerate(layers):
        bias = "" if layer.bias is not None else ", no bias"
        yield f" *     layer {k}: {_sizes(layer)}, {layer.activation}{bias}"
    yield " *"
    yield f" * The {network.parameters.size} parameters take {n_bytes} bytes of constants. The stack holds {stack}"
    yield " * bytes of results in between. Nothing is allocated, no state is kept; threads may call at the same time."
    yield " *"
    yield from _about_sums(names, macro) if int8 is None else _about_int8(int8)
    if _needs_library(layers):
        yield " * Activations are the C library's: link with -lm. They differ from plainnet's in the last digits."
    else:
        yield " * Compilers that do not make one instruction of a fused multiply-add call fma: link with -lm then."
    if is_tested:
        yield " *"
        yield f" * With -D{macro}_SELF_TEST there is a main, which returns 0 if the outputs for some rows are right."
    yield " */"


def _about_sums(names: Names, macro: str) -> Iterator[str]:
    yield " * A sum begins with the bias, and products are added in the order of the inputs. With fused multiply-adds,"
    yield f" * which are used where the target is known to have them (-D{macro}_USE_FMA=0 or =1 decides otherwise),"
    yield " * sums have the bits of plainnet's. Without, a sum of a bias and n products differs from them by at most"
    yield f" * (2 n + 2) u times the sum of their magnitudes, with u = 2^-{24 if names.suffix else 53}."


def _about_int8(int8: Int8) -> Iterator[str]:
    loss = str(int8.loss)
    text = (
        f"Weights are rounded to whole numbers from -{LARGEST} to {LARGEST}, and multiplied by the scale of their "
        f"output. {loss[0].upper()}{loss[1:]}. Sums are not rounded to whole numbers, and begin with 0; scale and bias "
        "come last."
    )
    yield from textwrap.wrap(text, 115, initial_indent=" * ", subsequent_indent=" * ", break_on_hyphens=False)


def _sizes(layer: Dense) -> str:
    return f"{layer.n_in} input{'s' if layer.n_in > 1 else ''}, {layer.n_out} output{'s' if layer.n_out > 1 else ''}"


def _needs_library(layers: tuple[Dense, ...]) -> bool:
    return any(C_ACTIVATIONS[layer.activation].needs_library for layer in layers)


def _declarations(names: Names, batch: bool) -> list[str]:
    real = names.real
    one = f"void {names.name}_predict(const {real} *x, {real} *out);"
    return [one, f"void {names.name}_predict_batch(size_t n_rows, const {real} *x, {real} *out);"] if batch else [one]


def _prototypes(names: Names, batch: bool) -> list[str]:
    opened, closed = ["#ifdef __cplusplus", 'extern "C" {', "#endif"], ["#ifdef __cplusplus", "}", "#endif"]
    return [*opened, *_declarations(names, batch), *closed, ""]


def _preamble(network: Network, names: Names, is_int8: bool) -> Iterator[str]:
    """Headers, which are math.h only where something needs it, and the macro that adds a product to a sum."""
    macro, is_float = names.name.upper(), names.suffix == "f"
    arm, riscv = ("0x4", "32") if is_float else ("0x8", "64")
    needs_library = _needs_library(network.layers)
    yield "#include <stddef.h>"
    if is_int8:
        yield "#include <stdint.h>"
    if needs_library:
        yield "#include <math.h>"
    yield ""
    yield f"#ifndef {macro}_USE_FMA"
    yield f"#if defined __FP_FAST_FMA{'F' if is_float else ''} || defined __FMA__"
    yield f"#define {macro}_USE_FMA 1"
    yield "#elif defined __ARM_FEATURE_FMA && defined __ARM_FP"
    yield f"#define {macro}_USE_FMA ((__ARM_FP & {arm}) != 0)"
    yield "#elif defined __riscv_flen"
    yield f"#define {macro}_USE_FMA (__riscv_flen >= {riscv})"
    yield "#else"
    yield f"#define {macro}_USE_FMA 0"
    yield "#endif"
    yield "#endif"
    yield f"#if {macro}_USE_FMA"
    if not needs_library:
        yield "#include <math.h>"
    yield f"#define {macro}_MULTIPLY_ADD(a, b, c) fma{names.suffix}((a), (b), (c))"
    yield "#else"
    yield f"#define {macro}_MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))"
    yield "#endif"
    yield ""


def _table(name: str, array: Array, names: Names) -> Iterator[str]:
    """A constant array of one or two dimensions, of literals that the compiler reads as the same numbers."""
    shape = "".join(f"[{n}]" for n in array.shape)
    yield f"static const {'int8_t' if array.dtype.kind == 'i' else names.real} {name}{shape} = {{"
    if array.ndim == 1:
        yield from _numbers(array, names, "    ")
    else:
        for row in array:
            lines = [line.lstrip() for line in _numbers(row, names, "")]
            yield "    {" + "\n     ".join(lines).rstrip(",") + "},"
    yield "};"


def _numbers(row: Array, names: Names, indent: str) -> Iterator[str]:
    # The shortest texts that are read as the same number; those of float64 and float32 differ.
    suffix, n = ("", _INT8_IN_A_LINE) if row.dtype.kind == "i" else (names.suffix, _IN_A_LINE)
    texts = [f"{number!s}{suffix}" for number in row]
    for start in range(0, len(texts), n):
        yield f"{indent}{', '.join(texts[start : start + n])},"


def _predict(layers: tuple[Dense, ...], names: Names, int8: Int8 | None) -> Iterator[str]:
    yield f"void {names.name}_predict(const {names.real} *x, {names.real} *out)"
    yield "{"
    for buffer, n in _buffers(layers).items():
        yield f"    {names.real} {buffer}[{n}]; /* outputs of hidden layers with {buffer} numbers */"
    yield "    size_t i, j;"
    source = "x"
    for k, layer in enumerate(layers):
        target = "out" if k == len(layers) - 1 else ("even", "odd")[k % 2]
        yield ""
        yield from _layer(k, layer, names, source, target, None if int8 is None else int8.layers[k])
        source = target
    yield "}"
    yield ""


def _layer(k: int, layer: Dense, names: Names, x: str, a: str, int8: Int8Layer | None) -> Iterator[str]:
    over_outputs = f"for (j = 0; j < {layer.n_out}; j++)"
    product = "weight[i][j]" if int8 is None else "weight[i][j] scale[j]"
    yield f"    /* Layer {k}: {layer.activation} of z[j] = {x}[i] {product}, summed over i"
    yield f"       ({_sizes(layer)}{', no bias' if layer.bias is None else ''}). */"
    yield from _exact_sums(k, layer, names, x, a) if int8 is None else _int8_sums(k, int8, names, x, a)
    if layer.activation == "softmax":
        yield f"    {names.name}_softmax({layer.n_out}, {a});"
    elif layer.activation != "identity":
        yield f"    {over_outputs}"
        yield f"        {a}[j] = {names.name}_{layer.activation}({a}[j]);"


def _exact_sums(k: int, layer: Dense, names: Names, x: str, a: str) -> Iterator[str]:
    name, macro, over_outputs = names.name, names.name.upper(), f"for (j = 0; j < {layer.n_out}; j++)"
    start = f"0.0{names.suffix}" if layer.bias is None else f"{name}_bias_{k}[j]"
    yield f"    {over_outputs}"
    yield f"        {a}[j] = {start};"
    yield f"    for (i = 0; i < {layer.n_in}; i++)"
    yield f"        {over_outputs}"
    yield f"            {a}[j] = {macro}_MULTIPLY_ADD({x}[i], {name}_weight_{k}[i][j], {a}[j]);"


def _int8_sums(k: int, layer: Int8Layer, names: Names, x: str, a: str) -> Iterator[str]:
    name, macro, (n_in, n_out) = names.name, names.name.upper(), layer.weight.shape
    over_outputs, scale = f"for (j = 0; j < {n_out}; j++)", f"{name}_scale_{k}[j]"
    yield f"    {over_outputs}"
    yield f"        {a}[j] = 0.0{names.suffix};"
    yield f"    for (i = 0; i < {n_in}; i++) {{"
    factor = "" if layer.input_scale is None else f" * {name}_input_scale_{k}[i]"
    yield f"        const {names.real} x_i = {x}[i]{factor};"
    yield f"        {over_outputs}"
    yield f"            {a}[j] = {macro}_MULTIPLY_ADD(x_i, ({names.real}){name}_weight_{k}[i][j], {a}[j]);"
    yield "    }"
    yield f"    {over_outputs}"
    if layer.bias is None:
        yield f"        {a}[j] *= {scale};"
    else:
        yield f"        {a}[j] = {macro}_MULTIPLY_ADD({a}[j], {scale}, {name}_bias_{k}[j]);"


def _predict_batch(layers: tuple[Dense, ...], names: Names) -> list[str]:
    n_in, n_out = layers[0].n_in, layers[-1].n_out
    return [
        f"void {names.name}_predict_batch(size_t n_rows, const {names.real} *x, {names.real} *out)",
        "{",
        "    size_t row;",
        "    for (row = 0; row < n_rows; row++)",
        f"        {names.name}_predict(x + row * {n_in}, out + row * {n_out});",
        "}",
        "",
    ]


def _no_test(names: Names) -> list[str]:
    return [
        f"#ifdef {names.name.upper()}_SELF_TEST",
        '#error "there are no rows to test: plainnet\'s net.to_c writes those that it has as self_test"',
        "#endif",
    ]


def _test(test: SelfTest, names: Names) -> Iterator[str]:
    name, real, (n_rows, n_out) = names.name, names.real, test.out.shape
    yield f"#ifdef {name.upper()}_SELF_TEST"
    yield "/* Inputs, plainnet's predictions, and how far rounding and the C library can put others from these. */"
    yield from _table(f"{name}_test_x", test.x, names)
    yield from _table(f"{name}_test_out", test.out, names)
    yield from _table(f"{name}_test_tolerance", test.tolerance, names)
    yield ""
    yield "/* 0, or the number of the first row that is wrong, counted from 1. */"
    yield "int main(void)"
    yield "{"
    yield f"    {real} out[{n_out}];"
    yield "    int row;"
    yield "    size_t j;"
    yield f"    for (row = 0; row < {n_rows}; row++) {{"
    yield f"        {name}_predict({name}_test_x[row], out);"
    yield f"        for (j = 0; j < {n_out}; j++) {{"
    yield f"            const {real} difference = out[j] - {name}_test_out[row][j];"
    yield f"            const {real} most = {name}_test_tolerance[row][j];"
    yield "            if (!(-most <= difference && difference <= most))"
    yield "                return row + 1;"
    yield "        }"
    yield "    }"
    yield "    return 0;"
    yield "}"
    yield "#endif"
