"""Clips made with native encoders: every picture says in black and white blocks which it is."""

from fractions import Fraction

import av
import numpy as np

WIDTH, HEIGHT, BLOCK = 64, 48, 16  # 12 blocks, a bit each
TICKS = 30_000  # a second


def image_of(number, width=WIDTH, height=HEIGHT):
    """RGB uint8 [H, W, 3] with the bits of a number below 4096."""
    bits = (number >> np.arange(12)) & 1
    blocks = bits.reshape(3, 4).astype(np.uint8) * 255
    return np.repeat(blocks.repeat(height // 3, 0).repeat(width // 4, 1)[:, :, None], 3, axis=2)


def number_of(image):
    """The number that an image of image_of's shows, of any size."""
    height, width = image.shape[:2]
    rows, columns = (2 * np.arange(3) + 1) * height // 6, (2 * np.arange(4) + 1) * width // 8
    bits = image[rows][:, columns].mean(axis=2).ravel() > 127
    return int((bits << np.arange(12)).sum())


def tone(seconds, rate=16_000, frequency=440, channels=1):
    """Sound float32 [channels, n] of half the full loudness."""
    wave = 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)
    return np.tile(wave.astype(np.float32), (channels, 1))


def write_clip(
    path, times=(), sound=None, sound_start=0.0, rate=16_000, codecs=("mpeg4", "pcm_s16le"), size=(WIDTH, HEIGHT), format=None
):
    """Writes a clip.

    Args:
        path: its ending says the container, unless `format` does.
        times: seconds at which the pictures 0, 1, ... begin.
        sound: float32 [channels, n], or None.
        sound_start: seconds, or several: it sounds again at each.
        rate: samples a second.
        codecs: of pictures and sound.
        size: (width, height).

    Returns:
        the path.
    """
    with av.open(f"file:{path}", "w", format=format) as container:
        streams = []
        if len(times):
            streams.append(container.add_stream(codecs[0], rate=25))
            streams[-1].width, streams[-1].height = size
            streams[-1].pix_fmt = "yuvj420p" if codecs[0] == "mjpeg" else "yuv420p"
            streams[-1].codec_context.time_base = Fraction(1, TICKS)
        if sound is not None:
            streams.append(container.add_stream(codecs[1], rate=rate, layout="stereo" if len(sound) == 2 else "mono"))
        packets = []
        for stream in streams:
            frames = _pictures(times, size) if stream.type == "video" else _sounds(stream, sound, sound_start, rate)
            packets += [packet for frame in (*frames, None) for packet in stream.encode(frame)]
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            container.mux(packet)
    return path


def _pictures(times, size):
    for number, time in enumerate(times):
        frame = av.VideoFrame.from_ndarray(image_of(number, *size), format="rgb24")
        frame.pts, frame.time_base = round(time * TICKS), Fraction(1, TICKS)
        yield frame


def _sounds(stream, sound, start, rate):
    planar = stream.codec_context.name != "pcm_s16le"
    samples = sound if planar else (sound.T.reshape(1, -1) * 32767).astype(np.int16)
    for second in np.atleast_1d(start):
        frame = av.AudioFrame.from_ndarray(samples, "fltp" if planar else "s16", "stereo" if len(sound) == 2 else "mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, round(second * rate), Fraction(1, rate)
        yield frame
