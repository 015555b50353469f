"""
Draws the results of run.py for the README: time a step against hidden width, and the workloads side by side.

    python benchmarks/picture.py
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from measure import Race, ratio
from peers import NOT_OTHERS, OURS
from workloads import CURVE_WIDTHS, WORKLOADS

HERE = Path(__file__).parent
COLOURS = {
    OURS: "#c2185b",
    "NumPy, tutorial": "#9e9e9e",
    "NumPy, written well": "#4d4d4d",
    "scikit-learn": "#f57c00",
    "PyTorch": "#d32f2f",
    "JAX": "#1976d2",
    "ONNX Runtime": "#388e3c",
    "FANN": "#6d4c41",
}
BARS = [
    "xor", "xor-loop", "tabular", "digits", "digits-all", "wide", "adam-tabular", "adam-small", "adam-fmnist",
    "row-tabular", "rows-tabular", "row-digits", "rows-digits", "row-wide",
]  # fmt: skip


def contenders_of(races: list[Race]) -> list[str]:
    """The libraries of these races, in a fixed order."""
    present = {family(racer.contender) for race in races for racer in race.racers}
    return [name for name in COLOURS if name in present]


def family(contender: str) -> str:
    """The library that a contender belongs to; the two NumPy programs count as two."""
    return next((name for name in COLOURS if contender.startswith(name)), contender)


def fastest(race: Race, name: str) -> float | None:
    """Median seconds of the fastest variant of a library."""
    times = [
        racer.median
        for racer in race.racers
        if family(racer.contender) == name and (racer.contender == OURS or racer.contender not in NOT_OTHERS)
    ]
    return min(times, default=None)


def draw_curve(axes: Axes, races: list[Race]) -> None:
    """Microseconds a step against hidden width."""
    for name in contenders_of(races):
        points = [(WORKLOADS[race.workload].sizes[1], fastest(race, name)) for race in races]
        points = sorted((width, 1e6 * seconds) for width, seconds in points if seconds is not None)
        if not points:
            continue
        ours = name == OURS
        axes.plot(
            *zip(*points, strict=True), marker="o", markersize=4, linewidth=2.6 if ours else 1.4,
            color=COLOURS[name], zorder=3 if ours else 2,
        )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="hidden width w", title="One training step of 16-w-w-1, batch 32")
    axes.set_ylabel("microseconds (less is better)")
    axes.set_xticks(CURVE_WIDTHS, [str(width) for width in CURVE_WIDTHS])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def draw_ratios(axes: Axes, races: list[Race]) -> None:
    """The ratio of every library's time to plainnet's, a line for each workload."""
    by_name = {race.workload: race for race in races}
    names = [name for name in reversed(BARS) if name in by_name]
    for y, name in enumerate(names):
        race = by_name[name]
        ours = race.ours()
        if ours is None:
            continue
        for library in contenders_of([race]):
            mine = [r for r in race.racers if family(r.contender) == library and r.contender not in NOT_OTHERS]
            if mine:
                best = min(mine, key=lambda racer: racer.median)
                axes.plot(ratio(best, ours), y, "o", markersize=7, color=COLOURS[library], alpha=0.9)
    axes.axvline(1, color=COLOURS[OURS], linewidth=2.6)
    axes.set_yticks(range(len(names)), [WORKLOADS[name].title for name in names], fontsize=8)
    axes.set(xscale="log", xlabel="times plainnet's time (right of the line: slower)", title="Everything else")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=HERE / "results" / "results.json")
    parser.add_argument("--output", type=Path, default=HERE.parent / "docs" / "benchmarks.png")
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()

    content = json.loads(arguments.results.read_text())
    races = [Race.from_dict(value) for value in content["races"]]
    races = [race for race in races if (race.dtype, race.n_threads) == (arguments.dtype, arguments.threads)]
    races = [race for race in races if race.workload.startswith("curve-") or race.workload in BARS]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.8), width_ratios=(1, 1.05), layout="constrained")
    draw_curve(left, [race for race in races if race.workload.startswith("curve-")])
    draw_ratios(right, races)
    for axes in (left, right):
        axes.grid(which="major", color="#e0e0e0", linewidth=0.7)
        axes.spines[["top", "right"]].set_visible(False)
    threads = "1 thread" if arguments.threads == 1 else f"{arguments.threads} threads"
    handles = [
        Line2D([], [], color=COLOURS[name], marker="o", linewidth=2.6 if name == OURS else 1.4, label=name)
        for name in contenders_of(races)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8)
    figure.suptitle(f"{arguments.dtype}, {threads}, {content['machine']['CPU']}", fontsize=9, color="#616161")
    arguments.output.parent.mkdir(exist_ok=True)
    figure.savefig(arguments.output, dpi=160)


if __name__ == "__main__":
    main()
