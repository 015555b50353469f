"""PyTorch: as its tutorials say, compiled, with the step written by hand, and with a whole step of Adam compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import nn

from peers import Variant
from workloads import Outcome, Problem

Tensor = torch.Tensor
tanh_backward = torch.ops.aten.tanh_backward
MODULES = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "identity": nn.Identity}


def make_model(problem: Problem, activations: list[str]) -> nn.Sequential:
    """Linear layers with our start weights, and activations between them."""
    layers: list[nn.Module] = []
    for weight, bias, activation in zip(problem.weights, problem.biases, activations, strict=True):
        linear = nn.Linear(*weight.shape, dtype=getattr(torch, problem.dtype))
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight.T))
            linear.bias.copy_(torch.from_numpy(bias))
        layers += [linear, MODULES[activation]()]
    return nn.Sequential(*layers)


def loss_on_logits(problem: Problem) -> Callable[[Tensor, Tensor], Tensor]:
    """From the last layer's z, as PyTorch recommends for all but the squared error."""
    if problem.workload.loss == "log_loss":
        size = problem.workload.batch_size
        return lambda z, y: nn.functional.binary_cross_entropy_with_logits(z, y, reduction="sum") / size
    if problem.workload.loss == "cross_entropy":
        return nn.functional.cross_entropy
    return nn.functional.mse_loss


class Batches:
    """The mini-batches of an epoch: consecutive rows, or in an order that PyTorch draws."""

    def __init__(self, problem: Problem) -> None:
        self.size = problem.workload.batch_size
        self.x, self.y = torch.from_numpy(problem.x), torch.from_numpy(problem.y)
        self.in_order = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in problem.batches()]

    def of_epoch(self, shuffle: bool) -> Iterable[tuple[Tensor, Tensor]]:
        if not shuffle:
            return self.in_order
        return ((self.x[rows], self.y[rows]) for rows in torch.randperm(len(self.x)).split(self.size))


class Autograd(Variant):
    """`nn.Sequential`, `backward` and `optim.SGD`, or fused `optim.Adam`; compiled: the loss by `torch.compile`."""

    def __init__(self, problem: Problem, compiled: bool) -> None:
        self.problem = problem
        workload = problem.workload
        on_logits = workload.loss != "mean_squared_error"
        self.model = make_model(problem, [*workload.activations[:-1], "identity" if on_logits else workload.output])
        self.optimizer: torch.optim.Optimizer
        if workload.optimizer == "adam":
            self.optimizer = torch.optim.Adam(self.model.parameters(), lr=workload.learning_rate, fused=True)
        else:
            self.optimizer = torch.optim.SGD(self.model.parameters(), lr=workload.learning_rate)
        loss = loss_on_logits(problem)

        def loss_of(x: Tensor, y: Tensor) -> Tensor:
            return loss(self.model(x), y)

        self.loss_of = torch.compile(loss_of) if compiled else loss_of
        self.batches = Batches(problem)
        self.loss = 0.0

    def reset(self) -> None:
        self.optimizer.state.clear()
        linears = [module for module in self.model if isinstance(module, nn.Linear)]
        with torch.no_grad():
            for linear, weight, bias in zip(linears, self.problem.weights, self.problem.biases, strict=True):
                linear.weight.copy_(torch.from_numpy(weight.T))
                linear.bias.copy_(torch.from_numpy(bias))

    def run(self, n_units: int) -> None:
        for _ in range(n_units):
            total = 0.0
            for x, y in self.batches.of_epoch(self.shuffle):
                self.optimizer.zero_grad()
                loss = self.loss_of(x, y)
                loss.backward()
                self.optimizer.step()
                total += loss.item()
        self.loss = total / self.problem.workload.steps_per_unit

    def result(self) -> Outcome:
        arrays = [parameter.detach().numpy().copy().T for parameter in self.model.parameters()]
        return Outcome(arrays, self.loss)


