"""Models with several inputs: lists, dicts and batches, with lengths, masks and resets."""

import numpy as np
import pytest

from gatewise.errors import ConfigError, DTypeError, NonFiniteError, ShapeError
from gatewise.layers import GRU, LSTM, Add, Concatenate, Dense, Embedding, Input
from gatewise.models import Model, Sequential
from gatewise.testing import check_gradients

from .feed_cases import Again
from .several import LOSSES, compiled, padded, reader, same_weights, samples


@pytest.fixture
def data(rng):
    return samples(rng)


def trained(*args, model=None, **options):
    model = model or compiled()
    model.fit(*args, verbose=0, **({"epochs": 2, "batch_size": 8} | options))
    return model


# ---- forms


def test_lists_tuples_and_dicts_are_the_same_samples(data):
    x, y = data
    models = [
        trained(x, y),
        trained(list(x.values()), list(y.values())),
        trained(tuple(x.values()), tuple(y.values())),
        trained(dict(reversed(x.items())), dict(reversed(y.items()))),
    ]
    assert same_weights(*models)
    found = [model.predict(given, verbose=0) for model, given in zip(models, (x, [*x.values()]))]
    for one, other in zip(*found):
        assert np.array_equal(one, other)


def test_ragged_rows_are_padded_rows_with_lengths(data):
    x, y, lengths = padded(*data)
    mask = np.arange(7) < lengths[:, None]
    models = [
        trained(*data),
        trained(x, y, lengths=lengths),
        trained(x, y, lengths={"words": lengths}),
        trained(x, y, lengths=[lengths, None]),
        trained(x, y, mask=mask, bucketing=True),
        trained(x, y, mask={"words": mask}),
        trained(x, y, mask=[mask, None]),
    ]
    assert same_weights(*models)


def test_a_mask_with_holes_is_the_rows_without_the_steps(data):
    """Targets of the steps that are left move with the steps of the input that they follow."""
    x, y = data
    holes = [np.random.default_rng(1).random(len(row) + 2) < 0.6 for row in x["words"]]
    for row, hole in zip(x["words"], holes):
        hole[:] = False
        hole[np.random.default_rng(len(row)).permutation(len(hole))[: len(row)]] = True
    wide = max(map(len, holes))
    mask = np.zeros((22, wide), bool)
    words, tag = np.full((22, wide, 3), 9.0), np.full((22, wide), 2)
    for row, hole in enumerate(holes):
        mask[row, : len(hole)] = hole
        words[row, mask[row]], tag[row, mask[row]] = x["words"][row], y["tag"][row]
    masked = x | {"words": words}, y | {"tag": tag}
    one, other = compiled(dtype="float64"), compiled(dtype="float64")
    assert one.compute_gradients(*data) == pytest.approx(
        other.compute_gradients(*masked, mask={"words": mask}), rel=1e-12
    )
    np.testing.assert_allclose(one.flat_gradients, other.flat_gradients, rtol=1e-9, atol=1e-14)
    tags = other.predict(masked[0], mask=mask, verbose=0)[0]
    assert not tags[~mask].any()
    for row, expected in enumerate(one.predict(x, verbose=0)[0]):
        np.testing.assert_array_equal(tags[row, mask[row]], expected[: mask[row].sum()])


