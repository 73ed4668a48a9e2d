"""Seq2Seq: training on pairs of any lengths, generation, beam search, files."""

import itertools

import numpy as np
import pytest

from gatewise import callbacks, losses
from gatewise.errors import ConfigError, DTypeError, NonFiniteError, ShapeError
from gatewise.layers import EncoderDecoder, Input
from gatewise.layers.tape import Batch
from gatewise.models import Model, Seq2Seq, load_model


def reversals(count=60, seed=0):
    rng = np.random.default_rng(seed)
    sources = [rng.integers(3, 8, rng.integers(1, 6)).tolist() for _ in range(count)]
    return sources, [row[::-1] for row in sources]


def small(**options):
    return Seq2Seq(8, 8, **{"units": 16, "embedding": 8, "seed": 0} | options)


def fitted(epochs=3, **options):
    model = small(**options)
    model.fit(*reversals(), epochs=epochs, batch_size=16, verbose=0)
    return model


@pytest.fixture(scope="module")
def reverser():
    model = small(units=32)
    model.optimizer.learning_rate = 0.02
    model.fit(*reversals(200), epochs=18, batch_size=20, verbose=0)
    return model


def test_it_learns_to_reverse(reverser):
    sources, targets = reversals(40, seed=1)
    found = reverser.generate(sources)
    assert np.mean([a == b for a, b in zip(found, targets)]) > 0.6


