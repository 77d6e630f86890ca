"""How the models that describe a bag of frames begin."""

from yt8m.errors import UserError
from yt8m.layers.dequantize import Dequantize
from yt8m.layers.frame_mask import FrameMask
from yt8m.layers.frame_sampling import sample_frames


def sampled_features(inputs, sampling, num_samples, skip_head, skip_tail, stride, normalize):
    """The frames that a training step sees (outside training: all), as features.

    Args:
        inputs: symbolic {"frames": uint8 [B, T, D], "num_frames": int32 [B]}.
        sampling: a method of FrameSampling, or "none".
        num_samples, skip_head, skip_tail, stride: as in FrameSampling.
        normalize: L2-normalise each frame over D.

    Returns:
        x float32 [B, T', D] and which of it is real, bool [B, T'].

    Raises:
        UserError: an unknown sampling, or a number out of range.
    """
    frames, num_frames = sample_frames(inputs, sampling, num_samples, skip_head, skip_tail, stride)
    mask = FrameMask(name="mask")(frames, num_frames)
    return Dequantize(normalize=normalize, name="dequantize")(frames, num_frames), mask


def check_choice(name, value, choices):
    """Raises UserError unless the value is one of the choices."""
    if value not in choices:
        raise UserError(f"{name}={value!r}: use one of {', '.join(choices)}.")


def check_positive(**sizes):
    """Raises UserError unless each is at least 1."""
    for name, size in sizes.items():
        if size < 1:
            raise UserError(f"{name}={size}: use a size of at least 1.")


def check_share(**shares):
    """Raises UserError unless each is in [0, 1)."""
    for name, share in shares.items():
        if not 0 <= share < 1:
            raise UserError(f"{name}={share}: use a share of at least 0 and below 1.")
