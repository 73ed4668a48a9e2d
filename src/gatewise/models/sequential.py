"""Sequential: layers in order, over one flat buffer of parameters."""

import itertools

import numpy as np

from gatewise import checks, seeds, threads
from gatewise.errors import ConfigError, ShapeError, StateError
from gatewise.kernels._memory import aligned_empty
from gatewise.layers import Flatten, InputLayer, Layer, Recurrent
from gatewise.layers.base import Call, _automatic_name
from gatewise.training import loop, losses, metrics, optimizers
from gatewise.training.callbacks import check_verbose
from gatewise.training.data import add_class_weight, prepare_samples

from . import saving
from .summary import summary_lines


class Sequential:
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

    def __init__(self, layers=None, name=None, seed=None):
        self.name = _automatic_name(type(self)) if name in (None, "") else checks.text(name, "name")
        self._trains = threads.OneAtATime(f"two threads train model {self.name!r} at once; give each thread a model of its own")
        if seed is not None:
            seed = checks.whole_number(seed, "seed", 0, 2**64 - 1)
        self.seed = seed
        self.rng = seeds.generator(seed)
        self._layers = []
        self.built = False
        self._flat_parameters = self.flat_gradients = None
        self.optimizer = self.loss = None
        self.metrics = []
        self._metric_choices = []
        self.history = None
        self.stop_training = False
        self._dtype = "float32"
        self._input = None      # shape of one sample, once given
        self._array_pieces = [] # where each parameter lies in the flat buffers
        self._fused = False     # the loss starts from the scores of the last layer
        given = checks.listed(layers or [], "layers", "gatewise.layers objects")
        try:
            for layer in given:
                self._append(layer)
            if self._layers and self._input is not None:
                self.build((None, *self._input))
        except BaseException:  # the layers are free for another try
            for layer in given:
                if isinstance(layer, Layer) and layer.model is self:
                    layer.model = None
            raise

    # ---- building

    @property
    def layers(self):
        """list of Layer, a copy: :meth:`add` and :meth:`pop` change the model."""
        return list(self._layers)

    def add(self, layer):
        """Append a layer. The model is built as soon as the shape of its input is known."""
        self._append(layer)
        if self._layers and self._input is not None and not self.built:
            try:
                self.build((None, *self._input))
            except BaseException:
                if self._layers.pop() is layer:
                    layer.model = None
                if self._layers:
                    self.build((None, *self._input))
                raise

    def _append(self, layer):
        if not isinstance(layer, Layer):
            raise ConfigError(f"add: got {layer!r}; expected a gatewise.layers object")
        if layer.model not in (None, self):
            raise ConfigError(f"layer {layer.name!r} belongs to another model; make a new layer")
        if self._layers and isinstance(layer, InputLayer):
            raise ConfigError("an Input can only be the first entry of a Sequential")
        taken = {other.name for other in self._layers}
        while layer.name in taken and not layer.named:
            layer.name = _automatic_name(type(layer))
        if layer.name in taken:
            raise ConfigError(f"two layers are named {layer.name!r}; give each its own name")
        if self.built and self.optimizer is not None and self.optimizer.iterations:
            raise StateError("layers cannot be added to a model that has been trained")
        if layer.given_input_shape is not None and not self._layers and self._input is None:
            self._input = layer.given_input_shape
        layer.model = self
        if isinstance(layer, InputLayer):
            if layer._dtype_given:
                self._set_dtype(layer._dtype_given)
            return
        self._layers.append(layer)
        if layer._dtype_given:
            self._set_dtype(layer._dtype_given)
        self.built = False

    def pop(self):
        """Remove the last layer."""
        if not self._layers:
            raise StateError("there is no layer to remove")
        self._layers.pop().model = None
        self.built = False
        if self._layers and self._input is not None:
            self.build((None, *self._input))

    def _set_dtype(self, dtype):
        given = {layer._dtype_given for layer in self._layers if layer._dtype_given} | {dtype}
        if len(given) > 1:
            raise ConfigError(f"layers have dtypes {sorted(given)}; give all layers of a model one dtype")
        self._dtype = dtype

    def build(self, input_shape):
        """Make the parameters for inputs (batch, ...); weights that layers already hold are kept."""
        if not self._layers:
            raise StateError("the model has no layers: add some first")
        shape = checks.shape_tuple(input_shape, "input_shape")
        self._input = shape[1:]
        kept = {}
        for layer in self._layers:
            layer.set_dtype(self._dtype)
            if layer.built:
                kept[layer] = (layer.input_shape[-1], layer.get_weights())
            layer.describe(shape)
            shape = layer.output_shape
            if isinstance(layer, Recurrent) and layer.return_state:
                raise ConfigError(f"layer {layer.name!r} has return_state=True; a Sequential passes on one output")
        count = self.count_params()
        checks.fits_memory(2 * count, self._dtype, f"model {self.name!r} with {count:,} parameters")
        self._flat_parameters = aligned_empty((count,), self._dtype)
        self.flat_gradients = aligned_empty((count,), self._dtype)
        self._flat_parameters.fill(0)
        self.flat_gradients.fill(0)
        self._array_pieces = self._pieces_of(spec.size for layer in self._layers for spec in layer._specs)
        for layer, piece in zip(self._layers, self._pieces_of(layer.count_params() for layer in self._layers)):
            layer.adopt(self._flat_parameters[piece], self.flat_gradients[piece])
            layer.rng = self.rng
            features, weights = kept.get(layer, (None, None))
            if features == layer.input_shape[-1]:
                layer.set_weights(weights)
            else:
                layer.initialize(self.rng)
        self.built = True
        self._choose_loss_path()

    @staticmethod
    def _pieces_of(sizes):
        """Slices of these sizes, one behind the other."""
        ends = list(itertools.accumulate(sizes, initial=0))
        return [slice(first, last) for first, last in itertools.pairwise(ends)]

    @property
    def flat_parameters(self):
        """All parameters, ndarray (n,): the buffer itself, which may be written to."""
        for layer in self._layers:
            layer.expose()
        return self._flat_parameters

    @property
    def dtype(self):
        """"float32" or "float64"."""
        return self._dtype

    @property
    def input_shape(self):
        """(batch, ...) of the input, None for free axes; None before it is known."""
        return None if self._input is None else (None, *self._input)

    @property
    def output_shape(self):
        """(batch, ...) of the output; None before the model is built."""
        return self._layers[-1].output_shape if self.built else None

    def compute_output_shape(self, input_shape):
        """Shape of the output for an input of this shape."""
        shape = tuple(input_shape)
        for layer in self._layers:
            shape = layer._output_shape(shape)
        return shape

    def keeps_steps(self):
        """Whether the output still has the input's time axis, so that lengths apply to it."""
        return all(getattr(layer, "return_sequences", True) for layer in self._layers) and (
            len(self.output_shape) >= 3 and len(self.input_shape) >= 3)

    def reads_sequences(self):
        """Whether steps are more than features to the model: lengths and resets mean something."""
        return any(isinstance(layer, Recurrent) for layer in self._layers) or self.keeps_steps()

    def get_layer(self, name=None, index=None):
        """A layer by its name or number."""
        if index is not None:
            last = len(self._layers) - 1
            if last < 0:
                raise StateError("the model has no layers: add some first")
            return self._layers[checks.whole_number(index, "index", -last - 1, last)]
        for layer in self._layers:
            if layer.name == name:
                return layer
        raise ConfigError(f"no layer is named {name!r}; there are {', '.join(layer.name for layer in self._layers)}")

    # ---- weights

    @property
    def weights(self):
        """Views of all parameters, in order; they may be written to."""
        return [array for layer in self._layers for array in layer.parameters.values()]

    def count_params(self):
        """Number of parameters."""
        return sum(layer.count_params() for layer in self._layers)

    def get_weights(self):
        """Copies of all parameters, in Keras's order."""
        self._need_built("get_weights")
        return [array for layer in self._layers for array in layer.get_weights()]

    def set_weights(self, weights):
        """Copy values into all parameters, in Keras's order. Nothing changes if one of them does not fit."""
        self._need_built("set_weights")
        weights = checks.listed(weights, "weights", "arrays")
        counts = [len(layer._specs) for layer in self._layers]
        if len(weights) != sum(counts):
            raise ShapeError(f"the model has {sum(counts)} weight arrays, got {len(weights)}")
        before, at = self._flat_parameters.copy(), 0
        try:
            for layer, count in zip(self._layers, counts):
                layer.set_weights(weights[at:at + count])
                at += count
        except Exception:
            self._flat_parameters[...] = before
            self.weights_changed()
            raise

    def snapshot(self):
        """Weights and optimizer as they are: what :meth:`go_back` returns to."""
        return self._flat_parameters.copy(), self.optimizer.snapshot()

    def go_back(self, snapshot):
        """Weights and optimizer as they were."""
        self._flat_parameters[...] = snapshot[0]
        self.optimizer.go_back(snapshot[1])
        self.weights_changed()

    def weights_changed(self):
        """Tell every layer that the flat buffer was written to."""
        for layer in self._layers:
            layer.weights_changed()

    def __setstate__(self, state):
        """A copy, or a model out of a pickle: the layers' arrays become views of the buffer again."""
        vars(self).update(state)
        if self.optimizer is not None:
            self.optimizer.bind(self)
        if self.built:
            for name in ("_flat_parameters", "flat_gradients"):
                copied, aligned = getattr(self, name), aligned_empty((self.count_params(),), self._dtype)
                aligned[...] = copied
                setattr(self, name, aligned)
            for layer, piece in zip(self._layers, self._pieces_of(layer.count_params() for layer in self._layers)):
                layer.adopt(self._flat_parameters[piece], self.flat_gradients[piece])

    def reset_state(self):
        """Clear the state of every stateful layer."""
        for layer in self._layers:
            if isinstance(layer, Recurrent):
                layer.reset_state()

    reset_states = reset_state  # Keras 2's name

    # ---- compiling

    def compile(self, optimizer="rmsprop", loss=None, metrics=None, **others):
        """Choose how to train.

        Parameters
        ----------
        optimizer : str or Optimizer
        loss : str or Loss
        metrics : list of str or Metric, optional
        """
        checks.neutral(others, "compile", "compile")
        chosen_optimizer = optimizers.get(optimizer)
        if loss is None:
            raise ConfigError("compile needs a loss, for example loss='mse'")
        chosen_loss = losses.get(loss)
        if metrics is not None and not isinstance(metrics, list | tuple):
            raise ConfigError(f"metrics is {metrics!r}; expected a list, for example ['accuracy']")
        outputs = self.output_shape[-1] if self.built else None
        names = ["loss", *(_metric_of(choice, chosen_loss, outputs).name for choice in metrics or [])]
        if len(set(names)) < len(names):
            raise ConfigError(f"metrics have the names {names[1:]}; give each its own, and none 'loss'")
        chosen_optimizer.bind(self)
        self.optimizer, self.loss = chosen_optimizer, chosen_loss
        self._metric_choices = list(metrics or [])
        self.metrics = []
        if self.built:
            self._choose_loss_path()

    def _choose_loss_path(self):
        if self.loss is None:
            return
        last = self._layers[-1]
        self._fused = (self.loss.fuses is not None and getattr(last, "activation", None) == self.loss.fuses
                       and hasattr(last, "scores") and not getattr(self.loss, "from_logits", False))
        outputs = self.output_shape[-1]
        self.metrics = [_metric_of(choice, self.loss, outputs) for choice in self._metric_choices]

    @property
    def metrics_names(self):
        """Names of what evaluate returns, in order."""
        return ["loss", *(metric.name for metric in self.metrics)]

    # ---- running

    def match_input(self, x):
        """x with the axes that the model asks for; builds the model where it was not.

        Raises
        ------
        ShapeError
        """
        if not self._layers:
            raise StateError("the model has no layers: add some first")
        recurrent = isinstance(self._layers[0], Recurrent)
        axes = (3 if recurrent else x.ndim) if self._input is None else 1 + len(self._input)
        features = self._input[-1] if self._input else None
        if x.ndim == axes - 1 and (features == 1 or (features is None and recurrent)):
            x = x[..., None]
        elif x.ndim == 3 and x.shape[-1] == 1 and self._input is not None and axes == 2:
            x = x[..., 0]
        if not self.built:
            self.build((None, *x.shape[1:]))
        expected = self.input_shape
        fits = x.ndim == len(expected) and all(want is None or want == extent for want, extent in zip(expected[2:], x.shape[2:]))
        if fits and expected[1] not in (None, x.shape[1]):  # only a Flatten needs as many steps as were announced
            fits = not (x.ndim == 2 or any(isinstance(layer, Flatten) for layer in self._layers))
        if not fits:
            raise ShapeError(f"x has shape {x.shape}; the model expects (samples, "
                             f"{', '.join('any' if extent is None else str(extent) for extent in expected[1:])})")
        if recurrent and x.shape[1] == 0:
            raise ShapeError(f"x has shape {x.shape}: no time steps; expected at least 1")
        return x

    def _run_layers(self, samples, training, stop=None):
        x, lengths = samples.x, samples.lengths
        for layer in self._layers[:stop]:
            recurrent = isinstance(layer, Recurrent)
            x = layer._forward(x, Call(training, lengths, None, samples.resets if recurrent else None))
            if recurrent and not layer.return_sequences:
                lengths = None
        return x

    def run(self, samples):
        """Outputs of checked samples, without training."""
        y = self._run_layers(samples, False)
        return y.copy() if np.may_share_memory(y, samples.x) else y

    def _scores_or_outputs(self, samples, training):
        """What the loss starts from, and the outputs that the metrics see (None where nobody looks)."""
        if not self._fused:
            outputs = self._run_layers(samples, training)
            return outputs, outputs
        last = self._layers[-1]
        scores = last.scores(self._run_layers(samples, training, stop=-1), Call(training, samples.lengths))
        outputs = last._activate_rows(scores, np.empty_like(scores)) if self.metrics else None
        return scores, outputs

    def _loss_of(self, samples, start, want_gradient):
        """(value, gradient) of the loss, over the positions that count: padded steps do not."""
        loss = self.loss
        if loss.per_sequence:
            return loss.value_and_gradient(samples.y, start, samples.weights, scores=self._fused, want_gradient=want_gradient,
                                           lengths=samples.lengths if self.keeps_steps() else None)
        normalizer = None if samples.valid is None else float(samples.valid.sum())
        return loss.value_and_gradient(samples.y, start, samples.weights, normalizer, scores=self._fused,
                                       want_gradient=want_gradient)

    def compute_gradients(self, x, y, sample_weight=None, lengths=None):
        """The loss of one batch; its gradient is left in the layers' gradients and in flat_gradients."""
        self._need_compiled("compute_gradients")
        return self.gradients_of(prepare_samples(self, x, y, sample_weight, lengths=lengths))[0]

    def gradients_of(self, samples):
        """Gradients of the loss for checked samples, into the flat buffer; (loss, outputs)."""
        with self._trains:
            return self._gradients_of(samples)

    def _gradients_of(self, samples):
        self.flat_gradients.fill(0)
        start, outputs = self._scores_or_outputs(samples, True)
        value, gradient = self._loss_of(samples, start, True)
        for position in range(len(self._layers) - 1, -1, -1):
            layer = self._layers[position]
            if self._fused and position == len(self._layers) - 1:
                gradient = layer.backward_from_scores(gradient, position > 0)
            else:
                gradient = layer._backward(gradient, position > 0)
            layer.add_penalty_gradients()
        return value + self._penalty(), outputs

    def train_step(self, samples):
        """One step of the optimizer on checked samples; (loss, outputs)."""
        loss, outputs = self.gradients_of(samples)
        self.optimizer.step(self._flat_parameters, self.flat_gradients, self._array_pieces)
        self.weights_changed()
        return loss, outputs

    def test_step(self, samples):
        """(loss, outputs) of checked samples, without training."""
        start, outputs = self._scores_or_outputs(samples, False)
        value, _ = self._loss_of(samples, start, False)
        return value + self._penalty(), outputs

    def _penalty(self):
        return float(sum([layer.penalty() for layer in self._layers]))

    # ---- what people call

    def __call__(self, x, lengths=None, training=False):
        """Outputs for one batch; ``training=True`` applies dropout."""
        samples = prepare_samples(self, x, lengths=lengths, need_y=False)
        y = self._run_layers(samples, checks.flag(training, "training"))
        return y.copy() if np.may_share_memory(y, samples.x) else y

    def fit(self, x, y, batch_size=32, epochs=1, verbose="auto", callbacks=None, validation_split=0.0,
            validation_data=None, shuffle=True, class_weight=None, sample_weight=None, lengths=None, resets=None,
            initial_epoch=0, **others):
        """Train.

        Parameters
        ----------
        x : array_like (samples, ...)
            Numbers; converted to the model's dtype. (samples, steps) stands for (samples, steps, 1).
        y : array_like
            Targets, as the loss expects them.
        batch_size, epochs : int
        verbose : {"auto", 0, 1, 2}
            0: quiet. "auto", 1: a progress bar with the time left, in a terminal only. 2: a line an epoch.
        callbacks : list of Callback, optional
        validation_split : float in [0, 1)
            Part of the samples, from the end, to validate on instead of training.
        validation_data : (x, y), (x, y, sample_weight) or (x, y, sample_weight, lengths), optional
        shuffle : bool
            Draw the order of the samples anew each epoch.
        class_weight : dict of class number to float, optional
        sample_weight : array_like (samples,) or (samples, steps), optional
        lengths : array_like (samples,), int, optional
            Steps in each row; padded steps count in nothing.
        resets : array_like (samples, steps), bool, optional
            Where true, recurrent state is cleared before that step.
        initial_epoch : int
            Number of the first epoch.

        Returns
        -------
        History
        """
        checks.neutral(others, "fit", "fit")
        self._need_compiled("fit")
        return loop.fit(self, x, y, batch_size=batch_size, epochs=epochs, verbose=verbose, callbacks=callbacks,
                        validation_split=validation_split, validation_data=validation_data, shuffle=shuffle,
                        class_weight=class_weight, sample_weight=sample_weight, lengths=lengths, resets=resets,
                        initial_epoch=initial_epoch)

    def evaluate(self, x, y, batch_size=32, verbose="auto", sample_weight=None, lengths=None, resets=None,
                 return_dict=False, **others):
        """The loss, or ``[loss, *metrics]`` where there are metrics, or all by name with ``return_dict``.

        ``verbose`` "auto" or 1 shows a bar with the time left, in a terminal, on work of more than a second.
        """
        checks.neutral(others, "evaluate and predict", "evaluate")
        self._need_compiled("evaluate")
        check_verbose(verbose)
        samples = prepare_samples(self, x, y, sample_weight, lengths=lengths, resets=resets)
        logs = loop.evaluate_samples(self, samples, _batch_size(batch_size), verbose)
        return _as_asked(logs, return_dict)

    def predict(self, x, batch_size=32, verbose="auto", lengths=None, resets=None, **others):
        """Outputs for all samples, ndarray. A sample's output does not depend on the others or on batch_size.

        ``verbose`` "auto" or 1 shows a bar with the time left, in a terminal, on work of more than a second.
        """
        checks.neutral(others, "evaluate and predict", "predict")
        self._need_layers("predict")
        check_verbose(verbose)
        samples = prepare_samples(self, x, lengths=lengths, resets=resets, need_y=False)
        return loop.predict_samples(self, samples, _batch_size(batch_size), verbose)

    def train_on_batch(self, x, y, sample_weight=None, class_weight=None, lengths=None, return_dict=False):
        """One optimizer step on one batch; its loss and metrics, as evaluate returns them."""
        self._need_compiled("train_on_batch")
        samples = prepare_samples(self, x, y, sample_weight, lengths)
        add_class_weight(samples, class_weight, self.loss, self.output_shape[-1])
        loss, outputs = self.train_step(samples)
        return _as_asked(self._one_batch(samples, loss, outputs), return_dict)

    def test_on_batch(self, x, y, sample_weight=None, lengths=None, return_dict=False):
        """Loss and metrics of one batch, as evaluate returns them."""
        self._need_compiled("test_on_batch")
        samples = prepare_samples(self, x, y, sample_weight, lengths=lengths)
        loss, outputs = self.test_step(samples)
        return _as_asked(self._one_batch(samples, loss, outputs), return_dict)

    def predict_on_batch(self, x, lengths=None):
        """Outputs for one batch."""
        return self(x, lengths)

    def _one_batch(self, samples, loss, outputs):
        running = loop.RunningMeans(self.metrics)
        running.add(samples, loss, outputs)
        return running.logs()

    def summary(self, print_fn=print):
        """Print the layers, their output shapes and their numbers of parameters."""
        for line in summary_lines(self):
            print_fn(line)

    def save(self, path, **others):
        """Write architecture, weights and optimizer to one file, atomically.

        The format is gatewise's own whatever the name's ending is: docs/checkpoint-format.md.

        Raises
        ------
        CheckpointError
            The file could not be written; an older file of that name is still whole.
        """
        checks.neutral(others, "save", "save")
        self._need_built("save")
        saving.save_model(self, path)

    def _need_layers(self, what):
        if not self._layers:
            raise StateError(f"{what}: the model has no layers: add some first")

    def _need_built(self, what):
        if not self.built:
            raise StateError(f"{what}: the model is not built: give its first layer an input_shape, call "
                             f"build((None, steps, features)), or fit it")

    def _need_compiled(self, what):
        self._need_layers(what)
        if self.loss is None:
            raise StateError(f"{what}: the model is not compiled: call compile(optimizer, loss) first")


def _metric_of(choice, loss, outputs):
    metric = metrics.get(choice, loss, outputs)
    if loss.per_sequence and not getattr(metric, "per_sequence", False):
        raise ConfigError(f"metric {metric.name} needs a target for each output; targets of loss {loss.name} are labels of a "
                          f"whole row: leave the metric out")
    return metric


def _batch_size(given):
    return 32 if given is None else checks.whole_number(given, "batch_size")


def _as_asked(logs, return_dict):
    if return_dict:
        return logs
    values = list(logs.values())
    return values[0] if len(values) == 1 else values
