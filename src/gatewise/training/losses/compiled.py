"""Losses whose values and gradients a kernel computes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gatewise.kernels import losses

from .base import Loss

if TYPE_CHECKING:
    from gatewise._typing import Array


class CompiledLoss(Loss):
    """Base of losses that name a ``_kernel`` for predictions; sums never come from here."""

    def position_values(
        self, y_true: Array, y_pred: Array, want_gradient: bool
    ) -> tuple[Array, Array | None]:
        """The kernel's values, position by position: for subclasses that start from them."""
        rows = np.ascontiguousarray(y_pred).reshape(-1, y_pred.shape[-1])
        targets = np.ascontiguousarray(y_true).reshape(len(rows), -1)
        gradient = np.empty_like(rows) if want_gradient else None
        values = np.array(
            [
                losses.total(
                    self._kernel_of_values(),
                    targets[i : i + 1],
                    rows[i : i + 1],
                    None,
                    1.0,
                    None if gradient is None else gradient[i : i + 1],
                    1,
                    self._option,
                )
                for i in range(len(rows))
            ]
        ).reshape(y_pred.shape[:-1])
        return values, None if gradient is None else gradient.reshape(y_pred.shape)

    def _kernel_of_values(self) -> str:
        """The kernel of the library's class: one that defines another formula has none itself."""
        return next(name for base in type(self).__mro__ if (name := vars(base).get("_kernel")))
