"""
Classifies scikit-learn's 1797 images of handwritten digits, 8 x 8 pixels each, with 64-128-10: relu, softmax, Adam.

    pip install scikit-learn
    python examples/digits.py

Prints the share of right answers in each part of a stratified 5-fold cross-validation, and their mean.
"""

import time

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold

import plainnet as pn


def main():
    x, labels = load_digits(return_X_y=True)  # brightness from 0 to 16; labels (1797,) from 0 to 9
    x /= 16
    right, start = [], time.perf_counter()
    folds = StratifiedKFold(5, shuffle=True, random_state=0).split(x, labels)
    for fold, (training, test) in enumerate(folds):
        net = pn.Network(
            [pn.Dense(64, 128, "relu"), pn.Dense(128, 10, "softmax")],
            loss="cross_entropy", optimizer=pn.Adam(3e-3), init="he", seed=0, dtype="float32",
        )  # fmt: skip
        net.fit(x[training], labels[training], epochs=40, batch_size=32)
        right.append(np.mean(net.predict(x[test]).argmax(axis=1) == labels[test]))
        print(f"fold {fold}: {right[-1]:.2%} right")
    print(f"mean {np.mean(right):.2%}, in {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
