"""
scikit-learn's multi-layer perceptrons on plainnet: change the import, and the results are the same to rounding.

>>> from plainnet.sklearn import MLPClassifier, MLPRegressor  # instead of sklearn.neural_network

Parameters, attributes, methods, warnings and errors are those of scikit-learn's classes with these names. Starting
weights, the order of rows, the validation split, the steps and the end of training follow from ``random_state`` as
there. What scikit-learn's classes do not have is keyword-only, and off by default. It needs scikit-learn (the extra
`sklearn`).
"""

from __future__ import annotations

try:
    import sklearn
except ImportError as error:
    raise ImportError(
        "plainnet.sklearn needs scikit-learn 1.7 or newer; get it with: pip install 'plainnet[sklearn]'"
    ) from error

from .classifier import MLPClassifier
from .exchange import from_sklearn
from .regressor import MLPRegressor

del sklearn

__all__ = ["MLPClassifier", "MLPRegressor", "from_sklearn"]
