"""Check a backward pass: compare its gradients with differences of the forward pass."""

import copy
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._typing import Array, ArrayLike
from .errors import ConfigError, DTypeError, GatewiseError

__all__ = ["GradientError", "GradientReport", "check_gradients", "compare_gradients"]

# An entry that disagrees at the chosen step is tried again at these multiples of it: a shorter step
# does not cross a kink (relu, hard_sigmoid), and a longer one reveals a slope that is smaller than
# rounding. A wrong gradient disagrees at all of them.
_STEPS = (1.0, 0.1, 10.0, 0.01, 100.0)

# Errors are relative to at least this fraction of the largest gradient of all arrays.
_FLOOR = 1e-3


class GradientError(GatewiseError, AssertionError):
    """A gradient disagrees with the differences of the forward pass, or cannot be compared.

    Attributes
    ----------
    report : GradientReport or None
        What was found; None if the gradients could not be compared.
    """

    report: "GradientReport | None" = None


@dataclass(frozen=True)
class GradientReport:
    """Result of a comparison of gradients.

    Parameters
    ----------
    errors : dict of str to float
        Worst relative error of each array.
    entries : dict of str to int
        Number of entries of each array that were compared.
    tolerance : float
        The largest error that passes.
    unchecked : tuple of str
        Parameters without a gradient (moving averages, for instance, and those of a frozen layer).

    Examples
    --------
    >>> from gatewise.testing import GradientReport
    >>> print(GradientReport({"kernel": 2e-9}, {"kernel": 12}, 1e-7))
    gradients agree (tolerance 1e-07)
      kernel  error 2.0e-09  in 12 entries
    """

    errors: dict[str, float]
    entries: dict[str, int]
    tolerance: float
    unchecked: tuple[str, ...] = ()

    @property
    def worst(self) -> str:
        """Name of the array with the largest error."""
        return max(self.errors, key=lambda name: self.errors[name])

    @property
    def passed(self) -> bool:
        """Whether every error is within the tolerance."""
        return all(error <= self.tolerance for error in self.errors.values())

    def __str__(self) -> str:
        width = max(len(name) for name in (*self.errors, *self.unchecked))
        lines = [
            f"gradients {'agree' if self.passed else 'DISAGREE'} (tolerance {self.tolerance:g})"
        ]
        for name, error in self.errors.items():
            mark = "" if error <= self.tolerance else "  <- wrong"
            lines.append(
                f"  {name:{width}}  error {error:.1e}  in {self.entries[name]} entries{mark}"
            )
        lines += [f"  {name:{width}}  has no gradient, not checked" for name in self.unchecked]
        return "\n".join(lines)


