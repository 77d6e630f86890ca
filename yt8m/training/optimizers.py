"""Optimizers by the names that the starter's users know, with decoupled weight decay and learning rates by part of a model."""

import keras
from keras import ops

from yt8m.errors import UserError
from yt8m.training.fused import FusedAdam, FusedClipping

NO_DECAY = ("bias", "gamma", "beta")  # biases; gains and centres of batch and layer norms


def starts_with(path, prefix):
    """Whether the first parts of a variable's path ("encoder/hidden/kernel") are `prefix` ("encoder", "encoder/hidden")."""
    return path == prefix or path.startswith(prefix.rstrip("/") + "/")


class ByPath(FusedClipping):
    """Mixed into a Keras optimizer: decoupled weight decay and learning rates that depend on a variable's path.

    A step is w -= rate * factor * decay * w, and then the optimizer's own step with rate * factor (Loshchilov and Hutter,
    "Decoupled weight decay regularization", algorithm 2). A variable of factor 0 is left out of the step altogether: no
    update, no decay, no part in a global gradient norm.

    Args:
        learning_rate_multipliers: {first parts of a path: factor}; the longest that fits a variable counts, else 1.
        no_decay: last parts of the paths of variables that do not decay.
        **options: the Keras optimizer's arguments.
    """

    def __init__(self, learning_rate=0.001, learning_rate_multipliers=None, no_decay=NO_DECAY, **options):
        super().__init__(learning_rate=learning_rate, **options)
        self.learning_rate_multipliers = dict(learning_rate_multipliers or {})
        self.no_decay = tuple(no_decay)

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        # By index, as the slots are: in a step a variable is a tf.Variable without its path.
        self._factors = tuple(self.factor(variable.path) for variable in variables)
        self._decays = tuple(bool(self.weight_decay) and self.decays(variable.path) for variable in variables)

    def factor(self, path):
        """What the learning rate of the variable at `path` is multiplied with."""
        fitting = [prefix for prefix in self.learning_rate_multipliers if starts_with(path, prefix)]
        return float(self.learning_rate_multipliers[max(fitting, key=len)]) if fitting else 1.0

    def decays(self, path):
        """Whether the variable at `path` decays, where there is a weight decay."""
        return path.rsplit("/", 1)[-1] not in self.no_decay

    @property
    def averages(self):
        """{path of a model's variable: its average over the steps, a keras.Variable}; empty without use_ema."""
        if not self.use_ema:
            return {}
        return {w.path: average for w, average in zip(self._trainable_variables, self._model_variables_moving_average)}

    def apply(self, grads, trainable_variables=None):
        variables = self._trainable_variables if trainable_variables is None else list(trainable_variables)
        self.build(variables)
        moving = [(g, w) for g, w in zip(grads, variables) if self._factors[self._get_variable_index(w)]]
        super().apply([g for g, _ in moving], [w for _, w in moving])

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        if self._factors[index] != 1.0:
            learning_rate = learning_rate * self._factors[index]
        if self._decays[index]:
            self.assign_sub(variable, variable * ops.cast(learning_rate * self.weight_decay, variable.dtype))
        super().update_step(gradient, variable, learning_rate)

    def _apply_weight_decay(self, variables):
        """Nothing: update_step has decayed them, each at its own rate."""

    def get_config(self):
        return {
            **super().get_config(),
            "learning_rate_multipliers": dict(self.learning_rate_multipliers),
            "no_decay": list(self.no_decay),
        }


@keras.saving.register_keras_serializable("yt8m")
class Adam(ByPath, FusedAdam, keras.optimizers.Adam):
    """keras.optimizers.Adam with ByPath's arguments, one kernel an update."""


@keras.saving.register_keras_serializable("yt8m")
class AdamW(ByPath, FusedAdam, keras.optimizers.AdamW):
    """keras.optimizers.AdamW with ByPath's arguments (paper 002), one kernel an update."""


@keras.saving.register_keras_serializable("yt8m")
class Adagrad(ByPath, keras.optimizers.Adagrad):
    """keras.optimizers.Adagrad with ByPath's arguments."""


@keras.saving.register_keras_serializable("yt8m")
class SGD(ByPath, keras.optimizers.SGD):
    """keras.optimizers.SGD with ByPath's arguments."""


@keras.saving.register_keras_serializable("yt8m")
class RMSprop(ByPath, keras.optimizers.RMSprop):
    """keras.optimizers.RMSprop with ByPath's arguments."""


