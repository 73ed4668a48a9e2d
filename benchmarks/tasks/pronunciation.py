"""From spelling to sound: the phonemes of an English word, of the CMU Pronouncing Dictionary.

All words of letters alone, split by the SHA-1 of the word: 90 in 100 to train on, 5 to choose
settings on, 5 to test on. Stress is left out. A network is trained on the first pronunciation of
each word; an answer is right if it is any of those in the dictionary. The figure is the word error
rate, greedy; beside it is the phoneme error rate, to the nearest of the pronunciations. Published
encoders and decoders of LSTMs without attention have word error rates of 0.29 to 0.30 on another
split (Yao and Zweig 2015).
"""

import itertools

import numpy as np

from gatewise import losses, metrics, models, optimizers, schedules

from . import data as readers
from .task import OURS, Network, Task

PYTORCH = "PyTorch"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WARM_UP = 300  # steps


def data(seed, quick):
    """((words, sounds) to train on, (words, all their sounds) to test)."""
    if quick:
        words = ["".join(row) for row in itertools.product("abc", repeat=3)]
        sounds = [[letter.upper() for letter in word] for word in words]
        return (words[:20], sounds[:20]), (words[20:], [[sound] for sound in sounds[20:]])
    parts = readers.pronunciations()
    words, sounds = zip(*parts["train"])
    return (words, [each[0] for each in sounds]), tuple(zip(*parts["test"]))


def word_error_rate(sounds, found):
    """The share of words of which the answer is none of the sounds."""
    return float(np.mean([answer not in right for right, answer in zip(sounds, found)]))


class Speaker:
    """gatewise's Seq2Seq on letters; the rate rises for some steps, then falls along a cosine."""

    def __init__(self, network, seed):
        self.network, self.seed = network, seed

    def fit(self, words, sounds):
        network = self.network
        self.phones_ = sorted({phone for sound in sounds for phone in sound})
        numbers = {phone: 3 + k for k, phone in enumerate(self.phones_)}
        targets = [[numbers[phone] for phone in sound] for sound in sounds]
        self.model_ = models.Seq2Seq(
            3 + len(LETTERS),
            3 + len(self.phones_),
            units=network.units,
            embedding=network.embedding,
            dropout=network.dropout,
            seed=self.seed,
        )
        steps = network.epochs * -(-len(words) // network.batch_size)
        warm_up = min(WARM_UP, steps // 4)
        rate = schedules.CosineDecay(
            0.0, steps - warm_up, 0.02, warmup_target=network.rate, warmup_steps=warm_up
        )
        loss = losses.SparseCategoricalCrossentropy()
        self.model_.compile(optimizers.Adam(rate), loss)
        self.model_.fit(
            spelled(words), targets, batch_size=network.batch_size, epochs=network.epochs, verbose=0
        )
        return self

    def predict(self, words, beam=1):
        found = self.model_.generate(spelled(words), beam=beam)
        return [[self.phones_[k - 3] if k > 2 else "?" for k in row] for row in found]


def spelled(words):
    """Numbers of the letters."""
    return [[3 + LETTERS.index(letter) for letter in word] for word in words]


def pytorch(network, seed):
    """The same network in PyTorch; ImportError without PyTorch."""
    from .pytorch_translation import Translator

    return Translator(network, seed)


TASK = Task(
    "From spelling to sound",
    0.30,
    data,
    Network(
        units=256,
        embedding=64,
        bidirectional=True,
        dropout=0.3,
        epochs=9,
        batch_size=64,
        rate=0.0015,
    ),
    {OURS: Speaker, PYTORCH: pytorch},
    unit="word error rate",
    score=word_error_rate,
    lower_is_better=True,
    seeds=(0,),
    also={"phoneme error rate": metrics.token_error_rate},
)
