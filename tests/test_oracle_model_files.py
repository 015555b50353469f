"""The code of docs/reference/model_files.md: PyTorch opens a file, computes the same, and writes one that is read."""

import re

import numpy as np
import pytest

import plainnet as pn

import pages

pytest.importorskip("torch", reason="the oracle is PyTorch, which is not installed")

TEXT = pages.text("reference/model_files.md")


@pytest.mark.parametrize("training", [False, True])
def test_oracle_reads_and_writes_model_files(tmp_path, monkeypatch, dtype, training):
    import torch

    monkeypatch.chdir(tmp_path)
    read, write = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    layers = [pn.Dense(5, 7, "tanh"), pn.Dense(7, 6, "relu", bias=False), pn.Dense(6, 3)]
    net = pn.Network(layers, seed=2, dtype=dtype, optimizer=pn.Adam())
    x = np.random.default_rng(0).normal(size=(9, 5)).astype(dtype)
    net.fit(x, x[:, :3], 4)
    net.save("model.safetensors", training)
    names = {}
    exec(read, names)
    expected = net.predict(x)
    found = names["model"](torch.from_numpy(x)).detach().numpy()
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=30 * np.finfo(dtype).eps)  # sums of 7 terms below 1
    with torch.no_grad():
        names["model"][0].bias += 1
    exec(write, names)
    changed = pn.load("changed.safetensors")
    net.layers[0].bias += 1
    np.testing.assert_array_equal(changed.parameters, net.parameters)
