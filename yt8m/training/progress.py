"""What a run says of itself while it trains: a line on the console and TensorBoard scalars."""

import time

import numpy as np
import tensorflow as tf

from yt8m.errors import UserError
from yt8m.metrics import ranking


class Progress:
    """Prints a line and writes TensorBoard scalars: loss, learning rate, Hit@1, PERR, GAP, examples/s, time left."""

    def __init__(self, optimizer, checkpoints, length, writer):
        self.optimizer, self.checkpoints, self.total_steps = optimizer, checkpoints, length.total_steps
        self.batch_size, self.writer, self.logs = length.batch_size, writer, {}
        self.pause()

    def pause(self):
        """Starts the clock anew: what happened since the last report is not training."""
        self.clock, self.clock_step = time.monotonic(), int(self.checkpoints.stage_step.numpy())

    def report(self, loss, predictions, labels, quantities=None):
        """Reports the last steps.

        Args:
            loss: mean label loss of the steps since the last report.
            predictions, labels: [B, C] of the last batch (of the first device).
            quantities: {name: value} that the objective shows beside them.

        Returns:
            The values by name.

        Raises:
            UserError: the loss is no longer finite.
        """
        now = int(self.checkpoints.stage_step.numpy())
        if not np.isfinite(loss):
            raise UserError(f"step {now}: the loss is {loss}. Lower --base_learning_rate, or use --precision=float32.")
        steps_a_second = (now - self.clock_step) / max(time.monotonic() - self.clock, 1e-9)
        self.pause()
        labels = (labels > 0).astype(np.float32)
        self.logs = {
            "loss": loss,
            "learning_rate": float(self.optimizer.learning_rate),
            "hit_at_one": float(ranking.hit_at_one(predictions, labels)),
            "perr": float(ranking.perr(predictions, labels)),
            "gap": float(ranking.global_average_precision(predictions, labels)),
            "examples_per_second": steps_a_second * self.batch_size,
            **(quantities or {}),
        }
        left = "" if self.total_steps is None else f" | {duration((self.total_steps - now) / steps_a_second)} left"
        print(
            f"training step {now}{f'/{self.total_steps}' if self.total_steps else ''} | Loss: {loss:.3f} | "
            f"Hit@1: {self.logs['hit_at_one']:.2f} PERR: {self.logs['perr']:.2f} GAP: {self.logs['gap']:.2f} | "
            f"Examples/sec: {self.logs['examples_per_second']:.0f}{left}",
            flush=True,
        )
        with self.writer.as_default(step=int(self.checkpoints.step.numpy())):
            for name, value in self.logs.items():
                tf.summary.scalar(f"train/{name}", value)
        return self.logs


def duration(seconds):
    """Seconds as h:mm:ss or m:ss."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
