"""Layers that merge arrays: values, gradients, steps, and what they refuse."""

import numpy as np
import pytest
from cases import assert_all_same_bits, assert_close, assert_same_bits, sequences

from gatewise import layers
from gatewise.errors import ConfigError, DTypeError, ShapeError, SizeError
from gatewise.kernels import batched
from gatewise.layers import (
    Add,
    Average,
    Batch,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Steps,
    Subtract,
    Tape,
)
from gatewise.layers.masks import lengths_and_places
from gatewise.models import Sequential
from gatewise.testing import check_gradients

WANTED = {
    Add: sum,
    Subtract: lambda parts: parts[0] - parts[1],
    Multiply: lambda parts: np.prod(np.broadcast_arrays(*parts), axis=0),
    Average: lambda parts: sum(parts) / len(parts),
    Maximum: lambda parts: np.max(np.broadcast_arrays(*parts), axis=0),
    Minimum: lambda parts: np.min(np.broadcast_arrays(*parts), axis=0),
}
FUNCTIONS = {
    "add": Add,
    "subtract": Subtract,
    "multiply": Multiply,
    "average": Average,
    "maximum": Maximum,
    "minimum": Minimum,
}
# Shapes of two inputs, and those to which Keras widens them.
SHAPES = [
    ([(4, 5, 3), (4, 5, 3)], [(4, 5, 3), (4, 5, 3)]),
    ([(1, 1, 1), (1, 1, 1)], [(1, 1, 1), (1, 1, 1)]),
    ([(4, 3), (4, 3)], [(4, 3), (4, 3)]),
    ([(4, 3), (4, 5, 3)], [(4, 1, 3), (4, 5, 3)]),
    ([(4, 5, 1), (4, 1, 3)], [(4, 5, 1), (4, 1, 3)]),
    ([(2, 3), (2, 4, 5, 3)], [(2, 1, 1, 3), (2, 4, 5, 3)]),
    ([(0, 5, 3), (0, 5, 3)], [(0, 5, 3), (0, 5, 3)]),
]
LENGTHS = np.array([5, 0, 3, 1], np.intp)


def drawn(rng, shapes, dtype="float64"):
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


@pytest.mark.parametrize(("shapes", "wide"), SHAPES, ids=str)
@pytest.mark.parametrize("cls", WANTED, ids=lambda cls: cls.__name__)
def test_elementwise(cls, shapes, wide, dtype, rng):
    x = drawn(rng, shapes, dtype)
    y = cls(dtype=dtype)(x)
    wanted = WANTED[cls]([part.reshape(shape) for part, shape in zip(x, wide)])
    assert_close(y, wanted, 1e-6 if dtype == "float32" else 1e-15)
    assert y.dtype == dtype
    built = cls()
    built.build([(None, *shape[1:]) for shape in shapes])
    assert built.output_shape == (None, *wanted.shape[1:])
    if dtype == "float64" and y.size:
        assert check_gradients(cls(dtype=dtype), x).passed


@pytest.mark.parametrize("cls", [Add, Multiply, Average, Maximum, Minimum])
def test_three_inputs(cls, rng):
    x = drawn(rng, [(2, 4, 3), (2, 3), (2, 4, 1)])
    wide = [x[0], x[1][:, None], x[2]]
    assert_close(cls(dtype="float64")(x), WANTED[cls](wide), 1e-15)
    assert check_gradients(cls(dtype="float64"), x).passed
    with pytest.raises(ShapeError, match="given 3 inputs; expected 2"):
        Subtract(dtype="float64")(x)


def test_a_zero_does_not_divide_a_product(rng):
    x = [np.zeros((2, 3)), *drawn(rng, [(2, 3), (2, 3)])]
    layer = Multiply(dtype="float64")
    y = layer.forward(x, training=True)
    d = layer.backward(np.ones_like(y))
    assert_same_bits(d[0], x[1] * x[2])
    assert not d[1].any()


def test_equal_numbers_give_their_gradient_to_the_first_input():
    x = [np.ones((2, 3)), np.ones((2, 3))]
    for cls in (Maximum, Minimum):
        layer = cls(dtype="float64")
        y = layer.forward(x, training=True)
        first, second = layer.backward(np.full_like(y, 2.0))
        assert (first == 2).all() and not second.any()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functional_forms(name, rng):
    x = drawn(rng, [(2, 3), (2, 3)])
    function = getattr(layers, name)
    assert_same_bits(function(x, dtype="float64"), FUNCTIONS[name](dtype="float64")(x))


