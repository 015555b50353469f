"""
From the parameters of an estimator to a plainnet network: its layers and starting weights, its loss, its optimizer.

scikit-learn minimizes c times what plainnet does, with a constant c. Its squared error is half the sum over outputs,
where plainnet's is their mean; so c is n_out / 2. With ``l2 = alpha / c`` in the layers, c * loss is its objective,
penalty and all. Steps are the same, but for rounding, if gradient descent has c times the rate, and Adam, whose steps
do not depend on c otherwise, has 1 / c times the epsilon.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..activations import ACTIVATIONS
from ..arrays import Array
from ..layers import Dense
from ..losses import Huber, LossLike, Quantile
from ..network import Network
from ..optimizers import SGD, Adam, Optimizer, is_usable

#: scikit-learn's names of activations that have another one in plainnet.
RENAMED = {"logistic": "sigmoid"}

#: The names of hidden layers' activations, of both libraries.
HIDDEN_ACTIVATIONS = [*RENAMED, *(name for name, known in ACTIVATIONS.items() if known.loss is None)]

#: The losses of a regressor by name, and what plainnet calls them.
REGRESSION_LOSSES: dict[str, LossLike] = {
    "squared_error": "mean_squared_error",
    "poisson": "poisson",
    "absolute_error": "mean_absolute_error",
    "huber": "huber",
    "log_cosh": "log_cosh",
    "quantile": "quantile",
}


@dataclass(frozen=True)
class Objective:
    """
    What an estimator minimizes, in terms of a network.

    Attributes
    ----------
    loss : str, Huber or Quantile
        Of the network.
    last_activation : str
    factor : float
        The c of this module's description.
    n_means : int
        By what the terms of rows are divided in the loss that is reported, but not in the gradient: scikit-learn
        reports the mean of the squared errors of several outputs, and descends along the gradient of their sum.
    """

    loss: LossLike
    last_activation: str
    factor: float = 1.0
    n_means: int = 1

    @property
    def is_mean_of_rows(self) -> bool:
        """Whether the loss that is reported is `factor` times the network's."""
        return self.n_means == 1

    def reported(self, loss: float, penalty: float) -> float:
        """The loss to report where the network's is `loss`, of which ``penalty / factor`` is the share of alpha."""
        total = self.factor * loss
        return total if self.n_means == 1 else (total - penalty) / self.n_means + penalty


def of_classifier(kind: str) -> Objective:
    """The objective for targets of a `kind` that scikit-learn's ``type_of_target`` names."""
    return Objective("cross_entropy", "softmax") if kind == "multiclass" else Objective("log_loss", "sigmoid")


def of_regressor(loss: str | Huber | Quantile, n_out: int) -> Objective:
    """The objective for a regressor's parameter `loss` and `n_out` outputs."""
    if not isinstance(loss, str):
        return Objective(loss, "identity")
    if loss == "squared_error":
        return Objective("mean_squared_error", "identity", n_out / 2, n_out)
    return Objective(REGRESSION_LOSSES[loss], "identity", float(n_out) if loss == "poisson" else 1.0)


# ---- Parameters of the estimator that are one a hidden layer ---------------------------------------------------------


