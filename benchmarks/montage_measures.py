"""What is measured of a row's scores on montages: MAP of rated and of all segments, smoothing and fusion, localisation."""

import functools
import glob

import numpy as np
import tensorflow as tf

from yt8m.metrics import localization
from yt8m.metrics.ranking import mean_average_precision
from yt8m.metrics.segments import segment_metrics_from_pairs
from yt8m.readers.records import decode_context
from yt8m.segments import SEGMENT_SIZE, starts_of

OVERLAPS = (0.3, 0.5, 0.7)
_LEVELS = 12  # thresholds of a video that propose intervals


class Part:
    """The segments of the held-out or of the test montages.

    Args:
        made: montage_files.Made.
        name: "held_out" or "test".

    Attributes:
        ids: of the montages, in the order of the shards; seconds: {id: bool [T, K]}, K rated classes.
        first: {id: its first row}; there: bool [N, K], a row a segment.
        rows, columns, labels: [n] of the rated pairs; columns index the rated classes.
        pairs: (id, column) of the classes that occur in a montage or are rated there, and do not fill it.
    """

    def __init__(self, made, name):
        truth = made.truth()
        column = {label: index for index, label in enumerate(made.segment_classes)}
        pattern = made.test_ratings_pattern if name == "test" else made.held_out_pattern
        self.name, self.num_classes = name, len(column)
        self.ids, self.seconds, self.first, rows, columns, labels = [], {}, {}, [], [], []
        total, there = 0, []
        for path in sorted(glob.glob(pattern)):
            for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
                video = decode_context(record)
                self.ids.append(video.id)
                self.first[video.id] = total
                self.seconds[video.id] = truth[video.id]["seconds"].astype(bool)
                there.append(truth[video.id]["there"].astype(bool))
                total += len(there[-1])
                rows.append(self.first[video.id] + video.segments.start_times // SEGMENT_SIZE)
                columns.append([column[label] for label in video.segments.labels.tolist()])
                labels.append(video.segments.scores > 0)
        self.there = np.concatenate(there)
        self.rows, self.columns, self.labels = map(np.concatenate, (rows, columns, labels))
        self.videos = [slice(self.first[id], self.first[id] + len(of)) for id, of in zip(self.ids, there)]
        self.pairs = self._pairs(columns)

    def _pairs(self, rated):
        chosen = []
        for id, columns in zip(self.ids, rated):
            share = self.seconds[id].mean(axis=0)
            chosen += [(id, int(c)) for c in np.union1d(np.flatnonzero(share), columns).astype(int) if share[c] < 1]
        return chosen

    def rows_of(self, id):
        """Slice of a montage's segments."""
        first = self.first[id]
        return slice(first, first + len(starts_of(len(self.seconds[id]))))

    def rated(self, scores):
        """The scores [N, K] of the rated pairs, [n]."""
        return np.asarray(scores[self.rows, self.columns], np.float32)

    def metrics(self, scores):
        """segment_metrics_from_pairs of scores [N, K]."""
        return segment_metrics_from_pairs(self.columns, self.rated(scores), self.labels, self.num_classes)

    def map(self, scores):
        """MAP over the rated pairs."""
        return self.metrics(scores)["map"]

    def map_of_all(self, scores):
        """MAP over all segments, by the truth."""
        return mean_average_precision(np.asarray(scores, np.float32), self.there)

    def by_video(self, scores, function):
        """Scores [N, K] with a function applied to those of each montage, [S, K] -> [S, K] or [K]."""
        changed = np.empty(scores.shape, np.float32)
        for rows in self.videos:
            changed[rows] = function(np.asarray(scores[rows], np.float32))
        return changed


def smoothed(scores):
    """The mean of each segment's scores [S, K] and its neighbours' (at the ends of two)."""
    sums, counts = scores.copy(), np.ones((len(scores), 1), np.float32)
    for there, beside in ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))):
        sums[there] += scores[beside]
        counts[there] += 1
    return sums / counts


def logits(scores):
    """log p - log(1 - p), p clipped."""
    p = np.clip(np.asarray(scores, np.float32), 1e-6, 1 - 1e-6)
    return np.log(p) - np.log1p(-p)


