"""Models as C."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from gatewise.memory import names_memory

from .step_plan import step_plan

if TYPE_CHECKING:
    from gatewise._typing import PathLike
    from gatewise.interop.c.report import CExport


class ExportsC:
    """Base of models whose steps can be written as a program in C."""

    @names_memory
    def export_c(
        self, folder: PathLike, weights: Literal["float32", "int8"] = "float32"
    ) -> CExport:
        """Write the model as a C program that computes one step at a time.

        It is a header and a source in C99, named after the model, that need nothing but the C
        library and allocate no memory: docs/c-export.md has an example. It has the weights of this
        moment. The results are those of :meth:`predict` but for the last bits, as sums are made
        without fused multiply-adds.

        Parameters
        ----------
        folder : str or os.PathLike
            Made if there is none. Files of the same names are replaced if an export has written
            them; other files stay.
        weights : {"float32", "int8"}, default "float32"
            How matrices are stored. "int8": a byte for each weight, and a scale for each column;
            everything else, and all sums, remain float32.

        Returns
        -------
        CExport
            The files, and how much memory the program needs.

        Raises
        ------
        ConfigError
            A layer cannot run step by step, with the reason; the model computes in float64; or
            int8 would lose more than 2 % of the norm of a column of weights.
        CheckpointError
            The files cannot be written, or would replace files that are not of an export.
        NonFiniteError
            A weight is NaN or infinite. No file was touched.
        StateError
            The model is not built.

        Examples
        --------
        >>> import tempfile
        >>> from gatewise import Sequential, layers
        >>> model = Sequential([layers.GRU(8, input_shape=(None, 2)), layers.Dense(1)], name="tone")
        >>> export = model.export_c(tempfile.mkdtemp())
        >>> export.source.name, export.state_bytes
        ('tone.c', 160)
        """
        # Loaded on first use: few programs export.
        from gatewise.interop.c.export import check_weights, export

        check_weights(weights)
        self._need_built("export_c")
        return export(step_plan(self), folder, weights)
