"""Transformers and pipelines to files and back, without pickle."""

import pickletools

import numpy as np
import pytest
from seeds import generator
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from small_sequences import SMALL, fitted, ragged, signs

from gatewise import (
    SequenceClassifier,
    SequenceEncoder,
    SequenceForecaster,
    SequenceRegressor,
    SequenceTagger,
    checkpoint,
    load_estimator,
    load_model,
    save_estimator,
)
from gatewise.data import FrameStacker, SequencePadder, SequenceScaler, Vocabulary, Windower
from gatewise.errors import CheckpointError, DTypeError, NotFittedError

TEXTS = ["the cat sat", "a dog ran off", "the dog", "a cat"] * 6


def same(first, second):
    parts = (
        zip(first, second, strict=True) if isinstance(first, list | tuple) else [(first, second)]
    )
    for one, other in parts:
        np.testing.assert_array_equal(one, other)
        assert getattr(one, "dtype", None) == getattr(other, "dtype", None)


TRANSFORMERS = {
    "standard": SequenceScaler(),
    "robust": SequenceScaler("robust", quantile_range=(10.0, 80.0)),
    "range": SequenceScaler("minmax", feature_range=(-1, 2), clip=True),
    "no mean": SequenceScaler(with_centering=False),
    "padder": SequencePadder(value=np.nan, padding="pre"),
    "padder of a length": SequencePadder(4),
    "stacker": FrameStacker(frames=2, stride=2),
    "windower": Windower(window=2),
}


@pytest.mark.parametrize("case", TRANSFORMERS)
def test_a_transformer_comes_back(case, rng, tmp_path):
    X = ragged(rng)
    transformer = TRANSFORMERS[case].fit(X)
    transformer.save(tmp_path / "file")
    again = load_estimator(tmp_path / "file")
    assert type(again) is type(transformer) and set(vars(again)) == set(vars(transformer))
    assert repr(again.get_params()) == repr(transformer.get_params())
    same(again.transform(X), transformer.transform(X))
    save_estimator(again, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "file").read_bytes()
    with pytest.raises(NotFittedError):
        type(transformer)().save(tmp_path / "file")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "file").read_bytes()


def test_a_scaler_goes_on_and_a_table_keeps_its_names(rng, tmp_path):
    pd = pytest.importorskip("pandas")
    X = ragged(rng)
    scaler = SequenceScaler().fit(X)
    scaler.save(tmp_path / "file")
    again = load_estimator(tmp_path / "file")
    same(again.partial_fit(X).transform(X), scaler.partial_fit(X).transform(X))
    frame = pd.DataFrame(rng.normal(size=(5, 2)), columns=["a", "b"])
    SequenceScaler().fit(frame).save(tmp_path / "file")
    assert load_estimator(tmp_path / "file").feature_names_in_.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    "options", [{}, {"level": "words", "start": "<s>", "end": "</s>", "min_count": 2}]
)
def test_a_vocabulary_comes_back(options, tmp_path):
    vocabulary = Vocabulary(**options).fit(TEXTS)
    vocabulary.save(tmp_path / "file")
    again = load_estimator(tmp_path / "file")
    assert again.tokens_ == vocabulary.tokens_ and again.numbers_ == vocabulary.numbers_
    assert again.start_index_ == vocabulary.start_index_ and again.vocabulary_size_ == len(
        vocabulary
    )
    same(again.transform(["the bird"]), vocabulary.transform(["the bird"]))
    assert again.inverse_transform(again.transform(TEXTS)) == vocabulary.inverse_transform(
        vocabulary.transform(TEXTS)
    )


