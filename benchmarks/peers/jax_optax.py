"""JAX with Optax's Adam: a whole epoch jitted, with the drawing of its order or with an order that NumPy draws."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from peers import Variant
from peers.jax_numpy import Parameters, forward
from workloads import Outcome, Problem, Workload

State = tuple[Parameters, optax.OptState]


def loss_of(workload: Workload, parameters: Parameters, x: jax.Array, y: jax.Array) -> jax.Array:
    z = forward(workload, parameters, x, on_logits=True)
    if workload.loss == "cross_entropy":
        return optax.softmax_cross_entropy_with_integer_labels(z, y).mean()
    return jnp.mean((z - y) ** 2)


class Epoch(Variant):
    """
    Mini-batches in a loop of XLA's own: a call an epoch.

    Parameters
    ----------
    draw_in_jit : bool
        Whether the order is drawn within the call as well, or by NumPy, which is faster.
    """

    whole_run = True

    def __init__(self, problem: Problem, draw_in_jit: bool) -> None:
        workload, self.problem, self.draw_in_jit = problem.workload, problem, draw_in_jit
        self.data = jnp.array(problem.x), jnp.array(problem.y)
        self.in_order = np.arange(workload.n_rows)
        self.optimizer = optax.adam(workload.learning_rate)
        self.random = np.random.default_rng(0)
        self.key = jax.random.key(0)
        self.loss = 0.0

        def step(state: State, x: jax.Array, y: jax.Array) -> tuple[State, jax.Array]:
            parameters, moments = state
            loss, gradient = jax.value_and_grad(partial(loss_of, workload))(parameters, x, y)
            updates, moments = self.optimizer.update(gradient, moments)
            return (optax.apply_updates(parameters, updates), moments), loss

        def epoch(state: State, x: jax.Array, y: jax.Array, order: jax.Array) -> tuple[State, jax.Array]:
            batches = order.reshape(-1, workload.batch_size)
            state, losses = jax.lax.scan(lambda s, rows: step(s, x[rows], y[rows]), state, batches)
            return state, losses.mean()

        def drawn(state: State, x: jax.Array, y: jax.Array, key: jax.Array) -> tuple[State, jax.Array, jax.Array]:
            key, own = jax.random.split(key)
            return *epoch(state, x, y, jax.random.permutation(own, workload.n_rows)), key

        self.epoch = jax.jit(epoch, donate_argnums=0)
        self.drawn = jax.jit(drawn, donate_argnums=0)
        self.reset()

    def reset(self) -> None:
        pairs = zip(self.problem.weights, self.problem.biases, strict=True)
        parameters = [(jnp.array(weight), jnp.array(bias)) for weight, bias in pairs]
        self.state: State = jax.block_until_ready((parameters, self.optimizer.init(parameters)))

    def run(self, n_units: int) -> None:
        state, (x, y) = self.state, self.data
        for _ in range(n_units):
            if self.shuffle and self.draw_in_jit:
                state, loss, self.key = self.drawn(state, x, y, self.key)
            else:
                order = self.random.permutation(len(x)) if self.shuffle else self.in_order
                state, loss = self.epoch(state, x, y, order)
        self.state = jax.block_until_ready(state)
        self.loss = float(loss)

    def result(self) -> Outcome:
        return Outcome([np.asarray(array) for pair in self.state[0] for array in pair], self.loss)


def versions() -> dict[str, str]:
    return {"JAX": jax.__version__, "Optax": optax.__version__}


def prepare(problem: Problem, n_threads: int) -> dict[str, Variant]:
    if problem.workload.optimizer != "adam":
        return {}
    jax.clear_caches()
    return {
        "epoch jitted": Epoch(problem, draw_in_jit=True),
        "epoch jitted, order by NumPy": Epoch(problem, draw_in_jit=False),
    }
