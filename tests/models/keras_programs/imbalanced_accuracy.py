"""A rare class: class_weight against the imbalance, accuracy watched."""

import numpy as np
from keras.layers import GRU, Dense
from keras.models import Sequential

rng = np.random.default_rng(2)
X = rng.normal(size=(100, 6, 2))
y = (X[:, :, 0].sum(axis=1) > 2.5).astype(int)
weights = {0: 1.0, 1: len(y) / y.sum()}
model = Sequential()
model.add(GRU(8, input_shape=(6, 2)))
model.add(Dense(1, activation="sigmoid"))
model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
history = model.fit(
    X[:80],
    y[:80],
    epochs=5,
    batch_size=20,
    class_weight=weights,
    verbose=0,
    validation_data=(X[80:], y[80:]),
)