PIPELINES = {
    "classifier": lambda: make_pipeline(
        SequenceScaler(), FrameStacker(2), SequenceClassifier(**SMALL)
    ),
    "regressor": lambda: Pipeline(
        [
            ("scale", SequenceScaler("minmax")),
            ("none", None),
            ("same", "passthrough"),
            ("inner", make_pipeline(SequencePadder(), SequenceRegressor("gru", **SMALL))),
        ]
    ),
    "encoder": lambda: make_pipeline(SequenceEncoder(objective="reconstruction", **SMALL)),
    "tagger": lambda: make_pipeline(SequenceScaler(), SequenceTagger(**SMALL)),
}


@pytest.mark.parametrize("case", PIPELINES)
def test_a_pipeline_comes_back(case, rng, tmp_path):
    X = ragged(rng)
    y = {"regressor": np.arange(24.0), "tagger": [np.arange(len(row)) % 2 for row in X]}.get(
        case, signs(X)
    )
    pipeline = fitted(PIPELINES[case](), X, y)
    save_estimator(pipeline, tmp_path / "file")
    again = load_estimator(tmp_path / "file")
    assert type(again) is Pipeline and [name for name, _ in again.steps] == [
        name for name, _ in pipeline.steps
    ]
    method = "transform" if case == "encoder" else "predict"
    same(getattr(again, method)(X), getattr(pipeline, method)(X))
    save_estimator(again, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "file").read_bytes()
    with pytest.raises(ValueError):  # it is no pickle
        list(pickletools.genops((tmp_path / "file").read_bytes()))


def test_texts_from_the_first_step(tmp_path):
    pipeline = make_pipeline(Vocabulary("words"), SequenceClassifier(embedding=3, **SMALL))
    fitted(pipeline, TEXTS, [0, 1, 1, 0] * 6)
    save_estimator(pipeline, tmp_path / "file")
    again = load_estimator(tmp_path / "file")
    np.testing.assert_array_equal(again.predict_proba(TEXTS), pipeline.predict_proba(TEXTS))


def test_an_estimator_is_what_its_save_writes(rng, tmp_path):
    forecaster = fitted(SequenceForecaster(**SMALL), np.sin(np.arange(40.0)))
    forecaster.save(tmp_path / "file")
    save_estimator(forecaster, tmp_path / "same")
    assert (tmp_path / "same").read_bytes() == (tmp_path / "file").read_bytes()
    np.testing.assert_array_equal(load_estimator(tmp_path / "same").predict(), forecaster.predict())


