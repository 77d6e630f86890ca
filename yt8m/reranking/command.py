"""Ranks a store's best segments anew, by what rated segments say of each (segment, class): what `yt8m rerank` does."""

import hashlib
import json
import os
from dataclasses import dataclass, field

from yt8m.ensembles.command import judged_shards_warning, ratings_of
from yt8m.ensembles.fusion_report import compare
from yt8m.ensembles.stores import write_blocks
from yt8m.errors import UserError
from yt8m.metrics.segments import segment_average_precisions
from yt8m.readers import labels
from yt8m.readers.patterns import match_files
from yt8m.readers.stores import StoreConfig, check_same, create_store, open_store
from yt8m.reranking import rankers
from yt8m.reranking.combined import mean_of
from yt8m.reranking.embedding import SegmentEmbedding
from yt8m.reranking.fitting import fit, option
from yt8m.reranking.frames import FrameFeatures, ShardFrames
from yt8m.reranking.members import Members
from yt8m.reranking.references import NEIGHBOURHOOD, Neighbourhood
from yt8m.reranking.stored import OTHERS, Reranker, StoreFeatures
from yt8m.scoring import submission
from yt8m.segments import SEGMENT_SIZE
from yt8m.stages.record import facts

STORES = ("scores", "video_scores", "fit_scores", "fit_video_scores")


@dataclass(frozen=True)
class RerankJob:
    """What is read and what is written; "": not given.

    Attributes:
        references, fit_on: rated shards with frames.
        fit_scores, fit_video_scores: stores of the segments of fit_on and of their videos, one a member each.
        scores, video_scores: stores to rank anew, one a member each.
        data_pattern: the shards of scores, with frames.
        method, method_options: of rankers.METHODS and rankers.OPTIONS.
        neighbourhood: references.Neighbourhood.
        candidates, candidates_by: segments a class that are ranked anew, and how they are chosen: stored.StoreFeatures.
        video_maximum: exponent of combined.in_video.
        rank_average: share of the rank before, combined.averaged_ranks; 0: the new scores alone count.
        embedding_dir: run of the model that gives segments a third descriptor.
        label_ids_file: classes to take.
        scores_output, output_file, report_output: to write.
        eval_data_pattern: rated shards to judge on.
        max_pred: segments a class.
        features: FrameFeatures.
    """

    references: str
    fit_on: str
    fit_scores: tuple
    scores: tuple
    data_pattern: str
    fit_video_scores: tuple = ()
    video_scores: tuple = ()
    method: str = "logistic"
    method_options: dict = field(default_factory=dict)
    neighbourhood: Neighbourhood = NEIGHBOURHOOD
    candidates: int = 10_000
    candidates_by: str = "segments"
    video_maximum: float = 0.0
    rank_average: float = 0.0
    embedding_dir: str = ""
    label_ids_file: str = ""
    scores_output: str = ""
    output_file: str = ""
    report_output: str = ""
    eval_data_pattern: str = ""
    max_pred: int = 100_000
    features: FrameFeatures = field(default_factory=FrameFeatures)


def run(job):
    """Fits a ranker for each member, writes what was asked for and judges it.

    Returns:
        fusion_report.Report on eval_data_pattern; None without one.

    Raises:
        UserError: stores, shards or ratings that do not go together, or an output that cannot be written.
    """
    rankers.check_installed()
    ids = labels.read_label_ids(job.label_ids_file) if job.label_ids_file else None
    members = Members(job.scores, job.video_scores, ids)
    theirs = Members(job.fit_scores, job.fit_video_scores, members.label_ids, ("fit_scores", "fit_video_scores"))
    _check_segments(("scores", members), ("fit_scores", theirs))
    patterns = {name: getattr(job, name) for name in ("references", "fit_on", "data_pattern")}
    embed = SegmentEmbedding(job.embedding_dir, job.features, patterns) if job.embedding_dir else None
    frames = ShardFrames(job.data_pattern, job.features, members.shards, embed=embed)
    _check_output(job)
    config = _output_config(job, members, embed) if job.scores_output else None
    if config:
        check_same(job.scores_output, config)
    ratings = _ratings(job, members) if job.eval_data_pattern else None
    fitted = fit(job, theirs, embed)
    how = option(job, "expansion"), job.video_maximum, fitted.related, job.rank_average, fitted.localizer
    features = StoreFeatures(members, job.candidates, candidates_by=job.candidates_by)
    reranker = Reranker(features, fitted.references, frames, fitted.ranks, *how)
    report = _report(job, reranker, ratings) if ratings else None
    if job.scores_output or job.output_file:
        _write(job, reranker, create_store(job.scores_output, config) if config else None)
    return _shown(job, report, ratings) if ratings else None