def test_functional_forms_with_an_axis(rng):
    x = drawn(rng, [(2, 3, 4), (2, 3, 4)])
    assert layers.concatenate(x, axis=1, dtype="float64").shape == (2, 6, 4)
    assert layers.concatenate(x, dtype="float64").shape == (2, 3, 8)
    assert layers.dot(x, dtype="float64").shape == (2, 3, 3)
    assert layers.dot(x, axes=1, normalize=True, dtype="float64").shape == (2, 4, 4)


# ---- concatenation


@pytest.mark.parametrize(
    ("axis", "shapes"),
    [
        (-1, [(4, 5, 3), (4, 5, 1), (4, 5, 2)]),
        (2, [(4, 5, 3), (4, 5, 1)]),
        (1, [(4, 5, 3), (4, 2, 3)]),
        (-2, [(4, 5, 3), (4, 1, 3)]),
        (1, [(4, 5), (4, 2)]),
        (3, [(2, 3, 4, 1), (2, 3, 4, 2)]),
    ],
)
def test_concatenation(axis, shapes, dtype, rng):
    x = drawn(rng, shapes, dtype)
    layer = Concatenate(axis, dtype=dtype)
    y = layer(x)
    assert_same_bits(y, np.concatenate(x, axis=axis))
    assert layer.output_shape[1:] == y.shape[1:]
    if dtype == "float64":
        assert check_gradients(layer, x).passed
    assert Concatenate.from_config(layer.get_config()).axis == axis


def test_sequences_one_after_the_other_have_no_padding_between_them(rng):
    a, b = drawn(rng, [(4, 5, 3), (4, 2, 3)])
    of_b = np.array([2, 1, 0, 2])
    layer = Concatenate(1, dtype="float64")
    for lengths in ([LENGTHS, of_b], [LENGTHS, None], [None, of_b]):
        y = layer(([a, b]), lengths=lengths)
        ends = [
            np.full(4, part.shape[1]) if each is None else each
            for part, each in zip((a, b), lengths)
        ]
        for row in range(4):
            joined = np.concatenate([a[row, : ends[0][row]], b[row, : ends[1][row]]])
            assert_same_bits(y[row, : len(joined)], joined)
            assert not y[row, len(joined) :].any()
        np.testing.assert_array_equal(layer.output_lengths(lengths), ends[0] + ends[1])
        assert check_gradients(Concatenate(1, dtype="float64"), [a, b], lengths=lengths).passed
    assert not layer.keeps_steps and not layer.causal
    assert Concatenate().keeps_steps and Concatenate().causal
    unknown = Concatenate(1)
    unknown.build([(None, None, 3), (None, None, 3)])
    assert unknown.output_lengths([None, None]) is None
    with pytest.raises(ShapeError, match="give lengths for all"):
        unknown.output_lengths([LENGTHS, None])


# ---- steps


@pytest.mark.parametrize("cls", [*WANTED, Concatenate])
@pytest.mark.parametrize("lengths", [[LENGTHS, LENGTHS], [LENGTHS, None], [None, LENGTHS]], ids=str)
def test_lengths_of_one_input_hold_for_all(cls, lengths, rng):
    x = drawn(rng, [(4, 5, 3), (4, 5, 3)])
    layer = cls(dtype="float64")
    inside = (np.arange(5) < LENGTHS[:, None])[..., None]
    y = layer(x)
    assert_same_bits(layer(x, lengths=lengths), np.where(inside, y, 0))
    for part in x:
        part[~inside[..., 0]] = 1e300  # products of padding overflow
    y = layer.forward(x, lengths=lengths, training=True)
    for d in layer.backward(rng.normal(size=y.shape)):
        assert np.isfinite(d).all() and not d[~inside[..., 0]].any()
    x = drawn(rng, [(4, 5, 3), (4, 5, 3)])
    assert check_gradients(layer, x, lengths=lengths, max_entries=20).passed
    np.testing.assert_array_equal(layer.output_lengths(lengths), LENGTHS)


