"""
Classifies scikit-learn's 1797 handwritten digits with a layer that `Network` does not have: one dense layer that is
shared over all patches of an image, in other words a convolution.

    pip install scikit-learn
    python examples/patches.py            # with the C kernels
    python examples/patches.py --numpy    # with the same functions in NumPy: several times as long

Prints the share of right answers in each part of a stratified 5-fold cross-validation, and their mean.
"""

import argparse
import time

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold

import plainnet as pn

N_CLASSES = 10
WIDTH = 8  # of an image, in pixels
SIDE = 3  # of a patch
POOL = 2  # of POOL x POOL patches beside each other, the largest outputs are kept


def patches_of(images):
    """
    The patches around all pixels: (n_images, WIDTH * WIDTH, SIDE * SIDE) from images (n_images, WIDTH, WIDTH).

    Beyond the edge of an image, pixels are 0.
    """
    margin = SIDE // 2
    padded = np.pad(images, ((0, 0), (margin, margin), (margin, margin)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (SIDE, SIDE), axis=(1, 2))
    return windows.reshape(len(images), WIDTH * WIDTH, SIDE * SIDE)


class PatchNetwork:
    """
    A dense layer shared over the patches of an image, then the largest of neighbouring outputs, then softmax.

    Parameters
    ----------
    kernels : module
        ``pn.kernels``, which computes in C, or ``pn.reference``, which has the same functions in NumPy.
    seed : int
        Of the starting weights, and of the order of the images.
    n_filters : int
        The number of neurons in the shared layer.
    dtype : str
    """

    def __init__(self, kernels, seed, n_filters=64, dtype="float32"):
        self.kernels = kernels
        self.rng = np.random.default_rng(seed)
        n_in, n_features = SIDE * SIDE, (WIDTH // POOL) ** 2 * n_filters
        patch_weight = self.rng.normal(0, np.sqrt(2 / n_in), (n_in, n_filters))
        weight = self.rng.normal(0, np.sqrt(2 / n_features), (n_features, N_CLASSES))
        start = patch_weight, np.zeros(n_filters), weight, np.zeros(N_CLASSES)
        self.parameters = [array.astype(dtype) for array in start]
        self.means = [np.zeros_like(array) for array in self.parameters]  # of the slopes, for Adam
        self.squares = [np.zeros_like(array) for array in self.parameters]  # and of their squares
        self.n_steps = 0

    # [forward]
    def forward(self, patches):
        """All that the backward pass needs, last the probabilities (n_images, N_CLASSES)."""
        patch_weight, patch_bias, weight, bias = self.parameters
        n_images = len(patches)

        rows = patches.reshape(-1, SIDE * SIDE)  # a patch is a row: the layer does not know from which image
        a = self.kernels.dense_forward(rows, patch_weight, patch_bias, "relu")

        half = WIDTH // POOL
        blocks = a.reshape(n_images, half, POOL, half, POOL, -1)
        largest = blocks.max(axis=(2, 4), keepdims=True)

        features = largest.reshape(n_images, -1)
        probabilities = self.kernels.dense_forward(features, weight, bias, "softmax")
        return rows, a, blocks, largest, features, probabilities

    # [backward]
    def loss_and_gradient(self, patches, labels):
        """Cross entropy, a mean over the images, and its gradient: a list of arrays like the parameters."""
        patch_weight, _, weight, _ = self.parameters
        rows, a, blocks, largest, features, probabilities = self.forward(patches)
        n_images = len(labels)
        loss = -np.log(probabilities[np.arange(n_images), labels]).mean()

        grad_z = probabilities.copy()  # softmax and cross entropy together have the slope a - y
        grad_z[np.arange(n_images), labels] -= 1
        grad_z /= n_images
        grad_features, grad_weight, grad_bias = self.kernels.dense_backward(features, weight, grad_z, grad_z)

        # The slope goes to the output that was the largest, and the others have none.
        grad_blocks = np.where(blocks == largest, grad_features.reshape(largest.shape), 0)

        grad_a = grad_blocks.reshape(a.shape)
        _, grad_patch_weight, grad_patch_bias = self.kernels.dense_backward(rows, patch_weight, a, grad_a, "relu")
        return loss, [grad_patch_weight, grad_patch_bias, grad_weight, grad_bias]

    # [train]
    def step(self, patches, labels, rate):
        """One step of Adam; the loss from before it."""
        loss, gradient = self.loss_and_gradient(patches, labels)
        self.n_steps += 1
        rate *= np.sqrt(1 - 0.999**self.n_steps) / (1 - 0.9**self.n_steps)
        for parameter, slope, mean, square in zip(self.parameters, gradient, self.means, self.squares, strict=True):
            mean += 0.1 * (slope - mean)
            square += 0.001 * (slope**2 - square)
            parameter -= rate * mean / (np.sqrt(square) + 1e-8)
        return loss

    def fit(self, patches, labels, epochs=30, batch_size=32, rate=0.003):
        """Trains with a rate that falls to 0 along a line; the mean loss of each epoch."""
        losses, n_steps, done = [], epochs * -(-len(labels) // batch_size), 0
        for _ in range(epochs):
            order = self.rng.permutation(len(labels))
            total = 0.0
            for first in range(0, len(order), batch_size):
                batch = order[first : first + batch_size]
                total += len(batch) * self.step(patches[batch], labels[batch], rate * (1 - done / n_steps))
                done += 1
            losses.append(total / len(labels))
        return losses

    # [end]
    def predict(self, patches):
        """The most probable digit of each image, (n_images,)."""
        return self.forward(patches)[-1].argmax(axis=1)


def load():
    """The images as patches (1797, WIDTH * WIDTH, SIDE * SIDE) of brightness from 0 to 1, and labels (1797,)."""
    x, labels = load_digits(return_X_y=True)
    return patches_of((x / 16).reshape(-1, WIDTH, WIDTH).astype("float32")), labels


def cross_validate(kernels, seed=0, epochs=30):
    """Yields the share of right answers of each of five parts, by a network that has learned from the other four."""
    patches, labels = load()
    for training, test in StratifiedKFold(5, shuffle=True, random_state=seed).split(patches, labels):
        net = PatchNetwork(kernels, seed)
        net.fit(patches[training], labels[training], epochs)
        yield np.mean(net.predict(patches[test]) == labels[test])


def main():
    parser = argparse.ArgumentParser(description="Classifies handwritten digits by their patches.")
    parser.add_argument("--numpy", action="store_true", help="compute with pn.reference instead of pn.kernels")
    parser.add_argument("--seed", type=int, default=0, help="of the parts, the weights and the order of the images")
    parser.add_argument("--epochs", type=int, default=30)
    options = parser.parse_args()
    kernels = pn.reference if options.numpy else pn.kernels
    right, start = [], time.perf_counter()
    for fold, share in enumerate(cross_validate(kernels, options.seed, options.epochs)):
        print(f"fold {fold}: {share:.2%} right")
        right.append(share)
    print(f"mean {np.mean(right):.2%}, in {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main()
