"""The codec of values: what goes in comes out, in the form that docs/checkpoint-format.md gives."""

import json
import math

import numpy as np
import pytest

from gatewise.checkpoint.codec import (
    MAX_LEVELS,
    Arrays,
    Codec,
    NonFinite,
    Tuples,
    is_storable,
    storable,
)
from gatewise.data.packing import VALUES as OF_TRANSFORMERS
from gatewise.errors import CheckpointError, ConfigError, DTypeError
from gatewise.estimators.packing import VALUES as OF_ESTIMATORS
from gatewise.models.saving import RUN

NUMBERS = np.arange(3, dtype=np.float32)
TEXTS = np.array(["a", "bc"], object)

# codec, value, its JSON, the names of its arrays
FORMS = {
    "a run": (
        RUN,
        {"a": [NUMBERS, {"$b": 1, "$$c": None}], "d": {"$tensor": "x"}},
        {"a": [{"$tensor": "v/a/0"}, {"$$b": 1, "$$$c": None}], "d": {"$$tensor": "x"}},
        ["v/a/0"],
    ),
    "of an estimator": (
        OF_ESTIMATORS,
        {"a": (1, [2.5, "x"]), 3: NUMBERS, "t": TEXTS, "nothing": {}},
        {
            "$dict": [
                ["a", {"$tuple": [1, [2.5, "x"]]}],
                [3, {"$array": "v/1"}],
                ["t", {"$texts": ["|O", [2], ["a", "bc"]]}],
                ["nothing", {"$dict": []}],
            ]
        },
        ["v/1"],
    ),
    "of a transformer": (
        OF_TRANSFORMERS,
        {"a": (1, [2.5, "x"]), "$b": NUMBERS, "t": TEXTS},
        {
            "dict": {
                "a": {"tuple": [1, {"list": [2.5, "x"]}]},
                "$b": {"array": "v/$b"},
                "t": {"texts": ["a", "bc"]},
            }
        },
        ["v/$b"],
    ),
    "a header": (
        Codec(NonFinite("$float")),
        {"a": [math.inf, -math.inf, 1.5], "$float": "nan"},
        {"a": [{"$float": "inf"}, {"$float": "-inf"}, 1.5], "$$float": "nan"},
        [],
    ),
}


@pytest.mark.parametrize("case", FORMS)
def test_the_form_of_values_in_files(case):
    codec, value, form, names = FORMS[case]
    arrays = {}
    packed = codec.encode(value, "v", arrays)
    assert packed == form and list(arrays) == names
    read = codec.decode(json.loads(json.dumps(packed)), arrays)
    assert arrays == {}  # each was taken out
    np.testing.assert_equal(read, value)
    assert str(read) == str(value)  # types too


@pytest.mark.parametrize(
    "codec", [RUN, OF_ESTIMATORS, OF_TRANSFORMERS], ids=["run", "estimators", "transformers"]
)
def test_numpy_scalars_become_python_numbers(codec):
    value = codec.encode([np.float32(0.5), np.int8(3), np.bool_(True), np.str_("x")], "v")
    parts = codec.decode(value)
    assert parts == [0.5, 3, True, "x"]
    assert [type(part) for part in parts] == [float, int, bool, str]


def test_tuples_are_lists_unless_a_kind_holds_them():
    assert Codec().decode(Codec().encode((1, (2,)), "v")) == [1, [2]]
    codec = Codec(Tuples("$tuple"))
    assert codec.decode(codec.encode((1, (2,)), "v")) == (1, (2,))


def test_names_of_arrays_differ_even_if_a_key_has_a_slash():
    arrays = {}
    value = {"a": {"b": NUMBERS}, "a/b": NUMBERS + 1}
    packed = RUN.encode(value, "run", arrays)
    assert list(arrays) == ["run/a/b", "run/a/b_"]
    np.testing.assert_equal(RUN.decode(packed, arrays), value)


@pytest.mark.parametrize(
    ("codec", "value", "words"),
    [
        (RUN, {"a": [{1}]}, "v/a/0 is a set"),
        (RUN, {"a": {1: 2}}, r"v/a has key 1 \(int\)"),
        (RUN, np.array([None]), "v is an array of object"),
        (OF_ESTIMATORS, [1j], "v/0 is a complex"),
        (OF_ESTIMATORS, {"a": np.array([{}, 1], object)}, "v/0 is an array of dict objects"),
        (OF_TRANSFORMERS, {1: 2}, "v is a dict"),
        (Codec(), NUMBERS, "v is an array of float32"),
        (Codec(), np.longdouble(1), "v is a longdouble"),
    ],
)
def test_what_no_file_can_hold(codec, value, words):
    with pytest.raises(DTypeError, match=words):
        codec.encode(value, "v", {})


def test_a_value_that_contains_itself():
    value = []
    value.append(value)
    with pytest.raises(ConfigError, match=f"v is nested deeper than {MAX_LEVELS} levels"):
        RUN.encode(value, "v", {})


@pytest.mark.parametrize(
    ("codec", "packed", "words"),
    [
        (RUN, {"$tensor": "x"}, "array 'x' is missing"),
        (RUN, [{"$tensor": "w"}, {"$tensor": "w"}], "belongs to something else"),
        (RUN, {"a": 1, "$other": 2}, r"unknown mark '\$other'"),
        (RUN, {"$tuple": [1]}, r"unknown mark '\$tuple'"),
        (OF_ESTIMATORS, {"a": 1}, r"expected one key, of \$tuple"),
        (OF_ESTIMATORS, {"$tuple": [1], "$dict": []}, "expected one key"),
        (OF_ESTIMATORS, {"$loss": [1]}, "expected a dict with names"),
        (OF_ESTIMATORS, {"$texts": ["<U1", [1], [1]]}, "array of texts holds something else"),
        (OF_TRANSFORMERS, {"$tuple": [1]}, "expected one key, of tuple"),
        (OF_TRANSFORMERS, {"texts": [1]}, "array of texts holds something else"),
        (Codec(NonFinite("$float")), {"$float": "1"}, "expected a float"),
    ],
)
def test_damage(codec, packed, words):
    with pytest.raises(CheckpointError, match=words):
        codec.decode(packed, {"w": NUMBERS})


def test_messages_show_little_of_a_large_value():
    with pytest.raises(CheckpointError) as caught:
        Codec(Arrays("$array"), objects=False).decode({"x": "y" * 10_000})
    assert len(str(caught.value)) < 300


def test_what_is_storable():
    assert all(is_storable(value) for value in (None, True, 1, 2.5, "x", np.int8(1), NUMBERS))
    assert not any(is_storable(value) for value in ([1], {}, (1,), {1}, 1j, TEXTS, object()))
    copy = storable(NUMBERS)
    assert copy is not NUMBERS and (copy == NUMBERS).all()
    assert type(storable(np.float64(2))) is float
    assert storable([1]) == "[1]"
