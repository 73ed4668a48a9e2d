"""Rollout: from a fitted network to forecasts, all steps at once or step after step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, DTypeError, NonFiniteError

from .preparation import Preparation, last_seen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from .heads import Head

# Windows that the network reads side by side. The number changes the memory that is used, and
# nothing of the result.
AT_ONCE = 4096


@dataclass(frozen=True)
class Past:
    """What the forecasts of one series start from.

    Attributes
    ----------
    number : int
        The series.
    y : ndarray of shape (T, k)
    x : ndarray of shape (T, f), or None
    known : ndarray, or None
        See :meth:`Preparation.known`; it reaches as far ahead as the forecasts need.
    origins : ndarray of int of shape (n,)
        There is a forecast from each. It uses nothing of y and of the past columns of x that is
        later.
    """

    number: int
    y: np.ndarray
    x: np.ndarray | None
    known: np.ndarray | None
    origins: np.ndarray


@dataclass(frozen=True)
class Rollout:
    """Forecasts of a network.

    Attributes
    ----------
    network : callable(windows) -> ndarray of shape (n, outputs), float64
    preparation : Preparation
    head : Head
    recursive : bool
        Whether the network forecasts one step, which it then reads.
    most_steps : int
        The horizon that the forecaster was fitted with.
    dtype : str
        The dtype in which the network computes.
    complete : callable(windows) -> windows
        Replaces missing values before the network reads them.
    unchanged : callable() -> context manager
        Inside it no other thread changes the network, so that all steps of a forecast come from the
        same one.
    """

    network: Callable[[np.ndarray], np.ndarray]
    preparation: Preparation
    head: Head
    recursive: bool
    most_steps: int
    dtype: str
    complete: Callable[[np.ndarray], np.ndarray]
    unchanged: Callable[[], AbstractContextManager[Any]]

    # ---- how many steps

    def steps(self, horizon: Any) -> int:
        """Return the number of steps of a forecast.

        Parameters
        ----------
        horizon : int or None
            None: as many as the forecaster was fitted with.

        Raises
        ------
        ConfigError, DTypeError
        """
        if hasattr(horizon, "__len__"):
            raise DTypeError(
                f"horizon is a {type(horizon).__name__}; expected a number of steps. predict"
                " continues the series seen in fit and update, and takes no data; if a scorer of"
                " scikit-learn gave it some, use"
                " scoring=gatewise.estimators.get_scorer('neg_mean_absolute_error'), or no scoring"
            )
        steps = self.most_steps if horizon is None else checks.whole_number(horizon, "horizon")
        if steps > self.most_steps and not self.recursive:
            raise ConfigError(
                f"horizon is {steps}; strategy='direct' forecasts the {self.most_steps} steps that"
                f" it was fitted for: fit with horizon={steps}, or with strategy='recursive', which"
                " forecasts any number"
            )
        self._check_recursion(steps)
        return steps

    def _check_recursion(self, steps: int) -> None:
        """Refuse a second step if the network would need columns of X that are not known."""
        if self.recursive and steps > 1 and self.preparation.past:
            raise ConfigError(
                f"horizon is {steps}; strategy='recursive' forecasts a second step only if all"
                " columns of X are known ahead: name them in future_features, or use"
                " strategy='direct'"
            )

    def steps_known_ahead(self, steps: int) -> int:
        """Return the steps of X_future that a forecast needs; 0 if no column is known ahead."""
        if not self.preparation.ahead:
            return 0
        return steps if self.recursive else self.preparation.horizon

    # ---- forecasts

    def point(self, past: Past, steps: int) -> np.ndarray:
        """Return forecasts of steps 1 ... `steps` after each origin, (n, steps, k)."""
        if self.recursive:
            return self._in_parts(past, 1, lambda part: [self._recursive_point(part, steps)])[0]
        return self._in_parts(
            past, 1, lambda part: self._direct(part, steps, lambda out: [self.head.point(out)])
        )[0]

    def bounds(
        self, past: Past, steps: int, coverage: float, paths: int, rng: np.random.Generator
    ) -> list[np.ndarray]:
        """Return lower and upper bounds that hold each number with probability `coverage`.

        Parameters
        ----------
        past : Past
        steps : int
        coverage : float
        paths : int
            Paths to draw from each origin if the strategy is recursive.
        rng : Generator

        Returns
        -------
        list of two ndarray of shape (n, steps, k)
        """
        if self.recursive:
            # a head without intervals refuses here
            self.head.bounds(np.zeros((1, self.head.outputs_per_number)), coverage)
            levels = [(1 - coverage) / 2, (1 + coverage) / 2]
            return self._from_paths(past, steps, levels, paths, rng)
        return self._in_parts(
            past,
            1,
            lambda part: self._direct(part, steps, lambda out: self.head.bounds(out, coverage)),
        )

    def quantiles(
        self,
        past: Past,
        steps: int,
        levels: Sequence[float],
        paths: int,
        rng: np.random.Generator,
    ) -> list[np.ndarray]:
        """Return the quantiles `levels`, an array (n, steps, k) for each; see :meth:`bounds`."""
        if self.recursive:
            return self._from_paths(past, steps, levels, paths, rng)
        return self._in_parts(
            past, 1, lambda part: self._direct(part, steps, lambda out: self.head.at(out, levels))
        )

    def _in_parts(
        self, past: Past, copies: int, work: Callable[[Past], Sequence[np.ndarray]]
    ) -> list[np.ndarray]:
        """Do `work` on a few origins at a time and concatenate the results."""
        size = max(1, AT_ONCE // copies)
        with self.unchanged():
            parts = [
                work(replace(past, origins=past.origins[first : first + size]))
                for first in range(0, len(past.origins), size)
            ]
        return [np.concatenate(results) for results in zip(*parts)]

    def _windows(self, past: Past) -> np.ndarray:
        rows = self.preparation.rows(past.number, past.y, past.x, past.known)
        return self.preparation.windows(rows, past.origins, self.dtype)

    def _levels(self, past: Past, steps: int) -> np.ndarray:
        """Return y as forecasts are added to it: missing values replaced by the last one seen.

        Raises
        ------
        NonFiniteError
            None was seen.
        """
        fills_gaps = self.preparation.fills_gaps
        levels = last_seen(past.y) if fills_gaps else past.y
        if np.isnan(self.preparation.base(levels, past.origins, steps)).any():
            raise NonFiniteError(
                "a value of y is missing to which the forecast of its differences is added"
                + (
                    ", and none was seen before it; continue from later steps, or fit without"
                    " differencing"
                    if fills_gaps
                    else "; set missing, for example to 'forward_fill'"
                )
            )
        return levels

    # ---- all steps at once

    def _direct(
        self,
        past: Past,
        steps: int,
        answers: Callable[[np.ndarray], Sequence[np.ndarray]],
    ) -> list[np.ndarray]:
        """Return what `answers` makes of the network's outputs, in the units of y.

        `answers` returns arrays (n, numbers) of outputs (n, outputs).
        """
        outputs = self.network(self.complete(self._windows(past)))
        return [self._restored(past, answer, steps) for answer in answers(outputs)]

    def _restored(self, past: Past, answer: np.ndarray, steps: int) -> np.ndarray:
        answer = answer.reshape(len(answer), self.preparation.horizon, -1)[:, :steps]
        base = self.preparation.base(self._levels(past, steps), past.origins, steps)
        return self.preparation.restore(past.number, answer, base)

    # ---- step after step

    def _recursive_point(self, past: Past, steps: int) -> np.ndarray:
        answers = self._step_by_step(past, steps, self.head.point)
        return self.preparation.accumulate(
            past.number, answers, self._levels(past, steps), past.origins
        )

    def _from_paths(
        self,
        past: Past,
        steps: int,
        levels: Sequence[float],
        paths: int,
        rng: np.random.Generator,
    ) -> list[np.ndarray]:
        """Return quantiles of paths; each path continues from numbers drawn at every step."""
        return self._in_parts(
            past, paths, lambda part: self._path_quantiles(part, steps, levels, paths, rng)
        )

    def _path_quantiles(
        self,
        past: Past,
        steps: int,
        levels: Sequence[float],
        paths: int,
        rng: np.random.Generator,
    ) -> list[np.ndarray]:
        drawn = self._step_by_step(
            past, steps, lambda outputs: self.head.sample(outputs, rng), paths
        )
        values = self.preparation.accumulate(
            past.number, drawn, self._levels(past, steps), past.origins.repeat(paths)
        )
        values = values.reshape(len(past.origins), paths, *values.shape[1:])
        return list(np.quantile(values, levels, axis=1))

    def _step_by_step(
        self,
        past: Past,
        steps: int,
        answer: Callable[[np.ndarray], np.ndarray],
        copies: int = 1,
    ) -> np.ndarray:
        """Return what `answer` makes of the outputs at each step, which the network then reads.

        The window moves on by one step each time, so that the network reads as many steps as in
        training.

        Returns
        -------
        ndarray of shape (n * copies, steps, k)
        """
        windows = self._windows(past)
        outputs = self.network(self.complete(windows)).repeat(copies, axis=0)
        windows = windows.repeat(copies, axis=0)
        variables = outputs.shape[1] // self.head.outputs_per_number
        answers = np.empty((len(outputs), steps, variables))
        for step in range(steps):
            answers[:, step] = answer(outputs)
            if step + 1 < steps:
                parts = [answers[:, step]]
                if past.known is not None:
                    parts.append(past.known[past.origins + step + 1].repeat(copies, axis=0))
                windows[:, :-1] = windows[:, 1:].copy()
                windows[:, -1] = np.concatenate(parts, axis=1)
                outputs = self.network(self.complete(windows))
        return answers
