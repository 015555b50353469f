"""Tables of results, and whether they reach the goals."""

from __future__ import annotations

from dataclasses import dataclass

from measure import Race, Racer, ratio
from peers import NUMPY_TUTORIAL, NUMPY_WELL, OURS, OURS_AVX2, OURS_ONE_THREAD, PEAK, PLAIN_SGD
from workloads import WORKLOADS

BEST_OTHER = "best other"


@dataclass(frozen=True)
class Goal:
    """
    The ratio of a contender's time to plainnet's that is wanted; for the FMA peak, plainnet's share of it.

    Attributes
    ----------
    against : str
        The contender, or `BEST_OTHER`.
    variant : str or None
        One of its variants; None for the fastest.
    """

    workload: str
    dtype: str
    n_threads: int
    at_least: float
    aim: float
    against: str = BEST_OTHER
    variant: str | None = None
    ours: str = OURS


ADAM_RIVALS = [(BEST_OTHER, None), ("PyTorch", "eager"), ("scikit-learn", None)]
F32, F64 = "float32", "float64"

GOALS = [
    *(Goal("xor", dtype, 1, 400, 600, NUMPY_TUTORIAL) for dtype in (F32, F64)),
    *(Goal("xor", dtype, 1, 3.5, 5.5) for dtype in (F32, F64)),
    *(Goal("xor-loop", dtype, 1, 20, 35, NUMPY_TUTORIAL) for dtype in (F32, F64)),
    *(Goal("xor-loop", dtype, 1, 5, 9, "JAX", "jitted step") for dtype in (F32, F64)),
    Goal("tabular", F32, 1, 2.0, 2.7),
    Goal("tabular", F64, 1, 1.9, 2.4),
    Goal("digits", F32, 1, 1.15, 1.23),
    Goal("digits", F32, 2, 1.6, 2.0),
    Goal("digits", F64, 1, 1.55, 1.75),
    Goal("wide", F32, 1, 1.17, 1.27),
    Goal("wide", F32, 2, 1.2, 1.36),
    Goal("wide", F64, 1, 1.28, 1.4),
    Goal("wide", F32, 1, 0.82, 0.91, PEAK),
    Goal("wide", F32, 2, 0.82, 0.91, PEAK),
    Goal("wide", F64, 1, 0.82, 0.91, PEAK),
    Goal("rows-digits", F32, 1, 1.15, 1.35),
    Goal("rows-tabular", F32, 1, 1.2, 1.7),
    Goal("row-tabular", F32, 1, 4.5, 7.5),
    Goal("row-digits", F32, 1, 1.5, 2.2),
    Goal("sigmoid", F32, 1, 1.4, 1.6),
    Goal("sigmoid", F64, 1, 1.5, 1.8),
    Goal("tanh", F32, 1, 0.9, 1.2, NUMPY_WELL),
    Goal("tanh", F64, 1, 1.7, 2.3, NUMPY_WELL),
    *(
        Goal(workload, F32, n_threads, wanted, wanted, against, variant)
        for workload, *ratios in [
            ("adam-tabular", 2.2, 20, 20),
            ("adam-small", 1.6, 5, 7),
            ("adam-fmnist", 1.08, 1.8, 2.7),
        ]
        for n_threads in (1, 2)
        for wanted, (against, variant) in zip(ratios, ADAM_RIVALS, strict=True)
    ),
    Goal("wide", F32, 1, 1.05, 1.12, NUMPY_WELL, ours=OURS_AVX2),
    Goal("tabular", F32, 1, 3.5, 4.0, NUMPY_WELL, ours=OURS_AVX2),
    Goal("digits", F32, 1, 1.2, 1.3, NUMPY_WELL, ours=OURS_AVX2),
]

THREADS_MAY_LOSE = 0.03
THREADS_GAIN_WIDE = 1.8
ADAM_MAY_COST = 1.35  # times plain gradient descent, on adam-fmnist


def pretty_time(seconds: float) -> str:
    """Three digits and a unit."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def table(rows: list[list[str]]) -> str:
    """A Markdown table; the first row is the head. All columns but the first are aligned right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [
        "| " + " | ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in [rows[0], rule, *rows[1:]]
    ]
    return "\n".join(line + " |" for line in lines)


