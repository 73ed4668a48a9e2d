"""What an estimator keeps of its training, and when that is over."""

import math

from gatewise import checks
from gatewise.training.callbacks import Callback


class Progress(Callback):
    """Fills an estimator's ``loss_curve_`` and the like, ends training where nothing improves, and keeps the best weights.

    Parameters
    ----------
    estimator : SequenceEstimator
    validation : tuple or None
        (sequences, targets, weights) whose score decides, instead of the training loss.
    count : int
        Samples that an epoch sees.
    incremental : bool
        A pass of ``partial_fit``: nothing ends it.
    goes_on : bool
        From weights that were trained before.
    """

    def __init__(self, estimator, validation, count, incremental, goes_on):
        self._estimator, self._validation, self._count, self._goes_on = estimator, validation, count, goes_on
        # The rate of "cosine" falls over all passes: the loss alone ends none of them.
        endless = incremental or (validation is None and estimator.learning_rate == "cosine")
        patience = checks.number(estimator.n_iter_no_change, "n_iter_no_change", 0.0)
        self._patience = math.inf if endless else patience
        self._tol = checks.number(estimator.tol, "tol", 0.0)
        self._waited = 0
        self._best_weights = None
        self.converged = False

    def on_train_begin(self, logs=None):
        estimator = self._estimator
        if self._validation is None:
            if not self._goes_on or estimator.best_loss_ is None:
                estimator.best_loss_ = math.inf
            estimator.validation_scores_ = estimator.best_validation_score_ = None
            return
        if not self._goes_on or estimator.validation_scores_ is None:
            estimator.validation_scores_ = []
        estimator.best_loss_, estimator.best_validation_score_ = None, -math.inf
        if self._goes_on:  # the weights that are there are to be beaten, on the part that is held out now
            estimator.best_validation_score_, self._best_weights = self._score(), self.model.get_weights()

    def on_epoch_end(self, epoch, logs=None):
        if not math.isfinite(logs["loss"]):  # fit goes back to the weights before, and warns
            return
        estimator = self._estimator
        estimator.loss_ = float(logs["loss"])
        estimator.loss_curve_.append(estimator.loss_)
        estimator.n_iter_ += 1
        estimator.t_ += self._count
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {estimator.loss_:.8f}")
        improved = self._by_loss() if self._validation is None else self._by_score()
        self._waited = 0 if improved else self._waited + 1
        if self._waited > self._patience:
            self._end_or_slow_down()

    def _by_loss(self):
        """Whether the loss fell by tol."""
        estimator = self._estimator
        improved = estimator.loss_ <= estimator.best_loss_ - self._tol
        estimator.best_loss_ = min(estimator.best_loss_, estimator.loss_)
        return improved

    def _by_score(self):
        """Whether the validation score rose by tol; the best weights so far are kept."""
        estimator, score = self._estimator, self._score()
        estimator.validation_scores_.append(score)
        if estimator.verbose:
            print(f"Validation score: {score:.6f}")
        improved = score >= estimator.best_validation_score_ + self._tol
        if score > estimator.best_validation_score_:
            estimator.best_validation_score_ = score
            self._best_weights = self.model.get_weights()
        return improved

    def _score(self):
        """Of the weights as they are, on the validation part."""
        sequences, targets, weights = self._validation
        return float(self._estimator._score_of(targets, self._estimator._scores(sequences), weights))

    def _end_or_slow_down(self):
        rate = self.model.optimizer.learning_rate
        if self._estimator.learning_rate == "adaptive" and rate > 1e-6:
            self.model.optimizer.learning_rate = rate / 5
            self._waited = 0
        else:
            self.converged = self.model.stop_training = True

    def on_train_end(self, logs=None):
        if self._best_weights is not None:
            self.model.set_weights(self._best_weights)
