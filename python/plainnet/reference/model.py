"""A network: its forward pass, back-propagation and training."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arrays import Array, check_training_data, names_fewer_rows, sum_of_weights
from ..backend import DivergedError, Layer, Progress, SmallCalls, Training
from ..losses import Loss
from .dropout import StepNumber, dropped
from .equations import ACTIVATIONS, LOSSES, affine, kept_for_backward
from .optimizers import updated
from .regularization import add_penalty_gradient, groups_of, limited, parts_of, penalty
from .rows import RowSum, blocks_of_rows, shuffled


class Model:
    """A network's layers and loss over its flat `parameters`; see :class:`plainnet.backend.Backend`."""

    first_slice_operations = 1e5  # some steps

    def __init__(self, layers: Sequence[Layer], loss: Loss, parameters: Array) -> None:
        self.layers = layers
        self.loss = loss
        self.parameters = parameters
        self._parts = parts_of(layers)
        self._has_dropout = any(layer.options.dropout > 0 for layer in layers)
        self._kept: tuple[Array, Array, Progress] | None = None
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
                a = ACTIVATIONS[layer.activation].forward(affine(a, layer.weight, layer.bias))
        out[...] = a

    @names_fewer_rows
    def loss_and_gradient(self, x: Array, y: Array, gradient: Array, sample_weight: Array | None = None) -> float:
        """The loss of `x`, `y`; `gradient` is laid out as the parameters."""
        check_training_data(x, y, self.loss)
        loss_sum = self._backpropagate(x, y, sample_weight, gradient)
        return loss_sum / self._denominator(len(x), sample_weight)

    @names_fewer_rows
    def total_loss(
        self, x: Array, y: Array, sample_weight: Array | None = None, out: Array | None = None
    ) -> float:
        """The loss of `x`, `y`, without a gradient; `out` (n_samples, n_out), if given, = the outputs."""
        check_training_data(x, y, self.loss)
        weights = _column(sample_weight, x)
        denominator, loss_sum = self._denominator(len(x), sample_weight), 0.0
        with np.errstate(all="ignore"):
            for rows in blocks_of_rows(len(x)):
                a, _, z = self._forward_block(x[rows])
                loss_sum += self._loss_sum(z, a[-1], y[rows], weights[rows])
                if out is not None:
                    out[rows] = a[-1]
            loss_sum += self._penalty(len(x), sample_weight)
        return loss_sum / denominator

    @names_fewer_rows
    def train(
        self,
        x: Array,
        y: Array,
        training: Training,
        progress: Progress,
        losses: Array,
        max_steps: int,
        sample_weight: Array | None = None,
    ) -> None:
        """Continues from `progress` for at most `max_steps` steps."""
        if progress.journal is None:
            if not training.is_checked:
                check_training_data(x, y, self.loss)
            finite = np.isfinite(self.parameters).all() and np.isfinite(training.slots(self.parameters)).all()
            if training.epochs > 0 and not finite:
                raise DivergedError(progress.epoch)
            self._kept = None
            progress.journal = ()
        slots = training.slots(self.parameters)
        self._write(progress, slots)
        gradient = np.empty_like(self.parameters)
        for _ in range(max_steps):
            if progress.epoch >= training.epochs:
                break
            rows: Any = slice(progress.row, min(progress.row + training.batch_size, len(x)))
            n_rows = rows.stop - rows.start
            if training.order is not None:
                rows = training.order[rows]
            elif training.shuffle:
                rows = self._order_of_rows(training, progress.epoch, len(x))[rows]

            weight = None if sample_weight is None else sample_weight[rows]
            number = None
            if self._has_dropout:
                epoch, step = training.first_epoch + progress.epoch, training.first_step + progress.steps
                number = StepNumber(training.seed, epoch, step)
            loss_sum = self._backpropagate(x[rows], y[rows], weight, gradient, number)
            after = Progress(progress.epoch, progress.row + n_rows, progress.loss_sum + loss_sum, progress.steps + 1)
            if not np.isfinite(after.loss_sum):
                raise self._diverged(progress, training, len(x))
            with np.errstate(all="ignore"):
                parameters, new_slots = updated(
                    training.optimizer, training.rate(progress.steps), training.first_step + progress.steps, gradient,
                    self.parameters, slots, groups_of(self._parts),
                )  # fmt: skip
                limited(parameters, self._parts)
            now = Progress(progress.epoch, progress.row, progress.loss_sum, progress.steps)
            self._kept = self.parameters.copy(), slots.copy(), now
            if not (np.isfinite(parameters).all() and np.isfinite(new_slots).all()):
                raise self._diverged(progress, training, len(x))

            if after.row == len(x):
                losses[progress.epoch] = after.loss_sum / self._denominator(len(x), sample_weight)
                after.epoch, after.row, after.loss_sum = progress.epoch + 1, 0, 0.0
            progress.journal = parameters, new_slots, after
            self._write(progress, slots)

    def train_batches(
        self,
        x: list[Array],
        y: list[Array],
        training: Training,
        progress: Progress,
        max_steps: int,
        sample_weight: list[Array] | None = None,
    ) -> None:
        """Continues from `progress` for at most `max_steps` steps, with mini-batches that are arrays of their own."""
        n_right, wrong = len(x), None
        for k, batch in enumerate(zip(x, y, strict=True)):
            try:
                check_training_data(*batch, self.loss)
            except ValueError as error:
                n_right, wrong = k, error
                break
        left = n_right - progress.row // training.batch_size
        if n_right > 0:
            once = dataclasses.replace(training, epochs=1, shuffle=False)
            # With another row at the end, which no step uses, they are no whole epoch.
            whole_x, whole_y = (np.concatenate([*arrays[:n_right], arrays[0][:1]]) for arrays in (x, y))
            one = np.ones(1, whole_x.dtype)
            weight = None if sample_weight is None else np.concatenate([*sample_weight[:n_right], one])
            self.train(whole_x, whole_y, once, progress, np.empty(1), min(max_steps, left), weight)
        if wrong is not None and max_steps > left:
            raise wrong

    def _write(self, progress: Progress, slots: Array) -> None:
        """Carries out what the journal says, if that has not been done; doing it twice does no harm."""
        if progress.journal:
            parameters, new_slots, now = progress.journal
            self.parameters[:] = parameters
            slots[:] = new_slots
            progress.epoch, progress.row = now.epoch, now.row
            progress.loss_sum, progress.steps = now.loss_sum, now.steps
            progress.journal = ()

    def _backpropagate(
        self, x: Array, y: Array, weight: Array | None, gradient: Array, number: StepNumber | None = None
    ) -> float:
        """
        The sum of the loss, before its division; `gradient` becomes dloss/dparameters.

        Layers drop outputs if `number` says which.
        """
        weights = _column(weight, x)
        denominator = self._denominator(len(x), weight)
        # If all weights are 0, so are these.
        scales = np.divide(weights, denominator or 1, dtype=np.float64).astype(x.dtype)
        loss_sum, total = 0.0, RowSum(gradient)
        with np.errstate(all="ignore"):  # the caller checks the result
            for rows in blocks_of_rows(len(x)):
                loss_sum += self._backpropagate_block(
                    x[rows], y[rows], weights[rows], scales[rows], gradient, number, rows.start
                )
                total.add(gradient)
            gradient[:] = total.value()
            scale = self.loss.penalty_scale(sum_of_weights(len(x), weight))
            add_penalty_gradient(self.parameters, self._parts, scale, gradient)
            loss_sum += self._penalty(len(x), weight)
        return loss_sum

    def _forward_block(
        self, x: Array, number: StepNumber | None = None, first_row: int = 0
    ) -> tuple[list[Array], list[Array], Array]:
        """
        The input and the outputs of all layers, what their backward functions take, and z of the last layer.

        Of the outputs, dropout has dropped some if there is a `number`; the backward functions take them whole.
        """
        a, kept = [x], [x]
        z = x
        for k, layer in enumerate(self.layers):
            z = affine(a[-1], layer.weight, layer.bias)
            whole = ACTIVATIONS[layer.activation].forward(z)
            kept.append(kept_for_backward(layer.activation, z, whole))
            a.append(self._drop(whole, k, number, first_row))
        return a, kept, z

    def _drop(self, values: Array, k: int, number: StepNumber | None, first_row: int) -> Array:
        """What dropout leaves of the outputs of layer k, or of their gradient."""
        dropout = self.layers[k].options.dropout
        return values if number is None or dropout == 0 else dropped(values, number, k, first_row, dropout)

    def _backpropagate_block(
        self,
        x: Array,
        y: Array,
        weight: Array,
        scale: Array,
        gradient: Array,
        number: StepNumber | None,
        first_row: int,
    ) -> float:
        """
        The sum of the loss of a block of rows; `gradient` becomes dloss/dparameters.

        Of each layer, from the last to the first: grad_bias is the sum of grad_z over the rows, grad_weight is
        ``x.T @ grad_z``, and grad_z of the layer before it is ``(grad_z @ weight.T) * f'(z)``, of which dropout drops
        what it drops of the outputs.
        """
        a, kept, z = self._forward_block(x, number, first_row)
        loss_sum = self._loss_sum(z, a[-1], y, weight)
        grad_z = np.where(weight > 0, self._last_grad_z(a, kept, y, scale), 0)

        end = len(gradient)
        for k in reversed(range(len(self.layers))):
            layer = self.layers[k]
            if layer.bias is not None:
                gradient[end - layer.bias.size : end] = grad_z.sum(axis=0)
                end -= layer.bias.size
            gradient[end - layer.weight.size : end] = (a[k].T @ grad_z).ravel()
            end -= layer.weight.size
            if k > 0:
                grad_z = ACTIVATIONS[self.layers[k - 1].activation].backward(kept[k], grad_z @ layer.weight.T)
                grad_z = self._drop(grad_z, k - 1, number, first_row)
        return loss_sum

    def _loss_sum(self, z: Array, a: Array, y: Array, weight: Array) -> float:
        """The sum of the losses of a block; a row of weight 0 adds 0, even if its loss is not finite."""
        values = LOSSES[self.loss.name].value(z, a, y, self.loss.parameter)
        if self.loss.limit > 0:
            values = np.minimum(values, self.loss.limit)
        terms = weight * values
        return float(np.sum(np.where(weight > 0, terms, 0), dtype=np.float64))

    def _last_grad_z(self, a: list[Array], kept: list[Array], y: Array, scale: Array) -> Array:
        """`grad_z` of the last layer: the gradient of the loss, times `scale`."""
        loss = LOSSES[self.loss.name]
        grad = loss.grad(a[-1], y, scale, self.loss.parameter)
        return grad if loss.is_fused else ACTIVATIONS[self.layers[-1].activation].backward(kept[-1], grad)

    @names_fewer_rows
    def input_gradient(self, x: Array, y: Array, out: Array) -> None:
        """`out` (n_samples, n_in) = the gradient of the loss of `x`, `y` with respect to `x`."""
        check_training_data(x, y, self.loss)
        scale = x.dtype.type(1 / self._denominator(len(x), None))
        with np.errstate(all="ignore"):
            for rows in blocks_of_rows(len(x)):
                a, kept, _ = self._forward_block(x[rows])
                out[rows] = self._backward_to_input(kept, self._last_grad_z(a, kept, y[rows], scale))

    @names_fewer_rows
    def jacobian(self, x: Array, out: Array) -> None:
        """`out` (n_samples, n_out, n_in) = the derivatives of each row's outputs with respect to its inputs."""
        with np.errstate(all="ignore"):
            for rows in blocks_of_rows(len(x)):
                a, kept, _ = self._forward_block(x[rows])
                for j in range(out.shape[1]):
                    grad_a = np.zeros_like(a[-1])
                    grad_a[:, j] = 1
                    grad_z = ACTIVATIONS[self.layers[-1].activation].backward(kept[-1], grad_a)
                    out[rows, j] = self._backward_to_input(kept, grad_z)

    @names_fewer_rows
    def jacobian_parameters(self, x: Array, out: Array) -> None:
        """`out` (n_samples, n_out, n_parameters) = the derivatives of each row's outputs with respect to parameters."""
        with np.errstate(all="ignore"):
            for rows in blocks_of_rows(len(x)):
                out[rows] = self._parameter_jacobian(x[rows])

    def _parameter_jacobian(self, x: Array) -> Array:
        """
        :meth:`jacobian_parameters` of a block of rows: the gradient of each output of each row, by back-propagation.

        Unlike in :meth:`_backpropagate_block`, nothing is summed over the rows: grad_weight of a row is the outer
        product of the layer's input and grad_z.
        """
        a, kept, _ = self._forward_block(x)
        n_out = a[-1].shape[1]
        jacobian = np.empty((len(x), n_out, self.parameters.size), x.dtype)
        for j in range(n_out):
            grad_a = np.zeros_like(a[-1])
            grad_a[:, j] = 1
            grad_z = ACTIVATIONS[self.layers[-1].activation].backward(kept[-1], grad_a)
            for k in reversed(range(len(self.layers))):
                part, layer = self._parts[k], self.layers[k]
                jacobian[:, j, part.weight] = (a[k][:, :, np.newaxis] * grad_z[:, np.newaxis, :]).reshape(len(x), -1)
                if layer.bias is not None:
                    jacobian[:, j, part.bias] = grad_z
                if k > 0:
                    grad_z = ACTIVATIONS[self.layers[k - 1].activation].backward(kept[k], grad_z @ layer.weight.T)
        return jacobian

    @names_fewer_rows
    def gauss_newton(
        self, x: Array, y: Array, gradient: Array, hessian: Array, sample_weight: Array | None = None
    ) -> float:
        """The loss of `x`, `y`; `gradient`, and `hessian` (n_parameters, n_parameters) as Gauss and Newton have it."""
        # With r = a - y, the loss is a sum of terms scale * r**2. Its second derivatives are the sum of
        # 2 * scale * outer(dr, dr), with the derivatives dr of r, and of 2 * scale * r times the second derivatives
        # of r. Gauss and Newton leave the latter out, as r is small in the end.
        loss = self.loss_and_gradient(x, y, gradient, sample_weight)
        weights, denominator = _column(sample_weight, x), self._denominator(len(x), sample_weight)
        roots = np.sqrt(2 * weights.astype(np.float64) / denominator).astype(x.dtype)[:, :, np.newaxis]
        hessian[...] = 0
        with np.errstate(all="ignore"):
            for rows in blocks_of_rows(len(x)):
                jacobian = np.where(roots[rows] > 0, roots[rows] * self._parameter_jacobian(x[rows]), 0)
                jacobian = jacobian.reshape(-1, self.parameters.size)
                hessian += jacobian.T @ jacobian
        diagonal, scale = np.einsum("ii->i", hessian), self.loss.penalty_scale(sum_of_weights(len(x), sample_weight))
        for part in self._parts:
            diagonal[part.weight] += scale * part.options.l2
        return loss

    def _backward_to_input(self, kept: list[Array], grad_z: Array) -> Array:
        """The gradient with respect to the input from `grad_z` of the last layer."""
        for k in reversed(range(1, len(self.layers))):
            grad_a = grad_z @ self.layers[k].weight.T
            grad_z = ACTIVATIONS[self.layers[k - 1].activation].backward(kept[k], grad_a)
        grad_x: Array = grad_z @ self.layers[0].weight.T
        return grad_x

    def _denominator(self, n_rows: int, weight: Array | None) -> float:
        return self.loss.denominator(sum_of_weights(n_rows, weight), self.layers[-1].weight.shape[1])

    def _penalty(self, n_rows: int, weight: Array | None) -> float:
        """What the layers' penalty adds to the sum of the losses of so many rows, before its division."""
        scale = self.loss.penalty_scale(sum_of_weights(n_rows, weight))
        return penalty(self.parameters, self._parts) * scale * self._denominator(n_rows, weight)

    def _order_of_rows(self, training: Training, epoch: int, n_rows: int) -> Array:
        """The order of an epoch, which is kept until it ends."""
        key = training.seed, training.first_epoch + epoch, n_rows
        if self._order is None or self._order[0] != key:
            self._order = key, shuffled(*key)
        return self._order[1]

    def _diverged(self, progress: Progress, training: Training, n_rows: int) -> DivergedError:
        """Rolls back to the last step whose parameters and loss were finite."""
        if self._kept is None:
            return DivergedError(progress.epoch)
        progress.journal = self._kept
        self._write(progress, training.slots(self.parameters))
        ends_epoch = progress.row + training.batch_size >= n_rows
        return DivergedError(progress.epoch + ends_epoch)


def _column(sample_weight: Array | None, x: Array) -> Array:
    """The weights of the rows of x as a column (n_samples, 1); by default 1."""
    return np.ones((len(x), 1), x.dtype) if sample_weight is None else sample_weight[:, np.newaxis]
