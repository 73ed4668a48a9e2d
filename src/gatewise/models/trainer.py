"""What people call to train and use a model: compile, fit, evaluate, predict, and the calls of one batch."""

import html
import math

from gatewise import checks, threads
from gatewise.described import arguments_of
from gatewise.errors import StateError
from gatewise.kernels._null_context import NULL_CONTEXT
from gatewise.memory import names_memory
from gatewise.training import loop
from gatewise.training.batches import Given
from gatewise.training.callbacks import Callback, CallbackList, check_verbose
from gatewise.training.data import add_class_weight, prepare_samples
from gatewise.training.evaluation import evaluate_feed, metrics_of, predict_feed
from gatewise.training.feeds import RowFeed
from gatewise.training.means import RunningMeans
from gatewise.training.reading import feed_of
from gatewise.training.run import Run
from gatewise.training.setup import FitSetup

from . import restoring, saving
from .compiled import CompiledNetwork
from .summary import model_html, model_text, summary_lines


class Trainer(CompiledNetwork):
    """A network that people compile, fit, evaluate, predict with and save."""

    _settable = frozenset({"stop_training", "stop_evaluating", "stop_predicting", "history"})

    def __init__(self, name=None, seed=None):
        self.history = None
        self.stop_training = self.stop_evaluating = self.stop_predicting = False
        self._fits = threads.OneAtATime(
            "two threads are in fit of one model at once; let one wait for the other, or give each "
            "thread a model of its own: copy.deepcopy(model)"
        )
        super().__init__(name, seed)

    # ---- training

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
        checks.refuse_unknown_arguments(
            others, "compile", "compile", lambda: arguments_of(self.compile)
        )
        self._choose_training(optimizer, loss, metrics)

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
        checks.refuse_unknown_arguments(others, "fit", "fit", lambda: arguments_of(self.fit))
        self._need_compiled("fit")
        loop.refuse_second_fit(self)
        setup = FitSetup(
            given=Given(x, y, sample_weight, lengths, mask, resets),
            batch_size=batch_size,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_split=validation_split,
            validation_data=validation_data,
            shuffle=shuffle,
            class_weight=class_weight,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_batch_size=validation_batch_size,
            validation_freq=validation_freq,
            bucketing=bucketing,
            tbptt_steps=tbptt_steps,
            resume_from=resume_from,
        )
        with self._alone(), self._fits:
            return loop.fit(self, setup)

    def _resume(self, path, run):
        """Go on with a saved run: weights, optimizer, random draws and `run` itself, begun, are as the file has them."""
        restoring.resume_model(self, path, run)

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
        checks.refuse_unknown_arguments(
            others, "evaluate and predict", "evaluate", lambda: arguments_of(self.evaluate)
        )
        self._need_compiled("evaluate")
        check_verbose(verbose)
        feed = feed_of(
            self,
            Given(x, y, sample_weight, lengths, mask, resets),
            steps=steps,
            batch_size=checks.optional_number(batch_size, "batch_size"),
        )
        with self._alone(), self._unchanged_over(feed, callbacks):
            return _as_asked(
                evaluate_feed(self, feed, verbose, self._watchers(callbacks, feed, verbose)),
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
        checks.refuse_unknown_arguments(
            others, "evaluate and predict", "predict", lambda: arguments_of(self.predict)
        )
        self._need_layers("predict")
        check_verbose(verbose)
        feed = feed_of(
            self,
            Given(x, lengths=lengths, mask=mask, resets=resets),
            steps=steps,
            need_y=False,
            batch_size=checks.optional_number(batch_size, "batch_size"),
        )
        with self._alone(), self._unchanged_over(feed, callbacks):
            return predict_feed(
                self, feed, verbose, self._watchers(callbacks, feed, verbose) if callbacks else None
            )

    def _unchanged_over(self, feed, callbacks):
        """Context manager: all batches see the same weights, unless the user's code runs between them and may wait for a change."""
        return self.unchanged() if isinstance(feed, RowFeed) and not callbacks else NULL_CONTEXT

    def _watchers(self, callbacks, feed, verbose):
        watchers = CallbackList([callbacks] if isinstance(callbacks, Callback) else callbacks or [])
        watchers.set_model(self)
        # else they may be those of the fit, which has its own
        if not isinstance(self._training_run, Run):
            watchers.set_params({"epochs": 1, "steps": feed.steps, "verbose": verbose})
        return watchers

    # ---- one batch

    @names_memory
    def __call__(self, x, lengths=None, training=False, mask=None, resets=None):
        """Outputs for one batch; ``training=True`` applies dropout."""
        samples = prepare_samples(self, Given(x, None, None, lengths, mask, resets), False)
        with self._apart_from_training():
            return self._run(samples, training=checks.flag(training, "training"))

    def predict_on_batch(self, x, lengths=None, mask=None, resets=None):
        """Outputs for one batch."""
        return self(x, lengths, mask=mask, resets=resets)

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
        samples = prepare_samples(self, Given(x, y, sample_weight, lengths, mask, resets))
        add_class_weight(samples, class_weight, self.loss, self.output_shape[-1])
        self._need_trainable("train_on_batch")
        if isinstance(self._training_run, Run):  # a callback may
            self._training_run.check_thread(f"train model {self.name!r} on a batch")
        logs = {}
        looks = (
            {"look": lambda loss, outputs: logs.update(self._one_batch(samples, loss, outputs))}
            if self.metrics
            else {}
        )
        loss, outputs = self._train_step(samples, **looks)
        self._forget_run()
        return _as_asked(logs or self._one_batch(samples, loss, outputs), return_dict)

    @names_memory
    def test_on_batch(
        self, x, y, sample_weight=None, lengths=None, return_dict=False, mask=None, resets=None
    ):
        """Loss and metrics of one batch, as evaluate returns them; NaN if nothing in it counts."""
        self._need_compiled("test_on_batch")
        samples = prepare_samples(self, Given(x, y, sample_weight, lengths, mask, resets))
        with self._apart_from_training():
            loss, outputs = self._test_step(samples)
        return _as_asked(self._one_batch(samples, loss, outputs), return_dict)

    def _one_batch(self, samples, loss, outputs):
        running = RunningMeans(metrics_of(self))
        running.add(samples, loss, outputs)
        return running.logs() or dict.fromkeys(self.metrics_names, math.nan)

    @names_memory
    def compute_gradients(self, x, y, sample_weight=None, lengths=None, mask=None, resets=None):
        """The loss of one batch; its gradient is left in the layers' gradients and in flat_gradients."""
        self._need_compiled("compute_gradients")
        samples = prepare_samples(self, Given(x, y, sample_weight, lengths, mask, resets))
        with self._apart_from_training():
            return self._gradients_of(samples)[0]

    def _need_compiled(self, what):
        self._need_layers(what)
        if self.loss is None:
            raise StateError(
                f"{what}: the model is not compiled: call compile(optimizer, loss) first"
            )

    # ---- shown and saved

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
        checks.refuse_unknown_arguments(
            others, "save", "save_weights", lambda: arguments_of(self.save_weights)
        )
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
        checks.refuse_unknown_arguments(
            others, "load_model", "load_weights", lambda: arguments_of(self.load_weights)
        )
        self._need_built("load_weights")
        restoring.load_weights(self, path)

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
        checks.refuse_unknown_arguments(others, "save", "save", lambda: arguments_of(self.save))
        self._need_built("save")
        saving.save_model(self, path)


def _as_asked(logs, return_dict):
    if return_dict:
        return logs
    values = list(logs.values())
    return values[0] if len(values) == 1 else values
