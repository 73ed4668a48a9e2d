"""What this build and this process are made of."""

import platform


def build_info():
    """What results and speed depend on besides the program.

    Returns
    -------
    dict
        version, python, numpy and scipy versions; ``isa``, the instruction set in use;
        ``isas_supported``, those that GATEWISE_ISA may name here; ``openmp``, whether the build has
        threads; ``threads``, how many are used; ``blas``, the BLAS that SciPy calls.
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
