from gatewise._typing import Array
from gatewise.kernels._cell import CompiledCell

class RecurrentKernel(CompiledCell):
    def workspace(self) -> Workspace: ...
    def pack_forward(
        self,
        kernel: Array,
        recurrent_kernel: Array,
        bias: Array | None = None,
        recurrent_bias: Array | None = None,
        peephole: Array | None = None,
        projection_kernel: Array | None = None,
        input_gain: Array | None = None,
        recurrent_gain: Array | None = None,
        cell_gain: Array | None = None,
        cell_bias: Array | None = None,
    ) -> Array: ...
    def pack_backward(
        self,
        recurrent_kernel: Array,
        peephole: Array | None = None,
        projection_kernel: Array | None = None,
        recurrent_bias: Array | None = None,
        input_gain: Array | None = None,
        recurrent_gain: Array | None = None,
        cell_gain: Array | None = None,
        cell_bias: Array | None = None,
    ) -> Array: ...
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
        y: Array | None = None,
        workspace: Workspace | None = None,
        threads: int = 1,
    ) -> None: ...
    def backward(
        self,
        packed: Array,
        x: Array,
        kernel: Array,
        workspace: Workspace,
        dh: Array,
        dc: Array | None = None,
        *,
        order: Array | None = None,
        lengths: Array | None = None,
        resets: Array | None = None,
        mask: Array | None = None,
        zoneout_key: int | None = None,
        dy: Array | None = None,
        d_kernel: Array,
        d_recurrent_kernel: Array,
        d_bias: Array | None = None,
        d_recurrent_bias: Array | None = None,
        d_peephole: Array | None = None,
        d_projection_kernel: Array | None = None,
        d_input_gain: Array | None = None,
        d_recurrent_gain: Array | None = None,
        d_cell_gain: Array | None = None,
        d_cell_bias: Array | None = None,
        dx: Array | None = None,
        threads: int = 1,
    ) -> None: ...

class Workspace:
    gates: Array | None
    h_in: Array | None
    h0: Array | None
    c: Array | None
    m: Array | None
    dm: Array | None
    v: Array | None
    u: Array | None
    scales: Array | None
    has_mask: bool
    def prepare(self, kernel: RecurrentKernel, batch: int, steps: int, masked: bool) -> None: ...
