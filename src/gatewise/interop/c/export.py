"""Writing the files of a model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatewise import checks
from gatewise.checkpoint.files import failure, path_text, replace_file
from gatewise.errors import CheckpointError, ConfigError, did_you_mean

from . import files
from .program import Program
from .report import CExport

if TYPE_CHECKING:
    from gatewise._typing import PathLike

WEIGHTS = ("float32", "int8")
MOST = 2**31 - 1  # numbers in an array: indices are of type int


def export(plan: Any, folder: PathLike, weights: Any) -> CExport:
    """Write the program of a model.

    Parameters
    ----------
    plan : StepPlan
        What the model computes at one step.
    folder : str or os.PathLike
        Made if there is none.
    weights : {"float32", "int8"}
        How matrices are stored.

    Returns
    -------
    CExport
        Files and sizes.

    Raises
    ------
    CheckpointError
        The files cannot be written, or would replace files that are not of an export.
    ConfigError
        `weights` is something else, or not honest for this model; or the model computes in
        float64.
    NonFiniteError
        A weight is NaN or infinite.
    """
    check_weights(weights)
    if plan.dtype != "float32":
        raise ConfigError(
            f"model {plan.model!r} computes in {plan.dtype}, the C program in float32: make the"
            " model with dtype='float32' and give it these weights with set_weights"
        )
    program = Program(plan, weights)
    texts = [files.header(program), "".join(_checked_source(program))]
    place = Path(path_text(folder))
    _make(place)
    header, source = place / f"{program.prefix}.h", place / f"{program.prefix}.c"
    for path in (header, source):
        _refuse_foreign(path)
    for path, text in zip((header, source), texts):
        replace_file(str(path), text.encode("ascii"))
    errors = {name: error for sheet in program.sheets for name, error in sheet.errors.items()}
    return CExport(
        program.prefix,
        header,
        source,
        weights,
        program.constant_bytes,
        program.state_bytes,
        program.saved_bytes,
        errors,
    )


def check_weights(weights: Any) -> None:
    """Refuse what is not the name of a form of weights.

    Raises
    ------
    ConfigError
    """
    if not isinstance(weights, str) or weights not in WEIGHTS:
        raise ConfigError(
            f"weights is {weights!r}; expected {' or '.join(map(repr, WEIGHTS))}"
            f"{did_you_mean(weights, WEIGHTS)}"
        )


def _checked_source(program: Program) -> Any:
    arrays = [constant for sheet in program.sheets for constant in sheet.constants]
    for constant in arrays:
        if constant.values.size > MOST:
            raise ConfigError(
                f"{constant.name} has {constant.values.size:,} numbers; C's int counts {MOST:,}"
            )
    characters = sum(16 * constant.values.size for constant in arrays)
    checks.fits_memory(2 * characters, "uint8", "the text of the weights")
    return files.source(program)


def _make(place: Path) -> None:
    try:
        os.makedirs(place, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a null byte
        raise failure(f"cannot make the folder {str(place)!r}", error) from error


def _refuse_foreign(path: Path) -> None:
    """Refuse to replace a file that no export has written."""
    try:
        with open(path, "rb") as file:
            begin = file.read(len(files.MARK))
    except FileNotFoundError:
        return
    except OSError as error:
        raise CheckpointError(f"cannot write {str(path)!r}: {error.strerror or error}") from error
    if begin != files.MARK.encode("ascii"):
        raise CheckpointError(
            f"{str(path)!r} exists, and no export to C has written it; give another folder, or"
            " rename the model"
        )
