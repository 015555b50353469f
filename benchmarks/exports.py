"""
Exported networks beside those of emlearn, FANN and m2cgen, on scikit-learn's digits: size, speed and accuracy.

    python benchmarks/exports.py                  # prints the tables, in a minute
    python benchmarks/exports.py --update         # and puts them into docs/how_to/firmware.md

Needs scikit-learn, emlearn and m2cgen (pip), gcc, and FANN (Debian: libfann-dev). For the Cortex-M4, which is emulated,
gcc-arm-none-eabi, libnewlib-arm-none-eabi and qemu-system-arm; without them, its columns are empty.

Sizes and instructions are those of the Cortex-M4: what a program with the network takes more than one without, code and
constants with the C library's functions that it calls, RAM with the stack that was seen to be used. Everything is
compiled with gcc -O2 and newlib-nano. Times are those of the host. FANN reads its networks from files into memory that
it allocates: it runs on the host, with a size that lacks the file.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import shutil
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import exports_peers as peers
from exports_measure import Export, OnHost, host_size, host_times, median_ratio, on_cortex
from page import replace_passage

PAGE = Path(__file__).parent.parent / "docs" / "how_to" / "firmware.md"
Numbers = npt.NDArray[Any]


@dataclass(frozen=True)
class Task:
    """
    A model, its exports and what they are judged by.

    Attributes
    ----------
    title : str
    exports : list of Export
        The first one is what times are divided by.
    expected : ndarray (n_rows, n_out)
        The outputs of scikit-learn's model in float64.
    notes : list of str
        What a library cannot do.
    """

    title: str
    exports: list[Export]
    expected: Numbers
    notes: list[str]


def refusal(name: str, export: Callable[[], object]) -> str:
    """A note that `export` fails, with the reason; an error if it does not, as the table lacks it then."""
    try:
        export()
    except Exception as error:
        reason = " ".join(str(error).split())[:100]
        return f"{name} fails: {type(error).__name__}: {reason}"
    raise RuntimeError(f"{name} works: it belongs into the table")


def classes(x: Numbers, y: Numbers, test: Numbers, folder: Path) -> Task:
    """64-32-10, relu and softmax."""
    model = MLPClassifier((32,), random_state=0, max_iter=400).fit(x, y)
    net = peers.as_network(model.coefs_, model.intercepts_, ["relu", "softmax"])
    exports = [peers.plainnet(net, folder), peers.plainnet(net, folder, x), peers.emlearn(model, 64, 10)]
    notes = [
        refusal("emlearn with `method=\"inline\"`", lambda: peers.emlearn(model, 64, 10, method="inline")),
        refusal("emlearn in fixed point",
                lambda: peers.emlearn(model, 64, 10, method="inline", use_fixedpoint=True)),
        refusal("m2cgen", lambda: peers.m2cgen(model, 64, 10)),
    ]  # fmt: skip
    return Task("64-32-10, relu, softmax", exports, model.predict_proba(test), notes)


def sigmoids(x: Numbers, y: Numbers, test: Numbers, folder: Path) -> Task:
    """64-32-10 with tanh and ten sigmoids, which FANN has; its fixed point has neither relu nor identity."""
    model = MLPClassifier((32,), "tanh", random_state=0, max_iter=400).fit(x, np.eye(10)[y].astype(int))
    activations = ["tanh", "sigmoid"]
    net = peers.as_network(model.coefs_, model.intercepts_, activations)
    exports = [
        peers.plainnet(net, folder), peers.plainnet(net, folder, x), peers.emlearn(model, 64, 10),
        *peers.fann(model.coefs_, model.intercepts_, activations, folder),
    ]  # fmt: skip
    return Task("64-32-10, tanh, ten sigmoids", exports, model.predict_proba(test), [])


def regression(x: Numbers, y: Numbers, test: Numbers, folder: Path) -> Task:
    """64-10 without a hidden layer, which m2cgen has: the ten sums of logistic regression."""
    model = LogisticRegression(max_iter=1000).fit(x, y)
    net = peers.as_network([model.coef_.T], [model.intercept_], ["identity"])
    exports = [peers.plainnet(net, folder), peers.plainnet(net, folder, x), peers.m2cgen(model, 64, 10)]
    return Task("64-10, logistic regression", exports, model.decision_function(test), [])


# ---- Measuring -------------------------------------------------------------------------------------------------------


def measured(task: Task, test: Numbers, labels: Numbers, rounds: int, folder: Path, emulate: bool) -> list[list[str]]:
    """The rows of the task's table."""
    x = np.ascontiguousarray(test, np.float32)
    networks = [OnHost(export, folder, x.shape[1], task.expected.shape[1]) for export in task.exports]
    times = host_times(networks, x, rounds)
    rows = []
    for network, own in zip(networks, times):
        out = network(x)
        cortex = on_cortex(network.export, x, network.n_out, folder) if emulate else None
        difference = np.abs(out - task.expected).max()
        device = [f"{host_size(network.export, folder, x.shape[1], network.n_out)} (host)", "", ""]
        if cortex is not None:
            device = [f"{cortex.flash}", f"{cortex.ram}", f"{cortex.instructions:.0f}"]
        rows.append([
            network.export.name, *device, f"{1e6 * statistics.median(own):.2f} µs",
            f"{median_ratio(own, times[0]):.2f}", f"{difference:.1g}",
            f"{100 * np.mean(out.argmax(axis=1) == labels):.1f} %",
        ])  # fmt: skip
    return rows


def table(title: str, rows: Sequence[Sequence[str]]) -> str:
    head = [title, "flash", "RAM", "instructions", "host", "ratio", "largest difference", "right"]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1001, help="in which times are taken (default 1001)")
    parser.add_argument("--update", action="store_true", help="put the tables into docs/how_to/firmware.md")
    options = parser.parse_args()
    x, y = load_digits(return_X_y=True)
    train, test, labels, right = train_test_split(x / 16, y, test_size=1 / 3, random_state=0, stratify=y)
    emulate = all(map(shutil.which, ("arm-none-eabi-gcc", "qemu-system-arm")))
    texts = []
    for build in classes, sigmoids, regression:
        with tempfile.TemporaryDirectory() as scratch:
            task = build(train, labels, test, Path(scratch))
            rows = measured(task, test, right, options.rounds, Path(scratch), emulate)
        texts.append(table(task.title, rows))
        texts += ["\n".join(f"- {note}" for note in task.notes)] if task.notes else []
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("emlearn", "m2cgen", "scikit-learn"))
    text = "\n\n".join([*texts, f"With {versions}, and Debian's FANN."])
    print(text)
    if options.update:
        replace_passage(PAGE, "exports", text)


if __name__ == "__main__":
    main()
