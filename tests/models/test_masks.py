"""Models with masks: masked steps change no output, loss, gradient, metric or training."""

import numpy as np
import pytest
from cases import assert_all_same_bits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatewise.errors import ConfigError, DTypeError, ShapeError
from gatewise.layers import (
    GRU,
    LSTM,
    Bidirectional,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    Input,
    Masking,
    SpatialDropout1D,
    TimeDistributed,
)
from gatewise.models import Sequential, load_model
from gatewise.testing import check_gradients
from gatewise.utils import pad_sequences

HEADS = {
    "last": lambda: [LSTM(4), Dense(1)],
    "both ways": lambda: [
        Bidirectional(GRU(3, return_sequences=True)),
        Bidirectional(LSTM(3), "sum"),
        Dense(1),
    ],
    "mean": lambda: [
        GRU(3, return_sequences=True),
        Dense(3, "tanh"),
        GlobalAveragePooling1D(),
        Dense(1),
    ],
    "max": lambda: [
        TimeDistributed(Dense(3)),
        Bidirectional(LSTM(3, return_sequences=True)),
        GlobalMaxPooling1D(),
        Dense(1),
    ],
    "steps": lambda: [
        LSTM(3, return_sequences=True),
        Dropout(0.0),
        SpatialDropout1D(0.0),
        GRU(3, return_sequences=True),
        Dense(1),
    ],
}
STEPS = 7


def model_of(head, *first, dtype="float64", optimizer="sgd", metrics=("mae",)):
    model = Sequential([*first, *HEADS[head]()], seed=1)
    if dtype == "float64":
        model._set_dtype("float64")
    model.build(
        (None, STEPS, 2) if not first or not isinstance(first[0], Embedding) else (None, STEPS)
    )
    model.compile(optimizer, "mse", list(metrics))
    return model


def problem(rng, per_step, rows=9):
    mask = rng.random((rows, STEPS)) < 0.6
    mask[0], mask[1], mask[2], mask[3] = False, True, np.arange(STEPS) > 2, np.arange(STEPS) < 4
    x = rng.normal(size=(rows, STEPS, 2))
    return x, rng.normal(size=(rows, STEPS, 1) if per_step else (rows, 1)), mask


def moved_by_hand(array, mask, side="post"):
    """The steps that count at one end of their rows, zeros at the other."""
    out = np.zeros_like(array)
    for row, source, flags in zip(out, array, mask):
        count = flags.sum()
        row[slice(None, count) if side == "post" else slice(STEPS - count, None)] = source[flags]
    return out


@pytest.mark.parametrize("head", HEADS)
def test_holes_and_paddings_are_the_same(head, rng):
    """The steps of a row with holes between them, at its front with lengths, and at its end.

    One loss, one gradient.
    """
    per_step = head == "steps"
    model = model_of(head)
    x, y, mask = problem(rng, per_step)
    weights = rng.random(mask.shape) if per_step else rng.random(len(x))
    found = []
    for side in ("post", "pre", None):
        move = (lambda a, side=side: moved_by_hand(a, mask, side)) if side else (lambda a: a)
        w, targets = (move(weights), move(y)) if per_step else (weights, y)
        given = {"lengths": mask.sum(axis=1)} if side == "post" else {"mask": move(mask)}
        loss, mae = model.test_on_batch(move(x), targets, w, **given)
        model.compute_gradients(move(x), targets, w, **given)
        outputs = model.predict(move(x), **given)
        assert_all_same_bits([model(move(x), **given)], [outputs])
        if per_step:
            assert side == "post" or not outputs[~move(mask)].any()
            outputs = outputs[move(mask)]
        found.append([np.array(loss), np.array(mae), model.flat_gradients.copy(), outputs])
    assert_all_same_bits(found[1], found[0])
    assert_all_same_bits(found[2], found[0])


@pytest.mark.parametrize("head", HEADS)
def test_loss_by_hand_and_gradients(head, rng):
    model = model_of(head)
    x, y, mask = problem(rng, head == "steps")
    loss, mae = model.test_on_batch(x, y, mask=mask)
    error = model.predict(x, mask=mask) - y
    counted = error[mask] if head == "steps" else error
    assert loss == pytest.approx((counted**2).mean(), rel=1e-12)  # a mean over what counts
    assert mae == pytest.approx(np.abs(counted).mean(), rel=1e-12)
    assert model.evaluate(x, y, mask=mask, batch_size=4, verbose=0) == pytest.approx(
        [loss, mae], rel=1e-12
    )
    check_gradients(model, x, y=y, mask=mask, max_entries=10)
    check_gradients(
        model, x, y=y, mask=mask, lengths=rng.integers(0, STEPS + 1, len(x)), max_entries=5
    )


