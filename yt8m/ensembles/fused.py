"""Fused scores from a store of segments and one of videos: of rated pairs, and of all rows."""

import contextlib
import os
from typing import NamedTuple

import numpy as np
import pandas as pd

from yt8m.ensembles import fusion as fusions
from yt8m.ensembles.members import row_names
from yt8m.errors import UserError
from yt8m.progress import track
from yt8m.readers.quantiser import decode_scores
from yt8m.readers.stores import StoreConfig, create_store, open_store
from yt8m.scoring.video_scores import VideoScores, columns_of

ROWS_AT_A_TIME = 512  # a few more where a video goes on


class FusedStores:
    """A store of segments and, where there is one, the store of their videos' scores.

    Args:
        folder: store of segments.
        video_folder: store of videos; "": none.
        label_ids: the classes that are wanted; None: all of the first store.
        flags: what messages call the two folders.

    Attributes:
        folder, video_folder, store, label_ids, shards.

    Raises:
        UserError: no such stores, or one that lacks a wanted class.
    """

    def __init__(self, folder, video_folder="", label_ids=None, flags=("scores", "video_scores")):
        self.folder, self.video_folder, self.store = folder, video_folder, open_store(folder)
        if self.store.config.kind != "segments":
            raise UserError(
                f"--{flags[0]}={folder} holds scores of videos. Name a store of segments, and this one as --{flags[1]}."
            )
        self.label_ids = list(self.store.config.label_ids if label_ids is None else label_ids)
        self._columns = columns_of(folder, self.store, self.label_ids)
        self._videos = VideoScores(video_folder, self.label_ids, flags[1]) if video_folder else None
        self.shards = self.store.shards()
        if not self.shards:
            raise UserError(f"--{flags[0]}={folder}: no complete shard in it. Run yt8m inference --scores_output to its end.")

    def blocks(self, shard):
        """Yields (ids str [n], starts int64 [n], Terms [n, C]) of whole videos."""
        everything = np.arange(len(self.label_ids))
        for part in self.parts(shard):
            yield part.ids, part.starts, self._terms(part, everything)

    def pairs(self, ratings, flag):
        """The Terms of rated pairs.

        Args:
            ratings: metrics.segments.Ratings; pairs of classes that are not wanted are left out.
            flag: what messages call the ratings.

        Returns:
            classes int64 [n] (0 to C - 1), labels float32 [n], Terms [n].

        Raises:
            UserError: no pair of a wanted class, or a rated segment that is not in the store.
        """
        classes, labels, columns = self.of_pairs(ratings, flag, self._pair_terms)
        return classes, labels, fusions.Terms(*columns)

    def of_pairs(self, ratings, flag, of_part):
        """What is computed of rated pairs, part by part.

        Args:
            ratings, flag: as `pairs`.
            of_part: function of a Part, rows int [m] in it and classes int [m] (0 to C - 1), the pairs: arrays [m, ...].

        Returns:
            classes int64 [n] (0 to C - 1), labels float32 [n], a list of arrays [n, ...].

        Raises:
            UserError: as `pairs`.
        """
        place = {label: c for c, label in enumerate(self.label_ids)}
        classes = np.array([place.get(label, -1) for label in ratings.classes.tolist()], np.int64)
        kept = np.flatnonzero(classes >= 0)
        if not len(kept):
            raise UserError(f"--{flag}: no rating of the {len(place)} classes. Name the shards that go with them.")
        classes, segments = classes[kept], ratings.segment_ids[kept].astype(object)
        rated, found = pd.Series(np.arange(len(kept))).groupby(segments).indices, []
        for shard in track(self.shards, "Reading the rated pairs", "shards"):
            for part in self.parts(shard):
                names = row_names(part.ids, part.starts).tolist()
                here = [(row, pair) for row, name in enumerate(names) if name in rated for pair in rated[name].tolist()]
                if here:
                    rows, pairs = np.array(here).T
                    found.append((pairs, of_part(part, rows, classes[pairs])))
        order = np.concatenate([pairs for pairs, _ in found]) if found else np.zeros(0, np.int64)
        if len(np.unique(order)) < len(kept):
            missing = np.unique(segments[np.setdiff1d(np.arange(len(kept)), order)])
            raise UserError(
                f"--{flag}: {len(missing)} rated segments are not in {self.folder} ({missing[0]}, ...). Score these shards too, "
                "without --skip_head_segments, or name the shards that were scored."
            )
        first = np.unique(order, return_index=True)[1]  # a repeated video's pairs come twice: the first count
        columns = zip(*(arrays for _, arrays in found))
        return classes, ratings.scores[kept], [np.concatenate(parts)[first] for parts in columns]

    def parts(self, shard):
        """Yields the Parts of a shard."""
        stored = self.store.read(shard)
        firsts = np.append(stored.first_rows(), len(stored.ids))
        begin = 0
        while begin < len(firsts) - 1:
            end = max(begin + 1, int(np.searchsorted(firsts, firsts[begin] + ROWS_AT_A_TIME, side="right")) - 1)
            rows = slice(firsts[begin], firsts[end])
            within = firsts[begin:end] - firsts[begin]
            place = shard, int(firsts[begin]), begin
            yield Part(stored.ids[rows], stored.starts[rows], stored.values[rows], within, *place)
            begin = end

    def logits(self, part, chosen):
        """Logits float32 [n, c] of a part's segments for some of the wanted classes, int [c]."""
        dtype = self.store.config.dtype
        return fusions.logits(decode_scores(part.values[:, self._columns[chosen]], dtype), dtype)

    def linked(self, part):
        """Whether the row after a part's row is the segment after it in the same video: bool [n - 1]."""
        return (part.ids[1:] == part.ids[:-1]) & (np.diff(part.starts) == self.store.config.segment_size)

    def video_logits(self, part, chosen):
        """Logits float32 [V, c] of a part's videos for some of the wanted classes, or None where there is no store of videos."""
        if self._videos is None:
            return None
        scores = self._videos.of(part.ids[part.firsts])[:, self._videos.columns[chosen]]
        return fusions.logits(scores, self._videos.dtype)

    def _terms(self, part, chosen):
        """The Terms of a part's segments for some of the wanted classes, int [c]: [n, c]."""
        of_videos = self.video_logits(part, chosen)
        return fusions.terms_of(self.logits(part, chosen), part.firsts, self.linked(part), of_videos)

    def _pair_terms(self, part, rows, classes):
        """The Terms of pairs of a part, [m] each."""
        needed, columns = np.unique(classes, return_inverse=True)
        terms = self._terms(part, needed)
        return [np.broadcast_to(term, terms.segment.shape)[rows, columns] for term in terms]


