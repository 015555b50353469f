"""
Reads model files that have been changed at random: each is refused with ModelFormatError, or is a valid file.

    python tests/fuzz_model_file.py [NUMBER] [SEED]     a million by default

A file that is accepted must be one for the package safetensors as well, with the same tensors, and must survive being
saved and read again. Half of the files have no checksum, or all but the first checks would be idle.
"""

import copy
import io
import json
import os
import pickle
import random
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import safetensors

import plainnet as pn
from plainnet.files import _read
from plainnet.model_file import to_bytes
from plainnet.table import Column, Table

S = pn.schedules
#: What often breaks parsers, of headers and of descriptions.
TOKENS = [
    b"0", b"-1", b"1e999", b"NaN", b"1.5", b"18446744073709551616", b"9223372036854775807", b"99999999999999999999999",
    b"null", b"true", b'""', b'"a"', b"[]", b"{}", b"[[[[[[[[", b'{"a":', b",", b":", b'"', b"\\", b'\\"', b"\\ud800",
    b"\\u0000", b"\xff", b"\xc3", b"\0", b" ", b"\n", b"]", b"}", b'"layers.0.weight":', b'"__metadata__":', b'"F32"',
    b'"F16"', b"checksum", b"\xef\xbb\xbf",
]  # fmt: skip
VALUES = [
    None, True, False, 0, 1, -1, 2, 3, 8, 2**31, 2**63, 2**64, 10**19, 0.0, 0.5, 1.0, -0.5, 1e300, 5e-324, "", "0", "a",
    "tanh", "softmax", "relu", "F32", "F64", "float32", "float64", "huber", "cross_entropy", "SGD", "Adam", "Rprop",
    "\ud800", "\0", "7" * 30, [], {}, [0, 8], [1], [[]], {"name": "SGD"}, {"schedule": "cosine"},
]  # fmt: skip

#: Names of entries, which are given to values of others.
NAMES = [
    "a", "checksum", "training", "dropout", "bias", "then", "name", "layers.1.bias", "table", "categories"
]  # fmt: skip


def sources():
    """The bytes of some files, among them all optimizers, schedules and losses with parameters."""
    rates = [
        0.1, S.step(0.1, 3), S.exponential(0.1, 0.9), S.cosine(0.1, 99), S.one_cycle(0.1, 99), S.linear_warmup(3, 0.1)
    ]  # fmt: skip
    optimizers = [pn.SGD, pn.SGD, pn.RMSprop, pn.Adagrad, pn.Adam, pn.AdamW, pn.Rprop]
    losses = ["mean_squared_error", pn.Huber(2.0), pn.Quantile(0.3), pn.CrossEntropy(0.1), "log_loss"]
    contents = []
    for k, kind in enumerate(optimizers):
        loss = losses[k % len(losses)]
        last = {"log_loss": "sigmoid", pn.CrossEntropy(0.1): "softmax"}.get(loss, "identity")
        layers = [pn.Dense(2, 2, "gelu", k % 2 == 0, dropout=0.1 * (k % 3)), pn.Dense(2, 2, last, l1=0.1 * (k % 2))]
        rate = rates[k % len(rates)]
        optimizer = kind(rate, momentum=0.9) if k == 1 else kind(rate)
        net = pn.Network(layers, loss, seed=k, optimizer=optimizer, dtype="float32" if k % 2 else "float64")
        net.fit([[0, 1], [1, 0], [2, 2]], [[0, 1], [1, 0], [0, 1]], 2, batch_size=2)
        if k % 3 == 0:
            columns = Column("a"), Column("b, \"c\"\u00e9", ("checksum",))
            net.table = Table(columns, Column("d", ("x", "y")))
        state = net.__getstate__()
        contents += [bytes(to_bytes(state, training, False)) for training in (False, True)]
        state["begun"] = (3, 2, True, 2**64 - 1, 2, 0.5)
        contents.append(bytes(to_bytes(state, True, False)))
    return contents


def parts(content):
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    return header, json.loads(header["__metadata__"]["plainnet"]), content[8 + length :]


def joined(header, description, data):
    header = {**header, "__metadata__": {"plainnet": json.dumps(description)}}
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    return len(text).to_bytes(8, "little") + text + data


