"""Names that are not known: the message says which one may have been meant."""

import pytest

import gatewise
from gatewise import (
    callbacks,
    cells,
    constraints,
    data,
    initializers,
    layers,
    losses,
    metrics,
    optimizers,
    regularizers,
    schedules,
)
from gatewise.errors import ArgumentError, ConfigError, did_you_mean
from gatewise.layers import Dense, Input
from gatewise.models import Sequential, load_model


def model():
    made = Sequential([Input((2,)), Dense(1)])
    made.compile("sgd", "mse")
    return made


@pytest.mark.parametrize(
    ("make", "meant"),
    [
        (lambda: layers.LSTM(3, return_sequence=True), "return_sequences"),
        (lambda: layers.Dense(3, activations="relu"), "activation"),
        (lambda: layers.Dropout(0.5, sede=1), "seed"),
        (lambda: layers.LSTM(3, recurent_dropout=0.1), "recurrent_dropout"),
        (lambda: layers.Dense(3, nmae="a"), "name"),
        (lambda: losses.Huber(dleta=2), "delta"),
        (lambda: losses.BinaryCrossentropy(from_logit=True), "from_logits"),
        (lambda: losses.MeanSquaredError(reductions="sum"), "reduction"),
        (lambda: metrics.AUC(num_threshold=3), "num_thresholds"),
        (lambda: metrics.MeanSquaredError(nmae="a"), "name"),
        (lambda: optimizers.Adam(learning_rat=0.1), "learning_rate"),
        (lambda: optimizers.SGD(momentun=0.1), "momentum"),
        (lambda: optimizers.Adam(clip_norm=1.0), "clipnorm"),
        (lambda: optimizers.Adam(lr=0.1), "learning_rate"),
        (lambda: schedules.ExponentialDecay(0.1, 5, decay_rat=0.5), "decay_rate"),
        (lambda: callbacks.EarlyStopping(patiense=3), "patience"),
        (lambda: callbacks.ModelCheckpoint("a", save_best=True), "save_best_only"),
        (lambda: initializers.RandomNormal(std=0.1, stddef=1), "stddev"),
        (lambda: regularizers.L1L2(l11=1), "l1"),
        (lambda: constraints.MaxNorm(max_valeu=1), "max_value"),
        (lambda: cells.LSTMCell(3, activaton="tanh"), "activation"),
        (lambda: gatewise.SequenceClassifier(unit=3), "units"),
        (lambda: gatewise.SequenceForecaster(horizn=3), "horizon"),
        (lambda: data.SequenceScaler(featur_range=3), "feature_range"),
        (lambda: data.Vocabulary(max_size_=3), "max_size"),
        (lambda: model().fit([[1, 2]], [1], epoch=3), "epochs"),
        (lambda: model().predict([[1, 2]], batchsize=3), "batch_size"),
        (lambda: model().evaluate([[1, 2]], [1], return_dicts=True), "return_dict"),
        (lambda: model().compile("sgd", "mse", metric=["mae"]), "metrics"),
        (lambda: model().save("a", overwrit=True), "overwrite"),
        (lambda: load_model("a", custom_object={}), "custom_objects"),
    ],
)
def test_arguments(make, meant):
    with pytest.raises(ArgumentError) as caught:
        make()
    assert isinstance(caught.value, TypeError)
    assert "takes no argument" in str(caught.value)
    assert str(caught.value).endswith(f"; did you mean {meant!r}?")


@pytest.mark.parametrize(
    ("make", "meant"),
    [
        (lambda: losses.get("binary_crossentropi"), "binary_crossentropy"),
        (lambda: losses.get("MeanSquareError"), "MeanSquaredError"),
        (lambda: metrics.get("acuracy"), "accuracy"),
        (lambda: metrics.get("F1score_"), "F1Score"),
        (lambda: optimizers.get("adamm"), "adam"),
        (lambda: optimizers.get("RMSPorp"), "rmsprop"),
        (lambda: Dense(3, "sigmod"), "sigmoid"),
        (lambda: Dense(3, "sofmax"), "softmax"),
        (lambda: layers.LSTM(3, "tahn"), "tanh"),
        (lambda: Dense(3, kernel_initializer="glorot_unifrom"), "glorot_uniform"),
        (lambda: Dense(3, kernel_regularizer="l1_12"), "l1_l2"),
        (lambda: Dense(3, kernel_constraint="max_nrom"), "max_norm"),
        (lambda: metrics.AUC(curve="ROCK"), "ROC"),
        (lambda: losses.get({"class_name": "Hubber", "config": {}}), "Huber"),
    ],
)
def test_names(make, meant):
    with pytest.raises(ConfigError) as caught:
        make()
    assert f"; did you mean {meant!r}?" in str(caught.value)


def test_parameters_of_estimators(rng):
    with pytest.raises(ConfigError, match=r"; did you mean 'lstm'\?"):
        gatewise.SequenceClassifier("lsmt").fit(rng.normal(size=(4, 3, 1)), [0, 1, 0, 1])


def test_monitors(rng):
    made = model()
    with pytest.warns(
        gatewise.errors.TrainingWarning, match=r"watches 'val_los' .*; did you mean 'val_loss'\?"
    ):
        made.fit(
            rng.normal(size=(4, 2)),
            rng.normal(size=4),
            validation_split=0.5,
            verbose=0,
            callbacks=callbacks.EarlyStopping("val_los", mode="min"),
        )


def test_nothing_that_is_far_away_is_proposed():
    assert did_you_mean("mse", ["huber", "ctc"]) == ""
    with pytest.raises(
        ArgumentError, match=r"EarlyStopping takes no argument 'zzz'; it takes monitor, "
    ):
        callbacks.EarlyStopping(zzz=3)


def test_a_user_s_constructor_may_take_what_it_likes():
    class Own(callbacks.EarlyStopping):
        def __init__(self, **options):
            self.colour = options.pop("colour")
            super().__init__(**options)

    assert Own(colour="red", patience=3).colour == "red"
    with pytest.raises(ArgumentError, match="Own takes no argument 'patiense'|EarlyStopping"):
        try:
            Own(colour="red", patiense=3)
        except TypeError as error:  # Python's own, of the inner constructor
            raise ArgumentError(f"EarlyStopping: {error}") from error


def test_integer_labels_with_categorical_crossentropy(rng):
    x = rng.normal(size=(4, 2))
    for y in ([0, 1, 2, 1], [[0], [1], [2], [1]], [0.0, 1, 2, 1]):
        made = Sequential([Input((2,)), Dense(3, "softmax")])
        made.compile("sgd", "categorical_crossentropy")
        with pytest.raises(
            gatewise.errors.ShapeError,
            match=r"y looks like class numbers: .*'sparse_categorical_crossentropy'.*"
            r"to_categorical\(y, 3\)",
        ):
            made.fit(x, y)
    with pytest.raises(gatewise.errors.ShapeError, match="the same shape$"):
        made.fit(x, rng.normal(size=4))
