"""CTC: beside PyTorch and Keras, its gradients, targets and lengths; models trained with it."""

import hypothesis
import numpy as np
import pytest
from differences import central_differences
from hypothesis import strategies as st

from gatewise import Sequential, layers, load_model, losses
from gatewise.errors import ConfigError, DTypeError, ShapeError, SizeError, TrainingWarning
from gatewise.optimizers import Adam
from gatewise.utils import ctc_decode


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def torch_ctc(cases):
    import torch

    results = []
    for z, y, lengths, counts, blank, zero_infinity in cases:
        z = torch.tensor(z, requires_grad=True)
        values = torch.nn.functional.ctc_loss(
            torch.log_softmax(z, -1).transpose(0, 1),
            torch.tensor(y),
            torch.tensor(lengths),
            torch.tensor(counts),
            blank=blank,
            reduction="none",
            zero_infinity=zero_infinity,
        )
        values.mean().backward()
        results.append((values.detach().numpy(), z.grad.numpy()))
    return results


def keras_ctc(cases):
    import keras
    import torch

    results = []
    for y, z, weights in cases:
        z = torch.tensor(z, requires_grad=True)
        value = keras.losses.CTC(dtype="float64")(y, z, sample_weight=weights)
        value.backward()
        results.append((value.item(), z.grad.numpy()))
    return results


ROWS = {  # labels of each row, steps of each row
    "ragged": ([(1, 2, 3), (2,), (3, 1), (1, 2, 3, 4)], [9, 4, 7, 6]),
    "repeats": ([(1, 1, 1), (2, 2), (3, 3, 4, 4), (1, 2, 1, 2)], [9, 9, 8, 9]),
    "just long enough": ([(1, 1, 1), (2, 2), (3, 3, 4, 4), (1, 2, 3, 4)], [5, 3, 6, 4]),
    "empty targets": ([(), (), (1,), ()], [9, 1, 3, 5]),
    "one step": ([(1,), (), (4,), (2,)], [1, 1, 1, 1]),
}


def padded(rows, pad, width=5):
    return np.array([[*labels, *[pad] * (width - len(labels))] for labels in rows])


def counts_of(rows):
    return np.array([len(labels) for labels in rows])


