"""Whole videos, a batch at once: their features are copied from their places in the files."""

import numpy as np

from yt8m.readers.framing import changed
from yt8m.readers.index import open_shard
from yt8m.readers.layouts import FLOATS, FRAMES, strides_at
from yt8m.readers.memory import aligned_empty, aligned_zeros
from yt8m.readers.parts import elements_of, parts_of
from yt8m.readers.tables import Tables
from yt8m.readers.windows import Windows
from yt8m.segments import mean_features

_SHORT = 32  # frames: of batches of such videos each is copied with the others, of longer ones by itself


class Videos:
    """Batches of WholeVideos from references to their rows.

    Args:
        spec: WholeVideos.
        files: paths of the shards.
        decode: function of references that gives the same arrays from the records; for batches with an unusual or remote one.
    """

    def __init__(self, spec, files, decode):
        self._spec, self._files, self._decode = spec, files, decode
        self._tables = Tables(spec, files)
        self._kind = FRAMES if spec.frame_features else FLOATS
        self._sizes = [size if spec.frame_features else 4 * size for size in spec.feature_sizes]
        self._headers = [np.frombuffer(self._kind.header(size), np.uint8) for size in self._sizes]

    def batch(self, rows):
        """The arrays of a batch by name, as decoding.decoder's.

        Args:
            rows: references int64 [B, 3].

        Raises:
            UserError: names the record that is wrong.
        """
        order, parts = parts_of(rows, self._tables)
        numbers, ids = rows[order, 1], np.empty(len(rows), object)
        lengths, begins = np.empty(len(rows), np.int64), np.empty((len(rows), len(self._sizes)), np.int64)
        for part in parts:
            of_part = numbers[part.slice]
            if of_part.max() >= len(part.table.lengths):
                return self._decode(rows)
            lengths[part.slice], begins[part.slice] = part.table.lengths[of_part], part.table.begins[of_part]
            ids[order[part.slice]] = part.table.ids[of_part]
        if not lengths.all():
            return self._decode(rows)
        features = self._features(order, parts, np.minimum(lengths, self._spec.max_frames), begins)
        if features is None:
            return self._decode(rows)
        labels = aligned_zeros((len(rows), self._spec.label_map.size), np.float32)
        labels[elements_of(order, parts, numbers, "ends", "columns")] = 1
        return {"ids": ids, **features, "labels": labels}

    def _features(self, order, parts, lengths, begins):
        """The arrays of the features, or None where one is not as it should be."""
        spec, width = self._spec, sum(self._sizes)
        if not spec.frame_features:
            features = aligned_empty((len(order), width // 4), np.float32)
            frames = features.view(np.uint8).reshape(len(order), 1, width)
            right = self._copy_short(frames, order, parts, lengths, begins) and np.isfinite(features).all()
            return {"features": features} if right else None
        if spec.as_video_features:
            return self._means(order, parts, lengths, begins)
        return self._frames(order, parts, lengths, begins, spec.num_frames)

    def _frames(self, order, parts, lengths, begins, length):
        """`frames` and `num_frames` of whole videos, T = length, None: the longest's; None where one is not as it should be."""
        longest, width = length or int(lengths.max(initial=0)), sum(self._sizes)
        frames, num_frames = aligned_empty((len(order), longest, width), np.uint8), np.empty(len(order), np.int32)
        num_frames[order] = lengths
        copy = self._copy_short if longest <= _SHORT else self._copy_long
        return {"frames": frames, "num_frames": num_frames} if copy(frames, order, parts, lengths, begins) else None

    def _copy_short(self, frames, order, parts, lengths, begins):
        """Copies the features of a batch to uint8 [B, T, D], a shard's at once; whether all is as it should be."""
        length = frames.shape[1]
        behind = np.arange(length) >= lengths[:, None] if lengths.min(initial=length) < length else None  # [B, T]
        for part in parts:
            data, places, at = open_shard(self._files[part.shard]).data, order[part.slice], 0
            for number, (size, header) in enumerate(zip(self._sizes, self._headers)):
                stride = self._kind.stride(size)
                values = strides_at(data, begins[part.slice, number], lengths[part.slice], length, stride)
                right = values[:, :, :-size] == header
                if not right.all() and (behind is None or not (right.all(axis=2) | behind[part.slice]).all()):
                    return False
                frames[places, :, at : at + size] = values[:, :, -size:]
                at += size
        if behind is not None:
            of_rows, of_frames = np.nonzero(behind)
            frames[order[of_rows], of_frames] = 0
        return True

    def _copy_long(self, frames, order, parts, lengths, begins):
        """The same, a video at a time, copied before its headers are looked at: memory is read fastest from end to end."""
        for place, features in self._views(order, parts, lengths, begins):
            count, at = len(features[0]), 0
            for size, values in zip(self._sizes, features):
                frames[place, :count, at : at + size] = values[:, -size:]
                at += size
            if not self._right(features):
                return False
            frames[place, count:] = 0
        return True

    def _means(self, order, parts, lengths, begins):
        means = np.empty((len(order), sum(self._sizes)), np.float32)
        for place, features in self._views(order, parts, lengths, begins):
            if not self._right(features):
                return None
            values = [with_headers[:, -size:] for size, with_headers in zip(self._sizes, features)]
            np.concatenate([mean_features(of_feature, len(of_feature)) for of_feature in values], out=means[place])
        return {"features": means}

    def _views(self, order, parts, lengths, begins):
        """Yields (place in the batch, [uint8 [T, header and size] of each feature]) of each video."""
        strides = [self._kind.stride(size) for size in self._sizes]
        for part in parts:
            data = open_shard(self._files[part.shard]).data
            for row in range(part.slice.start, part.slice.stop):
                count = int(lengths[row])
                features = [
                    data[begin : begin + count * stride].reshape(count, stride)
                    for stride, begin in zip(strides, begins[row].tolist())
                ]
                yield int(order[row]), features

    def _right(self, features):
        """Whether each frame of a video's features is preceded by what should be there."""
        return all((values[:, :-size] == header).all() for size, header, values in zip(self._sizes, self._headers, features))


class VideosOfSegments(Videos):
    """Batches of videos with all their segments.

    Args:
        spec: VideosWithSegments or SegmentsInVideos.
        files, decode: as Videos'.
    """

    def __init__(self, spec, files, decode):
        super().__init__(spec, files, decode)
        self._windows = Windows(spec, files)

    def batch(self, rows):
        """As Videos.batch."""
        spec, (order, parts) = self._spec, parts_of(rows, self._tables)
        ids, starts = np.empty(len(rows), object), [None] * len(rows)
        lengths, begins = np.empty(len(rows), np.int64), np.empty((len(rows), len(self._sizes)), np.int64)
        for part in parts:
            places, table = order[part.slice], part.table
            numbers = rows[places, 1]
            if numbers.max() >= len(table.lengths):
                raise changed(self._files[part.shard])
            lengths[part.slice], begins[part.slice], ids[places] = (
                table.lengths[numbers],
                table.begins[numbers],
                table.ids[numbers],
            )
            for place, of_video in zip(places.tolist(), table.starts(numbers)):
                starts[place] = of_video
        if not begins.all():
            return self._decode(rows)
        frames = self._frames(order, parts, np.minimum(lengths, spec.max_frames), begins, spec.video_length)
        if frames is None:
            return self._decode(rows)
        segment_rows = np.repeat(np.arange(len(rows)), [len(of_video) for of_video in starts])
        starts = np.concatenate([np.zeros(0, np.int64), *starts])
        segments = np.stack([rows[segment_rows, 0], rows[segment_rows, 1], starts], axis=1)
        if spec.context:
            frames = {f"context_{key}": value for key, value in frames.items()}
            of_segments = self._windows.batch(segments)
        else:
            of_segments = self._windows.labels(segments)
        return {**of_segments, "ids": ids, **frames, "segment_rows": segment_rows.astype(np.int32)}
