"""Which outputs a loss can learn from: the last activation of a model, and its number of columns.

A loss names its rule in ``needs``: a function of the loss, the name of the activation (None: not
known) and the number of columns. It returns a :class:`Misfit`, or None if nothing is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# The range of an activation's outputs. What is not listed is not known.
RANGES = {
    "linear": "all",
    "leaky_relu": "all",
    "affine": "all",
    "elu": "above -1",
    "tanh": "-1 to 1",
    "softsign": "-1 to 1",
    "scaled_tanh": "both signs, limited",
    "relu": "0 or more",
    "thresholded_relu": "0 or more",
    "softplus": "above 0",
    "exponential": "above 0",
    "sigmoid": "0 to 1",
    "hard_sigmoid": "0 to 1",
    "softmax": "0 to 1",
}
SIGNED = {name for name, values in RANGES.items() if not values.startswith(("0", "above 0"))}


@dataclass(frozen=True)
class Misfit:
    """An output that a loss cannot learn from, or not as its user expects.

    Parameters
    ----------
    text : str
        The consequence, and the cure.
    hopeless : bool
        The result can only be a constant or NaN.
    """

    text: str
    hopeless: bool = False


def probabilities(loss: Any, activation: str | None, columns: int | None) -> Misfit | None:
    """Of binary cross-entropy: sigmoid, or scores with ``from_logits``."""
    if loss.from_logits:
        return _scores(activation, "sigmoid")
    if activation in ("sigmoid", "hard_sigmoid", "softmax"):
        return None
    return Misfit(
        "outputs outside 0 to 1 are cut off and have no gradient there; end with activation"
        " 'sigmoid'"
        + (", or give the loss from_logits=True" if RANGES[activation] == "all" else "")
    )


def classes(loss: Any, activation: str | None, columns: int | None) -> Misfit | None:
    """Of categorical cross-entropies: softmax, or scores with ``from_logits``; two columns."""
    if columns == 1:
        return Misfit(
            "a single column always has the probability 1, so that the loss is a constant; give the"
            " last layer a column for each class and activation 'softmax', or take 'sigmoid' and"
            " loss 'binary_crossentropy'",
            True,
        )
    if activation is None:
        return None
    if loss.from_logits:
        return _scores(activation, "softmax")
    if activation in ("softmax", "exponential", "softplus"):
        return None
    if activation in ("sigmoid", "hard_sigmoid"):
        return Misfit(
            "each row is divided by its sum; end with activation 'softmax', or for several labels a"
            " row take loss 'binary_crossentropy'"
        )
    if activation in SIGNED:
        return Misfit(
            "outputs are no probabilities: they are divided by their sum and cut off; end with"
            " activation 'softmax'"
            + (", or give the loss from_logits=True" if RANGES[activation] == "all" else "")
        )
    return Misfit("a row whose outputs are all 0 gives 0/0, NaN; end with activation 'softmax'")


def distribution(loss: Any, activation: str | None, columns: int | None) -> Misfit | None:
    """Of the Kullback-Leibler divergence: softmax, or one column from 0 to 1."""
    if activation == "softmax" or (columns == 1 and activation in ("sigmoid", "hard_sigmoid")):
        return None
    return Misfit(
        "rows of outputs do not sum to 1, or lie outside 0 to 1, where they are cut off and have no"
        " gradient; end with activation 'softmax'"
    )


def rates(loss: Any, activation: str | None, columns: int | None) -> Misfit | None:
    """Of Poisson's: rates from 0 up."""
    if activation in SIGNED:
        return Misfit("a rate below 0 gives NaN; end with activation 'exponential' or 'softplus'")
    if RANGES[activation] == "0 to 1":
        return Misfit(
            "rates above 1 cannot be reached; end with activation 'exponential' or 'softplus'"
        )
    return None


def margins(loss: Any, activation: str | None, columns: int | None) -> Misfit | None:
    """Of hinge losses: both signs."""
    if activation in SIGNED:
        return None
    return Misfit(
        "outputs cannot be negative, so that the label -1 (or 0) is never met; end with activation"
        " 'tanh' or 'linear'"
    )


def one_of_columns(loss: Any, activation: str | None, columns: int | None) -> Misfit | None:
    """Of categorical hinge: at least two columns."""
    if columns == 1:
        return Misfit(
            "there is one column, and no other class to be apart from; give the last layer a column"
            " for each class"
        )
    return None


def any_sign(loss: Any, activation: str | None, columns: int | None) -> Misfit | None:
    """Of means and logarithms of variances: no limits."""
    if RANGES[activation] == "all":
        return None
    return Misfit(
        f"outputs are limited ({RANGES[activation]}), means and log-variances are not; end with"
        " activation 'linear'"
    )


def readings(loss: Any, activation: str | None, columns: int | None) -> Misfit | None:
    """Of CTC: scores, or probabilities with ``from_logits=False``; more classes than the blank."""
    if columns == 1:
        return Misfit(
            "a single column is the blank, and no label can be read; give the last layer a class"
            " more than labels",
            True,
        )
    if activation is None:
        return None
    if loss.from_logits is False:
        return (
            None
            if activation == "softmax"
            else Misfit(
                "from_logits=False expects probabilities; end with activation "
                "'softmax', or leave from_logits out"
            )
        )
    # the model passes on the values before the activation
    if loss.from_logits is None and activation == "softmax":
        return None
    return _scores(activation, "softmax")


def _scores(activation: str | None, taken: str) -> Misfit | None:
    if RANGES[activation] == "all":
        return None
    if activation in ("softmax", "sigmoid", "hard_sigmoid"):
        return Misfit(
            f"the loss takes the {taken} of what went through a {activation} already; leave"
            " from_logits out, or end with activation 'linear'"
        )
    return Misfit(
        f"the loss takes the {taken} of outputs, and these are limited ({RANGES[activation]}); end"
        " with activation 'linear'"
    )


# rules that also apply if the activation is not known
COLUMNS_ALONE = (classes, one_of_columns, readings)


def misfit_of(loss: Any, activation: str | None, columns: int | None) -> Misfit | None:
    """The :class:`Misfit` of a loss and an output, or None.

    Parameters
    ----------
    loss : Loss
    activation : str or None
        The activation that limits the output; None: not known.
    columns : int
        The last axis of the output.
    """
    activation = activation if activation in RANGES else None
    if loss._needs is None or (activation is None and loss._needs not in COLUMNS_ALONE):
        return None
    return loss._needs(loss, activation, columns)