def test_padding_of_a_vector_beside_a_sequence_is_zero(rng):
    x = drawn(rng, [(4, 5, 3), (4, 3)])
    y = Add(dtype="float64")(x, lengths=[LENGTHS, None])
    assert not y[1].any() and not y[2, 3:].any() and y[0].all()
    assert check_gradients(Add(dtype="float64"), x, lengths=[LENGTHS, None]).passed


def test_the_steps_of_an_input_without_a_mask_move_as_those_of_the_masked_one(rng):
    mask = np.array([[1, 0, 1, 1, 0], [0, 0, 0, 1, 1], [1] * 5, [0] * 5], bool)
    lengths, places = lengths_and_places(mask)
    a, b = drawn(rng, [(4, 5, 3), (4, 5, 3)])
    masked = Batch(places.to_front(a), Steps(lengths, places=places))
    for layer in (Add(dtype="float64"), Multiply(dtype="float64"), Concatenate(dtype="float64")):
        wanted = np.where(mask[..., None], layer([a, b]), 0)
        tape = Tape()
        for order in ([masked, Batch(b)], [Batch(b), masked]):
            y = layer.run(order, tape, "node")
            assert y.steps.places is places
            swapped = order[0] is not masked
            back = places.back(y.values)
            if swapped and isinstance(layer, Concatenate):
                back = np.concatenate([back[..., 3:], back[..., :3]], axis=-1)
            assert_same_bits(back, wanted)
            dy = rng.normal(size=y.values.shape)
            found = layer.run_backward(places.to_front(dy), tape, "node", True)
            d_b = found[0 if swapped else 1]
            twin = layer.forward([b, a] if swapped else [a, b], training=True)
            assert twin.shape == dy.shape
            of_b = layer.backward(np.where(mask[..., None], dy, 0))[0 if swapped else 1]
            assert_same_bits(np.where(mask[..., None], of_b, 0), d_b)


def test_different_steps_are_refused(rng):
    x = drawn(rng, [(4, 5, 3), (4, 5, 3)])
    other = np.array([5, 1, 3, 1], np.intp)
    for layer in (Add(name="sum", dtype="float64"), Concatenate(name="sum", dtype="float64")):
        with pytest.raises(ShapeError, match="inputs 0 and 1 of layer 'sum' have different length"):
            layer(x, lengths=[LENGTHS, other])
        resets = [np.zeros((4, 5), np.uint8) for _ in range(2)]
        resets[1][0, 2] = 1
        batches = [Batch(part, Steps(resets=each)) for part, each in zip(x, resets)]
        with pytest.raises(ShapeError, match="have different resets"):
            layer.run(batches, None, "node")
        batches[0] = Batch(x[0])
        assert layer.run(batches, None, "node").steps.resets is resets[1]
    joined = Concatenate(1, dtype="float64")
    joined.build([(None, 5, 3)] * 2)
    with pytest.raises(ConfigError, match="changes the steps, and resets belong to steps"):
        joined.run([Batch(x[0]), Batch(x[1], Steps(resets=resets[1]))], None, "node")


def test_rows_that_end_early_are_refused_where_their_steps_are_lost(rng):
    one, many = drawn(rng, [(4, 1, 3), (4, 5, 3)])
    with pytest.raises(ShapeError, match="its steps are not steps of the output"):
        Add(dtype="float64")([one, many], lengths=[[1, 0, 1, 1], None])
    assert Add(dtype="float64")([one, many], lengths=[[1] * 4, None]).shape == (4, 5, 3)
    image = rng.normal(size=(4, 2, 5, 3))
    with pytest.raises(ShapeError, match="its steps are not steps of the output"):
        Add(dtype="float64")([image, many], lengths=[None, LENGTHS])


