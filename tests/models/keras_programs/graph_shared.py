"""One layer for two inputs: how alike two sentences are."""

# ruff: noqa (left as its author would have it)
import numpy as np
from keras import Input, Model, layers

left = Input(shape=(None,), dtype="int32", name="left")
right = Input(shape=(None,), dtype="int32", name="right")
words = layers.Embedding(40, 6, mask_zero=True)
reader = layers.LSTM(8)
a, b = reader(words(left)), reader(words(right))
product = layers.multiply([a, b])
distance = layers.subtract([a, b])
x = layers.Concatenate()([a, b, product, distance])
x = layers.Dense(8, activation="tanh")(x)
alike = layers.Dense(1, activation="sigmoid")(x)
model = Model([left, right], alike)
assert len([layer for layer in model.layers if layer.name.startswith("lstm")]) == 1

rng = np.random.default_rng(5)
firsts = [rng.integers(1, 40, (50, 6)), rng.integers(1, 40, (50, 9))]
for array in firsts:  # padding at the end
    for row, length in zip(array, rng.integers(2, array.shape[1] + 1, 50)):
        row[length:] = 0
labels = rng.integers(2, size=50)
model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
model.fit(firsts, labels, epochs=2, batch_size=10, validation_split=0.2, verbose=0)
model.evaluate(firsts, labels, verbose=0)
