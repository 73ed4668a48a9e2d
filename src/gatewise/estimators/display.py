"""LearningCurve: how training went, as a plot."""

from sklearn.pipeline import Pipeline

from gatewise.errors import MissingPackageError, NotFittedError


class LearningCurve:
    """The loss of each pass, and with early stopping the validation score, in the manner of scikit-learn's displays.

    Parameters
    ----------
    loss_curve : list of float
    validation_scores : list of float, optional
    estimator_name : str, optional
        Title of the plot.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
    line_ : matplotlib Line2D
        Of the loss.
    score_ax_, score_line_ : Axes and Line2D, or None
        Of the validation scores, whose axis is on the right.
    """

    def __init__(self, loss_curve, validation_scores=None, estimator_name=None):
        self.loss_curve = loss_curve
        self.validation_scores = validation_scores
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, **kwargs):
        """Plot the training of a fitted estimator.

        Parameters
        ----------
        estimator
            With ``loss_curve_``, and ``validation_scores_`` where there are any: those of gatewise, and scikit-learn's
            multi-layer perceptrons; or a Pipeline that ends in one.
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
        if isinstance(estimator, Pipeline):
            estimator = estimator[-1]
        if not hasattr(estimator, "loss_curve_"):
            raise NotFittedError(f"this {type(estimator).__name__} has no loss_curve_: fit it first")
        display = cls(estimator.loss_curve_, getattr(estimator, "validation_scores_", None), type(estimator).__name__)
        return display.plot(ax=ax, **kwargs)

    def plot(self, *, ax=None, **kwargs):
        """Draw it; see :meth:`from_estimator`."""
        if ax is None:
            ax = import_pyplot().subplots()[1]
        passes = range(1, len(self.loss_curve) + 1)
        self.ax_, self.figure_ = ax, ax.figure
        (self.line_,) = ax.plot(passes, self.loss_curve, **({"label": "loss"} | kwargs))
        ax.set(xlabel="pass", ylabel="loss", title=self.estimator_name or "")
        self.score_ax_ = self.score_line_ = None
        lines = [self.line_]
        if self.validation_scores:
            self.score_ax_ = ax.twinx()
            (self.score_line_,) = self.score_ax_.plot(range(1, len(self.validation_scores) + 1), self.validation_scores, color="C1",
                                                      label="validation score")
            self.score_ax_.set(ylabel="validation score")
            lines.append(self.score_line_)
        ax.legend(handles=lines)
        return self


def import_pyplot():
    """matplotlib.pyplot.

    Raises
    ------
    MissingPackageError
    """
    try:
        import matplotlib.pyplot
    except ImportError as error:
        raise MissingPackageError("drawing needs matplotlib: python -m pip install 'gatewise[plot]'") from error
    return matplotlib.pyplot
