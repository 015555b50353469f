"""
FANN, the C library, for the squared error, the one loss it has.

It descends half the squared error, averaged over rows, hence twice the learning rate; a steepness of 1/2 makes its
sigmoid ours. Where a neuron saturates it clips the derivative, so it agrees only for starts that stay clear of that.
"""

from __future__ import annotations

import ctypes
from ctypes import CFUNCTYPE, POINTER, c_double, c_float, c_int, c_uint, c_void_p

import numpy as np

from peers import Variant
from workloads import Outcome, Problem

LIBRARIES = {"float64": ("libdoublefann.so.2", c_double), "float32": ("libfann.so.2", c_float)}
TRAIN_BATCH, ERROR_LINEAR, SIGMOID, TANH = 1, 0, 3, 5  # of FANN's enumerations


class Fann(Variant):
    """One call of `fann_train_on_data`, full batch."""

    whole_run = True

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        name, self.real = LIBRARIES[problem.dtype]
        self.fann = ctypes.CDLL(name)
        self.fann.fann_create_standard_array.restype = c_void_p
        self.fann.fann_create_train_from_callback.restype = c_void_p
        sizes = problem.workload.sizes
        self.network = c_void_p(self.fann.fann_create_standard_array(len(sizes), (c_uint * len(sizes))(*sizes)))
        self.set("activation_function_hidden", c_int(TANH))
        self.set("activation_function_output", c_int(SIGMOID))
        self.set("activation_steepness_hidden", self.real(1.0))
        self.set("activation_steepness_output", self.real(0.5))
        self.set("training_algorithm", c_int(TRAIN_BATCH))
        self.set("train_error_function", c_int(ERROR_LINEAR))
        self.set("learning_rate", c_float(2 * problem.workload.learning_rate / sizes[-1]))
        self.data = self.make_data()

    def set(self, what: str, value: ctypes._SimpleCData) -> None:
        getattr(self.fann, f"fann_set_{what}")(self.network, value)

    def make_data(self) -> c_void_p:
        def fill(row: int, n_in: int, n_out: int, x: ctypes.Array, y: ctypes.Array) -> None:
            for i in range(n_in):
                x[i] = self.problem.x[row, i]
            for i in range(n_out):
                y[i] = self.problem.y[row, i]

        callback = CFUNCTYPE(None, c_uint, c_uint, c_uint, POINTER(self.real), POINTER(self.real))(fill)
        sizes = self.problem.workload.sizes
        return c_void_p(
            self.fann.fann_create_train_from_callback(self.problem.workload.n_rows, sizes[0], sizes[-1], callback)
        )

    def first_neurons(self) -> list[int]:
        """Number of each layer's first neuron; every layer ends with a bias neuron."""
        return np.cumsum([0, *(size + 1 for size in self.problem.workload.sizes[:-1])]).tolist()

    def reset(self) -> None:
        numbers = self.first_neurons()
        for layer, (weight, bias) in enumerate(zip(self.problem.weights, self.problem.biases, strict=True)):
            for (source, target), value in np.ndenumerate(np.vstack([weight, bias])):
                self.fann.fann_set_weight(
                    self.network, c_uint(numbers[layer] + source), c_uint(numbers[layer + 1] + target), self.real(value)
                )

    def run(self, n_units: int) -> None:
        never = c_float(-1.0)  # the error at which to stop
        self.fann.fann_train_on_data(self.network, self.data, c_uint(n_units), c_uint(0), never)

    def result(self) -> Outcome:
        dtype = np.dtype([("source", np.uint32), ("target", np.uint32), ("value", self.problem.dtype)], align=True)
        connections = np.empty(self.fann.fann_get_total_connections(self.network), dtype)
        self.fann.fann_get_connection_array(self.network, c_void_p(connections.ctypes.data))
        numbers = self.first_neurons()
        arrays = []
        for layer, weight in enumerate(self.problem.weights):
            n_in, n_out = weight.shape
            both = np.empty((n_in + 1, n_out), self.problem.dtype)
            for source, target, value in connections:
                if numbers[layer] <= source <= numbers[layer] + n_in:
                    both[source - numbers[layer], target - numbers[layer + 1]] = value
            arrays += [both[:n_in], both[n_in]]
        return Outcome(arrays)  # FANN reports the loss in single precision only


def versions() -> dict[str, str]:
    for name, _ in LIBRARIES.values():
        ctypes.CDLL(name)
    return {"FANN": LIBRARIES["float64"][0]}


def prepare(problem: Problem, n_threads: int) -> dict[str, Variant]:
    workload = problem.workload
    if workload.name != "xor-squares" or n_threads > 1:
        return {}
    return {"": Fann(problem)}
