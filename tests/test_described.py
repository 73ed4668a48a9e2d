"""What objects show of themselves: short, true, and never an error."""

import numpy as np
import pytest

from gatewise import (
    callbacks,
    cells,
    constraints,
    initializers,
    losses,
    metrics,
    optimizers,
    regularizers,
    schedules,
)
from gatewise.layers import (
    GRU,
    LSTM,
    RNN,
    BatchNormalization,
    Bidirectional,
    Dense,
    Dropout,
    Embedding,
    Layer,
)
from gatewise.models import Sequential


@pytest.mark.parametrize(
    ("thing", "text"),
    [
        (optimizers.Adam(), "Adam(learning_rate=0.001)"),
        (
            optimizers.SGD(0.1, momentum=0.9, nesterov=True, clipnorm=1),
            "SGD(learning_rate=0.1, momentum=0.9, nesterov=True, clipnorm=1.0)",
        ),
        (
            optimizers.AdamW(schedules.ExponentialDecay(0.1, 10, 0.5)),
            (
                "AdamW(learning_rate=ExponentialDecay(initial_learning_rate=0.1, decay_steps=10.0,"
                " decay_rate=0.5))"
            ),
        ),
        (losses.Huber(), "Huber()"),
        (losses.Huber(2.0), "Huber(delta=2.0)"),
        (losses.BinaryCrossentropy(from_logits=True), "BinaryCrossentropy(from_logits=True)"),
        (metrics.Precision(), "Precision()"),
        (metrics.Precision(name="p"), "Precision(name='p')"),
        (schedules.StepDecay(0.1, 3), "StepDecay(initial_learning_rate=0.1, step_size=3)"),
        (callbacks.EarlyStopping("loss", patience=3), "EarlyStopping(monitor='loss', patience=3)"),
        (callbacks.ModelCheckpoint("x"), "ModelCheckpoint(filepath='x', monitor='val_loss')"),
        (callbacks.LearningRateScheduler(len), "LearningRateScheduler(schedule=<len>)"),
        (callbacks.History(), "<History, no epoch yet>"),
        (callbacks.TerminateOnNaN(), "TerminateOnNaN()"),
        (regularizers.L2(0.5), "L2(l2=0.5)"),
        (constraints.MaxNorm(3), "MaxNorm(max_value=3.0)"),
        (initializers.RandomNormal(stddev=0.5), "RandomNormal(stddev=0.5)"),
        (cells.GRUCell(3), "GRUCell(units=3)"),
        (cells.LSTMCell(3, peepholes=True), "LSTMCell(units=3, peepholes=True)"),
        (LSTM(3, name="first"), "<LSTM 'first', not built>"),
        (Dense(2, name="last", trainable=False), "<Dense 'last', not built, frozen>"),
        (Sequential(name="net"), "<Sequential 'net'; no layers; not built; not compiled>"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_objects_say_what_they_are(thing, text):
    assert repr(thing) == text


def test_models():
    model = Sequential(
        [LSTM(4, input_shape=(6, 2)), Dropout(0.1), Dense(1, name="last")], name="net"
    )
    assert (
        repr(model)
        == "<Sequential 'net'; layers LSTM, Dropout, Dense; input (None, 6, 2); output (None, 1);"
        " 117 parameters; not compiled>"
    )
    assert repr(model.layers[2]) == "<Dense 'last', output (None, 1), 5 parameters>"
    model.layers[0].trainable = False
    model.compile("adam", losses.Huber())
    assert (
        "117 parameters (5 trainable); compiled with Adam(learning_rate=0.001) and Huber()>"
        in repr(model)
    )
    history = model.fit(np.ones((4, 6, 2)), np.zeros(4), epochs=2, verbose=0)
    assert repr(history) == f"<History, 2 epochs: loss {history.history['loss'][-1]:.4g}>"
    assert len(repr(Sequential([Dense(2) for _ in range(40)]))) < 300


def test_html_escapes_what_users_call_things():
    model = Sequential([Dense(2, input_shape=(3,), name="<b>")], name="a & b")
    text = model._repr_html_()
    assert (
        "&lt;b&gt; (Dense)" in text
        and "a &amp; b" in text
        and "8 parameters" in text
        and "<b> (Dense)" not in text
    )
    assert "not built" in Sequential([Dense(2)])._repr_html_()


def test_a_history_is_a_table_in_notebooks():
    history = callbacks.History()
    assert "<tbody></tbody>" in history._repr_html_()
    for epoch in range(13):
        history.on_epoch_end(
            epoch, {"loss": 1 / (epoch + 1), "<b>": 3} | ({"val_loss": 0.5} if epoch % 2 else {})
        )
    text = history._repr_html_()
    assert text.count("<tr>") == 11 and "the last 10 of 13 epochs" in text and "&lt;b&gt;" in text
    assert (
        "<td>13</td><td>0.07692</td><td>3</td><td></td>" in text
        and "<td>12</td><td>0.08333</td><td>3</td><td>0.5</td>" in text
    )
    history.history["loss"].append(1)  # by somebody else
    assert "History" in history._repr_html_()


def test_nothing_fails_that_is_half_made_or_broken():
    class Broken(Layer):
        def count_params(self):
            raise RuntimeError

        def compute_output_shape(self, shape):
            raise RuntimeError

        def run(self, inputs, tape, node):
            raise RuntimeError

        def run_backward(self, gradients, tape, node, wanted):
            raise RuntimeError

        def get_config(self):
            raise RuntimeError

    class BrokenLoss(losses.Loss):
        def __init__(self, value):
            self.value = self

        def position_values(self, y_true, y_pred, want_gradient):
            raise RuntimeError

        def __eq__(self, other):
            raise RuntimeError

        __hash__ = None

    for thing in (
        Broken(),
        Sequential.__new__(Sequential),
        optimizers.Adam.__new__(optimizers.Adam),
        Dense.__new__(Dense),
        BrokenLoss(1),
        callbacks.EarlyStopping.__new__(callbacks.EarlyStopping),
        Sequential([Broken(), Dense(2)]),
        callbacks.History.__new__(callbacks.History),
    ):
        assert type(thing).__name__ in repr(thing)
    lines = []
    model = Sequential([Broken(), Dense(2)])
    model.summary(print_fn=lines.append)
    assert "0 parameters" in lines[-1] and "2 layers" in lines[-1]
    assert "Broken" in model._repr_html_()


# ---- summary


def lines_of(model):
    lines = []
    model.summary(print_fn=lines.append)
    return lines


@pytest.mark.parametrize(
    ("stack", "counts"),
    [
        (lambda: [Embedding(1000, 16), LSTM(8), Dense(1)], [16000, 800, 9]),
        (lambda: [LSTM(8), Dense(1)], ["?", 9]),
        (
            lambda: [
                Bidirectional(GRU(4), merge_mode="sum"),
                BatchNormalization(),
                Dropout(0.1),
                Dense(3),
            ],
            ["?", 16, 0, 15],
        ),
        (lambda: [RNN(cells.FullGateLSTMCell(3), return_sequences=True), GRU(2)], ["?", 42]),
        (lambda: [Dense(4), Dense(2)], ["?", 10]),
    ],
)
def test_an_unbuilt_model_counts_what_is_known(stack, counts):
    lines = lines_of(Sequential(stack()))
    assert [line.split()[-1].replace(",", "") for line in lines[4:-2]] == [
        str(count) for count in counts
    ]
    known = sum(count for count in counts if count != "?")
    assert f"{known:,} parameters" in lines[-1] and (
        "once the shape of the input is" in lines[-1]
    ) == ("?" in counts)
    model = Sequential(stack())
    model.build((None, 5, 3) if "?" in counts else (None, 5))
    for count, layer in zip(counts, model.layers, strict=True):
        assert count in ("?", layer.count_params())


def test_summary_shows_what_is_trained():
    model = Sequential(
        [
            LSTM(4, input_shape=(6, 2), return_sequences=True, name="first"),
            BatchNormalization(name="norm"),
            Bidirectional(GRU(2), name="both"),
            Dense(1, name="last"),
        ],
        name="net",
    )
    assert lines_of(model)[-1].endswith("8 not trainable")  # the moving averages
    model.layers[0].trainable = False
    model.layers[2].backward_layer.trainable = False
    text = "\n".join(lines_of(model))
    assert (
        "first (LSTM, frozen)" in text
        and "both (Bidirectional, partly frozen)" in text
        and "last (Dense)" in text
    )
    trained = sum(array.size for array in model.trainable_weights)
    assert text.endswith(f"{trained:,} trainable, {model.count_params() - trained:,} not trainable")
    model.trainable = False
    assert "\n0 trainable" in "\n".join(lines_of(model))
