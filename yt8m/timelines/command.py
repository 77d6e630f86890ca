"""What `yt8m timeline` does: scores videos one after another, and writes each one's timeline, and what is of all of them."""

import contextlib
import dataclasses
import mimetypes
import os

import numpy as np

from yt8m.errors import UserError
from yt8m.files import replacing, write_text
from yt8m.progress import Progress
from yt8m.readers.failures import errors_as_user_errors
from yt8m.readers.index import index_shard, is_remote
from yt8m.readers.patterns import match_files
from yt8m.readers.shard_batches import shard_batches
from yt8m.timelines import formats, page
from yt8m.timelines.timeline import Settings, make_timeline
from yt8m.timelines.videos import VideoFile

FORMATS = ("json", "csv", "vtt", "html", "activitynet", "fiftyone", "label_studio")
_OF_ALL = ("activitynet", "fiftyone", "label_studio")  # whose file is made of all timelines at the end
EMBEDDED_BYTES = 20_000_000  # of a video at most
_BATCH_BYTES = 200 << 20  # of a batch of videos that are hours long


@dataclasses.dataclass(frozen=True)
class Job:
    """Which videos get a timeline, and what is written of them.

    Attributes:
        pattern: frame-level shards.
        output_dir: folder of the files; is made.
        settings: timeline.Settings.
        names: {label id: name}.
        model: what the JSON says of the model.
        formats: some of FORMATS.
        videos: {video id: videos.VideoFile}.
        video_ids: those that are wanted; (): all.
        max_videos: so many of them; None: all.
        attention: whether to say what the model looks at, where it can.
        frame_rate: of Label Studio's frames.
        embed: whether pages have their video inside, where it is small enough.
        batch_size, num_readers: of reading.

    Raises:
        UserError: an unknown format.
    """

    pattern: str
    output_dir: str
    settings: Settings
    names: dict
    model: dict
    formats: tuple = FORMATS
    videos: dict = dataclasses.field(default_factory=dict)
    video_ids: tuple = ()
    max_videos: int | None = None
    attention: bool = True
    frame_rate: float = 24.0
    embed: bool = False
    batch_size: int = 16
    num_readers: int = 2

    def __post_init__(self):
        unknown = [name for name in self.formats if name not in FORMATS]
        if unknown or not self.formats:
            raise UserError(f"--formats={','.join(unknown)}: unknown. Use some of {', '.join(FORMATS)}.")


def write(scorer, job):
    """Writes the timelines of all videos of a job.

    Args:
        scorer: models.VideoScorer.
        job: Job.

    Returns:
        How many videos have one.

    Raises:
        UserError: bad shards, no such video, or a folder that cannot be written.
    """
    files, short, index = match_files(job.pattern, "input_data_pattern"), [], []
    wanted, seen, without, again = set(job.video_ids), set(), 0, 0
    with contextlib.ExitStack() as stack:
        csv = None
        if "csv" in job.formats:
            csv = stack.enter_context(replacing(os.path.join(job.output_dir, "timelines.csv"), "w"))
            csv.write(formats.csv_header())
        progress = stack.enter_context(Progress("Timelines", len(files)))
        for video_id, frames in videos_of(scorer, files, job, progress):
            if wanted and video_id not in wanted:
                continue
            if job.max_videos is not None and len(seen) == job.max_videos:
                break
            again += video_id in seen
            without += not len(frames)
            if video_id in seen or not len(frames):
                continue
            seen.add(video_id)
            timeline = timeline_of(scorer, job, video_id, frames)
            _write_video(timeline, job)
            if csv:
                csv.write(formats.csv_lines(timeline.data))
            short.append(_without_scores(timeline.data))
            index.append(_line(timeline))
        if wanted - seen and (job.max_videos is None or len(seen) < job.max_videos):
            raise UserError(f"--video_ids={sorted(wanted - seen)[0]}: no such video in --input_data_pattern='{job.pattern}'.")
        if not seen:
            raise UserError(f"no video with a frame in --input_data_pattern='{job.pattern}'. Give other shards.")
    _write_all(short, index, job)
    for count, what in ((again, "have the id of an earlier one"), (without, "have no frame")):
        if count:
            print(f"{count:,} videos {what}: left out.")
    return len(seen)


