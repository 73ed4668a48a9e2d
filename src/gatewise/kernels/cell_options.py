"""The options of a compiled cell, in one place.

:class:`gatewise.kernels.recurrent.RecurrentKernel` takes them as an object; ``_cell.pyx`` copies
them into the C++ struct ``gw_cell`` (``table.h``), which the code of each cell reads. An option
that is a number is copied by its name.
"""

from dataclasses import dataclass, fields

from gatewise.kernels.activations import ActivationCode, code

__all__ = ["CANDIDATES", "NUMBER_OPTIONS", "CellOptions"]

_TANH, _SIGMOID = code("tanh"), code("sigmoid")

# Candidates of a GRU, in the order of gw_candidate in table.h; gru.h has their equations.
CANDIDATES = ("reset", "complement", "split", "input")


@dataclass(frozen=True, slots=True, kw_only=True)
class CellOptions:
    """What varies between cells of one family. The defaults are those of the plain cell.

    Parameters
    ----------
    activation, recurrent_activation, output_activation : (int, float, float)
        Activations of the candidate, of the gates and of the cell's output, as
        :func:`gatewise.kernels.activations.code` returns them.
    reset_after : bool
        GRU: r multiplies ``h' U`` instead of h'.
    chung : bool
        GRU: ``h = (1 - z) h' + z n`` instead of ``h = z h' + (1 - z) n``.
    candidate : str
        GRU: which products the gates multiply in the candidate, one of `CANDIDATES`.
    activates_output : bool
        GRU: the output is the output activation of h. Otherwise it is h.
    gates : tuple of str
        LSTM: the gates that have weights, in the order of their blocks, out of "i", "f", "g", "o".
        A gate that is left out is 1.
    coupled : bool
        LSTM: ``f = 1 - i``.
    output_gate_inside : bool
        LSTM: ``h = out(o c)`` instead of ``h = o out(c)``.
    peepholes : tuple of str
        LSTM: the gates that see the cell state, in the order of their rows in the peephole weights,
        out of "i", "f", "o".
    clip : float
        Sums enter their activations within [-clip, clip]. 0: no limit.
    cell_clip : float
        LSTM: c stays within [-cell_clip, cell_clip]. 0: no limit.
    projection : int, optional
        LSTM: number of units of h, fewer than those of c.
    zoneout_h, zoneout_c : float in [0, 1)
        Rates at which h and c keep their old value.
    layer_normalization : bool
        Sums are normalised (``normalized.h``). With no other option, and a GRU with reset_after.

    Examples
    --------
    >>> CellOptions(clip=3.0).clip
    3.0
    """

    activation: ActivationCode = _TANH
    recurrent_activation: ActivationCode = _SIGMOID
    output_activation: ActivationCode = _TANH
    reset_after: bool = False
    chung: bool = False
    candidate: str = "reset"
    activates_output: bool = False
    gates: tuple[str, ...] = ("i", "f", "g", "o")
    coupled: bool = False
    output_gate_inside: bool = False
    peepholes: tuple[str, ...] = ()
    clip: float = 0.0
    cell_clip: float = 0.0
    projection: int | None = None
    zoneout_h: float = 0.0
    zoneout_c: float = 0.0
    layer_normalization: bool = False


# Options that are numbers; 0: the plain cell. GW_NUMBER_OPTIONS of table.h has the same names.
NUMBER_OPTIONS = tuple(
    field.name for field in fields(CellOptions) if isinstance(field.default, float)
)