@pytest.mark.parametrize("head", HEADS)
def test_masking_layer_and_embedding_make_the_mask(head, rng):
    per_step = head == "steps"
    x, y, mask = problem(rng, per_step)
    x[~mask] = -3
    told, finds = model_of(head), model_of(head, Masking(-3))
    finds.set_weights(told.get_weights())
    assert finds.test_on_batch(x, y) == told.test_on_batch(x, y, mask=mask)
    np.testing.assert_array_equal(finds.predict(x), told.predict(x, mask=mask))
    both = mask & (rng.random(mask.shape) < 0.7)
    np.testing.assert_array_equal(finds.predict(x, mask=both), told.predict(x, mask=both))
    words = np.where(mask, rng.integers(1, 9, mask.shape), 0)
    told, finds = model_of(head, Embedding(9, 2)), model_of(head, Embedding(9, 2, mask_zero=True))
    finds.set_weights(told.get_weights())
    assert finds.test_on_batch(words, y) == told.test_on_batch(words, y, mask=mask)
    assert_all_same_bits(
        [finds.compute_gradients(words, y) or 0, finds.flat_gradients],
        [told.compute_gradients(words, y, mask=mask) or 0, told.flat_gradients],
    )
    assert not finds.layers[0].gradients["embeddings"][0].any()
    check_gradients(finds, words, y=y, max_entries=8)


def test_text_padded_on_either_side(rng):
    """pad_sequences puts zeros in front, as in Keras; lists need none."""
    rows = [rng.integers(1, 20, n).tolist() for n in (3, 1, 7, 5, 2, 6, 7, 4)]
    y, weights, predictions = rng.integers(0, 2, 8), [], []
    for x in (pad_sequences(rows), pad_sequences(rows, padding="post"), rows):
        model = Sequential(
            [Embedding(20, 4, mask_zero=True), Bidirectional(LSTM(3)), Dense(1, "sigmoid")], seed=3
        )
        model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
        model.fit(x, y, epochs=3, batch_size=4, verbose=0)
        weights.append(model.get_weights())
        predictions.append([model.predict(x)])
    assert_all_same_bits(weights[1], weights[0])
    assert_all_same_bits(weights[2], weights[0])
    assert_all_same_bits(predictions[1], predictions[0])
    assert_all_same_bits(predictions[2], predictions[0])


@pytest.mark.parametrize("tbptt_steps", [None, 2])
def test_training_as_if_masked_steps_were_not_there(tbptt_steps, rng):
    """Shuffled, in buckets, validated, cut into parts."""
    x, y, mask = problem(rng, True, 24)
    move = lambda a: moved_by_hand(a, mask)  # noqa: E731
    x[~mask], y[~mask] = 9.0, 9.0
    options = {"epochs": 3, "batch_size": 4, "verbose": 0, "tbptt_steps": tbptt_steps}
    models = [model_of("steps", optimizer="adam") for _ in range(3)]
    histories = [
        models[0]
        .fit(move(x), move(y), lengths=mask.sum(axis=1), validation_split=0.25, **options)
        .history,
        models[1].fit(x, y, mask=mask, validation_split=0.25, **options).history,
        models[2]
        .fit(
            x[:18],
            y[:18],
            mask=mask[:18],
            validation_data=(x[18:], y[18:], None, None, mask[18:]),
            **options,
        )
        .history,
    ]
    assert histories[1] == histories[0] == histories[2]
    assert_all_same_bits(models[1].get_weights(), models[0].get_weights())
    assert_all_same_bits(models[2].get_weights(), models[0].get_weights())


def test_batches_and_memory_maps(rng, tmp_path):
    x, y, mask = problem(rng, True, 12)
    np.save(tmp_path / "x.npy", x)
    options = {"epochs": 2, "verbose": 0}
    models = [model_of("steps", optimizer="adam") for _ in range(3)]
    parts = [slice(first, first + 4) for first in (0, 4, 8)]
    models[0].fit(x, y, mask=mask, batch_size=4, shuffle=False, **options)
    models[1].fit(
        iter([(x[p], y[p], None, None, mask[p]) for p in parts * 2]), steps_per_epoch=3, **options
    )
    models[2].fit(
        np.load(tmp_path / "x.npy", mmap_mode="r"),
        y,
        mask=mask,
        batch_size=4,
        shuffle=False,
        **options,
    )
    x[~mask] = 5.0
    np.save(tmp_path / "marked.npy", x)
    masking = model_of("steps", Masking(5.0), optimizer="adam")
    masking.fit(
        np.load(tmp_path / "marked.npy", mmap_mode="r"), y, batch_size=4, shuffle=False, **options
    )
    for model in (*models[1:], masking):
        assert_all_same_bits(model.get_weights(), models[0].get_weights())
    np.testing.assert_array_equal(
        models[2].predict(np.load(tmp_path / "x.npy", mmap_mode="r"), mask=mask, batch_size=5),
        models[0].predict(x, mask=mask),
    )