def _check_segments(*both):
    """Raises UserError for a store whose segments are not those that are rated; both: (flag, Members) each."""
    for flag, members in both:
        for stores in members.stores:
            size = stores.store.config.segment_size
            if size != SEGMENT_SIZE:
                raise UserError(
                    f"--{flag}={stores.folder} holds scores of segments of {size} s, ratings are of {SEGMENT_SIZE} s. "
                    "Name a store of those."
                )


def _check_output(job):
    """Raises UserError where --scores_output is a folder that is read."""
    for folder in (*job.scores, *job.fit_scores, *job.video_scores, *job.fit_video_scores):
        if job.scores_output and os.path.realpath(job.scores_output) == os.path.realpath(folder):
            raise UserError(f"--scores_output={job.scores_output} is read from. Name another folder.")


def _ratings(job, members):
    """The Ratings of eval_data_pattern of the members' classes."""
    return ratings_of(job.eval_data_pattern, job.features.id_feature, "eval_data_pattern", members.label_ids)


def _output_config(job, members, embed):
    """StoreConfig of --scores_output: classes and dtype of the first member's segments.

    What a shard gets depends on all others: its candidates, and how high its videos stand among them.
    """
    rerank = {name: getattr(job, name) for name in ("method", "candidates", "video_maximum", "references", "fit_on")}
    rerank |= {"features": list(job.features.names), "method_options": job.method_options, **job.neighbourhood._asdict()}
    rerank |= {"rank_average": job.rank_average} if job.rank_average else {}
    rerank |= {"candidates_by": job.candidates_by} if job.candidates_by != "segments" else {}
    rerank |= {"embedding": embed.fingerprint} if embed else {}
    files = {name: facts(match_files(getattr(job, name), name)) for name in ("references", "fit_on", "data_pattern")}
    shards = {"number": len(members.shards), "sha256": hashlib.sha256(json.dumps(members.shards).encode()).hexdigest()}
    of_stores = {name: [open_store(folder).config.run for folder in getattr(job, name)] for name in STORES}
    config = members.first.store.config
    rerank |= {"others_below": OTHERS[config.dtype]} if config.dtype == "float16" else {}
    run = {"rerank": rerank, "files": {**files, "scores": shards}, **of_stores}
    return StoreConfig("segments", tuple(members.label_ids), config.dtype, SEGMENT_SIZE, run)


def _write(job, reranker, store):
    """Writes the scores as a store, as a submission, or as both."""
    members, blocks = reranker.features.members, reranker.blocks(store)
    write_blocks(blocks, members.label_ids, job.output_file, job.max_pred)
    if store:
        print(f"Wrote {job.scores_output}: re-ranked scores, {len(members.shards)} shards.")


def _report(job, reranker, ratings):
    """The Report on rated pairs: of the mean of several members, and of each."""
    members = reranker.features.members

    def of_part(part, rows, classes):
        before, after, together = reranker.of_members(part, rows, classes)
        return [*before, *after, together]

    classes, scores, (*of_ways, together) = members.first.of_pairs(ratings, "eval_data_pattern", of_part)
    before, after = of_ways[: len(members.names)], of_ways[len(members.names) :]
    ways = [("segments' scores", mean_of(before)), (f"re-ranked, {job.method}", together)]
    if len(members.names) > 1:
        ways = [("mean of the members' scores", ways[0][1]), (f"mean of the re-ranked, {job.method}", ways[1][1])]
        for name, of_scores, of_ranks in zip(members.names, before, after):
            ways += [(f"{name}: segments' scores", of_scores), (f"{name}: re-ranked", of_ranks)]
    title = f"MAP and AUC over {len(classes):,} rated pairs of {job.eval_data_pattern}"
    warning = judged_shards_warning(job.fit_on, job.eval_data_pattern, "The ranker was")
    return compare(title, ways, classes, scores, len(members.label_ids))._replace(warning=warning)


def _shown(job, report, ratings):
    """The Report with the MAP of the written lists, printed and written."""
    if job.output_file:
        ranked = submission.read_submission(job.output_file)
        report = report._replace(full_lists=segment_average_precisions(ranked, ratings, job.max_pred).mean)
    report.show(job.report_output)
    return report
