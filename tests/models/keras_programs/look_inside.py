"""Gates cut out of get_weights, the same numbers from NumPy, set_weights into a copy."""

import numpy as np
from keras.layers import LSTM, Dense
from keras.models import Sequential


def build_model():
    model = Sequential()
    model.add(LSTM(6, input_shape=(5, 2), name="lstm_layer"))
    model.add(Dense(1, name="output"))
    model.compile("sgd", "mse")
    return model


rng = np.random.default_rng(0)
x, y = rng.normal(size=(40, 5, 2)), rng.normal(size=(40, 1))
model = build_model()
history = model.fit(x, y, epochs=3, batch_size=8, verbose=0)

W, U, b = model.get_layer("lstm_layer").get_weights()
units = int(int(W.shape[1]) / 4)
W_i, W_f, W_c, W_o = (W[:, units * k : units * (k + 1)] for k in range(4))
U_i, U_f, U_c, U_o = (U[:, units * k : units * (k + 1)] for k in range(4))
b_i, b_f, b_c, b_o = (b[units * k : units * (k + 1)] for k in range(4))


def sigmoid(v):
    return 1 / (1 + np.exp(-v))


h, c = np.zeros((40, units)), np.zeros((40, units))
for t in range(5):
    i = sigmoid(x[:, t] @ W_i + h @ U_i + b_i)
    f = sigmoid(x[:, t] @ W_f + h @ U_f + b_f)
    c = f * c + i * np.tanh(x[:, t] @ W_c + h @ U_c + b_c)
    h = sigmoid(x[:, t] @ W_o + h @ U_o + b_o) * np.tanh(c)
kernel, bias = model.layers[1].get_weights()
np.testing.assert_allclose(model.predict(x, verbose=0), h @ kernel + bias, rtol=1e-3, atol=1e-5)

inference = build_model()
inference.set_weights(model.get_weights())
np.testing.assert_allclose(
    inference.predict(x[:1], verbose=0), model.predict(x, verbose=0)[:1], rtol=1e-4, atol=1e-6
)
assert model.count_params() == 4 * (2 + 6 + 1) * 6 + 7
