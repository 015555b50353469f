"""
A step of the playground's kernels in Node, and in C with the instruction set "baseline": 2-8-8-8-8-8-1, 500 rows.

    python benchmarks/playground_kernels.py        # needs Node

Prints microseconds a step, the best of several rounds in which the two take turns.
"""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import plainnet as pn

SIZES = [2, 8, 8, 8, 8, 8, 1]
ROWS = 500
ROUNDS = 5
#: name: (optimizer, batch size, epochs in a call)
RUNS = {
    "SGD, batch 10": ("SGD", 10, 20), "SGD, all rows": ("SGD", ROWS, 200),
    "Adam, batch 10": ("Adam", 10, 20), "Adam, all rows": ("Adam", ROWS, 200),
}  # fmt: skip

#: Times each run of `runs`, in microseconds a step, after so many calls that Node has compiled it for speed.
SCRIPT = """
const time = async ({ layers, x, y, runs }) => {
  const plainnet = await loadPlainnet(PLAINNET_WASM);
  return Object.entries(runs).map(([name, [optimizer, batchSize, epochs]]) => {
    const net = new plainnet.Network({ layers, loss: "log_loss", optimizer });
    const data = [Float64Array.from(x), Float64Array.from(y)];
    const call = () => net.fit(...data, { epochs, batchSize, shuffle: false });
    const times = Array.from({ length: 20 }, () => {
      const steps = net.nSteps, start = performance.now();
      call();
      return (performance.now() - start) / (net.nSteps - steps) * 1000;
    });
    net.free();
    return Math.min(...times);
  });
};
time(JSON.parse(require("fs").readFileSync(0))).then((times) => console.log(JSON.stringify(times)));
"""


def layers() -> list[tuple[int, int, str]]:
    return [(n_in, n_out, "tanh" if n_out > 1 else "sigmoid") for n_in, n_out in itertools.pairwise(SIZES)]


def best(call: Callable[[], object], steps: int) -> float:
    times = []
    for _ in range(20):
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) / steps * 1e6)
    return min(times)


def in_c(x: np.ndarray, y: np.ndarray) -> list[float]:
    times = []
    for optimizer, batch_size, epochs in RUNS.values():
        dense = [pn.Dense(*layer) for layer in layers()]
        net = pn.Network(dense, loss="log_loss", optimizer=getattr(pn, optimizer)(), seed=0)

        def call(net: pn.Network = net, batch_size: int = batch_size, epochs: int = epochs) -> object:
            return net.fit(x, y, epochs=epochs, batch_size=batch_size, shuffle=False)

        times.append(best(call, epochs * ROWS // batch_size))
    return times


def in_node(node: str, x: np.ndarray, y: np.ndarray) -> list[float]:
    folder = Path(__file__).resolve().parent.parent / "playground"
    scripts = [(folder / name).read_text() for name in ("wasm.js", "random.js", "kernels.js")]
    given = {
        "layers": [{"nIn": n_in, "nOut": n_out, "activation": f} for n_in, n_out, f in layers()],
        "x": x.ravel().tolist(), "y": y.ravel().tolist(), "runs": RUNS,
    }  # fmt: skip
    program = "\n".join([*scripts, SCRIPT])
    done = subprocess.run(
        [node, "-e", program], input=json.dumps(given), stdout=subprocess.PIPE, text=True, check=True
    )
    times: list[float] = json.loads(done.stdout)
    return times


def main() -> None:
    node = shutil.which("node")
    if node is None:
        sys.exit("Node is not installed; on Debian: apt-get install nodejs")
    if not (Path(__file__).resolve().parent.parent / "playground" / "wasm.js").exists():
        sys.exit("the kernels are not compiled: python playground/build.py --kernels-only")
    pn.native.set_isa("baseline")
    pn.native.set_num_threads(1)
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (ROWS, 2))
    y = (x[:, :1] * x[:, 1:] > 0).astype(float)
    rounds = np.array([[in_c(x, y), in_node(node, x, y)] for _ in range(ROUNDS)]).min(axis=0)
    print(f"{'microseconds a step':20}{'C':>8}{'Node':>8}{'ratio':>8}")
    for name, c, wasm in zip(RUNS, *rounds):
        print(f"{name:20}{c:8.1f}{wasm:8.1f}{wasm / c:8.2f}")


if __name__ == "__main__":
    main()