def check_gradients(
    layer_or_model: Any,
    x: Array | Sequence[Array],
    *,
    lengths: ArrayLike | None = None,
    initial_state: Array | Sequence[Array] | None = None,
    resets: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    y: ArrayLike | None = None,
    loss: Any = None,
    eps: float = 1e-5,
    tolerance: float = 1e-7,
    max_entries: int = 200,
    seed: int = 0,
) -> GradientReport:
    """Check every gradient of a layer or of a model against numerical ones.

    For a model, the loss of one batch is differentiated with respect to each parameter, including
    penalties and a fused output activation.

    For a layer, the differentiated number is ``sum(output * p)`` with a fixed random ``p``, summed
    over all outputs if the layer returns its state too. ``backward(p)`` must then return the
    gradients that central differences of ``forward(..., training=True)`` give: for each parameter,
    for ``x`` if it is floating and the layer does not read whole numbers from it, and for each
    initial state that is passed.

    A copy is checked: the layer or model does not change, nor do the arrays passed in. Dropout
    draws the same numbers in every pass, and a stateful layer starts each pass without a state.

    Parameters
    ----------
    layer_or_model : Layer or Sequential
        In float64. If it is not built yet, it is built for the shape of ``x``, with the weights
        that it would start with.
    x : ndarray of shape (B, ...), float64 or int, or list of ndarray of shape (B, steps, features)
        Inputs; a list for a layer with several inputs, such as Attention. Small ones are enough:
        the cost is four passes for each entry.
    lengths : ndarray, optional
        Passed to ``forward`` if given.
    initial_state : ndarray or list of ndarray, float64, optional
        Passed to ``forward`` if given; ``layer.initial_state_gradient`` is then checked.
    resets, mask : ndarray, optional
        Passed to ``forward`` if given.
    y : array_like, optional
        A model's targets; None for a layer.
    loss : str or Loss, optional
        A model's loss, for this check only. None: the one that it was compiled with.
    eps, tolerance : float, defaults 1e-5 and 1e-7
        As in :func:`compare_gradients`.
    max_entries, seed : int, defaults 200 and 0
        As in :func:`compare_gradients`; ``seed`` draws ``p`` too.

    Returns
    -------
    GradientReport
        The error of each array, all of them within the tolerance.

    Raises
    ------
    GradientError
        A gradient is wrong, missing, or of another shape than its array; or ``forward`` does not
        repeat itself. The message names the array and the index.
    DTypeError
        The layer, ``x``, the initial state or an output is not float64, or the object is no layer.
    ConfigError
        ``y`` or ``loss`` was given for a layer, or another option cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import LSTM
    >>> from gatewise.testing import check_gradients
    >>> x = np.random.default_rng(0).normal(size=(2, 5, 3))
    >>> report = check_gradients(LSTM(4, dtype="float64", seed=0), x, lengths=[5, 2])
    >>> report.passed, list(report.errors)
    (True, ['kernel', 'recurrent_kernel', 'bias', 'x'])
    """
    _check_options(eps, tolerance, max_entries)
    options = {"eps": eps, "tolerance": tolerance, "max_entries": max_entries, "seed": seed}
    if hasattr(layer_or_model, "compute_gradients"):
        if initial_state is not None or resets is not None:
            raise ConfigError(
                "initial_state and resets were given for a model; check its recurrent layers alone"
                " with them"
            )
        return _check_model(layer_or_model, x, y, loss, lengths, mask, options)
    if y is not None or loss is not None:
        raise ConfigError(
            "y and loss were given for a layer; its outputs are weighed at random instead"
        )
    given = {"lengths": lengths, "initial_state": initial_state, "resets": resets, "mask": mask}
    return _check_layer(
        layer_or_model,
        x,
        {name: value for name, value in given.items() if value is not None},
        options,
    )


def _check_model(
    model: Any, x: Any, y: Any, loss: Any, lengths: Any, mask: Any, options: Mapping[str, Any]
) -> GradientReport:
    """Gradients of the loss of one batch, by compute_gradients and by differences."""
    if y is None:
        raise ConfigError(
            "y is missing: a model's gradients are those of its loss, which needs targets"
        )
    _need_float64("the model", model.dtype, "build its layers with dtype='float64'")
    model = copy.deepcopy(model)
    if loss is not None:
        model.compile("sgd", loss)
    random_state = model.rng.bit_generator.state

    def scalar() -> float:
        model.rng.bit_generator.state = random_state
        model.reset_state()
        return float(model.compute_gradients(x, y, lengths=lengths, mask=mask))

    if not model.built:
        scalar()
    scalar()
    pairs = {
        f"{layer.name}/{name}": (layer.parameters[name], gradient.copy())
        for layer in model._layers
        for name, gradient in layer.gradients.items()
        if layer._is_trained(name)
    }
    return compare_gradients(scalar, pairs, **options)


def _check_layer(
    layer: Any, x: Any, arguments: Mapping[str, Any], options: Mapping[str, Any]
) -> GradientReport:
    """Gradients of the outputs, with random weights, by backward and by differences."""
    for name in ("forward", "backward"):
        if not hasattr(layer, name):
            raise DTypeError(
                f"{type(layer).__name__} has no method {name}; expected a layer or a model"
            )
    _need_float64(f"the layer {type(layer).__name__}", layer.dtype, "build it with dtype='float64'")
    probe = _Probe(layer, x, arguments)
    start = probe.outputs()
    for k, out in enumerate(start):
        _need_float64(
            f"output {k}", out.dtype, "a float64 layer must compute in float64 throughout"
        )
    rng = np.random.default_rng(options["seed"])
    weights = [rng.standard_normal(out.shape) for out in start]
    pairs = probe.backward(weights)

    def scalar() -> float:
        # The outputs at the start are subtracted, which changes the sum by a constant: parts that
        # cancel in the differences then do not round the sum.
        return sum(
            float(np.sum((out - out_0) * p))
            for out, out_0, p in zip(probe.outputs(), start, weights, strict=True)
        )

    unchecked = tuple(name for name in probe.parameters if name not in probe.gradients)
    return compare_gradients(scalar, pairs, unchecked=unchecked, **options)


