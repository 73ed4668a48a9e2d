"""Transfer learning: a frozen base that always runs at inference, then fine tuning."""

# ruff: noqa (left as its author would have it)
import numpy as np
import keras
from keras import layers

image = keras.Input(shape=(12, 12, 3))
x = layers.Conv2D(6, 3, activation="relu")(image)
x = layers.BatchNormalization()(x)
x = layers.MaxPooling2D(2)(x)
x = layers.Conv2D(8, 3, activation="relu")(x)
x = layers.BatchNormalization()(x)
x = layers.Dropout(0.3)(x)
base_model = keras.Model(image, x, name="base")

# Freeze the base_model
base_model.trainable = False

inputs = keras.Input(shape=(12, 12, 3))
# The base model contains batchnorm layers. We want to keep them in inference mode
# when we unfreeze the base model for fine-tuning, so we make sure that the
# base_model is running in inference mode here.
x = base_model(inputs, training=False)
x = keras.layers.GlobalAveragePooling2D()(x)
outputs = keras.layers.Dense(1)(x)
model = keras.Model(inputs, outputs)
model.summary()

rng = np.random.default_rng(5)
images, labels = rng.random((48, 12, 12, 3)), rng.integers(2, size=48)
model.compile(
    optimizer=keras.optimizers.Adam(1e-2),
    loss=keras.losses.BinaryCrossentropy(from_logits=True),
    metrics=[keras.metrics.BinaryAccuracy()],
)
model.fit(images, labels, epochs=2, batch_size=16, validation_split=0.25, verbose=0)

# Unfreeze the base_model. Note that it keeps running in inference mode
# since we passed `training=False` when calling it.
base_model.trainable = True
model.compile(
    optimizer=keras.optimizers.Adam(1e-3),
    loss=keras.losses.BinaryCrossentropy(from_logits=True),
    metrics=[keras.metrics.BinaryAccuracy()],
)
model.fit(images, labels, epochs=2, batch_size=16, validation_split=0.25, verbose=0)
