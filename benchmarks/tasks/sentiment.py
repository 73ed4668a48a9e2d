"""Movie reviews again: a convolution, an LSTM and naive Bayes, as one would do it in earnest.

Sentences and splits are those of movie_reviews. The probability is the mean of two: that of a
network (embedding, convolution over three words, LSTM in both directions, maximum over steps), and
that of naive Bayes on words and pairs of words, which is a frozen embedding of one column, its
logarithms of odds, summed over a text. PyTorch has the same network and the same naive Bayes.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline

from gatewise import Sequential, layers
from gatewise.data import Vocabulary
from gatewise.optimizers import Adam
from gatewise.schedules import CosineDecay
from gatewise.utils import pad_sequences

from .contenders import OURS, PYTORCH
from .movie_reviews import data, pairs_of_words, simple
from .task import Network, Task


@dataclass(frozen=True)
class Convolved(Network):
    """A network with a convolution, as wide as the embedding, before the recurrent layer."""

    def __str__(self):
        """One line for the table."""
        return f"convolution over three words, {super().__str__()}; averaged with naive Bayes"


class Averaged(BaseEstimator):
    """gatewise's: from lists of words to one of two labels, of which the second one praises."""

    def __init__(self, network, seed=0):
        self.network, self.seed = network, seed

    def fit(self, X, y):
        self.labels_, praises = np.unique(y, return_inverse=True)
        self.words_, self.pairs_ = Vocabulary(min_count=2).fit(X), Vocabulary().fit(paired(X))
        rows = self.pairs_.transform(paired(X))
        self.bayes_ = bayes(log_odds(rows, praises, len(self.pairs_)))
        self.fit_network(self.words_.transform(X), praises)
        return self

    def fit_network(self, rows, praises):
        chosen = self.network
        steps = chosen.epochs * -(-len(rows) // chosen.batch_size)
        self.network_ = model(chosen, len(self.words_), self.seed)
        rate = CosineDecay(chosen.rate, steps)
        self.network_.compile(Adam(rate, global_clipnorm=1.0), "binary_crossentropy")
        x = pad_sequences(rows, padding="post")
        self.network_.fit(x, praises, batch_size=chosen.batch_size, epochs=chosen.epochs, verbose=0)

    def predict(self, X):
        rows = [np.unique(row) for row in self.pairs_.transform(paired(X))]
        by_bayes = self.bayes_.predict(pad_sequences(rows, padding="post"), batch_size=256)
        mean = (self.by_network(self.words_.transform(X)) + by_bayes.ravel()) / 2
        return self.labels_[(mean > 0.5).astype(int)]

    def by_network(self, rows):
        """The network's probability that a text praises."""
        return self.network_.predict(pad_sequences(rows, padding="post"), batch_size=256).ravel()


def model(network, size, seed):
    """The network, before training."""
    width = network.embedding
    return Sequential(
        [
            layers.Embedding(size, width, mask_zero=True),
            layers.Dropout(network.dropout),
            layers.Conv1D(width, 3, padding="same", activation="relu"),
            layers.Bidirectional(layers.LSTM(network.units, return_sequences=True)),
            layers.GlobalMaxPooling1D(),
            layers.Dropout(network.dropout),
            layers.Dense(1, "sigmoid"),
        ],
        seed=seed,
    )


def bayes(odds):
    """Naive Bayes as a network: a linear cell of weight 1 adds up the odds of a text."""
    ones = {"kernel_initializer": "ones", "recurrent_initializer": "ones"}
    return Sequential(
        [
            layers.Embedding(*odds.shape, mask_zero=True, weights=odds),
            layers.SimpleRNN(1, "linear", use_bias=False, **ones),
            layers.Activation("sigmoid"),
        ]
    )


def paired(X):
    """The words and pairs of words of each text."""
    return [pairs_of_words(words) for words in X]


def log_odds(rows, praises, size):
    """How much more texts with praise use each number, as a logarithm; (size, 1)."""
    counts = np.ones((2, size))  # one more of each than there are
    for row, praise in zip(rows, praises):
        counts[praise, np.unique(row)] += 1
    shares = counts / counts.sum(axis=1, keepdims=True)
    odds = np.log(shares[1] / shares[0])
    odds[:2] = 0  # padding, and what is unknown
    return odds[:, None]


def naive_bayes(network, seed):
    """Naive Bayes alone."""
    return make_pipeline(CountVectorizer(analyzer=pairs_of_words, binary=True), MultinomialNB())


def pytorch(network, seed):
    """The same network and naive Bayes in PyTorch; ImportError without PyTorch and skorch."""
    from .pytorch_sentiment import Averaged as Theirs

    return Theirs(network, seed)


TASK = Task(
    "Movie reviews, convolution and LSTM with naive Bayes",
    0.785,
    data,
    Convolved(
        units=64,
        embedding=128,
        bidirectional=True,
        pooling="max",
        dropout=0.5,
        epochs=4,
        batch_size=32,
        rate=0.002,
    ),
    {
        OURS: lambda network, seed: Averaged(network, seed),
        "logistic regression, words and pairs": simple,
        "naive Bayes, words and pairs": naive_bayes,
        PYTORCH: pytorch,
    },
    unit="accuracy on the held-out 10 %",
)
