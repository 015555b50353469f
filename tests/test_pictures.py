"""plainnet.plot: what is drawn is what the network has learned, into the axes that are given; and what is refused."""

import itertools
import subprocess
import sys

import numpy as np
import pytest

import plainnet as pn
from plainnet.history import History

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

from matplotlib import pyplot  # noqa: E402
from matplotlib.colors import same_color  # noqa: E402

BLUE, VERMILLION = "#0072B2", "#D55E00"


@pytest.fixture(autouse=True)
def no_figure_left_open():
    assert pyplot.get_fignums() == []
    yield
    pyplot.close("all")


@pytest.fixture
def given():
    """Axes of a figure that is not the current one of pyplot."""
    ax = pyplot.subplots()[1]
    pyplot.figure()
    return ax


def draw(ax):
    """Draws the figure, which is when warnings come."""
    ax.figure.canvas.draw()
    return ax


def classifier(n_classes, activation="softmax", loss="cross_entropy", n_in=2, **options):
    n_out = 1 if activation == "sigmoid" and n_classes == 2 else n_classes
    layers = [pn.Dense(n_in, 8, "tanh"), pn.Dense(8, n_out, activation)]
    return pn.Network(layers, loss=loss, seed=0, optimizer=pn.Adam(1e-2), **options)


def classes(n_classes, n_rows=120, n_in=2, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, n_rows - n_classes)])
    angle = 2 * np.pi * labels / n_classes
    centres = 3 * np.column_stack([np.cos(angle), np.sin(angle), *[angle] * (n_in - 2)])
    return centres + rng.normal(size=(n_rows, n_in)), labels


def regression(n_out=1, loss="mean_squared_error", n_rows=50):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n_rows, 3))
    net = pn.Network([pn.Dense(3, 5, "tanh"), pn.Dense(5, n_out)], loss=loss, seed=0)
    return net, x, np.abs(x[:, :n_out] * 3)


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines()}


# ---- history ---------------------------------------------------------------------------------------------------------


def run(epochs, **options):
    x, labels = classes(3)
    return classifier(3).fit(x, labels, epochs=epochs, batch_size=20, **options)


@pytest.mark.parametrize("epochs", [1, 2, 40])
def test_history_draws_the_loss_of_each_epoch(epochs):
    history = run(epochs)
    ax = draw(history.plot())
    (line,) = ax.get_lines()
    np.testing.assert_array_equal(line.get_xdata(), np.arange(1, epochs + 1))
    np.testing.assert_array_equal(line.get_ydata(), history.loss)
    assert (ax.get_xlabel(), ax.get_ylabel(), line.get_label()) == ("epoch", "loss", "loss")
    assert (line.get_marker() == "o") == (epochs <= 20)  # a line of one point shows nothing
    assert str(epochs) in ax.get_title()
    assert all(tick == round(tick) for tick in ax.get_xticks())
    assert ax.get_legend() is not None


def test_history_draws_validation_and_metrics():
    history = run(8, validation=0.25, metrics="accuracy")
    ax = draw(history.plot())
    np.testing.assert_array_equal(lines(ax)["training loss"].get_ydata(), history.loss)
    np.testing.assert_array_equal(lines(ax)["validation loss"].get_ydata(), history.validation_loss)
    right = ax.figure.axes[-1]
    assert right is not ax
    (line,) = right.get_lines()
    np.testing.assert_array_equal(line.get_ydata(), history.metrics["accuracy"])
    assert right.get_ylabel() == "accuracy"
    texts = [text.get_text() for text in right.get_legend().get_texts()]
    assert texts == ["training loss", "validation loss", "validation accuracy (right)"]


def test_history_draws_the_metrics_that_are_chosen():
    history = History(np.ones(3), np.ones(3), None, {"r2": np.arange(3.0), "mean_absolute_error": np.full(3, 1e6)})
    assert len(history.plot().figure.axes[-1].get_lines()) == 2
    for chosen in ("r2", ["r2"]):
        (line,) = history.plot(metrics=chosen).figure.axes[-1].get_lines()
        assert line.get_label() == "r2 (right)"
    assert len(history.plot(metrics=[]).figure.axes) == 1
    with pytest.raises(ValueError, match=r"unknown entry of metrics 'r3'; allowed are 'r2', 'mean_absolute_error'"):
        history.plot(metrics=["r2", "r3"])
    with pytest.raises(TypeError, match="metrics must be names, not 3"):
        history.plot(metrics=3)
    with pytest.raises(ValueError, match="metrics must be None, not 'r2': fit computed none"):
        run(1).plot(metrics="r2")


