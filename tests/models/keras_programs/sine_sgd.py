"""The whole road with plain SGD settings and global clipping.

A noisy sine, rank 2 input, mean absolute error.
"""

import numpy as np
from keras.layers import GRU, LSTM, Dense
from keras.models import Sequential
from keras.optimizers import SGD

rng = np.random.default_rng(11)
wave = np.sin(np.arange(150) * 0.2) + rng.normal(0, 0.05, 150)
window = 10
X = np.array([wave[i : i + window] for i in range(len(wave) - window)])
y = np.array([wave[i + window] for i in range(len(wave) - window)])
split = int(0.8 * len(X))

model = Sequential()
model.add(
    GRU(
        8,
        reset_after=False,
        recurrent_activation="hard_sigmoid",
        return_sequences=True,
        input_shape=(window, 1),
    )
)
model.add(LSTM(8, go_backwards=True, unit_forget_bias=False, kernel_initializer="he_normal"))
model.add(Dense(1, kernel_regularizer="l2"))
model.compile(
    optimizer=SGD(learning_rate=0.1, momentum=0.5, global_clipnorm=0.5),
    loss="mae",
    metrics=["mse", "mae"],
)
history = model.fit(
    X[:split], y[:split], epochs=5, batch_size=20, validation_data=(X[split:], y[split:]), verbose=0
)
loss, mse, mae = model.evaluate(X[split:], y[split:], verbose=0)
predicted = model.predict(X[split:], verbose=0).flatten()
assert abs(np.mean((predicted - y[split:]) ** 2) - mse) < 1e-4
assert abs(np.mean(np.abs(predicted - y[split:])) - mae) < 1e-4
