"""The label error rate: edit distances, reading, batches, weights, padding, in a model.

ctc_decode of scores.
"""

import json

import numpy as np
import pytest

from gatewise import metrics
from gatewise.callbacks import ModelCheckpoint
from gatewise.errors import CheckpointError, ConfigError, ShapeError
from gatewise.layers import LSTM, Dense, Input
from gatewise.metrics import LabelErrorRate
from gatewise.models import Sequential
from gatewise.training.metrics.labels import edit_distances
from gatewise.utils import ctc_decode


def distance(a, b):
    """From the definition, slowly."""
    if not len(a) or not len(b):
        return len(a) + len(b)
    return min(
        distance(a[1:], b) + 1, distance(a, b[1:]) + 1, distance(a[1:], b[1:]) + (a[0] != b[0])
    )


def outputs(*rows):
    """Outputs whose likeliest classes are these rows."""
    return np.stack([np.eye(4)[row] * 0.8 + 0.05 for row in rows])


def test_edit_distances_of_random_rows(rng):
    a, b = rng.integers(1, 4, (60, 5)), rng.integers(1, 4, (60, 4))
    a_counts, b_counts = rng.integers(0, 6, 60), rng.integers(0, 5, 60)
    expected = [
        distance(row[:n].tolist(), other[:m].tolist())
        for row, n, other, m in zip(a, a_counts, b, b_counts)
    ]
    assert edit_distances(a, a_counts, b, b_counts).tolist() == expected
    assert edit_distances(a[:0], a_counts[:0], b[:0], b_counts[:0]).shape == (0,)


@pytest.mark.parametrize(
    ("y", "path", "expected"),
    [
        ([1, 2, 3], [1, 1, 0, 2, 3, 3], 0),
        ([1, 2, 3], [1, 0, 0, 0, 0, 3], 1 / 3),
        ([1, 2], [1, 0, 1, 2, 3, 0], 1.0),
        ([1, 1], [1, 1, 1, 0, 0, 0], 0.5),
        ([1, 1], [1, 0, 1, 0, 0, 0], 0.0),
        ([2, 0, 0], [1, 1, 1, 0, 0, 0], 1.0),
    ],
)
def test_of_one_row(y, path, expected):
    assert LabelErrorRate()([y], outputs(path)) == pytest.approx(expected)


def test_batches_weights_and_lengths():
    y, p = [[1, 2, 3], [1], [2, 2]], outputs([1, 2, 3, 0], [2, 2, 0, 0], [2, 0, 2, 3])
    metric = LabelErrorRate()
    assert metric(y, p) == pytest.approx(2 / 6)
    metric.reset_state()
    metric.update_state(y[:1], p[:1])
    metric.update_state([[1, -1], [2, 2]], p[1:])
    assert metric.result() == pytest.approx(2 / 6)
    assert metric(y, p, lengths=[4, 4, 3]) == pytest.approx(1 / 6)
    assert metric(y, p, [0.5, 2, 1]) == pytest.approx((2 + 1) / (1.5 + 2 + 2))
    p[1] = np.nan  # a row of weight 0 may hold anything
    assert metric(y, p, [1, 0, 1]) == pytest.approx(1 / 5)
    assert metric([[0], [-1], [0]], outputs([0, 0], [0, 0], [1, 1])) == np.inf
    metric.reset_state()
    assert metric.result() == 0.0


def test_beams_and_scores(rng):
    z = rng.normal(size=(5, 6, 4)) * 2
    p = np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)
    y = rng.integers(1, 4, (5, 3))
    assert LabelErrorRate()(y, z) == LabelErrorRate()(y, p)
    read, _ = ctc_decode(p, beam_width=5)
    expected = sum(distance(row.tolist(), other) for row, other in zip(y, read)) / 15
    assert LabelErrorRate(beam_width=5)(y, p) == pytest.approx(expected)
    assert LabelErrorRate(beam_width=5, from_logits=True)(y, z) == pytest.approx(expected)


