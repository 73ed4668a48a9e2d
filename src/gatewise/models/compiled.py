"""A network with a loss, an optimizer and metrics: gradients, steps and snapshots."""

from __future__ import annotations

import contextlib
import math
import threading
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from gatewise import threads
from gatewise.errors import StateError
from gatewise.kernels import arrays
from gatewise.kernels._null_context import NULL_CONTEXT
from gatewise.memory import names_memory, reserve
from gatewise.training import optimizers
from gatewise.training.means import Found
from gatewise.training.places import refuse_unordered
from gatewise.training.run import Run
from gatewise.transaction import Transaction, draws_of, value_of

from .kept_slots import slots_of
from .network import Network
from .objectives import Objective, choose_objectives, refuse_equal_names
from .outputs import check_outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from gatewise._typing import Array, Shape
    from gatewise.layers import Layer
    from gatewise.layers.tape import Tape
    from gatewise.training.data import Samples
    from gatewise.training.metrics import Metric
    from gatewise.training.optimizers import Optimizer

    from .buffer import States

    Carried = dict[Hashable, list[Array]]

# Bytes for each number of an array that a constraint takes while it works, on an array of float64;
# on the safe side.
CONSTRAINT_ROOM = 40


class CompiledNetwork(Network):
    """A network that knows how it is trained, and makes one step at a time on checked samples.

    Attributes
    ----------
    optimizer : Optimizer
        None before the model is compiled, and so is the loss.
    loss : Loss, or list of Loss or None
        That of the output; a list if there are several outputs.
    metrics : list of Metric
        Of all outputs. Empty until the model is compiled and built.
    """

    optimizer: Optimizer
    loss: Any
    metrics: list[Metric]
    _ends_training = False  # of pickles that were made before there was this
    # arguments of compile that were lists, though the outputs have no order in lists
    _unordered: Sequence[str] = ()
    _outgrown = False  # the layers have changed since the optimizer began to accumulate

    def __init__(self, name: str | None = None, seed: int | None = None) -> None:
        vars(self).update(optimizer=None, loss=None)
        self.metrics = []
        self._objectives: list[Objective] = []  # one for each output, once compiled
        self._output_checked = False
        # what is wrong between the loss and the output, as text
        self._misfit: str | None = None
        # of each output, whether its loss starts from the scores of its last layer
        self._fused: list[bool] = []
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
        return super()._copied_state() | {
            "_training_run": None,
            "_ends_training": False,
            "_training_states": None,
            "_room": None,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        moment = state.pop("_moment", None)  # of a pickle, not of a copy
        is_of_view = self._is_of_view(state)
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
        if is_of_view and self.optimizer is not None and not self._outgrown:
            # it had accumulated for all of the host's buffer
            self.optimizer._slots = slots_of(self.optimizer._slots, state["_array_pieces"])

    # ---- what it is trained with

    def _choose_training(
        self,
        optimizer: Any,
        loss: Any,
        metrics: Any,
        loss_weights: Any = None,
        weighted_metrics: Any = None,
        fitting: bool = False,
    ) -> None:
        """See :meth:`compile`. `fitting`: the loss is known to fit, as that of a trained model."""
        chosen_optimizer = optimizers.get(optimizer)
        objectives = choose_objectives(
            self._output_names, loss, loss_weights, metrics, weighted_metrics
        )
        refuse_equal_names(objectives, self._columns())
        if self._outgrown and chosen_optimizer is self.optimizer:
            self._refuse_outgrown("compile")
        given = {"loss": loss, "loss_weights": loss_weights}
        given |= {"metrics": metrics, "weighted_metrics": weighted_metrics}
        lists = [name for name, value in given.items() if isinstance(value, list | tuple)]
        # Keras's guide compiles so, and once more with dicts before it fits: refused on use
        self._unordered = lists if "output" in self._unsorted_names and not fitting else []
        if self.built and not fitting and not self._unordered:
            self._misfit = check_outputs(self, objectives)
        chosen_optimizer._bind(self)
        self._forget_run()
        self._outgrown = False
        self.optimizer, self._objectives, self.metrics = chosen_optimizer, objectives, []
        chosen = [objective.loss for objective in objectives]
        self.loss = chosen if len(chosen) > 1 else chosen[0]
        self._output_checked = (self.built or fitting) and not self._unordered
        self._trained_parts = None
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
            for what in self._unordered:
                refuse_unordered(self, what, "output")
            self._misfit = check_outputs(self, self._objectives)
            self._output_checked = True

    def _columns(self) -> list[int | None]:
        """Return the last axis of each output; None before the model is built."""
        if not self.built:
            return [None] * len(self._output_names)
        return [shape[-1] for shape in self._shapes_of_outputs()]

    def _choose_loss_path(self) -> None:
        """Decide whether losses start from scores, and make the metrics, for these outputs."""
        if self.loss is None:
            return
        for j, (objective, columns) in enumerate(zip(self._objectives, self._columns())):
            objective.settle(self._score_layer(j), columns or 0)
        self._fused = [objective.fused for objective in self._objectives]
        self.metrics = [metric for each in self._objectives for metric in each.metrics]

    @property
    def metrics_names(self) -> list[str]:
        """Names of the values that evaluate returns, in order."""
        trained = [each for each in self._objectives if each.loss is not None]
        names = [f"{each.name}_loss" for each in trained] if len(trained) > 1 else []
        return ["loss", *names, *(name for each in trained for name in each.log_names)]

    def _without_loss(self) -> dict[Layer, set[str]]:
        """Return the names of arrays, by layer, that no loss depends on, nor a regularizer reads.

        As in Keras, where they have no gradient, optimizers leave them alone.
        """
        if self.loss is None:
            return {}
        names, _ = self._behind(j for j, each in enumerate(self._objectives) if each.loss)
        return {
            layer: {spec.name for spec in layer._specs if spec.regularizer is None}
            - names.get(layer, set())
            for layer in self._layers
        }

    def _need_trainable(self, what: str) -> None:
        """Refuse to train if all is frozen, or if the optimizer began with other layers."""
        if self._outgrown:
            self._refuse_outgrown(what)
        if self._trained().parts == []:
            raise StateError(
                f"{what}: all {self._flat_parameters.size:,} parameters are frozen, or no loss"
                " depends on them, so that nothing is trained; set trainable = True of the model or"
                " of a layer"
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
            self._forget_other_runs()

    def _forget_run(self) -> None:
        """Drop the state of the last fit: the model has changed, and no run continues it."""
        if isinstance(self._training_run, dict):
            self._training_run = None

    def _forget_other_runs(self) -> None:
        """Drop the last fits of other models with these layers, whose weights now change."""
        for model in self._others_over_buffer():
            model._forget_run()

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
        if not (isinstance(run, Run) or self._ends_training) or not self._is_stateful:
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

    def _starts_and_outputs(
        self, samples: Samples, tape: Tape | None
    ) -> tuple[list[Array], list[Array | None]]:
        """Return what each loss starts from, and outputs for the metrics; None if not needed."""
        batches = self._run_layers(samples.inputs, tape, self._fused)
        starts = [batch.values for batch in batches]
        outputs: list[Array | None] = []
        for j, (objective, start) in enumerate(zip(self._objectives, starts)):
            if not objective.fused:
                outputs.append(start)
            elif objective.metrics:
                layer: Any = self._score_layer(j)
                outputs.append(layer._activate_rows(start, np.empty_like(start)))
            else:
                outputs.append(None)
        return starts, outputs

    def _losses_of(
        self, samples: Samples, starts: list[Array], want_gradients: bool
    ) -> tuple[float, list[float], list[Array | None]]:
        """Return the weighted sum of the losses, each of them, and their gradients."""
        total, values, gradients = 0.0, [], []
        for objective, targets, start in zip(self._objectives, samples.targets, starts):
            if targets is None:
                values.append(0.0)
                gradients.append(None)
                continue
            value, gradient = objective.value_and_gradient(targets, start, want_gradients)
            total += value if objective.weight == 1.0 else objective.weight * value
            values.append(value)
            gradients.append(gradient)
        return total, values, gradients

    def _gradients_of(self, samples: Samples) -> Found:
        """Write the gradients of the loss into the flat buffer."""
        tape = self._tapes.borrow()
        try:
            found = self._pass_both_ways(samples, tape)
            self._settle(tape)
        finally:
            self._tapes.give_back(tape)
        return found

    def _pass_both_ways(self, samples: Samples, tape: Tape) -> Found:
        """Run forward and backward."""
        with self._trains, self._using_state(), self._guard:
            trained = self._trained()
            for part in [slice(None)] if trained.cleared is None else trained.cleared:
                self.flat_gradients[part].fill(0)
            starts, outputs = self._starts_and_outputs(samples, tape)
            total, values, gradients = self._losses_of(samples, starts, True)
            self._run_layers_backward(gradients, tape, trained, self._fused)
            penalty = self._penalty()
            return Found(total + penalty, values, outputs, penalty)

    def _pass_forward(self, samples: Samples, tape: Tape | None) -> Found:
        """Run forward only."""
        starts, outputs = self._starts_and_outputs(samples, tape)
        total, values, _ = self._losses_of(samples, starts, False)
        penalty = self._penalty()
        return Found(total + penalty, values, outputs, penalty)

    def _train_step(
        self,
        samples: Samples,
        carried: Carried | None = None,
        look: Callable[[Found], object] | None = None,
    ) -> Found:
        """Make one step of the optimizer on checked samples; return what it found.

        `carried`, a dict of the nodes of recurrent layers to states, is for truncated
        back-propagation through time: what sequences that continue start from, and afterwards what
        they ended in. If nothing in the samples counts there is no step, not even one of
        accumulated gradients or of a running mean; states do continue.

        A step that fails, for lack of memory for example, leaves the weights, the optimizer and the
        states of the layers as they were. `look`, if given, is called with what it found
        before anything changes.
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
        look: Callable[[Found], object] | None,
    ) -> Found:
        """Make the step of :meth:`_train_step` with its tape."""
        if not samples.counts:
            with self._trains, self._using_state(), self._guard:
                found = self._pass_forward(samples, tape)
            if look is not None:
                look(found)
            return found
        found = self._pass_both_ways(samples, tape)
        if look is not None:
            look(found)
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
            if trained.constrained:
                for layer in self._layers:
                    layer._constrain(trained.left.get(layer, ()))
            self._weights_changed()
        return found

    def _breaks_on(self, samples: Samples) -> str | None:
        """Name what is not finite for these samples now: "outputs", their "loss", or None."""
        with self._apart_from_training(), self._using_state(), self._guard:
            starts, _ = self._starts_and_outputs(samples, None)
            total, _, _ = self._losses_of(samples, starts, False)
        if math.isfinite(total):
            return None
        return "loss" if all(np.isfinite(start).all() for start in starts) else "outputs"

    def _test_step(self, samples: Samples) -> Found:
        """Return the losses and outputs of checked samples, without training."""
        with self._using_state(), self._guard:
            return self._pass_forward(samples, None)

    def _penalty(self) -> float:
        """Return the sum of the penalties of all regularizers."""
        return float(sum([layer.penalty() for layer in self._layers]))

    def _end_training(self) -> None:
        """Let the optimizer change the weights after the last step, to their mean for example."""
        parts = self._trained().parts
        with self._guard.writing:
            self.optimizer.finalize(self._flat_parameters, *([] if parts is None else [parts]))
            self._weights_changed()
