"""Files of estimators: what comes back, and what is refused."""

import forgery
import numpy as np
import pandas as pd
import pytest
from seeds import plain_generator
from small_sequences import SMALL, fitted, parameters_of, ragged, signs

import gatewise
from gatewise import (
    SequenceClassifier,
    SequenceEncoder,
    SequenceRegressor,
    SequenceTagger,
    checkpoint,
    layers,
    load_estimator,
    optimizers,
)
from gatewise.errors import CheckpointError, ConfigError, DTypeError, GatewiseError, NotFittedError
from gatewise.losses import Huber


def steps(X):
    return [np.arange(len(row)) % 3 for row in X]


CASES = {
    "classifier": (SequenceClassifier(**SMALL), signs),
    "numbered classes": (
        SequenceClassifier(class_weight={0: 1.0, 1: 2.5}, early_stopping=True, **SMALL),
        lambda X: np.arange(24) % 2,
    ),
    "objects": (SequenceClassifier(missing="mean", **SMALL), lambda X: signs(X).astype(object)),
    "several labels": (
        SequenceClassifier(**SMALL),
        lambda X: np.eye(3, dtype=int)[np.arange(24) % 3] | [1, 0, 0],
    ),
    "regressor": (
        SequenceRegressor(loss=Huber(2.0), **SMALL),
        lambda X: np.array([[row.sum(), row[0, 0]] for row in X]),
    ),
    "optimizer": (
        SequenceRegressor(optimizer=optimizers.SGD(0.1, momentum=0.5), **SMALL),
        lambda X: np.arange(24.0),
    ),
    "random state": (
        SequenceClassifier(units=3, max_iter=2, random_state=np.random.RandomState(3)),
        signs,
    ),
    "tagger": (SequenceTagger(**SMALL), steps),
    "encoder": (SequenceEncoder(**SMALL), lambda X: None),
    "encoder of labels": (SequenceEncoder(n_components=2, **SMALL), signs),
    "encoder of numbers": (SequenceEncoder(**SMALL), lambda X: np.linspace(0, 1, 24)),
}


def outputs(estimator, X):
    result = estimator.transform(X) if hasattr(estimator, "transform") else estimator.predict(X)
    return np.concatenate([np.atleast_1d(part) for part in result])


@pytest.mark.parametrize("case", CASES)
def test_what_was_saved_comes_back(case, rng, tmp_path):
    estimator, targets = CASES[case]
    X = ragged(rng)
    estimator = fitted(estimator, X, targets(X))
    estimator.save(tmp_path / "file")
    again = load_estimator(tmp_path / "file")
    assert type(again) is type(estimator)
    assert set(vars(again)) == set(vars(estimator))
    for name, value in vars(estimator).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(vars(again)[name], value)
            assert vars(again)[name].dtype == value.dtype
        elif isinstance(value, None | bool | int | float | str | list | dict):
            assert vars(again)[name] == value and type(vars(again)[name]) is type(value)
        else:
            assert type(vars(again)[name]) is type(value)
    np.testing.assert_array_equal(outputs(again, X), outputs(estimator, X))
    if not estimator.early_stopping:  # and both go on alike
        for one in (estimator, again):
            fitted(one.set_params(warm_start=True), X, targets(X))
        np.testing.assert_array_equal(parameters_of(again), parameters_of(estimator))


def test_names_of_columns_and_output(rng, tmp_path):
    X = pd.DataFrame(rng.normal(size=(12, 3)), columns=["a", "b", "c"])
    encoder = fitted(SequenceEncoder(**SMALL).set_output(transform="pandas"), X)
    encoder.save(tmp_path / "file")
    again = load_estimator(tmp_path / "file")
    assert list(again.feature_names_in_) == ["a", "b", "c"]
    pd.testing.assert_frame_equal(again.transform(X), encoder.transform(X))


def test_a_function_is_not_kept_and_says_so(rng, tmp_path):
    X = ragged(rng)
    own = SequenceClassifier(
        architecture=lambda *shape: [layers.GRU(3), layers.Dense(shape[-1])], **SMALL
    )
    estimator = fitted(own, X, signs(X))
    estimator.save(tmp_path / "file")
    again = load_estimator(tmp_path / "file")
    np.testing.assert_array_equal(again.predict_proba(X), estimator.predict_proba(X))
    assert "not kept in the file" in repr(again.architecture)
    with pytest.raises(
        ConfigError, match="is not in the file that the estimator was read from; give it again"
    ):
        again.fit(X, signs(X))
    again.save(tmp_path / "again")
    assert load_estimator(tmp_path / "again").architecture == again.architecture


