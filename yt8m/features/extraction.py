"""One file -> its frames as bytes."""

import contextlib
import dataclasses
import hashlib
import json
import os

import numpy as np

from yt8m.features.ahead import made_ahead
from yt8m.features.batching import BATCH
from yt8m.features.decode import Decoder, Unusable, picture
from yt8m.features.seconds import Pictures, Waveform
from yt8m.segments import quantise

VERSION = 1  # of the extraction: another number makes all parts anew
RAW = "rgb_float32"  # feature of unwhitened values: the bytes of float32
POLICIES = {"missing_audio": ("silence", "skip", "error"), "missing_video": ("error", "black", "skip")}


class Skipped(Unusable):
    """A file that is left out because the user wants it so."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What changes the frames of a file, beside the backbone.

    Attributes:
        max_frames: at most so many, from the start.
        missing_audio, missing_video: what to do with a file without sound or without pictures: one of POLICIES.
    """

    max_frames: int = 300
    missing_audio: str = "silence"
    missing_video: str = "error"


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is said of a file in videos.csv; duration in seconds."""

    duration: float
    frames: int
    width: int
    height: int
    has_audio: bool
    decode_errors: int


def extract(path, backbone, settings, threads=2):
    """Decodes a file and computes its features; memory does not depend on its length but for the result.

    A thread decodes, two batches ahead of the backbone at most; what waits are prepared pictures, which are small.

    Args:
        path: of the file.
        backbone: a Backbone.
        settings: Settings.
        threads: that decode pictures.

    Returns:
        ({"rgb": uint8 [N, D], "audio": uint8 [N, D]}, Facts); with a backbone that needs whitening, instead of rgb RAW, uint8
        [N, 4 D], the bytes of float32 values.

    Raises:
        Unusable: the file gives no features; Skipped: the settings leave it out.
    """
    rgb = _Batches(backbone.video, np.asarray if backbone.NEEDS_WHITENING else quantise)
    audio = _Batches(lambda patches: backbone.audio(np.stack(patches)), quantise)
    decoding, heard = _Decoding(path, backbone.prepare, settings, threads), []
    with contextlib.closing(made_ahead(decoding.run, 2 * BATCH)) as pieces:
        for second, piece in pieces:
            if second is None:
                rgb.add(piece)
            else:
                heard.append(second)
                audio.add(piece)
    decoder, pictures, waveform = decoding.decoder, decoding.pictures, decoding.waveform
    has_audio = bool(heard) and _mostly_sound(decoder, "audio")
    _check(decoder, pictures, has_audio, settings)
    count = pictures.count() if pictures.taken else waveform.count()
    if not pictures.taken:
        rgb.add(backbone.prepare(np.zeros((64, 64, 3), np.uint8)))
    seen = rgb.values()[pictures.numbers(count)]
    frames = {RAW: np.ascontiguousarray(seen, "<f4").view(np.uint8)} if backbone.NEEDS_WHITENING else {"rgb": seen}
    frames["audio"] = (
        _sound(backbone, np.array(heard, int), audio, count) if has_audio else np.tile(backbone.silence(), (count, 1))
    )
    height, width = decoding.size
    end = pictures.end if pictures.taken else waveform.end
    duration = end if decoder.whole or not decoder.duration else decoder.duration
    errors = sum(decoder.errors.values())
    return frames, Facts(round(float(duration), 3), count, width, height, has_audio, errors)


class _Decoding:
    """Decodes a file.

    Args:
        path, settings, threads: as extract's.
        prepare: function of a picture, for what is kept of it.

    Attributes, whole when `run` has ended:
        decoder: the Decoder.
        pictures, waveform: which of its pictures and samples count.
        size: (height, width) of the first picture; (0, 0): there is none.
    """

    def __init__(self, path, prepare, settings, threads):
        self.decoder = Decoder(path, settings.max_frames, threads)
        self.pictures = Pictures(settings.max_frames, self._take)
        self.waveform = Waveform(settings.max_frames, lambda second, patch: self._put((second, patch)))
        self.size, self._prepare, self._put = (0, 0), prepare, None

    def run(self, put):
        """Puts (None, prepared picture) and (second, patch of sound), each kind in the order of time."""
        self._put = put
        with self.decoder:
            for kind, *piece in self.decoder.pieces():
                (self.pictures if kind == "video" else self.waveform).add(*piece)
            self.pictures.close()
            self.waveform.close()

    def _take(self, frame):
        """Puts a picture; returns whether it could be taken."""
        try:
            image = picture(frame)
        except Exception:  # FFmpeg's, NumPy's: the frame is damaged, and its second has an earlier one
            self.decoder.errors["video"] += 1
            return False
        if not self.pictures.taken:
            self.size = image.shape[:2]
        self._put((None, self._prepare(image)))
        return True


def source_of(path, settings, fingerprint):
    """What a part was made of: the file's size and time, and a hash of what it was made with.

    Raises:
        OSError: no such file.
    """
    stat = os.stat(path)
    text = json.dumps([VERSION, dataclasses.asdict(settings), fingerprint], sort_keys=True)
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "made_with": hashlib.sha256(text.encode()).hexdigest()}


def floats(raw):
    """float32 [N, D] of the bytes uint8 [N, 4 D] that RAW has."""
    return np.ascontiguousarray(raw).view("<f4")


class _Batches:
    """Calls a function of the backbone with 32 inputs at a time; of its float32 [n, D] is kept what `kept` makes of them."""

    def __init__(self, function, kept):
        self.function, self.kept, self._inputs, self._outputs = function, kept, [], []

    def add(self, value):
        self._inputs.append(value)
        if len(self._inputs) == BATCH:
            self._run()

    def values(self):
        """All that is kept, [n, D]; it is given once."""
        if self._inputs:
            self._run()
        outputs, self._outputs = self._outputs, []
        return np.concatenate(outputs)

    def _run(self):
        inputs, self._inputs = self._inputs, []
        outputs = np.asarray(self.function(inputs), np.float32)
        if not np.isfinite(outputs).all():
            raise Unusable("gives features that are no finite numbers")
        self._outputs.append(self.kept(outputs))


def _sound(backbone, heard, audio, count):
    """uint8 [count, D]: a frame for every second that is heard, silence for the others."""
    values = audio.values()
    frames = np.tile(backbone.silence(), (count, 1))
    frames[heard[heard < count]] = values[heard < count]
    return frames


def _mostly_sound(decoder, kind):
    return 2 * decoder.errors[kind] < max(decoder.packets[kind], 1)


def _check(decoder, pictures, has_audio, settings):
    """Raises Unusable for a file that lacks what the settings ask for."""
    if decoder.has_video and not pictures.taken:
        raise Unusable("has pictures, but none can be decoded")
    if not _mostly_sound(decoder, "video"):
        raise Unusable(f"{decoder.errors['video']} of {decoder.packets['video']} packets of its pictures are damaged")
    if not decoder.has_video and not has_audio:
        raise Unusable("has neither pictures nor sound that can be decoded")
    for name, missing in (("missing_video", not decoder.has_video), ("missing_audio", not has_audio)):
        policy = getattr(settings, name)
        what = "pictures" if name == "missing_video" else "sound"
        if missing and policy == "error":
            raise Unusable(f"has no {what} (--{name}=error)")
        if missing and policy == "skip":
            raise Skipped(f"left out: has no {what} (--{name}=skip)")
