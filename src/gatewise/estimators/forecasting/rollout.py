"""From a fitted network to forecasts: all steps at once, or step after step."""

import contextlib
from dataclasses import dataclass

import numpy as np

from gatewise.errors import NonFiniteError

from .preparation import last_seen

# rows that a network steps side by side; it changes the memory that is used, not a bit of the
# result
AT_ONCE = 4096


@dataclass
class Past:
    """What forecasts start from.

    Attributes
    ----------
    number : int
        Of the series.
    y : ndarray (T, k)
    x : ndarray (T, f), or None
    known : ndarray, or None
        See :meth:`Preparation.known`; reaches as far ahead as the forecasts need.
    origins : ndarray of int (n,)
        A forecast from each; nothing of y and of the past columns of x is looked at after it.
    """

    number: int
    y: np.ndarray
    x: np.ndarray | None
    known: np.ndarray | None
    origins: np.ndarray

    def take(self, part):
        """The same with some of the origins."""
        return Past(self.number, self.y, self.x, self.known, self.origins[part])


class Forecasting:
    """Forecasts of a network.

    Parameters
    ----------
    run : callable(windows) -> ndarray (n, outputs)
        The network.
    preparation : Preparation
    head : PointHead, GaussianHead or QuantileHead
    recursive : bool
        The network says one step, which it then reads.
    dtype : str
        What it computes in.
    complete : callable(windows) -> windows, or None
        What is done about missing values before the network reads them. None: nothing.
    unchanged : callable() -> context manager
        Inside it no other thread changes the network: a forecast step after step is of one network.
    """

    def __init__(
        self,
        run,
        preparation,
        head,
        recursive,
        dtype,
        complete=None,
        unchanged=contextlib.nullcontext,
    ):
        self.unchanged = unchanged
        self.run, self.preparation, self.head, self.recursive, self.dtype = (
            run,
            preparation,
            head,
            recursive,
            dtype,
        )
        self.gaps, self.complete = complete is not None, complete or (lambda windows: windows)

    def point(self, past, steps):
        """Forecasts of steps 1 ... `steps` after each origin: ndarray (n, steps, k)."""
        return self._in_parts(past, 1, lambda part: self._point(part, steps))[0]

    def bounds(self, past, steps, coverage, paths, rng):
        """(lower, upper), each (n, steps, k): what lies between comes true with probability `coverage`."""
        if self.recursive:
            # a head without intervals says so
            self.head.bounds(np.zeros((1, self.head.outputs)), coverage)
            levels = [(1 - coverage) / 2, (1 + coverage) / 2]
            return self._in_parts(
                past, paths, lambda part: self._sampled(part, steps, levels, paths, rng)
            )
        return self._in_parts(
            past,
            1,
            lambda part: self._said(part, steps, lambda said: self.head.bounds(said, coverage)),
        )

    def quantiles(self, past, steps, levels, paths, rng):
        """The quantiles `levels`, a tuple with an ndarray (n, steps, k) for each level."""
        if self.recursive:
            return self._in_parts(
                past, paths, lambda part: self._sampled(part, steps, levels, paths, rng)
            )
        return self._in_parts(
            past, 1, lambda part: self._said(part, steps, lambda said: self.head.at(said, levels))
        )

    def _in_parts(self, past, copies, work):
        """The results of `work` on a few origins at a time, put together."""
        size = max(1, AT_ONCE // copies)
        with self.unchanged():
            parts = [
                work(past.take(slice(first, first + size)))
                for first in range(0, len(past.origins), size)
            ]
        return tuple(np.concatenate(results) for results in zip(*parts))

    def _windows(self, past):
        preparation = self.preparation
        return preparation.windows(
            preparation.rows(past.number, past.y, past.x, past.known), past.origins, self.dtype
        )

    # ---- all steps at once

    def _point(self, past, steps):
        if self.recursive:
            said = self._step_by_step(past, steps, self.head.point)
            return (
                self.preparation.accumulate(
                    past.number, said, self._levels(past, steps), past.origins
                ),
            )
        return (
            self._restored(
                past, self.head.point(self.run(self.complete(self._windows(past)))), steps
            ),
        )

    def _said(self, past, steps, answers):
        """`answers` makes several arrays (n, numbers) of the network's outputs: each of them in the units of y."""
        said = self.run(self.complete(self._windows(past)))
        return tuple(self._restored(past, answer, steps) for answer in answers(said))

    def _restored(self, past, said, steps):
        said = said.reshape(len(said), self.preparation.horizon, -1)[:, :steps]
        return self.preparation.restore(
            past.number, said, self.preparation.base(self._levels(past, steps), past.origins, steps)
        )

    def _levels(self, past, steps):
        """y as the forecasts are added to it: the last value seen where one is missing.

        Raises
        ------
        NonFiniteError
            None was seen.
        """
        levels = last_seen(past.y) if self.gaps else past.y
        if np.isnan(self.preparation.base(levels, past.origins, steps)).any():
            raise NonFiniteError(
                "a value of y is missing to which the forecast of its differences is added"
                + (
                    ", and none was seen before it; go on from later steps, or fit without"
                    " differencing"
                    if self.gaps
                    else "; set missing, for example to 'forward_fill'"
                )
            )
        return levels

    # ---- step after step

    def _sampled(self, past, steps, levels, paths, rng):
        """Quantiles of paths, each of which goes on from numbers that are drawn at every step."""
        said = self._step_by_step(
            past, steps, lambda outputs: self.head.sample(outputs, rng), paths
        )
        values = self.preparation.accumulate(
            past.number, said, self._levels(past, steps), past.origins.repeat(paths)
        )
        values = values.reshape(len(past.origins), paths, *values.shape[1:])
        return tuple(np.quantile(values, levels, axis=1))

    def _step_by_step(self, past, steps, answer, copies=1):
        """What `answer` makes of the outputs of each step, and the network then reads: (n * copies, steps, k).

        The window moves on with each step, so that the network sees as many steps as in training.
        """
        windows = self._windows(past)
        outputs = self.run(self.complete(windows)).repeat(copies, axis=0)
        windows = windows.repeat(copies, axis=0)
        said = np.empty((len(outputs), steps, outputs.shape[1] // self.head.outputs))
        for step in range(steps):
            said[:, step] = answer(outputs)
            if step + 1 < steps:
                parts = [said[:, step]]
                if past.known is not None:
                    parts.append(past.known[past.origins + step + 1].repeat(copies, axis=0))
                windows[:, :-1] = windows[:, 1:].copy()
                windows[:, -1] = np.concatenate(parts, axis=1)
                outputs = self.run(self.complete(windows))
        return said
