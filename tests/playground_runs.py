"""Runs that the playground's kernels and Python make alike: for JavaScript in JSON, and what Python makes of them."""

import base64
import json
import re
import subprocess
import zlib
from pathlib import Path

import numpy as np

import plainnet as pn
from plainnet.activations import ACTIVATIONS

#: The page that is in the wheel.
PAGE = Path(pn.__file__).parent / "playground" / "index.html"

#: The functions that JavaScript runs.
JOBS = Path(__file__).with_suffix(".js")

#: name: (layers (n_in, n_out, activation, options), loss, optimizer, rows, batch size, epochs) and, if need be, others
RUNS = {
    **{f: ([(5, 7, f), (7, 3, f)], "mean_squared_error", pn.SGD(), 50, 8, 5)
       for f in ACTIVATIONS if f != "softmax"},
    "xor": ([(2, 3, "tanh"), (3, 1, "sigmoid")], "log_loss", pn.SGD(0.5), 4, None, 100),
    "pair": ([(2, 3, "tanh"), (3, 1, "sigmoid")], "log_loss", pn.SGD(0.5), 2, None, 100),
    **{name: ([(2, 8, "tanh"), (8, 8, "relu"), (8, 8, "tanh"), (8, 1, "sigmoid")], "log_loss", optimizer, 500, 10, 3)
       for name, optimizer in {
           "sgd": pn.SGD(), "nesterov": pn.SGD(momentum=0.9, nesterov=True, weight_decay=0.01),
           "rmsprop": pn.RMSprop(momentum=0.5, centered=True),
           "adagrad": pn.Adagrad(learning_rate_decay=0.01, initial_accumulator_value=0.1),
           "adam": pn.Adam(0.1, (0.8, 0.99), amsgrad=True), "eps_hat": pn.Adam(eps_hat=True), "adamw": pn.AdamW(),
           "rprop": pn.Rprop(), "clipped": pn.Adam(clip_value=0.01, clip_norm=0.02),
       }.items()},
    **{str(loss): ([(5, 7, "tanh"), (7, 3, "identity")], loss, pn.SGD(0.01), 50, 8, 5)
       for loss in ("sum_of_squares", "mean_absolute_error", "huber", "log_cosh", "poisson", pn.Huber(0.25),
                    pn.Quantile(0.75))},
    "cross_entropy": ([(5, 7, "tanh"), (7, 3, "softmax")], "cross_entropy", pn.SGD(), 500, 450, 3),
    "labels": ([(5, 7, "tanh"), (7, 3, "softmax")], pn.CrossEntropy(0.125), pn.SGD(), 50, 8, 5),
    "options": (
        [(5, 17, "tanh", {"dropout": 0.3, "l1": 0.01, "l2": 0.1, "max_norm": 1.5}),
         (17, 9, "relu", {"dropout": 0.5, "bias": False}), (9, 3, "sigmoid", {"weight_rate": 0.5, "bias_rate": 0.0})],
        "log_loss", pn.Adam(), 50, 8, 5,
    ),
    **{init: ([(5, 7, "tanh"), (7, 3, "sigmoid")], "log_loss", pn.SGD(), 50, 8, 2, {"init": init, "seed": 2**50 + 3})
       for init in ("glorot", "glorot_uniform", "he_uniform", "lecun_uniform", "uniform")},
    # Blocks of rows, weights that are kept packed, and layers as wide as the playground's never are.
    "blocks": ([(20, 30, "tanh"), (30, 2, "sigmoid")], "log_loss", pn.SGD(), 2000, 900, 2),
    "wide": (
        [(120, 140, "relu"), (140, 130, "gelu"), (130, 2, "identity")], "mean_squared_error", pn.Adam(), 1300, 800, 1,
    ),
}  # fmt: skip

BATCHES = 3

def camel(name):
    first, *others = name.split("_")
    return first + "".join(word.title() for word in others)


def in_camel(options):
    return {camel(name): value for name, value in options.items()}


