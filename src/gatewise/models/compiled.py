"""A network with a loss, an optimizer and metrics: gradients, steps and what may be undone."""

import contextlib
import math
import threading

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

# Bytes for each number of an array that a constraint takes while it works, on an array of float64;
# on the safe side.
CONSTRAINT_ROOM = 40


class CompiledNetwork(Network):
    """A network that knows how it is trained, and does one step at a time on samples that were checked."""

    _ends_training = False  # of pickles that were made before there was this
    _outgrown = False  # the layers have changed since the optimizer began to accumulate

    def __init__(self, name=None, seed=None):
        self.optimizer = self.loss = None
        self.metrics = []
        self._metric_choices = []
        self._output_checked = False
        self._misfit = None  # what is wrong between the loss and the output, as text
        self._fused = False  # the loss starts from the scores of the last layer
        self._training_run = None  # a Run while training goes on, then what a file keeps of it
        self._ends_training = False  # whether callbacks are told that a fit is over
        # of stateful layers, while a running fit evaluates or predicts
        self._training_states = None
        threads.renew_after_fork(self)
        super().__init__(name, seed)

    def _at_fork_reinit(self):
        """In a forked child no fit of another thread goes on."""
        if (
            isinstance(self._training_run, Run)
            and self._training_run.thread != threading.get_ident()
        ):
            self._training_run = self._training_states = None

    @names_memory
    def build(self, input_shape):
        self._output_checked = False
        # a build that fails draws nothing: the next one draws the same weights
        with self._guard.writing, Transaction(draws_of(self.rng)):
            super().build(input_shape)

    def _layers_changed(self):
        super()._layers_changed()
        self._forget_run()
        if self.optimizer is not None and self.optimizer.slots():
            self._outgrown = True
        self._choose_loss_path()

    def __getstate__(self):
        """What a pickle holds. It reads the arrays later, one by one, so those of this moment are added.

        Raises
        ------
        StateError
            The model is stateful, and another thread uses it.
        """
        if not self.built:
            return self._copied_state()
        with self._alone(), self._guard:
            optimizer = None if self.optimizer is None else self.optimizer._snapshot()
            moment = self._flat_weights(), optimizer, list(self._states().values())
        return self._copied_state() | {"_moment": moment}

    def _copied_state(self):
        return vars(self) | {
            "_training_run": None,
            "_ends_training": False,
            "_training_states": None,
            "_room": None,
        }

    def __setstate__(self, state):
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

    def _choose_training(self, optimizer, loss, metrics, fitting=False):
        """See :meth:`compile`. With `fitting` the loss fits the output: what a file holds has been trained before."""
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

    def _check_output(self):
        """Refuse, or warn of, a loss that cannot learn from the output; once for each time that the model is compiled or built.

        Raises
        ------
        ConfigError, ShapeError
        """
        if not self._output_checked:
            self._misfit = check_output(self, self.loss)
            self._output_checked = True

    def _choose_loss_path(self):
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
    def metrics_names(self):
        """Names of what evaluate returns, in order."""
        return ["loss", *(metric.name for metric in self.metrics)]

    def _need_trainable(self, what):
        """Refuse to train if every parameter is frozen, or the optimizer began with other layers."""
        if self._outgrown:
            self._refuse_outgrown(what)
        if self._trained().parts == []:
            raise StateError(
                f"{what}: all {self._flat_parameters.size:,} parameters are frozen, so that nothing"
                " is trained; set trainable = True of the model or of a layer"
            )

    def _refuse_outgrown(self, what):
        optimizer = type(self.optimizer).__name__
        raise StateError(
            f"{what}: the layers have changed since the model was trained, and what its {optimizer}"
            f" has accumulated does not fit; compile it with a new optimizer, {optimizer}(...)"
        )

    def _trainable_changes(self):
        if isinstance(self._training_run, Run):
            raise StateError(
                "trainable cannot change while fit runs: set it between two calls of fit, the"
                " second one with initial_epoch if epochs are to be counted on"
            )
        super()._trainable_changes()
        self._forget_run()

    @names_memory
    def set_weights(self, weights):
        with self._guard.writing:
            super().set_weights(weights)
            self._forget_run()

    def _forget_run(self):
        """The model is no longer where its last fit left it, and no file goes on from there."""
        if isinstance(self._training_run, dict):
            self._training_run = None

    def _optimizer_state(self):
        """(steps taken, dict of name to array): what files hold; of an optimizer that began with other layers, a new one's."""
        return (0, {}) if self._outgrown else (self.optimizer.iterations, self.optimizer.slots())

    # ---- what may be undone

    def _snapshot(self, trained_only=False):
        """Weights, optimizer and states of layers as they are, to be restored: a :class:`Transaction`.

        With `trained_only`, what the optimizer keeps for frozen layers is left out: it stays as it
        is until then.
        """
        parts = self._trained().parts if trained_only else None
        with self._guard:
            optimizer = None if self.optimizer is None else self.optimizer._snapshot(parts)
            before = self._flat_weights(), optimizer, self._states()
        return Transaction(lambda: self._restore(*before))

    def _restore(self, weights, optimizer, states):
        with self._guard.writing:
            self._set_flat_weights(weights)
            if optimizer is not None:
                self.optimizer._restore(optimizer)
            self._set_states(states)

    def _apart_from_training(self):
        """Context manager: while fit runs, what stateful layers do inside starts from no state and leaves that of training alone.

        Outside fit nothing is changed: calls go on from the kept state and leave the one they end
        in.

        Raises
        ------
        StateError
            fit runs in another thread.
        """
        if not ((isinstance(self._training_run, Run) or self._ends_training) and self._is_stateful):
            return NULL_CONTEXT
        if not self._ends_training:
            self._training_run.check_thread(f"use the stateful model {self.name!r}")
        return self._without_training_states()

    @contextlib.contextmanager
    def _without_training_states(self):
        before, outer = self._states(), self._training_states
        self._training_states = before if outer is None else outer
        self.reset_state()
        try:
            yield
        finally:
            self._set_states(before)
            self._training_states = outer

    def _kept_states(self):
        """dict of layer to the state that training, or the next call, goes on from: what files hold."""
        return self._states() if self._training_states is None else self._training_states

    def _first_nonfinite(self):
        """What holds NaN or infinity, as text: the weights or what the optimizer keeps; None: neither."""
        weights = [
            self._flat_parameters,
            *(array for layer in self._layers for array in layer._kept_arrays()),
        ]
        for what, held in (
            ("the weights", weights),
            ("what the optimizer keeps", self.optimizer.slots().values()),
        ):
            if any(
                arrays.first_nonfinite(array.reshape(-1)) >= 0
                for array in held
                if array.dtype.kind == "f"
            ):
                return what
        return None

    # ---- one batch

    def _scores_or_outputs(self, samples, tape):
        """What the loss starts from, and the outputs that the metrics see (None where nobody looks)."""
        if not self._fused:
            outputs = self._run_layers(samples, tape).values
            return outputs, outputs
        node = len(self._layers) - 1
        last, inputs = self._layers[node], self._run_layers(samples, tape, node)
        scores = last._run_to_scores(inputs, tape, node).values
        outputs = last._activate_rows(scores, np.empty_like(scores)) if self.metrics else None
        return scores, outputs

    def _loss_of(self, samples, start, want_gradient):
        """(value, gradient) of the loss, over the positions that count: padded steps do not."""
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

    def _gradients_of(self, samples):
        """Gradients of the loss for checked samples, into the flat buffer; (loss, outputs)."""
        tape = self._tapes.borrow()
        try:
            found = self._pass_both_ways(samples, tape)
            self._settle(tape)
        finally:
            self._tapes.give_back(tape)
        return found

    def _pass_both_ways(self, samples, tape):
        with self._trains, self._alone(), self._guard:
            trained = self._trained()
            for part in [slice(None)] if trained.parts is None else trained.parts:
                self.flat_gradients[part].fill(0)
            start, outputs = self._scores_or_outputs(samples, tape)
            value, gradient = self._loss_of(samples, start, True)
            self._run_layers_backward(gradient, tape, trained, self._fused)
            return value + self._penalty(), outputs

    def _train_step(self, samples, carried=None, look=None):
        """One step of the optimizer on checked samples; (loss, outputs).

        `carried`, a dict of numbers of recurrent layers to states, says where sequences that go on have got
        to, and is brought up to date: truncated back-propagation through time. If nothing in the
        samples counts there is no step, not even one of accumulated gradients or of a running mean;
        states go on.

        A step that fails, for lack of memory for example, leaves the weights, the optimizer and the
        states of the layers as they were. `look`, if given, is called with (loss, outputs) before
        anything changes.
        """
        tape = self._tapes.borrow(carried)
        try:
            with self._alone(), self._states_restored():
                return self._step(samples, tape, look)
        finally:
            self._tapes.give_back(tape)

    def _states_restored(self):
        """Context manager: if the block raises, the states of stateful layers are as before."""
        if not self._is_stateful:
            return NULL_CONTEXT
        return Transaction(value_of(self._states, self._set_states))

    def _step(self, samples, tape, look):
        if not samples.counts:
            with self._trains, self._alone(), self._guard:
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

    def _breaks_on(self, samples):
        """What is not finite for checked samples with the weights as they are: "outputs", the "loss" of them, or None."""
        with self._apart_from_training(), self._alone(), self._guard:
            start, _ = self._scores_or_outputs(samples, None)
            value, _ = self._loss_of(samples, start, False)
        if math.isfinite(value):
            return None
        return "loss" if np.isfinite(start).all() else "outputs"

    def _test_step(self, samples):
        """(loss, outputs) of checked samples, without training."""
        with self._alone(), self._guard:
            start, outputs = self._scores_or_outputs(samples, None)
            value, _ = self._loss_of(samples, start, False)
            return value + self._penalty(), outputs

    def _penalty(self):
        return float(sum([layer.penalty() for layer in self._layers]))

    def _end_training(self):
        """What an optimizer does to the weights once, after the last step."""
        parts = self._trained().parts
        with self._guard.writing:
            self.optimizer.finalize(self._flat_parameters, *([] if parts is None else [parts]))
            self._weights_changed()


def _metric_of(choice, loss, outputs):
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
