"""
The NumPy backend: the definition of every equation, to be read from top to bottom.

Rows are samples. A dense layer computes ``z = x @ weight + bias`` and ``a = f(z)``; back-propagation carries
``grad_z = dloss/dz`` from the last layer to the first. The C kernels in csrc/ compute the same, faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .arrays import (
    Array,
    activation_arguments,
    activation_backward_arguments,
    check_training_data,
    dense_backward_arguments,
    dense_forward_arguments,
    names_fewer_rows,
)
from .backend import DivergedError, Layer, Progress, SmallCalls, Training
from .losses import Loss

# ---- Activations: a = f(z), and grad_z = grad_a * f'(z) with the derivative written in a -----------------------------


def _identity(z: Array) -> Array:
    return z


def _identity_backward(a: Array, grad_a: Array) -> Array:
    return grad_a


def _sigmoid(z: Array) -> Array:
    e = np.exp(-np.abs(z))  # never overflows
    a: Array = np.where(z >= 0, 1, e) / (1 + e)
    return a


def _sigmoid_backward(a: Array, grad_a: Array) -> Array:
    grad_z: Array = grad_a * (a * (1 - a))
    return grad_z


def _tanh(z: Array) -> Array:
    return np.tanh(z)


def _tanh_backward(a: Array, grad_a: Array) -> Array:
    grad_z: Array = grad_a * (1 - a * a)
    return grad_z


def _relu(z: Array) -> Array:
    return np.where(z < 0, 0, z)  # NaN stays NaN, and -0 stays -0


def _relu_backward(a: Array, grad_a: Array) -> Array:
    return np.where(a > 0, grad_a, _relu(a))  # chosen, not multiplied: 0 whatever grad_a is; NaN where a is NaN


class ActivationEquations(NamedTuple):
    """``forward(z)`` is `a`; ``backward(a, grad_a)`` is `grad_z`."""

    forward: Callable[[Array], Array]
    backward: Callable[[Array, Array], Array]


ACTIVATIONS: dict[str, ActivationEquations] = {
    "identity": ActivationEquations(_identity, _identity_backward),
    "sigmoid": ActivationEquations(_sigmoid, _sigmoid_backward),
    "tanh": ActivationEquations(_tanh, _tanh_backward),
    "relu": ActivationEquations(_relu, _relu_backward),
}

# ---- Losses over rows: value, and grad_z of the last layer -----------------------------------------------------------


def _log_loss(z: Array, a: Array, y: Array) -> Array:
    """-[y ln a + (1-y) ln(1-a)] with a = sigmoid(z), rearranged so that it is finite for every finite z."""
    loss: Array = np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z)))
    return loss


def _log_loss_grad_z(a: Array, y: Array, scale: Array, f_backward: Callable[[Array, Array], Array]) -> Array:
    """(a - y) / (a (1-a)) * a (1-a): the sigmoid's derivative cancels."""
    return scale * (a - y)


def _squares(z: Array, a: Array, y: Array) -> Array:
    return (a - y) ** 2


def _squares_grad_z(a: Array, y: Array, scale: Array, f_backward: Callable[[Array, Array], Array]) -> Array:
    return f_backward(a, 2 * scale * (a - y))  # in this order, so that a mean overflows no sooner than it must


class LossEquations(NamedTuple):
    """
    A loss over rows: all arrays are (m, n_out).

    ``value(z, a, y)`` has the terms of the sum. ``grad_z(a, y, scale, f_backward)`` is its gradient times `scale`;
    ``f_backward`` is the backward function of the last layer's activation.
    """

    value: Callable[[Array, Array, Array], Array]
    grad_z: Callable[[Array, Array, Array, Callable[[Array, Array], Array]], Array]


LOSSES: dict[str, LossEquations] = {
    "log_loss": LossEquations(_log_loss, _log_loss_grad_z),
    "sum_of_squares": LossEquations(_squares, _squares_grad_z),
    "mean_squared_error": LossEquations(_squares, _squares_grad_z),
}

# ---- Sums over many rows ---------------------------------------------------------------------------------------------

#: Gradients are summed up in blocks of so many rows (PN_BLOCK_ROWS in C), so that memory does not grow with the rows.
BLOCK_ROWS = 384


