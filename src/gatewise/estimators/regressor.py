"""SequenceRegressor: one number, or several, for each sequence or each step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import RegressorMixin

from gatewise import checks
from gatewise.errors import ConfigError

from .base import TargetEstimator, by_sequence
from .reading.inputs import summable
from .targets.entries import SequenceEntries
from .targets.numbers import Numbers, StepNumbers
from .targets.r_squared import weighted_r2
from .targets.steps import StepEntries, as_given

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from gatewise._typing import ArrayLike
    from gatewise.layers import Layer
    from gatewise.training.losses import Loss
    from gatewise.training.optimizers import Optimizer

    from .reading.inputs import Sequences
    from .targets.base import SequenceTarget


class SequenceRegressor(RegressorMixin, TargetEstimator):
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
        cell: str = "lstm",
        units: int = 64,
        *,
        loss: str | Loss = "squared_error",
        per_step: bool = False,
        num_layers: int = 1,
        bidirectional: bool = False,
        pooling: str = "last",
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        embedding: int | None = None,
        vocabulary_size: int | None = None,
        missing: str = "error",
        architecture: str | Callable[..., list[Layer]] | None = None,
        alpha: float = 0.0,
        optimizer: str | Optimizer = "adam",
        learning_rate: str = "constant",
        learning_rate_init: float = 1e-3,
        clipnorm: float | None = 1.0,
        batch_size: int | str = "auto",
        max_iter: int = 100,
        shuffle: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        warm_start: bool = False,
        dtype: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: bool | int = False,
        n_jobs: int | None = None,
    ) -> None:
        self.cell = cell
        self.units = units
        self.loss = loss
        self.per_step = per_step
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.pooling = pooling
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.embedding = embedding
        self.vocabulary_size = vocabulary_size
        self.missing = missing
        self.architecture = architecture
        self.alpha = alpha
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.clipnorm = clipnorm
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose
        self.n_jobs = n_jobs

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        groups: ArrayLike | None = None,
        time: ArrayLike | None = None,
    ) -> Self:
        """Fit to sequences and their numbers, or those of their steps.

        Parameters
        ----------
        X
        y : array_like (n,) or (n, outputs)
            With ``per_step=True``: (n, time) or (n, time, outputs), or list of (time_i,) or
            (time_i, outputs). With groups as well: (rows,) or (rows, outputs).
        sample_weight : array_like (n,) or (n, outputs), optional
            Not negative. Weight k is the same as k copies, exactly if a batch holds all samples.
            With ``per_step=True`` weights of steps are accepted as well, (n, time) or in the form
            of y; a step of weight 0 counts in nothing. y may be NaN if its weight is 0. None: all
            are 1.
        groups
        time

        Returns
        -------
        SequenceRegressor
            The estimator itself.

        Raises
        ------
        ConfigError, ShapeError, DTypeError, NonFiniteError
            An argument or a parameter is not as described; the estimator is as it was before.
        """
        return self._fit(X, y, sample_weight, groups, time)

    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        groups: ArrayLike | None = None,
        time: ArrayLike | None = None,
    ) -> Self:
        """Train for one pass over these samples, from the weights that there are.

        Parameters
        ----------
        X
        y : array_like (n,) or (n, outputs)
            As in :meth:`fit`.
        sample_weight : array_like (n,) or (n, outputs), optional
            As in :meth:`fit`.
        groups
        time

        Returns
        -------
        SequenceRegressor
            The estimator itself.

        Raises
        ------
        ConfigError, ShapeError, DTypeError, NonFiniteError
            An argument or a parameter is not as described; the estimator is as it was before.
        """
        return self._fit(X, y, sample_weight, groups, time, incremental=True)

    # ---- fitting

    _target: Numbers
    _needed = (*TargetEstimator._needed, "_column", "_columns")

    def _predicts_each_step(self) -> bool:
        return checks.flag(self._in_use("per_step"), "per_step")

    def _begin(self, goes_on: bool, incremental: bool) -> None:
        super()._begin(goes_on, incremental)
        if self._predicts_each_step() and self.pooling != "last":
            raise ConfigError(
                f"pooling is {self.pooling!r}; with per_step=True each step has an output, and"
                " nothing is summed up: leave pooling out"
            )

    def _entries(self) -> SequenceEntries:
        return (StepEntries if self._predicts_each_step() else SequenceEntries)(columns=True)

    def _new_target(self, y: Any, sequences: Sequences, classes: Any) -> SequenceTarget:
        return (StepNumbers if self._predicts_each_step() else Numbers)(self.loss)

    def _continued_target(self) -> SequenceTarget:
        return self._target.with_loss(self.loss)

    def _restore_target(self, held: dict[str, Any]) -> None:
        kind = StepNumbers if self._predicts_each_step() else Numbers
        self._target = kind(self.loss).restore(held)

    # ---- predicting

    def predict(
        self, X: Any, groups: ArrayLike | None = None, time: ArrayLike | None = None
    ) -> Any:
        """Return the numbers of sequences, or of steps.

        Parameters
        ----------
        X
        groups
        time

        Returns
        -------
        ndarray (n,) or (n, outputs), as y was in fit
            With ``per_step=True``: (n, time) or (n, time, outputs) for an array or table, list of
            (time_i,) or (time_i, outputs) for a list, (rows,) or (rows, outputs) with groups.

        Raises
        ------
        NotFittedError
            The estimator has not been fitted.
        ConfigError, ShapeError, DTypeError, NonFiniteError
            X, groups or time is not as in `fit`.
        """
        sequences = self._read_to_predict(X, groups, time)
        numbers = self._scores(sequences)
        if self.out_activation_ == "exponential":
            numbers = np.exp(numbers)
        if self._target.flat:
            numbers = numbers[..., 0]
        return as_given(numbers, X, sequences) if self._target.per_step else numbers

    def score(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        groups: ArrayLike | None = None,
        time: ArrayLike | None = None,
    ) -> float:
        """Return R squared of the predictions, the mean over outputs.

        Parameters
        ----------
        X
        y : array_like (n,) or (n, outputs)
            As in :meth:`fit`; it may be NaN if its weight is 0.
        sample_weight : array_like (n,) or (n, outputs), optional
            As in :meth:`fit`.
        groups
        time

        Returns
        -------
        float
            1 if all predictions are right, 0 if they are no better than the mean of y. With
            ``per_step=True`` over all steps.

        Raises
        ------
        NotFittedError
            The estimator has not been fitted.
        ConfigError, ShapeError, DTypeError, NonFiniteError
            X, groups or time is not as in `fit`.
        """
        predicted = self.predict(X, groups, time)
        entries = self._entries()
        if not isinstance(entries, StepEntries):
            y, sample_weight = by_sequence(X, groups, y, sample_weight)
        elif groups is None:
            y, predicted, sample_weight = entries.side_by_side(y, predicted, sample_weight)
        return weighted_r2(y, predicted, summable(sample_weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
