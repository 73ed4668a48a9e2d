"""Sequential: layers in order that compile, fit, evaluate, predict and save."""

import contextlib
import html
import math
import threading

import numpy as np

from gatewise import checks, threads
from gatewise.described import arguments_of
from gatewise.errors import ConfigError, StateError
from gatewise.kernels import arrays
from gatewise.kernels._guard import NOTHING
from gatewise.layers.base import Call
from gatewise.memory import names_memory, reserve, size_error
from gatewise.training import feeds, loop, losses, metrics, optimizers
from gatewise.training.callbacks import Callback, CallbackList, check_verbose
from gatewise.training.data import add_class_weight, prepare_samples
from gatewise.training.means import RunningMeans
from gatewise.training.run import Run

from . import saving
from .network import Network
from .outputs import check_output
from .summary import model_html, model_text, summary_lines

# Bytes for each number of an array that a constraint takes while it works, on an array of float64;
# on the safe side.
CONSTRAINT_ROOM = 40


class Sequential(Network):
    """Layers in order: compile, fit, evaluate, predict, save.

    Parameters
    ----------
    layers : list of Layer, optional
        More can be added with :meth:`add`.
    name : str, optional
    seed : int, optional
        Every random draw follows from it: initial weights, shuffling, dropout. None: from
        :func:`gatewise.utils.set_random_seed`, or the system.

    Attributes
    ----------
    flat_parameters, flat_gradients : ndarray (n,)
        One buffer each, 64-byte aligned; every layer's arrays are views into them.
    rng : numpy.random.Generator
    """

    _settable = frozenset({"stop_training", "stop_evaluating", "stop_predicting", "history"})
    ends_training = False  # of pickles that were made before there was this
    _outgrown = False  # the layers have changed since the optimizer began to accumulate

    def __init__(self, layers=None, name=None, seed=None):
        self.optimizer = self.loss = None
        self.metrics = []
        self._metric_choices = []
        self._output_checked = False
        self.misfit = None  # what is wrong between the loss and the output, as text
        self._fused = False  # the loss starts from the scores of the last layer
        self.history = None
        self.training_run = None  # a Run while training goes on, then what a file keeps of it
        self.stop_training = self.stop_evaluating = self.stop_predicting = False
        self._fits = threads.OneAtATime(
            "two threads are in fit of one model at once; let one wait for the other, or give each "
            "thread a model of its own: copy.deepcopy(model)"
        )
        self.ends_training = False  # whether callbacks are told that a fit is over
        # of stateful layers, while a running fit evaluates or predicts
        self._training_states = None
        threads.renew_after_fork(self)
        super().__init__(layers, name, seed)

    def _at_fork_reinit(self):
        """In a forked child no fit of another thread goes on."""
        if isinstance(self.training_run, Run) and self.training_run.thread != threading.get_ident():
            self.training_run = self._training_states = None

    def pop(self):
        """Remove the last layer. If it has parameters and the model has been trained, it needs a new optimizer: compile it."""
        before, outgrown = self._flat_parameters, self._outgrown
        super().pop()
        if before is not None and before.size == self._flat_parameters.size:
            self._outgrown = outgrown

    @names_memory
    def build(self, input_shape):
        self._output_checked = False
        drawn = self.rng.bit_generator.state
        with self._guard.writing:
            try:
                super().build(input_shape)
            except BaseException:  # the next build draws the same weights
                self.rng.bit_generator.state = drawn
                raise

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
        with self.alone(), self._guard:
            optimizer = None if self.optimizer is None else self.optimizer.snapshot()
            moment = self.flat_weights(), optimizer, list(self._states().values())
        return self._copied_state() | {"_moment": moment}

    def _copied_state(self):
        return vars(self) | {
            "training_run": None,
            "ends_training": False,
            "_training_states": None,
            "_room": None,
        }

    def __setstate__(self, state):
        state = dict(state)
        moment = state.pop("_moment", None)  # of a pickle, not of a copy
        super().__setstate__(state)
        threads.renew_after_fork(self)
        if self.optimizer is not None:
            self.optimizer.bind(self)
        if moment is not None:
            weights, optimizer, states = moment
            self.set_flat_weights(weights)
            self._set_states(dict(zip(self._states(), states)))
            if optimizer is not None:
                self.optimizer.go_back(optimizer)

    # ---- compiling

    def compile(self, optimizer="rmsprop", loss=None, metrics=None, **others):
        """Choose how to train.

        Parameters
        ----------
        optimizer : str or Optimizer
        loss : str or Loss
        metrics : list of str or Metric, optional

        Raises
        ------
        ConfigError
            One of them is not known; or the loss can only be a constant or NaN behind the last
            layer. Of other losses that do not fit the output there is a warning. Both come with the
            first data if the model is not built.
        """
        checks.neutral(others, "compile", "compile", lambda: arguments_of(self.compile))
        self.choose_training(optimizer, loss, metrics)

    def choose_training(self, optimizer, loss, metrics, fitting=False):
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
            self.misfit = check_output(self, chosen_loss)
        chosen_optimizer.bind(self)
        self._forget_run()
        self._outgrown = False
        self.optimizer, self.loss = chosen_optimizer, chosen_loss
        self._metric_choices = list(metrics or [])
        self.metrics = []
        self._output_checked = self.built or fitting
        if self.built:
            self._choose_loss_path()

    def check_output(self):
        """Refuse, or warn of, a loss that cannot learn from the output; once for each time that the model is compiled or built.

        Raises
        ------
        ConfigError, ShapeError
        """
        if not self._output_checked:
            self.misfit = check_output(self, self.loss)
            self._output_checked = True

    def _choose_loss_path(self):
        if self.loss is None:
            return
        last = self._layers[-1]
        self._fused = (
            self.loss.fuses is not None
            and getattr(last, "activation", None) == self.loss.fuses
            and hasattr(last, "scores")
            and not getattr(self.loss, "from_logits", False)
        )
        outputs = self.output_shape[-1]
        self.metrics = [_metric_of(choice, self.loss, outputs) for choice in self._metric_choices]

    @property
    def metrics_names(self):
        """Names of what evaluate returns, in order."""
        return ["loss", *(metric.name for metric in self.metrics)]

    # ---- training

    def snapshot(self, trained_only=False):
        """Weights, optimizer and states of layers as they are: what :meth:`go_back` returns to.

        With `trained_only`, what the optimizer keeps for frozen layers is left out: it stays as it
        is until then.
        """
        parts = self.trained().parts if trained_only else None
        with self._guard:
            return self.flat_weights(), self.optimizer.snapshot(parts), self._states()

    def go_back(self, snapshot):
        """Weights, optimizer and states as they were."""
        with self._guard.writing:
            self.set_flat_weights(snapshot[0])
            self.optimizer.go_back(snapshot[1])
            self._set_states(snapshot[2])

    def apart_from_training(self):
        """Context manager: while fit runs, what stateful layers do inside starts from no state and leaves that of training alone.

        Outside fit nothing is changed: calls go on from the kept state and leave the one they end
        in.

        Raises
        ------
        StateError
            fit runs in another thread.
        """
        if not ((isinstance(self.training_run, Run) or self.ends_training) and self.is_stateful()):
            return NOTHING
        if not self.ends_training:
            self.training_run.check_thread(f"use the stateful model {self.name!r}")
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

    def kept_states(self):
        """dict of layer to the state that training, or the next call, goes on from: what files hold."""
        return self._states() if self._training_states is None else self._training_states

    def first_nonfinite(self):
        """What holds NaN or infinity, as text: the weights or what the optimizer keeps; None: neither."""
        weights = [
            self._flat_parameters,
            *(array for layer in self._layers for array in layer.kept_arrays()),
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

    @names_memory
    def set_weights(self, weights):
        with self._guard.writing:
            super().set_weights(weights)
            self._forget_run()

    def trainable_changes(self):
        if isinstance(self.training_run, Run):
            raise StateError(
                "trainable cannot change while fit runs: set it between two calls of fit, the"
                " second one with initial_epoch if epochs are to be counted on"
            )
        super().trainable_changes()
        self._forget_run()

    def need_trainable(self, what):
        """Refuse to train if every parameter is frozen, or the optimizer began with other layers."""
        if self._outgrown:
            self._refuse_outgrown(what)
        if self.trained().parts == []:
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

    def optimizer_state(self):
        """(steps taken, dict of name to array): what files hold; of an optimizer that began with other layers, a new one's."""
        return (0, {}) if self._outgrown else (self.optimizer.iterations, self.optimizer.slots())

    def _forget_run(self):
        """The model is no longer where its last fit left it, and no file goes on from there."""
        if isinstance(self.training_run, dict):
            self.training_run = None

    def end_training(self):
        """What an optimizer does to the weights once, after the last step."""
        parts = self.trained().parts
        with self._guard.writing:
            self.optimizer.finalize(self._flat_parameters, *([] if parts is None else [parts]))
            self.weights_changed()

    def _scores_or_outputs(self, samples, training, carried=None):
        """What the loss starts from, and the outputs that the metrics see (None where nobody looks)."""
        if not self._fused:
            outputs = self._run_layers(samples, training, carried=carried)
            return outputs, outputs
        last = self._layers[-1]
        scores = last.scores(self._run_layers(samples, training, -1, carried), Call(training))
        outputs = last._activate_rows(scores, np.empty_like(scores)) if self.metrics else None
        return scores, outputs

    def _loss_of(self, samples, start, want_gradient):
        """(value, gradient) of the loss, over the positions that count: padded steps do not."""
        loss = self.loss
        if loss.per_sequence:
            return loss.value_and_gradient(
                samples.y,
                start,
                samples.weights,
                scores=self._fused,
                want_gradient=want_gradient,
                lengths=self.output_lengths(samples.lengths),
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

    @names_memory
    def compute_gradients(self, x, y, sample_weight=None, lengths=None, mask=None, resets=None):
        """The loss of one batch; its gradient is left in the layers' gradients and in flat_gradients."""
        self._need_compiled("compute_gradients")
        samples = prepare_samples(self, x, y, sample_weight, lengths, resets, mask)
        with self.apart_from_training():
            return self.gradients_of(samples)[0]

    def gradients_of(self, samples, carried=None, settle=True):
        """Gradients of the loss for checked samples, into the flat buffer; (loss, outputs).

        With `settle`, what the pass found for moving averages is taken over.
        """
        with self._trains, self.alone():
            with self._guard:
                found = self._gradients_of(samples, carried)
            if settle:
                self.settle()
        return found

    def _gradients_of(self, samples, carried):
        trained = self.trained()
        for part in [slice(None)] if trained.parts is None else trained.parts:
            self.flat_gradients[part].fill(0)
        start, outputs = self._scores_or_outputs(samples, True, carried)
        value, gradient = self._loss_of(samples, start, True)
        lowest = trained.lowest
        for position in range(len(self._layers) - 1, lowest - 1, -1):
            layer = self._layers[position]
            try:
                if self._fused and position == len(self._layers) - 1:
                    gradient = layer.backward_from_scores(gradient, position > lowest)
                else:
                    gradient = layer._backward(gradient, position > lowest)
                layer.add_penalty_gradients()
            except MemoryError as error:
                raise size_error(error, f"layer {layer.name!r} in training") from error
            if trained.parts is not None:
                layer.clear_frozen_gradients()
        return value + self._penalty(), outputs

    def train_step(self, samples, carried=None, look=None):
        """One step of the optimizer on checked samples; (loss, outputs).

        `carried`, a dict of recurrent layers to states, says where sequences that go on have got
        to, and is brought up to date: truncated back-propagation through time. If nothing in the
        samples counts there is no step, not even one of accumulated gradients or of a running mean;
        states go on.

        A step that fails, for lack of memory for example, leaves the weights, the optimizer and the
        states of the layers as they were. `look`, if given, is called with (loss, outputs) before
        anything changes.
        """
        with self.alone():
            states = self._states()
            try:
                return self._train_step(samples, carried, look)
            except BaseException:
                self._set_states(states)
                raise

    def _train_step(self, samples, carried, look):
        if not samples.counts:
            with self._trains, self.alone(), self._guard:
                start, outputs = self._scores_or_outputs(samples, True, carried)
                loss = self._loss_of(samples, start, False)[0] + self._penalty()
            if look is not None:
                look(loss, outputs)
            return loss, outputs
        loss, outputs = self.gradients_of(samples, carried, settle=False)
        if look is not None:
            look(loss, outputs)
        trained = self.trained()
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
            for layer in self._layers:
                layer.settle()
                layer.constrain()
            self.weights_changed()
        return loss, outputs

    def breaks_on(self, samples):
        """What is not finite for checked samples with the weights as they are: "outputs", the "loss" of them, or None."""
        with self.apart_from_training(), self.alone(), self._guard:
            start, _ = self._scores_or_outputs(samples, False)
            value, _ = self._loss_of(samples, start, False)
        if math.isfinite(value):
            return None
        return "loss" if np.isfinite(start).all() else "outputs"

    def test_step(self, samples):
        """(loss, outputs) of checked samples, without training."""
        with self.alone(), self._guard:
            start, outputs = self._scores_or_outputs(samples, False)
            value, _ = self._loss_of(samples, start, False)
            return value + self._penalty(), outputs

    def _penalty(self):
        return float(sum([layer.penalty() for layer in self._layers]))

    # ---- what people call

    @names_memory
    def __call__(self, x, lengths=None, training=False, mask=None, resets=None):
        """Outputs for one batch; ``training=True`` applies dropout."""
        samples = prepare_samples(self, x, lengths=lengths, resets=resets, mask=mask, need_y=False)
        with self.apart_from_training():
            return self.run(samples, training=checks.flag(training, "training"))

    @names_memory
    def fit(
        self,
        x,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
        class_weight=None,
        sample_weight=None,
        lengths=None,
        resets=None,
        initial_epoch=0,
        steps_per_epoch=None,
        validation_steps=None,
        validation_batch_size=None,
        validation_freq=1,
        bucketing="auto",
        tbptt_steps=None,
        resume_from=None,
        mask=None,
        **others,
    ):
        """Train.

        Ctrl-C ends training after the batch under way, with a warning; a second one does not wait.

        Parameters
        ----------
        x : array_like (samples, ...), list of array_like (steps, ...), or batches
            Numbers; converted to the model's dtype. (samples, steps) stands for (samples, steps,
            1). Sequences of different lengths are padded, and their lengths known. A memory-mapped
            array (``numpy.load(path, mmap_mode="r")``) stays in its file, however large: a batch is
            read when its turn comes. Batches: an iterator or generator, which goes on from epoch to
            epoch; anything that can be gone over again; or a sequence with ``len()`` and
            ``[number]``. Each is (x, y), followed by sample_weight, lengths, mask and resets as far
            as they are needed, with None for what there is not; or a dict with these names.
        y : array_like
            Targets, as the loss expects them. None where x makes batches.
        batch_size : int, optional
            Number of rows in a batch. None: 32; if a layer is stateful, all rows, and a number that
            cuts them is refused: the second batch would go on from the state of other rows. Batches
            that are meant to go on from one another are given as batches.
        epochs : int
        verbose : {"auto", 0, 1, 2}
            See :class:`gatewise.callbacks.ProgressBar`.
        callbacks : list of Callback, optional
        validation_split : float in [0, 1)
            Part of the samples, from the end, to validate on instead of training.
        validation_data : tuple, dict or batches, optional
            (x, y), followed by sample_weight, lengths, mask and resets as far as they are needed,
            or a dict with these names; or what makes batches, as x may.
        shuffle : bool
            Draw the order of the samples, or of a sequence of batches, anew each epoch. If a layer
            is stateful the order is kept, since each row goes on from its own state.
        class_weight : dict of class number to float, optional
        sample_weight : array_like (samples,) or (samples, steps), or either with a last axis of outputs, optional
            A weight for each output needs a loss that is a mean over outputs: those of numbers, and
            binary cross-entropy. y may be NaN where the weight is 0: the loss and the metrics leave
            it out.
        lengths : array_like (samples,), int, optional
            Steps in each row; padded steps count in nothing.
        resets : array_like (samples, steps), bool, optional
            Where true, recurrent state is cleared before that step.
        initial_epoch : int
            Number of the first epoch.
        steps_per_epoch, validation_steps : int, optional
            Batches to take of an x, or validation_data, that makes them. None: all.
        validation_batch_size : int, optional
            None: batch_size; if a layer is stateful, all rows.
        validation_freq : int or list of int
            Validate after every so many epochs; or after those of a list, which count from 1.
        bucketing : {"auto", True, False}
            Put rows of about the same length into one batch, as long as its longest row. "auto":
            where rows have lengths and are shuffled, and no layer is stateful.
        tbptt_steps : int, optional
            Truncated back-propagation through time: each batch is cut into parts of so many steps,
            with a step of the optimizer for each, and recurrent layers carry their state from part
            to part. It begins at zero for every batch, but that of a stateful layer, which goes on
            from batch to batch (Williams and Peng 1990).
        resume_from : str or path-like, optional
            A file that :meth:`save` or a :class:`~gatewise.callbacks.ModelCheckpoint` wrote while a
            run like this one went on, with the same data and arguments: weights, optimizer, random
            draws, callbacks and history are taken from it, and training goes on as if it had never
            stopped, to the bit.
        mask : array_like (samples, steps), bool, optional
            False where a step is as if it were not there: it counts in nothing, and recurrent state
            stays as it is. A :class:`~gatewise.layers.Masking` or ``Embedding(mask_zero=True)`` in
            front makes one of x.

        Returns
        -------
        History

        Raises
        ------
        CheckpointError
            resume_from is damaged, or holds no run. The model is as it was, and so it is where a
            ConfigError says that resume_from holds another model or another run than this one.
        ConfigError, ShapeError, DTypeError, NonFiniteError, SizeError
        """
        checks.neutral(others, "fit", "fit", lambda: arguments_of(self.fit))
        self._need_compiled("fit")
        loop.refuse_second_fit(self)
        with self.alone(), self._fits:
            return loop.fit(
                self,
                x,
                y,
                batch_size=batch_size,
                epochs=epochs,
                verbose=verbose,
                callbacks=callbacks,
                validation_split=validation_split,
                validation_data=validation_data,
                shuffle=shuffle,
                class_weight=class_weight,
                sample_weight=sample_weight,
                lengths=lengths,
                resets=resets,
                initial_epoch=initial_epoch,
                steps_per_epoch=steps_per_epoch,
                validation_steps=validation_steps,
                validation_batch_size=validation_batch_size,
                validation_freq=validation_freq,
                bucketing=bucketing,
                tbptt_steps=tbptt_steps,
                resume_from=resume_from,
                mask=mask,
            )

    def resume(self, path, run):
        """Go on with a saved run: weights, optimizer, random draws and `run` itself, begun, are as the file has them."""
        saving.resume_model(self, path, run)

    @names_memory
    def evaluate(
        self,
        x,
        y=None,
        batch_size=None,
        verbose="auto",
        sample_weight=None,
        lengths=None,
        resets=None,
        return_dict=False,
        steps=None,
        callbacks=None,
        mask=None,
        **others,
    ):
        """The loss, or ``[loss, *metrics]`` where there are metrics, or all by name with ``return_dict``.

        ``batch_size=None`` is 32, and all rows if a layer is stateful: see :meth:`predict`, also
        for the state.

        x may make batches, of which `steps` are taken, as in :meth:`fit`; a callback that sets
        ``model.stop_evaluating`` to True ends it after the batch. ``verbose`` "auto" or 1 shows a
        bar with the time left, in a terminal or notebook, on work of more than a second.
        """
        checks.neutral(
            others, "evaluate and predict", "evaluate", lambda: arguments_of(self.evaluate)
        )
        self._need_compiled("evaluate")
        check_verbose(verbose)
        feed = feeds.feed_of(
            self,
            x,
            y,
            sample_weight,
            lengths,
            resets,
            mask,
            steps=steps,
            batch_size=checks.optional_number(batch_size, "batch_size"),
        )
        with self.alone(), self._unchanged_over(feed, callbacks):
            return _as_asked(
                loop.evaluate_feed(self, feed, verbose, self._watchers(callbacks, feed, verbose)),
                return_dict,
            )

    @names_memory
    def predict(
        self,
        x,
        batch_size=None,
        verbose="auto",
        lengths=None,
        resets=None,
        steps=None,
        callbacks=None,
        mask=None,
        **others,
    ):
        """Outputs for all samples, ndarray. A sample's output does not depend on the others or on batch_size.

        ``batch_size=None`` is 32, and all rows if a layer is stateful. Such a model goes on from
        the state that the last call of fit, evaluate or predict left, row by row, and leaves the
        one in which it ends; :meth:`reset_state` clears it. A batch size that cuts the rows is
        refused. While fit runs, calls by callbacks start from no state instead and leave that of
        training as it was.

        Outputs of steps that do not count, past a row's length or masked, are zero.

        Other threads may change the weights meanwhile: all batches are of the old ones, or all of
        the new ones. If x makes batches or there are callbacks, that holds for each batch.

        x may make batches, of which `steps` are taken: of x, or as in :meth:`fit`; a callback that
        sets ``model.stop_predicting`` to True ends it after the batch. ``verbose`` "auto" or 1
        shows a bar with the time left, in a terminal or notebook, on work of more than a second.
        """
        checks.neutral(
            others, "evaluate and predict", "predict", lambda: arguments_of(self.predict)
        )
        self._need_layers("predict")
        check_verbose(verbose)
        feed = feeds.feed_of(
            self,
            x,
            None,
            None,
            lengths,
            resets,
            mask,
            steps=steps,
            need_y=False,
            batch_size=checks.optional_number(batch_size, "batch_size"),
        )
        with self.alone(), self._unchanged_over(feed, callbacks):
            return loop.predict_feed(
                self, feed, verbose, self._watchers(callbacks, feed, verbose) if callbacks else None
            )

    def _unchanged_over(self, feed, callbacks):
        """Context manager: all batches see the same weights, unless the user's code runs between them and may wait for a change."""
        return self.unchanged() if isinstance(feed, feeds.RowFeed) and not callbacks else NOTHING

    def _watchers(self, callbacks, feed, verbose):
        watchers = CallbackList([callbacks] if isinstance(callbacks, Callback) else callbacks or [])
        watchers.set_model(self)
        # else they may be those of the fit, which has its own
        if not isinstance(self.training_run, Run):
            watchers.set_params({"epochs": 1, "steps": feed.steps, "verbose": verbose})
        return watchers

    @names_memory
    def train_on_batch(
        self,
        x,
        y,
        sample_weight=None,
        class_weight=None,
        lengths=None,
        return_dict=False,
        mask=None,
        resets=None,
    ):
        """One optimizer step on one batch; its loss and metrics, as evaluate returns them.

        If nothing in the batch counts (every step masked, every weight 0) there is no step, and
        they are NaN.
        """
        self._need_compiled("train_on_batch")
        samples = prepare_samples(self, x, y, sample_weight, lengths, resets, mask)
        add_class_weight(samples, class_weight, self.loss, self.output_shape[-1])
        self.need_trainable("train_on_batch")
        if isinstance(self.training_run, Run):  # a callback may
            self.training_run.check_thread(f"train model {self.name!r} on a batch")
        logs = {}
        looks = (
            {"look": lambda loss, outputs: logs.update(self._one_batch(samples, loss, outputs))}
            if self.metrics
            else {}
        )
        loss, outputs = self.train_step(samples, **looks)
        self._forget_run()
        return _as_asked(logs or self._one_batch(samples, loss, outputs), return_dict)

    @names_memory
    def test_on_batch(
        self, x, y, sample_weight=None, lengths=None, return_dict=False, mask=None, resets=None
    ):
        """Loss and metrics of one batch, as evaluate returns them; NaN if nothing in it counts."""
        self._need_compiled("test_on_batch")
        samples = prepare_samples(self, x, y, sample_weight, lengths, resets, mask)
        with self.apart_from_training():
            loss, outputs = self.test_step(samples)
        return _as_asked(self._one_batch(samples, loss, outputs), return_dict)

    def predict_on_batch(self, x, lengths=None, mask=None, resets=None):
        """Outputs for one batch."""
        return self(x, lengths, mask=mask, resets=resets)

    def _one_batch(self, samples, loss, outputs):
        running = RunningMeans(loop.metrics_of(self))
        running.add(samples, loss, outputs)
        return running.logs() or dict.fromkeys(self.metrics_names, math.nan)

    def _description(self):
        return model_text(self)

    def _repr_html_(self):
        """The table of :meth:`summary`, as notebooks show it."""
        try:
            return model_html(self)
        except Exception:  # whatever a layer of a user does
            return f"<pre>{html.escape(repr(self))}</pre>"

    def summary(self, print_fn=print):
        """Print the layers, their output shapes and their numbers of parameters, and how many of them are trained.

        Before the model is built, the parameters of layers are counted as far as the shapes are
        known.
        """
        for line in summary_lines(self):
            print_fn(line)

    @names_memory
    def save_weights(self, path, **others):
        """Write the weights alone to one file, atomically: what :meth:`load_weights` reads."""
        checks.neutral(others, "save", "save_weights", lambda: arguments_of(self.save_weights))
        self._need_built("save_weights")
        saving.save_weights(self, path)

    @names_memory
    def load_weights(self, path, **others):
        """Take the weights of a file that :meth:`save` or :meth:`save_weights` wrote.

        Raises
        ------
        CheckpointError
            The file is damaged, or its weights have other names or shapes. No weight has changed.
        """
        checks.neutral(
            others, "load_model", "load_weights", lambda: arguments_of(self.load_weights)
        )
        self._need_built("load_weights")
        saving.load_weights(self, path)

    @names_memory
    def save(self, path, **others):
        """Write architecture, weights, optimizer and, while :meth:`fit` runs, where it is to one file, atomically.

        The format is gatewise's own whatever the name's ending is: docs/checkpoint-format.md. An
        ending that stands for another program's format, such as ``.keras``, ``.h5`` or ``.pt``,
        gives a warning; ``.safetensors`` is right. The state of stateful layers is in the file: a
        loaded model goes on from it, unless its first call has another number of rows.

        Raises
        ------
        CheckpointError
            The file could not be written; an older file of that name is still whole.
        NonFiniteError
            Weights or what the optimizer keeps are NaN or infinite. No file was touched.
        """
        checks.neutral(others, "save", "save", lambda: arguments_of(self.save))
        self._need_built("save")
        saving.save_model(self, path)

    def _need_compiled(self, what):
        self._need_layers(what)
        if self.loss is None:
            raise StateError(
                f"{what}: the model is not compiled: call compile(optimizer, loss) first"
            )


def _metric_of(choice, loss, outputs):
    metric = metrics.get(choice, loss, outputs)
    if loss.per_sequence and not getattr(metric, "per_sequence", False):
        raise ConfigError(
            f"metric {metric.name} needs a target for each output; targets of loss {loss.name} are"
            " labels of a whole row: leave the metric out, or take 'label_error_rate'"
        )
    if not loss.per_sequence and getattr(metric, "per_sequence", False):
        raise ConfigError(
            f"metric {metric.name} reads rows of labels, which loss {loss.name} has none of; it"
            " goes with loss 'ctc'"
        )
    return metric


def _as_asked(logs, return_dict):
    if return_dict:
        return logs
    values = list(logs.values())
    return values[0] if len(values) == 1 else values
