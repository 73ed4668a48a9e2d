"""Small forecasters, series and panels, and refusals whose cure is run."""

import re

import numpy as np
import pandas
import pytest
from seeds import generator

from gatewise import SequenceForecaster
from gatewise.errors import GatewiseError

DATES = pandas.date_range("2024-01-01", periods=30)

LATER = pandas.date_range("2024-01-31", periods=6)


def small(**options):
    return SequenceForecaster(
        **({"window": 4, "horizon": 2, "units": 2, "max_iter": 1, "random_state": 0} | options)
    )


def numbers(count, columns=None):
    rng = generator(0)
    return rng.normal(size=count if columns is None else (count, columns))


def refusal(call):
    with pytest.raises(GatewiseError) as caught:
        call()
    return str(caught.value)


def compiles(text):
    try:
        compile(text, "", "exec")
    except SyntaxError:
        return False
    return text.endswith(("]", ")", "}"))


def cured(message, number=0, **names):
    """The variables after the statement with this number in a message."""
    starts = [
        match.start()
        for match in re.finditer(r"(?<![\w.])(y|y_new|X|y\[[^]]+\]|times) = " "", message)
    ]
    statements = [
        max(
            (
                message[start:end]
                for end in range(start, len(message) + 1)
                if compiles(message[start:end])
            ),
            key=len,
        )
        for start in starts
    ]
    assert len(statements) > number, message
    names = {"pandas": pandas, "np": np} | names
    exec(statements[number], names)
    return names


def panel(dates=DATES, keys=("b", "a"), columns=("sales", "visits")):
    index = pandas.MultiIndex.from_product([keys, dates], names=["store", "date"])
    rng = generator(len(dates))
    values = {key: rng.normal(size=(len(dates), len(columns))) for key in sorted(keys)}
    return pandas.DataFrame(
        np.concatenate([values[key] for key in keys]), index, columns=list(columns)
    )


def parts(frame):
    return [frame.loc[key] for key in frame.index.unique("store")]
