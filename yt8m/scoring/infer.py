"""Inference over shards: every class's best segments, or every video's best classes, to a CSV; all scores to a store."""

import os

from yt8m.errors import UserError
from yt8m.scoring import candidates, submission, workers
from yt8m.scoring.ranking import Ranking
from yt8m.scoring.scan import Job, Scan, size_of, stored_blocks
from yt8m.scoring.scorer import Member, Scorer


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


def rank_segments(scorer, job, max_pred=100_000, proposed=None):
    """Scores segments, into the job's store, and writes every class's best ones to its CSV or to a worker's partial result.

    Args:
        scorer: Scorer of segments.
        job: Job; with `proposed` it has a store, a CSV and no worker.
        max_pred: segments a class.
        proposed: candidates.ProposedVideos, which propose the segments that are ranked; None: all are.

    Raises:
        UserError: an output that cannot be written, before anything is scored; a store of another run; bad shards.
    """
    scan, label_ids = Scan(scorer, job), scorer.label_ids
    if not job.output_file:
        scan.run()
        return
    if proposed:
        _rank_candidates(scan, job, label_ids, max_pred, proposed)
        return
    ranking = Ranking(len(label_ids), max_pred)

    def ranked():  # runs once the output file is open: one that cannot be written is refused before the scoring, not after
        scan.run(ranking.add)
        yield from ranking.names()

    def partial():
        sizes = scan.run(ranking.add)
        header = {"worker": job.worker, "run": scan.made_by, "label_ids": label_ids, "max_pred": max_pred}
        header["stored_as"] = job.scores_dtype if job.scores_output else None
        header["shards"] = [[os.path.basename(path), size_of(path)] for path in scan.files]
        return header, sizes, *ranking.segments(), ranking.best

    if job.worker is None:
        submission.write_submission(job.output_file, label_ids, ranked(), max_pred)
        print(f"Wrote {job.output_file}: the best segments of {len(label_ids)} classes among {len(ranking):,}.")
    else:
        path = workers.partial_path(job.output_file, *job.worker)
        workers.write_partial(path, partial)
        print(f"Wrote {path}: the best segments of {len(label_ids)} classes among {len(ranking):,} of this worker's shards.")


def _rank_candidates(scan, job, label_ids, max_pred, proposed):
    """Writes the CSV of what is ranked in two steps, from the job's store."""
    total = 0

    def ranked():
        nonlocal total
        scan.run()
        shards = [os.path.basename(path) for path in scan.files]
        ranking = candidates.candidate_ranking(scan.store, shards, label_ids, proposed, max_pred)
        for shard in shards:
            for ids, starts, scores in stored_blocks(scan.store.read(shard)):
                ranking.add(ids, starts, candidates.logarithms(scores))
        total = len(ranking)
        yield from ranking.names()

    submission.write_submission(job.output_file, label_ids, ranked(), max_pred)
    print(f"Wrote {job.output_file}: the best candidates of {len(label_ids)} classes among {total:,} segments.")


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