def as_sizes(value: Any) -> list[int]:
    """``hidden_layer_sizes`` as a list."""
    sizes = list(value) if hasattr(value, "__iter__") else [value]
    if any(size <= 0 for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    if any(int(size) != size for size in sizes):
        raise ValueError(f"hidden_layer_sizes must be integers, got {sizes}.")
    return [int(size) for size in sizes]


def as_activations(value: Any, n_hidden: int) -> list[str]:
    """``activation``, a name or one for each hidden layer, as plainnet's names."""
    names = [value] * n_hidden if isinstance(value, str) else list(value)
    if len(names) != n_hidden:
        raise ValueError(f"activation must be a name or one for each of {n_hidden} hidden layers, got {value!r}.")
    for name in names:
        if not isinstance(name, str) or name not in HIDDEN_ACTIVATIONS:
            raise ValueError(f"activation must be among {HIDDEN_ACTIVATIONS}, got {name!r}.")
    return [RENAMED.get(name, name) for name in names]


def as_bounds(value: Any, n_hidden: int) -> list[float]:
    """
    The numbers that bound the starting weights of each layer; see :func:`initial_parameters`.

    They are 2 for the logistic function and 6 for others. The last layer has the number of the hidden one before it.
    """
    names = [value] * (n_hidden + 1) if isinstance(value, str) else [*value, *value[-1:]]
    return [2.0 if RENAMED.get(name, name) == "sigmoid" else 6.0 for name in names or ["identity"]]


def as_dropouts(value: Any, n_hidden: int) -> list[float]:
    """``dropout``, a number or one for each hidden layer, as a list."""
    numbers = list(value) if hasattr(value, "__iter__") else [value] * n_hidden
    if len(numbers) != n_hidden:
        raise ValueError(f"dropout must be a number or one for each of {n_hidden} hidden layers, got {value!r}.")
    for number in numbers:
        if isinstance(number, str) or not 0 <= number < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {number!r}.")
    return [float(number) for number in numbers]


# ---- Networks and optimizers -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Architecture:
    """
    The layers of a network, and what they add to the loss.

    Attributes
    ----------
    sizes : list of int
        The numbers of inputs, of each hidden layer's neurons, and of outputs.
    activations : list of str
        Of the hidden layers, in plainnet's names.
    bounds : list of float
        Of the starting weights of all layers; see :func:`initial_parameters`.
    dropouts : list of float
        Of the hidden layers.
    alpha : float
    objective : Objective
    dtype : numpy.dtype
    """

    sizes: list[int]
    activations: list[str]
    bounds: list[float]
    dropouts: list[float]
    alpha: float
    objective: Objective
    dtype: np.dtype[Any]

    @property
    def l2(self) -> float:
        """``l2`` of each layer; an alpha that is 0 in the network's dtype is 0."""
        l2 = self.alpha / self.objective.factor
        return l2 if l2 == math.inf or is_usable(l2, self.dtype) else 0.0

    @property
    def _layers(self) -> Iterator[tuple[int, int, str, dict[str, Any]]]:
        """The arguments of each layer."""
        activations = [*self.activations, self.objective.last_activation]
        for n_in, n_out, activation, dropout in zip(
            self.sizes[:-1], self.sizes[1:], activations, [*self.dropouts, 0.0], strict=True
        ):
            yield n_in, n_out, activation, {"dropout": dropout, "l2": self.l2}

    def is_of(self, network: Network) -> bool:
        """Whether `network` has this architecture already."""
        layers = [(k.n_in, k.n_out, k.activation, {"dropout": k.dropout, "l2": k.l2}) for k in network.layers]
        return layers == list(self._layers) and (network.loss, network.dtype) == (self.objective.loss, self.dtype)

    def network(self, parameters: Array, seed: int = 0) -> Network:
        """A network with these parameters; `seed` is that of dropout."""
        layers = [Dense(n_in, n_out, activation, **options) for n_in, n_out, activation, options in self._layers]
        clips = self.objective.loss in ("log_loss", "cross_entropy")
        return Network(
            layers,
            self.objective.loss,
            parameters,
            seed,
            self.dtype,
            loss_limit=-math.log(np.finfo(self.dtype).eps) if clips else None,
            divide_penalty=True,
        )

    def new_network(self, random_state: np.random.RandomState, dtype: np.dtype[Any]) -> Network:
        """A network whose parameters are drawn from `random_state`, and rounded to `dtype`."""
        parameters = initial_parameters(self.sizes, self.bounds, random_state).astype(dtype)
        seed = int(random_state.randint(2**31)) if any(self.dropouts) else 0
        return self.network(parameters, seed)


def initial_parameters(sizes: Sequence[int], bounds: Sequence[float], random_state: np.random.RandomState) -> Array:
    """
    Starting weights and biases as scikit-learn draws them: uniform, within bounds after Glorot and Bengio (2010).

    Layer by layer, the weight comes before the bias, and both have the bounds +-sqrt(k / (n_in + n_out)), where
    `bounds` has the k of each layer.

    Returns
    -------
    ndarray (n_parameters,)
        In the order of ``Network.parameters``, in float64.
    """
    parts = []
    for n_in, n_out, k in zip(sizes[:-1], sizes[1:], bounds, strict=True):
        bound = np.sqrt(k / (n_in + n_out))
        parts.append(random_state.uniform(-bound, bound, (n_in, n_out)).ravel())
        parts.append(random_state.uniform(-bound, bound, n_out))
    return np.concatenate(parts)


def make_optimizer(estimator: Any, objective: Objective) -> Optimizer:
    """The optimizer that an estimator's ``solver`` names, or is."""
    if isinstance(estimator.solver, Optimizer):
        return estimator.solver
    rate, c = float(estimator.learning_rate_init), objective.factor
    if estimator.solver == "sgd":
        momentum = float(estimator.momentum)
        return SGD(c * rate, momentum, bool(estimator.nesterovs_momentum) and momentum > 0)
    betas = float(estimator.beta_1), float(estimator.beta_2)
    return Adam(rate, betas, float(estimator.epsilon) / c, eps_hat=True)


def sum_of_squares(network: Network) -> float:
    """The sum of the squares of all weights."""
    return sum(float(np.vdot(layer.weight, layer.weight)) for layer in network.layers)
