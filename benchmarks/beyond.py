"""What the systems that ranked above the four papers add, on montages: paired by seed, from the scores that montage.py kept.

No network is trained here. Every row of benchmarks/montage.py is a base; what is fitted is fitted on the ratings of the held-out
montages, which no base was trained on, and judged on the test part's. References are the rated montages: no source of theirs is
in another part. The score of a video is the mean over its segments of the pre-trained model's logit.

  smoothing and fusion   yt8m fuse: size-3 kernel, segment + video + mean of the video, five numbers for all classes
  references             a logistic regression of 20 features of the pair: cosines to the class's rated segments, votes of the
                         nearest, counts, the scores of the segment, its neighbours and its video (CCRL, step A)
  references, trees      boosted trees of the same features
  each with references   the mean of the logits of attention, multi-attention and gated DBoF, each with references
  best ensemble          the same as configs/ensemble_best.flags has it: of a video the mean over its segments is its score, and
                         the held-out ratings are references, too; times the class's greatest score in the video
  geometric, ranks       ensembles by the mean logarithm of probabilities, and by hyperbolic points of the rank

  python benchmarks/beyond.py --work DIR --json FILE       of all seeds that are complete
"""

import collections
import dataclasses
import json
import os

import montage_groups
import montage_measures
import montage_rows
import montage_runs
import numpy as np
import report
import tensorflow as tf

from yt8m.ensembles import fusion
from yt8m.files import replacing, write_text
from yt8m.metrics.segments import segment_metrics_from_pairs
from yt8m.readers.patterns import match_files
from yt8m.readers.records import decode_context, decode_video
from yt8m.reranking import localizer, pair_model, rankers, score_features, stored
from yt8m.reranking.frames import FrameFeatures, Pairs, windows_around
from yt8m.reranking.references import Descriptors, References, unit
from yt8m.reranking.whole_videos import Asked, RatedVideos, joined
from yt8m.segments import SEGMENT_SIZE, dequantise

SINGLES = ("logistic", "attention", "multi-attention", "context-agnostic", "context-aware", "CNN", "DBoF", "gated DBoF",
           "NetVLAD", "GRU", "NeXtVLAD, EM 0", "NeXtVLAD, EM 2, prior", "BiGRU")  # fmt: skip
PAPERS = ("agnostic + aware", "ensemble of three, mean", "ensemble of three, fitted", "ensemble of eight, mean",
          "ensemble of eight, fitted", "student of the ensemble")  # fmt: skip
# Whose scores are the videos', where it is not the row's own pre-training.
START = dict.fromkeys(("context-agnostic", "context-aware"), "gated DBoF, pre-trained")
WITHIN = 0.05  # of the best row on the held-out part: members of the ensemble of all kinds
POINTS = 6.06  # of hyperbolic ranks; the 9th place's
ALL, BEST = "all kinds, mean", "ensemble of three, each with references"
RECIPE = "best ensemble, as configs/ensemble_best.flags"


class Segments:
    """Descriptors of the rated segments of a part.

    Attributes:
        means: float32 [n, 1152]; videos: str [n]; classes: int [n]; labels: [n].
        windows: (uint8 [n, W, 1152], int [n]), their frames and `expansion` beside them; None: none were asked for.
    """

    def __init__(self, made, pattern, rated_pattern=None, expansion=None):
        ratings, column = {}, {label: index for index, label in enumerate(made.segment_classes)}
        for record in _records(rated_pattern or pattern):
            video = decode_context(record)
            rated = video.segments
            ratings[video.id] = [
                (start, column[label], score)
                for start, label, score in zip(rated.start_times.tolist(), rated.labels.tolist(), rated.scores.tolist())
            ]
        means, videos, classes, labels, windows = [], [], [], [], []
        for record in _records(pattern):
            video = decode_video(record, ("rgb", "audio"), (1024, 128))
            frames = np.concatenate([video.frames["rgb"], video.frames["audio"]], axis=1)
            if expansion is not None:
                starts = np.array([start for start, _, _ in ratings[video.id]], np.int64)
                windows.append(windows_around(video, starts, ("rgb", "audio"), expansion))
            for start, label, score in ratings[video.id]:
                means.append(dequantise(frames[start : start + SEGMENT_SIZE]).mean(axis=0))
                videos.append(video.id)
                classes.append(label)
                labels.append(score)
        self.means, self.videos = np.array(means, np.float32), np.array(videos)
        self.classes, self.labels = np.array(classes), np.array(labels)
        self.windows = tuple(np.concatenate(arrays) for arrays in zip(*windows)) or None


