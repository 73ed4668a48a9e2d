"""Estimators of sequences on small data."""

import numpy as np
from sklearn.pipeline import make_pipeline

from gatewise import SequenceClassifier, SequenceEncoder, SequenceRegressor, SequenceTagger
from gatewise.data import SequenceScaler, Vocabulary
from gatewise.estimators import get_scorer
from gatewise.layers import GRU, Dense
from gatewise.optimizers import SGD

from .registry import case
from .series import QUICK, block, ends, gaps, lists, names

NETWORKS = {
    "plain": {},
    "gru": {"cell": "gru", "num_layers": 2},
    "rnn": {"cell": "rnn", "bidirectional": True},
    "last": {"pooling": "last", "dropout": 0.2, "recurrent_dropout": 0.2},
    "mean": {"pooling": "mean", "alpha": 0.1},
    "convolution": {"architecture": "convolution"},
    "attention": {"architecture": "attention"},
    "normalization": {"architecture": "normalization"},
    "stopping": {"early_stopping": True, "validation_fraction": 0.25, "n_iter_no_change": 1},
    "cosine": {"learning_rate": "cosine", "batch_size": 8},
    "adaptive": {"learning_rate": "adaptive", "optimizer": "sgd", "shuffle": False},
    "optimizer": {"optimizer": SGD(momentum=0.9), "clipnorm": None},
    "float32": {"dtype": "float32"},
    "float64": {"dtype": "float64", "batch_size": 5},
}


def of_estimators(name):
    """A case of estimators."""
    return lambda function: case(f"estimators/{name}", function, "training")


def _fitted(estimator):
    found = {"curve": estimator.loss_curve_, "passes": estimator.n_iter_}
    scores = getattr(estimator, "validation_scores_", None)
    return found if scores is None else found | {"scores": scores}


def _classified(X, y, weights=None, **options):
    classifier = SequenceClassifier(**(QUICK | options)).fit(X, y, sample_weight=weights)
    return _fitted(classifier) | {
        "classes": classifier.classes_,
        "probabilities": classifier.predict_proba(X),
        "scores": classifier.decision_function(X),
        "labels": classifier.predict(X),
        "score": classifier.score(X, y),
    }


for _what, _options in NETWORKS.items():
    case(
        f"estimators/classifier/{_what}",
        lambda o=_options: _classified(lists(), names(lists()), **o),
        "training",
    )
for _missing in ("forward_fill", "mean", "mask", "indicator", "decay"):
    case(
        f"estimators/classifier/missing {_missing}",
        lambda m=_missing: _classified(gaps(), names(gaps()), missing=m, cell="gru"),
        "training",
    )


@of_estimators("classifier/two classes")
def _two():
    X = block()
    return _classified(X, ends(X) > 0)


@of_estimators("classifier/several labels")
def _several():
    X = block()
    return _classified(X, (X[:, -1] > 0).astype(int))


@of_estimators("classifier/weights")
def _weights():
    X = lists()
    return _classified(X, names(X), np.arange(24.0) % 5, class_weight="balanced")


@of_estimators("classifier/words")
def _words():
    texts = ["a fine film", "not a fine film", "fine", "not fine", "a film", "not a film"] * 4
    labels = ["liked", "disliked"] * 12
    classifier = SequenceClassifier(embedding=3, **QUICK)
    pipeline = make_pipeline(Vocabulary("words"), classifier).fit(texts, labels)
    return {"probabilities": pipeline.predict_proba(texts), "score": pipeline.score(texts, labels)}


@of_estimators("classifier/partial_fit")
def _partial():
    X = lists()
    classifier = SequenceClassifier(**QUICK)
    classifier.partial_fit(X[:12], names(X)[:12], classes=["high", "low", "middle"])
    classifier.partial_fit(X[12:], names(X)[12:])
    return {"probabilities": classifier.predict_proba(X), "steps": classifier.t_}


@of_estimators("classifier/warm start")
def _warm():
    X = lists()
    classifier = SequenceClassifier(warm_start=True, **QUICK).fit(X, names(X))
    return {"log": classifier.fit(X, names(X)).predict_log_proba(X), "passes": classifier.n_iter_}


