"""The equations of an LSTM's and a GRU's step and their derivatives, for recurrence.py.

A cell is asked for one step at a time, of all rows, with what the input gives to the gates already there: `step` forwards, `back`
backwards, and `gradients` once, of all steps. Every value is float32 but the products' factors, which have the kernel's type.

Shapes: B rows, U units, T steps, G = 4 U (LSTM) or 3 U (GRU) values of the gates, in Keras' order.
"""

from keras import ops


class LstmCell:
    """i, f, g, o = gates of x + h R + b; c' = f c + i g; h' = o tanh(c').

    Args:
        kernel: R [U, 4 U]; bias: b [4 U], float32.
    """

    STATES, KEPT, CHANGES = 2, 5, 1  # h and c; what `step` keeps, [B, U] each; what `back` gives of the gates, [B, G] each

    def __init__(self, kernel, bias):
        self._bias = bias
        self._forwards, self._backwards = _product(kernel), _product(kernel, transposed=True)

    def step(self, x, h, c):
        """x [B, 4 U] and the states [B, U] -> the new states, and what `back` needs."""
        i, f, g, o = ops.split(x + (self._forwards(h) + self._bias), 4, axis=1)
        i, f, g, o = ops.sigmoid(i), ops.sigmoid(f), ops.tanh(g), ops.sigmoid(o)
        c = f * c + i * g
        tanh_c = ops.tanh(c)
        return (o * tanh_c, c), (i, f, g, o, tanh_c)

    def back(self, kept, before, change):
        """What `step` kept, the states before it, the loss's derivatives by those after it -> by those before; by the gates."""
        (i, f, g, o, tanh_c), (_, c), (d_h, d_c) = kept, before, change
        d_c = d_c + d_h * (o * (1.0 - tanh_c * tanh_c))
        d_i = (d_c * g) * (i * (1.0 - i))
        d_f = (d_c * c) * (f * (1.0 - f))
        d_g = (d_c * i) * (1.0 - g * g)
        d_o = (d_h * tanh_c) * (o * (1.0 - o))
        d_gates = ops.concatenate([d_i, d_f, d_g, d_o], axis=1)  # [B, 4 U]
        return (self._backwards(d_gates), d_c * f), (d_gates,)

    def gradients(self, h, kept, changes):
        """The derivatives by kernel and bias: h before the steps, what they kept, what `back` gave: [T, B, ...] each."""
        return _of_products(h, changes[0]), _sum(changes[0])


class GruCell:
    """z, r = gates of x + h R + b; n = tanh(x_n + (r h) R_n + b_n); h' = z h + (1 - z) n: eq. 8-10 of paper 004 with 1 - z for z.

    Args:
        kernel: R [U, 3 U]; bias: b [3 U], float32.
    """

    STATES, KEPT, CHANGES = 1, 4, 1

    def __init__(self, kernel, bias):
        self._bias, units = bias, kernel.shape[0]
        of_gates, of_new = kernel[:, : 2 * units], kernel[:, 2 * units :]
        self._gates, self._gates_back = _product(of_gates), _product(of_gates, transposed=True)
        self._new, self._new_back = _product(of_new), _product(of_new, transposed=True)

    def step(self, x, h):
        units = h.shape[1]
        x = x + self._bias
        z, r = ops.split(ops.sigmoid(x[:, : 2 * units] + self._gates(h)), 2, axis=1)
        reset = r * h
        new = ops.tanh(x[:, 2 * units :] + self._new(reset))
        return (z * h + (1.0 - z) * new,), (z, r, new, reset)

    def back(self, kept, before, change):
        (z, r, new, _), (h,), (d_h,) = kept, before, change
        by_new = d_h * (1.0 - z)
        d_new = by_new * (1.0 - new * new)
        d_reset = self._new_back(d_new)
        d_z = (d_h * (h - new)) * (z * (1.0 - z))
        d_r = (d_reset * h) * (r * (1.0 - r))
        d_gates = ops.concatenate([d_z, d_r, d_new], axis=1)  # [B, 3 U]
        along = d_h - (by_new - d_reset * r)  # d_h z + d_reset r; TensorFlow adds three terms up in an order that varies
        return (along + self._gates_back(d_gates[:, : d_z.shape[1] * 2]),), (d_gates,)

    def gradients(self, h, kept, changes):
        units, (d_gates,) = h.shape[-1], changes
        by_kernel = [_of_products(h, d_gates[:, :, : 2 * units]), _of_products(kept[3], d_gates[:, :, 2 * units :])]
        return ops.concatenate(by_kernel, axis=1), _sum(d_gates)


class GruCellResetAfter:
    """z, r = gates of x + h R + b; n = tanh(x_n + b_n + r (h R_n + b'_n)); h' = z h + (1 - z) n: cuDNN's form.

    Args:
        kernel: R [U, 3 U]; bias: [2, 3 U], float32, the input's and the state's.
    """

    STATES, KEPT, CHANGES = 1, 4, 2

    def __init__(self, kernel, bias):
        self._bias, self._inner_bias = bias[0], bias[1]
        self._forwards, self._backwards = _product(kernel), _product(kernel, transposed=True)

    def step(self, x, h):
        units = h.shape[1]
        x, inner = x + self._bias, self._forwards(h) + self._inner_bias
        z, r = ops.split(ops.sigmoid(x[:, : 2 * units] + inner[:, : 2 * units]), 2, axis=1)
        inner = inner[:, 2 * units :]
        new = ops.tanh(x[:, 2 * units :] + r * inner)
        return (z * h + (1.0 - z) * new,), (z, r, new, inner)

    def back(self, kept, before, change):
        (z, r, new, inner), (h,), (d_h,) = kept, before, change
        d_new = (d_h * (1.0 - z)) * (1.0 - new * new)
        d_z = (d_h * (h - new)) * (z * (1.0 - z))
        d_r = (d_new * inner) * (r * (1.0 - r))
        d_inner = ops.concatenate([d_z, d_r, d_new * r], axis=1)  # [B, 3 U]
        return (d_h * z + self._backwards(d_inner),), (ops.concatenate([d_z, d_r, d_new], axis=1), d_inner)

    def gradients(self, h, kept, changes):
        d_gates, d_inner = changes
        return _of_products(h, d_inner), ops.stack([_sum(d_gates), _sum(d_inner)])


def _product(kernel, transposed=False):
    """A function of x float32 [B, F] that multiplies it with the kernel, or with the kernel's transpose: float32.

    The transpose is made once, not at each step. On a CPU a product of few rows and a large kernel takes three fifths as long in
    float32 where the kernel lies as it is used, and in bfloat16 four fifths where its transpose does (benchmarks/operations.py).
    """
    if kernel.dtype == "float32":
        factor = ops.transpose(kernel) if transposed else kernel
        return lambda x: ops.matmul(x, factor)
    factor = kernel if transposed else ops.transpose(kernel)
    return lambda x: ops.cast(ops.matmul(ops.cast(x, kernel.dtype), ops.transpose(factor)), "float32")


def _of_products(left, right):
    """The sum over steps and rows of the outer products: [T, B, F], [T, B, G] -> [F, G] in right's type, one product."""
    left = ops.reshape(ops.cast(left, right.dtype), (-1, left.shape[-1]))
    return ops.matmul(ops.transpose(left), ops.reshape(right, (-1, right.shape[-1])))


def _sum(values):
    """The sum over steps and rows: [T, B, G] -> [G]; as a product a CPU has it several times sooner."""
    rows = ops.reshape(values, (-1, values.shape[-1]))
    return ops.matmul(ops.transpose(ops.ones_like(rows[:, :1])), rows)[0]
