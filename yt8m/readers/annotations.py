"""Which segments of a video are asked for, and whose labels they have: the record's ratings, or a sidecar's."""

import functools

import numpy as np

from yt8m.errors import UserError
from yt8m.readers.index import open_shard, version_if_there
from yt8m.readers.sidecars import open_sidecar, sidecar_path


def check_sidecar(spec, path):
    """Refuses a shard's sidecar that does not fit.

    Raises:
        UserError: it is of another shard, of other classes, or of the other kind than the spec's rows need.
    """
    sidecar = _sidecar(spec.annotations, path)
    sidecar.check(open_shard(path), path, spec.num_classes, spec.label_ids, spec.id_feature)
    if sidecar.header.dense != spec.all_segments:
        kind, use = ("every segment", "--stage=mstep") if sidecar.header.dense else ("chosen segments only", "--stage=finetune")
        raise UserError(f"--pseudo_labels={spec.annotations}: labels of {kind}. They are for {use}.")


def annotated_segments(spec, path, number, ratings):
    """The Segments of a record that labels are known of, or None.

    Args:
        spec: DataSpec of segments.
        path: of the shard.
        number: of the record in it.
        ratings: Segments of the record itself, or None.
    """
    return _sidecar(spec.annotations, path).segments(number) if spec.annotations else ratings


def annotated_contexts(spec, path, contexts):
    """(records.Segments, segment_ends) of all records of a shard that labels are known of, as in contexts.Contexts.

    Args:
        spec: DataSpec of segments.
        path: of the shard.
        contexts: the Contexts of its records.
    """
    contexts = _sidecar(spec.annotations, path).contexts() if spec.annotations else contexts
    return contexts.segments, contexts.segment_ends


def annotations_version(spec, path):
    """What changes when a shard's sidecar does; None where there is none."""
    return version_if_there(sidecar_path(spec.annotations, path)) if spec.annotations else None


def annotated_starts(spec, segments):
    """Distinct start times int64 [n], rising, of the segments with a label that has a column; `segments` may be None."""
    if segments is None:
        return np.zeros(0, np.int64)
    return np.unique(segments.start_times[spec.label_map.columns(segments.labels) >= 0])


def starts_inside(spec, starts, length):
    """The start times that lie in a video of `length` frames; of a whole video no more than max_frames are read."""
    return starts[(starts >= 0) & (starts < (min(length, spec.max_frames) if spec.by_video else length))]


def all_starts(spec, length):
    """The start times int64 [n] of all segments of a video of `length` frames."""
    return np.arange(0, min(length, spec.max_frames), spec.segment_size)


def _sidecar(folder, path):
    """The sidecar of a shard as it is now; its header is read once."""
    return _open_sidecar(folder, path, version_if_there(sidecar_path(folder, path)))


@functools.lru_cache(maxsize=4096)
def _open_sidecar(folder, path, version):
    return open_sidecar(folder, path)
