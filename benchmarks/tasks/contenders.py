"""What the tables compare: gatewise, scikit-learn's models, the same network in PyTorch."""

from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import gatewise
from gatewise.data import SequencePadder

from .task import OURS

PERCEPTRON, PYTORCH = "MLPClassifier, steps side by side", "PyTorch, by skorch"


def classifier(network, seed):
    """gatewise's."""
    return gatewise.SequenceClassifier(pooling=network.pooling, **settings(network, seed))


def tagger(network, seed):
    """gatewise's."""
    return gatewise.SequenceTagger(**settings(network, seed))


def settings(network, seed):
    """The parameters that all of them have."""
    return {
        "cell": network.cell,
        "units": network.units,
        "num_layers": network.num_layers,
        "bidirectional": network.bidirectional,
        "dropout": network.dropout,
        "embedding": network.embedding,
        "learning_rate": "cosine",
        "learning_rate_init": network.rate,
        "batch_size": network.batch_size,
        "max_iter": network.epochs,
        "random_state": seed,
    }


def pytorch(network, seed, per_step=False):
    """The same network in PyTorch; ImportError without PyTorch and skorch."""
    from .pytorch import Estimator

    return Estimator(network, seed, per_step)


def perceptron(network, seed):
    """MLPClassifier with its defaults, trained to convergence on sequences padded with zeros."""
    return make_pipeline(
        SequencePadder(),
        FunctionTransformer(_side_by_side),
        StandardScaler(),
        MLPClassifier(max_iter=1000, random_state=seed),
    )


def _side_by_side(sequences):
    return sequences.reshape(len(sequences), -1)


def of_numbers(prepare):
    """The contenders of a regression; `prepare` makes the transformer that comes first in all."""

    def after(make):
        return lambda network, seed: make_pipeline(prepare(), make(network, seed))

    return {OURS: after(classifier), PERCEPTRON: after(perceptron), PYTORCH: after(pytorch)}


def of_text(vocabulary, make_ours, simple, per_step=False):
    """The contenders of a task of text.

    Parameters
    ----------
    vocabulary : callable() -> transformer
        From texts to whole numbers.
    make_ours : callable(network, seed) -> estimator
    simple : (str, callable(network, seed) -> estimator)
        A model of another kind, from texts to labels.
    """
    return {
        OURS: lambda network, seed: make_pipeline(vocabulary(), make_ours(network, seed)),
        simple[0]: simple[1],
        PYTORCH: lambda network, seed: make_pipeline(
            vocabulary(), pytorch(network, seed, per_step)
        ),
    }
