"""Ensembles of score stores: several runs' scores of the same rows, read side by side, a shard at a time."""

import contextlib
import os
import sys

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from yt8m.errors import UserError
from yt8m.readers.stores import StoreConfig, create_store, open_store
from yt8m.scoring.submission import write_submission
from yt8m.scoring.topk import TopSegments

ROWS_AT_A_TIME = 512  # [512, 1000] float64 stays in the caches
_ONE = int(np.float16(1).view(np.uint16))  # float16 from 0 to 1 are, as integers, 0 to this, in the same order


class Members:
    """Stores that hold scores of the same rows.

    Args:
        folders: of the stores, in the members' order.
        label_ids: the classes that are wanted; None: the first store's.

    Attributes:
        folders, stores: the members.
        label_ids: of the C classes.
        kind, segment_size: as in StoreConfig.
        shards: basenames.

    Raises:
        UserError: no store there, stores of different kinds, of different shards, or one without a wanted class.
    """

    def __init__(self, folders, label_ids=None):
        self.folders = list(folders)
        self.stores = [open_store(folder) for folder in self.folders]
        first = self.stores[0].config
        self.kind, self.segment_size = first.kind, first.segment_size
        self.label_ids = list(first.label_ids if label_ids is None else label_ids)
        for name in ("kind", "segment_size"):
            for folder, store in zip(self.folders, self.stores):
                if getattr(store.config, name) != getattr(first, name):
                    values = f"{getattr(first, name)} in {self.folders[0]}, {getattr(store.config, name)} in {folder}"
                    raise UserError(f"{name}: {values}. Members must score the same rows.")
        self._columns = [self._columns_of(folder, store) for folder, store in zip(self.folders, self.stores)]
        self.shards = self._common_shards()

    @property
    def runs(self):
        """What made each member's scores."""
        return [store.config.run for store in self.stores]

    def read(self, shard):
        """The rows of a shard: ids str [N], starts int64 [N] (None for videos), and each member's values, memory-mapped [N, .].

        Raises:
            UserError: a member has other rows (names the first that differs), or a file is damaged.
        """
        ids, starts, values = None, None, []
        for folder, store in zip(self.folders, self.stores):
            stored = store.read(shard)
            if ids is None:
                ids, starts = stored.ids, stored.starts
            elif not np.array_equal(ids, stored.ids) or (starts is not None and not np.array_equal(starts, stored.starts)):
                other = row_names(stored.ids, stored.starts)
                raise _other_rows(shard, self.folders[0], row_names(ids, starts), folder, other)
            values.append(stored.values)
        return ids, starts, values

    def blocks(self, shard):
        """Yields (ids [n], starts [n] or None, values) of the wanted classes; values: a list of K arrays [n, C], checked."""
        ids, starts, values = self.read(shard)
        for begin in range(0, len(ids), ROWS_AT_A_TIME):
            rows = slice(begin, begin + ROWS_AT_A_TIME)
            part = ids[rows], None if starts is None else starts[rows]
            yield *part, [self._sound(k, own[rows][:, self._columns[k]], shard, *part) for k, own in enumerate(values)]

    def pairs(self, ratings, flag):
        """The members' scores of rated (segment, class) pairs.

        Args:
            ratings: readers.ratings.Ratings; pairs of classes that are not wanted are left out.
            flag: what error messages call the ratings.

        Returns:
            classes int64 [n] (0 to C - 1), labels float32 [n], values: a list of K arrays [n].

        Raises:
            UserError: a store of videos, no pair of a wanted class, or a rated segment that is not in the stores.
        """
        if self.kind != "segments":
            raise UserError(f"--{flag}: ratings are of segments, the stores hold scores of videos.")
        column = {label: c for c, label in enumerate(self.label_ids)}
        classes = np.array([column.get(label, -1) for label in ratings.labels.tolist()], np.int64)
        kept = np.flatnonzero(classes >= 0)
        if not len(kept):
            raise UserError(f"--{flag}: no rating of the {len(column)} classes. Name the shards that go with them.")
        classes, labels = classes[kept], ratings.scores[kept]
        segments, index = pd.factorize(row_names(ratings.video_ids[kept], ratings.start_times[kept]))
        values = [np.zeros(len(kept), store.config.dtype) for store in self.stores]
        seen = np.zeros(len(kept), bool)
        for shard in self.shards:
            ids, starts, stored = self.read(shard)
            places = pd.Index(index).get_indexer(row_names(ids, starts))
            rows = np.full(len(index), -1)
            rows[places[places >= 0]] = np.flatnonzero(places >= 0)
            own = np.flatnonzero(rows[segments] >= 0)
            seen[own] = True
            at = rows[segments[own]]
            for k, everything in enumerate(stored):
                columns = np.arange(everything.shape[1])[self._columns[k]][classes[own]]
                values[k][own] = self._sound(k, everything[at, columns], shard, ids[at], starts[at])
        if not seen.all():
            missing = np.unique(segments[~seen])
            raise UserError(
                f"--{flag}: {len(missing)} of {len(index)} rated segments are not in the stores ({index[missing[0]]}, ...). "
                "Score these shards too, without --skip_head_segments, or name the shards that were scored."
            )
        return classes, labels, values

    def _columns_of(self, folder, store):
        """What selects the wanted classes: a slice where these are the store's own, in its order."""
        own = list(store.config.label_ids)
        if own == self.label_ids:
            return slice(None)
        column = {label: index for index, label in enumerate(own)}
        missing = [label for label in self.label_ids if label not in column]
        if missing:
            raise UserError(
                f"{folder}: no scores of {len(missing)} of the {len(self.label_ids)} classes ({missing[0]}, ...). "
                "Name classes that all members predict in --segment_label_ids_file."
            )
        return np.array([column[label] for label in self.label_ids])

    def _common_shards(self):
        shards = self.stores[0].shards()
        if not shards:
            raise UserError(f"{self.folders[0]}: no complete shard in it. Run inference.py --scores_output to its end.")
        for folder, store in zip(self.folders[1:], self.stores[1:]):
            different = sorted(set(shards) ^ set(store.shards()))
            if different:
                without, having = (folder, self.folders[0]) if different[0] in shards else (self.folders[0], folder)
                raise UserError(f"{without} has no complete shard {different[0]}, {having} has. Score the same shards with all.")
        return shards

    def _sound(self, k, values, shard, ids, starts):
        """The values, if they are probabilities; a float16 that rounding put below 0 becomes 0."""
        config = self.stores[k].config
        highest = config.scale if config.dtype == "uint16" else _ONE
        if not values.size or values.view(np.uint16).max() <= highest:
            return values
        scores = values.astype(np.float32) / config.scale
        wrong = ~((scores >= -1e-5) & (scores <= 1))
        if wrong.any():
            row = np.argwhere(wrong)[0]
            where = row_names(ids, starts)[row[0]]
            raise UserError(
                f"{self.folders[k]}, shard {shard}: a score of {where} is {scores[tuple(row)]}, expected 0 to 1. Score it again."
            )
        return np.where(values > 0, values, values.dtype.type(0))


