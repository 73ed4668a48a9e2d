"""A question asked of a sequence: attention, residual paths, and a graph inside TimeDistributed."""

# ruff: noqa (left as its author would have it)
import numpy as np
from keras.layers import GRU, Add, Attention, Concatenate, Dense, Flatten, Input, TimeDistributed
from keras.models import Model

frame = Input((4, 3))
x = Dense(5, activation="relu")(frame)
eye = Model(frame, Dense(6)(Flatten()(x)), name="eye")

frames = Input((7, 4, 3), name="frames")
question = Input((2, 6), name="question")
seen = TimeDistributed(eye)(frames)
memory = GRU(6, return_sequences=True)(seen)
memory = Add()([memory, seen])
asked = Attention()([question, memory])
answer = Dense(2, name="answer")(Flatten()(Concatenate()([asked, question])))
count = Dense(1, name="count")(Flatten()(memory))
model = Model(inputs=[frames, question], outputs=[answer, count])

rng = np.random.default_rng(8)
given = [rng.normal(size=(30, 7, 4, 3)), rng.normal(size=(30, 2, 6))]
wanted = [rng.normal(size=(30, 2)), rng.normal(size=(30, 1))]
model.compile("adam", loss=["mse", "mae"], loss_weights=[1.0, 0.5], metrics=[["mae"], ["mse"]])
model.fit(given, wanted, epochs=2, batch_size=10, verbose=0)
model.evaluate(given, wanted, verbose=0)
