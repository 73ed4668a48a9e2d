"""A dense layer whose matrix is that of an embedding, transposed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import threads
from gatewise.errors import ShapeError
from gatewise.kernels import dense
from gatewise.kernels._packed_weights import PackedWeights
from gatewise.kernels._products import uses_blas

from .activation import LINEAR, Activated
from .base import Layer
from .specs import ParameterSpec

if TYPE_CHECKING:
    from collections.abc import Hashable

    from gatewise._typing import Array, Shape
    from gatewise.layers.embedding import Embedding
    from gatewise.layers.tape import Batch, Tape


class TiedDense(Activated, Layer):
    """``y = softmax(x E^T + b)`` with the vectors E of an embedding (Press and Wolf 2017).

    Parameters
    ----------
    embedding : Embedding
        Its vectors are the matrix; the layer that contains both owns it.
    **kwargs
        Options of :class:`Layer`.

    Notes
    -----
    Weights: bias b (output_dim of the embedding,). The gradient of E is added to the embedding's.
    """

    activation = "softmax"

    def __init__(self, embedding: Embedding, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._embedding = embedding
        self._packed = PackedWeights()

    def parameter_specs(self, input_shape: Shape) -> list[ParameterSpec]:
        if input_shape[-1] != self._embedding.output_dim:
            raise ShapeError(
                f"layer {self.name!r} is given input shape {input_shape}; expected"
                f" {self._embedding.output_dim} features, as the embedding has"
            )
        return [ParameterSpec("bias", (self._embedding.input_dim,))]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self._embedding.input_dim)

    def _weights_changed(self) -> None:
        self._packed.forget()

    def _matrix(self) -> Array:
        return np.ascontiguousarray(self._embedding._parameters["embeddings"].T)

    def _pack_now(self) -> Array:
        return dense.pack(self._matrix(), self._parameters["bias"])

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        scores = self._run_to_scores(inputs, None, node)
        y = self._activate_rows(scores.values, scores.values)
        if tape is not None:
            tape.keep(node, {"x": inputs.values, "y": y.copy()})
        return inputs.with_values(y)

    def _run_to_scores(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        x = inputs.values
        rows, columns = x.reshape(-1, x.shape[-1]), self._embedding.input_dim
        z = np.empty((len(rows), columns), x.dtype)
        work = threads.threads_for_products(2 * rows.size * columns)
        dense.forward(rows, self._packed.of(self), z, LINEAR, work)
        if tape is not None:
            tape.keep(node, {"x": x})
        return inputs.with_values(z.reshape(*x.shape[:-1], columns))

    def run_backward(
        self, gradients: Array, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | None:
        saved = tape.take(node)
        return self._product_backward(
            saved["x"], self._slope_times(saved["y"], gradients), tape, node, wanted
        )

    def _run_backward_from_scores(
        self, gradients: Array, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | None:
        return self._product_backward(tape.take(node)["x"], gradients, tape, node, wanted)

    def _product_backward(
        self, x: Array, dz: Array, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | None:
        rows = x.reshape(-1, x.shape[-1])
        dx = tape.scratch(node, rows.shape, self.dtype) if wanted else None
        matrix = self._matrix()
        d_matrix = np.zeros_like(matrix)
        with threads.single_threaded_blas(uses_blas(x.shape[-1])):
            dense.backward(
                rows,
                matrix,
                np.ascontiguousarray(dz).reshape(len(rows), -1),
                d_matrix,
                self._gradients["bias"],
                dx,
                threads.threads_for_products(4 * rows.size * matrix.shape[1]),
            )
        self._embedding._gradients["embeddings"] += d_matrix.T
        return None if dx is None else dx.reshape(x.shape)