# ---- products


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(
    ("axes", "shapes", "einsum"),
    [
        (1, [(4, 3), (4, 3)], "bk,bk->b"),
        (-1, [(4, 5, 3), (4, 6, 3)], "bik,bjk->bij"),
        (1, [(4, 5, 3), (4, 5, 17)], "bki,bkj->bij"),
        ((2, 1), [(4, 5, 3), (4, 3, 2)], "bik,bkj->bij"),
        ((1, 2), [(4, 3), (4, 5, 3)], "bk,bik->bi"),
        ((-1, -1), [(4, 5, 3), (4, 3)], "bik,bk->bi"),
        ((2, 3), [(2, 5, 3, 4), (2, 6, 2, 3)], "bikl,bjmk->biljm"),
        (1, [(1, 1), (1, 1)], "bk,bk->b"),
        (-1, [(0, 5, 3), (0, 6, 3)], "bik,bjk->bij"),
    ],
)
def test_dot(axes, shapes, einsum, normalize, dtype, tolerance, rng):
    x = drawn(rng, shapes, dtype)
    layer = Dot(axes, normalize, dtype=dtype)
    y = layer(x)
    given = [part.astype(np.float64) for part in x]
    if normalize:
        at = axes if isinstance(axes, tuple) else (axes, axes)
        given = [part / np.linalg.norm(part, axis=k, keepdims=True) for part, k in zip(given, at)]
    wanted = np.einsum(einsum, *given)
    wanted = wanted[:, None] if wanted.ndim == 1 else wanted
    assert_close(y, wanted, tolerance.forward)
    assert layer.output_shape == (None, *y.shape[1:])
    if dtype == "float64" and y.size:
        assert check_gradients(layer, x).passed
    again = Dot.from_config(layer.get_config())
    assert (again.axes, again.normalize) == (layer.axes, normalize)


def test_the_cosine_of_zeros_is_zero(rng):
    x = [np.zeros((2, 3)), rng.normal(size=(2, 3))]
    layer = Dot(1, normalize=True, dtype="float64")
    y = layer.forward(x, training=True)
    assert not y.any()
    assert all(np.isfinite(d).all() for d in layer.backward(np.ones_like(y)))


def test_padding_counts_in_no_sum_over_steps(rng):
    x = drawn(rng, [(4, 5, 3), (4, 5, 2)])
    layer = Dot(1, dtype="float64")
    inside = (np.arange(5) < LENGTHS[:, None])[..., None]
    y = layer(x, lengths=[LENGTHS, LENGTHS])
    assert_close(y, np.einsum("bki,bkj->bij", x[0] * inside, x[1]), 1e-14)
    assert not layer.keeps_steps and layer.output_lengths([LENGTHS, LENGTHS]) is None
    assert check_gradients(Dot(1, dtype="float64"), x, lengths=[LENGTHS, None]).passed
    weights, value = drawn(rng, [(4, 2, 5), (4, 5, 3)])
    layer = Dot((2, 1), dtype="float64")
    y = layer([weights, value], lengths=[[2, 1, 0, 2], LENGTHS])
    for row, (queries, steps) in enumerate(zip([2, 1, 0, 2], LENGTHS)):
        wanted = weights[row, :queries, :steps] @ value[row, :steps]
        assert_close(y[row, :queries], wanted, 1e-14)
        assert not y[row, queries:].any()
    assert layer.keeps_steps
    lengths = [[2, 1, 0, 2], LENGTHS]
    assert check_gradients(Dot((2, 1), True, dtype="float64"), [weights, value], lengths=lengths)
    with pytest.raises(ShapeError, match="input 1 of layer 'dot.*padding would count as data"):
        Dot(2, dtype="float64")([value, value], lengths=[LENGTHS, LENGTHS])


def test_a_row_has_the_same_bits_alone_and_in_a_batch(dtype, rng):
    x = drawn(rng, [(9, 7, 33), (9, 19, 33)], dtype)
    layer = Dot(2, normalize=True, dtype=dtype)
    y = layer(x)
    for row in (0, 8):
        assert_same_bits(layer([part[row : row + 1] for part in x])[0], y[row])
    a, b = x[0], np.ascontiguousarray(x[1].swapaxes(1, 2))
    found = {}
    for threads in (1, 2, 5):
        found[threads] = np.empty((9, 7, 19), dtype)
        batched.multiply(a, b, found[threads], threads)
    assert_all_same_bits([found[2], found[5]], [found[1], found[1]])
    assert_close(found[1], a.astype("float64") @ b, 1e-5)


# ---- errors


