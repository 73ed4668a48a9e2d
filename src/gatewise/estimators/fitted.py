"""What a fit that fails restores, and which parameters the fitted network was made with."""

import numpy as np

from gatewise.errors import ConfigError
from gatewise.training import losses, optimizers
from gatewise.transaction import Transaction, attributes_of, draws_of

from .packing import LostFunction

# Parameters that describe the network, or how X is read for it. A later fit that goes on cannot
# change them.
OF_THE_NETWORK = (
    "cell",
    "units",
    "num_layers",
    "bidirectional",
    "pooling",
    "dropout",
    "recurrent_dropout",
    "embedding",
    "vocabulary_size",
    "missing",
    "architecture",
    "alpha",
    "dtype",
    "per_step",
    "n_components",
    "objective",
)
# Parameters of the optimizer and the loss. A fit with warm_start makes new ones, partial_fit goes
# on with those it has.
OF_TRAINING = ("optimizer", "learning_rate", "learning_rate_init", "clipnorm", "loss")


def parameters_in_use(estimator):
    """dict of the parameters that a network is made with, as they are now; optimizers and losses as what describes them."""
    return {
        name: _described(getattr(estimator, name))
        for name in (*OF_THE_NETWORK, *OF_TRAINING)
        if name in estimator._get_param_names()
    }


def _described(value):
    """An optimizer or a loss as plain values, since it may change later; anything else as it is."""
    if not isinstance(value, optimizers.Optimizer | losses.Loss):
        return value
    try:
        config = value.get_config()
    except ConfigError:  # of a custom class that describes nothing
        config = {}
    return [type(value).__name__, config]


def refuse_changes(estimator, fitted, incremental):
    """A fit that goes on has the network of the first one, whatever parameters were set since.

    Parameters
    ----------
    estimator : SequenceEstimator
    fitted : dict
        What :func:`parameters_in_use` gave when the network was made.
    incremental : bool
        The call is ``partial_fit``, which keeps the optimizer and the loss as well.

    Raises
    ------
    ConfigError
    """
    names = (*OF_THE_NETWORK, *OF_TRAINING) if incremental else OF_THE_NETWORK
    changed = [
        name
        for name in names
        if name in fitted and not _same(fitted[name], _described(getattr(estimator, name)))
    ]
    if changed:
        cure = "call fit" if incremental else "set warm_start=False"
        raise ConfigError(
            f"{'partial_fit' if incremental else 'warm_start=True'} goes on with the network of the"
            f" last fit, and {', '.join(changed)} changed since; {cure} to make a new one, or set"
            f" {'it' if len(changed) == 1 else 'them'} back to"
            f" {', '.join(repr(fitted[name]) for name in changed)}"
        )


def _same(before, now):
    """Whether two values of a parameter mean the same. A function that a file did not keep may be given again."""
    if before is now or isinstance(before, LostFunction):
        return True
    try:
        return bool(before == now)
    except (TypeError, ValueError):  # arrays have no one answer
        return bool(np.array_equal(before, now))


def transaction_of(estimator, with_model):
    """A call that fails leaves the estimator as it is now, and so does an interrupt.

    Attributes are kept as they are, and lists by their contents, since training appends to them. Of
    a model that training goes on with, weights, optimizer, random draws and all that ``compile``
    sets are copied.

    Parameters
    ----------
    estimator : SequenceEstimator
    with_model : bool
        The call changes the estimator's model rather than make a new one.

    Returns
    -------
    Transaction
    """
    restores = []
    if with_model:
        model = estimator.model_
        restores += [draws_of(model.rng), model._snapshot().restore]
        if model.optimizer is not None:
            restores.append(attributes_of(model.optimizer))
        restores.append(attributes_of(model))
    if isinstance(estimator.random_state, np.random.RandomState):
        restores.append(draws_of(estimator.random_state))
    return Transaction(*restores, attributes_of(estimator))
