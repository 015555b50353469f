"""Runs in slices of a given number of steps, runs that Ctrl-C ends after one, and what they leave."""

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


def train_in_slices(net, n_steps):
    """Makes slices of `net.fit` end after `n_steps` steps; the list gets an entry for each of them."""
    train, slices = net._model.train, []

    def train_some_steps(x, y, training, progress, losses, max_steps):
        slices.append(max_steps)
        train(x, y, training, progress, losses, min(max_steps, n_steps))

    net._model.train = train_some_steps
    return slices


def everything(net):
    """All that training changes, as bytes."""
    state = net._optimizer[1]
    return net.parameters.tobytes(), None if state is None else state.tobytes(), net._state.steps, net.epochs_trained