def _records(pattern):
    for path in match_files(pattern):
        yield from tf.data.TFRecordDataset(path).as_numpy_iterator()


def references_of(made, everything=False):
    """The References of the rated montages, with `everything` of the held-out ones, too, and what makes Descriptors of means."""
    rated = Segments(made, f"{made.rated_pattern},{made.held_out_pattern}" if everything else made.rated_pattern)
    center = rated.means.mean(axis=0)

    def descriptors(means):
        return Descriptors(unit(means[:, :1024], center[:1024]), unit(means[:, 1024:], center[1024:]))

    of_rated = descriptors(rated.means), rated.videos, rated.classes, rated.labels
    return References(*of_rated, len(made.segment_classes)), descriptors


def similarities(work, made, everything=False):
    """{"held_out", "test": float32 [n, 12] of the rated pairs in a Part's order}; kept beside the montages.

    Args:
        work: folder; made: montage_files.Made; everything: the held-out ratings are references, too.
    """
    path = os.path.join(work, f"similarities{'-all' if everything else ''}-{made.key}.npz")
    if not os.path.exists(path):
        references, descriptors = references_of(made, everything)
        found = {}
        patterns = {"held_out": (made.held_out_pattern,), "test": (made.test_pattern, made.test_ratings_pattern)}
        for name, of_part in patterns.items():
            pairs = Segments(made, *of_part)
            part = montage_measures.part_of(made, name)
            assert np.array_equal(pairs.classes, part.columns) and np.array_equal(pairs.labels > 0, part.labels)
            found[name] = references.features(descriptors(pairs.means), pairs.videos, pairs.classes)
        with replacing(path) as file:
            np.savez(file, **found)
    with np.load(path) as arrays:
        return dict(arrays)


class Base:
    """A row's scores, and what is made of them.

    Args:
        parts: {"held_out", "test": Part}; scores, videos: {name: float [N, K] probabilities} of the row and of its pre-trained
            model; near: similarities.
    """

    def __init__(self, parts, scores, videos, near):
        self.parts, self.near, self.logits, self.terms, self.features = parts, near, {}, {}, {}
        self.all_terms = {}
        for name, part in parts.items():
            x, v = montage_measures.logits(scores[name]), montage_measures.logits(videos[name])
            firsts = np.array([part.first[id] for id in part.ids])
            counts = np.diff(np.append(firsts, len(x)))
            linked = np.repeat(np.arange(len(firsts)), counts)
            linked = linked[1:] == linked[:-1]
            of_videos = np.add.reduceat(v, firsts, axis=0) / counts[:, None].astype(np.float32)
            pairs = part.rows, part.columns
            terms = fusion.terms_of(x, firsts, linked, of_videos)
            self.all_terms[name] = terms
            self.terms[name] = fusion.Terms(*(np.broadcast_to(of, x.shape)[pairs] for of in terms))
            of_segments = score_features.of_segments(x, firsts, linked)[pairs]
            video_features = np.repeat(score_features.of_videos(of_videos), counts, axis=0)[pairs]
            self.logits[name] = x[pairs]
            self.features[name] = np.concatenate([of_segments, video_features, near[name]], axis=1)

    def precisions(self, of_pairs):
        """Average precision of each class over the test part's rated pairs, of scores [n]; nan without positives."""
        part = self.parts["test"]
        metrics = segment_metrics_from_pairs(part.columns, of_pairs, part.labels, part.num_classes)
        return metrics["class_average_precisions"]

    def variants(self, name):
        """What is fitted on the held-out part, beside the base.

        Returns:
            {row: precisions}; the logits [n] with references; {row: facts}: the numbers that smoothing and fusion were fitted to,
            and MAP of the full lists, of all segments of the test part, before and after.
        """
        held_out, test = self.parts["held_out"], self.parts["test"]
        fused, _ = fusion.fit(self.terms["held_out"], held_out.labels)
        found = {name: self.precisions(self.logits["test"])}
        found[f"{name}, smoothing and fusion"] = self.precisions(fused.logits(self.terms["test"]))
        of_all = self.all_terms["test"]
        facts = {
            name: {"map_all": test.map_of_all(of_all.smoothed(0.0))},
            f"{name}, smoothing and fusion": {
                "map_all": test.map_of_all(fused.logits(of_all)),
                "fitted": dataclasses.asdict(fused),
            },
        }
        ranked = {}
        for method, said in (("logistic", "references"), ("trees", "references, trees")):
            rank = rankers.fit(method, self.features["held_out"], held_out.labels, held_out.columns)
            ranked[method] = rank(self.features["test"])
            found[f"{name}, {said}"] = self.precisions(ranked[method])
        return found, ranked["logistic"], facts


