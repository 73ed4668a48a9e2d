"""Losses and last layers that do not fit.

Every loss behind every activation, over one column and several.
"""

import warnings

import numpy as np
import pytest

from gatewise import layers, losses
from gatewise.errors import ConfigError, ShapeError, TrainingWarning
from gatewise.kernels import activations
from gatewise.models import Sequential, load_model

ACTIVATIONS = sorted(activations.NAMES | {"softmax"})
SIGNED = {"linear", "leaky_relu", "affine", "elu", "tanh", "softsign", "scaled_tanh"}
UNLIMITED = {"linear", "leaky_relu", "affine"}
SQUASHED = {"sigmoid", "hard_sigmoid"}
ALL = set(ACTIVATIONS)
CLASSES = (losses.CategoricalCrossentropy, losses.SparseCategoricalCrossentropy)
# Of each loss: the activations it takes over several columns without a word, and what it is to be
# told of the others.
FITS = [
    *[
        (make, ALL)
        for make in (
            losses.MeanSquaredError,
            losses.MeanAbsoluteError,
            losses.MeanAbsolutePercentageError,
            losses.MeanSquaredLogarithmicError,
            losses.Huber,
            losses.LogCosh,
            losses.CategoricalHinge,
            lambda: losses.Quantile([0.1, 0.9]),
        )
    ],
    (losses.BinaryCrossentropy, SQUASHED | {"softmax"}),
    (lambda: losses.BinaryCrossentropy(from_logits=True), UNLIMITED),
    *[(make, {"softmax", "exponential", "softplus"}) for make in CLASSES],
    *[(lambda make=make: make(from_logits=True), UNLIMITED) for make in CLASSES],
    (losses.KLDivergence, {"softmax"}),
    (losses.Poisson, {"exponential", "softplus", "relu", "thresholded_relu"}),
    (losses.Hinge, SIGNED),
    (losses.SquaredHinge, SIGNED),
    (losses.GaussianNLL, UNLIMITED),
    (losses.CTC, UNLIMITED | {"softmax"}),
    (lambda: losses.CTC(from_logits=True), UNLIMITED),
    (lambda: losses.CTC(from_logits=False), {"softmax"}),
]
HOPELESS = (*CLASSES, losses.CTC)  # over one column, whatever stands there
ONE_COLUMN_WARNS = (losses.CategoricalHinge,)


def model_of(activation, columns, built=True):
    return Sequential(
        [
            *([layers.Input((None, 3))] if built else []),
            layers.LSTM(4, return_sequences=True),
            layers.Dense(columns, activation),
        ],
        seed=0,
    )


