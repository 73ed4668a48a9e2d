"""Slow forward passes written straight from the equations: what the fast code is held to.

Everything here is float64 and loops over rows and steps in Python, so that each line can be
read beside its equation. Nothing is shared with ``gatewise``. Notation: ``B`` rows, ``T`` steps,
``I`` inputs, ``H`` units, ``G`` gates (LSTM 4, GRU 3, SimpleRNN 1).

Common arguments of :func:`rnn`, :func:`lstm` and :func:`gru`
-------------------------------------------------------------
x : array of shape (B, T, I)
kernel, recurrent_kernel : arrays of shape (I, G*H) and (H, G*H)
    Gates side by side: ``i f g o`` for the LSTM, ``z r h`` for the GRU.
bias : array of shape (G*H,), or (2, 3*H) for a GRU with the reset gate after; None is zero
h0, c0 : arrays of shape (B, H); None is zero
lengths : array of shape (B,), int, optional
    Valid steps of each row; 0 leaves the initial state. None: all T.
resets : array of shape (B, T), bool, optional
    Where true, the state is zeroed before the step at that time position of x.
go_backwards : bool
    Visit each row's valid steps from last to first. Outputs stand in the order processed.

Each returns ``(sequences, states)``: an array (B, T, H) with zeros past each row's end, and the
list of final states ``[h]`` or ``[h, c]``, each (B, H).
"""

import numpy as np

EPSILON = 1e-7  # Keras's backend.epsilon(), where losses clip probabilities


def sigmoid(x):
    tail = np.exp(-np.abs(x))  # never overflows
    return np.where(x >= 0, 1 / (1 + tail), tail / (1 + tail))


def softmax(x):
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


ACTIVATIONS = {
    "linear": lambda x: x,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "relu": lambda x: np.maximum(x, 0),
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "softplus": lambda x: np.logaddexp(0, x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "exponential": np.exp,
    "thresholded_relu": lambda x: np.where(x > 1, x, 0),
    "scaled_tanh": lambda x: 1.7159 * np.tanh(2 * x / 3),
    "affine": lambda x: x,
    "softmax": softmax,
}

# The same with constants of one's own: ("leaky_relu", alpha), ("affine", alpha, beta).
WITH_CONSTANTS = {
    "hard_sigmoid": lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1),
    "elu": lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
    "leaky_relu": lambda x, alpha: np.where(x > 0, x, alpha * x),
    "thresholded_relu": lambda x, alpha: np.where(x > alpha, x, 0),
    "scaled_tanh": lambda x, alpha, beta: alpha * np.tanh(beta * x),
    "affine": lambda x, alpha, beta: alpha * x + beta,
}


def activation_of(given):
    """A function, from a name or from (name, constants...)."""
    if isinstance(given, str):
        return ACTIVATIONS[given]
    name, *constants = given
    return lambda x: WITH_CONSTANTS[name](x, *constants)


def normalized(x):
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5)


def clipped(x, limit):
    return x if limit is None else np.clip(x, -limit, limit)


def rnn(
    x,
    kernel,
    recurrent_kernel,
    bias,
    h0,
    lengths=None,
    resets=None,
    activation="tanh",
    go_backwards=False,
    clip=None,
    gains=None,
    kept=None,
):
    """SimpleRNN: h = act(x W + h' U + b).

    With gains (input (H,), recurrent (H,)) of gain norm(x W) + gain norm(h' U) + b.
    """
    W, U = _float64(kernel), _float64(recurrent_kernel)
    H = U.shape[0]
    b = np.zeros(H) if bias is None else _float64(bias)
    act = activation_of(activation)

    def step(x_t, h):
        of_x, of_h = x_t @ W, h @ U
        if gains is not None:
            of_x, of_h = gains[0] * normalized(of_x), gains[1] * normalized(of_h)
        return [act(clipped(of_x + of_h + b, clip))]

    return _run(step, x, [h0], [H], lengths, resets, go_backwards, kept)


