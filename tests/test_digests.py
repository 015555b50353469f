"""
The bits of fixed runs: the same on every instruction set with fused multiply-adds, however a run is sliced.

Nothing here comes from NumPy's random numbers or its BLAS: starts and data are fractions k / 2**15 from integer
arithmetic. After a deliberate change of the arithmetic, print the new table with

    python tests/test_digests.py
"""

import hashlib
import platform

import numpy as np
import pytest

import plainnet as pn
from plainnet.activations import ACTIVATIONS
from plainnet.backend import Progress, Training
from plainnet.losses import LOSSES, described
from plainnet.optimizers import OPTIMIZERS

import textbook

#: name: SHA-256 of little-endian parameters, losses and state, its first 16 digits. Made by running this file.
DIGESTS: dict[str, str] = {
    "2-3-1-float64": "7be26312f20a143f",
    "2-3-1-float32": "a6f0f1492bdc2ba1",
    "3-4-1-float64": "6dd8fb94c7c759c7",
    "3-4-1-float32": "38efcb6f77e49ba5",
    "1-1-1-float64": "8bc996d36d279c7a",
    "1-1-1-float32": "faa8e2a0e133d3be",
    "5-7-3-float64": "068d2219979ab23b",
    "5-7-3-float32": "3fe5b3c5b44c7b0e",
    "17-33-2-float64": "3bc708d2aafe988e",
    "17-33-2-float32": "43d4d65d7ae7a753",
    "64-64-10-float64": "f4c980fbded7ed0e",
    "64-64-10-float32": "3d937204987edd87",
    "100-129-65-3-float64": "a2804d027c72ab5f",
    "100-129-65-3-float32": "934683007b6bf003",
    "200-320-200-2-float64": "2d36d9033b63bfca",
    "200-320-200-2-float32": "c2c1e2364404f692",
    "20-30-2-float64": "a3c0f0919691222c",
    "20-30-2-float32": "e5b5ffd7396bb62d",
    "120-140-2-float64": "874d6cfed375ebc7",
    "120-140-2-float32": "b18a66bacf753f6e",
    "120-140-130-9-float64": "27339c67c1f2e611",
    "120-140-130-9-float32": "f65f0f39dbeeb5e6",
    "17-33-2-leaky_relu-float64": "cc9d61df1bd859ee",
    "17-33-2-leaky_relu-float32": "43a381e7ac0b70e4",
    "17-33-2-elu-float64": "fe4337ad23282405",
    "17-33-2-elu-float32": "8c627c117bddee8a",
    "17-33-2-selu-float64": "58e372e28695ae1d",
    "17-33-2-selu-float32": "b1ff3003f4500b3e",
    "17-33-2-gelu-float64": "8c0cfed2074e44cd",
    "17-33-2-gelu-float32": "c8c9f495ad064352",
    "17-33-2-gelu_tanh-float64": "45cd7958354a2aee",
    "17-33-2-gelu_tanh-float32": "62b486bd5413fb28",
    "17-33-2-silu-float64": "2450b9a00e292fff",
    "17-33-2-silu-float32": "1b3bd7a836d64974",
    "17-33-2-mish-float64": "99a17e8c1cb41297",
    "17-33-2-mish-float32": "c8b07f090eb351e9",
    "17-33-2-softplus-float64": "c769f7794822672e",
    "17-33-2-softplus-float32": "282436e3b5a1da57",
    "mean_absolute_error-float64": "263d319ac1040474",
    "mean_absolute_error-float32": "e35fe7b8e57bd201",
    "huber-float64": "57981090574ad968",
    "huber-float32": "e24dcff3bdc02d10",
    "log_cosh-float64": "db5b3397567ce88b",
    "log_cosh-float32": "2edadb4f918ecb4c",
    "quantile-float64": "c618e95157ee7b41",
    "quantile-float32": "ac273df0e8ddb481",
    "poisson-float64": "f5a15065a9cfde89",
    "poisson-float32": "c053a13ac433b73b",
    "log_cosh-tiny-float64": "ba91308e89229f05",
    "log_cosh-tiny-float32": "96e5b9a09557724e",
    "cross_entropy-float64": "f75d91ed9984ec69",
    "cross_entropy-float32": "90d92f9737564a67",
    "weighted-float64": "6991f5de53bbbced",
    "weighted-float32": "8075b9aafd0db804",
    "labels-float64": "01b03980eaef13ce",
    "labels-float32": "205feab14329aba4",
    "sgd-5-7-3-float64": "ce653a4392995029",
    "sgd-5-7-3-float32": "1ce19cd82ea2adde",
    "decay-5-7-3-float64": "61545b9ee59c19cb",
    "decay-5-7-3-float32": "fb2151303330eb73",
    "rmsprop-5-7-3-float64": "7317e85c725fb4a1",
    "rmsprop-5-7-3-float32": "179bc8efa922a4e7",
    "adagrad-5-7-3-float64": "331590b6f506b277",
    "adagrad-5-7-3-float32": "8f78bcde5b988311",
    "adam-5-7-3-float64": "cabfdf0549e1e670",
    "adam-5-7-3-float32": "3710debfd1de27dd",
    "adamw-5-7-3-float64": "e74b374c566fa9be",
    "adamw-5-7-3-float32": "f0dcb36404068f94",
    "rprop-5-7-3-float64": "ac1579c90f2b8a4b",
    "rprop-5-7-3-float32": "34979887f054ed47",
    "clipped-5-7-3-float64": "6fbf0aec7f8ec776",
    "clipped-5-7-3-float32": "a66423dbd810bee1",
    "sgd-120-140-2-float64": "1ee8d4ba98ca3c70",
    "sgd-120-140-2-float32": "3a8d0258a78f5eaf",
    "decay-120-140-2-float64": "7e303b05623c2888",
    "decay-120-140-2-float32": "c540e74649d843a4",
    "rmsprop-120-140-2-float64": "af343871456ac0af",
    "rmsprop-120-140-2-float32": "a61ae00b30bea37b",
    "adagrad-120-140-2-float64": "9bc65d5306766323",
    "adagrad-120-140-2-float32": "efd3ed8aa684ed1b",
    "adam-120-140-2-float64": "d880819bc1345687",
    "adam-120-140-2-float32": "83c6f90893f12edd",
    "adamw-120-140-2-float64": "85e4d50df9fc9db1",
    "adamw-120-140-2-float32": "3e04e60ca9de1ea5",
    "rprop-120-140-2-float64": "92d7163bb307c3eb",
    "rprop-120-140-2-float32": "3a58058b348a97b8",
    "clipped-120-140-2-float64": "90dfedafeb44df1b",
    "clipped-120-140-2-float32": "aaa7b38c85f56192",
    "sgd-130-150-70-5-float64": "a0e2196f14645b16",
    "sgd-130-150-70-5-float32": "2d304a114c82ad39",
    "decay-130-150-70-5-float64": "77487cd290260386",
    "decay-130-150-70-5-float32": "7102eee52b90a9df",
    "rmsprop-130-150-70-5-float64": "d54ed7f1580d015c",
    "rmsprop-130-150-70-5-float32": "b8c20414d72c90ca",
    "adagrad-130-150-70-5-float64": "fa523e47fcfa253c",
    "adagrad-130-150-70-5-float32": "5c7e2d2f8fc45cc8",
    "adam-130-150-70-5-float64": "7ceb119af0407e08",
    "adam-130-150-70-5-float32": "28d079b4d64d1fd1",
    "adamw-130-150-70-5-float64": "f19ca4ce535907fe",
    "adamw-130-150-70-5-float32": "4a3a0de7d48bc300",
    "rprop-130-150-70-5-float64": "ba339a3e2eca2401",
    "rprop-130-150-70-5-float32": "ae379854795ee1b2",
    "clipped-130-150-70-5-float64": "cdf8a65f0a67509b",
    "clipped-130-150-70-5-float32": "af9613e096106e87",
}