class Probabilities:
    """The scores themselves, in units of 1 / unit: integers where they were stored so, whose sums are exact.

    Attributes:
        unit: what a score of 1 is.
    """

    def __init__(self, members):
        scales = [store.config.scale for store in members.stores]
        self.unit = scales[0] if len(set(scales)) == 1 else 1
        self._factors = [self.unit / scale for scale in scales]

    def of(self, k, values, columns):
        """Member k's stored values [n, C] (columns: 0 to C - 1) or [n] (columns int [n]) in these units."""
        return values if self._factors[k] == 1 else values * self._factors[k]


class Ranks:
    """The rank of a score within its class over all rows, as a share: 0 the best row, -1 the worst, ties their mean.

    So it is (scipy.stats.rankdata - N) / (N - 1). Counting from the best keeps float32 exact where a submission is cut. The
    stored values are few (10,000 of uint16, 15,361 of float16), so a histogram of each class, 40 or 61 MB a member at 1,000
    classes, gives exact ranks in one pass over the stores.

    Attributes:
        unit: what a share of 1 is: twice N - 1, so that half ranks are integers.
    """

    def __init__(self, members):
        num_classes = len(members.label_ids)
        self._levels = [
            (store.config.scale if store.config.dtype == "uint16" else _ONE) + 1 for store in members.stores
        ]  # values of a member
        counts = [np.zeros(num_classes * levels, np.uint32) for levels in self._levels]
        columns, num_rows = np.arange(num_classes), 0
        for shard in progress(members.shards, "Ranking"):
            for ids, _, values in members.blocks(shard):
                num_rows += len(ids)
                for k, own in enumerate(values):
                    np.add.at(counts[k], self._places(k, own, columns).ravel(), np.uint32(1))
        if num_rows >= 2**31:
            raise UserError(f"{num_rows} rows: ranks are for fewer than 2^31. Use --method=mean.")
        self.unit = 2 * max(num_rows - 1, 1)
        self._above = [_twice_the_rows_above(own.reshape(num_classes, -1), num_rows) for own in counts]

    def of(self, k, values, columns):
        """As Probabilities.of."""
        return np.negative(np.take(self._above[k], self._places(k, values, columns)), dtype=np.float64)

    def _places(self, k, values, columns):
        return columns * self._levels[k] + values.view(np.uint16)


