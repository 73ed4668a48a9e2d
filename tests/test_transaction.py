"""A block that fails restores what it was told to, and nothing else does."""

from types import SimpleNamespace

import numpy as np
import pytest
from seeds import generator

from gatewise.transaction import Transaction, attributes_of, draws_of, value_of


@pytest.mark.parametrize("error", [ValueError, MemoryError, KeyboardInterrupt, SystemExit])
def test_whatever_ends_the_block_restores(error):
    thing = SimpleNamespace(a=1, items=[1, 2])
    with pytest.raises(error), Transaction(attributes_of(thing)):
        thing.a, thing.b = 2, 3
        thing.items.append(3)
        raise error
    assert vars(thing) == {"a": 1, "items": [1, 2]}


def test_a_block_that_ends_well_restores_nothing():
    thing = SimpleNamespace(a=1)
    with Transaction(attributes_of(thing)):
        thing.a = 2
    assert thing.a == 2


def test_named_attributes_alone_are_restored():
    thing = SimpleNamespace(a=1, b=1)
    before = Transaction(attributes_of(thing, "a"))
    thing.a = thing.b = thing.c = 2
    before.restore()
    assert vars(thing) == {"a": 1, "b": 2, "c": 2}


def test_a_list_is_the_same_object_with_its_former_contents():
    items = [1]
    thing = SimpleNamespace(items=items)
    before = Transaction(attributes_of(thing))
    for _ in range(2):  # a snapshot may be restored more than once
        items.append(2)
        thing.items = None
        before.restore()
        assert thing.items is items
        assert items == [1]


def test_the_last_is_restored_first_and_all_of_them_though_one_raises():
    calls = []

    def fail():
        calls.append("second")
        raise OSError("second")

    before = Transaction(lambda: calls.append("first"), fail, lambda: calls.append("third"))
    with pytest.raises(OSError, match="second"):
        before.restore()
    assert calls == ["third", "second", "first"]


@pytest.mark.parametrize("rng", [generator(3), np.random.RandomState(3)], ids=type)
def test_a_generator_draws_again(rng):
    rng.standard_normal()  # half of a pair of RandomState's is kept for the next draw
    before = Transaction(draws_of(rng))
    drawn = rng.standard_normal(5)
    before.restore()
    np.testing.assert_array_equal(rng.standard_normal(5), drawn)


def test_a_value_is_what_it_was_when_the_transaction_was_made():
    values = {"now": 1}
    before = Transaction(value_of(lambda: values["now"], lambda value: values.update(now=value)))
    values["now"] = 2
    before.restore()
    assert values == {"now": 1}
