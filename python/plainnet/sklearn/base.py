"""What both estimators have in common: their parameters, fitting, and the attributes that it leaves."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from ..arrays import Array, as_sample_weight
from ..network import Network
from ..optimizers import Optimizer
from ..training import Data
from . import blocks, lbfgs
from .holdout import Holdout, Score, rows_of, split
from .networks import (
    HIDDEN_ACTIVATIONS,
    Architecture,
    Objective,
    as_activations,
    as_bounds,
    as_dropouts,
    as_sizes,
    make_optimizer,
)
from .stochastic import StochasticRun
from .threads import limited_threads

Same = TypeVar("Same", bound="BaseMLP")


class LayerArrays(list[Array]):
    """Views of the layers' weights or biases; an item that is assigned is copied into the network."""

    def __setitem__(self, index: Any, value: Any) -> None:
        _assign(self[index], value) if isinstance(index, slice) else _assign([self[index]], [value])


def _assign(views: list[Array], values: Iterable[npt.ArrayLike]) -> None:
    """Copies arrays into `views`, if all of them have the shapes of these."""
    arrays = [np.asarray(value) for value in values]
    shapes, expected = [array.shape for array in arrays], [view.shape for view in views]
    if shapes != expected:
        raise ValueError(f"the arrays must have the shapes {expected}, not {shapes}")
    for view, array in zip(views, arrays, strict=True):
        view[...] = array


