"""What ``plainnet xor`` prints, as text of at most 80 columns."""

from __future__ import annotations

import itertools
import math
import statistics
import textwrap
from collections.abc import Sequence

from .xor import BACKEND_TITLES, Result, Starts, System

# ---- One starting point ----------------------------------------------------------------------------------------------


def describe(system: System, learning_rate: float) -> str:
    """Two or three lines on what the network is and where it is from."""
    activations = ", then ".join(layer.activation for layer in system.layers)
    bias = "" if all(layer.has_bias for layer in system.layers) else ", no biases"
    return (
        f"{system.name}: {system.shape}, {activations}{bias}\n"
        f"  loss {system.loss}, learning rate {learning_rate:g}, starting weights {system.init}\n"
        f"  after {system.source}"
    )


def table_epochs(epochs: int) -> list[int]:
    """The first epoch, powers of ten, and the last: at most six."""
    powers = [10**k for k in range(20) if 10**k < epochs - 1]
    return sorted({0, *powers[-4:], epochs - 1})


def report(result: Result) -> str:
    """Loss, predictions, differences and times, as text of at most 80 columns."""
    system, runs = result.system, result.runs
    lines = [describe(system, result.learning_rate), ""]

    chosen = table_epochs(result.epochs)
    lines += [f"  {'epoch':12}" + "".join(f"{epoch:>10}" for epoch in chosen)]
    for backend, run in runs.items():
        name = f"loss, {BACKEND_TITLES[backend]}"
        lines += [f"  {name:12}" + "".join(f"{run.loss[epoch]:10.4g}" for epoch in chosen)]

    width = 2 * len(system.x[0])
    lines += ["", f"  {'input':{width}} truth" + "".join(f"{BACKEND_TITLES[backend]:>12}" for backend in runs)]
    for k, (row, truth) in enumerate(zip(system.x, system.y, strict=True)):
        values = [float(run.predictions[k, 0]) for run in runs.values()]
        verdict = "right" if all((value > 0.5) == (truth[0] > 0.5) for value in values) else "wrong"
        inputs = " ".join(map(str, row))
        lines += [f"  {inputs:{max(width, 5)}} {truth[0]:5}" + "".join(f"{v:12.8f}" for v in values) + f"  {verdict}"]
    if not result.solved:
        lines += [f"  Not solved: {result.n_right} of 4 right. Another --seed may; --starts 1000 counts them."]

    lines += ["", *_report_check(result), *_report_times(result)]
    return "\n".join(lines)


def _report_check(result: Result) -> list[str]:
    check = result.check
    if check is None:
        return []
    verdict = "the backends agree" if check.agree else "THE BACKENDS DISAGREE"
    return [
        f"  largest relative differences (tolerance {check.tolerance:g}): {verdict}",
        f"    parameters {check.parameters:.1e}, predictions {check.predictions:.1e}, loss curve {check.loss:.1e}",
    ]


def _report_times(result: Result) -> list[str]:
    medians = {backend: statistics.median(run.seconds) for backend, run in result.runs.items()}
    n = len(result.first.seconds)
    each = ", ".join(
        f"{BACKEND_TITLES[backend]} {_duration(seconds)} ({seconds / result.epochs * 1e6:.2f} us an epoch)"
        for backend, seconds in medians.items()
    )
    ratio = ""
    if len(medians) == 2:
        quotient = medians["numpy"] / medians["c"]
        ratio = f"; NumPy takes {quotient:.{0 if quotient >= 10 else 1}f} times as long"
    return [f"  time of {result.epochs} epochs, median of {n} runs{ratio}", f"    {each}"]


def _duration(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms" if seconds < 1 else f"{seconds:.2f} s"

# ---- Many starting points --------------------------------------------------------------------------------------------


def report_starts(starts: Starts) -> str:
    """How many solve XOR, a histogram of the final losses, and why the others do not."""
    solved, system = starts.solved, starts.system
    lines = [f"  {sum(solved)} of {len(solved)} starting points solve XOR after {starts.epochs} epochs."]
    lines += ["", *histogram(starts.losses, solved), ""]
    stuck = [k for k in range(len(solved)) if not solved[k]]
    if stuck:
        examples = ", ".join(f"--seed {starts.first_seed + k}" for k in stuck[:3])
        lines += _wrapped(f"Why {'the other is' if len(stuck) == 1 else 'the others are'} stuck: {system.stuck}.")
        lines += [f"  For example: {examples}."]
    if starts.checks:
        worst = {part: max(getattr(c, part) for c in starts.checks) for part in ("parameters", "predictions", "loss")}
        n_agree = sum(check.agree for check in starts.checks)
        lines += [
            f"  The backends agree from {n_agree} of {len(starts.checks)} starts "
            f"(tolerance {starts.checks[0].tolerance:g}); largest differences:",
            f"    parameters {worst['parameters']:.1e}, predictions {worst['predictions']:.1e}, "
            f"loss curve {worst['loss']:.1e}",
        ]
    return "\n".join(lines)


def histogram(losses: Sequence[float], solved: Sequence[bool], width: int = 40) -> list[str]:
    """
    Counts of `losses` in bins whose bounds are 1, 2 and 5 times powers of ten.

    Bars have ``#`` for starts that solved the problem and ``.`` for those that did not, rounded up to whole characters.
    """
    clipped = [max(loss, 1e-300) for loss in losses]
    diverged = [k for k, loss in enumerate(clipped) if loss > 1e300]
    finite = [loss for loss in clipped if loss <= 1e300]
    bounds = _one_two_five(min(finite), max(finite)) if finite else []
    bins = list(itertools.pairwise(bounds))
    members = [[k for k, loss in enumerate(clipped) if low <= loss < high] for low, high in bins]
    labels = [f"{low:7.3g} to {high:6.3g}" for low, high in bins]
    if diverged:
        members.append(diverged)
        labels.append("diverged")
    most = max(map(len, members))
    lines = [f"  {'final loss':>17}   starts   # solved   . not solved"]
    for label, inside in zip(labels, members, strict=True):
        n_solved = sum(solved[k] for k in inside)
        bar = "".join(
            mark * math.ceil(count * width / most) for mark, count in (("#", n_solved), (".", len(inside) - n_solved))
        )
        lines.append(f"  {label:>17}  {len(inside):7}   {bar}".rstrip())
    return lines


def _one_two_five(low: float, high: float, most: int = 20) -> list[float]:
    """1, 2 and 5 times powers of ten, from the last up to `low` to the first above `high`; about `most` of them."""
    decades = range(math.floor(math.log10(low)) - 1, math.floor(math.log10(high)) + 2)
    steps = [step * 10.0**decade for decade in decades for step in (1, 2, 5)]
    first = max(k for k, step in enumerate(steps) if step <= low)
    last = min(k for k, step in enumerate(steps) if step > high)
    return [*steps[first : last : math.ceil((last - first) / most)], steps[last]]


def _wrapped(text: str, width: int = 78) -> list[str]:
    return textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="  ")