@pytest.mark.parametrize("beam_width", [1, 4])
def test_ctc_decode_takes_scores(beam_width, rng):
    z = rng.normal(size=(3, 6, 4)) * 3 + 500
    p = np.exp(z - 500) / np.exp(z - 500).sum(axis=-1, keepdims=True)
    labels, scores = ctc_decode(z, [6, 2, 0], beam_width, from_logits=True)
    expected, values = ctc_decode(p, [6, 2, 0], beam_width)
    assert labels == expected
    np.testing.assert_allclose(scores, values, rtol=1e-9, atol=1e-12)
    with pytest.raises(ConfigError, match="of scores, give from_logits=True"):
        ctc_decode(z)


def test_state_and_configuration():
    metric, other = LabelErrorRate(), LabelErrorRate()
    metric.update_state([[1, 2]], outputs([1, 1, 3]))
    other.set_state(json.loads(json.dumps(metric.get_state())))
    assert other.result() == metric.result() == 0.5
    with pytest.raises(CheckpointError, match="label_error_rate"):
        other.set_state({"edits": 1.0})
    made = metrics.get(
        metrics.serialize(LabelErrorRate(blank=3, beam_width=2, from_logits=True, name="cer"))
    )
    assert made.get_config() == {"blank": 3, "beam_width": 2, "from_logits": True, "name": "cer"}
    with pytest.raises(ShapeError, match="expects class numbers of shape"):
        metric([1, 2], outputs([1, 1, 3]))
    with pytest.raises(ShapeError, match=r"y holds class 7 at index \(0, 0\)"):
        metric([[7]], outputs([1, 1, 3]))


def model_of(**arguments):
    model = Sequential(
        [Input((None, 3)), LSTM(6, return_sequences=True), Dense(4, "softmax")], seed=0
    )
    model.compile(
        "adam",
        "ctc",
        metrics=["label_error_rate", LabelErrorRate(beam_width=2, name="beam")],
        **arguments,
    )
    return model


def test_in_a_model(rng, tmp_path):
    x = [rng.normal(size=(steps, 3)) for steps in rng.integers(6, 12, 20)]
    y = [rng.integers(1, 4, n).tolist() for n in rng.integers(1, 4, 20)]

    def trained(resume=None):
        model = model_of()
        return (
            model,
            model.fit(
                x,
                y,
                epochs=2,
                batch_size=4,
                verbose=0,
                validation_data=(x, y),
                resume_from=resume,
                callbacks=[ModelCheckpoint(str(tmp_path / "{epoch}.{batch}"), save_freq=1)],
            ).history,
        )

    model, whole = trained()
    assert trained(tmp_path / "2.3")[1] == whole
    result = model.evaluate(x, y, batch_size=3, verbose=0, return_dict=True)
    assert result["label_error_rate"] == pytest.approx(whole["val_label_error_rate"][-1])
    lengths = [len(row) for row in x]
    assert result["label_error_rate"] == pytest.approx(
        LabelErrorRate()(y, model.predict(x), lengths=lengths)
    )
    assert result["beam"] == pytest.approx(
        LabelErrorRate(beam_width=2)(y, model.predict(x), lengths=lengths)
    )


def test_masked_steps_are_not_read(rng):
    x, y = rng.normal(size=(4, 9, 3)), rng.integers(1, 4, (4, 2))
    mask = rng.uniform(size=(4, 9)) < 0.7
    model = model_of()
    alone = [x[n, mask[n]] for n in range(4)]
    assert model.evaluate(x, y, mask=mask, verbose=0) == pytest.approx(
        model.evaluate(alone, y, verbose=0)
    )


def test_it_goes_with_ctc_only():
    model = Sequential([Input((None, 3)), Dense(4, "softmax")])
    with pytest.raises(
        ConfigError,
        match="metric label_error_rate reads rows of labels, .* it goes with loss 'ctc'",
    ):
        model.compile("adam", "categorical_crossentropy", metrics=["label_error_rate"])
    with pytest.raises(ConfigError, match="or take 'label_error_rate'"):
        model.compile("adam", "ctc", metrics=["accuracy"])
