"""Start-time supervision of attention: the "future work" of papers 000 and 001."""

import tensorflow as tf

from yt8m.errors import UserError
from yt8m.segments import SEGMENT_SIZE


def start_time_loss(model, batch, segment_size=SEGMENT_SIZE, epsilon=1e-6):
    """How much a class's attention lies on the frames of its rated positive segments, and not on those of the negative ones.

    A rated pair is a segment of a video and a class. The class looks through that set of the model's attentions, m*, that
    decides its prediction for the video: the one with the largest probability S^m, taken as a constant. The pair's mass is
    the sum over the segment's frames of the weights of set m*, averaged over the features (rgb, audio). The pair's loss is
    -log(mass) for a positive and -log(1 - mass) for a negative; with a soft score y, y and 1 - y times these. A video's loss is
    the mean of its pairs', weighted by label_weights; 0 where it has none.

    The model is in inference mode: it sees every frame of the video at its own place, and its batch norms do not change. A
    sparsemax that gives a segment no weight at all passes no gradient back for it, nor one that gives it all.

    Args:
        model: MultiAttentionModel or AttentionModel.
        batch: rated segments in their videos (readers.datasets.training_batches): `context_frames` uint8 [B, T, D],
            `context_num_frames` int [B], `segment_rows` and `start_times` int [N], `labels` and `label_weights` float32 [N, C].
        segment_size: frames of a segment.
        epsilon: least mass, and least 1 - mass, of which the logarithm is taken.

    Returns:
        (loss of each video, float32 [B]; mean mass of the positive pairs (y above 1/2) and of the negative ones, float32
        scalars, 0 where there is none).

    Raises:
        UserError: another model, or a batch of other rows.

    Source: the talk of papers 000 and 001, "future work": "add another loss related to segment timing information and the
        weights put to that segment by the attention network"; the form of the loss is ours.
    """
    if not hasattr(model, "set_probabilities"):
        raise UserError(
            f"start-time loss: {type(model).__name__} has no sets of attention. Use AttentionModel or MultiAttentionModel."
        )
    if "segment_rows" not in batch:
        raise UserError("start-time loss: the batch has no segment_rows. It needs whole videos with their rated segments.")
    videos_frames = {"frames": batch["context_frames"], "num_frames": batch["context_num_frames"]}
    probabilities, attention = model.set_probabilities(videos_frames)  # [B, M, C], [B, T, features, M]
    pairs = tf.where(batch["label_weights"] > 0)  # [P, 2]: segment, class
    videos = tf.gather(tf.cast(batch["segment_rows"], tf.int64), pairs[:, 0])
    chosen = _deciding_set(probabilities, videos, pairs[:, 1])
    masses = _segment_masses(attention, batch["segment_rows"], batch["start_times"], segment_size)  # [N, M]
    mass = tf.gather_nd(masses, tf.stack([pairs[:, 0], chosen], axis=1))
    y, weights = tf.gather_nd(batch["labels"], pairs), tf.gather_nd(batch["label_weights"], pairs)
    losses = -y * _log(mass, epsilon) - (1.0 - y) * _log(1.0 - mass, epsilon)
    count = tf.shape(batch["context_num_frames"])[0]
    total = tf.math.unsorted_segment_sum(weights * losses, videos, count)
    of_videos = tf.math.divide_no_nan(total, tf.math.unsorted_segment_sum(weights, videos, count))
    return of_videos, _mean(mass, y > 0.5), _mean(mass, y <= 0.5)


def _deciding_set(probabilities, videos, classes):
    """m* int64 [P] of the videos' classes, from probabilities [B, M, C]."""
    by_class = tf.transpose(tf.stop_gradient(probabilities), [0, 2, 1])  # [B, C, M]
    return tf.argmax(tf.gather_nd(by_class, tf.stack([videos, classes], axis=1)), axis=1)


def _segment_masses(attention, rows, starts, size):
    """Attention on each segment's frames, a mean over the features: [B, T, features, M] -> [N, M]."""
    length = tf.shape(attention)[1]
    frames = tf.cast(starts, tf.int32)[:, None] + tf.range(size)[None, :]  # [N, size]
    inside = (frames >= 0) & (frames < length)
    at = tf.cast(rows, tf.int32)[:, None] * length + tf.clip_by_value(frames, 0, length - 1)
    flat = tf.reshape(attention, [-1, attention.shape[2], attention.shape[3]])  # [B * T, features, M]
    weights = tf.where(inside[:, :, None, None], tf.gather(flat, at), 0.0)  # [N, size, features, M]
    return tf.reduce_mean(tf.reduce_sum(weights, axis=1), axis=1)


def _log(mass, epsilon):
    """Logarithm of the mass, that of epsilon below it; its slope there is that at epsilon, so that a gradient is left."""
    return tf.math.log(tf.stop_gradient(tf.maximum(mass, epsilon) - mass) + mass)


def _mean(mass, chosen):
    chosen = tf.cast(chosen, tf.float32)
    return tf.math.divide_no_nan(tf.reduce_sum(mass * chosen), tf.reduce_sum(chosen))