#: The same on x86-64 without fused multiply-adds.
BASELINE_DIGESTS: dict[str, str] = {
    "2-3-1-float64": "cbe0fbddd1cba4c9",
    "2-3-1-float32": "853f605a6212c8f7",
    "3-4-1-float64": "6b3e3711f5e6e8c0",
    "3-4-1-float32": "b686abfe45147509",
    "1-1-1-float64": "5958b95dc23baef6",
    "1-1-1-float32": "a167b2b94c9d5fab",
    "5-7-3-float64": "5b3f4f9738d1097f",
    "5-7-3-float32": "ce9a1c6d063cf31f",
    "17-33-2-float64": "c8db1a57bd2f11e0",
    "17-33-2-float32": "2d8e32da76cc231f",
    "64-64-10-float64": "fb6f6807311ade84",
    "64-64-10-float32": "fb7e152d554c629a",
    "100-129-65-3-float64": "e4cb128a6925ab28",
    "100-129-65-3-float32": "d889d9c4195b07ab",
    "200-320-200-2-float64": "31dec7b3b8050161",
    "200-320-200-2-float32": "7a928a508e954365",
    "20-30-2-float64": "680fa51e3ed1f18d",
    "20-30-2-float32": "83b068a4230d556f",
    "120-140-2-float64": "9805c8407820bf5a",
    "120-140-2-float32": "46ba8d56198e47f9",
    "120-140-130-9-float64": "41dbd16d39f3d1ca",
    "120-140-130-9-float32": "9975ec3764c37530",
    "17-33-2-leaky_relu-float64": "02ba6142bb9f3f15",
    "17-33-2-leaky_relu-float32": "888a4420a01a50fd",
    "17-33-2-elu-float64": "12a9d732a43cc53c",
    "17-33-2-elu-float32": "ab0077f1023e1049",
    "17-33-2-selu-float64": "d3180f362a1a5a39",
    "17-33-2-selu-float32": "9e254c8111c5f614",
    "17-33-2-gelu-float64": "8b5af843dcc7b975",
    "17-33-2-gelu-float32": "23fa080dcd03269a",
    "17-33-2-gelu_tanh-float64": "2bcac5447914d0c1",
    "17-33-2-gelu_tanh-float32": "a01cce4ec6dbd604",
    "17-33-2-silu-float64": "20543c5d6a69d6b0",
    "17-33-2-silu-float32": "4410184e398cd80a",
    "17-33-2-mish-float64": "4b6d1c071eceb676",
    "17-33-2-mish-float32": "e265b47bca1f0d4c",
    "17-33-2-softplus-float64": "7b050a8f27de23a0",
    "17-33-2-softplus-float32": "a2bc9bd3ade045e8",
    "mean_absolute_error-float64": "cb099f78944d1fed",
    "mean_absolute_error-float32": "c4a46fff02585b75",
    "huber-float64": "8f783bea0c905e7b",
    "huber-float32": "619681aeee2b7c45",
    "log_cosh-float64": "41cd4e1d892c5bd5",
    "log_cosh-float32": "31b2a3e8de44ed7e",
    "quantile-float64": "14d2b77f114a186c",
    "quantile-float32": "e7ea0a25ab1b1f02",
    "poisson-float64": "a4ff3506e9dbb375",
    "poisson-float32": "225e3e41d22422cd",
    "log_cosh-tiny-float64": "0851e016b681008c",
    "log_cosh-tiny-float32": "0fda4c025b68d432",
    "cross_entropy-float64": "a4fbdade186a6fb2",
    "cross_entropy-float32": "c602f02b47f69406",
    "weighted-float64": "a2003b2173e1f73a",
    "weighted-float32": "5e4293f56a6684a6",
    "labels-float64": "968235ae88a2e667",
    "labels-float32": "3c0d18b26fd9cfb1",
    "sgd-5-7-3-float64": "e88502653f831b2c",
    "sgd-5-7-3-float32": "c2455721a5b6c42d",
    "decay-5-7-3-float64": "879c75e2666f1e8a",
    "decay-5-7-3-float32": "95944eade6903ff3",
    "rmsprop-5-7-3-float64": "6c60a2609bb16fa6",
    "rmsprop-5-7-3-float32": "e187ec73f8df1573",
    "adagrad-5-7-3-float64": "b611ea4466869736",
    "adagrad-5-7-3-float32": "2cc2cadffbec1c6c",
    "adam-5-7-3-float64": "c7450ff2cbab854b",
    "adam-5-7-3-float32": "02c94ea2e2da3768",
    "adamw-5-7-3-float64": "934c004a500a35f2",
    "adamw-5-7-3-float32": "fb8d220c934befda",
    "rprop-5-7-3-float64": "04c74ed8d6f70c48",
    "rprop-5-7-3-float32": "241efc11b3a42361",
    "clipped-5-7-3-float64": "fe0074a0b5c93bf2",
    "clipped-5-7-3-float32": "a26a048edf9b7a5d",
    "sgd-120-140-2-float64": "71d5fb9e36d09c76",
    "sgd-120-140-2-float32": "e6b0c23c313f00eb",
    "decay-120-140-2-float64": "c765f6eb97417bd2",
    "decay-120-140-2-float32": "96dc7541c0bc69c1",
    "rmsprop-120-140-2-float64": "49c9410cb381965e",
    "rmsprop-120-140-2-float32": "bcfb93bbf3d3e302",
    "adagrad-120-140-2-float64": "6e5aa0a8624551e5",
    "adagrad-120-140-2-float32": "5bbd68ed9d0c9802",
    "adam-120-140-2-float64": "ed7b9bf6ead3b85c",
    "adam-120-140-2-float32": "b7e46d15315df291",
    "adamw-120-140-2-float64": "1f5ffa7ecca13f40",
    "adamw-120-140-2-float32": "0ba89b993af35b90",
    "rprop-120-140-2-float64": "f22b5d3546696b07",
    "rprop-120-140-2-float32": "bb51008447dceab6",
    "clipped-120-140-2-float64": "9deab66005bec400",
    "clipped-120-140-2-float32": "4554be1e30f4cd60",
    "sgd-130-150-70-5-float64": "1a0b77b76de753c3",
    "sgd-130-150-70-5-float32": "6a47bdc1fd7d01e0",
    "decay-130-150-70-5-float64": "7fa9fc4004ae52e1",
    "decay-130-150-70-5-float32": "a1b298602121e4d1",
    "rmsprop-130-150-70-5-float64": "fafdaa11227f9e28",
    "rmsprop-130-150-70-5-float32": "f542938bda766e9d",
    "adagrad-130-150-70-5-float64": "24802015e9447b4b",
    "adagrad-130-150-70-5-float32": "d2e539c2a5408533",
    "adam-130-150-70-5-float64": "b91f9954ebff1cd4",
    "adam-130-150-70-5-float32": "076ccb502af8ba60",
    "adamw-130-150-70-5-float64": "255b32f9374bf83e",
    "adamw-130-150-70-5-float32": "f777f6f63498f42a",
    "rprop-130-150-70-5-float64": "4250a0f4f1c234a8",
    "rprop-130-150-70-5-float32": "ad2056c82c9198d4",
    "clipped-130-150-70-5-float64": "0b17390ed0c5929d",
    "clipped-130-150-70-5-float32": "2c6715b12fee8c13",
}

