"""
Pictures: of a run of training, of what a network predicts, and of a small network itself.

They need matplotlib, which is optional (the extra `plot`). Each function draws into the axes that it is given, or into
those of a new figure of pyplot, and returns them: ``pn.plot.history(history).figure.savefig("loss.png")``.
"""

from .curves import history
from .diagram import network
from .outcomes import decision_boundary, predictions

__all__ = ["decision_boundary", "history", "network", "predictions"]
