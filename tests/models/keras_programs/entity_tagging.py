"""A tag for each word of padded sentences.

A Masking layer for measurements, pooling over what counts.
"""

import keras
import numpy as np
from keras import layers

rng = np.random.RandomState(2)
sentences = np.zeros((60, 9), dtype="int32")
for row in sentences:
    length = rng.randint(2, 10)
    row[:length] = rng.randint(1, 30, size=length)
tags = sentences % 4

tagger = keras.models.Sequential(
    [
        keras.Input(shape=(None,), dtype="int32"),
        layers.Embedding(input_dim=30, output_dim=6, mask_zero=True),
        layers.SpatialDropout1D(0.0),
        layers.Bidirectional(layers.GRU(5, return_sequences=True)),
        layers.TimeDistributed(layers.Dense(4, activation="softmax")),
    ]
)
tagger.compile("rmsprop", "sparse_categorical_crossentropy")
tagger.fit(sentences, tags, epochs=3, batch_size=60, verbose=0)

x = rng.normal(size=(40, 8, 3))
for row in x:
    row[rng.randint(3, 9) :] = -1.0
y = x.sum(axis=(1, 2))
model = keras.models.Sequential(
    [
        keras.Input(shape=(8, 3)),
        layers.Masking(mask_value=-1.0),
        layers.LSTM(6, return_sequences=True),
        layers.GlobalAveragePooling1D(),
        layers.Dense(1),
    ]
)
model.compile("adam", "mse", metrics=["mae"])
model.fit(x, y, epochs=3, batch_size=10, validation_split=0.25, verbose=0)
print(model.evaluate(x, y, verbose=0))
