"""Features of pairs of a store of segments, its candidates, and the scores that re-ranking gives them."""

import contextlib
import functools

import numpy as np

from yt8m.ensembles import fusion
from yt8m.errors import UserError
from yt8m.progress import track
from yt8m.reranking import score_features
from yt8m.reranking.combined import averaged_ranks, in_video, mean_of
from yt8m.reranking.frames import Pairs
from yt8m.scoring.topk import TopSegments

CANDIDATES_BY = ("segments", "videos")
MAXIMUM = score_features.NAMES.index("video's maximum")
# Type of a store -> what is stored of pairs that are no candidates lies below it, of candidates above. Floats are finest near 0.
OTHERS = {"uint16": 0.5, "float16": 2.0**-6}
MOST, BELOW = 100.0, 200.0  # logits of candidates lie within -MOST and MOST; what is no candidate is BELOW, in the base order


class StoreFeatures:
    """What the members' stores of segments and the scores of their videos say of pairs.

    Without a store of videos the mean over a video's segments stands in for its score. Kept are two numbers for each
    (video, class) and member, and the candidates.

    Args:
        members: members.Members.
        num_candidates: the so many best segments of each class, by the mean of the members' logits, are its candidates; 0: none
            are looked for.
        candidates_by: of CANDIDATES_BY: "segments"; or "videos": candidates are all segments of the class's best videos, by the
            mean of the members' logits of these, until there are so many (first place, 2019).
        num_related: other classes, those that correlate most with it by that mean, that are related to a class; None: no
            classes are.

    Attributes:
        members.
        num_rows: segments of a store.
        related: int [C, 1 + num_related], each class and those that are related to it, or None.

    Raises:
        UserError: stores without segments, of other rows, or one of videos that lacks some.
    """

    def __init__(self, members, num_candidates=0, num_related=None, candidates_by="segments"):
        self.members, self.num_rows = members, 0
        self._classes, self._places, num_videos = np.arange(len(members.label_ids)), {}, 0
        videos, first_rows = [[] for _ in members.stores], []
        best = TopSegments(len(self._classes), num_candidates) if num_candidates and candidates_by == "segments" else None
        together = score_features.Correlations(len(self._classes)) if num_related is not None else None
        for shard in track(members.shards, "Reading the scores", "shards"):
            self._places[shard] = self.num_rows, num_videos
            for part in members.first.parts(shard):
                of_members = members.logits(part, self._classes)
                if best:
                    best.update(mean_of(of_members), self.num_rows)
                if together:
                    together.update(mean_of(of_members))
                first_rows.append(self.num_rows + part.firsts)
                self.num_rows += len(part.ids)
                num_videos += len(part.firsts)
                for of_member, stores, x in zip(videos, members.stores, of_members):
                    of_member.append(self._of_videos(stores, part, x))
        if not num_videos:
            raise UserError(f"{members.first.folder}: no segment in its shards. Score the shards again, or name another store.")
        self._videos = [score_features.VideoFeatures(np.concatenate(of_member)) for of_member in videos]
        self._candidates = _keys(best) if best else None
        if num_candidates and candidates_by == "videos":
            scores = mean_of([of_member.logits for of_member in self._videos])
            self._candidates = _keys_of_videos(scores, np.append(np.concatenate(first_rows), self.num_rows), num_candidates)
        self.related = together.related(num_related) if together else None

    @property
    def all_candidates(self):
        """Whether each segment is a candidate of each class."""
        return len(self._candidates) == self.num_rows * len(self._classes)

    def of_pairs(self, part, rows, classes):
        """Features of pairs of a Part by each member, a list of float32 [m, 8]: rows int [m] in it, classes int [m]."""
        needed, columns = np.unique(classes, return_inverse=True)
        numbers = self._places[part.shard][1] + part.first_video + np.arange(len(part.firsts))
        videos, linked = np.searchsorted(part.firsts, rows, side="right") - 1, self.members.first.linked(part)
        found = []
        for x, of_videos in zip(self.members.logits(part, needed), self._videos):
            of_segments = score_features.of_segments(x, part.firsts, linked)[rows, columns]  # [m, 5]
            found.append(np.concatenate([of_segments, of_videos.of(numbers)[videos, classes]], axis=1))
        return found

    def of_related(self, part, rows, related):
        """Logits of several classes beside each other by each member, a list of float32 [m, r].

        Args:
            part: a Part; rows: int [m] in it; related: int [m, r], classes.
        """
        return [x[rows[:, None], related] for x in self.members.logits(part, self._classes)]

    @property
    def classes_of_candidates(self):
        """Class of each candidate, in their order: int [K]."""
        return self._candidates % len(self._classes)

    def candidates(self, part):
        """The candidates of a Part: rows int [m] in it, rising, and classes int [m]."""
        first = self._first_row(part)
        rows, classes = np.divmod(self._candidates[self.places(part)], len(self._classes))
        return rows - first, classes

    def places(self, part):
        """Where the candidates of a Part are among all, a slice."""
        first = self._first_row(part)
        return slice(*np.searchsorted(self._candidates, np.array([first, first + len(part.ids)]) * len(self._classes)))

    def places_of(self, part, rows, classes):
        """Where pairs of a Part are among the candidates, int [m]: -1 where they are none."""
        keys = (self._first_row(part) + rows) * len(self._classes) + classes
        places = np.minimum(np.searchsorted(self._candidates, keys), len(self._candidates) - 1)
        return np.where(self._candidates[places] == keys, places, -1)

    def _first_row(self, part):
        return self._places[part.shard][0] + part.first_row

    def _of_videos(self, stores, part, x):
        """Logits float32 [V, C] of a part's videos by a member's stores; x: those of its segments."""
        stored = stores.video_logits(part, self._classes)
        if stored is not None:
            return stored
        counts = np.diff(np.append(part.firsts, len(x)))
        return np.add.reduceat(x, part.firsts, axis=0) / counts[:, None].astype(np.float32)


