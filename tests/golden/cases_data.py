"""Transformers and functions of gatewise.data."""

import numpy as np

from gatewise import data

from .registry import case

LENGTHS = (4, 9, 6)


def _sequences(seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(5, 3, size=(steps, 2)) for steps in LENGTHS]


def _with_gaps(dtype):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 7, 2)).astype(dtype)
    x[rng.random(x.shape) < 0.3] = np.nan
    return x, [7, 4, 5]


SCALERS = {
    "standard": {},
    "no centre": {"with_centering": False},
    "robust": {"method": "robust", "quantile_range": (10.0, 90.0)},
    "minmax": {"method": "minmax", "feature_range": (-1, 1), "clip": True},
}


def _scaled(options):
    scaler = data.SequenceScaler(**options)
    found = {"list": scaler.fit_transform(_sequences()), "new": scaler.transform(_sequences(1))}
    found["back"] = scaler.inverse_transform(found["list"])
    block = np.random.default_rng(3).normal(size=(4, 5, 3)).astype("float32")
    block[1, 2] = np.nan
    return found | {"block": data.SequenceScaler(**options).fit_transform(block)}


for _name, _options in SCALERS.items():
    case(f"data/SequenceScaler/{_name}", lambda o=_options: _scaled(o))


@case("data/SequenceScaler/partial_fit")
def _partial():
    scaler = data.SequenceScaler().partial_fit(_sequences()).partial_fit(_sequences(1))
    return scaler.transform(_sequences(2))


@case("data/SequencePadder")
def _padder():
    found = {}
    for name, options in {
        "post": {"value": np.nan},
        "pre": {"padding": "pre", "length": 6, "truncating": "pre"},
    }.items():
        padder = data.SequencePadder(**options)
        padded = padder.fit_transform(_sequences())
        found[name] = [padded, padder.lengths(_sequences())]
        found[f"{name}, back"] = padder.inverse_transform(padded, [4, 6, 6])
    return found


@case("data/FrameStacker")
def _stacker():
    stacker = data.FrameStacker(3, stride=2, fill="zero")
    return {
        "list": stacker.fit_transform(_sequences()),
        "one": data.stack_frames(_sequences()[0], 3),
    }


@case("data/Windower")
def _windower():
    series = np.random.default_rng(0).normal(size=(30, 2))
    windower = data.Windower(window=4, horizon=2, stride=3, sampling_rate=2, skip=1)
    return {
        "pairs": windower.pairs(series),
        "all": windower.fit(series).transform(series),
        "positions": windower.positions(series, targets=True),
        "gap": windower.gap,
        "several": windower.pairs([series, series[:20]]),
    }


@case("data/windows")
def _windows():
    series = np.random.default_rng(0).normal(size=20)
    labels = np.arange(20) % 3
    return {
        "plain": data.windows(series, 3, 2),
        "labels": data.windows(series, 3, 0, labels=labels),
        "far": data.windows(series, 3, 2, stride=2, sampling_rate=3, skip=5),
    }


@case("data/Vocabulary")
def _vocabulary():
    texts = ["the cat sat on the mat", "The dog, too!", "a cat"]
    found = {}
    for name, options in {
        "characters": {},
        "lower": {"lowercase": True, "min_count": 2},
        "words": {"level": "words", "start": "<s>", "end": "</s>", "max_size": 9},
    }.items():
        vocabulary = data.Vocabulary(**options).fit(texts)
        rows = vocabulary.transform(["the cow sat", "a"])
        found[name] = {
            "tokens": " ".join(vocabulary.tokens_),
            "rows": rows,
            "back": list(vocabulary.inverse_transform(rows)),
        }
    return found


def _missing(dtype):
    x, lengths = _with_gaps(dtype)
    means = data.feature_means(x, lengths)
    counted = data.counted_steps(x, lengths)
    front, kept = data.compress(x, counted)
    return {
        "means": means,
        "mean": data.fill_mean(x, means, lengths),
        "forward": data.fill_forward(x, lengths, means),
        "no means": data.fill_forward(x),
        "indicators": data.missing_indicators(x, lengths),
        "times": data.missing_indicators(
            x, lengths, times=np.cumsum(np.ones((3, 7)), 1) * 2, means=means
        ),
        "counted": counted,
        "front": [front, kept],
        "back": data.scatter(front, counted, -1),
    }


for _dtype in ("float32", "float64"):
    case(f"data/missing/{_dtype}", lambda d=_dtype: _missing(d))


@case("data/sound")
def _sound():
    rate = 2000
    tone = np.sin(2 * np.pi * 200 * np.arange(rate // 2) / rate)
    tone += np.random.default_rng(0).normal(0, 0.1, tone.shape)
    cepstrum = data.mfcc(tone, rate, bands=20)
    return {
        "filters": data.mel_filters(10, 256, rate),
        "energies": data.log_mel(tone, rate, bands=12, high=800.0),
        "cepstrum": cepstrum,
        "deltas": data.deltas(cepstrum),
    }
