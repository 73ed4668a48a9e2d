"""Texts of sentences of words: one network reads each sentence, another one the text."""

# ruff: noqa (left as its author would have it)
import numpy as np
import keras
from keras import layers

sentences, words, vocabulary = 3, 6, 20
sentence = keras.Input(shape=(words,), name="sentence")
x = layers.Embedding(vocabulary, 5, mask_zero=True)(sentence)
x = layers.Bidirectional(layers.GRU(4))(x)
reader = keras.Model(sentence, x, name="reader")

text = keras.Input(shape=(sentences, words), name="text")
x = layers.TimeDistributed(reader)(text)
x = layers.LSTM(6)(x)
model = keras.Model(text, layers.Dense(1, activation="sigmoid")(x))

rng = np.random.default_rng(9)
texts = rng.integers(1, vocabulary, size=(60, sentences, words))
lengths = rng.integers(1, words + 1, size=(60, sentences))
texts[np.arange(words) >= lengths[..., None]] = 0
model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
model.fit(texts, texts[:, 0, 0] % 2, epochs=2, batch_size=20, verbose=0)
model.evaluate(texts, texts[:, 0, 0] % 2, verbose=0)
assert reader.predict(texts[:, 0], verbose=0).shape == (60, 8)
