"""Inference over shards: every class's best segments, or every video's best classes, to a CSV; all scores to a store."""

import os

import numpy as np

from yt8m.errors import UserError
from yt8m.scoring import submission, workers
from yt8m.scoring.scan import Job, Scan
from yt8m.scoring.scorer import Member, Scorer
from yt8m.scoring.topk import TopSegments


def segments(model, config, pattern, output_file, label_ids=None, max_pred=100_000, batch_size=128):
    """Writes `Class,Segments`: for every class the best segments of all videos, at most max_pred.

    Args:
        model: Keras model.
        config: its ModelConfig.
        pattern: frame-level shards.
        output_file: CSV.
        label_ids: of the classes to write; None: all.
        max_pred: segments a class.
        batch_size: videos at a time.
    """
    rank_segments(Scorer([Member(model, config)], label_ids=label_ids), Job(pattern, output_file, batch_size), max_pred)


def videos(model, config, pattern, output_file, top_k=20, batch_size=128):
    """Writes the starter's `VideoId,LabelConfidencePairs`: for every video the best top_k classes.

    Args: as for `segments`; `pattern` names shards of the kind that the model was trained on.
    """
    rank_classes(Scorer([Member(model, config)], "videos"), Job(pattern, output_file, batch_size), top_k)


def rank_segments(scorer, job, max_pred=100_000):
    """Scores segments, into the job's store, and writes every class's best ones to its CSV or to a worker's partial result.

    Args:
        scorer: Scorer of segments.
        job: Job.
        max_pred: segments a class.

    Raises:
        UserError: an output that cannot be written, before anything is scored; a store of another run; bad shards.
    """
    scan, label_ids = Scan(scorer, job), scorer.label_ids
    if not job.output_file:
        scan.run()
        return
    ranking = Ranking(len(label_ids), max_pred)

    def ranked():  # runs once the output file is open: one that cannot be written is refused before the scoring, not after
        scan.run(ranking.add)
        yield from ranking.names()

    def partial():
        sizes = scan.run(ranking.add)
        header = {"worker": job.worker, "run": scan.made_by, "label_ids": label_ids, "max_pred": max_pred}
        header["stored_as"] = job.scores_dtype if job.scores_output else None
        header["shards"] = [os.path.basename(path) for path in scan.files]
        return header, sizes, *ranking.segments(), ranking.best

    if job.worker is None:
        submission.write_submission(job.output_file, label_ids, ranked(), max_pred)
        print(f"Wrote {job.output_file}: the best segments of {len(label_ids)} classes among {len(ranking):,}.")
    else:
        path = workers.partial_path(job.output_file, *job.worker)
        workers.write_partial(path, partial)
        print(f"Wrote {path}: the best segments of {len(label_ids)} classes among {len(ranking):,} of this worker's shards.")


def rank_classes(scorer, job, top_k=20):
    """Scores videos, into the job's store, and writes every video's best top_k classes to its CSV.

    Args and raises: as rank_segments'; workers write no CSV.
    """
    if job.worker and job.output_file:
        raise UserError(
            "--worker_index without --segment_labels only stores scores. Give --scores_output and an empty --output_file="
        )
    scan = Scan(scorer, job)
    if not job.output_file:
        scan.run()
        return
    with submission.write_video_predictions(job.output_file, scorer.label_ids, top_k) as write:
        sizes = scan.run(lambda ids, starts, scores: write(ids, scores))
    print(f"Wrote {job.output_file}: the best {min(top_k, len(scorer.label_ids))} classes of {sizes.sum():,} videos.")


class Ranking:
    """The best segments of every class so far, and what they are called; equal scores go by the order of the segments.

    Args:
        num_classes: C.
        max_pred: segments a class.

    Attributes:
        best: TopSegments; a segment's index is its place in the order in which they came.
    """

    def __init__(self, num_classes, max_pred):
        self.best = TopSegments(num_classes, max_pred)
        self._ids, self._starts = [], []

    def __len__(self):
        return len(self._ids)

    def add(self, ids, starts, scores):
        """Adds segments: ids str [n], starts int [n], scores float [n, C]."""
        self.best.update(scores, len(self))
        self._ids += ids.tolist()
        self._starts += starts.tolist()

    def segments(self):
        """What was added: ids str [N], starts int64 [N]."""
        return np.array(self._ids, str), np.array(self._starts, np.int64)

    def names(self):
        """Yields each class's best segments, as arrays of `<id>:<start>`."""
        names = np.array([f"{name}:{start}" for name, start in zip(self._ids, self._starts)], str)
        for index in range(self.best.num_classes):
            yield names[self.best.top(index)[0]]