def lstm(
    x,
    kernel,
    recurrent_kernel,
    bias,
    h0,
    c0,
    lengths=None,
    resets=None,
    activation="tanh",
    recurrent_activation="sigmoid",
    go_backwards=False,
    output_activation=None,
    gates="ifgo",
    coupled=False,
    peephole=None,
    clip=None,
    cell_clip=None,
    projection_kernel=None,
    gains=None,
    kept=None,
    output_gate_inside=False,
):
    """LSTM: i, f, o = sigm(a), g = act(a), c = f*c' + i*g, h = o*out(c), with a = x W + h' U + b.

    gates: those of i f g o that have weights; the others are 1, or f = 1 - i where coupled
    peephole: (rows, H), a row for each of i f o that is among gates: a_i += p c', a_f += p c', a_o
    += p c clip: a within [-clip, clip], peepholes included; cell_clip: c projection_kernel: (H, P);
    h = (o*out(c)) W_r gains: (input (4H), recurrent (4H), cell (H), cell's bias (H)); a = gain
    norm(x W) + gain norm(h' U) + b, and
        h = o*out(gain norm(c) + bias)
    output_gate_inside: h = out(o*c)
    """
    W, U = _float64(kernel), _float64(recurrent_kernel)
    n = len(gates)
    H = W.shape[1] // n
    b = np.zeros(n * H) if bias is None else _float64(bias)
    act, sigm = activation_of(activation), activation_of(recurrent_activation)
    out = act if output_activation is None else activation_of(output_activation)
    p = (
        {}
        if peephole is None
        else dict(zip([gate for gate in gates if gate != "g"], _float64(peephole), strict=True))
    )

    def step(x_t, h, c):
        of_x, of_h = x_t @ W, h @ U
        if gains is not None:
            of_x, of_h = gains[0] * normalized(of_x), gains[1] * normalized(of_h)
        a = dict(zip(gates, np.split(of_x + of_h + b, n), strict=True))

        def gate(name, cell):
            return (
                sigm(clipped(a[name] + p.get(name, 0) * cell, clip))
                if name in gates
                else np.ones(H)
            )

        i = gate("i", c)
        f = 1 - i if coupled else gate("f", c)
        c = clipped(f * c + i * act(clipped(a["g"], clip)), cell_clip)
        if output_gate_inside:
            h = out(gate("o", c) * c)
        else:
            h = gate("o", c) * out(c if gains is None else gains[2] * normalized(c) + gains[3])
        return [h if projection_kernel is None else h @ _float64(projection_kernel), c]

    return _run(step, x, [h0, c0], [U.shape[0], H], lengths, resets, go_backwards, kept)


def gru(
    x,
    kernel,
    recurrent_kernel,
    bias,
    h0,
    lengths=None,
    resets=None,
    activation="tanh",
    recurrent_activation="sigmoid",
    reset_after=True,
    update="cho",
    go_backwards=False,
    clip=None,
    gains=None,
    kept=None,
    candidate="reset",
    output_activation=None,
):
    """GRU: z, r = sigm(x W + h' U + b), a candidate n, then the update.

    reset after   n = act(x W + b + r*(h' U + b_r)), bias (2, 3*H) or (3*H,) with b_r zero reset
    before  n = act(x W + b + (r*h') U), bias (3*H,) update "cho"  h = z*h' + (1-z)*n;  "chung"  h =
    (1-z)*h' + z*n gains (input (3H), recurrent (3H)), reset after: gain norm(x W) and gain norm(h'
    U) stand for x W and h' U, where norm is
        over z and r together, and over n
    candidate "complement" takes 1 - r for r. "split": n = act(r*(x W + b) + (1-z)*(h' U + b_r)).
        "input": n = act(r*(x W + b)); U has columns of z and r only
    output_activation: y = out(h)
    """
    if update not in ("cho", "chung"):
        raise ValueError(update)
    W, U = _float64(kernel), _float64(recurrent_kernel)
    H = U.shape[0]
    b = np.zeros(3 * H) if bias is None else _float64(bias)
    if candidate == "input":  # its columns of the candidate are zero
        U = np.concatenate([U, np.zeros((H, H))], axis=1)
    if b.ndim == 1:
        b = np.stack([b, np.zeros(3 * H)])
    elif not reset_after:
        raise ValueError("a GRU with the reset gate before has one row of bias")
    U_n = U[:, 2 * H :]
    (b_z, b_r, b_n), (rb_z, rb_r, rb_n) = np.split(b[0], 3), np.split(b[1], 3)
    act, sigm = activation_of(activation), activation_of(recurrent_activation)

    def step(x_t, h):
        of_x, of_h = x_t @ W, h @ U
        if gains is not None:
            of_x, of_h = (
                gain * np.concatenate([normalized(part[: 2 * H]), normalized(part[2 * H :])])
                for gain, part in zip(gains, (of_x, of_h), strict=True)
            )
        (x_z, x_r, x_n), (h_z, h_r, h_n) = np.split(of_x, 3), np.split(of_h, 3)
        z = sigm(clipped(x_z + b_z + h_z + rb_z, clip))
        r = sigm(clipped(x_r + b_r + h_r + rb_r, clip))
        if candidate == "complement":
            r = 1 - r
        if candidate == "split":
            n = act(clipped(r * (x_n + b_n) + (1 - z) * (h_n + rb_n), clip))
        elif candidate == "input":
            n = act(clipped(r * (x_n + b_n), clip))
        elif reset_after:
            n = act(clipped(x_n + b_n + r * (h_n + rb_n), clip))
        else:
            n = act(clipped(x_n + b_n + (r * h) @ U_n, clip))
        return [z * h + (1 - z) * n if update == "cho" else (1 - z) * h + z * n]

    y, last = _run(step, x, [h0], [H], lengths, resets, go_backwards, kept)
    if output_activation is not None:
        counted = np.full(len(y), y.shape[1]) if lengths is None else np.asarray(lengths)
        there = np.arange(y.shape[1]) < counted[:, None]
        y = np.where(there[..., None], activation_of(output_activation)(y), 0)
    return y, last


