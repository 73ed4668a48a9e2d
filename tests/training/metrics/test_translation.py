"""BLEU and the share of wrong tokens, beside slow independent forms of the published formulas."""

import importlib.util
import math
from fractions import Fraction

import numpy as np
import pytest

from gatewise.errors import ConfigError, DTypeError, GatewiseError, ShapeError
from gatewise.metrics import bleu, token_error_rate

# Papineni et al. 2002, sections 2.1 and 2.2
CANDIDATE_1 = (
    "It is a guide to action which ensures that the military always obeys the commands of the party"
)
CANDIDATE_2 = "It is to insure the troops forever hearing the activity guidebook that party direct"
REFERENCES = [
    "It is a guide to action that ensures that the military will forever heed Party commands",
    "It is the guiding principle which guarantees the military forces always being under the"
    " command of the Party",
    "It is the practical guide for the army always to heed the directions of the party",
]


def slow_bleu(references, given, max_n, smoothing):
    """From the paper, with lists and loops only."""
    precisions, zeros = [], 0
    for n in range(1, max_n + 1):
        right = total = 0
        for several, row in zip(references, given):
            grams = [tuple(row[i : i + n]) for i in range(len(row) - n + 1)]
            total += len(grams)
            for gram in set(grams):
                best = 0
                for reference in several:
                    count = 0
                    for i in range(len(reference) - n + 1):
                        count += tuple(reference[i : i + n]) == gram
                    best = max(best, count)
                right += min(best, grams.count(gram))
        if smoothing == "add-one" and n > 1:
            right, total = right + 1, total + 1
        if not total:
            return 0.0
        if smoothing == "exponential" and not right:
            zeros += 1
            right = Fraction(1, 2**zeros)
        precisions.append(Fraction(right) / total)
    if 0 in precisions:
        return 0.0
    c = sum(map(len, given))
    r = 0
    for several, row in zip(references, given):
        r += sorted((abs(len(each) - len(row)), len(each)) for each in several)[0][1]
    penalty = 1.0 if c > r else math.exp(1 - r / c)
    return penalty * math.prod(float(p) for p in precisions) ** (1 / max_n)


def made_up(rng, rows, tokens=6, most=9):
    def row(shortest):
        return rng.integers(0, tokens, rng.integers(shortest, most)).tolist()

    given = [row(0) for _ in range(rows)]
    references = []
    for each in given:
        near = [token for token in each if rng.random() < 0.9] + row(1)[:2]
        references.append([near] + [row(1) for _ in range(rng.integers(0, 3))])
    return references, given


class TestBleu:
    @pytest.mark.parametrize("smoothing", [None, "add-one", "exponential"])
    @pytest.mark.parametrize("max_n", [1, 2, 4, 6])
    @pytest.mark.parametrize("rows", [1, 2, 40])
    def test_formula(self, rng, smoothing, max_n, rows):
        for _ in range(5):
            references, given = made_up(rng, rows)
            found = bleu(references, given, max_n=max_n, smoothing=smoothing)
            expected = slow_bleu(references, given, max_n, smoothing)
            assert found == pytest.approx(expected, rel=1e-12)
            assert 0 <= found <= 1

    def test_of_the_paper(self):
        short = math.exp(1 - 16 / 14)  # of the second, which the paper does not penalize there
        assert bleu([REFERENCES], [CANDIDATE_1], max_n=1) == pytest.approx(17 / 18)
        assert bleu([REFERENCES], [CANDIDATE_2], max_n=1) == pytest.approx(short * 8 / 14)
        assert bleu([REFERENCES], [CANDIDATE_1], max_n=2) == pytest.approx(
            math.sqrt(17 / 18 * 10 / 17)
        )
        assert bleu([REFERENCES], [CANDIDATE_2], max_n=2) == pytest.approx(
            short * math.sqrt(8 / 14 * 1 / 13)
        )
        # an n-gram counts as often as a reference has it
        cats = ["the cat is on the mat", "there is a cat on the mat"]
        assert bleu([cats], ["the the the the the the the"], max_n=1) == pytest.approx(2 / 7)

    def test_brevity_penalty(self):
        assert bleu(["a b c d"], ["a b c"], max_n=1) == pytest.approx(math.exp(1 - 4 / 3))
        assert bleu(["a b c d", "e"], ["a b c", "e e"], max_n=1) == pytest.approx(4 / 5)
        # of two references equally near, the shorter
        assert bleu([["a b", "a b c d"]], ["a b c"], max_n=1) == 1
        assert bleu([["a b c d", "a b"]], ["a b c"], max_n=1) == 1
        assert bleu(["a b c d e"], ["a b c d e"]) == 1.0

    def test_nothing_right(self):
        assert bleu(["a b"], [""]) == bleu(["a b"], ["c d"]) == bleu(["a b"], ["a b"]) == 0
        assert bleu(["a b c d e"], ["a c b e d"]) == 0
        assert bleu(["a b c d e"], ["a c b e d"], smoothing="exponential") == pytest.approx(
            (1 / 8 / 12 / 16) ** 0.25
        )

    @pytest.mark.skipif(importlib.util.find_spec("sacrebleu") is None, reason="no sacrebleu")
    def test_beside_sacrebleu(self, rng):
        import sacrebleu

        for rows in (1, 30):
            references, given = made_up(rng, rows)
            texts = [" ".join(map(str, row)) for row in given]
            several = [[" ".join(map(str, each)) for each in refs] for refs in references]
            most = max(map(len, several))
            streams = [
                [refs[k] if k < len(refs) else None for refs in several] for k in range(most)
            ]
            for ours, theirs in ((None, "none"), ("exponential", "exp"), ("add-one", "add-k")):
                scorer = sacrebleu.metrics.BLEU(
                    tokenize="none", smooth_method=theirs, smooth_value=1 if ours else None
                )
                expected = scorer.corpus_score(texts, streams).score / 100
                assert bleu(several, texts, smoothing=ours) == pytest.approx(expected, abs=1e-12)

    @pytest.mark.skipif(importlib.util.find_spec("nltk") is None, reason="no nltk")
    def test_beside_nltk(self, rng):
        from nltk.translate.bleu_score import corpus_bleu

        references, given = made_up(rng, 30)
        # of shorter texts, nltk counts n-grams that are not there
        given = [row if len(row) > 3 else [0, 1, 2, 3] for row in given]
        assert bleu(references, given) == pytest.approx(corpus_bleu(references, given))
        three = corpus_bleu(references, given, weights=(1 / 3,) * 3)
        assert bleu(references, given, max_n=3) == pytest.approx(three)