@given(st.integers(0, 2**20), st.sampled_from([0.1, 0.5, 0.9]), st.sampled_from([0.1, 0.5]))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_resets_at_masked_steps(seed, counted, cleared):
    """Each direction of a model clears its state before its own next step that counts."""
    rng = np.random.default_rng(seed)
    x, mask = rng.normal(size=(5, STEPS, 2)), rng.random((5, STEPS)) < counted
    resets = rng.random(mask.shape) < cleared
    layers = [
        Bidirectional(LSTM(3, return_sequences=True)),
        GRU(2, return_sequences=True, go_backwards=True),
    ]
    model = Sequential(layers, seed=1)
    model._set_dtype("float64")
    model.build((None, STEPS, 2))
    wanted = x
    for layer in model.layers:
        wanted = layer(wanted, mask=mask, resets=resets)
    np.testing.assert_array_equal(model.predict(x, mask=mask, resets=resets), wanted)
    alone = [
        model.predict(x[b : b + 1], mask=mask[b : b + 1], resets=resets[b : b + 1])[0]
        for b in range(5)
    ]
    np.testing.assert_array_equal(alone, wanted)


def test_a_flatten_sees_steps_where_they_stand(rng):
    x, y, mask = problem(rng, False)
    model = Sequential(
        [
            Input((STEPS, 2), dtype="float64"),
            Masking(9.0),
            LSTM(3, return_sequences=True),
            Dense(2),
            Flatten(),
            Dense(1),
        ],
        seed=1,
    )
    x[~mask] = 9.0
    inside = model.layers[1](x, mask=mask)
    steps = np.where(mask[..., None], model.layers[2](inside), 0)
    wanted = model.layers[4](steps.reshape(len(x), -1))
    np.testing.assert_allclose(model.predict(x), wanted, rtol=1e-12)
    check_gradients(model, x, y=y, loss="mse", max_entries=10)


def test_ctc_reads_the_steps_that_count(rng):
    x, _, mask = problem(rng, True)
    mask[0] = True
    labels = [[0], [1, 2], [1], [2], [0], [1], [1], [2], [0]]
    model = Sequential(
        [LSTM(4, return_sequences=True, input_shape=(STEPS, 2)), Dense(4, "softmax")], seed=1
    )
    model.compile("sgd", "ctc")
    mask[:, :3] = True
    assert model.test_on_batch(x, labels, mask=mask) == model.test_on_batch(
        moved_by_hand(x, mask), labels, lengths=mask.sum(axis=1)
    )


def test_words_in_parts(rng):
    """Truncated back-propagation after an Embedding: parts of the steps that count."""
    mask = rng.random((6, STEPS)) < 0.6
    words = np.where(mask, rng.integers(1, 9, mask.shape), 0)
    weights = []
    for x, given_lengths in ((words, None), (moved_by_hand(words, mask), mask.sum(axis=1))):
        model = Sequential(
            [
                Embedding(9, 3, mask_zero=given_lengths is None),
                LSTM(4, return_sequences=True),
                Dense(1),
            ],
            seed=1,
        )
        model.compile("adam", "mse")
        model.fit(x, x / 9, lengths=given_lengths, tbptt_steps=3, epochs=2, batch_size=4, verbose=0)
        weights.append(model.get_weights())
    assert_all_same_bits(*weights)


def test_class_and_sample_weights(rng):
    x, _, mask = problem(rng, True)
    y, weights = rng.integers(0, 3, mask.shape), rng.random(mask.shape)
    class_weight, found = {0: 1.0, 1: 3.0, 2: 0.5}, []
    for move, steps in (
        (lambda a: a, {"mask": mask}),
        (lambda a: moved_by_hand(a, mask), {"lengths": mask.sum(axis=1)}),
    ):
        model = Sequential(
            [LSTM(4, return_sequences=True, input_shape=(STEPS, 2)), Dense(3, "softmax")], seed=1
        )
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        results = model.train_on_batch(move(x), move(y), move(weights), class_weight, **steps)
        found.append([*map(np.array, results), *model.get_weights()])
    assert_all_same_bits(*found)


