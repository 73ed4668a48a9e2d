"""The first program of many courses: a line through six points.

Plain lists of numbers, one unit.
"""

import keras
import numpy as np

model = keras.models.Sequential([keras.layers.Dense(units=1, input_shape=[1])])
model.compile(optimizer="sgd", loss="mean_squared_error")
xs = np.array([-1.0, 0.0, 1.0, 2.0, 3.0, 4.0], dtype=float)
ys = np.array([-3.0, -1.0, 1.0, 3.0, 5.0, 7.0], dtype=float)
history = model.fit(xs, ys, epochs=50, verbose=0)
print(model.predict(np.array([10.0]), verbose=0))
