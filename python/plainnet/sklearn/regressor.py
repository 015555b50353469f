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
    """
    A regressor with one or more hidden layers.

    Parameters and results are those of ``sklearn.neural_network.MLPRegressor``: with the same `random_state` the
    losses, weights and predictions are equal, but for rounding. `dropout` and the parameters after it are additions, as
    are lists of activations, optimizers of plainnet, and all losses but the first two.

    Parameters
    ----------
    loss : str, pn.Huber or pn.Quantile, default="squared_error"
        ``"squared_error"`` is half the mean square of the errors, ``"poisson"`` half the Poisson deviance, of a network
        whose outputs are logarithms; targets are at least 0 then. ``"absolute_error"``, ``"huber"``, ``"log_cosh"`` and
        ``"quantile"`` are means over rows and outputs, as :class:`plainnet.Network` defines them; ``pn.Huber(delta)``
        and ``pn.Quantile(q)`` have a parameter.
    hidden_layer_sizes : int or array-like of int, default=(100,)
        The numbers of neurons in the hidden layers; () is a linear model.
    activation : str or list of str, default="relu"
        Of the hidden layers: ``"identity"``, ``"logistic"`` (which is also ``"sigmoid"``), ``"tanh"``, ``"relu"``, or
        another of :class:`plainnet.Dense`. A list has one for each hidden layer.
    solver : {"lbfgs", "sgd", "adam"} or an optimizer of plainnet, default="adam"
        ``"lbfgs"`` is SciPy's L-BFGS-B, with all rows at once and, as in scikit-learn, in float64. ``"sgd"`` is
        gradient descent with momentum. An object such as ``pn.RMSprop(1e-3)`` has its own learning rate, which may be
        one of :mod:`plainnet.schedules`, and its own options. It follows the gradient of ``network_``'s loss: of the
        mean squared error, for one, which is twice scikit-learn's where there is one output.
    alpha : float, default=0.0001
        Of the penalty ``alpha / 2 * sum(weight**2)``, which is divided by the rows of the batch, or their weights.
    batch_size : int or "auto", default="auto"
        Rows in a step of all solvers but ``"lbfgs"``; ``"auto"`` is ``min(200, n_samples)``.
    learning_rate : {"constant", "invscaling", "adaptive"}, default="constant"
        With ``solver="sgd"``: whether the rate stays; or is ``learning_rate_init / (t_ + 1)**power_t`` after each
        epoch; or is divided by 5 whenever training would stop, down to 1e-6.
    learning_rate_init : float, default=0.001
        The learning rate of ``"sgd"`` and ``"adam"``.
    power_t : float, default=0.5
        Of ``learning_rate="invscaling"``.
    max_iter : int, default=200
        The largest number of epochs, or of iterations of L-BFGS.
    shuffle : bool, default=True
        Whether each epoch visits the rows in another order.
    random_state : int, RandomState or None, default=None
        Of the starting weights, the validation data, the order of the rows and dropout, in scikit-learn's order.
    tol : float, default=1e-4
        By how much the loss, or the validation score, must become better. With L-BFGS, the largest element of the
        gradient at which it stops.
    verbose : bool, default=False
        Whether to print the loss of each epoch or iteration.
    warm_start : bool, default=False
        Whether ``fit`` goes on with the weights of the last call.
    momentum : float, default=0.9
    nesterovs_momentum : bool, default=True
        Of ``solver="sgd"``.
    early_stopping : bool, default=False
        Whether a part of the rows is set aside, whose score says when to stop, and which epoch is the best: the network
        ends with the weights of that one. Otherwise the training loss says when to stop. ``partial_fit`` takes such
        rows as an argument.
    validation_fraction : float, default=0.1
        That part.
    beta_1, beta_2, epsilon : float, default=0.9, 0.999, 1e-8
        Of ``solver="adam"``, where epsilon is added before the correction of the average: ``eps_hat`` of
        :class:`plainnet.Adam`.
    n_iter_no_change : int or inf, default=10
        Training stops after more than so many epochs in a row that are no better by `tol`.
    max_fun : int, default=15000
        The largest number of evaluations of the loss by L-BFGS.
    dropout : float or list of float, default=0.0
        The probability with which each output of a hidden layer is 0 while training; a list has one for each hidden
        layer. Not with L-BFGS.
    n_threads : int or None, default=None
        The number of threads while training, whatever :func:`plainnet.set_num_threads` says; None leaves that. No
        result depends on it.
    progress : bool, default=False
        Whether to show on standard error how far training has come.

    Attributes
    ----------
    network_ : plainnet.Network
        Its outputs are the predictions or, with ``loss="poisson"``, their logarithms. It can be saved, exported, and
        used by itself.
    coefs_, intercepts_ : list of ndarray
        The weight (n_in, n_out) and the bias (n_out,) of each layer: views of ``network_``. What is assigned to them,
        or to one of their items, is copied into the network.
    loss_ : float
        The loss of the last epoch, or of L-BFGS.
    loss_curve_ : list of float
        That of all epochs. Not with L-BFGS.
    best_loss_ : float or None
        The least of these; None with early stopping. Not with L-BFGS.
    validation_scores_ : list of float or None
        The coefficient of determination of the validation data after each epoch, and None without early stopping.
    validation_loss_curve_ : list of float or None
        Their loss after each epoch, without the penalty.
    best_validation_score_ : float or None
        The largest score.
    stopped_ : bool
        Whether ``partial_fit`` with validation data has come to its end.
    n_iter_ : int
        Epochs, or iterations of L-BFGS, of the last call.
    t_ : int
        Rows that training has used, all epochs added up.
    n_features_in_, n_layers_, n_outputs_ : int
        The numbers of inputs, of layers with the inputs' own, and of outputs.
    feature_names_in_ : ndarray of str
        The names of the columns, if all of them are strings.
    out_activation_ : {"identity", "exp"}
        The latter with ``loss="poisson"``.

    Examples
    --------
    >>> from plainnet.sklearn import MLPRegressor
    >>> from sklearn.datasets import load_diabetes
    >>> x, y = load_diabetes(return_X_y=True)
    >>> regressor = MLPRegressor(hidden_layer_sizes=(20,), solver="lbfgs", max_iter=5000, random_state=0)
    >>> regressor.fit(x, y).score(x, y) > 0.5
    True
    """

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
