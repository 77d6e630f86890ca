"""Learning rates by the step of a stage."""

import keras
from keras import ops

from yt8m.errors import UserError

SCHEDULES = ("staircase", "triangular", "cosine")


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
