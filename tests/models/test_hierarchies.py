"""Models of whole numbers inside TimeDistributed: texts of sentences of words."""

import numpy as np
import pytest

from gatewise import Model, Sequential, load_model
from gatewise.errors import ConfigError, DTypeError, ShapeError
from gatewise.layers import (
    GRU,
    LSTM,
    Concatenate,
    Dense,
    Embedding,
    Flatten,
    GlobalAveragePooling1D,
    Input,
    Masking,
    TimeDistributed,
)
from gatewise.testing import check_gradients

SENTENCES = [4, 1, 2, 3]
WORDS = np.random.default_rng(0).integers(0, 6, (4, 4))
TEXTS = np.random.default_rng(1).integers(1, 9, (4, 4, 6))
TEXTS[np.arange(6) >= WORDS[..., None]] = 0


def reader_of(dtype="float32", read=LSTM):
    sentence = Input((None,), dtype=dtype)
    return Model(sentence, read(4)(Embedding(9, 3, mask_zero=True)(sentence)), seed=1)


def text_model(reader, dtype="float32"):
    text = Input((None, None), dtype=dtype)
    return Model(text, Dense(2)(GRU(3)(TimeDistributed(reader)(text))), seed=0)


def test_words_that_are_zero_count_in_nothing():
    reader = reader_of()
    model = text_model(reader)
    found = model.predict(TEXTS, lengths=SENTENCES)
    gru, dense = model.layers[-2:]
    for text, sentences, words, row in zip(TEXTS, SENTENCES, WORDS, found):
        codes = [
            reader.predict(sentence[None, :count])[0] if count else np.zeros(4, "float32")
            for sentence, count in zip(text[:sentences], words)
        ]
        np.testing.assert_array_equal(dense(gru(np.stack(codes)[None]))[0], row)
    np.testing.assert_array_equal(model.predict(TEXTS[2:3, :2])[0], found[2])
    ragged = [text[:sentences] for text, sentences in zip(TEXTS, SENTENCES)]
    np.testing.assert_array_equal(model.predict(ragged), found)


def test_words_may_be_zero_anywhere():
    model = text_model(reader_of())
    holes, front = TEXTS.copy(), TEXTS.copy()
    holes[0, 0], front[0, 0] = [1, 0, 2, 0, 0, 3], [1, 2, 3, 0, 0, 0]
    np.testing.assert_array_equal(model.predict(holes), model.predict(front))


def test_gradients():
    model = text_model(reader_of("float64"), "float64")
    model.compile("sgd", "mse")
    y = np.random.default_rng(2).normal(size=(4, 2))
    check_gradients(model, TEXTS, y=y, lengths=SENTENCES)


def test_files_and_runs(tmp_path):
    models = [text_model(reader_of()) for _ in range(2)]
    y = np.random.default_rng(2).normal(size=(4, 2))
    for model in models:
        model.compile("adam", "mse")
    models[0].fit(TEXTS, y, epochs=2, batch_size=2, verbose=0)
    models[1].fit(TEXTS, y, epochs=1, batch_size=2, verbose=0)
    models[1].save(tmp_path / "run")
    loaded = load_model(tmp_path / "run")
    np.testing.assert_array_equal(loaded.predict(TEXTS), models[1].predict(TEXTS))
    loaded.fit(TEXTS, y, epochs=2, batch_size=2, verbose=0, resume_from=tmp_path / "run")
    assert loaded.flat_parameters.tobytes() == models[0].flat_parameters.tobytes()


def test_it_may_begin_a_sequential():
    reader = reader_of(read=lambda units: GlobalAveragePooling1D())
    model = Sequential([TimeDistributed(reader), LSTM(3)], seed=0)
    assert model.input_shape == (None, None, None)
    assert model.predict(TEXTS).shape == (4, 3)
    letters = Sequential([TimeDistributed(Embedding(9, 2)), TimeDistributed(Flatten()), LSTM(3)])
    assert letters.predict(TEXTS).shape == (4, 3)


def test_what_cannot_be_read_is_refused():
    text = Input((None, 6))
    with pytest.raises(ConfigError, match="the mask would be lost; give TimeDistributed a Model"):
        TimeDistributed(Embedding(9, 3, mask_zero=True))(text)
    with pytest.raises(ConfigError, match="the mask would be lost"):
        TimeDistributed(Masking())(Input((None, 6, 2)))
    with pytest.raises(ConfigError, match="reads values that only an Input has"):
        TimeDistributed(reader_of())(Dense(6)(text))
    model = text_model(reader_of())
    with pytest.raises(ShapeError, match=r"x holds 9 at index \(1, 0, 2\); layer 'embedding"):
        wrong = TEXTS.copy()
        wrong[1, 0, 2] = 9
        model.predict(wrong)
    with pytest.raises(DTypeError, match="whole numbers"):
        model.predict(TEXTS + 0.5)


def test_an_input_may_be_read_step_by_step_and_whole():
    x = Input((5, 3))
    y = Concatenate()([TimeDistributed(Dense(2))(x), LSTM(2, return_sequences=True)(x)])
    model = Model(x, y)
    assert model.predict(np.ones((2, 5, 3), "float32"), verbose=0).shape == (2, 5, 4)