def average(measure, values, weights, columns):
    """The weighted mean over members.

    Args:
        measure: Probabilities or Ranks.
        values: K arrays [n, C], or [n].
        weights: float64 [K, C].
        columns: int [C], the classes; or [n], the class of each value.

    Returns:
        float32, as `values`. With whole weights equal sums are equal to the last bit, so that ties stay ties.
    """
    total, term = np.zeros(values[0].shape), np.empty(values[0].shape)
    for k, own in enumerate(values):
        np.multiply(measure.of(k, own, columns), weights[k][columns], out=term)
        total += term
    total /= weights.sum(axis=0)[columns] * measure.unit
    return total.astype(np.float32)


def averaged_blocks(members, measure, weights, store=None):
    """Yields (ids, starts, scores float32 [n, C]) of all rows, in the order of the shards; writes them into `store` as well.

    Args:
        store: a ScoreStore, or None. Shards that it has already are not written again.
    """
    columns = np.arange(len(members.label_ids))
    for shard in progress(members.shards, "Averaging"):
        new = store is not None and not store.has(shard)
        with store.writer(shard) if new else contextlib.nullcontext() as writer:
            for ids, starts, values in members.blocks(shard):
                scores = average(measure, values, weights, columns)
                if writer:
                    writer.add(ids, starts, scores)
                yield ids, starts, scores


def ensemble_store(members, weights, folder):
    """The ScoreStore to write the mean to: kind and classes of the members, dtype of the first.

    Raises:
        UserError: the folder is a member's, or holds the scores of another run.
    """
    if os.path.realpath(folder) in map(os.path.realpath, members.folders):
        raise UserError(f"--scores_output={folder} is a member of the ensemble. Name another folder.")
    kept = weights[:, 0] if (weights == weights[:, :1]).all() else weights.T
    run = {"ensemble": members.runs, "method": "mean", "weights": kept.tolist()}
    first = members.stores[0].config
    return create_store(folder, StoreConfig(members.kind, tuple(members.label_ids), first.dtype, members.segment_size, run))


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


def row_names(ids, starts):
    """Names of rows as in a submission, `id:start`, as an array of objects; of videos `id`."""
    if starts is None:
        return np.array(ids, object)
    return np.array([f"{video}:{start}" for video, start in zip(ids.tolist(), starts.tolist())], object)


def progress(items, what):
    """Shows a bar on a terminal while it passes the items on."""
    return track(items, what, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


def _twice_the_rows_above(counts, num_rows):
    """uint32 [C * L]: twice the rows of a higher value, and one less than the rows of this; counts [C, L] by rising value."""
    for own in counts:
        not_above = np.cumsum(own, dtype=np.int64)
        own[:] = np.where(own, 2 * (num_rows - not_above) + own - 1, 0)
    return counts.ravel()


def _other_rows(shard, folder, names, other_folder, other_names):
    same = min(len(names), len(other_names))
    at = next((i for i in range(same) if names[i] != other_names[i]), same)
    there, here = (rows[at] if at < len(rows) else "no more" for rows in (names, other_names))
    return UserError(
        f"shard {shard}, row {at + 1}: {folder} has {there}, {other_folder} has {here}. Score the same segments with both."
    )
