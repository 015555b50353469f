"""
What a model file says of a network beside its tensors, and how a network's state follows from that.

A description consists of what JSON has: dicts, lists, strings, numbers, True, False and None.
docs/reference/model_files.md lists its entries. The state is that of ``Network.__getstate__``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from .conversion import REFUSALS, shown
from .layers import Dense, LayerOptions
from .losses import PARAMETRIC, LossLike
from .optimizers import OPTIMIZERS, SGD, LearningRate, Optimizer
from .schedules import from_name, name_and_numbers
from .table import Table
from .tensor_file import ModelFormatError
from .training import Interrupted

FORMAT_VERSION = 1

#: By their names in files, the losses that are objects.
_LOSSES: dict[str, type] = {kind._name: kind for kind in PARAMETRIC}

_NETWORK = ("format_version", "dtype", "layers", "loss")
_OBJECTIVE = ("loss_limit", "divide_penalty")
_LAYER = ("n_in", "n_out", "activation", "bias")
_LAYER_OPTIONS = tuple(field.name for field in dataclasses.fields(LayerOptions))
_TRAINING = ("optimizer", "steps", "epochs_trained", "seed", "begun")
_RUN = ("epochs", "logs", "pending", "stops", "callbacks")

#: Options of optimizers that files of earlier versions do not have.
_LATER_OPTIONS = ("eps_hat",)

#: How many schedules may be around one: well within the depth of a text that is read.
_MAX_NESTED = 16

#: The seed of a network from a file that has no state of training.
_SEED = 0

# ---- From a state to a description -----------------------------------------------------------------------------------


def describe(state: dict[str, Any], training: bool) -> dict[str, Any]:
    """
    The description of a network with this `state`, with what training needs to go on if `training`.

    Raises
    ------
    ValueError
        If the learning rate is a function that is not one of :mod:`plainnet.schedules`.
    """
    description = {
        "format_version": FORMAT_VERSION,
        "dtype": state["dtype"],
        "layers": [{**dict(zip(_LAYER, layer)), **layer[len(_LAYER)]} for layer in state["layers"]],
        "loss": _describe_loss(state["loss"]),
        **{name: state[name] for name in _OBJECTIVE if state[name]},
    }
    table = state["attributes"].get("table")
    if isinstance(table, Table):
        description["table"] = table.describe()
    if training:
        begun: Interrupted | None = state["begun"] and Interrupted(*state["begun"])
        description["training"] = {
            "optimizer": _describe_optimizer(state["optimizer"]),
            "steps": state["optimizer_steps"],
            "epochs_trained": state["epochs_trained"],
            "seed": str(state["shuffle_seed"]),
            "begun": begun and {**begun._asdict(), "checksum": str(begun.checksum)},
        }
        if state["run"] is not None:
            description["training"]["run"] = _describe_run(state["run"])
    return description


def _describe_run(run: dict[str, Any]) -> dict[str, Any]:
    logs = run["logs"]
    names = [name for name in (logs[0] if logs else {}) if name != "epoch"]
    return {
        "epochs": len(logs),
        "logs": {name: [_describe_number(entry[name]) for entry in logs] for name in names},
        "pending": run["pending"],
        "stops": run["stops"],
        "callbacks": [
            {"name": name, "state": state and {key: _describe_item(f"{k}.{key}", item) for key, item in state.items()}}
            for k, (name, state) in enumerate(run["callbacks"])
        ],
    }


def _describe_number(number: Any) -> Any:
    """JSON has no infinity and no NaN: these are strings."""
    return str(number) if isinstance(number, float) and not math.isfinite(number) else number


def _describe_item(name: str, item: Any) -> Any:
    return {"tensor": f"run.{name}"} if isinstance(item, np.ndarray) else _describe_number(item)


def _describe_loss(loss: LossLike) -> dict[str, Any]:
    return {"name": loss} if isinstance(loss, str) else {"name": loss._name, **dataclasses.asdict(loss)}


def _describe_optimizer(optimizer: Optimizer) -> dict[str, Any]:
    options = {field.name: getattr(optimizer, field.name) for field in dataclasses.fields(optimizer)}
    rate = _describe_rate(optimizer.learning_rate)
    return {"name": type(optimizer).__name__, **options, "learning_rate": rate}


def _describe_rate(rate: LearningRate, depth: int = 0) -> Any:
    if not callable(rate):
        return rate
    if depth > _MAX_NESTED:
        raise ValueError(f"the optimizer's learning_rate is a schedule in more than {_MAX_NESTED} others")
    known = name_and_numbers(rate)
    if known is None:
        raise ValueError(
            f"the optimizer's learning_rate is {shown(rate)}, and a file holds no function: assign an optimizer whose "
            "learning_rate is a number or one of pn.schedules, and pass your function to fit instead; or save with "
            "training=False, without the optimizer"
        )
    name, arguments = known
    return {"schedule": name, **{key: _describe_rate(value, depth + 1) for key, value in arguments.items()}}


# ---- From a description to a state -----------------------------------------------------------------------------------


def restore(description: dict[str, Any]) -> dict[str, Any]:
    """
    The state that `description` tells of, without the entries "parameters", "optimizer_state" and "backend".

    The value of "layers" is a list of Dense here, and "attributes" is empty but for "table", if there is one.

    Raises
    ------
    ModelFormatError
        If an entry is missing, unknown or wrong; but numbers and names that ``Network.__setstate__`` checks may be
        wrong.
    """
    _check_entries("the description", description, _NETWORK, (*_OBJECTIVE, "table", "training", "checksum"))
    layers = description["layers"]
    if not isinstance(layers, list) or not layers:
        raise ModelFormatError(f"layers must be a list that is not empty, not {shown(layers)}")
    state = {
        "dtype": _checked("dtype", lambda: _restore_dtype(description["dtype"])),
        "layers": [_restore_layer(f"layers[{k}]", layer) for k, layer in enumerate(layers)],
        "loss": _restore_loss(description["loss"]),
        "loss_limit": description.get("loss_limit"),
        "divide_penalty": description.get("divide_penalty", False),
    }
    state["attributes"] = _restore_attributes(description, state["layers"])
    if "training" not in description:
        begin = {"optimizer_steps": 0, "epochs_trained": 0, "shuffle_seed": _SEED, "begun": None, "run": None}
        return {**state, "optimizer": SGD(0.1), **begin}
    training = _check_entries("training", description["training"], _TRAINING, ("run",))
    return {
        **state,
        "optimizer": _restore_optimizer(training["optimizer"]),
        "optimizer_steps": training["steps"],
        "epochs_trained": training["epochs_trained"],
        "shuffle_seed": _restore_uint64("training's seed", training["seed"]),
        "begun": _restore_begun(training["begun"]),
        "run": _restore_run(training["run"]) if "run" in training else None,
    }


def _check_entries(
    what: str, value: Any, required: Collection[str], optional: Collection[str] | None = ()
) -> dict[str, Any]:
    """`value`, which must be an object with the `required` entries, and no others but `optional`; None allows all."""
    if not isinstance(value, dict):
        raise ModelFormatError(f"{what} must be an object, not {shown(value)}")
    missing = [name for name in required if name not in value]
    unknown = [] if optional is None else [name for name in value if name not in required and name not in optional]
    if missing or unknown:
        raise ModelFormatError(
            f"{what} must have the entries {', '.join(required)}{' and may have ' * bool(optional)}"
            f"{', '.join(optional or ())}; missing are {shown(missing)}, unknown are {shown(unknown)}"
        )
    return value


def _checked(what: str, make: Callable[[], Any]) -> Any:
    """What `make` returns; what it refuses is said of `what`."""
    try:
        return make()
    except ModelFormatError:
        raise
    except REFUSALS as error:
        raise ModelFormatError(f"{what} is wrong: {error}") from None


def _restore_dtype(value: Any) -> str:
    if not isinstance(value, str) or value not in ("float32", "float64"):
        raise ValueError(f"it is {shown(value)}; allowed are 'float64' and 'float32'")
    return value


def _restore_attributes(description: dict[str, Any], layers: list[Dense]) -> dict[str, Any]:
    if "table" not in description:
        return {}
    table: Table = _checked("table", lambda: Table.restore(description["table"]))
    _checked("table", lambda: table.check_network(layers[0].n_in, layers[-1].n_out))
    return {"table": table}


def _restore_layer(what: str, value: Any) -> Dense:
    entries = _check_entries(what, value, _LAYER, _LAYER_OPTIONS)
    return _checked(what, lambda: Dense(**entries))  # type: ignore[no-any-return]


def _restore_loss(value: Any) -> LossLike:
    name = _check_entries("loss", value, ("name",), None)["name"]
    parameters = {key: number for key, number in value.items() if key != "name"}
    if not parameters:
        return name  # type: ignore[no-any-return]
    kind = _LOSSES.get(name) if isinstance(name, str) else None
    names = [field.name for field in dataclasses.fields(kind)] if kind is not None else []
    _check_entries(f"loss {shown(name)}", value, ("name",), names)
    return _checked("loss", lambda: kind(**parameters))  # type: ignore[misc, no-any-return]


def _restore_optimizer(value: Any) -> Optimizer:
    name = _check_entries("the optimizer", value, ("name",), None)["name"]
    if not isinstance(name, str) or name not in OPTIMIZERS:
        raise ModelFormatError(f"unknown optimizer {shown(name)}; allowed are {', '.join(OPTIMIZERS)}")
    kind = OPTIMIZERS[name]
    names = [field.name for field in dataclasses.fields(kind)]
    later = [name for name in names if name in _LATER_OPTIONS]
    required = [name for name in names if name not in later]
    options = {**_check_entries(f"optimizer {name}", value, ("name", *required), later)}
    del options["name"]
    options["learning_rate"] = _restore_rate(options["learning_rate"])
    return _checked(f"optimizer {name}", lambda: kind(**options))  # type: ignore[no-any-return]


def _restore_rate(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    arguments = {**_check_entries("learning_rate", value, ("schedule",), None)}
    name = arguments.pop("schedule")
    if "then" in arguments:
        arguments["then"] = _restore_rate(arguments["then"])
    return _checked("learning_rate", lambda: from_name(name, arguments))


def _restore_begun(value: Any) -> tuple[Any, ...] | None:
    if value is None:
        return None
    entries = _check_entries("training's begun", value, Interrupted._fields)
    checksum = _restore_uint64("training's begun: checksum", entries["checksum"])
    return tuple(Interrupted(**{**entries, "checksum": checksum}))


def _restore_run(value: Any) -> dict[str, Any]:
    """The dict that Unfinished is checked as, in which the names of tensors are in the place of arrays."""
    entries = _check_entries("training's run", value, _RUN)
    epochs, columns, callbacks = entries["epochs"], entries["logs"], entries["callbacks"]
    if type(epochs) is not int or not isinstance(columns, dict) or not isinstance(callbacks, list):
        raise ModelFormatError("training's run: epochs must be an integer, logs an object, and callbacks a list")
    if not all(isinstance(column, list) and len(column) == epochs for column in columns.values()):
        raise ModelFormatError(f"training's run: logs must be lists of {shown(epochs)} numbers, as epochs says")
    if epochs > 0 and not columns:
        raise ModelFormatError("training's run: logs must not be empty if there are epochs")
    numbers = {name: [_restore_number(number) for number in column] for name, column in columns.items()}
    logs = [{"epoch": k + 1, **{name: column[k] for name, column in numbers.items()}} for k in range(epochs)]
    return {
        "logs": logs,
        "pending": entries["pending"],
        "stops": entries["stops"],
        "callbacks": [_restore_callback(k, callback) for k, callback in enumerate(callbacks)],
    }


def _restore_callback(k: int, value: Any) -> tuple[str, dict[str, Any] | None]:
    entries = _check_entries(f"training's run: callbacks[{k}]", value, ("name", "state"))
    state = entries["state"]
    if state is not None and not isinstance(state, dict):
        raise ModelFormatError(f"training's run: the state of callbacks[{k}] must be an object or null")
    return entries["name"], state and {key: _restore_item(f"{k}.{key}", item) for key, item in state.items()}


def _restore_number(value: Any) -> Any:
    return float(value) if value in ("nan", "inf", "-inf") else value


def _restore_item(name: str, item: Any) -> Any:
    """A number or None, or the name of a tensor, which is a TensorName."""
    if not isinstance(item, dict):
        return _restore_number(item)
    if item != {"tensor": f"run.{name}"}:
        raise ModelFormatError(f"training's run: {shown(item)} must be the tensor run.{name}")
    return TensorName(f"run.{name}")


class TensorName(str):
    """The name of a tensor, in whose place its array comes."""


def run_tensors(run: dict[str, Any] | None) -> list[tuple[dict[str, Any], str, str]]:
    """Of a run, each tensor that its callbacks keep: the state that it belongs to, its name there and in the file."""
    states = enumerate(run["callbacks"]) if run is not None else ()
    return [
        (state, key, f"run.{k}.{key}") for k, (_, state) in states for key, item in (state or {}).items()
        if isinstance(item, (np.ndarray, TensorName))
    ]  # fmt: skip


def _restore_uint64(what: str, value: Any) -> int:
    """An integer of 64 bits is a string in JSON, whose numbers are exact to 53 in other languages."""
    if not isinstance(value, str) or not (value.isascii() and value.isdigit()) or len(value) > 20:
        raise ModelFormatError(f"{what} must be a string of decimal digits, not {shown(value)}")
    return int(value)


# ---- The tensors of a network ----------------------------------------------------------------------------------------


def tensor_shapes(
    layers: Sequence[Dense], n_slots: int, run: dict[str, Any] | None = None
) -> dict[str, tuple[int, ...]]:
    """
    The shapes of all tensors by name: the parameters, what the optimizer keeps in each of its slots, and what callbacks
    keep.

    Their order is that of ``net.parameters``, of the rows of the optimizer's state, and of :func:`run_tensors`.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for prefix in ["", *(f"optimizer.{slot}." for slot in range(n_slots))]:
        for k, layer in enumerate(layers):
            shapes[f"{prefix}layers.{k}.weight"] = layer.n_in, layer.n_out
            if layer.has_bias:
                shapes[f"{prefix}layers.{k}.bias"] = (layer.n_out,)
    n_parameters = sum(layer.n_parameters for layer in layers)
    return {**shapes, **{name: (n_parameters,) for _, _, name in run_tensors(run)}}
