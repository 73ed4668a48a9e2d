"""A network with a loss, an optimizer and metrics: gradients, steps and snapshots."""

from __future__ import annotations

import contextlib
import math
import threading
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from gatewise import threads
from gatewise.errors import ConfigError, StateError
from gatewise.kernels import arrays
from gatewise.kernels._null_context import NULL_CONTEXT
from gatewise.memory import names_memory, reserve
from gatewise.training import losses, metrics, optimizers
from gatewise.training.run import Run
from gatewise.transaction import Transaction, draws_of, value_of

from .network import Network
from .outputs import check_output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gatewise._typing import Array, Shape
    from gatewise.layers.tape import Tape
    from gatewise.training.data import Samples
    from gatewise.training.losses import Loss
    from gatewise.training.metrics import Metric
    from gatewise.training.optimizers import Optimizer

    from .buffer import States

    Carried = dict[int, list[Array]]

# Bytes for each number of an array that a constraint takes while it works, on an array of float64;
# on the safe side.
CONSTRAINT_ROOM = 40


class CompiledNetwork(Network):
    """A network that knows how it is trained, and makes one step at a time on checked samples.

    Attributes
    ----------
    optimizer : Optimizer
        None before the model is compiled, and so is the loss.
    loss : Loss
    metrics : list of Metric
        Empty until the model is compiled and built.
    """

    optimizer: Optimizer
    loss: Loss
    metrics: list[Metric]
    _ends_training = False  # of pickles that were made before there was this
    _outgrown = False  # the layers have changed since the optimizer began to accumulate

    def __init__(self, name: str | None = None, seed: int | None = None) -> None:
        vars(self).update(optimizer=None, loss=None)
        self.metrics = []
        self._metric_choices: list[Any] = []
        self._output_checked = False
        # what is wrong between the loss and the output, as text
        self._misfit: str | None = None
        self._fused = False  # the loss starts from the scores of the last layer
        # a Run while fit runs, then its state, which a file holds
        self._training_run: Run | dict[str, Any] | None = None
        self._ends_training = False  # while callbacks are called at the end of a fit
        # of stateful layers, while a running fit evaluates or predicts
        self._training_states: States | None = None
        threads.renew_after_fork(self)
        super().__init__(name, seed)

    def _at_fork_reinit(self) -> None:
        """In a forked child no fit of another thread continues."""
        if (
            isinstance(self._training_run, Run)
            and self._training_run.thread != threading.get_ident()
        ):
            self._training_run = self._training_states = None

    @names_memory
    def build(self, input_shape: Shape) -> None:
        """Make the parameters; weights that layers already hold are kept.

        Parameters
        ----------
        input_shape : tuple
            (batch, ...), None for axes that may have any extent.

        Raises
        ------
        StateError
            There is no layer.
        ConfigError, ShapeError, SizeError
            The layers do not fit the shape. The model is as it was.
        """
        self._output_checked = False
        # a build that fails draws nothing: the next one draws the same weights
        with self._guard.writing, Transaction(draws_of(self.rng)):
            super().build(input_shape)

    def _layers_changed(self) -> None:
        super()._layers_changed()
        self._forget_run()
        if self.optimizer is not None and self.optimizer.slots():
            self._outgrown = True
        self._choose_loss_path()

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle holds.

        pickle reads the arrays later, one by one, so copies of this moment are added.

        Raises
        ------
        StateError
            The model is stateful, and another thread uses it.
        """
        if not self.built:
            return self._copied_state()
        with self._using_state(), self._guard:
            optimizer = None if self.optimizer is None else self.optimizer._snapshot()
            moment = self._flat_weights(), optimizer, list(self._states().values())
        return self._copied_state() | {"_moment": moment}

    def _copied_state(self) -> dict[str, Any]:
        return vars(self) | {
            "_training_run": None,
            "_ends_training": False,
            "_training_states": None,
            "_room": None,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        moment = state.pop("_moment", None)  # of a pickle, not of a copy
        super().__setstate__(state)
        threads.renew_after_fork(self)
        if self.optimizer is not None:
            self.optimizer._bind(self)
        if moment is not None:
            weights, optimizer, states = moment
            self._set_flat_weights(weights)
            self._set_states(dict(zip(self._states(), states)))
            if optimizer is not None:
                self.optimizer._restore(optimizer)

    # ---- what it is trained with

    def _choose_training(
        self, optimizer: Any, loss: Any, metrics: Sequence[Any] | None, fitting: bool = False
    ) -> None:
        """See :meth:`compile`. `fitting`: the loss is known to fit, as that of a trained model."""
        chosen_optimizer = optimizers.get(optimizer)
        if loss is None:
            raise ConfigError("compile needs a loss, for example loss='mse'")
        chosen_loss = losses.get(loss)
        if metrics is not None and not isinstance(metrics, list | tuple):
            raise ConfigError(f"metrics is {metrics!r}; expected a list, for example ['accuracy']")
        outputs = self.output_shape[-1] if self.built else None
        names = [
            "loss",
            *(_metric_of(choice, chosen_loss, outputs).name for choice in metrics or []),
        ]
        if len(set(names)) < len(names):
            raise ConfigError(
                f"metrics have the names {names[1:]}; give each its own, and none 'loss'"
            )
        if self._outgrown and chosen_optimizer is self.optimizer:
            self._refuse_outgrown("compile")
        if self.built and not fitting:
            self._misfit = check_output(self, chosen_loss)
        chosen_optimizer._bind(self)
        self._forget_run()
        self._outgrown = False
        self.optimizer, self.loss = chosen_optimizer, chosen_loss
        self._metric_choices = list(metrics or [])
        self.metrics = []
        self._output_checked = self.built or fitting
        if self.built:
            self._choose_loss_path()

    def _check_output(self) -> None:
        """Refuse, or warn of, a loss that cannot learn from the output.

        This is done once each time that the model is compiled or built.

        Raises
        ------
        ConfigError, ShapeError
        """
        if not self._output_checked:
            self._misfit = check_output(self, self.loss)
            self._output_checked = True

    def _choose_loss_path(self) -> None:
        """Decide whether the loss starts from scores, and make the metrics, for this output."""
        if self.loss is None:
            return
        last = self._layers[-1]
        self._fused = (
            self.loss._fuses is not None
            and getattr(last, "activation", None) == self.loss._fuses
            and hasattr(last, "_run_to_scores")
            and not getattr(self.loss, "from_logits", False)
        )
        outputs = self.output_shape[-1]
        self.metrics = [_metric_of(choice, self.loss, outputs) for choice in self._metric_choices]

    @property
    def metrics_names(self) -> list[str]:
        """Names of the values that evaluate returns, in order."""
        return ["loss", *(metric.name for metric in self.metrics)]

    def _need_trainable(self, what: str) -> None:
        """Refuse to train if all is frozen, or if the optimizer began with other layers."""
        if self._outgrown:
            self._refuse_outgrown(what)
        if self._trained().parts == []:
            raise StateError(
                f"{what}: all {self._flat_parameters.size:,} parameters are frozen, so that nothing"
                " is trained; set trainable = True of the model or of a layer"
            )

    def _refuse_outgrown(self, what: str) -> NoReturn:
        optimizer = type(self.optimizer).__name__
        raise StateError(
            f"{what}: the layers have changed since the model was trained, and what its {optimizer}"
            f" has accumulated does not fit; compile it with a new optimizer, {optimizer}(...)"
        )

    def _trainable_changes(self) -> None:
        if isinstance(self._training_run, Run):
            raise StateError(
                "trainable cannot change while fit runs: set it between two calls of fit, the"
                " second one with initial_epoch if epochs are to be counted on"
            )
        super()._trainable_changes()
        self._forget_run()

    @names_memory
    def set_weights(self, weights: Sequence[Array]) -> None:
        """Copy values into all parameters, in Keras's order.

        Parameters
        ----------
        weights : list of ndarray
            As :meth:`get_weights` returns them.

        Raises
        ------
        ShapeError, DTypeError, NonFiniteError
            An array does not fit. Nothing has changed.
        """
        with self._guard.writing:
            super().set_weights(weights)
            self._forget_run()

    def _forget_run(self) -> None:
        """Drop the state of the last fit: the model has changed, and no run continues it."""
        if isinstance(self._training_run, dict):
            self._training_run = None

    def _optimizer_state(self) -> tuple[int, dict[str, Array]]:
        """Return (steps taken, slots) of the optimizer for a file.

        Of one that began with other layers they are those of a new optimizer.
        """
        return (0, {}) if self._outgrown else (self.optimizer.iterations, self.optimizer.slots())

    # ---- snapshots and states

    def _snapshot(self, trained_only: bool = False) -> Transaction:
        """Return a :class:`Transaction` that restores weights, optimizer and states of layers.

        With `trained_only`, what the optimizer has accumulated for frozen layers is left out, since
        training does not change it.
        """
        parts = self._trained().parts if trained_only else None
        with self._guard:
            optimizer = None if self.optimizer is None else self.optimizer._snapshot(parts)
            before = self._flat_weights(), optimizer, self._states()
        return Transaction(lambda: self._restore(*before))

    def _restore(self, weights: Array, optimizer: Any, states: States) -> None:
        """Take the parts of a snapshot; `optimizer` is None if there was none."""
        with self._guard.writing:
            self._set_flat_weights(weights)
            if optimizer is not None:
                self.optimizer._restore(optimizer)
            self._set_states(states)

    def _apart_from_training(self) -> AbstractContextManager[Any]:
        """Context manager that keeps the states of training apart from what is done inside.

        While fit runs, stateful layers start without a state inside, and that of training is
        unchanged. Outside fit it does nothing: calls continue from the kept state and keep the one
        in which they end.

        Raises
        ------
        StateError
            fit runs in another thread.
        """
        run = self._training_run
        if not self._is_stateful or not (isinstance(run, Run) or self._ends_training):
            return NULL_CONTEXT
        if isinstance(run, Run) and not self._ends_training:
            run.check_thread(f"use the stateful model {self.name!r}")
        return self._without_training_states()

    @contextlib.contextmanager
    def _without_training_states(self) -> Iterator[None]:
        before, outer = self._states(), self._training_states
        self._training_states = before if outer is None else outer
        self.reset_state()
        try:
            yield
        finally:
            self._set_states(before)
            self._training_states = outer

    def _kept_states(self) -> States:
        """Return the state of each layer that training, or the next call, continues from."""
        return self._states() if self._training_states is None else self._training_states

    def _first_nonfinite(self) -> str | None:
        """Name what holds NaN or infinity: weights or what the optimizer has; None: neither."""
        weights = [
            self._flat_parameters,
            *(array for layer in self._layers for array in layer._kept_arrays()),
        ]
        for what, held in (
            ("the weights", weights),
            ("what the optimizer has accumulated", self.optimizer.slots().values()),
        ):
            if any(
                arrays.first_nonfinite(array.reshape(-1)) >= 0
                for array in held
                if array.dtype.kind == "f"
            ):
                return what
        return None

    # ---- one batch

    def _scores_or_outputs(self, samples: Samples, tape: Tape | None) -> tuple[Array, Array | None]:
        """Return what the loss starts from, and the outputs for the metrics; None if not needed."""
        if not self._fused:
            outputs = self._run_layers(samples, tape).values
            return outputs, outputs
        node = len(self._layers) - 1
        last, inputs = self._layers[node], self._run_layers(samples, tape, node)
        scores = last._run_to_scores(inputs, tape, node).values
        outputs = last._activate_rows(scores, np.empty_like(scores)) if self.metrics else None
        return scores, outputs

    def _loss_of(self, samples: Samples, start: Array, want_gradient: bool) -> tuple[float, Any]:
        """Return (value, gradient) of the loss over the positions that count: not over padding."""
        loss = self.loss
        if loss._per_sequence:
            return loss.value_and_gradient(
                samples.y,
                start,
                samples.weights,
                scores=self._fused,
                want_gradient=want_gradient,
                lengths=self._output_lengths(samples.lengths),
            )
        normalizer = None if samples.valid is None else float(samples.valid.sum())
        return loss.value_and_gradient(
            samples.y,
            start,
            samples.weights,
            normalizer,
            scores=self._fused,
            want_gradient=want_gradient,
        )

    def _gradients_of(self, samples: Samples) -> tuple[float, Array | None]:
        """Write the gradients of the loss into the flat buffer; return (loss, outputs)."""
        tape = self._tapes.borrow()
        try:
            found = self._pass_both_ways(samples, tape)
            self._settle(tape)
        finally:
            self._tapes.give_back(tape)
        return found

    def _pass_both_ways(self, samples: Samples, tape: Tape) -> tuple[float, Array | None]:
        """Run forward and backward; return (loss, outputs)."""
        with self._trains, self._using_state(), self._guard:
            trained = self._trained()
            for part in [slice(None)] if trained.parts is None else trained.parts:
                self.flat_gradients[part].fill(0)
            start, outputs = self._scores_or_outputs(samples, tape)
            value, gradient = self._loss_of(samples, start, True)
            self._run_layers_backward(gradient, tape, trained, self._fused)
            return value + self._penalty(), outputs

    def _train_step(
        self,
        samples: Samples,
        carried: Carried | None = None,
        look: Callable[[float, Array | None], object] | None = None,
    ) -> tuple[float, Array | None]:
        """Make one step of the optimizer on checked samples; return (loss, outputs).

        `carried`, a dict of the numbers of recurrent layers to states, is for truncated
        back-propagation through time: what sequences that continue start from, and afterwards what
        they ended in. If nothing in the samples counts there is no step, not even one of
        accumulated gradients or of a running mean; states do continue.

        A step that fails, for lack of memory for example, leaves the weights, the optimizer and the
        states of the layers as they were. `look`, if given, is called with (loss, outputs) before
        anything changes.
        """
        tape = self._tapes.borrow(carried)
        try:
            with self._using_state(), self._states_restored():
                return self._step(samples, tape, look)
        finally:
            self._tapes.give_back(tape)

    def _states_restored(self) -> AbstractContextManager[Any]:
        """Context manager: if the block raises, the states of stateful layers are as before."""
        if not self._is_stateful:
            return NULL_CONTEXT
        return Transaction(value_of(self._states, self._set_states))

    def _step(
        self,
        samples: Samples,
        tape: Tape,
        look: Callable[[float, Array | None], object] | None,
    ) -> tuple[float, Array | None]:
        """Make the step of :meth:`_train_step` with its tape."""
        if not samples.counts:
            with self._trains, self._using_state(), self._guard:
                start, outputs = self._scores_or_outputs(samples, tape)
                loss = self._loss_of(samples, start, False)[0] + self._penalty()
            if look is not None:
                look(loss, outputs)
            return loss, outputs
        loss, outputs = self._pass_both_ways(samples, tape)
        if look is not None:
            look(loss, outputs)
        trained = self._trained()
        with self._guard.writing:
            if trained.constrained:
                reserve(CONSTRAINT_ROOM * trained.constrained)
            self.optimizer.step(
                self._flat_parameters,
                self.flat_gradients,
                trained.pieces,
                trained.names,
                *([] if trained.parts is None else [trained.parts]),
            )
            tape.settle()
            for layer in self._layers:
                layer._constrain()
            self._weights_changed()
        return loss, outputs

    def _breaks_on(self, samples: Samples) -> str | None:
        """Name what is not finite for these samples now: "outputs", their "loss", or None."""
        with self._apart_from_training(), self._using_state(), self._guard:
            start, _ = self._scores_or_outputs(samples, None)
            value, _ = self._loss_of(samples, start, False)
        if math.isfinite(value):
            return None
        return "loss" if np.isfinite(start).all() else "outputs"

    def _test_step(self, samples: Samples) -> tuple[float, Array | None]:
        """Return (loss, outputs) of checked samples, without training."""
        with self._using_state(), self._guard:
            start, outputs = self._scores_or_outputs(samples, None)
            value, _ = self._loss_of(samples, start, False)
            return value + self._penalty(), outputs

    def _penalty(self) -> float:
        """Return the sum of the penalties of all regularizers."""
        return float(sum([layer.penalty() for layer in self._layers]))

    def _end_training(self) -> None:
        """Let the optimizer change the weights after the last step, to their mean for example."""
        parts = self._trained().parts
        with self._guard.writing:
            self.optimizer.finalize(self._flat_parameters, *([] if parts is None else [parts]))
            self._weights_changed()


def _metric_of(choice: Any, loss: Loss, outputs: int | None) -> Metric:
    """Return the metric of a name or configuration, which must fit the loss."""
    metric = metrics.get(choice, loss, outputs)
    if loss._per_sequence and not getattr(metric, "_per_sequence", False):
        raise ConfigError(
            f"metric {metric.name} needs a target for each output; targets of loss {loss.name} are"
            " labels of a whole row: leave the metric out, or take 'label_error_rate'"
        )
    if not loss._per_sequence and getattr(metric, "_per_sequence", False):
        raise ConfigError(
            f"metric {metric.name} reads rows of labels, which loss {loss.name} has none of; it"
            " goes with loss 'ctc'"
        )
    return metric
