"""Three networks and the mean of what they say."""

# ruff: noqa (left as its author would have it)
import numpy as np
import keras
from keras import layers


def get_model():
    inputs = keras.Input(shape=(7, 3))
    return keras.Model(inputs, layers.Dense(1)(layers.SimpleRNN(5)(inputs)))


first, second, third = get_model(), get_model(), get_model()
inputs = keras.Input(shape=(7, 3))
outputs = layers.average([first(inputs), second(inputs), third(inputs)])
ensemble = keras.Model(inputs=inputs, outputs=outputs)

rng = np.random.default_rng(4)
x, y = rng.normal(size=(40, 7, 3)), rng.normal(size=40)
ensemble.compile(loss="mse", optimizer=keras.optimizers.Adam(0.01))
ensemble.fit(x, y, epochs=3, batch_size=10, verbose=0)
each = [model.predict(x, verbose=0) for model in (first, second, third)]
np.testing.assert_allclose(ensemble.predict(x, verbose=0), np.mean(each, axis=0), atol=1e-5)