#: name: (layers, loss, rows, batch size, epochs, learning rate) and, if it is not plain gradient descent, the optimizer
RUNS = {
    "2-3-1": ([(2, 3, "tanh", True), (3, 1, "sigmoid", True)], "log_loss", 4, 4, 200, 0.5),
    "3-4-1": ([(3, 4, "sigmoid", False), (4, 1, "sigmoid", False)], "sum_of_squares", 4, 4, 200, 1.0),
    "1-1-1": ([(1, 1, "tanh", True), (1, 1, "identity", True)], "mean_squared_error", 7, 3, 50, 0.1),
    "5-7-3": ([(5, 7, "sigmoid", True), (7, 3, "tanh", False)], "mean_squared_error", 13, 4, 30, 0.3),
    "17-33-2": ([(17, 33, "relu", True), (33, 2, "sigmoid", True)], "log_loss", 33, 8, 20, 0.2),
    "64-64-10": ([(64, 64, "tanh", True), (64, 10, "identity", True)], "mean_squared_error", 70, 32, 5, 0.1),
    "100-129-65-3": (
        [(100, 129, "relu", True), (129, 65, "tanh", True), (65, 3, "sigmoid", True)], "log_loss", 257, 64, 3, 0.1,
    ),
    "200-320-200-2": (  # wide enough for several threads
        [(200, 320, "tanh", True), (320, 200, "sigmoid", True), (200, 2, "identity", True)], "mean_squared_error",
        300, 256, 2, 0.1,
    ),
    "20-30-2": (  # batches of three blocks of rows, of whole ones and of none
        [(20, 30, "tanh", True), (30, 2, "sigmoid", True)], "log_loss", 2000, 900, 3, 0.1,
    ),
    "120-140-2": (  # the same with weights that are kept packed
        [(120, 140, "relu", True), (140, 2, "identity", False)], "mean_squared_error", 1300, 800, 3, 0.1,
    ),
    "120-140-130-9": (  # packed weights, with z kept of some layers and not of others
        [(120, 140, "gelu", True), (140, 130, "elu", True), (130, 9, "mish", True)], "mean_squared_error",
        500, 300, 3, 0.1,
    ),
    "mean_absolute_error": (
        [(5, 7, "tanh", True), (7, 3, "identity", True)], "mean_absolute_error", 70, 32, 20, 0.1,
    ),
    "huber": ([(5, 7, "tanh", True), (7, 3, "identity", True)], pn.Huber(0.25), 70, 32, 20, 0.1),
    "log_cosh": ([(5, 7, "tanh", True), (7, 3, "identity", True)], "log_cosh", 70, 32, 20, 0.1),
    "quantile": ([(5, 7, "tanh", True), (7, 3, "identity", True)], pn.Quantile(0.75), 70, 32, 20, 0.1),
    "poisson": ([(5, 7, "tanh", True), (7, 3, "identity", True)], "poisson", 70, 32, 20, 0.1),
    "log_cosh-tiny": ([(2, 3, "tanh", True), (3, 2, "tanh", True)], "log_cosh", 2, 2, 50, 0.5),
    "cross_entropy": ([(17, 33, "relu", True), (33, 37, "softmax", True)], "cross_entropy", 500, 450, 5, 0.5),
    "weighted": ([(17, 33, "relu", True), (33, 3, "identity", True)], "mean_squared_error", 500, 450, 5, 0.1),
    "labels": ([(17, 33, "tanh", True), (33, 10, "softmax", True)], pn.CrossEntropy(0.125), 500, 64, 5, 0.5),
    # With an optimizer: few parameters, and so many in several layers that weights are packed and threads share.
    **{
        f"{name}-{size}": (*run, optimizer)
        for size, run in {
            "5-7-3": ([(5, 7, "sigmoid", True), (7, 3, "tanh", False)], "mean_squared_error", 13, 4, 8, 0.01),
            "120-140-2": (
                [(120, 140, "relu", True), (140, 2, "identity", False)], "mean_squared_error", 1300, 800, 3, 1e-3,
            ),
            "130-150-70-5": (
                [(130, 150, "tanh", True), (150, 70, "relu", True), (70, 5, "identity", True)], "mean_squared_error",
                260, 64, 2, 1e-3,
            ),
        }.items()
        for name, optimizer in {
            "sgd": pn.SGD(momentum=0.9, nesterov=True, weight_decay=0.01),
            "decay": pn.SGD(weight_decay=0.01),
            "rmsprop": pn.RMSprop(momentum=0.5, centered=True, eps=1e-4),
            "adagrad": pn.Adagrad(learning_rate_decay=0.01, initial_accumulator_value=0.1),
            "adam": pn.Adam(amsgrad=True, weight_decay=0.01),
            "adamw": pn.AdamW(betas=(0.8, 0.99)),
            "rprop": pn.Rprop(),
            "clipped": pn.Adam(clip_value=0.01, clip_norm=0.02),
        }.items()
    },
}  # fmt: skip
#: The activations that few or none of these have, on every layer.
RUNS |= {
    f"17-33-2-{f}": ([(17, 33, f, True), (33, 2, f, True)], "mean_squared_error", 33, 8, 20, 0.1)
    for f in textbook.ACTIVATIONS
    if f not in ("identity", "sigmoid", "tanh", "relu")
}

