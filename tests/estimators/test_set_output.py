"""scikit-learn set to frames.

Sequences stay what they are, features of sequences become a frame.
"""

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.pipeline import make_pipeline
from small_sequences import SMALL, fitted

from gatewise import SequenceClassifier, SequenceEncoder
from gatewise.data import FrameStacker, SequencePadder, SequenceScaler, Windower
from gatewise.errors import ConfigError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
FORMS = {
    "block": lambda block: block,
    "table": lambda block: block[..., 0],
    "frame": lambda block: pd.DataFrame(block[..., 0]),
    "1-D arrays": lambda block: list(block[..., 0]),
    "2-D arrays": list,
    "tuple": tuple,
    "lists": lambda block: block.tolist(),
    "frames": lambda block: [pd.DataFrame(rows, columns=["a", "b"]) for rows in block],
}


@pytest.fixture(params=["pandas", "polars"])
def output(request):
    pytest.importorskip(request.param)
    return request.param


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "transformer",
    [
        *(SequenceScaler(method) for method in ("standard", "robust", "minmax")),
        SequencePadder(),
        FrameStacker(2),
        Windower(2),
    ],
    ids=repr,
)
def test_sequences_stay_what_they_are(transformer, form, output, rng):
    X = FORMS[form](rng.normal(size=(6, 5, 2)))
    expected = transformer.fit_transform(X)
    back = (
        transformer.inverse_transform(expected) if isinstance(transformer, SequenceScaler) else None
    )
    with config_context(transform_output=output):
        given = transformer.fit_transform(X)
        assert type(given) is type(expected)
        for ours, theirs in zip(given, expected, strict=True):
            assert type(ours) is np.ndarray
            np.testing.assert_array_equal(ours, theirs)
        if back is not None:
            for ours, theirs in zip(transformer.inverse_transform(given), back, strict=True):
                np.testing.assert_array_equal(ours, theirs)


def test_a_pipeline(output, rng):
    block = rng.normal(size=(12, 5, 2))
    pipeline = make_pipeline(
        SequenceScaler(), SequenceEncoder(**SMALL), SequenceScaler(), SequenceClassifier(**SMALL)
    )
    expected = fitted(pipeline, block, np.arange(12) % 2).predict_proba(block)
    with config_context(transform_output=output):
        np.testing.assert_array_equal(
            fitted(pipeline, block, np.arange(12) % 2).predict_proba(block), expected
        )


@pytest.mark.parametrize("transformer", [SequenceScaler, SequencePadder, FrameStacker, Windower])
def test_sequences_are_never_promised_as_a_frame(transformer):
    assert isinstance(transformer().set_output(transform="default").set_output(), transformer)
    with pytest.raises(
        ConfigError, match=f"{transformer.__name__} returns sequences, which do not fit"
    ):
        make_pipeline(transformer(), SequenceEncoder()).set_output(transform="pandas")


def test_features_of_groups_have_their_labels(rng):
    table = pd.DataFrame(
        {
            "a": rng.normal(size=12),
            "b": rng.normal(size=12),
            "who": np.repeat(["zoe", "amy", "mia"], 4),
        }
    )
    encoder = fitted(SequenceEncoder(**SMALL), table, groups="who")
    expected = encoder.transform(table, groups="who")
    assert type(expected) is np.ndarray
    with config_context(transform_output="pandas"):
        by_setting = encoder.transform(table, groups="who")
    encoder.set_output(transform="pandas")
    fit_and_transform = encoder.fit_transform(table, groups="who")
    for given in (by_setting, encoder.transform(table, groups="who"), fit_and_transform):
        assert given.index.tolist() == ["zoe", "amy", "mia"]
        assert given.columns.tolist() == encoder.get_feature_names_out().tolist()
        np.testing.assert_array_equal(given.to_numpy(), expected)
    with config_context(transform_output="pandas"):
        assert (
            type(encoder.set_output(transform="default").transform(table, groups="who"))
            is np.ndarray
        )