class BaseMLP(BaseEstimator):
    """The common part of :class:`MLPClassifier` and :class:`MLPRegressor`, which have the parameters."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(HIDDEN_ACTIVATIONS)), list, tuple],
        "solver": [StrOptions({"lbfgs", "sgd", "adam"}), Optimizer],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "dropout": ["array-like", Interval(Real, 0, 1, closed="left")],
        "n_threads": [None, Interval(Integral, 1, 64, closed="both")],
        "progress": ["boolean"],
    }

    hidden_layer_sizes: Any
    activation: Any
    solver: Any
    alpha: float
    batch_size: Any
    learning_rate: str
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    random_state: Any
    tol: float
    verbose: Any
    warm_start: bool
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    validation_fraction: float
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: Any
    max_fun: int
    dropout: Any
    n_threads: int | None
    progress: bool

    network_: Network
    n_features_in_: int
    n_layers_: int
    n_outputs_: int
    out_activation_: str
    n_iter_: int
    t_: int
    loss_: float
    loss_curve_: list[float]
    best_loss_: Any
    validation_scores_: Any
    validation_loss_curve_: Any
    best_validation_score_: Any
    stopped_: bool
    _best_parameters: Array
    _no_improvement_count: int
    _random_state: np.random.RandomState
    _rate: float

    def _keep(self, parameters: dict[str, Any]) -> None:
        """Sets the parameters of the constructor, of whose local variables `parameters` is the dict."""
        for name in self._get_param_names():
            setattr(self, name, parameters[name])

    # ---- What the estimators differ in -----------------------------------------------------------------------------

    def _checked(self, x: Any, y: Any, is_incremental: bool, reset: bool, /) -> tuple[Any, Array]:
        """The data as scikit-learn checks them: x dense or sparse, and y for :meth:`_targets`."""
        raise NotImplementedError

    def _targets(self, y: Array, dtype: np.dtype[Any]) -> Array:
        """What the network shall return for the checked `y`: (n_samples, n_out), or labels (n_samples,)."""
        raise NotImplementedError

    def _objective(self) -> Objective:
        raise NotImplementedError

    def _outputs_of(self, targets: Array) -> int:
        """How many outputs the network has for these targets."""
        raise NotImplementedError

    def _output_name(self) -> str:
        """``out_activation_``."""
        raise NotImplementedError

    def _weights(self, y: Array, sample_weight: Array | None, is_incremental: bool) -> Array | None:
        """The weights of the rows."""
        return sample_weight

    def _constants(self, targets: Array) -> Array | None:
        """What the loss to report has more than the objective, for each row."""
        return None

    def _stratify(self, targets: Array) -> Array | None:
        """Of what the validation data have the same part as the rest."""
        return None

    def _score_function(self) -> Score:
        raise NotImplementedError

    # ---- The parameters of the network -----------------------------------------------------------------------------

    @property
    def coefs_(self) -> list[Array]:
        """The weight matrix of each layer, (n_in, n_out): views of ``network_``, into which assignments are copied."""
        return LayerArrays(layer.weight for layer in self._fitted_network().layers)

    @coefs_.setter
    def coefs_(self, value: Iterable[npt.ArrayLike]) -> None:
        _assign(self.coefs_, value)

    @property
    def intercepts_(self) -> list[Array]:
        """The biases of each layer, (n_out,): views of ``network_``, into which assignments are copied."""
        return LayerArrays(layer.bias for layer in self._fitted_network().layers if layer.bias is not None)

    @intercepts_.setter
    def intercepts_(self, value: Iterable[npt.ArrayLike]) -> None:
        _assign(self.intercepts_, value)

    def _fitted_network(self) -> Network:
        network: Network | None = self.__dict__.get("network_")
        if network is None:
            raise AttributeError(f"this {type(self).__name__} has no network yet: call fit first")
        return network

    # ---- Fitting ---------------------------------------------------------------------------------------------------

    def _fit(self: Same, x: Any, y: Any, sample_weight: Any, is_incremental: bool, validation: Any = None) -> Same:
        """Trains the network, after all has been checked."""
        is_first = "network_" not in vars(self) or not (self.warm_start or is_incremental)
        self._check_layers()
        x, y = self._checked(x, y, is_incremental, is_first)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, x)
        sample_weight = self._weights(y, sample_weight, is_incremental)
        dtype = np.dtype(np.float64) if self.solver == "lbfgs" else x.dtype  # scikit-learn's L-BFGS computes in float64
        if not is_first and self.solver != "lbfgs":
            dtype = self.network_.dtype
        targets = self._targets(y, dtype)
        self.n_outputs_ = self._outputs_of(targets)
        weight = as_sample_weight(sample_weight, len(targets), dtype)
        architecture = self._architecture(int(x.shape[1]), dtype)
        self._random_state = check_random_state(self.random_state)
        if is_first:
            self._begin(architecture, x.dtype)
        else:
            self._go_on(architecture, is_incremental)
        data = Data(_as_rows(x, dtype), targets, weight)
        with limited_threads(self.n_threads):
            if self.solver == "lbfgs":
                constants = self._constants(targets)
                constant = 0.0 if constants is None else float(np.average(constants, weights=weight))
                if isinstance(data.x, np.ndarray):
                    data = data._replace(x=np.ascontiguousarray(data.x, dtype))
                lbfgs.minimize(self, architecture.objective, data, constant)
            else:
                self._fit_stochastic(architecture.objective, data, is_incremental, validation)
        return self

    def _check_layers(self) -> None:
        """Checks the parameters that are one for each hidden layer."""
        n_hidden = len(as_sizes(self.hidden_layer_sizes))
        as_activations(self.activation, n_hidden)
        if any(as_dropouts(self.dropout, n_hidden)) and self.solver == "lbfgs":
            raise ValueError("dropout needs a stochastic solver, as 'sgd' or 'adam': got solver='lbfgs'.")

    def _architecture(self, n_in: int, dtype: np.dtype[Any]) -> Architecture:
        """What the parameters say of the network, for data with `n_in` features."""
        sizes = as_sizes(self.hidden_layer_sizes)
        n_hidden = len(sizes)
        return Architecture(
            [n_in, *sizes, self.n_outputs_], as_activations(self.activation, n_hidden),
            as_bounds(self.activation, n_hidden), as_dropouts(self.dropout, n_hidden), self.alpha, self._objective(),
            dtype,
        )  # fmt: skip

    def _begin(self, architecture: Architecture, dtype: np.dtype[Any]) -> None:
        """A new network, and the attributes of training from its beginning."""
        self.n_iter_ = self.t_ = 0
        self.n_layers_ = len(architecture.sizes)
        self.out_activation_ = self._output_name()
        self.network_ = architecture.new_network(self._random_state, dtype)
        self._best_parameters = self.network_.parameters.copy()
        for name in ("_rate", "stopped_"):
            self.__dict__.pop(name, None)
        if self.solver != "lbfgs":
            self._begin_record()

    def _begin_record(self) -> None:
        """The attributes that stochastic solvers keep."""
        self.loss_curve_ = []
        self._no_improvement_count = 0
        self.best_loss_ = None if self.early_stopping else np.inf
        is_validated = self.early_stopping
        self.validation_scores_ = [] if is_validated else None
        self.validation_loss_curve_ = [] if is_validated else None
        self.best_validation_score_ = -np.inf if is_validated else None

    def _go_on(self, architecture: Architecture, is_incremental: bool) -> None:
        """The network of before, with the present parameters of the estimator, some of which may be new."""
        before = self.network_
        sizes = [before.layers[0].n_in, *(layer.n_out for layer in before.layers)]
        if sizes != architecture.sizes:
            raise ValueError(
                f"the network has layers of {sizes} neurons, which cannot become {architecture.sizes}: leave "
                "hidden_layer_sizes as it was, or call fit with warm_start=False."
            )
        if before.dtype != architecture.dtype:
            self.network_ = architecture.network(before.parameters)
        elif not architecture.is_of(before):
            new, state = architecture.network(before.parameters).__getstate__(), before.__getstate__()
            before.__setstate__({**state, **{name: new[name] for name in ("layers", "loss", "loss_limit")}})
        if not is_incremental:  # as in scikit-learn: if no epoch is better than those before, the last one counts
            self._best_parameters = self.network_.parameters

    def _fit_stochastic(self, objective: Objective, data: Data, is_incremental: bool, validation: Any) -> None:
        """Trains with mini-batches, as :mod:`plainnet.sklearn.stochastic` does."""
        holdout, constants = None, self._constants(data.y)
        optimizer = make_optimizer(self, objective)
        if not is_incremental or "_rate" not in vars(self) or type(self.network_.optimizer) is not type(optimizer):
            self.network_.optimizer = optimizer
            self._rate = float(self.learning_rate_init)
        if "loss_curve_" not in vars(self):  # L-BFGS has begun
            self._begin_record()
        if validation is not None:
            holdout = self._given_holdout(objective, validation)
            if self.stopped_:
                return
        elif self.early_stopping:
            stratify = self._stratify(data.y)
            rows, aside = split(len(data.y), self.validation_fraction, stratify, self._random_state)
            holdout = self._holdout(objective, rows_of(data, aside))
            data, constants = rows_of(data, rows), None if constants is None else constants[rows]
            for part, what in ((data, "training"), (holdout.data, "validation")):
                if part.weight is not None and not part.weight.any():
                    raise ValueError(f"all rows that are for {what} have a sample_weight of 0.")
        if not is_incremental:
            self.__dict__.pop("stopped_", None)
        if holdout is not None and self.validation_scores_ is None:
            self.validation_scores_, self.validation_loss_curve_, self.best_validation_score_ = [], [], -np.inf
        if holdout is None and self.best_loss_ is None:
            self.best_loss_ = np.inf
        StochasticRun(self, objective, data, constants, holdout, is_incremental).run()

    def _holdout(self, objective: Objective, data: Data) -> Holdout:
        return Holdout(objective, data, self._constants(data.y), self._score_function())

    def _given_holdout(self, objective: Objective, validation: Any) -> Holdout:
        """The validation data of ``partial_fit``; with the first ones, the search for the best epoch begins."""
        if not isinstance(validation, (tuple, list)) or len(validation) not in (2, 3):
            raise ValueError("validation must be (X, y) or (X, y, sample_weight).")
        x, y = self._checked(validation[0], validation[1], True, False)
        dtype = self.network_.dtype
        weight = None if len(validation) == 2 else _check_sample_weight(validation[2], x)
        weight = as_sample_weight(weight, len(y), dtype)
        if "stopped_" not in vars(self):
            self.stopped_ = False
            self._no_improvement_count = 0
            self.best_validation_score_ = -np.inf
            self._best_parameters = self.network_.parameters.copy()
        return self._holdout(objective, Data(_as_rows(x, dtype), self._targets(y, dtype), weight))

    def _check_incremental(self, validation: Any) -> None:
        """Checks ``early_stopping`` and the argument `validation` of ``partial_fit`` against each other."""
        if self.early_stopping and validation is None:
            raise ValueError(
                "partial_fit does not support early_stopping=True without validation data, which no part of a block "
                "can be: hand them over as validation=(X, y)."
            )
        if validation is not None and not self.early_stopping:
            raise ValueError("validation=(X, y) needs early_stopping=True, and early_stopping is False.")

    def _check_solver(self) -> bool:
        """Whether there is a ``partial_fit``."""
        if isinstance(self.solver, str) and self.solver == "lbfgs":
            raise AttributeError(
                f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic."
            )
        return True

    # ---- Use -------------------------------------------------------------------------------------------------------

    def _network_outputs(self, x: Any) -> Array:
        """
        The network's outputs (n_samples, n_out).

        Arrays that need no conversion are only checked for NaN and infinity; scikit-learn's checks take longer than the
        network does for a few rows.
        """
        attributes = self.__dict__
        network: Network | None = attributes.get("network_")
        if (
            network is not None
            and type(x) is np.ndarray
            and x.dtype is network._dtype
            and x.ndim == 2
            and x.shape[1] == network._n_in
            and len(x) > 0
            and "feature_names_in_" not in attributes
            and np.logical_and.reduce(np.isfinite(x), axis=None)
        ):
            return network.predict(x)
        check_is_fitted(self)
        x = validate_data(self, x, accept_sparse=["csr", "csc"], reset=False)
        network = self.network_
        outputs = blocks.predict(network, x)
        return outputs.astype(np.result_type(x.dtype, outputs.dtype), copy=False)

    def _output_gradient(self, x: Any) -> Array:
        """The derivatives of the network's outputs with respect to its inputs, (n_samples, n_out, n_features)."""
        check_is_fitted(self)
        x = validate_data(self, x, accept_sparse=["csr", "csc"], reset=False)
        network = self.network_
        if isinstance(x, np.ndarray):
            return network.jacobian(x)
        return np.concatenate([network.jacobian(part) for _, part in blocks.blocks(x, network)])

    def to_sklearn(self) -> Any:
        """
        The same model as scikit-learn's class of the same name, with equal predictions but for rounding.

        Its parameters and attributes are copies. What the optimizer keeps from step to step is not among them: a call
        of ``partial_fit`` begins with a new optimizer.

        Returns
        -------
        sklearn.neural_network.MLPClassifier or MLPRegressor

        Raises
        ------
        ValueError
            If scikit-learn cannot compute the same, as with an activation or a loss that it does not have.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        Warns
        -----
        UserWarning
            If it has parameters of training that scikit-learn does not have, such as ``dropout``: they are left out.
        """
        from .exchange import to_sklearn

        return to_sklearn(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _as_rows(x: Any, dtype: np.dtype[Any]) -> Any:
    """`x` as an array or, if it is sparse and large, as a matrix in the format csr."""
    if isinstance(x, np.ndarray):
        return x
    x = x.tocsr()
    return x.toarray().astype(dtype, copy=False) if blocks.is_small(x) else x.astype(dtype, copy=False)