FMA_ISAS = [isa for isa in pn.native.available_isas() if isa != "baseline"]
NAMES = [f"{run}-{dtype}" for run in RUNS for dtype in ("float64", "float32")]


def digest(name, max_steps=10**9):
    run, dtype = name.rsplit("-", 1)
    layers, loss, n_rows, batch_size, epochs, learning_rate, *optimizer = RUNS[run]
    n_in, n_out = layers[0][0], layers[-1][1]
    init = textbook.fractions(textbook.n_parameters(layers), 1) * 0.5
    x = textbook.fractions(n_rows * n_in, 2, dtype).reshape(n_rows, n_in)
    y = np.abs(textbook.fractions(n_rows * n_out, 3, dtype).reshape(n_rows, n_out))
    if run == "labels":
        y = y.argmax(axis=1).astype(dtype)
    elif run == "cross_entropy":
        y = (y == y.max(axis=1, keepdims=True)).astype(dtype)
    net = textbook.network(layers, loss, init=init, dtype=dtype, backend="c")
    # By the backend's own `train`, which takes a seed for the order of the rows.
    net.optimizer = optimizer[0] if optimizer else pn.SGD()
    state = net._optimizer[1]
    training = Training(
        epochs, batch_size, learning_rate, batch_size < n_rows, 12345, optimizer=net.optimizer, state=state
    )
    weights = []
    if run in ("labels", "weighted"):
        weights = [np.maximum(textbook.fractions(n_rows, 4, dtype), 0)]
    progress, losses = Progress(), np.full(epochs, np.nan)
    while progress.epoch < epochs:
        net._model.train(x, y, training, progress, losses, max_steps, *weights)
    little_endian = net.dtype.newbyteorder("<")
    parts = [net.parameters.astype(little_endian), losses.astype("<f8")]
    if state is not None:
        parts.append(state.astype(little_endian))
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()[:16]


