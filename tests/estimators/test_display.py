"""LearningCurve, drawn without a screen."""

import matplotlib
import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from small_sequences import SMALL, fitted, ragged, signs

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
    np.testing.assert_array_equal(
        display.line_.get_xydata(), list(zip((1, 2, 3), estimator.loss_curve_))
    )
    np.testing.assert_array_equal(display.score_line_.get_ydata(), estimator.validation_scores_)
    assert display.line_.get_color() == "red" and display.figure_ is display.ax_.figure
    assert display.ax_.get_title() == "SequenceClassifier"
    texts = [text.get_text() for text in display.legend_.get_texts()]
    best = int(np.argmax(estimator.validation_scores_))
    assert texts == [
        "loss",
        "validation accuracy",
        f"best: {estimator.best_validation_score_:.4g} in pass {best + 1}",
    ]
    assert display.score_ax_.get_ylabel() == "validation accuracy"
    assert display.best_line_.get_xydata().tolist() == [
        [best + 1, estimator.best_validation_score_]
    ]


CURVES = {
    "loss": ([3, 1, 2], None),
    "scores": (np.linspace(1, 0, 40), np.linspace(0, 1, 40)),
    "one": ([1.0], [0.5]),
    "long": (np.linspace(1, 0, 1500), np.linspace(0, 1, 1500)),
    "small": ([1e-12, 2e-12], None),
}


@pytest.mark.parametrize("case", CURVES)
def test_everything_can_be_read_at_the_default_size(case):
    """No line crosses the legend, nothing lies outside the figure, and passes are whole."""
    loss, scores = CURVES[case]
    display = LearningCurve(loss, scores, "SequenceClassifier", "score, minus the loss").plot()
    display.figure_.canvas.draw()
    renderer = display.figure_.canvas.get_renderer()
    legend, plot = (
        display.legend_.get_window_extent(renderer),
        display.ax_.get_window_extent(renderer),
    )
    assert legend.y0 >= plot.y1 - 1
    title = display.ax_.title.get_window_extent(renderer)
    assert title.y0 >= legend.y1
    whole = display.figure_.bbox
    parts = [
        legend,
        title,
        *(
            ax.yaxis.label.get_window_extent(renderer)
            for ax in (display.ax_, display.score_ax_)
            if ax
        ),
        display.ax_.xaxis.label.get_window_extent(renderer),
    ]
    for part in parts:
        assert part.x0 >= 0 and part.y0 >= 0 and part.x1 <= whole.x1 and part.y1 <= whole.y1
    low, high = display.ax_.get_xlim()
    ticks = [tick for tick in display.ax_.get_xticks() if low <= tick <= high]
    assert ticks and all(tick == int(tick) for tick in ticks)


def test_the_best_pass_without_scores_has_the_lowest_loss():
    display = LearningCurve([3.0, 1.0, 2.0]).plot()
    assert display.best_line_.get_xydata().tolist() == [[2, 1.0]]
    assert [text.get_text() for text in display.legend_.get_texts()] == [
        "loss",
        "best: 1 in pass 2",
    ]


def test_scores_of_the_last_passes_stand_there():
    """Early stopping may be switched on for a later fit with warm_start."""
    display = LearningCurve([3.0, 1.0, 2.0, 1.0], [0.5, 0.6]).plot()
    assert display.score_line_.get_xdata().tolist() == [
        3,
        4,
    ] and display.best_line_.get_xdata().tolist() == [4]


@pytest.mark.parametrize(("cls", "name"), [(MLPClassifier, "accuracy"), (MLPRegressor, "R²")])
def test_networks_of_scikit_learn(cls, name, rng):
    X = rng.normal(size=(40, 2))
    network = fitted(cls(hidden_layer_sizes=2, max_iter=3, early_stopping=True), X, X[:, 0] > 0)
    assert LearningCurve.from_estimator(network).score_ax_.get_ylabel() == f"validation {name}"


def test_into_given_axes(rng):
    X = ragged(rng)
    ax = matplotlib.pyplot.figure().add_subplot()
    display = LearningCurve.from_estimator(fitted(SequenceClassifier(**SMALL), X, signs(X)), ax=ax)
    assert display.ax_ is ax and display.score_ax_ is None and display.score_line_ is None
    with pytest.raises(
        NotFittedError, match="this SequenceClassifier has no loss_curve_: fit it first"
    ):
        LearningCurve.from_estimator(make_pipeline(SequenceScaler(), SequenceClassifier()))


def test_of_a_pipeline(rng):
    X = ragged(rng)
    pipeline = fitted(make_pipeline(SequenceScaler(), SequenceClassifier(**SMALL)), X, signs(X))
    display = LearningCurve.from_estimator(pipeline)
    np.testing.assert_array_equal(display.line_.get_ydata(), pipeline[-1].loss_curve_)
    assert display.ax_.get_title() == "SequenceClassifier"