def test_what_is_not_gatewises_is_refused_by_name(rng, tmp_path):
    X, y = ragged(rng), np.arange(24.0)

    class Own(SequenceRegressor):
        pass

    class OwnScaler(SequenceScaler):
        pass

    regressor = fitted(SequenceRegressor(**SMALL), X, y)
    scaler = SequenceScaler().fit(X)
    search = fitted(GridSearchCV(SequenceRegressor(**SMALL), {"units": [2]}, cv=2), X, y)
    target = TransformedTargetRegressor(regressor)
    save_estimator(scaler, tmp_path / "file")
    before = (tmp_path / "file").read_bytes()
    for refused, message in (
        (
            make_pipeline(FunctionTransformer(), regressor),
            "step 'functiontransformer' is a FunctionTransformer",
        ),
        (
            Pipeline([("a", scaler), ("b", make_pipeline(target))]),
            "step 'transformedtargetregressor' is a Transformed",
        ),
        (make_pipeline(OwnScaler().fit(X), regressor), "step 'ownscaler' is a OwnScaler"),
        (fitted(Own(**SMALL), X, y), "Own is a Own, which files cannot hold"),
        (3, "int is a int"),
        (search, "GridSearchCV is a GridSearchCV, .*; give its best_estimator_"),
    ):
        with pytest.raises(DTypeError, match=message):
            save_estimator(refused, tmp_path / "file")
    with pytest.raises(DTypeError, match="OwnScaler is a custom class"):
        OwnScaler().fit(X).save(tmp_path / "file")
    deep = regressor
    for _ in range(10):
        deep = make_pipeline(deep)
    with pytest.raises(DTypeError, match="pipelines hold pipelines more than 8 levels deep"):
        save_estimator(deep, tmp_path / "file")
    with pytest.raises(NotFittedError, match="SequenceRegressor"):
        save_estimator(make_pipeline(scaler, SequenceRegressor()), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == before


def changed(path, change):
    tensors, header = checkpoint.read(path)
    change(tensors, header)
    checkpoint.write(path, tensors, header)


DAMAGE = {
    "another class": lambda t, h: h["pipeline"]["steps"][0]["transformer"].update(class_name="Bad"),
    "no class": lambda t, h: h["pipeline"]["steps"][0]["transformer"].pop("class_name"),
    "a method": (
        lambda t, h: h["pipeline"]["steps"][0]["transformer"]["attributes"].update(transform=3)
    ),
    "an attribute less": (
        lambda t, h: h["pipeline"]["steps"][0]["transformer"]["attributes"].pop("scaler_")
    ),
    "another scaler": (
        lambda t, h: h["pipeline"]["steps"][0]["transformer"]["attributes"]["scaler_"][
            "scaler"
        ].__setitem__(0, "FunctionTransformer")
    ),
    "a parameter": (
        lambda t, h: h["pipeline"]["steps"][0]["transformer"]["parameters"].update(evil=1)
    ),
    "fewer features": (
        lambda t, h: h["pipeline"]["steps"][0]["transformer"]["attributes"].update(_features=2)
    ),
    "a count below zero": (
        lambda t, h: h["pipeline"]["steps"][0]["transformer"]["attributes"].update(
            n_features_in_=-1
        )
    ),
    "no steps": lambda t, h: h["pipeline"].update(steps=[]),
    "steps that are none": lambda t, h: h["pipeline"].update(steps=3),
    "two of a name": lambda t, h: h["pipeline"]["steps"][0].update(name="sequenceregressor"),
    "an array more": lambda t, h: t.update(more=np.zeros(3)),
    "an array less": lambda t, h: t.pop(next(name for name in t if "scaler_" in name)),
    "an array of another shape": lambda t, h: t.update(
        {name: np.zeros(7) for name in t if "mean_" in name}
    ),
    "too deep": lambda t, h: h.update(pipeline=nested(9)),
}


def nested(depth):
    inner = {"steps": [{"name": "a", "passthrough": True}], "verbose": False}
    for _ in range(depth):
        inner = {"steps": [{"name": "a", "pipeline": inner}], "verbose": False}
    return inner


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    rng = generator(0)
    X, path = ragged(rng), tmp_path_factory.mktemp("saved") / "file"
    save_estimator(
        fitted(make_pipeline(SequenceScaler(), SequenceRegressor(**SMALL)), X, np.arange(24.0)),
        path,
    )
    return path.read_bytes()


@pytest.mark.parametrize("case", DAMAGE)
def test_what_does_not_fit_is_a_checkpoint_error(case, saved, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(saved)
    changed(path, DAMAGE[case])
    with pytest.raises(CheckpointError, match="file"):
        load_estimator(path)


def test_load_model_says_who_reads_it(saved, tmp_path):
    (tmp_path / "file").write_bytes(saved)
    with pytest.raises(
        CheckpointError, match="it holds a pipeline: read it with gatewise.load_estimator"
    ):
        load_model(tmp_path / "file")
    Vocabulary().fit(["ab"]).save(tmp_path / "file")
    with pytest.raises(
        CheckpointError, match="it holds a transformer: read it with gatewise.load_estimator"
    ):
        load_model(tmp_path / "file")


def test_a_vocabulary_that_was_changed(tmp_path):
    path = tmp_path / "file"
    Vocabulary().fit(["ab"]).save(path)
    changed(
        path,
        lambda tensors, header: header["transformer"]["attributes"]["tokens_"]["list"].append("c"),
    )
    with pytest.raises(CheckpointError, match="attribute 'numbers_' of a Vocabulary"):
        load_estimator(path)
