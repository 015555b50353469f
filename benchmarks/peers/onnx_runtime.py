"""ONNX Runtime, for forward passes: `Gemm` and an activation a layer."""

from __future__ import annotations

import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from peers import Variant
from workloads import Array, Outcome, Problem

OPERATORS = {"tanh": "Tanh", "sigmoid": "Sigmoid"}


def make_model(problem: Problem) -> bytes:
    """The network as an ONNX graph from "x" to "a"."""
    element = TensorProto.FLOAT if problem.dtype == "float32" else TensorProto.DOUBLE
    nodes, initializers, name = [], [], "x"
    layers = zip(problem.weights, problem.biases, problem.workload.activations, strict=True)
    for i, (weight, bias, activation) in enumerate(layers):
        initializers += [numpy_helper.from_array(weight, f"weight{i}"), numpy_helper.from_array(bias, f"bias{i}")]
        nodes.append(helper.make_node("Gemm", [name, f"weight{i}", f"bias{i}"], [f"z{i}"]))
        name = f"z{i}"
        if activation in OPERATORS:
            nodes.append(helper.make_node(OPERATORS[activation], [name], [f"a{i}"]))
            name = f"a{i}"
    x = helper.make_tensor_value_info("x", element, list(problem.x.shape))
    a = helper.make_tensor_value_info(name, element, [len(problem.x), problem.workload.sizes[-1]])
    graph = helper.make_graph(nodes, "network", [x], [a], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()


def make_session(problem: Problem, n_threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(make_model(problem), options, providers=["CPUExecutionProvider"])


class Run(Variant):
    """`run` with a dictionary of arrays."""

    def __init__(self, problem: Problem, n_threads: int) -> None:
        self.session, self.inputs = make_session(problem, n_threads), {"x": problem.x}

    def run(self, n_units: int) -> None:
        run, inputs = self.session.run, self.inputs
        for _ in range(n_units):
            self.out = run(None, inputs)

    def result(self) -> Outcome:
        return Outcome(self.out)


class Bound(Variant):
    """`run_with_iobinding`, between preallocated arrays."""

    def __init__(self, problem: Problem, n_threads: int) -> None:
        self.session = make_session(problem, n_threads)
        self.x: Array = problem.x
        self.binding = self.session.io_binding()
        self.output = onnxruntime.OrtValue.ortvalue_from_shape_and_type(
            [len(problem.x), problem.workload.sizes[-1]], problem.x.dtype, "cpu"
        )
        self.binding.bind_cpu_input("x", self.x)
        self.binding.bind_ortvalue_output(self.session.get_outputs()[0].name, self.output)

    def run(self, n_units: int) -> None:
        run, binding = self.session.run_with_iobinding, self.binding
        for _ in range(n_units):
            run(binding)

    def result(self) -> Outcome:
        return Outcome([self.output.numpy()])


def versions() -> dict[str, str]:
    return {"ONNX": onnx.__version__, "ONNX Runtime": onnxruntime.__version__}


def prepare(problem: Problem, n_threads: int) -> dict[str, Variant]:
    if problem.workload.task != "forward":
        return {}
    return {"run": Run(problem, n_threads), "bound": Bound(problem, n_threads)}