class _Probe:
    """A copy of a layer and its inputs, so that passes repeat and the layer does not change."""

    def __init__(self, layer: Any, x: Any, arguments: Mapping[str, Any]) -> None:
        several = _holds_several(layer, x)
        self.inputs = _copies("x", x, several, allow_integers=True)
        first = next(iter(self.inputs.values()))
        self.layer = copy.deepcopy(layer)
        if not self.layer.built and several and hasattr(self.layer, "_build_for"):
            self.layer._build_for(list(self.inputs.values()))
        elif not self.layer.built:
            self.layer.build((None, *first.shape[1:]))
        self.x = list(self.inputs.values()) if several else _as_read(self.layer, first)
        self.states: dict[str, Array] = {}
        self.arguments = dict(arguments)
        if "initial_state" in arguments:
            given = arguments["initial_state"]
            alone = not isinstance(given, list | tuple)
            self.states = _copies("initial_state", [given] if alone else given, True)
            copies = list(self.states.values())
            self.arguments["initial_state"] = copies[0] if alone else copies
        self.parameters = self.layer.parameters
        trains = getattr(
            self.layer, "_is_trained", lambda name: True
        )  # those of frozen layers are zero
        self.gradients = {
            name: gradient for name, gradient in self.layer.gradients.items() if trains(name)
        }
        self.generators = [
            (generator, generator.bit_generator.state) for generator in _generators(self.layer)
        ]

    def outputs(self) -> list[Array]:
        """Copies of the outputs. Every pass draws the same numbers and starts without a state."""
        for generator, state in self.generators:
            generator.bit_generator.state = state
        if getattr(self.layer, "stateful", False):
            self.layer.reset_state()
        result = self.layer.forward(self.x, training=True, **self.arguments)
        return [np.array(out) for out in (result if isinstance(result, list | tuple) else [result])]

    def backward(self, dy: Sequence[Array]) -> dict[str, tuple[Array, Array]]:
        """Name to (array, gradient) of everything that has one, for gradients of the outputs."""
        for gradient in self.gradients.values():
            gradient[...] = 0  # backward adds to what is there
        dy = [part.copy() for part in dy]  # the layer may keep the arrays
        dx = self.layer.backward(dy if len(dy) > 1 else dy[0])
        pairs = {
            name: (array, np.array(self.gradients[name]))
            for name, array in self.parameters.items()
            if name in self.gradients
        }
        inputs = self.inputs
        if isinstance(self.x, list) and isinstance(dx, list) and len(dx) == len(self.x):
            # whole numbers, such as tokens, may have no gradient
            left_out = [d is None and x.dtype.kind in "iu" for x, d in zip(self.x, dx)]
            inputs = {name: x for (name, x), out in zip(inputs.items(), left_out) if not out}
            dx = [gradient for gradient, out in zip(dx, left_out) if not out]
        if inputs and (isinstance(self.x, list) or self.x.dtype.kind == "f"):
            pairs |= _paired(
                inputs,
                dx,
                "backward returned None, not the gradient of {}",
                "backward returned {} arrays for {} inputs",
            )
        if self.states:
            pairs |= _paired(
                self.states,
                getattr(self.layer, "initial_state_gradient", None),
                "layer.initial_state_gradient is not set after backward, for {}",
                "layer.initial_state_gradient holds {} arrays for {} initial states",
            )
        return pairs


def _holds_several(layer: Any, x: Any) -> bool:
    """Whether x is a list of inputs for one layer, such as sequences (batch, steps, features)."""
    axes = 2 if getattr(layer, "several_inputs", False) else 3
    return (
        isinstance(x, list | tuple)
        and len(x) > 0
        and all(isinstance(part, np.ndarray) and part.ndim >= axes for part in x)
    )


def _copies(name: str, given: Any, several: bool, allow_integers: bool = False) -> dict[str, Array]:
    """Name to a copy; the names of several arrays have numbers."""
    named = {f"{name}[{k}]": part for k, part in enumerate(given)} if several else {name: given}
    return {name: _copy(name, part, allow_integers) for name, part in named.items()}


def _as_read(layer: Any, x: Array) -> Array:
    """x, or the whole numbers that the layer reads from it, which have no gradient."""
    read: Array = layer._read_input(x, layer.dtype, False) if hasattr(layer, "_read_input") else x
    return read if read.dtype.kind in "iu" else x


