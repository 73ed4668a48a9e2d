"""Published forms of LSTM and GRU as cells in NumPy, as a user would write them for RNN.

The layers compute the same by an argument (docs/equations.md). The tests compare both, and
benchmarks/options.py measures how much faster the layers are.
"""

import numpy as np

from gatewise.cells import RNNCell


def sigmoid(a):
    """1 / (1 + exp(-a)), which does not overflow."""
    return 0.5 * (1 + np.tanh(0.5 * a))


class Gated(RNNCell):
    """``a = x W + b`` and ``u = h' U`` in blocks of units, for the cells below."""

    blocks = 1

    def __init__(self, units):
        self.units = units

    def parameter_shapes(self, inputs):
        width = self.blocks * self.units
        return {
            "kernel": (inputs, width),
            "recurrent_kernel": (self.units, width),
            "bias": (width,),
        }

    def products(self, x, h, p):
        a, u = x @ p["kernel"] + p["bias"], h @ p["recurrent_kernel"]
        return np.split(a, self.blocks, axis=1), np.split(u, self.blocks, axis=1)

    def products_backward(self, x, h, d_a, d_u, p, g):
        """(dx, dh) of lists of blocks; the gradients of the parameters are added."""
        d_a, d_u = np.concatenate(d_a, axis=1), np.concatenate(d_u, axis=1)
        g["kernel"] += x.T @ d_a
        g["bias"] += d_a.sum(axis=0)
        g["recurrent_kernel"] += h.T @ d_u
        return d_a @ p["kernel"].T, d_u @ p["recurrent_kernel"].T


class ProductInsideLSTM(Gated):
    """h = tanh(c o), c = c' f + g i."""

    blocks = 4

    def __init__(self, units):
        super().__init__(units)
        self.state_size = [units, units]

    def step(self, x, states, p):
        h, c = states
        a, u = self.products(x, h, p)
        i, f, o = (sigmoid(a[k] + u[k]) for k in (0, 1, 3))
        g = np.tanh(a[2] + u[2])
        new_c = c * f + g * i
        new_h = np.tanh(new_c * o)
        return new_h, [new_h, new_c], (x, h, c, i, f, g, o, new_c, new_h)

    def step_backward(self, d_output, d_states, saved, p, gradients):
        x, h, c, i, f, g, o, new_c, new_h = saved
        d_product = (d_output + d_states[0]) * (1 - new_h**2)
        d_c = d_states[1] + d_product * o
        d = [
            d_c * g * i * (1 - i),
            d_c * c * f * (1 - f),
            d_c * i * (1 - g**2),
            d_product * new_c * o * (1 - o),
        ]
        d_x, d_h = self.products_backward(x, h, d, d, p, gradients)
        return d_x, [d_h, d_c * f]


class OppositeResetGRU(Gated):
    """n = tanh(x W + ((1 - r) h') U), h = z h' + (1 - z) n."""

    blocks = 3

    def step(self, x, states, p):
        h, H = states[0], self.units
        U = p["recurrent_kernel"]
        a_z, a_r, a_n = np.split(x @ p["kernel"] + p["bias"], 3, axis=1)
        u_z, u_r = np.split(h @ U[:, : 2 * H], 2, axis=1)
        z, r = sigmoid(a_z + u_z), sigmoid(a_r + u_r)
        kept = (1 - r) * h
        n = np.tanh(a_n + kept @ U[:, 2 * H :])
        new = z * h + (1 - z) * n
        return new, [new], (x, h, z, r, n, kept)

    def step_backward(self, d_output, d_states, saved, p, gradients):
        (x, h, z, r, n, kept), H = saved, self.units
        U, d = p["recurrent_kernel"], d_output + d_states[0]
        d_n = d * (1 - z) * (1 - n**2)
        d_kept = d_n @ U[:, 2 * H :].T
        d_zr = np.concatenate([d * (h - n) * z * (1 - z), -d_kept * h * r * (1 - r)], axis=1)
        d_a = np.concatenate([d_zr, d_n], axis=1)
        gradients["kernel"] += x.T @ d_a
        gradients["bias"] += d_a.sum(axis=0)
        gradients["recurrent_kernel"] += np.concatenate([h.T @ d_zr, kept.T @ d_n], axis=1)
        return d_a @ p["kernel"].T, [d * z + d_kept * (1 - r) + d_zr @ U[:, : 2 * H].T]


class SharedGateGRU(Gated):
    """n = tanh((x W) r + (h' U) (1 - z)), h = z h' + (1 - z) n."""

    blocks = 3

    def step(self, x, states, p):
        h = states[0]
        a, u = self.products(x, h, p)
        z, r = sigmoid(a[0] + u[0]), sigmoid(a[1] + u[1])
        n = np.tanh(a[2] * r + u[2] * (1 - z))
        new = z * h + (1 - z) * n
        return new, [new], (x, h, z, r, n, a[2], u[2])

    def step_backward(self, d_output, d_states, saved, p, gradients):
        x, h, z, r, n, a_n, u_n = saved
        d = d_output + d_states[0]
        d_n = d * (1 - z) * (1 - n**2)
        d_z = (d * (h - n) - d_n * u_n) * z * (1 - z)
        d_r = d_n * a_n * r * (1 - r)
        d_x, d_h = self.products_backward(
            x, h, [d_z, d_r, d_n * r], [d_z, d_r, d_n * (1 - z)], p, gradients
        )
        return d_x, [d * z + d_h]


class SigmoidOutputUnit(Gated):
    """c = (1 - z) c' + z tanh((x W) r), y = sigm(c)."""

    blocks = 3

    def __init__(self, units):
        super().__init__(units)
        self.output_size = units  # the output is not the state

    def step(self, x, states, p):
        c = states[0]
        a, u = self.products(x, c, p)
        z, r = sigmoid(a[0] + u[0]), sigmoid(a[1] + u[1])
        n = np.tanh(a[2] * r)
        new = (1 - z) * c + z * n
        y = sigmoid(new)
        return y, [new], (x, c, z, r, n, a[2], y)

    def step_backward(self, d_output, d_states, saved, p, gradients):
        x, c, z, r, n, a_n, y = saved
        d = d_states[0] + d_output * y * (1 - y)
        d_n = d * z * (1 - n**2)
        d_z, d_r = d * (n - c) * z * (1 - z), d_n * a_n * r * (1 - r)
        d_x, d_c = self.products_backward(
            x, c, [d_z, d_r, d_n * r], [d_z, d_r, np.zeros_like(d)], p, gradients
        )
        return d_x, [d * (1 - z) + d_c]