def outcome(model, loss):
    """ "fits", "warns" or "refused", and the message."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model.compile("sgd", loss)
        except (ConfigError, ShapeError) as error:
            return "refused", str(error)
    return ("warns", str(caught[0].message)) if caught else ("fits", "")


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("case", range(len(FITS)))
def test_several_columns(case, activation):
    make, fits = FITS[case]
    loss = make()
    found, message = outcome(model_of(activation, 4), loss)
    assert found == ("fits" if activation in fits else "warns"), message
    if found == "warns":
        assert message.startswith(
            f"loss {loss.name} behind 4 columns with activation {activation!r}: "
        )
        assert "; " in message  # a cure


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("case", range(len(FITS)))
def test_one_column(case, activation):
    make, fits = FITS[case]
    loss = make()
    found, message = outcome(model_of(activation, 1), loss)
    if isinstance(loss, HOPELESS):
        assert found == "refused"
        assert message.startswith(
            f"loss {loss.name} behind one column with activation {activation!r}: a single column"
        )
    elif activation == "softmax":
        assert found == "refused"
        assert "takes the softmax of one column, which is 1 whatever its input is" in message
    elif isinstance(loss, losses.GaussianNLL | losses.Quantile):
        assert found == "refused"
        assert "the model has 1 outputs" in message
    else:
        takes = (
            fits | SQUASHED
            if isinstance(loss, losses.KLDivergence)
            else set()
            if isinstance(loss, ONE_COLUMN_WARNS)
            else fits
        )
        assert found == ("fits" if activation in takes else "warns"), message


@pytest.mark.parametrize(
    "loss", ["categorical_crossentropy", "sparse_categorical_crossentropy", "mse"]
)
def test_softmax_of_one_column_is_refused_and_leaves_the_model_as_it_was(loss):
    model = model_of("softmax", 1)
    with pytest.raises(ConfigError, match="'sigmoid'"):
        model.compile("adam", loss)
    assert (model.loss, model.optimizer) == (None, None)


def test_softmax_of_one_column_further_down():
    model = Sequential(
        [
            layers.Input((None, 3)),
            layers.Dense(1),
            layers.Activation("softmax"),
            layers.LSTM(2),
            layers.Dense(1),
        ]
    )
    with pytest.raises(ConfigError, match=r"layer 'activation\w*' takes the softmax of one column"):
        model.compile("adam", "mse")


@pytest.mark.parametrize("call", ["fit", "evaluate", "train_on_batch"])
def test_an_unbuilt_model_is_checked_with_its_first_data(call, rng):
    x, y = rng.normal(size=(4, 5, 3)), np.ones((4, 5, 1))
    model = model_of("linear", 1, built=False)
    model.compile("adam", "categorical_crossentropy")
    with pytest.raises(ConfigError, match="behind one column"):
        getattr(model, call)(x, y)
    assert not model.optimizer.iterations
    model = model_of("linear", 1, built=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.compile("adam", "poisson")
        assert not caught
        getattr(model, call)(x, y)
        getattr(model, call)(x, y)
    caught = [
        each
        for each in caught
        if str(each.message).startswith("loss poisson behind one column with activation 'linear'")
    ]
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_layers_that_are_added_after_compile(rng):
    """What stands in between is not looked at."""
    model = Sequential([layers.Input((None, 3)), layers.LSTM(1)])
    model.pop()
    model.compile("adam", "categorical_crossentropy")
    model.add(layers.LSTM(1))
    model.add(layers.Dense(2, "softmax"))
    model.fit(rng.normal(size=(4, 5, 3)), np.eye(2)[[0, 1, 0, 1]], verbose=0)


@pytest.mark.parametrize(
    ("last", "activation"),
    [
        ([layers.Dense(2), layers.Activation("relu")], "relu"),
        ([layers.Dense(2, "relu"), layers.Dropout(0.1)], "relu"),
        ([layers.TimeDistributed(layers.Dense(2, "relu"))], "relu"),
        ([layers.Dense(2, "relu"), layers.GlobalMaxPooling1D()], "relu"),
        ([layers.Dense(2, ("leaky_relu", 0.3))], "leaky_relu"),
        ([layers.LSTM(2)], "tanh"),
        ([layers.GRU(2)], "tanh"),
        ([layers.LSTM(3, projection=2)], None),
        ([layers.Dense(2, "relu"), layers.BatchNormalization()], None),
        ([layers.LSTM(2, activation="relu")], None),
        ([layers.Conv1D(2, 1, activation="relu")], "relu"),
    ],
)
def test_the_last_activation_is_found(last, activation):
    model = Sequential([layers.Input((None, 3)), *last])
    found, message = outcome(model, "sparse_categorical_crossentropy")
    assert found == ("fits" if activation is None else "warns")
    assert repr(activation) in message or activation is None


def test_a_formula_of_ones_own_needs_nothing():
    class Own(losses.CategoricalCrossentropy):
        def _positions(self, y_true, y_pred, want_gradient):
            return y_pred.sum(axis=-1), np.ones_like(y_pred)

    assert outcome(model_of("relu", 1), Own()) == ("fits", "")


def test_a_file_is_read_without_a_word(tmp_path):
    model = model_of("linear", 2)
    with pytest.warns(
        TrainingWarning,
        match="a rate below 0 gives NaN; end with activation 'exponential' or 'softplus'",
    ):
        model.compile("adam", "poisson")
    model.save(tmp_path / "m")
    assert load_model(tmp_path / "m").loss.name == "poisson"


def test_the_blank_is_a_class():
    with pytest.raises(ShapeError, match="the model's output has 3 classes; the blank is class 3"):
        model_of("softmax", 3).compile("adam", losses.CTC(blank=3))


def test_a_loss_that_becomes_nan_is_told_the_cause(rng):
    """A smaller learning rate does not help."""
    model = model_of("linear", 1, built=False)
    model.compile("adam", "poisson")
    with pytest.warns(TrainingWarning) as caught:
        model.fit(rng.normal(size=(4, 5, 3)), np.ones((4, 5, 1)), verbose=0)
    ended = [str(each.message) for each in caught if "training stopped" in str(each.message)]
    assert len(ended) == 1
    assert ended[0].endswith(
        "a rate below 0 gives NaN; end with activation 'exponential' or 'softplus'"
    )
