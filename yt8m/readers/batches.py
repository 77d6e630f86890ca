"""Batches for training, evaluation and inference, as tf.data.

The order of the rows is a pure function of (files, seed): a generator yields arrays of row references, a parallel map loads
them through the record index. So a run resumes at any step by counting, without iterator state and without reading.
"""

import itertools

import tensorflow as tf

from yt8m.progress import Progress
from yt8m.readers.loading import loaded
from yt8m.readers.patterns import shards
from yt8m.readers.rows import batched, filled, ordered_rows, shuffled_rows
from yt8m.readers.spec import check_least

SHUFFLE_SHARDS = 16  # whose rows are mixed


def training_batches(
    spec,
    batch_size,
    seed,
    start_step=0,
    num_epochs=None,
    worker=(0, 1),
    num_parallel=2,
    shuffle_shards=SHUFFLE_SHARDS,
    count_segments=False,
):
    """Shuffled batches without end, or for num_epochs; batches go on across the end of an epoch.

    Each epoch permutes the shards, and the rows within each group of `shuffle_shards` of them. A shard is indexed when its
    group's turn comes. Remote shards are held in memory, a group at a time.

    Args:
        spec: DataSpec.
        batch_size: rows of a global batch.
        seed: with the files, determines every batch.
        start_step: the first batch to give; what comes is identical to batches start_step, start_step + 1, ... of a run from 0.
        num_epochs: None for no end; only the very last batch may be smaller.
        worker: (i, n): of every global batch this worker's rows i::n. Where the last batch has fewer than n rows, some
            workers' are empty, so that all take the same number of steps.
        num_parallel: batches that are loaded at the same time.
        shuffle_shards: shards in a group.
        count_segments: of VideosWithSegments and SegmentsInVideos batch_size counts segments, not rows: a batch has as many
            videos as have no more segments together, but one for each worker at least (rows.filled).

    Returns:
        tf.data.Dataset of the batch dict: `ids` string [B]; `frames` uint8 [B, T, D] and `num_frames` int32 [B], or `features`
        float32 [B, D]; `labels` and `label_weights` float32 [B, C]; for RatedSegments `start_times` int32 [B]. With
        VideosWithSegments there are N segments in a batch of B videos: `segment_rows` int32 [N], the video of each,
        `start_times` [N], `labels` and `label_weights` [N, C]. With SegmentsInVideos `frames` uint8 [N, W, D] and `num_frames`
        [N] are those of the segments, the videos' are `context_frames` uint8 [B, T, D], `context_num_frames` int32 [B]. Of
        segments that are all annotated (spec.dense) the labels come as pairs (readers/pairs.py). As the spec asks:
        `video_labels`, `soft_labels` and `soft_weights`, float32 of the shape of `labels`.

    Raises:
        UserError: a bad argument, no file, or nothing to read in the files. What is found while reading arrives as a
            tf.errors.OpError: see failures.errors_as_user_errors.
    """
    for name, value in (("batch_size", batch_size), ("shuffle_shards", shuffle_shards), ("num_parallel", num_parallel)):
        check_least(name, value, 1)
    check_least("seed", seed, 0)
    files = shards(spec)

    def references():
        if not (count_segments and spec.by_video):
            rows = shuffled_rows(spec, files, seed, num_epochs, start_step * batch_size, shuffle_shards)
            return batched(rows, batch_size, worker)
        index, count = worker
        rows = shuffled_rows(spec, files, seed, num_epochs, 0, shuffle_shards)
        return (batch[index::count] for batch in itertools.islice(filled(rows, batch_size, count), start_step, None))

    return loaded(spec, files, references, num_parallel, keep=num_epochs != 1)


def evaluation_batches(spec, batch_size, worker=(0, 1), num_parallel=2):
    """Every row exactly once, in the order of the files; the last batch is smaller where it must be.

    Args, returns and raises: as training_batches.
    """
    check_least("batch_size", batch_size, 1)
    files = shards(spec)

    def references():
        return batched(ordered_rows(spec, files, ahead=True), batch_size, worker)

    return loaded(spec, files, references, num_parallel)


def count_examples(spec):
    """Number of rows of an epoch. Indexes every shard; rated segments and filtered videos need every record's context.

    Raises:
        UserError: no file, a damaged shard or record, or no row at all.
    """
    files, count = shards(spec), 0
    with Progress("Counting the rows", len(files), "shards") as progress:
        for rows in ordered_rows(spec, files):
            count += len(rows)
            progress.advance()
    return count


def count_filled_batches(spec, num_segments, seed, num_epochs, workers=1):
    """Number of the batches that training_batches gives with count_segments.

    Args:
        spec: DataSpec of rows by video.
        num_segments: its batch_size.
        seed, num_epochs: as its.
        workers: how many share a batch; of several the very last batch counts only if no other segment finds room in it.

    Raises:
        UserError: as count_examples.
    """
    rows = shuffled_rows(spec, shards(spec), seed, num_epochs, 0, SHUFFLE_SHARDS)
    sizes = [int(batch[:, 2].sum()) for batch in filled(rows, num_segments, workers)]
    return len(sizes) - (workers > 1 and sizes[-1] < num_segments)


def blended(first, second):
    """Batches of both datasets joined row by row, the first one's rows first; ends when the first ends.

    Args:
        first, second: datasets of batch dicts with the same keys, as training_batches gives them; frames of whole videos are
            padded to the longer ones.

    Returns:
        tf.data.Dataset of batch dicts.
    """

    def join(a, b):
        joined = {}
        for key in a:
            x, y = a[key], b[key]
            if key == "segment_rows":
                y = y + tf.shape(a["ids"], out_type=y.dtype)[0]
            elif key in ("frames", "context_frames") and x.shape[1] is None:
                length = tf.maximum(tf.shape(x)[1], tf.shape(y)[1])
                x, y = (tf.pad(z, [[0, 0], [0, length - tf.shape(z)[1]], [0, 0]]) for z in (x, y))
            joined[key] = tf.concat([x, y], axis=0)
        return joined

    return tf.data.Dataset.zip(first, second).map(join)
