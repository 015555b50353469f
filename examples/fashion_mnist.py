"""
Trains a classifier of Fashion-MNIST: 784-256-128-10, relu, dropout, softmax with cross entropy, Adam, early stopping.

    pip install '.[plot]'
    python examples/fashion_mnist.py /usr/share/datasets/fashion-mnist --plot mistakes.png

The folder holds the four files of the data set, *-ubyte.gz; Debian's package dataset-fashion-mnist installs them there.
Trains with three seeds, and prints the accuracy on the 10 000 test images and the time of each, and their mean. A tenth
of the 60 000 training images is set aside to tell when to stop. With --plot, a picture shows the losses of the first
run and what it mistook. With --compare, scikit-learn's MLPClassifier and PyTorch are trained too, where they are
installed, without dropout and early stopping, which the former has not like that, and plainnet likewise.
"""

import argparse
import gzip
import struct
import time
import warnings
from pathlib import Path

import numpy as np

import plainnet as pn

BATCH_SIZE = 128
CLASSES = "T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"


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


def network(seed, dropout, rate):
    return pn.Network(
        [pn.Dense(784, 256, "relu", dropout=dropout), pn.Dense(256, 128, "relu", dropout=dropout),
         pn.Dense(128, 10, "softmax")],
        loss="cross_entropy", optimizer=pn.Adam(rate), init="he", seed=seed, dtype="float32",
    )  # fmt: skip


def train(x, y, test_x, test_y, seed, epochs):
    """A trained network, its history, its accuracy on the test images, and the seconds that training took."""
    steps = epochs * -(-round(0.9 * len(x)) // BATCH_SIZE)
    net = network(seed, 0.2, pn.schedules.cosine(1e-3, steps, minimum=1e-6))
    start = time.perf_counter()
    history = net.fit(
        x, y, epochs=epochs, batch_size=BATCH_SIZE, validation=0.1, metrics=["accuracy"], progress=True,
        callbacks=[pn.EarlyStopping(patience=5)],
    )  # fmt: skip
    seconds = time.perf_counter() - start
    return net, history, accuracy(net.predict(test_x), test_y), seconds


def accuracy(share, labels):
    return np.mean(share.argmax(axis=1) == labels)


# ---- The same with others --------------------------------------------------------------------------------------------


def with_plainnet(x, y, test_x, epochs):
    net = network(0, 0.0, 1e-3)
    net.fit(x, y, epochs=epochs, batch_size=BATCH_SIZE)
    return net.predict(test_x)


def with_scikit_learn(x, y, test_x, epochs):
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier((256, 128), batch_size=BATCH_SIZE, alpha=0, max_iter=epochs, random_state=0, tol=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged after so many epochs
        model.fit(x, y)
    return model.predict_proba(test_x)


def with_pytorch(x, y, test_x, epochs):
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(pn.num_threads())
    model = torch.nn.Sequential(
        torch.nn.Linear(784, 256), torch.nn.ReLU(), torch.nn.Linear(256, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    images, labels = torch.from_numpy(x), torch.from_numpy(y.astype(np.int64))
    for _ in range(epochs):
        order = torch.randperm(len(images))
        for start in range(0, len(images), BATCH_SIZE):
            rows = order[start : start + BATCH_SIZE]
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(images[rows]), labels[rows]).backward()
            optimizer.step()
    with torch.no_grad():
        return model(torch.from_numpy(test_x)).numpy()


def compare(x, y, test_x, test_y, epochs):
    """Prints what each takes and finds, without dropout and validation."""
    for name, run in (("plainnet", with_plainnet), ("PyTorch", with_pytorch), ("scikit-learn", with_scikit_learn)):
        start = time.perf_counter()
        try:
            share = run(x, y, test_x, epochs)
        except ImportError as error:
            print(f"{name}: {error}")
            continue
        seconds = time.perf_counter() - start
        print(f"{name}: {accuracy(share, test_y):.2%} right after {epochs} epochs, {seconds:.1f} s", flush=True)


# ---- The picture -----------------------------------------------------------------------------------------------------


def draw(path, history, images, labels, guesses):
    """The losses, and the first 40 images that the network took for something else."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 9), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.4))
    history.plot(left.subplots())
    wrong = np.flatnonzero(guesses != labels)[:40]
    right.suptitle("Mistakes: what it is, and what the network took it for")
    for axes, k in zip(right.subplots(5, 8).flat, wrong):
        axes.imshow(images[k].reshape(28, 28), cmap="gray_r")
        axes.set_title(f"{CLASSES[labels[k]]}\n{CLASSES[guesses[k]]}?", fontsize=8)
    for axes in right.axes:
        axes.axis("off")
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--compare", action="store_true", help="train with scikit-learn and PyTorch as well")
    parser.add_argument("--plot", type=Path, help="a picture of the losses and of mistakes, such as mistakes.png")
    arguments = parser.parse_args()
    if not arguments.folder.is_dir():
        parser.error(f"{arguments.folder} is no folder: it must hold the four files of Fashion-MNIST")
    x, y = images_and_labels(arguments.folder, "train")
    test_x, test_y = images_and_labels(arguments.folder, "t10k")

    accuracies = []
    for seed in range(arguments.seeds):
        net, history, right, seconds = train(x, y, test_x, test_y, seed, arguments.epochs)
        accuracies.append(right)
        print(f"seed {seed}: {right:.2%} of the test images are right; {len(history.loss)} epochs took {seconds:.1f} s")
        print(f"    {history.stopped or 'the last epoch was the best'}", flush=True)
        if seed == 0 and arguments.plot is not None:
            draw(arguments.plot, history, test_x, test_y, net.predict(test_x).argmax(axis=1))
    print(f"mean {np.mean(accuracies):.2%}", flush=True)
    if arguments.compare:
        compare(x, y, test_x, test_y, min(arguments.epochs, 15))


if __name__ == "__main__":
    main()
