"""Optimizers by the names that the starter's users know, learning-rate schedules, and weights averaged over steps."""

import contextlib

import keras
from keras import ops

from yt8m.errors import UserError

SCHEDULES = ("staircase", "triangular", "cosine")
NO_DECAY = ("bias", "gamma", "beta")  # biases; gains and centres of batch and layer norms


def starts_with(path, prefix):
    """Whether the first parts of a variable's path ("encoder/hidden/kernel") are `prefix` ("encoder", "encoder/hidden")."""
    return path == prefix or path.startswith(prefix.rstrip("/") + "/")


class ByPath:
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
        own = {"learning_rate_multipliers": dict(self.learning_rate_multipliers), "no_decay": list(self.no_decay)}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("yt8m")
class Adam(ByPath, keras.optimizers.Adam):
    """keras.optimizers.Adam with ByPath's arguments."""


@keras.saving.register_keras_serializable("yt8m")
class AdamW(ByPath, keras.optimizers.AdamW):
    """keras.optimizers.AdamW with ByPath's arguments (paper 002)."""


@keras.saving.register_keras_serializable("yt8m")
class Adagrad(ByPath, keras.optimizers.Adagrad):
    """keras.optimizers.Adagrad with ByPath's arguments."""


@keras.saving.register_keras_serializable("yt8m")
class SGD(ByPath, keras.optimizers.SGD):
    """keras.optimizers.SGD with ByPath's arguments."""


@keras.saving.register_keras_serializable("yt8m")
class RMSprop(ByPath, keras.optimizers.RMSprop):
    """keras.optimizers.RMSprop with ByPath's arguments."""


# Epsilons are TensorFlow 1's, which the starter and papers 000, 001 and 003 trained with; AdamW's is paper 002's code's.
OPTIMIZERS = {
    "Adam": (Adam, {"epsilon": 1e-8}),
    "AdamW": (AdamW, {"epsilon": 1e-7, "weight_decay": 0.01}),
    "Adagrad": (Adagrad, {"initial_accumulator_value": 0.1, "epsilon": 0.0}),
    "GradientDescent": (SGD, {}),
    "Momentum": (SGD, {"momentum": 0.9}),
    "RMSProp": (RMSprop, {"rho": 0.9, "epsilon": 1e-10}),
}


@keras.saving.register_keras_serializable("yt8m")
class SlantedTriangular(keras.optimizers.schedules.LearningRateSchedule):
    """The rate rises linearly over the first part of the steps and falls linearly over the rest.

    rate(s) = max * (f + (1 - f) * min(s / w, (S - s) / (S - w))), w = warmup_fraction * S, and max * f from step S on.

    Args:
        max_learning_rate: highest rate.
        total_steps: S.
        warmup_fraction: part of the steps over which the rate rises, in [0, 1].
        final_fraction: f, the share of the highest rate that the first and the last step have.

    Source: Howard and Ruder, "Universal language model fine-tuning for text classification", section 3.2, as in paper 002,
        section 4.2; f from its authors' code.
    """

    def __init__(self, max_learning_rate, total_steps, warmup_fraction=0.25, final_fraction=0.01):
        super().__init__()
        self.max_learning_rate = max_learning_rate
        self.total_steps = total_steps
        self.warmup_fraction = warmup_fraction
        self.final_fraction = final_fraction

    def __call__(self, step):
        step = ops.minimum(ops.cast(step, "float32"), float(self.total_steps))
        warmup = self.warmup_fraction * self.total_steps
        height = (self.total_steps - step) / max(self.total_steps - warmup, 1e-9)
        if warmup:
            height = ops.minimum(step / warmup, height) if warmup < self.total_steps else step / warmup
        return self.max_learning_rate * (self.final_fraction + (1.0 - self.final_fraction) * height)

    def get_config(self):
        return {
            "max_learning_rate": self.max_learning_rate,
            "total_steps": self.total_steps,
            "warmup_fraction": self.warmup_fraction,
            "final_fraction": self.final_fraction,
        }


def staircase_schedule(base_learning_rate, decay, decay_examples, batch_size):
    """The starter's schedule: base * decay ** floor(examples seen / decay_examples).

    Args:
        base_learning_rate: rate of the first step.
        decay: factor of each stair.
        decay_examples: examples between two stairs.
        batch_size: examples a step, over all devices.
    """
    return keras.optimizers.schedules.ExponentialDecay(base_learning_rate, decay_examples / batch_size, decay, staircase=True)


