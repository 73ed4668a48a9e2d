from gatewise._typing import Array
from gatewise.kernels._attending import Attending
from gatewise.kernels._cell import CompiledCell
from gatewise.kernels._workspace import Workspace

class RecurrentKernel(CompiledCell):
    def workspace(self) -> Workspace: ...
    def pack_forward(self, weights: dict[str, Array | None]) -> Array: ...
    def pack_backward(self, weights: dict[str, Array | None]) -> Array: ...
    def project(self, packed: Array, x: Array, threads: int = 1) -> Array: ...
    def forward(
        self,
        packed: Array,
        x: Array,
        final_h: Array,
        final_c: Array | None = None,
        *,
        order: Array | None = None,
        lengths: Array | None = None,
        resets: Array | None = None,
        initial_h: Array | None = None,
        mask: Array | None = None,
        zoneout_key: int | None = None,
        numbers: Array | None = None,
        table: Array | None = None,
        attention: Attending | None = None,
        y: Array | None = None,
        workspace: Workspace | None = None,
        threads: int = 1,
    ) -> None: ...
    def backward(
        self,
        packed: Array,
        x: Array,
        weights: dict[str, Array | None],
        workspace: Workspace,
        dh: Array,
        dc: Array | None = None,
        *,
        order: Array | None = None,
        lengths: Array | None = None,
        resets: Array | None = None,
        mask: Array | None = None,
        zoneout_key: int | None = None,
        numbers: Array | None = None,
        table: Array | None = None,
        attention: Attending | None = None,
        dy: Array | None = None,
        gradients: dict[str, Array | None],
        dx: Array | None = None,
        d_table: Array | None = None,
        threads: int = 1,
    ) -> None: ...
