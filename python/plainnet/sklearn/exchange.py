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
from .networks import RENAMED, make_optimizer
from .regressor import MLPRegressor

#: Attributes of a fitted estimator that both libraries have, with the same meaning.
_SHARED = (
    "n_features_in_", "feature_names_in_", "n_outputs_", "n_layers_", "out_activation_", "n_iter_", "t_", "classes_",
    "loss_", "best_loss_", "loss_curve_", "validation_scores_", "best_validation_score_", "_label_binarizer",
    "_no_improvement_count",
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
        rounding. What the optimizer keeps comes as well, so that ``partial_fit`` goes on. ``validation_loss_curve_``,
        which scikit-learn does not have, is NaN so far.

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
    _take_optimizer(fitted, estimator)
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


# ---- To scikit-learn -------------------------------------------------------------------------------------------------


def to_sklearn(estimator: BaseMLP) -> Any:
    """:meth:`plainnet.sklearn.MLPClassifier.to_sklearn`, and that of the regressor."""
    check_is_fitted(estimator)
    kind = TheirClassifier if isinstance(estimator, MLPClassifier) else TheirRegressor
    given = estimator.get_params(deep=False)
    fitted = kind(**{name: given.pop(name) for name in kind().get_params()})
    _check_expressible(estimator)
    defaults = type(estimator)().get_params(deep=False)
    left_out = [f"{name}={value!r}" for name, value in given.items() if value is not defaults[name]]
    activations = estimator.activation
    if not isinstance(activations, str):
        fitted.set_params(activation=activations[0] if len(activations) else "identity")
    if not isinstance(estimator.solver, str):
        left_out.append(f"solver={estimator.solver!r}")
        fitted.set_params(solver="adam")
    if left_out:
        warnings.warn(
            f"scikit-learn has no parameters for {', '.join(left_out)}: its estimator predicts the same, and would "
            "train without these",
            UserWarning,
            stacklevel=3,
        )
    _copy_attributes(estimator, fitted)
    fitted.coefs_ = [weight.copy() for weight in estimator.coefs_]
    fitted.intercepts_ = [bias.copy() for bias in estimator.intercepts_]
    fitted._best_coefs = [weight.copy() for weight in fitted.coefs_]
    fitted._best_intercepts = [bias.copy() for bias in fitted.intercepts_]
    return fitted


def _check_expressible(estimator: BaseMLP) -> None:
    """Checks that scikit-learn can compute the same predictions, and knows the loss."""
    allowed = [*RENAMED, "identity", "tanh", "relu"]
    names = [estimator.activation] if isinstance(estimator.activation, str) else list(estimator.activation)
    if len(set(names)) > 1 or not set(names) <= set(allowed):
        raise ValueError(
            f"scikit-learn has one activation for all hidden layers, among {allowed}, and this estimator has "
            f"activation={estimator.activation!r}"
        )
    loss = getattr(estimator, "loss", "squared_error")
    if not isinstance(loss, str) or loss not in ("squared_error", "poisson"):
        raise ValueError(f"scikit-learn has the losses 'squared_error' and 'poisson', and this estimator has {loss!r}")


# ---- Pipelines -------------------------------------------------------------------------------------------------------


def _network_of_pipeline(pipeline: Pipeline) -> Network:
    """A network that computes what the whole pipeline does."""
    *scalers, (_, last) = pipeline.steps
    if not isinstance(last, (BaseMLP, TheirClassifier, TheirRegressor)):
        raise TypeError(f"the last step of the pipeline must be an MLP, not {type(last).__name__}")
    estimator = last if isinstance(last, BaseMLP) else from_sklearn(last)
    check_is_fitted(estimator)
    mean, scale = np.zeros(estimator.n_features_in_), np.ones(estimator.n_features_in_)
    for name, scaler in scalers:
        if scaler is None or (isinstance(scaler, str) and scaler == "passthrough"):
            continue
        step_mean, step_scale = _scaling(name, scaler)  # (x - mean) / scale, of what the steps before return
        mean, scale = mean + scale * step_mean, scale * step_scale
    return estimator.network_.fold(input_mean=mean, input_scale=scale)


def _scaling(name: str, scaler: Any) -> tuple[Array, Array]:
    """The mean and the scale of ``(x - mean) / scale``, which a fitted scaler computes."""
    if not isinstance(scaler, (StandardScaler, MinMaxScaler)):
        raise TypeError(
            f"step {name!r} of the pipeline is a {type(scaler).__name__}: those that can be folded into a network are "
            "StandardScaler and MinMaxScaler"
        )
    check_is_fitted(scaler)
    if isinstance(scaler, MinMaxScaler):
        if scaler.clip:
            raise TypeError(f"step {name!r} of the pipeline is a MinMaxScaler(clip=True), which is not linear")
        return -scaler.min_ / scaler.scale_, 1 / scaler.scale_
    n = scaler.n_features_in_
    mean = scaler.mean_ if scaler.with_mean else np.zeros(n)
    return mean, np.ones(n) if scaler.scale_ is None else scaler.scale_


# ---- What the optimizer keeps ----------------------------------------------------------------------------------------


def _take_optimizer(fitted: Any, estimator: BaseMLP) -> None:
    """The optimizer of scikit-learn's estimator and what it keeps, if it has one."""
    optimizer, network = getattr(fitted, "_optimizer", None), estimator.network_
    if optimizer is None:
        return
    objective = estimator._objective()
    network.optimizer = make_optimizer(estimator, objective)
    estimator._rate = float(optimizer.learning_rate if estimator.solver == "sgd" else optimizer.learning_rate_init)
    n_layers, factor = len(network.layers), objective.factor

    def flat(arrays: Any) -> Array:
        return _flat(arrays[:n_layers], arrays[n_layers:], network.dtype)

    state = network._optimizer[1]
    if estimator.solver == "sgd" and state is not None:
        state[0] = flat(optimizer.velocities) / (-estimator._rate * factor)
        network._state.steps = 1  # the first step would begin with zeros; the number of later ones does not matter
    elif estimator.solver == "adam" and state is not None:
        state[0] = flat(optimizer.ms) / factor
        state[1] = flat(optimizer.vs) / factor**2
        network._state.steps = int(optimizer.t)
