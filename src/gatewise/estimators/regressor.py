"""SequenceRegressor: one number, or several, a sequence."""

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from gatewise.errors import ConfigError, ShapeError
from gatewise.training import losses

from .base import SequenceEstimator, store
from .documentation import documented
from .targets import read_numbers

# scikit-learn's names of losses, and ours.
LOSSES = {"squared_error": "mse", "absolute_error": "mae", "poisson": "poisson"}
OF_NUMBERS = ("squared_error", "absolute_error", "poisson", "huber", "log_cosh", "mean_absolute_percentage_error",
              "mean_squared_logarithmic_error")
# Of classes, of distributions, of several outputs for a number: they would train on something else, or not at all.
OF_OTHER_THINGS = (losses.BinaryCrossentropy, losses.CategoricalCrossentropy, losses.SparseCategoricalCrossentropy,
                   losses.Hinge, losses.SquaredHinge, losses.CategoricalHinge, losses.KLDivergence, losses.GaussianNLL,
                   losses.Quantile, losses.CTC)


@documented
class SequenceRegressor(RegressorMixin, SequenceEstimator):
    """A recurrent network that gives sequences a number, or several.

    Targets are taken as they are: scale large ones (:class:`sklearn.compose.TransformedTargetRegressor`).

    Parameters
    ----------
    {PARAMETERS}
    {POOLING}
    {READING}
    {ARCHITECTURE}
    loss : {"squared_error", "absolute_error", "poisson", "huber", "log_cosh"}, name or Loss
        What training makes small: a loss of numbers, also by its name in :mod:`gatewise.losses`, or one of your own. With "poisson"
        the output is exponential.

    Attributes
    ----------
    {ATTRIBUTES}
    """

    def __init__(self, cell="lstm", units=64, *, loss="squared_error", num_layers=1, bidirectional=False, pooling="last",
                 dropout=0.0, recurrent_dropout=0.0, embedding=None, vocabulary_size=None, missing="error", architecture=None,
                 alpha=0.0, optimizer="adam", learning_rate="constant", learning_rate_init=1e-3, clipnorm=1.0,
                 batch_size="auto", max_iter=100, shuffle=True, early_stopping=False, validation_fraction=0.1,
                 n_iter_no_change=10, tol=1e-4, warm_start=False, dtype="auto", random_state=None, verbose=False, n_jobs=None):
        store(self, locals())

    def fit(self, X, y, sample_weight=None, groups=None):
        """Fit to sequences and their numbers.

        Parameters
        ----------
        X : array_like (n, time) or (n, time, features), list of (time_i, features) or (time_i,), or frame
            See docs/estimators.md.
        y : array_like (n,) or (n, outputs)
        sample_weight : array_like (n,), optional
            Not negative. Weight k is the same as k copies, exactly where a batch holds all samples.
        groups : array_like (rows,) or name of a column of X, optional
            X is a long table, a row a step; rows of one group are one sequence.

        Returns
        -------
        self

        Raises
        ------
        ConfigError, ShapeError, DTypeError, NonFiniteError
        """
        return self._fit(X, y, sample_weight, groups)

    def partial_fit(self, X, y, sample_weight=None, groups=None):
        """One pass over these samples, from where training stands; see :meth:`fit`."""
        return self._fit(X, y, sample_weight, groups, incremental=True)

    # ---- fitting

    _needed = (*SequenceEstimator._needed, "_column", "_columns")

    def _read_targets(self, y, sequences, reset, incremental=False):
        numbers = read_numbers(y, len(sequences))
        columns = 1 if numbers.ndim == 1 else numbers.shape[1]
        if reset:
            self._column, self._columns = numbers.ndim == 1, columns
        elif columns != self._columns:
            raise ShapeError(f"y has {columns} columns; expected {self._columns}, as in the first call")
        if isinstance(self._loss(), losses.Poisson) and numbers.min() < 0:
            raise ConfigError(f"y holds {numbers.min()}; loss 'poisson' expects numbers from 0 up")
        return numbers.reshape(len(numbers), columns)

    def _output(self, targets):
        loss = self._loss()
        return loss, targets.shape[1], "exponential" if isinstance(loss, losses.Poisson) else "linear"

    def _loss(self):
        loss = losses.get(LOSSES.get(self.loss, self.loss) if isinstance(self.loss, str) else self.loss)
        if isinstance(loss, OF_OTHER_THINGS):
            raise ConfigError(f"loss is {loss.name!r}, which is none of numbers; expected one of "
                              f"{', '.join(map(repr, OF_NUMBERS))}, or a gatewise.losses.Loss of your own")
        return loss

    def _score_of(self, targets, scores, sample_weight):
        return r2_score(targets, self._activated(scores), sample_weight=sample_weight)

    def _activated(self, scores):
        return np.exp(scores) if isinstance(self._loss(), losses.Poisson) else scores

    # ---- predicting

    def predict(self, X, groups=None):
        """Numbers of sequences.

        Parameters
        ----------
        X, groups
            See :meth:`fit`.

        Returns
        -------
        ndarray (n,) or (n, outputs)

        Raises
        ------
        NotFittedError, ShapeError, DTypeError, NonFiniteError
        """
        numbers = self._activated(self._scores(self._read_X(X, groups)))
        return numbers[:, 0] if self._column else numbers

    def score(self, X, y, sample_weight=None, groups=None):
        """R squared of the predictions."""
        predicted = self.predict(X, groups)
        y, sample_weight = self._of_sequences(X, groups, y, sample_weight)
        return r2_score(y, predicted, sample_weight=sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
