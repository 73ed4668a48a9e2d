"""Two models over one graph of layers, and a model made of models."""

# ruff: noqa (left as its author would have it)
import numpy as np
import keras
from keras import layers

steps, features = 6, 2
signal = keras.Input(shape=(steps, features), name="signal")
x = layers.GRU(12, return_sequences=True)(signal)
code = layers.GRU(4)(x)
encoder = keras.Model(signal, code, name="encoder")
encoder.summary()

x = layers.RepeatVector(steps)(code)
x = layers.GRU(12, return_sequences=True)(x)
restored = layers.TimeDistributed(layers.Dense(features))(x)
autoencoder = keras.Model(signal, restored, name="autoencoder")
autoencoder.summary()

rng = np.random.default_rng(3)
x = np.cumsum(rng.normal(size=(60, steps, features)), axis=1)
autoencoder.compile("adam", "mse")
autoencoder.fit(x, x, epochs=3, batch_size=20, verbose=0)
codes = encoder.predict(x, verbose=0)
assert codes.shape == (60, 4)

# the same, put together from two models as if they were layers
signal = keras.Input(shape=(steps, features), name="another_signal")
encoder = keras.Model(signal, layers.GRU(4)(signal), name="another_encoder")
given = keras.Input(shape=(4,), name="code")
x = layers.RepeatVector(steps)(given)
x = layers.GRU(12, return_sequences=True)(x)
decoder = keras.Model(given, layers.TimeDistributed(layers.Dense(features))(x), name="decoder")
again = keras.Input(shape=(steps, features), name="again")
chained = keras.Model(again, decoder(encoder(again)), name="chained")
chained.compile("sgd", "mse", metrics=["mae"])
x = np.cumsum(rng.normal(size=(60, steps, features)), axis=1)
chained.fit(x, x, epochs=2, batch_size=20, verbose=0)
chained.evaluate(x, x, verbose=0)
np.testing.assert_allclose(
    chained.predict(x, verbose=0),
    decoder.predict(encoder.predict(x, verbose=0), verbose=0),
    atol=1e-5,
)
