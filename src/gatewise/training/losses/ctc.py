"""Connectionist temporal classification: labels without their places in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks, threads
from gatewise.errors import DTypeError, ShapeError
from gatewise.kernels import ctc
from gatewise.utils import pad_sequences

from .. import outputs
from .base import EPSILON, Loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array, ArrayLike, Config, IntArray


class CTC(Loss):
    """``-log p(labels)``, summed over all places of the labels in time (Graves et al. 2006).

    The model's outputs are (batch, steps, classes). Each step stands for a class or the blank;
    equal classes side by side are read once, then blanks are dropped. Each row counts once in the
    mean, and in the weights; the ``lengths`` of the call are the numbers of steps.

    Targets (batch, labels) are class numbers. The first blank, or -1, ends a row; a row may have no
    labels. A list of rows of different lengths is accepted.

    Parameters
    ----------
    from_logits : bool, optional
        None: outputs are scores, whose softmax is taken here, as in Keras. After a softmax layer a
        model hands over the scores in front of it (in Keras the softmax would be taken twice).
        True: outputs are scores whatever the last activation is. False: outputs are probabilities;
        for predictions of a model that ends in a softmax, or one whose softmax the model does not
        know how to leave out.
    blank : int, default 0
        Number of the blank class; 0 as in Keras and PyTorch.
    zero_infinity : bool, default False
        A row with too few steps for its labels (each needs one, and equal neighbours one between
        them) has the value infinity and a gradient of 0. True: its value is 0, too.
    **others
        ``name``, and arguments of Keras that change nothing here.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.losses import CTC
    >>> round(CTC(from_logits=False)([[1]], np.full((1, 2, 2), 0.5)), 4)  # -log(3 / 4)
    0.2877
    """

    blank: int
    from_logits: bool | None
    zero_infinity: bool
    name = "ctc"
    _needs = staticmethod(outputs.readings)
    _fuses = "softmax"
    _per_sequence = True

    def __init__(
        self,
        from_logits: bool | None = None,
        blank: int = 0,
        zero_infinity: bool = False,
        **others: Any,
    ) -> None:
        super().__init__(**others)
        self.from_logits = None if from_logits is None else checks.flag(from_logits, "from_logits")
        self.blank = checks.whole_number(blank, "blank", 0)
        self.zero_infinity = checks.flag(zero_infinity, "zero_infinity")

    def __call__(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
    ) -> float:
        """The loss of predictions.

        Parameters
        ----------
        y_true : array_like (batch, labels), int
            Targets.
        y_pred : array_like (batch, steps, classes)
            Predictions.
        sample_weight : array_like (batch,), optional
            A weight for each sample or position; None: all count once.
        lengths : array_like (batch,), int, optional
            Steps in each row. None: all.

        Returns
        -------
        float

        Raises
        ------
        ShapeError, DTypeError
        """
        lengths = checks.sequence_lengths(lengths, *_batch_and_steps(np.shape(y_pred)))
        return self._value_of(y_true, y_pred, sample_weight, lengths=lengths)

    def prepare(self, y_true: Any, shape: Sequence[int], dtype: Any) -> Array:
        """Class numbers (batch, labels), with the blank behind a row's last label.

        Parameters
        ----------
        y_true : array_like (batch, labels), or list of rows of different lengths, int
            Labels of each row.
        shape : tuple of int
            That of the outputs, (batch, steps, classes).
        dtype : dtype
            Ignored: labels are integers.

        Returns
        -------
        intp ndarray (batch, labels)
            What :meth:`value_and_gradient` takes.

        Raises
        ------
        ShapeError, DTypeError
        """
        batch, _ = _batch_and_steps(shape)
        try:
            rows_as_objects = isinstance(y_true, np.ndarray) and y_true.dtype.kind == "O"
            y = np.asarray(list(y_true) if rows_as_objects else y_true)
        except ValueError:  # rows of different lengths
            y = pad_sequences(y_true, dtype="int64", padding="post", value=-1)
        if y.dtype.kind not in "ui" and not (
            y.dtype.kind == "f" and np.array_equal(y, np.floor(y)) and np.isfinite(y).all()
        ):
            raise DTypeError(
                f"y holds {y.dtype} values that are not all whole numbers; loss {self.name} expects"
                " class numbers"
            )
        if y.ndim != 2 or len(y) != batch:
            raise ShapeError(
                f"y has shape {y.shape}, the model's output has {tuple(shape)}; loss {self.name}"
                f" expects class numbers of shape ({batch}, labels), rows filled up with the blank,"
                f" {self.blank}, or -1"
            )
        classes = shape[-1]
        self._targets(classes)
        outside = (y < -1) | (y >= classes)
        if outside.any():
            at = tuple(int(i) for i in np.argwhere(outside)[0])
            raise ShapeError(
                f"y holds class {y[at]} at index {at}; the model's output has {classes} classes, 0"
                f" to {classes - 1}, and -1 or {self.blank} (the blank) ends a row"
            )
        return self._ended(np.where(y < 0, self.blank, y).astype(np.intp))

    def _targets(self, outputs: int) -> int:
        if self.blank >= outputs:
            raise ShapeError(
                f"the model's output has {outputs} classes; the blank is class {self.blank}: give"
                " the last layer a class more, or choose another blank"
            )
        return outputs

    def _ended(self, y: Array) -> Array:
        """y, in which nothing may follow a row's first blank."""
        ends = y == self.blank
        late = np.argwhere(ends[:, :-1] & ~ends[:, 1:])
        if late.size:
            row, column = (int(i) for i in late[0])
            raise ShapeError(
                f"y[{row}] has label {y[row, column + 1]} at {column + 1}, behind a blank or -1;"
                " expected labels first, then blanks to the end"
            )
        return y

    def value_and_gradient(
        self,
        y_true: Array,
        y_pred: Array,
        weights: Array | None = None,
        normalizer: float | None = None,
        *,
        scores: bool = False,
        want_gradient: bool = True,
        lengths: IntArray | None = None,
    ) -> tuple[float, Array | None]:
        """The loss, and its gradient with respect to the scores or probabilities.

        Parameters
        ----------
        y_true : intp ndarray (batch, labels)
            What :meth:`prepare` returned.
        y_pred : ndarray (batch, steps, classes), float32 or float64
            Predictions.
        weights : ndarray (batch,), optional
            A weight for each row; None: all count once.
        normalizer : float, optional
            None: the number of rows.
        scores : bool, default False
            Whether y_pred holds scores, whatever `from_logits` is.
        want_gradient : bool, default True
            Whether the gradient is wanted.
        lengths : intp ndarray (batch,), optional
            Steps in each row. None: all.

        Returns
        -------
        value : float
            The loss.
        gradient : ndarray like y_pred, or None
            None if it is not wanted.
        """
        normalizer = len(y_pred) if normalizer is None else normalizer
        if normalizer == 0:  # no rows
            return 0.0, np.zeros_like(y_pred) if want_gradient else None
        are_scores = scores or self.from_logits is not False
        values, gradient = self._row_values(
            y_true, y_pred, weights, normalizer, lengths, are_scores, want_gradient
        )
        return float(values.sum() / normalizer), gradient

    def position_values(
        self, y_true: Array, y_pred: Array, want_gradient: bool
    ) -> tuple[Array, Array | None]:
        are_scores = self.from_logits is not False
        return self._row_values(y_true, y_pred, None, 1, None, are_scores, want_gradient)

    def _row_values(
        self,
        y_true: Array,
        y_pred: Array,
        weights: Array | None,
        normalizer: float,
        lengths: IntArray | None,
        are_scores: bool,
        want_gradient: bool,
    ) -> tuple[Array, Array | None]:
        """The weighted value of each row, and the gradient of their sum / normalizer."""
        if are_scores:
            return self._from_scores(y_true, y_pred, weights, normalizer, lengths, want_gradient)
        p = np.maximum(y_pred, EPSILON)
        values, gradient = self._from_scores(
            y_true, np.log(p), weights, normalizer, lengths, want_gradient
        )
        return values, None if gradient is None else np.where(y_pred >= EPSILON, gradient / p, 0)

    def _from_scores(
        self,
        y_true: Array,
        z: Array,
        weights: Array | None,
        normalizer: float,
        lengths: IntArray | None,
        want_gradient: bool,
    ) -> tuple[Array, Array | None]:
        batch, steps, classes = z.shape
        work = threads.threads_for(30 * z.size + 60 * batch * steps * (2 * y_true.shape[1] + 1))
        checks.fits_memory(
            min(work, batch) * ctc.scratch_size(steps, y_true.shape[1], classes, want_gradient),
            "float64",
            f"loss {self.name} with {steps} steps and {y_true.shape[1]} labels a row",
        )
        gradient = np.empty(z.shape, z.dtype) if want_gradient else None
        counts = (y_true != self.blank).sum(axis=1, dtype=np.intp)
        values = ctc.values(
            np.ascontiguousarray(z),
            np.ascontiguousarray(y_true),
            counts,
            lengths,
            None if weights is None else np.ascontiguousarray(weights, np.float64),
            self.blank,
            self.zero_infinity,
            1 / normalizer,
            gradient,
            work,
        )
        return values, gradient

    def get_config(self) -> Config:
        return {
            "from_logits": self.from_logits,
            "blank": self.blank,
            "zero_infinity": self.zero_infinity,
        } | self._name_given()


def _batch_and_steps(shape: Sequence[int]) -> tuple[int, int]:
    if len(shape) != 3:
        raise ShapeError(
            f"the model's output has shape {tuple(shape)}; loss ctc expects (batch, steps,"
            " classes): let the recurrent layers return sequences"
        )
    return shape[0], shape[1]
