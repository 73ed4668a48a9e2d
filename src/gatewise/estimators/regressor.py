"""SequenceRegressor: one number, or several, a sequence or a step."""

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_array

from gatewise import checks
from gatewise.data.sequences import container_of
from gatewise.errors import ConfigError, ShapeError
from gatewise.training import losses

from .base import check_weights, store
from .documentation import documented
from .reading import inputs
from .scores import weighted_r2
from .targets.labelled_steps import as_given, in_one, spread
from .targets.reading import read_numbers, without_unknown
from .targets.step_targets import StepTargets

# scikit-learn's names of losses, and ours.
LOSSES = {"squared_error": "mse", "absolute_error": "mae", "poisson": "poisson"}
OF_NUMBERS = (
    "squared_error",
    "absolute_error",
    "poisson",
    "huber",
    "log_cosh",
    "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error",
)
# Of classes, of distributions, of several outputs for a number: they would train on something else,
# or not at all.
OF_OTHER_THINGS = (
    losses.BinaryCrossentropy,
    losses.CategoricalCrossentropy,
    losses.SparseCategoricalCrossentropy,
    losses.Hinge,
    losses.SquaredHinge,
    losses.CategoricalHinge,
    losses.KLDivergence,
    losses.GaussianNLL,
    losses.Quantile,
    losses.CTC,
)


