"""Windows shaped for an LSTM, (samples, steps, 1), given to a plain network for comparison."""

import numpy as np
from keras.layers import Dense, Input
from keras.models import Sequential

series = np.sin(np.arange(60) / 3)
X = np.array([series[i : i + 10] for i in range(50)])[..., np.newaxis]
y = series[10:]
model = Sequential([Input(shape=(10,)), Dense(8, activation="relu"), Dense(1)])
model.compile(optimizer="adam", loss="mse")
history = model.fit(X, y, epochs=5, verbose=0)
