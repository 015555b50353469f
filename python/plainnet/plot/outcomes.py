"""What a network predicts: regions of classes, the confusion matrix, and numbers against the truth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..arrays import Array, check_training_data
from ..conversion import shown
from ..losses import described
from ..metrics import mean_absolute_error, r2
from ..network import Network
from .canvas import BLACK, COLOURS, GREY, as_axes, check_network, extent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Of classes: with the colours, the first 40 differ in one or the other.
_MARKERS = ("o", "s", "^", "D", "v")

#: With more classes, their numbers do not fit into the cells.
_MAX_NUMBERED = 30

#: Points from the name of a class to the next one: with less space, only every second or third has one.
_LEAST_TICK = 8.0


def decision_boundary(
    net: Network, x: npt.ArrayLike, y: npt.ArrayLike, ax: Axes | None = None, classes: Sequence[str] | None = None
) -> Axes:
    """
    The class that a network predicts for every pair of two inputs, and the points `x` in the colours of their classes.

    A region is the paler, the less sure the network is. Lines are where two classes are equally probable.

    Parameters
    ----------
    net : Network
        With two inputs, and a sigmoid or softmax at the end.
    x : array_like (n_samples, 2)
    y : array_like
        Targets, as for ``fit``; of several sigmoids, each row has one that is 1.
    ax : matplotlib.axes.Axes, optional
        By default those of a new figure.
    classes : sequence of str, optional
        Their names; by default their numbers.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        Naming the argument and what is allowed.
    ImportError
        Without matplotlib.
    """
    check_network(net)
    if net.layers[0].n_in != 2:
        raise ValueError(
            f"a decision boundary is drawn over two inputs, and net has n_in = {net.layers[0].n_in}; "
            "pn.plot.predictions draws those of any network"
        )
    points, targets = _data(net, x, y)
    if not _tells_classes(net, targets):
        raise ValueError(
            "a decision boundary needs classes, so a sigmoid or a softmax as the last layer's activation, and targets "
            f"0 and 1 or labels; net has {net.layers[-1].activation}; pn.plot.predictions draws numbers"
        )
    truth, names = _true_classes(net, targets), _class_names(net, classes)
    n_wrong = int(np.count_nonzero(_predicted_classes(_outputs(net, points)) != truth))
    ax = as_axes(ax, (6.5, 5))
    _show_regions(ax, net, points)
    size = float(np.clip(9000 / len(points), 8, 50))
    for k in np.unique(truth):
        rows = points[truth == k]
        ax.scatter(
            rows[:, 0], rows[:, 1], s=size, color=COLOURS[k % len(COLOURS)], marker=_MARKERS[k % len(_MARKERS)],
            edgecolors=BLACK, linewidths=0.5, label=names[k], zorder=3,
        )  # fmt: skip
    columns = _column_names(x)
    ax.set(xlabel=columns[0], ylabel=columns[1])
    ax.set_title(f"Predictions: {_score(n_wrong, len(points), 'points')}", fontsize=10)
    n_columns = 1 + (len(names) - 1) // 20
    ax.legend(title="true class", loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, ncols=n_columns)
    return ax


def predictions(
    net: Network, x: npt.ArrayLike, y: npt.ArrayLike, ax: Axes | None = None, classes: Sequence[str] | None = None
) -> Axes:
    """
    What a network predicts, against the truth: the confusion matrix of classes, or numbers with the diagonal.

    A network tells classes apart if it has cross entropy or log loss, or a sigmoid at the end and targets 0 and 1.
    The confusion matrix has the numbers of rows, and the share of the true class as colour.

    Parameters
    ----------
    net : Network
    x : array_like (n_samples, n_in)
    y : array_like
        Targets, as for ``fit``; of several sigmoids, each row has one that is 1.
    ax : matplotlib.axes.Axes, optional
        By default those of a new figure.
    classes : sequence of str, optional
        The names of the classes; by default their numbers.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        Naming the argument and what is allowed.
    ImportError
        Without matplotlib.
    """
    check_network(net)
    rows, targets = _data(net, x, y)
    if _tells_classes(net, targets):
        truth, names = _true_classes(net, targets), _class_names(net, classes)
        predicted = _predicted_classes(_outputs(net, rows))
        side = float(np.clip(2 + 0.5 * len(names), 4.5, 12))
        ax = as_axes(ax, (side, side))
        _show_confusion(ax, truth, predicted, names)
        return ax
    if classes is not None:
        raise ValueError(f"classes are of networks that tell classes apart; net has the loss {shown(net.loss)}")
    outputs, are_rates = _outputs(net, rows), described(net.loss, net.dtype).name == "poisson"
    ax = as_axes(ax, (5.5, 5.5))
    _show_numbers(ax, targets, outputs, are_rates)
    return ax


def _data(net: Network, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Array, Array]:
    """`x` and `y` as the network has them, finite, with targets that its loss allows."""
    rows, targets = net._pair(x, y)
    check_training_data(rows, targets, net._model.loss)
    return rows, targets


def _outputs(net: Network, rows: Array) -> Array:
    """What the network predicts, finite: with the Poisson loss, whose outputs are logarithms, the rates."""
    outputs = net.predict(rows)
    if described(net.loss, net.dtype).name == "poisson":
        with np.errstate(over="ignore"):
            outputs = np.exp(outputs)
    finite = np.isfinite(outputs).all(axis=1)
    if not finite.all():
        row = int(finite.argmin())
        raise ValueError(f"net predicts {shown(outputs[row].tolist())} for row {row} of x: only numbers can be drawn")
    return outputs


def _tells_classes(net: Network, targets: Array) -> bool:
    if described(net.loss, net.dtype).name in ("cross_entropy", "log_loss"):
        return True
    return net.layers[-1].activation == "sigmoid" and bool(np.isin(targets, (0, 1)).all())


def _true_classes(net: Network, targets: Array) -> npt.NDArray[np.intp]:
    """The class number of each row."""
    if targets.ndim == 1:
        return targets.astype(np.intp)
    if targets.shape[1] == 1:
        return (targets[:, 0] >= 0.5).astype(np.intp)
    if net.layers[-1].activation == "sigmoid":
        wrong = (targets >= 0.5).sum(axis=1) != 1
        if wrong.any():
            row = int(wrong.argmax())
            raise ValueError(
                f"y's row {row} is {shown(targets[row].tolist())}: a picture of classes needs rows of which one output "
                "is 1 and the others are 0"
            )
    return _most_probable(targets)


def _predicted_classes(outputs: Array) -> npt.NDArray[np.intp]:
    if outputs.shape[1] == 1:
        return (outputs[:, 0] >= 0.5).astype(np.intp)
    return _most_probable(outputs)


def _most_probable(probabilities: Array) -> npt.NDArray[np.intp]:
    return np.asarray(probabilities.argmax(axis=1), np.intp)


def _probabilities(outputs: Array) -> Array:
    """Of each class (n_rows, n_classes); a single output is the probability of the second of two classes."""
    return np.column_stack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs


def _class_names(net: Network, classes: Sequence[str] | None) -> list[str]:
    n_classes = max(net.layers[-1].n_out, 2)
    if classes is None:
        return [str(k) for k in range(n_classes)]
    names = [str(name) for name in classes] if isinstance(classes, Iterable) else []
    if isinstance(classes, str) or len(names) != n_classes:
        raise ValueError(f"classes must be {n_classes} names, one for each class, not {shown(classes)}")
    return names


def _score(n_wrong: int, n: int, what: str) -> str:
    """How many are right, with as many digits as it takes to tell that from all, and from none."""
    percent, digits = 100 * (n - n_wrong) / n, 1
    while 0 < n_wrong < n and float(f"{percent:.{digits}f}") in (0, 100):
        digits += 1
    return f"{percent:.{digits}f}% right, {n_wrong} of {n} {what} wrong"


def _column_names(x: object) -> list[str]:
    """The names of two inputs: those of a data frame's columns, if `x` is one."""
    columns = getattr(x, "columns", None)
    names = [str(name) for name in columns] if isinstance(columns, Iterable) else []
    return names if len(names) == 2 else ["first input", "second input"]


