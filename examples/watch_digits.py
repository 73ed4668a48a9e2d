"""Watch a digit move in noise: which one it is, and in which of eight directions it goes.

    python examples/watch_digits.py            convolutions of each image, then an LSTM
    python examples/watch_digits.py convlstm   an LSTM whose products are convolutions

Takes some minutes; a number after the network is how many images to use. Needs scikit-learn.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "data"))
try:
    from moving_digits import FRAME, STEPS, parts
except ImportError as error:
    say = "this example needs scikit-learn ({}); install it: python -m pip install '.[sklearn]'"
    raise SystemExit(say.format(error)) from error
from gatewise import layers, models, optimizers, schedules
from gatewise.layers import TimeDistributed as Each

REPEATS = 14  # different videos of each image: a network learns the images of fewer by heart
EPOCHS, BATCH, RATE = 2, 32, 0.004
UNITS = {"lstm": 64, "convlstm": 16}


def network(name, units, seed=0):
    """A model of one input and two outputs."""
    frames = layers.Input((STEPS, FRAME, FRAME, 1))
    z = Each(layers.Conv2D(24, 5, strides=2, padding="same"))(frames)
    z = Each(layers.Activation("relu"))(Each(layers.BatchNormalization())(z))
    if name == "convlstm":
        z = layers.ConvLSTM2D(units, 3, padding="same", return_sequences=True)(z)
        z = Each(layers.BatchNormalization())(z)
    z = Each(layers.GlobalMaxPooling2D())(Each(layers.Conv2D(64, 3, activation="relu"))(z))
    what = where = layers.Dropout(0.2)(z)
    if name == "lstm":
        what = layers.LSTM(units, return_sequences=True)(what)
        where = Each(layers.Flatten())(Each(layers.AveragePooling2D(4))(frames))
        where = layers.LSTM(units, return_sequences=True)(where)
    what, where = (layers.GlobalAveragePooling1D()(z) for z in (what, where))
    heads = [layers.Dense(10, "softmax", name="digit")(what)]
    heads += [layers.Dense(8, "softmax", name="direction")(where)]
    return models.Model(frames, heads, seed=seed)


def main(name="lstm", count=None):
    (x, y), (test_x, test_y) = parts(count and int(count), REPEATS)
    model = network(name, UNITS[name])
    rate = schedules.CosineDecay(RATE, EPOCHS * -(-len(x) // BATCH))
    model.compile(optimizers.Adam(rate), "sparse_categorical_crossentropy")
    model.fit(x, y, batch_size=BATCH, epochs=EPOCHS)
    for output, scores, truth in zip(model.output_names, model.predict(test_x), test_y):
        print(f"{output}: {(scores.argmax(1) == truth).mean():.1%} of {len(truth)} videos")


if __name__ == "__main__":
    main(*sys.argv[1:])
