"""The log-mel spectrogram that VGGish looks at.

Source: mel_features.py and vggish_params.py of tensorflow/models, research/audioset/vggish.
"""

import functools

import numpy as np

RATE = 16_000  # samples a second
PATCH = 15_600  # samples that a second's frame is made from
FRAMES, BANDS = 96, 64  # of a patch
_WINDOW, _HOP, _FFT = 400, 160, 512  # samples: 25 ms, 10 ms
_LOWEST, _HIGHEST = 125.0, 7500.0  # Hz
_OFFSET = 0.01


def log_mel(samples):
    """Natural logarithms of mel magnitudes.

    Args:
        samples: float [..., S] in [-1, 1] at 16 kHz, S at least 400; a patch has 15,600.

    Returns:
        float32 [..., F, 64], F = 1 + floor((S - 400) / 160); of a patch 96. Silence is ln 0.01 everywhere.
    """
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(samples, np.float64), _WINDOW, axis=-1)[..., ::_HOP, :]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)  # periodic
    magnitudes = np.abs(np.fft.rfft(windows * hann, _FFT))
    return np.log(magnitudes @ mel_matrix() + _OFFSET).astype(np.float32)


@functools.cache
def mel_matrix():
    """Weights float64 [257, 64] from the bins of the spectrum to the bands: triangles whose slopes are linear in mel."""
    bins = _mel(np.linspace(0, RATE / 2, _FFT // 2 + 1))[:, None]
    edges = np.linspace(_mel(_LOWEST), _mel(_HIGHEST), BANDS + 2)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    weights = np.maximum(0, np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)))
    weights[0] = 0  # the mean of the samples
    weights.flags.writeable = False
    return weights


def _mel(hertz):
    return 1127.0 * np.log1p(np.asarray(hertz) / 700.0)
