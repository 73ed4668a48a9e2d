"""Which fitted attributes a file of an estimator holds, and what each of them may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gatewise import checks
from gatewise.errors import CheckpointError

from .fitted import OF_THE_NETWORK, OF_TRAINING

Check = Callable[[Any, str], object]  # raises if the value cannot be that of the attribute


def _count(value: Any, name: str) -> None:
    checks.whole_number(value, name, 0, 2**62)


def _real(value: Any, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CheckpointError(f"{name} is {value!r:.80}; expected a number")


def _reals(value: Any, name: str) -> None:
    for number, part in enumerate(checks.listed(value, name, "numbers")):
        _real(part, f"{name}[{number}]")


def _or_none(check: Check) -> Check:
    return lambda value, name: None if value is None else check(value, name)


def _array(kinds: str) -> Check:
    def check(value: Any, name: str) -> None:
        if (
            not isinstance(value, np.ndarray)
            or value.ndim != 1
            or value.dtype.kind not in kinds
            or not len(value)
        ):
            raise CheckpointError(f"{name} is {value!r:.80}; expected an array of one axis")

    return check


def _classes_array(value: Any, name: str) -> None:
    _array("buifOU")(value, name)
    if len(value) > 1 and not (value[:-1] < value[1:]).all():
        raise CheckpointError(
            f"{name} is {value.tolist()!r:.80}; expected labels in order, each once"
        )


def _means(value: Any, name: str) -> None:
    _array("f")(value, name)
    checks.finite(value, name)


def _reader(value: Any, name: str) -> None:
    """What an encoder's target has learned of y, if it is no reconstruction."""
    known = ({"classes_", "_several"}, {"_column", "_columns"})
    if not isinstance(value, dict) or set(value) not in known:
        raise CheckpointError(
            f"{name} is {value!r:.80}; expected what is known of labels or numbers"
        )
    for attribute, held in value.items():
        _check(attribute, held)


def known_of_y(value: Any) -> Any:
    """Return what an encoder has learned of y; its file has it in a classifier or regressor."""
    if type(value).__name__ not in ("SequenceClassifier", "SequenceRegressor"):
        return value
    names = ("classes_", "_several", "_column", "_columns")
    return {name: held for name, held in vars(value).items() if name in names}


def _output_config(value: Any, name: str) -> None:
    if not isinstance(value, dict) or not all(
        part is None or isinstance(part, str) for pair in value.items() for part in pair
    ):
        raise CheckpointError(f"{name} is {value!r:.80}; expected a dict of text")


def _fitted_parameters(value: Any, name: str) -> None:
    """Parameters by name; their values are checked when ``fit`` continues, or when X is read."""
    if not isinstance(value, dict) or not set(value) <= {*OF_THE_NETWORK, *OF_TRAINING}:
        raise CheckpointError(f"{name} is {value!r:.80}; expected a dict of parameters")


# Attributes in files that belong to the target.
OF_TARGETS = (
    "_several",
    "_label_a_row",
    "_texts",
    "_column",
    "_columns",
    "_reader",
    "_decoded_steps",
)
CHECKS: dict[str, Check] = {
    **dict.fromkeys(
        (
            "n_features_in_",
            "n_outputs_",
            "n_iter_",
            "t_",
            "vocabulary_size_",
            "_step_features",
            "_columns",
            "_encoding_layers",
            "_decoded_steps",
        ),
        _count,
    ),
    **dict.fromkeys(
        ("_fitted_on_table", "_several", "_label_a_row", "_texts", "_column"), checks.flag
    ),
    "out_activation_": checks.text,
    "loss_": _real,
    "loss_curve_": _reals,
    "validation_scores_": _or_none(_reals),
    **dict.fromkeys(("best_loss_", "best_validation_score_"), _or_none(_real)),
    "classes_": _classes_array,
    "feature_names_in_": _array("O"),
    "feature_means_": _means,
    "_reader": _or_none(_reader),
    "_sklearn_output_config": _output_config,
    "_fitted_parameters": _fitted_parameters,
}


def _check(name: str, value: Any) -> None:
    if name not in CHECKS:
        raise CheckpointError(f"attribute {name!r:.80} is not known")
    CHECKS[name](value, name)


def check_attributes(cls: Any, attributes: dict[str, Any]) -> None:
    """Refuse attributes of a file that an estimator of this class cannot have, or lacks.

    Raises
    ------
    CheckpointError, or another error that says what does not fit
    """
    for name in cls._needed:
        if name not in attributes:
            raise CheckpointError(f"attribute {name!r} of a {cls.__name__} is missing")
    for name, value in attributes.items():
        _check(name, value)
    if attributes.get("_reader", True) is None and "_decoded_steps" not in attributes:
        raise CheckpointError(f"attribute '_decoded_steps' of a {cls.__name__} is missing")
