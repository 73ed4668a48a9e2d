"""Options of optimizers, which users may set between two steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise import checks
from gatewise.errors import StateError
from gatewise.transaction import Transaction, attributes_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from .base import Optimizer


def option(check: Callable[..., Any], *, optional: bool = False, **limits: float) -> Any:
    """An option of a class of optimizers, whose values pass ``check(value, name, **limits)``.

    Parameters
    ----------
    check : callable
        Returns the value that is kept, or raises.
    optional : bool, default False
        Whether None is accepted too.
    **limits : float
        Further arguments of the check.
    """
    return _Option(check, optional, limits)


class _Option:
    """Descriptor of an option.

    An option that decides which arrays the optimizer accumulates, or how they are read, cannot
    change after the first step. Python reads the value from the instance: there is no ``__get__``.
    """

    def __init__(self, check: Callable[..., Any], optional: bool, limits: dict[str, float]) -> None:
        self._check, self._optional, self._limits = check, optional, limits

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __set__(self, optimizer: Optimizer, value: Any) -> None:
        if not (value is None and self._optional):
            value = self._check(value, self._name, **self._limits)
        held = vars(optimizer)
        if self._name not in held:  # under construction
            held[self._name] = value
            return
        stepped = bool(held.get("_slots") or held.get("iterations"))
        slots = _accumulated(optimizer) if stepped else None
        with Transaction(attributes_of(optimizer, self._name)):
            held[self._name] = value
            optimizer._check_together()
            if stepped and _accumulated(optimizer) != slots:
                raise StateError(
                    f"{type(optimizer).__name__}: {self._name} decides what is accumulated from"
                    " step to step, and a step has been made; compile the model with a new one,"
                    f" {type(optimizer).__name__}(..., {self._name}={value!r})"
                )


def _accumulated(optimizer: Optimizer) -> tuple[object, ...]:
    """What an option must not change after the first step."""
    return (
        optimizer._array_slots(),
        optimizer._number_slots(),
        optimizer.gradient_accumulation_steps,
    )


def iterations() -> Any:
    """The number of steps of an optimizer, which a user may set between two steps.

    A schedule continues from there, and so do formulas that count steps.
    """
    return _Iterations()


class _Iterations:
    def __set__(self, optimizer: Optimizer, value: int) -> None:
        value = checks.whole_number(value, "iterations", 0, 2**53)
        accumulates = optimizer._array_slots() or optimizer._number_slots()
        if accumulates and (not optimizer._slots or value == 0) and value != optimizer.iterations:
            raise StateError(
                f"{type(optimizer).__name__}: iterations is {optimizer.iterations} and cannot"
                f" become {value}: what is accumulated begins with the first step; a new optimizer"
                " begins at 0"
            )
        vars(optimizer)["iterations"] = value
