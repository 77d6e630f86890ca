"""Augmentation: noise on features, of whole bytes where the features are bytes."""

import math

import tensorflow as tf

from yt8m.segments import BYTES_PER_UNIT
from yt8m.training.frame_order import frames_of, real_frames


def noisy_features(batch, deviation, seed):
    """Adds Gaussian noise to features; to bytes a noise of whole bytes of the same mean 0 and the same deviation.

    Args:
        batch: as augmentation.augment's.
        deviation: standard deviation in dequantised units.
        seed: int [2].

    Returns:
        The entries of the batch that change, of the same shapes. Padding stays 0.
    """
    changed = {}
    if "features" in batch:
        noise = tf.random.stateless_normal(tf.shape(batch["features"]), seed, stddev=deviation)
        changed["features"] = batch["features"] + noise
    for number, (frames, count) in enumerate(frames_of(batch)):
        x, frames_seed = batch[frames], tf.random.experimental.stateless_fold_in(seed, number)
        noisy = tf.cast(x, tf.int16) + _byte_noise(tf.shape(x), deviation, frames_seed)
        noisy = tf.cast(tf.clip_by_value(noisy, 0, 255), x.dtype)
        changed[frames] = tf.where(real_frames(batch[count], tf.shape(x)[1])[:, :, None], noisy, tf.zeros([], x.dtype))
    return changed


def _byte_noise(shape, deviation, seed):
    """Whole bytes, int16, of mean 0 and standard deviation `deviation` units.

    Small ones are -1, 0 or 1, as often as the deviation asks for; a Gaussian rounded would be 0 nearly always. Larger ones are
    a rounded Gaussian, narrower by the variance 1/12 that rounding adds.
    """
    variance = (deviation * BYTES_PER_UNIT) ** 2
    if variance <= 0.5:
        draws = tf.random.stateless_uniform(shape, seed)
        return tf.cast(draws < variance / 2, tf.int16) - tf.cast(draws >= 1 - variance / 2, tf.int16)
    gaussian = tf.random.stateless_normal(shape, seed, stddev=math.sqrt(variance - 1 / 12))
    return tf.cast(tf.clip_by_value(tf.round(gaussian), -255.0, 255.0), tf.int16)
