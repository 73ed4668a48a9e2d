"""A small network of images with blocks that add their input to their output."""

# ruff: noqa (left as its author would have it)
import numpy as np
import keras
from keras import layers

inputs = keras.Input(shape=(12, 12, 3), name="image")
x = layers.Conv2D(6, 3, activation="relu")(inputs)
x = layers.Conv2D(8, 3, activation="relu")(x)
block_1 = layers.MaxPooling2D(2)(x)

x = layers.Conv2D(8, 3, activation="relu", padding="same")(block_1)
x = layers.Conv2D(8, 3, activation="relu", padding="same")(x)
block_2 = layers.add([x, block_1])

x = layers.Conv2D(8, 3, activation="relu", padding="same")(block_2)
block_3 = x + block_2

x = layers.GlobalAveragePooling2D()(block_3)
x = layers.Dense(12, activation="relu")(x)
x = layers.Dropout(0.0)(x)
model = keras.Model(inputs, layers.Dense(4)(x), name="little_resnet")
model.summary()

rng = np.random.default_rng(2)
images, labels = rng.random((48, 12, 12, 3)), rng.integers(4, size=48)
model.compile(
    optimizer=keras.optimizers.Adam(1e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["acc"],
)
model.fit(images[:40], labels[:40], batch_size=8, epochs=2, validation_split=0.2, verbose=0)
model.evaluate(images[40:], labels[40:], verbose=0)
