"""The regressor."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.special import xlogy
from sklearn.base import RegressorMixin, _fit_context
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from ..arrays import Array
from ..losses import Huber, Quantile
from .base import BaseMLP
from .holdout import Score, r2
from .networks import REGRESSION_LOSSES, Objective, of_regressor

Same = TypeVar("Same", bound="MLPRegressor")


class MLPRegressor(RegressorMixin, BaseMLP):
    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: Any = 10,
        max_fun: int = 15000,
        dropout: Any = 0.0,
        n_threads: int | None = None,
        progress: bool = False,
    ) -> None:
        self._keep(locals())

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions(set(REGRESSION_LOSSES)), Huber, Quantile],
    }

    loss: Any

    # ---- Fitting ---------------------------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self: Same, X: Any, y: Any, sample_weight: npt.ArrayLike | None = None) -> Same:
        """
        Trains a new network or, with ``warm_start``, goes on with that of the last call.

        Parameters
        ----------
        X : {array-like, sparse matrix} (n_samples, n_features)
            float32 and float64 are computed with as they are. A sparse matrix that is large is made dense a few rows at
            a time.
        y : array-like (n_samples,) or (n_samples, n_outputs)
            At least 0 with ``loss="poisson"``.
        sample_weight : array-like (n_samples,), optional
            At least 0; not all 0. A mini-batch whose weights are all 0 makes no step.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter or the data are wrong, or if training diverges.
        """
        return self._fit(X, y, sample_weight, False)

    @available_if(lambda estimator: estimator._check_solver())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self: Same, X: Any, y: Any, sample_weight: npt.ArrayLike | None = None, *, validation: Any = None
    ) -> Same:
        """
        Trains for one epoch with the given rows, and keeps what the optimizer has gathered for the next call.

        Parameters
        ----------
        X, y, sample_weight
            As in :meth:`fit`.
        validation : (X, y) or (X, y, sample_weight), optional
            Needs ``early_stopping=True``, as ``early_stopping=True`` needs these data here: a part of each block would
            be no measure. After each call ``validation_scores_`` and ``validation_loss_curve_`` have a number more.
            When more than ``n_iter_no_change`` calls in a row have not been better by ``tol``, the network takes the
            parameters of the best one, ``stopped_`` is True, and later calls do not train; ``fit`` begins anew.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            As in :meth:`fit`.
        """
        self._check_incremental(validation)
        return self._fit(X, y, sample_weight, True, validation)

    def _checked(self, x: Any, y: Any, is_incremental: bool, reset: bool) -> tuple[Any, Array]:
        x, y = validate_data(
            self, x, y, accept_sparse=["csr", "csc"], multi_output=True, y_numeric=True,
            dtype=(np.float64, np.float32), reset=reset,
        )  # fmt: skip
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return x, y

    def _targets(self, y: Array, dtype: np.dtype[Any]) -> Array:
        return np.ascontiguousarray(y.reshape(-1, 1) if y.ndim == 1 else y, dtype)

    def _outputs_of(self, targets: Array) -> int:
        return int(targets.shape[1])

    def _objective(self) -> Objective:
        return of_regressor(self.loss, self.n_outputs_)

    def _output_name(self) -> str:
        return "exp" if self._is_poisson else "identity"

    @property
    def _is_poisson(self) -> bool:
        return isinstance(self.loss, str) and self.loss == "poisson"

    def _constants(self, targets: Array) -> Array | None:
        """The terms of half the Poisson deviance that the outputs are not part of."""
        if not self._is_poisson:
            return None
        y = targets.astype(np.float64)
        terms: Array = (xlogy(y, y) - y).sum(axis=1)
        return terms

    def _score_function(self) -> Score:
        return _r2_of_rates if self._is_poisson else r2

    # ---- Use -------------------------------------------------------------------------------------------------------

    def predict(self, X: Any) -> Array:
        """
        The targets that the network expects.

        Parameters
        ----------
        X : {array-like, sparse matrix} (n_samples, n_features)

        Returns
        -------
        ndarray (n_samples,) or (n_samples, n_outputs)
        """
        outputs = self._network_outputs(X)
        if self.out_activation_ == "exp":
            outputs = np.exp(outputs)
        return outputs.ravel() if outputs.shape[1] == 1 else outputs

    def input_gradient(self, X: Any) -> Array:
        """
        The derivatives of :meth:`predict` with respect to the inputs.

        Parameters
        ----------
        X : {array-like, sparse matrix} (n_samples, n_features)

        Returns
        -------
        ndarray (n_samples, n_features) or (n_samples, n_outputs, n_features)
            In the latter shape if there are several outputs.
        """
        gradient = self._output_gradient(X)
        if self.out_activation_ == "exp":
            gradient *= self.predict(X).reshape(len(gradient), -1, 1)
        return gradient[:, 0] if gradient.shape[1] == 1 else gradient


def _r2_of_rates(y: Array, outputs: Array, weight: Array | None) -> float:
    """The coefficient of determination where the outputs are logarithms of rates."""
    rates = np.exp(outputs)
    return r2(y, rates, weight) if np.isfinite(rates).all() else float("nan")
