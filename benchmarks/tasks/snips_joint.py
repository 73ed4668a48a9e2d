"""SNIPS slots and intent: one network with two outputs, a tag for each word and an intent.

Sentences and split are those of snips_slots, and the F1 of chunks is its figure, too; the share of
right intents, out of seven, is printed beside it. A word is read as itself and as its last three
letters, which new words share with known ones: two inputs, whose embeddings are concatenated.
"""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import accuracy_score

from gatewise import Model, layers
from gatewise.data import Vocabulary
from gatewise.optimizers import Adam
from gatewise.schedules import CosineDecay

from . import data as readers
from .contenders import OURS, PYTORCH
from .snips_slots import chunk_f1
from .task import Network, Task

ENDINGS = 32  # width of the embedding of the last three letters


def data(seed, quick):
    """((X, y) to train on, (X, y) to test): X as in snips_slots, y of pairs (tags, intent)."""
    parts = []
    for number, part in enumerate(("train", "test")):
        words, tags = readers.made_up_slots(seed=number) if quick else readers.slots(part)
        intents = [row[0] for row in tags] if quick else readers.intents(part)
        parts.append((words, list(zip(tags, intents))))
    return tuple(parts)


class Joint(BaseEstimator):
    """gatewise's: from lists of words to pairs of tags and an intent."""

    def __init__(self, network, seed=0):
        self.network, self.seed = network, seed

    def fit(self, X, y):
        tags, intents = zip(*y)
        self.words_ = Vocabulary(lowercase=True, min_count=2).fit(X)
        self.endings_ = Vocabulary(lowercase=True, min_count=2).fit(endings(X))
        self.tags_ = Vocabulary().fit(list(tags))  # 0, padding, is the tag of no word
        self.intents_, numbers = np.unique(intents, return_inverse=True)
        self.fit_network(self.read(X), self.tags_.transform(tags), numbers)
        return self

    def read(self, X):
        """The rows of both inputs."""
        return [self.words_.transform(X), self.endings_.transform(endings(X))]

    def fit_network(self, inputs, tags, intents):
        chosen = self.network
        sizes = len(self.words_), len(self.endings_), len(self.tags_), len(self.intents_)
        steps = chosen.epochs * -(-len(tags) // chosen.batch_size)
        self.network_ = model(chosen, *sizes, self.seed)
        self.network_.compile(
            Adam(CosineDecay(chosen.rate, steps), global_clipnorm=1.0),
            "sparse_categorical_crossentropy",
        )
        self.network_.fit(
            inputs,
            [tags, intents],
            batch_size=chosen.batch_size,
            epochs=chosen.epochs,
            verbose=0,
        )

    def scores(self, inputs):
        """Scores or probabilities of tags, padded, and of intents."""
        return self.network_.predict(inputs, batch_size=256)

    def predict(self, X):
        tags, intents = self.scores(self.read(X))
        tags[..., 0] = -np.inf
        return [
            ([self.tags_.tokens_[k] for k in row[: len(words)].argmax(1)], intent)
            for row, words, intent in zip(tags, X, self.intents_[intents.argmax(1)])
        ]


def model(network, words, endings, tags, intents, seed):
    """The network, before training."""
    inputs = [layers.Input((None,), name=name) for name in ("words", "endings")]
    parts = [
        layers.Embedding(size, width, mask_zero=True)(x)
        for x, size, width in zip(inputs, (words, endings), (network.embedding, ENDINGS))
    ]
    x = layers.Dropout(network.dropout)(layers.concatenate(parts))
    x = layers.Bidirectional(layers.LSTM(network.units, return_sequences=True))(x)
    x = layers.Dropout(network.dropout)(x)
    slots = layers.Dense(tags, "softmax", name="slots")(x)
    intent = layers.Dense(intents, "softmax", name="intent")(layers.GlobalMaxPooling1D()(x))
    return Model(inputs, [slots, intent], seed=seed)


def endings(X):
    """The last three letters of each word."""
    return [[word[-3:] for word in words] for words in X]


def slot_f1(truth, predicted):
    """F1 of chunks."""
    return chunk_f1(*([tags for tags, _ in pairs] for pairs in (truth, predicted)))


def intent_accuracy(truth, predicted):
    """Share of sentences whose intent is right."""
    return accuracy_score(*([intent for _, intent in pairs] for pairs in (truth, predicted)))


def pytorch(network, seed):
    """The same network in PyTorch; ImportError without PyTorch and skorch."""
    from .pytorch_joint import Joint as Theirs

    return Theirs(network, seed)


TASK = Task(
    "SNIPS slots and intent, one network",
    0.88,
    data,
    Network(
        units=128,
        embedding=100,
        bidirectional=True,
        pooling="max",  # of the intent
        dropout=0.5,
        epochs=8,
        batch_size=32,
        rate=0.003,
    ),
    {OURS: lambda network, seed: Joint(network, seed), PYTORCH: pytorch},
    unit="F1 of chunks on the test part",
    score=slot_f1,
    also={"intents that are right": intent_accuracy},
)
