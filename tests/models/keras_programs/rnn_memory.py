"""A SimpleRNN without input_shape, class and sample weights, train_on_batch, saving and loading."""

import os
import tempfile

import numpy as np
from keras import Sequential
from keras.layers import Activation, Dense, Flatten, SimpleRNN
from keras.models import load_model
from keras.optimizers import SGD

rng = np.random.default_rng(5)
X = rng.normal(size=(64, 7, 3)).astype("float32")
y = (X[:, 0, 0] > 0.3).astype("int32")
model = Sequential(
    [
        SimpleRNN(12, return_sequences=True),
        Flatten(),
        Dense(8, activation="tanh"),
        Dense(2),
        Activation("softmax"),
    ]
)
model.compile(
    optimizer=SGD(learning_rate=0.05, momentum=0.9, nesterov=True),
    loss="sparse_categorical_crossentropy",
)
history = model.fit(X, y, epochs=4, batch_size=16, verbose=0, class_weight={0: 1.0, 1: 2.0})
history = model.fit(
    X,
    y,
    epochs=6,
    initial_epoch=4,
    batch_size=16,
    verbose=0,
    sample_weight=np.linspace(0.5, 1.5, 64),
)
loss = model.train_on_batch(X[:16], y[:16])
assert np.isfinite(loss)
path = os.path.join(tempfile.mkdtemp(), "model.keras")
model.save(path)
restored = load_model(path)
os.remove(path)
os.rmdir(os.path.dirname(path))
np.testing.assert_allclose(
    restored.predict(X, verbose=0), model.predict(X, verbose=0), rtol=1e-5, atol=1e-6
)
