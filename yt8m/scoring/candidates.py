"""Ranking of segments in two steps: videos are proposed for a class, and their segments ranked (second and third place, 2019).

The scores of whole videos are in a store (yt8m inference --scores_output without --segment_labels). A segment is a candidate of
a class where its video passes all filters that are given:

    classes      the class is among the video's so many best ones, of all that the store has (third place: 20)
    least_score  the video's score for the class is at least this
    videos       the video is among the class's so many best ones
    segments     so are the videos before it, until they have so many segments (third place: 100,000)

The filters `videos` and `segments` look at what the first two have left over. Candidates are ranked by v^a s^(1-a), v the video's
score, s the segment's (third place: a = .05). A class with fewer candidates than are written is filled, where that is asked for,
with the segments of its best videos that are not listed yet, video by video: nothing that is listed moves.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from yt8m.errors import UserError
from yt8m.scoring.ranking import Ranking
from yt8m.scoring.topk import TopSegments
from yt8m.scoring.video_scores import VideoScores, video_rows

VIDEOS_AT_A_TIME = 256
_LEAST = 1e-8  # below every stored score but 0


@dataclass(frozen=True)
class CandidateRules:
    """Which videos a class's segments are taken from, and how they are ranked; 0: no such filter.

    Attributes:
        classes, least_score, videos, segments: the filters.
        exponent: a of v^a s^(1-a), 0 to 1; 0: the segments' scores alone.

    Raises:
        UserError: a value out of range.
    """

    classes: int = 0
    least_score: float = 0.0
    videos: int = 0
    segments: int = 0
    exponent: float = 0.0

    def __post_init__(self):
        for name in ("classes", "videos", "segments"):
            if getattr(self, name) < 0:
                raise UserError(f"--candidate_{name}={getattr(self, name)}: use 1 or more, or leave it out.")
        for flag, value in (("candidate_score", self.least_score), ("video_exponent", self.exponent)):
            if not 0 <= value <= 1:
                raise UserError(f"--{flag}={value:g}: use a number from 0 to 1.")


class ProposedVideos(NamedTuple):
    """Where the scores of whole videos are, and what is made of them.

    Attributes:
        rules: CandidateRules.
        folder: store of the videos' scores.
        fill_folder: store by whose scores short lists are filled; "": they are not.
    """

    rules: CandidateRules
    folder: str
    fill_folder: str = ""


class Candidates:
    """Which segments are candidates of which class, and by what they are ranked.

    Args:
        rules: CandidateRules.
        videos: VideoScores.
        rows: VideoRows of the segments.
        fill: VideoScores that fill short lists; None: nothing does.
    """

    def __init__(self, rules, videos, rows, fill=None):
        self._rules, self._videos, self._rows, self._fill = rules, videos, rows, fill
        self._last = self._last_videos() if rules.videos or rules.segments else None

    def log_scores(self, first_row, log_scores):
        """What consecutive segments are ranked by: a log v + (1 - a) log s, and -inf where they are no candidates.

        Args:
            first_row: the first segment's row.
            log_scores: float32 [n, C], logarithms of the segments' scores.

        Returns:
            float32 [n, C].
        """
        numbers = self._rows.of_rows(np.arange(first_row, first_row + len(log_scores)))
        videos, of_row = np.unique(numbers, return_inverse=True)
        scores, kept = self._of_videos(videos)
        if self._last is not None:
            lowest, latest = self._last
            kept &= (scores > lowest) | ((scores == lowest) & (videos[:, None] <= latest))
        ranked = log_scores
        if self._rules.exponent:
            a = np.float32(self._rules.exponent)
            of_segments = np.float32(1) - a
            ranked = a * logarithms(scores)[of_row] + (of_segments * log_scores if of_segments else 0)
        return np.where(kept[of_row], ranked, np.float32(-np.inf))

    def fillers(self, max_pred):
        """Yields, class by class, function of the rows that are listed (int [m]) -> rows to list after them (int64 [n])."""
        if self._fill is None:
            for _ in self._videos.columns:
                yield lambda listed: np.zeros(0, np.int64)
            return
        best = TopSegments(len(self._fill.columns), min(max_pred, max(len(self._rows.ids), 1)))
        for videos in self._in_parts():
            best.update(self._fill.of(self._rows.ids[videos])[:, self._fill.columns], videos)
        for c in range(best.num_classes):
            ordered = best.top(c)[0]

            def rest(listed, ordered=ordered):
                rows = _ranges(self._rows.first[ordered], self._rows.counts[ordered])
                return rows[~np.isin(rows, listed)][: max(max_pred - len(listed), 0)]

            yield rest

    def _of_videos(self, numbers):
        """Scores float32 [n, C] of videos int [n], and what the first two filters leave, bool [n, C]."""
        everything = self._videos.of(self._rows.ids[numbers])
        scores = everything[:, self._videos.columns]
        kept = scores >= np.float32(self._rules.least_score)
        k = self._rules.classes
        if 0 < k < everything.shape[1]:
            kth = np.partition(everything, -k, axis=1)[:, -k, None]
            above = np.count_nonzero(everything > kth, axis=1)[:, None]
            ties = np.cumsum(everything == kth, axis=1) <= k - above  # of equal scores the first classes
            kept &= ((everything > kth) | ((everything == kth) & ties))[:, self._videos.columns]
        return scores, kept

    def _last_videos(self):
        """Score float32 [C] and number int64 [C] of each class's last video that the filters `videos` and `segments` leave."""
        num_videos = len(self._rows.ids)
        capacity = min(self._rules.videos or num_videos, self._rules.segments or num_videos, max(num_videos, 1))
        best = TopSegments(len(self._videos.columns), max(capacity, 1))
        for videos in self._in_parts():
            scores, kept = self._of_videos(videos)
            best.update(np.where(kept, scores, np.float32(-np.inf)), videos)
        lowest, latest = np.zeros(best.num_classes, np.float32), np.full(best.num_classes, -1)
        for c in range(best.num_classes):
            numbers, scores = best.top(c)
            if self._rules.segments:
                before = np.cumsum(self._rows.counts[numbers]) - self._rows.counts[numbers]
                numbers, scores = (values[before < self._rules.segments] for values in (numbers, scores))
            if len(numbers):
                lowest[c], latest[c] = scores[-1], numbers[-1]
        return lowest, latest

    def _in_parts(self):
        """The videos' numbers, a part at a time."""
        for begin in range(0, len(self._rows.ids), VIDEOS_AT_A_TIME):
            yield np.arange(begin, min(begin + VIDEOS_AT_A_TIME, len(self._rows.ids)))


