"""Both backends have the same functions with the same arguments."""

import inspect
import re

import pytest

import plainnet as pn
from plainnet.activations import ACTIVATIONS
from plainnet.backend import SmallCalls
from plainnet.losses import LOSSES, PARAMETRIC
from plainnet.optimizers import OPTIMIZERS

import pages
import textbook


def public_functions(module):
    return {
        name for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    }  # fmt: skip


def test_kernels_are_those_of_the_reference():
    assert set(pn.kernels.__all__) == public_functions(pn.kernels) == public_functions(pn.reference.kernels)
    for name in pn.kernels.__all__:
        assert getattr(pn.reference, name) is getattr(pn.reference.kernels, name)


@pytest.mark.parametrize("name", pn.kernels.__all__)
def test_kernel_signatures_agree(name):
    assert inspect.signature(getattr(pn.kernels, name)) == inspect.signature(getattr(pn.reference, name))


def methods(cls):
    return {name: value for name, value in vars(cls).items() if inspect.isfunction(value)}


SEAM = [
    "__init__", "forward", "gauss_newton", "input_gradient", "jacobian", "jacobian_parameters", "loss_and_gradient",
    "small_calls", "total_loss", "train", "train_batches",
]  # fmt: skip


def test_models_have_the_same_public_methods():
    for cls in (pn.reference.Model, pn.native.Model):
        assert sorted(name for name in methods(cls) if name == "__init__" or name[0] != "_") == SEAM


@pytest.mark.parametrize("name", SEAM)
def test_model_signatures_and_contracts_agree(name):
    ours, theirs = (methods(cls)[name] for cls in (pn.native.Model, pn.reference.Model))
    assert inspect.signature(ours) == inspect.signature(theirs)
    assert ours.__doc__ == theirs.__doc__


@pytest.mark.parametrize("name", ["predict", "train_on_batch", "fit"])
def test_small_calls_agree(name):
    """Those of the C backend, a type written in C, with those that a backend without any has."""
    ours, theirs = (getattr(cls, name) for cls in (pn.native.SmallCalls, SmallCalls))
    assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)
    assert ours.__doc__ == theirs.__doc__


def test_backends_know_the_same_activations_and_losses():
    """In the order of plainnet.h's numbers, so that error messages list them alike."""
    assert list(pn.native.ACTIVATIONS) == list(pn.reference.ACTIVATIONS) == list(ACTIVATIONS)
    assert list(pn.native.LOSSES) == list(pn.reference.LOSSES) == list(LOSSES)
    assert list(pn.native.ACTIVATIONS.values()) == list(range(len(pn.native.ACTIVATIONS)))
    assert list(pn.native.LOSSES.values()) == list(range(len(pn.native.LOSSES)))


def test_documentation_names_every_activation_loss_and_optimizer():
    page = pages.text("index.md")
    for name, known in ACTIVATIONS.items():
        assert f'"{name}"' in pn.Dense.__doc__
        assert (f'"{name}"' in pn.kernels.dense_backward.__doc__) == known.backward_needs_z
    for name in LOSSES:
        assert f'"{name}"' in pn.Network.__doc__
    for name in (*ACTIVATIONS, *LOSSES):
        assert f"`{name}`" in page
    for name in OPTIMIZERS:
        assert re.search(rf"optimizer : .*\b{name}\b", pn.Network.__doc__)
        assert f"`pn.{name}`" in page


def test_classes_of_losses_and_optimizers_are_exported():
    for kind in (*PARAMETRIC, *OPTIMIZERS.values()):
        assert getattr(pn, kind.__name__) is kind
        assert kind.__name__ in pn.__all__


def test_textbook_has_every_activation_and_optimizer():
    """Tests that go through all of them take them from there. Softmax is none of single elements."""
    assert list(textbook.ACTIVATIONS) == [name for name in ACTIVATIONS if name != "softmax"]
    assert list(textbook.LOSSES) == list(textbook.LOSS_GRADIENTS)
    assert {type(optimizer) for optimizer in textbook.OPTIMIZERS.values()} == set(OPTIMIZERS.values())


def test_backends_know_the_same_optimizers():
    assert list(pn.native.OPTIMIZERS) == list(pn.reference.optimizers.UPDATES) == list(OPTIMIZERS)
    assert list(pn.native.OPTIMIZERS.values()) == list(range(len(pn.native.OPTIMIZERS)))
