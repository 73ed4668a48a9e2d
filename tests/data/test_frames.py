import numpy as np
import pytest

from gatewise.data import FrameStacker, stack_frames
from gatewise.errors import ConfigError, DTypeError, NonFiniteError, ShapeError


def by_hand(sequence, frames, stride, fill):
    rows = []
    for t in range(0, len(sequence), stride):
        row = []
        for back in range(frames - 1, -1, -1):
            zero = t < back and fill == "zero"
            row += [0.0] * sequence.shape[1] if zero else sequence[max(t - back, 0)].tolist()
        rows.append(row)
    return np.array(rows).reshape(len(rows), frames * sequence.shape[1])


@pytest.mark.parametrize("frames", [1, 2, 5, 9])
@pytest.mark.parametrize("stride", [1, 3, 8])
@pytest.mark.parametrize("fill", ["first", "zero"])
class TestAgainstTheDefinition:
    def test_function(self, rng, dtype, frames, stride, fill):
        for time in (0, 1, 7):
            sequence = rng.normal(size=(time, 2)).astype(dtype)
            found = stack_frames(sequence, frames, stride, fill)
            assert found.dtype == dtype and not np.shares_memory(found, sequence)
            np.testing.assert_array_equal(found, by_hand(sequence, frames, stride, fill))

    def test_transformer(self, rng, frames, stride, fill):
        ragged = [rng.normal(size=(time, 2)) for time in (4, 0, 7)]
        stacker = FrameStacker(frames, stride=stride, fill=fill)
        for row, given in zip(stacker.fit_transform(ragged), ragged):
            np.testing.assert_array_equal(row, by_hand(given, frames, stride, fill))
        cube = rng.normal(size=(3, 7, 2))
        np.testing.assert_array_equal(
            stacker.fit_transform(cube), [by_hand(row, frames, stride, fill) for row in cube]
        )
        table = cube[:, :, 0]
        np.testing.assert_array_equal(
            stacker.fit_transform(table).reshape(3, -1, frames),
            [by_hand(row[:, np.newaxis], frames, stride, fill) for row in table],
        )


def test_no_step_looks_ahead(rng):
    sequence = rng.normal(size=(8, 2))
    other = sequence.copy()
    other[5:] = np.nan
    np.testing.assert_array_equal(stack_frames(other, 3)[:5], stack_frames(sequence, 3)[:5])


@pytest.mark.parametrize(
    "options, error",
    [
        ({"frames": 0}, ConfigError),
        ({"frames": 1.5}, DTypeError),
        ({"stride": 0}, ConfigError),
        ({"fill": "last"}, ConfigError),
    ],
)
def test_options_are_checked(options, error):
    options = {"frames": 2, **options}
    with pytest.raises(error, match="|".join(options)):
        stack_frames([1.0], **options)
    with pytest.raises(error, match="|".join(options)):
        FrameStacker(**options).fit([[1.0]])


@pytest.mark.parametrize(
    "sequence, error",
    [
        (np.zeros((2, 2, 2)), ShapeError),
        (np.zeros((2, 0)), ShapeError),
        (["a"], DTypeError),
        ([np.inf], NonFiniteError),
    ],
)
def test_sequences_are_checked(sequence, error):
    with pytest.raises(error, match="sequence"):
        stack_frames(sequence, 2)
