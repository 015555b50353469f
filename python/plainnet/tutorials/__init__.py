"""Demonstrations: the networks of from-scratch tutorials. The command line alone imports them."""