def test_files_keep_the_layers_that_mask(tmp_path, rng):
    x, _, mask = problem(rng, False)
    x[~mask] = 2.5
    for first, data in (
        (Masking(2.5, input_shape=(STEPS, 2)), x),
        (Embedding(9, 2, mask_zero=True, input_length=STEPS), np.where(mask, 3, 0)),
    ):
        model = Sequential([first, LSTM(3), Dense(1)], seed=2)
        model.save(tmp_path / "m")
        loaded = load_model(tmp_path / "m")
        assert loaded.layers[0].get_config() == first.get_config()
        np.testing.assert_array_equal(loaded.predict(data), model.predict(data))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda m: m.predict(np.zeros((2, 4, 2)), mask=np.ones((2, 4))),
            DTypeError,
            "mask holds float64 values",
        ),
        (
            lambda m: m.predict(np.zeros((2, 4, 2)), mask=np.ones((2, 5), bool)),
            ShapeError,
            r"expected \(2, 4\), one flag a step",
        ),
        (
            lambda m: m.fit(np.zeros((2, 4, 2)), np.zeros(2), mask=np.ones(2, bool), verbose=0),
            ShapeError,
            r"mask has shape \(2,\)",
        ),
        (
            lambda m: m.fit(iter([]), mask=np.ones((2, 4), bool), verbose=0),
            ConfigError,
            "mask was given beside an x that makes",
        ),
        (
            lambda m: m.fit(
                np.zeros((2, 4, 2)), np.zeros(2), validation_data=(1, 2, 3, 4, 5, 6, 7), verbose=0
            ),
            ConfigError,
            "validation_data: expected .*mask",
        ),
        (
            lambda m: m.fit(iter([(1, 2, 3, 4, 5, 6, 7)]), verbose=0),
            DTypeError,
            "a batch that x gave has 7 parts; expected .*mask",
        ),
    ],
)
def test_wrong_masks(call, error, words):
    model = Sequential([LSTM(3, input_shape=(None, 2)), Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(error, match=words):
        call(model)


def test_where_no_mask_can_be():
    dense = Sequential([Dense(1, input_shape=(3,))])
    with pytest.raises(ConfigError, match="mask was given to a model with no recurrent layer"):
        dense.predict(np.zeros((2, 3)), mask=np.ones((2, 3), bool))
    with pytest.raises(
        ConfigError, match="layer 'm' reads the model's input: it can only be the first layer"
    ):
        Sequential([LSTM(3, return_sequences=True, input_shape=(4, 2)), Masking(name="m")])
    with pytest.raises(ConfigError, match="the mask would be lost"):
        TimeDistributed(Masking()).build((None, 3, 4, 2))


@pytest.mark.parametrize(
    "first",
    [[Masking(), LSTM(3, return_sequences=True)], [Embedding(5, 3, mask_zero=True)]],
    ids=["values", "words"],
)
def test_outputs_are_zero_where_nothing_counts(first, rng):
    """At the ends of rows as in holes, whatever the layers make of a zero."""
    ends = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]], bool)
    model = Sequential([*first, Dense(2, bias_initializer="ones")], seed=0)
    x = rng.normal(size=(3, 4, 2))
    for mask in (ends, ends[:, [1, 3, 2, 0]]):
        y = model.predict(
            np.where(mask, 1, 0) if len(first) == 1 else np.where(mask[..., None], x, 0)
        )
        assert not y[~mask].any()
        assert y[mask].all()


def test_outputs_past_a_length_are_zero(rng):
    model = Sequential(
        [Dense(2, bias_initializer="ones", input_shape=(4, 2)), Dense(3, "sigmoid")], seed=0
    )
    y = model.predict(rng.normal(size=(3, 4, 2)), lengths=[4, 0, 2])
    assert [(row.any(axis=1)).tolist() for row in y] == [
        [True] * 4,
        [False] * 4,
        [True, True, False, False],
    ]


@pytest.mark.parametrize("hole", [False, True])
def test_a_kept_state_is_cleared_by_a_reset_that_a_mask_hides(hole, rng):
    x, mask, resets = rng.normal(size=(2, 6, 3)), np.ones((2, 6), bool), np.zeros((2, 6), bool)
    mask[:, 2], resets[0, 2], mask[1, 0] = False, True, not hole

    def model_of(stateful):
        return Sequential(
            [
                GRU(
                    3,
                    return_sequences=True,
                    stateful=stateful,
                    input_shape=(None, 3),
                    dtype="float64",
                )
            ],
            seed=0,
        )

    model = model_of(True)
    parts = [
        model.predict(x[:, a:b], mask=mask[:, a:b], resets=resets[:, a:b], batch_size=2)
        for a, b in ((0, 3), (3, 6))
    ]
    np.testing.assert_allclose(
        np.concatenate(parts, axis=1),
        model_of(False).predict(x, mask=mask, resets=resets),
        atol=1e-12,
    )
