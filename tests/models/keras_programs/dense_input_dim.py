"""Windows into a plain network, with input_dim, as older programs write it."""

import numpy as np
from keras.layers import Dense
from keras.models import Sequential

raw_seq = np.arange(10, 100, 10)
X = np.array([raw_seq[i : i + 3] for i in range(6)]) / 100
y = raw_seq[3:] / 100
model = Sequential()
model.add(Dense(20, activation="relu", input_dim=3))
model.add(Dense(1))
model.compile(optimizer="adam", loss="mse")
history = model.fit(X, y, epochs=20, verbose=0)
yhat = model.predict(np.array([[0.7, 0.8, 0.9]]), verbose=0)
assert yhat.shape == (1, 1)
