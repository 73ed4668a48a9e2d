"""What the C code has for one operation: its function, its weights and its state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from gatewise.errors import NonFiniteError
from gatewise.kernels import activations

from .identifiers import Names
from .quantization import quantize

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewise._typing import Array
    from gatewise.kernels.activations import ActivationCode

Weights = Literal["float32", "int8"]


def number(value: float) -> str:
    """A float32 as a constant of C that is exactly this number.

    Examples
    --------
    >>> number(0.1)
    '0.1f'
    """
    with np.errstate(over="ignore"):
        text = str(np.float32(value))
    if not np.isfinite(np.float32(text)):
        raise NonFiniteError(f"{value} is {text} in float32; expected a finite number")
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


@dataclass(frozen=True, eq=False)
class Constant:
    """An array of weights.

    Parameters
    ----------
    name : str
    values : ndarray
        float32 or int8.
    comment : str
        What it is.
    """

    name: str
    values: Array
    comment: str


@dataclass(frozen=True)
class Member:
    """A part of the state: words of 32 bits that :func:`save` stores.

    Parameters
    ----------
    name : str
    kind : {"float", "int32_t", "uint32_t"}
    count : int
        Numbers; 0: a single one, not an array.
    start : str
        Its value at the start: the name of a constant array, or an expression. "": zeros.
    low, high : int
        Values that a whole number may have.
    comment : str
        What it is.
    """

    name: str
    kind: str
    count: int
    comment: str
    start: str = ""
    low: int = 0
    high: int = 0

    @property
    def words(self) -> int:
        """Number of words of 32 bits."""
        return max(self.count, 1)


@dataclass(frozen=True)
class Matrix:
    """A matrix of the weights in C.

    Parameters
    ----------
    name : str
        Name of the array.
    rows, columns : int
    scale : str
        Name of the array of scales; "": the weights are float32.
    """

    name: str
    rows: int
    columns: int
    scale: str

    def add(self, x: str, y: str, rows: int | None = None, offset: str = "") -> str:
        """A statement that adds the product of x with these rows, or all, to y."""
        n = self.rows if rows is None else rows
        w = f"{self.name}{offset}"
        if self.scale:
            return f"add_product_of_bytes({x}, {n}, {w}, {self.scale}, {self.columns}, {y});"
        return f"add_product({x}, {n}, {w}, {self.columns}, {y});"


@dataclass
class Sheet:
    """Collects what belongs to one operation.

    Parameters
    ----------
    name : str
        The operation's identifier: it begins the names of its function, weights and state.
    weights : {"float32", "int8"}
        How matrices are stored.
    names : Names
        Gives names that no other operation has.
    shared : dict of (str, bytes) to str
        Names of arrays by what they are and hold, of all calls of one layer.
    """

    name: str
    weights: Weights
    names: Names
    shared: dict[tuple[str, bytes], str]
    title: str = ""
    lines: list[str] = field(default_factory=list)
    constants: list[Constant] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)
    helpers: set[str] = field(default_factory=set)
    errors: dict[str, float] = field(default_factory=dict)
    work: int = 0  # numbers of the memory that all operations share
    due: bool = False  # whether the function returns if there is an output
    reads_number: bool = False  # whether x is a whole number
    output: str = ""  # the member that is the output; "": the function writes y

    # ---- data

    def constant(self, suffix: str, values: Array, comment: str) -> str:
        """Add an array of float32 weights; return its name."""
        values = np.ascontiguousarray(values)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            at = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
            raise NonFiniteError(
                f"the weights {self.name}_{suffix} hold {values[at]} at index {at}; expected finite"
                " numbers"
            )
        key = (suffix, values.tobytes())
        if key in self.shared:
            return self.shared[key]
        name = self.shared[key] = self.names.new(f"{self.name}_{suffix}")
        self.constants.append(Constant(name, values, comment))
        return name

    def matrix(self, suffix: str, values: Array, comment: str) -> Matrix:
        """Add a matrix (rows, columns), in the form that `weights` names."""
        rows, columns = values.shape
        if self.weights == "float32" or not np.isfinite(values).all():
            self.helpers.add("add_product")
            return Matrix(self.constant(suffix, values, comment), rows, columns, "")
        self.helpers.add("add_product_of_bytes")
        whole, scales, error = quantize(values, f"{self.name}_{suffix}")
        name = self.constant(suffix, whole, comment)
        scale = self.constant(f"{suffix}_scale", scales, f"of the columns of {name}")
        self.errors[name] = error
        return Matrix(name, rows, columns, scale)

    def state(self, suffix: str, count: int, comment: str, initial: Array | None = None) -> str:
        """Add an array to the state, which starts at zeros unless `initial` says otherwise."""
        start = ""
        if initial is not None and initial.any():
            start = self.constant(f"initial_{suffix}", initial, f"{suffix} before the first step")
        name = self.names.new(f"{self.name}_{suffix}")
        self.members.append(Member(name, "float", count, comment, start))
        return f"s->{name}"

    def counter(self, suffix: str, comment: str, start: int, low: int, high: int) -> str:
        """Add a whole number to the state."""
        name = self.names.new(f"{self.name}_{suffix}")
        self.members.append(Member(name, "int32_t", 0, comment, str(start), low, high))
        return f"s->{name}"

    def scratch(self, count: int) -> str:
        """Memory of `count` numbers at least, which other operations may overwrite."""
        self.work = max(self.work, count)
        return "s->work"

    # ---- code

    def put(self, *lines: str) -> None:
        """Add lines to the function, without indentation."""
        self.lines += lines

    def loop(self, count: int, *lines: str, index: str = "j") -> None:
        """Add a loop over `count` numbers."""
        head = f"for ({index} = 0; {index} < {count}; {index}++)"
        if len(lines) == 1 and len(head) + len(lines[0]) < 88:
            self.put(f"{head} {lines[0]}")
        else:
            self.put(f"{head} {{", *(f"    {line}" for line in lines), "}")

    def start_sums(self, y: str, bias: str, count: int) -> None:
        """Fill y with a bias, or with zeros if there is no bias ("")."""
        self.put(self.call("copy", bias, count, y) if bias else self.call("clear", y, count))

    def call(self, helper: str, *arguments: object) -> str:
        """A statement that calls one of the helpers."""
        self.helpers.add(helper)
        return f"{helper}({', '.join(map(str, arguments))});"

    def bias(self, values: Array | None, suffix: str = "bias") -> str:
        """Name of a bias; "" if there is none, or nothing but zeros."""
        if values is None or not values.any():
            return ""
        return self.constant(suffix, values, "")

    def activation(self, code: ActivationCode) -> Callable[[str], str]:
        """A function that makes the expression of an activation from that of its argument."""
        kind, alpha, beta = activations._KINDS[code[0]], number(code[1]), number(code[2])
        helper = {"tanh": "hyperbolic_tangent", "scaled_tanh": "hyperbolic_tangent"}.get(kind, kind)
        if kind not in ("linear", "affine"):
            self.helpers.add(helper)
        forms = {
            "linear": "{x}",
            "hard_sigmoid": f"hard_sigmoid({{x}}, {alpha}, {beta})",
            "elu": f"elu({{x}}, {alpha})",
            "leaky_relu": f"leaky_relu({{x}}, {alpha})",
            "thresholded_relu": f"thresholded_relu({{x}}, {alpha})",
            "scaled_tanh": f"{alpha} * hyperbolic_tangent({beta} * ({{x}}))",
            "affine": f"(({{x}}) * {alpha} + {beta})",
        }
        form = forms.get(kind, f"{helper}({{x}})")
        return lambda x: form.format(x=x)

    def activate(self, code: ActivationCode, count: int, y: str = "y", x: str = "") -> None:
        """Add the activation of `count` numbers, of y itself or of x."""
        of = self.activation(code)
        source = x or y
        if of("x") != "x" or source != y:
            self.loop(count, f"{y}[j] = {of(f'{source}[j]')};")
