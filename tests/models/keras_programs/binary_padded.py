"""Sequences of different lengths, padded, sorted into two kinds.

Sigmoid and binary cross-entropy.
"""

import numpy as np
from keras.layers import LSTM, Dense
from keras.models import Sequential
from keras.utils import pad_sequences

rng = np.random.RandomState(0)
sequences = [list(rng.randint(1, 10, size=rng.randint(2, 9))) for _ in range(80)]
labels = [1 if sum(s) > 25 else 0 for s in sequences]
max_length = 8
X = pad_sequences(sequences, maxlen=max_length)
y = np.array(labels)
X_train, X_test, y_train, y_test = X[:60], X[60:], y[:60], y[60:]
X_train = X_train.reshape((-1, max_length, 1)) / 10
X_test = X_test.reshape((-1, max_length, 1)) / 10

model = Sequential()
model.add(LSTM(20, input_shape=(max_length, 1)))
model.add(Dense(1, activation="sigmoid"))
model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
history = model.fit(
    X_train, y_train, validation_data=(X_test, y_test), epochs=8, batch_size=16, verbose=0
)
loss, acc = model.evaluate(X_test, y_test, verbose=0)
print("Test accuracy:", acc)
probabilities = model.predict(X_test)
assert ((probabilities > 0.5).astype(int).ravel() == y_test).mean() == acc or abs(
    ((probabilities > 0.5).astype(int).ravel() == y_test).mean() - acc
) < 1e-6
