"""The classifier head of paper 002: a mixture of experts whose gates all classes share."""

import keras
from keras import layers, ops

from yt8m.errors import UserError
from yt8m.layers.experts import slim_l2
from yt8m.registry import register


@register("layer")
@keras.saving.register_keras_serializable("yt8m")
class SharedGateMixtureOfExperts(layers.Layer):
    """All classes ask the same experts by the same gates, and the experts' logits are mixed, not their probabilities.

    gates = softmax(dropout(BN(x)) G + g), N + 1 of them, the last for a dummy expert whose logit is 0;
    p_c = sigmoid(sum_n gates_n (dropout(BN(x)) E + e)_cn). Each branch has a batch norm and a dropout of its own.
    `experts` is [F, C * N], its columns in the order of the classes, N a class; `gates` is [F, N + 1].

    Args:
        num_classes: C.
        num_mixtures: N, experts without the dummy.
        dropout: share of the inputs zeroed in training, drawn for each branch on its own.
        l2_penalty: on G and E, slim's scale, see slim_l2; the paper uses weight decay instead.
        momentum, epsilon: of the batch norms (`expert_norm`, `gate_norm`).

    Shapes: x [..., F], mask bool [...] or None (what the batch norms' statistics leave out) -> float32 [..., C];
        float32 inside by default, whatever the global dtype policy. With another `dtype` the products are of its type;
        softmax, sigmoid and the sum over the experts float32.
    Raises:
        UserError: fewer than one expert, or a dropout outside [0, 1).
    Source: paper 002, section 3.4 and figure 5; dropout, momentum and epsilon from the authors' code.
    """

    def __init__(
        self, num_classes, num_mixtures=4, dropout=0.5, l2_penalty=0.0, momentum=0.9, epsilon=1e-5, dtype="float32", **kwargs
    ):
        super().__init__(dtype=dtype, **kwargs)
        if num_mixtures < 1:
            raise UserError(f"num_mixtures={num_mixtures}: use at least 1 expert.")
        if not 0 <= dropout < 1:
            raise UserError(f"dropout={dropout}: use a share of at least 0 and below 1.")
        self.num_classes = num_classes
        self.num_mixtures = num_mixtures
        self.dropout = dropout
        self.l2_penalty = l2_penalty
        self.momentum = momentum
        self.epsilon = epsilon

    def build(self, input_shape):
        self.expert_norm, self.expert_dropout, self.experts = self._branch(
            "expert", "experts", self.num_classes * self.num_mixtures, input_shape
        )
        self.gate_norm, self.gate_dropout, self.gates = self._branch("gate", "gates", self.num_mixtures + 1, input_shape)

    def _branch(self, name, dense_name, units, input_shape):
        norm = layers.BatchNormalization(
            momentum=self.momentum, epsilon=self.epsilon, dtype=self.dtype_policy, name=f"{name}_norm"
        )
        norm.build(input_shape)
        dropout = layers.Dropout(self.dropout, dtype=self.dtype_policy, name=f"{name}_dropout")
        dense = layers.Dense(
            units,
            kernel_initializer="he_normal",
            kernel_regularizer=slim_l2(self.l2_penalty),
            dtype=self.dtype_policy,
            name=dense_name,
        )
        dense.build(input_shape)
        return norm, dropout, dense

    def call(self, x, mask=None, training=None):
        experts = self.experts(self.expert_dropout(self.expert_norm(x, mask=mask, training=training), training=training))
        gates = self.gates(self.gate_dropout(self.gate_norm(x, mask=mask, training=training), training=training))
        experts, gates = ops.cast(experts, "float32"), ops.softmax(ops.cast(gates, "float32"), axis=-1)
        experts = ops.reshape(experts, (*ops.shape(x)[:-1], self.num_classes, self.num_mixtures))
        return ops.sigmoid(ops.sum(experts * gates[..., None, :-1], axis=-1))

    def compute_mask(self, inputs, previous_mask=None):
        return previous_mask

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.num_classes)

    def get_config(self):
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "num_mixtures": self.num_mixtures,
            "dropout": self.dropout,
            "l2_penalty": self.l2_penalty,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
        }