def test_what_files_cannot_hold(rng, tmp_path):
    X = ragged(rng)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        SequenceClassifier().save(tmp_path / "file")
    estimator = fitted(SequenceClassifier(**SMALL), X, np.arange(24) % 2)
    estimator.classes_ = np.array(["2020-01-01", "2020-01-02"], "datetime64[D]")
    with pytest.raises(DTypeError, match="attributes/classes_ is an array of datetime64"):
        estimator.save(tmp_path / "file")
    estimator.classes_ = np.array([0, 1])
    estimator.notes_ = "mine"
    with pytest.raises(DTypeError, match="notes_ is no attribute that files know of"):
        estimator.save(tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_models_and_estimators_are_told_apart(rng, tmp_path):
    X = ragged(rng)
    estimator = fitted(SequenceClassifier(**SMALL), X, signs(X))
    estimator.save(tmp_path / "estimator")
    estimator.model_.save(tmp_path / "model")
    with pytest.raises(CheckpointError, match="read it with gatewise.load_estimator"):
        gatewise.load_model(tmp_path / "estimator")
    with pytest.raises(CheckpointError, match="a model is read with gatewise.load_model"):
        load_estimator(tmp_path / "model")
    np.testing.assert_array_equal(
        gatewise.load_model(tmp_path / "model").get_weights()[0], estimator.model_.get_weights()[0]
    )


def test_files_of_an_older_release(rng, tmp_path):
    """A parameter that is younger than the file has its default.

    One that nobody knows is refused.
    """
    X = ragged(rng)
    estimator = fitted(SequenceClassifier(**SMALL), X, signs(X))
    estimator.save(tmp_path / "file")
    tensors, header = checkpoint.read(tmp_path / "file")
    parameters = header["estimator"]["parameters"]
    parameters.pop("pooling")
    checkpoint.write(tmp_path / "older", tensors, header)
    again = load_estimator(tmp_path / "older")
    assert again.get_params() == SequenceClassifier(**SMALL).get_params()
    np.testing.assert_array_equal(again.predict_proba(X), estimator.predict_proba(X))
    parameters["pull"] = parameters["units"]
    checkpoint.write(tmp_path / "unknown", tensors, header)
    with pytest.raises(CheckpointError, match="'pull' is none of a SequenceClassifier"):
        load_estimator(tmp_path / "unknown")


@pytest.mark.parametrize("kind", ["classifier", "regressor", "reconstruction"])
def test_an_encoder_of_an_older_release(kind, rng, tmp_path):
    """The file holds what is known of y in a classifier or regressor, with fewer parameters."""
    X = ragged(rng)
    y = {"classifier": signs(X), "regressor": rng.normal(size=len(X)), "reconstruction": None}[kind]
    encoder = fitted(SequenceEncoder(**SMALL, warm_start=True), X, y)
    encoder.save(tmp_path / "file")
    tensors, header = checkpoint.read(tmp_path / "file")
    reader = header["estimator"]["attributes"]["_reader"]
    if kind == "reconstruction":
        assert reader is None
    else:
        name, attributes = reader["$object"]
        assert name == f"Sequence{kind.capitalize()}"
        held = attributes["$dict"]
        held[:] = [pair for pair in held if pair[0] != "pooling"]
        assert {"units", "classes_" if kind == "classifier" else "_columns"} < {
            pair[0] for pair in held
        }
    checkpoint.write(tmp_path / "older", tensors, header)
    again = load_estimator(tmp_path / "older")
    np.testing.assert_array_equal(again.transform(X), encoder.transform(X))
    for one in (again, encoder):
        fitted(one, X, y)
    np.testing.assert_array_equal(again.transform(X), encoder.transform(X))


@pytest.mark.parametrize("case", ["classifier", "objects", "tagger", "encoder of labels"])
def test_files_that_lie(case, rng, tmp_path):
    """A forged file gives a CheckpointError or an estimator that predicts or refuses to."""
    estimator, targets = CASES[case]
    X = ragged(rng)
    fitted(estimator, X, targets(X)).save(tmp_path / "good")
    content = (tmp_path / "good").read_bytes()
    taken, wrong = 0, {}
    for seed in range(120):
        (tmp_path / "file").write_bytes(forgery.forge(content, plain_generator(seed)))
        try:
            again = load_estimator(tmp_path / "file")
        except CheckpointError:
            continue
        except Exception as error:
            wrong[seed] = error
            continue
        taken += 1
        try:
            outputs(again, X[:3])
        except GatewiseError:
            continue
        except Exception as error:
            wrong[seed] = error
    assert not wrong
    assert 2 < taken < 100
