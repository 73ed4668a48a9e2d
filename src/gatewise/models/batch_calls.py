"""A compiled network that is called with one batch at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import StateError
from gatewise.layers.symbol import holds_symbols
from gatewise.memory import names_memory
from gatewise.training.batches import Given
from gatewise.training.class_weights import add_class_weight
from gatewise.training.evaluation import new_means
from gatewise.training.preparing import prepare_samples
from gatewise.training.run import Run

from .compiled import CompiledNetwork

if TYPE_CHECKING:
    from gatewise._typing import Arrays
    from gatewise.training.data import Samples
    from gatewise.training.means import Found


class BatchCalls(CompiledNetwork):
    """A compiled network that users call with one batch: outputs, loss, gradients or a step."""

    @names_memory
    def __call__(
        self,
        x: Arrays,
        lengths: Arrays | None = None,
        training: bool | None = None,
        mask: Arrays | None = None,
        resets: Arrays | None = None,
    ) -> Any:
        """Compute the outputs for one batch.

        Parameters
        ----------
        x, lengths, mask, resets
            As in :meth:`fit`.
        training : bool, optional
            True: apply dropout, and normalize by the batch. None: do not. With symbols, False means
            that the model inside another one computes in training what it computes at inference;
            None: it does as the other one.

        Returns
        -------
        ndarray (batch, ...), or list or dict of them
            For several outputs as :meth:`predict` gives them.
        """
        if type(x) is not np.ndarray and holds_symbols(x):
            given = {"lengths": lengths, "training": training, "mask": mask, "resets": resets}
            return self._called_with_symbols(x, **given)
        samples = prepare_samples(self, Given(x, None, None, lengths, mask, resets), False)
        training = training is not None and checks.flag(training, "training")
        with self._apart_from_training():
            outputs = self._run(samples.inputs, training=training)
            return self._as_given(outputs)

    def predict_on_batch(
        self,
        x: Arrays,
        lengths: Arrays | None = None,
        mask: Arrays | None = None,
        resets: Arrays | None = None,
    ) -> Any:
        """Compute the outputs for one batch.

        Parameters
        ----------
        x, lengths, mask, resets
            As in :meth:`fit`.

        Returns
        -------
        ndarray (batch, ...), or list or dict of them
            For several outputs as :meth:`predict` gives them.
        """
        return self(x, lengths, mask=mask, resets=resets)

    @names_memory
    def train_on_batch(
        self,
        x: Arrays,
        y: Arrays,
        sample_weight: Arrays | None = None,
        class_weight: Mapping[int, float] | None = None,
        lengths: Arrays | None = None,
        return_dict: bool = False,
        mask: Arrays | None = None,
        resets: Arrays | None = None,
    ) -> Any:
        """Make one step of the optimizer on one batch.

        Parameters
        ----------
        x, y, sample_weight, class_weight, lengths, mask, resets
            As in :meth:`fit`.
        return_dict : bool, default False
            Return all values by name.

        Returns
        -------
        float, list of float or dict of str to float
            The loss and metrics before the step, as :meth:`evaluate` returns them. If nothing in
            the batch counts (every step masked, every weight 0) there is no step, and they are NaN.
        """
        self._need_compiled("train_on_batch")
        samples = prepare_samples(self, Given(x, y, sample_weight, lengths, mask, resets))
        add_class_weight(self, samples, class_weight)
        self._need_trainable("train_on_batch")
        if isinstance(self._training_run, Run):  # a callback may
            self._training_run.check_thread(f"train model {self.name!r} on a batch")
        logs: dict[str, Any] = {}

        def look(found: Found) -> None:  # before anything changes
            logs.update(self._one_batch(samples, found))

        found = self._train_step(samples, look=look if self.metrics else None)
        self._forget_run()
        self._forget_other_runs()
        return as_asked(logs or self._one_batch(samples, found), return_dict)

    @names_memory
    def test_on_batch(
        self,
        x: Arrays,
        y: Arrays,
        sample_weight: Arrays | None = None,
        lengths: Arrays | None = None,
        return_dict: bool = False,
        mask: Arrays | None = None,
        resets: Arrays | None = None,
    ) -> Any:
        """Compute the loss and the metrics of one batch, without training.

        Parameters
        ----------
        x, y, sample_weight, lengths, mask, resets
            As in :meth:`fit`.
        return_dict : bool, default False
            Return all values by name.

        Returns
        -------
        float, list of float or dict of str to float
            As :meth:`evaluate` returns them; NaN if nothing in the batch counts.
        """
        self._need_compiled("test_on_batch")
        samples = prepare_samples(self, Given(x, y, sample_weight, lengths, mask, resets))
        with self._apart_from_training():
            found = self._test_step(samples)
        return as_asked(self._one_batch(samples, found), return_dict)

    def _one_batch(self, samples: Samples, found: Found) -> dict[str, Any]:
        """The losses and metrics of a single batch by name."""
        running = new_means(self)
        running.add(samples, found)
        return running.logs() or dict.fromkeys(self.metrics_names, math.nan)

    @names_memory
    def compute_gradients(
        self,
        x: Arrays,
        y: Arrays,
        sample_weight: Arrays | None = None,
        lengths: Arrays | None = None,
        mask: Arrays | None = None,
        resets: Arrays | None = None,
    ) -> float:
        """Compute the loss of one batch and its gradient, without a step.

        Parameters
        ----------
        x, y, sample_weight, lengths, mask, resets
            As in :meth:`fit`.

        Returns
        -------
        float
            The loss. Its gradient is in :attr:`flat_gradients`, and in the layers' gradients.
        """
        self._need_compiled("compute_gradients")
        samples = prepare_samples(self, Given(x, y, sample_weight, lengths, mask, resets))
        with self._apart_from_training():
            return self._gradients_of(samples).loss

    def _need_compiled(self, what: str) -> None:
        """Refuse a call, by its name, of a model without layers or without a loss."""
        self._need_layers(what)
        if self.loss is None:
            raise StateError(
                f"{what}: the model is not compiled: call compile(optimizer, loss) first"
            )


def as_asked(logs: dict[str, Any], return_dict: bool) -> Any:
    """All values by name; else the loss alone, or a list if there are metrics."""
    if return_dict:
        return logs
    values = list(logs.values())
    return values[0] if len(values) == 1 else values
