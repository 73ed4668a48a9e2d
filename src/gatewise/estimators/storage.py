"""The part of an estimator that files hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from gatewise.errors import CheckpointError

from . import saving
from .input_reading import InputReading

if TYPE_CHECKING:
    from gatewise._typing import PathLike


class Storage(InputReading):
    """Declares what a file holds of an estimator beside parameters and model: see saving.py."""

    # Fitted attributes that a file must hold. All that it may hold are in attributes_in_files.py.
    _needed: ClassVar[tuple[str, ...]] = (
        "n_features_in_",
        "_fitted_on_table",
        "_step_features",
        "n_outputs_",
        "out_activation_",
        "t_",
        "n_iter_",
        "loss_curve_",
    )
    # Attributes that :meth:`_get_state` packs.
    _own_state: ClassVar[tuple[str, ...]] = ()

    def _get_state(self) -> dict[str, Any]:
        """What files hold beside attributes, of kinds that :mod:`packing` knows."""
        return {}

    def _set_state(self, state: dict[str, Any]) -> None:
        """Take what :meth:`_get_state` returned; called when everything else is there.

        Raises
        ------
        CheckpointError
        """
        if state:
            raise CheckpointError(
                f"the state of a {type(self).__name__} is {state!r:.80}; expected none"
            )

    def _stored_target(self) -> dict[str, Any]:
        """What files hold of the target: values by the names of attributes."""
        return {}

    def _restore_target(self, held: dict[str, Any]) -> None:
        """Make the target of what :meth:`_stored_target` returned."""

    def _outputs_for(self, classes: int) -> set[int]:
        """How many outputs the network may have for this number of classes."""
        return {1, 2} if classes == 2 else {classes}

    def save(self, path: PathLike) -> None:
        """Write parameters, fitted attributes and the model to one file, atomically.

        :func:`load_estimator` reads it. Nothing in it is pickled. It holds the layers that a
        function given as ``architecture`` made, but not the function, and no requests for metadata.

        Parameters
        ----------
        path : str or path-like
            Name of the file. An existing file of that name is replaced.

        Raises
        ------
        NotFittedError
            The estimator has not been fitted.
        CheckpointError
            The file could not be written; an older file of that name is unchanged.
        DTypeError
            A parameter or label is of a kind that files cannot hold.
        """
        self._need_fitted()
        saving.save_estimator(self, path)