def test_resets_of_an_input(data):
    x, y, lengths = padded(*data)
    resets = np.random.default_rng(0).random((22, 7)) < 0.3
    one = trained(x, y, lengths=lengths, resets={"words": resets})
    assert same_weights(one, trained(x, y, lengths=[lengths, None], resets=resets))
    assert not same_weights(one, trained(x, y, lengths=lengths))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda x: x["words"], DTypeError, "x is a list|x has 22 entries"),
        (lambda x: x["scene"], DTypeError, r"x is an array of shape \(22, 4\); the model has 2"),
        (lambda x: [x["words"]], ShapeError, "x has 1 entry; the model has 2 inputs, 'words'"),
        (lambda x: {"words": x["words"]}, ConfigError, "x lacks the key 'scene'"),
        (lambda x: x | {"scenes": 1}, ConfigError, "x has the key 'scenes'.*mean 'scene'"),
        (
            lambda x: x | {"scene": x["scene"][:9]},
            ShapeError,
            r"x\['scene'\] has 9 rows, x\['words'\] has 22",
        ),
        (lambda x: x | {"scene": x["scene"][:, :3]}, ShapeError, "'scene'.*shape"),
        (lambda x: x | {"scene": x["scene"] * np.nan}, NonFiniteError, "'scene'.*nan"),
        (lambda x: x | {"scene": [["a"] * 4] * 22}, DTypeError, "'scene'.*holds"),
    ],
)
def test_wrong_inputs_are_named(change, error, words, data):
    x, y = data
    model = compiled()
    calls = [lambda x: model.fit(x, y), lambda x: model.evaluate(x, y), model.predict, model]
    for call in calls:
        with pytest.raises((error, ShapeError), match=words):
            call(change(x))


def test_wrong_lengths_are_named(data):
    x, y, lengths = padded(*data)
    model = compiled()
    for options, words in (
        ({"lengths": {"scene": lengths}}, "input 'scene': lengths was given"),
        ({"lengths": [lengths, None, None]}, "lengths has 3 entries; the model has 2 inputs"),
        ({"lengths": {"wrods": lengths}}, "lengths has the key 'wrods'.*mean 'words'"),
        ({"lengths": lengths + 9}, r"input 'words': lengths\[0\] is 16"),
        ({"mask": {"words": np.ones((22, 3), bool)}}, "input 'words': mask has shape"),
    ):
        with pytest.raises((ConfigError, ShapeError), match=words):
            model.fit(x, y, **options)
    with pytest.raises(ConfigError, match=r"lengths\['words'\] was given beside a list"):
        model.fit(*data, lengths=lengths)


# ---- batches that the user makes


def batches_of(data, size=8):
    x, y, lengths = padded(*data)
    for first in range(0, len(lengths), size):
        rows = slice(first, first + size)
        yield (
            {name: array[rows] for name, array in x.items()},
            {name: array[rows] for name, array in y.items()},
            lengths[rows],
        )


def test_batches_of_dicts_and_lists(data):
    x, y, lengths = padded(*data)
    arrays = trained(x, y, lengths=lengths, shuffle=False)
    as_tuples = [(x, y, None, lengths) for x, y, lengths in batches_of(data)]
    as_dicts = [{"x": x, "y": y, "lengths": [n, None]} for x, y, n in batches_of(data)]
    as_lists = [([*x.values()], [*y.values()], None, {"words": n}) for x, y, n in batches_of(data)]
    models = [trained(Again(batches), shuffle=False) for batches in (as_tuples, as_dicts, as_lists)]
    assert same_weights(arrays, *models)
    expected = arrays.evaluate(x, y, lengths=lengths, batch_size=8, verbose=0)
    assert models[0].evaluate(Again(as_dicts), verbose=0) == expected
    alone = [
        part
        for batch in as_dicts
        for part in [models[0].predict(Again([batch["x"]]), verbose=0)[1]]
    ]
    assert np.array_equal(np.concatenate(alone), models[0].predict(x, verbose=0)[1])


def test_validation_data(data):
    x, y, lengths = padded(*data)
    given = [
        (x, y, None, lengths),
        {"x": x, "y": y, "lengths": {"words": lengths}},
        ([*x.values()], [*y.values()], None, [lengths, None]),
    ]
    logs = [compiled().fit(*data, validation_data=one, verbose=0).history for one in [data, *given]]
    assert all(history == logs[0] for history in logs)


