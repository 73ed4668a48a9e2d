"""Estimators as ONNX files, alone and in scikit-learn's pipelines by skl2onnx."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

onnx = pytest.importorskip("onnx", reason="exporting needs onnx")
pytest.importorskip("onnxruntime", reason="exported models are run by ONNX Runtime")

from gatewise import (  # noqa: E402
    SequenceClassifier,
    SequenceEncoder,
    SequenceRegressor,
    layers,
)
from gatewise.data import SequenceScaler  # noqa: E402
from gatewise.errors import ConfigError, NotFittedError  # noqa: E402
from gatewise.interop.onnx import export_model  # noqa: E402

from .onnx_runs import onnx_runtime  # noqa: E402

OPTIONS = {"units": 6, "max_iter": 2, "learning_rate": "cosine", "random_state": 0}
DRAW = np.random.default_rng(0)
TABLE = DRAW.normal(size=(24, 9)).astype("float32") * 2 + 1
BLOCKS = DRAW.normal(size=(24, 7, 3)).astype("float32")
CLASSES = {
    "text": np.array(["ab", "cä", "b"])[np.arange(24) % 3],
    "objects": np.array(["up", "down"], object)[np.arange(24) % 2],
    "two": np.arange(24) % 2 * 5,
    "three": np.arange(24) % 3 - 1,
    "flags": np.arange(24) % 2 == 0,
    "floats": np.arange(24) % 2 + 1.0,
    "several": np.stack([np.arange(24) % 2, np.arange(24) % 3 == 0], axis=1).astype(int),
}


def agree(classifier, proto, X, feeds):
    label, probabilities = onnx_runtime(proto, feeds)
    assert np.array_equal(label, classifier.predict(X))
    assert np.abs(probabilities - classifier.predict_proba(X)).max() < 1e-5


@pytest.mark.parametrize("kind", CLASSES)
def test_labels_and_probabilities(kind):
    classifier = SequenceClassifier(**OPTIONS).fit(TABLE, CLASSES[kind])
    proto = export_model(classifier, None)
    assert [value.name for value in proto.graph.output] == ["label", "probabilities"]
    agree(classifier, proto, TABLE, {"X": TABLE})


@pytest.mark.parametrize(
    "options",
    [
        {"cell": "gru", "bidirectional": True, "pooling": "mean"},
        {"num_layers": 2, "pooling": "last", "architecture": "normalization"},
        {"architecture": "convolution"},
        {"architecture": "attention"},
        {"dtype": "float64"},
    ],
)
def test_architectures(options):
    classifier = SequenceClassifier(**OPTIONS, **options).fit(BLOCKS, CLASSES["text"])
    agree(classifier, export_model(classifier, None), BLOCKS, {"X": BLOCKS})
    lengths = DRAW.integers(1, 8, 24)
    proto = export_model(classifier, None, lengths=True)
    ragged = [row[:length] for row, length in zip(BLOCKS, lengths)]
    agree(classifier, proto, ragged, {"X": BLOCKS, "lengths": lengths})


@pytest.mark.parametrize("missing", ["mean", "mask"])
def test_missing_values(missing):
    X = BLOCKS.copy()
    X[1, 2, 0] = X[2, 5:] = X[3, 0, 1] = np.nan
    classifier = SequenceClassifier(**OPTIONS, missing=missing).fit(X, CLASSES["two"])
    agree(classifier, export_model(classifier, None), X, {"X": X})


def test_tokens():
    X = DRAW.integers(0, 12, (24, 8))
    classifier = SequenceClassifier(**OPTIONS, embedding=4).fit(X, CLASSES["two"])
    agree(classifier, export_model(classifier, None), X, {"X": X})


@pytest.mark.parametrize(
    ("y", "options"),
    [
        (TABLE[:, 0], {}),
        (TABLE[:, :2], {}),
        (np.abs(TABLE[:, 0]), {"loss": "poisson"}),
        (TABLE, {"per_step": True, "pooling": "last"}),
    ],
)
def test_numbers(y, options):
    regressor = SequenceRegressor(**OPTIONS, **options).fit(TABLE, y)
    (found,) = onnx_runtime(export_model(regressor, None), {"X": TABLE})
    expected = regressor.predict(TABLE)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-5


def test_what_cannot_be_exported_is_refused(tmp_path):
    with pytest.raises(NotFittedError):
        export_model(SequenceClassifier(), None)
    filled = SequenceClassifier(**OPTIONS, missing="forward_fill").fit(TABLE, CLASSES["two"])
    with pytest.raises(ConfigError, match="forward_fill"):
        export_model(filled, None)
    encoder = SequenceEncoder(units=4, max_iter=1, learning_rate="cosine", random_state=0).fit(
        TABLE
    )
    with pytest.raises(ConfigError, match=r"SequenceEncoder cannot.*estimator\.model_"):
        export_model(encoder, None)
    with pytest.raises(ConfigError, match="whole sequences"):
        export_model(SequenceClassifier(**OPTIONS).fit(TABLE, CLASSES["two"]), None, step=True)


# ---- pipelines


@pytest.fixture
def to_onnx():
    skl2onnx = pytest.importorskip("skl2onnx", reason="pipelines are converted by skl2onnx")
    from gatewise.interop.onnx import register_converters

    register_converters()
    register_converters()
    return skl2onnx.to_onnx


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if kind != "floats"])
@pytest.mark.parametrize(
    "opset",
    [pytest.param(each, marks=() if each == 17 else pytest.mark.long) for each in (14, 17, 18, 21)],
)
def test_pipeline_of_a_classifier(to_onnx, kind, opset):
    pipeline = make_pipeline(StandardScaler(), SequenceClassifier(**OPTIONS))
    pipeline.fit(TABLE, CLASSES[kind])
    proto = to_onnx(pipeline, TABLE[:1], target_opset=opset, options={"zipmap": False})
    onnx.checker.check_model(proto, full_check=True)
    agree(pipeline, proto, TABLE, {"X": TABLE})


def test_probabilities_as_a_list_of_dicts(to_onnx):
    pipeline = make_pipeline(StandardScaler(), SequenceClassifier(**OPTIONS))
    pipeline.fit(TABLE, CLASSES["text"])
    _, found = onnx_runtime(to_onnx(pipeline, TABLE[:1], target_opset=17), {"X": TABLE})
    expected = pipeline.predict_proba(TABLE)
    assert list(found[0]) == list(pipeline.classes_)
    assert np.abs([list(row.values()) for row in found] - expected).max() < 1e-5


def test_numbers_of_classes(to_onnx):
    classifier = SequenceClassifier(**OPTIONS).fit(TABLE, CLASSES["text"])
    options = {"zipmap": False, "nocl": True}
    proto = to_onnx(classifier, TABLE[:1], target_opset=17, options=options)
    label, _ = onnx_runtime(proto, {"X": TABLE})
    assert np.array_equal(classifier.classes_[label], classifier.predict(TABLE))


@pytest.mark.parametrize("method", ["standard", "robust", "minmax"])
@pytest.mark.parametrize("X", [TABLE, BLOCKS], ids=["table", "blocks"])
def test_pipeline_of_a_regressor_with_scaled_sequences(to_onnx, method, X):
    from skl2onnx.common.data_types import FloatTensorType

    options = {"clip": True} if method == "minmax" else {}
    layers_of = {"architecture": _normalized_cells} if method == "robust" else {}
    pipeline = make_pipeline(
        SequenceScaler(method, **options), SequenceRegressor(**OPTIONS, **layers_of)
    )
    pipeline.fit(X, X.reshape(24, -1)[:, 0])
    kind = FloatTensorType([None, *((9,) if X.ndim == 2 else (None, 3))])
    proto = to_onnx(pipeline, initial_types=[("X", kind)], target_opset=18)
    (found,) = onnx_runtime(proto, {"X": X})
    assert np.abs(found.reshape(-1) - pipeline.predict(X)).max() < 1e-5


def _normalized_cells(n_steps, n_features, n_outputs):
    return [layers.LSTM(5, layer_normalization=True), layers.Dense(n_outputs)]