@pytest.mark.parametrize("zero_infinity", [False, True])
def test_beside_torch(zero_infinity, rng, torch_rival):
    cases = []
    for rows, lengths in ROWS.values():
        for blank in (0, 2, 5):  # what would be the blank is class 0 elsewhere
            moved = [tuple(0 if k == blank else k for k in labels) for labels in rows]
            cases.append(
                (
                    3 * rng.normal(size=(4, 9, 6)),
                    padded(moved, blank),
                    np.array(lengths),
                    counts_of(rows),
                    blank,
                    zero_infinity,
                )
            )
    for (z, y, lengths, _, blank, _), (values, gradient) in zip(
        cases, torch_rival.run(torch_ctc, cases), strict=True
    ):
        loss = losses.CTC(blank=blank, zero_infinity=zero_infinity)
        for row in range(4):
            assert loss(
                y[row : row + 1], z[row : row + 1], lengths=lengths[row : row + 1]
            ) == pytest.approx(values[row], rel=1e-10)
        value, ours = loss.value_and_gradient(
            loss.prepare(y, z.shape, "float64"), z, lengths=lengths
        )
        assert value == pytest.approx(values.mean(), rel=1e-10)
        np.testing.assert_allclose(ours, gradient, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("zero_infinity", [False, True])
def test_rows_without_an_alignment_are_torch_s_but_never_nan(zero_infinity, rng, torch_rival):
    """Too short, too short for repeats, of length 0.

    PyTorch's own gradient of an infinite row is NaN.
    """
    rows, lengths = [(1, 2, 3), (2, 2), (), (3,), (1, 2)], np.array([2, 2, 0, 0, 5])
    z, y = rng.normal(size=(5, 6, 4)), padded(rows, 0)
    ((values, gradient),) = torch_rival.run(
        torch_ctc, [(z, y, lengths, counts_of(rows), 0, zero_infinity)]
    )
    assert np.isinf(values).tolist() == [not zero_infinity] * 2 + [False] + [not zero_infinity] + [
        False
    ]
    loss = losses.CTC(zero_infinity=zero_infinity)
    for row in range(5):
        assert loss(
            y[row : row + 1], z[row : row + 1], lengths=lengths[row : row + 1]
        ) == pytest.approx(values[row], rel=1e-12)
    value, ours = loss.value_and_gradient(loss.prepare(y, z.shape, "float64"), z, lengths=lengths)
    assert value == pytest.approx(values.mean(), rel=1e-12)
    np.testing.assert_allclose(ours[4], gradient[4], rtol=1e-10, atol=1e-14)
    assert not ours[:4].any()


def test_beside_keras(rng, keras_rival):
    cases = [
        (padded(rows, 0), 2 * rng.normal(size=(4, 9, 6)), weights)
        for rows in (ROWS["ragged"][0], ROWS["repeats"][0])
        for weights in (None, rng.uniform(0, 2, 4))
    ]
    for (y, z, weights), (value, gradient) in zip(
        cases, keras_rival.run(keras_ctc, cases), strict=True
    ):
        loss = losses.get("ctc")
        assert loss(y, z, weights) == pytest.approx(value, rel=1e-6)  # Keras computes it in float32
        _, ours = loss.value_and_gradient(loss.prepare(y, z.shape, "float64"), z, weights)
        np.testing.assert_allclose(ours, gradient, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("from_logits", [None, True, False])
def test_gradient(from_logits, rng):
    loss = losses.CTC(from_logits=from_logits)
    y, lengths, weights = (
        loss.prepare(padded([(1, 1), (2, 3), ()], -1), (3, 5, 4), "float64"),
        np.array([5, 3, 4]),
        rng.random(3),
    )
    at = rng.normal(size=(3, 5, 4))
    if from_logits is False:  # rows that do not sum to one have a gradient too
        at = softmax(at) * rng.uniform(0.5, 2, (3, 5, 1))
    value, gradient = loss.value_and_gradient(y, at, weights, 2.5, lengths=lengths)
    assert loss.value_and_gradient(y, at, weights, 2.5, lengths=lengths, want_gradient=False) == (
        value,
        None,
    )
    numeric = central_differences(
        lambda p: loss.value_and_gradient(y, p, weights, 2.5, lengths=lengths)[0], at
    )
    np.testing.assert_allclose(gradient, numeric, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_from_probabilities_scores_and_their_logarithms_it_is_one_function(dtype, rng):
    z, y = rng.normal(size=(3, 5, 4)).astype(dtype), padded([(1, 1), (2, 3), ()], 0)
    rel = 1e-6 if dtype == "float32" else 1e-12
    expected = losses.CTC()(y, z)
    assert losses.CTC(from_logits=False)(y, softmax(z)) == pytest.approx(expected, rel=rel)
    assert losses.CTC()(y, np.log(softmax(z))) == pytest.approx(expected, rel=rel)
    # probabilities of exactly 0 and 1 stay finite
    hard = np.eye(4, dtype=dtype)[[[0, 1, 2, 3, 0]] * 3]
    value, gradient = losses.CTC(from_logits=False).value_and_gradient(y, hard)
    assert np.isfinite(value) and np.isfinite(gradient).all()


@hypothesis.given(
    seed=st.integers(0, 2**32 - 1),
    steps=st.integers(1, 7),
    classes=st.integers(2, 5),
    count=st.integers(0, 4),
)
@hypothesis.settings(deadline=None, max_examples=60)
def test_what_must_hold_of_any_scores(seed, steps, classes, count):
    """Scores may be shifted, classes renamed, and any labels have a probability.

    All readings' sum to one or less.
    """
    rng = np.random.default_rng(seed)
    z, y = 4 * rng.normal(size=(2, steps, classes)), rng.integers(1, classes, (2, count))
    loss = losses.CTC()
    value, gradient = loss.value_and_gradient(y, z)
    assert value >= 0
    np.testing.assert_allclose(gradient.sum(axis=-1), 0, atol=1e-12)
    assert loss(y, z + rng.normal(size=(2, steps, 1))) == pytest.approx(value, rel=1e-9)
    names = rng.permutation(classes)
    renamed = losses.CTC(blank=int(names[0]))
    again, renamed_gradient = renamed.value_and_gradient(
        names[y].reshape(y.shape), z[..., np.argsort(names)]
    )
    assert again == pytest.approx(value, rel=1e-9)
    np.testing.assert_allclose(renamed_gradient[..., names], gradient, atol=1e-9)
    if count == 1:  # one label, or none, or any other: no more than all there is
        every = [np.exp(-loss([[k]], z[:1])) for k in range(1, classes)] + [
            np.exp(-loss([[0]], z[:1]))
        ]
        assert sum(every) <= 1 + 1e-9


def test_weights_are_one_a_row_and_the_mean_counts_rows(rng):
    z, y = rng.normal(size=(3, 5, 4)), padded([(1, 1), (2, 3), (1,)], 0)
    loss, weights = losses.CTC(), np.array([0.5, 0, 3])
    alone = [loss(y[r : r + 1], z[r : r + 1]) for r in range(3)]
    assert loss(y, z) == pytest.approx(np.mean(alone), rel=1e-12)
    z[1] = np.nan  # not looked at
    assert loss(y, z, weights) == pytest.approx(
        (weights * [alone[0], 0, alone[2]]).sum() / 3, rel=1e-12
    )
    with pytest.raises(
        ShapeError, match=r"sample_weight has shape \(3, 5\); expected \(3,\), a weight a sample"
    ):
        loss(y, z, np.ones((3, 5)))


def test_padded_steps_count_in_nothing(rng):
    z, lengths = rng.normal(size=(3, 6, 4)), np.array([6, 3, 0])
    y = padded([(1, 1), (2,), ()], 0)
    loss = losses.CTC()
    value, gradient = loss.value_and_gradient(y, z, lengths=lengths)
    wild = np.where(np.arange(6)[:, None] < lengths[:, None, None], z, np.nan)
    again, again_gradient = loss.value_and_gradient(y, wild, lengths=lengths)
    assert value == again and np.array_equal(gradient, again_gradient)
    assert not gradient[1, 3:].any() and not gradient[2].any()


# ---- targets


def test_targets():
    loss = losses.CTC()
    for given in (
        [[1, 2, 0], [3, 0, 0]],
        [[1, 2, -1], [3, -1, -1]],
        [[1.0, 2, -1], [3, -1, 0]],
        np.array([[1, 2, 0], [3, 0, 0]], np.uint8),
    ):
        y = loss.prepare(given, (2, 5, 4), "float32")
        assert y.dtype == np.intp and y.tolist() == [[1, 2, 0], [3, 0, 0]]
    assert losses.CTC(blank=3).prepare([[0, 2, -1], [3, 3, -1]], (2, 5, 4), "float32").tolist() == [
        [0, 2, 3],
        [3, 3, 3],
    ]
    assert loss.prepare(np.zeros((2, 0), int), (2, 5, 4), "float32").shape == (2, 0)


@pytest.mark.parametrize(
    ("y", "shape", "error", "words"),
    [
        (
            [[1, 0, 2], [1, 2, 3]],
            (2, 5, 4),
            ShapeError,
            r"y\[0\] has label 2 at 2, behind a blank or -1",
        ),
        (
            [[1, 2, 2], [-1, -1, 3]],
            (2, 5, 4),
            ShapeError,
            r"y\[1\] has label 3 at 2, behind a blank or -1",
        ),
        (
            [[1, 2], [1, 4]],
            (2, 5, 4),
            ShapeError,
            r"y holds class 4 at index \(1, 1\); the model's output has 4 classes, 0 to 3",
        ),
        ([[1, 2], [1, -2]], (2, 5, 4), ShapeError, r"y holds class -2 at index \(1, 1\)"),
        ([[1, 2**62], [1, 2]], (2, 5, 4), ShapeError, r"y holds class 4611686018427387904"),
        (
            [[1, 2]],
            (2, 5, 4),
            ShapeError,
            r"y has shape \(1, 2\), .* expects class numbers of shape \(2, labels\)",
        ),
        ([1, 2], (2, 5, 4), ShapeError, r"y has shape \(2,\)"),
        ([[1, 2.5], [1, 2]], (2, 5, 4), DTypeError, "not all whole numbers"),
        ([[1, np.nan], [1, 2]], (2, 5, 4), DTypeError, "not all whole numbers"),
        ([["a"], ["b"]], (2, 5, 4), DTypeError, "not all whole numbers"),
        ([[1, 2], [1, 2]], (2, 4), ShapeError, r"loss ctc expects \(batch, steps, classes\)"),
    ],
)
def test_targets_that_do_not_fit(y, shape, error, words):
    with pytest.raises(error, match=words):
        losses.CTC().prepare(y, shape, "float32")


def test_arguments():
    with pytest.raises(ConfigError, match="blank is -1; expected 0"):
        losses.CTC(blank=-1)
    with pytest.raises(DTypeError, match="zero_infinity is 1; expected True or False"):
        losses.CTC(zero_infinity=1)
    with pytest.raises(DTypeError, match="from_logits is 'no'; expected True or False"):
        losses.CTC(from_logits="no")
    with pytest.raises(ShapeError, match="4 classes; the blank is class 4"):
        losses.CTC(blank=4).prepare([[1]], (1, 5, 4), "float32")
    with pytest.raises(ShapeError, match=r"lengths\[0\] is 6; expected 0 to 5"):
        losses.CTC()([[1]], np.zeros((1, 5, 4)), lengths=[6])
    again = losses.get(losses.serialize(losses.CTC(False, 2, True)))
    assert vars(again) == vars(losses.CTC(from_logits=False, blank=2, zero_infinity=True))


def test_sizes_are_checked_before_memory_is_touched():
    z = np.broadcast_to(np.zeros((), np.float32), (1, 2**22, 1))
    y = np.broadcast_to(np.zeros((), np.intp), (1, 2**22))
    with pytest.raises(
        SizeError, match="loss ctc with 4194304 steps and 4194304 labels a row needs .* GiB"
    ):
        losses.CTC().value_and_gradient(y, z)


# ---- models


def model(*rest, loss="ctc", seed=1, **kwargs):
    made = Sequential(
        [layers.Input((None, 4)), layers.LSTM(16, return_sequences=True), *rest], seed=seed
    )
    made.compile("adam", loss, **kwargs)
    return made


def toy(rng, count=60):
    """Runs of one-hot noise: each label shows for two to four steps, silence in between.

    (x, y, lengths).
    """
    x, y, lengths = (
        np.zeros((count, 24, 4), np.float32),
        np.full((count, 3), -1),
        np.zeros(count, int),
    )
    for row in range(count):
        t = 0
        for at, label in enumerate(rng.integers(1, 4, rng.integers(1, 4))):
            y[row, at] = label
            steps = rng.integers(2, 5)
            x[row, t : t + steps, label] = 1
            t += steps + rng.integers(1, 4)
        lengths[row] = t
    return x + 0.1 * rng.normal(size=x.shape).astype(np.float32), y, lengths


def test_a_model_learns_to_read(rng):
    x, y, lengths = toy(rng)
    reader = Sequential(
        [
            layers.Input((None, 4)),
            layers.LSTM(16, return_sequences=True),
            layers.Dense(4, "softmax"),
        ],
        seed=3,
    )
    reader.compile(Adam(0.02), "ctc")
    history = reader.fit(x, y, lengths=lengths, epochs=40, batch_size=10, verbose=0)
    losses_seen = history.history["loss"]
    assert losses_seen[-1] < 0.1 * losses_seen[0]
    new_x, new_y, new_lengths = toy(rng, 20)
    read, _ = ctc_decode(reader.predict(new_x, lengths=new_lengths), new_lengths)
    right = [labels == [k for k in row if k >= 0] for labels, row in zip(read, new_y.tolist())]
    assert sum(right) >= 18


def test_softmax_linear_and_probabilities_train_alike(rng):
    """Fused with the softmax, from scores of a linear layer as in Keras, and from probabilities."""
    x, y, lengths = toy(rng, 6)
    found = []
    for activation, loss in (
        ("softmax", losses.CTC()),
        ("linear", losses.CTC()),
        ("linear", losses.CTC(from_logits=True)),
        ("softmax", losses.CTC(from_logits=False)),
    ):
        each = model(layers.Dense(4, activation), loss=loss)
        value = each.compute_gradients(x, y, lengths=lengths)
        found.append((value, each.flat_gradients.copy()))
        assert each.evaluate(x, y, lengths=lengths, batch_size=4, verbose=0) == pytest.approx(
            value, rel=1e-5
        )
    for value, gradient in found[1:]:
        assert value == pytest.approx(found[0][0], rel=1e-5)
        np.testing.assert_allclose(gradient, found[0][1], atol=1e-5)
    p = model(layers.Dense(4, "softmax")).predict(x, lengths=lengths)
    assert losses.CTC(from_logits=False)(y, p, lengths=lengths) == pytest.approx(
        found[0][0], rel=1e-5
    )


def test_gradients_of_a_model(rng):
    each = Sequential(
        [
            layers.Input((None, 4), dtype="float64"),
            layers.GRU(3, return_sequences=True),
            layers.Dense(4, "softmax"),
        ],
        seed=2,
    )
    each.compile("sgd", "ctc")
    x, y, lengths = toy(rng, 3)
    weights = np.array([1, 2, 0.5])
    each.compute_gradients(x, y, weights, lengths)
    gradient = each.flat_gradients.copy()

    def loss_at(parameters):
        each.flat_parameters[...] = parameters
        return each.test_on_batch(x, y, weights, lengths)

    np.testing.assert_allclose(
        gradient, central_differences(loss_at, each.flat_parameters.copy()), rtol=1e-6, atol=1e-9
    )


def test_rows_count_once_whatever_their_batch(rng):
    x, y, lengths = toy(rng, 7)
    each = model(layers.Dense(4, "softmax"))
    alone = [
        each.evaluate(x[r : r + 1], y[r : r + 1], lengths=lengths[r : r + 1], verbose=0)
        for r in range(7)
    ]
    weights = rng.uniform(0, 2, 7)
    for batch_size in (1, 3, 7):
        assert each.evaluate(
            x, y, lengths=lengths, batch_size=batch_size, verbose=0
        ) == pytest.approx(np.mean(alone), rel=1e-5)
        assert each.evaluate(
            x, y, lengths=lengths, batch_size=batch_size, sample_weight=weights, verbose=0
        ) == pytest.approx(np.mean(weights * alone), rel=1e-5)


def test_what_needs_a_target_a_step_is_refused(rng):
    x, y, lengths = toy(rng, 4)
    with pytest.raises(
        ConfigError,
        match="metric accuracy needs a target for each output; targets of loss ctc are labels",
    ):
        model(layers.Dense(4, "softmax"), metrics=["accuracy"])
    with pytest.raises(
        ConfigError, match="class_weight needs a class a position; loss ctc has rows of labels"
    ):
        model(layers.Dense(4, "softmax")).fit(x, y, class_weight={1: 2.0}, verbose=0)
    with pytest.raises(ShapeError, match=r"loss ctc expects \(batch, steps, classes\)"):
        model(layers.LSTM(3), layers.Dense(4, "softmax")).fit(x, y, verbose=0)


def test_a_row_without_an_alignment_ends_training_unless_it_is_let_off(rng):
    x, y, lengths = toy(rng, 4)
    lengths[0] = 0
    before = model(layers.Dense(4, "softmax"))
    with pytest.warns(TrainingWarning, match="the loss became inf"):
        before.fit(x, y, lengths=lengths, verbose=0)
    history = model(layers.Dense(4, "softmax"), loss=losses.CTC(zero_infinity=True)).fit(
        x, y, lengths=lengths, verbose=0
    )
    assert np.isfinite(history.history["loss"]).all()


def test_threads_change_no_bit(rng, forced_threads):
    x, y, lengths = toy(rng, 9)
    found = []
    for count in (1, 2):
        forced_threads.set_num_threads(count)
        each = model(layers.Dense(4, "softmax"))
        each.fit(x, y, lengths=lengths, epochs=2, verbose=0)
        found.append((each.history.history["loss"], each.flat_parameters.tobytes()))
    assert found[0] == found[1]


def test_a_saved_model_goes_on(tmp_path, rng):
    x, y, lengths = toy(rng, 4)
    each = model(layers.Dense(4, "softmax"), loss=losses.CTC(zero_infinity=True))
    each.fit(x, y, lengths=lengths, verbose=0)
    each.save(tmp_path / "reader")
    again = load_model(tmp_path / "reader")
    assert again.loss.zero_infinity
    assert again.train_on_batch(x, y, lengths=lengths) == each.train_on_batch(x, y, lengths=lengths)


def test_labels_may_be_a_list_of_rows(rng):
    scores = rng.normal(size=(3, 6, 4))
    loss = losses.CTC()
    assert loss([[1, 2], [], [3]], scores) == loss(np.array([[1, 2], [-1, -1], [3, -1]]), scores)


def test_a_row_that_cannot_be_read_is_named_as_the_cause(rng):
    model = Sequential(
        [layers.Input((None, 2)), layers.LSTM(3, return_sequences=True), layers.Dense(3)], seed=0
    )
    model.compile("sgd", "ctc")
    with pytest.warns(TrainingWarning, match="fewer steps than its labels need"):
        model.fit(rng.normal(size=(2, 2, 2)), [[1, 1], [2]], verbose=0)
