"""GRU on a temperature-like series: dropout everywhere, regularizer, RMSprop, best epoch."""

import numpy as np
from keras.layers import GRU, Dense, Dropout
from keras.models import Sequential
from keras.optimizers import RMSprop
from keras.regularizers import l2

rng = np.random.default_rng(0)
series = np.sin(np.arange(220) / 8) + rng.normal(0, 0.1, 220)
lookback = 20
X = np.array([series[i : i + lookback] for i in range(len(series) - lookback)])[..., None]
y = series[lookback:]

model = Sequential()
model.add(
    GRU(
        16,
        dropout=0.1,
        recurrent_dropout=0.5,
        return_sequences=True,
        input_shape=(None, X.shape[-1]),
    )
)
model.add(
    GRU(16, activation="relu", dropout=0.1, recurrent_dropout=0.5, kernel_regularizer=l2(1e-4))
)
model.add(Dropout(0.2))
model.add(Dense(1))
model.compile(optimizer=RMSprop(learning_rate=0.003), loss="mae")
history = model.fit(
    X[:150], y[:150], epochs=4, batch_size=64, validation_data=(X[150:], y[150:]), verbose=0
)
loss = history.history["loss"]
val_loss = history.history["val_loss"]
epochs = range(1, len(loss) + 1)
best = min(zip(val_loss, epochs))
assert len(loss) == len(val_loss) == 4
assert np.isfinite(best[0])
