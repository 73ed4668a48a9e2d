"""Streams of fitted estimators: predictions for sequences that go on, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError
from gatewise.models.step_plan import scores_plan
from gatewise.models.stream import Stream, stream_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array, IntArray


class EstimatorStream:
    """Sequences that continue through a fitted estimator; ``estimator.stream()`` makes it.

    It is a :class:`gatewise.models.Stream` of the network, with the estimator's predictions as
    output. The weights are those of the moment when it was made. One thread at a time may use it.

    Parameters
    ----------
    estimator : SequenceClassifier, SequenceRegressor or SequenceTagger
        A fitted estimator.
    batch : int, default 1
        Number of sequences that take their steps together, from 1.

    Raises
    ------
    NotFittedError
        The estimator has not been fitted.
    ConfigError
        The network cannot run step by step; the message names the layer and the reason. Or a step
        of X does not reach the network as it is: `missing` looks at other steps.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise import SequenceClassifier
    >>> X, y = np.sin(np.arange(400.0)).reshape(20, 20), np.arange(20) % 2
    >>> classifier = SequenceClassifier(learning_rate="cosine", max_iter=2).fit(X, y)
    >>> classifier.stream().step(0.5).shape  # the probabilities so far
    (2,)
    """

    def __init__(self, estimator: Any, batch: int = 1) -> None:
        estimator._need_fitted()
        reason = estimator._cannot_stream
        missing = estimator._in_use("missing")
        if reason is None and missing not in ("error", "mean"):
            reason = f"missing={missing!r} looks at earlier steps; fit with 'error' or 'mean'"
        if reason is not None:
            raise ConfigError(f"{type(estimator).__name__} cannot run as a stream: {reason}")
        self._estimator = estimator
        self._answer = estimator._streamed_answer
        self._means: Array | None = estimator.feature_means_ if missing == "mean" else None
        self._stream: Stream = stream_of(estimator.model_, scores_plan(estimator.model_), batch)

    def __repr__(self) -> str:
        rows = "1 row" if self.rows == 1 else f"{self.rows} rows"
        return f"<stream of a {type(self._estimator).__name__}, {rows}>"

    @property
    def rows(self) -> int:
        """Number of sequences, int."""
        return self._stream.rows

    def step(self, x: Any) -> Any:
        """Predict after one more step of each sequence.

        Parameters
        ----------
        x : array_like of shape (features,) or (rows, features)
            The step, as in X; a number, or (rows,), if there is one feature.

        Returns
        -------
        ndarray, or number
            What the estimator predicts for the steps so far; a tagger, or a regressor that was
            fitted with numbers of steps, for this step. Probabilities (classes,) or (rows, classes)
            of a classifier or tagger; numbers of a regressor. None if none is due at this step,
            since the network has windows with strides or "valid" padding.

        Raises
        ------
        ShapeError, DTypeError, NonFiniteError
            x does not fit; the state is as it was.
        StateError
            Another thread uses the stream.
        """
        scores = self._stream.step(self._filled(x))
        return None if scores is None else self._made_of(scores)

    def process(self, block: Any) -> Any:
        """Predict after each of several steps.

        Parameters
        ----------
        block : array_like of shape (steps, features) or (rows, steps, features)
            The steps; (steps,) or (rows, steps) if there is one feature.

        Returns
        -------
        ndarray
            What :meth:`step` gives at each step, (steps, ...) or (rows, steps, ...).

        Raises
        ------
        ShapeError, DTypeError, NonFiniteError
            The block does not fit; the state is as it was.
        StateError
            Another thread uses the stream.
        """
        return self._made_of(self._stream.process(self._filled(block)))

    def _filled(self, x: Any) -> Any:
        """Return x without missing values."""
        if self._means is None:
            return x
        x = np.asarray(x, float)
        return np.where(np.isnan(x), self._means if x.ndim else self._means[0], x)

    def _made_of(self, scores: Array) -> Any:
        """Return predictions for scores (..., outputs)."""
        made = self._answer(scores.reshape(-1, scores.shape[-1]))
        return made.reshape((*scores.shape[:-1], *made.shape[1:]))[()]

    def reset(self, rows: int | Sequence[int] | IntArray | None = None) -> None:
        """Let sequences begin again.

        Parameters
        ----------
        rows : int, or sequence of int, optional
            Their numbers. None: all.
        """
        self._stream.reset(rows)

    @property
    def state(self) -> dict[str, Array]:
        """What the sequences remember, see :attr:`gatewise.models.Stream.state`."""
        return self._stream.state

    @state.setter
    def state(self, value: Any) -> None:
        self._stream.state = value

    def add(self, n: int = 1) -> range:
        """Begin more sequences, behind the others.

        Parameters
        ----------
        n : int, default 1
            How many.

        Returns
        -------
        range
            Numbers of the new rows.
        """
        return self._stream.add(n)

    def drop(self, rows: int | Sequence[int] | IntArray) -> None:
        """End sequences; those behind them move forward.

        Parameters
        ----------
        rows : int, or sequence of int
            Their numbers. At least one other remains.
        """
        self._stream.drop(rows)


class Streaming:
    """The method of estimators that makes a stream."""

    @property
    def _cannot_stream(self) -> str | None:
        """Why the estimator cannot predict step by step, its network aside; None: it can."""
        return None

    def _streamed_answer(self, scores: Array) -> Array:
        """Return the predictions for scores (n, outputs)."""
        raise NotImplementedError

    def stream(self, batch: int = 1) -> EstimatorStream:
        """Return a stream: predictions for sequences that go on, step by step.

        Parameters
        ----------
        batch : int, default 1
            Number of sequences that take their steps together, from 1.

        Returns
        -------
        EstimatorStream
            ``step(x)`` takes one step of each sequence and returns the prediction after it: what
            the estimator predicts for the steps so far, or for this step if steps have predictions.

        Raises
        ------
        NotFittedError
            The estimator has not been fitted.
        ConfigError
            The network cannot run step by step (with ``bidirectional=True``, for example), or
            `missing` looks at other steps.
        """
        return EstimatorStream(self, batch)
