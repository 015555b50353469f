"""Solvers that take all rows at once and go to the last digit: what :meth:`plainnet.Network.minimize` does."""
