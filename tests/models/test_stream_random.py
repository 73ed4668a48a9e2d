"""Random stacks of layers: a stream in random blocks gives what predict gives."""

import numpy as np
import pytest

from gatewise import Sequential, layers
from gatewise.errors import ConfigError, ShapeError


class Draw:
    """Random choices of one example."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def of(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def layer(self):
        """A layer that keeps steps, or makes fewer of them."""
        units, padding = self.of(1, 3, 16, 17, 33, 65), self.of("causal", "valid")
        make = self.of(
            lambda: layers.LSTM(units, peepholes=self.of(True, False), zoneout=self.of(0.0, 0.2)),
            lambda: layers.GRU(units, reset_after=self.of(True, False)),
            lambda: layers.SimpleRNN(units, layer_normalization=self.of(True, False)),
            lambda: layers.MinGRU(units),
            lambda: layers.MinLSTM(units),
            lambda: layers.Dense(units, activation=self.of("tanh", "softmax", "relu")),
            layers.LayerNormalization,
            layers.BatchNormalization,
            lambda: layers.PReLU(shared_axes=[1]),
            lambda: layers.Conv1D(units, self.of(1, 3), self.of(1, 2), padding, activation="elu"),
            lambda: layers.Conv1D(units, 2, padding=padding, dilation_rate=self.of(2, 3)),
            lambda: layers.DepthwiseConv1D(self.of(1, 4), self.of(1, 2), padding),
            lambda: layers.SeparableConv1D(units, 2, padding="causal", depth_multiplier=2),
            lambda: layers.MaxPooling1D(self.of(2, 3), self.of(1, 2)),
            lambda: layers.AveragePooling1D(self.of(2, 9), self.of(1, 2)),
        )
        layer = make()
        if not hasattr(layer, "return_sequences"):
            return layer
        options = {"return_sequences": True, "zero_output_for_mask": self.of(None, False)}
        return type(layer).from_config(layer.get_config() | options)

    def stack(self, features):
        end = self.of(layers.LSTM, layers.GlobalMaxPooling1D, layers.GlobalAveragePooling1D, None)
        inner = [self.layer() for _ in range(self.rng.integers(1, 5))]
        inner += [] if end is None else [end(3) if end is layers.LSTM else end()]
        begin = [layers.Masking()] if self.rng.random() < 0.25 else []
        entry = layers.Input((None, features), dtype=self.of("float32", "float64"))
        model = Sequential([entry, *begin, *inner, layers.Dense(2)])
        weights = [abs(self.rng.normal(0, 0.5, a.shape)) + 0.01 for a in model.get_weights()]
        model.set_weights(weights)
        return model


def check(seed):
    """Compare one random model; False: it cannot be made, or cannot be a stream of these rows."""
    draw = Draw(seed)
    features, steps, rows = draw.of(1, 2, 5), draw.of(9, 17, 30), draw.of(1, 1, 2, 5)
    try:
        model = draw.stack(features)
        x = draw.rng.normal(size=(rows, steps, features)).astype(model.dtype)
        x[draw.rng.random((rows, steps)) < 0.3] = 0
        wanted = model.predict(x)
        stream = model.stream(rows)
    except (ConfigError, ShapeError):  # too few steps for its windows; masks and windows
        return False
    whole = stream.process(x)
    if whole.shape[1] == 0:  # without masked steps, too few for the windows
        return False
    if wanted.ndim == 2:
        np.testing.assert_array_equal(whole[:, -1], wanted, str(seed))
    else:
        np.testing.assert_array_equal(whole, wanted[:, : whole.shape[1]], str(seed))
        # behind windows, masked steps leave padding at the end of what predict gives: zeros, or the
        # last output if a layer repeats it
        rest = wanted[:, whole.shape[1] :]
        assert not rest.any() or (rest == whole[:, -1:]).all(), seed
    stream.reset()
    parts, at = [], 0
    while at < steps:
        size = int(draw.rng.integers(0, 6))
        parts.append(stream.process(x[:, at : at + size]))
        at += size
        if at < steps and size:
            y = stream.step(x[:, at])
            parts += [] if y is None else [y[:, None]]
            at += 1
        if size == 3:
            state = stream.state
            stream = model.stream(rows)
            stream.state = state
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole, str(seed))
    return True


@pytest.mark.parametrize(
    ("first", "count"), [(0, 30), pytest.param(1000, 3000, marks=pytest.mark.long)]
)
def test_random_stacks_of_layers(first, count):
    assert sum(check(seed) for seed in range(first, first + count)) > count // 2