def test_history_marks_the_best_epoch_and_says_why_it_ended():
    x, labels = classes(3)
    stopping = pn.EarlyStopping(patience=3)
    history = classifier(3).fit(x, labels, 500, batch_size=5, learning_rate=0.05, validation=0.3, callbacks=stopping)
    assert len(history.loss) < 500
    ax = draw(history.plot())
    mark = lines(ax)[f"best epoch: {history.best_epoch}"]
    assert set(mark.get_xdata()) == {history.best_epoch}
    assert " ".join(ax.get_title().split()).lower().endswith(history.stopped.lower())


@pytest.mark.parametrize(
    ("losses", "scale"), [([1, 0.02], "linear"), ([1, 0.005], "log"), ([1, -1e-9], "linear"), ([1, 0], "linear")]
)
def test_history_is_logarithmic_over_more_than_two_decades(losses, scale):
    ax = draw(History(np.array(losses, float), np.ones(2)).plot())
    assert ax.get_yscale() == scale
    assert ax.get_ylabel() == ("loss (log scale)" if scale == "log" else "loss")


def test_history_takes_losses_that_are_not_finite():
    ax = draw(History(np.array([1.0, 0.5]), np.ones(2), np.array([np.nan, np.inf])).plot())
    assert ax.get_yscale() == "linear"


def test_history_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no finished epoch"):
        run(0).plot()
    with pytest.raises(TypeError, match="history must be a History, as fit returns it, not list"):
        pn.plot.history([1.0, 0.5])
    assert pyplot.get_fignums() == []


# ---- decision_boundary -----------------------------------------------------------------------------------------------


def assert_regions(ax, predict, classes):
    """The image has, in every pixel, the hue of the class that is predicted for its centre."""
    (image,) = ax.get_images()
    left, right, bottom, top = image.get_extent()
    pixels = np.asarray(image.get_array())
    n_rows, n_columns = pixels.shape[:2]
    x1, x2 = (
        low + (np.arange(n) + 0.5) * (high - low) / n
        for low, high, n in ((left, right, n_columns), (bottom, top, n_rows))
    )
    x1, x2 = np.meshgrid(x1, x2)
    predicted = predict(np.column_stack([x1.ravel(), x2.ravel()])).reshape(n_rows, n_columns)
    for k in classes:
        of_class = 1 - pixels[predicted == k].reshape(-1, 3)  # what is missing from white
        hue = 1 - np.array(matplotlib.colors.to_rgb(COLOURS[k]))
        along = of_class @ hue / (hue @ hue)
        assert (along > 0.05).all()
        np.testing.assert_allclose(of_class, np.outer(along, hue), atol=1e-9)


