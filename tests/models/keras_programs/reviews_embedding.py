"""Words as numbers, padded in front and masked.

An embedding, both directions, one answer a text.
"""

import numpy as np
from keras.layers import LSTM, Bidirectional, Dense, Embedding
from keras.models import Sequential
from keras.utils import pad_sequences

vocabulary_size = 40
rng = np.random.RandomState(1)
texts = [list(rng.randint(1, vocabulary_size, size=rng.randint(3, 15))) for _ in range(90)]
labels = np.array([int(7 in t or 21 in t or 30 in t) for t in texts])
x = pad_sequences(texts, maxlen=12)
x_train, y_train, x_val, y_val = x[:70], labels[:70], x[70:], labels[70:]

model = Sequential()
model.add(Embedding(vocabulary_size, 8, mask_zero=True))
model.add(Bidirectional(LSTM(6, return_sequences=True)))
model.add(Bidirectional(LSTM(5), merge_mode="ave"))
model.add(Dense(1, activation="sigmoid"))
model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
history = model.fit(
    x_train, y_train, batch_size=16, epochs=4, validation_data=(x_val, y_val), verbose=0
)
score, acc = model.evaluate(x_val, y_val, batch_size=16, verbose=0)
print("Test score:", score, "accuracy:", acc)
