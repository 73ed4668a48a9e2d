"""A cosine learned by a stateful LSTM: batch_input_shape, one epoch a call, reset_states between them."""

# ruff: noqa (left as its author would have it)
import numpy as np
from keras.layers import LSTM, Dense
from keras.models import Sequential

tsteps, batch_size, epochs = 1, 5, 4
t = np.arange(100)
cos = np.cos(2 * np.pi * t / 25) * np.exp(-0.005 * t)
cos = cos.reshape(100, 1, 1)
expected_output = np.zeros((len(cos), 1))
for i in range(len(cos) - 1):
    expected_output[i, 0] = np.mean(cos[i + 1 : i + 2])

model = Sequential()
model.add(LSTM(12, batch_input_shape=(batch_size, tsteps, 1), return_sequences=True, stateful=True))
model.add(LSTM(12, return_sequences=False, stateful=True))
model.add(Dense(1))
model.compile(loss="mse", optimizer="rmsprop")
losses = []


def batches():
    for i in range(0, 100, batch_size):
        yield cos[i : i + batch_size], expected_output[i : i + batch_size]


for i in range(epochs):
    history = model.fit(batches(), steps_per_epoch=20, verbose=0, epochs=1, shuffle=False)
    losses.append(history.history["loss"][0])
    model.reset_states()
predicted_output = model.predict(batches(), steps=20)
assert predicted_output.shape == (100, 1)
