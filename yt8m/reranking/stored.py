"""Features of pairs of a store of segments, its candidates, and the scores that re-ranking gives them."""

import contextlib

import numpy as np

from yt8m.ensembles import fusion
from yt8m.errors import UserError
from yt8m.progress import track
from yt8m.reranking import score_features
from yt8m.reranking.references import Descriptors, References, unit
from yt8m.scoring.topk import TopSegments

MOST, BELOW = 100.0, 200.0  # logits of candidates lie within -MOST and MOST; what is no candidate is BELOW, in the base order


class RatedReferences:
    """References from the mean frames of rated segments.

    Args:
        rated: frames.RatedSegments.
        sizes: of the two features.
        label_ids: the classes.
    """

    def __init__(self, rated, sizes, label_ids):
        self._rgb_size, self._mean = sizes[0], rated.means.mean(axis=0)
        place = {label: c for c, label in enumerate(label_ids)}
        classes = np.array([place[label] for label in rated.classes.tolist()], np.int64)
        described = self._descriptors(rated.means)
        self._references = References(described, rated.ids, classes, rated.labels, len(label_ids))

    def features(self, means, places, videos, classes):
        """Features of pairs, float32 [m, 12].

        Args:
            means: float32 [n, D], mean frames of segments.
            places: int [m], each pair's segment among them.
            videos: str [m], ids.
            classes: int [m], 0 to C - 1.
        """
        described, features = self._descriptors(means), np.zeros((len(classes), len(self._references.names)), np.float32)
        order = np.argsort(classes, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(classes[order])) + 1):  # descriptors of a class's pairs at a time
            features[rows] = self._references.features(described.rows(places[rows]), videos[rows], classes[rows])
        return features

    def _descriptors(self, means):
        parts = np.split(means, [self._rgb_size], axis=1), np.split(self._mean, [self._rgb_size])
        return Descriptors(*(unit(of, mean) for of, mean in zip(*parts)))


class StoreFeatures:
    """What a store of segments and the scores of its videos say of pairs.

    Without a store of videos the mean over a video's segments stands in for its score. Kept are two numbers for each
    (video, class) and the candidates.

    Args:
        stores: ensembles.fused.FusedStores.
        num_candidates: the so many best segments of each class are its candidates; 0: none are looked for.

    Attributes:
        stores.
        num_rows: segments of the store.

    Raises:
        UserError: a store without segments, or one of videos that lacks some.
    """

    def __init__(self, stores, num_candidates=0):
        self.stores, self.num_rows = stores, 0
        self._classes, self._places, videos, num_videos = np.arange(len(stores.label_ids)), {}, [], 0
        best = TopSegments(len(self._classes), num_candidates) if num_candidates else None
        for shard in track(stores.shards, "Reading the scores", "shards"):
            self._places[shard] = self.num_rows, num_videos
            for part in stores.parts(shard):
                x = stores.logits(part, self._classes)
                if best:
                    best.update(x, self.num_rows)
                self.num_rows += len(x)
                num_videos += len(part.firsts)
                videos.append(self._of_videos(part, x))
        if not videos:
            raise UserError(f"{stores.folder}: no segment in its shards. Score the shards again, or name another store.")
        self._videos = score_features.VideoFeatures(np.concatenate(videos))
        self._candidates = _keys(best) if best else None

    @property
    def all_candidates(self):
        """Whether each segment is a candidate of each class."""
        return len(self._candidates) == self.num_rows * len(self._classes)

    def of_pairs(self, part, rows, classes):
        """Features of pairs of a Part, float32 [m, 8]: rows int [m] in it, classes int [m]."""
        needed, columns = np.unique(classes, return_inverse=True)
        x = self.stores.logits(part, needed)
        of_segments = score_features.of_segments(x, part.firsts, self.stores.linked(part))[rows, columns]  # [m, 5]
        numbers = self._places[part.shard][1] + part.first_video + np.arange(len(part.firsts))
        videos = np.searchsorted(part.firsts, rows, side="right") - 1
        return np.concatenate([of_segments, self._videos.of(numbers)[videos, classes]], axis=1)

    def candidates(self, part):
        """The candidates of a Part: rows int [m] in it, rising, and classes int [m]."""
        first = self._first_row(part)
        begin, end = np.searchsorted(self._candidates, np.array([first, first + len(part.ids)]) * len(self._classes))
        rows, classes = np.divmod(self._candidates[begin:end], len(self._classes))
        return rows - first, classes

    def are_candidates(self, part, rows, classes):
        """Which pairs of a Part are candidates: bool [m]."""
        keys = (self._first_row(part) + rows) * len(self._classes) + classes
        places = np.minimum(np.searchsorted(self._candidates, keys), len(self._candidates) - 1)
        return self._candidates[places] == keys

    def _first_row(self, part):
        return self._places[part.shard][0] + part.first_row

    def _of_videos(self, part, x):
        """Logits float32 [V, C] of a part's videos; x: those of its segments."""
        stored = self.stores.video_logits(part, self._classes)
        if stored is not None:
            return stored
        counts = np.diff(np.append(part.firsts, len(x)))
        return np.add.reduceat(x, part.firsts, axis=0) / counts[:, None].astype(np.float32)