class Part(NamedTuple):
    """Rows of whole videos of a shard, one video or more.

    Attributes:
        ids, starts: str and int64 [n].
        values: [n, all], as stored.
        firsts: int [V], the first row of each video, within the part.
        shard: basename.
        first_row, first_video: where in the shard the part begins.
    """

    ids: np.ndarray
    starts: np.ndarray
    values: np.ndarray
    firsts: np.ndarray
    shard: str
    first_row: int
    first_video: int


def fused_blocks(stores, fusion, store=None):
    """Yields (ids, starts, logarithms of fused probabilities float32 [n, C]) of all rows; writes the probabilities into `store`.

    Args:
        stores: FusedStores.
        fusion: fusion.Fusion.
        store: a ScoreStore, or None. Shards that it has already are not written again.
    """
    for shard in track(stores.shards, "Fusing", "shards"):
        new = store is not None and not store.has(shard)
        with store.writer(shard) if new else contextlib.nullcontext() as writer:
            for ids, starts, terms in stores.blocks(shard):
                scores = fusions.log_probabilities(fusion.logits(terms))
                if writer:
                    writer.add(ids, starts, np.exp(scores))
                yield ids, starts, scores


def fused_store(stores, fusion, folder):
    """The ScoreStore to write fused scores to: classes and dtype of the segments'.

    Raises:
        UserError: the folder is one that is read, or holds the scores of another run.
    """
    for other in filter(None, (stores.folder, stores.video_folder)):
        if os.path.realpath(folder) == os.path.realpath(other):
            raise UserError(f"--scores_output={folder} is read from. Name another folder.")
    videos = open_store(stores.video_folder).config.run if stores.video_folder else None
    run = {"fusion": vars(fusion), "segments": stores.store.config.run, "videos": videos}
    config = stores.store.config
    return create_store(folder, StoreConfig("segments", tuple(stores.label_ids), config.dtype, config.segment_size, run))