class CandidateRanking(Ranking):
    """A Ranking of candidates only, filled up where the Candidates say so; `add` takes logarithms of scores."""

    def __init__(self, num_classes, max_pred, candidates):
        super().__init__(num_classes, max_pred)
        self._candidates, self._fillers = candidates, None
        self._max_pred = max_pred

    def add(self, ids, starts, scores):
        super().add(ids, starts, self._candidates.log_scores(len(self), scores))

    def names(self):
        self._fillers = self._candidates.fillers(self._max_pred)
        yield from super().names()

    def chosen(self, index):
        rows, scores = self.best.top(index)
        rows = rows[scores > -math.inf]
        return np.concatenate([rows, next(self._fillers)(rows)])


def candidate_ranking(store, shards, label_ids, proposed, max_pred):
    """The CandidateRanking of a ScoreStore's rows in some of its shards, which are still to be added to it.

    Args:
        store, shards: of the segments; basenames in the order in which the rows will be added.
        label_ids: of the C classes.
        proposed: ProposedVideos.
        max_pred: segments a class.

    Raises:
        UserError: as VideoScores.
    """
    videos = VideoScores(proposed.folder, label_ids)
    fill = proposed.fill_folder and VideoScores(proposed.fill_folder, label_ids, "fill_scores")
    rows = video_rows(store, shards)
    return CandidateRanking(len(label_ids), max_pred, Candidates(proposed.rules, videos, rows, fill or None))


def logarithms(scores):
    """Logarithms of stored scores, finite: float32 [...]."""
    return np.log(np.maximum(scores, np.float32(_LEAST)))


def _ranges(first, counts):
    """int64 [sum of counts]: first[0], first[0] + 1, ..., first[1], ..."""
    return np.repeat(first - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