def diagnosis(part, scores):
    """What time and the video say: MAP after a size-3 filter, of a montage's mean alone (which montage), and of the logits less
    their mean (where in it)."""
    of_logits = logits(scores)
    return {
        "smoothed": part.map(part.by_video(scores, smoothed)),
        "video_mean": part.map(part.by_video(scores, lambda s: s.mean(axis=0))),
        "within": part.map(part.by_video(of_logits, lambda s: s - s.mean(axis=0))),
    }


def measures(held_out, test, scores):
    """Everything that a row's scores tell.

    Args:
        held_out, test: Parts.
        scores: {"held_out", "test": float [N, K] probabilities}.
    """
    of_test = test.metrics(scores["test"])
    return {
        "map": of_test["map"],
        "auc": of_test["auc"],
        "held_out_map": held_out.map(scores["held_out"]),
        "map_all": test.map_of_all(scores["test"]),
        **diagnosis(test, scores["test"]),
        "localization": localization_of(held_out, test, *(of_segments(part, scores[part.name]) for part in (held_out, test))),
    }


def of_segments(part, scores):
    """{(id, column): float [T]}: the segments' scores of the part's pairs, a value a second."""
    found = {}
    for id, column in part.pairs:
        of_video = np.asarray(scores[part.rows_of(id), column], np.float64)
        found[id, column] = np.repeat(of_video, SEGMENT_SIZE)[: len(part.seconds[id])]
    return found


def over_segments(weights):
    """Weights of seconds, float [T], each replaced by the mean over its segment of 5 seconds, as wide as segments' scores are."""
    starts = np.arange(0, len(weights), SEGMENT_SIZE)
    counts = np.diff(np.append(starts, len(weights)))
    return np.repeat(np.add.reduceat(weights, starts) / counts, counts)


def localization_of(held_out, test, held_out_scores, test_scores):
    """Localisation of classes in montages.

    Args:
        held_out, test: Parts.
        held_out_scores, test_scores: {(id, column): float [T]} of their pairs.

    Returns:
        dict: `iou`: mean intersection over union of the seconds above the threshold that is best on the held-out montages, where
        the class occurs; `pointing`; `ap@.3` and so on: ActivityNet's, mean over the classes; `chance_pointing`, `all_iou`: of
        scores that say nothing, and of saying that the class is there all the time.
    """
    levels = np.quantile(np.concatenate(list(held_out_scores.values())), np.linspace(0, 1, 201))
    known = [_occurring(part, scores) for part, scores in ((held_out, held_out_scores), (test, test_scores))]
    best = levels[int(np.argmax(localization.mean_overlaps(*known[0], levels)))]
    scores, truths = known[1]
    found = {
        "iou": float(localization.mean_overlaps(scores, truths, [best])[0]),
        "pointing": localization.pointing_accuracy(scores, truths),
        "chance_pointing": float(np.mean([truth.mean() for truth in truths])),
        "all_iou": float(localization.mean_overlaps(scores, truths, [-np.inf])[0]),
    }
    detections, intervals = _detections(test, test_scores)
    for least in OVERLAPS:
        of_classes = [localization.detection_average_precision(detections[c], intervals[c], least) for c in intervals]
        found[f"ap@{least:g}"] = float(np.nanmean(of_classes))
    return found


def _occurring(part, scores):
    """Scores and truths of the pairs whose class occurs."""
    chosen = [(id, c) for id, c in part.pairs if part.seconds[id][:, c].any()]
    return [scores[pair] for pair in chosen], [part.seconds[id][:, c] for id, c in chosen]


def _detections(part, scores):
    """{column: [Detection]}, {column: [(id, start, end)]}."""
    detections, intervals = {}, {}
    for id, c in part.pairs:
        of_pair = scores[id, c]
        levels = np.linspace(of_pair.min(), of_pair.max(), _LEVELS + 2)[1:-1]
        proposed = localization.proposals(of_pair, levels)
        detections.setdefault(c, []).extend(localization.Detection(id, *proposal) for proposal in proposed)
        intervals.setdefault(c, []).extend((id, *run) for run in localization.intervals_of(part.seconds[id][:, c]))
    return detections, intervals


@functools.lru_cache(maxsize=4)
def part_of(made, name):
    """The Part of a folder of montages, read once."""
    return Part(made, name)
