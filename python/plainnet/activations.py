"""
The activation functions by name: what the front and both backends know of them.

The equations stand in :mod:`plainnet.reference` (NumPy) and in csrc/ (C).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Activation:
    """An activation function ``a = f(z)``. Its derivative is written in terms of `a`."""

    name: str


#: In the order of ``pn_activation`` in plainnet.h.
ACTIVATIONS: dict[str, Activation] = {
    activation.name: activation
    for activation in (Activation("identity"), Activation("sigmoid"), Activation("tanh"), Activation("relu"))
}
