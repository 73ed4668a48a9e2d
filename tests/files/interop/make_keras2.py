"""Makes the files of Keras 2 that the tests of gatewise.interop.keras read.

    python tests/files/interop/make_keras2.py

Written by TensorFlow 2.15 and Keras 2.15, in the .h5 format: a Sequential and a functional model,
weights alone, layers for GPUs, with inputs and what the models return.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow import keras

HERE = Path(__file__).resolve().parent
layers = keras.layers


def fill(model, rng):
    for weight in model.weights:
        low = 0.1 if "variance" in weight.name else -0.7
        weight.assign(rng.uniform(low, 0.7, weight.shape))


def sequential():
    return keras.Sequential(
        [
            layers.Embedding(9, 4, mask_zero=True, input_length=6),
            layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
            layers.GRU(
                3, reset_after=False, recurrent_activation="hard_sigmoid", return_sequences=True
            ),
            layers.TimeDistributed(layers.Dense(3, activation="relu")),
            layers.GRU(2),
            layers.Dense(2, activation="softmax"),
        ]
    )


def functional():
    x, h = keras.Input((6, 4), name="x"), keras.Input((3,), name="h")
    y, state = layers.GRU(3, return_sequences=True, return_state=True, name="first")(
        x, initial_state=h
    )
    inner = keras.Sequential(
        [keras.Input((3,)), layers.Dense(3), layers.BatchNormalization(), layers.Dense(2)],
        name="inner",
    )
    y = layers.Add()([y, layers.Dropout(0.1)(y)])
    y = layers.LSTM(3, name="second")(y)
    return keras.Model([x, h], [inner(y), layers.LeakyReLU(0.2)(inner(state))])


def for_gpus():
    old = tf.compat.v1.keras.layers
    return keras.Sequential(
        [
            keras.Input((6, 4)),
            old.CuDNNLSTM(3, return_sequences=True),
            old.CuDNNGRU(2),
        ]
    )


def main():
    rng, expected = np.random.default_rng(0), {}
    tokens = rng.integers(1, 9, (2, 6))
    model = sequential()
    model.build((None, 6))
    fill(model, rng)
    expected |= {"tokens": tokens, "sequential": model.predict(tokens, verbose=0)}
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    model.save(HERE / "keras2_sequential.h5")
    model.save_weights(str(HERE / "keras2_weights.h5"))

    model = functional()
    fill(model, rng)
    x, h = rng.normal(size=(2, 6, 4)).astype("float32"), rng.normal(size=(2, 3)).astype("float32")
    a, b = model.predict([x, h], verbose=0)
    expected |= {"x": x, "h": h, "functional_0": a, "functional_1": b}
    model.save(HERE / "keras2_functional.h5")

    model = for_gpus()
    fill(model, rng)
    model.save(HERE / "keras2_gpu.h5")
    same = keras.Sequential(
        [keras.Input((6, 4)), layers.LSTM(3, return_sequences=True), layers.GRU(2)]
    )
    same.load_weights(HERE / "keras2_gpu.h5")
    expected["gpu"] = same.predict(x, verbose=0)
    np.savez(HERE / "keras2_expected.npz", **expected)


if __name__ == "__main__":
    main()
