"""LearningCurve: how training went, as a plot."""

import difflib
import inspect

import numpy as np
from sklearn.base import is_classifier, is_regressor
from sklearn.pipeline import Pipeline

from gatewise.errors import ArgumentError, ConfigError, MissingPackageError, NotFittedError

from .base import SequenceEstimator


class LearningCurve:
    """The loss of each pass, and with early stopping the validation score, in the manner of scikit-learn's displays.

    The best pass is marked: the one with the highest validation score, whose weights early stopping
    keeps, or without scores the one with the lowest loss.

    Parameters
    ----------
    loss_curve : list of float
    validation_scores : list of float, optional
        Of the last passes, if there are fewer of them.
    estimator_name : str, optional
        Title of the plot.
    score_name : str, optional
        What the scores are, for example "accuracy". None: "score".

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
    line_ : matplotlib Line2D
        Of the loss.
    score_ax_, score_line_ : Axes and Line2D, or None
        Of the validation scores, whose axis is on the right.
    best_line_ : matplotlib Line2D
        The mark of the best pass.
    legend_ : matplotlib Legend
        Above the plot, where no line crosses it.
    """

    def __init__(self, loss_curve, validation_scores=None, estimator_name=None, score_name=None):
        self.loss_curve = loss_curve
        self.validation_scores = validation_scores
        self.estimator_name = estimator_name
        self.score_name = score_name

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, **kwargs):
        """Plot the training of a fitted estimator.

        Parameters
        ----------
        estimator
            With ``loss_curve_``, and ``validation_scores_`` where there are any: those of gatewise,
            and scikit-learn's multi-layer perceptrons; or a Pipeline that ends in one.
        ax : matplotlib Axes, optional
            None: of a new figure.
        **kwargs
            For the line of the loss, see ``matplotlib.axes.Axes.plot``.

        Returns
        -------
        LearningCurve

        Raises
        ------
        NotFittedError, MissingPackageError
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

    def plot(self, *, ax=None, **kwargs):
        """Draw it; see :meth:`from_estimator`."""
        kwargs = line_options(kwargs, self.plot)
        if ax is None:
            ax = import_pyplot().subplots(layout="constrained")[1]
        count = len(self.loss_curve)
        dots = {"marker": "o"} if count == 1 else {}  # a line of one point is not seen
        self.ax_, self.figure_ = ax, ax.figure
        (self.line_,) = ax.plot(
            range(1, count + 1), self.loss_curve, **({"label": "loss"} | dots | kwargs)
        )
        ax.set(xlabel="pass", ylabel="loss")
        ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
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

    def _mark_best(self):
        """A mark on the best pass, Line2D."""
        line, ax = (
            (self.line_, self.ax_)
            if self.score_line_ is None
            else (self.score_line_, self.score_ax_)
        )
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

    def _title_and_legend(self, lines):
        """The legend stands between the title and the plot; no line crosses it there, whichever axis is drawn last."""
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


def _score_name(estimator):
    """What an estimator's validation scores are."""
    if isinstance(estimator, SequenceEstimator):
        return estimator._target.score_name
    return "accuracy" if is_classifier(estimator) else "R²" if is_regressor(estimator) else None


def line_options(given, method):
    """Keyword arguments that a display hands on to matplotlib for a line, with their long names.

    Parameters
    ----------
    given : dict
    method : callable
        That was given them: its own arguments are suggested, too.

    Returns
    -------
    dict

    Raises
    ------
    ArgumentError
        A name is no property of a line. Without this check it would be refused only after the work,
        by matplotlib and without a suggestion.
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


def import_pyplot():
    """matplotlib.pyplot.

    Raises
    ------
    MissingPackageError
    """
    try:
        import matplotlib.pyplot
    except ImportError as error:
        raise MissingPackageError(
            "drawing needs matplotlib: python -m pip install 'gatewise[plot]'"
        ) from error
    return matplotlib.pyplot
