"""Between scikit-learn's estimators and those of this package, and from fitted pipelines to networks."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as TheirRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.validation import check_is_fitted

from ..arrays import Array
from ..network import Network
from .base import BaseMLP
from .classifier import MLPClassifier
from .networks import RENAMED
from .regressor import MLPRegressor

#: Attributes of a fitted estimator that both libraries have, with the same meaning.
_SHARED = (
    "n_features_in_", "feature_names_in_", "n_outputs_", "n_layers_", "out_activation_", "n_iter_", "t_", "classes_",
    "loss_", "best_loss_", "loss_curve_", "validation_scores_", "best_validation_score_", "_label_binarizer",
    "_no_improvement_count", "_random_state",
)  # fmt: skip


def from_sklearn(fitted: Any) -> Any:
    """
    The same model here.

    Parameters
    ----------
    fitted : MLPClassifier, MLPRegressor or Pipeline
        Of scikit-learn. Of a pipeline, the last step is one of these, or one of this package; before it there are any
        number of ``StandardScaler`` and ``MinMaxScaler``, and steps that are ``"passthrough"``.

    Returns
    -------
    MLPClassifier, MLPRegressor or plainnet.Network
        An estimator for an estimator: its parameters and attributes are copies, and its predictions are equal but for
        rounding. What the optimizer keeps comes as well, so that ``partial_fit`` goes on.

        For a pipeline, one network that takes the raw data: the scaling is folded into its first layer. It returns
        probabilities (two classes: that of the second), what a regressor predicts, or with ``loss="poisson"`` its
        logarithm.

    Raises
    ------
    TypeError
        If it is something else, or if the pipeline has another step.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    """
    if isinstance(fitted, Pipeline):
        return _network_of_pipeline(fitted)
    kinds = {TheirClassifier: MLPClassifier, TheirRegressor: MLPRegressor}
    kind = next((ours for theirs, ours in kinds.items() if isinstance(fitted, theirs)), None)
    if kind is None:
        raise TypeError(
            f"fitted must be an MLPClassifier, MLPRegressor or Pipeline of scikit-learn, not {type(fitted).__name__}"
        )
    check_is_fitted(fitted)
    estimator: BaseMLP = kind(**fitted.get_params(deep=False))
    _copy_attributes(fitted, estimator)
    dtype = np.result_type(*fitted.coefs_)
    estimator.network_ = estimator._architecture(fitted.coefs_[0].shape[0], dtype).network(
        _flat(fitted.coefs_, fitted.intercepts_, dtype)
    )
    if hasattr(fitted, "loss_curve_"):
        is_validated = fitted.validation_scores_ is not None
        estimator.validation_loss_curve_ = [float("nan")] * len(fitted.validation_scores_) if is_validated else None
    best = getattr(fitted, "_best_coefs", None)
    estimator._best_parameters = (
        estimator.network_.parameters.copy() if best is None else _flat(best, fitted._best_intercepts, dtype)
    )
    return estimator


def _copy_attributes(source: Any, target: Any) -> None:
    for name in _SHARED:
        if hasattr(source, name):
            value = getattr(source, name)
            setattr(target, name, value.copy() if isinstance(value, (list, np.ndarray)) else value)


def _flat(weights: Any, biases: Any, dtype: np.dtype[Any]) -> Array:
    """The parameters of a network in its order."""
    parts = [part.ravel() for pair in zip(weights, biases, strict=True) for part in pair]
    return np.concatenate(parts).astype(dtype, copy=False)
