"""Several runs' scores of the same rows, read side by side, a shard at a time."""

import numpy as np
import pandas as pd

from yt8m.errors import UserError
from yt8m.folders import short_names
from yt8m.readers.stores import open_store
from yt8m.scoring.video_scores import columns_of

ROWS_AT_A_TIME = 512  # [512, 1000] float64 stays in the caches


class MemberStores:
    """Stores that hold scores of the same rows.

    Args:
        folders: of the stores, in the members' order.
        label_ids: the classes that are wanted; None: the first store's.

    Attributes:
        folders, stores: the members.
        names: short names of them.
        label_ids: of the C classes.
        kind, segment_size: as in StoreConfig.
        shards: basenames.

    Raises:
        UserError: no store there, stores of different kinds, of different shards, or one without a wanted class.
    """

    def __init__(self, folders, label_ids=None):
        self.folders = list(folders)
        self.names = short_names(self.folders)
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
        """Yields (ids [n], starts [n] or None, values) of the wanted classes; values: a list of K arrays [n, C]."""
        ids, starts, values = self.read(shard)
        for begin in range(0, len(ids), ROWS_AT_A_TIME):
            rows = slice(begin, begin + ROWS_AT_A_TIME)
            part = [stored[rows][:, columns] for stored, columns in zip(values, self._columns)]
            yield ids[rows], None if starts is None else starts[rows], part

    def pairs(self, ratings, flag):
        """The members' scores of rated (segment, class) pairs.

        Args:
            ratings: metrics.segments.Ratings; pairs of classes that are not wanted are left out.
            flag: what error messages call the ratings.

        Returns:
            classes int64 [n] (0 to C - 1), labels float32 [n], values: a list of K arrays [n].

        Raises:
            UserError: a store of videos, no pair of a wanted class, or a rated segment that is not in the stores.
        """
        if self.kind != "segments":
            raise UserError(f"--{flag}: ratings are of segments, the stores hold scores of videos.")
        column = {label: c for c, label in enumerate(self.label_ids)}
        classes = np.array([column.get(label, -1) for label in ratings.classes.tolist()], np.int64)
        kept = np.flatnonzero(classes >= 0)
        if not len(kept):
            raise UserError(f"--{flag}: no rating of the {len(column)} classes. Name the shards that go with them.")
        classes, labels = classes[kept], ratings.scores[kept]
        segments, index = pd.factorize(ratings.segment_ids[kept].astype(object))
        values = [np.zeros(len(kept), store.config.dtype) for store in self.stores]
        seen = np.zeros(len(kept), bool)
        for shard in self.shards:
            ids, starts, stored = self.read(shard)
            places = pd.Index(index).get_indexer(row_names(ids, starts))
            rows = np.full(len(index), -1)
            rows[places[places >= 0]] = np.flatnonzero(places >= 0)
            here = np.flatnonzero(rows[segments] >= 0)  # the pairs that are in this shard
            seen[here] = True
            at = rows[segments[here]]
            for k, everything in enumerate(stored):
                columns = np.arange(everything.shape[1])[self._columns[k]][classes[here]]
                values[k][here] = everything[at, columns]
        if not seen.all():
            missing = np.unique(segments[~seen])
            raise UserError(
                f"--{flag}: {len(missing)} of {len(index)} rated segments are not in the stores ({index[missing[0]]}, ...). "
                "Score these shards too, without --skip_head_segments, or name the shards that were scored."
            )
        return classes, labels, values

    def _columns_of(self, folder, store):
        """What selects the wanted classes: a slice where these are the store's own, in its order."""
        return slice(None) if list(store.config.label_ids) == self.label_ids else columns_of(folder, store, self.label_ids)

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


def row_names(ids, starts):
    """Names of rows as in a submission, `id:start`, as an array of objects; of videos `id`."""
    if starts is None:
        return np.array(ids, object)
    return np.array([f"{video}:{start}" for video, start in zip(ids.tolist(), starts.tolist())], object)


def _other_rows(shard, folder, names, other_folder, other_names):
    same = min(len(names), len(other_names))
    at = next((i for i in range(same) if names[i] != other_names[i]), same)
    there, here = (rows[at] if at < len(rows) else "no more" for rows in (names, other_names))
    return UserError(
        f"shard {shard}, row {at + 1}: {folder} has {there}, {other_folder} has {here}. Score the same segments with both."
    )