def test_memory_mapped_inputs(data, tmp_path):
    x, y, lengths = padded(*data)
    for name, array in x.items():
        np.save(tmp_path / f"{name}.npy", array)
    mapped = {name: np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in x}
    weights = {"score": np.linspace(0, 1, 22)}
    options = {"lengths": lengths, "validation_split": 0.3, "sample_weight": weights}
    models = [
        trained(given, y, **options)
        for given in (x, mapped, x | {"words": mapped["words"]}, [*mapped.values()])
    ]
    assert same_weights(*models)
    for one, other in zip(models[0].predict(x, verbose=0), models[1].predict(mapped, verbose=0)):
        assert np.array_equal(one, other)
    with pytest.raises(ShapeError, match="output 'score': y has 3 rows, x has 22"):
        models[0].fit(mapped, y | {"score": y["score"][:3]})


# ---- two time axes


def translator(dtype="float64", **options):
    """An encoder and a decoder, whose time axes have nothing to do with each other."""
    source = Input((None,), name="source")
    target = Input((None, 2), name="target")
    _, h, c = LSTM(4, return_state=True, dtype=dtype)(Embedding(7, 3, dtype=dtype)(source))
    states = LSTM(4, return_sequences=True)(target, initial_state=[h, c])
    model = Model([source, target], Dense(3, "softmax", name="next")(states), seed=0)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def pairs(rng, count=17):
    source = [rng.integers(1, 7, length) for length in rng.integers(1, 12, count)]
    target = [rng.normal(size=(length, 2)) for length in rng.integers(1, 6, count)]
    return {"source": source, "target": target}, [rng.integers(0, 3, len(row)) for row in target]


def test_gradients_of_an_encoder_and_a_decoder(rng):
    x, y = pairs(rng, 3)
    report = check_gradients(translator(), x, y=y, max_entries=8)
    assert report.passed
    assert len(report.errors) == 9


def test_a_batch_is_as_long_as_its_longest_rows(rng):
    """Bucketing trims each time axis by itself, which changes no gradient."""
    x, y = pairs(rng)
    models = [translator() for _ in range(2)]
    for model, bucketing in zip(models, (True, False)):
        model.fit(x, y, batch_size=17, bucketing=bucketing, verbose=0)
    np.testing.assert_allclose(
        models[0].flat_parameters, models[1].flat_parameters, rtol=1e-10, atol=1e-13
    )
    shapes = []
    model = translator()
    step = model._train_step

    def spy(batch):
        shapes.append([part.values.shape[1] for part in batch.inputs])
        for part in batch.inputs:
            assert part.lengths.max() == part.values.shape[1]
        assert batch.targets[0].y.shape == batch.inputs[1].values.shape[:2]
        return step(batch)

    vars(model)["_train_step"] = spy
    model.fit(x, y, batch_size=4, verbose=0)
    assert len(set(map(tuple, shapes))) > 1


def test_what_counts_is_said_by_the_input_that_the_output_follows(rng):
    x, y = pairs(rng)
    model = translator()
    loss, accuracy = model.evaluate(x, y, batch_size=5, verbose=0)
    found = model.predict(x, verbose=0)
    assert found.shape == (17, max(map(len, y)), 3)
    right = [row[range(len(t)), t] for row, t in zip(found, y)]
    assert loss == pytest.approx(-np.log(np.concatenate(right)).mean())
    hits = [row[: len(t)].argmax(-1) == t for row, t in zip(found, y)]
    assert accuracy == pytest.approx(np.concatenate(hits).mean())
    for row in (0, 5):  # alone, without the padding of the others
        alone = model.predict({name: [rows[row]] for name, rows in x.items()}, verbose=0)
        assert np.array_equal(alone[0], found[row, : len(y[row])])
        assert not found[row, len(y[row]) :].any()


def test_two_sequences_need_to_be_told_apart(rng):
    x, _ = pairs(rng, 4)
    arrays = {"source": np.ones((4, 5), int), "target": np.ones((4, 3, 2))}
    for name, value in (("lengths", np.array([1, 2, 3, 2])), ("mask", np.ones((4, 5), bool))):
        with pytest.raises(ConfigError, match=f"{name} is one array; the model has 2 inputs"):
            translator().predict(arrays, **{name: value})
    assert translator().predict(x, verbose=0).shape[0] == 4