def videos_of(scorer, files, job, progress):
    """Yields (id, frames uint8 [T, D]) of every video of the shards."""
    size = max(1, min(job.batch_size, _BATCH_BYTES // max(1, 3600 * scorer.frame_size)))
    with errors_as_user_errors():
        for path, batches in shard_batches(scorer.spec(job.pattern), files, size, job.num_readers):
            share = 0 if is_remote(path) else 1 / max(len(index_shard(path)), 1)
            for batch in batches:
                ids, frames, counts = (np.asarray(batch[name]) for name in ("ids", "frames", "num_frames"))
                for video_id, video, count in zip(ids, frames, counts):
                    yield video_id.decode(errors="replace"), video[:count]
                    progress.advance(share)


def timeline_of(scorer, job, video_id, frames):
    """The Timeline of one video, its frames uint8 [T, D]."""
    file = job.videos.get(video_id, VideoFile())
    path = os.path.relpath(file.path, job.output_dir) if file.path else None
    duration = len(frames) if file.duration is None else min(file.duration, len(frames))
    video = {"id": video_id, "file": path, "duration": duration, "frames": len(frames)}
    scores = scorer.scores(frames, job.settings.stride)
    look = (lambda columns: scorer.attention(frames, columns)) if job.attention else None
    return make_timeline(video, job.model, job.settings, scorer.label_ids, job.names, scores, look)


def _write_video(timeline, job):
    """The files of one video."""
    base = os.path.join(job.output_dir, formats.file_stem(timeline.id))
    if "json" in job.formats:
        write_text(f"{base}.timeline.json", timeline.to_json())
    if "vtt" in job.formats:
        for kind in formats.VTT:
            write_text(f"{base}.{kind}.vtt", timeline.to_vtt(kind))
    if "html" in job.formats:
        write_text(f"{base}.html", timeline.to_html(video_address(timeline.data, job)))


def video_address(data, job):
    """The address of a video for its page: relative to it, or with --embed its content; None where there is no such file."""
    file = data["video"]["file"]
    path = file and page.file_at(job.output_dir, file)
    if not path or not os.path.isfile(path):
        return None
    if job.embed and os.path.getsize(path) <= EMBEDDED_BYTES:
        return page.embedded(path, mimetypes.guess_type(path)[0] or "video/mp4")
    if job.embed:
        print(f"{formats.readable(path)}: more than {EMBEDDED_BYTES // 1_000_000} MB, not embedded; the page plays the file.")
    return page.address(file)


def _write_all(short, index, job):
    """The files that are of all videos."""
    made = {
        "activitynet": lambda: formats.activitynet(short),
        "fiftyone": lambda: formats.fiftyone(short),
        "label_studio": lambda: formats.label_studio(short, job.frame_rate),
    }
    names = {"fiftyone": os.path.join("fiftyone", "labels.json")}
    for name in _OF_ALL:
        if name in job.formats:
            write_text(os.path.join(job.output_dir, names.get(name, f"{name}.json")), formats.json_text(made[name]()))
    if "html" in job.formats:
        write_text(os.path.join(job.output_dir, "index.html"), page.index_page(index))


def _without_scores(data):
    """What the files of all videos need of a timeline."""
    classes = [{name: entry[name] for name in ("index", "name", "segments")} for entry in data["classes"]]
    return {"video": data["video"], "model": data["model"], "classes": classes}


def _line(timeline):
    """A line of index.html."""
    names = [entry["name"] for entry in timeline.classes if not entry["below_threshold"]]
    return timeline.id, page.page_name(timeline.id), timeline.duration, names
