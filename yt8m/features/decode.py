"""Decoding of video and sound files with PyAV, in one pass: pictures, and sound as mono at 16 kHz, with their times."""

import collections
import contextlib
import os

import numpy as np

from yt8m.errors import UserError
from yt8m.features.log_mel import RATE

# Containers that name other files, which would be opened: playlists, lists, patterns of names.
REFUSED = {"hls", "dash", "webm_dash_manifest", "concat", "image2", "imf", "sdp", "rtsp", "lavfi", "tty"}
_LISTS = (b"#EXTM3U", b"ffconcat", b"<MPD", b"\xef\xbb\xbf#EXTM3U")  # how they begin
_MAX_PIXELS = 1 << 26  # of a picture: twice those of 8K
_GAP = 0.1  # seconds; smaller differences between time stamps and samples are inexact time stamps
_BEHIND = 10.0  # seconds that other streams may lie behind the pictures in a file


class Unusable(Exception):
    """A file that gives no features; the message is the reason, for failed.csv."""


def import_av():
    """PyAV, without FFmpeg's messages.

    Raises:
        UserError: it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise UserError(f'PyAV is needed to read videos ({error}). Install it: pip install "yt8m[video]", or av.') from error
    av.logging.set_level(av.logging.PANIC)
    return av


class Decoder:
    """A context manager that opens a file and reads it once, packet by packet, so that damage costs what is damaged.

    Args:
        path: a plain file; a playlist is refused.
        limit: seconds; what is more than a second later is not decoded.
        threads: that decode pictures.

    Attributes:
        has_video, has_audio: whether there is such a stream; cover pictures do not count.
        packets, errors: {"video" or "audio": how many there were, how many could not be decoded}, so far; of errors
            also "container", of the file as a whole, and "time": pictures that are left out since their time is before the last
            one's, as where two recordings were joined by cat.
        whole: whether all of the file was decoded, so far.
        duration: in seconds as the container has it, or None.

    Raises:
        Unusable: the file cannot be opened.
    """

    def __init__(self, path, limit=float("inf"), threads=2):
        self.path, self.limit, self.threads = path, limit, threads
        self.packets, self.errors = collections.Counter(), collections.Counter()
        self.whole = True
        self._av = import_av()
        self._files = contextlib.ExitStack()

    def __enter__(self):
        self._container = self._files.enter_context(_opened(self._av, self.path))
        try:
            self._choose_streams()
        except BaseException:
            self._files.close()
            raise
        return self

    def __exit__(self, *error):
        self._files.close()

    def pieces(self):
        """Yields ("video", time, end, frame) and ("audio", position, samples), each kind in the order of time.

        Times are seconds after the start of the file; frame is an av.VideoFrame, which `picture` converts; position is the
        index of the first of samples float32 [n] at 16 kHz.
        """
        sound = _Sound(self._av)
        for packet in self._demuxed():
            kind = packet.stream.type
            if self._times[kind] >= self.limit + 1:
                self.whole = False
                if self._all_past_the_limit(packet):
                    return
                continue
            for frame in self._decoded(kind, packet):
                if kind == "video":
                    yield from self._picture(frame)
                else:
                    yield from (("audio", *piece) for piece in self._sounds(sound, frame))
        yield from (("audio", *piece) for piece in sound.flush())
        self.whole &= not self.errors["container"]

    def _choose_streams(self):
        cover = self._av.stream.Disposition.attached_pic
        streams = self._container.streams
        videos = [stream for stream in streams.video if not stream.disposition & cover and stream.codec_context]
        audios = [stream for stream in streams.audio if stream.codec_context]
        self._streams = {"video": videos[:1], "audio": audios[:1]}
        self.has_video, self.has_audio = bool(videos), bool(audios)
        self._times = dict.fromkeys(("video", "audio"), float("-inf"))
        self._origin = max(self._container.start_time or 0, 0) / 1e6  # below 0 lies what encoders put before the sound
        self.duration = self._container.duration / 1e6 if self._container.duration else None
        for stream in videos[:1]:
            width, height = stream.codec_context.width, stream.codec_context.height
            if width * height > _MAX_PIXELS:
                raise Unusable(f"its pictures have {width} x {height} pixels; at most {_MAX_PIXELS:,} are read")
            stream.thread_type, stream.codec_context.thread_count = "AUTO", self.threads
            rate = stream.average_rate or stream.guessed_rate
            self._step, self._packet_length = 1 / float(rate) if rate else 0.04, None

    def _demuxed(self):
        """The packets of both streams, and, at the end or where the container is damaged, what empties the decoders."""
        streams = [*self._streams["video"], *self._streams["audio"]]
        packets = self._container.demux(streams) if streams else iter(())
        try:
            yield from packets
        except self._av.error.FFmpegError:
            self.errors["container"] += 1
            for stream in streams:
                packet = self._av.Packet()
                packet.stream, packet.time_base = stream, stream.time_base
                yield packet

    def _decoded(self, kind, packet):
        """The frames of a packet; none, and an error more, where it is damaged."""
        self.packets[kind] += packet.size > 0
        if kind == "video" and packet.duration:
            self._packet_length = float(packet.duration * packet.time_base)
        try:
            return packet.decode()
        except self._av.error.FFmpegError:
            self.errors[kind] += packet.size > 0
            return ()

    def _all_past_the_limit(self, packet):
        """Whether nothing more is needed, where the kind of this packet is past the limit."""
        late = packet.dts is not None and packet.dts * packet.time_base - self._origin > self.limit + _BEHIND
        return late or all(self._times[kind] >= self.limit + 1 for kind, streams in self._streams.items() if streams)

    def _time(self, kind, frame, step):
        """Seconds after the start of the file; without a time stamp the frame follows the last one."""
        if frame.time is not None:
            return frame.time - self._origin
        return self._times[kind] + step if self._times[kind] > float("-inf") else 0.0

    def _picture(self, frame):
        time = self._time("video", frame, self._step)
        self.errors["time"] += time < self._times["video"]
        if time <= self._times["video"] or frame.width * frame.height > _MAX_PIXELS:
            return
        self._times["video"] = time
        yield "video", time, time + self._length(frame), frame

    def _length(self, frame):
        """Seconds that a picture is shown; PyAV before 15 says them of packets alone."""
        if not hasattr(frame, "duration"):
            return self._packet_length or self._step
        return float(frame.duration * frame.time_base) if frame.duration and frame.time_base else self._step

    def _sounds(self, sound, frame):
        seconds = frame.samples / frame.sample_rate
        time = self._time("audio", frame, seconds)
        self._times["audio"] = time
        try:
            yield from sound.add(frame, time)
        except self._av.error.FFmpegError:
            self.errors["audio"] += 1


def picture(frame):
    """An av.VideoFrame as it is meant to be seen: RGB uint8 [H, W, 3], turned as its rotation flag says."""
    image = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(image, k=round(frame.rotation / 90) % 4))


class _Sound:
    """Sound frames of any rate and layout as mono samples at 16 kHz with their places; FFmpeg must not mix floats to mono."""

    def __init__(self, av):
        self._av, self._resampler, self._kind, self._expected, self._position = av, None, None, None, 0

    def add(self, frame, time):
        """Yields (position, samples float32 [n])."""
        kind = frame.sample_rate, frame.layout.name, frame.format.name  # which a resampler that has nothing to do does not check
        if self._resampler is None or kind != self._kind or abs(time - self._expected) > _GAP:
            yield from self.flush()
            self._start(time, kind)
        resampled = self._resampler.resample(frame)
        self._expected += frame.samples / frame.sample_rate
        yield from self._placed(resampled)

    def flush(self):
        """Yields what the resampler still holds."""
        resampler, self._resampler = self._resampler, None
        if resampler is not None:
            with contextlib.suppress(self._av.error.FFmpegError, ValueError):
                yield from self._placed(resampler.resample(None))

    def _start(self, time, kind):
        self._kind = kind
        self._resampler = self._av.AudioResampler(format="fltp", layout=None, rate=RATE)
        self._expected, self._position = time, round(time * RATE)

    def _placed(self, frames):
        for frame in frames:
            samples = np.nan_to_num(frame.to_ndarray().mean(axis=0, dtype=np.float32)).clip(-1, 1)
            yield self._position, samples
            self._position += len(samples)


def _opened(av, path):
    """The open container.

    Raises:
        Unusable: it cannot be opened, or is of a kind that opens other files.
    """
    if not os.path.isfile(path):
        raise Unusable("is no file" if os.path.exists(path) else "is not there")
    options = {"format_whitelist": ",".join(sorted(av.formats_available - REFUSED)), "protocol_whitelist": "file"}
    try:
        container = av.open(f"file:{os.path.abspath(path)}", options=options)  # a name with a colon is no protocol
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if _is_list(path):
            raise Unusable("is a playlist, which names other files; give those") from error
        raise Unusable(f"cannot be opened as video or sound ({_reason(error)})") from error
    if set(container.format.name.split(",")) & REFUSED:
        container.close()
        raise Unusable("is a playlist, which names other files; give those")
    return container


def _is_list(path):
    try:
        with open(path, "rb") as file:
            begin = file.read(512).lstrip()
    except OSError:
        return False
    return begin.startswith(_LISTS) or b"<MPD" in begin


def _reason(error):
    return getattr(error, "strerror", None) or str(error).splitlines()[0]
