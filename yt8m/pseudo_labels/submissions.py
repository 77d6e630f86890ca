"""Pseudo-labels by the order of a submission's lines."""

import itertools

import numpy as np

from yt8m.errors import UserError
from yt8m.pseudo_labels.selection import ShardLabels
from yt8m.pseudo_labels.videos import decoded_records, ids_and_labels
from yt8m.readers import records
from yt8m.scoring.submission import read_submission
from yt8m.segments import SEGMENT_SIZE


def from_submission(path, files, label_ids, selection, id_feature="id", feature_names=("rgb",), feature_sizes=(1024,)):
    """Chooses pseudo-labels by the order of a submission's lines, one class in memory at a time.

    Positives of a class are the first `top` segments that are in the files, negatives whole segments of the same videos that
    the line does not name, chosen at random.

    Args:
        path: CSV file, see submission.read_submission.
        files: features shards.
        label_ids: classes; None: all that the submission lists.
        selection: Selection; without scores there is no `soft` and no `min_score`.
        id_feature: name of the id in the shards.
        feature_names, feature_sizes: features by which a video's seconds are counted.

    Returns:
        label ids, and an iterator of ShardLabels, one for each of the files in their order.

    Raises:
        UserError: an argument that needs scores; a bad submission, or one of other videos; a video twice in the files.
    """
    if selection.soft or selection.min_score:
        raise UserError("--submission_file has no scores: --soft and --min_score are for --scores. Leave them out.")
    videos = _Videos(files, id_feature, feature_names, feature_sizes)
    listed, chosen = [], []
    for label, segments in read_submission(path):
        if label_ids is None or label in label_ids:
            listed.append(label)
            chosen.append(_of_line(videos, label, segments.tolist(), selection, f"{path}, class {label}"))
    if not sum(positives for _, positives in chosen):
        raise UserError(f"{path}: none of its segments can be a positive in --data_pattern. Name the data that was scored.")
    numbers = np.concatenate([pairs[:, 0] for pairs, _ in chosen])
    starts = np.concatenate([pairs[:, 1] for pairs, _ in chosen])
    of_label = np.repeat(listed, [len(pairs) for pairs, _ in chosen])
    values = np.concatenate([np.arange(len(pairs)) < positives for pairs, positives in chosen]).astype(np.float32)
    return tuple(listed), videos.by_shard(numbers, starts, of_label, values)


def _of_line(videos, label, segments, selection, where):
    """The pseudo-labels of a class: int64 [n, 2] of (video, start), the positives first, and how many these are."""
    positives = {}
    for segment in segments:
        id, _, start = segment.rpartition(":")
        number, start = videos.number.get(id), int(start)
        if number is None or (selection.video_labels_only and label not in videos.labels[number]):
            continue
        if start >= videos.seconds[number]:
            raise UserError(
                f"{where}: {segment}, but the video has {videos.seconds[number]} seconds. Name the data that was scored."
            )
        positives[number, start] = None
        if len(positives) == selection.top:
            break
    numbers, named = sorted({number for number, _ in positives}), set(segments)
    whole = [(number, range(0, videos.seconds[number] - SEGMENT_SIZE + 1, SEGMENT_SIZE)) for number in numbers]
    others = [(number, start) for number, starts in whole for start in starts if f"{videos.ids[number]}:{start}" not in named]
    count = min(len(positives) if selection.negatives is None else selection.negatives, len(others))
    chosen = np.random.default_rng([selection.seed, label]).choice(len(others), count, replace=False) if count else ()
    pairs = list(positives) + [others[index] for index in sorted(chosen)]
    return np.array(pairs, np.int64).reshape(-1, 2), len(positives)


class _Videos:
    """All videos of the files: `ids`, their `labels` and `seconds` in the files' order, and the `number` of an id in it."""

    def __init__(self, files, id_feature, feature_names, feature_sizes):
        self.ids, self.labels, self.seconds, self._first = [], [], [], [0]
        for file in files:
            ids, labels = ids_and_labels(file, id_feature)
            self.ids += ids
            self.labels += [set(of_video.tolist()) for of_video in labels]
            self.seconds += decoded_records(file, lambda record: records.count_frames(record, feature_names, feature_sizes))
            self._first.append(len(self.ids))
        self.number = {id: number for number, id in enumerate(self.ids)}
        if len(self.number) < len(self.ids):
            twice = next(id for number, id in enumerate(self.ids) if self.number[id] != number)
            raise UserError(f"video {twice!r} is in --data_pattern more than once. Name each shard once.")

    def by_shard(self, numbers, starts, of_label, values):
        """Yields the ShardLabels of pairs whose videos are `numbers` int64 [n]."""
        order = np.argsort(numbers, kind="stable")
        numbers, starts, of_label, values = (array[order] for array in (numbers, starts, of_label, values))
        for first, end in itertools.pairwise(self._first):
            part = slice(*np.searchsorted(numbers, [first, end]))
            yield ShardLabels(self.ids[first:end], numbers[part] - first, starts[part], of_label[part], values[part])
