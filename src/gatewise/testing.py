"""Is a backward pass right? Compare its gradients with differences of the forward pass."""

import copy
import math
import numbers
from dataclasses import dataclass

import numpy as np

from .errors import ConfigError, DTypeError, GatewiseError

__all__ = ["GradientError", "GradientReport", "check_gradients", "compare_gradients"]

# An entry that disagrees at the step asked for is tried at these multiples of it: a shorter step
# does not reach over a kink (relu, hard_sigmoid), a longer one sees a slope that rounding had
# drowned. A wrong gradient disagrees at all of them.
_STEPS = (1.0, 0.1, 10.0, 0.01, 100.0)

# Errors are not measured against less than this part of the largest gradient of all arrays.
_FLOOR = 1e-3


class GradientError(GatewiseError, AssertionError):
    """A gradient disagrees with the differences of the forward pass, or cannot be compared.

    ``report`` holds the :class:`GradientReport` when there was something to compare, else None.
    """

    report = None


@dataclass(frozen=True)
class GradientReport:
    """What a comparison of gradients found.

    Attributes
    ----------
    errors : dict of str to float
        Worst relative error of each array.
    entries : dict of str to int
        How many entries of each array were compared.
    tolerance : float
        The largest error that passes.
    unchecked : tuple of str
        Parameters without a gradient (moving averages, for instance, and those of a frozen layer).
    """

    errors: dict
    entries: dict
    tolerance: float
    unchecked: tuple = ()

    @property
    def worst(self):
        """Name of the array with the largest error."""
        return max(self.errors, key=self.errors.get)

    @property
    def passed(self):
        """Whether every error is within the tolerance."""
        return all(error <= self.tolerance for error in self.errors.values())

    def __str__(self):
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
    layer_or_model,
    x,
    *,
    lengths=None,
    initial_state=None,
    resets=None,
    mask=None,
    y=None,
    loss=None,
    eps=1e-5,
    tolerance=1e-7,
    max_entries=200,
    seed=0,
):
    """Check every gradient of a layer or of a model against numerical ones.

    Of a model, the loss of one batch is differentiated with respect to each parameter, penalties
    and fused output activation included. Of a layer:

    The number differentiated is ``sum(output * p)`` with a fixed random ``p``, summed over all
    outputs of a layer that returns its state too. ``backward(p)`` must then give the gradients that
    central differences of ``forward(..., training=True)`` give, for each parameter, for ``x`` if it
    is floating and the layer does not read whole numbers of it, and for each initial state that is
    passed.

    A copy is checked: the layer or model is left as it is, and so are the arrays passed in. Dropout
    is drawn alike in every pass, and a stateful layer starts each one from no state.

    Parameters
    ----------
    layer_or_model : Layer or Sequential
        In float64. One that is not built yet is checked with weights such as it would start with,
        for the shape of ``x``.
    x : ndarray of shape (B, ...), float64 or int, or list of ndarray of shape (B, steps, features)
        Inputs; a list for a layer that takes one, such as Attention. Small ones do: the cost is
        four passes an entry.
    lengths, resets, mask : ndarray, optional
        Handed to ``forward`` if given.
    initial_state : ndarray or list of ndarray, float64, optional
        Handed to ``forward`` if given; ``layer.initial_state_gradient`` is then checked.
    y : array_like
        A model's targets; None for a layer.
    loss : str or Loss, optional
        A model's loss, for this check only. None: the one that it was compiled with.
    eps, tolerance, max_entries, seed
        As in :func:`compare_gradients`; ``seed`` draws ``p`` too.

    Returns
    -------
    GradientReport

    Raises
    ------
    GradientError
        A gradient is wrong, missing, or of another shape than its array; or ``forward`` does not
        repeat itself. The message names the array and the index.
    DTypeError
        The layer, ``x``, the initial state or an output is not float64, or this is no layer.
    ConfigError
        ``y`` or ``loss`` was given for a layer, or another option cannot be used.

    Examples
    --------
    >>> layer = LSTM(4, dtype="float64")
    >>> print(check_gradients(layer, rng.normal(size=(2, 5, 3)), lengths=[5, 2]))
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


def _check_model(model, x, y, loss, lengths, mask, options):
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

    def scalar():
        model.rng.bit_generator.state = random_state
        model.reset_state()
        return model.compute_gradients(x, y, lengths=lengths, mask=mask)

    if not model.built:
        scalar()
    scalar()
    pairs = {
        f"{layer.name}/{name}": (layer.parameters[name], gradient.copy())
        for layer in model.layers
        for name, gradient in layer.gradients.items()
        if layer.trains(name)
    }
    return compare_gradients(scalar, pairs, **options)


def _check_layer(layer, x, arguments, options):
    """Gradients of the outputs, weighed at random, by backward and by differences."""
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
    pairs = probe.go_back(weights)

    def scalar():
        # Less the outputs at the start, which moves the sum by a constant: what cancels in the
        # differences then never rounds the sum.
        return sum(
            float(np.sum((out - out_0) * p))
            for out, out_0, p in zip(probe.outputs(), start, weights, strict=True)
        )

    unchecked = tuple(name for name in probe.parameters if name not in probe.gradients)
    return compare_gradients(scalar, pairs, unchecked=unchecked, **options)


class _Probe:
    """A copy of a layer and of what it is given: every pass is like the others, and the layer itself is left alone."""

    def __init__(self, layer, x, arguments):
        several = _holds_sequences(x)
        self.inputs = _copies("x", x, several, allow_integers=True)
        first = next(iter(self.inputs.values()))
        self.layer = copy.deepcopy(layer)
        if not self.layer.built:
            self.layer.build((None, *first.shape[1:]))
        self.x = list(self.inputs.values()) if several else _as_read(self.layer, first)
        self.states, self.arguments = {}, dict(arguments)
        if "initial_state" in arguments:
            given = arguments["initial_state"]
            alone = not isinstance(given, list | tuple)
            self.states = _copies("initial_state", [given] if alone else given, True)
            copies = list(self.states.values())
            self.arguments["initial_state"] = copies[0] if alone else copies
        self.parameters = self.layer.parameters
        trains = getattr(self.layer, "trains", lambda name: True)  # those of frozen layers are zero
        self.gradients = {
            name: gradient for name, gradient in self.layer.gradients.items() if trains(name)
        }
        self.generators = [
            (generator, generator.bit_generator.state) for generator in _generators(self.layer)
        ]

    def outputs(self):
        """Copies of the outputs, a list. Draws are the same in every pass, and no state is left from the last."""
        for generator, state in self.generators:
            generator.bit_generator.state = state
        if getattr(self.layer, "stateful", False):
            self.layer.reset_state()
        result = self.layer.forward(self.x, training=True, **self.arguments)
        return [np.array(out) for out in (result if isinstance(result, list | tuple) else [result])]

    def go_back(self, dy):
        """dict of name to (array, gradient) of everything that has one, for these gradients of the last pass's outputs."""
        for gradient in self.gradients.values():
            gradient[...] = 0  # backward adds to what is there
        dy = [part.copy() for part in dy]  # the layer may hold what it was given
        dx = self.layer.backward(dy if len(dy) > 1 else dy[0])
        pairs = {
            name: (array, np.array(self.gradients[name]))
            for name, array in self.parameters.items()
            if name in self.gradients
        }
        if isinstance(self.x, list) or self.x.dtype.kind == "f":
            pairs |= _paired(
                self.inputs,
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


def _holds_sequences(x):
    """Whether x is a list of inputs, (batch, steps, features) each, to one layer."""
    return (
        isinstance(x, list | tuple)
        and len(x) > 0
        and all(isinstance(part, np.ndarray) and part.ndim == 3 for part in x)
    )


def _copies(name, given, several, allow_integers=False):
    """dict of name to a copy; of several arrays with their numbers."""
    named = {f"{name}[{k}]": part for k, part in enumerate(given)} if several else {name: given}
    return {name: _copy(name, part, allow_integers) for name, part in named.items()}


def _as_read(layer, x):
    """x, or the whole numbers that the layer reads of it, which have no gradient."""
    read = layer.read_input(x, layer.dtype, False) if hasattr(layer, "read_input") else x
    return read if read.dtype.kind in "iu" else x


def _paired(arrays, found, missing, other_count):
    """dict of name to (array, its gradient): `found` is one, or a list of as many as there are arrays."""
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
    scalar, pairs, *, eps=1e-5, tolerance=1e-7, max_entries=200, seed=0, unchecked=()
):
    """Compare gradients with central differences of a function of no arguments.

    The slope along an entry ``v`` is the difference of fourth order, with ``s = eps * max(1,
    |v|)``::

        (8 (f(v+s) - f(v-s)) - (f(v+2s) - f(v-2s))) / (12 s)

    whose error is ``s^4 f'''''/30`` plus rounding of about ``2e-16 |f| / s``. An entry that
    disagrees is tried again with steps from ``eps/100`` to ``100 eps`` and its best agreement
    counts, so that neither a kink nearby nor a tiny slope fails a correct gradient. A kink at the
    very point does: the slope is then not defined; move the point.

    The error of an array is its largest ``|analytic - numeric|`` divided by the largest entry of
    either, or by a thousandth of the largest gradient of all arrays if that is more: a gradient
    that has all but vanished is not asked for digits that rounding has taken.

    Parameters
    ----------
    scalar : callable () -> float
        Computes the number from the arrays as they are at that moment.
    pairs : dict of str to (array, gradient)
        Each float64 array is changed in place while it is probed, and put back.
    eps : float
        The first step, before it is scaled.
    tolerance : float
        Largest error that passes.
    max_entries : int
        Entries compared in each array; larger arrays are sampled at random.
    seed : int
        Of that sample.
    unchecked : tuple of str
        Names for the report to list as left out.

    Returns
    -------
    GradientReport

    Raises
    ------
    GradientError
        See :func:`check_gradients`.
    DTypeError
        An array is not float64.
    ConfigError
        ``eps``, ``tolerance`` or ``max_entries`` is not positive, or there is nothing to compare.
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
    """The entries of one array that are compared, with both their gradients."""

    def __init__(self, array, gradient, rng, max_entries):
        self.array = array
        flat = np.arange(array.size)
        if array.size > max_entries:
            flat = np.sort(rng.choice(array.size, max_entries, replace=False))
        self.indices = [tuple(int(i) for i in np.unravel_index(k, array.shape)) for k in flat]
        self.analytic = np.array([gradient[index] for index in self.indices], dtype=np.float64)
        self.numeric = np.zeros(len(flat))

    def largest(self):
        """Largest finite gradient of either kind."""
        both = np.abs(np.concatenate([self.analytic, self.numeric]))
        return both[np.isfinite(both)].max(initial=0.0)

    def errors(self, floor):
        """Relative error of each entry, infinite where a gradient is not finite."""
        with np.errstate(invalid="ignore"):
            differences = np.abs(self.analytic - self.numeric)
        differences[np.isnan(differences)] = np.inf
        return differences / (max(self.largest(), floor) or 1.0)

    def retry(self, scalar, eps, tolerance, floor):
        """Try the other steps where an entry disagrees, and keep the slope that agrees best."""
        for k in np.flatnonzero(self.errors(floor) > tolerance):
            if not np.isfinite(self.analytic[k]):
                continue
            slopes = [
                _slope(scalar, self.array, self.indices[k], eps * factor) for factor in _STEPS[1:]
            ]
            slopes = [s for s in (self.numeric[k], *slopes) if np.isfinite(s)]
            if slopes:
                self.numeric[k] = min(slopes, key=lambda s: abs(s - self.analytic[k]))


def _slope(scalar, array, index, eps):
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


def _complaint(report, sample, floor):
    errors = sample.errors(floor)
    k = int(errors.argmax())
    index = ", ".join(map(str, sample.indices[k]))
    wrong = int(np.count_nonzero(errors > report.tolerance))
    return (
        f"gradient of {report.worst}[{index}]: analytic {sample.analytic[k]:.10g}, "
        f"numeric {sample.numeric[k]:.10g}, relative error {errors[k]:.1e}; "
        f"{wrong} of the {len(errors)} entries compared are wrong\n{report}"
    )


def _generators(layer):
    """The random generators of a layer and of the layers it wraps."""
    found, seen, waiting = [], set(), [layer]
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


def _copy(name, array, allow_integers):
    array = np.array(array, order="C")
    if not (allow_integers and array.dtype.kind in "iu"):
        _need_float64(name, array.dtype, f"pass {name}.astype('float64')")
    return array


def _need_float64(what, dtype, advice):
    if np.dtype(dtype) != np.float64:
        raise DTypeError(
            f"{what} is {np.dtype(dtype)}; gradients are compared in float64 only: {advice}"
        )


def _check_options(eps, tolerance, max_entries):
    for name, value in (("eps", eps), ("tolerance", tolerance), ("max_entries", max_entries)):
        kind, word = (
            (numbers.Integral, "an int") if name == "max_entries" else (numbers.Real, "a number")
        )
        if not (isinstance(value, kind) and value > 0):
            raise ConfigError(f"{name} is {value!r}; expected {word} above 0")
