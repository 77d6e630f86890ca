"""Classifier heads: features to probabilities of the classes."""

import functools
import math

import keras
from keras import initializers, layers, ops, regularizers

from yt8m.errors import UserError
from yt8m.layers.batch_normalization import BatchNormalization
from yt8m.registry import register

GATING_INPUTS = ("probabilities", "input")


def slim_l2(penalty):
    """`penalty` / 2 * sum of squares: what the starter code's slim.l2_regularizer(penalty) means."""
    return regularizers.L2(penalty / 2) if penalty else None


def bias_of(probability):
    """Initializer of biases whose sigmoid is `probability`.

    Raises:
        UserError: it is not between 0 and 1.
    """
    if not 0 < probability < 1:
        raise UserError(f"initial_probability={probability}: use a share between 0 and 1, such as 0.001.")
    return initializers.Constant(math.log(probability / (1.0 - probability)))


def _mixed(gates, experts):
    """Sum over m of softmax(gates)_m experts_m: [..., M + 1], [..., M] -> [...].

    The few gates come first: a softmax along a last axis of three takes most of a large head's time. They are not added one by
    one, which TensorFlow would make one AddN, whose order, and so its rounding, depends on which of its inputs is free first.
    """
    gates, experts = ops.moveaxis(gates, -1, 0), ops.moveaxis(experts, -1, 0)
    shares = ops.exp(gates - ops.stop_gradient(ops.max(gates, axis=0)))  # [M + 1, ...]
    return ops.sum(shares[:-1] * experts, axis=0) / ops.sum(shares, axis=0)


def _mixed_blocks(gates, experts):
    """_mixed of M + 1 gates and M experts that are arrays [N, C] of their own, of which no pass needs a sum over an axis."""
    largest = functools.reduce(ops.maximum, gates)
    shares = [ops.exp(gate - largest) for gate in gates]
    return _added([share * expert for share, expert in zip(shares, experts)]) / _added(shares)


