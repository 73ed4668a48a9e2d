"""The layers of an estimator: recurrent layers, what sums up their steps, and a head."""

from gatewise import checks, layers
from gatewise.errors import ConfigError
from gatewise.layers import Activation, Dense, Dropout

from .parameters import CELLS, chosen

POOLINGS = ("last", "mean", "max")
# Architectures that have a name.
NAMED = ("recurrent", "convolution", "attention", "normalization")
WINDOW = 5  # steps that a convolution sees


def encoder_layers(estimator, penalty, per_step=False):
    """list of Layer from the input to one vector a sequence, or a step with `per_step`.

    Parameters
    ----------
    estimator : SequenceEstimator
        Its parameters say which.
    penalty : Regularizer or None
        Of kernels.
    """
    cell = CELLS[chosen(estimator.cell, "cell", CELLS)]
    pooling = chosen(estimator.pooling, "pooling", POOLINGS)
    count = checks.whole_number(estimator.num_layers, "num_layers")
    units = checks.whole_number(estimator.units, "units")
    dropout = checks.fraction(estimator.dropout, "dropout")
    bidirectional = checks.flag(estimator.bidirectional, "bidirectional")
    architecture = chosen(
        "recurrent" if estimator.architecture is None else estimator.architecture,
        "architecture",
        NAMED,
    )
    pooling = "mean" if architecture == "attention" and pooling == "last" else pooling
    made = embedding_layers(estimator)
    if estimator.missing == "decay" and estimator.cell != "gru":
        raise ConfigError(
            f"missing='decay' is what the cell GRU-D does, cell is {estimator.cell!r}; give"
            " cell='gru'"
        )
    if architecture == "convolution":
        if estimator.missing == "decay":
            raise ConfigError(
                "missing='decay' needs the values themselves, which architecture='convolution'"
                " mixes; leave one out"
            )
        made.append(
            layers.Conv1D(
                units, WINDOW, padding="same", activation="relu", kernel_regularizer=penalty
            )
        )
    for number in range(count):
        options = {
            "return_sequences": per_step or number < count - 1 or pooling != "last",
            "kernel_regularizer": penalty,
            "recurrent_regularizer": penalty,
            "recurrent_dropout": estimator.recurrent_dropout,
        }
        if estimator.missing == "decay" and number == 0:
            layer = _decaying(units, estimator, options)
        else:
            layer = cell(units, **options)
        made.append(layers.Bidirectional(layer) if bidirectional else layer)
        if architecture == "normalization":
            made.append(layers.LayerNormalization())
        if dropout:
            made.append(Dropout(dropout))
    if architecture == "attention":
        made.append(layers.Attention(use_scale=True))
    if pooling != "last" and not per_step:
        made.append(
            {"mean": layers.GlobalAveragePooling1D, "max": layers.GlobalMaxPooling1D}[pooling]()
        )
    return made


def embedding_layers(estimator):
    """list of the Embedding that tokens go through, empty where X holds no tokens."""
    if estimator.embedding is None:
        return []
    return [
        layers.Embedding(
            estimator.vocabulary_size_, checks.whole_number(estimator.embedding, "embedding")
        )
    ]


def _decaying(units, estimator, options):
    """The first layer where values that are missing decay to the mean."""
    if options.pop("recurrent_dropout"):
        raise ConfigError(
            "recurrent_dropout is above 0, which missing='decay' does not have; leave it out, or"
            " use dropout"
        )
    return layers.GRUD(units, means=estimator.feature_means_.tolist(), **options)


def head_layers(outputs, activation, penalty):
    """From those vectors to scores, and from scores to outputs."""
    return [Dense(outputs, kernel_regularizer=penalty), Activation(activation)]


def custom_layers(architecture, shape, outputs, activation, embedding=()):
    """Layers that the user's function makes, ended by the activation where they lack it.

    Parameters
    ----------
    architecture : callable
    shape : (int, int)
        Steps, and features of one.
    outputs : int
    activation : str
        Of the output.
    embedding : list of Embedding
        What stands before them.

    Raises
    ------
    ConfigError
    """
    if not callable(architecture):
        raise ConfigError(
            f"architecture is {architecture!r}; expected a name, None, or a function of n_steps,"
            " n_features and n_outputs that gives a list of layers"
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
