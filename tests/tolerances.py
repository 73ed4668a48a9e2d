"""The one table of tolerances."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tolerance:
    """How far two results may be apart, in one dtype.

    Errors are absolute where the largest value expected is below one, and relative to it above.
    """

    ulp: float  # one activation against the exact value, in units of the last place
    forward: float  # a layer against the equations or another library
    backward: float  # its gradients against another library
    step: float  # one update of an optimizer, or one product, against NumPy
    identity: float  # two ways to the same sum, added in another order


TOLERANCES = {
    "float32": Tolerance(ulp=4, forward=1e-5, backward=1e-5, step=3e-6, identity=2e-6),
    "float64": Tolerance(ulp=8, forward=1e-10, backward=1e-10, step=1e-14, identity=1e-14),
}
