"""Weights of each layer from PyTorch and back, without PyTorch: names, shapes and refusals."""

import warnings

import numpy as np
import pytest

from gatewise import Model, Sequential, ShapeError, layers
from gatewise.errors import CheckpointError, ConfigError, DTypeError, NonFiniteError
from gatewise.interop import torch


def straight(*parts, shape=(None, 3)):
    return Sequential([layers.Input(shape), *parts])


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (layers.LSTM(4, peepholes=True), "peepholes=True; nn.LSTM computes what peepholes=False"),
        (layers.LSTM(4, activation="relu"), "activation='relu'"),
        (layers.LSTM(4, coupled=True), "coupled=True"),
        (layers.LSTM(4, zoneout=0.1), "zoneout="),
        (layers.LSTM(4, layer_normalization=True), "layer_normalization"),
        (layers.LSTM(4, learned_initial_state=True), "learned_initial_state"),
        (layers.GRU(4, reset_after=False), "reset_after=False; nn.GRU"),
        (layers.GRU(4, update="chung"), "update='chung'"),
        (layers.GRU(4, recurrent_activation="hard_sigmoid"), "hard_sigmoid"),
        (layers.SimpleRNN(4, activation="sigmoid"), "activation='tanh' or 'relu'"),
        (layers.Bidirectional(layers.GRU(4, reset_after=False)), "reset_after=False"),
        (layers.MinGRU(4), "MinGRU, has no counterpart"),
        (layers.PReLU(shared_axes=[1]), "PReLU, has no counterpart"),
    ],
)
def test_layers_that_compute_something_else(layer, text):
    with pytest.raises(ConfigError, match=text):
        torch.state_dict(straight(layer))


@pytest.mark.parametrize(
    "layer",
    [
        layers.LSTM(5),
        layers.LSTM(5, use_bias=False, projection=2),
        layers.GRU(5),
        layers.GRU(5, use_bias=False),
        layers.SimpleRNN(5, activation="relu"),
        layers.Bidirectional(layers.LSTM(3)),
        layers.Dense(4),
        layers.TimeDistributed(layers.Dense(4, use_bias=False)),
        layers.LayerNormalization(epsilon=1e-5),
        layers.BatchNormalization(epsilon=1e-5),
        layers.BatchNormalization(epsilon=1e-5, scale=False, center=False),
        layers.Conv1D(4, 2, strides=2),
        layers.RNN([layers.LSTMCell(4), layers.LSTMCell(2)]),
        layers.RNN([layers.GRUCell(4), layers.SimpleRNNCell(2)]),
    ],
    ids=repr,
)
def test_there_and_back_to_the_bit(layer):
    model = straight(layer)
    draw = np.random.default_rng(0)
    model.set_weights([draw.uniform(0.1, 1, w.shape) for w in model.get_weights()])
    source = torch.state_dict(model)
    other = model.get_weights()
    model.set_weights([np.zeros_like(w) for w in other])
    torch.load_state_dict(model, source)
    for read, written in zip(model.get_weights(), other):
        np.testing.assert_array_equal(read, written)
    again = torch.state_dict(model, like=source)
    assert list(again) == list(source)
    assert all((again[name] == source[name]).all() for name in source)


def test_models_inside_have_their_paths():
    inner = Sequential([layers.Input((4, 3)), layers.LSTM(5, name="l")], name="inner")
    x = layers.Input((6, 4, 3))
    model = Model(x, layers.Dense(2, name="d")(layers.TimeDistributed(inner, name="t")(x)))
    source = torch.state_dict(model)
    assert next(iter(source)) == "t.l.weight_ih_l0" and list(source)[-1] == "d.bias"
    torch.load_state_dict(model, {name: array + 1 for name, array in source.items()})
    assert (torch.state_dict(model)["d.bias"] == source["d.bias"] + 1).all()


# ---- which module belongs to which layer


def branches():
    x = layers.Input((3,))
    a, b = layers.Dense(2, name="a")(x), layers.Dense(2, name="b")(x)
    return Model(x, layers.add([a, b]))


