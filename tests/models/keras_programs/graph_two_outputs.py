"""Questions to a help desk: a title, a text and tags in, how urgent it is and who answers out."""

# ruff: noqa (left as its author would have it)
import numpy as np
import keras
from keras import layers

num_tags, num_words, num_desks = 5, 60, 4

title = keras.Input(shape=(None,), name="title")
body = keras.Input(shape=(None,), name="body")
tags = keras.Input(shape=(num_tags,), name="tags")
title_vectors = layers.Embedding(num_words, 8)(title)
body_vectors = layers.Embedding(num_words, 8)(body)
title_features = layers.LSTM(10)(title_vectors)
body_features = layers.LSTM(6)(body_vectors)
x = layers.concatenate([title_features, body_features, tags])
urgent = layers.Dense(1, name="urgent")(x)
desk = layers.Dense(num_desks, name="desk")(x)
model = keras.Model(inputs=[title, body, tags], outputs={"urgent": urgent, "desk": desk})
model.summary()

rng = np.random.default_rng(1)
titles, bodies = rng.integers(num_words, size=(64, 5)), rng.integers(num_words, size=(64, 12))
marks = rng.integers(2, size=(64, num_tags)).astype("float32")
urgencies = rng.random((64, 1))
desks = np.eye(num_desks)[rng.integers(num_desks, size=64)]

model.compile(
    optimizer=keras.optimizers.RMSprop(1e-3),
    loss=[
        keras.losses.BinaryCrossentropy(from_logits=True),
        keras.losses.CategoricalCrossentropy(from_logits=True),
    ],
    loss_weights=[1.0, 0.2],
)
# or by name, which is how it is trained
model.compile(
    optimizer=keras.optimizers.RMSprop(1e-3),
    loss={
        "urgent": keras.losses.BinaryCrossentropy(from_logits=True),
        "desk": keras.losses.CategoricalCrossentropy(from_logits=True),
    },
    loss_weights={"urgent": 1.0, "desk": 0.2},
)
model.fit(
    {"title": titles, "body": bodies, "tags": marks},
    {"urgent": urgencies, "desk": desks},
    epochs=2,
    batch_size=16,
    verbose=0,
)
numbers = model.evaluate(
    [titles, bodies, marks], {"urgent": urgencies, "desk": desks}, verbose=0, return_dict=True
)
assert set(numbers) == {"loss", "urgent_loss", "desk_loss"}
found = model.predict({"title": titles, "body": bodies, "tags": marks}, verbose=0)
assert found["urgent"].shape == (64, 1) and found["desk"].shape == (64, num_desks)
