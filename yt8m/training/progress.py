"""What a run says of itself while it trains: a line on the console and TensorBoard scalars."""

import collections
import time

import numpy as np
import tensorflow as tf

from yt8m.errors import UserError
from yt8m.metrics import ranking
from yt8m.progress import duration


class VideoPredictions:
    """Hit@1, PERR and GAP of the last batch, every class of which is labelled."""

    def metrics(self, predictions, labels, weights):
        """{name: value}; predictions, labels, weights: tensors [B, C] of the last batch."""
        predictions, labels = predictions.numpy(), (labels.numpy() > 0).astype(np.float32)
        return {
            "hit_at_one": float(ranking.hit_at_one(predictions, labels)),
            "perr": float(ranking.perr(predictions, labels)),
            "gap": float(ranking.global_average_precision(predictions, labels)),
        }

    def text(self, metrics):
        """The metrics as a part of the line."""
        return f"Hit@1: {metrics['hit_at_one']:.2f} PERR: {metrics['perr']:.2f} GAP: {metrics['gap']:.2f}"


class RatedPairs:
    """AUC over the rated (segment, class) pairs of the last reports' batches, together.

    Hit@1 and PERR say nothing here: of a segment's classes a rater saw one or two, so that hardly a first prediction is rated.

    Args:
        window: reports whose batches count.
    """

    def __init__(self, window=10):
        self._reports = collections.deque(maxlen=window)

    def metrics(self, predictions, labels, weights):
        """As VideoPredictions'; nan while the pairs are all positive or all negative."""
        rated = weights.numpy() > 0
        self._reports.append((predictions.numpy()[rated], labels.numpy()[rated]))
        scores, ratings = (np.concatenate(part) for part in zip(*self._reports))
        return {"rated_auc": ranking.auc(scores, ratings)}

    def text(self, metrics):
        """As VideoPredictions'."""
        auc = metrics["rated_auc"]
        return f"AUC of rated pairs: {'-' if np.isnan(auc) else f'{auc:.3f}'}"


class Progress:
    """Prints a line and writes TensorBoard scalars: loss, learning rate, how good the predictions are, examples/s, time left.

    Args:
        optimizer, checkpoints: of the run.
        length: loop.Length.
        writer: tf.summary writer.
        judge: VideoPredictions or RatedPairs.
    """

    def __init__(self, optimizer, checkpoints, length, writer, judge):
        self.optimizer, self.checkpoints, self.total_steps = optimizer, checkpoints, length.total_steps
        self.batch_size, self.writer, self.judge, self.logs = length.batch_size, writer, judge, {}
        self.pause()

    def pause(self):
        """Starts the clock anew: what happened since the last report is not training."""
        self.clock, self.clock_step = time.monotonic(), int(self.checkpoints.stage_step.numpy())

    def report(self, loss, shown, quantities=None):
        """Reports the last steps.

        Args:
            loss: mean label loss of the steps since the last report.
            shown: predictions, labels and label weights [B, C] of the last batch (of the first device).
            quantities: {name: value} that the objective shows beside them.

        Returns:
            The values by name.

        Raises:
            UserError: the loss is no longer finite.
        """
        now, warmed_up = int(self.checkpoints.stage_step.numpy()), bool(self.logs)
        if not np.isfinite(loss):
            raise UserError(f"step {now}: the loss is {loss}. Lower --base_learning_rate, or use --precision=float32.")
        steps_a_second = (now - self.clock_step) / max(time.monotonic() - self.clock, 1e-9)
        self.pause()
        metrics = self.judge.metrics(*shown)
        self.logs = {
            "loss": loss,
            "learning_rate": float(self.optimizer.learning_rate),
            **metrics,
            "examples_per_second": steps_a_second * self.batch_size,
            **(quantities or {}),
        }
        left = ""
        if self.total_steps is not None and warmed_up:  # the first steps' time is that of compiling them
            left = f" | {duration((self.total_steps - now) / steps_a_second)} left"
        print(
            f"training step {now}{f'/{self.total_steps}' if self.total_steps else ''} | Loss: {_shown(loss)} | "
            f"{self.judge.text(metrics)} | Examples/sec: {self.logs['examples_per_second']:.0f}{left}",
            flush=True,
        )
        with self.writer.as_default(step=int(self.checkpoints.step.numpy())):
            for name, value in self.logs.items():
                if np.isfinite(value):
                    tf.summary.scalar(f"train/{name}", value)
        return self.logs


def _shown(loss):
    """A loss with three decimals, or, of a mean over thousands of classes, with three digits that say something."""
    return f"{loss:.3f}" if loss >= 0.1 else f"{loss:.3g}"
