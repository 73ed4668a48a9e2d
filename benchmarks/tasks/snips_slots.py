"""SNIPS slots: a tag a word of what people say to a voice assistant.

13,084 sentences to train on, 700 to test, 72 tags (Coucke et al. 2018; split and words of Goo et
al. 2018). The figure is the F1 of whole chunks as the CoNLL-2000 task counts them: a chunk is right
if its first word, its last word and its slot are. The 700 validation sentences were looked at to
choose settings, and are not trained on.
"""

from sklearn.base import BaseEstimator
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline

from gatewise.data import Vocabulary

from . import data as readers
from .contenders import of_text, tagger
from .task import Network, Task


def data(seed, quick):
    """((X, y) to train on, (X, y) to test): lists of lists of words and of tags."""
    return (
        (readers.made_up_slots(), readers.made_up_slots(seed=1))
        if quick
        else (readers.slots("train"), readers.slots("test"))
    )


def vocabulary():
    """Words in lower case that occur twice or more: the network must learn unknown ones, too."""
    return Vocabulary("words", lowercase=True, min_count=2)


# ---- the figure


def chunks(tags):
    """Set of (slot, first, past the last) of a sentence's BIO tags; a stray I- begins a chunk."""
    found, start, slot = set(), None, None
    for place, tag in enumerate([*tags, "O"]):
        prefix, _, name = str(tag).partition("-")
        if start is not None and (prefix != "I" or name != slot):
            found.add((slot, start, place))
            start = None
        if prefix != "O" and start is None:
            start, slot = place, name
    return found


def chunk_f1(truth, predicted):
    """F1 of chunks: harmonic mean of precision and recall."""
    pairs = [(chunks(true), chunks(guess)) for true, guess in zip(truth, predicted)]
    right = sum(len(true & guess) for true, guess in pairs)
    return 2 * right / max(1, sum(len(true) + len(guess) for true, guess in pairs))


# ---- without a network


class WordByWord(BaseEstimator):
    """A linear classifier of each word from itself and two words on either side."""

    def __init__(self, seed=0):
        self.seed = seed

    def fit(self, X, y):
        linear = SGDClassifier(loss="log_loss", alpha=1e-6, random_state=self.seed)
        self.classifier_ = make_pipeline(CountVectorizer(analyzer=list), linear)
        self.classifier_.fit(
            [features for words in X for features in around(words)],
            [tag for tags in y for tag in tags],
        )
        return self

    def predict(self, X):
        return [self.classifier_.predict(around(words)) for words in X]


def around(words):
    """Features of each word, a list of str: itself, its neighbours with distances, its suffixes."""
    padded = ["<", "<", *map(str.lower, words), ">", ">"]
    return [
        [f"{by} {padded[at + by]}" for by in range(-2, 3)] + [f"ends {padded[at][-3:]}"]
        for at in range(2, len(words) + 2)
    ]


TASK = Task(
    "SNIPS slots",
    0.86,
    data,
    Network(
        units=128,
        embedding=100,
        bidirectional=True,
        dropout=0.5,
        epochs=4,
        batch_size=32,
        rate=0.003,
    ),
    of_text(
        vocabulary,
        tagger,
        ("log-linear, five words", lambda network, seed: WordByWord(seed)),
        per_step=True,
    ),
    unit="F1 of chunks on the test part",
    score=chunk_f1,
)