def test_what_could_be_exchanged_needs_names():
    model = branches()
    ones, zeros = np.ones((2, 3), "f"), np.zeros(2, "f")
    source = {"p.weight": ones, "p.bias": zeros, "q.weight": 2 * ones, "q.bias": zeros}
    with pytest.raises(ConfigError, match=r"'a' could have the weights of p, q: .*names="):
        torch.load_state_dict(model, source)
    torch.load_state_dict(model, source, names={"b": "p", "a": "q"})
    assert model.get_layer("a").get_weights()[0][0, 0] == 2
    with pytest.raises(ConfigError, match="no layer with weights; there are a, b"):
        torch.load_state_dict(model, source, names={"c": "p"})
    with pytest.raises(ConfigError, match="'r', which is no module that is left; there are p, q"):
        torch.load_state_dict(model, source, names={"a": "r"})
    renamed = {name.replace("p", "b").replace("q", "a"): array for name, array in source.items()}
    torch.load_state_dict(model, renamed)
    assert model.get_layer("a").get_weights()[0][0, 0] == 2


def test_wrappers_of_several_processors_and_entries():
    model = straight(layers.Dense(2), shape=(3,))
    source = torch.state_dict(model)
    wrapped = {f"module.{name}": array + 1 for name, array in source.items()}
    torch.load_state_dict(model, {"state_dict": wrapped, "epoch": 3})
    assert (model.get_weights()[1] == 1).all()


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"lstm.weight_hh_l0": np.zeros((16, 3))}, CheckpointError, "are no recurrent layer"),
        ({"lstm.weight_ih_l0": None}, CheckpointError, "are no recurrent layer"),
        ({"lstm.weight_ih_l0": np.zeros(16)}, CheckpointError, "are no recurrent layer"),
        ({"lstm.weight_ih_l0": np.zeros((12, 3))}, CheckpointError, "are no recurrent layer"),
        ({"lstm.weight_ih_l0": np.zeros((16, 7))}, ShapeError, r"\(16, 7\); the layer needs"),
        ({"lstm.bias_hh_l0": None}, ShapeError, "has no bias_hh, which the layer needs"),
        ({"lstm.weight_hr_l0": np.zeros((2, 4))}, ShapeError, "weight_hr .* does not have"),
        ({"lstm.weight_hh_l0": np.zeros((12, 4))}, CheckpointError, "are no recurrent layer"),
        ({"lstm.bias_hh_l0": np.zeros(16, int)}, DTypeError, "lstm.bias_hh_l0 is int64"),
        ({"lstm.bias_hh_l0": np.full(16, np.nan)}, NonFiniteError, "lstm/bias holds nan"),
        ({"lstm.bias_hh_l0": [0.0] * 16}, DTypeError, "a list; expected a state_dict"),
        ({"more.weight": np.zeros((2, 2))}, ConfigError, "1 layers with weights .*2 modules"),
        ({"more.strange": np.zeros((2, 2))}, CheckpointError, "no module that is known"),
        ({3: np.zeros(2)}, DTypeError, "has 3 as a name"),
    ],
)
def test_refused_and_nothing_changed(change, error, text):
    model = straight(layers.LSTM(4, name="lstm"))
    before = model.get_weights()
    source = {name: np.asarray(array) + 1 for name, array in torch.state_dict(model).items()}
    for name, array in change.items():
        source[name] = array
    source = {name: array for name, array in source.items() if array is not None}
    with pytest.raises(error, match=text):
        torch.load_state_dict(model, source)
    assert all((a == b).all() for a, b in zip(before, model.get_weights()))


def test_sources_that_are_none():
    model = straight(layers.Dense(2), shape=(3,))
    for source, text in (({}, "holds no tensors"), (3, "is a int"), ([1], "is a list")):
        with pytest.raises(DTypeError, match=text):
            torch.load_state_dict(model, source)
    with pytest.raises(ConfigError, match="not built"):
        torch.load_state_dict(Sequential([layers.Dense(2)]), {})


