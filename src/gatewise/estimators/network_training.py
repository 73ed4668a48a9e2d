"""The part of an estimator that makes its network and trains it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state

from gatewise import checks, layers
from gatewise.errors import ConfigError
from gatewise.models import Sequential
from gatewise.training.callbacks import ProgressBar, check_verbose

from . import networks, parameters
from .fit_monitor import FitMonitor
from .fitted import OF_TRAINING, parameters_in_use, refuse_changes
from .prediction import Prediction
from .reading.checking import checked_by_sklearn

if TYPE_CHECKING:
    from gatewise._typing import Array
    from gatewise.layers import Layer
    from gatewise.regularizers import Regularizer

    from .targets.base import Examples


class NetworkTraining(Prediction):
    """Makes the network that the parameters describe, and trains it on what was read."""

    def _begin(self, goes_on: bool, incremental: bool) -> None:
        """Note the parameters of a new fit, or refuse changes of them if it continues."""
        if goes_on:
            refuse_changes(self, self._fitted_parameters or {}, incremental)
        else:
            self._fitted_parameters = parameters_in_use(self)

    def _train(self, examples: Examples, *, goes_on: bool, incremental: bool) -> None:
        """Train a new network, or with `goes_on` the one that is there."""
        validation = None
        if self.early_stopping:
            examples, validation = self._split(examples)
        sequences, targets = examples.sequences, examples.targets
        count = len(sequences)
        batch_size = parameters.batch_size_of(self.batch_size, count)
        most = checks.whole_number(self.max_iter, "max_iter")
        epochs = 1 if incremental else most
        shuffle = checks.flag(self.shuffle, "shuffle")
        check_verbose(self.verbose)
        monitor = FitMonitor(self, validation, count, incremental=incremental, goes_on=goes_on)
        if not goes_on:
            self._build(examples, batch_size)
        if not (goes_on and incremental):
            self._compile(targets, self._steps_of_a_pass(examples, batch_size) * most, incremental)
            self.n_iter_ = 0
        else:
            self._end_schedule()
        self.model_.fit(
            sequences.values,
            targets,
            sample_weight=self._target.normalized(examples.weights, sequences),
            lengths=sequences.lengths,
            batch_size=batch_size,
            epochs=epochs,
            shuffle=shuffle,
            verbose=0,
            callbacks=[monitor, ProgressBar(self.verbose)],
            tbptt_steps=self._steps_of_a_part(examples),
        )
        if monitor.undone:
            raise KeyboardInterrupt(
                "interrupted before the first pass had ended: the estimator is as it was"
            )
        self.model_._training_run = None  # it belongs to files that go on with an interrupted fit
        if (
            not incremental
            and self.learning_rate != "cosine"
            and not monitor.converged
            and self.n_iter_ == epochs
        ):
            checks.warn(
                f"training ended at max_iter={epochs} passes and has not converged yet: raise"
                " max_iter, or learning_rate_init",
                ConvergenceWarning,
            )

    def _steps_of_a_pass(self, examples: Examples, batch_size: int) -> int:
        """How many steps of the optimizer a pass over the examples makes."""
        return -(-len(examples.sequences) // batch_size)

    def _steps_of_a_part(self, examples: Examples) -> int | None:
        """Steps of a sequence for one step of the optimizer; None: all."""
        return None

    def _split(self, examples: Examples) -> tuple[Examples, Examples]:
        """Examples to train on, and others to validate on with weights as a score takes them."""
        count = len(examples.sequences)
        with checked_by_sklearn():
            train, held_out = train_test_split(
                np.arange(count),
                test_size=self.validation_fraction,
                random_state=check_random_state(self.random_state),
                stratify=self._target.stratify_by(examples.targets),
            )
        if len(held_out) < 2:
            raise ConfigError(
                f"validation_fraction is {self.validation_fraction}: {len(held_out)} of"
                f" {count} samples are too few to validate on; raise it, or give more samples"
            )
        validation = examples.take(held_out)
        weights = self._target.validation_weights(validation.weights, validation.sequences)
        return examples.take(train), validation._replace(weights=weights)

    def _build(self, examples: Examples, batch_size: int) -> None:
        """Make a new model, of which no training is known yet."""
        targets, weights = examples.targets, examples.weights
        per_batch = batch_size if weights is None else batch_size * float(weights.mean())
        _, outputs, activation = self._target.output(targets)
        shape = examples.sequences.values.shape[1:]
        self.n_outputs_ = outputs
        self.out_activation_: str = _name_of(activation)
        made = self._layers(
            shape, outputs, activation, parameters.penalty_of(self.alpha, per_batch)
        )
        dtype = parameters.dtype_of(self.dtype, batch_size == len(examples.sequences))
        self.model_: Sequential = Sequential(
            [layers.Input(shape, dtype=dtype), *made],
            name=type(self).__name__,
            seed=parameters.seed_of(self.random_state),
        )
        if self.model_.output_shape[-1] != outputs:
            raise ConfigError(
                f"architecture gave layers with {self.model_.output_shape[-1]} outputs; expected"
                f" {outputs}"
            )
        self.t_ = 0
        self.loss_curve_: list[float] = []

    def _layers(
        self,
        shape: tuple[int, ...],
        outputs: int,
        activation: str,
        penalty: Regularizer | None,
    ) -> list[Layer]:
        """The layers from the input to the output.

        Parameters
        ----------
        shape : (int, int), or (int,) of tokens
            Steps of the longest sequence, and features of a step.
        outputs : int
        activation : str
            Of the output.
        penalty : Regularizer or None
            Of kernels.
        """
        if self.architecture is None or isinstance(self.architecture, str):
            return [
                *networks.encoder_layers(self, penalty, self._target.per_step),
                *networks.head_layers(outputs, activation, penalty),
            ]
        embedding = networks.embedding_layers(self)
        features = embedding[0].output_dim if embedding else shape[1]
        return networks.custom_layers(
            self.architecture, (shape[0], features), outputs, activation, embedding
        )

    def _compile(self, targets: Array, steps: int, incremental: bool) -> None:
        """Give the model a new optimizer, for `steps` steps, and its loss."""
        # The number of calls of partial_fit is unknown, and a cosine needs it.
        rate = "constant" if incremental and self.learning_rate == "cosine" else self.learning_rate
        optimizer = parameters.optimizer_of(
            self.optimizer, rate, self.learning_rate_init, self.clipnorm, steps
        )
        loss, _, activation = self._target.output(targets)
        if _name_of(activation) != self.out_activation_:
            raise ConfigError(
                f"loss {loss.name!r} needs an output that is {_name_of(activation)}, and the"
                f" network of the last fit has one that is {self.out_activation_}; set"
                " warm_start=False to make a new one"
            )
        # one label gives one column
        self.model_._choose_training(optimizer, loss, None, fitting=True)
        now = parameters_in_use(self)
        self._fitted_parameters = (self._fitted_parameters or {}) | {
            name: now[name] for name in OF_TRAINING if name in now
        }

    def _end_schedule(self) -> None:
        """Make the rate constant for partial_fit; after a fit along a cosine it would be 0."""
        before = self.model_.optimizer
        if isinstance(self.optimizer, str) and isinstance(
            before.get_config()["learning_rate"], dict
        ):
            rate = checks.number(self.learning_rate_init, "learning_rate_init", 0.0, open_low=True)
            after = type(before).from_config(before.get_config() | {"learning_rate": rate})
            after._restore(before._snapshot())
            self.model_._choose_training(after, self.model_.loss, None, fitting=True)


def _name_of(activation: str) -> str:
    """scikit-learn's name of the output's activation."""
    return {"linear": "identity", "sigmoid": "logistic"}.get(activation, activation)