def _show_regions(ax: Axes, net: Network, points: Array, n_steps: int = 300) -> None:
    """Colours the plane around `points` by the predicted class, and draws the lines between classes."""
    from matplotlib.colors import to_rgb

    low, high = points.min(axis=0).astype(np.float64), points.max(axis=0).astype(np.float64)
    margin = np.where(high > low, 0.12 * (high - low), np.maximum(0.5, 1e-3 * np.abs(high)))
    ticks = [np.linspace(low[k] - margin[k], high[k] + margin[k], n_steps) for k in range(2)]
    x1, x2 = np.meshgrid(*ticks)
    outputs = net.predict(np.column_stack([x1.ravel(), x2.ravel()])).astype(np.float64)
    probabilities = _probabilities(outputs)
    order = np.sort(probabilities, axis=1)
    lead = order[:, -1] - order[:, -2]  # of the most probable class over the next one
    palette = np.array([to_rgb(COLOURS[k % len(COLOURS)]) for k in range(probabilities.shape[1])])
    strength = (0.08 + 0.37 * lead)[:, np.newaxis]
    image = 1 - strength * (1 - palette[probabilities.argmax(axis=1)])
    half = 0.5 * (high - low + 2 * margin) / (n_steps - 1)  # of a pixel, whose centre is at the tick
    extent = (x1.min() - half[0], x1.max() + half[0], x2.min() - half[1], x2.max() + half[1])
    ax.imshow(image.reshape(n_steps, n_steps, 3), extent=extent, origin="lower", aspect="auto", interpolation="nearest")
    best = order[:, -1]
    for k in range(1 if probabilities.shape[1] == 2 else 0, probabilities.shape[1]):
        others = np.where(probabilities[:, k] == best, order[:, -2], best)
        margins = (probabilities[:, k] - others).reshape(n_steps, n_steps)
        if margins.min() < 0 < margins.max():
            ax.contour(x1, x2, margins, levels=[0], colors=BLACK, linewidths=1, linestyles="solid")


