"""Keras' LSTM and GRU with less to do on a CPU: a training step's work is in few, large products."""

import keras
from keras import layers, ops

from yt8m.layers.recurrent_cells import GruCell, GruCellResetAfter, LstmCell
from yt8m.registry import register


class Recurrence(layers.RNN):
    """The steps of an LSTM or a GRU where cuDNN does not take them.

    Keras multiplies the input and its kernel step by step and adds up the kernels' gradients step by step: of 1,024 units and 150
    steps it reads and writes a gradient of 17 MB 150 times. Here the input's products of all steps are one, time comes first, and
    the gradient is written by hand: each kernel's is one product over all steps. State, gates and sums are float32 under any
    policy. Outputs and gradients are Keras' but for rounding (tests: 1e-5 of their size); weights, names and masks are Keras'.
    Only before a row's first real step the outputs differ where a first state is given: they are that state, not 0.

    It stands behind Keras' class among a subclass's bases, so that Keras' own code asks cuDNN first and then this one. Of layers
    with dropout, other activations, without bias, stateful or unrolled, Keras' own loop does the steps.
    """

    def inner_loop(self, sequences, initial_state, mask, training=False):
        if not self._is_plain():
            return super().inner_loop(sequences, initial_state, mask, training=training)
        states = initial_state if isinstance(initial_state, (list, tuple)) else [initial_state]
        states = [ops.cast(state, "float32") for state in states]
        frames = ops.transpose(ops.cast(sequences, self.compute_dtype), (1, 0, 2))  # [T, B, D]
        x = ops.matmul(frames, self.cell.kernel)  # [T, B, G]
        mask = None if mask is None else ops.transpose(ops.cast(mask, "float32"))[:, :, None]  # [T, B, 1]
        weights = recurrent_weights(self.cell)
        outputs, *states = all_steps(self.steps_of, x, *weights, mask, states, self.go_backwards, training)
        last = outputs[0 if self.go_backwards else -1]
        if self.return_sequences:
            outputs = ops.transpose(ops.flip(outputs, axis=0) if self.go_backwards else outputs, (1, 0, 2))
        return last, outputs, [last, *states]

    def _is_plain(self):
        """Whether the equations are recurrent_cells'."""
        cell = self.cell
        usual = cell.activation is keras.activations.tanh and cell.recurrent_activation is keras.activations.sigmoid
        other = cell.dropout or cell.recurrent_dropout or self.stateful or self.unroll or self.zero_output_for_mask
        return usual and cell.use_bias and not other


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class LSTM(layers.LSTM, Recurrence):
    """keras.layers.LSTM, faster in training on a CPU (Recurrence). The class has Keras' name: saved weights are found by it.

    Args, Shapes: as keras.layers.LSTM.
    """

    steps_of = LstmCell


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class GRU(layers.GRU, Recurrence):
    """keras.layers.GRU, faster in training on a CPU (Recurrence). The class has Keras' name: saved weights are found by it.

    Args, Shapes: as keras.layers.GRU.
    """

    @property
    def steps_of(self):
        return GruCellResetAfter if self.reset_after else GruCell


def recurrent_weights(cell):
    """(kernel [U, G], bias) of the states' part of a Keras cell, as tensors: a gradient by hand takes no variables."""
    return [ops.reshape(weight, weight.shape) for weight in (cell.recurrent_kernel, cell.bias)]


def all_steps(kind, x, kernel, bias, mask, states, backwards=False, training=False):
    """The steps of a recurrence whose input products are there.

    Args:
        kind: of recurrent_cells.
        x: [T, B, G], the input's products.
        kernel, bias: the cell's.
        mask: float32 [T, B, 1], 0 where the states stay as they are; None: nowhere.
        states: float32 [B, U] each, before the first step.
        backwards: whether the last step is the first.
        training: keep what the gradient by hand needs, several times the outputs. Without, the backend finds a gradient itself.

    Returns:
        h after each step, [T, B, U], then what the states but h are in the end.
    """
    return (_trained if training else _run)(kind, x, kernel, bias, mask, states, backwards)


def _run(kind, x, kernel, bias, mask, states, backwards):
    """all_steps, nothing kept."""
    cell = kind(kernel, ops.cast(bias, "float32"))

    def step(before, t):
        return _where(mask, t, cell.step(ops.cast(x[t], "float32"), *before)[0], before)

    last, every = _scan(step, states, x, backwards)
    return every[0], *last[1:]


def _trained(kind, x, kernel, bias, mask, states, backwards):
    """all_steps, with the gradient by hand."""
    masks, count = () if mask is None else (mask,), kind.STATES

    @ops.custom_gradient
    def run(x, kernel, bias, *others):
        states, mask = others[:count], others[count] if masks else None
        cell = kind(kernel, ops.cast(bias, "float32"))

        def step(carried, t):
            after, kept = cell.step(ops.cast(x[t], "float32"), *carried[:count])
            return *_where(mask, t, after, carried[:count]), *kept

        last, every = _scan(step, (*states, *[ops.zeros_like(states[0])] * kind.KEPT), x, backwards)
        after, kept = every[:count], every[count:]

        def gradient(*upstreams, upstream=None):
            by_outputs, *by_states = _flat(upstreams if upstream is None else upstream)
            before = [_shifted(values, first, backwards) for values, first in zip(after, states)]

            def step_back(carried, t):
                change = (carried[0] + ops.cast(by_outputs[t], "float32"), *carried[1:count])
                of_step = [values[t] for values in kept], [values[t] for values in before]
                by_before, by_gates = cell.back(*of_step, change)
                by_gates = _where(mask, t, by_gates, [ops.zeros_like(values) for values in by_gates])
                return *_where(mask, t, by_before, change), *(ops.cast(values, x.dtype) for values in by_gates)

            start = (ops.zeros_like(states[0]), *by_states, *[ops.zeros_like(x[0])] * kind.CHANGES)
            last, every = _scan(step_back, start, x, not backwards)
            by_kernel, by_bias = cell.gradients(before[0], kept, every[count:])
            by_weights = ops.cast(by_kernel, kernel.dtype), ops.cast(by_bias, bias.dtype)
            return every[count], *by_weights, *last[:count], *(ops.zeros_like(values) for values in masks)

        outputs = (after[0], *last[1:count])
        return (outputs if count > 1 else outputs[0]), gradient

    outputs = run(x, kernel, bias, *states, *masks)
    return outputs if count > 1 else (outputs,)


def _scan(step, state, x, backwards):
    """The last state and all, [T, ...] each, of a step that takes a state and a time and gives the next state."""

    def both(state, t):
        after = step(state, t)
        return after, after  # on TensorFlow ops.scan asks for outputs that are like the state

    return ops.scan(both, tuple(state), ops.arange(ops.shape(x)[0], dtype="int32"), reverse=backwards)


def _where(mask, t, values, others):
    """The values of rows whose step is real, and the others of the rest: tuples of [B, ...]."""
    if mask is None:
        return tuple(values)
    return tuple(ops.where(mask[t] > 0.5, value, other) for value, other in zip(values, others))


def _shifted(after, first, backwards):
    """The state before each step, of those after them: [T, B, U]."""
    parts = [after[1:], first[None]] if backwards else [first[None], after[:-1]]
    return ops.concatenate(parts, axis=0)


def _flat(upstreams):
    """A backend gives the derivatives by several outputs as so many arguments, or as one tuple."""
    return upstreams[0] if isinstance(upstreams, tuple) and isinstance(upstreams[0], (tuple, list)) else upstreams
