"""Augmentation: which frames of a video or segment stay, and in which order."""

import tensorflow as tf

from yt8m.readers import pairs

# The frames of a batch -> how many of each row are real; rated videos come with their segments' frames.
FRAMES = {"frames": "num_frames", "context_frames": "context_num_frames"}
LABELS = {"labels": "label_weights", "soft_labels": "soft_weights"}


def frames_of(batch):
    """(frames, their number) of a batch by name, whole videos before segments."""
    return [(frames, FRAMES[frames]) for frames in ("context_frames", "frames") if frames in batch]


def videos_of(batch):
    """Name of the frames of the batch's whole videos."""
    return "context_frames" if "context_frames" in batch else "frames"


def real_frames(num_frames, length):
    """Which frames are real: bool [B, T]."""
    return tf.range(length)[None, :] < num_frames[:, None]


def choose_flips(batch, probability, seed, size):
    """Which rows run backwards.

    Args:
        batch: as augmentation.augment's.
        probability: that a video does.
        seed: int [2].
        size: frames of a segment; of rated videos only those run backwards that have so many.

    Returns:
        {name of frames: bool [B]}, and "segments": bool [N] for the segments of rated videos; empty where that is off.
    """
    if not probability or "frames" not in batch:
        return {}
    videos = videos_of(batch)
    num_frames = batch[FRAMES[videos]]
    flips = tf.random.stateless_uniform(tf.shape(num_frames), seed) < probability
    if "segment_rows" not in batch:
        return {videos: flips}
    flips &= num_frames >= size
    segments = tf.gather(flips, batch["segment_rows"])
    return {videos: flips, "segments": segments, **({"frames": segments} if videos != "frames" else {})}


def backwards(batch, flips, size):
    """Lengths, start times, labels and weights of rated videos, when those with `flips` run backwards."""
    videos = videos_of(batch)
    num_frames = batch[FRAMES[videos]]
    num_frames = num_frames - tf.where(flips[videos], num_frames % size, 0)
    mirrored = tf.gather(num_frames, batch["segment_rows"]) - size - batch["start_times"]
    lost = flips["segments"] & (mirrored < 0)
    starts = tf.where(flips["segments"], tf.maximum(mirrored, 0), batch["start_times"])
    changed = {FRAMES[videos]: num_frames, "start_times": starts}
    for key in (*LABELS, *LABELS.values()):
        if key in batch:
            changed[key] = tf.where(lost[:, None], 0.0, batch[key])
    if "pair_rows" in batch:
        changed |= pairs.without_rows(batch, lost)
    return changed


def chosen_frames(frames, num_frames, flips, options, seed, size):
    """The frames that are left, in their new order.

    Args:
        frames: [B, T, D].
        num_frames: int32 [B].
        flips: which rows run backwards, bool [B], or None.
        options: augmentation.Augmentation.
        seed: int [2].
        size: frames of a segment.

    Returns:
        (indices of the frames that come first, second, ..., int32 [B, T]; how many there are, int32 [B]).
    """
    rows, length = tf.shape(frames)[0], tf.shape(frames)[1]
    at = tf.broadcast_to(tf.range(length)[None, :], [rows, length])
    drop_segments, subsample, drop_frames = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    if flips is not None:
        at = tf.where(flips[:, None] & real_frames(num_frames, length), num_frames[:, None] - 1 - at, at)
    if options.drop_segments:
        blocks = (length + size - 1) // size
        draws = tf.random.stateless_uniform([rows, blocks], drop_segments)
        draws = tf.where(real_frames(-(-num_frames // size), blocks), draws, -1.0)
        kept = tf.repeat(_kept(draws, options.drop_segments), size, axis=1)[:, :length]
        at, num_frames = _compact(at, num_frames, kept)
    if options.subsample > 1:
        step = options.subsample
        draws = tf.random.stateless_uniform([rows], subsample)
        first = tf.cast(draws * tf.cast(tf.minimum(num_frames, step), tf.float32), tf.int32)
        chosen = tf.minimum(first[:, None] + step * tf.range(length)[None, :], length - 1)
        at, num_frames = tf.gather(at, chosen, batch_dims=1), -(-(num_frames - first) // step)
    if options.drop_frames:
        draws = tf.where(real_frames(num_frames, length), tf.random.stateless_uniform([rows, length], drop_frames), -1.0)
        at, num_frames = _compact(at, num_frames, _kept(draws, options.drop_frames))
    return at, num_frames


def _kept(draws, probability):
    """What is not left out, given uniform draws (-1 for what is not there): the largest draw of a row always stays."""
    return (draws >= probability) | (draws >= tf.reduce_max(draws, axis=1, keepdims=True))


def _compact(at, num_frames, kept):
    """Indices [B, T] and numbers [B] with only the real frames that are kept, in their order."""
    length = tf.shape(at)[1]
    kept = kept & real_frames(num_frames, length)
    chosen = tf.argsort(tf.range(length)[None, :] + tf.where(kept, 0, length), axis=1)
    return tf.gather(at, chosen, batch_dims=1), tf.reduce_sum(tf.cast(kept, tf.int32), axis=1)


def take_frames(frames, at, num_frames):
    """frames[b, at[b, t]], zero from num_frames on."""
    taken = tf.gather(frames, at, batch_dims=1)
    return tf.where(real_frames(num_frames, tf.shape(at)[1])[:, :, None], taken, tf.zeros([], frames.dtype))
