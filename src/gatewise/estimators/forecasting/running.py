"""The part of a forecaster that makes forecasts with its fitted network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.estimators import parameters
from gatewise.estimators.reading.sequences import Sequences

from .fitting import Fitting
from .future import pasts_at_the_end
from .rollout import Past, Rollout
from .streaming import ForecastStream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array

    from .seen import SeenSeries


class Running(Fitting):
    """Forecasts as arrays, one for each series."""

    def stream(self) -> ForecastStream:
        """Return a stream, which takes one observation at a time and forecasts after each.

        Returns
        -------
        ForecastStream
            ``step(y, X=None, X_future=None)`` is what :meth:`update` and :meth:`predict` do, on
            series of its own, which begin as those of the forecaster.

        Raises
        ------
        NotFittedError
            The forecaster has not been fitted.

        Examples
        --------
        >>> import numpy as np
        >>> from gatewise import SequenceForecaster
        >>> y = np.sin(np.arange(100) / 5)
        >>> options = {"learning_rate": "cosine", "max_iter": 2}
        >>> stream = SequenceForecaster(horizon=2, **options).fit(y[:90]).stream()
        >>> stream.step(y[90]).shape
        (2,)
        """
        return ForecastStream(self)

    def _seen_series(self) -> SeenSeries:
        """Return the series seen.

        Raises
        ------
        NotFittedError
        """
        self._need_fitted()
        return self._seen

    def _rollout(self) -> Rollout:
        """Return what makes forecasts with the fitted network."""
        return Rollout(
            network=self._outputs_of,
            preparation=self._preparation,
            head=self._target,
            recursive=self._recursive,
            most_steps=self._most_steps,
            dtype=self.model_.dtype,
            complete=self._completed,
            unchanged=self.model_.unchanged,
        )

    def _outputs_of(self, windows: Array) -> Array:
        """Return the network's outputs, (n, outputs), float64."""
        return self._run(Sequences(windows), -1).astype(np.float64)

    def _starts(self, horizon: int | None, X_future: Any) -> tuple[Rollout, int, list[Past]]:
        """Return what makes the forecasts, their steps, and what each series starts from."""
        seen, rollout = self._seen_series(), self._rollout()
        steps = rollout.steps(horizon)
        needed = rollout.steps_known_ahead(steps)
        return rollout, steps, pasts_at_the_end(seen, self._preparation, steps, needed, X_future)

    def _points(self, horizon: int | None, X_future: Any) -> list[Array]:
        """Return the forecast of each series, (steps, k)."""
        rollout, steps, pasts = self._starts(horizon, X_future)
        return [rollout.point(past, steps)[0] for past in pasts]

    def _bounds(
        self, horizon: int | None, coverage: float, X_future: Any, n_paths: int
    ) -> list[tuple[Array, Array]]:
        """Return lower and upper bounds of each series, (steps, k)."""
        coverage = checks.number(coverage, "coverage", 0.0, 1.0, open_low=True, open_high=True)
        n_paths = checks.whole_number(n_paths, "n_paths", 2)
        rollout, steps, pasts = self._starts(horizon, X_future)
        rng = np.random.default_rng(parameters.seed_of(self.random_state))
        bounds = [rollout.bounds(past, steps, coverage, n_paths, rng) for past in pasts]
        return [(lower[0], upper[0]) for lower, upper in bounds]

    def _quantiles(
        self, horizon: int | None, levels: Sequence[float], X_future: Any, n_paths: int
    ) -> list[list[Array]]:
        """Return the quantiles `levels`, for each of them the forecast of each series."""
        n_paths = checks.whole_number(n_paths, "n_paths", 2)
        rollout, steps, pasts = self._starts(horizon, X_future)
        rng = np.random.default_rng(parameters.seed_of(self.random_state))
        found = [rollout.quantiles(past, steps, levels, n_paths, rng) for past in pasts]
        return [[one[number][0] for one in found] for number in range(len(levels))]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # rows of y are steps, not samples to predict
        tags.input_tags.two_d_array = tags.input_tags.three_d_array = False
        tags.input_tags.one_d_array = True
        return tags
