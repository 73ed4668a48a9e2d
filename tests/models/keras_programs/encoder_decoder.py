"""A sum spelt out: digits of two numbers in, digits of their sum out. Many to many of other lengths."""

# ruff: noqa (left as its author would have it)
import numpy as np
from keras.layers import LSTM, Dense, Input, RepeatVector
from keras.models import Sequential

alphabet = "0123456789+ "
rng = np.random.default_rng(3)


def encode(strings):
    return np.array([[[c == a for a in alphabet] for c in s] for s in strings], dtype="float32")


pairs = rng.integers(0, 100, (60, 2))
questions = [f"{a}+{b}".ljust(5)[::-1] for a, b in pairs]
answers = [str(a + b).ljust(3) for a, b in pairs]
x, y = encode(questions), encode(answers)

model = Sequential(
    [
        Input((5, len(alphabet))),
        LSTM(24),
        RepeatVector(3),
        LSTM(24, return_sequences=True),
        Dense(len(alphabet), activation="softmax"),
    ]
)
model.compile(loss="categorical_crossentropy", optimizer="adam", metrics=["accuracy"])
model.fit(x[:50], y[:50], batch_size=10, epochs=4, validation_data=(x[50:], y[50:]), verbose=0)
model.evaluate(x[50:], y[50:], verbose=0)
assert model.predict(x[50:], verbose=0).shape == (10, 3, len(alphabet))
