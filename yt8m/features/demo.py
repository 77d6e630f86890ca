"""Clips to try the extraction with: moving shapes and tones, each class for a while, made in seconds."""

import csv
import dataclasses
import os
from fractions import Fraction

import numpy as np

from yt8m.features.decode import import_av
from yt8m.files import replacing_folder, replacing_path
from yt8m.progress import Progress
from yt8m.segments import SEGMENT_SIZE

# Class -> its colour, which differs a little from clip to clip.
COLOURS = {
    "Balls": (220, 40, 40),
    "Checkerboard": (40, 190, 70),
    "Rain": (150, 180, 240),
    "Stripes": (235, 200, 30),
    "Sunset": (255, 150, 60),
}
CLASSES = tuple(COLOURS)
_CLIPS, _LENGTHS = 24, (15, 27)  # seconds of a clip: from, below
_SIZE = 160, 120
_RATE = 4  # pictures a second
_SAMPLES = 16_000  # a second
# (ending, codec of pictures, its options, codec of sound, its rate): the first that this FFmpeg has; browsers play webm.
_FORMATS = (
    ("webm", "libvpx", {"deadline": "realtime", "cpu-used": "8"}, "libopus", 48_000),
    ("mp4", "mpeg4", {}, "aac", _SAMPLES),
)


@dataclasses.dataclass(frozen=True)
class Clips:
    """Where the clips are: `videos_csv` has their labels, `segments_csv` ratings of their segments."""

    videos_csv: str
    segments_csv: str


@dataclasses.dataclass(frozen=True)
class Scene:
    """A class from second `start` to second `end` of a clip, or background: a class of None."""

    label: str | None
    start: int
    end: int