def blocks_of_rows(n_rows: int) -> Iterator[slice]:
    """Slices of BLOCK_ROWS rows; the last one has what is left."""
    for start in range(0, n_rows, BLOCK_ROWS):
        yield slice(start, min(start + BLOCK_ROWS, n_rows))


class RowSum:
    """
    The sum of the blocks' gradients, which is as exact for many blocks as for one.

    What is lost when an addition is rounded is itself a number of the same type (Knuth, "The Art of Computer
    Programming", volume 2, 4.2.2, theorem B); it is added up as well.
    """

    def __init__(self, like: Array) -> None:
        self.total, self.error = np.zeros_like(like), np.zeros_like(like)

    def add(self, block: Array) -> None:
        total = self.total + block
        added = total - self.total
        self.error += (self.total - (total - added)) + (block - added)
        self.total = total

    def value(self) -> Array:
        # Where the total is infinite, the error is NaN: infinity stays infinity.
        return np.where(np.isnan(self.error), self.total, self.total + self.error)


# ---- A network -------------------------------------------------------------------------------------------------------


class Model:
    """A network's layers and loss over its flat `parameters`; see :class:`plainnet.backend.Backend`."""

    first_slice_operations = 1e5  # some steps

    def __init__(self, layers: Sequence[Layer], loss: Loss, parameters: Array) -> None:
        self.layers = layers
        self.loss = loss
        self.parameters = parameters
        self._kept: tuple[Array, Progress] | None = None
        self._order: tuple[tuple[int, ...], Array] | None = None

    def small_calls(self, state: Any) -> SmallCalls:
        """The calls for small arrays of the network whose ``TrainingState`` is `state`."""
        return SmallCalls()  # none

    @names_fewer_rows
    def forward(self, x: Array, out: Array) -> None:
        """`out` (n_samples, n_out) = the network's output for `x` (n_samples, n_in)."""
        a = x
        with np.errstate(all="ignore"):
            for layer in self.layers:
                a = ACTIVATIONS[layer.activation].forward(_affine(a, layer.weight, layer.bias))
        out[...] = a

    @names_fewer_rows
    def loss_and_gradient(self, x: Array, y: Array, gradient: Array) -> float:
        """The loss of `x`, `y`; `gradient` is laid out as the parameters."""
        check_training_data(x, y, self.loss)
        loss_sum = self._backpropagate(x, y, gradient)
        return loss_sum / self._denominator(len(x))

    def train_on_batch(self, x: Array, y: Array, learning_rate: float) -> float:
        """One step of gradient descent; the loss from before it."""
        losses = np.empty(1)
        try:
            self.train(x, y, Training(1, len(x), learning_rate), Progress(), losses, 1)
        except DivergedError:
            raise DivergedError(0) from None
        return float(losses[0])

    @names_fewer_rows
    def train(self, x: Array, y: Array, training: Training, progress: Progress, losses: Array, max_steps: int) -> None:
        """Goes on from `progress` for `max_steps` steps, or to the end."""
        if progress.journal is None:
            check_training_data(x, y, self.loss)
            if training.epochs > 0 and not np.isfinite(self.parameters).all():
                raise DivergedError(progress.epoch)
            self._kept = None
            progress.journal = ()
        self._write(progress)
        gradient = np.empty_like(self.parameters)
        learning_rate = self.parameters.dtype.type(training.learning_rate)
        for _ in range(max_steps):
            if progress.epoch >= training.epochs:
                break
            rows: Any = slice(progress.row, min(progress.row + training.batch_size, len(x)))
            n_rows = rows.stop - rows.start
            if training.shuffle:
                rows = self._order_of_rows(training, progress.epoch, len(x))[rows]

            loss_sum = self._backpropagate(x[rows], y[rows], gradient)
            after = Progress(progress.epoch, progress.row + n_rows, progress.loss_sum + loss_sum, progress.steps + 1)
            if not np.isfinite(after.loss_sum):
                raise self._diverged(progress, training, len(x))
            with np.errstate(all="ignore"):
                parameters = self.parameters - learning_rate * gradient
            now = Progress(progress.epoch, progress.row, progress.loss_sum, progress.steps)
            self._kept = self.parameters.copy(), now
            if not np.isfinite(parameters).all():
                raise self._diverged(progress, training, len(x))

            if after.row == len(x):
                losses[progress.epoch] = after.loss_sum / self._denominator(len(x))
                after.epoch, after.row, after.loss_sum = progress.epoch + 1, 0, 0.0
            progress.journal = parameters, after
            self._write(progress)

    def _write(self, progress: Progress) -> None:
        """Makes true what the journal says, if that has not been done; to do it twice does no harm."""
        if progress.journal:
            parameters, now = progress.journal
            self.parameters[:] = parameters
            progress.epoch, progress.row = now.epoch, now.row
            progress.loss_sum, progress.steps = now.loss_sum, now.steps
            progress.journal = ()

    def _backpropagate(self, x: Array, y: Array, gradient: Array) -> float:
        """The summed loss; fills `gradient` with dloss/dparameters."""
        scale = x.dtype.type(1 / self._denominator(len(x)))
        loss_sum, total = 0.0, RowSum(gradient)
        with np.errstate(all="ignore"):  # the caller looks at the result
            for rows in blocks_of_rows(len(x)):
                loss_sum += self._backpropagate_block(x[rows], y[rows], scale, gradient)
                total.add(gradient)
            gradient[:] = total.value()
        return loss_sum

    def _backpropagate_block(self, x: Array, y: Array, scale: Array, gradient: Array) -> float:
        a = [x]
        z = x
        for layer in self.layers:
            z = _affine(a[-1], layer.weight, layer.bias)
            a.append(ACTIVATIONS[layer.activation].forward(z))

        loss = LOSSES[self.loss.name]
        loss_sum = float(np.sum(loss.value(z, a[-1], y), dtype=np.float64))
        grad_z = loss.grad_z(a[-1], y, scale, ACTIVATIONS[self.layers[-1].activation].backward)

        end = len(gradient)
        for k in reversed(range(len(self.layers))):
            layer = self.layers[k]
            if layer.bias is not None:
                gradient[end - layer.bias.size : end] = grad_z.sum(axis=0)
                end -= layer.bias.size
            gradient[end - layer.weight.size : end] = (a[k].T @ grad_z).ravel()
            end -= layer.weight.size
            if k > 0:
                grad_z = ACTIVATIONS[self.layers[k - 1].activation].backward(a[k], grad_z @ layer.weight.T)
        return loss_sum

    def _denominator(self, n_rows: int) -> int:
        return self.loss.denominator(n_rows, self.layers[-1].weight.shape[1])

    def _order_of_rows(self, training: Training, epoch: int, n_rows: int) -> Array:
        """The same until the epoch ends, so it is kept."""
        key = training.shuffle_seed, training.first_epoch + epoch, n_rows
        if self._order is None or self._order[0] != key:
            self._order = key, shuffled(*key)
        return self._order[1]

    def _diverged(self, progress: Progress, training: Training, n_rows: int) -> DivergedError:
        """Back to the last step whose parameters and loss were finite."""
        if self._kept is None:
            return DivergedError(progress.epoch)
        progress.journal = self._kept
        self._write(progress)
        ends_epoch = progress.row + training.batch_size >= n_rows
        return DivergedError(progress.epoch + ends_epoch)


