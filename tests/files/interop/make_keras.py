"""Makes the files of Keras 3 that the tests of gatewise.interop.keras read.

    KERAS_BACKEND=torch python tests/files/interop/make_keras.py

Written by Keras 3.15 on PyTorch 2.13: a Sequential after three steps of Adam, as .keras, .h5 and
.weights.h5, a functional model with operators, states, attention and a model inside, with inputs
and what the models return.
"""

from pathlib import Path

import keras
import numpy as np

HERE = Path(__file__).resolve().parent
layers = keras.layers


def sequential(rng):
    model = keras.Sequential(
        [
            keras.Input((6, 4)),
            layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
            layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)], return_sequences=True),
            layers.TimeDistributed(layers.Dense(3, activation="relu")),
            layers.GRU(2),
            layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    x, y = rng.normal(size=(8, 6, 4)), rng.uniform(size=(8, 2))
    for _ in range(3):
        model.train_on_batch(x, y)
    return model


def functional():
    x, h = keras.Input((6, 4), name="x"), keras.Input((3,), name="h")
    y, state = layers.GRU(3, return_sequences=True, return_state=True)(x, initial_state=h)
    y = layers.MultiHeadAttention(2, 2)(y, y)
    inner = keras.Sequential(
        [keras.Input((3,)), layers.Dense(3), layers.BatchNormalization(), layers.Dense(2)],
        name="inner",
    )
    y = layers.LSTM(3)(y + 2 * y - y * 0.5)
    y = layers.concatenate([inner(y), inner(state), layers.Conv1D(2, 2)(x)[:, -1]])
    return keras.Model({"x": x, "h": h}, [layers.Dense(2)(y), state])


def main():
    keras.utils.set_random_seed(0)
    rng, expected = np.random.default_rng(0), {}
    x, h = rng.normal(size=(2, 6, 4)).astype("float32"), rng.normal(size=(2, 3)).astype("float32")
    model = sequential(rng)
    expected |= {"x": x, "h": h, "sequential": model.predict(x, verbose=0)}
    model.save(HERE / "keras3_sequential.keras")
    model.save(HERE / "keras3_sequential.h5")
    model.save_weights(HERE / "keras3.weights.h5")
    model = functional()
    a, b = model.predict({"x": x, "h": h}, verbose=0)
    expected |= {"functional_0": a, "functional_1": b}
    model.save(HERE / "keras3_functional.keras")
    np.savez(HERE / "keras3_expected.npz", **expected)


if __name__ == "__main__":
    main()