def slow_distance(a, b):
    if not a or not b:
        return len(a) + len(b)
    return min(
        slow_distance(a[1:], b) + 1,
        slow_distance(a, b[1:]) + 1,
        slow_distance(a[1:], b[1:]) + (a[0] != b[0]),
    )


class TestTokenErrorRate:
    def test_formula(self, rng):
        for rows in (1, 12):
            references, given = made_up(rng, rows, tokens=4, most=6)
            edits = tokens = 0
            for several, row in zip(references, given):
                edit, length = min((slow_distance(each, row), -len(each)) for each in several)
                edits, tokens = edits + edit, tokens - length
            assert token_error_rate(references, given) == pytest.approx(edits / tokens)

    def test_values(self):
        assert token_error_rate(["a b c"], ["a b c"]) == 0
        assert token_error_rate([list("kitten")], [list("sitting")]) == 0.5
        assert token_error_rate(["a"], ["b c d"]) == 3
        assert token_error_rate([""], [""]) == 0 and token_error_rate([""], ["a"]) == math.inf
        assert token_error_rate([["a b", "a x"]], ["a x"]) == 0
        assert token_error_rate([["a b c d", "x"]], ["a b"]) == 0.5  # two edits each: the longer


class TestForms:
    @pytest.mark.parametrize("score", [bleu, token_error_rate])
    def test_equal(self, score):
        y, p = ["a b c d", "b a b c"], ["a b c d c", "b b c"]
        expected = score(y, p)
        cut = [[row.split() for row in rows] for rows in (y, p)]
        number = {"a": 7, "b": 8, "c": 9, "d": 0}
        counted = [[[number[token] for token in row] for row in rows] for rows in cut]
        for form in (
            (tuple(y), np.array(p)),
            cut,
            counted,
            [[np.array(row) for row in rows] for rows in counted],
            (np.array(counted[0]), counted[1]),
            ([[row] for row in y], p),
            ([[row] for row in cut[0]], cut[1]),
            ([[tuple(token) for token in row] for row in rows] for rows in cut),
        ):
            assert score(*form) == pytest.approx(expected)

    @pytest.mark.parametrize("score", [bleu, token_error_rate])
    @pytest.mark.parametrize(
        "y, p, error, match",
        [
            ("a b", ["a b"], DTypeError, "y_true is str"),
            (["a b"], 3, DTypeError, "y_pred is int"),
            (["a", "b"], ["a"], ShapeError, "y_true has 2 rows and y_pred 1"),
            ([], [], ShapeError, "at least 1"),
            ([[]], ["a"], ShapeError, r"y_true\[0\] has no reference"),
            (["a b"], [["a", "b"]], DTypeError, r"y_true\[0\] is a string"),
            ([["a", ["b"]]], ["a"], DTypeError, r"y_true\[0\]\[1\] is list; expected a string"),
            ([[["a"], "b"]], [["a"]], DTypeError, r"y_true\[0\]\[1\] is str; expected a list"),
            ([3], [["a"]], DTypeError, r"y_true\[0\] is int"),
            (["a"], [3], DTypeError, r"y_pred\[0\] is int"),
            ([[1]], [[[1]]], DTypeError, r"y_pred\[0\] holds \[1\]; expected tokens"),
            ([[1]], [np.ones((2, 2))], ShapeError, r"y_pred\[0\] has shape \(2, 2\)"),
        ],
    )
    def test_refused(self, score, y, p, error, match):
        with pytest.raises(error, match=match):
            score(y, p)

    def test_options(self):
        with pytest.raises(GatewiseError, match="max_n"):
            bleu(["a"], ["a"], max_n=0)
        with pytest.raises(ConfigError, match="smoothing is 'floor'"):
            bleu(["a"], ["a"], smoothing="floor")