def parts(name):
    layers, loss, optimizer, rows, batch_size, epochs, *others = RUNS[name]
    return layers, loss, optimizer, rows, batch_size, epochs, {"init": "glorot", "seed": 1} | (others or [{}])[0]


def data(name):
    """x (rows, n_in) and y (rows, n_out), or labels (rows,)."""
    layers, _, _, rows, *_ = parts(name)
    n_in, n_out = layers[0][0], layers[-1][1]
    rng = np.random.default_rng(len(name))
    x, y = rng.normal(size=(rows, n_in)), rng.random((rows, n_out))
    if name == "labels":
        return x, y.argmax(axis=1).astype(float)
    return x, (y == y.max(axis=1, keepdims=True)).astype(float) if name == "cross_entropy" else y


def described_loss(loss):
    if isinstance(loss, str):
        return loss
    (parameter,) = vars(loss).values()
    return {"name": {pn.Huber: "huber", pn.Quantile: "quantile", pn.CrossEntropy: "cross_entropy"}[type(loss)],
            "parameter": parameter}  # fmt: skip


def for_javascript(name):
    layers, loss, optimizer, _, batch_size, epochs, others = parts(name)
    x, y = data(name)
    options = {key: list(value) if isinstance(value, tuple) else value for key, value in vars(optimizer).items()}
    network = {
        "layers": [
            {"nIn": n_in, "nOut": n_out, "activation": f} | in_camel((options or [{}])[0])
            for n_in, n_out, f, *options in layers
        ],
        "loss": described_loss(loss), "optimizer": {"name": type(optimizer).__name__} | in_camel(options), **others,
    }  # fmt: skip
    how = {"epochs": epochs, "batchSize": batch_size}
    return {"network": network, "x": x.ravel().tolist(), "y": y.ravel().tolist(), "how": how, "batches": BATCHES}


def network(name):
    layers, loss, optimizer, *_, others = parts(name)
    dense = [pn.Dense(n_in, n_out, f, **(options or [{}])[0]) for n_in, n_out, f, *options in layers]
    return pn.Network(dense, loss=loss, optimizer=optimizer, **others)


def as_hex(numbers):
    return np.asarray(numbers, "<f8").tobytes().hex()


def in_python(name):
    """What resultOfRun in playground_runs.js returns."""
    *_, batch_size, epochs, _ = parts(name)
    x, y = data(name)
    net = network(name)
    start = net.parameters.copy()
    losses = net.fit(x, y, epochs=epochs, batch_size=batch_size).loss
    single_losses = [net.train_on_batch(x, y) for _ in range(BATCHES)]
    loss, gradient = net.loss_and_gradient(x, y)
    state = net._optimizer[1]
    return {
        "start": as_hex(start), "losses": as_hex(losses), "single_losses": as_hex(single_losses),
        "parameters": as_hex(net.parameters), "state": as_hex([] if state is None else state),
        "steps": net._state.steps, "epochs": net.epochs_trained, "loss": as_hex(loss), "gradient": as_hex(gradient),
        "evaluate": as_hex(net.evaluate(x, y)), "predict": as_hex(net.predict(x)),
    }  # fmt: skip


def page_scripts():
    """The scripts in the page, by name."""
    (text,) = re.findall(r'loadScripts\("([\w+/=]+)"\)', PAGE.read_text())
    return dict(json.loads(zlib.decompress(base64.b64decode(text))))


def in_node(node, job, given):
    """What the function `job` of playground_runs.js makes of `given`, with the kernels of the page."""
    scripts = page_scripts()
    scripts = {name: scripts[name] for name in ("wasm.js", "random.js", "kernels.js")} | {JOBS.name: JOBS.read_text()}
    command = json.dumps({"scripts": scripts, "job": job, "given": given})
    program = str(Path(__file__).with_name("playground_node.js"))
    done = subprocess.run([node, program], input=command.encode(), stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)
