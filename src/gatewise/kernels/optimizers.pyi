from gatewise._typing import Array

def sgd(
    p: Array,
    g: Array,
    v: Array | None,
    lr: float,
    momentum: float,
    nesterov: bool,
    decay: float = 0.0,
    threads: int = 1,
) -> None: ...
def rmsprop(
    p: Array,
    g: Array,
    v: Array,
    g_mean: Array | None,
    m: Array | None,
    lr: float,
    rho: float,
    momentum: float,
    eps: float,
    decay: float = 0.0,
    threads: int = 1,
) -> None: ...
def adam(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    v_max: Array | None,
    lr: float,
    lr_gradient: float,
    beta1: float,
    beta2: float,
    eps: float,
    decay: float = 0.0,
    threads: int = 1,
) -> None: ...
def adagrad(
    p: Array, g: Array, total: Array, lr: float, eps: float, decay: float = 0.0, threads: int = 1
) -> None: ...
def lion(
    p: Array,
    g: Array,
    m: Array,
    lr: float,
    beta1: float,
    beta2: float,
    decay: float = 0.0,
    threads: int = 1,
) -> None: ...
def accumulate(total: Array, g: Array, steps: int = 0, threads: int = 1) -> None: ...
def average(
    p: Array, mean: Array, momentum: float, overwrite: bool = False, threads: int = 1
) -> None: ...