class Reranker:
    """Scores of pairs after re-ranking, as logits, the mean over the members: those of candidates above those of all others.

    Args:
        features: StoreFeatures with candidates.
        references: references.RatedReferences.
        frames: frames.ShardFrames of the stores' shards.
        ranks: of each member a function of features float32 [m, F] and Pairs to logits float32 [m] (rankers, pair_model).
        expansion: frames beside a segment that the ranks look at; None: they look at features alone.
        exponent: as combined.in_video's, of each member's own scores.
        related: int [C, r], classes whose scores the ranks look at in place of the references' contrast; None: of none.
        old_share: of the rank before in the average of ranks by which a class's candidates are ordered; 0: the mean of the
            members' new logits is their score.
        localizer: localizer.Localizer, whose score is the last feature; None: it is no feature.
    """

    def __init__(
        self, features, references, frames, ranks, expansion=None, exponent=0.0, related=None, old_share=0.0, localizer=None
    ):
        self.features, self._references, self._frames, self._ranks = features, references, frames, ranks
        self._expansion, self._exponent, self._related, self._old_share = expansion, exponent, related, old_share
        self._localizer = localizer

    def of_members(self, part, rows, classes):
        """What each member says of some pairs of a Part, before and after, and all together: lists of float32 [m], float32 [m].

        Args:
            part: of the first member's store; rows: int [m] in it; classes: int [m].
        """
        before = [x[rows, classes] for x in self.features.members.logits(part, self._classes)]
        after, places = [x - BELOW for x in before], self.features.places_of(part, rows, classes)
        chosen = np.flatnonzero(places >= 0)
        for scores, of_candidates in zip(after, self._of_candidates(part, rows[chosen], classes[chosen])):
            scores[chosen] = of_candidates
        together = mean_of(after)
        if self._old_share:
            together = together.copy()
            together[chosen] = self._averaged[places[chosen]]
        return before, after, together

    def blocks(self, store=None):
        """Yields (ids, starts, logits float32 [n, C]) of all rows; writes probabilities into `store`, a ScoreStore or None.

        A candidate is stored as s + (1 - s) p, p its new probability, s of OTHERS, and any other pair as s times its score
        before; where every pair is a candidate, as p. Shards that the store has already are not written again.
        """
        members = self.features.members
        for shard in track(members.shards, "Re-ranking", "shards"):
            new = store is not None and not store.has(shard)
            with store.writer(shard) if new else contextlib.nullcontext() as writer:
                for part in members.first.parts(shard):
                    scores = mean_of(members.logits(part, self._classes)) - BELOW
                    chosen = self.features.candidates(part)
                    of_pairs = self._of_candidates(part, *chosen) if not self._old_share else None
                    scores[chosen] = mean_of(of_pairs) if of_pairs else self._averaged[self.features.places(part)]
                    if writer:
                        writer.add(part.ids, part.starts, self._probabilities(scores, OTHERS[store.config.dtype]))
                    yield part.ids, part.starts, scores

    @property
    def _classes(self):
        return np.arange(len(self.features.members.label_ids))

    @functools.cached_property
    def _averaged(self):
        """averaged_ranks of all candidates, in their order: float32 [K]."""
        members, kinds = self.features.members, self.features.classes_of_candidates
        before, after = np.zeros((2, len(kinds)), np.float32)
        for shard in track(members.shards, "Ranking the candidates", "shards"):
            for part in members.first.parts(shard):
                chosen, places = self.features.candidates(part), self.features.places(part)
                before[places] = mean_of(members.logits(part, self._classes))[chosen]
                after[places] = mean_of(self._of_candidates(part, *chosen))
        return averaged_ranks(before, after, kinds, self._old_share)

    def _of_candidates(self, part, rows, classes):
        """Logits of candidates of a Part by each member, a list of float32 [m]."""
        if not len(rows):
            return [np.zeros(0, np.float32) for _ in self._ranks]
        segments, places = np.unique(rows, return_inverse=True)
        means = self._frames.means(part.shard, part.ids[segments], part.starts[segments])
        near = self._references.features(means, places, part.ids[rows], classes)
        if self._localizer:
            near = np.concatenate([near, self._located(part, rows, classes)[:, None]], axis=1)
        of_members = self.features.of_pairs(part, rows, classes)
        of_pairs, found = self._pairs(part, rows, classes, segments, places), []
        for rank, of_member, pairs in zip(self._ranks, of_members, of_pairs):
            logits = rank(np.concatenate([of_member, near], axis=1), pairs)
            found.append(np.clip(in_video(logits, of_member[:, MAXIMUM], self._exponent), -MOST, MOST))
        return found

    def _pairs(self, part, rows, classes, segments, places):
        """The Pairs of candidates of a Part for each member's ranker, a list; None where it looks at features alone."""
        if self._expansion is None:
            return [None] * len(self._ranks)
        windows = self._frames.windows(part.shard, part.ids[segments], part.starts[segments], self._expansion)
        if self._related is None:
            return [Pairs(*windows, places, classes, self._references.contrast(part.ids[rows], classes))] * len(self._ranks)
        of_members = self.features.of_related(part, rows, self._related[classes])
        return [Pairs(*windows, places, classes, related=related) for related in of_members]

    def _located(self, part, rows, classes):
        """The localiser's scores of pairs of a Part: float32 [m]."""
        ids, located = part.ids[rows], np.zeros(len(rows), np.float32)
        asked = self._frames.asked(part.shard, ids, part.starts[rows], classes)
        located[np.argsort(ids, kind="stable")] = self._localizer(asked)
        return located

    def _probabilities(self, scores, others):
        """What is stored of `blocks`' logits."""
        candidates = scores >= -MOST
        p = np.exp(fusion.log_probabilities(np.where(candidates, scores, scores + BELOW)))
        return p if self.features.all_candidates else np.where(candidates, others + (1 - others) * p, others * p)


def _keys(best):
    """row * C + class of all that TopSegments kept, rising: int64."""
    count = best.num_classes
    keys = np.concatenate([best.top(c)[0] * count + c for c in range(count)])
    keys.sort()
    return keys


def _keys_of_videos(scores, first_rows, least):
    """row * C + class, rising, of the segments of each class's best videos, as few as have `least` segments: int64.

    Args:
        scores: float32 [V, C], of videos; of equal ones the first are taken.
        first_rows: int [V + 1], each video's first row, and the number of rows.
        least: segments.
    """
    counts, num_classes = np.diff(first_rows), scores.shape[1]
    taken = np.zeros(scores.shape, bool)
    for c in range(num_classes):
        ordered = np.argsort(-scores[:, c], kind="stable")
        before = np.cumsum(counts[ordered]) - counts[ordered]
        taken[ordered[before < least], c] = True
    keys = [
        (np.arange(first, first + count)[:, None] * num_classes + np.flatnonzero(of_video)).ravel()
        for first, count, of_video in zip(first_rows, counts, taken)
        if of_video.any()
    ]
    return np.concatenate(keys)