def _paired(
    arrays: Mapping[str, Array], found: Any, missing: str, other_count: str
) -> dict[str, tuple[Array, Array]]:
    """Name to (array, its gradient): `found` is one gradient, or a list with one for each array."""
    found = found if isinstance(found, list | tuple) else [found]
    for name, gradient in zip(arrays, found):
        if gradient is None:
            raise GradientError(missing.format(name))
    if len(found) != len(arrays):
        raise GradientError(other_count.format(len(found), len(arrays)))
    return {
        name: (array, np.array(gradient)) for (name, array), gradient in zip(arrays.items(), found)
    }


def compare_gradients(
    scalar: Callable[[], float],
    pairs: Mapping[str, tuple[Array, Array]],
    *,
    eps: float = 1e-5,
    tolerance: float = 1e-7,
    max_entries: int = 200,
    seed: int = 0,
    unchecked: tuple[str, ...] = (),
) -> GradientReport:
    """Compare gradients with central differences of a function without arguments.

    The slope along an entry ``v`` is the difference of fourth order, with ``s = eps * max(1,
    |v|)``::

        (8 (f(v+s) - f(v-s)) - (f(v+2s) - f(v-2s))) / (12 s)

    whose error is ``s^4 f'''''/30`` plus rounding of about ``2e-16 |f| / s``. An entry that
    disagrees is tried again with steps from ``eps/100`` to ``100 eps`` and its best agreement
    counts, so that neither a kink nearby nor a tiny slope fails a correct gradient. A kink at the
    point itself does: the slope is not defined there; move the point.

    The error of an array is its largest ``|analytic - numeric|`` divided by the largest entry of
    either, or by a thousandth of the largest gradient of all arrays if that is more: a gradient
    that is nearly zero need not have the digits that rounding has removed.

    Parameters
    ----------
    scalar : callable () -> float
        Computes the number from the arrays as they are at that moment.
    pairs : dict of str to (array, gradient)
        Each float64 array is changed in place while it is probed, and restored.
    eps : float, default 1e-5
        The first step, before it is scaled.
    tolerance : float, default 1e-7
        Largest error that passes.
    max_entries : int, default 200
        Number of entries compared in each array; larger arrays are sampled at random.
    seed : int, default 0
        Seed of that sample.
    unchecked : tuple of str, default ()
        Names that the report lists as not checked.

    Returns
    -------
    GradientReport
        The error of each array, all of them within the tolerance.

    Raises
    ------
    GradientError
        See :func:`check_gradients`.
    DTypeError
        An array is not float64.
    ConfigError
        ``eps``, ``tolerance`` or ``max_entries`` is not positive, or there is nothing to compare.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.testing import compare_gradients
    >>> x = np.array([1.0, 2.0])
    >>> compare_gradients(lambda: (x**3).sum(), {"x": (x, 3 * x**2)}).passed
    True
    """
    _check_options(eps, tolerance, max_entries)
    if not pairs:
        raise ConfigError(
            "nothing to compare: no parameter has a gradient, and x and the state have none"
        )
    for name, (array, gradient) in pairs.items():
        _need_float64(name, array.dtype, "differences need its digits")
        if np.shape(gradient) != array.shape:
            raise GradientError(
                f"the gradient of {name} has shape {np.shape(gradient)}, {name} has {array.shape}"
            )
    first, second = float(scalar()), float(scalar())
    if not math.isfinite(first):
        raise GradientError(f"the forward pass gives {first}; choose inputs that keep it finite")
    if first != second:
        raise GradientError(
            f"the forward pass does not repeat itself (it gave {first!r}, then {second!r}); "
            "it draws random numbers that are not fixed, or keeps state from call to call"
        )

    rng = np.random.default_rng(seed)
    samples = {
        name: _Sample(array, gradient, rng, max_entries)
        for name, (array, gradient) in pairs.items()
    }
    for sample in samples.values():
        sample.numeric[:] = [_slope(scalar, sample.array, index, eps) for index in sample.indices]
    floor = _FLOOR * max(sample.largest() for sample in samples.values())
    for sample in samples.values():
        sample.retry(scalar, eps, tolerance, floor)

    errors = {
        name: float(sample.errors(floor).max(initial=0.0)) for name, sample in samples.items()
    }
    entries = {name: len(sample.indices) for name, sample in samples.items()}
    report = GradientReport(errors, entries, tolerance, tuple(unchecked))
    if not report.passed:
        error = GradientError(_complaint(report, samples[report.worst], floor))
        error.report = report
        raise error
    return report


