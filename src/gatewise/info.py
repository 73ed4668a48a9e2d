"""What this build and this process consist of."""

import platform
from typing import Any


def build_info() -> dict[str, Any]:
    """Return what results and speed depend on besides the program.

    Returns
    -------
    dict
        ``version``, ``python``, ``numpy`` and ``scipy``: versions, str. ``isa``: the instruction
        set in use. ``isas_supported``: those that GATEWISE_ISA may name here, list of str.
        ``openmp``: whether the build has threads. ``threads``: how many are used. ``blas``: the
        BLAS that SciPy calls.

    Examples
    --------
    >>> import gatewise
    >>> sorted(gatewise.build_info())[:3]
    ['blas', 'isa', 'isas_supported']
    """
    import numpy
    import scipy

    from gatewise import __version__, threads
    from gatewise.kernels import _table

    return {
        "version": __version__,
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "scipy": scipy.__version__,
        "isa": _table.ISA,
        "isas_supported": _table.supported_isas(),
        "openmp": _table.HAS_OPENMP,
        "threads": threads.get_num_threads(),
        "blas": threads.blas_description(),
    }
