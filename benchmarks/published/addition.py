"""Sums of numbers of up to three digits, read and written character by character.

50,000 questions such as ``12+345``, no two alike up to the order of their numbers, padded with
blanks to 7 characters and reversed; answers padded to 4. 5,000 are held out; the other 45,000 are
trained on with their numbers in both orders, which Keras's example does not do. An LSTM of 128
units reads a question, a second one, which sees the first one's last output at each of its 4 steps,
writes the answer (Sutskever et al. 2014). Keras's figure is of single characters; beside it stands
that of answers all of whose characters are right.
"""

from collections import Counter

import numpy as np

from gatewise import Sequential, layers

from .experiment import Experiment, Published
from .training import VERBOSE, adam

ALPHABET = " +0123456789"
DIGITS, QUESTIONS, HELD_OUT, UNITS = 3, 50_000, 5_000, 128
EPOCHS, BATCH, RATE, DROPOUT, WEIGHT_DECAY = 60, 64, 0.004, 0.1, 0.01
NAME, EXACT = "LSTM 128 to LSTM 128", "LSTM 128 to LSTM 128, whole"


def draw_pairs(rng, count, digits):
    """`count` different pairs (a, b), a <= b among their swaps, of 1 to `digits` digits each."""
    seen = {}
    while len(seen) < count:
        numbers = rng.integers(0, 10 ** rng.integers(1, digits + 1, 2))
        seen.setdefault(tuple(sorted(numbers.tolist())), numbers)
    return np.array(list(seen.values()))


def spell(pairs, digits):
    """(questions, answers): lists of text."""
    width = 2 * digits + 1
    return (
        [f"{a}+{b}".ljust(width)[::-1] for a, b in pairs],
        [str(a + b).ljust(digits + 1) for a, b in pairs],
    )


def codes(texts):
    """Number of each character in ALPHABET, int (texts, characters)."""
    return np.array([[ALPHABET.index(character) for character in text] for text in texts])


def data(seed, quick):
    """((questions, answers) to train on, the same held out), as codes."""
    count, held_out, digits = (200, 40, 2) if quick else (QUESTIONS, HELD_OUT, DIGITS)
    pairs = draw_pairs(np.random.default_rng(seed), count, digits)
    both_orders = np.concatenate([pairs[held_out:], pairs[held_out:, ::-1]])
    return tuple(tuple(map(codes, spell(part, digits))) for part in (both_orders, pairs[:held_out]))


def floors(seed, quick):
    """Percent of characters, and of whole answers, that the most frequent answer has right."""
    (_, answers), (_, held_out) = data(seed, quick)
    commonest = np.array(Counter(map(tuple, answers)).most_common(1)[0][0])
    return {
        "the most frequent answer": 100 * float((held_out == commonest).mean()),
        "the most frequent answer, whole": 100 * float((held_out == commonest).all(axis=1).mean()),
    }


def network(steps, units, seed):
    """Reader, its last output repeated, writer, one softmax a step; dropout after both LSTMs."""
    return Sequential(
        [
            layers.LSTM(units, input_shape=(None, len(ALPHABET))),
            layers.Dropout(DROPOUT),
            layers.RepeatVector(steps),
            layers.LSTM(units, return_sequences=True),
            layers.Dropout(DROPOUT),
            layers.Dense(len(ALPHABET), "softmax"),
        ],
        seed=seed,
    )


def run(seed, quick):
    """(name, percent): correct characters of the held-out answers, and correct answers."""
    (questions, answers), (held_questions, held_answers) = data(seed, quick)
    one_hot = np.eye(len(ALPHABET), dtype=np.float32)
    epochs = 1 if quick else EPOCHS
    model = network(answers.shape[1], 8 if quick else UNITS, seed)
    model.compile(
        adam(RATE, len(questions), BATCH, epochs, WEIGHT_DECAY), "sparse_categorical_crossentropy"
    )
    model.fit(one_hot[questions], answers, batch_size=BATCH, epochs=epochs, verbose=VERBOSE)
    written = model.predict(one_hot[held_questions], verbose=VERBOSE).argmax(axis=-1)
    yield NAME, 100 * float((written == held_answers).mean())
    yield EXACT, 100 * float((written == held_answers).all(axis=1).mean())


EXPERIMENT = Experiment(
    "Addition of three-digit numbers",
    "percent right of held-out answers",
    {NAME: Published(99.0, "Keras's example"), EXACT: Published(99.0, "goal")},
    floors,
    run,
    higher_is_better=True,
    digits=".2f",
)
