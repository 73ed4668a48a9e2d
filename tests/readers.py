"""What reads a file of anybody's, with what must hold whatever it says.

For tests/models/test_damage.py and fuzz/.
"""

import itertools
import math
import os
import tempfile
import warnings

import numpy as np
from seeds import generator

from gatewise import callbacks, metrics, optimizers, schedules
from gatewise.errors import CheckpointError, GatewiseError
from gatewise.layers import GRU, LSTM, Dense, Dropout, Flatten, Input, SimpleRNN
from gatewise.models import Sequential, load_model

EPOCHS = 3
DRAWS = generator(0)
X, Y = (
    DRAWS.normal(size=(8, 6, 2)).astype(np.float32),
    DRAWS.normal(size=(8, 6, 1)).astype(np.float32),
)


class Subject:
    """A model, how it is trained, and what is saved of it in the middle."""

    def model(self):
        model = Sequential([Input((None, 2)), *self.layers()], name=type(self).__name__, seed=1)
        model.compile(self.optimizer(), "mse", metrics=["mae"])
        return model

    def saved(self, path, at):
        """Train, and save after so many batches; the weights in the end."""

        class Save(callbacks.Callback):
            runs_last = True

            def on_train_batch_end(self, batch, logs=None):
                if self.model.optimizer.iterations == at:
                    self.model.save(path)

        model = self.model()
        self.fit(model, more=[Save()])
        return model.flat_parameters.tobytes()

    def callbacks(self):
        return [
            callbacks.EarlyStopping("loss", patience=5, restore_best_weights=True),
            callbacks.ReduceLROnPlateau("loss"),
        ]

    def data(self):
        return {"x": X, "y": Y, "batch_size": 4}

    def fit(self, model, more=(), **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of runs that end early: what is read may be odd
            return model.fit(
                **self.data(),
                epochs=EPOCHS,
                verbose=0,
                callbacks=[*self.callbacks(), *more],
                **options,
            )


class Truncated(Subject):
    """Stateful layers, a carried state, the best weights, a rate set by a callback."""

    def layers(self):
        return [
            LSTM(3, stateful=True, return_sequences=True, dropout=0.2, name="lstm"),
            Dropout(0.5, name="dropout"),
            GRU(2, return_sequences=True, name="gru"),
            Dense(1, name="dense"),
        ]

    def optimizer(self):
        return optimizers.Adam(0.01, clipnorm=1.0)

    def data(self):
        return super().data() | {"batch_size": 8, "tbptt_steps": 2}


class Averaged(Subject):
    """Batches from an iterator, averaged weights in and out, accumulated gradients, a schedule."""

    def layers(self):
        return [GRU(3, name="gru"), Dense(1, name="dense")]

    def optimizer(self):
        return optimizers.SGD(
            schedules.OneCycle(0.1, 20), momentum=0.9, use_ema=True, gradient_accumulation_steps=2
        )

    def callbacks(self):
        return [
            callbacks.SwapEMAWeights(swap_on_epoch=True),
            callbacks.EarlyStopping("loss", patience=5),
        ]

    def data(self):
        return {"x": itertools.cycle([(X[:4], Y[:4, 0]), (X[4:], Y[4:, 0])]), "steps_per_epoch": 4}


class Classified(Subject):
    """float64, a loss of class numbers, metrics with arrays of sums, a rate function, a table."""

    def layers(self):
        return [
            SimpleRNN(3, return_sequences=True, dtype="float64", name="rnn"),
            Flatten(name="flatten"),
            Dense(3, "softmax", name="dense"),
        ]

    def model(self):
        model = Sequential([Input((6, 2)), *self.layers()], name=type(self).__name__, seed=1)
        counts = [
            metrics.SparseCategoricalAccuracy(),
            metrics.SparseTopKCategoricalAccuracy(2),
            metrics.F1Score(),
            metrics.AUC(),
        ]
        model.compile(
            optimizers.RMSprop(0.01, momentum=0.5, centered=True),
            "sparse_categorical_crossentropy",
            metrics=counts,
        )
        return model

    def callbacks(self):
        return [
            callbacks.LearningRateScheduler(lambda epoch: 0.01 / (epoch + 1)),
            callbacks.EarlyStopping("loss", patience=5),
            callbacks.ModelCheckpoint(
                "never", monitor="loss", save_best_only=True, save_freq=10**6
            ),
            callbacks.CSVLogger(os.path.join(self.folder.name, "table")),
        ]

    def data(self):
        return {"x": X, "y": np.arange(8) % 3, "batch_size": 4}

    folder = tempfile.TemporaryDirectory()


class Told(Subject):
    """Saved while callbacks hear of an epoch's end: who has yet to hear, and of what.

    Arrays that do not decay.
    """

    def layers(self):
        return [GRU(3, return_sequences=True, name="gru"), Dense(1, name="dense")]

    def optimizer(self):
        optimizer = optimizers.AdamW(0.01, weight_decay=0.1)
        optimizer.exclude_from_weight_decay(var_names=["bias", "^recurrent.*l$"])
        return optimizer

    def saved(self, path, at):
        class Save(callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                logs["speed"] = np.ones(2)
                if self.model.optimizer.iterations in (at, at + 1):
                    self.model.save(path)

        model = self.model()
        model.fit(**self.data(), epochs=EPOCHS, verbose=0, callbacks=[Save(), *self.callbacks()])
        return model.flat_parameters.tobytes()


SUBJECTS = {
    "Truncated": Truncated(),
    "Averaged": Averaged(),
    "Classified": Classified(),
    "Told": Told(),
}


def fingerprint(model):
    """All that a refusal must leave as it was."""
    optimizer = model.optimizer
    return (
        model.flat_parameters.tobytes(),
        optimizer.iterations,
        optimizer.get_config(),
        {name: array.tobytes() for name, array in optimizer.slots().items()},
        model.rng.bit_generator.state,
        [
            (
                None
                if getattr(layer, "_state", None) is None
                else [array.tobytes() for array in layer._state]
            )
            for layer in model.layers
        ],
        id(model.history),
        id(model._training_run),
        model.stop_training,
    )


class Wrong(AssertionError):
    """Something that no file may do."""


class Readers:
    """All that read a file, over and over.

    A model that has refused one reads the next, since nothing of it has changed.

    Parameters
    ----------
    subject : str
    """

    def __init__(self, subject):
        self.subject = SUBJECTS[subject]
        self.begun = {}  # a model in training for each reader that changes one

    def read(self, path):
        """Names of the readers that took the file; raises where one does what none may."""
        return [
            name
            for name in ("load_model", "load_weights", "resume")
            if getattr(self, f"_{name}")(path)
        ]

    def _load_model(self, path):
        try:
            model = load_model(path)
        except CheckpointError as error:
            return _refused(error, path)
        use(model)
        return True

    def _load_weights(self, path):
        return self._change("weights", path, lambda model: model.load_weights(path))

    def _resume(self, path):
        return self._change(
            "resume",
            path,
            lambda model: self.subject.fit(model, resume_from=path),
        )

    def _change(self, name, path, read):
        if name not in self.begun:
            model = self.subject.model()
            self.subject.fit(model)
            self.begun[name] = model, fingerprint(model)
        model, before = self.begun[name]
        try:
            read(model)
        except GatewiseError as error:
            # An error that does not name the file is of training, which met with what it brought.
            if isinstance(error, CheckpointError) or str(path) in str(error):
                if fingerprint(model) != before:
                    raise Wrong(f"{name}: a refusal changed the model: {error}") from error
                return _refused(error, path)
        del self.begun[name]
        use(model)
        return True


def _refused(error, path):
    if str(path) not in str(error) or len(str(error)) > 2000:
        raise Wrong(
            f"a message of {len(str(error))} characters without the path: {error!s:.300}"
        ) from error
    return False


def use(model):
    """What anybody would do with a model: nothing of it may fail but by a GatewiseError."""
    shape = (2, *(3 if extent is None else extent for extent in model.input_shape[1:]))
    if math.prod(shape) > 10_000 or model.count_params() > 100_000:
        return
    x = np.zeros(shape)
    model.summary(print_fn=lambda line: None)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            model.reset_state()
            out = model.predict(x, verbose=0)
            assert out.dtype == model.dtype
            if model.loss is not None:
                y = np.zeros(out.shape[:-1], int) if model.loss._sparse else np.ones(out.shape)
                model.evaluate(x, y, verbose=0, return_dict=True)
                model.train_on_batch(x, y)
        except GatewiseError:
            pass
