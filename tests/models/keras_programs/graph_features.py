"""What the layers inside of a trained model say."""

# ruff: noqa (left as its author would have it)
import numpy as np
import keras
from keras import layers

inputs = keras.Input((8, 2), name="series")
x = layers.Bidirectional(layers.LSTM(5, return_sequences=True), name="both")(inputs)
x = layers.LayerNormalization(name="normal")(x)
x = layers.GlobalMaxPooling1D(name="most")(x)
outputs = layers.Dense(3, activation="softmax", name="label")(x)
model = keras.Model(inputs=inputs, outputs=outputs)
model.compile("adam", "sparse_categorical_crossentropy")
rng = np.random.default_rng(6)
x, y = rng.normal(size=(45, 8, 2)), rng.integers(3, size=45)
model.fit(x, y, epochs=2, batch_size=9, verbose=0)

inside = keras.Model(inputs=model.inputs, outputs=[layer.output for layer in model.layers[1:]])
features = inside.predict(x, verbose=0)
assert [part.shape for part in features] == [(45, 8, 10), (45, 8, 10), (45, 10), (45, 3)]
np.testing.assert_allclose(features[-1], model.predict(x, verbose=0), atol=1e-6)
pooled = keras.Model(model.input, model.get_layer("most").output)
np.testing.assert_allclose(pooled.predict(x, verbose=0), features[1].max(axis=1), atol=1e-6)

again = keras.Model.from_config(model.get_config())
assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
again.set_weights(model.get_weights())
np.testing.assert_allclose(again.predict(x, verbose=0), features[-1], atol=1e-6)
