"""
How far the results of `plainnet.sklearn` are from scikit-learn's, with equal settings and random states, in float64.

    python benchmarks/sklearn_agreement.py --page docs/how_to/scikit_learn.md
    python benchmarks/sklearn_agreement.py --only ways

`tests/sklearn_pairs.py` has the cases, which `tests/test_sklearn_pairs.py` tests. Needs scikit-learn. Takes about
two minutes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import sklearn.neural_network

import plainnet.sklearn
from page import replace_passage
from report import table

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from sklearn_pairs import (
    ACTIVATIONS,
    DATA,
    EPOCHS,
    SOLVERS,
    TOLERANCE,
    WAYS,
    Case,
    Difference,
    compare,
    fitted,
    grid,
    losses_of_confident_network,
)

MARK = "agreement"
STOCHASTIC = [solver for solver in SOLVERS if solver != "lbfgs"]


def shown(number: float) -> str:
    return "0" if number == 0 else f"{number:.0e}"


def solvers() -> str:
    """Every data set, activation and stochastic solver, after 50 epochs."""
    found = [(solver, activation, case, compare(case)) for solver, activation, case in grid() if solver != "lbfgs"]
    columns = [(data, is_scaled) for data, is_scaled in product(DATA, (True, False))]
    rows = [["", *(f"{data}, {scaling(is_scaled)}" for data, is_scaled in columns)]]
    for solver in STOCHASTIC:
        cells = [
            max(d.largest for name, _, case, d in found if name == solver and (case.data, case.is_scaled) == column)
            for column in columns
        ]
        rows.append([solver, *map(shown, cells)])
    over = [
        f"- {case.data}, {scaling(case.is_scaled)}, {solver}, {activation}: {numbers(difference)}."
        for solver, activation, case, difference in found
        if not difference.largest <= TOLERANCE
    ]
    same = sum(difference.n_iter[0] == difference.n_iter[1] for *_, difference in found)
    diverged = sum(difference.n_iter == (-1, -1) for *_, difference in found)
    return (
        f"{table(rows)}\n\n`n_iter_` is equal in {same} of the {len(found)} fits. In {diverged} of them, all of inputs "
        "as they are, training diverges, and both raise the same error. Above "
        f"{TOLERANCE:.0e} are:\n\n" + "\n".join(over)
    )


def scaling(is_scaled: bool) -> str:
    return "scaled" if is_scaled else "as it is"


def numbers(difference: Difference) -> str:
    return (
        f"loss curve {shown(difference.loss_curve)}, parameters {shown(difference.coefs)}, predictions "
        f"{shown(difference.predictions)}"
    )


def lost_digits() -> str:
    """What the formulas for the loss make of outputs near 0 and 1."""
    losses = losses_of_confident_network()
    return (
        "The parameters agree there, and the losses do not: where an output rounds to nearly 1, scikit-learn's "
        "log(1 - p) has few digits left. For the same network and data the loss is off by "
        f"{shown(abs(losses.sklearn / losses.exact - 1))} in scikit-learn and by "
        f"{shown(abs(losses.plainnet / losses.exact - 1))} in plainnet, relative to extended precision."
    )


def ways() -> str:
    """What estimators do beside a plain fit."""
    rows = [["", "loss_curve_", "coefs_, intercepts_", "predictions", "n_iter_"]]
    for name, case in WAYS.items():
        difference = compare(case)
        epochs = " and ".join(str(n) for n in sorted(set(difference.n_iter)))
        rows.append([name, *map(shown, difference[:3]), epochs])
    return table(rows)


def lbfgs() -> str:
    """L-BFGS, beside what scikit-learn makes of the same rows in the reverse order."""
    rows = [["lbfgs", "20 iterations: loss", "predictions", "last loss: scikit-learn", "plainnet", "rows reversed"]]
    for is_scaled, data, activation in product((True, False), DATA, ("relu", "tanh")):
        case = Case(data, is_scaled, {"activation": activation, "solver": "lbfgs"}, epochs=20)
        short, whole = compare(case), replace(case, epochs=1000)
        last = [
            fitted(sklearn.neural_network, whole), fitted(plainnet.sklearn, whole),
            fitted(sklearn.neural_network, replace(whole, how="reversed")),
        ]  # fmt: skip
        where_it_stops = [f"{fit.loss_:.3g} ({fit.n_iter_})" for fit in last]
        name = f"{data}, {scaling(is_scaled)}, {activation}"
        rows.append([name, shown(short.loss_curve), shown(short.predictions), *where_it_stops])
    return (
        f"{table(rows)}\n\nThe numbers of iterations stand in brackets. Each iteration of L-BFGS multiplies the errors "
        "of rounding, until the searches along its lines choose other steps. So scikit-learn's own last losses are as "
        "far apart when it has the same rows in reverse order, which only changes how its sums are rounded: that is "
        "the last column. On breast_cancer as it is, relu, the digits that scikit-learn's loss lacks lead elsewhere "
        "within 20 iterations."
    )


def growth() -> str:
    """How rounding grows with the number of epochs."""
    lengths = (50, 200, 1000)
    rows = [["", *(f"{n} epochs" for n in lengths)]]
    never = {"tol": 0.0, "n_iter_no_change": 10**9}
    for data in DATA:
        for solver in ("sgd, Nesterov", "adam"):
            cells = [compare(Case(data, True, {**SOLVERS[solver], **never}, epochs=n)).coefs for n in lengths]
            rows.append([f"{data}: {solver}", *map(shown, cells)])
    return table(rows)


PARTS: dict[str, tuple[str, list[Callable[[], str]]]] = {
    "solvers": (
        f"The largest differences after {EPOCHS} epochs: of `loss_curve_`, the arrays of `coefs_` and `intercepts_`, "
        "and predictions (probabilities, if there are classes), each relative to the largest number of its array, over "
        f"the activations {', '.join(ACTIVATIONS)}. The networks have two hidden layers, of 20 and 10 neurons.",
        [solvers, lost_digits],
    ),
    "ways": ("Other ways to train:", [ways]),
    "lbfgs": ("L-BFGS after 20 iterations and where it stops (at most 1000):", [lbfgs]),
    "growth": ("How differences of the parameters grow in long runs (scaled, relu, without an early end):", [growth]),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--page", help=f"put the tables there, between the comments that name {MARK!r}")
    arguments = parser.parse_args()
    text = "\n\n".join("\n\n".join([PARTS[name][0], *(part() for part in PARTS[name][1])]) for name in arguments.only)
    print(text)
    if arguments.page:
        replace_passage(Path(arguments.page), MARK, text)


if __name__ == "__main__":
    main()
