"""What a fit that fails restores, and which parameters the fitted network was made with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError
from gatewise.training import losses, optimizers
from gatewise.transaction import Transaction, attributes_of, draws_of

from .packing import LostFunction

if TYPE_CHECKING:
    from .declared import Declared

# Parameters that describe the network, or how X is read for it. A later fit that continues cannot
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
    "tokens",
    "lowercase",
    "end_token",
)
# Parameters of the optimizer and the loss. A fit with warm_start makes new ones, partial_fit goes
# on with those it has.
OF_TRAINING = ("optimizer", "learning_rate", "learning_rate_init", "clipnorm", "loss")


def parameters_in_use(estimator: Declared) -> dict[str, Any]:
    """The parameters that a network is made with, as they are now, by name.

    Optimizers and losses, which may change later, are held as plain values.
    """
    return {
        name: _described(getattr(estimator, name))
        for name in (*OF_THE_NETWORK, *OF_TRAINING)
        if name in estimator._get_param_names()
    }


def _described(value: Any) -> Any:
    """An optimizer or a loss as plain values, anything else as it is."""
    if not isinstance(value, optimizers.Optimizer | losses.Loss):
        return value
    try:
        config = value.get_config()
    except ConfigError:  # a user-defined class without a configuration
        config = {}
    return [type(value).__name__, config]


def refuse_changes(estimator: Declared, fitted: dict[str, Any], incremental: bool) -> None:
    """Refuse to go on if parameters of the network were changed since the first fit.

    Parameters
    ----------
    estimator : SequenceEstimator
    fitted : dict
        What :func:`parameters_in_use` returned when the network was made.
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
            f"{'partial_fit' if incremental else 'warm_start=True'} continues with the network of"
            f" the last fit, and {', '.join(changed)} changed since; {cure} to make a new one, or"
            f" set {'it' if len(changed) == 1 else 'them'} back to"
            f" {', '.join(repr(fitted[name]) for name in changed)}"
        )


def _same(before: Any, now: Any) -> bool:
    """Whether two values of a parameter mean the same.

    A function that a file does not hold may be given again.
    """
    if before is now or isinstance(before, LostFunction):
        return True
    try:
        return bool(before == now)
    except (TypeError, ValueError):  # arrays: equal has an answer for each element
        return bool(np.array_equal(before, now))


def transaction_of(estimator: Declared, with_model: bool) -> Transaction:
    """The transaction of a call that leaves the estimator as it is now if it fails.

    An interrupt counts as a failure. Attributes are restored as they are, and lists by their
    contents, since training appends to them. Of a model that training continues with, weights,
    optimizer, random draws and all that ``compile`` sets are copied.

    Parameters
    ----------
    estimator : SequenceEstimator
    with_model : bool
        The call changes the estimator's model, and makes no new one.

    Returns
    -------
    Transaction
    """
    restores: list[Callable[[], object]] = []
    if with_model:
        model = estimator.model_
        restores += [draws_of(model.rng), model._snapshot().restore]
        if model.optimizer is not None:
            restores.append(attributes_of(model.optimizer))
        restores.append(attributes_of(model))
    if isinstance(estimator.random_state, np.random.RandomState):
        restores.append(draws_of(estimator.random_state))
    return Transaction(*restores, attributes_of(estimator))
