"""
Regression beside ridge regression: the progression of diabetes from ten measurements (442 patients, in scikit-learn).

    pip install . scikit-learn
    python examples/diabetes.py

In 5-fold cross-validation, a network and ridge regression predict the patients of each fold from the others. There is
little data and much noise, so that the network is small and l2 keeps its weights small; early stopping ends its
training. It prints R2 (1: all of the variance is explained) and the mean absolute error, of the patients not seen.
"""

from __future__ import annotations

import time

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import RidgeCV
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler

import plainnet as pn


def network_prediction(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, seed: int) -> np.ndarray:
    """What a network predicts for `x_test` after it has learned from the rows `x` (n, 10), `y` (n, 1)."""
    net = pn.Network(
        [pn.Dense(10, 16, "tanh", l2=0.02), pn.Dense(16, 1, l2=0.02)], optimizer=pn.Adam(3e-3), seed=seed
    )
    net.fit(x, y, epochs=500, batch_size=32, validation=0.15, callbacks=[pn.EarlyStopping(patience=30)])
    return net.predict(x_test)


def main() -> None:
    """Prints a table of both."""
    x, y = load_diabetes(return_X_y=True)
    y = y.reshape(-1, 1)
    names = "network", "mean of 5 networks", "ridge regression"
    scores: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    started = time.perf_counter()
    for train, test in KFold(5, shuffle=True, random_state=0).split(x):
        of_x, of_y = StandardScaler().fit(x[train]), StandardScaler().fit(y[train])
        inputs, targets = of_x.transform(x[train]), of_y.transform(y[train])
        networks = [network_prediction(inputs, targets, of_x.transform(x[test]), seed) for seed in range(5)]
        ridge = RidgeCV(np.logspace(-2, 3, 20)).fit(inputs, targets[:, 0]).predict(of_x.transform(x[test]))
        for name, scaled in zip(names, (networks[0], np.mean(networks, axis=0), ridge.reshape(-1, 1)), strict=True):
            prediction = of_y.inverse_transform(scaled)
            scores[name].append((r2_score(y[test], prediction), mean_absolute_error(y[test], prediction)))
    print(f"{'':20}  R2 of 5 folds          mean   mean absolute error")
    for name, values in scores.items():
        r2, error = np.array(values).T
        print(f"{name:20}  {' '.join(f'{value:.2f}' for value in r2)}  {r2.mean():.3f}  {error.mean():6.1f}")
    print(f"{time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