@documented
class SequenceRegressor(RegressorMixin, StepTargets):
    """A recurrent network that gives sequences, or with ``per_step=True`` their steps, a number, or several.

    Targets are taken as they are: scale large ones
    (:class:`sklearn.compose.TransformedTargetRegressor`).

    Parameters
    ----------
    {PARAMETERS}
    {POOLING}
    {READING}
    {ARCHITECTURE}
    loss : {"squared_error", "absolute_error", "poisson", "huber", "log_cosh"}, name or Loss
        What training makes small: a loss of numbers, also by its name in :mod:`gatewise.losses`, or
        one of your own. With "poisson" the output is exponential.
    per_step : bool
        Targets stand beside steps, and so do predictions. There is nothing for `pooling` to sum up
        then.

    Attributes
    ----------
    {ATTRIBUTES}
    """

    def __init__(
        self,
        cell="lstm",
        units=64,
        *,
        loss="squared_error",
        per_step=False,
        num_layers=1,
        bidirectional=False,
        pooling="last",
        dropout=0.0,
        recurrent_dropout=0.0,
        embedding=None,
        vocabulary_size=None,
        missing="error",
        architecture=None,
        alpha=0.0,
        optimizer="adam",
        learning_rate="constant",
        learning_rate_init=1e-3,
        clipnorm=1.0,
        batch_size="auto",
        max_iter=100,
        shuffle=True,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=1e-4,
        warm_start=False,
        dtype="auto",
        random_state=None,
        verbose=False,
        n_jobs=None,
    ):
        store(self, locals())

    def fit(self, X, y, sample_weight=None, groups=None, time=None):
        """Fit to sequences and their numbers.

        Parameters
        ----------
        X : array_like (n, time) or (n, time, features), list of (time_i, features) or (time_i,), or frame
            See docs/estimators.md.
        y : array_like (n,) or (n, outputs)
            With ``per_step=True``: (n, time) or (n, time, outputs), or list of (time_i,) or
            (time_i, outputs). With groups as well: (rows,) or (rows, outputs).
        sample_weight : array_like (n,) or (n, outputs), optional
            Not negative. Weight k is the same as k copies, exactly where a batch holds all samples.
            With ``per_step=True`` weights of steps are accepted as well, (n, time) or in the form
            of y; a step of weight 0 counts in nothing. y may be NaN where the weight is 0.
        groups : array_like (rows,) or name of a column of X, optional
            X is a long table, a row a step; rows of one group are one sequence.
        time : array_like (rows,) or name of a column of X, optional
            With groups: when each row was. Rows are put in this order within their group. None:
            they are in order.

        Returns
        -------
        self

        Raises
        ------
        ConfigError, ShapeError, DTypeError, NonFiniteError
        """
        return self._fit(X, y, sample_weight, groups, time)

    def partial_fit(self, X, y, sample_weight=None, groups=None, time=None):
        """One pass over these samples, from where training stands; see :meth:`fit`."""
        return self._fit(X, y, sample_weight, groups, time, incremental=True)

    # ---- fitting

    _needed = (*StepTargets._needed, "_column", "_columns")
    _several_outputs = True

    @property
    def _per_step(self):
        return checks.flag(self._in_use("per_step"), "per_step")

    def _begin(self, goes_on, incremental):
        super()._begin(goes_on, incremental)
        if self._per_step and self.pooling != "last":
            raise ConfigError(
                f"pooling is {self.pooling!r}; with per_step=True each step has an output, and"
                " nothing is summed up: leave pooling out"
            )

    def _read_weights(self, sample_weight, sequences):
        """ndarray (n,) or (n, outputs), or with ``per_step`` (n, steps) or (n, steps, outputs)."""
        if not self._per_step and sample_weight is not None and _columns_of(sample_weight) > 1:
            inputs.unmasked(sample_weight, "sample_weight")
            with inputs.checked_by_sklearn():
                weights = check_array(sample_weight, dtype=np.float64, input_name="sample_weight")
            if len(weights) != len(sequences):
                raise ShapeError(
                    f"sample_weight has {len(weights)} rows, X has {len(sequences)} samples;"
                    " expected one row each"
                )
            return check_weights(weights)
        return super()._read_weights(sample_weight, sequences)

    def _read_targets(self, y, sequences, reset, incremental=False, weights=None):
        # NaN may stand where it counts in nothing: at weights of 0, and at steps that
        # missing="mask" leaves out.
        unknown = weights is not None or sequences.counted is not None
        if self._per_step and y is not None:
            flat = in_one(y, sequences, "y", columns=True)
            numbers = read_numbers(flat, sequences.all_lengths.sum(), column=True, unknown=unknown)
        else:
            if _stands_beside_steps(y):
                raise ShapeError(
                    "y holds numbers of steps; expected those of sequences, (n,) or (n, outputs):"
                    " set per_step=True to learn those of steps"
                )
            numbers = read_numbers(y, len(sequences), unknown=unknown)
        columns = 1 if numbers.ndim == 1 else numbers.shape[1]
        if reset:
            self._column, self._columns = numbers.ndim == 1, columns
        elif columns != self._columns:
            raise ShapeError(
                f"y has {columns} columns; expected {self._columns}, as in the first call"
            )
        numbers = numbers.reshape(len(numbers), columns)
        numbers = spread(numbers, sequences) if self._per_step else numbers
        if unknown:
            weights = np.ones(numbers.shape[:-1]) if weights is None else weights
            if weights.ndim == numbers.ndim and weights.shape[-1] != columns:
                raise ShapeError(
                    f"sample_weight has {weights.shape[-1]} columns, y has {columns}; expected a"
                    " weight for each output, or one for all of them"
                )
            numbers = without_unknown(numbers, weights)
        if isinstance(self._loss(), losses.Poisson) and numbers.min() < 0:
            raise ConfigError(f"y holds {numbers.min()}; loss 'poisson' expects numbers from 0 up")
        return numbers

    def _output(self, targets):
        loss = self._loss()
        return (
            loss,
            targets.shape[-1],
            "exponential" if isinstance(loss, losses.Poisson) else "linear",
        )

    def _loss(self):
        loss = losses.get(
            LOSSES.get(self.loss, self.loss) if isinstance(self.loss, str) else self.loss
        )
        if isinstance(loss, OF_OTHER_THINGS):
            raise ConfigError(
                f"loss is {loss.name!r}, which is none of numbers; expected one of "
                f"{', '.join(map(repr, OF_NUMBERS))}, or a gatewise.losses.Loss of your own"
            )
        return loss

    _score_name = "R²"

    def _score_of(self, targets, scores, sample_weight):
        numbers = self._activated(scores)
        if self._per_step:
            targets, numbers = (part.reshape(-1, part.shape[-1]) for part in (targets, numbers))
            steps = targets.shape[0]
            sample_weight = (
                sample_weight.reshape(steps)
                if sample_weight.size == steps
                else sample_weight.reshape(steps, -1)
            )
        return weighted_r2(targets, numbers, sample_weight)

    def _activated(self, scores):
        # The one that reads the targets of an encoder has no output, and the loss of default.
        return (
            np.exp(scores)
            if getattr(self, "out_activation_", "identity") == "exponential"
            else scores
        )

    # ---- predicting

    def predict(self, X, groups=None, time=None):
        """Numbers of sequences, or of steps.

        Parameters
        ----------
        X, groups, time
            See :meth:`fit`.

        Returns
        -------
        ndarray (n,) or (n, outputs), as y was in fit
            With ``per_step=True``: (n, time) or (n, time, outputs) for an array or table, list of
            (time_i,) or (time_i, outputs) for a list, (rows,) or (rows, outputs) with groups.

        Raises
        ------
        NotFittedError, ShapeError, DTypeError, NonFiniteError
        """
        sequences = self._read_to_predict(X, groups, time)
        numbers = self._activated(self._scores(sequences))
        if self._column:
            numbers = numbers[..., 0]
        return as_given(numbers, X, sequences) if self._per_step else numbers

    def score(self, X, y, sample_weight=None, groups=None, time=None):
        """R squared of the predictions, the mean over outputs, over all steps with ``per_step=True``.

        `sample_weight` is as in :meth:`fit`, and so is y, which may be NaN where the weight is 0.
        """
        predicted = self.predict(X, groups, time)
        if self._per_step:
            y, predicted, sample_weight = self._side_by_side(
                y, predicted, sample_weight, groups, columns=True
            )
        else:
            y, sample_weight = self._of_sequences(X, groups, y, sample_weight)
        return weighted_r2(y, predicted, inputs.summable(sample_weight))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _columns_of(weights):
    """Columns of weights of sequences: 1 of what is no table of numbers, which is refused elsewhere."""
    shape = getattr(weights, "shape", None)
    if shape is None and container_of(weights) is None:
        shape = np.asarray(weights).shape
    return shape[1] if shape is not None and len(shape) == 2 else 1


def _stands_beside_steps(y):
    """Whether y can be nothing else than numbers of steps."""
    try:
        return inputs.axes_of(y) > 2 or container_of(y) == "objects"
    except ValueError:  # rows of different lengths
        return True
