"""Several steps ahead, from two series in parallel, with stacked LSTMs."""

# ruff: noqa (left as its author would have it)
from keras.layers import LSTM, Dense, Dropout
from keras.models import Sequential
from numpy import array, hstack


def split_sequences(sequences, n_steps_in, n_steps_out):
    X, y = list(), list()
    for i in range(len(sequences)):
        end_ix = i + n_steps_in
        out_end_ix = end_ix + n_steps_out - 1
        if out_end_ix > len(sequences):
            break
        X.append(sequences[i:end_ix, :-1])
        y.append(sequences[end_ix - 1 : out_end_ix, -1])
    return array(X), array(y)


in_seq1 = array([10, 20, 30, 40, 50, 60, 70, 80, 90]) / 100.0
in_seq2 = array([15, 25, 35, 45, 55, 65, 75, 85, 95]) / 100.0
out_seq = array([in_seq1[i] + in_seq2[i] for i in range(len(in_seq1))])
dataset = hstack([s.reshape((len(s), 1)) for s in (in_seq1, in_seq2, out_seq)])
n_steps_in, n_steps_out = 3, 2
X, y = split_sequences(dataset, n_steps_in, n_steps_out)
n_features = X.shape[2]

model = Sequential()
model.add(LSTM(30, activation="relu", return_sequences=True, input_shape=(n_steps_in, n_features)))
model.add(Dropout(0.0))
model.add(LSTM(20, activation="relu"))
model.add(Dense(n_steps_out))
model.compile(optimizer="adam", loss="mse", metrics=["mae"])
model.summary()
history = model.fit(X, y, epochs=40, verbose=0)
yhat = model.predict(X[-1:], verbose=0)
assert yhat.shape == (1, 2)