def _added(terms):
    """The sum of arrays [N, C] in their order, every other one added to a flat array: see _mixed of one AddN."""
    shape, total = ops.shape(terms[0]), terms[0]
    for number, term in enumerate(terms[1:]):
        to = shape if number % 2 == 0 else (-1,)
        total = ops.reshape(total, to) + ops.reshape(term, to)
    return ops.reshape(total, shape)


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class LogisticHead(layers.Layer):
    """One logistic regression a class.

    Args:
        num_classes: C.
        l2_penalty: slim's scale, see slim_l2.
        initial_probability: of each class before training, by the biases. The starter's .5 is far from the share of videos that
            have a class: the first steps are about nothing else, and their gradients are what Adam scales by for long.

    Shapes: x [..., F] -> float32 [..., C]; float32 inside by default, whatever the global dtype policy. With another
        `dtype` the product is of its type, the sigmoid float32. The mask is there for callers that do not know which head
        they have: a logistic regression takes no statistics.
    Raises:
        UserError: an initial_probability that is not between 0 and 1.
    Source: LogisticModel of the starter code; the biases as in Lin et al. 2017, "Focal loss for dense object detection", 3.3.
    """

    def __init__(self, num_classes, l2_penalty=1e-8, initial_probability=0.5, dtype="float32", **kwargs):
        super().__init__(dtype=dtype, **kwargs)
        self.num_classes = num_classes
        self.l2_penalty = l2_penalty
        self.initial_probability = initial_probability
        self.bias_initializer = bias_of(initial_probability)

    def build(self, input_shape):
        self.dense = layers.Dense(
            self.num_classes,
            kernel_regularizer=slim_l2(self.l2_penalty),
            bias_initializer=self.bias_initializer,
            dtype=self.dtype_policy,
            name="dense",
        )
        self.dense.build(input_shape)

    def call(self, x, mask=None):
        return ops.sigmoid(ops.cast(self.dense(x), "float32"))

    def compute_mask(self, inputs, previous_mask=None):
        return previous_mask

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "l2_penalty": self.l2_penalty,
            "initial_probability": self.initial_probability,
        }


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class MixtureOfExperts(layers.Layer):
    """Each class asks `num_mixtures` logistic experts and one dummy that says 0, by gates of its own.

    p = sum_m softmax(x G)_m * sigmoid(x E + b)_m; with probability gating p * sigmoid(BN(p W_g)), W_g [C, C], which lets
    classes support and exclude one another.

    Args:
        num_classes: C.
        num_mixtures: experts a class, without the dummy.
        l2_penalty: on G and E, slim's scale, see slim_l2.
        initial_probability: of each expert before training, by the biases b, as in LogisticHead.
        low_rank_gates: rank of G, a product of two matrices then; None: full.
        probability_gating: whether p is gated.
        gating_input: what the gate of p looks at: "probabilities" (p) or "input" (x; W_g is [F, C] then).
        remove_diagonal: the gate of a class does not see the class itself.
        gating_rank: rank of W_g, a product of two matrices then; None: full.
        momentum, epsilon: of the gate's batch norm.

    Shapes: x [..., F], mask bool [...] or None (what the batch norm's statistics leave out) -> float32 [..., C];
        float32 inside by default, whatever the global dtype policy. With another `dtype` the products are of its type; softmax,
        sigmoids, batch norm and the sum over the experts float32.
    Raises:
        UserError: an unknown gating_input, fewer than one expert, a rank below 1, remove_diagonal with gating_input="input",
            or an initial_probability that is not between 0 and 1.
    Source: MoeModel of the starter code; the gate is Miech et al. (2017), whose code has low_rank_gates too;
        gating_rank is ours.
    """

    def __init__(
        self,
        num_classes,
        num_mixtures=2,
        l2_penalty=1e-6,
        low_rank_gates=None,
        probability_gating=False,
        gating_input="probabilities",
        remove_diagonal=False,
        gating_rank=None,
        momentum=0.99,
        epsilon=1e-3,
        initial_probability=0.5,
        dtype="float32",
        **kwargs,
    ):
        super().__init__(dtype=dtype, **kwargs)
        if num_mixtures < 1:
            raise UserError(f"num_mixtures={num_mixtures}: use at least 1 expert a class.")
        for name, rank in (("low_rank_gates", low_rank_gates), ("gating_rank", gating_rank)):
            if rank is not None and rank < 1:
                raise UserError(f"{name}={rank}: use a rank of at least 1, or None for the full matrix.")
        if gating_input not in GATING_INPUTS:
            raise UserError(f"gating_input={gating_input!r}: use one of {', '.join(GATING_INPUTS)}.")
        if remove_diagonal and gating_input == "input":
            raise UserError("remove_diagonal=True: only gating_input='probabilities' has a diagonal; leave one of the two.")
        self.num_classes = num_classes
        self.num_mixtures = num_mixtures
        self.l2_penalty = l2_penalty
        self.low_rank_gates = low_rank_gates
        self.probability_gating = probability_gating
        self.gating_input = gating_input
        self.remove_diagonal = remove_diagonal
        self.gating_rank = gating_rank
        self.initial_probability = initial_probability
        self.bias_initializer = bias_of(initial_probability)
        self.momentum = momentum
        self.epsilon = epsilon

    def _dense(self, name, units, use_bias, input_shape):
        dense = layers.Dense(
            units,
            use_bias=use_bias,
            kernel_regularizer=slim_l2(self.l2_penalty),
            bias_initializer=self.bias_initializer,
            dtype=self.dtype_policy,
            name=name,
        )
        dense.build(input_shape)
        return dense

    def _gating_kernel(self, name, rows, columns):
        return self.add_weight(name=name, shape=(rows, columns), initializer=initializers.RandomNormal(stddev=columns**-0.5))

    def build(self, input_shape):
        gate_shape = input_shape
        if self.low_rank_gates is not None:
            self.reduce_gates = self._dense("reduce_gates", self.low_rank_gates, False, input_shape)
            gate_shape = (*input_shape[:-1], self.low_rank_gates)
        self.gates = self._dense("gates", self.num_classes * (self.num_mixtures + 1), False, gate_shape)
        self.experts = self._dense("experts", self.num_classes * self.num_mixtures, True, input_shape)
        if self.probability_gating:
            rows = self.num_classes if self.gating_input == "probabilities" else input_shape[-1]
            if self.gating_rank is None:
                self.gating_kernels = [self._gating_kernel("gating_kernel", rows, self.num_classes)]
            else:
                self.gating_kernels = [
                    self._gating_kernel("gating_kernel_in", rows, self.gating_rank),
                    self._gating_kernel("gating_kernel_out", self.gating_rank, self.num_classes),
                ]
            self.norm = BatchNormalization(momentum=self.momentum, epsilon=self.epsilon, dtype="float32", name="norm")
            self.norm.build((*input_shape[:-1], self.num_classes))

    def call(self, x, mask=None, training=None):
        gates_input = x if self.low_rank_gates is None else self.reduce_gates(x)
        if len(x.shape) > 2 and not training:
            probabilities = self._asked_in_blocks(gates_input, x)
        else:
            leading = ops.shape(x)[:-1]
            gates = ops.reshape(self.gates(gates_input), (*leading, self.num_classes, self.num_mixtures + 1))
            experts = ops.reshape(self.experts(x), (*leading, self.num_classes, self.num_mixtures))
            probabilities = _mixed(ops.cast(gates, "float32"), ops.sigmoid(ops.cast(experts, "float32")))
        if self.probability_gating:
            gate = self.norm(self._gating_logits(x, probabilities), mask=mask, training=training)
            probabilities = probabilities * ops.sigmoid(gate)
        return probabilities

    def _asked_in_blocks(self, gates_input, x):
        """The mixture where there are many more rows than a kernel has, as with sets of attention: the kernels' columns are put
        in order, mixtures first, in place of the rows' values."""
        gates = [ops.cast(block, "float32") for block in self._blocks(self.gates, gates_input, self.num_mixtures + 1)]
        experts = [ops.sigmoid(ops.cast(block, "float32")) for block in self._blocks(self.experts, x, self.num_mixtures)]
        return ops.reshape(_mixed_blocks(gates, experts), (*ops.shape(x)[:-1], self.num_classes))

    def _blocks(self, dense, x, number):
        """What a dense layer of `number` values a class makes of x [..., F]: as many arrays [N, C]."""
        kernel = ops.reshape(ops.cast(dense.kernel, self.compute_dtype), (-1, self.num_classes, number))
        rows = ops.matmul(ops.reshape(x, (-1, kernel.shape[0])), ops.reshape(ops.moveaxis(kernel, -1, 1), (kernel.shape[0], -1)))
        if dense.use_bias:
            bias = ops.reshape(ops.cast(dense.bias, self.compute_dtype), (self.num_classes, number))
            rows = rows + ops.reshape(ops.transpose(bias), (-1,))
        return ops.split(rows, number, axis=-1)

    def _gating_logits(self, x, probabilities):
        source = ops.cast(probabilities, self.compute_dtype) if self.gating_input == "probabilities" else x
        logits = source
        for kernel in self.gating_kernels:
            logits = ops.matmul(logits, kernel)
        if self.remove_diagonal:
            first, last = self.gating_kernels[0], self.gating_kernels[-1]
            diagonal = ops.diagonal(first) if self.gating_rank is None else ops.sum(first * ops.transpose(last), axis=1)
            logits = ops.cast(logits, "float32") - ops.cast(diagonal, "float32") * ops.cast(source, "float32")
        return logits

    def compute_mask(self, inputs, previous_mask=None):
        return previous_mask

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.num_classes)

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "num_mixtures": self.num_mixtures,
            "l2_penalty": self.l2_penalty,
            "initial_probability": self.initial_probability,
            "low_rank_gates": self.low_rank_gates,
            "probability_gating": self.probability_gating,
            "gating_input": self.gating_input,
            "remove_diagonal": self.remove_diagonal,
            "gating_rank": self.gating_rank,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
        }