def test_what_is_no_list_of_arrays_is_refused(rng):
    x = sequences(rng, 2, 4, 3)
    for given in (x, [x], [], x.tolist(), "x", None):
        with pytest.raises(DTypeError, match="layer 'add_me' reads a list of at least two arrays"):
            Add(name="add_me", dtype="float64")(given)
    with pytest.raises(ShapeError, match="expected a list of the shapes of at least two inputs"):
        Add().build((None, 3))
    with pytest.raises(ShapeError, match="at least two inputs"):
        Sequential([layers.Input((3,)), Add()])
    with pytest.raises(ConfigError, match="takes a mask with one input, not with 2"):
        Add(dtype="float64")([x, x], mask=np.ones((2, 4), bool))
    with pytest.raises(ShapeError, match="lengths were given for an array of shape .2, 3., which"):
        Add(dtype="float64")([x[:, 0], x[:, 0]], lengths=[[1, 2], None])
    with pytest.raises(ShapeError, match="the same number of rows"):
        Add(dtype="float64")([x, x[:1]])


@pytest.mark.parametrize(
    ("make", "shapes", "message"),
    [
        (Add, [(2, 3), (2, 4)], r"given input shapes \(.*3\), \(.*4\); expected the same shapes"),
        (Multiply, [(2, 5, 3), (2, 4, 3)], "the same shapes, or 1 for an axis to be repeated"),
        (Concatenate, [(2, 5, 3), (2, 4, 3)], "the same extents on all axes but axis 2"),
        (Concatenate, [(2, 5, 3), (2, 3)], "the same extents on all axes but axis 2"),
        (lambda **o: Concatenate(3, **o), [(2, 5, 3)] * 2, "an axis from 1 to 2, or from -2 to -1"),
        (lambda **o: Dot(1, **o), [(2, 5), (2, 4)], "the same extent on axis 1 of the first"),
        (lambda **o: Dot(2, **o), [(2, 5), (2, 5)], "expected an axis from 1 to 1"),
        (lambda **o: Dot(1, **o), [(2, 5)] * 3, "given 3 inputs; expected 2"),
    ],
)
def test_shapes_that_do_not_meet(make, shapes, message, rng):
    layer = make(name="here", dtype="float64")
    with pytest.raises(ShapeError, match=f"layer 'here'.*{message}"):
        layer(drawn(rng, shapes))


def test_shapes_of_a_later_call_are_checked_too(rng):
    layer = Add(dtype="float64")
    layer(drawn(rng, [(2, 5, 3), (2, 5, 3)]))
    with pytest.raises(ShapeError, match="the same shapes"):
        layer(drawn(rng, [(2, 5, 3), (2, 4, 3)]))


def test_wrong_options():
    for axis in (0, 1.5, True, None):
        with pytest.raises((ConfigError, DTypeError), match="axis is"):
            Concatenate(axis)
    for axes in (0, (1, 0), (1,), (1, 2, 3), "1", (1, (2,))):
        with pytest.raises((ConfigError, DTypeError), match="axes is"):
            Dot(axes)


def test_a_result_that_cannot_fit_into_memory_is_refused():
    wide = np.zeros((1, 2**20, 1), "float32"), np.zeros((1, 1, 2**24), "float32")
    with pytest.raises(SizeError, match="the output of layer 'big'"):
        Add(name="big")(list(wide))


# ---- symbols


def test_operators_of_symbols_are_layers():
    a, b = layers.Input((None, 3)), layers.Input((None, 1))
    for y, cls in ((a + b, Add), (a - b, Subtract), (a * b, Multiply)):
        assert type(y.node.layer) is cls and y.shape == (None, None, 3)
    assert (a / b).shape == (None, None, 3)


def test_functions_of_symbols_give_symbols():
    a, b = layers.Input((None, 3)), layers.Input((None, 3))
    assert layers.concatenate([a, b]).shape == (None, None, 6)
    assert layers.concatenate([a, b], axis=1, name="both").name == "both"
    assert layers.maximum([a, b, a]).shape == (None, None, 3)
    assert layers.dot([layers.Input((3,)), layers.Input((3,))], axes=1).shape == (None, 1)
    with pytest.raises(ShapeError, match="the same shapes, or 1"):
        layers.add([a, layers.Input((None, 2))])
    with pytest.raises(ShapeError, match="at least two inputs"):
        Add()(a)
    with pytest.raises(ShapeError, match="at least two inputs"):
        Add()([a])