class _Sample:
    """The compared entries of one array, with their analytic and numeric gradients."""

    def __init__(
        self, array: Array, gradient: Array, rng: np.random.Generator, max_entries: int
    ) -> None:
        self.array = array
        flat = np.arange(array.size)
        if array.size > max_entries:
            flat = np.sort(rng.choice(array.size, max_entries, replace=False))
        self.indices = [tuple(int(i) for i in np.unravel_index(k, array.shape)) for k in flat]
        self.analytic = np.array([gradient[index] for index in self.indices], dtype=np.float64)
        self.numeric = np.zeros(len(flat))

    def largest(self) -> float:
        """Largest finite gradient of either kind."""
        both = np.abs(np.concatenate([self.analytic, self.numeric]))
        return float(both[np.isfinite(both)].max(initial=0.0))

    def errors(self, floor: float) -> Array:
        """Relative error of each entry, infinite if a gradient is not finite."""
        with np.errstate(invalid="ignore"):
            differences = np.abs(self.analytic - self.numeric)
        differences[np.isnan(differences)] = np.inf
        relative: Array = differences / (max(self.largest(), floor) or 1.0)
        return relative

    def retry(
        self, scalar: Callable[[], float], eps: float, tolerance: float, floor: float
    ) -> None:
        """Try the other steps for entries that disagree, and keep the slope that agrees best."""
        for k in np.flatnonzero(self.errors(floor) > tolerance):
            if not np.isfinite(self.analytic[k]):
                continue
            slopes = [
                _slope(scalar, self.array, self.indices[k], eps * factor) for factor in _STEPS[1:]
            ]
            slopes = [s for s in (self.numeric[k], *slopes) if np.isfinite(s)]
            if slopes:
                self.numeric[k] = min(slopes, key=lambda s: abs(s - self.analytic[k]))


def _slope(scalar: Callable[[], float], array: Array, index: tuple[int, ...], eps: float) -> float:
    """Central difference of fourth order along one entry."""
    value = float(array[index])
    step = (value + eps * max(1.0, abs(value))) - value  # so that value + step is exact
    try:
        f = []
        for k in (1, -1, 2, -2):
            array[index] = value + k * step
            f.append(float(scalar()))
    finally:
        array[index] = value
    return (8 * (f[0] - f[1]) - (f[2] - f[3])) / (12 * step)


def _complaint(report: GradientReport, sample: _Sample, floor: float) -> str:
    """Text of the error for the worst entry of the worst array."""
    errors = sample.errors(floor)
    k = int(errors.argmax())
    index = ", ".join(map(str, sample.indices[k]))
    wrong = int(np.count_nonzero(errors > report.tolerance))
    return (
        f"gradient of {report.worst}[{index}]: analytic {sample.analytic[k]:.10g}, "
        f"numeric {sample.numeric[k]:.10g}, relative error {errors[k]:.1e}; "
        f"{wrong} of the {len(errors)} entries compared are wrong\n{report}"
    )


def _generators(layer: Any) -> list[np.random.Generator]:
    """The random generators of a layer and of the layers it wraps."""
    found: list[np.random.Generator] = []
    seen: set[int] = set()
    waiting = [layer]
    while waiting:
        layer = waiting.pop()
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        generator = getattr(layer, "rng", None)
        if isinstance(generator, np.random.Generator) and all(generator is not g for g in found):
            found.append(generator)
        for value in getattr(layer, "__dict__", {}).values():
            values = value if isinstance(value, list | tuple) else [value]
            waiting += [v for v in values if hasattr(v, "forward") or hasattr(v, "rng")]
    return found


def _copy(name: str, array: Any, allow_integers: bool) -> Array:
    copied: Array = np.array(array, order="C")
    if not (allow_integers and copied.dtype.kind in "iu"):
        _need_float64(name, copied.dtype, f"pass {name}.astype('float64')")
    return copied


def _need_float64(what: str, dtype: Any, advice: str) -> None:
    if np.dtype(dtype) != np.float64:
        raise DTypeError(
            f"{what} is {np.dtype(dtype)}; gradients are compared in float64 only: {advice}"
        )


def _check_options(eps: float, tolerance: float, max_entries: int) -> None:
    for name, value in (("eps", eps), ("tolerance", tolerance), ("max_entries", max_entries)):
        kind, word = (
            (numbers.Integral, "an int") if name == "max_entries" else (numbers.Real, "a number")
        )
        if not (isinstance(value, kind) and value > 0):
            raise ConfigError(f"{name} is {value!r}; expected {word} above 0")