# Epsilons are TensorFlow 1's, which the starter and papers 000, 001 and 003 trained with; AdamW's is that of the fine-tuning in
# the code of paper 002.
OPTIMIZERS = {
    "Adam": (Adam, {"epsilon": 1e-8}),
    "AdamW": (AdamW, {"epsilon": 1e-7, "weight_decay": 0.01}),
    "Adagrad": (Adagrad, {"initial_accumulator_value": 0.1, "epsilon": 0.0}),
    "GradientDescent": (SGD, {}),
    "Momentum": (SGD, {"momentum": 0.9}),
    "RMSProp": (RMSprop, {"rho": 0.9, "epsilon": 1e-10}),
}


def learning_rate_multipliers(model, given=None):
    """{first parts of variables' paths: factor on their learning rate} for a model.

    Args:
        model: built Keras model.
        given: what the user asks for instead of the model's own; None: the model's LEARNING_RATE_MULTIPLIERS, if it has any.

    Raises:
        UserError: an entry that fits no variable, or nothing left to train.
    """
    if given is None:
        return dict(getattr(model, "LEARNING_RATE_MULTIPLIERS", {}))
    paths = [variable.path for variable in model.trainable_variables]
    for prefix, factor in given.items():
        if not any(starts_with(path, prefix) for path in paths):
            known = ", ".join(dict.fromkeys(path.split("/")[0] for path in paths))
            raise UserError(f"--learning_rate_multipliers={prefix}={factor}: no variable's path begins so. Use one of {known}.")
    optimizer = Adam(learning_rate_multipliers=given, name="optimizer")
    if not any(optimizer.factor(path) for path in paths):
        raise UserError("--learning_rate_multipliers: every variable has factor 0, nothing would be trained. Leave one out.")
    return dict(given)


def make_optimizer(
    name,
    learning_rate,
    clip_norm=0.0,
    clip="variable",
    num_replicas=1,
    float16=False,
    weight_decay=None,
    learning_rate_multipliers=None,
    ema_momentum=0.0,
    epsilon=None,
):
    """Builds an optimizer.

    The loop hands each replica 1/num_replicas of the whole gradient, and Keras clips before it sums over replicas; so the
    norm is divided likewise, and what is clipped is the whole gradient.

    Args:
        name: "AdamOptimizer" as in the starter, or "Adam".
        learning_rate: number or schedule.
        clip_norm: largest norm; 0 does not clip.
        clip: "variable": each variable's gradient on its own (starter). "global": all of them together.
        num_replicas: devices that share a step.
        float16: scale the loss dynamically, as float16 gradients need.
        weight_decay: decoupled, any optimizer's: a step takes rate * weight_decay off each weight, but for NO_DECAY's; None:
            the optimizer's own (AdamW's 0.01, otherwise 0).
        learning_rate_multipliers: {first parts of a variable's path: factor}, as in ByPath.
        ema_momentum: m of the weights' average, a = m a + (1 - m) w after each step, which begins with the first step's
            weights; 0: none is kept.
        epsilon: what is added to the root of the second moment; None: the optimizer's in OPTIMIZERS.

    Raises:
        UserError: unknown name, in a line that lists the known ones, or an epsilon for an optimizer that has none.
    """
    key = name.removesuffix("Optimizer")
    if key not in OPTIMIZERS:
        raise UserError(f"--optimizer={name}: unknown. Use one of {', '.join(known + 'Optimizer' for known in OPTIMIZERS)}.")
    optimizer_class, arguments = OPTIMIZERS[key]
    if epsilon is not None:
        if "epsilon" not in arguments:
            having = ", ".join(name for name, (_, options) in OPTIMIZERS.items() if "epsilon" in options)
            raise UserError(f"--optimizer_epsilon={epsilon:g}: {name} has no epsilon; {having} have. Leave it out.")
        arguments = {**arguments, "epsilon": epsilon}
    if clip_norm:
        arguments = {**arguments, {"variable": "clipnorm", "global": "global_clipnorm"}[clip]: clip_norm / num_replicas}
    if weight_decay is not None:
        arguments = {**arguments, "weight_decay": weight_decay}
    if ema_momentum:
        arguments = {**arguments, "use_ema": True, "ema_momentum": ema_momentum}
    # A name of its own: checkpoints find the slots by it, in whichever process.
    optimizer = optimizer_class(learning_rate, learning_rate_multipliers, name="optimizer", **arguments)
    return keras.optimizers.LossScaleOptimizer(optimizer, name="loss_scale_optimizer") if float16 else optimizer