def minimal(
    x, kernel, bias, h0, blocks, lengths=None, resets=None, activation="linear", go_backwards=False
):
    """minGRU, whose weights have 2 blocks, z n; or minLSTM, 3 blocks, f i n.

    minGRU   h = (1 - z)*h' + z*n,           z = sigm(x W_z + b_z),       n = act(x W_n + b_n)
    minLSTM  h = (f*h' + i*n) / (f + i),     f, i = sigm(x W + b)
    """
    W = _float64(kernel)
    b = 0 if bias is None else _float64(bias)
    act = activation_of(activation)

    def step(x_t, h):
        *gates, n = np.split(x_t @ W + b, blocks)
        if blocks == 2:
            z = sigmoid(gates[0])
            return [(1 - z) * h + z * act(n)]
        f, i = sigmoid(gates[0]), sigmoid(gates[1])
        return [(f * h + i * act(n)) / (f + i)]

    return _run(step, x, [h0], [W.shape[1] // blocks], lengths, resets, go_backwards)


def _run(step, x, states, sizes, lengths, resets, go_backwards, kept=None):
    """Apply ``step(x_t, *state) -> state`` to each row's valid steps; see the head of the file.

    kept: for each state an array (B, T, size), or a number: how much of the old value stays
    (zoneout).
    """
    x = _float64(x)
    B, T, _ = x.shape
    states = [
        np.zeros((B, H)) if s is None else np.array(s, dtype=np.float64)
        for s, H in zip(states, sizes, strict=True)
    ]
    kept = (
        None
        if kept is None
        else [np.broadcast_to(k, (B, T, H)) for k, H in zip(kept, sizes, strict=True)]
    )
    sequences = np.zeros((B, T, sizes[0]))
    for b in range(B):
        valid = T if lengths is None else int(lengths[b])
        state = [s[b] for s in states]
        for position in range(valid):
            t = valid - 1 - position if go_backwards else position
            if resets is not None and resets[b, t]:
                state = [np.zeros_like(part) for part in state]
            before, state = state, step(x[b, t], *state)
            if kept is not None:
                state = [
                    k[b, position] * old + (1 - k[b, position]) * new
                    for k, old, new in zip(kept, before, state, strict=True)
                ]
            sequences[b, position] = state[0]
        for whole, row in zip(states, state, strict=True):
            whole[b] = row
    return sequences, states


def _float64(array):
    return np.asarray(array, dtype=np.float64)


def dense(x, kernel, bias=None, activation="linear"):
    """act(x W + b) on the last axis of x (..., I), with kernel (I, O) and bias (O,) or None."""
    a = _float64(x) @ _float64(kernel)
    return ACTIVATIONS[activation](a if bias is None else a + _float64(bias))


# Losses as Keras 3 defines them with its default reduction, each a float: the mean over the last
# axis (the categorical ones sum over it, it holds the classes), then the mean over all that is
# left.


def mse(y_true, y_pred):
    return np.mean(np.mean((_float64(y_true) - _float64(y_pred)) ** 2, axis=-1))


def mae(y_true, y_pred):
    return np.mean(np.mean(np.abs(_float64(y_true) - _float64(y_pred)), axis=-1))


def binary_crossentropy(y_true, y_pred, from_logits=False):
    y, p = _float64(y_true), _float64(y_pred)
    if from_logits:
        # y log s(p) + (1-y) log(1 - s(p)), unclipped
        return np.mean(np.mean(y * np.logaddexp(0, -p) + (1 - y) * np.logaddexp(0, p), axis=-1))
    p = np.clip(p, EPSILON, 1 - EPSILON)
    return np.mean(np.mean(-(y * np.log(p) + (1 - y) * np.log(1 - p)), axis=-1))


def categorical_crossentropy(y_true, y_pred, from_logits=False):
    y, p = _float64(y_true), _float64(y_pred)
    if from_logits:
        log_p = p - np.logaddexp.reduce(p, axis=-1, keepdims=True)
    else:
        log_p = np.log(np.clip(p / np.sum(p, axis=-1, keepdims=True), EPSILON, 1 - EPSILON))
    return np.mean(-np.sum(y * log_p, axis=-1))


def sparse_categorical_crossentropy(y_true, y_pred, from_logits=False):
    """The same with integer labels of shape (...) or (..., 1) beside y_pred (..., C)."""
    labels, C = np.asarray(y_true), np.shape(y_pred)[-1]
    if labels.ndim == np.ndim(y_pred):
        labels = labels[..., 0]
    return categorical_crossentropy(np.eye(C)[labels], y_pred, from_logits)