@pytest.mark.parametrize("attention", ["luong", "bahdanau", None])
@pytest.mark.parametrize("beam", [1, 3])
def test_a_source_gives_the_same_alone_and_in_a_batch(attention, beam):
    model = fitted(attention=attention)
    sources, _ = reversals(30, seed=2)
    options = {"beam": beam, "return_scores": True, "length_penalty": 0.5}
    options["return_attention"] = attention is not None
    tokens, scores, *weights = model.generate(sources, **options)
    for row in (0, 13, 29):
        alone, score, *alone_weights = model.generate([sources[row]], **options)
        assert alone[0] == tokens[row]
        assert score[0] == scores[row]
        if weights:
            assert weights[0][row].shape == (len(tokens[row]), len(sources[row]))
            assert weights[0][row].tobytes() == alone_weights[0][0].tobytes()
            np.testing.assert_allclose(weights[0][row].sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("attention", ["luong", "bahdanau"])
def test_weights_of_beams_are_those_of_their_target(attention):
    """The attention along the best hypothesis is that of one pass over its tokens."""
    model = fitted(attention=attention)
    sources, _ = reversals(8, seed=3)
    found, weights = model.generate(sources, beam=4, length_penalty=1.0, return_attention=True)
    for source, target, given in zip(sources, found, weights):
        read, expected = [model.start, *target][: len(target)], []
        encoded = model._layer._encode(Batch(np.array([source], np.int32)))
        if target:
            model._layer._scores(Batch(np.array([read], np.int32)), encoded, expected)
            whole = np.concatenate(expected, axis=1)[0]  # "bahdanau" gives each step apart
            np.testing.assert_allclose(given, whole, rtol=1e-5, atol=1e-6)


def log_probability(model, source, target):
    """Of a target with its end, from the probabilities of its tokens."""
    p = model.predict([source], [target], verbose=0)[0].astype(float)
    return sum(np.log(p[t, token]) for t, token in enumerate([*target, model.end]))


def test_a_wide_beam_finds_the_most_probable_target():
    model = Seq2Seq(6, 4, units=4, embedding=3, seed=3)
    source = [3, 4, 5]
    # targets of at most two tokens and the end; start may occur in them, too
    every = [list(t) for n in range(3) for t in itertools.product((0, 3), repeat=n)]
    found, scores = model.generate([source], beam=20, max_steps=4, return_scores=True)
    best = max(every, key=lambda target: log_probability(model, source, target))
    assert scores[0] >= log_probability(model, source, best) - 1e-5
    greedy, greedy_scores = model.generate([source], max_steps=4, return_scores=True)
    assert scores[0] >= greedy_scores[0] - 1e-12
    assert len(greedy[0]) <= 4


def test_scores_are_log_probabilities_with_a_length_penalty(reverser):
    sources, _ = reversals(10, seed=4)
    for beam in (1, 4):
        found, scores = reverser.generate(sources, beam=beam, return_scores=True)
        for source, target, score in zip(sources, found, scores):
            np.testing.assert_allclose(score, log_probability(reverser, source, target), atol=1e-4)
        others, penalized = reverser.generate(
            sources, beam=beam, return_scores=True, length_penalty=1.0
        )
        for k, target in enumerate(others):
            if target == found[k]:
                np.testing.assert_allclose(penalized[k], scores[k] / (len(target) + 1))


def test_targets_have_at_most_max_steps_tokens():
    model = small()
    sources, _ = reversals(5)
    for beam in (1, 3):
        assert all(len(row) <= 2 for row in model.generate(sources, beam, max_steps=2))
        assert model.generate([], beam) == []
    model.generate([[], [3]])  # a source without tokens


@pytest.mark.parametrize("beam", [1, 3])
def test_the_start_token_is_never_written(beam):
    model = small()
    model._layer._parts["output"].parameters["bias"][model.start] = 50
    found, scores = model.generate([[3, 4], [5]], beam=beam, max_steps=4, return_scores=True)
    assert all(model.start not in row for row in found)
    assert np.all(scores < -30)  # the probability of start is not shared out among the others


@pytest.mark.parametrize("beam", [1, 3])
def test_weights_that_are_nan_are_refused(beam):
    model = small()
    model._layer._parts["output"].parameters["bias"][...] = np.nan
    with pytest.raises(NonFiniteError, match="weights cannot be used"):
        model.generate([[3, 4], [5]], beam=beam)


def test_padding_counts_in_nothing():
    """The loss of a batch is the mean over the tokens of its rows alone."""
    model, (sources, targets) = small(), reversals(7)
    together = model.evaluate(sources, targets, verbose=0)
    alone = [model.evaluate([s], [t], verbose=0) for s, t in zip(sources, targets)]
    counts = [len(target) + 1 for target in targets]
    np.testing.assert_allclose(together, np.average(alone, weights=counts), rtol=1e-6)
    tokens = np.full((7, 6), 7)
    given, _, lengths = model._given(sources, targets)
    for k, ends in enumerate(lengths):  # whatever is in the padding
        given[k] = np.where(np.arange(given[k].shape[1]) < ends[:, None], given[k], tokens[0, 0])
    np.testing.assert_array_equal(
        model(given, lengths=lengths), model.predict(sources, targets, verbose=0)
    )


def test_predict_on_batch_is_predict_for_one_batch(reverser):
    sources, targets = [[3, 4], [5]], [[4], [5, 5, 3]]
    found = reverser.predict_on_batch(sources, targets)
    assert np.array_equal(found, reverser.predict(sources, targets, verbose=0))


def test_predict_gives_the_probabilities_of_given_targets(reverser):
    sources, targets = reversals(3, seed=5)
    p = reverser.predict(sources, targets, verbose=0)
    assert p.shape == (3, max(map(len, targets)) + 1, 8)
    for row, target in zip(p, targets):
        np.testing.assert_allclose(row[: len(target) + 1].sum(axis=1), 1, rtol=1e-5)
        assert not row[len(target) + 1 :].any()


@pytest.mark.parametrize(
    "options",
    [
        {"attention": "bahdanau", "cell": "gru"},
        {"tie_embeddings": True, "num_layers": 2, "label_smoothing": 0.1},
        {"bidirectional": False, "dtype": "float64", "start": 0},
    ],
)
def test_files(options, tmp_path):
    model = fitted(1, **options)
    model.save(tmp_path / "model.safetensors")
    other = load_model(tmp_path / "model.safetensors")
    assert isinstance(other, Seq2Seq)
    sources, targets = reversals(20, seed=6)
    assert other.generate(sources, beam=2) == model.generate(sources, beam=2)
    assert [other.start, other.end, other.dtype] == [model.start, model.end, model.dtype]
    assert other.label_smoothing == model.label_smoothing
    for each in (model, other):  # with the optimizer's state
        each.fit(sources, targets, epochs=1, verbose=0)
    assert other.get_weights()[0].tobytes() == model.get_weights()[0].tobytes()


def test_a_run_continues_to_the_bit(tmp_path):
    options = {"dropout": 0.2, "scheduled_sampling": 0.3}
    data, run = reversals(), {"epochs": 4, "batch_size": 16, "verbose": 0}
    whole = small(**options)
    whole.fit(*data, **run)
    part = small(**options)
    path = tmp_path / "run.safetensors"
    part.fit(*data, **run | {"epochs": 2}, callbacks=callbacks.ModelCheckpoint(path))
    resumed = small(**options)
    again = callbacks.ModelCheckpoint(tmp_path / "again.safetensors")
    resumed.fit(*data, **run, resume_from=path, callbacks=again)
    assert resumed.flat_parameters.tobytes() == whole.flat_parameters.tobytes()


def test_a_loaded_model_continues_its_run(tmp_path):
    path, data = tmp_path / "run", reversals(20)
    model = small()
    model.fit(*data, epochs=1, verbose=0)
    model.save(path)
    loaded = load_model(path)
    loaded.fit(*data, epochs=2, verbose=0, resume_from=path)
    whole = small()
    whole.fit(*data, epochs=2, verbose=0)
    assert loaded.flat_parameters.tobytes() == whole.flat_parameters.tobytes()


def test_threads_give_the_same_weights(forced_threads):
    found = []
    for count in (1, 2):
        forced_threads.set_num_threads(count)
        found.append(fitted(1).flat_parameters.tobytes())
    assert found[0] == found[1]


def test_validation_callbacks_and_another_loss():
    model, data = small(), reversals()
    model.compile("sgd", losses.SparseCategoricalCrossentropy(), metrics=["accuracy"])
    stop = callbacks.EarlyStopping(patience=1)
    history = model.fit(
        *data, epochs=2, verbose=0, callbacks=stop, validation_data=reversals(10, 7)
    ).history
    assert set(history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert model.fit(*data, epochs=1, verbose=0, validation_split=0.2).history["val_loss"]
    before = model.test_on_batch(*data)
    model.train_on_batch(*data)
    assert model.test_on_batch(*data) != before
    lines = []
    model.summary(lines.append)
    assert any("EncoderDecoder" in line for line in lines)


def test_it_is_a_model_of_one_layer():
    """The layer in a graph that a user makes gives the same."""
    model, (sources, targets) = small(), reversals(5)
    assert isinstance(model, Model)
    given, _, lengths = model._given(sources, targets)
    symbols = [Input((None,), name=name) for name in ("written", "read")]
    layer = EncoderDecoder(8, 8, units=16, embedding=8)
    other = Model(symbols, layer(symbols))
    other.set_weights(model.get_weights())
    found = other.predict(given, lengths=lengths, verbose=0)
    np.testing.assert_array_equal(found, model.predict(sources, targets, verbose=0))
    with pytest.raises(ShapeError, match="expects tokens from 0 to 7"):
        other.predict([given[0] + 8, given[1]], verbose=0)


def test_sample_weight_leaves_pairs_out():
    sources, targets = reversals(8)
    model, weights = small(), [1, 1, 0, 1, 0, 0, 1, 1]
    kept = [k for k, weight in enumerate(weights) if weight]
    some = model.evaluate([sources[k] for k in kept], [targets[k] for k in kept], verbose=0)
    all_tokens = sum(len(target) + 1 for target in targets)
    kept_tokens = sum(len(targets[k]) + 1 for k in kept)
    weighted = model.evaluate(sources, targets, sample_weight=weights, verbose=0)
    np.testing.assert_allclose(weighted * all_tokens, some * kept_tokens, rtol=1e-6)


def test_decoding_takes_ended_rows_out(reverser, monkeypatch):
    """No step computes a row that has ended."""
    rows, layer = [], reverser._layer
    scores = type(layer)._scores

    def counted(self, target: Batch, encoded, weights=None):
        rows.append(len(target.values))
        return scores(self, target, encoded, weights)

    monkeypatch.setattr(type(layer), "_scores", counted)
    found = reverser.generate([[3], [3, 4, 5, 6, 7]])
    assert sum(rows) == sum(len(row) + 1 for row in found)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda m: Seq2Seq(8, 8, start=2), ConfigError, "start and end are both 2"),
        (lambda m: Seq2Seq(8, 8, end=8), ConfigError, "end"),
        (lambda m: Seq2Seq(0, 8), ConfigError, "source_size"),
        (lambda m: m.fit("abc", [[3]]), DTypeError, "sources is 'abc'"),
        (lambda m: m.fit([[3]], [[3], [4]]), ShapeError, "1 rows, targets has 2"),
        (lambda m: m.fit([[3, 8]], [[3]]), ShapeError, r"sources\[0\]\[1\] is 8"),
        (lambda m: m.fit([[3]], [[3, 2]]), ShapeError, r"targets\[0\]\[1\] is 2, the end token"),
        (lambda m: m.fit([[3.5]], [[3]]), DTypeError, r"sources\[0\]"),
        (lambda m: m.fit([3], [[3]]), ShapeError, "expected a sequence of tokens"),
        (lambda m: m.generate([[3]], beam=0), ConfigError, "beam"),
        (lambda m: m.generate([[3]], length_penalty=-1), ConfigError, "length_penalty"),
        (
            lambda m: small(attention=None).generate([[3]], return_attention=True),
            ConfigError,
            "attention=None",
        ),
        (
            lambda m: m.fit([[3]], [[3]], validation_data=[[3]]),
            ConfigError,
            r"a tuple \(sources, targets\)",
        ),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call(small())
