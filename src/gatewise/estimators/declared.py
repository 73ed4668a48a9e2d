"""The parameters and fitted attributes that estimators have, with their types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sklearn.base import BaseEstimator

from gatewise import checks

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from gatewise._typing import Array
    from gatewise.layers import Layer
    from gatewise.models import Sequential
    from gatewise.training.optimizers import Optimizer

    from .targets.base import Target


class Declared(BaseEstimator):
    """Base of the parts of an estimator."""

    # Parameters of all estimators.
    cell: str
    units: int
    num_layers: int
    bidirectional: bool
    dropout: float
    recurrent_dropout: float
    alpha: float
    optimizer: str | Optimizer
    learning_rate: str
    learning_rate_init: float
    clipnorm: float | None
    batch_size: int | str
    max_iter: int
    shuffle: bool
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: int
    tol: float
    warm_start: bool
    dtype: str
    random_state: int | np.random.RandomState | None
    verbose: bool | int
    n_jobs: int | None
    # Parameters of some, and the values that they have in the others.
    embedding: int | None = None
    vocabulary_size: int | None = None
    missing: str = "error"
    pooling: str = "last"
    architecture: str | Callable[..., list[Layer]] | None = None

    # What the first fit learned of X.
    n_features_in_: int
    feature_names_in_: Array
    feature_means_: Array
    vocabulary_size_: int
    _fitted_on_table: bool
    _step_features: int
    # What training left.
    model_: Sequential
    n_outputs_: int
    out_activation_: str
    loss_: float
    loss_curve_: list[float]
    best_loss_: float | None
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    n_iter_: int
    t_: int
    _target: Target
    # The parameters that the network was made with, see fitted.py.
    _fitted_parameters: dict[str, Any] | None = None

    def _vector_size(self) -> int | None:
        """Size of the vectors that tokens become; 0: one-hot vectors; None: X holds no tokens."""
        return None if self.embedding is None else checks.whole_number(self.embedding, "embedding")
