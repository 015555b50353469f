"""
Trains a classifier of Fashion-MNIST: 784-256-128-10, relu, softmax with cross entropy, Adam.

    python examples/fashion_mnist.py /usr/share/datasets/fashion-mnist

The folder holds the four files of the data set, *-ubyte.gz; Debian's package dataset-fashion-mnist installs them there.
Trains with three seeds, and prints the accuracy on the 10 000 test images and the time of each, and their mean.
"""

import argparse
import gzip
import struct
import time
from pathlib import Path

import numpy as np

import plainnet as pn


def read(path):
    """The array in a file of the format IDX: four bytes, of which the last is the number of axes; sizes; the data."""
    with gzip.open(path) as file:
        data = file.read()
    n_axes = data[3]
    shape = struct.unpack_from(f">{n_axes}I", data, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * n_axes).reshape(shape)


def images_and_labels(folder, name):
    images = read(folder / f"{name}-images-idx3-ubyte.gz")
    labels = read(folder / f"{name}-labels-idx1-ubyte.gz")
    return images.reshape(len(images), -1).astype(np.float32) / 255, labels


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    x, y = images_and_labels(arguments.folder, "train")
    test_x, test_y = images_and_labels(arguments.folder, "t10k")

    accuracies = []
    steps = arguments.epochs * -(-len(x) // 128)
    for seed in range(arguments.seeds):
        net = pn.Network(
            [pn.Dense(784, 256, "relu"), pn.Dense(256, 128, "relu"), pn.Dense(128, 10, "softmax")],
            loss="cross_entropy", optimizer=pn.Adam(pn.schedules.cosine(1e-3, steps)), init="he", seed=seed,
            dtype="float32",
        )  # fmt: skip
        start = time.perf_counter()
        history = net.fit(x, y, epochs=arguments.epochs, batch_size=128)
        seconds = time.perf_counter() - start
        accuracies.append(np.mean(net.predict(test_x).argmax(axis=1) == test_y))
        print(
            f"seed {seed}: {accuracies[-1]:.2%} of the test images are right, training loss {history.loss[-1]:.3f}, "
            f"{seconds:.1f} s for {arguments.epochs} epochs",
            flush=True,
        )
    print(f"mean {np.mean(accuracies):.2%}")


if __name__ == "__main__":
    main()
