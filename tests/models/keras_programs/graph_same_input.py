"""A model whose input is the one that a model inside it was made with."""

# ruff: noqa (left as its author would have it)
import numpy as np
import keras
from keras import layers

inputs = keras.Input(shape=(6,), name="inputs")
x = layers.Dense(5, activation="relu")(inputs)
mean = layers.Dense(2, name="mean")(x)
spread = layers.Dense(2, name="spread")(x)
encoder = keras.Model(inputs, [mean, spread, mean + spread * 0.5], name="encoder")
code = keras.Input(shape=(2,), name="code")
decoder = keras.Model(
    code, layers.Dense(6)(layers.Dense(5, activation="relu")(code)), name="decoder"
)

outputs = decoder(encoder(inputs)[2])
autoencoder = keras.Model(inputs, outputs, name="autoencoder")
autoencoder.compile("adam", "mse")
x = np.random.default_rng(8).normal(size=(40, 6))
autoencoder.fit(x, x, epochs=2, batch_size=10, verbose=0)
codes = encoder.predict(x, verbose=0)[2]
np.testing.assert_allclose(
    decoder.predict(codes, verbose=0), autoencoder.predict(x, verbose=0), atol=1e-6
)
