"""The mean of several runs' scores, as scores again or as a submission."""

import contextlib
import os

import numpy as np

from yt8m.ensembles.measures import average
from yt8m.ensembles.members import row_names
from yt8m.errors import UserError
from yt8m.progress import track
from yt8m.readers.stores import StoreConfig, check_same
from yt8m.scoring.submission import write_submission
from yt8m.scoring.topk import TopSegments


def averaged_blocks(members, measure, weights, store=None):
    """Yields (ids, starts, scores float32 [n, C]) of all rows, in the order of the shards; writes them into `store` as well.

    Args:
        store: a ScoreStore, or None. Shards that it has already are not written again.
    """
    columns = np.arange(len(members.label_ids))
    for shard in track(members.shards, "Averaging", "shards"):
        new = store is not None and not store.has(shard)
        with store.writer(shard) if new else contextlib.nullcontext() as writer:
            for ids, starts, values in members.blocks(shard):
                scores = average(measure, values, weights, columns)
                if writer:
                    writer.add(ids, starts, scores)
                yield ids, starts, scores


def ensemble_config(members, weights, folder, method="mean"):
    """StoreConfig of the mean (method: "mean" or "geometric") in a folder: kind and classes of the members, dtype of the first.

    Raises:
        UserError: the folder is a member's, or holds the scores of another run.
    """
    if os.path.realpath(folder) in map(os.path.realpath, members.folders):
        raise UserError(f"--scores_output={folder} is a member of the ensemble. Name another folder.")
    kept = weights[:, 0] if (weights == weights[:, :1]).all() else weights.T
    run = {"ensemble": members.runs, "method": method, "weights": kept.tolist()}
    first = members.stores[0].config
    config = StoreConfig(members.kind, tuple(members.label_ids), first.dtype, members.segment_size, run)
    check_same(folder, config)
    return config


def write_blocks(blocks, label_ids, path, max_pred):
    """Writes a submission as write_best does, and says so; without a path the blocks are only run through, for their store."""
    if not path:
        for _ in blocks:
            pass
        return
    count = write_best(blocks, label_ids, path, max_pred)
    print(f"Wrote {path}: the best of {count:,} segments for {len(label_ids)} classes.")


def write_best(blocks, label_ids, path, max_pred):
    """Writes a submission: for each class the segments of the highest scores, ties in the order of the rows.

    Args:
        blocks: iterable of (ids, starts, scores), read once the file is open: one that cannot be written is refused at once.
        label_ids: of the columns.
        path: CSV file.
        max_pred: segments a class.

    Returns:
        number of rows.
    """
    ids, starts, num_rows = [], [], 0

    def ranked():
        nonlocal num_rows
        best = TopSegments(len(label_ids), max_pred)
        for block_ids, block_starts, scores in blocks:
            best.update(scores, num_rows)
            num_rows += len(block_ids)
            ids.append(block_ids)
            starts.append(block_starts)
        all_ids, all_starts = (np.concatenate(parts) if parts else np.array([]) for parts in (ids, starts))
        for c in range(len(label_ids)):
            chosen, _ = best.top(c)
            yield row_names(all_ids[chosen], all_starts[chosen])

    write_submission(path, label_ids, ranked(), max_pred)
    return num_rows