def _show_confusion(ax: Axes, truth: Array, predicted: Array, names: list[str]) -> None:
    n_classes = len(names)
    counts = np.bincount(truth * n_classes + predicted, minlength=n_classes**2).reshape(n_classes, n_classes)
    of_class = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(of_class, 1)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    width = min(extent(ax)) / n_classes
    if n_classes <= _MAX_NUMBERED:
        digits = max(len(str(counts.max())), 2)
        for (i, j), count in np.ndenumerate(counts):
            ax.text(
                j, i, str(count), ha="center", va="center", fontsize=float(np.clip(1.2 * width / digits, 5, 12)),
                color="white" if shares[i, j] > 0.55 else GREY if count == 0 else BLACK,
            )  # fmt: skip
    is_long = n_classes > 3 and max(map(len, names)) > 3
    step = max(1, int(np.ceil(_LEAST_TICK / width)))
    ticks, shown_names = range(0, n_classes, step), names[::step]
    ax.set_xticks(ticks, shown_names, rotation=45 if is_long else 0, ha="right" if is_long else "center")
    ax.set_yticks(ticks, shown_names)
    ax.tick_params(labelsize=float(np.clip(0.8 * width * step, 5, 10)))
    ax.set(xlabel="predicted class", ylabel="true class")
    score = _score(int(counts.sum() - np.trace(counts)), int(counts.sum()), "rows")
    counted = "counts; " if n_classes <= _MAX_NUMBERED else ""
    ax.set_title(f"{score}\n{counted}colour: share of the true class", fontsize=10)


def _show_numbers(ax: Axes, truth: Array, outputs: Array, are_rates: bool) -> None:
    size = float(np.clip(6000 / len(truth), 5, 30))
    n_out = truth.shape[1]
    for k in range(n_out):
        ax.scatter(
            truth[:, k], outputs[:, k], s=size, color=COLOURS[k % len(COLOURS)], marker=_MARKERS[k % len(_MARKERS)],
            alpha=0.6, linewidths=0, label=f"output {k}" if n_out > 1 else "rows",
        )  # fmt: skip
    low, high = float(min(truth.min(), outputs.min())), float(max(truth.max(), outputs.max()))
    margin = 0.04 * (high - low) or max(0.5, 1e-3 * abs(high))
    ends = [low - margin, high + margin]
    ax.plot(ends, ends, color=GREY, linestyle="--", linewidth=1.2, label="prediction = truth")
    ax.set(xlim=ends, ylim=ends, aspect="equal", xlabel="truth")
    ax.set_ylabel("predicted rate" if are_rates else "prediction")
    ax.grid(alpha=0.3)
    ax.legend(frameon=False)
    scores = f"R² {r2(truth, outputs, None):.3f}, mean absolute error {mean_absolute_error(truth, outputs, None):.4g}"
    ax.set_title(f"{len(truth)} rows: {scores}", fontsize=10)
