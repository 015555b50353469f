"""
The activation functions by name: what the front and both backends know of them.

The equations stand in :mod:`plainnet.reference` (NumPy) and in csrc/ (C).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Activation:
    """
    An activation function ``a = f(z)``.

    Attributes
    ----------
    name : str
    backward_needs_z : bool
        Whether its derivative is written in terms of `z`, not of `a`: training keeps `z` of such layers.
    loss : str, optional
        The activation is for the last layer, and for this loss; None allows all layers and losses.
    """

    name: str
    backward_needs_z: bool = False
    loss: str | None = None


#: In the order of ``pn_activation`` in plainnet.h.
ACTIVATIONS: dict[str, Activation] = {
    activation.name: activation
    for activation in (
        Activation("identity"),
        Activation("sigmoid"),
        Activation("tanh"),
        Activation("relu"),
        Activation("leaky_relu"),
        Activation("elu"),
        Activation("selu"),
        Activation("gelu", backward_needs_z=True),
        Activation("gelu_tanh", backward_needs_z=True),
        Activation("silu", backward_needs_z=True),
        Activation("mish", backward_needs_z=True),
        Activation("softplus"),
        Activation("softmax", loss="cross_entropy"),
    )
}