class Reranker:
    """Scores of a store's pairs after re-ranking, as logits: those of candidates above those of all others.

    Args:
        features: StoreFeatures with candidates.
        references: RatedReferences.
        frames: frames.ShardFrames of the store's shards.
        rank: function of features float32 [m, 20] to logits float32 [m] (rankers.fit).
    """

    def __init__(self, features, references, frames, rank):
        self.features, self._references, self._frames, self._rank = features, references, frames, rank

    def logits(self, part, rows, classes):
        """float32 [m] of some pairs of a Part: rows int [m] in it, classes int [m]."""
        scores = self.features.stores.logits(part, np.arange(len(self.features.stores.label_ids)))[rows, classes] - BELOW
        chosen = np.flatnonzero(self.features.are_candidates(part, rows, classes))
        scores[chosen] = self._of_candidates(part, rows[chosen], classes[chosen])
        return scores

    def blocks(self, store=None):
        """Yields (ids, starts, logits float32 [n, C]) of all rows; writes probabilities into `store`, a ScoreStore or None.

        A candidate is stored as .5 + .5 p, p its new probability, and any other pair as .5 of its score before; where every
        pair is a candidate, as p. Shards that the store has already are not written again.
        """
        stores = self.features.stores
        classes = np.arange(len(stores.label_ids))
        for shard in track(stores.shards, "Re-ranking", "shards"):
            new = store is not None and not store.has(shard)
            with store.writer(shard) if new else contextlib.nullcontext() as writer:
                for part in stores.parts(shard):
                    scores = stores.logits(part, classes) - BELOW
                    chosen = self.features.candidates(part)
                    scores[chosen] = self._of_candidates(part, *chosen)
                    if writer:
                        writer.add(part.ids, part.starts, self._probabilities(scores))
                    yield part.ids, part.starts, scores

    def _of_candidates(self, part, rows, classes):
        """Logits float32 [m] of candidates of a Part."""
        if not len(rows):
            return np.zeros(0, np.float32)
        segments, places = np.unique(rows, return_inverse=True)
        means = self._frames.means(part.shard, part.ids[segments], part.starts[segments])
        near = self._references.features(means, places, part.ids[rows], classes)
        features = np.concatenate([self.features.of_pairs(part, rows, classes), near], axis=1)
        return np.clip(self._rank(features), -MOST, MOST)

    def _probabilities(self, scores):
        """What is stored of `blocks`' logits."""
        candidates = scores >= -MOST
        p = np.exp(fusion.log_probabilities(np.where(candidates, scores, scores + BELOW)))
        return p if self.features.all_candidates else 0.5 * (p + candidates)


def _keys(best):
    """row * C + class of all that TopSegments kept, rising: int64."""
    count = best.num_classes
    keys = np.concatenate([best.top(c)[0] * count + c for c in range(count)])
    keys.sort()
    return keys
