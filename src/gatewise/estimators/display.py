"""LearningCurve: how training went, as a plot."""

from __future__ import annotations

import difflib
import inspect
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import is_classifier, is_regressor
from sklearn.pipeline import Pipeline

from gatewise.errors import ArgumentError, ConfigError, MissingPackageError, NotFittedError

from .base import SequenceEstimator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.lines import Line2D


class LearningCurve:
    """Plot of the loss of each pass and, with early stopping, of the validation score.

    It is used like scikit-learn's displays. The best pass is marked: the one with the highest
    validation score, whose weights early stopping keeps, or without scores the one with the lowest
    loss.

    Parameters
    ----------
    loss_curve : list of float
        Loss of each pass.
    validation_scores : list of float, default None
        Score of each pass, or of the last passes if there are fewer scores. None: only the loss is
        drawn.
    estimator_name : str, default None
        Title of the plot. None: no title.
    score_name : str, default None
        What the scores are, for example "accuracy". None: "score".

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the loss.
    figure_ : matplotlib Figure
        Figure that the axes belong to.
    line_ : matplotlib Line2D
        Line of the loss.
    score_ax_ : matplotlib Axes or None
        Axes of the validation scores, on the right; None without scores.
    score_line_ : matplotlib Line2D or None
        Line of the validation scores.
    best_line_ : matplotlib Line2D
        Mark of the best pass.
    legend_ : matplotlib Legend
        Legend, above the plot so that it covers no line.

    Examples
    --------
    >>> from gatewise.estimators import LearningCurve
    >>> curve = LearningCurve([0.9, 0.5, 0.4], [0.6, 0.8, 0.7], score_name="accuracy")
    >>> from matplotlib.figure import Figure
    >>> curve.plot(ax=Figure().subplots()).best_line_.get_label()
    'best: 0.8 in pass 2'
    """

    ax_: Axes
    figure_: Figure
    line_: Line2D
    score_ax_: Axes | None
    score_line_: Line2D | None
    best_line_: Line2D
    legend_: Legend

    def __init__(
        self,
        loss_curve: Sequence[float],
        validation_scores: Sequence[float] | None = None,
        estimator_name: str | None = None,
        score_name: str | None = None,
    ) -> None:
        self.loss_curve = loss_curve
        self.validation_scores = validation_scores
        self.estimator_name = estimator_name
        self.score_name = score_name

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Axes | None = None, **kwargs: Any) -> Self:
        """Plot the training of a fitted estimator.

        Parameters
        ----------
        estimator : estimator of gatewise, MLPClassifier, MLPRegressor, or Pipeline
            A fitted estimator with ``loss_curve_`` and, if it has scores, ``validation_scores_``;
            or a Pipeline that ends in one.
        ax : matplotlib Axes, default None
            Where to draw. None: on the axes of a new figure.
        **kwargs : dict
            Options of the line of the loss, see ``matplotlib.axes.Axes.plot``.

        Returns
        -------
        LearningCurve
            The display, which has been drawn.

        Raises
        ------
        NotFittedError
            The estimator has not been fitted.
        MissingPackageError
            matplotlib is not installed.
        ArgumentError, ConfigError
            An option is no property of a line, or is given twice.
        """
        import_pyplot()  # raises before any work is done
        line_options(kwargs, cls.from_estimator)
        if isinstance(estimator, Pipeline):
            estimator = estimator[-1]
        if not hasattr(estimator, "loss_curve_"):
            raise NotFittedError(
                f"this {type(estimator).__name__} has no loss_curve_: fit it first"
            )
        display = cls(
            estimator.loss_curve_,
            getattr(estimator, "validation_scores_", None),
            type(estimator).__name__,
            _score_name(estimator),
        )
        return display.plot(ax=ax, **kwargs)

    def plot(self, *, ax: Axes | None = None, **kwargs: Any) -> Self:
        """Draw the curve.

        Parameters
        ----------
        ax : matplotlib Axes, default None
            Where to draw. None: on the axes of a new figure.
        **kwargs : dict
            Options of the line of the loss, see ``matplotlib.axes.Axes.plot``.

        Returns
        -------
        LearningCurve
            The display itself.

        Raises
        ------
        MissingPackageError
            matplotlib is not installed.
        ArgumentError, ConfigError
            An option is no property of a line, or is given twice.
        """
        kwargs = line_options(kwargs, self.plot)
        if ax is None:
            ax = import_pyplot().subplots(layout="constrained")[1]
        count = len(self.loss_curve)
        dots: dict[str, Any] = (
            {"marker": "o"} if count == 1 else {}
        )  # a line of one point is not seen
        figure: Any = ax.figure
        self.ax_, self.figure_ = ax, figure
        (self.line_,) = ax.plot(
            range(1, count + 1), self.loss_curve, **({"label": "loss"} | dots | kwargs)
        )
        ax.set(xlabel="pass", ylabel="loss")
        locator: Any = ax.xaxis.get_major_locator()
        locator.set_params(integer=True, min_n_ticks=1)
        if count == 1:
            ax.set_xlim(0.5, 1.5)
        self.score_ax_ = self.score_line_ = None
        lines = [self.line_]
        if self.validation_scores is not None and len(self.validation_scores):
            name = f"validation {self.score_name or 'score'}"
            self.score_ax_ = ax.twinx()
            first = count - len(self.validation_scores) + 1
            (self.score_line_,) = self.score_ax_.plot(
                range(first, count + 1), self.validation_scores, color="C1", label=name, **dots
            )
            self.score_ax_.set(ylabel=name)
            lines.append(self.score_line_)
        self.best_line_ = self._mark_best()
        self._title_and_legend([*lines, self.best_line_])
        return self

    def _mark_best(self) -> Line2D:
        """Put a mark on the best pass."""
        line, ax = self.line_, self.ax_
        if self.score_line_ is not None and self.score_ax_ is not None:
            line, ax = self.score_line_, self.score_ax_
        passes, values = (np.asarray(part) for part in line.get_data())
        at = int(np.argmin(values) if self.score_line_ is None else np.argmax(values))
        (mark,) = ax.plot(
            passes[at],
            values[at],
            linestyle="none",
            marker="*",
            markersize=12,
            color="black",
            zorder=5,
            label=f"best: {values[at]:.4g} in pass {int(passes[at])}",
        )
        return mark

    def _title_and_legend(self, lines: list[Line2D]) -> None:
        """Put the legend between title and plot, where no line crosses it."""
        self.legend_ = self.ax_.legend(
            handles=lines,
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
            ncols=len(lines),
            frameon=False,
            fontsize="small",
            columnspacing=1.2,
            handlelength=1.5,
        )
        self.ax_.set_title(self.estimator_name or "", pad=26)