def test_inputs_that_meet_are_trimmed_together(rng):
    """Their arrays have the same number of steps, whichever of them has the longest rows."""
    a, b = Input((None, 2), name="a"), Input((None, 2), name="b")
    joined = Add()([LSTM(3, return_sequences=True)(a), LSTM(3, return_sequences=True)(b)])
    model = Model([a, b], Dense(1)(GRU(2)(joined)), seed=0)
    model.compile("sgd", "mse")
    x = {name: rng.normal(size=(12, 8, 2)) for name in "ab"}
    lengths = {"a": rng.integers(1, 4, 12), "b": np.minimum(8, rng.integers(3, 9, 12))}
    model.fit(x, rng.normal(size=12), lengths={"a": lengths["a"]}, batch_size=3, verbose=0)


# ---- one input


def test_a_list_or_dict_of_one(rng):
    x, y = rng.normal(size=(6, 4, 2)), rng.normal(size=6)
    symbol = Input((None, 2), name="x")
    model = Model(symbol, Dense(1, name="out")(LSTM(3)(symbol)), seed=0)
    model.compile("sgd", {"out": "mse"})
    expected = model.test_on_batch(x, y)
    for given in ([x], {"x": x}):
        for targets in (y, [y], {"out": y}):
            assert model.test_on_batch(given, targets) == expected
    with pytest.raises(ConfigError, match="x has the key 'y'; the model has one input"):
        model.predict({"y": x})


def test_lists_of_one_for_a_sequential(rng):
    x, y = rng.normal(size=(6, 4, 2)), rng.normal(size=6)
    model = Sequential([Input((None, 2)), LSTM(3), Dense(1)], seed=0)
    model.compile("sgd", "mse")
    assert model.test_on_batch([x], [y]) == model.test_on_batch(x, y)
    assert np.array_equal(model.predict([x], verbose=0), model.predict(x, verbose=0))


# ---- gradients


@pytest.mark.parametrize("form", ["ragged", "one step", "one row", "mask"])
def test_gradients_of_several_inputs_and_outputs(form, rng):
    x, y = samples(rng, 1 if form == "one row" else 3, 1 if form == "one step" else 4)
    model = compiled(dtype="float64", loss_weights={"score": 0.3, "spam": 2.0})
    options = {}
    if form == "mask":
        x, y, lengths = padded(x, y)
        mask = np.arange(x["words"].shape[1]) < lengths[:, None]
        mask[0, 1] = False
        options["mask"] = {"words": mask}
    report = check_gradients(model, x, y=y, max_entries=6, **options)
    assert report.passed
    assert len(report.errors) == 12
    assert sorted(name.split("/")[0] for name in report.errors)[-2:] == ["tag", "tag"]


def test_gradients_with_another_loss(rng):
    x, y = samples(rng, 3, 4)
    loss = {"tag": LOSSES["tag"], "score": "log_cosh", "spam": None}
    assert check_gradients(reader(dtype="float64"), x, y=y, loss=loss, max_entries=6).passed


def test_a_joined_time_axis(rng):
    """The output has the steps of both inputs, and counts those of their lengths."""
    a, b = Input((None, 2), name="a"), Input((None, 3), name="b")
    joined = Concatenate()([a, b])
    states = GRU(4, return_sequences=True, dtype="float64")(joined)
    model = Model([a, b], Dense(2)(states), seed=0)
    model.compile("sgd", "mse")
    lengths = np.array([3, 5, 1, 4])
    x = {"a": rng.normal(size=(4, 5, 2)), "b": rng.normal(size=(4, 5, 3))}
    y = rng.normal(size=(4, 5, 2))
    both = {"a": lengths, "b": lengths}
    value = model.compute_gradients(x, y, lengths=both)
    counted = (np.arange(5) < lengths[:, None])[..., None]
    found = model.predict(x, lengths=both, verbose=0)
    expected = (((found - y) ** 2) * counted).sum() / (2 * lengths.sum())
    assert value == pytest.approx(expected)
