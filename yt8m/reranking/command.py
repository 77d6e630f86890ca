"""Ranks a store's best segments anew, by what rated segments say of each (segment, class): what `yt8m rerank` does."""

import os
from dataclasses import dataclass, field

import numpy as np

from yt8m.ensembles import fusion
from yt8m.ensembles.command import judged_shards_warning, ratings_of
from yt8m.ensembles.fusion_report import compare
from yt8m.ensembles.stores import write_blocks
from yt8m.errors import UserError
from yt8m.metrics.segments import segment_average_precisions
from yt8m.readers import labels
from yt8m.readers.stores import StoreConfig, create_store, open_store
from yt8m.reranking import rankers
from yt8m.reranking.frames import FrameFeatures, Pairs, ShardFrames, read_rated
from yt8m.reranking.members import Members
from yt8m.reranking.references import NEIGHBOURHOOD, Neighbourhood
from yt8m.reranking.stored import RatedReferences, Reranker, StoreFeatures, mean_of
from yt8m.reranking.whole_videos import RatedVideos
from yt8m.scoring import submission
from yt8m.segments import SEGMENT_SIZE

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
        candidates: segments a class that are ranked anew.
        video_maximum: exponent of stored.in_video.
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
    video_maximum: float = 0.0
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
    frames = ShardFrames(job.data_pattern, job.features, members.shards)
    _check_output(job)
    ratings = _ratings(job, members) if job.eval_data_pattern else None
    references, localizer, ranks = _fit(job, theirs)
    of_stores = StoreFeatures(members, job.candidates)
    reranker = Reranker(of_stores, references, frames, ranks, _expansion(job), job.video_maximum, localizer)
    report = _report(job, reranker, ratings) if ratings else None
    if job.scores_output or job.output_file:
        _write(job, reranker, _output_store(job, members) if job.scores_output else None)
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


def _fit(job, theirs):
    """(RatedReferences, a Localizer or None, of each member a function of features to logits), the latter said."""
    read, expansion = (job.features, theirs.label_ids), _expansion(job)
    same = job.fit_on == job.references
    rated = read_rated(job.references, "references", *read, expansion if same else None)
    references = RatedReferences(rated, job.features.sizes, theirs.label_ids, job.neighbourhood)
    pairs = rated if same else read_rated(job.fit_on, "fit_on", *read, expansion)
    features, ranks = StoreFeatures(theirs), []
    classes, scores, of_members = theirs.first.of_pairs(pairs.ratings(), "fit_on", features.of_pairs)
    near = references.features(pairs.means, np.arange(len(classes)), pairs.ids, classes)
    localizer = _localizer(job, theirs.label_ids)
    if localizer:
        asked = RatedVideos(job.fit_on, "fit_on", *read).asked()
        near = np.concatenate([near, localizer(asked)[:, None]], axis=1)
    for number, of_scores in enumerate(of_members):
        everything = np.concatenate([of_scores, near], axis=1)
        of_pairs = _pairs(pairs, classes, references) if expansion is not None else None
        ranks.append(_ranker(job, everything, scores, classes, pairs.ids, of_pairs, len(theirs.label_ids)))
        after, before = fusion.log_loss(ranks[-1](everything, of_pairs), scores), fusion.log_loss(of_scores[:, 0], scores)
        name = f" for {theirs.names[number]}" if len(of_members) > 1 else ""
        print(
            f"Fitted {job.method}{name} on {len(scores):,} rated pairs of {_shown_shards(job.fit_on)}, {len(rated.ids):,} "
            f"references: log loss {after:.4f} on these, of the scores themselves {before:.4f}."
        )
    return references, localizer, ranks


def _localizer(job, label_ids):
    """The Localizer that has learned the references, where the method has one; else None."""
    if job.method != "localizer":
        return None
    from yt8m.reranking import localizer  # Keras: for this method alone

    rated = RatedVideos(job.references, "references", job.features, label_ids)
    return localizer.fit(rated, len(label_ids), sum(job.features.sizes), **job.method_options)


def _expansion(job):
    """Frames beside a segment that the method looks at; None: it looks at features alone."""
    return rankers.options_of(job.method, job.method_options).get("expansion")


def _pairs(rated, classes, references):
    """The Pairs of RatedSegments, a window a pair; classes: int [n], 0 to C - 1."""
    return Pairs(*rated.windows, np.arange(len(classes)), classes, references.contrast(rated.ids, classes))


def _ranker(job, features, scores, classes, videos, pairs, num_classes):
    """What is fitted for a member."""
    if job.method == "localizer":
        return rankers.fit("logistic", features, scores, classes, strength=job.method_options.get("strength", 1.0))
    if pairs is None:
        return rankers.fit(job.method, features, scores, classes, **job.method_options)
    from yt8m.reranking import pair_model  # Keras: for this method alone

    return pair_model.fit(features, scores, classes, videos, pairs, num_classes, **job.method_options)


def _shown_shards(pattern):
    """A pattern for a line: of many shards the first."""
    first, _, rest = pattern.partition(",")
    return f"{first} and {rest.count(',') + 1} more" if rest.count(",") > 1 else pattern


def _output_store(job, members):
    """The ScoreStore to write to: classes and dtype of the first member's segments.

    Raises:
        UserError: the folder holds the scores of another run.
    """
    rerank = {name: getattr(job, name) for name in ("method", "candidates", "video_maximum", "references", "fit_on")}
    rerank |= {"features": list(job.features.names), "method_options": job.method_options, **job.neighbourhood._asdict()}
    of_stores = {name: [open_store(folder).config.run for folder in getattr(job, name)] for name in STORES}
    config = members.first.store.config
    run = {"rerank": rerank, **of_stores}
    return create_store(job.scores_output, StoreConfig("segments", tuple(members.label_ids), config.dtype, SEGMENT_SIZE, run))


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
        before, after = reranker.of_members(part, rows, classes)
        return [*before, *after]

    classes, scores, of_ways = members.first.of_pairs(ratings, "eval_data_pattern", of_part)
    before, after = of_ways[: len(members.names)], of_ways[len(members.names) :]
    ways = [("segments' scores", mean_of(before)), (f"re-ranked, {job.method}", mean_of(after))]
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