def _score_name(estimator: Any) -> str | None:
    """Name of an estimator's validation scores."""
    if isinstance(estimator, SequenceEstimator):
        return estimator._target.score_name
    return "accuracy" if is_classifier(estimator) else "R²" if is_regressor(estimator) else None


def line_options(given: dict[str, Any], method: Callable[..., Any]) -> dict[str, Any]:
    """Options that a display hands on to matplotlib for a line, with their long names.

    Parameters
    ----------
    given : dict
        Options by name.
    method : callable
        Method that was given them. Its own arguments are suggested as well.

    Returns
    -------
    dict
        Options by their long names.

    Raises
    ------
    ArgumentError
        A name is no property of a line. Without this check matplotlib would refuse it, but only
        after the work and without a suggestion.
    ConfigError
        A property is given twice, as "color" and "c".
    """
    from matplotlib import cbook
    from matplotlib.artist import ArtistInspector
    from matplotlib.lines import Line2D

    inspector = ArtistInspector(Line2D)
    known = {
        *inspector.get_setters(),
        *(name for names in inspector.aliasd.values() for name in names),
        "scalex",
        "scaley",
    }
    own = [
        name
        for name, one in inspect.signature(method).parameters.items()
        if one.kind is not one.VAR_KEYWORD
    ]
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, sorted({*known, *own}), 1, 0.6)
            raise ArgumentError(
                f"{method.__qualname__} takes no argument {name!r}"
                + (
                    f"; did you mean {close[0]!r}?"
                    if close
                    else (
                        f"; expected {', '.join(own)}, or a property of a "
                        "matplotlib line: color, linestyle, label, ..."
                    )
                )
            )
    try:
        return cbook.normalize_kwargs(given, Line2D)
    except TypeError as error:
        raise ConfigError(f"{method.__qualname__}: {error}") from error


def import_pyplot() -> Any:
    """Import matplotlib.pyplot.

    Raises
    ------
    MissingPackageError
        matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot
    except ImportError as error:
        raise MissingPackageError(
            "drawing needs matplotlib: python -m pip install 'gatewise[plot]'"
        ) from error
    return matplotlib.pyplot
