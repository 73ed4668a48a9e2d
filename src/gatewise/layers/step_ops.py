"""What a layer computes at one step of a sequence, as data.

A stream runs these operations without Python, and the export to C prints them. A layer lists its
own in `_step_ops`, in the order in which they run; an operation reads the vector that the one
before has written, of the same step. All arrays are of the model's dtype and C-contiguous.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from gatewise._typing import Array
    from gatewise.kernels.activations import ActivationCode


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepOp:
    """Base of the operations.

    Parameters
    ----------
    name : str
        Name of the layer; with the name of a state it names an array of the stream's state.
    inputs : int
        Numbers that it reads; 1 for a look-up.
    width : int
        Numbers that it writes.

    Attributes
    ----------
    operation : str
        What is computed; one name for each class.
    """

    operation: ClassVar[str]
    name: str
    inputs: int
    width: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecurrentOp(StepOp):
    """One step of a compiled cell.

    Parameters
    ----------
    kernel : gatewise.kernels.recurrent.RecurrentKernel
        The cell with its options and sizes.
    weights : dict of str to ndarray
        Its weights by the kernel's names.
    state_names : tuple of str
        ``("h",)`` or ``("h", "c")``.
    initial : tuple of ndarray, each (size,)
        The state before the first step, an array for each name.
    """

    operation: ClassVar[str] = "cell"
    kernel: Any
    weights: dict[str, Array]
    state_names: tuple[str, ...]
    initial: tuple[Array, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DecayedOp(StepOp):
    """One step of GRU-D (layers/recurrent/grud.py), which reads values, mask and time.

    Parameters
    ----------
    activation, recurrent_activation : ActivationCode
    means : ndarray or None
        (inputs / 3,); None: zeros.
    weights : dict of str to ndarray or None
        By the layer's names; bias may be None.
    state_names : tuple of str
    initial : tuple of ndarray, each (size,)
        The state before the first step, an array for each name.
    """

    operation: ClassVar[str] = "decayed"
    activation: ActivationCode
    recurrent_activation: ActivationCode
    means: Array | None
    weights: dict[str, Array | None]
    state_names: tuple[str, ...]
    initial: tuple[Array, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DenseOp(StepOp):
    """``activation(x kernel + bias)``; kernel (inputs, width), bias (width,) or None."""

    operation: ClassVar[str] = "dense"
    kernel: Array
    bias: Array | None
    activation: ActivationCode


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ActivationOp(StepOp):
    """An activation of each number."""

    operation: ClassVar[str] = "activation"
    activation: ActivationCode


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SoftmaxOp(StepOp):
    """Softmax over the vector."""

    operation: ClassVar[str] = "softmax"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AffineOp(StepOp):
    """``(x - mean) * scale + shift``, each (width,) or None where it does nothing."""

    operation: ClassVar[str] = "affine"
    mean: Array | None
    scale: Array | None
    shift: Array | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NormalizationOp(StepOp):
    """``(x - mean(x)) / sqrt(var(x) + epsilon) * gamma + beta``.

    gamma and beta are (width,) or None.
    """

    operation: ClassVar[str] = "normalization"
    epsilon: float
    gamma: Array | None
    beta: Array | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LookupOp(StepOp):
    """The row of table (size, width) that a whole number names."""

    operation: ClassVar[str] = "lookup"
    table: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WindowOp(StepOp):
    """Base of operations over a window of steps, which a ring buffer holds.

    Parameters
    ----------
    window : int
        Number of steps in a window.
    dilation : int
        Distance of these steps.
    strides : int
        Steps from one output to the next.
    padded : bool
        True: zeros stand before the first step, and there is an output from the first step on
        ("causal"). False: the first output is that of the first whole window ("valid").
    """

    window: int
    dilation: int
    strides: int
    padded: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConvolutionOp(WindowOp):
    """``activation(sum over k of x[t - (window - 1 - k) dilation] kernel[k] + bias)``.

    kernel (window, inputs, width), bias (width,) or None.
    """

    operation: ClassVar[str] = "convolution"
    kernel: Array
    bias: Array | None
    activation: ActivationCode


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DepthwiseOp(WindowOp):
    """A convolution of each feature by itself.

    kernel (window, inputs, multiplier), bias (width,) or None; output f * multiplier + m is made
    from feature f.
    """

    operation: ClassVar[str] = "depthwise"
    kernel: Array
    bias: Array | None
    activation: ActivationCode


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PoolingOp(WindowOp):
    """The maximum or the mean over a window of steps."""

    operation: ClassVar[str] = "pooling"
    maximum: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunningOp(StepOp):
    """The maximum or the mean over all steps so far."""

    operation: ClassVar[str] = "running"
    maximum: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MergeOp(StepOp):
    """Several vectors of the same step in one.

    Parameters
    ----------
    kind : {"concatenate", "add", "subtract", "multiply", "average", "maximum", "minimum"}
    widths : tuple of int
        Numbers of each vector; `inputs` is their sum. A vector of width 1 serves every number of
        the others.
    """

    operation: ClassVar[str] = "merge"
    kind: str
    widths: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SelectOp(StepOp):
    """Some numbers of the vector: ``x[columns]``, columns (width,) of intp."""

    operation: ClassVar[str] = "select"
    columns: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class QuotientOp(StepOp):
    """``x / number``, or ``number / x`` if `number_first`."""

    operation: ClassVar[str] = "quotient"
    number: float
    number_first: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RectifierOp(StepOp):
    """``min(x, most)`` for x above the threshold, else ``slope * (x - threshold)``."""

    operation: ClassVar[str] = "rectifier"
    threshold: float
    slope: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SlopesOp(StepOp):
    """x for x above 0, else ``slopes * x``; slopes (width,)."""

    operation: ClassVar[str] = "slopes"
    slopes: Array
