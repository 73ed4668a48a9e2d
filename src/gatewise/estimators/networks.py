"""The layers of an estimator: recurrent layers, pooling of their steps, and the output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise import checks, layers
from gatewise.errors import ConfigError
from gatewise.layers import Activation, Dense, Dropout

from .parameters import CELLS, chosen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gatewise.layers import Layer
    from gatewise.regularizers import Regularizer

    from .declared import Declared

POOLINGS = ("last", "mean", "max")
# Architectures that have a name.
NAMED = ("recurrent", "convolution", "attention", "normalization")
WINDOW = 5  # steps that a convolution sees


def encoder_layers(
    estimator: Declared, penalty: Regularizer | None, per_step: bool = False
) -> list[Layer]:
    """The layers from the input to one vector for each sequence.

    Parameters
    ----------
    estimator : SequenceEstimator
        Its parameters describe the layers.
    penalty : Regularizer or None
        Of kernels.
    per_step : bool
        To one vector for each step.

    Returns
    -------
    list of Layer

    Raises
    ------
    ConfigError
    """
    pooling = chosen(estimator.pooling, "pooling", POOLINGS)
    architecture = chosen(
        "recurrent" if estimator.architecture is None else estimator.architecture,
        "architecture",
        NAMED,
    )
    _check_decay(estimator, architecture)
    if architecture == "attention" and pooling == "last":
        pooling = "mean"
    made: list[Layer] = [*embedding_layers(estimator)]
    if architecture == "convolution":
        units = checks.whole_number(estimator.units, "units")
        made.append(
            layers.Conv1D(
                units, WINDOW, padding="same", activation="relu", kernel_regularizer=penalty
            )
        )
    made += _recurrent_layers(
        estimator, penalty, per_step or pooling != "last", architecture == "normalization"
    )
    if architecture == "attention":
        made.append(layers.Attention(use_scale=True))
    if pooling != "last" and not per_step:
        made.append(
            {"mean": layers.GlobalAveragePooling1D, "max": layers.GlobalMaxPooling1D}[pooling]()
        )
    return made


def _check_decay(estimator: Declared, architecture: str) -> None:
    """Refuse missing="decay" if the first layer cannot be a GRU-D."""
    if estimator.missing != "decay":
        return
    if estimator.cell != "gru":
        raise ConfigError(
            f"missing='decay' is what the cell GRU-D does, cell is {estimator.cell!r}; give"
            " cell='gru'"
        )
    if architecture == "convolution":
        raise ConfigError(
            "missing='decay' needs the values themselves, which architecture='convolution'"
            " mixes; leave one out"
        )


def _recurrent_layers(
    estimator: Declared, penalty: Regularizer | None, all_steps: bool, normalized: bool
) -> list[Layer]:
    """The recurrent layers, each with its normalization and dropout.

    Parameters
    ----------
    estimator : SequenceEstimator
    penalty : Regularizer or None
        Of kernels.
    all_steps : bool
        The last layer returns all steps, not only the last one.
    normalized : bool
        A LayerNormalization follows each layer.
    """
    cell = CELLS[chosen(estimator.cell, "cell", CELLS)]
    count = checks.whole_number(estimator.num_layers, "num_layers")
    units = checks.whole_number(estimator.units, "units")
    dropout = checks.fraction(estimator.dropout, "dropout")
    bidirectional = checks.flag(estimator.bidirectional, "bidirectional")
    made: list[Layer] = []
    for number in range(count):
        options = {
            "return_sequences": all_steps or number < count - 1,
            "kernel_regularizer": penalty,
            "recurrent_regularizer": penalty,
            "recurrent_dropout": estimator.recurrent_dropout,
        }
        if estimator.missing == "decay" and number == 0:
            layer = _decaying(units, estimator, options)
        else:
            layer = cell(units, **options)
        made.append(layers.Bidirectional(layer) if bidirectional else layer)
        if normalized:
            made.append(layers.LayerNormalization())
        if dropout:
            made.append(Dropout(dropout))
    return made


def embedding_layers(estimator: Declared) -> list[layers.Embedding]:
    """The Embedding that tokens go through, in a list; an empty list if X holds no tokens."""
    size = estimator._vector_size()
    if size is None:
        return []
    tokens = estimator.vocabulary_size_
    if size == 0:  # as fast as a layer that reads one-hot vectors, and X remains whole numbers
        return [layers.Embedding(tokens, tokens, "identity", trainable=False)]
    return [layers.Embedding(tokens, size)]


def _decaying(units: int, estimator: Declared, options: dict[str, Any]) -> Layer:
    """The first layer for missing="decay", in which missing values decay to the mean."""
    if options.pop("recurrent_dropout"):
        raise ConfigError(
            "recurrent_dropout is above 0, which missing='decay' does not have; leave it out, or"
            " use dropout"
        )
    return layers.GRUD(units, means=estimator.feature_means_.tolist(), **options)


def head_layers(outputs: int, activation: str, penalty: Regularizer | None) -> list[Layer]:
    """The layers from the vectors to scores, and from scores to outputs."""
    return [Dense(outputs, kernel_regularizer=penalty), Activation(activation)]


def custom_layers(
    architecture: Callable[..., Iterable[Layer]],
    shape: tuple[int, int],
    outputs: int,
    activation: str,
    embedding: Iterable[Layer] = (),
) -> list[Layer]:
    """Layers that the user's function makes, with the activation at the end if it is missing.

    Parameters
    ----------
    architecture : callable
    shape : (int, int)
        Steps, and features of one.
    outputs : int
    activation : str
        Of the output.
    embedding : list of Embedding
        Layers to put before them.

    Returns
    -------
    list of Layer

    Raises
    ------
    ConfigError
    """
    if not callable(architecture):
        raise ConfigError(
            f"architecture is {architecture!r}; expected a name, None, or a function of n_steps,"
            " n_features and n_outputs that returns a list of layers"
        )
    made = list(architecture(*shape, outputs))
    if not made or not all(isinstance(layer, layers.Layer) for layer in made):
        raise ConfigError(
            f"architecture gave {made!r:.200}; expected a list of gatewise.layers objects, which"
            f" ends in {outputs} outputs"
        )
    stateful = [layer.name for layer in made if layer.stateful]
    if stateful:
        raise ConfigError(
            f"architecture gave the layer {stateful[0]!r} with stateful=True; a sequence would"
            " change the result of the next one: leave it out"
        )
    last = getattr(made[-1], "activation", None)
    if isinstance(made[-1], Activation) and last == activation:
        return [*embedding, *made]
    if activation != "linear" and last not in (None, "linear"):
        raise ConfigError(
            f"architecture gave layers that end in a {type(made[-1]).__name__} with the activation"
            f" {last!r}, and the {activation} of the output would follow it; end in scores: leave"
            " that activation out"
        )
    return [*embedding, *made, Activation(activation)]