def test_the_epsilon_of_normalisations_is_not_in_a_file():
    model = straight(layers.LayerNormalization(name="n"))
    with pytest.warns(UserWarning, match=r"epsilon=0\.001; PyTorch's default is 1e-05"):
        torch.load_state_dict(model, torch.state_dict(model))
    fitting = straight(layers.LayerNormalization(epsilon=1e-5, name="n"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.load_state_dict(fitting, torch.state_dict(model))


def test_a_flattened_convolution_needs_its_order():
    model = straight(layers.Conv1D(4, 2), layers.Flatten(), layers.Dense(2, name="d"), shape=(5, 3))
    with pytest.raises(ConfigError, match=r'flatten="channels_first" if'):
        torch.state_dict(model)
    with pytest.raises(ConfigError, match="flatten is 'first'; expected 'channels_first' or"):
        torch.state_dict(model, flatten="first")
    kernel = model.get_weights()[2]
    last = torch.state_dict(model, flatten="channels_last")["d.weight"]
    first = torch.state_dict(model, flatten="channels_first")["d.weight"]
    assert (last.T == kernel).all()
    assert (first.reshape(2, 4, 4).transpose(2, 1, 0).reshape(16, 2) == kernel).all()
    before = model.get_weights()
    source = torch.state_dict(model, flatten="channels_first")
    torch.load_state_dict(model, source, flatten="channels_first")
    assert all((a == b).all() for a, b in zip(before, model.get_weights()))


# ---- models made of a state_dict


@pytest.mark.filterwarnings("ignore:a state_dict does not determine:UserWarning")
def test_what_is_made():
    parts = (
        layers.LSTM(4, return_sequences=True, projection=2),
        layers.Bidirectional(layers.GRU(3, use_bias=False)),
        layers.Dense(2, use_bias=False),
    )
    source = torch.state_dict(straight(*parts))
    made = torch.from_state_dict(source, return_sequences=False)
    assert [type(layer) for layer in made.layers] == [type(part) for part in parts]
    assert made.output_shape == (None, 2)
    assert torch.from_state_dict(source).output_shape == (None, None, 2)


def test_what_is_open_is_said():
    source = torch.state_dict(straight(layers.SimpleRNN(4), layers.Dense(2)))
    with pytest.warns(UserWarning, match="activation of an RNN .*; activations between layers"):
        torch.from_state_dict(source)


def test_no_straight_line():
    source = torch.state_dict(branches())
    with pytest.raises(ConfigError, match=r"b reads 3 features, and a before it returns 2"):
        torch.from_state_dict(source)
    with pytest.raises(ConfigError, match=r"a conv2d, is no part"):
        torch.from_state_dict({"c.weight": np.zeros((2, 3, 4, 4), "f")})


def test_names_of_a_new_state_dict():
    parts = (layers.LSTM(4, return_sequences=True, name="a"), layers.LSTM(4, name="b"))
    model = straight(*parts)
    names = torch.state_dict(model, names={"a": "l0", "b": "l1"})
    assert "weight_ih_l0" in names and "bias_hh_l1" in names
    names = torch.state_dict(model, names={"a": "rnn.l0", "b": "rnn.l1"})
    assert "rnn.weight_ih_l0" in names and "rnn.bias_hh_l1" in names
    with pytest.raises(ConfigError, match="names has 'c', which is no layer with weights"):
        torch.state_dict(model, names={"c": "x"})
    with pytest.raises(ConfigError, match="names is a list"):
        torch.state_dict(model, names=["a"])


def test_normalisation_over_several_axes_is_no_linear():
    source = {"n.weight": np.ones((6, 4), "f"), "n.bias": np.ones((6, 4), "f")}
    with pytest.raises(CheckpointError, match="no module that is known"):
        torch.from_state_dict(source)


@pytest.mark.filterwarnings("ignore:a state_dict does not determine:UserWarning")
@pytest.mark.parametrize(("name", "kind"), [("emb", "Embedding"), ("out", "Linear")])
def test_a_matrix_alone(name, kind):
    with pytest.warns(UserWarning, match=f"a matrix alone is taken as an? {kind}"):
        torch.from_state_dict({f"{name}.weight": np.ones((6, 4), "f")})
