"""Reading what a model trained with CTC says.

Best path and prefix beam search, beside all alignments.
"""

import itertools

import numpy as np
import pytest

from gatewise.errors import ConfigError, DTypeError, GatewiseError, ShapeError
from gatewise.utils import ctc_decode


def collapsed(path, blank):
    return tuple(k for k, _ in itertools.groupby(path) if k != blank)


def readings(p, blank):
    """Probability of every reading, all its alignments added up."""
    found = {}
    for path in itertools.product(range(p.shape[1]), repeat=len(p)):
        labels = collapsed(path, blank)
        found[labels] = found.get(labels, 0) + np.prod([p[t, k] for t, k in enumerate(path)])
    return found


def by_definition(p, width, blank):
    """Prefix beam search that goes on from every reading by every class."""
    kept = {(): (1.0, 0.0)}
    for step in p:
        grown = {}
        for labels, (blank_end, label_end) in kept.items():
            for k, chance in enumerate(step):
                ends = (
                    [(labels, (blank_end + label_end) * chance, 0)]
                    if k == blank
                    else [
                        (
                            (*labels, k),
                            0,
                            (blank_end + (0 if labels[-1:] == (k,) else label_end)) * chance,
                        )
                    ]
                )
                if labels[-1:] == (k,):
                    ends.append((labels, 0, label_end * chance))
                for reading, b, n in ends:
                    before = grown.get(reading, (0, 0))
                    grown[reading] = before[0] + b, before[1] + n
        kept = dict(sorted(grown.items(), key=lambda item: -sum(item[1]))[:width])
    best = max(kept, key=lambda labels: sum(kept[labels]))
    return best, np.log(sum(kept[best]))


def test_the_likeliest_class_of_each_step():
    p = np.eye(4)[[[0, 1, 1, 0, 1, 3, 3, 2], [2, 2, 2, 2, 2, 2, 2, 2]]]
    labels, scores = ctc_decode(p)
    assert labels == [[1, 1, 3, 2], [2]] and scores.tolist() == [0, 0]
    assert ctc_decode(p, [2, 0])[0] == [[1], []]
    assert ctc_decode(p, blank=2)[0] == [[0, 1, 0, 1, 3], []]
    assert all(type(k) is int for k in labels[0])
    assert ctc_decode(p[:, :0])[0] == [[], []]
    assert ctc_decode(p[:0])[0] == []


@pytest.mark.parametrize("blank", [0, 2])
def test_a_wide_beam_finds_the_likeliest_reading(blank, rng):
    p = rng.dirichlet(np.ones(3), (20, 5))
    labels, scores = ctc_decode(p, beam_width=400, blank=blank)
    for row, found, score in zip(p, labels, scores):
        all_of_them = readings(row, blank)
        assert tuple(found) == max(all_of_them, key=all_of_them.get)
        assert score == pytest.approx(np.log(all_of_them[tuple(found)]), rel=1e-12)


@pytest.mark.parametrize("classes", [2, 3, 9])
@pytest.mark.parametrize("width", [2, 3, 8])
def test_a_narrow_beam_keeps_what_the_definition_keeps(width, classes, rng):
    p = rng.dirichlet(np.full(classes, 0.5), (15, 9))
    labels, scores = ctc_decode(p, beam_width=width)
    for row, found, score in zip(p, labels, scores):
        best, value = by_definition(row, width, 0)
        assert tuple(found) == best and score == pytest.approx(value, rel=1e-9)


def test_a_beam_reads_what_the_best_path_misses():
    """0.6 of blank at each step.

    The best path is empty (0.36), yet the label is likelier (0.64).
    """
    p = [[[0.6, 0.4], [0.6, 0.4]]]
    assert ctc_decode(p)[0] == [[]]
    labels, scores = ctc_decode(p, beam_width=2)
    assert labels == [[1]] and np.exp(scores[0]) == pytest.approx(0.64)


def test_long_rows_do_not_underflow(rng):
    p = rng.dirichlet(np.ones(4), (1, 3000))
    for width in (1, 3):
        labels, scores = ctc_decode(p, beam_width=width)
        assert labels[0] and -4500 < scores[0] < -500


@pytest.mark.parametrize("width", [1, 2])
def test_impossible_steps_and_padding(width):
    p = np.full((2, 3, 2), 0.5)
    p[0, 1] = 0
    labels, scores = ctc_decode(p, beam_width=width)
    assert scores[0] == -np.inf and np.isfinite(scores[1])
    p[0, 1] = np.nan  # behind the row's end
    assert ctc_decode(p, [1, 3], width)[1][1] == scores[1]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (
            ([[0.5, 0.5]],),
            ShapeError,
            r"probabilities has shape \(1, 2\); expected \(batch, steps, classes\)",
        ),
        (
            ([[[0.5, -0.5]]],),
            ConfigError,
            r"probabilities\[0\] holds -0.5 at index \(0, 1\); expected numbers from 0 to 1",
        ),
        (([[[0.5, 2.5]]],), ConfigError, "of scores, give from_logits=True"),
        (([[[0.5, np.nan]]],), GatewiseError, r"probabilities\[0\] holds nan"),
        (([[["a", "b"]]],), DTypeError, "probabilities holds"),
        (([[[0.5, 0.5]]], [2]), ShapeError, r"lengths\[0\] is 2; expected 0 to 1"),
        (([[[0.5, 0.5]]], None, 0), ConfigError, "beam_width is 0; expected 1"),
        (([[[0.5, 0.5]]], None, 1.5), DTypeError, "beam_width is 1.5; expected a whole number"),
        (([[[0.5, 0.5]]], None, 1, 2), ConfigError, "blank is 2; there are 2 classes, 0 to 1"),
    ],
)
def test_arguments_that_do_not_fit(arguments, error, words):
    with pytest.raises(error, match=words):
        ctc_decode(*arguments)
