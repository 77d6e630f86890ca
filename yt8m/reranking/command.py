"""Ranks a store's best segments anew, by what rated segments say of each (segment, class): what `yt8m rerank` does."""

import os
from dataclasses import dataclass, field

import numpy as np

from yt8m.ensembles import fusion
from yt8m.ensembles.command import judged_shards_warning, ratings_of
from yt8m.ensembles.fused import FusedStores
from yt8m.ensembles.fusion_report import compare
from yt8m.ensembles.stores import write_blocks
from yt8m.errors import UserError
from yt8m.metrics.segments import segment_average_precisions
from yt8m.readers import labels
from yt8m.readers.stores import StoreConfig, create_store, open_store
from yt8m.reranking import rankers
from yt8m.reranking.frames import FrameFeatures, ShardFrames, read_rated
from yt8m.reranking.stored import RatedReferences, Reranker, StoreFeatures
from yt8m.scoring import submission
from yt8m.segments import SEGMENT_SIZE


@dataclass(frozen=True)
class RerankJob:
    """What is read and what is written; "": not given.

    Attributes:
        references, fit_on: rated shards with frames.
        fit_scores, fit_video_scores: stores of the segments of fit_on and of their videos.
        scores, video_scores: stores to rank anew.
        data_pattern: the shards of scores, with frames.
        method: of rankers.METHODS.
        candidates: segments a class that are ranked anew.
        label_ids_file: classes to take.
        scores_output, output_file, report_output: to write.
        eval_data_pattern: rated shards to judge on.
        max_pred: segments a class.
        features: FrameFeatures.
    """

    references: str
    fit_on: str
    fit_scores: str
    scores: str
    data_pattern: str
    fit_video_scores: str = ""
    video_scores: str = ""
    method: str = "logistic"
    candidates: int = 10_000
    label_ids_file: str = ""
    scores_output: str = ""
    output_file: str = ""
    report_output: str = ""
    eval_data_pattern: str = ""
    max_pred: int = 100_000
    features: FrameFeatures = field(default_factory=FrameFeatures)


def run(job):
    """Fits a ranker, writes what was asked for and judges it.

    Returns:
        fusion_report.Report on eval_data_pattern; None without one.

    Raises:
        UserError: stores, shards or ratings that do not go together, or an output that cannot be written.
    """
    rankers.check_installed()
    ids = labels.read_label_ids(job.label_ids_file) if job.label_ids_file else None
    stores = FusedStores(job.scores, job.video_scores, ids)
    theirs = FusedStores(job.fit_scores, job.fit_video_scores, stores.label_ids, ("fit_scores", "fit_video_scores"))
    _check_segments(job, stores, theirs)
    frames = ShardFrames(job.data_pattern, job.features, stores.shards)
    _check_output(job, stores, theirs)
    ratings = _ratings(job, stores) if job.eval_data_pattern else None
    references, rank = _fit(job, theirs)
    reranker = Reranker(StoreFeatures(stores, job.candidates), references, frames, rank)
    report = _report(job, reranker, ratings) if ratings else None
    if job.scores_output or job.output_file:
        _write(job, reranker, _output_store(job, stores, theirs) if job.scores_output else None)
    return _shown(job, report, ratings) if ratings else None


def _check_segments(job, *both):
    """Raises UserError for a store whose segments are not those that are rated."""
    for flag, stores in zip(("scores", "fit_scores"), both):
        size = stores.store.config.segment_size
        if size != SEGMENT_SIZE:
            raise UserError(
                f"--{flag}={stores.folder} holds scores of segments of {size} s, ratings are of {SEGMENT_SIZE} s. "
                "Name a store of those."
            )


def _check_output(job, *both):
    """Raises UserError where --scores_output is a folder that is read."""
    for folder in filter(None, (folder for stores in both for folder in (stores.folder, stores.video_folder))):
        if job.scores_output and os.path.realpath(job.scores_output) == os.path.realpath(folder):
            raise UserError(f"--scores_output={job.scores_output} is read from. Name another folder.")


def _ratings(job, stores):
    """The Ratings of eval_data_pattern of the stores' classes."""
    return ratings_of(job.eval_data_pattern, job.features.id_feature, "eval_data_pattern", stores.label_ids)


def _fit(job, theirs):
    """(RatedReferences, function of features to logits), the latter said."""
    rated = read_rated(job.references, "references", job.features, theirs.label_ids)
    references = RatedReferences(rated, job.features.sizes, theirs.label_ids)
    pairs = rated if job.fit_on == job.references else read_rated(job.fit_on, "fit_on", job.features, theirs.label_ids)
    features = StoreFeatures(theirs)
    classes, scores, (of_scores,) = theirs.of_pairs(
        pairs.ratings(), "fit_on", lambda part, rows, classes: [features.of_pairs(part, rows, classes)]
    )
    near = references.features(pairs.means, np.arange(len(classes)), pairs.ids, classes)
    everything = np.concatenate([of_scores, near], axis=1)
    rank = rankers.fit(job.method, everything, scores, classes)
    after, before = fusion.log_loss(rank(everything), scores), fusion.log_loss(of_scores[:, 0], scores)
    print(
        f"Fitted {job.method} on {len(scores):,} rated pairs of {job.fit_on}, {len(rated.ids):,} references: log loss "
        f"{after:.4f} on these, of the scores themselves {before:.4f}."
    )
    return references, rank


def _output_store(job, stores, theirs):
    """The ScoreStore to write to: classes and dtype of the segments'.

    Raises:
        UserError: the folder holds the scores of another run.
    """
    folders = [folder for of in (stores, theirs) for folder in (of.folder, of.video_folder)]
    made_by = [open_store(folder).config.run if folder else None for folder in folders]
    rerank = {name: getattr(job, name) for name in ("method", "candidates", "references", "fit_on")}
    rerank["features"] = list(job.features.names)
    run = {"rerank": rerank, **dict(zip(("segments", "videos", "fit_segments", "fit_videos"), made_by))}
    config = stores.store.config
    return create_store(job.scores_output, StoreConfig("segments", tuple(stores.label_ids), config.dtype, SEGMENT_SIZE, run))


def _write(job, reranker, store):
    """Writes the scores as a store, as a submission, or as both."""
    stores, blocks = reranker.features.stores, reranker.blocks(store)
    write_blocks(blocks, stores.label_ids, job.output_file, job.max_pred)
    if store:
        print(f"Wrote {job.scores_output}: re-ranked scores, {len(stores.shards)} shards.")


def _report(job, reranker, ratings):
    """The Report on rated pairs."""
    stores = reranker.features.stores

    def of_part(part, rows, classes):
        return [reranker.features.of_pairs(part, rows, classes)[:, 0], reranker.logits(part, rows, classes)]

    classes, scores, (before, after) = stores.of_pairs(ratings, "eval_data_pattern", of_part)
    title = f"MAP and AUC over {len(classes):,} rated pairs of {job.eval_data_pattern}"
    ways = [("segments' scores", before), (f"re-ranked, {job.method}", after)]
    warning = judged_shards_warning(job.fit_on, job.eval_data_pattern, "The ranker was")
    return compare(title, ways, classes, scores, len(stores.label_ids))._replace(warning=warning)


def _shown(job, report, ratings):
    """The Report with the MAP of the written lists, printed and written."""
    if job.output_file:
        ranked = submission.read_submission(job.output_file)
        report = report._replace(full_lists=segment_average_precisions(ranked, ratings, job.max_pred).mean)
    report.show(job.report_output)
    return report