@of_estimators("classifier/own architecture")
def _own():
    def architecture(n_steps, n_features, n_outputs):
        return [Dense(4, "tanh"), GRU(4, go_backwards=True), Dense(n_outputs)]

    X = block()
    return _classified(X, names(X), architecture=architecture)


def _regressed(X, y, weights=None, **options):
    regressor = SequenceRegressor(**(QUICK | options)).fit(X, y, sample_weight=weights)
    return _fitted(regressor) | {
        "predict": regressor.predict(X),
        "score": regressor.score(X, y),
    }


for _what in ("plain", "gru", "mean", "stopping", "float32"):
    case(
        f"estimators/regressor/{_what}",
        lambda o=NETWORKS[_what]: _regressed(lists(), ends(lists()), **o),
        "training",
    )
for _loss in ("absolute_error", "poisson", "huber", "log_cosh"):
    case(
        f"estimators/regressor/{_loss}",
        lambda n=_loss: _regressed(lists(), abs(ends(lists())), loss=n),
        "training",
    )


@of_estimators("regressor/outputs")
def _outputs():
    X = block()
    y = X[:, -1].copy()
    known = np.random.default_rng(3).random(y.shape) < 0.7
    y[~known] = np.nan
    regressor = SequenceRegressor(**QUICK).fit(X, y, sample_weight=known.astype(float))
    return {
        "predict": regressor.predict(X),
        "score": regressor.score(X, y, sample_weight=known.astype(float)),
    }


@of_estimators("regressor/table")
def _table():
    table, groups = block(8).reshape(48, 2), np.repeat(np.arange(8), 6)
    order = np.random.default_rng(0).permutation(48)
    time = np.tile(np.arange(6), 8)
    y = ends(block(8))[list(dict.fromkeys(groups[order]))]
    regressor = SequenceRegressor(**QUICK)
    regressor.fit(table[order], y, groups=groups[order], time=time[order])
    return {"predict": regressor.predict(table, groups=groups)}


@of_estimators("regressor/steps")
def _steps():
    X = lists()
    return _regressed(X, [x.cumsum(axis=0) for x in X], per_step=True)


@of_estimators("regressor/steps of a block")
def _steps_of_a_block():
    X = block()
    return _regressed(X, X[..., 0].cumsum(axis=1), per_step=True, bidirectional=True)


def _tagged(X, y, **options):
    tagger = SequenceTagger(**(QUICK | options)).fit(X, y)
    return _fitted(tagger) | {
        "probabilities": tagger.predict_proba(X),
        "labels": tagger.predict(X),
        "score": tagger.score(X, y),
        "f1": get_scorer("f1_macro")(tagger, X, y),
    }


@of_estimators("tagger/steps")
def _tags():
    X = lists()
    return _tagged(X, [np.where(x[:, 0] > 0, "above", "below") for x in X])


@of_estimators("tagger/block")
def _tags_of_a_block():
    X = block()
    return _tagged(X, np.digitize(X[..., 0], (-0.5, 0.5)), cell="gru", bidirectional=True)


@of_estimators("tagger/rows")
def _tags_of_rows():
    X = lists()
    tagger = SequenceTagger(class_weight="balanced", **QUICK).fit(X, names(X))
    return {"probabilities": tagger.predict_proba(X), "labels": tagger.predict(X)}


def _encoded(X, y=None, **options):
    encoder = SequenceEncoder(**(QUICK | options)).fit(X, y)
    return _fitted(encoder) | {
        "vectors": encoder.transform(X),
        "names": " ".join(encoder.get_feature_names_out()),
    }


@of_estimators("encoder/reconstruction")
def _reconstruction():
    return _encoded(lists(), n_components=2)


@of_estimators("encoder/labels")
def _encoder_labels():
    return _encoded(block(), names(block()), pooling="max")


@of_estimators("encoder/numbers")
def _encoder_numbers():
    return _encoded(block(), ends(block()), cell="gru")


@of_estimators("pipeline")
def _pipeline():
    X = lists()
    pipeline = make_pipeline(SequenceScaler(), SequenceRegressor("rnn", **QUICK)).fit(X, ends(X))
    return {"predict": pipeline.predict(X), "score": pipeline.score(X, ends(X))}
