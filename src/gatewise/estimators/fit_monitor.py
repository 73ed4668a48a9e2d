"""FitMonitor: records the training of an estimator, and ends it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from gatewise import checks
from gatewise.training.callbacks import Callback

from .fitted import transaction_of

if TYPE_CHECKING:
    from gatewise._typing import Array
    from gatewise.transaction import Transaction

    from .prediction import Prediction
    from .targets.base import Examples


class FitMonitor(Callback):
    """Callback that records losses and scores, ends training and keeps the best weights.

    It fills the estimator's ``loss_curve_`` and the like, and ends training if nothing improves. If
    an interrupt cuts a pass short, it restores the estimator as it was when the last pass ended:
    weights and histories always belong together.

    Parameters
    ----------
    estimator : SequenceEstimator
    validation : Examples or None
        Held-out examples whose score decides, instead of the training loss.
    count : int
        Number of samples in an epoch.
    incremental : bool
        This is a pass of ``partial_fit``, which nothing ends early.
    goes_on : bool
        Training continues from weights that were trained before.

    Attributes
    ----------
    converged : bool
        Training ended because nothing improved any more.
    """

    model: Any
    params: Any
    converged: bool

    def __init__(
        self,
        estimator: Prediction,
        validation: Examples | None,
        count: int,
        *,
        incremental: bool,
        goes_on: bool,
    ) -> None:
        self._estimator = estimator
        self._validation = validation
        self._count = count
        self._goes_on = goes_on
        # The rate of "cosine" falls over all passes, so the loss alone does not end training.
        endless = incremental or (validation is None and estimator.learning_rate == "cosine")
        patience = checks.number(estimator.n_iter_no_change, "n_iter_no_change", 0.0)
        self._patience = math.inf if endless else patience
        self._tol = checks.number(estimator.tol, "tol", 0.0)
        self._waited = 0
        self._best_weights: list[Array] | None = None
        self._in_pass = False
        self._last_pass: tuple[Transaction, list[Array] | None] | None = None
        self.converged = False

    @property
    def undone(self) -> bool:
        """Whether training was interrupted before its first pass ended."""
        return self._in_pass and self._last_pass is None

    def on_train_begin(self, logs: Any = None) -> None:
        estimator = self._estimator
        if self._validation is None:
            if not self._goes_on or estimator.best_loss_ is None:
                estimator.best_loss_ = math.inf
            estimator.validation_scores_ = estimator.best_validation_score_ = None
            return
        if not self._goes_on or estimator.validation_scores_ is None:
            estimator.validation_scores_ = []
        estimator.best_loss_, estimator.best_validation_score_ = None, -math.inf
        # new weights must be better than those there are, on the part that is held out now
        if self._goes_on:
            estimator.best_validation_score_ = self._score()
            self._best_weights = self.model.get_weights()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._in_pass = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if math.isfinite(logs["loss"]):  # else fit restores the weights from before, and warns
            self._take_in(logs)
            if epoch + 1 < self.params["epochs"] and not self.model.stop_training:
                self._last_pass = (
                    transaction_of(self._estimator, with_model=True),
                    self._best_weights,
                )
        self._in_pass = False

    def _take_in(self, logs: dict[str, Any]) -> None:
        estimator = self._estimator
        estimator.loss_ = float(logs["loss"])
        estimator.loss_curve_.append(estimator.loss_)
        estimator.n_iter_ += 1
        estimator.t_ += self._count
        improved = self._by_loss() if self._validation is None else self._by_score(logs)
        self._waited = 0 if improved else self._waited + 1
        if self._waited > self._patience:
            self._end_or_slow_down()

    def _by_loss(self) -> bool:
        """Whether the loss fell by tol."""
        estimator = self._estimator
        best = math.inf if estimator.best_loss_ is None else estimator.best_loss_
        improved = estimator.loss_ <= best - self._tol
        estimator.best_loss_ = min(best, estimator.loss_)
        return improved

    def _by_score(self, logs: dict[str, Any]) -> bool:
        """Whether the validation score rose by tol; the best weights so far are kept."""
        estimator, score = self._estimator, self._score()
        scores, best = estimator.validation_scores_, estimator.best_validation_score_
        assert scores is not None and best is not None  # set when training began
        scores.append(score)
        logs["validation_score"] = score  # for the line that is printed
        improved = score >= best + self._tol
        if score > best:
            estimator.best_validation_score_ = score
            self._best_weights = self.model.get_weights()
        return improved

    def _score(self) -> float:
        """The score of the current weights on the validation part."""
        assert self._validation is not None
        return float(self._estimator._score_of(self._validation))

    def _end_or_slow_down(self) -> None:
        rate = self.model.optimizer.learning_rate
        if self._estimator.learning_rate == "adaptive" and rate > 1e-6:
            self.model.optimizer.learning_rate = rate / 5
            self._waited = 0
        else:
            self.converged = self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        if self._in_pass and self._last_pass is not None:
            before, self._best_weights = self._last_pass
            before.restore()
            # what the optimizer does at the end of training, it now does to these weights
            self.model._end_training()
        if self._best_weights is not None:
            self.model.set_weights(self._best_weights)
