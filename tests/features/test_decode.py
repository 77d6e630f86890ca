"""Decoding of clips whose pictures say which they are: every trap that files lay."""

import os
import struct
import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest

from tests.commands import ROOT
from tests.features.clips import image_of, tone, write_clip
from tests.features.stubs import shown
from yt8m.features import decode
from yt8m.features.decode import Decoder, Unusable, picture
from yt8m.features.extraction import Skipped

TIMES = np.arange(125) / 25
SECONDS = [0, 25, 50, 75, 100]  # pictures that stand for them
LOUD = 0.4  # root mean square of the tone in a byte's steps
AAC, OPUS = ("mpeg4", "aac"), ("libvpx", "libopus")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Five seconds with sound, in a container whose packets are found again after damage."""
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mkv", TIMES, tone(5))


@pytest.mark.parametrize("ending", ["mov", "mkv", "mp4", "ts", "avi"])
def test_constant_rate(tmp_path, ending):
    rate = 44_100 if ending in ("mp4", "ts") else 16_000
    codecs = AAC if rate == 44_100 else ("mpeg4", "pcm_s16le")
    numbers, loudness, facts = shown(write_clip(tmp_path / f"clip.{ending}", TIMES, tone(5, rate), rate=rate, codecs=codecs))
    late = ending == "ts"  # its pictures begin 21 ms after its sound
    assert numbers[:5] == ([0, 24, 49, 74, 99] if late else SECONDS)
    assert loudness[int(late) : 5] == [LOUD] * (5 - late)
    assert facts.frames == len(numbers) == 5 + late
    assert (facts.width, facts.height, facts.has_audio, facts.decode_errors) == (64, 48, True, 0)
    assert abs(facts.duration - 5) < 0.05


def test_what_an_encoder_puts_before_the_sound_counts_for_nothing(tmp_path):
    """Opus needs 6.5 ms; FFmpeg before 7.1 says that such a file begins there."""
    if not set(OPUS) <= av.codecs_available:
        pytest.skip(f"this FFmpeg lacks {' or '.join(OPUS)}")
    times = np.arange(20) / 4
    numbers, loudness, facts = shown(write_clip(tmp_path / "clip.webm", times, tone(5, 48_000), rate=48_000, codecs=OPUS))
    assert numbers == [0, 4, 8, 12, 16] and loudness == [LOUD] * 5 and facts.frames == 5


def test_variable_rate(tmp_path):
    times = [0, 0.3, 0.6, 1.45, 1.5, 4.2]
    assert shown(write_clip(tmp_path / "clip.mov", times))[0] == [0, 2, 4, 4, 5]


def test_a_rate_that_is_no_whole_number(tmp_path):
    numbers, _, facts = shown(write_clip(tmp_path / "clip.mov", np.arange(150) * 1001 / 30_000))
    assert numbers == [0, 30, 60, 90, 120, 149] and abs(facts.duration - 5.005) < 0.01


def test_a_single_picture(tmp_path):
    numbers, loudness, facts = shown(write_clip(tmp_path / "clip.mov", [0]))
    assert numbers == [0] and loudness == [None] and facts.duration == 0.04 and not facts.has_audio


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_pictures_are_turned_as_they_are_meant(tmp_path, angle):
    """The matrix of the track header says how players turn the pictures, clockwise."""
    path = write_clip(tmp_path / "clip.mov", TIMES)
    data = bytearray(path.read_bytes())
    cosine, sine = round(np.cos(np.radians(angle))), round(np.sin(np.radians(angle)))
    at = data.index(b"tkhd") + 44
    data[at : at + 36] = struct.pack(">9i", *(x << 16 for x in (cosine, sine, 0, -sine, cosine, 0, 0, 0)), 1 << 30)
    path.write_bytes(data)
    seen = []
    with Decoder(str(path)) as decoder:
        for _, _, _, frame in decoder.pieces():
            seen.append(picture(frame))
    expected = np.rot90(image_of(77), k=-angle // 90)
    assert seen[77].shape == expected.shape
    assert np.abs(seen[77].astype(int) - expected).mean() < 12
    facts = shown(path)[2]
    assert (facts.width, facts.height) == ((48, 64) if angle != 180 else (64, 48))


def test_without_sound(tmp_path):
    path = write_clip(tmp_path / "clip.mov", TIMES)
    assert shown(path)[1] == [None] * 5
    with pytest.raises(Unusable, match="has no sound"):
        shown(path, missing_audio="error")
    with pytest.raises(Skipped, match="has no sound"):
        shown(path, missing_audio="skip")


def test_the_pictures_decide_how_long(tmp_path):
    assert shown(write_clip(tmp_path / "short.mov", TIMES, tone(2)))[1] == [LOUD, LOUD, None, None, None]
    numbers, loudness, _ = shown(write_clip(tmp_path / "long.mov", TIMES[:50], tone(5)))
    assert (numbers, loudness) == ([0, 25], [LOUD, LOUD])


@pytest.mark.parametrize("ending", ["mov", "mkv"])
def test_late_sound_keeps_its_place(tmp_path, ending):
    _, loudness, _ = shown(write_clip(tmp_path / f"clip.{ending}", TIMES, tone(2), sound_start=2.5))
    assert loudness[:2] == [None, None] and loudness[3] == LOUD and 0 < loudness[2] < LOUD and 0 < loudness[4] < LOUD


def test_a_hole_in_the_sound_is_silence(tmp_path):
    """Its second half keeps its place."""
    _, loudness, _ = shown(write_clip(tmp_path / "clip.mkv", TIMES, tone(1), sound_start=(0, 3)))
    assert loudness == [LOUD, None, None, LOUD, None]


def test_sound_whose_rate_and_channels_change():
    """Its parts keep their places."""
    sound, pieces = decode._Sound(av), []
    for second, samples in enumerate((tone(1), tone(1, 44_100, channels=2), tone(1))):
        frame = av.AudioFrame.from_ndarray(samples, "fltp", "stereo" if len(samples) == 2 else "mono")
        frame.sample_rate, frame.pts, frame.time_base = samples.shape[1], 0, Fraction(1, samples.shape[1])
        pieces += sound.add(frame, float(second))
    whole = np.zeros(48_000, np.float32)
    for position, samples in [*pieces, *sound.flush()]:
        whole[position : position + len(samples)] = samples[: 48_000 - position]
    middles = whole.reshape(3, 16_000)[:, 2000:-2000]
    np.testing.assert_allclose(np.sqrt((middles**2).mean(axis=1)), 0.5 / np.sqrt(2), rtol=0.01)


def test_colours_are_red_green_and_blue_in_this_order(tmp_path):
    path, colours = tmp_path / "clip.mov", ([230, 40, 60], [50, 200, 30], [30, 60, 220])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for colour in colours:
            image = np.broadcast_to(np.uint8(colour), (48, 64, 3))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        container.mux(stream.encode(None))
    with Decoder(str(path)) as decoder:
        seen = [picture(frame).mean(axis=(0, 1)) for _, _, _, frame in decoder.pieces()]
    np.testing.assert_allclose(seen, colours, atol=8)


def test_the_cover_before_the_pictures_is_not_them(tmp_path):
    """A file whose first stream of pictures is its cover."""
    path = tmp_path / "clip.mp4"
    with av.open(str(path), "w") as container:
        cover, stream = container.add_stream("mjpeg", rate=25), container.add_stream("mpeg4", rate=25)
        cover.pix_fmt, stream.pix_fmt = "yuvj420p", "yuv420p"
        cover.width, cover.height, stream.width, stream.height = 64, 48, 64, 48
        cover.disposition = av.stream.Disposition.attached_pic.value
        for target, numbers in ((cover, [4000]), (stream, range(30))):
            for number, image in enumerate(map(image_of, numbers)):
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(target.encode(frame))
            container.mux(target.encode(None))
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 2
    assert shown(path)[0] == [0, 25]


def test_sound_alone(tmp_path):
    path = write_clip(tmp_path / "clip.wav", sound=tone(2.3))
    with pytest.raises(Unusable, match="has no pictures"):
        shown(path)
    with pytest.raises(Skipped, match="has no pictures"):
        shown(path, missing_video="skip")
    numbers, loudness, facts = shown(path, missing_video="black")
    assert numbers == [0, 0, 0] and loudness[:2] == [LOUD, LOUD] and (facts.width, facts.duration) == (0, 2.3)


def test_two_channels_are_their_mean(tmp_path):
    sound = tone(3, channels=2)
    for number, channels in enumerate((sound, sound * [[1], [0]])):
        path = write_clip(tmp_path / f"{number}.wav", sound=channels.astype(np.float32))
        with Decoder(str(path)) as decoder:
            samples = np.concatenate([piece[2] for piece in decoder.pieces()])
        np.testing.assert_allclose(samples, channels.mean(axis=0), atol=1e-4)


def test_a_cover_is_no_video(tmp_path):
    """A picture in an ID3 tag before the sound."""
    sound = write_clip(tmp_path / "sound.aac", sound=tone(3, 44_100), rate=44_100, codecs=AAC, format="adts").read_bytes()
    image = write_clip(tmp_path / "cover.jpg", [0], codecs=("mjpeg", ""), format="image2").read_bytes()
    content = b"\0image/jpeg\0\x03\0" + image
    frame = b"APIC" + struct.pack(">I", len(content)) + b"\0\0" + content
    size = bytes((len(frame) >> shift) & 127 for shift in (21, 14, 7, 0))
    path = tmp_path / "song.aac"
    path.write_bytes(b"ID3\x03\0\0" + size + frame + sound)
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1
    with pytest.raises(Unusable, match="has no pictures"):
        shown(path)
    assert shown(path, missing_video="black")[2].has_audio


def test_only_the_beginning_of_a_long_file_is_read(clip):
    numbers, loudness, facts = shown(clip, max_frames=2)
    assert (numbers, loudness) == ([0, 25], [LOUD, LOUD]) and facts.frames == 2 and abs(facts.duration - 5) < 0.03


def test_flipped_bytes_cost_what_they_hit(clip, tmp_path):
    data = bytearray(clip.read_bytes())
    rng = np.random.default_rng(3)
    for place in rng.integers(3000, len(data), 60):
        data[place] ^= 255
    (tmp_path / "clip.mkv").write_bytes(data)
    numbers, loudness, _ = shown(tmp_path / "clip.mkv")
    assert len(numbers) in (5, 6) and len(loudness) == len(numbers)


def test_a_file_of_which_most_is_damaged_has_failed(tmp_path):
    """JPEG pictures, the first of which are none; up to half of them an earlier or the first good one stands for."""
    for bad in (60, 65, 125):
        path = write_clip(tmp_path / f"{bad}.mkv", TIMES, codecs=("mjpeg", ""))
        data = path.read_bytes()
        starts = [at for at in range(len(data)) if data.startswith(b"\xff\xd8\xff", at)]
        assert len(starts) == 125
        for at in starts[:bad]:
            end = data.index(b"\xff\xd9", at) + 2
            data = data[:at] + bytes(end - at) + data[end:]
        path.write_bytes(data)
    numbers, _, facts = shown(tmp_path / "60.mkv")
    assert numbers == [60, 60, 60, 75, 100] and facts.decode_errors == 60
    with pytest.raises(Unusable, match="65 of 125 packets of its pictures are damaged"):
        shown(tmp_path / "65.mkv")
    with pytest.raises(Unusable, match="has pictures, but none can be decoded"):
        shown(tmp_path / "125.mkv")


def test_a_truncated_file_gives_what_is_there(clip, tmp_path):
    data = clip.read_bytes()
    (tmp_path / "clip.mkv").write_bytes(data[: len(data) // 2])
    numbers, _, facts = shown(tmp_path / "clip.mkv")
    assert numbers == SECONDS[: len(numbers)] and 1 <= len(numbers) < 5 and facts.frames == len(numbers)


def test_pictures_whose_times_start_again_are_counted(tmp_path):
    """Two recordings, joined by cat."""
    recording = write_clip(tmp_path / "clip.ts", TIMES, tone(5, 44_100), rate=44_100, codecs=AAC).read_bytes()
    numbers, _, facts = shown(tmp_path / "clip.ts")
    (tmp_path / "joined.ts").write_bytes(2 * recording)
    joined, _, others = shown(tmp_path / "joined.ts")
    assert joined[:5] == numbers[:5]
    assert (facts.decode_errors, others.decode_errors) == (0, len(TIMES) - 1)  # the last has the same time as the last before


@pytest.mark.parametrize("content", [b"", b"no video", bytes(range(256)) * 50])
def test_what_is_no_video(tmp_path, content):
    (tmp_path / "clip.mp4").write_bytes(content)
    with pytest.raises(Unusable, match="cannot be opened as video or sound"):
        shown(tmp_path / "clip.mp4")


def test_an_mp4_without_its_index(tmp_path):
    data = write_clip(tmp_path / "whole.mp4", TIMES).read_bytes()
    (tmp_path / "clip.mp4").write_bytes(data[: data.index(b"moov") - 4])
    with pytest.raises(Unusable):
        shown(tmp_path / "clip.mp4")


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    for name, reason in (("pipe.mp4", "is no file"), (".", "is no file"), ("none.mp4", "is not there")):
        with pytest.raises(Unusable, match=reason):
            shown(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nclip.mkv\n#EXT-X-ENDLIST\n"),
        ("list.mp4", "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nclip.mkv\n#EXT-X-ENDLIST\n"),
        ("list.ffconcat", "ffconcat version 1.0\nfile clip.mkv\n"),
        ("list.mpd", '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"></MPD>\n'),
    ],
)
def test_playlists_are_refused(clip, tmp_path, name, content):
    (tmp_path / "clip.mkv").write_bytes(clip.read_bytes())
    (tmp_path / name).write_text(content)
    with pytest.raises(Unusable, match="playlist"):
        shown(tmp_path / name)


@pytest.mark.parametrize("name", ["a:b.mov", "http:b.mov", "a b.mov", "ü.mov", "%03d.mov", "-x.mov", "pipe:0"])
def test_names_are_names(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / name, TIMES[:25], format="mov")
    assert shown(name)[0] == [0]


def test_pictures_of_a_huge_size_are_refused(clip, monkeypatch):
    monkeypatch.setattr(decode, "_MAX_PIXELS", 3000)
    with pytest.raises(Unusable, match="64 x 48 pixels"):
        shown(clip)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_for_4k(tmp_path):
    path = write_clip(tmp_path / "clip.mov", np.arange(10) / 5, tone(1), size=(3840, 2160))
    code = (
        "import re, sys\n"
        "from yt8m.features import backbones, extraction\n"
        "print(extraction.extract(sys.argv[1], backbones.build('sketch'), extraction.Settings())[1].width)\n"
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, cwd=ROOT, check=True)
    width, kilobytes = map(int, done.stdout.split())
    assert width == 3840 and kilobytes < 1_000_000