def hyperbolic(of_members):
    """Sum over members of POINTS / (POINTS + rank of a class's segment), [N, K]."""
    total = np.zeros(of_members[0].shape, np.float32)
    for scores in of_members:
        ranks = np.argsort(np.argsort(-scores, axis=0, kind="stable"), axis=0, kind="stable") + 1
        total += POINTS / (POINTS + ranks)
    return total / len(of_members)


def best_ensemble(runs, near, asked=None):
    """MAP of configs/ensemble_best.flags; Args: as best_precisions'."""
    return float(np.nanmean(best_precisions(runs, near, asked)))


def best_precisions(runs, near, asked=None):
    """Average precision of each class of configs/ensemble_best.flags.

    Args:
        runs: montage_runs.Runs; near: similarities with everything.
        asked: {"held_out", "test": (ids of the videos str [n], frames.Pairs)} for --method=attention; None: as the flags have it.
    """
    parts, logits, held_out = {"held_out": runs.held_out, "test": runs.test}, [], runs.held_out
    for name in montage_rows.TEACHERS:
        base = Base(parts, runs.scores(name), runs.scores(name), near)
        given = base.features["held_out"], held_out.labels, held_out.columns
        rank = pair_model.fit(*given, *asked["held_out"], held_out.num_classes) if asked else rankers.fit("logistic", *given)
        found = rank(base.features["test"], asked["test"][1] if asked else None)
        logits.append(stored.in_video(found, base.features["test"][:, stored.MAXIMUM], 1.0))
    return base.precisions(np.mean(logits, axis=0))


def asked_pairs(made, expansion):
    """The rated pairs of both parts as networks of --method=attention see them, for best_ensemble."""
    references, _ = references_of(made, everything=True)
    asked = {}
    for name, of_part in {"held_out": (made.held_out_pattern,), "test": (made.test_pattern, made.test_ratings_pattern)}.items():
        pairs = Segments(made, *of_part, expansion=expansion)
        contrast = references.contrast(pairs.videos, pairs.classes)
        asked[name] = pairs.videos, Pairs(*pairs.windows, np.arange(len(pairs.classes)), pairs.classes, contrast)
    return asked


def located(made, seed):
    """{"held_out", "test": float32 [n, 1]}: the feature that --method=localizer adds, of the rated pairs in a Part's order."""
    read = FrameFeatures(), made.segment_classes
    held_out = RatedVideos(made.held_out_pattern, "fit_on", *read)
    learned = RatedVideos(f"{made.rated_pattern},{made.held_out_pattern}", "references", *read)
    score = localizer.fit(learned, len(made.segment_classes), sum(FrameFeatures().sizes), seed=seed)
    ratings = {video.id: video for video in RatedVideos(made.test_ratings_pattern, "eval_data_pattern", *read).videos}

    def test():
        for record in _records(made.test_pattern):
            video = decode_video(record, *FrameFeatures())
            if video.id in ratings:
                rated = ratings[video.id]
                yield Asked(video.id, joined(video, FrameFeatures().names), rated.starts, rated.classes)

    return {name: score(asked)[:, None] for name, asked in (("held_out", held_out.asked()), ("test", test()))}


