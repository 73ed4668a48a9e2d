"""The part of an estimator that runs its fitted network."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks, threads
from gatewise.errors import PredictionWarning
from gatewise.training.batches import Given
from gatewise.training.evaluation import predict_feed
from gatewise.training.reading import feed_of

from . import parameters
from .input_reading import InputReading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewise._typing import Array

    from .reading.sequences import Sequences
    from .targets.base import Examples

PREDICTED_AT_ONCE = 128  # samples; it changes the memory that is used, not a bit of the result


class Prediction(InputReading):
    """Runs the network on sequences."""

    def _read_to_predict(self, X: Any, groups: Any, time: Any = None) -> Sequences:
        """Sequences of X, with a warning if nothing can be predicted for some of them."""
        sequences = self._read_X(X, groups, time)
        empty = self._empty_rows(sequences)
        if len(empty):
            several = len(empty) > 1
            named = ", ".join(map(str, empty[:10])) + (", ..." if len(empty) > 10 else "")
            checks.warn(
                f"{'sequences' if several else 'sequence'} {named} of X"
                f" {'have' if several else 'has'} no step that counts ({len(empty)} of"
                f" {len(sequences)}): what is predicted for {'them' if several else 'it'} says"
                f" nothing about {'them' if several else 'it'}; leave such sequences out",
                PredictionWarning,
            )
        return sequences

    def _empty_rows(self, sequences: Sequences) -> Array:
        """Numbers of the sequences that get a prediction though no step of them counts."""
        counted = sequences.each_length
        # of an architecture that masks steps itself
        mask = self.model_._compute_mask(sequences.values)
        if mask is not None:
            counted = (mask & sequences.valid).sum(axis=1)
        # If steps have predictions, a sequence without steps has none.
        predicted = (sequences.all_lengths > 0) | (not self._target.predicts_steps)
        return np.flatnonzero((counted == 0) & predicted)

    def _scores(self, sequences: Sequences) -> Array:
        """Output of the model before its last activation, (n, outputs) or (n, steps, outputs)."""
        return self._run(sequences, -1)

    def _score_of(self, held_out: Examples) -> float:
        """The score of the network on examples that were held out."""
        return self._target.score(
            held_out.targets, self._scores(held_out.sequences), held_out.weights
        )

    def _run(self, sequences: Sequences, stop: int) -> Array:
        """Output of the layers before number `stop`."""
        feed = feed_of(
            self.model_,
            Given(sequences.values, lengths=sequences.lengths),
            batch_size=PREDICTED_AT_ONCE,
            need_y=False,
        )
        with self._using_threads(), self.model_.unchanged():
            return predict_feed(self.model_, feed, stop=stop)

    @contextlib.contextmanager
    def _using_threads(self) -> Iterator[None]:
        count = parameters.threads_of(self.n_jobs)
        with contextlib.nullcontext() if count is None else threads.num_threads(count):
            yield