def _affine(x: Array, weight: Array, bias: Array | None) -> Array:
    z = x @ weight
    return z if bias is None else z + bias


def shuffled(seed: int, epoch: int, n_rows: int) -> Array:
    """
    The order in which an epoch visits the rows: a function of `seed` and `epoch` alone.

    Fisher-Yates, the random numbers from SplitMix64's output function (Steele, Lea and Flood 2014).
    """
    golden = np.uint64(0x9E3779B97F4A7C15)

    def mix(z: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed: npt.NDArray[np.uint64] = z ^ (z >> np.uint64(31))
        return mixed

    key = mix(np.array([seed], np.uint64) + mix(np.array([epoch], np.uint64) + golden))
    i = np.arange(n_rows, dtype=np.uint64)
    random = mix(key + golden * i) >> np.uint64(32)
    partner = ((random * (i + np.uint64(1))) >> np.uint64(32)).tolist()
    order = list(range(n_rows))
    for k in range(n_rows - 1, 0, -1):
        order[k], order[partner[k]] = order[partner[k]], order[k]
    return np.array(order)


# ---- The same equations one at a time, as plainnet.kernels has them --------------------------------------------------


def _activate(name: str, z: npt.ArrayLike, out: Array | None) -> Array:
    z, out = activation_arguments(z, out)
    with np.errstate(all="ignore"):
        out[...] = ACTIVATIONS[name].forward(z)
    return out


def _activate_backward(name: str, a: npt.ArrayLike, grad_a: npt.ArrayLike, out: Array | None) -> Array:
    a, grad_a, out = activation_backward_arguments(a, grad_a, out)
    with np.errstate(all="ignore"):
        out[...] = ACTIVATIONS[name].backward(a, grad_a)
    return out


def sigmoid(z: npt.ArrayLike, out: Array | None = None) -> Array:
    """``1 / (1 + exp(-z))``, elementwise; see :func:`plainnet.kernels.sigmoid`."""
    return _activate("sigmoid", z, out)


def tanh(z: npt.ArrayLike, out: Array | None = None) -> Array:
    """``tanh(z)``, elementwise; see :func:`plainnet.kernels.tanh`."""
    return _activate("tanh", z, out)


def relu(z: npt.ArrayLike, out: Array | None = None) -> Array:
    """``max(z, 0)``, elementwise; see :func:`plainnet.kernels.relu`."""
    return _activate("relu", z, out)


def sigmoid_backward(a: npt.ArrayLike, grad_a: npt.ArrayLike, out: Array | None = None) -> Array:
    """``grad_a * a * (1 - a)``; see :func:`plainnet.kernels.sigmoid_backward`."""
    return _activate_backward("sigmoid", a, grad_a, out)


def tanh_backward(a: npt.ArrayLike, grad_a: npt.ArrayLike, out: Array | None = None) -> Array:
    """``grad_a * (1 - a**2)``; see :func:`plainnet.kernels.tanh_backward`."""
    return _activate_backward("tanh", a, grad_a, out)


def relu_backward(a: npt.ArrayLike, grad_a: npt.ArrayLike, out: Array | None = None) -> Array:
    """``grad_a`` where ``a > 0``, else 0; see :func:`plainnet.kernels.relu_backward`."""
    return _activate_backward("relu", a, grad_a, out)


def dense_forward(
    x: npt.ArrayLike,
    weight: npt.ArrayLike,
    bias: npt.ArrayLike | None = None,
    activation: str = "identity",
    out: Array | None = None,
) -> Array:
    """``f(x @ weight + bias)``; see :func:`plainnet.kernels.dense_forward`."""
    x, weight, bias, out = dense_forward_arguments(x, weight, bias, activation, out)
    with np.errstate(all="ignore"):
        out[...] = ACTIVATIONS[activation].forward(_affine(x, weight, bias))
    return out


def dense_backward(
    x: npt.ArrayLike,
    weight: npt.ArrayLike,
    a: npt.ArrayLike,
    grad_a: npt.ArrayLike,
    activation: str = "identity",
    out: tuple[Array, Array, Array] | None = None,
) -> tuple[Array, Array, Array]:
    """``(grad_x, grad_weight, grad_bias)``; see :func:`plainnet.kernels.dense_backward`."""
    (x, weight, a, grad_a), out = dense_backward_arguments(x, weight, a, grad_a, activation, out)
    grad_x, grad_weight, grad_bias = out
    with np.errstate(all="ignore"):
        weight_sum, bias_sum = RowSum(weight), RowSum(weight[0])
        for rows in blocks_of_rows(len(x)):
            grad_z = ACTIVATIONS[activation].backward(a[rows], grad_a[rows])
            grad_x[rows] = grad_z @ weight.T
            weight_sum.add(x[rows].T @ grad_z)
            bias_sum.add(grad_z.sum(axis=0))
        grad_weight[...] = weight_sum.value()
        grad_bias[...] = bias_sum.value()
    return out
