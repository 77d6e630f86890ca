"""Pseudo-labels written as sidecars, and what they amount to."""

import dataclasses
import itertools
import os
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from yt8m.readers import records, sidecars
from yt8m.segments import SEGMENT_SIZE


@dataclass
class Summary:
    """What the sidecars of a folder hold.

    Attributes:
        positives: label id -> count, for every class considered.
        negatives, videos, annotated_videos: counts.
        sidecar_bytes, feature_bytes: sizes of the sidecars and of the shards that they belong to.
        rated_positives, right_positives, rated_negatives, right_negatives: how many of them are rated, and as the raters say.
    """

    positives: dict
    negatives: int = 0
    videos: int = 0
    annotated_videos: int = 0
    sidecar_bytes: int = 0
    feature_bytes: int = 0
    rated_positives: int = 0
    right_positives: int = 0
    rated_negatives: int = 0
    right_negatives: int = 0

    @property
    def num_positives(self):
        """Over all classes."""
        return sum(self.positives.values())


def write(folder, files, shard_labels, num_classes, label_ids, source, ratings=None):
    """Writes a sidecar for each shard, one without any label too. Older sidecars of these shards are removed first.

    Args:
        folder: of the sidecars.
        files: features shards.
        shard_labels: iterable of a ShardLabels for each.
        num_classes, label_ids, source: of sidecars.SidecarHeader.
        ratings: metrics.segments.Ratings to compare with, or None.

    Returns:
        Summary.

    Raises:
        UserError: see sidecars.write_sidecar.
    """
    header = sidecars.SidecarHeader("shard", 0, num_classes, tuple(label_ids), dense=False, source=source)
    rated = {}
    if ratings is not None:
        for segment, label, score in zip(*(array.tolist() for array in dataclasses.astuple(ratings))):
            rated.setdefault(segment, {})[label] = score
    summary = Summary({int(label): 0 for label in label_ids})
    sidecars.remove_sidecars(folder, files)
    for file, shard in zip(files, shard_labels, strict=True):
        annotations = _by_video(shard)
        header = dataclasses.replace(header, shard=os.path.basename(file), num_records=len(shard.ids))
        summary.sidecar_bytes += sidecars.write_sidecar(folder, header, zip(shard.ids, annotations))
        summary.feature_bytes += tf.io.gfile.stat(file).length
        _count(summary, shard.ids, annotations, rated)
    return summary


def _by_video(shard):
    """records.Segments, or None, of each video of a ShardLabels."""
    order = np.lexsort((shard.labels, shard.starts, shard.rows))
    starts, of_label, scores = shard.starts[order], shard.labels[order], shard.scores[order]
    bounds = np.searchsorted(shard.rows[order], np.arange(len(shard.ids) + 1))
    parts = [slice(*bound) for bound in itertools.pairwise(bounds)]
    ends = starts + SEGMENT_SIZE
    return [
        records.Segments(starts[part], ends[part], of_label[part], scores[part]) if part.start < part.stop else None
        for part in parts
    ]


def _count(summary, ids, annotations, rated):
    """Adds a shard to a Summary; `rated` is {segment id: {label id: score}}."""
    summary.videos += len(ids)
    for id, segments in zip(ids, annotations):
        if segments is None:
            continue
        summary.annotated_videos += 1
        summary.negatives += int((segments.scores == 0).sum())
        for label in segments.labels[segments.scores > 0].tolist():
            summary.positives[label] += 1
        if not rated:
            continue
        for start, label, score in zip(segments.start_times.tolist(), segments.labels.tolist(), segments.scores.tolist()):
            rating = rated.get(f"{id}:{start}", {}).get(label)
            if rating is not None and score > 0:
                summary.rated_positives += 1
                summary.right_positives += rating > 0
            elif rating is not None:
                summary.rated_negatives += 1
                summary.right_negatives += rating <= 0


def show(summary, compared):
    """Prints a Summary; with `compared` also how the pseudo-labels agree with ratings."""
    table = Table(title="Pseudo-labels", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    counts = np.array(list(summary.positives.values()))
    table.add_row("classes with positives", f"{np.count_nonzero(counts):,} of {len(counts):,}")
    table.add_row("positives", f"{summary.num_positives:,}")
    table.add_row("a class: least, median, most", f"{counts.min():,}, {np.median(counts):,.0f}, {counts.max():,}")
    table.add_row("negatives", f"{summary.negatives:,}")
    table.add_row("videos touched", f"{summary.annotated_videos:,} of {summary.videos:,}")
    table.add_row("bytes of the sidecars", f"{summary.sidecar_bytes:,}")
    table.add_row("bytes of the features", f"{summary.feature_bytes:,}")
    table.add_row("sidecars beside features", f"{summary.sidecar_bytes / max(summary.feature_bytes, 1):.3%}")
    if compared:
        for name in ("positives", "negatives"):
            rated, right = getattr(summary, f"rated_{name}"), getattr(summary, f"right_{name}")
            table.add_row(f"rated {name}", f"{rated:,}")
            table.add_row(f"precision of the {name}", f"{right / rated:.3f}" if rated else "none is rated")
    Console().print(table)
