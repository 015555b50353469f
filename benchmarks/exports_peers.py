"""Trained networks as C, as plainnet, emlearn, FANN and m2cgen export them."""

from __future__ import annotations

import ctypes
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import plainnet as pn
from exports_measure import Export

Floats = npt.NDArray[np.float32]

# ---- plainnet --------------------------------------------------------------------------------------------------------


def as_network(weights: Sequence[Floats], biases: Sequence[Floats], activations: Sequence[str]) -> pn.Network:
    """The network in float32."""
    layers = [pn.Dense(*weight.shape, activation) for weight, activation in zip(weights, activations)]
    loss = {"softmax": "cross_entropy", "sigmoid": "log_loss"}.get(activations[-1], "mean_squared_error")
    net = pn.Network(layers, loss, dtype="float32", seed=0)
    for layer, weight, bias in zip(net.layers, weights, biases):
        layer.weight, layer.bias = weight, bias
    return net


def plainnet(net: pn.Network, folder: Path, calibration: Floats | None = None) -> Export:
    """With int8 weights, if there are rows for calibration."""
    path = folder / "model.c"
    net.to_c(path, weights="exact" if calibration is None else "int8", calibration=calibration)
    run = "void run(const float *x, float *out)\n{\n    model_predict(x, out);\n}\n"
    return Export(f"plainnet, {'float' if calibration is None else 'int8 weights'}", path.read_text() + run)


# ---- emlearn ---------------------------------------------------------------------------------------------------------


def emlearn(model: Any, n_in: int, n_out: int, **options: Any) -> Export:
    """
    scikit-learn's MLPClassifier by emlearn.

    Raises
    ------
    Exception
        Any, for what it cannot do.
    """
    import emlearn as library

    folder = os.getcwd()
    with tempfile.TemporaryDirectory() as scratch:  # where it compiles what it converts
        os.chdir(scratch)
        try:
            method = options.get("method", "loadable")
            converted = library.convert(model, **{"method": method, **options})
            source = converted.save(name="model", inference=[method])
        finally:
            os.chdir(folder)
    call = f"eml_net_regress(&model, x, {n_in}, out, {n_out});"
    run = f"void run(const float *x, float *out)\n{{\n    {call}\n}}\n"
    return Export("emlearn", source + run, ("-I", os.path.dirname(library.__file__)))


# ---- FANN ------------------------------------------------------------------------------------------------------------

_LINEAR, _SIGMOID, _TANH = 0, 3, 5  # of FANN's enumeration
_ACTIVATIONS = {"sigmoid": (_SIGMOID, 0.5), "tanh": (_TANH, 1.0)}  # and the steepness that makes them those

_FANN = """\
#include <{kind}fann.h>

void run(const float *x, float *out)
{{
    static struct fann *network;
    fann_type input[{n_in}];
    if (!network)
        network = fann_create_from_file("{path}");
    for (int i = 0; i < {n_in}; i++)
        input[i] = (fann_type)(x[i] * {one});
    const fann_type *output = fann_run(network, input);
    for (int j = 0; j < {n_out}; j++)
        out[j] = (float)output[j] / {one};
}}
"""


class _Connection(ctypes.Structure):
    _fields_ = (("source", ctypes.c_uint), ("target", ctypes.c_uint), ("weight", ctypes.c_float))


def fann(weights: Sequence[Floats], biases: Sequence[Floats], activations: Sequence[str], folder: Path) -> list[Export]:
    """FANN in float, and in fixed point, with the digits after the point that it has chosen."""
    library = ctypes.CDLL("libfloatfann.so.2")
    library.fann_create_standard_array.restype = ctypes.c_void_p
    sizes = [weights[0].shape[0], *(weight.shape[1] for weight in weights)]
    network = ctypes.c_void_p(library.fann_create_standard_array(len(sizes), (ctypes.c_uint * len(sizes))(*sizes)))
    for where, activation in ("hidden", activations[0]), ("output", activations[-1]):
        function, steepness = _ACTIVATIONS[activation]
        getattr(library, f"fann_set_activation_function_{where}")(network, function)
        getattr(library, f"fann_set_activation_steepness_{where}")(network, ctypes.c_float(steepness))
    connections = (_Connection * library.fann_get_total_connections(network))()
    library.fann_get_connection_array(network, connections)
    starts = np.cumsum([0, *(size + 1 for size in sizes)])  # of layers, each with a bias neuron at its end
    for connection in connections:
        k = int(np.searchsorted(starts, connection.source, side="right")) - 1
        i, j = connection.source - starts[k], connection.target - starts[k + 1]
        connection.weight = float(biases[k][j] if i == sizes[k] else weights[k][i, j])
    library.fann_set_weight_array(network, connections, len(connections))
    paths = folder / "float.net", folder / "fixed.net"
    if library.fann_save(network, str(paths[0]).encode()) != 0:
        raise RuntimeError("fann_save has failed")
    digits = library.fann_save_to_fixed(network, str(paths[1]).encode())
    kinds = ("FANN, float", "float", "1.0f"), (f"FANN, fixed point, {digits} bits", "fixed", f"{2**digits}.0f")
    return [
        Export(
            name, _FANN.format(kind=kind, path=path, one=one, n_in=sizes[0], n_out=sizes[-1]), (), (f"-l{kind}fann",)
        )
        for path, (name, kind, one) in zip(paths, kinds)
    ]


# ---- m2cgen ----------------------------------------------------------------------------------------------------------


def m2cgen(model: Any, n_in: int, n_out: int) -> Export:
    """
    A model of scikit-learn by m2cgen, which computes in double.

    Raises
    ------
    Exception
        Any, for what it cannot do.
    """
    import m2cgen as library

    run = f"""
void run(const float *x, float *out)
{{
    double input[{n_in}], output[{n_out}];
    for (int i = 0; i < {n_in}; i++)
        input[i] = x[i];
    score(input, output);
    for (int j = 0; j < {n_out}; j++)
        out[j] = (float)output[j];
}}
"""
    return Export("m2cgen", library.export_to_c(model) + run)
