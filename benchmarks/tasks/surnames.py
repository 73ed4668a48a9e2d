"""Surnames: from which of 18 languages a name comes, by its characters.

20,050 names as used in PyTorch's tutorials (github.com/spro/practical-pytorch), very unevenly
spread over the languages. They have no split: 20 % are held out, drawn by the seed with each
language's share kept. Names repeat within a language and between languages, and no repetition is
taken out.
"""

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from gatewise.data import Vocabulary

from . import data as readers
from .contenders import classifier, of_text
from .task import Network, Task


def data(seed, quick):
    """((X, y) to train on, (X, y) to test); X are lists of str."""
    names, languages = readers.made_up_words() if quick else readers.surnames()
    x, test_x, y, test_y = train_test_split(
        names, languages, test_size=0.2, stratify=languages, random_state=seed
    )
    return (x, y), (test_x, test_y)


def simple(network, seed):
    """Logistic regression on character n-grams."""
    return make_pipeline(
        TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), lowercase=False),
        LogisticRegression(C=10, max_iter=1000),
    )


TASK = Task(
    "Surnames",
    0.83,
    data,
    Network(
        units=128, embedding=32, bidirectional=True, dropout=0.3, epochs=6, batch_size=32, rate=0.01
    ),
    of_text(Vocabulary, classifier, ("logistic regression, 1-4-grams", simple)),
    unit="accuracy on the held-out 20 %",
)
