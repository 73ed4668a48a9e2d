"""A decision at every step: has the running sum passed a threshold? Many to many, with custom callbacks."""

# ruff: noqa (left as its author would have it)
from random import Random

from keras.callbacks import Callback, LambdaCallback
from keras.layers import LSTM, Dense
from keras.models import Sequential
from numpy import array, cumsum

random = Random(1)


def get_sequence(n_timesteps):
    X = array([random.random() for _ in range(n_timesteps)])
    limit = n_timesteps / 4.0
    y = array([0 if x < limit else 1 for x in cumsum(X)])
    return X, y


class LossHistory(Callback):
    def on_train_begin(self, logs={}):
        self.losses = []

    def on_train_batch_end(self, batch, logs={}):
        self.losses.append(logs.get("loss"))


n_timesteps = 10
pairs = [get_sequence(n_timesteps) for _ in range(50)]
X = array([p[0] for p in pairs]).reshape(50, n_timesteps, 1)
y = array([p[1] for p in pairs]).reshape(50, n_timesteps, 1)
model = Sequential()
model.add(LSTM(20, input_shape=(n_timesteps, 1), return_sequences=True))
model.add(Dense(1, activation="sigmoid"))
model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["acc"])
losses = LossHistory()
seen = []
history = model.fit(
    X,
    y,
    epochs=5,
    batch_size=10,
    verbose=0,
    callbacks=[losses, LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs["loss"]))],
)
assert len(losses.losses) == 25
assert len(seen) == 5
yhat = (model.predict(X[:1], verbose=0) > 0.5).astype("int32")
assert yhat.shape == (1, n_timesteps, 1)
