"""The classifier."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels
from sklearn.utils.validation import validate_data

from ..arrays import Array
from .base import BaseMLP
from .holdout import Score, accuracy, accuracy_of_one_class
from .networks import Objective, of_classifier

Same = TypeVar("Same", bound="MLPClassifier")


class MLPClassifier(ClassifierMixin, BaseMLP):
    """
    A classifier with one or more hidden layers, trained with the cross entropy.

    Parameters and results are those of ``sklearn.neural_network.MLPClassifier``: with the same `random_state` the
    losses, weights and predictions are equal, but for rounding. `dropout` and the parameters after it are additions, as
    are lists of activations and optimizers of plainnet.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(100,)
        The numbers of neurons in the hidden layers; () is a linear model.
    activation : str or list of str, default="relu"
        Of the hidden layers: ``"identity"``, ``"logistic"`` (which is also ``"sigmoid"``), ``"tanh"``, ``"relu"``, or
        another of :class:`plainnet.Dense`. A list has one for each hidden layer.
    solver : {"lbfgs", "sgd", "adam"} or an optimizer of plainnet, default="adam"
        ``"lbfgs"`` is SciPy's L-BFGS-B, with all rows at once and, as in scikit-learn, in float64. ``"sgd"`` is
        gradient descent with momentum. An object such as ``pn.RMSprop(1e-3)`` has its own learning rate, which may be
        one of :mod:`plainnet.schedules`, and its own options. It follows the gradient of ``network_``'s loss: the mean
        over rows.
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
        That part. With two classes, it has the same share of each as the rest.
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
    class_weight : dict, "balanced" or None, default=None
        Weights of the rows by their class, times `sample_weight`. ``"balanced"`` is inversely proportional to the
        number of rows of the class, and is not for ``partial_fit``. With several labels a row, a list of dicts.
    n_threads : int or None, default=None
        The number of threads while training, whatever :func:`plainnet.set_num_threads` says; None leaves that. No
        result depends on it.
    progress : bool, default=False
        Whether to show on standard error how far training has come.

    Attributes
    ----------
    classes_ : ndarray (n_classes,)
        The labels, sorted.
    network_ : plainnet.Network
        Its outputs are the probabilities of the classes or, with two classes, that of the second. It can be saved,
        exported, and used by itself.
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
        The accuracy of the validation data after each epoch, and None without early stopping.
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
    out_activation_ : {"logistic", "softmax"}
        The latter with more than two classes.

    Examples
    --------
    >>> from plainnet.sklearn import MLPClassifier
    >>> from sklearn.datasets import load_iris
    >>> x, y = load_iris(return_X_y=True)
    >>> classifier = MLPClassifier((20,), solver="lbfgs", alpha=1.0, max_iter=1000, random_state=0)
    >>> round(classifier.fit(x, y).score(x, y), 2)
    0.99
    """

    def __init__(
        self,
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
        class_weight: Any = None,
        n_threads: int | None = None,
        progress: bool = False,
    ) -> None:
        self._keep(locals())

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMLP._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
    }

    class_weight: Any
    classes_: Array
    _label_binarizer: LabelBinarizer

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
            Labels of any type, or 0 and 1 for each of several labels.
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
        self: Same,
        X: Any,
        y: Any,
        sample_weight: npt.ArrayLike | None = None,
        classes: npt.ArrayLike | None = None,
        *,
        validation: Any = None,
    ) -> Same:
        """
        Trains for one epoch with the given rows, and keeps what the optimizer has gathered for the next call.

        Parameters
        ----------
        X, y, sample_weight
            As in :meth:`fit`.
        classes : array-like (n_classes,), optional
            All classes that any call will have; the first call needs them.
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
            As in :meth:`fit`; or if y has labels that `classes` does not have.
        """
        if isinstance(self.class_weight, str):
            raise ValueError(
                "class_weight='balanced' needs all rows at once, which partial_fit does not have: hand over a dict, "
                "such as compute_class_weight makes of a sample."
            )
        if self._is_first_call(classes):
            self._label_binarizer = LabelBinarizer()
            self._label_binarizer.fit(y if type_of_target(y).startswith("multilabel") else classes)
        self._check_incremental(validation)
        return self._fit(X, y, sample_weight, True, validation)

    def _is_first_call(self, classes: Any) -> bool:
        """Whether ``partial_fit`` is called for the first time; its classes are kept."""
        known = getattr(self, "classes_", None)
        if classes is None:
            if known is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            return False
        given = unique_labels(classes)
        if known is None:
            self.classes_ = given
            return True
        if not np.array_equal(known, given):
            raise ValueError(f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {known!r}")
        return False

    def _checked(self, x: Any, y: Any, is_incremental: bool, reset: bool) -> tuple[Any, Array]:
        x, y = validate_data(
            self, x, y, accept_sparse=["csr", "csc"], multi_output=True, dtype=(np.float64, np.float32), reset=reset
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or not (self.warm_start or is_incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
            return x, y
        classes = unique_labels(y)
        if self.warm_start and not is_incremental:
            if set(classes) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                    f"Previously got {self.classes_}, `y` has {classes}"
                )
        elif len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {classes}."
            )
        return x, y

    @property
    def _kind(self) -> str:
        """What scikit-learn calls the targets: binary, multiclass or multilabel-indicator."""
        return str(self._label_binarizer.y_type_)

    def _targets(self, y: Array, dtype: np.dtype[Any]) -> Array:
        if self._kind == "multiclass":
            return np.searchsorted(self.classes_, y).astype(dtype)
        return np.asarray(self._label_binarizer.transform(y)).astype(dtype)

    def _outputs_of(self, targets: Array) -> int:
        return len(self.classes_) if targets.ndim == 1 else int(targets.shape[1])

    def _objective(self) -> Objective:
        return of_classifier(self._kind)

    def _output_name(self) -> str:
        return "softmax" if self._kind == "multiclass" else "logistic"

    def _weights(self, y: Array, sample_weight: Array | None, is_incremental: bool) -> Array | None:
        if self.class_weight is None:
            return sample_weight
        of_classes: Array = compute_sample_weight(self.class_weight, y)
        return of_classes if sample_weight is None else sample_weight * of_classes

    def _stratify(self, targets: Array) -> Array | None:
        """The classes, if there are two."""
        return targets > 0.5 if self.n_outputs_ == 1 else None

    def _score_function(self) -> Score:
        return accuracy if len(self.classes_) > 1 else accuracy_of_one_class

    # ---- Use -------------------------------------------------------------------------------------------------------

    def predict(self, X: Any) -> Array:
        """
        The classes of the rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} (n_samples, n_features)

        Returns
        -------
        ndarray (n_samples,) or (n_samples, n_outputs)
        """
        outputs = self._network_outputs(X)
        if self.out_activation_ == "softmax":
            return self._take(outputs.argmax(axis=1))
        if outputs.shape[1] == 1 and len(self.classes_) == 2:
            return self._take(outputs[:, 0] > 0.5)
        if outputs.shape[1] == 1:
            outputs = outputs.ravel()
        classes: Array = self._label_binarizer.inverse_transform(outputs)
        return classes

    def _take(self, numbers: Array) -> Array:
        """The classes with these numbers."""
        classes: Array = self.classes_.take(numbers)
        return classes

    def predict_proba(self, X: Any) -> Array:
        """
        The probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} (n_samples, n_features)

        Returns
        -------
        ndarray (n_samples, n_classes)
            In the order of ``classes_``. With several labels a row, that of each label by itself.
        """
        outputs = self._network_outputs(X)
        if outputs.shape[1] > 1:
            return outputs
        probabilities = np.empty((len(outputs), 2), outputs.dtype)
        np.subtract(1, outputs[:, 0], out=probabilities[:, 0])
        probabilities[:, 1] = outputs[:, 0]
        return probabilities

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithm of :meth:`predict_proba`."""
        probabilities = self.predict_proba(X)
        return np.log(probabilities, out=probabilities)

    def input_gradient(self, X: Any) -> Array:
        """
        The derivatives of the probabilities with respect to the inputs.

        Parameters
        ----------
        X : {array-like, sparse matrix} (n_samples, n_features)

        Returns
        -------
        ndarray (n_samples, n_classes, n_features)
            Of each column of :meth:`predict_proba`.
        """
        gradient = self._output_gradient(X)
        return np.concatenate([-gradient, gradient], axis=1) if gradient.shape[1] == 1 else gradient

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