@pytest.fixture
def fma_isas():
    before = pn.native.isa()
    yield FMA_ISAS
    pn.native.set_isa(before)


@pytest.mark.parametrize("name", NAMES)
def test_digest_is_equal_on_every_fma_isa_and_for_any_slices(fma_isas, name):
    found = {}
    for isa in fma_isas:
        pn.native.set_isa(isa)
        for max_steps in (10**9, 1, 7):
            found[isa, max_steps] = digest(name, max_steps)
    assert len(set(found.values())) <= 1, found


@pytest.mark.skipif(not FMA_ISAS, reason="no instruction set with fused multiply-adds here")
@pytest.mark.parametrize("threads", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("name", NAMES)
def test_digest_is_the_recorded_one_for_any_number_of_threads(fma_isas, name, threads):
    before = pn.num_threads()
    pn.set_num_threads(threads)
    try:
        for isa in fma_isas:
            pn.native.set_isa(isa)
            assert digest(name) == DIGESTS[name]
    finally:
        pn.set_num_threads(before)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="other baselines fuse, or round otherwise")
@pytest.mark.parametrize("name", NAMES)
def test_digest_of_the_baseline_is_the_recorded_one(fma_isas, name):
    pn.native.set_isa("baseline")
    assert digest(name) == BASELINE_DIGESTS[name]


@pytest.mark.parametrize("name", NAMES)
def test_digest_on_the_baseline_does_not_depend_on_slices(fma_isas, name):
    """Without fused multiply-adds the bits are others, but fixed as well."""
    if "baseline" not in pn.native.available_isas():
        pytest.skip("this architecture always has fused multiply-adds")
    pn.native.set_isa("baseline")
    assert digest(name, 5) == digest(name)


def test_every_activation_loss_and_optimizer_has_a_digest():
    layers, losses, optimizers = ([run[i] for run in RUNS.values() if len(run) > i] for i in (0, 1, 6))
    assert {layer[2] for run in layers for layer in run} == set(ACTIVATIONS)
    assert {described(loss, np.dtype(float)).name for loss in losses} == set(LOSSES)
    assert {type(optimizer) for optimizer in optimizers} == set(OPTIMIZERS.values())


def test_digests_tell_runs_apart(fma_isas):
    assert len({digest(name) for name in NAMES}) == len(NAMES)


if __name__ == "__main__":
    print(f"# {pn.native.isa()}")
    print("DIGESTS: dict[str, str] = {")
    for each in NAMES:
        print(f'    "{each}": "{digest(each)}",')
    print("}")
