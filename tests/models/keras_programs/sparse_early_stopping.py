"""Three kinds of waves, class numbers as targets, Input, early stopping on a validation split."""

import numpy as np
from keras import layers, models, optimizers
from keras.callbacks import EarlyStopping

rng = np.random.default_rng(3)
n, steps = 120, 16
labels = rng.integers(0, 3, n)
t = np.arange(steps)
waves = np.stack([np.sin(t / 2), np.sign(np.sin(t / 2)), t % 4 / 2 - 1])
x = (waves[labels] + rng.normal(0, 0.1, (n, steps)))[..., np.newaxis]

model = models.Sequential(
    [
        layers.Input(shape=(steps, 1)),
        layers.GRU(16),
        layers.Dense(16, activation="relu"),
        layers.Dense(3, activation="softmax"),
    ]
)
model.compile(
    optimizer=optimizers.Adam(learning_rate=0.01, clipnorm=1.0),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
model.summary()
early_stopping = EarlyStopping(monitor="val_loss", patience=2, restore_best_weights=True)
history = model.fit(
    x, labels, epochs=8, batch_size=16, validation_split=0.2, callbacks=[early_stopping]
)
test_loss, test_acc = model.evaluate(x[-24:], labels[-24:], verbose=0)
assert abs(min(history.history["val_loss"]) - test_loss) < 1e-4
predicted = model.predict(x).argmax(axis=1)
assert predicted.shape == (n,)
assert sorted(history.history.keys()) == ["accuracy", "loss", "val_accuracy", "val_loss"]