def cosine_schedule(base_learning_rate, total_steps, warmup_fraction=0.25, final_fraction=0.01):
    """Linear warm-up and half a cosine down (Loshchilov and Hutter, "SGDR"): keras.optimizers.schedules.CosineDecay.

    Args: as SlantedTriangular's.
    """
    warmup = min(round(warmup_fraction * total_steps), total_steps - 1)
    start = {"initial_learning_rate": base_learning_rate}
    if warmup > 0:
        start = {
            "initial_learning_rate": base_learning_rate * final_fraction,
            "warmup_target": base_learning_rate,
            "warmup_steps": warmup,
        }
    return keras.optimizers.schedules.CosineDecay(decay_steps=total_steps - max(warmup, 0), alpha=final_fraction, **start)


def make_schedule(
    name,
    base_learning_rate,
    batch_size,
    total_steps=None,
    decay=1.0,
    decay_examples=4_000_000,
    warmup_fraction=0.25,
    final_fraction=0.01,
):
    """The learning rate by step of a stage.

    Args:
        name: one of SCHEDULES.
        base_learning_rate: the highest rate.
        batch_size: examples a step, over all devices.
        total_steps: steps of the stage, which "triangular" and "cosine" need.
        decay, decay_examples: of "staircase", as in staircase_schedule.
        warmup_fraction, final_fraction: of the others, as in SlantedTriangular.

    Raises:
        UserError: an unknown name, or total_steps missing where it is needed.
    """
    if name not in SCHEDULES:
        raise UserError(f"--schedule={name}: unknown. Use one of {', '.join(SCHEDULES)}.")
    if name == "staircase":
        return staircase_schedule(base_learning_rate, decay, decay_examples, batch_size)
    if total_steps is None:
        raise UserError(f"--schedule={name}: the number of steps must be known beforehand. Give --max_steps.")
    schedule = SlantedTriangular if name == "triangular" else cosine_schedule
    return schedule(base_learning_rate, total_steps, warmup_fraction, final_fraction)


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

    Raises:
        UserError: unknown name; the line lists the known ones.
    """
    key = name.removesuffix("Optimizer")
    if key not in OPTIMIZERS:
        raise UserError(f"--optimizer={name}: unknown. Use one of {', '.join(known + 'Optimizer' for known in OPTIMIZERS)}.")
    optimizer_class, arguments = OPTIMIZERS[key]
    if clip_norm:
        arguments = {**arguments, {"variable": "clipnorm", "global": "global_clipnorm"}[clip]: clip_norm / num_replicas}
    if weight_decay is not None:
        arguments = {**arguments, "weight_decay": weight_decay}
    if ema_momentum:
        arguments = {**arguments, "use_ema": True, "ema_momentum": ema_momentum}
    # A name of its own: checkpoints find the slots by it, in whichever process.
    optimizer = optimizer_class(learning_rate, learning_rate_multipliers, name="optimizer", **arguments)
    return keras.optimizers.LossScaleOptimizer(optimizer, name="loss_scale_optimizer") if float16 else optimizer


def averages(optimizer):
    """{path of a model's variable: its average over the steps, a keras.Variable}; empty where none is kept."""
    return getattr(getattr(optimizer, "inner_optimizer", optimizer), "averages", {})


def use_averages(model, optimizer):
    """Gives a model the averages of its weights for good: what a run with --ema_momentum ends with.

    Nothing happens where no averages are kept, or before the first step.
    """
    if optimizer.iterations.numpy() > 0:
        kept = averages(optimizer)
        for variable in model.trainable_variables:
            if variable.path in kept:
                variable.assign(kept[variable.path].numpy())


@contextlib.contextmanager
def averaged_weights(model, optimizer):
    """Context manager: inside it the model has the averages of its weights, for evaluation; after it, its weights again."""
    kept = averages(optimizer)
    trained = [(variable, variable.numpy()) for variable in model.trainable_variables if variable.path in kept]
    use_averages(model, optimizer)
    try:
        yield
    finally:
        for variable, value in trained:
            variable.assign(value)