class CompiledStep(Variant):
    """Loss, gradient and Adam of a step as one function through `torch.compile`."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.parameters = [torch.from_numpy(array) for array in problem.starts()]
        self.m = [torch.zeros_like(tensor) for tensor in self.parameters]
        self.v = [torch.zeros_like(tensor) for tensor in self.parameters]
        self.n_steps = torch.zeros(1, dtype=torch.float64)  # of shape (): compiled code does not count it up
        self.batches = Batches(problem)
        self.loss_of_z = loss_on_logits(problem)
        self.step = torch.compile(self._step)
        self.loss = 0.0

    def reset(self) -> None:
        for tensor in [*self.m, *self.v, self.n_steps]:
            tensor.zero_()
        for tensor, start in zip(self.parameters, self.problem.starts(), strict=True):
            tensor.copy_(torch.from_numpy(start))

    def _loss(self, parameters: list[Tensor], x: Tensor, y: Tensor) -> Tensor:
        for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
            x = torch.addmm(bias, x, weight).relu()
        return self.loss_of_z(torch.addmm(parameters[-1], x, parameters[-2]), y)

    def _step(self, x: Tensor, y: Tensor) -> Tensor:
        gradients, loss = torch.func.grad_and_value(self._loss)(self.parameters, x, y)
        self.n_steps.add_(1)
        scale = torch.sqrt(1 - 0.999**self.n_steps)
        rate = self.problem.workload.learning_rate * scale / (1 - 0.9**self.n_steps)
        for tensor, gradient, m, v in zip(self.parameters, gradients, self.m, self.v, strict=True):
            m.lerp_(gradient, 0.1)
            v.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
            tensor.sub_(rate.to(m.dtype) * m / (v.sqrt() + (1e-8 * scale).to(m.dtype)))
        return loss

    def run(self, n_units: int) -> None:
        for _ in range(n_units):
            total = 0.0
            for x, y in self.batches.of_epoch(self.shuffle):
                total += self.step(x, y).item()
        self.loss = total / self.problem.workload.steps_per_unit

    def result(self) -> Outcome:
        return Outcome([tensor.numpy().copy() for tensor in self.parameters], self.loss)


class ByHand(Variant):
    """Forward, backward and update in tensor operations in place; compiled: the whole step through `torch.compile`."""

    def __init__(self, problem: Problem, compiled: bool) -> None:
        self.problem = problem
        self.weights = [torch.from_numpy(weight.copy()) for weight in problem.weights]
        self.biases = [torch.from_numpy(bias.copy()) for bias in problem.biases]
        self.batches = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in problem.batches()]
        self.is_log_loss = problem.workload.loss == "log_loss"
        self.n_per_mean = problem.workload.batch_size * (1 if self.is_log_loss else problem.workload.sizes[-1])
        self.scale = problem.workload.learning_rate / self.n_per_mean * (1 if self.is_log_loss else 2)
        self.step = torch.compile(self._step) if compiled else self._step
        self.loss = 0.0

    def reset(self) -> None:
        for tensor, start in zip(self.weights + self.biases, self.problem.weights + self.problem.biases, strict=True):
            tensor.copy_(torch.from_numpy(start))

    def _step(self, x: Tensor, y: Tensor) -> Tensor:
        inputs = [x]
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            inputs.append(torch.addmm(bias, inputs[-1], weight).tanh_())
        z = torch.addmm(self.biases[-1], inputs[-1], self.weights[-1])
        if self.is_log_loss:
            loss = nn.functional.binary_cross_entropy_with_logits(z, y, reduction="sum")
            grad_z = z.sigmoid_().sub_(y)
        else:
            a = z.sigmoid() if self.problem.workload.output == "sigmoid" else z
            grad_z = a - y
            loss = grad_z.square().sum()
            if self.problem.workload.output == "sigmoid":
                grad_z = torch.ops.aten.sigmoid_backward(grad_z, a)
        grad_z = grad_z.mul_(self.scale)
        for i in range(len(self.weights) - 1, -1, -1):
            grad_a = torch.mm(grad_z, self.weights[i].t()) if i > 0 else grad_z
            self.weights[i].addmm_(inputs[i].t(), grad_z, alpha=-1)
            self.biases[i].sub_(grad_z.sum(0))
            grad_z = tanh_backward(grad_a, inputs[i]) if i > 0 else grad_z
        return loss

    def run(self, n_units: int) -> None:
        with torch.no_grad():
            for _ in range(n_units):
                total = 0.0
                for x, y in self.batches:
                    total += self.step(x, y).item()
        self.loss = total / len(self.batches) / self.n_per_mean

    def result(self) -> Outcome:
        pairs = zip(self.weights, self.biases, strict=True)
        return Outcome([tensor.numpy().copy() for pair in pairs for tensor in pair], self.loss)


class Forward(Variant):
    """A forward pass under `inference_mode`."""

    def __init__(self, problem: Problem, function: Callable[[Tensor], Tensor]) -> None:
        self.function, self.x = function, torch.from_numpy(problem.x)

    def run(self, n_units: int) -> None:
        function, x = self.function, self.x
        with torch.inference_mode():
            for _ in range(n_units):
                self.out = function(x)

    def result(self) -> Outcome:
        return Outcome([self.out.numpy()])


def forward_by_hand(problem: Problem) -> Callable[[Tensor], Tensor]:
    """The forward pass as a chain of `addmm` and activations in place."""
    functions = {"tanh": torch.tanh_, "sigmoid": torch.sigmoid_, "identity": lambda z: z}
    layers = [
        (torch.from_numpy(weight), torch.from_numpy(bias), functions[activation])
        for weight, bias, activation in zip(
            problem.weights, problem.biases, problem.workload.activations, strict=True
        )
    ]  # fmt: skip

    def forward(x: Tensor) -> Tensor:
        for weight, bias, activation in layers:
            x = activation(torch.addmm(bias, x, weight))
        return x

    return forward


class Function(Variant):
    """A function of a tensor into another."""

    def __init__(self, problem: Problem) -> None:
        self.function = {"sigmoid": torch.sigmoid, "tanh": torch.tanh}[problem.workload.output]
        self.z = torch.from_numpy(problem.x)
        self.out = torch.empty_like(self.z)

    def run(self, n_units: int) -> None:
        for _ in range(n_units):
            self.function(self.z, out=self.out)

    def result(self) -> Outcome:
        return Outcome([self.out.numpy()])


def versions() -> dict[str, str]:
    return {"PyTorch": torch.__version__, "PyTorch's instruction set": torch.backends.cpu.get_cpu_capability()}


def prepare(problem: Problem, n_threads: int) -> dict[str, Variant]:
    torch.set_num_threads(n_threads)
    if problem.workload.task == "elementwise":
        return {"": Function(problem)}
    torch.compiler.reset()
    if problem.workload.task == "forward":
        model = make_model(problem, problem.workload.activations).eval()
        by_hand = forward_by_hand(problem)
        return {
            "eager": Forward(problem, model),
            "compiled": Forward(problem, torch.compile(model)),
            "by hand": Forward(problem, by_hand),
            "by hand, compiled": Forward(problem, torch.compile(by_hand)),
        }
    variants: dict[str, Variant] = {
        "eager": Autograd(problem, compiled=False),
        "compiled": Autograd(problem, compiled=True),
    }
    if problem.workload.optimizer == "adam":
        return variants | {"step compiled": CompiledStep(problem)}
    return variants | {
        "by hand": ByHand(problem, compiled=False),
        "by hand, compiled": ByHand(problem, compiled=True),
    }