def ensure_clips(folder, count=_CLIPS, lengths=_LENGTHS):
    """The Clips in a folder, which appears when all of them are made; always the same.

    Args:
        folder: of the clips.
        count: how many.
        lengths: (least, one more than the most) seconds.

    Raises:
        UserError: PyAV is not installed, or the folder cannot be written.
    """
    clips = Clips(os.path.join(folder, "videos.csv"), os.path.join(folder, "segments.csv"))
    if os.path.exists(clips.videos_csv) and os.path.exists(clips.segments_csv):
        return clips
    av = import_av()
    kind = next(kind for kind in _FORMATS if {kind[1], kind[3]} <= av.codecs_available)
    with replacing_folder(folder) as unfinished, Progress("Making clips", count, "clips") as progress:
        videos, segments = [("video", "labels", "split")], [("video", "start", "label", "score")]
        for number in range(count):
            rng = np.random.default_rng([2019, number])
            scenes = scenes_of(rng, int(rng.integers(*lengths)))
            name = f"demo_{number:02d}.{kind[0]}"
            _write_clip(av, os.path.join(unfinished, name), scenes, rng, kind)
            labels = sorted({scene.label for scene in scenes} - {None})
            videos.append((name, ";".join(labels), ("train", "train", "train", "validate")[number % 4]))
            segments += _ratings(name, scenes)
            progress.advance()
        for path, rows in ((clips.videos_csv, videos), (clips.segments_csv, segments)):
            with open(os.path.join(unfinished, os.path.basename(path)), "w", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerows(rows)
    return clips


def scenes_of(rng, seconds):
    """Scenes that fill a clip, background and one or two classes in turn, each at least 5 s."""
    labels = list(rng.permutation(CLASSES)[: 1 + (seconds >= 25)])
    parts = 2 * len(labels) + 1
    spare = rng.multinomial(seconds - SEGMENT_SIZE * parts, np.full(parts, 1 / parts)) if seconds > SEGMENT_SIZE * parts else None
    lengths = SEGMENT_SIZE + spare if spare is not None else np.full(parts, max(seconds // parts, 1))
    scenes, start = [], 0
    for part, length in enumerate(lengths):
        scenes.append(Scene(str(labels[part // 2]) if part % 2 else None, start, start + int(length)))
        start += int(length)
    return scenes


def _ratings(name, scenes):
    """Lines of the ratings: every segment of the grid that lies in one scene, for every class."""
    for start in range(0, scenes[-1].end - SEGMENT_SIZE + 1, SEGMENT_SIZE):
        inside = [scene for scene in scenes if scene.start <= start and start + SEGMENT_SIZE <= scene.end]
        for label in CLASSES if inside else ():
            yield name, start, label, int(inside[0].label == label)


def _write_clip(av, path, scenes, rng, kind):
    ending, codec, options, sound_codec, sound_rate = kind
    width, height = _SIZE
    with replacing_path(path) as unfinished, av.open(f"file:{os.path.abspath(unfinished)}", "w", format=ending) as container:
        video = container.add_stream(codec, rate=_RATE, options=options)
        video.width, video.height, video.pix_fmt, video.bit_rate = width, height, "yuv420p", 300_000
        audio = container.add_stream(sound_codec, rate=sound_rate, layout="mono")
        resampler = av.AudioResampler(format=audio.codec_context.format, layout="mono", rate=sound_rate)
        look = rng.integers(0, 1 << 31)
        for scene in scenes:
            for second in range(scene.start, scene.end):
                for tick in range(_RATE):
                    number = second * _RATE + tick
                    frame = av.VideoFrame.from_ndarray(_image(scene.label, number / _RATE, look), format="rgb24")
                    frame.pts, frame.time_base = number, Fraction(1, _RATE)
                    container.mux(video.encode(frame))
                frame = av.AudioFrame.from_ndarray(_sound(scene.label, second, look)[None], format="s16", layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = _SAMPLES, second * _SAMPLES, Fraction(1, _SAMPLES)
                for resampled in resampler.resample(frame):
                    container.mux(audio.encode(resampled))
        for resampled in resampler.resample(None):
            container.mux(audio.encode(resampled))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))


def _image(label, time, look):
    """RGB uint8 [120, 160, 3] of a class at a time; `look`, a number, is what differs between clips."""
    rng = np.random.default_rng(look)
    y, x = np.mgrid[: _SIZE[1], : _SIZE[0]].astype(np.float32)
    phase, ground = rng.random(4), rng.integers(50, 90) + rng.integers(-8, 9, 3)
    colour = np.add(COLOURS.get(label, 0), rng.integers(-20, 21, 3))
    image = np.broadcast_to(ground, (_SIZE[1], _SIZE[0], 3)) + (40 * np.sin((x + 9 * time) / 30 + 6 * phase[0]))[..., None]
    if label == "Balls":
        for ball in range(3):
            cx = 80 + 60 * np.sin(time * (0.7 + 0.3 * ball) + 6 * phase[ball])
            cy = 60 + 40 * np.cos(time * (0.9 + 0.2 * ball) + 6 * phase[ball])
            image = np.where(((x - cx) ** 2 + (y - cy) ** 2 < 400)[..., None], colour, image)
    elif label == "Checkerboard":
        image = np.where(((x + 8 * time) // 20 + y // 20)[..., None] % 2 > 0, colour, ground)
    elif label == "Rain":
        drops = np.random.default_rng(int(time * _RATE)).random((_SIZE[1] // 12, _SIZE[0] // 2)) < 0.15
        image = np.where(np.kron(drops, np.ones((12, 2)))[..., None] > 0, colour, image * 0.5)
    elif label == "Stripes":
        image = np.where(((x + y + 12 * time) // 12)[..., None] % 2 > 0, colour, (40, 50, 120))
    elif label == "Sunset":
        image = np.stack([255 - 0.6 * y, 150 - y, 60 + 0.8 * y], axis=-1)
        sun = (x - 80 - 30 * phase[0]) ** 2 + (y - 50 - 2 * time) ** 2 < 500
        image = np.where(sun[..., None], (255, 240, 170), image)
    return np.clip(image, 0, 255).astype(np.uint8)


def _sound(label, second, look):
    """int16 [16000]: a class's sound for a second, over noise."""
    rng = np.random.default_rng([int(look), second])
    time = second + np.arange(_SAMPLES) / _SAMPLES
    sound = 0.01 * rng.standard_normal(_SAMPLES)
    if label == "Rain":
        sound = 0.1 * rng.standard_normal(_SAMPLES)
    elif label:
        sound += 0.3 * np.sin(2 * np.pi * 220 * 1.6 ** CLASSES.index(label) * time)
    return (np.clip(sound, -1, 1) * 32767).astype(np.int16)