def of_seed(runs, near, near_all):
    """{row: precisions}, {row: its base}, the members of the ensembles and {row: facts}, of a seed."""
    parts, found = {"held_out": runs.held_out, "test": runs.test}, {}
    known = {name: runs.scores(name) for name in (*SINGLES, *PAPERS) if name in runs.rows}
    videos = {}
    for name in known:
        start = START.get(name, montage_groups.pretrained(name.split(",")[0]))
        videos[name] = runs.scores(start) if start in runs.rows else known[name]
    judged = {name: runs.rows[name]["held_out_map"] for name in SINGLES if name in known}
    members = [name for name, of in judged.items() if of > max(judged.values()) - WITHIN]

    def mean(of):
        return {part: np.mean([of[name][part] for name in members], axis=0) for part in parts}

    known[ALL], videos[ALL] = mean(known), mean(videos)
    bases, with_references, facts = {}, {}, {}
    for name in known:
        variants, with_references[name], of_base = Base(parts, known[name], videos[name], near).variants(name)
        found, bases, facts = found | variants, bases | dict.fromkeys(list(variants)[1:], name), facts | of_base
    base, test = Base(parts, known[ALL], videos[ALL], near), (runs.test.rows, runs.test.columns)
    geometric = np.mean([np.log(np.clip(known[name]["test"], 1e-7, 1)) for name in members], axis=0)
    found["all kinds, geometric"] = base.precisions(geometric[test])
    found[BEST] = base.precisions(np.mean([with_references[name] for name in montage_rows.TEACHERS], axis=0))
    found[RECIPE] = best_precisions(runs, near_all)
    found["all kinds, ranks"] = base.precisions(hyperbolic([known[name]["test"] for name in members])[test])
    return (
        found,
        {**bases, "all kinds, geometric": ALL, "all kinds, ranks": ALL, BEST: "ensemble of three, mean", RECIPE: BEST},
        members,
        facts,
    )


def table(values, bases, facts):
    """Rows of report.show.

    Args:
        values: {row: [precisions of each seed]}; bases: {row: what it is compared with}; facts: {row: [facts of each seed]}.
    """
    rows, maps = [], {name: [float(np.nanmean(of_seed)) for of_seed in of] for name, of in values.items()}

    def add(name, row, base, goal):
        of = maps[row]
        gains = [a - b for a, b in zip(of, maps[base])] if base else []
        said = f"MAP ({np.mean(gains):+.4f} ±{report.error(gains) or 0:.4f})" if base else "MAP"
        theirs = float(np.mean(maps[base])) if base else None
        line = report.row(name, float(np.mean(of)), said, base, theirs, None, goal, report.reached(goal, gains), report.error(of))
        more = dict(gain=float(np.mean(gains)), gain_spread=report.error(gains)) if base else {}
        more |= {"worse": report.share_below(values[row], values[base])} if base else {}
        if row in facts:
            more["map_all"] = float(np.mean([of_seed["map_all"] for of_seed in facts[row]]))
            more |= {"fitted": [of_seed["fitted"] for of_seed in facts[row]]} if "fitted" in facts[row][0] else {}
        rows.append({**line, **more, "seeds": of})

    for name in values:
        add(name, name, bases.get(name, ""), "above" if name in bases else "")
    best = max((name for name in values if name not in bases), key=lambda name: np.mean(maps[name]))
    for name in (BEST, RECIPE):
        add(f"{name}, beside the best of the papers' rows", name, best, "above")
    return rows


def main():
    parser = montage_runs.arguments(__doc__)
    options = parser.parse_args()
    made, version = montage_runs.newest(options.work)
    near, near_all = (similarities(options.work, made, everything) for everything in (False, True))
    values, facts, members, bases = collections.defaultdict(list), collections.defaultdict(list), [], {}
    for runs in montage_runs.of_seeds(options):
        found, bases, members, of_rows = of_seed(runs, near, near_all)
        for name, value in of_rows.items():
            facts[name].append(value)
        for name, value in found.items():
            values[name].append(value)
    complete = {name: of for name, of in values.items() if len(of) == options.seeds}
    print(f"Members of '{ALL}', of the last seed: {', '.join(members)}.")
    title = f"Beyond the papers, montages' test part, {options.seeds} seeds, scores of {version}"
    report.show(title, table(complete, bases, facts), options.json)
    if options.json:
        with open(options.json, encoding="utf-8") as file:
            written = json.load(file)
        write_text(options.json, json.dumps({**written, "version": version, "members": members}, indent=1))


if __name__ == "__main__":
    main()