def summary(races: list[Race]) -> str:
    """A line for each race: plainnet's time, the best other, and the ratio."""
    rows = [["workload", "dtype", "threads", "plainnet", "per", "best other", "its time", "best other / plainnet"]]
    for race in races:
        ours, other = race.ours(), race.best_other()
        if ours is None or other is None:
            continue
        workload = WORKLOADS[race.workload]
        what = [workload.title, race.dtype, str(race.n_threads), pretty_time(ours.median), workload.unit]
        rows.append([*what, other.name, pretty_time(other.median), f"{ratio(other, ours):.2f}"])
    return table(rows)


def details(race: Race) -> str:
    """Every racer of one race, the fastest first."""
    workload, ours = WORKLOADS[race.workload], race.ours()
    head = f"{workload.title}, {race.dtype}, {race.n_threads} thread(s)"
    rows = [[head, f"time per {workload.unit}", "spread", "/ plainnet"]]
    for racer in sorted(race.racers, key=lambda racer: racer.median):
        times = sorted(racer.seconds)
        spread = (times[3 * len(times) // 4] - times[len(times) // 4]) / racer.median
        compared = f"{ratio(racer, ours):.2f}" if ours else ""
        rows.append([racer.name, pretty_time(racer.median), f"{100 * spread:.0f} %", compared])
    return table(rows)


def _against(goal: Goal, race: Race) -> Racer | None:
    return race.best_other() if goal.against == BEST_OTHER else race.find(goal.against, goal.variant)


def goals(races: list[Race]) -> str:
    """Every goal that was measured, and whether it is reached."""
    measured = {(race.workload, race.dtype, race.n_threads): race for race in races}
    rows = [["goal", "dtype", "threads", "against", "at least", "aim", "measured", "verdict"]]
    for goal in GOALS:
        race = measured.get((goal.workload, goal.dtype, goal.n_threads))
        if race is None:
            continue
        ours, other = race.ours(goal.ours), _against(goal, race)
        if ours is None or other is None:
            continue
        value = ratio(other, ours)
        verdict = "reached" if value >= goal.aim else "enough" if value >= goal.at_least else "MISSED"
        name = WORKLOADS[goal.workload].title + (", AVX2" if goal.ours == OURS_AVX2 else "")
        what = [name, goal.dtype, str(goal.n_threads), other.name]
        rows.append([*what, f"{goal.at_least:g}", f"{goal.aim:g}", f"{value:.3g}", verdict])
    return table(rows) if len(rows) > 1 else ""


def thread_gain(races: list[Race]) -> str:
    """How much faster plainnet is with more threads than with one."""
    rows = [["more threads against one, plainnet", "dtype", "threads", "gain", "verdict"]]
    for race in races:
        ours, one = race.ours(), race.ours(OURS_ONE_THREAD)
        if ours is None or one is None:
            continue
        gain = ratio(one, ours)
        wanted = THREADS_GAIN_WIDE if race.workload == "wide" else 1 - THREADS_MAY_LOSE
        verdict = "reached" if gain >= wanted else f"MISSED ({wanted:g})"
        rows.append([WORKLOADS[race.workload].title, race.dtype, str(race.n_threads), f"{gain:.2f}", verdict])
    return table(rows) if len(rows) > 1 else ""


def optimizer_cost(races: list[Race]) -> str:
    """How much longer plainnet takes with a workload's optimizer than with plain gradient descent."""
    rows = [["optimizer against plain SGD, plainnet", "dtype", "threads", "ratio", "verdict"]]
    for race in races:
        ours, plain = race.ours(), race.find(OURS, PLAIN_SGD)
        if ours is None or plain is None:
            continue
        cost, verdict = ratio(ours, plain), ""
        if race.workload == "adam-fmnist":
            verdict = "reached" if cost <= ADAM_MAY_COST else f"MISSED ({ADAM_MAY_COST:g})"
        rows.append([WORKLOADS[race.workload].title, race.dtype, str(race.n_threads), f"{cost:.2f}", verdict])
    return table(rows) if len(rows) > 1 else ""
