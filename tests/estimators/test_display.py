"""LearningCurve, drawn without a screen."""

import matplotlib
import numpy as np
import pytest
from data import SMALL, fitted, ragged, signs
from sklearn.pipeline import make_pipeline

from gatewise import LearningCurve, NotFittedError, SequenceClassifier
from gatewise.data import SequenceScaler


@pytest.fixture(autouse=True)
def no_screen():
    before = matplotlib.get_backend()
    matplotlib.use("agg")
    yield
    matplotlib.pyplot.close("all")
    matplotlib.use(before)


def test_loss_and_scores(rng):
    X = ragged(rng)
    estimator = fitted(SequenceClassifier(early_stopping=True, **SMALL), X, signs(X))
    display = LearningCurve.from_estimator(estimator, color="red")
    np.testing.assert_array_equal(display.line_.get_xydata(), list(zip((1, 2, 3), estimator.loss_curve_)))
    np.testing.assert_array_equal(display.score_line_.get_ydata(), estimator.validation_scores_)
    assert display.line_.get_color() == "red" and display.figure_ is display.ax_.figure
    assert display.ax_.get_title() == "SequenceClassifier"
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["loss", "validation score"]


def test_into_given_axes(rng):
    X = ragged(rng)
    ax = matplotlib.pyplot.figure().add_subplot()
    display = LearningCurve.from_estimator(fitted(SequenceClassifier(**SMALL), X, signs(X)), ax=ax)
    assert display.ax_ is ax and display.score_ax_ is None and display.score_line_ is None
    with pytest.raises(NotFittedError, match="this SequenceClassifier has no loss_curve_: fit it first"):
        LearningCurve.from_estimator(make_pipeline(SequenceScaler(), SequenceClassifier()))


def test_of_a_pipeline(rng):
    X = ragged(rng)
    pipeline = fitted(make_pipeline(SequenceScaler(), SequenceClassifier(**SMALL)), X, signs(X))
    display = LearningCurve.from_estimator(pipeline)
    np.testing.assert_array_equal(display.line_.get_ydata(), pipeline[-1].loss_curve_)
    assert display.ax_.get_title() == "SequenceClassifier"
