"""JAX: a jitted step, and the whole run jitted."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np

from peers import Variant
from workloads import Outcome, Problem, Workload

jax.config.update("jax_enable_x64", True)

Parameters = list[tuple[jax.Array, jax.Array]]
Data = tuple[jax.Array, jax.Array]  # mini-batches of x and y
FUNCTIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh, "sigmoid": jax.nn.sigmoid, "identity": lambda z: z}


def forward(workload: Workload, parameters: Parameters, x: jax.Array, on_logits: bool = False) -> jax.Array:
    """The outputs, or the last layer's z."""
    activations = [*workload.activations[:-1], "identity" if on_logits else workload.output]
    for (weight, bias), activation in zip(parameters, activations, strict=True):
        x = FUNCTIONS[activation](x @ weight + bias)
    return x


def log_loss(z: jax.Array, y: jax.Array) -> jax.Array:
    """From the last layer's z, as JAX's libraries compute it."""
    return jnp.mean(jnp.sum(jnp.maximum(z, 0) - y * z + jnp.log1p(jnp.exp(-jnp.abs(z))), axis=1))


def update(workload: Workload, parameters: Parameters, x: jax.Array, y: jax.Array) -> tuple[Parameters, jax.Array]:
    """One step of gradient descent and the loss from before it."""
    if workload.loss == "log_loss":  # its gradient by hand: what JAX derives from the formula is wrong at z = 0
        z, pull_back = jax.vjp(lambda p: forward(workload, p, x, on_logits=True), parameters)
        loss = log_loss(z, y)
        (gradient,) = pull_back((jax.nn.sigmoid(z) - y) / len(y))
    else:
        loss, gradient = jax.value_and_grad(lambda p: jnp.mean((forward(workload, p, x) - y) ** 2))(parameters)
    return jax.tree.map(lambda p, g: p - workload.learning_rate * g, parameters, gradient), loss


class _Training(Variant):
    loss: float | None = None

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.reset()

    def reset(self) -> None:
        pairs = zip(self.problem.weights, self.problem.biases, strict=True)
        self.parameters = [(jnp.array(weight), jnp.array(bias)) for weight, bias in pairs]

    def result(self) -> Outcome:
        return Outcome([np.asarray(array) for pair in self.parameters for array in pair], self.loss)


class JittedStep(_Training):
    """A Python loop over a jitted step that may overwrite the parameters."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.batches = [(jnp.array(x), jnp.array(y)) for x, y in problem.batches()]
        self.step = jax.jit(partial(update, problem.workload), donate_argnums=0)

    def run(self, n_units: int) -> None:
        step, parameters = self.step, self.parameters
        for _ in range(n_units):
            losses = []
            for x, y in self.batches:
                parameters, loss = step(parameters, x, y)
                losses.append(loss)
        self.parameters = jax.block_until_ready(parameters)
        self.loss = float(np.mean([float(loss) for loss in losses]))


class WholeRun(_Training):
    """
    Epochs and mini-batches in loops of XLA's own: one call from Python.

    Returning the losses costs a small network more than its training, so there is a variant without them.
    """

    whole_run = True

    def __init__(self, problem: Problem, with_losses: bool) -> None:
        super().__init__(problem)
        workload, self.with_losses = problem.workload, with_losses
        split = (workload.steps_per_unit, workload.batch_size, -1)
        self.data = jnp.array(problem.x.reshape(split)), jnp.array(problem.y.reshape(split))

        def epoch_with_loss(data: Data, parameters: Parameters, _: None) -> tuple[Parameters, jax.Array]:
            parameters, losses = jax.lax.scan(lambda p, xy: update(workload, p, *xy), parameters, data)
            return parameters, losses.mean()

        def epoch(data: Data, _: jax.Array, parameters: Parameters) -> Parameters:
            def step(i: jax.Array | int, p: Parameters) -> Parameters:
                return update(workload, p, data[0][i], data[1][i])[0]

            n_steps = workload.steps_per_unit
            return step(0, parameters) if n_steps == 1 else jax.lax.fori_loop(0, n_steps, step, parameters)

        @partial(jax.jit, static_argnums=2, donate_argnums=0)
        def train(parameters: Parameters, data: Data, n_epochs: int) -> tuple[Parameters, jax.Array | None]:
            if with_losses:
                return jax.lax.scan(partial(epoch_with_loss, data), parameters, length=n_epochs)
            return jax.lax.fori_loop(0, n_epochs, partial(epoch, data), parameters), None

        self.train = train

    def run(self, n_units: int) -> None:
        self.parameters, losses = jax.block_until_ready(self.train(self.parameters, self.data, n_units))
        self.loss = None if losses is None else float(losses[-1])


class Jitted(Variant):
    """A jitted function of a device array."""

    def __init__(self, problem: Problem) -> None:
        workload, self.x = problem.workload, jnp.array(problem.x)
        if workload.task == "elementwise":
            self.function = jax.jit(FUNCTIONS[workload.output])
        else:
            pairs = zip(problem.weights, problem.biases, strict=True)
            parameters = [(jnp.array(weight), jnp.array(bias)) for weight, bias in pairs]
            self.function = jax.jit(lambda x: forward(workload, parameters, x))

    def run(self, n_units: int) -> None:
        function, x = self.function, self.x
        for _ in range(n_units):
            self.out = function(x).block_until_ready()

    def result(self) -> Outcome:
        return Outcome([np.asarray(self.out)])


def versions() -> dict[str, str]:
    return {"JAX": jax.__version__, "jaxlib": jaxlib.__version__}


def prepare(problem: Problem, n_threads: int) -> dict[str, Variant]:
    jax.clear_caches()
    if problem.workload.task != "train":
        return {"jitted": Jitted(problem)}
    if problem.workload.optimizer != "sgd":  # jax_optax.py
        return {}
    return {
        "jitted step": JittedStep(problem),
        "whole run jitted": WholeRun(problem, True),
        "whole run jitted, no losses": WholeRun(problem, False),
    }
