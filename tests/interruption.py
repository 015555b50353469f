"""A run that Ctrl-C ends after a given number of steps."""

import pytest


def fit_interrupted(net, n_steps, *arguments, **keywords):
    """``net.fit(...)``, whose first slice has `n_steps` steps, and is the last one."""
    train = net._model.train

    def train_some_steps(x, y, training, progress, losses, max_steps, *weights):
        train(x, y, training, progress, losses, min(max_steps, n_steps), *weights)
        if max_steps > 0:
            raise KeyboardInterrupt

    net._model.train = train_some_steps
    with pytest.raises(KeyboardInterrupt):
        net.fit(*arguments, **keywords)
    net._model.train = train
