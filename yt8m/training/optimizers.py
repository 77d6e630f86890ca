"""Optimizers by the names that the starter's users know, with its learning-rate schedule and its clipping."""

import keras

from yt8m.errors import UserError

# Epsilons are TensorFlow 1's, which the starter and the papers trained with.
OPTIMIZERS = {
    "Adam": (keras.optimizers.Adam, {"epsilon": 1e-8}),
    "Adagrad": (keras.optimizers.Adagrad, {"initial_accumulator_value": 0.1, "epsilon": 0.0}),
    "GradientDescent": (keras.optimizers.SGD, {}),
    "Momentum": (keras.optimizers.SGD, {"momentum": 0.9}),
    "RMSProp": (keras.optimizers.RMSprop, {"rho": 0.9, "epsilon": 1e-10}),
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


def make_optimizer(name, learning_rate, clip_norm=0.0, clip="variable", num_replicas=1, float16=False):
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

    Raises:
        UserError: unknown name; the line lists the known ones.
    """
    key = name.removesuffix("Optimizer")
    if key not in OPTIMIZERS:
        raise UserError(f"--optimizer={name}: unknown. Use one of {', '.join(known + 'Optimizer' for known in OPTIMIZERS)}.")
    optimizer_class, arguments = OPTIMIZERS[key]
    if clip_norm:
        arguments = {**arguments, {"variable": "clipnorm", "global": "global_clipnorm"}[clip]: clip_norm / num_replicas}
    # A name of its own: checkpoints find the slots by it, in whichever process.
    optimizer = optimizer_class(learning_rate=learning_rate, name="optimizer", **arguments)
    return keras.optimizers.LossScaleOptimizer(optimizer, name="loss_scale_optimizer") if float16 else optimizer