def with_changed_bytes(content, rng):
    """Some bits, bytes, stretches and tokens."""
    content = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 3, 8])):
        place = rng.randrange(len(content) + 1)
        kind = rng.randrange(6)
        if kind == 0 and place < len(content):
            content[place] ^= 1 << rng.randrange(8)
        elif kind == 1 and place < len(content):
            content[place] = rng.randrange(256)
        elif kind == 2:
            del content[place : place + rng.choice([1, 2, 8, 100])]
        elif kind == 3:
            content[place : place + rng.choice([0, 0, 1, 4])] = rng.choice(TOKENS)
        elif kind == 4:
            start = rng.randrange(len(content) + 1)
            content[place:place] = content[start : start + rng.randrange(1, 40)]
        elif rng.random() < 0.2:
            del content[place:]
    if rng.random() < 0.3 and len(content) >= 8:  # a length that the header may have: the change is within it, mostly
        end = content.rfind(b"}") + 1
        content[:8] = max(0, end - 8).to_bytes(8, "little")
    return bytes(content)


def places(value):
    """Each container within `value`, which is one itself, with each of its keys."""
    for key in value if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], list | dict):
            yield from places(value[key])


def change_a_value(value, rng):
    """Replaces, removes, adds or repeats a value somewhere inside of `value`, a list or a dict."""
    value, key = rng.choice([*places(value)] or [({"a": 0}, "a")])
    kind = rng.randrange(8)
    if kind == 0:
        del value[key]
    elif kind == 1 and isinstance(value, dict):
        value[rng.choice(NAMES)] = value[key]
    elif kind == 1:
        value.insert(key, copy.deepcopy(value[key]))
    elif kind == 2 and isinstance(value[key], int | float):
        value[key] = type(value[key])(value[key] + rng.choice([-8, -1, 1, 8]))
    else:
        value[key] = copy.deepcopy(rng.choice(VALUES))


def with_changed_values(content, rng):
    """Some values of the header, of the description, or of the tensors; the file has no checksum."""
    header, description, data = parts(content)
    description.pop("checksum")
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        kind = rng.randrange(10)
        if kind == 0 and data:
            place = rng.randrange(len(data))
            data = data[:place] + rng.choice([b"\xff\xff", b"\x7f", b"\0" * 8, b"\xf0\x7f"]) + data[place + 1 :]
        elif kind == 1:
            data = data[: rng.randrange(len(data) + 1)]
        elif kind < 4:
            change_a_value(header, rng)
        else:
            change_a_value(description, rng)
    return joined(header, description, data)


def check_accepted(net, content):
    """What is accepted is a file for safetensors, has the same tensors there, and comes back when it is saved."""
    dtype = net.dtype.newbyteorder("<")
    tensors = {name: np.frombuffer(tensor["data"], dtype) for name, tensor in safetensors.deserialize(content)}
    found = [
        tensors[f"layers.{k}.{kind}"] for k, layer in enumerate(net.layers)
        for kind in ("weight", "bias") if kind == "weight" or layer.has_bias
    ]  # fmt: skip
    assert np.concatenate(found).tobytes() == net.parameters.astype(dtype).tobytes()
    again = bytes(to_bytes(net.__getstate__(), True, False))
    assert pickle.dumps(_read(io.BytesIO(again), len(again), "c", False)) == pickle.dumps(net)


def fuzz(numbers, seed):
    """Reads the files of these numbers; returns how many were accepted, and how many refused, by what was said."""
    contents, results = sources(), Counter()
    for content in contents:
        check_accepted(_read(io.BytesIO(content), len(content), "c", False), content)
    for k in numbers:
        rng = random.Random(seed * 1_000_003 + k)
        source = rng.choice(contents)
        content = (with_changed_bytes if rng.random() < 0.5 else with_changed_values)(source, rng)
        try:
            net = _read(io.BytesIO(content), len(content), "c", False)
        except pn.ModelFormatError as error:
            str(error).encode()  # the message can be printed
            results[str(error)[:12]] += 1
        except BaseException:
            print(f"file {k} of seed {seed}: {content!r}", file=sys.stderr)
            raise
        else:
            results["accepted"] += 1
            check_accepted(net, content)
    return results


def main():
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    started, n_processes = time.perf_counter(), os.cpu_count() or 1
    with ProcessPoolExecutor(n_processes) as executor:
        parts = [range(k, number, n_processes) for k in range(n_processes)]
        results = sum(executor.map(fuzz, parts, [seed] * n_processes), Counter())
    seconds = time.perf_counter() - started
    print(f"{number} files in {seconds:.0f} s: {results['accepted']} were accepted, the others refused")


if __name__ == "__main__":
    main()
