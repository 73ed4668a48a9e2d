"""Every loss: its value and its gradient."""

import numpy as np

from gatewise import losses
from gatewise.utils import ctc_decode

from .registry import case


def _numbers(rng):
    return rng.normal(size=(5, 4, 3)), rng.normal(size=(5, 4, 3))


def _positive(rng):
    return rng.uniform(0.1, 3, (5, 4, 3)), rng.uniform(0.1, 3, (5, 4, 3))


def _binary(rng):
    return (rng.random((5, 4, 3)) < 0.4) * 1.0, rng.uniform(0.05, 0.95, (5, 4, 3))


def _signs(rng):
    return np.sign(rng.normal(size=(5, 4, 3))), rng.normal(size=(5, 4, 3))


def _one_hot(rng):
    return np.eye(3)[rng.integers(0, 3, (5, 4))], rng.dirichlet(np.ones(3), (5, 4))


def _distributions(rng):
    return rng.dirichlet(np.ones(3), (5, 4)), rng.dirichlet(np.ones(3), (5, 4))


def _classes(rng):
    return rng.integers(0, 3, (5, 4)), rng.dirichlet(np.ones(3), (5, 4))


def _twice(rng):
    return rng.normal(size=(5, 4, 2)), rng.normal(size=(5, 4, 4))


def _thrice(rng):
    return rng.normal(size=(5, 4, 2)), rng.normal(size=(5, 4, 6))


LOSSES = {
    "MeanSquaredError": (_numbers, [{}]),
    "MeanAbsoluteError": (_numbers, [{}]),
    "MeanAbsolutePercentageError": (_positive, [{}]),
    "MeanSquaredLogarithmicError": (_positive, [{}]),
    "Huber": (_numbers, [{}, {"delta": 0.3}]),
    "LogCosh": (_numbers, [{}]),
    "BinaryCrossentropy": (
        _binary,
        [{}, {"label_smoothing": 0.2}, {"from_logits": True}],
    ),
    "CategoricalCrossentropy": (
        _one_hot,
        [{}, {"label_smoothing": 0.2}, {"from_logits": True}],
    ),
    "SparseCategoricalCrossentropy": (
        _classes,
        [{}, {"from_logits": True}, {"ignore_class": 1}, {"label_smoothing": 0.1}],
    ),
    "Hinge": (_signs, [{}]),
    "SquaredHinge": (_signs, [{}]),
    "CategoricalHinge": (_one_hot, [{}]),
    "Poisson": (_positive, [{}]),
    "KLDivergence": (_distributions, [{}]),
    "GaussianNLL": (_twice, [{}, {"full": True, "eps": 1e-3}]),
    "Quantile": (_thrice, [{}, {"quantiles": (0.2, 0.5, 0.7)}]),
}


def _run(kind, options, dtype):
    made, _ = LOSSES[kind]
    loss = getattr(losses, kind)(**options)
    y, p = made(np.random.default_rng(0))
    p = p.astype(dtype)
    weights = np.random.default_rng(1).uniform(0, 2, (5, 4)) * (np.arange(4) != 2)
    prepared = loss.prepare(y, p.shape, dtype)
    found = {"call": loss(y, p), "weighted call": loss(y, p, weights)}
    found["plain"] = loss.value_and_gradient(prepared, p)
    found["weighted"] = loss.value_and_gradient(prepared, p, weights, 7.0)
    if loss._fuses is not None and not options.get("from_logits"):
        scores = np.random.default_rng(2).normal(size=p.shape).astype(dtype)
        found["scores"] = loss.value_and_gradient(prepared, scores, weights, scores=True)
    if kind.startswith("Mean"):
        found["by target"] = loss(y, p, np.random.default_rng(3).uniform(0, 1, p.shape))
    return found


for _kind, (_, _choices) in LOSSES.items():
    for _number, _options in enumerate(_choices):
        for _dtype in ("float32", "float64"):
            case(
                f"losses/{_kind}/{_number}/{_dtype}",
                lambda k=_kind, o=_options, d=_dtype: _run(k, o, d),
            )


@case("losses/CTC")
def _ctc():
    rng = np.random.default_rng(0)
    labels, found = [[1, 2], [3], [], [2, 2, 1]], {}
    scores = rng.normal(size=(4, 8, 4))
    for dtype in ("float32", "float64"):
        for blank in (0, 3):
            loss = losses.CTC(blank=blank, zero_infinity=True)
            rows = [[label % 3 if blank else label for label in row] for row in labels]
            y = loss.prepare(rows, scores.shape, dtype)
            result = loss.value_and_gradient(
                y, scores.astype(dtype), lengths=np.array([8, 3, 5, 7])
            )
            found[f"{dtype} {blank}"] = result
    found["call"] = losses.CTC()(labels, scores, lengths=[8, 3, 5, 7])
    return found


@case("losses/ctc_decode")
def _decode():
    scores = np.random.default_rng(0).normal(size=(4, 8, 4))
    return {
        str(width): [
            [list(map(int, row)) for row in read] if k == 0 else read
            for k, read in enumerate(
                ctc_decode(scores, [8, 3, 5, 7], beam_width=width, from_logits=True)
            )
        ]
        for width in (1, 3)
    }