COLOURS = [BLUE, VERMILLION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000"] * 2


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_boundary_colours_the_plane_by_the_predicted_class(n_classes):
    x, labels = classes(n_classes)
    net = classifier(n_classes)
    net.fit(x, labels, epochs=30, batch_size=10)
    ax = draw(pn.plot.decision_boundary(net, x, labels))
    assert_regions(ax, lambda rows: net.predict(rows).argmax(axis=1), range(n_classes))
    points = ax.collections[-n_classes:]
    assert [dots.get_label() for dots in points] == [str(k) for k in range(n_classes)]
    for k, dots in enumerate(points):
        np.testing.assert_array_equal(dots.get_offsets(), x[labels == k])
        assert same_color(dots.get_facecolor()[0], COLOURS[k])
    n_wrong = np.count_nonzero(net.predict(x).argmax(axis=1) != labels)
    assert f"{n_wrong} of 120 points wrong" in ax.get_title()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("first input", "second input")


@pytest.mark.parametrize("loss", ["log_loss", "sum_of_squares"])
def test_boundary_of_one_sigmoid_is_at_one_half(loss, dtype):
    net = pn.Network([pn.Dense(2, 1, "sigmoid")], loss=loss, seed=0, dtype=dtype)
    net.layers[0].weight, net.layers[0].bias = [[2.0], [0.0]], [-1.0]  # 1/2 where the first input is
    x, y = [[0, 0], [1, 0], [0, 1], [1, 1]], [0, 1, 0, 1]
    ax = draw(pn.plot.decision_boundary(net, x, y, classes=["left", "right"]))
    assert_regions(ax, lambda rows: (rows[:, 0] > 0.5).astype(int), (0, 1))
    contour, *points = ax.collections  # of which type it is depends on matplotlib's version
    assert len(points) == 2
    np.testing.assert_allclose(contour.get_paths()[0].vertices[:, 0], 0.5, atol=1e-3)
    assert "0 of 4 points wrong" in ax.get_title()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["left", "right"]


def test_boundary_takes_sigmoids_of_which_one_is_1():
    x, labels = classes(3)
    net = classifier(3, "sigmoid", "log_loss")
    targets = np.eye(3)[labels]
    net.fit(x, targets, epochs=20, batch_size=10)
    assert_regions(
        draw(pn.plot.decision_boundary(net, x, targets)), lambda rows: net.predict(rows).argmax(axis=1), [0, 1, 2]
    )
    targets[7] = 1
    with pytest.raises(ValueError, match=r"y's row 7 is \[1.0, 1.0, 1.0\]: .* one output is 1"):
        pn.plot.decision_boundary(net, x, targets)


def test_boundary_takes_equal_points_and_a_network_that_knows_one_class():
    net = classifier(2)
    net.layers[1].bias = [50.0, 0.0]
    ax = draw(pn.plot.decision_boundary(net, [[3.0, 4.0]], [1]))
    assert "1 of 1 points wrong" in ax.get_title()
    low, high = ax.get_xlim()
    assert low < 3 < high
    low, high = draw(pn.plot.decision_boundary(net, [[2.0**60, 1.0]], [1])).get_xlim()
    assert low < 2.0**60 < high


def test_boundary_has_the_names_of_a_data_frame():
    x, labels = classes(2)

    class Frame:  # what is asked of data frames
        columns = ("age", "income")
        to_numpy = None

        def items(self):
            return zip(self.columns, x.T)

        def __len__(self):
            return len(x)

    ax = pn.plot.decision_boundary(classifier(2), Frame(), labels)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("age", "income")


def test_boundary_needs_two_inputs_and_classes():
    x, labels = classes(2, n_in=3)
    with pytest.raises(ValueError, match=r"over two inputs, and net has n_in = 3; pn.plot.predictions"):
        pn.plot.decision_boundary(classifier(2, n_in=3), x, labels)
    net = pn.Network([pn.Dense(2, 1)], seed=0)
    with pytest.raises(ValueError, match=r"needs classes.*net has identity"):
        pn.plot.decision_boundary(net, x[:, :2], labels)
    net = pn.Network([pn.Dense(2, 1, "sigmoid")], seed=0)
    with pytest.raises(ValueError, match=r"needs classes.*targets 0 and 1"):
        pn.plot.decision_boundary(net, x[:, :2], labels / 3)
    assert pyplot.get_fignums() == []


# ---- predictions -----------------------------------------------------------------------------------------------------


def counts_of(ax, n_classes):
    return np.array([int(text.get_text()) for text in ax.texts]).reshape(n_classes, n_classes)


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_predictions_of_classes_are_a_confusion_matrix(n_classes):
    x, labels = classes(n_classes, n_in=4)
    net = classifier(n_classes, n_in=4)
    net.fit(x, labels, epochs=5, batch_size=10)
    ax = draw(pn.plot.predictions(net, x, labels))
    predicted = net.predict(x).argmax(axis=1)
    right = [[np.sum((labels == i) & (predicted == j)) for j in range(n_classes)] for i in range(n_classes)]
    np.testing.assert_array_equal(counts_of(ax, n_classes), right)
    shares = np.asarray(ax.get_images()[0].get_array())
    np.testing.assert_allclose(shares, np.array(right) / np.sum(right, axis=1, keepdims=True))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")
    assert f"{np.sum(predicted != labels)} of 120 rows wrong" in ax.get_title()


def test_predictions_of_one_sigmoid_are_of_two_classes():
    net = pn.Network([pn.Dense(1, 1, "sigmoid")], loss="log_loss", seed=0)
    net.layers[0].weight, net.layers[0].bias = [[1.0]], [0.0]
    ax = draw(pn.plot.predictions(net, [[-2], [-1], [1], [2], [3]], [0, 1, 1, 1, 1], classes=["no", "yes"]))
    np.testing.assert_array_equal(counts_of(ax, 2), [[1, 0], [1, 3]])
    at_one_half = draw(pn.plot.predictions(net, [[0]], [1]))  # which counts as 1, as in the metric
    np.testing.assert_array_equal(counts_of(at_one_half, 2), [[0, 0], [0, 1]])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["no", "yes"]
    assert "80.0% right, 1 of 5 rows wrong" in ax.get_title()


@pytest.mark.parametrize(("inches", "step"), [(12, 1), (3, 2), (1.2, 4)])
def test_predictions_of_many_classes_name_those_that_there_is_space_for(inches, step):
    x, labels = classes(40)
    ax = pyplot.figure(figsize=(inches, inches)).add_axes([0, 0, 1, 1])
    draw(pn.plot.predictions(classifier(40), x, labels, ax))
    for axis in ax.xaxis, ax.yaxis:
        names = [label.get_text() for label in axis.get_ticklabels()]
        assert names == [str(k) for k in axis.get_ticklocs()]
        assert np.diff(axis.get_ticklocs()).max() * 72 * inches / 40 >= 8
        assert names[1] == str(step)


@pytest.mark.parametrize(
    ("n_wrong", "n", "share"),
    [(0, 3, "100.0%"), (3, 3, "0.0%"), (1, 3, "66.7%"), (11, 100_000, "99.99%"), (99_999, 100_000, "0.001%")],
)
def test_score_is_all_or_none_only_if_it_is(n_wrong, n, share):
    net = pn.Network([pn.Dense(1, 1, "sigmoid")], loss="log_loss", seed=0)
    net.layers[0].weight, net.layers[0].bias = [[1.0]], [0.0]
    targets = np.arange(n) >= n_wrong
    ax = pn.plot.predictions(net, np.ones((n, 1)), targets)
    assert ax.get_title().startswith(f"{share} right, {n_wrong} of {n} rows wrong")


def test_predictions_take_a_class_without_rows_and_probabilities():
    x, labels = classes(2)
    net = classifier(3)
    for y in (labels, np.eye(3)[labels]):
        ax = draw(pn.plot.predictions(net, x, y))
        assert counts_of(ax, 3)[2].sum() == 0
        assert np.isfinite(ax.get_images()[0].get_array()).all()


def test_predictions_of_many_classes_have_no_numbers():
    net = pn.Network([pn.Dense(2, 40, "softmax")], loss="cross_entropy", seed=0)
    names = [f"kind {k}" for k in range(40)]
    ax = draw(pn.plot.predictions(net, *classes(40), classes=names))
    assert len(ax.texts) == 0
    assert [label.get_text() for label in ax.get_xticklabels()] == names


@pytest.mark.parametrize("n_out", [1, 3])
def test_predictions_of_numbers_are_against_the_truth(n_out):
    net, x, y = regression(n_out)
    ax = draw(pn.plot.predictions(net, x, y))
    for k, dots in enumerate(ax.collections):
        np.testing.assert_array_equal(dots.get_offsets(), np.column_stack([y[:, k], net.predict(x)[:, k]]))
    assert len(ax.collections) == n_out
    (diagonal,) = ax.get_lines()
    np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    assert ax.get_xlim() == ax.get_ylim()
    error = np.abs(net.predict(x) - y).mean()
    assert f"mean absolute error {error:.4g}" in ax.get_title()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("truth", "prediction")


def test_predictions_of_a_poisson_network_are_rates():
    net, x, y = regression(loss="poisson")
    ax = draw(pn.plot.predictions(net, x, y))
    np.testing.assert_allclose(ax.collections[0].get_offsets()[:, 1], np.exp(net.predict(x)[:, 0]))
    assert ax.get_ylabel() == "predicted rate"


def test_predictions_take_a_single_row_and_equal_numbers(dtype):
    net, x, y = regression()
    draw(pn.plot.predictions(net, x[:1], y[:1]))
    net = pn.Network([pn.Dense(3, 1)], init=[0, 0, 0, 2.0**60], dtype=dtype)
    low, high = draw(pn.plot.predictions(net, x, np.full(len(x), 2.0**60))).get_xlim()
    assert low < 2.0**60 < high


def test_predictions_that_are_not_finite_are_refused():
    net, x, y = regression(loss="poisson")
    net.layers[1].bias = [1e4]
    with pytest.raises(ValueError, match=r"net predicts \[inf\] for row 0 of x"):
        pn.plot.predictions(net, x, y)
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize("picture", [pn.plot.predictions, pn.plot.decision_boundary])
def test_bad_data_is_refused_as_by_fit(picture):
    x, labels = classes(3)
    net = classifier(3)
    with pytest.raises(ValueError, match=r"y holds 3 \(entry 2\); class labels"):
        picture(net, x, labels + 1)
    with pytest.raises(ValueError, match="x and y must have as many rows"):
        picture(net, x, labels[1:])
    with pytest.raises(ValueError, match=r"x has shape \(120, 1\), expected \(n_samples, 2\)"):
        picture(net, x[:, :1], labels)
    x[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"x holds nan \(row 3, column 1\)"):
        picture(net, x, labels)
    for names in (["a", "b"], "abc", 3):
        with pytest.raises(ValueError, match="classes must be 3 names, one for each class"):
            picture(net, np.zeros((3, 2)), [0, 1, 2], classes=names)
    with pytest.raises(TypeError, match="net must be a Network, not str"):
        picture("net", x, labels)
    assert pyplot.get_fignums() == []


def test_predictions_of_numbers_take_no_classes():
    net, x, y = regression()
    with pytest.raises(ValueError, match="classes are of networks that tell classes apart"):
        pn.plot.predictions(net, x, y, classes=["a"])


# ---- network ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (2, 3, 1), (5, 7, 3), (10, 32, 20, 2)])
def test_network_draws_each_weight_by_sign_and_size(shape):
    layers = [pn.Dense(a, b, "tanh") for a, b in itertools.pairwise(shape)]
    net = pn.Network(layers, seed=0)
    net.parameters = np.random.default_rng(0).normal(size=net.parameters.size)
    ax = draw(pn.plot.network(net))
    drawn = {collection.get_label(): collection for collection in ax.collections}
    largest = max(np.abs(layer.weight).max() for layer in net.layers)
    for k, layer in enumerate(net.layers):
        lines = drawn[f"weights of layers[{k}]"]
        before = drawn["inputs" if k == 0 else f"neurons of layers[{k - 1}]"].get_offsets().tolist()
        after = drawn[f"neurons of layers[{k}]"].get_offsets().tolist()
        assert (len(before), len(after)) == layer.weight.shape
        widest = np.max(lines.get_linewidths()) * largest / np.abs(layer.weight).max()
        seen = set()
        for (start, end), width, colour in zip(lines.get_segments(), lines.get_linewidths(), lines.get_colors()):
            i, j = before.index(list(start)), after.index(list(end))
            weight = layer.weight[i, j]
            assert width == pytest.approx(widest * abs(weight) / largest)
            assert same_color(colour, BLUE if weight > 0 else VERMILLION)
            seen.add((i, j))
        assert len(seen) == layer.weight.size
    assert str(net.parameters.size) in ax.get_title()


def test_network_fills_neurons_with_the_colour_of_their_bias():
    net = pn.Network([pn.Dense(2, 3, "tanh"), pn.Dense(3, 1, bias=False)], seed=0)
    net.layers[0].bias = [0.0, 0.5, -1.0]
    ax = draw(pn.plot.network(net))
    drawn = {collection.get_label(): collection.get_facecolor() for collection in ax.collections}
    white, bluish, reddish = drawn["neurons of layers[0]"][:, :3]
    assert same_color(white, "white")
    assert bluish[2] > bluish[0]
    assert reddish[0] > reddish[2]
    assert (1 - reddish).max() > (1 - bluish).max()
    assert same_color(drawn["neurons of layers[1]"][0], "white")
    assert [text.get_text() for text in ax.get_legend().get_texts()][2:] == ["bias 1", "bias -1"]


def test_network_says_what_each_column_is():
    net = pn.Network([pn.Dense(2, 3, "tanh"), pn.Dense(3, 1, "sigmoid")], seed=0)
    texts = [text.get_text() for text in pn.plot.network(net).texts]
    assert texts == ["2 inputs", "3 tanh", "1 sigmoid", "0", "1", "0"]


def test_network_takes_weights_of_zero():
    net = pn.Network([pn.Dense(2, 1)], init=[0, 0, 0])
    draw(pn.plot.network(net))


@pytest.mark.parametrize(("shape", "n_weights"), [((33, 1), 33), ((2, 33, 1), 99), ((32, 31, 1), 1023)])
def test_network_that_is_large_is_refused(shape, n_weights):
    net = pn.Network([pn.Dense(a, b) for a, b in itertools.pairwise(shape)], seed=0)
    name = "-".join(map(str, shape))
    with pytest.raises(ValueError, match=f"net is {name}, with {n_weights} weights: .* 32 neurons .* 1000 weights"):
        pn.plot.network(net)
    assert pyplot.get_fignums() == []


def test_network_that_is_not_finite_is_refused():
    net = pn.Network([pn.Dense(2, 1)], seed=0)
    net.layers[0].weight[0, 0] = np.nan
    with pytest.raises(ValueError, match="net has parameters that are not finite"):
        pn.plot.network(net)
    with pytest.raises(TypeError, match="net must be a Network, not NoneType"):
        pn.plot.network(None)


# ---- All of them -----------------------------------------------------------------------------------------------------


def pictures():
    x, labels = classes(3)
    net = classifier(3)
    numbers = regression()
    history = net.fit(x, labels, epochs=3, batch_size=20, validation=0.2, metrics="accuracy")
    return {
        "history": lambda ax: history.plot(ax),
        "decision_boundary": lambda ax: pn.plot.decision_boundary(net, x, labels, ax),
        "confusion": lambda ax: pn.plot.predictions(net, x, labels, ax),
        "numbers": lambda ax: pn.plot.predictions(*numbers, ax),
        "network": lambda ax: pn.plot.network(net, ax),
    }


@pytest.mark.parametrize("name", ["history", "decision_boundary", "confusion", "numbers", "network"])
def test_pictures_go_into_the_axes_that_are_given(name, given):
    before = pyplot.get_fignums()
    current = pyplot.gcf()
    assert pictures()[name](given) is given
    assert given.get_title()
    assert pyplot.get_fignums() == before
    assert pyplot.gcf() is current
    draw(given)


@pytest.mark.parametrize("name", ["history", "decision_boundary", "confusion", "numbers", "network"])
def test_pictures_go_into_a_new_figure_otherwise(name):
    first, second = pictures()[name](None), pictures()[name](None)
    assert first.figure is not second.figure
    assert len(pyplot.get_fignums()) == 2


@pytest.mark.parametrize("name", ["history", "decision_boundary", "confusion", "numbers", "network"])
def test_pictures_go_into_a_subfigure(name):
    figure = pyplot.figure()
    ax = figure.subfigures(1, 2)[1].subplots()
    assert pictures()[name](ax) is ax
    figure.canvas.draw()


@pytest.mark.parametrize("name", ["history", "decision_boundary", "confusion", "numbers", "network"])
def test_pictures_refuse_what_is_no_axes(name):
    with pytest.raises(TypeError, match=r"ax must be None or axes of matplotlib, not ndarray; plt.subplots\(2, 2\)"):
        pictures()[name](np.array([None, None]))
    with pytest.raises(TypeError, match="ax must be None or axes of matplotlib, not str"):
        pictures()[name]("ax")


@pytest.mark.parametrize(
    "call",
    ["history.plot()", "pn.plot.history(history)", "pn.plot.network(net)", "pn.plot.predictions(net, x, y)",
     "pn.plot.decision_boundary(net, x, y)"],
)  # fmt: skip
def test_pictures_without_matplotlib_name_the_extra(call):
    code = (
        "import sys; sys.modules['matplotlib'] = None; import plainnet as pn; x, y = [[0, 0], [0, 1]], [0, 1]; "
        "net = pn.Network([pn.Dense(2, 1, 'sigmoid')], loss='log_loss', seed=0); history = net.fit(x, y); " + call
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert done.returncode != 0
    assert "ImportError: pictures need matplotlib; get it with: pip install 'plainnet[plot]'" in done.stderr


def test_pictures_are_imported_when_they_are_used():
    code = (
        "import sys, plainnet as pn; assert 'plot' in dir(pn); assert 'plainnet.plot' not in sys.modules; pn.plot; "
        "assert 'plainnet.plot' in sys.modules; assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)


def test_package_refuses_names_that_it_has_not():
    with pytest.raises(AttributeError, match="module 'plainnet' has no attribute 'plots'"):
        _ = pn.plots
