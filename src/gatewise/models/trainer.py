"""What users call to train and use a model: compile, fit, evaluate, predict and save."""

from __future__ import annotations

import html
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Literal

from gatewise import checks, threads
from gatewise.described import arguments_of
from gatewise.kernels._null_context import NULL_CONTEXT
from gatewise.memory import names_memory
from gatewise.training import loop
from gatewise.training.batches import Given
from gatewise.training.callbacks import Callback, CallbackList, check_verbose
from gatewise.training.evaluation import evaluate_feed, predict_feed
from gatewise.training.feeds import RowFeed
from gatewise.training.reading import feed_of
from gatewise.training.run import Run
from gatewise.training.setup import FitSetup

from . import restoring, saving
from .batch_calls import BatchCalls, as_asked
from .c_export import ExportsC
from .stream import MakesStreams
from .summary import model_html, model_text, summary_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from gatewise._typing import Arrays, PathLike
    from gatewise.training.callbacks import History
    from gatewise.training.feeds import Feed
    from gatewise.training.losses import Loss
    from gatewise.training.metrics import Metric
    from gatewise.training.optimizers import Optimizer

    Verbose = Literal["auto", 0, 1, 2] | bool
    Logs = dict[str, Any]


class Trainer(ExportsC, MakesStreams, BatchCalls):
    """A network that users compile, fit, evaluate, predict with and save.

    Attributes
    ----------
    history : History
        Of the last call of :meth:`fit`; None before it.
    stop_training, stop_evaluating, stop_predicting : bool
        A callback sets one of them to True, to end what is under way after the batch.
    """

    history: History
    stop_training: bool
    stop_evaluating: bool
    stop_predicting: bool
    _settable = frozenset({"stop_training", "stop_evaluating", "stop_predicting", "history"})

    def __init__(self, name: str | None = None, seed: int | None = None) -> None:
        vars(self).update(history=None)
        self.stop_training = self.stop_evaluating = self.stop_predicting = False
        self._fits = threads.OneAtATime(
            "two threads are in fit of one model at once; let one wait for the other, or give each "
            "thread a model of its own: copy.deepcopy(model)"
        )
        super().__init__(name, seed)

    # ---- training

    def compile(
        self,
        optimizer: str | dict[str, Any] | type[Optimizer] | Optimizer = "rmsprop",
        loss: str | dict[str, Any] | type[Loss] | Loss | Sequence[Any] | None = None,
        metrics: Sequence[str | dict[str, Any] | type[Metric] | Metric | Sequence[Any] | None]
        | dict[str, Any]
        | None = None,
        loss_weights: float | Sequence[float | None] | dict[str, float] | None = None,
        weighted_metrics: Sequence[
            str | dict[str, Any] | type[Metric] | Metric | Sequence[Any] | None
        ]
        | dict[str, Any]
        | None = None,
        **others: Any,
    ) -> None:
        """Choose the optimizer, the losses and the metrics that the model is trained with.

        What is minimized is the sum of the losses of all outputs, each times its weight, and of the
        penalties of regularizers.

        Parameters
        ----------
        optimizer : str or Optimizer, default "rmsprop"
            A name, or an object of :mod:`gatewise.optimizers`. A name gives a new one with its
            default arguments.
        loss : str or Loss, or list or dict of them
            A name, or an object of :mod:`gatewise.losses`. For several outputs: one that is that of
            each, a list with one for each, or a dict by the name of the output. An output whose
            loss is None, or missing in the dict, is not trained.
        metrics : list of str or Metric, or list or dict of such lists, optional
            What is computed beside the loss, see :mod:`gatewise.metrics`. For several outputs: a
            list with an entry for each (a metric, a list of metrics or None), or a dict by the name
            of the output. Their names in logs begin with that of the output: ``tag_accuracy``.
        loss_weights : list or dict of float, optional
            A factor for the loss of each output, by position or by name. None, or missing in the
            dict: 1.
        weighted_metrics : list of str or Metric, or list or dict of such lists, optional
            Metrics that ``sample_weight`` and ``class_weight`` weigh; those of `metrics` count what
            is not padding, whatever its weight is.
        **others
            Arguments of Keras that change nothing here are accepted if they have their defaults.

        Raises
        ------
        ConfigError
            One of them is not known, or not for the outputs that the model has; or a loss can only
            be a constant or NaN after the last layer. Other losses that do not fit the output give
            a warning. If the model is not built, both come with the first data.

        Examples
        --------
        >>> from gatewise import Sequential, layers, optimizers
        >>> model = Sequential([layers.GRU(4, input_shape=(None, 2)), layers.Dense(1)])
        >>> model.compile(optimizers.Adam(0.01), "mse", metrics=["mae"])
        >>> model.metrics_names
        ['loss', 'mae']
        """
        checks.refuse_unknown_arguments(
            others, "compile", "compile", lambda: arguments_of(self.compile)
        )
        self._choose_training(optimizer, loss, metrics, loss_weights, weighted_metrics)

    @names_memory
    def fit(
        self,
        x: Any,
        y: Arrays | None = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Verbose = "auto",
        callbacks: Iterable[Callback] | Callback | None = None,
        validation_split: float | None = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Arrays | None = None,
        lengths: Arrays | None = None,
        resets: Arrays | None = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Iterable[int] = 1,
        bucketing: bool | Literal["auto"] = "auto",
        tbptt_steps: int | None = None,
        resume_from: PathLike | None = None,
        mask: Arrays | None = None,
        **others: Any,
    ) -> History:
        """Train the model for a number of epochs.

        Ctrl-C ends training after the current batch, with a warning; a second one does not wait.

        For a model with several inputs or outputs, ``x``, ``lengths``, ``mask`` and ``resets`` are
        each a list with an entry for each input, or a dict by the names of inputs, and ``y`` and
        ``sample_weight`` the same of outputs; None, or a missing name, is what there is not. In
        batches and ``validation_data`` they have the same forms.

        Parameters
        ----------
        x : array_like (samples, ...), list of array_like (steps, ...), or batches
            Numbers, converted to the model's dtype. (samples, steps) means (samples, steps, 1).
            Sequences of different lengths are padded, and their lengths are known. A memory-mapped
            array (``numpy.load(path, mmap_mode="r")``) stays in its file, however large: a batch is
            read when its turn comes. Batches: an iterator or generator, which continues from epoch
            to epoch; anything that can be iterated over again; or a sequence with ``len()`` and
            ``[number]``. Each batch is (x, y), followed by sample_weight, lengths, mask and resets
            as far as they are needed, with None for those that are missing; or a dict with these
            names.
        y : array_like, optional
            Targets, as the loss expects them. None if x makes batches. An output without a loss
            needs none.
        batch_size : int, optional
            Number of rows in a batch. None: 32; if a layer is stateful, all rows, and a smaller
            number is refused, since the second batch would continue from the state of other rows.
            Batches that continue from one another are given as batches.
        epochs : int, default 1
            Number of the epoch, counted from 1, after which training ends.
        verbose : {"auto", 0, 1, 2}, default "auto"
            What is shown, see :class:`gatewise.callbacks.ProgressBar`.
        callbacks : list of Callback, optional
            Objects that are called at the moments of training, see :mod:`gatewise.callbacks`.
        validation_split : float in [0, 1), default 0
            Part of the samples, from the end, to validate on instead of training.
        validation_data : tuple, dict or batches, optional
            (x, y), followed by sample_weight, lengths, mask and resets as far as they are needed,
            or a dict with these names; or what makes batches, as x may.
        shuffle : bool, default True
            Draw a new order of the samples, or of a sequence of batches, in each epoch. If a layer
            is stateful the order is kept, since each row continues from its own state.
        class_weight : dict of int to float, optional
            A weight for each class number; classes that are missing have weight 1. For a model with
            one output; for several give sample_weight.
        sample_weight : array_like, optional
            Of shape (samples,) or (samples, steps), or either with a last axis of outputs. A weight
            for each output needs a loss that is a mean over outputs: those of numbers, and binary
            cross-entropy. y may be NaN where the weight is 0: the loss and the metrics leave it
            out. One array for several outputs is that of each.
        lengths : array_like of int, shape (samples,), optional
            Steps in each row; padded steps count in nothing. One array for several inputs is that
            of the only one with steps; an output counts the steps of the input whose time axis it
            has.
        resets : array_like of bool, shape (samples, steps), optional
            True: recurrent state is cleared before this step.
        initial_epoch : int, default 0
            Number of the first epoch, counted from 0.
        steps_per_epoch, validation_steps : int, optional
            Number of batches to take of an x, or of validation_data, that makes them. None: all.
        validation_batch_size : int, optional
            None: batch_size; if a layer is stateful, all rows.
        validation_freq : int or list of int, default 1
            Validate after every n epochs; or after those of a list, counted from 1.
        bucketing : {"auto", True, False}, default "auto"
            Put rows of about the same length into one batch, which is as long as its longest row;
            inputs of different numbers of steps are each as long as their own longest row. "auto":
            if rows have lengths and are shuffled, and no layer is stateful.
        tbptt_steps : int, optional
            Truncated back-propagation through time (Williams and Peng 1990): each batch is cut into
            parts of this many steps, with a step of the optimizer for each, and recurrent layers
            carry their state from part to part. The state is zero at the start of each batch; that
            of a stateful layer continues from batch to batch.
        resume_from : str or path-like, optional
            A file that :meth:`save` or a :class:`~gatewise.callbacks.ModelCheckpoint` wrote during
            a run like this one, with the same data and arguments. Weights, optimizer, random draws,
            callbacks and history are read from it, and training continues as if it had never
            stopped, to the bit.
        mask : array_like of bool, shape (samples, steps), optional
            False: the step is treated as if it did not exist. It counts in nothing, and recurrent
            state stays as it is. A :class:`~gatewise.layers.Masking` or
            ``Embedding(mask_zero=True)`` as the first layer makes a mask from x.
        **others
            Arguments of Keras that change nothing here are accepted if they have their defaults.

        Returns
        -------
        History
            Its ``history`` is a dict of the loss and each metric to a list with a value an epoch.
            Several outputs have a loss each, such as ``tag_loss``, and ``loss`` is their weighted
            sum.

        Raises
        ------
        CheckpointError
            resume_from is damaged, or holds no run. The model is as it was, also if a ConfigError
            reports that resume_from holds another model or another run than this one.
        ConfigError, ShapeError, DTypeError, NonFiniteError, SizeError
            An argument or the data cannot be used; the message names it.
        StateError
            The model is not compiled, is in fit already, or all its parameters are frozen.

        Examples
        --------
        >>> import numpy as np
        >>> from gatewise import Sequential, layers
        >>> x = np.random.default_rng(0).normal(size=(64, 10, 3))
        >>> y = x[:, :, 0].mean(axis=1)
        >>> model = Sequential([layers.LSTM(8), layers.Dense(1)], seed=0)
        >>> model.compile("adam", "mse")
        >>> history = model.fit(x, y, epochs=3, verbose=0).history
        >>> len(history["loss"])
        3
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
        with self._using_state(), self._fits:
            return loop.fit(self, setup)

    def _resume(self, path: PathLike, run: Run) -> None:
        """Restore weights, optimizer and random draws of a saved run, and begin `run` there."""
        restoring.resume_model(self, path, run)

    @names_memory
    def evaluate(
        self,
        x: Any,
        y: Arrays | None = None,
        batch_size: int | None = None,
        verbose: Verbose = "auto",
        sample_weight: Arrays | None = None,
        lengths: Arrays | None = None,
        resets: Arrays | None = None,
        return_dict: bool = False,
        steps: int | None = None,
        callbacks: Iterable[Callback] | Callback | None = None,
        mask: Arrays | None = None,
        **others: Any,
    ) -> Any:
        """Compute the loss and the metrics of samples, without training.

        Parameters
        ----------
        x, y, sample_weight, lengths, resets, mask
            As in :meth:`fit`.
        batch_size : int, optional
            None: 32; if a layer is stateful, all rows. About the state see :meth:`predict`.
        verbose : {"auto", 0, 1, 2}, default "auto"
            "auto" and 1 show a bar with the time left, in a terminal or notebook, if the work takes
            more than a second.
        return_dict : bool, default False
            Return all values by name.
        steps : int, optional
            Number of batches to take of an x that makes them. None: all.
        callbacks : list of Callback, optional
            One that sets ``model.stop_evaluating`` to True ends the evaluation after the batch.
        **others
            Arguments of Keras that change nothing here are accepted if they have their defaults.

        Returns
        -------
        float, list of float or dict of str to float
            The loss if there are no metrics, else ``[loss, *metrics]``, for several outputs
            ``[loss, *losses, *metrics]``; all by name with ``return_dict``. Each is a mean over
            what counts in all batches.

        Raises
        ------
        ConfigError, ShapeError, DTypeError, NonFiniteError, SizeError
            An argument or the data cannot be used; the message names it.
        StateError
            The model is not compiled.

        Examples
        --------
        >>> import numpy as np
        >>> from gatewise import Sequential, layers
        >>> model = Sequential([layers.GRU(4, input_shape=(None, 2)), layers.Dense(1)], seed=0)
        >>> model.compile("adam", "mse", metrics=["mae"])
        >>> sorted(model.evaluate(np.ones((8, 5, 2)), np.ones(8), return_dict=True))
        ['loss', 'mae']
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
        with self._using_state(), self._unchanged_over(feed, callbacks):
            return as_asked(
                evaluate_feed(self, feed, verbose, self._watchers(callbacks, feed, verbose)),
                return_dict,
            )

    @names_memory
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Verbose = "auto",
        lengths: Arrays | None = None,
        resets: Arrays | None = None,
        steps: int | None = None,
        callbacks: Iterable[Callback] | Callback | None = None,
        mask: Arrays | None = None,
        **others: Any,
    ) -> Any:
        """Compute the outputs for all samples.

        The output for a sample depends neither on the other samples nor on the batch size.

        A stateful model continues, row by row, from the state that the last call of fit, evaluate
        or predict left, and keeps the state in which it ends; :meth:`reset_state` clears it. While
        fit runs, calls by callbacks start without a state and leave that of training unchanged.

        Other threads may change the weights at the same time: all batches see the old ones, or all
        see the new ones. If x makes batches or there are callbacks, that holds for each batch.

        Parameters
        ----------
        x, lengths, resets, mask
            As in :meth:`fit`. If x makes batches, each is x alone or a batch as in :meth:`fit`.
        batch_size : int, optional
            None: 32; if a layer is stateful, all rows, and a smaller number is refused.
        verbose : {"auto", 0, 1, 2}, default "auto"
            "auto" and 1 show a bar with the time left, in a terminal or notebook, if the work takes
            more than a second.
        steps : int, optional
            Number of batches to take of an x that makes them. None: all.
        callbacks : list of Callback, optional
            One that sets ``model.stop_predicting`` to True ends the prediction after the batch.
        **others
            Arguments of Keras that change nothing here are accepted if they have their defaults.

        Returns
        -------
        ndarray (samples, ...), or list or dict of them
            In the model's dtype. Zero at steps that do not count, those past a row's length or
            masked. For several outputs a list; a dict if the model was made with a dict.

        Raises
        ------
        ConfigError, ShapeError, DTypeError, NonFiniteError, SizeError
            An argument or the data cannot be used; the message names it.

        Examples
        --------
        >>> import numpy as np
        >>> from gatewise import Sequential, layers
        >>> model = Sequential([layers.LSTM(4), layers.Dense(2, "softmax")], seed=0)
        >>> model.predict(np.ones((3, 10, 1))).shape
        (3, 2)
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
        with self._using_state(), self._unchanged_over(feed, callbacks):
            return predict_feed(
                self, feed, verbose, self._watchers(callbacks, feed, verbose) if callbacks else None
            )

    def _unchanged_over(
        self, feed: Feed, callbacks: Iterable[Callback] | Callback | None
    ) -> AbstractContextManager[Any]:
        """Context manager: all batches see the same weights.

        If code of the user runs between the batches, it does nothing: that code may wait for a
        change of the weights.
        """
        return self.unchanged() if isinstance(feed, RowFeed) and not callbacks else NULL_CONTEXT

    def _watchers(
        self, callbacks: Iterable[Callback] | Callback | None, feed: Feed, verbose: Verbose
    ) -> CallbackList:
        """Return the callbacks of an evaluation or prediction; they know the model."""
        watchers = CallbackList([callbacks] if isinstance(callbacks, Callback) else callbacks or [])
        watchers.set_model(self)
        # else they may be those of the fit, which has its own
        if not isinstance(self._training_run, Run):
            watchers.set_params({"epochs": 1, "steps": feed.steps, "verbose": verbose})
        return watchers

    # ---- shown and saved

    def _description(self) -> str:
        return model_text(self)

    def _repr_html_(self) -> str:
        """The table of :meth:`summary`, as notebooks show it."""
        try:
            return model_html(self)
        except Exception:  # whatever a layer of a user does
            return f"<pre>{html.escape(repr(self))}</pre>"

    def summary(self, print_fn: Callable[[str], object] = print) -> None:
        """Print the layers, their output shapes and their numbers of parameters.

        Before the model is built, the parameters of layers are counted as far as the shapes are
        known.

        Parameters
        ----------
        print_fn : callable, default print
            Called with each line.
        """
        for line in summary_lines(self):
            print_fn(line)

    @names_memory
    def save_weights(self, path: PathLike, **others: Any) -> None:
        """Write the weights alone to one file, atomically: what :meth:`load_weights` reads.

        Parameters
        ----------
        path : str or os.PathLike
        **others
            Arguments of Keras that change nothing here are accepted if they have their defaults.

        Raises
        ------
        CheckpointError
            The file could not be written; an older file of that name is still whole.
        NonFiniteError
            A weight is NaN or infinite. No file was touched.
        """
        checks.refuse_unknown_arguments(
            others, "save", "save_weights", lambda: arguments_of(self.save_weights)
        )
        self._need_built("save_weights")
        saving.save_weights(self, path)

    @names_memory
    def load_weights(self, path: PathLike, **others: Any) -> None:
        """Read the weights of a file that :meth:`save` or :meth:`save_weights` wrote.

        Parameters
        ----------
        path : str or os.PathLike
        **others
            Arguments of Keras that change nothing here are accepted if they have their defaults.

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
    def save(self, path: PathLike, **others: Any) -> None:
        """Write architecture, weights, optimizer and the current run to one file, atomically.

        The run is where :meth:`fit` is while it runs, or where the last one ended: what
        ``fit(resume_from=...)`` continues. The state of stateful layers is in the file too: a
        loaded model continues from it, unless its first call has another number of rows.

        Parameters
        ----------
        path : str or os.PathLike
            The format is gatewise's own whatever the name's ending is: docs/checkpoint-format.md.
            An ending that means another program's format, such as ``.keras``, ``.h5`` or ``.pt``,
            gives a warning; ``.safetensors`` is right.
        **others
            Arguments of Keras that change nothing here are accepted if they have their defaults.

        Raises
        ------
        CheckpointError
            The file could not be written; an older file of that name is still whole.
        NonFiniteError
            Weights or what the optimizer has accumulated are NaN or infinite. No file was touched.
        """
        checks.refuse_unknown_arguments(others, "save", "save", lambda: arguments_of(self.save))
        self._need_built("save")
        saving.save_model(self, path)
