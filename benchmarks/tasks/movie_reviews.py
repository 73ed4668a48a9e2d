"""Movie reviews: whether a sentence praises or blames, by its words.

10,662 sentences of Pang and Lee 2005, already cut into words. They have no split: 10 % are held
out, drawn by the seed, half of them positive. No vectors of words from elsewhere are used: all are
learned from the other 90 %.
"""

from itertools import pairwise

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from gatewise.data import Vocabulary

from . import data as readers
from .contenders import classifier, of_text
from .task import Network, Task


def data(seed, quick):
    """((X, y) to train on, (X, y) to test); X are lists of lists of str."""
    sentences, labels = readers.made_up_sentences() if quick else readers.reviews()
    words = [sentence.split() for sentence in sentences]
    x, test_x, y, test_y = train_test_split(
        words, labels, test_size=0.1, stratify=labels, random_state=seed
    )
    return (x, y), (test_x, test_y)


def vocabulary():
    """Words that come twice at least."""
    return Vocabulary("words", min_count=2)


def simple(network, seed):
    """Logistic regression on words and pairs of words."""
    return make_pipeline(
        TfidfVectorizer(analyzer=pairs_of_words), LogisticRegression(C=10, max_iter=1000)
    )


def pairs_of_words(words):
    """Each word, and each word with the next."""
    return [*words, *map(" ".join, pairwise(words))]


TASK = Task(
    "Movie reviews",
    0.75,
    data,
    Network(
        units=64, embedding=64, pooling="max", dropout=0.5, epochs=3, batch_size=32, rate=0.003
    ),
    of_text(vocabulary, classifier, ("logistic regression, words and pairs", simple)),
    unit="accuracy on the held-out 10 %",
)
